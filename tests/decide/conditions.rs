//! What is found not as it should be is recorded when it changes, and only then.

use super::*;
use openclaw_pairing::pairing::{Condition, DeviceId, GatewayStarted, KeyId};

const FOUND: [&str; 1] = ["ConditionFound"];
const CLEARED: [&str; 1] = ["ConditionCleared"];

fn observe(world: &mut World, condition: Condition, found: Option<&str>) -> Told {
    world.tell(Actor::System, Command::Observe { condition, found: found.map(ToOwned::to_owned) })
}

fn started(key: Option<u8>, identity: Option<u8>) -> Command {
    let (key, identity) = (key.map(|n| KeyId([n; 8])), identity.map(|n| DeviceId([n; 32])));
    Command::Start(GatewayStarted { version: String::new(), key, identity, settings: vec![] })
}

fn stopped() -> Command {
    Command::Stop(GatewayStopped { cause: "SIGTERM".to_owned() })
}

#[test]
fn a_condition_is_an_event_only_where_something_changes() {
    let mut world = World::new();
    for condition in Condition::ALL {
        assert!(observe(&mut world, *condition, None).events.is_empty(), "what was never found cannot be cleared");
        assert_eq!(observe(&mut world, *condition, Some("is gone")).names(), FOUND);
        assert!(observe(&mut world, *condition, Some("is gone")).events.is_empty());
        world.wait(1);
        assert_eq!(observe(&mut world, *condition, Some("is another")).names(), FOUND);
        let found = world.registry.condition(*condition).expect("in force");
        assert_eq!((found.detail.as_str(), found.at), ("is another", world.now));
        assert_eq!(world.registry.conditions().count(), 1);
        assert_eq!(observe(&mut world, *condition, None).names(), CLEARED);
        assert_eq!(world.registry.conditions().count(), 0);
    }
}

#[test]
fn a_condition_is_activity_and_its_detail_has_a_bound() {
    let mut world = World::new();
    let (pairing, activity) = world.registry.digest();
    let long = "ä".repeat(limits::TEXT_BYTES);
    observe(&mut world, Condition::Storage, Some(&long));
    assert_eq!(world.registry.condition(Condition::Storage).expect("in force").detail.len(), limits::TEXT_BYTES);
    assert!(observe(&mut world, Condition::Storage, Some(&long)).events.is_empty(), "compared as it is kept");
    assert_eq!(world.registry.digest().0, pairing);
    assert_ne!(world.registry.digest().1, activity);
}

#[test]
fn a_start_without_a_stop_before_it_is_found_unclean_until_a_stop_in_order() {
    let mut world = World::new();
    assert_eq!(world.tell(Actor::System, started(None, None)).names(), ["GatewayStarted"]);
    assert_eq!(world.tell(Actor::System, stopped()).names(), ["GatewayStopped"]);
    assert_eq!(world.tell(Actor::System, started(None, None)).names(), ["GatewayStarted"]);
    let crashed = world.registry.head();
    // The owner acts meanwhile, which is not a run.
    world.expire();
    for start in [crashed, Seq(crashed.0 + 1)] {
        assert_eq!(world.tell(Actor::System, started(None, None)).names(), ["GatewayStarted", "ConditionFound"]);
        let found = world.registry.condition(Condition::UncleanStop).expect("in force");
        assert_eq!(found.detail, format!("started at seq {start} and left no record of a stop"));
    }
    assert_eq!(world.tell(Actor::System, stopped()).names(), ["ConditionCleared", "GatewayStopped"]);
    assert_eq!(world.tell(Actor::System, started(None, None)).names(), ["GatewayStarted"]);
}

#[test]
fn the_last_key_and_identity_are_remembered_over_starts_without_one() {
    let mut world = World::new();
    assert!(world.registry.last_run().is_none());
    for (key, identity, known) in [(Some(1), None, (1, None)), (None, Some(2), (1, Some(2))), (Some(3), None, (3, Some(2)))] {
        world.tell(Actor::System, started(key, identity));
        let run = world.registry.last_run().expect("a run");
        assert_eq!((run.key, run.identity), (Some(KeyId([known.0; 8])), known.1.map(|n| DeviceId([n; 32]))));
        assert_eq!((run.started.key, run.started.identity), (key.map(|n| KeyId([n; 8])), identity.map(|n| DeviceId([n; 32]))));
        world.tell(Actor::System, stopped());
    }
}

/// The settings that a start after one with `before` tells to be others, in one line each.
fn changed(before: (u8, &[(&str, &str)]), after: (u8, &[(&str, &str)])) -> Vec<String> {
    let start = |(key, settings): (u8, &[(&str, &str)])| {
        let settings = settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Command::Start(GatewayStarted { version: String::new(), key: Some(KeyId([key; 8])), identity: None, settings })
    };
    let mut world = World::new();
    assert_eq!(world.tell(Actor::System, start(before)).names(), ["GatewayStarted"], "nothing to compare with");
    world.tell(Actor::System, stopped());
    let told = world.tell(Actor::System, start(after));
    assert_eq!(told.names()[0], "GatewayStarted");
    let line = |event: &Event| match event {
        Event::ConfigurationChanged(event) => Some(format!("{}: {:?} {:?}", event.key, event.before, event.after)),
        Event::TokenKeyReplaced(_) => None,
        other => panic!("{other:?}"),
    };
    told.events[1..].iter().filter_map(|(_, event)| line(event)).collect()
}

#[test]
fn a_start_tells_which_settings_are_others_and_of_the_secret_only_that() {
    let (mark, other) = (("secret", "11aa"), ("secret", "22bb"));
    assert!(changed((1, &[("bind", "lan"), mark]), (1, &[mark, ("bind", "lan")])).is_empty(), "their order is none");
    assert_eq!(
        changed((1, &[("bind", "loopback"), ("trustedProxies", "")]), (1, &[("bind", "lan"), ("trustedProxies", "10.0.0.1/32")])),
        [r#"bind: Some("loopback") Some("lan")"#, r#"trustedProxies: None Some("10.0.0.1/32")"#]
    );
    assert_eq!(changed((1, &[mark]), (1, &[other])), [r#"secret: Some("set") Some("set")"#]);
    // A mark by another key, or none, tells nothing.
    assert!(changed((1, &[mark]), (2, &[other])).is_empty());
    assert!(changed((1, &[]), (1, &[mark])).is_empty());
    assert_eq!(changed((1, &[("auth", "token"), mark]), (1, &[("auth", "none")])), [r#"auth: Some("token") Some("none")"#]);
    let unseen = GatewayStarted::UNSEEN;
    assert!(changed((1, &[(unseen, "1")]), (1, &[(unseen, "2")])).is_empty());
    // Of what another version does not record, nothing is known.
    assert!(changed((1, &[("old", "1")]), (1, &[("new", "2")])).is_empty());
}
