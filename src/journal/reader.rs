//! Reads records while somebody else appends. A batch that is not whole yet is not there yet. It needs no lock, and remembers
//! a few places between batches, so that neither old nor new records cost a walk over all.
//!
//! A reader sees what is in the file, which may be a batch that is not synced yet: who must tell nobody before it is durable
//! keeps to the head that the writer has published.

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use super::Head;
use super::directory::Directory;
use super::error::JournalError;
use super::format::Fault;
use super::recovery::{Damage, Position, Step, Walk};
use super::segments::{self, Segment, check_order};
use super::storage::{Access, Volume};
use crate::limits;
use crate::pairing::{JournalId, Record, Seq};

/// The least distance between two places remembered.
const SPACING_BYTES: u64 = 64 * 1024;
/// How many places are remembered; beyond, every second is forgotten and the distance doubled.
const PLACES: usize = 8_192;

/// A second, lock-free reader of a journal.
pub struct Reader {
    volume: Arc<dyn Volume>,
    segment: Segment,
    journal: JournalId,
    index: Index,
    /// The last segment that was met; one before it that is not sealed has lost its end.
    last: Seq,
}

impl Reader {
    /// Opens the journal in `dir` for reading; nothing is read yet but the first header.
    ///
    /// # Errors
    /// [`JournalError::NotAJournal`] where there is none, and all that [`Reader::read`] has.
    pub fn open(dir: &Path) -> Result<Self, JournalError> {
        let not_a_journal = || JournalError::NotAJournal { path: dir.to_owned() };
        let volume: Arc<Directory> = Arc::new(Directory::open(dir)?.ok_or_else(not_a_journal)?);
        let firsts = segments::firsts(&*volume)?;
        let (Some(&first), Some(&last)) = (firsts.first(), firsts.last()) else { return Err(not_a_journal()) };
        segments::check_beginning(&*volume, &firsts)?;
        let segment = Segment::open(&*volume, first, Access::Read)?.ok_or_else(not_a_journal)?;
        let (journal, start) = segment.enter(&mut segment.walk(), None, None)?;
        Ok(Self { volume, segment, journal, index: Index::new(start), last })
    }

    pub(super) fn at(volume: Arc<dyn Volume>, segment: Segment, journal: JournalId, index: Index) -> Self {
        let last = segment.first;
        Self { volume, segment, journal, index, last }
    }

    /// The journal's id.
    #[must_use]
    pub fn id(&self) -> JournalId {
        self.journal
    }

