//! Who is connected right now? Listeners, sockets and the owner channel around one authority. It knows neither the bytes on
//! disk nor how a decision is made.

mod auditing;
mod budget;
mod conditions;
mod connection;
mod copies;
mod handshake;
mod http;
mod hub;
mod importing;
mod inviting;
mod join;
mod methods;
mod nodes;
mod owner;
mod page;
mod person;
mod presence;
mod reading;
mod ruling;
mod sealed;
mod source;
mod stopped;
mod undoing;
mod upstream;
mod verifying;

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsRawFd as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

pub use copies::{foreign, write as write_copies};
pub use methods::{Caller, Desk};
pub use owner::short_path;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use sealed::Sealed;
pub use stopped::{Stopped, Unrecovered, accept_rollback, replace_token_key, this_person};
use tokio::net::{TcpListener, TcpStream};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
pub use verifying::verdict_json;

use crate::authority::{Authority, Retention, Writing};
use crate::host::Host;
use crate::journal::{JournalError, Lock, Verdict, verify};
use crate::limits;
use crate::pairing::{Actor, Command, Condition, DeviceId, GatewayStarted, GatewayStopped};
use crate::settings::{Advertised, Flags, Settings, SettingsError};
use crate::state::{StateDir, StateError};
use budget::{Arrived, Budgets};
use conditions::Look;

