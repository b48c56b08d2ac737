//! A connection attempt: let in, asked to pair, or refused. The order of checks is OpenClaw's (2026.3.13 and 2026.9.6):
//! faults of form and proof, missing device, credentials, pairing. One request shows all that is missing.

use super::super::command::{Admission, AuthReason, Context, Decision, Granted, Outcome, PairingNeed, Refusal};
use super::super::event::{
    Act, Actor, Ask, Attempt, AuthMode, Client, ClientId, ClientMode, ConnectionAdmitted, ConnectionRefused, Credential,
    Described, Description, DeviceMetadataChanged, Event, Fault, Issue, PairingApproved, PairingRequested, Proof, Reason, Rule,
    SharedVerdict, TokenIssued, TokenVerdict,
};
use super::super::identity::SignatureForm;
use super::super::ids::{DeviceId, Millis, PublicKey, RequestId, Seq};
use super::super::policy::{Policy, differs};
use super::super::registry::{Device, Grant, Registry, Request};
use super::super::scopes::{Role, ScopeSet};
use super::approval;
use crate::limits;

/// Decides an attempt. `key` is the proved key; it has to be there where there is a proof.
pub(super) fn connect(
    registry: &Registry,
    policy: &Policy,
    mut attempt: Attempt,
    key: Option<PublicKey>,
    context: &Context<'_>,
) -> Decision {
    let fault = attempt.fault;
    let (None, Some(client), Some(ask), Some(credential)) = (fault, attempt.client, &mut attempt.ask, attempt.credential) else {
        return refuse(vec![], attempt, context, Refusal::Fault(fault.unwrap_or(Fault::InvalidFrame)));
    };
    let Some(proof) = attempt.proof else {
        return without_device(policy, attempt, client, credential, context);
    };
    let description = ask.described.here.take().map(|here| *here).unwrap_or_default();
    // What the device said before is not written again.
    ask.described = match registry.said(&proof.device, &description) {
        Some(seq) => Described { like: Some(seq), here: None },
        None => Described { like: None, here: Some(Box::new(description.clone())) },
    };
    let ask = ask.clone();
    let Some(key) = registry.device(&proof.device).map(|device| device.key).or(key) else {
        return refuse(vec![], attempt, context, Refusal::Fault(Fault::SignatureInvalid));
    };
    Try { registry, policy, context, client, ask, credential, proof, key, description }.decide(attempt)
}

/// No device: only the right shared secret comes in, and what scopes it has a rule must give.
fn without_device(policy: &Policy, attempt: Attempt, client: Client, credential: Credential, context: &Context<'_>) -> Decision {
    let (role, asked) = attempt.ask.as_ref().map_or((Role::Operator, ScopeSet::EMPTY), |ask| (ask.role, ask.scopes.clone()));
    if client.id == ClientId::ControlUi {
        return refuse(vec![], attempt, context, Refusal::ControlUiNeedsDevice);
    }
    let secret_is_right = credential.mode != AuthMode::None && credential.shared == SharedVerdict::Right;
    if role == Role::Operator && secret_is_right {
        let is_local = policy.local(&attempt.source).is_ok();
        let given = if client.mode == ClientMode::Probe {
            (Rule::Probe, ScopeSet::EMPTY)
        } else if let (true, Some(scopes)) = (is_local, policy.gives_cli(client, &asked)) {
            (Rule::LocalCli, scopes)
        } else if let (true, Some(scopes)) = (is_local, policy.gives_backend(client, &asked)) {
            (Rule::LocalBackend, scopes)
        } else {
            (Rule::SharedSecret, ScopeSet::EMPTY)
        };
        return admit(vec![], attempt, context, Admission { rule: given.0, role, scopes: given.1, device: None, token: None });
    }
    let presented_wrong = credential.shared == SharedVerdict::Wrong || credential.token != TokenVerdict::Missing;
    let refusal =
        if role == Role::Operator && presented_wrong { unauthorized(&credential, false, None) } else { Refusal::DeviceRequired };
    refuse(vec![], attempt, context, refusal)
}

