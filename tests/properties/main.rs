//! The invariants of DESIGN.md, each under its words, over random stories. The seeds are fixed: a run is the same everywhere.
//! `PAIRING_CASES=100000` tells as many stories; `PAIRING_SEED=n`, which a failure prints, only that one.

mod again;
mod codes;
mod doctor;
mod export;
mod machine;
mod model;
mod order;
mod owner;
mod past;
#[path = "../support/mod.rs"]
mod support;
mod undo;
mod warrants;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Once;

use again::NoIssue;
use openclaw_pairing::journal::codec;
use openclaw_pairing::pairing::{
    Act as Through, Actor, Admission, Attempt, Command, Context, DeviceId, Digest, Event, KnownScope, Millis, Outcome, Policy,
    Record, Refusal, Registry, RequestId, Role, RoleGrant, Rule, ScopeSet, Seq, SetupCodeId, TokenVerdict, decide,
};
use proptest::array::{uniform8, uniform12};
use proptest::collection::vec;
use proptest::prelude::{Just, Strategy, any, prop_oneof};
use proptest::sample::Index;
use proptest::test_runner::{Config, RngAlgorithm, TestError, TestRng, TestRunner};
use support::given::{NO_REQUEST, World, address, device, exec, owner};
use support::story::{Act, Played, Stage, Step, Story, Strictness, issued, plot};

/// Stories of one property where `PAIRING_CASES` does not ask for more.
const CASES: u64 = 3_000;

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{variable} is a number, not {text:?}")))
}

/// Holds `property` against everything that `strategy` makes of the seeds. A failure is made as small as it gets.
fn hold<S: Strategy>(strategy: &S, property: impl Fn(S::Value)) {
    quietly();
    let seeds = match number("PAIRING_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("PAIRING_CASES").unwrap_or(CASES),
    };
    for seed in seeds {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&seed.to_le_bytes());
        let config = Config { cases: 1, max_shrink_iters: 5_000, failure_persistence: None, ..Config::default() };
        let mut runner = TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &bytes));
        LAST_PANIC.set(Some(String::new()));
        let held = runner.run(strategy, |value| {
            property(value);
            Ok(())
        });
        let why = LAST_PANIC.take().unwrap_or_default();
        let this = std::thread::current();
        let repeat = format!("repeat with: PAIRING_SEED={seed} cargo test --test properties {}", this.name().unwrap_or_default());
        match held {
            Ok(()) => {}
            Err(TestError::Fail(_, smallest)) => panic!("{why}\n{smallest:?}\n{repeat}"),
            Err(other) => panic!("{other}\n{repeat}"),
        }
    }
}

thread_local! {
    /// The last panic of a thread that makes a failure smaller; elsewhere none, and panics are told as always.
    static LAST_PANIC: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Keeps the panics of the many tries to make a failure smaller from being printed one by one.
fn quietly() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            if LAST_PANIC.with_borrow(Option::is_some) {
                LAST_PANIC.set(Some(panic.to_string()));
            } else {
                before(panic);
            }
        }));
    });
}

fn policies() -> impl Strategy<Value = Strictness> {
    uniform12(any::<u8>()).prop_map(Strictness::from_bytes)
}

fn acts(most: usize) -> impl Strategy<Value = Vec<Act>> {
    vec(uniform8(any::<u8>()).prop_map(Act::from_bytes), 0..most)
}

/// Some acts, told once, or again and again: what is full after many of a kind no row of chances fills. Or a plot.
fn phrases() -> impl Strategy<Value = Vec<Act>> {
    let times = prop_oneof![8 => Just(1), 1 => 2..8_usize, 1 => Just(18)];
    let plots = (any::<u8>(), any::<u8>()).prop_map(|(which, n)| plot(which, n));
    prop_oneof![
        12 => (acts(5), times).prop_map(|(acts, times)| vec![acts; times].concat()),
        1 => plots,
    ]
}

fn stories() -> impl Strategy<Value = Story> {
    (policies(), vec(phrases(), 0..18)).prop_map(|(policy, phrases)| Story { policy, acts: phrases.concat() })
}

fn every_story(property: impl Fn(&Played)) {
    hold(&stories(), |story| property(&story.play()));
}

