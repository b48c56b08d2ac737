//! What lies beside the journal is deleted, while the gateway runs and while it is stopped. Each loss is a condition of its own
//! with a next command of its own, nothing else is lost, and what was never there is not missed.

use std::path::PathBuf;

use openclaw_pairing::host::Host as _;
use openclaw_pairing::keyring::OwnDevice;
use openclaw_pairing::pairing::{Condition, Event, Record, Registry};
use openclaw_pairing::settings::Flags;
use openclaw_pairing::state::StateDir;
use openclaw_pairing::views::event_sentence;
use serde_json::json;

use super::client::{Device, PATIENCE, READ, text};
use super::running::{Running, Stopped};

const PLACES: [Condition; 4] = [Condition::Identity, Condition::Devices, Condition::Key, Condition::Configuration];

fn path(state: &StateDir, condition: Condition) -> PathBuf {
    match condition {
        Condition::Identity => state.identity(),
        Condition::Devices => state.devices(),
        Condition::Key => state.token_key(),
        Condition::Configuration => state.config(),
        _ => unreachable!("no file"),
    }
}

fn delete(state: &StateDir, condition: Condition) {
    let path = path(state, condition);
    if path.is_dir() { std::fs::remove_dir_all(&path) } else { std::fs::remove_file(&path) }.expect("it was there");
}

/// The condition that an event is about, and whether it was found.
fn of(event: &Event) -> Option<(Condition, bool)> {
    match event {
        Event::ConditionFound(event) => Some((event.condition, true)),
        Event::ConditionCleared(event) => Some((event.condition, false)),
        _ => None,
    }
}

pub(crate) fn conditions(records: &[Record]) -> Vec<(Condition, bool)> {
    records.iter().filter_map(|record| of(&record.event)).collect()
}

/// What is in force at the end.
fn in_force(records: &[Record]) -> Vec<(Condition, String)> {
    let mut registry = Registry::default();
    records.iter().for_each(|record| registry.apply(record));
    registry.conditions().map(|(condition, found)| (condition, found.detail.clone())).collect()
}

/// A gateway that ran, on a host whose command line is a device.
async fn ran() -> Running {
    let gateway = Running::start().await;
    OwnDevice::load_or_new(&gateway.state, &*gateway.host).expect("a key");
    until(&gateway, |_| gateway.state.devices().exists()).await;
    gateway.stop().await.start().await
}

