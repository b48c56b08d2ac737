//! `openclaw recover` as its owner meets it: what it says in words and in JSON, what it refuses, and what is true afterwards. Real
//! processes in homes of their own; one snapshot per command, with what differs from run to run made constant.

#[path = "support/client.rs"]
mod client;
#[path = "support/home.rs"]
mod home;

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use client::{Ask, CLI, Device, READ, Tried, text};
use home::{Ended, Gateway, Home};
use insta::assert_snapshot;
use serde_json::{Value, json};

fn mask(home: &Home, ended: &Ended) -> String {
    let part = |name, text: &str| if text.is_empty() { String::new() } else { format!("--- {name}\n{text}") };
    let code = ended.code.expect("an exit code");
    let mut said = format!("exit {code}\n{}{}", part("stdout", &ended.stdout), part("stderr", &ended.stderr));
    said = said.replace(&home.path().display().to_string(), "~");
    for (seed, name) in [(1, "<phone>"), (2, "<laptop>"), (3, "<new>"), (4, "<stranger>")] {
        said = said.replace(&Device::new(seed).id(), name);
    }
    let rules = [
        (r"[0-9a-f]{64}", "<hex>"),
        (r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "<uuid>"),
        (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", "<time>"),
        (r"\b1[789]\d{11}\b", "<ms>"),
        (r"root on the gateway host|the owner on the gateway host \(uid \d+\)", "<owner>"),
        (r"process \d+", "process <pid>"),
        (r"offset \d+", "offset <n>"),
    ];
    rules.iter().fold(said, |text, (from, to)| regex::Regex::new(from).expect("a pattern").replace_all(&text, *to).into_owned())
}

fn said(home: &Home, args: &[&str]) -> String {
    mask(home, &home.run(args))
}

#[track_caller]
fn done(home: &Home, args: &[&str]) -> String {
    let ended = home.run(args);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    ended.stdout
}

fn present() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("a time");
    u64::try_from(since.as_millis()).expect("a time")
}

async fn tried(ask: Ask, address: SocketAddr) -> Tried {
    ask.remote().connect(address, present()).await
}

/// With the shared secret of this home.
fn with_secret(ask: Ask, home: &Home) -> Ask {
    ask.auth(json!({ "token": home.token() }))
}

async fn asked(device: &Device, scopes: &[&str], gateway: &Gateway, home: &Home) -> String {
    tried(with_secret(device.asks(scopes), home), gateway.address).await.refused().await.request()
}

/// Pairs it; the token that it gets.
async fn paired(device: &Device, scopes: &[&str], gateway: &Gateway, home: &Home) -> String {
    let request = asked(device, scopes, gateway, home).await;
    done(home, &["devices", "approve", &request]);
    token(device, scopes, gateway, home).await
}

async fn token(device: &Device, scopes: &[&str], gateway: &Gateway, home: &Home) -> String {
    let (_, hello) = tried(with_secret(device.asks(scopes), home), gateway.address).await.admitted().await;
    text(&hello["auth"]["deviceToken"]).to_owned()
}

/// A home in which a phone and a laptop are paired, their tokens, and a gateway that runs.
async fn two() -> (Home, Gateway, [String; 2]) {
    let home = Home::new();
    let gateway = home.start();
    let phone = paired(&Device::new(1), READ, &gateway, &home).await;
    let laptop = paired(&Device::new(2), CLI, &gateway, &home).await;
    done(&home, &["devices", "rename", &Device::new(2).id(), "laptop"]);
    (home, gateway, [phone, laptop])
}

/// The files of a journal.
fn copied(from: &Path, to: &Path) {
    let _not_there = fs::remove_dir_all(to);
    fs::create_dir(to).expect("made");
    fs::set_permissions(to, fs::Permissions::from_mode(0o700)).expect("closed to others");
    for entry in fs::read_dir(from).expect("listed") {
        let path = entry.expect("an entry").path();
        fs::copy(&path, to.join(path.file_name().expect("a name"))).expect("copied");
    }
}

/// How often this event is on record, and by whom the last time.
fn on_record(home: &Home, event: &str) -> (usize, &'static str) {
    let records = home.records();
    let records: Vec<Value> = records.iter().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let of: Vec<_> = records.iter().filter(|record| record["event"] == event).collect();
    (of.len(), if of.last().is_some_and(|last| last["actor"].get("person").is_some()) { "owner" } else { "gateway" })
}

/// The segment up to the zeros at its end.
fn written(home: &Home) -> Vec<u8> {
    let mut bytes = fs::read(home.segment()).expect("a segment");
    bytes.truncate(bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1));
    bytes
}

