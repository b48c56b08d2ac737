//! What is got back: the place of a device whose key is gone, a journal whose end is gone, the token key. All of it is the owner's.

use openclaw_pairing::pairing::{
    Condition, ConditionFound, DeviceSucceeded, GatewayStarted, KeyId, Obstacle, RetiredWhy, RollbackAccepted, TokenKeyReplaced,
};

use super::*;
use support::given::exec;

fn succeed(world: &mut World, actor: Actor, old: u8, request: RequestId) -> Told {
    world.tell(actor, Command::Succeed { old: device(old), request })
}

fn accept(world: &mut World, actor: Actor, keeps: &[u8]) -> Told {
    let keeps = keeps.iter().map(|n| device(*n)).collect();
    world.tell(actor, Command::AcceptRollback { witnessed: Seq(900), hash: Digest([9; 32]), keeps })
}

#[test]
fn s17_a_new_key_has_the_place_of_the_old_one_and_the_old_one_is_told_so() {
    let mut world = World::under(ASK);
    world.pair(1, ALL);
    world.grant(&visit(1).node());
    world.tell(owner(), Command::Rename { device: device(1), label: "laptop".to_owned() });
    let first = world.registry.device(&device(1)).expect("paired").created_at;
    world.rotate(owner(), 1, None);
    let (retired, live) = {
        let grant = &world.registry.device(&device(1)).expect("paired").grants[&Role::Operator];
        (*grant.retired[0].token.issue.digest(), world.token(1))
    };
    let own = world.connect(&visit(1).node().offers(&["camera.snap"])).admission().clone();
    assert!(own.token.is_some());
    world.wait(60);
    let request = world.connect(&visit(2).asks(ALL)).request();

    let told = succeed(&mut world, owner(), 1, request);
    assert_eq!(told.outcome, Outcome::Succeeded { old: device(1), by: device(2), request });
    assert_eq!(told.events, [(owner(), DeviceSucceeded { device: device(1), by: device(2), request }.into())]);
    let heir = world.registry.device(&device(2)).expect("paired");
    assert_eq!((heir.label.as_deref(), heir.created_at, heir.grants.len()), (Some("laptop"), first, 2));
    assert_eq!((heir.held(Role::Operator), heir.token(Role::Operator)), (scopes(ALL), None));
    assert!(world.registry.device(&device(1)).is_none() && world.waiting().is_empty(), "its requests ended with it");

    // It gets its token when it comes with the shared secret.
    assert_eq!(world.connect(&visit(2).asks(ALL)).names(), ["TokenIssued", "ConnectionAdmitted"]);
    let at = world.now;
    let gone = Refusal::Succeeded { by: device(2), at };
    for visit in
        [visit(1).asks(ALL), visit(1).asks(ALL).token(live), visit(1).asks(ALL).token(retired), visit(1).asks(ALL).local()]
    {
        let told = world.connect(&visit);
        assert_eq!((told.refusal(), told.names()), (&gone, REFUSED.to_vec()), "{visit:?}");
    }
    // Whoever has neither secret nor token learns nothing, and a probe is a probe.
    let wrong = world.connect(&visit(1).asks(ALL).secret(SharedVerdict::Wrong));
    assert!(matches!(wrong.refusal(), Refusal::Unauthorized { .. }), "{:?}", wrong.outcome);
    let wrong = world.connect(&visit(1).asks(ALL).token(Digest([7; 32])));
    assert!(
        matches!(wrong.refusal(), Refusal::Unauthorized { reason: AuthReason::DeviceTokenMismatch, .. }),
        "{:?}",
        wrong.outcome
    );
    assert_eq!(world.connect(&visit(1).probe()).admission().rule, Rule::Probe);
    // The token of the old one is none of the new one's.
    assert!(world.connect(&visit(2).asks(ALL).token(live)).is_refused());
}

