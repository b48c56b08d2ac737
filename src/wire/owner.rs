//! What the owner of the gateway's host did: `owner.acts` and `owner.seen`, methods of ours, and the push `owner.acted`.

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::pairing::{Person, Record};
use crate::views::event_sentence;

/// Params of `owner.seen`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SeenParams {
    /// The last act that was seen.
    pub through: u64,
}

/// One act: who did it, as far as it is known, and what.
#[must_use]
pub fn act(record: &Record, person: &Person) -> Map<String, Value> {
    let mut act = Map::new();
    act.insert("seq".into(), record.seq.0.into());
    act.insert("ts".into(), record.at.0.into());
    act.insert("uid".into(), person.uid.into());
    act.insert("pid".into(), person.pid.into());
    act.insert("program".into(), person.program.clone().into());
    if let Some(terminal) = &person.terminal {
        act.insert("terminal".into(), terminal.clone().into());
    }
    act.insert("fromExec".into(), person.from_exec.into());
    act.insert("message".into(), event_sentence(record).into());
    act
}

/// The payload of `owner.acted`: an act, and how many nobody said to have seen.
#[must_use]
pub fn acted(record: &Record, person: &Person, unseen: u64) -> Value {
    let mut act = act(record, person);
    act.insert("unseen".into(), unseen.into());
    act.into()
}
