//! Processes of the real binary, in a home of their own. Nothing here waits for longer than `PATIENCE`.
#![allow(dead_code, reason = "each test binary includes all of it and uses a part")]

use std::fs::{self, File};
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use openclaw_pairing::journal::{Journal, Lock, Verdict, read_all};
use openclaw_pairing::pairing::{Actor, JournalCreated, JournalId, Millis, Record, Seq};
use openclaw_pairing::state::StateDir;
use openclaw_pairing::wire::record::record;
use rustix::process::{Pid, Signal};
use serde_json::Value;

pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_openclaw");
/// Nothing takes this long; it only turns a hang into a failure.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A policy whose record budget nobody spends.
pub(crate) const CROWD: &str =
    "{ version: 1, budgets: { record: { perAddress: 1000000, perDevice: 100000000, total: 100000000 } } }";

/// Says something past the captured output of a test.
pub(crate) fn say(text: &str) {
    let _nobody_listens = writeln!(std::io::stderr(), "{text}");
}

/// Whether we are root; where not, what needs it is skipped, and said.
pub(crate) fn is_root(what: &str) -> bool {
    let is_root = rustix::process::geteuid().is_root();
    if !is_root {
        say(&format!("SKIPPED, needs root: {what}"));
    }
    is_root
}

/// A number from the environment.
pub(crate) fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name} is a number")))
}

