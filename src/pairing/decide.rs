//! What a command leads to: one line per command, the shared checks below. Total: every command on every registry has an
//! answer, and a refusal leaves the state as it was.

mod admission;
mod approval;
mod asking;
mod codes;
mod conditions;
mod import;
mod recovery;
mod rules;
mod sight;
mod surface;
mod tokens;
mod undo;

use std::collections::{BTreeMap, BTreeSet};

pub use sight::{may_hear_of, may_read, may_read_all, may_read_of};

pub use asking::what_is_needed;
pub use import::left_alone;
pub use rules::resting_rules;
pub use surface::{kept_back, may_offer, role_of};

use super::command::{Command, Context, Decision, Outcome, Refusal, Resolution};
use super::event::{Actor, Client, CommandName, CommandRefused, ConnectionClosed, Event, Issue, TokenVerdict};
use super::ids::{DeviceId, RequestId};
use super::policy::Policy;
use super::registry::{Registry, Request};
use super::scopes::{KnownScope, Role, ScopeSet};
use crate::limits;

/// Decides `command` on `registry` under `policy`.
#[must_use]
pub fn decide(registry: &Registry, policy: &Policy, command: Command, context: &Context<'_>) -> Decision {
    match command {
        Command::Connect { attempt, key, code } => admission::connect(registry, policy, *attempt, (key, code), context),
        Command::Close { admission, code } => Decision::noted(context, ConnectionClosed { admission, code }),
        Command::Approve { request } => approval::approve(registry, policy, request, context),
        Command::Reject { request } => approval::reject(registry, policy, request, context),
        Command::RejectFrom { address } => approval::reject_from(registry, policy, address, context),
        Command::Remove { device, with_approved } => approval::remove(registry, policy, device, with_approved, context),
        Command::Rotate { device, role, scopes } => tokens::rotate(registry, policy, device, role, scopes, context),
        Command::Revoke { device, role, with_approved } => tokens::revoke(registry, policy, device, role, with_approved, context),
        Command::Rename { device, label } => approval::rename(registry, policy, device, label, context),
        Command::Ask { scopes, address } => asking::ask(registry, policy, scopes, address, context),
        Command::ApplyPolicy { text } => rules::apply(registry, policy, text, context),
        Command::ArmRule { rule } => rules::arm(registry, policy, rule, context),
        Command::MarkSeen { through } => rules::seen(registry, policy, through, context),
        Command::CreateSetupCode { grants, digest, lives_ms, label } => {
            codes::create(registry, policy, (grants, digest), lives_ms, label, context)
        }
        Command::RevokeSetupCode { code } => codes::revoke(registry, policy, code, context),
        Command::Import { devices } => import::import(registry, policy, devices, context),
        Command::Succeed { old, request } => recovery::succeed(registry, policy, old, request, context),
        Command::AcceptRollback { witnessed, hash, keeps } => {
            recovery::accept_rollback(registry, policy, (witnessed, hash), keeps, context)
        }
        Command::ReplaceKey { key } => recovery::replace_key(registry, key, context),
        Command::Settle { condition } => recovery::settle(registry, policy, condition, context),
        Command::Undo { done } => undo::undo(registry, policy, done.as_deref(), context),
        Command::Expire => approval::expire(registry, policy, context),
        Command::Start(event) => conditions::start(registry, event, context),
        Command::Stop(event) => conditions::stop(registry, event, context),
        Command::Repair(event) => Decision::noted(context, event),
        Command::Observe { condition, found } => conditions::observe(registry, condition, found, context),
    }
}

/// Whether not even a full disk may prevent this: it only takes power away, and whoever asks may do everything.
#[must_use]
pub fn takes_away(registry: &Registry, actor: &Actor, command: &Command) -> bool {
    let narrows = match command {
        Command::Reject { .. }
        | Command::RejectFrom { .. }
        | Command::Remove { .. }
        | Command::Revoke { .. }
        | Command::RevokeSetupCode { .. } => true,
        Command::ApplyPolicy { text } if text.len() <= limits::RESERVE_POLICY_BYTES => {
            Policy::parse(text).is_ok_and(|wanted| registry.policy().loosened_by(&wanted).is_empty())
        }
        Command::Rotate { device, role, scopes: Some(scopes) } => {
            registry.device(device).is_some_and(|device| device.held(*role).covers(*role, scopes))
        }
        Command::Undo { done: Some(done) } => undo::takes_away(&done.record.event),
        _ => false,
    };
    narrows && Powers::of(registry, registry.policy(), actor).is_all()
}

