//! What is wrong is refused as OpenClaw refuses it: the same code, message, details and close; and it is recorded.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ed25519_dalek::{Signature, Verifier as _, VerifyingKey};
use openclaw_pairing::host::Host as _;
use openclaw_pairing::limits;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};

use super::client::{ADMIN, Ask, Device, Heard, PAIRING, READ, Refused, SECRET, Socket, id_of};
use super::recorded;
use super::running::Running;

/// Refused as in the recording; our details may say more.
#[track_caller]
fn assert_like(name: &str, refused: &Refused) {
    let recorded = recorded::refusal(name);
    let (theirs, ours) = (&recorded["error"], &refused.error);
    assert_eq!(json!([refused.close.0, refused.close.1]), recorded["close"], "{name}");
    assert_eq!((&ours["code"], &ours["message"]), (&theirs["code"], &theirs["message"]), "{name}");
    for (key, value) in theirs["details"].as_object().into_iter().flatten() {
        assert_eq!(&ours["details"][key], value, "{name}: details.{key}");
    }
}

/// The close that answers a message which is no request, or none to be heard before `connect`.
async fn closed_after(gateway: &Running, first: Message) -> Refused {
    let mut socket = gateway.open().await;
    socket.send(first).await;
    match socket.hear().await {
        Heard::Frame(frame) => Refused { error: frame["error"].clone(), close: socket.end().await },
        Heard::Closed(code, reason) => Refused { error: Value::Null, close: (code, reason) },
        Heard::Gone => panic!("no close frame"),
    }
}

