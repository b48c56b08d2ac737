//! One task per socket: challenge, connect, then calls in and frames out until somebody ends it. Every `select!` arm here only
//! receives or waits, so dropping one loses nothing.

use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::{FutureExt as _, SinkExt as _, StreamExt as _};
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval_at, timeout, timeout_at};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::error::ProtocolError;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role as End, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error as WsError, Message};

use super::Gateway;
use super::budget::Newcomer;
use super::handshake::{Arrival, Handshake, Judged, Moment};
use super::hub::{GOING_DOWN, Inbox, Outbox, Outgoing, actor, queue};
use super::methods::{self, Caller};
use crate::limits;
use crate::pairing::{
    Actor, Admission, Command, ConnectionId, DeviceToken, Fault, Forwarding, Granted, Outcome, Refusal, Role, TokenVerdict,
};
use crate::wire::connect::{self, Dialect, HelloFacts};
use crate::wire::error::{self, Answer, Subject};
use crate::wire::frame::{self, Malformed, Push, parse_call};
use crate::wire::notice::EVENTS;

/// Serves one upgraded stream until it ends.
pub(super) async fn serve<S>(gateway: Arc<Gateway>, stream: S, arrival: Arrival, newcomer: Newcomer)
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    // A little more than one message: its frame header, and a ping or two.
    let allowance = Allowance::new(limits::PREAUTH_MESSAGE_BYTES.saturating_add(1024));
    let metered = Metered { stream, allowance: allowance.clone(), traffic: Traffic::default() };
    let config = WebSocketConfig::default()
        .read_buffer_size(limits::READ_BUFFER_BYTES)
        .max_message_size(Some(limits::MESSAGE_BYTES))
        .max_frame_size(Some(limits::MESSAGE_BYTES))
        .max_write_buffer_size(limits::BUFFERED_BYTES);
    let socket = WebSocketStream::from_raw_socket(metered, End::Server, Some(config)).await;
    let id = ConnectionId(gateway.desk.host.uuid());
    let mut connection = Connection { gateway: Arc::clone(&gateway), socket, id };
    // A panic ends this connection alone, and it leaves as any other does.
    let ran = AssertUnwindSafe(connection.run(arrival, newcomer, &allowance)).catch_unwind().await;
    let (code, is_whole) = ran.map_or((PANICKED, false), |code| (code, true));
    if let Some(admission) = gateway.desk.hub.leave(&id) {
        // If this cannot be recorded, nothing can: the journal's own failure was already told.
        let _ = gateway.desk.authority.ask(Command::Close { admission, code }, Actor::Peer).await;
    }
    if !is_whole {
        connection.close(code, "").await;
    }
}

/// How a connection ends whose task panicked.
const PANICKED: u16 = 1011;

