//! A random but valid history as plain data: who did what, in which order, under which policy. Eight bytes make an act, so that
//! whatever makes bytes makes stories; zeros make the plainest. Valid means: what nobody could send is not in it.

use std::fmt;
use std::ops::Range;

use openclaw_pairing::pairing::{
    Actor, AuthMode, ClientId, ClientMode, Command, Digest, Event, Forwarding, GatewayStarted, Millis, Outcome, PeerUser,
    Registry, RequestId, Role, ScopeSet, Seq, SharedVerdict,
};

use super::given::{NO_REQUEST, Visit, World, address, device, owner, scopes, visit};

/// What happens to several devices under one policy.
#[derive(Clone)]
pub struct Story {
    pub policy: Strictness,
    pub acts: Vec<Act>,
}

/// One act on each line.
impl fmt::Debug for Story {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.policy.text())?;
        self.acts.iter().try_for_each(|act| writeln!(f, "- {act:?}"))
    }
}

/// One act. Requests, tokens and connections are named by their place among all there ever were, the newest first.
#[derive(Clone, Debug)]
pub enum Act {
    Connect {
        visit: Box<Visit>,
        token: Option<u8>,
    },
    Approve {
        by: By,
        request: u8,
    },
    Reject {
        by: By,
        request: u8,
    },
    Remove {
        by: By,
        device: u8,
    },
    Rotate {
        by: By,
        device: u8,
        role: Role,
        scopes: Option<ScopeSet>,
    },
    Revoke {
        by: By,
        device: u8,
        role: Role,
    },
    Rename {
        by: By,
        device: u8,
        label: String,
    },
    /// Whoever is on a connection asks for more.
    Ask {
        by: By,
        scopes: ScopeSet,
    },
    Wait {
        seconds: u64,
    },
    Close {
        connection: u8,
    },
    Expire,
    Restart,
    /// The token key can be used, or cannot.
    Key {
        works: bool,
    },
}

/// A token that nobody was given.
const NO_TOKEN: Digest = Digest([0xbb; 32]);

/// Who acts: the owner, or whoever was let in on a connection.
#[derive(Clone, Copy, Debug)]
pub enum By {
    Owner,
    Connection(u8),
}

/// A policy by how strict each of its ordered keys is: 0 is the loosest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Strictness(pub [u8; 6]);

/// Each ordered key of POLICY.md that there is so far, with its values from the loosest to the strictest.
const KEYS: [(&str, &[&str]); 6] = [
    (
        "localFirstPairing",
        &[
            "{ roles: [\"operator\", \"node\"], scopes: \"asked\" }",
            "{ roles: [\"operator\"], scopes: \"asked\" }",
            "{ roles: [\"operator\"], scopes: [\"operator.write\"] }",
            "false",
        ],
    ),
    ("localPeer", &["\"loopback\"", "\"owner-uid\""]),
    ("localCli", &["{ scopes: \"asked\" }", "{ scopes: [\"operator.write\"] }", "{ scopes: [] }", "false"]),
    ("localBackend", &["{ scopes: \"asked\" }", "{ scopes: [\"operator.write\"] }", "{ scopes: [] }", "false"]),
    ("metadata", &["\"family\"", "\"exact\""]),
    ("signatures", &["[\"v3\", \"v2\"]", "[\"v3\"]"]),
];

impl Strictness {
    pub fn from_bytes(bytes: [u8; 6]) -> Self {
        let mut ranks = bytes;
        for (rank, (_, values)) in ranks.iter_mut().zip(KEYS) {
            *rank = pick(*rank, values.len());
        }
        Self(ranks)
    }

    /// The policy that is as strict as the stricter of both, key by key, and the one that is as loose as the looser.
    pub fn ordered(self, other: Self) -> (Self, Self) {
        let (mut strict, mut loose) = (self, other);
        for (a, b) in strict.0.iter_mut().zip(&mut loose.0) {
            (*a, *b) = ((*a).max(*b), (*a).min(*b));
        }
        (strict, loose)
    }

    pub fn text(self) -> String {
        let keys = self.0.iter().zip(KEYS).map(|(rank, (key, values))| format!("{key}: {}, ", values[usize::from(*rank)]));
        format!("{{ {}version: 1 }}", keys.collect::<String>())
    }
}

fn pick(byte: u8, of: usize) -> u8 {
    byte % u8::try_from(of).expect("few")
}

