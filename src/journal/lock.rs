//! One process writes a journal. The kernel's lock decides; the process id in the lock file is only a hint for people, and a
//! file left by a process that died means nothing. The only file that knows fs2.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::Arc;

use super::directory::{Directory, Identity, has_no_locks, io_error};
use super::error::JournalError;
use super::segments;
use super::storage::Volume;

const LOCK_NAME: &str = "lock";
/// Longer than any process id.
const HINT_BYTES: usize = 16;

/// The right to write the journal of one directory, held until dropped.
#[derive(Debug)]
pub struct Lock {
    file: File,
    directory: Arc<Directory>,
    /// Directory and file as they were locked.
    identity: [Identity; 2],
    is_locked: bool,
}

impl Lock {
    /// As [`Lock::acquire`], and where the file system has no locks, does without: nothing then keeps a second process away.
    ///
    /// # Errors
    /// As [`Lock::acquire`].
    pub fn acquire_or_do_without(dir: &Path) -> Result<Self, JournalError> {
        match Self::acquire(dir) {
            Err(JournalError::NoLocks { .. }) => {
                let directory = Arc::new(Directory::open_or_create(dir)?);
                let file = directory.file_or_new(LOCK_NAME)?;
                let identity = directory.identity_of(LOCK_NAME, &file)?;
                Ok(Self { file, directory, identity, is_locked: false })
            }
            acquired => acquired,
        }
    }

    /// Whether it keeps other processes away.
    #[must_use]
    pub fn is_locked(&self) -> bool {
        self.is_locked
    }

    /// Takes the lock of the journal in `dir`, making the directory (mode 0700) and the lock file (0600) where there is none.
    /// Never waits.
    ///
    /// # Errors
    /// [`JournalError::Locked`] while another handle holds it, also of this process; [`JournalError::Unsafe`] where others
    /// could write there; [`JournalError::NoLocks`] where the file system has none.
    pub fn acquire(dir: &Path) -> Result<Self, JournalError> {
        let directory = Arc::new(Directory::open_or_create(dir)?);
        let file = directory.file_or_new(LOCK_NAME)?;
        let path = directory.path_of(LOCK_NAME);
        // Named in full, because the standard library has functions of the same name with other errors.
        match fs2::FileExt::try_lock_exclusive(&file) {
            Ok(()) => {}
            Err(error) if error.raw_os_error() == fs2::lock_contended_error().raw_os_error() => {
                return Err(JournalError::Locked { path: directory.path().to_owned(), pid: hint(&file) });
            }
            Err(source) if has_no_locks(&source) => return Err(JournalError::NoLocks { path, source }),
            Err(source) => return Err(io_error("lock", &path, source)),
        }
        // Only people read it, so a disk without room for it is no reason not to go on.
        let _left = leave_hint(&file);
        let identity = directory.identity_of(LOCK_NAME, &file)?;
        Ok(Self { file, directory, identity, is_locked: true })
    }

    /// Makes sure that what was locked is still what lies there under its name: otherwise another process may hold what does.
    ///
    /// # Errors
    /// [`JournalError::Displaced`], [`JournalError::Io`].
    pub(super) fn still_holds(&self) -> Result<(), JournalError> {
        self.directory.still_holds(LOCK_NAME, self.identity)
    }

    /// Whose the directory is, as it is held open: its path may lead elsewhere meanwhile.
    ///
    /// # Errors
    /// [`JournalError::Io`].
    pub fn owner(&self) -> Result<u32, JournalError> {
        self.directory.owner()
    }

    /// The directory that it is for.
    #[must_use]
    pub fn volume(&self) -> Arc<dyn Volume> {
        Arc::<Directory>::clone(&self.directory)
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Whoever fails to get the lock while the next holder has not left its hint yet must not be told of us.
        let _cleared = self.file.set_len(0);
        // A child forked at the wrong moment shares the open file: closing ours would leave the lock with it. Nobody is left
        // to tell of an error, and closing follows anyway.
        let _released = fs2::FileExt::unlock(&self.file);
    }
}

/// The process that holds the journal in `dir`, as it says itself: a hint, and one that was killed leaves its own. Takes no lock.
#[must_use]
pub fn holder(dir: &Path) -> Option<u32> {
    hint(&File::open(dir.join(LOCK_NAME)).ok()?)
}

/// Makes sure that the file system of the journal in `dir` has locks, with one on a file that nobody else locks; where there is no
/// such file, nothing can be told.
///
/// # Errors
/// [`JournalError::NoLocks`], [`JournalError::Io`], [`JournalError::Unsafe`].
pub fn check_locks(dir: &Path) -> Result<(), JournalError> {
    let Some(directory) = Directory::open(dir)? else { return Ok(()) };
    let Some(first) = segments::firsts(&directory)?.first().copied() else { return Ok(()) };
    let path = directory.path_of(&segments::segment_name(first));
    let file = File::open(&path).map_err(|source| io_error("open", &path, source))?;
    match fs2::FileExt::try_lock_shared(&file) {
        Err(source) if has_no_locks(&source) => Err(JournalError::NoLocks { path, source }),
        // Closing the file frees it.
        _ => Ok(()),
    }
}

fn leave_hint(file: &File) -> io::Result<()> {
    file.set_len(0)?;
    file.write_all_at(format!("{}\n", std::process::id()).as_bytes(), 0)
}

fn hint(file: &File) -> Option<u32> {
    let mut bytes = [0; HINT_BYTES];
    let read = file.read_at(&mut bytes, 0).ok()?;
    std::str::from_utf8(bytes.get(..read)?).ok()?.trim_end().parse().ok()
}
