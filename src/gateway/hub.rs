//! Who is connected right now, and what each of them has still to be told. The authority's thread speaks to the hub once
//! records are durable and before anybody is answered, so a push precedes the reply of the act that caused it.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};
use tokio::sync::{Notify, mpsc};

use super::presence::{self, Entry, Here};
use crate::limits;
use crate::pairing::{
    Actor, Address, Client, ConnectionId, Description, DeviceId, Event, KnownScope, Millis, Record, Registry, Role, Rule,
    ScopeSet, Seq, may_hear_of, may_read_all, may_read_of,
};
use crate::wire::connect::Dialect;
use crate::wire::frame::Push;
use crate::wire::nodes::Live;
use crate::wire::notice::{self, About, OWNER_ACTED};

/// How a connection ends when the gateway does.
pub(super) const GOING_DOWN: (u16, &str) = (1012, "service restart");

/// What a connection's task sends.
#[derive(Debug)]
pub(super) enum Outgoing {
    /// A frame.
    Text(String),
    /// The end.
    Close(u16, String),
}

/// The table of connections.
#[derive(Default)]
pub struct Hub {
    peers: Mutex<HashMap<ConnectionId, Peer>>,
    numbered: AtomicU64,
    here: Here,
    presence: AtomicU64,
    presence_changed: Notify,
    /// The last act of the owner that nobody said to have seen, as it is told.
    unseen: Mutex<Option<Value>>,
    is_down: AtomicBool,
}

struct Peer {
    outbox: Outbox,
    admitted: Option<Admitted>,
    listens: bool,
    in_call: bool,
    close_after: Option<(u16, String)>,
    pushes: u64,
    says: Description,
    /// Whether presence as it may see it changed since it was told.
    is_behind: bool,
}

struct Admitted {
    seq: Seq,
    dialect: Dialect,
    actor: Actor,
    role: Role,
    scopes: ScopeSet,
    device: Option<DeviceId>,
    at: Millis,
    address: Address,
    client: Option<Client>,
    is_shown: bool,
    /// Whether it was let in as somebody who may read of all devices. What it is told is asked for each time.
    sees_all: bool,
}

/// One connection's queue, bounded in frames and bytes: who does not read loses the connection, not the gateway its memory.
#[derive(Clone)]
pub struct Outbox {
    frames: mpsc::Sender<Outgoing>,
    bytes: Arc<AtomicUsize>,
    overflow: Arc<Notify>,
    ended: Arc<Notify>,
}

/// The other end of an [`Outbox`].
pub(super) struct Inbox {
    frames: mpsc::Receiver<Outgoing>,
    bytes: Arc<AtomicUsize>,
    overflow: Arc<Notify>,
    ended: Arc<Notify>,
}

/// A fresh queue.
#[must_use]
pub(super) fn queue() -> (Outbox, Inbox) {
    let (sender, receiver) = mpsc::channel(limits::BUFFERED_MESSAGES);
    let bytes = Arc::new(AtomicUsize::new(0));
    let (overflow, ended) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let inbox = Inbox { frames: receiver, bytes: Arc::clone(&bytes), overflow: Arc::clone(&overflow), ended: Arc::clone(&ended) };
    (Outbox { frames: sender, bytes, overflow, ended }, inbox)
}

impl Outbox {
    /// Queues a frame.
    pub fn text(&self, text: String) {
        let queued = self.bytes.fetch_add(text.len(), Ordering::Relaxed);
        if queued > limits::BUFFERED_BYTES || self.frames.try_send(Outgoing::Text(text)).is_err() {
            self.overflow.notify_one();
        }
    }

    /// Whether so much is queued that what can wait should.
    fn is_half_full(&self) -> bool {
        self.frames.capacity() < limits::BUFFERED_MESSAGES / 2 || self.bytes.load(Ordering::Relaxed) > limits::BUFFERED_BYTES / 2
    }

    /// Queues the end.
    pub fn close(&self, code: u16, reason: &str) {
        if self.frames.try_send(Outgoing::Close(code, reason.to_owned())).is_err() {
            self.overflow.notify_one();
        }
        self.ended.notify_one();
    }
}

impl Inbox {
    /// The next frame to send.
    pub(super) async fn next(&mut self) -> Option<Outgoing> {
        let next = self.frames.recv().await;
        if let Some(Outgoing::Text(text)) = &next {
            self.bytes.fetch_sub(text.len(), Ordering::Relaxed);
        }
        next
    }

    /// Resolves once the queue was too long.
    #[must_use]
    pub(super) fn overflowed(&self) -> Arc<Notify> {
        Arc::clone(&self.overflow)
    }

    /// Resolves once the end is queued, however much stands before it.
    #[must_use]
    pub(super) fn ended(&self) -> Arc<Notify> {
        Arc::clone(&self.ended)
    }
}

