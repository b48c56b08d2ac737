//! Who comes in without a person: a first local pairing, clients without a device, probes; and who not at all.

use super::*;

// --- a first local pairing ----------------------------------------------------------------------------------------------

#[test]
fn a_first_local_pairing_is_approved_by_the_rule_and_says_so() {
    let mut world = World::new();
    let told = world.connect(&visit(1).local().asks(ALL));
    assert_eq!(told.names(), ["PairingRequested", "PairingApproved", "TokenIssued", "ConnectionAdmitted"]);
    assert_eq!(told.events[1].0, Actor::Rule(Rule::LocalFirstPairing));
    assert_eq!(told.admission().rule, Rule::LocalFirstPairing);
    assert_eq!(told.admission().scopes, scopes(ALL));
    assert_eq!(told.admission().token.as_ref().map(|token| token.scopes.clone()), Some(scopes(ALL)));
    assert_eq!((world.held(1), world.waiting()), (scopes(ALL), vec![]));
}

#[test]
fn the_rule_pairs_a_device_only_once() {
    let mut world = World::new();
    world.connect(&visit(1).local().asks("read"));
    assert_eq!(world.connect(&visit(1).local().asks("write")).need().reason, Reason::ScopeUpgrade);
    assert_eq!(world.connect(&visit(1).local().node()).need().reason, Reason::RoleUpgrade);
    world.remove(owner(), 1);
    assert_eq!(world.connect(&visit(1).local().asks("read")).need().reason, Reason::NotPaired);
    let rejected = world.connect(&visit(2).asks("read")).request();
    world.reject(owner(), rejected);
    assert_eq!(world.connect(&visit(2).local().asks("read")).need().reason, Reason::NotPaired);
}

#[test]
fn a_request_of_its_own_does_not_stand_in_the_way_of_a_first_local_pairing() {
    let mut world = World::new();
    let old = world.connect(&visit(1).asks("admin")).request();
    let told = world.connect(&visit(1).local().asks("read"));
    assert_eq!(told.admission().scopes, scopes("read"));
    assert_eq!((world.held(1), world.waiting()), (scopes("read"), vec![]));
    let Refusal::Resolved(resolution) = world.approve(owner(), old).refusal().clone() else { panic!("resolved expected") };
    assert_eq!(resolution.ending, Ending::Superseded);
}

#[test]
fn whatever_is_not_local_asks_a_person() {
    type Change = fn(&mut Source);
    let remote: [(&str, Change); 6] = [
        ("from another machine", |source| source.peer = address(192, 1)),
        ("a page", |source| source.is_page = true),
        ("through a proxy we trust", |source| source.forwarding = Forwarding::Trusted),
        ("through a proxy we do not know", |source| source.forwarding = Forwarding::Untrusted),
        ("by a foreign Host", |source| source.host_is_loopback = false),
        ("another user of this machine", |source| source.user = PeerUser::Other),
    ];
    for (what, change) in remote {
        let mut world = World::new();
        let told = world.connect(&visit(1).local().asks("read").with_source(change));
        assert_eq!((told.names(), told.need().reason), (REQUESTED.to_vec(), Reason::NotPaired), "{what}");
    }
    for (user, passes) in
        [(PeerUser::Owner, true), (PeerUser::Untold, true), (PeerUser::Unknown, false), (PeerUser::NotAsked, false)]
    {
        let told = World::new().connect(&visit(1).local().asks("read").with_source(|source| source.user = user));
        assert_eq!(told.is_refused(), !passes, "{user}");
    }
    let anybody = "{ version: 1, localPeer: \"loopback\" }";
    let other = visit(1).local().asks("read").with_source(|source| source.user = PeerUser::Other);
    assert!(!World::under(anybody).connect(&other).is_refused());
}

