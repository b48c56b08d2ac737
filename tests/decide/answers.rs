//! Who may answer what, what they are told, and what a refused command leaves.

use super::*;

// --- who may answer what ------------------------------------------------------------------------------------------------

/// What waits: an operator that asks for read, one that asks for admin, a node.
fn three_requests(world: &mut World) -> [RequestId; 3] {
    [visit(1).asks("read"), visit(2).asks("admin"), visit(3).node()].map(|ask| world.connect(&ask).request())
}

#[test]
fn who_may_answer_what() {
    type Answer = Result<(), Refusal>;
    let (yes, admin) = (|| Ok(()), || Err(Refusal::NeedsAdmin));
    let lacks = |names: &str| Err(Refusal::MissingScope(scopes(names)));
    let helper = |names: &str, rule| Actor::SharedSecret { rule, scopes: scopes(names) };
    // Each actor on [read, admin, node].
    let rows: [(Actor, [Answer; 3]); 9] = [
        (owner(), [yes(), yes(), yes()]),
        (by(9, "admin"), [yes(), yes(), yes()]),
        (by(9, "pairing write"), [yes(), lacks("admin"), admin()]),
        (by(9, "pairing"), [lacks("read"), lacks("admin"), admin()]),
        (by(9, "read write"), [lacks("pairing"), lacks("pairing"), lacks("pairing")]),
        (helper("pairing read", Rule::SharedSecret), [yes(), lacks("admin"), admin()]),
        (helper("", Rule::SharedSecret), [lacks("pairing"), lacks("pairing"), lacks("pairing")]),
        (Actor::Peer, [lacks("pairing"), lacks("pairing"), lacks("pairing")]),
        (Actor::Rule(Rule::Paired), [lacks("pairing"), lacks("pairing"), lacks("pairing")]),
    ];
    for (actor, answers) in rows {
        for verb in [|request| Command::Approve { request }, |request| Command::Reject { request }] {
            let mut world = World::new();
            world.pair(9, ALL);
            let requests = three_requests(&mut world);
            for (request, answer) in requests.into_iter().zip(&answers) {
                let told = world.tell(actor.clone(), verb(request));
                let refusal = if told.is_refused() { Err(told.refusal().clone()) } else { Ok(()) };
                assert_eq!(
                    (&refusal, world.waiting().contains(&request)),
                    (answer, answer.is_err()),
                    "{actor:?} {:?}",
                    verb(request)
                );
            }
        }
    }
}

#[test]
fn what_a_request_shows_counts_and_not_only_what_it_adds() {
    let mut world = World::new();
    world.pair(1, ALL);
    let some = world.pair(8, "pairing read");
    let request = world.connect(&visit(1).asks("admin").platform("ios")).request();
    for told in [world.approve(some.clone(), request), world.reject(some.clone(), request)] {
        assert_eq!(told.refusal(), &Refusal::MissingScope(scopes("admin")));
    }
    assert_eq!(world.platform(1), Some("linux"));
}

#[test]
fn acting_on_another_device_needs_admin_and_on_oneself_only_pairing() {
    let commands = [
        Command::Remove { device: device(1), with_approved: false },
        Command::Revoke { device: device(1), role: Role::Operator, with_approved: false },
        Command::Rotate { device: device(1), role: Role::Operator, scopes: Some(scopes("pairing")) },
    ];
    let pairing = || Some(Refusal::MissingScope(scopes("pairing")));
    for (actor, refusal) in [
        (owner(), None),
        (by(9, "admin"), None),
        (by(1, "pairing read"), None),
        (by(9, "pairing read"), Some(Refusal::NeedsAdmin)),
        (by(1, "read"), pairing()),
        (Actor::Peer, pairing()),
    ] {
        for command in &commands {
            let mut world = World::new();
            world.pair(1, "pairing read");
            world.pair(9, ALL);
            let told = world.tell(actor.clone(), command.clone());
            let answer = told.is_refused().then(|| told.refusal().clone());
            assert_eq!(answer, refusal, "{actor:?} {command:?}");
        }
    }
}

