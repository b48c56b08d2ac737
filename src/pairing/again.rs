//! History decided again. A record says all that its decision depended on and the records before it do not; from it the command is
//! made again, and decided on the registry as it was, under the policy of then or under another one.

use std::collections::BTreeMap;
use std::net::Ipv6Addr;

use super::command::{Command, Context, Decision, Mint, Outcome, Refusal};
use super::decide::decide;
use super::event::{
    Act, Actor, Address, Ask, Attempt, CommandName, CommandRefused, Description, Event, Issue, PairingRequested, Record,
    RoleGrant, Rule, TokenVerdict,
};
use super::ids::{DeviceId, Digest, KeyId, Millis, PublicKey, Salt, Seq, SetupCodeId};
use super::policy::Policy;
use super::registry::Registry;
use super::scopes::{Role, ScopeSet};

/// Follows history record by record. A decision is one record, behind those that it led to besides.
#[derive(Clone, Debug, Default)]
pub struct Again {
    registry: Registry,
    led_to: Option<LedTo>,
}

/// A decision made again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decided {
    /// What came of it, as it is on record.
    pub then: Answer,
    /// What comes of it now.
    pub again: Decision,
}

/// What came of a decision, as far as a policy can make it another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// A connection was let in.
    Admitted {
        /// By this rule.
        rule: Rule,
        /// With these scopes.
        scopes: ScopeSet,
        /// What its device was granted besides, by role.
        gains: BTreeMap<Role, ScopeSet>,
    },
    /// A command was done.
    Done {
        /// What it granted, by role.
        gains: BTreeMap<Role, ScopeSet>,
    },
    /// It was refused.
    Refused(Box<Refusal>),
}

/// What a decision put on record before the record that tells of it.
#[derive(Clone, Debug)]
struct LedTo {
    before: Registry,
    requests: Vec<(Seq, PairingRequested)>,
    issues: Issues,
    code: Option<SetupCodeId>,
    gains: BTreeMap<Role, ScopeSet>,
}

/// Answers with what is on record, and with nothing else.
#[derive(Clone, Debug, Default)]
struct Issues(BTreeMap<Role, Issue>);

/// What a rotation would have issued that was refused.
const NEVER_ISSUED: Issue = Issue { salt: Salt([0; 16]), key: KeyId([0; 8]), digest: Digest([0; 32]) };

impl Mint for Issues {
    fn mint(&self, _: &DeviceId, role: Role) -> Option<Issue> {
        self.0.get(&role).copied()
    }
}

/// History from behind what is known already.
impl From<Registry> for Again {
    fn from(registry: Registry) -> Self {
        Self { registry, led_to: None }
    }
}

impl Again {
    /// What all records that were passed fold to.
    #[must_use]
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// Goes on to the next record. Where it tells of an attempt or of a command whose answer can depend on the policy, that is decided
    /// again under `policy`, or where there is none, under the one in force then.
    pub fn pass(&mut self, record: &Record, policy: Option<&Policy>) -> Option<Decided> {
        let decided = if self.leads_on(record) {
            self.hold(record);
            None
        } else {
            let led_to = self.led_to.take();
            self.decide(led_to.as_ref(), record, policy)
        };
        self.registry.apply(record);
        decided
    }

    /// Whether the record that tells of the decision is yet to come.
    fn leads_on(&self, record: &Record) -> bool {
        match (&record.actor, &record.event) {
            (Actor::Rule(_), _) | (Actor::Peer, Event::PairingRequested(_) | Event::SetupCodeSpent(_)) => true,
            (_, Event::PairingApproved(event)) => event.act == Act::Rotation,
            // In front of all others it may be of a sweep, and is known to the decision anyway.
            (Actor::System, Event::PairingExpired(_)) => self.led_to.is_some(),
            _ => false,
        }
    }

    fn hold(&mut self, record: &Record) {
        let led_to = self.led_to.get_or_insert_with(|| LedTo::behind(self.registry.clone()));
        match &record.event {
            Event::PairingRequested(event) => led_to.requests.push((record.seq, event.clone())),
            Event::TokenIssued(event) => drop(led_to.issues.0.insert(event.role, event.issue)),
            Event::SetupCodeSpent(event) => led_to.code = Some(event.code),
            Event::PairingApproved(event) => drop(led_to.gains.insert(event.role, event.scopes.clone())),
            _ => {}
        }
    }

