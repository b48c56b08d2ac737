//! What a device holds and its tokens carry: covered, approved, narrowed, rotated, revoked, removed.

use super::*;

// --- what a device holds covers what it asks ----------------------------------------------------------------------------

#[test]
fn s05_scopes_that_a_held_scope_implies_are_never_asked_for_again() {
    let mut world = World::new();
    world.pair(1, "admin approvals pairing");
    world.pair(2, "approvals pairing");
    world.pair(3, "write");
    let before = world.registry.digest().0;
    for (n, ask) in [(1, "write"), (1, "read"), (1, ALL), (3, "read"), (3, "")] {
        let told = world.connect(&visit(n).asks(ask).token(world.token(n)));
        assert_eq!((told.names(), &told.admission().scopes), (ADMITTED.to_vec(), &scopes(ask)), "{n} {ask}");
    }
    assert_eq!(world.registry.digest().0, before);
    let told = world.connect(&visit(2).asks("write"));
    assert_eq!((told.need().reason, &told.need().missing), (Reason::ScopeUpgrade, &scopes("write")));
}

#[test]
fn s06_a_pending_upgrade_takes_nothing_away_and_cannot_approve_itself() {
    let mut world = World::new();
    let me = world.pair(1, "read pairing");
    let token = world.token(1);
    let request = world.connect(&visit(1).asks("admin")).request();
    assert_eq!(world.connect(&visit(1).asks("read pairing").token(token)).names(), ADMITTED);
    let refusal = Refusal::MissingScope(scopes("admin"));
    assert_eq!(world.approve(me, request).refusal(), &refusal);
    assert_eq!(world.connect(&visit(1).asks("admin")).request(), request);
    assert_eq!(world.approve(owner(), request).names(), ["PairingApproved"]);
    assert_eq!((world.held(1), world.token(1)), (scopes("read pairing admin"), token));
}

#[test]
fn s07_approving_never_narrows() {
    let mut world = World::new();
    world.pair(1, ALL);
    let token = world.token(1);
    let request = world.connect(&visit(1).asks("read").platform("darwin")).request();
    let told = world.approve(owner(), request);
    let Event::PairingApproved(approved) = &told.events[0].1 else { panic!("an approval expected") };
    assert_eq!((told.names(), &approved.scopes), (vec!["PairingApproved"], &scopes("")));
    assert_eq!((world.approved(1), world.held(1), world.token(1)), (scopes(ALL), scopes(ALL), token));
    assert_eq!(world.connect(&visit(1).asks("admin").platform("darwin").token(token)).names(), ADMITTED);
}

#[test]
fn approving_again_changes_nothing_and_says_who_did_it_and_when() {
    let mut world = World::new();
    let admin = world.pair(9, ALL);
    let request = world.connect(&visit(1).asks("read")).request();
    let at = world.now;
    world.approve(admin.clone(), request);
    world.wait(60);
    let told = world.approve(owner(), request);
    assert_eq!(told.names(), [] as [&str; 0]);
    assert_eq!(told.outcome, Outcome::Approved { device: device(1), request, before: Some((admin, at)) });
}

// --- narrow tokens and rotation -----------------------------------------------------------------------------------------

#[test]
fn s08_a_token_rotated_to_less_stays_narrow_whatever_else_is_presented() {
    let mut world = World::new();
    world.pair(1, ALL);
    let told = world.rotate(owner(), 1, Some("read"));
    assert_eq!(told.names(), ["TokenRotated"]);
    assert_eq!((world.approved(1), world.held(1)), (scopes(ALL), scopes("read")));
    let token = world.token(1);
    assert_eq!(world.connect(&visit(1).asks("read").token(token)).names(), ADMITTED);
    let first = world.connect(&visit(1).asks("admin").token(token));
    let need = first.need();
    assert_eq!((need.reason, &need.missing, need.token_is_narrow), (Reason::ScopeUpgrade, &scopes("admin"), true));
    let words = first.sentence();
    assert!(words.contains("its token was narrowed") && words.contains("openclaw devices rotate"), "{words}");
    // Not the shared secret either, and not a local connection.
    for ask in [visit(1).asks("admin"), visit(1).asks("admin").local(), visit(1).asks("admin").token(token)] {
        assert_eq!(world.connect(&ask).request(), need.request);
    }
    let told = world.rotate(owner(), 1, None);
    assert_eq!((told.names(), world.held(1)), (vec!["TokenRotated"], scopes("read")));
    assert_eq!(world.waiting(), [need.request]);
}

