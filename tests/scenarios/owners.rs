//! The owner of the host, who is never locked out, and whoever only seems to be local.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use openclaw_pairing::pairing::{Event, Forwarding, Policy};
use openclaw_pairing::state::StateDir;
use serde_json::{Value, json};

use crate::client::{Ask, CLI, Device, PAIRING, READ, SECRET, text};
use crate::running::is_root;
use crate::world::{Ending, World, by_owner, is, needs_a_person, present, run};

const ORIGIN: &str = "http://box.example.test:18789";

/// A page of the Control UI that asks for all five scopes.
fn page(device: &Device) -> Ask {
    device.asks(CLI).client("openclaw-control-ui", "ui").header("origin", ORIGIN)
}

/// A container by what matters of it: its own user, and a bridge by whose address the host's browser appears.
struct Container {
    scratch: tempfile::TempDir,
    program: PathBuf,
    user: u32,
}

impl Container {
    fn new() -> Self {
        let scratch = tempfile::tempdir().expect("a scratch directory");
        fs::set_permissions(scratch.path(), fs::Permissions::from_mode(0o755)).expect("opened");
        let program = scratch.path().join("openclaw");
        // By another process: one of ours could be forked with the file open for writing, and then nobody could run it.
        let copied = Command::new("cp").args([Path::new(env!("CARGO_BIN_EXE_openclaw")), &program]).status();
        assert!(copied.expect("it runs").success());
        let user = rustix::process::geteuid().as_raw();
        let container = Self { user: if user == 0 { 1000 } else { user }, program, scratch };
        let (home, state) = (container.home(), container.state());
        for dir in [&home, state.root()] {
            fs::create_dir(dir).expect("made");
            fs::set_permissions(dir, fs::Permissions::from_mode(0o700)).expect("closed");
        }
        let origins = json!({ "allowedOrigins": [ORIGIN] });
        let settings =
            json!({ "bind": "lan", "auth": { "token": SECRET }, "trustedProxies": ["127.0.0.1"], "controlUi": origins });
        fs::write(state.config(), json!({ "gateway": settings }).to_string()).expect("written");
        if user == 0 {
            for path in [&home, state.root(), &state.config()] {
                chown(path, Some(1000), Some(1000)).expect("root may");
            }
        }
        container
    }

    fn home(&self) -> PathBuf {
        self.scratch.path().join("home")
    }

    fn state(&self) -> StateDir {
        StateDir::at(self.home().join(".openclaw"))
    }

    fn command(&self, user: u32, args: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.args(args).env_clear().env("HOME", self.home()).env("OPENCLAW_STATE_DIR", self.state().root());
        command.env("PATH", "/usr/bin:/bin").current_dir("/").stdin(Stdio::null());
        if rustix::process::geteuid().is_root() {
            command.uid(user).gid(user);
        }
        command
    }
}

#[tokio::test]
async fn s21_behind_nat_the_browser_is_remote_and_the_owner_inside_can_approve() {
    for by_another in [false, true] {
        if by_another && !is_root("S21: another user than the owner runs devices approve") {
            continue;
        }
        let container = Container::new();
        let mut gateway = container.command(container.user, &["gateway", "run", "--port", "0"]);
        let mut gateway = Ending(gateway.stdout(Stdio::piped()).spawn().expect("it runs"));
        let said = BufReader::new(gateway.0.stdout.take().expect("its output")).lines().map(|line| line.expect("UTF-8"));
        let said: Vec<_> = said.take_while(|line| !line.starts_with("Next")).collect();
        let port = said.join("\n").split("ws://0.0.0.0:").nth(1).and_then(|rest| rest.lines().next()).expect("a port").to_owned();
        let address = format!("127.0.0.1:{port}").parse().expect("an address");

        let device = Device::new(1);
        let browser = page(&device).header("x-forwarded-for", "172.17.0.1");
        let refused = browser.connect(address, present().0).await.refused().await;
        let request = needs_a_person(&refused, "not-paired");
        let owner = async |args: &[&str]| run(container.command(container.user, args)).await.done();
        let list = owner(&["devices", "list", "--json"]).await.json();
        assert_eq!((&list["paired"], &list["pending"][0]["remoteIp"]), (&json!([]), &json!("172.17.0.1")));
        if by_another {
            let said = run(container.command(1001, &["devices", "approve", &request])).await;
            said.refused(&["uid 1000"], &[]);
            assert_eq!(owner(&["devices", "list", "--json"]).await.json()["pending"][0]["requestId"], json!(request));
        } else {
            owner(&["devices", "approve", &request]).await;
            let export = owner(&["journal", "export"]).await.out;
            let approved = export.lines().find(|line| line.contains("PairingApproved")).expect("an approval");
            let approved: Value = serde_json::from_str(approved).expect("JSON");
            assert_eq!(approved["actor"]["person"]["uid"], container.user, "{approved}");
            let list = owner(&["devices", "list", "--json"]).await.json();
            assert_eq!((list["paired"].as_array().map(Vec::len), &list["pending"]), (Some(1), &json!([])));
            assert_eq!(list["paired"][0]["deviceId"], json!(device.id()));
            let (_, hello) = browser.connect(address, present().0).await.admitted().await;
            assert_eq!(hello["auth"]["scopes"].as_array().map(Vec::len), Some(5));
            let audit = owner(&["audit", &device.id(), "--json"]).await.json();
            let holds = audit["holds"].as_array().expect("what it holds");
            let named =
                |one: &&Value| one["warrant"]["actor"]["person"]["uid"] == container.user && one["warrant"]["root"] == "owner";
            assert_eq!((holds.len(), holds.iter().filter(named).count()), (5, 5), "{audit}");
        }
    }
}