impl Hub {
    /// Takes a socket in before it is decided, so that nothing that is decided after its admission can miss it.
    pub fn arrive(&self, id: ConnectionId, outbox: Outbox) {
        let mut peers = self.lock();
        if self.is_down.load(Ordering::Relaxed) {
            outbox.close(GOING_DOWN.0, GOING_DOWN.1);
        }
        let peer = Peer {
            outbox,
            admitted: None,
            listens: false,
            in_call: false,
            close_after: None,
            pushes: 0,
            says: Description::default(),
            is_behind: false,
        };
        peers.insert(id, peer);
    }

    /// Notes what a client says of itself, for others to be shown once it is let in.
    pub(super) fn describe(&self, id: &ConnectionId, says: Description) {
        if let Some(peer) = self.lock().get_mut(id) {
            peer.says = says;
        }
    }

    /// Sends the first frame of an admitted connection; from here on it hears what it may hear. Protocol 3 repeats the state
    /// of health behind it. Who may do everything is told what the owner did while nobody looked.
    pub fn welcome(&self, id: &ConnectionId, hello: String, health: &Value) {
        let mut peers = self.lock();
        let versions = self.versions();
        if let Some(peer) = peers.get_mut(id) {
            peer.outbox.text(hello);
            peer.listens = true;
            if peer.dialect() == Dialect::Three {
                peer.push(&Push::new("health", health).at(versions), self.number());
            }
            if let Some(unseen) = &*self.unseen()
                && peer.admitted.as_ref().is_some_and(Admitted::does_everything)
            {
                peer.push(&Push::new(OWNER_ACTED, unseen), self.number());
            }
            peer.end_if_due();
        }
    }

    /// Tells everybody that the gateway is still there.
    pub fn tick(&self, now: Millis) {
        self.push_to_all(&Push::new("tick", &json!({ "ts": now.0 })));
    }

    fn push_to_all(&self, push: &Push) {
        let number = self.number();
        self.lock().values_mut().filter(|peer| peer.listens).for_each(|peer| peer.push(push, number));
    }

    /// Notes that a call is being decided: if it ends the caller's own connection, the reply goes out first.
    pub fn begin_call(&self, id: &ConnectionId) {
        if let Some(peer) = self.lock().get_mut(id) {
            peer.in_call = true;
        }
    }

    /// Sends the reply, then the end if the call brought it.
    pub fn end_call(&self, id: &ConnectionId, reply: String) {
        if let Some(peer) = self.lock().get_mut(id) {
            peer.in_call = false;
            peer.outbox.text(reply);
            peer.end_if_due();
        }
    }

    /// Drops a connection.
    pub fn leave(&self, id: &ConnectionId) -> Option<Seq> {
        let mut peers = self.lock();
        let admitted = peers.remove(id)?.admitted?;
        if admitted.is_shown {
            self.here.remove(admitted.seq);
            self.changed(&mut peers, None, admitted.device);
        }
        Some(admitted.seq)
    }

    /// Who is here, as far as `actor` may know, and how often presence and health changed.
    #[must_use]
    pub(super) fn presence(&self, registry: &Registry, actor: &Actor) -> (Vec<Arc<Entry>>, (u64, u64)) {
        (self.here.seen_by(registry, actor), self.versions())
    }

    /// Resolves once presence changed.
    pub(super) async fn presence_changed(&self) {
        self.presence_changed.notified().await;
    }

    /// Tells presence to all for whom it changed. Who has much unread is told with the next change: the list is whole each time.
    pub(super) fn tell_presence(&self, registry: &Registry) {
        let behind: Vec<_> = self.lock().iter().filter(|(_, peer)| peer.is_behind && peer.listens).map(|(id, _)| *id).collect();
        let number = self.number();
        for id in behind {
            // One at a time: the writer must not wait for a crowd.
            let mut peers = self.lock();
            let Some(peer) = peers.get_mut(&id).filter(|peer| !peer.outbox.is_half_full()) else { continue };
            let Some(admitted) = &peer.admitted else { continue };
            let (seen, versions) = self.presence(registry, &admitted.actor);
            peer.is_behind = false;
            peer.push(&Push::new("presence", &presence::payload(&seen)).at(versions), number);
        }
    }

    /// Notes that an entry came or went, for all who may see it but its own connection, which knows.
    fn changed(&self, peers: &mut HashMap<ConnectionId, Peer>, own: Option<&ConnectionId>, device: Option<DeviceId>) {
        self.presence.fetch_add(1, Ordering::Relaxed);
        for (_, peer) in peers.iter_mut().filter(|(id, _)| Some(*id) != own) {
            peer.is_behind |= peer.admitted.as_ref().is_some_and(|admitted| admitted.may_see(device));
        }
        self.presence_changed.notify_one();
    }

