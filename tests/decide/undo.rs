//! What takes an earlier act back, who may, and what never comes back.

use openclaw_pairing::pairing::{
    ActUndone, Client, Description, DeviceImported, DeviceRenamed, DeviceSucceeded, GrantWithdrawn, ImportedGrant, Obstacle,
    Profile, RoleGrant, done_beside, takes_away,
};

use super::support::given::exec;
use super::*;

/// An act, which leaves its record behind.
type Act = fn(&mut World) -> Seq;

fn approval(world: &mut World) -> Seq {
    let request = world.connect(&visit(1).asks("read")).request();
    world.approve(owner(), request);
    world.last("PairingApproved")
}

fn upgrade(world: &mut World) -> Seq {
    world.pair(1, "read");
    world.grant(&visit(1).asks("read write"));
    world.last("PairingApproved")
}

fn second_role(world: &mut World) -> Seq {
    world.pair(1, "read");
    world.grant(&visit(1).node());
    world.last("PairingApproved")
}

fn rejection(world: &mut World) -> Seq {
    let request = world.connect(&visit(1).asks("read")).request();
    world.reject(owner(), request);
    world.last("PairingRejected")
}

fn removal(world: &mut World) -> Seq {
    world.pair(1, "read");
    world.remove(owner(), 1);
    world.last("DeviceRemoved")
}

fn revocation(world: &mut World) -> Seq {
    world.pair(1, "read");
    world.revoke(owner(), 1);
    world.last("TokenRevoked")
}

fn withdrawal(world: &mut World) -> Seq {
    let upgrade = upgrade(world);
    world.undo(owner(), upgrade);
    world.last("GrantWithdrawn")
}

fn naming(world: &mut World) -> Seq {
    world.pair(1, "read");
    world.tell(owner(), Command::Rename { device: device(1), label: "kitchen".to_owned() });
    world.last("DeviceRenamed")
}

fn tightening(world: &mut World) -> Seq {
    world.tell(owner(), Command::ApplyPolicy { text: ASK.to_owned() });
    world.last("PolicyChanged")
}

fn loosening(world: &mut World) -> Seq {
    world.tell(owner(), Command::ApplyPolicy { text: ASK.to_owned() });
    world.tell(owner(), Command::ApplyPolicy { text: DEFAULT_POLICY.to_owned() });
    world.last("PolicyChanged")
}

fn code(world: &mut World) -> Seq {
    let grants = vec![RoleGrant { role: Role::Operator, scopes: scopes("read") }];
    world.tell(owner(), Command::CreateSetupCode { grants, digest: Digest([3; 32]), lives_ms: 600_000, label: None });
    world.last("SetupCodeCreated")
}

fn succession(world: &mut World) -> Seq {
    world.pair(1, "read");
    let request = world.connect(&visit(2).asks("read")).request();
    world.note(owner(), DeviceSucceeded { device: device(1), by: device(2), request }.into());
    world.last("DeviceSucceeded")
}

fn import(world: &mut World) -> Seq {
    let profile = Profile {
        device: device(1),
        key: key(1),
        client: Client { id: ClientId::Cli, mode: ClientMode::Cli },
        description: Description::default(),
        label: None,
        address: address(0, 0),
        created_at: START,
        approved_at: START,
    };
    let grants = vec![ImportedGrant { role: Role::Operator, scopes: scopes("read"), token: None }];
    world.note(owner(), DeviceImported { source: Digest([1; 32]), profile, grants }.into());
    world.last("DeviceImported")
}

