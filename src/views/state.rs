//! What a registry says, fact by fact, so that two of them can be compared: every fact is about something, has a name and one value.

use std::collections::BTreeMap;
use std::fmt;

use super::sentence::{quote, time_text, who};
use super::simulation::client_text;
use crate::pairing::{
    Actor, Condition, DEFAULT_POLICY, Device, DeviceId, Grant, Issued, Millis, Registry, Request, RequestId, Role, Rule,
    SetupCode, SetupCodeId, policy_digest,
};

/// What a fact is about, in the order in which they are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Of {
    /// The policy in force.
    Policy,
    /// A paired device, or what it holds as this role.
    Device(DeviceId, Option<Role>),
    /// A request that waits.
    Request(RequestId),
    /// A setup code that is known.
    Code(SetupCodeId),
    /// A local rule that a person took something away from.
    Rule(Rule),
    /// A condition in force.
    Condition(Condition),
}

impl fmt::Display for Of {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Policy => f.write_str("policy"),
            Self::Device(device, None) => write!(f, "device {device}"),
            Self::Device(device, Some(role)) => write!(f, "device {device} as {role}"),
            Self::Request(request) => write!(f, "request {request}"),
            Self::Code(code) => write!(f, "setup code {code}"),
            Self::Rule(rule) => write!(f, "rule {rule}"),
            Self::Condition(condition) => write!(f, "condition {condition}"),
        }
    }
}

/// The name of a fact about something.
pub type Field = &'static str;

/// All facts of a registry but for who connected when.
#[must_use]
pub fn facts(registry: &Registry) -> BTreeMap<(Of, Field), String> {
    let mut facts = BTreeMap::new();
    let mut tell = |of: Of, told: Vec<(Field, Option<String>)>| {
        facts.extend(told.into_iter().filter_map(|(field, value)| Some(((of, field), value?))));
    };
    let applied = registry.applied().map(|applied| format!("{} by {}", time_text(applied.at), who(&applied.by)));
    let digest = registry.journal().map(|_| policy_digest(registry.policy_text().unwrap_or(DEFAULT_POLICY)).to_string());
    tell(Of::Policy, vec![("digest", digest), ("in force since", applied)]);
    for device in registry.devices() {
        tell(Of::Device(device.id, None), device_facts(device));
        for (role, grant) in &device.grants {
            tell(Of::Device(device.id, Some(*role)), grant_facts(grant));
        }
    }
    for request in registry.requests() {
        tell(Of::Request(request.id), request_facts(request));
    }
    for (id, code) in registry.setup_codes() {
        tell(Of::Code(*id), code_facts(code));
    }
    for rule in Rule::ALL {
        let rests = registry
            .resting(*rule)
            .map(|resting| format!("device {}, removed or revoked at {}", resting.device, time_text(resting.at)));
        tell(Of::Rule(*rule), vec![("taken away", rests)]);
    }
    for (condition, found) in registry.conditions() {
        let told = vec![("found", Some(quote(&found.detail))), ("since", Some(time_text(found.at)))];
        tell(Of::Condition(condition), told);
    }
    facts
}

fn device_facts(device: &Device) -> Vec<(Field, Option<String>)> {
    let said = &device.description;
    vec![
        ("label", device.label.as_deref().map(quote)),
        ("name", said.display_name.as_deref().map(quote)),
        ("client", Some(client_text(device.client))),
        ("platform", said.platform.as_deref().map(quote)),
        ("family", said.family.as_deref().map(quote)),
        ("capabilities", names(&said.caps)),
        ("commands", names(&said.commands)),
        ("address", Some(device.address.ip().to_string())),
        ("paired", Some(time_text(device.created_at))),
        ("approved", Some(time_text(device.approved_at))),
    ]
}

