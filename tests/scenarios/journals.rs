//! What only looks, what starts again, what is killed.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use openclaw_pairing::journal::{Journal, Lock};
use openclaw_pairing::pairing::{Actor, Event, GatewayStopped, JournalCreated, JournalId, Record, Rule, Seq};
use openclaw_pairing::state::StateDir;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::client::{CLI, Device, PAIRING, READ, SECRET, WRITE, text};
use crate::home::PATIENCE;
use crate::running::records;
use crate::world::{MINUTE, Proxy, Real, World, command, fold, is, names, pocket, present, run};

/// Looks that must change nothing; each that there is more is a row more.
const LOOKS: &[&[&str]] = &[&["gateway", "status"], &["doctor"], &["devices", "list"]];

#[tokio::test]
async fn s14_looking_first_changes_nothing_in_whatever_order() {
    let mut ends = vec![];
    // The command that acts before, between and after the looks.
    for act_at in 0..=LOOKS.len() {
        let world = World::new().await;
        let device = Device::new(1);
        let own = world.gateway.state.identity();
        fs::create_dir_all(own.parent().expect("a directory")).expect("made");
        fs::copy(world.pocket(&device).identity(), &own).expect("copied");
        let url = format!("ws://{}", world.gateway.address);
        let act = ["devices", "list", "--url", &url, "--token", SECRET];
        for step in 0..=LOOKS.len() {
            if step == act_at {
                world.owner(&act).await.done();
            }
            if let Some(look) = LOOKS.get(step) {
                let before = world.gateway.records().len();
                world.owner(look).await.done();
                let since = world.gateway.records().split_off(before);
                assert!(since.iter().all(|record| matches!(record.event, Event::ConnectionClosed(_))), "{:?}", names(&since));
            }
        }
        let (actors, approved): (Vec<_>, Vec<_>) = world.on_record(is!(PairingApproved)).into_iter().unzip();
        assert_eq!(actors, [Actor::Rule(Rule::LocalFirstPairing)]);
        assert_eq!((approved[0].device.to_string(), approved[0].scopes.len()), (device.id(), CLI.len()));
        let requested = world.on_record(is!(PairingRequested));
        assert_eq!(requested.len(), 1, "by the rule, and never a scope-upgrade");
        assert_eq!(world.on_record(is!(ConnectionAdmitted)).len(), 1);
        assert_eq!(world.count("ConnectionRefused"), 0);
        let mut entry = world.device(&device);
        for key in ["createdAtMs", "approvedAtMs", "tokens"] {
            entry.as_object_mut().expect("an entry").shift_remove(key);
        }
        ends.push((entry, world.list().await["pending"].clone()));
    }
    assert!(ends.windows(2).all(|pair| pair[0] == pair[1]), "{ends:?}");
}

/// A journal that lacks so many bytes until its segment is sealed.
fn nearly_full(state: &StateDir, lacking: u64) {
    let mut journal = Journal::create(Lock::acquire(&state.journal()).expect("free"), JournalId([9; 16])).expect("a journal");
    let mut append = |event: Event| {
        let record = Record { seq: journal.head().seq.next(), at: present(), actor: Actor::System, event };
        journal.append(journal.head(), &[record]).expect("appended");
    };
    append(JournalCreated { journal: JournalId([9; 16]), policy: openclaw_pairing::pairing::DEFAULT_POLICY.to_owned() }.into());
    let segment = state.journal().join("00000000000000000001.segment");
    loop {
        let bytes = fs::read(&segment).expect("a segment");
        let written = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1) as u64;
        let left = openclaw_pairing::limits::SEGMENT_BYTES - written - lacking;
        let filler = usize::try_from(left.saturating_sub(200).min(1_000_000)).expect("small");
        append(GatewayStopped { cause: "x".repeat(filler) }.into());
        if filler < 1_000_000 {
            return;
        }
    }
}

/// A command that goes on printing; ended with the test.
struct Following {
    child: Child,
    lines: mpsc::UnboundedReceiver<String>,
    seqs: Vec<u64>,
}

impl Following {
    fn of(mut command: std::process::Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().expect("it runs");
        let said = BufReader::new(child.stdout.take().expect("its output"));
        let (tell, lines) = mpsc::unbounded_channel();
        std::thread::spawn(move || said.lines().map_while(Result::ok).try_for_each(|line| tell.send(line)));
        Self { child, lines, seqs: vec![] }
    }

