//! A journal that was read and is not changed yet. Between the two its witness is asked: only it can tell a torn end from one
//! that was safe, and an older copy from the journal itself.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use super::checkpoint::Checkpoint;
use super::error::JournalError;
use super::lock::Lock;
use super::reader::{Index, Reader};
use super::recovery::{self, Damage, Position};
use super::segments::{self, Place, Scan, Segment, segment_name};
use super::storage::{Access, Volume};
use super::witness::Witness;
use super::{Head, Journal, Options, cut_zeros};
use crate::pairing::{JournalId, JournalRepaired, Record, Seq};

/// A journal that was read to its end.
pub struct Found {
    volume: Arc<dyn Volume>,
    segment: Segment,
    journal: JournalId,
    position: Position,
    index: Index,
    archived: Seq,
    torn: Option<Damage>,
    /// Where the last batch that was read lies.
    last: Range<u64>,
}

impl Found {
    /// Reads the journal in `volume`, from `start` on, and hands every record to `apply`, in order. After an error, what was
    /// applied is to be thrown away.
    ///
    /// # Errors
    /// [`JournalError::NotAJournal`], [`JournalError::Corrupt`], [`JournalError::TooNew`], [`JournalError::Io`],
    /// [`JournalError::Unsafe`].
    pub fn on(
        volume: Arc<dyn Volume>,
        access: Access,
        start: Option<&Checkpoint>,
        apply: &mut dyn FnMut(&Record),
    ) -> Result<Self, JournalError> {
        let firsts = segments::firsts(&*volume)?;
        let not_a_journal = || JournalError::NotAJournal { path: volume.path_of("") };
        if firsts.is_empty() {
            return Err(not_a_journal());
        }
        let mut scan = match start {
            Some(start) => Scan::after(&*volume, start.position, start.archived),
            None => Scan::new(&*volume),
        };
        let (mut index, mut last, mut end): (Option<Index>, Range<u64>, u64) = (None, 0..0, 0);
        let (segment, torn) = scan.run(&firsts, access, &mut |place, batch| match place {
            Place::Start(start) | Place::From(start) => {
                index.get_or_insert_with(|| Index::new(start)).note(start);
                (last, end) = (0..0, start.offset);
            }
            Place::Behind(position) => {
                last = end..position.offset;
                end = position.offset;
                batch.iter().for_each(&mut *apply);
                if let Some(index) = &mut index {
                    index.note(position);
                }
            }
        })?;
        let (Some((journal, position)), Some(index)) = (scan.sound, index) else { return Err(not_a_journal()) };
        let archived = scan.archived;
        Ok(Self { volume, segment, journal, position, index, archived, torn, last })
    }

    /// The journal's id.
    #[must_use]
    pub fn id(&self) -> JournalId {
        self.journal
    }

    /// The last record and the digest up to it.
    #[must_use]
    pub fn head(&self) -> Head {
        self.position.head
    }

    /// A reader of what was found and of what comes.
    #[must_use]
    pub fn into_reader(self) -> Reader {
        Reader::at(self.volume, self.segment, self.journal, self.index)
    }

    /// Goes on to write under `lock`, if what `witness` saw is there. A torn end is put aside; the caller appends what is returned of it as
    /// the next record.
    ///
    /// # Errors
    /// [`JournalError::RolledBack`] and [`JournalError::Corrupt`] (nothing was changed), [`JournalError::Io`],
    /// [`JournalError::Unsafe`].
    pub fn open(self, lock: Option<Lock>, witness: Option<Witness>) -> Result<(Journal, Option<JournalRepaired>), JournalError> {
        if let Some(witness) = &witness
            && let Some(seen) = witness.head()
        {
            self.hold(seen, witness.path())?;
        }
        let Self { volume, mut segment, journal, position, index, archived, torn, last } = self;
        let repaired = if torn.is_some() {
            let (kept, mut aside) = segments::aside(&*volume, &segment_name(segment.first), position.offset)?;
            let bytes = recovery::put_aside(&segment.path, &mut *segment.storage, position.offset, &mut *aside)?;
            Some(JournalRepaired { after: position.head.seq, offset: position.offset, bytes, kept })
        } else {
            // Zeros may be of a sync that failed.
            cut_zeros(&mut segment, position.offset)?;
            None
        };
        // Who wrote the last batch may have died before its sync, or because of it, and then the system may take for clean what
        // never reached the disk. It counts now, so it must not be lost, and the next one must not reach the disk before it.
        recovery::write_again(&segment.path, &mut *segment.storage, last)?;
        let (options, space) = (Options::default(), position.offset);
        let mut opened =
            Journal { volume, segment, journal, position, index, archived, options, space, poisoned: false, lock, witness };
        if let Some(witness) = &mut opened.witness {
            witness.note(position.head);
        }
        if opened.position.is_sealed {
            let draft = opened.draft(position.head.seq.next())?;
            opened.succeed(draft)?;
        }
        Ok((opened, repaired))
    }

    /// Whether the journal has the head that was seen.
    fn hold(&self, seen: Head, witness: &Path) -> Result<(), JournalError> {
        let head = self.position.head;
        let rolled_back = || Err(JournalError::RolledBack { head: head.seq, witnessed: seen.seq, witness: witness.to_owned() });
        if seen.seq > head.seq {
            // It was safe once, so what is torn now was damaged since.
            return self.torn.map_or_else(rolled_back, |damage| Err(self.segment.walk().corrupt(damage)));
        }
        let mut reader = Reader::at(Arc::clone(&self.volume), self.segment.another()?, self.journal, self.index.clone());
        if reader.head_at(seen.seq)? == Some(seen) { Ok(()) } else { rolled_back() }
    }
}
