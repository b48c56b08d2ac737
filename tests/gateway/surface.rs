//! What a gateway tells of itself: health, status, ticks, and its log.

use openclaw_pairing::host::Host as _;
use openclaw_pairing::limits;
use serde_json::{Value, json};

use super::client::{ADMIN, Ask, CLI, Device, Heard, READ, Socket, text};
use super::recorded::assert_speaks_like;
use super::running::Running;

#[tokio::test]
async fn health_and_status_have_the_shape_that_clients_know() {
    let gateway = Running::start().await;
    let (mut socket, hello) = gateway.admit(&Ask::new(READ)).await;
    assert_speaks_like("health", &socket.get("health", json!({})).await, &[]);
    assert_speaks_like("health", &hello["snapshot"]["health"], &[]);
    let elsewhere = ["/heartbeat", "/sessions/defaults/contextTokens", "/sessions/defaults/model"];
    let status = socket.get("status", json!({})).await;
    assert_speaks_like("status", &status, &elsewhere);
    assert_eq!((&status["running"], &status["connections"]), (&json!(true), &json!(1)));
    let methods = hello["features"]["methods"].as_array().expect("a list");
    let (mut admin, _) = gateway.admit(&Ask::new(CLI)).await;
    for method in methods {
        let error = admin.call(text(method), json!({ "bogus": 1 })).await.err().map(|error| error["message"].to_string());
        assert!(!error.is_some_and(|error| error.contains("unknown method")), "{method} is announced, so it is served");
    }
}

#[tokio::test]
async fn status_names_the_head_of_the_journal_and_when_it_was_safe() {
    let gateway = Running::start().await;
    let (mut admin, _) = gateway.admit(&Device::new(1).asks(ADMIN)).await;
    for _ in 0..2 {
        let now = gateway.host.wall().0;
        admin.get("device.pair.rename", json!({ "deviceId": Device::new(1).id(), "label": format!("at {now}") })).await;
        let journal = admin.get("status", json!({})).await["journal"].take();
        assert_eq!((&journal["records"], &journal["lastSync"]), (&json!(true), &json!({ "seq": journal["seq"], "atMs": now })));
        let verified = admin.get("journal.verify", json!({})).await;
        assert_eq!((&verified["seq"], &verified["head"]), (&journal["seq"], &journal["head"]));
        gateway.host.advance(1_000);
    }
}

#[tokio::test]
async fn a_journal_is_verified_while_it_is_written() {
    let gateway = Running::start().await;
    let device = Device::new(1);
    let (mut admin, _) = gateway.admit(&device.asks(ADMIN)).await;
    let (mut other, _) = gateway.admit(&device.asks(ADMIN)).await;
    let mut writes = std::pin::pin!(async {
        for number in 0..100 {
            other.get("device.pair.rename", json!({ "deviceId": device.id(), "label": format!("name {number}") })).await;
        }
    });
    let mut seqs = vec![];
    loop {
        tokio::select! {
            () = &mut writes => break,
            verified = admin.get("journal.verify", json!({})) => {
                assert_eq!((&verified["verdict"], verified.get("torn")), (&json!("sound"), None), "{verified}");
                seqs.push(verified["seq"].as_u64().expect("a seq"));
            }
        }
    }
    assert!(seqs.is_sorted() && seqs.first() < seqs.last(), "it was written meanwhile: {seqs:?}");

    let first = gateway.state.journal().join(format!("{:020}.segment", 1));
    let mut bytes = std::fs::read(&first).expect("a segment");
    // In one of the first records, far from the end.
    bytes[1_000] ^= 1;
    std::fs::write(&first, bytes).expect("written");
    let verified = gateway.owner("journal.verify", json!({})).await.expect("a verdict, not an error");
    assert_eq!(verified["verdict"], "corrupt", "{verified}");
    assert!(verified["what"].is_string() && verified["sound"]["seq"].is_u64() && verified.get("proven").is_none(), "{verified}");
}

