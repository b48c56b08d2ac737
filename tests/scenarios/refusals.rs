//! What a refusal says, to whom, and that it is the same everywhere.

use openclaw_pairing::pairing::{Event, Refusal};
use serde_json::{Value, json};

use crate::client::{ADMIN, Device, SECRET, text};
use crate::running::{owner, records};
use crate::world::{AFAR, Real, World, needs_a_person, present};

const READ_WRITE: &[&str] = &["operator.read", "operator.write"];

#[tokio::test]
async fn s01_a_first_contact_leaves_a_visible_request() {
    let real = Real::new(json!({ "auth": { "mode": "token", "token": SECRET }, "trustedProxies": ["127.0.0.1"] }));
    let gateway = real.home.start();
    let device = Device::new(1);
    let tried = device.afar(READ_WRITE).connect(gateway.address, present().0).await;
    // Whatever the answer says is on record by now; that it is synced before it leaves, the tests of faults hold.
    let at_answer = records(&real.state);
    let refused = tried.refused().await;
    gateway.kill();
    let request = needs_a_person(&refused, "not-paired");
    let said = text(&refused.error["message"]).to_owned();
    let asked = at_answer.iter().find_map(|record| match &record.event {
        Event::PairingRequested(event) => Some((event.request.to_string(), event.address.ip().to_string())),
        _ => None,
    });
    assert_eq!(asked, Some((request.clone(), AFAR.to_owned())));
    let turned_away = at_answer.iter().find_map(|record| match &record.event {
        Event::ConnectionRefused(event) => match &event.refusal {
            Refusal::PairingRequired(need) => Some((need.request.to_string(), event.attempt.source.address().ip().to_string())),
            _ => None,
        },
        _ => None,
    });
    assert_eq!(turned_away, Some((request.clone(), AFAR.to_owned())));

    let check = async |running: bool| {
        let list = real.cli(&["devices", "list", "--json"]).await.done().json();
        assert_eq!(list["paired"], json!([]), "{running}");
        assert_eq!(list["pending"].as_array().map(Vec::len), Some(1));
        let entry = &list["pending"][0];
        assert_eq!((&entry["requestId"], &entry["deviceId"]), (&json!(request), &json!(device.id())));
        assert_eq!((&entry["role"], &entry["scopes"]), (&json!("operator"), &json!(READ_WRITE)));
        assert_eq!((&entry["isRepair"], &entry["remoteIp"]), (&json!(false), &json!(AFAR)));
        let logs = real.cli(&["logs"]).await.done().out;
        let lines: Vec<_> = logs.lines().filter(|line| line.contains("connection refused")).collect();
        assert_eq!(lines.len(), 1, "{logs}");
        assert!(lines[0].contains(&device.id()) && lines[0].contains("not-paired") && lines[0].ends_with(&said), "{logs}");
        let why = real.cli(&["devices", "why", &device.id()]).await.done().out;
        assert_eq!(why.lines().next(), Some(said.as_str()));
    };
    check(false).await;
    let gateway = real.home.start();
    check(true).await;
    assert_eq!(owner(&real.state, "status", json!({})).await.expect("a status")["devices"]["pending"], 1);
    gateway.stop();
}

#[tokio::test]
async fn s16_a_refusal_explains_itself_in_the_same_words_everywhere() {
    let world = World::new().await;
    let device = Device::new(1);
    world.pair(&device.afar(READ_WRITE).client("gateway-client", "backend")).await;
    let refused = world.gateway.refuse(&device.afar(ADMIN).client("gateway-client", "backend")).await;
    let request = needs_a_person(&refused, "scope-upgrade");
    let details = &refused.error["details"];
    assert_eq!(details["requestedScopes"], json!(ADMIN));
    assert_eq!(details["approvedScopes"], json!(READ_WRITE));
    assert_eq!(details["missingScopes"], json!(ADMIN));
    let reason = &refused.close.1;
    assert!(reason.contains("scope-upgrade") && reason.contains(&request) && reason.len() <= 123, "{reason}");

    let command = format!("openclaw devices approve {request}");
    let never = ["not running", "unreachable", "no close reason"];
    let said = world.run(&world.pocket(&device), &["devices", "list"]).await;
    said.refused(&[&command, "the gateway is running and refused"], &never);
    let said = world.run(&world.pocket(&device), &["devices", "list", "--json"]).await.refused(&[&command], &never);
    let error = &said.json()["error"];
    assert!(text(&error["message"]).contains(&command) && error["exitCode"] == 1, "{error}");
    assert_eq!(error["details"]["requestId"], json!(request));

    let sentence = text(&refused.error["message"]);
    let why = world.owner(&["devices", "why", &device.id()]).await.done().out;
    assert_eq!(why.lines().next(), Some(sentence));
    let pending = world.list().await["pending"].clone();
    assert_eq!((pending.as_array().map(Vec::len), &pending[0]["message"]), (Some(1), &json!(sentence)));
    assert_eq!(world.log(&["connection refused", "gateway-client", sentence]).await.len(), 1);
    let audit = world.owner(&["audit", "--request", &request, "--json"]).await.done().json();
    let events = audit["events"].as_array().expect("events").iter();
    let is_of = |event: &&Value| event["fields"]["attempt"]["client"]["id"] == "gateway-client";
    let attempts: Vec<_> = events.filter(|event| event["event"] == "ConnectionRefused").filter(is_of).collect();
    let (source, need) = (&attempts[0]["fields"]["attempt"]["source"], &attempts[0]["fields"]["refusal"]["need"]);
    assert_eq!((attempts.len(), &source["claimed"]), (1, &json!(AFAR)));
    assert_eq!((&need["reason"], &need["request"]), (&json!("scope-upgrade"), &json!(request)));
    assert!(attempts[0]["seq"].is_u64() && text(&attempts[0]["message"]).ends_with(sentence), "{audit}");
}
