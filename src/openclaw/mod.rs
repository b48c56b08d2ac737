//! What did a real OpenClaw keep? Its paired devices, out of the JSON files of 2026.3.13 and the database of 2026.9.6, as facts in
//! our own words, and what is not sound among them. The text of a token is dropped where it is read: what leaves this room is its
//! digest. Nothing here is written but a private copy of the database, and what is decided with the facts is not known.

mod entry;
mod flaw;
mod json;
#[cfg(feature = "import-sqlite")]
mod sqlite;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs::File;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

use crate::limits;
use crate::pairing::{Digest, ImportedGrant, Millis, Profile};
use crate::state::{self, StateError};
pub use flaw::{Flaw, Remark};

/// The paired devices of 2026.3.13.
const PAIRED: &str = "devices/paired.json";
/// What our gateway put aside before its first copy took the place of [`PAIRED`].
const ORIGINAL: &str = "devices/paired.openclaw.json";
/// The requests of 2026.3.13.
const PENDING: &str = "devices/pending.json";
/// What nodes offer, in 2026.3.13.
const NODES: &str = "nodes/paired.json";
/// The state of 2026.9.6.
const DATABASE: &str = "state/openclaw.sqlite";

/// Why nothing can be taken over.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// A file cannot be read.
    #[error(transparent)]
    State(#[from] StateError),
    /// There is no state of OpenClaw.
    #[error(
        "{} holds nothing that OpenClaw kept: neither {PAIRED} (2026.3.13) nor {DATABASE} (2026.9.6); name its state directory: \
         openclaw import <dir>",
        path.display()
    )]
    Nothing {
        /// The directory.
        path: PathBuf,
    },
    /// A file is not what OpenClaw writes there.
    #[error("{} cannot be read as what OpenClaw writes there: {why}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What does not fit.
        why: String,
    },
    /// Somebody writes it just now.
    #[error("{} is being written; stop OpenClaw first", path.display())]
    Changing {
        /// The file.
        path: PathBuf,
    },
    /// More than can be taken over.
    #[error("{} holds more than {limit} devices", path.display())]
    TooMany {
        /// The file.
        path: PathBuf,
        /// The bound.
        limit: usize,
    },
    /// Built for JSON only.
    #[error("{} is a database of OpenClaw 2026.9.6, which this program was built without: build it with the feature import-sqlite", path.display())]
    NoDatabases {
        /// The file.
        path: PathBuf,
    },
}

/// A file that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// Its name below the directory.
    pub name: &'static str,
    /// SHA-256 of its bytes.
    pub digest: Digest,
}

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// The files, in the order in which they were read.
    pub sources: Vec<Source>,
    /// The devices, by id.
    pub devices: Vec<Found>,
    /// What is not sound, and what is not taken over.
    pub remarks: Vec<Remark>,
}

/// A device that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Who it is.
    pub profile: Profile,
    /// What it holds: roles by number, each once.
    pub grants: Vec<ImportedGrant>,
    /// When OpenClaw last saw it.
    pub last_seen: Option<Millis>,
}

impl Kept {
    /// SHA-256 of what all of it was read from: of the lines that `sha256sum` prints for the files.
    #[must_use]
    pub fn digest(&self) -> Digest {
        let lines = self.sources.iter().fold(String::new(), |mut lines, source| {
            // Writing to a string cannot fail.
            let _ = writeln!(lines, "{}  {}", source.digest, source.name);
            lines
        });
        Digest(Sha256::digest(lines).into())
    }
}

/// Reads what a real OpenClaw kept in its state directory `dir`. Where both releases were here, what the newer one says of a device
/// counts, as it does for itself. In a directory with a journal of ours, devices without tokens are our own copy and no source.
///
/// # Errors
/// [`SourceError`]: what cannot be read as a whole. What is wrong with one device is a remark.
pub fn look(dir: &Path, has_our_journal: bool) -> Result<Kept, SourceError> {
    let mut reading = Reading { dir, kept: Kept { sources: vec![], devices: vec![], remarks: vec![] }, known: BTreeSet::new() };
    let has_database = reading.database()?;
    let has_files = reading.files(has_our_journal)?;
    if !has_database && !has_files {
        return Err(SourceError::Nothing { path: dir.to_owned() });
    }
    reading.kept.devices.sort_by_key(|found| found.profile.device);
    Ok(reading.kept)
}

/// What OpenClaw says of a device, as the JSON of 2026.3.13 has it; of the other release it is put into that form.
type Entry = Map<String, Value>;

/// The directory, and what was found in it so far.
struct Reading<'a> {
    dir: &'a Path,
    kept: Kept,
    /// Every id that was met.
    known: BTreeSet<String>,
}

