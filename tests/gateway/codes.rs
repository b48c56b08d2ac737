//! Setup codes over real sockets: made, shown, spent, fetched by their join URL, and nowhere else to be read.

use std::fs;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use openclaw_pairing::host::Host as _;
use openclaw_pairing::limits::{FAILURE_PER_ADDRESS, SETUP_CODE_MS};
use openclaw_pairing::pairing::{Event, digest_of};
use serde_json::{Value, json};

use super::client::{ADMIN, Ask, CLI, Device, PAIRING, READ, SECRET, WRITE, text};
use super::http::get;
use super::running::{Running, Stopped};

const HERE: &str = "ws://127.0.0.1:1";

/// A code with these params; its token.
async fn made(gateway: &Running, params: Value) -> (Value, String) {
    let mut params = params;
    if params.get("onThisHost").is_none() && params.get("publicUrl").is_none() {
        params["publicUrl"] = HERE.into();
    }
    let made = gateway.owner("device.pair.setupCode", params).await.expect("a code");
    let payload = payload(&made);
    assert_eq!((&payload["url"], &payload["expiresAtMs"]), (&made["gatewayUrl"], &made["expiresAtMs"]));
    (made.clone(), text(&payload["bootstrapToken"]).to_owned())
}

fn payload(made: &Value) -> Value {
    let bytes = URL_SAFE_NO_PAD.decode(text(&made["setupCode"])).expect("base64url");
    serde_json::from_slice(&bytes).expect("JSON")
}

/// Somebody from elsewhere with a code and nothing else.
fn shows(device: &Device, code: &str, scopes: &[&str]) -> Ask {
    device.asks(scopes).remote().auth(json!({ "bootstrapToken": code }))
}

fn node(device: &Device, code: &str) -> Ask {
    shows(device, code, &[]).role("node").client("node-host", "node")
}

#[tokio::test]
async fn a_code_pairs_the_first_who_shows_it_and_its_token_lets_it_in_again() {
    let gateway = Running::start().await;
    let (result, code) = made(&gateway, json!({ "role": "operator", "scopes": ["operator.write"], "label": "desk" })).await;
    assert_eq!(
        (&result["access"], &result["urlSource"], &result["auth"]),
        (&json!("limited"), &json!("request.publicUrl"), &json!("token"))
    );
    assert_eq!(result["grants"], json!([{ "role": "operator", "scopes": ["operator.write"] }]));
    assert_eq!(result["expiresAtMs"], gateway.host.wall().0 + SETUP_CODE_MS.1);
    assert_eq!(gateway.owner("device.pair.setupStatus", json!({ "setupId": result["setupId"] })).await, Ok(json!({})));

    let (first, second) = (Device::new(1), Device::new(2));
    let (_socket, hello) = gateway.admit(&shows(&first, &code, READ).four()).await;
    let auth = &hello["auth"];
    assert_eq!((&auth["method"], &auth["role"], &auth["scopes"]), (&json!("bootstrap-token"), &json!("operator"), &json!(READ)));
    assert_eq!(auth.get("deviceTokens"), None);
    let refused = gateway.refuse(&shows(&second, &code, READ).four()).await;
    assert_eq!(refused.error["details"]["code"], "AUTH_BOOTSTRAP_TOKEN_INVALID");
    let status = gateway.owner("device.pair.setupStatus", json!({ "setupId": result["setupId"] })).await.expect("a status");
    assert_eq!(status["completion"]["deviceId"], json!(first.id()));
    assert_eq!(status["completion"]["access"], "limited");

    // Its hello was lost: it hears the same again, by the same code.
    let (_socket, again) = gateway.admit(&shows(&first, &code, READ).four()).await;
    assert_eq!((&again["auth"]["method"], &again["auth"]["deviceToken"]), (&json!("bootstrap-token"), &auth["deviceToken"]));
    let (_socket, back) = gateway.admit(&first.returns(text(&auth["deviceToken"]), WRITE).four()).await;
    assert_eq!(back["auth"]["method"], "device-token");
    let (_, hello) = gateway.admit(&first.returns(text(&auth["deviceToken"]), WRITE)).await;
    assert_eq!(hello["auth"]["deviceToken"], auth["deviceToken"]);
}