#[test]
fn a_connection_has_no_more_power_than_its_device_still_holds() {
    let mut world = World::new();
    let admin = world.pair(9, ALL);
    let request = world.connect(&visit(1).asks("read")).request();
    world.rotate(owner(), 9, Some("read pairing"));
    assert!(matches!(world.decide(admin.clone(), Command::Approve { request }).outcome, Outcome::Approved { .. }));
    assert_eq!(world.remove(admin.clone(), 1).refusal(), &Refusal::NeedsAdmin);
    world.revoke(owner(), 9);
    assert_eq!(world.approve(admin.clone(), request).refusal(), &Refusal::MissingScope(scopes("pairing")));
    world.remove(owner(), 9);
    assert_eq!(world.approve(admin, request).refusal(), &Refusal::MissingScope(scopes("pairing")));
    // Nor more than the connection asked for.
    world.pair(8, ALL);
    assert_eq!(world.approve(by(8, "read"), request).refusal(), &Refusal::MissingScope(scopes("pairing")));
}

#[test]
fn s23_who_cannot_approve_is_told_so_and_the_owner_always_can() {
    let mut world = World::new();
    let only = world.pair(1, "pairing");
    let request = world.connect(&visit(2).client(ClientId::ControlUi, ClientMode::Ui).asks(ALL)).request();
    let told = world.approve(only, request);
    assert!(told.sentence().starts_with("missing scope: operator.admin"), "{}", told.sentence());
    assert_eq!(world.waiting(), [request]);
    let told = world.approve(owner(), request);
    assert_eq!(told.events.iter().map(|(actor, _)| actor).collect::<Vec<_>>(), [&owner(), &owner()]);
    assert_eq!(world.held(2), scopes(ALL));
}

#[test]
fn s21_a_browser_behind_container_nat_is_remote_and_the_owner_approves_it() {
    let mut world = World::new();
    let bridge = visit(1).client(ClientId::ControlUi, ClientMode::Webchat).asks(ALL).with_source(|source| {
        (source.peer, source.is_page) = (address(172, 1), true);
    });
    let told = world.connect(&bridge);
    assert_eq!((told.need().reason, world.registry.device_count()), (Reason::NotPaired, 0));
    let told = world.approve(owner(), told.request());
    assert!(matches!(&told.events[0].0, Actor::Owner(person) if person.uid == 1000));
    assert_eq!((world.connect(&bridge).admission().scopes.clone(), world.registry.device_count()), (scopes(ALL), 1));
}

#[test]
fn s22_untrusted_forwarding_headers_are_not_local() {
    let mut world = World::new();
    let by_proxy =
        |claimed| move |source: &mut Source| (source.forwarding, source.claimed) = (Forwarding::Untrusted, Some(claimed));
    let loopback = visit(3).local().source.peer;
    for (n, ask) in [
        (1, visit(1).local().with_source(by_proxy(address(203, 9)))),
        (2, visit(2).local().with_source(|source| source.host_is_loopback = false)),
        (3, visit(3).local().with_source(by_proxy(loopback))),
    ] {
        let told = world.connect(&ask.asks("read"));
        let request = world.registry.request(&told.request()).expect("it waits");
        assert_eq!((told.need().reason, request.device, request.address), (Reason::NotPaired, device(n), loopback));
    }
    assert_eq!((world.registry.request_count(), world.registry.device_count()), (3, 0));
}

#[test]
fn s27_a_node_asks_once_and_only_admin_may_answer() {
    let mut world = World::new();
    let admin = world.pair(9, ALL);
    let some = world.pair(8, "pairing");
    let told = world.connect(&visit(1).node());
    assert_eq!(told.need().reason, Reason::NotPaired);
    assert_eq!(world.approve(some, told.request()).refusal(), &Refusal::NeedsAdmin);
    assert_eq!(world.approve(admin, told.request()).names(), ["PairingApproved", "TokenIssued"]);
    let told = world.connect(&visit(1).node());
    assert_eq!((told.names(), told.admission().role), (ADMITTED.to_vec(), Role::Node));
    assert!(told.admission().token.is_some());
}

