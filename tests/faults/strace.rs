//! Faults of system calls, made by strace. It counts calls per thread: all of the journal's happen on the main thread while a
//! gateway starts, and on the thread `authority` from then on. Being a tracer it must not be the parent, or a kill would not
//! be seen: hence `-D`.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use super::home::{Process, say};

/// The calls by which files are made, written, kept and locked. Not every machine has all of them.
const CALLS: &str = "?openat,?write,?pwrite64,?fdatasync,?fsync,?rename,?renameat,?renameat2,?mkdir,?mkdirat,?ftruncate,?close,\
                     ?unlink,?unlinkat,?link,?linkat,?fchmod,?chmod,?fchmodat,?flock";

/// Whether there is an strace that may trace; where not, what needs it is skipped, and said.
pub(crate) fn is_there(what: &str) -> bool {
    let traced = Command::new("strace").args(["-o", "/dev/null", "true"]).output();
    let is_there = traced.is_ok_and(|output| output.status.success());
    if !is_there {
        say(&format!("SKIPPED, needs strace and ptrace: {what}"));
    }
    is_there
}

/// The options by which nothing happens but that calls are counted.
pub(crate) fn counting() -> [String; 2] {
    ["-e".to_owned(), format!("trace={CALLS}")]
}

/// The options by which something happens to a call, as strace's `inject=` has it.
pub(crate) fn injecting(what: &str) -> [String; 4] {
    let call = what.split(':').next().unwrap_or_default();
    ["-e".to_owned(), format!("trace={call}"), "-e".to_owned(), format!("inject={what}")]
}

/// The words in front of a program that is to be traced from its start. The trace goes into a file.
pub(crate) fn over(into: &Path, options: &[String]) -> Vec<String> {
    let words = ["strace", "-D", "-f", "-qq", "-o"].map(ToString::to_string);
    words.into_iter().chain([into.display().to_string()]).chain(options.iter().cloned()).collect()
}

/// Whether what was to happen to a call has happened.
pub(crate) fn has_happened(file: &Path) -> bool {
    // None where the program could not even be started.
    let trace = fs::read_to_string(file).unwrap_or_default();
    trace.contains("(INJECTED)") || trace.contains("killed by SIGKILL")
}

/// Of each call the most that one thread made.
pub(crate) fn counts(file: &Path) -> BTreeMap<String, u64> {
    let mut per_thread: BTreeMap<(String, String), u64> = BTreeMap::new();
    for line in fs::read_to_string(file).expect("a trace").lines() {
        let Some((thread, rest)) = line.split_once(' ') else { continue };
        let Some((call, _)) = rest.trim_start().split_once('(') else { continue };
        if call.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            *per_thread.entry((call.to_owned(), thread.to_owned())).or_default() += 1;
        }
    }
    let mut most = BTreeMap::new();
    for ((call, _), count) in per_thread {
        let known: &mut u64 = most.entry(call).or_default();
        *known = count.max(*known);
    }
    most
}

/// A strace that was attached to a running process; it ends with it, or when dropped.
pub(crate) struct Attached(Child);

impl Attached {
    pub(crate) fn to(process: &Process, into: &Path, options: &[String]) -> Self {
        let mut command = Command::new("strace");
        command.args(["-f", "-o"]).arg(into).args(options).args(["-p", &process.pid().as_raw_nonzero().to_string()]);
        let mut child = command.stdin(Stdio::null()).stderr(Stdio::piped()).spawn().expect("strace runs");
        let mut said = BufReader::new(child.stderr.take().expect("its errors"));
        let mut line = String::new();
        while !line.contains(" attached") {
            line.clear();
            assert_ne!(said.read_line(&mut line).expect("UTF-8"), 0, "strace could not attach");
        }
        // It tells of each new thread; nobody needs to know, but it must not wait for a reader.
        std::thread::spawn(move || std::io::copy(&mut said, &mut std::io::sink()));
        Self(child)
    }

    /// Waits until it has seen the end of what it traces.
    pub(crate) fn finish(mut self) {
        let _ = self.0.wait();
    }
}

impl Drop for Attached {
    fn drop(&mut self) {
        // Killed rather than asked: what it traces then runs on as if nothing had been.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
