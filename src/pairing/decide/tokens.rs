//! Tokens replaced and roles taken away. Rotating beyond what was approved is an approval too, and is recorded as one.

use super::super::command::{Context, Decision, Granted, Outcome, Refusal};
use super::super::event::{Act, CommandName, PairingApproved, TokenRevoked, TokenRotated};
use super::super::ids::DeviceId;
use super::super::policy::Policy;
use super::super::registry::Registry;
use super::super::scopes::{Role, ScopeSet};
use super::{Powers, Subject, approval, fresh, seat_belt, within_ceilings};
use crate::limits;

/// Replaces the token of a role that is held. Without `scopes` the new one carries what the old one did.
pub(super) fn rotate(
    registry: &Registry,
    policy: &Policy,
    id: DeviceId,
    role: Role,
    scopes: Option<ScopeSet>,
    context: &Context<'_>,
) -> Decision {
    let powers = Powers::of(registry, policy, &context.actor);
    let subject = Subject { role: Some(role), scopes: scopes.clone(), ..Subject::device(CommandName::Rotate, id) };
    let device = registry.device(&id);
    let before = device.map(|device| device.held(role)).unwrap_or_default();
    let target = scopes.unwrap_or_else(|| before.clone());
    if !powers.replaces_its_own(&id, role, &target)
        && let Err(refusal) = powers.check(role, &target).and_then(|()| powers.check_device(&id))
    {
        return subject.refuse(context, refusal);
    }
    let Some(device) = device else { return subject.refuse(context, Refusal::UnknownDevice) };
    if !device.has(role) {
        return subject.refuse(context, Refusal::RoleNotHeld(role));
    }
    let gained = target.missing_from(role, &before);
    if !gained.is_empty() {
        let may = seat_belt(policy, context).and_then(|()| within_ceilings(policy, device.client, role, &target));
        if let Err(refusal) = may {
            return subject.refuse(context, refusal);
        }
    }
    let approved = device.grants.get(&role).map(|grant| grant.approved.clone()).unwrap_or_default();
    let beyond = target.missing_from(role, &approved);
    let Some(issue) = fresh(registry, context, &id, role) else { return subject.refuse(context, Refusal::TokenKeyUnusable) };

    // A request that only lacked what the new token carries is settled by this act; what it offers, only a person approves.
    let request = approval::settled_by(registry, policy, device, role, &target, context);
    let mut events = vec![];
    if !beyond.is_empty() || request.is_some() {
        let approved = PairingApproved { device: id, role, scopes: gained, act: Act::Rotation, request };
        events.push((context.actor.clone(), approved.into()));
    }
    let rotated = TokenRotated { device: id, role, scopes_before: before, scopes: target.clone(), issue };
    events.push((context.actor.clone(), rotated.into()));
    let token = Granted { device: id, role, scopes: target, issue: Some(issue), at: context.now };
    Decision { events, outcome: Outcome::Rotated { token, own: context.actor.is_device(&id) } }
}

/// Takes a role away, and with it what the device approved for others, where that is wanted. Doing it again changes nothing.
pub(super) fn revoke(
    registry: &Registry,
    policy: &Policy,
    id: DeviceId,
    role: Role,
    with_approved: bool,
    context: &Context<'_>,
) -> Decision {
    let subject = Subject { role: Some(role), ..Subject::device(CommandName::Revoke, id) };
    let powers = Powers::of(registry, policy, &context.actor);
    if let Err(refusal) = powers.check_device(&id) {
        return subject.refuse(context, refusal);
    }
    let approved = powers.approved_by(registry, &id);
    let holds = |device: &DeviceId, role: Role| registry.device(device).is_some_and(|device| device.has(role));
    let others = approved.iter().filter(|_| with_approved).flat_map(|(device, roles)| roles.iter().map(|role| (*device, *role)));
    let others = others.filter(|(device, role)| holds(device, *role)).take(limits::REMOVED_AT_ONCE);
    let mut events: Vec<_> = others.map(|(device, role)| (context.actor.clone(), TokenRevoked { device, role }.into())).collect();
    let approved = approved.keys().copied().collect();
    let Some(device) = registry.device(&id) else { return subject.refuse(context, Refusal::UnknownDevice) };
    match device.grants.get(&role) {
        None => subject.refuse(context, Refusal::RoleNotHeld(role)),
        Some(grant) => match &grant.revoked {
            Some((at, _)) => Decision { events, outcome: Outcome::Revoked { device: id, role, at: *at, approved } },
            None => {
                events.insert(0, (context.actor.clone(), TokenRevoked { device: id, role }.into()));
                Decision { events, outcome: Outcome::Revoked { device: id, role, at: context.now, approved } }
            }
        },
    }
}