/// Why a gateway does not run.
#[derive(Debug, thiserror::Error)]
pub enum GatewayError {
    /// The state directory cannot be used.
    #[error(transparent)]
    State(#[from] StateError),
    /// The settings cannot be used.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// The journal cannot be used.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The port is taken.
    #[error("port {port} of {ip} is in use by another program; stop that one, or choose another: openclaw gateway run --port {}", other_port(*port))]
    PortTaken {
        /// The address.
        ip: IpAddr,
        /// The port.
        port: u16,
    },
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The system's answer.
        source: io::Error,
    },
    /// Nothing can be recorded.
    #[error(transparent)]
    Unavailable(#[from] crate::authority::Unavailable),
}

fn other_port(port: u16) -> u16 {
    port.checked_add(1).unwrap_or(limits::PORT_DEFAULT)
}

/// A gateway that listens.
pub struct Gateway {
    state: StateDir,
    settings: Settings,
    desk: Arc<Desk>,
    listeners: Vec<SocketAddr>,
    owner: u32,
    places: Arc<Semaphore>,
    budgets: Arc<Budgets>,
    newcomers_most: u32,
}

/// A gateway that is ready to run.
pub struct Ready {
    gateway: Arc<Gateway>,
    tcp: Vec<TcpListener>,
    look: Look,
    owner_channel: Result<tokio::net::UnixListener, String>,
    writing: Writing,
    unseen: Option<(u64, String)>,
    /// Whether a gateway has run on this journal before.
    has_run: bool,
}

/// A desk over the journal, opened by whoever holds its lock; a gateway that runs has settings.
fn open_desk(
    state: &StateDir,
    lock: Lock,
    host: Arc<dyn Host>,
    settings: Option<&Settings>,
    advertised: Result<Advertised, String>,
) -> Result<(Arc<Desk>, Writing), JournalError> {
    let hub = Arc::new(hub::Hub::default());
    let key = match state.token_key_or_new(&*host) {
        Ok(key) => Some(key),
        Err(error) => {
            tracing::warn!(%error, "no token can be issued or sent again; devices that have theirs still get in");
            None
        }
    };
    let hears = Arc::clone(&hub);
    let sealed = Sealed::of(state, &*host);
    let observer = Box::new(move |records: &[_], registry: &_, head| {
        sealed.hear(records, registry, head);
        hears.hear(records, registry);
    });
    let retention = settings.and_then(|settings| settings.retention.clone());
    let retention = retention.map(|(days, archive)| Retention { older_than_ms: days.saturating_mul(limits::DAY_MS), archive });
    let authority = Authority::open(&state.journal(), lock, Arc::clone(&host), key, state.witnesses(), retention, observer)?;
    let (authority, reader, writing) = authority.split();
    Ok((Arc::new(Desk::new(state, authority, reader, hub, host, (settings.is_some(), advertised))), writing))
}

impl Ready {
    /// Takes the lock, reads the settings, opens the journal and listens; nobody is let in yet.
    ///
    /// # Errors
    /// [`GatewayError`].
    pub async fn prepare(
        state: StateDir,
        flags: &Flags,
        host: Arc<dyn Host>,
        identity: Option<DeviceId>,
    ) -> Result<Self, GatewayError> {
        outlive_file_limits();
        take_all_descriptors();
        state.prepare()?;
        let journal = state.journal();
        let lock = if flags.without_lock { Lock::acquire_or_do_without(&journal) } else { Lock::acquire(&journal) }?;
        let (is_locked, owner) = (lock.is_locked(), lock.owner()?);
        // Before anything that is gone is made anew.
        let found = Look::at(&state);
        let settings = Settings::load(&state, flags, &*host)?;
        let tcp = listen(&settings).await?;
        let port = tcp.first().and_then(|listener| listener.local_addr().ok()).map_or(settings.port, |address| address.port());
        let advertised = Advertised::of(&state, &settings, port).map_err(|error| error.to_string());
        let (desk, writing) = open_desk(&state, lock, host, Some(&settings), advertised)?;
        let owner_channel = owner::listen(&state.owner_socket(), owner, is_locked);
        if let Err(why) = &owner_channel {
            tracing::warn!(%why, "there is no owner channel, so the owner's acts need the gateway stopped");
        }
        let look = Look::at(&state);
        let mut recorded = settings.recorded();
        let mark = settings.secret.as_ref().and_then(|secret| desk.authority.mark(secret));
        recorded.extend(mark.map(|mark| (GatewayStarted::SECRET.to_owned(), mark)));
        recorded.extend(look.recorded());
        recorded.extend(owner_channel.is_err().then(|| ("ownerChannel".to_owned(), "none".to_owned())));
        let unseen = desk.recall().await;
        recorded.extend(unseen.as_ref().map(|(count, _)| (GatewayStarted::UNSEEN.to_owned(), count.to_string())));
        let started = GatewayStarted {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            key: desk.authority.key_id(),
            identity,
            settings: recorded,
        };
        let has_run = desk.authority.registry().last_run().is_some();
        let mut conditions = conditions::at_start(found, &desk.authority.registry(), &started);
        // Whatever else was found of the disk, the owner settles.
        let storage = desk.authority.registry().condition(Condition::Storage).map(|found| found.detail.clone());
        if !is_locked || storage.as_deref() == Some(conditions::NO_LOCKS) {
            conditions.push((Condition::Storage, (!is_locked).then(|| conditions::NO_LOCKS.to_owned())));
        }
        desk.authority.ask(Command::Start(started), Actor::System).await?;
        for (condition, found) in conditions {
            desk.authority.ask(Command::Observe { condition, found }, Actor::System).await?;
        }
        let listeners = tcp.iter().filter_map(|listener| listener.local_addr().ok()).collect();
        let places = Arc::new(Semaphore::new(limits::CONNECTIONS));
        let budgets = Arc::new(Budgets::default());
        let gateway = Gateway { state, settings, desk, listeners, owner, places, budgets, newcomers_most: newcomers_most() };
        let gateway = Arc::new(gateway);
        Ok(Self { gateway, tcp, look, owner_channel, writing, unseen, has_run })
    }

    /// Where it listens.
    #[must_use]
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.gateway.listeners
    }

