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
    let own = |device: &DeviceId| powers.owns(device);
    let hears = |request: &RequestId| hears_of(registry, &powers, request);
    if powers.sees_all() {
        return true;
    }
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
        Event::ConnectionAdmitted(event) => event.attempt.proof.is_some_and(|proof| own(&proof.device)),
        Event::ConnectionRefused(event) => event.attempt.proof.is_some_and(|proof| own(&proof.device)),
        // It names its connection by a seq, so whose it was is not in it.
        Event::ConnectionClosed(_) => false,
        Event::CommandRefused(_) => matches!(&record.actor, Actor::Device { device, .. } if own(device)),
        Event::PairingRequested(event) => own(&event.device) || hears(&event.request),
        Event::PairingApproved(event) => own(&event.device) || event.request.as_ref().is_some_and(hears),
        Event::PairingRejected(event) => own(&event.device) || hears(&event.request),
        Event::PairingExpired(event) => own(&event.device) || hears(&event.request),
        Event::DeviceMetadataChanged(event) => own(&event.device),
        Event::DeviceRemoved(event) => own(&event.device),
        Event::DeviceRenamed(event) => own(&event.device),
        Event::TokenIssued(event) => own(&event.device),
        Event::TokenRotated(event) => own(&event.device),
        Event::TokenRevoked(event) => own(&event.device),
    }
}

fn hears_of(registry: &Registry, powers: &Powers, request: &RequestId) -> bool {
    match (registry.request(request), registry.settled(request)) {
        (Some(request), _) => powers.may_see(&request.device, request.role, &request.scopes),
        (None, Some(settled)) => powers.may_see(&settled.device, settled.role, &settled.scopes),
        (None, None) => powers.sees_all(),
    }
}
