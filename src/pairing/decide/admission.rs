//! A connection attempt: let in, asked to pair, or refused. The order of checks is OpenClaw's (2026.3.13 and 2026.9.6):
//! faults of form and proof, missing device, credentials, pairing. One request shows all that is missing.

use super::super::command::{Admission, AuthReason, Context, Decision, Granted, Outcome, PairingNeed, Refusal, Surface};
use super::super::event::{
    Act, Actor, Attempt, AuthMode, Client, ClientId, ClientMode, ConnectionAdmitted, ConnectionRefused, Credential, Described,
    Description, DeviceMetadataChanged, Event, Fault, Issue, PairingApproved, PairingRequested, Reason, RoleGrant, Rule,
    SetupCodeSpent, SharedVerdict, Source, TokenIssued, TokenVerdict,
};
use super::super::identity::SignatureForm;
use super::super::ids::{DeviceId, Millis, PublicKey, RequestId, Seq, SetupCodeId};
use super::super::policy::{Policy, differs};
use super::super::registry::{Device, Registry};
use super::super::scopes::{Role, ScopeSet};
use super::asking::{Asking, Raised, need};
use super::surface::may_offer;
use super::{approval, fresh, rules, within_ceilings};

/// Decides an attempt. `key` is the proved key; it has to be there where there is a proof. `code` is the setup code that is good
/// for all that it asks.
pub(super) fn connect(
    registry: &Registry,
    policy: &Policy,
    mut attempt: Attempt,
    (key, code): (Option<PublicKey>, Option<SetupCodeId>),
    context: &Context<'_>,
) -> Decision {
    let fault = attempt.fault;
    let (None, Some(client), Some(ask), Some(credential)) = (fault, attempt.client, &mut attempt.ask, attempt.credential) else {
        return refuse(vec![], attempt, context, Refusal::Fault(fault.unwrap_or(Fault::InvalidFrame)));
    };
    let Some(proof) = attempt.proof else {
        return without_device(policy, attempt, client, credential, context);
    };
    let mut description = ask.described.here.take().map(|here| *here).unwrap_or_default();
    // What it may offer is asked for and granted as a node; what an operator says of it must not become a node's.
    if ask.role != Role::Node {
        (description.caps, description.commands) = (vec![], vec![]);
    }
    // What the device said before is not written again.
    ask.described = match registry.said(&proof.device, &description) {
        Some(seq) => Described { like: Some(seq), here: None },
        None => Described { like: None, here: Some(Box::new(description.clone())) },
    };
    let ask = ask.clone();
    let Some(key) = registry.device(&proof.device).map(|device| device.key).or(key) else {
        return refuse(vec![], attempt, context, Refusal::Fault(Fault::SignatureInvalid));
    };
    let asking = Asking { registry, policy, context, client, ask, proof, key, description };
    Try { asking, credential, code }.decide(attempt)
}

/// No device: only the right shared secret comes in, and what scopes it has a rule must give.
fn without_device(policy: &Policy, attempt: Attempt, client: Client, credential: Credential, context: &Context<'_>) -> Decision {
    let (role, asked) = attempt.ask.as_ref().map_or((Role::Operator, ScopeSet::EMPTY), |ask| (ask.role, ask.scopes.clone()));
    if credential.shared == SharedVerdict::Spent {
        return refuse(vec![], attempt, context, unauthorized(&credential, false, None));
    }
    if client.id == ClientId::ControlUi {
        return refuse(vec![], attempt, context, Refusal::ControlUiNeedsDevice);
    }
    let secret_is_right = credential.mode != AuthMode::None && credential.shared == SharedVerdict::Right;
    if role == Role::Operator && secret_is_right {
        // Whatever is given: a rule that gives less would else let in what another policy refuses.
        if client.mode != ClientMode::Probe
            && let Err(refusal) = within_ceilings(policy, client, role, &asked)
        {
            return refuse(vec![], attempt, context, refusal);
        }
        let is_local = is_local(policy, &attempt.source, &credential);
        let given = if client.mode == ClientMode::Probe {
            (Rule::Probe, ScopeSet::EMPTY)
        } else if let (true, Some(scopes)) = (is_local, policy.gives_cli(client, &asked)) {
            (Rule::LocalCli, scopes)
        } else if let (true, Some(scopes)) = (is_local, policy.gives_backend(client, &asked)) {
            (Rule::LocalBackend, scopes)
        } else {
            (Rule::SharedSecret, ScopeSet::EMPTY)
        };
        return admit(vec![], attempt, context, without_token(given.0, role, given.1));
    }
    let presented_wrong = credential.shared == SharedVerdict::Wrong || credential.token != TokenVerdict::Missing;
    let refusal =
        if role == Role::Operator && presented_wrong { unauthorized(&credential, false, None) } else { Refusal::DeviceRequired };
    refuse(vec![], attempt, context, refusal)
}

