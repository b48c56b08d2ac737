//! The machine around a journal: who else could reach it, what the file system can do, and where everything lies. Real processes
//! with homes of their own; what needs root or a program of the system is skipped where that is not to be had, and says so.

#[path = "support/journal.rs"]
mod support;

use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use openclaw_pairing::journal::{Journal, JournalError, Lock};
use openclaw_pairing::pairing::{Actor, GatewayStopped, Millis, Record};
use support::{JOURNAL, every_kind, journal_of};

const BINARY: &str = env!("CARGO_BIN_EXE_openclaw");
const SEGMENT: &str = "00000000000000000001.segment";
const NOBODY: u32 = 65_534;

/// Says past the test's captured output that something was not tried.
fn skipped(what: &str) {
    let _nobody_listens = writeln!(std::io::stderr(), "SKIPPED: {what}");
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

// --- homes and processes --------------------------------------------------------------------------------------------------

/// A home directory, and the program that is run in it.
struct Home {
    scratch: tempfile::TempDir,
    name: PathBuf,
    program: PathBuf,
}

/// What a command said.
struct Said {
    code: Option<i32>,
    out: String,
    err: String,
}

impl Said {
    fn of(output: Output) -> Self {
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Self { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
    }

    #[track_caller]
    fn done(self) -> String {
        assert_eq!(self.code, Some(0), "{}", self.err);
        self.out
    }

    /// One sentence on standard error, which holds all of these; root is told before it where that is not its own state.
    #[track_caller]
    fn refused(&self, parts: &[&str]) {
        let said = self
            .err
            .split_once("error: ")
            .filter(|(before, _)| before.is_empty() || before.starts_with("note: this runs as root"));
        let is_told = parts.iter().all(|part| self.err.contains(part)) && said.is_some();
        assert!(self.code == Some(1) && is_told, "wanted {parts:?}, got {:?}: {}", self.code, self.err);
    }
}

impl Home {
    fn new() -> Self {
        Self::named("home")
    }

    fn named(name: impl AsRef<OsStr>) -> Self {
        let scratch = tempfile::tempdir().expect("a scratch directory");
        let home = Self { name: name.as_ref().into(), scratch, program: BINARY.into() };
        fs::DirBuilder::new().mode(0o700).create(home.path()).expect("made");
        home
    }

    fn path(&self) -> PathBuf {
        self.scratch.path().join(&self.name)
    }

    fn state(&self) -> PathBuf {
        self.path().join(".openclaw")
    }

    /// Something in the state directory; the directory itself where the name is empty.
    fn file(&self, name: &str) -> PathBuf {
        if name.is_empty() { self.state() } else { self.state().join(name) }
    }

    /// This program with `args` in this home, or what runs that.
    fn command(&self, wrapper: &[&str], args: &[&str]) -> Command {
        let mut words = wrapper.iter().map(OsStr::new).chain([self.program.as_os_str()]).chain(args.iter().map(OsStr::new));
        let mut command = Command::new(words.next().expect("a program"));
        command.args(words).env_clear().env("HOME", self.path()).env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
        command.current_dir(self.scratch.path()).stdin(Stdio::null());
        command
    }

    fn run(&self, args: &[&str]) -> Said {
        self.run_by(&[], args)
    }

    /// A gateway that runs where it should have been refused is ended, so that its test fails and does not wait.
    fn run_by(&self, wrapper: &[&str], args: &[&str]) -> Said {
        Said::of(self.command(&[&["timeout", "60"], wrapper].concat(), args).output().expect("it runs"))
    }

    fn start(&self) -> Said {
        self.run(&["gateway", "run", "--port", "0"])
    }

    fn gateway(&self) -> Gateway {
        self.gateway_by(&[])
    }

    fn gateway_by(&self, wrapper: &[&str]) -> Gateway {
        self.gateway_with(wrapper, &[])
    }

    fn gateway_with(&self, wrapper: &[&str], flags: &[&str]) -> Gateway {
        let args = [&["gateway", "run", "--port", "0"], flags].concat();
        let mut child = self.command(wrapper, &args).stdout(Stdio::piped()).spawn().expect("it runs");
        let mut said = BufReader::new(child.stdout.take().expect("its output"));
        let mut url = None;
        loop {
            let mut line = vec![];
            assert_ne!(said.read_until(b'\n', &mut line).expect("its output"), 0, "it ended");
            let line = String::from_utf8_lossy(&line).into_owned();
            let found = line.split(' ').find(|word| word.starts_with("ws://127.0.0.1:"));
            url = found.map(|url| url.trim_end().to_owned()).or(url);
            if line.starts_with("Next") {
                break;
            }
        }
        Gateway { child, url: url.expect("an address") }
    }

    /// A gateway has run here, and has stopped.
    fn used() -> Self {
        let home = Self::new();
        home.gateway().stop();
        home
    }

    fn token(&self) -> String {
        let config = fs::read(self.file("openclaw.json")).expect("a configuration");
        let config: serde_json::Value = serde_json::from_slice(&config).expect("JSON");
        config["gateway"]["auth"]["token"].as_str().expect("a token").to_owned()
    }

    /// Asks a gateway as a device of this home.
    fn ask(&self, gateway: &Gateway, token: &str) -> Said {
        self.run(&["devices", "list", "--url", &gateway.url, "--token", token])
    }
}

struct Gateway {
    child: Child,
    url: String,
}

impl Gateway {
    fn stop(mut self) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("it runs");
        assert_eq!(self.child.wait().expect("it ends").code(), Some(0));
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Everything below a directory, as it is named.
fn below(dir: &Path) -> Vec<PathBuf> {
    let mut all = vec![];
    for entry in fs::read_dir(dir).expect("a directory").map(|entry| entry.expect("an entry").path()) {
        if fs::symlink_metadata(&entry).expect("there").is_dir() {
            all.extend(below(&entry));
        }
        all.push(entry);
    }
    all
}

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).expect("there").permissions().mode() & 0o7777
}

fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("set");
}

