//! Devices that are taken over from a real OpenClaw, as the owner says and by nobody's approval.

use super::super::command::{Context, Decision, LeftAlone, Outcome};
use super::super::event::{CommandName, DeviceImported};
use super::super::ids::DeviceId;
use super::super::policy::Policy;
use super::super::registry::Registry;
use super::{Subject, is_owner};

/// Enters the devices that nothing was decided about here.
pub(super) fn import(registry: &Registry, policy: &Policy, devices: Vec<DeviceImported>, context: &Context<'_>) -> Decision {
    if let Err(refusal) = is_owner(policy, context) {
        return Subject::of(CommandName::Import).refuse(context, refusal);
    }
    let (mut events, mut entered, mut left) = (vec![], vec![], vec![]);
    for device in devices {
        let id = device.profile.device;
        match left_alone(registry, &id) {
            Some(why) => left.push((id, why)),
            None if entered.contains(&id) => left.push((id, LeftAlone::Paired)),
            None => {
                entered.push(id);
                events.push((context.actor.clone(), device.into()));
            }
        }
    }
    Decision { events, outcome: Outcome::Imported { devices: entered, left } }
}

/// Whether something was decided about a device here that an import must not change.
#[must_use]
pub fn left_alone(registry: &Registry, id: &DeviceId) -> Option<LeftAlone> {
    if registry.device(id).is_some() {
        Some(LeftAlone::Paired)
    } else if registry.succession(id).is_some() {
        Some(LeftAlone::Succeeded)
    } else {
        registry.is_barred(id).then_some(LeftAlone::Barred)
    }
}
