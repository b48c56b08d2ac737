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

mod checkpoint;
pub mod codec;
mod directory;
mod error;
pub mod format;
mod found;
mod inspect;
mod lock;
mod memory;
mod reader;
mod recovery;
mod segments;
mod storage;
mod witness;

use std::path::Path;
use std::sync::Arc;

pub use checkpoint::Checkpoint;
use directory::{Directory, io_error, unsafe_path};
pub use error::{JournalError, Newer};
use format::{BatchBuilder, OverLimit, SegmentHeader};
pub use found::{Found, Lost};
pub use inspect::{Extent, Shown, Verdict, read_all, show, verify};
pub use lock::{Lock, check_locks, holder};
pub use memory::{Chance, MemoryStorage, MemoryVolume, SECTOR_BYTES};
use reader::Index;
pub use reader::Reader;
use recovery::Position;
use segments::{Segment, segment_name};
pub use storage::{Access, FileStorage, Storage, Volume};
pub use witness::Witness;

use crate::limits;
use crate::pairing::{Actor, Digest, Event, HistoryArchived, JournalId, JournalRepaired, Millis, Record, SegmentSealed, Seq};

/// The last record of a journal and the digest of the batch that ends with it: together they name everything before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// The last record's seq, 0 where there is none.
    pub seq: Seq,
    /// The last batch's digest; before the first batch, the one that the chain starts from.
    pub hash: Digest,
}

/// How many bytes a record of this would hold beside its frame; more than any may where it is too long to be one.
#[must_use]
pub fn payload_bytes(actor: &Actor, event: &Event) -> usize {
    codec::encode(actor, event).map_or(limits::RECORD_BYTES, |payload| payload.len())
}

/// The directory at `dir` as a volume.
///
/// # Errors
/// [`JournalError::NotAJournal`] where there is none, [`JournalError::Io`], [`JournalError::Unsafe`].
pub fn volume(dir: &Path) -> Result<Arc<dyn Volume>, JournalError> {
    match Directory::open(dir)? {
        Some(directory) => Ok(Arc::new(directory)),
        None => Err(JournalError::NotAJournal { path: dir.to_owned() }),
    }
}

/// The one writer of a journal.
pub struct Journal {
    volume: Arc<dyn Volume>,
    segment: Segment,
    journal: JournalId,
    position: Position,
    index: Index,
    /// The last record that may be missing at the beginning, because it is kept elsewhere.
    archived: Seq,
    options: Options,
    /// Bytes of the segment that are on the disk: what is written, and zeros.
    space: u64,
    poisoned: bool,
    /// Held as long as somebody may write; none over a volume in memory.
    lock: Option<Lock>,
    witness: Option<Witness>,
}

/// How a journal is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Bytes of a segment from which on it is sealed.
    pub segment_bytes: u64,
    /// Bytes of zeros made ahead at once; 0 makes none.
    pub step_bytes: u64,
    /// Bytes of these that only [`Journal::append_from_reserve`] may use.
    pub reserve_bytes: u64,
}

impl Default for Options {
    fn default() -> Self {
        let (segment_bytes, step_bytes) = (limits::SEGMENT_BYTES, limits::SEGMENT_STEP_BYTES);
        Self { segment_bytes, step_bytes, reserve_bytes: limits::SEGMENT_RESERVE_BYTES }
    }
}

impl Options {
    /// Segments of so many bytes, each as long as its records.
    #[must_use]
    pub fn without_room(segment_bytes: u64) -> Self {
        Self { segment_bytes, step_bytes: 0, reserve_bytes: 0 }
    }
}

impl Journal {
    /// Whether there is a journal in `dir`. Where that cannot be found out, that is an error, never "no".
    ///
    /// # Errors
    /// [`JournalError::Io`], [`JournalError::Unsafe`].
    pub fn exists(dir: &Path) -> Result<bool, JournalError> {
        Directory::open(dir)?.map_or(Ok(false), |directory| Self::is_in(&directory))
    }

    /// Whether there is a journal in `volume`.
    ///
    /// # Errors
    /// [`JournalError::Io`].
    pub fn is_in(volume: &dyn Volume) -> Result<bool, JournalError> {
        Ok(!segments::firsts(volume)?.is_empty())
    }

    /// Makes a journal without records in the directory that `lock` is for. It is on the disk when this returns, or not at all.
    ///
    /// # Errors
    /// [`JournalError::Exists`] where there is one, [`JournalError::Io`], [`JournalError::Unsafe`].
    pub fn create(lock: Lock, id: JournalId) -> Result<Self, JournalError> {
        let volume = lock.volume();
        Ok(Self { lock: Some(lock), ..Self::create_on(volume, id)? })
    }

