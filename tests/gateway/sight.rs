//! What a connection may read of others is no more than a list tells it: in pushes, in the log, in presence.

use serde_json::{Value, json};

use super::client::{ADMIN, Ask, CLI, Device, READ, WRITE, text};
use super::recorded::assert_speaks_like;
use super::running::Running;

#[tokio::test]
async fn x34_requests_are_pushed_to_whoever_may_see_them_and_to_nobody_else() {
    let gateway = Running::start().await;
    let (mut admin, _) = gateway.admit(&Device::new(1).asks(ADMIN)).await;
    let (mut reader, _) = gateway.admit(&Device::new(2).asks(WRITE)).await;
    let (mut node, _) = gateway.admit(&Device::new(3).asks(&[]).role("node")).await;
    let (mut approver, _) = gateway.admit(&Device::new(4).asks(&["operator.pairing", "operator.read"])).await;
    // The first local pairings were pushed to those who were there.
    admin.events.clear();
    admin.get("health", json!({})).await;
    admin.events.clear();

    let named = |params: &mut Value| params["client"]["displayName"] = "Remote One".into();
    let small = gateway.request(&Device::new(5).asks(READ).remote().edit(named)).await;
    let large = gateway.request(&Device::new(6).asks(ADMIN).remote().edit(named)).await;
    gateway.request(&Device::new(6).asks(ADMIN).remote().edit(named)).await;

    let pushed = admin.push("device.pair.requested").await;
    assert_speaks_like("device.pair.requested", &pushed, &[]);
    assert_eq!((&pushed["requestId"], &pushed["scopes"]), (&json!(small), &json!(READ)));
    assert_eq!(admin.push("device.pair.requested").await["requestId"], json!(large));
    assert_eq!(approver.push("device.pair.requested").await["requestId"], json!(small));
    assert_eq!(approver.listed().await.0, std::slice::from_ref(&small), "no more than the list tells");

    for request in [&small, &large] {
        admin.get("device.pair.approve", json!({ "requestId": request })).await;
        let resolved = admin.push("device.pair.resolved").await;
        assert_speaks_like("device.pair.resolved", &resolved, &[]);
        assert_eq!((&resolved["requestId"], &resolved["decision"]), (&json!(request), &json!("approved")));
    }
    assert_eq!(approver.push("device.pair.resolved").await["requestId"], json!(small));
    for other in [&mut reader, &mut node, &mut approver, &mut admin] {
        // A reply comes behind every push there was.
        other.get("health", json!({})).await;
        assert!(other.events.is_empty(), "{:?}", other.events);
    }
}

#[tokio::test]
async fn x34_a_list_shows_each_caller_what_it_may_answer_or_owns() {
    let gateway = Running::start().await;
    let (approver, stranger) = (Device::new(1), Device::new(2));
    let (mut approver_socket, _) = gateway.admit(&approver.asks(&["operator.pairing", "operator.read"])).await;
    let (mut admin, _) = gateway.admit(&Device::new(3).asks(ADMIN)).await;
    let small = gateway.request(&stranger.asks(READ).remote()).await;
    let large = gateway.request(&Device::new(4).asks(WRITE).remote()).await;
    let own = gateway.request(&approver.asks(ADMIN)).await;

    let (mut pending, paired) = approver_socket.listed().await;
    pending.sort();
    let mut visible = vec![small.clone(), own.clone()];
    visible.sort();
    assert_eq!((pending, paired), (visible, vec![approver.id()]));
    let (pending, paired) = admin.listed().await;
    assert_eq!((pending.len(), paired.len()), (3, 2));
    assert!(pending.contains(&large));
    let list = admin.get("device.pair.list", json!({})).await;
    assert_speaks_like("pending entry", &list["pending"][0], &[]);
    assert!(list["paired"].as_array().expect("a list").iter().all(|entry| entry["connected"] == true));
    let unknown = approver_socket.denied("device.pair.approve", json!({ "requestId": large })).await;
    assert_eq!(unknown["message"], "missing scope: operator.write");
}

