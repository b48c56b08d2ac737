//! The state directory: where everything lies, and the few ways in which files there are read and written. Directories are
//! 0700 and files 0600 whatever the umask; a symbolic link is never followed to a secret; a file is replaced whole or not at all.

use std::fs::{File, Metadata, OpenOptions, Permissions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, OFlags, RenameFlags};
use rustix::io::Errno;

use crate::host::Host;
use crate::pairing::TokenKey;

/// Token keys put aside beside each other; who loses more needs a person.
const KEPT_KEYS: u32 = 100;

/// Something in the state directory could not be used.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// The operating system said no.
    #[error("cannot {op} {}: {source}", path.display())]
    Io {
        /// What was tried.
        op: &'static str,
        /// On what.
        path: PathBuf,
        /// Its answer.
        source: io::Error,
    },
    /// No home directory, and no variable that names a state directory.
    #[error("neither OPENCLAW_STATE_DIR nor HOME is set, so there is no place for the state")]
    NoHome,
    /// Somebody else's.
    #[error("{} belongs to uid {owner}, and this runs as uid {user}; run it as that user", path.display())]
    NotOurs {
        /// The directory.
        path: PathBuf,
        /// Whose it is.
        owner: u32,
        /// Who asks.
        user: u32,
    },
    /// Not a file or directory of its own, so that it leads elsewhere or can be changed from elsewhere.
    #[error("{} {why}: {fix}", path.display())]
    Elsewhere {
        /// The file or directory.
        path: PathBuf,
        /// What it is.
        why: &'static str,
        /// What to do.
        fix: String,
    },
    /// Others could read or write it.
    #[error("{} is {what}; make it private: chmod {fix} {}", path.display(), path.display())]
    Exposed {
        /// The file or directory.
        path: PathBuf,
        /// How.
        what: &'static str,
        /// The mode that would do.
        fix: &'static str,
    },
    /// Larger than anything that belongs there.
    #[error("{} is larger than {limit} bytes", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// The bound.
        limit: u64,
    },
    /// A key of another length.
    #[error("{} is not {what}: it has {found} bytes, not 32; put the right file back, or have a new key made: openclaw recover --new-key", path.display())]
    NotAKey {
        /// The file.
        path: PathBuf,
        /// Which key it should be.
        what: &'static str,
        /// Its length.
        found: usize,
    },
}

impl StateError {
    /// The mode that would do, and of what, where only the mode is wrong.
    #[must_use]
    pub fn mode(&self) -> Option<(&'static str, &Path)> {
        match self {
            Self::Exposed { path, fix, .. } => Some((fix, path)),
            _ => None,
        }
    }
}

/// The state directory: `~/.openclaw`, or what the environment or a profile says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateDir {
    root: PathBuf,
    witnesses: Option<PathBuf>,
}

