//! Params and results of `policy.*`, methods of ours: the policy as an operator reads it, checks it and puts it in force.

use serde::Deserialize;
use serde_json::{Value, json};

use super::frame::{Text, WireError};
use crate::pairing::{DEFAULT_POLICY, Digest, Policy, PolicyError, Registry, Rule, Spares, policy_digest, resting_rules, same};
use crate::views::{resting_sentence, spares_sentence, time_text, warning_sentence, way_text, who};

/// Params of `policy.check`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CheckParams {
    /// The document.
    pub text: String,
}

/// Params of `policy.apply`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApplyParams {
    /// The document.
    pub text: String,
    /// The digest that it had when it was checked, so that no other one is applied.
    #[serde(default)]
    pub digest: Option<Text>,
}

/// Params of `policy.arm`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ArmParams {
    /// The rule.
    pub rule: Text,
}

impl ArmParams {
    /// The rule that is meant.
    ///
    /// # Errors
    /// None that can rest is called so.
    pub fn rule(&self) -> Result<Rule, WireError> {
        Rule::from_text(&self.rule.0).filter(|rule| rule.can_rest()).ok_or_else(|| {
            let known: Vec<_> = Rule::ALL.iter().filter(|rule| rule.can_rest()).map(|rule| rule.as_str()).collect();
            WireError::invalid(format!("no local rule that can rest is called so; there are {}", known.join(" and ")))
        })
    }
}

/// Result of `policy.show`.
#[must_use]
pub fn show(registry: &Registry) -> Value {
    let (policy, text) = (registry.policy(), registry.policy_text().unwrap_or(DEFAULT_POLICY));
    let applied = registry.applied().map(
        |applied| json!({ "seq": applied.seq.0, "atMs": applied.at.0, "at": time_text(applied.at), "by": who(&applied.by) }),
    );
    let flaw = Policy::parse(text).err().map(|error| error.to_string());
    json!({
        "text": text,
        "digest": policy_digest(text).to_string(),
        "applied": applied,
        "unreadable": flaw,
        "withoutPerson": policy.spares().iter().map(spares).collect::<Vec<_>>(),
        "resting": resting(registry),
        "warnings": warnings(policy),
    })
}

/// What `status` tells of the policy: its digest, the rules that stand out, and those that rest.
#[must_use]
pub fn status(registry: &Registry) -> Value {
    let is_unreadable = registry.policy_text().is_some_and(|text| Policy::parse(text).is_err());
    json!({
        "digest": policy_digest(registry.policy_text().unwrap_or(DEFAULT_POLICY)).to_string(),
        "unreadable": is_unreadable,
        "withoutPerson": standing(registry.policy()),
        "resting": resting(registry),
    })
}

/// Result of `policy.check`: what the document is, and what it would change of the one in force, where there is one.
///
/// # Errors
/// It is no policy.
pub fn checked(text: &str, in_force: Option<(&str, &Policy)>) -> Result<Value, WireError> {
    let wanted = Policy::parse(text).map_err(|error| malformed(&error))?;
    let against = in_force.map(|(text, policy)| (policy_digest(text), policy));
    let mut result = compared(&wanted, against.as_ref().map(|(_, policy)| *policy));
    if let Some(result) = result.as_object_mut() {
        result.insert("digest".to_owned(), policy_digest(text).to_string().into());
        result.insert("inForce".to_owned(), against.map(|(digest, _)| digest.to_string()).into());
        result.insert("withoutPerson".to_owned(), standing(&wanted).into());
        result.insert("warnings".to_owned(), warnings(&wanted).into());
    }
    Ok(result)
}

/// Key by key what is another, and which of it is looser.
fn compared(wanted: &Policy, in_force: Option<&Policy>) -> Value {
    let Some(in_force) = in_force else { return json!({}) };
    let changes = in_force.changes(wanted);
    let changes: Vec<_> = changes
        .iter()
        .map(|change| json!({ "key": change.key, "from": change.from, "to": change.to, "is": way_text(change.way) }))
        .collect();
    json!({ "changes": changes, "looser": in_force.loosened_by(wanted), "stricter": wanted.loosened_by(in_force) })
}

/// Whether the digest that somebody gives is that of `text`.
///
/// # Errors
/// It is another one's, or none.
pub fn expect(text: &str, digest: Option<&Text>) -> Result<(), WireError> {
    let Some(expected) = digest else { return Ok(()) };
    let found = policy_digest(text);
    if expected.0.parse::<Digest>().is_ok_and(|expected| same(&expected, &found)) {
        return Ok(());
    }
    let message = format!(
        "this policy has the digest {found}, so it is not the one that was checked; check it again: openclaw policy check"
    );
    let details = Some(json!({ "code": "POLICY_DIGEST_MISMATCH", "digest": found.to_string() }));
    Err(WireError { details, ..WireError::invalid(message) })
}

/// The answer to a document that is no policy: line, column, key and reason.
#[must_use]
pub fn malformed(error: &PolicyError) -> WireError {
    let flaw = error.flaw();
    let (line, column) = flaw.and_then(|flaw| flaw.place).unzip();
    let details = json!({
        "code": "POLICY_MALFORMED",
        "line": line,
        "column": column,
        "key": flaw.map(|flaw| flaw.key.clone()),
        "reason": flaw.map_or_else(|| error.to_string(), |flaw| flaw.why.clone()),
    });
    let refusal = crate::pairing::Refusal::BadPolicy { why: error.to_string() };
    let message = crate::views::refusal_sentence(&refusal, crate::views::About::default());
    WireError { details: Some(details), ..WireError::invalid(message) }
}

fn spares(spares: &Spares) -> Value {
    let gives = match &spares.gives {
        Some(scopes) => Value::from(scopes.iter().collect::<Vec<_>>()),
        None => "asked".into(),
    };
    json!({
        "rule": spares.rule.as_str(),
        "gives": gives,
        "inStatus": spares.stands_out,
        "message": spares_sentence(spares),
    })
}

/// The rules that are told of for as long as they are on.
fn standing(policy: &Policy) -> Vec<Value> {
    policy.spares().iter().filter(|rule| rule.stands_out).map(spares).collect()
}

fn resting(registry: &Registry) -> Vec<Value> {
    let row = |(rule, why): (Rule, crate::pairing::Resting)| {
        json!({
            "rule": rule.as_str(),
            "deviceId": why.device.to_string(),
            "sinceMs": why.at.0,
            "message": resting_sentence(rule, &why),
        })
    };
    resting_rules(registry).into_iter().map(row).collect()
}

fn warnings(policy: &Policy) -> Vec<String> {
    policy.warnings().iter().map(warning_sentence).collect()
}
