//! Pairing as devices and those who answer them live it: refused, seen, approved, let in; narrowed, revoked, removed.

use std::time::Duration;

use openclaw_pairing::host::Host as _;
use openclaw_pairing::limits;
use serde_json::{Value, json};

use super::client::{ADMIN, Ask, CLI, Device, PAIRING, READ, SECRET, WRITE, text};
use super::recorded::assert_speaks_like;
use super::running::{Running, is_root};

fn token_of(hello: &Value) -> String {
    hello["auth"]["deviceToken"].as_str().expect("a device token").to_owned()
}

#[tokio::test]
async fn a_first_local_connect_is_paired_by_rule_and_keeps_its_token() {
    let gateway = Running::start().await;
    let device = Device::new(1);
    let (mut socket, hello) = gateway.admit(&device.asks(CLI)).await;
    assert_speaks_like("hello-ok", &hello, &["/canvasHostUrl"]);
    let token = token_of(&hello);
    assert_eq!(token.len(), 43);
    let sorted = json!(["operator.admin", "operator.approvals", "operator.pairing", "operator.read", "operator.write"]);
    let auth = json!({ "deviceToken": token, "role": "operator", "scopes": sorted, "issuedAtMs": gateway.host.wall().0 });
    assert_eq!(hello["auth"], auth);

    let list = socket.get("device.pair.list", json!({})).await;
    assert_speaks_like("paired entry", &list["paired"][0], &[]);
    assert!(!list.to_string().contains(&token), "a list shows no token");
    assert!(gateway.log().await.iter().any(|(event, sentence)| {
        event == "PairingApproved" && sentence.contains(&device.id()) && sentence.contains("rule localFirstPairing")
    }));

    let (_, again) = gateway.admit(&device.returns(&token, READ)).await;
    assert_eq!(token_of(&again), token, "its own token lets it in, and stays");
    let (_, again) = gateway.admit(&device.asks(READ).auth(json!({ "token": token }))).await;
    assert_eq!(token_of(&again), token, "also where the shared one would stand");
}

#[tokio::test]
async fn whoever_is_not_local_waits_for_a_person_who_is_told_all_of_it() {
    let gateway = Running::start().await;
    let page = format!("http://localhost:{}", gateway.address.port());
    for (seed, header, value) in [
        (1, "host", "gw.example.test"),
        (2, "host", "localhost.example.test"),
        (3, "x-forwarded-for", "203.0.113.9"),
        (4, "x-real-ip", "127.0.0.1"),
        (5, "forwarded", "for=127.0.0.1"),
        (6, "via", "1.1 proxy"),
        (7, "x-forwarded-proto", "https"),
        (8, "origin", page.as_str()),
    ] {
        let device = Device::new(seed);
        let ask = device.asks(&["operator.write", "operator.read"]).header(header, value);
        let refused = gateway.refuse(&ask).await;
        let request = text(&refused.error["details"]["requestId"]).to_owned();
        let details = json!({
            "code": "PAIRING_REQUIRED",
            "requestId": request,
            "reason": "not-paired",
            "deviceId": device.id(),
            "requestedRole": "operator",
            "requestedScopes": ["operator.read", "operator.write"],
            "approvedScopes": [],
            "missingScopes": ["operator.read", "operator.write"],
            "remediationHint": format!("openclaw devices approve {request}"),
        });
        assert_eq!(refused.error["code"], "NOT_PAIRED");
        assert_eq!(refused.error["details"], details, "{header}");
        assert_eq!(refused.error["retryAfterMs"], limits::RETRY_AFTER_MS.0);
        let sentence = text(&refused.error["message"]);
        assert!(sentence.starts_with("pairing required: not-paired") && sentence.contains(&request), "{sentence}");
        assert_eq!(refused.close, (1008, format!("pairing required: not-paired, request {request}")));
        assert!(refused.close.1.len() <= limits::CLOSE_REASON_BYTES);

        let again = gateway.refuse(&ask).await;
        assert_eq!(again.error["details"]["requestId"], json!(request), "one request however often it asks");
        assert_eq!(again.error["retryAfterMs"], limits::RETRY_AFTER_MS.0 * 2);
    }
}

