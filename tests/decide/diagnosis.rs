//! Who is out since what, and which command is told: from records alone.

use super::*;
use openclaw_pairing::pairing::{
    AttemptsSuppressed, Condition, ConditionFound, Digest, GatewayStarted, GatewayStopped, RollbackAccepted,
};
use openclaw_pairing::views::{Aftermath, Finding, Scene, diagnose};
use support::given::exec;

fn started(world: &mut World, version: &str) {
    let event = GatewayStarted { version: version.to_owned(), key: None, identity: None, settings: vec![] };
    world.note(Actor::System, event.into());
}

fn stopped(world: &mut World) {
    world.note(Actor::System, GatewayStopped { cause: "SIGTERM".to_owned() }.into());
}

fn found_by(world: &World, actor: Actor) -> Vec<Finding> {
    let mut aftermath = Aftermath::default();
    world.records.iter().for_each(|record| aftermath.hear(record));
    let (registry, now) = (&world.registry, world.now);
    diagnose(&Scene { registry, aftermath: &aftermath, now, actor, identity: None, has_key: true, can_start: false })
}

#[track_caller]
fn found(world: &World, id: &str) -> Finding {
    let findings = found_by(world, owner());
    findings.iter().find(|finding| finding.id == id).unwrap_or_else(|| panic!("no {id} in {findings:#?}")).clone()
}

/// Paired devices with their own connections since, under version 1.
fn paired(devices: &[u8]) -> World {
    let mut world = World::under(ASK);
    started(&mut world, "1");
    for n in devices {
        world.pair(*n, "read");
        world.connect(&visit(*n).asks("read"));
    }
    stopped(&mut world);
    world
}

#[test]
fn refusals_are_counted_and_held_against_the_update_that_they_began_after() {
    let mut world = paired(&[1, 2]);
    started(&mut world, "2");
    world.wait(180);
    for n in [1, 2, 2] {
        world.connect(&visit(n).asks("read write"));
    }
    let like = world.registry.head();
    let suppressed = AttemptsSuppressed {
        like: Some(like),
        address: None,
        device: Some(device(2)),
        request: None,
        refusal: 4,
        count: 11,
        first: world.now,
        last: world.now,
    };
    world.note(Actor::System, suppressed.into());
    // A gateway that was killed since turned nobody away.
    started(&mut world, "2");
    let detail = "started at seq 1 and left no record of a stop".to_owned();
    world.note(Actor::System, ConditionFound { condition: Condition::UncleanStop, detail }.into());
    let told = found(&world, "requests");
    assert!(told.text.starts_with("14 refusals began 3 min after the update from 1 to 2 ("), "{}", told.text);
    let waiting = world.waiting().iter().map(|id| format!(" {id}")).collect::<Vec<_>>();
    let command = told.command.expect("a command");
    assert!(waiting.iter().all(|id| command.contains(id)) && waiting.len() == 2, "{command}");
    assert_eq!(told.devices, [device(1), device(2)]);
    for request in world.waiting() {
        world.approve(owner(), request);
    }
    assert!(found_by(&world, owner()).iter().all(|finding| finding.id != "requests"), "what was answered is over");
}

#[test]
fn whoever_was_let_in_since_or_never_before_is_not_held_against_an_update() {
    let mut world = paired(&[1]);
    started(&mut world, "2");
    world.connect(&visit(1).asks("read"));
    world.connect(&visit(1).asks("read write"));
    let told = found(&world, "requests");
    assert!(told.text.starts_with("1 request of paired devices wait"), "{}", told.text);
    world.wait(3_601);
    world.connect(&visit(9).asks("read"));
    let findings = found_by(&world, owner());
    assert!(findings.iter().all(|finding| !finding.text.contains("began") || finding.id != "requests"), "{findings:#?}");
}

#[test]
fn strangers_of_whom_not_all_are_told_are_not_approved_by_one_command() {
    let mut world = World::under(ASK);
    for n in 1..=8 {
        world.connect(&visit(n).asks("read"));
    }
    let command = found(&world, "requests").command.expect("a command");
    assert_eq!(command.split(' ').count(), 3 + 8, "{command}");
    world.connect(&visit(9).asks("read"));
    assert_eq!(found(&world, "requests").command.as_deref(), Some("openclaw devices list"));
    // From a shell of OpenClaw's agent none would be obeyed.
    let findings = found_by(&world, exec());
    assert!(findings.iter().all(|finding| !finding.command.as_ref().is_some_and(|told| told.contains("approve"))));
    assert_eq!(findings.iter().filter(|finding| finding.id == "request").count(), 9);
}

#[test]
fn whoever_is_suspended_since_an_older_copy_was_accepted_is_told() {
    let mut world = paired(&[1, 2]);
    let event = RollbackAccepted { head: Seq(1), witnessed: Seq(2), hash: Digest([0; 32]), keeps: vec![device(2)] };
    world.note(owner(), event.into());
    let told = found(&world, "suspended");
    assert_eq!((told.devices, told.command.as_deref()), (vec![device(1)], Some("openclaw devices list")));
}
