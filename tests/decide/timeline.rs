//! How many came over time: every one counted, once, whatever the clock did.

use openclaw_pairing::views::{Bar, Timeline};

use super::*;

#[path = "../support/journal.rs"]
#[allow(dead_code, reason = "shared with the tests of the journal, which use the rest")]
mod journal;

/// The record of this kind, at another time.
fn at(ms: u64, name: &str) -> Record {
    let record = journal::every_kind().into_iter().find(|record| record.event.name() == name).expect("a kind that there is");
    Record { at: Millis(ms), ..record }
}

/// So many that were answered with this number and only counted, written down a minute after the last of them.
fn counted(last: u64, refusal: u8, count: u64) -> Record {
    let mut record = at(last + 60_000, "AttemptsSuppressed");
    let Event::AttemptsSuppressed(event) = &mut record.event else { panic!("it is one") };
    (event.last, event.refusal, event.count) = (Millis(last), refusal, count);
    record
}

fn told(since: Option<u64>, until: Option<u64>, now: u64, bars: usize, records: &[Record]) -> Timeline {
    let mut timeline = Timeline::new(since.map(Millis), until.map(Millis), Millis(now), bars);
    records.iter().for_each(|record| timeline.hear(record));
    timeline
}

fn sum(timeline: &Timeline) -> [u64; 3] {
    timeline.bars().fold([0; 3], |[a, b, c], (_, bar)| [a + bar.admitted, b + bar.pairing, c + bar.refused])
}

/// Some of each, at times that stand at many edges.
fn crowd() -> Vec<Record> {
    let record = |n: u64| {
        let ms = 1_000 + n * n % 97 * 10;
        match n % 5 {
            0 | 1 => at(ms, "ConnectionAdmitted"),
            2 => at(ms, "ConnectionRefused"),
            3 => at(ms, "CommandRefused"),
            _ => counted(ms, if n.is_multiple_of(2) { 20 } else { 4 }, n),
        }
    };
    (0..200).map(record).collect()
}

/// What each came to, and when.
fn came(record: &Record) -> (u64, [u64; 3]) {
    match &record.event {
        Event::ConnectionAdmitted(_) => (record.at.0, [1, 0, 0]),
        Event::ConnectionRefused(_) => (record.at.0, [0, 1, 0]),
        Event::CommandRefused(_) => (record.at.0, [0, 0, 1]),
        Event::AttemptsSuppressed(event) if event.refusal == 20 => (event.last.0, [0, event.count, 0]),
        Event::AttemptsSuppressed(event) => (event.last.0, [0, 0, event.count]),
        _ => panic!("nobody came"),
    }
}

fn between(records: &[Record], first: u64, last: u64) -> [u64; 3] {
    let within = records.iter().map(came).filter(|(ms, _)| (first..=last).contains(ms));
    within.fold([0; 3], |[a, b, c], (_, [d, e, f])| [a + d, b + e, c + f])
}

#[test]
fn bars_of_one_length_add_up_to_what_came_in_the_range_with_both_its_ends() {
    let records = crowd();
    for (since, until) in [(1_000, 1_960), (1_010, 1_950), (1_500, 1_500), (0, 900), (1_500, 1_000_000), (0, u64::MAX - 1)] {
        for most in [1, 2, 7, 96, 480] {
            let timeline = told(Some(since), Some(until), 5, most, &records);
            let (bars, length) = (timeline.bars().collect::<Vec<_>>(), timeline.bar_ms());
            assert!((1..=most).contains(&bars.len()), "{} of {most}", bars.len());
            assert_eq!((timeline.since(), timeline.until(), bars[0].0), (Millis(since), Millis(until), Millis(since)));
            assert!(bars.last().is_some_and(|(from, _)| from.0 <= until && until - from.0 < length), "they end where it does");
            for (n, (from, bar)) in (0..).zip(&bars) {
                assert_eq!(from.0, since + n * length);
                let came = between(&records, from.0, until.min(from.0.saturating_add(length - 1)));
                assert_eq!([bar.admitted, bar.pairing, bar.refused], came, "{since} to {until} in {most}, bar {n}");
            }
            assert_eq!(sum(&timeline), between(&records, since, until), "{since} to {until} in {most}");
        }
    }
    // Side by side, nobody is in two.
    let part = |since, until| sum(&told(Some(since), Some(until), 0, 10, &records));
    let (one, other) = (part(1_000, 1_480), part(1_481, 1_960));
    assert_eq!([0, 1, 2].map(|n| one[n] + other[n]), between(&records, 0, u64::MAX));
}

