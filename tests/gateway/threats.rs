//! Rows of the threats that only a socket can show: pages of this host, requests and frames that read two ways, texts of strangers.

use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use openclaw_pairing::host::Host as _;
use openclaw_pairing::limits;
use openclaw_pairing::pairing::{Actor, Description, Event};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;

use super::client::{ADMIN, Ask, Device, Heard, PATIENCE, READ, Refused, SECRET, text};
use super::running::Running;

// --- the owner --------------------------------------------------------------------------------------------------

#[tokio::test]
async fn a15_where_every_admin_is_gone_the_owner_makes_another_and_is_recorded_as_the_owner() {
    let gateway = Running::start().await;
    let (last, next) = (Device::new(1), Device::new(2));
    let (mut admin, _) = gateway.admit(&last.asks(ADMIN)).await;
    admin.get("device.token.revoke", json!({ "deviceId": last.id(), "role": "operator" })).await;
    let request = gateway.request(&next.asks(ADMIN).remote()).await;
    // Nobody who connects may answer it any more, the shared secret or not.
    gateway.request(&last.asks(ADMIN)).await;
    let (mut secret, _) = gateway.admit(&Ask::new(ADMIN).remote()).await;
    secret.denied("device.pair.approve", json!({ "requestId": request })).await;
    gateway.owner("device.pair.approve", json!({ "requestId": request })).await.expect("approved");
    gateway.admit(&next.asks(ADMIN).remote()).await;
    let records = gateway.stop().await.records();
    let approved = records.iter().rev().find(|record| matches!(record.event, Event::PairingApproved(_))).expect("on record");
    let Actor::Owner(person) = &approved.actor else { panic!("the owner, not {:?}", approved.actor) };
    assert_eq!((person.uid, person.pid), (rustix::process::geteuid().as_raw(), std::process::id()));
}

// --- guesses ----------------------------------------------------------------------------------------------------

fn is_spent(refused: &Refused) -> bool {
    let error = &refused.error;
    if error["details"]["code"] != "AUTH_RATE_LIMITED" {
        return false;
    }
    assert!(error["retryAfterMs"].as_u64().is_some_and(|ms| ms > 0 && ms <= limits::FAILURE_REST_MS), "{error}");
    true
}

async fn is_in(gateway: &Running, ask: &Ask) -> bool {
    matches!(gateway.connect(ask).await.heard, Heard::Frame(frame) if frame["ok"] == true)
}

/// Each guess of the shared secret is one, whatever stands beside it and over however many sockets it comes; then not even the
/// right one is looked at. It is no exemption that this is loopback.
#[tokio::test]
async fn a11_guessing_comes_to_nothing_whatever_else_is_sent() {
    let known = Device::new(1);
    type Guess = fn(&Device, &str, usize) -> Ask;
    let guesses: [(&str, Guess); 6] = [
        ("alone", |_, _, n| Ask::new(READ).auth(json!({ "token": format!("guess {n}") }))),
        ("by strangers", |_, _, n| {
            Device::new(100 + u8::try_from(n).expect("few")).asks(READ).auth(json!({ "token": format!("guess {n}") }))
        }),
        ("beside a bogus device token", |known, _, n| {
            known.asks(READ).auth(json!({ "token": format!("guess {n}"), "deviceToken": "bogus" }))
        }),
        ("beside its own", |known, token, n| {
            known.asks(READ).auth(json!({ "token": format!("guess {n}"), "deviceToken": token }))
        }),
        ("in the other field", |known, token, n| {
            known.asks(READ).four().auth(json!({ "token": token, "password": format!("guess {n}") }))
        }),
        ("as its own token", |known, _, n| known.asks(READ).auth(json!({ "deviceToken": format!("guess {n}") }))),
    ];
    for (how, guess) in guesses {
        let gateway = Running::start().await;
        let (_, hello) = gateway.admit(&known.asks(READ)).await;
        let token = text(&hello["auth"]["deviceToken"]).to_owned();
        let mut refused = 0;
        for n in 0..limits::FAILURE_PER_ADDRESS.default as usize {
            refused += usize::from(!is_in(&gateway, &guess(&known, &token, n)).await);
        }
        assert!(refused == 0 || refused == limits::FAILURE_PER_ADDRESS.default as usize, "{how}");
        for n in 0..30 {
            assert!(is_spent(&gateway.refuse(&guess(&known, &token, 50 + n)).await), "{how}");
        }
        // Nobody learns that it was right.
        let right = guess(&known, &token, 99).auth(json!({ "token": SECRET }));
        assert!(is_spent(&gateway.refuse(&right).await), "{how}");
        // The owner has no budget, and all is well after a while.
        gateway.owner("device.pair.list", json!({})).await.expect("a list");
        gateway.host.advance(limits::FAILURE_REST_MS);
        gateway.admit(&known.asks(READ)).await;
    }
}

