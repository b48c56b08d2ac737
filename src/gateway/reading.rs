//! What a caller reads off the journal: log lines, and why a device is where it is. Each only as far as it may read.

use std::sync::{Arc, PoisonError};

use serde_json::{Value, json};

use super::methods::{Caller, Desk};
use crate::authority::PastError;
use crate::limits;
use crate::pairing::{Actor, DeviceId, Record, Registry, RequestId, Seq, may_hear_of, may_read, may_see_device, may_see_request};
use crate::views::{self, event_sentence, log_row};
use crate::wire::devices;
use crate::wire::error::unreadable;
use crate::wire::frame::WireError;
use crate::wire::logs::{self, TailParams};
use crate::wire::owner;

impl Desk {
    /// Why a device is where it is. A request names its device; what the caller may not see is not there.
    pub(super) async fn why(&self, caller: &Caller, about: &str) -> Result<Value, WireError> {
        let registry = self.authority.registry();
        let (actor, unknown) = (&caller.actor, |what: &str| WireError::invalid(format!("unknown {what}")));
        let id = match (about.parse::<DeviceId>(), about.parse::<RequestId>()) {
            (Ok(device), _) => device,
            (Err(_), Ok(request)) => {
                let waiting = registry.request(&request).map(|request| request.device);
                let settled = registry.settled(&request).map(|settled| settled.device);
                let hears = may_hear_of(&registry, actor, &request);
                waiting.or(settled).filter(|_| hears).ok_or_else(|| unknown("requestId"))?
            }
            (Err(_), Err(_)) => labelled(&registry, actor, about)?,
        };
        let history = self.history(id, actor, &registry).await?;
        let device = registry.device(&id).filter(|_| may_see_device(&registry, actor, &id)).map(AsRef::as_ref);
        let now = registry.now().max(self.host.wall());
        let why = views::why(&registry, now, id, device, &history, |request| may_see_request(&registry, actor, request));
        let label = device.and_then(|device| device.label.as_deref());
        why.map(|why| devices::why(&why, label)).ok_or_else(|| unknown("deviceId"))
    }

    /// The records about a device that `actor` may read, newest first, as far back as is looked.
    async fn history(&self, id: DeviceId, actor: &Actor, registry: &Registry) -> Result<Vec<Record>, WireError> {
        let head = registry.head();
        let first = Seq(head.0.saturating_sub(limits::WHY_RECORDS)).next();
        let (mut found, mut from) = (vec![], first);
        while from <= head {
            let records = self.records(from, limits::READ_RECORDS, head).await?;
            let Some(last) = records.last() else { break };
            from = last.seq.next();
            found.extend(records.into_iter().filter(|record| record.event.device() == Some(id)));
        }
        found.retain(|record| may_read(registry, actor, record));
        found.reverse();
        Ok(found)
    }

    /// Lines after the cursor, oldest first and none left out that the caller may read; without one, the newest.
    pub(super) async fn tail(&self, caller: &Caller, params: TailParams) -> Result<Value, WireError> {
        let registry = self.authority.registry();
        let head = registry.head().0;
        let limit = params.limit.map_or(limits::LOG_LINES.0, |limit| limit.0);
        let bytes = params.max_bytes.map_or(limits::LOG_BYTES.0, |bytes| bytes.0);
        let cursor = params.cursor.map(|cursor| cursor.0);
        let follows = cursor.filter(|cursor| *cursor <= head);
        let first = follows.unwrap_or_else(|| head.saturating_sub(u64::try_from(limit).unwrap_or(u64::MAX)));
        let records = self.records(Seq(first).next(), limit, Seq(head)).await?;
        let last = records.last().map_or(first, |record| record.seq.0);
        let visible = records.iter().filter(|record| may_read(&registry, &caller.actor, record));
        let mut lines: Vec<_> = visible.map(|record| (record.seq.0, logs::line(&log_row(record), &self.hostname))).collect();
        if follows.is_none() {
            lines.reverse();
        }
        let mut left = bytes;
        let fits = lines.iter().take_while(|(_, line)| match left.checked_sub(line.len().saturating_add(1)) {
            Some(rest) => {
                left = rest;
                true
            }
            None => false,
        });
        // One line always goes out, or a reader with a small limit would never get on.
        let kept = fits.count().max(1);
        let is_whole = kept >= lines.len();
        lines.truncate(kept);
        if follows.is_none() {
            lines.reverse();
        }
        let end = lines.last().filter(|_| follows.is_some() && !is_whole).map_or(last, |(seq, _)| *seq);
        let is_cut = follows.is_none() && (first > 0 || !is_whole);
        let lines = lines.into_iter().map(|(_, line)| line).collect();
        Ok(logs::tail(&self.journal.display().to_string(), end, head, lines, is_cut, cursor.is_some() && follows.is_none()))
    }

    /// How many acts of the owner nobody said to have seen, and the last of them, at most `limit`.
    pub(super) async fn unseen(&self, limit: usize) -> Value {
        let registry = self.authority.registry();
        let unseen = registry.unseen();
        let mut acts = vec![];
        for seq in unseen.last.iter().rev().take(limit).rev() {
            // What cannot be read now is counted all the same.
            let records = self.records(*seq, 1, *seq).await.unwrap_or_default();
            acts.extend(records.iter().filter_map(|record| Some(owner::act(record, record.owner_act()?))));
        }
        json!({ "unseen": unseen.count, "acts": acts })
    }

    /// Reminds the hub of the last act of the owner that nobody said to have seen.
    pub(super) async fn recall(&self) -> Option<(u64, String)> {
        let registry = self.authority.registry();
        let unseen = registry.unseen();
        let last = *unseen.last.last()?;
        let records = self.records(last, 1, last).await.ok()?;
        let record = records.first()?;
        self.hub.recall(owner::acted(record, record.owner_act()?, unseen.count));
        Some((unseen.count, event_sentence(record)))
    }

    /// Records from `from` on, at most `limit`, none after `head`: what is beyond may not be durable yet.
    pub(super) async fn records(&self, from: Seq, limit: usize, head: Seq) -> Result<Vec<Record>, WireError> {
        let reader = Arc::clone(&self.reader);
        let read = move || Ok(reader.lock().unwrap_or_else(PoisonError::into_inner).read(from, limit)?);
        let mut records = aside(read).await?;
        records.retain(|record| record.seq <= head);
        Ok(records)
    }
}

/// Reads where it keeps nobody waiting.
pub(super) async fn aside<T: Send + 'static>(
    read: impl FnOnce() -> Result<T, PastError> + Send + 'static,
) -> Result<T, WireError> {
    match tokio::task::spawn_blocking(read).await {
        Ok(read) => read.map_err(|error| unreadable(error.to_string())),
        Err(_) => Err(unreadable("the journal could not be read".to_owned())),
    }
}

/// The one device with this label among those that `actor` may see.
pub(super) fn labelled(registry: &Registry, actor: &Actor, label: &str) -> Result<DeviceId, WireError> {
    let named = registry.devices().filter(|device| device.label.as_deref() == Some(label));
    let mut named = named.filter(|device| may_see_device(registry, actor, &device.id));
    match (named.next(), named.next()) {
        (Some(device), None) => Ok(device.id),
        (None, _) => Err(WireError::invalid("unknown device, request or label")),
        (Some(_), Some(_)) => Err(WireError::invalid("several devices have this label; name one by its id")),
    }
}
