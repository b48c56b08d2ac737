//! Given a world of records, when somebody acts, then these events and this outcome. One function makes the attempt, one asks
//! `decide` as the writer does; the tests above state only who, what and the answer.

use std::cell::Cell;
use std::net::{IpAddr, Ipv4Addr};

use openclaw_pairing::pairing::{
    Actor, Address, Admission, Ask, Attempt, AuthMode, Client, ClientId, ClientMode, Command, ConnectionId, Context, Credential,
    DEFAULT_POLICY, Decision, Described, Description, DeviceId, Digest, Done, Event, Forwarding, Issue, JournalCreated,
    JournalId, Millis, Mint, Outcome, PairingNeed, PeerUser, Person, Proof, PublicKey, Record, Refusal, Registry, RequestId,
    Role, Salt, ScopeSet, Seq, SharedVerdict, SignatureForm, Source, TokenKey, TokenVerdict, check, decide,
};
use openclaw_pairing::views::{About, refusal_sentence};

/// When every world begins.
pub const START: Millis = Millis(1_800_000_000_000);

/// Scopes by their short names: `scopes("read pairing")`. A name with a dot stands for itself.
pub fn scopes(names: &str) -> ScopeSet {
    let full = names.split_whitespace().map(|name| if name.contains('.') { name.to_owned() } else { format!("operator.{name}") });
    let full: Vec<_> = full.collect();
    ScopeSet::parse(full.iter().map(String::as_str)).expect("scopes without separators")
}

/// The five scopes of the CLI.
pub const ALL: &str = "admin read write approvals pairing";

/// The key of device number `n`.
pub fn key(n: u8) -> PublicKey {
    PublicKey([n; 32])
}

/// Device number `n`.
pub fn device(n: u8) -> DeviceId {
    DeviceId::of(&key(n))
}

/// The owner of the state directory.
pub fn owner() -> Actor {
    Actor::Owner(Person { uid: 1000, pid: 7, program: "openclaw".to_owned(), terminal: None, from_exec: false })
}

/// The owner, as whatever runs below a shell of OpenClaw's agent is.
pub fn exec() -> Actor {
    Actor::Owner(Person { uid: 1000, pid: 8, program: "openclaw".to_owned(), terminal: None, from_exec: true })
}

/// Device number `n` on a connection with these scopes.
pub fn by(n: u8, names: &str) -> Actor {
    Actor::Device { device: device(n), scopes: scopes(names) }
}

/// A request nobody made.
pub const NO_REQUEST: RequestId = RequestId([0xee; 16]);

/// One connect before anybody judged it: by default a CLI with a key and the shared secret, from afar.
#[derive(Clone, Debug)]
pub struct Visit {
    pub device: Option<u8>,
    pub form: SignatureForm,
    pub role: Role,
    pub scopes: ScopeSet,
    pub client: Client,
    pub source: Source,
    pub mode: AuthMode,
    pub shared: SharedVerdict,
    pub token: Option<Digest>,
    /// Whether the device token came in the field of the shared secret.
    pub in_place: bool,
    /// A setup code.
    pub code: Option<Digest>,
    pub description: Description,
}

pub fn visit(n: u8) -> Visit {
    Visit {
        device: Some(n),
        form: SignatureForm::V3,
        role: Role::Operator,
        scopes: ScopeSet::EMPTY,
        client: Client { id: ClientId::Cli, mode: ClientMode::Cli },
        source: Source {
            peer: address(203, n),
            forwarding: Forwarding::None,
            claimed: None,
            host_is_loopback: false,
            is_page: false,
            user: PeerUser::NotAsked,
        },
        mode: AuthMode::Token,
        shared: SharedVerdict::Right,
        token: None,
        in_place: false,
        code: None,
        description: Description { platform: Some("linux".to_owned()), ..Description::default() },
    }
}

/// An IPv4 address of two telling numbers.
pub fn address(net: u8, host: u8) -> Address {
    IpAddr::V4(Ipv4Addr::new(net, 0, 0, host)).into()
}

impl Visit {
    pub fn asks(self, names: &str) -> Self {
        Self { scopes: scopes(names), ..self }
    }

