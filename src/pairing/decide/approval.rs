//! Requests answered: approve, reject, expire; and devices removed. What the operator saw is what is granted.

use super::super::command::{Context, Decision, Ending, Outcome, Refusal, Resolution};
use super::super::event::{
    Act, Actor, Address, CommandName, DeviceRemoved, DeviceRenamed, Event, PairingApproved, PairingExpired, PairingRejected,
    Reason, TokenIssued,
};
use super::super::ids::{DeviceId, RequestId};
use super::super::policy::Policy;
use super::super::registry::{Device, Registry, Request};
use super::super::scopes::{Role, ScopeSet};
use super::{Powers, Subject, fresh, seat_belt, settled, within_ceilings};
use crate::limits;

/// Grants what the request shows. Approving again what is approved changes nothing and says who did it.
pub(super) fn approve(registry: &Registry, policy: &Policy, id: RequestId, context: &Context<'_>) -> Decision {
    let powers = Powers::of(registry, policy, &context.actor);
    let subject = Subject::request(CommandName::Approve, id);
    let request = match open_request(registry, policy, &powers, id, context) {
        Ok(request) => request,
        Err(Closed::Settled(resolution, device)) if resolution.ending == Ending::Approved => {
            let before = Some((resolution.by, resolution.at));
            return Decision { events: vec![], outcome: Outcome::Approved { device, request: id, before } };
        }
        Err(closed) => return closed.refuse(subject, context),
    };
    // All that it shows, not only what it adds: a platform or a command may be what is granted.
    let may = powers
        .check(request.role, &request.scopes)
        .and_then(|()| seat_belt(policy, context))
        .and_then(|()| within_ceilings(policy, request.client, request.role, &request.scopes));
    if let Err(refusal) = may {
        return subject.refuse(context, refusal);
    }
    let events = grant(registry, request, Act::Approval, context);
    Decision { events, outcome: Outcome::Approved { device: request.device, request: id, before: None } }
}

/// The scopes that approving `request` adds to what the device holds.
pub(super) fn gained(registry: &Registry, request: &Request) -> ScopeSet {
    let held = registry.device(&request.device).map(|device| device.held(request.role)).unwrap_or_default();
    request.scopes.missing_from(request.role, &held)
}

/// The events that grant `request`: a live token is widened in place by the fold, a role without one gets its first.
pub(super) fn grant(registry: &Registry, request: &Request, act: Act, context: &Context<'_>) -> Vec<(Actor, Event)> {
    let (device, role) = (request.device, request.role);
    let scopes = gained(registry, request);
    let held = registry.device(&device).map(|device| device.held(role)).unwrap_or_default();
    let has_token = registry.device(&device).is_some_and(|device| device.token(role).is_some());
    let carries = held.union(&scopes);
    let approved = PairingApproved { device, role, scopes, act, request: Some(request.id) };
    let mut events = vec![(context.actor.clone(), approved.into())];
    if !has_token && let Some(issue) = fresh(registry, context, &device, role) {
        events.push((context.actor.clone(), TokenIssued { device, role, scopes: carries, issue }.into()));
    }
    events
}

/// The request that only lacked what the device holds as `role` from now on, with `holds`: whatever gave that settles it. What it
/// offers, only a person approves.
pub(super) fn settled_by(
    registry: &Registry,
    policy: &Policy,
    device: &Device,
    role: Role,
    holds: &ScopeSet,
    context: &Context<'_>,
) -> Option<RequestId> {
    let waiting = registry.waiting(&device.id, role).filter(|request| {
        matches!(request.reason, Reason::ScopeUpgrade | Reason::RoleUpgrade)
            && !is_due(policy, request, context)
            && holds.covers(role, &request.scopes)
            && device.offers(&request.description)
    });
    waiting.map(|request| request.id)
}

/// Turns a request down.
pub(super) fn reject(registry: &Registry, policy: &Policy, id: RequestId, context: &Context<'_>) -> Decision {
    let powers = Powers::of(registry, policy, &context.actor);
    let subject = Subject::request(CommandName::Reject, id);
    let request = match open_request(registry, policy, &powers, id, context) {
        Ok(request) => request,
        Err(closed) => return closed.refuse(subject, context),
    };
    if let Err(refusal) = powers.check_reject(request.role, &request.scopes) {
        return subject.refuse(context, refusal);
    }
    let event = PairingRejected { request: id, device: request.device };
    let outcome = Outcome::Rejected { device: request.device, request: id };
    Decision { events: vec![(context.actor.clone(), event.into())], outcome }
}

