//! What a device wants, and the one request that shows it to a person: the one that waits, if it shows all of it, or a new one.

use super::super::command::{Context, Decision, Outcome, PairingNeed, Refusal};
use super::super::event::{
    Actor, Address, Ask, Client, CommandName, Described, Description, Event, PairingRequested, Proof, Reason,
};
use super::super::identity::SignatureForm;
use super::super::ids::{DeviceId, PublicKey, RequestId};
use super::super::policy::{Policy, differs};
use super::super::registry::{Device, Grant, Registry, Request};
use super::super::scopes::{Role, ScopeSet};
use super::{Subject, approval, within_ceilings};
use crate::limits;

/// What a device wants.
pub(super) struct Asking<'a> {
    pub registry: &'a Registry,
    pub policy: &'a Policy,
    pub context: &'a Context<'a>,
    pub client: Client,
    pub ask: Ask,
    pub proof: Proof,
    pub key: PublicKey,
    pub description: Description,
}

/// Where a person finds what is wanted.
pub(super) enum Raised<'a> {
    /// In this request, which waits.
    Waits(&'a Request),
    /// In a new one.
    New(Box<PairingRequested>),
    /// Nowhere: too many wait.
    Full,
}

/// A paired device wants to hold more as operator, and says so on a connection that it has. It says nothing new of itself.
pub(super) fn ask(registry: &Registry, policy: &Policy, scopes: ScopeSet, address: Address, context: &Context<'_>) -> Decision {
    let role = Role::Operator;
    let mut subject =
        Subject { command: CommandName::Ask, request: None, device: None, role: Some(role), scopes: Some(scopes.clone()) };
    let Actor::Device { device: id, .. } = context.actor else { return subject.refuse(context, Refusal::DeviceRequired) };
    subject.device = Some(id);
    let Some(device) = registry.device(&id) else { return subject.refuse(context, Refusal::UnknownDevice) };
    if !device.has(role) {
        return subject.refuse(context, Refusal::RoleNotHeld(role));
    }
    if device.held(role).covers(role, &scopes) {
        return subject.refuse(context, Refusal::HeldAlready);
    }
    if let Err(refusal) = within_ceilings(policy, device.client, role, &scopes) {
        return subject.refuse(context, refusal);
    }
    let ask = Ask { role, scopes, described: Described { like: None, here: None } };
    // What is pinned was vouched for.
    let proof = Proof { device: id, form: SignatureForm::V3 };
    let (client, key, description) = (device.client, device.key, Description::clone(&device.description));
    let asking = Asking { registry, policy, context, client, ask, proof, key, description };
    let (mut events, raised) = asking.raise(Reason::ScopeUpgrade, address);
    let request = match raised {
        Raised::Waits(request) => request.id,
        Raised::New(requested) => {
            let request = requested.request;
            events.push((context.actor.clone(), (*requested).into()));
            request
        }
        Raised::Full => return subject.refuse(context, Refusal::PendingTableFull),
    };
    Decision { events, outcome: Outcome::Asked { request } }
}

impl<'a> Asking<'a> {
    /// The request that shows what is wanted, behind the end of one whose time is over.
    pub(super) fn raise(&self, reason: Reason, address: Address) -> (Vec<(Actor, Event)>, Raised<'a>) {
        let (events, waiting) = self.waiting();
        let raised = match waiting {
            Some(request) if self.is_shown_by(request) => Raised::Waits(request),
            None if self.table_is_full(address) => Raised::Full,
            _ => {
                let whole = self.together_with(waiting);
                Raised::New(Box::new(self.request(reason, whole, waiting.map(|request| request.id), address)))
            }
        };
        (events, raised)
    }

    /// The request of this device and role that waits; where its time is over, that instead.
    pub(super) fn waiting(&self) -> (Vec<(Actor, Event)>, Option<&'a Request>) {
        match self.registry.waiting(&self.proof.device, self.ask.role) {
            Some(request) if approval::is_due(self.policy, request, self.context) => {
                (vec![(Actor::System, approval::expired(self.policy, request).into())], None)
            }
            waiting => (vec![], waiting.map(AsRef::as_ref)),
        }
    }

    /// A new request holds its description itself: what it might point to may be gone with the request it replaces.
    pub(super) fn request(
        &self,
        reason: Reason,
        (scopes, description): (ScopeSet, Description),
        supersedes: Option<RequestId>,
        address: Address,
    ) -> PairingRequested {
        let described = Described { like: None, here: Some(Box::new(description)) };
        PairingRequested {
            request: RequestId(self.context.ids[0]),
            reason,
            device: self.proof.device,
            key: self.key,
            ask: Ask { role: self.ask.role, scopes, described },
            client: self.client,
            form: self.proof.form,
            address,
            supersedes,
        }
    }

