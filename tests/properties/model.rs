//! What ought to come of a story, told again by a program small enough to be seen to be right: sets of words, a few maps, whole
//! scans. It shares nothing with `src/pairing` but plain values, reads no policy text, keeps no records and knows no ids:
//! devices, requests and tokens are the first, the second, the third.

use std::collections::{BTreeMap, BTreeSet};

use openclaw_pairing::pairing::{
    Address, AuthMode, Client, ClientId, ClientMode, Description, Ending, Forwarding, PeerUser, Reason, Role, RoleGrant, Rule,
    SharedVerdict, SignatureForm, TokenVerdict,
};

use crate::support::given::{Visit, address};
use crate::support::story::{Act, By, Strictness};

pub(crate) type Scopes = BTreeSet<String>;

/// How long a request waits after it was last asked for.
const TTL_MS: u64 = 300_000;
/// Retired tokens of a role, and answered requests of a paired device, that are remembered.
const RETIRED: usize = 4;
const ANSWERED: usize = 16;
/// Setup codes that are good at once, and how long one may be: a minute at least, a day at most.
const CODES: usize = 64;
const CODE_MS: (u64, u64) = (60_000, 86_400_000);

/// What somebody is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    In {
        rule: Rule,
        device: Option<u8>,
        role: Role,
        scopes: Scopes,
        token: Option<usize>,
        more: BTreeMap<Role, usize>,
        offers: BTreeSet<String>,
    },
    Person {
        reason: Reason,
        request: usize,
        missing: Scopes,
        held: Scopes,
        is_narrow: bool,
        is_revoked: bool,
        retry_ms: u64,
        rests: Option<Rule>,
    },
    Approved {
        device: u8,
        request: usize,
        again: bool,
    },
    Rejected {
        device: u8,
        request: usize,
    },
    RejectedAll(Vec<usize>),
    Removed(u8, BTreeSet<u8>),
    Rotated {
        token: usize,
        scopes: Scopes,
        own: bool,
    },
    Revoked(u8, Role, BTreeSet<u8>),
    Renamed(u8, String),
    Asked(usize),
    Applied,
    Code(usize),
    Noted,
    No(String),
}

/// What is true after an act.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct State {
    pub(crate) paired: BTreeMap<u8, Paired>,
    pub(crate) waiting: BTreeMap<(u8, Role), Request>,
    /// How the requests ended that do not wait, as long as that is remembered.
    pub(crate) over: BTreeMap<usize, Ending>,
    /// Of every token there ever was: whose it is and whether it is live, as long as that is remembered.
    pub(crate) tokens: Vec<Option<(u8, Role, TokenVerdict)>>,
    /// Whom a person removed or turned down.
    pub(crate) barred: BTreeSet<u8>,
    /// Which setup codes are known whose time is not over, and who spent them.
    pub(crate) codes: BTreeMap<usize, Option<u8>>,
    /// The rules that rest, where the policy lets them.
    pub(crate) resting: BTreeSet<Rule>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Paired {
    pub(crate) client: Option<Client>,
    pub(crate) platform: Option<String>,
    pub(crate) family: Option<String>,
    pub(crate) offers: BTreeSet<String>,
    pub(crate) label: Option<String>,
    pub(crate) roles: BTreeMap<Role, Held>,
    pub(crate) admissions: u64,
    pub(crate) refusals: u64,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Held {
    pub(crate) approved: Scopes,
    /// What the live token carries.
    pub(crate) carried: Option<Scopes>,
    pub(crate) is_revoked: bool,
    /// The devices and the rules that gave something of it.
    pub(crate) approvers: BTreeSet<u8>,
    pub(crate) rules: BTreeSet<Rule>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) number: usize,
    pub(crate) reason: Reason,
    pub(crate) client: Client,
    pub(crate) address: Address,
    pub(crate) scopes: Scopes,
    pub(crate) platform: Option<String>,
    pub(crate) family: Option<String>,
    pub(crate) offers: BTreeSet<String>,
    pub(crate) last_ms: u64,
    pub(crate) attempts: u32,
}

struct Ended {
    number: usize,
    ending: Ending,
    device: u8,
    role: Role,
    scopes: Scopes,
    /// The request that took its place.
    next: Option<usize>,
    /// Whether it counts among those of its device, which was paired then and is still.
    counts: bool,
}

struct Token {
    device: u8,
    role: Role,
    is_live: bool,
    was_rotated: bool,
    /// Its device was removed since.
    is_forgotten: bool,
}

struct Code {
    grants: Vec<(Role, Scopes)>,
    until_ms: u64,
    /// The device that made it, if one did.
    maker: Option<u8>,
    spent: Option<u8>,
    is_gone: bool,
}

/// Who gave something, where that is remembered: a device, or a rule.
#[derive(Clone, Copy)]
enum Giver {
    Device(u8),
    Rule(Rule),
    Other,
}

#[derive(Clone)]
struct Connection {
    rule: Rule,
    device: Option<u8>,
    scopes: Scopes,
}

/// What somebody may do: everything, or what some scopes give.
enum Power {
    All,
    Some(Scopes, Over),
}

/// Over whom, beyond answering requests.
#[derive(PartialEq)]
enum Over {
    Oneself(u8),
    Everybody,
    Nobody,
}

/// What a device asks for, as far as it was proved: a v2 signature proves neither platform nor family.
#[derive(Clone)]
struct Claim {
    device: u8,
    client: Client,
    address: Address,
    role: Role,
    asked: Scopes,
    platform: Option<String>,
    family: Option<String>,
    offers: BTreeSet<String>,
}

pub(crate) struct Model {
    policy: Strictness,
    now_ms: u64,
    key_works: bool,
    paired: BTreeMap<u8, Paired>,
    waiting: BTreeMap<(u8, Role), Request>,
    over: Vec<Ended>,
    requests: usize,
    tokens: Vec<Token>,
    barred: BTreeSet<u8>,
    codes: Vec<Code>,
    resting: BTreeSet<Rule>,
    connections: Vec<Connection>,
}

impl Model {
    pub(crate) fn under(policy: Strictness) -> Self {
        Self {
            policy,
            now_ms: 0,
            key_works: true,
            paired: BTreeMap::new(),
            waiting: BTreeMap::new(),
            over: vec![],
            requests: 0,
            tokens: vec![],
            barred: BTreeSet::new(),
            codes: vec![],
            resting: BTreeSet::new(),
            connections: vec![],
        }
    }