/// One attempt of a device that proved its key.
struct Try<'a> {
    registry: &'a Registry,
    policy: &'a Policy,
    context: &'a Context<'a>,
    client: Client,
    ask: Ask,
    credential: Credential,
    proof: Proof,
    key: PublicKey,
    description: Description,
}

impl Try<'_> {
    fn decide(&self, attempt: Attempt) -> Decision {
        if !self.policy.accepts(self.proof.form) {
            return refuse(vec![], attempt, self.context, Refusal::Fault(Fault::SignatureInvalid));
        }
        let trusted = self.policy.trusts(&self.credential);
        let device = self.registry.device(&self.proof.device);
        let revoked = device.and_then(|device| device.grants.get(&self.ask.role)).is_some_and(|grant| grant.revoked.is_some());
        // A retired token proves who asks: of a revoked role it makes a request, but it never admits. A probe asks nothing.
        let asks_again = revoked && self.credential.token == TokenVerdict::Retired && !self.is_probe();
        if !trusted && self.credential.token != TokenVerdict::Live && !asks_again {
            return refuse(vec![], attempt, self.context, self.unauthorized(device.map(AsRef::as_ref)));
        }
        match device {
            Some(device) => self.paired(attempt, device),
            None => self.unpaired(attempt),
        }
    }

    fn unauthorized(&self, device: Option<&Device>) -> Refusal {
        let token = device.and_then(|device| device.grants.get(&self.ask.role)).and_then(|grant| grant.token.as_ref());
        let rotated_at = token.and_then(|token| token.rotated_at).filter(|_| self.credential.token == TokenVerdict::Retired);
        unauthorized(&self.credential, true, rotated_at)
    }

    fn unpaired(&self, attempt: Attempt) -> Decision {
        let (role, asked) = (self.ask.role, &self.ask.scopes);
        let device = self.proof.device;
        if self.is_probe() {
            return self.admit_probe(attempt);
        }
        let first = self.policy.local(&attempt.source).is_ok() && !self.registry.is_barred(&device);
        if first
            && role == Role::Operator
            && let Some(scopes) = self.policy.gives_backend(self.client, asked)
        {
            let admission = Admission { rule: Rule::LocalBackend, role, scopes, device: None, token: None };
            return admit(vec![], attempt, self.context, admission);
        }
        if first && self.policy.pairs_first(self.client, role, asked) {
            return self.pair_first(attempt);
        }
        self.need(attempt, Reason::NotPaired, None)
    }

    fn paired(&self, attempt: Attempt, device: &Device) -> Decision {
        let (role, asked) = (self.ask.role, &self.ask.scopes);
        let held = device.held(role);
        let moved = self.metadata_moved(device);
        let reason = if moved == Moved::Beyond {
            Some(Reason::MetadataUpgrade)
        } else if !device.has(role) {
            Some(Reason::RoleUpgrade)
        } else if !held.covers(role, asked) {
            Some(Reason::ScopeUpgrade)
        } else {
            None
        };
        if let Some(reason) = reason {
            if self.is_probe() {
                return self.admit_probe(attempt);
            }
            return self.need(attempt, reason, Some(device));
        }
        let mut events = vec![];
        if moved == Moved::Within && !self.is_probe() {
            let platform = self.description.platform.clone();
            let platform_before = device.description.platform.clone();
            let event = DeviceMetadataChanged { device: device.id, platform, platform_before };
            events.push((Actor::Rule(Rule::Metadata), event.into()));
        }
        let mut token = device.token(role);
        if token.is_none()
            && !self.is_probe()
            && let Some(issue) = self.context.mint.mint(&device.id, role)
        {
            let event = TokenIssued { device: device.id, role, scopes: held.clone(), issue };
            events.push((Actor::Rule(Rule::Paired), event.into()));
            token = Some(granted(device.id, role, held, issue, self.context.now));
        }
        let admission = Admission { rule: Rule::Paired, role, scopes: asked.clone(), device: Some(device.id), token };
        admit(events, attempt, self.context, admission)
    }

    /// Whether it only looks: it changes nothing.
    fn is_probe(&self) -> bool {
        self.client.mode == ClientMode::Probe
    }

    /// A look at the gateway pairs nothing, asks nothing and gets no scopes.
    fn admit_probe(&self, attempt: Attempt) -> Decision {
        let admission = Admission { rule: Rule::Probe, role: self.ask.role, scopes: ScopeSet::EMPTY, device: None, token: None };
        admit(vec![], attempt, self.context, admission)
    }

    /// The platform and the family it claims.
    fn claims(&self) -> (Option<&str>, Option<&str>) {
        vouched(self.proof.form, &self.description)
    }

    fn metadata_moved(&self, device: &Device) -> Moved {
        let (pinned, (platform, family)) = (&device.description, self.claims());
        if differs(pinned.family.as_deref(), family) {
            return Moved::Beyond;
        }
        match (pinned.platform.as_deref(), platform) {
            (was, is) if !differs(was, is) => Moved::Not,
            (Some(was), Some(is)) if self.policy.lets_platform_change(was, is) => Moved::Within,
            _ => Moved::Beyond,
        }
    }

    /// Pairs by rule; a request of its own that waits does not stand in the way.
    fn pair_first(&self, attempt: Attempt) -> Decision {
        let (mut events, waiting) = self.waiting();
        let whole = (self.ask.scopes.clone(), self.description.clone());
        let requested = self.request(&attempt, Reason::NotPaired, whole, waiting.map(|request| request.id));
        let attempt = self.pointing(attempt, events.len());
        let (device, role, scopes) = (self.proof.device, self.ask.role, self.ask.scopes.clone());
        let rule = Actor::Rule(Rule::LocalFirstPairing);
        let (act, request) = (Act::FirstPairing, Some(requested.request));
        let approved = PairingApproved { device, role, scopes: scopes.clone(), act, request };
        events.extend([(Actor::Peer, requested.into()), (rule.clone(), approved.into())]);
        let mut token = None;
        if let Some(issue) = self.context.mint.mint(&device, role) {
            events.push((rule, TokenIssued { device, role, scopes: scopes.clone(), issue }.into()));
            token = Some(granted(device, role, scopes.clone(), issue, self.context.now));
        }
        let admission = Admission { rule: Rule::LocalFirstPairing, role, scopes, device: Some(device), token };
        admit(events, attempt, self.context, admission)
    }

    /// Refuses and names the request that would help: the one that waits, if it shows all of this ask, or a new one.
    fn need(&self, attempt: Attempt, reason: Reason, device: Option<&Device>) -> Decision {
        let role = self.ask.role;
        let (mut events, waiting) = self.waiting();
        let (request, attempts, attempt) = match waiting {
            Some(request) if self.is_shown_by(request) => (request.id, request.attempts, attempt),
            None if self.table_is_full(device) => {
                return refuse(events, attempt, self.context, Refusal::PendingTableFull);
            }
            _ => {
                let whole = self.together_with(waiting);
                let requested = self.request(&attempt, reason, whole, waiting.map(|request| request.id));
                let attempt = self.pointing(attempt, events.len());
                events.push((Actor::Peer, requested.into()));
                (self.context.request, 0, attempt)
            }
        };
        let need = need(device, request, reason, role, &self.ask.scopes, attempts);
        refuse(events, attempt, self.context, Refusal::PairingRequired(need))
    }

    /// The request of this device and role that waits; where its time is over, that instead.
    fn waiting(&self) -> (Vec<(Actor, Event)>, Option<&Request>) {
        match self.registry.waiting(&self.proof.device, self.ask.role) {
            Some(request) if approval::is_due(self.policy, request, self.context) => {
                (vec![(Actor::System, approval::expired(self.policy, request).into())], None)
            }
            waiting => (vec![], waiting.map(AsRef::as_ref)),
        }
    }

    /// Whether `request` already shows all that this attempt asks for.
    fn is_shown_by(&self, request: &Request) -> bool {
        let (shown, said) = (&request.description, &self.description);
        let (platform, family) = vouched(request.form, shown);
        request.scopes.covers(self.ask.role, &self.ask.scopes)
            && is_shown(platform, self.claims().0)
            && is_shown(family, self.claims().1)
            && said.caps.iter().all(|cap| shown.caps.contains(cap))
            && said.commands.iter().all(|command| shown.commands.contains(command))
    }

    fn table_is_full(&self, device: Option<&Device>) -> bool {
        let ever_paired = device.is_some() || self.registry.is_barred(&self.proof.device);
        !ever_paired && self.registry.request_count() >= limits::PENDING_REQUESTS
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

    /// A new request holds its description itself: what it might point to may be gone with the request it replaces.
    fn request(
        &self,
        attempt: &Attempt,
        reason: Reason,
        (scopes, description): (ScopeSet, Description),
        supersedes: Option<RequestId>,
    ) -> PairingRequested {
        let described = Described { like: None, here: Some(Box::new(description)) };
        PairingRequested {
            request: self.context.request,
            reason,
            device: self.proof.device,
            key: self.key,
            ask: Ask { role: self.ask.role, scopes, described },
            client: self.client,
            form: self.proof.form,
            address: attempt.source.address(),
            supersedes,
        }
    }

    /// The attempt, pointing to the request that is event number `index` of the same decision instead of saying it again.
    fn pointing(&self, mut attempt: Attempt, index: usize) -> Attempt {
        let ahead = u64::try_from(index).unwrap_or(u64::MAX);
        if let Some(ask) = &mut attempt.ask {
            ask.described = Described { like: Some(Seq(self.registry.head().next().0.saturating_add(ahead))), here: None };
        }
        attempt
    }
}