#[tokio::test]
async fn a_code_for_both_roles_tells_protocol_4_both_tokens() {
    let gateway = Running::start().await;
    let (result, code) = made(&gateway, json!({})).await;
    assert_eq!((&result["access"], result.get("joinUrl")), (&json!("limited"), None));
    let phone = Device::new(1);
    for _ in 0..2 {
        let (_socket, hello) = gateway.admit(&node(&phone, &code).four()).await;
        let auth = &hello["auth"];
        let [other] = auth["deviceTokens"].as_array().expect("tokens").as_slice() else { panic!("one more: {auth}") };
        assert_eq!((&auth["role"], &other["role"]), (&json!("node"), &json!("operator")));
        let limited =
            json!(["operator.approvals", "operator.questions", "operator.read", "operator.talk.secrets", "operator.write"]);
        assert_eq!(other["scopes"], limited);
        gateway.admit(&phone.returns(text(&other["deviceToken"]), READ).remote().four()).await;
    }
    // In protocol 3 there is one token for one role.
    let (_, code) = made(&gateway, json!({ "bootstrapProfile": "voice-node" })).await;
    let (_, hello) = gateway.admit(&node(&Device::new(2), &code)).await;
    assert_eq!((&hello["auth"]["role"], hello["auth"].get("deviceTokens")), (&json!("node"), None));
}

#[tokio::test]
async fn a_code_is_good_for_its_time_and_until_it_is_taken_back() {
    let gateway = Running::start().await;
    let (first, code) = made(&gateway, json!({ "ttlMs": 60_000, "label": "a" })).await;
    let (second, other) = made(&gateway, json!({ "label": "b" })).await;
    let revoke = |id: Value| gateway.owner("device.pair.revokeSetupCode", json!({ "setupId": id }));
    assert_eq!(revoke(second["setupId"].clone()).await, Ok(json!({ "setupId": second["setupId"] })));
    assert!(revoke(second["setupId"].clone()).await.is_err() && revoke("x".into()).await.is_err());
    gateway.refuse(&shows(&Device::new(1), &other, READ)).await;
    gateway.host.advance(60_000);
    gateway.refuse(&shows(&Device::new(1), &code, READ)).await;
    let list = gateway.owner("device.pair.setupCodes", json!({})).await.expect("a list");
    let [entry] = list["setupCodes"].as_array().expect("codes").as_slice() else { panic!("one: {list}") };
    assert_eq!((&entry["setupId"], &entry["state"], &entry["label"]), (&first["setupId"], &json!("expired"), &json!("a")));
    for wrong in [json!({ "ttlMs": 59_999 }), json!({ "ttlMs": 86_400_001 }), json!({ "bootstrapProfile": "x" })] {
        let error = gateway.owner("device.pair.setupCode", wrong).await.expect_err("refused");
        assert!(text(&error["message"]).starts_with("invalid device.pair.setupCode params: at /"), "{error}");
    }
}

#[tokio::test]
async fn only_an_admin_makes_codes_and_nobody_less_hears_of_them() {
    let gateway = Running::start().await;
    let (mut admin, _) = gateway.admit(&Device::new(1).asks(ADMIN)).await;
    let (mut other, _) = gateway.admit(&Device::new(2).asks(&[PAIRING, WRITE].concat())).await;
    for (method, params) in [
        ("device.pair.setupCode", json!({ "publicUrl": HERE })),
        ("device.pair.setupStatus", json!({ "setupId": "x" })),
        ("device.pair.setupCodes", json!({})),
        ("device.pair.revokeSetupCode", json!({ "setupId": "x" })),
    ] {
        let error = other.call(method, params.clone()).await.expect_err("refused");
        assert_eq!(error["message"], "missing scope: operator.admin", "{method}");
        if method == "device.pair.setupCode" {
            let made = admin.call(method, params).await.expect("a code");
            assert!(made["setupId"].is_string());
        }
    }
}

