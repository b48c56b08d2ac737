//! The journal's bytes: what is damaged, torn, forged or half written is met here, and nothing answered is lost, nothing is
//! invented. Names that begin with an id belong to the fault matrix. Whatever is exhaustive is so on a small journal.

mod checkpoint;
mod disk;
#[path = "../support/given.rs"]
#[allow(dead_code, unreachable_pub, reason = "a part of it is used here")]
mod given;
mod rollback;
#[path = "../support/journal.rs"]
mod support;
mod witness;

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::ops::Range;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use openclaw_pairing::journal::codec::{self, PayloadError};
use openclaw_pairing::journal::format::{
    BATCH_HEADER_BYTES, BatchHeader, BatchParts, Fault, RECORD_HEADER_BYTES, SEGMENT_HEADER_BYTES, SegmentHeader, VERSION,
};
use openclaw_pairing::journal::{
    Access, Chance, Extent, Found, Head, Journal, JournalError, Lock, MemoryVolume, Newer, Options, Reader, Shown, Storage,
    Verdict, Volume, show, verify,
};
use openclaw_pairing::limits;
use openclaw_pairing::pairing::{Actor, Digest, GatewayStopped, JournalId, JournalRepaired, Millis, Record, SegmentSealed, Seq};
use support::{JOURNAL, every_kind, journal_of};

const SEGMENT: &str = "00000000000000000001.segment";
/// What the vector `torn-tail` lacks; in the middle of the last text.
const TORN_BYTES: usize = 36;
/// Bytes from which on a segment is sealed, where a test has many short ones or some longer ones.
const SHORT: u64 = 300;
const LONG: u64 = 150_000;
const SIZES: [usize; 9] = [2, 1, 3, 1, 4, 1, 2, 2, 1];
/// Bytes of a batch that is a seal.
const SEAL_BYTES: usize = 95;
const OTHER_JOURNAL: JournalId = JournalId(*b"another journal.");

// --- damage, exhaustively -----------------------------------------------------------------------------------------------

#[test]
fn j01_a_cut_at_every_length_leaves_the_whole_batches_before_it() {
    let story = Story::of(&[2, 1, 3]);
    for cut in SEGMENT_HEADER_BYTES..=story.bytes.len() {
        let whole = story.whole_batches(cut);
        let end = story.ends[whole];
        let mut opened = open(story.bytes[..cut].to_vec()).expect("a cut is a torn end");
        assert_eq!(opened.records, story.records(0..whole), "cut at {cut}");
        assert_eq!(opened.disk.bytes(SEGMENT), story.bytes[..end], "cut at {cut}");
        match opened.torn {
            None => assert_eq!(cut, end),
            Some((repaired, kept)) => {
                assert_eq!(kept, without_zeros(&story.bytes[end..cut]));
                let (after, offset, bytes) = (opened.journal.head().seq, to_u64(end), to_u64(kept.len()));
                assert_eq!(repaired, JournalRepaired { after, offset, bytes, kept: format!("{SEGMENT}.torn-{end}") });
            }
        }
        let next = stop(opened.journal.head().seq.next());
        opened.journal.append(opened.journal.head(), std::slice::from_ref(&next)).expect("a repaired journal goes on");
        let again = reopen(&opened.disk).expect("a sound journal");
        assert_eq!((again.records.last(), again.torn), (Some(&next), None));
    }
}

#[test]
fn j02_every_flipped_bit_is_found_where_it_is() {
    let story = Story::of(&[2, 1, 3, 2]);
    let scratch = Scratch::holding(&story.bytes);
    let last = story.ends[story.ends.len() - 2];
    for bit in 0..8 * story.bytes.len() {
        let byte = bit / 8;
        let mut bytes = story.bytes.clone();
        bytes[byte] ^= 1 << (bit % 8);
        scratch.set(SEGMENT, byte, bytes[byte]);
        let verdict = verify(scratch.path()).expect("a verdict");
        scratch.set(SEGMENT, byte, story.bytes[byte]);
        if byte >= last {
            let opened = open(bytes).expect("a torn end");
            assert_eq!(opened.records, story.records(0..story.batches.len() - 1), "bit {bit}");
            let Verdict::TornTail { sound, .. } = verdict else { panic!("bit {bit}: {verdict:?}") };
            assert_eq!((sound.offset, sound.head), (to_u64(last), opened.journal.head()));
            continue;
        }
        let (offset, seq) = story.place(byte);
        let found = damage(open(bytes));
        assert_eq!((found.offset, found.seq), (to_u64(offset), seq), "bit {bit}: {:?}", found.what);
        let Verdict::Corrupt { offset, seq, what, .. } = verdict else { panic!("bit {bit}: {verdict:?}") };
        assert_eq!(Damage { offset, seq, what }, found);
    }
}

#[test]
fn j03_zeros_at_the_end_are_no_record() {
    let story = Story::of(&[2, 1, 2]);
    for cut in SEGMENT_HEADER_BYTES..=story.bytes.len() {
        let whole = story.whole_batches(cut);
        for zeros in [1, 511, 512, 4096] {
            let bytes = [&story.bytes[..cut], &vec![0; zeros]].concat();
            let mut opened = open(bytes).expect("zeros are no damage");
            assert_eq!(opened.records, story.records(0..whole), "{zeros} zeros at {cut}");
            assert_eq!(opened.torn.is_none(), cut == story.ends[whole], "{zeros} zeros at {cut}");
            let next = stop(opened.journal.head().seq.next());
            opened.journal.append(opened.journal.head(), std::slice::from_ref(&next)).expect("it goes on");
            assert_eq!(reopen(&opened.disk).expect("a sound journal").records.last(), Some(&next));
        }
    }
}

#[test]
fn j04_garbage_at_the_end_is_put_aside() {
    let story = Story::of(&[2, 1]);
    for length in 1..=600 {
        let garbage = noise(length);
        let opened = open([&*story.bytes, &garbage].concat()).expect("a torn end");
        assert_eq!(opened.records, story.records(0..2));
        assert_eq!(opened.torn.expect("it is put aside").1, without_zeros(&garbage));
    }
}

#[test]
fn j04_garbage_before_a_sound_batch_is_damage() {
    let story = Story::of(&[2, 1, 2]);
    for batch in 0..3 {
        for length in [1, 7, 8, 64, 511, 512, 300_000] {
            let start = story.ends[batch];
            let bytes = [&story.bytes[..start], &noise(length), &story.bytes[start..]].concat();
            let found = damage(open(bytes));
            assert_eq!((found.offset, found.seq), (to_u64(start), story.first(batch)), "{length} bytes before batch {batch}");
        }
    }
}

#[test]
fn j05_a_damaged_length_is_never_an_end() {
    let story = Story::of(&[1, 2, 1]);
    let frame = story.ends[1]..story.ends[1] + BATCH_HEADER_BYTES + RECORD_HEADER_BYTES;
    for at in frame {
        for value in 0..=255 {
            let mut bytes = story.bytes.clone();
            if std::mem::replace(&mut bytes[at], value) == value {
                continue;
            }
            let (offset, seq) = story.place(at);
            let found = damage(open(bytes));
            assert_eq!((found.offset, found.seq), (to_u64(offset), seq), "{value} at {at}");
        }
    }
}

#[test]
fn j07_bad_record_before_a_good_batch_is_damage_and_both_sides_are_shown() {
    let story = Story::of(&[1, 3, 2]);
    let (offset, seq) = (story.record_starts(1)[1], Seq(3));
    let mut bytes = story.bytes.clone();
    bytes[offset + RECORD_HEADER_BYTES + 1] ^= 0xff;
    let scratch = Scratch::holding(&bytes);
    let error = scratch.open().err().expect("damage");
    assert_eq!(
        error.to_string(),
        format!(
            "the journal is damaged: segment {SEGMENT}, offset {offset}, seq {seq}: the checksum of the record is wrong; \
             nothing was changed: keep a copy, look at it with `openclaw journal show`, and see what can be got back: openclaw recover"
        )
    );
    assert_eq!(scratch.get(SEGMENT), bytes);
    let mut shown = vec![];
    show(scratch.path(), Seq(1), &mut |next| {
        shown.push(next);
        true
    })
    .expect("what can be read");
    let records = |batch| story.records(batch..batch + 1).into_iter().map(|record| Shown::Record(Box::new(record)));
    let damage = Shown::Damage {
        segment: SEGMENT.into(),
        offset: to_u64(offset),
        seq,
        what: Fault::RecordChecksum.to_string(),
        resumes: Some((to_u64(story.ends[2]), story.first(2))),
    };
    assert_eq!(shown, records(0).chain([damage]).chain(records(2)).collect::<Vec<_>>());
}

#[test]
fn j07_good_records_of_the_same_last_batch_prove_nothing() {
    let story = Story::of(&[1, 3]);
    let mut bytes = story.bytes.clone();
    bytes[story.record_starts(1)[0] + RECORD_HEADER_BYTES] ^= 0xff;
    assert_eq!(open(bytes).expect("a torn end").records, story.records(0..1));
}

