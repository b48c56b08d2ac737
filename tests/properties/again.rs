//! History decided again: each record says all that its decision depended on and the records before it do not.

use std::collections::BTreeMap;

use openclaw_pairing::pairing::{
    Actor, Address, Attempt, Command, CommandName, CommandRefused, Context, Description, DeviceId, Digest, Event, Issue, Mint,
    Outcome, PublicKey, Record, Refusal, Registry, Role, Rule, Seq, SetupCodeId, decide,
};

use crate::every_story;
use crate::support::given::NO_REQUEST;
use crate::support::story::{Strictness, place};

/// Answers with what is on record.
pub(crate) struct Recorded(BTreeMap<Role, Issue>);

impl Recorded {
    pub(crate) fn none() -> Self {
        Self(BTreeMap::new())
    }
}

impl Mint for Recorded {
    fn mint(&self, _: &DeviceId, role: Role) -> Option<Issue> {
        self.0.get(&role).copied()
    }
}

#[test]
fn each_attempt_record_decided_again_from_its_own_fields_gives_the_same_outcome() {
    every_story(|played| {
        let records = &played.world.records;
        let states = states(records);
        for step in played.steps.iter().filter(|step| !step.records.is_empty()) {
            let place = step.records.end - 1;
            let attempt = match &records[place].event {
                Event::ConnectionAdmitted(event) => &event.attempt,
                Event::ConnectionRefused(event) => &event.attempt,
                Event::CommandRefused(event) => {
                    // On which line a policy was wrong, nothing tells that is kept.
                    let told = refused_again(&states[place], &records[place], event);
                    assert!(
                        told == step.outcome || (is_bad_policy(&told) && is_bad_policy(&step.outcome)),
                        "{event:?}: {told:?}"
                    );
                    continue;
                }
                _ => {
                    if let Some(told) = done_again(&states[place], &records[place]) {
                        assert_eq!(told, step.outcome, "{:?}", records[place].event);
                    }
                    continue;
                }
            };
            let told = decided_again(&states, records, place, attempt);
            assert_eq!(told_once(told), told_once(step.outcome.clone()), "{attempt:?}");
        }
    });
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

/// What the records before each one fold to.
fn states(records: &[Record]) -> Vec<Registry> {
    let mut states = vec![Registry::default()];
    for record in records {
        let mut next = states[states.len() - 1].clone();
        next.apply(record);
        states.push(next);
    }
    states
}

/// Decides an attempt again, by records alone. Those right before it by the same peer, or by rules, are what it led to.
fn decided_again(states: &[Registry], records: &[Record], place: usize, attempt: &Attempt) -> Outcome {
    let led_to = |record: &&Record| {
        let is_led_to = matches!(record.event, Event::PairingRequested(_) | Event::SetupCodeSpent(_));
        let by_peer = record.actor == Actor::Peer && is_led_to;
        by_peer || matches!(record.actor, Actor::Rule(_))
    };
    let count = records[..place].iter().rev().take_while(led_to).count();
    let own = &records[place - count..place];
    let registry = &states[place - count];
    let (mut requests, mut issues, mut code) = (vec![], BTreeMap::new(), None);
    for record in own {
        match &record.event {
            Event::PairingRequested(event) => requests.push(event.request.0),
            Event::TokenIssued(event) => drop(issues.insert(event.role, event.issue)),
            Event::SetupCodeSpent(event) => code = Some(event.code),
            _ => {}
        }
    }
    let id = |place: usize| requests.get(place).copied().unwrap_or(NO_REQUEST.0);
    let mut attempt = attempt.clone();
    if let (Some(ask), Some(proof)) = (&mut attempt.ask, &attempt.proof) {
        let like = ask.described.like.take();
        if let Some(seq) = like {
            ask.described.here = Some(Box::new(said_in(&records[..place], seq, &proof.device)));
        }
    }
    // The key is only ever written down, never judged, so any will do.
    let command = Command::Connect { attempt: Box::new(attempt), key: Some(PublicKey([0; 32])), code };
    let mint = Recorded(issues);
    let context = Context { actor: Actor::Peer, now: records[place].at, ids: [id(0), id(1)], mint: &mint };
    decide(registry, registry.policy(), command, &context).outcome
}

/// A command that one record tells of, told again from it. Those that several tell of are held by the model.
fn done_again(registry: &Registry, record: &Record) -> Option<Outcome> {
    let Record { at, actor, event, .. } = record;
    let mut id = NO_REQUEST.0;
    let command = match event {
        Event::PolicyChanged(event) => Command::ApplyPolicy { text: event.policy.clone() },
        Event::RuleArmed(event) => Command::ArmRule { rule: event.rule },
        Event::OwnerActsSeen(event) => Command::MarkSeen { through: event.through },
        Event::SetupCodeRevoked(event) => Command::RevokeSetupCode { code: event.code },
        Event::SetupCodeCreated(event) => {
            id = event.code.0;
            let (grants, digest, lives_ms) = (event.grants.clone(), event.digest, event.expires.since(*at));
            Command::CreateSetupCode { grants, digest, lives_ms, label: event.label.clone() }
        }
        Event::DeviceRenamed(event) => Command::Rename { device: event.device, label: event.label.clone() },
        _ => return None,
    };
    let context = Context { actor: actor.clone(), now: *at, ids: [id; 2], mint: &Recorded::none() };
    let decision = decide(registry, registry.policy(), command, &context);
    assert_eq!(decision.events, [(actor.clone(), event.clone())]);
    Some(decision.outcome)
}

/// What the record that an attempt points to says of the same device.
fn said_in(records: &[Record], seq: Seq, id: &DeviceId) -> Description {
    let record = records.iter().find(|record| record.seq == seq).expect("an earlier record");
    let (device, described) = match &record.event {
        Event::PairingRequested(event) => (event.device, &event.ask.described),
        Event::ConnectionAdmitted(event) => said(&event.attempt),
        Event::ConnectionRefused(event) => said(&event.attempt),
        other => panic!("{} describes nobody", other.name()),
    };
    assert_eq!(&device, id, "its own words");
    *described.here.clone().expect("the words themselves, not another pointer")
}

fn said(attempt: &Attempt) -> (DeviceId, &openclaw_pairing::pairing::Described) {
    (attempt.proof.expect("a device").device, &attempt.ask.as_ref().expect("an ask").described)
}

fn refused_again(registry: &Registry, record: &Record, event: &CommandRefused) -> Outcome {
    let (request, device, role) = (event.request, event.device, event.role);
    let command = match event.command {
        CommandName::Approve => Command::Approve { request: request.expect("a request") },
        CommandName::Reject => Command::Reject { request: request.expect("a request") },
        CommandName::Remove => Command::Remove { device: device.expect("a device"), with_approved: false },
        CommandName::Rotate => {
            let (device, role) = (device.expect("a device"), role.expect("a role"));
            Command::Rotate { device, role, scopes: event.scopes.clone() }
        }
        CommandName::Revoke => {
            Command::Revoke { device: device.expect("a device"), role: role.expect("a role"), with_approved: false }
        }
        // No answer depends on the name, nor on the address.
        CommandName::Rename => Command::Rename { device: device.expect("a device"), label: String::new() },
        CommandName::Ask => Command::Ask { scopes: event.scopes.clone().expect("scopes"), address: anywhere() },
        CommandName::RejectFrom => Command::RejectFrom { address: anywhere() },
        CommandName::MarkSeen => Command::MarkSeen { through: Seq(1) },
        // What a code would give does not matter, nor which one is not known.
        CommandName::RevokeSetupCode => Command::RevokeSetupCode { code: SetupCodeId([0; 16]) },
        CommandName::CreateSetupCode => {
            Command::CreateSetupCode { grants: vec![], digest: Digest([0; 32]), lives_ms: 0, label: None }
        }
        CommandName::ArmRule => {
            let rule = match &event.refusal {
                Refusal::LoosensPolicy { keys } => Rule::from_text(keys).expect("a rule"),
                _ => Rule::LocalUpgrade,
            };
            Command::ArmRule { rule }
        }
        CommandName::Undo | CommandName::Succeed | CommandName::Import | CommandName::AcceptRollback => {
            panic!("no story tries to {}", event.command)
        }
        CommandName::ApplyPolicy => Command::ApplyPolicy { text: refused_policy(registry, &event.refusal) },
    };
    let Record { actor, at, .. } = record;
    let context = Context { actor: actor.clone(), now: *at, ids: [NO_REQUEST.0; 2], mint: &Recorded::none() };
    decide(registry, registry.policy(), command, &context).outcome
}

fn is_bad_policy(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Refused(refusal) if matches!(**refusal, Refusal::BadPolicy { .. }))
}

fn anywhere() -> Address {
    std::net::IpAddr::from([192, 0, 2, 1]).into()
}

/// A policy that is refused alike: what is told of the one that was is in which keys it was looser.
fn refused_policy(registry: &Registry, refusal: &Refusal) -> String {
    let keys: Vec<_> = match refusal {
        Refusal::LoosensPolicy { keys } => keys.split(", ").collect(),
        Refusal::BadPolicy { .. } => return "{ version: 1, localCli: true }".to_owned(),
        _ => vec!["ownerActsFromExec"],
    };
    let ranks: Vec<_> = keys.into_iter().map(|key| (place(key), 0)).collect();
    Strictness::of(registry.policy_text().expect("a policy")).with(&ranks).text()
}
