//! What is on disk, and can it be trusted? Records go in and come out in order, each batch with one write and one sync; the
//! bytes are those of `journal-format.md`. The room knows neither policy nor roles nor scopes, neither sockets nor JSON: a
//! record is an event with its place, and what it means is decided elsewhere.
//!
//! What most people would get wrong: after a failed write or sync a second try proves nothing, because the system may have
//! dropped what it could not write. The journal is then poisoned, and only reading it again from the disk tells what is there.
#![warn(
    clippy::indexing_slicing,
    clippy::as_conversions,
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    reason = "whatever bytes are on the disk, nothing here may panic"
)]

pub mod codec;
mod directory;
mod error;
pub mod format;
mod inspect;
mod lock;
mod memory;
mod reader;
mod recovery;
mod segments;
mod storage;

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use directory::{Access, Directory, io_error, segment_name};
pub use error::{JournalError, Newer};
use format::{BatchBuilder, OverLimit, SegmentHeader};
pub use inspect::{Extent, Shown, Verdict, read_all, show, verify};
pub use lock::Lock;
pub use memory::{MemoryStorage, SECTOR_BYTES};
use reader::Index;
pub use reader::Reader;
use recovery::Position;
use segments::{Alone, Place, Scan, Segment, Volume};
pub use storage::{FileStorage, Storage};

use crate::limits;
use crate::pairing::{Digest, JournalId, JournalRepaired, Record, SegmentSealed, Seq};

/// The last record of a journal and the digest of the batch that ends with it: together they name everything before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// The last record's seq, 0 where there is none.
    pub seq: Seq,
    /// The last batch's digest; before the first batch, the one that the chain starts from.
    pub hash: Digest,
}

/// The one writer of a journal.
pub struct Journal {
    volume: Arc<dyn Volume>,
    segment: Segment,
    journal: JournalId,
    position: Position,
    index: Index,
    options: Options,
    /// Bytes of the segment that are on the disk: what is written, and zeros.
    space: u64,
    poisoned: bool,
    /// Held as long as somebody may write; none over storage that is not a directory's.
    lock: Option<Lock>,
}

/// Makes an empty file for a torn end that begins at the offset, and tells the file's name.
pub type MakeAside<'a> = &'a mut dyn FnMut(u64) -> Result<(String, Box<dyn Storage>), JournalError>;

/// How a journal is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Bytes of a segment from which on it is sealed.
    pub segment_bytes: u64,
    /// Bytes of zeros made ahead at once; 0 makes none.
    pub step_bytes: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self { segment_bytes: limits::SEGMENT_BYTES, step_bytes: limits::SEGMENT_STEP_BYTES }
    }
}

impl Options {
    /// One segment that is as long as its records.
    const ALONE: Self = Self { segment_bytes: u64::MAX, step_bytes: 0 };
}

impl Journal {
    /// Whether there is a journal in `dir`. Where that cannot be found out, that is an error, never "no".
    ///
    /// # Errors
    /// [`JournalError::Io`], [`JournalError::Unsafe`].
    pub fn exists(dir: &Path) -> Result<bool, JournalError> {
        let Some(directory) = Directory::open(dir)? else { return Ok(false) };
        Ok(!directory.segments()?.is_empty())
    }

    /// Makes a journal without records in the directory that `lock` is for. It is on the disk when this returns, or not at all.
    ///
    /// # Errors
    /// [`JournalError::Exists`] where there is one, [`JournalError::Io`], [`JournalError::Unsafe`].
    pub fn create(lock: Lock, id: JournalId) -> Result<Self, JournalError> {
        let directory = Arc::clone(lock.directory());
        if !directory.segments()?.is_empty() {
            return Err(JournalError::Exists { path: directory.path().to_owned() });
        }
        let header = SegmentHeader::of_new(id);
        let mut storage = Volume::draft(&*directory, header.first)?;
        begin(&mut *storage, &Volume::path_of(&*directory, header.first), &header)?;
        Volume::publish(&*directory, header.first)?;
        Ok(Self { lock: Some(lock), ..Self::begun(directory, storage, &header, Options::default()) })
    }