#[tokio::test]
async fn a_first_message_that_is_no_connect_is_closed_as_openclaw_closes_it() {
    let gateway = Running::start().await;
    let with_unknown_key = json!({ "type": "req", "id": "a", "method": "connect", "zzz": 1, "params": {} });
    for (name, message) in [
        ("first-frame-null", Message::text("null")),
        ("first-frame-array", Message::text("[1,2]")),
        ("first-frame-no-id", Message::text(r#"{"type":"req","method":"connect","params":{}}"#)),
        ("first-frame-extra-key", Message::text(with_unknown_key.to_string())),
        ("first-frame-event", Message::text(r#"{"type":"event","event":"connect"}"#)),
        ("first-frame-not-connect", Message::text(r#"{"type":"req","id":"r","method":"health"}"#)),
        ("first-frame-not-json", Message::text("hello")),
        ("first-frame-not-json", Message::binary(vec![0xff, 0xfe, 0])),
    ] {
        assert_like(name, &closed_after(&gateway, message).await);
    }
    let refused = gateway.log().await.into_iter().filter(|(event, _)| event == "ConnectionRefused").count();
    assert_eq!(refused, 8, "each is on record");
}

#[tokio::test]
async fn json_in_a_binary_message_is_json() {
    let gateway = Running::start().await;
    let mut socket = gateway.open().await;
    let params = Device::new(1).asks(READ).params(&socket.nonce, gateway.host.wall().0);
    let connect = json!({ "type": "req", "id": "1", "method": "connect", "params": params });
    socket.send(Message::binary(connect.to_string().into_bytes())).await;
    assert_eq!(socket.response("1").await.expect("let in")["type"], "hello-ok");
    socket.send(Message::binary(br#"{"type":"req","id":"2","method":"health"}"#.to_vec())).await;
    assert_eq!(socket.response("2").await.expect("granted")["ok"], true);
}

#[tokio::test]
async fn n04_a_stranger_may_send_65536_bytes_and_not_one_more() {
    let gateway = Running::start().await;
    let connect = |bytes: usize| {
        let filled = |fill: usize| Device::new(1).asks(READ).edit(move |params| params["userAgent"] = "x".repeat(fill).into());
        let frame = |params: Value| json!({ "type": "req", "id": "connect", "method": "connect", "params": params }).to_string();
        let bare = frame(filled(0).params("00000000-0000-4000-8000-000000000000", gateway.host.wall().0)).len();
        filled(bytes - bare)
    };
    gateway.admit(&connect(limits::PREAUTH_MESSAGE_BYTES)).await;
    assert_like("oversize-preauth-just-over", &gateway.refuse(&connect(limits::PREAUTH_MESSAGE_BYTES + 1)).await);
    assert_like("oversize-preauth-big", &gateway.refuse(&connect(300_000)).await);
    let mut socket = Socket::open_narrow(gateway.address).await;
    socket.send(Message::text("x".repeat(1_000_000))).await;
    assert_eq!(socket.end().await, (1009, String::new()), "who is still sending hears it too");
    let mut socket = gateway.open().await;
    for _ in 0..1_000 {
        socket.send(Message::Ping(vec![0; 125].into())).await;
    }
    assert_eq!(socket.end().await, (1009, String::new()), "pings count too");
}

#[tokio::test]
async fn n04_a_frame_that_breaks_the_protocol_ends_its_own_socket() {
    let gateway = Running::start().await;
    let bad_text = || Message::Frame(Frame::message(vec![0xff, 0xfe], OpCode::Data(Data::Text), true));
    let reserved = || {
        let mut frame = Frame::message(b"{}".to_vec(), OpCode::Data(Data::Text), true);
        frame.header_mut().rsv1 = true;
        Message::Frame(frame)
    };
    for message in [bad_text(), reserved()] {
        assert_like("first-frame-null", &closed_after(&gateway, message).await);
    }
    for (message, code) in [(bad_text(), 1007), (reserved(), 1002)] {
        let (mut socket, _) = gateway.admit(&Device::new(1).asks(READ)).await;
        socket.send(message).await;
        assert_eq!(socket.end().await, (code, String::new()));
    }
    let (mut socket, _) = gateway.admit(&Device::new(1).asks(READ)).await;
    let sent = socket.try_send(Message::binary(vec![b' '; limits::MESSAGE_BYTES + 1])).await;
    assert_eq!(socket.end().await, (1009, String::new()), "{sent:?}");
}

#[tokio::test]
async fn params_that_do_not_fit_are_named_with_their_place() {
    let gateway = Running::start().await;
    let ask = || Device::new(1).asks(READ);
    for (name, ask) in [
        ("invalid-extra-field", ask().edit(|params| params["bogus"] = 1.into())),
        ("invalid-extra-client-field", ask().edit(|params| params["client"]["bogus"] = 1.into())),
        ("invalid-missing-client", ask().edit(|params| drop(params.as_object_mut().expect("params").remove("client")))),
        ("invalid-empty-scope", ask().edit(|params| params["scopes"] = json!([""]))),
        ("nonce-absent", ask().edit(|params| drop(params["device"].as_object_mut().expect("a device").remove("nonce")))),
        ("nonce-empty", ask().edit(|params| params["device"]["nonce"] = "".into())),
        ("signedat-float", ask().edit(|params| params["device"]["signedAt"] = 1.5.into())),
        ("invalid-role", ask().edit(|params| params["role"] = "superuser".into())),
        ("protocol-too-old", ask().edit(|params| (params["minProtocol"], params["maxProtocol"]) = (1.into(), 2.into()))),
    ] {
        assert_like(name, &gateway.refuse(&ask).await);
    }
    // Where OpenClaw names every fault of the params, we name the first.
    let unlisted = gateway.refuse(&ask().edit(|params| params["client"]["id"] = "evil".into())).await;
    let message = "invalid connect params: at /client/id: must be equal to constant";
    assert_eq!((&unlisted.error["message"], unlisted.close), (&json!(message), (1008, message.to_owned())));
    gateway.admit(&ask().edit(|params| (params["minProtocol"], params["maxProtocol"]) = (1.into(), 9.into()))).await;
}

#[tokio::test]
async fn x08_a_signed_field_that_can_be_read_two_ways_is_malformed() {
    let gateway = Running::start().await;
    let device = Device::new(1);
    for scope in ["operator.read,operator.admin", "operator.read|x", "operator.read\n"] {
        let refused = gateway.refuse(&device.asks(&[scope])).await;
        assert!(
            refused.error["message"].as_str().is_some_and(|text| text.starts_with("invalid connect params: ")),
            "{refused:?}"
        );
        assert_eq!(refused.close.0, 1008);
    }
    let refused = gateway.refuse(&device.asks(READ).auth(json!({ "token": "a|b" }))).await;
    assert_eq!(refused.error["code"], "INVALID_REQUEST");
    assert_eq!(gateway.owner("device.pair.list", json!({})).await.expect("a list")["paired"], json!([]));
}

#[tokio::test]
async fn who_comes_without_a_device_is_told_so() {
    let gateway = Running::start().await;
    let page = format!("http://127.0.0.1:{}", gateway.address.port());
    let control_ui = |ask: Ask| ask.client("openclaw-control-ui", "ui");
    for (name, ask) in [
        ("token-missing-no-device", Ask::new(READ).auth(json!({}))),
        ("token-bad-no-device", Ask::new(READ).auth(json!({ "token": "wrong" }))),
        ("missing-device: control ui", control_ui(Ask::new(READ)).header("origin", &page)),
        ("missing-device: control ui without origin", control_ui(Ask::new(READ))),
        ("local-by-client: origin", control_ui(Device::new(1).asks(READ)).header("origin", "http://evil.example.test")),
    ] {
        assert_like(name, &gateway.refuse(&ask).await);
    }
    let node = gateway.refuse(&Ask::new(&[]).role("node")).await;
    assert_like("token-missing-no-device", &node);
}

#[tokio::test]
async fn a_device_that_does_not_prove_itself_is_refused_in_openclaws_order() {
    let gateway = Running::start().await;
    let device = Device::new(1);
    let edited = |field: &'static str, value: &str| {
        let value = value.to_owned();
        device.asks(READ).edit(move |params| params["device"][field] = value.clone().into())
    };
    let (skew, other) = (i64::try_from(limits::SIGNED_AT_SKEW_MS).expect("small"), Device::new(2));
    let shouted = device.id().to_uppercase();
    for (name, ask) in [
        ("same-id-different-key: identity", edited("id", &other.id())),
        ("same-id-different-key: identity", edited("id", &shouted)),
        ("same-id-different-key: identity", edited("publicKey", &URL_SAFE_NO_PAD.encode(other.public()))),
        ("same-id-different-key: identity", edited("publicKey", "no key")),
        ("stale-signedat-past", device.asks(READ).clock_ahead_ms(-skew - 1)),
        ("stale-signedat-future", device.asks(READ).clock_ahead_ms(skew + 1)),
        ("nonce-blank", edited("nonce", "   ")),
        ("nonce-wrong", edited("nonce", "00000000-0000-4000-8000-000000000000")),
        ("bad-signature", edited("signature", &URL_SAFE_NO_PAD.encode([b'x'; 64]))),
        ("bad-signature", edited("signature", &URL_SAFE_NO_PAD.encode([b'x'; 63]))),
        ("bad-signature", edited("signature", "!")),
        // Each fault hides those behind it.
        ("stale-signedat-past", edited("signature", "!").clock_ahead_ms(-skew - 1)),
        ("nonce-wrong", edited("nonce", "00000000-0000-4000-8000-000000000000").edit(|params| params["auth"] = json!({}))),
    ] {
        assert_like(name, &gateway.refuse(&ask).await);
    }
    for skew in [-skew, skew] {
        gateway.admit(&device.asks(READ).clock_ahead_ms(skew)).await;
    }
    for key in [format!("{}=", URL_SAFE_NO_PAD.encode(device.public())), STANDARD.encode(device.public())] {
        gateway.admit(&edited("publicKey", &key)).await;
    }
}

#[tokio::test]
async fn a01_a_connect_replayed_on_another_socket_or_after_a_restart_is_refused() {
    let gateway = Running::start().await;
    let device = Device::new(1);
    let mut first = gateway.open().await;
    let params = device.asks(READ).params(&first.nonce, gateway.host.wall().0);
    first.request("1", "connect", &params).await;
    first.response("1").await.expect("let in");
    let replayed = async |socket: &mut Socket| {
        socket.request("1", "connect", &params).await;
        let error = socket.response("1").await.expect_err("refused");
        assert_like("nonce-wrong", &Refused { error, close: socket.end().await });
    };
    replayed(&mut gateway.open().await).await;
    assert_eq!(first.denied("connect", params.clone()).await["message"], "missing scope: operator.admin");
    let gateway = gateway.stop().await.start().await;
    replayed(&mut gateway.open().await).await;
}

#[tokio::test]
async fn a02_every_signed_field_is_covered() {
    let gateway = Running::start().await;
    let device = Device::new(1);
    let changes: &[fn(&mut Value)] = &[
        |params| params["client"]["id"] = "test".into(),
        |params| params["client"]["mode"] = "test".into(),
        |params| params["role"] = "node".into(),
        |params| params["scopes"] = json!(["operator.read", "operator.admin"]),
        |params| params["scopes"] = json!([]),
        |params| params["device"]["signedAt"] = (params["device"]["signedAt"].as_u64().expect("a time") + 1).into(),
        |params| params["auth"] = json!({ "token": "another", "deviceToken": SECRET }),
        |params| params["auth"] = json!({}),
    ];
    let only_v3: &[fn(&mut Value)] =
        &[|params| params["client"]["platform"] = "ios".into(), |params| params["client"]["deviceFamily"] = "mac".into()];
    for form in ["v3", "v2"] {
        for change in changes {
            gateway.host.advance(limits::FAILURE_WINDOW_MS.default);
            assert_like("bad-signature", &gateway.refuse(&device.asks(READ).form(form).edit(change)).await);
        }
        // The id and the nonce are checked before the signature that covers them.
        let nonce = device.asks(READ).form(form).edit(|params| params["device"]["nonce"] = "x".into());
        assert_like("nonce-wrong", &gateway.refuse(&nonce).await);
    }
    for change in only_v3 {
        assert_like("bad-signature", &gateway.refuse(&device.asks(READ).edit(change)).await);
    }
    // A v2 signature leaves both out.
    let old = Device::new(2);
    for change in only_v3 {
        gateway.admit(&old.asks(READ).form("v2").edit(change)).await;
    }
    assert_like("bad-signature", &gateway.refuse(&device.asks(READ).form("v1")).await);
    // Platform and family are signed trimmed and in lower case.
    gateway.admit(&device.asks(READ).edit(|params| params["client"]["platform"] = " Linux ".into())).await;
}

/// A proof whose key and signature are these bytes.
fn proves(public: [u8; 32], signature: [u8; 64]) -> Ask {
    Device::new(1).asks(READ).edit(move |params| {
        params["device"]["id"] = id_of(&public).into();
        params["device"]["publicKey"] = URL_SAFE_NO_PAD.encode(public).into();
        params["device"]["signature"] = URL_SAFE_NO_PAD.encode(signature).into();
    })
}

#[tokio::test]
async fn a03_a_key_of_small_order_and_a_second_spelling_of_a_signature_prove_nothing() {
    let gateway = Running::start().await;
    // The neutral element as key and as R, with S = 0, is good for every text where nobody looks for it.
    let mut neutral = [0; 32];
    neutral[0] = 1;
    let mut signature = [0; 64];
    signature[0] = 1;
    let lax = VerifyingKey::from_bytes(&neutral).expect("a point");
    assert!(lax.verify(b"anything", &Signature::from_bytes(&signature)).is_ok(), "or these bytes test nothing");
    assert_like("bad-signature", &gateway.refuse(&proves(neutral, signature)).await);
    // Orders 2 and 4.
    let mut minus_one = [0xff; 32];
    (minus_one[0], minus_one[31]) = (0xec, 0x7f);
    for key in [minus_one, [0; 32]] {
        assert_like("bad-signature", &gateway.refuse(&proves(key, signature)).await);
    }

    let ask = Device::new(1).asks(READ).edit(|params| {
        let text = params["device"]["signature"].as_str().expect("a text");
        let mut bytes = URL_SAFE_NO_PAD.decode(text).expect("base64");
        // S plus the order of the group: the same number to whoever reduces it.
        let order = hex("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010");
        let mut carry = 0;
        for (digit, more) in bytes[32..].iter_mut().zip(order) {
            let sum = u16::from(*digit) + u16::from(more) + carry;
            (*digit, carry) = (u8::try_from(sum & 0xff).expect("a byte"), sum >> 8);
        }
        params["device"]["signature"] = URL_SAFE_NO_PAD.encode(bytes).into();
    });
    assert_like("bad-signature", &gateway.refuse(&ask).await);
    assert_eq!(gateway.owner("device.pair.list", json!({})).await.expect("a list")["paired"], json!([]));
}

fn hex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).expect("hex")).collect()
}

#[tokio::test]
async fn credentials_that_do_not_do_are_told_with_the_hint_of_each_client() {
    let gateway = Running::start().await;
    let device = Device::new(1);
    for (name, auth) in [
        ("token-missing-with-device", json!({})),
        ("token-empty-with-device", json!({ "token": "" })),
        ("token-bad-with-device", json!({ "token": "wrong" })),
        ("password-when-token-mode", json!({ "password": SECRET })),
        ("devicetoken-bad", json!({ "token": "wrong", "deviceToken": "wrong too" })),
        ("bootstrap-bad", json!({ "bootstrapToken": "wrong" })),
    ] {
        assert_like(name, &gateway.refuse(&device.asks(READ).auth(auth)).await);
    }
    for (client, hint) in [
        (("gateway-client", "ui"), "open the dashboard URL and paste the token in Control UI settings"),
        (("gateway-client", "backend"), "provide gateway auth token"),
    ] {
        let wrong = device.asks(READ).client(client.0, client.1).auth(json!({ "token": "wrong" }));
        let message = format!("unauthorized: gateway token mismatch ({hint})");
        let refused = gateway.refuse(&wrong).await;
        assert_eq!((refused.error["message"].as_str(), &refused.close.1), (Some(&*message), &message));
    }
    // A wrong device token beside the right secret does not matter.
    gateway.admit(&device.asks(READ).auth(json!({ "token": SECRET, "deviceToken": "wrong" }))).await;

    let gateway = Running::with(json!({ "auth": { "mode": "password", "password": SECRET } })).await;
    for (name, auth) in [
        ("mode-password: nothing, device", json!({})),
        ("mode-password: bad password, device", json!({ "password": "wrong" })),
        ("mode-password: password sent as token", json!({ "token": SECRET })),
    ] {
        assert_like(name, &gateway.refuse(&device.asks(READ).auth(auth)).await);
    }
    gateway.admit(&device.asks(READ).auth(json!({ "password": SECRET, "token": "wrong" }))).await;
}

#[tokio::test]
async fn with_auth_mode_none_a_device_is_still_needed() {
    let gateway = Running::with(json!({ "auth": { "mode": "none" } })).await;
    assert_like("token-missing-no-device", &gateway.refuse(&Ask::new(READ).auth(json!({}))).await);
    gateway.admit(&Device::new(1).asks(READ).auth(json!({}))).await;
    gateway.request(&Device::new(2).asks(READ).auth(json!({})).remote()).await;
}

#[tokio::test]
async fn the_gate_asks_before_existence_does() {
    let gateway = Running::start().await;
    let invalid = |message: &str| json!({ "code": "INVALID_REQUEST", "message": message });
    let (mut reader, _) = gateway.admit(&Device::new(1).asks(READ)).await;
    for (method, message) in [
        ("no.such.method", "missing scope: operator.admin"),
        ("device.pair.list", "missing scope: operator.pairing"),
        ("device.pair.approve", "missing scope: operator.pairing"),
        ("send", "missing scope: operator.write"),
        ("cron.add", "missing scope: operator.admin"),
        ("connect", "missing scope: operator.admin"),
        ("exec.approval.resolve", "missing scope: operator.approvals"),
        ("node.event", "unauthorized role: operator"),
    ] {
        assert_eq!(reader.denied(method, json!({})).await, invalid(message), "{method}");
    }
    assert_eq!(
        reader.denied("logs.tail", json!({ "limit": 0 })).await,
        invalid("invalid logs.tail params: at /limit: must be >= 1")
    );
    let (mut admin, _) = gateway.admit(&Device::new(2).asks(ADMIN)).await;
    assert_eq!(admin.denied("no.such.method", json!({})).await, invalid("unknown method: no.such.method"));
    assert_eq!(admin.denied("sessions.list", json!({})).await["details"]["code"], "METHOD_NOT_SERVED");
    let (mut pairing, _) = gateway.admit(&Device::new(3).asks(PAIRING)).await;
    let message = "invalid device.pair.approve params: must have required property 'requestId'";
    assert_eq!(pairing.denied("device.pair.approve", json!({})).await, invalid(message));
    assert_eq!(pairing.denied("device.pair.approve", json!({ "requestId": "x" })).await, invalid("unknown requestId"));
    assert_eq!(pairing.denied("device.pair.remove", json!({ "deviceId": "x" })).await, invalid("unknown deviceId"));
}

#[tokio::test]
async fn a_frame_that_is_wrong_after_connect_is_answered_and_the_socket_stays() {
    let gateway = Running::start().await;
    let (mut socket, _) = gateway.admit(&Device::new(1).asks(READ)).await;
    for (frame, id, why) in [
        (r#"{"type":"req","method":"health"}"#, "invalid", "must have required property 'id'"),
        (r#""str""#, "invalid", "must be object"),
        ("null", "invalid", "must be object"),
        (r#"{"type":"req","id":"k","method":"health","zzz":1}"#, "k", "at root: unexpected property 'zzz'"),
        (r#"{"type":"req","id":"k","method":""}"#, "k", "at /method: must NOT have fewer than 1 characters"),
    ] {
        socket.say(frame).await;
        let error = socket.response(id).await.expect_err("refused");
        assert_eq!(error, json!({ "code": "INVALID_REQUEST", "message": format!("invalid request frame: {why}") }), "{frame}");
    }
    // What is not JSON gets no answer: the next one heard is that of the call behind it.
    socket.say("garbage").await;
    socket.send(Message::binary(vec![0xff])).await;
    socket.get("health", json!({})).await;
    for _ in 0..2 {
        socket.request("dup", "health", &json!({})).await;
    }
    for _ in 0..2 {
        socket.response("dup").await.expect("ids need not be unique");
    }
}

#[tokio::test]
async fn a_request_sent_behind_connect_is_answered() {
    let gateway = Running::start().await;
    let mut socket = gateway.open().await;
    let params = Device::new(1).asks(READ).params(&socket.nonce, gateway.host.wall().0);
    socket.request("1", "connect", &params).await;
    socket.request("2", "health", &json!({})).await;
    assert_eq!(socket.response("1").await.expect("let in")["type"], "hello-ok");
    assert_eq!(socket.response("2").await.expect("granted")["ok"], true);
}

#[tokio::test]
async fn x26_n05_repeated_keys_depth_and_broken_texts_are_refused_and_hurt_nobody() {
    let gateway = Running::start().await;
    let deep = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    let closed = |reason: &str| (1008, reason.to_owned());
    for (frame, close) in [
        (r#"{"type":"req","id":"1","method":"health","method":"connect"}"#.to_owned(), closed("invalid request frame")),
        (deep(30_000), closed("invalid request frame")),
        (format!(r#"{{"type":"req","id":"1","method":"connect","params":{}}}"#, deep(30_000)), closed("invalid request frame")),
        (r#"["req","1","connect",{}]"#.to_owned(), closed("invalid request frame")),
        (r#"{"type":"req","id":"\ud800","method":"connect"}"#.to_owned(), closed("invalid request frame")),
        (
            r#"{"type":"req","id":"1","method":"connect","params":{"minProtocol":3,"minProtocol":3}}"#.to_owned(),
            closed("invalid connect params: duplicate field `minProtocol`"),
        ),
        (
            r#"{"type":"req","id":"1","method":"connect","params":{"minProtocol":1e400}}"#.to_owned(),
            closed("invalid connect params: at /minProtocol: number out of range"),
        ),
    ] {
        assert_eq!(closed_after(&gateway, Message::text(frame.clone())).await.close, close, "{}", &frame[..frame.len().min(90)]);
    }
    let (mut socket, _) = gateway.admit(&Device::new(1).asks(READ)).await;
    socket.say(format!(r#"{{"type":"req","id":"1","method":"logs.tail","params":{}}}"#, deep(1_000_000))).await;
    let error = socket.response("1").await.expect_err("refused");
    assert_eq!(error["message"], format!("invalid request frame: nested deeper than {} levels", limits::JSON_DEPTH));
    socket.get("health", json!({})).await;
}

#[tokio::test]
async fn n03_a_socket_that_never_connects_is_closed_at_the_deadline() {
    let gateway = Running::start().await;
    let mut socket = gateway.open().await;
    tokio::time::pause();
    tokio::time::advance(limits::HANDSHAKE_DEADLINE).await;
    tokio::time::resume();
    assert_like("handshake-timeout", &Refused { error: Value::Null, close: socket.end().await });
    assert!(gateway.log().await.iter().any(|(_, sentence)| sentence.contains("handshake timeout")));
}

#[tokio::test]
async fn more_than_ten_calls_in_a_row_beyond_the_role_end_the_socket() {
    let gateway = Running::start().await;
    let (mut node, _) = gateway.admit(&Device::new(1).asks(&[]).client("node-host", "node").role("node")).await;
    for _ in 0..limits::UNAUTHORIZED_CALLS {
        assert_eq!(node.denied("status", json!({})).await["message"], "unauthorized role: node");
    }
    // Any other answer starts the count again.
    node.get("health", json!({})).await;
    for _ in 0..=limits::UNAUTHORIZED_CALLS {
        assert_eq!(node.denied("status", json!({})).await["message"], "unauthorized role: node");
    }
    assert_eq!(node.end().await, (1008, "repeated unauthorized calls".to_owned()));
}
