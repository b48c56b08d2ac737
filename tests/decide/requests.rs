//! What waits for a person: one request for a device and role, what it shows, how it is replaced and how long it lives.

use super::*;

#[test]
fn s01_a_first_contact_that_is_refused_leaves_a_request() {
    let mut world = World::new();
    let proxied = |source: &mut Source| (source.forwarding, source.claimed) = (Forwarding::Trusted, Some(address(100, 7)));
    let told = world.connect(&visit(1).local().asks("read write").with_source(proxied));
    assert_eq!((told.names(), told.need().reason), (REQUESTED.to_vec(), Reason::NotPaired));
    assert_eq!((&told.need().missing, &told.need().held), (&scopes("read write"), &scopes("")));
    let request = world.registry.request(&told.request()).expect("it waits");
    assert_eq!((request.device, request.role, &request.scopes), (device(1), Role::Operator, &scopes("read write")));
    assert_eq!((request.address, world.registry.device_count()), (address(100, 7), 0));
    assert!(told.sentence().starts_with("pairing required: not-paired"), "{}", told.sentence());
}

#[test]
fn s02_a_device_that_retries_keeps_its_request_and_is_told_to_wait_longer() {
    let mut world = World::new();
    let ask = visit(1).asks("read");
    let first = world.connect(&ask).request();
    let mut hint = 0;
    for attempt in 2..=240 {
        world.wait(5);
        assert_eq!(world.expire().names(), [] as [&str; 0]);
        let told = world.connect(&ask);
        assert_eq!((told.names(), told.request()), (REFUSED.to_vec(), first));
        assert!(told.need().retry_after_ms > hint || attempt > 7);
        hint = told.need().retry_after_ms;
    }
    assert_eq!((hint, world.waiting()), (60_000, vec![first]));
    assert_eq!(world.registry.request(&first).map(|request| request.attempts), Some(240));
    world.approve(owner(), first);
    assert_eq!(world.connect(&ask).admission().scopes, scopes("read"));
}

#[test]
fn s03_a_changed_ask_names_its_successor() {
    let mut world = World::new();
    let admin = world.pair(9, ALL);
    let old = world.connect(&visit(1).asks("read")).request();
    let told = world.connect(&visit(1).asks("read write"));
    assert_eq!(told.names(), REQUESTED);
    let new = told.request();
    assert_eq!(world.waiting(), [new]);
    assert_eq!(world.registry.request(&new).and_then(|request| request.supersedes), Some(old));
    let refused = world.approve(admin.clone(), old);
    assert_eq!(refused.names(), ["CommandRefused"]);
    let words = refused.sentence();
    assert!(words.contains(&new.to_string()) && words.contains("+operator.write"), "{words}");
    assert!(!world.approve(admin, new).is_refused());
    assert_eq!(world.held(1), scopes("read write"));
}

#[test]
fn an_ask_within_the_request_is_the_request_and_any_other_is_a_new_one_for_both() {
    let rows: [(Visit, bool); 7] = [
        (visit(1).asks("write"), true),
        (visit(1).asks("read"), true), // covered by write
        (visit(1).asks(""), true),
        (visit(1).asks("write").says(|said| said.platform = None), true),
        (visit(1).asks("pairing"), false),
        (visit(1).asks("write").platform("darwin"), false),
        // Commands are a node's.
        (visit(1).asks("write").offers(&["camera"]), true),
    ];
    for (ask, same) in rows {
        let mut world = World::new();
        let first = world.connect(&visit(1).asks("write")).request();
        let told = world.connect(&ask);
        assert_eq!(told.request() == first, same, "{ask:?}");
        assert_eq!(world.waiting(), [told.request()]);
        let request = world.registry.request(&told.request()).expect("it waits");
        let all = if same { scopes("write") } else { scopes("write").union(&ask.scopes) };
        assert_eq!((&request.scopes, request.description.commands.len()), (&all, 0), "{ask:?}");
    }
}

#[test]
fn two_asks_in_turn_settle_on_one_request() {
    let mut world = World::new();
    let asks = [visit(1).asks("read"), visit(1).asks("pairing")];
    let requests: Vec<_> = (0..8).map(|turn| world.connect(&asks[turn % 2]).request()).collect();
    assert!(requests[1..].iter().all(|request| *request == requests[1]), "{requests:?}");
    assert_eq!(world.registry.request(&requests[1]).map(|request| request.scopes.clone()), Some(scopes("read pairing")));
}

#[test]
fn s03_the_old_id_names_the_last_of_its_successors() {
    let mut world = World::new();
    let first = world.connect(&visit(1).asks("read")).request();
    world.connect(&visit(1).asks("write"));
    let last = world.connect(&visit(1).asks("pairing")).request();
    let told = world.approve(owner(), first);
    let Refusal::Resolved(resolution) = told.refusal() else { panic!("resolved expected") };
    assert_eq!(resolution.successor, Some((last, scopes("write pairing"))));
}