#[test]
fn x43_only_the_owner_hands_a_device_over_and_only_by_the_request_that_proved_the_key() {
    let mut world = World::under(ASK);
    world.pair(1, ALL);
    world.pair(3, "read");
    world.tell(owner(), Command::Rename { device: device(1), label: "laptop".to_owned() });
    // Somebody else waits under the same name, from the same address, as the same client.
    let named = |visit: Visit| visit.says(|description| description.display_name = Some("laptop".to_owned()));
    let attacker = world.connect(&named(visit(9).asks(ALL)).with_source(|source| source.peer = address(203, 1))).request();
    let request = world.connect(&named(visit(2).asks(ALL))).request();
    assert_ne!(attacker, request);
    let host = Actor::SharedSecret { rule: Rule::LocalCli, scopes: scopes(ALL) };
    for (actor, refusal) in [
        (by(1, ALL), Refusal::OwnerOnly),
        (by(3, "read"), Refusal::OwnerOnly),
        (host, Refusal::OwnerOnly),
        (Actor::Peer, Refusal::OwnerOnly),
        (Actor::System, Refusal::OwnerOnly),
        (exec(), Refusal::FromExecShell),
    ] {
        let told = succeed(&mut world, actor.clone(), 1, request);
        assert_eq!((told.refusal(), told.names()), (&refusal, vec!["CommandRefused"]), "{actor:?}");
    }
    let told = succeed(&mut world, owner(), 8, request);
    assert_eq!(told.refusal(), &Refusal::UnknownDevice);
    assert_eq!(succeed(&mut world, owner(), 1, NO_REQUEST).refusal(), &Refusal::UnknownRequest);
    let own = world.connect(&visit(1).node()).request();
    let told = succeed(&mut world, owner(), 1, own);
    assert_eq!(told.refusal(), &Obstacle::PairedAlready.into(), "not itself");
    let other = world.connect(&visit(3).asks(ALL)).request();
    assert_eq!(succeed(&mut world, owner(), 1, other).refusal(), &Obstacle::PairedAlready.into());

    assert!(!succeed(&mut world, owner(), 1, request).is_refused());
    // The other one got nothing, and cannot get the same again.
    assert!(world.registry.device(&device(9)).is_none() && world.registry.request(&attacker).is_some());
    let told = succeed(&mut world, owner(), 1, attacker);
    assert_eq!(told.refusal(), &Refusal::Succeeded { by: device(2), at: world.now });
    let told = succeed(&mut world, owner(), 3, request);
    assert!(matches!(told.refusal(), Refusal::Resolved(resolution) if resolution.ending == Ending::Approved));
}

#[test]
fn x43_the_new_one_inherits_what_is_approved_and_not_revoked_and_a_removed_device_has_no_successor() {
    let mut world = World::under(ASK);
    world.pair(1, "read write");
    world.grant(&visit(1).node());
    world.rotate(owner(), 1, Some("read"));
    world.tell(owner(), Command::Revoke { device: device(1), role: Role::Node, with_approved: false });
    let request = world.connect(&visit(2).asks(ALL)).request();
    assert!(!succeed(&mut world, owner(), 1, request).is_refused());
    let heir = world.registry.device(&device(2)).expect("paired");
    assert_eq!(heir.grants.keys().collect::<Vec<_>>(), [&Role::Operator], "what was revoked stays so");
    assert_eq!(heir.held(Role::Operator), scopes("read write"));
    // What it asks for beyond is a request as ever.
    assert_eq!(world.connect(&visit(2).asks(ALL)).need().reason, Reason::ScopeUpgrade);

    world.pair(4, ALL);
    world.remove(owner(), 4);
    let request = world.connect(&visit(5).asks(ALL)).request();
    assert_eq!(succeed(&mut world, owner(), 4, request).refusal(), &Refusal::UnknownDevice);
    world.pair(6, "read");
    world.revoke(owner(), 6);
    assert_eq!(succeed(&mut world, owner(), 6, request).refusal(), &Obstacle::NothingLeft.into());
}

#[test]
fn what_policy_forbids_a_client_it_does_not_inherit() {
    let mut world = World::under(ASK);
    world.pair(1, ALL);
    let ceiling = "{ version: 1, ceilings: [{ clientId: 'gateway-client', scopes: ['operator.read'] }] }";
    let request = world.connect(&visit(2).asks("read").backend()).request();
    assert!(!world.tell(owner(), Command::ApplyPolicy { text: ceiling.to_owned() }).is_refused());
    assert!(matches!(succeed(&mut world, owner(), 1, request).refusal(), Refusal::PolicyDenied { .. }));
}

