//! The policy in force, the rules that rest, and what is told of the owner's acts.

use std::collections::BTreeSet;

use openclaw_pairing::limits;
use openclaw_pairing::pairing::{Actor, Event, Policy, Record, Registry, Rule, Seq};

use crate::support::story::Step;
use crate::{every_story, grants};

#[test]
fn over_the_wire_nothing_loosens() {
    every_story(|played| {
        for step in &played.steps {
            if matches!(step.actor, Actor::Owner(_)) {
                continue;
            }
            let (was, is) = (step.before.policy(), step.after.policy());
            assert!(was == is || (was.loosened_by(is).is_empty() && is.is_within(was)), "{:?}", step.command);
            assert!(resting(&step.before).is_subset(&resting(&step.after)), "{:?}", step.command);
        }
    });
}

fn resting(registry: &Registry) -> BTreeSet<Rule> {
    Rule::ALL.iter().copied().filter(|rule| registry.resting(*rule).is_some()).collect()
}

/// A seat belt, and what it holds: no grant, no code, no looser policy and no armed rule comes from such a shell.
#[test]
fn x22_from_a_shell_of_the_agent_nothing_widens_unless_the_policy_lets_it() {
    every_story(|played| {
        for step in &played.steps {
            let is_held = match &step.actor {
                Actor::Owner(person) => person.from_exec && !step.before.policy().takes_acts_from_exec(),
                _ => false,
            };
            if !is_held {
                continue;
            }
            assert!(step.before.policy().loosened_by(step.after.policy()).is_empty());
            assert_eq!(resting(&step.before).difference(&resting(&step.after)).next(), None);
            for record in &played.world.records[step.records.clone()] {
                let widens = match &record.event {
                    Event::PairingApproved(event) => !event.scopes.is_empty(),
                    Event::SetupCodeCreated(_) | Event::RuleArmed(_) | Event::OwnerActsSeen(_) => true,
                    _ => false,
                };
                assert!(!widens, "{record:?}");
            }
        }
    });
}

#[test]
fn the_policy_in_force_is_the_last_that_is_on_record() {
    every_story(|played| {
        let Some(Event::JournalCreated(created)) = played.world.records.first().map(|record| &record.event) else {
            panic!("a journal begins")
        };
        let (mut text, mut policy) = (&created.policy, Policy::parse(&created.policy));
        for step in &played.steps {
            for record in &played.world.records[step.records.clone()] {
                if let Event::PolicyChanged(event) = &record.event {
                    (text, policy) = (&event.policy, Policy::parse(&event.policy));
                }
            }
            assert_eq!((step.after.policy_text(), Ok(&**step.after.policy())), (Some(&**text), policy.as_ref()));
        }
    });
}

/// Whatever gave it, at no time does anybody come to hold what nobody of its kind may have.
#[test]
fn what_a_ceiling_forbids_nothing_grants() {
    every_story(|played| {
        for step in &played.steps {
            for record in &played.world.records[step.records.clone()] {
                let Event::PairingApproved(event) = &record.event else { continue };
                let device = step.after.device(&event.device).expect("paired");
                let denied = step.before.policy().denies(device.client, event.role, &event.scopes);
                assert_eq!(denied, None, "{record:?}");
            }
        }
    });
}

/// What a person took from a token with a rotation, only a person gives back.
#[test]
fn a_narrowed_token_stays_narrow_whatever_rule_there_is() {
    every_story(|played| {
        for step in &played.steps {
            for record in &played.world.records[step.records.clone()] {
                let (Actor::Rule(Rule::LocalUpgrade), Event::PairingApproved(event)) = (&record.actor, &record.event) else {
                    continue;
                };
                let device = step.before.device(&event.device).expect("paired");
                let taken = device.grants[&event.role].approved.missing_from(event.role, &device.held(event.role));
                let back = event.scopes.iter().filter(|scope| taken.iter().any(|taken| taken == *scope)).count();
                assert_eq!(back, 0, "{} of {taken}", event.scopes);
            }
        }
    });
}

#[test]
fn x20_a_rule_that_rests_gives_nothing_until_the_owner_arms_it() {
    every_story(|played| {
        let mut taken: BTreeSet<Rule> = BTreeSet::new();
        for step in &played.steps {
            for record in &played.world.records[step.records.clone()] {
                let rests = |rule: &Rule| step.before.policy().rests_after_removal() && taken.contains(rule);
                match (&record.actor, &record.event) {
                    (Actor::Rule(rule @ (Rule::LocalFirstPairing | Rule::LocalUpgrade)), Event::PairingApproved(_)) => {
                        assert!(!rests(rule), "{record:?}");
                    }
                    (Actor::Owner(_), Event::RuleArmed(event)) => drop(taken.remove(&event.rule)),
                    (other, Event::RuleArmed(_)) => panic!("armed by {other:?}"),
                    _ => {}
                }
            }
            taken.extend(taken_away(step));
            assert_eq!(resting(&step.after), taken);
        }
    });
}

/// The rules that gave something that is there no more.
fn taken_away(step: &Step) -> BTreeSet<Rule> {
    let there = |(device, role)| step.after.device(&device).is_some_and(|device| device.has(role));
    let gone = grants(&step.before).filter(|(device, role, grant)| grant.revoked.is_none() && !there((*device, *role)));
    gone.flat_map(|(.., grant)| grant.rules.iter().copied()).collect()
}

#[test]
fn unseen_acts_equal_what_the_records_say() {
    every_story(|played| {
        let mut unseen: Vec<Seq> = vec![];
        let mut registry = Registry::default();
        for record in &played.world.records {
            match &record.event {
                Event::OwnerActsSeen(event) => unseen.retain(|seq| *seq > event.through),
                _ if is_act(record) => unseen.push(record.seq),
                _ => {}
            }
            registry.apply(record);
            let told = registry.unseen();
            assert_eq!(told.count, unseen.len() as u64);
            assert_eq!(told.last, unseen[unseen.len().saturating_sub(limits::UNSEEN_ACTS)..]);
        }
    });
}

/// A token that came with an approval is no act of its own.
fn is_act(record: &Record) -> bool {
    matches!(record.actor, Actor::Owner(_)) && !matches!(record.event, Event::TokenIssued(_))
}