impl StateDir {
    /// The directory at `root`; its journal has no witness until somebody says where.
    #[must_use]
    pub fn at(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into(), witnesses: None }
    }

    /// With a place, outside of it, for the witnesses of journals.
    #[must_use]
    pub fn with_witnesses(self, dir: impl Into<PathBuf>) -> Self {
        Self { witnesses: Some(dir.into()), ..self }
    }

    /// The directory that the environment means: `OPENCLAW_STATE_DIR`, else `~/.openclaw`, or `~/.openclaw-<profile>`. Witnesses
    /// stand in `XDG_STATE_HOME`, else `~/.local/state`: whoever puts back an older copy of the one must not put back the other.
    ///
    /// # Errors
    /// [`StateError::NoHome`].
    pub fn from_environment(profile: Option<&str>) -> Result<Self, StateError> {
        let set = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let states = set("XDG_STATE_HOME").filter(|path| path.is_absolute());
        let states = states.or_else(|| set("HOME").map(|home| home.join(".local/state")));
        let witnesses = states.map(|states| states.join("openclaw-pairing"));
        if profile.is_none()
            && let Some(root) = set("OPENCLAW_STATE_DIR")
        {
            return Ok(Self { root, witnesses });
        }
        let home = set("OPENCLAW_HOME").or_else(|| set("HOME")).ok_or(StateError::NoHome)?;
        let name = profile.map_or_else(|| ".openclaw".to_owned(), |profile| format!(".openclaw-{profile}"));
        Ok(Self { root: home.join(name), witnesses })
    }

    /// The directory itself.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The journal, its lock and its segments.
    #[must_use]
    pub fn journal(&self) -> PathBuf {
        self.root.join("journal")
    }

    /// Where witnesses of journals stand, outside the directory.
    #[must_use]
    pub fn witnesses(&self) -> Option<&Path> {
        self.witnesses.as_deref()
    }

    /// Our own secrets and settings.
    #[must_use]
    pub fn pairing(&self) -> PathBuf {
        self.root.join("pairing")
    }

    /// Our own settings.
    #[must_use]
    pub fn own_settings(&self) -> PathBuf {
        self.pairing().join("settings.json5")
    }

    /// The key that device tokens are derived with.
    #[must_use]
    pub fn token_key(&self) -> PathBuf {
        self.pairing().join("token.key")
    }

    /// The key that signs heads of the journal.
    #[must_use]
    pub fn head_key(&self) -> PathBuf {
        self.pairing().join("head.key")
    }

    /// The owner channel.
    #[must_use]
    pub fn owner_socket(&self) -> PathBuf {
        self.pairing().join("owner.sock")
    }

    /// The CLI's own device, as OpenClaw 2026.3.13 keeps it.
    #[must_use]
    pub fn identity(&self) -> PathBuf {
        self.root.join("identity").join("device.json")
    }

    /// The CLI's device tokens, as OpenClaw 2026.3.13 keeps them.
    #[must_use]
    pub fn device_auth(&self) -> PathBuf {
        self.root.join("identity").join("device-auth.json")
    }

    /// The copies for tools that read them.
    #[must_use]
    pub fn devices(&self) -> PathBuf {
        self.root.join("devices")
    }

    /// What OpenClaw 2026.3.13 kept there before the first copy.
    #[must_use]
    pub fn devices_of_openclaw(&self) -> PathBuf {
        self.devices().join("paired.openclaw.json")
    }

    /// OpenClaw's configuration.
    #[must_use]
    pub fn config(&self) -> PathBuf {
        std::env::var_os("OPENCLAW_CONFIG_PATH").map_or_else(|| self.root.join("openclaw.json"), PathBuf::from)
    }

    /// Makes the directory if it is not there, and checks that it is ours, and that nobody else could put another in its place.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn prepare(&self) -> Result<(), StateError> {
        private_dir(&self.root)?;
        self.check_owner()?;
        check_parent(parent(&self.root))?;
        private_dir(&self.pairing())
    }

    /// What [`Self::prepare`] and others that make directories here would not use of what is there; nothing is made.
    #[must_use]
    pub fn unusable(&self) -> Vec<StateError> {
        let identity = self.identity();
        let dirs = [self.root.clone(), self.pairing(), self.journal(), self.devices(), parent(&identity).to_owned()];
        let checked = dirs.iter().map(|dir| match std::fs::symlink_metadata(dir) {
            Ok(metadata) => check_dir(dir, &metadata),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(source) => Err(io_error("read", dir)(source)),
        });
        let above = if self.root.exists() { check_parent(parent(&self.root)) } else { Ok(()) };
        checked.chain([above]).filter_map(Result::err).collect()
    }

    /// How many bytes the disk below it has left for its owner, where that can be told.
    #[must_use]
    pub fn free_bytes(&self) -> Option<u64> {
        let found = rustix::fs::statvfs(&self.root).ok()?;
        found.f_bavail.checked_mul(found.f_frsize)
    }

    /// Whose the directory is, where it exists.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn owner(&self) -> Result<Option<u32>, StateError> {
        match std::fs::metadata(&self.root) {
            Ok(metadata) => Ok(Some(metadata.uid())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(io_error("read", &self.root)(source)),
        }
    }

    /// Whether root works on it: in the place of its owner, or of whoever ran `sudo`, and by mistake perhaps.
    #[must_use]
    pub fn is_worked_on_by_root(&self) -> bool {
        rustix::process::geteuid().is_root()
    }

    /// Checks that we run as the directory's owner, or as root.
    ///
    /// # Errors
    /// [`StateError::NotOurs`].
    pub fn check_owner(&self) -> Result<(), StateError> {
        let user = rustix::process::geteuid().as_raw();
        let not_ours = |path: &Path, owner| StateError::NotOurs { path: path.into(), owner, user };
        match self.owner() {
            Ok(Some(owner)) if owner != user && user != 0 => Err(not_ours(&self.root, owner)),
            Ok(_) => Ok(()),
            Err(error) => {
                // Who may not even look at it is told whose the first directory above is that can be seen.
                let mut above =
                    self.root.ancestors().skip(1).filter_map(|path| Some((path, std::fs::metadata(path).ok()?.uid())));
                let closed = above.next().filter(|(_, owner)| *owner != user);
                Err(closed.map_or(error, |(path, owner)| not_ours(path, owner)))
            }
        }
    }

    /// Whether there is a token key.
    ///
    /// # Errors
    /// [`StateError`]: there is one and it cannot be used.
    pub fn has_token_key(&self) -> Result<bool, StateError> {
        Ok(self.read_token_key()?.is_some())
    }

    /// The token key; where the file is absent a new one is made.
    ///
    /// # Errors
    /// [`StateError`]; an unreadable or damaged key is never replaced.
    pub fn token_key_or_new(&self, host: &dyn Host) -> Result<TokenKey, StateError> {
        if let Some(key) = self.read_token_key()? {
            return Ok(key);
        }
        let mut fresh = [0; 32];
        host.fill(&mut fresh);
        replace(&self.token_key(), &fresh)?;
        Ok(TokenKey::new(fresh))
    }

    /// The token key; none where the file is absent.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn read_token_key(&self) -> Result<Option<TokenKey>, StateError> {
        let path = self.token_key();
        let Some(bytes) = read_private(&path, 64)? else { return Ok(None) };
        let found = bytes.len();
        let key = bytes.try_into().map_err(|_| StateError::NotAKey { path, what: "a token key", found })?;
        Ok(Some(TokenKey::new(key)))
    }

    /// Moves what lies in the token key's place out of it, over nothing else, and tells where it is.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn put_token_key_aside(&self) -> Result<PathBuf, StateError> {
        let path = self.token_key();
        for number in 1..=KEPT_KEYS {
            let kept = path.with_file_name(format!("token.key.unusable-{number}"));
            match rename_to_new(&path, &kept) {
                Ok(()) => {
                    let synced = File::open(parent(&path)).and_then(|dir| dir.sync_all());
                    return synced.map(|()| kept).map_err(io_error("write", &path));
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(source) => return Err(io_error("move", &path)(source)),
            }
        }
        let fix = "move the token.key.unusable files away".to_owned();
        Err(StateError::Elsewhere { path, why: "has been put aside too often", fix })
    }
}