struct Connection<S> {
    gateway: Arc<Gateway>,
    socket: WebSocketStream<Metered<S>>,
    id: ConnectionId,
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Connection<S> {
    /// From its arrival to the code that it is closed with.
    async fn run(&mut self, arrival: Arrival, mut newcomer: Newcomer, allowance: &Allowance) -> u16 {
        let gateway = Arc::clone(&self.gateway);
        let nonce = uuid::Uuid::from_bytes(gateway.desk.host.uuid()).to_string();
        let auth = gateway.settings.auth;
        let secret = gateway.settings.secret.as_ref();
        let handshake = Handshake { connection: self.id, arrival, nonce, auth, secret, budgets: &gateway.budgets };
        let (outbox, mut inbox) = queue();
        gateway.desk.hub.arrive(self.id, outbox.clone());
        match self.shake_hands(&handshake, &mut inbox, allowance, &mut newcomer).await {
            Some(caller) => {
                drop(newcomer);
                self.converse(&Arc::new(caller), &outbox, &mut inbox).await
            }
            None => 1000,
        }
    }

    /// From challenge to hello-ok; nobody where it was refused, and then the socket is closed.
    async fn shake_hands(
        &mut self,
        handshake: &Handshake<'_>,
        inbox: &mut Inbox,
        allowance: &Allowance,
        newcomer: &mut Newcomer,
    ) -> Option<Caller> {
        let mut makes_room = false;
        let deadline = Instant::now() + limits::HANDSHAKE_DEADLINE;
        let host = Arc::clone(&self.gateway.desk.host);
        let challenge = connect::challenge(&handshake.nonce, host.wall().0);
        let challenge = Push::new("connect.challenge", &challenge).frame(None);
        let judged = if self.socket.send(Message::text(challenge)).await.is_err() {
            handshake.failed(Fault::Gone)
        } else {
            tokio::select! {
                message = timeout_at(deadline, self.first_message()) => match message {
                    Ok(Ok(message)) => {
                        newcomer.heard();
                        let registry = self.gateway.desk.authority.registry();
                        handshake.judge(&message, Moment { wall: host.wall(), monotonic: host.monotonic(), registry: &registry })
                    }
                    Ok(Err(fault)) => handshake.failed(fault),
                    Err(_) => handshake.failed(Fault::Timeout),
                },
                () = newcomer.evicted() => {
                    makes_room = true;
                    handshake.failed(Fault::Gone)
                }
                // Only the gateway's own end can be queued for somebody who is not let in yet.
                _ = inbox.next() => {
                    self.close(GOING_DOWN.0, GOING_DOWN.1).await;
                    return None;
                }
            }
        };
        let Judged { attempt, key, shown, token, request, complaint, rest_ms, protocols, asked, says } = judged;
        let fault = attempt.fault;
        let (client, ask, proof) = (attempt.client, attempt.ask.clone(), attempt.proof);
        let dialect = Dialect::of(attempt.protocol);
        let credential = attempt.credential;
        let code = shown.code;
        self.gateway.desk.hub.describe(&self.id, says);
        let command = Command::Connect { attempt: Box::new(attempt), key, code: None };
        let outcome = self.gateway.desk.authority.ask_presenting(command, Actor::Peer, shown).await;
        let answer = match outcome {
            Ok(Outcome::Admitted(admission)) => {
                allowance.lift();
                let Admission { rule, role, device, scopes, .. } = &admission;
                let caller = Caller {
                    actor: actor(*device, *rule, scopes),
                    role: *role,
                    scopes: scopes.clone(),
                    dialect,
                    address: handshake.arrival.recorded.address(),
                };
                // A code that let it in is still good for the device that spent it.
                let is_good = |code, device| {
                    let registry = self.gateway.desk.authority.registry();
                    registry.good_code(&code, &device, *role, scopes, host.wall()).is_some()
                };
                let has_code = code.zip(*device).is_some_and(|(code, device)| is_good(code, device));
                let method = credential.as_ref().map(|credential| connect::method(credential, has_code)).unwrap_or_default();
                let hello = self.hello(&caller, &admission, token.as_ref(), method, &asked);
                let hello = frame::response(request.as_deref().unwrap_or_default(), &Ok(hello));
                self.gateway.desk.hub.welcome(&self.id, hello, &self.gateway.desk.health());
                return Some(caller);
            }
            Ok(Outcome::Refused(refusal)) => {
                let device = proof.as_ref().map(|proof| &proof.device);
                let registry = self.gateway.desk.authority.registry();
                let held = device.and_then(|device| registry.device(device));
                let roles: Vec<_> = Role::ALL.iter().copied().filter(|role| held.is_some_and(|held| held.has(*role))).collect();
                let source = &handshake.arrival.source;
                let subject = Subject {
                    client,
                    device,
                    ask: ask.as_ref(),
                    roles: &roles,
                    complaint: complaint.as_deref(),
                    rest_ms,
                    request: None,
                    dialect,
                    protocols,
                    is_direct: source.peer.is_loopback() && source.forwarding == Forwarding::None,
                };
                error::connect_refused(&refusal, subject)
            }
            Ok(_) => error::connect_refused(&Refusal::Fault(fault.unwrap_or(Fault::InvalidFrame)), Subject::default()),
            Err(_) => error::journal_unavailable(),
        };
        newcomer.refused();
        if !makes_room {
            tokio::select! {
                () = self.refuse(answer, request.as_deref()) => {}
                () = newcomer.evicted() => {}
            }
        }
        None
    }

    async fn refuse(&mut self, answer: Answer, request: Option<&str>) {
        if let (Some(error), Some(id)) = (answer.error, request) {
            // Who is gone already cannot be told.
            let _ = timeout(limits::CLOSE_DEADLINE, self.socket.send(Message::text(frame::response(id, &Err(error))))).await;
        }
        self.close(answer.code, &answer.reason).await;
    }

    /// What it is told first. A token that cannot be made again is told to who presented it.
    fn hello(
        &self,
        caller: &Caller,
        admission: &Admission,
        presented: Option<&DeviceToken>,
        method: &'static str,
        asked: &[String],
    ) -> Value {
        let desk = &self.gateway.desk;
        let registry = desk.authority.registry();
        let is_live = |granted: &Granted, token: &DeviceToken| {
            registry.judge(&granted.device, granted.role, &token.digest()) == TokenVerdict::Live
        };
        let remade = admission.token.as_ref().and_then(|granted| desk.authority.token(granted));
        let its_own = admission.token.as_ref().and_then(|granted| presented.filter(|token| is_live(granted, token)));
        let token = remade.as_ref().or(its_own);
        let (presence, versions) = desk.presence(caller);
        let facts = HelloFacts {
            dialect: caller.dialect,
            connection: self.id.to_string(),
            methods: methods::names(),
            events: EVENTS.to_vec(),
            presence,
            health: desk.health(),
            versions,
            uptime_ms: desk.uptime_ms(),
            config_path: self.gateway.state.config().display().to_string(),
            state_dir: self.gateway.state.root().display().to_string(),
            auth_mode: self.gateway.settings.auth.as_str(),
            method,
            asked,
        };
        let more: Vec<_> = admission.more.iter().filter_map(|more| Some((more, desk.authority.token(more)?))).collect();
        connect::hello_ok(facts, admission, token, &more)
    }

    /// The first message that says something; pings are answered by the library.
    async fn first_message(&mut self) -> Result<Vec<u8>, Fault> {
        loop {
            match self.socket.next().await {
                Some(Ok(Message::Text(text))) => return Ok(text.as_bytes().to_vec()),
                Some(Ok(Message::Binary(bytes))) => return Ok(bytes.to_vec()),
                Some(Ok(Message::Close(_))) | None => return Err(Fault::Gone),
                Some(Ok(_)) => {}
                Some(Err(WsError::Io(error))) if error.kind() == std::io::ErrorKind::FileTooLarge => return Err(Fault::TooLarge),
                Some(Err(error)) => {
                    return Err(match broken(&error) {
                        Some(CloseCode::Size) => Fault::TooLarge,
                        Some(_) => Fault::InvalidFrame,
                        None => Fault::Gone,
                    });
                }
            }
        }
    }

    /// Calls in, frames out; returns the close code.
    async fn converse(&mut self, caller: &Arc<Caller>, outbox: &Outbox, inbox: &mut Inbox) -> u16 {
        let (overflowed, ended) = (inbox.overflowed(), inbox.ended());
        let traffic = self.socket.get_ref().traffic.clone();
        let mut pings = interval_at(Instant::now() + limits::TICK, limits::TICK);
        // Whoever was stopped for a while was not silent for that long.
        pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut read, mut missed) = (traffic.read(), 0_u32);
        let mut unauthorized = 0_u32;
        // They end with the connection.
        let mut waiting = JoinSet::new();
        loop {
            tokio::select! {
                // What goes out comes first: after its end is queued a connection is not listened to any more.
                biased;
                outgoing = inbox.next() => match outgoing {
                    Some(Outgoing::Text(text)) => {
                        tokio::select! {
                            biased;
                            sent = self.socket.send(Message::text(text)) => if sent.is_err() { return 1006 },
                            () = overflowed.notified() => return self.drop_slow(caller.dialect).await,
                            () = ended.notified() => return self.hurry(inbox).await,
                            () = traffic.stops() => return 1006,
                        }
                    }
                    Some(Outgoing::Close(code, reason)) => {
                        self.close(code, &reason).await;
                        return code;
                    }
                    None => return 1006,
                },
                () = overflowed.notified() => return self.drop_slow(caller.dialect).await,
                Some(waited) = waiting.join_next() => if waited.is_err() {
                    self.close(PANICKED, "").await;
                    return PANICKED;
                },
                _ = pings.tick() => {
                    missed = if traffic.read() == read { missed } else { 0 };
                    read = traffic.read();
                    if missed >= limits::MISSED_PINGS || !self.ping().await {
                        return 1006;
                    }
                    missed = missed.saturating_add(1);
                }
                message = self.socket.next() => match message {
                    Some(Ok(Message::Text(text))) => self.answer(caller, outbox, text.as_bytes(), &mut unauthorized, &mut waiting).await,
                    Some(Ok(Message::Binary(bytes))) => self.answer(caller, outbox, &bytes, &mut unauthorized, &mut waiting).await,
                    Some(Ok(Message::Close(frame))) => {
                        // The library has queued the answer; this sends it.
                        let _ = timeout(limits::CLOSE_DEADLINE, self.socket.flush()).await;
                        return frame.map_or(1005, |frame| frame.code.into());
                    }
                    Some(Ok(_)) => {}
                    Some(Err(error)) => {
                        let Some(code) = broken(&error) else { return 1006 };
                        self.close(code.into(), "").await;
                        return code.into();
                    }
                    None => return 1006,
                },
            }
        }
    }