#[test]
fn x42_each_act_is_undone_by_its_inverse_and_by_whoever_could_do_that() {
    let none = || Some(Refusal::from(Obstacle::NoRecord));
    let lacks = || Some(Refusal::MissingScope(scopes("admin")));
    let exec_shell = || Some(Refusal::FromExecShell);
    let loosens = || Some(Refusal::LoosensPolicy { keys: "localFirstPairing, localCli, localBackend".to_owned() });
    // The inverse; then the answers to the owner's agent, an admin, an approver of `read`, a reader and a stranger.
    type Row = (Act, &'static [&'static str], [Option<Refusal>; 5]);
    let rows: [Row; 13] = [
        (approval, &["DeviceRemoved"], [None, None, Some(Refusal::NeedsAdmin), none(), none()]),
        (upgrade, &["GrantWithdrawn"], [None, None, none(), none(), none()]),
        (second_role, &["TokenRevoked"], [None, None, none(), none(), none()]),
        // A request grants nothing.
        (rejection, &["PairingRequested"], [None, None, None, none(), none()]),
        (removal, &["DeviceRestored"], [exec_shell(), None, none(), none(), none()]),
        (revocation, &["PairingApproved"], [exec_shell(), None, none(), none(), none()]),
        (withdrawal, &["PairingApproved"], [exec_shell(), None, none(), none(), none()]),
        (naming, &["DeviceRenamed"], [None, None, none(), none(), none()]),
        (tightening, &["PolicyChanged"], [exec_shell(), loosens(), lacks(), lacks(), lacks()]),
        (loosening, &["PolicyChanged"], [None, None, lacks(), lacks(), lacks()]),
        (code, &["SetupCodeRevoked"], [None, None, none(), none(), none()]),
        (succession, &["DeviceRemoved", "DeviceRestored"], [exec_shell(), Some(Refusal::OwnerOnly), none(), none(), none()]),
        (import, &["DeviceRemoved"], [None, None, none(), none(), none()]),
    ];
    for (act, inverse, refusals) in rows {
        let actors = [owner(), exec(), by(9, "admin"), by(9, "pairing read"), by(9, "read"), Actor::Peer];
        for (actor, refusal) in actors.into_iter().zip(std::iter::once(None).chain(refusals)) {
            let mut world = World::new();
            world.pair(9, ALL);
            let seq = act(&mut world);
            let before = world.registry.digest().0;
            let told = world.undo(actor.clone(), seq);
            assert!(told.events.iter().all(|(by, _)| *by == actor));
            if let Some(refusal) = refusal {
                assert_eq!((told.refusal(), told.names()), (&refusal, vec!["CommandRefused"]), "{inverse:?} {actor:?}");
                assert_eq!(world.registry.digest().0, before);
                continue;
            }
            let names = [&["ActUndone"], inverse].concat();
            assert_eq!((told.names(), &told.events[0].1), (names, &ActUndone { undoes: seq }.into()), "{actor:?}");
            let (first, last) = (world.last("ActUndone"), world.registry.head());
            assert_eq!(told.outcome, Outcome::Undone { first, last });
            // What is undone is undone.
            let again = world.undo(actor, seq);
            assert_eq!(again.refusal(), &Obstacle::Undone(first).into());
        }
    }
}

#[test]
fn x42_no_undo_brings_a_token_back() {
    let (removed, revoked, succeeded): (Act, Act, Act) = (
        |world| {
            world.remove(owner(), 1);
            world.last("DeviceRemoved")
        },
        |world| {
            world.revoke(owner(), 1);
            world.last("TokenRevoked")
        },
        |world| {
            let request = world.connect(&visit(2).asks("read write")).request();
            world.note(owner(), DeviceSucceeded { device: device(1), by: device(2), request }.into());
            world.last("DeviceSucceeded")
        },
    );
    for take in [removed, revoked, succeeded] {
        let mut world = World::under(ASK);
        world.pair(1, "read write");
        let old = world.token(1);
        let seq = take(&mut world);
        assert!(!world.undo(owner(), seq).is_refused());
        assert_eq!(world.held(1), scopes("read write"));
        assert!(world.registry.device(&device(1)).is_some_and(|device| device.token(Role::Operator).is_none()));
        assert_eq!(world.connect(&visit(1).asks("read").token(old)).names(), REFUSED, "the old token is dead");
        // With the shared secret it is let in, and gets another one.
        let told = world.connect(&visit(1).asks("read write"));
        assert_eq!(told.names(), ["TokenIssued", "ConnectionAdmitted"]);
        assert_ne!(world.token(1), old);
        assert!(world.connect(&visit(1).asks("read").token(old)).is_refused());
    }
}

#[test]
fn what_comes_back_is_no_more_than_what_was_held() {
    let mut world = World::new();
    world.pair(1, "read write approvals");
    world.rotate(owner(), 1, Some("read"));
    world.tell(owner(), Command::Rename { device: device(1), label: "kitchen".to_owned() });
    let admin = world.pair(9, ALL);
    world.remove(owner(), 1);
    let seq = world.last("DeviceRemoved");
    assert!(!world.undo(admin, seq).is_refused());
    let restored = world.registry.device(&device(1)).expect("a device");
    assert_eq!((world.held(1), restored.label.as_deref()), (scopes("read"), Some("kitchen")));
    // Whoever gave it back answers for it.
    assert!(world.registry.approved_by(&device(9)).contains_key(&device(1)));

    world.revoke(owner(), 1);
    let seq = world.last("TokenRevoked");
    world.undo(owner(), seq);
    assert_eq!((world.held(1), world.approved(1)), (scopes("read"), scopes("read")));
}

