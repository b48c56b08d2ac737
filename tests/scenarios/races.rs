//! Two operators who answer the same request at once.

use std::os::unix::fs::DirBuilderExt as _;
use std::sync::{Arc, Mutex, mpsc};

use openclaw_pairing::authority::Authority;
use openclaw_pairing::host::ManualHost;
use openclaw_pairing::journal::Lock;
use openclaw_pairing::pairing::{Actor, Command, Condition, Ending, Event, Outcome, Record, Refusal, Registry, RequestId, Role};
use serde_json::json;

use crate::client::{Device, READ, text};
use crate::given::{self, owner, visit};
use crate::world::{World, is, names};

/// What ends a request.
fn ends(event: &Event, request: RequestId, waits: bool) -> bool {
    match event {
        Event::PairingApproved(event) => event.request == Some(request),
        Event::PairingRejected(event) => event.request == request,
        Event::PairingExpired(event) => event.request == request,
        Event::PairingRequested(event) => event.supersedes == Some(request),
        Event::DeviceRemoved(_) => waits,
        _ => false,
    }
}

/// Both answers in one batch of the writer, in this order; what each was told, and the records of that batch.
async fn in_one_batch(first: fn(RequestId) -> Command, second: fn(RequestId) -> Command) -> (Outcome, Outcome, Vec<Record>) {
    let scratch = tempfile::tempdir().expect("a scratch directory");
    let dir = scratch.path().join("journal");
    std::fs::DirBuilder::new().mode(0o700).create(&dir).expect("made");
    let host = Arc::new(ManualHost::new(given::START, 1));
    let (release, held) = mpsc::channel::<()>();
    let batches = Arc::new(Mutex::new(vec![]));
    let heard = Arc::clone(&batches);
    let observer = Box::new(move |records: &[Record], _: &Registry, _| {
        heard.lock().expect("no panic").push(records.to_vec());
        // Until all that belongs into the next batch waits.
        if records.iter().any(|record| matches!(record.event, Event::ConditionFound(_))) {
            let _over = held.recv();
        }
    });
    let lock = Lock::acquire(&dir).expect("free");
    let authority = Authority::open(&dir, lock, host, None, None, None, observer).expect("a journal");
    let (handle, _reader, writing) = authority.split();
    let visit = visit(1).asks("read");
    let told = handle.ask(visit.command(&handle.registry()), Actor::Peer).await.expect("recorded");
    let Outcome::Refused(refusal) = told else { panic!("{told:?}") };
    let Refusal::PairingRequired(need) = *refusal else { panic!("{refusal:?}") };
    let request = need.request;
    let hold = Command::Observe { condition: Condition::Clock, found: Some("is held".to_owned()) };
    let (_, one, other, ()) = tokio::join!(
        handle.ask(hold, Actor::System),
        handle.ask(first(request), owner()),
        handle.ask(second(request), owner()),
        async { release.send(()).expect("it waits") },
    );
    drop(handle);
    writing.join();
    let batches = batches.lock().expect("no panic");
    let batch = batches.iter().find(|batch| batch.iter().any(|record| ends(&record.event, request, true))).cloned();
    (one.expect("recorded"), other.expect("recorded"), batch.expect("an end"))
}

const APPROVE: fn(RequestId) -> Command = |request| Command::Approve { request };
const REJECT: fn(RequestId) -> Command = |request| Command::Reject { request };

#[tokio::test]
async fn s29_of_two_answers_in_one_batch_the_first_counts() {
    for (first, second, ending) in [(APPROVE, REJECT, Ending::Approved), (REJECT, APPROVE, Ending::Rejected)] {
        let (won, lost, batch) = in_one_batch(first, second).await;
        assert!(matches!(won, Outcome::Approved { before: None, .. } | Outcome::Rejected { .. }), "{won:?}");
        let Outcome::Refused(refusal) = lost else { panic!("{lost:?}") };
        let Refusal::Resolved(resolution) = *refusal else { panic!("{refusal:?}") };
        assert_eq!((resolution.ending, resolution.by), (ending, owner()));
        assert!(names(&batch).contains(&"CommandRefused"), "one batch: {:?}", names(&batch));
        let ends: Vec<_> = names(&batch).into_iter().filter(|name| name.starts_with("Pairing")).collect();
        assert_eq!(ends.len(), 1, "{ends:?}");
    }
}

