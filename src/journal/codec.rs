//! Events to payloads and back. Pure, and the only file that knows bincode, whose options are pinned here and never its enum
//! numbering: the kind number stands in the record's frame. Every payload has one spelling; another one is refused, by the
//! values that could have two.

mod payload;

use bincode::config::{self, Configuration, Fixint, Limit, LittleEndian};
use bincode::serde::{decode_from_slice, encode_into_std_write, encode_to_vec};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use self::payload::{Misread, Payload};
use super::format::Fault;
use crate::limits;
use crate::pairing::{
    ActUndone, Actor, AttemptsSuppressed, CommandRefused, ConditionCleared, ConditionFound, ConfigurationChanged,
    ConnectionAdmitted, ConnectionClosed, ConnectionRefused, DeviceImported, DeviceMetadataChanged, DeviceRemoved, DeviceRenamed,
    DeviceRestored, DeviceSucceeded, Event, GatewayStarted, GatewayStopped, GrantWithdrawn, HistoryArchived, JournalCreated,
    JournalRepaired, OwnerActsSeen, PairingApproved, PairingExpired, PairingRejected, PairingRequested, PolicyChanged,
    RollbackAccepted, RuleArmed, SegmentSealed, SetupCodeCreated, SetupCodeRevoked, SetupCodeSpent, TokenIssued,
    TokenKeyReplaced, TokenRevoked, TokenRotated, WitnessPlaced,
};

/// Fixed-width little-endian integers, lengths as u64.
const CONFIG: Configuration<LittleEndian, Fixint> = config::legacy();

/// The same to read an image of a state, which is as large as the state is.
const IMAGE_CONFIG: Configuration<LittleEndian, Fixint, Limit<{ limits::CHECKPOINT_BYTES }>> = config::legacy().with_limit();

/// Most payloads fit into as much, so that their bytes are not moved while they grow.
const USUAL_BYTES: usize = 256;

/// A payload that cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PayloadError {
    /// Damage.
    Fault(Fault),
    /// A kind with no entry in the table ("Kinds").
    UnknownKind,
    /// Sound bytes with a value in them that this version's types have no member for.
    UnknownValue,
}

/// The payload of a record: actor, then event ("Payloads"). None where it is over [`limits::RECORD_BYTES`] or a sequence is
/// too long to be counted.
#[must_use]
pub fn encode(actor: &Actor, event: &Event) -> Option<Vec<u8>> {
    match event {
        Event::JournalCreated(event) => payload(actor, event),
        Event::GatewayStarted(event) => payload(actor, event),
        Event::GatewayStopped(event) => payload(actor, event),
        Event::JournalRepaired(event) => payload(actor, event),
        Event::SegmentSealed(event) => payload(actor, event),
        Event::ConditionFound(event) => payload(actor, event),
        Event::ConditionCleared(event) => payload(actor, event),
        Event::WitnessPlaced(event) => payload(actor, event),
        Event::HistoryArchived(event) => payload(actor, event),
        Event::ConnectionAdmitted(event) => payload(actor, event),
        Event::ConnectionRefused(event) => payload(actor, event),
        Event::ConnectionClosed(event) => payload(actor, event),
        Event::CommandRefused(event) => payload(actor, event),
        Event::PairingRequested(event) => payload(actor, event),
        Event::PairingApproved(event) => payload(actor, event),
        Event::PairingRejected(event) => payload(actor, event),
        Event::PairingExpired(event) => payload(actor, event),
        Event::DeviceMetadataChanged(event) => payload(actor, event),
        Event::DeviceRemoved(event) => payload(actor, event),
        Event::DeviceRenamed(event) => payload(actor, event),
        Event::TokenIssued(event) => payload(actor, event),
        Event::TokenRotated(event) => payload(actor, event),
        Event::TokenRevoked(event) => payload(actor, event),
        Event::PolicyChanged(event) => payload(actor, event),
        Event::OwnerActsSeen(event) => payload(actor, event),
        Event::RuleArmed(event) => payload(actor, event),
        Event::AttemptsSuppressed(event) => payload(actor, event),
        Event::SetupCodeCreated(event) => payload(actor, event),
        Event::SetupCodeSpent(event) => payload(actor, event),
        Event::SetupCodeRevoked(event) => payload(actor, event),
        Event::RollbackAccepted(event) => payload(actor, event),
        Event::ConfigurationChanged(event) => payload(actor, event),
        Event::ActUndone(event) => payload(actor, event),
        Event::GrantWithdrawn(event) => payload(actor, event),
        Event::DeviceRestored(event) => payload(actor, event),
        Event::DeviceImported(event) => payload(actor, event),
        Event::DeviceSucceeded(event) => payload(actor, event),
        Event::TokenKeyReplaced(event) => payload(actor, event),
    }
}

