//! `openclaw import` and `journal export --openclaw` as a person meets them: real processes in a home of their own. One snapshot per
//! command: exit code, standard output, standard error, with what differs from run to run made constant.

#[path = "support/home.rs"]
mod home;

use std::fs;
use std::path::{Path, PathBuf};

use home::{Ended, Home};
use insta::assert_snapshot;
use openclaw_pairing::pairing::{DeviceId, PublicKey};
use openclaw_pairing::wire::devices::public_key_text;
use serde_json::{Value, json};

fn mask(home: &Home, ended: &Ended) -> String {
    let part = |name, text: &str| if text.is_empty() { String::new() } else { format!("--- {name}\n{text}") };
    let code = ended.code.expect("an exit code");
    let text = format!("exit {code}\n{}{}", part("stdout", &ended.stdout), part("stderr", &ended.stderr));
    let text = text.replace(&home.path().display().to_string(), "~");
    let rules =
        [(r"root on the gateway host|the owner on the gateway host \(uid \d+\)", "<owner>"), (r"process \d+", "process <pid>")];
    rules.iter().fold(text, |text, (from, to)| regex::Regex::new(from).expect("a pattern").replace_all(&text, *to).into_owned())
}

fn said(home: &Home, args: &[&str]) -> String {
    mask(home, &home.run(args))
}

fn id(seed: u8) -> String {
    DeviceId::of(&PublicKey([seed; 32])).to_string()
}

/// A text such as OpenClaw makes tokens of, the same in every run.
fn token(seed: u8) -> String {
    public_key_text(&PublicKey(std::array::from_fn(|at| {
        seed.wrapping_mul(29).wrapping_add(u8::try_from(at).expect("small") * 7)
    })))
}

/// A device as 2026.3.13 writes it.
fn device(seed: u8, name: &str, scopes: &[&str]) -> Value {
    let token = json!({
        "token": token(seed), "role": "operator", "scopes": scopes, "createdAtMs": 1_790_000_000_000_u64,
        "lastUsedAtMs": 1_790_000_100_000_u64,
    });
    json!({
        "deviceId": id(seed), "publicKey": public_key_text(&PublicKey([seed; 32])), "displayName": name, "platform": "linux",
        "clientId": "cli", "clientMode": "cli", "role": "operator", "roles": ["operator"], "scopes": scopes,
        "approvedScopes": scopes, "remoteIp": "203.0.113.9", "tokens": { "operator": token },
        "createdAtMs": 1_790_000_000_000_u64, "approvedAtMs": 1_790_000_000_000_u64,
    })
}

/// A state directory of a real OpenClaw below the home, with two sound devices and what is not sound.
fn openclaw(home: &Home) -> PathBuf {
    let dir = home.path().join("openclaw");
    fs::create_dir_all(dir.join("devices")).expect("made");
    let mut wide = device(1, "Phone\u{202e}", &["operator.read"]);
    wide["tokens"]["operator"]["scopes"] = json!(["operator.read", "operator.admin"]);
    let half = json!({ "deviceId": id(3), "publicKey": public_key_text(&PublicKey([3; 32])), "requestId": "r" });
    let desk = device(2, "Desk", &["operator.admin", "operator.read"]);
    let paired = json!({ id(1): wide, id(2): desk, id(3): half });
    fs::write(dir.join("devices/paired.json"), paired.to_string()).expect("written");
    fs::write(dir.join("devices/pending.json"), "[{}, {}]").expect("written");
    let pairing = json!({ "autoApproveCidrs": ["10.1.0.0/16", "127.0.0.0/8"], "sshVerify": true });
    fs::write(dir.join("openclaw.json"), json!({ "gateway": { "nodes": { "pairing": pairing } } }).to_string()).expect("written");
    dir
}

fn words(dir: &Path) -> &str {
    dir.to_str().expect("a plain name")
}

#[test]
fn devices_are_shown_imported_and_not_imported_again() {
    let home = Home::new();
    let dir = openclaw(&home);
    let dir = words(&dir);
    assert_snapshot!("import_01_dry_run", said(&home, &["import", dir, "--dry-run"]));
    assert!(!home.journal().exists(), "looking makes nothing");
    assert_snapshot!("import_02_nobody_to_ask", said(&home, &["import", dir]));
    assert_snapshot!("import_03_nobody_to_ask_as_json", said(&home, &["import", dir, "--json"]));
    assert!(!home.journal().exists(), "nobody said yes");
    assert_snapshot!("import_04_done", said(&home, &["import", dir, "--yes"]));
    let records = home.records();
    assert_eq!(records.iter().filter(|record| record.contains("\"DeviceImported\"")).count(), 2, "{records:#?}");
    assert_snapshot!("import_05_again", said(&home, &["import", dir, "--yes"]));
    assert_snapshot!("import_06_again_as_json", said(&home, &["import", dir, "--json"]));
    assert_eq!(home.records(), records, "nothing was appended");
    let tokens = [token(1), token(2)];
    assert!(records.iter().all(|record| tokens.iter().all(|token| !record.contains(token))));
    home.verify_sound();
}