    pub fn node(self) -> Self {
        let client = Client { id: ClientId::NodeHost, mode: ClientMode::Node };
        Self { role: Role::Node, client, ..self }
    }

    pub fn local(self) -> Self {
        let peer = IpAddr::V4(Ipv4Addr::LOCALHOST).into();
        Self { source: Source { peer, host_is_loopback: true, user: PeerUser::Owner, ..self.source }, ..self }
    }

    pub fn with_source(mut self, change: impl FnOnce(&mut Source)) -> Self {
        change(&mut self.source);
        self
    }

    pub fn client(self, id: ClientId, mode: ClientMode) -> Self {
        Self { client: Client { id, mode }, ..self }
    }

    pub fn backend(self) -> Self {
        self.client(ClientId::GatewayClient, ClientMode::Backend)
    }

    pub fn probe(self) -> Self {
        self.client(ClientId::Cli, ClientMode::Probe)
    }

    pub fn keyless(self) -> Self {
        Self { device: None, ..self }
    }

    pub fn v2(self) -> Self {
        Self { form: SignatureForm::V2, ..self }
    }

    /// The shared secret comes out as `verdict`.
    pub fn secret(self, verdict: SharedVerdict) -> Self {
        Self { shared: verdict, ..self }
    }

    pub fn auth(self, mode: AuthMode) -> Self {
        Self { mode, ..self }
    }

    /// A device token in place of the shared secret, in a field of its own.
    pub fn token(self, digest: Digest) -> Self {
        Self { shared: SharedVerdict::Missing, token: Some(digest), ..self }
    }

    /// A setup code in place of the shared secret.
    pub fn code(self, digest: Digest) -> Self {
        Self { shared: SharedVerdict::Missing, code: Some(digest), ..self }
    }

    pub fn platform(self, text: &str) -> Self {
        self.says(|description| description.platform = Some(text.to_owned()))
    }

    pub fn family(self, text: &str) -> Self {
        self.says(|description| description.family = Some(text.to_owned()))
    }

    pub fn offers(self, commands: &[&str]) -> Self {
        self.says(|description| description.commands = commands.iter().map(|name| (*name).to_owned()).collect())
    }

    pub fn says(mut self, change: impl FnOnce(&mut Description)) -> Self {
        change(&mut self.description);
        self
    }

    /// The attempt as the handshake and the writer make it: the token is judged on the registry it is decided on, and only
    /// where the shared secret is not right. Once too many failed, neither is compared.
    pub fn attempt(&self, registry: &Registry) -> Attempt {
        let judged = self.token.filter(|_| !matches!(self.shared, SharedVerdict::Right | SharedVerdict::Spent)).zip(self.device);
        let token = judged.map_or(TokenVerdict::Missing, |(digest, n)| registry.judge(&device(n), self.role, &digest));
        let here = self.device.map(|_| Box::new(self.description.clone()));
        Attempt {
            connection: ConnectionId([1; 16]),
            source: self.source.clone(),
            fault: None,
            protocol: Some(3),
            client: Some(self.client),
            ask: Some(Ask { role: self.role, scopes: self.scopes.clone(), described: Described { like: None, here } }),
            proof: self.device.map(|n| Proof { device: device(n), form: self.form }),
            credential: Some(Credential {
                mode: self.mode,
                shared: self.shared,
                token,
                token_is_explicit: self.token.is_some() && !self.in_place,
                bootstrap: self.code.is_some(),
            }),
        }
    }

    /// Without a setup code, which is good for a time only.
    pub fn command(&self, registry: &Registry) -> Command {
        Command::Connect { attempt: Box::new(self.attempt(registry)), key: self.device.map(key), code: None }
    }

    /// As the writer hands it in: a setup code that is good comes before a device token.
    pub fn command_at(&self, registry: &Registry, now: Millis) -> Command {
        let mut attempt = self.attempt(registry);
        let presented = self.code.filter(|_| self.shared != SharedVerdict::Spent).zip(self.device);
        let code = presented.and_then(|(code, n)| registry.good_code(&code, &device(n), self.role, &self.scopes, now));
        if let (Some(_), Some(credential)) = (code, &mut attempt.credential) {
            (credential.token, credential.token_is_explicit) = (TokenVerdict::SetupCode, false);
        }
        Command::Connect { attempt: Box::new(attempt), key: self.device.map(key), code }
    }
}