/// Makes a directory, and those above it, 0700 whatever the umask; an existing one must be ours or root's, no link, and not
/// writable by others.
///
/// # Errors
/// [`StateError`].
pub fn private_dir(path: &Path) -> Result<(), StateError> {
    match std::fs::symlink_metadata(path) {
        Ok(metadata) => return check_dir(path, &metadata),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(source) => return Err(io_error("read", path)(source)),
    }
    let above = parent(path);
    match std::fs::metadata(if above.as_os_str().is_empty() { Path::new(".") } else { above }) {
        // In a directory of somebody else's it would be theirs to move, and not theirs to use.
        Ok(metadata) => check_ours(above, &metadata)?,
        Err(_) => private_dir(above)?,
    }
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path);
    // A umask may have taken away what we need ourselves.
    made.and_then(|()| std::fs::set_permissions(path, Permissions::from_mode(0o700))).map_err(io_error("create", path))
}

fn check_dir(path: &Path, metadata: &Metadata) -> Result<(), StateError> {
    if metadata.is_symlink() {
        let fix = match std::fs::canonicalize(path) {
            Ok(target) => format!("put the directory itself there, or name it: OPENCLAW_STATE_DIR={}", target.display()),
            Err(_) => "put a directory there".to_owned(),
        };
        return Err(StateError::Elsewhere { path: path.into(), why: "is a symbolic link", fix });
    }
    if !metadata.is_dir() {
        let fix = "move it away, or name another place: OPENCLAW_STATE_DIR".to_owned();
        return Err(StateError::Elsewhere { path: path.into(), why: "is not a directory", fix });
    }
    check_ours(path, metadata)?;
    if metadata.permissions().mode() & 0o022 != 0 {
        return Err(StateError::Exposed { path: path.into(), what: "writable by others", fix: "700" });
    }
    Ok(())
}

/// Whoever may write the directory above may put another in the place of ours. A link there is followed, and what it leads to
/// is looked at; where it is sticky, as /tmp is, only owners move what is in it.
fn check_parent(path: &Path) -> Result<(), StateError> {
    let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
    let metadata = std::fs::metadata(path).map_err(io_error("read", path))?;
    let mode = metadata.permissions().mode();
    if mode & 0o022 != 0 && mode & 0o1000 == 0 {
        return Err(StateError::Exposed { path: path.into(), what: "writable by others", fix: "go-w" });
    }
    check_ours(path, &metadata)
}

