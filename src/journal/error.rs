//! What can go wrong between a record and the disk. Facts only; damage, a mistake of the caller and a failing machine are
//! different variants because different people must act.

use std::io;
use std::path::PathBuf;

use super::format::Fault;
use crate::pairing::{Impossible, Seq};

/// Why the journal could not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JournalError {
    /// Another process holds the journal.
    #[error("the journal {} is held by another process{}: stop that one, or use it", path.display(), Holder(*pid))]
    Locked {
        /// The journal's directory.
        path: PathBuf,
        /// Who holds it, as it says itself: a hint.
        pid: Option<u32>,
    },
    /// The file system cannot say who writes.
    #[error(
        "the file system of {} has no working locks ({source}), and without one two gateways could write at once: keep the state on a local disk: OPENCLAW_STATE_DIR; or make sure of it yourself: openclaw gateway run --without-lock",
        path.display()
    )]
    NoLocks {
        /// The lock file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The machine refused.
    #[error("could not {op} {}: {source}", path.display())]
    Io {
        /// What was being used.
        path: PathBuf,
        /// What was tried.
        op: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// There is no room for the records; nothing of them was written, and where there is room again, they can be.
    #[error("there is no room for more records in {}: {source}; make room, nothing else is needed", path.display())]
    Full {
        /// The segment.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// What was written is not there any more; going on could undo a revocation.
    #[error(
        "the journal is damaged: segment {segment}, offset {offset}, seq {seq}: {what}; nothing was changed: keep a copy, look at it with `openclaw journal show`, and see what can be got back: openclaw recover"
    )]
    Corrupt {
        /// File name of the segment.
        segment: String,
        /// Where in it, in bytes.
        offset: u64,
        /// The first record that cannot be trusted.
        seq: Seq,
        /// What is wrong.
        what: Fault,
    },
    /// Sound bytes that no writer of ours wrote.
    #[error("the journal is damaged: {0}; nothing was changed: keep a copy, and look at it with `openclaw journal show`")]
    Impossible(Impossible),
    /// Sound, but not the journal that was there: an older copy, or one whose end is gone. Going on could undo a revocation.
    #[error(
        "the journal was rolled back: it ends with seq {head}, or goes on otherwise, and seq {witnessed} was written before; an older copy was put back, or its end was cut off; nothing was changed, and nobody is let in: put the newer one back; where it is gone for good, accept this one, which suspends every device that is not named: openclaw recover --accept-rollback"
    )]
    RolledBack {
        /// Its last record.
        head: Seq,
        /// The last record that the witness saw.
        witnessed: Seq,
        /// The witness.
        witness: PathBuf,
    },
    /// Sound, but not of this version; nothing was changed.
    #[error("the journal was written by another version: segment {segment} {found}; open it with the version that wrote it")]
    TooNew {
        /// File name of the segment.
        segment: String,
        /// What this version does not know.
        found: Newer,
    },
    /// There is no journal.
    #[error("there is no journal in {}; the first start of a gateway makes one: openclaw gateway run", path.display())]
    NotAJournal {
        /// Where one was looked for.
        path: PathBuf,
    },
    /// There is one already.
    #[error("there is a journal in {} already", path.display())]
    Exists {
        /// Where.
        path: PathBuf,
    },
    /// The file or directory could be used by somebody else to change the journal.
    #[error("{} {why}: {fix}", path.display())]
    Unsafe {
        /// The file or directory.
        path: PathBuf,
        /// What is wrong with it.
        why: &'static str,
        /// What to do.
        fix: &'static str,
    },
    /// What this process locked was moved away, deleted or replaced; another process may be writing what lies there now.
    #[error(
        "{} was moved away, deleted or replaced while it was in use, so nothing more is recorded: stop the gateway, put back what was there, and start again: openclaw gateway run",
        path.display()
    )]
    Displaced {
        /// The directory, or the lock file in it.
        path: PathBuf,
    },
    /// Somebody appended since: read on and decide again.
    #[error("the journal's head is at seq {actual}, not at {expected}: read on and decide again")]
    WrongHead {
        /// Where the caller thought it was.
        expected: Seq,
        /// Where it is.
        actual: Seq,
    },
    /// An earlier write or sync failed, so what is on disk is not known until it is read again.
    #[error("an earlier write to the journal failed: restart to read what is on disk")]
    Poisoned,
    /// More than a batch or a record may hold.
    #[error("a batch or record of {found} is over the limit of {limit}")]
    TooLarge {
        /// Bytes or records there are.
        found: usize,
        /// Bytes or records there may be.
        limit: usize,
    },
    /// The caller's records do not follow on: wrong seq, or a time that goes back.
    #[error("record {seq} does not follow on from what is written")]
    Misordered {
        /// The record.
        seq: Seq,
    },
    /// A record that would not be read as it is, and so is not written.
    #[error("record {seq} would not be read as it is written, so it was not written")]
    Unfaithful {
        /// The record.
        seq: Seq,
    },
}

/// What a version before it does not know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Newer {
    /// The segment's format version.
    #[error("has format version {found}, this program reads {known}")]
    Version {
        /// Its version.
        found: u32,
        /// Ours.
        known: u32,
    },
    /// A record's kind. It is not skipped: it could be a revocation.
    #[error("has at seq {seq} a record of kind {kind}, which this program does not know")]
    Kind {
        /// The kind number.
        kind: u16,
        /// The record.
        seq: Seq,
    },
    /// A value in a record of a known kind.
    #[error("has at seq {seq}, in a record of kind {kind}, a value that this program does not know")]
    Value {
        /// The kind number.
        kind: u16,
        /// The record.
        seq: Seq,
    },
}

/// The holder's process id as a part of a sentence.
struct Holder(Option<u32>);

impl std::fmt::Display for Holder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.map_or(Ok(()), |pid| write!(f, " (process {pid})"))
    }
}
