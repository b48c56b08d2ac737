//! What a person should know of a gateway, from its registry and its newest records, and the one command that comes next. A
//! command is told only where it would be obeyed: each that is decided is decided here first, on a copy.

use std::collections::BTreeMap;

use super::sentence::{next_step, subject};
use super::upheaval::{Aftermath, Refusals, Who};
use super::{About, quote, refusal_sentence, resting_sentence, time_text};
use crate::limits;
use crate::pairing::{
    Actor, Command, Condition, Context, DeviceId, Digest, Issue, KeyId, Millis, Mint, Outcome, Policy, Record, Refusal, Registry,
    Request, RetiredWhy, Role, Salt, decide, resting_rules, what_is_needed,
};

/// Whether somebody has to do something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Somebody has to.
    Problem,
    /// Nobody has to.
    Note,
}

impl Severity {
    /// In a word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Problem => "problem",
            Self::Note => "note",
        }
    }
}

/// One thing to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What it is about, in a word that stays the same.
    pub id: &'static str,
    /// Whether somebody has to do something.
    pub severity: Severity,
    /// It, in one sentence.
    pub text: String,
    /// The one command that comes next, where there is one.
    pub command: Option<String>,
    /// The devices that it concerns.
    pub devices: Vec<DeviceId>,
}

impl Finding {
    /// That somebody has to do something.
    #[must_use]
    pub fn problem(id: &'static str, text: impl Into<String>) -> Self {
        Self { id, severity: Severity::Problem, text: text.into(), command: None, devices: vec![] }
    }

    /// That nobody has to do anything.
    #[must_use]
    pub fn note(id: &'static str, text: impl Into<String>) -> Self {
        Self { severity: Severity::Note, ..Self::problem(id, text) }
    }

    /// With the command that comes next.
    #[must_use]
    pub fn next(self, command: impl Into<String>) -> Self {
        Self { command: Some(command.into()), ..self }
    }

    /// About these devices.
    #[must_use]
    pub fn about(self, devices: impl IntoIterator<Item = DeviceId>) -> Self {
        Self { devices: devices.into_iter().collect(), ..self }
    }
}

/// What is looked at.
pub struct Scene<'a> {
    /// What is true.
    pub registry: &'a Registry,
    /// What the newest records tell.
    pub aftermath: &'a Aftermath,
    /// The time.
    pub now: Millis,
    /// Whoever would give the commands: the owner.
    pub actor: Actor,
    /// The device that this host is now, where it is one.
    pub identity: Option<DeviceId>,
    /// Whether tokens can be issued.
    pub has_key: bool,
    /// Whether a gateway could be started: none runs, and nothing is known to be in its way.
    pub can_start: bool,
}

/// What a person should know, what has to be done first.
#[must_use]
pub fn diagnose(scene: &Scene<'_>) -> Vec<Finding> {
    let mut findings = locked_out(scene);
    findings.extend(conditions(scene));
    findings.extend(policy(scene.registry));
    findings.extend(suspended(scene.registry));
    let unseen = scene.registry.unseen().count;
    if unseen > 0 {
        let text = format!("acts of this host's owner that nobody said to have seen: {unseen}");
        findings.push(Finding::note("ownerActs", text).next("openclaw status --seen"));
    }
    findings.sort_by_key(|finding| finding.severity);
    findings
}

// --- who is out -------------------------------------------------------------------------------------------------

/// What waits for one answer.
#[derive(Default)]
struct Group<'a> {
    requests: Vec<&'a Request>,
    out: Vec<(Who, &'a Refusals)>,
}

impl Group<'_> {
    fn count(&self) -> u64 {
        self.out.iter().map(|(_, out)| out.count).fold(0, u64::saturating_add)
    }

    fn first(&self) -> Option<Millis> {
        self.out.iter().map(|(_, out)| out.first).min()
    }
}

