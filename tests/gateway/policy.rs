//! The policy over real sockets: who may change it which way, that a bad one changes nothing, and what one that this version cannot
//! read does.

use openclaw_pairing::host::Host as _;
use openclaw_pairing::journal::{Journal, Lock};
use openclaw_pairing::limits;
use openclaw_pairing::pairing::{
    Actor, DEFAULT_POLICY, Event, JournalCreated, JournalId, PolicyChanged, Record, STRICT_POLICY, Seq, policy_digest,
};
use serde_json::{Value, json};

use super::client::{ADMIN, Ask, CLI, Device, Heard, READ, SECRET, Socket, text};
use super::running::{Running, Stopped};

fn document(keys: &str) -> String {
    format!("{{ version: 1, {keys} }}")
}

async fn paired(gateway: &Running, seed: u8, scopes: &[&str]) -> Socket {
    let device = Device::new(seed);
    let request = gateway.request(&device.asks(scopes).remote()).await;
    gateway.owner("device.pair.approve", json!({ "requestId": request })).await.expect("approved");
    gateway.admit(&device.asks(scopes).remote()).await.0
}

/// A gateway on a journal with these policies, the first of which it began with.
async fn after(policies: &[&str]) -> Running {
    let scratch = tempfile::tempdir().expect("a scratch directory");
    let stopped = Stopped::at(&scratch.keep(), json!({ "auth": { "token": SECRET } }));
    let lock = Lock::acquire(&stopped.state.journal()).expect("free");
    let mut journal = Journal::create(lock, JournalId([9; 16])).expect("a journal");
    let event = |n: usize, policy: &str| -> Event {
        let policy = policy.to_owned();
        if n == 0 { JournalCreated { journal: JournalId([9; 16]), policy }.into() } else { PolicyChanged { policy }.into() }
    };
    let at = stopped.host.wall();
    let record = |(n, policy): (usize, &&str)| {
        let seq = Seq(u64::try_from(n).expect("few") + 1);
        Record { seq, at, actor: Actor::System, event: event(n, policy) }
    };
    let records: Vec<_> = policies.iter().enumerate().map(record).collect();
    journal.append(journal.head(), &records).expect("written");
    drop(journal);
    stopped.start().await
}

async fn in_force(gateway: &Running) -> String {
    text(&gateway.owner("policy.show", json!({})).await.expect("shown")["text"]).to_owned()
}

fn changes(gateway: &Running) -> usize {
    gateway.records().iter().filter(|record| matches!(record.event, Event::PolicyChanged(_))).count()
}

/// Whether this connection may do everything.
async fn is_admin(socket: &mut Socket) -> bool {
    socket.call("policy.show", json!({})).await.is_ok()
}

/// One edit of each key, the stricter one first.
const EDITS: [(&str, &str, &str); 13] = [
    ("localFirstPairing: false", "", "localFirstPairing"),
    ("localFirstPairing: { roles: ['node'], scopes: 'asked' }", "", "localFirstPairing"),
    ("", "localPeer: 'loopback'", "localPeer"),
    ("restAfterRemoval: true", "", "restAfterRemoval"),
    ("", "ownerActsFromExec: true", "ownerActsFromExec"),
    ("", "localUpgrade: { scopes: ['operator.read'] }", "localUpgrade"),
    ("", "trustedNodeCidrs: ['10.0.0.0/8']", "trustedNodeCidrs"),
    ("localCli: { scopes: [] }", "", "localCli"),
    ("localBackend: false", "localBackend: { scopes: ['operator.read'] }", "localBackend"),
    ("ceilings: [{ scopes: ['operator.admin'] }]", "", "ceilings"),
    ("nodeCommands: { linux: ['system.run'] }", "", "nodeCommands"),
    ("metadata: 'exact', signatures: ['v3']", "", "metadata, signatures"),
    ("requestTtl: '2m', budgets: { pending: { total: 9 } }", "", "requestTtl, budgets"),
];