/// One attempt of a device that proved its key.
struct Try<'a> {
    asking: Asking<'a>,
    credential: Credential,
    code: Option<SetupCodeId>,
}

impl Try<'_> {
    fn decide(&self, attempt: Attempt) -> Decision {
        if !self.asking.policy.accepts(self.asking.proof.form) {
            return refuse(vec![], attempt, self.asking.context, Refusal::Fault(Fault::SignatureInvalid));
        }
        let trusted = self.asking.policy.trusts(&self.credential);
        let device = self.asking.registry.device(&self.asking.proof.device);
        let revoked =
            device.and_then(|device| device.grants.get(&self.asking.ask.role)).is_some_and(|grant| grant.revoked.is_some());
        // A retired token proves who asks: of a revoked role it makes a request, but it never admits. A probe asks nothing.
        let asks_again = revoked && self.credential.token == TokenVerdict::Retired && !self.is_probe();
        let is_good = matches!(self.credential.token, TokenVerdict::Live | TokenVerdict::SetupCode);
        let knows_token = self.credential.token == TokenVerdict::Retired;
        if let Some(succession) = self.asking.registry.succession(&self.asking.proof.device)
            && (trusted || is_good || knows_token)
            && !self.is_probe()
        {
            let refusal = Refusal::Succeeded { by: succession.by, at: succession.at };
            return refuse(vec![], attempt, self.asking.context, refusal);
        }
        if !trusted && !is_good && !asks_again {
            return refuse(vec![], attempt, self.asking.context, self.unauthorized(device.map(AsRef::as_ref)));
        }
        let Asking { policy, client, ask, .. } = &self.asking;
        if !self.is_probe()
            && let Err(refusal) = within_ceilings(policy, *client, ask.role, &ask.scopes)
        {
            return refuse(vec![], attempt, self.asking.context, refusal);
        }
        match device {
            Some(device) => self.paired(attempt, device),
            None => self.unpaired(attempt),
        }
    }

    fn unauthorized(&self, device: Option<&Device>) -> Refusal {
        let token = device.and_then(|device| device.grants.get(&self.asking.ask.role)).and_then(|grant| grant.token.as_ref());
        let rotated_at = token.and_then(|token| token.rotated_at).filter(|_| self.credential.token == TokenVerdict::Retired);
        unauthorized(&self.credential, true, rotated_at)
    }

    fn unpaired(&self, attempt: Attempt) -> Decision {
        let (role, asked) = (self.asking.ask.role, &self.asking.ask.scopes);
        let device = self.asking.proof.device;
        if self.is_probe() {
            return self.admit_probe(attempt);
        }
        // Before any rule: one that lets in and pairs nothing must not, by being off, lead to a pairing.
        if let Some(code) = self.code {
            return self.pair_by_code(attempt, code, Reason::NotPaired);
        }
        let first = is_local(self.asking.policy, &attempt.source, &self.credential) && !self.asking.registry.is_barred(&device);
        if first
            && role == Role::Operator
            && let Some(scopes) = self.asking.policy.gives_backend(self.asking.client, asked)
        {
            return admit(vec![], attempt, self.asking.context, without_token(Rule::LocalBackend, role, scopes));
        }
        let rule = Rule::LocalFirstPairing;
        let pairs_first = first && self.asking.policy.pairs_first(self.asking.client, role, asked);
        if pairs_first && !self.rests(rule) {
            return self.pair_first(attempt, rule, self.asking.description.clone());
        }
        if self.is_trusted_node(&attempt.source, asked) {
            // Its commands are what a person is asked for.
            let description = Description { caps: vec![], commands: vec![], ..self.asking.description.clone() };
            return self.pair_first(attempt, Rule::TrustedNodeCidrs, description);
        }
        self.need(attempt, Reason::NotPaired, None, pairs_first.then_some(rule))
    }

    /// Whether a local rule rests, since a person took away what it had let in.
    fn rests(&self, rule: Rule) -> bool {
        rules::rests(self.asking.registry, self.asking.policy, rule)
    }

    /// Whether it is a node that asks for nothing but to be one, in a network that is trusted with that.
    fn is_trusted_node(&self, source: &Source, asked: &ScopeSet) -> bool {
        let Asking { policy, registry, ask, proof, .. } = &self.asking;
        let is_node = ask.role == Role::Node && asked.is_empty() && !registry.is_barred(&proof.device);
        let is_seen = !source.is_page && !source.forwarding.is_untrusted();
        is_node && is_seen && policy.trusts(&self.credential) && policy.trusts_node_at(source.address())
    }

    fn paired(&self, attempt: Attempt, device: &Device) -> Decision {
        let (role, asked) = (self.asking.ask.role, &self.asking.ask.scopes);
        let held = device.held(role);
        let moved = self.metadata_moved(device);
        // Who is held to a ceiling by what it was paired as is not rid of it by another name.
        let renamed = within_ceilings(self.asking.policy, device.client, role, asked).is_err();
        let reason = if moved == Moved::Beyond || renamed {
            Some(Reason::MetadataUpgrade)
        } else if !device.has(role) {
            Some(Reason::RoleUpgrade)
        } else if !held.covers(role, asked) {
            Some(Reason::ScopeUpgrade)
        } else {
            None
        };
        if let Some(reason) = reason {
            if self.is_probe() {
                return self.admit_probe(attempt);
            }
            if let Some(code) = self.code.filter(|_| reason != Reason::MetadataUpgrade) {
                return self.pair_by_code(attempt, code, reason);
            }
            let rule = Rule::LocalUpgrade;
            let upgrades = reason == Reason::ScopeUpgrade && self.upgrades_locally(&attempt.source, device);
            if upgrades && !self.rests(rule) {
                return self.upgrade(attempt, device, moved);
            }
            return self.need(attempt, reason, Some(device), upgrades.then_some(rule));
        }
        self.admit_paired(attempt, device, held, moved)
    }

    /// Lets a device in that holds what it asks for.
    fn admit_paired(&self, mut attempt: Attempt, device: &Device, held: ScopeSet, moved: Moved) -> Decision {
        let (role, asked) = (self.asking.ask.role, &self.asking.ask.scopes);
        let mut events = vec![];
        if moved == Moved::Within && !self.is_probe() {
            let platform = self.asking.description.platform.clone();
            let platform_before = device.description.platform.clone();
            let event = DeviceMetadataChanged { device: device.id, platform, platform_before };
            events.push((Actor::Rule(Rule::Metadata), event.into()));
        }
        let mut token = device.token(role);
        if token.is_none()
            && !self.is_probe()
            && let Some(issue) = fresh(self.asking.registry, self.asking.context, &device.id, role)
        {
            let event = TokenIssued { device: device.id, role, scopes: held.clone(), issue };
            events.push((Actor::Rule(Rule::Paired), event.into()));
            token = Some(granted(device.id, role, held, issue, self.asking.context.now));
        }
        let surface = self.surface(&device.description);
        attempt = self.ask_for_surface(attempt, device, &mut events);
        let scopes = asked.clone();
        let code = self.code.and_then(|code| Some((code, self.asking.registry.setup_code(&code)?)));
        if let Some((code, _)) = code.filter(|(_, known)| known.spent.is_none() && !self.is_probe()) {
            // It is for one device, also where that gains nothing by it.
            events.push((Actor::Peer, SetupCodeSpent { code, device: device.id }.into()));
        }
        // Whoever spent the code may not have heard what it gave.
        let others = code.into_iter().map(|(_, known)| known).flat_map(|code| &code.grants).filter(|grant| grant.role != role);
        let more = others.filter_map(|grant| device.token(grant.role)).collect();
        let admission = Admission { rule: Rule::Paired, role, scopes, device: Some(device.id), token, more, surface };
        admit(events, attempt, self.asking.context, admission)
    }

    /// What a description comes to once it is approved: only a v3 signature vouches for a platform, and a pin stays.
    fn pinned(&self, description: &Description) -> Description {
        let Asking { registry, proof, .. } = &self.asking;
        let before = registry.device(&proof.device).and_then(|device| device.description.platform.clone());
        let platform = description.platform.clone().filter(|_| proof.form == SignatureForm::V3).or(before);
        Description { platform, ..description.clone() }
    }

    /// What a node may offer of what it declares: what was approved, cut to the policy's list for its pinned platform.
    fn surface(&self, approved: &Description) -> Surface {
        if self.asking.ask.role != Role::Node {
            return Surface::default();
        }
        may_offer(self.asking.policy, approved, &self.asking.description)
    }

    /// What it says of itself, with only those commands that the policy lets a node of this platform offer.
    fn let_of_declared(&self, platform: Option<&str>) -> Description {
        let declared = &self.asking.description;
        let lets = self.asking.policy.lets_offer(platform, &declared.commands);
        Description { commands: lets.into_iter().map(str::to_owned).collect(), ..declared.clone() }
    }

    /// Asks a person for what a paired node declares beyond what was approved, as far as the policy lets it; it is let in
    /// meanwhile with what was.
    fn ask_for_surface(&self, attempt: Attempt, device: &Device, events: &mut Vec<(Actor, Event)>) -> Attempt {
        let declared = &self.asking.description;
        if self.asking.ask.role != Role::Node || self.is_probe() || device.offers(declared) {
            return attempt;
        }
        let description = self.let_of_declared(device.description.platform.as_deref());
        if device.offers(&description) {
            return attempt;
        }
        let is_whole = description == *declared;
        let asking = Asking { description, ask: self.asking.ask.clone(), ..self.asking };
        let (expired, raised) = asking.raise(Reason::ScopeUpgrade, attempt.source.address());
        events.extend(expired);
        let Raised::New(requested) = raised else { return attempt };
        let attempt = if is_whole { self.pointing(attempt, events.len()) } else { attempt };
        events.push((Actor::Peer, (*requested).into()));
        attempt
    }

    /// Whether what a paired device lacks is given by rule: nothing of what a person took from its token.
    fn upgrades_locally(&self, source: &Source, device: &Device) -> bool {
        let (policy, asked) = (self.asking.policy, &self.asking.ask.scopes);
        let role = Role::Operator;
        let grant = device.grants.get(&role).filter(|_| self.asking.ask.role == role);
        let lacks = asked.missing_from(role, &device.held(role));
        grant.is_some_and(|grant| lacks.within(role, &grant.approved).is_empty())
            && policy.trusts(&self.credential)
            && is_local(policy, source, &self.credential)
            && policy.upgrades_locally(&lacks)
    }

    /// Gives a paired device more scopes by rule, and settles the request that asked for no more.
    fn upgrade(&self, attempt: Attempt, device: &Device, moved: Moved) -> Decision {
        let Asking { registry, policy, ask, context, .. } = &self.asking;
        let (role, held) = (ask.role, device.held(ask.role));
        let scopes = ask.scopes.missing_from(role, &held);
        let holds = held.union(&scopes);
        let request = approval::settled_by(registry, policy, device, role, &holds, context);
        let approved = PairingApproved { device: device.id, role, scopes, act: Act::Upgrade, request };
        let event = (Actor::Rule(Rule::LocalUpgrade), Event::from(approved));
        let mut after = device.clone();
        if let Some(token) = after.grants.get_mut(&role).and_then(|grant| grant.token.as_mut()) {
            token.scopes = holds.clone();
        }
        let mut decision = self.admit_paired(attempt, &after, holds, moved);
        decision.events.insert(0, event);
        decision
    }

    /// Whether it only looks: it changes nothing.
    fn is_probe(&self) -> bool {
        self.asking.client.mode == ClientMode::Probe
    }

    /// A look at the gateway pairs nothing, asks nothing and gets no scopes.
    fn admit_probe(&self, attempt: Attempt) -> Decision {
        let admission = without_token(Rule::Probe, self.asking.ask.role, ScopeSet::EMPTY);
        admit(vec![], attempt, self.asking.context, admission)
    }

    fn metadata_moved(&self, device: &Device) -> Moved {
        let (pinned, (platform, family)) = (&device.description, self.asking.claims());
        if differs(pinned.family.as_deref(), family) {
            return Moved::Beyond;
        }
        match (pinned.platform.as_deref(), platform) {
            (was, is) if !differs(was, is) => Moved::Not,
            (Some(was), Some(is)) if self.asking.policy.lets_platform_change(was, is) => Moved::Within,
            _ => Moved::Beyond,
        }
    }

    /// Pairs by rule, as what `description` says; a request of its own that waits does not stand in the way.
    fn pair_first(&self, attempt: Attempt, rule: Rule, description: Description) -> Decision {
        let (mut events, waiting) = self.asking.waiting();
        let is_whole = description == self.asking.description;
        let surface = self.surface(&self.pinned(&description));
        let whole = (self.asking.ask.scopes.clone(), description);
        let address = attempt.source.address();
        let requested = self.asking.request(Reason::NotPaired, whole, waiting.map(|request| request.id), address);
        let attempt = if is_whole { self.pointing(attempt, events.len()) } else { attempt };
        let (device, role, scopes) = (self.asking.proof.device, self.asking.ask.role, self.asking.ask.scopes.clone());
        let (act, request) = (Act::FirstPairing, Some(requested.request));
        events.push((Actor::Peer, requested.into()));
        let token = self.give(&mut events, Actor::Rule(rule), (role, scopes.clone()), act, request);
        if !is_whole {
            let description = self.let_of_declared(self.asking.claims().0);
            if !description.commands.is_empty() || !description.caps.is_empty() {
                let rest = self.asking.request(Reason::ScopeUpgrade, (scopes.clone(), description), None, address);
                events.push((Actor::Peer, PairingRequested { request: RequestId(self.asking.context.ids[1]), ..rest }.into()));
            }
        }
        let admission = Admission { rule, role, scopes, device: Some(device), token, more: vec![], surface };
        admit(events, attempt, self.asking.context, admission)
    }

    /// Pairs by a setup code, for all that it gives; a request of its own that waits does not stand in the way.
    fn pair_by_code(&self, attempt: Attempt, code: SetupCodeId, reason: Reason) -> Decision {
        let Asking { registry, policy, client, ask, proof, description, .. } = &self.asking;
        let Some(known) = registry.setup_code(&code) else {
            return refuse(vec![], attempt, self.asking.context, unauthorized(&self.credential, true, None));
        };
        let (mut events, waiting) = self.asking.waiting();
        let address = attempt.source.address();
        let whole = (ask.scopes.clone(), description.clone());
        let requested = self.asking.request(reason, whole, waiting.map(|request| request.id), address);
        let attempt = self.pointing(attempt, events.len());
        let (device, request) = (proof.device, requested.request);
        events.extend([(Actor::Peer, requested.into()), (Actor::Peer, SetupCodeSpent { code, device }.into())]);
        let rule = Actor::Rule(Rule::SetupCode);
        // A code was made for no client in particular and gives more than is asked, so what nobody like this one may have is left
        // out. It could not be refused for it: of a code that is not spent, no record says which it was.
        let known_as = registry.device(&device).map(|device| device.client);
        let gain = |grant: &RoleGrant| {
            let held = registry.device(&device).map(|device| device.held(grant.role)).unwrap_or_default();
            let clients = known_as.into_iter().chain([*client]);
            let mut scopes =
                clients.fold(grant.scopes.clone(), |scopes, client| policy.under_ceilings(client, grant.role, &scopes));
            // What is asked may be a part of what is too much as a whole.
            if grant.role == ask.role && !scopes.covers(ask.role, &ask.scopes) {
                scopes = scopes.union(&ask.scopes);
            }
            scopes.missing_from(grant.role, &held)
        };
        // The role that is asked for comes first: its approval makes the device.
        let own = known.grants.iter().find(|grant| grant.role == ask.role).map(gain).unwrap_or_default();
        let token = self.give(&mut events, rule.clone(), (ask.role, own), Act::SetupCode, Some(request));
        let others = known.grants.iter().filter(|grant| grant.role != ask.role);
        let more =
            others.filter_map(|grant| self.give(&mut events, rule.clone(), (grant.role, gain(grant)), Act::SetupCode, None));
        let more = more.collect();
        let surface = self.surface(&self.pinned(description));
        let admission = Admission {
            rule: Rule::SetupCode,
            role: ask.role,
            scopes: ask.scopes.clone(),
            device: Some(device),
            token,
            more,
            surface,
        };
        admit(events, attempt, self.asking.context, admission)
    }

    /// Grants `gain`, and a token to a role that has none; tells the token that the role has then.
    fn give(
        &self,
        events: &mut Vec<(Actor, Event)>,
        by: Actor,
        (role, gain): (Role, ScopeSet),
        act: Act,
        request: Option<RequestId>,
    ) -> Option<Granted> {
        let Asking { registry, context, proof, .. } = &self.asking;
        let device = proof.device;
        let known = registry.device(&device);
        let carries = known.map(|device| device.held(role)).unwrap_or_default().union(&gain);
        let approved = PairingApproved { device, role, scopes: gain, act, request };
        events.push((by.clone(), approved.into()));
        if let Some(token) = known.and_then(|device| device.token(role)) {
            return Some(Granted { scopes: carries, ..token });
        }
        let issue = fresh(registry, context, &device, role)?;
        events.push((by, TokenIssued { device, role, scopes: carries.clone(), issue }.into()));
        Some(granted(device, role, carries, issue, context.now))
    }

    /// Refuses and names the request that would help.
    fn need(&self, attempt: Attempt, reason: Reason, device: Option<&Device>, rests: Option<Rule>) -> Decision {
        let asking = &self.asking;
        let (mut events, raised) = asking.raise(reason, attempt.source.address());
        let (request, attempts, attempt) = match raised {
            Raised::Waits(request) => (request.id, request.attempts, attempt),
            Raised::New(requested) => {
                let attempt = self.pointing(attempt, events.len());
                events.push((Actor::Peer, (*requested).into()));
                (RequestId(asking.context.ids[0]), 0, attempt)
            }
            Raised::Full => return refuse(events, attempt, asking.context, Refusal::PendingTableFull),
        };
        let need = need(device, request, reason, asking.ask.role, &asking.ask.scopes, attempts);
        refuse(events, attempt, asking.context, Refusal::PairingRequired(PairingNeed { rests, ..need }))
    }

    /// The attempt, pointing to the request that is event number `index` of the same decision instead of saying it again.
    fn pointing(&self, mut attempt: Attempt, index: usize) -> Attempt {
        let ahead = u64::try_from(index).unwrap_or(u64::MAX);
        if let Some(ask) = &mut attempt.ask {
            ask.described = Described { like: Some(Seq(self.asking.registry.head().next().0.saturating_add(ahead))), here: None };
        }
        attempt
    }
}