#[tokio::test]
async fn an_address_is_asked_for_configured_or_listened_on_and_never_a_plain_one_afar() {
    let gateway = Running::start().await;
    let make = |params: Value| gateway.owner("device.pair.setupCode", params);
    let error = make(json!({})).await.expect_err("loopback only");
    assert!(text(&error["message"]).starts_with("the gateway listens on loopback only"), "{error}");
    for (url, says) in
        [("ws://gw.example", "without TLS"), ("ftp://gw.example", "no address"), ("wss://u:p@gw.example", "no address")]
    {
        let error = make(json!({ "publicUrl": url })).await.expect_err("refused");
        assert!(text(&error["message"]).contains(says), "{url}: {error}");
    }
    let admin = json!({ "publicUrl": "ws://192.168.1.2:1", "role": "operator", "scopes": CLI });
    assert!(text(&make(admin).await.expect_err("refused")["message"]).contains("operator.admin"));
    let join = json!({ "publicUrl": "ws://192.168.1.2:1", "joinUrl": true });
    assert!(text(&make(join).await.expect_err("refused")["message"]).contains("https://"));
    let made = make(json!({ "publicUrl": "https://Gw.Example/oc/", "joinUrl": true })).await.expect("a code");
    assert_eq!((&made["gatewayUrl"], &made["access"]), (&json!("wss://gw.example/oc/"), &json!("node")));
    assert!(text(&made["joinUrl"]).starts_with("https://gw.example/oc/j/"));
    let here = make(json!({ "onThisHost": true })).await.expect("a code");
    assert_eq!(here["gatewayUrl"], format!("ws://{}", gateway.address));

    let gateway = Running::with(json!({ "auth": { "token": SECRET }, "remote": { "url": "wss://gw.example" } })).await;
    let made = gateway.owner("device.pair.setupCode", json!({})).await.expect("a code");
    assert_eq!((&made["gatewayUrl"], &made["urlSource"]), (&json!("wss://gw.example"), &json!("gateway.remote.url")));
}