    fn decide(&self, led_to: Option<&LedTo>, record: &Record, policy: Option<&Policy>) -> Option<Decided> {
        let registry = led_to.map_or(&self.registry, |led_to| &led_to.before);
        let gains = || led_to.map(|led_to| led_to.gains.clone()).unwrap_or_default();
        let (mut ids, mut issues) =
            (led_to.map(LedTo::ids).unwrap_or_default(), led_to.map(|led_to| led_to.issues.clone()).unwrap_or_default());
        let (command, then) = match &record.event {
            Event::ConnectionAdmitted(event) => {
                let answer = Answer::Admitted { rule: event.rule, scopes: event.scopes.clone(), gains: gains() };
                (connect(registry, led_to, &event.attempt, record.at), answer)
            }
            Event::ConnectionRefused(event) => {
                (connect(registry, led_to, &event.attempt, record.at), Answer::Refused(Box::new(event.refusal.clone())))
            }
            Event::CommandRefused(event) => {
                if let Some(role) = event.role.filter(|_| event.refusal != Refusal::TokenKeyUnusable) {
                    issues.0.insert(role, NEVER_ISSUED);
                }
                (refused(event)?, Answer::Refused(Box::new(event.refusal.clone())))
            }
            Event::PairingApproved(event) => {
                (done(registry, record)?, Answer::Done { gains: [(event.role, event.scopes.clone())].into() })
            }
            Event::TokenRotated(event) => {
                issues.0.insert(event.role, event.issue);
                (done(registry, record)?, Answer::Done { gains: gains() })
            }
            event => {
                match event {
                    Event::SetupCodeCreated(event) => ids = [event.code.0; 2],
                    Event::PairingRequested(event) => ids = [event.request.0; 2],
                    _ => {}
                }
                (done(registry, record)?, Answer::Done { gains: BTreeMap::new() })
            }
        };
        let context = Context { actor: record.actor.clone(), now: record.at, ids, mint: &issues };
        let policy = policy.unwrap_or_else(|| registry.policy());
        Some(Decided { then, again: decide(registry, policy, command, &context) })
    }
}

impl LedTo {
    fn behind(before: Registry) -> Self {
        Self { before, requests: vec![], issues: Issues::default(), code: None, gains: BTreeMap::new() }
    }

    fn ids(&self) -> [[u8; 16]; 2] {
        let id = |place: usize| self.requests.get(place).map(|(_, event)| event.request.0).unwrap_or_default();
        [id(0), id(1)]
    }
}

/// The connect that this attempt was.
fn connect(registry: &Registry, led_to: Option<&LedTo>, attempt: &Attempt, now: Millis) -> Command {
    let mut attempt = attempt.clone();
    let mut code = led_to.and_then(|led_to| led_to.code);
    if let (Some(ask), Some(proof)) = (&mut attempt.ask, &attempt.proof) {
        if ask.described.like.is_some() {
            let request =
                led_to.into_iter().flat_map(|led_to| &led_to.requests).find(|(seq, _)| Some(*seq) == ask.described.like);
            let described = request.map_or(&ask.described, |(_, event)| &event.ask.described);
            let said = registry.description(&proof.device, described);
            (ask.described.like, ask.described.here) = (None, Some(Box::new(Description::clone(&said))));
        }
        // Of a code that was not spent no record says which it was; what is good for this ask would have done.
        if code.is_none() && attempt.credential.is_some_and(|credential| credential.token == TokenVerdict::SetupCode) {
            code = good_code(registry, ask, now);
        }
    }
    // The key is only ever written down, never judged, so any will do.
    Command::Connect { attempt: Box::new(attempt), key: Some(PublicKey([0; 32])), code }
}

fn good_code(registry: &Registry, ask: &Ask, now: Millis) -> Option<SetupCodeId> {
    let gives =
        |grants: &[RoleGrant]| grants.iter().any(|grant| grant.role == ask.role && grant.scopes.covers(ask.role, &ask.scopes));
    let mut codes = registry.setup_codes();
    let good = codes.find(|(_, code)| code.spent.is_none() && now < code.expires && registry.stands(code) && gives(&code.grants));
    good.map(|(id, _)| *id)
}

