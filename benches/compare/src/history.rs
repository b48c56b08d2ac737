//! A long life of a gateway: a thousand devices pair, then come and go, with a wrong secret, a cut-off socket and a rotated
//! token now and then. What each connect leads to, [`decide`] says once for each device; the stream repeats it.

use std::fs;
use std::io::Write as _;
use std::net::{IpAddr, Ipv4Addr};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::sync::Arc;

use openclaw_pairing::journal::codec;
use openclaw_pairing::journal::format::{BatchBuilder, SegmentHeader};
use openclaw_pairing::limits::SEGMENT_BYTES;
use openclaw_pairing::pairing::{
    Actor, Ask, Attempt, AuthMode, Client, ClientId, ClientMode, Command, ConnectionClosed, ConnectionId, Context, Credential,
    DEFAULT_POLICY, Described, Description, DeviceId, Digest, Event, Fault, Forwarding, Issue, JournalCreated, JournalId, KeyId,
    Millis, Mint, PeerUser, Person, Proof, PublicKey, Record, Registry, Role, Salt, ScopeSet, SegmentSealed, Seq, SharedVerdict,
    SignatureForm, Source, TokenVerdict, decide, digest_of,
};

pub const JOURNAL: JournalId = JournalId([9; 16]);
const DEVICES: u32 = 1_000;
const START: Millis = Millis(1_767_225_600_000);

/// The records of the whole history, without an end.
pub struct History {
    first: std::vec::IntoIter<Record>,
    returns: Vec<Event>,
    wrongs: Vec<Event>,
    gone: Event,
    rotations: Vec<(Actor, Event)>,
    head: Seq,
    step: u64,
}

impl History {
    pub fn new() -> Self {
        let mut registry = Registry::default();
        let created = JournalCreated { journal: JOURNAL, policy: DEFAULT_POLICY.to_owned() };
        let mut first = vec![note(&mut registry, Actor::System, created.into())];
        for number in 0..DEVICES {
            for (actor, event) in asked(&registry, Actor::Peer, connect(number)) {
                first.push(note(&mut registry, actor, event));
            }
        }
        let only = |command, actor| asked(&registry, actor, command).pop().expect("one event");
        let returns = (0..DEVICES).map(|number| only(returning(number), Actor::Peer).1).collect();
        let wrongs = (0..DEVICES).map(|number| only(with_wrong_secret(number), Actor::Peer).1).collect();
        let rotations = (0..DEVICES).map(|number| only(rotation(number), owner())).collect();
        let gone = only(gone(), Actor::Peer).1;
        Self { first: first.into_iter(), returns, wrongs, gone, rotations, head: Seq(0), step: 0 }
    }

    /// What is recorded when the devices come back, each for itself.
    pub fn returns(&self) -> &[Event] {
        &self.returns
    }
}

impl Iterator for History {
    type Item = Record;

    fn next(&mut self) -> Option<Record> {
        let record = match self.first.next() {
            Some(record) => Record { seq: self.head.next(), ..record },
            None => {
                self.step += 1;
                let step = self.step;
                let of = |events: &[Event]| events[step as usize % events.len()].clone();
                let (actor, mut event) = match step % 50 {
                    7 => self.rotations[step as usize % self.rotations.len()].clone(),
                    17 | 33 => (Actor::Peer, of(&self.wrongs)),
                    25 => (Actor::Peer, self.gone.clone()),
                    // A connection that came some ten records ago ends.
                    odd if odd % 2 == 1 => {
                        let admission = Seq(self.head.0.saturating_sub(10));
                        (Actor::System, ConnectionClosed { admission, code: 1000 }.into())
                    }
                    _ => (Actor::Peer, of(&self.returns)),
                };
                match &mut event {
                    Event::ConnectionAdmitted(event) => event.attempt.connection = connection(step),
                    Event::ConnectionRefused(event) => event.attempt.connection = connection(step),
                    _ => {}
                }
                Record { seq: self.head.next(), at: Millis(START.0 + self.head.0), actor, event }
            }
        };
        self.head = record.seq;
        Some(record)
    }
}

/// Writes a journal of `records` records in batches of `batch`, as [`Journal::append`](openclaw_pairing::journal::Journal)
/// does, but without a sync for each. Returns the bytes of the payloads.
pub fn write(dir: &Path, records: u64, batch: usize) -> std::io::Result<u64> {
    fs::DirBuilder::new().mode(0o700).create(dir)?;
    let mut history = History::new();
    let (mut last, mut payloads) = (SegmentHeader::of_new(JOURNAL), 0);
    let (mut hash, mut at) = (last.chain, START);
    loop {
        let path = dir.join(format!("{:020}.segment", last.first.0));
        let file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        let mut file = std::io::BufWriter::with_capacity(1 << 20, file);
        file.write_all(&last.encode())?;
        let mut bytes = last.encode().len() as u64;
        while bytes < SEGMENT_BYTES && history.head.0 < records {
            let left = usize::try_from(records - history.head.0).unwrap_or(batch);
            let taken: Vec<_> = history.by_ref().take(batch.min(left)).collect();
            let (made, sizes) = batch_of(&taken, &mut hash);
            file.write_all(&made)?;
            (bytes, payloads, at) = (bytes + made.len() as u64, payloads + sizes, taken[taken.len() - 1].at);
        }
        if bytes >= SEGMENT_BYTES {
            let event = SegmentSealed { first: last.first, bytes }.into();
            let seal = Record { seq: history.head.next(), at, actor: Actor::System, event };
            history.head = seal.seq;
            file.write_all(&batch_of(&[seal], &mut hash).0)?;
            last = SegmentHeader { journal: JOURNAL, first: history.head.next(), chain: hash };
        }
        file.into_inner()?.sync_all()?;
        if bytes < SEGMENT_BYTES {
            return Ok(payloads);
        }
    }
}