#[test]
fn an_approval_is_taken_back_and_what_others_gave_stays() {
    let mut world = World::new();
    world.pair(1, "read");
    let first = world.last("PairingApproved");
    world.grant(&visit(1).asks("read approvals"));
    let second = world.last("PairingApproved");
    world.grant(&visit(1).node());
    assert_eq!(world.undo(owner(), first).names(), ["ActUndone", "GrantWithdrawn"]);
    assert_eq!((world.held(1), world.approved(1)), (scopes("approvals"), scopes("approvals")));
    assert_eq!(world.undo(owner(), second).names(), ["ActUndone", "GrantWithdrawn"]);
    assert!(world.held(1).is_empty() && world.registry.device(&device(1)).is_some_and(|device| device.has(Role::Node)));
}

#[test]
fn a_ceiling_and_a_rest_hold_for_what_is_undone_too() {
    let mut world = World::new();
    let seq = removal(&mut world);
    let ceiling = r#"{ version: 1, ceilings: [{ clientId: "cli", scopes: ["operator.pairing"] }] }"#;
    world.tell(owner(), Command::ApplyPolicy { text: ceiling.to_owned() });
    assert!(matches!(world.undo(owner(), seq).refusal(), Refusal::PolicyDenied { .. }));
    assert!(world.registry.is_barred(&device(1)), "what a person took away stays away");
}

#[test]
fn whoever_is_asked_again_waits_with_all_that_it_said() {
    let mut world = World::new();
    let request = world.connect(&visit(1).asks("read").platform("ios")).request();
    let asked = world.registry.request(&request).expect("it waits").clone();
    world.reject(owner(), request);
    world.wait(86_400);
    let seq = world.last("PairingRejected");
    world.undo(owner(), seq);
    let again = world.registry.requests().next().expect("it waits").clone();
    assert_ne!(again.id, asked.id);
    assert_eq!((again.key, &again.scopes, &again.description), (asked.key, &asked.scopes, &asked.description));
    assert_eq!((again.client, again.form, again.address), (asked.client, asked.form, asked.address));
    assert_eq!((again.last_at, again.attempts), (world.now, 0), "its time counts from here");
    // It shows what its device asks for.
    assert_eq!(world.connect(&visit(1).asks("read").platform("ios")).request(), again.id);
    world.approve(owner(), again.id);
    assert_eq!(world.held(1), scopes("read"));
}

#[test]
fn a_device_that_had_no_name_has_none_again() {
    let mut world = World::new();
    let seq = naming(&mut world);
    let label = |world: &World| world.registry.device(&device(1)).and_then(|device| device.label.clone());
    assert_eq!(label(&world).as_deref(), Some("kitchen"));
    let told = world.undo(owner(), seq);
    let renamed = DeviceRenamed { device: device(1), label: String::new(), label_before: Some("kitchen".to_owned()) };
    assert_eq!((&told.events[1].1, label(&world)), (&renamed.into(), None));
    // And that can be undone too.
    let seq = world.last("DeviceRenamed");
    world.undo(owner(), seq);
    assert_eq!(label(&world).as_deref(), Some("kitchen"));
}

#[test]
fn what_was_changed_again_is_not_undone() {
    type Later = fn(&mut World);
    let rows: [(Act, Later); 11] = [
        (approval, |world| drop(world.remove(owner(), 1))),
        (approval, |world| drop(world.revoke(owner(), 1))),
        (upgrade, |world| {
            let scopes = scopes("write");
            world.note(owner(), GrantWithdrawn { device: device(1), role: Role::Operator, scopes }.into());
        }),
        (rejection, |world| drop(world.connect(&visit(1).asks("read")))),
        (removal, |world| world.grant(&visit(1).asks("read"))),
        (revocation, |world| world.grant(&visit(1).asks("read"))),
        (withdrawal, |world| world.grant(&visit(1).asks("read write"))),
        (naming, |world| drop(world.tell(owner(), Command::Rename { device: device(1), label: "hall".to_owned() }))),
        (tightening, |world| drop(world.tell(owner(), Command::ApplyPolicy { text: DEFAULT_POLICY.to_owned() }))),
        (succession, |world| drop(world.remove(owner(), 2))),
        (code, |world| {
            let code = *world.registry.setup_codes().next().expect("a code").0;
            world.tell(owner(), Command::RevokeSetupCode { code });
        }),
    ];
    for (act, again) in rows {
        let mut world = World::new();
        let seq = act(&mut world);
        let known = world.done(seq);
        again(&mut world);
        let told = world.undo(owner(), seq);
        let sentence = told.sentence();
        assert!(sentence.starts_with("not possible: seq ") && sentence.ends_with(" changed the same again"), "{sentence}");
        // Nor if that came between the look and the act.
        let raced = world.tell(owner(), Command::Undo { done: known.map(Box::new) });
        assert!(raced.is_refused(), "{:?} {:?}", world.records, raced.events);
    }
}