#[tokio::test]
async fn x40_over_the_network_a_policy_only_gets_stricter() {
    let gateway = Running::start().await;
    let mut admin = paired(&gateway, 1, CLI).await;
    let mut other = paired(&gateway, 2, &CLI[1..]).await;
    let mut count = 0;
    for (strict, loose, keys) in EDITS {
        let (strict, loose) = (document(strict), document(loose));
        gateway.owner("policy.apply", json!({ "text": loose })).await.expect("the owner may");
        assert_eq!(admin.get("policy.check", json!({ "text": strict })).await["looser"], json!([]));
        assert_eq!(admin.get("policy.apply", json!({ "text": strict })).await["digest"], policy_digest(&strict).to_string());
        let checked = admin.get("policy.check", json!({ "text": loose })).await;
        let named: Vec<_> = keys.split(", ").collect();
        assert_eq!((&checked["looser"], &checked["stricter"]), (&json!(named), &json!([])), "{keys}");
        let denied = admin.denied("policy.apply", json!({ "text": loose })).await;
        assert_eq!((&denied["code"], &denied["details"]["code"]), (&json!("INVALID_REQUEST"), &json!("POLICY_LOOSENS")));
        assert_eq!(denied["details"]["keys"], json!(named), "{denied}");
        assert!(text(&denied["message"]).contains("openclaw policy apply"), "{denied}");
        assert_eq!(in_force(&gateway).await, strict);
        let told = gateway.owner("policy.apply", json!({ "text": loose })).await.expect("the owner may");
        assert_eq!(told["looser"], json!(named));
        count += 2;
    }
    // Neither without admin, nor without a device, may anybody look or touch.
    let (mut secret, _) = gateway.admit(&Ask::new(CLI).remote()).await;
    for (method, params) in [
        ("policy.show", json!({})),
        ("policy.check", json!({ "text": STRICT_POLICY })),
        ("policy.simulate", json!({ "text": STRICT_POLICY })),
        ("policy.apply", json!({ "text": STRICT_POLICY })),
        ("policy.arm", json!({ "rule": "localFirstPairing" })),
    ] {
        for socket in [&mut other, &mut secret] {
            let denied = socket.denied(method, params.clone()).await;
            assert_eq!(denied["message"], "missing scope: operator.admin", "{method}");
        }
    }
    let denied = admin.denied("policy.arm", json!({ "rule": "localFirstPairing" })).await;
    assert_eq!(denied["details"]["keys"], json!(["localFirstPairing"]));
    assert!(changes(&gateway) >= count, "each apply is on record");
}

#[tokio::test]
async fn x18_strict_closes_all_local_doors_of_a_gateway_that_runs() {
    let gateway = Running::start().await;
    let doors = || {
        [
            ("a new device", Device::new(1).asks(CLI)),
            ("a new node", Device::new(2).asks(&[]).client("node-host", "node").role("node")),
            ("the CLI", Ask::new(CLI)),
            ("a backend", Ask::new(CLI).client("gateway-client", "backend")),
            ("a backend with a device", Device::new(3).asks(CLI).client("gateway-client", "backend")),
        ]
    };
    for (n, (door, ask)) in doors().into_iter().enumerate() {
        let (mut socket, _) = gateway.admit(&ask).await;
        assert_eq!(is_admin(&mut socket).await, n != 1, "{door}");
    }
    gateway.owner("device.pair.remove", json!({ "deviceId": Device::new(1).id() })).await.expect("removed");
    gateway.owner("device.pair.remove", json!({ "deviceId": Device::new(2).id() })).await.expect("removed");
    gateway.owner("policy.apply", json!({ "text": STRICT_POLICY })).await.expect("applied");
    let status = gateway.owner("status", json!({})).await.expect("a status");
    assert_eq!(status["policy"]["withoutPerson"], json!([]));
    for (door, ask) in doors() {
        let tried = gateway.connect(&ask).await;
        if matches!(&tried.heard, Heard::Frame(frame) if frame["ok"] == true) {
            let (mut socket, _) = tried.admitted().await;
            assert!(!is_admin(&mut socket).await && socket.call("status", json!({})).await.is_err(), "{door}");
        } else {
            assert_eq!(tried.refused().await.error["code"], "NOT_PAIRED", "{door}");
        }
    }
    // New keys are no way round.
    for (n, ask) in [Device::new(11).asks(CLI), Device::new(12).asks(READ)].into_iter().enumerate() {
        gateway.request(&ask).await;
        assert_eq!(gateway.owner("device.pair.list", json!({})).await.expect("a list")["paired"], json!([]), "{n}");
    }
}

