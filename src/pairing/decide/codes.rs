//! Setup codes: an approval given ahead, to whoever shows the code first. What they give when they are shown is admission's.

use super::super::command::{Context, Decision, Outcome, Refusal};
use super::super::event::{CommandName, RoleGrant, SetupCodeCreated, SetupCodeRevoked};
use super::super::ids::{Digest, SetupCodeId};
use super::super::policy::Policy;
use super::super::registry::Registry;
use super::{Powers, Subject, seat_belt};
use crate::limits;

/// Makes a code. It may be shown by anybody, so whoever makes one may do everything.
pub(super) fn create(
    registry: &Registry,
    policy: &Policy,
    (grants, digest): (Vec<RoleGrant>, Digest),
    lives_ms: u64,
    label: Option<String>,
    context: &Context<'_>,
) -> Decision {
    let subject = Subject::of(CommandName::CreateSetupCode);
    let may = Powers::of(registry, policy, &context.actor).check_all().and_then(|()| seat_belt(policy, context));
    if let Err(refusal) = may {
        return subject.refuse(context, refusal);
    }
    if registry.setup_codes().filter(|(_, code)| context.now < code.expires).count() >= limits::SETUP_CODES {
        return subject.refuse(context, Refusal::TooManySetupCodes);
    }
    let (least, _, most) = limits::SETUP_CODE_MS;
    let (code, expires) = (SetupCodeId(context.ids[0]), context.now.plus(lives_ms.clamp(least, most)));
    let event = SetupCodeCreated { code, digest, grants, expires, label };
    Decision { events: vec![(context.actor.clone(), event.into())], outcome: Outcome::CodeCreated { code, expires } }
}

/// Takes a code back that nobody has spent.
pub(super) fn revoke(registry: &Registry, policy: &Policy, code: SetupCodeId, context: &Context<'_>) -> Decision {
    let subject = Subject::of(CommandName::RevokeSetupCode);
    if let Err(refusal) = Powers::of(registry, policy, &context.actor).check_all() {
        return subject.refuse(context, refusal);
    }
    let is_good = registry.setup_code(&code).is_some_and(|code| code.spent.is_none() && context.now < code.expires);
    if !is_good {
        return subject.refuse(context, Refusal::UnknownSetupCode);
    }
    Decision { events: vec![(context.actor.clone(), SetupCodeRevoked { code }.into())], outcome: Outcome::Noted }
}
