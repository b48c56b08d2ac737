//! The command line as a person meets it: real processes, real sockets, a home of their own. One snapshot per command: exit
//! code, standard output, standard error, with ids, times, ports and paths made constant.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

#[path = "support/journal.rs"]
mod support;

#[path = "support/segments.rs"]
mod segments;

use insta::assert_snapshot;
use openclaw_pairing::journal::format::SEGMENT_HEADER_BYTES;
use openclaw_pairing::journal::{Verdict, verify};
use openclaw_pairing::limits::LOG_LINES;
use openclaw_pairing::pairing::{Actor, Millis, OwnerActsSeen, Person, Record, Seq};
use segments::{appendable, segments_of};
use support::{JOURNAL, journal_of};

const BINARY: &str = env!("CARGO_BIN_EXE_openclaw");

/// A home directory that goes away with the test.
struct Home {
    dir: tempfile::TempDir,
}

impl Home {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().expect("a scratch directory") }
    }

    fn path(&self) -> &Path {
        self.dir.path()
    }

    fn state(&self) -> PathBuf {
        self.path().join(".openclaw")
    }

    /// The segment without the zeros at its end.
    fn written(&self) -> Vec<u8> {
        let mut bytes = fs::read(self.segment()).expect("a segment");
        // Not where the zeros begin: what is sound may end with some.
        let Ok(Verdict::Sound(extent)) = verify(&self.state().join("journal")) else { panic!("it is sound") };
        bytes.truncate(usize::try_from(extent.offset).expect("a length"));
        bytes
    }

    fn segment(&self) -> PathBuf {
        self.state().join("journal/00000000000000000001.segment")
    }

    /// A home in which a gateway has left these bytes.
    fn with_journal(bytes: &[u8]) -> Self {
        let home = Self::new();
        home.add_segment("00000000000000000001.segment", bytes);
        home
    }

    fn add_segment(&self, name: &str, bytes: &[u8]) {
        let dir = self.state().join("journal");
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&dir).expect("made");
        fs::write(dir.join(name), bytes).expect("written");
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(BINARY);
        command.args(args).env_clear().env("HOME", self.path()).env("PATH", "/usr/bin:/bin").current_dir(self.path());
        command.stdin(Stdio::null());
        command
    }

    fn output(&self, args: &[&str]) -> Output {
        self.command(args).output().expect("it runs")
    }

    /// Exit code and both outputs, masked.
    fn run(&self, args: &[&str]) -> String {
        let output = self.output(args);
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("UTF-8");
        let code = output.status.code().expect("an exit code");
        let part = |name, bytes: &[u8]| match text(bytes) {
            text if text.is_empty() => String::new(),
            text => format!("--- {name}\n{text}"),
        };
        self.mask(&format!("exit {code}\n{}{}", part("stdout", &output.stdout), part("stderr", &output.stderr)))
    }

    fn mask(&self, text: &str) -> String {
        let text = text.replace(&self.path().display().to_string(), "~").replace(BINARY, "openclaw");
        let rules = [
            (r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", "<uuid>"),
            (r"[0-9a-f]{64}", "<hex>"),
            (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", "<time>"),
            (r"\b1[78]\d{11}\b", "<ms>"),
            (r"(127\.0\.0\.1|\[::1\]):\d+", "$1:<port>"),
            (r"port(=| |: )\d+", "port$1<port>"),
            (r"--port \d+", "--port <port>"),
            (r"process \d+", "process <pid>"),
            (r"uid \d+", "uid <uid>"),
            (r"\bpid \d+", "pid <pid>"),
            (r#"hostname\\":\\"[^"]*"#, r#"hostname\":\"<host>\"#),
            (r"root on the gateway host|the owner on the gateway host \(uid <uid>\)", "<owner>"),
        ];
        rules
            .iter()
            .fold(text, |text, (from, to)| regex::Regex::new(from).expect("a pattern").replace_all(&text, *to).into_owned())
    }

    fn token(&self) -> String {
        let config: serde_json::Value =
            serde_json::from_slice(&fs::read(self.state().join("openclaw.json")).expect("a configuration")).expect("JSON");
        config["gateway"]["auth"]["token"].as_str().expect("a token").to_owned()
    }

    /// Starts a gateway on a free port and waits until it says that it listens.
    fn gateway(&self) -> Gateway {
        let mut child = self.command(&["gateway", "run", "--port", "0"]).stdout(Stdio::piped()).spawn().expect("it runs");
        let mut lines = BufReader::new(child.stdout.take().expect("its output")).lines();
        let mut said = vec![];
        for line in lines.by_ref() {
            said.push(line.expect("UTF-8"));
            if said.last().is_some_and(|line| line.starts_with("Next")) {
                break;
            }
        }
        let said = said.join("\n");
        let port = said.split("ws://127.0.0.1:").nth(1).and_then(|rest| rest.split(' ').next()).expect("an address").to_owned();
        Gateway { child, port, said }
    }
}

/// A gateway that runs; ended with the test.
struct Gateway {
    child: Child,
    port: String,
    said: String,
}

impl Gateway {
    fn url(&self) -> String {
        format!("ws://127.0.0.1:{}", self.port)
    }

    /// Asks it to stop, and gives its exit code.
    fn stop(mut self) -> Option<i32> {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("it runs");
        self.child.wait().expect("it ends").code()
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A device of another home that talks to a gateway as its owner's phone would.
fn phone(home: &Home, gateway: &Gateway, token: &str, args: &[&str]) -> String {
    home.run(&[args, &["--url", &gateway.url(), "--token", token]].concat())
}

fn mask_seqs(text: &str) -> String {
    regex::Regex::new(r"seq \d+").expect("a pattern").replace_all(text, "seq <n>").into_owned()
}

/// The same of seqs in front of a line and in JSON.
fn mask_places(text: &str) -> String {
    let rules = [
        (r"(?m)^ *\d+ <time>", "<n> <time>"),
        (r#","terminal":"[^"]*""#, ""),
        (r#"("seq":)\d+"#, "$1<n>"),
        (r#"("([up]id|\w+Ms)":)\d+"#, "$1<n>"),
    ];
    rules.iter().fold(mask_seqs(text), |text, (from, to)| {
        regex::Regex::new(from).expect("a pattern").replace_all(&text, *to).into_owned()
    })
}

fn device_id(home: &Home) -> String {
    let file: serde_json::Value =
        serde_json::from_slice(&fs::read(home.state().join("identity/device.json")).expect("an identity")).expect("JSON");
    file["deviceId"].as_str().expect("an id").to_owned()
}

#[test]
fn help_names_every_command() {
    assert_snapshot!(Home::new().run(&["--help"]));
    assert_snapshot!(Home::new().run(&["devices", "--help"]));
    assert_snapshot!(Home::new().run(&["journal", "--help"]));
    assert_snapshot!(Home::new().run(&["journal", "export", "--help"]));
    assert_snapshot!(Home::new().run(&["journal", "verify", "--help"]));
}

#[test]
fn without_a_gateway_there_is_one_sentence_and_exit_3() {
    let home = Home::new();
    assert_snapshot!(home.run(&["devices", "list"]));
    assert_snapshot!(home.run(&["logs", "--json"]));
    assert_snapshot!(home.run(&["devices", "list", "--url", "ws://127.0.0.1:1", "--token", "x"]));
    assert_snapshot!(home.run(&["journal", "verify"]));
    assert!(!home.state().join("journal").exists(), "looking makes nothing");
}

#[test]
fn what_was_typed_wrong_is_named() {
    let home = Home::new();
    assert_snapshot!(home.run(&["devices", "rotate", "--device", "x"]));
    assert_snapshot!(home.run(&["devices", "list", "--url", "ws://127.0.0.1:1"]));
    assert_snapshot!(home.run(&["devices", "list", "--url", "ws://192.0.2.1:1", "--token", "x"]));
    assert_snapshot!(home.run(&["devices", "clear"]));
    assert_snapshot!(home.run(&["--profile", "../other", "devices", "list"]));
    assert_snapshot!(home.run(&["gateway", "run", "--bind", "everywhere"]));
}

#[test]
fn l01_a_second_gateway_exits_6_and_a_taken_port_exits_1() {
    let (home, other) = (Home::new(), Home::new());
    let gateway = home.gateway();
    assert_snapshot!(home.mask(&gateway.said));
    assert_snapshot!(home.run(&["gateway", "run", "--port", "0"]));
    assert_snapshot!(other.run(&["gateway", "run", "--port", &gateway.port]));
    assert_eq!(gateway.stop(), Some(0));
}

#[test]
fn l08_a_state_directory_that_cannot_be_used_exits_1() {
    let home = Home::new();
    fs::write(home.state(), "a file").expect("written");
    assert_snapshot!(home.run(&["gateway", "run", "--port", "0"]));
    fs::remove_file(home.state()).expect("removed");
    fs::create_dir(home.state()).expect("made");
    fs::set_permissions(home.state(), fs::Permissions::from_mode(0o777)).expect("opened");
    assert_snapshot!(home.run(&["gateway", "run", "--port", "0"]));

    // Somebody who may not read it: for root that is another user, who needs a copy of the program that they can run.
    fs::set_permissions(home.state(), fs::Permissions::from_mode(0o000)).expect("closed");
    let mut command = home.command(&["devices", "list"]);
    if rustix::process::geteuid().is_root() {
        fs::set_permissions(home.path(), fs::Permissions::from_mode(0o755)).expect("opened");
        let program = home.path().join("openclaw");
        // By another process: one of ours could be forked with the file open for writing, and then nobody could run it.
        assert!(Command::new("cp").args([Path::new(BINARY), &program]).status().expect("it runs").success());
        command = Command::new(program);
        command.args(["devices", "list"]).env_clear().env("HOME", home.path()).uid(65_534).gid(65_534);
    }
    let output = command.output().expect("it runs");
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).expect("UTF-8");
    assert!(said.starts_with("error: ") && said.contains(".openclaw") && said.lines().count() == 1, "{said}");
}

/// Without the texts of setup codes.
fn redact(text: &str) -> String {
    let rules = [(r"/j/[\w-]{22}\b", "/j/<code>"), (r#"(Setup code   |"setupCode": ")[\w-]+"#, "$1<code>")];
    rules.iter().fold(text.to_owned(), |text, (from, to)| {
        regex::Regex::new(from).expect("a pattern").replace_all(&text, *to).into_owned()
    })
}

#[test]
fn a_setup_code_is_made_listed_and_taken_back() {
    let home = Home::new();
    let here = ["--public-url", "ws://127.0.0.1:18789"];
    let run = |args: &[&str]| redact(&home.run(args));
    let join = |args: &[&str]| run(&[&["devices", "join-code"], args].concat());
    let gateway = home.gateway();
    assert_snapshot!("code_01_loopback_only", join(&[]));
    assert_snapshot!("code_02_join", join(&[&here[..], &["--label", "bench"]].concat()));
    let made = home.output(&[&["devices", "join-code", "--json", "--ttl", "90s"], &here[..]].concat()).stdout;
    assert_snapshot!("code_03_join_json", redact(&home.mask(std::str::from_utf8(&made).expect("UTF-8"))));
    assert_snapshot!(
        "code_04_qr",
        run(&[&["qr", "--no-ascii", "--role", "operator", "--scope", "operator.read"], &here[..]].concat())
    );
    let listed = home.output(&["devices", "join-code", "--list", "--json"]).stdout;
    assert_snapshot!("code_05_listed", home.mask(std::str::from_utf8(&listed).expect("UTF-8")));
    let made: serde_json::Value = serde_json::from_slice(&made).expect("JSON");
    let id = made["setupId"].as_str().expect("an id");
    assert_snapshot!("code_06_taken_back", join(&["--revoke", id]));
    assert_snapshot!("code_07_taken_back_already", join(&["--revoke", id]));
    assert_snapshot!("code_08_not_so", join(&["--ttl", "soon"]));
    assert_snapshot!("code_09_not_so_long", join(&[&here[..], &["--ttl", "2d"]].concat()));
    // What is drawn is plain text here, as wide as it is long.
    let drawn = run(&[&["qr"], &here[..]].concat());
    let square: Vec<_> = drawn.lines().filter(|line| line.contains(['█', '▀'])).collect();
    let width = square[0].chars().count();
    assert!(square.len() == width.div_ceil(2) && square.iter().all(|line| line.chars().count() == width), "{drawn}");
    assert!(!drawn.contains('\x1b'));
    let only = run(&[&["qr", "--setup-code-only"], &here[..]].concat());
    assert_eq!(only.lines().count(), 3, "{only}");
    assert_eq!(gateway.stop(), Some(0));
    assert_snapshot!("code_10_made_while_stopped", join(&here));
}

#[test]
fn a_device_is_refused_seen_approved_and_let_in() {
    let (home, pocket) = (Home::new(), Home::new());
    let gateway = home.gateway();
    let token = home.token();
    assert_snapshot!("story_01_nobody", home.run(&["devices", "list"]));
    assert_snapshot!("story_02_paired_by_rule", phone(&pocket, &gateway, &token, &["devices", "list"]));
    let id = device_id(&pocket);
    assert_snapshot!("story_03_revoked", home.run(&["devices", "revoke", "--device", &id, "--role", "operator"]));
    assert_snapshot!("story_04_refused", phone(&pocket, &gateway, &token, &["devices", "list"]));
    assert_snapshot!("story_05_seen", home.run(&["devices", "list"]));
    assert_snapshot!("story_06_approved", home.run(&["devices", "approve"]));
    assert_snapshot!("story_07_let_in", phone(&pocket, &gateway, &token, &["devices", "approve"]));
    assert_snapshot!(
        "story_08_narrowed",
        home.run(&["devices", "rotate", "--device", &id, "--role", "operator", "--scope", "operator.read"])
    );
    assert_snapshot!("story_09_refused_as_json", phone(&pocket, &gateway, &token, &["devices", "list", "--json"]));
    assert_snapshot!("story_09_why", home.run(&["devices", "why", &id]));
    assert_snapshot!("story_09_why_as_json", home.run(&["devices", "why", &id, "--json"]));
    assert_snapshot!("story_09_status", mask_seqs(&home.run(&["gateway", "status"])));
    assert_snapshot!("story_10_reject_of_nothing", home.run(&["devices", "reject", "no-such-request"]));
    assert_snapshot!("story_11_cleared", home.run(&["devices", "clear", "--yes", "--pending"]));
    assert_eq!(gateway.stop(), Some(0));
    // When a client's leaving is recorded depends on the machine; that it is does not.
    let logs = home.run(&["logs"]);
    let (ends, story): (Vec<_>, Vec<_>) = logs.lines().partition(|line| line.contains("closed with code 1005"));
    assert_eq!(ends.len(), logs.matches("connection admitted: ").count());
    assert_snapshot!("story_12_all_of_it_while_stopped", mask_seqs(&story.join("\n")));
    assert_snapshot!("story_12_status_while_stopped", mask_seqs(&home.run(&["gateway", "status"])));
    assert_snapshot!("story_13_none_waits", home.run(&["devices", "approve"]));
    assert_snapshot!("story_14_sound", mask_seqs(&home.run(&["journal", "verify"])));
}

/// A label is for people: `why` takes it, no act does.
#[test]
fn a_device_is_named_and_asked_after_by_its_label() {
    let (home, pocket) = (Home::new(), Home::new());
    let gateway = home.gateway();
    let token = home.token();
    phone(&pocket, &gateway, &token, &["devices", "list"]);
    let id = device_id(&pocket);
    assert_snapshot!("label_01_given", home.run(&["devices", "rename", &id, "pocket"]));
    assert_snapshot!("label_02_as_json", home.run(&["devices", "rename", &id, "pocket", "--json"]));
    assert_snapshot!("label_03_listed", home.run(&["devices", "list"]));
    assert_snapshot!("label_04_why", home.run(&["devices", "why", "pocket"]));
    assert_snapshot!("label_05_nobody", home.run(&["devices", "why", "another"]));
    assert_snapshot!("label_06_not_for_acts", home.run(&["devices", "remove", "pocket"]));
    home.run(&["devices", "revoke", "--device", &id, "--role", "operator"]);
    assert_snapshot!("label_07_why_revoked", home.run(&["devices", "why", "pocket"]));
    let refused = phone(&pocket, &gateway, &token, &["devices", "list"]);
    assert!(refused.starts_with("exit 1") && refused.contains("openclaw devices approve <uuid>"), "{refused}");
    assert_snapshot!("label_08_why_pending", home.run(&["devices", "why", "pocket"]));
    gateway.stop();
    assert_snapshot!("label_09_why_while_stopped", home.run(&["devices", "why", "pocket"]));
}

/// Who gave what a device holds, and what was done with it: to people and to programs, while the gateway runs and while it does not.
#[test]
fn what_a_device_holds_is_told_back_to_its_root() {
    let (home, pocket) = (Home::new(), Home::new());
    let gateway = home.gateway();
    let token = home.token();
    phone(&pocket, &gateway, &token, &["devices", "list"]);
    let id = device_id(&pocket);
    let audit = |args: &[&str]| mask_places(&home.run(&[&["audit"], args].concat()));
    assert_snapshot!("audit_01_by_a_rule", audit(&[&id]));
    home.run(&["devices", "rename", &id, "pocket"]);
    home.run(&["devices", "revoke", "--device", &id, "--role", "operator"]);
    let refused = phone(&pocket, &gateway, &token, &["devices", "rotate", "--device", &id, "--role", "operator"]);
    assert!(refused.starts_with("exit 1"), "{refused}");
    home.run(&["devices", "approve"]);
    assert_snapshot!("audit_02_by_the_owner", audit(&["pocket"]));
    assert_snapshot!("audit_03_a_scope_as_json", audit(&["pocket", "--scope", "operator.read", "--actor", "owner", "--json"]));
    assert_snapshot!("audit_04_what_was_refused", audit(&["--reason", "role-upgrade"]));
    assert_snapshot!("audit_05_whoever_it_was_about", audit(&[]));
    assert_snapshot!("audit_06_nobody", audit(&["another"]));
    assert_snapshot!("audit_07_no_such_reason", audit(&["--reason", "because"]));
    assert_snapshot!("audit_08_no_point", audit(&["--at", "yesterday"]));
    assert_snapshot!("audit_09_no_such_role", audit(&["--role", "admin", "--json"]));
    let running = home.run(&["audit", "pocket"]);
    let paired = running.lines().find(|line| line.contains("got its operator token")).expect("a token");
    let then = paired.split_whitespace().next().expect("a seq");
    assert_snapshot!("audit_10_in_the_past", audit(&[&id, "--at", then]));
    gateway.stop();
    assert_eq!(home.run(&["audit", "pocket"]), running);
    home.run(&["devices", "remove", &id]);
    assert_snapshot!("audit_11_removed", audit(&[&id, "--since", "1h", "--actor", "owner"]));
    assert_snapshot!("audit_12_nothing", audit(&["--until", "0"]));
}

/// No answer holds so much; what is printed is one list all the same, with the newest last.
#[test]
fn an_audit_is_whole_however_many_answers_it_takes() {
    let mut records = vec![appendable().swap_remove(0)];
    let owner = Person { uid: 1000, pid: 7, program: "openclaw".to_owned(), terminal: None, from_exec: false };
    let end = u64::try_from(LOG_LINES.1).expect("small") + 50;
    let at = records[0].at;
    records.extend((2..=end).map(|seq| Record {
        seq: Seq(seq),
        at,
        actor: Actor::Owner(owner.clone()),
        event: OwnerActsSeen { through: Seq(seq - 1) }.into(),
    }));
    let batches: Vec<_> = records.chunks(1_000).collect();
    let home = Home::with_journal(&journal_of(JOURNAL, &batches));
    let all: Vec<_> = (1..=end).collect();
    let text = String::from_utf8(home.output(&["audit"]).stdout).expect("UTF-8");
    let seqs = text.lines().map(|line| line.split_whitespace().next().and_then(|seq| seq.parse().ok()).expect("a seq"));
    assert_eq!(seqs.collect::<Vec<u64>>(), all);
    let json: serde_json::Value = serde_json::from_slice(&home.output(&["audit", "--json"]).stdout).expect("one document");
    let seqs = json["events"].as_array().expect("events").iter().map(|event| event["seq"].as_u64().expect("a seq"));
    assert_eq!(seqs.collect::<Vec<_>>(), all);
}

#[test]
fn l05_a_stopped_gateways_journal_is_worked_on_under_its_lock() {
    let (home, pocket) = (Home::new(), Home::new());
    let gateway = home.gateway();
    let token = home.token();
    phone(&pocket, &gateway, &token, &["devices", "list"]);
    let id = device_id(&pocket);
    home.run(&["devices", "revoke", "--device", &id, "--role", "operator"]);
    phone(&pocket, &gateway, &token, &["devices", "list"]);
    gateway.stop();
    assert!(home.run(&["devices", "approve"]).contains("Approved <hex> (<uuid>)"));
    assert!(fs::read_to_string(home.state().join("devices/paired.json")).expect("a copy").contains(&id));
    let gateway = home.gateway();
    let let_in = phone(&pocket, &gateway, &token, &["devices", "list"]);
    assert!(let_in.starts_with("exit 0"), "{let_in}");
}

#[test]
fn several_requests_are_listed_and_none_is_approved() {
    let (home, pockets) = (Home::new(), [Home::new(), Home::new()]);
    let gateway = home.gateway();
    let token = home.token();
    for pocket in &pockets {
        phone(pocket, &gateway, &token, &["devices", "list"]);
        home.run(&["devices", "revoke", "--device", &device_id(pocket), "--role", "operator"]);
        phone(pocket, &gateway, &token, &["devices", "list"]);
    }
    let said = home.run(&["devices", "approve"]);
    assert!(said.starts_with("exit 1") && said.contains("Pending (2)"), "{said}");
    assert!(said.ends_with("error: 2 requests wait; say which: openclaw devices approve <request>\n"), "{said}");
    let said = home.run(&["devices", "approve", "--latest"]);
    assert!(said.contains("Approved <hex> (<uuid>)"), "{said}");
}

#[test]
fn j02_a_flipped_byte_is_found_with_its_seq_and_offset() {
    let (home, pocket) = (Home::new(), Home::new());
    let gateway = home.gateway();
    let token = home.token();
    for _ in 0..3 {
        phone(&pocket, &gateway, &token, &["devices", "list"]);
    }
    gateway.stop();
    let sound = home.written();
    let mut flipped = sound.clone();
    let middle = flipped.len() / 2;
    flipped[middle] ^= 1;
    fs::write(home.segment(), &flipped).expect("written");
    let said = home.run(&["journal", "verify"]);
    assert!(said.starts_with("exit 5"), "{said}");
    assert!(regex::Regex::new(r"offset \d+, seq \d+: ").expect("a pattern").is_match(&said), "{said}");
    assert!(home.run(&["journal", "show"]).starts_with("exit 5"));
    assert!(home.run(&["gateway", "run", "--port", "0"]).starts_with("exit 5"));
    assert!(home.run(&["devices", "list"]).starts_with("exit 5"));
    assert_eq!(fs::read(home.segment()).expect("a segment"), flipped, "nothing was changed");

    let mut newer = sound;
    newer[8] = 99;
    let end = 76 - 4;
    let checksum = crc32c::crc32c(&newer[..end]);
    newer[end..76].copy_from_slice(&checksum.to_le_bytes());
    fs::write(home.segment(), newer).expect("written");
    assert!(home.run(&["journal", "verify"]).starts_with("exit 7"));
    assert!(home.run(&["gateway", "run", "--port", "0"]).starts_with("exit 7"));
}

#[test]
fn j01_a_torn_end_is_noted_and_put_aside_by_the_next_start() {
    let home = Home::new();
    home.gateway().stop();
    let mut torn = home.written();
    torn.extend(b"the beginning of a batch");
    fs::write(home.segment(), &torn).expect("torn");
    assert_snapshot!(home.run(&["journal", "verify"]));
    home.gateway().stop();
    let said = home.run(&["journal", "show"]);
    assert!(said.contains("JournalRepaired") && said.contains("were never acknowledged"), "{said}");
}

#[test]
fn a_start_after_a_kill_says_so_until_a_stop_in_order() {
    let home = Home::new();
    // Dropped, so killed.
    home.gateway();
    home.gateway().stop();
    home.gateway().stop();
    let logs = mask_seqs(&home.run(&["logs"]));
    let found = "the last gateway started at seq <n> and left no record of a stop; whatever was answered is on record; make sure \
                 of it: openclaw journal verify";
    assert_eq!((logs.matches(found).count(), logs.matches("this time the gateway stops in order").count()), (1, 1), "{logs}");
}

#[test]
fn logs_speak_upstreams_json_and_end_quietly_with_their_reader() {
    let home = Home::new();
    let gateway = home.gateway();
    assert_snapshot!(home.run(&["logs", "--json", "--limit", "1"]));
    let mut following = home.command(&["logs", "--follow", "--interval", "50"]).stdout(Stdio::piped()).spawn().expect("it runs");
    let mut said = BufReader::new(following.stdout.take().expect("its output"));
    let mut until = |what: &str| {
        let mut line = String::new();
        while !line.contains(what) {
            line.clear();
            assert_ne!(said.read_line(&mut line).expect("UTF-8"), 0, "ended before {what:?}");
        }
    };
    until("started");
    gateway.stop();
    until("gateway stopped (SIGTERM)");
    let gateway = home.gateway();
    until("started");
    drop(said);
    gateway.stop();
    assert_eq!(following.wait().expect("it ends").code(), Some(0));
}

#[test]
fn o03_no_secret_leaves_the_files_it_belongs_in() {
    let (home, pocket) = (Home::new(), Home::new());
    let gateway = home.gateway();
    let token = home.token();
    let mut said = gateway.said.clone();
    said += &phone(&pocket, &gateway, &token, &["devices", "list", "--json"]);
    let id = device_id(&pocket);
    said += &home.run(&["devices", "rotate", "--device", &id, "--role", "operator"]);
    said += &phone(&pocket, &gateway, &token, &["devices", "list"]);
    said += &phone(&pocket, &gateway, "not-the-token", &["devices", "list"]);
    said += &home.run(&["devices", "list", "--json"]);
    gateway.stop();
    for args in ["logs --json", "journal show --json", "journal export", "journal verify --json", "journal head --json"] {
        said += &home.run(&args.split(' ').collect::<Vec<_>>());
    }
    let tokens: serde_json::Value =
        serde_json::from_slice(&fs::read(pocket.state().join("identity/device-auth.json")).expect("tokens")).expect("JSON");
    let device_token = tokens["tokens"]["operator"]["token"].as_str().expect("a token").to_owned();
    let identity = fs::read_to_string(pocket.state().join("identity/device.json")).expect("an identity");
    let private = identity.split("PRIVATE KEY-----\\n").nth(1).and_then(|rest| rest.split("\\n").next()).expect("a key");
    let key = fs::read(home.state().join("pairing/token.key")).expect("a key");
    let journal = fs::read(home.segment()).expect("a segment");
    let head_key = fs::read(home.state().join("pairing/head.key")).expect("a key");
    let secrets = [token.as_bytes(), device_token.as_bytes(), private.as_bytes(), &key, &head_key, b"not-the-token"];
    for (number, secret) in secrets.iter().enumerate() {
        for (place, bytes) in [("the journal", &journal[..]), ("what was printed", said.as_bytes())] {
            assert!(!bytes.windows(secret.len()).any(|window| window == *secret), "secret {number} stands in {place}");
        }
    }
    let mut copy = String::new();
    fs::File::open(home.state().join("devices/paired.json")).and_then(|mut file| file.read_to_string(&mut copy)).expect("a copy");
    assert!(copy.contains(&id) && !copy.contains(&device_token));
    assert_eq!(fs::read(home.state().join("devices/pending.json")).expect("a copy"), b"{}");
}

#[test]
fn an_export_has_every_record_as_json_or_as_a_row() {
    // Every kind, the seal between two segments included.
    let (records, home) = (appendable(), Home::new());
    for (name, bytes) in segments_of(&[&records[..4], &records[4..]]) {
        home.add_segment(&name, &bytes);
    }
    let said = |args: &[&str]| String::from_utf8(home.output(args).stdout).expect("UTF-8");
    let (json, csv) = (said(&["journal", "export"]), said(&["journal", "export", "--csv"]));
    assert_snapshot!("export_json", json);
    assert_snapshot!("export_csv", csv);
    let lines: Vec<_> = json.lines().collect();
    assert_eq!(lines.len(), openclaw_pairing::pairing::KINDS.len());
    assert_eq!(said(&["journal", "export", "--from", "3", "--until", "5"]).lines().collect::<Vec<_>>(), lines[2..5]);
    // A time takes all of its records: the seal has that of the record behind it.
    let times = ["--from", "2026-01-01T00:00:00.003Z", "--until", "2026-01-01T01:00:00.006+01:00"];
    assert_eq!(said(&[&["journal", "export"], &times[..]].concat()).lines().collect::<Vec<_>>(), lines[2..6]);
    assert_eq!(said(&["journal", "export", "--from", "0s"]), "");
    let wrong = home.output(&["journal", "export", "--from", "yesterday"]);
    assert_eq!(wrong.status.code(), Some(2));
    // `show` says the same and its sentence.
    for (shown, line) in said(&["journal", "show", "--json"]).lines().zip(lines) {
        let mut shown: serde_json::Value = serde_json::from_str(shown).expect("JSON");
        let message = shown.as_object_mut().and_then(|members| members.shift_remove("message")).expect("a sentence");
        assert!(csv.contains(message.as_str().expect("a text").split(['"', ',']).next().expect("a beginning")), "{message}");
        assert_eq!(shown, serde_json::from_str::<serde_json::Value>(line).expect("JSON"));
    }
}

#[test]
fn x36_an_export_is_private_and_holds_nothing_of_a_token() {
    let home = Home::with_journal(&journal_of(JOURNAL, &[&appendable()]));
    let file = home.path().join("export");
    for args in [&["journal", "export", "--output", "export"][..], &["journal", "export", "--csv", "--output", "export"]] {
        assert_eq!(home.run(args), "exit 0\n");
        assert_eq!(fs::metadata(&file).expect("a file").permissions().mode() & 0o777, 0o600);
        let said = fs::read_to_string(&file).expect("UTF-8");
        // Salts, key id and digests of the records.
        for secret in ["51".repeat(16), "52".repeat(16), "4b".repeat(8), "d9".repeat(32)] {
            assert!(!said.contains(&secret), "{secret}");
        }
        let again = home.run(args);
        assert!(again.starts_with("exit 1\n--- stderr\nerror: cannot create export: "), "{again}");
        assert_eq!(fs::read_to_string(&file).expect("UTF-8"), said, "nothing was written over");
        fs::remove_file(&file).expect("removed");
    }
    let nothing = Home::new();
    assert!(nothing.run(&["journal", "export", "--output", "export"]).starts_with("exit 1\n"));
    assert!(!nothing.path().join("export").exists());
}

#[test]
fn j07_an_export_ends_before_the_damage_and_says_so() {
    let records = appendable();
    let whole = journal_of(JOURNAL, &[&records[..2], &records[2..3], &records[3..4]]);
    let third = journal_of(JOURNAL, &[&records[..2]]).len();
    let mut flipped = whole.clone();
    flipped[third + 30] ^= 1;
    let said = Home::with_journal(&flipped).output(&["journal", "export"]);
    assert_eq!(said.status.code(), Some(5));
    assert_eq!(String::from_utf8(said.stdout).expect("UTF-8").lines().count(), 2);
    assert!(String::from_utf8(said.stderr).expect("UTF-8").starts_with("error: damaged: segment "));
    // Where only the end is torn, nothing is wrong.
    let said = Home::with_journal(&whole[..whole.len() - 1]).output(&["journal", "export"]);
    assert_eq!(said.status.code(), Some(0));
    assert_eq!(String::from_utf8(said.stdout).expect("UTF-8").lines().count(), 3);
    assert!(String::from_utf8(said.stderr).expect("UTF-8").contains("after seq 3 are not a whole batch"));
    // A header alone is a journal without records.
    assert_eq!(Home::with_journal(&whole[..SEGMENT_HEADER_BYTES]).run(&["journal", "export"]), "exit 0\n");
}

/// Somebody who may write the journal leaves a revocation out and redoes every hash behind it.
#[test]
fn x32_a_history_written_anew_is_sound_but_not_what_a_head_was_noted_of() {
    let records = appendable();
    let last = records.len();
    let batches: Vec<_> = records.chunks(3).collect();
    let home = Home::with_journal(&journal_of(JOURNAL, &batches));
    assert_snapshot!("x32_head", mask_key(&home.run(&["journal", "head", "--output", "head"])));
    let key = String::from_utf8(home.output(&["journal", "head"]).stderr).expect("UTF-8");
    let key = key.trim().strip_prefix("verifier key: ").expect("a key").to_owned();
    assert_snapshot!("x32_verified", home.run(&["journal", "verify"]));
    let said = String::from_utf8(home.output(&["journal", "verify", "--json"]).stdout).expect("UTF-8");
    let said: serde_json::Value = serde_json::from_str(&said).expect("JSON");
    let expected = format!("{}:{}", said["seq"], said["head"].as_str().expect("a hash"));
    let by_hash = ["journal", "verify", "--expect", &expected];
    let by_head = ["journal", "verify", "--head", "head"];
    let by_key = ["journal", "verify", "--head", "head", "--key", &key];
    assert_snapshot!("x32_anchored", home.run(&by_hash));
    assert_snapshot!("x32_anchored_by_a_signed_head", mask_key(&home.run(&by_head)));
    assert_eq!(home.run(&by_head), home.run(&by_key));

    // More records change nothing.
    let more: Vec<_> = records.iter().map(|record| following(record, last as u64)).collect();
    fs::write(home.segment(), journal_of(JOURNAL, &[&batches[..], &[&more[..]]].concat())).expect("written");
    for args in [&by_hash[..], &by_head, &by_key] {
        assert!(home.run(args).starts_with("exit 0\n"), "{args:?}");
    }

    // The same records, the last of them aside.
    let mut rewritten = records.clone();
    rewritten[last - 1].event = rewritten[last - 4].event.clone();
    let rewritten: Vec<_> = rewritten.chunks(3).collect();
    fs::write(home.segment(), journal_of(JOURNAL, &rewritten)).expect("written");
    assert!(home.run(&["journal", "verify"]).starts_with("exit 0\n--- stdout\nsound: "));
    for args in [&by_hash[..], &by_head, &by_key] {
        let said = home.run(args);
        assert!(
            said.starts_with(&format!(
                "exit 5\n--- stderr\nerror: not anchored: history was rewritten: expected head <hex> at seq {last}, found <hex>"
            )),
            "{said}"
        );
    }
    // A head of the new history, by a new key, is not by the old one.
    fs::remove_file(home.state().join("pairing/head.key")).expect("removed");
    home.run(&["journal", "head", "--output", "new"]);
    assert!(home.run(&["journal", "verify", "--head", "new"]).starts_with("exit 0\n"));
    assert_snapshot!("x32_another_key", mask_key(&home.run(&["journal", "verify", "--head", "new", "--key", &key])));
    assert!(home.run(&by_head).starts_with("exit 1\n"), "the old head and the new key");
    // Nor is one whose text somebody changed.
    let note = fs::read_to_string(home.path().join("head")).expect("a head");
    fs::write(home.path().join("head"), note.replacen(&format!("\n{last}\n"), "\n16\n", 1)).expect("written");
    assert_snapshot!("x32_wrong_signature", home.run(&by_key));
}

#[test]
fn j10_an_end_that_was_rewritten_cut_off_or_put_together_otherwise_is_named() {
    let records = appendable();
    let last = records.len();
    let batches: Vec<_> = records.chunks(3).collect();
    let home = Home::with_journal(&journal_of(JOURNAL, &batches));
    let said = String::from_utf8(home.output(&["journal", "verify", "--json"]).stdout).expect("UTF-8");
    let said: serde_json::Value = serde_json::from_str(&said).expect("JSON");
    let expected = format!("{last}:{}", said["head"].as_str().expect("a hash"));
    let verify = |expected: &str| home.run(&["journal", "verify", "--expect", expected]);
    // A seq in the middle of a batch, and the head in front of everything.
    let middle = expected.replace(&format!("{last}:"), "5:");
    assert_snapshot!("j10_in_the_middle", verify(&middle));
    let start = openclaw_pairing::journal::format::chain_start(&JOURNAL);
    assert!(verify(&format!("0:{start}")).starts_with("exit 0\n"));
    // The same records, in other batches.
    fs::write(home.segment(), journal_of(JOURNAL, &[&records])).expect("written");
    assert!(verify(&expected).starts_with("exit 5\n"));
    fs::write(home.segment(), journal_of(JOURNAL, &batches[..batches.len() - 1])).expect("cut");
    assert!(home.run(&["journal", "verify"]).starts_with("exit 0\n"));
    assert_snapshot!("j10_cut_off", verify(&expected));
    // Another journal altogether.
    home.run(&["journal", "head", "--output", "head"]);
    let other = openclaw_pairing::pairing::JournalId([7; 16]);
    fs::write(home.segment(), journal_of(other, &batches[..batches.len() - 1])).expect("written");
    let said = home.run(&["journal", "verify", "--head", "head"]);
    assert!(
        said.starts_with("exit 5\n--- stderr\nerror: not anchored: the head is of journal <uuid>, and this is journal <uuid>"),
        "{said}"
    );
    assert!(verify("7").starts_with("exit 2\n"));
    assert!(home.run(&["journal", "verify", "--head", "nowhere"]).starts_with("exit 1\n"));
    assert!(Home::new().run(&["journal", "head"]).starts_with("exit 1\n"), "no journal, no key");
}

fn mask_key(text: &str) -> String {
    regex::Regex::new(r"\+[0-9a-f]{8}\+[0-9A-Za-z+/]{44}").expect("a pattern").replace_all(text, "+<key>").into_owned()
}

/// The record again, so many places on.
fn following(record: &Record, places: u64) -> Record {
    Record { seq: Seq(record.seq.0 + places), at: Millis(record.at.0 + places), ..record.clone() }
}

/// The terminal story of the README, as a shell runs it; `[..]` stands for anything in a line, `...` for any lines.
#[test]
fn the_readmes_story_works_when_pasted() {
    let readme = include_str!("../README.md");
    let story = readme.split("```console\n").nth(1).and_then(|rest| rest.split("```").next()).expect("a story");
    let home = Home::new();
    let gateway = home.gateway();
    let mut script = format!("openclaw() {{ {BINARY} \"$@\"; }}\n");
    let mut expected: Vec<Vec<&str>> = vec![];
    for line in story.lines() {
        match line.strip_prefix("$ ") {
            // The test has started one, on a free port.
            Some("openclaw gateway run &") => {}
            Some(command) => {
                script += &format!("echo '@@@'\n{}\n", command.replace("18789", &gateway.port));
                expected.push(vec![]);
            }
            None => expected.last_mut().expect("a command").push(line),
        }
    }
    let mut shell = Command::new("bash");
    shell.args(["-c", &format!("exec 2>&1\n{script}")]).env_clear().env("HOME", home.path()).env("PATH", "/usr/bin:/bin");
    let output = String::from_utf8(shell.output().expect("bash runs").stdout).expect("UTF-8");
    let said: Vec<Vec<&str>> = output.split("@@@\n").skip(1).map(|part| part.lines().collect()).collect();
    assert_eq!(said.len(), expected.len(), "{output}");
    for (said, expected) in said.iter().zip(&expected) {
        assert!(is_like(said, expected), "expected {expected:#?}, got {said:#?}");
    }
}

fn is_like(said: &[&str], expected: &[&str]) -> bool {
    match expected {
        [] => said.is_empty(),
        ["...", rest @ ..] => (0..=said.len()).any(|skipped| is_like(&said[skipped..], rest)),
        [first, rest @ ..] => {
            let pattern = regex::escape(first).replace(r"\[\.\.\]", ".*");
            let pattern = regex::Regex::new(&format!("^{pattern}$")).expect("a pattern");
            said.split_first().is_some_and(|(line, said)| pattern.is_match(line) && is_like(said, rest))
        }
    }
}
