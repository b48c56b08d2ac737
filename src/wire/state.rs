//! What `replay` tells a program: the state at a point of history, and how two of them differ.

use serde_json::{Value, json};

use super::devices;
use crate::pairing::{DEFAULT_POLICY, Registry, policy_digest};
use crate::views::{FactChange, Of, time_text};

/// A state, whole.
#[must_use]
pub fn state(registry: &Registry) -> Value {
    let mut told = head(registry);
    let mut list = devices::list(registry, |_| true, |_| true);
    let conditions = registry
        .conditions()
        .map(|(condition, found)| json!({ "condition": condition.as_str(), "detail": found.detail, "sinceMs": found.at.0 }));
    if let Some(told) = told.as_object_mut() {
        told.insert("paired".to_owned(), list["paired"].take());
        told.insert("pending".to_owned(), list["pending"].take());
        told.insert("conditions".to_owned(), conditions.collect());
    }
    told
}

/// Which state it is: its place, its time, its two digests, and the policy in force.
#[must_use]
pub fn head(registry: &Registry) -> Value {
    let (pairing, activity) = registry.digest();
    json!({
        "seq": registry.head().0,
        "atMs": registry.now().0,
        "at": time_text(registry.now()),
        "digest": { "pairing": pairing.to_string(), "activity": activity.to_string() },
        "policy": policy_digest(registry.policy_text().unwrap_or(DEFAULT_POLICY)).to_string(),
    })
}

/// A fact that two states do not share.
#[must_use]
pub fn change(change: &FactChange) -> Value {
    let (kind, id, role) = match change.of {
        Of::Policy => ("policy", None, None),
        Of::Device(device, role) => ("device", Some(device.to_string()), role.map(|role| role.as_str())),
        Of::Request(request) => ("request", Some(request.to_string()), None),
        Of::Code(code) => ("setupCode", Some(code.to_string()), None),
        Of::Rule(rule) => ("rule", Some(rule.as_str().to_owned()), None),
        Of::Condition(condition) => ("condition", Some(condition.as_str().to_owned()), None),
    };
    json!({ "of": kind, "id": id, "role": role, "field": change.field, "from": change.from, "to": change.to })
}