#[test]
fn what_has_no_inverse_says_what_to_do_instead() {
    let mut world = World::new();
    world.pair(1, "read");
    world.rotate(owner(), 1, None);
    world.connect(&visit(2).asks("read"));
    world.wait(86_400 * 30);
    world.expire();
    let seq = code(&mut world);
    world.undo(owner(), seq);
    let mut answer = |name: &str| {
        let seq = world.last(name);
        world.undo(owner(), seq).sentence()
    };
    let rows = [
        ("JournalCreated", "it cannot be taken back"),
        ("PairingRequested", "a request is answered and not undone; to turn it down: openclaw devices reject"),
        ("PairingExpired", "a request that ran out of time is over; its device asks again when it connects"),
        ("ActUndone", "it only tells what was undone; undo a record behind it instead"),
        ("SetupCodeRevoked", "a setup code that was taken back stays dead; make another one: openclaw qr"),
    ];
    for (name, sentence) in rows {
        assert_eq!(answer(name), format!("not possible: {sentence}"));
    }
    for name in ["TokenIssued", "TokenRotated"] {
        assert!(answer(name).contains("stays dead; to replace this one: openclaw devices rotate"));
    }
    assert_eq!(world.undo(owner(), Seq(9_999)).sentence(), "not possible: there is no such record");
}

#[test]
fn what_one_command_did_is_told_with_each_of_it() {
    let mut world = World::new();
    let admin = world.pair(1, ALL);
    for n in [2, 3] {
        let request = world.connect(&visit(n).asks("read")).request();
        world.approve(admin.clone(), request);
    }
    world.wait(1);
    world.tell(owner(), Command::Remove { device: device(1), with_approved: true });
    let last = world.last("DeviceRemoved").0;
    let beside = |seq| done_beside(&world.records, Seq(seq)).into_iter().map(|seq| seq.0).collect::<Vec<_>>();
    assert_eq!((beside(last), beside(last - 1)), (vec![last - 2, last - 1], vec![last - 2, last]));
    assert_eq!(beside(1), [] as [u64; 0]);
}

#[test]
fn not_even_a_full_disk_prevents_that_what_was_given_is_taken_back() {
    for (act, is_taken) in [(approval as Act, true), (code, true), (import, true), (removal, false), (rejection, false)] {
        let mut world = World::new();
        let seq = act(&mut world);
        let command = Command::Undo { done: world.done(seq).map(Box::new) };
        assert_eq!(takes_away(&world.registry, &owner(), &command), is_taken);
        assert!(!takes_away(&world.registry, &by(1, "pairing"), &command));
    }
}

#[test]
fn x42_nobody_gives_itself_back_what_was_taken_from_it() {
    let mut world = World::new();
    world.pair(1, "pairing read");
    world.grant(&visit(1).asks("pairing read approvals"));
    let seq = world.last("PairingApproved");
    world.undo(owner(), seq);
    let me = || by(1, "pairing read approvals");
    let seq = world.last("GrantWithdrawn");
    assert_eq!(world.undo(me(), seq).refusal(), &Refusal::MissingScope(scopes("approvals")));

    world.grant(&visit(1).node());
    world.tell(owner(), Command::Revoke { device: device(1), role: Role::Node, with_approved: false });
    let seq = world.last("TokenRevoked");
    assert_eq!(world.undo(me(), seq).refusal(), &Refusal::NeedsAdmin);
    // What it has it may give up.
    let seq = world.records.iter().find(|record| record.event.name() == "PairingApproved").expect("an approval").seq;
    assert_eq!(world.undo(me(), seq).names(), ["ActUndone", "DeviceRemoved"]);
}
