//! Copies for tools that read OpenClaw's files: `devices/paired.json` without tokens, `devices/pending.json` always `{}`,
//! because the 2026.3.13 CLI, when refused, would "approve" in that file by itself. Written, never read.

use std::sync::Arc;

use tokio::sync::Notify;

use crate::authority::Handle;
use crate::limits;
use crate::pairing::Registry;
use crate::state::{StateDir, StateError, replace};
use crate::wire::devices::paired_copy;

/// Writes the copies now.
///
/// # Errors
/// [`StateError`].
pub(super) fn write(state: &StateDir, registry: &Registry) -> Result<(), StateError> {
    replace(&state.devices().join("paired.json"), format!("{:#}", paired_copy(registry)).as_bytes())?;
    replace(&state.devices().join("pending.json"), b"{}")
}

/// Writes the copies whenever who is paired changed or they are `gone`, but not more often than every few seconds.
pub(super) async fn follow(state: StateDir, authority: Handle, gone: Arc<Notify>) {
    let mut changes = authority.changes();
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
