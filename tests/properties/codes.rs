//! Setup codes: approvals given ahead, once, to whoever comes first.

use std::collections::BTreeMap;

use openclaw_pairing::pairing::{
    Actor, Command, CommandName, DeviceId, Event, KnownScope, Outcome, Record, Role, Rule, SetupCodeCreated, SetupCodeId,
    TokenVerdict,
};

use crate::every_story;

/// The codes that are on record and not taken back, who made each, and who spent it: a list and a scan.
fn known(records: &[Record]) -> BTreeMap<SetupCodeId, (&Record, &SetupCodeCreated, Option<DeviceId>)> {
    let mut known = BTreeMap::new();
    for record in records {
        match &record.event {
            Event::SetupCodeCreated(event) => drop(known.insert(event.code, (record, event, None))),
            Event::SetupCodeSpent(event) => known.get_mut(&event.code).expect("a code that was made").2 = Some(event.device),
            Event::SetupCodeRevoked(event) => drop(known.remove(&event.code)),
            _ => {}
        }
    }
    known
}

#[test]
fn a_spent_expired_or_revoked_setup_code_pairs_nobody_new() {
    every_story(|played| {
        for step in &played.steps {
            let (past, own) = (&played.world.records[..step.records.start], &played.world.records[step.records.clone()]);
            let spent = own.iter().find_map(|record| match &record.event {
                Event::SetupCodeSpent(event) => Some(*event),
                _ => None,
            });
            let by_code = |record: &&Record| record.actor == Actor::Rule(Rule::SetupCode);
            let gives = own.iter().any(|record| by_code(&record));
            assert!(spent.is_some() || !gives, "nothing is given by a code but once");
            let Some(spent) = spent else { continue };
            let (_, made, before) = known(past)[&spent.code];
            assert!(before.is_none() && step.now < made.expires, "it was left");
            assert_eq!(step.after.setup_code(&spent.code).and_then(|code| code.spent), Some((spent.device, step.now)));
            let Outcome::Admitted(admission) = &step.outcome else { panic!("spent for nothing: {:?}", step.outcome) };
            // Who held what it asks for gains nothing, and has spent it all the same.
            let rule = if gives { Rule::SetupCode } else { Rule::Paired };
            assert_eq!((admission.rule, admission.device), (rule, Some(spent.device)));
        }
    });
}

/// Whoever shows a code again is who spent it and holds what it asks for, and gets nothing by it.
#[test]
fn a_setup_code_shown_again_is_good_for_its_own_device_and_gives_nothing() {
    every_story(|played| {
        for step in &played.steps {
            let Command::Connect { attempt, code: Some(code), .. } = &step.command else { continue };
            assert_eq!(attempt.credential.expect("a credential").token, TokenVerdict::SetupCode);
            let Some((by, _)) = step.before.setup_code(code).and_then(|code| code.spent) else { continue };
            let (proof, ask) = (attempt.proof.expect("a device"), attempt.ask.as_ref().expect("an ask"));
            assert_eq!(proof.device, by);
            assert!(step.before.device(&by).is_some_and(|device| device.held(ask.role).covers(ask.role, &ask.scopes)));
            let records = &played.world.records[step.records.clone()];
            assert!(!records.iter().any(|record| matches!(record.event, Event::PairingApproved(_))), "{records:?}");
        }
    });
}

#[test]
fn a_setup_code_gives_at_most_what_it_says_and_what_its_maker_could_give() {
    every_story(|played| {
        for step in &played.steps {
            let (past, own) = (&played.world.records[..step.records.start], &played.world.records[step.records.clone()]);
            for record in own {
                match &record.event {
                    Event::SetupCodeCreated(_) => match &record.actor {
                        Actor::Owner(_) => {}
                        Actor::Device { device, scopes } => {
                            let holds = step.before.device(device).map(|device| device.held(Role::Operator)).unwrap_or_default();
                            assert!(scopes.contains(KnownScope::Admin) && holds.contains(KnownScope::Admin));
                        }
                        // The person at this host, whom a local rule gave everything.
                        Actor::SharedSecret { rule: Rule::LocalCli | Rule::LocalBackend, scopes } => {
                            assert!(scopes.contains(KnownScope::Admin));
                        }
                        other => panic!("{other:?} made a code"),
                    },
                    Event::PairingApproved(event) if record.actor == Actor::Rule(Rule::SetupCode) => {
                        let Command::Connect { code: Some(code), .. } = &step.command else { panic!("{:?}", step.command) };
                        let (_, made, _) = known(past)[code];
                        let says = made.grants.iter().find(|grant| grant.role == event.role).expect("a role that it gives");
                        assert!(says.scopes.covers(event.role, &event.scopes), "{} beyond {}", event.scopes, says.scopes);
                    }
                    _ => {}
                }
            }
        }
    });
}

#[test]
fn who_may_not_do_everything_neither_makes_nor_takes_back_a_setup_code() {
    every_story(|played| {
        for record in &played.world.records {
            if let Event::CommandRefused(event) = &record.event
                && matches!(event.command, CommandName::CreateSetupCode | CommandName::RevokeSetupCode)
            {
                assert!(event.device.is_none() && event.request.is_none(), "a refusal says nothing of a code: {event:?}");
            }
        }
        for step in &played.steps {
            let makes = matches!(step.command, Command::CreateSetupCode { .. } | Command::RevokeSetupCode { .. });
            let may = match &step.actor {
                Actor::Owner(_) => true,
                Actor::Device { scopes, .. } | Actor::SharedSecret { scopes, .. } => scopes.contains(KnownScope::Admin),
                _ => false,
            };
            assert!(!makes || may || matches!(step.outcome, Outcome::Refused(_)), "{:?} by {:?}", step.command, step.actor);
        }
    });
}
