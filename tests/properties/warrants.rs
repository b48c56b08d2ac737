//! On whose authority what is held is held: told by the fold, and held against whole scans of the records.

use openclaw_pairing::pairing::{
    Actor, Coming, Deed, Event, Gave, KnownScope, Provenance, Registry, Role, Root, Rule, ScopeSet, Seq, Warrant,
};

use crate::support::story::Played;
use crate::{every_story, loses};

#[test]
fn every_scope_held_has_a_warrant_up_to_a_root_and_each_giver_held_what_it_gave_by() {
    every_story(|played| {
        let records = &played.world.records;
        let (mut provenance, mut folded) = (Provenance::default(), 0);
        for step in &played.steps {
            records[folded..step.records.end].iter().for_each(|record| provenance.apply(record));
            folded = step.records.end;
            for device in step.after.devices() {
                for role in device.grants.keys().filter(|role| device.has(**role)) {
                    let held = device.held(*role);
                    for scope in if held.is_empty() { vec![held] } else { held.each() } {
                        let warrant = provenance.warrant(&device.id, *role, &scope);
                        let warrant = warrant.unwrap_or_else(|| panic!("{} holds {scope} as {role} by nothing", device.id));
                        match &warrant.deeds[0].gave {
                            Gave::Grant { device: to, role: of, scopes, .. } => {
                                assert_eq!((to, of), (&device.id, role));
                                assert!(scopes.covers(*role, &scope), "{scopes} does not cover {scope}");
                            }
                            Gave::Place { device: to, .. } => assert_eq!(to, &device.id),
                            other => panic!("{other:?} gives no device anything"),
                        }
                        holds_up(played, &warrant, &scope, Seq(u64::try_from(folded).expect("few").saturating_add(1)));
                    }
                }
            }
        }
    });
}

/// Each act rests on the next, which stood when it happened, and the last on the root.
fn holds_up(played: &Played, warrant: &Warrant<'_>, scope: &ScopeSet, now: Seq) {
    let mut later = now;
    for (place, deed) in warrant.deeds.iter().enumerate() {
        assert!(deed.seq < later, "an act rests on an earlier one");
        if let Gave::Grant { device, role, .. } = &deed.gave {
            let mut between = played.world.records.iter().filter(|record| deed.seq < record.seq && record.seq < later);
            assert!(between.all(|record| !loses(&record.event, *device, *role)), "{deed:?} did not stand at {later}");
        }
        let above = warrant.deeds.get(place + 1).copied();
        match (&deed.actor, &deed.gave) {
            (_, Gave::FirstPolicy) => assert_eq!((warrant.root, above.is_none()), (Some(Root::Policy), true)),
            (Actor::Owner(_), Gave::Place { how: Coming::Imported, .. }) => {
                assert_eq!((warrant.root, above.is_none()), (Some(Root::Import), true));
            }
            // As it was held before.
            (Actor::Owner(_), Gave::Place { .. }) => assert!(above.is_some()),
            (Actor::Owner(_), _) => assert_eq!((warrant.root, above.is_none()), (Some(Root::Owner), true)),
            (Actor::Rule(Rule::SetupCode), _) => assert!(matches!(above.map(|deed| &deed.gave), Some(Gave::Code(_)))),
            (Actor::Rule(_) | Actor::SharedSecret { .. }, _) => {
                let policy = above.expect("a policy");
                assert!(matches!(&policy.gave, Gave::FirstPolicy | Gave::Policy));
                let mut between = played.world.records.iter().filter(|record| policy.seq < record.seq && record.seq < deed.seq);
                assert!(between.all(|record| !matches!(&record.event, Event::PolicyChanged(_))), "it was in force");
            }
            (Actor::Device { device, .. }, _) => {
                let Some(Deed {
                    gave: Gave::Grant { device: to, role: Role::Operator, .. } | Gave::Place { device: to, .. },
                    ..
                }) = above
                else {
                    panic!("{deed:?} rests on {above:?}")
                };
                assert_eq!(to, device);
                let held = before(played, deed.seq).device(device).map(|device| device.held(Role::Operator)).unwrap_or_default();
                let asked = match &deed.gave {
                    Gave::Grant { role: Role::Operator, .. } if place == 0 && !scope.is_empty() => scope.clone(),
                    Gave::Grant { role: Role::Operator, scopes, .. } => scopes.within(Role::Operator, &held),
                    _ => ScopeSet::from_iter([KnownScope::Admin]),
                };
                let is_admin = held.contains(KnownScope::Admin);
                assert!(
                    is_admin || held.covers(Role::Operator, &asked) && held.allows(KnownScope::Pairing),
                    "{device} held {held}"
                );
            }
            (Actor::Peer | Actor::System, _) => panic!("{deed:?} has no actor that could"),
        }
        later = deed.seq;
    }
}

/// The registry in front of the act with this record.
fn before(played: &Played, seq: Seq) -> &Registry {
    let place = usize::try_from(seq.0).expect("few") - 1;
    &played.steps.iter().find(|step| step.records.contains(&place)).expect("an act").before
}
