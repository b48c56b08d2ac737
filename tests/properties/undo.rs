//! Whatever was done in a story, undone at its end by whoever was in it.

use std::collections::HashSet;

use openclaw_pairing::pairing::{
    Actor, Command, Done, Event, Obstacle, Outcome, Record, Refusal, Registry, Role, ScopeSet, TokenVerdict, check,
};

use crate::support::given::{device, exec, owner};
use crate::support::story::{Played, Step, issued};
use crate::{could_give, every_story};

#[test]
fn x42_an_undo_gives_no_more_than_was_held_by_nobody_who_could_not_give_it_and_no_token() {
    every_story(|played| {
        let actors: HashSet<_> = played.steps.iter().map(|step| step.actor.clone()).chain([owner(), exec()]).collect();
        for done in all_done(&played.world.records) {
            actors.iter().for_each(|actor| undo(played, &done, actor));
        }
    });
}

/// What the records tell of each of them.
fn all_done(records: &[Record]) -> Vec<Done> {
    let (mut registry, mut all) = (Registry::default(), Vec::<Done>::new());
    for record in records {
        all.iter_mut().for_each(|done| done.then(record));
        all.push(Done::new(&registry, record.clone()));
        registry.apply(record);
    }
    all
}

fn undo(played: &Played, done: &Done, actor: &Actor) {
    let before = &played.world.registry;
    let command = Command::Undo { done: Some(Box::new(done.clone())) };
    let decision = played.world.decide(actor.clone(), command.clone());
    if matches!(decision.outcome, Outcome::Refused(_)) {
        assert!(matches!(&*decision.events, [(_, Event::CommandRefused(_))]), "{decision:?}");
        return;
    }
    let (mut after, mut again) = (before.clone(), done.clone());
    for (by, event) in decision.events {
        assert_eq!(&by, actor);
        let record = Record { seq: after.head().next(), at: played.world.now, actor: by, event };
        assert_eq!(check(&after, &record), Ok(()));
        after.apply(&record);
        again.then(&record);
    }
    assert_eq!(decision.outcome, Outcome::Undone { first: before.head().next(), last: after.head() });
    for (n, role) in (1..=3).flat_map(|n| [(n, Role::Operator), (n, Role::Node)]) {
        let device = device(n);
        let held = |registry: &Registry| registry.device(&device).map(|device| device.held(role)).unwrap_or_default();
        let gained = held(&after).missing_from(role, &held(before));
        let was = done.before.device.as_ref().filter(|was| was.id == device).map(|was| was.held(role)).unwrap_or_default();
        assert!(was.covers(role, &gained), "{:?} gave {gained} back, of {was}", done.record.event);
        let step = step(played, actor, &command, &after);
        assert!(gained == ScopeSet::EMPTY || could_give(&step, actor, role, &gained), "{actor:?} gave {gained} as {role}");
        for token in issued(&played.world) {
            let is_live = |registry: &Registry| registry.judge(&device, role, &token) == TokenVerdict::Live;
            assert!(is_live(before) || !is_live(&after), "{:?} brought a token back", done.record.event);
        }
    }
    let told = Command::Undo { done: Some(Box::new(again)) };
    let Outcome::Refused(refusal) = played.world.decide(owner(), told).outcome else { panic!("{done:?} twice") };
    assert_eq!(*refusal, Refusal::from(Obstacle::Undone(before.head().next())));
}

/// The undoing as a step of the story.
fn step(played: &Played, actor: &Actor, command: &Command, after: &Registry) -> Step {
    Step {
        before: played.world.registry.clone(),
        after: after.clone(),
        now: played.world.now,
        actor: actor.clone(),
        command: command.clone(),
        outcome: Outcome::Noted,
        records: 0..0,
    }
}
