//! Params and result of `journal.undo`, a method of ours.

use serde::Deserialize;
use serde_json::{Value, json};

use super::policy::checked;
use super::record::record;
use crate::pairing::{Actor, Event, Millis, Record, Registry, Seq};
use crate::views::event_sentence;

/// Params of `journal.undo`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct UndoParams {
    /// The record of the act.
    pub seq: u64,
    /// Only tell what would be appended.
    #[serde(default)]
    pub dry_run: bool,
}

/// Result of `journal.undo`: the act, what was or would be appended, what that changes of the policy in force `before`, and what
/// one command did together with the act.
#[must_use]
pub fn told(act: &Record, events: Vec<Value>, beside: &[Seq], before: &Registry, is_dry_run: bool) -> Value {
    let policy = events.iter().find_map(|event| event.pointer("/fields/policy").and_then(Value::as_str));
    let changes = policy.and_then(|wanted| {
        let in_force = before.policy_text().map(|text| (text, &**before.policy()));
        checked(wanted, in_force).ok()?.get("changes").cloned()
    });
    json!({
        "undoes": act.seq.0,
        "act": appended(act),
        "events": events,
        "policyChanges": changes,
        "beside": beside.iter().map(|seq| seq.0).collect::<Vec<_>>(),
        "dryRun": is_dry_run,
    })
}

/// A record of the journal, and what a person reads of it.
#[must_use]
pub fn appended(appended: &Record) -> Value {
    let mut told = record(appended);
    if let Some(told) = told.as_object_mut() {
        told.insert("message".to_owned(), event_sentence(appended).into());
    }
    told
}

/// An event that a command would append: the same without its place and time, which nobody knows yet.
#[must_use]
pub fn planned(actor: &Actor, event: &Event, at: Millis) -> Value {
    let mut told = appended(&Record { seq: Seq(0), at, actor: actor.clone(), event: event.clone() });
    if let Some(told) = told.as_object_mut() {
        told.retain(|key, _| !matches!(key.as_str(), "seq" | "atMs" | "at"));
    }
    told
}
