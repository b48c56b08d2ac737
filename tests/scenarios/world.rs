//! A gateway with a clock that the test turns, a proxy in front of it that it trusts, and command lines: its owner's, and those
//! of devices in homes of their own, which come through the proxy.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use ed25519_dalek::pkcs8::spki::der::pem::LineEnding;
use ed25519_dalek::pkcs8::{EncodePrivateKey as _, EncodePublicKey as _};
use openclaw_pairing::host::{Host as _, ManualHost};
use openclaw_pairing::pairing::{Actor, Event, Millis, Record, Registry};
use openclaw_pairing::state::StateDir;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::client::{Ask, CLI, Device, PATIENCE, Refused, SECRET, Socket, text};
use crate::home::Home;
use crate::running::{Running, Stopped};

pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_openclaw");
/// Where remote devices connect from.
pub(crate) const AFAR: &str = "100.64.0.7";
/// A minute, in milliseconds.
pub(crate) const MINUTE: u64 = 60_000;

/// What the machine's clock says: a command line signs with it, so a gateway must think about the same.
pub(crate) fn present() -> Millis {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("a time");
    Millis(u64::try_from(since.as_millis()).expect("a time"))
}

/// A gateway, its proxy and what is around them.
pub(crate) struct World {
    pub(crate) gateway: Running,
    proxy: Proxy,
    scratch: Arc<TempDir>,
}

impl World {
    /// At the present time, under the default policy.
    pub(crate) async fn new() -> Self {
        Self::earlier(0).await
    }

    /// Begun so many milliseconds before the present time, so that command lines can be used once the clock was turned by them.
    pub(crate) async fn earlier(ms: u64) -> Self {
        Self::with(ms, json!({})).await
    }

    /// With more settings under `gateway`.
    pub(crate) async fn with(ms: u64, more: Value) -> Self {
        let (stopped, scratch) = Self::unbegun(ms, more);
        Self::begin(stopped, scratch).await
    }

    fn unbegun(ms: u64, more: Value) -> (Stopped, Arc<TempDir>) {
        let mut settings = json!({ "auth": { "token": SECRET }, "trustedProxies": ["127.0.0.1"] });
        for (key, value) in more.as_object().expect("settings") {
            settings[key] = value.clone();
        }
        let scratch = Arc::new(tempfile::tempdir().expect("a scratch directory"));
        let mut stopped = Stopped::at(&scratch.path().join("state"), settings);
        stopped.host = Arc::new(ManualHost::new(Millis(present().0 - ms), 1));
        (stopped, scratch)
    }

    /// At the present time, under this policy.
    pub(crate) async fn under(policy: &str) -> Self {
        let (stopped, scratch) = Self::unbegun(0, json!({}));
        stopped.begin(policy);
        Self::begin(stopped, scratch).await
    }

    /// The owner runs `openclaw ARGS` while the gateway is stopped; then it is started again.
    pub(crate) async fn while_stopped(self, args: &[&str]) -> (Self, Said) {
        let (stopped, scratch) = (self.gateway.stop().await, self.scratch);
        let home = scratch.path().join("owner");
        let said = run(command(&home, stopped.state.root(), args)).await;
        (Self::begin(stopped, scratch).await, said)
    }

    async fn begin(stopped: Stopped, scratch: Arc<TempDir>) -> Self {
        let gateway = stopped.start().await;
        let proxy = Proxy::before(gateway.address).await;
        Self { gateway, proxy, scratch }
    }

    /// Stopped in order and started again.
    pub(crate) async fn restarted(self) -> Self {
        Self::begin(self.gateway.stop().await, self.scratch).await
    }

    pub(crate) fn wait(&self, ms: u64) {
        self.gateway.host.advance(ms);
    }

    /// Pairs what asks, by its owner; the token that it gets.
    pub(crate) async fn pair(&self, ask: &Ask) -> String {
        let request = self.gateway.request(ask).await;
        self.gateway.owner("device.pair.approve", json!({ "requestId": request })).await.expect("approved");
        self.token(ask).await
    }

    /// A paired admin, its device and its connection.
    pub(crate) async fn admin(&self, seed: u8) -> (Device, Socket) {
        let device = Device::new(seed);
        self.pair(&device.afar(CLI)).await;
        let (socket, _) = self.gateway.admit(&device.afar(CLI)).await;
        (device, socket)
    }

    /// The token that the device of this connect has now.
    pub(crate) async fn token(&self, ask: &Ask) -> String {
        let (_, hello) = self.gateway.admit(ask).await;
        text(&hello["auth"]["deviceToken"]).to_owned()
    }