/// How far a device's claims of platform and family are from what is pinned.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Moved {
    Not,
    Within,
    Beyond,
}

/// Whether it is local by a credential that says so: what a proxy vouches for is somebody elsewhere.
fn is_local(policy: &Policy, source: &Source, credential: &Credential) -> bool {
    credential.mode != AuthMode::TrustedProxy && policy.local(source).is_ok()
}

/// The terms of somebody who holds nothing on record.
fn without_token(rule: Rule, role: Role, scopes: ScopeSet) -> Admission {
    Admission { rule, role, scopes, device: None, token: None, more: vec![], surface: Surface::default() }
}

fn granted(device: DeviceId, role: Role, scopes: ScopeSet, issue: Issue, at: Millis) -> Granted {
    Granted { device, role, scopes, issue: Some(issue), at }
}

/// Why the credentials do not do: what a device token lacked if one came in a field of its own, else what the secret lacked.
fn unauthorized(credential: &Credential, has_device: bool, rotated_at: Option<Millis>) -> Refusal {
    let token_failed = matches!(credential.token, TokenVerdict::Wrong | TokenVerdict::Retired);
    let reason = if credential.shared == SharedVerdict::Spent {
        AuthReason::RateLimited
    } else if token_failed && (credential.token_is_explicit || rotated_at.is_some()) {
        AuthReason::DeviceTokenMismatch
    } else if credential.bootstrap {
        AuthReason::BootstrapTokenInvalid
    } else {
        AuthReason::of(credential.mode, credential.shared)
    };
    // What was not tried as a device token yet: the secret may also have come in a field where none is looked for.
    let was_token = credential.token != TokenVerdict::Missing;
    let may_retry = reason == AuthReason::TokenMismatch && has_device && was_token && !credential.token_is_explicit;
    Refusal::Unauthorized { reason, may_retry_with_device_token: may_retry, rotated_at }
}

fn admit(mut events: Vec<(Actor, Event)>, attempt: Attempt, context: &Context<'_>, admission: Admission) -> Decision {
    let event = ConnectionAdmitted { attempt, rule: admission.rule, scopes: admission.scopes.clone() };
    events.push((context.actor.clone(), event.into()));
    Decision { events, outcome: Outcome::Admitted(admission) }
}

fn refuse(mut events: Vec<(Actor, Event)>, attempt: Attempt, context: &Context<'_>, refusal: Refusal) -> Decision {
    events.push((context.actor.clone(), ConnectionRefused { attempt, refusal: refusal.clone() }.into()));
    Decision { events, outcome: Outcome::Refused(Box::new(refusal)) }
}