#[tokio::test]
async fn a_push_comes_before_the_reply_to_the_act_and_pushes_are_numbered() {
    let gateway = Running::start().await;
    let (mut admin, _) = gateway.admit(&Device::new(1).asks(ADMIN)).await;
    let request = gateway.request(&Device::new(2).asks(READ).remote()).await;
    let rejected = admin.get("device.pair.reject", json!({ "requestId": request })).await;
    assert_eq!(rejected, json!({ "requestId": request, "deviceId": Device::new(2).id() }));
    let heard: Vec<_> = admin.events.iter().map(|push| (text(&push["event"]), push["seq"].as_u64().expect("a number"))).collect();
    let (requested, resolved) = (("device.pair.requested", heard[0].1), ("device.pair.resolved", heard[0].1 + 1));
    assert_eq!(heard, [requested, resolved]);
    assert_eq!(admin.events[1]["payload"]["decision"], "rejected");
    let again = gateway.request(&Device::new(2).asks(READ).remote()).await;
    assert_ne!(again, request, "a rejection is remembered by nobody's id");
}

#[tokio::test]
async fn a06_who_holds_pairing_approves_within_its_own_scopes_only() {
    let gateway = Running::start().await;
    let (mut approver, _) = gateway.admit(&Device::new(1).asks(&["operator.pairing", "operator.read"])).await;
    let requests = async |seed: u8, scopes: &[&str], role: &'static str| {
        let request = gateway.request(&Device::new(seed).asks(scopes).role(role).remote()).await;
        json!({ "requestId": request })
    };
    let within = requests(2, READ, "operator").await;
    let approved = approver.get("device.pair.approve", within.clone()).await;
    assert_speaks_like("device.pair.approve", &approved, &["/device/displayName"]);
    assert_eq!((&approved["requestId"], &approved["device"]["deviceId"]), (&within["requestId"], &json!(Device::new(2).id())));
    let again = approver.get("device.pair.approve", within).await;
    assert!(text(&again["note"]).contains(&format!("by device {}", Device::new(1).id())), "{again}");

    let beyond = requests(3, &["operator.read", "operator.write"], "operator").await;
    assert_eq!(approver.denied("device.pair.approve", beyond.clone()).await["message"], "missing scope: operator.write");
    assert_eq!(approver.denied("device.pair.reject", beyond).await["message"], "missing scope: operator.write");
    let node = requests(4, &[], "node").await;
    assert!(text(&approver.denied("device.pair.approve", node).await["message"]).starts_with("missing scope: operator.admin"));
    let own = requests(1, ADMIN, "operator").await;
    assert_eq!(approver.denied("device.pair.approve", own).await["message"], "missing scope: operator.admin");
    for id in ["x", "00000000-0000-4000-8000-000000000000"] {
        let unknown = json!({ "code": "INVALID_REQUEST", "message": "unknown requestId" });
        assert_eq!(approver.denied("device.pair.approve", json!({ "requestId": id })).await, unknown);
    }
    let refused = gateway.log().await.into_iter().filter(|(event, _)| event == "CommandRefused").count();
    assert!(refused >= 4, "refused commands are on record");
}

#[tokio::test]
async fn a14_a_scope_upgrade_is_asked_once_and_widens_the_same_token() {
    let gateway = Running::start().await;
    let device = Device::new(1);
    let (mut live, hello) = gateway.admit(&device.asks(READ)).await;
    let token = token_of(&hello);
    let refused = gateway.refuse(&device.returns(&token, &["operator.read", "operator.write"])).await;
    let details = &refused.error["details"];
    assert_eq!(details["reason"], "scope-upgrade");
    assert_eq!((&details["approvedScopes"], &details["missingScopes"]), (&json!(READ), &json!(WRITE)));
    let request = text(&details["requestId"]);
    assert_eq!(gateway.request(&device.asks(WRITE)).await, request, "contained in it, so the same request");
    assert!(gateway.log().await.iter().any(|(event, sentence)| {
        event == "ConnectionRefused"
            && ["pairing required", "scope-upgrade", &device.id(), request].iter().all(|part| sentence.contains(part))
    }));

    gateway.owner("device.pair.approve", json!({ "requestId": request })).await.expect("approved");
    let (_, hello) = gateway.admit(&device.returns(&token, WRITE)).await;
    assert_eq!(token_of(&hello), token, "approving must not kill the only credential a device has");
    assert_eq!(hello["auth"]["scopes"], json!(["operator.read", "operator.write"]));
    assert_eq!(live.denied("send", json!({})).await["message"], "missing scope: operator.write", "a live socket stays as it was");
}