/// The bytes of a batch, and how many of them are payload.
fn batch_of(records: &[Record], hash: &mut Digest) -> (Vec<u8>, u64) {
    let mut batch = BatchBuilder::new(records[0].seq);
    let mut payloads = 0;
    for record in records {
        let payload = payload(&record.actor, &record.event);
        payloads += payload.len() as u64;
        batch.push(record.event.kind(), record.at, &payload).expect("within the limits");
    }
    let (bytes, next) = batch.finish(hash);
    *hash = next;
    (bytes, payloads)
}

pub fn payload(actor: &Actor, event: &Event) -> Vec<u8> {
    codec::encode(actor, event).expect("within the limits")
}

pub fn connection(number: u64) -> ConnectionId {
    // SplitMix64: as little like its neighbour as a random id.
    let mut mixed = number.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let mut id = [0; 16];
    id[..8].copy_from_slice(&number.to_le_bytes());
    id[8..].copy_from_slice(&mixed.to_le_bytes());
    ConnectionId(id)
}

struct Fixed;

impl Mint for Fixed {
    fn mint(&self, device: &DeviceId, _: Role) -> Option<Issue> {
        Some(Issue { salt: Salt([1; 16]), key: KeyId([2; 8]), digest: digest_of(&device.to_string()) })
    }
}

fn note(registry: &mut Registry, actor: Actor, event: Event) -> Record {
    let record = Record { seq: registry.head().next(), at: Millis(START.0 + registry.head().0), actor, event };
    registry.apply(&record);
    record
}

fn asked(registry: &Registry, actor: Actor, command: Command) -> Vec<(Actor, Event)> {
    let context = Context { actor, now: registry.now(), ids: [[5; 16], [5; 16]], mint: &Fixed };
    decide(registry, &Arc::clone(registry.policy()), command, &context).events
}

fn owner() -> Actor {
    Actor::Owner(Person {
        uid: 1000,
        pid: 4321,
        program: "openclaw".to_owned(),
        terminal: Some("pts/1".to_owned()),
        from_exec: false,
    })
}

fn key(number: u32) -> PublicKey {
    let mut key = [0; 32];
    key[..4].copy_from_slice(&number.to_le_bytes());
    PublicKey(key)
}

fn connect(number: u32) -> Command {
    with_credential(number, SharedVerdict::Right, TokenVerdict::Missing)
}

fn returning(number: u32) -> Command {
    with_credential(number, SharedVerdict::Missing, TokenVerdict::Live)
}

fn with_wrong_secret(number: u32) -> Command {
    with_credential(number, SharedVerdict::Wrong, TokenVerdict::Missing)
}

fn rotation(number: u32) -> Command {
    Command::Rotate { device: DeviceId::of(&key(number)), role: Role::Operator, scopes: None }
}

/// A connect of the command line of this machine, which pairs a device that comes for the first time.
fn with_credential(number: u32, shared: SharedVerdict, token: TokenVerdict) -> Command {
    let description = Description {
        platform: Some("linux".to_owned()),
        display_name: Some(format!("workstation {number}")),
        version: Some("2026.3.13".to_owned()),
        ..Description::default()
    };
    let described = Described { like: None, here: Some(Box::new(description)) };
    let attempt = Attempt {
        protocol: Some(3),
        client: Some(Client { id: ClientId::Cli, mode: ClientMode::Cli }),
        ask: Some(Ask { role: Role::Operator, scopes: ScopeSet::cli(), described }),
        proof: Some(Proof { device: DeviceId::of(&key(number)), form: SignatureForm::V3 }),
        credential: Some(Credential { mode: AuthMode::Token, shared, token, token_is_explicit: false, bootstrap: false }),
        ..silent()
    };
    Command::Connect { attempt: Box::new(attempt), key: Some(key(number)), code: None }
}

fn gone() -> Command {
    Command::Connect { attempt: Box::new(Attempt { fault: Some(Fault::Gone), ..silent() }), key: None, code: None }
}

/// A socket on which nothing was said.
fn silent() -> Attempt {
    Attempt {
        connection: connection(0),
        source: Source {
            peer: IpAddr::from(Ipv4Addr::LOCALHOST).into(),
            forwarding: Forwarding::None,
            claimed: None,
            host_is_loopback: true,
            is_page: false,
            user: PeerUser::Owner,
        },
        fault: None,
        protocol: None,
        client: None,
        ask: None,
        proof: None,
        credential: None,
    }
}