    /// Asks whether the peer is there. Whoever reads answers, whatever it is that it runs.
    async fn ping(&mut self) -> bool {
        // Where it reads nothing at all, there is no room even for this.
        matches!(timeout(limits::TICK, self.socket.send(Message::Ping(Bytes::new()))).await, Ok(Ok(())))
    }

    async fn answer(
        &mut self,
        caller: &Arc<Caller>,
        outbox: &Outbox,
        message: &[u8],
        unauthorized: &mut u32,
        waiting: &mut JoinSet<()>,
    ) {
        let call = match parse_call(message) {
            Ok(call) => call,
            // OpenClaw says nothing to what is not JSON, and neither do we (2026.3.13, 2026.9.6).
            Err(Malformed::NotJson) => return,
            Err(Malformed::NotARequest { id, why }) => {
                let error = frame::WireError::invalid(format!("invalid request frame: {why}"));
                return outbox.text(frame::response(&id, &Err(error)));
            }
        };
        let desk = &self.gateway.desk;
        if methods::waits(&call.method.0) {
            if waiting.len() >= limits::WAITING_CALLS {
                return outbox.text(frame::response(&call.id.0, &Err(error::too_many_wait())));
            }
            let (desk, caller, outbox) = (Arc::clone(desk), Arc::clone(caller), outbox.clone());
            waiting.spawn(async move {
                let result = desk.call(&caller, &call.method.0, call.params.as_deref()).await;
                outbox.text(frame::response(&call.id.0, &result));
            });
            return;
        }
        desk.hub.begin_call(&self.id);
        let result = desk.call(caller, &call.method.0, call.params.as_deref()).await;
        let is_unauthorized = result.as_ref().is_err_and(error::is_unauthorized_role);
        *unauthorized = if is_unauthorized { unauthorized.saturating_add(1) } else { 0 };
        desk.hub.end_call(&self.id, frame::response(&call.id.0, &result));
        if *unauthorized > limits::UNAUTHORIZED_CALLS {
            outbox.close(1008, "repeated unauthorized calls");
        }
    }

