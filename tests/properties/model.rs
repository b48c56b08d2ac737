//! What ought to come of a story, told again by a program small enough to be seen to be right: sets of words, a few maps, whole
//! scans. It shares nothing with `src/pairing` but plain values, reads no policy text, keeps no records and knows no ids:
//! devices, requests and tokens are the first, the second, the third.

use std::collections::{BTreeMap, BTreeSet};

use openclaw_pairing::pairing::{
    AuthMode, ClientId, ClientMode, Ending, Forwarding, PeerUser, Reason, Role, Rule, SharedVerdict, SignatureForm, TokenVerdict,
};

use crate::support::given::Visit;
use crate::support::story::{Act, By, Strictness};

pub(crate) type Scopes = BTreeSet<String>;

/// How long a request waits after it was last asked for.
const TTL_MS: u64 = 300_000;
/// Retired tokens of a role, and answered requests of a paired device, that are remembered.
const RETIRED: usize = 4;
const ANSWERED: usize = 16;

/// What somebody is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    In { rule: Rule, device: Option<u8>, role: Role, scopes: Scopes, token: Option<usize> },
    Person { reason: Reason, request: usize, missing: Scopes, held: Scopes, is_narrow: bool, is_revoked: bool, retry_ms: u64 },
    Approved { device: u8, request: usize, again: bool },
    Rejected { device: u8, request: usize },
    Removed(u8),
    Rotated { token: usize, scopes: Scopes, own: bool },
    Revoked(u8, Role),
    Renamed(u8, String),
    Asked(usize),
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
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Paired {
    pub(crate) platform: Option<String>,
    pub(crate) family: Option<String>,
    pub(crate) commands: BTreeSet<String>,
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
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) number: usize,
    pub(crate) reason: Reason,
    pub(crate) scopes: Scopes,
    pub(crate) platform: Option<String>,
    pub(crate) family: Option<String>,
    pub(crate) commands: BTreeSet<String>,
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
struct Claim {
    device: u8,
    role: Role,
    asked: Scopes,
    platform: Option<String>,
    family: Option<String>,
    commands: BTreeSet<String>,
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
            connections: vec![],
        }
    }

    /// What is told, where anybody is.
    pub(crate) fn act(&mut self, act: &Act) -> Option<Answer> {
        Some(match act {
            Act::Connect { visit, token } => {
                let answer = self.connect(visit, token.map(|place| newest(self.tokens.len(), place)));
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
            Act::Remove { by, device } => self.remove(*by, *device),
            Act::Rotate { by, device, role, scopes } => self.rotate(*by, *device, *role, scopes.as_ref().map(words)),
            Act::Revoke { by, device, role } => self.revoke(*by, *device, *role),
            Act::Rename { by, device, label } => self.rename(*by, *device, label),
            Act::Ask { by, scopes } => self.ask(*by, words(scopes)),
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
        State {
            paired: self.paired.clone(),
            waiting: self.waiting.clone(),
            over: self.over.iter().map(|over| (over.number, over.ending)).collect(),
            tokens,
            barred: self.barred.clone(),
        }
    }

    // --- connects ---------------------------------------------------------------------------------------------------

    fn connect(&mut self, visit: &Visit, token: Option<Option<usize>>) -> Answer {
        let asked = words(&visit.scopes);
        let Some(device) = visit.device else { return self.without_device(visit, asked) };
        if visit.form == SignatureForm::V2 && self.policy.0[5] == 1 {
            return no("signature");
        }
        let is_trusted = visit.mode == AuthMode::None || visit.shared == SharedVerdict::Right;
        let verdict = match token {
            _ if matches!(visit.shared, SharedVerdict::Right | SharedVerdict::Spent) => TokenVerdict::Missing,
            None => TokenVerdict::Missing,
            Some(None) => TokenVerdict::Wrong,
            Some(Some(token)) => self.verdict(token, device, visit.role),
        };
        let is_probe = visit.client.mode == ClientMode::Probe;
        let role = self.paired.get(&device).and_then(|paired| paired.roles.get(&visit.role));
        let asks_again = role.is_some_and(|role| role.is_revoked) && verdict == TokenVerdict::Retired && !is_probe;
        if !is_trusted && verdict != TokenVerdict::Live && !asks_again {
            return self.unauthorized(visit, Some(device), verdict, token.is_some() && !visit.in_place);
        }
        let is_v3 = visit.form == SignatureForm::V3;
        let claim = Claim {
            device,
            role: visit.role,
            asked,
            platform: visit.description.platform.clone().filter(|_| is_v3),
            family: visit.description.family.clone().filter(|_| is_v3),
            commands: visit.description.commands.iter().filter(|_| visit.role == Role::Node).cloned().collect(),
        };
        if self.paired.contains_key(&device) { self.come_back(visit, &claim) } else { self.come_first(visit, &claim) }
    }

    fn without_device(&self, visit: &Visit, asked: Scopes) -> Answer {
        if visit.shared == SharedVerdict::Spent {
            return self.unauthorized(visit, None, TokenVerdict::Missing, false);
        }
        if visit.client.id == ClientId::ControlUi {
            return no("a Control UI needs a device");
        }
        if visit.role == Role::Operator && visit.mode != AuthMode::None && visit.shared == SharedVerdict::Right {
            let is_local = self.is_local(visit);
            let (rule, scopes) = if visit.client.mode == ClientMode::Probe {
                (Rule::Probe, None)
            } else if is_local && is(visit, ClientId::Cli, ClientMode::Cli) && self.policy.0[2] < 3 {
                (Rule::LocalCli, given(self.policy.0[2], asked))
            } else if is_local && is(visit, ClientId::GatewayClient, ClientMode::Backend) && self.policy.0[3] < 3 {
                (Rule::LocalBackend, given(self.policy.0[3], asked))
            } else {
                (Rule::SharedSecret, None)
            };
            return Answer::In { rule, device: None, role: visit.role, scopes: scopes.unwrap_or_default(), token: None };
        }
        if visit.role == Role::Operator && visit.shared == SharedVerdict::Wrong {
            return self.unauthorized(visit, None, TokenVerdict::Missing, false);
        }
        no("a device is needed")
    }

    fn come_first(&mut self, visit: &Visit, claim: &Claim) -> Answer {
        let Claim { device, role, ref asked, .. } = *claim;
        if visit.client.mode == ClientMode::Probe {
            return Answer::In { rule: Rule::Probe, device: None, role, scopes: Scopes::new(), token: None };
        }
        let is_welcome = self.is_local(visit) && !self.barred.contains(&device);
        let is_backend = role == Role::Operator && is(visit, ClientId::GatewayClient, ClientMode::Backend);
        if is_welcome && is_backend && self.policy.0[3] < 3 {
            let scopes = given(self.policy.0[3], asked.clone()).unwrap_or_default();
            return Answer::In { rule: Rule::LocalBackend, device: None, role, scopes, token: None };
        }
        let pairs = match self.policy.0[0] {
            0 => true,
            1 => role == Role::Operator,
            2 => role == Role::Operator && covers(role, &word("operator.write"), asked),
            _ => false,
        };
        if !is_welcome || is_backend || !pairs {
            return self.ask_person(claim, Reason::NotPaired);
        }
        self.expire(device, role);
        let request = self.new_request(claim, Reason::NotPaired, asked.clone(), claim.commands.clone());
        self.grant(device, request);
        let token = self.live(device, role);
        Answer::In { rule: Rule::LocalFirstPairing, device: Some(device), role, scopes: asked.clone(), token }
    }

    fn come_back(&mut self, visit: &Visit, claim: &Claim) -> Answer {
        let Claim { device, role, ref asked, .. } = *claim;
        let is_probe = visit.client.mode == ClientMode::Probe;
        let paired = &self.paired[&device];
        let is_other = |pinned: &Option<String>, claimed: &Option<String>| match (pinned, claimed) {
            (Some(pinned), Some(claimed)) => pinned != claimed,
            _ => false,
        };
        let moves = is_other(&paired.platform, &claim.platform);
        let may_move = self.policy.0[4] == 0
            && family_of(&paired.platform).is_some()
            && family_of(&paired.platform) == family_of(&claim.platform);
        let reason = if is_other(&paired.family, &claim.family) || (moves && !may_move) {
            Some(Reason::MetadataUpgrade)
        } else if paired.roles.get(&role).is_none_or(|role| role.is_revoked) {
            Some(Reason::RoleUpgrade)
        } else if !covers(role, &self.held(device, role), asked) {
            Some(Reason::ScopeUpgrade)
        } else {
            None
        };
        match reason {
            Some(_) if is_probe => {
                return Answer::In { rule: Rule::Probe, device: None, role, scopes: Scopes::new(), token: None };
            }
            Some(reason) => return self.ask_person(claim, reason),
            None => {}
        }
        if !is_probe {
            if moves {
                self.paired.get_mut(&device).expect("paired").platform.clone_from(&claim.platform);
            }
            if self.live(device, role).is_none() {
                self.issue(device, role, self.held(device, role), false);
            }
        }
        let token = self.live(device, role);
        Answer::In { rule: Rule::Paired, device: Some(device), role, scopes: asked.clone(), token }
    }

    fn is_local(&self, visit: &Visit) -> bool {
        let source = &visit.source;
        let is_owner = self.policy.0[1] == 0 || matches!(source.user, PeerUser::Owner | PeerUser::Untold);
        // A proxy vouches for somebody elsewhere.
        let is_direct = visit.mode != AuthMode::TrustedProxy
            && source.forwarding == Forwarding::None
            && source.claimed.is_none()
            && !source.is_page;
        source.peer.is_loopback() && source.host_is_loopback && is_direct && is_owner
    }

    fn unauthorized(&self, visit: &Visit, device: Option<u8>, verdict: TokenVerdict, is_explicit: bool) -> Answer {
        let live = device.and_then(|device| self.live(device, visit.role));
        let was_rotated = verdict == TokenVerdict::Retired && live.is_some_and(|token| self.tokens[token].was_rotated);
        let reason = match (visit.shared, verdict, visit.mode) {
            (SharedVerdict::Spent, ..) => "rate_limited",
            (_, TokenVerdict::Wrong | TokenVerdict::Retired, _) if is_explicit || was_rotated => "device_token_mismatch",
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

    fn ask_person(&mut self, claim: &Claim, reason: Reason) -> Answer {
        let Claim { device, role, ref asked, .. } = *claim;
        let request = self.raise(claim, reason);
        let held = self.held(device, role);
        let holds = self.paired.get(&device).and_then(|paired| paired.roles.get(&role));
        let is_narrow = reason == Reason::ScopeUpgrade && holds.is_some_and(|holds| covers(role, &holds.approved, asked));
        let is_revoked = holds.is_some_and(|holds| holds.is_revoked);
        let waiting = self.waiting.get_mut(&(device, role)).expect("it waits");
        let retry_ms = [1_000, 2_000, 4_000, 8_000, 16_000, 32_000].get(waiting.attempts as usize).copied().unwrap_or(60_000);
        (waiting.attempts, waiting.last_ms) = (waiting.attempts + 1, self.now_ms);
        Answer::Person { reason, request, missing: beyond(role, &held, asked), held, is_narrow, is_revoked, retry_ms }
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
        let (platform, family, commands) = (paired.platform.clone(), paired.family.clone(), paired.commands.clone());
        Answer::Asked(self.raise(&Claim { device, role, asked, platform, family, commands }, Reason::ScopeUpgrade))
    }

    /// The request that waits, if it shows all that is asked for, or a new one that shows it besides.
    fn raise(&mut self, claim: &Claim, reason: Reason) -> usize {
        let Claim { device, role, .. } = *claim;
        self.expire(device, role);
        let (mut scopes, mut commands) = (claim.asked.clone(), claim.commands.clone());
        if let Some(waiting) = self.waiting.get(&(device, role)) {
            let shown = |shown: &Option<String>, claimed: &Option<String>| claimed.is_none() || shown == claimed;
            if covers(role, &waiting.scopes, &scopes)
                && shown(&waiting.platform, &claim.platform)
                && shown(&waiting.family, &claim.family)
                && waiting.commands.is_superset(&commands)
            {
                return waiting.number;
            }
            scopes.extend(waiting.scopes.iter().cloned());
            commands.extend(waiting.commands.iter().cloned());
        }
        self.new_request(claim, reason, scopes, commands).number
    }

    /// Takes the place of the one that waits.
    fn new_request(&mut self, claim: &Claim, reason: Reason, scopes: Scopes, commands: BTreeSet<String>) -> Request {
        let (device, role, number) = (claim.device, claim.role, self.requests);
        self.requests += 1;
        self.end(device, role, Ending::Superseded, Some(number));
        let (platform, family) = (claim.platform.clone(), claim.family.clone());
        let request = Request { number, reason, scopes, platform, family, commands, last_ms: self.now_ms, attempts: 0 };
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
        if let Err(refusal) = power.grants(role, &waiting.scopes) {
            return refusal;
        }
        let request = waiting.number;
        self.grant(device, waiting);
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

    // --- what is held -----------------------------------------------------------------------------------------------

    /// Gives what a waiting request shows, beyond what is held.
    fn grant(&mut self, device: u8, request: Request) {
        let role = *self
            .waiting
            .iter()
            .find(|(_, waiting)| waiting.number == request.number)
            .map(|((_, role), _)| role)
            .expect("it waits");
        let paired = self.paired.entry(device).or_default();
        paired.platform = request.platform.or(paired.platform.take());
        paired.family = request.family.or(paired.family.take());
        paired.commands.extend(request.commands);
        self.give(device, role, &request.scopes);
        self.end(device, role, Ending::Approved, None);
        if self.live(device, role).is_none() {
            self.issue(device, role, self.held(device, role), false);
        }
    }

    fn give(&mut self, device: u8, role: Role, scopes: &Scopes) {
        let more = beyond(role, &self.held(device, role), scopes);
        let holds = self.paired.get_mut(&device).expect("paired").roles.entry(role).or_default();
        holds.is_revoked = false;
        holds.approved.extend(more.iter().cloned());
        if let Some(carried) = &mut holds.carried {
            carried.extend(more);
        }
    }

    fn remove(&mut self, by: By, device: u8) -> Answer {
        if let Err(refusal) = self.power(by).acts_on(device) {
            return refusal;
        }
        if !self.paired.contains_key(&device) {
            return no("unknown device");
        }
        self.end(device, Role::Operator, Ending::Removed, None);
        self.end(device, Role::Node, Ending::Removed, None);
        self.paired.remove(&device);
        self.barred.insert(device);
        self.over.iter_mut().filter(|over| over.device == device).for_each(|over| over.counts = false);
        for token in self.tokens.iter_mut().filter(|token| token.device == device) {
            (token.is_live, token.is_forgotten) = (false, true);
        }
        Answer::Removed(device)
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
        let beyond = beyond(role, &holds.approved, &carries);
        if !beyond.is_empty() && !matches!(power, Power::All) {
            return missing(&beyond);
        }
        if !self.key_works {
            return no("no token key");
        }
        let settles = self.waiting.get(&(device, role)).is_some_and(|waiting| {
            matches!(waiting.reason, Reason::ScopeUpgrade | Reason::RoleUpgrade)
                && !self.is_due(waiting)
                && covers(role, &carries, &waiting.scopes)
                && paired.commands.is_superset(&waiting.commands)
        });
        if settles {
            let waiting = self.waiting[&(device, role)].clone();
            let paired = self.paired.get_mut(&device).expect("paired");
            paired.platform = waiting.platform.or(paired.platform.take());
            paired.family = waiting.family.or(paired.family.take());
        }
        if settles || !beyond.is_empty() {
            self.give(device, role, &carries);
        }
        if settles {
            self.end(device, role, Ending::Approved, None);
        }
        self.retire(device, role);
        self.issue(device, role, carries.clone(), true);
        let own = matches!(by, By::Connection(place) if self.connection(place).is_some_and(|who| who.device == Some(device)));
        Answer::Rotated { token: self.tokens.len() - 1, scopes: carries, own }
    }

    fn revoke(&mut self, by: By, device: u8, role: Role) -> Answer {
        if let Err(refusal) = self.power(by).acts_on(device) {
            return refusal;
        }
        let Some(paired) = self.paired.get_mut(&device) else { return no("unknown device") };
        let Some(holds) = paired.roles.get_mut(&role) else { return no("role not held") };
        if !holds.is_revoked {
            *holds = Held { is_revoked: true, ..Held::default() };
            self.retire(device, role);
        }
        Answer::Revoked(device, role)
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
            (None, Rule::LocalCli) if self.policy.0[2] == 0 => Over::Everybody,
            (None, Rule::LocalBackend) if self.policy.0[3] == 0 => Over::Everybody,
            _ => Over::Nobody,
        };
        if let Some(device) = device {
            let held = self.held(device, Role::Operator);
            scopes.retain(|scope| has(Role::Operator, &held, scope));
        }
        if scopes.contains("operator.admin") { Power::All } else { Power::Some(scopes, over) }
    }
}

impl Power {
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
