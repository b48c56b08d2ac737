//! Looking at a journal without changing it: what it is worth as a whole, and what stands in it on both sides of damage.

use std::path::{Path, PathBuf};

use super::Head;
use super::directory::Directory;
use super::error::{JournalError, Newer};
use super::format::{Fault, SEGMENT_HEADER_BYTES};
use super::found::let_go_in;
use super::recovery::{Damage, Position, Step};
use super::segments::{self, Place, Scan, Segment, check_beginning, check_order, segment_name};
use super::storage::{Access, length};
use super::witness::Witness;
use crate::pairing::{Event, JournalId, Record, Seq};

/// What a walk over a whole journal found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Every byte is what was written, as far as the journal itself can tell: that nothing is missing at its end only a head
    /// remembered elsewhere can.
    Sound(Extent),
    /// The last batch is not whole; it was never acknowledged. Opening the journal puts it aside.
    TornTail {
        /// What is before it.
        sound: Extent,
        /// Bytes of the torn end up to the last one that is not zero.
        bytes: u64,
        /// What is wrong with it.
        what: Fault,
    },
    /// Something that was once safe cannot be read.
    Corrupt {
        /// What is before it; none where the segment header is damaged.
        sound: Option<Extent>,
        /// File name of the segment.
        segment: String,
        /// Where the damage begins, in bytes from the beginning of the segment.
        offset: u64,
        /// The first record that cannot be trusted.
        seq: Seq,
        /// What is wrong.
        what: Fault,
    },
    /// Every byte is what was written, and it is not the journal that was there: the witness saw another one, or a longer one.
    RolledBack {
        /// What is there.
        sound: Extent,
        /// The last record that the witness saw.
        witnessed: Seq,
        /// The witness.
        witness: PathBuf,
    },
    /// Sound, but not of this version.
    TooNew {
        /// What is before it; none where the version itself is another.
        sound: Option<Extent>,
        /// File name of the segment.
        segment: String,
        /// What this version does not know.
        found: Newer,
    },
}

/// What is sound of a journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extent {
    /// The journal's id.
    pub journal: JournalId,
    /// Its last sound record and the digest of the batch that ends with it.
    pub head: Head,
    /// How many records.
    pub records: u64,
    /// The first of them; where it is not 1, those before it are kept elsewhere.
    pub begins: Seq,
    /// The last segment's file name.
    pub segment: String,
    /// Where its sound part ends, in bytes.
    pub offset: u64,
    /// Up to which record the witness says that nothing is missing; none where there is no witness.
    pub witnessed: Option<Seq>,
}

/// Judges the journal in `dir`: every byte, every digest, every record. Changes nothing and needs no lock; a batch that is
/// being appended meanwhile can show as a torn tail.
///
/// # Errors
/// [`JournalError::NotAJournal`], [`JournalError::Io`], [`JournalError::Unsafe`]. Damage is a verdict, not an error.
pub fn verify(dir: &Path) -> Result<Verdict, JournalError> {
    read_all(dir, &mut |_, _| {})
}

/// As [`verify`], and hands what is sound to `each` on the way: at the start of each segment the head that it goes on from,
/// without records, then each batch's records and the head behind them.
///
/// # Errors
/// As [`verify`].
pub fn read_all(dir: &Path, each: &mut dyn FnMut(Head, &[Record])) -> Result<Verdict, JournalError> {
    let (directory, firsts) = listed(dir)?;
    let mut scan = Scan::new(&directory);
    let begins = firsts.first().copied().unwrap_or(Seq(1));
    let mut watch = Watch::default();
    let mut looked = Ok(());
    let result = scan.run(&firsts, Access::Read, &mut |place, records| match place {
        Place::Start(position) | Place::From(position) => {
            watch.pass(position.head);
            each(position.head, &[]);
        }
        Place::Behind(position) => {
            for record in records.iter() {
                if let (Event::WitnessPlaced(event), Ok(())) = (&record.event, &looked) {
                    looked = watch.ask(Path::new(&event.path));
                }
            }
            watch.pass(position.head);
            records.iter().filter_map(let_go_in).for_each(|head| watch.is_held |= watch.is(head));
            each(position.head, records);
        }
    });
    looked?;
    let sound = scan.sound.map(|(journal, position)| Extent {
        journal,
        head: position.head,
        records: position.head.seq.next().0.saturating_sub(begins.0),
        begins,
        segment: segment_name(position.segment),
        offset: position.offset,
        witnessed: None,
    });
    match (result, sound) {
        (Ok((segment, torn)), Some(sound)) => {
            let seen = watch.seen.filter(|(journal, _)| *journal == sound.journal).map(|(_, head)| head.seq);
            let is_ahead = !watch.is_held && seen.is_some_and(|seen| seen > sound.head.seq);
            match (torn, seen) {
                (Some(Damage { offset, seq, what }), _) if is_ahead => {
                    Ok(Verdict::Corrupt { segment: sound.segment.clone(), sound: Some(sound), offset, seq, what })
                }
                (_, Some(witnessed)) if !watch.is_held => Ok(Verdict::RolledBack { sound, witnessed, witness: watch.witness }),
                (Some(damage), witnessed) => {
                    let bytes = segment.walk().end_of_data(sound.offset)?.saturating_sub(sound.offset);
                    Ok(Verdict::TornTail { sound: Extent { witnessed, ..sound }, bytes, what: damage.what })
                }
                (None, witnessed) => Ok(Verdict::Sound(Extent { witnessed, ..sound })),
            }
        }
        (Ok(_), None) => Err(JournalError::NotAJournal { path: dir.to_owned() }),
        (Err(error), sound) => verdict(error, sound),
    }
}

