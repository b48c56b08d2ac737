//! Peers that take a place and give nothing for it: slow, silent, gone. Their places come back, and nobody else waits for them.

use std::net::SocketAddr;
use std::time::Duration;

use openclaw_pairing::host::Host as _;
use openclaw_pairing::limits;
use openclaw_pairing::pairing::{Event, Record};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;

use super::client::{ADMIN, Ask, Device, Heard, PATIENCE, READ, Socket, text};
use super::running::Running;

/// Lets so much time pass for everybody at once.
async fn pass(time: Duration) {
    tokio::time::pause();
    tokio::time::advance(time).await;
    tokio::time::resume();
}

async fn until_closed(stream: &mut TcpStream) -> Vec<u8> {
    let mut answer = vec![];
    // What the peer is still sending when it is closed may reset the connection.
    let _reset = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut answer)).await.expect("it is closed");
    answer
}

async fn says(address: SocketAddr, bytes: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.expect("connected");
    stream.write_all(bytes).await.expect("sent");
    stream
}

const UPGRADE: &[u8] = b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";

fn ends(records: &[Record]) -> Vec<u16> {
    let end = |record: &Record| match &record.event {
        Event::ConnectionClosed(closed) => Some(closed.code),
        _ => None,
    };
    records.iter().filter_map(end).collect()
}