#[tokio::test]
async fn x34_a_log_tells_a_reader_of_itself_and_of_the_gateway() {
    let gateway = Running::start().await;
    let (reader, other) = (Device::new(1), Device::new(2));
    let (mut socket, _) = gateway.admit(&reader.asks(READ)).await;
    let mut cursor = 0;
    gateway.admit(&other.asks(ADMIN)).await;
    gateway.request(&Device::new(3).asks(READ).remote()).await;
    gateway.refuse(&Ask::new(READ).auth(json!({ "token": "wrong" })).header("x-forwarded-for", "203.0.113.9")).await;
    gateway.request(&reader.asks(WRITE)).await;
    gateway.owner("device.token.rotate", json!({ "deviceId": other.id(), "role": "operator" })).await.expect("rotated");

    let mut seen = vec![];
    for params in [json!({}), json!({ "cursor": 0 })] {
        let tail = socket.get("logs.tail", params).await;
        seen = tail["lines"].as_array().expect("lines").iter().map(|line| text(line).to_owned()).collect::<Vec<_>>();
        let all = seen.join("\n");
        for hidden in [other.id(), Device::new(3).id(), "203.0.113.9".to_owned()] {
            assert!(!all.contains(&hidden), "{hidden} in {all}");
        }
        assert!(all.contains(&reader.id()) && all.contains("scope-upgrade") && all.contains("started"), "{all}");
        assert_eq!((&tail["cursor"], &tail["truncated"]), (&tail["size"], &json!(false)));
    }
    // Line by line, what is left out is passed over and the reader gets on.
    let mut steps = vec![];
    loop {
        let tail = socket.get("logs.tail", json!({ "cursor": cursor, "limit": 1 })).await;
        if tail["cursor"] == cursor {
            break;
        }
        cursor = tail["cursor"].as_u64().expect("a number");
        steps.extend(tail["lines"].as_array().expect("lines").iter().map(|line| text(line).to_owned()));
    }
    assert_eq!(steps, seen);
    let (mut admin, _) = gateway.admit(&Ask::new(CLI)).await;
    let tail = admin.get("logs.tail", json!({})).await;
    assert!(tail.to_string().contains(&Device::new(3).id()), "whoever may do all may read all");
}

#[tokio::test]
async fn x34_presence_shows_a_reader_itself_and_whoever_has_no_device() {
    let gateway = Running::start().await;
    let (reader, other) = (Device::new(1), Device::new(2));
    let (_other, _) = gateway.admit(&other.asks(ADMIN).client("test", "test")).await;
    let (_backend, _) = gateway.admit(&Ask::new(READ).client("gateway-client", "backend")).await;
    let (mut socket, hello) = gateway.admit(&reader.asks(READ).client("gateway-client", "ui")).await;
    let entries = |list: &Value| {
        let list = list.as_array().expect("a list").iter();
        let mut ids: Vec<_> = list.map(|entry| entry.get("deviceId").map(|id| text(id).to_owned())).collect();
        ids.sort();
        ids
    };
    let own = [None, Some(reader.id())];
    assert_eq!(entries(&hello["snapshot"]["presence"]), own);
    let presence = socket.get("system-presence", json!({})).await;
    assert_eq!(entries(&presence), own);
    let entry = presence.as_array().expect("a list").iter().find(|entry| entry.get("deviceId").is_some()).expect("its own");
    assert_speaks_like("presence entry", entry, &[]);
    let (mut admin, _) = gateway.admit(&Ask::new(CLI)).await;
    assert_eq!(admin.get("system-presence", json!({})).await.as_array().map(Vec::len), Some(3), "a CLI is not shown");
}

/// The devices and the hosts of a list of presence, and how often it had changed.
fn shown(push: &Value) -> Vec<String> {
    let list = push["payload"]["presence"].as_array().expect("a list").iter();
    let mut names: Vec<_> = list.map(|entry| entry.get("deviceId").unwrap_or(&entry["host"]).to_string()).collect();
    names.sort();
    names
}

