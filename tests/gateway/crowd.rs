//! Many at once: nobody is lost, one wins, and who does not read loses its own connection only.

use futures_util::future::join_all;
use openclaw_pairing::limits;
use openclaw_pairing::pairing::Event;
use serde_json::{Value, json};

use super::client::{ADMIN, Ask, CLI, Device, Heard, READ, Socket, text};
use super::running::Running;

/// How often each event is on record.
async fn recorded(gateway: &Running, event: &str) -> usize {
    gateway.log().await.into_iter().filter(|(name, _)| name == event).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn as_many_devices_as_one_address_may_have_connect_at_once_and_each_is_on_record() {
    let gateway = Running::start().await;
    let devices: Vec<_> = (1..=32).map(Device::new).collect();
    assert_eq!(limits::SOCKET_PER_ADDRESS.default, 32);
    let admitted = join_all(devices.iter().map(|device| {
        let (ask, gateway) = (device.asks(READ), &gateway);
        async move { gateway.admit(&ask).await }
    }));
    let mut sockets = admitted.await;
    let mut tokens: Vec<_> = sockets.iter().map(|(_, hello)| text(&hello["auth"]["deviceToken"]).to_owned()).collect();
    tokens.sort();
    tokens.dedup();
    assert_eq!(tokens.len(), 32);
    join_all(sockets.iter_mut().map(|(socket, _)| socket.get("health", json!({})))).await;
    for event in ["PairingRequested", "PairingApproved", "TokenIssued", "ConnectionAdmitted"] {
        assert_eq!(recorded(&gateway, event).await, 32, "{event}");
    }
    assert_eq!(gateway.owner("status", json!({})).await.expect("a status")["connections"], 32);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a13_of_those_who_answer_at_once_one_wins_and_the_others_hear_the_truth() {
    let gateway = Running::start().await;
    let mut admins = vec![];
    for seed in 1..=6 {
        admins.push(gateway.admit(&Device::new(seed).asks(ADMIN)).await.0);
    }
    for round in 0..10 {
        let device = Device::new(100 + round);
        let request = gateway.request(&device.asks(READ).remote()).await;
        let params = json!({ "requestId": request });
        // In even rounds all approve, in odd ones half of them reject.
        let answers = join_all(admins.iter_mut().enumerate().map(|(index, admin)| {
            let method = if round % 2 == 1 && index % 2 == 1 { "device.pair.reject" } else { "device.pair.approve" };
            let params = params.clone();
            async move { (method, admin.call(method, params).await) }
        }));
        let answers = answers.await;
        let won = |(_, answer): &&(&str, Result<Value, Value>)| answer.as_ref().is_ok_and(|done| done.get("note").is_none());
        let winners: Vec<_> = answers.iter().filter(won).collect();
        assert_eq!(winners.len(), 1, "{answers:?}");
        for (method, answer) in &answers {
            match answer {
                Ok(done) if done.get("note").is_some() => assert_eq!((*method, winners[0].0), (*method, "device.pair.approve")),
                Ok(_) => {}
                Err(error) => assert!(text(&error["message"]).contains(" was already "), "{error}"),
            }
        }
        let log = gateway.log().await;
        let settled = |name: &str, request: &str| {
            log.iter().filter(|(event, sentence)| event == name && sentence.contains(request)).count()
        };
        assert_eq!(settled("PairingApproved", &request) + settled("PairingRejected", &request), 1);
        assert_eq!(settled("TokenIssued", &device.id()), settled("PairingApproved", &request));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a12_no_order_of_connect_and_loss_leaves_a_socket_open() {
    let gateway = Running::start().await;
    for seed in 1..=40 {
        let device = Device::new(seed);
        let (_, hello) = gateway.admit(&device.asks(READ)).await;
        let ask = device.returns(text(&hello["auth"]["deviceToken"]), READ);
        let connect = async {
            let mut socket = ask.open(gateway.address).await;
            let now = openclaw_pairing::host::Host::wall(&*gateway.host).0;
            let params = ask.params(&socket.nonce, now);
            socket.request("1", "connect", &params).await;
            let is_in = socket.response("1").await.is_ok();
            (is_in, socket.end().await)
        };
        let (method, params) = match seed % 2 {
            0 => ("device.token.revoke", json!({ "deviceId": device.id(), "role": "operator" })),
            _ => ("device.pair.remove", json!({ "deviceId": device.id() })),
        };
        let ((is_in, end), lost) = tokio::join!(connect, gateway.owner(method, params));
        lost.expect("revoked, or removed");
        assert_eq!(end.0, if is_in { 4001 } else { 1008 }, "{end:?}");
    }
}

/// A call whose reply is larger than all buffers on the way, so that the gateway cannot send it to who does not read. All that
/// was sent before has to have been heard.
async fn clog(socket: &mut Socket) {
    socket.request(&"x".repeat(15 * 1024 * 1024), "health", &json!({})).await;
    socket.wait_for_bytes().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn n01_who_does_not_read_is_closed_and_the_others_go_on() {
    let gateway = Running::of_a_crowd().await;
    let (mut stuck, _) = gateway.admit(&Device::new(1).asks(ADMIN)).await;
    let (mut stuck_too, _) = gateway.admit(&Device::new(3).asks(ADMIN).four()).await;
    let (mut live, _) = gateway.admit(&Device::new(2).asks(ADMIN)).await;
    stuck.push("device.pair.resolved").await;
    for socket in [&mut stuck, &mut stuck_too] {
        socket.push("device.pair.resolved").await;
        clog(socket).await;
    }
    // Each new ask supersedes the one before it: two pushes.
    let (devices, asks) = (8, limits::BUFFERED_MESSAGES / 2 / 8 + 8);
    let asking = (100..).take(devices).map(|seed| {
        let (device, gateway) = (Device::new(seed), &gateway);
        async move {
            for turn in 0..asks {
                gateway.request(&device.asks(READ).remote().platform(if turn % 2 == 0 { "one" } else { "two" })).await;
            }
        }
    });
    let listening = async {
        for _ in 0..devices * (2 * asks - 1) {
            assert!(matches!(live.hear().await, Heard::Frame(_)));
        }
        live.get("health", json!({})).await;
    };
    tokio::join!(join_all(asking), listening);
    // What was in the pipe may still arrive; then it is over.
    for mut socket in [stuck, stuck_too] {
        while let Heard::Frame(_) = socket.hear().await {}
    }
    let records = gateway.stop().await.records();
    let ends = records.iter().filter_map(|record| match &record.event {
        Event::ConnectionClosed(closed) => Some(closed.code),
        _ => None,
    });
    let mut ends: Vec<_> = ends.collect();
    assert_eq!(ends.pop(), Some(1012), "by the stop");
    ends.sort_unstable();
    assert_eq!(ends, [1008, 1013], "at once, each in its own dialect");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn n10_a_stop_does_not_wait_for_who_does_not_read() {
    let gateway = Running::start().await;
    let (mut stuck, _) = gateway.admit(&Ask::new(CLI)).await;
    clog(&mut stuck).await;
    let began = std::time::Instant::now();
    let stopped = gateway.stop().await;
    assert!(began.elapsed() < limits::SHUTDOWN_DEADLINE, "took {:?}", began.elapsed());
    stopped.start().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a12_revoking_ends_also_who_does_not_read_and_hears_it_no_more() {
    let gateway = Running::start().await;
    let device = Device::new(1);
    let (mut stuck, _) = gateway.admit(&device.asks(CLI)).await;
    clog(&mut stuck).await;
    for id in 0..100 {
        stuck.request(&id.to_string(), "device.pair.list", &json!({})).await;
    }
    gateway.owner("device.token.revoke", json!({ "deviceId": device.id(), "role": "operator" })).await.expect("revoked");
    let mut answered = 0;
    while let Heard::Frame(_) = stuck.hear().await {
        answered += 1;
    }
    assert!(answered <= 1, "{answered} calls were answered after the end");
}
