//! What the owner does is told to those who may do everything, and stays to be seen until somebody says to have seen it.

use super::client::{ADMIN, Device, PAIRING, READ};
use super::home::Home;
use super::{asked, words};

#[tokio::test]
async fn x16_what_the_owner_does_is_told_to_admins_and_stays_in_status_until_seen() {
    let home = Home::new();
    let gateway = home.start();
    let (admin, approver, reader) = (Device::new(1), Device::new(2), Device::new(3));
    let (mut admin_socket, _) = admin.asks(ADMIN).at(gateway.address, &home).await.admitted().await;
    let (mut approver_socket, _) = approver.asks(PAIRING).at(gateway.address, &home).await.admitted().await;
    let (mut reader_socket, _) = reader.asks(READ).at(gateway.address, &home).await.admitted().await;
    for socket in [&mut admin_socket, &mut approver_socket, &mut reader_socket] {
        socket.get("health", serde_json::json!({})).await;
        socket.events.clear();
    }
    let quiet = home.run(&["status"]);
    assert!(!quiet.stdout.contains("Owner acts"), "{quiet:?}");

    let request = asked(&Device::new(4), READ, gateway.address, &home).await;
    admin_socket.push("device.pair.requested").await;
    home.run(&["devices", "approve", &request]).done();
    admin_socket.push("device.pair.resolved").await;
    let told = admin_socket.push("owner.acted").await;
    assert_eq!((&told["uid"], &told["program"]), (&rustix::process::geteuid().as_raw().into(), &"openclaw".into()));
    assert!(told["pid"].as_u64().is_some_and(|pid| pid > 1) && told["terminal"].is_null(), "{told}");
    assert_eq!((&told["fromExec"], &told["unseen"]), (&false.into(), &1.into()));
    let message = told["message"].as_str().expect("a sentence");
    assert!(message.contains(&Device::new(4).id()) && message.contains("was granted operator.read"), "{message}");
    // What it could not do is told too.
    let request = asked(&Device::new(5), READ, gateway.address, &home).await;
    admin_socket.push("device.pair.requested").await;
    home.spawn(&words(&["env", "OPENCLAW_SHELL=exec"]), &["devices", "approve", &request]).end();
    assert_eq!(admin_socket.push("owner.acted").await["fromExec"], true);

    // To nobody else: not as it happens, and not in a status.
    for socket in [&mut approver_socket, &mut reader_socket] {
        let status = socket.call("status", serde_json::json!({})).await.unwrap_or_default();
        assert!(status.get("ownerActs").is_none(), "{status}");
        assert!(socket.events.iter().all(|event| event["event"] != "owner.acted"));
        for (method, params) in [("owner.acts", serde_json::json!({})), ("owner.seen", serde_json::json!({ "through": 1 }))] {
            let error = socket.denied(method, params).await;
            assert_eq!(error["message"], "missing scope: operator.admin");
        }
    }
    let (mut late, _) = reader.asks(READ).at(gateway.address, &home).await.admitted().await;
    late.get("health", serde_json::json!({})).await;
    assert!(late.events.is_empty(), "{:?}", late.events);

    // Whoever may do everything and comes later hears of the last one, and finds them all.
    let (mut late, _) = admin.asks(ADMIN).at(gateway.address, &home).await.admitted().await;
    let last = late.push("owner.acted").await;
    assert_eq!((&last["fromExec"], &last["unseen"]), (&true.into(), &2.into()));
    assert_eq!(late.get("status", serde_json::json!({})).await["ownerActs"]["unseen"], 2);
    let acts = late.get("owner.acts", serde_json::json!({})).await;
    let seqs: Vec<_> = acts["acts"].as_array().expect("acts").iter().map(|act| act["seq"].as_u64()).collect();
    assert_eq!(seqs, [told["seq"].as_u64(), last["seq"].as_u64()]);

    let shown = home.run(&["gateway", "status"]).done();
    assert!(shown.contains("Owner acts     2 not seen yet\n") && shown.contains(message), "{shown}");
    assert!(shown.contains("no terminal") && shown.contains("openclaw gateway status --seen"), "{shown}");
    // Of two that are known an admin has seen the first.
    late.get("owner.seen", serde_json::json!({ "through": told["seq"] })).await;
    let left = home.run(&["status", "--json"]).json();
    assert_eq!((&left["ownerActs"]["unseen"], &left["ownerActs"]["acts"][0]["seq"]), (&1.into(), &last["seq"]));
    let seen = home.run(&["gateway", "status", "--seen"]).done();
    assert!(seen.contains("from a shell of OpenClaw's agent") && seen.ends_with(&format!("seq {}\n", last["seq"])), "{seen}");
    let none = home.run(&["gateway", "status"]).done();
    assert!(!none.contains("Owner acts"), "{none}");
    let (mut later, _) = admin.asks(ADMIN).at(gateway.address, &home).await.admitted().await;
    later.get("health", serde_json::json!({})).await;
    assert!(later.events.iter().all(|event| event["event"] != "owner.acted"), "{:?}", later.events);
    gateway.stop();
}

