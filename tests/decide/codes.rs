//! Setup codes: an approval given ahead, to whoever shows the code first.

use openclaw_pairing::limits::{SETUP_CODE_MS, SETUP_CODES};
use openclaw_pairing::pairing::{Person, RoleGrant, SetupCodeId};

use super::*;
use support::given::Told;

const LIFE: u64 = SETUP_CODE_MS.1;
/// What pairs a new device.
const PAIRED: [&str; 5] = ["PairingRequested", "SetupCodeSpent", "PairingApproved", "TokenIssued", "ConnectionAdmitted"];

fn node() -> RoleGrant {
    RoleGrant { role: Role::Node, scopes: ScopeSet::EMPTY }
}

fn operator(names: &str) -> RoleGrant {
    RoleGrant { role: Role::Operator, scopes: scopes(names) }
}

/// The digest of code number `n`.
fn code(n: u8) -> Digest {
    Digest([n; 32])
}

fn create(world: &mut World, actor: Actor, n: u8, grants: &[RoleGrant]) -> Told {
    let command = Command::CreateSetupCode { grants: grants.to_vec(), digest: code(n), lives_ms: LIFE, label: None };
    world.tell(actor, command)
}

/// The owner makes code number `n`.
fn made(world: &mut World, n: u8, grants: &[RoleGrant]) -> SetupCodeId {
    match create(world, owner(), n, grants).outcome {
        Outcome::CodeCreated { code, expires } => {
            assert_eq!(expires, world.now.plus(LIFE));
            code
        }
        other => panic!("a code expected, not {other:?}"),
    }
}

/// A visit that shows code number `n`, as the handshake and the writer make it of one.
fn shows(world: &mut World, visit: &Visit, n: u8) -> Told {
    let Command::Connect { mut attempt, key, .. } = visit.command(&world.registry) else { unreachable!("it connects") };
    let shown = visit.device.map(device).filter(|_| visit.shared != SharedVerdict::Spent);
    let good = shown.and_then(|device| world.registry.good_code(&code(n), &device, visit.role, &visit.scopes, world.now));
    let credential = attempt.credential.as_mut().expect("credentials");
    credential.bootstrap = true;
    if good.is_some() {
        (credential.token, credential.token_is_explicit) = (TokenVerdict::SetupCode, false);
    }
    world.tell(Actor::Peer, Command::Connect { attempt, key, code: good })
}

/// Somebody from afar who has the code and nothing else.
fn comes(n: u8) -> Visit {
    visit(n).secret(SharedVerdict::Missing)
}

fn bad(told: &Told) {
    let refusal =
        Refusal::Unauthorized { reason: AuthReason::BootstrapTokenInvalid, may_retry_with_device_token: false, rotated_at: None };
    assert_eq!((told.names(), told.refusal()), (REFUSED.to_vec(), &refusal));
}

#[test]
fn a_code_gives_one_device_what_it_says_and_no_more() {
    let mut world = World::new();
    made(&mut world, 1, &[operator("read write")]);
    bad(&shows(&mut world, &comes(1).asks("read pairing"), 1));
    bad(&shows(&mut world, &comes(1).node(), 1));
    let told = shows(&mut world, &comes(1).asks("read"), 1);
    let admission = told.admission();
    assert_eq!((told.names(), admission.rule), (PAIRED.to_vec(), Rule::SetupCode));
    assert_eq!((&admission.scopes, &admission.device), (&scopes("read"), &Some(device(1))));
    assert_eq!(admission.token.as_ref().expect("a token").scopes, scopes("read write"), "all that the code gives");
    assert_eq!(world.held(1), scopes("read write"));
    bad(&shows(&mut world, &comes(2).asks("read"), 1));
    bad(&shows(&mut world, &comes(3).asks("read"), 9));
    assert_eq!(world.registry.device_count(), 1);
    assert!(world.waiting().is_empty());
}

