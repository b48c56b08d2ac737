//! Copies for tools that read OpenClaw's files: `devices/paired.json` without tokens, `devices/pending.json` always `{}`,
//! because the 2026.3.13 CLI, when refused, would "approve" in that file by itself. Written, never read back: what somebody else
//! wrote there is told and replaced.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::de::IgnoredAny;
use serde_json::Value;
use tokio::sync::Notify;

use crate::authority::Handle;
use crate::limits;
use crate::pairing::{Actor, Command, Condition, DeviceId, Registry};
use crate::state::{StateDir, StateError, place, read, replace};
use crate::wire::devices::paired_copy;

/// Writes the copies now.
///
/// # Errors
/// [`StateError`].
pub fn write(state: &StateDir, registry: &Registry) -> Result<(), StateError> {
    replace(&state.devices().join("paired.json"), format!("{:#}", paired_copy(registry)).as_bytes())?;
    replace(&state.devices().join("pending.json"), b"{}")
}

/// Puts aside what a real OpenClaw wrote where our first copy is to stand, tokens and all, so that it can be imported still. What
/// was put aside before stays.
///
/// # Errors
/// [`StateError`].
pub(super) fn keep_original(state: &StateDir) -> Result<(), StateError> {
    let Some(bytes) = read(&state.devices().join("paired.json"), limits::COPY_BYTES)? else { return Ok(()) };
    let is_copy = serde_json::from_slice::<BTreeMap<String, Value>>(&bytes)
        .is_ok_and(|entries| entries.values().all(|entry| entry.get("tokens").is_none()));
    if !is_copy {
        place(&state.devices_of_openclaw(), &bytes)?;
    }
    Ok(())
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
    let found = tokio::task::spawn_blocking(move || {
        if has_run { Ok(foreign(&place, &registry)) } else { keep_original(&place).map(|()| vec![]) }
    });
    let found = match found.await {
        Ok(Err(error)) => {
            tracing::warn!(%error, "what OpenClaw wrote there could not be put aside, so no copies are written for other tools");
            return;
        }
        Ok(Ok(found)) => found,
        // It panicked, and said so.
        Err(_) => vec![],
    };
    for found in found {
        // If it cannot be recorded, the writer has said so.
        let _ = authority.ask(Command::Observe { condition: Condition::Devices, found: Some(found) }, Actor::System).await;
    }
    let mut written = None;
    loop {
        let registry = Arc::clone(&changes.borrow_and_update().registry);
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