#[test]
fn s09_rotating_beyond_what_was_approved_is_an_approval_or_refused() {
    let mut world = World::new();
    world.pair(1, "read write");
    let some = world.pair(8, "pairing read write");
    let admin = world.pair(9, ALL);
    let token = world.token(1);
    assert_eq!(world.rotate(some, 1, Some("admin")).refusal(), &Refusal::MissingScope(scopes("admin")));
    assert_eq!(world.token(1), token);
    let told = world.rotate(admin.clone(), 1, Some("admin"));
    assert_eq!(told.names(), ["PairingApproved", "TokenRotated"]);
    let (actor, Event::PairingApproved(approved)) = &told.events[0] else { panic!("an approval expected") };
    assert_eq!((actor, approved.act, &approved.scopes), (&admin, Act::Rotation, &scopes("admin")));
    assert_eq!((world.approved(1), world.held(1)), (scopes("read write admin"), scopes("admin")));
    let as_node = Command::Rotate { device: device(1), role: Role::Node, scopes: Some(scopes("read")) };
    assert_eq!(world.tell(admin, as_node).refusal(), &Refusal::RoleNotHeld(Role::Node));
}

#[test]
fn a_rotation_that_covers_a_waiting_request_resolves_it() {
    for (target, settles) in [("read write", true), ("write", true), ("admin", true), ("read", false)] {
        let mut world = World::new();
        world.pair(1, "read");
        let request = world.connect(&visit(1).asks("write")).request();
        let told = world.rotate(owner(), 1, Some(target));
        let settled = told.events.iter().find_map(|(_, event)| match event {
            Event::PairingApproved(event) => event.request,
            _ => None,
        });
        assert_eq!(settled, settles.then_some(request), "{target}");
        assert_eq!((world.held(1), world.waiting().is_empty()), (scopes(target), settles), "{target}");
        if settles {
            // It comes back with the shared secret, and is told its new token.
            let told = world.connect(&visit(1).asks("write"));
            assert_eq!(
                told.admission().token.as_ref().and_then(|token| token.issue).map(|issue| issue.digest),
                Some(world.token(1))
            );
            assert!(matches!(world.approve(owner(), request).outcome, Outcome::Approved { before: Some(_), .. }));
        }
    }
}

#[test]
fn a_rotation_says_nothing_about_another_platform() {
    let mut world = World::new();
    world.pair(1, "read");
    let request = world.connect(&visit(1).asks("write").platform("ios")).request();
    world.rotate(owner(), 1, Some("read write"));
    assert_eq!((world.waiting(), world.platform(1)), (vec![request], Some("linux")));
}

#[test]
fn s10_a_rotation_cannot_exceed_its_caller() {
    let mut world = World::new();
    world.pair(1, ALL);
    let some = world.pair(2, "pairing");
    let token = world.token(1);
    for (names, refusal) in [
        (None, Refusal::MissingScope(scopes("admin read write approvals"))),
        (Some("admin"), Refusal::MissingScope(scopes("admin"))),
        (Some("pairing"), Refusal::NeedsAdmin),
    ] {
        let told = world.rotate(some.clone(), 1, names);
        assert_eq!((told.names(), told.refusal()), (vec!["CommandRefused"], &refusal));
        assert_eq!(told.events[0].0, some);
        assert!(told.sentence().starts_with("missing scope: operator.admin"), "{}", told.sentence());
    }
    assert_eq!(world.token(1), token);
    let told = world.rotate(some, 2, None);
    assert!(matches!(&told.outcome, Outcome::Rotated { token, own: true } if token.scopes == scopes("pairing")));
}