#[tokio::test]
async fn a_join_url_gives_what_a_client_needs_and_spends_nothing() {
    let gateway = Running::start().await;
    let (result, code) = made(&gateway, json!({ "onThisHost": true, "joinUrl": true })).await;
    let path = text(&result["joinUrl"]).strip_prefix(&format!("http://{}", gateway.address)).expect("its address").to_owned();
    assert_eq!((path.as_str(), code.len()), (format!("/j/{code}").as_str(), 22));
    for _ in 0..3 {
        let (status, head, body) = get(&gateway, &format!("GET {path} HTTP/1.1"), &[]).await;
        assert_eq!((status, serde_json::from_str::<Value>(&body).expect("JSON")), (200, payload(&result)));
        assert!(head.contains("cache-control: no-store") && head.contains("content-type: application/json"), "{head}");
    }
    // Each of these is answered in the same way, whatever is wrong with it.
    for line in [
        format!("GET {path}x HTTP/1.1"),
        format!("GET {path}?a HTTP/1.1"),
        format!("HEAD {path} HTTP/1.1"),
        "GET /j/ HTTP/1.1".to_owned(),
        "GET /j/AAAAAAAAAAAAAAAAAAAAAA HTTP/1.1".to_owned(),
    ] {
        let (status, head, body) = get(&gateway, &line, &[]).await;
        assert_eq!(status, 404, "{line}");
        assert!(head.contains("cache-control: no-store") && (body == r#"{"error":"not_found"}"# || body.is_empty()), "{line}");
    }
    gateway.admit(&node(&Device::new(1), &code)).await;
    assert_eq!(get(&gateway, &format!("GET {path} HTTP/1.1"), &[]).await.0, 404, "it is spent");
}

#[tokio::test]
async fn x22_a_join_url_is_answered_under_our_names_and_those_that_codes_say() {
    let gateway = Running::with(json!({ "auth": { "token": SECRET }, "remote": { "url": "wss://gw.example" } })).await;
    let (_, code) = made(&gateway, json!({ "publicUrl": "wss://other.example" })).await;
    for (host, status) in [("localhost", 200), ("gw.example", 200), ("other.example:443", 200), ("foreign.example", 421)] {
        let got = get(&gateway, &format!("GET /j/{code} HTTP/1.1"), &[&format!("Host: {host}")]).await;
        assert_eq!((got.0, got.2.contains(&code)), (status, status == 200), "{host}");
    }
    assert_eq!(get(&gateway, "GET /healthz HTTP/1.1", &["Host: other.example"]).await.0, 421);
}

#[tokio::test]
async fn a11_a_wrong_code_is_a_wrong_guess_wherever_it_is_shown() {
    let gateway = Running::start().await;
    let (_, code) = made(&gateway, json!({})).await;
    let stranger = Device::new(1);
    for guess in 0..FAILURE_PER_ADDRESS.default {
        let refused = if guess % 2 == 0 {
            gateway.refuse(&shows(&stranger, &format!("wrong {guess}"), READ)).await.error["details"]["authReason"].clone()
        } else {
            let (status, _, _) = get(&gateway, &format!("GET /j/{guess:022} HTTP/1.1"), &[]).await;
            assert_eq!(status, 404);
            json!("bootstrap_token_invalid")
        };
        assert_eq!(refused, "bootstrap_token_invalid");
    }
    let refused = gateway.refuse(&shows(&stranger, &code, READ)).await;
    assert_eq!(refused.error["details"]["authReason"], "rate_limited", "not even a good one is looked at");
    let (status, head, body) = get(&gateway, &format!("GET /j/{code} HTTP/1.1"), &[]).await;
    assert_eq!((status, body.as_str()), (429, r#"{"error":"rate_limited"}"#));
    assert!(head.contains("retry-after: 300"), "{head}");
    gateway.host.advance(300_000);
    gateway.admit(&shows(&stranger, &code, READ)).await;
}

#[tokio::test]
async fn a11_a_good_code_is_no_guess() {
    let gateway = Running::start().await;
    let (_, code) = made(&gateway, json!({})).await;
    for _ in 0..2 * FAILURE_PER_ADDRESS.default {
        assert_eq!(get(&gateway, &format!("GET /j/{code} HTTP/1.1"), &[]).await.0, 200);
    }
    for _ in 0..2 * FAILURE_PER_ADDRESS.default {
        gateway.admit(&shows(&Device::new(1), &code, READ)).await;
    }
}

#[tokio::test]
async fn x14_two_who_race_with_an_owners_code_are_one_owner() {
    let gateway = Running::start().await;
    let params =
        json!({ "role": "operator", "scopes": CLI, "ttlMs": 120_000, "label": "page", "only": true, "onThisHost": true });
    let (_, old) = made(&gateway, params.clone()).await;
    let (_, code) = made(&gateway, params.clone()).await;
    gateway.refuse(&shows(&Device::new(9), &old, CLI)).await;
    let (first, second) = (Device::new(1), Device::new(2));
    let asks = [shows(&first, &code, CLI).four(), shows(&second, &code, CLI).four()];
    let (one, two) = tokio::join!(gateway.connect(&asks[0]), gateway.connect(&asks[1]));
    let let_in = [one, two].iter().filter(|tried| format!("{:?}", tried.heard).contains("hello-ok")).count();
    assert_eq!(let_in, 1);
    let paired = gateway.owner("device.pair.list", json!({})).await.expect("a list")["paired"].as_array().expect("a list").len();
    assert_eq!(paired, 1);
    gateway.refuse(&shows(&Device::new(3), &code, CLI)).await;
    let (_, code) = made(&gateway, params).await;
    gateway.host.advance(120_000);
    gateway.refuse(&shows(&Device::new(3), &code, CLI)).await;
}

#[tokio::test]
async fn o03_the_text_of_a_code_is_in_no_file_and_in_no_log() {
    let gateway = Running::start().await;
    let (_, spent) = made(&gateway, json!({ "label": "spent" })).await;
    let (_, good) = made(&gateway, json!({ "onThisHost": true, "joinUrl": true })).await;
    gateway.admit(&shows(&Device::new(1), &spent, READ)).await;
    gateway.refuse(&shows(&Device::new(2), &spent, READ)).await;
    get(&gateway, &format!("GET /j/{good} HTTP/1.1"), &[]).await;
    let log = format!("{:?}", gateway.log().await);
    let list = gateway.owner("device.pair.setupCodes", json!({})).await.expect("a list").to_string();
    let digests = gateway.records().into_iter().filter_map(|record| match record.event {
        Event::SetupCodeCreated(event) => Some(event.digest),
        _ => None,
    });
    assert_eq!(digests.collect::<Vec<_>>(), [digest_of(&spent), digest_of(&good)]);
    let stopped = gateway.stop().await;
    for code in [&spent, &good] {
        assert!(!log.contains(code.as_str()) && !list.contains(code.as_str()));
        assert!(!holds(stopped.state.root(), code.as_bytes()), "{code}");
    }
    assert!(holds(stopped.state.root(), b"spent"), "what is looked through holds the label");
}

fn holds(dir: &Path, needle: &[u8]) -> bool {
    fs::read_dir(dir).expect("a directory").any(|entry| {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            return holds(&path, needle);
        }
        // The owner channel is no file.
        fs::read(&path).is_ok_and(|bytes| bytes.windows(needle.len()).any(|window| window == needle))
    })
}

#[tokio::test]
async fn a_code_is_still_good_after_a_restart() {
    let gateway = Running::start().await;
    let (_, code) = made(&gateway, json!({ "onThisHost": true })).await;
    let stopped: Stopped = gateway.stop().await;
    let gateway = stopped.start().await;
    gateway.admit(&shows(&Device::new(1), &code, READ)).await;
}
