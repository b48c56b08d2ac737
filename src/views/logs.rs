//! Records as rows of a log: one record, one row, whatever a client called itself.

use super::sentence::event_sentence;
use crate::pairing::{Event, Millis, Record, Seq};

/// How loud a row is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// In order.
    Info,
    /// Somebody was turned away, or something was not as it should be.
    Warn,
}

/// One row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogRow {
    /// The record.
    pub seq: Seq,
    /// Its time.
    pub at: Millis,
    /// How loud.
    pub level: Level,
    /// Which part of the gateway it concerns.
    pub subsystem: &'static str,
    /// The event's name.
    pub event: &'static str,
    /// The sentence.
    pub message: String,
}

/// The row of a record.
#[must_use]
pub fn log_row(record: &Record) -> LogRow {
    let (level, subsystem) = match &record.event {
        Event::ConnectionRefused(_) | Event::AttemptsSuppressed(_) => (Level::Warn, "gateway/ws"),
        Event::ConnectionAdmitted(_) | Event::ConnectionClosed(_) => (Level::Info, "gateway/ws"),
        Event::CommandRefused(_)
        | Event::PairingRequested(_)
        | Event::ConditionFound(_)
        | Event::ConfigurationChanged(_)
        | Event::TokenKeyReplaced(_)
        | Event::PolicyChanged(_) => (Level::Warn, "gateway"),
        Event::JournalRepaired(_) | Event::RollbackAccepted(_) => (Level::Warn, "journal"),
        Event::WitnessPlaced(event) if event.lost.is_some() => (Level::Warn, "journal"),
        Event::JournalCreated(_) | Event::SegmentSealed(_) | Event::WitnessPlaced(_) | Event::HistoryArchived(_) => {
            (Level::Info, "journal")
        }
        _ => (Level::Info, "gateway"),
    };
    LogRow { seq: record.seq, at: record.at, level, subsystem, event: record.event.name(), message: event_sentence(record) }
}