#[test]
fn a_code_for_two_roles_gives_both_at_once() {
    let mut world = World::new();
    made(&mut world, 1, &[operator("read"), node()]);
    let told = shows(&mut world, &comes(1).node(), 1);
    let admission = told.admission();
    let roles: Vec<_> = admission.token.iter().chain(&admission.more).map(|token| token.role).collect();
    assert_eq!(roles, [Role::Node, Role::Operator]);
    let paired = world.registry.device(&device(1)).expect("paired");
    assert!(paired.has(Role::Node) && paired.has(Role::Operator));
    assert_eq!((world.held(1), paired.held(Role::Node)), (scopes("read"), ScopeSet::EMPTY));
    // As the other role it comes by its own token.
    let told = world.connect(&visit(1).asks("read").token(world.token(1)));
    assert_eq!(told.names(), ADMITTED);
}

#[test]
fn the_device_that_spent_a_code_may_show_it_again_and_hears_its_tokens_again() {
    let mut world = World::new();
    made(&mut world, 1, &[operator("read"), node()]);
    let first = shows(&mut world, &comes(1).asks("read"), 1).admission().clone();
    let again = shows(&mut world, &comes(1).asks("read"), 1);
    assert_eq!((again.names(), again.admission().rule), (ADMITTED.to_vec(), Rule::Paired));
    assert_eq!((&again.admission().token, &again.admission().more), (&first.token, &first.more));
    world.wait(LIFE / 1_000);
    bad(&shows(&mut world, &comes(1).asks("read"), 1));
}

#[test]
fn a_spent_code_brings_nothing_back_that_was_taken_away() {
    let mut world = World::new();
    made(&mut world, 1, &[operator("read")]);
    shows(&mut world, &comes(1).asks("read"), 1);
    world.revoke(owner(), 1);
    bad(&shows(&mut world, &comes(1).asks("read"), 1));
    world.remove(owner(), 1);
    bad(&shows(&mut world, &comes(1).asks("read"), 1));
    assert!(world.registry.is_barred(&device(1)));
    // A new code is a new approval, also for a device that no rule lets in any more.
    made(&mut world, 2, &[operator("read")]);
    assert_eq!(shows(&mut world, &comes(1).asks("read"), 2).admission().rule, Rule::SetupCode);
}

#[test]
fn a_code_ends_with_its_time_or_when_it_is_taken_back() {
    let mut world = World::new();
    let first = made(&mut world, 1, &[operator("read")]);
    let revoke = |code| Command::RevokeSetupCode { code };
    assert_eq!(world.tell(owner(), revoke(first)).names(), ["SetupCodeRevoked"]);
    assert_eq!(world.tell(owner(), revoke(first)).refusal(), &Refusal::UnknownSetupCode);
    bad(&shows(&mut world, &comes(1).asks("read"), 1));
    let second = made(&mut world, 2, &[operator("read")]);
    world.now = world.now.plus(LIFE - 1);
    assert!(!shows(&mut world, &comes(1).asks("read"), 2).is_refused(), "its last millisecond");
    assert_eq!(world.tell(owner(), revoke(second)).refusal(), &Refusal::UnknownSetupCode, "it is spent");
    let third = made(&mut world, 3, &[operator("read")]);
    world.now = world.now.plus(LIFE);
    bad(&shows(&mut world, &comes(2).asks("read"), 3));
    assert_eq!(world.tell(owner(), revoke(third)).refusal(), &Refusal::UnknownSetupCode, "its time is over");
}