    /// How many connections are admitted.
    #[must_use]
    pub fn connected(&self) -> usize {
        self.lock().values().filter(|peer| peer.admitted.is_some()).count()
    }

    /// Whether a device has a connection.
    #[must_use]
    pub fn is_connected(&self, device: &DeviceId) -> bool {
        self.lock().values().any(|peer| peer.admitted.as_ref().is_some_and(|admitted| admitted.device == Some(*device)))
    }

    /// The connections of nodes, the newest first.
    #[must_use]
    pub(super) fn nodes(&self) -> Vec<Live> {
        let peers = self.lock();
        let live = peers.values().filter_map(|peer| {
            let admitted = peer.admitted.as_ref().filter(|admitted| admitted.role == Role::Node)?;
            let Admitted { seq, at: since, address, .. } = *admitted;
            let (device, client) = (admitted.device?, admitted.client?);
            Some((seq, Live { device, since, address, client, says: peer.says.clone() }))
        });
        let mut live: Vec<_> = live.collect();
        live.sort_by_key(|(seq, _)| std::cmp::Reverse(*seq));
        live.into_iter().map(|(_, node)| node).collect()
    }

    /// Tells everybody that the gateway goes down, and ends every connection.
    pub fn shut_down(&self) {
        let farewell = |dialect| Push::new("shutdown", &notice::shutdown(dialect));
        let (three, four, number) = (farewell(Dialect::Three), farewell(Dialect::Four), self.number());
        let mut peers = self.lock();
        self.is_down.store(true, Ordering::Relaxed);
        for peer in peers.values_mut() {
            if peer.listens {
                peer.push(if peer.dialect() == Dialect::Three { &three } else { &four }, number);
            }
            peer.outbox.close(GOING_DOWN.0, GOING_DOWN.1);
        }
    }

    /// Hears a durable batch: admissions, pushes, and ends of connections whose device or token is gone.
    pub fn hear(&self, records: &[Record], after: &Registry) {
        let mut peers = self.lock();
        for record in records {
            match &record.event {
                Event::ConnectionAdmitted(event) => {
                    let id = event.attempt.connection;
                    let Some(peer) = peers.get_mut(&id) else { continue };
                    let mut admitted = Admitted::of(record, event, after);
                    let device = admitted.device;
                    let paired = device.and_then(|device| after.device(&device)).map(AsRef::as_ref);
                    let entry = Entry::of(record, event, paired, &peer.says);
                    admitted.is_shown = entry.is_some();
                    peer.admitted = Some(admitted);
                    if let Some(entry) = entry {
                        self.here.add(record.seq, entry);
                        self.changed(&mut peers, Some(&id), device);
                    }
                }
                Event::DeviceRemoved(event) => end(&mut peers, record, &event.device, None, "device removed"),
                Event::TokenRevoked(event) => end(&mut peers, record, &event.device, Some(event.role), "token revoked"),
                Event::TokenRotated(event) => end(&mut peers, record, &event.device, Some(event.role), "token rotated"),
                Event::GrantWithdrawn(event) => end(&mut peers, record, &event.device, Some(event.role), "scopes withdrawn"),
                Event::DeviceSucceeded(event) => end(&mut peers, record, &event.device, None, "device succeeded"),
                _ => {}
            }
        }
        if records.iter().any(|record| matches!(record.event, Event::OwnerActsSeen(_))) && after.unseen().count == 0 {
            *self.unseen() = None;
        }
        for notice in notice::notices(records, after) {
            if matches!(notice.about, About::Owner) {
                *self.unseen() = Some(notice.payload.clone());
            }
            let (push, number) = (Push::new(notice.event, &notice.payload), self.number());
            for peer in peers.values_mut().filter(|peer| peer.may_hear(after, notice.about)) {
                peer.push(&push, number);
            }
        }
    }

    /// Remembers what the owner did before this gateway started.
    pub(super) fn recall(&self, unseen: Value) {
        *self.unseen() = Some(unseen);
    }

    fn unseen(&self) -> MutexGuard<'_, Option<Value>> {
        self.unseen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How often presence and health changed. Health never does: it tells nothing that could.
    fn versions(&self) -> (u64, u64) {
        (self.presence.load(Ordering::Relaxed), 1)
    }

