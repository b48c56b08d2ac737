//! The one writer. It owns registry and journal on a thread of its own: takes the commands that wait as one batch, decides
//! each on what the ones before it made, appends, syncs once, and only then publishes, tells the observer and answers.
//! Durable before visible: if the append fails nobody is answered, and nothing is written until the journal is reopened.

mod clock;
mod ledger;
mod opening;
mod past;
mod rollback;
mod sound;
#[cfg(test)]
mod storms;
#[cfg(test)]
mod strangers;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use tokio::sync::{mpsc, oneshot, watch};

use crate::host::Host;
use crate::journal::{Access, Head, JournalError, Lock, Reader, volume};
use crate::limits;
use crate::pairing::{
    Actor, Command, Context, Decision, DeviceId, DeviceToken, Granted, Issue, JournalId, KeyId, Millis, Mint, Outcome, Record,
    Registry, Role, Salt, Seq, SharedSecret, Shown, TokenKey, decide,
};
use clock::Clock;
use ledger::Ledger;
use opening::Opened;
pub use opening::{LAYOUT, done, replay};
pub use past::{Past, PastError, past};
pub use rollback::{NotAccepted, Remains, accept_rollback, remains};
pub use sound::verify;
use writer::Writer;

/// Nothing can be decided, because nothing can be recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the journal cannot be written")]
pub struct Unavailable;

/// What is true, and how far it is known to be safe.
#[derive(Clone)]
pub struct Published {
    /// What the records lead to.
    pub registry: Arc<Registry>,
    /// The last record and the digest up to it; none where nobody writes.
    pub head: Option<Head>,
    /// When the sync that made it durable had ended, by the wall clock; none before this writer's first.
    pub synced: Option<Millis>,
}

/// Hears the records of each batch, and the head behind them, once they are durable and published, before anybody is answered.
pub type Observer = Box<dyn Fn(&[Record], &Registry, Head) + Send>;

/// What stands in the journal in `dir`, which somebody else may be writing, and a reader of it.
///
/// # Errors
/// [`JournalError`].
pub fn look(dir: &Path) -> Result<(Registry, Reader), JournalError> {
    let (registry, found) = replay(&volume(dir)?, Access::Read)?;
    Ok((registry, found.into_reader()))
}

/// The running writer. Dropping it and every [`Handle`] ends the thread and frees the journal's lock.
pub struct Authority {
    handle: Handle,
    reader: Reader,
    thread: JoinHandle<()>,
}

/// A way to the writer, for as many askers as there are.
#[derive(Clone)]
pub struct Handle {
    jobs: mpsc::Sender<Job>,
    published: watch::Receiver<Published>,
    tokens: Arc<Tokens>,
    records: Arc<AtomicBool>,
    owes: Arc<AtomicBool>,
}

struct Job {
    command: Command,
    actor: Actor,
    shown: Shown,
    answer: oneshot::Sender<Result<Outcome, Unavailable>>,
}

/// After how long, and where to, sealed segments are moved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Age of a segment's last record, in milliseconds.
    pub older_than_ms: u64,
    /// A directory outside the state directory.
    pub archive: PathBuf,
}

/// Opens the journal that `lock` is for, saves what it leads to beside it, and tells up to which record.
///
/// # Errors
/// [`JournalError`].
pub fn checkpoint(lock: Lock, host: &dyn Host, witnesses: Option<&Path>) -> Result<Seq, JournalError> {
    let mut opened = Opened::new(lock, JournalId(host.uuid()), witnesses)?;
    let mut clock = Clock::start(&opened.registry, host);
    opened.record(|| clock.now(host))?;
    opened.save()
}

impl Authority {
    /// Opens the journal in `dir`, or begins one, folds it, and starts to write. A witness that is not there is made in
    /// `witnesses`, where that is said.
    ///
    /// # Errors
    /// [`JournalError`], in which case no byte was changed.
    pub fn open(
        dir: &Path,
        lock: Lock,
        host: Arc<dyn Host>,
        key: Option<TokenKey>,
        witnesses: Option<&Path>,
        retention: Option<Retention>,
        observer: Observer,
    ) -> Result<Self, JournalError> {
        Self::over(Opened::new(lock, JournalId(host.uuid()), witnesses)?, dir, host, key, retention, observer)
    }

