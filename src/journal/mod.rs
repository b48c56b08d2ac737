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
mod storage;

use std::path::{Path, PathBuf};

use directory::{Access, Directory, io_error, segment_name};
pub use error::{JournalError, Newer};
use format::{BatchBuilder, OverLimit, SegmentHeader};
pub use inspect::{Extent, Shown, Verdict, show, verify};
pub use lock::Lock;
pub use memory::{MemoryStorage, SECTOR_BYTES};
use reader::Index;
pub use reader::Reader;
use recovery::{Position, Step, Walk};
pub use storage::{FileStorage, Storage};

use crate::pairing::{Digest, JournalId, JournalRepaired, Record, Seq};

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
    storage: Box<dyn Storage>,
    path: PathBuf,
    journal: JournalId,
    position: Position,
    index: Index,
    poisoned: bool,
    /// Held as long as somebody may write; none over storage that is not a directory's.
    lock: Option<Lock>,
}

/// Makes an empty file for a torn end that begins at the offset, and tells the file's name.
pub type MakeAside<'a> = &'a mut dyn FnMut(u64) -> Result<(String, Box<dyn Storage>), JournalError>;

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
        let directory = lock.directory();
        if !directory.segments()?.is_empty() {
            return Err(JournalError::Exists { path: directory.path().to_owned() });
        }
        let header = SegmentHeader::of_new(id);
        let segment = segment_name(header.first);
        let storage = directory.publish(&segment, &header.encode())?;
        let path = directory.path_of(&segment);
        Ok(Self::begun(Box::new(storage), path, &header, Some(lock)))
    }

    /// Opens the journal in the directory that `lock` is for, and hands every record to `apply`, in order. A torn end is put
    /// aside; the caller appends what is returned of it as the next record. After an error, what was applied is to be thrown away.
    ///
    /// # Errors
    /// [`JournalError::NotAJournal`], [`JournalError::Corrupt`] and [`JournalError::TooNew`] (nothing was changed),
    /// [`JournalError::Io`], [`JournalError::Unsafe`].
    pub fn open(lock: Lock, apply: &mut dyn FnMut(Record)) -> Result<(Self, Option<JournalRepaired>), JournalError> {
        let directory = lock.directory();
        let (segment, first) = segment_of(directory)?;
        let storage = Box::new(FileStorage::new(directory.file(&segment, Access::Write)?));
        let mut make_aside = |offset| {
            let (name, kept) = directory.aside(&segment, offset)?;
            // The name must be on the disk before the bytes are cut off; they follow with the file's own sync.
            directory.sync()?;
            let kept: Box<dyn Storage> = Box::new(kept);
            Ok((name, kept))
        };
        let (mut journal, repaired) = Self::opened(storage, directory.path_of(&segment), first, &mut make_aside, apply)?;
        journal.lock = Some(lock);
        Ok((journal, repaired))
    }

    /// Makes a journal without records on `storage`, which is empty.
    ///
    /// # Errors
    /// [`JournalError::Io`].
    pub fn create_on(mut storage: Box<dyn Storage>, id: JournalId) -> Result<Self, JournalError> {
        let header = SegmentHeader::of_new(id);
        let path = PathBuf::from(segment_name(header.first));
        storage.write_at(0, &header.encode()).map_err(|source| io_error("write", &path, source))?;
        storage.sync().map_err(|source| io_error("sync", &path, source))?;
        Ok(Self::begun(storage, path, &header, None))
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
        let first = Seq(1);
        Self::opened(storage, PathBuf::from(segment_name(first)), first, make_aside, apply)
    }

    fn begun(storage: Box<dyn Storage>, path: PathBuf, header: &SegmentHeader, lock: Option<Lock>) -> Self {
        let position = Position::start(header);
        let index = Index::new(position);
        Self { storage, path, journal: header.journal, position, index, poisoned: false, lock }
    }

    fn opened(
        mut storage: Box<dyn Storage>,
        path: PathBuf,
        first: Seq,
        make_aside: MakeAside<'_>,
        apply: &mut dyn FnMut(Record),
    ) -> Result<(Self, Option<JournalRepaired>), JournalError> {
        let mut walk = Walk::new(&path, &*storage);
        let header = walk.header(first)?;
        let mut position = Position::start(&header);
        let mut index = Index::new(position);
        let mut batch = Vec::new();
        let is_torn = loop {
            match walk.step(&mut position, &mut batch)? {
                Step::Batch => {
                    batch.drain(..).for_each(&mut *apply);
                    index.note(position);
                }
                Step::End => break false,
                Step::Unsound(damage) if walk.later_batch(&position)?.is_some() => return Err(walk.corrupt(damage)),
                Step::Unsound(_) => break true,
            }
        };
        let repaired = if is_torn {
            let (kept, mut aside) = make_aside(position.offset)?;
            let bytes = recovery::put_aside(&path, &mut *storage, position.offset, &mut *aside)?;
            Some(JournalRepaired { after: position.head.seq, offset: position.offset, bytes, kept })
        } else {
            // Who wrote the last batch may have died before its sync. It counts now, so it must not be lost, and the next one
            // must not reach the disk before it.
            storage.sync().map_err(|source| io_error("sync", &path, source))?;
            None
        };
        Ok((Self { storage, path, journal: header.journal, position, index, poisoned: false, lock: None }, repaired))
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
        let storage = self.storage.another().map_err(|source| io_error("open", &self.path, source))?;
        Ok(Reader::at(storage, self.path.clone(), self.journal, self.index.clone()))
    }

    /// Appends `records` as one batch after `expected`: one write, one sync. When it returns, they are on the disk; after
    /// an error from the disk nobody knows, and nothing more is accepted. No records, no batch.
    ///
    /// # Errors
    /// Before anything is written: [`JournalError::WrongHead`], [`JournalError::Misordered`], [`JournalError::TooLarge`],
    /// [`JournalError::Unfaithful`], [`JournalError::Poisoned`]. Else [`JournalError::Io`].
    pub fn append(&mut self, expected: Head, records: &[Record]) -> Result<Head, JournalError> {
        if self.poisoned {
            return Err(JournalError::Poisoned);
        }
        let before = self.position;
        if expected != before.head {
            return Err(JournalError::WrongHead { expected: expected.seq, actual: before.head.seq });
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
        let (bytes, hash) = batch.finish(&before.head.hash);
        self.write(before.offset, &bytes)?;
        self.position = Position {
            offset: before.offset.saturating_add(storage::length(bytes.len())),
            head: Head { seq: last.0, hash },
            at: last.1,
        };
        self.index.note(self.position);
        Ok(self.position.head)
    }

    fn write(&mut self, offset: u64, bytes: &[u8]) -> Result<(), JournalError> {
        let written = match self.storage.write_at(offset, bytes) {
            Ok(()) => self.storage.sync().map_err(|source| io_error("sync", &self.path, source)),
            Err(source) => Err(io_error("write", &self.path, source)),
        };
        self.poisoned = written.is_err();
        written
    }
}

