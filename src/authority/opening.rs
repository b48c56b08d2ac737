//! From what is on the disk to a registry: the newest checkpoint that can be used, and the records behind it. A checkpoint that
//! cannot be used is no error; without one all records are read.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::writer::note;
use crate::journal::{Access, Checkpoint, Found, Journal, JournalError, Lock, Volume, Witness, codec, volume};
use crate::limits;
use crate::pairing::{
    Actor, Condition, ConditionFound, DEFAULT_POLICY, Done, Event, JournalCreated, JournalId, Millis, Record, Registry, Seq,
    WitnessPlaced, check,
};

/// The layout in which a registry is saved. Whoever changes [`Registry`], or a type in it, takes the next number, and older
/// checkpoints are made anew; `tests/data/registry.image` reminds.
pub const LAYOUT: u32 = 4;

/// A journal that can be written, and what it says.
pub(super) struct Opened {
    pub(super) journal: Journal,
    pub(super) registry: Registry,
    /// What opening it led to, to be recorded before anything else.
    pub(super) events: Vec<Event>,
}

impl Opened {
    /// Opens the journal that `lock` is for, or begins one with the id. A witness that is not there is made in `witnesses`.
    pub(super) fn new(lock: Lock, fresh: JournalId, witnesses: Option<&Path>) -> Result<Self, JournalError> {
        let volume = lock.volume();
        if !Journal::is_in(&*volume)? {
            return Ok(Self::begun(Journal::create(lock, fresh)?, witnesses));
        }
        let (registry, found) = replay(&volume, Access::Write)?;
        let known = registry.witness().map(PathBuf::from);
        let witness = known_witness(&registry, &found)?;
        let is_well = witness.as_ref().is_some_and(|witness| witness.head().is_some());
        let (mut journal, repaired) = found.open(Some(lock), witness)?;
        if registry.head() == Seq(0) {
            return Ok(Self::begun(journal, witnesses));
        }
        let mut events: Vec<Event> = repaired.into_iter().map(Event::from).collect();
        if !is_well {
            if known.is_some() {
                let detail = "was not where it was placed, or not what was written".to_owned();
                events.push(ConditionFound { condition: Condition::Witness, detail }.into());
            }
            events.extend(place_witness(&mut journal, witnesses, known));
        }
        Ok(Self { journal, registry, events })
    }

    /// Records what opening led to, at the time that is asked for only then.
    pub(super) fn record(&mut self, at: impl FnOnce() -> Millis) -> Result<(), JournalError> {
        if self.events.is_empty() {
            return Ok(());
        }
        let at = at();
        let events = std::mem::take(&mut self.events).into_iter();
        let records: Vec<_> = events.map(|event| note(&mut self.registry, at, Actor::System, event)).collect();
        self.journal.append(self.journal.head(), &records).map(drop)
    }

    /// Saves the registry beside the journal.
    pub(super) fn save(&mut self) -> Result<Seq, JournalError> {
        save(&mut self.journal, &self.registry)?;
        Ok(self.registry.head())
    }

    /// What a journal without records begins with.
    pub(super) fn begun(mut journal: Journal, witnesses: Option<&Path>) -> Self {
        let created = JournalCreated { journal: journal.id(), policy: DEFAULT_POLICY.to_owned() };
        let mut events = vec![Event::from(created)];
        events.extend(place_witness(&mut journal, witnesses, None));
        Self { journal, registry: Registry::default(), events }
    }
}

/// The witness whose place is on record, where it is there.
pub(super) fn known_witness(registry: &Registry, found: &Found) -> Result<Option<Witness>, JournalError> {
    registry.witness().map_or(Ok(None), |path| Witness::open(Path::new(path), found.id()))
}

/// Saves what the records of the journal lead to, so that the next start need not read them all.
pub(super) fn save(journal: &mut Journal, registry: &Registry) -> Result<(), JournalError> {
    let over = JournalError::TooLarge { found: limits::CHECKPOINT_BYTES.saturating_add(1), limit: limits::CHECKPOINT_BYTES };
    journal.save(LAYOUT, registry.digest(), codec::encode_image(registry).ok_or(over)?)
}

/// Lets a new witness remember the head of the journal, in place of one that was lost.
fn place_witness(journal: &mut Journal, witnesses: Option<&Path>, lost: Option<PathBuf>) -> Option<Event> {
    let (witness, placed) = new_witness(journal.id(), witnesses, lost)?;
    journal.be_witnessed(witness);
    Some(placed)
}

