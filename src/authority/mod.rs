//! The one writer. It owns registry and journal on a thread of its own: takes the commands that wait as one batch, decides
//! each on what the ones before it made, appends, syncs once, and only then publishes, tells the observer and answers.
//! Durable before visible: if the append fails nobody is answered, and nothing is written until the journal is reopened.

mod opening;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use tokio::sync::{mpsc, oneshot, watch};

use crate::host::Host;
use crate::journal::{Access, Head, Journal, JournalError, Lock, Reader, volume};
use crate::limits;
use crate::pairing::{
    Actor, Command, Condition, Context, DeviceId, DeviceToken, Event, Granted, Issue, JournalId, KeyId, Millis, Mint, Outcome,
    Presented, Record, Registry, RequestId, Role, Salt, Seq, TokenKey, check, decide, takes_away,
};
use opening::Opened;
pub use opening::{LAYOUT, replay};

/// Nothing can be decided, because nothing can be recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the journal cannot be written")]
pub struct Unavailable;

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
    registry: watch::Receiver<Arc<Registry>>,
    tokens: Arc<Tokens>,
    records: Arc<AtomicBool>,
}

struct Job {
    command: Command,
    actor: Actor,
    presented: Option<Presented>,
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
        let (publish, published) = watch::channel(Arc::new(registry.clone()));
        let records = Arc::new(AtomicBool::new(true));
        let handle = Handle { jobs, registry: published, tokens: Arc::clone(&tokens), records: Arc::clone(&records) };
        let (head, reader) = (journal.head(), journal.reader()?);
        let saved = head.seq;
        let writer = Writer { journal, head, saved, registry, clock, host, tokens, publish, observer, records, retention };
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
        let (_, published) = watch::channel(Arc::new(registry));
        let tokens = Arc::new(Tokens { key: None, journal, host });
        Self { jobs, registry: published, tokens, records: Arc::new(AtomicBool::new(false)) }
    }

    /// Asks for a command and waits until what it led to is durable.
    ///
    /// # Errors
    /// [`Unavailable`]: it was not recorded, so it did not happen.
    pub async fn ask(&self, command: Command, actor: Actor) -> Result<Outcome, Unavailable> {
        self.ask_presenting(command, actor, None).await
    }

    /// As [`Self::ask`], for a connect that presents a device token; the writer judges it on the state it decides on.
    ///
    /// # Errors
    /// [`Unavailable`].
    pub async fn ask_presenting(
        &self,
        command: Command,
        actor: Actor,
        presented: Option<Presented>,
    ) -> Result<Outcome, Unavailable> {
        let (answer, answered) = oneshot::channel();
        self.jobs.send(Job { command, actor, presented, answer }).await.map_err(|_| Unavailable)?;
        answered.await.map_err(|_| Unavailable)?
    }

    /// Whether what is asked for can be recorded, as far as is known.
    #[must_use]
    pub fn records(&self) -> bool {
        self.records.load(Ordering::Relaxed)
    }

    /// What is published now.
    #[must_use]
    pub fn registry(&self) -> Arc<Registry> {
        Arc::clone(&self.registry.borrow())
    }

    /// Told whenever something newer is published.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<Arc<Registry>> {
        self.registry.clone()
    }

    /// The key that new tokens are derived with, where it can be used.
    #[must_use]
    pub fn key_id(&self) -> Option<KeyId> {
        self.tokens.key.as_ref().map(TokenKey::id)
    }

    /// The text of a token on record, where its key is at hand: made again, for its own device.
    #[must_use]
    pub fn token(&self, granted: &Granted) -> Option<DeviceToken> {
        self.tokens.remake(granted)
    }
}

struct Writer {
    journal: Journal,
    head: Head,
    /// The last record of the last checkpoint, or of what was read at the start.
    saved: Seq,
    registry: Registry,
    clock: Clock,
    host: Arc<dyn Host>,
    tokens: Arc<Tokens>,
    publish: watch::Sender<Arc<Registry>>,
    observer: Observer,
    records: Arc<AtomicBool>,
    retention: Option<Retention>,
}