/// The one segment that this version has: its file name and its first seq.
fn segment_of(directory: &Directory) -> Result<(String, Seq), JournalError> {
    let corrupt = |first, what| JournalError::Corrupt { segment: segment_name(first), offset: 0, seq: first, what };
    match *directory.segments()?.as_slice() {
        [] => Err(JournalError::NotAJournal { path: directory.path().to_owned() }),
        [first] if first == Seq(1) => Ok((segment_name(first), first)),
        [first, ..] if first != Seq(1) => Err(corrupt(first, format::Fault::SegmentMissing)),
        [_, second, ..] => Err(corrupt(second, format::Fault::SegmentStray)),
        [first] => Err(corrupt(first, format::Fault::SegmentMissing)),
    }
}

/// The payload of `record`, after it was read back and compared.
fn faithful_payload(record: &Record) -> Result<Vec<u8>, JournalError> {
    let payload = codec::encode(&record.actor, &record.event).ok_or(JournalError::TooLarge {
        found: crate::limits::RECORD_BYTES.saturating_add(1),
        limit: crate::limits::RECORD_BYTES,
    })?;
    match codec::decode(record.event.kind(), &payload) {
        Ok((actor, event)) if actor == record.actor && event == record.event => Ok(payload),
        _ => Err(JournalError::Unfaithful { seq: record.seq }),
    }
}

fn too_large(over: OverLimit) -> JournalError {
    JournalError::TooLarge { found: over.found, limit: over.limit }
}
