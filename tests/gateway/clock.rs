//! Clocks that jump: the host's, which must neither turn time back nor bring anything back to life, and a client's, which has to
//! be told how far it is off.

use openclaw_pairing::host::Host as _;
use openclaw_pairing::limits;
use openclaw_pairing::pairing::{Condition, Event, Millis, Record};
use serde_json::{Value, json};

use super::client::{Device, READ, text};
use super::conditions::{conditions, sentence, until};
use super::running::Running;

const HOUR: u64 = 3_600_000;
const YEAR: u64 = 365 * 24 * HOUR;
/// The default policy's.
const TTL: u64 = 300_000;
const LAST_OF_9999: Millis = Millis(253_402_300_799_999);

async fn approve(gateway: &Running, request: &str) -> Result<Value, Value> {
    gateway.owner("device.pair.approve", json!({ "requestId": request })).await
}

async fn assert_expired(gateway: &Running, request: &str) {
    let refused = approve(gateway, request).await.expect_err("expired");
    assert!(text(&refused["message"]).contains(" expired at "), "{refused}");
}

fn expiries(records: &[Record]) -> usize {
    records.iter().filter(|record| matches!(record.event, Event::PairingExpired(_))).count()
}

fn assert_never_back(records: &[Record]) {
    assert!(records.is_sorted_by_key(|record| (record.at, record.seq)), "{records:?}");
}

#[tokio::test]
async fn t01_a_clock_that_goes_back_turns_no_time_back_brings_nothing_back_and_is_recorded() {
    for back in [HOUR, u64::MAX] {
        let gateway = Running::start().await;
        let started = gateway.host.wall();
        let request = gateway.request(&Device::new(1).asks(READ).remote()).await;
        gateway.host.advance(TTL + 1);
        assert_expired(&gateway, &request).await;
        gateway.host.set_wall(Millis(gateway.host.wall().0.saturating_sub(back)));
        assert_expired(&gateway, &request).await;
        // A client with the same clock gets in, whatever it shows.
        gateway.admit(&Device::new(2).asks(READ)).await;
        let records = gateway.records();
        assert_never_back(&records);
        assert_eq!(conditions(&records), [(Condition::Clock, true)], "once");
        let said = sentence(&records, Condition::Clock);
        assert!(said.starts_with("the wall clock went back by ") && said.ends_with("set the clock right: timedatectl"), "{said}");
        // While it is behind, a deadline passes all the same.
        let request = gateway.request(&Device::new(3).asks(READ).remote()).await;
        gateway.host.advance(TTL + 1);
        assert_expired(&gateway, &request).await;
        gateway.host.set_wall(started.plus(HOUR));
        gateway.admit(&Device::new(2).asks(READ)).await;
        let records = gateway.stop().await.records();
        assert_never_back(&records);
        assert_eq!(conditions(&records), [(Condition::Clock, true), (Condition::Clock, false)]);
        assert_eq!(records.last().map(|record| record.at), Some(started.plus(HOUR)));
    }
}

#[tokio::test]
async fn t01_a_start_with_a_clock_behind_the_last_record_goes_on_behind_it() {
    let stopped = Running::start().await.stop().await;
    stopped.host.set_wall(Millis(0));
    let gateway = stopped.start().await;
    gateway.admit(&Device::new(1).asks(READ)).await;
    let records = gateway.stop().await.records();
    assert_never_back(&records);
    assert_eq!(conditions(&records), [(Condition::Clock, true)]);
}

/// What NTP does every day is nobody's business.
#[tokio::test]
async fn t01_a_small_step_back_is_not_worth_a_record() {
    let gateway = Running::start().await;
    gateway.host.set_wall(Millis(gateway.host.wall().0 - limits::CLOCK_BEHIND_MS));
    gateway.admit(&Device::new(1).asks(READ)).await;
    let records = gateway.stop().await.records();
    assert_never_back(&records);
    assert_eq!(conditions(&records), []);
}

