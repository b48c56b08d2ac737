//! Protocol 3 (OpenClaw 2026.3.13) and protocol 4 (2026.9.6) side by side: where they differ, each client hears its own.

use openclaw_pairing::host::Host as _;
use openclaw_pairing::limits;
use serde_json::{Value, json};

use super::client::{ADMIN, Ask, CLI, Device, Heard, READ, WRITE, text};
use super::running::Running;

const OLD: &str = "2026.3.13";
const NEW: &str = "2026.9.6";

fn speaks(ask: Ask, min: u8, max: u8) -> Ask {
    ask.edit(move |params| (params["minProtocol"], params["maxProtocol"]) = (min.into(), max.into()))
}

#[tokio::test]
async fn the_newest_protocol_that_both_speak_is_agreed_on() {
    let gateway = Running::start().await;
    for (min, max, agreed, release) in [(1, 3, 3, OLD), (3, 3, 3, OLD), (3, 4, 4, NEW), (4, 4, 4, NEW), (1, 9, 4, NEW)] {
        let (_socket, hello) = gateway.admit(&speaks(Ask::new(READ), min, max)).await;
        assert_eq!((&hello["protocol"], &hello["server"]["version"]), (&json!(agreed), &json!(release)), "{min} to {max}");
    }
    for (min, max, expected) in [(1, 2, 3), (5, 9, 4), (4, 3, 4)] {
        let refused = gateway.refuse(&speaks(Ask::new(READ), min, max)).await;
        let details = json!({
            "code": "PROTOCOL_MISMATCH",
            "expectedProtocol": expected,
            "minimumProbeProtocol": 3,
            "clientMinProtocol": min,
            "clientMaxProtocol": max,
        });
        assert_eq!((&refused.error["message"], &refused.error["details"]), (&json!("protocol mismatch"), &details));
        assert_eq!(refused.close, (1002, "protocol mismatch".to_owned()));
    }
}

#[tokio::test]
async fn hello_ok_of_protocol_4_always_says_as_what_one_was_let_in() {
    let gateway = Running::start().await;
    let device = Device::new(1);
    let asked = ["operator.pairing", "operator.admin", "operator.read"];
    let (_socket, hello) = gateway.admit(&device.asks(&asked).four()).await;
    let auth = &hello["auth"];
    assert_eq!((&auth["method"], &auth["role"], &auth["scopes"]), (&json!("token"), &json!("operator"), &json!(asked)));
    assert!(auth["issuedAtMs"].is_u64());
    assert_eq!(hello["features"]["capabilities"], json!([]));

    let (_socket, hello) = gateway.admit(&device.returns(text(&auth["deviceToken"]), READ).four()).await;
    assert_eq!((&hello["auth"]["method"], &hello["auth"]["scopes"]), (&json!("device-token"), &json!(READ)));
    assert_eq!(hello["auth"]["deviceToken"], auth["deviceToken"], "the same token again");

    let (_socket, hello) = gateway.admit(&Ask::new(READ).four()).await;
    assert_eq!(hello["auth"], json!({ "method": "token", "role": "operator", "scopes": READ }), "no device, no token");
    let (_socket, hello) = gateway.admit(&Ask::new(READ)).await;
    assert_eq!((hello.get("auth"), hello["features"].get("capabilities")), (None, None), "protocol 3 does not know them");
    let (_socket, hello) = gateway.admit(&device.asks(READ)).await;
    assert_eq!(hello["auth"]["scopes"], json!(["operator.admin", "operator.pairing", "operator.read"]), "the token's");
}

#[tokio::test]
async fn what_only_the_newer_release_says_at_connect_is_heard_and_in_frames_too() {
    let gateway = Running::start().await;
    let newer = |params: &mut Value| {
        params["client"]["buildId"] = "b".into();
        params["client"]["timeZone"] = "Europe/Vienna".into();
        for field in ["computerUse", "workerRuns", "modelCatalog"] {
            params[field] = json!({ "any": ["thing"] });
        }
        params["auth"]["approvalRuntimeToken"] = "opens nothing".into();
        params["auth"]["agentRuntimeIdentityToken"] = "neither".into();
    };
    let worker = Device::new(1).asks(READ).client("openclaw-worker", "worker").four().edit(newer);
    let (mut socket, _) = gateway.admit(&worker).await;
    let call =
        json!({ "type": "req", "id": "1", "method": "health", "traceparent": "00-1", "expectedProfileId": "gateway-owner" });
    socket.say(call.to_string()).await;
    assert_eq!(socket.response("1").await.expect("granted")["ok"], true);
    for id in ["openclaw-tui", "openclaw-linux", "openclaw-watchos"] {
        gateway.admit(&Ask::new(READ).client(id, "ui").four()).await;
    }
}

