//! The way to a gateway: a named one over WebSocket as a device like any other; this host's own through the owner channel; or,
//! where it is stopped, its journal.

use std::io;
use std::os::unix::fs::FileTypeExt as _;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};

use super::moment::Point;
use super::output::Output;
use super::{Exit, Failure, World};
use crate::client::{Client, ClientError, Target};
use crate::gateway::{GatewayError, Stopped, short_path};
use crate::journal::JournalError;
use crate::keyring::{OwnDevice, TokenFile};
use crate::pairing::{Millis, Role};
use crate::peer;
use crate::views::time_text;
use crate::wire::frame::{self, Inbound, WireError};

/// Which gateway, and how long it may take.
#[derive(clap::Args)]
pub(super) struct Reach {
    /// Ask the gateway at this address, as this machine's device [env: OPENCLAW_GATEWAY_URL]
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    /// Its shared token, with --url
    #[arg(long, value_name = "TOKEN", requires = "url")]
    token: Option<String>,
    /// Its password, with --url
    #[arg(long, value_name = "PASSWORD", requires = "url")]
    password: Option<String>,
    /// The user that serves it, with --url on this host, where that is neither you nor root
    #[arg(long, value_name = "UID", requires = "url")]
    served_by: Option<u32>,
    /// How long each step may take
    #[arg(long, value_name = "MS", default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(1..=3_600_000))]
    timeout: u64,
    /// Print JSON
    #[arg(long)]
    pub(super) json: bool,
}

/// This host's own gateway, and how long it may take.
#[derive(clap::Args)]
pub(super) struct Here {
    /// How long each step may take
    #[arg(long, value_name = "MS", default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(1..=3_600_000))]
    timeout: u64,
    /// Print JSON
    #[arg(long)]
    pub(super) json: bool,
}

impl Here {
    /// Opens the way.
    pub(super) async fn open(&self, world: &World, purpose: Purpose) -> Result<Door, Failure> {
        own(world, purpose, Duration::from_millis(self.timeout)).await
    }

    /// Whether a gateway listens on this host's owner channel.
    pub(super) async fn is_answered(&self, world: &World) -> Result<bool, Failure> {
        Ok(OwnerChannel::open(world, Duration::from_millis(self.timeout)).await?.is_some())
    }

    /// Opens the way, to act.
    pub(super) async fn open_to_act(&self, world: &World) -> Result<Door, Failure> {
        own(world, Purpose::Act, Duration::from_millis(self.timeout)).await
    }
}

/// What the caller wants to do behind the door.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    Look,
    Act,
    /// And begin the journal where there is none.
    Begin,
}

/// An open way to a gateway.
pub(super) enum Door {
    Named(Box<Client>),
    Owner(OwnerChannel),
    Stopped(Box<Stopped>),
}

/// The owner channel's near end.
pub(super) struct OwnerChannel {
    lines: BufReader<OwnedReadHalf>,
    write: OwnedWriteHalf,
    limit: Duration,
}

impl Reach {
    /// Opens the way.
    pub(super) async fn open(&self, world: &World, purpose: Purpose) -> Result<Door, Failure> {
        match self.named()? {
            Some(target) => Ok(Door::Named(Box::new(self.dial(world, target).await?))),
            None => own(world, purpose, Duration::from_millis(self.timeout)).await,
        }
    }

    /// Opens the way to what was then: on this host, where the journal is, whether or not a gateway runs.
    pub(super) fn look_back(&self, at: Point, world: &World, out: &Output) -> Result<Door, Failure> {
        if self.named()?.is_some() {
            let message = "history is read on the gateway's own host: run this there, without --url and OPENCLAW_GATEWAY_URL";
            return Err(Failure::new(Exit::Usage, message));
        }
        world.state.check_owner()?;
        let stopped = Stopped::to_look_back(world.state.clone(), at.seen_from(world.host.wall()))?;
        let (seq, then) = stopped.now();
        out.note(format_args!("as it was at seq {seq}, {}", time_text(then)));
        Ok(Door::Stopped(Box::new(stopped)))
    }

