//! What each key of the policy does to decisions, and how another policy comes into force.

use openclaw_pairing::pairing::{PolicyChanged, STRICT_POLICY, resting_rules};

use super::*;

/// A policy with the default for all but these keys.
fn with(keys: &str) -> World {
    World::under(&format!("{{ version: 1, {keys} }}"))
}

fn apply(world: &mut World, actor: Actor, text: &str) -> Told {
    world.tell(actor, Command::ApplyPolicy { text: text.to_owned() })
}

fn arm(world: &mut World, actor: Actor) -> Told {
    world.tell(actor, Command::ArmRule { rule: Rule::LocalFirstPairing })
}

fn from_exec() -> Actor {
    let Actor::Owner(person) = owner() else { unreachable!("the owner") };
    Actor::Owner(openclaw_pairing::pairing::Person { from_exec: true, ..person })
}

#[track_caller]
fn denied(told: &Told, rule: &str, beyond: &str) {
    let refusal = Refusal::PolicyDenied { rule: rule.to_owned(), beyond: scopes(beyond) };
    assert_eq!(told.refusal(), &refusal);
}

// --- ceilings -----------------------------------------------------------------------------------------------------------

/// Connect, ask, approve and rotate, by role, by client id and by client mode.
#[test]
fn a_ceiling_is_over_every_way_to_scopes() {
    for kind in ["", "role: 'operator',", "clientId: 'cli',", "clientMode: 'cli',", "role: 'operator', clientId: 'cli',"] {
        let ceiling = format!("{{ version: 1, ceilings: [{{ {kind} scopes: ['operator.write', 'operator.pairing'] }}] }}");
        // A connect, of somebody known and of a stranger, from afar and local.
        let mut world = World::under(&ceiling);
        world.pair(1, "read");
        for visit in [visit(1), visit(2), visit(1).local(), visit(2).local(), visit(3).keyless().local()] {
            denied(&world.connect(&visit.asks("read admin")), "ceilings[0]", "admin");
        }
        assert!(world.waiting().is_empty(), "no approval would help");
        denied(
            &world.tell(by(1, "read"), Command::Ask { scopes: scopes("approvals"), address: address(203, 1) }),
            "ceilings[0]",
            "approvals",
        );
        denied(&world.rotate(owner(), 1, Some("read approvals")), "ceilings[0]", "approvals");
        assert!(!world.rotate(owner(), 1, Some("write")).is_refused(), "below it, a rotation is an approval");
        // A request that waited when the ceiling came.
        let mut world = World::new();
        let request = world.connect(&visit(1).asks("write admin")).request();
        apply(&mut world, owner(), &ceiling);
        denied(&world.approve(owner(), request), "ceilings[0]", "admin");
        assert!(!world.reject(owner(), request).is_refused());
    }
}

#[test]
fn a_ceiling_is_over_those_only_whom_it_names() {
    for kind in ["role: 'node'", "clientId: 'openclaw-macos'", "clientMode: 'ui'", "role: 'operator', clientId: 'openclaw-tui'"] {
        let mut world = with(&format!("ceilings: [{{ {kind}, scopes: [] }}]"));
        world.pair(1, "admin");
        assert_eq!(world.held(1), scopes("admin"), "{kind}");
    }
    // The first that it is beyond is named, and a node is held to its own.
    let mut world = with("ceilings: [{ scopes: ['operator.write'] }, { role: 'node', scopes: [] }, { scopes: [] }]");
    denied(&world.connect(&visit(1).asks("read")), "ceilings[2]", "read");
    denied(&world.connect(&visit(1).node().asks("read")), "ceilings[0]", "read");
    assert_eq!(world.connect(&visit(1).node()).need().reason, Reason::NotPaired);
}

/// Nobody is asked again for what was approved: a ceiling takes nothing away.
#[test]
fn back_under_the_old_policy_what_was_approved_is_let_in_without_a_person() {
    let mut world = World::new();
    world.grant(&visit(1).backend().asks("read write"));
    let low = "{ version: 1, ceilings: [{ clientId: 'gateway-client', scopes: ['operator.read'] }] }";
    apply(&mut world, owner(), low);
    let told = world.connect(&visit(1).backend().asks("write"));
    denied(&told, "ceilings[0]", "write");
    assert!(told.sentence().contains("not allowed by policy: ceilings[0]"), "{}", told.sentence());
    assert_eq!(world.connect(&visit(1).backend().asks("read")).names(), ADMITTED);
    assert_eq!((world.approved(1), world.held(1)), (scopes("read write"), scopes("read write")));
    apply(&mut world, owner(), DEFAULT_POLICY);
    assert_eq!(world.connect(&visit(1).backend().asks("write")).names(), ADMITTED);
}

