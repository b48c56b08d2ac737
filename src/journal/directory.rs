//! The journal's directory: which names stand in it, and whether anybody else could write there. Everything is opened
//! relative to one handle on the directory and never through a link, so that a path swapped meanwhile leads nowhere.

use std::fs::{DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;

use super::error::JournalError;
use super::storage::FileStorage;
use crate::pairing::Seq;

const SEGMENT_SUFFIX: &str = ".segment";
const SEQ_DIGITS: usize = 20;
const PRIVATE_FILE: Mode = Mode::RUSR.union(Mode::WUSR);
const PRIVATE_DIRECTORY: Mode = Mode::RWXU;
const WRITABLE_BY_OTHERS: Mode = Mode::WGRP.union(Mode::WOTH);
/// Torn ends kept of one place in one segment; a disk that tears more often than this at one place needs a person.
const KEPT_AT_ONE_PLACE: u32 = 1_000;

/// A handle on a directory that was found safe.
#[derive(Debug)]
pub(super) struct Directory {
    path: PathBuf,
    handle: File,
}

/// Who may do what with an opened file.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    Read,
    Write,
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
        DirBuilder::new()
            .recursive(true)
            .mode(PRIVATE_DIRECTORY.bits())
            .create(path)
            .map_err(|source| io_error("make", path, source))?;
        // The mask of this process may have taken so much away that it cannot even be opened.
        rustix::fs::chmod(path, PRIVATE_DIRECTORY).map_err(|error| failed("set the mode of", path, error))?;
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

    pub(super) fn path_of(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// The first seqs of all segments, in order. Other names are none of our business.
    pub(super) fn segments(&self) -> Result<Vec<Seq>, JournalError> {
        let entries = rustix::fs::Dir::read_from(&self.handle).map_err(|error| failed("list", &self.path, error))?;
        let mut firsts = Vec::new();
        for entry in entries {
            let entry = entry.map_err(|error| failed("list", &self.path, error))?;
            firsts.extend(entry.file_name().to_str().ok().and_then(first_seq));
        }
        firsts.sort_unstable();
        Ok(firsts)
    }

    /// Opens a file that is there.
    pub(super) fn file(&self, name: &str, access: Access) -> Result<File, JournalError> {
        let mode = if access == Access::Write { OFlags::RDWR } else { OFlags::RDONLY };
        self.open_file(name, mode)
    }

    /// Opens a file, making it where there is none.
    pub(super) fn file_or_new(&self, name: &str) -> Result<File, JournalError> {
        let file = self.open_file(name, OFlags::RDWR | OFlags::CREATE)?;
        make_private(&file, || self.path_of(name))?;
        Ok(file)
    }

    /// Makes an empty file that is to be `name` once it is whole and synced.
    pub(super) fn draft(&self, name: &str) -> Result<FileStorage, JournalError> {
        let draft = draft_of(name);
        let file = self.open_file(&draft, OFlags::RDWR | OFlags::CREATE | OFlags::TRUNC)?;
        make_private(&file, || self.path_of(&draft))?;
        Ok(FileStorage::new(file))
    }

    /// Gives the draft of `name` its name, so that whatever happens either the whole of it is there or nothing.
    pub(super) fn publish(&self, name: &str) -> Result<(), JournalError> {
        let draft = draft_of(name);
        // Only the holder of the lock comes here, and it has looked for the name before.
        let renamed = rustix::fs::renameat(&self.handle, &draft, &self.handle, name);
        renamed.map_err(|error| failed("rename", &self.path_of(&draft), error))?;
        self.sync()
    }

    /// Makes an empty file beside `segment` for the end torn off at `offset`, never one that was there.
    pub(super) fn aside(&self, segment: &str, offset: u64) -> Result<(String, FileStorage), JournalError> {
        for attempt in 1..=KEPT_AT_ONE_PLACE {
            let name = match attempt {
                1 => format!("{segment}.torn-{offset}"),
                _ => format!("{segment}.torn-{offset}-{attempt}"),
            };
            let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            match rustix::fs::openat(&self.handle, &name, flags, PRIVATE_FILE) {
                Ok(handle) => {
                    let file = File::from(handle);
                    make_private(&file, || self.path_of(&name))?;
                    return Ok((name, FileStorage::new(file)));
                }
                Err(Errno::EXIST) => {}
                Err(error) => return Err(failed("make", &self.path_of(&name), error)),
            }
        }
        Err(unsafe_path(&self.path, "holds too many torn ends of one place", "move them away and find out what tears them"))
    }

    /// Makes sure that the directory's path still leads to this directory, and `name` in it to `file`.
    pub(super) fn still_holds(&self, name: &str, file: &File) -> Result<(), JournalError> {
        self.check_same(&self.path, rustix::fs::lstat(&self.path), &self.handle)?;
        let path = self.path_of(name);
        self.check_same(&path, rustix::fs::statat(&self.handle, name, AtFlags::SYMLINK_NOFOLLOW), file)
    }

    fn check_same(&self, path: &Path, there: Result<Stat, Errno>, held: &File) -> Result<(), JournalError> {
        let held = rustix::fs::fstat(held).map_err(|error| failed("look at", path, error))?;
        match there {
            Ok(there) if (there.st_dev, there.st_ino) == (held.st_dev, held.st_ino) => Ok(()),
            Ok(_) | Err(Errno::NOENT | Errno::NOTDIR) => Err(JournalError::Displaced { path: path.to_owned() }),
            Err(error) => Err(failed("look at", path, error)),
        }
    }

    /// Returns when the names in it are on the disk.
    pub(super) fn sync(&self) -> Result<(), JournalError> {
        self.handle.sync_all().map_err(|source| io_error("sync", &self.path, source))
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

/// The file name of the segment that begins with `first`.
pub(super) fn segment_name(first: Seq) -> String {
    format!("{:0width$}{SEGMENT_SUFFIX}", first.0, width = SEQ_DIGITS)
}

fn draft_of(name: &str) -> String {
    format!("{name}.new")
}

/// Whether this is how a file system answers that has no locks, or whose lock service is gone.
pub(super) fn has_no_locks(error: &io::Error) -> bool {
    let answers = [Errno::NOLCK, Errno::NOTSUP, Errno::OPNOTSUPP, Errno::NOSYS, Errno::INVAL];
    answers.iter().any(|answer| error.raw_os_error() == Some(answer.raw_os_error()))
}

pub(super) fn io_error(op: &'static str, path: &Path, source: io::Error) -> JournalError {
    JournalError::Io { path: path.to_owned(), op, source }
}

fn first_seq(name: &str) -> Option<Seq> {
    let digits = name.strip_suffix(SEGMENT_SUFFIX)?;
    let is_seq = digits.len() == SEQ_DIGITS && digits.bytes().all(|byte| byte.is_ascii_digit());
    if is_seq { digits.parse().ok().map(Seq) } else { None }
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

fn unsafe_path(path: &Path, why: &'static str, fix: &'static str) -> JournalError {
    JournalError::Unsafe { path: path.to_owned(), why, fix }
}

fn failed(op: &'static str, path: &Path, error: Errno) -> JournalError {
    io_error(op, path, error.into())
}