/// Every story in a world that is changed first.
fn every_story_on(change: impl Fn(&World), property: impl Fn(&Played)) {
    hold(&stories(), |story| {
        let mut stage = Stage::under(story.policy);
        change(&stage.played.world);
        story.acts.iter().for_each(|act| stage.act(act));
        property(&stage.played);
    });
}

// --- replay -----------------------------------------------------------------------------------------------------

fn fold<'a>(records: impl IntoIterator<Item = &'a Record>) -> Registry {
    let mut registry = Registry::default();
    records.into_iter().for_each(|record| registry.apply(record));
    registry
}

#[test]
fn replay_equals_live_state_bit_for_bit_in_both_parts() {
    every_story(|played| assert_eq!(fold(&played.world.records).digest(), played.world.registry.digest()));
}

#[test]
fn any_prefix_is_valid() {
    every_story(|played| {
        let mut again = Registry::default();
        let mut steps = played.steps.iter().peekable();
        for (place, record) in played.world.records.iter().enumerate() {
            while let Some(step) = steps.next_if(|step| step.records.start == place) {
                assert_eq!(again.digest(), step.before.digest(), "before {:?}", step.command);
            }
            again.apply(record);
            is_sound(&again);
        }
    });
}

/// Whatever is remembered of the records before any point is a checkpoint: with the rest of them it says what all of them say.
#[test]
fn checkpoint_and_tail_equal_full_replay() {
    hold(&(stories(), any::<Index>()), |(story, point)| {
        let records = story.play().world.records;
        let (head, tail) = records.split_at(point.index(records.len() + 1));
        let mut full = fold(head);
        let image = codec::encode_image(&full).expect("a small image");
        let mut restored: Registry = codec::decode_image(&image).expect("its own image");
        for record in tail {
            assert_eq!(restored.digest(), full.digest(), "before {record:?}");
            full.apply(record);
            restored.apply(record);
        }
        assert_eq!(restored.digest(), full.digest());
        // What no digest holds included.
        assert_eq!(codec::encode_image(&restored), codec::encode_image(&full));
    });
}

#[test]
fn an_image_is_read_whole_or_not_at_all() {
    let mut world = World::under("of a language to come");
    assert_eq!((world.registry.policy_text(), &**world.registry.policy()), (Some("of a language to come"), &Policy::closed()));
    world.pair(1, "read");
    let image = codec::encode_image(&world.registry).expect("a small image");
    let restored: Registry = codec::decode_image(&image).expect("its own image");
    assert_eq!((restored.policy_text(), restored.policy()), (world.registry.policy_text(), world.registry.policy()));
    for cut in 0..image.len() {
        assert!(codec::decode_image::<Registry>(&image[..cut]).is_none(), "cut at {cut}");
    }
    assert!(codec::decode_image::<Registry>(&[&*image, &[0]].concat()).is_none());
}

/// What holds of every registry, whatever was its last record.
fn is_sound(registry: &Registry) {
    for request in registry.requests() {
        let waiting = registry.waiting(&request.device, request.role).map(|waiting| waiting.id);
        assert_eq!(waiting, Some(request.id), "one request of a device and role");
        assert!(registry.settled(&request.id).is_none(), "it waits or is settled");
        assert!(request.created_at <= request.last_at && request.last_at <= registry.now());
    }
    assert!(registry.devices().all(|device| registry.activity(&device.id).is_some()), "whoever is paired is seen");
    for (device, role, grant) in grants(registry) {
        assert!(grant.revoked.is_none() || (grant.token.is_none() && grant.approved.is_empty()), "{device} {role}");
        assert!(grant.retired.len() <= openclaw_pairing::limits::RETIRED_TOKENS);
    }
}

fn grants(registry: &Registry) -> impl Iterator<Item = (DeviceId, Role, &openclaw_pairing::pairing::Grant)> {
    registry.devices().flat_map(|device| device.grants.iter().map(|(role, grant)| (device.id, *role, grant)))
}

