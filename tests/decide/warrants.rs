//! On whose authority what is held is held.

use openclaw_pairing::pairing::{
    DeviceImported, DeviceRestored, DeviceSucceeded, Gave, GrantWithdrawn, ImportedGrant, Provenance, RoleGrant,
    RollbackAccepted, Root, Warrant,
};

use super::sight::imported;
use super::*;

/// The acts from the one that gave the scope upwards, and the root.
fn chain(world: &World, n: u8, role: Role, scope: &str) -> Vec<String> {
    chain_until(world, world.records.len(), n, role, scope)
}

/// As it was behind so many records.
fn chain_until(world: &World, records: usize, n: u8, role: Role, scope: &str) -> Vec<String> {
    let mut provenance = Provenance::default();
    world.records[..records].iter().for_each(|record| provenance.apply(record));
    let Some(Warrant { deeds, root }) = provenance.warrant(&device(n), role, &scopes(scope)) else { return vec![] };
    let mut told: Vec<_> = deeds.iter().map(|deed| format!("{} by {}", deed.name(), by_whom(&deed.actor))).collect();
    told.push(root.map_or("unknown", Root::as_str).to_owned());
    told
}

fn by_whom(actor: &Actor) -> String {
    match actor {
        Actor::Device { device: id, .. } => (1..9).find(|n| device(*n) == *id).expect("a device of the test").to_string(),
        Actor::Owner(_) => "the owner".to_owned(),
        Actor::SharedSecret { rule, .. } | Actor::Rule(rule) => rule.to_string(),
        Actor::System => "the gateway".to_owned(),
        Actor::Peer => "a peer".to_owned(),
    }
}

/// Device `n` asked for this as an operator, and device `by` approved it.
fn approves(world: &mut World, giver: &Actor, n: u8, names: &str) {
    let request = world.connect(&visit(n).asks(names)).request();
    let told = world.approve(giver.clone(), request);
    assert!(!told.is_refused(), "{:?}", told.outcome);
}

const BY_OWNER: [&str; 2] = ["approval by the owner", "owner"];

#[test]
fn a_warrant_leads_from_giver_to_giver_up_to_the_owner() {
    let mut world = World::under(ASK);
    let admin = world.pair(1, ALL);
    approves(&mut world, &admin, 2, "pairing read");
    let pairing = by(2, "pairing read");
    approves(&mut world, &pairing, 3, "read");
    assert_eq!(chain(&world, 3, Role::Operator, "read"), [&["approval by 2", "approval by 1"][..], &BY_OWNER].concat());
    assert_eq!(chain(&world, 1, Role::Operator, "admin"), BY_OWNER);
    assert_eq!(chain(&world, 3, Role::Operator, "write"), [""; 0], "it holds no such scope");
    assert_eq!(chain(&world, 4, Role::Operator, "read"), [""; 0], "nobody knows it");
}

#[test]
fn what_is_implied_is_held_by_the_act_that_gave_what_implies_it() {
    let mut world = World::under(ASK);
    let admin = world.pair(1, "admin");
    world.pair(2, "read");
    approves(&mut world, &admin, 2, "write");
    for implied in ["write", "talk"] {
        assert_eq!(chain(&world, 2, Role::Operator, implied), [&["approval by 1"][..], &BY_OWNER].concat(), "{implied}");
    }
    assert_eq!(chain(&world, 2, Role::Operator, "read"), BY_OWNER, "given by itself, and before");
    assert_eq!(chain(&world, 1, Role::Operator, "approvals"), BY_OWNER);
    // A node is an admin's to approve, and implies nothing.
    let request = world.connect(&visit(3).node()).request();
    world.approve(admin, request);
    let given = chain(&world, 3, Role::Node, "");
    assert_eq!(given, [&["approval by 1"][..], &BY_OWNER].concat());
    assert_eq!(chain(&world, 3, Role::Node, "read"), [""; 0]);
}

#[test]
fn what_a_giver_lost_since_it_gave_changes_nothing_about_what_it_gave_by() {
    let mut world = World::under(ASK);
    let admin = world.pair(1, ALL);
    approves(&mut world, &admin, 2, ALL);
    let before = chain(&world, 2, Role::Operator, "read");
    world.remove(owner(), 1);
    assert_eq!(chain(&world, 2, Role::Operator, "read"), before);
    assert_eq!(chain(&world, 1, Role::Operator, "read"), [""; 0], "it holds nothing any more");
    // Round and round they go, and still every act rests on an earlier one.
    let second = by(2, ALL);
    approves(&mut world, &second, 1, ALL);
    let round = ["approval by 2", "approval by 1", "approval by the owner", "owner"];
    assert_eq!(chain(&world, 1, Role::Operator, "read"), round);
    world.revoke(owner(), 2);
    approves(&mut world, &by(1, ALL), 2, "read");
    assert_eq!(chain(&world, 2, Role::Operator, "read"), [&["approval by 1"], &round[..]].concat());
    assert_eq!(chain(&world, 2, Role::Operator, "write"), [""; 0], "what was revoked is not given back with it");
}