impl Decision {
    fn noted(context: &Context<'_>, event: impl Into<Event>) -> Self {
        Self::all_noted(context, [event.into()])
    }

    fn all_noted(context: &Context<'_>, events: impl IntoIterator<Item = Event>) -> Self {
        let events = events.into_iter().map(|event| (context.actor.clone(), event)).collect();
        Self { events, outcome: Outcome::Noted }
    }
}

/// What a refused command named, so that the refusal can be recorded.
struct Subject {
    command: CommandName,
    request: Option<RequestId>,
    device: Option<DeviceId>,
    role: Option<Role>,
    scopes: Option<ScopeSet>,
}

impl Subject {
    fn request(command: CommandName, request: RequestId) -> Self {
        Self { command, request: Some(request), device: None, role: None, scopes: None }
    }

    fn of(command: CommandName) -> Self {
        Self { command, request: None, device: None, role: None, scopes: None }
    }

    fn device(command: CommandName, device: DeviceId) -> Self {
        Self { command, request: None, device: Some(device), role: None, scopes: None }
    }

    fn refuse(self, context: &Context<'_>, refusal: Refusal) -> Decision {
        let Self { command, request, device, role, scopes } = self;
        let event = CommandRefused { command, request, device, role, scopes, refusal: refusal.clone() };
        Decision { events: vec![(context.actor.clone(), event.into())], outcome: Outcome::Refused(Box::new(refusal)) }
    }
}

/// What an actor may do to others.
enum Powers {
    /// Everything: the owner, and whoever holds `operator.admin`.
    All,
    /// Grant what these scopes reach, to whom its reach says.
    Within(ScopeSet, Reach),
}

/// To whom.
enum Reach {
    /// To this device alone, beyond answering requests.
    Own(DeviceId),
    /// To everybody: a local rule that would give `operator.admin` to whoever asks for it lets in the person at this host. That
    /// its client asked for less bounds what it grants and not whom it sees (the OpenClaw 2026.9.6 CLI asks for what a command
    /// grants).
    Everybody,
    /// To nobody.
    Nobody,
}

impl Powers {
    /// What `actor` may do now: what its connection was given, as far as it is still held.
    fn of(registry: &Registry, policy: &Policy, actor: &Actor) -> Self {
        let (scopes, reach) = match actor {
            Actor::Owner(_) => return Self::All,
            Actor::Device { device, scopes } => {
                let held = registry.device(device).map(|device| device.held(Role::Operator)).unwrap_or_default();
                (scopes.within(Role::Operator, &held), Reach::Own(*device))
            }
            Actor::SharedSecret { rule, scopes } if policy.lets_in_the_host(*rule) => (scopes.clone(), Reach::Everybody),
            Actor::SharedSecret { scopes, .. } => (scopes.clone(), Reach::Nobody),
            Actor::Peer | Actor::Rule(_) | Actor::System => (ScopeSet::EMPTY, Reach::Nobody),
        };
        if scopes.contains(KnownScope::Admin) { Self::All } else { Self::Within(scopes, reach) }
    }

    fn is_all(&self) -> bool {
        matches!(self, Self::All)
    }

    /// Whether it may know of everybody.
    fn sees_all(&self) -> bool {
        matches!(self, Self::All | Self::Within(_, Reach::Everybody))
    }

    /// What a device approved, at any depth; nothing to whoever may not know of everybody.
    fn approved_by(&self, registry: &Registry, id: &DeviceId) -> BTreeMap<DeviceId, BTreeSet<Role>> {
        if self.sees_all() { registry.approved_by(id) } else { BTreeMap::new() }
    }

    fn owns(&self, id: &DeviceId) -> bool {
        matches!(self, Self::Within(_, Reach::Own(own)) if own == id)
    }

    /// Whether it may answer requests at all, and if so whether `scopes` of `role` are within its own.
    fn check(&self, role: Role, scopes: &ScopeSet) -> Result<(), Refusal> {
        let Self::Within(own, _) = self else { return Ok(()) };
        self.check_pairing()?;
        if role != Role::Operator {
            return Err(Refusal::NeedsAdmin);
        }
        let missing = scopes.missing_from(role, own);
        if missing.is_empty() { Ok(()) } else { Err(Refusal::MissingScope(missing)) }
    }