    /// Starts to write a journal, beginning with what opening it led to.
    fn over(
        mut opened: Opened,
        dir: &Path,
        host: Arc<dyn Host>,
        key: Option<TokenKey>,
        retention: Option<Retention>,
        observer: Observer,
    ) -> Result<Self, JournalError> {
        let mut clock = Clock::start(&opened.registry, &*host);
        opened.record(|| clock.now(&*host))?;
        let Opened { journal, registry, .. } = opened;
        let tokens = Arc::new(Tokens { key, journal: journal.id(), host: Arc::clone(&host) });
        let (jobs, waiting) = mpsc::channel(limits::COMMAND_QUEUE);
        let (head, reader) = (journal.head(), journal.reader()?);
        let (publish, published) = watch::channel(Published::new(registry.clone(), Some(head), None));
        let records = Arc::new(AtomicBool::new(true));
        let owes = Arc::new(AtomicBool::new(false));
        let handle =
            Handle { jobs, published, tokens: Arc::clone(&tokens), records: Arc::clone(&records), owes: Arc::clone(&owes) };
        let mut seed = [0; 16];
        host.fill(&mut seed);
        let ledger = Ledger::new(seed);
        let saved = head.seq;
        let writer =
            Writer { journal, head, saved, registry, ledger, clock, host, tokens, publish, observer, records, owes, retention };
        let thread = std::thread::Builder::new()
            .name("authority".to_owned())
            .spawn(move || writer.run(waiting))
            .map_err(|source| JournalError::Io { path: dir.into(), op: "start the writer of", source })?;
        Ok(Self { handle, reader, thread })
    }

    /// Separates the writer's end from a reader of the same journal.
    #[must_use]
    pub fn split(self) -> (Handle, Reader, Writing) {
        (self.handle, self.reader, Writing(self.thread))
    }
}

impl Published {
    fn new(registry: Registry, head: Option<Head>, synced: Option<Millis>) -> Self {
        Self { registry: Arc::new(registry), head, synced }
    }
}

/// The writer's thread.
pub struct Writing(JoinHandle<()>);

impl Writing {
    /// Waits until every handle is gone and the journal is closed.
    pub fn join(self) {
        // A panic of the writer was already answered to everyone who waited.
        let _ = self.0.join();
    }
}

impl Handle {
    /// A way to what is on record where nobody writes: whoever asks for a command is told that it cannot be recorded.
    #[must_use]
    pub fn resting(registry: Registry, journal: JournalId, host: Arc<dyn Host>) -> Self {
        let (jobs, _) = mpsc::channel(1);
        let (_, published) = watch::channel(Published::new(registry, None, None));
        let tokens = Arc::new(Tokens { key: None, journal, host });
        Self { jobs, published, tokens, records: Arc::default(), owes: Arc::default() }
    }

    /// Asks for a command and waits until what it led to is durable.
    ///
    /// # Errors
    /// [`Unavailable`]: it was not recorded, so it did not happen.
    pub async fn ask(&self, command: Command, actor: Actor) -> Result<Outcome, Unavailable> {
        self.ask_presenting(command, actor, Shown::default()).await
    }

    /// As [`Self::ask`], for a connect that shows what only the writer judges, on the state it decides on.
    ///
    /// # Errors
    /// [`Unavailable`].
    pub async fn ask_presenting(&self, command: Command, actor: Actor, shown: Shown) -> Result<Outcome, Unavailable> {
        let (answer, answered) = oneshot::channel();
        self.jobs.send(Job { command, actor, shown, answer }).await.map_err(|_| Unavailable)?;
        answered.await.map_err(|_| Unavailable)?
    }

    /// What a command would lead to if it were asked for now, and when that is; nothing is recorded. Ids and tokens in it are made
    /// up, and a connect presents nothing.
    #[must_use]
    pub fn consider(&self, command: Command, actor: Actor) -> (Decision, Millis) {
        let (registry, host) = (self.registry(), &self.tokens.host);
        let now = registry.now().max(host.wall());
        let context = Context { actor, now, ids: [host.uuid(), host.uuid()], mint: &*self.tokens };
        (decide(&registry, registry.policy(), command, &context), now)
    }

