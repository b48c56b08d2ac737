//! What a device says of itself: platform and family are pinned by who signed for them.

use super::*;

#[test]
fn s18_a_point_release_is_noted_and_under_strict_pins_it_asks_a_person() {
    let mut world = World::new();
    world.grant(&visit(1).asks("read").platform("macOS 26.3.1").family("Mac"));
    let newer = visit(1).asks("read").platform("macOS 26.4.0").family("mac");
    let told = world.connect(&newer);
    assert_eq!(told.names(), ["DeviceMetadataChanged", "ConnectionAdmitted"]);
    assert_eq!((&told.events[0].0, world.platform(1)), (&Actor::Rule(Rule::Metadata), Some("macOS 26.4.0")));
    assert_eq!(world.connect(&newer).names(), ADMITTED);

    let mut world = World::under("{ version: 1, metadata: \"exact\" }");
    world.grant(&visit(1).asks("read").platform("macOS 26.3.1"));
    let first = world.connect(&newer);
    assert_eq!(first.need().reason, Reason::MetadataUpgrade);
    for _ in 0..940 {
        assert_eq!(world.connect(&newer).request(), first.request());
    }
    let (held, token) = (world.held(1), world.token(1));
    world.approve(owner(), first.request());
    assert_eq!((world.platform(1), world.held(1), world.token(1)), (Some("macOS 26.4.0"), held, token));
}

#[test]
fn s19_an_unclaimed_field_is_not_a_change() {
    let mut world = World::new();
    world.grant(&visit(1).asks("read").platform("windows").family("Windows"));
    let before = world.registry.digest().0;
    for ask in [
        visit(1).platform("windows"),
        visit(1).says(|said| said.platform = None),
        visit(1).platform("windows").family("windows"),
        visit(1).platform(" WINDOWS "),
    ] {
        assert_eq!(world.connect(&ask.asks("read")).names(), ADMITTED);
    }
    assert_eq!(world.registry.digest().0, before);
}

#[test]
fn s20_a_swapped_platform_needs_a_person() {
    let mut world = World::new();
    world.grant(&visit(1).node().platform("linux"));
    let ios = visit(1).node().platform("ios").offers(&["camera"]);
    let told = world.connect(&ios);
    assert_eq!((told.need().reason, world.platform(1)), (Reason::MetadataUpgrade, Some("linux")));
    world.reject(owner(), told.request());
    assert_eq!((world.waiting(), world.platform(1)), (vec![], Some("linux")));
    assert_eq!(world.connect(&visit(1).node().platform("linux")).names(), ADMITTED);
    // The form that does not cover the platform says nothing of it.
    assert_eq!(world.connect(&ios.v2()).names(), ADMITTED);
    assert_eq!(world.platform(1), Some("linux"));
}

#[test]
fn x08_a_v2_claim_neither_sets_nor_moves_a_pin() {
    let mut world = World::new();
    world.grant(&visit(1).v2().asks("read").platform("ios").family("iPhone"));
    assert_eq!(world.platform(1), None);
    world.grant(&visit(2).asks("read").platform("linux"));
    for names in ["write", "pairing"] {
        world.grant(&visit(2).v2().asks(names).platform("ios"));
        assert_eq!(world.platform(2), Some("linux"));
    }
    // A request by v2 shows nothing that v3 would claim.
    let waiting = world.connect(&visit(2).v2().asks("admin").platform("ios")).request();
    let told = world.connect(&visit(2).asks("admin").platform("ios"));
    assert_eq!((told.need().reason, told.request() == waiting), (Reason::MetadataUpgrade, false));
}

#[test]
fn s19_approving_a_request_that_leaves_a_field_out_takes_no_pin_away() {
    let mut world = World::new();
    world.grant(&visit(1).node().asks("").platform("windows").family("Windows").offers(&["camera"]));
    world.grant(&visit(1).asks("read").platform("windows"));
    world.grant(&visit(1).asks("write").says(|said| said.platform = None));
    let pinned = &world.registry.device(&device(1)).expect("paired").description;
    assert_eq!((pinned.platform.as_deref(), pinned.family.as_deref()), (Some("windows"), Some("Windows")));
    assert_eq!(pinned.commands, ["camera"]);
    assert_eq!(world.connect(&visit(1).asks("read").platform("windows").family("Xbox")).need().reason, Reason::MetadataUpgrade);
}

#[test]
fn a_claim_that_the_request_does_not_show_makes_another_request() {
    let mut world = World::new();
    world.grant(&visit(1).asks("read").family("Mac"));
    let upgrade = world.connect(&visit(1).asks("write")).request();
    let told = world.connect(&visit(1).asks("write").family("iPhone"));
    assert_eq!((told.need().reason, told.request() == upgrade), (Reason::MetadataUpgrade, false));
    world.approve(owner(), told.request());
    assert_eq!(world.connect(&visit(1).asks("write").family("iPhone")).names(), ADMITTED);
}

#[test]
fn x46_a_platform_in_prose_is_a_family_of_its_own() {
    for (pinned, claimed, passes) in [
        ("linux 6.1", "Linux 6.2", true),
        ("darwin", "macOS 26", true),
        ("win32", "windows 12", true),
        ("my ios phone", "ios", false),
        ("plan9", "plan10", false),
        ("linux", "linuxish", false),
    ] {
        let mut world = World::new();
        world.grant(&visit(1).asks("read").platform(pinned));
        assert_eq!(world.connect(&visit(1).asks("read").platform(claimed)).is_refused(), !passes, "{pinned} to {claimed}");
    }
}

#[test]
fn a_form_of_signature_that_policy_does_not_take_is_refused() {
    let mut world = World::under("{ version: 1, signatures: [\"v3\"] }");
    assert_eq!(world.connect(&visit(1).v2().asks("read")).refusal(), &Refusal::Fault(Fault::SignatureInvalid));
    assert_eq!(world.connect(&visit(1).asks("read")).need().reason, Reason::NotPaired);
}

#[test]
fn a_fault_is_answered_before_anything_else_is_asked() {
    for fault in Fault::ALL {
        let mut world = World::new();
        let mut attempt = visit(1).local().asks("read").attempt(&world.registry);
        attempt.fault = Some(*fault);
        let told = world.tell(Actor::Peer, Command::Connect { attempt: Box::new(attempt), key: None, code: None });
        assert_eq!((told.names(), told.refusal()), (REFUSED.to_vec(), &Refusal::Fault(*fault)));
    }
}
