//! A disk that crashes when a test says so. It keeps what was synced apart from what was only written, bytes and names both.
//! After a crash any of the unsynced sectors may be there, in any combination, the length may have grown or not, and any of the
//! names that were made, changed or taken away since the last sync of the directory.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::directory::io_error;
use super::error::JournalError;
use super::storage::{Access, Storage, Volume, length};

/// Bytes that reach a disk together.
pub const SECTOR_BYTES: usize = 512;

/// A directory in memory, shared by all clones.
#[derive(Clone, Debug, Default)]
pub struct MemoryVolume {
    disk: Arc<Mutex<Disk>>,
}

/// A file of a [`MemoryVolume`].
#[derive(Clone, Debug)]
pub struct MemoryStorage {
    disk: Arc<Mutex<Disk>>,
    file: usize,
}

/// What a crash leaves to chance, for [`MemoryVolume::crashed`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Chance {
    /// Whether the change of a name reached the disk, counted from the last sync of the directory.
    Name(usize),
    /// Whether a file has its new length.
    Length(usize),
    /// Whether a sector of a file has its new bytes.
    Sector(usize, usize),
}

#[derive(Debug, Default)]
struct Disk {
    files: Vec<Bytes>,
    names: BTreeMap<String, usize>,
    synced_names: BTreeMap<String, usize>,
    /// Changes of names since the last sync, in order.
    changes: Vec<Change>,
    operations: u64,
    failing: Option<u64>,
    writes: u64,
    syncs: u64,
    failing_write: Option<u64>,
    failing_sync: Option<u64>,
    room: Option<usize>,
}

#[derive(Clone, Debug, Default)]
struct Bytes {
    now: Vec<u8>,
    synced: Vec<u8>,
    dirty: BTreeSet<usize>,
}

#[derive(Clone, Debug)]
enum Change {
    Made(String, usize),
    Renamed(String, String),
    Removed(String),
}

impl MemoryVolume {
    /// A directory with one file of this name and these bytes, all synced.
    #[must_use]
    pub fn holding(name: &str, bytes: Vec<u8>) -> Self {
        let volume = Self::default();
        volume.put(name, bytes);
        volume
    }

    /// Puts a file there, synced.
    pub fn put(&self, name: &str, bytes: Vec<u8>) {
        let mut disk = self.disk();
        let file = disk.files.len();
        disk.files.push(Bytes { now: bytes.clone(), synced: bytes, dirty: BTreeSet::new() });
        disk.names.insert(name.to_owned(), file);
        disk.synced_names.insert(name.to_owned(), file);
    }

    /// What a reader of the file sees now; nothing where there is no such file.
    #[must_use]
    pub fn bytes(&self, name: &str) -> Vec<u8> {
        let disk = self.disk();
        disk.names.get(name).and_then(|file| disk.files.get(*file)).map(|file| file.now.clone()).unwrap_or_default()
    }

    /// All files as a reader sees them now.
    #[must_use]
    pub fn files(&self) -> BTreeMap<String, Vec<u8>> {
        let names: Vec<_> = self.disk().names.keys().cloned().collect();
        names.into_iter().map(|name| (name.clone(), self.bytes(&name))).collect()
    }

    /// How many operations that change anything were asked for: writes, truncations, syncs, changes of names.
    #[must_use]
    pub fn operations(&self) -> u64 {
        self.disk().operations
    }

    /// How many writes (truncations among them) and syncs of files were asked for.
    #[must_use]
    pub fn writes_and_syncs(&self) -> (u64, u64) {
        let disk = self.disk();
        (disk.writes, disk.syncs)
    }

    /// Lets the `n`th operation from now fail, 1 being the next.
    pub fn fail(&self, n: u64) {
        let mut disk = self.disk();
        disk.failing = Some(disk.operations.saturating_add(n));
    }

    /// Lets the `n`th write from now fail, 1 being the next. The first half of it gets through.
    pub fn fail_write(&self, n: u64) {
        let mut disk = self.disk();
        disk.failing_write = Some(disk.writes.saturating_add(n));
    }

    /// Lets the `n`th sync from now fail, 1 being the next. What was written before it counts as written, never as synced.
    pub fn fail_sync(&self, n: u64) {
        let mut disk = self.disk();
        disk.failing_sync = Some(disk.syncs.saturating_add(n));
    }

    /// Takes what is not synced for clean, as a system does after a sync that failed: it can be read, and no later sync writes
    /// it.
    pub fn forget_unsynced(&self) {
        self.disk().files.iter_mut().for_each(|file| file.dirty.clear());
    }

