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
use crate::pairing::{Event, JournalId, JournalRepaired, Record, Seq};

/// A journal that was read to its end.
pub struct Found {
    volume: Arc<dyn Volume>,
    segment: Segment,
    journal: JournalId,
    position: Position,
    index: Index,
    archived: Seq,
    torn: Option<Damage>,
    /// Whether what is torn was safe once, or something is behind it.
    is_damaged: bool,
    /// The segments behind the damage.
    beyond: Vec<Seq>,
    /// What was seen of the journal when the owner last accepted that its end is gone.
    let_go: Option<Head>,
    /// Where the last batch that was read lies.
    last: Range<u64>,
}

/// What has to be given up of a journal for it to go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lost {
    /// The last record that is left.
    pub head: Head,
    /// The last record that was there, as far as that can be known.
    pub witnessed: Head,
    /// Where what is left ends in damage: the segment's file name, and bytes from its beginning.
    pub damage: Option<(String, u64)>,
    /// Segments behind the damage.
    pub segments: usize,
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
        Self::read(volume, access, start, apply, false)
    }

    /// As [`Found::on`], but only up to the first damage.
    ///
    /// # Errors
    /// As [`Found::on`]; [`JournalError::Corrupt`] only where nothing before the damage is sound.
    pub fn up_to_damage(
        volume: Arc<dyn Volume>,
        access: Access,
        start: Option<&Checkpoint>,
        apply: &mut dyn FnMut(&Record),
    ) -> Result<Self, JournalError> {
        Self::read(volume, access, start, apply, true)
    }

    fn read(
        volume: Arc<dyn Volume>,
        access: Access,
        start: Option<&Checkpoint>,
        apply: &mut dyn FnMut(&Record),
        ends_in_damage: bool,
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
        let mut let_go = None;
        let result = scan.run(&firsts, access, &mut |place, batch| match place {
            Place::Start(start) | Place::From(start) => {
                index.get_or_insert_with(|| Index::new(start)).note(start);
                (last, end) = (0..0, start.offset);
            }
            Place::Behind(position) => {
                last = end..position.offset;
                end = position.offset;
                let_go = batch.iter().rev().find_map(let_go_in).or(let_go);
                batch.iter().for_each(&mut *apply);
                if let Some(index) = &mut index {
                    index.note(position);
                }
            }
        });
        let archived = scan.archived;
        let is_begun = firsts.first().is_some_and(|first| *first <= archived.next());
        let (segment, torn, is_damaged) = match (result, scan.sound) {
            (Ok((segment, torn)), _) => (segment, torn, false),
            (Err(error @ JournalError::Corrupt { .. }), Some((_, position))) if ends_in_damage && is_begun => {
                let Some(segment) = Segment::open(&*volume, position.segment, access)? else { return Err(error) };
                let torn = segment.damage_behind(&position)?;
                (segment, torn, true)
            }
            (Err(error), _) => return Err(error),
        };
        let (Some((journal, position)), Some(index)) = (scan.sound, index) else { return Err(not_a_journal()) };
        let beyond = firsts.into_iter().filter(|first| *first > position.segment).collect();
        Ok(Self { volume, segment, journal, position, index, archived, torn, is_damaged, beyond, let_go, last })
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

    /// What has to be given up for the journal to go on, held against what `witness` saw; nothing where it can go on as it is.
    ///
    /// # Errors
    /// [`JournalError::Io`], [`JournalError::Unsafe`].
    pub fn lost(&self, witness: Option<&Witness>) -> Result<Option<Lost>, JournalError> {
        let seen = witness.and_then(Witness::head);
        let missed = seen.map_or(Ok(None), |seen| Ok(if self.has(seen)? { None } else { Some(seen) }))?;
        if missed.is_none() && !self.is_damaged {
            return Ok(None);
        }
        let head = self.position.head;
        let behind = if self.is_damaged { self.last_behind()? } else { None };
        let unknown = Head { seq: head.seq.next(), ..head };
        let witnessed = [behind, missed].into_iter().flatten().max_by_key(|head| head.seq).unwrap_or(unknown);
        let damage = self.torn.as_ref().map(|_| (segment_name(self.segment.first), self.position.offset));
        Ok(Some(Lost { head, witnessed, damage, segments: self.beyond.len() }))
    }

    /// Goes on to write under `lock` without what is lost. All of that is put aside; the caller appends what is returned of it and
    /// the acceptance as one batch, and only then lets the witness follow: until then the journal cannot be opened otherwise.
    ///
    /// # Errors
    /// [`JournalError::Io`], [`JournalError::Unsafe`].
    pub fn accept(
        mut self,
        lost: &Lost,
        lock: Option<Lock>,
        witness: Option<&mut Witness>,
    ) -> Result<(Journal, Vec<JournalRepaired>), JournalError> {
        // Once cut off, nothing but this tells that there was more.
        if let Some(witness) = witness {
            witness.note(lost.witnessed);
            witness.sync();
        }
        let mut put_aside = vec![];
        let after = self.position.head.seq;
        for first in std::mem::take(&mut self.beyond).into_iter().rev() {
            let name = segment_name(first);
            let Some(segment) = Segment::open(&*self.volume, first, Access::Read)? else { continue };
            let bytes = segment.walk().end_of_data(0)?;
            let (kept, _) = segments::aside(&*self.volume, &name, 0)?;
            self.volume.rename(&name, &kept)?;
            self.volume.sync()?;
            put_aside.insert(0, JournalRepaired { after, offset: 0, bytes, kept });
        }
        let (journal, torn) = self.open(lock, None)?;
        Ok((journal, torn.into_iter().chain(put_aside).collect()))
    }

    /// The last head that can be read behind the damage, taking on trust what the first batch there follows.
    fn last_behind(&self) -> Result<Option<Head>, JournalError> {
        for first in self.beyond.iter().rev() {
            let Some(segment) = Segment::open(&*self.volume, *first, Access::Read)? else { continue };
            let Ok((_, start)) = segment.enter(&mut segment.walk(), None, None) else { continue };
            return Ok(Some(segment.last_behind(start)?.unwrap_or(start.head)));
        }
        self.segment.last_behind(self.position)
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
        let Self { volume, mut segment, journal, position, index, archived, torn, last, .. } = self;
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

    /// Whether the journal has the head that was seen, or the owner has accepted that it has it no more.
    fn has(&self, seen: Head) -> Result<bool, JournalError> {
        if self.let_go == Some(seen) {
            return Ok(true);
        }
        if seen.seq > self.position.head.seq {
            return Ok(false);
        }
        let mut reader = Reader::at(Arc::clone(&self.volume), self.segment.another()?, self.journal, self.index.clone());
        Ok(reader.head_at(seen.seq)? == Some(seen))
    }

    /// Whether what was seen is there.
    fn hold(&self, seen: Head, witness: &Path) -> Result<(), JournalError> {
        if self.has(seen)? {
            return Ok(());
        }
        let head = self.position.head;
        let rolled_back = || Err(JournalError::RolledBack { head: head.seq, witnessed: seen.seq, witness: witness.to_owned() });
        if seen.seq > head.seq {
            // It was safe once, so what is torn now was damaged since.
            return self.torn.map_or_else(rolled_back, |damage| Err(self.segment.walk().corrupt(damage)));
        }
        rolled_back()
    }
}

/// What was seen of the journal when this record let it go.
pub(super) fn let_go_in(record: &Record) -> Option<Head> {
    match &record.event {
        Event::RollbackAccepted(event) => Some(Head { seq: event.witnessed, hash: event.hash }),
        _ => None,
    }
}
