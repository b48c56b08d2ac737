//! What an actor may read of others: no more than a list of devices tells it, whichever way it looks.

use super::super::event::{Actor, Event, Record};
use super::super::ids::{DeviceId, RequestId};
use super::super::registry::Registry;
use super::Powers;

/// Whether `actor` may hear of a request, waiting or answered.
#[must_use]
pub fn may_hear_of(registry: &Registry, actor: &Actor, request: &RequestId) -> bool {
    hears_of(registry, &Powers::of(registry, registry.policy(), actor), request)
}

/// Whether `actor` may read what concerns this device alone, such as that it is here.
#[must_use]
pub fn may_read_of(registry: &Registry, actor: &Actor, device: &DeviceId) -> bool {
    let powers = Powers::of(registry, registry.policy(), actor);
    powers.sees_all() || powers.owns(device)
}

/// Whether `actor` may read whatever concerns any device.
#[must_use]
pub fn may_read_all(registry: &Registry, actor: &Actor) -> bool {
    Powers::of(registry, registry.policy(), actor).sees_all()
}

/// Whether `actor` may read this record.
#[must_use]
pub fn may_read(registry: &Registry, actor: &Actor, record: &Record) -> bool {
    let powers = Powers::of(registry, registry.policy(), actor);
    if powers.sees_all() {
        return true;
    }
    let is_own = record.event.device().is_some_and(|device| powers.owns(&device));
    match &record.event {
        Event::JournalCreated(_)
        | Event::GatewayStarted(_)
        | Event::GatewayStopped(_)
        | Event::JournalRepaired(_)
        | Event::SegmentSealed(_)
        | Event::ConditionFound(_)
        | Event::ConditionCleared(_)
        | Event::WitnessPlaced(_)
        | Event::HistoryArchived(_) => true,
        Event::PolicyChanged(_) | Event::RuleArmed(_) => true,
        Event::ConfigurationChanged(_) | Event::TokenKeyReplaced(_) => true,
        // Which devices keep what they hold, and what was undone, may be of others.
        Event::RollbackAccepted(_) | Event::ActUndone(_) => false,
        // Who acts on this host, and which codes are about, is nobody's business but theirs who see all.
        Event::ConnectionClosed(_) | Event::OwnerActsSeen(_) | Event::SetupCodeCreated(_) | Event::SetupCodeRevoked(_) => false,
        Event::CommandRefused(_) => matches!(&record.actor, Actor::Device { device, .. } if powers.owns(device)),
        Event::PairingRequested(_) | Event::PairingApproved(_) | Event::PairingRejected(_) | Event::PairingExpired(_) => {
            is_own || record.event.request().is_some_and(|request| hears_of(registry, &powers, &request))
        }
        Event::ConnectionAdmitted(_)
        | Event::ConnectionRefused(_)
        | Event::DeviceMetadataChanged(_)
        | Event::DeviceRemoved(_)
        | Event::DeviceRenamed(_)
        | Event::AttemptsSuppressed(_)
        | Event::SetupCodeSpent(_)
        | Event::GrantWithdrawn(_)
        | Event::DeviceRestored(_)
        | Event::DeviceImported(_)
        | Event::DeviceSucceeded(_)
        | Event::TokenIssued(_)
        | Event::TokenRotated(_)
        | Event::TokenRevoked(_) => is_own,
    }
}

fn hears_of(registry: &Registry, powers: &Powers, request: &RequestId) -> bool {
    match (registry.request(request), registry.settled(request)) {
        (Some(request), _) => powers.may_see(&request.device, request.role, &request.scopes),
        (None, Some(settled)) => powers.may_see(&settled.device, settled.role, &settled.scopes),
        (None, None) => powers.sees_all(),
    }
}
