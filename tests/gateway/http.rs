//! Plain HTTP and the upgrade: whose names, origins and forwarding headers are believed.

use std::net::SocketAddr;

use openclaw_pairing::host::Host as _;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::client::{Ask, Device, PATIENCE, READ, SECRET};
use super::running::Running;

/// Sends these lines as a request and returns what comes back until the connection ends.
pub(crate) async fn answer(address: SocketAddr, lines: &[&str]) -> String {
    let mut stream = TcpStream::connect(address).await.expect("connected");
    stream.write_all(format!("{}\r\n\r\n", lines.join("\r\n")).as_bytes()).await.expect("sent");
    let mut answer = String::new();
    tokio::time::timeout(PATIENCE, stream.read_to_string(&mut answer)).await.expect("in time").expect("text");
    answer
}

/// Status, head and body of the answer to a request that is not kept alive.
pub(crate) async fn get(gateway: &Running, line: &str, headers: &[&str]) -> (u16, String, String) {
    let mut lines = vec![line, "Connection: close"];
    if !headers.iter().any(|header| header.starts_with("Host:")) {
        lines.push("Host: localhost");
    }
    lines.extend(headers);
    let answer = answer(gateway.address, &lines).await;
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
    (status, head.to_ascii_lowercase(), body.to_owned())
}