    /// What is told, where anybody is.
    pub(crate) fn act(&mut self, act: &Act) -> Option<Answer> {
        Some(match act {
            Act::Connect { visit, token, code } => {
                let token = token.map(|place| newest(self.tokens.len(), place));
                let answer = self.connect(visit, token, code.map(|place| newest(self.codes.len(), place)));
                if let Answer::In { rule, device, scopes, .. } = &answer {
                    self.connections.push(Connection { rule: *rule, device: *device, scopes: scopes.clone() });
                }
                let seen = visit.device.and_then(|device| self.paired.get_mut(&device));
                match (seen, &answer) {
                    (Some(device), Answer::In { .. }) => device.admissions += 1,
                    (Some(device), _) => device.refusals += 1,
                    (None, _) => {}
                }
                answer
            }
            Act::Approve { by, request } => self.approve(*by, newest(self.requests, *request)),
            Act::Reject { by, request } => self.reject(*by, newest(self.requests, *request)),
            Act::RejectFrom { by, address } => self.reject_from(*by, *address),
            Act::Remove { by, device, with_approved } => self.remove(*by, *device, *with_approved),
            Act::Rotate { by, device, role, scopes } => self.rotate(*by, *device, *role, scopes.as_ref().map(words)),
            Act::Revoke { by, device, role, with_approved } => self.revoke(*by, *device, *role, *with_approved),
            Act::Rename { by, device, label } => self.rename(*by, *device, label),
            Act::Ask { by, scopes } => self.ask(*by, words(scopes)),
            Act::Apply { by, keys } => self.apply(*by, keys.as_ref().map(|keys| self.policy.with(keys))),
            Act::Arm { by, rule } => self.arm(*by, *rule),
            Act::Seen { by, .. } => self.may_all(*by).and_then(|()| self.seat_belt(*by)).err().unwrap_or(Answer::Noted),
            Act::MakeCode { by, grants, lives_ms } => self.make_code(*by, grants, *lives_ms),
            Act::TakeBackCode { by, code } => self.take_back_code(*by, newest(self.codes.len(), *code)),
            Act::Close { connection } => {
                let place = newest(self.connections.len(), *connection)?;
                self.connections.remove(place);
                Answer::Noted
            }
            Act::Expire => {
                let due: Vec<_> = self.waiting.keys().copied().collect();
                due.into_iter().for_each(|(device, role)| self.expire(device, role));
                Answer::Noted
            }
            Act::Restart => {
                self.connections.clear();
                Answer::Noted
            }
            Act::Wait { seconds } => {
                self.now_ms += seconds * 1_000;
                return None;
            }
            Act::Key { works } => {
                self.key_works = *works;
                return None;
            }
        })
    }

    pub(crate) fn state(&self) -> State {
        let mut tokens = vec![];
        for (place, token) in self.tokens.iter().enumerate() {
            let verdict = self.verdict(place, token.device, token.role);
            tokens.push((verdict != TokenVerdict::Wrong).then_some((token.device, token.role, verdict)));
        }
        let known = self.codes.iter().enumerate().filter(|(_, code)| !code.is_gone && self.now_ms < code.until_ms);
        State {
            paired: self.paired.clone(),
            waiting: self.waiting.clone(),
            over: self.over.iter().map(|over| (over.number, over.ending)).collect(),
            tokens,
            barred: self.barred.clone(),
            codes: known.map(|(number, code)| (number, code.spent)).collect(),
            resting: self.resting.clone(),
        }
    }

    pub(crate) fn policy(&self) -> Strictness {
        self.policy
    }

    // --- connects ---------------------------------------------------------------------------------------------------

    fn connect(&mut self, visit: &Visit, token: Option<Option<usize>>, code: Option<Option<usize>>) -> Answer {
        let asked = words(&visit.scopes);
        let with_code = code.is_some();
        let Some(device) = visit.device else { return self.without_device(visit, asked, with_code) };
        if visit.form == SignatureForm::V2 && self.policy.rank("signatures") == 1 {
            return no("signature");
        }
        let is_trusted = is_trusted(visit);
        let code = code.flatten().filter(|code| visit.shared != SharedVerdict::Spent && self.is_good(*code, device, visit));
        let verdict = match token {
            _ if code.is_some() => TokenVerdict::SetupCode,
            _ if matches!(visit.shared, SharedVerdict::Right | SharedVerdict::Spent) => TokenVerdict::Missing,
            None => TokenVerdict::Missing,
            Some(None) => TokenVerdict::Wrong,
            Some(Some(token)) => self.verdict(token, device, visit.role),
        };
        let is_probe = visit.client.mode == ClientMode::Probe;
        let role = self.paired.get(&device).and_then(|paired| paired.roles.get(&visit.role));
        let asks_again = role.is_some_and(|role| role.is_revoked) && verdict == TokenVerdict::Retired && !is_probe;
        if !is_trusted && !matches!(verdict, TokenVerdict::Live | TokenVerdict::SetupCode) && !asks_again {
            return self.unauthorized(visit, Some(device), verdict, token.is_some() && !visit.in_place, with_code);
        }
        if !is_probe && let Some(refusal) = self.denied(visit.client, visit.role, &asked) {
            return refusal;
        }
        let is_v3 = visit.form == SignatureForm::V3;
        let claim = Claim {
            device,
            client: visit.client,
            address: address_of(visit),
            role: visit.role,
            asked,
            platform: visit.description.platform.clone().filter(|_| is_v3),
            family: visit.description.family.clone().filter(|_| is_v3),
            offers: if visit.role == Role::Node { offers(&visit.description) } else { BTreeSet::new() },
        };
        if self.paired.contains_key(&device) { self.come_back(visit, &claim, code) } else { self.come_first(visit, &claim, code) }
    }

    fn without_device(&self, visit: &Visit, asked: Scopes, with_code: bool) -> Answer {
        if visit.shared == SharedVerdict::Spent {
            return self.unauthorized(visit, None, TokenVerdict::Missing, false, with_code);
        }
        if visit.client.id == ClientId::ControlUi {
            return no("a Control UI needs a device");
        }
        if visit.role == Role::Operator && visit.mode != AuthMode::None && visit.shared == SharedVerdict::Right {
            let is_local = self.is_local(visit);
            let (cli, backend) = (self.policy.rank("localCli"), self.policy.rank("localBackend"));
            if visit.client.mode == ClientMode::Probe {
                return came_in(Rule::Probe, visit.role, Scopes::new());
            }
            if let Some(refusal) = self.denied(visit.client, visit.role, &asked) {
                return refusal;
            }
            let (rule, scopes) = if is_local && is(visit, ClientId::Cli, ClientMode::Cli) && cli < 3 {
                (Rule::LocalCli, given(cli, asked))
            } else if is_local && is(visit, ClientId::GatewayClient, ClientMode::Backend) && backend < 3 {
                (Rule::LocalBackend, given(backend, asked))
            } else {
                (Rule::SharedSecret, None)
            };
            return came_in(rule, visit.role, scopes.unwrap_or_default());
        }
        if visit.role == Role::Operator && visit.shared == SharedVerdict::Wrong {
            return self.unauthorized(visit, None, TokenVerdict::Missing, false, with_code);
        }
        no("a device is needed")
    }

