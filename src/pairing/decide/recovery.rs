//! Getting back what was lost: an identity whose key is gone, the end of a journal, the token key. All of it is the owner's,
//! and none of it brings back what somebody took away.

use super::super::command::{Context, Decision, Obstacle, Outcome, Refusal};
use super::super::event::{CommandName, Condition, ConditionCleared, DeviceSucceeded, Event, RollbackAccepted, TokenKeyReplaced};
use super::super::ids::{DeviceId, Digest, KeyId, RequestId, Seq};
use super::super::policy::Policy;
use super::super::registry::{Registry, Request};
use super::{Powers, Subject, approval, is_owner, within_ceilings};

/// Gives the place of `old` to the device that proved its key in a request. That one gets what is approved and not revoked, and
/// nothing that it asks for beyond.
pub(super) fn succeed(registry: &Registry, policy: &Policy, old: DeviceId, id: RequestId, context: &Context<'_>) -> Decision {
    let subject = Subject { device: Some(old), ..Subject::request(CommandName::Succeed, id) };
    if let Err(refusal) = is_owner(policy, context) {
        return subject.refuse(context, refusal);
    }
    let powers = Powers::of(registry, policy, &context.actor);
    let request = match approval::open_request(registry, policy, &powers, id, context) {
        Ok(request) => request,
        Err(closed) => return closed.refuse(subject, context),
    };
    if let Err(refusal) = may_succeed(registry, policy, &old, request) {
        return subject.refuse(context, refusal);
    }
    let event = DeviceSucceeded { device: old, by: request.device, request: id };
    let outcome = Outcome::Succeeded { old, by: request.device, request: id };
    Decision { events: vec![(context.actor.clone(), event.into())], outcome }
}

fn may_succeed(registry: &Registry, policy: &Policy, old: &DeviceId, request: &Request) -> Result<(), Refusal> {
    let Some(device) = registry.device(old) else {
        return Err(registry
            .succession(old)
            .map_or(Refusal::UnknownDevice, |known| Refusal::Succeeded { by: known.by, at: known.at }));
    };
    if registry.device(&request.device).is_some() {
        return Err(Obstacle::PairedAlready.into());
    }
    let mut held = device.grants.iter().filter(|(_, grant)| grant.revoked.is_none()).peekable();
    if held.peek().is_none() {
        return Err(Obstacle::NothingLeft.into());
    }
    held.try_for_each(|(role, grant)| within_ceilings(policy, request.client, *role, &grant.approved))
}

/// Accepts a journal whose end is gone: what the records that are gone took away is taken again, of all but `keeps`.
pub(super) fn accept_rollback(
    registry: &Registry,
    policy: &Policy,
    (witnessed, hash): (Seq, Digest),
    mut keeps: Vec<DeviceId>,
    context: &Context<'_>,
) -> Decision {
    if let Err(refusal) = is_owner(policy, context) {
        return Subject::of(CommandName::AcceptRollback).refuse(context, refusal);
    }
    if let Some(unknown) = keeps.iter().find(|device| registry.device(device).is_none()) {
        return Subject::device(CommandName::AcceptRollback, *unknown).refuse(context, Refusal::UnknownDevice);
    }
    keeps.sort_unstable();
    keeps.dedup();
    Decision::noted(context, RollbackAccepted { head: registry.head(), witnessed, hash, keeps })
}

/// Notes that new tokens are derived with another key. It lets nobody in, and takes nothing from anybody.
pub(super) fn replace_key(registry: &Registry, key: KeyId, context: &Context<'_>) -> Decision {
    Decision::all_noted(context, replaced_key(registry, key))
}

/// The fact that `key` is another than the last one, where that is known.
pub(super) fn replaced_key(registry: &Registry, key: KeyId) -> Option<Event> {
    let before = registry.last_run().and_then(|run| run.key)?;
    (before != key).then(|| TokenKeyReplaced { key, before: Some(before) }.into())
}

/// Notes that the owner knows of a condition and has dealt with it; it comes back where it is found again. An agent's shell does
/// not settle for a person.
pub(super) fn settle(registry: &Registry, policy: &Policy, condition: Condition, context: &Context<'_>) -> Decision {
    if let Err(refusal) = is_owner(policy, context) {
        return Subject::of(CommandName::MarkSeen).refuse(context, refusal);
    }
    let event = registry.condition(condition).map(|_| Event::from(ConditionCleared { condition }));
    Decision::all_noted(context, event)
}
