//! What the system tells of this process and its disk.

use std::fs;
use std::os::linux::fs::MetadataExt as _;
use std::path::Path;

/// Bytes that the device under `dir` has written, its file system's own log among them, and what others write, so it wants a
/// quiet machine. (What `/proc/self/io` counts is no measure: dirtying a byte of a large folio counts all of it.) None where
/// `dir` is on no block device.
pub fn device_bytes(dir: &Path) -> Option<u64> {
    let device = fs::metadata(dir).ok()?.st_dev();
    let (major, minor) = (rustix::fs::major(device), rustix::fs::minor(device));
    let stat = fs::read_to_string(format!("/sys/dev/block/{major}:{minor}/stat")).ok()?;
    let sectors: u64 = stat.split_whitespace().nth(6)?.parse().ok()?;
    Some(sectors * 512)
}

/// The most memory that this process ever had, and what it has now.
pub fn memory_bytes() -> (u64, u64) {
    let kibibytes = |name| number("/proc/self/status", name).expect("Linux tells") * 1024;
    (kibibytes("VmHWM:"), kibibytes("VmRSS:"))
}

fn number(file: &str, name: &str) -> Option<u64> {
    let text = fs::read_to_string(file).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

/// The name of the file system that `dir` is on, and whether it is memory.
pub fn file_system(dir: &Path) -> (String, bool) {
    let kind = rustix::fs::statfs(dir).expect("Linux tells").f_type;
    match kind as u64 & 0xFFFF_FFFF {
        0x0102_1994 => ("tmpfs".to_owned(), true),
        0x8584_58F6 => ("ramfs".to_owned(), true),
        0xEF53 => ("ext4".to_owned(), false),
        0x5846_5342 => ("xfs".to_owned(), false),
        0x9123_683E => ("btrfs".to_owned(), false),
        0x794C_7630 => ("overlay".to_owned(), false),
        other => (format!("a file system of type {other:#x}"), false),
    }
}