#[test]
fn s11_a_token_is_told_only_to_its_own_device_and_the_old_one_is_told_when_it_was_rotated() {
    let mut world = World::new();
    let me = world.pair(1, "read pairing");
    let admin = world.pair(9, ALL);
    let old = world.token(1);
    world.wait(5);
    assert!(matches!(world.rotate(admin, 1, None).outcome, Outcome::Rotated { own: false, .. }));
    let told = world.connect(&visit(1).asks("read").token(old));
    let refusal = Refusal::Unauthorized {
        reason: AuthReason::DeviceTokenMismatch,
        may_retry_with_device_token: false,
        rotated_at: Some(START.plus(5_000)),
    };
    assert_eq!((told.names(), told.refusal()), (REFUSED.to_vec(), &refusal));
    let told = world.connect(&visit(1).asks("read"));
    assert_eq!(told.admission().token.as_ref().and_then(|token| token.issue).map(|issue| issue.digest), Some(world.token(1)));
    assert!(matches!(world.rotate(me, 1, None).outcome, Outcome::Rotated { own: true, .. }));
}

// --- revoked, removed, retired ------------------------------------------------------------------------------------------

#[test]
fn s12_a_revoked_role_is_gone_until_a_new_approval() {
    let mut world = World::new();
    world.pair(1, "read");
    let admin = world.pair(9, ALL);
    let old = world.token(1);
    let at = world.now;
    assert_eq!(world.revoke(admin.clone(), 1).names(), ["TokenRevoked"]);
    world.wait(5);
    let again = world.revoke(owner(), 1);
    assert_eq!(again.names(), [] as [&str; 0]);
    assert_eq!(again.outcome, Outcome::Revoked { device: device(1), role: Role::Operator, at, approved: vec![] });
    // The old token proves who asks, the shared secret that it may ask: both get the one request.
    let told = world.connect(&visit(1).asks("read").token(old));
    assert_eq!((told.names(), told.need().reason), (REQUESTED.to_vec(), Reason::RoleUpgrade));
    assert_eq!(told.need().revoked, Some((at, admin.clone())));
    assert!(told.sentence().contains("revoked"), "{}", told.sentence());
    assert_eq!(world.connect(&visit(1).asks("read").local()).request(), told.request());
    assert_eq!(world.rotate(owner(), 1, Some("read")).refusal(), &Refusal::RoleNotHeld(Role::Operator));
    assert_eq!(world.approve(admin, told.request()).names(), ["PairingApproved", "TokenIssued"]);
    assert_ne!(world.token(1), old);
    assert_eq!(world.connect(&visit(1).asks("read").token(world.token(1))).names(), ADMITTED);
    assert!(matches!(world.connect(&visit(1).asks("read").token(old)).refusal(), Refusal::Unauthorized { .. }));
}

#[test]
fn s13_removing_a_device_ends_its_requests() {
    let mut world = World::new();
    world.pair(1, "read");
    let old = world.token(1);
    let admin = world.pair(9, ALL);
    let [upgrade, other] = [world.connect(&visit(1).asks("write")).request(), world.connect(&visit(2).asks("read")).request()];
    assert_eq!(world.remove(admin.clone(), 1).names(), ["DeviceRemoved"]);
    assert_eq!(world.waiting(), [other]);
    let told = world.approve(owner(), upgrade);
    let Refusal::Resolved(resolution) = told.refusal() else { panic!("resolved expected") };
    assert_eq!((resolution.ending, &resolution.by), (Ending::Removed, &admin));
    assert!(matches!(world.connect(&visit(1).asks("read").token(old)).refusal(), Refusal::Unauthorized { .. }));
    let told = world.connect(&visit(1).asks("read"));
    assert_eq!((told.need().reason, &told.need().held), (Reason::NotPaired, &scopes("")));
    assert_ne!(told.request(), upgrade);
    assert_eq!(world.remove(admin, 1).refusal(), &Refusal::UnknownDevice);
}

