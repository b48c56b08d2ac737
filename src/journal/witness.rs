//! The head of a journal, kept apart from it (journal-format.md, "Witness"). A chain cannot notice that its own end is missing,
//! nor that all of it is an older copy; what remembers the head elsewhere can. It is written after every sync of the journal
//! and itself synced only now and then: behind the journal is normal, ahead of it never.

use std::path::{Path, PathBuf};

use super::Head;
use super::directory::{Directory, io_error};
use super::error::JournalError;
use super::format;
use super::storage::{Access, Storage, Volume};
use crate::pairing::{Digest, JournalId, Seq};

/// What a witness begins with.
const MAGIC: [u8; 8] = *b"\x89OCJW\r\n\x1a";
const BYTES: usize = 72;

/// A file that remembers a head.
pub struct Witness {
    path: PathBuf,
    storage: Box<dyn Storage>,
    journal: JournalId,
    seen: Option<Head>,
    is_well: bool,
}

impl Witness {
    /// Opens the witness of `journal` at `path`; none where there is no file.
    ///
    /// # Errors
    /// [`JournalError::Io`], [`JournalError::Unsafe`].
    pub fn open(path: &Path, journal: JournalId) -> Result<Option<Self>, JournalError> {
        let (parent, name) = parts(path);
        let Some(directory) = Directory::open(parent)? else { return Ok(None) };
        Self::open_on(&directory, &name, journal)
    }

    /// Makes a witness of `journal` at `path`, and the directory where there is none.
    ///
    /// # Errors
    /// [`JournalError::Io`], [`JournalError::Unsafe`].
    pub fn make(path: &Path, journal: JournalId) -> Result<Self, JournalError> {
        let (parent, name) = parts(path);
        Self::make_on(&Directory::open_or_create(parent)?, &name, journal)
    }

    /// As [`Witness::open`], in `volume`.
    ///
    /// # Errors
    /// As [`Witness::open`].
    pub fn open_on(volume: &dyn Volume, name: &str, journal: JournalId) -> Result<Option<Self>, JournalError> {
        let Some(storage) = volume.open(name, Access::Write)? else { return Ok(None) };
        let path = volume.path_of(name);
        let seen = read(&*storage, &path)?.filter(|(id, _)| *id == journal).map(|(_, head)| head);
        Ok(Some(Self { path, storage, journal, seen, is_well: true }))
    }

    /// The head that the witness at `path` remembers, and of which journal; none where there is no file, or another.
    ///
    /// # Errors
    /// [`JournalError::Io`], [`JournalError::Unsafe`].
    pub fn look(path: &Path) -> Result<Option<(JournalId, Head)>, JournalError> {
        let (parent, name) = parts(path);
        let Some(directory) = Directory::open(parent)? else { return Ok(None) };
        directory.open(&name, Access::Read)?.map_or(Ok(None), |storage| read(&*storage, path))
    }

    /// As [`Witness::make`], in `volume`.
    ///
    /// # Errors
    /// As [`Witness::make`].
    pub fn make_on(volume: &dyn Volume, name: &str, journal: JournalId) -> Result<Self, JournalError> {
        let storage = volume.make(name)?;
        volume.sync()?;
        Ok(Self { path: volume.path_of(name), storage, journal, seen: None, is_well: true })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The head it remembers; none where what it holds is not what was written.
    #[must_use]
    pub fn head(&self) -> Option<Head> {
        self.seen
    }

    /// Whether all that it was to remember was written.
    #[must_use]
    pub fn is_well(&self) -> bool {
        self.is_well
    }

    /// Remembers a head that is durable. That it cannot is no reason to stop: it is then behind.
    pub(super) fn note(&mut self, head: Head) {
        self.is_well = self.storage.write_at(0, &encode(self.journal, head)).is_ok();
        self.seen = Some(head);
    }

    /// Makes what it remembers durable, as far as that can be done.
    pub(super) fn sync(&mut self) {
        self.is_well &= self.storage.sync().is_ok();
    }
}

fn parts(path: &Path) -> (&Path, String) {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    (path.parent().unwrap_or_else(|| Path::new("/")), name)
}

fn encode(journal: JournalId, head: Head) -> Vec<u8> {
    let mut bytes = [&MAGIC[..], &format::VERSION.to_le_bytes(), &journal.0, &head.seq.0.to_le_bytes(), &head.hash.0].concat();
    bytes.extend_from_slice(&format::checksum(&bytes).to_le_bytes());
    bytes
}

fn read(storage: &dyn Storage, path: &Path) -> Result<Option<(JournalId, Head)>, JournalError> {
    let mut bytes = [0; BYTES];
    let read = storage.read_at(0, &mut bytes).map_err(|source| io_error("read", path, source))?;
    Ok(decode(bytes.get(..read).unwrap_or_default()))
}

fn decode(bytes: &[u8]) -> Option<(JournalId, Head)> {
    let fields: &[u8; BYTES] = bytes.first_chunk()?;
    let journal = fields.get(12..)?.first_chunk().map(|id| JournalId(*id))?;
    let seq = fields.get(28..)?.first_chunk().map(|seq| Seq(u64::from_le_bytes(*seq)))?;
    let hash = fields.get(36..)?.first_chunk().map(|hash| Digest(*hash))?;
    let head = Head { seq, hash };
    (encode(journal, head) == fields).then_some((journal, head))
}
