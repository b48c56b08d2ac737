//! History decided again: each record says all that its decision depended on and the records before it do not. And a policy tried on
//! history: it finds what would differ, and nothing else.

use std::collections::BTreeMap;

use openclaw_pairing::pairing::{
    Actor, Again, Answer, AttemptsSuppressed, Command, CommandName, Context, DEFAULT_POLICY, DeviceId, Digest, Event, Issue,
    Mint, Outcome, Policy, Reason, Record, Refusal, Registry, Role, Rule, ScopeSet, Seq, Simulation, decide,
};

use crate::support::given::{self, NO_REQUEST, World, exec, owner, scopes, visit};
use crate::support::story::{Act, Step, Story, Strictness, place};
use crate::{every_story, hold, policies, stories};

/// Issues nothing.
pub(crate) struct NoIssue;

impl Mint for NoIssue {
    fn mint(&self, _: &DeviceId, _: Role) -> Option<Issue> {
        None
    }
}

#[test]
fn each_record_decided_again_from_its_own_fields_gives_the_same_outcome() {
    every_story(|played| {
        let mut again = Again::default();
        let mut records = played.world.records.iter();
        let begun = played.steps.first().map_or(records.len(), |step| step.records.start);
        records.by_ref().take(begun).for_each(|record| assert_eq!(again.pass(record, None), None));
        for step in &played.steps {
            let own = records.by_ref().take(step.records.len());
            let decided: Vec<_> = own.filter_map(|record| Some((record, again.pass(record, None)?))).collect();
            assert!(!decided.is_empty() || !is_told(step), "{step:?}");
            for (record, decided) in &decided {
                let told = decided.again.outcome.clone();
                assert!(!decided.then.differs(&Answer::of(decided.again.clone())), "{record:?}: {told:?}");
                if is_one_by_one(&step.command) {
                    assert_eq!(told_once(told), told_once(step.outcome.clone()), "{record:?}");
                }
                if let [(_, event)] = &*decided.again.events
                    && !matches!(record.event, Event::ConnectionAdmitted(_) | Event::ConnectionRefused(_))
                    && step.records.len() == 1
                {
                    let is_refused = matches!(record.event, Event::CommandRefused(_));
                    assert!(is_refused || *event == record.event, "{event:?} for {record:?}");
                }
            }
            if let (Command::ApplyPolicy { .. }, Outcome::Refused(refusal)) = (&step.command, &step.outcome) {
                assert_eq!(refused_again(step, refusal), **refusal);
            }
        }
        assert_eq!(again.registry().digest(), played.world.registry.digest());
    });
}

/// Whether the records of a step tell of it, in a way that depends on a policy.
fn is_told(step: &Step) -> bool {
    let is_shared = matches!(step.actor, openclaw_pairing::pairing::Actor::SharedSecret { .. });
    let is_refused = matches!(step.outcome, Outcome::Refused(_));
    let is_kind = match &step.command {
        Command::Remove { .. } | Command::Revoke { .. } => is_shared || is_refused,
        // Nobody's text is kept that was not applied.
        Command::ApplyPolicy { .. } => !is_refused,
        // All may have been over.
        Command::RejectFrom { .. } | Command::Close { .. } | Command::Expire | Command::Start(_) => false,
        _ => true,
    };
    is_kind && !step.records.is_empty()
}

/// Whether all that it leads to is told by one record.
fn is_one_by_one(command: &Command) -> bool {
    !matches!(command, Command::RejectFrom { .. } | Command::Remove { .. } | Command::Revoke { .. })
}

/// What is told again to who shows a code again is on record already, and is not told from the record of this attempt.
fn told_once(mut outcome: Outcome) -> Outcome {
    if let Outcome::Admitted(admission) = &mut outcome
        && admission.rule == Rule::Paired
    {
        admission.more.clear();
    }
    outcome
}

/// What is answered to a policy that is refused alike: all that is told of the one that was is in which keys it was looser.
fn refused_again(step: &Step, refusal: &Refusal) -> Refusal {
    let keys: Vec<_> = match refusal {
        Refusal::LoosensPolicy { keys } => keys.split(", ").collect(),
        // On which line a policy was wrong, nothing tells that is kept.
        Refusal::BadPolicy { .. } => return refusal.clone(),
        _ => vec!["ownerActsFromExec"],
    };
    let ranks: Vec<_> = keys.into_iter().map(|key| (place(key), 0)).collect();
    let text = Strictness::of(step.before.policy_text().expect("a policy")).with(&ranks).text();
    let context = Context { actor: step.actor.clone(), now: step.now, ids: [NO_REQUEST.0; 2], mint: &NoIssue };
    match decide(&step.before, step.before.policy(), Command::ApplyPolicy { text }, &context).outcome {
        Outcome::Refused(refusal) => *refusal,
        other => panic!("refused expected, not {other:?}"),
    }
}

