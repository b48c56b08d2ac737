//! Where a segment's bytes go: one door, so that a disk which crashes can stand behind it. Storage keeps no position and
//! promises no order between two syncs; whoever writes says where, and counts on nothing until `sync` has returned.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;

/// One file of the journal, or what a test puts in its place.
pub trait Storage: Send {
    /// Its length in bytes.
    ///
    /// # Errors
    /// What the system says.
    fn size(&self) -> io::Result<u64>;

    /// Reads from `offset` into `bytes` and returns how many were read: fewer than asked only at the end.
    ///
    /// # Errors
    /// What the system says.
    fn read_at(&self, offset: u64, bytes: &mut [u8]) -> io::Result<usize>;

    /// Writes all of `bytes` at `offset`. After an error any part of them may be there.
    ///
    /// # Errors
    /// What the system says.
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()>;

    /// Returns when everything written before is on the disk, the length included. After an error nothing is known of it,
    /// and a second try proves nothing: the kernel may have dropped the pages.
    ///
    /// # Errors
    /// What the system says.
    fn sync(&mut self) -> io::Result<()>;

    /// Cuts it to `length` bytes.
    ///
    /// # Errors
    /// What the system says.
    fn truncate(&mut self, length: u64) -> io::Result<()>;

    /// Another handle on the same bytes, for a reader.
    ///
    /// # Errors
    /// What the system says.
    fn another(&self) -> io::Result<Box<dyn Storage>>;
}

/// A file of the file system.
#[derive(Debug)]
pub struct FileStorage {
    file: File,
}

impl FileStorage {
    pub(super) fn new(file: File) -> Self {
        Self { file }
    }
}

impl Storage for FileStorage {
    fn size(&self) -> io::Result<u64> {
        self.file.metadata().map(|metadata| metadata.len())
    }

    fn read_at(&self, offset: u64, bytes: &mut [u8]) -> io::Result<usize> {
        let mut read = 0_usize;
        while let Some(rest) = bytes.get_mut(read..).filter(|rest| !rest.is_empty()) {
            match self.file.read_at(rest, offset.saturating_add(length(read))) {
                Ok(0) => break,
                Ok(more) => read = read.saturating_add(more),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(read)
    }

    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all_at(bytes, offset)
    }

    fn sync(&mut self) -> io::Result<()> {
        // The data and the length; times need no barrier.
        self.file.sync_data()
    }

    fn truncate(&mut self, length: u64) -> io::Result<()> {
        self.file.set_len(length)
    }

    fn another(&self) -> io::Result<Box<dyn Storage>> {
        // A duplicate shares the file's position, which nobody here uses.
        Ok(Box::new(Self { file: self.file.try_clone()? }))
    }
}

/// A length in memory as one on disk.
pub(super) fn length(bytes: usize) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX)
}
