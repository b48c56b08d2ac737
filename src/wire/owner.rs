//! What the owner of the gateway's host did: `owner.acts` and `owner.seen`, methods of ours, and the push `owner.acted`.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::frame::Text;
use crate::pairing::{Condition, Finding, Person, Record};
use crate::views::{condition_sentence, event_sentence};

/// Params of `owner.seen`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SeenParams {
    /// The last act that was seen.
    pub through: u64,
}

/// Params of `owner.succeed`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SucceedParams {
    /// The device that is no more.
    pub device_id: Text,
    /// The request in which another proved its key.
    pub request_id: Text,
}

/// Params of `owner.settle`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SettleParams {
    /// What is known and dealt with.
    pub condition: Lasting,
}

/// A condition that stays in force until the owner settles it; all others end by themselves.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(try_from = "Text")]
pub struct Lasting(pub Condition);

/// Those.
pub const LASTING: [Condition; 2] = [Condition::Witness, Condition::Storage];

impl TryFrom<Text> for Lasting {
    type Error = &'static str;

    fn try_from(text: Text) -> Result<Self, Self::Error> {
        let condition = LASTING.into_iter().find(|condition| condition.as_str() == &*text.0);
        condition.map(Self).ok_or("must be witness or storage")
    }
}

/// A condition in force.
#[must_use]
pub fn condition(condition: Condition, found: &Finding) -> Value {
    json!({
        "condition": condition.as_str(),
        "detail": found.detail,
        "ts": found.at.0,
        "message": condition_sentence(condition, &found.detail),
    })
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