impl Act {
    pub fn from_bytes(bytes: [u8; 8]) -> Self {
        let [kind, a, b, c, ..] = bytes;
        let by = if b % 4 == 0 { By::Owner } else { By::Connection(b / 4 % 4) };
        let role = if c % 4 == 3 { Role::Node } else { Role::Operator };
        match kind % 22 {
            0..=8 => {
                let token = (bytes[6] % 8 > 3 && bytes[6] / 64 != 1).then_some(bytes[6] / 8 % 5);
                Self::Connect { visit: Box::new(visit_from(bytes)), token }
            }
            9..=11 => Self::Approve { by, request: a % 5 },
            12 => Self::Reject { by, request: a % 5 },
            13 => Self::Remove { by, device: 1 + a % 4 },
            14 | 15 => {
                let scopes = (c < 0xa0).then(|| scopes_from(bytes[4], bytes[5]));
                Self::Rotate { by, device: 1 + a % 4, role, scopes }
            }
            16 => Self::Revoke { by, device: 1 + a % 4, role },
            17 => Self::Wait { seconds: [1, 20, 150, 299, 300, 90_000][usize::from(pick(a, 6))] },
            18 => Self::Close { connection: a % 4 },
            19 => match a % 4 {
                0 => Self::Restart,
                1 => Self::Key { works: false },
                2 => Self::Key { works: true },
                _ => Self::Expire,
            },
            20 => Self::Rename { by, device: 1 + a % 4, label: ["desk", "phone"][usize::from(pick(c, 2))].to_owned() },
            _ => Self::Ask { by: By::Connection(b % 4), scopes: scopes_from(bytes[4], bytes[5]) },
        }
    }
}

fn scopes_from(some: u8, of_them: u8) -> ScopeSet {
    let names = ["read", "write", "pairing", "admin", "approvals", "cam.era"];
    let chosen = names.iter().enumerate().filter(|(bit, _)| some & of_them & (1 << bit) != 0);
    scopes(&chosen.map(|(_, name)| format!("{name} ")).collect::<String>())
}

/// A connect; the first byte says that it is one.
fn visit_from([_, who, some, of_them, place, client, credential, said]: [u8; 8]) -> Visit {
    let mut visit = visit(1 + who % 3);
    visit.scopes = scopes_from(some, of_them);
    visit = match place % 8 {
        0 | 1 => visit,
        2 => visit.local().with_source(|source| source.is_page = true),
        3 => {
            visit.local().with_source(|source| (source.forwarding, source.claimed) = (Forwarding::Untrusted, Some(address(9, 9))))
        }
        4 => visit.local().with_source(|source| (source.forwarding, source.claimed) = (Forwarding::Trusted, Some(address(9, 9)))),
        5 => visit.local().with_source(|source| source.user = PeerUser::Other),
        _ => visit.local(),
    };
    if place / 8 % 4 == 3 {
        visit = visit.node();
    }
    visit = match client % 8 {
        5 => visit.backend(),
        6 => visit.probe(),
        7 => visit.client(ClientId::ControlUi, ClientMode::Ui),
        _ => visit,
    };
    if client / 8 % 8 == 7 {
        visit = visit.v2();
    }
    if client / 64 == 3 {
        visit = visit.auth(if client / 8 % 2 == 0 { AuthMode::None } else { AuthMode::TrustedProxy });
    }
    visit.shared = match credential % 8 {
        // A gateway without a secret takes everybody's word.
        _ if visit.mode == AuthMode::None => SharedVerdict::Right,
        0..=3 => SharedVerdict::Right,
        4 | 5 => SharedVerdict::Missing,
        6 => SharedVerdict::Wrong,
        _ => [SharedVerdict::Wrong, SharedVerdict::Spent, SharedVerdict::NotConfigured][usize::from(pick(credential / 8, 3))],
    };
    visit.in_place = visit.shared == SharedVerdict::Wrong && said & 16 != 0;
    if who / 4 % 8 == 7 {
        visit = visit.keyless();
    }
    visit.says(|description| {
        let platforms = ["linux", "linux", "linux", "linux 7", "ios", "plan9", "", "linux"];
        description.platform = Some(platforms[usize::from(said % 8)].to_owned()).filter(|text| !text.is_empty());
        description.family = [None, None, Some("Mac"), Some("iPhone")][usize::from(said / 8 % 4)].map(str::to_owned);
        let offered = ["camera", "screen"].iter().zip([32, 64]).filter(|(_, bit)| said & bit != 0);
        description.commands = offered.map(|(name, _)| (*name).to_owned()).collect();
    })
}

/// One command of a story, and what it led to.
#[derive(Clone, Debug)]
pub struct Step {
    pub before: Registry,
    pub after: Registry,
    pub now: Millis,
    pub actor: Actor,
    pub command: Command,
    pub outcome: Outcome,
    /// Its records, by their places among all.
    pub records: Range<usize>,
}

