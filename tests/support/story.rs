//! A random but valid history as plain data: who did what, in which order, under which policy. Eight bytes make an act, so that
//! whatever makes bytes makes stories; zeros make the plainest. Valid means: what nobody could send is not in it.

use std::fmt;
use std::ops::Range;

use openclaw_pairing::pairing::{
    Actor, Address, AuthMode, ClientId, ClientMode, Command, Digest, Event, Forwarding, GatewayStarted, Millis, Outcome,
    PeerUser, Registry, RequestId, Role, RoleGrant, Rule, ScopeSet, Seq, SetupCodeId, SharedVerdict,
};

use super::given::{NO_REQUEST, Visit, World, address, device, exec, owner, scopes, visit};

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

/// One act. Requests, tokens, setup codes and connections are named by their place among all there ever were, the newest first.
#[derive(Clone, Debug)]
pub enum Act {
    Connect {
        visit: Box<Visit>,
        token: Option<u8>,
        code: Option<u8>,
    },
    Approve {
        by: By,
        request: u8,
    },
    Reject {
        by: By,
        request: u8,
    },
    /// Turns down whatever an address asks for.
    RejectFrom {
        by: By,
        address: Address,
    },
    Remove {
        by: By,
        device: u8,
        with_approved: bool,
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
        with_approved: bool,
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
    /// Puts a policy in force that differs from the one that is by so many keys; or a text that is none.
    Apply {
        by: By,
        keys: Option<Vec<(usize, u8)>>,
    },
    Arm {
        by: By,
        rule: Rule,
    },
    /// Says to have seen the owner's acts, but for the last records.
    Seen {
        by: By,
        but: u8,
    },
    MakeCode {
        by: By,
        grants: Vec<RoleGrant>,
        lives_ms: u64,
    },
    TakeBackCode {
        by: By,
        code: u8,
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

/// A setup code that nobody made.
const NO_CODE: SetupCodeId = SetupCodeId([0xcc; 16]);

/// A text that is no policy.
const NO_POLICY: &str = "{ version: 1, localCli: true }";

/// The text of the setup code with this id: nobody could guess it, and nobody has to.
fn code_text(id: SetupCodeId) -> Digest {
    let [id, more] = [id.0, [0xc0; 16]];
    let mut text = [0; 32];
    text[..16].copy_from_slice(&id);
    text[16..].copy_from_slice(&more);
    Digest(text)
}

/// Who acts: the owner, somebody as the owner from a shell of OpenClaw's agent, or whoever was let in on a connection.
#[derive(Clone, Copy, Debug)]
pub enum By {
    Owner,
    Exec,
    Connection(u8),
}

/// How many keys of a policy have an order.
pub const ORDERED: usize = 12;

/// A policy by how strict each of its ordered keys is: 0 is the loosest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Strictness(pub [u8; ORDERED]);

/// Each ordered key of a policy, with values from the loosest to the strictest.
pub const KEYS: [(&str, &[&str]); ORDERED] = [
    (
        "localFirstPairing",
        &[
            r#"{ roles: ["operator", "node"], scopes: "asked" }"#,
            r#"{ roles: ["operator"], scopes: "asked" }"#,
            r#"{ roles: ["operator"], scopes: ["operator.write"] }"#,
            "false",
        ],
    ),
    ("localPeer", &[r#""loopback""#, r#""owner-uid""#]),
    ("restAfterRemoval", &["false", "true"]),
    ("ownerActsFromExec", &["true", "false"]),
    (
        "localUpgrade",
        &[
            r#"{ scopes: ["operator.write", "operator.approvals"] }"#,
            r#"{ scopes: ["operator.write"] }"#,
            r#"{ scopes: ["operator.read"] }"#,
            "{ scopes: [] }",
            "false",
        ],
    ),
    (
        "trustedNodeCidrs",
        &[
            r#"["203.0.0.0/8", "9.0.0.0/24"]"#,
            r#"["203.0.0.0/30", "9.0.0.9/32"]"#,
            r#"["203.0.0.2/31", "203.0.0.1/32"]"#,
            r#"["203.0.0.2/31"]"#,
            "[]",
        ],
    ),
    ("localCli", &[r#"{ scopes: "asked" }"#, r#"{ scopes: ["operator.write"] }"#, "{ scopes: [] }", "false"]),
    ("localBackend", &[r#"{ scopes: "asked" }"#, r#"{ scopes: ["operator.write"] }"#, "{ scopes: [] }", "false"]),
    (
        "ceilings",
        &[
            "[]",
            r#"[{ clientId: "openclaw-control-ui", scopes: ["operator.write", "operator.pairing"] }]"#,
            r#"[{ clientId: "openclaw-control-ui", scopes: ["operator.pairing"] }, { clientMode: "cli", role: "operator", scopes: ["operator.write", "operator.pairing"] }]"#,
            r#"[{ scopes: ["operator.pairing", "operator.write"] }, { clientId: "openclaw-control-ui", scopes: [] }]"#,
            r#"[{ role: "node", scopes: [] }, { role: "operator", scopes: ["operator.read"] }, { scopes: ["operator.pairing", "operator.write"] }, { clientId: "openclaw-control-ui", scopes: [] }]"#,
        ],
    ),
    (
        "nodeCommands",
        &[
            r#"{ linux: ["camera", "screen"], ios: ["camera", "screen"], unknown: ["camera", "screen"] }"#,
            r#"{ linux: ["screen", "camera"], ios: ["camera"], unknown: ["screen"] }"#,
            r#"{ linux: ["camera"], ios: ["camera"], unknown: [] }"#,
            "{ linux: [], ios: [], unknown: [] }",
        ],
    ),
    ("metadata", &[r#""family""#, r#""exact""#]),
    ("signatures", &[r#"["v3", "v2"]"#, r#"["v3"]"#]),
];

/// The keys of a policy in which neither of two values is the stricter one.
pub const UNORDERED: [&str; 3] = ["version", "requestTtl", "budgets"];

impl Strictness {
    pub fn from_bytes(bytes: [u8; ORDERED]) -> Self {
        Self([0; ORDERED]).with(&bytes.into_iter().enumerate().collect::<Vec<_>>()).sound()
    }

    /// Whether its keys go together: what is local by the address alone is given nothing more by a rule.
    pub fn is_sound(self) -> bool {
        self.rank("localPeer") == 1 || self.rank("localUpgrade") == 4
    }

    /// The same policy, or where its keys do not go together the stricter one that is sound.
    fn sound(self) -> Self {
        if self.is_sound() { self } else { self.with(&[(place("localPeer"), 1)]) }
    }

    /// The policy that is as strict as the stricter of both, key by key, and the one that is as loose as the looser.
    pub fn ordered(self, other: Self) -> (Self, Self) {
        let (mut strict, mut loose) = (self, other);
        for (a, b) in strict.0.iter_mut().zip(&mut loose.0) {
            (*a, *b) = ((*a).max(*b), (*a).min(*b));
        }
        // Where this is not sound, one of both had the stricter peer.
        (strict, loose.sound())
    }

    /// The same policy but for these keys, whether or not they go together.
    pub fn with(self, keys: &[(usize, u8)]) -> Self {
        let mut ranks = self.0;
        for (key, rank) in keys {
            ranks[*key] = pick(*rank, KEYS[*key].1.len());
        }
        Self(ranks)
    }

    /// How strict this key is.
    pub fn rank(self, key: &str) -> u8 {
        self.0[place(key)]
    }

    /// The keys in which `wanted` is looser.
    pub fn loosened_by(self, wanted: Self) -> Vec<&'static str> {
        let looser = KEYS.iter().zip(self.0.iter().zip(wanted.0)).filter(|(_, (is, wanted))| wanted < *is);
        looser.map(|((key, _), _)| *key).collect()
    }

    /// The policy with this text.
    pub fn of(text: &str) -> Self {
        let rank = |(key, values): (&str, &[&str])| {
            let has = |value: &&str| text.contains(&format!("{key}: {value}, "));
            u8::try_from(values.iter().position(has).expect("a policy of a story")).expect("few")
        };
        Self(KEYS.map(rank))
    }

    pub fn text(self) -> String {
        let keys = self.0.iter().zip(KEYS).map(|(rank, (key, values))| format!("{key}: {}, ", values[usize::from(*rank)]));
        format!("{{ {}version: 1 }}", keys.collect::<String>())
    }
}

/// The place of a key among those with an order.
pub fn place(key: &str) -> usize {
    KEYS.iter().position(|(known, _)| *known == key).expect("a key with an order")
}

fn pick(byte: u8, of: usize) -> u8 {
    byte % u8::try_from(of).expect("few")
}

impl Act {
    pub fn from_bytes(bytes: [u8; 8]) -> Self {
        let [kind, a, b, c, d, e, f, _] = bytes;
        let by = match (b % 4, b / 4 % 4) {
            (0, 3) => By::Exec,
            (0, _) => By::Owner,
            (_, place) => By::Connection(place),
        };
        let role = if c % 4 == 3 { Role::Node } else { Role::Operator };
        match kind % 32 {
            0..=10 => {
                let token = (f % 8 > 3 && f / 64 != 1).then_some(f / 8 % 5);
                Self::Connect { visit: Box::new(visit_from(bytes)), token, code: (d / 32).checked_sub(6) }
            }
            11..=13 => Self::Approve { by, request: a % 5 },
            14 => Self::Reject { by, request: a % 5 },
            15 => Self::Remove { by, device: 1 + a % 4, with_approved: c % 3 == 1 },
            16 | 17 => {
                let scopes = (c < 0xa0).then(|| scopes_from(d, e));
                Self::Rotate { by, device: 1 + a % 4, role, scopes }
            }
            18 => Self::Revoke { by, device: 1 + a % 4, role, with_approved: d % 3 == 1 },
            19 => Self::Wait { seconds: [1, 20, 150, 299, 300, 90_000][usize::from(pick(a, 6))] },
            20 => Self::Close { connection: a % 4 },
            21 => match a % 4 {
                0 => Self::Restart,
                1 => Self::Key { works: false },
                2 => Self::Key { works: true },
                _ => Self::Expire,
            },
            22 => Self::Rename { by, device: 1 + a % 4, label: ["desk", "phone"][usize::from(pick(c, 2))].to_owned() },
            23 => Self::Ask { by: By::Connection(b % 4), scopes: scopes_from(d, e) },
            24 => {
                let hosts = [(203, 1), (203, 2), (203, 3), (127, 1), (9, 9)];
                let (net, host) = hosts[usize::from(pick(a, hosts.len()))];
                Self::RejectFrom { by, address: address(net, host) }
            }
            25 | 26 => {
                let keys = [(a, c), (d, e)].map(|(key, rank)| (usize::from(key) % ORDERED, rank));
                Self::Apply { by, keys: (f % 8 != 7).then(|| keys[..1 + usize::from(f % 2)].to_vec()) }
            }
            27 => {
                let rules = [Rule::LocalFirstPairing, Rule::LocalUpgrade, Rule::TrustedNodeCidrs];
                Self::Arm { by, rule: rules[usize::from(pick(a, 3))] }
            }
            28 | 29 => {
                let lives_ms = [600_000, 0, 200_000, u64::MAX][usize::from(pick(a, 4))];
                Self::MakeCode { by, grants: grants_from(c, scopes_from(d | e, 0xff)), lives_ms }
            }
            30 => Self::TakeBackCode { by, code: a % 3 },
            _ => Self::Seen { by, but: a % 8 },
        }
    }
}

/// Acts that lead somewhere where no row of chances leads often, with device `n` and, where it takes two, the next one.
pub fn plot(which: u8, n: u8) -> Vec<Act> {
    let (one, two) = (1 + n % 3, 1 + (n % 3 + 1) % 3);
    let (by, role) = (By::Owner, Role::Operator);
    let connects = |visit: Visit| Act::Connect { visit: Box::new(visit), token: None, code: None };
    let comes = |n: u8, names: &str| connects(visit(n).asks(names));
    let comes_near = |n: u8, names: &str| connects(visit(n).local().asks(names));
    let presents = |n: u8, names: &str| Act::Connect { visit: Box::new(visit(n).asks(names)), token: None, code: Some(0) };
    let approve = |by: By| Act::Approve { by, request: 0 };
    match which % 5 {
        // What rules gave is taken away.
        0 => vec![
            comes_near(one, "read"),
            approve(by),
            comes_near(one, "read write"),
            if n.is_multiple_of(2) {
                Act::Revoke { by, device: one, role, with_approved: false }
            } else {
                Act::Remove { by, device: one, with_approved: false }
            },
            comes_near(one, "read"),
            approve(by),
            comes_near(one, "read write"),
            Act::Arm { by, rule: if n.is_multiple_of(2) { Rule::LocalUpgrade } else { Rule::LocalFirstPairing } },
            comes_near(one, "read write"),
        ],
        // One approves another, and goes with it.
        1 => vec![
            comes(one, "admin pairing"),
            approve(by),
            comes(one, "admin pairing"),
            comes(two, "pairing"),
            approve(By::Connection(0)),
            if n.is_multiple_of(2) {
                Act::Revoke { by, device: one, role, with_approved: n.is_multiple_of(4) }
            } else {
                Act::Remove { by, device: one, with_approved: n % 4 == 1 }
            },
            comes(two, "pairing"),
        ],
        // A code is spent, shown again, and shown by another.
        2 => vec![
            Act::MakeCode { by, grants: grants_from(n / 4, scopes("pairing write")), lives_ms: 200_000 },
            presents(one, "write"),
            presents(one, "write"),
            presents(two, ""),
            Act::Remove { by, device: one, with_approved: false },
            presents(one, "write"),
        ],
        // A token is made narrow, and its device asks for what it had, and for more.
        3 => vec![
            comes(one, "read write"),
            approve(by),
            Act::Rotate { by, device: one, role, scopes: Some(scopes("read")) },
            comes_near(one, "write"),
            comes_near(one, "write approvals"),
        ],
        // A node offers something, and later more.
        _ => vec![
            connects(visit(one).node().offers(&["camera"])),
            approve(by),
            connects(visit(one).node().offers(&["camera", "screen"])),
            approve(by),
            connects(visit(one).node().offers(&["camera", "screen"])),
        ],
    }
}

/// What a setup code gives; now and then a role that is asked for in vain.
fn grants_from(kind: u8, scopes: ScopeSet) -> Vec<RoleGrant> {
    let operator = RoleGrant { role: Role::Operator, scopes: scopes.clone() };
    let node = RoleGrant { role: Role::Node, scopes: ScopeSet::EMPTY };
    match kind % 4 {
        0 => vec![operator],
        1 => vec![node],
        2 => vec![operator, node],
        _ => vec![RoleGrant { role: Role::Operator, scopes: ScopeSet::EMPTY }, RoleGrant { role: Role::Node, scopes }],
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
        description.caps = ["canvas"].iter().filter(|_| said & 128 != 0).map(|name| (*name).to_owned()).collect();
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
    /// The policy in force.
    policy: Strictness,
    connections: Vec<(Seq, Actor)>,
}

impl Stage {
    pub fn under(policy: Strictness) -> Self {
        let world = World::under(&policy.text());
        Self { played: Played { world, steps: vec![] }, policy, connections: vec![] }
    }

    pub fn act(&mut self, act: &Act) {
        let world = &mut self.played.world;
        match act {
            Act::Connect { visit, token, code } => {
                let presented = token.map(|place| newest(&issued(world), place).unwrap_or(NO_TOKEN));
                let code = code.map(|place| code_text(newest(&codes(world), place).unwrap_or(NO_CODE)));
                let visit = Visit { token: presented, code, ..(**visit).clone() };
                let command = visit.command_at(&world.registry, world.now);
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
            Act::RejectFrom { by, address } => self.tell(self.actor(*by), Command::RejectFrom { address: *address }),
            Act::Remove { by, device: n, with_approved } => {
                self.tell(self.actor(*by), Command::Remove { device: device(*n), with_approved: *with_approved })
            }
            Act::Rotate { by, device: n, role, scopes } => {
                let command = Command::Rotate { device: device(*n), role: *role, scopes: scopes.clone() };
                self.tell(self.actor(*by), command);
            }
            Act::Revoke { by, device: n, role, with_approved } => {
                let command = Command::Revoke { device: device(*n), role: *role, with_approved: *with_approved };
                self.tell(self.actor(*by), command);
            }
            Act::Rename { by, device: n, label } => {
                self.tell(self.actor(*by), Command::Rename { device: device(*n), label: label.clone() });
            }
            Act::Ask { by, scopes } => {
                self.tell(self.actor(*by), Command::Ask { scopes: scopes.clone(), address: address(203, 1) });
            }
            Act::Apply { by, keys } => {
                let wanted = keys.as_ref().map(|keys| self.policy.with(keys));
                let text = wanted.map_or_else(|| NO_POLICY.to_owned(), Strictness::text);
                self.tell(self.actor(*by), Command::ApplyPolicy { text });
                let is_applied = self.played.steps.last().is_some_and(|step| step.outcome == Outcome::Applied);
                self.policy = wanted.filter(|_| is_applied).unwrap_or(self.policy);
            }
            Act::Arm { by, rule } => self.tell(self.actor(*by), Command::ArmRule { rule: *rule }),
            Act::Seen { by, but } => {
                let through = Seq(world.registry.head().0.saturating_sub(u64::from(*but)));
                self.tell(self.actor(*by), Command::MarkSeen { through });
            }
            Act::MakeCode { by, grants, lives_ms } => {
                // Of the id that it is going to have, so that it can be presented by that.
                let digest = code_text(SetupCodeId(world.fresh.next_id()));
                let (grants, lives_ms) = (grants.clone(), *lives_ms);
                self.tell(self.actor(*by), Command::CreateSetupCode { grants, digest, lives_ms, label: None });
            }
            Act::TakeBackCode { by, code } => {
                let code = newest(&codes(world), *code).unwrap_or(NO_CODE);
                self.tell(self.actor(*by), Command::RevokeSetupCode { code });
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
            By::Exec => exec(),
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

/// Every setup code that was ever made.
pub fn codes(world: &World) -> Vec<SetupCodeId> {
    let codes = world.records.iter().filter_map(|record| match &record.event {
        Event::SetupCodeCreated(event) => Some(event.code),
        _ => None,
    });
    codes.collect()
}
