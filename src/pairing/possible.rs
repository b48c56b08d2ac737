//! Whether a record can follow what is known: it names nothing that is not there. [`decide`](super::decide()) makes no others, so
//! one that is met on a disk was not written by it, and nothing after it can be believed. It is no rule of who may do what.

use super::event::{Event, Record};
use super::ids::{DeviceId, RequestId, Seq};
use super::registry::Registry;

/// A record that cannot be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("record {seq} cannot be: {what}")]
pub struct Impossible {
    /// The record.
    pub seq: Seq,
    /// Why.
    pub what: &'static str,
}

/// Whether `record` can be the next one.
///
/// # Errors
/// [`Impossible`].
pub fn check(registry: &Registry, record: &Record) -> Result<(), Impossible> {
    let unless = |is_possible: bool, what| if is_possible { Ok(()) } else { Err(Impossible { seq: record.seq, what }) };
    let paired = |device: &DeviceId| unless(registry.device(device).is_some(), "no such device is paired");
    let unpaired = |device: &DeviceId| unless(registry.device(device).is_none(), "this device is paired already");
    let waits = |request: &RequestId, device: &DeviceId| {
        let is_theirs = registry.request(request).is_some_and(|request| request.device == *device);
        unless(is_theirs, "no such request of this device waits")
    };
    match &record.event {
        Event::JournalCreated(_) => unless(registry.journal().is_none(), "the journal began before"),
        Event::ConnectionClosed(event) => unless(event.admission < record.seq, "it names a later record"),
        Event::PairingRequested(event) => {
            unless(registry.request(&event.request).is_none(), "a request with this id waits already")?;
            event.supersedes.as_ref().map_or(Ok(()), |old| waits(old, &event.device))
        }
        Event::PairingApproved(event) => match &event.request {
            Some(request) => waits(request, &event.device),
            None => paired(&event.device),
        },
        Event::PairingRejected(event) => waits(&event.request, &event.device),
        Event::PairingExpired(event) => waits(&event.request, &event.device),
        Event::DeviceMetadataChanged(event) => paired(&event.device),
        Event::DeviceRemoved(event) => paired(&event.device),
        Event::DeviceRenamed(event) => paired(&event.device),
        Event::TokenIssued(event) => paired(&event.device),
        Event::TokenRotated(event) => paired(&event.device),
        Event::TokenRevoked(event) => paired(&event.device),
        Event::GrantWithdrawn(event) => paired(&event.device),
        Event::DeviceRestored(event) => unpaired(&event.profile.device),
        Event::DeviceImported(event) => unpaired(&event.profile.device),
        Event::DeviceSucceeded(event) => {
            waits(&event.request, &event.by)?;
            unpaired(&event.by)?;
            paired(&event.device)
        }
        Event::ActUndone(event) => unless(event.undoes < record.seq, "it names a later record"),
        Event::RollbackAccepted(event) => unless(event.head < record.seq, "it names a later record"),
        Event::OwnerActsSeen(event) => unless(event.through < record.seq, "it names a later record"),
        Event::AttemptsSuppressed(event) => {
            unless(event.like.is_none_or(|like| like < record.seq), "it names a later record")?;
            unless(event.count > 0, "it tells of nothing")
        }
        Event::SetupCodeCreated(event) => {
            unless(registry.setup_code(&event.code).is_none(), "a setup code with this id is known")
        }
        Event::SetupCodeSpent(event) => {
            let is_good = registry.setup_code(&event.code).is_some_and(|code| code.spent.is_none());
            unless(is_good, "no such setup code is left")
        }
        Event::SetupCodeRevoked(event) => unless(registry.setup_code(&event.code).is_some(), "no such setup code is known"),
        _ => Ok(()),
    }
}
