//! History as it was: the journal read from the newest saved state that is early enough, without the lock, whether somebody writes it
//! or not.

use std::path::Path;
use std::sync::Arc;

use super::opening::usable;
use crate::journal::{Access, Checkpoint, Found, JournalError, Reader, Volume, volume};
use crate::limits;
use crate::pairing::{Millis, Moment, Record, Registry, Seq, Simulation, check};

/// Why the past cannot be looked at.
#[derive(Debug, thiserror::Error)]
pub enum PastError {
    /// The journal cannot be read.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// There is no such record yet.
    #[error("there is no record {asked} yet; the last one is {head}")]
    Ahead {
        /// The record that was asked for.
        asked: Seq,
        /// The last one.
        head: Seq,
    },
    /// The journal began later.
    #[error("the journal began later than that")]
    Early {
        /// The time of its first record.
        begins: Millis,
    },
    /// The records that lead there are kept elsewhere, and no saved state before them is left.
    #[error("the records before {begins} are kept elsewhere, so that what was then cannot be told")]
    Archived {
        /// The first record that is here.
        begins: Seq,
    },
}

/// A journal that is about to be read, and what is known in front of the first record that will be.
pub struct Past {
    volume: Arc<dyn Volume>,
    start: Option<Checkpoint>,
    registry: Registry,
}

impl Past {
    /// Everything that is here: from the first record on, or where that is kept elsewhere, from the oldest saved state on.
    ///
    /// # Errors
    /// [`PastError`].
    pub fn whole(dir: &Path) -> Result<Self, PastError> {
        let (volume, begins) = begin(dir)?;
        if begins == Seq(1) {
            return Ok(Self { volume, start: None, registry: Registry::default() });
        }
        let mut saved = Checkpoint::all(&*volume)?;
        saved.reverse();
        Self::behind(volume, saved, |_| true)?.ok_or(PastError::Archived { begins })
    }

    /// What is behind the newest saved state that lies before all of these moments, or else everything.
    fn before(dir: &Path, moments: &[Moment]) -> Result<Self, PastError> {
        let (volume, begins) = begin(dir)?;
        let saved = Checkpoint::all(&*volume)?;
        let is_early = |registry: &Registry| moments.iter().all(|moment| is_until(registry, *moment));
        match Self::behind(Arc::clone(&volume), saved, is_early)? {
            Some(past) => Ok(past),
            None if begins == Seq(1) => Ok(Self { volume, start: None, registry: Registry::default() }),
            None => Err(PastError::Archived { begins }),
        }
    }

    fn behind(
        volume: Arc<dyn Volume>,
        saved: Vec<Seq>,
        will_do: impl Fn(&Registry) -> bool,
    ) -> Result<Option<Self>, JournalError> {
        for seq in saved {
            if let Some((checkpoint, registry)) = usable(&*volume, seq)?.filter(|(_, registry)| will_do(registry)) {
                return Ok(Some(Self { volume, start: Some(checkpoint), registry }));
            }
        }
        Ok(None)
    }

    /// What is known in front of the first record that will be read.
    #[must_use]
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// Tries a policy on the records up to `head`; `simulation` begins behind [`Self::registry`]. What is beyond is read too, since
    /// only its end tells that a journal is sound.
    ///
    /// # Errors
    /// [`JournalError`].
    pub fn simulate(
        self,
        mut simulation: Simulation,
        head: Seq,
        passed: &mut dyn FnMut(usize),
    ) -> Result<Simulation, JournalError> {
        let mut impossible = None;
        self.read(passed, &mut |record| {
            if impossible.is_none() && record.seq <= head {
                impossible = check(simulation.registry(), record).err();
                simulation.pass(record);
            }
        })?;
        impossible.map_or(Ok(simulation), |impossible| Err(JournalError::Impossible(impossible)))
    }