    /// The next line that holds all of these, and how long it took to come.
    async fn until(&mut self, parts: &[&str]) -> (Value, Duration) {
        let begun = Instant::now();
        loop {
            let line = tokio::time::timeout(PATIENCE, self.lines.recv()).await.unwrap_or_else(|_| panic!("no {parts:?}"));
            let line: Value = serde_json::from_str(&line.expect("it goes on")).expect("JSON");
            self.seqs.extend(line["seq"].as_u64());
            let message = line["message"].as_str().unwrap_or_default();
            if parts.iter().all(|part| message.contains(part)) {
                return (line, begun.elapsed());
            }
        }
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Every file below, by its bytes.
fn files(dir: &Path) -> BTreeMap<std::path::PathBuf, Vec<u8>> {
    let mut all = BTreeMap::new();
    for entry in fs::read_dir(dir).expect("a directory").map(|entry| entry.expect("an entry").path()) {
        match fs::metadata(&entry) {
            Ok(found) if found.is_dir() => all.extend(files(&entry)),
            Ok(found) if found.is_file() => drop(all.insert(entry.clone(), fs::read(&entry).expect("read"))),
            _ => {}
        }
    }
    all
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s15_following_the_log_changes_nothing_and_misses_nothing() {
    let real = Real::new(json!({ "auth": { "token": SECRET }, "trustedProxies": ["127.0.0.1"] }));
    nearly_full(&real.state, 4_000);
    let gateway = real.home.start();
    let (c, p, stranger) = (Device::new(1), Device::new(2), Device::new(3));
    let mut tokens = vec![];
    for (device, scopes) in [(&c, READ), (&p, PAIRING)] {
        let request = device.afar(scopes).connect(gateway.address, present().0).await.refused().await.request();
        real.cli(&["devices", "approve", &request]).await.done();
        let (_, hello) = device.afar(scopes).connect(gateway.address, present().0).await.admitted().await;
        tokens.push(text(&hello["auth"]["deviceToken"]).to_owned());
    }
    let begun = records(&real.state);
    let before = fold(&begun);
    let follow = ["logs", "--follow", "--json", "--limit", "1", "--interval", "50"];
    let mut following = Following::of(command(real.home.path(), real.home.state(), &follow));
    following.until(&[]).await;

    let quiet = files(real.home.state());
    for _ in 0..3 {
        real.cli(&["logs", "--limit", "5"]).await.done();
    }
    assert_eq!(files(real.home.state()), quiet, "looking writes no file");

    let (_c, _) = c.afar(READ).connect(gateway.address, present().0).await.admitted().await;
    let soon = Duration::from_secs(1);
    let (_, took) = following.until(&["connection admitted", &c.id(), "by rule paired"]).await;
    assert!(took < soon, "{took:?}");
    for (ask, reason) in [(stranger.afar(READ), "not-paired"), (c.afar(WRITE), "scope-upgrade")] {
        let request = ask.connect(gateway.address, present().0).await.refused().await.request();
        let device = if reason == "not-paired" { &stranger } else { &c };
        let (_, took) = following.until(&["connection refused", &device.id(), reason, &request]).await;
        assert!(took < soon, "{took:?}");
    }
    let mut connections = 1;
    while !records(&real.state).iter().any(|record| matches!(record.event, Event::SegmentSealed(_))) {
        c.afar(READ).connect(gateway.address, present().0).await.admitted().await;
        connections += 1;
        assert!(connections < 50, "its segment was nearly full");
    }
    following.until(&["was sealed"]).await;
    assert_eq!(gateway.stop().code, Some(0));
    following.until(&["no gateway runs here"]).await;
    following.until(&["gateway stopped"]).await;
    let gateway = real.home.start();
    following.until(&["started"]).await;

    let since = records(&real.state);
    let after = fold(&since);
    assert_eq!(since[..begun.len()], begun);
    assert_eq!((after.device_count(), after.request_count()), (before.device_count(), before.request_count() + 2));
    for device in before.devices() {
        assert_eq!(after.device(&device.id), Some(device));
    }
    let may_be = [
        "ConnectionAdmitted",
        "ConnectionClosed",
        "ConnectionRefused",
        "GatewayStarted",
        "GatewayStopped",
        "PairingRequested",
        "SegmentSealed",
    ];
    let named = names(&since[begun.len()..]);
    assert!(named.iter().all(|name| may_be.contains(name)), "{named:?}");
    let count = |wanted| named.iter().filter(|name| **name == wanted).count();
    assert_eq!((count("ConnectionAdmitted"), count("ConnectionRefused"), count("PairingRequested")), (connections, 2, 2));

    // From another host it is a device like any other.
    let proxy = Proxy::before(gateway.address).await;
    let url = format!("ws://{}", proxy.address);
    let remote = |device: &Device, token: &str, scopes, more: &[&str]| {
        let pocket = pocket(real.home.path(), device).holding(token, scopes);
        let args = [&["logs", "--json", "--limit", "5", "--url", &url, "--token", SECRET], more].concat();
        command(&pocket.home, &pocket.home.join(".openclaw"), &args)
    };
    let mut afar = Following::of(remote(&c, &tokens[0], READ, &["--follow", "--interval", "50"]));
    afar.until(&["started"]).await;
    drop(afar);
    let said = run(remote(&p, &tokens[1], PAIRING, &["--follow"])).await;
    said.refused(&["missing scope: operator.read"], &["not reachable", "no gateway answers"]);

    let last = records(&real.state).last().map_or(0, |record| record.seq.0);
    while following.seqs.last().is_none_or(|seq| *seq < last) {
        following.until(&[]).await;
    }
    let all: Vec<_> = (following.seqs[0]..=last).collect();
    assert_eq!(following.seqs, all, "none is missing, none comes twice");
    assert_eq!(Seq(all[0]), begun.last().expect("a record").seq);
    gateway.stop();
}

#[tokio::test]
async fn s28_a_restart_loop_costs_nothing() {
    let real = Real::new(json!({ "auth": { "token": SECRET }, "trustedProxies": ["127.0.0.1"] }));
    let mut gateway = real.home.start();
    let (d, e) = (Device::new(1), Device::new(2));
    let request = d.afar(READ).connect(gateway.address, present().0).await.refused().await.request();
    real.cli(&["devices", "approve", &request]).await.done();
    let (_, hello) = d.afar(READ).connect(gateway.address, present().0).await.admitted().await;
    let token = text(&hello["auth"]["deviceToken"]).to_owned();
    let waiting = e.afar(READ).connect(gateway.address, present().0).await.refused().await.request();
    let entry = real.cli(&["devices", "list", "--json"]).await.done().json()["pending"][0].clone();
    let begun = records(&real.state);
    let digest = fold(&begun).digest().0;
    for _ in 0..5 {
        gateway.kill();
        gateway = real.home.start();
        assert_eq!(fold(&records(&real.state)).digest().0, digest);
        let (_, hello) = d.returns(&token, READ).afar().connect(gateway.address, present().0).await.admitted().await;
        assert_eq!(hello["auth"]["deviceToken"], json!(token));
        let list = real.cli(&["devices", "list", "--json"]).await.done().json();
        assert_eq!(list["pending"].as_array().map(Vec::len), Some(1));
        let again = &list["pending"][0];
        assert_eq!((&again["requestId"], &again["expiresAtMs"]), (&json!(waiting), &entry["expiresAtMs"]));
    }
    assert_eq!(fold(&records(&real.state)).digest().0, digest);
    let named = names(&records(&real.state)[begun.len()..]);
    let may_be = ["ConditionFound", "ConnectionAdmitted", "ConnectionClosed", "GatewayStarted"];
    assert!(named.iter().all(|name| may_be.contains(name)), "{named:?}");
    let count = |wanted| named.iter().filter(|name| **name == wanted).count();
    assert_eq!((count("GatewayStarted"), count("ConnectionAdmitted")), (5, 5));
    let logs = real.cli(&["logs"]).await.done().out;
    assert_eq!(logs.matches("left no record of a stop").count(), 5, "{logs}");
    let doctor = real.cli(&["doctor"]).await.out;
    let note = |line: &str| line.starts_with("Note ") && line.contains("the last gateway started at seq");
    assert!(doctor.lines().any(|line| note(line) && line.contains("left no record of a stop")), "{doctor}");
    gateway.stop();

    // And it still expires when it would have.
    let mut world = World::new().await;
    let asked = world.now();
    let request = world.gateway.request(&e.afar(READ)).await;
    for _ in 0..4 {
        world.wait(MINUTE);
        world = world.restarted().await;
    }
    world.wait(MINUTE - 1);
    assert_eq!(world.list().await["pending"][0]["requestId"], json!(request));
    world.wait(1);
    let late = world.owner(&["devices", "approve", &request]).await;
    late.refused(&["expired at", &openclaw_pairing::views::time_text(asked.plus(5 * MINUTE))], &[]);
}