// --- the lock and what it is of -------------------------------------------------------------------------------------------

type Displace = (&'static str, fn(&Path));

/// Ways to take away, from a journal in `dir/state/journal`, what its writer has locked.
const DISPLACED: [Displace; 9] = [
    ("the lock is deleted", |dir| fs::remove_file(dir.join("state/journal/lock")).expect("deleted")),
    ("the lock is moved", |dir| {
        fs::rename(dir.join("state/journal/lock"), dir.join("state/journal/elsewhere")).expect("moved");
    }),
    ("another lock takes its place", |dir| {
        fs::write(dir.join("another"), fs::read(dir.join("state/journal/lock")).expect("a hint")).expect("written");
        fs::rename(dir.join("another"), dir.join("state/journal/lock")).expect("moved");
    }),
    ("a link to the lock takes its place", |dir| {
        fs::rename(dir.join("state/journal/lock"), dir.join("elsewhere")).expect("moved");
        symlink(dir.join("elsewhere"), dir.join("state/journal/lock")).expect("linked");
    }),
    ("the directory is moved", |dir| fs::rename(dir.join("state/journal"), dir.join("elsewhere")).expect("moved")),
    ("the directory is deleted", |dir| fs::remove_dir_all(dir.join("state/journal")).expect("deleted")),
    ("a copy of the directory takes its place", |dir| {
        fs::rename(dir.join("state/journal"), dir.join("elsewhere")).expect("moved");
        let copy = Command::new("cp").arg("-a").args([dir.join("elsewhere"), dir.join("state/journal")]).status();
        assert!(copy.expect("it runs").success());
    }),
    ("a link to the directory takes its place", |dir| {
        fs::rename(dir.join("state/journal"), dir.join("elsewhere")).expect("moved");
        symlink(dir.join("elsewhere"), dir.join("state/journal")).expect("linked");
    }),
    ("the state directory is moved", |dir| fs::rename(dir.join("state"), dir.join("elsewhere")).expect("moved")),
];

#[test]
fn l03_what_was_locked_and_lies_there_no_more_is_noticed_before_anything_is_written() {
    for (what, displace) in DISPLACED {
        let scratch = tempfile::tempdir().expect("a scratch directory");
        let dir = scratch.path().join("state/journal");
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&dir).expect("made");
        let mut journal = Journal::create(Lock::acquire(&dir).expect("free"), JOURNAL).expect("a journal");
        let records = every_kind();
        journal.append(journal.head(), &records[..2]).expect("undisturbed");
        // Open before, so that it is the same file wherever its name goes.
        let segment = fs::File::open(dir.join(SEGMENT)).expect("a segment");
        let bytes = || {
            let mut bytes = vec![];
            let mut segment = &segment;
            std::io::Seek::rewind(&mut segment).expect("a file");
            std::io::Read::read_to_end(&mut segment, &mut bytes).expect("read");
            bytes
        };
        let before = bytes();
        displace(scratch.path());
        let names = below(scratch.path());
        let error = journal.append(journal.head(), &records[2..3]).expect_err(what);
        assert!(matches!(&error, JournalError::Displaced { path } if path.starts_with(scratch.path())), "{what}: {error}");
        assert!(error.to_string().ends_with("start again: openclaw gateway run"), "{error}");
        assert_eq!((bytes(), below(scratch.path())), (before, names), "{what}: nothing was written");
        // Somebody else may have written meanwhile, so only a start from the disk goes on.
        assert!(matches!(journal.append(journal.head(), &records[2..3]), Err(JournalError::Poisoned)), "{what}");
    }
}

#[test]
fn l03_a_gateway_whose_journal_was_moved_away_lets_nobody_in_until_it_is_put_back_and_started_again() {
    let (home, pocket) = (Home::new(), Home::new());
    let gateway = home.gateway();
    let token = home.token();
    pocket.ask(&gateway, &token).done();
    let moved = home.path().join("moved");
    fs::rename(home.file("journal"), &moved).expect("moved");
    let before = fs::read(moved.join(SEGMENT)).expect("a segment");
    for _ in 0..2 {
        pocket.ask(&gateway, &token).refused(&["the journal cannot be written"]);
    }
    assert_eq!(fs::read(moved.join(SEGMENT)).expect("a segment"), before);
    assert!(!home.file("journal").exists());
    fs::rename(&moved, home.file("journal")).expect("put back");
    pocket.ask(&gateway, &token).refused(&["the journal cannot be written"]);
    drop(gateway);
    let gateway = home.gateway();
    pocket.ask(&gateway, &token).done();
}