#[test]
fn x07_accepting_an_older_copy_suspends_every_device_but_those_that_are_named() {
    let mut world = World::under(ASK);
    world.pair(1, ALL);
    world.pair(2, "read");
    world.pair(3, "read");
    world.revoke(owner(), 3);
    let (kept, dead) = (world.token(1), world.token(2));
    let code = Command::CreateSetupCode {
        grants: vec![openclaw_pairing::pairing::RoleGrant { role: Role::Node, scopes: ScopeSet::EMPTY }],
        digest: Digest([5; 32]),
        lives_ms: 600_000,
        label: None,
    };
    world.tell(owner(), code);
    assert_eq!(world.registry.setup_codes().count(), 1);
    let revoked = world.registry.device(&device(3)).expect("known").grants[&Role::Operator].revoked.clone();

    let before = world.registry.digest();
    for actor in [by(1, ALL), Actor::Peer, Actor::System] {
        assert_eq!(accept(&mut world, actor, &[1]).refusal(), &Refusal::OwnerOnly);
    }
    assert_eq!(accept(&mut world, exec(), &[1]).refusal(), &Refusal::FromExecShell);
    assert_eq!(accept(&mut world, owner(), &[8]).refusal(), &Refusal::UnknownDevice);
    assert_eq!(world.registry.digest().0, before.0);

    let head = world.registry.head();
    let told = accept(&mut world, owner(), &[1, 1]);
    let event = RollbackAccepted { head, witnessed: Seq(900), hash: Digest([9; 32]), keeps: vec![device(1)] };
    assert_eq!((told.outcome, told.events), (Outcome::Noted, vec![(owner(), event.into())]));
    let grant = |world: &World, n: u8| world.registry.device(&device(n)).expect("known").grants[&Role::Operator].clone();
    assert!(!grant(&world, 1).is_suspended() && grant(&world, 2).is_suspended());
    assert_eq!(grant(&world, 2).retired[0].why, RetiredWhy::Suspended);
    assert!(!grant(&world, 3).is_suspended() && grant(&world, 3).revoked == revoked, "what was revoked keeps its reason");
    assert_eq!(world.registry.setup_codes().count(), 0);

    world.connect(&visit(1).asks(ALL).token(kept)).admission();
    // A dead token proves who asks, and that is all.
    let asked = world.connect(&visit(2).asks("read").token(dead));
    assert_eq!((asked.need().reason, asked.names()), (Reason::RoleUpgrade, REQUESTED.to_vec()));
    world.approve(owner(), asked.request());
    assert!(world.connect(&visit(2).asks("read").token(dead)).is_refused(), "approved anew it has another token");
    assert_eq!(world.connect(&visit(2).asks("read")).names(), ADMITTED);
    assert!(!grant(&world, 2).is_suspended());
}

fn start(world: &mut World, key: Option<u8>) -> Told {
    let key = key.map(|n| KeyId([n; 8]));
    world.tell(Actor::System, Command::Start(GatewayStarted { version: "0".to_owned(), key, identity: None, settings: vec![] }))
}

#[test]
fn a_token_key_that_is_another_than_the_last_is_on_record_and_takes_no_token_away() {
    let mut world = World::new();
    assert_eq!(start(&mut world, Some(1)).names(), ["GatewayStarted"]);
    world.pair(1, "read");
    let token = world.token(1);
    world.tell(Actor::System, Command::Stop(GatewayStopped { cause: "a test".to_owned() }));
    assert_eq!(start(&mut world, None).names(), ["GatewayStarted"], "what is not there replaces nothing");
    world.tell(Actor::System, Command::Stop(GatewayStopped { cause: "a test".to_owned() }));
    let told = start(&mut world, Some(2));
    let event = TokenKeyReplaced { key: KeyId([2; 8]), before: Some(KeyId([1; 8])) };
    assert_eq!(told.events[1..], [(Actor::System, event.into())]);
    world.connect(&visit(1).asks("read").token(token)).admission();
    // By the owner, before the next start, which has nothing to add.
    let told = world.tell(owner(), Command::ReplaceKey { key: KeyId([3; 8]) });
    assert_eq!((told.names(), &told.events[0].0), (vec!["TokenKeyReplaced"], &owner()));
    assert_eq!(world.tell(owner(), Command::ReplaceKey { key: KeyId([3; 8]) }).names(), Vec::<&str>::new());
    world.tell(Actor::System, Command::Stop(GatewayStopped { cause: "a test".to_owned() }));
    assert_eq!(start(&mut world, Some(3)).names(), ["GatewayStarted"]);
}

#[test]
fn x33_what_was_found_of_the_witness_stays_until_the_owner_settles_it() {
    let mut world = World::under(ASK);
    world.pair(1, ALL);
    let settle = |world: &mut World, actor| world.tell(actor, Command::Settle { condition: Condition::Witness });
    assert_eq!(settle(&mut world, owner()).names(), Vec::<&str>::new(), "nothing is in force");
    world.note(Actor::System, ConditionFound { condition: Condition::Witness, detail: "was not there".to_owned() }.into());
    start(&mut world, Some(1));
    for (actor, refusal) in [(by(1, ALL), Refusal::OwnerOnly), (exec(), Refusal::FromExecShell)] {
        assert_eq!(settle(&mut world, actor).refusal(), &refusal);
    }
    assert!(world.registry.condition(Condition::Witness).is_some());
    let told = settle(&mut world, owner());
    assert_eq!((told.names(), &told.events[0].0), (vec!["ConditionCleared"], &owner()));
    assert!(world.registry.condition(Condition::Witness).is_none());
}
