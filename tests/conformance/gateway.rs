//! A gateway of the library in a thread of its own, on a free port, in a state directory of its own, under clocks that stand
//! still until they are turned.

use std::net::SocketAddr;
use std::sync::{Arc, mpsc as std_mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use openclaw_pairing::gateway::Ready;
use openclaw_pairing::host::{Host, ManualHost};
use openclaw_pairing::pairing::Millis;
use openclaw_pairing::settings::Flags;
use openclaw_pairing::state::StateDir;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::UnixStream;
use tokio::sync::{mpsc, oneshot};

/// The longest time that passes at once.
const STEP_MS: u64 = 1_000;

/// A gateway that runs.
pub(crate) struct Gateway {
    pub(crate) address: SocketAddr,
    host: Arc<ManualHost>,
    owed_ms: u64,
    state: StateDir,
    _scratch: TempDir,
    turns: mpsc::UnboundedSender<(Duration, oneshot::Sender<()>)>,
    stop: Option<oneshot::Sender<&'static str>>,
    thread: Option<JoinHandle<()>>,
}

impl Gateway {
    /// With these settings under `gateway`.
    pub(crate) fn start(settings: &Value) -> Self {
        let scratch = tempfile::tempdir().expect("a scratch directory");
        let state = StateDir::at(scratch.path().join("state"));
        state.prepare().expect("a state directory");
        std::fs::write(state.config(), json!({ "gateway": settings }).to_string()).expect("written");
        let host = Arc::new(ManualHost::new(Millis(1_800_000_000_000), 1));
        let (turns, turned) = mpsc::unbounded_channel();
        let (stop, stopped) = oneshot::channel();
        let (tell, told) = std_mpsc::channel();
        let thread = std::thread::spawn({
            let (state, host) = (state.clone(), Arc::clone(&host));
            move || run(state, host, turned, stopped, &tell)
        });
        let address = told.recv().expect("it starts");
        Self { address, host, owed_ms: 0, state, _scratch: scratch, turns, stop: Some(stop), thread: Some(thread) }
    }

    pub(crate) fn now_ms(&self) -> u64 {
        self.host.wall().0
    }

    /// Lets time pass: for what it reads off a clock, and, where that is a pause, for what it waits for.
    pub(crate) async fn turn(&mut self, ms: u64, is_pause: bool) {
        if !is_pause {
            self.host.advance(ms);
            self.owed_ms += ms;
            return;
        }
        let mut rest = ms;
        while rest > 0 {
            // In steps: what comes due at intervals has to come due as often.
            let step = rest.min(STEP_MS);
            rest -= step;
            self.host.advance(step);
            let (done, turned) = oneshot::channel();
            let passed = Duration::from_millis(step + std::mem::take(&mut self.owed_ms));
            // One that has stopped needs no time.
            if self.turns.send((passed, done)).is_ok() {
                let _stopped = turned.await;
                // The writer has done what came due once it has done this.
                let nothing = json!({ "requestId": "00000000-0000-4000-8000-000000000000" });
                let _unknown = self.owner("device.pair.reject", nothing).await;
            }
        }
    }

    /// Whether nobody told it to stop.
    pub(crate) fn is_running(&self) -> bool {
        self.stop.is_some()
    }

    /// Tells it to stop, and does not wait for it.
    pub(crate) fn stop(&mut self) {
        if let Some(stop) = self.stop.take() {
            let _stopped_before = stop.send("SIGTERM");
        }
    }

    /// One call over the owner channel; its response, if the gateway runs.
    pub(crate) async fn owner(&self, method: &str, params: Value) -> Option<Value> {
        let mut stream = BufReader::new(UnixStream::connect(self.state.owner_socket()).await.ok()?);
        let call = json!({ "type": "req", "id": "1", "method": method, "params": params });
        stream.write_all(format!("{call}\n").as_bytes()).await.ok()?;
        let mut line = String::new();
        stream.read_line(&mut line).await.ok()?;
        serde_json::from_str(&line).ok()
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.stop();
        if let Some(thread) = self.thread.take() {
            let ended = thread.join();
            assert!(ended.is_ok() || std::thread::panicking(), "the gateway panicked");
        }
    }
}

type Turned = mpsc::UnboundedReceiver<(Duration, oneshot::Sender<()>)>;

fn run(
    state: StateDir,
    host: Arc<ManualHost>,
    mut turned: Turned,
    stopped: oneshot::Receiver<&'static str>,
    tell: &std_mpsc::Sender<SocketAddr>,
) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().expect("a runtime");
    runtime.block_on(async {
        // A paused clock jumps to the next deadline when nothing is ready, except while a blocking task runs.
        let (release, hold) = std_mpsc::channel::<()>();
        let held = tokio::task::spawn_blocking(move || hold.recv());
        let flags = Flags { port: Some(0), ..Flags::default() };
        let ready = Ready::prepare(state, &flags, host as Arc<dyn Host>, None).await.expect("a gateway");
        tell.send(*ready.addresses().first().expect("an address")).expect("awaited");
        let turn = async {
            while let Some((time, done)) = turned.recv().await {
                tokio::time::advance(time).await;
                let _nobody_waits = done.send(());
            }
        };
        let run = ready.run(async { stopped.await.unwrap_or("the end") });
        tokio::pin!(run);
        tokio::select! {
            ended = &mut run => ended.expect("no panic"),
            () = turn => {
                // From here on deadlines may come by themselves.
                drop(release);
                run.await.expect("no panic");
            }
        }
        drop(held);
    });
}
