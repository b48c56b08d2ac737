//! A journal whose end is gone, or damaged, given up from there on by its owner: shown first, then accepted as it was shown. What
//! is given up is put aside and not deleted, and until the acceptance is on the disk the journal opens no more than before.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::clock::Clock;
use super::opening::{known_witness, new_witness, replay_what_is_left, save};
use super::writer::note;
use crate::host::Host;
use crate::journal::{Access, JournalError, Lock, Lost, payload_bytes, volume};
use crate::limits;
use crate::pairing::{Actor, Command, Context, DeviceId, Event, Issue, Mint, Outcome, Refusal, Registry, Role, decide};

/// What is left of a journal that has to be given up in part.
pub struct Remains {
    /// What its records lead to.
    pub registry: Registry,
    /// What is lost.
    pub lost: Lost,
}

/// What is left of the journal in `dir` where it cannot go on as it is; nothing where it can, or where not even its beginning is left.
///
/// # Errors
/// [`JournalError`].
pub fn remains(dir: &Path) -> Result<Option<Remains>, JournalError> {
    let (registry, found) = replay_what_is_left(&volume(dir)?, Access::Read)?;
    let witness = known_witness(&registry, &found)?;
    let lost = found.lost(witness.as_ref())?.filter(|_| registry.journal().is_some());
    Ok(lost.map(|lost| Remains { registry, lost }))
}

/// Gives up what is lost of the journal that `lock` is for, which must be what was `shown`, and records that `actor` did. Until that
/// record is on the disk, the journal is as good as it was. Tells what is true then.
///
/// # Errors
/// [`NotAccepted`]; but for an error of the disk nothing was changed.
pub fn accept_rollback(
    lock: Lock,
    host: &dyn Host,
    witnesses: Option<&Path>,
    actor: Actor,
    shown: &Lost,
    keeps: Vec<DeviceId>,
) -> Result<Registry, NotAccepted> {
    let (mut registry, found) = replay_what_is_left(&lock.volume(), Access::Write)?;
    let mut witness = known_witness(&registry, &found)?;
    let lost = found.lost(witness.as_ref())?.filter(|lost| lost == shown).ok_or(NotAccepted::Moved)?;
    let mut clock = Clock::start(&registry, host);
    let now = clock.now(host);
    let context = Context { actor: actor.clone(), now, ids: [host.uuid(), host.uuid()], mint: &NoTokens };
    let command = Command::AcceptRollback { witnessed: lost.witnessed.seq, hash: lost.witnessed.hash, keeps };
    let policy = Arc::clone(registry.policy());
    let decision = decide(&registry, &policy, command, &context);
    if let Outcome::Refused(refusal) = decision.outcome {
        return Err(NotAccepted::Refused(refusal));
    }
    if let Some((_, event)) = decision.events.iter().find(|(_, event)| payload_bytes(&actor, event) >= limits::RECORD_BYTES) {
        let found = payload_bytes(&actor, event);
        return Err(JournalError::TooLarge { found, limit: limits::RECORD_BYTES }.into());
    }
    let mut placed = None;
    if witness.is_none() {
        (witness, placed) = new_witness(found.id(), witnesses, registry.witness().map(PathBuf::from)).unzip();
    }
    let (mut journal, put_aside) = found.accept(&lost, Some(lock), witness.as_mut())?;
    let aside = put_aside.into_iter().map(|event| (Actor::System, Event::from(event)));
    let placed = placed.map(|event| (Actor::System, event));
    let events = aside.chain(decision.events).chain(placed);
    let records: Vec<_> = events.map(|(actor, event)| note(&mut registry, now, actor, event)).collect();
    journal.append(journal.head(), &records)?;
    if let Some(witness) = witness {
        journal.be_witnessed(witness);
    }
    save(&mut journal, &registry)?;
    Ok(registry)
}

/// Why a journal was not given up in part.
#[derive(Debug, thiserror::Error)]
pub enum NotAccepted {
    /// It is not what was shown any more.
    #[error("the journal is not what it was a moment ago: look again: openclaw recover")]
    Moved,
    /// Whoever asked may not, or names what is not there.
    #[error("it is refused")]
    Refused(Box<Refusal>),
    /// The journal cannot be used.
    #[error(transparent)]
    Journal(#[from] JournalError),
}

/// Nothing is issued by it.
struct NoTokens;

impl Mint for NoTokens {
    fn mint(&self, _: &DeviceId, _: Role) -> Option<Issue> {
        None
    }
}