#[test]
fn only_who_may_do_everything_makes_and_takes_back_codes() {
    let mut world = World::new();
    let admin = world.pair(8, ALL);
    let other = world.pair(9, "read write approvals pairing");
    let known = made(&mut world, 1, &[node()]);
    let lacks = Refusal::MissingScope(scopes("admin"));
    let host = Actor::SharedSecret { rule: Rule::LocalCli, scopes: scopes("pairing") };
    for actor in [other, host, Actor::Peer] {
        assert_eq!(create(&mut world, actor.clone(), 2, &[node()]).refusal(), &lacks, "{actor:?}");
        let told = world.tell(actor, Command::RevokeSetupCode { code: known });
        assert_eq!((told.names(), told.refusal()), (vec!["CommandRefused"], &lacks));
    }
    assert_eq!(create(&mut world, admin.clone(), 3, &[node()]).names(), ["SetupCodeCreated"]);
    assert_eq!(world.tell(admin, Command::RevokeSetupCode { code: known }).names(), ["SetupCodeRevoked"]);
}

#[test]
fn a_shell_of_the_agent_makes_no_code_and_may_take_one_back() {
    let mut world = World::new();
    let Actor::Owner(person) = owner() else { unreachable!("the owner") };
    let agent = || Actor::Owner(Person { from_exec: true, ..person.clone() });
    assert_eq!(create(&mut world, agent(), 1, &[node()]).refusal(), &Refusal::FromExecShell);
    let known = made(&mut world, 2, &[node()]);
    assert_eq!(world.tell(agent(), Command::RevokeSetupCode { code: known }).names(), ["SetupCodeRevoked"]);
}

#[test]
fn codes_are_bounded_and_those_whose_time_is_over_make_room() {
    let mut world = World::new();
    for n in 0..SETUP_CODES {
        made(&mut world, u8::try_from(n).expect("few"), &[node()]);
    }
    assert_eq!(create(&mut world, owner(), 200, &[node()]).refusal(), &Refusal::TooManySetupCodes);
    world.now = world.now.plus(LIFE);
    made(&mut world, 201, &[node()]);
    assert_eq!(world.registry.setup_codes().count(), 1);
}

#[test]
fn a_code_gives_nothing_that_the_policy_forbids_its_client() {
    let policy = "{ version: 1, ceilings: [{ clientId: 'webchat', scopes: ['operator.read', 'operator.write'] }] }";
    let mut world = World::under(policy);
    made(&mut world, 1, &[operator("read admin")]);
    let chat = comes(1).client(ClientId::Webchat, ClientMode::Webchat);
    let told = shows(&mut world, &chat.clone().asks("admin"), 1);
    let Refusal::PolicyDenied { beyond, .. } = told.refusal() else { panic!("{:?}", told.outcome) };
    assert_eq!((told.names(), beyond), (REFUSED.to_vec(), &scopes("admin")));
    // It is still there for somebody else.
    assert!(!shows(&mut world, &comes(2).asks("admin"), 1).is_refused());
    // What it gives besides what is asked is left out.
    made(&mut world, 2, &[operator("read admin")]);
    assert!(!shows(&mut world, &chat.asks("write"), 2).is_refused());
    assert_eq!(world.held(1), scopes("read write"));
    // Nor does another name of a device help that is held to the ceiling by what it was paired as.
    world.grant(&visit(3).client(ClientId::Webchat, ClientMode::Webchat).asks("read"));
    made(&mut world, 3, &[operator("read admin")]);
    assert!(!shows(&mut world, &comes(3).asks("write"), 3).is_refused());
    assert_eq!(world.held(3), scopes("read write"));
}

#[test]
fn a_probe_spends_no_code() {
    let mut world = World::new();
    let known = made(&mut world, 1, &[operator("read")]);
    let told = shows(&mut world, &comes(1).probe().asks("read"), 1);
    assert_eq!((told.names(), &told.admission().scopes), (ADMITTED.to_vec(), &ScopeSet::EMPTY));
    assert_eq!(world.registry.setup_code(&known).expect("known").spent, None);
    assert_eq!(world.registry.device_count(), 0);
}

