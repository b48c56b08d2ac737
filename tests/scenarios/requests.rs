//! Requests: made once, kept, superseded, expired, answered.

use openclaw_pairing::pairing::{Actor, Event};
use serde_json::json;

use crate::client::{Device, READ, text};
use crate::world::{MINUTE, World, by_device, is, needs_a_person};

const READ_WRITE: &[&str] = &["operator.read", "operator.write"];

#[tokio::test]
async fn s02_a_device_that_retries_keeps_one_request_and_the_storm_stays_small() {
    let world = World::earlier(19 * MINUTE).await;
    let (admin, mut watching) = world.admin(9).await;
    watching.events.clear();
    let pocket = world.pocket(&admin);
    let device = Device::new(1);
    let (size, records) = (written(&world), world.gateway.records().len());
    let mut first: Option<String> = None;
    let mut hints = vec![];
    for attempt in 0..240 {
        if attempt == 19 * 12 {
            let copied = first.clone().expect("an id");
            let said = world.run(&pocket, &["devices", "approve", &copied]).await.done();
            assert!(said.out.contains(&copied), "{said:?}");
        }
        if attempt < 19 * 12 {
            let refused = world.gateway.refuse(&device.afar(READ)).await;
            let request = needs_a_person(&refused, "not-paired");
            assert_eq!(*first.get_or_insert(request.clone()), request, "attempt {attempt}");
            hints.push(refused.error["retryAfterMs"].as_u64().expect("a hint"));
            let status = world.gateway.owner("status", json!({})).await.expect("a status");
            assert_eq!(status["devices"]["pending"], 1);
        } else {
            let (_, hello) = world.gateway.admit(&device.afar(READ)).await;
            assert_eq!(hello["auth"]["scopes"], json!(READ));
        }
        if attempt == 6 {
            let list = world.list().await;
            assert_eq!(list["pending"][0]["requestId"], json!(first));
        }
        world.wait(5_000);
    }
    assert!(hints[..10].is_sorted() && hints[0] < hints[9], "{hints:?}");
    assert!(written(&world) - size < 64 * 1024, "{} bytes", written(&world) - size);
    let records = world.gateway.records().split_off(records);
    let count = |name| records.iter().filter(|record| record.event.name() == name).count();
    assert_eq!((count("PairingRequested"), count("PairingExpired")), (1, 0));
    let folded = records.iter().filter_map(|record| match &record.event {
        Event::AttemptsSuppressed(event) => Some((event.count, event.request)),
        _ => None,
    });
    let folded: Vec<_> = folded.collect();
    assert!(folded.iter().all(|(_, request)| request.map(|id| id.to_string()) == first), "{folded:?}");
    let suppressed: u64 = folded.iter().map(|(count, _)| count).sum();
    assert!(suppressed > 0 && count("ConnectionRefused") + usize::try_from(suppressed).expect("few") == hints.len());
    watching.get("health", json!({})).await;
    let pushed = watching.events.iter().map(|frame| text(&frame["event"]));
    let pushed: Vec<_> = pushed.filter(|event| event.starts_with("device.pair.")).collect();
    assert_eq!(pushed, ["device.pair.requested", "device.pair.resolved"]);
}

/// Bytes of the journal but for the zeros ahead.
fn written(world: &World) -> usize {
    let files = std::fs::read_dir(world.gateway.state.journal()).expect("a journal").map(|entry| entry.expect("a file").path());
    let segments = files.filter(|path| path.extension().is_some_and(|extension| extension == "segment"));
    let used = |bytes: Vec<u8>| bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    segments.map(|path| used(std::fs::read(path).expect("a segment"))).sum()
}

#[tokio::test]
async fn s03_a_changed_ask_names_its_successor() {
    let world = World::new().await;
    let (admin, _) = world.admin(9).await;
    let (pocket, device) = (world.pocket(&admin), Device::new(1));
    let before = world.gateway.records().len();
    let first = world.gateway.request(&device.afar(READ)).await;
    let second = world.gateway.request(&device.afar(READ_WRITE)).await;
    assert_ne!(first, second);
    let list = world.list().await;
    assert_eq!(list["pending"].as_array().map(Vec::len), Some(1));
    assert_eq!((&list["pending"][0]["requestId"], &list["pending"][0]["supersedes"]), (&json!(second), &json!(first)));

    let digest = world.digest().await;
    let said = world.run(&pocket, &["devices", "approve", &first]).await;
    said.refused(&[&second, "+operator.write"], &["unknown requestId", "profile", "state dir"]);
    assert_eq!(world.digest().await, digest, "nothing changed");
    assert_eq!(world.list().await["pending"][0]["requestId"], json!(second));
    world.run(&pocket, &["devices", "approve", &second]).await.done();
    let list = world.list().await;
    let paired = list["paired"].as_array().expect("a list").iter().find(|entry| entry["deviceId"] == json!(device.id()));
    assert_eq!(paired.expect("paired")["scopes"], json!(READ_WRITE));

    let records = world.gateway.records().split_off(before);
    let requested: Vec<_> = records.iter().filter_map(is!(PairingRequested)).map(|(_, event)| event).collect();
    let ids: Vec<_> = requested.iter().map(|event| event.request.to_string()).collect();
    assert_eq!(ids, [first.clone(), second.clone()]);
    assert_eq!(requested.iter().map(|event| event.supersedes).collect::<Vec<_>>(), [None, Some(requested[0].request)]);
    let approved: Vec<_> = records.iter().filter_map(is!(PairingApproved)).collect();
    assert_eq!(approved.len(), 1);
    assert!(by_device(&approved[0].0, &admin));
    assert_eq!(approved[0].1.request.map(|id| id.to_string()), Some(second));
}

#[tokio::test]
async fn s04_expired_is_not_unknown() {
    let world = World::earlier(6 * MINUTE).await;
    let (admin, _) = world.admin(9).await;
    let (pocket, device) = (world.pocket(&admin), Device::new(1));
    let asked = world.now();
    let first = world.gateway.request(&device.afar(READ)).await;
    world.wait(6 * MINUTE);
    let ended = openclaw_pairing::views::time_text(asked.plus(5 * MINUTE));
    let late = world.run(&pocket, &["devices", "approve", &first]).await;
    let late = late.refused(&[&first, "expired", &ended, &device.id(), "must reconnect to ask again"], &["unknown"]);
    let nonsense = world.run(&pocket, &["devices", "approve", "00000000-0000-4000-8000-000000000000"]).await;
    let nonsense = nonsense.refused(&["unknown requestId"], &["expired"]);
    assert_ne!(late.err, nonsense.err);
    assert_eq!(world.list().await["pending"], json!([]));
    let expired = world.on_record(is!(PairingExpired));
    assert_eq!(expired.len(), 1);
    assert_eq!((&expired[0].0, expired[0].1.request.to_string()), (&Actor::System, first.clone()));
    let why = world.owner(&["devices", "why", &device.id()]).await.done().out;
    let began = openclaw_pairing::views::time_text(asked);
    assert!(why.contains("expired unanswered") && why.contains(&began) && why.contains(&ended), "{why}");
    let second = world.gateway.request(&device.afar(READ)).await;
    assert_ne!(second, first);
    let again = world.run(&pocket, &["devices", "approve", &first]).await;
    again.refused(&["expired"], &[]);
}