/// What the witness saw, and whether it was met.
#[derive(Default)]
struct Watch {
    seen: Option<(JournalId, Head)>,
    witness: PathBuf,
    passed: Option<Head>,
    is_held: bool,
}

impl Watch {
    /// Asks the witness at `path`, early, so that a writer which goes on meanwhile does not make it look ahead.
    fn ask(&mut self, path: &Path) -> Result<(), JournalError> {
        self.seen = Witness::look(path)?;
        self.witness = path.to_owned();
        self.is_held = self.passed.is_some_and(|head| self.is(head));
        Ok(())
    }

    fn pass(&mut self, head: Head) {
        self.is_held |= self.is(head);
        self.passed = Some(head);
    }

    fn is(&self, head: Head) -> bool {
        self.seen.is_some_and(|(_, seen)| seen == head)
    }
}

/// The directory and the first seqs of its segments, of which there is at least one.
fn listed(dir: &Path) -> Result<(Directory, Vec<Seq>), JournalError> {
    let not_a_journal = || JournalError::NotAJournal { path: dir.to_owned() };
    let directory = Directory::open(dir)?.ok_or_else(not_a_journal)?;
    let firsts = segments::firsts(&directory)?;
    if firsts.is_empty() { Err(not_a_journal()) } else { Ok((directory, firsts)) }
}

fn verdict(error: JournalError, sound: Option<Extent>) -> Result<Verdict, JournalError> {
    match error {
        JournalError::Corrupt { segment, offset, seq, what } => Ok(Verdict::Corrupt { sound, segment, offset, seq, what }),
        JournalError::TooNew { segment, found } => Ok(Verdict::TooNew { sound, segment, found }),
        error => Err(error),
    }
}

/// One thing to show of a journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shown {
    /// A sound record.
    Record(Box<Record>),
    /// Bytes that are not. Records after it have sound checksums and follow each other, but what they follow is not known.
    Damage {
        /// File name of the segment.
        segment: String,
        /// Where it begins, in bytes.
        offset: u64,
        /// The first record that cannot be trusted.
        seq: Seq,
        /// What is wrong, as a sentence.
        what: String,
        /// Where the next sound batch begins and with which seq; none where nothing more can be read.
        resumes: Option<(u64, Seq)>,
    },
}

/// Hands the records of the journal in `dir` from `from` on to `each`, and every damage among them, until `each` says false.
/// Changes nothing and needs no lock.
///
/// # Errors
/// [`JournalError::NotAJournal`], [`JournalError::Io`], [`JournalError::Unsafe`]; damage only where the segment header itself
/// cannot be read.
pub fn show(dir: &Path, from: Seq, each: &mut dyn FnMut(Shown) -> bool) -> Result<(), JournalError> {
    let (directory, firsts) = listed(dir)?;
    // What is kept elsewhere is no damage.
    let (mut journal, mut before, mut is_lost) = (None, None, check_beginning(&directory, &firsts).is_ok());
    for first in firsts {
        if !is_lost && let Err(error) = check_order(first, before.as_ref()) {
            let JournalError::Corrupt { segment, offset, seq, what } = error else { return Err(error) };
            let resumes = Some((length(SEGMENT_HEADER_BYTES), first));
            if !each(Shown::Damage { segment, offset, seq, what: what.to_string(), resumes }) {
                return Ok(());
            }
            before = None;
        }
        let Some(segment) = Segment::open(&directory, first, Access::Read)? else { return Ok(()) };
        let (id, start) = segment.enter(&mut segment.walk(), journal, before.as_ref())?;
        journal = Some(id);
        match show_segment(&segment, start, from, each)? {
            Flow::Stop => return Ok(()),
            Flow::Sound(end) => (before, is_lost) = (Some(end), false),
            // What is missing was shown; the next segment stands for itself.
            Flow::Lost => (before, is_lost) = (None, true),
        }
    }
    Ok(())
}

/// How the records of a segment end.
enum Flow {
    /// Nobody wants more.
    Stop,
    /// At a place from which the next segment goes on.
    Sound(Position),
    /// In damage.
    Lost,
}

fn show_segment(
    segment: &Segment,
    mut position: Position,
    from: Seq,
    each: &mut dyn FnMut(Shown) -> bool,
) -> Result<Flow, JournalError> {
    let mut walk = segment.walk();
    let mut records = Vec::new();
    loop {
        let (offset, seq, what) = match walk.step(&mut position, &mut records) {
            Ok(Step::Batch) => {
                if !records.drain(..).filter(|record| record.seq >= from).all(|record| each(Shown::Record(Box::new(record)))) {
                    return Ok(Flow::Stop);
                }
                continue;
            }
            Ok(Step::End) => return Ok(Flow::Sound(position)),
            Ok(Step::Unsound(damage)) => (damage.offset, damage.seq, damage.what.to_string()),
            Err(JournalError::Corrupt { offset, seq, what, .. }) => (offset, seq, what.to_string()),
            Err(JournalError::TooNew { found, .. }) => (position.offset, position.head.seq.next(), found.to_string()),
            Err(error) => return Err(error),
        };
        let later = walk.resume_after(&position)?;
        let resumes = later.map(|later| (later.offset, later.head.seq.next()));
        if !each(Shown::Damage { segment: segment_name(segment.first), offset, seq, what, resumes }) {
            return Ok(Flow::Stop);
        }
        match later {
            Some(later) => position = later,
            None => return Ok(Flow::Lost),
        }
    }
}
