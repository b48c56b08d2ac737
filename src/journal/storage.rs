//! The one door to the file system: a volume is a directory with names in it, a storage one file. A disk that crashes can stand
//! behind both. Neither promises an order between two syncs; whoever writes counts on nothing until `sync` has returned, on
//! bytes after that of the storage, on names after that of the volume.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;

use super::error::JournalError;

/// Who may do what with an opened file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Look at it.
    Read,
    /// Change it too.
    Write,
}

/// One directory, or what a test puts in its place. Files in it are named, never reached by a path.
pub trait Volume: Send + Sync {
    /// What a file is called in messages.
    fn path_of(&self, name: &str) -> PathBuf;

    /// All names in it, in any order.
    ///
    /// # Errors
    /// [`JournalError::Io`].
    fn names(&self) -> Result<Vec<String>, JournalError>;

    /// Opens a file; none where there is none of this name.
    ///
    /// # Errors
    /// [`JournalError::Io`], [`JournalError::Unsafe`].
    fn open(&self, name: &str, access: Access) -> Result<Option<Box<dyn Storage>>, JournalError>;

    /// Makes an empty file, in place of one that is there.
    ///
    /// # Errors
    /// [`JournalError::Io`], [`JournalError::Unsafe`].
    fn make(&self, name: &str) -> Result<Box<dyn Storage>, JournalError>;

    /// Makes an empty file; none where there is one of this name.
    ///
    /// # Errors
    /// [`JournalError::Io`].
    fn make_new(&self, name: &str) -> Result<Option<Box<dyn Storage>>, JournalError>;

    /// Gives a file another name, in place of the file that has it.
    ///
    /// # Errors
    /// [`JournalError::Io`].
    fn rename(&self, from: &str, to: &str) -> Result<(), JournalError>;

    /// Takes a name away.
    ///
    /// # Errors
    /// [`JournalError::Io`].
    fn remove(&self, name: &str) -> Result<(), JournalError>;

    /// Returns when the names are on the disk as they are now.
    ///
    /// # Errors
    /// [`JournalError::Io`].
    fn sync(&self) -> Result<(), JournalError>;
}

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

/// What a file of the system, or one that fails on purpose, is asked for by [`FileStorage`]: it may do less than it is asked.
trait Partial {
    fn read_some(&self, bytes: &mut [u8], offset: u64) -> io::Result<usize>;
    fn write_some(&self, bytes: &[u8], offset: u64) -> io::Result<usize>;
}

impl Partial for File {
    fn read_some(&self, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
        self.read_at(bytes, offset)
    }

    fn write_some(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        self.write_at(bytes, offset)
    }
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
        read_whole(&self.file, offset, bytes)
    }

    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        write_whole(&self.file, offset, bytes)
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

fn read_whole(file: &impl Partial, offset: u64, bytes: &mut [u8]) -> io::Result<usize> {
    let mut read = 0_usize;
    while let Some(rest) = bytes.get_mut(read..).filter(|rest| !rest.is_empty()) {
        match file.read_some(rest, offset.saturating_add(length(read))) {
            Ok(0) => break,
            Ok(more) => read = read.saturating_add(more),
            Err(error) if is_passing(&error) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(read)
}

fn write_whole(file: &impl Partial, offset: u64, bytes: &[u8]) -> io::Result<()> {
    let mut written = 0_usize;
    while let Some(rest) = bytes.get(written..).filter(|rest| !rest.is_empty()) {
        match file.write_some(rest, offset.saturating_add(length(written))) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(more) => written = written.saturating_add(more),
            Err(error) if is_passing(&error) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Whether the system says no more than "again".
fn is_passing(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::Interrupted | io::ErrorKind::WouldBlock)
}

/// A length in memory as one on disk.
pub(super) fn length(bytes: usize) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    /// A file that does a few bytes at a time, and often says "again".
    struct Grudging {
        bytes: RefCell<Vec<u8>>,
        calls: RefCell<usize>,
        most: usize,
    }

    impl Grudging {
        fn share(&self, asked: usize) -> io::Result<usize> {
            let mut calls = self.calls.borrow_mut();
            *calls += 1;
            match *calls % 3 {
                0 => Err(io::ErrorKind::Interrupted.into()),
                1 => Err(io::ErrorKind::WouldBlock.into()),
                _ => Ok(asked.min(1 + *calls % self.most)),
            }
        }
    }

    impl Partial for Grudging {
        fn read_some(&self, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
            let from = usize::try_from(offset).expect("small");
            let there = self.bytes.borrow();
            let there = there.get(from..).unwrap_or_default();
            let count = self.share(bytes.len())?.min(there.len());
            bytes[..count].copy_from_slice(&there[..count]);
            Ok(count)
        }

        fn write_some(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
            let count = self.share(bytes.len())?;
            let from = usize::try_from(offset).expect("small");
            let mut there = self.bytes.borrow_mut();
            let end = there.len().max(from + count);
            there.resize(end, 0);
            there[from..from + count].copy_from_slice(&bytes[..count]);
            Ok(count)
        }
    }

    #[test]
    fn d08_short_and_interrupted_calls_are_finished() {
        let wanted: Vec<u8> = (0..=255).cycle().take(1_000).collect();
        for most in [1, 2, 3, 7, 100, 5_000] {
            let file = Grudging { bytes: RefCell::default(), calls: RefCell::new(0), most };
            write_whole(&file, 5, &wanted).expect("written");
            assert_eq!(file.bytes.borrow()[5..], wanted, "at most {most} bytes at once");
            let mut found = vec![0; 2_000];
            assert_eq!(read_whole(&file, 5, &mut found).expect("read"), wanted.len());
            assert_eq!(found[..wanted.len()], wanted);
        }
    }
}
