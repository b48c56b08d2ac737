//! An end that is gone or damaged, given up: whatever is killed on the way leaves a journal that is refused as before, or the one
//! that goes on; and what was given up is kept.

use std::sync::Arc;

use openclaw_pairing::journal::{Access, Found, Head, Journal, JournalError, Lost, MemoryVolume, Options, Witness};
use openclaw_pairing::pairing::{Event, Record, RollbackAccepted, Seq};

use super::{JOURNAL, SEGMENT_HEADER_BYTES, SHORT, stop, without_zeros};

/// A journal of several segments and its witness, which saw all of it.
fn witnessed() -> (MemoryVolume, MemoryVolume, Head) {
    let (disk, apart) = (MemoryVolume::default(), MemoryVolume::default());
    let journal = Journal::create_on(Arc::new(disk.clone()), JOURNAL).expect("a new journal");
    let mut journal = journal.with(Options::without_room(SHORT));
    journal.be_witnessed(Witness::make_on(&apart, "witness", JOURNAL).expect("made"));
    for _ in 0..9 {
        let next = stop(journal.head().seq.next());
        journal.append(journal.head(), &[next]).expect("a batch");
        if let Some(seal) = journal.seal() {
            let seal = Record { event: seal.into(), ..stop(journal.head().seq.next()) };
            journal.append(journal.head(), &[seal]).expect("a seal");
        }
    }
    journal.sync_witness();
    (disk, apart, journal.head())
}

fn copy_of(disk: &MemoryVolume) -> MemoryVolume {
    let copy = MemoryVolume::default();
    disk.files().into_iter().for_each(|(name, bytes)| copy.put(&name, bytes));
    copy
}

fn witness_in(apart: &MemoryVolume) -> Witness {
    Witness::open_on(apart, "witness", JOURNAL).expect("readable").expect("a witness")
}

/// The records of a journal that can be opened with its witness.
fn opened(disk: &MemoryVolume, apart: &MemoryVolume) -> Result<Vec<Record>, JournalError> {
    let mut records = vec![];
    // What is torn is put aside in a copy.
    let disk = copy_of(disk);
    let found = Found::on(Arc::new(disk), Access::Write, None, &mut |record| records.push(record.clone()))?;
    found.open(None, Some(witness_in(apart)))?;
    Ok(records)
}

/// Gives up what is lost, as the authority does; nothing where nothing is.
fn accepted(disk: &MemoryVolume, apart: &MemoryVolume) -> Result<Option<Lost>, JournalError> {
    let found = Found::up_to_damage(Arc::new(disk.clone()), Access::Write, None, &mut |_| {})?;
    let mut witness = witness_in(apart);
    let Some(lost) = found.lost(Some(&witness))? else { return Ok(None) };
    let (mut journal, put_aside) = found.accept(&lost, None, Some(&mut witness))?;
    let Lost { head, witnessed, .. } = lost.clone();
    let event = RollbackAccepted { head: head.seq, witnessed: witnessed.seq, hash: witnessed.hash, keeps: vec![] };
    let events = put_aside.into_iter().map(Event::from).chain([event.into()]);
    let records: Vec<_> = (head.seq.0 + 1..).zip(events).map(|(seq, event)| Record { event, ..stop(Seq(seq)) }).collect();
    journal.append(journal.head(), &records)?;
    journal.be_witnessed(witness);
    Ok(Some(lost))
}

fn is_accepted(records: &[Record]) -> bool {
    records.iter().any(|record| matches!(record.event, Event::RollbackAccepted(_)))
}

/// Whether all of `bytes` from some place on that is not behind `at` is in one of the files.
fn is_kept(files: &MemoryVolume, bytes: &[u8], at: usize) -> bool {
    let bytes = without_zeros(bytes);
    let at = at.min(bytes.len());
    files.files().values().any(|kept| kept.windows(bytes.len() - at).any(|window| window == &bytes[at..]))
}

