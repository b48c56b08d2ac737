//! `openclaw undo` as a person meets it: real processes in homes of their own. One snapshot per command: exit code, standard
//! output, standard error, with what differs from run to run made constant.

#[path = "support/home.rs"]
mod home;

use home::{Ended, Home};
use insta::assert_snapshot;
use serde_json::Value;

/// Every rule that spares a person is off.
const ASK: &str = "{ version: 1, localFirstPairing: false, localCli: false, localBackend: false }";

fn mask(home: &Home, ended: &Ended) -> String {
    let part = |name, text: &str| if text.is_empty() { String::new() } else { format!("--- {name}\n{text}") };
    let code = ended.code.expect("an exit code");
    let text = format!("exit {code}\n{}{}", part("stdout", &ended.stdout), part("stderr", &ended.stderr));
    let text = text.replace(&home.path().display().to_string(), "~");
    let rules = [
        (r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", "<uuid>"),
        (r"[0-9a-f]{64}", "<hex>"),
        (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", "<time>"),
        (r"\b1[78]\d{11}\b", "<ms>"),
        (r"root on the gateway host|the owner on the gateway host \(uid \d+\)", "<owner>"),
        (r#""(uid|pid)": \d+"#, r#""$1": <n>"#),
        (r#""(seq|undoes)": \d+"#, r#""$1": <seq>"#),
        (r"\bseq \d+", "seq <n>"),
        (r"openclaw undo \d+", "openclaw undo <n>"),
    ];
    rules.iter().fold(text, |text, (from, to)| regex::Regex::new(from).expect("a pattern").replace_all(&text, *to).into_owned())
}

fn said(home: &Home, args: &[&str]) -> String {
    mask(home, &home.run(args))
}

/// The last record of this kind.
fn last_record(home: &Home, name: &str) -> Value {
    let mut records = home.records().into_iter().map(|line| serde_json::from_str::<Value>(&line).expect("JSON"));
    records.rfind(|record| record["event"] == name).expect("such a record")
}

/// It as an argument.
fn last(home: &Home, name: &str) -> String {
    last_record(home, name)["seq"].to_string()
}

/// A field of it.
fn last_field(home: &Home, name: &str, field: &str) -> String {
    last_record(home, name)["fields"][field].as_str().expect("a text").to_owned()
}

fn request(home: &Home) -> String {
    last_field(home, "PairingRequested", "request")
}

#[test]
fn the_story_of_what_was_undone() {
    let (home, phone) = (Home::new(), Home::new());
    home.begin(ASK);
    let gateway = home.start();
    let (url, token) = (format!("ws://{}", gateway.address), home.token());
    let asks = |args: &[&str]| phone.run(&[args, &["--url", &url, "--token", &token]].concat());
    assert_eq!(asks(&["devices", "list"]).code, Some(1), "a person is asked");
    assert_eq!(home.run(&["devices", "approve"]).code, Some(0));
    assert_eq!(asks(&["devices", "list"]).code, Some(0));

    let approval = last(&home, "PairingApproved");
    assert_snapshot!("undo_01_dry_run", said(&home, &["undo", &approval, "--dry-run"]));
    assert_snapshot!("undo_02_nobody_to_ask", said(&home, &["undo", &approval]));
    assert_snapshot!("undo_03_nobody_to_ask_as_json", said(&home, &["undo", &approval, "--json"]));
    assert_eq!(asks(&["devices", "list"]).code, Some(0), "nothing was changed");
    assert_snapshot!("undo_04_approval", said(&home, &["undo", &approval, "--yes"]));
    assert_snapshot!("undo_05_again", said(&home, &["undo", &approval, "--yes"]));
    assert_snapshot!("undo_06_again_as_json", said(&home, &["undo", &approval, "--dry-run", "--json"]));
    assert_eq!(asks(&["devices", "list"]).code, Some(1), "it is not paired any more");

    // Nobody looked who it was, and it is the owner's after all.
    assert_eq!(home.run(&["devices", "reject", &request(&home)]).code, Some(0));
    assert_snapshot!("undo_07_rejection_dry_run_as_json", {
        let ended = home.run(&["undo", &last(&home, "PairingRejected"), "--dry-run", "--json"]);
        let mut told: Value = serde_json::from_str(&ended.stdout).expect("JSON");
        let asked = &mut told["events"][1]["fields"]["ask"];
        assert!(asked["described"].is_object(), "{asked}");
        asked["described"] = "<described>".into();
        mask(&home, &Ended { stdout: format!("{told:#}\n"), ..ended })
    });
    assert_snapshot!("undo_08_rejection", said(&home, &["undo", &last(&home, "PairingRejected"), "--yes"]));
    assert_eq!(home.run(&["devices", "approve", &request(&home)]).code, Some(0));
    assert_eq!(asks(&["devices", "list"]).code, Some(0));

    let device = last_field(&home, "PairingApproved", "device");
    assert_eq!(home.run(&["devices", "rename", &device, "kitchen"]).code, Some(0));
    assert_snapshot!("undo_09_rename", said(&home, &["undo", &last(&home, "DeviceRenamed"), "--yes"]));
    assert_snapshot!("undo_10_no_inverse", said(&home, &["undo", &last(&home, "TokenIssued"), "--yes"]));
    assert_snapshot!("undo_11_no_record", said(&home, &["undo", "1000000", "--dry-run"]));
    // It holds everything, and so it may too.
    assert_eq!(asks(&["undo", &last(&home, "DeviceRenamed"), "--yes"]).code, Some(0));
    assert_eq!(home.run(&["policy", "apply", "--preset", "strict"]).code, Some(0));
    assert_snapshot!("undo_12_loosens_by_a_device", mask(&home, &asks(&["undo", &last(&home, "PolicyChanged"), "--yes"])));
    gateway.stop();

    // While it is stopped the owner goes on.
    assert_snapshot!("undo_12_policy_dry_run_while_stopped", said(&home, &["undo", &last(&home, "PolicyChanged"), "--dry-run"]));
    assert_snapshot!("undo_13_policy_while_stopped", said(&home, &["undo", &last(&home, "PolicyChanged"), "--yes"]));
    assert_eq!(home.run(&["devices", "remove", &device]).code, Some(0));
    assert_snapshot!("undo_14_removal_dry_run_while_stopped", said(&home, &["undo", &last(&home, "DeviceRemoved"), "--dry-run"]));
    assert_snapshot!("undo_15_removal_while_stopped", said(&home, &["undo", &last(&home, "DeviceRemoved"), "--yes"]));
    home.verify_sound();
}

#[test]
fn bad_input_changes_nothing_and_says_why() {
    let home = Home::new();
    assert_snapshot!("undo_help", said(&home, &["undo", "--help"]));
    assert_snapshot!("undo_zero", said(&home, &["undo", "0"]));
    assert_snapshot!("undo_no_number", said(&home, &["undo", "last"]));
    assert_snapshot!("undo_nothing", said(&home, &["undo"]));
    assert_snapshot!("undo_both", said(&home, &["undo", "1", "--yes", "--dry-run"]));
    assert_snapshot!("undo_no_journal", said(&home, &["undo", "1", "--dry-run"]));
    assert!(!home.journal().exists(), "looking makes nothing");
}