    fn come_first(&mut self, visit: &Visit, claim: &Claim, code: Option<usize>) -> Answer {
        let Claim { device, role, ref asked, .. } = *claim;
        if visit.client.mode == ClientMode::Probe {
            return came_in(Rule::Probe, role, Scopes::new());
        }
        if let Some(code) = code {
            return self.pair_by_code(claim, code, Reason::NotPaired);
        }
        let is_welcome = self.is_local(visit) && !self.barred.contains(&device);
        let is_backend = role == Role::Operator && is(visit, ClientId::GatewayClient, ClientMode::Backend);
        let backend = self.policy.rank("localBackend");
        if is_welcome && is_backend && backend < 3 {
            return came_in(Rule::LocalBackend, role, given(backend, asked.clone()).unwrap_or_default());
        }
        let pairs = match self.policy.rank("localFirstPairing") {
            0 => true,
            1 => role == Role::Operator,
            2 => role == Role::Operator && covers(role, &word("operator.write"), asked),
            _ => false,
        };
        let rule = Rule::LocalFirstPairing;
        let pairs = is_welcome && !is_backend && pairs;
        if pairs && !self.rests(rule) {
            return self.pair_first(claim, rule, claim.offers.clone());
        }
        let is_seen = !visit.source.is_page && matches!(visit.source.forwarding, Forwarding::None | Forwarding::Trusted);
        let is_node = role == Role::Node && asked.is_empty() && !self.barred.contains(&device);
        if is_node && is_seen && is_trusted(visit) && self.trusts_nodes_at(claim.address) {
            // Its commands are what a person is asked for, as far as anybody may approve them.
            let answer = self.pair_first(claim, Rule::TrustedNodeCidrs, BTreeSet::new());
            let rest = self.may_offer(&claim.platform, &claim.offers);
            if !rest.is_empty() {
                self.new_request(claim, Reason::ScopeUpgrade, asked.clone(), rest);
            }
            return answer;
        }
        self.ask_person(claim, Reason::NotPaired, pairs.then_some(rule))
    }

    fn pair_first(&mut self, claim: &Claim, rule: Rule, offered: BTreeSet<String>) -> Answer {
        let Claim { device, role, ref asked, .. } = *claim;
        self.expire(device, role);
        let request = self.new_request(claim, Reason::NotPaired, asked.clone(), offered);
        self.grant(device, request, Giver::Rule(rule));
        let (token, offers) = (self.live(device, role), self.offered(claim, &self.paired[&device]));
        Answer::In { rule, device: Some(device), role, scopes: asked.clone(), token, more: BTreeMap::new(), offers }
    }

    /// Gives all that the code does, also what was not asked for now.
    fn pair_by_code(&mut self, claim: &Claim, code: usize, reason: Reason) -> Answer {
        let Claim { device, role, ref asked, .. } = *claim;
        let Code { grants, maker, .. } = &self.codes[code];
        let giver = maker.map_or(Giver::Other, Giver::Device);
        let mut grants = grants.clone();
        grants.sort_by_key(|(of, _)| *of != role);
        for (of, scopes) in &mut grants {
            let before = self.paired.get(&device).and_then(|paired| paired.client);
            let clients = || before.into_iter().chain([claim.client]);
            scopes.retain(|scope| clients().all(|client| self.denied(client, *of, &word(scope)).is_none()));
            // What is asked may be a part of what is too much as a whole.
            if *of == role && !covers(role, scopes, asked) {
                scopes.extend(asked.iter().cloned());
            }
        }
        self.expire(device, role);
        let request = self.new_request(claim, reason, asked.clone(), claim.offers.clone());
        self.adopt(device, &request);
        self.codes[code].spent = Some(device);
        let mut tokens = BTreeMap::new();
        for (of, scopes) in grants {
            self.give(device, of, &scopes, giver);
            if of == role {
                self.end(device, role, Ending::Approved, None);
            }
            if self.live(device, of).is_none() {
                self.issue(device, of, self.held(device, of), false);
            }
            tokens.extend(self.live(device, of).map(|token| (of, token)));
        }
        let (token, offers) = (tokens.remove(&role), self.offered(claim, &self.paired[&device]));
        Answer::In { rule: Rule::SetupCode, device: Some(device), role, scopes: asked.clone(), token, more: tokens, offers }
    }

    fn come_back(&mut self, visit: &Visit, claim: &Claim, code: Option<usize>) -> Answer {
        let Claim { device, role, ref asked, .. } = *claim;
        let is_probe = visit.client.mode == ClientMode::Probe;
        let paired = self.paired[&device].clone();
        let is_other = |pinned: &Option<String>, claimed: &Option<String>| match (pinned, claimed) {
            (Some(pinned), Some(claimed)) => pinned != claimed,
            _ => false,
        };
        let moves = is_other(&paired.platform, &claim.platform);
        let may_move = self.policy.rank("metadata") == 0
            && family_of(&paired.platform).is_some()
            && family_of(&paired.platform) == family_of(&claim.platform);
        // As another client it is not rid of a ceiling over the one that was paired.
        let is_renamed = paired.client.is_some_and(|client| self.denied(client, role, asked).is_some());
        let reason = if is_other(&paired.family, &claim.family) || (moves && !may_move) || is_renamed {
            Some(Reason::MetadataUpgrade)
        } else if paired.roles.get(&role).is_none_or(|role| role.is_revoked) {
            Some(Reason::RoleUpgrade)
        } else if !covers(role, &self.held(device, role), asked) {
            Some(Reason::ScopeUpgrade)
        } else {
            None
        };
        if let Some(reason) = reason {
            if is_probe {
                return came_in(Rule::Probe, role, Scopes::new());
            }
            if let (Some(code), Reason::RoleUpgrade | Reason::ScopeUpgrade) = (code, reason) {
                return self.pair_by_code(claim, code, reason);
            }
            let rule = Rule::LocalUpgrade;
            let upgrades = reason == Reason::ScopeUpgrade && self.upgrades(visit, claim);
            if !upgrades || self.rests(rule) {
                return self.ask_person(claim, reason, upgrades.then_some(rule));
            }
            let more = beyond(role, &self.held(device, role), asked);
            let carries = self.held(device, role).union(&more).cloned().collect();
            self.settle(device, role, &carries);
            self.give(device, role, &more, Giver::Rule(rule));
        }
        if !is_probe {
            if moves {
                self.paired.get_mut(&device).expect("paired").platform.clone_from(&claim.platform);
            }
            if self.live(device, role).is_none() {
                self.issue(device, role, self.held(device, role), false);
            }
        }
        let offers = self.offered(claim, &paired);
        if role == Role::Node && !is_probe {
            let wanted = self.may_offer(&paired.platform, &claim.offers);
            if !paired.offers.is_superset(&wanted) {
                self.raise(&Claim { offers: wanted, ..claim.clone() }, Reason::ScopeUpgrade);
            }
        }
        if let (Some(code), false) = (code, is_probe) {
            self.codes[code].spent.get_or_insert(device);
        }
        let token = self.live(device, role);
        // Whoever shows a code is told again what else it gives, as far as it has it.
        let others = code.into_iter().flat_map(|code| &self.codes[code].grants).filter(|(of, _)| *of != role);
        let more = others.filter_map(|(of, _)| Some((*of, self.live(device, *of)?))).collect();
        Answer::In { rule: Rule::Paired, device: Some(device), role, scopes: asked.clone(), token, more, offers }
    }