    /// This machine's device, where the way leads over the network.
    pub(super) fn own_device(&self, world: &World) -> Result<Option<OwnDevice>, Failure> {
        let is_named = self.named()?.is_some();
        Ok(if is_named { OwnDevice::load(&world.state)? } else { None })
    }

    /// The gateway that was named; none of this host's own credentials are sent there.
    fn named(&self) -> Result<Option<Target>, Failure> {
        let variable = |name| std::env::var(name).ok().filter(|text| !text.trim().is_empty());
        let (url, token, password) = match (&self.url, variable("OPENCLAW_GATEWAY_URL")) {
            (Some(url), _) => (url.clone(), self.token.clone(), self.password.clone()),
            (None, Some(url)) => (url, variable("OPENCLAW_GATEWAY_TOKEN"), variable("OPENCLAW_GATEWAY_PASSWORD")),
            (None, None) => return Ok(None),
        };
        if token.is_none() && password.is_none() {
            let message = format!("gateway url override requires explicit credentials: give --token or --password for {url}");
            return Err(Failure::new(Exit::Failed, message));
        }
        Ok(Some(Target { url, token, password, served_by: self.served_by, ..Target::default() }))
    }

    async fn dial(&self, world: &World, mut target: Target) -> Result<Client, Failure> {
        let device = OwnDevice::load_or_new(&world.state, &*world.host)?;
        let mut tokens = TokenFile::load(&world.state, &device.id())?;
        // A device that holds less than a CLI asks for at first must not ask for more with each command.
        target.scopes = tokens.scopes(Role::Operator).filter(|scopes| !scopes.is_empty()).map(<[_]>::to_vec);
        let limit = Duration::from_millis(self.timeout);
        let mut dialled = Client::connect(&target, &device, world.host.wall(), limit).await;
        if let Err(ClientError::Refused(error)) = &dialled
            && detail(error, "canRetryWithDeviceToken") == Some(&Value::Bool(true))
            && let Some(token) = tokens.token(Role::Operator)
        {
            target.device_token = Some(token.to_owned());
            dialled = Client::connect(&target, &device, world.host.wall(), limit).await;
            if let Err(ClientError::Refused(error)) = &dialled
                && detail(error, "code").and_then(Value::as_str) == Some("AUTH_DEVICE_TOKEN_MISMATCH")
            {
                tokens.forget(&world.state, Role::Operator)?;
            }
        }
        let client = dialled?;
        if let Some(token) = client.hello.pointer("/auth/deviceToken").and_then(Value::as_str) {
            let scopes = client.hello.pointer("/auth/scopes").and_then(Value::as_array);
            let scopes: Vec<_> = scopes.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect();
            tokens.keep(&world.state, Role::Operator, token, &scopes, world.host.wall())?;
        }
        Ok(client)
    }
}

/// This host's own gateway, or its journal while it is stopped.
async fn own(world: &World, purpose: Purpose, limit: Duration) -> Result<Door, Failure> {
    world.state.check_owner()?;
    if let Some(channel) = OwnerChannel::open(world, limit).await? {
        return Ok(Door::Owner(channel));
    }
    let (state, host) = (world.state.clone(), world.host.clone());
    let stopped = match purpose {
        Purpose::Look => Stopped::to_read(state, host),
        Purpose::Act => Stopped::to_act(state, host),
        Purpose::Begin => Stopped::to_begin(state, host),
    };
    match stopped {
        Ok(stopped) => Ok(Door::Stopped(Box::new(stopped))),
        Err(GatewayError::Journal(error @ JournalError::NotAJournal { .. })) => {
            Err(Failure::new(Exit::Unreachable, format!("no gateway runs here, and {error}")))
        }
        Err(GatewayError::Journal(error @ JournalError::Locked { .. })) => {
            let socket = world.state.owner_socket();
            let note = format!(
                "nobody answers at {}: either a gateway is starting, or it has no owner channel and has to be stopped for this",
                socket.display()
            );
            Err(Failure { note: Some(note), ..Failure::from(error) })
        }
        Err(error) => Err(error.into()),
    }
}

