//! Tokens and devices taken away: what is cut off, what is told, what comes back.

use serde_json::json;

use crate::client::{Device, READ, Socket, WRITE, text};
use crate::world::{MINUTE, World, by_device, is, names, needs_a_person};

/// How long an end may take, by the clock on the wall.
const SOON: std::time::Duration = std::time::Duration::from_secs(1);

async fn ends_soon(socket: &mut Socket) -> (u16, String) {
    tokio::time::timeout(SOON, socket.end()).await.expect("within a second")
}

#[tokio::test]
async fn s11_rotating_cuts_live_connections_and_shows_the_token_to_its_device_only() {
    let world = World::new().await;
    let (_, mut admin) = world.admin(9).await;
    let device = Device::new(1);
    let node = device.afar(&[]).client("node-host", "node").role("node");
    let old = world.pair(&device.afar(READ)).await;
    world.pair(&node).await;
    let (mut first, _) = world.gateway.admit(&device.afar(READ)).await;
    let (mut second, _) = world.gateway.admit(&device.afar(READ)).await;
    let (mut as_node, _) = world.gateway.admit(&node).await;

    world.wait(MINUTE);
    let reply = admin.get("device.token.rotate", json!({ "deviceId": device.id(), "role": "operator" })).await;
    assert_eq!(reply.get("token"), None, "{reply}");
    assert_eq!((&reply["deviceId"], &reply["role"], &reply["scopes"]), (&json!(device.id()), &json!("operator"), &json!(READ)));
    let at = world.now();
    assert_eq!(reply["rotatedAtMs"], json!(at.0));
    assert_eq!(world.count("TokenRotated"), 1, "durable by now");
    for socket in [&mut first, &mut second] {
        assert_eq!(ends_soon(socket).await, (4001, "token rotated".to_owned()));
    }
    as_node.get("health", json!({})).await;

    let refused = world.gateway.refuse(&device.returns(&old, READ).afar()).await;
    assert_eq!(refused.close.0, 1008);
    assert_eq!(refused.error["details"]["rotatedAtMs"], json!(at.0), "{refused:?}");
    let told = format!("rotated at {}", openclaw_pairing::views::time_text(at));
    assert!(text(&refused.error["message"]).contains(&told), "{refused:?}");
    let new = world.token(&device.afar(READ)).await;
    assert_ne!(new, old);
    let (mut own, _) = world.gateway.admit(&device.returns(&new, READ).afar()).await;
    let reply = own.get("device.token.rotate", json!({ "deviceId": device.id(), "role": "operator" })).await;
    let newest = text(&reply["token"]).to_owned();
    world.gateway.admit(&device.returns(&newest, READ).afar()).await;

    let mut said = world.owner(&["devices", "list", "--json"]).await.done().out;
    said += &world.owner(&["logs", "--json"]).await.done().out;
    let audit = world.owner(&["audit", &device.id(), "--json"]).await.done().out;
    assert_eq!(audit.matches("TokenRotated").count(), 2, "{audit}");
    said += &audit;
    let journal = std::fs::read_dir(world.gateway.state.journal()).expect("a journal");
    let bytes: Vec<u8> = journal.flat_map(|entry| std::fs::read(entry.expect("a file").path()).expect("read")).collect();
    for secret in [&old, &new, &newest] {
        assert!(!said.contains(secret));
        assert!(!bytes.windows(secret.len()).any(|window| window == secret.as_bytes()));
    }
}

