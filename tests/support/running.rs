//! A gateway of the library on a free port, with a state directory and a clock of its own.
#![allow(dead_code, reason = "each test binary includes all of it and uses a part")]

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use openclaw_pairing::gateway::{GatewayError, Ready};
use openclaw_pairing::host::{Host, ManualHost};
use openclaw_pairing::journal::{Journal, Lock, Reader};
use openclaw_pairing::keyring::OwnDevice;
use openclaw_pairing::pairing::{Actor, JournalCreated, JournalId, Millis, Record, Seq};
use openclaw_pairing::settings::Flags;
use openclaw_pairing::state::StateDir;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::UnixStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::client::{Ask, PATIENCE, Refused, SECRET, Socket, Tried};

/// A policy whose record budget nobody spends.
pub(crate) const CROWD: &str =
    "{ version: 1, budgets: { record: { perAddress: 1000000, perDevice: 100000000, total: 100000000 } } }";

/// Whether we are root; where not, what needs it is skipped, and said past the test's captured output.
pub(crate) fn is_root(what: &str) -> bool {
    let is_root = rustix::process::geteuid().is_root();
    if !is_root {
        let _nobody_listens = writeln!(std::io::stderr(), "SKIPPED, needs root: {what}");
    }
    is_root
}

/// A gateway that runs.
pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    pub(crate) host: Arc<ManualHost>,
    pub(crate) state: StateDir,
    scratch: Option<TempDir>,
    stop: oneshot::Sender<&'static str>,
    task: JoinHandle<Result<(), GatewayError>>,
}

/// A gateway that was stopped; its state is still there.
pub(crate) struct Stopped {
    pub(crate) host: Arc<ManualHost>,
    pub(crate) state: StateDir,
    scratch: Option<TempDir>,
}

impl Running {
    /// With the shared token and nothing else configured.
    pub(crate) async fn start() -> Self {
        Self::with(json!({ "auth": { "token": SECRET } })).await
    }

    /// With these settings under `gateway`.
    pub(crate) async fn with(gateway: Value) -> Self {
        let scratch = tempfile::tempdir().expect("a scratch directory");
        let stopped = Stopped::at(&scratch.path().join("state"), gateway);
        Stopped { scratch: Some(scratch), ..stopped }.start().await
    }

    /// Under this policy.
    pub(crate) async fn under(policy: &str) -> Self {
        let scratch = tempfile::tempdir().expect("a scratch directory");
        let stopped = Stopped::at(&scratch.path().join("state"), json!({ "auth": { "token": SECRET } }));
        stopped.begin(policy);
        Stopped { scratch: Some(scratch), ..stopped }.start().await
    }

    /// Where budgets do not matter: as many attempts are recorded as are made.
    pub(crate) async fn of_a_crowd() -> Self {
        Self::under(CROWD).await
    }

    /// Ends it and waits until the journal is closed.
    pub(crate) async fn stop(self) -> Stopped {
        let Self { host, state, scratch, stop, task, .. } = self;
        stop.send("a test").expect("it runs");
        tokio::time::timeout(PATIENCE, task).await.expect("it stops in time").expect("no panic").expect("nor within");
        Stopped { host, state, scratch }
    }

    /// Waits until it ends by itself.
    pub(crate) async fn ended(self) -> (Stopped, Result<(), GatewayError>) {
        let Self { host, state, scratch, stop: _stop, task, .. } = self;
        let ended = tokio::time::timeout(PATIENCE, task).await.expect("it stops in time").expect("no panic");
        (Stopped { host, state, scratch }, ended)
    }

    pub(crate) async fn open(&self) -> Socket {
        Socket::open(self.address).await
    }

    pub(crate) async fn connect(&self, ask: &Ask) -> Tried {
        ask.connect(self.address, self.host.wall().0).await
    }

    /// A connect that has to be let in; the socket and hello-ok. In protocol 3 the state of health comes right behind it.
    pub(crate) async fn admit(&self, ask: &Ask) -> (Socket, Value) {
        self.connect(ask).await.admitted().await
    }

    /// A connect that has to be refused.
    pub(crate) async fn refuse(&self, ask: &Ask) -> Refused {
        self.connect(ask).await.refused().await
    }

    /// A connect that has to need a person; the id of its request.
    pub(crate) async fn request(&self, ask: &Ask) -> String {
        self.refuse(ask).await.request()
    }