    /// Whether a rule gives what is asked for beyond what is held. What a person took from a token, no rule gives back.
    fn upgrades(&self, visit: &Visit, claim: &Claim) -> bool {
        let role = claim.role;
        let Some(holds) = self.paired[&claim.device].roles.get(&role).filter(|_| role == Role::Operator) else { return false };
        let lacks = beyond(role, &self.held(claim.device, role), &claim.asked);
        let gives = match self.policy.rank("localUpgrade") {
            0 => Scopes::from(["operator.write".to_owned(), "operator.approvals".to_owned()]),
            1 => word("operator.write"),
            2 => word("operator.read"),
            _ => return false,
        };
        let was_taken = lacks.iter().any(|scope| has(role, &holds.approved, scope));
        !was_taken && is_trusted(visit) && self.is_local(visit) && covers(role, &gives, &lacks)
    }

    /// What of `asked` is beyond what nobody of this kind may have.
    fn denied(&self, client: Client, role: Role, asked: &Scopes) -> Option<Answer> {
        let all: &[Ceiling] = match self.policy.rank("ceilings") {
            0 => &[],
            1 => &[(None, Some(ClientId::ControlUi), None, "write pairing")],
            2 => &[
                (None, Some(ClientId::ControlUi), None, "pairing"),
                (Some(Role::Operator), None, Some(ClientMode::Cli), "write pairing"),
            ],
            3 => &[(None, None, None, "pairing write"), (None, Some(ClientId::ControlUi), None, "")],
            _ => &[
                (Some(Role::Node), None, None, ""),
                (Some(Role::Operator), None, None, "read"),
                (None, None, None, "pairing write"),
                (None, Some(ClientId::ControlUi), None, ""),
            ],
        };
        all.iter().enumerate().find_map(|(n, (of, id, mode, most))| {
            let is_over = of.is_none_or(|of| of == role)
                && id.is_none_or(|id| id == client.id)
                && mode.is_none_or(|mode| mode == client.mode);
            let most = most.split_whitespace().map(|name| format!("operator.{name}")).collect();
            let beyond = beyond(role, &most, asked);
            (is_over && !beyond.is_empty()).then(|| denied(&format!("ceilings[{n}]"), &beyond))
        })
    }

    fn rests(&self, rule: Rule) -> bool {
        self.policy.rank("restAfterRemoval") == 1 && self.resting.contains(&rule)
    }

    fn trusts_nodes_at(&self, from: Address) -> bool {
        let hosts: &[(u8, u8)] = match self.policy.rank("trustedNodeCidrs") {
            0 | 1 => &[(203, 1), (203, 2), (203, 3), (9, 9)],
            2 => &[(203, 1), (203, 2), (203, 3)],
            3 => &[(203, 2), (203, 3)],
            _ => &[],
        };
        hosts.iter().any(|(net, host)| from == address(*net, *host))
    }

    /// What of this a node of this platform may offer; every capability.
    fn may_offer(&self, platform: &Option<String>, offered: &BTreeSet<String>) -> BTreeSet<String> {
        let commands: &[&str] = match (self.policy.rank("nodeCommands"), family_of(platform)) {
            (0, _) | (1, Some("linux")) => &["camera", "screen"],
            (1 | 2, Some("ios")) | (2, Some("linux")) => &["camera"],
            (1, None) => &["screen"],
            _ => &[],
        };
        offered.iter().filter(|name| name.starts_with("cap ") || commands.contains(&&***name)).cloned().collect()
    }

    /// What a node may offer of what it declares now: what was approved, as far as it may.
    fn offered(&self, claim: &Claim, paired: &Paired) -> BTreeSet<String> {
        let approved: BTreeSet<_> = claim.offers.intersection(&paired.offers).cloned().collect();
        self.may_offer(&paired.platform, &approved)
    }

    /// Whether this setup code is good for all that is asked: also once spent, for who spent it and still holds that.
    fn is_good(&self, code: usize, device: u8, visit: &Visit) -> bool {
        let (Code { grants, until_ms, spent, is_gone, maker }, asked) = (&self.codes[code], words(&visit.scopes));
        let gives = grants.iter().any(|(role, scopes)| *role == visit.role && covers(*role, scopes, &asked));
        let role = self.paired.get(&device).and_then(|paired| paired.roles.get(&visit.role));
        let holds = role.is_some_and(|role| !role.is_revoked) && covers(visit.role, &self.held(device, visit.role), &asked);
        // What a device made is good while it may do everything.
        let stands = maker.is_none_or(|maker| self.held(maker, Role::Operator).contains("operator.admin"));
        let is_left = if spent.is_none() { stands } else { *spent == Some(device) && holds };
        !is_gone && self.now_ms < *until_ms && gives && is_left
    }

    fn is_local(&self, visit: &Visit) -> bool {
        let source = &visit.source;
        let is_owner = self.policy.rank("localPeer") == 0 || matches!(source.user, PeerUser::Owner | PeerUser::Untold);
        // A proxy vouches for somebody elsewhere.
        let is_direct = visit.mode != AuthMode::TrustedProxy
            && source.forwarding == Forwarding::None
            && source.claimed.is_none()
            && !source.is_page;
        source.peer.is_loopback() && source.host_is_loopback && is_direct && is_owner
    }

    fn unauthorized(
        &self,
        visit: &Visit,
        device: Option<u8>,
        verdict: TokenVerdict,
        is_explicit: bool,
        with_code: bool,
    ) -> Answer {
        let live = device.and_then(|device| self.live(device, visit.role));
        let was_rotated = verdict == TokenVerdict::Retired && live.is_some_and(|token| self.tokens[token].was_rotated);
        let reason = match (visit.shared, verdict, visit.mode) {
            (SharedVerdict::Spent, ..) => "rate_limited",
            (_, TokenVerdict::Wrong | TokenVerdict::Retired, _) if is_explicit || was_rotated => "device_token_mismatch",
            _ if with_code => "bootstrap_token_invalid",
            (SharedVerdict::Missing, _, AuthMode::TrustedProxy) => "trusted_proxy_user_missing",
            (SharedVerdict::NotConfigured, _, AuthMode::TrustedProxy) => "trusted_proxy_untrusted_source",
            (_, _, AuthMode::TrustedProxy) => "trusted_proxy_user_not_allowed",
            (SharedVerdict::Missing, ..) => "token_missing",
            (SharedVerdict::NotConfigured, ..) => "token_missing_config",
            _ => "token_mismatch",
        };
        let may_retry = reason == "token_mismatch" && device.is_some() && verdict != TokenVerdict::Missing && !is_explicit;
        no(&format!("unauthorized: {reason}, retry {may_retry}, rotated {was_rotated}"))
    }

