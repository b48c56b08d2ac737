//! A mistake of ours in one place: what ends with it, and what is told of it. The clock is handed in, so it can be made to panic.

use std::process::Command;
use std::sync::{Arc, Mutex};

use openclaw_pairing::cli;
use openclaw_pairing::gateway::GatewayError;
use openclaw_pairing::host::{Host, ManualHost};
use openclaw_pairing::journal::{Verdict, verify};
use openclaw_pairing::limits;
use openclaw_pairing::pairing::{Event, Millis};
use openclaw_pairing::settings::Flags;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::client::{ADMIN, Device, READ, SECRET, text};
use super::running::{Running, Stopped};

/// A machine whose clock panics once, with a text that nobody may see.
struct Breaking {
    machine: Arc<ManualHost>,
    /// Whose next look at the clock it is.
    of: Mutex<Option<Of>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Of {
    Writer,
    Task,
}

const UPGRADE: &[u8] = b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

const UNSAID: &str = "a-text-of-a-client";

impl Breaking {
    fn breaks(&self, of: Of) {
        *self.of.lock().expect("no panic in here") = Some(of);
    }
}

impl Host for Breaking {
    fn wall(&self) -> Millis {
        let of = if std::thread::current().name() == Some("authority") { Of::Writer } else { Of::Task };
        let breaks = self.of.lock().expect("no panic in here").take_if(|broken| *broken == of).is_some();
        assert!(!breaks, "{UNSAID}");
        self.machine.wall()
    }

    fn monotonic(&self) -> u64 {
        self.machine.monotonic()
    }