#[test]
fn s29_of_two_answers_at_once_one_counts_and_both_learn_which() {
    type Answer = fn(&mut World, RequestId) -> Told;
    let answers: [(&str, Answer); 4] = [
        ("approve", |world, request| world.approve(owner(), request)),
        ("reject", |world, request| world.reject(owner(), request)),
        ("expire", |world, _| {
            world.wait(300);
            world.expire()
        }),
        ("again", |world, _| world.connect(&visit(1).asks("read"))),
    ];
    let is_end = |event: &Event| {
        matches!(
            event,
            Event::PairingApproved(_) | Event::PairingRejected(_) | Event::PairingExpired(_) | Event::DeviceRemoved(_)
        )
    };
    for first in 0..4 {
        for second in 0..4 {
            for third in 0..4 {
                let mut world = World::new();
                let request = world.connect(&visit(1).asks("read")).request();
                let told = [first, second, third].map(|turn| answers[turn].1(&mut world, request));
                let about = |record: &&Record| match &record.event {
                    Event::PairingApproved(event) => event.request == Some(request),
                    Event::PairingRejected(event) => event.request == request,
                    Event::PairingExpired(event) => event.request == request,
                    _ => false,
                };
                let order = [first, second, third].map(|turn| answers[turn].0);
                let ends = world.records.iter().filter(about).count();
                assert_eq!(ends + usize::from(world.waiting().contains(&request)), 1, "{order:?}");
                for (told, turn) in told.iter().zip([first, second, third]) {
                    let answered = turn < 2 && told.is_refused();
                    assert!(!answered || matches!(told.refusal(), Refusal::Resolved(_)), "{order:?} {told:?}");
                    assert!(told.events.iter().filter(|(_, event)| is_end(event)).count() <= 1);
                }
            }
        }
    }
}

/// Every order in which the answers to one request can come.
#[test]
fn a13_in_every_order_of_answers_one_wins_the_others_hear_the_truth_and_replay_agrees() {
    type Answer = fn(&mut World, RequestId) -> Told;
    let answers: [Answer; 6] = [
        |world, request| world.approve(owner(), request),
        |world, request| world.approve(by(9, "admin"), request),
        |world, request| world.reject(by(9, "admin"), request),
        |world, _| world.remove(owner(), 1),
        |world, _| world.connect(&visit(1).asks("write")),
        |world, _| {
            world.wait(300);
            world.expire()
        },
    ];
    for order in permutations(answers.len()) {
        let mut world = World::new();
        world.pair(1, "read");
        world.pair(9, "admin");
        let request = world.connect(&visit(1).asks("admin")).request();
        let begun = world.records.len();
        let told: Vec<_> = order.iter().map(|turn| (*turn, answers[*turn](&mut world, request))).collect();
        let ends = world.records[begun..].iter().filter(|record| match &record.event {
            Event::PairingApproved(event) => event.request == Some(request),
            Event::PairingRejected(event) => event.request == request,
            Event::PairingExpired(event) => event.request == request,
            Event::PairingRequested(event) => event.supersedes == Some(request),
            Event::DeviceRemoved(_) => true,
            _ => false,
        });
        let first = ends.map(|record| record.event.name()).next().expect("it ends");
        let ending = world.registry.settled(&request).expect("it is over").resolution.ending;
        let by = match ending {
            Ending::Approved => "PairingApproved",
            Ending::Rejected => "PairingRejected",
            Ending::Superseded => "PairingRequested",
            Ending::Expired => "PairingExpired",
            Ending::Removed => "DeviceRemoved",
        };
        assert_eq!(first, by, "{order:?}: the first counts");
        // Of those who answered the request, one was heard; each of the others is told how it ended.
        let mut heard = 0;
        for (_, told) in told.iter().filter(|(turn, _)| *turn < 3) {
            match &told.outcome {
                Outcome::Approved { before: None, .. } | Outcome::Rejected { .. } => heard += 1,
                Outcome::Approved { before: Some(_), .. } => assert_eq!(ending, Ending::Approved, "{order:?}"),
                _ => assert!(matches!(told.refusal(), Refusal::Resolved(resolution) if resolution.ending == ending), "{order:?}"),
            }
        }
        assert_eq!(heard, usize::from(matches!(ending, Ending::Approved | Ending::Rejected)), "{order:?}");
        let again = world.records.iter().fold(Registry::default(), |mut registry, record| {
            registry.apply(record);
            registry
        });
        assert_eq!(again.digest(), world.registry.digest());
    }
}