#[tokio::test]
async fn health_is_there_for_everybody_and_detail_for_this_host() {
    let gateway = Running::start().await;
    for path in ["/health", "/healthz"] {
        let (status, head, body) = get(&gateway, &format!("GET {path} HTTP/1.1"), &[]).await;
        assert_eq!((status, body.as_str()), (200, r#"{"ok":true,"status":"live"}"#));
        assert!(head.contains("cache-control: no-store") && head.contains("content-type: application/json"), "{head}");
    }
    for path in ["/ready", "/readyz"] {
        let (_, _, body) = get(&gateway, &format!("GET {path} HTTP/1.1"), &[]).await;
        assert!(body.starts_with(r#"{"ready":true,"failing":[],"uptimeMs":"#), "{body}");
        for header in ["X-Forwarded-For: 127.0.0.1", "Origin: http://localhost:1", "Via: 1.1 x"] {
            let (_, _, body) = get(&gateway, &format!("GET {path} HTTP/1.1"), &[header]).await;
            assert_eq!(body, r#"{"ready":true}"#, "{header}");
        }
    }
    let (status, head, body) = get(&gateway, "HEAD /healthz HTTP/1.1", &[]).await;
    assert_eq!((status, body.as_str()), (200, ""));
    assert!(head.contains("content-length: 27"), "{head}");
    for method in ["POST", "PUT", "DELETE", "OPTIONS"] {
        let (status, head, body) = get(&gateway, &format!("{method} /healthz HTTP/1.1"), &["Content-Length: 0"]).await;
        assert_eq!((status, body.as_str()), (405, "Method Not Allowed"));
        assert!(head.contains("allow: get, head"), "{head}");
    }
    assert_eq!(get(&gateway, "GET /api/x HTTP/1.1", &[]).await.0, 404);
}

#[tokio::test]
async fn x22_a_page_under_a_foreign_name_reads_nothing() {
    let gateway = Running::start().await;
    let page = page();
    for host in ["gw.example.test", "localhost.example.test", "203.0.113.9", "", "a b"] {
        for path in ["/health", "/healthz", "/ready", "/readyz", "/nothing"].into_iter().chain(page.iter().map(String::as_str)) {
            let (status, head, body) = get(&gateway, &format!("GET {path} HTTP/1.1"), &[&format!("Host: {host}")]).await;
            assert!([400, 421].contains(&status) && !body.contains("ok") && !body.contains("ready"), "{host} {path}: {head}");
        }
    }
    for host in ["localhost", "LOCALHOST:1", "127.0.0.1", "[::1]:7"] {
        assert_eq!(get(&gateway, "GET /healthz HTTP/1.1", &[&format!("Host: {host}")]).await.0, 200, "{host}");
    }
    assert!(answer(gateway.address, &["GET /healthz HTTP/1.1", "Connection: close"]).await.starts_with("HTTP/1.1 421"));
}

/// The path of each file of the page.
fn page() -> Vec<String> {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/gateway/page");
    let names = std::fs::read_dir(folder).expect("the page").map(|entry| entry.expect("a file").file_name());
    let path = |name: &str| if name == "index.html" { "/".to_owned() } else { format!("/{name}") };
    names.map(|name| path(name.to_str().expect("a plain name"))).collect()
}

#[tokio::test]
async fn x28_the_page_can_be_read_and_nothing_else_done_with_it() {
    let gateway = Running::start().await;
    for path in page() {
        let (status, head, body) = get(&gateway, &format!("GET {path} HTTP/1.1"), &[]).await;
        assert!(status == 200 && !body.is_empty(), "{path}: {head}");
        for header in [
            "content-security-policy: default-src 'none'; ",
            "x-frame-options: deny",
            "x-content-type-options: nosniff",
            "referrer-policy: no-referrer",
            "cache-control: no-cache",
            "cross-origin-opener-policy: same-origin",
            "cross-origin-resource-policy: same-origin",
        ] {
            assert_eq!(head.matches(&format!("\r\n{header}")).count(), 1, "{path}: {header}\n{head}");
        }
        let (status, its_head, nothing) = get(&gateway, &format!("HEAD {path} HTTP/1.1"), &[]).await;
        assert_eq!((status, nothing.as_str()), (200, ""), "{path}");
        assert!(its_head.contains(&format!("content-length: {}", body.len())), "{path}: {its_head}");
        for method in ["POST", "PUT", "DELETE", "OPTIONS"] {
            let (status, head, body) = get(&gateway, &format!("{method} {path} HTTP/1.1"), &["Content-Length: 0"]).await;
            assert_eq!((status, body.as_str()), (404, "Not Found"), "{method} {path}: {head}");
        }
    }
}

#[tokio::test]
async fn x23_only_a_request_that_reads_one_way_is_upgraded() {
    let gateway = Running::start().await;
    let host = "Host: localhost";
    let (upgrade, connection) = ("Upgrade: websocket", "Connection: Upgrade");
    let (key, version) = ("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Version: 13");
    let get = "GET / HTTP/1.1";
    for lines in [
        [get, host, upgrade, connection, key, "Sec-WebSocket-Version: 8"].as_slice(),
        &[get, host, upgrade, connection, version],
        &[get, host, upgrade, connection, version, "Sec-WebSocket-Key: short"],
        &[get, upgrade, connection, key, version],
        &[get, host, host, upgrade, connection, key, version],
        &[get, host, upgrade, upgrade, connection, key, version],
        &[get, host, upgrade, connection, key, key, version],
        &[get, host, upgrade, connection, key, version, version],
        &[get, host, "Upgrade: h2c", connection, key, version],
        &[get, host, upgrade, "Connection: close", key, version],
        &[get, host, upgrade, connection, key, version, "Content-Length: 1"],
        &[get, host, upgrade, connection, key, version, "Transfer-Encoding: chunked"],
        &["POST / HTTP/1.1", host, upgrade, connection, key, version, "Content-Length: 0"],
        &["GET / HTTP/1.0", host, upgrade, connection, key, version],
    ] {
        let answer = answer(gateway.address, lines).await;
        assert!(answer.starts_with("HTTP/1.1 400") || answer.starts_with("HTTP/1.0 400"), "{lines:?}: {answer}");
    }
    for path in ["/", "/ws", "/foo?x=1"] {
        let mut stream = TcpStream::connect(gateway.address).await.expect("connected");
        let request = [&format!("GET {path} HTTP/1.1"), host, upgrade, connection, key, version].join("\r\n");
        stream.write_all(format!("{request}\r\n\r\n").as_bytes()).await.expect("sent");
        let mut head = [0; 12];
        stream.read_exact(&mut head).await.expect("an answer");
        assert_eq!(&head, b"HTTP/1.1 101", "{path}");
    }
}

#[tokio::test]
async fn a09_a_page_connects_from_our_own_origin_or_a_listed_one() {
    let config = json!({ "auth": { "token": SECRET }, "controlUi": { "allowedOrigins": ["https://ui.example.test", "*"] } });
    let gateway = Running::with(config).await;
    let port = gateway.address.port();
    let device = Device::new(1);
    let allowed = [format!("http://127.0.0.1:{port}"), format!("http://localhost:{port}"), "https://ui.example.test".to_owned()];
    for origin in &allowed {
        gateway.request(&device.asks(READ).header("origin", origin)).await;
        let (mut socket, _) = gateway.admit(&Ask::new(READ).header("origin", origin)).await;
        assert_eq!(socket.denied("status", json!({})).await["message"], "missing scope: operator.read", "no rule for pages");
    }
    for origin in [
        "null",
        "*",
        "",
        "http://localhost",
        "http://localhost:3000",
        &format!("https://localhost:{port}"),
        &format!("http://localhost.example.test:{port}"),
        &format!("http://user@localhost:{port}"),
        "http://ui.example.test",
        "https://ui.example.test:8443",
        "https://evil.example.test",
    ] {
        // Whatever it calls itself.
        for (id, mode) in [("cli", "cli"), ("openclaw-control-ui", "ui"), ("gateway-client", "backend")] {
            let refused = gateway.refuse(&device.asks(READ).client(id, mode).header("origin", origin)).await;
            let details = json!({ "code": "CONTROL_UI_ORIGIN_NOT_ALLOWED", "reason": "origin not allowed" });
            assert_eq!((refused.error["details"].clone(), refused.close.0), (details, 1008), "{origin} as {id}");
        }
    }
}

#[tokio::test]
async fn a09_behind_a_listener_on_every_address_the_one_that_was_reached_is_ours() {
    let gateway = Running::with(json!({ "bind": "lan", "auth": { "token": SECRET } })).await;
    let here = std::net::SocketAddr::from(([127, 0, 0, 1], gateway.address.port()));
    for (origin, is_allowed) in [(format!("http://{here}"), true), (format!("http://0.0.0.0:{}", here.port() + 1), false)] {
        let ask = Device::new(1).asks(READ).header("origin", &origin);
        let mut socket = ask.open(here).await;
        let params = ask.params(&socket.nonce, gateway.host.wall().0);
        socket.request("connect", "connect", &params).await;
        let error = socket.response("connect").await.expect_err("a page asks a person");
        assert_eq!(error["code"] == "NOT_PAIRED", is_allowed, "{origin}: {error}");
    }
}

#[tokio::test]
async fn a09_a_client_of_pages_without_an_origin_is_refused() {
    let gateway = Running::start().await;
    for id in ["openclaw-control-ui", "webchat", "webchat-ui", "openclaw-browser-copilot"] {
        let refused = gateway.refuse(&Device::new(1).asks(READ).client(id, "webchat").four()).await;
        let details = json!({ "code": "CONTROL_UI_ORIGIN_NOT_ALLOWED", "reason": "origin missing or invalid" });
        assert_eq!((&refused.error["details"], refused.close.0), (&details, 1008), "{id}");
    }
}

#[tokio::test]
async fn a10_a_real_ip_counts_where_the_settings_say_so_and_no_hop_is_named() {
    let config = json!({ "auth": { "token": SECRET }, "trustedProxies": ["127.0.0.1"], "allowRealIpFallback": true });
    for (config, seen) in
        [(config.clone(), "203.0.113.9"), (json!({ "auth": { "token": SECRET }, "trustedProxies": ["127.0.0.1"] }), "")]
    {
        let gateway = Running::with(config).await;
        gateway.request(&Device::new(1).asks(READ).header("x-real-ip", "203.0.113.9")).await;
        let list = gateway.owner("device.pair.list", json!({})).await.expect("a list");
        assert_eq!(list["pending"][0]["remoteIp"].as_str().unwrap_or_default(), seen);
    }
}

#[tokio::test]
async fn a10_only_a_trusted_proxy_says_where_a_client_is() {
    let remote_ip = async |gateway: &Running, seed: u8, headers: &[(&'static str, &str)]| {
        let ask = headers.iter().fold(Device::new(seed).asks(READ), |ask, (name, value)| ask.header(name, value));
        let request = gateway.request(&ask).await;
        let list = gateway.owner("device.pair.list", json!({})).await.expect("a list");
        let pending = list["pending"].as_array().expect("a list").iter().find(|entry| entry["requestId"] == request.as_str());
        pending.expect("its request").get("remoteIp").map(|ip| ip.as_str().expect("a text").to_owned())
    };
    let untrusting = Running::start().await;
    assert_eq!(remote_ip(&untrusting, 1, &[("x-forwarded-for", "203.0.113.9")]).await, None);

    let config = json!({ "auth": { "token": SECRET }, "trustedProxies": ["127.0.0.1", "10.0.0.0/8"] });
    let trusting = Running::with(config).await;
    for (seed, header, value, ip) in [
        (1, "x-forwarded-for", "203.0.113.9", Some("203.0.113.9")),
        (2, "x-forwarded-for", "198.51.100.7, 203.0.113.9:4711, 10.1.2.3", Some("203.0.113.9")),
        (3, "x-forwarded-for", "::ffff:203.0.113.9", Some("203.0.113.9")),
        (4, "x-forwarded-for", "[2001:db8::1]:443", Some("2001:db8::1")),
        (5, "x-forwarded-for", "junk", None),
        (6, "x-forwarded-for", "127.0.0.1", None),
        (7, "forwarded", "for=203.0.113.9", None),
    ] {
        assert_eq!(remote_ip(&trusting, seed, &[(header, value)]).await.as_deref(), ip, "{header}: {value}");
    }
    // A trusted proxy on this host does not make the host's own clients remote.
    trusting.admit(&Device::new(9).asks(READ)).await;
}