/// A neighbour, a page and whoever claims to be a paired device may all be wrong as often as they like: the device comes in.
#[tokio::test]
async fn x24_nobody_spends_the_budget_of_a_paired_device_for_it() {
    let gateway = Running::start().await;
    let device = Device::new(1);
    let (_, hello) = gateway.admit(&device.asks(READ)).await;
    let token = text(&hello["auth"]["deviceToken"]).to_owned();
    let origin = format!("http://127.0.0.1:{}", gateway.address.port());
    let bad = URL_SAFE_NO_PAD.encode([7; 64]);
    let floods: [&dyn Fn(usize) -> Ask; 4] = [
        &|n| Ask::new(READ).auth(json!({ "token": format!("guess {n}") })),
        &|n| Ask::new(READ).auth(json!({ "token": format!("guess {n}") })).header("origin", &origin),
        // Its id and its key are no secret; its signature is.
        &|_| {
            device.asks(READ).edit({
                let bad = bad.clone();
                move |params| params["device"]["signature"] = bad.clone().into()
            })
        },
        &|n| Device::new(2).asks(READ).auth(json!({ "token": SECRET.repeat(2), "deviceToken": format!("guess {n}") })),
    ];
    for (place, flood) in floods.iter().enumerate() {
        for n in 0..2 * limits::FAILURE_PER_ADDRESS.default as usize {
            gateway.refuse(&flood(n)).await;
        }
        for ask in [device.asks(READ), device.returns(&token, READ)] {
            let (mut socket, _) = gateway.admit(&ask).await;
            socket.get("health", json!({})).await;
        }
        // Who is no paired device and was not told apart from the flood waits like it, but for a page's.
        let newcomer = is_in(&gateway, &Device::new(20 + u8::try_from(place).expect("few")).asks(READ)).await;
        assert_eq!(newcomer, place == 1, "flood {place}");
        gateway.host.advance(limits::FAILURE_REST_MS);
    }
}

// --- pages and upgrades -----------------------------------------------------------------------------------------

/// A page elsewhere on this host has the secret, and is nobody.
#[tokio::test]
async fn x21_a_page_on_another_port_or_name_of_this_host_is_not_let_in() {
    let config = json!({ "auth": { "token": SECRET }, "controlUi": { "allowedOrigins": ["http://listed.example.test:8080", "*", "null"] } });
    let gateway = Running::with(config).await;
    let (ours, device) = (gateway.address.port(), Device::new(1));
    let other = if ours == 3000 { 3001 } else { 3000 };
    for host in ["localhost", "127.0.0.1", "[::1]", "LOCALHOST", "localhost.", "127.0.0.2", "0.0.0.0", "my-host.localhost"] {
        for (scheme, port) in [("http", other), ("https", ours), ("https", other), ("ws", ours)] {
            let origin = format!("{scheme}://{host}:{port}");
            for ask in [device.asks(ADMIN), Ask::new(ADMIN), device.asks(ADMIN).client("openclaw-control-ui", "ui")] {
                let refused = gateway.refuse(&ask.header("origin", &origin)).await;
                assert_eq!(refused.error["details"]["code"], "CONTROL_UI_ORIGIN_NOT_ALLOWED", "{origin}");
            }
        }
    }
    for origin in
        ["null", "*", "http://listed.example.test", "http://listed.example.test:80800", "file://", "chrome-extension://x"]
    {
        let refused = gateway.refuse(&device.asks(ADMIN).header("origin", origin)).await;
        assert_eq!(refused.error["details"]["code"], "CONTROL_UI_ORIGIN_NOT_ALLOWED", "{origin}");
    }
    let paired = gateway.owner("device.pair.list", json!({})).await.expect("a list");
    assert_eq!((&paired["paired"], &paired["pending"]), (&json!([]), &json!([])), "not even a request");
    // From where it may come it is a page all the same: a person is asked.
    for origin in [format!("http://127.0.0.1:{ours}"), "http://listed.example.test:8080".to_owned()] {
        gateway.request(&device.asks(ADMIN).header("origin", &origin)).await;
    }
}