    /// Opens the journal in the directory that `lock` is for, and hands every record to `apply`, in order. A torn end is put
    /// aside; the caller appends what is returned of it as the next record. After an error, what was applied is to be thrown away.
    ///
    /// # Errors
    /// [`JournalError::NotAJournal`], [`JournalError::Corrupt`] and [`JournalError::TooNew`] (nothing was changed),
    /// [`JournalError::Io`], [`JournalError::Unsafe`].
    pub fn open(lock: Lock, apply: &mut dyn FnMut(Record)) -> Result<(Self, Option<JournalRepaired>), JournalError> {
        let directory = Arc::clone(lock.directory());
        if directory.segments()?.is_empty() {
            return Err(JournalError::NotAJournal { path: directory.path().to_owned() });
        }
        let mut make_aside = |segment: &str, offset| {
            let (name, kept) = directory.aside(segment, offset)?;
            // The name must be on the disk before the bytes are cut off; they follow with the file's own sync.
            directory.sync()?;
            let kept: Box<dyn Storage> = Box::new(kept);
            Ok((name, kept))
        };
        let volume: Arc<Directory> = Arc::clone(&directory);
        let (mut journal, repaired) = Self::opened(volume, &mut make_aside, apply)?;
        journal.lock = Some(lock);
        Ok((journal, repaired))
    }

    /// Makes a journal without records on `storage`, which is empty. It has one segment, which is never sealed.
    ///
    /// # Errors
    /// [`JournalError::Io`].
    pub fn create_on(mut storage: Box<dyn Storage>, id: JournalId) -> Result<Self, JournalError> {
        let header = SegmentHeader::of_new(id);
        let path = PathBuf::from(segment_name(header.first));
        begin(&mut *storage, &path, &header)?;
        let volume = Arc::new(Alone::new(storage.another().map_err(|source| io_error("open", &path, source))?));
        Ok(Self::begun(volume, storage, &header, Options::ALONE))
    }

    /// Opens the journal on `storage`, as [`Journal::open`] does.
    ///
    /// # Errors
    /// As [`Journal::open`].
    pub fn open_on(
        storage: Box<dyn Storage>,
        make_aside: MakeAside<'_>,
        apply: &mut dyn FnMut(Record),
    ) -> Result<(Self, Option<JournalRepaired>), JournalError> {
        let (journal, repaired) = Self::opened(Arc::new(Alone::new(storage)), &mut |_, offset| make_aside(offset), apply)?;
        Ok((journal.with(Options::ALONE), repaired))
    }

    fn begun(volume: Arc<dyn Volume>, storage: Box<dyn Storage>, header: &SegmentHeader, options: Options) -> Self {
        let position = Position::start(header);
        let segment = Segment { first: header.first, path: volume.path_of(header.first), storage };
        let (index, space) = (Index::new(position), position.offset);
        Self { volume, segment, journal: header.journal, position, index, options, space, poisoned: false, lock: None }
    }

    fn opened(
        volume: Arc<dyn Volume>,
        make_aside: MakeAsideOf<'_>,
        apply: &mut dyn FnMut(Record),
    ) -> Result<(Self, Option<JournalRepaired>), JournalError> {
        let mut scan = Scan::new(&*volume);
        let (mut index, mut last, mut end): (Option<Index>, Option<Range<u64>>, u64) = (None, None, 0);
        let firsts = volume.firsts()?;
        let (mut segment, torn) = scan.run(&firsts, Access::Write, &mut |place, batch| match place {
            Place::Start(start) => {
                index.get_or_insert_with(|| Index::new(start)).note(start);
                (last, end) = (None, start.offset);
            }
            Place::Behind(position) => {
                last = Some(end..position.offset);
                end = position.offset;
                batch.drain(..).for_each(&mut *apply);
                if let Some(index) = &mut index {
                    index.note(position);
                }
            }
        })?;
        let (Some((journal, position)), Some(index)) = (scan.sound, index) else {
            return Err(JournalError::NotAJournal { path: segment.path });
        };
        let repaired = if torn.is_some() {
            let (kept, mut aside) = make_aside(&segment_name(segment.first), position.offset)?;
            let bytes = recovery::put_aside(&segment.path, &mut *segment.storage, position.offset, &mut *aside)?;
            Some(JournalRepaired { after: position.head.seq, offset: position.offset, bytes, kept })
        } else {
            // Zeros may be of a sync that failed.
            cut_zeros(&mut segment, position.offset)?;
            None
        };
        // Who wrote the last batch may have died before its sync, or because of it, and then the system may take for clean what
        // never reached the disk. It counts now, so it must not be lost, and the next one must not reach the disk before it.
        recovery::write_again(&segment.path, &mut *segment.storage, last.unwrap_or(0..0))?;
        let (options, space) = (Options::default(), position.offset);
        let mut opened = Self { volume, segment, journal, position, index, options, space, poisoned: false, lock: None };
        if opened.position.is_sealed {
            let draft = opened.draft(position.head.seq.next())?;
            opened.succeed(draft)?;
        }
        Ok((opened, repaired))
    }

