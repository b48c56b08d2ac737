//! A directory of the file system as a volume, and whether anybody else could write there. Everything is opened
//! relative to one handle on the directory and never through a link, so that a path swapped meanwhile leads nowhere.

use std::fs::{DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;

use super::error::JournalError;
use super::storage::{Access, FileStorage, Storage, Volume};

const PRIVATE_FILE: Mode = Mode::RUSR.union(Mode::WUSR);
const PRIVATE_DIRECTORY: Mode = Mode::RWXU;
const WRITABLE_BY_OTHERS: Mode = Mode::WGRP.union(Mode::WOTH);

/// A handle on a directory that was found safe.
#[derive(Debug)]
pub(super) struct Directory {
    path: PathBuf,
    handle: File,
}

/// Device and inode: what a name leads to.
pub(super) type Identity = (u64, u64);

fn identity(stat: &Stat) -> Identity {
    (stat.st_dev, stat.st_ino)
}

impl Directory {
    /// Opens the directory; none where there is none.
    pub(super) fn open(path: &Path) -> Result<Option<Self>, JournalError> {
        // Without a link allowed at its end, a link reads as "not a directory".
        let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::RDONLY;
        let handle = match rustix::fs::open(path, flags, Mode::empty()) {
            Ok(handle) => File::from(handle),
            Err(Errno::NOENT) => return Ok(None),
            Err(Errno::LOOP | Errno::NOTDIR) => {
                return Err(unsafe_path(path, "is not a directory of its own", "put a real directory there, not a link"));
            }
            Err(error) => return Err(failed("open", path, error)),
        };
        let stat = rustix::fs::fstat(&handle).map_err(|error| failed("look at", path, error))?;
        check_owner(path, &stat)?;
        Ok(Some(Self { path: path.to_owned(), handle }))
    }

    /// Opens the directory, after making it and those above it where there is none.
    pub(super) fn open_or_create(path: &Path) -> Result<Self, JournalError> {
        if let Some(directory) = Self::open(path)? {
            return Ok(directory);
        }
        make(path)?;
        let directory = Self::open(path)?.ok_or_else(|| io_error("open", path, io::ErrorKind::NotFound.into()))?;
        if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            let parent_handle = File::open(parent).map_err(|source| io_error("open", parent, source))?;
            parent_handle.sync_all().map_err(|source| io_error("sync", parent, source))?;
        }
        Ok(directory)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn owner(&self) -> Result<u32, JournalError> {
        let stat = rustix::fs::fstat(&self.handle).map_err(|error| failed("look at", &self.path, error))?;
        Ok(stat.st_uid)
    }

    /// Opens a file, making it where there is none.
    pub(super) fn file_or_new(&self, name: &str) -> Result<File, JournalError> {
        let file = self.open_file(name, OFlags::RDWR | OFlags::CREATE)?;
        make_private(&file, || self.path_of(name))?;
        Ok(file)
    }

    /// Which directory this is, and which file is `name` in it.
    pub(super) fn identity_of(&self, name: &str, file: &File) -> Result<[Identity; 2], JournalError> {
        let identity = |path: &Path, file: &File| {
            rustix::fs::fstat(file).map(|stat| identity(&stat)).map_err(|error| failed("look at", path, error))
        };
        Ok([identity(&self.path, &self.handle)?, identity(&self.path_of(name), file)?])
    }

    /// Makes sure that the directory's path still leads to the directory that it led to, and `name` in it to that file.
    pub(super) fn still_holds(&self, name: &str, [directory, file]: [Identity; 2]) -> Result<(), JournalError> {
        let check = |path: &dyn Fn() -> PathBuf, there: Result<Stat, Errno>, held| match there {
            Ok(there) if identity(&there) == held => Ok(()),
            Ok(_) | Err(Errno::NOENT | Errno::NOTDIR) => Err(JournalError::Displaced { path: path() }),
            Err(error) => Err(failed("look at", &path(), error)),
        };
        check(&|| self.path.clone(), rustix::fs::lstat(&self.path), directory)?;
        check(&|| self.path_of(name), rustix::fs::statat(&self.handle, name, AtFlags::SYMLINK_NOFOLLOW), file)
    }

    fn open_file(&self, name: &str, flags: OFlags) -> Result<File, JournalError> {
        let path = self.path_of(name);
        // Opening must neither follow a link nor wait for the other end of a pipe.
        let flags = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let file = match rustix::fs::openat(&self.handle, name, flags, PRIVATE_FILE) {
            Ok(handle) => File::from(handle),
            Err(Errno::LOOP) => return Err(unsafe_path(&path, "is a link", "put the file itself there")),
            Err(error) => return Err(failed("open", &path, error)),
        };
        let stat = rustix::fs::fstat(&file).map_err(|error| failed("look at", &path, error))?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Err(unsafe_path(&path, "is not a regular file", "move it away"));
        }
        if stat.st_nlink > 1 {
            return Err(unsafe_path(&path, "has another name elsewhere", "remove the other hard link"));
        }
        check_owner(&path, &stat)?;
        Ok(file)
    }
}

