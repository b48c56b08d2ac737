//! The witness outside the journal: with it an end that is missing, or an older copy, is told from what a crash leaves.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use openclaw_pairing::journal::{Access, Found, Head, Journal, JournalError, MemoryVolume, Options, Verdict, Witness, verify};
use openclaw_pairing::pairing::{Record, Seq, WitnessPlaced};

use super::{JOURNAL, OTHER_JOURNAL, SEGMENT, Scratch, Story, stop, to_u64};

/// Opens these bytes beside a witness that saw the head.
fn open_seen(bytes: Vec<u8>, seen: Head) -> Result<(Vec<Record>, bool), JournalError> {
    let (disk, apart) = (MemoryVolume::holding(SEGMENT, bytes.clone()), MemoryVolume::default());
    witness_of(&apart, seen);
    let witness = Witness::open_on(&apart, "witness", JOURNAL).expect("readable").expect("a witness");
    assert_eq!(witness.head(), Some(seen));
    let mut records = vec![];
    let found = Found::on(Arc::new(disk.clone()), Access::Write, None, &mut |record| records.push(record.clone()))?;
    match found.open(None, Some(witness)) {
        Ok((_, repaired)) => Ok((records, repaired.is_some())),
        Err(error) => {
            assert_eq!(disk.files().into_values().collect::<Vec<_>>(), [bytes], "what is refused is not changed");
            Err(error)
        }
    }
}

/// Lets a witness see a head: by a journal that has it.
fn witness_of(apart: &MemoryVolume, seen: Head) {
    let journal = Journal::create_on(Arc::new(MemoryVolume::default()), JOURNAL).expect("a new journal");
    let mut journal = journal.with(Options::without_room(u64::MAX));
    journal.be_witnessed(Witness::make_on(apart, "witness", JOURNAL).expect("made"));
    let mut bytes = apart.bytes("witness");
    bytes[28..36].copy_from_slice(&seen.seq.0.to_le_bytes());
    bytes[36..68].copy_from_slice(&seen.hash.0);
    let checksum = crc32c::crc32c(&bytes[..68]);
    bytes[68..].copy_from_slice(&checksum.to_le_bytes());
    apart.put("witness", bytes);
}

/// The head behind each batch, beginning with the one before the first.
fn heads(story: &Story) -> Vec<Head> {
    let head = |end: usize| super::open(story.bytes[..end].to_vec()).expect("whole batches").journal.head();
    story.ends.iter().map(|end| head(*end)).collect()
}

#[test]
fn j06_a_bad_end_that_the_witness_saw_is_damage_and_no_torn_end() {
    let story = Story::of(&[2, 1, 3]);
    let heads = heads(&story);
    for byte in story.ends[2]..story.bytes.len() {
        let mut bytes = story.bytes.clone();
        bytes[byte] ^= 1;
        match open_seen(bytes.clone(), heads[3]) {
            Err(JournalError::Corrupt { segment, seq, .. }) => {
                assert_eq!((segment.as_str(), seq), (SEGMENT, story.place(byte).1), "byte {byte}");
            }
            other => panic!("byte {byte}: {:?}", other.map_err(|error| error.to_string())),
        }
        // Behind the journal is normal: then it is what a crash leaves.
        assert_eq!(open_seen(bytes, heads[2]).expect("a torn end"), (story.records(0..2), true));
    }
}