    /// Goes on with other options than the default ones.
    #[must_use]
    pub fn with(self, options: Options) -> Self {
        Self { options, ..self }
    }

    /// The seal to append next, alone, where the segment is as long as it should be.
    #[must_use]
    pub fn seal(&self) -> Option<SegmentSealed> {
        let is_due = self.position.offset >= self.options.segment_bytes && !self.position.is_sealed;
        is_due.then(|| self.position.seal())
    }

    /// The last record and the digest up to it.
    #[must_use]
    pub fn head(&self) -> Head {
        self.position.head
    }

    /// The journal's id.
    #[must_use]
    pub fn id(&self) -> JournalId {
        self.journal
    }

    /// A reader of the same journal that knows already what the writer read.
    ///
    /// # Errors
    /// [`JournalError::Io`].
    pub fn reader(&self) -> Result<Reader, JournalError> {
        let storage = self.segment.storage.another().map_err(|source| io_error("open", &self.segment.path, source))?;
        let segment = Segment { first: self.segment.first, path: self.segment.path.clone(), storage };
        Ok(Reader::at(Arc::clone(&self.volume), segment, self.journal, self.index.clone()))
    }

    /// Appends `records` as one batch after `expected`: one write, one sync. When it returns, they are on the disk; after
    /// an error from the disk nobody knows, and nothing more is accepted. No records, no batch. Behind a [`SegmentSealed`],
    /// which must be [`Journal::seal`] and alone, the next segment is begun.
    ///
    /// # Errors
    /// Before anything is written: [`JournalError::WrongHead`], [`JournalError::Misordered`], [`JournalError::TooLarge`],
    /// [`JournalError::Unfaithful`], [`JournalError::Full`], [`JournalError::Displaced`], [`JournalError::Poisoned`]. Else
    /// [`JournalError::Io`].
    pub fn append(&mut self, expected: Head, records: &[Record]) -> Result<Head, JournalError> {
        if self.poisoned {
            return Err(JournalError::Poisoned);
        }
        if let Some(Err(displaced)) = self.lock.as_ref().map(Lock::still_holds) {
            self.poisoned = true;
            return Err(displaced);
        }
        let before = self.position;
        if expected != before.head {
            return Err(JournalError::WrongHead { expected: expected.seq, actual: before.head.seq });
        }
        if before.is_sealed {
            return Err(JournalError::Poisoned);
        }
        let mut batch = BatchBuilder::new(before.head.seq.next());
        let mut last = (before.head.seq, before.at);
        for record in records {
            if record.seq != last.0.next() || record.seq == last.0 || record.at < last.1 {
                return Err(JournalError::Misordered { seq: record.seq });
            }
            batch.push(record.event.kind(), record.at, &faithful_payload(record)?).map_err(too_large)?;
            last = (record.seq, record.at);
        }
        if records.is_empty() {
            return Ok(before.head);
        }
        let Some(is_sealed) = before.is_sealed_by(records) else {
            return Err(JournalError::Misordered { seq: before.head.seq.next() });
        };
        let (bytes, hash) = batch.finish(&before.head.hash);
        let draft = if is_sealed { Some(self.draft(last.0.next())?) } else { None };
        self.make_room(before.offset.saturating_add(storage::length(bytes.len())))?;
        self.write(before.offset, &bytes)?;
        let offset = before.offset.saturating_add(storage::length(bytes.len()));
        self.position = Position { offset, is_sealed, head: Head { seq: last.0, hash }, at: last.1, ..before };
        self.index.note(self.position);
        let head = self.position.head;
        if draft.is_some_and(|draft| self.succeed(draft).is_err()) {
            // The seal itself is safe, so it happened. Without a segment behind it, nothing more can be written.
            self.poisoned = true;
        }
        Ok(head)
    }

