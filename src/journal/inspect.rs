//! Looking at a journal without changing it: what it is worth as a whole, and what stands in it on both sides of damage.

use std::path::Path;

use super::directory::{Access, Directory};
use super::error::{JournalError, Newer};
use super::format::Fault;
use super::recovery::{Position, Step, Walk, file_name};
use super::storage::{FileStorage, Storage};
use super::{Head, segment_of};
use crate::pairing::{JournalId, Record, Seq};

/// What a walk over a whole journal found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Every byte is what was written, as far as the journal itself can tell: that nothing is missing at its end only a head
    /// remembered elsewhere can.
    Sound(Extent),
    /// The last batch is not whole; it was never acknowledged. Opening the journal puts it aside.
    TornTail {
        /// What is before it.
        sound: Extent,
        /// Bytes of the torn end up to the last one that is not zero.
        bytes: u64,
        /// What is wrong with it.
        what: Fault,
    },
    /// Something that was once safe cannot be read.
    Corrupt {
        /// What is before it; none where the segment header is damaged.
        sound: Option<Extent>,
        /// File name of the segment.
        segment: String,
        /// Where the damage begins, in bytes from the beginning of the segment.
        offset: u64,
        /// The first record that cannot be trusted.
        seq: Seq,
        /// What is wrong.
        what: Fault,
    },
    /// Sound, but not of this version.
    TooNew {
        /// What is before it; none where the version itself is another.
        sound: Option<Extent>,
        /// File name of the segment.
        segment: String,
        /// What this version does not know.
        found: Newer,
    },
}

/// What is sound of a journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extent {
    /// The journal's id.
    pub journal: JournalId,
    /// Its last sound record and the digest of the batch that ends with it.
    pub head: Head,
    /// How many records.
    pub records: u64,
    /// The last segment's file name.
    pub segment: String,
    /// Where its sound part ends, in bytes.
    pub offset: u64,
}

/// Judges the journal in `dir`: every byte, every digest, every record. Changes nothing and needs no lock; a batch that is
/// being appended meanwhile can show as a torn tail.
///
/// # Errors
/// [`JournalError::NotAJournal`], [`JournalError::Io`], [`JournalError::Unsafe`]. Damage is a verdict, not an error.
pub fn verify(dir: &Path) -> Result<Verdict, JournalError> {
    let directory = Directory::open(dir)?.ok_or_else(|| JournalError::NotAJournal { path: dir.to_owned() })?;
    match segment_of(&directory) {
        Ok((segment, first)) => {
            let storage = FileStorage::new(directory.file(&segment, Access::Read)?);
            judge(&directory.path_of(&segment), first, &storage)
        }
        Err(JournalError::Corrupt { segment, offset, seq, what }) => {
            Ok(Verdict::Corrupt { sound: None, segment, offset, seq, what })
        }
        Err(error) => Err(error),
    }
}

/// Judges a segment without changing it. A batch that a writer is just appending is read as a torn tail at most.
pub(super) fn judge(path: &Path, first: Seq, storage: &dyn Storage) -> Result<Verdict, JournalError> {
    let mut walk = Walk::new(path, storage);
    let header = match walk.header(first) {
        Ok(header) => header,
        Err(error) => return verdict(error, None),
    };
    let mut position = Position::start(&header);
    let mut records = Vec::new();
    let mut read_again = true;
    loop {
        let before = position;
        let extent = |position: &Position| Extent {
            journal: header.journal,
            head: position.head,
            records: position.head.seq.next().0.saturating_sub(header.first.0),
            segment: file_name(path),
            offset: position.offset,
        };
        match walk.step(&mut position, &mut records) {
            Ok(Step::Batch) => read_again = true,
            Ok(Step::End) => return Ok(Verdict::Sound(extent(&position))),
            // A writer may have been at it while we read.
            Ok(Step::Unsound(_)) if read_again => {
                read_again = false;
                walk.refresh();
            }
            Ok(Step::Unsound(damage)) => {
                if walk.later_batch(&position)?.is_some() {
                    return verdict(walk.corrupt(damage), Some(extent(&position)));
                }
                let bytes = walk.end_of_data(position.offset)?.saturating_sub(position.offset);
                return Ok(Verdict::TornTail { sound: extent(&position), bytes, what: damage.what });
            }
            Err(error) => return verdict(error, Some(extent(&before))),
        }
    }
}

fn verdict(error: JournalError, sound: Option<Extent>) -> Result<Verdict, JournalError> {
    match error {
        JournalError::Corrupt { segment, offset, seq, what } => Ok(Verdict::Corrupt { sound, segment, offset, seq, what }),
        JournalError::TooNew { segment, found } => Ok(Verdict::TooNew { sound, segment, found }),
        error => Err(error),
    }
}

/// One thing to show of a journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shown {
    /// A sound record.
    Record(Box<Record>),
    /// Bytes that are not. Records after it have sound checksums and follow each other, but what they follow is not known.
    Damage {
        /// File name of the segment.
        segment: String,
        /// Where it begins, in bytes.
        offset: u64,
        /// The first record that cannot be trusted.
        seq: Seq,
        /// What is wrong, as a sentence.
        what: String,
        /// Where the next sound batch begins and with which seq; none where nothing more can be read.
        resumes: Option<(u64, Seq)>,
    },
}

/// Hands the records of the journal in `dir` from `from` on to `each`, and every damage among them, until `each` says false.
/// Changes nothing and needs no lock.
///
/// # Errors
/// [`JournalError::NotAJournal`], [`JournalError::Io`], [`JournalError::Unsafe`]; damage only where the segment header itself
/// cannot be read.
pub fn show(dir: &Path, from: Seq, each: &mut dyn FnMut(Shown) -> bool) -> Result<(), JournalError> {
    let directory = Directory::open(dir)?.ok_or_else(|| JournalError::NotAJournal { path: dir.to_owned() })?;
    let (segment, first) = segment_of(&directory)?;
    let storage = FileStorage::new(directory.file(&segment, Access::Read)?);
    let path = directory.path_of(&segment);
    let mut walk = Walk::new(&path, &storage);
    let mut position = Position::start(&walk.header(first)?);
    let mut records = Vec::new();
    loop {
        let (offset, seq, what) = match walk.step(&mut position, &mut records) {
            Ok(Step::Batch) => {
                if !records.drain(..).filter(|record| record.seq >= from).all(|record| each(Shown::Record(Box::new(record)))) {
                    return Ok(());
                }
                continue;
            }
            Ok(Step::End) => return Ok(()),
            Ok(Step::Unsound(damage)) => (damage.offset, damage.seq, damage.what.to_string()),
            Err(JournalError::Corrupt { offset, seq, what, .. }) => (offset, seq, what.to_string()),
            Err(JournalError::TooNew { found, .. }) => (position.offset, position.head.seq.next(), found.to_string()),
            Err(error) => return Err(error),
        };
        let later = walk.resume_after(&position)?;
        let resumes = later.map(|later| (later.offset, later.head.seq.next()));
        if !each(Shown::Damage { segment: segment.clone(), offset, seq, what, resumes }) {
            return Ok(());
        }
        match later {
            Some(later) => position = later,
            None => return Ok(()),
        }
    }
}