#[tokio::test]
async fn x34_presence_is_pushed_to_those_for_whom_it_changed_and_to_nobody_else() {
    let gateway = Running::start().await;
    let (reader, other) = (Device::new(1), Device::new(2));
    let (mut admin, _) = gateway.admit(&Device::new(3).asks(ADMIN)).await;
    let (mut watching, _) = gateway.admit(&reader.asks(READ)).await;
    let (mut blind, hello) = gateway.admit(&Device::new(4).asks(&["operator.pairing"])).await;
    assert_eq!(hello["snapshot"]["presence"], json!([]));
    let (mut node, _) = gateway.admit(&Device::new(5).asks(&[]).client("node-host", "node").role("node")).await;
    let of_node = json!(Device::new(5).id()).to_string();

    assert_eq!(shown(&admin.presence().await), [of_node.as_str()]);
    let (second, _) = gateway.admit(&reader.asks(READ).client("gateway-client", "ui").four()).await;
    let own = json!(reader.id()).to_string();
    assert_eq!(shown(&watching.presence().await), [own.as_str()], "its own device's other connection");
    let both = |mut names: Vec<String>| {
        names.sort();
        names
    };
    assert_eq!(shown(&admin.presence().await), both(vec![own.clone(), of_node.clone()]));
    let named = |params: &mut Value| params["client"]["displayName"] = "Backend".into();
    let (_backend, _) = gateway.admit(&Ask::new(READ).client("gateway-client", "backend").edit(named)).await;
    let pushed = watching.presence().await;
    assert_eq!(shown(&pushed), both(vec![own.clone(), r#""Backend""#.to_owned()]));
    assert!(pushed["seq"].is_u64() && pushed["stateVersion"]["presence"].is_u64() && pushed["stateVersion"]["health"].is_u64());
    // Another device's is nothing to it; and what goes is told like what comes.
    let (_other, _) = gateway.admit(&other.asks(READ).client("test", "test")).await;
    drop(second);
    assert_eq!(shown(&watching.presence().await), [r#""Backend""#]);
    assert_eq!(watching.presence_so_far().await, Vec::<Value>::new());
    assert_eq!(blind.presence_so_far().await, Vec::<Value>::new(), "it may not look");
    assert_eq!(node.presence_so_far().await, Vec::<Value>::new(), "nor may a node");
    let status = admin.get("system-presence", json!({})).await;
    assert_eq!(status.as_array().map(Vec::len), Some(3));
}

#[tokio::test]
async fn who_comes_with_many_others_is_told_of_once() {
    let gateway = Running::start().await;
    let (mut admin, _) = gateway.admit(&Device::new(1).asks(ADMIN)).await;
    let mut crowd = vec![];
    for seed in 10..30 {
        crowd.push(gateway.admit(&Device::new(seed).asks(READ).client("test", "test")).await);
    }
    let mut pushes = 0;
    loop {
        pushes += 1;
        if shown(&admin.presence().await).len() == crowd.len() {
            break;
        }
    }
    assert!(pushes < crowd.len() / 2, "{pushes} pushes");
}

/// A method, params that make it tell as much as it can, and the scopes beside `operator.admin` that it answers.
enum Row {
    /// It only tells.
    Tells(fn(&Others) -> Value, &'static [&'static str]),
    /// It acts, and tells no more than what came of that.
    Acts,
}

/// Those of whom nobody but an admin should hear.
struct Others {
    device: String,
    request: String,
    /// The record that paired them.
    approval: u64,
}

const TABLE: &[(&str, Row)] = &[
    ("health", Row::Tells(|_| json!({}), &["operator.read", "operator.pairing", "operator.approvals", "node"])),
    ("status", Row::Tells(|_| json!({}), &["operator.read"])),
    ("system-presence", Row::Tells(|_| json!({}), &["operator.read"])),
    ("logs.tail", Row::Tells(|_| json!({ "limit": 5_000, "maxBytes": 1_000_000 }), &["operator.read"])),
    ("audit.events", Row::Tells(|_| json!({}), &["operator.read"])),
    ("audit.warrants", Row::Tells(|others| json!({ "deviceId": others.device }), &[])),
    ("device.pair.list", Row::Tells(|_| json!({}), &["operator.pairing"])),
    ("device.pair.why", Row::Tells(|others| json!({ "about": others.device }), &[])),
    ("node.list", Row::Tells(|_| json!({}), &["operator.read"])),
    ("node.describe", Row::Tells(|others| json!({ "nodeId": others.device }), &[])),
    ("node.pair.list", Row::Tells(|_| json!({}), &["operator.pairing"])),
    ("owner.acts", Row::Tells(|_| json!({}), &[])),
    ("policy.show", Row::Tells(|_| json!({}), &[])),
    ("policy.check", Row::Tells(|_| json!({ "policy": "{ version: 1 }" }), &[])),
    ("policy.simulate", Row::Tells(|_| json!({ "text": "{ version: 1, ceilings: [{ scopes: [] }] }" }), &[])),
    ("device.pair.setupStatus", Row::Tells(|others| json!({ "codeId": others.request }), &[])),
    ("device.pair.setupCodes", Row::Tells(|_| json!({}), &[])),
    ("device.scopes.waitUpgrade", Row::Tells(|others| json!({ "requestId": others.request }), &[])),
    ("device.pair.approve", Row::Acts),
    ("device.pair.reject", Row::Acts),
    ("device.pair.rejectFrom", Row::Acts),
    ("device.pair.remove", Row::Acts),
    ("device.pair.rename", Row::Acts),
    ("device.pair.setupCode", Row::Acts),
    ("device.pair.revokeSetupCode", Row::Acts),
    ("device.import", Row::Acts),
    ("device.token.rotate", Row::Acts),
    ("device.token.revoke", Row::Acts),
    ("device.scopes.requestUpgrade", Row::Acts),
    ("node.pair.approve", Row::Acts),
    ("node.pair.reject", Row::Acts),
    ("node.pair.remove", Row::Acts),
    ("node.rename", Row::Acts),
    ("owner.seen", Row::Acts),
    ("owner.succeed", Row::Acts),
    ("owner.settle", Row::Acts),
    ("journal.undo", Row::Tells(|others| json!({ "seq": others.approval, "dryRun": true }), &[])),
    ("journal.verify", Row::Tells(|_| json!({}), &[])),
    ("policy.apply", Row::Acts),
    ("policy.arm", Row::Acts),
];

/// A method that has no row here is one of which nobody has thought.
#[tokio::test]
async fn x34_whatever_is_asked_tells_of_others_no_more_than_a_list_does() {
    let gateway = Running::with(json!({ "auth": { "token": super::client::SECRET }, "trustedProxies": ["127.0.0.1"] })).await;
    // An admin that is not here, with a name, a label and an address; and one that waits.
    let named = |params: &mut Value| params["client"]["displayName"] = "their-name".into();
    let afar = |seed: u8| {
        Device::new(seed).asks(ADMIN).client("gateway-client", "ui").header("x-forwarded-for", "203.0.113.77").edit(named)
    };
    let request = gateway.request(&afar(1)).await;
    gateway.owner("device.pair.approve", json!({ "requestId": request })).await.expect("approved");
    gateway.owner("device.pair.rename", json!({ "deviceId": Device::new(1).id(), "label": "their-label" })).await.expect("named");
    let (_their_socket, _) = gateway.admit(&afar(1)).await;
    let waiting = gateway.request(&afar(2)).await;
    let approval = super::undo::last(&gateway, "PairingApproved");
    let others = Others { device: Device::new(1).id(), request: waiting.clone(), approval };
    let secrets =
        [Device::new(1).id(), Device::new(2).id(), waiting, "203.0.113.77".into(), "their-name".into(), "their-label".into()];

    let (mut admin, hello) = gateway.admit(&Device::new(3).asks(ADMIN)).await;
    let methods: Vec<_> = hello["features"]["methods"].as_array().expect("methods").iter().map(text).map(str::to_owned).collect();
    for method in &methods {
        assert!(TABLE.iter().any(|(name, _)| name == method), "{method} has no row: say what it tells to whom");
    }
    let callers: [(&str, &[&str], &str); 5] = [
        ("operator.read", READ, "operator"),
        ("operator.write", WRITE, "operator"),
        ("operator.pairing", super::client::PAIRING, "operator"),
        ("operator.approvals", &["operator.approvals"], "operator"),
        ("node", &[], "node"),
    ];
    for (seed, (caller, scopes, role)) in (10..).zip(callers) {
        let (mut socket, hello) = gateway.admit(&Device::new(seed).asks(scopes).role(role)).await;
        let told = hello.to_string();
        assert!(secrets.iter().all(|secret| !told.contains(secret)), "{caller} at once: {told}");
        for (method, row) in TABLE.iter().filter(|(method, _)| methods.iter().any(|served| served == method)) {
            let Row::Tells(params, may) = row else { continue };
            // So many refusals on end would end the connection.
            socket.get("health", json!({})).await;
            let answer = socket.call(method, params(&others)).await;
            // Who may write may read.
            let is_let = may.contains(&caller) || caller == "operator.write" && may.contains(&"operator.read");
            assert!(is_let || answer.is_err(), "{method} answers {caller}: {answer:?}");
            let told = answer.unwrap_or_else(|error| error).to_string();
            // What was asked after is no news.
            let asked = params(&others).to_string();
            let news = secrets.iter().find(|secret| told.contains(*secret) && !asked.contains(*secret));
            assert_eq!(news, None, "{method} tells {caller}: {told}");
            // Who is told no too often in a row is closed.
            socket.get("health", json!({})).await;
        }
        // What comes by itself comes before this answer.
        socket.get("health", json!({})).await;
        let pushed = json!(socket.events).to_string();
        assert!(secrets.iter().all(|secret| !pushed.contains(secret)), "{caller} is pushed {pushed}");
    }
    // There was something to be told.
    for (method, secret) in [
        ("device.pair.list", 0),
        ("device.pair.list", 1),
        ("logs.tail", 3),
        ("audit.events", 1),
        ("system-presence", 0),
        ("owner.acts", 5),
        ("policy.simulate", 0),
        ("journal.undo", 0),
    ] {
        let row = TABLE.iter().find(|(name, _)| *name == method).map(|(_, row)| row);
        let Some(Row::Tells(params, _)) = row else { panic!("{method} tells") };
        let told = admin.get(method, params(&others)).await.to_string();
        assert!(told.contains(&secrets[secret]), "{method}: {told}");
    }
}

/// A reader is told how it came to what it holds, but not by which other device, nor what that one rests on.
#[tokio::test]
async fn x34_a_warrant_names_another_device_to_nobody_but_who_may_see_it() {
    let gateway = Running::start().await;
    let (reader, approver) = (Device::new(1), Device::new(2));
    let (mut admin, _) = gateway.admit(&approver.asks(ADMIN)).await;
    let request = gateway.request(&reader.asks(READ).remote()).await;
    admin.get("device.pair.approve", json!({ "requestId": request })).await;
    let (mut socket, _) = gateway.admit(&reader.asks(READ).remote()).await;

    let asked = json!({ "deviceId": reader.id() });
    let told = socket.get("audit.warrants", asked.clone()).await;
    let warrant = &told["holds"][0]["warrant"];
    assert!(text(&warrant["message"]).starts_with("approved by another device at "), "{told}");
    assert_eq!((&warrant["request"], &warrant["root"], warrant.get("authority")), (&json!(request), &json!("policy"), None));
    assert!(!told.to_string().contains(&approver.id()) && warrant.get("actor").is_none(), "{told}");
    let own = socket.get("audit.events", json!({ "about": reader.id() })).await;
    let names: Vec<_> = own["events"].as_array().expect("events").iter().map(|event| text(&event["event"])).collect();
    assert_eq!(names, ["PairingRequested", "ConnectionRefused", "PairingApproved", "TokenIssued", "ConnectionAdmitted"]);
    let detailed = own["events"].as_array().expect("events").iter().find(|event| event.get("fields").is_some());
    assert_eq!(detailed, None, "no more than a log tells");
    let of_another = socket.denied("audit.warrants", json!({ "deviceId": approver.id() })).await;
    assert_eq!(of_another["message"], "unknown deviceId");
    assert_eq!(socket.get("audit.events", json!({ "about": approver.id() })).await["events"], json!([]));

    let told = admin.get("audit.warrants", asked).await;
    let warrant = &told["holds"][0]["warrant"];
    assert_eq!(warrant["actor"]["device"], json!(approver.id()), "{told}");
    assert_eq!(
        (&warrant["authority"]["act"], &warrant["authority"]["authority"]["act"]),
        (&json!("first pairing"), &json!("first policy"))
    );
}

/// How much of an address is kept is the owner's to say. Nothing is decided otherwise for it, and nothing else is written down.
#[tokio::test]
async fn x35_an_address_is_recorded_as_far_as_is_wanted_and_decided_on_as_that() {
    const THEIRS: &str = "203.0.113.77";
    for (detail, kept) in [("full", Some(THEIRS)), ("prefix", Some("203.0.113.0")), ("none", None)] {
        let scratch = tempfile::tempdir().expect("a scratch directory");
        let settings = json!({ "auth": { "token": super::client::SECRET }, "trustedProxies": ["127.0.0.1"] });
        let stopped = super::running::Stopped::at(&scratch.path().join("state"), settings);
        std::fs::write(stopped.state.own_settings(), format!("{{ journal: {{ addresses: '{detail}' }} }}")).expect("written");
        let gateway = stopped.start().await;
        let ask = |seed: u8| Device::new(seed).asks(READ).header("x-forwarded-for", THEIRS).header("user-agent", "their-agent/1");
        gateway.refuse(&ask(1).auth(json!({}))).await;
        gateway.refuse(&ask(1).auth(json!({ "token": "wrong" }))).await;
        let request = gateway.request(&ask(1)).await;
        gateway.owner("device.pair.approve", json!({ "requestId": request })).await.expect("approved");
        gateway.admit(&ask(1)).await;
        // Loopback stays what it is, or nobody would be local.
        gateway.admit(&Device::new(2).asks(READ)).await;
        let list = gateway.owner("device.pair.list", json!({})).await.expect("a list");
        let shown = list["paired"].as_array().expect("a list").iter().find_map(|entry| entry["remoteIp"].as_str());
        assert_eq!(shown, kept, "{detail}");
        // Wrong guesses are counted by who makes them all the same.
        for _ in 0..openclaw_pairing::limits::FAILURE_PER_ADDRESS.default {
            gateway.refuse(&ask(3).auth(json!({ "token": "wrong" }))).await;
        }
        let spent = gateway.refuse(&ask(3)).await;
        assert_eq!(spent.error["details"]["code"], "AUTH_RATE_LIMITED", "{detail}");
        let neighbour = Device::new(4).asks(READ).header("x-forwarded-for", "203.0.113.78");
        gateway.request(&neighbour).await;
        let log = gateway.log().await;
        let state = gateway.stop().await.state;
        let written = |text: &str| -> Vec<String> {
            let mut found: Vec<_> = log.iter().filter(|(_, line)| line.contains(text)).map(|(_, line)| line.clone()).collect();
            for record in super::running::records(&state) {
                let line = openclaw_pairing::wire::record::record(&record).to_string();
                found.extend(line.contains(text).then_some(line));
            }
            for name in ["paired.json", "pending.json"] {
                let copy = std::fs::read_to_string(state.devices().join(name)).expect("a copy");
                found.extend(copy.contains(text).then(|| name.to_owned()));
            }
            found
        };
        assert_eq!(written(THEIRS).is_empty(), kept != Some(THEIRS), "{detail}: {:#?}", written(THEIRS));
        assert_eq!(written("203.0.113.").is_empty(), kept.is_none(), "{detail}");
        assert_eq!(written("their-agent"), [] as [&str; 0]);
        assert!(log.iter().any(|(_, line)| line.contains("started, ") && line.contains("addresses=")) == (detail != "full"));
    }
}
