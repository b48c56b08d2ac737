//! Who asks on this host. The kernel names user and process; all else the process says of itself, and it is what an honest one
//! says. So that a shell of OpenClaw's agent is recognized stops an agent that is talked into something, not one that hides.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};

use crate::limits;
use crate::pairing::Person;

/// What OpenClaw sets in the environment of the shells that it starts (2026.3.13, 2026.9.6).
const SHELL: &[u8] = b"OPENCLAW_SHELL=";
/// Its value where a person typed the command, in OpenClaw's own terminal (2026.9.6).
const TYPED: &[u8] = b"tui-local";

/// The user behind a process, and what the process says of itself.
#[must_use]
pub(super) fn person(uid: u32, pid: u32) -> Person {
    let proc = of(pid);
    let program = std::fs::read_link(proc.join("exe")).ok();
    let program = program.as_deref().and_then(Path::file_name).map(|name| name.to_string_lossy().into_owned());
    let terminal = std::fs::read_link(proc.join("fd/0")).ok().map(|path| path.to_string_lossy().into_owned());
    let terminal = terminal.filter(|path| path.starts_with("/dev/pts/") || path.starts_with("/dev/tty"));
    let cut = |text: String| text.get(..text.floor_char_boundary(limits::TEXT_BYTES)).unwrap_or_default().to_owned();
    Person { uid, pid, program: cut(program.unwrap_or_default()), terminal: terminal.map(cut), from_exec: is_below_exec(pid) }
}

fn of(pid: u32) -> PathBuf {
    PathBuf::from(format!("/proc/{pid}"))
}

/// Whether the process, or one that it descends from, was started by OpenClaw's agent. What cannot be read is no evidence.
fn is_below_exec(pid: u32) -> bool {
    let mut next = Some(pid).filter(|pid| *pid != 0);
    for _ in 0..limits::ANCESTORS {
        let Some(pid) = next else { return false };
        if says_exec(&of(pid)) {
            return true;
        }
        next = parent(&of(pid));
    }
    false
}

/// As the process was started: what it changed in its own environment since does not show.
fn says_exec(proc: &Path) -> bool {
    let Ok(file) = File::open(proc.join("environ")) else { return false };
    let variables = BufReader::new(file.take(limits::ENVIRONMENT_BYTES)).split(0).map_while(Result::ok);
    let mut values = variables.filter_map(|variable| variable.strip_prefix(SHELL).map(<[u8]>::to_vec));
    values.any(|value| !value.is_empty() && value != TYPED)
}

fn parent(proc: &Path) -> Option<u32> {
    let status = std::fs::read_to_string(proc.join("status")).ok()?;
    let parent = status.lines().find_map(|line| line.strip_prefix("PPid:"))?;
    parent.trim().parse().ok().filter(|pid| *pid != 0)
}