/// A row of numbers that is the same each time.
struct Random(u64);

impl Random {
    fn below(&mut self, most: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % most
    }
}

#[test]
fn s29_in_a_thousand_interleavings_there_is_one_end() {
    for seed in 0..1_000 {
        let mut random = Random(seed);
        let mut world = given::World::new();
        let (a, b) = (world.pair(8, given::ALL), world.pair(9, given::ALL));
        // Half of them hold something already, so that they can be removed while their request waits.
        let was_paired = seed % 2 == 0;
        if was_paired {
            world.pair(1, "read");
        }
        let ask = visit(1).asks("read write");
        let first = world.connect(&ask).request();
        let begun = world.records.len();
        for _ in 0..6 {
            let told = match random.below(6) {
                0 => world.approve(a.clone(), first),
                1 => world.reject(b.clone(), first),
                2 => {
                    world.wait(random.below(2) * 301);
                    world.expire()
                }
                3 => world.connect(&ask),
                4 => world.remove(owner(), 1),
                _ => world.reject(a.clone(), first),
            };
            // Whoever comes late is told the truth.
            assert!(told.outcome != Outcome::Refused(Box::new(Refusal::UnknownRequest)), "seed {seed}");
        }
        world.wait(301);
        world.expire();
        let mut replayed = Registry::default();
        let (mut count, mut granted) = (0, false);
        for (place, record) in world.records.iter().enumerate() {
            let waits = replayed.request(&first).is_some();
            if place >= begun && ends(&record.event, first, waits) {
                count += 1;
                granted = matches!(record.event, Event::PairingApproved(_));
            }
            replayed.apply(record);
        }
        assert_eq!((count, replayed.request(&first).is_some()), (1, false), "seed {seed}: {:?}", names(&world.records));
        assert_eq!(replayed.digest(), world.registry.digest(), "seed {seed}");
        let held = world.registry.device(&given::device(1)).map(|device| device.held(Role::Operator));
        let has_more = held.is_some_and(|held| held.covers(Role::Operator, &given::scopes("write")));
        assert!(granted || !has_more, "seed {seed}");
    }
}

#[tokio::test]
async fn s29_both_learn_which_answer_counted_and_it_is_told_once() {
    for (method, other, word) in
        [("device.pair.approve", "device.pair.reject", "approved"), ("device.pair.reject", "device.pair.approve", "rejected")]
    {
        let world = World::new().await;
        let ((a, mut first), (b, mut second)) = (world.admin(8).await, world.admin(9).await);
        let device = Device::new(1);
        let request = world.gateway.request(&device.afar(READ)).await;
        let params = json!({ "requestId": request });
        first.get("health", json!({})).await;
        first.events.clear();
        first.get(method, params.clone()).await;
        let denied = second.denied(other, params.clone()).await;
        let told = format!("{word} at {} by device {}", openclaw_pairing::views::time_text(world.now()), a.id());
        assert!(text(&denied["message"]).contains(&told), "{denied}");
        let verb = other.rsplit('.').next().expect("a verb");
        let said = world.run(&world.pocket(&b), &["devices", verb, &request]).await;
        said.refused(&[&told], &["unknown requestId"]);
        first.get("health", json!({})).await;
        let resolved: Vec<_> = first.events.iter().filter(|frame| frame["event"] == "device.pair.resolved").collect();
        assert_eq!(resolved.len(), 1);
        let payload = &resolved[0]["payload"];
        assert_eq!((&payload["requestId"], &payload["decision"]), (&json!(request), &json!(word)));
        let ended =
            world.on_record(is!(PairingApproved)).iter().filter(|(_, event)| event.device.to_string() == device.id()).count();
        assert_eq!(ended + world.count("PairingRejected"), 1);
        let paired = world.list().await["paired"].to_string().contains(&device.id());
        assert_eq!(paired, word == "approved");
    }
}