/// A story that was played.
pub struct Played {
    pub world: World,
    pub steps: Vec<Step>,
}

impl Story {
    pub fn play(&self) -> Played {
        let mut stage = Stage::under(self.policy);
        self.acts.iter().for_each(|act| stage.act(act));
        stage.played
    }
}

/// Where a story is played, act by act.
pub struct Stage {
    pub played: Played,
    connections: Vec<(Seq, Actor)>,
}

impl Stage {
    pub fn under(policy: Strictness) -> Self {
        let world = World::under(&policy.text());
        Self { played: Played { world, steps: vec![] }, connections: vec![] }
    }

    pub fn act(&mut self, act: &Act) {
        let world = &mut self.played.world;
        match act {
            Act::Connect { visit, token } => {
                let presented = token.map(|place| newest(&issued(world), place).unwrap_or(NO_TOKEN));
                let visit = Visit { token: presented, ..(**visit).clone() };
                let command = visit.command(&world.registry);
                self.tell(Actor::Peer, command);
            }
            Act::Approve { by, request } => {
                let request = newest(&requested(world), *request).unwrap_or(NO_REQUEST);
                self.tell(self.actor(*by), Command::Approve { request });
            }
            Act::Reject { by, request } => {
                let request = newest(&requested(world), *request).unwrap_or(NO_REQUEST);
                self.tell(self.actor(*by), Command::Reject { request });
            }
            Act::Remove { by, device: n } => {
                self.tell(self.actor(*by), Command::Remove { device: device(*n), with_approved: false })
            }
            Act::Rotate { by, device: n, role, scopes } => {
                let command = Command::Rotate { device: device(*n), role: *role, scopes: scopes.clone() };
                self.tell(self.actor(*by), command);
            }
            Act::Revoke { by, device: n, role } => {
                self.tell(self.actor(*by), Command::Revoke { device: device(*n), role: *role, with_approved: false });
            }
            Act::Rename { by, device: n, label } => {
                self.tell(self.actor(*by), Command::Rename { device: device(*n), label: label.clone() });
            }
            Act::Ask { by, scopes } => {
                self.tell(self.actor(*by), Command::Ask { scopes: scopes.clone(), address: address(203, 1) });
            }
            Act::Wait { seconds } => world.wait(*seconds),
            Act::Close { connection } => {
                if let Some((admission, _)) = newest(&self.connections, *connection) {
                    self.connections.retain(|(seq, _)| *seq != admission);
                    self.tell(Actor::Peer, Command::Close { admission, code: 1000 });
                }
            }
            Act::Expire => self.tell(Actor::System, Command::Expire),
            Act::Restart => {
                self.connections.clear();
                let started = GatewayStarted { version: "0.0.0".to_owned(), key: None, identity: None, settings: vec![] };
                self.tell(Actor::System, Command::Start(started));
            }
            Act::Key { works } => world.fresh.works.set(*works),
        }
    }

    /// Whoever has no connection is a stranger.
    fn actor(&self, by: By) -> Actor {
        match by {
            By::Owner => owner(),
            By::Connection(place) => newest(&self.connections, place).map_or(Actor::Peer, |(_, actor)| actor),
        }
    }

    fn tell(&mut self, actor: Actor, command: Command) {
        let Played { world, steps } = &mut self.played;
        let (before, start) = (world.registry.clone(), world.records.len());
        let outcome = world.tell(actor.clone(), command.clone()).outcome;
        if let Outcome::Admitted(admission) = &outcome {
            let scopes = admission.scopes.clone();
            let actor = match admission.device {
                Some(device) => Actor::Device { device, scopes },
                None => Actor::SharedSecret { rule: admission.rule, scopes },
            };
            self.connections.push((world.registry.head(), actor));
        }
        let records = start..world.records.len();
        steps.push(Step { before, after: world.registry.clone(), now: world.now, actor, command, outcome, records });
    }
}

fn newest<T: Clone>(all: &[T], place: u8) -> Option<T> {
    all.iter().rev().nth(usize::from(place)).cloned()
}

/// Every request there ever was.
pub fn requested(world: &World) -> Vec<RequestId> {
    let requests = world.records.iter().filter_map(|record| match &record.event {
        Event::PairingRequested(event) => Some(event.request),
        _ => None,
    });
    requests.collect()
}

/// Every token ever issued, whoever's it is: its bearer may be anybody.
pub fn issued(world: &World) -> Vec<Digest> {
    let tokens = world.records.iter().filter_map(|record| match &record.event {
        Event::TokenIssued(event) => Some(event.issue.digest),
        Event::TokenRotated(event) => Some(event.issue.digest),
        _ => None,
    });
    tokens.collect()
}
