//! Start, stop, restart; what is on disk meanwhile; the owner's channel; and a disk that is full.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use openclaw_pairing::limits;
use openclaw_pairing::pairing::Event;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, UnixStream};

use super::client::{ADMIN, CLI, Device, Heard, READ, WRITE, text};
use super::http;
use super::running::{Running, Stopped, is_root};

fn token_of(hello: &Value) -> &str {
    text(&hello["auth"]["deviceToken"])
}

#[tokio::test]
async fn n10_a_stop_is_told_and_everybody_leaves_with_1012() {
    let gateway = Running::start().await;
    let (mut one, _) = gateway.admit(&Device::new(1).asks(READ)).await;
    let (mut two, _) = gateway.admit(&Device::new(2).asks(&[]).role("node")).await;
    let mut stranger = gateway.open().await;
    let heard = async {
        for socket in [&mut one, &mut two] {
            assert_eq!(socket.push("shutdown").await, json!({ "reason": "gateway stopping", "restartExpectedMs": null }));
            assert_eq!(socket.end().await, (1012, "service restart".to_owned()));
            assert_eq!(socket.hear().await, Heard::Gone);
        }
        assert_eq!(stranger.end().await, (1012, "service restart".to_owned()));
        assert_eq!(stranger.hear().await, Heard::Gone);
    };
    let (stopped, ()) = tokio::join!(gateway.stop(), heard);
    let records = stopped.records();
    let ends: Vec<_> = records.iter().rev().take(3).map(|record| &record.event).collect();
    assert!(matches!(ends[0], Event::GatewayStopped(stopped) if stopped.cause == "a test"), "{ends:?}");
    let is_closed = |event: &Event| matches!(event, Event::ConnectionClosed(closed) if closed.code == 1012);
    assert!(is_closed(ends[1]) && is_closed(ends[2]), "both ends are on record before the stop: {ends:?}");
    assert!(!stopped.state.owner_socket().exists());
}

/// However little the others do, a stop is over soon and the journal is free for the next start.
#[tokio::test]
async fn n10_a_stop_waits_for_nobody_who_only_sits_there() {
    let gateway = Running::start().await;
    let mut kept_alive = TcpStream::connect(gateway.address).await.expect("connected");
    kept_alive.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").await.expect("sent");
    let mut some = [0; 16];
    kept_alive.read_exact(&mut some).await.expect("an answer");
    let _silent = TcpStream::connect(gateway.address).await.expect("connected");
    let _owner = UnixStream::connect(gateway.state.owner_socket()).await.expect("the owner channel");
    let half_open = gateway.open().await;
    let began = std::time::Instant::now();
    let stopped = gateway.stop().await;
    assert!(began.elapsed() < limits::SHUTDOWN_DEADLINE, "took {:?}", began.elapsed());
    stopped.start().await;
    drop(half_open);
}