#[test]
fn they_that_approve_one_another_for_ever_are_told_so_far() {
    let mut world = World::under(ASK);
    let mut giver = world.pair(1, ALL);
    for round in 0..limits::WARRANTS {
        let n = u8::try_from(round % 2).expect("small");
        world.remove(owner(), 2 - n);
        approves(&mut world, &giver, 2 - n, ALL);
        giver = by(2 - n, ALL);
    }
    let told = chain(&world, 1, Role::Operator, "read");
    assert_eq!((told.len(), told.last().map(String::as_str)), (limits::WARRANTS + 1, Some("unknown")));
}

#[test]
fn what_was_given_twice_is_held_by_the_later_act_and_is_kept_once() {
    let mut world = World::under(ASK);
    let admin = world.pair(1, ALL);
    world.pair(2, "read write");
    world.rotate(owner(), 2, Some("read"));
    approves(&mut world, &admin, 2, "write");
    assert_eq!(chain(&world, 2, Role::Operator, "write")[0], "approval by 1");
    assert_eq!(chain(&world, 2, Role::Operator, "read")[0], "approval by the owner");
}

#[test]
fn a_rotation_beyond_what_was_approved_names_who_rotated() {
    let mut world = World::under(ASK);
    let admin = world.pair(1, ALL);
    world.pair(2, "read write");
    world.rotate(admin, 2, Some("admin"));
    assert_eq!(chain(&world, 2, Role::Operator, "admin"), [&["rotation by 1"][..], &BY_OWNER].concat());
    assert_eq!(chain(&world, 2, Role::Operator, "read"), BY_OWNER);
}

#[test]
fn what_a_rule_gave_rests_on_the_policy_and_on_who_put_that_in_force() {
    let mut world = World::new();
    let told = world.connect(&visit(1).local().asks(ALL));
    assert!(!told.is_refused(), "{:?}", told.outcome);
    let by_rule = "first pairing by localFirstPairing";
    assert_eq!(chain(&world, 1, Role::Operator, "admin"), [by_rule, "first policy by the gateway", "policy"]);

    world.tell(owner(), Command::ApplyPolicy { text: "{ version: 1 }".to_owned() });
    world.connect(&visit(2).local().asks(ALL));
    assert_eq!(chain(&world, 2, Role::Operator, "admin"), [by_rule, "policy by the owner", "owner"]);
    assert_eq!(chain(&world, 1, Role::Operator, "admin").last().map(String::as_str), Some("policy"), "as it was then");
}

#[test]
fn what_a_setup_code_gave_rests_on_what_its_maker_held() {
    let mut world = World::under(ASK);
    let admin = world.pair(1, ALL);
    let digest = Digest([7; 32]);
    let grants = vec![RoleGrant { role: Role::Operator, scopes: scopes("read") }];
    let told = world.tell(admin, Command::CreateSetupCode { grants, digest, lives_ms: limits::SETUP_CODE_MS.1, label: None });
    assert!(!told.is_refused(), "{:?}", told.outcome);
    let visit = visit(2).asks("read").secret(SharedVerdict::Missing).code(digest);
    assert!(!world.connect(&visit).is_refused());
    let given = ["setup code by setupCode", "setup code made by 1", "approval by the owner", "owner"];
    assert_eq!(chain(&world, 2, Role::Operator, "read"), given);
}

fn import(world: &mut World, n: u8, names: &str) {
    let grants = vec![ImportedGrant { role: Role::Operator, scopes: scopes(names), token: None }];
    world.note(owner(), DeviceImported { source: Digest([1; 32]), profile: imported(n), grants }.into());
}

#[test]
fn what_was_taken_over_rests_on_nobodys_approval() {
    let mut world = World::under(ASK);
    import(&mut world, 1, ALL);
    assert_eq!(chain(&world, 1, Role::Operator, "talk"), ["import by the owner", "import"]);
    approves(&mut world, &by(1, ALL), 2, "read");
    assert_eq!(chain(&world, 2, Role::Operator, "read"), ["approval by 1", "import by the owner", "import"]);
}