/// X47: another name is not another device. It is asked about, and what is approved is pinned.
#[test]
fn x47_a_ceiling_by_client_is_not_dodged_by_another_name() {
    for ceiling in ["clientId: 'gateway-client'", "clientMode: 'backend'"] {
        let mut world = World::new();
        world.grant(&visit(1).backend().asks("read write"));
        apply(&mut world, owner(), &format!("{{ version: 1, ceilings: [{{ {ceiling}, scopes: ['operator.read'] }}] }}"));
        denied(&world.connect(&visit(1).backend().asks("write")), "ceilings[0]", "write");
        // Local or from afar, with its own token or the shared secret.
        let token = world.token(1);
        for visit in [visit(1), visit(1).local(), visit(1).token(token)] {
            assert_eq!(world.connect(&visit.asks("write")).need().reason, Reason::MetadataUpgrade, "{ceiling}");
        }
        // The ceiling stays over what it holds meanwhile, whatever it is called.
        denied(
            &world.tell(by(1, "read"), Command::Ask { scopes: scopes("admin"), address: address(203, 1) }),
            "ceilings[0]",
            "admin",
        );
        denied(&world.rotate(owner(), 1, Some("read approvals")), "ceilings[0]", "approvals");
        assert_eq!(world.connect(&visit(1).asks("read")).names(), ADMITTED, "below it a name matters to nobody");
        let request = world.connect(&visit(1).asks("write")).request();
        assert!(!world.approve(owner(), request).is_refused());
        assert_eq!(world.registry.device(&device(1)).expect("paired").client, visit(1).client, "pinned anew");
        assert_eq!(world.connect(&visit(1).asks("write")).names(), ADMITTED);
        denied(&world.connect(&visit(1).backend().asks("write")), "ceilings[0]", "write");
    }
}

// --- local rules --------------------------------------------------------------------------------------------------------

#[test]
fn a_local_upgrade_gives_its_scopes_and_no_more() {
    let rule = "localUpgrade: { scopes: ['operator.write'] }";
    let paired = || {
        let mut world = with(rule);
        world.grant(&visit(1).asks("pairing"));
        world
    };
    let mut world = paired();
    let asks = visit(1).local().asks("pairing write");
    let told = world.connect(&asks);
    assert_eq!(told.names(), ["PairingApproved", "ConnectionAdmitted"]);
    assert_eq!(told.events[0].0, Actor::Rule(Rule::LocalUpgrade));
    assert_eq!((told.admission().rule, &told.admission().scopes), (Rule::Paired, &scopes("pairing write")));
    assert_eq!(world.held(1), scopes("pairing write"));
    // Whoever asks for more, from elsewhere, as a page, or without the secret, asks a person.
    type Change = fn(Visit) -> Visit;
    let others: [(&str, Change); 7] = [
        ("beyond it", |visit| visit.asks("pairing write approvals")),
        ("from afar", |visit| visit.with_source(|source| source.peer = address(192, 1))),
        ("a page", |visit| visit.with_source(|source| source.is_page = true)),
        ("another user", |visit| visit.with_source(|source| source.user = PeerUser::Other)),
        ("past a proxy", |visit| visit.with_source(|source| source.forwarding = Forwarding::Untrusted)),
        ("by a proxy's user", |visit| visit.auth(AuthMode::TrustedProxy)),
        ("another platform", |visit| visit.platform("ios")),
    ];
    for (what, change) in others {
        let mut world = paired();
        world.connect(&change(asks.clone())).need();
        assert_eq!(world.held(1), scopes("pairing"), "{what}");
    }
    let mut world = paired();
    let token = world.token(1);
    assert_eq!(world.connect(&asks.clone().token(token)).need().reason, Reason::ScopeUpgrade, "a token alone is no local secret");
    assert_eq!(world.connect(&asks.node().asks("")).need().reason, Reason::RoleUpgrade, "scopes, not roles");
}