fn kept_aside(home: &Home) -> Vec<PathBuf> {
    let entries = fs::read_dir(home.journal()).expect("a journal").map(|entry| entry.expect("an entry").path());
    entries.filter(|path| path.display().to_string().contains(".torn-")).collect()
}

#[tokio::test]
async fn t04_an_older_copy_is_accepted_as_it_was_shown_and_every_device_but_those_named_is_suspended() {
    let (home, gateway, [phone, laptop]) = two().await;
    let (old, keep) = (Device::new(1).id(), Device::new(2).id());
    gateway.stop();
    assert_snapshot!("recover_rollback_01_nothing", said(&home, &["recover", "--accept-rollback", "--yes"]));
    let older = home.path().join("older");
    copied(&home.journal(), &older);
    done(&home, &["devices", "revoke", "--device", &old, "--role", "operator"]);
    copied(&older, &home.journal());

    let started = home.run(&["gateway", "run", "--port", "0"]);
    assert!(started.code == Some(5) && started.stderr.contains("openclaw recover --accept-rollback"), "{started:?}");
    assert_snapshot!("recover_rollback_02_look", said(&home, &["recover"]));
    assert_snapshot!("recover_rollback_03_look_as_json", said(&home, &["recover", "--json"]));
    assert_snapshot!("recover_rollback_04_not_asked", said(&home, &["recover", "--accept-rollback", "--keep", &keep]));
    assert_snapshot!("recover_rollback_05_not_asked_as_json", said(&home, &["recover", "--accept-rollback", "--json"]));
    let stranger = Device::new(4).id();
    assert_snapshot!(
        "recover_rollback_06_keep_unknown",
        said(&home, &["recover", "--accept-rollback", "--keep", &stranger, "--yes"])
    );
    assert_snapshot!("recover_rollback_07_keep_malformed", said(&home, &["recover", "--accept-rollback", "--keep", "laptop"]));
    let words = ["env", "OPENCLAW_SHELL=exec"].map(str::to_owned);
    let agent = home.spawn(&words, &["recover", "--accept-rollback", "--yes"]).end();
    assert!(agent.code == Some(1) && agent.stderr.contains("refused from a shell of OpenClaw's agent"), "{agent:?}");
    assert_eq!(written(&home), {
        let mut bytes = fs::read(older.join("00000000000000000001.segment")).expect("a segment");
        bytes.truncate(bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1));
        bytes
    });

    assert_snapshot!("recover_rollback_08_accepted", said(&home, &["recover", "--accept-rollback", "--keep", &keep, "--yes"]));
    assert_eq!(on_record(&home, "RollbackAccepted"), (1, "owner"));
    home.verify_sound();
    assert!(done(&home, &["journal", "verify"]).contains("complete: up to seq"));
    assert_snapshot!("recover_rollback_09_suspended", said(&home, &["recover"]));
    let gateway = home.start();
    tried(Device::new(2).returns(&laptop, CLI), gateway.address).await.admitted().await;
    let refused = tried(Device::new(1).returns(&phone, READ), gateway.address).await.refused().await;
    assert_eq!(text(&refused.error["details"]["reason"]), "role-upgrade");
    assert_snapshot!("recover_rollback_10_asks_again", said(&home, &["recover"]));
    assert_snapshot!("recover_rollback_11_why", said(&home, &["devices", "why", &old]));
    done(&home, &["devices", "approve", &refused.request()]);
    assert_snapshot!("recover_rollback_12_all_well", said(&home, &["recover"]));
    assert_snapshot!("recover_rollback_13_all_well_as_json", said(&home, &["recover", "--json"]));
    let refused = tried(Device::new(1).returns(&phone, READ), gateway.address).await.refused().await;
    assert_eq!(text(&refused.error["details"]["code"]), "AUTH_DEVICE_TOKEN_MISMATCH", "the old token stays dead");
    let fresh = token(&Device::new(1), READ, &gateway, &home).await;
    assert_ne!(fresh, phone);
    gateway.stop();
}