/// The requests that wait, by the upheaval that they began after, and whoever is out without one.
fn locked_out(scene: &Scene<'_>) -> Vec<Finding> {
    let Scene { registry, aftermath, now, .. } = scene;
    let out: BTreeMap<_, _> = aftermath.out().collect();
    let mut trial = Trial { registry: (*registry).clone(), scene };
    let (mut findings, mut groups, mut refused) = (vec![], BTreeMap::<_, Group<'_>>::new(), vec![]);
    let policy = registry.policy();
    let mut requests: Vec<_> = registry.requests().filter(|request| policy.due(request.last_at) > *now).collect();
    requests.sort_by_key(|request| request.seq);
    for request in requests {
        let of = out.get(&Who::Device(request.device)).copied();
        if let Some(finding) = succession(scene, request, of) {
            findings.push(finding);
            continue;
        }
        match trial.ask(Command::Approve { request: request.id }) {
            Ok(()) => {
                let is_paired = registry.device(&request.device).is_some();
                let group = groups.entry((of.and_then(|of| of.after), is_paired)).or_default();
                group.requests.push(request);
                group.out.extend(of.map(|of| (Who::Device(request.device), of)));
            }
            Err(refusal) => refused.push(not_approvable(registry, request, &refusal)),
        }
    }
    findings.extend(groups.iter().rev().map(|((after, is_paired), group)| waiting(scene, *after, *is_paired, group)));
    findings.extend(refused);
    findings.extend(without_request(scene, &out));
    findings.extend(last_upheaval(scene, &out));
    findings
}

/// What changed last, where nobody is known to be out since: whoever cannot reach the gateway any more is on no record.
fn last_upheaval(scene: &Scene<'_>, out: &BTreeMap<Who, &Refusals>) -> Option<Finding> {
    let upheavals = scene.aftermath.upheavals();
    let (last, upheaval) = upheavals.iter().enumerate().rfind(|(_, upheaval)| !upheaval.is_slight())?;
    let is_recent = scene.now.since(upheaval.at) <= limits::DAY_MS;
    let is_told = out.values().any(|out| out.after == Some(last));
    let what = upheaval.what.join(" and ");
    let text = format!(
        "the last upheaval, and nobody was turned away since for it: {what} ({}, seq {})",
        time_text(upheaval.at),
        upheaval.seq
    );
    (is_recent && !is_told).then(|| Finding::note("upheaval", text).next("openclaw logs"))
}

/// A device that this host is now, in the place of the one that it was: it is better given that place than paired beside it.
fn succession(scene: &Scene<'_>, request: &Request, of: Option<&Refusals>) -> Option<Finding> {
    let Scene { registry, aftermath, identity, .. } = scene;
    let new = identity.filter(|id| *id == request.device && registry.device(id).is_none())?;
    let last = registry.last_run().and_then(|run| run.identity);
    let known = aftermath.identities().iter().rev().copied().chain(last);
    let old = known.filter(|id| *id != new).find(|id| registry.device(id).is_some_and(|device| device.has(Role::Operator)))?;
    let began = of.map(|of| began(aftermath, of.after, of.count, of.first)).unwrap_or_default();
    let text = format!(
        "{began}this host's command line has a new key: it was device {}, and as device {new} it asks as {} for {}; the new one \
         can have the old one's place",
        named(registry, &old),
        request.role,
        request.scopes
    );
    let command = format!("openclaw recover --succeed {old} --request {}", request.id);
    Some(Finding::problem("identity", text).next(command).about([old, new]))
}

/// Requests that one command approves, all of them as they are told. Strangers of whom not all are told are not let in by one.
fn waiting(scene: &Scene<'_>, after: Option<usize>, is_paired: bool, group: &Group<'_>) -> Finding {
    let Scene { registry, aftermath, .. } = scene;
    let began = group.first().map(|first| began(aftermath, after, group.count(), first)).unwrap_or_default();
    let asks = group.requests.iter().take(limits::TOLD_AT_ONCE).map(|request| {
        let needed = what_is_needed(registry, request);
        let what = if needed.missing.is_empty() { needed.reason.to_string() } else { needed.missing.to_string() };
        format!("device {} as {} for {what}", named(registry, &request.device), request.role)
    });
    let asks = asks.collect::<Vec<_>>().join(", ");
    let count = group.requests.len();
    let more = count.checked_sub(limits::TOLD_AT_ONCE).filter(|more| *more > 0);
    let (who, ids) = match (is_paired, more) {
        (true, _) => ("of paired devices", true),
        (false, None) => ("of devices that are not paired", true),
        (false, Some(_)) => ("of devices that are not paired", false),
    };
    let then = if ids { "wait, and this approves exactly them" } else { "wait, to be looked at one by one" };
    let more = more.map(|more| format!(", and {more} more")).unwrap_or_default();
    let text = format!("{began}{} {who} {then}: {asks}{more}", plural(count, "request"));
    let command = if ids {
        let ids = group.requests.iter().map(|request| format!(" {}", request.id));
        format!("openclaw devices approve{}", ids.collect::<String>())
    } else {
        "openclaw devices list".to_owned()
    };
    Finding::problem("requests", text).next(command).about(group.requests.iter().map(|request| request.device))
}

/// How many refusals began how long after an upheaval, where one is held against it.
fn began(aftermath: &Aftermath, after: Option<usize>, count: u64, first: Millis) -> String {
    let upheaval = after.and_then(|after| aftermath.upheavals().get(after));
    upheaval.map(|upheaval| format!("{} began {}; ", refusals(count), upheaval.before(first))).unwrap_or_default()
}

/// A request that no approval helps.
fn not_approvable(registry: &Registry, request: &Request, refusal: &Refusal) -> Finding {
    let about = About { device: Some(&request.device), role: Some(request.role), request: Some(&request.id) };
    let (device, why) = (named(registry, &request.device), refusal_sentence(refusal, about));
    let text = format!("request {} of device {device} cannot be approved: {why}", request.id);
    let next = match refusal {
        Refusal::PolicyDenied { .. } => "openclaw policy show".to_owned(),
        _ => format!("openclaw devices why {}", request.id),
    };
    Finding::problem("request", text).next(next).about([request.device])
}

/// Whoever is out and asks for nothing that can be approved: of those an upheaval may have hit, or that are paired.
fn without_request(scene: &Scene<'_>, out: &BTreeMap<Who, &Refusals>) -> Vec<Finding> {
    let Scene { registry, aftermath, now, .. } = scene;
    let mut groups = BTreeMap::<_, Group<'_>>::new();
    for (who, refusals) in out {
        let (is_paired, waits) = match who {
            Who::Device(id) => {
                let waits = |role: &Role| {
                    let request = registry.waiting(id, *role);
                    request.is_some_and(|request| registry.policy().due(request.last_at) > *now)
                };
                (registry.device(id).is_some(), Role::ALL.iter().any(waits))
            }
            Who::Address(_) => (false, false),
        };
        let is_recent = now.since(refusals.last) <= limits::DAY_MS;
        if is_recent && !waits && (is_paired || refusals.after.is_some()) {
            let why = refusal_sentence(&refusals.refusal, About::default());
            // Each has a request of its own.
            let why = why.split("; approve with").next().unwrap_or_default().to_owned();
            groups.entry((refusals.after, why)).or_default().out.push((*who, *refusals));
        }
    }
    let finding = |((after, why), group): ((Option<usize>, String), Group<'_>)| {
        let who = group.out.iter().take(limits::TOLD_AT_ONCE).map(|(who, _)| match who {
            Who::Device(id) => format!("device {}", named(registry, id)),
            Who::Address(address) => format!("a client from {}", address.ip()),
        });
        let who = who.collect::<Vec<_>>().join(", ");
        let more = group.out.len().checked_sub(limits::TOLD_AT_ONCE).filter(|more| *more > 0);
        let more = more.map(|more| format!(" and {more} more")).unwrap_or_default();
        let first = group.first().unwrap_or_default();
        let when = match after.and_then(|after| aftermath.upheavals().get(after)) {
            Some(upheaval) => format!("began {}", upheaval.before(first)),
            None => format!("began at {}", time_text(first)),
        };
        let then = match group.out.first().map(|(_, out)| &out.refusal) {
            Some(Refusal::PairingRequired(_)) => "; the request ran out, so it has to connect again to ask anew",
            Some(Refusal::Unauthorized { .. }) => {
                "; clients that kept a token of their own come back with that, the others need the present shared secret"
            }
            _ => "",
        };
        let devices: Vec<_> =
            group.out.iter().filter_map(|(who, _)| if let Who::Device(id) = who { Some(*id) } else { None }).collect();
        let next = devices.first().map_or_else(|| "openclaw logs".to_owned(), |id| format!("openclaw devices why {id}"));
        let text = format!("{} {when} and nobody of these was let in since: {who}{more}: {why}{then}", refusals(group.count()));
        Finding::problem("refused", text).next(next).about(devices)
    };
    groups.into_iter().rev().map(finding).collect()
}

/// Acts on a copy: whether the owner would be obeyed.
struct Trial<'a> {
    registry: Registry,
    scene: &'a Scene<'a>,
}

