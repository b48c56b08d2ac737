//! What is found not as it should be. A condition is recorded when it is found, again only where it is found otherwise, and when
//! it is no more.

use super::super::command::{Context, Decision};
use super::super::event::{
    Condition, ConditionCleared, ConditionFound, ConfigurationChanged, Event, GatewayStarted, GatewayStopped,
};
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

/// Notes a start, that the gateway before it left no record of a stop, that it had another token key, and which settings are others
/// than its.
pub(super) fn start(registry: &Registry, event: GatewayStarted, context: &Context<'_>) -> Decision {
    let unclean = registry.last_run().filter(|run| !run.is_over).map(|run| {
        let detail = format!("started at seq {} and left no record of a stop", run.seq);
        Event::from(ConditionFound { condition: Condition::UncleanStop, detail })
    });
    let replaced = event.key.and_then(|key| recovery::replaced_key(registry, key));
    let changed = registry.last_run().map(|run| changed(&run.started, &event)).unwrap_or_default();
    let changed = changed.into_iter().map(Event::from);
    Decision::all_noted(context, [Some(event.into()), unclean, replaced].into_iter().flatten().chain(changed))
}

/// Notes a stop. Being in order, it ends what the last one was not.
pub(super) fn stop(registry: &Registry, event: GatewayStopped, context: &Context<'_>) -> Decision {
    let condition = Condition::UncleanStop;
    let cleared = registry.condition(condition).map(|_| Event::from(ConditionCleared { condition }));
    Decision::all_noted(context, [cleared, Some(event.into())].into_iter().flatten())
}

/// The settings that are others than at the last start: of those that both recorded, since another version may record more. Of the
/// shared secret only that it is another, and a mark that was made with another key tells nothing.
fn changed(last: &GatewayStarted, now: &GatewayStarted) -> Vec<ConfigurationChanged> {
    let value = |name: &str, value: &str| {
        let told = if name == GatewayStarted::SECRET { "set" } else { value };
        (!told.is_empty()).then(|| told.to_owned())
    };
    let change = |(name, after): &(String, String)| {
        let before = last.setting(name).filter(|before| before != after)?;
        let tells = match &**name {
            GatewayStarted::UNSEEN => false,
            GatewayStarted::SECRET => last.key == now.key,
            _ => true,
        };
        tells.then(|| ConfigurationChanged { key: name.clone(), before: value(name, before), after: value(name, after) })
    };
    now.settings.iter().filter_map(change).collect()
}

fn cut(detail: &str) -> &str {
    detail.get(..detail.floor_char_boundary(limits::TEXT_BYTES)).unwrap_or_default()
}