impl Writer {
    fn run(mut self, mut waiting: mpsc::Receiver<Job>) {
        let mut batch = Vec::new();
        while let Some(first) = waiting.blocking_recv() {
            batch.push(first);
            while batch.len() < limits::BATCH_COMMANDS
                && let Ok(next) = waiting.try_recv()
            {
                batch.push(next);
            }
            self.write(std::mem::take(&mut batch));
            self.seal();
        }
        if self.head.seq.0.saturating_sub(self.saved.0) >= limits::CHECKPOINT_RECORDS {
            self.save();
        }
        self.journal.sync_witness();
    }

    /// Ends the segment where it is long enough. Nobody waits for it, and where it fails the next command tells.
    fn seal(&mut self) {
        let Some(seal) = self.journal.seal() else { return };
        let mut registry = self.registry.clone();
        let at = self.clock.now(&*self.host);
        let records = [note(&mut registry, at, Actor::System, seal.into())];
        match self.journal.append(self.head, &records) {
            Ok(head) => {
                self.made(head, registry, &records);
                self.save();
                if let Err(error) = self.archive() {
                    tracing::warn!(%error, "old segments were not archived; they are tried again with the next");
                }
            }
            Err(error) => tracing::error!(%error, "the journal's segment could not be sealed"),
        }
    }

    /// Moves old segments away, where that is wanted and the state that they lead to is saved.
    fn archive(&mut self) -> Result<(), JournalError> {
        let Some(Retention { older_than_ms, archive }) = self.retention.clone() else { return Ok(()) };
        if self.saved != self.head.seq {
            return Ok(());
        }
        let at = self.clock.now(&*self.host);
        let before = Millis(at.0.saturating_sub(older_than_ms));
        let Some(event) = self.journal.archivable(before, &archive.to_string_lossy())? else { return Ok(()) };
        let mut registry = self.registry.clone();
        let records = [note(&mut registry, at, Actor::System, event.into())];
        let head = self.journal.append(self.head, &records)?;
        self.made(head, registry, &records);
        self.save();
        self.journal.archive(&archive)
    }

    /// Saves the registry, so that the next start needs not read all of history.
    fn save(&mut self) {
        if self.journal.witness().is_some_and(|witness| !witness.is_well()) {
            tracing::warn!("the witness of the journal's head cannot be written; if the end were lost now, nobody would notice");
        }
        match opening::save(&mut self.journal, &self.registry) {
            Ok(()) => self.saved = self.head.seq,
            Err(error) => tracing::warn!(%error, "no checkpoint was saved; the next start takes longer"),
        }
    }

    /// Publishes what is durable now.
    fn made(&mut self, head: Head, registry: Registry, records: &[Record]) {
        self.head = head;
        self.registry = registry;
        self.publish.send_replace(Arc::new(self.registry.clone()));
        (self.observer)(records, &self.registry, head);
    }

    fn write(&mut self, jobs: Vec<Job>) {
        let decided = self.decide(jobs);
        if decided.records.is_empty() {
            return self.answer(self.head, decided);
        }
        match self.journal.append(self.head, &decided.records) {
            Ok(head) => {
                self.records.store(true, Ordering::Relaxed);
                self.answer(head, decided);
            }
            Err(error) => {
                tracing::error!(%error, "nothing is recorded, so nothing is answered");
                self.records.store(false, Ordering::Relaxed);
                let is_full = matches!(error, JournalError::Full { .. });
                let (jobs, others): (Vec<_>, Vec<_>) =
                    decided.answers.into_iter().partition(|job| is_full && job.again.is_some());
                others.into_iter().for_each(Answer::unavailable);
                self.write_from_reserve(jobs.into_iter().filter_map(Answer::again).collect());
            }
        }
    }