/// One ask stands for what it asked itself, not for what its request shows of the one before.
#[test]
fn an_ask_that_supersedes_another_is_decided_again_for_what_could_be_asked_then() {
    let mut world = World::new();
    let actor = world.pair(1, "read");
    let ask = |names: &str| Command::Ask { scopes: scopes(names), address: given::address(203, 1) };
    world.tell(actor.clone(), ask("write"));
    let text = r#"{ version: 1, ceilings: [{ scopes: ["operator.read", "operator.approvals"] }] }"#;
    world.tell(owner(), Command::ApplyPolicy { text: text.to_owned() });
    let told = world.tell(actor, ask("approvals"));
    assert!(matches!(told.outcome, Outcome::Asked { .. }), "{told:?}");
    let mut again = Again::default();
    let last = world.records.iter().filter_map(|record| again.pass(record, None)).last().expect("a decision");
    assert_eq!(last.again.outcome, told.outcome);
}

/// What a connect led to is not known yet when it is decided, whatever else happens to end at that moment.
#[test]
fn a_connect_is_decided_again_on_what_was_before_all_that_it_led_to() {
    let mut world = World::under(r#"{ version: 1, nodeCommands: { linux: ["camera"] } }"#);
    let node = |platform: &str| visit(1).node().platform(platform);
    world.grant(&node("linux 6"));
    world.connect(&node("linux 6").offers(&["camera"])).admission();
    world.wait(600);
    let told = world.connect(&node("linux 7").offers(&["camera"]));
    assert_eq!(told.names(), ["DeviceMetadataChanged", "PairingExpired", "PairingRequested", "ConnectionAdmitted"]);
    let told = tried(r#"{ version: 1, nodeCommands: { linux: ["camera"] }, metadata: "exact" }"#, &world.records);
    let differing: Vec<_> = told.differences().iter().map(|(seq, difference)| (*seq, &difference.now)).collect();
    let [(seq, Answer::Refused(refusal))] = &*differing else { panic!("{differing:?}") };
    let Refusal::PairingRequired(need) = &**refusal else { panic!("{refusal:?}") };
    assert_eq!((*seq, need.reason), (world.registry.head(), Reason::MetadataUpgrade));
}

// --- a policy tried on history ------------------------------------------------------------------------------------

/// A story under one policy from its beginning to its end.
fn without_a_change(mut story: Story) -> Story {
    story.acts.retain(|act| !matches!(act, Act::Apply { .. }));
    story
}

fn tried(policy: &str, records: &[Record]) -> Simulation {
    remembered(policy, records, usize::MAX)
}

fn remembered(policy: &str, records: &[Record], most: usize) -> Simulation {
    let mut simulation = Simulation::new(Policy::parse(policy).expect("a policy"), Registry::default()).keeping(most);
    records.iter().for_each(|record| simulation.pass(record));
    simulation
}

#[test]
fn simulate_under_the_present_policy_finds_no_difference_for_any_history() {
    hold(&stories(), |story| {
        let story = without_a_change(story);
        let records = story.play().world.records;
        let simulation = tried(&story.policy.text(), &records);
        assert!(simulation.differences().is_empty(), "{:?}", simulation.differences());
        let tells = |record: &&Record| matches!(record.event, Event::ConnectionAdmitted(_) | Event::ConnectionRefused(_));
        let attempts = records.iter().filter(tells).count();
        assert!(simulation.decided() >= u64::try_from(attempts).expect("few"));
    });
}

#[test]
fn simulate_of_a_stricter_policy_only_turns_admissions_into_refusals_or_gives_fewer_scopes() {
    let mut seen = BTreeMap::new();
    let seen = std::cell::RefCell::new(&mut seen);
    hold(&(stories(), policies()), |(story, other)| {
        let story = without_a_change(story);
        let (strict, loose) = story.policy.ordered(other);
        let records = story.play().world.records;
        for (seq, difference) in tried(&strict.text(), &records).differences() {
            assert!(is_within(&difference.now, &difference.then), "{seq}: {difference:?}");
            *seen.borrow_mut().entry(difference.command.map(CommandName::as_str)).or_insert(0) += 1;
        }
        // As loose as both in every key may not go together.
        if loose.loosened_by(story.policy).is_empty() {
            for (seq, difference) in tried(&loose.text(), &records).differences() {
                assert!(is_within(&difference.then, &difference.now), "{seq}: {difference:?}");
            }
        }
    });
    let (seen, whole) = (seen.into_inner(), std::env::var_os("PAIRING_SEED").is_none());
    for of in [None, Some(CommandName::Approve), Some(CommandName::Rotate), Some(CommandName::CreateSetupCode)] {
        assert!(!whole || seen.contains_key(&of.map(CommandName::as_str)), "{of:?} never differs: {seen:?}");
    }
}

/// Whoever remembers less of it tells of fewer one by one, and of as many.
#[test]
fn simulate_adds_up_the_same_however_much_of_it_is_remembered() {
    hold(&(stories(), policies()), |(story, other)| {
        let records = story.play().world.records;
        let whole = tried(&other.text(), &records);
        let bounded = remembered(&other.text(), &records, 2);
        let newest = |simulation: &Simulation| simulation.differences().keys().rev().take(2).copied().collect::<Vec<_>>();
        assert_eq!(newest(&bounded), newest(&whole));
        assert_eq!((bounded.found(), bounded.all(), bounded.by_client()), (whole.found(), whole.all(), whole.by_client()));
        let apart: u64 = bounded.by_device().values().map(|tally| tally.total()).sum();
        assert_eq!(apart + bounded.other_devices().total(), whole.all().total());
        assert!(bounded.differences().len() <= 2 && bounded.by_device().len() <= 2);
    });
}

#[test]
fn repeats_of_what_is_remembered_no_more_are_told_of_as_uncertain() {
    let mut world = World::under("{ version: 1, localFirstPairing: false }");
    let refused = [1, 2, 3].map(|n| (world.connect(&visit(n).local().asks("read")).refusal().number(), world.registry.head()));
    for ((refusal, like), count) in refused.into_iter().zip([10, 100, 1_000]) {
        let (like, first, last) = (Some(like), world.now, world.now);
        let event = AttemptsSuppressed { like, address: None, device: None, request: None, refusal, count, first, last };
        world.note(Actor::System, event.into());
    }
    let bounded = remembered(DEFAULT_POLICY, &world.records, 2);
    assert_eq!((bounded.all().done, bounded.uncertain(), bounded.found()), (3 + 1_100, 10, 3));
    assert_eq!(bounded.differences().values().map(|one| one.times).collect::<Vec<_>>(), [101, 1_001]);
}

#[test]
fn what_was_refused_from_an_agents_shell_would_be_done_where_a_policy_takes_it() {
    let mut world = World::new();
    world.pair(1, "read");
    let asks = world.connect(&visit(2).asks("read")).request();
    let begun = world.registry.head();
    world.approve(exec(), asks);
    world.rotate(exec(), 1, Some("read write"));
    world.tell(
        exec(),
        Command::ApplyPolicy {
            text: "{ version: 1, metadata: \"family\", localUpgrade: { scopes: [\"operator.read\"] } }".to_owned(),
        },
    );
    world.tell(exec(), Command::ArmRule { rule: Rule::LocalFirstPairing });
    world.tell(exec(), Command::MarkSeen { through: begun });
    world.tell(exec(), Command::CreateSetupCode { grants: vec![], digest: Digest([7; 32]), lives_ms: 0, label: None });
    world.tell(exec(), Command::Import { devices: vec![] });
    let told = tried("{ version: 1, ownerActsFromExec: true }", &world.records);
    let told = told.differences();
    assert_eq!(told.keys().copied().collect::<Vec<_>>(), (begun.0 + 1..begun.0 + 8).map(Seq).collect::<Vec<_>>());
    for difference in told.values() {
        assert_eq!(difference.then, Answer::Refused(Box::new(Refusal::FromExecShell)));
        assert!(matches!(difference.now, Answer::Done { .. }), "{difference:?}");
    }
    // And what was done where one took it would be refused where another does not.
    let mut world = World::under("{ version: 1, ownerActsFromExec: true }");
    let asks = world.connect(&visit(2).asks("read")).request();
    world.approve(exec(), asks);
    let approved = world.registry.head();
    let told = tried(DEFAULT_POLICY, &world.records);
    let differences = told.differences();
    assert!(differences.values().all(|difference| difference.now == Answer::Refused(Box::new(Refusal::FromExecShell))));
    assert_eq!(differences.keys().copied().collect::<Vec<_>>(), [Seq(approved.0 - 1)], "the approval, not the token behind it");
}

/// Whether an answer gives no more than another.
fn is_within(less: &Answer, more: &Answer) -> bool {
    let all_within = |less: &BTreeMap<Role, ScopeSet>, more: &BTreeMap<Role, ScopeSet>| {
        less.iter().all(|(role, scopes)| more.get(role).is_some_and(|more| more.covers(*role, scopes)))
    };
    match (less, more) {
        (Answer::Refused(_), _) => true,
        (_, Answer::Refused(_)) => false,
        (Answer::Admitted { scopes, gains, .. }, Answer::Admitted { scopes: more, gains: more_gains, .. }) => {
            let is_covered = Role::ALL.iter().all(|role| more.covers(*role, scopes));
            is_covered && all_within(gains, more_gains)
        }
        (Answer::Done { gains }, Answer::Done { gains: more }) => all_within(gains, more),
        _ => false,
    }
}
