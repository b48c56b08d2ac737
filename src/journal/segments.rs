//! A journal is one chain over many files. Each segment but the last ends with a seal, and the next one begins where the seal
//! ends: same journal, next seq, next link of the chain. Anything else between two segments is damage, never an end.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use super::directory::{Access, Directory, io_error, segment_name};
use super::error::JournalError;
use super::format::Fault;
use super::recovery::{Damage, Position, Step, Walk};
use super::storage::{FileStorage, Storage};
use crate::pairing::{JournalId, Record, Seq};

/// Where the segments of one journal are.
pub(super) trait Volume: Send + Sync {
    /// The first seqs of all segments, in order.
    fn firsts(&self) -> Result<Vec<Seq>, JournalError>;

    /// What the segment that begins with `first` is called in messages.
    fn path_of(&self, first: Seq) -> PathBuf;

    /// The bytes of the segment that begins with `first`; none where there is no such segment.
    fn storage(&self, first: Seq, access: Access) -> Result<Option<Box<dyn Storage>>, JournalError>;

    /// Makes an empty file that is to be the segment that begins with `first`.
    fn draft(&self, first: Seq) -> Result<Box<dyn Storage>, JournalError>;

    /// Makes the draft, which is whole and synced, the segment: afterwards it is on the disk, or nothing of it.
    fn publish(&self, first: Seq) -> Result<(), JournalError>;
}

impl Volume for Directory {
    fn firsts(&self) -> Result<Vec<Seq>, JournalError> {
        self.segments()
    }

    fn path_of(&self, first: Seq) -> PathBuf {
        Directory::path_of(self, &segment_name(first))
    }

    fn storage(&self, first: Seq, access: Access) -> Result<Option<Box<dyn Storage>>, JournalError> {
        match self.file(&segment_name(first), access) {
            Ok(file) => Ok(Some(Box::new(FileStorage::new(file)))),
            Err(JournalError::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn draft(&self, first: Seq) -> Result<Box<dyn Storage>, JournalError> {
        Ok(Box::new(Directory::draft(self, &segment_name(first))?))
    }

    fn publish(&self, first: Seq) -> Result<(), JournalError> {
        Directory::publish(self, &segment_name(first))
    }
}

/// The first segment by itself, which has no place for a second one.
pub(super) struct Alone(Mutex<Box<dyn Storage>>);

impl Alone {
    pub(super) fn new(storage: Box<dyn Storage>) -> Self {
        Self(Mutex::new(storage))
    }
}

impl Volume for Alone {
    fn firsts(&self) -> Result<Vec<Seq>, JournalError> {
        Ok(vec![Seq(1)])
    }

    fn path_of(&self, first: Seq) -> PathBuf {
        PathBuf::from(segment_name(first))
    }

    fn storage(&self, first: Seq, _: Access) -> Result<Option<Box<dyn Storage>>, JournalError> {
        if first != Seq(1) {
            return Ok(None);
        }
        let storage = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        storage.another().map(Some).map_err(|source| io_error("open", &self.path_of(first), source))
    }

    fn draft(&self, first: Seq) -> Result<Box<dyn Storage>, JournalError> {
        Err(io_error("make", &self.path_of(first), std::io::ErrorKind::Unsupported.into()))
    }

    fn publish(&self, first: Seq) -> Result<(), JournalError> {
        Err(io_error("make", &self.path_of(first), std::io::ErrorKind::Unsupported.into()))
    }
}

/// One opened segment.
pub(super) struct Segment {
    pub(super) first: Seq,
    pub(super) path: PathBuf,
    pub(super) storage: Box<dyn Storage>,
}

impl Segment {
    /// Opens the segment that begins with `first`; none where there is no such segment.
    pub(super) fn open(volume: &dyn Volume, first: Seq, access: Access) -> Result<Option<Self>, JournalError> {
        let storage = volume.storage(first, access)?;
        Ok(storage.map(|storage| Self { first, path: volume.path_of(first), storage }))
    }

    pub(super) fn walk(&self) -> Walk<'_> {
        Walk::new(&self.path, &*self.storage)
    }

    /// Checks the header and tells where the first batch begins. What is known of the journal already, its id and the end of
    /// the segment in front, must go on here.
    pub(super) fn enter(
        &self,
        walk: &mut Walk<'_>,
        journal: Option<JournalId>,
        before: Option<&Position>,
    ) -> Result<(JournalId, Position), JournalError> {
        let header = walk.header(self.first)?;
        let wrong = |what| walk.corrupt(Damage { offset: 0, seq: self.first, what });
        if journal.is_some_and(|journal| journal != header.journal) {
            return Err(wrong(Fault::SegmentForeign));
        }
        if before.is_some_and(|before| before.head.hash != header.chain) {
            return Err(wrong(Fault::ChainBroken));
        }
        let at = before.map_or_else(Default::default, |before| before.at);
        Ok((header.journal, Position { at, ..Position::start(&header) }))
    }
}

/// Makes room up to `ahead`, or where there is not that much, up to `least`, and tells where it ends.
pub(super) fn room(path: &Path, storage: &mut dyn Storage, space: u64, least: u64, ahead: u64) -> Result<u64, JournalError> {
    match extend(path, storage, space, ahead) {
        Err(JournalError::Full { .. }) if least < ahead => extend(path, storage, space, least).map(|()| least),
        extended => extended.map(|()| ahead),
    }
}

/// Writes zeros up to `end` behind the `space` bytes that are there, and syncs them. Where there is no room, the file is as
/// long as before, and another try may do better: nothing was ever told of zeros.
fn extend(path: &Path, storage: &mut dyn Storage, space: u64, end: u64) -> Result<(), JournalError> {
    let zeros = vec![0; usize::try_from(end.saturating_sub(space)).unwrap_or(0)];
    let source = match storage.write_at(space, &zeros).and_then(|()| storage.sync()) {
        Ok(()) => return Ok(()),
        Err(source) => source,
    };
    use std::io::ErrorKind::{FileTooLarge, QuotaExceeded, ReadOnlyFilesystem, StorageFull};
    if !matches!(source.kind(), StorageFull | QuotaExceeded | FileTooLarge | ReadOnlyFilesystem) {
        return Err(io_error("make room in", path, source));
    }
    // If it cannot be cut, zeros are left over, which are no record.
    let _ = storage.truncate(space);
    Err(JournalError::Full { path: path.to_owned(), source })
}

/// Whether the segment that begins with `first` stands where the one that was read to `before` ends.
pub(super) fn check_order(first: Seq, before: Option<&Position>) -> Result<(), JournalError> {
    let next = before.map_or(Seq(1), |before| before.head.seq.next());
    let corrupt = |named, offset, seq, what| Err(JournalError::Corrupt { segment: segment_name(named), offset, seq, what });
    if first > next {
        let to = Seq(first.0.saturating_sub(1));
        return corrupt(next, 0, next, Fault::SegmentGap { from: next, to });
    }
    if first < next {
        return corrupt(first, 0, first, Fault::SegmentOverlap);
    }
    match before {
        Some(before) if !before.is_sealed => corrupt(before.segment, before.offset, next, Fault::SegmentUnsealed),
        _ => Ok(()),
    }
}

/// Where a walk over a whole journal is.
#[derive(Clone, Copy)]
pub(super) enum Place {
    /// In front of the first batch of a segment.
    Start(Position),
    /// Behind a batch.
    Behind(Position),
}

/// A walk over a whole journal. It keeps what it found sound, also when it ends with an error.
pub(super) struct Scan<'a> {
    volume: &'a dyn Volume,
    pub(super) sound: Option<(JournalId, Position)>,
}

impl<'a> Scan<'a> {
    pub(super) fn new(volume: &'a dyn Volume) -> Self {
        Self { volume, sound: None }
    }

