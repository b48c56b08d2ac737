//! Nodes on the wire: the same requests and devices under the names that clients of nodes know, and what a node may offer.

use serde_json::{Value, json};

use super::client::{ADMIN, Ask, Device, PAIRING, READ, Socket, WRITE, text};
use super::running::Running;

/// A node that declares these commands.
fn node(device: &Device, commands: &'static [&'static str]) -> Ask {
    let declares = move |params: &mut Value| {
        params["caps"] = json!(["system"]);
        params["commands"] = json!(commands);
        params["client"]["displayName"] = "Bench".into();
    };
    device.asks(&[]).client("node-host", "node").role("node").edit(declares)
}

async fn nodes(socket: &mut Socket) -> Vec<Value> {
    let list = socket.get("node.list", json!({})).await;
    assert!(list["ts"].is_u64(), "{list}");
    list["nodes"].as_array().expect("a list").clone()
}

#[tokio::test]
async fn s27_an_approval_is_seen_at_the_node_that_is_connected() {
    let gateway = Running::start().await;
    let phone = Device::new(1);
    let (mut admin, _) = gateway.admit(&Device::new(9).asks(ADMIN)).await;
    // Paired by rule with what it declared then.
    gateway.admit(&node(&phone, &["system.run"])).await;
    for protocol in [Ask::clone as fn(&Ask) -> Ask, |ask| ask.clone().four()] {
        let (_node, _) = gateway.admit(&protocol(&node(&phone, &["system.which", "system.run", "camera.snap"]))).await;
        let entry = &nodes(&mut admin).await[0];
        let id = phone.id();
        for (key, value) in [
            ("nodeId", json!(id)),
            ("displayName", json!("Bench")),
            ("platform", json!("linux")),
            ("version", json!("0.0.0-test")),
            ("clientId", json!("node-host")),
            ("caps", json!(["system"])),
            ("commands", json!(["system.run"])),
            ("approvalState", json!("pending-reapproval")),
            ("pendingDeclaredCommands", json!(["system.run", "system.which"])),
            ("paired", json!(true)),
            ("connected", json!(true)),
        ] {
            assert_eq!(entry[key], value, "{key}");
        }
        assert_eq!(admin.listed().await.0, [text(&entry["pendingRequestId"])], "one request for it, however it speaks");
    }
    let (_node, _) = gateway.admit(&node(&phone, &["system.which", "system.run", "camera.snap"])).await;
    let request = nodes(&mut admin).await[0]["pendingRequestId"].clone();
    let approved = admin.get("node.pair.approve", json!({ "requestId": request })).await;
    assert_eq!(approved["node"]["commands"], json!(["system.run", "system.which"]));
    let entry = &nodes(&mut admin).await[0];
    assert_eq!((&entry["commands"], &entry["approvalState"]), (&json!(["system.run", "system.which"]), &json!("approved")));
    let mut described = admin.get("node.describe", json!({ "nodeId": phone.id() })).await;
    described.as_object_mut().expect("an object").remove("ts");
    assert_eq!(&described, entry);
    let again = admin.get("node.pair.approve", json!({ "requestId": request })).await;
    assert!(text(&again["note"]).starts_with("already approved at "), "{again}");
}

#[tokio::test]
async fn x34_nodes_are_told_to_whoever_may_see_all_devices_and_to_each_node_s_own_device() {
    let gateway = Running::start().await;
    let (both, other) = (Device::new(1), Device::new(2));
    for device in [&both, &other] {
        gateway.admit(&node(device, &["system.run"])).await;
    }
    let request = gateway.request(&both.asks(READ)).await;
    gateway.owner("device.pair.approve", json!({ "requestId": request })).await.expect("approved");
    let waits = gateway.request(&node(&Device::new(3), &[]).remote()).await;
    let (mut admin, _) = gateway.admit(&Device::new(9).asks(ADMIN)).await;
    let (mut own, _) = gateway.admit(&both.asks(READ)).await;
    let (mut writer, _) = gateway.admit(&Device::new(4).asks(WRITE)).await;
    let (mut helper, _) = gateway.admit(&Device::new(5).asks(&["operator.pairing", "operator.read"])).await;
    let ids = |nodes: Vec<Value>| nodes.iter().map(|node| text(&node["nodeId"]).to_owned()).collect::<Vec<_>>();
    let mut all = ids(nodes(&mut admin).await);
    all.sort();
    let mut wanted = vec![both.id(), other.id()];
    wanted.sort();
    assert_eq!(all, wanted);
    assert_eq!(ids(nodes(&mut own).await), [both.id()]);
    assert_eq!(ids(nodes(&mut writer).await), [""; 0]);
    assert_eq!(ids(nodes(&mut helper).await), [""; 0]);
    let unknown = json!({ "code": "INVALID_REQUEST", "message": "unknown nodeId" });
    for id in [other.id(), "not an id".to_owned(), Device::new(8).id()] {
        assert_eq!(own.denied("node.describe", json!({ "nodeId": id })).await, unknown);
    }
    assert_eq!(helper.get("node.pair.list", json!({})).await, json!({ "pending": [], "paired": [] }));
    assert_eq!(admin.get("node.pair.list", json!({})).await["pending"][0]["requestId"], json!(waits));
    assert_eq!(writer.denied("node.pair.list", json!({})).await["message"], "missing scope: operator.pairing");
    let (mut node, _) = gateway.admit(&node(&other, &[])).await;
    for method in ["node.list", "node.pair.list", "node.rename"] {
        assert_eq!(node.denied(method, json!({})).await["message"], "unauthorized role: node");
    }
}

