//! `audit.events`, `audit.timeline` and `audit.warrants`: the whole journal is read for them, aside and with a reader of its own,
//! so that nobody else waits; a chunk of records at a time, so that memory does not grow with it.

use std::fmt::Display;
use std::ops::ControlFlow;
use std::path::Path;

use serde_json::{Map, Value, json};

use super::methods::{Caller, Desk, device_id, request_id};
use super::reading::{aside, labelled};
use crate::journal::{JournalError, Reader};
use crate::limits;
use crate::pairing::{
    Device, DeviceId, Doer, Inquiry, Millis, Moment, Provenance, Reason, Record, Registry, RequestId, Role, ScopeSet, Seq,
    may_read, may_read_all, may_read_of,
};
use crate::views::Timeline;
use crate::wire::audit::{self, ListParams, TimelineParams, WarrantsParams};
use crate::wire::frame::{Text, WireError};

impl Desk {
    /// What happened that the caller asks about and may read, oldest first: as much as one answer holds, and where it ended if
    /// there may be more.
    pub(super) async fn audit(&self, caller: &Caller, params: ListParams) -> Result<Value, WireError> {
        let registry = self.authority.registry();
        let inquiry = inquiry(&registry, caller, &params)?;
        let first = match inquiry.since {
            Some(Moment::Seq(seq)) => seq,
            _ => Seq(1),
        };
        let first = first.max(Seq(params.cursor.map_or(0, |cursor| cursor.0)).next());
        let (head, device, request) = (registry.head(), inquiry.device, inquiry.request);
        let (actor, reads_all) = (caller.actor.clone(), may_read_all(&registry, &caller.actor));
        let journal = self.journal.clone();
        let _mine = self.reading_all.lock().await;
        let page = aside(move || {
            let mut page = Page { events: vec![], bytes: 0, looked: 0, last: first };
            let is_whole = scan(&journal, first, head, |record| {
                page.looked = page.looked.saturating_add(1);
                page.last = record.seq;
                if inquiry.until.is_some_and(|until| !record.is_until(until)) {
                    return Scan::Over;
                }
                if inquiry.takes(record) && may_read(&registry, &actor, record) {
                    page.add(audit::event(record, reads_all));
                }
                if page.is_full() { Scan::Paused } else { Scan::On }
            })?;
            Ok((page, is_whole))
        });
        let (page, is_whole) = page.await?;
        let mut answer = Map::new();
        if let Some(device) = device {
            answer.insert("deviceId".to_owned(), device.to_string().into());
        }
        if let Some(request) = request {
            answer.insert("requestId".to_owned(), request.to_string().into());
        }
        answer.insert("events".to_owned(), page.events.into());
        if !is_whole {
            answer.insert("cursor".to_owned(), page.last.0.into());
        }
        Ok(answer.into())
    }

    /// How many came over time, as far as the caller may read of them.
    pub(super) async fn timeline(&self, caller: &Caller, params: TimelineParams) -> Result<Value, WireError> {
        let registry = self.authority.registry();
        let (since, until) = (params.since_ms.map(Millis), params.until_ms.map(Millis));
        let now = registry.now().max(self.host.wall());
        if since.is_some_and(|since| since > until.unwrap_or(now)) {
            return Err(WireError::invalid("invalid audit.timeline params: at /sinceMs: must not be after the end"));
        }
        let most = params.bars.map_or(limits::TIMELINE_BARS.1, |bars| bars.0);
        let mut timeline = Timeline::new(since, until, now, most);
        let (head, journal, actor) = (registry.head(), self.journal.clone(), caller.actor.clone());
        let _mine = self.reading_all.lock().await;
        let folded = aside(move || {
            scan(&journal, Seq(1), head, |record| {
                if may_read(&registry, &actor, record) {
                    timeline.hear(record);
                }
                Scan::On
            })?;
            Ok(timeline)
        });
        Ok(audit::timeline(&folded.await?))
    }

    /// On whose authority a device holds what it holds.
    pub(super) async fn warrants(&self, caller: &Caller, params: WarrantsParams) -> Result<Value, WireError> {
        let registry = self.authority.registry();
        let id = device_id(&params.device_id)?;
        let role = params.role.as_ref().map(role).transpose()?;
        let scope = params.scope.as_ref().map(scope).transpose()?;
        if !may_read_of(&registry, &caller.actor, &id) {
            return Err(WireError::invalid("unknown deviceId"));
        }
        let (head, journal) = (registry.head(), self.journal.clone());
        let _mine = self.reading_all.lock().await;
        let folded = aside(move || {
            let mut provenance = Provenance::default();
            scan(&journal, Seq(1), head, |record| {
                provenance.apply(record);
                Scan::On
            })?;
            Ok(provenance)
        });
        let provenance = folded.await?;
        let sees = |device: &DeviceId| may_read_of(&registry, &caller.actor, device);
        let reads_all = may_read_all(&registry, &caller.actor);
        let device = registry.device(&id);
        let holds = device.iter().flat_map(|device| held(device, role, scope.as_ref())).map(|(role, scope)| {
            let warrant = provenance.warrant(&id, role, &scope);
            json!({
                "role": role.as_str(),
                "scope": scope.iter().next(),
                "warrant": warrant.map(|warrant| audit::warrant(&warrant, reads_all, sees)),
            })
        });
        let holds: Value = holds.collect();
        let label = device.and_then(|device| device.label.as_deref());
        Ok(json!({ "deviceId": id.to_string(), "label": label, "paired": device.is_some(), "holds": holds }))
    }
}

