//! What cannot be read, and what is gone.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::json;

use crate::client::{CLI, Device, READ, SECRET, text};
use crate::home::say;
use crate::running::records;
use crate::world::{Real, fold, present};
use openclaw_pairing::pairing::Actor;

/// The first segment of every journal.
const SEGMENT: &str = "00000000000000000001.segment";

/// Every file below a directory, and what is in it.
fn contents(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(dir).expect("a directory") {
        let path = entry.expect("an entry").path();
        let kind = fs::symlink_metadata(&path).expect("there").file_type();
        if kind.is_dir() {
            found.extend(contents(&path));
        } else if kind.is_file() {
            found.insert(path.clone(), fs::read(&path).expect("readable"));
        }
    }
    found
}

fn real() -> Real {
    Real::new(json!({ "auth": { "token": SECRET }, "trustedProxies": ["127.0.0.1"] }))
}

#[tokio::test]
async fn s24_a_journal_that_cannot_be_read_is_never_replaced() {
    if !Command::new("strace").args(["-o", "/dev/null", "true"]).output().is_ok_and(|output| output.status.success()) {
        return say("SKIPPED, needs strace and ptrace: a journal that cannot be read");
    }
    let real = real();
    let gateway = real.home.start();
    let mut tokens = vec![];
    for seed in 1..=12 {
        let device = Device::new(seed);
        let request = device.afar(READ).connect(gateway.address, present().0).await.refused().await.request();
        real.cli(&["devices", "approve", &request]).await.done();
        let (_, hello) = device.afar(READ).connect(gateway.address, present().0).await.admitted().await;
        tokens.push(text(&hello["auth"]["deviceToken"]).to_owned());
    }
    let mut waiting = vec![];
    for seed in [13, 14] {
        waiting.push(Device::new(seed).afar(READ).connect(gateway.address, present().0).await.refused().await.request());
    }
    gateway.stop();
    let before = contents(real.home.state());
    let segment = real.home.segment().display().to_string();
    for (call, fault, op) in [("openat", "EACCES", "open"), ("pread64", "EIO", "read")] {
        let options = [format!("trace={call}"), format!("inject={call}:error={fault}")];
        // It is opened by its name in a directory that is open already.
        let words = ["strace", "-D", "-f", "-qq", "-o", "/dev/null", "-P", &segment, "-P", SEGMENT];
        let words = [&words[..], &["-e", &options[0], "-e", &options[1]]].concat();
        let words: Vec<_> = words.into_iter().map(str::to_owned).collect();
        let Err(ended) = real.home.start_behind(&words) else { panic!("it starts in spite of {fault}") };
        assert_eq!(ended.code, Some(1), "{ended:?}");
        assert!(ended.stderr.contains(&segment) && ended.stderr.contains(op), "{ended:?}");
        assert!(!ended.stderr.contains("pairing required"), "{ended:?}");
        let doctor = real.home.spawn(&words, &["doctor"]).end();
        let error = ended.stderr.trim_start_matches("error: ").trim();
        assert!(doctor.code == Some(1) && doctor.stdout.contains(error), "{doctor:?} and not {error}");
        let after = contents(real.home.state());
        assert_eq!(before.keys().collect::<Vec<_>>(), after.keys().collect::<Vec<_>>(), "{fault}");
        for (path, bytes) in &before {
            assert!(after[path] == *bytes, "{} is another after {fault}", path.display());
        }
    }
    let gateway = real.home.start();
    let list = real.cli(&["devices", "list", "--json"]).await.done().json();
    let ids: Vec<_> = list["pending"].as_array().expect("a list").iter().rev().map(|entry| text(&entry["requestId"])).collect();
    assert_eq!((list["paired"].as_array().map(Vec::len), ids), (Some(12), waiting.iter().map(String::as_str).collect()));
    for (seed, token) in (1..).zip(&tokens) {
        Device::new(seed).returns(token, READ).afar().connect(gateway.address, present().0).await.admitted().await;
    }
    gateway.stop();
}