#[test]
fn the_rule_for_first_pairings_keeps_to_its_roles_and_scopes() {
    for (rule, ask, passes) in [
        ("false", visit(1).asks("read"), false),
        ("{ roles: [\"node\"], scopes: \"asked\" }", visit(1).asks("read"), false),
        ("{ roles: [\"node\"], scopes: \"asked\" }", visit(1).node(), true),
        ("{ roles: [\"operator\"], scopes: [\"operator.write\"] }", visit(1).asks("read write"), true),
        ("{ roles: [\"operator\"], scopes: [\"operator.write\"] }", visit(1).asks("write pairing"), false),
    ] {
        let mut world = World::under(&format!("{{ version: 1, localFirstPairing: {rule} }}"));
        assert_eq!(world.connect(&ask.clone().local()).is_refused(), !passes, "{rule} {ask:?}");
    }
}

#[test]
fn a_first_local_pairing_needs_the_secret_or_a_gateway_without_one() {
    let ask = visit(1).local().asks("read");
    assert!(!World::new().connect(&ask.clone().auth(AuthMode::None)).is_refused());
    assert!(!World::new().connect(&ask.clone().auth(AuthMode::Password)).is_refused());
    for verdict in [SharedVerdict::Missing, SharedVerdict::Wrong, SharedVerdict::NotConfigured] {
        let told = World::new().connect(&ask.clone().secret(verdict));
        assert!(matches!(told.refusal(), Refusal::Unauthorized { .. }), "{verdict}");
        assert_eq!(told.names(), REFUSED);
    }
}

#[test]
fn x03_without_a_token_key_a_device_is_paired_and_gets_its_token_when_there_is_a_key_again() {
    let mut world = World::new();
    world.fresh.works.set(false);
    let told = world.connect(&visit(1).local().asks("read"));
    assert_eq!(told.names(), ["PairingRequested", "PairingApproved", "ConnectionAdmitted"]);
    assert_eq!(told.admission().token, None);
    assert_eq!(world.rotate(owner(), 1, None).refusal(), &Refusal::TokenKeyUnusable);
    assert_eq!(world.connect(&visit(1).asks("read")).names(), ADMITTED);
    world.fresh.works.set(true);
    assert_eq!(world.connect(&visit(1).asks("read")).names(), ["TokenIssued", "ConnectionAdmitted"]);
    assert_eq!(world.connect(&visit(1).asks("read").token(world.token(1))).names(), ADMITTED);
}

// --- who comes without a device, and who only looks ---------------------------------------------------------------------

#[test]
fn without_a_device_scopes_come_from_a_named_rule_or_not_at_all() {
    let cli = || visit(1).keyless().asks("read pairing");
    let backend = || cli().backend();
    let narrow = "{ version: 1, localCli: { scopes: [\"operator.read\"] }, localBackend: { scopes: [] } }";
    let default = DEFAULT_POLICY;
    for (policy, visit, rule, given) in [
        (default, cli().local(), Rule::LocalCli, "read pairing"),
        (default, backend().local(), Rule::LocalBackend, "read pairing"),
        (default, cli(), Rule::SharedSecret, ""),
        (default, backend(), Rule::SharedSecret, ""),
        (default, cli().local().with_source(|source| source.is_page = true), Rule::SharedSecret, ""),
        (default, cli().local().client(ClientId::Cli, ClientMode::Ui), Rule::SharedSecret, ""),
        (default, cli().local().client(ClientId::Macos, ClientMode::Cli), Rule::SharedSecret, ""),
        (narrow, cli().local(), Rule::LocalCli, "read"),
        (narrow, backend().local(), Rule::LocalBackend, ""),
        (ASK, cli().local(), Rule::SharedSecret, ""),
        (ASK, backend().local(), Rule::SharedSecret, ""),
        (default, cli().probe().local(), Rule::Probe, ""),
        (default, cli().probe(), Rule::Probe, ""),
    ] {
        let mut world = World::under(policy);
        let told = world.connect(&visit);
        assert_eq!(told.names(), ADMITTED, "{visit:?}");
        let admission = told.admission();
        assert_eq!((admission.rule, &admission.scopes), (rule, &scopes(given)), "{visit:?}");
        assert_eq!((&admission.device, &admission.token), (&None, &None));
    }
}