    /// What a list says of a paired device.
    pub(crate) fn device(&self, device: &Device) -> Value {
        let registry = fold(&self.gateway.records());
        let id = device.id().parse().expect("an id");
        openclaw_pairing::wire::devices::paired(registry.device(&id).expect("a paired device"), None)
    }

    /// `openclaw ARGS`, run by the owner.
    pub(crate) async fn owner(&self, args: &[&str]) -> Said {
        let home = self.scratch.path().join("owner");
        let _there_already = fs::DirBuilder::new().mode(0o700).create(&home);
        run(command(&home, self.gateway.state.root(), args)).await
    }

    /// What `devices list --json` says to the owner.
    pub(crate) async fn list(&self) -> Value {
        self.owner(&["devices", "list", "--json"]).await.done().json()
    }

    /// A command line that is this device and holds none of its tokens.
    pub(crate) fn pocket(&self, device: &Device) -> Pocket {
        pocket(self.scratch.path(), device)
    }

    /// `openclaw ARGS` over the network, as the device of this pocket, with the shared secret.
    pub(crate) async fn run(&self, pocket: &Pocket, args: &[&str]) -> Said {
        let url = format!("ws://{}", self.proxy.address);
        let args = [args, &["--url", &url, "--token", SECRET]].concat();
        run(command(&pocket.home, &pocket.home.join(".openclaw"), &args)).await
    }

    /// The pairing part of the registry's digest: devices, grants, tokens, requests, policy.
    pub(crate) async fn digest(&self) -> String {
        let status = self.gateway.owner("status", json!({})).await.expect("a status");
        text(&status["journal"]["digest"]).to_owned()
    }

    /// What the gateway's clock says.
    pub(crate) fn now(&self) -> Millis {
        self.gateway.host.wall()
    }

    /// Everything on record that `which` picks.
    pub(crate) fn on_record<T>(&self, which: impl Fn(&Record) -> Option<T>) -> Vec<T> {
        self.gateway.records().iter().filter_map(which).collect()
    }

    /// How often an event of this name is on record.
    pub(crate) fn count(&self, name: &str) -> usize {
        self.on_record(|record| (record.event.name() == name).then_some(())).len()
    }