/// Makes tokens as a gateway does, with salts in order. It can be out of order, as a token key can.
pub struct Counter {
    next: Cell<u64>,
    pub works: Cell<bool>,
    /// What the salts begin with, so that two hosts can differ in their chance.
    pub chance: Cell<u64>,
    /// Whether every salt is the same.
    pub repeats: Cell<bool>,
}

pub const JOURNAL: JournalId = JournalId([9; 16]);

impl Counter {
    fn take(&self) -> u64 {
        self.next.replace(self.next.get() + 1)
    }

    fn id(&self) -> [u8; 16] {
        let id = self.next_id();
        self.take();
        id
    }

    /// What the next id is going to be.
    pub fn next_id(&self) -> [u8; 16] {
        let mut id = [0xa0; 16];
        id[8..].copy_from_slice(&self.next.get().to_be_bytes());
        id
    }
}

impl Mint for Counter {
    fn mint(&self, device: &DeviceId, role: Role) -> Option<Issue> {
        let number = if self.repeats.get() { 0 } else { self.take() };
        let mut salt = [0; 16];
        salt[..8].copy_from_slice(&self.chance.get().to_be_bytes());
        salt[8..].copy_from_slice(&number.to_be_bytes());
        let (key, salt) = (TokenKey::new([0x0e; 32]), Salt(salt));
        let digest = key.derive(&JOURNAL, device, role, &salt).digest();
        self.works.get().then(|| Issue { salt, key: key.id(), digest })
    }
}

/// What these records, which are a journal from its first on, tell of the act at `seq`.
pub fn done(records: &[Record], seq: Seq) -> Option<Done> {
    let place = records.iter().position(|record| record.seq == seq)?;
    let mut before = Registry::default();
    records[..place].iter().for_each(|record| before.apply(record));
    let mut done = Done::new(&before, records[place].clone());
    records[place + 1..].iter().for_each(|later| done.then(later));
    Some(done)
}

/// Records, what they fold to, and the time.
pub struct World {
    pub registry: Registry,
    pub records: Vec<Record>,
    pub now: Millis,
    pub fresh: Counter,
    /// Whether its records never were a history.
    pub is_jumbled: bool,
}

impl World {
    pub fn new() -> Self {
        Self::under(DEFAULT_POLICY)
    }

    /// A new journal under this policy.
    pub fn under(policy: &str) -> Self {
        let (next, works) = (Cell::new(1), Cell::new(true));
        let fresh = Counter { next, works, chance: Cell::new(0), repeats: Cell::new(false) };
        let mut world = Self { registry: Registry::default(), records: vec![], now: START, fresh, is_jumbled: false };
        world.note(Actor::System, JournalCreated { journal: JOURNAL, policy: policy.to_owned() }.into());
        world
    }

    pub fn note(&mut self, actor: Actor, event: Event) {
        let record = Record { seq: self.registry.head().next(), at: self.now, actor, event };
        let possible = check(&self.registry, &record);
        assert!(self.is_jumbled || possible.is_ok(), "what is decided can be read back: {possible:?}");
        self.registry.apply(&record);
        self.records.push(record);
    }

    /// What would be decided now.
    pub fn decide(&self, actor: Actor, command: Command) -> Decision {
        let context = Context { actor, now: self.now, ids: [self.fresh.id(), self.fresh.id()], mint: &self.fresh };
        decide(&self.registry, &self.registry.policy().clone(), command, &context)
    }

    /// Decides, and lets it have happened.
    pub fn tell(&mut self, actor: Actor, command: Command) -> Told {
        let Decision { events, outcome } = self.decide(actor, command);
        events.iter().for_each(|(actor, event)| self.note(actor.clone(), event.clone()));
        Told { events, outcome }
    }

    pub fn wait(&mut self, seconds: u64) {
        self.now = self.now.plus(seconds * 1_000);
    }

    pub fn connect(&mut self, visit: &Visit) -> Told {
        let command = visit.command_at(&self.registry, self.now);
        self.tell(Actor::Peer, command)
    }

    pub fn approve(&mut self, actor: Actor, request: RequestId) -> Told {
        self.tell(actor, Command::Approve { request })
    }