#[test]
fn o03_the_tokens_of_a_real_openclaw_are_nowhere_but_where_they_were() {
    let home = Home::new();
    let dir = openclaw(&home);
    let mut printed = vec![];
    for args in [&["import", words(&dir), "--yes", "--log-level", "trace"][..], &["import", words(&dir), "--json"], &["logs"]] {
        let ended = home.run(args);
        printed.push(format!("{}{}", ended.stdout, ended.stderr));
    }
    let gateway = home.start();
    let ended = home.run(&["devices", "list", "--json"]);
    printed.push(format!("{}{}", ended.stdout, ended.stderr));
    let ended = gateway.stop();
    printed.push(format!("{}{}", ended.stdout, ended.stderr));
    assert!(printed.iter().any(|text| text.contains(&id(1))), "there was something to print");
    let mut folders = vec![home.path().to_owned()];
    let mut files = 0;
    while let Some(folder) = folders.pop() {
        for path in fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()) {
            if path.is_dir() {
                folders.push(path);
            } else if path.is_file() && !path.starts_with(&dir) {
                files += 1;
                printed.push(String::from_utf8_lossy(&fs::read(&path).expect("read")).into_owned());
            }
        }
    }
    assert!(files > 3, "the state is searched");
    for token in [token(1), token(2)] {
        assert!(printed.iter().all(|text| !text.contains(&token)), "a token of OpenClaw's was found");
    }
}

#[test]
fn devices_are_imported_by_a_gateway_that_runs_and_nothing_removed_comes_back() {
    let home = Home::new();
    let dir = openclaw(&home);
    let gateway = home.start();
    assert_eq!(home.run(&["import", words(&dir), "--yes"]).code, Some(0));
    let removed = home.run(&["devices", "remove", &id(2)]);
    assert_eq!(removed.code, Some(0), "{removed:?}");
    let revoked = home.run(&["devices", "revoke", "--device", &id(1), "--role", "operator"]);
    assert_eq!(revoked.code, Some(0), "{revoked:?}");
    let records = home.records();
    assert_snapshot!("import_07_nothing_comes_back", said(&home, &["import", words(&dir), "--yes"]));
    assert_eq!(home.records(), records);
    let list: Value = serde_json::from_str(&home.run(&["devices", "list", "--json"]).stdout).expect("JSON");
    let paired: Vec<_> = list["paired"].as_array().expect("a list").iter().map(|entry| entry["deviceId"].clone()).collect();
    assert_eq!(paired, [json!(id(1))]);
    gateway.stop();
}

#[test]
fn what_cannot_be_imported_is_said_in_a_sentence() {
    let home = Home::new();
    let nothing = home.path().join("nothing");
    fs::create_dir(&nothing).expect("made");
    assert_snapshot!("import_nothing", said(&home, &["import", words(&nothing), "--yes"]));
    assert_snapshot!("import_nothing_as_json", said(&home, &["import", words(&nothing), "--yes", "--json"]));
    let dir = openclaw(&home);
    fs::write(dir.join("devices/paired.json"), "{\"a\": \"\u{1b}[31m\"").expect("written");
    assert_snapshot!("import_no_json", said(&home, &["import", words(&dir), "--yes"]));
    fs::remove_file(dir.join("devices/paired.json")).expect("removed");
    std::os::unix::fs::symlink("/etc/hostname", dir.join("devices/paired.json")).expect("linked");
    assert_snapshot!("import_link", said(&home, &["import", words(&dir), "--yes"]));
    assert_snapshot!("import_both", said(&home, &["import", words(&dir), "--yes", "--dry-run"]));
    fs::create_dir_all(dir.join("state")).expect("made");
    fs::write(
        dir.join("state/openclaw.sqlite"),
        "no database at all, for as many bytes as it takes to be no header of one either",
    )
    .expect("written");
    assert_snapshot!("import_no_database", said(&home, &["import", words(&dir), "--yes"]));
    assert!(!home.journal().exists(), "nothing was begun");
}

#[test]
fn our_own_copy_is_no_source() {
    let home = Home::new();
    let dir = openclaw(&home);
    assert_eq!(home.run(&["import", words(&dir), "--yes"]).code, Some(0));
    let records = home.records();
    assert_snapshot!("import_own_copy", said(&home, &["import", "--yes"]));
    assert_eq!(home.records(), records);
}

#[test]
fn x45_what_is_exported_for_openclaw_gives_the_same_devices_and_no_token() {
    let home = Home::new();
    let dir = openclaw(&home);
    assert_eq!(home.run(&["import", words(&dir), "--yes"]).code, Some(0));
    let export = home.path().join("export");
    assert_snapshot!("export_openclaw", said(&home, &["journal", "export", "--openclaw", words(&export)]));
    assert_snapshot!("export_openclaw_again", said(&home, &["journal", "export", "--openclaw", words(&export)]));
    assert_snapshot!("export_openclaw_and_csv", said(&home, &["journal", "export", "--openclaw", words(&export), "--csv"]));
    let text = fs::read_to_string(export.join("devices/paired.json")).expect("written");
    assert!(!text.contains("token"), "{text}");
    assert_eq!(fs::read(export.join("devices/pending.json")).expect("written"), b"{}");
    let other = Home::new();
    assert_eq!(other.run(&["import", words(&export), "--yes"]).code, Some(0));
    let paired = |home: &Home| -> Value {
        let list: Value = serde_json::from_str(&home.run(&["devices", "list", "--json"]).stdout).expect("JSON");
        let mut paired = list["paired"].clone();
        paired.as_array_mut().expect("a list").iter_mut().for_each(|entry| entry["tokens"] = Value::Null);
        paired
    };
    assert_eq!(paired(&other), paired(&home));
    let nowhere = Home::new();
    assert_eq!(nowhere.run(&["journal", "export", "--openclaw", words(&export)]).code, Some(1));
}
