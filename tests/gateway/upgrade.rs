//! A device asks for more scopes on the connection that it has, and waits there for the answer (OpenClaw 2026.9.6).

use openclaw_pairing::limits;
use serde_json::{Value, json};

use super::client::{ADMIN, Ask, Device, Heard, PAIRING, READ, Socket, WRITE, text};
use super::running::Running;

const ASK: &str = "device.scopes.requestUpgrade";
const WAIT: &str = "device.scopes.waitUpgrade";

async fn asks(socket: &mut Socket, scopes: &[&str]) -> String {
    text(&socket.get(ASK, json!({ "scopes": scopes })).await["requestId"]).to_owned()
}

/// Says that it waits, and makes sure that it was heard: a call behind it is answered at once.
async fn waits(socket: &mut Socket, request: &str) {
    socket.request("wait", WAIT, &json!({ "requestId": request })).await;
    socket.get("health", json!({})).await;
}

#[tokio::test]
async fn what_is_asked_on_a_live_connection_is_answered_there_and_other_calls_go_on() {
    let gateway = Running::start().await;
    let device = Device::new(1);
    let (mut admin, _) = gateway.admit(&Device::new(2).asks(ADMIN)).await;
    let (mut socket, hello) = gateway.admit(&device.asks(READ).four()).await;
    let request = asks(&mut socket, &["operator.read", "operator.write"]).await;
    assert_eq!(asks(&mut socket, WRITE).await, request, "what it shows already is the same request");
    assert_eq!(admin.listed().await.0, [request.as_str()]);
    waits(&mut socket, &request).await;
    admin.get("device.pair.approve", json!({ "requestId": request })).await;
    let upgraded = socket.response("wait").await.expect("an answer");
    let token = &hello["auth"]["deviceToken"];
    let scopes = json!(["operator.read", "operator.write"]);
    assert_eq!(upgraded, json!({ "status": "approved", "requestId": request, "deviceToken": token, "scopes": scopes }));
    // The connection keeps what it had; the next one has more.
    assert_eq!(socket.denied("send", json!({})).await["code"], "FORBIDDEN");
    gateway.admit(&device.returns(text(token), WRITE)).await;
    assert_eq!(socket.get(WAIT, json!({ "requestId": request })).await["status"], "approved", "and again");
    assert!(socket.denied(ASK, json!({ "scopes": WRITE })).await["message"].is_string(), "it holds that already");
}

#[tokio::test]
async fn every_other_end_is_told_as_what_it_is() {
    let gateway = Running::start().await;
    let (mut admin, _) = gateway.admit(&Device::new(2).asks(ADMIN)).await;
    let (mut socket, _) = gateway.admit(&Device::new(1).asks(READ).four()).await;
    let rejected = asks(&mut socket, WRITE).await;
    waits(&mut socket, &rejected).await;
    admin.get("device.pair.reject", json!({ "requestId": rejected })).await;
    assert_eq!(socket.response("wait").await.expect("an answer"), json!({ "status": "rejected", "requestId": rejected }));

    let old = asks(&mut socket, WRITE).await;
    waits(&mut socket, &old).await;
    socket.request("ask", ASK, &json!({ "scopes": PAIRING })).await;
    // The one or the other comes first.
    let mut answers: Vec<Value> = vec![];
    while answers.len() < 2 {
        match socket.hear().await {
            Heard::Frame(frame) if frame["type"] == "res" => answers.push(frame),
            Heard::Frame(_) => {}
            end => panic!("{end:?}"),
        }
    }
    answers.sort_by_key(|frame| frame["id"].to_string());
    let successor = &answers[0]["payload"]["requestId"];
    assert_eq!(answers[1]["payload"], json!({ "status": "rejected", "requestId": old, "supersededBy": successor }));

    waits(&mut socket, text(successor)).await;
    gateway.host.advance(10 * 60 * 1_000);
    assert_eq!(socket.response("wait").await.expect("an answer"), json!({ "status": "expired", "requestId": successor }));
}

#[tokio::test]
async fn a05_nobody_waits_for_the_request_of_another_or_learns_whether_it_is_there() {
    let gateway = Running::start().await;
    let (mut socket, _) = gateway.admit(&Device::new(1).asks(READ).four()).await;
    let (mut other, _) = gateway.admit(&Device::new(2).asks(READ).four()).await;
    let request = asks(&mut socket, WRITE).await;
    let unknown = json!({ "code": "INVALID_REQUEST", "message": "unknown requestId" });
    for id in [request.as_str(), "not-an-id", "00000000-0000-4000-8000-000000000000"] {
        assert_eq!(other.denied(WAIT, json!({ "requestId": id })).await, unknown);
    }
    let (mut cli, _) = gateway.admit(&Ask::new(READ).four()).await;
    for (method, params) in [(ASK, json!({ "scopes": WRITE })), (WAIT, json!({ "requestId": request }))] {
        assert_eq!(cli.denied(method, params).await["details"]["code"], "DEVICE_IDENTITY_REQUIRED");
    }
    let (mut node, _) = gateway.admit(&Device::new(3).asks(&[]).client("node-host", "node").role("node")).await;
    assert_eq!(node.denied(ASK, json!({ "scopes": WRITE })).await["message"], "unauthorized role: node");
}

#[tokio::test]
async fn what_waits_and_what_is_asked_has_a_bound() {
    let gateway = Running::start().await;
    let (mut socket, _) = gateway.admit(&Device::new(1).asks(READ).four()).await;
    let request = asks(&mut socket, WRITE).await;
    for _ in 0..limits::WAITING_CALLS {
        waits(&mut socket, &request).await;
    }
    let error = socket.denied(WAIT, json!({ "requestId": request })).await;
    assert_eq!((&error["code"], &error["retryable"]), (&json!("UNAVAILABLE"), &json!(true)));
    let many: Vec<_> = (0..=limits::UPGRADE_SCOPES).map(|n| format!("operator.s{n}")).collect();
    for (scopes, why) in [(json!([]), "fewer than 1"), (json!(many), "more than 8")] {
        let error = socket.denied(ASK, json!({ "scopes": scopes })).await;
        assert_eq!(error["message"], format!("invalid {ASK} params: at /scopes: must NOT have {why} items"));
    }
}