    // --- requests ---------------------------------------------------------------------------------------------------

    fn ask_person(&mut self, claim: &Claim, reason: Reason, rests: Option<Rule>) -> Answer {
        let Claim { device, role, ref asked, .. } = *claim;
        let request = self.raise(claim, reason);
        let held = self.held(device, role);
        let holds = self.paired.get(&device).and_then(|paired| paired.roles.get(&role));
        let is_narrow = reason == Reason::ScopeUpgrade && holds.is_some_and(|holds| covers(role, &holds.approved, asked));
        let is_revoked = holds.is_some_and(|holds| holds.is_revoked);
        let waiting = self.waiting.get_mut(&(device, role)).expect("it waits");
        let retry_ms = [1_000, 2_000, 4_000, 8_000, 16_000, 32_000].get(waiting.attempts as usize).copied().unwrap_or(60_000);
        (waiting.attempts, waiting.last_ms) = (waiting.attempts + 1, self.now_ms);
        let missing = beyond(role, &held, asked);
        Answer::Person { reason, request, missing, held, is_narrow, is_revoked, retry_ms, rests }
    }

    /// A device asks for more on a connection that it has. It says nothing new of itself.
    fn ask(&mut self, by: By, asked: Scopes) -> Answer {
        let By::Connection(place) = by else { return no("a device is needed") };
        let Some(device) = self.connection(place).and_then(|who| who.device) else { return no("a device is needed") };
        let role = Role::Operator;
        let Some(paired) = self.paired.get(&device) else { return no("unknown device") };
        if paired.roles.get(&role).is_none_or(|holds| holds.is_revoked) {
            return no("role not held");
        }
        if covers(role, &self.held(device, role), &asked) {
            return no("it is held");
        }
        let (client, address) = (paired.client.expect("of every paired device"), address(203, 1));
        if let Some(refusal) = self.denied(client, role, &asked) {
            return refusal;
        }
        let (platform, family, offers) = (paired.platform.clone(), paired.family.clone(), paired.offers.clone());
        let claim = Claim { device, client, address, role, asked, platform, family, offers };
        Answer::Asked(self.raise(&claim, Reason::ScopeUpgrade))
    }

    /// The request that waits, if it shows all that is asked for, or a new one that shows it besides.
    fn raise(&mut self, claim: &Claim, reason: Reason) -> usize {
        let Claim { device, role, .. } = *claim;
        self.expire(device, role);
        let (mut scopes, mut offers) = (claim.asked.clone(), claim.offers.clone());
        if let Some(waiting) = self.waiting.get(&(device, role)) {
            let shown = |shown: &Option<String>, claimed: &Option<String>| claimed.is_none() || shown == claimed;
            if covers(role, &waiting.scopes, &scopes)
                && shown(&waiting.platform, &claim.platform)
                && shown(&waiting.family, &claim.family)
                && waiting.offers.is_superset(&offers)
            {
                return waiting.number;
            }
            scopes.extend(waiting.scopes.iter().cloned());
            offers.extend(waiting.offers.iter().cloned());
        }
        self.new_request(claim, reason, scopes, offers).number
    }

    /// Takes the place of the one that waits.
    fn new_request(&mut self, claim: &Claim, reason: Reason, scopes: Scopes, offers: BTreeSet<String>) -> Request {
        let (device, role, number) = (claim.device, claim.role, self.requests);
        self.requests += 1;
        self.end(device, role, Ending::Superseded, Some(number));
        let Claim { client, address, ref platform, ref family, .. } = *claim;
        let (platform, family, last_ms, attempts) = (platform.clone(), family.clone(), self.now_ms, 0);
        let request = Request { number, reason, client, address, scopes, platform, family, offers, last_ms, attempts };
        self.waiting.insert((device, role), request.clone());
        request
    }

    fn is_due(&self, request: &Request) -> bool {
        request.last_ms + TTL_MS <= self.now_ms
    }

    fn expire(&mut self, device: u8, role: Role) {
        if self.waiting.get(&(device, role)).is_some_and(|request| self.is_due(request)) {
            self.end(device, role, Ending::Expired, None);
        }
    }

    fn end(&mut self, device: u8, role: Role, ending: Ending, next: Option<usize>) {
        let Some(request) = self.waiting.remove(&(device, role)) else { return };
        let counts = self.paired.contains_key(&device);
        self.over.push(Ended { number: request.number, ending, device, role, scopes: request.scopes, next, counts });
        if self.over.iter().filter(|over| over.counts && over.device == device).count() > ANSWERED {
            let oldest = self.over.iter().position(|over| over.counts && over.device == device).expect("there are some");
            self.over.remove(oldest);
        }
    }

    /// The open request that is asked about, or what is said of one that is not.
    fn find(&mut self, power: &Power, request: Option<usize>) -> Result<(u8, Role), Answer> {
        let open = self.waiting.iter().find(|(_, waiting)| Some(waiting.number) == request);
        if let Some((of, waiting)) = open.map(|(of, waiting)| (*of, waiting.clone())) {
            if !self.is_due(&waiting) {
                return Ok(of);
            }
            self.expire(of.0, of.1);
            return Err(no(if power.sees(of.0, of.1, &waiting.scopes) { "it is expired" } else { "unknown request" }));
        }
        let over = self.over.iter().find(|over| Some(over.number) == request);
        let Some(over) = over.filter(|over| power.sees(over.device, over.role, &over.scopes)) else {
            return Err(no("unknown request"));
        };
        // The last that took the place of another.
        let mut next = over.next;
        while let Some(after) = next.and_then(|next| self.over.iter().find(|over| over.number == next)).and_then(|over| over.next)
        {
            next = Some(after);
        }
        Err(match next {
            Some(next) => no(&format!("it is {}: {next} waits", over.ending)),
            None => no(&format!("it is {}", over.ending)),
        })
    }

    fn approve(&mut self, by: By, request: Option<usize>) -> Answer {
        let power = self.power(by);
        let (device, role) = match self.find(&power, request) {
            Ok(of) => of,
            Err(refusal) => {
                let over = self.over.iter().find(|over| Some(over.number) == request && refusal == no("it is approved"));
                return match over {
                    Some(over) => Answer::Approved { device: over.device, request: over.number, again: true },
                    None => refusal,
                };
            }
        };
        let waiting = self.waiting[&(device, role)].clone();
        if let Err(refusal) = power.grants(role, &waiting.scopes).and_then(|()| self.seat_belt(by)) {
            return refusal;
        }
        if let Some(refusal) = self.denied(waiting.client, role, &waiting.scopes) {
            return refusal;
        }
        let request = waiting.number;
        self.grant(device, waiting, self.giver(by));
        Answer::Approved { device, request, again: false }
    }