#[tokio::test]
async fn x16_what_the_owner_does_while_no_gateway_runs_is_told_by_the_next() {
    let home = Home::new();
    let gateway = home.start();
    assert!(!gateway.process.stdout().contains("Owner acts"));
    let (admin, phone) = (Device::new(1), Device::new(2));
    admin.asks(ADMIN).at(gateway.address, &home).await.admitted().await;
    let request = asked(&phone, READ, gateway.address, &home).await;
    gateway.stop();
    home.run(&["devices", "approve", &request]).done();
    home.run(&["devices", "rename", &phone.id(), "phone"]).done();
    let offline = home.run(&["status"]);
    assert!(offline.code == Some(3) && offline.stdout.contains("Owner acts     2 not seen yet"), "{offline:?}");

    let gateway = home.start();
    let said = gateway.process.stdout();
    let line = said.lines().find(|line| line.starts_with("Owner acts")).expect("a line of its own");
    assert!(line.contains("2 not seen yet, the last: ") && line.contains("was named \"phone\""), "{line}");
    assert!(home.run(&["logs"]).done().contains("ownerActsUnseen=2"));
    let (mut socket, _) = admin.asks(ADMIN).at(gateway.address, &home).await.admitted().await;
    let told = socket.push("owner.acted").await;
    assert_eq!((&told["unseen"], told["message"].as_str().is_some_and(|said| said.contains("phone"))), (&2.into(), true));
    gateway.stop();

    let seen = home.run(&["status", "--seen"]);
    assert!(
        seen.stdout.contains("Owner acts     2 not seen yet") && seen.stdout.contains("Seen           up to seq"),
        "{seen:?}"
    );
    let gateway = home.start();
    assert!(!gateway.process.stdout().contains("Owner acts"));
    gateway.stop();
}

/// What a device let in outlives it, unless it is said that it should not.
#[tokio::test]
async fn x09_what_a_device_approved_is_shown_when_it_goes_and_goes_too_where_that_is_wanted() {
    let home = Home::new();
    let gateway = home.start();
    let [first, second, third] = [1, 2, 3].map(Device::new);
    let (mut socket, _) = first.asks(ADMIN).at(gateway.address, &home).await.admitted().await;
    let request = asked(&second, ADMIN, gateway.address, &home).await;
    socket.get("device.pair.approve", serde_json::json!({ "requestId": request })).await;
    let (mut socket, _) = second.asks(ADMIN).remote().at(gateway.address, &home).await.admitted().await;
    let request = asked(&third, READ, gateway.address, &home).await;
    socket.get("device.pair.approve", serde_json::json!({ "requestId": request })).await;
    let (mut third_socket, _) = third.asks(READ).remote().at(gateway.address, &home).await.admitted().await;

    let gone = home.run(&["devices", "remove", &first.id()]);
    let says = gone.stderr.clone();
    assert_eq!(gone.done(), format!("Removed {}\n", first.id()));
    assert!(says.starts_with("It had approved something for 2 devices, itself or through others; they keep it:\n"), "{says}");
    assert!(says.contains(&second.id()) && says.contains(&third.id()), "{says}");
    let again = format!("devices remove {} --with-approved", first.id());
    assert!(says.ends_with(&format!("openclaw {again}\n")), "{says}");
    third_socket.get("health", serde_json::json!({})).await;

    // The command that was offered does it, though the device is gone already.
    let all = home.run(&again.split(' ').collect::<Vec<_>>());
    assert!(all.stderr.contains("that is gone too:") && all.code == Some(0), "{all:?}");
    assert_eq!(third_socket.end().await, (4001, "device removed".to_owned()));
    assert_eq!(home.run(&["devices", "list"]).done(), "No device pairing entries.\n");
    let fourth = Device::new(4);
    let request = asked(&fourth, READ, gateway.address, &home).await;
    home.run(&["devices", "approve", &request]).done();
    let revoked = home.run(&["devices", "revoke", "--device", &fourth.id(), "--role", "operator", "--with-approved"]);
    assert!(revoked.json().get("approved").is_none() && revoked.stderr.is_empty(), "{revoked:?}");
    gateway.stop();
}
