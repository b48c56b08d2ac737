//! Nodes, where users look for them.

use serde_json::{Value, json};

use crate::client::{Ask, Device, PAIRING, text};
use crate::world::{World, by_device, is, needs_a_person};

fn node(device: &Device) -> Ask {
    let declares = |params: &mut Value| {
        params["caps"] = json!(["system"]);
        params["commands"] = json!(["system.run", "camera.snap"]);
    };
    device.afar(&[]).client("node-host", "node").role("node").edit(declares)
}

#[tokio::test]
async fn s27_a_nodes_request_is_the_same_request_wherever_one_looks() {
    let world = World::new().await;
    let (admin, mut watching) = world.admin(9).await;
    let (phone, pairing) = (Device::new(1), Device::new(2));
    world.pair(&pairing.afar(PAIRING)).await;
    let (mut helper, _) = world.gateway.admit(&pairing.afar(PAIRING)).await;
    watching.get("health", json!({})).await;
    watching.events.clear();

    let request = needs_a_person(&world.gateway.refuse(&node(&phone)).await, "not-paired");
    let lists = [watching.get("device.pair.list", json!({})).await, watching.get("node.pair.list", json!({})).await];
    for list in &lists {
        let pending = list["pending"].as_array().expect("a list");
        assert_eq!(pending.len(), 1, "{list}");
        let entry = &pending[0];
        assert_eq!(
            (&entry["requestId"], &entry["deviceId"], &entry["role"]),
            (&json!(request), &json!(phone.id()), &json!("node"))
        );
        assert_eq!(
            (&entry["commands"], &entry["withheldCommands"]),
            (&json!(["system.run", "camera.snap"]), &json!(["camera.snap"]))
        );
    }
    for command in ["devices", "nodes"] {
        let said = world.owner(&[command, "list"]).await.done().out;
        let offers = "offers capabilities: system; commands: system.run, camera.snap; the policy keeps back camera.snap";
        assert!(said.contains(&request) && said.contains(offers), "{said}");
    }

    // The one that may only pair is told what it lacks, by either name and from the command line.
    let denied = json!({ "code": "INVALID_REQUEST", "message":
        "missing scope: operator.admin (acting on another device, or on a role that is not operator, needs it)" });
    for method in ["device.pair.approve", "node.pair.approve", "node.pair.reject"] {
        assert_eq!(helper.denied(method, json!({ "requestId": request })).await, denied);
    }
    let pocket = world.pocket(&pairing);
    let token = world.token(&pairing.afar(PAIRING)).await;
    let pocket = pocket.holding(&token, PAIRING);
    let said = world.run(&pocket, &["nodes", "pending"]).await.done();
    assert!(!said.out.contains(&request), "what it may not answer it does not hear of: {said:?}");
    world.run(&pocket, &["nodes", "approve", &request]).await.refused(&["missing scope: operator.admin"], &[]);
    assert_eq!(world.list().await["pending"][0]["requestId"], json!(request));

    let said = world.run(&world.pocket(&admin), &["nodes", "approve", &request, "--json"]).await.done().json();
    assert_eq!((&said["requestId"], &said["node"]["nodeId"]), (&json!(request), &json!(phone.id())));
    assert_eq!((&said["node"]["caps"], &said["node"]["commands"]), (&json!(["system"]), &json!(["system.run"])));
    for list in ["device.pair.list", "node.pair.list"] {
        let list = watching.get(list, json!({})).await;
        assert!(!list["pending"].to_string().contains(&request), "{list}");
    }
    let approved: Vec<_> =
        world.on_record(is!(PairingApproved)).into_iter().filter(|(_, event)| event.device.to_string() == phone.id()).collect();
    assert!(approved.len() == 1 && by_device(&approved[0].0, &admin), "{approved:?}");
    let pushed = |event: &str| -> Vec<Value> {
        let of_it =
            watching.events.iter().filter(|frame| frame["event"] == event && frame["payload"]["requestId"] == json!(request));
        of_it.map(|frame| frame["payload"].clone()).collect()
    };
    for name in ["device.pair.requested", "node.pair.requested"] {
        assert_eq!(pushed(name).len(), 1, "{name}");
    }
    for (name, key) in [("device.pair.resolved", "deviceId"), ("node.pair.resolved", "nodeId")] {
        let [resolved] = &pushed(name)[..] else { panic!("{name} once: {:?}", pushed(name)) };
        assert_eq!((&resolved["decision"], &resolved[key]), (&json!("approved"), &json!(phone.id())));
    }
    let [requested] = &pushed("node.pair.requested")[..] else { panic!("once") };
    assert_eq!(requested["requiredApproveScopes"], json!(["operator.pairing", "operator.admin"]));

    let world = {
        let (_node, hello) = world.gateway.admit(&node(&phone)).await;
        assert_eq!(hello["auth"]["role"], "node");
        let shown = world.owner(&["nodes", "list", "--connected", "--json"]).await.done().json();
        assert_eq!(shown["paired"][0]["nodeId"], json!(phone.id()));
        world.restarted().await
    };
    let list = world.list().await;
    let entry = list["paired"].as_array().expect("a list").iter().find(|entry| entry["deviceId"] == json!(phone.id()));
    let entry = entry.expect("still paired");
    assert_eq!((&entry["roles"], entry["tokens"].as_array().map(Vec::len)), (&json!(["node"]), Some(1)));
    let list = |connected: bool| {
        let world = &world;
        let phone = &phone;
        async move {
            let list = world.gateway.owner("node.list", json!({})).await.expect("a list");
            let nodes = list["nodes"].as_array().expect("nodes");
            assert_eq!(nodes.len(), 1, "{list}");
            assert_eq!(text(&nodes[0]["nodeId"]), phone.id());
            assert_eq!((&nodes[0]["paired"], &nodes[0]["connected"]), (&json!(true), &json!(connected)), "{list}");
        }
    };
    list(false).await;
    let (_node, _) = world.gateway.admit(&node(&phone)).await;
    list(true).await;
}