/// What one answer holds.
struct Page {
    events: Vec<Value>,
    bytes: usize,
    looked: usize,
    last: Seq,
}

impl Page {
    fn add(&mut self, event: Value) {
        self.bytes = self.bytes.saturating_add(event.to_string().len());
        self.events.push(event);
    }

    /// The event that fills it still belongs to it.
    fn is_full(&self) -> bool {
        self.looked >= limits::AUDIT_RECORDS || self.events.len() >= limits::LOG_LINES.1 || self.bytes >= limits::LOG_BYTES.1
    }
}

/// Whether to read on.
#[derive(PartialEq, Eq)]
enum Scan {
    On,
    /// There may be more, and it is asked for later.
    Paused,
    Over,
}

/// Hands the records from `first` to `head` to `each`, until it has enough; whether there are no more. What is beyond the head
/// may not be durable yet.
fn scan(journal: &Path, first: Seq, head: Seq, mut each: impl FnMut(&Record) -> Scan) -> Result<bool, JournalError> {
    let end = Reader::open(journal)?.each(first, head, |record| match each(record) {
        Scan::On => ControlFlow::Continue(()),
        end => ControlFlow::Break(end),
    })?;
    Ok(end != ControlFlow::Break(Scan::Paused))
}

/// What the caller asks about. A device that it may not see is one of which nothing is found.
fn inquiry(registry: &Registry, caller: &Caller, params: &ListParams) -> Result<Inquiry, WireError> {
    let invalid = |what: &str, why: &dyn Display| WireError::invalid(format!("invalid audit.events params: at /{what}: {why}"));
    let device = params.device_id.as_ref().map(device_id).transpose()?;
    let request = params.request_id.as_ref().map(request_id).transpose()?;
    let doer = params.actor.as_ref().map(|text| text.0.parse::<Doer>().map_err(|why| invalid("actor", &why)));
    let reason = params.reason.as_ref().map(|text| {
        let reasons = || Reason::ALL.iter().map(|reason| reason.as_str()).collect::<Vec<_>>().join(", ");
        Reason::from_text(&text.0).ok_or_else(|| invalid("reason", &format_args!("must be one of {}", reasons())))
    });
    let mut inquiry = Inquiry {
        device,
        request,
        doer: doer.transpose()?,
        role: params.role.as_ref().map(role).transpose()?,
        scope: params.scope.as_ref().map(scope).transpose()?,
        reason: reason.transpose()?,
        since: params.since.map(|point| point.0),
        until: params.until.map(|point| point.0),
    };
    if let Some(Text(about)) = &params.about {
        match (about.parse::<DeviceId>(), about.parse::<RequestId>()) {
            (Ok(device), _) => inquiry.device = Some(device),
            (Err(_), Ok(request)) => inquiry.request = Some(request),
            (Err(_), Err(_)) => inquiry.device = Some(labelled(registry, &caller.actor, about)?),
        }
    }
    Ok(inquiry)
}

/// What a device holds, role by role and scope by scope; a role that carries none by itself.
fn held(device: &Device, role: Option<Role>, scope: Option<&ScopeSet>) -> Vec<(Role, ScopeSet)> {
    let roles = device.grants.keys().filter(|known| device.has(**known) && role.is_none_or(|role| role == **known));
    let scopes = |role: Role| {
        let held = device.held(role);
        match scope {
            Some(scope) => held.covers(role, scope).then(|| scope.clone()).into_iter().collect(),
            None if held.is_empty() => vec![held],
            None => held.each(),
        }
    };
    roles.flat_map(|role| scopes(*role).into_iter().map(|scope| (*role, scope))).collect()
}

fn role(text: &Text) -> Result<Role, WireError> {
    Role::from_text(&text.0).ok_or_else(|| WireError::invalid("there is no such role; there are operator and node"))
}

fn scope(text: &Text) -> Result<ScopeSet, WireError> {
    ScopeSet::parse([text.0.as_str()]).map_err(|_| WireError::invalid("this is no scope"))
}