#[tokio::test]
async fn x07_what_a_lost_future_issued_is_dead_and_an_accepted_copy_cannot_be_accepted_again() {
    let (home, gateway, [phone, _]) = two().await;
    gateway.stop();
    let older = home.path().join("older");
    copied(&home.journal(), &older);
    let gateway = home.start();
    done(&home, &["devices", "rotate", "--device", &Device::new(1).id(), "--role", "operator"]);
    let future = token(&Device::new(1), READ, &gateway, &home).await;
    assert_ne!(future, phone);
    gateway.stop();
    copied(&older, &home.journal());
    let told = home.run(&["recover", "--accept-rollback", "--keep", &Device::new(1).id(), "--yes", "--json"]);
    let told: Value = serde_json::from_str(&told.stdout).expect("JSON");
    assert!(told["missing"].as_u64().is_some_and(|missing| missing > 0), "{told}");
    assert_eq!((&told["kept"], &told["suspended"]), (&json!([Device::new(1).id()]), &json!([Device::new(2).id()])));
    let accepted = home.path().join("accepted");
    copied(&home.journal(), &accepted);
    let gateway = home.start();
    tried(Device::new(1).returns(&phone, READ), gateway.address).await.admitted().await;
    tried(Device::new(1).returns(&future, READ), gateway.address).await.refused().await;
    done(&home, &["devices", "revoke", "--device", &Device::new(1).id(), "--role", "operator"]);
    gateway.stop();
    // Neither the older copy nor the accepted one brings back what was revoked since.
    for copy in [&older, &accepted] {
        copied(copy, &home.journal());
        let started = home.run(&["gateway", "run", "--port", "0"]);
        assert!(started.code == Some(5) && started.stderr.contains("was rolled back"), "{started:?}");
    }
}

#[tokio::test]
async fn j06_a_damaged_end_that_was_seen_is_put_aside_and_given_up_by_the_owner_alone() {
    let (home, gateway, [_, laptop]) = two().await;
    gateway.stop();
    let mut bytes = written(&home);
    let last = bytes.len() - 40;
    bytes[last] ^= 1;
    fs::write(home.segment(), &bytes).expect("written");
    assert_eq!(home.run(&["gateway", "run", "--port", "0"]).code, Some(5));
    assert_snapshot!("recover_damaged_end", said(&home, &["recover"]));
    done(&home, &["recover", "--accept-rollback", "--keep", &Device::new(2).id(), "--yes"]);
    let aside = kept_aside(&home);
    let [kept] = &aside[..] else { panic!("{aside:?}") };
    assert!(bytes.ends_with(&fs::read(kept).expect("kept")));
    assert_eq!((on_record(&home, "JournalRepaired").0, on_record(&home, "RollbackAccepted").0), (1, 1));
    home.verify_sound();
    let gateway = home.start();
    tried(Device::new(2).returns(&laptop, CLI), gateway.address).await.admitted().await;
    gateway.stop();
}

#[tokio::test]
async fn j07_a_journal_damaged_in_the_middle_goes_on_before_the_damage_and_the_rest_is_kept() {
    let (home, gateway, _) = two().await;
    gateway.stop();
    let segment = fs::read(home.segment()).expect("a segment");
    let middle = written(&home).len() / 2;
    let mut bytes = segment.clone();
    bytes[middle] ^= 1;
    fs::write(home.segment(), &bytes).expect("written");
    assert_eq!(home.run(&["gateway", "run", "--port", "0"]).code, Some(5));
    let looked = home.run(&["recover"]);
    assert!(looked.code == Some(0) && looked.stdout.contains("records are missing"), "{looked:?}");
    assert_eq!(fs::read(home.segment()).expect("a segment"), bytes, "looking changes nothing");
    done(&home, &["recover", "--accept-rollback", "--yes"]);
    let aside = kept_aside(&home);
    let [kept] = &aside[..] else { panic!("{aside:?}") };
    let kept = fs::read(kept).expect("kept");
    let begins = written_before(&bytes, &kept);
    assert!(begins <= middle && bytes[begins..].starts_with(&kept), "all of it, from the last sound batch on");
    home.verify_sound();
    home.start().stop();
}

/// Where these bytes begin in those.
fn written_before(all: &[u8], part: &[u8]) -> usize {
    all.windows(part.len()).position(|window| window == part).expect("a part of it")
}