    /// Hands the records from `first` to `last` to `each`, [`limits::READ_RECORDS`] read at a time, until it breaks off or there are
    /// no more; with what it broke off.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn each<B>(
        &mut self,
        first: Seq,
        last: Seq,
        mut each: impl FnMut(&Record) -> ControlFlow<B>,
    ) -> Result<ControlFlow<B>, JournalError> {
        let mut from = first;
        while from <= last {
            let records = self.read(from, limits::READ_RECORDS)?;
            let Some(end) = records.last() else { break };
            from = end.seq.next();
            let broken = records.iter().filter(|record| record.seq <= last).try_for_each(&mut each);
            if broken.is_break() {
                return Ok(broken);
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    /// At most `limit` records from `from` on, in order, up to the last whole batch. Fewer means that there are no more now.
    ///
    /// # Errors
    /// [`JournalError::Corrupt`], [`JournalError::TooNew`] or [`JournalError::Io`]; what is sound before stays readable.
    pub fn read(&mut self, from: Seq, limit: usize) -> Result<Vec<Record>, JournalError> {
        let mut found: Vec<Record> = Vec::new();
        if limit > 0 {
            let start = self.place(from)?;
            self.walk(start, &mut |batch| {
                let wanted = limit.saturating_sub(found.len());
                found.extend(batch.drain(..).filter(|record| record.seq >= from).take(wanted));
                found.len() < limit
            })?;
        }
        Ok(found)
    }

    /// The head of what is readable now.
    ///
    /// # Errors
    /// As [`Reader::read`].
    pub fn head(&mut self) -> Result<Head, JournalError> {
        self.walk(self.index.tip, &mut |_| true)?;
        Ok(self.index.tip.head)
    }

    /// A place from which a walk meets `seq`: one that is known, else the beginning of its segment.
    fn place(&self, seq: Seq) -> Result<Position, JournalError> {
        if self.index.begins() >= seq {
            let firsts = segments::firsts(&*self.volume)?;
            let first = firsts.iter().rev().find(|first| **first <= seq).or(firsts.first());
            if let Some(first) = first
                && let Some(segment) = Segment::open(&*self.volume, *first, Access::Read)?
            {
                let (_, start) = segment.enter(&mut segment.walk(), Some(self.journal), None)?;
                return Ok(start);
            }
        }
        Ok(self.index.before(seq))
    }

    /// The head that the journal had when `seq` was its last record; none where no batch ends with it.
    pub(super) fn head_at(&mut self, seq: Seq) -> Result<Option<Head>, JournalError> {
        let start = match self.index.at_or_before(seq) {
            Some(place) => place,
            None => self.place(seq)?,
        };
        let mut found = (start.head.seq == seq).then_some(start.head);
        if found.is_none() {
            self.walk_positions(start, &mut |position, _| {
                found = (position.head.seq == seq).then_some(position.head);
                position.head.seq < seq
            })?;
        }
        Ok(found)
    }

    /// Hands the batches from `position` on to `each`, until it says false or there are no more now.
    fn walk(&mut self, position: Position, each: &mut dyn FnMut(&mut Vec<Record>) -> bool) -> Result<(), JournalError> {
        self.walk_positions(position, &mut |_, batch| each(batch))
    }

    /// As [`Reader::walk`], with the position behind each batch.
    fn walk_positions(
        &mut self,
        mut position: Position,
        each: &mut dyn FnMut(&Position, &mut Vec<Record>) -> bool,
    ) -> Result<(), JournalError> {
        let mut batch = Vec::new();
        loop {
            if self.segment.first != position.segment {
                let Some(segment) = Segment::open(&*self.volume, position.segment, Access::Read)? else {
                    // The oldest are moved away while we read; what is there of them is what is left.
                    if let Some(start) = self.beginning_after(position.segment)? {
                        position = start;
                        continue;
                    }
                    let missing = Damage { offset: 0, seq: position.segment, what: Fault::SegmentGone };
                    return Err(self.segment.walk().corrupt(missing));
                };
                self.segment = segment;
            }
            let mut walk = self.segment.walk();
            while next_batch(&mut walk, &mut position, &mut batch)? {
                self.index.note(position);
                if !each(&position, &mut batch) {
                    return Ok(());
                }
            }
            match self.successor(&position)? {
                Some(start) => position = start,
                None => return Ok(()),
            }
            self.index.note(position);
        }
    }

    /// Where the journal begins now, if all of it is behind the segment that is gone.
    fn beginning_after(&mut self, gone: Seq) -> Result<Option<Position>, JournalError> {
        let Some(first) = segments::firsts(&*self.volume)?.first().copied().filter(|first| *first > gone) else {
            return Ok(None);
        };
        let Some(segment) = Segment::open(&*self.volume, first, Access::Read)? else { return Ok(None) };
        let (_, start) = segment.enter(&mut segment.walk(), Some(self.journal), None)?;
        self.segment = segment;
        Ok(Some(start))
    }

    /// The beginning of the segment behind the one that ends at `position`; none where there is none yet.
    fn successor(&mut self, position: &Position) -> Result<Option<Position>, JournalError> {
        let next = position.head.seq.next();
        if !position.is_sealed {
            // A segment that was met behind this one was published when this one was whole.
            return if self.last > position.segment { check_order(next, Some(position)).map(|()| None) } else { Ok(None) };
        }
        let Some(segment) = Segment::open(&*self.volume, next, Access::Read)? else {
            if let Some(start) = self.beginning_after(next)? {
                return Ok(Some(start));
            }
            // The writer seals first and then publishes; but what is there may have lost its neighbour.
            let later = segments::firsts(&*self.volume)?.into_iter().find(|first| *first > next);
            return later.map_or(Ok(()), |later| check_order(later, Some(position))).map(|()| None);
        };
        let (_, start) = segment.enter(&mut segment.walk(), Some(self.journal), Some(position))?;
        self.last = self.last.max(next);
        self.segment = segment;
        Ok(Some(start))
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
        if (position.head.seq, position.segment) <= (self.tip.head.seq, self.tip.segment) {
            return;
        }
        self.tip = position;
        let is_near =
            |last: &Position| last.segment == position.segment && position.offset.saturating_sub(last.offset) < self.spacing;
        // A seal leads to the next segment, whose beginning is the better place.
        if position.is_sealed || self.places.last().is_some_and(is_near) {
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

    /// The furthest place known at which `seq` is not passed yet.
    fn at_or_before(&self, seq: Seq) -> Option<Position> {
        if self.tip.head.seq <= seq {
            return Some(self.tip);
        }
        let passed = self.places.partition_point(|place| place.head.seq <= seq);
        self.places.get(passed.checked_sub(1)?).copied()
    }

    /// The last record in front of every place known.
    fn begins(&self) -> Seq {
        self.places.first().map_or(self.tip.head.seq, |place| place.head.seq)
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