fn detail<'a>(error: &'a WireError, key: &str) -> Option<&'a Value> {
    error.details.as_ref().and_then(|details| details.get(key))
}

impl Door {
    /// Whether it leads to a gateway of this machine's owner, who may do all.
    pub(super) fn is_owners(&self) -> bool {
        !matches!(self, Self::Named(_))
    }

    /// The time there: of a gateway the present, of what was then the time of then.
    pub(super) fn now(&self, world: &World) -> Millis {
        match self {
            Self::Stopped(stopped) => stopped.now().1,
            Self::Named(_) | Self::Owner(_) => world.host.wall(),
        }
    }

    /// Whether no gateway runs, and its journal is read instead.
    pub(super) fn is_stopped(&self) -> bool {
        matches!(self, Self::Stopped(_))
    }

    /// Asks for a method.
    pub(super) async fn call(&mut self, method: &str, params: Value) -> Result<Value, Failure> {
        match self {
            Self::Named(client) => Ok(client.call(method, Some(&params)).await?),
            Self::Owner(channel) => channel.call(method, &params).await,
            Self::Stopped(stopped) => {
                let params = serde_json::value::to_raw_value(&params).expect("a JSON value has a text");
                Ok(stopped.call(method, Some(&params)).await?)
            }
        }
    }

    /// Leaves in order.
    pub(super) async fn close(self) {
        match self {
            Self::Named(client) => client.close().await,
            Self::Owner(_) => {}
            Self::Stopped(stopped) => stopped.close().await,
        }
    }
}

impl OwnerChannel {
    /// Enters the channel, where a gateway listens on it.
    async fn open(world: &World, limit: Duration) -> Result<Option<Self>, Failure> {
        let path = world.state.owner_socket();
        let failed = |source: io::Error| Failure::new(Exit::Failed, format!("cannot use {}: {source}", path.display()));
        // A link would lead to who knows whom; whatever else lies there, nobody listens on it.
        if !std::fs::symlink_metadata(&path).is_ok_and(|found| found.file_type().is_socket()) {
            return Ok(None);
        }
        let short = match short_path(&path) {
            Ok(short) => short,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed(error)),
        };
        let stream = match UnixStream::connect(&short.0).await {
            Ok(stream) => stream,
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) => return Ok(None),
            Err(error) => return Err(failed(error)),
        };
        let served_by = stream.peer_cred().map_err(failed)?.uid();
        let owner = world.state.owner()?;
        if served_by != 0 && (Some(served_by) != owner || peer::is_nobody(served_by)) {
            let message = format!("uid {served_by} listens on {}, who does not own it; nothing was said to them", path.display());
            return Err(Failure::new(Exit::Failed, message));
        }
        let (read, write) = stream.into_split();
        Ok(Some(Self { lines: BufReader::new(read), write, limit }))
    }

    async fn call(&mut self, method: &str, params: &Value) -> Result<Value, Failure> {
        let unreachable = |why: &str| Failure::new(Exit::Unreachable, format!("the gateway on this host {why}"));
        let request = format!("{}\n", frame::request("1", method, Some(params)));
        let mut line = String::new();
        let exchange = async {
            self.write.write_all(request.as_bytes()).await?;
            self.lines.read_line(&mut line).await
        };
        match tokio::time::timeout(self.limit, exchange).await {
            Ok(Ok(1..)) => {}
            Ok(_) => return Err(unreachable("ended while it was asked; see how it is: openclaw logs")),
            Err(_) => {
                let ms = self.limit.as_millis();
                return Err(unreachable(&format!("did not answer within {ms} ms; give it longer with --timeout")));
            }
        }
        match serde_json::from_str(&line) {
            Ok(Inbound::Res { ok: true, payload, .. }) => Ok(payload),
            Ok(Inbound::Res { error: Some(error), .. }) => Err(error.into()),
            _ => Err(unreachable("gave an answer that is none")),
        }
    }
}

/// Params that name a request.
pub(super) fn request_params(id: &str) -> Value {
    json!({ "requestId": id })
}