fn permutations(count: usize) -> Vec<Vec<usize>> {
    let Some(last) = count.checked_sub(1) else { return vec![vec![]] };
    let shorter = permutations(last);
    let inserted = shorter.iter().flat_map(|order| {
        (0..count).map(move |at| {
            let mut order = order.clone();
            order.insert(at, last);
            order
        })
    });
    inserted.collect()
}

// --- the six answers, and what a refused command leaves -----------------------------------------------------------------

#[test]
fn a05_a_request_that_is_over_has_a_true_answer_only_for_those_who_may_see_it() {
    type End = fn(&mut World, RequestId);
    let endings: [(&str, End); 7] = [
        ("approved", |world, request| drop(world.approve(owner(), request))),
        ("rejected", |world, request| drop(world.reject(owner(), request))),
        ("superseded", |world, _| drop(world.connect(&visit(1).asks("read write admin")))),
        ("expired", |world, _| {
            world.wait(300);
            world.expire();
        }),
        // Nobody has looked yet.
        ("expired", |world, _| world.wait(300)),
        ("removed", |world, _| drop(world.remove(owner(), 1))),
        ("unknown", |_, _| {}),
    ];
    let unknown = Outcome::Refused(Box::new(Refusal::UnknownRequest));
    let mut answers = vec![];
    for (ending, end) in endings {
        let mut world = World::new();
        world.pair(1, "read");
        world.pair(8, "pairing write");
        world.pair(9, "pairing read");
        let request = world.connect(&visit(1).asks("write")).request();
        end(&mut world, request);
        let request = if ending == "unknown" { NO_REQUEST } else { request };
        for stranger in [by(9, "pairing read"), Actor::Peer, by(8, "write")] {
            for verb in [Command::Approve { request }, Command::Reject { request }] {
                assert_eq!(world.decide(stranger.clone(), verb).outcome, unknown, "{ending} {stranger:?}");
            }
        }
        let told = world.reject(by(8, "pairing write"), request);
        assert_eq!(told.names().last(), Some(&"CommandRefused"));
        match told.refusal() {
            Refusal::Resolved(resolution) => assert_eq!(resolution.ending.as_str(), ending),
            other => assert_eq!((other, ending), (&Refusal::UnknownRequest, "unknown")),
        }
        answers.push(told.sentence());
    }
    answers.sort();
    answers.dedup();
    assert_eq!(answers.len(), 6, "six different answers: {answers:#?}");
}

#[test]
fn a_refused_command_is_an_event_with_its_actor_its_question_and_its_answer() {
    let mut world = World::new();
    let some = world.pair(8, "pairing");
    world.pair(1, ALL);
    let request = world.connect(&visit(2).asks("read")).request();
    let operator = Some(Role::Operator);
    for (command, name, refusal) in [
        (Command::Approve { request }, CommandName::Approve, Refusal::MissingScope(scopes("read"))),
        (Command::Reject { request }, CommandName::Reject, Refusal::MissingScope(scopes("read"))),
        (Command::Remove { device: device(1), with_approved: false }, CommandName::Remove, Refusal::NeedsAdmin),
        (
            Command::Revoke { device: device(1), role: Role::Operator, with_approved: false },
            CommandName::Revoke,
            Refusal::NeedsAdmin,
        ),
        (
            Command::Rotate { device: device(1), role: Role::Operator, scopes: Some(scopes("pairing")) },
            CommandName::Rotate,
            Refusal::NeedsAdmin,
        ),
    ] {
        let before = world.registry.digest().0;
        let told = world.tell(some.clone(), command);
        let [(actor, Event::CommandRefused(event))] = &told.events[..] else { panic!("one refusal expected: {told:?}") };
        assert_eq!((actor, event.command, &event.refusal), (&some, name, &refusal));
        assert_eq!(event.request.is_some(), matches!(name, CommandName::Approve | CommandName::Reject));
        assert_eq!(event.device.is_some(), event.request.is_none());
        assert_eq!(event.role, operator.filter(|_| matches!(name, CommandName::Rotate | CommandName::Revoke)));
        assert_eq!(event.scopes.is_some(), name == CommandName::Rotate);
        assert_eq!(world.registry.digest().0, before);
    }
}