#[test]
fn time_never_goes_back() {
    every_story(|played| {
        let records = &played.world.records;
        assert!(records.windows(2).all(|pair| pair[0].at <= pair[1].at && pair[0].seq.next() == pair[1].seq));
        // Whatever times a journal has, the fold's does not turn back, and what ran out did so before it was found.
        let mut registry = Registry::default();
        for record in records {
            let before = registry.now();
            registry.apply(&Record { at: Millis(record.at.0 ^ (record.seq.0 % 7)), ..record.clone() });
            assert!(registry.now() >= before);
            assert!(!matches!(&record.event, Event::PairingExpired(event) if event.due > record.at));
        }
    });
}

// --- scopes come from approvals ---------------------------------------------------------------------------------

#[test]
fn no_device_holds_a_scope_that_no_recorded_approval_gave_by_an_actor_who_could_give_it() {
    every_story(|played| {
        for step in &played.steps {
            for record in &played.world.records[step.records.clone()] {
                if let Event::PairingApproved(event) = &record.event {
                    let could = could_give(step, &record.actor, event.role, &event.scopes);
                    assert!(could, "{:?} gave {} as {}", record.actor, event.scopes, event.role);
                    let shown = event.request.and_then(|id| asked(&played.world.records, id));
                    let is_shown = shown.is_none_or(|shown| shown.covers(event.role, &event.scopes));
                    let is_asked = matches!(event.act, Through::Approval | Through::FirstPairing);
                    assert!(is_shown || !is_asked, "what the operator saw is what is granted");
                }
            }
            for (device, role, grant) in grants(&step.after) {
                let given = given(&played.world.records[..step.records.end], device, role);
                let members = |set: &ScopeSet| set.iter().map(str::to_owned).collect::<BTreeSet<_>>();
                assert!(members(&grant.approved).is_subset(&members(&given)), "{device} {role}: {} of {given}", grant.approved);
            }
        }
    });
}

/// What approvals on record gave `device` as `role` since it last lost everything: a list and a scan.
fn given(records: &[Record], device: DeviceId, role: Role) -> ScopeSet {
    records.iter().fold(ScopeSet::EMPTY, |given, record| match &record.event {
        Event::PairingApproved(event) if (event.device, event.role) == (device, role) => given.union(&event.scopes),
        event if loses(event, device, role) => ScopeSet::EMPTY,
        _ => given,
    })
}

fn loses(event: &Event, device: DeviceId, role: Role) -> bool {
    match event {
        Event::DeviceRemoved(event) => event.device == device,
        Event::TokenRevoked(event) => (event.device, event.role) == (device, role),
        _ => false,
    }
}

fn asked(records: &[Record], id: RequestId) -> Option<ScopeSet> {
    records.iter().find_map(|record| match &record.event {
        Event::PairingRequested(event) if event.request == id => Some(event.ask.scopes.clone()),
        _ => None,
    })
}

fn could_give(step: &Step, actor: &Actor, role: Role, given: &ScopeSet) -> bool {
    let could = |scopes: &ScopeSet| {
        let within = scopes.contains(KnownScope::Pairing) && role == Role::Operator && scopes.covers(role, given);
        scopes.contains(KnownScope::Admin) || within
    };
    match actor {
        Actor::Owner(_) => true,
        // The connection's scopes, and only while its device holds them.
        Actor::Device { device, scopes } => {
            let held = step.before.device(device).map(|device| device.held(Role::Operator)).unwrap_or_default();
            could(&scopes.within(Role::Operator, &held))
        }
        Actor::SharedSecret { rule, scopes } => matches!(rule, Rule::LocalCli | Rule::LocalBackend) && could(scopes),
        Actor::Rule(rule) => rule_could_give(step, *rule, role, given),
        Actor::Peer | Actor::System => false,
    }
}