#[test]
fn n08_two_asks_in_turn_for_other_commands_or_by_other_signatures_settle_too() {
    let phone = |platform, commands: &[&str]| visit(1).node().platform(platform).offers(commands);
    for asks in [
        [phone("ios", &["camera"]), phone("ios", &["screen"])],
        [phone("ios", &["camera"]).v2(), phone("android", &["camera"])],
        [phone("ios", &["camera"]), phone("android", &["camera"]).v2()],
        [phone("ios", &[]), phone("ios", &[]).family("iPhone")],
    ] {
        let mut world = World::new();
        let requests: Vec<_> = (0..6).map(|turn| world.connect(&asks[turn % 2]).request()).collect();
        assert!(requests[1..].iter().all(|request| *request == requests[1]), "{requests:?}");
    }
    let mut world = World::new();
    world.connect(&phone("ios", &["camera"]));
    let request = world.connect(&phone("ios", &["screen"])).request();
    let commands = &world.registry.request(&request).expect("it waits").description.commands;
    assert_eq!(commands, &["camera", "screen"]);
}

#[test]
fn a_request_cannot_be_made_to_grow_without_end() {
    let mut world = World::new();
    let many = |turn: usize| (0..30).map(|n| format!("{turn}.{n} ")).collect::<String>();
    for turn in 0..20 {
        let names: Vec<_> = (0..100).map(|n| format!("{turn} {n}")).collect();
        let names: Vec<_> = names.iter().map(String::as_str).collect();
        let request = world.connect(&visit(1).node().asks(&many(turn)).offers(&names)).request();
        let request = world.registry.request(&request).expect("it waits");
        assert!(request.scopes.len() <= limits::SCOPES);
        assert!(request.description.commands.len() <= limits::CAPABILITIES);
        assert!(request.scopes.covers(Role::Node, &scopes(&many(turn))));
    }
}

#[test]
fn what_many_approvals_come_to_can_be_read_again() {
    let mut world = World::new();
    for turn in 0..3 {
        world.grant(&visit(1).asks(&(0..30).map(|n| format!("{turn}.{n} ")).collect::<String>()));
    }
    let held = world.held(1);
    assert_eq!(held.len(), 90);
    let image = serde_json::to_string(&held).expect("an image");
    assert_eq!(serde_json::from_str::<ScopeSet>(&image).ok(), Some(held));
}

#[test]
fn each_role_has_a_request_of_its_own() {
    let mut world = World::new();
    let operator = world.connect(&visit(1).asks("read")).request();
    let node = world.connect(&visit(1).node()).request();
    assert_ne!(operator, node);
    assert_eq!(world.registry.request_count(), 2);
    world.approve(owner(), node);
    assert_eq!(world.waiting(), [operator]);
    assert_eq!(world.connect(&visit(1).asks("read")).request(), operator);
}

#[test]
fn one_request_shows_all_that_is_missing_under_the_first_reason() {
    let mut world = World::new();
    world.grant(&visit(1).asks("read"));
    for (ask, reason) in [
        (visit(1).asks("read write").platform("ios"), Reason::MetadataUpgrade),
        (visit(1).node().asks("cam.era").platform("ios"), Reason::MetadataUpgrade),
        (visit(1).node().asks("cam.era"), Reason::RoleUpgrade),
        (visit(1).asks("read write"), Reason::ScopeUpgrade),
        (visit(2).asks("read"), Reason::NotPaired),
    ] {
        assert_eq!(world.connect(&ask).need().reason, reason, "{ask:?}");
    }
    let request = world.connect(&visit(1).asks("admin").platform("ios")).request();
    world.approve(owner(), request);
    assert_eq!((world.platform(1), world.held(1)), (Some("ios"), scopes("read write admin")));
    assert_eq!(world.connect(&visit(1).asks("admin").platform("ios")).names(), ADMITTED);
}

#[test]
fn s04_expired_is_not_unknown() {
    let mut world = World::new();
    let admin = world.pair(9, ALL);
    let asked_at = world.now;
    let old = world.connect(&visit(1).asks("read")).request();
    world.wait(360);
    let told = world.approve(admin.clone(), old);
    assert_eq!(told.names(), ["PairingExpired", "CommandRefused"]);
    assert_eq!(told.events[0].0, Actor::System);
    let Refusal::Resolved(resolution) = told.refusal() else { panic!("resolved expected") };
    assert_eq!((resolution.ending, resolution.at), (Ending::Expired, asked_at.plus(300_000)));
    assert_eq!(world.approve(admin, NO_REQUEST).refusal(), &Refusal::UnknownRequest);
    assert_eq!(world.waiting(), []);
    assert_ne!(world.connect(&visit(1).asks("read")).request(), old);
}