    fn reject(&mut self, by: By, request: Option<usize>) -> Answer {
        let power = self.power(by);
        let (device, role) = match self.find(&power, request) {
            Ok(of) => of,
            Err(refusal) => return refusal,
        };
        let waiting = self.waiting[&(device, role)].clone();
        if let Err(refusal) = power.rejects(role, &waiting.scopes) {
            return refusal;
        }
        self.end(device, role, Ending::Rejected, None);
        self.barred.insert(device);
        Answer::Rejected { device, request: waiting.number }
    }

    /// Turns down whatever was first asked for from this address.
    fn reject_from(&mut self, by: By, address: Address) -> Answer {
        let power = self.power(by);
        if let Err(refusal) = power.answers_any() {
            return refusal;
        }
        if !power.is_over_all() {
            return no("admin is needed");
        }
        let theirs = self.waiting.iter().filter(|(_, waiting)| waiting.address == address);
        let mut theirs: Vec<_> = theirs.map(|(of, waiting)| (waiting.number, *of)).collect();
        theirs.sort_unstable();
        for (_, (device, role)) in &theirs {
            self.expire(*device, *role);
        }
        theirs.retain(|(_, of)| self.waiting.contains_key(of));
        for (_, (device, role)) in &theirs {
            self.end(*device, *role, Ending::Rejected, None);
            self.barred.insert(*device);
        }
        Answer::RejectedAll(theirs.into_iter().map(|(number, _)| number).collect())
    }

    // --- policy and setup codes -------------------------------------------------------------------------------------

    fn apply(&mut self, by: By, wanted: Option<Strictness>) -> Answer {
        if let Err(refusal) = self.may_all(by) {
            return refusal;
        }
        let Some(wanted) = wanted.filter(|wanted| wanted.is_sound()) else { return no("that is no policy") };
        let looser = self.policy.loosened_by(wanted);
        if !looser.is_empty() && matches!(by, By::Connection(_)) {
            return no(&format!("it loosens {}", looser.join(", ")));
        }
        if !looser.is_empty()
            && let Err(refusal) = self.seat_belt(by)
        {
            return refusal;
        }
        self.policy = wanted;
        Answer::Applied
    }

    fn arm(&mut self, by: By, rule: Rule) -> Answer {
        if matches!(by, By::Connection(_)) {
            return no(&format!("it loosens {rule}"));
        }
        if let Err(refusal) = self.seat_belt(by) {
            return refusal;
        }
        self.resting.remove(&rule);
        Answer::Noted
    }

    fn make_code(&mut self, by: By, grants: &[RoleGrant], lives_ms: u64) -> Answer {
        if let Err(refusal) = self.may_all(by).and_then(|()| self.seat_belt(by)) {
            return refusal;
        }
        if self.codes.iter().filter(|code| !code.is_gone && self.now_ms < code.until_ms).count() >= CODES {
            return no("too many setup codes");
        }
        let maker = match self.giver(by) {
            Giver::Device(maker) => Some(maker),
            _ => None,
        };
        let grants = grants.iter().map(|grant| (grant.role, words(&grant.scopes))).collect();
        let until_ms = self.now_ms + lives_ms.clamp(CODE_MS.0, CODE_MS.1);
        self.codes.push(Code { grants, until_ms, maker, spent: None, is_gone: false });
        Answer::Code(self.codes.len() - 1)
    }

    fn take_back_code(&mut self, by: By, code: Option<usize>) -> Answer {
        if let Err(refusal) = self.may_all(by) {
            return refusal;
        }
        let now_ms = self.now_ms;
        let code = code.map(|code| &mut self.codes[code]);
        match code.filter(|code| code.spent.is_none() && !code.is_gone && now_ms < code.until_ms) {
            Some(code) => {
                code.is_gone = true;
                Answer::Noted
            }
            None => no("unknown setup code"),
        }
    }

    // --- what is held -----------------------------------------------------------------------------------------------

    /// Gives what a waiting request shows, beyond what is held.
    fn grant(&mut self, device: u8, request: Request, giver: Giver) {
        let role = *self
            .waiting
            .iter()
            .find(|(_, waiting)| waiting.number == request.number)
            .map(|((_, role), _)| role)
            .expect("it waits");
        self.adopt(device, &request);
        self.give(device, role, &request.scopes, giver);
        self.end(device, role, Ending::Approved, None);
        if self.live(device, role).is_none() {
            self.issue(device, role, self.held(device, role), false);
        }
    }

    /// The device is from now on what its request said, as far as it said so.
    fn adopt(&mut self, device: u8, request: &Request) {
        let paired = self.paired.entry(device).or_default();
        paired.client = Some(request.client);
        paired.platform = request.platform.clone().or(paired.platform.take());
        paired.family = request.family.clone().or(paired.family.take());
        paired.offers.extend(request.offers.iter().cloned());
    }

    /// Ends the request that only lacks what is held from now on, if one does, and says whether.
    fn settle(&mut self, device: u8, role: Role, carries: &Scopes) -> bool {
        let settles = self.waiting.get(&(device, role)).filter(|waiting| {
            matches!(waiting.reason, Reason::ScopeUpgrade | Reason::RoleUpgrade)
                && !self.is_due(waiting)
                && covers(role, carries, &waiting.scopes)
                && self.paired[&device].offers.is_superset(&waiting.offers)
        });
        let Some(waiting) = settles.cloned() else { return false };
        self.adopt(device, &waiting);
        self.end(device, role, Ending::Approved, None);
        true
    }

    fn give(&mut self, device: u8, role: Role, scopes: &Scopes, giver: Giver) {
        let more = beyond(role, &self.held(device, role), scopes);
        let holds = self.paired.get_mut(&device).expect("paired").roles.entry(role).or_default();
        holds.is_revoked = false;
        holds.approved.extend(more.iter().cloned());
        match giver {
            Giver::Device(giver) => drop(holds.approvers.insert(giver)),
            Giver::Rule(rule) => drop(holds.rules.insert(rule)),
            Giver::Other => {}
        }
        if let Some(carried) = &mut holds.carried {
            carried.extend(more);
        }
    }

    /// Which roles of which devices hold something that this one approved, or that those devices did, and so on.
    fn approved_by(&self, device: u8) -> BTreeSet<(u8, Role)> {
        let (mut givers, mut found) = (BTreeSet::from([device]), BTreeSet::new());
        loop {
            let before = found.len();
            for (other, paired) in self.paired.iter().filter(|(other, _)| **other != device) {
                let roles = paired.roles.iter().filter(|(_, holds)| !holds.approvers.is_disjoint(&givers));
                found.extend(roles.map(|(role, _)| (*other, *role)));
            }
            givers.extend(found.iter().map(|(other, _)| *other));
            if found.len() == before {
                return found;
            }
        }
    }