// --- who else could reach it ----------------------------------------------------------------------------------------------

const FIX_LINK: &str = "put the ";

/// Puts a symbolic link to it in its place.
fn linked(path: &Path) {
    let elsewhere = path.with_extension("elsewhere");
    fs::rename(path, &elsewhere).expect("moved");
    symlink(elsewhere, path).expect("linked");
}

fn made_by(program: &str, args: &[&str], path: &Path, last: &[&str]) {
    let _ = fs::remove_dir_all(path).or_else(|_| fs::remove_file(path));
    assert!(Command::new(program).args(args).arg(path).args(last).status().expect("it runs").success(), "{program}");
}

fn fifo(path: &Path) {
    made_by("mkfifo", &["-m", "600"], path, &[]);
}

/// The device that reads as zeros without end.
fn device(path: &Path) {
    made_by("mknod", &["-m", "600"], path, &["c", "1", "5"]);
}

fn given_away(path: &Path) {
    std::os::unix::fs::chown(path, Some(NOBODY), None).expect("root may");
}

/// A start that has to be refused, naming the place and the fix, within the time that a test has.
#[track_caller]
fn assert_refused(home: &Home, path: &Path, fix: &str) {
    home.start().refused(&[&path.display().to_string(), fix]);
}

#[test]
fn l06_a_symbolic_link_is_followed_nowhere() {
    for name in ["", "pairing", "journal"] {
        let home = Home::used();
        linked(&home.file(name));
        assert_refused(&home, &home.file(name), if name == "journal" { "put a real directory there" } else { FIX_LINK });
    }
    // The fix names where it leads, and works.
    let home = Home::used();
    linked(&home.state());
    let target = fs::canonicalize(home.state()).expect("a target");
    home.start().refused(&[&format!("or name it: OPENCLAW_STATE_DIR={}\n", target.display())]);
    let named = home.command(&[], &["devices", "clear", "--yes"]).env("OPENCLAW_STATE_DIR", target).output();
    Said::of(named.expect("it runs")).done();
    for name in [format!("journal/{SEGMENT}"), "journal/lock".to_owned()] {
        let home = Home::used();
        linked(&home.file(&name));
        assert_refused(&home, &home.file(&name), "put the file itself there");
    }
    // A link that leads nowhere makes nothing where it leads.
    for name in ["journal", "journal/lock", "pairing"] {
        let home = Home::used();
        let _ = fs::remove_dir_all(home.file(name)).or_else(|_| fs::remove_file(home.file(name)));
        symlink(home.path().join("nowhere"), home.file(name)).expect("linked");
        assert_refused(&home, &home.file(name), "");
        assert!(!home.path().join("nowhere").exists(), "{name}");
    }
}

#[test]
fn l06_a_fifo_is_not_waited_for() {
    for name in ["", "pairing", "journal"] {
        let home = Home::used();
        fifo(&home.file(name));
        assert_refused(&home, &home.file(name), if name == "journal" { "put a real directory there" } else { "move it away" });
    }
    for name in [format!("journal/{SEGMENT}"), "journal/lock".to_owned()] {
        let home = Home::used();
        fifo(&home.file(&name));
        assert_refused(&home, &home.file(&name), "is not a regular file: move it away");
        assert_ne!(home.run(&["devices", "list"]).code, None);
    }
}

#[test]
fn l06_a_device_is_not_read() {
    if !is_root() {
        return skipped("making a device node needs root");
    }
    for name in [format!("journal/{SEGMENT}"), "journal/lock".to_owned()] {
        let home = Home::used();
        device(&home.file(&name));
        assert_refused(&home, &home.file(&name), "is not a regular file: move it away");
    }
    for name in ["", "pairing"] {
        let home = Home::used();
        device(&home.file(name));
        assert_refused(&home, &home.file(name), "move it away");
    }
}

#[test]
fn l06_a_file_with_another_name_elsewhere_is_not_used() {
    for name in [format!("journal/{SEGMENT}"), "journal/lock".to_owned()] {
        let home = Home::used();
        fs::hard_link(home.file(&name), home.path().join("another name")).expect("linked");
        assert_refused(&home, &home.file(&name), "has another name elsewhere: remove the other hard link");
    }
}

#[test]
fn l06_what_belongs_to_somebody_else_is_not_used() {
    if !is_root() {
        return skipped("giving files away needs root");
    }
    for name in ["journal".to_owned(), format!("journal/{SEGMENT}"), "journal/lock".to_owned()] {
        let home = Home::used();
        given_away(&home.file(&name));
        assert_refused(&home, &home.file(&name), "belongs to another user: run as its owner");
    }
    for name in ["..", "", "pairing"] {
        let home = Home::used();
        let path = if name == ".." { home.path() } else { home.file(name) };
        given_away(&path);
        assert_refused(&home, &path, &format!("belongs to uid {NOBODY}, and this runs as uid 0; run it as that user"));
    }
}