const UPGRADE: &str = "GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n";

/// Everything that comes back until the other end closes.
async fn until_closed(stream: &mut TcpStream) -> String {
    let mut answer = vec![];
    let read = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut answer)).await.expect("it is closed");
    assert!(read.is_ok() || !answer.is_empty(), "{read:?}");
    String::from_utf8_lossy(&answer).into_owned()
}

/// A frame as a client sends it, masked with zeros.
fn masked(opcode: u8, payload: &[u8]) -> Vec<u8> {
    let length = u8::try_from(payload.len()).ok().filter(|length| *length < 126).expect("a short frame");
    [&[0x80 | opcode, 0x80 | length, 0, 0, 0, 0], payload].concat()
}

#[tokio::test]
async fn x23_bytes_behind_the_head_are_read_once_and_a_refused_upgrade_ends_the_socket() {
    let gateway = Running::start().await;
    // A frame in the same packet as the head is the first message, and the one behind it is the second.
    let mut stream = TcpStream::connect(gateway.address).await.expect("connected");
    let (ping, call) = (masked(9, b"ping-7"), masked(1, br#"{"type":"req","id":"1","method":"health"}"#));
    stream.write_all(&[format!("{UPGRADE}\r\n").as_bytes(), &ping, &call].concat()).await.expect("sent");
    let answer = until_closed(&mut stream).await;
    assert!(answer.starts_with("HTTP/1.1 101"), "{answer}");
    assert_eq!(answer.matches("ping-7").count(), 1, "{answer}");
    assert!(answer.contains("first request must be connect"), "{answer}");
    assert_eq!(gateway.log().await.iter().filter(|(event, _)| event == "ConnectionRefused").count(), 1);

    // What follows a refusal is not read: no proxy that believes in a tunnel gets one.
    for spoilt in ["Content-Length: 5\r\n", "Transfer-Encoding: chunked\r\n", "Upgrade: websocket\r\n", "Host: localhost\r\n"] {
        let mut stream = TcpStream::connect(gateway.address).await.expect("connected");
        let behind = "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n";
        stream.write_all(format!("{UPGRADE}{spoilt}\r\n{behind}").as_bytes()).await.expect("sent");
        let answer = until_closed(&mut stream).await;
        assert!(answer.starts_with("HTTP/1.1 400") && answer.matches("HTTP/1.1 ").count() == 1, "{spoilt}: {answer}");
    }

    // Each request is judged by its own headers, whatever the one before it on the same socket said.
    let mut stream = TcpStream::connect(gateway.address).await.expect("connected");
    let ready = |headers: &str| format!("GET /readyz HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n");
    let requests =
        [ready("X-Forwarded-For: 203.0.113.9\r\n"), ready(""), ready("X-Forwarded-For: 127.0.0.1\r\nConnection: close\r\n")];
    stream.write_all(requests.concat().as_bytes()).await.expect("sent");
    let answer = until_closed(&mut stream).await;
    assert_eq!((answer.matches(r#"{"ready":true}"#).count(), answer.matches("uptimeMs").count()), (2, 1), "{answer}");
}

#[tokio::test]
async fn x25_no_extension_and_no_subprotocol_is_agreed_to() {
    let gateway = Running::start().await;
    for headers in [
        "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n",
        "Sec-WebSocket-Extensions: permessage-deflate\r\nSec-WebSocket-Extensions: x-webkit-deflate-frame\r\n",
        "Sec-WebSocket-Protocol: openclaw\r\n",
        "Sec-WebSocket-Protocol: a, b\r\nSec-WebSocket-Extensions: permessage-bzip2\r\n",
    ] {
        let mut stream = TcpStream::connect(gateway.address).await.expect("connected");
        // A compressed message behind it, as if it had been agreed to: its first bit says so.
        let mut compressed = masked(1, &[0xaa, 0x56, 0x2a, 0xa9, 0x2c, 0x48, 0x05, 0x00]);
        compressed[0] |= 0x40;
        stream.write_all(&[format!("{UPGRADE}{headers}\r\n").as_bytes(), &compressed].concat()).await.expect("sent");
        let answer = until_closed(&mut stream).await.to_ascii_lowercase();
        let (head, frames) = answer.split_once("\r\n\r\n").expect("a head");
        assert!(head.starts_with("http/1.1 101"), "{headers}: {head}");
        assert!(!head.contains("extensions") && !head.contains("sec-websocket-protocol"), "{headers}: {head}");
        assert!(frames.contains("connect.challenge") && !frames.contains("hello"), "{frames}");
    }
    assert!(gateway.log().await.iter().all(|(event, _)| event != "ConnectionAdmitted"));
}

// --- frames that read two ways ----------------------------------------------------------------------------------

/// The close that answers this first message.
async fn end_of(gateway: &Running, message: Message) -> (u16, String) {
    let mut socket = gateway.open().await;
    socket.send(message).await;
    loop {
        match socket.hear().await {
            Heard::Frame(frame) => assert_eq!(frame["ok"], false, "{frame}"),
            Heard::Closed(code, reason) => return (code, reason),
            Heard::Gone => panic!("no close frame"),
        }
    }
}

/// Every object of a good connect, by where it is, and one of its keys.
const OBJECTS: [(&str, &str); 5] =
    [("", "method"), ("/params", "role"), ("/params/client", "mode"), ("/params/device", "nonce"), ("/params/auth", "token")];

#[tokio::test]
async fn x26_a_key_that_is_repeated_or_unknown_is_refused_at_every_level() {
    let gateway = Running::start().await;
    let frame = |nonce: &str| {
        let params = Device::new(1).asks(READ).params(nonce, gateway.host.wall().0);
        json!({ "type": "req", "id": "1", "method": "connect", "params": params })
    };
    for (place, key) in OBJECTS {
        for more in [None, Some("zzz"), Some("__proto__"), Some("constructor")] {
            let mut socket = gateway.open().await;
            let whole = frame(&socket.nonce);
            let object = whole.pointer(place).and_then(Value::as_object).expect("an object");
            let inner = Value::Object(object.clone()).to_string();
            // The same key with the same value: a parser that takes the first and one that takes the last agree, and still.
            let said = match more {
                None => format!("{}:{}", json!(key), object.get(key).expect("its key")),
                Some(unknown) => format!("{}:1", json!(unknown)),
            };
            let spoilt = format!("{{{said},{}", &inner[1..]);
            let sent = if place.is_empty() { spoilt } else { whole.to_string().replace(&inner, &spoilt) };
            assert_ne!(sent, whole.to_string());
            socket.say(sent).await;
            while let Heard::Frame(answer) = socket.hear().await {
                assert_eq!(answer["ok"], false, "{place} {more:?}: {answer}");
                assert_eq!(answer["error"]["code"], "INVALID_REQUEST", "{place} {more:?}: {answer}");
            }
        }
    }
    // And with a map whose keys are the client's own.
    let mut socket = gateway.open().await;
    let mut whole = frame(&socket.nonce);
    whole["params"]["permissions"] = json!({ "camera": true });
    let spoilt = whole.to_string().replace(r#"{"camera":true}"#, r#"{"camera":true,"camera":false}"#);
    assert!(spoilt.contains("false"), "{spoilt}");
    socket.say(spoilt).await;
    let Heard::Frame(answer) = socket.hear().await else { panic!("no answer") };
    assert!(answer["ok"] == false && text(&answer["error"]["message"]).contains("at /permissions"), "{answer}");
    // So it is with the params of every method that is served here, for whoever is let in.
    let (mut admin, _) = gateway.admit(&Device::new(1).asks(ADMIN)).await;
    for (method, params) in [
        ("device.pair.approve", r#"{"requestId":"a","requestId":"a"}"#),
        ("device.pair.reject", r#"{"requestId":"a","zzz":1}"#),
        ("device.pair.remove", r#"{"deviceId":"a","deviceId":"b"}"#),
        ("device.token.rotate", r#"{"deviceId":"a","role":"operator","role":"node"}"#),
        ("device.token.revoke", r#"{"deviceId":"a","role":"operator","deviceId":"a"}"#),
        ("device.pair.list", r#"{"zzz":1}"#),
        ("logs.tail", r#"{"limit":1,"limit":2}"#),
    ] {
        admin.say(format!(r#"{{"type":"req","id":"1","method":"{method}","params":{params}}}"#)).await;
        let error = admin.response("1").await.expect_err("refused");
        let message = text(&error["message"]);
        assert!(message.starts_with(&format!("invalid {method} params: ")), "{message}");
    }
    let list = gateway.owner("device.pair.list", json!({})).await.expect("a list");
    assert_eq!((list["paired"].as_array().map(Vec::len), &list["pending"]), (Some(1), &json!([])));
}

#[tokio::test]
async fn x26_half_characters_and_bytes_that_are_no_text_are_read_as_nothing() {
    let gateway = Running::start().await;
    let connect = |params: &str| format!(r#"{{"type":"req","id":"1","method":"connect","params":{params}}}"#);
    for half in [r"\ud800", r"\udc00", r"\ud800\ud800", r"\udc00\ud800", r"a\ud83d"] {
        for frame in [
            connect(&format!(r#"{{"minProtocol":3,"maxProtocol":3,"role":"{half}"}}"#)),
            connect(&format!(r#"{{"{half}":3}}"#)),
            format!(r#"{{"type":"req","id":"{half}","method":"connect"}}"#),
            format!(r#"{{"type":"req","id":"1","method":"{half}"}}"#),
        ] {
            let (code, reason) = end_of(&gateway, Message::text(frame.clone())).await;
            assert!(code == 1008 && reason.starts_with("invalid "), "{frame}: {code} {reason}");
        }
    }
    let good = connect("{}").into_bytes();
    for at in [0, good.len() / 2, good.len() - 3] {
        for bytes in [&[0xff][..], &[0xc0, 0x80], &[0xed, 0xa0, 0x80], &[0xf5, 0x80, 0x80, 0x80], &[0xe2, 0x82]] {
            let spoilt = [&good[..at], bytes, &good[at..]].concat();
            let (code, _) = end_of(&gateway, Message::binary(spoilt)).await;
            assert_eq!(code, 1000, "{bytes:x?} at {at}: not JSON, as OpenClaw ends it");
        }
    }
    // A pair of halves is one whole character.
    let (mut socket, _) = gateway.admit(&Device::new(1).asks(READ)).await;
    socket.say(r#"{"type":"req","id":"\ud83d\ude00","method":"health"}"#).await;
    socket.response("\u{1f600}").await.expect("granted");
    socket.send(Message::binary(b"{\"type\":\"req\",\"id\":\"\xff\",\"method\":\"health\"}".to_vec())).await;
    socket.get("health", json!({})).await;
}

// --- texts of strangers -----------------------------------------------------------------------------------------

/// What a stranger writes wherever it can.
const CANARY: &str = "canary-in-the-journal";

/// All that is told to operators while a test runs, at every level.
#[derive(Clone, Default)]
struct Told(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Told {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        std::io::Write::write(&mut *self.0.lock().expect("no panic"), bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Every file below `folder` that holds the canary.
fn holders(folder: &Path) -> Vec<String> {
    let mut found = vec![];
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        match fs::symlink_metadata(&path).expect("there") {
            kind if kind.is_dir() => found.extend(holders(&path)),
            kind if kind.is_file() => {
                let bytes = fs::read(&path).expect("readable");
                if bytes.windows(CANARY.len()).any(|window| window == CANARY.as_bytes()) {
                    found.push(path.display().to_string());
                }
            }
            _ => {}
        }
    }
    found
}

#[tokio::test]
async fn x27_before_proof_nothing_that_a_stranger_says_is_recorded_or_logged() {
    let told = Told::default();
    let writer = told.clone();
    let subscriber = tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_writer(move || writer.clone()).finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let gateway = Running::start().await;

    // Each stage of a connect, the canary in all that can be said there.
    let scope = format!("x.{CANARY}");
    let talkative = |ask: Ask| {
        ask.edit(|params| {
            for field in ["displayName", "deviceFamily", "modelIdentifier", "instanceId", "version"] {
                params["client"][field] = CANARY.into();
            }
            (params["locale"], params["userAgent"]) = (CANARY.into(), CANARY.into());
            (params["caps"], params["commands"]) = (json!([CANARY]), json!([CANARY]));
        })
    };
    let set = |pointer: &'static str, value: Value| {
        let asks = talkative(Device::new(1).asks(&[&scope, "operator.read"]));
        asks.edit(move |params| match params.pointer_mut(pointer) {
            Some(place) => *place = value.clone(),
            None => params[CANARY] = value.clone(),
        })
    };
    for first in [
        CANARY.to_owned(),
        json!({ CANARY: 1 }).to_string(),
        json!({ "type": "req", "id": CANARY, "method": CANARY }).to_string(),
    ] {
        end_of(&gateway, Message::text(first.clone())).await;
        end_of(&gateway, Message::binary(first.into_bytes())).await;
    }
    for ask in [
        set("/nothing", CANARY.into()),
        set("/client/id", CANARY.into()),
        set("/client/mode", CANARY.into()),
        set("/client/platform", json!([CANARY])),
        set("/role", CANARY.into()),
        set("/minProtocol", 9.into()),
        set("/scopes", json!([format!("{CANARY},x")])),
        set("/device/id", CANARY.into()),
        set("/device/publicKey", CANARY.into()),
        set("/device/signedAt", 1.into()),
        set("/device/nonce", CANARY.into()),
        set("/device/signature", CANARY.into()),
        set("/client/platform", CANARY.into()),
        set("/client/platform", format!("a|{CANARY}").into()),
        set("/locale", CANARY.into()).header("origin", "http://canary-in-the-journal.example.test"),
        // No device, and nothing or a wrong secret.
        talkative(Ask::new(&[&scope])).auth(json!({})),
        talkative(Ask::new(&[&scope])).auth(json!({ "token": CANARY, "deviceToken": CANARY, "bootstrapToken": CANARY })),
        talkative(Ask::new(&[&scope])).role("node").auth(json!({ "token": CANARY })),
        talkative(Ask::new(&[&scope])).client("openclaw-control-ui", "ui").auth(json!({ "password": CANARY })),
    ] {
        let ask = ask
            .header("x-forwarded-for", CANARY)
            .header("user-agent", CANARY)
            .header("cookie", CANARY)
            .header("host", "canary-in-the-journal.example.test");
        gateway.refuse(&ask).await;
    }
    let mut silent = gateway.open().await;
    silent
        .send(Message::Close(Some(tokio_tungstenite::tungstenite::protocol::CloseFrame {
            code: 4000.into(),
            reason: CANARY.into(),
        })))
        .await;
    while silent.hear().await != Heard::Gone {}
    super::http::get(&gateway, &format!("GET /{CANARY}?{CANARY} HTTP/1.1"), &[&format!("X: {CANARY}")]).await;

    let stopped = gateway.stop().await;
    let refused = stopped.records().iter().filter(|record| matches!(record.event, Event::ConnectionRefused(_))).count();
    assert!(refused > 20, "they are on record");
    assert_eq!(holders(stopped.state.root()), [] as [&str; 0]);
    let told = String::from_utf8_lossy(&told.0.lock().expect("no panic")).into_owned();
    assert!(!told.contains(CANARY), "{told}");
}

#[tokio::test]
async fn x27_after_proof_what_is_recorded_is_cut_and_a_close_reason_is_not() {
    let gateway = Running::start().await;
    let long = format!("é{CANARY}{}", "é".repeat(2_000));
    let fields = ["displayName", "deviceFamily", "modelIdentifier", "instanceId", "version"];
    let ask = Device::new(1).asks(READ).form("v2").edit({
        let long = long.clone();
        move |params| {
            for field in fields.iter().chain(&["platform"]) {
                params["client"][*field] = long.clone().into();
            }
            (params["caps"], params["commands"]) = (json!([long]), json!([long]));
        }
    });
    let (mut socket, _) = gateway.admit(&ask).await;
    let reason = format!("{CANARY} of a close");
    socket
        .send(Message::Close(Some(tokio_tungstenite::tungstenite::protocol::CloseFrame {
            code: 4000.into(),
            reason: reason.clone().into(),
        })))
        .await;
    while socket.hear().await != Heard::Gone {}
    let stopped = gateway.stop().await;
    let said = stopped.records().into_iter().find_map(|record| match record.event {
        Event::PairingRequested(event) => event.ask.described.here,
        _ => None,
    });
    let Description { platform, family, display_name, version, model, instance, caps, commands } = *said.expect("a description");
    let texts = [platform, family, display_name, version, model, instance].into_iter().map(|text| text.expect("said"));
    for text in texts.chain(caps).chain(commands) {
        assert!(long.starts_with(&text) && text.len() <= limits::TEXT_BYTES && text.len() > limits::TEXT_BYTES - 2, "{text}");
    }
    for file in fs::read_dir(stopped.state.journal()).expect("a journal") {
        let bytes = fs::read(file.expect("a file").path()).expect("readable");
        assert!(!bytes.windows(reason.len()).any(|window| window == reason.as_bytes()));
    }
}