/// Looks until there is something to be seen.
pub(crate) fn patiently<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(begun.elapsed() < PATIENCE, "too long: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// A home directory that goes away with the test.
pub(crate) struct Home {
    dir: tempfile::TempDir,
    state: PathBuf,
    processes: AtomicU32,
}

impl Home {
    pub(crate) fn new() -> Self {
        // In memory where that can be: all that is to go wrong with a disk is made to.
        let memory = Path::new("/dev/shm");
        let dir = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
        let dir = dir.expect("a scratch directory");
        let state = dir.path().join("state");
        Self { dir, state, processes: AtomicU32::new(0) }
    }

    /// With a copy of the state of another, and of what is kept outside it.
    pub(crate) fn copy_of(other: &Self) -> Self {
        let home = Self::new();
        for name in ["state", ".local"] {
            let from = other.path().join(name);
            if from.exists() {
                let copied = Command::new("cp").arg("-a").arg(from).arg(home.path()).status();
                assert!(copied.expect("cp runs").success());
            }
        }
        home
    }

    /// With its state at this place in it, which may be another file system.
    pub(crate) fn with_state(mut self, place: &str) -> Self {
        self.state = self.dir.path().join(place);
        self
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn state(&self) -> &Path {
        &self.state
    }

    pub(crate) fn journal(&self) -> PathBuf {
        self.state.join("journal")
    }

    pub(crate) fn segment(&self) -> PathBuf {
        self.journal().join("00000000000000000001.segment")
    }

    /// The shared token.
    pub(crate) fn token(&self) -> String {
        let config = fs::read(self.state.join("openclaw.json")).expect("a configuration");
        let config: Value = serde_json::from_slice(&config).expect("JSON");
        config["gateway"]["auth"]["token"].as_str().expect("a token").to_owned()
    }

    /// Starts `openclaw ARGS`, behind the words of `before`, for example a shell that sets limits.
    pub(crate) fn spawn(&self, before: &[String], args: &[&str]) -> Process {
        let number = self.processes.fetch_add(1, Ordering::Relaxed);
        let file = |what| self.path().join(format!("{what}-{number}"));
        let (out, err) = (file("stdout"), file("stderr"));
        let words: Vec<&str> = before.iter().map(String::as_str).chain([BINARY]).chain(args.iter().copied()).collect();
        let mut command = Command::new(words[0]);
        command.args(&words[1..]).env_clear().env("HOME", self.path()).env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
        command.env("OPENCLAW_STATE_DIR", &self.state).current_dir(self.path()).stdin(Stdio::null());
        command.stdout(File::create(&out).expect("a file")).stderr(File::create(&err).expect("a file"));
        Process { child: command.spawn().unwrap_or_else(|error| panic!("{}: {error}", words[0])), out, err }
    }

    /// Begins the journal, with this policy as the first.
    pub(crate) fn begin(&self, policy: &str) {
        StateDir::at(self.state()).prepare().expect("a state directory");
        let mut journal = Journal::create(Lock::acquire(&self.journal()).expect("free"), JournalId([9; 16])).expect("a journal");
        let event = JournalCreated { journal: journal.id(), policy: policy.to_owned() }.into();
        let first = Record { seq: Seq(1), at: Millis(1), actor: Actor::System, event };
        journal.append(journal.head(), &[first]).expect("a first record");
    }

    /// Runs a command to its end.
    pub(crate) fn run(&self, args: &[&str]) -> Ended {
        self.spawn(&[], args).end()
    }

    /// Starts a gateway on a free port, and tells where it listens, or how it ended before it did.
    pub(crate) fn start_behind(&self, before: &[String]) -> Result<Gateway, Ended> {
        let mut process = self.spawn(before, &["gateway", "run", "--port", "0"]);
        let is_over = patiently("the start of a gateway", || {
            let said = process.stdout().lines().any(|line| line.starts_with("Next"));
            if said { Some(false) } else { process.status().map(|_| true) }
        });
        if is_over {
            return Err(process.end());
        }
        let said = process.stdout();
        let port = said.split("ws://127.0.0.1:").nth(1).and_then(|rest| rest.split([' ', '\n']).next()).expect("an address");
        let address = SocketAddr::from(([127, 0, 0, 1], port.parse().expect("a port")));
        Ok(Gateway { process, address })
    }

    pub(crate) fn start(&self) -> Gateway {
        self.start_behind(&[]).unwrap_or_else(|ended| panic!("the start needs a hand: {ended:?}"))
    }

    /// What is on record, a line of JSON each; nothing where there is no journal yet.
    pub(crate) fn records(&self) -> Vec<String> {
        let mut lines = vec![];
        match read_all(&self.journal(), &mut |_, records| lines.extend(records.iter().map(|one| record(one).to_string()))) {
            Ok(Verdict::Sound(_) | Verdict::TornTail { .. }) => lines,
            Ok(verdict) => panic!("{verdict:?}"),
            Err(_) if !self.segment().exists() => vec![],
            Err(error) => panic!("{error}"),
        }
    }

    /// What `openclaw journal verify` says; it has to find no damage.
    pub(crate) fn verify(&self) -> String {
        let ended = self.run(&["journal", "verify"]);
        assert!(ended.code == Some(0) && ended.stdout.starts_with("sound: "), "{ended:?}");
        ended.stdout
    }

    /// As [`Self::verify`], and not even an end that is torn.
    pub(crate) fn verify_sound(&self) {
        let said = self.verify();
        assert!(!said.contains("not a whole batch"), "{said}");
    }
}

/// A process; ended with the test.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    out: PathBuf,
    err: PathBuf,
}

/// How a process ended.
#[derive(Debug)]
pub(crate) struct Ended {
    /// The exit code; none where a signal ended it.
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Process {
    pub(crate) fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    pub(crate) fn signal(&self, signal: Signal) {
        // It may have ended already, and then there is nothing to tell it.
        let _ = rustix::process::kill_process(self.pid(), signal);
    }

    pub(crate) fn status(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("a child of ours")
    }

    pub(crate) fn stdout(&self) -> String {
        fs::read_to_string(&self.out).expect("UTF-8")
    }

    pub(crate) fn stderr(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.err).expect("a file")).into_owned()
    }

    /// Waits for its end.
    pub(crate) fn end(mut self) -> Ended {
        let what = format!("the end of process {}, which said: {}", self.pid().as_raw_nonzero(), self.stderr());
        let status = patiently(&what, || self.status());
        Ended { code: status.code(), stdout: self.stdout(), stderr: self.stderr() }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A gateway that listens.
#[derive(Debug)]
pub(crate) struct Gateway {
    pub(crate) process: Process,
    pub(crate) address: SocketAddr,
}

impl Gateway {
    /// Asks it to stop, and waits until it has.
    pub(crate) fn stop(self) -> Ended {
        self.process.signal(Signal::TERM);
        self.process.end()
    }

    pub(crate) fn kill(self) -> Ended {
        self.process.signal(Signal::KILL);
        self.process.end()
    }
}