    fn remove(&mut self, by: By, device: u8, with_approved: bool) -> Answer {
        let power = self.power(by);
        if let Err(refusal) = power.acts_on(device) {
            return refusal;
        }
        let approved = if power.is_over_all() { self.approved_by(device) } else { BTreeSet::new() };
        let approved: BTreeSet<_> = approved.into_iter().map(|(other, _)| other).collect();
        if !self.paired.contains_key(&device) && (approved.is_empty() || !with_approved) {
            return no("unknown device");
        }
        self.take(device);
        approved.iter().filter(|_| with_approved).for_each(|other| self.take(*other));
        Answer::Removed(device, approved)
    }

    fn take(&mut self, device: u8) {
        let Some(paired) = self.paired.get(&device) else { return };
        self.resting.extend(paired.roles.values().flat_map(|holds| holds.rules.iter().copied()));
        self.end(device, Role::Operator, Ending::Removed, None);
        self.end(device, Role::Node, Ending::Removed, None);
        self.paired.remove(&device);
        self.barred.insert(device);
        self.over.iter_mut().filter(|over| over.device == device).for_each(|over| over.counts = false);
        for token in self.tokens.iter_mut().filter(|token| token.device == device) {
            (token.is_live, token.is_forgotten) = (false, true);
        }
    }

    fn rotate(&mut self, by: By, device: u8, role: Role, scopes: Option<Scopes>) -> Answer {
        let power = self.power(by);
        let before = self.held(device, role);
        let carries = scopes.unwrap_or_else(|| before.clone());
        // Another token in place of its own, for no more than its connection was given, gives a device nothing.
        let is_its_own = matches!(&power, Power::Some(own, Over::Oneself(own_device))
            if *own_device == device && role == Role::Operator && covers(role, own, &carries));
        if !is_its_own && let Err(refusal) = power.grants(role, &carries).and_then(|()| power.acts_on(device)) {
            return refusal;
        }
        let Some(paired) = self.paired.get(&device) else { return no("unknown device") };
        let Some(holds) = paired.roles.get(&role).filter(|holds| !holds.is_revoked) else { return no("role not held") };
        if !covers(role, &before, &carries) {
            if let Err(refusal) = self.seat_belt(by) {
                return refusal;
            }
            if let Some(refusal) = self.denied(paired.client.expect("of every paired device"), role, &carries) {
                return refusal;
            }
        }
        let widens = !covers(role, &holds.approved, &carries);
        if !self.key_works {
            return no("no token key");
        }
        let settles = self.settle(device, role, &carries);
        if settles || widens {
            self.give(device, role, &carries, self.giver(by));
        }
        self.retire(device, role);
        self.issue(device, role, carries.clone(), true);
        let own = matches!(by, By::Connection(place) if self.connection(place).is_some_and(|who| who.device == Some(device)));
        Answer::Rotated { token: self.tokens.len() - 1, scopes: carries, own }
    }

    fn revoke(&mut self, by: By, device: u8, role: Role, with_approved: bool) -> Answer {
        let power = self.power(by);
        if let Err(refusal) = power.acts_on(device) {
            return refusal;
        }
        let Some(paired) = self.paired.get(&device) else { return no("unknown device") };
        if !paired.roles.contains_key(&role) {
            return no("role not held");
        }
        let approved = if power.is_over_all() { self.approved_by(device) } else { BTreeSet::new() };
        self.take_role(device, role);
        approved.iter().filter(|_| with_approved).for_each(|(other, role)| self.take_role(*other, *role));
        Answer::Revoked(device, role, approved.into_iter().map(|(other, _)| other).collect())
    }

    fn take_role(&mut self, device: u8, role: Role) {
        let holds = self.paired.get_mut(&device).and_then(|paired| paired.roles.get_mut(&role)).expect("a role that there is");
        if !holds.is_revoked {
            self.resting.extend(holds.rules.iter().copied());
            *holds = Held { is_revoked: true, ..Held::default() };
            self.retire(device, role);
        }
    }

    fn rename(&mut self, by: By, device: u8, label: &str) -> Answer {
        if let Err(refusal) = self.power(by).acts_on(device) {
            return refusal;
        }
        let Some(paired) = self.paired.get_mut(&device) else { return no("unknown device") };
        paired.label = Some(label.to_owned());
        Answer::Renamed(device, label.to_owned())
    }

    /// What the token carries where there is one, what was approved where there is none, and nothing of a revoked role.
    fn held(&self, device: u8, role: Role) -> Scopes {
        let holds = self.paired.get(&device).and_then(|paired| paired.roles.get(&role));
        holds.map(|holds| holds.carried.clone().unwrap_or_else(|| holds.approved.clone())).unwrap_or_default()
    }

    // --- tokens -----------------------------------------------------------------------------------------------------

    fn live(&self, device: u8, role: Role) -> Option<usize> {
        self.tokens.iter().position(|token| token.is_live && (token.device, token.role) == (device, role))
    }

    fn issue(&mut self, device: u8, role: Role, carries: Scopes, was_rotated: bool) {
        if self.key_works {
            self.tokens.push(Token { device, role, is_live: true, was_rotated, is_forgotten: false });
            let paired = self.paired.get_mut(&device).expect("paired");
            paired.roles.entry(role).or_default().carried = Some(carries);
        }
    }

    fn retire(&mut self, device: u8, role: Role) {
        if let Some(live) = self.live(device, role) {
            self.tokens[live].is_live = false;
        }
    }

    /// What this token is, presented by `device` as `role`. Of a role's old ones only the last are known.
    fn verdict(&self, place: usize, device: u8, role: Role) -> TokenVerdict {
        let token = &self.tokens[place];
        if (token.device, token.role) != (device, role) || token.is_forgotten {
            return TokenVerdict::Wrong;
        }
        if token.is_live {
            return TokenVerdict::Live;
        }
        let same = |other: &&Token| (other.device, other.role) == (device, role) && !other.is_live && !other.is_forgotten;
        let newer = self.tokens[place + 1..].iter().filter(same).count();
        if newer < RETIRED { TokenVerdict::Retired } else { TokenVerdict::Wrong }
    }

    // --- who acts ---------------------------------------------------------------------------------------------------

    fn connection(&self, place: u8) -> Option<&Connection> {
        newest(self.connections.len(), place).map(|place| &self.connections[place])
    }

