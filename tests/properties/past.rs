//! The past, read from a journal on a disk: whatever moment is named, it is what was true then.

use openclaw_pairing::authority::{LAYOUT, PastError, past};
use openclaw_pairing::journal::{Journal, Lock, Options, codec};
use openclaw_pairing::pairing::{Millis, Moment, Record, Registry, Seq};
use proptest::prelude::any;
use proptest::sample::Index;

use crate::support::given::JOURNAL;
use crate::{fold, hold, stories};

/// A journal of these records in a directory, in batches of so many, with a checkpoint behind one of them.
fn journal(records: &[Record], batch: usize, checkpoint: Option<usize>) -> tempfile::TempDir {
    let memory = std::path::Path::new("/dev/shm");
    let dir = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
    let dir = dir.expect("a scratch directory");
    let lock = Lock::acquire(dir.path()).expect("a free lock");
    let mut journal = Journal::create(lock, JOURNAL).expect("a new journal").with(Options::without_room(u64::MAX));
    let mut registry = Registry::default();
    for (place, batch) in records.chunks(batch).enumerate() {
        journal.append(journal.head(), batch).expect("a batch");
        batch.iter().for_each(|record| registry.apply(record));
        if checkpoint == Some(place) {
            journal.save(LAYOUT, registry.digest(), codec::encode_image(&registry).expect("small")).expect("saved");
        }
    }
    dir
}

#[test]
fn at_n_equals_the_state_that_was_live_at_n() {
    hold(&(stories(), any::<[Index; 3]>(), any::<bool>()), |(story, [point, other, saved], is_saved)| {
        let records = story.play().world.records;
        let batches = records.len().div_ceil(3);
        let dir = journal(&records, 3, is_saved.then(|| saved.index(batches)));
        let (n, m) = (point.index(records.len() + 1), other.index(records.len()));
        let at = records[m].at;
        let then: Vec<_> = records.iter().filter(|record| record.at <= at).collect();
        let moments = [Moment::Seq(Seq(u64::try_from(n).expect("few"))), Moment::Time(at)];
        let ([by_seq, by_time], mut reader) = past(dir.path(), moments, &mut |_| {}).expect("the past");
        assert_eq!(by_seq.digest(), fold(&records[..n]).digest(), "at seq {n}");
        assert_eq!(by_time.digest(), fold(then).digest(), "at {at:?}");
        assert_eq!(reader.read(Seq(1), records.len() + 1).expect("records"), records);
    });
}

#[test]
fn a_moment_that_never_was_has_no_state() {
    let world = crate::World::new();
    let dir = journal(&world.records, 1, Some(0));
    let at = |moment| past(dir.path(), [moment], &mut |_| {}).map(|([state], _)| state.head());
    assert!(matches!(at(Moment::Seq(Seq(2))), Err(PastError::Ahead { asked: Seq(2), head: Seq(1) })));
    let begins = world.records[0].at;
    assert!(matches!(at(Moment::Time(Millis(begins.0 - 1))), Err(PastError::Early { begins: first }) if first == begins));
    assert_eq!(at(Moment::Time(begins)).expect("a state"), Seq(1));
    assert_eq!(at(Moment::Time(Millis(u64::MAX))).expect("the present"), Seq(1));
    assert_eq!(at(Moment::Seq(Seq(0))).expect("nothing yet"), Seq(0));
}