impl Reading<'_> {
    /// Opens a file and tells where it is; none where it is absent.
    fn open(&self, name: &str) -> Result<(PathBuf, Option<File>), SourceError> {
        let path = self.dir.join(name);
        let file = state::open_untouched(&path)?;
        Ok((path, file))
    }

    /// Reads a whole file; none where it is absent.
    fn read(&mut self, name: &'static str) -> Result<Option<Vec<u8>>, SourceError> {
        let (path, Some(file)) = self.open(name)? else { return Ok(None) };
        let bytes = state::read_bounded(&path, file, limits::COPY_BYTES)?;
        self.was_read(name, Digest(Sha256::digest(&bytes).into()));
        Ok(Some(bytes))
    }

    fn was_read(&mut self, name: &'static str, digest: Digest) {
        self.kept.sources.push(Source { name, digest });
    }

    /// The files of 2026.3.13; whether there are any.
    fn files(&mut self, has_our_journal: bool) -> Result<bool, SourceError> {
        let (name, bytes) = match self.read(ORIGINAL)? {
            Some(bytes) => (ORIGINAL, Some(bytes)),
            None => (PAIRED, self.read(PAIRED)?),
        };
        let Some(bytes) = bytes else { return Ok(false) };
        let entries = json::entries(&bytes).map_err(|why| SourceError::Malformed { path: self.dir.join(name), why })?;
        let is_copy = |entry: &json::Item| has_our_journal && entry.as_ref().is_ok_and(|entry| !entry.contains_key("tokens"));
        let (copied, entries): (Vec<_>, Vec<_>) = entries.into_iter().partition(|(_, entry)| is_copy(entry));
        if !copied.is_empty() {
            self.remark(None, Flaw::OwnCopy { name, devices: copied.len() });
        }
        let surfaces = self.read(NODES)?.map(|bytes| json::entries(&bytes)).unwrap_or_else(|| Ok(vec![]));
        let surfaces: BTreeMap<_, _> = match surfaces {
            Ok(surfaces) => surfaces.into_iter().filter_map(|(id, surface)| Some((id, surface.ok()?))).collect(),
            Err(_) => {
                self.remark(None, Flaw::Unreadable(NODES));
                BTreeMap::new()
            }
        };
        let entries = entries.into_iter().map(|(id, entry)| {
            let entry = entry.map(|mut entry| {
                entry.extend(surfaces.get(&id).map(|surface| ("nodeSurface".to_owned(), surface.clone().into())));
                entry
            });
            (id, entry)
        });
        self.take(name, entries.collect(), entry::NeedsToken::No)?;
        match self.read(PENDING)?.as_deref().map(json::count) {
            None | Some(Some(0)) => {}
            Some(Some(requests)) => self.remark(None, Flaw::Pending { name: PENDING, requests }),
            Some(None) => self.remark(None, Flaw::Unreadable(PENDING)),
        }
        Ok(true)
    }

    /// The database of 2026.9.6; whether there is one.
    #[cfg(feature = "import-sqlite")]
    fn database(&mut self) -> Result<bool, SourceError> {
        let Some(read) = sqlite::read(self)? else { return Ok(false) };
        self.take(DATABASE, read.paired, entry::NeedsToken::Yes)?;
        if read.pending > 0 {
            self.remark(None, Flaw::Pending { name: DATABASE, requests: read.pending });
        }
        Ok(true)
    }

    #[cfg(not(feature = "import-sqlite"))]
    fn database(&mut self) -> Result<bool, SourceError> {
        match self.open(DATABASE)? {
            (path, Some(_)) => Err(SourceError::NoDatabases { path }),
            (_, None) => Ok(false),
        }
    }

    /// Takes what is sound of these, and remarks on the rest.
    fn take(
        &mut self,
        name: &'static str,
        entries: Vec<(String, json::Item)>,
        needs_token: entry::NeedsToken,
    ) -> Result<(), SourceError> {
        if entries.len() > limits::IMPORTED_DEVICES {
            return Err(SourceError::TooMany { path: self.dir.join(name), limit: limits::IMPORTED_DEVICES });
        }
        for (id, entry) in entries {
            if !self.known.insert(id.clone()) {
                self.remark(Some(&id), Flaw::Older(name));
                continue;
            }
            let mut flaws = vec![];
            let found = match entry {
                Ok(entry) => entry::device(&id, &entry, needs_token, &mut flaws),
                Err(flaw) => Err(flaw),
            };
            match found {
                Ok(found) => self.kept.devices.push(found),
                // What else is wrong with it does not matter then.
                Err(flaw) => flaws = vec![flaw],
            }
            flaws.into_iter().for_each(|flaw| self.remark(Some(&id), flaw));
        }
        Ok(())
    }

    fn remark(&mut self, device: Option<&str>, flaw: Flaw) {
        self.kept.remarks.push(Remark { device: device.map(entry::named), flaw });
    }
}