    /// Whether what is asked for can be recorded, as far as is known.
    #[must_use]
    pub fn records(&self) -> bool {
        self.records.load(Ordering::Relaxed)
    }

    /// Whether somebody was refused whom no record tells of yet: it is time to come back with any command.
    #[must_use]
    pub fn owes(&self) -> bool {
        self.owes.load(Ordering::Relaxed)
    }

    /// What is published now.
    #[must_use]
    pub fn published(&self) -> Published {
        self.published.borrow().clone()
    }

    /// What is published now to be true.
    #[must_use]
    pub fn registry(&self) -> Arc<Registry> {
        Arc::clone(&self.published.borrow().registry)
    }

    /// Told whenever something newer is published.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<Published> {
        self.published.clone()
    }

    /// The key that new tokens are derived with, where it can be used.
    #[must_use]
    pub fn key_id(&self) -> Option<KeyId> {
        self.tokens.key.as_ref().map(TokenKey::id)
    }

    /// A mark of the shared secret, by which a later start sees whether it is another, where the key can be used.
    #[must_use]
    pub fn mark(&self, secret: &SharedSecret) -> Option<String> {
        self.tokens.key.as_ref().map(|key| key.mark(&self.tokens.journal, secret))
    }

    /// The text of a token on record, where its key is at hand: made again, for its own device.
    #[must_use]
    pub fn token(&self, granted: &Granted) -> Option<DeviceToken> {
        self.tokens.remake(granted)
    }
}

/// Issues tokens, and makes those on record again.
struct Tokens {
    key: Option<TokenKey>,
    journal: JournalId,
    host: Arc<dyn Host>,
}

impl Tokens {
    fn remake(&self, granted: &Granted) -> Option<DeviceToken> {
        let (key, issue) = (self.key.as_ref()?, granted.issue?);
        let token = key.derive(&self.journal, &granted.device, granted.role, &issue.salt);
        (key.id() == issue.key && crate::pairing::same(&token.digest(), &issue.digest)).then_some(token)
    }
}

impl Mint for Tokens {
    fn mint(&self, device: &DeviceId, role: Role) -> Option<Issue> {
        let key = self.key.as_ref()?;
        let mut salt = [0; 16];
        self.host.fill(&mut salt);
        let token = key.derive(&self.journal, device, role, &Salt(salt));
        Some(Issue { salt: Salt(salt), key: key.id(), digest: token.digest() })
    }
}
#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::ManualHost;
    use crate::journal::{Journal, MemoryVolume};
    use crate::pairing::{GatewayStopped, Millis};

    #[tokio::test]
    async fn d07_what_is_not_on_the_disk_is_answered_published_and_heard_by_nobody() {
        let disk = MemoryVolume::default();
        let journal = Journal::create_on(Arc::new(disk.clone()), JournalId([1; 16])).expect("begun");
        let (heard, hears) = std::sync::mpsc::channel();
        let observer =
            Box::new(move |records: &[Record], _: &Registry, _: Head| heard.send(records.len()).expect("the test listens"));
        let host = Arc::new(ManualHost::new(Millis(1), 1));
        let authority = Authority::over(Opened::begun(journal, None), Path::new("memory"), host, None, None, observer);
        let (handle, _, writing) = authority.expect("it writes").split();
        let ask = || handle.ask(Command::Stop(GatewayStopped { cause: "a test".to_owned() }), Actor::System);
        assert_eq!((ask().await, handle.records()), (Ok(Outcome::Noted), true));
        let (head, bytes) = (handle.registry().head(), disk.files());

        disk.fail_sync(1);
        assert_eq!(ask().await, Err(Unavailable));
        assert_eq!(ask().await, Err(Unavailable), "the disk is well again, but nobody knows what is on it");
        assert_eq!((handle.registry().head(), handle.records()), (head, false));
        assert!(disk.files() != bytes, "or nothing was written that could have failed");
        drop(handle);
        writing.join();
        assert_eq!(hears.iter().collect::<Vec<_>>(), [1]);
    }
}