    /// As [`Journal::create`], in `volume`.
    ///
    /// # Errors
    /// As [`Journal::create`].
    pub fn create_on(volume: Arc<dyn Volume>, id: JournalId) -> Result<Self, JournalError> {
        if !segments::firsts(&*volume)?.is_empty() {
            return Err(JournalError::Exists { path: volume.path_of("") });
        }
        let header = SegmentHeader::of_new(id);
        let name = segment_name(header.first);
        let (mut storage, path) = (segments::draft(&*volume, &name)?, volume.path_of(&name));
        begin(&mut *storage, &path, &header)?;
        segments::publish(&*volume, &name)?;
        let position = Position::start(&header);
        let segment = Segment { first: header.first, path, storage };
        let (index, space, options) = (Index::new(position), position.offset, Options::default());
        let (poisoned, lock, witness) = (false, None, None);
        Ok(Self { volume, segment, journal: id, position, index, archived: Seq(0), options, space, poisoned, lock, witness })
    }

    /// Opens the journal in the directory that `lock` is for, without a witness, and hands every record to `apply`.
    ///
    /// # Errors
    /// As [`Found::on`] and [`Found::open`].
    pub fn open(lock: Lock, apply: &mut dyn FnMut(&Record)) -> Result<(Self, Option<JournalRepaired>), JournalError> {
        Found::on(lock.volume(), Access::Write, None, apply)?.open(Some(lock), None)
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
        Ok(Reader::at(Arc::clone(&self.volume), self.segment.another()?, self.journal, self.index.clone()))
    }

    /// Lets `witness` remember the head from now on.
    pub fn be_witnessed(&mut self, mut witness: Witness) {
        witness.note(self.position.head);
        witness.sync();
        self.witness = Some(witness);
    }

    /// What remembers the head, if something does.
    #[must_use]
    pub fn witness(&self) -> Option<&Witness> {
        self.witness.as_ref()
    }

    /// Makes what the witness remembers durable, as far as that can be done.
    pub fn sync_witness(&mut self) {
        // After a failure nobody knows what it is behind of.
        if let Some(witness) = self.witness.as_mut().filter(|_| !self.poisoned) {
            witness.sync();
        }
    }

    /// Saves `image`, which is the state at the head, beside the journal. It is disposable: without it the next start only takes
    /// longer.
    ///
    /// # Errors
    /// [`JournalError::Io`]; the journal is as it was. [`JournalError::Poisoned`].
    pub fn save(&mut self, layout: u32, digest: (Digest, Digest), image: Vec<u8>) -> Result<(), JournalError> {
        if self.poisoned {
            return Err(JournalError::Poisoned);
        }
        // A checkpoint ahead of its witness would not be used.
        self.sync_witness();
        let firsts = segments::firsts(&*self.volume)?;
        let Self { journal, position, archived, .. } = *self;
        Checkpoint { journal, position, firsts, archived, layout, digest, image }.save(&*self.volume)
    }

    /// What to append, alone, before the segments whose last record is older than `before` are moved to `archive`; none where
    /// there are none.
    ///
    /// # Errors
    /// [`JournalError::Corrupt`], [`JournalError::Io`].
    pub fn archivable(&self, before: Millis, archive: &str) -> Result<Option<HistoryArchived>, JournalError> {
        let mut found = None;
        let mut reader = self.reader()?;
        // A segment ends where the next one begins; the last one goes on.
        for next in segments::firsts(&*self.volume)?.into_iter().skip(1) {
            let through = Seq(next.0.saturating_sub(1));
            let last = reader.read(through, 1)?;
            if last.first().is_none_or(|record| record.at >= before) {
                break;
            }
            let Some(head) = reader.head_at(through)? else { break };
            found = Some(HistoryArchived { through, hash: head.hash, archive: archive.to_owned() });
        }
        Ok(found.filter(|found| found.through > self.archived))
    }