#[test]
fn without_a_device_only_the_right_secret_comes_in() {
    let cli = || visit(1).keyless().local().asks("read");
    let wrong = |reason| Refusal::Unauthorized { reason, may_retry_with_device_token: false, rotated_at: None };
    for (visit, refusal) in [
        (cli().secret(SharedVerdict::Missing), Refusal::DeviceRequired),
        (cli().secret(SharedVerdict::Wrong), wrong(AuthReason::TokenMismatch)),
        (cli().auth(AuthMode::Password).secret(SharedVerdict::Wrong), wrong(AuthReason::PasswordMismatch)),
        (cli().auth(AuthMode::None), Refusal::DeviceRequired),
        (cli().node(), Refusal::DeviceRequired),
        (cli().client(ClientId::ControlUi, ClientMode::Ui), Refusal::ControlUiNeedsDevice),
    ] {
        assert_eq!(World::new().connect(&visit).refusal(), &refusal, "{visit:?}");
    }
}

#[test]
fn a_local_backend_with_a_device_never_seen_is_let_in_and_not_paired() {
    let mut world = World::new();
    let told = world.connect(&visit(1).backend().local().asks("read"));
    assert_eq!((told.names(), told.admission().rule), (ADMITTED.to_vec(), Rule::LocalBackend));
    assert_eq!((&told.admission().token, world.registry.device_count()), (&None, 0));
    // Its next command finds a device never seen, and a paired one is held to what it holds.
    assert_eq!(world.connect(&visit(1).local().asks(ALL)).admission().rule, Rule::LocalFirstPairing);
    world.connect(&visit(2).local().asks("read"));
    assert_eq!(world.connect(&visit(2).backend().local().asks("write")).need().reason, Reason::ScopeUpgrade);
    // Neither a removed one nor one from afar is helped.
    world.remove(owner(), 1);
    assert_eq!(world.connect(&visit(1).backend().local().asks("read")).need().reason, Reason::NotPaired);
    assert_eq!(world.connect(&visit(3).backend().asks("read")).need().reason, Reason::NotPaired);
}

#[test]
fn a_local_backend_is_not_paired_where_its_own_rule_is_off() {
    let mut world = World::under("{ version: 1, localBackend: false }");
    assert_eq!(world.connect(&visit(1).backend().local().asks("read")).need().reason, Reason::NotPaired);
    assert_eq!(world.connect(&visit(2).local().asks("read")).admission().rule, Rule::LocalFirstPairing);
}

#[test]
fn a_probe_leaves_no_pairing_no_request_and_no_token() {
    let mut world = World::new();
    world.pair(2, "read");
    world.pair(3, "read");
    world.revoke(owner(), 3);
    world.fresh.works.set(false);
    world.grant(&visit(4).asks("read"));
    world.fresh.works.set(true);
    let before = world.registry.digest().0;
    let probes = [
        visit(1).probe().asks("read"),
        visit(1).probe().asks("read").local(),
        visit(2).probe().asks(ALL),
        visit(2).probe().asks("read").platform("ios"),
        visit(3).probe().asks("read"),
        visit(1).node().probe(),
        visit(1).probe().keyless().asks("read"),
    ];
    for probe in probes {
        let told = world.connect(&probe);
        assert_eq!((told.names(), told.admission().rule), (ADMITTED.to_vec(), Rule::Probe), "{probe:?}");
        assert_eq!((&told.admission().scopes, &told.admission().token), (&scopes(""), &None), "{probe:?}");
    }
    // A paired device that probes for what it holds gets that, and nothing is made for it.
    assert_eq!(world.connect(&visit(2).probe().asks("read")).admission().rule, Rule::Paired);
    assert_eq!(world.registry.digest().0, before);
}