/// The numbers of the pushes that came so far.
async fn numbers(socket: &mut super::client::Socket) -> Vec<u64> {
    socket.get("health", json!({})).await;
    socket.events.drain(..).map(|event| event["seq"].as_u64().expect("a number")).collect()
}

#[tokio::test]
async fn protocol_4_counts_the_pushes_of_each_connection_and_protocol_3_those_of_the_gateway() {
    let gateway = Running::start().await;
    let (mut three, _) = gateway.admit(&Device::new(1).asks(ADMIN)).await;
    let (mut four, _) = gateway.admit(&Device::new(2).asks(ADMIN).four()).await;
    let (mut reader, _) = gateway.admit(&Device::new(3).asks(READ).four()).await;
    let before = numbers(&mut three).await.last().copied().unwrap_or_default();
    numbers(&mut four).await;
    for seed in 4..=6 {
        gateway.request(&Device::new(seed).asks(READ).remote()).await;
    }
    let (old, new) = (numbers(&mut three).await, numbers(&mut four).await);
    assert_eq!(old.len(), 3);
    assert!(old.iter().all(|number| *number > before) && old.is_sorted(), "{old:?}");
    // Its first push was about the reader's pairing.
    assert_eq!(new, [2, 3, 4]);
    assert_eq!(numbers(&mut reader).await, Vec::<u64>::new(), "who hears nothing counts nothing");
}

#[tokio::test]
async fn a_missing_scope_is_forbidden_in_protocol_4_and_invalid_in_protocol_3() {
    let gateway = Running::start().await;
    let (mut old, _) = gateway.admit(&Device::new(1).asks(READ)).await;
    let (mut new, _) = gateway.admit(&Device::new(2).asks(READ).four()).await;
    for (method, scope) in [("device.pair.list", "operator.pairing"), ("send", "operator.write"), ("no.such", "operator.admin")] {
        let message = format!("missing scope: {scope}");
        let invalid = json!({ "code": "INVALID_REQUEST", "message": message });
        assert_eq!(old.denied(method, json!({})).await, invalid);
        let details = json!({ "code": "MISSING_SCOPE", "missingScope": scope, "requiredScopes": [scope] });
        assert_eq!(new.denied(method, json!({})).await, json!({ "code": "FORBIDDEN", "message": message, "details": details }));
    }
}

#[tokio::test]
async fn a_method_of_openclaw_itself_is_refused_as_such_to_whoever_might_call_it() {
    let gateway = Running::start().await;
    let (mut admin, _) = gateway.admit(&Ask::new(CLI).four()).await;
    let (mut writer, _) = gateway.admit(&Device::new(1).asks(WRITE)).await;
    for (method, may_write) in
        [("board.get", true), ("sessions.send", true), ("talk.speak", true), ("node.pair.verify", false), ("wizard.start", false)]
    {
        let error = admin.denied(method, json!({})).await;
        assert_eq!((&error["code"], &error["details"]["code"]), (&json!("UNAVAILABLE"), &json!("METHOD_NOT_SERVED")), "{method}");
        let error = writer.denied(method, json!({})).await;
        assert_eq!(error["details"]["code"] == "METHOD_NOT_SERVED", may_write, "{method}: {error}");
    }
    let error = admin.denied("no.such", json!({})).await;
    assert_eq!(error, json!({ "code": "INVALID_REQUEST", "message": "unknown method: no.such" }));
    for method in ["node.event", "node.invoke.progress"] {
        assert_eq!(admin.denied(method, json!({})).await["message"], "unauthorized role: operator");
    }
}

#[tokio::test]
async fn the_hint_is_the_one_that_each_release_gives() {
    let gateway = Running::start().await;
    let wrong = || Device::new(1).asks(READ).auth(json!({ "token": "wrong" }));
    let here = "use this gateway's gateway.auth.token or pair the device";
    let anywhere = "set gateway.remote.token to match gateway.auth.token";
    for (ask, hint) in [
        (wrong(), anywhere),
        (wrong().four(), here),
        (wrong().four().header("x-forwarded-for", "203.0.113.9"), anywhere),
        (wrong().four().client("gateway-client", "backend"), "provide gateway auth token"),
    ] {
        let refused = gateway.refuse(&ask).await;
        assert_eq!(refused.error["message"], format!("unauthorized: gateway token mismatch ({hint})"));
    }
}