#[tokio::test]
async fn a08_what_was_shown_is_what_is_granted() {
    let gateway = Running::start().await;
    let (mut admin, _) = gateway.admit(&Device::new(1).asks(ADMIN)).await;
    let device = Device::new(2);
    let shown = gateway.request(&device.asks(READ).remote()).await;
    let wider = gateway.request(&device.asks(ADMIN).remote()).await;
    assert_ne!(shown, wider);
    admin.push("device.pair.requested").await;
    let superseded = admin.push("device.pair.resolved").await;
    assert_eq!((&superseded["requestId"], &superseded["decision"]), (&json!(shown), &json!("rejected")));
    assert_eq!(admin.push("device.pair.requested").await["supersedes"], json!(shown));
    let error = admin.denied("device.pair.approve", json!({ "requestId": shown })).await;
    assert!(text(&error["message"]).contains(&wider), "{error}");
    gateway.refuse(&device.asks(READ).remote()).await;
}

#[tokio::test]
async fn s09_rotating_with_more_scopes_lets_the_device_in_and_is_recorded_as_an_approval() {
    let gateway = Running::start().await;
    let device = Device::new(1);
    let (mut live, hello) = gateway.admit(&device.asks(READ)).await;
    let old = token_of(&hello);
    let request = gateway.request(&device.asks(WRITE)).await;
    let scopes = json!(["operator.read", "operator.write"]);
    let rotate = json!({ "deviceId": device.id(), "role": "operator", "scopes": scopes });
    let (mut admin, _) = gateway.admit(&Device::new(2).asks(ADMIN)).await;
    let rotated = admin.get("device.token.rotate", rotate).await;
    assert_speaks_like("device.token.rotate", &rotated, &["/token"]);
    assert_eq!((&rotated["tokenDelivery"], &rotated["scopes"]), (&json!("withheld-cross-device"), &scopes));
    assert_eq!(live.end().await, (4001, "token rotated".to_owned()));
    assert!(gateway.log().await.iter().any(|(event, sentence)| event == "PairingApproved" && sentence.contains(&request)));

    let stale = gateway.refuse(&device.returns(&old, READ)).await;
    assert_eq!(stale.error["details"]["code"], "AUTH_DEVICE_TOKEN_MISMATCH");
    assert_eq!(stale.error["details"]["rotatedAtMs"], gateway.host.wall().0);
    assert!(stale.close.1.starts_with("unauthorized: device token mismatch"), "{stale:?}");
    let (_, hello) = gateway.admit(&device.asks(WRITE)).await;
    assert_ne!(token_of(&hello), old);
    assert_eq!(hello["auth"]["scopes"], scopes);
}

#[tokio::test]
async fn a07_a_token_is_shown_to_its_own_device_only() {
    let gateway = Running::start().await;
    let (device, other) = (Device::new(1), Device::new(2));
    let (mut own, hello) = gateway.admit(&device.asks(PAIRING)).await;
    gateway.admit(&other.asks(PAIRING)).await;
    let rotate = |device: &Device| json!({ "deviceId": device.id(), "role": "operator" });
    let error = own.denied("device.token.rotate", rotate(&other)).await;
    assert!(text(&error["message"]).starts_with("missing scope: operator.admin"), "{error}");
    let beyond = json!({ "deviceId": device.id(), "role": "operator", "scopes": CLI });
    assert_eq!(own.denied("device.token.rotate", beyond).await["message"], "missing scope: operator.admin");
    let owner = gateway.owner("device.token.rotate", rotate(&other)).await.expect("rotated");
    assert_eq!((&owner["tokenDelivery"], owner.get("token")), (&json!("withheld-cross-device"), None));

    let rotated = own.get("device.token.rotate", rotate(&device)).await;
    assert_speaks_like("device.token.rotate", &rotated, &[]);
    assert_eq!(rotated["tokenDelivery"], "in-band");
    assert_eq!(own.end().await, (4001, "token rotated".to_owned()), "after the reply");
    let (_, hello_again) = gateway.admit(&device.returns(text(&rotated["token"]), PAIRING)).await;
    assert_ne!(token_of(&hello_again), token_of(&hello));
    assert_eq!(token_of(&hello_again), rotated["token"]);
}

