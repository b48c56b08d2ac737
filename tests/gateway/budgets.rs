//! What one address may cost: wrong guesses, and sockets that do not say who they are. Loopback has no exemption.

use futures_util::future::join_all;
use openclaw_pairing::host::Host as _;
use openclaw_pairing::limits;
use serde_json::{Value, json};

use super::client::{Ask, Device, READ, SECRET, text};
use super::http::answer;
use super::running::Running;

async fn code(gateway: &Running, ask: &Ask) -> String {
    text(&gateway.refuse(ask).await.error["details"]["code"]).to_owned()
}

fn guess(n: u32) -> Value {
    json!({ "token": format!("guess {n}") })
}

#[tokio::test]
async fn a11_guessing_ends_after_ten_and_then_not_even_the_right_secret_is_looked_at() {
    let gateway = Running::start().await;
    for n in 0..limits::FAILURE_PER_ADDRESS.default {
        assert_eq!(code(&gateway, &Ask::new(READ).auth(guess(n))).await, "AUTH_TOKEN_MISMATCH", "{n}");
    }
    for ask in [Ask::new(READ), Device::new(1).asks(READ), Device::new(1).asks(READ).four()] {
        let refused = gateway.refuse(&ask).await;
        let details = json!({
            "code": "AUTH_RATE_LIMITED",
            "authReason": "rate_limited",
            "canRetryWithDeviceToken": false,
            "recommendedNextStep": "wait_then_retry",
        });
        let sentence = "unauthorized: too many failed authentication attempts (retry later)";
        assert_eq!((&refused.error["message"], &refused.error["details"]), (&json!(sentence), &details));
        assert_eq!(
            (&refused.error["retryable"], &refused.error["retryAfterMs"]),
            (&json!(true), &json!(limits::FAILURE_REST_MS))
        );
        assert_eq!(refused.close, (1008, sentence.to_owned()));
    }
    // The owner has no budget to spend, and afterwards it is as it was.
    gateway.owner("device.pair.list", json!({})).await.expect("a list");
    gateway.host.advance(limits::FAILURE_REST_MS);
    gateway.admit(&Device::new(1).asks(READ)).await;
}

/// Whatever else is sent with it: a key made for each guess, a device token beside it, over many sockets at once.
#[tokio::test]
async fn a11_no_disguise_gives_a_guesser_another_ten() {
    let disguises: [fn(u32) -> Ask; 2] = [
        |n| Device::new(u8::try_from(n).expect("few")).asks(READ).auth(guess(n)),
        |n| Device::new(9).asks(READ).auth(json!({ "token": format!("guess {n}"), "deviceToken": "bogus" })),
    ];
    for disguise in disguises {
        let gateway = Running::start().await;
        let asks: Vec<_> = (0..30).map(disguise).collect();
        let answers = join_all(asks.iter().map(|ask| code(&gateway, ask))).await;
        let limited = answers.iter().filter(|code| *code == "AUTH_RATE_LIMITED").count();
        assert_eq!(limited, 20, "{answers:?}");
    }
}

#[tokio::test]
async fn a11_a_guesser_shuts_out_neither_a_paired_device_nor_other_addresses() {
    let gateway = Running::with(json!({ "trustedProxies": ["127.0.0.1"], "auth": { "token": SECRET } })).await;
    let paired = Device::new(1);
    let (_, hello) = gateway.admit(&paired.asks(READ)).await;
    for n in 0..limits::FAILURE_PER_ADDRESS.default {
        gateway.refuse(&Ask::new(READ).auth(guess(n))).await;
    }
    assert_eq!(code(&gateway, &Ask::new(READ)).await, "AUTH_RATE_LIMITED");
    gateway.admit(&paired.asks(READ)).await;
    gateway.admit(&paired.returns(text(&hello["auth"]["deviceToken"]), READ)).await;
    gateway.request(&Device::new(2).asks(READ).header("x-forwarded-for", "203.0.113.9")).await;
    // Bad signatures under its id are not its own: ids and keys are no secret.
    for _ in 0..2 * limits::FAILURE_PER_ADDRESS.default {
        gateway.refuse(&paired.asks(READ).edit(|params| params["device"]["signature"] = "AA".into())).await;
    }
    gateway.admit(&paired.asks(READ)).await;
    // It has a budget of its own to spend.
    for n in 0..limits::FAILURE_PER_ADDRESS.default {
        let token = json!({ "deviceToken": format!("guess {n}") });
        assert_eq!(code(&gateway, &paired.asks(READ).auth(token)).await, "AUTH_DEVICE_TOKEN_MISMATCH");
    }
    assert_eq!(code(&gateway, &paired.asks(READ)).await, "AUTH_RATE_LIMITED");
}

#[tokio::test]
async fn what_is_no_guess_is_not_counted() {
    let gateway = Running::start().await;
    let device = Device::new(1);
    let (_, hello) = gateway.admit(&device.asks(READ)).await;
    let old = text(&hello["auth"]["deviceToken"]);
    let params = json!({ "deviceId": device.id(), "role": "operator" });
    gateway.owner("device.token.rotate", params).await.expect("rotated");
    for _ in 0..2 * limits::FAILURE_PER_ADDRESS.default {
        // A token that it had, or another device had; nothing; a request that waits.
        assert_eq!(
            code(&gateway, &Device::new(4).asks(READ).auth(json!({ "deviceToken": old }))).await,
            "AUTH_DEVICE_TOKEN_MISMATCH"
        );
        assert_eq!(code(&gateway, &device.returns(old, READ)).await, "AUTH_DEVICE_TOKEN_MISMATCH");
        assert_eq!(code(&gateway, &Device::new(2).asks(READ).auth(json!({}))).await, "AUTH_TOKEN_MISSING");
        assert_eq!(code(&gateway, &Device::new(3).asks(READ).remote()).await, "PAIRING_REQUIRED");
    }
    gateway.admit(&device.asks(READ)).await;
}

#[tokio::test]
async fn a_socket_too_many_of_one_address_is_turned_away_until_another_ends() {
    let gateway = Running::start().await;
    let mut silent = vec![];
    for _ in 0..limits::SOCKET_PER_ADDRESS.default {
        silent.push(gateway.open().await);
    }
    let upgrade = [
        "GET / HTTP/1.1",
        "Host: localhost",
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    ];
    let refused = answer(gateway.address, &upgrade).await;
    assert!(refused.starts_with("HTTP/1.1 503") && refused.ends_with("Too many unauthenticated sockets"), "{refused}");
    // Whoever has said who it is does not count.
    let mut one = silent.pop().expect("one");
    let params = Device::new(1).asks(READ).params(&one.nonce, gateway.host.wall().0);
    one.request("connect", "connect", &params).await;
    one.response("connect").await.expect("admitted");
    silent.push(gateway.open().await);
    assert!(answer(gateway.address, &upgrade).await.starts_with("HTTP/1.1 503"));
}