/// Root may change everything anyway.
fn check_ours(path: &Path, metadata: &Metadata) -> Result<(), StateError> {
    let (owner, user) = (metadata.uid(), rustix::process::geteuid().as_raw());
    if owner == user || owner == 0 { Ok(()) } else { Err(StateError::NotOurs { path: path.into(), owner, user }) }
}

/// Reads a whole file that only its owner may read; none where it is absent.
///
/// # Errors
/// [`StateError`]: a link of either kind, a file that others own or can read, one larger than `limit` bytes.
pub fn read_private(path: &Path, limit: u64) -> Result<Option<Vec<u8>>, StateError> {
    let Some((file, metadata)) = open_itself(path, OFlags::empty())? else { return Ok(None) };
    if metadata.nlink() > 1 {
        let fix = "remove the other hard link".to_owned();
        return Err(StateError::Elsewhere { path: path.into(), why: "has another name elsewhere", fix });
    }
    if metadata.permissions().mode() & 0o077 != 0 {
        return Err(StateError::Exposed { path: path.into(), what: "open to others", fix: "600" });
    }
    read_bounded(path, file, limit).map(Some)
}

/// Opens a file to read it so that, where the system can, not even the time of its last access tells; none where it is absent.
///
/// # Errors
/// [`StateError`]: a link, a file that others own, anything that is no file.
pub fn open_untouched(path: &Path) -> Result<Option<File>, StateError> {
    #[cfg(target_os = "linux")]
    let flags = OFlags::NOATIME;
    #[cfg(not(target_os = "linux"))]
    let flags = OFlags::empty();
    match open_itself(path, flags) {
        // Not even root may leave no trace everywhere.
        Err(StateError::Io { source, .. }) if source.kind() == io::ErrorKind::PermissionDenied => {
            open_itself(path, OFlags::empty())
        }
        opened => opened,
    }
    .map(|opened| opened.map(|(file, _)| file))
}

/// Opens a file of ours or root's, and not what a link leads to.
fn open_itself(path: &Path, flags: OFlags) -> Result<Option<(File, Metadata)>, StateError> {
    let elsewhere = |why, fix: &str| StateError::Elsewhere { path: path.into(), why, fix: fix.to_owned() };
    let file = match open(path, flags | OFlags::NOFOLLOW) {
        Ok(Some(file)) => file,
        Ok(None) => return Ok(None),
        Err(error) if error.raw_os_error() == Some(Errno::LOOP.raw_os_error()) => {
            return Err(elsewhere("is a symbolic link", "put the file itself there"));
        }
        Err(source) => return Err(io_error("read", path)(source)),
    };
    let metadata = file.metadata().map_err(io_error("read", path))?;
    if !metadata.is_file() {
        return Err(elsewhere("is not a regular file", "move it away"));
    }
    check_ours(path, &metadata)?;
    Ok(Some((file, metadata)))
}

/// Reads a whole file of at most `limit` bytes; none where it is absent.
///
/// # Errors
/// [`StateError`].
pub fn read(path: &Path, limit: u64) -> Result<Option<Vec<u8>>, StateError> {
    let file = open(path, OFlags::empty()).map_err(io_error("read", path))?;
    file.map(|file| read_bounded(path, file, limit)).transpose()
}