#[test]
fn where_the_policy_in_force_cannot_be_read_nothing_passes_without_a_person() {
    let mut world = World::under("{ version: 7 }");
    for ask in [visit(1).local().asks("read"), visit(1).local().backend().asks("read"), visit(1).local().node()] {
        assert_eq!(world.connect(&ask).need().reason, Reason::NotPaired);
    }
    let told = world.connect(&visit(1).keyless().local().asks("read"));
    assert_eq!((told.admission().rule, &told.admission().scopes), (Rule::SharedSecret, &scopes("")));
    world.grant(&visit(2).asks("read").platform("linux 1"));
    assert_eq!(world.connect(&visit(2).asks("read").platform("linux 2")).need().reason, Reason::MetadataUpgrade);
    assert_eq!(world.connect(&visit(2).v2().asks("read")).refusal(), &Refusal::Fault(Fault::SignatureInvalid));
}

#[test]
fn t01_the_fold_never_turns_time_back() {
    let mut world = World::new();
    world.wait(60);
    world.connect(&visit(1).asks("read"));
    world.now = Millis(0);
    world.note(Actor::System, GatewayStopped { cause: "SIGTERM".to_owned() }.into());
    assert_eq!(world.registry.now(), START.plus(60_000));
}

/// The OpenClaw 2026.9.6 CLI on its own host sends no device and asks for the scopes that its command grants.
#[test]
fn who_acts_for_the_host_sees_everybody_and_grants_what_it_asked_for() {
    let here = |names: &str| Actor::SharedSecret { rule: Rule::LocalCli, scopes: scopes(names) };
    let mut world = World::new();
    world.pair(1, ALL);
    world.grant(&visit(2).node());
    let [read, admin, node] =
        [visit(3).asks("read"), visit(4).asks("admin"), visit(5).node()].map(|ask| world.connect(&ask).request());
    assert_eq!(world.approve(here("pairing"), read).refusal(), &Refusal::MissingScope(scopes("read")));
    assert_eq!(world.approve(here("pairing read write"), admin).refusal(), &Refusal::MissingScope(scopes("admin")));
    assert_eq!(world.approve(here("pairing read write"), node).refusal(), &Refusal::NeedsAdmin);
    assert_eq!(world.rotate(here("pairing"), 1, None).refusal(), &Refusal::MissingScope(scopes("admin read write approvals")));
    assert!(!world.approve(here("pairing read"), read).is_refused());
    assert_eq!(world.rotate(here("pairing read"), 3, Some("read write")).refusal(), &Refusal::MissingScope(scopes("write")));
    assert!(!world.rotate(here("pairing read write"), 3, Some("read write")).is_refused());
    // What only takes away needs no more than the scope of the method.
    assert!(!world.reject(here("pairing"), admin).is_refused() && !world.reject(here("pairing"), node).is_refused());
    assert!(!world.tell(here("pairing"), Command::Rename { device: device(1), label: "mine".into() }).is_refused());
    assert!(!world.revoke(here("pairing"), 1).is_refused());
    assert!(!world.remove(here("pairing"), 1).is_refused() && !world.remove(here("pairing"), 2).is_refused());
    assert_eq!(world.remove(here("read"), 3).refusal(), &Refusal::MissingScope(scopes("pairing")));
}

#[test]
fn where_a_local_rule_gives_less_than_everything_it_lets_in_no_host() {
    for (policy, rule) in [
        ("{ version: 1, localCli: { scopes: ['operator.pairing', 'operator.write'] } }", Rule::LocalCli),
        ("{ version: 1, localCli: false }", Rule::LocalCli),
        ("{ version: 1 }", Rule::SharedSecret),
        ("{ version: 1 }", Rule::Probe),
    ] {
        let mut world = World::under(policy);
        world.pair(1, "read");
        let actor = Actor::SharedSecret { rule, scopes: scopes("pairing write") };
        assert_eq!(world.remove(actor.clone(), 1).refusal(), &Refusal::NeedsAdmin, "{policy} {rule}");
        let admin = world.connect(&visit(4).asks("admin")).request();
        assert_eq!(world.reject(actor, admin).refusal(), &Refusal::MissingScope(scopes("admin")), "{policy} {rule}");
    }
}
