//! What is found not as it should be. A condition is recorded when it is found, again only where it is found otherwise, and when
//! it is no more.

use super::super::command::{Context, Decision};
use super::super::event::{Condition, ConditionCleared, ConditionFound, Event, GatewayStarted, GatewayStopped};
use super::super::registry::Registry;
use super::recovery;
use crate::limits;

/// Notes how something was found.
pub(super) fn observe(registry: &Registry, condition: Condition, found: Option<String>, context: &Context<'_>) -> Decision {
    let known = registry.condition(condition).map(|known| known.detail.as_str());
    let event = match (found.as_deref().map(cut), known) {
        (Some(detail), known) if known != Some(detail) => Some(ConditionFound { condition, detail: detail.to_owned() }.into()),
        (None, Some(_)) => Some(ConditionCleared { condition }.into()),
        _ => None,
    };
    Decision::all_noted(context, event)
}

/// Notes a start, that the gateway before it left no record of a stop, and that it had another token key.
pub(super) fn start(registry: &Registry, event: GatewayStarted, context: &Context<'_>) -> Decision {
    let unclean = registry.last_run().filter(|run| !run.is_over).map(|run| {
        let detail = format!("started at seq {} and left no record of a stop", run.seq);
        Event::from(ConditionFound { condition: Condition::UncleanStop, detail })
    });
    let replaced = event.key.and_then(|key| recovery::replaced_key(registry, key));
    Decision::all_noted(context, [Some(event.into()), unclean, replaced].into_iter().flatten())
}

/// Notes a stop. Being in order, it ends what the last one was not.
pub(super) fn stop(registry: &Registry, event: GatewayStopped, context: &Context<'_>) -> Decision {
    let condition = Condition::UncleanStop;
    let cleared = registry.condition(condition).map(|_| Event::from(ConditionCleared { condition }));
    Decision::all_noted(context, [cleared, Some(event.into())].into_iter().flatten())
}

fn cut(detail: &str) -> &str {
    detail.get(..detail.floor_char_boundary(limits::TEXT_BYTES)).unwrap_or_default()
}