    /// Not even a full disk may prevent that power is taken away.
    fn write_from_reserve(&mut self, jobs: Vec<Job>) {
        if jobs.is_empty() {
            return;
        }
        let decided = self.decide(jobs);
        match self.journal.append_from_reserve(self.head, &decided.records) {
            Ok(head) => self.answer(head, decided),
            Err(error) => {
                tracing::error!(%error, "not even the reserve has room for it");
                decided.answers.into_iter().for_each(Answer::unavailable);
            }
        }
    }

    fn answer(&mut self, head: Head, decided: Decided) {
        let Decided { registry, records, answers } = decided;
        if !records.is_empty() {
            self.made(head, registry, &records);
        }
        for Answer { to, outcome, .. } in answers {
            // The asker may have gone; there is nothing to tell then.
            let _ = to.send(Ok(outcome));
        }
    }

    /// Decides each job on what the ones before it lead to.
    fn decide(&mut self, jobs: Vec<Job>) -> Decided {
        let mut registry = self.registry.clone();
        let (mut records, mut answers) = (vec![], vec![]);
        if let Some(command) = self.clock.observed(&registry, &*self.host) {
            self.decide_one(&mut registry, &mut records, command, Actor::System);
        }
        for mut job in jobs {
            if let (Command::Connect { attempt, .. }, Some(presented)) = (&mut job.command, &job.presented) {
                judge(&registry, attempt, presented);
            }
            let takes_away = takes_away(&registry, &job.actor, &job.command);
            let again = takes_away.then(|| (job.command.clone(), job.actor.clone()));
            let outcome = self.decide_one(&mut registry, &mut records, job.command, job.actor);
            answers.push(Answer { to: job.answer, outcome, again });
        }
        Decided { registry, records, answers }
    }

    /// Decides on `registry`, and folds what it leads to.
    fn decide_one(&mut self, registry: &mut Registry, records: &mut Vec<Record>, command: Command, actor: Actor) -> Outcome {
        let now = self.clock.now(&*self.host);
        let context = Context { actor, now, request: RequestId(self.host.uuid()), mint: &*self.tokens };
        let policy = Arc::clone(registry.policy());
        let decision = decide(registry, &policy, command, &context);
        for (actor, event) in decision.events {
            records.push(note(registry, now, actor, event));
        }
        decision.outcome
    }
}

/// What a batch of jobs leads to, before it is durable.
struct Decided {
    registry: Registry,
    records: Vec<Record>,
    answers: Vec<Answer>,
}

/// What an asker will be told.
struct Answer {
    to: oneshot::Sender<Result<Outcome, Unavailable>>,
    outcome: Outcome,
    /// The command and who asked, where it may draw on the reserve.
    again: Option<(Command, Actor)>,
}

impl Answer {
    fn unavailable(self) {
        // The asker may have gone; there is nothing to tell then.
        let _ = self.to.send(Err(Unavailable));
    }

    fn again(self) -> Option<Job> {
        let (command, actor) = self.again?;
        Some(Job { command, actor, presented: None, answer: self.to })
    }
}

/// Makes an event the next record and folds it, so that the next command of the batch sees it.
fn note(registry: &mut Registry, at: Millis, actor: Actor, event: Event) -> Record {
    let record = Record { seq: registry.head().next(), at, actor, event };
    debug_assert_eq!(check(registry, &record), Ok(()), "what is decided can be read back");
    registry.apply(&record);
    record
}

fn judge(registry: &Registry, attempt: &mut crate::pairing::Attempt, presented: &Presented) {
    let (Some(proof), Some(ask), Some(credential)) = (attempt.proof, &attempt.ask, &mut attempt.credential) else { return };
    credential.token = registry.judge(&proof.device, ask.role, &presented.digest);
    credential.token_is_explicit = presented.explicit;
}

/// The wall clock, but never behind the last record: where it is, the monotonic clock carries time on from there until the
/// wall clock has caught up.
struct Clock {
    last: Millis,
    monotonic: u64,
    is_carried: bool,
}

impl Clock {
    fn start(registry: &Registry, host: &dyn Host) -> Self {
        Self { last: registry.now(), monotonic: host.monotonic(), is_carried: false }
    }