#[test]
fn a_probe_with_a_device_token_leaves_no_trace_either() {
    let mut world = World::new();
    world.pair(1, "read");
    let token = world.token(1);
    let before = world.registry.digest().0;
    for probe in [visit(1).asks(ALL), visit(1).asks("read").platform("ios"), visit(1).asks("read").platform("linux 7")] {
        let told = world.connect(&probe.probe().token(token));
        assert_eq!((told.names(), world.registry.digest().0), (ADMITTED.to_vec(), before));
    }
    // Without a token of its own it gets none made, and a revoked one makes no request.
    world.fresh.works.set(false);
    world.grant(&visit(2).asks("read"));
    world.fresh.works.set(true);
    assert_eq!(world.connect(&visit(2).asks("read").probe()).names(), ADMITTED);
    world.revoke(owner(), 1);
    let told = world.connect(&visit(1).asks("read").probe().token(token));
    assert_eq!((told.names(), world.waiting()), (REFUSED.to_vec(), vec![]));
}

#[test]
fn s14_a_status_check_never_fixes_the_scopes() {
    let checks = [visit(1).probe().local().asks("read"), visit(1).backend().local().asks("read"), visit(1).probe().asks("read")];
    for order in [[0, 1, 2], [2, 1, 0], [1, 0, 2]] {
        let mut world = World::new();
        for check in order {
            assert_eq!(world.connect(&checks[check]).names(), ADMITTED);
        }
        let told = world.connect(&visit(1).local().asks(ALL));
        assert_eq!((told.admission().rule, &told.admission().scopes), (Rule::LocalFirstPairing, &scopes(ALL)));
        assert_eq!(world.waiting(), []);
    }
}

#[test]
fn a_proxys_word_comes_in_and_is_never_local() {
    let mut world = World::new();
    let proxied = |n| visit(n).local().auth(AuthMode::TrustedProxy).asks("read");
    let told = world.connect(&proxied(1));
    assert_eq!((told.need().reason, world.registry.device_count()), (Reason::NotPaired, 0));
    let told = world.connect(&proxied(2).backend());
    assert_eq!(told.need().reason, Reason::NotPaired);
    for keyless in [proxied(3).keyless(), proxied(3).keyless().backend()] {
        let told = world.connect(&keyless);
        assert_eq!((told.admission().rule, &told.admission().scopes), (Rule::SharedSecret, &ScopeSet::EMPTY));
    }
    world.grant(&proxied(4));
    assert_eq!(world.connect(&proxied(4)).admission().rule, Rule::Paired);
    for (verdict, reason) in [
        (SharedVerdict::Missing, AuthReason::TrustedProxyUserMissing),
        (SharedVerdict::Wrong, AuthReason::TrustedProxyUserNotAllowed),
        (SharedVerdict::NotConfigured, AuthReason::TrustedProxyUntrustedSource),
    ] {
        let told = world.connect(&proxied(4).secret(verdict));
        assert!(matches!(told.refusal(), Refusal::Unauthorized { reason: found, .. } if *found == reason), "{reason}");
    }
}

#[test]
fn a11_while_nothing_is_compared_nothing_comes_in() {
    let mut world = World::new();
    world.pair(1, "read");
    for spent in [visit(1).asks("read"), visit(2).asks("read"), visit(3).keyless(), visit(1).local(), visit(2).probe()] {
        let told = world.connect(&spent.secret(SharedVerdict::Spent));
        assert_eq!(told.names(), REFUSED);
        let Refusal::Unauthorized { reason, may_retry_with_device_token, .. } = told.refusal() else {
            panic!("{:?}", told.refusal())
        };
        assert_eq!((*reason, *may_retry_with_device_token), (AuthReason::RateLimited, false));
        assert_eq!(told.sentence(), "unauthorized: too many failed authentication attempts (retry later)");
    }
    assert_eq!(world.waiting(), []);
}
