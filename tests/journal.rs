//! The journal's bytes: what is damaged, torn, forged or half written is met here, and nothing answered is lost, nothing is
//! invented. Names that begin with an id belong to the fault matrix. Whatever is exhaustive is so on a small journal.

#[path = "support/journal.rs"]
mod support;

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::ops::Range;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use openclaw_pairing::journal::codec::{self, PayloadError};
use openclaw_pairing::journal::format::{
    BATCH_HEADER_BYTES, BatchHeader, BatchParts, Fault, RECORD_HEADER_BYTES, SEGMENT_HEADER_BYTES, SegmentHeader, VERSION,
};
use openclaw_pairing::journal::{
    Extent, Head, Journal, JournalError, Lock, MemoryStorage, Newer, Reader, Shown, Storage, Verdict, show, verify,
};
use openclaw_pairing::limits;
use openclaw_pairing::pairing::{Actor, Digest, GatewayStopped, JournalId, JournalRepaired, Millis, Record, Seq};
use support::{JOURNAL, every_kind, journal_of};

const SEGMENT: &str = "00000000000000000001.segment";
/// What the vector `torn-tail` lacks; in the middle of the last text.
const TORN_BYTES: usize = 36;
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
        assert_eq!(opened.disk.bytes(), story.bytes[..end], "cut at {cut}");
        match opened.torn {
            None => assert_eq!(cut, end),
            Some((repaired, kept)) => {
                assert_eq!(kept, without_zeros(&story.bytes[end..cut]));
                let (after, offset, bytes) = (opened.journal.head().seq, to_u64(end), to_u64(kept.len()));
                assert_eq!(repaired, JournalRepaired { after, offset, bytes, kept: "aside".into() });
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
             nothing was changed: keep a copy, and look at it with `openclaw journal show`"
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
    let record = &every_kind()[4];
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
    let disk = MemoryStorage::default();
    let mut journal = Journal::create_on(Box::new(disk.clone()), JOURNAL).expect("a new journal");
    let start = journal.head();
    let head = journal.append(start, &[stop(Seq(1))]).expect("the first record");
    let before = disk.bytes();
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
    assert_eq!(disk.bytes(), before);
    assert_eq!(journal.append(head, &[]).expect("no records, no batch"), head);
    assert_eq!(disk.bytes(), before);
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
        for fail in [MemoryStorage::fail_write, MemoryStorage::fail_sync] {
            let disk = MemoryStorage::default();
            let mut journal = Journal::create_on(Box::new(disk.clone()), JOURNAL).expect("a new journal");
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
    let disk = MemoryStorage::default();
    let mut journal = Journal::create_on(Box::new(disk.clone()), JOURNAL).expect("a new journal");
    let story = Story::of(&[20, 20]);
    disk.fail_sync(1);
    journal.append(journal.head(), &story.batches[0]).expect_err("a sync that fails");
    let mut opened = reopen(&disk).expect("a whole batch");
    assert_eq!(opened.records, story.batches[0]);
    assert_eq!(disk.unsynced(), Vec::<usize>::new());
    disk.fail_sync(1);
    opened.journal.append(opened.journal.head(), &story.batches[1]).expect_err("a sync that fails");
    for image in images(&disk) {
        assert!(open(image).expect("a crash is no damage").records.starts_with(&story.batches[0]));
    }
    disk.fail_sync(1);
    assert!(matches!(reopen(&disk), Err(JournalError::Io { op: "sync", .. })));
}

#[test]
fn a_repair_that_is_cut_short_is_made_again_and_keeps_every_byte() {
    let story = Story::of(&[1, 30]);
    let torn = &story.bytes[..story.bytes.len() - 40];
    let end = story.ends[1];
    // The operations of a repair, in order: write and sync the copy, cut and sync the segment.
    for failing in 0..4 {
        let (disk, aside) = (MemoryStorage::new(torn.to_vec()), MemoryStorage::default());
        match failing {
            0 => aside.fail_write(1),
            1 => aside.fail_sync(1),
            2 => disk.fail_write(1),
            _ => disk.fail_sync(1),
        }
        let mut make_aside = |_| Ok(("aside".to_owned(), Box::new(aside.clone()) as Box<dyn Storage>));
        Journal::open_on(Box::new(disk.clone()), &mut make_aside, &mut drop).err().expect("a repair that fails");
        for image in images(&disk) {
            let is_cut = image.len() == end;
            assert!(!is_cut || images(&aside).iter().all(|kept| *kept == without_zeros(&torn[end..])), "cut before it was kept");
            assert_eq!(open(image).expect("torn still, or repaired").records, story.records(0..1));
        }
    }
}

// --- reading while somebody writes --------------------------------------------------------------------------------------

#[test]
fn j20_half_a_batch_means_wait() {
    let story = Story::of(&[2, 1, 3, 1]);
    let mut disk = MemoryStorage::new(story.bytes[..SEGMENT_HEADER_BYTES].to_vec());
    let mut reader = reopen(&disk).expect("a journal without records").journal.reader().expect("a reader");
    let mut followed = vec![];
    for at in SEGMENT_HEADER_BYTES..story.bytes.len() {
        disk.write_at(to_u64(at), &story.bytes[at..=at]).expect("a write");
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
    let disk = MemoryStorage::new(story.bytes[..SEGMENT_HEADER_BYTES].to_vec());
    let (reads, mut late) = (Arc::new(AtomicUsize::new(0)), disk.clone());
    let (count, bytes) = (Arc::clone(&reads), story.bytes.clone());
    let late_write = Mutex::new(move || late.write_at(0, &bytes).expect("a write"));
    let before_read = Arc::new(move |_| {
        // The reader has met the half batch when it reads for the second time: to see whether another was begun behind it.
        if count.fetch_add(1, Ordering::Relaxed) == 1 {
            late_write.lock().expect("one thread")();
        }
    });
    let watched = Watched { disk: disk.clone(), before_read };
    let (journal, _) =
        Journal::open_on(Box::new(watched), &mut |_| panic!("nothing is torn"), &mut drop).expect("a journal without records");
    let half = (story.ends[1] + story.ends[2]) / 2;
    let visible = [&story.bytes[..half], &vec![0; story.ends[2] - half]].concat();
    disk.clone().write_at(0, &visible).expect("a write");
    reads.store(0, Ordering::Relaxed);
    let followed = journal.reader().expect("a reader").read(Seq(1), usize::MAX).expect("no damage");
    assert_eq!(followed, story.records(0..4));
}

#[test]
fn j20_readers_of_a_growing_journal_miss_nothing_and_see_nothing_twice() {
    let scratch = Scratch::empty();
    let lock = Lock::acquire(scratch.path()).expect("a free lock");
    let mut journal = Journal::create(lock, JOURNAL).expect("a new journal");
    let story = Story::wide(&(1..=120).map(|i| 1 + i % 9).collect::<Vec<_>>());
    let all = story.records(0..story.batches.len());
    std::thread::scope(|scope| {
        for step in [1, 3, 17, usize::MAX] {
            let (all, path) = (&all, scratch.path());
            scope.spawn(move || {
                let mut reader = Reader::open(path).expect("a journal");
                let mut followed: Vec<Record> = vec![];
                while followed.len() < all.len() {
                    let next = Seq(to_u64(followed.len()) + 1);
                    followed.extend(reader.read(next, step).expect("no damage"));
                    assert_eq!(followed, all[..followed.len()]);
                    std::thread::yield_now();
                }
                for from in (1..=all.len()).step_by(7) {
                    assert_eq!(reader.read(Seq(to_u64(from)), 5).expect("no damage"), all[from - 1..all.len().min(from + 4)]);
                }
            });
        }
        for batch in &story.batches {
            journal.append(journal.head(), batch).expect("a batch");
        }
    });
    assert!(matches!(verify(scratch.path()), Ok(Verdict::Sound(sound)) if sound.head == journal.head()));
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

#[test]
fn a_segment_that_is_missing_or_one_too_many_is_damage() {
    let bytes = Story::of(&[2]).bytes;
    let second = "00000000000000000003.segment";
    let scratch = Scratch::holding(&bytes);
    scratch.put(second, &bytes);
    assert!(matches!(scratch.open(), Err(JournalError::Corrupt { what: Fault::SegmentStray, seq: Seq(3), .. })));
    let scratch = Scratch::empty();
    scratch.put(second, &bytes);
    assert!(matches!(scratch.open(), Err(JournalError::Corrupt { what: Fault::SegmentMissing, .. })));
}

// --- journals kept as files ---------------------------------------------------------------------------------------------

/// The journals in `tests/vectors`, as this program makes them.
fn vectors() -> [(&'static str, Vec<u8>); 5] {
    let Story { bytes, ends, .. } = Story::small();
    let torn = bytes[..bytes.len() - TORN_BYTES].to_vec();
    let mut flipped = bytes.clone();
    flipped[ends[0] + BATCH_HEADER_BYTES + RECORD_HEADER_BYTES + 8] ^= 0x10;
    let reordered = [&bytes[..ends[0]], &bytes[ends[1]..], &bytes[ends[0]..ends[1]]].concat();
    let header = [&bytes[..8], &(VERSION + 1).to_le_bytes(), &bytes[12..ends[0]]].concat();
    let too_new = [summed(header), bytes[ends[0]..].to_vec()].concat();
    [("sound", bytes), ("torn-tail", torn), ("flipped", flipped), ("reordered", reordered), ("too-new", too_new)]
}

#[test]
fn the_vectors_are_what_this_program_makes() {
    for (name, bytes) in vectors() {
        assert!(vector(name) == bytes, "tests/vectors/{name}.segment: other bytes are another format version");
    }
}

/// Only while the version is 0: later, other bytes are another version with vectors of its own.
#[test]
#[ignore = "writes tests/vectors anew"]
fn write_the_vectors() {
    assert_eq!(VERSION, 0, "released vectors are never written again");
    for (name, bytes) in vectors() {
        fs::write(vector_path(name), bytes).expect("a writable checkout");
    }
}

#[test]
fn every_vector_gets_its_verdict() {
    let small = Story::small();
    let extent = |batches: usize| {
        let head = open(small.bytes[..small.ends[batches]].to_vec()).expect("a sound journal").journal.head();
        let offset = to_u64(small.ends[batches]);
        Extent { journal: JOURNAL, head, records: head.seq.0, segment: SEGMENT.into(), offset }
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
        Self::made(sizes, stop)
    }

    /// As [`Self::of`], with records so long that a reader needs its index.
    fn wide(sizes: &[usize]) -> Self {
        let text = "x".repeat(1_000);
        Self::made(sizes, |seq| Record { event: GatewayStopped { cause: format!("{seq} {text}") }.into(), ..stop(seq) })
    }

    /// The small journal of `journal-format.md`.
    fn small() -> Self {
        let records = every_kind();
        Self::holding(vec![records[..2].to_vec(), records[2..3].to_vec()])
    }

    fn made(sizes: &[usize], record: impl Fn(Seq) -> Record) -> Self {
        let mut seqs = (1..).map(Seq);
        Self::holding(sizes.iter().map(|&size| seqs.by_ref().take(size).map(&record).collect()).collect())
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
    disk: MemoryStorage,
    records: Vec<Record>,
    /// What was put aside: as it is to be recorded, and its bytes.
    torn: Option<(JournalRepaired, Vec<u8>)>,
}

fn open(bytes: Vec<u8>) -> Result<Opened, JournalError> {
    reopen(&MemoryStorage::new(bytes))
}

fn reopen(disk: &MemoryStorage) -> Result<Opened, JournalError> {
    open_storage(disk, Box::new(disk.clone()))
}

fn open_storage(disk: &MemoryStorage, storage: Box<dyn Storage>) -> Result<Opened, JournalError> {
    let (before, aside) = (disk.bytes(), MemoryStorage::default());
    let mut make_aside = |_| Ok(("aside".to_owned(), Box::new(aside.clone()) as Box<dyn Storage>));
    let mut records = vec![];
    match Journal::open_on(storage, &mut make_aside, &mut |record| records.push(record)) {
        Ok((journal, repaired)) => {
            let torn = repaired.map(|repaired| (repaired, aside.bytes()));
            Ok(Opened { journal, disk: disk.clone(), records, torn })
        }
        Err(error) => {
            let is_io = matches!(error, JournalError::Io { .. });
            assert!(is_io || disk.bytes() == before, "what is refused is not changed");
            Err(error)
        }
    }
}

/// Opens and tells the largest number of bytes that were asked for at once.
fn open_measured(bytes: Vec<u8>) -> (Result<Opened, JournalError>, usize) {
    let (disk, largest) = (MemoryStorage::new(bytes), Arc::new(AtomicUsize::new(0)));
    let seen = Arc::clone(&largest);
    let before_read = Arc::new(move |count| {
        seen.fetch_max(count, Ordering::Relaxed);
    });
    let result = open_storage(&disk, Box::new(Watched { disk: disk.clone(), before_read }));
    (result, largest.load(Ordering::Relaxed))
}

/// A disk that tells how many bytes are asked for, before each read.
#[derive(Clone)]
struct Watched {
    disk: MemoryStorage,
    before_read: Arc<dyn Fn(usize) + Send + Sync>,
}

impl Storage for Watched {
    fn size(&self) -> io::Result<u64> {
        self.disk.size()
    }
    fn read_at(&self, offset: u64, bytes: &mut [u8]) -> io::Result<usize> {
        (self.before_read)(bytes.len());
        self.disk.read_at(offset, bytes)
    }
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.disk.write_at(offset, bytes)
    }
    fn sync(&mut self) -> io::Result<()> {
        self.disk.sync()
    }
    fn truncate(&mut self, length: u64) -> io::Result<()> {
        self.disk.truncate(length)
    }
    fn another(&self) -> io::Result<Box<dyn Storage>> {
        Ok(Box::new(self.clone()))
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
fn poisoned(journal: &mut Journal, disk: &MemoryStorage, batch: &[Record]) {
    let before = (disk.operations(), disk.bytes());
    assert!(matches!(journal.append(journal.head(), batch), Err(JournalError::Poisoned)));
    assert_eq!((disk.operations(), disk.bytes()), before);
}

/// Everything that a crash now may leave of the disk: any of the unsynced sectors, the new length or the old.
fn images(disk: &MemoryStorage) -> Vec<Vec<u8>> {
    let unsynced = disk.unsynced();
    assert!(unsynced.len() <= 8, "{} sectors are too many to try all", unsynced.len());
    let subsets = 0_u32..1 << unsynced.len();
    let kept = |subset: u32| move |sector: &usize| subset >> sector & 1 == 1;
    let mut images = BTreeSet::new();
    for subset in subsets {
        let sectors: BTreeSet<usize> = (0..unsynced.len()).filter(kept(subset)).map(|i| unsynced[i]).collect();
        for grown in [false, true] {
            images.insert(disk.crashed(grown, |sector| sectors.contains(&sector)));
        }
    }
    images.into_iter().collect()
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

    fn open(&self) -> Result<(Journal, Option<JournalRepaired>), JournalError> {
        Journal::open(Lock::acquire(self.path())?, &mut drop)
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

fn without_zeros(bytes: &[u8]) -> &[u8] {
    &bytes[..bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1)]
}

fn to_u64(length: usize) -> u64 {
    u64::try_from(length).expect("a small length")
}