#[tokio::test]
async fn a_restart_keeps_everything() {
    let gateway = Running::start().await;
    let (paired, revoked, removed) = (Device::new(1), Device::new(2), Device::new(3));
    let (_, hello) = gateway.admit(&paired.asks(READ)).await;
    let (_, gone) = gateway.admit(&removed.asks(READ)).await;
    gateway.admit(&revoked.asks(READ)).await;
    let role = json!({ "deviceId": revoked.id(), "role": "operator" });
    gateway.owner("device.token.revoke", role).await.expect("revoked");
    gateway.owner("device.pair.remove", json!({ "deviceId": removed.id() })).await.expect("removed");
    let waiting = gateway.request(&Device::new(4).asks(READ).remote()).await;
    let upgrade = gateway.request(&paired.asks(WRITE)).await;
    let approved = gateway.request(&Device::new(5).asks(READ).remote()).await;
    gateway.owner("device.pair.approve", json!({ "requestId": approved })).await.expect("approved");
    let list = async |gateway: &Running| {
        let mut list = gateway.owner("device.pair.list", json!({})).await.expect("a list");
        for entry in list["paired"].as_array_mut().expect("a list") {
            entry["connected"] = Value::Null;
        }
        list
    };
    let (before, log) = (list(&gateway).await, gateway.log().await);

    let stopped = gateway.stop().await;
    // People delete these; nothing of it is the truth.
    std::fs::remove_dir_all(stopped.state.devices()).expect("deleted");
    let gateway = stopped.start().await;
    assert_eq!(list(&gateway).await, before);
    assert_eq!(gateway.log().await[..log.len()], log);
    let (_, again) = gateway.admit(&paired.returns(token_of(&hello), READ)).await;
    assert_eq!(token_of(&again), token_of(&hello));
    assert_eq!(gateway.request(&Device::new(4).asks(READ).remote()).await, waiting);
    assert_eq!(gateway.request(&paired.asks(WRITE)).await, upgrade);
    assert_eq!(gateway.refuse(&revoked.asks(READ)).await.error["details"]["reason"], "role-upgrade");
    assert_eq!(gateway.refuse(&removed.asks(READ)).await.error["details"]["reason"], "not-paired");
    let stale = gateway.refuse(&removed.returns(token_of(&gone), READ)).await;
    assert_eq!(stale.error["details"]["code"], "AUTH_DEVICE_TOKEN_MISMATCH");
    gateway.admit(&Device::new(5).asks(READ).remote()).await;
    let note = gateway.owner("device.pair.approve", json!({ "requestId": approved })).await.expect("approved before");
    assert!(text(&note["note"]).starts_with("already approved"), "{note}");
}

#[tokio::test]
async fn the_copies_for_other_tools_hold_no_token_and_no_request() {
    let gateway = Running::start().await;
    let (_, hello) = gateway.admit(&Device::new(1).asks(CLI)).await;
    gateway.request(&Device::new(2).asks(READ).remote()).await;
    let stopped = gateway.stop().await;
    let read = |name: &str| std::fs::read_to_string(stopped.state.devices().join(name)).expect("a copy");
    assert_eq!(read("pending.json"), "{}");
    let paired = read("paired.json");
    let copy: Value = serde_json::from_str(&paired).expect("JSON");
    assert_eq!(copy.as_object().map(|devices| devices.keys().cloned().collect()), Some(vec![Device::new(1).id()]));
    assert!(!paired.contains("token") && !paired.contains(token_of(&hello)), "{paired}");
    for name in ["pending.json", "paired.json"] {
        let mode = std::fs::metadata(stopped.state.devices().join(name)).expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
}

#[tokio::test]
async fn o03_no_secret_is_in_the_state_directory_but_where_it_belongs() {
    let gateway = Running::start().await;
    let (mut own, hello) = gateway.admit(&Device::new(1).asks(CLI)).await;
    let rotate = json!({ "deviceId": Device::new(1).id(), "role": "operator" });
    let rotated = own.get("device.token.rotate", rotate).await;
    gateway.refuse(&Device::new(2).asks(READ).auth(json!({ "token": "a wrong guess", "password": "a wrong password" }))).await;
    let log = gateway.log().await.into_iter().map(|(_, sentence)| sentence).collect::<String>();
    let stopped = gateway.stop().await;
    let mut files = vec![("the log".into(), log.into_bytes())];
    walk(stopped.state.root(), &mut files);
    assert!(files.len() >= 6, "{files:?}");
    for (path, bytes) in files {
        if path == stopped.state.config() {
            continue;
        }
        for secret in [super::client::SECRET, token_of(&hello), text(&rotated["token"]), "a wrong guess", "a wrong password"] {
            let found = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
            assert!(!found, "{secret} is in {}", path.display());
        }
    }
}

fn walk(dir: &Path, files: &mut Vec<(std::path::PathBuf, Vec<u8>)>) {
    for entry in std::fs::read_dir(dir).expect("listed") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            walk(&path, files);
        } else {
            files.push((path.clone(), std::fs::read(&path).expect("read")));
        }
    }
}

