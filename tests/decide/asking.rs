//! A device that asks for more on the connection it has, and a device that is given a name.

use super::*;

fn ask(world: &mut World, n: u8, names: &str) -> Told {
    world.tell(by(n, "read"), Command::Ask { scopes: scopes(names), address: address(203, n) })
}

fn asked(told: &Told) -> RequestId {
    match told.outcome {
        Outcome::Asked { request } => request,
        ref other => panic!("asked expected, not {other:?}"),
    }
}

#[test]
fn asking_for_more_raises_the_request_that_a_refused_connect_would() {
    let mut world = World::new();
    world.grant(&visit(1).asks("read").family("Linux"));
    let told = ask(&mut world, 1, "read write");
    assert_eq!(told.names(), ["PairingRequested"]);
    let request = asked(&told);
    let waiting = world.registry.request(&request).expect("it waits");
    assert_eq!((waiting.reason, &waiting.scopes), (Reason::ScopeUpgrade, &scopes("read write")));
    // Who asks for no more than that is shown by it, whichever way it asks.
    assert_eq!(ask(&mut world, 1, "write").events.len(), 0);
    assert_eq!(asked(&ask(&mut world, 1, "write")), request);
    assert_eq!(world.connect(&visit(1).asks("write").family("Linux")).request(), request);
    world.approve(owner(), request);
    assert_eq!(world.held(1), scopes("read write"));
}

#[test]
fn asking_for_more_than_waits_replaces_the_request_by_both() {
    let mut world = World::new();
    world.pair(1, "read");
    let first = asked(&ask(&mut world, 1, "write"));
    let second = asked(&ask(&mut world, 1, "approvals"));
    assert_eq!(world.waiting(), [second]);
    assert_eq!(world.registry.request(&second).map(|request| &request.scopes), Some(&scopes("write approvals")));
    assert!(matches!(world.approve(owner(), first).refusal(), Refusal::Resolved(how) if how.ending == Ending::Superseded));
}

#[test]
fn asking_again_after_the_time_of_a_request_makes_a_new_one() {
    let mut world = World::new();
    world.pair(1, "read");
    let first = asked(&ask(&mut world, 1, "write"));
    world.wait(300);
    let told = ask(&mut world, 1, "write");
    assert_eq!(told.names(), ["PairingExpired", "PairingRequested"]);
    assert_ne!(asked(&told), first);
}

#[test]
fn who_may_not_ask_for_more_is_told_why() {
    let mut world = World::new();
    world.pair(1, "read write");
    world.grant(&visit(2).node());
    world.pair(3, "read");
    world.revoke(owner(), 3);
    let refusal = |world: &mut World, n, names: &str| ask(world, n, names).refusal().clone();
    assert_eq!(refusal(&mut world, 1, "read"), Refusal::HeldAlready);
    assert_eq!(refusal(&mut world, 2, "read"), Refusal::RoleNotHeld(Role::Operator));
    assert_eq!(refusal(&mut world, 3, "read"), Refusal::RoleNotHeld(Role::Operator));
    assert_eq!(refusal(&mut world, 4, "read"), Refusal::UnknownDevice);
    let keyless = Actor::SharedSecret { rule: Rule::LocalCli, scopes: scopes("read") };
    let told = world.tell(keyless, Command::Ask { scopes: scopes("write"), address: address(203, 9) });
    assert_eq!((told.names(), told.refusal()), (vec!["CommandRefused"], &Refusal::DeviceRequired));
    assert_eq!(world.waiting(), []);
}

#[test]
fn a_name_is_given_once_and_says_what_it_was() {
    let mut world = World::new();
    world.pair(1, "read pairing");
    let name = |label: &str| Command::Rename { device: device(1), label: label.to_owned() };
    assert_eq!(world.tell(owner(), name("kitchen")).names(), ["DeviceRenamed"]);
    let told = world.tell(by(1, "pairing"), name("hall"));
    assert!(matches!(&told.events[..], [(_, Event::DeviceRenamed(event))] if event.label_before.as_deref() == Some("kitchen")));
    assert_eq!(world.tell(owner(), name("hall")).names(), [] as [&str; 0]);
    // A new approval leaves it, a removal does not.
    world.grant(&visit(1).asks("write"));
    assert_eq!(world.registry.device(&device(1)).and_then(|device| device.label.as_deref()), Some("hall"));
    world.remove(owner(), 1);
    world.pair(1, "read");
    assert_eq!(world.registry.device(&device(1)).and_then(|device| device.label.as_deref()), None);
}

#[test]
fn a_name_is_for_the_device_itself_or_an_admin_to_give() {
    let mut world = World::new();
    world.pair(1, "read pairing");
    world.pair(2, "read pairing");
    let name = |n| Command::Rename { device: device(n), label: "mine".to_owned() };
    assert_eq!(world.tell(by(2, "pairing"), name(1)).refusal(), &Refusal::NeedsAdmin);
    assert_eq!(world.tell(by(1, "read"), name(1)).refusal(), &Refusal::MissingScope(scopes("pairing")));
    assert_eq!(world.tell(owner(), name(9)).refusal(), &Refusal::UnknownDevice);
    assert!(world.registry.devices().all(|device| device.label.is_none()));
}