#[tokio::test]
async fn a_token_key_that_cannot_be_used_is_put_aside_and_tokens_in_use_stay_good() {
    let (home, gateway, [phone, _]) = two().await;
    let key = home.state().join("pairing/token.key");
    assert_snapshot!("recover_key_01_running", said(&home, &["recover", "--new-key", "--yes"]));
    gateway.stop();
    assert_snapshot!("recover_key_02_good", said(&home, &["recover", "--new-key", "--yes"]));
    fs::write(&key, "short").expect("written");
    assert_snapshot!("recover_key_03_look", said(&home, &["recover"]));
    assert_snapshot!("recover_key_04_not_asked", said(&home, &["recover", "--new-key"]));
    assert_eq!(fs::read(&key).expect("a key"), b"short");
    if Path::new("/usr/bin/script").exists() {
        // On a terminal it is asked once.
        let words = ["sh", "-c", "echo n | script -qec \"$0 $*\" /dev/null"].map(str::to_owned);
        let ended = home.spawn(&words, &["recover", "--new-key"]).end();
        assert!(
            ended.code == Some(1) && ended.stdout.contains("[y/N]") && ended.stdout.contains("the answer was not yes"),
            "{ended:?}"
        );
        assert_eq!(fs::read(&key).expect("a key"), b"short");
    } else {
        home::say("SKIPPED, needs script: an answer on a terminal");
    }
    assert_snapshot!("recover_key_05_done", said(&home, &["recover", "--new-key", "--yes"]));
    assert_eq!(fs::read(home.state().join("pairing/token.key.unusable-1")).expect("kept"), b"short");
    assert_eq!(on_record(&home, "TokenKeyReplaced"), (1, "owner"));
    let gateway = home.start();
    assert_eq!(on_record(&home, "TokenKeyReplaced").0, 1);
    tried(Device::new(1).returns(&phone, READ), gateway.address).await.admitted().await;
    // A good signature alone lets nobody in; with the shared secret there is a hello-ok, and no token that nobody can make.
    tried(Device::new(2).asks(CLI).auth(json!({})), gateway.address).await.refused().await;
    gateway.stop();
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).expect("opened");
    assert_snapshot!("recover_key_06_open", said(&home, &["recover", "--new-key", "--yes", "--json"]));
    fs::remove_file(&key).expect("removed");
    assert_snapshot!("recover_key_07_gone", said(&home, &["recover"]));
    let gateway = home.start();
    assert_eq!(on_record(&home, "TokenKeyReplaced"), (3, "gateway"));
    tried(Device::new(1).returns(&phone, READ), gateway.address).await.admitted().await;
    gateway.stop();
}

#[tokio::test]
async fn copies_that_are_gone_are_written_again() {
    let (home, gateway, _) = two().await;
    assert_snapshot!("recover_copies_01_running", said(&home, &["recover", "--copies"]));
    gateway.stop();
    fs::remove_dir_all(home.state().join("devices")).expect("removed");
    assert_snapshot!("recover_copies_02_look", said(&home, &["recover"]));
    assert_snapshot!("recover_copies_03_done", said(&home, &["recover", "--copies"]));
    let copy = fs::read_to_string(home.state().join("devices/paired.json")).expect("a copy");
    assert!(copy.contains(&Device::new(1).id()) && copy.contains(&Device::new(2).id()));
    assert_snapshot!("recover_copies_04_as_json", said(&home, &["recover", "--copies", "--json"]));
}

#[tokio::test]
async fn x33_a_witness_that_was_lost_stays_in_status_until_the_owner_settles_it() {
    let (home, gateway, _) = two().await;
    gateway.stop();
    let witnesses = home.path().join(".local/state/openclaw-pairing");
    for entry in fs::read_dir(witnesses).expect("witnesses") {
        fs::remove_file(entry.expect("an entry").path()).expect("removed");
    }
    home.start().stop();
    let gateway = home.start();
    let status = |home: &Home| {
        let ended = home.run(&["status", "--json"]);
        let status: Value = serde_json::from_str(&ended.stdout).expect("JSON");
        let conditions = status["conditions"].as_array().expect("a list").clone();
        conditions.into_iter().find(|condition| condition["condition"] == "witness")
    };
    assert!(status(&home).is_some());
    assert_snapshot!("recover_settle_01_look", said(&home, &["recover"]));
    assert_snapshot!("recover_settle_02_other", said(&home, &["recover", "--settle", "clock"]));
    assert_snapshot!("recover_settle_03_done", said(&home, &["recover", "--settle", "witness"]));
    assert_eq!(status(&home), None);
    assert_snapshot!("recover_settle_04_again_as_json", said(&home, &["recover", "--settle", "witness", "--json"]));
    assert_eq!(on_record(&home, "ConditionCleared"), (1, "owner"));
    gateway.stop();
}