    pub fn reject(&mut self, actor: Actor, request: RequestId) -> Told {
        self.tell(actor, Command::Reject { request })
    }

    pub fn remove(&mut self, actor: Actor, n: u8) -> Told {
        self.tell(actor, Command::Remove { device: device(n), with_approved: false })
    }

    pub fn rotate(&mut self, actor: Actor, n: u8, names: Option<&str>) -> Told {
        self.tell(actor, Command::Rotate { device: device(n), role: Role::Operator, scopes: names.map(scopes) })
    }

    pub fn revoke(&mut self, actor: Actor, n: u8) -> Told {
        self.tell(actor, Command::Revoke { device: device(n), role: Role::Operator, with_approved: false })
    }

    /// What the journal tells of the act at `seq`.
    pub fn done(&self, seq: Seq) -> Option<Done> {
        done(&self.records, seq)
    }

    pub fn undo(&mut self, actor: Actor, seq: Seq) -> Told {
        self.tell(actor, Command::Undo { done: self.done(seq).map(Box::new) })
    }

    /// The last record of this kind.
    pub fn last(&self, name: &str) -> Seq {
        self.records.iter().rfind(|record| record.event.name() == name).expect("such a record").seq
    }

    pub fn expire(&mut self) -> Told {
        self.tell(Actor::System, Command::Expire)
    }

    /// Device `n` asked for this as an operator and the owner approved it.
    pub fn pair(&mut self, n: u8, names: &str) -> Actor {
        self.grant(&visit(n).asks(names));
        by(n, names)
    }

    /// The owner approves what this visit asks for.
    pub fn grant(&mut self, visit: &Visit) {
        let request = self.connect(visit).request();
        let told = self.approve(owner(), request);
        assert!(matches!(told.outcome, Outcome::Approved { .. }), "{:?}", told.outcome);
    }

    /// What device `n` holds as an operator.
    pub fn held(&self, n: u8) -> ScopeSet {
        self.registry.device(&device(n)).expect("a paired device").held(Role::Operator)
    }

    /// What was approved for device `n` as an operator.
    pub fn approved(&self, n: u8) -> ScopeSet {
        let device = self.registry.device(&device(n)).expect("a paired device");
        device.grants.get(&Role::Operator).expect("an operator").approved.clone()
    }

    /// The live operator token of device `n`, as its bearer would present it.
    pub fn token(&self, n: u8) -> Digest {
        let granted = self.registry.device(&device(n)).and_then(|device| device.token(Role::Operator)).expect("a live token");
        granted.issue.expect("a derived token").digest
    }

    /// The platform pinned for device `n`.
    pub fn platform(&self, n: u8) -> Option<&str> {
        self.registry.device(&device(n)).expect("a paired device").description.platform.as_deref()
    }

    pub fn waiting(&self) -> Vec<RequestId> {
        self.registry.requests().map(|request| request.id).collect()
    }
}

/// What somebody was told, and what was written about it.
#[derive(Debug)]
pub struct Told {
    pub events: Vec<(Actor, Event)>,
    pub outcome: Outcome,
}

impl Told {
    pub fn names(&self) -> Vec<&'static str> {
        self.events.iter().map(|(_, event)| event.name()).collect()
    }

    pub fn admission(&self) -> &Admission {
        match &self.outcome {
            Outcome::Admitted(admission) => admission,
            other => panic!("admitted expected, not {other:?}"),
        }
    }

    pub fn refusal(&self) -> &Refusal {
        match &self.outcome {
            Outcome::Refused(refusal) => refusal,
            other => panic!("refused expected, not {other:?}"),
        }
    }

    pub fn need(&self) -> &PairingNeed {
        match self.refusal() {
            Refusal::PairingRequired(need) => need,
            other => panic!("pairing required expected, not {other:?}"),
        }
    }

    /// The request that a refused device was told.
    pub fn request(&self) -> RequestId {
        self.need().request
    }

    /// The refusal in the words that every reader gets.
    pub fn sentence(&self) -> String {
        refusal_sentence(self.refusal(), About::default())
    }

    pub fn is_refused(&self) -> bool {
        matches!(self.outcome, Outcome::Refused(_))
    }
}