/// Actor and event of a payload.
///
/// # Errors
/// [`PayloadError`]; bytes left over and spellings that [`encode`] does not use are refused.
pub fn decode(kind: u16, payload: &[u8]) -> Result<(Actor, Event), PayloadError> {
    // The numbers stand beside the variants in `Event`; a test holds that each decodes to its own variant.
    match kind {
        1 => parts::<JournalCreated>(payload),
        2 => parts::<GatewayStarted>(payload),
        3 => parts::<GatewayStopped>(payload),
        4 => parts::<JournalRepaired>(payload),
        5 => parts::<SegmentSealed>(payload),
        6 => parts::<ConditionFound>(payload),
        7 => parts::<ConditionCleared>(payload),
        8 => parts::<WitnessPlaced>(payload),
        9 => parts::<HistoryArchived>(payload),
        10 => parts::<PolicyChanged>(payload),
        11 => parts::<OwnerActsSeen>(payload),
        12 => parts::<RuleArmed>(payload),
        13 => parts::<RollbackAccepted>(payload),
        14 => parts::<ConfigurationChanged>(payload),
        15 => parts::<ActUndone>(payload),
        16 => parts::<ConnectionAdmitted>(payload),
        17 => parts::<ConnectionRefused>(payload),
        18 => parts::<ConnectionClosed>(payload),
        19 => parts::<CommandRefused>(payload),
        20 => parts::<AttemptsSuppressed>(payload),
        32 => parts::<PairingRequested>(payload),
        33 => parts::<PairingApproved>(payload),
        34 => parts::<PairingRejected>(payload),
        35 => parts::<PairingExpired>(payload),
        36 => parts::<GrantWithdrawn>(payload),
        48 => parts::<DeviceMetadataChanged>(payload),
        49 => parts::<DeviceRemoved>(payload),
        50 => parts::<DeviceRenamed>(payload),
        51 => parts::<DeviceRestored>(payload),
        52 => parts::<DeviceImported>(payload),
        53 => parts::<DeviceSucceeded>(payload),
        64 => parts::<TokenIssued>(payload),
        65 => parts::<TokenRotated>(payload),
        66 => parts::<TokenRevoked>(payload),
        67 => parts::<TokenKeyReplaced>(payload),
        80 => parts::<SetupCodeCreated>(payload),
        81 => parts::<SetupCodeSpent>(payload),
        82 => parts::<SetupCodeRevoked>(payload),
        _ => Err(PayloadError::UnknownKind),
    }
}

fn payload<E: Serialize>(actor: &Actor, event: &E) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(USUAL_BYTES);
    encode_into_std_write((actor, event), &mut bytes, CONFIG).ok()?;
    (bytes.len() <= limits::RECORD_BYTES).then_some(bytes)
}

fn parts<'a, E: Deserialize<'a> + Into<Event>>(payload: &'a [u8]) -> Result<(Actor, Event), PayloadError> {
    let mut payload = Payload { rest: payload };
    let (actor, event) = <(Actor, E)>::deserialize(&mut payload)?;
    if !payload.rest.is_empty() {
        return Err(PayloadError::Fault(Fault::PayloadLeftOver));
    }
    Ok((actor, event.into()))
}

impl From<Misread> for PayloadError {
    fn from(misread: Misread) -> Self {
        match misread {
            Misread::Form => Self::Fault(Fault::Payload),
            Misread::Spelling => Self::Fault(Fault::PayloadSpelling),
            // A type that reads its bytes and then refuses their value: a list has grown since.
            Misread::Value => Self::UnknownValue,
        }
    }
}

/// The bytes of a whole state, to be kept beside the journal: no part of its format, and worth nothing that the records are
/// not. None where they are over [`limits::CHECKPOINT_BYTES`].
#[must_use]
pub fn encode_image<T: Serialize>(state: &T) -> Option<Vec<u8>> {
    encode_to_vec(state, CONFIG).ok().filter(|bytes| bytes.len() <= limits::CHECKPOINT_BYTES)
}

/// The state of such bytes; none where they are not exactly one.
#[must_use]
pub fn decode_image<T: DeserializeOwned>(bytes: &[u8]) -> Option<T> {
    decode_from_slice(bytes, IMAGE_CONFIG).ok().filter(|(_, used)| *used == bytes.len()).map(|(state, _)| state)
}
