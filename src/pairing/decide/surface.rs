//! What a node may offer: what it declares, as far as it was approved and the policy has it for the platform that is pinned. It is
//! never kept: whoever asks is told what holds now.

use super::super::command::Surface;
use super::super::event::Description;
use super::super::ids::RequestId;
use super::super::policy::Policy;
use super::super::registry::{Registry, Request};
use super::super::scopes::Role;
use super::asking::vouched;

/// What a node may offer of what it declares.
#[must_use]
pub fn may_offer(policy: &Policy, approved: &Description, declared: &Description) -> Surface {
    let Description { caps, commands, .. } = declared;
    let let_offer = policy.lets_offer(approved.platform.as_deref(), commands);
    let commands = let_offer.into_iter().filter(|name| approved.commands.iter().any(|known| known == name));
    Surface {
        caps: caps.iter().filter(|name| approved.caps.contains(name)).cloned().collect(),
        commands: commands.map(str::to_owned).collect(),
    }
}

/// The commands that a request shows and the policy would keep back, though a person approved them.
#[must_use]
pub fn kept_back<'a>(registry: &Registry, request: &'a Request) -> Vec<&'a str> {
    if request.role != Role::Node {
        return vec![];
    }
    let pinned = || registry.device(&request.device).and_then(|device| device.description.platform.as_deref());
    let platform = vouched(request.form, &request.description).0.or_else(pinned);
    let commands = &request.description.commands;
    let let_offer = registry.policy().lets_offer(platform, commands);
    commands.iter().map(String::as_str).filter(|name| !let_offer.contains(name)).collect()
}

/// The role that a request asks for, as long as it is known.
#[must_use]
pub fn role_of(registry: &Registry, request: &RequestId) -> Option<Role> {
    let waits = registry.request(request).map(|request| request.role);
    waits.or_else(|| registry.settled(request).map(|settled| settled.role))
}