/// A place is handed on with what it rests on; whoever has it gives by it, and the old one is not asked.
#[test]
fn a_successor_holds_by_what_was_given_to_the_device_before_it() {
    let mut world = World::under(ASK);
    let admin = world.pair(1, ALL);
    approves(&mut world, &admin, 2, "read admin");
    let request = world.connect(&visit(3).asks("read")).request();
    world.note(owner(), DeviceSucceeded { device: device(2), by: device(3), request }.into());
    let before = [&["succession by the owner", "approval by 1"][..], &BY_OWNER].concat();
    assert_eq!(chain(&world, 3, Role::Operator, "read"), before);
    assert_eq!(chain(&world, 2, Role::Operator, "read"), [""; 0]);
    approves(&mut world, &by(3, "read admin"), 4, "write");
    assert_eq!(chain(&world, 4, Role::Operator, "write"), [&["approval by 3"], &before[..]].concat());
}

#[test]
fn what_is_restored_is_held_as_it_was_before() {
    let mut world = World::under(ASK);
    let admin = world.pair(1, ALL);
    approves(&mut world, &admin, 2, "read");
    world.remove(owner(), 2);
    let grants = vec![RoleGrant { role: Role::Operator, scopes: scopes("read") }];
    world.note(owner(), DeviceRestored { profile: imported(2), grants }.into());
    let restored = [&["restoration by the owner", "approval by 1"][..], &BY_OWNER].concat();
    assert_eq!(chain(&world, 2, Role::Operator, "read"), restored);
}

#[test]
fn what_was_withdrawn_or_suspended_is_held_by_nothing() {
    let mut world = World::under(ASK);
    let admin = world.pair(1, ALL);
    world.pair(2, "talk");
    world.pair(2, "read");
    approves(&mut world, &admin, 2, "write");
    let withdrawn = GrantWithdrawn { device: device(2), role: Role::Operator, scopes: scopes("write") };
    world.note(owner(), withdrawn.into());
    assert_eq!(chain(&world, 2, Role::Operator, "write"), [""; 0]);
    assert_eq!(chain(&world, 2, Role::Operator, "talk"), BY_OWNER, "given by itself");
    let (head, keeps) = (world.registry.head(), vec![device(1)]);
    world.note(owner(), RollbackAccepted { head, witnessed: Seq(99), hash: Digest([1; 32]), keeps }.into());
    assert_eq!(chain(&world, 2, Role::Operator, "read"), [""; 0]);
    assert_eq!(chain(&world, 1, Role::Operator, "read"), BY_OWNER);
}

/// Who gave something by `operator.admin` is asked how it came to that, not to what it gave.
#[test]
fn each_step_upwards_asks_for_the_power_that_was_used() {
    let mut world = World::under(ASK);
    let first = world.pair(4, ALL);
    world.pair(1, "read");
    approves(&mut world, &first, 1, "admin");
    let request = world.connect(&visit(3).node()).request();
    world.approve(by(1, "admin"), request);
    let through_admin = ["approval by 1", "approval by 4", "approval by the owner", "owner"];
    assert_eq!(chain(&world, 3, Role::Node, ""), through_admin);
    assert_eq!(chain(&world, 1, Role::Operator, "read"), BY_OWNER);
    approves(&mut world, &by(1, "admin"), 2, "admin");
    approves(&mut world, &by(2, "admin"), 5, "read");
    let gave_admin = ["approval by 2", "approval by 1", "approval by 4", "approval by the owner", "owner"];
    assert_eq!(chain(&world, 5, Role::Operator, "read"), gave_admin);
}

/// Where it is asked again, what stands is what the journal tells up to there.
#[test]
fn the_past_has_its_own_warrants() {
    let mut world = World::under(ASK);
    let admin = world.pair(1, ALL);
    world.pair(2, "read");
    let then = world.records.len();
    world.remove(owner(), 2);
    approves(&mut world, &admin, 2, "read");
    assert_eq!(chain_until(&world, then, 2, Role::Operator, "read"), BY_OWNER);
    assert_eq!(chain(&world, 2, Role::Operator, "read")[0], "approval by 1");
}

#[test]
fn a_deed_tells_where_its_request_was_made() {
    let mut world = World::under(ASK);
    let admin = world.pair(1, ALL);
    let visit = visit(2).asks("read").with_source(|source| source.peer = address(4, 9));
    let request = world.connect(&visit).request();
    world.approve(admin, request);
    let mut provenance = Provenance::default();
    world.records.iter().for_each(|record| provenance.apply(record));
    let warrant = provenance.warrant(&device(2), Role::Operator, &scopes("read")).expect("a warrant");
    let Gave::Grant { request: through, from, act, .. } = &warrant.deeds[0].gave else { panic!("{warrant:?}") };
    assert_eq!((*through, *from, *act), (Some(request), Some(address(4, 9)), Act::Approval));
}