    /// The next number of a push, counted over the whole gateway.
    fn number(&self) -> u64 {
        self.numbered.fetch_add(1, Ordering::Relaxed).saturating_add(1)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<ConnectionId, Peer>> {
        self.peers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Peer {
    /// Queues a push. Protocol 3 counts those of the whole gateway in one row, protocol 4 those of each connection.
    fn push(&mut self, push: &Push, number: u64) {
        self.pushes = self.pushes.saturating_add(1);
        let number = if self.dialect() == Dialect::Three { number } else { self.pushes };
        self.outbox.text(push.frame(Some(number)));
    }

    fn dialect(&self) -> Dialect {
        self.admitted.as_ref().map(|admitted| admitted.dialect).unwrap_or_default()
    }

    fn may_hear(&self, registry: &Registry, about: About) -> bool {
        let may = |admitted: &Admitted| {
            let answers = admitted.role == Role::Operator && admitted.scopes.allows(KnownScope::Pairing);
            answers
                && match about {
                    About::Request(request) => may_hear_of(registry, &admitted.actor, &request),
                    About::Device(device) => may_read_of(registry, &admitted.actor, &device),
                    About::Owner => admitted.does_everything() && may_read_all(registry, &admitted.actor),
                }
        };
        self.listens && self.admitted.as_ref().is_some_and(may)
    }

    fn end_if_due(&mut self) {
        if let Some((code, reason)) = self.close_after.take() {
            self.outbox.close(code, &reason);
        }
    }
}

impl Admitted {
    fn of(record: &Record, event: &crate::pairing::ConnectionAdmitted, after: &Registry) -> Self {
        let attempt = &event.attempt;
        let role = attempt.ask.as_ref().map_or(Role::Operator, |ask| ask.role);
        // Let in as paired it was, though the same batch may have removed it; of others a paired device may still be known.
        let was_paired = matches!(event.rule, Rule::Paired | Rule::LocalFirstPairing);
        let proved = attempt.proof.map(|proof| proof.device);
        let device = proved.filter(|device| was_paired || after.device(device).is_some());
        let actor = actor(device, event.rule, &event.scopes);
        let (dialect, sees_all) = (Dialect::of(attempt.protocol), may_read_all(after, &actor));
        let (seq, at, scopes) = (record.seq, record.at, event.scopes.clone());
        let (address, client) = (attempt.source.address(), attempt.client);
        Self { seq, dialect, actor, role, scopes, device, at, address, client, is_shown: false, sees_all }
    }

    fn does_everything(&self) -> bool {
        self.role == Role::Operator && self.scopes.contains(KnownScope::Admin)
    }

    /// Whether an entry of presence may be one that it sees.
    fn may_see(&self, device: Option<DeviceId>) -> bool {
        let sees = self.sees_all || device.is_none_or(|device| self.device == Some(device));
        self.role == Role::Operator && self.scopes.allows(KnownScope::Read) && sees
    }
}

/// As whom an admitted connection acts.
#[must_use]
pub(super) fn actor(device: Option<DeviceId>, rule: Rule, scopes: &ScopeSet) -> Actor {
    match device {
        Some(device) => Actor::Device { device, scopes: scopes.clone() },
        None => Actor::SharedSecret { rule, scopes: scopes.clone() },
    }
}

/// Ends the connections of a device, or of one role of it, that were admitted before this record.
fn end(peers: &mut HashMap<ConnectionId, Peer>, record: &Record, device: &DeviceId, role: Option<Role>, why: &str) {
    for peer in peers.values_mut() {
        let concerned = peer.admitted.as_ref().is_some_and(|admitted| {
            admitted.device == Some(*device) && role.is_none_or(|role| role == admitted.role) && admitted.seq < record.seq
        });
        if !concerned {
            continue;
        }
        if peer.in_call || !peer.listens {
            peer.close_after = Some((4001, why.to_owned()));
        } else {
            peer.outbox.close(4001, why);
        }
    }
}

#[cfg(test)]
mod races;

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn n10_who_arrives_after_the_farewell_is_sent_away_too() {
        let (hub, (outbox, mut inbox)) = (Hub::default(), queue());
        hub.shut_down();
        hub.arrive(ConnectionId([1; 16]), outbox);
        assert!(matches!(inbox.next().await, Some(Outgoing::Close(1012, _))));
    }

    #[tokio::test]
    async fn n01_a_queue_is_bounded_in_frames_and_in_bytes() {
        let overflows = async |frames: usize, bytes: usize| {
            let (outbox, inbox) = queue();
            (0..frames).for_each(|_| outbox.text("x".repeat(bytes)));
            let overflowed = inbox.overflowed();
            tokio::select! { biased; () = overflowed.notified() => true, () = std::future::ready(()) => false }
        };
        assert!(!overflows(limits::BUFFERED_MESSAGES, 1).await);
        assert!(overflows(limits::BUFFERED_MESSAGES + 1, 1).await);
        assert!(!overflows(2, limits::BUFFERED_BYTES).await, "one frame more than the bound is let through");
        assert!(overflows(3, limits::BUFFERED_BYTES).await);
    }
}