impl Trial<'_> {
    fn ask(&mut self, command: Command) -> Result<(), Refusal> {
        let (actor, now) = (self.scene.actor.clone(), self.registry.now().max(self.scene.now));
        let context = Context { actor, now, ids: [[0; 16]; 2], mint: self };
        let policy: &Policy = self.registry.policy();
        let decision = decide(&self.registry, policy, command, &context);
        if let Outcome::Refused(refusal) = decision.outcome {
            return Err(*refusal);
        }
        for (actor, event) in decision.events {
            self.registry.apply(&Record { seq: self.registry.head().next(), at: now, actor, event });
        }
        Ok(())
    }
}

impl Mint for Trial<'_> {
    fn mint(&self, _: &DeviceId, _: Role) -> Option<Issue> {
        self.scene.has_key.then_some(Issue { salt: Salt([0; 16]), key: KeyId([0; 8]), digest: Digest([0; 32]) })
    }
}

// --- what else is on record -----------------------------------------------------------------------------------------

fn conditions(scene: &Scene<'_>) -> Vec<Finding> {
    let finding = |(condition, found): (Condition, &crate::pairing::Finding)| {
        let (means, command) = next_step(condition);
        let text = format!("{} {}; {means}", subject(condition), quote(&found.detail));
        let (id, is_note) = match condition {
            Condition::Identity => ("identityFile", true),
            Condition::Devices => ("devicesFile", true),
            Condition::Key => ("tokenKey", false),
            Condition::Witness => ("witness", true),
            Condition::Clock => ("clock", false),
            Condition::Configuration => ("configuration", false),
            Condition::UncleanStop => ("uncleanStop", true),
            Condition::Storage => ("storage", false),
        };
        let command = match condition {
            // The clock is the system's.
            Condition::Clock => None,
            Condition::Key | Condition::Configuration => scene.can_start.then(|| command.to_owned()),
            _ => Some(command.to_owned()),
        };
        let finding = if is_note { Finding::note(id, text) } else { Finding::problem(id, text) };
        Finding { command, ..finding }
    };
    scene.registry.conditions().map(finding).collect()
}

