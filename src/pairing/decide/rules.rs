//! The policy itself: another one put in force, a rule armed again, the owner's acts seen.

use super::super::command::{Context, Decision, Outcome, Refusal};
use super::super::event::{Actor, CommandName, Event, OwnerActsSeen, PolicyChanged, Rule, RuleArmed};
use super::super::ids::Seq;
use super::super::policy::Policy;
use super::super::registry::{Registry, Resting};
use super::{Powers, Subject, seat_belt};

/// Puts another policy in force.
pub(super) fn apply(registry: &Registry, policy: &Policy, text: String, context: &Context<'_>) -> Decision {
    match change(registry, policy, text, context) {
        Ok(event) => {
            let events = event.into_iter().map(|event| (context.actor.clone(), event.into())).collect();
            Decision { events, outcome: Outcome::Applied }
        }
        Err(refusal) => Subject::of(CommandName::ApplyPolicy).refuse(context, refusal),
    }
}

/// What puts the policy of this text in force, or nothing where it is. Only the owner may let in what is not let in now.
pub(super) fn change(
    registry: &Registry,
    policy: &Policy,
    text: String,
    context: &Context<'_>,
) -> Result<Option<PolicyChanged>, Refusal> {
    Powers::of(registry, policy, &context.actor).check_all()?;
    let wanted = Policy::parse(&text).map_err(|error| Refusal::BadPolicy { why: error.to_string() })?;
    if registry.policy_text() == Some(&*text) {
        return Ok(None);
    }
    let looser = policy.loosened_by(&wanted);
    if !looser.is_empty() {
        if !matches!(context.actor, Actor::Owner(_)) {
            return Err(Refusal::LoosensPolicy { keys: looser.join(", ") });
        }
        seat_belt(policy, context)?;
    }
    Ok(Some(PolicyChanged { policy: text }))
}

/// Whether a local rule rests, since a person took away what it had let in.
pub(super) fn rests(registry: &Registry, policy: &Policy, rule: Rule) -> bool {
    policy.rests_after_removal() && registry.resting(rule).is_some()
}

/// The rules of the policy in force that rest, and why.
#[must_use]
pub fn resting_rules(registry: &Registry) -> Vec<(Rule, Resting)> {
    let policy = registry.policy();
    let on = policy.spares().into_iter().map(|spares| spares.rule).filter(|rule| rule.can_rest());
    on.filter(|rule| rests(registry, policy, *rule)).filter_map(|rule| Some((rule, registry.resting(rule)?))).collect()
}

/// Lets a local rule work again that rests.
pub(super) fn arm(registry: &Registry, policy: &Policy, rule: Rule, context: &Context<'_>) -> Decision {
    let subject = Subject::of(CommandName::ArmRule);
    let may = match context.actor {
        Actor::Owner(_) => seat_belt(policy, context),
        _ => Err(Refusal::LoosensPolicy { keys: rule.to_string() }),
    };
    if let Err(refusal) = may {
        return subject.refuse(context, refusal);
    }
    let event = registry.resting(rule).map(|_| Event::from(RuleArmed { rule }));
    Decision { events: event.into_iter().map(|event| (context.actor.clone(), event)).collect(), outcome: Outcome::Noted }
}

/// Notes that somebody saw what the owner did. An agent's shell does not see for a person.
pub(super) fn seen(registry: &Registry, policy: &Policy, through: Seq, context: &Context<'_>) -> Decision {
    let subject = Subject::of(CommandName::MarkSeen);
    let may = Powers::of(registry, policy, &context.actor).check_all().and_then(|()| seat_belt(policy, context));
    if let Err(refusal) = may {
        return subject.refuse(context, refusal);
    }
    let through = through.min(registry.head());
    let is_news = registry.unseen().last.first().is_some_and(|first| *first <= through);
    let event = is_news.then(|| (context.actor.clone(), OwnerActsSeen { through }.into()));
    Decision { events: event.into_iter().collect(), outcome: Outcome::Noted }
}