#[test]
fn l06_what_others_may_write_is_not_used() {
    for bit in [0o020, 0o002] {
        for name in ["..", "", "pairing"] {
            let home = Home::used();
            let (path, fix) = if name == ".." { (home.path(), "chmod go-w ") } else { (home.file(name), "chmod 700 ") };
            chmod(&path, 0o700 | bit);
            assert_refused(&home, &path, &format!("is writable by others; make it private: {fix}{}", path.display()));
        }
        for name in ["journal".to_owned(), format!("journal/{SEGMENT}"), "journal/lock".to_owned()] {
            let home = Home::used();
            chmod(&home.file(&name), if name == "journal" { 0o700 } else { 0o600 } | bit);
            assert_refused(&home, &home.file(&name), "can be written by others: take that away with `chmod go-w`");
        }
    }
    // In a directory like /tmp everybody may make files, and nobody may move those of others.
    let home = Home::used();
    chmod(&home.path(), 0o1777);
    home.gateway().stop();
}

/// What is wrong with a file, how it is made so, and what is said of it.
type Exposed = (&'static str, fn(&Path), &'static str);

/// A key that is not ours alone is not used. That locks nobody out: it is said, it is on record, and tokens stay good.
#[test]
fn l06_a_token_key_that_is_not_ours_alone_is_not_used_and_locks_nobody_out() {
    let mut kinds: Vec<Exposed> = vec![
        ("a link", linked, "is a symbolic link: put the file itself there"),
        ("a FIFO", fifo, "is not a regular file: move it away"),
        ("a hard link", |path| fs::hard_link(path, path.with_extension("too")).expect("linked"), "remove the other hard link"),
        ("readable by the group", |path| chmod(path, 0o640), "is open to others; make it private: chmod 600"),
        ("writable by all", |path| chmod(path, 0o602), "is open to others; make it private: chmod 600"),
    ];
    if is_root() {
        kinds.push(("a device", device, "is not a regular file: move it away"));
        kinds.push(("somebody else's", given_away, "belongs to uid"));
    } else {
        skipped("device nodes and files of others need root");
    }
    let (home, pocket) = (Home::new(), Home::new());
    let gateway = home.gateway();
    let token = home.token();
    pocket.ask(&gateway, &token).done();
    gateway.stop();
    let key = fs::read(home.file("pairing/token.key")).expect("a key");
    for (kind, make, says) in kinds {
        let path = home.file("pairing/token.key");
        make(&path);
        let error = fs::File::create(home.path().join("said")).expect("made");
        let mut command = home.command(&[], &["gateway", "run", "--port", "0"]);
        let mut child = command.stdout(Stdio::piped()).stderr(error).spawn().expect("it runs");
        let mut lines = BufReader::new(child.stdout.take().expect("its output")).lines().map(|line| line.expect("UTF-8"));
        let url = lines.find_map(|line| line.strip_prefix("Listening on   ").map(str::to_owned)).expect("it runs");
        let gateway = Gateway { child, url: url.split(' ').next().expect("an address").to_owned() };
        lines.find(|line| line.starts_with("Next")).expect("it runs");
        pocket.ask(&gateway, "not the shared secret").done();
        gateway.stop();
        let said = fs::read_to_string(home.path().join("said")).expect("UTF-8");
        assert!(said.contains("pairing/token.key") && said.contains(says), "{kind}: {said}");
        assert!(home.run(&["logs"]).done().contains("pairing/token.key cannot be used; "), "{kind}");
        for name in ["token.key", "token.too", "token.elsewhere"] {
            let _ = fs::remove_file(home.file("pairing").join(name));
        }
        fs::write(&path, &key).expect("put back");
        chmod(&path, 0o600);
    }
}

// --- names, masks, and what the file system can do ------------------------------------------------------------------------

#[test]
fn l07_whatever_the_mask_directories_are_0700_and_files_0600() {
    for mask in ["000", "077", "777"] {
        let (home, pocket) = (Home::new(), Home::new());
        let masked = ["sh", "-c", &format!("umask {mask}; exec \"$@\""), "sh"];
        let gateway = home.gateway_by(&masked);
        let token = home.token();
        let ask = ["devices", "list", "--url", &gateway.url, "--token", &token];
        pocket.run_by(&masked, &ask).done();
        gateway.stop();
        home.run_by(&masked, &["journal", "head", "--output", "head"]).done();
        home.run_by(&masked, &["journal", "export", "--output", "export"]).done();
        for path in below(&home.state()).into_iter().chain(below(&pocket.state())).chain([home.state(), pocket.state()]) {
            let wanted = if path.is_dir() { 0o700 } else { 0o600 };
            assert_eq!(mode(&path), wanted, "umask {mask}: {}", path.display());
        }
        for name in ["head", "export"] {
            assert_eq!(mode(&home.scratch.path().join(name)), 0o600, "umask {mask}");
        }
    }
}