    /// Looks until it is so.
    pub(crate) async fn until(&self, what: &str, is_so: impl Fn() -> bool) {
        let wait = async {
            while !is_so() {
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(PATIENCE, wait).await.unwrap_or_else(|_| panic!("not in time: {what}"));
    }

    /// The lines of the log that hold all of these.
    pub(crate) async fn log(&self, parts: &[&str]) -> Vec<String> {
        let lines = self.gateway.log().await.into_iter().map(|(_, line)| line);
        lines.filter(|line| parts.iter().all(|part| line.contains(part))).collect()
    }
}

impl Device {
    /// A connect with the shared secret, through the proxy.
    pub(crate) fn afar(&self, scopes: &[&str]) -> Ask {
        self.asks(scopes).afar()
    }
}

impl Ask {
    pub(crate) fn afar(self) -> Self {
        self.header("x-forwarded-for", AFAR)
    }
}

/// In a home of its own below this directory.
pub(crate) fn pocket(below: &Path, device: &Device) -> Pocket {
    let home = below.join(&device.id()[..12]);
    let identity = home.join(".openclaw/identity");
    fs::DirBuilder::new().recursive(true).mode(0o700).create(&identity).expect("made");
    let (key, public) = (&device.key, device.key.verifying_key());
    let file = json!({
        "version": 1,
        "deviceId": device.id(),
        "publicKeyPem": public.to_public_key_pem(LineEnding::LF).expect("PEM"),
        "privateKeyPem": *key.to_pkcs8_pem(LineEnding::LF).expect("PEM"),
        "createdAtMs": 0,
    });
    private(&identity.join("device.json"), &file);
    Pocket { home, device: device.id() }
}

/// The home of a device that has a command line.
pub(crate) struct Pocket {
    pub(crate) home: PathBuf,
    device: String,
}

impl Pocket {
    pub(crate) fn identity(&self) -> PathBuf {
        self.home.join(".openclaw/identity/device.json")
    }

    /// It has kept this token of its own.
    pub(crate) fn holding(self, token: &str, scopes: &[&str]) -> Self {
        let token = json!({ "token": token, "role": "operator", "scopes": scopes, "updatedAtMs": 0 });
        let file = json!({ "version": 1, "deviceId": self.device, "tokens": { "operator": token } });
        private(&self.home.join(".openclaw/identity/device-auth.json"), &file);
        self
    }
}

fn private(path: &Path, value: &Value) {
    fs::write(path, value.to_string()).expect("written");
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).expect("set");
}

/// `openclaw ARGS` in this home with this state.
pub(crate) fn command(home: &Path, state: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(BINARY);
    command.args(args).env_clear().env("HOME", home).env("OPENCLAW_STATE_DIR", state).env("PATH", "/usr/bin:/bin");
    command.current_dir(home).stdin(Stdio::null());
    command
}

/// Runs it beside whatever else the test runs.
pub(crate) async fn run(mut command: Command) -> Said {
    let output = tokio::task::spawn_blocking(move || command.output().expect("it runs")).await.expect("no panic");
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    Said { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
}

/// How a command ended and what it said.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Said {
    #[track_caller]
    pub(crate) fn done(self) -> Self {
        assert_eq!(self.code, Some(0), "{self:?}");
        self
    }

    /// Exit 1, and these on standard error, the other things nowhere.
    #[track_caller]
    pub(crate) fn refused(self, says: &[&str], never: &[&str]) -> Self {
        assert_eq!(self.code, Some(1), "{self:?}");
        for part in says {
            assert!(self.err.contains(part), "{part:?} is missing in {self:?}");
        }
        for part in never {
            assert!(!format!("{}{}", self.out, self.err).contains(part), "{part:?} is in {self:?}");
        }
        self
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// The real gateway in a home of its own, with these settings under `gateway`.
pub(crate) struct Real {
    pub(crate) home: Home,
    pub(crate) state: StateDir,
}

impl Real {
    pub(crate) fn new(gateway: Value) -> Self {
        let home = Home::new();
        let state = StateDir::at(home.state());
        state.prepare().expect("a state directory");
        fs::write(state.config(), json!({ "gateway": gateway }).to_string()).expect("written");
        Self { home, state }
    }

    /// `openclaw ARGS`, run by the owner.
    pub(crate) async fn cli(&self, args: &[&str]) -> Said {
        run(command(self.home.path(), self.home.state(), args)).await
    }
}

/// What records come to.
pub(crate) fn fold(records: &[Record]) -> Registry {
    let mut registry = Registry::default();
    records.iter().for_each(|record| registry.apply(record));
    registry
}

/// Passes connections on and says from where, as a reverse proxy does.
pub(crate) struct Proxy {
    pub(crate) address: SocketAddr,
    task: JoinHandle<()>,
}

impl Proxy {
    pub(crate) async fn before(gateway: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let task = tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                tokio::spawn(pass(near, gateway));
            }
        });
        Self { address, task }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// What stands before the first empty line gets a header more; the rest is passed on as it is.
async fn pass(mut near: TcpStream, gateway: SocketAddr) {
    let mut head = vec![];
    while !head.ends_with(b"\r\n\r\n") {
        match near.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => return,
        }
    }
    head.truncate(head.len() - 2);
    head.extend(format!("X-Forwarded-For: {AFAR}\r\n\r\n").bytes());
    let Ok(mut far) = TcpStream::connect(gateway).await else { return };
    if far.write_all(&head).await.is_ok() {
        // Whichever end goes first, the other is told by the end of its stream.
        let _ = tokio::io::copy_bidirectional(&mut near, &mut far).await;
    }
}

/// The code, the reason and the id of a refusal that needs a person, which is checked to be one.
#[track_caller]
pub(crate) fn needs_a_person(refused: &Refused, reason: &str) -> String {
    let details = &refused.error["details"];
    assert_eq!(refused.error["code"], "NOT_PAIRED", "{refused:?}");
    assert!(text(&refused.error["message"]).starts_with("pairing required"), "{refused:?}");
    assert_eq!((&details["code"], &details["reason"]), (&json!("PAIRING_REQUIRED"), &json!(reason)), "{refused:?}");
    assert_eq!(refused.close.0, 1008, "{refused:?}");
    assert!(refused.close.1.starts_with("pairing required"), "{refused:?}");
    refused.request()
}

/// The event, where it is that and has what is asked.
macro_rules! is {
    ($name:ident) => {
        |record: &openclaw_pairing::pairing::Record| match &record.event {
            openclaw_pairing::pairing::Event::$name(event) => Some((record.actor.clone(), event.clone())),
            _ => None,
        }
    };
}
pub(crate) use is;

/// Whether the owner did it.
pub(crate) fn by_owner(actor: &Actor) -> bool {
    matches!(actor, Actor::Owner(person) if person.uid == rustix::process::geteuid().as_raw())
}

/// Whether this device did it.
pub(crate) fn by_device(actor: &Actor, device: &Device) -> bool {
    matches!(actor, Actor::Device { device: id, .. } if id.to_string() == device.id())
}

/// The names of events, in order.
pub(crate) fn names(records: &[Record]) -> Vec<&'static str> {
    records.iter().map(|record| Event::name(&record.event)).collect()
}

/// A process that ends with the test.
pub(crate) struct Ending(pub(crate) Child);

impl Drop for Ending {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