    /// Moves the segments up to the last [`HistoryArchived`] to `archive`: each is whole and durable there before it goes here.
    /// Without a checkpoint behind them, which is saved before, the journal could not be opened.
    ///
    /// # Errors
    /// [`JournalError::Io`], [`JournalError::Unsafe`]; what was not moved is tried again with the next.
    pub fn archive(&mut self, archive: &Path) -> Result<(), JournalError> {
        let directory = Directory::open_or_create(archive)?;
        // What is written now is never archived, so where it lies is no archive but this very journal.
        if directory.open(&segment_name(self.segment.first), Access::Read)?.is_some() {
            return Err(unsafe_path(archive, "is the journal's own directory", "name another one as the archive"));
        }
        for first in segments::firsts(&*self.volume)?.into_iter().filter(|first| *first <= self.archived) {
            segments::copy(&*self.volume, &directory, &segment_name(first))?;
            self.volume.remove(&segment_name(first))?;
        }
        self.volume.sync()
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
        self.append_within(expected, records, self.options.reserve_bytes)
    }

    /// As [`Journal::append`], and where there is no room, in the room that is kept for it: for what takes power away, which a
    /// full disk must not prevent.
    ///
    /// # Errors
    /// As [`Journal::append`]; [`JournalError::Full`] only when the reserve is used up too.
    pub fn append_from_reserve(&mut self, expected: Head, records: &[Record]) -> Result<Head, JournalError> {
        self.append_within(expected, records, 0)
    }

    fn append_within(&mut self, expected: Head, records: &[Record], kept: u64) -> Result<Head, JournalError> {
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
        self.make_room(before.offset.saturating_add(storage::length(bytes.len())), kept)?;
        self.write(before.offset, &bytes)?;
        let offset = before.offset.saturating_add(storage::length(bytes.len()));
        self.position = Position { offset, is_sealed, head: Head { seq: last.0, hash }, at: last.1, ..before };
        self.index.note(self.position);
        if let [Record { event: Event::HistoryArchived(event), .. }] = records {
            self.archived = self.archived.max(event.through);
        }
        let head = self.position.head;
        if let Some(witness) = &mut self.witness {
            witness.note(head);
        }
        if draft.is_some_and(|draft| self.succeed(draft).is_err()) {
            // The seal itself is safe, so it happened. Without a segment behind it, nothing more can be written.
            self.poisoned = true;
        }
        Ok(head)
    }

    /// Makes sure of zeros up to `end` and of the reserve behind it. Where that fails for want of room, nothing has happened,
    /// and what is to be kept of the reserve decides whether there is enough all the same.
    fn make_room(&mut self, end: u64, kept: u64) -> Result<(), JournalError> {
        let Options { segment_bytes, step_bytes, reserve_bytes } = self.options;
        let least = end.saturating_add(reserve_bytes);
        if least <= self.space || step_bytes == 0 {
            return Ok(());
        }
        // The step ends with the segment, except where this very batch is to go beyond.
        let ahead = least.max(self.space.saturating_add(step_bytes).min(segment_bytes));
        match segments::room(&self.segment.path, &mut *self.segment.storage, self.space, least, ahead) {
            Ok(space) => self.space = space,
            Err(JournalError::Full { .. }) if end.saturating_add(kept) <= self.space => {}
            Err(error) => {
                self.poisoned = !matches!(error, JournalError::Full { .. });
                return Err(error);
            }
        }
        Ok(())
    }

    /// A file with room for the segment that begins with `first`, made before the one in front is sealed: behind a seal
    /// nothing can be written, so there must be a place to go on.
    fn draft(&self, first: Seq) -> Result<Box<dyn Storage>, JournalError> {
        let name = segment_name(first);
        let mut draft = segments::draft(&*self.volume, &name)?;
        let ahead = self.options.step_bytes.min(self.options.segment_bytes);
        segments::room(&self.volume.path_of(&name), &mut *draft, 0, 0, ahead)?;
        Ok(draft)
    }

    /// Begins the segment behind the seal. The sealed one loses the zeros at its end, so that it ends with its seal.
    fn succeed(&mut self, mut draft: Box<dyn Storage>) -> Result<(), JournalError> {
        cut_zeros(&mut self.segment, self.position.offset)?;
        let Head { seq, hash } = self.position.head;
        let header = SegmentHeader { journal: self.journal, first: seq.next(), chain: hash };
        let name = segment_name(header.first);
        let path = self.volume.path_of(&name);
        begin(&mut *draft, &path, &header)?;
        segments::publish(&*self.volume, &name)?;
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
            // Where a disk writes elsewhere than it read, room that was made may be none. What got through is cut off again.
            Err(source) if segments::is_full(&source) && storage.truncate(offset).is_ok() => {
                self.space = offset;
                return Err(JournalError::Full { path: path.clone(), source });
            }
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