    /// Lets no write reach beyond so many bytes of a file, as on a disk that is full.
    pub fn limit(&self, bytes: Option<usize>) {
        self.disk().room = bytes;
    }

    /// All that a crash now would leave to chance.
    #[must_use]
    pub fn chances(&self) -> Vec<Chance> {
        let disk = self.disk();
        let names = (0..disk.changes.len()).map(Chance::Name);
        let files = disk.files.iter().enumerate().flat_map(|(at, file)| {
            let length = (file.now.len() != file.synced.len()).then_some(Chance::Length(at));
            length.into_iter().chain(file.unsynced().map(move |sector| Chance::Sector(at, sector)))
        });
        names.chain(files).collect()
    }

    /// The disk after a crash in which, of all that was left to chance, what `happens` says has reached it.
    #[must_use]
    pub fn crashed(&self, mut happens: impl FnMut(Chance) -> bool) -> Self {
        let disk = self.disk();
        let mut names = disk.synced_names.clone();
        for (at, change) in disk.changes.iter().enumerate() {
            if happens(Chance::Name(at)) {
                change.apply(&mut names);
            }
        }
        let files: Vec<_> = disk.files.iter().enumerate().map(|(at, file)| file.crashed(at, &mut happens)).collect();
        Self { disk: Arc::new(Mutex::new(Disk { files, synced_names: names.clone(), names, ..Disk::default() })) }
    }

    fn disk(&self) -> MutexGuard<'_, Disk> {
        locked(&self.disk)
    }

    fn storage(&self, file: usize) -> Box<dyn Storage> {
        Box::new(MemoryStorage { disk: Arc::clone(&self.disk), file })
    }

    fn change(&self, op: &'static str, name: &str, change: Change) -> Result<(), JournalError> {
        let mut disk = self.disk();
        disk.operate().map_err(|source| io_error(op, &self.path_of(name), source))?;
        let Disk { names, .. } = &mut *disk;
        change.apply(names);
        disk.changes.push(change);
        Ok(())
    }
}

impl Volume for MemoryVolume {
    fn path_of(&self, name: &str) -> PathBuf {
        PathBuf::from(name)
    }

    fn names(&self) -> Result<Vec<String>, JournalError> {
        Ok(self.disk().names.keys().cloned().collect())
    }

    fn open(&self, name: &str, _: Access) -> Result<Option<Box<dyn Storage>>, JournalError> {
        let file = self.disk().names.get(name).copied();
        Ok(file.map(|file| self.storage(file)))
    }

    fn make(&self, name: &str) -> Result<Box<dyn Storage>, JournalError> {
        if self.disk().names.contains_key(name) {
            self.remove(name)?;
        }
        let file = self.disk().files.len();
        self.change("make", name, Change::Made(name.to_owned(), file))?;
        self.disk().files.push(Bytes::default());
        Ok(self.storage(file))
    }

    fn make_new(&self, name: &str) -> Result<Option<Box<dyn Storage>>, JournalError> {
        let is_there = self.disk().names.contains_key(name);
        if is_there { Ok(None) } else { self.make(name).map(Some) }
    }

    fn rename(&self, from: &str, to: &str) -> Result<(), JournalError> {
        self.change("rename", from, Change::Renamed(from.to_owned(), to.to_owned()))
    }

    fn remove(&self, name: &str) -> Result<(), JournalError> {
        self.change("remove", name, Change::Removed(name.to_owned()))
    }

    fn sync(&self) -> Result<(), JournalError> {
        let mut disk = self.disk();
        disk.operate().map_err(|source| io_error("sync", &self.path_of("."), source))?;
        disk.synced_names = disk.names.clone();
        disk.changes.clear();
        Ok(())
    }
}

impl Change {
    fn apply(&self, names: &mut BTreeMap<String, usize>) {
        match self {
            Self::Made(name, file) => drop(names.insert(name.clone(), *file)),
            Self::Renamed(from, to) => {
                if let Some(file) = names.remove(from) {
                    names.insert(to.clone(), file);
                }
            }
            Self::Removed(name) => drop(names.remove(name)),
        }
    }
}