#[tokio::test]
async fn the_owner_needs_no_scope_and_is_recorded_as_the_owner() {
    let gateway = Running::start().await;
    let request = gateway.request(&Device::new(1).asks(ADMIN).role("operator").remote()).await;
    let node = gateway.request(&Device::new(2).asks(&[]).role("node").remote()).await;
    for request in [request, node] {
        gateway.owner("device.pair.approve", json!({ "requestId": request })).await.expect("approved");
    }
    gateway.admit(&Device::new(1).asks(ADMIN).remote()).await;
    let uid = rustix::process::geteuid().as_raw();
    let who = if uid == 0 { "root on the gateway host".to_owned() } else { format!("the owner on the gateway host (uid {uid})") };
    assert!(gateway.log().await.iter().any(|(event, sentence)| event == "PairingApproved" && sentence.contains(&who)));
    assert_eq!(
        gateway.owner("no.such.method", json!({})).await.expect_err("refused")["message"],
        "unknown method: no.such.method"
    );
    let mode = std::fs::metadata(gateway.state.owner_socket()).expect("a socket").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[tokio::test]
async fn x10_another_user_behind_the_owner_channel_is_refused() {
    if !is_root("asking the owner channel as another user") {
        return;
    }
    let gateway = Running::start().await;
    let as_neighbour = |path: std::path::PathBuf| {
        let ask = move || -> std::io::Result<String> {
            use std::io::{BufRead as _, Write as _};
            let uid = rustix::thread::Uid::from_raw(65_533);
            rustix::thread::set_thread_res_uid(uid, uid, uid).expect("root may become anybody");
            let mut stream = std::os::unix::net::UnixStream::connect(path)?;
            stream.write_all(b"{\"type\":\"req\",\"id\":\"1\",\"method\":\"device.pair.list\"}\n")?;
            let mut line = String::new();
            std::io::BufReader::new(stream).read_line(&mut line)?;
            Ok(line)
        };
        tokio::task::spawn_blocking(move || std::thread::spawn(ask).join().expect("no panic"))
    };
    let kept_out = as_neighbour(gateway.state.owner_socket()).await.expect("no panic");
    assert_eq!(kept_out.expect_err("the directory is closed").kind(), std::io::ErrorKind::PermissionDenied);
    // Even where somebody opened every door on the way.
    let socket = gateway.state.owner_socket();
    for (path, mode) in socket.ancestors().take(4).zip([0o777, 0o755, 0o755, 0o755]) {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("opened");
    }
    let answer = as_neighbour(socket).await.expect("no panic").expect("an answer");
    let frame: Value = serde_json::from_str(&answer).expect("JSON");
    assert_eq!(frame["ok"], false);
    assert_eq!(frame["error"]["message"], "the owner of this state directory is uid 0, not 65533");
}

#[tokio::test]
async fn the_owner_channel_survives_what_is_no_request() {
    let gateway = Running::start().await;
    for bytes in [b"garbage\n".to_vec(), vec![b'['; limits::OWNER_LINE_BYTES + 1], b"\xff\xfe\n".to_vec()] {
        let mut stream = UnixStream::connect(gateway.state.owner_socket()).await.expect("the owner channel");
        // The gateway may hang up before it has read everything.
        let _sent = stream.write_all(&bytes).await;
        let mut answer = vec![];
        let _read = stream.read_to_end(&mut answer).await;
        assert!(answer.is_empty(), "{}", String::from_utf8_lossy(&answer));
    }
    let mut stream = UnixStream::connect(gateway.state.owner_socket()).await.expect("the owner channel");
    stream.write_all(b"{\"type\":\"req\",\"id\":\"7\",\"method\":\"health\",\"x\":1}\n").await.expect("sent");
    let mut answer = [0; 256];
    let read = stream.read(&mut answer).await.expect("an answer");
    let frame: Value = serde_json::from_slice(&answer[..read]).expect("JSON");
    assert_eq!(
        (&frame["id"], &frame["error"]["message"]),
        (&json!("7"), &json!("invalid request frame: at root: unexpected property 'x'"))
    );
}

/// A small file system of its own, gone when dropped.
struct Mounted<'a>(&'a Path);