/// Whether the policy in force has this rule, and it gives that to who asks; or whether it is a setup code whose maker, who could,
/// gave it ahead.
fn rule_could_give(step: &Step, rule: Rule, role: Role, given: &ScopeSet) -> bool {
    let Command::Connect { attempt, code, .. } = &step.command else { return false };
    let (Some(client), Some(ask), Some(credential)) = (attempt.client, &attempt.ask, &attempt.credential) else {
        return false;
    };
    let policy = step.before.policy();
    let is_local = policy.local(&attempt.source).is_ok() && policy.trusts(credential);
    match rule {
        Rule::LocalFirstPairing => is_local && ask.role == role && policy.pairs_first(client, role, given),
        Rule::LocalUpgrade => is_local && ask.role == role && role == Role::Operator && policy.upgrades_locally(given),
        Rule::TrustedNodeCidrs => {
            let is_node = ask.role == role && role == Role::Node && given.is_empty();
            is_node && policy.trusts(credential) && policy.trusts_node_at(attempt.source.address())
        }
        Rule::SetupCode => {
            let code = code.and_then(|id| step.before.setup_code(&id));
            let gives = |grants: &[RoleGrant]| grants.iter().any(|grant| grant.role == role && grant.scopes.covers(role, given));
            // Who may make one may do everything, which is held where it is made.
            code.is_some_and(|code| gives(&code.grants) && step.now < code.expires && code.spent.is_none())
        }
        _ => false,
    }
}

#[test]
fn a06_whatever_anybody_comes_to_hold_its_giver_could_give() {
    every_story(|played| {
        for step in &played.steps {
            let by_rule =
                |record: &&Record| matches!((&record.actor, &record.event), (Actor::Rule(_), Event::PairingApproved(_)));
            let rule = played.world.records[step.records.clone()].iter().find(by_rule);
            let giver = rule.map_or_else(|| step.actor.clone(), |record| record.actor.clone());
            for (device, role, _) in grants(&step.after) {
                let held = |registry: &Registry| registry.device(&device).map(|device| device.held(role)).unwrap_or_default();
                let gained = held(&step.after).missing_from(role, &held(&step.before));
                assert!(gained.is_empty() || could_give(step, &giver, role, &gained), "{giver:?} gave {gained} as {role}");
            }
        }
    });
}

#[test]
fn a07_a_rotation_issues_only_to_who_may_have_it_and_shows_only_to_its_own_device() {
    every_story(|played| {
        for step in &played.steps {
            let Command::Rotate { device, role, .. } = &step.command else { continue };
            let held = step.before.device(device).map(|device| device.held(Role::Operator)).unwrap_or_default();
            match &step.outcome {
                Outcome::Rotated { token, own } => {
                    let may = match &step.actor {
                        Actor::Owner(_) => true,
                        Actor::Device { device: actor, scopes } => {
                            let now = scopes.within(*role, &held);
                            let own = actor == device && *role == Role::Operator && now.covers(*role, &token.scopes);
                            own || scopes.contains(KnownScope::Admin)
                        }
                        // The person at this host, who grants no more than is asked for.
                        Actor::SharedSecret { scopes, .. } => {
                            let grants = scopes.allows(KnownScope::Pairing) && scopes.covers(*role, &token.scopes);
                            grants || scopes.contains(KnownScope::Admin)
                        }
                        _ => false,
                    };
                    assert!(may, "{:?} rotated {device}", step.actor);
                    assert_eq!((*own, token.device), (step.actor.is_device(device), *device));
                }
                _ => assert!(grants(&step.before).eq(grants(&step.after)), "nothing is issued"),
            }
        }
    });
}

#[test]
fn token_scopes_stay_inside_approved_scopes() {
    every_story(|played| {
        for step in &played.steps {
            for (device, role, grant) in grants(&step.after) {
                let inside = grant.token.as_ref().is_none_or(|token| grant.approved.covers(role, &token.scopes));
                assert!(inside, "{device} {role}: {:?} of {}", grant.token, grant.approved);
            }
            // So does what a connection may do, even where more was approved than the token carries.
            if let Outcome::Admitted(Admission { device: device @ Some(_), role, scopes, .. }) = &step.outcome {
                let grant = grants(&step.after).find(|(id, of, _)| (Some(*id), of) == (*device, role));
                let carried = grant.map(|(_, _, grant)| grant.token.as_ref().map_or(&grant.approved, |token| &token.scopes));
                assert!(carried.is_some_and(|carried| carried.covers(*role, scopes)), "{scopes} as {role} of {carried:?}");
            }
        }
    });
}

// --- commands ---------------------------------------------------------------------------------------------------