    /// Sends what is left and the end to a peer that was not reading when the end came; it gets a little time to.
    async fn hurry(&mut self, inbox: &mut Inbox) -> u16 {
        let rest = async {
            loop {
                match inbox.next().await {
                    Some(Outgoing::Text(text)) => self.socket.send(Message::text(text)).await.ok()?,
                    Some(Outgoing::Close(code, reason)) => return Some((code, reason)),
                    None => return None,
                }
            }
        };
        match timeout(limits::CLOSE_DEADLINE, rest).await {
            Ok(Some((code, reason))) => {
                self.close(code, &reason).await;
                code
            }
            Ok(None) | Err(_) => 1006,
        }
    }

    async fn drop_slow(&mut self, dialect: Dialect) -> u16 {
        let (code, reason) = error::slow_consumer(dialect);
        self.close(code, reason).await;
        code
    }

    /// Sends a close frame and waits a little for the peer's, so that what was sent before it arrives.
    async fn close(&mut self, code: u16, reason: &str) {
        let frame = CloseFrame { code: CloseCode::from(code), reason: reason.to_owned().into() };
        let goodbye = async {
            if self.socket.close(Some(frame)).await.is_err() {
                return;
            }
            while let Some(Ok(heard)) = self.socket.next().await {
                if heard.is_close() {
                    return;
                }
            }
            // What is left unread would reset the connection, and the peer might not hear why it ends.
            let mut rest = (&mut self.socket.get_mut().stream).take(limits::DRAINED_BYTES);
            let _ = tokio::io::copy(&mut rest, &mut tokio::io::sink()).await;
        };
        // A peer that does not answer is simply left.
        let _ = timeout(limits::CLOSE_DEADLINE, goodbye).await;
    }
}

