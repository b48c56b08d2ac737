//! Who is here, as others are shown it: only the newest, and to each only what it may read.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};

use crate::limits;
use crate::pairing::{
    Actor, Client, ClientMode, ConnectionAdmitted, Description, Device, DeviceId, Record, Registry, Role, Seq, may_read_all,
};
use crate::views;

/// One connection, as others are shown it.
pub(super) struct Entry {
    /// Its device; who has none is shown to whoever may look at all.
    pub device: Option<DeviceId>,
    /// What is shown.
    pub shown: Value,
}

/// All of them, by the seq of their admission.
#[derive(Default)]
pub(super) struct Here(Mutex<BTreeMap<Seq, Arc<Entry>>>);

impl Entry {
    /// Of a connection that was admitted, and what its client says of itself; of a paired device the platform and the family
    /// that were approved, whatever it says or leaves out. A CLI comes and goes with each command; telling
    /// of it would only be noise (OpenClaw 2026.3.13).
    #[must_use]
    pub(super) fn of(record: &Record, event: &ConnectionAdmitted, device: Option<&Device>, says: &Description) -> Option<Self> {
        let attempt = &event.attempt;
        let Client { id, mode } = attempt.client.filter(|client| client.mode != ClientMode::Cli)?;
        let role = attempt.ask.as_ref().map_or(Role::Operator, |ask| ask.role);
        let mut shown = json!({
            "host": says.display_name.as_deref().unwrap_or(id.as_str()),
            "clientId": id.as_str(),
            "mode": mode.as_str(),
            "roles": [role.as_str()],
            "scopes": event.scopes.iter().collect::<Vec<_>>(),
            "reason": "connect",
            "ts": record.at.0,
            "text": format!("{id} in mode {mode} since {}", views::time_text(record.at)),
        });
        let pinned = device.map_or(says, |device| &device.description);
        let device_id = device.map(|device| device.id.to_string());
        let more = [
            ("version", &says.version),
            ("platform", &pinned.platform),
            ("deviceFamily", &pinned.family),
            ("modelIdentifier", &says.model),
            ("deviceId", &device_id),
            ("instanceId", if says.instance.is_some() { &says.instance } else { &device_id }),
        ];
        if let Some(shown) = shown.as_object_mut() {
            shown.extend(more.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value.clone()?.into()))));
        }
        Some(Self { device: device.map(|device| device.id), shown })
    }
}

impl Here {
    pub(super) fn add(&self, admission: Seq, entry: Entry) {
        self.lock().insert(admission, Arc::new(entry));
    }

    pub(super) fn remove(&self, admission: Seq) {
        self.lock().remove(&admission);
    }

    /// The newest entries that `actor` may see, the newest first.
    #[must_use]
    pub(super) fn seen_by(&self, registry: &Registry, actor: &Actor) -> Vec<Arc<Entry>> {
        let sees_all = may_read_all(registry, actor);
        let here = self.lock();
        let seen = here.values().rev().filter(|entry| sees_all || entry.device.is_none_or(|device| actor.is_device(&device)));
        seen.take(limits::PRESENCE_ENTRIES).map(Arc::clone).collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Seq, Arc<Entry>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The payload of `presence`.
#[must_use]
pub(super) fn payload(seen: &[Arc<Entry>]) -> Value {
    json!({ "presence": seen.iter().map(|entry| &entry.shown).collect::<Vec<_>>() })
}