/// Whose token was narrowed was narrowed by a person; a rule does not undo that.
#[test]
fn a_local_upgrade_leaves_narrow_tokens_narrow() {
    let mut world = with("localUpgrade: { scopes: ['operator.write'] }");
    world.grant(&visit(1).asks("read write"));
    world.rotate(owner(), 1, Some("read"));
    let need = world.connect(&visit(1).local().asks("write")).need().clone();
    assert!(need.token_is_narrow && need.reason == Reason::ScopeUpgrade, "{need:?}");
    assert_eq!(world.held(1), scopes("read"));
}

#[test]
fn a_node_of_a_trusted_network_is_paired_for_no_scopes() {
    let rule = "trustedNodeCidrs: ['10.0.0.0/8', '2001:db8:7::/48'], localFirstPairing: false";
    let at = |text: &str| openclaw_pairing::pairing::Address::from(text.parse::<std::net::IpAddr>().expect(text));
    let from = |text: &str| {
        let peer = at(text);
        visit(1).node().with_source(move |source| source.peer = peer)
    };
    for (address, passes) in [
        ("10.255.0.1", true),
        ("::ffff:10.0.0.1", true),
        ("2001:db8:7:1::2", true),
        ("11.0.0.1", false),
        ("::10.0.0.1", false),
        ("2001:db8:8::1", false),
        ("127.0.0.1", false),
    ] {
        assert_eq!(with(rule).connect(&from(address)).is_refused(), !passes, "{address}");
    }
    let told = with(rule).connect(&from("10.0.0.1"));
    assert_eq!((told.admission().rule, &told.admission().scopes), (Rule::TrustedNodeCidrs, &scopes("")));
    type Change = fn(Visit) -> Visit;
    let others: [(&str, Change); 6] = [
        ("with scopes", |visit| visit.asks("read")),
        ("an operator", |visit| Visit { role: Role::Operator, ..visit }),
        ("a page", |visit| visit.with_source(|source| source.is_page = true)),
        ("by a header that nobody vouches for", |visit| {
            visit.with_source(|source| (source.forwarding, source.claimed) = (Forwarding::Untrusted, Some(address(10, 1))))
        }),
        ("past a trusted proxy, from elsewhere", |visit| {
            visit.with_source(|source| (source.forwarding, source.claimed) = (Forwarding::Trusted, Some(address(203, 1))))
        }),
        ("with a wrong secret", |visit| visit.secret(SharedVerdict::Wrong)),
    ];
    for (what, change) in others {
        assert!(with(rule).connect(&change(from("10.0.0.1"))).is_refused(), "{what}");
    }
    let elsewhere = |claimed: u8, forwarding: Forwarding| {
        let claimed = Some(address(claimed, 1));
        visit(1).node().with_source(move |source| (source.forwarding, source.claimed) = (forwarding, claimed))
    };
    assert!(!with(rule).connect(&elsewhere(10, Forwarding::Trusted)).is_refused(), "a trusted proxy's word counts");
    assert!(with(rule).connect(&elsewhere(10, Forwarding::Untrusted)).is_refused(), "a stranger's does not");
    // Removed once, it asks a person.
    let mut world = with(rule);
    world.connect(&from("10.0.0.1"));
    world.remove(owner(), 1);
    assert_eq!(world.connect(&from("10.0.0.1")).need().reason, Reason::NotPaired);
}

#[test]
fn signatures_and_metadata_are_as_the_policy_says() {
    let mut world = with("signatures: ['v3'], metadata: 'exact'");
    assert_eq!(world.connect(&visit(1).v2().asks("read")).refusal(), &Refusal::Fault(Fault::SignatureInvalid));
    world.grant(&visit(1).platform("linux 6").asks("read"));
    assert_eq!(world.connect(&visit(1).platform("linux 7").asks("read")).need().reason, Reason::MetadataUpgrade);
    let mut world = World::new();
    world.grant(&visit(1).v2().platform("linux 6").asks("read"));
}

#[test]
fn a_request_waits_as_long_as_the_policy_in_force_says() {
    let mut world = with("requestTtl: '24h'");
    let request = world.connect(&visit(1).asks("read")).request();
    world.wait(3_600);
    assert!(world.expire().names().is_empty());
    apply(&mut world, owner(), "{ version: 1, requestTtl: '2m' }");
    let Refusal::Resolved(resolution) = world.approve(owner(), request).refusal().clone() else { panic!("resolved expected") };
    assert_eq!(resolution.ending, Ending::Expired);
}