#[tokio::test]
async fn an_operator_names_a_device_and_those_who_may_see_it_hear_that_something_changed() {
    let gateway = Running::start().await;
    let (owner, other) = (Device::new(1), Device::new(2));
    let (mut admin, _) = gateway.admit(&owner.asks(ADMIN).four()).await;
    let (mut approver, _) = gateway.admit(&other.asks(&["operator.pairing"]).four()).await;
    let (mut third, _) = gateway.admit(&Device::new(3).asks(&["operator.pairing"]).four()).await;
    for socket in [&mut admin, &mut approver, &mut third] {
        socket.get("health", json!({})).await;
        socket.events.clear();
    }
    let named = admin.get("device.pair.rename", json!({ "deviceId": other.id(), "label": "  Kitchen  " })).await;
    assert_eq!(named, json!({ "deviceId": other.id(), "label": "Kitchen" }));
    for socket in [&mut admin, &mut approver] {
        assert_eq!(socket.push("device.pair.changed").await, json!({}));
    }
    third.get("health", json!({})).await;
    assert!(third.events.is_empty(), "no more than the list tells: {:?}", third.events);
    let list = admin.get("device.pair.list", json!({})).await;
    let labels: Vec<_> =
        list["paired"].as_array().expect("a list").iter().filter_map(|entry| entry["operatorLabel"].as_str()).collect();
    assert_eq!(labels, ["Kitchen"]);

    let long = "x".repeat(limits::LABEL_CHARS + 1);
    for (label, why) in [("", "fewer than 1"), (" ", "fewer than 1"), (long.as_str(), "more than 64")] {
        let error = admin.denied("device.pair.rename", json!({ "deviceId": other.id(), "label": label })).await;
        let message = format!("invalid device.pair.rename params: at /label: must NOT have {why} characters");
        assert_eq!(error["message"], message);
    }
    assert_eq!(approver.get("device.pair.rename", json!({ "deviceId": other.id(), "label": "Mine" })).await["label"], "Mine");
    approver.denied("device.pair.rename", json!({ "deviceId": owner.id(), "label": "Not mine" })).await;
}

#[tokio::test]
async fn both_hear_of_a_stop_in_their_own_words() {
    let gateway = Running::start().await;
    let (mut old, _) = gateway.admit(&Ask::new(READ)).await;
    let (mut new, _) = gateway.admit(&Ask::new(READ).four()).await;
    let mut unknown = gateway.open().await;
    let stopping = tokio::spawn(gateway.stop());
    assert_eq!(old.push("shutdown").await, json!({ "reason": "gateway stopping", "restartExpectedMs": null }));
    assert_eq!(new.push("shutdown").await, json!({ "reason": "gateway stopping" }));
    for socket in [&mut old, &mut new, &mut unknown] {
        assert_eq!(socket.hear().await, Heard::Closed(1012, "service restart".to_owned()));
    }
    stopping.await.expect("stopped");
}

#[tokio::test]
async fn what_is_sent_right_behind_connect_is_answered_after_it() {
    let gateway = Running::start().await;
    for ask in [Device::new(1).asks(READ), Device::new(1).asks(READ).four()] {
        let mut socket = gateway.open().await;
        let params = ask.params(&socket.nonce, gateway.host.wall().0);
        socket.request("connect", "connect", &params).await;
        // More than a stranger may send at all: by the time it is read, it is no stranger.
        let long = "x".repeat(limits::PREAUTH_MESSAGE_BYTES * 2);
        for id in ["1", "2", long.as_str()] {
            socket.request(id, "health", &json!({})).await;
        }
        for id in ["connect", "1", "2", long.as_str()] {
            socket.response(id).await.expect("granted");
        }
    }
    for ask in [Device::new(2).asks(READ).remote(), Device::new(2).asks(READ).remote().four()] {
        let mut socket = ask.open(gateway.address).await;
        let params = ask.params(&socket.nonce, gateway.host.wall().0);
        socket.request("connect", "connect", &params).await;
        socket.request("1", "health", &json!({})).await;
        assert_eq!(socket.response("connect").await.expect_err("refused")["code"], "NOT_PAIRED");
        let (code, reason) = socket.end().await;
        assert!(code == 1008 && reason.starts_with("pairing required"), "{code} {reason}: and nothing else is answered");
    }
}

#[tokio::test]
async fn a_control_ui_that_waits_for_a_person_is_told_to_try_again() {
    let gateway = Running::start().await;
    let page = format!("http://127.0.0.1:{}", gateway.address.port());
    let ask = |seed| Device::new(seed).asks(READ).client("openclaw-control-ui", "webchat").header("origin", &page);
    let details = gateway.refuse(&ask(1).four()).await.error["details"].clone();
    let told = (&details["recommendedNextStep"], &details["retryable"], &details["pauseReconnect"]);
    assert_eq!(told, (&json!("wait_then_retry"), &json!(true), &json!(false)), "{details}");
    let others = [ask(2), Device::new(3).asks(READ).remote().four()];
    for ask in others {
        assert_eq!(gateway.refuse(&ask).await.error["details"].get("pauseReconnect"), None);
    }
}