    /// Whether it may turn down a request for these scopes: that grants nothing, so whoever acts for everybody may.
    fn check_reject(&self, role: Role, scopes: &ScopeSet) -> Result<(), Refusal> {
        if self.sees_all() { self.check_pairing() } else { self.check(role, scopes) }
    }

    /// Whether it may act on `device` beyond answering requests.
    fn check_device(&self, device: &DeviceId) -> Result<(), Refusal> {
        self.check_pairing()?;
        if self.sees_all() || self.owns(device) { Ok(()) } else { Err(Refusal::NeedsAdmin) }
    }

    /// Whether it may do everything.
    fn check_all(&self) -> Result<(), Refusal> {
        if self.is_all() { Ok(()) } else { Err(Refusal::MissingScope([KnownScope::Admin].into_iter().collect())) }
    }

    fn check_pairing(&self) -> Result<(), Refusal> {
        match self {
            Self::Within(own, _) if !own.allows(KnownScope::Pairing) => {
                Err(Refusal::MissingScope([KnownScope::Pairing].into_iter().collect()))
            }
            _ => Ok(()),
        }
    }

    /// Whether it is this device, and what its connection was given covers `scopes`: another token for them gives it nothing.
    fn replaces_its_own(&self, id: &DeviceId, role: Role, scopes: &ScopeSet) -> bool {
        let Self::Within(own, _) = self else { return false };
        role == Role::Operator && self.owns(id) && own.covers(role, scopes)
    }

    /// Whether it may know of a request for these scopes of this device.
    fn may_see(&self, device: &DeviceId, role: Role, scopes: &ScopeSet) -> bool {
        self.sees_all() || self.owns(device) || self.check(role, scopes).is_ok()
    }
}

/// Whether `actor` may see what concerns a request, by the same rule that `decide` answers by.
#[must_use]
pub fn may_see_request(registry: &Registry, actor: &Actor, request: &Request) -> bool {
    Powers::of(registry, registry.policy(), actor).may_see(&request.device, request.role, &request.scopes)
}

/// Whether `actor` may see a paired device.
#[must_use]
pub fn may_see_device(registry: &Registry, actor: &Actor, device: &DeviceId) -> bool {
    Powers::of(registry, registry.policy(), actor).check_device(device).is_ok()
}

/// Whether it may do what is never done over the network.
fn is_owner(policy: &Policy, context: &Context<'_>) -> Result<(), Refusal> {
    match context.actor {
        Actor::Owner(_) => seat_belt(policy, context),
        _ => Err(Refusal::OwnerOnly),
    }
}

/// Whether an act that widens may be taken from where it is asked: a seat belt against an agent that is talked into it, no wall.
fn seat_belt(policy: &Policy, context: &Context<'_>) -> Result<(), Refusal> {
    match &context.actor {
        Actor::Owner(person) if person.from_exec && !policy.takes_acts_from_exec() => Err(Refusal::FromExecShell),
        _ => Ok(()),
    }
}

/// What the policy forbids of `scopes`, whoever approves it.
fn within_ceilings(policy: &Policy, client: Client, role: Role, scopes: &ScopeSet) -> Result<(), Refusal> {
    match policy.denies(client, role, scopes) {
        Some((rule, beyond)) => Err(Refusal::PolicyDenied { rule, beyond }),
        None => Ok(()),
    }
}

/// A fresh issue for a role; none while the token key cannot be used, or where chance repeats itself: what is retired must not
/// live again.
fn fresh(registry: &Registry, context: &Context<'_>, device: &DeviceId, role: Role) -> Option<Issue> {
    context.mint.mint(device, role).filter(|issue| registry.judge(device, role, &issue.digest) == TokenVerdict::Wrong)
}

/// The true answer about a request that was settled, or the one for all that the actor may not know of.
fn settled(registry: &Registry, powers: &Powers, request: RequestId) -> Result<Resolution, Refusal> {
    let settled = registry.settled(&request).filter(|settled| powers.may_see(&settled.device, settled.role, &settled.scopes));
    let mut resolution = settled.ok_or(Refusal::UnknownRequest)?.resolution.clone();
    // Of requests that replaced one another, the last is the one to answer.
    for _ in 0..limits::RESOLVED_OTHERS {
        let Some((next, beyond)) = &resolution.successor else { break };
        let Some((last, more)) = registry.settled(next).and_then(|next| next.resolution.successor.as_ref()) else { break };
        resolution.successor = Some((*last, beyond.union(more)));
    }
    Ok(resolution)
}
