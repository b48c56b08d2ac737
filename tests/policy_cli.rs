//! `openclaw policy` as a person meets it: real processes in a home of their own. One snapshot per command: exit code, standard
//! output, standard error, with what differs from run to run made constant.

#[path = "support/home.rs"]
mod home;

use std::fs;
use std::io::Write as _;
use std::process::{Command, Stdio};

use home::{BINARY, Ended, Home};
use insta::assert_snapshot;
use openclaw_pairing::pairing::{DEFAULT_POLICY, STRICT_POLICY, policy_digest};
use serde_json::Value;

/// A policy that takes one thing away and lets in another.
const MIXED: &str = r#"{
  version: 1,
  localCli: false,
  trustedNodeCidrs: ["100.64.0.0/10"],
  ceilings: [{ clientId: "gateway-client", scopes: ["operator.read"] }],
}
"#;

/// A slip of the pen in its third line.
const BAD: &str = "{\n  version: 1,\n  localCli: { scopes: [\"operator.reed\"] },\n}\n";

fn mask(home: &Home, ended: &Ended) -> String {
    let part = |name, text: &str| if text.is_empty() { String::new() } else { format!("--- {name}\n{text}") };
    let code = ended.code.expect("an exit code");
    let text = format!("exit {code}\n{}{}", part("stdout", &ended.stdout), part("stderr", &ended.stderr));
    let text = text.replace(&home.path().display().to_string(), "~").replace(DEFAULT_POLICY, "<default>\n");
    let rules = [
        (r"[0-9a-f]{64}", "<hex>"),
        (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", "<time>"),
        (r"\b1[78]\d{11}\b", "<ms>"),
        (r"root on the gateway host|the owner on the gateway host \(uid \d+\)", "<owner>"),
        (r"process \d+", "process <pid>"),
        (r#"seq \d+|"appliedSeq": \d+|"seq": \d+"#, "seq <n>"),
    ];
    rules.iter().fold(text, |text, (from, to)| regex::Regex::new(from).expect("a pattern").replace_all(&text, *to).into_owned())
}

fn said(home: &Home, args: &[&str]) -> String {
    mask(home, &home.run(args))
}

/// A document in the home, by its path.
fn file(home: &Home, name: &str, text: &str) -> String {
    let path = home.path().join(name);
    fs::write(&path, text).expect("written");
    path.display().to_string()
}

#[test]
fn a_preset_is_shown_as_the_document_that_it_is() {
    let home = Home::new();
    for (name, text) in [("default", DEFAULT_POLICY), ("strict", STRICT_POLICY)] {
        let shown = home.run(&["policy", "show", "--preset", name]);
        assert_eq!((shown.code, &*shown.stdout), (Some(0), text));
        assert_eq!(shown.stderr, format!("digest: {}\n", policy_digest(text)));
    }
    assert!(!home.journal().exists(), "looking makes nothing");
}

#[test]
fn a_policy_is_checked_without_a_gateway_and_without_a_journal() {
    let home = Home::new();
    let (mixed, bad) = (file(&home, "mixed.json5", MIXED), file(&home, "bad.json5", BAD));
    assert_snapshot!("policy_check_alone", said(&home, &["policy", "check", &mixed]));
    assert_snapshot!("policy_check_alone_as_json", said(&home, &["policy", "check", &mixed, "--json"]));
    assert_snapshot!("policy_check_bad", said(&home, &["policy", "check", &bad]));
    assert_snapshot!("policy_check_bad_as_json", said(&home, &["policy", "check", &bad, "--json"]));
    assert_snapshot!("policy_check_preset", said(&home, &["policy", "check", "--preset", "strict"]));
    assert_snapshot!("policy_check_nothing", said(&home, &["policy", "check"]));
    let large = file(&home, "large.json5", &format!("{{ version: 1, /* {} */ }}", "é".repeat(40_000)));
    assert_snapshot!("policy_check_large", said(&home, &["policy", "check", &large]));
    assert_snapshot!("policy_check_no_file", said(&home, &["policy", "check", "nowhere.json5"]));
    assert_eq!(home.run(&["policy", "apply", &mixed]).code, Some(3), "there is nothing to apply it to");
    assert!(!home.journal().exists(), "looking makes nothing");
}

#[test]
fn the_story_of_a_policy() {
    let home = Home::new();
    let gateway = home.start();
    let (mixed, bad) = (file(&home, "mixed.json5", MIXED), file(&home, "bad.json5", BAD));
    let shown = home.run(&["policy", "show"]);
    assert_eq!(shown.stdout, DEFAULT_POLICY);
    assert_snapshot!("policy_01_show", mask(&home, &shown));
    assert_snapshot!("policy_02_check", said(&home, &["policy", "check", &mixed]));
    assert_snapshot!("policy_03_dry_run", said(&home, &["policy", "apply", &mixed, "--dry-run"]));
    assert_eq!(home.run(&["policy", "show"]).stdout, DEFAULT_POLICY, "neither changes anything");
    // What was checked is what is applied, and nothing else.
    let digest = policy_digest(MIXED).to_string();
    file(&home, "mixed.json5", &MIXED.replace("/10", "/11"));
    assert_snapshot!("policy_04_swapped", said(&home, &["policy", "apply", &mixed, "--digest", &digest]));
    file(&home, "mixed.json5", MIXED);
    assert_snapshot!("policy_05_applied", said(&home, &["policy", "apply", &mixed, "--digest", &digest]));
    assert_snapshot!("policy_06_applied_again", said(&home, &["policy", "apply", &mixed]));
    // A bad file changes nothing, and takes nobody down.
    assert_snapshot!("policy_07_bad", said(&home, &["policy", "apply", &bad]));
    assert_eq!(home.run(&["policy", "show"]).stdout, MIXED);
    assert_snapshot!("policy_08_show", said(&home, &["policy", "show"]));
    assert_snapshot!("policy_09_strict", said(&home, &["policy", "apply", "--preset", "strict"]));
    let status = said(&home, &["gateway", "status"]);
    assert!(status.contains("Policy         a person is asked for whatever matters"), "{status}");
    assert_snapshot!("policy_10_arm", said(&home, &["policy", "arm", "localFirstPairing"]));
    assert_snapshot!("policy_11_arm_nothing", said(&home, &["policy", "arm", "everything"]));
    gateway.stop();
    // While it is stopped the owner goes on, from standard input too.
    let mut command = Command::new(BINARY);
    command.args(["policy", "apply", "-", "--json"]).env_clear().env("HOME", home.path());
    command.env("OPENCLAW_STATE_DIR", home.state()).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().expect("it runs");
    child.stdin.take().expect("piped").write_all(DEFAULT_POLICY.as_bytes()).expect("written");
    let output = child.wait_with_output().expect("it ends");
    let told: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!((output.status.code(), &told["stricter"]), (Some(0), &serde_json::json!([])));
    assert!(told["looser"].as_array().is_some_and(|keys| keys.len() == 6), "{told}");
    assert_snapshot!("policy_12_show_while_stopped", {
        let shown = home.run(&["policy", "show", "--json"]);
        let told: Value = serde_json::from_str(&shown.stdout).expect("JSON");
        assert_eq!(told["text"], DEFAULT_POLICY);
        mask(&home, &Ended { stdout: shown.stdout.replace(told["text"].to_string().trim_matches('"'), "<text>"), ..shown })
    });
    let changed = home.records().iter().filter(|record| record.contains("\"event\":\"PolicyChanged\"")).count();
    assert_eq!(changed, 3, "one for each that changed something");
    home.verify_sound();
}

#[test]
fn help_names_what_policy_can() {
    let home = Home::new();
    assert_snapshot!("policy_help", said(&home, &["policy", "--help"]));
    assert_snapshot!("policy_help_apply", said(&home, &["policy", "apply", "--help"]));
}