    fn now(&mut self, host: &dyn Host) -> Millis {
        let (wall, monotonic) = (host.wall(), host.monotonic());
        let carried = self.last.plus(monotonic.saturating_sub(self.monotonic));
        let behind = if self.is_carried { carried } else { self.last };
        self.is_carried = wall < behind;
        self.last = if self.is_carried { carried } else { wall };
        self.monotonic = monotonic;
        self.last
    }

    /// What is to be noted of it: that it went back, or that it has caught up.
    fn observed(&mut self, registry: &Registry, host: &dyn Host) -> Option<Command> {
        let behind = self.now(host).since(host.wall());
        let condition = Condition::Clock;
        let found = match registry.condition(condition) {
            None if self.is_carried && behind > limits::CLOCK_BEHIND_MS => Some(format!("went back by {behind} ms")),
            Some(_) if !self.is_carried => None,
            _ => return None,
        };
        Some(Command::Observe { condition, found })
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
    use crate::journal::{MemoryVolume, Options, Volume};
    use crate::pairing::GatewayStopped;

    #[test]
    fn a_segment_that_is_long_enough_is_sealed_and_the_registry_goes_on_with_the_journal() {
        let scratch = tempfile::tempdir().expect("a temporary directory");
        let host: Arc<dyn Host> = Arc::new(ManualHost::new(Millis(1_000_000), 1));
        let lock = Lock::acquire(scratch.path()).expect("a free lock");
        let journal = Journal::create(lock, JournalId([9; 16])).expect("a new journal").with(Options::without_room(200));
        let registry = Registry::default();
        let (publish, published) = watch::channel(Arc::new(registry.clone()));
        let heard = Arc::new(std::sync::Mutex::new(vec![]));
        let hears = Arc::clone(&heard);
        let mut writer = Writer {
            head: journal.head(),
            saved: Seq(0),
            journal,
            clock: Clock::start(&registry, &*host),
            registry,
            tokens: Arc::new(Tokens { key: None, journal: JournalId([9; 16]), host: Arc::clone(&host) }),
            host,
            publish,
            records: Arc::new(AtomicBool::new(true)),
            retention: None,
            observer: Box::new(move |records, _, _| hears.lock().expect("one thread").extend(records.to_vec())),
        };
        for _ in 0..6 {
            let (answer, mut answered) = oneshot::channel();
            let command = Command::Stop(GatewayStopped { cause: "a test".to_owned() });
            writer.write(vec![Job { command, actor: Actor::System, presented: None, answer }]);
            assert!(matches!(answered.try_recv(), Ok(Ok(_))));
            writer.seal();
        }
        let live = writer.registry.digest();
        assert_eq!(published.borrow().digest(), live);
        drop(writer);
        let mut reader = Reader::open(scratch.path()).expect("a journal");
        let records = reader.read(Seq(1), usize::MAX).expect("no damage");
        let kinds: Vec<_> = records.iter().map(|record| record.event.name()).collect();
        let (stop, seal) = ("GatewayStopped", "SegmentSealed");
        assert_eq!(kinds, [stop, stop, seal, stop, stop, seal, stop, stop, seal]);
        assert_eq!(*heard.lock().expect("one thread"), records);
        let mut replayed = Registry::default();
        records.iter().for_each(|record| replayed.apply(record));
        assert_eq!(replayed.digest(), live);
    }

    #[test]
    fn old_segments_are_archived_behind_a_checkpoint_and_the_journal_opens_without_them() {
        let (scratch, archive) = (tempfile::tempdir().expect("a directory"), tempfile::tempdir().expect("a directory"));
        let manual = Arc::new(ManualHost::new(Millis(1_000_000_000), 1));
        let host: Arc<dyn Host> = Arc::clone(&manual) as _;
        let lock = Lock::acquire(scratch.path()).expect("a free lock");
        let journal = Journal::create(lock, JournalId([9; 16])).expect("a new journal").with(Options::without_room(200));
        let (publish, _published) = watch::channel(Arc::new(Registry::default()));
        let retention = Retention { older_than_ms: 1_000, archive: archive.path().to_owned() };
        let mut writer = Writer {
            head: journal.head(),
            saved: Seq(0),
            journal,
            clock: Clock::start(&Registry::default(), &*host),
            registry: Registry::default(),
            tokens: Arc::new(Tokens { key: None, journal: JournalId([9; 16]), host: Arc::clone(&host) }),
            host,
            publish,
            observer: Box::new(|_, _, _| {}),
            records: Arc::new(AtomicBool::new(true)),
            retention: Some(retention),
        };
        let mut reader = writer.journal.reader().expect("a reader");
        for _ in 0..12 {
            manual.advance(400);
            let (answer, _) = oneshot::channel();
            let command = Command::Stop(GatewayStopped { cause: "a test".to_owned() });
            writer.write(vec![Job { command, actor: Actor::System, presented: None, answer }]);
            writer.seal();
        }
        let (live, head) = (writer.registry.digest(), writer.head);
        let at = |dir: &tempfile::TempDir| volume(dir.path()).expect("there");
        let names = |volume: &dyn Volume| {
            let mut names = volume.names().expect("listed");
            names.retain(|name| name.ends_with(".segment"));
            names.sort();
            names
        };
        let (here, there) = (at(&scratch), at(&archive));
        let (kept, moved) = (names(&*here), names(&*there));
        assert!(moved.len() >= 2 && kept.len() >= 2 && moved.last() < kept.first(), "{moved:?} {kept:?}");
        let first: u64 = kept[0][..20].parse().expect("a seq");
        // Who reads meanwhile goes on with what is left.
        let read = reader.read(Seq(1), usize::MAX).expect("no damage");
        assert_eq!(read.last().map(|record| record.seq), Some(head.seq));
        drop(writer);

        let opened = || replay(&volume(scratch.path()).expect("there"), Access::Read).map(|(registry, _)| registry.digest());
        assert_eq!(opened().expect("it opens"), live);
        assert_eq!(Reader::open(scratch.path()).expect("allowed").head().expect("no damage"), head);
        let verdict = crate::journal::verify(scratch.path()).expect("a verdict");
        let sound =
            matches!(&verdict, crate::journal::Verdict::Sound(extent) if extent.head == head && extent.begins == Seq(first));
        assert!(sound, "{verdict:?}");
        // One more that is gone is missed, and what was moved can be put back.
        here.rename(&kept[0], "elsewhere").expect("renamed");
        assert!(matches!(opened(), Err(JournalError::Corrupt { .. })));
        assert!(matches!(crate::journal::verify(scratch.path()), Ok(crate::journal::Verdict::Corrupt { .. })));
        here.rename("elsewhere", &kept[0]).expect("put back");
        for name in &moved {
            let source = there.open(name, Access::Read).expect("readable").expect("there");
            let mut bytes = vec![0; usize::try_from(source.size().expect("known")).expect("small")];
            source.read_at(0, &mut bytes).expect("read");
            here.make(name).expect("made").write_at(0, &bytes).expect("written");
        }
        let verdict = crate::journal::verify(scratch.path()).expect("a verdict");
        assert!(matches!(verdict, crate::journal::Verdict::Sound(extent) if extent.head == head && extent.begins == Seq(1)));
        assert_eq!(opened().expect("it opens"), live);
    }

    #[test]
    fn t01_time_never_goes_back_and_goes_on_with_the_monotonic_clock() {
        let host = ManualHost::new(Millis(1_000_000), 1);
        let mut clock = Clock { last: Millis(1_000_000), monotonic: 0, is_carried: false };
        host.advance(10);
        assert_eq!(clock.now(&host), Millis(1_000_010));
        host.set_wall(Millis(0));
        host.advance(5);
        assert_eq!(clock.now(&host), Millis(1_000_015));
        host.set_wall(Millis(1_000_012));
        host.advance(5);
        assert_eq!(clock.now(&host), Millis(1_000_020));
        host.set_wall(Millis(2_000_000));
        assert_eq!(clock.now(&host), Millis(2_000_000));
    }

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