fn open(path: &Path, flags: OFlags) -> io::Result<Option<File>> {
    // Not blocking, or a FIFO in the file's place would hold us for ever.
    let flags = (flags | OFlags::CLOEXEC | OFlags::NONBLOCK).bits().cast_signed();
    match OpenOptions::new().read(true).custom_flags(flags).open(path) {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Reads the whole of an open file.
///
/// # Errors
/// [`StateError`]: larger than `limit` bytes, or not readable.
pub fn read_bounded(path: &Path, file: File, limit: u64) -> Result<Vec<u8>, StateError> {
    let mut bytes = Vec::new();
    file.take(limit.saturating_add(1)).read_to_end(&mut bytes).map_err(io_error("read", path))?;
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > limit {
        return Err(StateError::TooLarge { path: path.into(), limit });
    }
    Ok(bytes)
}

/// Writes a file of mode 0600 beside `path`, syncs it and renames it into place: after a crash there is the old file or the new.
///
/// # Errors
/// [`StateError`].
pub fn replace(path: &Path, bytes: &[u8]) -> Result<(), StateError> {
    private_dir(parent(path))?;
    written_beside(path, bytes, |beside| std::fs::rename(beside, path)).map_err(io_error("write", path))
}

/// As [`replace`], but where there is a file already, says no and leaves it alone.
///
/// # Errors
/// [`StateError`].
pub fn place(path: &Path, bytes: &[u8]) -> Result<bool, StateError> {
    private_dir(parent(path))?;
    let placed = written_beside(path, bytes, |beside| rename_to_new(beside, path));
    match placed {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        placed => placed.map(|()| true).map_err(io_error("write", path)),
    }
}

fn rename_to_new(from: &Path, to: &Path) -> io::Result<()> {
    match rustix::fs::renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        // Not every file system can. Then the file has two names for a moment, in which a reader refuses it.
        Err(Errno::INVAL | Errno::NOSYS) => {
            std::fs::hard_link(from, to)?;
            std::fs::remove_file(from)
        }
        renamed => Ok(renamed?),
    }
}

fn written_beside(path: &Path, bytes: &[u8], put: impl FnOnce(&Path) -> io::Result<()>) -> io::Result<()> {
    let dir = parent(path);
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let beside = dir.join(format!(".{name}.{}.tmp", std::process::id()));
    let written = (|| {
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
        file.set_permissions(Permissions::from_mode(0o600))?;
        file.write_all(bytes)?;
        file.sync_all()?;
        put(&beside)?;
        File::open(dir)?.sync_all()
    })();
    if written.is_err() {
        // What is left beside is ours and worthless; that it cannot be removed changes nothing.
        let _ = std::fs::remove_file(&beside);
    }
    written
}

/// Makes a file of mode 0600 that was not there, in a directory that was.
///
/// # Errors
/// [`StateError`]: whatever is there already is left alone, a link too.
pub fn create(path: &Path) -> Result<File, StateError> {
    let made = (|| {
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        file.set_permissions(Permissions::from_mode(0o600))?;
        Ok(file)
    })();
    made.map_err(io_error("create", path))
}

fn parent(path: &Path) -> &Path {
    path.parent().unwrap_or(Path::new("."))
}

/// What the system says when `op` fails on `path`.
pub fn io_error(op: &'static str, path: &Path) -> impl FnOnce(io::Error) -> StateError {
    move |source| StateError::Io { op, path: path.into(), source }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::ManualHost;
    use crate::pairing::Millis;

    fn scratch() -> (tempfile::TempDir, StateDir) {
        let scratch = tempfile::tempdir().expect("a scratch directory");
        let state = StateDir::at(scratch.path().join("state"));
        (scratch, state)
    }

    #[test]
    fn x03_an_absent_key_is_made_and_a_damaged_one_is_left_alone() {
        let (_scratch, state) = scratch();
        let host = ManualHost::new(Millis(0), 1);
        state.prepare().expect("prepared");
        let first = state.token_key_or_new(&host).expect("made").id();
        assert_eq!(state.token_key_or_new(&host).expect("read").id(), first);
        std::fs::write(state.token_key(), b"short").expect("damaged");
        assert!(matches!(state.token_key_or_new(&host), Err(StateError::NotAKey { found: 5, .. })));
        assert_eq!(std::fs::read(state.token_key()).expect("still there"), b"short");
    }

    #[test]
    fn x03_a_key_that_others_can_read_or_that_is_a_link_is_refused() {
        let (scratch, state) = scratch();
        let host = ManualHost::new(Millis(0), 1);
        state.prepare().expect("prepared");
        state.token_key_or_new(&host).expect("made");
        std::fs::set_permissions(state.token_key(), Permissions::from_mode(0o644)).expect("opened");
        assert!(matches!(state.token_key_or_new(&host), Err(StateError::Exposed { .. })));
        let elsewhere = scratch.path().join("elsewhere");
        std::fs::rename(state.token_key(), &elsewhere).expect("moved");
        std::os::unix::fs::symlink(&elsewhere, state.token_key()).expect("linked");
        assert!(matches!(state.token_key_or_new(&host), Err(StateError::Elsewhere { .. })));
    }

    #[test]
    fn l07_files_and_directories_are_private() {
        let (_scratch, state) = scratch();
        state.prepare().expect("prepared");
        replace(&state.devices().join("paired.json"), b"{}").expect("written");
        let mode = |path: &Path| std::fs::metadata(path).expect("there").permissions().mode() & 0o777;
        assert_eq!(mode(state.root()), 0o700);
        assert_eq!(mode(&state.devices()), 0o700);
        assert_eq!(mode(&state.devices().join("paired.json")), 0o600);
        assert_eq!(std::fs::read_dir(state.devices()).expect("listed").count(), 1);
    }
}