    /// The settings it runs with.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.gateway.settings
    }

    /// Why the owner can act only while the gateway is stopped, where that is so.
    #[must_use]
    pub fn no_owner_channel(&self) -> Option<&str> {
        self.owner_channel.as_ref().err().map(String::as_str)
    }

    /// How many acts of the owner nobody said to have seen, and the last of them.
    #[must_use]
    pub fn unseen(&self) -> Option<(u64, &str)> {
        self.unseen.as_ref().map(|(count, last)| (*count, last.as_str()))
    }

    /// Runs until `stop` resolves with the name of what stopped it; returns when every connection has ended and the journal
    /// is closed.
    pub async fn run(self, stop: impl Future<Output = &'static str>) {
        let Self { gateway, tcp, look, owner_channel, writing, unseen: _, has_run } = self;
        let desk = Arc::clone(&gateway.desk);
        let mut tasks = JoinSet::new();
        let has_channel = owner_channel.is_ok();
        if let Ok(channel) = owner_channel {
            tasks.spawn(owner::serve(channel, Arc::clone(&desk), gateway.owner));
        }
        let copies = Arc::new(Notify::new());
        tasks.spawn(copies::follow(gateway.state.clone(), desk.authority.clone(), Arc::clone(&copies), has_run));
        tasks.spawn(conditions::watch(gateway.state.clone(), desk.authority.clone(), look, copies));
        tasks.spawn(expire(Arc::clone(&desk)));
        tasks.spawn(tick(Arc::clone(&desk)));
        tasks.spawn(tell_presence(Arc::clone(&desk)));
        tasks.spawn(look_through(gateway.state.journal(), Arc::clone(&desk)));
        for listener in tcp {
            tasks.spawn(accept(listener, Arc::clone(&gateway)));
        }
        let cause = stop.await;
        tasks.shutdown().await;
        desk.hub.shut_down();
        let all = u32::try_from(limits::CONNECTIONS).unwrap_or(u32::MAX);
        // Whoever does not leave in time is cut off when the process ends.
        let _ = tokio::time::timeout(limits::SHUTDOWN_DEADLINE, gateway.places.acquire_many(all)).await;
        let stopped = GatewayStopped { cause: cause.to_owned() };
        if desk.authority.ask(Command::Stop(stopped), Actor::System).await.is_err() {
            tracing::error!("the stop could not be recorded");
        }
        if let Err(error) = copies::write(&gateway.state, &desk.authority.registry()) {
            tracing::warn!(%error, "the copies for other tools could not be written");
        }
        // The name of the socket goes with the gateway; a leftover would only be replaced.
        let _ = has_channel.then(|| std::fs::remove_file(gateway.state.owner_socket()));
        drop((desk, gateway));
        let joined = tokio::task::spawn_blocking(move || writing.join());
        let _ = tokio::time::timeout(limits::SHUTDOWN_DEADLINE, joined).await;
    }
}

impl Gateway {
    /// A place among those that have not said who they are. They leave descriptors to those that have.
    fn arrive(&self) -> Option<Arc<Arrived>> {
        let most = self.desk.authority.registry().policy().budgets().socket.total;
        self.budgets.arrive(most.min(self.newcomers_most))
    }

    /// A place for one more socket, held until it is dropped.
    fn take_place(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.places).try_acquire_owned().ok()
    }
}

/// What is still plain HTTP ends with the listener: only an upgraded socket has a farewell to get.
async fn accept(listener: TcpListener, gateway: Arc<Gateway>) {
    let mut serving = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) if is_one_of_the_last(&stream) => {
                    tracing::warn!("too few descriptors are left for another socket");
                    drop(stream);
                    tokio::time::sleep(limits::ACCEPT_PAUSE).await;
                }
                Ok((stream, peer)) => match gateway.arrive() {
                    Some(arrived) => drop(serving.spawn(http::serve(Arc::clone(&gateway), stream, peer, arrived))),
                    None => drop(stream),
                },
                Err(error) => {
                    tracing::warn!(%error, "cannot accept");
                    tokio::time::sleep(limits::ACCEPT_PAUSE).await;
                }
            },
            Some(_) = serving.join_next() => {}
        }
    }
}

/// Whether a socket has one of the last descriptors there are: the system always gives the lowest that is free.
fn is_one_of_the_last(stream: &TcpStream) -> bool {
    let number = u64::try_from(stream.as_raw_fd()).unwrap_or(0);
    let most = getrlimit(Resource::Nofile).current;
    most.is_some_and(|most| number.saturating_add(limits::RESERVED_DESCRIPTORS) >= most)
}