#[test]
fn a_refused_command_leaves_the_state_as_it_was() {
    every_story(|played| {
        for step in played.steps.iter().filter(|step| matches!(step.outcome, Outcome::Refused(_))) {
            let records = &played.world.records[step.records.clone()];
            let connects = matches!(step.command, Command::Connect { .. });
            let is_harmless = |record: &Record| match &record.event {
                Event::PairingExpired(_) => record.actor == Actor::System,
                Event::PairingRequested(_) | Event::ConnectionRefused(_) => connects,
                Event::CommandRefused(_) => record.actor == step.actor,
                _ => false,
            };
            assert!(records.iter().all(is_harmless), "{records:?}");
            assert!(grants(&step.before).eq(grants(&step.after)));
            // What changed, the clock or the question did, and not the command.
            let mut only_these = step.before.clone();
            let asked = records.iter().filter(|record| !matches!(record.event, Event::CommandRefused(_)));
            asked.for_each(|record| only_these.apply(record));
            assert_eq!(only_these.digest().0, step.after.digest().0);
        }
    });
}

#[test]
fn approving_twice_grants_once() {
    every_story(|played| {
        for step in &played.steps {
            let (Command::Approve { request }, Outcome::Approved { device, before: None, .. }) = (&step.command, &step.outcome)
            else {
                continue;
            };
            let mut world = World { registry: step.after.clone(), now: step.now, ..World::new() };
            world.wait(7);
            let told = world.approve(owner(), *request);
            let before = Some((step.actor.clone(), step.now));
            assert_eq!(told.outcome, Outcome::Approved { device: *device, request: *request, before });
            assert_eq!(told.events, []);
        }
        let granted = played.world.records.iter().filter_map(|record| match &record.event {
            Event::PairingApproved(event) => event.request,
            _ => None,
        });
        let all: Vec<_> = granted.collect();
        assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), all.len());
    });
}

#[test]
fn a_superseded_or_expired_request_cannot_be_approved() {
    every_story(|played| {
        let ttl = Policy::closed().due(Millis(0)).0;
        let mut over = BTreeSet::new();
        for record in &played.world.records {
            let ends = |id: &RequestId| match &record.event {
                Event::PairingApproved(event) => event.request == Some(*id),
                Event::PairingRejected(event) => event.request == *id,
                Event::PairingExpired(event) => event.request == *id,
                Event::PairingRequested(event) => event.supersedes == Some(*id),
                _ => false,
            };
            assert!(!over.iter().any(ends), "{record:?}");
            let asked_at = |id| last_asked(&played.world.records, id, record.seq);
            match &record.event {
                Event::PairingApproved(event) => over.extend(event.request),
                Event::PairingRejected(event) => drop(over.insert(event.request)),
                Event::PairingExpired(event) => {
                    assert_eq!(event.due, asked_at(event.request).plus(ttl), "counted from the last attempt");
                    over.insert(event.request);
                }
                Event::PairingRequested(event) => over.extend(event.supersedes),
                _ => {}
            }
            if let Event::PairingApproved(event) = &record.event
                && let Some(id) = event.request
            {
                assert!(record.at < asked_at(id).plus(ttl));
            }
        }
    });
}

/// When request `id` was made or named in a refusal for the last time before `seq`.
fn last_asked(records: &[Record], id: RequestId, seq: Seq) -> Millis {
    let asks = records.iter().take_while(|record| record.seq < seq).filter(|record| match &record.event {
        Event::PairingRequested(event) => event.request == id,
        Event::ConnectionRefused(event) => matches!(&event.refusal, Refusal::PairingRequired(need) if need.request == id),
        _ => false,
    });
    asks.last().expect("it was asked for").at
}