/// Directories above the state directory are made too, and nobody else can write in them either.
#[test]
fn l07_directories_made_on_the_way_are_0700_too() {
    let home = Home::new();
    let deep = home.path().join("a/b/state");
    for _ in 0..2 {
        let mut command = home.command(&["sh", "-c", "umask 000; exec \"$@\"", "sh"], &["gateway", "run", "--port", "0"]);
        let mut child = command.env("OPENCLAW_STATE_DIR", &deep).stdout(Stdio::piped()).spawn().expect("it runs");
        let lines = BufReader::new(child.stdout.take().expect("its output")).lines();
        let is_up = lines.map(|line| line.expect("UTF-8")).any(|line| line.starts_with("Next"));
        assert!(is_up, "{:?}", child.wait());
        Gateway { child, url: String::new() }.stop();
    }
    for path in ["a", "a/b", "a/b/state"] {
        assert_eq!(mode(&home.path().join(path)), 0o700, "{path}");
    }
}

#[test]
fn l07_a_home_may_have_any_name() {
    for name in [&b"two words and more"[..], b"two\nlines", b"not\xffUTF-8\xc3", b"-rf", b"$(echo)'\""] {
        let (home, pocket) = (Home::named(OsStr::from_bytes(name)), Home::named(OsStr::from_bytes(name)));
        let gateway = home.gateway();
        let token = home.token();
        pocket.ask(&gateway, &token).done();
        assert!(home.run(&["devices", "list"]).done().starts_with("Paired (1)"));
        gateway.stop();
        assert!(home.run(&["logs"]).done().contains("gateway stopped"));
        assert!(home.run(&["journal", "verify"]).done().starts_with("sound: "));
        let gateway = home.gateway();
        pocket.ask(&gateway, &token).done();
    }
}

/// What looks and what writes, on a state directory that cannot be written; `run` runs them there.
fn assert_reads_only(why: &str, run: impl Fn(&[&str]) -> Said) {
    for args in ["devices list", "logs", "logs --json", "journal verify", "journal show", "journal export"] {
        assert!(!run(&args.split(' ').collect::<Vec<_>>()).done().is_empty(), "{args}");
    }
    for args in ["gateway run --port 0", "devices approve 00000000-0000-4000-8000-000000000000", "devices clear --yes"] {
        run(&args.split(' ').collect::<Vec<_>>()).refused(&[".openclaw", why]);
    }
}

fn with_a_device() -> Home {
    let (home, pocket) = (Home::new(), Home::new());
    let gateway = home.gateway();
    pocket.ask(&gateway, &home.token()).done();
    gateway.stop();
    home
}

#[test]
fn l08_a_read_only_state_directory_is_read_and_says_why_it_is_not_written() {
    let home = with_a_device();
    if is_root() {
        return skipped("root may write whatever the mode says; the read-only mount is tried instead");
    }
    let all = below(&home.state());
    for path in all.iter().chain([&home.state()]) {
        chmod(path, if path.is_dir() { 0o500 } else { 0o400 });
    }
    assert_reads_only("Permission denied", |args| home.run(args));
    // So that it can be removed.
    for path in all.iter().chain([&home.state()]).filter(|path| path.is_dir()) {
        chmod(path, 0o700);
    }
}

#[test]
fn l08_a_read_only_mount_is_read_and_says_why_it_is_not_written() {
    let home = with_a_device();
    let script = "mount --bind \"$0\" \"$0\" && mount -o remount,ro,bind \"$0\" && exec \"$@\"";
    let state = home.state();
    let mount = ["unshare", "--mount", "sh", "-c", script, state.to_str().expect("UTF-8")];
    let can = Command::new(mount[0]).args(&mount[1..]).arg("true").output();
    if !can.is_ok_and(|output| output.status.success()) {
        return skipped("a mount of its own needs root and unshare");
    }
    let before: Vec<_> = below(&state);
    assert_reads_only("Read-only file system", |args| home.run_by(&mount, args));
    assert_eq!(below(&state), before);
    home.gateway().stop();
}

#[test]
fn l09_a_file_system_without_locks_is_named_and_nothing_is_written() {
    let can = Command::new("strace").args(["-o", "/dev/null", "true"]).status();
    if !can.is_ok_and(|status| status.success()) {
        return skipped("errors are injected with strace, which is not here or may not trace");
    }
    for answer in ["ENOLCK", "EOPNOTSUPP", "ENOSYS"] {
        let home = Home::used();
        let segment = fs::read(home.file("journal").join(SEGMENT)).expect("a segment");
        let inject = format!("inject=flock:error={answer}");
        let strace = ["strace", "-D", "-f", "-qq", "-o", "/dev/null", "-e", "trace=flock", "-e", &inject];
        for args in [&["gateway", "run", "--port", "0"][..], &["devices", "clear", "--yes"]] {
            home.run_by(&strace, args).refused(&[
                "has no working locks",
                "journal/lock",
                "keep the state on a local disk: OPENCLAW_STATE_DIR",
            ]);
        }
        assert_eq!(fs::read(home.file("journal").join(SEGMENT)).expect("a segment"), segment);
        // Looking needs no lock.
        home.run_by(&strace, &["devices", "list"]).done();
        let doctor = home.run_by(&strace, &["doctor"]);
        assert!(doctor.code == Some(1) && doctor.out.contains("has no working locks"), "{}", doctor.out);
        // Who makes sure of it may go on, and that is on record until a start with a lock.
        home.gateway_with(&strace, &["--without-lock"]).stop();
        assert!(home.run(&["logs"]).done().contains("the disk has no working locks"));
        home.gateway_with(&[], &["--without-lock"]).stop();
        assert!(home.run(&["logs"]).done().contains("the disk is as it should be again"));
        home.gateway().stop();
    }
}

