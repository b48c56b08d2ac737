//! The past, read from a journal on a disk: whatever moment is named, it is what was true then.

use openclaw_pairing::authority::{LAYOUT, Past, PastError, past, verify};
use openclaw_pairing::journal::{Journal, Lock, Options, Verdict, codec};
use openclaw_pairing::pairing::{Actor, Millis, Moment, Record, Registry, Seq};
use proptest::prelude::any;
use proptest::sample::Index;

use crate::support::given::{JOURNAL, World};
use crate::{fold, hold, stories};

/// In memory where that can be.
pub(crate) fn scratch() -> tempfile::TempDir {
    let memory = std::path::Path::new("/dev/shm");
    let dir = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
    dir.expect("a scratch directory")
}

/// A journal of these records in a directory, in batches of so many, with a checkpoint behind one of them.
fn journal(records: &[Record], batch: usize, checkpoint: Option<usize>) -> tempfile::TempDir {
    let dir = scratch();
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
    let world = World::new();
    let dir = journal(&world.records, 1, Some(0));
    let at = |moment| past(dir.path(), [moment], &mut |_| {}).map(|([state], _)| state.head());
    assert!(matches!(at(Moment::Seq(Seq(2))), Err(PastError::Ahead { asked: Seq(2), head: Seq(1) })));
    let begins = world.records[0].at;
    assert!(matches!(at(Moment::Time(Millis(begins.0 - 1))), Err(PastError::Early { begins: first }) if first == begins));
    assert_eq!(at(Moment::Time(begins)).expect("a state"), Seq(1));
    assert_eq!(at(Moment::Time(Millis(u64::MAX))).expect("the present"), Seq(1));
    assert_eq!(at(Moment::Seq(Seq(0))).expect("nothing yet"), Seq(0));
}

#[test]
fn of_what_is_kept_elsewhere_only_what_a_saved_state_holds_is_told() {
    let mut world = World::new();
    for n in 1..9 {
        world.pair(n, "read write");
        world.wait(60);
    }
    let scratch = scratch();
    let (dir, archive) = (scratch.path().join("journal"), scratch.path().join("archive"));
    let lock = Lock::acquire(&dir).expect("a free lock");
    let mut journal = Journal::create(lock, JOURNAL).expect("a new journal").with(Options::without_room(700));
    let (mut registry, mut all) = (Registry::default(), vec![]);
    let mut append = |journal: &mut Journal, event: Record| {
        let record = Record { seq: journal.head().seq.next(), ..event };
        journal.append(journal.head(), std::slice::from_ref(&record)).expect("a record");
        registry.apply(&record);
        journal.save(LAYOUT, registry.digest(), codec::encode_image(&registry).expect("small")).expect("saved");
        all.push(record);
    };
    for record in &world.records {
        append(&mut journal, record.clone());
        if let Some(seal) = journal.seal() {
            append(&mut journal, Record { actor: Actor::System, event: seal.into(), ..record.clone() });
        }
    }
    let last = world.records.last().expect("a record").clone();
    let archived = journal.archivable(last.at.plus(1), archive.to_str().expect("a path")).expect("readable").expect("some");
    let through = archived.through;
    append(&mut journal, Record { actor: Actor::System, event: archived.into(), ..last });
    journal.archive(&archive).expect("moved");
    drop(journal);

    let at = |seq: Seq| past(&dir, [Moment::Seq(seq)], &mut |_| {}).map(|([state], _)| state.digest());
    let head = all.last().expect("a record").seq;
    assert_eq!(at(head).expect("the present"), fold(&all).digest());
    assert!(matches!(at(Seq(3)), Err(PastError::Archived { begins }) if begins == through.next()));
    let whole = Past::whole(&dir).expect("what is left");
    let (mut left, begun) = (whole.registry().clone(), whole.registry().head());
    assert!(begun > Seq(0) && begun < head);
    whole.read(&mut |_| {}, &mut |record| left.apply(record)).expect("read");
    assert_eq!(left.digest(), fold(&all).digest());
    let (verdict, differs) = verify(&dir, &mut |_, _| {}).expect("a verdict");
    assert!(matches!(verdict, Verdict::Sound(extent) if extent.begins == through.next()));
    assert_eq!(differs, None, "what was saved is what all of the records lead to, wherever they are");
}