#[test]
fn a_removed_device_or_revoked_token_is_never_admitted_again_without_a_new_act() {
    every_story(|played| {
        let records = &played.world.records;
        for step in &played.steps {
            let past = &records[..step.records.end];
            if let Outcome::Admitted(admission) = &step.outcome
                && let Some(device) = admission.device
            {
                let act = |record: &Record| match &record.event {
                    Event::PairingApproved(event) if (event.device, event.role) == (device, admission.role) => Some(true),
                    event => loses(event, device, admission.role).then_some(false),
                };
                assert_eq!(past.iter().rev().find_map(act), Some(true), "{device} as {}", admission.role);
            }
            // Nor has any rule let in what a person removed or turned down, but to look.
            let turned_away = |id: DeviceId| {
                past.iter().any(|record| match &record.event {
                    Event::DeviceRemoved(event) => event.device == id,
                    Event::PairingRejected(event) => event.device == id,
                    _ => false,
                })
            };
            if let (Command::Connect { attempt, .. }, Outcome::Admitted(admission)) = (&step.command, &step.outcome)
                && attempt.proof.is_some_and(|proof| turned_away(proof.device))
            {
                assert!(matches!(admission.rule, Rule::Paired | Rule::SetupCode | Rule::Probe), "{:?}", admission.rule);
                assert!(admission.rule != Rule::Probe || admission.scopes.is_empty());
            }
            // A connection of it that is still open can do nothing.
            if let Actor::Device { device, .. } = &step.actor
                && step.before.device(device).is_none_or(|device| !device.has(Role::Operator))
            {
                assert!(matches!(step.outcome, Outcome::Refused(_)) || step.records.is_empty(), "{:?}", step.command);
            }
        }
    });
}

// --- connects ---------------------------------------------------------------------------------------------------

#[test]
fn a_storm_of_identical_attempts_leaves_one_pending_request_and_true_counts() {
    hold(&(stories(), uniform8(any::<u8>()), 2..40_u32), |(story, bytes, storm)| {
        let Played { mut world, .. } = story.play();
        let mut bytes = bytes;
        bytes[0] = 0; // a connect
        let Act::Connect { visit, .. } = Act::from_bytes(bytes) else { panic!("a connect") };
        let first = world.connect(&visit);
        let Outcome::Refused(refusal) = &first.outcome else { return };
        let Refusal::PairingRequired(need) = &**refusal else { return };
        let attempts = |world: &World| world.registry.request(&need.request).map(|request| request.attempts);
        let (waiting, before) = (world.waiting(), attempts(&world).expect("it waits"));
        for _ in 0..storm {
            world.wait(290);
            let told = world.connect(&visit);
            assert_eq!((told.names(), told.request()), (vec!["ConnectionRefused"], need.request));
        }
        assert_eq!((world.waiting(), attempts(&world)), (waiting, Some(before + storm)));
    });
}

// --- tokens -----------------------------------------------------------------------------------------------------

/// The tokens issued since there were `before` of them.
fn issued_since(stage: &Stage, before: usize) -> Vec<Digest> {
    issued(&stage.played.world).split_off(before)
}

#[test]
fn x02_two_histories_that_part_anywhere_share_no_token_issued_since() {
    hold(&(stories(), any::<Index>()), |(story, point)| {
        let (past, future) = story.acts.split_at(point.index(story.acts.len() + 1));
        let [one, other] = [1, 2].map(|chance| {
            let mut stage = Stage::under(story.policy);
            past.iter().for_each(|act| stage.act(act));
            let before = issued(&stage.played.world).len();
            // Seq, time, device and role are the same in both; only chance is not.
            stage.played.world.fresh.chance.set(chance);
            future.iter().for_each(|act| stage.act(act));
            issued_since(&stage, before)
        });
        assert!(one.iter().all(|token| !other.contains(token)));
    });
}

/// Where chance fails, no two devices or roles share a token, and none that is remembered lives again.
#[test]
fn x02_a_host_whose_chance_repeats_revives_no_token() {
    every_story_on(
        |world| world.fresh.repeats.set(true),
        |played| {
            let mut seen = BTreeMap::new();
            for step in &played.steps {
                for record in &played.world.records[step.records.clone()] {
                    let (issue, whose) = match &record.event {
                        Event::TokenIssued(event) => (event.issue, (event.device, event.role)),
                        Event::TokenRotated(event) => (event.issue, (event.device, event.role)),
                        _ => continue,
                    };
                    assert_eq!(*seen.entry(issue.digest).or_insert(whose), whose, "of one device and role");
                    let was = step.before.judge(&whose.0, whose.1, &issue.digest);
                    assert_eq!(was, TokenVerdict::Wrong, "nothing that is remembered");
                }
            }
        },
    );
}

// --- anything at all --------------------------------------------------------------------------------------------