fn policy(registry: &Registry) -> Vec<Finding> {
    let mut findings = vec![];
    if let Some(Err(flaw)) = registry.policy_text().map(Policy::parse) {
        let flaw = quote(&flaw.to_string());
        let text = format!("the policy is unreadable to this version, so every rule that spares a person is off: {flaw}");
        findings.push(Finding::problem("policy", text).next("openclaw policy show"));
    }
    let spares = registry.policy().spares();
    let standing: Vec<_> = spares.iter().filter(|spares| spares.stands_out).map(|spares| spares.rule.as_str()).collect();
    if !standing.is_empty() {
        let text = format!("rules of the policy that ask no person: {}", standing.join(", "));
        findings.push(Finding::note("withoutPerson", text).next("openclaw policy show"));
    }
    for (rule, why) in resting_rules(registry) {
        let command = format!("openclaw policy arm {rule}");
        let text = resting_sentence(rule, &why);
        let text = text.split("; openclaw").next().unwrap_or_default();
        findings.push(Finding::note("resting", text).next(command).about([why.device]));
    }
    findings
}

/// The devices that may do nothing since an older copy of the journal was accepted.
fn suspended(registry: &Registry) -> Option<Finding> {
    let is_suspended = |device: &&std::sync::Arc<crate::pairing::Device>| {
        let mut grants = device.grants.values();
        grants.any(|grant| grant.revoked.is_some() && grant.retired.iter().any(|old| old.why == RetiredWhy::Suspended))
    };
    let devices: Vec<_> = registry.devices().filter(is_suspended).map(|device| device.id).collect();
    let text = format!(
        "{} suspended since an older copy of the journal was accepted: each asks anew when it connects, and has to be approved",
        plural(devices.len(), "device")
    );
    (!devices.is_empty()).then(|| Finding::note("suspended", text).next("openclaw devices list").about(devices))
}

/// A device by its id and, where an operator gave it one, its label.
fn named(registry: &Registry, id: &DeviceId) -> String {
    let label = registry.device(id).and_then(|device| device.label.as_deref());
    label.map_or_else(|| id.to_string(), |label| format!("{id} (\"{}\")", quote(label)))
}

fn refusals(count: u64) -> String {
    format!("{count} refusal{}", if count == 1 { "" } else { "s" })
}

fn plural(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}