// --- X18, X20 -----------------------------------------------------------------------------------------------------------

/// Every way in that needs no person, and whom the default lets in by it.
fn doors() -> [(&'static str, Visit, Rule); 5] {
    [
        ("a device never seen", visit(1).local().asks(ALL), Rule::LocalFirstPairing),
        ("a node never seen", visit(2).local().node(), Rule::LocalFirstPairing),
        ("the CLI without a device", visit(3).local().keyless().asks(ALL), Rule::LocalCli),
        ("a backend without a device", visit(4).local().keyless().backend().asks(ALL), Rule::LocalBackend),
        ("a backend with a new device", visit(5).local().backend().asks(ALL), Rule::LocalBackend),
    ]
}

#[test]
fn x18_strict_closes_every_local_door_at_once_and_default_leaves_them_open() {
    for (door, visit, rule) in doors() {
        let told = World::new().connect(&visit);
        assert_eq!((told.admission().rule, &told.admission().scopes), (rule, &visit.scopes), "{door}");
        for mode in [AuthMode::Token, AuthMode::Password, AuthMode::None] {
            let mut world = World::under(STRICT_POLICY);
            let told = world.connect(&visit.clone().auth(mode));
            match &told.outcome {
                // The secret alone is let in to nothing.
                Outcome::Admitted(admission) => {
                    assert_eq!((admission.rule, &admission.scopes), (Rule::SharedSecret, &scopes("")), "{door}");
                }
                _ => assert!(matches!(told.refusal(), Refusal::PairingRequired(_) | Refusal::DeviceRequired), "{door}: {told:?}"),
            }
            assert_eq!(world.registry.device_count(), 0, "{door}");
        }
    }
    // What is paired already gets no more, and what a network is trusted with is nothing.
    let mut world = World::under(STRICT_POLICY);
    world.grant(&visit(1).local().asks("read"));
    assert_eq!(world.connect(&visit(1).local().asks("write")).need().reason, Reason::ScopeUpgrade);
    assert_eq!(
        world.connect(&visit(6).node().with_source(|source| source.peer = address(10, 1))).need().reason,
        Reason::NotPaired
    );
    // The owner's own way in stays.
    let request = world.connect(&visit(7).local().asks(ALL)).request();
    assert!(!world.approve(owner(), request).is_refused());
}

#[test]
fn x20_a_removed_local_client_with_a_new_key_is_let_in_unless_the_rule_rests() {
    // By default it is: whoever has the owner's uid and the secret could do it anyway.
    let mut world = World::new();
    world.connect(&visit(1).local().asks(ALL));
    world.remove(owner(), 1);
    assert_eq!(world.connect(&visit(2).local().asks(ALL)).admission().rule, Rule::LocalFirstPairing);
    // Under strict no rule lets it in at all.
    let mut world = World::new();
    world.connect(&visit(1).local().asks(ALL));
    apply(&mut world, owner(), STRICT_POLICY);
    world.remove(owner(), 1);
    assert_eq!(world.connect(&visit(2).local().asks(ALL)).need().rests, None);
    assert!(resting_rules(&world.registry).is_empty(), "a rule that is off does not rest");
}

#[test]
fn x20_a_rule_rests_until_the_owner_arms_it() {
    type TakeAway = fn(&mut World);
    let ways: [TakeAway; 2] = [|world| drop(world.remove(owner(), 1)), |world| drop(world.revoke(owner(), 1))];
    for take_away in ways {
        let mut world = with("restAfterRemoval: true");
        world.connect(&visit(1).local().asks(ALL));
        world.connect(&visit(2).local().asks("read"));
        take_away(&mut world);
        let told = world.connect(&visit(3).local().asks(ALL));
        assert_eq!((told.need().rests, told.need().reason), (Some(Rule::LocalFirstPairing), Reason::NotPaired));
        assert!(told.sentence().contains("openclaw policy arm localFirstPairing"), "{}", told.sentence());
        assert_eq!(resting_rules(&world.registry).len(), 1);
        // What does not pass by the rule is not told of it, and other rules do not rest.
        assert_eq!(world.connect(&visit(4).asks("read")).need().rests, None);
        assert!(!world.connect(&visit(5).local().keyless().asks(ALL)).is_refused());
        assert_eq!(world.connect(&visit(2).local().asks("read")).names(), ADMITTED, "what it let in before stays");
        // Arming is the owner's.
        for actor in [by(2, "admin"), by(2, ALL), from_exec(), Actor::Peer] {
            assert!(arm(&mut world, actor).is_refused());
        }
        assert!(world.connect(&visit(3).local().asks(ALL)).is_refused());
        assert_eq!(arm(&mut world, owner()).names(), ["RuleArmed"]);
        assert!(arm(&mut world, owner()).names().is_empty(), "once");
        assert!(resting_rules(&world.registry).is_empty());
        assert_eq!(world.connect(&visit(6).local().asks(ALL)).admission().rule, Rule::LocalFirstPairing);
    }
}

#[test]
fn x20_a_rule_rests_where_a_person_took_away_what_a_later_policy_lets_rest() {
    let mut world = World::new();
    world.connect(&visit(1).local().asks(ALL));
    world.remove(owner(), 1);
    apply(&mut world, owner(), "{ version: 1, restAfterRemoval: true }");
    assert_eq!(world.connect(&visit(2).local().asks(ALL)).need().rests, Some(Rule::LocalFirstPairing));
    apply(&mut world, owner(), DEFAULT_POLICY);
    assert!(!world.connect(&visit(2).local().asks(ALL)).is_refused());
}

#[test]
fn x20_a_local_upgrade_rests_too() {
    let mut world = with("restAfterRemoval: true, localUpgrade: { scopes: ['operator.write'] }");
    for n in [1, 2] {
        world.grant(&visit(n).asks("pairing"));
    }
    world.connect(&visit(1).local().asks("pairing write"));
    world.revoke(owner(), 1);
    assert_eq!(world.connect(&visit(2).local().asks("pairing write")).need().rests, Some(Rule::LocalUpgrade));
}

// --- another policy -----------------------------------------------------------------------------------------------------

/// Edits of a policy, each with the keys by which it lets in more.
const EDITS: [(&str, &str, &str); 12] = [
    ("", "localFirstPairing: false", "localFirstPairing"),
    ("", "localCli: { scopes: ['operator.read'] }", "localCli"),
    ("", "localBackend: false", "localBackend"),
    ("localUpgrade: { scopes: ['operator.write'] }", "", "localUpgrade"),
    ("trustedNodeCidrs: ['10.0.0.0/8']", "trustedNodeCidrs: ['10.0.0.0/9']", "trustedNodeCidrs"),
    ("", "ceilings: [{ scopes: ['operator.admin'] }]", "ceilings"),
    ("", "metadata: 'exact'", "metadata"),
    ("", "signatures: ['v3']", "signatures"),
    ("", "restAfterRemoval: true", "restAfterRemoval"),
    ("ownerActsFromExec: true", "", "ownerActsFromExec"),
    ("localPeer: 'loopback'", "", "localPeer"),
    ("", "requestTtl: '2m', budgets: { failure: { perAddress: 5 } }", "requestTtl, budgets"),
];

#[test]
fn x40_an_admin_makes_a_policy_stricter_and_only_the_owner_looser() {
    for (loose, strict, keys) in EDITS {
        let [loose, strict] = [loose, strict].map(|keys| format!("{{ version: 1, {keys} }}"));
        let mut world = World::under(&loose);
        world.pair(1, "admin");
        world.pair(2, "write pairing approvals");
        // Neither those who are no admin, nor whoever only has the secret.
        let secret = Actor::SharedSecret { rule: Rule::LocalCli, scopes: scopes("write pairing") };
        for actor in [by(2, "write pairing approvals"), by(1, "read"), secret, Actor::Peer] {
            assert!(matches!(apply(&mut world, actor, &strict).refusal(), Refusal::MissingScope(_)), "{keys}");
        }
        assert_eq!(apply(&mut world, by(1, "admin"), &strict).names(), ["PolicyChanged"], "{keys}");
        let told = apply(&mut world, by(1, "admin"), &loose);
        assert_eq!(told.refusal(), &Refusal::LoosensPolicy { keys: keys.to_owned() });
        assert!(told.sentence().contains(keys) && told.sentence().contains("openclaw policy apply"), "{}", told.sentence());
        assert_eq!((told.names(), world.registry.policy_text()), (vec!["CommandRefused"], Some(&*strict)));
        assert_eq!(apply(&mut world, owner(), &loose).names(), ["PolicyChanged"]);
        assert_eq!(world.registry.applied().map(|applied| applied.by.clone()), Some(owner()));
    }
}

#[test]
fn an_agents_shell_may_tighten_and_loosens_only_where_the_policy_says_so() {
    let mut world = World::new();
    assert_eq!(apply(&mut world, from_exec(), STRICT_POLICY).names(), ["PolicyChanged"]);
    assert_eq!(apply(&mut world, from_exec(), DEFAULT_POLICY).refusal(), &Refusal::FromExecShell);
    let request = world.connect(&visit(1).asks("read")).request();
    assert_eq!(world.approve(from_exec(), request).refusal(), &Refusal::FromExecShell);
    let seat_belt_off = "{ version: 1, ownerActsFromExec: true }";
    assert_eq!(apply(&mut world, from_exec(), seat_belt_off).refusal(), &Refusal::FromExecShell);
    apply(&mut world, owner(), seat_belt_off);
    assert!(!world.approve(from_exec(), request).is_refused());
    assert!(!apply(&mut world, from_exec(), "{ version: 1, ownerActsFromExec: true, metadata: 'exact' }").is_refused());
    assert!(!arm(&mut world, from_exec()).is_refused());
}

#[test]
fn each_apply_is_one_record_and_a_bad_one_says_where() {
    let mut world = World::new();
    assert!(apply(&mut world, owner(), DEFAULT_POLICY).names().is_empty(), "it is in force already");
    let told = apply(&mut world, owner(), "{ version: 1,\n localCli: { scopes: ['x'] } }");
    assert_eq!(told.names(), ["CommandRefused"]);
    assert!(told.sentence().contains("line 2, column 23: localCli.scopes[0]: "), "{}", told.sentence());
    assert_eq!(world.registry.policy_text(), Some(DEFAULT_POLICY));
    let told = apply(&mut world, owner(), STRICT_POLICY);
    assert_eq!(told.events, [(owner(), PolicyChanged { policy: STRICT_POLICY.to_owned() }.into())]);
}

/// A text of a later version in the journal: nothing passes without a person, and the owner can put another in its place.
#[test]
fn a_policy_that_cannot_be_read_closes_every_door() {
    let mut world = World::new();
    world.grant(&visit(9).asks("admin"));
    world.note(owner(), PolicyChanged { policy: "{ version: 2, tomorrow: true }".to_owned() }.into());
    for (door, visit, _) in doors() {
        let told = world.connect(&visit);
        let is_in = matches!(&told.outcome, Outcome::Admitted(admission) if !admission.scopes.is_empty());
        assert!(!is_in, "{door}");
    }
    assert_eq!(world.connect(&visit(9).asks("admin")).names(), ADMITTED, "who was approved by a person stays");
    assert_eq!(world.connect(&visit(8).v2().asks("read")).refusal(), &Refusal::Fault(Fault::SignatureInvalid));
    assert!(apply(&mut world, by(9, "admin"), DEFAULT_POLICY).is_refused());
    assert!(!apply(&mut world, owner(), DEFAULT_POLICY).is_refused());
    assert!(!world.connect(&visit(1).local().asks(ALL)).is_refused());
}

/// A live connection keeps what it was let in with, until it ends; what a rule gives to whoever comes is asked of the policy in
/// force, each time.
#[test]
fn live_connections_keep_their_scopes_and_rules_are_asked_anew() {
    let mut world = World::new();
    world.pair(1, ALL);
    let request = world.connect(&visit(2).asks("read")).request();
    let cli = Actor::SharedSecret { rule: Rule::LocalCli, scopes: scopes("pairing") };
    assert!(openclaw_pairing::pairing::may_see_device(&world.registry, &cli, &device(1)));
    apply(&mut world, owner(), "{ version: 1, localCli: false, ceilings: [{ clientId: 'cli', scopes: ['operator.read'] }] }");
    assert!(!openclaw_pairing::pairing::may_see_device(&world.registry, &cli, &device(1)), "the rule is off");
    assert!(!world.approve(by(1, ALL), request).is_refused(), "an admin that was let in before is one until it leaves");
    denied(&world.connect(&visit(1).asks(ALL)), "ceilings[0]", "admin write approvals pairing");
}