    /// Reads the records to the end of the journal, and hands each to `each`, in order. After an error, what came of them is to be
    /// thrown away. `passed` is told now and then how many records more were read.
    ///
    /// # Errors
    /// [`JournalError`].
    pub fn read(self, passed: &mut dyn FnMut(usize), each: &mut dyn FnMut(&Record)) -> Result<Reader, JournalError> {
        let mut count = 0_usize;
        let found = Found::on(self.volume, Access::Read, self.start.as_ref(), &mut |record| {
            count = count.saturating_add(1);
            if count == limits::READ_RECORDS {
                passed(count);
                count = 0;
            }
            each(record);
        });
        found.map(Found::into_reader)
    }
}

/// The journal in `dir`, and the first record of it that is here.
fn begin(dir: &Path) -> Result<(Arc<dyn Volume>, Seq), JournalError> {
    let first = Reader::open(dir)?.read(Seq(1), 1)?.first().map_or(Seq(1), |record| record.seq);
    Ok((volume(dir)?, first))
}

fn is_until(registry: &Registry, moment: Moment) -> bool {
    match moment {
        Moment::Seq(seq) => registry.head() <= seq,
        Moment::Time(at) => registry.now() <= at,
    }
}

/// What the journal in `dir` said at each of these moments, and a reader of it. `passed` is told now and then how many records more
/// were read.
///
/// # Errors
/// [`PastError`].
pub fn past<const N: usize>(
    dir: &Path,
    moments: [Moment; N],
    passed: &mut dyn FnMut(usize),
) -> Result<([Registry; N], Reader), PastError> {
    let past = Past::before(dir, &moments)?;
    let mut registry = past.registry().clone();
    let mut states: [Option<Registry>; N] = std::array::from_fn(|_| None);
    let (mut impossible, mut begins) = (None, Millis::default());
    let reader = past.read(passed, &mut |record| {
        if record.seq == Seq(1) {
            begins = record.at;
        }
        for (moment, state) in moments.iter().zip(&mut states) {
            if state.is_none() && !record.is_until(*moment) {
                *state = Some(registry.clone());
            }
        }
        // What is behind all of them is read too, since only its end tells that a journal is sound, but nobody asked for it.
        if impossible.is_none() && states.iter().any(Option::is_none) {
            impossible = check(&registry, record).err();
            registry.apply(record);
        }
    })?;
    if let Some(impossible) = impossible {
        return Err(JournalError::Impossible(impossible).into());
    }
    let states = states.map(|state| state.unwrap_or_else(|| registry.clone()));
    for (moment, state) in moments.iter().zip(&states) {
        match moment {
            Moment::Seq(asked) if *asked > state.head() => {
                return Err(PastError::Ahead { asked: *asked, head: state.head() });
            }
            Moment::Time(_) if state.head() == Seq(0) => return Err(PastError::Early { begins }),
            _ => {}
        }
    }
    Ok((states, reader))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::{Journal, Lock};
    use crate::pairing::{Actor, DEFAULT_POLICY, GatewayStopped, JournalCreated, JournalId, Policy};

    /// What is written and not yet safe is in the file all the same.
    #[test]
    fn a_policy_is_tried_up_to_the_head_that_is_given_and_no_further() {
        let scratch = tempfile::tempdir().expect("a scratch directory");
        let mut journal = Journal::create(Lock::acquire(scratch.path()).expect("free"), JournalId([9; 16])).expect("a journal");
        let begun = JournalCreated { journal: journal.id(), policy: DEFAULT_POLICY.to_owned() };
        let stopped = || GatewayStopped { cause: "a test".to_owned() };
        let events = [begun.into(), stopped().into(), stopped().into()];
        for (seq, event) in (1..).map(Seq).zip(events) {
            let record = Record { seq, at: Millis(1), actor: Actor::System, event };
            journal.append(journal.head(), &[record]).expect("written");
        }
        for (head, until) in [(Seq(0), Seq(0)), (Seq(2), Seq(2)), (Seq(u64::MAX), Seq(3))] {
            let past = Past::whole(scratch.path()).expect("a journal");
            let simulation = Simulation::new(Policy::parse(DEFAULT_POLICY).expect("a policy"), past.registry().clone());
            let simulation = past.simulate(simulation, head, &mut |_| {}).expect("sound");
            assert_eq!(simulation.registry().head(), until);
        }
    }
}