#[test]
fn a_code_counts_beside_a_right_secret_and_in_place_of_a_wrong_one() {
    for shared in [SharedVerdict::Right, SharedVerdict::Wrong, SharedVerdict::Missing, SharedVerdict::NotConfigured] {
        let mut world = World::new();
        made(&mut world, 1, &[operator("read")]);
        let told = shows(&mut world, &visit(1).secret(shared).asks("read"), 1);
        assert_eq!(told.admission().rule, Rule::SetupCode, "{shared}");
    }
    // While too much was wrong before, nothing is looked at.
    let mut world = World::new();
    made(&mut world, 1, &[operator("read")]);
    let told = shows(&mut world, &visit(1).secret(SharedVerdict::Spent).asks("read"), 1);
    let Refusal::Unauthorized { reason, .. } = told.refusal() else { panic!("{:?}", told.outcome) };
    assert_eq!(*reason, AuthReason::RateLimited);
    // And without a device there is nobody to pair.
    let told = shows(&mut world, &comes(1).keyless().asks("read"), 1);
    assert!(told.is_refused());
}

#[test]
fn a_paired_device_gains_by_a_code_and_keeps_its_token() {
    let mut world = World::new();
    world.pair(1, "read");
    let token = world.token(1);
    let waits = world.connect(&visit(1).asks("read pairing")).request();
    made(&mut world, 1, &[operator("pairing"), node()]);
    // Who has what it asks for spends nothing.
    assert_eq!(world.connect(&visit(1).asks("read")).names(), ADMITTED);
    let told = shows(&mut world, &comes(1).asks("pairing"), 1);
    assert_eq!(told.admission().rule, Rule::SetupCode);
    assert_eq!((world.held(1), world.token(1)), (scopes("read pairing"), token), "one token, widened");
    assert!(world.registry.device(&device(1)).expect("paired").has(Role::Node));
    assert!(world.waiting().is_empty(), "{waits} is settled");
}

#[test]
fn a_paired_device_that_gains_nothing_by_a_code_spends_it_all_the_same() {
    let mut world = World::new();
    world.pair(1, "read");
    let (known, token) = (made(&mut world, 1, &[operator("read pairing")]), world.token(1));
    let told = shows(&mut world, &comes(1).asks("read"), 1);
    assert_eq!((told.names(), told.admission().rule), (vec!["SetupCodeSpent", "ConnectionAdmitted"], Rule::Paired));
    assert_eq!((world.held(1), world.token(1)), (scopes("read"), token), "nobody asked for more");
    assert_eq!(world.registry.setup_code(&known).expect("known").spent, Some((device(1), world.now)));
    bad(&shows(&mut world, &comes(2).asks("read"), 1));
}

#[test]
fn a_device_that_is_no_longer_what_it_was_paired_as_needs_a_person_in_spite_of_a_code() {
    let mut world = World::new();
    world.pair(1, "read");
    made(&mut world, 1, &[operator("read write")]);
    let told = shows(&mut world, &comes(1).family("phone").platform("android").asks("write"), 1);
    assert_eq!(told.need().reason, Reason::MetadataUpgrade);
}

#[test]
fn what_a_code_gave_is_of_who_made_it() {
    let mut world = World::new();
    let admin = world.pair(8, ALL);
    create(&mut world, admin.clone(), 1, &[operator("read")]);
    shows(&mut world, &comes(1).asks("read"), 1);
    assert!(world.registry.approved_by(&device(8)).contains_key(&device(1)));
    // What it was taken away does not come back by a code that it made before.
    create(&mut world, admin.clone(), 2, &[operator(ALL)]);
    create(&mut world, admin, 3, &[operator(ALL)]);
    assert!(!shows(&mut world, &comes(2).asks("read"), 2).is_refused());
    world.remove(owner(), 8);
    bad(&shows(&mut world, &comes(8).asks("admin"), 3));
    bad(&shows(&mut world, &comes(3).asks("read"), 3));
    let told = shows(&mut world, &comes(2).asks("read"), 2);
    assert_eq!(told.names(), ADMITTED, "who came before stays, as long as nobody removes it too");
}