#[tokio::test]
async fn a_tick_comes_as_often_as_was_announced() {
    let gateway = Running::start().await;
    let (mut socket, hello) = gateway.admit(&Device::new(1).asks(READ)).await;
    assert_eq!(hello["policy"]["tickIntervalMs"], u64::try_from(limits::TICK.as_millis()).expect("small"));
    let (mut newer, _) = gateway.admit(&Device::new(2).asks(READ).four()).await;
    for number in 1..=2 {
        tokio::time::pause();
        tokio::time::advance(limits::TICK).await;
        tokio::time::resume();
        for (socket, its_own) in [(&mut socket, None), (&mut newer, Some(number))] {
            let Heard::Frame(tick) = socket.hear().await else { panic!("closed") };
            assert!(tick["event"] == "tick" && tick["payload"]["ts"].is_u64() && tick["seq"].is_u64(), "{tick}");
            assert!(its_own.is_none_or(|number| tick["seq"] == number), "{tick}");
        }
    }
}

#[tokio::test]
async fn the_log_has_bounds_that_are_named() {
    let gateway = Running::start().await;
    let (mut socket, _) = gateway.admit(&Ask::new(READ)).await;
    for (params, why) in [
        (json!({ "limit": 0 }), "at /limit: must be >= 1"),
        (json!({ "limit": 5001 }), "at /limit: must be <= 5000"),
        (json!({ "limit": 1.5 }), "at /limit: must be integer"),
        (json!({ "maxBytes": 0 }), "at /maxBytes: must be >= 1"),
        (json!({ "maxBytes": 1_000_001 }), "at /maxBytes: must be <= 1000000"),
        (json!({ "cursor": -1 }), "at /cursor: must be >= 0"),
        (json!({ "lines": 1 }), "at root: unexpected property 'lines'"),
        (json!([]), "must be object"),
    ] {
        let message = format!("invalid logs.tail params: {why}");
        assert_eq!(socket.denied("logs.tail", params).await, json!({ "code": "INVALID_REQUEST", "message": message }));
    }
}

async fn tail(socket: &mut Socket, params: Value) -> (Vec<u64>, Value) {
    let tail = socket.get("logs.tail", params).await;
    assert_speaks_like("logs.tail", &tail, &[]);
    let seq = |line: &Value| {
        let line: Value = serde_json::from_str(text(line)).expect("JSON");
        assert_speaks_like("log line", &line, &[]);
        line["seq"].as_u64().expect("a number")
    };
    (tail["lines"].as_array().expect("lines").iter().map(seq).collect(), tail)
}

#[tokio::test]
async fn the_log_is_followed_without_losing_a_line() {
    let gateway = Running::start().await;
    for seed in 1..=5 {
        gateway.request(&Device::new(seed).asks(READ).remote()).await;
    }
    let (mut socket, _) = gateway.admit(&Device::new(9).asks(ADMIN)).await;
    let (all, whole) = tail(&mut socket, json!({})).await;
    let size = whole["size"].as_u64().expect("a number");
    assert_eq!(all, (1..=size).collect::<Vec<_>>());
    assert_eq!((&whole["cursor"], &whole["truncated"], &whole["reset"]), (&json!(size), &json!(false), &json!(false)));

    let (newest, end) = tail(&mut socket, json!({ "limit": 2 })).await;
    assert_eq!((newest, &end["truncated"], &end["cursor"]), (vec![size - 1, size], &json!(true), &json!(size)));
    let (newest, end) = tail(&mut socket, json!({ "maxBytes": 1 })).await;
    assert_eq!((newest, &end["truncated"], &end["cursor"]), (vec![size], &json!(true), &json!(size)), "one line always goes out");

    for params in [json!({ "limit": 2 }), json!({ "maxBytes": 1 }), json!({ "limit": 3, "maxBytes": 1_000 })] {
        let (mut cursor, mut followed) = (0, vec![]);
        while cursor < size {
            let mut params = params.clone();
            params["cursor"] = cursor.into();
            let (lines, part) = tail(&mut socket, params).await;
            assert_eq!(part["truncated"], false);
            followed.extend(lines);
            cursor = part["cursor"].as_u64().expect("a number");
        }
        assert_eq!(followed, all, "{params}");
    }
    let (none, end) = tail(&mut socket, json!({ "cursor": size })).await;
    assert_eq!((none, &end["cursor"], &end["reset"]), (vec![], &json!(size), &json!(false)));
    let (newest, end) = tail(&mut socket, json!({ "cursor": size + 1_000, "limit": 2 })).await;
    assert_eq!((newest, &end["reset"]), (vec![size - 1, size], &json!(true)), "a cursor of another journal");
}