#[test]
fn j07_damage_anywhere_is_given_up_from_there_on_and_all_of_it_is_kept() {
    let (sound, witness, head) = witnessed();
    let names: Vec<_> = sound.files().into_keys().collect();
    assert!(names.len() >= 3, "{names:?}");
    for (number, name) in names.iter().enumerate() {
        let whole = sound.bytes(name);
        for byte in (0..without_zeros(&whole).len()).step_by(11) {
            let (disk, apart) = (copy_of(&sound), copy_of(&witness));
            let mut bytes = whole.clone();
            bytes[byte] ^= 0x10;
            disk.put(name, bytes.clone());
            assert!(opened(&disk, &apart).is_err(), "{name} {byte}");
            let Ok(lost) = accepted(&disk, &apart) else {
                assert!(
                    number == 0 && byte < SEGMENT_HEADER_BYTES,
                    "only where its beginning is damaged nothing is left: {name} {byte}"
                );
                continue;
            };
            let lost = lost.expect("something is lost");
            // Where its header is damaged, nothing of the segment itself is left.
            let behind = names.len() - number - usize::from(byte >= SEGMENT_HEADER_BYTES);
            assert_eq!(lost.segments, behind, "{name} {byte}");
            // Of an empty one nobody can tell what was in it.
            assert!(lost.witnessed == head || lost.head == head, "{name} {byte}");
            assert!(lost.head.seq < lost.witnessed.seq);
            let records = opened(&disk, &apart).unwrap_or_else(|error| panic!("{name} {byte}: {error}"));
            assert!(is_accepted(&records));
            assert!(is_kept(&disk, &bytes, byte), "{name} {byte}");
            for later in &names[number + 1..] {
                assert!(is_kept(&disk, &sound.bytes(later), 0), "{later} behind {name} {byte}");
            }
            assert_eq!(accepted(&disk, &apart).expect("readable"), None, "once is enough");
        }
    }
}

#[test]
fn t04_whatever_a_crash_leaves_of_an_acceptance_is_refused_as_before_or_accepted() {
    let (sound, witness, _) = witnessed();
    let names: Vec<_> = sound.files().into_keys().collect();
    let flipped = |name: &String, byte: usize| {
        let (disk, mut bytes) = (copy_of(&sound), sound.bytes(name));
        bytes[byte] ^= 1;
        disk.put(name, bytes);
        disk
    };
    let last = names.last().expect("a segment");
    let damages = [
        ("an older copy", MemoryVolume::holding(&names[0], sound.bytes(&names[0]))),
        ("the first segment", flipped(&names[0], 150)),
        ("a header", flipped(&names[1], 20)),
        ("the end", flipped(last, without_zeros(&sound.bytes(last)).len() - 5)),
    ];
    for (what, damaged) in damages {
        let mut at = 1;
        loop {
            // It saw all, or remembers nothing, where the damage shows by itself.
            for forgot in [false, true] {
                let (disk, apart) = (copy_of(&damaged), copy_of(&witness));
                if forgot && what != "an older copy" && what != "the end" {
                    let mut bytes = apart.bytes("witness");
                    bytes[0] ^= 1;
                    apart.put("witness", bytes);
                }
                assert!(opened(&disk, &apart).is_err(), "{what}");
                disk.fail(at);
                // Whether it got through in spite of it does not matter.
                let _ = accepted(&disk, &apart);
                for happens in [false, true] {
                    let disk = disk.crashed(|_| happens);
                    match opened(&disk, &apart) {
                        Ok(records) => assert!(is_accepted(&records), "{what}, operation {at}, {happens}: {records:?}"),
                        Err(JournalError::Corrupt { .. } | JournalError::RolledBack { .. }) => {
                            let again = accepted(&disk, &apart).unwrap_or_else(|error| panic!("{what}, {at}: {error}"));
                            assert!(again.is_some());
                            assert!(is_accepted(&opened(&disk, &apart).expect("it goes on")));
                        }
                        Err(error) => panic!("{what}, operation {at}: {error}"),
                    }
                }
            }
            let (disk, apart) = (copy_of(&damaged), copy_of(&witness));
            accepted(&disk, &apart).expect("nothing fails");
            if disk.operations() < at {
                break;
            }
            at += 1;
        }
    }
}