#[tokio::test]
async fn a12_revoking_ends_the_roles_sockets_and_holds_until_somebody_approves() {
    let gateway = Running::start().await;
    let device = Device::new(1);
    let (mut one, hello) = gateway.admit(&device.asks(READ)).await;
    let (mut two, _) = gateway.admit(&device.asks(READ)).await;
    let request = gateway.request(&device.asks(&[]).role("node")).await;
    gateway.owner("device.pair.approve", json!({ "requestId": request })).await.expect("approved");
    let (mut node, _) = gateway.admit(&device.asks(&[]).role("node")).await;

    let (mut admin, _) = gateway.admit(&Device::new(2).asks(ADMIN)).await;
    let params = json!({ "deviceId": device.id(), "role": "operator" });
    let revoked = admin.get("device.token.revoke", params.clone()).await;
    assert_speaks_like("device.token.revoke", &revoked, &[]);
    for socket in [&mut one, &mut two] {
        assert_eq!(socket.end().await, (4001, "token revoked".to_owned()));
    }
    node.get("health", json!({})).await;
    gateway.host.advance(1);
    assert_eq!(admin.get("device.token.revoke", params).await, revoked, "doing it again changes nothing");

    for ask in [device.asks(READ), device.returns(&token_of(&hello), READ)] {
        let refused = gateway.refuse(&ask).await;
        assert_eq!(refused.error["details"]["reason"], "role-upgrade");
        let sentence = text(&refused.error["message"]);
        assert!(sentence.contains("revoked") && sentence.contains(&Device::new(2).id()), "{sentence}");
    }
}

#[tokio::test]
async fn a12_removing_ends_every_socket_and_the_caller_is_answered_first() {
    let gateway = Running::start().await;
    let device = Device::new(1);
    let (mut own, hello) = gateway.admit(&device.asks(CLI)).await;
    let (mut other, _) = gateway.admit(&device.asks(READ)).await;
    let waiting = gateway.request(&device.asks(&[]).role("node")).await;
    let removed = own.get("device.pair.remove", json!({ "deviceId": device.id() })).await;
    assert_speaks_like("device.pair.remove", &removed, &[]);
    for socket in [&mut own, &mut other] {
        assert_eq!(socket.end().await, (4001, "device removed".to_owned()));
    }
    let approved = gateway.owner("device.pair.approve", json!({ "requestId": waiting })).await;
    assert!(text(&approved.expect_err("gone")["message"]).contains("removed"));
    let stale = gateway.refuse(&device.returns(&token_of(&hello), READ)).await;
    assert_eq!(stale.error["details"]["code"], "AUTH_DEVICE_TOKEN_MISMATCH");
    let again = gateway.refuse(&device.asks(READ)).await;
    assert_eq!(again.error["details"]["reason"], "not-paired", "the rule pairs a device once");
    let unknown = gateway.owner("device.pair.remove", json!({ "deviceId": device.id() })).await;
    assert_eq!(unknown.expect_err("gone")["message"], "unknown deviceId");
}

#[tokio::test]
async fn a_node_is_paired_with_no_scopes_and_gets_a_token() {
    let gateway = Running::start().await;
    let device = Device::new(1);
    let (mut node, hello) = gateway.admit(&device.asks(&[]).client("node-host", "node").role("node")).await;
    assert_eq!((&hello["auth"]["role"], &hello["auth"]["scopes"]), (&json!("node"), &json!([])));
    assert_eq!(node.denied("device.pair.list", json!({})).await["message"], "unauthorized role: node");
    let refused = gateway.refuse(&device.returns(&token_of(&hello), READ)).await;
    assert_eq!(refused.error["details"]["code"], "AUTH_DEVICE_TOKEN_MISMATCH", "a token is good for its role");
    let details = gateway.refuse(&device.asks(READ)).await.error["details"].clone();
    assert_eq!((&details["reason"], &details["approvedRoles"]), (&json!("role-upgrade"), &json!(["node"])));
}