#[tokio::test]
async fn s12_a_revocation_disconnects_and_sticks_through_a_restart_anywhere() {
    for restart_before in 0..=5 {
        let mut world = World::new().await;
        let (admin, _) = world.admin(9).await;
        let device = Device::new(1);
        let old = world.pair(&device.afar(READ)).await;
        let (mut first, _) = world.gateway.admit(&device.afar(READ)).await;
        let (mut second, _) = world.gateway.admit(&device.afar(READ)).await;
        let id = device.id();
        let mut step = 0;
        macro_rules! step {
            () => {
                step += 1;
                if step == restart_before {
                    world = world.restarted().await;
                }
            };
        }

        step!();
        if restart_before == 1 {
            (first, second) = (world.gateway.admit(&device.afar(READ)).await.0, world.gateway.admit(&device.afar(READ)).await.0);
        }
        world.run(&world.pocket(&admin), &["devices", "revoke", "--device", &id, "--role", "operator"]).await.done();
        let at = world.now();
        for socket in [&mut first, &mut second] {
            assert_eq!(ends_soon(socket).await, (4001, "token revoked".to_owned()));
        }
        let entry = world.device(&device);
        assert_eq!(entry["tokens"][0]["revokedAtMs"], json!(at.0), "{entry}");

        let told = format!("revoked at {} by device {}", openclaw_pairing::views::time_text(at), admin.id());
        let mut requests = vec![];
        for ask in [device.returns(&old, READ).afar(), device.afar(READ)] {
            step!();
            let refused = world.gateway.refuse(&ask).await;
            requests.push(needs_a_person(&refused, "role-upgrade"));
            assert!(text(&refused.error["message"]).contains(&told), "{refused:?}");
        }
        let of_device = |(_, event): &(_, openclaw_pairing::pairing::TokenIssued)| event.device.to_string() == id;
        assert_eq!(world.on_record(is!(TokenIssued)).iter().filter(|one| of_device(one)).count(), 1, "none since");
        let list = world.list().await;
        assert_eq!((list["pending"].as_array().map(Vec::len), &requests[0]), (Some(1), &requests[1]));

        step!();
        let before = world.gateway.records().len();
        world.run(&world.pocket(&admin), &["devices", "approve", &requests[0]]).await.done();
        let mut since = world.gateway.records().split_off(before);
        since.retain(|record| by_device(&record.actor, &admin));
        assert_eq!(names(&since), ["PairingApproved", "TokenIssued"]);
        step!();
        world.gateway.admit(&device.afar(READ)).await;
    }
}

#[tokio::test]
async fn s13_removing_a_device_ends_its_requests() {
    let world = World::new().await;
    let (admin, _) = world.admin(9).await;
    let (pocket, d, e) = (world.pocket(&admin), Device::new(1), Device::new(2));
    world.pair(&d.afar(READ)).await;
    let (mut live, _) = world.gateway.admit(&d.afar(READ)).await;
    let first = world.gateway.request(&d.afar(WRITE)).await;
    let other = world.gateway.request(&e.afar(READ)).await;
    world.run(&pocket, &["devices", "remove", &d.id()]).await.done();
    assert_eq!(ends_soon(&mut live).await, (4001, "device removed".to_owned()));
    let list = world.list().await;
    let ids: Vec<_> = list["pending"].as_array().expect("a list").iter().map(|entry| &entry["requestId"]).collect();
    assert_eq!(ids, [&json!(other)]);
    assert!(!list["paired"].to_string().contains(&d.id()));
    let digest = world.digest().await;
    let said = world.run(&pocket, &["devices", "approve", &first]).await;
    said.refused(&[&first, "ended", &format!("was removed by device {}", admin.id())], &["unknown requestId"]);
    assert_eq!(world.digest().await, digest, "nothing is granted");

    let refused = world.gateway.refuse(&d.afar(READ)).await;
    let third = needs_a_person(&refused, "not-paired");
    assert_ne!(third, first);
    assert_eq!(refused.error["details"]["approvedScopes"], json!([]));
    let list = world.list().await;
    let entry = list["pending"].as_array().expect("a list").iter().find(|entry| entry["requestId"] == json!(third));
    let entry = entry.expect("it waits");
    assert_eq!((&entry["isRepair"], &entry["scopes"], &entry["approvedScopes"]), (&json!(false), &json!(READ), &json!([])));
    let audit = world.owner(&["audit", &d.id(), "--json"]).await.done().json();
    assert_eq!(audit["holds"], json!([]));
    let events = audit["events"].as_array().expect("events").iter().map(|event| text(&event["event"]));
    let acts: Vec<_> = events.filter(|name| !name.starts_with("Connection")).collect();
    let whole = ["PairingRequested", "PairingApproved", "TokenIssued", "PairingRequested", "DeviceRemoved", "PairingRequested"];
    assert_eq!(acts, whole);
}