#[tokio::test]
async fn x43_both_devices_are_shown_before_one_has_the_place_of_the_other() {
    let (home, gateway, _) = two().await;
    let old = Device::new(2).id();
    let named = |params: &mut Value| params["client"]["displayName"] = "laptop".into();
    let ask = |device: &Device| with_secret(device.asks(CLI).edit(named), &home);
    let stranger = tried(ask(&Device::new(4)), gateway.address).await.refused().await.request();
    let request = tried(ask(&Device::new(3)), gateway.address).await.refused().await.request();
    let handed = |more: &[&str]| said(&home, &[&["recover", "--succeed", &old, "--request", &request], more].concat());
    assert_snapshot!("recover_succeed_01_not_asked", handed(&[]));
    assert_snapshot!("recover_succeed_02_alone", said(&home, &["recover", "--succeed", &old]));
    assert_snapshot!("recover_succeed_03_two_ways", handed(&["--new-key"]));
    let nobody = Device::new(9).id();
    assert_snapshot!(
        "recover_succeed_04_no_device",
        said(&home, &["recover", "--succeed", &nobody, "--request", &request, "--yes"])
    );
    let none = "00000000-0000-4000-8000-000000000000";
    assert_snapshot!("recover_succeed_05_no_request", said(&home, &["recover", "--succeed", &old, "--request", none, "--yes"]));
    assert_snapshot!(
        "recover_succeed_06_malformed",
        said(&home, &["recover", "--succeed", "laptop", "--request", "one", "--yes"])
    );
    let words = ["env", "OPENCLAW_SHELL=exec"].map(str::to_owned);
    let agent = home.spawn(&words, &["recover", "--succeed", &old, "--request", &request, "--yes"]).end();
    assert!(agent.code == Some(1) && agent.stderr.contains("refused from a shell of OpenClaw's agent"), "{agent:?}");
    assert_eq!(on_record(&home, "DeviceSucceeded").0, 0);
    assert_snapshot!("recover_succeed_07_done", handed(&["--yes"]));
    assert_snapshot!("recover_succeed_08_again", handed(&["--yes"]));
    assert_snapshot!(
        "recover_succeed_09_other",
        said(&home, &["recover", "--succeed", &old, "--request", &stranger, "--yes", "--json"])
    );
    assert_eq!(on_record(&home, "DeviceSucceeded").0, 1);
    assert_snapshot!("recover_succeed_10_why", said(&home, &["devices", "why", &old]));
    gateway.stop();
}

/// This host's own device: wiped, made anew, and given its place again by the command that is printed.
#[tokio::test]
async fn a_wiped_identity_of_this_host_is_found_and_got_back_by_the_printed_command() {
    let home = Home::new();
    home.begin("{ version: 1, localFirstPairing: false }");
    let gateway = home.start();
    let list = |home: &Home, gateway: &Gateway| {
        let url = format!("ws://{}", gateway.address);
        home.run(&["devices", "list", "--url", &url, "--token", &home.token()])
    };
    assert_eq!(list(&home, &gateway).code, Some(1), "it has to be approved");
    done(&home, &["devices", "approve"]);
    assert_eq!(list(&home, &gateway).code, Some(0));
    gateway.stop();
    home.start().stop();
    fs::remove_dir_all(home.state().join("identity")).expect("removed");
    assert_snapshot!("recover_identity_01_gone", said(&home, &["recover"]));
    let gateway = home.start();
    assert_eq!(list(&home, &gateway).code, Some(1));
    let looked = home.run(&["recover"]);
    assert_snapshot!("recover_identity_02_asks", mask(&home, &looked));
    let next = looked.stdout.lines().find_map(|line| line.split_once("openclaw recover --succeed ")).expect("a command").1;
    let words: Vec<_> = format!("recover --succeed {next} --yes").split_whitespace().map(str::to_owned).collect();
    done(&home, &words.iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!(list(&home, &gateway).code, Some(0));
    assert_snapshot!("recover_identity_03_back", said(&home, &["recover"]));
    // Also where a gateway has started with the new one meanwhile.
    fs::remove_dir_all(home.state().join("identity")).expect("removed");
    assert_eq!(list(&home, &gateway).code, Some(1));
    gateway.stop();
    let gateway = home.start();
    let looked = home.run(&["recover"]);
    assert!(looked.stdout.contains("Next           openclaw recover --succeed "), "{looked:?}");
    gateway.stop();
}

#[test]
fn where_there_is_no_journal_nothing_can_be_got_back() {
    let home = Home::new();
    assert_snapshot!("recover_no_journal", said(&home, &["recover"]));
    assert_snapshot!("recover_no_journal_rollback", said(&home, &["recover", "--accept-rollback", "--yes"]));
    assert_snapshot!("recover_no_journal_key", said(&home, &["recover", "--new-key", "--yes"]));
    assert!(!home.journal().exists(), "looking makes nothing");
    assert_snapshot!("recover_help", said(&home, &["recover", "--help"]));
}
