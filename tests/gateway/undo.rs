//! Acts undone over sockets and the owner's channel: what is told to whom, and who is cut off.

use openclaw_pairing::authority;
use openclaw_pairing::host::SystemHost;
use openclaw_pairing::journal::Lock;
use openclaw_pairing::pairing::{Done, Obstacle, Registry, Seq};
use openclaw_pairing::wire::record::record;
use serde_json::{Value, json};

use super::client::{ADMIN, Device, READ, SECRET, WRITE, text};
use super::running::Running;

/// The last record of this kind.
pub(crate) fn last(gateway: &Running, name: &str) -> u64 {
    gateway.records().iter().rfind(|record| record.event.name() == name).expect("such a record").seq.0
}

fn names(told: &Value) -> Vec<&str> {
    told["events"].as_array().expect("events").iter().map(|event| text(&event["event"])).collect()
}

#[tokio::test]
async fn a_removed_device_is_given_back_and_its_old_token_is_not() {
    let gateway = Running::start().await;
    let phone = Device::new(1);
    let (mut admin, _) = gateway.admit(&Device::new(2).asks(ADMIN)).await;
    let (_, hello) = gateway.admit(&phone.asks(WRITE)).await;
    let token = text(&hello["auth"]["deviceToken"]).to_owned();
    admin.get("device.pair.remove", json!({ "deviceId": phone.id() })).await;
    let seq = last(&gateway, "DeviceRemoved");

    let plan = admin.get("journal.undo", json!({ "seq": seq, "dryRun": true })).await;
    assert_eq!((names(&plan), &plan["dryRun"]), (vec!["ActUndone", "DeviceRestored"], &json!(true)));
    assert_eq!(plan["act"], {
        let mut act = record(&gateway.records()[usize::try_from(seq).expect("small") - 1]);
        act["message"] = plan["act"]["message"].clone();
        act
    });
    assert!(plan["events"].as_array().expect("events").iter().all(|event| event.get("seq").is_none()));
    assert!(gateway.records().iter().all(|record| record.event.name() != "ActUndone"), "nothing was changed");

    admin.events.clear();
    let done = admin.get("journal.undo", json!({ "seq": seq })).await;
    // What was told before is what was done.
    for (planned, appended) in plan["events"].as_array().expect("events").iter().zip(done["events"].as_array().expect("events")) {
        for key in ["event", "kind", "actor", "fields", "message"] {
            assert_eq!(planned[key], appended[key]);
        }
    }
    assert_eq!(done["events"][0]["seq"], last(&gateway, "ActUndone"));
    assert_eq!(admin.push("device.pair.changed").await, json!({}));
    let again = admin.denied("journal.undo", json!({ "seq": seq })).await;
    assert!(text(&again["message"]).starts_with("not possible: it was undone already, at seq "), "{again}");
    let with = |token: &str| phone.asks(READ).auth(json!({ "token": token }));
    gateway.refuse(&with(&token)).await;
    let (_, hello) = gateway.admit(&with(SECRET)).await;
    assert_ne!(text(&hello["auth"]["deviceToken"]), token);
    gateway.refuse(&with(&token)).await;
}

#[tokio::test]
async fn whoever_loses_scopes_by_an_undo_is_cut_off_and_comes_back_with_less() {
    let gateway = Running::start().await;
    let phone = Device::new(1);
    let (mut socket, _) = gateway.admit(&phone.asks(READ)).await;
    let request = gateway.request(&phone.asks(WRITE)).await;
    gateway.owner("device.pair.approve", json!({ "requestId": request })).await.expect("approved");
    let seq = last(&gateway, "PairingApproved");
    let done = gateway.owner("journal.undo", json!({ "seq": seq })).await.expect("undone");
    assert_eq!(names(&done), ["ActUndone", "GrantWithdrawn"]);
    socket.end().await;
    let (_, _) = gateway.admit(&phone.asks(READ)).await;
    gateway.request(&phone.asks(WRITE)).await;
}

/// What a caller may not read is no record to it, in the same words as one that never was.
#[tokio::test]
async fn x34_an_act_that_a_caller_may_not_read_is_none_to_it() {
    let gateway = Running::start().await;
    let (mut approver, _) = gateway.admit(&Device::new(1).asks(&["operator.pairing", "operator.read"])).await;
    gateway.admit(&Device::new(2).asks(ADMIN)).await;
    gateway.owner("device.pair.remove", json!({ "deviceId": Device::new(2).id() })).await.expect("removed");
    let seq = last(&gateway, "DeviceRemoved");
    for dry_run in [true, false] {
        let hidden = approver.denied("journal.undo", json!({ "seq": seq, "dryRun": dry_run })).await;
        let unknown = approver.denied("journal.undo", json!({ "seq": 1_000_000, "dryRun": dry_run })).await;
        assert_eq!((&hidden, &hidden["message"]), (&unknown, &json!("not possible: there is no such record")));
        approver.get("health", json!({})).await;
    }
    // What it asked for is on record, and names nobody.
    let refused = gateway.records().into_iter().rfind(|record| record.event.name() == "CommandRefused").expect("a record");
    assert_eq!(record(&refused)["fields"]["command"], "undo");
    assert_eq!(record(&refused)["fields"].get("device"), None);
    for params in [json!({}), json!({ "seq": -1 }), json!({ "seq": "1" }), json!({ "seq": 1, "dryrun": true })] {
        let wrong = approver.denied("journal.undo", params).await;
        assert!(text(&wrong["message"]).starts_with("invalid journal.undo params: "), "{wrong}");
        approver.get("health", json!({})).await;
    }
}

/// What is told of a record comes from a checkpoint before it and the records behind that, or from all of them.
#[tokio::test]
async fn what_an_act_was_is_read_off_the_journal_with_and_without_a_checkpoint() {
    let gateway = Running::start().await;
    gateway.admit(&Device::new(1).asks(READ)).await;
    let stopped = gateway.stop().await;
    let dir = stopped.state.journal();
    let lock = Lock::acquire(&dir).expect("a free lock");
    let middle = authority::checkpoint(lock, &SystemHost::new(), None).expect("a checkpoint");
    let gateway = stopped.start().await;
    gateway.owner("device.pair.remove", json!({ "deviceId": Device::new(1).id() })).await.expect("removed");
    let stopped = gateway.stop().await;
    let records = stopped.records();
    let (mut registry, mut all) = (Registry::default(), Vec::<Done>::new());
    for record in &records {
        all.iter_mut().for_each(|done| done.then(record));
        all.push(Done::new(&registry, record.clone()));
        registry.apply(record);
    }
    assert!(middle > Seq(1) && middle < registry.head());
    for done in all {
        let seq = done.record.seq;
        assert_eq!(authority::done(&dir, seq, registry.head()).expect("readable"), Some(done), "seq {seq}");
    }
    let past = |seq| authority::done(&dir, seq, registry.head()).expect("readable");
    assert_eq!((past(Seq(0)), past(registry.head().next())), (None, None));
    // What is not published yet is not looked at.
    let removed = records.iter().find(|record| record.event.name() == "DeviceRemoved").expect("a removal").seq;
    let approved = records.iter().find(|record| record.event.name() == "PairingApproved").expect("an approval").seq;
    let early = authority::done(&dir, approved, Seq(removed.0 - 1)).expect("readable").expect("an act");
    assert_eq!((early.overtaken, past(approved).expect("an act").overtaken), (None, Some(Obstacle::OvertakenBy(removed))));
}