#[tokio::test]
async fn x20_a_resting_rule_is_in_status_until_the_owner_arms_it() {
    let gateway = after(&["{ version: 1, restAfterRemoval: true }"]).await;
    gateway.admit(&Device::new(1).asks(CLI)).await;
    gateway.owner("device.pair.remove", json!({ "deviceId": Device::new(1).id() })).await.expect("removed");
    let refused = gateway.refuse(&Device::new(2).asks(CLI)).await;
    assert!(text(&refused.error["message"]).contains("openclaw policy arm localFirstPairing"), "{refused:?}");
    let resting = gateway.owner("status", json!({})).await.expect("a status")["policy"]["resting"].clone();
    assert_eq!((&resting[0]["rule"], &resting[0]["deviceId"]), (&json!("localFirstPairing"), &json!(Device::new(1).id())));
    let armed = gateway.owner("policy.arm", json!({ "rule": "localFirstPairing" })).await.expect("armed");
    assert_eq!(armed, json!({ "rule": "localFirstPairing", "rested": true }));
    assert_eq!(gateway.owner("status", json!({})).await.expect("a status")["policy"]["resting"], json!([]));
    gateway.admit(&Device::new(3).asks(CLI)).await;
    for rule in ["localCli", "paired", "x"] {
        gateway.owner("policy.arm", json!({ "rule": rule })).await.expect_err(rule);
    }
}

#[tokio::test]
async fn a_bad_policy_changes_nothing_and_takes_nobody_down() {
    let gateway = Running::start().await;
    let mut admin = paired(&gateway, 1, ADMIN).await;
    let bad = ["", "{", "{ version: 1, localCli: true }", "\u{202e}", "{ version: 9 }", "[[[[", "{ version: 1, x: 1 }"];
    let bad = bad.iter().map(|text| (*text).to_owned());
    for text in bad.chain([" ".repeat(limits::POLICY_BYTES + 1), "[".repeat(60_000), "x".repeat(60_000)]) {
        let told = gateway.owner("policy.apply", json!({ "text": text })).await.expect_err("no policy");
        assert_eq!(told["details"]["code"], "POLICY_MALFORMED", "{told}");
        assert_eq!(admin.denied("policy.apply", json!({ "text": text })).await["details"], told["details"]);
        let checked = admin.denied("policy.check", json!({ "text": text })).await;
        assert_eq!(checked["details"], told["details"]);
        assert_eq!(admin.denied("policy.simulate", json!({ "text": text })).await, checked);
    }
    let told = admin.denied("policy.check", json!({ "text": "{\n version: 1,\n budgets: { socket: { total: 0 } } }" })).await;
    let (line, column, key) = (&told["details"]["line"], &told["details"]["column"], &told["details"]["key"]);
    assert_eq!((line, column, key), (&json!(3), &json!(30), &json!("budgets.socket.total")), "{told}");
    assert_eq!((in_force(&gateway).await, changes(&gateway)), (DEFAULT_POLICY.to_owned(), 0));
    gateway.admit(&Device::new(2).asks(CLI)).await;
    let refused = gateway.records().iter().filter(|record| matches!(record.event, Event::CommandRefused(_))).count();
    assert_eq!(refused, 20, "each is on record");
}