/// A new witness, in place of one that was lost, and the fact of its place.
pub(super) fn new_witness(journal: JournalId, witnesses: Option<&Path>, lost: Option<PathBuf>) -> Option<(Witness, Event)> {
    let path = witnesses?.join(format!("{journal}.witness"));
    let text = |path: &Path| path.to_str().map(str::to_owned);
    let placed = WitnessPlaced { path: text(&path)?, lost: lost.as_deref().and_then(text) };
    match Witness::make(&path, journal) {
        Ok(witness) => Some((witness, placed.into())),
        Err(error) => {
            tracing::warn!(%error, "the journal has no witness, so that nobody would notice if its end were lost");
            None
        }
    }
}

/// Reads the journal in `volume`.
///
/// # Errors
/// As [`Found::on`].
pub fn replay(volume: &Arc<dyn Volume>, access: Access) -> Result<(Registry, Found), JournalError> {
    replay_by(volume, access, Found::on)
}

/// As [`replay`], but where the journal is damaged only up to there.
pub(super) fn replay_what_is_left(volume: &Arc<dyn Volume>, access: Access) -> Result<(Registry, Found), JournalError> {
    replay_by(volume, access, Found::up_to_damage)
}

/// A way to read a journal: [`Found::on`] or [`Found::up_to_damage`].
type Reading = fn(Arc<dyn Volume>, Access, Option<&Checkpoint>, &mut dyn FnMut(&Record)) -> Result<Found, JournalError>;

fn replay_by(volume: &Arc<dyn Volume>, access: Access, read: Reading) -> Result<(Registry, Found), JournalError> {
    for seq in Checkpoint::all(&**volume)? {
        match usable(&**volume, seq)? {
            Some((checkpoint, registry)) => return fold(volume, access, Some(&checkpoint), registry, read),
            None => {
                tracing::warn!(%seq, "a checkpoint cannot be used; the records are read instead, and a new one will be saved")
            }
        }
    }
    fold(volume, access, None, Registry::default(), read)
}

/// The act of record `seq` in the journal in `dir`, which somebody else may be writing, as the records up to `through` tell of it.
/// None where there is no such record, or where those before it are kept elsewhere.
///
/// # Errors
/// [`JournalError`].
pub fn done(dir: &Path, seq: Seq, through: Seq) -> Result<Option<Done>, JournalError> {
    let volume = volume(dir)?;
    let mut start = None;
    for before in Checkpoint::all(&*volume)?.into_iter().filter(|before| *before < seq) {
        start = usable(&*volume, before)?;
        if start.is_some() {
            break;
        }
    }
    let (checkpoint, mut registry) =
        start.map_or((None, Registry::default()), |(checkpoint, registry)| (Some(checkpoint), registry));
    let mut done: Option<Done> = None;
    Found::on(volume, Access::Read, checkpoint.as_ref(), &mut |record| {
        let is_next = record.seq == registry.head().next();
        match &mut done {
            Some(done) if record.seq <= through => done.then(record),
            None if is_next && record.seq < seq => registry.apply(record),
            None if is_next && record.seq == seq => done = Some(Done::new(&registry, record.clone())),
            _ => {}
        }
    })?;
    Ok(done)
}

fn fold(
    volume: &Arc<dyn Volume>,
    access: Access,
    start: Option<&Checkpoint>,
    mut registry: Registry,
    read: Reading,
) -> Result<(Registry, Found), JournalError> {
    let mut impossible = None;
    let found = read(Arc::clone(volume), access, start, &mut |record| {
        if impossible.is_none() {
            impossible = check(&registry, record).err();
            registry.apply(record);
        }
    })?;
    impossible.map_or(Ok((registry, found)), |impossible| Err(JournalError::Impossible(impossible)))
}

/// The checkpoint at `seq`, if it stands in this journal, holds what it held when it was saved, and is not ahead of the witness:
/// behind it alone could be told whether the journal has what the witness saw.
pub(super) fn usable(volume: &dyn Volume, seq: Seq) -> Result<Option<(Checkpoint, Registry)>, JournalError> {
    let Some(checkpoint) = Checkpoint::load(volume, seq)?.filter(|checkpoint| checkpoint.layout == LAYOUT) else {
        return Ok(None);
    };
    let Some(registry) = codec::decode_image::<Registry>(&checkpoint.image) else { return Ok(None) };
    if registry.head() != seq || registry.digest() != checkpoint.digest {
        return Ok(None);
    }
    let seen = match registry.witness() {
        Some(path) => Witness::look(Path::new(path))?,
        None => None,
    };
    Ok(if seen.is_some_and(|(_, head)| head.seq < seq) { None } else { Some((checkpoint, registry)) })
}