#[test]
fn t04_a_journal_that_lacks_what_the_witness_saw_is_not_written() {
    let story = Story::of(&[2, 1, 3, 2]);
    let heads = heads(&story);
    let rolled_back = |bytes: &[u8], seen: Head| match open_seen(bytes.to_vec(), seen) {
        Err(JournalError::RolledBack { head, witnessed, .. }) => {
            assert_eq!(witnessed, seen.seq);
            head
        }
        other => panic!("{:?}", other.map_err(|error| error.to_string())),
    };
    for (end, head) in story.ends.iter().zip(&heads) {
        let bytes = &story.bytes[..*end];
        for seen in &heads {
            if seen.seq > head.seq {
                assert_eq!(rolled_back(bytes, *seen), head.seq);
            } else {
                assert!(!open_seen(bytes.to_vec(), *seen).expect("what was seen is there").1);
                // A copy that went on by itself has another digest at the same seq.
                let other = Head { hash: heads[0].hash, ..*seen };
                assert!(seen.seq == Seq(0) || rolled_back(bytes, other) == head.seq);
            }
        }
    }
    // In the middle of a batch nobody saw a head.
    assert_eq!(rolled_back(&story.bytes, Head { seq: Seq(5), ..heads[2] }), heads[4].seq);
}

#[test]
fn a_witness_that_is_not_what_was_written_remembers_nothing() {
    let apart = MemoryVolume::default();
    witness_of(&apart, Head { seq: Seq(7), hash: openclaw_pairing::pairing::Digest([9; 32]) });
    let whole = apart.bytes("witness");
    let head = |bytes: Vec<u8>, journal| {
        apart.put("witness", bytes);
        Witness::open_on(&apart, "witness", journal).expect("readable").expect("a file").head()
    };
    assert_eq!(head(whole.clone(), JOURNAL).map(|head| head.seq), Some(Seq(7)));
    assert_eq!(head(whole.clone(), OTHER_JOURNAL), None);
    for cut in 0..whole.len() {
        assert_eq!(head(whole[..cut].to_vec(), JOURNAL), None);
        let mut flipped = whole.clone();
        flipped[cut] ^= 1;
        assert_eq!(head(flipped, JOURNAL), None, "byte {cut}");
    }
}

/// A journal in a directory, with a witness at `path` on record.
fn witnessed(scratch: &Scratch, path: &Path, batches: usize) {
    let lock = openclaw_pairing::journal::Lock::acquire(scratch.path()).expect("a free lock");
    let mut journal = Journal::create(lock, JOURNAL).expect("a new journal");
    journal.be_witnessed(Witness::make(path, JOURNAL).expect("made"));
    let placed = WitnessPlaced { path: path.to_str().expect("UTF-8").to_owned(), lost: None };
    journal.append(journal.head(), &[Record { event: placed.into(), ..stop(Seq(1)) }]).expect("a batch");
    for _ in 0..batches {
        let next = journal.head().seq.next();
        journal.append(journal.head(), &[stop(next)]).expect("a batch");
    }
}

#[test]
fn t04_verify_says_how_far_the_witness_proves_it_whole_and_when_it_was_rolled_back() {
    let (scratch, apart) = (Scratch::empty(), Scratch::empty());
    let path = apart.file("witness");
    witnessed(&scratch, &path, 4);
    let sound = |verdict| match verdict {
        Verdict::Sound(extent) => extent,
        other => panic!("{other:?}"),
    };
    let whole = sound(verify(scratch.path()).expect("a verdict"));
    assert_eq!((whole.head.seq, whole.witnessed), (Seq(5), Some(Seq(5))));
    let bytes = scratch.get(SEGMENT);
    let end = super::without_zeros(&bytes).len();
    for cut in (0..end).step_by(7).skip(60) {
        fs::write(scratch.file(SEGMENT), &bytes[..cut]).expect("cut");
        match verify(scratch.path()).expect("a verdict") {
            // A batch that is half there was whole once.
            Verdict::Corrupt { .. } => {}
            Verdict::RolledBack { witnessed, sound, .. } => assert!(witnessed == Seq(5) && sound.offset == to_u64(cut)),
            // So short that it does not say where its witness is.
            Verdict::Sound(extent) | Verdict::TornTail { sound: extent, .. } => assert_eq!(extent.head.seq, Seq(0), "{cut}"),
            other => panic!("{cut}: {other:?}"),
        }
    }
    scratch.put(SEGMENT, &bytes);
    fs::remove_file(&path).expect("lost");
    assert_eq!(sound(verify(scratch.path()).expect("a verdict")).witnessed, None);
}