/// The close code for a peer that breaks the protocol; none where it is the connection that broke.
fn broken(error: &WsError) -> Option<CloseCode> {
    match error {
        WsError::Capacity(_) => Some(CloseCode::Size),
        WsError::Utf8(_) => Some(CloseCode::Invalid),
        WsError::Protocol(ProtocolError::ResetWithoutClosingHandshake) => None,
        WsError::Protocol(_) => Some(CloseCode::Protocol),
        _ => None,
    }
}

/// How many bytes a stranger may still send. The WebSocket library has one limit for the whole life of a socket, and a client
/// that is let in needs a larger one.
#[derive(Clone)]
struct Allowance(Arc<AtomicUsize>);

impl Allowance {
    fn new(bytes: usize) -> Self {
        Self(Arc::new(AtomicUsize::new(bytes)))
    }

    fn lift(&self) {
        self.0.store(usize::MAX, Ordering::Relaxed);
    }
}

/// How many bytes went each way.
#[derive(Clone, Default)]
struct Traffic(Arc<[AtomicUsize; 2]>);

impl Traffic {
    fn read(&self) -> usize {
        self.0[0].load(Ordering::Relaxed)
    }

    fn count(&self, read: usize, written: usize) {
        self.0[0].fetch_add(read, Ordering::Relaxed);
        self.0[1].fetch_add(written, Ordering::Relaxed);
    }

    /// Resolves once nothing went either way for as long as pings may be missed.
    async fn stops(&self) {
        let sums = || (self.read(), self.0[1].load(Ordering::Relaxed));
        loop {
            let before = sums();
            tokio::time::sleep(limits::TICK * limits::MISSED_PINGS).await;
            if sums() == before {
                return;
            }
        }
    }
}

struct Metered<S> {
    stream: S,
    allowance: Allowance,
    traffic: Traffic,
}

impl<S: AsyncRead + Unpin> AsyncRead for Metered<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<std::io::Result<()>> {
        let left = self.allowance.0.load(Ordering::Relaxed);
        if left == 0 {
            return Poll::Ready(Err(std::io::ErrorKind::FileTooLarge.into()));
        }
        let mut part = buffer.take(left);
        let polled = Pin::new(&mut self.stream).poll_read(cx, &mut part);
        let filled = part.filled().len();
        let initialized = part.initialized().len();
        self.traffic.count(filled, 0);
        if left != usize::MAX {
            self.allowance.0.fetch_sub(filled, Ordering::Relaxed);
        }
        let start = buffer.filled().len();
        buffer.initialize_unfilled_to(initialized);
        buffer.set_filled(start.saturating_add(filled));
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Metered<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<std::io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write(cx, bytes);
        if let Poll::Ready(Ok(written)) = polled {
            self.traffic.count(0, written);
        }
        polled
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
