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