// --- where everything lies ------------------------------------------------------------------------------------------------

fn journal_id(home: &Home) -> String {
    let said: serde_json::Value = serde_json::from_str(&home.run(&["journal", "verify", "--json"]).done()).expect("JSON");
    said["journal"].as_str().expect("an id").to_owned()
}

#[test]
fn t07_a_home_and_a_program_that_move_find_everything() {
    let (mut home, mut pocket) = (Home::new(), Home::new());
    let gateway = home.gateway();
    let token = home.token();
    pocket.ask(&gateway, &token).done();
    gateway.stop();
    let id = journal_id(&home);
    for home in [&mut home, &mut pocket] {
        let was = home.path();
        home.name = "moved/elsewhere".into();
        fs::DirBuilder::new().mode(0o700).create(home.scratch.path().join("moved")).expect("made");
        fs::rename(was, home.path()).expect("moved");
        home.program = home.scratch.path().join("another name");
        // By another process: one of ours could be forked with the file open for writing, and then nobody could run it.
        assert!(Command::new("cp").args([Path::new(BINARY), &home.program]).status().expect("it runs").success());
    }
    assert_eq!(journal_id(&home), id);
    let gateway = home.gateway();
    // By its own token, which is checked against the journal and made again with the key.
    pocket.ask(&gateway, "not the shared secret").done();
    gateway.stop();
    assert!(!home.run(&["logs"]).done().contains("cannot be used"));
    assert!(home.run(&["journal", "verify"]).done().starts_with("sound: "));
}

#[test]
fn t07_a_journal_that_moves_alone_takes_every_approval_with_it() {
    let (home, pocket, next) = (Home::new(), Home::new(), Home::used());
    let gateway = home.gateway();
    let token = home.token();
    pocket.ask(&gateway, &token).done();
    gateway.stop();
    let id = journal_id(&home);
    assert_ne!(journal_id(&next), id);
    fs::remove_dir_all(next.file("journal")).expect("removed");
    fs::rename(home.file("journal"), next.file("journal")).expect("moved");
    assert_eq!(journal_id(&next), id);
    let gateway = next.gateway();
    pocket.ask(&gateway, "not the shared secret").done();
    gateway.stop();
    // The key did not come along, and that is said.
    assert!(next.run(&["logs"]).done().contains("pairing/token.key is another than before; tokens that devices have stay good"));
    assert!(next.run(&["journal", "verify"]).done().starts_with("sound: "));
}

#[test]
fn t07_a_journal_made_elsewhere_is_read_wherever_it_lies() {
    let records: Vec<_> = every_kind().into_iter().take(3).collect();
    let stop = Record {
        seq: openclaw_pairing::pairing::Seq(4),
        at: Millis(u64::from(u32::MAX) * 1_000),
        actor: Actor::System,
        event: GatewayStopped { cause: "a move".to_owned() }.into(),
    };
    let home = Home::new();
    fs::DirBuilder::new().recursive(true).mode(0o700).create(home.file("journal")).expect("made");
    fs::write(home.file("journal").join(SEGMENT), journal_of(JOURNAL, &[&records, &[stop]])).expect("written");
    assert_eq!(journal_id(&home), JOURNAL.to_string());
    home.gateway().stop();
}

// --- what the witness remembers --------------------------------------------------------------------------------------------

/// The files of a journal.
fn copied(from: &Path, to: &Path) {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(to).expect("made");
    for entry in fs::read_dir(from).expect("listed") {
        let path = entry.expect("an entry").path();
        fs::copy(&path, to.join(path.file_name().expect("a name"))).expect("copied");
    }
}

fn witness(home: &Home) -> PathBuf {
    home.path().join(".local/state/openclaw-pairing").join(format!("{}.witness", journal_id(home)))
}

/// A home with one paired device, and its id.
fn paired() -> (Home, Home, String) {
    let (home, pocket) = (Home::new(), Home::new());
    let gateway = home.gateway();
    pocket.ask(&gateway, &home.token()).done();
    gateway.stop();
    let identity = fs::read(pocket.file("identity/device.json")).expect("an identity");
    let identity: serde_json::Value = serde_json::from_slice(&identity).expect("JSON");
    (home, pocket, identity["deviceId"].as_str().expect("an id").to_owned())
}