impl Volume for Directory {
    fn path_of(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    fn names(&self) -> Result<Vec<String>, JournalError> {
        let listed = |error| failed("list", &self.path, error);
        let entries = rustix::fs::Dir::read_from(&self.handle).map_err(listed)?;
        // What is not UTF-8 is not ours.
        let name = |entry: rustix::fs::DirEntry| entry.file_name().to_str().ok().map(str::to_owned);
        entries.filter_map(|entry| entry.map(name).map_err(listed).transpose()).collect()
    }

    fn open(&self, name: &str, access: Access) -> Result<Option<Box<dyn Storage>>, JournalError> {
        let mode = if access == Access::Write { OFlags::RDWR } else { OFlags::RDONLY };
        match self.open_file(name, mode) {
            Ok(file) => Ok(Some(Box::new(FileStorage::new(file)))),
            Err(JournalError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn make(&self, name: &str) -> Result<Box<dyn Storage>, JournalError> {
        let file = self.open_file(name, OFlags::RDWR | OFlags::CREATE | OFlags::TRUNC)?;
        make_private(&file, || self.path_of(name))?;
        Ok(Box::new(FileStorage::new(file)))
    }

    fn make_new(&self, name: &str) -> Result<Option<Box<dyn Storage>>, JournalError> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        match rustix::fs::openat(&self.handle, name, flags, PRIVATE_FILE) {
            Ok(handle) => {
                let file = File::from(handle);
                make_private(&file, || self.path_of(name))?;
                Ok(Some(Box::new(FileStorage::new(file))))
            }
            Err(Errno::EXIST) => Ok(None),
            Err(error) => Err(failed("make", &self.path_of(name), error)),
        }
    }

    fn rename(&self, from: &str, to: &str) -> Result<(), JournalError> {
        let renamed = rustix::fs::renameat(&self.handle, from, &self.handle, to);
        renamed.map_err(|error| failed("rename", &self.path_of(from), error))
    }

    fn remove(&self, name: &str) -> Result<(), JournalError> {
        let removed = rustix::fs::unlinkat(&self.handle, name, AtFlags::empty());
        removed.map_err(|error| failed("remove", &self.path_of(name), error))
    }

    fn sync(&self) -> Result<(), JournalError> {
        self.handle.sync_all().map_err(|source| io_error("sync", &self.path, source))
    }
}

/// Makes a directory, and those above it that are not there.
fn make(path: &Path) -> Result<(), JournalError> {
    if let Some(above) = path.parent().filter(|above| !above.as_os_str().is_empty() && !above.exists()) {
        make(above)?;
    }
    match DirBuilder::new().mode(PRIVATE_DIRECTORY.bits()).create(path) {
        // Somebody was faster.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(()),
        made => made.map_err(|source| io_error("make", path, source))?,
    }
    // The mask of this process may have taken so much away that it cannot even be opened.
    rustix::fs::chmod(path, PRIVATE_DIRECTORY).map_err(|error| failed("set the mode of", path, error))
}

/// Whether this is how a file system answers that has no locks, or whose lock service is gone.
pub(super) fn has_no_locks(error: &io::Error) -> bool {
    let answers = [Errno::NOLCK, Errno::NOTSUP, Errno::OPNOTSUPP, Errno::NOSYS, Errno::INVAL];
    answers.iter().any(|answer| error.raw_os_error() == Some(answer.raw_os_error()))
}

pub(super) fn io_error(op: &'static str, path: &Path, source: io::Error) -> JournalError {
    JournalError::Io { path: path.to_owned(), op, source }
}

fn check_owner(path: &Path, stat: &Stat) -> Result<(), JournalError> {
    if stat.st_uid != rustix::process::geteuid().as_raw() {
        return Err(unsafe_path(path, "belongs to another user", "run as its owner"));
    }
    if Mode::from_raw_mode(stat.st_mode).intersects(WRITABLE_BY_OTHERS) {
        return Err(unsafe_path(path, "can be written by others", "take that away with `chmod go-w`"));
    }
    Ok(())
}

fn make_private(file: &File, path: impl Fn() -> PathBuf) -> Result<(), JournalError> {
    rustix::fs::fchmod(file, PRIVATE_FILE).map_err(|error| failed("set the mode of", &path(), error))
}

pub(super) fn unsafe_path(path: &Path, why: &'static str, fix: &'static str) -> JournalError {
    JournalError::Unsafe { path: path.to_owned(), why, fix }
}

fn failed(op: &'static str, path: &Path, error: Errno) -> JournalError {
    io_error(op, path, error.into())
}
