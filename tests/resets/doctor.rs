//! `openclaw doctor`, and the approval of several requests, as a person meets them.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Stdio};

use insta::assert_snapshot;
use openclaw_pairing::journal::{Verdict, verify};
use openclaw_pairing::state::StateDir;
use serde_json::{Value, json};

use crate::client::{CLI, Device, PAIRING, READ, WRITE};
use crate::world::{Ending, Real, Said, command, present, run};
use crate::{findings, follow, is_well, masked, paired, real};

/// The finding of this id.
async fn found(real: &Real, id: &str) -> Option<Value> {
    findings(real).await.1.into_iter().find(|finding| finding["id"] == id)
}

async fn snapshot(real: &Real, name: &str, args: &[&str]) {
    assert_snapshot!(name, masked(real, &real.cli(args).await, &[]));
}

#[tokio::test]
async fn from_nothing_to_a_gateway_that_runs_and_one_that_was_killed() {
    let real = real();
    snapshot(&real, "nothing", &["doctor"]).await;
    snapshot(&real, "nothing_as_json", &["doctor", "--json"]).await;
    snapshot(&real, "no_such_policy", &["doctor", "--policy", "nowhere.json5"]).await;
    snapshot(&real, "no_such_policy_as_json", &["doctor", "--policy", "nowhere.json5", "--json"]).await;
    assert!(!real.state.journal().exists(), "looking makes nothing");
    let gateway = real.home.start();
    snapshot(&real, "runs", &["doctor"]).await;
    gateway.stop();
    snapshot(&real, "stopped", &["doctor"]).await;
    real.home.start().kill();
    snapshot(&real, "killed", &["doctor"]).await;
    snapshot(&real, "killed_as_json", &["doctor", "--json"]).await;
}

#[tokio::test]
async fn several_requests_are_shown_and_approved_by_their_ids_and_one_that_is_another_by_now_is_named() {
    let real = real();
    let gateway = real.home.start();
    let (a, b, c) = (Device::new(1), Device::new(2), Device::new(3));
    let names = [(&a, "a"), (&b, "b"), (&c, "c")];
    let ask = async |device: &Device, scopes: &[&str]| {
        device.afar(scopes).connect(gateway.address, present().0).await.refused().await.request()
    };
    let (first, second) = (ask(&a, READ).await, ask(&b, WRITE).await);
    let said = real.cli(&["devices", "approve", &first, &second, &first]).await.done();
    assert_snapshot!("approve_two", masked(&real, &said, &names));
    let (old, third) = (ask(&b, PAIRING).await, ask(&c, READ).await);
    let new = ask(&b, CLI).await;
    assert_ne!(old, new);
    let said = real.cli(&["devices", "approve", &old, &third, "--yes"]).await;
    assert_snapshot!("approve_another_by_now", masked(&real, &said, &names));
    let list = real.cli(&["devices", "list", "--json"]).await.done().json();
    assert_eq!(list["pending"].as_array().map(Vec::len), Some(1));
    let said = real.cli(&["devices", "approve", &old, &new, "--json"]).await;
    assert_eq!(said.code, Some(1));
    let told = said.json();
    assert_eq!((&told["ok"], &told["refused"][0]["requestId"]), (&json!(false), &json!(old)));
    assert_eq!(told["approved"][0]["requestId"], json!(new));
    is_well(&real).await;
    gateway.stop();
}

#[tokio::test]
async fn x41_a_policy_file_that_is_not_in_force_is_told_and_the_printed_command_applies_it() {
    let real = real();
    let gateway = real.home.start();
    let file = real.home.path().join("policy.json5").display().to_string();
    let shown = real.cli(&["policy", "show"]).await.done().out;
    fs::write(&file, &shown).expect("written");
    real.cli(&["doctor", "--policy", &file]).await.done();
    // Edited after it was applied: nothing else is another.
    fs::write(&file, "{ version: 1, localCli: false }").expect("written");
    assert_eq!(real.cli(&["policy", "show"]).await.done().out, shown);
    let said = real.cli(&["doctor", "--policy", &file]).await;
    assert_snapshot!("policy_file", masked(&real, &said, &[]));
    let command = said.out.lines().find_map(|line| line.split_once("  Next         openclaw ")).expect("a command").1.to_owned();
    real.cli(&command.split(' ').collect::<Vec<_>>()).await.done();
    real.cli(&["doctor", "--policy", &file]).await.done();
    fs::write(&file, "{ version: 1, localCli: 7 }").expect("written");
    let said = real.cli(&["doctor", "--policy", &file]).await;
    assert!(said.code == Some(1) && said.out.contains("it is no policy") && !said.out.contains("policy apply"), "{said:?}");
    gateway.stop();
}