#[tokio::test]
async fn another_platform_asks_a_person_and_a_point_release_does_not() {
    let gateway = Running::start().await;
    let device = Device::new(1);
    gateway.admit(&device.asks(READ).platform("macos 15.1")).await;
    gateway.admit(&device.asks(READ).platform("macos 15.2")).await;
    let refused = gateway.refuse(&device.asks(READ).platform("ios")).await;
    assert_eq!(refused.error["details"]["reason"], "metadata-upgrade");
    let list = gateway.owner("device.pair.list", json!({})).await.expect("a list");
    assert_eq!(list["paired"][0]["platform"], "macos 15.2");
    assert_eq!(list["pending"][0]["platformChange"], json!({ "from": "macos 15.2", "to": "ios" }));
}

#[tokio::test]
async fn a_probe_looks_and_pairs_nothing() {
    let gateway = Running::start().await;
    let (known, stranger) = (Device::new(1), Device::new(2));
    gateway.admit(&known.asks(READ)).await;
    for ask in [Ask::new(READ), stranger.asks(READ), known.asks(ADMIN), stranger.asks(READ).remote()] {
        let (mut probe, hello) = gateway.admit(&ask.client("cli", "probe")).await;
        assert_eq!(hello.get("auth"), None);
        probe.get("health", json!({})).await;
        assert_eq!(probe.denied("status", json!({})).await["message"], "missing scope: operator.read");
    }
    gateway.refuse(&Ask::new(READ).client("cli", "probe").auth(json!({ "token": "wrong" }))).await;
    let list = gateway.owner("device.pair.list", json!({})).await.expect("a list");
    assert_eq!((list["pending"].as_array().map(Vec::len), list["paired"].as_array().map(Vec::len)), (Some(0), Some(1)));
}

#[tokio::test]
async fn the_hosts_own_cli_and_backend_come_without_a_pairing_but_only_locally() {
    let gateway = Running::start().await;
    let cli = || Ask::new(CLI);
    let backend = || Ask::new(READ).client("gateway-client", "backend");
    let with_a_device = || Device::new(1).asks(READ).client("gateway-client", "backend");
    for (ask, rule) in [(cli(), "localCli"), (backend(), "localBackend"), (with_a_device(), "localBackend")] {
        let (mut socket, hello) = gateway.admit(&ask).await;
        assert_eq!(hello.get("auth"), None);
        socket.get("status", json!({})).await;
        let (event, sentence) = gateway.log().await.pop().expect("a log");
        assert!(event == "ConnectionAdmitted" && sentence.ends_with(&format!("by rule {rule}")), "{sentence}");
    }
    for ask in [cli().remote(), backend().remote(), Ask::new(CLI).client("test", "test")] {
        let (mut socket, _) = gateway.admit(&ask).await;
        socket.get("health", json!({})).await;
        assert_eq!(socket.denied("status", json!({})).await["message"], "missing scope: operator.read");
    }
    gateway.request(&with_a_device().remote()).await;
    let list = gateway.owner("device.pair.list", json!({})).await.expect("a list");
    assert_eq!(list["paired"], json!([]));
}

#[tokio::test]
async fn x17_a_neighbour_on_this_host_is_not_the_owner_whatever_it_says() {
    if !is_root("connecting as another user of this host") {
        return;
    }
    let gateway = Running::start().await;
    let neighbour = |ask: Ask| ask.by_user(65_533).header("host", "localhost");
    let refused = gateway.refuse(&neighbour(Device::new(1).asks(READ))).await;
    assert_eq!(refused.error["details"]["reason"], "not-paired");
    for ask in [Ask::new(CLI), Ask::new(CLI).client("gateway-client", "backend")] {
        let (mut socket, _) = gateway.admit(&neighbour(ask)).await;
        assert_eq!(socket.denied("status", json!({})).await["message"], "missing scope: operator.read");
    }
    // Our own user's socket is taken for what it is on the same port at the same time.
    gateway.admit(&Device::new(2).asks(READ)).await;
}