#[test]
fn decide_has_an_answer_to_every_command_on_every_registry() {
    let shuffles = vec(any::<u16>(), 0..120);
    hold(&(stories(), shuffles, acts(20), uniform8(any::<u8>())), |(story, order, acts, odd)| {
        // Records in an order in which no gateway wrote them, some twice, some never.
        let Played { world: told, .. } = story.play();
        let count = told.records.len();
        let jumbled = order.iter().map(|place| &told.records[usize::from(*place) % count]);
        let now = if odd[1] % 2 == 0 { Millis(u64::MAX) } else { told.now };
        let mut world = World { registry: fold(jumbled), now, is_jumbled: true, ..World::new() };
        for (turn, act) in acts.into_iter().enumerate() {
            let bits = odd[turn % 8].rotate_left(u32::try_from(turn).unwrap_or(0));
            let mut command = match act {
                Act::Connect { visit, .. } => visit.command(&world.registry),
                Act::Remove { device: n, with_approved, .. } => Command::Remove { device: device(n), with_approved },
                Act::Rotate { device: n, role, scopes, .. } => Command::Rotate { device: device(n), role, scopes },
                Act::Revoke { device: n, role, with_approved, .. } => Command::Revoke { device: device(n), role, with_approved },
                Act::Approve { request, .. } => Command::Approve { request: any_request(&world, request) },
                Act::Reject { request, .. } => Command::Reject { request: any_request(&world, request) },
                Act::RejectFrom { address, .. } => Command::RejectFrom { address },
                Act::Rename { device: n, label, .. } => Command::Rename { device: device(n), label },
                Act::Ask { scopes, .. } => Command::Ask { scopes, address: address(203, 1) },
                Act::Apply { keys, .. } => {
                    Command::ApplyPolicy { text: keys.map_or_else(String::new, |keys| story.policy.with(&keys).text()) }
                }
                Act::Arm { rule, .. } => Command::ArmRule { rule },
                Act::Seen { but, .. } => Command::MarkSeen { through: Seq(u64::MAX - u64::from(but)) },
                Act::MakeCode { grants, lives_ms, .. } => {
                    Command::CreateSetupCode { grants, digest: Digest([bits; 32]), lives_ms, label: None }
                }
                Act::TakeBackCode { code, .. } => Command::RevokeSetupCode { code: any_code(&world, code) },
                Act::Close { connection, .. } => Command::Close { admission: Seq(connection.into()), code: 1006 },
                Act::Wait { .. } | Act::Expire | Act::Restart | Act::Key { .. } => Command::Expire,
            };
            if let Command::Connect { attempt, key, code } = &mut command {
                distort(attempt, bits);
                *key = key.filter(|_| bits & 1 == 0);
                *code = (bits & 64 != 0).then(|| any_code(&world, bits % 4));
            }
            let scopes = ScopeSet::cli();
            let actors = [
                Actor::Peer,
                owner(),
                exec(),
                Actor::Device { device: device(1 + bits % 4), scopes: scopes.clone() },
                Actor::SharedSecret { rule: Rule::LocalCli, scopes },
                Actor::Rule(Rule::Paired),
                Actor::System,
            ];
            let policies = [Policy::closed(), (**world.registry.policy()).clone()];
            for policy in policies {
                let context = Context { actor: owner(), now: world.now, ids: [NO_REQUEST.0; 2], mint: &NoIssue };
                let _ = decide(&world.registry, &policy, command.clone(), &context);
            }
            let told = world.tell(actors[usize::from(bits) % actors.len()].clone(), command);
            told.events.iter().for_each(|(actor, event)| {
                let record = Record { seq: Seq(1), at: Millis(0), actor: actor.clone(), event: event.clone() };
                let _ = openclaw_pairing::views::event_sentence(&record);
            });
            let _ = world.registry.digest();
        }
    });
}

fn any_request(world: &World, place: u8) -> RequestId {
    world.waiting().into_iter().nth(place.into()).unwrap_or(NO_REQUEST)
}

fn any_code(world: &World, place: u8) -> SetupCodeId {
    world.registry.setup_codes().map(|(id, _)| *id).nth(place.into()).unwrap_or(SetupCodeId([0xdd; 16]))
}

