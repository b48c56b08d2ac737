//! The auth modes, and who is believed in each: password, none, trusted-proxy.

use serde_json::{Value, json};

use super::client::{Ask, CLI, Device, READ, SECRET, text};
use super::running::Running;

async fn reason(gateway: &Running, ask: &Ask) -> String {
    text(&gateway.refuse(ask).await.error["details"]["authReason"]).to_owned()
}

#[tokio::test]
async fn a_password_is_taken_from_its_own_field_and_of_protocol_4_also_from_the_other() {
    let gateway = Running::with(json!({ "auth": { "mode": "password", "password": SECRET } })).await;
    let ask = |seed: u8, auth: Value| Device::new(seed).asks(READ).auth(auth);
    let (_socket, hello) = gateway.admit(&ask(1, json!({ "password": SECRET })).four()).await;
    assert_eq!(hello["auth"]["method"], "password");
    let (_socket, hello) = gateway.admit(&ask(1, json!({ "password": SECRET }))).await;
    assert_eq!(hello["snapshot"]["authMode"], "password");
    // The other field's value is not held against it.
    for auth in
        [json!({ "token": SECRET }), json!({ "token": "bad", "password": SECRET }), json!({ "token": SECRET, "password": "bad" })]
    {
        gateway.admit(&ask(2, auth).four()).await;
    }
    gateway.admit(&ask(2, json!({ "token": "bad", "password": SECRET }))).await;
    assert_eq!(reason(&gateway, &ask(3, json!({ "token": SECRET }))).await, "password_missing", "a 2026.3.13 client's token");
    assert_eq!(reason(&gateway, &ask(3, json!({ "token": "bad" })).four()).await, "password_mismatch");
    for ask in [ask(3, json!({ "password": "bad" })), ask(3, json!({ "password": "bad" })).four()] {
        assert_eq!(reason(&gateway, &ask).await, "password_mismatch");
    }
    let refused = gateway.refuse(&ask(3, json!({ "password": "bad" })).four()).await;
    let message = "unauthorized: gateway password mismatch (use this gateway's gateway.auth.password)";
    assert_eq!((&refused.error["message"], refused.close), (&json!(message), (1008, message.to_owned())));
}

#[tokio::test]
async fn where_a_token_is_asked_for_a_password_is_none_but_may_be_it() {
    let gateway = Running::start().await;
    let ask = |auth: Value| Device::new(1).asks(READ).auth(auth);
    assert_eq!(reason(&gateway, &ask(json!({ "password": SECRET }))).await, "token_missing");
    let refused = gateway.refuse(&ask(json!({ "password": "bad" })).four()).await;
    let details = &refused.error["details"];
    assert_eq!((&details["authReason"], &details["canRetryWithDeviceToken"]), (&json!("token_mismatch"), &json!(false)));
    gateway.admit(&ask(json!({ "password": SECRET })).four()).await;
}

#[tokio::test]
async fn with_no_auth_a_device_is_still_paired_and_nobody_comes_in_without_one() {
    let gateway = Running::with(json!({ "auth": { "mode": "none" } })).await;
    let (device, remote) = (Device::new(1), Device::new(2));
    let (_socket, hello) = gateway.admit(&device.asks(CLI).auth(json!({ "token": "whatever" })).four()).await;
    assert_eq!(hello["auth"]["method"], "none");
    gateway.admit(&device.asks(CLI).auth(json!({}))).await;
    gateway.request(&remote.asks(READ).auth(json!({})).remote()).await;
    for ask in [Ask::new(READ).auth(json!({})), Ask::new(READ).auth(json!({})).four()] {
        assert_eq!(gateway.refuse(&ask).await.error["details"]["code"], "DEVICE_IDENTITY_REQUIRED");
    }
}

#[tokio::test]
async fn a_trusted_proxy_vouches_for_its_user_who_still_has_to_pair() {
    let proxied = |proxies: Value| {
        let proxy = json!({ "userHeader": "X-Forwarded-User", "requiredHeaders": ["x-proof"], "allowUsers": ["ann"] });
        json!({ "auth": { "mode": "trusted-proxy", "trustedProxy": proxy }, "trustedProxies": proxies })
    };
    let gateway = Running::with(proxied(json!(["127.0.0.1"]))).await;
    let device = Device::new(1);
    let through = |user: &str| {
        let ask = device.asks(READ).auth(json!({})).header("x-forwarded-for", "203.0.113.9").header("x-proof", "1");
        ask.header("x-forwarded-user", user)
    };
    let request = gateway.request(&through("ann")).await;
    gateway.owner("device.pair.approve", json!({ "requestId": request })).await.expect("approved");
    let (_socket, hello) = gateway.admit(&through("ann").four()).await;
    assert_eq!((&hello["auth"]["method"], &hello["auth"]["scopes"]), (&json!("trusted-proxy"), &json!(READ)));
    let token = text(&hello["auth"]["deviceToken"]).to_owned();

    assert_eq!(reason(&gateway, &through("bob")).await, "trusted_proxy_user_not_allowed");
    assert_eq!(reason(&gateway, &through(" ")).await, "trusted_proxy_user_missing");
    let unproved = device.asks(READ).auth(json!({})).header("x-forwarded-user", "ann");
    assert_eq!(reason(&gateway, &unproved).await, "trusted_proxy_untrusted_source");
    let refused = gateway.refuse(&through("bob").four()).await;
    assert_eq!((&refused.error["details"]["code"], refused.close.0), (&json!("AUTH_UNAUTHORIZED"), 1008));
    // Its own token lets a device in past the proxy too; a secret that is configured nowhere does not.
    gateway.admit(&device.returns(&token, READ)).await;
    gateway.refuse(&Device::new(2).asks(READ)).await;

    let elsewhere = Running::with(proxied(json!(["10.0.0.1"]))).await;
    assert_eq!(reason(&elsewhere, &through("ann")).await, "trusted_proxy_untrusted_source", "anybody can send a header");
}
