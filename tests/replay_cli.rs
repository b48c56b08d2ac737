//! `openclaw replay`, `--at` and `openclaw policy simulate` as a person meets them: real processes on a journal that is the same in
//! every run. One snapshot per command: exit code, standard output, standard error.

#[path = "support/given.rs"]
#[allow(dead_code, unreachable_pub, reason = "shared with the tests of decisions, which use the rest")]
mod given;
#[path = "support/home.rs"]
mod home;

use std::collections::BTreeMap;
use std::fs;

use given::{Visit, World, exec, owner, scopes, visit};
use home::{Ended, Home};
use insta::assert_snapshot;
use openclaw_pairing::journal::{Journal, Lock};
use openclaw_pairing::pairing::{
    Actor, AttemptsSuppressed, Command, DEFAULT_POLICY, Event, JournalId, Millis, Record, Refusal, Role, STRICT_POLICY,
    policy_digest,
};
use openclaw_pairing::state::StateDir;
use openclaw_pairing::views::time_text;
use serde_json::Value;

/// Backend helpers may only read, and nobody is paired without a person.
const NARROW: &str = r#"{
  version: 1,
  localFirstPairing: false,
  localCli: false,
  ceilings: [{ clientId: "cli", role: "operator", scopes: ["operator.read", "operator.pairing"] }],
}
"#;

/// A slip of the pen in its second line.
const BAD: &str = "{ version: 1,\n  localFirstPairing: true }\n";

/// One device is paired by the owner and made narrow, one by a rule and revoked; one comes without a device, one asks in vain.
fn story() -> World {
    let mut world = World::new();
    world.pair(1, "read write");
    world.wait(60);
    world.connect(&visit(1).asks("read write")).admission();
    world.connect(&visit(2).local().asks("read")).admission();
    let desk = Command::Rename { device: given::device(2), label: "desk".to_owned() };
    world.tell(owner(), desk);
    world.connect(&visit(9).keyless().local().asks("admin")).admission();
    world.wait(60);
    let asks = visit(2).asks("write");
    let request = world.connect(&asks).request();
    suppress(&mut world, &asks, 940);
    world.reject(owner(), request);
    world.rotate(exec(), 1, Some("read"));
    world.wait(60);
    world.revoke(owner(), 2);
    world.connect(&visit(3).asks("pairing")).request();
    world
}

/// More of the last refusal, which were only counted.
fn suppress(world: &mut World, visit: &Visit, count: u64) {
    let Some(Record { seq, event: Event::ConnectionRefused(event), .. }) = world.records.last() else { panic!("a refusal") };
    let Refusal::PairingRequired(need) = &event.refusal else { panic!("a request") };
    let event = AttemptsSuppressed {
        like: Some(*seq),
        address: None,
        device: visit.device.map(given::device),
        request: Some(need.request),
        refusal: event.refusal.number(),
        count,
        first: world.now,
        last: world.now,
    };
    world.note(Actor::System, event.into());
}

/// A home with the journal of the story.
fn told() -> (Home, World) {
    let (home, world) = (Home::new(), story());
    StateDir::at(home.state()).prepare().expect("a state directory");
    let mut journal = Journal::create(Lock::acquire(&home.journal()).expect("free"), JournalId([9; 16])).expect("a journal");
    for batch in world.records.chunks(2) {
        journal.append(journal.head(), batch).expect("a batch");
    }
    (home, world)
}

