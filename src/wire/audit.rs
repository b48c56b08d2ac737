//! `audit.events` and `audit.warrants`, methods of ours: what happened, and on whose authority what is held is held.

use serde::Deserialize;
use serde_json::{Value, json};

use super::frame::Text;
use super::logs::Cursor;
use super::moment::Point;
use super::record::{self, members};
use crate::pairing::{Actor, Deed, DeviceId, Record, Warrant};
use crate::views::{deed_sentence, event_sentence, time_text, who};

/// Params of `audit.events`; a record has to fit all that is there.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct ListParams {
    /// A device, a request or a label.
    #[serde(default)]
    pub about: Option<Text>,
    /// The device that it is about.
    #[serde(default)]
    pub device_id: Option<Text>,
    /// The request that it makes, ends or names.
    #[serde(default)]
    pub request_id: Option<Text>,
    /// Who did it: a device, `owner`, `gateway`, or a rule of the policy.
    #[serde(default)]
    pub actor: Option<Text>,
    /// The role that it is about.
    #[serde(default)]
    pub role: Option<Text>,
    /// A scope that was asked for, given or taken.
    #[serde(default)]
    pub scope: Option<Text>,
    /// Why a person was needed.
    #[serde(default)]
    pub reason: Option<Text>,
    /// From when on.
    #[serde(default)]
    pub since: Option<Point>,
    /// Until when.
    #[serde(default)]
    pub until: Option<Point>,
    /// Where the last answer ended.
    #[serde(default)]
    pub cursor: Option<Cursor>,
}

/// Params of `audit.warrants`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct WarrantsParams {
    /// Whose.
    pub device_id: Text,
    /// What it holds as this role only.
    #[serde(default)]
    pub role: Option<Text>,
    /// This scope only, held itself or by implication.
    #[serde(default)]
    pub scope: Option<Text>,
}

/// A record and its sentence; to whoever may not read all no more than a log tells.
#[must_use]
pub fn event(record: &Record, reads_all: bool) -> Value {
    let mut value = if reads_all {
        record::record(record)
    } else {
        json!({
            "seq": record.seq.0, "atMs": record.at.0, "at": time_text(record.at),
            "kind": record.event.kind(), "event": record.event.name(),
        })
    };
    if let Some(members) = value.as_object_mut() {
        members.insert("message".to_owned(), event_sentence(record).into());
    }
    value
}

/// A warrant: the act that gave, and below `authority` what its actor gave it by. A device that the caller may not see is told as
/// another one, and nothing above it.
#[must_use]
pub fn warrant(warrant: &Warrant<'_>, reads_all: bool, sees: impl Fn(&DeviceId) -> bool) -> Value {
    let is_hidden = |deed: &Deed| matches!(&deed.actor, Actor::Device { device, .. } if !sees(device));
    let hidden = warrant.deeds.iter().position(|deed| is_hidden(deed));
    let shown = hidden.map_or(warrant.deeds.len(), |last| last.saturating_add(1));
    let mut authority = None;
    for deed in warrant.deeds.iter().take(shown).rev() {
        let by = if is_hidden(deed) { "another device".to_owned() } else { who(&deed.actor) };
        let (request, from) = deed.request();
        authority = Some(members([
            ("seq", Some(deed.seq.0.into())),
            ("at", Some(time_text(deed.at).into())),
            ("act", Some(deed.name().into())),
            ("actor", reads_all.then(|| record::actor(&deed.actor))),
            ("from", from.map(|from| from.ip().to_string().into())),
            ("request", request.map(|request| request.to_string().into())),
            ("message", Some(deed_sentence(deed, &by).into())),
            ("authority", authority),
        ]));
    }
    let mut value = authority.unwrap_or_default();
    if let (Some(root), Some(members)) = (warrant.root, value.as_object_mut()) {
        members.insert("root".to_owned(), root.as_str().into());
    }
    value
}
