//! Copies for tools that read OpenClaw's files: `devices/paired.json` without tokens, `devices/pending.json` always `{}`,
//! because the 2026.3.13 CLI, when refused, would "approve" in that file by itself. Written, never read back: what somebody else
//! wrote there is told and replaced.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::de::IgnoredAny;
use tokio::sync::Notify;

use crate::authority::Handle;
use crate::limits;
use crate::pairing::{Actor, Command, Condition, DeviceId, Registry};
use crate::state::{StateDir, StateError, read, replace};
use crate::wire::devices::paired_copy;

/// Writes the copies now.
///
/// # Errors
/// [`StateError`].
pub(super) fn write(state: &StateDir, registry: &Registry) -> Result<(), StateError> {
    replace(&state.devices().join("paired.json"), format!("{:#}", paired_copy(registry)).as_bytes())?;
    replace(&state.devices().join("pending.json"), b"{}")
}

/// What somebody else wrote where the copies stand.
#[must_use]
pub fn foreign(state: &StateDir, registry: &Registry) -> Vec<String> {
    let mut found = vec![];
    let bytes = |name: &str| read(&state.devices().join(name), limits::COPY_BYTES).ok().flatten();
    if let Some(bytes) = bytes("paired.json") {
        // One that was killed may have left a copy with devices that it had just removed.
        let was_ours = |id: &DeviceId| registry.condition(Condition::UncleanStop).is_some() && registry.is_barred(id);
        match serde_json::from_slice::<BTreeMap<String, IgnoredAny>>(&bytes) {
            Err(_) => found.push(format!("held a paired.json that is no copy of ours ({} bytes)", bytes.len())),
            Ok(listed) => {
                let is_foreign = |id: &DeviceId| registry.device(id).is_none() && !was_ours(id);
                let mut others = listed.keys().filter(|id| id.parse().ok().as_ref().is_none_or(is_foreign));
                if let Some(first) = others.next() {
                    let count = others.count().saturating_add(1);
                    found.push(format!(
                        "is edited: paired.json names {count} not paired, which changes nothing: {}",
                        start_of(first)
                    ));
                }
            }
        }
    }
    if let Some(bytes) = bytes("pending.json").filter(|bytes| bytes.trim_ascii() != b"{}") {
        found.push(format!("held a pending.json that is no copy of ours ({} bytes)", bytes.len()));
    }
    found
}

/// Enough of an id to know it by.
fn start_of(id: &str) -> &str {
    id.get(..id.floor_char_boundary(16)).unwrap_or_default()
}

/// Writes the copies whenever who is paired changed or they are `gone`, but not more often than every few seconds. What lies there
/// before the first time is looked at, unless no gateway of ours has been here.
pub(super) async fn follow(state: StateDir, authority: Handle, gone: Arc<Notify>, has_run: bool) {
    let mut changes = authority.changes();
    let (place, registry) = (state.clone(), authority.registry());
    let found = tokio::task::spawn_blocking(move || if has_run { foreign(&place, &registry) } else { vec![] });
    for found in found.await.unwrap_or_default() {
        // If it cannot be recorded, the writer has said so.
        let _ = authority.ask(Command::Observe { condition: Condition::Devices, found: Some(found) }, Actor::System).await;
    }
    let mut written = None;
    loop {
        let registry = Arc::clone(&changes.borrow_and_update());
        let copy = paired_copy(&registry);
        if written.as_ref() != Some(&copy) {
            match write(&state, &registry) {
                Ok(()) => written = Some(copy),
                Err(error) => tracing::warn!(%error, "the copies for other tools could not be written"),
            }
        }
        tokio::time::sleep(limits::COPY_INTERVAL).await;
        tokio::select! {
            changed = changes.changed() => if changed.is_err() {
                return;
            },
            () = gone.notified() => written = None,
        }
    }
}