    /// Reads everything and hands each batch to `each`. Returns the last segment, and what is torn at its end.
    ///
    /// # Errors
    /// [`JournalError::Corrupt`], [`JournalError::TooNew`], [`JournalError::Io`], [`JournalError::Unsafe`].
    pub(super) fn run(
        &mut self,
        firsts: &[Seq],
        access: Access,
        each: &mut dyn FnMut(Place, &mut Vec<Record>),
    ) -> Result<(Segment, Option<Damage>), JournalError> {
        let mut records = Vec::new();
        for (i, &first) in firsts.iter().enumerate() {
            let (known, before) = self.sound.unzip();
            check_order(first, before.as_ref())?;
            let is_last = i.saturating_add(1) == firsts.len();
            let segment = Segment::open(self.volume, first, if is_last { access } else { Access::Read })?;
            let Some(segment) = segment else { break };
            let mut walk = segment.walk();
            let (journal, mut position) = segment.enter(&mut walk, known, before.as_ref())?;
            self.sound = Some((journal, position));
            each(Place::Start(position), &mut records);
            let mut read_again = true;
            let torn = loop {
                match walk.step(&mut position, &mut records)? {
                    Step::Batch => {
                        each(Place::Behind(position), &mut records);
                        self.sound = Some((journal, position));
                        read_again = true;
                    }
                    Step::End => break None,
                    // A writer may have been at it while we read.
                    Step::Unsound(_) if read_again => {
                        read_again = false;
                        walk.refresh();
                    }
                    Step::Unsound(damage) if !is_last || walk.later_batch(&position)?.is_some() => {
                        return Err(walk.corrupt(damage));
                    }
                    Step::Unsound(damage) => break Some(damage),
                }
            };
            if is_last {
                return Ok((segment, torn));
            }
        }
        // There was none, or one went away while we read.
        Err(io_error("read", &self.volume.path_of(Seq(1)), std::io::ErrorKind::NotFound.into()))
    }
}