    /// The platform and the family it claims.
    pub(super) fn claims(&self) -> (Option<&str>, Option<&str>) {
        vouched(self.proof.form, &self.description)
    }

    /// Whether `request` already shows all that is wanted.
    fn is_shown_by(&self, request: &Request) -> bool {
        let (shown, said) = (&request.description, &self.description);
        let (platform, family) = vouched(request.form, shown);
        request.scopes.covers(self.ask.role, &self.ask.scopes)
            && is_shown(platform, self.claims().0)
            && is_shown(family, self.claims().1)
            && said.caps.iter().all(|cap| shown.caps.contains(cap))
            && said.commands.iter().all(|command| shown.commands.contains(command))
    }

    /// A device ever paired always has its place; all others share those of their address, and those of all.
    fn table_is_full(&self, address: Address) -> bool {
        let was_paired = |device: &DeviceId| self.registry.device(device).is_some() || self.registry.is_barred(device);
        if was_paired(&self.proof.device) {
            return false;
        }
        let strangers = self.registry.requests().filter(|request| !was_paired(&request.device));
        let (mut total, mut beside) = (0_u32, 0_u32);
        for request in strangers {
            total = total.saturating_add(1);
            beside = beside.saturating_add(u32::from(request.address.network() == address.network()));
        }
        let budget = self.policy.budgets().pending;
        total >= budget.total || beside >= budget.per_address
    }

    /// This ask and what `request` shows, so that two asks in turn settle on one request. Where both are more than one ask
    /// may be, only this one: a stranger cannot make a request grow without end.
    fn together_with(&self, request: Option<&Request>) -> (ScopeSet, Description) {
        let (mut scopes, mut description) = (self.ask.scopes.clone(), self.description.clone());
        if let Some(request) = request {
            scopes = Some(request.scopes.union(&scopes)).filter(|all| all.len() <= limits::SCOPES).unwrap_or(scopes);
            description.caps = together(&request.description.caps, description.caps);
            description.commands = together(&request.description.commands, description.commands);
        }
        (scopes, description)
    }
}

/// What a device lacks of what it asks, and the request that would give it.
pub(super) fn need(
    device: Option<&Device>,
    request: RequestId,
    reason: Reason,
    role: Role,
    asked: &ScopeSet,
    attempts: u32,
) -> PairingNeed {
    let held = device.map(|device| device.held(role)).unwrap_or_default();
    let grant = device.and_then(|device| device.grants.get(&role));
    let is_narrow = |grant: &Grant| reason == Reason::ScopeUpgrade && grant.approved.covers(role, asked);
    PairingNeed {
        reason,
        request,
        missing: asked.missing_from(role, &held),
        held,
        token_is_narrow: grant.is_some_and(is_narrow),
        revoked: grant.and_then(|grant| grant.revoked.clone()),
        retry_after_ms: retry_after(attempts),
        rests: None,
    }
}

/// What a waiting request would give to its device: what the device itself is told, if it asks for all of it again.
#[must_use]
pub fn what_is_needed(registry: &Registry, request: &Request) -> PairingNeed {
    let device = registry.device(&request.device).map(AsRef::as_ref);
    // What it lacked when it asked may have become the whole role since.
    let reason = match request.reason {
        Reason::ScopeUpgrade if device.is_some_and(|device| !device.has(request.role)) => Reason::RoleUpgrade,
        reason => reason,
    };
    need(device, request.id, reason, request.role, &request.scopes, request.attempts)
}

/// The platform and the family that a signature vouches for: the v2 form covers neither.
pub(super) fn vouched(form: SignatureForm, description: &Description) -> (Option<&str>, Option<&str>) {
    match form {
        SignatureForm::V3 => (description.platform.as_deref(), description.family.as_deref()),
        SignatureForm::V2 => (None, None),
    }
}

/// Whether a request that shows `shown` shows this claim. An absent claim is none.
fn is_shown(shown: Option<&str>, claimed: Option<&str>) -> bool {
    claimed.is_none() || (shown.is_some() && !differs(shown, claimed))
}

/// What is shown and what is said besides, or only what is said where both are too many.
fn together(shown: &[String], said: Vec<String>) -> Vec<String> {
    let more = said.iter().filter(|name| !shown.contains(name));
    let all: Vec<_> = shown.iter().chain(more).cloned().collect();
    if all.len() <= limits::CAPABILITIES { all } else { said }
}

/// The hint grows with each attempt of the same request.
fn retry_after(attempts: u32) -> u64 {
    let (first, most) = limits::RETRY_AFTER_MS;
    first.saturating_mul(1_u64.checked_shl(attempts).unwrap_or(u64::MAX)).min(most)
}