    /// Makes sure of zeros up to `end`. Where that fails for want of room, nothing has happened.
    fn make_room(&mut self, end: u64) -> Result<(), JournalError> {
        if end <= self.space || self.options.step_bytes == 0 {
            return Ok(());
        }
        // The step ends with the segment, except where this very batch is to go beyond.
        let ahead = end.max(self.space.saturating_add(self.options.step_bytes).min(self.options.segment_bytes));
        let room = segments::room(&self.segment.path, &mut *self.segment.storage, self.space, end, ahead);
        self.poisoned = matches!(room, Err(ref error) if !matches!(error, JournalError::Full { .. }));
        self.space = room?;
        Ok(())
    }

    /// A file with room for the segment that begins with `first`, made before the one in front is sealed: behind a seal
    /// nothing can be written, so there must be a place to go on.
    fn draft(&self, first: Seq) -> Result<Box<dyn Storage>, JournalError> {
        let mut draft = self.volume.draft(first)?;
        let ahead = self.options.step_bytes.min(self.options.segment_bytes);
        segments::room(&self.volume.path_of(first), &mut *draft, 0, 0, ahead)?;
        Ok(draft)
    }

    /// Begins the segment behind the seal. The sealed one loses the zeros at its end, so that it ends with its seal.
    fn succeed(&mut self, mut draft: Box<dyn Storage>) -> Result<(), JournalError> {
        cut_zeros(&mut self.segment, self.position.offset)?;
        let Head { seq, hash } = self.position.head;
        let header = SegmentHeader { journal: self.journal, first: seq.next(), chain: hash };
        let path = self.volume.path_of(header.first);
        begin(&mut *draft, &path, &header)?;
        self.volume.publish(header.first)?;
        self.space = draft.size().map_err(|source| io_error("look at", &path, source))?;
        self.segment = Segment { first: header.first, path, storage: draft };
        self.position = Position { at: self.position.at, ..Position::start(&header) };
        self.index.note(self.position);
        Ok(())
    }

    fn write(&mut self, offset: u64, bytes: &[u8]) -> Result<(), JournalError> {
        let Segment { path, storage, .. } = &mut self.segment;
        let written = match storage.write_at(offset, bytes) {
            Ok(()) => storage.sync().map_err(|source| io_error("sync", path, source)),
            Err(source) => Err(io_error("write", path, source)),
        };
        self.poisoned = written.is_err();
        written
    }
}

/// Writes the header of a segment that is being made.
fn begin(storage: &mut dyn Storage, path: &Path, header: &SegmentHeader) -> Result<(), JournalError> {
    storage.write_at(0, &header.encode()).map_err(|source| io_error("write", path, source))?;
    storage.sync().map_err(|source| io_error("sync", path, source))
}

/// Cuts off what stands behind `end`, which is nothing but zeros.
fn cut_zeros(segment: &mut Segment, end: u64) -> Result<(), JournalError> {
    let Segment { path, storage, .. } = segment;
    if storage.size().map_err(|source| io_error("look at", path, source))? > end {
        storage.truncate(end).map_err(|source| io_error("cut", path, source))?;
        storage.sync().map_err(|source| io_error("sync", path, source))?;
    }
    Ok(())
}

/// As [`MakeAside`], told the segment's name as well.
type MakeAsideOf<'a> = &'a mut dyn FnMut(&str, u64) -> Result<(String, Box<dyn Storage>), JournalError>;

/// The payload of `record`, after it was read back and compared.
fn faithful_payload(record: &Record) -> Result<Vec<u8>, JournalError> {
    let payload = codec::encode(&record.actor, &record.event)
        .ok_or(JournalError::TooLarge { found: limits::RECORD_BYTES.saturating_add(1), limit: limits::RECORD_BYTES })?;
    match codec::decode(record.event.kind(), &payload) {
        Ok((actor, event)) if actor == record.actor && event == record.event => Ok(payload),
        _ => Err(JournalError::Unfaithful { seq: record.seq }),
    }
}

fn too_large(over: OverLimit) -> JournalError {
    JournalError::TooLarge { found: over.found, limit: over.limit }
}