#[tokio::test]
async fn s17_deleted_identities_and_copies_lose_nothing_that_was_approved() {
    let real = real();
    let gateway = real.home.start();
    real.cli(&["policy", "apply", "--preset", "strict"]).await.done();
    let (c, others) = (Device::new(1), [Device::new(2), Device::new(3)]);
    let mut tokens = vec![];
    for (device, scopes) in [(&c, CLI), (&others[0], READ), (&others[1], READ)] {
        let request = device.afar(scopes).connect(gateway.address, present().0).await.refused().await.request();
        real.cli(&["devices", "approve", &request]).await.done();
        let (_, hello) = device.afar(scopes).connect(gateway.address, present().0).await.admitted().await;
        tokens.push(text(&hello["auth"]["deviceToken"]).to_owned());
    }
    real.cli(&["devices", "rename", &c.id(), "laptop"]).await.done();
    gateway.stop();
    let digest = fold(&records(&real.state)).digest().0;
    let copy = real.state.devices().join("paired.json");
    assert!(copy.exists());
    fs::remove_dir_all(real.state.devices()).expect("removed");
    let identity = real.state.identity();
    let _not_there = fs::remove_dir_all(identity.parent().expect("a directory"));

    let gateway = real.home.start();
    assert_eq!(fold(&records(&real.state)).digest().0, digest);
    for (device, token) in others.iter().zip(&tokens[1..]) {
        device.returns(token, READ).afar().connect(gateway.address, present().0).await.admitted().await;
    }
    assert!(fs::read_to_string(&copy).expect("written again").contains(&c.id()));
    // A new key gets nothing by being like the old one.
    let fresh = Device::new(4);
    let refused = fresh.afar(CLI).connect(gateway.address, present().0).await.refused().await;
    assert_eq!(text(&refused.error["details"]["reason"]), "not-paired");
    let list = real.cli(&["devices", "list", "--json"]).await.done().json();
    assert_eq!((list["pending"].as_array().map(Vec::len), list["paired"].as_array().map(Vec::len)), (Some(1), Some(3)));
    let request = refused.request();
    // Over the network nobody hands a device over, whatever they hold.
    let admin = Device::new(5);
    let asked = admin.afar(CLI).connect(gateway.address, present().0).await.refused().await.request();
    real.cli(&["devices", "approve", &asked]).await.done();
    let (mut admin_socket, _) = admin.afar(CLI).connect(gateway.address, present().0).await.admitted().await;
    let same = json!({ "deviceId": c.id(), "requestId": request });
    let denied = admin_socket.denied("owner.succeed", same).await;
    assert!(text(&denied["message"]).starts_with("only the owner may do that"), "{denied}");
    let (mut was, _) = c.returns(&tokens[0], CLI).afar().connect(gateway.address, present().0).await.admitted().await;

    let (old, new) = (c.id(), fresh.id());
    let handed = ["recover", "--succeed", &old, "--request", &request, "--yes"];
    let said = real.cli(&handed).await.done().out;
    assert!(said.contains(&format!("Device {new} has the place of {old}.")), "{said}");
    assert_eq!(was.end().await, (4001, "device succeeded".to_owned()));
    let handed: Vec<_> = records(&real.state).into_iter().filter(|record| record.event.name() == "DeviceSucceeded").collect();
    let [record] = &handed[..] else { panic!("{handed:?}") };
    assert!(matches!(record.actor, Actor::Owner(_)), "{record:?}");
    let list = real.cli(&["devices", "list", "--json"]).await.done().json();
    let paired = list["paired"].as_array().expect("a list");
    let heir = paired.iter().find(|entry| entry["deviceId"] == new.as_str()).expect("the new one");
    assert!(paired.iter().all(|entry| entry["deviceId"] != old.as_str()));
    let scopes: BTreeSet<_> = heir["scopes"].as_array().expect("a list").iter().map(text).collect();
    assert_eq!((text(&heir["operatorLabel"]), scopes), ("laptop", CLI.iter().copied().collect()));

    let (_, hello) = fresh.afar(CLI).connect(gateway.address, present().0).await.admitted().await;
    let token = text(&hello["auth"]["deviceToken"]).to_owned();
    fresh.returns(&token, CLI).afar().connect(gateway.address, present().0).await.admitted().await;
    for ask in [c.returns(&tokens[0], CLI).afar(), c.afar(CLI)] {
        let refused = ask.connect(gateway.address, present().0).await.refused().await;
        assert_eq!(text(&refused.error["details"]["code"]), "DEVICE_SUCCEEDED");
        let message = text(&refused.error["message"]);
        assert!(message.contains(&format!("was succeeded by device {new}")), "{message}");
        // Words on which a client of 2026.3.13 drops its token, or waits for a person.
        assert!(!message.contains("device token mismatch") && !message.contains("pairing required"), "{message}");
        assert_eq!(refused.close.0, 1008);
    }
    let list = real.cli(&["devices", "list", "--json"]).await.done().json();
    assert_eq!(list["pending"].as_array().map(Vec::len), Some(0), "the old one asks nothing");
    // Back through the old one to the act that gave it each scope.
    let audit = real.cli(&["audit", &new, "--json"]).await.done().json();
    let holds = audit["holds"].as_array().expect("what it holds");
    for held in holds {
        let warrant = &held["warrant"];
        let acts = (text(&warrant["act"]), text(&warrant["authority"]["act"]), text(&warrant["root"]));
        assert_eq!(acts, ("succession", "approval", "owner"), "{held}");
    }
    assert_eq!(holds.len(), CLI.len());
    gateway.stop();
}
