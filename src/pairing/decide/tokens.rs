//! Tokens replaced and roles taken away. Rotating beyond what was approved is an approval too, and is recorded as one.

use super::super::command::{Context, Decision, Granted, Outcome, Refusal};
use super::super::event::{Act, CommandName, PairingApproved, Reason, TokenRevoked, TokenRotated};
use super::super::ids::DeviceId;
use super::super::policy::Policy;
use super::super::registry::Registry;
use super::super::scopes::{Role, ScopeSet};
use super::{Powers, Subject, approval, fresh};

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
    let approved = device.grants.get(&role).map(|grant| grant.approved.clone()).unwrap_or_default();
    let beyond = target.missing_from(role, &approved);
    let Some(issue) = fresh(registry, context, &id, role) else { return subject.refuse(context, Refusal::TokenKeyUnusable) };

    // A request that only lacked what the new token carries is settled by this act; what it offers, only a person approves.
    let settles = registry.waiting(&id, role).filter(|request| {
        matches!(request.reason, Reason::ScopeUpgrade | Reason::RoleUpgrade)
            && !approval::is_due(policy, request, context)
            && target.covers(role, &request.scopes)
            && device.offers(&request.description)
    });
    let mut events = vec![];
    if !beyond.is_empty() || settles.is_some() {
        let request = settles.map(|request| request.id);
        let approved = PairingApproved { device: id, role, scopes: gained, act: Act::Rotation, request };
        events.push((context.actor.clone(), approved.into()));
    }
    let rotated = TokenRotated { device: id, role, scopes_before: before, scopes: target.clone(), issue };
    events.push((context.actor.clone(), rotated.into()));
    let token = Granted { device: id, role, scopes: target, issue: Some(issue), at: context.now };
    Decision { events, outcome: Outcome::Rotated { token, own: context.actor.is_device(&id) } }
}

/// Takes a role away. Doing it again changes nothing.
pub(super) fn revoke(registry: &Registry, policy: &Policy, id: DeviceId, role: Role, context: &Context<'_>) -> Decision {
    let subject = Subject { role: Some(role), ..Subject::device(CommandName::Revoke, id) };
    if let Err(refusal) = Powers::of(registry, policy, &context.actor).check_device(&id) {
        return subject.refuse(context, refusal);
    }
    let Some(device) = registry.device(&id) else { return subject.refuse(context, Refusal::UnknownDevice) };
    match device.grants.get(&role) {
        None => subject.refuse(context, Refusal::RoleNotHeld(role)),
        Some(grant) => match &grant.revoked {
            Some((at, _)) => Decision { events: vec![], outcome: Outcome::Revoked { device: id, role, at: *at } },
            None => {
                let events = vec![(context.actor.clone(), TokenRevoked { device: id, role }.into())];
                Decision { events, outcome: Outcome::Revoked { device: id, role, at: context.now } }
            }
        },
    }
}