/// The command that was done by this record, where its answer can depend on the policy.
fn done(registry: &Registry, record: &Record) -> Option<Command> {
    let is_shared = matches!(record.actor, Actor::SharedSecret { .. });
    Some(match &record.event {
        Event::PairingApproved(event) if event.act == Act::Approval => Command::Approve { request: event.request? },
        // Whether it is one of several of an address, each stands for itself.
        Event::PairingRejected(event) => Command::Reject { request: event.request },
        Event::PairingRequested(event) if record.actor.is_device(&event.device) => {
            let device = registry.device(&event.device)?;
            let (role, shown) = (event.ask.role, &event.ask.scopes);
            // It may show more than was asked for: what the request before it did.
            Command::Ask { scopes: registry.policy().under_ceilings(device.client, role, shown), address: event.address }
        }
        Event::TokenRotated(event) => {
            Command::Rotate { device: event.device, role: event.role, scopes: Some(event.scopes.clone()) }
        }
        // Whoever else took away may do so under every policy. One act is several records, and by the second of them a device that took
        // from itself first could do no more.
        Event::DeviceRemoved(event) if is_shared => Command::Remove { device: event.device, with_approved: false },
        Event::TokenRevoked(event) if is_shared => {
            Command::Revoke { device: event.device, role: event.role, with_approved: false }
        }
        Event::DeviceRenamed(event) => Command::Rename { device: event.device, label: event.label.clone() },
        Event::PolicyChanged(event) => Command::ApplyPolicy { text: event.policy.clone() },
        Event::RuleArmed(event) => Command::ArmRule { rule: event.rule },
        Event::OwnerActsSeen(event) => Command::MarkSeen { through: event.through },
        Event::SetupCodeCreated(event) => {
            let (grants, digest, lives_ms) = (event.grants.clone(), event.digest, event.expires.since(record.at));
            Command::CreateSetupCode { grants, digest, lives_ms, label: event.label.clone() }
        }
        Event::SetupCodeRevoked(event) => Command::RevokeSetupCode { code: event.code },
        // The owner's alone, and from an agent's shell as the policy says: all of these by the same rule.
        Event::DeviceImported(_) | Event::DeviceSucceeded(_) | Event::RollbackAccepted(_) => Command::Import { devices: vec![] },
        _ => return None,
    })
}

/// The command that was refused by this record, with whatever will do where no answer depends on a part of it.
fn refused(event: &CommandRefused) -> Option<Command> {
    let (request, device, role) = (event.request, event.device, event.role);
    Some(match event.command {
        CommandName::Approve => Command::Approve { request: request? },
        CommandName::Reject => Command::Reject { request: request? },
        CommandName::RejectFrom => Command::RejectFrom { address: Address(Ipv6Addr::UNSPECIFIED) },
        CommandName::Remove => Command::Remove { device: device?, with_approved: false },
        CommandName::Rotate => Command::Rotate { device: device?, role: role?, scopes: event.scopes.clone() },
        CommandName::Revoke => Command::Revoke { device: device?, role: role?, with_approved: false },
        CommandName::Rename => Command::Rename { device: device?, label: String::new() },
        CommandName::Ask => Command::Ask { scopes: event.scopes.clone()?, address: Address(Ipv6Addr::UNSPECIFIED) },
        CommandName::MarkSeen => Command::MarkSeen { through: Seq(1) },
        CommandName::CreateSetupCode => {
            Command::CreateSetupCode { grants: vec![], digest: Digest([0; 32]), lives_ms: 0, label: None }
        }
        CommandName::RevokeSetupCode => Command::RevokeSetupCode { code: SetupCodeId([0; 16]) },
        CommandName::ArmRule => {
            let rule = match &event.refusal {
                Refusal::LoosensPolicy { keys } => Rule::from_text(keys)?,
                _ => Rule::LocalUpgrade,
            };
            Command::ArmRule { rule }
        }
        // The owner's alone, and from an agent's shell as the policy says: all of these by the same rule.
        CommandName::Undo | CommandName::Succeed | CommandName::Import | CommandName::AcceptRollback => {
            let by_rule = matches!(event.refusal, Refusal::FromExecShell | Refusal::OwnerOnly);
            by_rule.then_some(Command::Import { devices: vec![] })?
        }
        // The text of a policy that was not applied is not kept. From an agent's shell, all that matters is that it was looser.
        CommandName::ApplyPolicy if event.refusal == Refusal::FromExecShell => {
            Command::ApplyPolicy { text: "{ version: 1, ownerActsFromExec: true }".to_owned() }
        }
        CommandName::ApplyPolicy => return None,
    })
}

impl Answer {
    /// What a decision comes to.
    #[must_use]
    pub fn of(decision: Decision) -> Self {
        let mut gains = BTreeMap::new();
        for (_, event) in &decision.events {
            if let Event::PairingApproved(event) = event {
                gains.insert(event.role, event.scopes.clone());
            }
        }
        match decision.outcome {
            Outcome::Admitted(admission) => Self::Admitted { rule: admission.rule, scopes: admission.scopes, gains },
            Outcome::Refused(refusal) => Self::Refused(refusal),
            _ => Self::Done { gains },
        }
    }

    /// Whether it is another outcome, another rule's, or of other scopes. Which request is named, and how long to wait, is no matter of
    /// a policy.
    #[must_use]
    pub fn differs(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Refused(one), Self::Refused(other)) => match (&**one, &**other) {
                (Refusal::PairingRequired(one), Refusal::PairingRequired(other)) => {
                    (one.reason, one.rests, &one.missing) != (other.reason, other.rests, &other.missing)
                }
                (Refusal::Resolved(one), Refusal::Resolved(other)) => one.ending != other.ending,
                (one, other) => one != other,
            },
            (one, other) => one != other,
        }
    }
}