    /// The owner may do everything, and so may who holds admin. A device may what its connection was given and it still holds.
    /// Whom a local rule lets in that gives whatever is asked is the person at this host, and acts for everybody.
    fn power(&self, by: By) -> Power {
        let By::Connection(place) = by else { return Power::All };
        let Some(Connection { rule, device, mut scopes }) = self.connection(place).cloned() else {
            return Power::Some(Scopes::new(), Over::Nobody);
        };
        let over = match (device, rule) {
            (Some(device), _) => Over::Oneself(device),
            (None, Rule::LocalCli) if self.policy.rank("localCli") == 0 => Over::Everybody,
            (None, Rule::LocalBackend) if self.policy.rank("localBackend") == 0 => Over::Everybody,
            _ => Over::Nobody,
        };
        if let Some(device) = device {
            let held = self.held(device, Role::Operator);
            scopes.retain(|scope| has(Role::Operator, &held, scope));
        }
        if scopes.contains("operator.admin") { Power::All } else { Power::Some(scopes, over) }
    }

    fn may_all(&self, by: By) -> Result<(), Answer> {
        if matches!(self.power(by), Power::All) { Ok(()) } else { Err(missing(&word("operator.admin"))) }
    }

    /// A shell of OpenClaw's agent widens nothing in the owner's name, unless the policy lets it.
    fn seat_belt(&self, by: By) -> Result<(), Answer> {
        let is_loose = self.policy.rank("ownerActsFromExec") == 0;
        if matches!(by, By::Exec) && !is_loose { Err(no("from a shell of the agent")) } else { Ok(()) }
    }

    fn giver(&self, by: By) -> Giver {
        let By::Connection(place) = by else { return Giver::Other };
        self.connection(place).and_then(|who| who.device).map_or(Giver::Other, Giver::Device)
    }
}

impl Power {
    fn is_over_all(&self) -> bool {
        matches!(self, Self::All | Self::Some(_, Over::Everybody))
    }

    fn is_over(&self, device: u8) -> bool {
        match self {
            Self::All => true,
            Self::Some(_, over) => *over == Over::Everybody || *over == Over::Oneself(device),
        }
    }

    /// Whether it may answer any request.
    fn answers_any(&self) -> Result<(), Answer> {
        match self {
            Self::Some(own, _) if !own.contains("operator.pairing") => Err(missing(&word("operator.pairing"))),
            _ => Ok(()),
        }
    }

    /// Whether it may grant these scopes.
    fn grants(&self, role: Role, scopes: &Scopes) -> Result<(), Answer> {
        self.answers_any()?;
        let Self::Some(own, _) = self else { return Ok(()) };
        if role != Role::Operator {
            return Err(no("admin is needed"));
        }
        let beyond = beyond(role, own, scopes);
        if beyond.is_empty() { Ok(()) } else { Err(missing(&beyond)) }
    }

    /// Whether it may turn a request for these down: that grants nothing.
    fn rejects(&self, role: Role, scopes: &Scopes) -> Result<(), Answer> {
        if matches!(self, Self::Some(_, Over::Everybody)) { self.answers_any() } else { self.grants(role, scopes) }
    }

    /// Whether it may take from this device, name it, or rotate its tokens.
    fn acts_on(&self, device: u8) -> Result<(), Answer> {
        self.answers_any()?;
        if self.is_over(device) { Ok(()) } else { Err(no("admin is needed")) }
    }

    fn sees(&self, device: u8, role: Role, scopes: &Scopes) -> bool {
        self.is_over(device) || self.grants(role, scopes).is_ok()
    }
}

/// A role, a client id and a client mode, each only where it matters, and the most that such a one may have.
type Ceiling = (Option<Role>, Option<ClientId>, Option<ClientMode>, &'static str);

/// Let in without anything on record.
fn came_in(rule: Rule, role: Role, scopes: Scopes) -> Answer {
    Answer::In { rule, device: None, role, scopes, token: None, more: BTreeMap::new(), offers: BTreeSet::new() }
}

/// Whether the shared secret vouches for it, or none is needed.
fn is_trusted(visit: &Visit) -> bool {
    visit.mode == AuthMode::None || visit.shared == SharedVerdict::Right
}

/// The address that counts: the one that a trusted proxy names, else the socket's.
fn address_of(visit: &Visit) -> Address {
    visit.source.claimed.filter(|_| visit.source.forwarding == Forwarding::Trusted).unwrap_or(visit.source.peer)
}

// --- words ----------------------------------------------------------------------------------------------------------

/// Whether who holds `held` has `scope`, by name or because an operator's admin or write includes it.
fn has(role: Role, held: &Scopes, scope: &str) -> bool {
    let by_admin = held.contains("operator.admin") && scope.starts_with("operator.");
    let by_write = held.contains("operator.write")
        && ["operator.read", "operator.talk", "operator.sessions.read", "operator.sessions.write"].contains(&scope);
    held.contains(scope) || (role == Role::Operator && (by_admin || by_write))
}

/// What of `asked` is not held.
fn beyond(role: Role, held: &Scopes, asked: &Scopes) -> Scopes {
    asked.iter().filter(|scope| !has(role, held, scope)).cloned().collect()
}

fn covers(role: Role, held: &Scopes, asked: &Scopes) -> bool {
    beyond(role, held, asked).is_empty()
}

/// What a local rule gives: all that is asked, what write includes, nothing, or it is off.
fn given(rank: u8, asked: Scopes) -> Option<Scopes> {
    match rank {
        0 => Some(asked),
        1 => Some(asked.into_iter().filter(|scope| has(Role::Operator, &word("operator.write"), scope)).collect()),
        2 => Some(Scopes::new()),
        _ => None,
    }
}

fn is(visit: &Visit, id: ClientId, mode: ClientMode) -> bool {
    (visit.client.id, visit.client.mode) == (id, mode)
}

fn family_of(platform: &Option<String>) -> Option<&'static str> {
    ["linux", "ios"].into_iter().find(|family| platform.as_ref().is_some_and(|text| text.split(' ').next() == Some(family)))
}

pub(crate) fn words(scopes: &openclaw_pairing::pairing::ScopeSet) -> Scopes {
    scopes.iter().map(str::to_owned).collect()
}

fn word(scope: &str) -> Scopes {
    Scopes::from([scope.to_owned()])
}

fn newest(count: usize, place: u8) -> Option<usize> {
    count.checked_sub(1 + usize::from(place))
}

fn no(why: &str) -> Answer {
    Answer::No(why.to_owned())
}

pub(crate) fn missing(scopes: &Scopes) -> Answer {
    no(&format!("missing {scopes:?}"))
}

pub(crate) fn denied(ceiling: &str, beyond: &Scopes) -> Answer {
    no(&format!("beyond {ceiling}: {beyond:?}"))
}

/// Commands, and capabilities as what they are.
pub(crate) fn offers(description: &Description) -> BTreeSet<String> {
    let caps = description.caps.iter().map(|name| format!("cap {name}"));
    description.commands.iter().cloned().chain(caps).collect()
}
