//! What lies beside the journal and may go missing: looked for when a gateway starts, against what the last one had, and every
//! few seconds while it runs. Nothing is opened, nothing is mended here but the copies; what was never there is not missing.

use std::io::ErrorKind;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::Notify;

use crate::authority::Handle;
use crate::limits;
use crate::pairing::{Actor, Command, Condition, GatewayStarted, Registry, Run};
use crate::state::StateDir;

/// What is said of a file system without locks; it ends with them.
pub(super) const NO_LOCKS: &str = "has no working locks: nothing keeps a second gateway away";
/// The name under which a start records that there was no configuration.
const ABSENT: &str = "absent";
const CONFIGURATION: &str = "configuration";

/// Which of the places are there, in the order of [`PLACES`].
#[derive(Clone, Copy)]
pub(super) struct Look([bool; 4]);

const PLACES: [Condition; 4] = [Condition::Identity, Condition::Devices, Condition::Key, Condition::Configuration];

impl Look {
    pub(super) fn at(state: &StateDir) -> Self {
        // What cannot be looked at is not known to be gone.
        let is_there =
            |path: PathBuf| !matches!(std::fs::symlink_metadata(path), Err(error) if error.kind() == ErrorKind::NotFound);
        Self([state.identity(), state.devices(), state.token_key(), state.config()].map(is_there))
    }

    /// What a start records of it beside the settings.
    pub(super) fn recorded(self) -> Option<(String, String)> {
        let Self([.., configuration]) = self;
        (!configuration).then(|| (CONFIGURATION.to_owned(), ABSENT.to_owned()))
    }
}

/// What is to be noted at a start: how everything was found before anything was made anew, against what is on record.
pub(super) fn at_start(
    Look([has_identity, has_devices, has_key, has_configuration]): Look,
    before: &Registry,
    started: &GatewayStarted,
) -> Vec<(Condition, Option<String>)> {
    let last = before.last_run();
    let had_none = |last: &Run| last.started.settings.iter().any(|(name, value)| name == CONFIGURATION && value == ABSENT);
    let had_configuration = last.is_some_and(|last| !had_none(last)) || before.condition(Condition::Configuration).is_some();
    let identity = match (last.and_then(|last| last.identity), started.identity) {
        (Some(was), Some(is)) if was != is => Some(format!("is another device than before; it was {was}")),
        (_, Some(_)) => None,
        (_, None) if has_identity => Some("cannot be read".to_owned()),
        (was, None) => was.map(|was| format!("is gone; it was device {was}")),
    };
    let key = match (last.and_then(|last| last.key), started.key) {
        (_, None) => Some("cannot be used".to_owned()),
        (Some(was), Some(is)) if was != is && has_key => Some("is another than before".to_owned()),
        (Some(was), Some(is)) if was != is => Some("was gone at the start, so a new one was made".to_owned()),
        _ => None,
    };
    let lost = |is_gone: bool| is_gone.then(|| "was gone at the start".to_owned());
    vec![
        (Condition::Identity, identity),
        (Condition::Devices, lost(last.is_some() && !has_devices)),
        (Condition::Key, key),
        (Condition::Configuration, lost(had_configuration && !has_configuration)),
    ]
}

/// Notes what goes missing and what comes back, until the task is dropped. `look` is how things lay when everything that a
/// start makes had been made. Where the copies went, `copies` is told to write them again.
pub(super) async fn watch(state: StateDir, authority: Handle, mut look: Look, copies: Arc<Notify>) {
    let mut interval = tokio::time::interval(limits::CONDITION_INTERVAL);
    loop {
        interval.tick().await;
        let places = PLACES.into_iter().zip(Look::at(&state).0);
        for ((condition, is_there), was_there) in places.zip(&mut look.0) {
            if is_there == *was_there {
                continue;
            }
            let found = (!is_there).then(|| gone(condition).to_owned());
            // Where it cannot be recorded the next look tries again.
            if authority.ask(Command::Observe { condition, found }, Actor::System).await.is_ok() {
                *was_there = is_there;
                if condition == Condition::Devices && !is_there {
                    copies.notify_one();
                }
            }
        }
    }
}

fn gone(condition: Condition) -> &'static str {
    match condition {
        Condition::Key => "is gone; the gateway goes on with the key that it read",
        Condition::Configuration => "is gone; the gateway goes on with what it read",
        _ => "is gone",
    }
}
