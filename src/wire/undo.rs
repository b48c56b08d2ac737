//! Params and result of `journal.undo`, a method of ours.

use serde::Deserialize;
use serde_json::{Value, json};

use super::record::record;
use crate::pairing::{Actor, Event, Millis, Record, Seq};
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

/// Result of `journal.undo`: the act, what was or would be appended, and what one command did together with the act.
#[must_use]
pub fn told(act: &Record, events: Vec<Value>, beside: &[Seq], is_dry_run: bool) -> Value {
    json!({
        "undoes": act.seq.0,
        "act": appended(act),
        "events": events,
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
        for key in ["seq", "atMs", "at"] {
            told.remove(key);
        }
    }
    told
}
