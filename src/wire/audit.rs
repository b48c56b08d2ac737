//! `audit.events`, `audit.timeline` and `audit.warrants`, methods of ours: what happened, how often over time, and on whose authority
//! what is held is held.

use serde::Deserialize;
use serde_json::{Value, json};

use super::frame::Text;
use super::logs::{Cursor, bounded};
use super::moment::Point;
use super::record::{self, members};
use crate::limits;
use crate::pairing::{Actor, Deed, DeviceId, Gave, Record, Warrant};
use crate::views::{Timeline, deed_sentence, event_sentence, time_text, who};

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

/// Params of `audit.timeline`: both ends belong to it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct TimelineParams {
    /// From when on, in milliseconds since 1970.
    #[serde(default)]
    pub since_ms: Option<u64>,
    /// Until when.
    #[serde(default)]
    pub until_ms: Option<u64>,
    /// Bars at most.
    #[serde(default)]
    pub bars: Option<Bars>,
}

bounded!(
    /// A number of bars.
    Bars, limits::TIMELINE_BARS.0, limits::TIMELINE_BARS.2
);

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

/// Result of `audit.timeline`.
#[must_use]
pub fn timeline(timeline: &Timeline) -> Value {
    let bars = timeline.bars().map(|(from, bar)| {
        let first = bar.first.map(|seq| seq.0);
        json!({ "fromMs": from.0, "seq": first, "admitted": bar.admitted, "pairing": bar.pairing, "refused": bar.refused })
    });
    let marks = timeline
        .marks()
        .map(|mark| json!({ "seq": mark.seq.0, "atMs": mark.at.0, "event": mark.event, "message": mark.message }));
    json!({
        "fromMs": timeline.since().0,
        "untilMs": timeline.until().0,
        "barMs": timeline.bar_ms(),
        "bars": bars.collect::<Vec<_>>(),
        "marks": marks.collect::<Vec<_>>(),
    })
}

/// A warrant: the act that gave, and below `authority` what its actor gave it by. Whoever may not read all is told of what was
/// given to devices that it may see and of policies, and no other device is named.
#[must_use]
pub fn warrant(warrant: &Warrant<'_>, reads_all: bool, sees: impl Fn(&DeviceId) -> bool) -> Value {
    let is_told = |deed: &&&Deed| match deed.device() {
        Some(device) => sees(&device),
        None => reads_all || !matches!(deed.gave, Gave::Code(_)),
    };
    let told: Vec<_> = warrant.deeds.iter().take_while(is_told).collect();
    let mut authority = None;
    for deed in told.into_iter().rev() {
        let is_named = !matches!(&deed.actor, Actor::Device { device, .. } if !sees(device));
        let by = if is_named { who(&deed.actor) } else { "another device".to_owned() };
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