/// Looks at the journal until it is as wanted.
async fn until<T>(gateway: &Running, what: impl Fn(&[Record]) -> Option<T>) -> T {
    let looks = async {
        loop {
            if let Some(found) = what(&gateway.records()) {
                return found;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, looks).await.expect("in time")
}

#[tokio::test]
async fn n02_a_head_that_drips_or_never_comes_is_closed_at_the_deadline_and_its_place_is_free_again() {
    let gateway = Running::start().await;
    for begin in [&b""[..], b"G", &UPGRADE[..UPGRADE.len() - 4]] {
        let mut slow: Vec<TcpStream> = vec![];
        for _ in 0..2 * limits::SOCKET_PER_ADDRESS.default {
            slow.push(says(gateway.address, begin).await);
        }
        // That they are there keeps nobody out.
        gateway.admit(&Device::new(1).asks(READ)).await;
        for _ in 0..2 {
            pass(limits::HTTP_HEAD_DEADLINE / 2).await;
            for stream in &mut slow {
                // One byte more does not make it longer.
                let _closed_already = stream.write_all(b"x").await;
            }
        }
        pass(Duration::from_secs(1)).await;
        for stream in &mut slow {
            let answer = until_closed(stream).await;
            assert!(!answer.starts_with(b"HTTP/1.1 101"), "{}", String::from_utf8_lossy(&answer));
        }
    }
    let mut upgraded = vec![];
    for _ in 0..limits::SOCKET_PER_ADDRESS.default {
        upgraded.push(gateway.open().await);
    }
}

#[tokio::test]
async fn n03_a_frame_that_drips_is_closed_at_the_deadline_and_is_on_record_within_the_budget() {
    let gateway = Running::start().await;
    for _ in 0..3 {
        let mut dripping = vec![];
        for _ in 0..limits::SOCKET_PER_ADDRESS.default {
            let mut stream = says(gateway.address, UPGRADE).await;
            // The beginning of a frame of 100 bytes.
            stream.write_all(&[0x81, 0xe4, 0, 0, 0, 0, b'{']).await.expect("sent");
            dripping.push(stream);
        }
        for stream in &mut dripping {
            let mut answer = vec![0; 12];
            stream.read_exact(&mut answer).await.expect("an answer");
            assert_eq!(answer, b"HTTP/1.1 101");
        }
        pass(limits::HANDSHAKE_DEADLINE / 2).await;
        for stream in &mut dripping {
            stream.write_all(b" ").await.expect("sent");
        }
        pass(limits::HANDSHAKE_DEADLINE).await;
        for stream in &mut dripping {
            until_closed(stream).await;
        }
    }
    let records = gateway.stop().await.records();
    let refused = records.iter().filter(|record| matches!(record.event, Event::ConnectionRefused(_))).count();
    let counted = records.iter().filter_map(|record| match &record.event {
        Event::AttemptsSuppressed(event) => Some(event.count),
        _ => None,
    });
    let budget = usize::try_from(limits::RECORD_PER_ADDRESS.default).expect("small");
    let all = 3 * u64::from(limits::SOCKET_PER_ADDRESS.default);
    assert_eq!((refused, counted.sum::<u64>()), (budget, all - u64::from(limits::RECORD_PER_ADDRESS.default)));
}

/// Where all places of newcomers are taken by who says nothing, the oldest of them makes room.
#[tokio::test]
async fn n06_strangers_who_only_sit_there_keep_no_paired_device_out() {
    let policy = "{ version: 1, budgets: { socket: { perAddress: 12, total: 4 } } }";
    let gateway = Running::under(policy).await;
    let device = Device::new(1);
    let (_, hello) = gateway.admit(&device.asks(READ)).await;
    let token = text(&hello["auth"]["deviceToken"]).to_owned();
    let mut silent = vec![];
    for _ in 0..4 {
        silent.push(says(gateway.address, b"").await);
    }
    let (mut socket, _) = gateway.admit(&device.returns(&token, READ)).await;
    assert!(until_closed(&mut silent.remove(0)).await.is_empty(), "the oldest made room");
    // Upgraded ones make room too, and are on record.
    let mut upgraded = vec![];
    for _ in 0..4 {
        upgraded.push(says(gateway.address, UPGRADE).await);
        let mut answer = vec![0; 12];
        upgraded.last_mut().expect("it").read_exact(&mut answer).await.expect("an answer");
        assert_eq!(answer, b"HTTP/1.1 101");
    }
    let (another, _) = gateway.admit(&device.returns(&token, READ)).await;
    until_closed(&mut upgraded.remove(0)).await;
    socket.get("health", json!({})).await;
    drop((another, socket));
    until(&gateway, |records| {
        let gone = "connection ended before connect";
        records.iter().any(|record| format!("{:?}", record.event).contains("Gone")).then_some(gone)
    })
    .await;
}

/// The pings of the library are answered whenever a client reads; who does not read at all is as good as gone.
#[tokio::test]
async fn n11_a_peer_that_vanished_is_closed_after_missed_pings_and_presence_is_corrected() {
    let gateway = Running::start().await;
    // Presence shows no command line.
    let app = |seed, scopes| Device::new(seed).asks(scopes).client("openclaw-macos", "ui");
    let (mut live, _) = gateway.admit(&app(1, ADMIN)).await;
    let (vanished, _) = gateway.admit(&app(2, READ)).await;
    let here = async |live: &mut Socket| live.get("system-presence", json!({})).await.as_array().expect("a list").len();
    assert_eq!(here(&mut live).await, 2);
    for _ in 0..limits::MISSED_PINGS {
        pass(limits::TICK + Duration::from_secs(1)).await;
        assert_eq!(here(&mut live).await, 2);
    }
    pass(limits::TICK + Duration::from_secs(1)).await;
    live.get("health", json!({})).await;
    until(&gateway, |records| (ends(records) == [1006]).then_some(())).await;
    assert_eq!(here(&mut live).await, 1);
    drop(vanished);
}

/// What is queued for it must not keep it: it is looked at what moves, not at what waits.
#[tokio::test]
async fn n11_a_peer_that_vanished_in_the_middle_of_an_answer_is_closed_too() {
    let gateway = Running::start().await;
    let (mut live, _) = gateway.admit(&Device::new(1).asks(READ)).await;
    let (mut vanished, _) = gateway.admit(&Device::new(2).asks(READ)).await;
    vanished.request(&"x".repeat(15 * 1024 * 1024), "health", &json!({})).await;
    vanished.wait_for_bytes().await;
    for _ in 0..=2 * limits::MISSED_PINGS {
        pass(limits::TICK + Duration::from_secs(1)).await;
        live.get("health", json!({})).await;
    }
    until(&gateway, |records| (ends(records) == [1006]).then_some(())).await;
}

/// A client that hears pings and says nothing else stays.
#[tokio::test]
async fn n11_who_answers_pings_stays_however_little_it_says() {
    let gateway = Running::start().await;
    let (mut quiet, _) = gateway.admit(&Device::new(1).asks(READ)).await;
    for _ in 0..3 * limits::MISSED_PINGS {
        // A little more, since nobody's ticks begin at the same moment.
        pass(limits::TICK + Duration::from_secs(1)).await;
        // A tick is told at the same time; to hear it is to answer the ping before it.
        assert!(matches!(quiet.hear().await, Heard::Frame(frame) if frame["event"] == "tick"));
        quiet.send(Message::Pong(Default::default())).await;
    }
    quiet.get("health", json!({})).await;
    assert_eq!(ends(&gateway.records()), [0; 0]);
}

/// The client is gone before it hears that it was let in.
#[tokio::test]
async fn n12_who_leaves_before_hello_comes_back_to_the_same_grant() {
    let gateway = Running::start().await;
    let device = Device::new(1);
    for round in 1..=5 {
        let mut socket = gateway.open().await;
        let params = device.asks(READ).params(&socket.nonce, gateway.host.wall().0);
        socket.request("connect", "connect", &params).await;
        drop(socket);
        until(&gateway, |records| (ends(records).len() == round).then_some(())).await;
    }
    let (_, hello) = gateway.admit(&device.asks(READ)).await;
    let token = text(&hello["auth"]["deviceToken"]).to_owned();
    gateway.admit(&device.returns(&token, READ)).await;
    let records = gateway.records();
    let count = |name: &str| records.iter().filter(|record| record.event.name() == name).count();
    assert_eq!((count("PairingRequested"), count("PairingApproved"), count("TokenIssued")), (1, 1, 1));
    assert_eq!(count("ConnectionAdmitted"), 7);
}

/// One command ends all requests of an address.
#[tokio::test]
async fn n09_the_owner_rejects_all_requests_of_an_address_by_one_command() {
    let gateway = Running::with(json!({ "auth": { "token": super::client::SECRET }, "trustedProxies": ["127.0.0.1"] })).await;
    let (mut admin, _) = gateway.admit(&Device::new(200).asks(ADMIN)).await;
    let from = |seed: u8, address: &str| Device::new(seed).asks(READ).header("x-forwarded-for", address);
    let mut theirs = vec![];
    for seed in 1..=20 {
        theirs.push(gateway.request(&from(seed, &format!("2001:db8::{seed}"))).await);
    }
    let other = gateway.request(&from(30, "2001:db8:0:1::1")).await;
    let (mut pending, _) = admin.listed().await;
    assert_eq!(pending.len(), 21);
    let rejected = admin.get("device.pair.rejectFrom", json!({ "address": "2001:db8::99" })).await;
    let mut rejected: Vec<_> = rejected["rejected"].as_array().expect("ids").iter().map(|id| text(id).to_owned()).collect();
    rejected.sort();
    theirs.sort();
    assert_eq!(rejected, theirs);
    pending = admin.listed().await.0;
    assert_eq!(pending, [other]);
    let resolved = admin.events.iter().filter(|frame| frame["event"] == "device.pair.resolved").count();
    assert_eq!(resolved, 20, "each is told");
    let wrong = admin.denied("device.pair.rejectFrom", json!({ "address": "nowhere" })).await;
    assert_eq!(wrong["message"], "address is no IP address");
    let (mut reader, _) = gateway.admit(&Device::new(201).asks(READ)).await;
    let denied: Value = reader.denied("device.pair.rejectFrom", json!({ "address": "::1" })).await;
    assert_eq!(denied["message"], "missing scope: operator.pairing");
}

/// A paired device that does too much is told when to come again, in the words of the wire.
#[tokio::test]
async fn x30_a_paired_device_over_its_budget_is_refused_with_a_hint() {
    let gateway = Running::under(r#"{ version: 1, budgets: { record: { perDevice: 20, window: "10m" } } }"#).await;
    let device = Device::new(1);
    let first: Ask = device.asks(READ);
    gateway.admit(&first).await;
    for _ in 0..10 {
        gateway.admit(&first).await;
    }
    let refused = gateway.refuse(&first).await;
    let error = &refused.error;
    assert_eq!((&error["code"], &error["details"]["code"]), (&json!("UNAVAILABLE"), &json!("RECORD_BUDGET_SPENT")));
    assert_eq!((&error["retryable"], &error["retryAfterMs"]), (&json!(true), &json!(600_000)));
    assert_eq!(refused.close.0, 1008);
    gateway.host.advance(600_000);
    gateway.admit(&first).await;
}