#[tokio::test]
async fn a_node_is_removed_as_a_device_unless_it_is_an_operator_too() {
    let gateway = Running::start().await;
    let (only, both) = (Device::new(1), Device::new(2));
    let (mut admin, _) = gateway.admit(&Device::new(9).asks(ADMIN)).await;
    let (mut operator, _) = gateway.admit(&both.asks(READ)).await;
    let request = gateway.request(&node(&both, &[])).await;
    admin.get("node.pair.approve", json!({ "requestId": request })).await;
    let (mut first, _) = gateway.admit(&node(&only, &[])).await;
    let (mut second, _) = gateway.admit(&node(&both, &[])).await;
    for device in [&only, &both] {
        let id = device.id();
        assert_eq!(admin.get("node.pair.remove", json!({ "nodeId": id })).await, json!({ "nodeId": id }));
        let error = admin.denied("node.pair.remove", json!({ "nodeId": id })).await;
        assert_eq!(error["message"], "unknown nodeId");
    }
    assert_eq!(first.end().await, (4001, "device removed".to_owned()));
    assert_eq!(second.end().await, (4001, "token revoked".to_owned()));
    operator.get("health", json!({})).await;
    let (_, paired) = admin.listed().await;
    assert!(paired.contains(&both.id()) && !paired.contains(&only.id()), "{paired:?}");
    assert_eq!(nodes(&mut admin).await, [Value::Null; 0]);
    assert_eq!(gateway.refuse(&node(&both, &[])).await.error["details"]["reason"], "role-upgrade");
}

#[tokio::test]
async fn by_the_names_of_nodes_only_nodes_are_answered() {
    let gateway = Running::start().await;
    let (mut admin, _) = gateway.admit(&Device::new(9).asks(ADMIN)).await;
    let (mut helper, _) = gateway.admit(&Device::new(8).asks(PAIRING)).await;
    gateway.admit(&node(&Device::new(1), &[])).await;
    let operator = Device::new(2);
    gateway.admit(&operator.asks(READ)).await;
    let request = gateway.request(&Device::new(3).asks(READ).remote()).await;
    for method in ["node.pair.approve", "node.pair.reject"] {
        assert_eq!(admin.denied(method, json!({ "requestId": request })).await["message"], "unknown requestId");
        assert_eq!(admin.denied(method, json!({ "requestId": "x" })).await["message"], "unknown requestId");
        assert!(text(&admin.denied(method, json!({})).await["message"]).ends_with("must have required property 'requestId'"));
    }
    assert_eq!(admin.listed().await.0, [request.as_str()], "it waits on");
    for id in [operator.id(), "x".to_owned()] {
        for (method, params) in [
            ("node.rename", json!({ "nodeId": id, "displayName": "X" })),
            ("node.pair.remove", json!({ "nodeId": id })),
            ("node.describe", json!({ "nodeId": id })),
        ] {
            assert_eq!(admin.denied(method, params).await["message"], "unknown nodeId", "{method}");
        }
    }
    let id = Device::new(1).id();
    let named = json!({ "nodeId": id, "displayName": "  Bench 1 " });
    let needs_admin = helper.denied("node.rename", named.clone()).await;
    assert!(text(&needs_admin["message"]).starts_with("missing scope: operator.admin"), "{needs_admin}");
    assert_eq!(admin.get("node.rename", named).await, json!({ "nodeId": id, "displayName": "Bench 1" }));
    assert_eq!(nodes(&mut admin).await[0]["displayName"], "Bench 1");
    for label in [json!(""), json!("x".repeat(65))] {
        let error = admin.denied("node.rename", json!({ "nodeId": id, "displayName": label })).await;
        assert!(text(&error["message"]).starts_with("invalid node.rename params: at /displayName: "), "{error}");
    }
}

#[tokio::test]
async fn nothing_is_run_on_a_node_and_a_node_pairs_by_connecting() {
    let gateway = Running::start().await;
    let (mut admin, _) = gateway.admit(&Device::new(9).asks(ADMIN)).await;
    for (method, says) in [
        (
            "node.invoke",
            "node.invoke is not served: this gateway pairs nodes and runs nothing on them; OpenClaw's own gateway does",
        ),
        (
            "node.pair.request",
            "node.pair.request is not served: a node pairs by connecting, and its request is one of node.pair.list",
        ),
        (
            "node.pair.verify",
            "node.pair.verify is not served: a node pairs by connecting, and its request is one of node.pair.list",
        ),
    ] {
        let error = admin.denied(method, json!({})).await;
        assert_eq!((&error["code"], &error["message"]), (&json!("UNAVAILABLE"), &json!(says)));
    }
    // A node host of 2026.9.6 comes again every five seconds, unless it hears these words.
    let (mut node, _) = gateway.admit(&node(&Device::new(1), &[]).four()).await;
    for method in ["node.event", "node.runnerInventory.update", "node.skills.update", "node.pluginTools.update", "skills.bins"] {
        let error = node.denied(method, json!({})).await;
        assert_eq!(error, json!({ "code": "INVALID_REQUEST", "message": format!("unknown method: {method}") }));
    }
}