fn mask(home: &Home, ended: &Ended) -> String {
    let part = |name, text: &str| if text.is_empty() { String::new() } else { format!("--- {name}\n{text}") };
    let code = ended.code.expect("an exit code");
    let text = format!("exit {code}\n{}{}", part("stdout", &ended.stdout), part("stderr", &ended.stderr));
    let text = text.replace(&home.path().display().to_string(), "~");
    let text = text.replace(&policy_digest(DEFAULT_POLICY).to_string(), "<digest of the default>");
    let text = text.replace(&policy_digest(STRICT_POLICY).to_string(), "<digest of strict>");
    let text = text.replace(&policy_digest(NARROW).to_string(), "<digest of narrow.json5>");
    // What the registry is digested from grows with it; that the digests are right is held by the properties.
    let rules = [(r#"((?:Pairing|Activity) +|"(?:pairing|activity)": ")[0-9a-f]{64}"#, "$1<digest>")];
    let text = rules
        .iter()
        .fold(text, |text, (from, to)| regex::Regex::new(from).expect("a pattern").replace_all(&text, *to).into_owned());
    (1..=3).fold(text, |text, n| text.replace(&given::device(n).to_string(), &format!("<device {n}>")))
}

fn said(home: &Home, args: &[&str]) -> String {
    mask(home, &home.run(args))
}

fn file(home: &Home, name: &str, text: &str) -> String {
    let path = home.path().join(name);
    fs::write(&path, text).expect("written");
    path.display().to_string()
}

/// Every file of the journal, byte by byte.
fn bytes(home: &Home) -> BTreeMap<String, Vec<u8>> {
    let entries = fs::read_dir(home.journal()).expect("a directory").map(|entry| entry.expect("an entry").path());
    entries.map(|path| (path.display().to_string(), fs::read(&path).expect("readable"))).collect()
}

#[test]
fn a_state_of_then_is_told_as_it_was() {
    let (home, world) = told();
    let before = bytes(&home);
    assert_snapshot!("replay_01_present", said(&home, &["replay"]));
    assert_snapshot!("replay_02_at_a_seq", said(&home, &["replay", "--at", "9"]));
    assert_snapshot!("replay_03_at_a_seq_as_json", said(&home, &["replay", "--at", "9", "--json"]));
    let begun = time_text(world.records[0].at);
    assert_eq!(said(&home, &["replay", "--at", &begun]), said(&home, &["replay", "--until", "5"]), "all of that moment");
    assert_snapshot!("replay_04_between", said(&home, &["replay", "--from", "9", "--to", "17"]));
    assert_snapshot!("replay_05_between_as_json", said(&home, &["replay", "--from", "9", "--to", "10", "--json"]));
    assert_snapshot!("replay_06_since", said(&home, &["replay", "--from", "19"]));
    assert_snapshot!("replay_07_nothing", said(&home, &["replay", "--from", "6", "--to", "6"]));
    assert_snapshot!("replay_08_from_nothing", said(&home, &["replay", "--at", "0"]));
    // The digests are those that were live then.
    let told: Value = serde_json::from_str(&home.run(&["replay", "--json"]).stdout).expect("JSON");
    let (pairing, activity) = world.registry.digest();
    assert_eq!(told["digest"], serde_json::json!({ "pairing": pairing.to_string(), "activity": activity.to_string() }));
    assert!(bytes(&home) == before, "looking writes nothing");
}

#[test]
fn devices_are_listed_and_explained_as_they_were() {
    let (home, world) = told();
    let (one, two) = (given::device(1).to_string(), given::device(2).to_string());
    assert_snapshot!("at_01_list", said(&home, &["devices", "list", "--at", "15"]));
    let told: Value = serde_json::from_str(&home.run(&["devices", "list", "--at", "15", "--json"]).stdout).expect("JSON");
    assert_eq!(told["paired"].as_array().map(Vec::len), Some(2), "{told}");
    assert_snapshot!("at_02_list_earlier", said(&home, &["devices", "list", "--at", "3"]));
    assert_snapshot!("at_03_why", said(&home, &["devices", "why", &two, "--at", "15"]));
    assert_snapshot!("at_04_why_earlier", said(&home, &["devices", "why", &two, "--at", "3"]));
    assert_snapshot!("at_05_why_by_time", said(&home, &["devices", "why", &one, "--at", &time_text(world.records[4].at)]));
    assert_snapshot!("at_06_no_such_seq", said(&home, &["devices", "list", "--at", "999"]));
    let away = ["devices", "list", "--at", "3", "--url", "ws://127.0.0.1:1", "--token", "x"];
    assert_snapshot!("at_07_elsewhere", said(&home, &away));
}

#[test]
fn a_moment_that_never_was_is_named() {
    let (home, _) = told();
    assert_snapshot!("replay_bad_01_no_such_seq", said(&home, &["replay", "--at", "999"]));
    assert_snapshot!("replay_bad_02_too_early", said(&home, &["replay", "--at", "2001-01-01T00:00:00Z"]));
    assert_snapshot!("replay_bad_03_no_moment", said(&home, &["replay", "--at", "yesterday"]));
    assert_snapshot!("replay_bad_04_to_alone", said(&home, &["replay", "--to", "9"]));
    assert_snapshot!("replay_bad_05_both", said(&home, &["replay", "--at", "3", "--from", "2"]));
    assert_snapshot!("replay_bad_06_as_json", said(&home, &["replay", "--from", "2", "--to", "999", "--json"]));
    assert_snapshot!("replay_bad_07_no_journal", said(&Home::new(), &["replay"]));
    assert_snapshot!("replay_help", said(&home, &["replay", "--help"]));
}

#[test]
fn a_policy_is_tried_on_history() {
    let (home, _) = told();
    let (narrow, bad) = (file(&home, "narrow.json5", NARROW), file(&home, "bad.json5", BAD));
    let before = bytes(&home);
    assert_snapshot!("simulate_01_same", said(&home, &["policy", "simulate", "--preset", "default"]));
    assert_snapshot!("simulate_02_narrow", said(&home, &["policy", "simulate", &narrow]));
    let ended = home.run(&["policy", "simulate", &narrow, "--json"]);
    let told: Value = serde_json::from_str(&ended.stdout).expect("JSON");
    let pretty = Ended { stdout: format!("{told:#}\n"), ..ended };
    assert_snapshot!("simulate_03_narrow_as_json", mask(&home, &pretty));
    assert_snapshot!("simulate_04_strict", said(&home, &["policy", "simulate", "--preset", "strict"]));
    // The digest is the one that apply takes.
    let digest = told["digest"].as_str().expect("a digest");
    assert_eq!(home.run(&["policy", "apply", &narrow, "--digest", digest, "--dry-run"]).code, Some(0));
    assert_snapshot!("simulate_bad_01_no_policy", said(&home, &["policy", "simulate", &bad]));
    assert_snapshot!("simulate_bad_02_as_json", said(&home, &["policy", "simulate", &bad, "--json"]));
    assert_snapshot!("simulate_bad_03_nothing", said(&home, &["policy", "simulate"]));
    assert_snapshot!("simulate_bad_04_no_file", said(&home, &["policy", "simulate", "nowhere.json5"]));
    assert_snapshot!("simulate_bad_05_no_journal", said(&Home::new(), &["policy", "simulate", "--preset", "strict"]));
    assert!(bytes(&home) == before, "trying writes nothing");
}

#[test]
fn what_was_counted_counts_as_often_as_it_was() {
    let (home, world) = told();
    let ended = home.run(&["policy", "simulate", "--preset", "strict", "--json"]);
    let told: Value = serde_json::from_str(&ended.stdout).expect("JSON");
    assert_eq!(told["differing"], 2, "one paired by a rule, one let in without a device: {told}");
    // Under a ceiling, all 941 attempts would have been refused for another reason.
    let none = file(&home, "none.json5", r#"{ version: 1, ceilings: [{ role: "operator", scopes: ["operator.read"] }] }"#);
    let told: Value = serde_json::from_str(&home.run(&["policy", "simulate", &none, "--json"]).stdout).expect("JSON");
    let times = |n: u8| -> u64 {
        let of = |one: &&Value| one["deviceId"] == given::device(n).to_string() && one["then"]["outcome"] == "refused";
        let differences = told["differences"].as_array().expect("differences").iter().filter(of);
        differences.map(|one| one["times"].as_u64().expect("a count")).sum()
    };
    assert_eq!((times(2), times(3)), (941, 1), "{told}");
    assert_eq!(world.approved(1), scopes("read write"));
    assert!(world.registry.device(&given::device(2)).is_some_and(|device| !device.has(Role::Operator)));
}

#[test]
fn history_is_read_beside_a_gateway_and_not_where_it_is_damaged() {
    let home = Home::new();
    let gateway = home.start();
    assert_eq!(home.run(&["replay", "--at", "1"]).code, Some(0));
    assert_eq!(home.run(&["policy", "simulate", "--preset", "strict"]).code, Some(0));
    assert_eq!(home.run(&["devices", "list", "--at", "1"]).code, Some(0));
    gateway.stop();
    let mut bytes = fs::read(home.segment()).expect("a segment");
    bytes[150] ^= 1;
    fs::write(home.segment(), bytes).expect("written");
    for args in
        [["replay", "--at", "1"].as_slice(), &["policy", "simulate", "--preset", "strict"], &["devices", "list", "--at", "1"]]
    {
        assert_eq!(home.run(args).code, Some(5), "{args:?}");
    }
}

#[test]
fn time_stands_where_history_does() {
    let (home, world) = told();
    let at = time_text(Millis(world.records[1].at.0 + 90_000));
    let list = home.run(&["devices", "list", "--at", "3"]).stdout;
    assert!(list.contains("just now"), "{list}");
    let told = home.run(&["replay", "--at", &at]);
    assert_eq!(told.code, Some(0), "{told:?}");
}
