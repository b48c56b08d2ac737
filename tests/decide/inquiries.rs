//! Which records an audit finds.

use openclaw_pairing::pairing::{DeviceSucceeded, Doer, Inquiry, Moment};

use super::*;

/// The names of what is found, in order.
fn found(world: &World, inquiry: &Inquiry) -> Vec<&'static str> {
    world.records.iter().filter(|record| inquiry.takes(record)).map(|record| record.event.name()).collect()
}

#[test]
fn an_inquiry_finds_what_fits_all_of_it() {
    let mut world = World::under(ASK);
    let admin = world.pair(1, ALL);
    let first = world.connect(&visit(2).asks("read")).request();
    world.wait(60);
    world.approve(admin.clone(), first);
    let before = world.now;
    world.wait(60);
    let second = world.connect(&visit(2).asks("write")).request();
    let third = world.connect(&visit(2).asks("pairing")).request();
    world.approve(by(2, "read"), third);
    world.rotate(admin, 2, Some("read"));
    let any = Inquiry::default();
    let of_two = Inquiry { device: Some(device(2)), ..any.clone() };
    let approved = ["PairingApproved", "TokenIssued"];

    let whole = found(&world, &of_two);
    let asked = [&REQUESTED[..], &approved, &REQUESTED, &REQUESTED, &["TokenRotated"]].concat();
    assert_eq!(whole, asked);
    let through_first = Inquiry { request: Some(first), ..any.clone() };
    assert_eq!(found(&world, &through_first), [&REQUESTED[..], &["PairingApproved"]].concat());
    // What replaced it names it too.
    let through_second = Inquiry { request: Some(second), ..any.clone() };
    assert_eq!(found(&world, &through_second), [&REQUESTED[..], &["PairingRequested"]].concat());
    let upgrades = Inquiry { reason: Some(Reason::ScopeUpgrade), ..any.clone() };
    assert_eq!(found(&world, &upgrades), [REQUESTED, REQUESTED].concat());

    let by_admin = Inquiry { doer: Some(Doer::Device(device(1))), ..of_two.clone() };
    assert_eq!(found(&world, &by_admin), [&approved[..], &["TokenRotated"]].concat());
    // What it tried is told with who tried, and connections only where somebody asks about a device, a request or a reason.
    let by_two = Inquiry { doer: Some(Doer::Device(device(2))), ..any.clone() };
    assert_eq!(found(&world, &by_two), ["PairingRequested", "PairingRequested", "PairingRequested", "CommandRefused"]);
    let by_owner = Inquiry { doer: Some(Doer::Owner), ..any.clone() };
    assert_eq!(found(&world, &by_owner), approved);

    let of_pairing = Inquiry { scope: Some(scopes("pairing")), role: Some(Role::Operator), ..of_two.clone() };
    assert_eq!(found(&world, &of_pairing), REQUESTED);
    let as_node = Inquiry { role: Some(Role::Node), ..of_two.clone() };
    assert_eq!(found(&world, &as_node), [""; 0]);
    let since = Inquiry { since: Some(Moment::Time(before.plus(1))), ..of_two.clone() };
    let until = Inquiry { until: Some(Moment::Time(before)), ..of_two.clone() };
    assert_eq!(found(&world, &since), whole[4..]);
    assert_eq!(found(&world, &until), whole[..4]);
    let last = world.registry.head();
    let at_last = Inquiry { since: Some(Moment::Seq(last)), until: Some(Moment::Seq(last)), ..any };
    assert_eq!(found(&world, &at_last), ["TokenRotated"]);

    let request = world.connect(&visit(3).asks("read")).request();
    world.note(owner(), DeviceSucceeded { device: device(2), by: device(3), request }.into());
    assert_eq!(found(&world, &of_two).last(), Some(&"DeviceSucceeded"), "of the one that was, too");
}

#[test]
fn a_doer_is_named_by_its_id_or_by_what_it_is() {
    assert_eq!("owner".parse(), Ok(Doer::Owner));
    assert_eq!("gateway".parse(), Ok(Doer::Gateway));
    assert_eq!("localFirstPairing".parse(), Ok(Doer::Rule(Rule::LocalFirstPairing)));
    assert_eq!(device(1).to_string().parse(), Ok(Doer::Device(device(1))));
    for nobody in ["", "root", "Owner", "localfirstpairing"] {
        assert!(nobody.parse::<Doer>().is_err(), "{nobody:?}");
    }
}