fn grant_facts(grant: &Grant) -> Vec<(Field, Option<String>)> {
    let revoked = grant.revoked.as_ref().map(|(at, by)| by_at(*at, by));
    let token = grant.token.as_ref().map(|token| {
        let rotated = token.rotated_at.map(|at| format!(", rotated {}", time_text(at))).unwrap_or_default();
        let kind = match token.issue {
            Issued::Derived(issue) => format!("derived with key {}", issue.key),
            Issued::Imported(_) => "imported".to_owned(),
        };
        format!("{}, {kind}, issued {}{rotated}", token.scopes, time_text(token.created_at))
    });
    let approvers = grant.approvers.iter().map(|device| format!("device {device}"));
    let approvers = approvers.chain(grant.rules.iter().map(|rule| format!("rule {rule}"))).collect::<Vec<_>>();
    vec![
        ("scopes", Some(grant.approved.to_string()).filter(|_| revoked.is_none())),
        ("token", Some(token.unwrap_or_else(|| "none".to_owned())).filter(|_| revoked.is_none())),
        ("revoked", revoked),
        ("given by", Some(approvers.join(", ")).filter(|text| !text.is_empty())),
    ]
}

fn request_facts(request: &Request) -> Vec<(Field, Option<String>)> {
    let said = &request.description;
    vec![
        ("asks for", Some(format!("{} as {}", request.scopes, request.role))),
        ("device", Some(request.device.to_string())),
        ("reason", Some(request.reason.to_string())),
        ("client", Some(client_text(request.client))),
        ("name", said.display_name.as_deref().map(quote)),
        ("platform", said.platform.as_deref().map(quote)),
        ("family", said.family.as_deref().map(quote)),
        ("capabilities", names(&said.caps)),
        ("commands", names(&said.commands)),
        ("address", Some(request.address.ip().to_string())),
        ("made", Some(time_text(request.created_at))),
        ("attempts", Some(request.attempts.to_string())),
        ("last attempt", Some(time_text(request.last_at))),
    ]
}

fn code_facts(code: &SetupCode) -> Vec<(Field, Option<String>)> {
    let gives = code.grants.iter().map(|grant| format!("{} as {}", grant.scopes, grant.role)).collect::<Vec<_>>();
    vec![
        ("gives", Some(gives.join("; "))),
        ("label", code.label.as_deref().map(quote)),
        ("made", Some(by_at(code.at, &code.by))),
        ("good until", Some(time_text(code.expires))),
        ("spent", code.spent.map(|(device, at)| format!("{} by device {device}", time_text(at)))),
    ]
}

fn names(names: &[String]) -> Option<String> {
    Some(names.iter().map(|name| quote(name)).collect::<Vec<_>>().join(", ")).filter(|text| !text.is_empty())
}

fn by_at(at: Millis, by: &Actor) -> String {
    format!("{} by {}", time_text(at), who(by))
}

/// A fact that two registries do not share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FactChange {
    /// What it is about.
    pub of: Of,
    /// Its name.
    pub field: Field,
    /// What the first one says.
    pub from: Option<String>,
    /// What the second one says.
    pub to: Option<String>,
}

/// What two registries of one history say differently, and how that ended which is in the first only.
#[must_use]
pub fn fact_changes(from: &Registry, to: &Registry) -> Vec<FactChange> {
    let (mut before, after) = (facts(from), facts(to));
    let mut changes = vec![];
    for request in from.requests().filter(|request| to.request(&request.id).is_none()) {
        let ended = to.settled(&request.id).map(|settled| &settled.resolution);
        let ended = ended.map(|ended| format!("{} {}", ended.ending, by_at(ended.at, &ended.by)));
        changes.extend(ended.map(|ended| FactChange {
            of: Of::Request(request.id),
            field: "ended",
            from: None,
            to: Some(ended),
        }));
    }
    for device in from.devices().filter(|device| to.device(&device.id).is_none()) {
        let succeeded = to.succession(&device.id);
        let gone = succeeded.map(|next| format!("{}, device {} has its place", time_text(next.at), next.by));
        changes.extend(gone.map(|gone| FactChange {
            of: Of::Device(device.id, None),
            field: "succeeded",
            from: None,
            to: Some(gone),
        }));
    }
    for ((of, field), now) in after {
        let was = before.remove(&(of, field));
        if was.as_ref() != Some(&now) {
            changes.push(FactChange { of, field, from: was, to: Some(now) });
        }
    }
    changes.extend(before.into_iter().map(|((of, field), was)| FactChange { of, field, from: Some(was), to: None }));
    changes.sort_by_key(|change| (change.of, change.field));
    changes
}