#[test]
fn t04_an_older_copy_that_was_put_back_lets_nobody_in_and_is_not_written() {
    let (home, pocket, device) = paired();
    let path = witness(&home);
    let (journal, older, newer) = (home.file("journal"), home.path().join("older"), home.path().join("newer"));
    copied(&journal, &older);
    home.run(&["devices", "remove", &device]).done();
    copied(&journal, &newer);
    fs::remove_dir_all(&journal).expect("removed");
    copied(&older, &journal);
    let before = fs::read(journal.join(SEGMENT)).expect("a segment");
    for args in
        [&["gateway", "run", "--port", "0"][..], &["devices", "remove", &device], &["journal", "verify"], &["journal", "repair"]]
    {
        let said = home.run(args);
        assert_eq!(said.code, Some(5), "{args:?}: {}", said.err);
        assert!(said.err.contains("the journal was rolled back: it ends with seq"), "{}", said.err);
    }
    assert_eq!(fs::read(journal.join(SEGMENT)).expect("a segment"), before);
    // What is there can be looked at.
    assert!(home.run(&["devices", "list"]).done().contains(&device));
    // Where the newer one is gone for good, the owner is not locked out, and it is on record that an end was lost.
    let aside = home.path().join("aside");
    fs::copy(&path, &aside).expect("there");
    home.run(&["recover", "--accept-rollback", "--yes"]).done();
    home.run(&["devices", "remove", &device]).done();
    assert!(home.run(&["logs"]).done().contains("accepted that: every device is suspended"));
    fs::rename(&aside, &path).expect("put back");
    fs::remove_dir_all(&journal).expect("removed");
    copied(&newer, &journal);
    let gateway = home.gateway();
    assert_eq!(pocket.ask(&gateway, "not the shared secret").code, Some(1), "it was removed");
    gateway.stop();
    let said = home.run(&["journal", "verify"]).done();
    assert!(said.contains("complete: up to seq"), "{said}");
}

/// Until the owner accepts the older copy; what that suspends is told by the tests of `openclaw recover`.
#[test]
fn x07_what_was_revoked_after_a_copy_was_made_is_not_let_in_by_the_copy() {
    let (home, pocket, device) = paired();
    let (journal, older, newer) = (home.file("journal"), home.path().join("older"), home.path().join("newer"));
    copied(&journal, &older);
    // On the newer history the device loses its token, and gets another one.
    home.run(&["devices", "revoke", "--device", &device, "--role", "operator"]).done();
    copied(&journal, &newer);
    let token = fs::read(pocket.file("identity/device-auth.json")).expect("a token");
    fs::remove_dir_all(&journal).expect("removed");
    copied(&older, &journal);
    for _ in 0..2 {
        let said = home.run(&["gateway", "run", "--port", "0"]);
        assert_eq!(said.code, Some(5), "{}", said.err);
        assert!(said.out.is_empty() && said.err.contains("the journal was rolled back: it ends with seq"), "{}", said.err);
    }
    // The revocation is kept where the newer history is, and so is what the token is worth.
    fs::remove_dir_all(&journal).expect("removed");
    copied(&newer, &journal);
    let gateway = home.gateway();
    assert_eq!(pocket.ask(&gateway, "not the shared secret").code, Some(1), "its token is dead");
    assert_eq!(fs::read(pocket.file("identity/device-auth.json")).expect("still there"), token);
    gateway.stop();
}

#[test]
fn t05_a_witness_that_is_lost_is_noticed_recorded_and_made_again() {
    let (home, _, _) = paired();
    let path = witness(&home);
    assert_eq!(mode(&path), 0o600);
    assert_eq!(mode(path.parent().expect("a directory")), 0o700);
    fs::write(&path, "not what was written").expect("written");
    home.gateway().stop();
    fs::remove_file(&path).expect("removed");
    home.gateway().stop();
    let logs = home.run(&["logs"]).done();
    let found: Vec<_> = logs
        .lines()
        .filter(|line| line.contains("the witness of the journal's head was not where it was placed, or not what was written"))
        .collect();
    assert!(found.len() == 1 || found.len() == 2, "{logs}");
    assert_eq!(logs.matches("records missing until now could not be noticed").count(), 2, "{logs}");
    assert!(home.run(&["journal", "verify"]).done().contains("complete: up to seq"));
}

/// X33: its path is on record, so that another environment does not make it another one.
#[test]
fn x33_the_witness_is_where_it_was_placed_whatever_the_environment_says() {
    let (home, _, _) = paired();
    let path = witness(&home);
    let before = fs::read(&path).expect("a witness");
    let elsewhere = home.path().join("elsewhere");
    let mut command = home.command(&[], &["journal", "repair"]);
    assert_eq!(command.env("XDG_STATE_HOME", &elsewhere).status().expect("it runs").code(), Some(0));
    let mut command = home.command(&[], &["devices", "clear", "--yes"]);
    assert_eq!(command.env("XDG_STATE_HOME", &elsewhere).status().expect("it runs").code(), Some(0));
    assert!(!elsewhere.exists());
    assert_ne!(fs::read(&path).expect("a witness"), before);
}