/// Takes as many descriptors as this process may have: what a shell gives by default is a tenth of a crowd.
fn take_all_descriptors() {
    let limit = getrlimit(Resource::Nofile);
    // Where they cannot be had, there are fewer sockets.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
}

/// How many sockets may be open that have not said who they are, as far as there are descriptors: a third is left to those that have.
fn newcomers_most() -> u32 {
    let all = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX).saturating_sub(limits::RESERVED_DESCRIPTORS);
    u32::try_from((all / 3).saturating_mul(2)).unwrap_or(u32::MAX)
}

/// Makes a file that would outgrow what this process may write an error, as a full disk is, and not the end of the process.
fn outlive_file_limits() {
    // The handler stays when its listener goes. Where none can be set, such a limit is a kill, which the journal stands.
    let _ = signal(SignalKind::from_raw(rustix::process::Signal::XFSZ.as_raw()));
}

/// Reads the whole journal once behind the start, which may have begun with a checkpoint: what is damaged before that nobody has
/// met yet.
async fn look_through(journal: PathBuf, desk: Arc<Desk>) {
    let looked = tokio::task::spawn_blocking(move || verify(&journal)).await;
    if let Ok(Ok(Verdict::Corrupt { segment, offset, seq, what, .. })) = looked {
        tracing::error!(%segment, offset, %seq, %what, "the journal is damaged; keep a copy of its directory, and look: openclaw journal verify");
        let found = Some(format!("is damaged: segment {segment}, offset {offset}, seq {seq}: {what}"));
        // If it cannot be recorded, it was said.
        let _ = desk.authority.ask(Command::Observe { condition: Condition::Storage, found }, Actor::System).await;
    }
}

/// Ends requests whose time is over, and lets the writer tell of whom it only counted, even while nobody connects.
async fn expire(desk: Arc<Desk>) {
    let mut sweep = tokio::time::interval(limits::EXPIRY_SWEEP);
    loop {
        sweep.tick().await;
        if desk.authority.registry().request_count() > 0 || desk.authority.owes() {
            // If it cannot be recorded, the writer has said so.
            let _ = desk.authority.ask(Command::Expire, Actor::System).await;
        }
    }
}

/// Says now and then that the gateway is there.
async fn tick(desk: Arc<Desk>) {
    loop {
        tokio::time::sleep(limits::TICK).await;
        desk.hub.tick(desk.host.wall());
    }
}

/// Tells who came and who left; what happens within a short time together.
async fn tell_presence(desk: Arc<Desk>) {
    loop {
        desk.hub.presence_changed().await;
        desk.hub.tell_presence(&desk.authority.registry());
        tokio::time::sleep(limits::PRESENCE_PAUSE).await;
    }
}

/// Listens on every address of the settings. Port 0 takes one that is free on all of them.
async fn listen(settings: &Settings) -> Result<Vec<TcpListener>, GatewayError> {
    let mut tries = 0_u32;
    loop {
        tries = tries.saturating_add(1);
        match listen_once(settings).await {
            Err(GatewayError::PortTaken { .. }) if settings.port == 0 && tries < 16 => tokio::time::sleep(Duration::ZERO).await,
            result => return result,
        }
    }
}

async fn listen_once(settings: &Settings) -> Result<Vec<TcpListener>, GatewayError> {
    let mut port = settings.port;
    let mut listeners: Vec<TcpListener> = vec![];
    for ip in &settings.listen {
        let address = SocketAddr::new(*ip, port);
        match TcpListener::bind(address).await {
            Ok(listener) => {
                port = listener.local_addr().map_or(port, |address| address.port());
                listeners.push(listener);
            }
            // A machine without IPv6 has one loopback less.
            Err(error) if !listeners.is_empty() && error.kind() == io::ErrorKind::AddrNotAvailable => {}
            Err(error)
                if !listeners.is_empty() && error.raw_os_error() == Some(rustix::io::Errno::AFNOSUPPORT.raw_os_error()) => {}
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => return Err(GatewayError::PortTaken { ip: *ip, port }),
            Err(source) => return Err(GatewayError::Listen { address, source }),
        }
    }
    Ok(listeners)
}