#[test]
fn without_ends_it_goes_from_the_first_attempt_to_now() {
    let records = [at(10, "GatewayStarted"), at(2_000, "ConnectionRefused"), at(2_500, "PolicyChanged"), counted(3_000, 5, 7)];
    let timeline = told(None, None, 4_000, 4, &records);
    assert_eq!((timeline.since(), timeline.until(), timeline.bar_ms()), (Millis(2_000), Millis(4_000), 501));
    let pairing: Vec<_> = timeline.bars().map(|(_, bar)| bar.pairing).collect();
    assert_eq!(pairing, [1, 7, 0, 0]);
    let first: Vec<_> = timeline.bars().map(|(_, bar)| bar.first).collect();
    assert_eq!(first, [Some(records[1].seq), Some(records[3].seq), None, None]);
    assert_eq!(timeline.marks().map(|mark| (mark.at.0, mark.event)).collect::<Vec<_>>(), [(2_500, "PolicyChanged")]);

    let nobody = told(None, None, 4_000, 4, &records[..1]);
    assert_eq!((nobody.since(), nobody.until(), nobody.bars().count()), (Millis(4_000), Millis(4_000), 0));
    let empty = told(Some(0), None, 4_000, 4, &[]);
    assert_eq!(empty.bars().map(|(_, bar)| bar).collect::<Vec<_>>(), [Bar::default(); 4]);
}

/// What lies before the first of them, or after now, stands at that end.
#[test]
fn a_clock_that_goes_back_loses_nobody() {
    let mut records = crowd();
    records.reverse();
    records.insert(1, at(u64::MAX, "ConnectionAdmitted"));
    records.insert(2, at(0, "ConnectionAdmitted"));
    let all = between(&records, 0, u64::MAX);
    for now in [0, 1, 1_500, u64::MAX] {
        for most in [1, 96] {
            assert_eq!(sum(&told(None, None, now, most, &records)), all, "at {now} in {most}");
        }
    }
    let many = [counted(1_000, 5, u64::MAX), counted(1_000, 5, 1)];
    assert_eq!(sum(&told(None, None, 2_000, 1, &many)), [0, u64::MAX, 0], "and a count that cannot be is no end");
}

#[test]
fn whether_a_person_is_needed_is_told_by_the_number_of_the_answer() {
    let mut resting = World::under("{ version: 1, restAfterRemoval: true }");
    resting.connect(&visit(2).local().asks("read"));
    resting.remove(owner(), 2);
    let rests = resting.connect(&visit(3).local().asks("read"));
    assert!(rests.need().rests.is_some());
    let asks = World::under(ASK).connect(&visit(1).asks("read"));
    let wrong = World::under(ASK).connect(&visit(1).asks("read").secret(SharedVerdict::Wrong));
    for (told, needs) in [(rests, true), (asks, true), (wrong, false)] {
        assert_eq!(Refusal::needs_person(told.refusal().number()), needs, "{:?}", told.refusal());
    }
    assert_eq!((0..=u8::MAX).filter(|number| Refusal::needs_person(*number)).count(), 2);
}

#[test]
fn marks_are_what_may_start_a_burst_and_of_many_the_newest() {
    let every: Vec<_> = journal::every_kind().into_iter().map(|record| Record { at: Millis(9), ..record }).collect();
    let timeline = told(Some(0), Some(10), 0, 1, &every);
    let names: Vec<_> = timeline.marks().map(|mark| mark.event).collect();
    assert_eq!(
        names,
        [
            "GatewayStarted",
            "ConditionFound",
            "PolicyChanged",
            "RollbackAccepted",
            "ConfigurationChanged",
            "ActUndone",
            "DeviceImported",
            "TokenKeyReplaced",
        ]
    );
    assert_eq!(told(Some(10), Some(20), 0, 1, &every).marks().count(), 0, "none of another time");

    // An import is one, however many devices come with it.
    let imports = [at(1, "DeviceImported"), at(1, "DeviceImported"), at(2, "PolicyChanged"), at(3, "DeviceImported")];
    assert_eq!(told(Some(0), Some(10), 0, 1, &imports).marks().count(), 3);

    let count = u64::try_from(limits::TIMELINE_MARKS).expect("small") + 3;
    let starts: Vec<_> = (0..count).map(|ms| at(ms, "GatewayStarted")).collect();
    let kept: Vec<_> = told(Some(0), Some(count), 0, 1, &starts).marks().map(|mark| mark.at.0).collect();
    assert_eq!(kept, (3..count).collect::<Vec<_>>());
}