impl<'a> Mounted<'a> {
    fn tmpfs(path: &'a Path, size: &str) -> Self {
        std::fs::create_dir_all(path).expect("made");
        let options = format!("size={size},mode=0700");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &options, "none"]).arg(path).status();
        assert!(mounted.is_ok_and(|status| status.success()), "mount -t tmpfs on {}", path.display());
        Self(path)
    }
}

impl Drop for Mounted<'_> {
    fn drop(&mut self) {
        // Lazily: the gateway of a test that failed still holds files in it.
        let _unmounted = Command::new("umount").arg("-l").arg(self.0).status();
    }
}

#[tokio::test]
async fn d04_with_the_disk_full_nobody_is_let_in_until_there_is_room_and_what_was_answered_stays() {
    if !is_root("a file system that is full") {
        return;
    }
    let scratch = tempfile::tempdir().expect("a scratch directory");
    let root = scratch.path().join("state");
    let _mounted = Mounted::tmpfs(&root, "512k");
    let gateway = Stopped::at(&root, json!({ "auth": { "token": super::client::SECRET } })).start().await;
    let (mut admin, _) = gateway.admit(&Device::new(1).asks(ADMIN)).await;
    let request = gateway.request(&Device::new(2).asks(READ).remote()).await;
    let ballast = root.join("ballast");
    assert!(std::fs::write(&ballast, vec![0; 1024 * 1024]).is_err(), "it is full now");
    let unavailable = |error: &Value| error["code"] == "UNAVAILABLE" && error["details"]["code"] == "JOURNAL_UNAVAILABLE";
    // What is left of the last page takes a few more; each of them is kept.
    let mut let_in = vec![];
    let mut seed = 10;
    let refused = loop {
        let device = Device::new(seed);
        let mut socket = gateway.open().await;
        let params = device.asks(READ).params(&socket.nonce, openclaw_pairing::host::Host::wall(&*gateway.host).0);
        socket.request("1", "connect", &params).await;
        match socket.response("1").await {
            Ok(_) => let_in.push(device.id()),
            Err(error) => break (error, socket.end().await),
        }
        seed += 1;
        assert!(seed < 200, "the disk is full, and all are let in");
    };
    assert!(unavailable(&refused.0), "{refused:?}");
    assert_eq!((&refused.0["retryable"], refused.1.0), (&json!(true), 1013));
    // An approval is smaller than a first connect, and what nobody asked for is smaller still: until not even that fits.
    let nobodys = json!({ "requestId": "00000000-0000-4000-8000-000000000000" });
    while !unavailable(&admin.denied("device.pair.approve", nobodys.clone()).await) {}
    let denied = admin.denied("device.pair.approve", json!({ "requestId": request })).await;
    assert!(unavailable(&denied), "{denied}");
    assert_eq!(admin.listed().await.0, std::slice::from_ref(&request), "what is on record can be read");
    let not_ready = http::get(&gateway, "GET /readyz HTTP/1.1", &[]).await;
    assert!(not_ready.0 == 503 && not_ready.2.starts_with(r#"{"ready":false,"failing":["journal"],"#), "{not_ready:?}");
    std::fs::remove_file(&ballast).expect("room again");
    // What could not be recorded was never begun, so nothing has to be read again.
    gateway.admit(&Device::new(1).asks(ADMIN)).await;

    let gateway = gateway.stop().await.start().await;
    let (mut admin, _) = gateway.admit(&Device::new(1).asks(ADMIN)).await;
    let (pending, mut paired) = admin.listed().await;
    assert_eq!(pending, [request]);
    let mut expected = let_in;
    expected.push(Device::new(1).id());
    paired.sort();
    expected.sort();
    assert_eq!(paired, expected);
    drop((admin, gateway));
}
