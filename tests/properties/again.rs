//! History decided again: each record says all that its decision depended on and the records before it do not. And a policy tried on
//! history: it finds what would differ, and nothing else.

use std::collections::BTreeMap;

use openclaw_pairing::pairing::{
    Again, Answer, Command, CommandName, Context, DeviceId, Event, Issue, Mint, Outcome, Policy, Record, Refusal, Registry, Role,
    Rule, ScopeSet, Simulation, decide,
};

use crate::support::given::NO_REQUEST;
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

// --- a policy tried on history ------------------------------------------------------------------------------------

/// A story under one policy from its beginning to its end.
fn without_a_change(mut story: Story) -> Story {
    story.acts.retain(|act| !matches!(act, Act::Apply { .. }));
    story
}

fn tried(policy: Strictness, records: &[Record]) -> Simulation {
    let policy = Policy::parse(&policy.text()).expect("a policy");
    let mut simulation = Simulation::new(policy, Registry::default());
    records.iter().for_each(|record| simulation.pass(record));
    simulation
}

#[test]
fn simulate_under_the_present_policy_finds_no_difference_for_any_history() {
    hold(&stories(), |story| {
        let story = without_a_change(story);
        let records = story.play().world.records;
        let simulation = tried(story.policy, &records);
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
        let (strict, _) = story.policy.ordered(other);
        for (seq, difference) in tried(strict, &story.play().world.records).differences() {
            assert!(is_within(&difference.now, &difference.then), "{seq}: {difference:?}");
            *seen.borrow_mut().entry(difference.command.map(CommandName::as_str)).or_insert(0) += 1;
        }
    });
    let (seen, whole) = (seen.into_inner(), std::env::var_os("PAIRING_SEED").is_none());
    for of in [None, Some(CommandName::Approve), Some(CommandName::Rotate), Some(CommandName::CreateSetupCode)] {
        assert!(!whole || seen.contains_key(&of.map(CommandName::as_str)), "{of:?} never differs: {seen:?}");
    }
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
