//! What `devices why` says first of a device that was refused is what the device was told.

use openclaw_pairing::views::{About, refusal_sentence, why};

use super::*;

/// What the device heard of this refusal, and what is said of it afterwards: the first sentence, and all of them.
fn told_and_said(world: &World, told: &Told, role: Role) -> (String, Vec<String>) {
    let id = device(1);
    let about = About { device: Some(&id), role: Some(role), request: None };
    let history: Vec<_> = world.records.iter().rev().filter(|record| record.event.device() == Some(id)).cloned().collect();
    let known = world.registry.device(&id).map(AsRef::as_ref);
    let why = why(&world.registry, world.now, id, known, &history, |_| true).expect("something is said");
    (refusal_sentence(told.refusal(), about), why.sentences)
}

#[test]
fn why_begins_with_what_the_device_was_told() {
    let paired = |names: &str| {
        let mut world = World::under(ASK);
        world.pair(1, names);
        world
    };
    let mut revoked = paired(ALL);
    revoked.revoke(owner(), 1);
    let mut narrow = paired(ALL);
    narrow.rotate(owner(), 1, Some("read"));
    let mut resting = World::under("{ version: 1, restAfterRemoval: true }");
    resting.connect(&visit(2).local().asks(ALL));
    resting.remove(owner(), 2);
    let all = visit(1).asks(ALL);
    for (mut world, visit, says) in [
        (World::under(ASK), all.clone(), "is not paired and asks for"),
        (resting, all.clone().local(), "localFirstPairing rests"),
        (paired("read"), all.clone(), "lacks operator.admin"),
        (paired(ALL), visit(1).node(), "does not hold this role"),
        (revoked, all.clone(), "until it was revoked"),
        (narrow, all.clone(), "its token was narrowed to operator.read"),
        (paired(ALL), all.clone().platform("windows"), "claims another platform"),
    ] {
        for _ in 0..2 {
            let told = world.connect(&visit);
            let (told, said) = told_and_said(&world, &told, visit.role);
            assert!(told.contains(says), "{told}");
            assert_eq!(said.first(), Some(&told));
            assert!(!said[1..].iter().any(|line| line.contains("pairing required")), "said once: {said:?}");
            world.wait(1);
        }
    }
}

/// One request stands for all that its device asked for; an attempt that asks for less is told of less, and that is said too.
#[test]
fn why_tells_what_the_last_attempt_was_told_where_it_asked_for_less() {
    let mut world = World::under(ASK);
    let whole = world.connect(&visit(1).asks("read write"));
    let less = world.connect(&visit(1).asks("read"));
    assert_eq!(less.request(), whole.request());
    let (told, said) = told_and_said(&world, &less, Role::Operator);
    let (whole, _) = told_and_said(&world, &whole, Role::Operator);
    assert_eq!((said.first(), told != whole), (Some(&whole), true));
    assert_eq!(said.iter().filter(|line| line.ends_with(&told)).count(), 1, "{said:?}");
}
