//! What a device says of itself: a new version, nothing, something else.

use std::collections::BTreeSet;

use openclaw_pairing::pairing::{Actor, Rule};
use serde_json::{Value, json};

use crate::client::{Ask, Device, READ, text};
use crate::world::{World, is, needs_a_person};

/// The default, but that any other platform or family asks a person.
const STRICT: &str = r#"{ version: 1, metadata: "exact" }"#;

fn mac(device: &Device, platform: &'static str) -> Ask {
    device.afar(READ).platform(platform).family("Mac")
}

#[tokio::test]
async fn s18_a_point_release_is_recorded_and_under_strict_pins_one_request_is_made() {
    let world = World::new().await;
    let device = Device::new(1);
    let token = world.pair(&mac(&device, "macOS 26.3.1")).await;
    let node = mac(&device, "macOS 26.3.1").client("node-host", "node").role("node");
    world.pair(&node).await;
    let before = world.device(&device);
    let (_, hello) = world.gateway.admit(&mac(&device, "macOS 26.4.0")).await;
    assert_eq!(hello["auth"]["deviceToken"], json!(token));
    let changed = world.on_record(is!(DeviceMetadataChanged));
    assert_eq!(changed.len(), 1);
    let (actor, event) = &changed[0];
    assert_eq!(actor, &Actor::Rule(Rule::Metadata));
    assert_eq!((event.platform_before.as_deref(), event.platform.as_deref()), (Some("macOS 26.3.1"), Some("macOS 26.4.0")));
    let mut expected = before;
    expected["platform"] = "macOS 26.4.0".into();
    assert_eq!(world.device(&device), expected, "nothing else changed");
    let list = world.list().await;
    assert_eq!((&list["pending"], &list["paired"][0]["platform"]), (&json!([]), &json!("macOS 26.4.0")));

    let world = World::under(STRICT).await;
    let (_, mut admin) = world.admin(9).await;
    world.pair(&mac(&device, "macOS 26.3.1")).await;
    let before = world.device(&device);
    admin.get("health", json!({})).await;
    admin.events.clear();
    let mut requests = BTreeSet::new();
    for _ in 0..941 {
        let refused = world.gateway.refuse(&mac(&device, "macOS 26.4.0")).await;
        requests.insert(needs_a_person(&refused, "metadata-upgrade"));
        world.wait(300_000 / 941);
    }
    assert_eq!(requests.len(), 1);
    let list = world.list().await;
    assert_eq!(list["pending"].as_array().map(Vec::len), Some(1));
    let entry = &list["pending"][0];
    let change = json!({ "from": "macOS 26.3.1", "to": "macOS 26.4.0" });
    assert_eq!((&entry["isRepair"], &entry["platformChange"]), (&json!(true), &change));
    admin.get("health", json!({})).await;
    let pushed = admin.events.iter().filter(|frame| frame["event"] == "device.pair.requested");
    assert_eq!(pushed.count(), 1);
    world.owner(&["devices", "approve", text(&entry["requestId"])]).await.done();
    let without_times = |mut entry: Value| {
        entry.as_object_mut().expect("an entry").shift_remove("approvedAtMs");
        entry
    };
    let mut expected = before;
    expected["platform"] = "macOS 26.4.0".into();
    assert_eq!(without_times(world.device(&device)), without_times(expected), "only the pin");
    world.gateway.admit(&mac(&device, "macOS 26.4.0")).await;

    let told = world.owner(&["policy", "simulate", "--preset", "default", "--json"]).await.done().json();
    assert_eq!(told["differing"], 941, "exactly those refusals: {}", told["byDevice"]);
    for difference in told["differences"].as_array().expect("differences") {
        assert_eq!(difference["deviceId"], json!(device.id()), "{difference}");
        assert_eq!(
            (&difference["then"]["outcome"], &difference["then"]["reason"]),
            (&json!("refused"), &json!("metadata-upgrade"))
        );
        assert_eq!((&difference["now"]["outcome"], &difference["now"]["rule"]), (&json!("admitted"), &json!("paired")));
    }
}