impl MemoryStorage {
    /// Does `work` on the file's bytes.
    fn with<T>(&self, work: impl FnOnce(&mut Bytes) -> T) -> io::Result<T> {
        let mut disk = locked(&self.disk);
        disk.files.get_mut(self.file).map(work).ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

impl Storage for MemoryStorage {
    fn size(&self) -> io::Result<u64> {
        self.with(|file| length(file.now.len()))
    }

    fn read_at(&self, offset: u64, bytes: &mut [u8]) -> io::Result<usize> {
        let from = usize::try_from(offset).map_err(io::Error::other)?;
        self.with(|file| {
            let there = file.now.get(from..).unwrap_or_default();
            bytes.iter_mut().zip(there).for_each(|(to, from)| *to = *from);
            bytes.len().min(there.len())
        })
    }

    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let from = usize::try_from(offset).map_err(io::Error::other)?;
        let (fails, room) = {
            let mut disk = locked(&self.disk);
            (disk.write(), disk.room)
        };
        let room = room.map_or(bytes.len(), |room| room.saturating_sub(from).min(bytes.len()));
        let through = if fails.is_err() { bytes.len().div_ceil(2) } else { room };
        self.with(|file| file.change(from, bytes.get(..through).unwrap_or_default()))?;
        fails?;
        if room < bytes.len() { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    }

    fn sync(&mut self) -> io::Result<()> {
        let fails = locked(&self.disk).sync();
        fails?;
        self.with(Bytes::reach)
    }

    fn truncate(&mut self, length: u64) -> io::Result<()> {
        let fails = locked(&self.disk).write();
        fails?;
        let length = usize::try_from(length).map_err(io::Error::other)?;
        self.with(|file| file.cut(length))
    }

    fn another(&self) -> io::Result<Box<dyn Storage>> {
        Ok(Box::new(self.clone()))
    }
}

impl Disk {
    fn operate(&mut self) -> io::Result<()> {
        self.operations = self.operations.saturating_add(1);
        if self.failing == Some(self.operations) { Err(io::Error::other("an operation that fails")) } else { Ok(()) }
    }

    fn write(&mut self) -> io::Result<()> {
        self.writes = self.writes.saturating_add(1);
        self.operate()?;
        if self.failing_write == Some(self.writes) { Err(io::Error::other("a write that fails")) } else { Ok(()) }
    }

    fn sync(&mut self) -> io::Result<()> {
        self.syncs = self.syncs.saturating_add(1);
        self.operate()?;
        if self.failing_sync == Some(self.syncs) { Err(io::Error::other("a sync that fails")) } else { Ok(()) }
    }
}

impl Bytes {
    /// What was written reaches the disk.
    fn reach(&mut self) {
        self.synced.resize(self.now.len(), 0);
        for sector in std::mem::take(&mut self.dirty) {
            copy_sector(sector, &self.now, &mut self.synced);
        }
    }

    fn change(&mut self, from: usize, bytes: &[u8]) {
        let to = from.saturating_add(bytes.len());
        self.now.resize(self.now.len().max(to), 0);
        self.now.iter_mut().skip(from).zip(bytes).for_each(|(old, new)| *old = *new);
        self.dirty.extend(from.div_euclid(SECTOR_BYTES)..to.div_ceil(SECTOR_BYTES));
    }

    fn cut(&mut self, length: usize) {
        // What is written there later begins with zeros, whatever the disk holds.
        self.dirty.extend(length.div_euclid(SECTOR_BYTES)..self.now.len().div_ceil(SECTOR_BYTES));
        self.now.resize(length, 0);
    }

    /// The sectors that differ, or may, from what was synced.
    fn unsynced(&self) -> impl Iterator<Item = usize> {
        self.dirty.iter().copied().filter(|sector| sector.saturating_mul(SECTOR_BYTES) < self.now.len())
    }

    fn crashed(&self, at: usize, happens: &mut impl FnMut(Chance) -> bool) -> Self {
        let mut image = self.synced.clone();
        image.resize(self.now.len().max(self.synced.len()), 0);
        let is_resized = self.now.len() != self.synced.len() && happens(Chance::Length(at));
        for sector in self.unsynced() {
            if happens(Chance::Sector(at, sector)) {
                copy_sector(sector, &self.now, &mut image);
            }
        }
        image.truncate(if is_resized { self.now.len() } else { self.synced.len() });
        Self { now: image.clone(), synced: image, dirty: BTreeSet::new() }
    }
}

fn copy_sector(sector: usize, from: &[u8], to: &mut [u8]) {
    let start = sector.saturating_mul(SECTOR_BYTES);
    let new = from.iter().skip(start).take(SECTOR_BYTES);
    to.iter_mut().skip(start).zip(new).for_each(|(old, new)| *old = *new);
}

fn locked(disk: &Mutex<Disk>) -> MutexGuard<'_, Disk> {
    disk.lock().unwrap_or_else(PoisonError::into_inner)
}
