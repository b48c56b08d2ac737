//! What becomes of what a device approved, once it goes; and what is not taken from the owner where an agent asks in their place.

use std::collections::BTreeSet;

use openclaw_pairing::pairing::{DeviceId, Person};

use super::*;

/// Device 1 lets in 2 and 3, 2 lets in 4, 4 lets in 5 and gives 1 more; 6 is the owner's.
fn family() -> World {
    let mut world = World::under(ASK);
    world.pair(1, ALL);
    for (parent, child) in [(1, 2), (1, 3), (2, 4), (4, 5)] {
        let request = world.connect(&visit(child).asks(ALL)).request();
        world.approve(by(parent, ALL), request);
    }
    let request = world.connect(&visit(1).node()).request();
    world.approve(by(4, ALL), request);
    world.pair(6, ALL);
    world
}

fn ids(numbers: &[u8]) -> BTreeSet<DeviceId> {
    numbers.iter().map(|n| device(*n)).collect()
}

fn approved(told: &Told) -> BTreeSet<DeviceId> {
    match &told.outcome {
        Outcome::Removed { approved, .. } | Outcome::Revoked { approved, .. } => approved.iter().copied().collect(),
        other => panic!("{other:?}"),
    }
}

fn paired(world: &World) -> BTreeSet<DeviceId> {
    world.registry.devices().map(|device| device.id).collect()
}

#[test]
fn x09_what_a_device_approved_is_told_at_any_depth_and_goes_with_it_where_that_is_wanted() {
    let remove = |n, with_approved| Command::Remove { device: device(n), with_approved };
    let mut world = family();
    let told = world.tell(owner(), remove(1, false));
    assert_eq!((approved(&told), told.names()), (ids(&[2, 3, 4, 5]), vec!["DeviceRemoved"]));
    assert_eq!(paired(&world), ids(&[2, 3, 4, 5, 6]));
    // It is not too late.
    let told = world.tell(owner(), remove(1, true));
    assert_eq!((approved(&told).len(), told.names()), (4, vec!["DeviceRemoved"; 4]));
    assert_eq!(paired(&world), ids(&[6]));

    let mut world = family();
    let told = world.tell(owner(), remove(2, true));
    assert_eq!(approved(&told), ids(&[1, 3, 4, 5]), "what 4 gave to 1, and 1 to 3, comes from it too");
    assert_eq!(paired(&world), ids(&[6]));

    let mut world = family();
    let role = Role::Operator;
    let told = world.tell(by(6, ALL), Command::Revoke { device: device(4), role, with_approved: true });
    assert_eq!(approved(&told), ids(&[1, 2, 3, 5]));
    assert!(ids(&[2, 3, 4, 5]).iter().all(|id| !world.registry.device(id).expect("known").has(role)));
    // Of 1 only what 4 gave is taken: the owner gave the other.
    let first = world.registry.device(&device(1)).expect("known");
    assert!(first.has(role) && !first.has(Role::Node));
    // Nobody is told who has no business with others, and nobody takes what is not theirs to take.
    let told = world.tell(by(5, "pairing"), remove(6, true));
    assert_eq!(told.outcome, Outcome::Refused(Box::new(Refusal::MissingScope(scopes("pairing")))));
}

#[test]
fn x15_only_what_widens_is_kept_from_an_agents_shell_and_only_where_no_policy_lets_it() {
    let agent = || Actor::Owner(Person { uid: 1000, pid: 8, from_exec: true, ..Person::default() });
    let lets = format!("{}, ownerActsFromExec: true }}", ASK.trim_end_matches(" }"));
    for (policy, is_kept) in [(ASK, true), (lets.as_str(), false)] {
        let mut world = World::under(policy);
        world.pair(1, "read write");
        let [first, second] = [2, 3].map(|n| world.connect(&visit(n).asks("read")).request());
        let arm = Command::ArmRule { rule: Rule::LocalFirstPairing };
        let seen = Command::MarkSeen { through: Seq(3) };
        let wider = Command::Rotate { device: device(1), role: Role::Operator, scopes: Some(scopes(ALL)) };
        let looser = Command::ApplyPolicy { text: "{ version: 1 }".to_owned() };
        for command in [Command::Approve { request: first }, wider, arm, seen, looser] {
            let told = world.tell(agent(), command.clone());
            assert_eq!(told.outcome == Outcome::Refused(Box::new(Refusal::FromExecShell)), is_kept, "{command:?}");
        }
        let narrow = Command::Rotate { device: device(1), role: Role::Operator, scopes: Some(scopes("read")) };
        let narrows = [Command::Reject { request: second }, narrow, Command::Remove { device: device(1), with_approved: true }];
        for command in narrows {
            let told = world.tell(agent(), command.clone());
            assert!(!told.is_refused() && told.events.iter().all(|(actor, _)| *actor == agent()), "{command:?}");
        }
    }
}