#[tokio::test]
async fn t02_a_leap_of_ten_years_and_back_expires_each_request_once_and_deadlines_go_on() {
    let gateway = Running::start().await;
    let before = gateway.host.wall();
    let request = gateway.request(&Device::new(1).asks(READ).remote()).await;
    gateway.host.set_wall(before.plus(10 * YEAR));
    until(&gateway, |records| expiries(records) == 1).await;
    gateway.host.set_wall(before);
    assert_expired(&gateway, &request).await;
    // What was approved is still approved, and a new request has all of its time and no more.
    let request = gateway.request(&Device::new(1).asks(READ).remote()).await;
    gateway.host.advance(TTL - 1);
    let other = gateway.request(&Device::new(2).asks(READ).remote()).await;
    approve(&gateway, &other).await.expect("in time");
    gateway.host.advance(2);
    assert_expired(&gateway, &request).await;
    let records = gateway.stop().await.records();
    assert_never_back(&records);
    assert_eq!(expiries(&records), 2, "each once");
}

#[tokio::test]
async fn t02_the_year_9999_and_the_end_of_time_stop_nothing() {
    let mut stopped = Running::start().await.stop().await;
    for end in [LAST_OF_9999, Millis(u64::MAX - 1), Millis(u64::MAX)] {
        stopped.host.set_wall(end);
        let gateway = stopped.start().await;
        let request = gateway.request(&Device::new(1).asks(READ).remote()).await;
        // At the end of time a request is over as soon as it is made, and that is the worst of it.
        let rejected = gateway.owner("device.pair.reject", json!({ "requestId": request })).await;
        assert!(rejected.is_ok() || end > LAST_OF_9999, "{rejected:?}");
        gateway.admit(&Device::new(2).asks(READ)).await;
        gateway.host.advance(HOUR);
        gateway.admit(&Device::new(2).asks(READ)).await;
        assert!(gateway.log().await.iter().all(|(_, said)| !said.is_empty()));
        gateway.owner("device.pair.list", json!({})).await.expect("a list");
        stopped = gateway.stop().await;
        assert_never_back(&stopped.records());
    }
    // And back to the present.
    stopped.host.set_wall(Millis(1_800_000_000_000));
    let gateway = stopped.start().await;
    gateway.admit(&Device::new(2).asks(READ)).await;
    assert_never_back(&gateway.stop().await.records());
}

#[tokio::test]
async fn t03_a_client_whose_clock_is_wrong_is_told_both_times_and_how_far_they_may_differ() {
    let gateway = Running::start().await;
    assert_eq!(gateway.host.wall(), Millis(1_800_000_000_000));
    for (ahead, says) in [(-HOUR.cast_signed(), "2027-01-15T07:00:00.000Z"), (HOUR.cast_signed(), "2027-01-15T09:00:00.000Z")] {
        let refused = gateway.refuse(&Device::new(1).asks(READ).clock_ahead_ms(ahead)).await;
        // What OpenClaw's clients read is as it was.
        assert_eq!(refused.error["message"], "device signature expired");
        assert_eq!(refused.error["details"]["code"], "DEVICE_AUTH_SIGNATURE_EXPIRED");
        assert_eq!(refused.error["details"]["reason"], "device-signature-stale");
        assert_eq!(refused.close, (1008, "device signature expired".to_owned()));
        let clocks = format!(
            "the client signed at {says} and the gateway's clock says 2027-01-15T08:00:00.000Z; they may differ by 120000 ms"
        );
        assert_eq!(refused.error["details"]["clocks"], clocks);
    }
    let skew = i64::try_from(limits::SIGNED_AT_SKEW_MS).expect("small");
    for ahead in [-skew, skew] {
        gateway.admit(&Device::new(1).asks(READ).clock_ahead_ms(ahead)).await;
    }
    for impossible in [json!(-1), json!(1.5), json!(1e300), json!("now")] {
        let ask = Device::new(1).asks(READ).edit(move |params| params["device"]["signedAt"] = impossible.clone());
        let refused = gateway.refuse(&ask).await;
        assert!(text(&refused.error["message"]).starts_with("invalid connect params"), "{refused:?}");
    }
}