#[test]
fn j08_a_batch_twice_or_missing_or_in_anothers_place_is_found_at_its_seq() {
    let story = Story::of(&[1; 50]);
    let batch = |i: usize| &story.bytes[story.ends[i]..story.ends[i + 1]];
    let found_in = |order: &[usize]| {
        let mut bytes = story.bytes[..SEGMENT_HEADER_BYTES].to_vec();
        order.iter().for_each(|&i| bytes.extend_from_slice(batch(i)));
        let found = damage(open(bytes));
        let Fault::BatchSeq { found: there } = found.what else { panic!("{found:?}") };
        (found.seq, there)
    };
    let order: Vec<usize> = (0..50).collect();
    for i in 0..50 {
        for j in i + 1..50 {
            let mut swapped = order.clone();
            swapped.swap(i, j);
            assert_eq!(found_in(&swapped), (story.first(i), story.first(j)));
        }
        let mut twice = order.clone();
        twice.insert(i + 1, i);
        assert_eq!(found_in(&twice), (story.first(i).next(), story.first(i)));
        // Without its last batch a journal is a shorter journal: only a head kept elsewhere can tell.
        if i < 49 {
            let mut without = order.clone();
            without.remove(i);
            assert_eq!(found_in(&without), (story.first(i), story.first(i + 1)));
        }
    }
}

#[test]
fn j08_records_in_each_others_place_within_a_batch_are_found() {
    let story = Story::of(&[1, 4, 1]);
    let starts = story.record_starts(1);
    let record = |i: usize| story.bytes[starts[i]..starts[i + 1]].to_vec();
    for i in 0..4 {
        for j in i + 1..4 {
            let mut records: Vec<_> = (0..4).map(record).collect();
            records.swap(i, j);
            let bytes = [&story.bytes[..starts[0]], &records.concat(), &story.bytes[starts[4]..]].concat();
            let found = damage(open(bytes));
            // Each record is sound by itself, so it is the batch that is not.
            assert_eq!(found, Damage { offset: to_u64(story.ends[1]), seq: story.first(1), what: Fault::BatchDigest });
        }
    }
}

#[test]
fn j09_a_batch_of_another_journal_is_never_read() {
    let story = Story::of(&[2, 1, 2]);
    let other = story.in_journal(OTHER_JOURNAL);
    for batch in 0..3 {
        let range = story.ends[batch]..story.ends[batch + 1];
        let mut bytes = story.bytes.clone();
        bytes[range.clone()].copy_from_slice(&other[range.clone()]);
        if batch == 2 {
            // At the end it cannot be told from a torn one; it is put aside like one.
            assert_eq!(open(bytes).expect("a torn end").records, story.records(0..2));
        } else {
            let found = damage(open(bytes));
            assert_eq!(found, Damage { offset: to_u64(range.start), seq: story.first(batch), what: Fault::BatchDigest });
        }
    }
    let bytes = [&story.bytes[..SEGMENT_HEADER_BYTES], &other[SEGMENT_HEADER_BYTES..]].concat();
    assert_eq!(damage(open(bytes)).seq, Seq(1));
}

// --- headers and versions -----------------------------------------------------------------------------------------------

#[test]
fn j12_a_segment_without_its_whole_header_is_damage() {
    let bytes = Story::of(&[1]).bytes;
    for cut in 0..SEGMENT_HEADER_BYTES {
        assert_eq!(damage(open(bytes[..cut].to_vec())), Damage { offset: 0, seq: Seq(1), what: Fault::HeaderShort });
    }
    let scratch = Scratch::holding(&[]);
    assert!(matches!(scratch.open(), Err(JournalError::Corrupt { what: Fault::HeaderShort, .. })));
    assert!(matches!(verify(scratch.path()), Ok(Verdict::Corrupt { what: Fault::HeaderShort, sound: None, .. })));
    assert_eq!(scratch.get(SEGMENT), b"");
}

#[test]
fn j12_a_header_that_no_writer_makes_is_damage() {
    let sound = SegmentHeader::of_new(JOURNAL).encode();
    let with = |at: usize, bytes: &[u8]| [&sound[..at], bytes, &sound[at + bytes.len()..]].concat();
    let of_length = |version: u32, length: u32| {
        let mut header = with(8, &[version.to_le_bytes(), length.to_le_bytes()].concat());
        header.resize(usize::try_from(length).expect("small"), 0);
        header
    };
    for (header, what) in [
        (with(0, b"\x89PNG\r\n"), Fault::Magic),
        (with(16, &OTHER_JOURNAL.0), Fault::ChainStart),
        (with(40, &[0]), Fault::ChainStart),
        (with(32, &[2]), Fault::HeaderSeq),
        (of_length(VERSION, 80), Fault::HeaderLength),
        (of_length(VERSION, 72), Fault::HeaderLength),
        (of_length(VERSION + 1, 4_097), Fault::HeaderLength),
    ] {
        assert_eq!(damage(open(summed(header))), Damage { offset: 0, seq: Seq(1), what });
    }
    assert!(matches!(open(summed(of_length(VERSION + 1, 4_096))), Err(JournalError::TooNew { .. })));
    assert!(matches!(open(summed(of_length(VERSION + 1, 20))), Err(JournalError::TooNew { .. })));
}

#[test]
fn j12_a_crash_while_creating_leaves_nothing_that_stands_in_the_way() {
    let header = SegmentHeader::of_new(JOURNAL).encode();
    for written in [0, 1, header.len() / 2, header.len()] {
        let scratch = Scratch::empty();
        scratch.put(&format!("{SEGMENT}.new"), &header[..written]);
        assert!(!Journal::exists(scratch.path()).expect("a readable directory"));
        let lock = Lock::acquire(scratch.path()).expect("a free lock");
        Journal::create(lock, OTHER_JOURNAL).expect("a new journal");
        let (journal, torn) = scratch.open().expect("a sound journal");
        assert_eq!((journal.id(), journal.head().seq, torn), (OTHER_JOURNAL, Seq(0), None));
    }
}

#[test]
fn j13_a_newer_version_is_refused_and_nothing_is_touched() {
    let bytes = vector("too-new");
    let scratch = Scratch::holding(&bytes);
    let modified = || fs::metadata(scratch.file(SEGMENT)).and_then(|metadata| metadata.modified()).expect("a file");
    let before = modified();
    let error = scratch.open().err().expect("too new");
    assert_eq!(
        error.to_string(),
        format!(
            "the journal was written by another version: segment {SEGMENT} has format version {}, this program reads {VERSION}; \
             open it with the version that wrote it",
            VERSION + 1
        )
    );
    assert_eq!((modified(), scratch.get(SEGMENT)), (before, bytes));
    assert_eq!(scratch.names(), BTreeSet::from([SEGMENT.into(), "lock".into()]));
}

#[test]
fn j14_a_kind_or_value_that_is_not_known_is_refused_and_not_skipped() {
    let record = &every_kind()[2];
    let payload = codec::encode(&record.actor, &record.event).expect("a small payload");
    let mut other_actor = payload.clone();
    other_actor[0] = 77;
    for (kind, payload, found) in
        [(9_999, &payload, Newer::Kind { kind: 9_999, seq: Seq(2) }), (3, &other_actor, Newer::Value { kind: 3, seq: Seq(2) })]
    {
        let mut forged = Forged::new(&[stop(Seq(1))]);
        forged.batch(&[(kind, payload)]);
        forged.batch(&[(3, &codec::encode(&record.actor, &record.event).expect("a small payload"))]);
        match open(forged.bytes) {
            Err(JournalError::TooNew { found: there, .. }) => assert_eq!(there, found),
            Err(error) => panic!("{error}"),
            Ok(_) => panic!("skipped"),
        }
    }
}

// --- bytes that a writer would not write --------------------------------------------------------------------------------

#[test]
fn j15_impossible_lengths_are_refused_before_memory_is_taken() {
    let sound = stop(Seq(2));
    let payload = codec::encode(&sound.actor, &sound.event).expect("a small payload");
    let cap = u32::try_from(limits::BATCH_BYTES).expect("small");
    let headers = [0, 1, 17, cap - 55, cap, u32::MAX].map(|body_bytes| (body_bytes, 1));
    let counts = [0, 10, limits::BATCH_RECORDS + 1, u32::MAX].map(|count| (100, count));
    for (body_bytes, count) in headers.into_iter().chain(counts) {
        let mut forged = Forged::new(&[stop(Seq(1))]);
        let start = forged.bytes.len();
        forged.bytes.extend(BatchHeader { body_bytes, count, first: Seq(2) }.encode());
        forged.bytes.extend(noise(300));
        let (result, largest_read) = open_measured(forged.bytes);
        assert_eq!(damage(result), Damage { offset: to_u64(start), seq: Seq(2), what: Fault::BatchLimits });
        assert!(largest_read <= limits::BATCH_BYTES + 64 * 1024, "{largest_read}");
    }
    let record_cap = u32::try_from(limits::RECORD_BYTES).expect("small");
    for length in [record_cap + 1, u32::MAX] {
        let mut forged = Forged::new(&[stop(Seq(1))]);
        let start = forged.bytes.len() + BATCH_HEADER_BYTES;
        forged.batch_of(&[record_frame(length, 3, &payload)], 1);
        let (result, largest_read) = open_measured(forged.bytes);
        assert_eq!(damage(result), Damage { offset: to_u64(start), seq: Seq(2), what: Fault::RecordLimits });
        assert!(largest_read <= limits::BATCH_BYTES + 64 * 1024, "{largest_read}");
    }
    let mut forged = Forged::new(&[stop(Seq(1))]);
    forged.batch(&[(3, &[])]);
    assert_eq!(damage(open(forged.bytes)).what, Fault::Payload);
}