    /// One call over the owner channel.
    pub(crate) async fn owner(&self, method: &str, params: Value) -> Result<Value, Value> {
        owner(&self.state, method, params).await
    }

    /// Everything that is on record so far.
    pub(crate) fn records(&self) -> Vec<Record> {
        records(&self.state)
    }

    /// Every line of the log so far, each as its event's name and its sentence.
    pub(crate) async fn log(&self) -> Vec<(String, String)> {
        let tail = self.owner("logs.tail", json!({ "limit": 5000, "maxBytes": 1_000_000 })).await.expect("the log");
        let lines = tail["lines"].as_array().expect("lines").iter();
        let row = |line: &Value| -> (String, String) {
            let line: Value = serde_json::from_str(line.as_str().expect("a text")).expect("JSON");
            (line["event"].as_str().expect("an event").to_owned(), line["1"].as_str().expect("a sentence").to_owned())
        };
        lines.map(row).collect()
    }
}

impl Stopped {
    /// One that never ran, in this directory, with these settings under `gateway`.
    pub(crate) fn at(root: &Path, gateway: Value) -> Self {
        let state = StateDir::at(root);
        state.prepare().expect("a state directory");
        assert!(state.config().starts_with(state.root()), "OPENCLAW_CONFIG_PATH is set, and these tests have their own");
        std::fs::write(state.config(), json!({ "gateway": gateway }).to_string()).expect("written");
        Self { host: Arc::new(ManualHost::new(Millis(1_800_000_000_000), 1)), state, scratch: None }
    }

    /// Begins the journal, with this policy as the first.
    pub(crate) fn begin(&self, policy: &str) {
        let lock = Lock::acquire(&self.state.journal()).expect("free");
        let mut journal = Journal::create(lock, JournalId([9; 16])).expect("a journal");
        let event = JournalCreated { journal: journal.id(), policy: policy.to_owned() }.into();
        let record = Record { seq: Seq(1), at: self.host.wall(), actor: Actor::System, event };
        journal.append(journal.head(), &[record]).expect("a first record");
    }

    /// Everything that is on record.
    pub(crate) fn records(&self) -> Vec<Record> {
        records(&self.state)
    }

    pub(crate) async fn start(self) -> Running {
        self.start_with(&Flags { port: Some(0), ..Flags::default() }).await
    }

    pub(crate) async fn start_with(self, flags: &Flags) -> Running {
        let host = Arc::clone(&self.host) as _;
        self.start_on(host, flags).await
    }

    /// On a machine that may be another, but has the same clock.
    pub(crate) async fn start_on(self, machine: Arc<dyn Host>, flags: &Flags) -> Running {
        let Self { host, state, scratch } = self;
        let identity = OwnDevice::load(&state).expect("readable, or not there").map(|device| device.id());
        let ready = Ready::prepare(state.clone(), flags, machine, identity).await.expect("a gateway");
        let address = *ready.addresses().first().expect("an address");
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(ready.run(async { stopped.await.unwrap_or("the end of a test") }));
        Running { address, host, state, scratch, stop, task }
    }
}

/// One call over the owner channel of the gateway that runs on this state.
pub(crate) async fn owner(state: &StateDir, method: &str, params: Value) -> Result<Value, Value> {
    let stream = UnixStream::connect(state.owner_socket()).await.expect("the owner channel");
    let mut stream = BufReader::new(stream);
    let call = json!({ "type": "req", "id": "1", "method": method, "params": params });
    stream.write_all(format!("{call}\n").as_bytes()).await.expect("sent");
    let mut line = String::new();
    tokio::time::timeout(PATIENCE, stream.read_line(&mut line)).await.expect("in time").expect("a line");
    let frame: Value = serde_json::from_str(&line).expect("JSON");
    if frame["ok"] == true { Ok(frame["payload"].clone()) } else { Err(frame["error"].clone()) }
}

/// Everything that is on record.
pub(crate) fn records(state: &StateDir) -> Vec<Record> {
    let mut reader = Reader::open(&state.journal()).expect("a journal");
    let mut records = vec![];
    loop {
        let next = Seq(u64::try_from(records.len()).expect("small") + 1);
        match reader.read(next, 1_000).expect("sound") {
            more if more.is_empty() => return records,
            more => records.extend(more),
        }
    }
}