#[test]
fn a_sweep_ends_no_more_requests_than_fit_into_a_batch() {
    let mut world = World::new();
    for n in 0..200 {
        world.connect(&visit(n).asks("read"));
        world.connect(&visit(n).node());
    }
    world.wait(360);
    assert_eq!(world.expire().events.len(), 256);
    assert_eq!(world.expire().events.len(), 144);
    assert_eq!(world.expire().events.len(), 0);
}

#[test]
fn the_time_of_a_request_counts_from_the_last_attempt() {
    let mut world = World::new();
    let ask = visit(1).asks("read");
    let first = world.connect(&ask).request();
    world.wait(299);
    assert_eq!(world.connect(&ask).request(), first);
    world.wait(299);
    assert_eq!(world.expire().names(), [] as [&str; 0]);
    world.wait(1);
    assert_eq!(world.expire().names(), ["PairingExpired"]);
    // Where nobody looked in time, the next attempt finds out, also one that is paired by rule.
    let second = world.connect(&ask).request();
    world.wait(300);
    let told = world.connect(&ask);
    assert_eq!(told.names(), ["PairingExpired", "PairingRequested", "ConnectionRefused"]);
    assert_ne!(told.request(), second);
    world.wait(300);
    let told = world.connect(&ask.clone().local());
    let names = ["PairingExpired", "PairingRequested", "PairingApproved", "TokenIssued", "ConnectionAdmitted"];
    assert_eq!(told.names(), names);
    let mut world = World::under("{ version: 1, requestTtl: \"2m\" }");
    world.connect(&ask);
    world.wait(120);
    assert_eq!(world.expire().names(), ["PairingExpired"]);
}

#[test]
fn s28_the_time_of_a_request_runs_on_over_a_restart() {
    let mut world = World::new();
    world.connect(&visit(1).asks("read"));
    world.wait(200);
    let mut again = Registry::default();
    world.records.iter().for_each(|record| again.apply(record));
    assert_eq!(again.digest(), world.registry.digest());
    world.registry = again;
    world.wait(99);
    assert_eq!(world.expire().names(), [] as [&str; 0]);
    world.wait(1);
    assert_eq!(world.expire().names(), ["PairingExpired"]);
}

#[test]
fn n09_a_full_table_takes_no_stranger_and_always_a_device_that_was_paired() {
    let mut world = World::new();
    world.pair(1, "read");
    world.pair(2, "read");
    world.remove(owner(), 2);
    let stranger = |n: u32| {
        let mut ask = visit(9).asks("read").command(&Registry::default());
        if let Command::Connect { attempt, .. } = &mut ask {
            let proof = attempt.proof.as_mut().expect("a proof");
            proof.device.0[..4].copy_from_slice(&n.to_be_bytes());
            // 32 of each address.
            attempt.source.peer =
                openclaw_pairing::pairing::Address::from(std::net::IpAddr::from([10, 0, (n / 8192) as u8, (n / 32) as u8]));
        }
        ask
    };
    for n in 0..limits::PENDING_TOTAL.default {
        assert_eq!(world.tell(Actor::Peer, stranger(n)).names(), REQUESTED);
    }
    let told = world.connect(&visit(3).asks("read"));
    assert_eq!((told.names(), told.refusal()), (REFUSED.to_vec(), &Refusal::PendingTableFull));
    // Who waits already keeps waiting, also with another ask.
    assert_eq!(world.tell(Actor::Peer, stranger(7)).need().reason, Reason::NotPaired);
    assert_eq!(world.connect(&visit(1).asks("write")).need().reason, Reason::ScopeUpgrade);
    assert_eq!(world.connect(&visit(2).asks("read")).need().reason, Reason::NotPaired);
    assert!(told.sentence().contains("openclaw devices list"), "{}", told.sentence());
}

#[test]
fn s16_a_refusal_says_what_is_held_what_is_missing_and_what_to_type() {
    let mut world = World::new();
    world.grant(&visit(1).backend().asks("read write"));
    let told = world.connect(&visit(1).backend().asks("admin"));
    let need = told.need();
    assert_eq!((need.reason, &need.missing, &need.held), (Reason::ScopeUpgrade, &scopes("admin"), &scopes("read write")));
    assert!(told.sentence().contains(&format!("openclaw devices approve {}", need.request)), "{}", told.sentence());
    let other = told.events.iter().find_map(|(_, event)| match event {
        Event::ConnectionRefused(event) => Some(event.attempt.source.address()),
        _ => None,
    });
    assert_eq!(other, Some(address(203, 1)));
}
