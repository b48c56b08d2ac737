//! Stricter, as POLICY.md defines it: of the keys one by one, of whole policies, and of what is decided under them.

use std::collections::{BTreeMap, BTreeSet};

use openclaw_pairing::pairing::{
    Context, DEFAULT_POLICY, DeviceId, Digest, Event, Granted, Issue, KeyId, Mint, Outcome, Policy, Role, Salt, ScopeSet, decide,
};

use crate::support::given::NO_REQUEST;
use crate::support::story::{KEYS, ORDERED, Step, Strictness, UNORDERED, place};
use crate::{hold, policies, stories};

fn read(policy: Strictness) -> Policy {
    Policy::parse(&policy.text()).unwrap_or_else(|error| panic!("{error} in {}", policy.text()))
}

/// Every key that a policy can have, as the reader of policies names them to who misspells one.
fn keys() -> BTreeSet<String> {
    let told = Policy::parse("{ version: 1, no_such_key: 0 }").expect_err("a closed language").to_string();
    let (_, expected) = told.split_once("expected").expect("what could stand there");
    expected.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

#[test]
fn every_key_of_a_policy_has_an_order_that_is_tested_or_none() {
    let known: BTreeSet<_> = KEYS.iter().map(|(key, _)| *key).chain(UNORDERED).map(str::to_owned).collect();
    assert_eq!(keys(), known);
    let told: serde_json::Map<String, serde_json::Value> = json5::from_str(DEFAULT_POLICY).expect("JSON5");
    assert!(told.keys().all(|key| known.contains(key)), "{told:?}");
}

#[test]
fn of_each_key_alone_every_value_is_stricter_than_those_before_it() {
    let strictest = KEYS.map(|(_, values)| u8::try_from(values.len() - 1).expect("few"));
    for others in [[0; ORDERED], strictest].map(Strictness) {
        for (of, (key, values)) in KEYS.iter().enumerate() {
            // The two that do not go with one another are tested each where the other does not matter.
            let (peer, upgrade) = (place("localPeer"), place("localUpgrade"));
            let others = others.with(&[(peer, strictest[peer])]);
            let others = if of == peer { others.with(&[(upgrade, strictest[upgrade])]) } else { others };
            let at = |rank: usize| read(others.with(&[(of, u8::try_from(rank).expect("few"))]));
            for (one, other) in (0..values.len()).flat_map(|one| (0..values.len()).map(move |other| (one, other))) {
                let (was, is) = (at(one), at(other));
                assert_eq!(is.is_within(&was), one <= other, "{key}: {} after {}", values[other], values[one]);
                let looser = if other < one { vec![*key] } else { vec![] };
                assert_eq!(was.loosened_by(&is), looser, "{key}: {} after {}", values[other], values[one]);
            }
        }
    }
}

#[test]
fn a_policy_is_stricter_than_another_where_every_key_is() {
    hold(&(policies(), policies()), |(one, other)| {
        let (a, b) = (read(one), read(other));
        assert_eq!(a.loosened_by(&b), one.loosened_by(other));
        assert_eq!(b.is_within(&a), one.loosened_by(other).is_empty());
        let (strict, loose) = one.ordered(other);
        let (strict, loose) = (read(strict), read(loose));
        assert!(strict.is_within(&loose) && strict.is_within(&a) && strict.is_within(&b));
        assert!(Policy::closed().is_within(&Policy::closed()) && Policy::closed().loosened_by(&Policy::closed()).is_empty());
    });
}

#[test]
fn keys_that_do_not_go_together_are_no_policy() {
    hold(&policies(), |policy| {
        let loose = policy.with(&[(place("localPeer"), 0)]);
        assert_eq!(Policy::parse(&loose.text()).is_ok(), loose.is_sound());
    });
}

/// Values of a key of which neither is the stricter one: each lets something pass that the other does not.
#[test]
fn what_cannot_be_compared_is_looser_both_ways() {
    for (key, one, other) in [
        ("localFirstPairing", r#"{ roles: ["operator"], scopes: "asked" }"#, r#"{ roles: ["node"], scopes: "asked" }"#),
        ("localFirstPairing", r#"{ roles: ["operator", "node"], scopes: [] }"#, r#"{ roles: ["operator"], scopes: "asked" }"#),
        ("localUpgrade", r#"{ scopes: ["operator.approvals"] }"#, r#"{ scopes: ["operator.write"] }"#),
        ("trustedNodeCidrs", r#"["10.0.0.0/8"]"#, r#"["11.0.0.0/8"]"#),
        ("trustedNodeCidrs", r#"["10.0.0.0/8"]"#, r#"["10.1.0.0/16", "fd00::/32"]"#),
        ("localCli", r#"{ scopes: ["operator.approvals"] }"#, r#"{ scopes: ["operator.write"] }"#),
        ("localBackend", r#"{ scopes: ["operator.approvals"] }"#, r#"{ scopes: ["operator.write"] }"#),
        ("ceilings", r#"[{ role: "node", scopes: [] }]"#, r#"[{ role: "operator", scopes: ["operator.read"] }]"#),
        ("ceilings", r#"[{ clientId: "cli", scopes: [] }]"#, r#"[{ clientMode: "cli", scopes: [] }]"#),
        ("ceilings", r#"[{ scopes: ["operator.read"] }]"#, r#"[{ scopes: ["operator.pairing"] }]"#),
        ("nodeCommands", r#"{ linux: ["camera"], ios: [] }"#, r#"{ linux: [], ios: ["camera"] }"#),
        ("signatures", r#"["v2"]"#, r#"["v3"]"#),
    ] {
        let at = |value: &str| Policy::parse(&format!("{{ version: 1, {key}: {value} }}")).expect("a policy");
        let (one, other) = (at(one), at(other));
        assert_eq!((one.loosened_by(&other), other.loosened_by(&one)), (vec![key], vec![key]));
        assert!(!one.is_within(&other) && !other.is_within(&one), "{key}");
    }
}

#[test]
fn a_stricter_policy_never_admits_what_a_looser_one_refuses_nor_gives_more_scopes() {
    hold(&(stories(), policies(), policies()), |(story, one, other)| {
        let (strict, loose) = one.ordered(other);
        let mut pairs = vec![(read(strict), read(loose))];
        // What counts where a text cannot be read has no ceilings.
        pairs.extend((loose.rank("ceilings") == 0).then(|| (Policy::closed(), read(loose))));
        for step in &story.play().steps {
            for (strict, loose) in &pairs {
                let (less, more) = (Given::by(step, strict), Given::by(step, loose));
                assert!(less.is_within(&more), "{less:?}\nagainst\n{more:?}\nfor {:?}", step.command);
            }
        }
    });
}

/// What a command gave, to whom.
#[derive(Debug, Default)]
struct Given {
    /// Whether it was done at all.
    done: bool,
    admitted: Option<(Role, ScopeSet)>,
    offers: BTreeSet<String>,
    /// What the tokens carry that are told.
    tokens: BTreeMap<(DeviceId, Role), ScopeSet>,
    approved: BTreeMap<(DeviceId, Role), ScopeSet>,
    /// Whether a setup code, another policy or an armed rule came of it.
    rules: BTreeSet<&'static str>,
}

impl Given {
    /// What comes of a step under another policy.
    fn by(step: &Step, policy: &Policy) -> Self {
        let context = Context { actor: step.actor.clone(), now: step.now, ids: [NO_REQUEST.0, [0xef; 16]], mint: &Always };
        let decision = decide(&step.before, policy, step.command.clone(), &context);
        let mut given = Self { done: !matches!(decision.outcome, Outcome::Refused(_)), ..Self::default() };
        let mut told = |token: &Granted| drop(given.tokens.insert((token.device, token.role), token.scopes.clone()));
        match &decision.outcome {
            Outcome::Admitted(admission) => {
                admission.token.iter().chain(&admission.more).for_each(&mut told);
                given.admitted = Some((admission.role, admission.scopes.clone()));
                given.offers.extend(admission.surface.caps.iter().map(|name| format!("cap {name}")));
                given.offers.extend(admission.surface.commands.iter().cloned());
            }
            Outcome::Rotated { token, .. } => told(token),
            _ => {}
        }
        for (_, event) in &decision.events {
            match event {
                Event::PairingApproved(event) => {
                    let all = given.approved.entry((event.device, event.role)).or_default();
                    *all = all.union(&event.scopes);
                }
                Event::PolicyChanged(_) | Event::RuleArmed(_) | Event::SetupCodeCreated(_) => {
                    given.rules.insert(event.name());
                }
                _ => {}
            }
        }
        given
    }

    fn is_within(&self, more: &Self) -> bool {
        let all_within = |own: &BTreeMap<(DeviceId, Role), ScopeSet>, more: &BTreeMap<(DeviceId, Role), ScopeSet>| {
            own.iter().all(|(of, scopes)| more.get(of).is_some_and(|more| more.covers(of.1, scopes)))
        };
        let admits = self.admitted.as_ref().is_none_or(|(role, scopes)| {
            more.admitted.as_ref().is_some_and(|(as_role, more)| as_role == role && more.covers(*role, scopes))
        });
        admits
            && (more.done || !self.done)
            && self.offers.is_subset(&more.offers)
            && all_within(&self.tokens, &more.tokens)
            && all_within(&self.approved, &more.approved)
            && self.rules.is_subset(&more.rules)
    }
}

/// A token for everybody who may have one.
struct Always;

impl Mint for Always {
    fn mint(&self, _: &DeviceId, role: Role) -> Option<Issue> {
        Some(Issue { salt: Salt([role.code(); 16]), key: KeyId([1; 8]), digest: Digest([role.code(); 32]) })
    }
}