/// Takes parts away that a handshake would have put there, and puts verdicts there that it would not.
fn distort(attempt: &mut Attempt, bits: u8) {
    match bits / 2 % 8 {
        0 => attempt.client = None,
        1 => attempt.ask = None,
        2 => attempt.proof = None,
        3 => attempt.credential = None,
        4 => {
            if let Some(ask) = &mut attempt.ask {
                (ask.described.here, ask.described.like) = (None, Some(Seq(u64::from(bits))));
            }
        }
        5 => {
            if let Some(credential) = &mut attempt.credential {
                credential.token = TokenVerdict::Live;
            }
        }
        _ => {}
    }
}

// --- the stories are worth telling ------------------------------------------------------------------------------

/// A property over stories in which nothing happens holds always and says nothing.
#[test]
fn the_stories_reach_every_event_every_rule_and_every_reason() {
    if number("PAIRING_SEED").is_some() || number("PAIRING_CASES").is_some_and(|cases| cases < CASES) {
        return;
    }
    let seen = RefCell::new(BTreeSet::new());
    every_story(|played| {
        let mut seen = seen.borrow_mut();
        for step in &played.steps {
            match &step.outcome {
                Outcome::Admitted(admission) => {
                    seen.insert(admission.rule.to_string());
                    seen.extend((!admission.more.is_empty()).then(|| "more".to_owned()));
                    seen.extend((!admission.surface.commands.is_empty()).then(|| "offers".to_owned()));
                }
                Outcome::Refused(refusal) => {
                    let text = format!("{refusal:?}");
                    seen.insert(text.split(['(', ' ']).next().unwrap_or_default().to_owned());
                    if let Refusal::PairingRequired(need) = &**refusal {
                        seen.insert(need.reason.to_string());
                        seen.extend(need.rests.map(|rule| format!("{rule}-rests")));
                    }
                    if let Refusal::Resolved(resolution) = &**refusal {
                        seen.insert(resolution.ending.to_string());
                    }
                    if let Refusal::Unauthorized { reason, .. } = &**refusal {
                        seen.insert(reason.to_string());
                    }
                }
                Outcome::Asked { .. } => drop(seen.insert("Asked".to_owned())),
                Outcome::RejectedAll(all) if !all.is_empty() => drop(seen.insert("RejectedAll".to_owned())),
                Outcome::Removed { approved, .. } if !approved.is_empty() => drop(seen.insert("RemovedMore".to_owned())),
                Outcome::Revoked { approved, .. } if !approved.is_empty() => drop(seen.insert("RevokedMore".to_owned())),
                _ => {}
            }
            let records = &played.world.records[step.records.clone()];
            seen.extend(records.iter().map(|record| record.event.name().to_owned()));
            seen.extend(records.iter().filter_map(|record| match (&record.actor, &record.event) {
                (Actor::Rule(rule), Event::PairingApproved(_)) => Some(rule.to_string()),
                _ => None,
            }));
        }
    });
    let seen = seen.into_inner();
    let expected = "ConnectionAdmitted ConnectionRefused ConnectionClosed CommandRefused PairingRequested PairingApproved \
        PairingRejected PairingExpired DeviceMetadataChanged DeviceRemoved DeviceRenamed TokenIssued TokenRotated TokenRevoked GatewayStarted \
        ConditionFound paired localFirstPairing localCli localBackend probe sharedSecret not-paired metadata-upgrade role-upgrade scope-upgrade \
        approved rejected superseded expired removed Fault ControlUiNeedsDevice DeviceRequired Unauthorized PairingRequired \
        MissingScope NeedsAdmin UnknownRequest Resolved UnknownDevice RoleNotHeld TokenKeyUnusable HeldAlready Asked rate_limited \
        token_missing token_mismatch token_missing_config device_token_mismatch trusted_proxy_user_missing \
        trusted_proxy_user_not_allowed trusted_proxy_untrusted_source bootstrap_token_invalid setupCode localUpgrade trustedNodeCidrs \
        PolicyChanged OwnerActsSeen RuleArmed SetupCodeCreated SetupCodeSpent SetupCodeRevoked PolicyDenied FromExecShell \
        LoosensPolicy BadPolicy UnknownSetupCode localFirstPairing-rests localUpgrade-rests more offers RejectedAll RemovedMore \
        RevokedMore";
    let missing: Vec<_> = expected.split_whitespace().filter(|name| !seen.contains(*name)).collect();
    assert_eq!(missing, [] as [&str; 0]);
}