    fn fill(&self, bytes: &mut [u8]) {
        self.machine.fill(bytes);
    }
}

async fn start() -> (Running, Arc<Breaking>, tempfile::TempDir) {
    let scratch = tempfile::tempdir().expect("a scratch directory");
    let stopped = Stopped::at(&scratch.path().join("state"), json!({ "auth": { "token": SECRET } }));
    let host = Arc::new(Breaking { machine: Arc::clone(&stopped.host), of: Mutex::default() });
    let gateway = stopped.start_on(Arc::clone(&host) as _, &Flags { port: Some(0), ..Flags::default() }).await;
    (gateway, host, scratch)
}

fn is_sound(stopped: &Stopped) -> bool {
    matches!(verify(&stopped.state.journal()), Ok(Verdict::Sound(_)))
}

fn last_stop(stopped: &Stopped) -> Option<String> {
    stopped.records().into_iter().rev().find_map(|record| match record.event {
        Event::GatewayStopped(event) => Some(event.cause),
        _ => None,
    })
}

#[tokio::test]
async fn o04_a_panic_in_a_connection_ends_that_connection_alone() {
    let (gateway, host, _scratch) = start().await;
    let (mut admin, _) = gateway.admit(&Device::new(1).asks(ADMIN)).await;
    let (mut other, _) = gateway.admit(&Device::new(2).asks(READ)).await;
    assert_eq!(admin.get("status", json!({})).await["connections"], 2);

    host.breaks(Of::Task);
    other.request("1", "health", &json!({})).await;
    assert_eq!(other.end().await, (1011, String::new()));
    // One that was not let in yet.
    host.breaks(Of::Task);
    let mut stranger = TcpStream::connect(gateway.address).await.expect("connected");
    stranger.write_all(UPGRADE).await.expect("sent");
    let mut heard = vec![];
    while !heard.ends_with(&[0x88, 2, 0x03, 0xf3]) {
        assert!(stranger.read_buf(&mut heard).await.expect("bytes") > 0, "no close frame of code 1011");
    }

    let status = admin.get("status", json!({})).await;
    assert_eq!((&status["connections"], &status["journal"]["records"]), (&json!(1), &json!(true)));
    let list = admin.get("device.pair.list", json!({})).await;
    let is_here = |device: &Device| {
        let listed = list["paired"].as_array().expect("a list").iter().find(|entry| text(&entry["deviceId"]) == device.id());
        listed.expect("paired")["connected"] == true
    };
    assert_eq!([is_here(&Device::new(1)), is_here(&Device::new(2))], [true, false]);
    let closed = gateway.records().into_iter().find_map(|record| match record.event {
        Event::ConnectionClosed(event) => Some(event.code),
        _ => None,
    });
    assert_eq!(closed, Some(1011));
    gateway.admit(&Device::new(2).asks(READ)).await;
    assert!(is_sound(&gateway.stop().await));
}

#[tokio::test]
async fn o04_when_the_writer_panics_the_gateway_ends_and_what_it_answered_is_there() {
    let (gateway, host, _scratch) = start().await;
    let (mut admin, _) = gateway.admit(&Device::new(1).asks(ADMIN)).await;
    let rename = |label: &str| json!({ "deviceId": Device::new(1).id(), "label": label });
    admin.get("device.pair.rename", rename("answered")).await;
    host.breaks(Of::Writer);
    admin.request("1", "device.pair.rename", &rename("not answered")).await;
    assert_eq!(admin.response("1").await.expect_err("not recorded")["code"], "UNAVAILABLE");
    let ((stopped, ended), farewell) = tokio::join!(gateway.ended(), admin.end());
    assert!(matches!(ended, Err(GatewayError::Panicked)) && farewell.0 == 1012, "{farewell:?}");
    assert!(is_sound(&stopped) && last_stop(&stopped).is_none(), "who could have written it?");

    let gateway = stopped.start().await;
    let list = gateway.owner("device.pair.list", json!({})).await.expect("a list");
    assert_eq!(list["paired"][0]["operatorLabel"], "answered");
    gateway.admit(&Device::new(1).asks(ADMIN)).await;
}

#[tokio::test]
async fn o04_when_a_task_of_the_gateway_panics_it_stops_as_if_it_were_told_to() {
    let (gateway, host, _scratch) = start().await;
    let (mut admin, _) = gateway.admit(&Device::new(1).asks(ADMIN)).await;
    host.breaks(Of::Task);
    tokio::time::pause();
    tokio::time::advance(limits::TICK).await;
    tokio::time::resume();
    let ((stopped, ended), farewell) = tokio::join!(gateway.ended(), admin.end());
    assert!(matches!(ended, Err(GatewayError::Panicked)) && farewell.0 == 1012, "{farewell:?}");
    assert!(is_sound(&stopped));
    assert_eq!(last_stop(&stopped).as_deref(), Some("a panic"));
}

/// A hook is the whole process's, so this test is one of its own.
#[test]
fn o04_of_a_panic_the_place_is_told_and_not_what_it_says() {
    const CHILD: &str = "PANICS_HERE";
    if std::env::var_os(CHILD).is_some() {
        // Any command prepares the process; there is no journal here.
        let _failed = cli::run(["openclaw", "journal", "verify"].map(Into::into));
        for panics in [|| panic!("{UNSAID}"), || assert_eq!(UNSAID, "")] {
            assert!(std::panic::catch_unwind(panics).is_err());
        }
        return;
    }
    let scratch = tempfile::tempdir().expect("a scratch directory");
    let mut command = Command::new(std::env::current_exe().expect("this program"));
    command.args(["--exact", "panics::o04_of_a_panic_the_place_is_told_and_not_what_it_says", "--nocapture"]);
    command.env(CHILD, "1").env("OPENCLAW_STATE_DIR", scratch.path()).env("RUST_BACKTRACE", "1");
    let ended = command.output().expect("it ran");
    assert!(ended.status.success(), "{ended:?}");
    let said = String::from_utf8_lossy(&[ended.stdout, ended.stderr].concat()).into_owned();
    assert_eq!(said.matches("tests/gateway/panics.rs:").count(), 2, "{said}");
    assert!(!said.contains(UNSAID), "{said}");
}