#[tokio::test]
async fn s19_leaving_a_field_out_is_no_change() {
    let world = World::new().await;
    let device = Device::new(1);
    let ask = |platform| device.afar(READ).client("gateway-client", "ui").platform(platform);
    world.pair(&ask("windows").family("Windows")).await;
    let before = world.device(&device);
    let world = world.restarted().await;
    let start = world.gateway.records().len();
    let mut sockets = vec![];
    // A client always says its platform in protocol 3, so that none is a blank one.
    for ask in [ask("windows"), ask(" "), ask("windows").family("windows")] {
        sockets.push(world.gateway.admit(&ask).await);
    }
    assert_eq!(world.device(&device), before);
    assert_eq!(world.list().await["pending"], json!([]));
    let mut presence = sockets[0].0.get("system-presence", json!({})).await;
    for entry in presence.as_array_mut().expect("a list") {
        assert_eq!((&entry["platform"], &entry["deviceFamily"]), (&json!("windows"), &json!("Windows")), "{entry}");
    }
    let (node, offers) = (Device::new(2), |params: &mut Value| params["commands"] = json!(["device.info", "system.run"]));
    let ask = |platform| node.afar(&[]).client("node-host", "node").role("node").platform(platform).edit(offers);
    world.pair(&ask("windows").family("Windows")).await;
    for again in [ask(" "), ask("windows").family("windows")] {
        let (_node, _) = world.gateway.admit(&again).await;
        assert_eq!(offered(&world).await, json!(["device.info", "system.run"]), "by the list for windows");
    }
    let records = world.gateway.records().split_off(start);
    let admitted: Vec<_> = records.iter().filter_map(is!(ConnectionAdmitted)).map(|(_, event)| event).take(3).collect();
    assert_eq!(admitted.len(), 3);
    for event in &admitted[1..] {
        let mut other = event.clone();
        let (attempt, first) = (&mut other.attempt, &admitted[0].attempt);
        attempt.connection = first.connection;
        attempt.ask.as_mut().expect("an ask").described = first.ask.clone().expect("an ask").described;
        assert_eq!(other, admitted[0], "they differ in what was claimed only");
    }
}

/// What the one node that is there may offer.
async fn offered(world: &World) -> Value {
    let list = world.gateway.owner("node.list", json!({})).await.expect("a list");
    let nodes = list["nodes"].as_array().expect("nodes");
    assert!(nodes.len() == 1 && nodes[0]["connected"] == true, "{list}");
    nodes[0]["commands"].clone()
}

#[tokio::test]
async fn s20_a_swapped_platform_needs_a_person() {
    let node = |device: &Device, platform| {
        // The default lists have the second for ios and not for linux.
        let commands = |params: &mut Value| params["commands"] = json!(["system.run", "photos.latest"]);
        device.afar(&[]).client("node-host", "node").role("node").platform(platform).edit(commands)
    };
    for world in [World::new().await, World::under(STRICT).await] {
        let (device, (admin, _)) = (Device::new(1), world.admin(9).await);
        world.pair(&node(&device, "linux")).await;
        let refused = world.gateway.refuse(&node(&device, "ios")).await;
        let request = needs_a_person(&refused, "metadata-upgrade");
        let list = world.list().await;
        assert_eq!(list["pending"].as_array().map(Vec::len), Some(1));
        let entry = &list["pending"][0];
        assert_eq!((&entry["requestId"], &entry["isRepair"]), (&json!(request), &json!(true)));
        assert_eq!(entry["platformChange"], json!({ "from": "linux", "to": "ios" }));
        let paired = list["paired"].as_array().expect("a list").iter().find(|entry| entry["deviceId"] == json!(device.id()));
        let paired = paired.expect("paired");
        assert_eq!((&paired["platform"], &paired["connected"]), (&json!("linux"), &json!(false)));
        let nodes = world.gateway.owner("node.list", json!({})).await.expect("a list");
        assert_eq!((&nodes["nodes"][0]["connected"], &nodes["nodes"][0]["commands"]), (&json!(false), &json!(["system.run"])));

        world.run(&world.pocket(&admin), &["devices", "reject", &request]).await.done();
        assert_eq!(world.list().await["pending"], json!([]));
        assert_eq!(world.device(&device)["platform"], "linux");
        for again in [node(&device, "linux"), node(&device, "ios").form("v2")] {
            let (_node, _) = world.gateway.admit(&again).await;
            assert_eq!(offered(&world).await, json!(["system.run"]));
        }
        assert_eq!(world.device(&device)["platform"], "linux", "a v2 signature moves no pin");
        assert_eq!(world.count("DeviceMetadataChanged"), 0);
    }
}
