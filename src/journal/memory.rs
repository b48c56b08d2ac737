//! A disk that crashes when a test says so. It keeps what was synced apart from what was only written, and after a crash
//! any of the unsynced sectors may be there, in any combination; the length may have grown or not.

use std::collections::BTreeSet;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::storage::{Storage, length};

/// Bytes that reach a disk together.
pub const SECTOR_BYTES: usize = 512;

/// Bytes in memory, shared by all clones.
#[derive(Clone, Debug, Default)]
pub struct MemoryStorage {
    disk: Arc<Mutex<Disk>>,
}

#[derive(Debug, Default)]
struct Disk {
    now: Vec<u8>,
    synced: Vec<u8>,
    dirty: BTreeSet<usize>,
    writes: u64,
    syncs: u64,
    failing_write: Option<u64>,
    failing_sync: Option<u64>,
    room: Option<usize>,
}

impl MemoryStorage {
    /// A disk that holds `bytes`, all synced.
    #[must_use]
    pub fn new(bytes: Vec<u8>) -> Self {
        Self { disk: Arc::new(Mutex::new(Disk { now: bytes.clone(), synced: bytes, ..Disk::default() })) }
    }

    /// What a reader sees now.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        self.disk().now.clone()
    }

    /// How many writes (truncations among them) and syncs were asked for.
    #[must_use]
    pub fn operations(&self) -> (u64, u64) {
        let disk = self.disk();
        (disk.writes, disk.syncs)
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
        self.disk().dirty.clear();
    }

    /// Lets no write reach beyond so many bytes, as on a disk that is full.
    pub fn limit(&self, bytes: Option<usize>) {
        self.disk().room = bytes;
    }

    /// The numbers of the sectors written since the last sync.
    #[must_use]
    pub fn unsynced(&self) -> Vec<usize> {
        self.disk().dirty.iter().copied().collect()
    }

    /// What is there after a crash in which, of the unsynced sectors, those that `keep` chooses reached the disk, and the
    /// new length if `grown`.
    #[must_use]
    pub fn crashed(&self, grown: bool, mut keep: impl FnMut(usize) -> bool) -> Vec<u8> {
        let disk = self.disk();
        let mut image = disk.synced.clone();
        image.resize(disk.now.len().max(disk.synced.len()), 0);
        for &sector in disk.dirty.iter().filter(|sector| keep(**sector)) {
            let start = sector.saturating_mul(SECTOR_BYTES);
            let new = disk.now.iter().skip(start).take(SECTOR_BYTES);
            image.iter_mut().skip(start).zip(new).for_each(|(old, new)| *old = *new);
        }
        image.truncate(if grown { disk.now.len() } else { disk.synced.len() });
        image
    }

    fn disk(&self) -> MutexGuard<'_, Disk> {
        self.disk.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Storage for MemoryStorage {
    fn size(&self) -> io::Result<u64> {
        Ok(length(self.disk().now.len()))
    }

    fn read_at(&self, offset: u64, bytes: &mut [u8]) -> io::Result<usize> {
        let disk = self.disk();
        let from = usize::try_from(offset).map_err(io::Error::other)?;
        let there = disk.now.get(from..).unwrap_or_default();
        bytes.iter_mut().zip(there).for_each(|(to, from)| *to = *from);
        Ok(bytes.len().min(there.len()))
    }

    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let mut disk = self.disk();
        disk.writes = disk.writes.saturating_add(1);
        let fails = disk.failing_write == Some(disk.writes);
        let from = usize::try_from(offset).map_err(io::Error::other)?;
        let room = disk.room.map_or(bytes.len(), |room| room.saturating_sub(from).min(bytes.len()));
        let through = if fails { bytes.len().div_ceil(2) } else { room };
        disk.change(from, bytes.get(..through).unwrap_or_default());
        match (fails, room < bytes.len()) {
            (true, _) => Err(io::Error::other("a write that fails")),
            (false, true) => Err(io::ErrorKind::StorageFull.into()),
            (false, false) => Ok(()),
        }
    }

    fn sync(&mut self) -> io::Result<()> {
        let mut disk = self.disk();
        disk.syncs = disk.syncs.saturating_add(1);
        if disk.failing_sync == Some(disk.syncs) {
            return Err(io::Error::other("a sync that fails"));
        }
        disk.reach();
        Ok(())
    }

    fn truncate(&mut self, length: u64) -> io::Result<()> {
        let mut disk = self.disk();
        disk.writes = disk.writes.saturating_add(1);
        if disk.failing_write == Some(disk.writes) {
            return Err(io::Error::other("a truncation that fails"));
        }
        disk.now.resize(usize::try_from(length).map_err(io::Error::other)?, 0);
        Ok(())
    }

    fn another(&self) -> io::Result<Box<dyn Storage>> {
        Ok(Box::new(self.clone()))
    }
}

impl Disk {
    /// What was written reaches the disk.
    fn reach(&mut self) {
        self.synced.resize(self.now.len(), 0);
        for sector in std::mem::take(&mut self.dirty) {
            let start = sector.saturating_mul(SECTOR_BYTES);
            let new = self.now.iter().skip(start).take(SECTOR_BYTES);
            self.synced.iter_mut().skip(start).zip(new).for_each(|(old, new)| *old = *new);
        }
    }

    fn change(&mut self, from: usize, bytes: &[u8]) {
        let to = from.saturating_add(bytes.len());
        self.now.resize(self.now.len().max(to), 0);
        self.now.iter_mut().skip(from).zip(bytes).for_each(|(old, new)| *old = *new);
        self.dirty.extend(from.div_euclid(SECTOR_BYTES)..to.div_ceil(SECTOR_BYTES));
    }
}