#[tokio::test]
async fn a_policy_is_tried_on_all_that_is_on_record_and_changes_nothing() {
    let gateway = Running::start().await;
    let mut admin = paired(&gateway, 1, ADMIN).await;
    let mut by_cli = vec![];
    for _ in 0..limits::SIMULATED_TOLD + 3 {
        by_cli.push(gateway.admit(&Ask::new(CLI)).await);
    }
    let records = gateway.records();
    let head = json!(records.len());
    let same = admin.get("policy.simulate", json!({ "text": DEFAULT_POLICY })).await;
    assert_eq!((&same["from"], &same["until"], &same["differing"], &same["left"]), (&json!(1), &head, &json!(0), &json!(0)));
    assert_eq!((&same["differences"], &same["digest"]), (&json!([]), &json!(policy_digest(DEFAULT_POLICY).to_string())));

    let told = admin.get("policy.simulate", json!({ "text": STRICT_POLICY })).await;
    let seqs: Vec<_> = told["differences"].as_array().expect("differences").iter().map(|one| one["seq"].as_u64()).collect();
    assert_eq!((seqs.len(), seqs.first()), (limits::SIMULATED_TOLD, Some(&head.as_u64())));
    assert!(seqs.is_sorted_by(|one, next| one > next), "the newest first: {seqs:?}");
    assert_eq!((&told["differing"], &told["left"], &told["otherDevices"]), (&json!(by_cli.len()), &json!(3), &json!(0)));
    assert_eq!(told["byClient"], json!([{ "clientId": "cli", "refused": 0, "notRefused": 0, "otherwise": by_cli.len() }]));
    let newest = &told["differences"][0];
    assert_eq!((&newest["then"]["rule"], &newest["now"]["rule"]), (&json!("localCli"), &json!("sharedSecret")), "{newest}");
    assert_eq!((gateway.records(), in_force(&gateway).await), (records, DEFAULT_POLICY.to_owned()));
}

/// The largest policy goes through the owner channel, whatever its characters are escaped as.
#[tokio::test]
async fn x41_what_was_checked_is_what_is_applied() {
    let gateway = Running::start().await;
    let mut large = document("/* */ metadata: 'exact'");
    let rest = limits::POLICY_BYTES - large.len();
    large.insert_str(large.find("*/").expect("a comment"), &"\"\\\n\t".repeat(rest / 4 + 1)[..rest]);
    assert_eq!(large.len(), limits::POLICY_BYTES);
    let checked = gateway.owner("policy.check", json!({ "text": large })).await.expect("a policy");
    assert_eq!(checked["changes"][0]["key"], "metadata");
    let swapped = large.replace("exact", "family");
    let denied =
        gateway.owner("policy.apply", json!({ "text": swapped, "digest": checked["digest"] })).await.expect_err("swapped");
    assert_eq!(denied["details"]["code"], "POLICY_DIGEST_MISMATCH");
    gateway.owner("policy.apply", json!({ "text": large, "digest": "x" })).await.expect_err("no digest");
    assert_eq!(changes(&gateway), 0);
    let told = gateway.owner("policy.apply", json!({ "text": large, "digest": checked["digest"] })).await.expect("applied");
    assert!(told["appliedSeq"].is_u64(), "{told}");
    let again = gateway.owner("policy.apply", json!({ "text": large })).await.expect("in force");
    assert_eq!((&again["appliedSeq"], changes(&gateway)), (&Value::Null, 1));
}

/// A journal that a later version wrote: a person is asked for everything, and the owner can read and replace the policy.
#[tokio::test]
async fn a_policy_on_record_that_cannot_be_read_fails_closed() {
    for policies in [&["{ version: 2 }"][..], &[DEFAULT_POLICY, "{ version: 1, tomorrow: true }"], &[DEFAULT_POLICY, ""]] {
        let gateway = after(policies).await;
        gateway.request(&Device::new(1).asks(CLI)).await;
        let (mut socket, _) = gateway.admit(&Ask::new(CLI)).await;
        assert!(!is_admin(&mut socket).await && socket.call("status", json!({})).await.is_err());
        let shown = gateway.owner("policy.show", json!({})).await.expect("shown");
        assert_eq!(shown["text"], json!(policies.last()));
        assert!(shown["unreadable"].is_string(), "{shown}");
        assert_eq!(gateway.owner("status", json!({})).await.expect("a status")["policy"]["unreadable"], true);
        gateway.owner("policy.apply", json!({ "text": DEFAULT_POLICY })).await.expect("applied");
        gateway.admit(&Device::new(1).asks(CLI)).await;
        // And so after a start.
        let gateway = gateway.stop().await.start().await;
        assert_eq!(in_force(&gateway).await, DEFAULT_POLICY);
        std::fs::remove_dir_all(gateway.stop().await.state.root()).expect("removed");
    }
}