/// Looks at what is on record until it is as wanted.
pub(crate) async fn until(gateway: &Running, is_so: impl Fn(&[Record]) -> bool) {
    let wait = async {
        while !is_so(&gateway.records()) {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, wait).await.expect("it is recorded in time");
}

/// The sentence of the last condition of this kind that was found.
pub(crate) fn sentence(records: &[Record], condition: Condition) -> String {
    event_sentence(records.iter().rfind(|record| of(&record.event) == Some((condition, true))).expect("found"))
}

#[tokio::test]
async fn t08_each_file_deleted_while_running_is_found_with_its_own_next_command_and_cleared_when_it_is_back() {
    let gateway = ran().await;
    let (_, hello) = gateway.admit(&Device::new(1).asks(READ)).await;
    let token = text(&hello["auth"]["deviceToken"]).to_owned();
    assert_eq!(conditions(&gateway.records()), []);
    let kept: Vec<_> = PLACES.map(|place| std::fs::read(path(&gateway.state, place)).unwrap_or_default()).into();
    for place in PLACES {
        delete(&gateway.state, place);
    }
    until(&gateway, |records| PLACES.iter().all(|place| conditions(records).contains(&(*place, true)))).await;
    for (place, said) in [
        (
            Condition::Identity,
            "identity/device.json is gone; with another one, the command line of this host is a new device and has to be \
             approved, or given the place of the one before: openclaw recover",
        ),
        (
            Condition::Devices,
            "devices/ is gone; it only holds copies, which are written again; who is paired stands in the journal: openclaw \
             devices list",
        ),
        (
            Condition::Key,
            "pairing/token.key is gone; the gateway goes on with the key that it read; tokens that devices have stay good; one that \
             cannot be used is replaced while the gateway is stopped (openclaw recover --new-key), a start with the old file back uses \
             it, and one without any makes a new one: openclaw gateway run",
        ),
        (
            Condition::Configuration,
            "openclaw.json is gone; the gateway goes on with what it read; put the old one back and start again, or give every \
             client the new shared secret: openclaw gateway run",
        ),
    ] {
        assert_eq!(sentence(&gateway.records(), place), said);
        assert!(gateway.log().await.contains(&("ConditionFound".to_owned(), said.to_owned())));
    }
    // The key in memory still makes tokens, and the secret that was read still lets in.
    let (_, hello) = gateway.admit(&Device::new(2).asks(READ)).await;
    assert!(hello["auth"]["deviceToken"].is_string());
    gateway.admit(&Device::new(1).returns(&token, READ)).await;

    for (place, bytes) in PLACES.iter().zip(&kept).filter(|(place, _)| **place != Condition::Devices) {
        std::fs::write(path(&gateway.state, *place), bytes).expect("put back");
    }
    until(&gateway, |records| PLACES.iter().all(|place| conditions(records).contains(&(*place, false)))).await;
    let copy = std::fs::read_to_string(gateway.state.devices().join("paired.json")).expect("written again by itself");
    assert!(copy.contains(&Device::new(1).id()));
    let records = gateway.stop().await.records();
    assert_eq!(conditions(&records).len(), 2 * PLACES.len(), "each once: {:?}", conditions(&records));
    assert_eq!(in_force(&records), []);
}

#[tokio::test]
async fn t08_each_file_deleted_while_stopped_is_found_by_the_next_start() {
    for place in PLACES {
        let gateway = ran().await;
        let (_, hello) = gateway.admit(&Device::new(1).asks(READ)).await;
        let token = text(&hello["auth"]["deviceToken"]).to_owned();
        let stopped = gateway.stop().await;
        let identity = OwnDevice::load(&stopped.state).expect("readable").expect("a key").id();
        assert_eq!(conditions(&stopped.records()), [], "{place}");
        delete(&stopped.state, place);
        let gateway = stopped.start().await;
        let records = gateway.records();
        assert_eq!(conditions(&records), [(place, true)]);
        let wanted = match place {
            Condition::Identity => format!("identity/device.json is gone; it was device {identity}; "),
            Condition::Devices => "devices/ was gone at the start; ".to_owned(),
            Condition::Key => "pairing/token.key was gone at the start, so a new one was made; ".to_owned(),
            _ => "openclaw.json was gone at the start; ".to_owned(),
        };
        let said = sentence(&records, place);
        assert!(said.starts_with(&wanted) && said.contains(": openclaw "), "{said}");
        // Whoever has its token still gets in, with another key and another shared secret too.
        gateway.admit(&Device::new(1).returns(&token, READ)).await;
        if place == Condition::Devices {
            until(&gateway, |records| in_force(records).is_empty()).await;
            assert!(gateway.state.devices().join("paired.json").exists());
        }
        // What a start made anew is no longer news at the next one; what is still gone still is.
        let records = gateway.stop().await.start().await.stop().await.records();
        let still = if place == Condition::Identity { vec![Condition::Identity] } else { vec![] };
        assert_eq!(in_force(&records).into_iter().map(|(condition, _)| condition).collect::<Vec<_>>(), still);
    }
}

#[tokio::test]
async fn t08_another_identity_and_a_key_that_cannot_be_used_are_found_by_the_next_start() {
    let stopped = ran().await.stop().await;
    let was = OwnDevice::load(&stopped.state).expect("readable").expect("a key").id();
    delete(&stopped.state, Condition::Identity);
    stopped.host.fill(&mut [0; 7]);
    OwnDevice::load_or_new(&stopped.state, &*stopped.host).expect("another key");
    let key = std::fs::read(stopped.state.token_key()).expect("a key");
    std::fs::write(stopped.state.token_key(), "short").expect("damaged");
    let stopped = stopped.start().await.stop().await;
    let found = [
        (Condition::Identity, format!("is another device than before; it was {was}")),
        (Condition::Key, "cannot be used".to_owned()),
    ];
    assert_eq!(in_force(&stopped.records()), found);
    std::fs::write(stopped.state.token_key(), key).expect("mended");
    assert_eq!(in_force(&stopped.start().await.stop().await.records()), []);
}

#[tokio::test]
async fn t08_what_was_never_there_is_not_missing() {
    let scratch = tempfile::tempdir().expect("a scratch directory");
    let stopped = Stopped::at(&scratch.path().join("state"), json!({}));
    delete(&stopped.state, Condition::Configuration);
    let flags = || Flags { auth: Some("none".to_owned()), port: Some(0), ..Flags::default() };
    let stopped = stopped.start_with(&flags()).await.stop().await.start_with(&flags()).await.stop().await;
    assert!(!stopped.state.config().exists() && !stopped.state.identity().exists());
    assert_eq!(conditions(&stopped.records()), []);
}

#[tokio::test]
async fn t08_a_configuration_that_is_not_made_anew_stays_missing_until_it_is_back() {
    let scratch = tempfile::tempdir().expect("a scratch directory");
    let stopped = Stopped::at(&scratch.path().join("state"), json!({}));
    let flags = || Flags { auth: Some("none".to_owned()), port: Some(0), ..Flags::default() };
    let mut stopped = stopped.start_with(&flags()).await.stop().await;
    delete(&stopped.state, Condition::Configuration);
    for _ in 0..2 {
        stopped = stopped.start_with(&flags()).await.stop().await;
        assert_eq!(in_force(&stopped.records()), [(Condition::Configuration, "was gone at the start".to_owned())]);
    }
    std::fs::write(stopped.state.config(), "{}").expect("put back");
    assert_eq!(in_force(&stopped.start_with(&flags()).await.stop().await.records()), []);
}
