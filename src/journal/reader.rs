//! Reads records while somebody else appends. A batch that is not whole yet is not there yet. It needs no lock, and remembers
//! a few places between batches, so that neither old nor new records cost a walk over all.
//!
//! A reader sees what is in the file, which may be a batch that is not synced yet: who must tell nobody before it is durable
//! keeps to the head that the writer has published.

use std::path::{Path, PathBuf};

use super::directory::{Access, Directory};
use super::error::JournalError;
use super::recovery::{Position, Step, Walk};
use super::storage::{FileStorage, Storage};
use super::{Head, segment_of};
use crate::pairing::{JournalId, Record, Seq};

/// The least distance between two places remembered.
const SPACING_BYTES: u64 = 64 * 1024;
/// How many places are remembered; beyond, every second is forgotten and the distance doubled.
const PLACES: usize = 8_192;

/// A second, lock-free reader of a journal.
pub struct Reader {
    storage: Box<dyn Storage>,
    path: PathBuf,
    journal: JournalId,
    index: Index,
}

impl Reader {
    /// Opens the journal in `dir` for reading; nothing is read yet but the header.
    ///
    /// # Errors
    /// [`JournalError::NotAJournal`] where there is none, and all that [`Reader::read`] has.
    pub fn open(dir: &Path) -> Result<Self, JournalError> {
        let directory = Directory::open(dir)?.ok_or_else(|| JournalError::NotAJournal { path: dir.to_owned() })?;
        let (segment, first) = segment_of(&directory)?;
        let path = directory.path_of(&segment);
        let storage = Box::new(FileStorage::new(directory.file(&segment, Access::Read)?));
        let header = Walk::new(&path, &*storage).header(first)?;
        let index = Index::new(Position::start(&header));
        Ok(Self { storage, path, journal: header.journal, index })
    }

    pub(super) fn at(storage: Box<dyn Storage>, path: PathBuf, journal: JournalId, index: Index) -> Self {
        Self { storage, path, journal, index }
    }

    /// The journal's id.
    #[must_use]
    pub fn id(&self) -> JournalId {
        self.journal
    }

    /// At most `limit` records from `from` on, in order, up to the last whole batch. Fewer means that there are no more now.
    ///
    /// # Errors
    /// [`JournalError::Corrupt`], [`JournalError::TooNew`] or [`JournalError::Io`]; what is sound before stays readable.
    pub fn read(&mut self, from: Seq, limit: usize) -> Result<Vec<Record>, JournalError> {
        let mut found: Vec<Record> = Vec::new();
        let mut position = self.index.before(from);
        let mut walk = Walk::new(&self.path, &*self.storage);
        let mut batch = Vec::new();
        while found.len() < limit && next_batch(&mut walk, &mut position, &mut batch)? {
            self.index.note(position);
            let wanted = limit.saturating_sub(found.len());
            found.extend(batch.drain(..).filter(|record| record.seq >= from).take(wanted));
        }
        Ok(found)
    }

    /// The head of what is readable now.
    ///
    /// # Errors
    /// As [`Reader::read`].
    pub fn head(&mut self) -> Result<Head, JournalError> {
        let mut position = self.index.tip;
        let mut walk = Walk::new(&self.path, &*self.storage);
        while next_batch(&mut walk, &mut position, &mut Vec::new())? {
            self.index.note(position);
        }
        Ok(position.head)
    }
}

/// Moves on by one batch; false where none is whole yet.
fn next_batch(walk: &mut Walk<'_>, position: &mut Position, batch: &mut Vec<Record>) -> Result<bool, JournalError> {
    match walk.step(position, batch)? {
        Step::Batch => return Ok(true),
        Step::End => return Ok(false),
        Step::Unsound(_) if walk.later_batch(position)?.is_none() => return Ok(false),
        Step::Unsound(_) => walk.refresh(),
    }
    // The writer went on while we looked. It begins a batch only when the one before is whole, so that one is whole now.
    match walk.step(position, batch)? {
        Step::Batch => Ok(true),
        Step::End => Ok(false),
        Step::Unsound(damage) => Err(walk.corrupt(damage)),
    }
}

/// A few places between batches, in order, and the furthest one known.
#[derive(Clone, Debug)]
pub(super) struct Index {
    places: Vec<Position>,
    spacing: u64,
    tip: Position,
}

impl Index {
    pub(super) fn new(start: Position) -> Self {
        Self { places: vec![start], spacing: SPACING_BYTES, tip: start }
    }

    /// Remembers `position` if it is far enough from the last one.
    pub(super) fn note(&mut self, position: Position) {
        if position.offset <= self.tip.offset {
            return;
        }
        self.tip = position;
        let last = self.places.last().map_or(0, |place| place.offset);
        if position.offset.saturating_sub(last) < self.spacing {
            return;
        }
        if self.places.len() >= PLACES {
            let mut keep = false;
            self.places.retain(|_| {
                keep = !keep;
                keep
            });
            self.spacing = self.spacing.saturating_mul(2);
        }
        self.places.push(position);
    }

    /// The furthest place known from which a walk meets `seq`.
    fn before(&self, seq: Seq) -> Position {
        if self.tip.head.seq < seq {
            return self.tip;
        }
        let behind = self.places.partition_point(|place| place.head.seq < seq);
        // The first place is in front of every record.
        self.places.get(behind.saturating_sub(1)).copied().unwrap_or(self.tip)
    }
}