#[test]
fn j15_impossible_counts_inside_a_payload_are_refused() {
    for record in every_kind() {
        let payload = codec::encode(&record.actor, &record.event).expect("a small payload");
        for at in 0..payload.len().saturating_sub(8) {
            for count in [u64::MAX, 1 << 32, u64::from(u32::MAX), to_u64(limits::RECORD_BYTES) + 1] {
                let mut forged = payload.clone();
                forged[at..at + 8].copy_from_slice(&count.to_le_bytes());
                // Where these bytes are no count they may well mean something; an attempt to take so much memory would abort.
                if let Ok((actor, event)) = codec::decode(record.event.kind(), &forged) {
                    assert_eq!(codec::encode(&actor, &event), Some(forged));
                }
            }
        }
    }
}

#[test]
fn j16_a_payload_has_one_spelling_and_one_length() {
    for record in every_kind() {
        let kind = record.event.kind();
        let payload = codec::encode(&record.actor, &record.event).expect("a small payload");
        assert_eq!(codec::decode(kind, &payload), Ok((record.actor, record.event)));
        for cut in 0..payload.len() {
            assert_eq!(codec::decode(kind, &payload[..cut]), Err(PayloadError::Fault(Fault::Payload)), "cut at {cut}");
        }
        for over in 0..=255 {
            let longer = [&*payload, &[over]].concat();
            assert_eq!(codec::decode(kind, &longer), Err(PayloadError::Fault(Fault::PayloadLeftOver)));
        }
        for bit in 0..8 * payload.len() {
            let mut flipped = payload.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            if let Ok((actor, event)) = codec::decode(kind, &flipped) {
                assert_eq!(codec::encode(&actor, &event), Some(flipped), "bit {bit}");
            }
        }
    }
}