#[tokio::test]
async fn x45_a_real_openclaw_on_the_same_directory_is_named() {
    let real = real();
    let gateway = real.home.start();
    let temporary = real.home.path().join("tmp");
    let locks = temporary.join(format!("openclaw-{}", rustix::process::geteuid().as_raw()));
    fs::create_dir_all(&locks).expect("made");
    let doctor = async || -> Said {
        let mut command = command(real.home.path(), real.home.state(), &["doctor"]);
        command.env("TMPDIR", &temporary);
        run(command).await
    };
    doctor().await.done();
    let database = real.state.root().join("state/openclaw.sqlite");
    fs::create_dir(database.parent().expect("a directory")).expect("made");
    fs::write(&database, "a database").expect("written");
    doctor().await.done();
    for holds_database in [false, true] {
        let mut other = Command::new("/bin/sleep");
        other.arg("600").env_clear();
        if holds_database {
            other.stdin(fs::File::open(&database).expect("a database"));
        } else {
            other.stdin(Stdio::null());
        }
        let child = other.spawn().expect("it runs");
        // What it was given is not open here any more.
        drop(other);
        let mut other = Ending(child);
        let pid = other.0.id();
        let lock =
            |config: &str| json!({ "pid": pid, "createdAt": "2026-03-13T00:00:00.000Z", "configPath": config }).to_string();
        if !holds_database {
            fs::write(locks.join("gateway.0a1b2c3d.lock"), lock("/elsewhere/openclaw.json")).expect("written");
            doctor().await.done();
            let config = real.state.config().display().to_string();
            fs::write(locks.join("gateway.4e5f6a7b.lock"), lock(&config)).expect("written");
        }
        let said = doctor().await;
        assert_eq!(said.code, Some(1));
        if !holds_database {
            assert_snapshot!("another_gateway", masked(&real, &said, &[]));
        }
        let next = said.out.lines().find_map(|line| line.strip_prefix("  Next         kill ")).expect("a command");
        assert_eq!(next, pid.to_string());
        assert!(Command::new("kill").arg(next).status().expect("it runs").success());
        other.0.wait().expect("it ended");
        doctor().await.done();
    }
    gateway.stop();
}

#[tokio::test]
async fn x33_a_witness_that_is_gone_is_told_until_a_start_places_another() {
    let real = real();
    let gateway = real.home.start();
    assert!(found(&real, "witness").await.is_none());
    let witnesses = real.home.path().join(".local/state/openclaw-pairing");
    fs::remove_dir_all(&witnesses).expect("there was one");
    let told = found(&real, "witness").await.expect("it is gone");
    assert_eq!((&told["severity"], &told["command"]), (&json!("problem"), &json!("openclaw journal verify")));
    follow(&real).await;
    gateway.stop();
    let gateway = real.home.start();
    let told = found(&real, "witness").await.expect("it is on record");
    assert_eq!(told["severity"], "note", "{told}");
    is_well(&real).await;
    gateway.stop();
}

#[tokio::test]
async fn what_lies_wrong_in_the_directory_is_told_with_what_puts_it_right() {
    let real = real();
    let gateway = real.home.start();
    let device = Device::new(1);
    paired(&real, &gateway, &[&device], READ).await;
    gateway.stop();
    let mode = |path: &std::path::Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("set");
    mode(&real.state.token_key(), 0o644);
    mode(&real.state.pairing(), 0o777);
    fs::write(real.state.devices().join("paired.json"), r#"{ "a stranger": {} }"#).expect("written");
    let said = real.cli(&["doctor"]).await;
    assert_snapshot!("directory", masked(&real, &said, &[]));
    for command in said.out.lines().filter_map(|line| line.strip_prefix("  Next         chmod ")) {
        assert!(Command::new("chmod").args(command.split(' ')).status().expect("it runs").success());
    }
    is_well(&real).await;
    fs::write(real.state.token_key(), "no key").expect("written");
    let told = found(&real, "tokenKey").await.expect("a key that is none");
    assert_eq!(told["command"], "openclaw recover --new-key");
    fs::write(real.state.config(), "{ gateway: ").expect("written");
    assert!(found(&real, "settings").await.is_some());
}

/// The segment of a stopped gateway's journal, without the zeros at its end.
fn written(state: &StateDir) -> Vec<u8> {
    let mut bytes = fs::read(state.journal().join("00000000000000000001.segment")).expect("a segment");
    // Not where the zeros begin: what is sound may end with some.
    let Ok(Verdict::Sound(extent)) = verify(&state.journal()) else { panic!("it is sound") };
    bytes.truncate(usize::try_from(extent.offset).expect("a length"));
    bytes
}

#[tokio::test]
async fn a_journal_that_is_torn_damaged_or_rolled_back_is_told_as_a_start_tells_it() {
    let real = real();
    real.home.start().stop();
    let older = written(&real.state);
    real.home.start().stop();
    let newer = written(&real.state);
    let segment = real.home.segment();
    let mut damaged = newer.clone();
    damaged[200] ^= 1;
    let mut torn = newer.clone();
    torn.extend([7; 9]);
    for (name, bytes, command) in [
        ("rolled_back", &older, "openclaw recover --accept-rollback"),
        ("damaged", &damaged, "openclaw recover"),
        ("torn", &torn, "openclaw journal repair"),
    ] {
        fs::write(&segment, bytes).expect("written");
        let said = real.cli(&["doctor"]).await;
        assert_snapshot!(format!("journal_{name}"), masked(&real, &said, &[]));
        let told = found(&real, "journal").await.expect("told");
        assert_eq!(told["command"], json!(command));
        if name != "torn" {
            let start = real.cli(&["gateway", "run", "--port", "0"]).await;
            let error = start.err.trim_start_matches("error: ").trim();
            assert_eq!((start.code, told["text"].as_str()), (Some(5), Some(error)));
        }
        assert_eq!(fs::read(&segment).expect("a segment"), *bytes, "nothing was changed");
    }
    real.cli(&["journal", "repair"]).await.done();
    assert!(found(&real, "journal").await.is_none());
}
