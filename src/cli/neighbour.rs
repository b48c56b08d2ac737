//! Whether a real OpenClaw gateway runs on our state directory: one of 2026.3.13 by the lock file that it leaves, one of
//! 2026.9.6 by its database, which it keeps open.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::limits;
use crate::state::{StateDir, read};

/// The process of another gateway on this directory, as far as the system tells.
pub(super) fn openclaw_on(state: &StateDir) -> Option<u32> {
    by_lock(state).or_else(|| by_database(state))
}

/// Where Node looks for a place for what is temporary.
fn temporary() -> PathBuf {
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    ["TMPDIR", "TMP", "TEMP"].into_iter().find_map(set).unwrap_or_else(|| PathBuf::from("/tmp"))
}

fn by_lock(state: &StateDir) -> Option<u32> {
    let owner = state.owner().ok().flatten()?;
    let config = state.config();
    let locks = std::fs::read_dir(temporary().join(format!("openclaw-{owner}"))).ok()?;
    let is_lock = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with("gateway.") && name.ends_with(".lock")
    };
    locks.flatten().map(|entry| entry.path()).filter(is_lock).find_map(|path| {
        let lock: Value = serde_json::from_slice(&read(&path, limits::FOREIGN_LOCK_BYTES).ok()??).ok()?;
        let is_ours = lock.get("configPath").and_then(Value::as_str).is_some_and(|path| is_same(Path::new(path), &config));
        let pid = lock.get("pid").and_then(Value::as_u64).and_then(|pid| u32::try_from(pid).ok());
        pid.filter(|pid| is_ours && is_alive(*pid))
    })
}

fn by_database(state: &StateDir) -> Option<u32> {
    let database = std::fs::canonicalize(state.root().join("state").join("openclaw.sqlite")).ok()?;
    let processes = std::fs::read_dir("/proc").ok()?.flatten();
    let mut pids = processes.filter_map(|entry| entry.file_name().to_string_lossy().parse::<u32>().ok());
    pids.find(|pid| {
        let open = std::fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
        open.filter_map(|entry| std::fs::read_link(entry.path()).ok()).any(|path| path == database)
    })
}

/// Whether two paths lead to the same place.
fn is_same(a: &Path, b: &Path) -> bool {
    let whole = |path: &Path| std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    whole(a) == whole(b)
}

/// Whether there is such a process; one that ended and that nobody asked about has no program any more.
pub(super) fn is_alive(pid: u32) -> bool {
    // Whose program may not be looked at is somebody else's, and alive.
    !matches!(std::fs::read_link(format!("/proc/{pid}/exe")), Err(error) if error.kind() == ErrorKind::NotFound)
}