#[test]
fn x05_the_token_of_another_role_or_device_is_a_wrong_one() {
    let mut world = World::new();
    world.pair(1, "read");
    world.pair(2, "read");
    world.grant(&visit(1).node());
    for ask in [
        visit(1).asks("read").token(world.token(2)),
        visit(1).node().token(world.token(1)),
        visit(3).asks("read").token(world.token(1)),
        visit(1).asks("read").token(Digest([0; 32])),
    ] {
        let told = world.connect(&ask);
        assert_eq!(told.names(), REFUSED);
        assert!(matches!(told.refusal(), Refusal::Unauthorized { reason: AuthReason::DeviceTokenMismatch, .. }), "{ask:?}");
    }
    // A bad token beside the right secret does not matter.
    let both = visit(1).asks("read").token(Digest([0; 32])).secret(SharedVerdict::Right);
    assert_eq!(world.connect(&both).names(), ADMITTED);
}

#[test]
fn a_wrong_secret_lets_a_client_retry_with_its_device_token() {
    let mut world = World::new();
    let mut attempt = visit(1).asks("read").secret(SharedVerdict::Wrong).attempt(&world.registry);
    // It came where a device token may come, too.
    attempt.credential.as_mut().expect("a credential").token = TokenVerdict::Wrong;
    let told = world.tell(Actor::Peer, Command::Connect { attempt: Box::new(attempt), key: Some(key(1)), code: None });
    let refusal =
        Refusal::Unauthorized { reason: AuthReason::TokenMismatch, may_retry_with_device_token: true, rotated_at: None };
    assert_eq!(told.refusal(), &refusal);
}

#[test]
fn a_request_that_waits_while_its_role_is_revoked_says_that_it_gives_the_role_back() {
    let mut world = World::new();
    world.pair(1, "read");
    let request = world.connect(&visit(1).asks("read write")).request();
    world.revoke(owner(), 1);
    let waiting = world.registry.request(&request).expect("it waits");
    let need = what_is_needed(&world.registry, waiting);
    assert_eq!((need.reason, need.revoked.is_some()), (Reason::RoleUpgrade, true));
    // As the device is told, under the same id.
    let told = world.connect(&visit(1).asks("read write"));
    assert_eq!((told.request(), told.need().reason), (request, Reason::RoleUpgrade));
}

/// With the token that it was given a client may try again only where that was not what was refused.
#[test]
fn a_client_may_try_again_only_with_what_was_not_tried_as_a_device_token() {
    let mut world = World::new();
    for (device, token, is_explicit, may_retry) in [
        (Some(1), TokenVerdict::Wrong, false, true),
        // The secret came where no device token is looked for.
        (Some(1), TokenVerdict::Missing, false, false),
        (Some(1), TokenVerdict::Missing, true, false),
        (None, TokenVerdict::Wrong, false, false),
        (None, TokenVerdict::Missing, false, false),
    ] {
        let asks = Visit { device, ..visit(1).secret(SharedVerdict::Wrong).asks("read") };
        let mut attempt = asks.attempt(&world.registry);
        let credential = attempt.credential.as_mut().expect("a credential");
        (credential.token, credential.token_is_explicit) = (token, is_explicit);
        let told = world.tell(Actor::Peer, Command::Connect { attempt: Box::new(attempt), key: device.map(key), code: None });
        let Refusal::Unauthorized { reason, may_retry_with_device_token, .. } = told.refusal() else { panic!("{told:?}") };
        assert_eq!((*reason, *may_retry_with_device_token), (AuthReason::TokenMismatch, may_retry), "{device:?} {token}");
    }
}

#[test]
fn only_a_token_that_was_narrowed_is_what_an_ask_fails_by() {
    let mut world = World::new();
    world.pair(1, "read");
    let told = world.connect(&visit(1).asks("read write"));
    assert_eq!((told.need().reason, told.need().token_is_narrow), (Reason::ScopeUpgrade, false));
    let waiting = world.registry.request(&told.request()).expect("it waits");
    assert_eq!(what_is_needed(&world.registry, waiting).reason, Reason::ScopeUpgrade, "the role is held");
    // What is approved covers this ask, and it is the platform that a person has to see.
    let told = world.connect(&visit(1).asks("read").platform("ios"));
    assert_eq!((told.need().reason, told.need().token_is_narrow), (Reason::MetadataUpgrade, false));
}