#[tokio::test]
async fn s22_what_a_strangers_proxy_passed_on_is_not_local() {
    let world = World::with(0, json!({ "trustedProxies": [] })).await;
    let (x, y, z) = (Device::new(1), Device::new(2), Device::new(3));
    let forwarded = x.asks(READ).header("x-forwarded-for", "203.0.113.9");
    for ask in [&forwarded, &y.asks(READ).header("host", "gateway.example.com"), &z.asks(READ).header("x-real-ip", "127.0.0.1")] {
        needs_a_person(&world.gateway.refuse(ask).await, "not-paired");
    }
    let list = world.list().await;
    assert_eq!((list["pending"].as_array().map(Vec::len), &list["paired"]), (Some(3), &json!([])));
    let refused = world.on_record(is!(ConnectionRefused)).into_iter().map(|(_, event)| event.attempt.source);
    let policy = Policy::parse(openclaw_pairing::pairing::DEFAULT_POLICY).expect("a policy");
    let told = refused.map(|source| {
        assert!(source.peer.is_loopback() && source.address() == source.peer, "{source:?}");
        (source.forwarding, source.claimed.map(|ip| ip.ip().to_string()), policy.local(&source))
    });
    let (header, host) = (Err("a forwarding header came with it"), Err("its Host header does not name loopback"));
    assert_eq!(
        told.collect::<Vec<_>>(),
        [
            (Forwarding::ForwardedFor, Some("203.0.113.9".to_owned()), header),
            (Forwarding::None, None, host),
            (Forwarding::RealIp, Some("127.0.0.1".to_owned()), header),
        ]
    );
    let why = world.owner(&["devices", "why", &x.id()]).await.done().out;
    assert!(why.contains("gateway.trustedProxies") && why.contains("203.0.113.9") && why.contains("127.0.0.1"), "{why}");
    assert!(world.owner(&["devices", "why", &y.id()]).await.done().out.contains("its Host header does not name loopback"));
    // The rule is on: who comes straight is paired.
    world.gateway.admit(&Device::new(4).asks(READ)).await;
    // Wrong guesses with another claim each count against the one address that they came from.
    let guess = |n: u8| Ask::new(READ).auth(json!({ "token": "wrong" })).header("x-forwarded-for", &format!("198.51.100.{n}"));
    let mut answers = vec![];
    for n in 0..=10 {
        answers.push(text(&world.gateway.refuse(&guess(n)).await.error["details"]["code"]).to_owned());
    }
    assert_eq!(answers[..10], ["AUTH_TOKEN_MISMATCH"; 10]);
    assert_eq!(answers[10], "AUTH_RATE_LIMITED");

    let world = World::new().await;
    needs_a_person(&world.gateway.refuse(&forwarded).await, "not-paired");
    let requested = world.gateway.records().into_iter().find_map(|record| match record.event {
        Event::PairingRequested(event) => Some(event.address.ip().to_string()),
        _ => None,
    });
    assert_eq!(requested.as_deref(), Some("203.0.113.9"));
    assert_eq!(world.list().await["paired"], json!([]));
}

#[tokio::test]
async fn s23_an_installation_whose_only_device_cannot_approve_is_not_locked() {
    for is_stopped in [false, true] {
        let world = World::with(0, json!({ "controlUi": { "allowedOrigins": [ORIGIN] } })).await;
        let (c, b) = (Device::new(1), Device::new(2));
        let token = world.pair(&c.afar(PAIRING)).await;
        let browser = page(&b).afar();
        let request = world.gateway.request(&browser).await;
        let pocket = world.pocket(&c).holding(&token, PAIRING);
        let approve = ["devices", "approve", &request];
        let command = format!("openclaw devices approve {request}");
        let said = world.run(&pocket, &approve).await;
        said.refused(&["missing scope: operator.admin", "on the gateway's host, its owner can", &command], &[]);
        let list = world.list().await;
        assert_eq!(list["pending"].as_array().map(Vec::len), Some(1));
        assert_eq!(list["pending"][0]["requestId"], json!(request));
        // From another host, with the shared secret alone.
        world.run(&world.pocket(&Device::new(3)), &approve).await.refused(&["pairing required"], &[]);

        let world = if is_stopped {
            let (world, said) = world.while_stopped(&approve).await;
            said.done();
            world
        } else {
            world.owner(&approve).await.done();
            world
        };
        let (actor, _) = world.on_record(is!(PairingApproved)).pop().expect("an approval");
        assert!(by_owner(&actor), "{actor:?}");
        let (_, hello) = world.gateway.admit(&browser).await;
        assert_eq!(hello["auth"]["scopes"].as_array().map(Vec::len), Some(5));
        assert!(!text(&hello["auth"]["deviceToken"]).is_empty());
        let audit = world.owner(&["audit", &b.id(), "--json"]).await.done().json();
        let holds = audit["holds"].as_array().expect("what it holds").iter();
        let rooted = holds.filter(|one| one["warrant"]["root"] == "owner").map(|one| text(&one["scope"]));
        assert_eq!(rooted.collect::<Vec<_>>(), CLI);
    }
}
