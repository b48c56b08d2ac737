//! What `doctor` prints is obeyed: nobody who is locked out at three in the morning is told a command that is refused.

use openclaw_pairing::pairing::{Command, Context, Outcome, Record, Rule, decide};
use openclaw_pairing::views::{Aftermath, Scene, diagnose};

use crate::every_story;
use crate::support::given::{World, owner};
use crate::support::story::Played;

/// The commands that only look, by how they begin.
const LOOKS: &[&str] = &["devices list", "devices why ", "policy show", "status --seen", "journal verify", "logs", "gateway run"];

/// What the owner would do by typing this; nothing where that only looks.
fn commands(words: &str) -> Vec<Command> {
    let words = words.strip_prefix("openclaw ").expect("our own command");
    if let Some(ids) = words.strip_prefix("devices approve ") {
        return ids.split(' ').map(|id| Command::Approve { request: id.parse().expect("a request") }).collect();
    }
    if let Some(rule) = words.strip_prefix("policy arm ") {
        return vec![Command::ArmRule { rule: Rule::from_text(rule).expect("a rule") }];
    }
    assert!(LOOKS.iter().any(|look| words.starts_with(look)), "{words}");
    vec![]
}

/// Everything that is printed at the end of a story is obeyed, one after the other.
fn is_obeyed(played: &Played) -> usize {
    let World { registry, records, now, fresh, .. } = &played.world;
    let mut aftermath = Aftermath::default();
    records.iter().for_each(|record| aftermath.hear(record));
    // Chance that repeats itself is nobody's to foresee.
    fresh.repeats.set(false);
    let has_key = fresh.works.get();
    let scene = Scene { registry, aftermath: &aftermath, now: *now, actor: owner(), identity: None, has_key, can_start: true };
    let (mut state, mut count) = (registry.clone(), 0);
    for finding in diagnose(&scene) {
        for command in finding.command.iter().flat_map(|command| commands(command)) {
            let context = Context { actor: owner(), now: (*now).max(state.now()), ids: [[7; 16]; 2], mint: fresh };
            let decision = decide(&state, state.policy(), command.clone(), &context);
            assert!(!matches!(decision.outcome, Outcome::Refused(_)), "{command:?}: {:?}", decision.outcome);
            let at = context.now;
            for (actor, event) in decision.events {
                state.apply(&Record { seq: state.head().next(), at, actor, event });
            }
            count += 1;
        }
    }
    count
}

#[test]
fn whatever_happened_every_command_that_doctor_prints_is_obeyed_by_the_owner() {
    let count = std::cell::Cell::new(0_usize);
    every_story(|played| count.set(count.get() + is_obeyed(played)));
    assert!(count.get() > 100 || std::env::var("PAIRING_SEED").is_ok(), "something was printed: {}", count.get());
}