#[tokio::test]
async fn a_request_runs_out_even_while_nobody_connects() {
    let gateway = Running::start().await;
    let (mut admin, _) = gateway.admit(&Device::new(1).asks(ADMIN)).await;
    let request = gateway.request(&Device::new(2).asks(READ).remote()).await;
    admin.push("device.pair.requested").await;
    gateway.host.advance(5 * 60_000 - 1);
    gateway.request(&Device::new(2).asks(READ).remote()).await;
    gateway.host.advance(5 * 60_000 - 1);
    assert_eq!(admin.listed().await.0, std::slice::from_ref(&request), "its time counts from the last attempt");
    gateway.host.advance(1);
    tokio::time::pause();
    tokio::time::advance(limits::EXPIRY_SWEEP + Duration::from_millis(1)).await;
    tokio::time::resume();
    let resolved = admin.push("device.pair.resolved").await;
    assert_eq!((&resolved["requestId"], &resolved["decision"]), (&json!(request), &json!("rejected")));
    let error = admin.denied("device.pair.approve", json!({ "requestId": request })).await;
    assert!(text(&error["message"]).contains("expired"), "{error}");
}

#[tokio::test]
async fn a_wiped_identity_is_a_stranger() {
    let gateway = Running::start().await;
    let (_, hello) = gateway.admit(&Device::new(1).asks(READ)).await;
    let wiped = Device::new(2);
    let refused = gateway.refuse(&wiped.returns(&token_of(&hello), READ)).await;
    assert_eq!(refused.error["details"]["code"], "AUTH_DEVICE_TOKEN_MISMATCH");
    let both = wiped.asks(READ).auth(json!({ "token": SECRET, "deviceToken": token_of(&hello) })).remote();
    assert_eq!(gateway.refuse(&both).await.error["details"]["reason"], "not-paired");
}

#[tokio::test]
async fn a05_how_a_request_ended_is_told_to_those_who_might_have_seen_it_and_to_others_it_never_was() {
    let gateway = Running::start().await;
    let (mut admin, _) = gateway.admit(&Device::new(1).asks(ADMIN)).await;
    let (mut stranger, _) = gateway.admit(&Device::new(2).asks(READ).four()).await;
    let (mut approver, _) = gateway.admit(&Device::new(3).asks(&["operator.pairing", "operator.read"]).four()).await;
    let ask = |seed: u8, scopes: &[&str]| Device::new(seed).asks(scopes).remote();
    let superseded = gateway.request(&ask(10, READ)).await;
    let successor = gateway.request(&ask(10, WRITE)).await;
    let approved = gateway.request(&ask(11, READ)).await;
    admin.get("device.pair.approve", json!({ "requestId": approved })).await;
    let rejected = gateway.request(&ask(12, WRITE)).await;
    admin.get("device.pair.reject", json!({ "requestId": rejected })).await;
    let removed = gateway.request(&Device::new(2).asks(ADMIN)).await;
    admin.get("device.pair.remove", json!({ "deviceId": Device::new(2).id() })).await;
    assert_eq!(stranger.end().await, (4001, "device removed".to_owned()));
    let expired = gateway.request(&ask(13, WRITE)).await;
    gateway.host.advance(10 * 60 * 1_000);
    let guessed = "00000000-0000-4000-8000-000000000000".to_owned();

    let unknown = json!({ "code": "INVALID_REQUEST", "message": "unknown requestId" });
    for (request, told) in [
        (&guessed, "unknown requestId"),
        (&superseded, "superseded at"),
        (&rejected, "already rejected"),
        (&removed, "was removed by"),
        (&expired, "expired at"),
    ] {
        for method in ["device.pair.approve", "device.pair.reject"] {
            let error = admin.denied(method, json!({ "requestId": request })).await;
            assert!(text(&error["message"]).contains(told), "{told}: {error}");
        }
    }
    let error = admin.denied("device.pair.approve", json!({ "requestId": superseded })).await;
    assert!(text(&error["message"]).contains(&successor), "{error}");
    let again = admin.get("device.pair.approve", json!({ "requestId": approved })).await;
    assert!(text(&again["note"]).starts_with("already approved"), "{again}");
    // Within its own scopes it might have seen it; beyond, a guess and an end are one.
    assert_ne!(approver.denied("device.pair.reject", json!({ "requestId": approved })).await, unknown);
    for request in [&guessed, &rejected, &removed, &expired] {
        assert_eq!(approver.denied("device.pair.reject", json!({ "requestId": request })).await, unknown, "{request}");
    }
}