#[test]
fn j16_scopes_have_one_spelling() {
    // Scopes are the last field of this kind, and these end with "no others".
    let every_kind = every_kind();
    let record = every_kind.iter().find(|record| record.event.name() == "ConnectionAdmitted").expect("one of its kind");
    let payload = codec::encode(&record.actor, &record.event).expect("a small payload");
    let (absent, start) = payload.split_last().expect("a tag");
    assert_eq!(*absent, 0);
    let with = |others: &[&str]| {
        let mut bytes = [start, &[1], &to_u64(others.len()).to_le_bytes()].concat();
        for text in others {
            bytes.extend([&to_u64(text.len()).to_le_bytes(), text.as_bytes()].concat());
        }
        codec::decode(record.event.kind(), &bytes).map(drop)
    };
    let many: Vec<String> = (0..=limits::SCOPES_HELD).map(|i| format!("x{i:04}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let spelling = Err(PayloadError::Fault(Fault::PayloadSpelling));
    assert_eq!(with(&["a", "b"]), Ok(()));
    assert_eq!(with(&[]), spelling);
    assert_eq!(with(&["b", "a"]), spelling);
    assert_eq!(with(&["a", "a"]), spelling);
    assert_eq!(with(&many[1..]), Ok(()));
    for refused in [&["operator.read"][..], &["a b"], &[""], &many] {
        assert_eq!(with(refused), Err(PayloadError::UnknownValue), "{refused:?}");
    }
}

#[test]
fn j16_left_over_bytes_of_a_batch_or_payload_are_damage() {
    let sound = stop(Seq(2));
    let payload = codec::encode(&sound.actor, &sound.event).expect("a small payload");
    let mut forged = Forged::new(&[stop(Seq(1))]);
    let body = forged.bytes.len() + BATCH_HEADER_BYTES;
    forged.batch(&[(3, &[&*payload, &[0]].concat())]);
    let found = damage(open(forged.bytes));
    assert_eq!(found, Damage { offset: to_u64(body), seq: Seq(2), what: Fault::PayloadLeftOver });

    let mut forged = Forged::new(&[stop(Seq(1))]);
    let frame = record_frame(u32::try_from(payload.len()).expect("small"), 3, &payload);
    let end = body + frame.len();
    forged.batch_of(&[frame, vec![0]], 1);
    assert_eq!(damage(open(forged.bytes)), Damage { offset: to_u64(end), seq: Seq(3), what: Fault::BatchLeftOver });
}

#[test]
fn a_time_that_goes_back_is_damage() {
    let first = Record { at: Millis(9_999), ..stop(Seq(1)) };
    let payload = codec::encode(&first.actor, &first.event).expect("a small payload");
    let mut forged = Forged::new(&[first]);
    // Its records are of an earlier time.
    forged.batch(&[(3, &payload)]);
    assert_eq!(damage(open(forged.bytes)).what, Fault::RecordTime);
}

// --- writing ------------------------------------------------------------------------------------------------------------

#[test]
fn nothing_is_written_that_does_not_follow_on_or_is_too_large() {
    let (disk, mut journal) = begin();
    let start = journal.head();
    let head = journal.append(start, &[stop(Seq(1))]).expect("the first record");
    let before = disk.bytes(SEGMENT);
    let mut refused = |expected, records: &[Record]| journal.append(expected, records).expect_err("refused");
    assert!(matches!(refused(start, &[stop(Seq(2))]), JournalError::WrongHead { expected: Seq(0), actual: Seq(1) }));
    assert!(matches!(refused(Head { seq: Seq(1), hash: start.hash }, &[stop(Seq(2))]), JournalError::WrongHead { .. }));
    for misordered in [&[stop(Seq(1))][..], &[stop(Seq(3))], &[stop(Seq(2)), stop(Seq(2))]] {
        assert!(matches!(refused(head, misordered), JournalError::Misordered { .. }));
    }
    let earlier = Record { at: Millis(0), ..stop(Seq(2)) };
    assert!(matches!(refused(head, &[earlier]), JournalError::Misordered { seq: Seq(2) }));
    let long = |cause: usize| Record { event: GatewayStopped { cause: "x".repeat(cause) }.into(), ..stop(Seq(2)) };
    let longest = limits::RECORD_BYTES - 13;
    assert!(matches!(refused(head, &[long(longest + 1)]), JournalError::TooLarge { .. }));
    let many: Vec<_> = (2..=u64::from(limits::BATCH_RECORDS) + 2).map(|seq| stop(Seq(seq))).collect();
    assert!(matches!(refused(head, &many), JournalError::TooLarge { limit: 4_096, .. }));
    assert_eq!(disk.bytes(SEGMENT), before);
    assert_eq!(journal.append(head, &[]).expect("no records, no batch"), head);
    assert_eq!(disk.bytes(SEGMENT), before);
    let head = journal.append(head, &[long(longest)]).expect("as long as may be");
    let fitting: Vec<_> = (3..u64::from(limits::BATCH_RECORDS) + 3).map(|seq| stop(Seq(seq))).collect();
    let head = journal.append(head, &fitting).expect("as many as may be");
    assert_eq!(reopen(&disk).expect("a sound journal").journal.head(), head);
}

#[test]
fn after_a_crash_at_any_write_or_sync_what_was_answered_is_there_and_nothing_else() {
    // Batches that are smaller than a sector, that end in one, and that span some.
    let sizes = [1, 7, 1, 20, 3, 30];
    let story = Story::of(&sizes);
    for failing in 1..=u64::try_from(sizes.len()).expect("small") {
        for fail in [MemoryVolume::fail_write, MemoryVolume::fail_sync] {
            let (disk, mut journal) = begin();
            fail(&disk, failing);
            let mut answered = 0;
            while journal.append(journal.head(), &story.batches[answered]).is_ok() {
                answered += 1;
            }
            assert_eq!(to_u64(answered) + 1, failing, "each batch is one write and one sync");
            poisoned(&mut journal, &disk, &story.batches[answered]);
            for image in images(&disk) {
                let mut opened = open(image).expect("a crash is no damage");
                let is_there = |batches: &usize| story.records(0..*batches) == opened.records;
                let whole = (0..=sizes.len()).find(is_there).expect("whole batches, as they were appended, and nothing else");
                assert!((answered..=answered + 1).contains(&whole), "{answered} batches were answered, {whole} are there");
                for batch in &story.batches[whole..] {
                    opened.journal.append(opened.journal.head(), batch).expect("it goes on");
                }
                assert_eq!(reopen(&opened.disk).expect("a sound journal").records, story.records(0..sizes.len()));
            }
        }
    }
}

#[test]
fn what_is_read_at_opening_is_safe_before_it_is_used() {
    // The process died between a write and its sync. What it wrote is read again, and must then be there for good, or the
    // next batch could reach the disk before it.
    let (disk, mut journal) = begin();
    let story = Story::of(&[20, 20]);
    disk.fail_sync(1);
    journal.append(journal.head(), &story.batches[0]).expect_err("a sync that fails");
    let mut opened = reopen(&disk).expect("a whole batch");
    assert_eq!(opened.records, story.batches[0]);
    assert_eq!(disk.chances(), []);
    disk.fail_sync(1);
    opened.journal.append(opened.journal.head(), &story.batches[1]).expect_err("a sync that fails");
    for image in images(&disk) {
        assert!(open(image).expect("a crash is no damage").records.starts_with(&story.batches[0]));
    }
    disk.fail_sync(1);
    assert!(matches!(reopen(&disk), Err(JournalError::Io { op: "sync", .. })));
}

#[test]
fn d04_a_full_disk_refuses_loses_nothing_and_is_left_as_soon_as_there_is_room() {
    let options = Options { segment_bytes: 4_096, step_bytes: 700, reserve_bytes: 0 };
    let batches: Vec<Vec<Record>> = (1..=30).map(|seq| vec![stop(Seq(seq))]).collect();
    for room in (SEGMENT_HEADER_BYTES..4_200).step_by(97) {
        let (disk, _) = begin();
        let mut journal = reopen(&disk).expect("a sound journal").journal.with(options);
        disk.limit(Some(room));
        let mut answered = 0;
        let refusal = loop {
            match batches.get(answered).map(|batch| journal.append(journal.head(), batch)) {
                Some(Ok(_)) => answered += 1,
                other => break other,
            }
        };
        assert!(matches!(refusal, Some(Err(JournalError::Full { .. })) | None), "room for {room}: {refusal:?}");
        assert!(disk.bytes(SEGMENT).len() <= room);
        let mut again = open(disk.bytes(SEGMENT)).expect("a sound journal");
        assert_eq!((again.records, again.torn), (batches[..answered].concat(), None));
        disk.limit(None);
        for batch in &batches[answered..] {
            journal.append(journal.head(), batch).expect("there is room again");
        }
        again = open(disk.bytes(SEGMENT)).expect("a sound journal");
        assert_eq!((again.records, again.torn), (batches.concat(), None));
    }
}

#[test]
fn d07_what_a_failed_sync_left_in_memory_is_on_the_disk_before_it_counts() {
    let story = Story::of(&[3, 20, 2]);
    for failing in 1..=3 {
        let (disk, mut journal) = begin();
        disk.fail_sync(to_u64(failing));
        let answered = story.batches.iter().take_while(|batch| journal.append(journal.head(), batch).is_ok()).count();
        assert_eq!(answered + 1, failing);
        disk.forget_unsynced();
        let opened = reopen(&disk).expect("a whole batch");
        assert_eq!(opened.records, story.records(0..failing));
        for image in images(&disk) {
            assert_eq!(open(image).expect("a sound journal").records, opened.records);
        }
    }
}

#[test]
fn zeros_are_made_ahead_so_that_an_append_changes_no_length() {
    let options = Options { segment_bytes: 4_096, step_bytes: 1_000, reserve_bytes: 0 };
    let (disk, _) = begin();
    let mut journal = reopen(&disk).expect("a sound journal").journal.with(options);
    let mut lengths = BTreeSet::new();
    for seq in 1..=43 {
        journal.append(journal.head(), &[stop(Seq(seq))]).expect("a batch");
        lengths.insert(disk.bytes(SEGMENT).len());
    }
    // Not beyond the segment's end, but where a batch goes beyond it by itself.
    let end = without_zeros(&disk.bytes(SEGMENT)).len();
    assert_eq!(lengths.into_iter().collect::<Vec<_>>(), [1_076, 2_076, 3_076, 4_076, end]);
}

#[test]
fn a_repair_that_is_cut_short_is_made_again_and_keeps_every_byte() {
    let story = Story::of(&[1, 30]);
    let torn = &story.bytes[..story.bytes.len() - 40];
    let end = story.ends[1];
    // The operations of a repair, in order: make the copy and sync its name, write and sync it, cut and sync the segment.
    for failing in 1..=6 {
        let disk = MemoryVolume::holding(SEGMENT, torn.to_vec());
        disk.fail(failing);
        reopen(&disk).err().expect("a repair that fails");
        for crashed in crashes(&disk) {
            let is_cut = crashed.bytes(SEGMENT).len() == end;
            let kept = crashed.bytes(&format!("{SEGMENT}.torn-{end}"));
            assert!(!is_cut || kept == without_zeros(&torn[end..]), "cut before it was kept");
            assert_eq!(reopen(&crashed).expect("torn still, or repaired").records, story.records(0..1));
        }
    }
}

// --- reading while somebody writes --------------------------------------------------------------------------------------

#[test]
fn j20_half_a_batch_means_wait() {
    let story = Story::of(&[2, 1, 3, 1]);
    let disk = MemoryVolume::holding(SEGMENT, story.bytes[..SEGMENT_HEADER_BYTES].to_vec());
    let mut reader = reopen(&disk).expect("a journal without records").journal.reader().expect("a reader");
    let mut followed = vec![];
    for at in SEGMENT_HEADER_BYTES..story.bytes.len() {
        write(&disk, at, &story.bytes[at..=at]);
        let whole = story.whole_batches(at + 1);
        let next = Seq(to_u64(followed.len()) + 1);
        followed.extend(reader.read(next, usize::MAX).expect("no damage"));
        assert_eq!(followed, story.records(0..whole), "{at} bytes");
        assert_eq!(reader.head().expect("no damage").seq, Seq(to_u64(followed.len())));
        assert_eq!(reader.read(Seq(2), 1).expect("no damage"), story.records(0..whole).get(1..2).unwrap_or_default());
    }
}

#[test]
fn j20_a_batch_that_was_half_there_is_looked_at_again_when_the_writer_has_gone_on() {
    let story = Story::of(&[2, 1, 3, 1]);
    let disk = MemoryVolume::holding(SEGMENT, story.bytes[..SEGMENT_HEADER_BYTES].to_vec());
    let (reads, late) = (Arc::new(AtomicUsize::new(0)), disk.clone());
    let (count, bytes) = (Arc::clone(&reads), story.bytes.clone());
    let before_read = Arc::new(move |_| {
        // The reader has met the half batch when it reads for the second time: to see whether another was begun behind it.
        if count.fetch_add(1, Ordering::Relaxed) == 1 {
            write(&late, 0, &bytes);
        }
    });
    let watched = Arc::new(Watched { inner: disk.clone(), before_read });
    let journal = open_volume(&disk, watched).expect("a journal without records").journal;
    let half = (story.ends[1] + story.ends[2]) / 2;
    let visible = [&story.bytes[..half], &vec![0; story.ends[2] - half]].concat();
    write(&disk, 0, &visible);
    reads.store(0, Ordering::Relaxed);
    let followed = journal.reader().expect("a reader").read(Seq(1), usize::MAX).expect("no damage");
    assert_eq!(followed, story.records(0..4));
}

#[test]
fn j20_readers_of_a_growing_journal_miss_nothing_and_see_nothing_twice() {
    // Written once to know what will come, then again while others read.
    let sizes: Vec<_> = (1..=2_000).map(|i| 1 + i % 9).collect();
    let batches = Scratch::empty().write_rolling(&sizes, LONG, wide);
    let all = batches.concat();
    let scratch = Scratch::empty();
    let mut journal = Journal::create(Lock::acquire(scratch.path()).expect("a free lock"), JOURNAL).expect("a new journal");
    let path = scratch.path();
    std::thread::scope(|scope| {
        let mut followers = vec![journal.reader().expect("a reader")];
        followers.extend((0..3).map(|_| Reader::open(path).expect("a journal")));
        for (mut reader, step) in followers.into_iter().zip([usize::MAX, 1, 3, 17]) {
            let all = &all;
            scope.spawn(move || {
                let mut followed = 0;
                while followed < all.len() {
                    let more = reader.read(Seq(to_u64(followed) + 1), step).expect("no damage");
                    assert_eq!(more, all[followed..followed + more.len()]);
                    followed += more.len();
                    std::thread::yield_now();
                }
                for from in (1..=all.len()).step_by(97) {
                    assert_eq!(reader.read(Seq(to_u64(from)), 5).expect("no damage"), all[from - 1..all.len().min(from + 4)]);
                }
            });
        }
        for batch in &batches {
            journal.append(journal.head(), batch).expect("a batch");
        }
    });
    assert!(all.len() > 10_000, "{}", all.len());
    assert!(scratch.segments().len() > 4, "{:?}", scratch.segments());
    assert!(matches!(verify(path), Ok(Verdict::Sound(sound)) if sound.head == journal.head()));
}

// --- the directory ------------------------------------------------------------------------------------------------------

#[test]
fn l01_a_second_writer_is_told_who_holds_the_journal_and_touches_nothing() {
    let scratch = Scratch::holding(&Story::of(&[1]).bytes);
    let (_journal, _) = scratch.open().expect("a sound journal");
    let (names, lock) = (scratch.names(), scratch.get("lock"));
    for _ in 0..20 {
        let error = Lock::acquire(scratch.path()).expect_err("held");
        assert!(matches!(error, JournalError::Locked { pid, .. } if pid == Some(std::process::id())), "{error}");
    }
    assert_eq!((scratch.names(), scratch.get("lock")), (names, lock));
}

#[test]
fn l02_a_lock_file_that_nobody_holds_means_nothing() {
    let scratch = Scratch::holding(&Story::of(&[1]).bytes);
    for hint in [format!("{}\n", std::process::id()), "4294967295\n".into(), "1\n".into(), "not a number".into(), String::new()] {
        scratch.put("lock", hint.as_bytes());
        let (journal, _) = scratch.open().expect("the kernel decides");
        assert_eq!(scratch.get("lock"), format!("{}\n", std::process::id()).into_bytes());
        drop(journal);
    }
}

#[test]
fn a_torn_end_is_kept_in_a_file_of_its_own_each_time() {
    let bytes = vector("torn-tail");
    let scratch = Scratch::holding(&bytes);
    let small = Story::small();
    let end = small.ends[1];
    for name in [format!("{SEGMENT}.torn-{end}"), format!("{SEGMENT}.torn-{end}-2")] {
        scratch.put(SEGMENT, &bytes);
        let (_journal, repaired) = scratch.open().expect("a torn end");
        assert_eq!(repaired.expect("it is put aside").kept, name);
        assert_eq!(scratch.get(&name), bytes[end..]);
        assert_eq!(scratch.get(SEGMENT), bytes[..end]);
        let mode = fs::metadata(scratch.file(&name)).expect("a file").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}

#[test]
fn stray_files_change_nothing() {
    let story = Story::of(&[2]);
    let scratch = Scratch::holding(&story.bytes);
    for stray in [".DS_Store", "1.segment", "lock~", "00000000000000000002.segment.new", "00000000000000000002.segment~"] {
        scratch.put(stray, b"stray");
    }
    let (journal, repaired) = scratch.open().expect("a sound journal");
    assert_eq!((journal.head().seq, repaired), (Seq(2), None));
}

// --- segments -----------------------------------------------------------------------------------------------------------

#[test]
fn a_journal_of_many_segments_is_one_journal() {
    let scratch = Scratch::empty();
    let all = scratch.write_rolling(&[2, 1, 3, 1, 4, 1, 2, 2, 1], SHORT, stop).concat();
    let segments = scratch.segments();
    assert_eq!(segments.len(), 5, "{segments:?}");
    let mut records = vec![];
    let lock = Lock::acquire(scratch.path()).expect("a free lock");
    let (mut journal, torn) = Journal::open(lock, &mut |record| records.push(record.clone())).expect("a sound journal");
    assert_eq!((&records, torn), (&all, None));
    let mut reader = journal.reader().expect("a reader");
    for from in 1..=all.len() {
        assert_eq!(reader.read(Seq(to_u64(from)), usize::MAX).expect("no damage"), all[from - 1..]);
    }
    let next = stop(journal.head().seq.next());
    journal.append(journal.head(), std::slice::from_ref(&next)).expect("it goes on");
    assert_eq!(reader.read(next.seq, 9).expect("no damage"), std::slice::from_ref(&next));
    let mut shown = vec![];
    show(scratch.path(), Seq(1), &mut |each| {
        shown.push(each);
        true
    })
    .expect("what can be read");
    assert_eq!(shown, all.into_iter().chain([next]).map(|record| Shown::Record(Box::new(record))).collect::<Vec<_>>());
    let head = journal.head();
    let Ok(Verdict::Sound(sound)) = verify(scratch.path()) else { panic!("not sound") };
    assert_eq!((sound.head, sound.records, &sound.segment), (head, head.seq.0, &segments[4]));
}

#[test]
fn a_sealed_segment_ends_with_its_seal_however_much_room_was_made() {
    let plain = Scratch::empty();
    let batches = plain.write_rolling(&SIZES, SHORT, stop);
    for step_bytes in [1, 90, 300, 100_000] {
        let scratch = Scratch::empty();
        let lock = Lock::acquire(scratch.path()).expect("a free lock");
        let options = Options { segment_bytes: SHORT, step_bytes, reserve_bytes: 0 };
        let mut journal = Journal::create(lock, JOURNAL).expect("a new journal").with(options);
        for batch in &batches {
            journal.append(journal.head(), batch).expect("a batch");
        }
        let bytes = |scratch: &Scratch| scratch.segments().iter().map(|name| scratch.get(name)).collect::<Vec<_>>();
        let (mut found, wanted) = (bytes(&scratch), bytes(&plain));
        let last = found.pop().expect("a segment");
        assert_eq!(found, wanted[..wanted.len() - 1]);
        assert_eq!(without_zeros(&last), without_zeros(&wanted[wanted.len() - 1]));
    }
}

#[test]
fn j02_every_flipped_bit_of_every_segment_is_found_in_it() {
    let scratch = Scratch::empty();
    scratch.write_rolling(&[2, 1, 3, 1], SHORT, stop);
    let segments = scratch.segments();
    for (place, name) in segments.iter().enumerate() {
        let bytes = scratch.get(name);
        for bit in 0..8 * bytes.len() {
            scratch.set(name, bit / 8, bytes[bit / 8] ^ 1 << (bit % 8));
            match verify(scratch.path()).expect("a verdict") {
                Verdict::Corrupt { segment, .. } => assert_eq!(&segment, name, "bit {bit}"),
                // The end of the last segment, and only that, could be what a crash leaves.
                Verdict::TornTail { sound, .. } => assert_eq!((&sound.segment, place + 1), (name, segments.len())),
                verdict => panic!("bit {bit} of {name}: {verdict:?}"),
            }
            scratch.set(name, bit / 8, bytes[bit / 8]);
        }
    }
}

#[test]
fn j11_a_segment_missing_renamed_doubled_empty_or_foreign_is_refused_and_the_gap_is_named() {
    let foreign = Scratch::empty();
    foreign.write_rolling_in(OTHER_JOURNAL, &SIZES, SHORT, stop);
    type Harm<'a> = &'a dyn Fn(&Scratch, &[String]);
    let firsts: Vec<Seq> = foreign.segments().iter().map(|name| Seq(name[..20].parse().expect("a seq"))).collect();
    assert!(firsts.len() >= 4, "{firsts:?}");
    let gap = |from: Seq, to: Seq| Fault::SegmentGap { from, to: Seq(to.0 - 1) };
    let remove = |i: usize| move |scratch: &Scratch, names: &[String]| fs::remove_file(scratch.file(&names[i])).expect("a file");
    let rename = |scratch: &Scratch, names: &[String]| {
        fs::rename(scratch.file(&names[1]), scratch.file("00000000000000009999.segment")).expect("a file");
    };
    let double = |scratch: &Scratch, names: &[String]| {
        scratch.put("00000000000000000002.segment", &scratch.get(&names[0]));
    };
    let later = |scratch: &Scratch, names: &[String]| {
        scratch.put(&format!("{:020}.segment", firsts[1].0 + 1), &scratch.get(&names[1]));
    };
    let empty = |scratch: &Scratch, names: &[String]| scratch.put(&names[1], b"");
    let other = |scratch: &Scratch, names: &[String]| scratch.put(&names[1], &foreign.get(&names[1]));
    let rechained = |scratch: &Scratch, names: &[String]| {
        let bytes = scratch.get(&names[1]);
        let header = SegmentHeader { journal: JOURNAL, first: firsts[1], chain: Digest([7; 32]) };
        scratch.put(&names[1], &[header.encode(), bytes[SEGMENT_HEADER_BYTES..].to_vec()].concat());
    };
    let unsealed = |scratch: &Scratch, names: &[String]| {
        let bytes = scratch.get(&names[1]);
        scratch.put(&names[1], &bytes[..bytes.len() - SEAL_BYTES]);
    };
    let cases: [(&str, Harm<'_>, Seq, Fault); 9] = [
        ("the first is missing", &remove(0), Seq(1), gap(Seq(1), firsts[1])),
        ("one is missing", &remove(1), firsts[1], gap(firsts[1], firsts[2])),
        ("one is renamed", &rename, firsts[1], gap(firsts[1], firsts[2])),
        ("one is doubled", &double, Seq(2), Fault::SegmentOverlap),
        ("one is doubled, further on", &later, Seq(firsts[1].0 + 1), Fault::SegmentOverlap),
        ("one is empty", &empty, firsts[1], Fault::HeaderShort),
        ("one is of another journal", &other, firsts[1], Fault::SegmentForeign),
        ("one does not continue the chain", &rechained, firsts[1], Fault::ChainBroken),
        ("one lost its seal", &unsealed, Seq(firsts[2].0 - 1), gap(Seq(firsts[2].0 - 1), firsts[2])),
    ];
    for (name, harm, seq, what) in cases {
        let scratch = Scratch::empty();
        let all = scratch.write_rolling(&SIZES, SHORT, stop).concat();
        harm(&scratch, &scratch.segments());
        let before: Vec<_> = scratch.segments().iter().map(|name| scratch.get(name)).collect();
        match scratch.open() {
            Err(JournalError::Corrupt { seq: found, what: fault, .. }) => assert_eq!((found, fault), (seq, what), "{name}"),
            Err(error) => panic!("{name}: {error}"),
            Ok(_) => panic!("{name}: opened"),
        }
        let Ok(Verdict::Corrupt { seq: found, what: fault, .. }) = verify(scratch.path()) else { panic!("{name}") };
        assert_eq!((found, fault), (seq, what), "{name}");
        let read = Reader::open(scratch.path()).and_then(|mut reader| reader.read(Seq(1), usize::MAX));
        match read {
            Err(JournalError::Corrupt { .. }) => {}
            // A copy under another name changes nothing of the chain that a reader follows.
            Ok(records) => assert_eq!((what, records), (Fault::SegmentOverlap, all), "{name}"),
            Err(error) => panic!("{name}: {error}"),
        }
        assert_eq!(scratch.segments().iter().map(|name| scratch.get(name)).collect::<Vec<_>>(), before, "{name}");
    }
}

#[test]
fn d01_killed_at_any_point_of_a_roll_the_next_start_goes_on() {
    let scratch = Scratch::empty();
    let all = scratch.write_rolling(&[2, 1, 3], SHORT, stop).concat();
    let names = scratch.segments();
    let (sealed, next) = (scratch.get(&names[0]), &names[1]);
    let zeros = [&*sealed, &[0; 700]].concat();
    let header = scratch.get(next)[..SEGMENT_HEADER_BYTES].to_vec();
    let seal = all.iter().position(|record| record.event.kind() == 5).expect("a seal") + 1;
    // Up to the seal, a cut is a torn end; behind it, the next segment is published, whatever its draft holds.
    let states = (sealed.len() - SEAL_BYTES..=sealed.len()).map(|cut| sealed[..cut].to_vec()).chain([zeros]);
    for state in states {
        for draft in [None, Some(&b""[..]), Some(&header[..9]), Some(&header)] {
            let scratch = Scratch::holding(&state);
            if let Some(draft) = draft {
                scratch.put(&format!("{next}.new"), draft);
            }
            let mut records = vec![];
            let lock = Lock::acquire(scratch.path()).expect("a free lock");
            let (mut journal, _) = Journal::open(lock, &mut |record| records.push(record.clone())).expect("it goes on");
            let whole = if state.len() < sealed.len() { seal - 1 } else { seal };
            assert_eq!(records, all[..whole], "{} bytes", state.len());
            if whole == seal {
                assert_eq!(scratch.get(&names[0]), sealed);
                assert!(without_zeros(&scratch.get(next)) == without_zeros(&header), "another header than {header:?}");
            }
            journal.append(journal.head(), &[stop(journal.head().seq.next())]).expect("it goes on");
            assert!(matches!(verify(scratch.path()), Ok(Verdict::Sound(_))));
        }
    }
}

#[test]
fn a_seal_stands_alone_is_true_and_is_the_end() {
    let seal = |seq: u64, first: u64, bytes: usize| Record {
        event: SegmentSealed { first: Seq(first), bytes: to_u64(bytes) }.into(),
        ..stop(Seq(seq))
    };
    let story = Story::of(&[1]);
    let end = story.bytes.len();
    let mut opened = open(story.bytes.clone()).expect("a sound journal");
    let head = opened.journal.head();
    for wrong in
        [&[seal(2, 2, end)][..], &[seal(2, 1, end - 1)], &[seal(2, 1, end), stop(Seq(3))], &[stop(Seq(2)), seal(3, 1, end)]]
    {
        assert!(matches!(opened.journal.append(head, wrong), Err(JournalError::Misordered { .. })));
    }
    assert_eq!(opened.disk.bytes(SEGMENT), story.bytes);

    let payload = |record: &Record| codec::encode(&record.actor, &record.event).expect("a small payload");
    for wrong in [&[seal(2, 2, end)][..], &[seal(2, 1, end - 1)], &[seal(2, 1, end), stop(Seq(3))]] {
        let mut forged = Forged::new(&story.records(0..1));
        let payloads: Vec<_> = wrong.iter().map(|record| (record.event.kind(), payload(record))).collect();
        forged.batch(&payloads.iter().map(|(kind, payload)| (*kind, payload.as_slice())).collect::<Vec<_>>());
        assert_eq!(damage(open(forged.bytes)), Damage { offset: to_u64(end), seq: Seq(2), what: Fault::Seal });
    }
    for behind in [noise(1), noise(400), story.bytes[SEGMENT_HEADER_BYTES..].to_vec()] {
        let mut forged = Forged::new(&story.records(0..1));
        forged.batch(&[(5, &payload(&seal(2, 1, end)))]);
        let offset = to_u64(forged.bytes.len());
        forged.bytes.extend(behind);
        assert_eq!(damage(open(forged.bytes)), Damage { offset, seq: Seq(3), what: Fault::SealedOver });
    }
}

// --- journals kept as files ---------------------------------------------------------------------------------------------

/// The journals in `tests/vectors`, as this program makes them.
fn vectors() -> [(&'static str, Vec<u8>); 9] {
    let Story { bytes, ends, .. } = Story::small();
    let torn = bytes[..bytes.len() - TORN_BYTES].to_vec();
    let mut flipped = bytes.clone();
    flipped[ends[0] + BATCH_HEADER_BYTES + RECORD_HEADER_BYTES + 8] ^= 0x10;
    let reordered = [&bytes[..ends[0]], &bytes[ends[1]..], &bytes[ends[0]..ends[1]]].concat();
    let header = [&bytes[..8], &(VERSION + 1).to_le_bytes(), &bytes[12..ends[0]]].concat();
    let too_new = [summed(header), bytes[ends[0]..].to_vec()].concat();
    // The kinds that the format had when it was frozen, at the times that they had then.
    let of_kinds =
        |kinds: &[u16]| -> Vec<_> { every_kind().into_iter().filter(|record| kinds.contains(&record.event.kind())).collect() };
    let (renamed, ruled) = (of_kinds(&[50]), of_kinds(&[10, 11, 12, 20, 80, 81, 82]));
    let restored = of_kinds(&[13, 14, 15, 36, 51, 52, 53, 67]);
    let is_later = |record: &Record| [&renamed, &ruled, &restored].into_iter().flatten().any(|later| later.event == record.event);
    let first = every_kind().into_iter().filter(|record| !is_later(record));
    let timed = first.zip(1..).map(|(record, n)| Record { at: Millis(1_767_225_600_000 + n), ..record });
    let unsealed = timed.filter(|record| record.event.kind() != 5);
    let kinds: Vec<_> = unsealed.zip(1..).map(|(record, seq)| Record { seq: Seq(seq), ..record }).collect();
    let later = |records: Vec<Record>, first: u64| {
        let timed = records.into_iter().zip(0..).map(|(record, n)| Record {
            seq: Seq(2 + n),
            at: Millis(1_767_225_600_000 + first + n),
            ..record
        });
        Story::holding(vec![every_kind()[..1].to_vec(), timed.collect()]).bytes
    };
    let (renamed, ruled, restored) = (later(renamed.clone(), 20), later(ruled.clone(), 21), later(restored.clone(), 30));
    let kinds = Story::holding(kinds.chunks(4).map(<[Record]>::to_vec).collect()).bytes;
    [
        ("every-kind", kinds),
        ("renamed", renamed),
        ("restored", restored),
        ("ruled", ruled),
        ("sound", bytes),
        ("torn-tail", torn),
        ("flipped", flipped),
        ("reordered", reordered),
        ("too-new", too_new),
    ]
}

#[test]
fn the_vectors_are_what_this_program_makes() {
    for (name, bytes) in vectors() {
        assert!(vector(name) == bytes, "tests/vectors/{name}.segment: other bytes are another format version");
    }
}

#[test]
fn every_vector_gets_its_verdict() {
    let small = Story::small();
    let extent = |batches: usize| {
        let head = open(small.bytes[..small.ends[batches]].to_vec()).expect("a sound journal").journal.head();
        let offset = to_u64(small.ends[batches]);
        Extent { journal: JOURNAL, head, records: head.seq.0, segment: SEGMENT.into(), offset, begins: Seq(1), witnessed: None }
    };
    let corrupt = |offset: usize, seq, what| Verdict::Corrupt {
        sound: Some(extent(0)),
        segment: SEGMENT.into(),
        offset: to_u64(offset),
        seq,
        what,
    };
    let torn_bytes = to_u64(small.bytes.len() - TORN_BYTES - small.ends[1]);
    let version = Newer::Version { found: VERSION + 1, known: VERSION };
    for (name, verdict) in [
        ("sound", Verdict::Sound(extent(2))),
        ("torn-tail", Verdict::TornTail { sound: extent(1), bytes: torn_bytes, what: Fault::BatchShort }),
        ("flipped", corrupt(small.record_starts(0)[0], Seq(1), Fault::RecordChecksum)),
        ("reordered", corrupt(small.ends[0], Seq(1), Fault::BatchSeq { found: Seq(3) })),
        ("too-new", Verdict::TooNew { sound: None, segment: SEGMENT.into(), found: version }),
    ] {
        assert_eq!(verify(Scratch::holding(&vector(name)).path()).expect("a verdict"), verdict, "{name}");
    }
}

#[test]
fn j01_every_cut_of_the_golden_journal_leaves_whole_batches() {
    let bytes = vector("every-kind");
    let whole = open(bytes.clone()).expect("a sound journal").records;
    for cut in SEGMENT_HEADER_BYTES..bytes.len() {
        let opened = open(bytes[..cut].to_vec()).expect("a cut is a torn end");
        assert!(opened.records.len() < whole.len() && whole.starts_with(&opened.records), "cut at {cut}");
    }
}

#[test]
fn j02_every_flipped_bit_of_the_golden_journal_is_found() {
    let bytes = vector("every-kind");
    let whole = open(bytes.clone()).expect("a sound journal").records;
    for bit in 0..8 * bytes.len() {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        match open(flipped) {
            Ok(Opened { records, torn, .. }) => {
                assert!(torn.is_some() && records.len() < whole.len() && whole.starts_with(&records), "bit {bit}");
            }
            Err(JournalError::Corrupt { .. }) => {}
            Err(error) => panic!("bit {bit}: {error}"),
        }
    }
}

/// Heads and states that the journals of a released version had when it was released, and have for ever.
#[test]
fn j19_a_journal_of_a_released_version_has_the_same_digests_for_ever() {
    let heads = [
        ("every-kind", "c6fe94b561654e27012be2a7be33f356b877df05ce31ca98e55f8d9915497f35"),
        ("sound", "bdb3265610ebc60d5de039e774528223b73407285df4eb674f614417f087d905"),
    ];
    for (name, head) in heads {
        let opened = open(vector(name)).expect("a sound journal");
        assert_eq!(opened.journal.head().hash.to_string(), head, "{name}");
    }
}

fn vector(name: &str) -> Vec<u8> {
    fs::read(vector_path(name)).expect("a vector of this name")
}

fn vector_path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors").join(format!("{name}.segment"))
}

// --- what the tests are made with -----------------------------------------------------------------------------------------

/// A journal, and where everything in it lies.
struct Story {
    batches: Vec<Vec<Record>>,
    bytes: Vec<u8>,
    /// Where the header ends, then each batch.
    ends: Vec<usize>,
}

impl Story {
    /// Batches of so many small records each.
    fn of(sizes: &[usize]) -> Self {
        let mut seqs = (1..).map(Seq);
        Self::holding(sizes.iter().map(|&size| seqs.by_ref().take(size).map(stop).collect()).collect())
    }

    /// The small journal of `journal-format.md`.
    fn small() -> Self {
        let records = every_kind();
        Self::holding(vec![records[..2].to_vec(), records[2..3].to_vec()])
    }

    fn holding(batches: Vec<Vec<Record>>) -> Self {
        let bytes = in_journal(JOURNAL, &batches);
        let mut ends = vec![SEGMENT_HEADER_BYTES];
        while let Ok(header) = BatchHeader::decode(&bytes[*ends.last().expect("the header's end")..]) {
            ends.push(ends.last().expect("the header's end") + header.batch_bytes());
        }
        assert_eq!(ends.last(), Some(&bytes.len()));
        Self { batches, bytes, ends }
    }

    fn in_journal(&self, id: JournalId) -> Vec<u8> {
        in_journal(id, &self.batches)
    }

    fn records(&self, batches: Range<usize>) -> Vec<Record> {
        self.batches[batches].concat()
    }

    /// The seq of the first record of a batch.
    fn first(&self, batch: usize) -> Seq {
        self.batches[batch][0].seq
    }

    /// How many batches end at or before `length`.
    fn whole_batches(&self, length: usize) -> usize {
        self.ends[1..].iter().filter(|end| **end <= length).count()
    }

    /// Where each record of a batch begins, and then where the last one ends.
    fn record_starts(&self, batch: usize) -> Vec<usize> {
        let mut starts = vec![self.ends[batch] + BATCH_HEADER_BYTES];
        for record in &self.batches[batch] {
            let payload = codec::encode(&record.actor, &record.event).expect("a small payload");
            starts.push(starts.last().expect("a start") + RECORD_HEADER_BYTES + payload.len());
        }
        starts
    }

    /// Where damage of this byte is to be reported: the record that it is in, else its batch.
    fn place(&self, byte: usize) -> (usize, Seq) {
        if byte < SEGMENT_HEADER_BYTES {
            return (0, Seq(1));
        }
        let batch = self.whole_batches(byte);
        let starts = self.record_starts(batch);
        match starts.windows(2).position(|record| (record[0]..record[1]).contains(&byte)) {
            Some(record) => (starts[record], self.batches[batch][record].seq),
            None => (self.ends[batch], self.first(batch)),
        }
    }
}

fn in_journal(id: JournalId, batches: &[Vec<Record>]) -> Vec<u8> {
    journal_of(id, &batches.iter().map(Vec::as_slice).collect::<Vec<_>>())
}

/// A small record.
fn stop(seq: Seq) -> Record {
    let event = GatewayStopped { cause: format!("stop {seq}") }.into();
    Record { seq, at: Millis(1_000 + seq.0), actor: Actor::System, event }
}

/// A record so long that a reader of some hundreds needs its index.
fn wide(seq: Seq) -> Record {
    let text = "x".repeat(1_000);
    Record { event: GatewayStopped { cause: format!("{seq} {text}") }.into(), ..stop(seq) }
}

/// A journal that goes on with batches no writer would write, with all checksums and digests right.
struct Forged {
    bytes: Vec<u8>,
    head: Digest,
    next: Seq,
}

impl Forged {
    fn new(records: &[Record]) -> Self {
        let bytes = journal_of(JOURNAL, &[records]);
        let head = open(bytes.clone()).expect("a sound journal").journal.head();
        Self { bytes, head: head.hash, next: head.seq.next() }
    }

    fn batch(&mut self, records: &[(u16, &[u8])]) {
        let frame = |(kind, payload): &(u16, &[u8])| record_frame(u32::try_from(payload.len()).expect("small"), *kind, payload);
        let frames: Vec<_> = records.iter().map(frame).collect();
        self.batch_of(&frames, u32::try_from(records.len()).expect("small"));
    }

    fn batch_of(&mut self, frames: &[Vec<u8>], count: u32) {
        let body = frames.concat();
        let body_bytes = u32::try_from(body.len()).expect("small");
        let header = BatchHeader { body_bytes, count, first: self.next }.encode();
        self.head = BatchParts { header: &header, body: &body, digest: self.head }.expected(&self.head);
        self.next = Seq(self.next.0 + u64::from(count));
        self.bytes.extend([header, body, self.head.0.to_vec()].concat());
    }
}

/// A segment header with a right checksum whatever it says.
fn summed(mut header: Vec<u8>) -> Vec<u8> {
    header.truncate(header.len() - 4);
    header.extend(crc32c::crc32c(&header).to_le_bytes());
    header
}

/// A record with a right checksum whatever its length says.
fn record_frame(length: u32, kind: u16, payload: &[u8]) -> Vec<u8> {
    let summed = [&length.to_le_bytes()[..], &kind.to_le_bytes(), &1_001_u64.to_le_bytes()].concat();
    let checksum = crc32c::crc32c_append(crc32c::crc32c(&summed), payload);
    [&summed, &checksum.to_le_bytes()[..], payload].concat()
}

/// A journal that was opened, and what that led to.
struct Opened {
    journal: Journal,
    disk: MemoryVolume,
    records: Vec<Record>,
    /// What was put aside: as it is to be recorded, and its bytes.
    torn: Option<(JournalRepaired, Vec<u8>)>,
}

fn open(bytes: Vec<u8>) -> Result<Opened, JournalError> {
    reopen(&MemoryVolume::holding(SEGMENT, bytes))
}

fn reopen(disk: &MemoryVolume) -> Result<Opened, JournalError> {
    open_volume(disk, Arc::new(disk.clone()))
}

fn open_volume(disk: &MemoryVolume, volume: Arc<dyn Volume>) -> Result<Opened, JournalError> {
    let before = disk.files();
    let mut records = vec![];
    let opened = Found::on(volume, Access::Write, None, &mut |record| records.push(record.clone()))
        .and_then(|found| found.open(None, None));
    match opened {
        Ok((journal, repaired)) => {
            let journal = journal.with(Options::without_room(u64::MAX));
            let torn = repaired.map(|repaired| (repaired.clone(), disk.bytes(&repaired.kept)));
            Ok(Opened { journal, disk: disk.clone(), records, torn })
        }
        Err(error) => {
            let is_io = matches!(error, JournalError::Io { .. });
            assert!(is_io || disk.files() == before, "what is refused is not changed");
            Err(error)
        }
    }
}

/// Opens and tells the largest number of bytes that were asked for at once.
fn open_measured(bytes: Vec<u8>) -> (Result<Opened, JournalError>, usize) {
    let (disk, largest) = (MemoryVolume::holding(SEGMENT, bytes), Arc::new(AtomicUsize::new(0)));
    let seen = Arc::clone(&largest);
    let before_read = Arc::new(move |count| {
        seen.fetch_max(count, Ordering::Relaxed);
    });
    let result = open_volume(&disk, Arc::new(Watched { inner: disk.clone(), before_read }));
    (result, largest.load(Ordering::Relaxed))
}

/// A disk, or a file of one, that tells how many bytes are asked for, before each read.
struct Watched<T> {
    inner: T,
    before_read: Arc<dyn Fn(usize) + Send + Sync>,
}

impl<T> Watched<T> {
    fn file(&self, inner: Box<dyn Storage>) -> Box<dyn Storage> {
        Box::new(Watched { inner, before_read: Arc::clone(&self.before_read) })
    }
}

impl Volume for Watched<MemoryVolume> {
    fn path_of(&self, name: &str) -> PathBuf {
        self.inner.path_of(name)
    }
    fn names(&self) -> Result<Vec<String>, JournalError> {
        self.inner.names()
    }
    fn open(&self, name: &str, access: Access) -> Result<Option<Box<dyn Storage>>, JournalError> {
        Ok(self.inner.open(name, access)?.map(|file| self.file(file)))
    }
    fn make(&self, name: &str) -> Result<Box<dyn Storage>, JournalError> {
        self.inner.make(name).map(|file| self.file(file))
    }
    fn make_new(&self, name: &str) -> Result<Option<Box<dyn Storage>>, JournalError> {
        Ok(self.inner.make_new(name)?.map(|file| self.file(file)))
    }
    fn rename(&self, from: &str, to: &str) -> Result<(), JournalError> {
        self.inner.rename(from, to)
    }
    fn remove(&self, name: &str) -> Result<(), JournalError> {
        self.inner.remove(name)
    }
    fn sync(&self) -> Result<(), JournalError> {
        self.inner.sync()
    }
}

impl Storage for Watched<Box<dyn Storage>> {
    fn size(&self) -> io::Result<u64> {
        self.inner.size()
    }
    fn read_at(&self, offset: u64, bytes: &mut [u8]) -> io::Result<usize> {
        (self.before_read)(bytes.len());
        self.inner.read_at(offset, bytes)
    }
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.inner.write_at(offset, bytes)
    }
    fn sync(&mut self) -> io::Result<()> {
        self.inner.sync()
    }
    fn truncate(&mut self, length: u64) -> io::Result<()> {
        self.inner.truncate(length)
    }
    fn another(&self) -> io::Result<Box<dyn Storage>> {
        Ok(self.file(self.inner.another()?))
    }
}

/// What a refusal names.
#[derive(Debug, PartialEq, Eq)]
struct Damage {
    offset: u64,
    seq: Seq,
    what: Fault,
}

fn damage(result: Result<Opened, JournalError>) -> Damage {
    match result {
        Err(JournalError::Corrupt { segment, offset, seq, what }) => {
            assert_eq!(segment, SEGMENT);
            Damage { offset, seq, what }
        }
        Err(error) => panic!("not damage: {error}"),
        Ok(opened) => panic!("opened with {} records, torn: {:?}", opened.records.len(), opened.torn),
    }
}

/// After a failure nothing more is accepted, and the disk is left alone.
fn poisoned(journal: &mut Journal, disk: &MemoryVolume, batch: &[Record]) {
    let before = (disk.operations(), disk.files());
    assert!(matches!(journal.append(journal.head(), batch), Err(JournalError::Poisoned)));
    assert_eq!((disk.operations(), disk.files()), before);
}

/// Everything that a crash now may leave of the disk.
fn crashes(disk: &MemoryVolume) -> Vec<MemoryVolume> {
    let chances = disk.chances();
    assert!(chances.len() <= 10, "{} chances are too many to try all", chances.len());
    let happens = |subset: u32, chance| {
        let place = chances.iter().position(|known| *known == chance).expect("one of them");
        subset >> place & 1 == 1
    };
    (0..1 << chances.len()).map(|subset| disk.crashed(|chance: Chance| happens(subset, chance))).collect()
}

/// The first segments that these are.
fn images(disk: &MemoryVolume) -> BTreeSet<Vec<u8>> {
    crashes(disk).iter().map(|crashed| crashed.bytes(SEGMENT)).collect()
}

/// A new journal of one segment, in memory.
fn begin() -> (MemoryVolume, Journal) {
    let disk = MemoryVolume::default();
    let journal = Journal::create_on(Arc::new(disk.clone()), JOURNAL).expect("a new journal");
    (disk, journal.with(Options::without_room(u64::MAX)))
}

/// A journal's directory that is gone after the test.
struct Scratch(tempfile::TempDir);

impl Scratch {
    fn empty() -> Self {
        Self(tempfile::tempdir().expect("a temporary directory"))
    }

    fn holding(bytes: &[u8]) -> Self {
        let scratch = Self::empty();
        scratch.put(SEGMENT, bytes);
        scratch
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn file(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }

    fn put(&self, name: &str, bytes: &[u8]) {
        let mut options = fs::OpenOptions::new();
        let file = options.write(true).create(true).truncate(true).mode(0o600).open(self.file(name)).expect("a new file");
        io::Write::write_all(&mut &file, bytes).expect("a write");
    }

    /// Changes one byte of a file.
    fn set(&self, name: &str, at: usize, byte: u8) {
        let file = fs::OpenOptions::new().write(true).open(self.file(name)).expect("a file");
        file.write_all_at(&[byte], to_u64(at)).expect("a write");
    }

    fn get(&self, name: &str) -> Vec<u8> {
        fs::read(self.file(name)).expect("a file")
    }

    fn names(&self) -> BTreeSet<String> {
        let entries = fs::read_dir(self.path()).expect("a directory");
        entries.map(|entry| entry.expect("an entry").file_name().into_string().expect("a plain name")).collect()
    }

    /// The segments' names, in order.
    fn segments(&self) -> Vec<String> {
        self.names().into_iter().filter(|name| name.ends_with(".segment")).collect()
    }

    /// Writes batches of so many small records to a new journal, which seals its segments at so many bytes. Returns what was
    /// written, the seals included.
    fn write_rolling(&self, sizes: &[usize], segment_bytes: u64, record: fn(Seq) -> Record) -> Vec<Vec<Record>> {
        self.write_rolling_in(JOURNAL, sizes, segment_bytes, record)
    }

    fn write_rolling_in(
        &self,
        id: JournalId,
        sizes: &[usize],
        segment_bytes: u64,
        record: fn(Seq) -> Record,
    ) -> Vec<Vec<Record>> {
        let lock = Lock::acquire(self.path()).expect("a free lock");
        let mut journal = Journal::create(lock, id).expect("a new journal").with(Options::without_room(segment_bytes));
        let mut written = vec![];
        for &size in sizes {
            let next = journal.head().seq.next().0;
            let mut batches = vec![(next..).map(|seq| record(Seq(seq))).take(size).collect::<Vec<_>>()];
            journal.append(journal.head(), &batches[0]).expect("a batch");
            if let Some(seal) = journal.seal() {
                batches.push(vec![Record { event: seal.into(), ..record(journal.head().seq.next()) }]);
                journal.append(journal.head(), &batches[1]).expect("a seal");
            }
            written.append(&mut batches);
        }
        written
    }

    fn open(&self) -> Result<(Journal, Option<JournalRepaired>), JournalError> {
        Journal::open(Lock::acquire(self.path())?, &mut |_| {})
    }
}

/// Bytes that mean nothing, the same in every run.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[0]
    };
    (0..length).map(|_| next()).collect()
}

fn write(disk: &MemoryVolume, at: usize, bytes: &[u8]) {
    let mut storage = disk.open(SEGMENT, Access::Write).expect("readable").expect("a segment");
    storage.write_at(to_u64(at), bytes).expect("a write");
}

fn without_zeros(bytes: &[u8]) -> &[u8] {
    &bytes[..bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1)]
}

fn to_u64(length: usize) -> u64 {
    u64::try_from(length).expect("a small length")
}