/// Turns down all requests of an address, at most so many at once: all that wait could be more than one batch holds.
pub(super) fn reject_from(registry: &Registry, policy: &Policy, address: Address, context: &Context<'_>) -> Decision {
    let powers = Powers::of(registry, policy, &context.actor);
    let may = powers.check_pairing().and_then(|()| if powers.sees_all() { Ok(()) } else { Err(Refusal::NeedsAdmin) });
    if let Err(refusal) = may {
        return Subject::of(CommandName::RejectFrom).refuse(context, refusal);
    }
    let theirs = registry.requests().filter(|request| request.address.network() == address.network());
    let (mut events, mut rejected) = (vec![], vec![]);
    for request in theirs.take(limits::EXPIRED_AT_ONCE) {
        if is_due(policy, request, context) {
            events.push((Actor::System, expired(policy, request).into()));
        } else {
            events.push((context.actor.clone(), PairingRejected { request: request.id, device: request.device }.into()));
            rejected.push(request.id);
        }
    }
    Decision { events, outcome: Outcome::RejectedAll(rejected) }
}

/// Takes away a device and all that it holds, and with it those that it approved, where that is wanted.
pub(super) fn remove(
    registry: &Registry,
    policy: &Policy,
    device: DeviceId,
    with_approved: bool,
    context: &Context<'_>,
) -> Decision {
    let subject = Subject::device(CommandName::Remove, device);
    let powers = Powers::of(registry, policy, &context.actor);
    if let Err(refusal) = powers.check_device(&device) {
        return subject.refuse(context, refusal);
    }
    let approved = powers.approved_by(registry, &device);
    let is_paired = registry.device(&device).is_some();
    if !is_paired && (approved.is_empty() || !with_approved) {
        return subject.refuse(context, Refusal::UnknownDevice);
    }
    let first = is_paired.then_some(device);
    let others = approved.keys().copied().filter(|_| with_approved);
    let gone = first.into_iter().chain(others).take(limits::REMOVED_AT_ONCE);
    let events = gone.map(|device| (context.actor.clone(), DeviceRemoved { device }.into())).collect();
    Decision { events, outcome: Outcome::Removed { device, approved: approved.into_keys().collect() } }
}

/// Gives a device a name. Giving it the one that it has changes nothing.
pub(super) fn rename(registry: &Registry, policy: &Policy, id: DeviceId, label: String, context: &Context<'_>) -> Decision {
    let subject = Subject::device(CommandName::Rename, id);
    if let Err(refusal) = Powers::of(registry, policy, &context.actor).check_device(&id) {
        return subject.refuse(context, refusal);
    }
    let Some(device) = registry.device(&id) else { return subject.refuse(context, Refusal::UnknownDevice) };
    let label_before = device.label.clone();
    let is_new = label_before.as_ref() != Some(&label);
    let event = is_new.then(|| DeviceRenamed { device: id, label: label.clone(), label_before });
    let events = event.into_iter().map(|event| (context.actor.clone(), event.into())).collect();
    Decision { events, outcome: Outcome::Renamed { device: id, label } }
}

/// Ends the requests whose time is over, at most so many at once: all that wait could be more than one batch holds.
pub(super) fn expire(registry: &Registry, policy: &Policy, context: &Context<'_>) -> Decision {
    let due = registry.requests().filter(|request| is_due(policy, request, context));
    let events = due.take(limits::EXPIRED_AT_ONCE).map(|request| (Actor::System, expired(policy, request).into())).collect();
    Decision { events, outcome: Outcome::Noted }
}

/// Whether the request's time is over, recorded or not.
pub(super) fn is_due(policy: &Policy, request: &Request, context: &Context<'_>) -> bool {
    policy.due(request.last_at) <= context.now
}

/// The fact that it is.
pub(super) fn expired(policy: &Policy, request: &Request) -> PairingExpired {
    PairingExpired { request: request.id, device: request.device, due: policy.due(request.last_at) }
}

/// Why a request cannot be answered any more.
pub(super) enum Closed {
    Settled(Resolution, DeviceId),
    Due { expired: PairingExpired, is_seen: bool },
    Unknown,
}

/// The request, where it waits.
pub(super) fn open_request<'a>(
    registry: &'a Registry,
    policy: &Policy,
    powers: &Powers,
    id: RequestId,
    context: &Context<'_>,
) -> Result<&'a Request, Closed> {
    let Some(request) = registry.request(&id) else {
        return Err(match (settled(registry, powers, id), registry.settled(&id)) {
            (Ok(resolution), Some(settled)) => Closed::Settled(resolution, settled.device),
            _ => Closed::Unknown,
        });
    };
    if is_due(policy, request, context) {
        let is_seen = powers.may_see(&request.device, request.role, &request.scopes);
        return Err(Closed::Due { expired: expired(policy, request), is_seen });
    }
    Ok(request)
}

impl Closed {
    pub(super) fn refuse(self, subject: Subject, context: &Context<'_>) -> Decision {
        match self {
            Self::Unknown => subject.refuse(context, Refusal::UnknownRequest),
            Self::Settled(resolution, _) => subject.refuse(context, Refusal::Resolved(resolution)),
            Self::Due { expired, is_seen } => {
                let resolution = Resolution { ending: Ending::Expired, at: expired.due, by: Actor::System, successor: None };
                let refusal = if is_seen { Refusal::Resolved(resolution) } else { Refusal::UnknownRequest };
                let mut decision = subject.refuse(context, refusal);
                decision.events.insert(0, (Actor::System, expired.into()));
                decision
            }
        }
    }
}