/// What a device lacks of what it asks, and the request that would give it.
fn need(device: Option<&Device>, request: RequestId, reason: Reason, role: Role, asked: &ScopeSet, attempts: u32) -> PairingNeed {
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
    }
}

/// What a waiting request would give to its device: what the device itself is told, if it asks for all of it again.
#[must_use]
pub fn what_is_needed(registry: &Registry, request: &Request) -> PairingNeed {
    let device = registry.device(&request.device).map(AsRef::as_ref);
    need(device, request.id, request.reason, request.role, &request.scopes, request.attempts)
}

/// How far a device's claims of platform and family are from what is pinned.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Moved {
    Not,
    Within,
    Beyond,
}

/// The platform and the family that a signature vouches for: the v2 form covers neither.
fn vouched(form: SignatureForm, description: &Description) -> (Option<&str>, Option<&str>) {
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

fn granted(device: DeviceId, role: Role, scopes: ScopeSet, issue: Issue, at: Millis) -> Granted {
    Granted { device, role, scopes, issue: Some(issue), at }
}

/// Why the credentials do not do: what a device token lacked if one came in a field of its own, else what the secret lacked.
fn unauthorized(credential: &Credential, has_device: bool, rotated_at: Option<Millis>) -> Refusal {
    let token_failed = matches!(credential.token, TokenVerdict::Wrong | TokenVerdict::Retired);
    let reason = if token_failed && (credential.token_is_explicit || rotated_at.is_some()) {
        AuthReason::DeviceTokenMismatch
    } else if credential.bootstrap {
        AuthReason::BootstrapTokenInvalid
    } else {
        AuthReason::of(credential.mode, credential.shared)
    };
    let may_retry = reason == AuthReason::TokenMismatch && has_device && !credential.token_is_explicit;
    Refusal::Unauthorized { reason, may_retry_with_device_token: may_retry, rotated_at }
}

/// The hint grows with each attempt of the same request.
fn retry_after(attempts: u32) -> u64 {
    let (first, most) = limits::RETRY_AFTER_MS;
    first.saturating_mul(1_u64.checked_shl(attempts).unwrap_or(u64::MAX)).min(most)
}

fn admit(mut events: Vec<(Actor, Event)>, attempt: Attempt, context: &Context<'_>, admission: Admission) -> Decision {
    let event = ConnectionAdmitted { attempt, rule: admission.rule, scopes: admission.scopes.clone() };
    events.push((context.actor.clone(), event.into()));
    Decision { events, outcome: Outcome::Admitted(admission) }
}

fn refuse(mut events: Vec<(Actor, Event)>, attempt: Attempt, context: &Context<'_>, refusal: Refusal) -> Decision {
    events.push((context.actor.clone(), ConnectionRefused { attempt, refusal: refusal.clone() }.into()));
    Decision { events, outcome: Outcome::Refused(Box::new(refusal)) }
}