#[test]
fn t06_where_two_copies_part_is_shown() {
    let (home, _, device) = paired();
    let copy = home.path().join("copy");
    copied(&home.file("journal"), &copy);
    let compare =
        |home: &Home| home.run(&["journal", "compare", &copy.display().to_string(), &home.file("").display().to_string()]);
    assert!(compare(&home).done().starts_with("The same: both end with seq "));
    home.run(&["devices", "remove", &device]).done();
    let said = compare(&home).done();
    assert!(said.starts_with("A is an older copy of B: it ends with seq ") && said.contains(&device), "{said}");
    // The copy goes on elsewhere, on a host that knows nothing of the witness.
    let other = Home::new();
    copied(&copy, &other.file("journal"));
    fs::remove_file(witness(&home)).expect("removed");
    other.run(&["devices", "revoke", "--device", &device, "--role", "operator"]).done();
    let said = home.run(&["journal", "compare", &other.state().display().to_string(), &home.state().display().to_string()]);
    assert_eq!(said.code, Some(5), "{}", said.err);
    assert!(
        said.out.starts_with("Forked: up to seq ") && said.out.contains("\n  A: seq ") && said.out.contains("\n  B: seq "),
        "{}",
        said.out
    );
    let strange = Home::used();
    let said = home.run(&["journal", "compare", &strange.state().display().to_string(), &home.state().display().to_string()]);
    said.refused(&["these are two journals"]);
}

// --- what is saved beside the journal ----------------------------------------------------------------------------------------

#[test]
fn j18_a_checkpoint_is_made_by_hand_held_against_the_records_and_disposable() {
    let (home, _, device) = paired();
    let said = home.run(&["journal", "checkpoint"]).done();
    assert!(said.starts_with("Saved the state at seq "), "{said}");
    let checkpoint =
        below(&home.file("journal")).into_iter().find(|path| path.extension().is_some_and(|end| end == "checkpoint"));
    let checkpoint = checkpoint.expect("a checkpoint");
    assert_eq!(mode(&checkpoint), 0o600);
    home.run(&["journal", "verify"]).done();
    assert!(home.run(&["devices", "list"]).done().contains(&device));
    // What is damaged before it is not met by a start, and found behind it.
    let segment = home.file("journal").join(SEGMENT);
    let sound = fs::read(&segment).expect("a segment");
    let mut hurt = sound.clone();
    hurt[100] ^= 1;
    fs::write(&segment, hurt).expect("written");
    let gateway = home.gateway();
    let shown = || home.run(&["journal", "show"]).out;
    let found = || shown().contains("the disk is damaged: segment 00000000000000000001.segment, offset 100, seq 1");
    let until = std::time::Instant::now() + std::time::Duration::from_secs(60);
    while !found() {
        assert!(std::time::Instant::now() < until, "{}", shown());
        std::thread::yield_now();
    }
    gateway.stop();
    assert_eq!(home.run(&["journal", "verify"]).code, Some(5));
    let mut mended = fs::read(&segment).expect("a segment");
    mended[100] ^= 1;
    fs::write(&segment, mended).expect("written");
    home.run(&["journal", "verify"]).done();
    home.run(&["journal", "checkpoint"]).done();
    let checkpoint =
        below(&home.file("journal")).into_iter().filter(|path| path.extension().is_some_and(|end| end == "checkpoint"));
    let checkpoint = checkpoint.max().expect("a checkpoint");
    // One that is damaged is not used, and one that is gone is not missed.
    let mut bytes = fs::read(&checkpoint).expect("there");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&checkpoint, bytes).expect("written");
    home.run(&["journal", "verify"]).done();
    let said = home.run(&["devices", "list"]);
    assert!(said.err.contains("a checkpoint cannot be used"), "{}", said.err);
    assert!(said.done().contains(&device));
    for path in below(&home.file("journal")).into_iter().filter(|path| path.extension().is_some_and(|end| end == "checkpoint")) {
        fs::remove_file(path).expect("removed");
    }
    assert!(home.run(&["devices", "list"]).done().contains(&device));
    let gateway = home.gateway();
    assert_eq!(home.run(&["journal", "checkpoint"]).code, Some(6), "a gateway runs");
    gateway.stop();
}

#[test]
fn j01_repair_puts_a_torn_end_aside_and_says_so() {
    let home = Home::used();
    assert!(home.run(&["journal", "repair"]).done().starts_with("Nothing to repair"));
    let segment = home.file("journal").join(SEGMENT);
    let mut bytes = fs::read(&segment).expect("a segment");
    bytes.truncate(bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1));
    bytes.extend(b"half a batch");
    fs::write(&segment, bytes).expect("written");
    let said = home.run(&["journal", "repair"]).done();
    assert!(said.starts_with("Put aside 12 bytes after seq "), "{said}");
    assert!(home.run(&["journal", "show"]).done().contains("JournalRepaired"));
    assert!(home.run(&["journal", "verify"]).done().starts_with("sound: "));
}
