//! The writer's own loop: a batch decided, appended, published, answered; and what follows from it: a seal, a checkpoint, an
//! archive. Nothing but this thread touches the journal.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::{mpsc, oneshot, watch};

use super::clock::Clock;
use super::ledger::{Asker, Ledger};
use super::{Job, Observer, Published, Retention, Tokens, Unavailable, opening};
use crate::host::Host;
use crate::journal::{Head, Journal, JournalError};
use crate::limits;
use crate::pairing::{
    Actor, Attempt, AttemptsSuppressed, Command, Context, Event, Millis, Outcome, Record, Registry, Seq, SetupCodeId, Shown,
    TokenVerdict, check, decide, takes_away,
};

pub(super) struct Writer {
    pub(super) journal: Journal,
    pub(super) head: Head,
    /// The last record of the last checkpoint, or of what was read at the start.
    pub(super) saved: Seq,
    pub(super) registry: Registry,
    pub(super) ledger: Ledger,
    pub(super) clock: Clock,
    pub(super) host: Arc<dyn Host>,
    pub(super) tokens: Arc<Tokens>,
    pub(super) publish: watch::Sender<Published>,
    pub(super) observer: Observer,
    pub(super) records: Arc<AtomicBool>,
    pub(super) owes: Arc<AtomicBool>,
    pub(super) retention: Option<Retention>,
}

impl Writer {
    pub(super) fn run(mut self, mut waiting: mpsc::Receiver<Job>) {
        while let Some(first) = waiting.blocking_recv() {
            let mut batch = vec![first];
            while batch.len() < limits::BATCH_COMMANDS
                && let Ok(next) = waiting.try_recv()
            {
                batch.push(next);
            }
            self.write(batch);
            self.seal();
        }
        self.settle();
        if self.head.seq.0.saturating_sub(self.saved.0) >= limits::CHECKPOINT_RECORDS {
            self.save();
        }
        self.journal.sync_witness();
    }

    /// Tells of all that was only counted, should no stop have come that did.
    fn settle(&mut self) {
        let (mut registry, mut records) = (self.registry.clone(), vec![]);
        let now = self.clock.now(&*self.host);
        let rest = self.ledger.rest(now);
        tell(rest, &mut registry, &mut records, now);
        if records.is_empty() {
            return;
        }
        match self.journal.append(self.head, &records) {
            Ok(head) => self.made(head, registry, &records),
            Err(error) => tracing::error!(%error, "what was refused and only counted is not recorded"),
        }
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
        let synced = Some(self.host.wall());
        self.publish.send_replace(Published::new(self.registry.clone(), Some(head), synced));
        (self.observer)(records, &self.registry, head);
    }

    fn write(&mut self, jobs: Vec<Job>) {
        let decided = self.decide(jobs, Room::Plenty);
        let written = if decided.records.is_empty() { Ok(self.head) } else { self.journal.append(self.head, &decided.records) };
        match written {
            Ok(head) => {
                self.ledger.told();
                self.owes.store(self.ledger.owes(), Ordering::Relaxed);
                if !decided.records.is_empty() {
                    self.records.store(true, Ordering::Relaxed);
                }
                self.answer(head, decided);
            }
            Err(error) => {
                tracing::error!(%error, "nothing is recorded, so nothing is answered");
                self.records.store(false, Ordering::Relaxed);
                self.ledger.lost(self.head.seq);
                self.owes.store(self.ledger.owes(), Ordering::Relaxed);
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
        let decided = self.decide(jobs, Room::Reserve);
        if decided.records.is_empty() {
            return self.answer(self.head, decided);
        }
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
    fn decide(&mut self, jobs: Vec<Job>, room: Room) -> Decided {
        let mut registry = self.registry.clone();
        let (mut records, mut answers) = (vec![], vec![]);
        if let (Room::Plenty, Some(command)) = (room, self.clock.observed(&registry, &*self.host)) {
            self.decide_one(&mut registry, &mut records, command, Actor::System, room);
        }
        for mut job in jobs {
            if let Command::Connect { attempt, code, .. } = &mut job.command {
                *code = judge(&registry, attempt, &job.shown, self.clock.now(&*self.host));
            }
            if let (Room::Plenty, Command::Stop(_)) = (room, &job.command) {
                let now = self.clock.now(&*self.host);
                tell(self.ledger.rest(now), &mut registry, &mut records, now);
            }
            let takes_away = takes_away(&registry, &job.actor, &job.command);
            let again = takes_away.then(|| (job.command.clone(), job.actor.clone()));
            match self.decide_one(&mut registry, &mut records, job.command, job.actor, room) {
                Some(outcome) => answers.push(Answer { to: job.answer, outcome, again }),
                // The asker may have gone; there is nothing to tell then.
                None => drop(job.answer.send(Err(Unavailable))),
            }
        }
        if room == Room::Plenty {
            let (now, window_ms) = (self.clock.now(&*self.host), registry.policy().budgets().record.window_ms);
            tell(self.ledger.due(window_ms, now), &mut registry, &mut records, now);
        }
        Decided { registry, records, answers }
    }

    /// Decides on `registry`, and folds what it leads to. Nothing is written into the reserve but what takes power away: whose act is
    /// refused is not answered there.
    fn decide_one(
        &mut self,
        registry: &mut Registry,
        records: &mut Vec<Record>,
        command: Command,
        actor: Actor,
        room: Room,
    ) -> Option<Outcome> {
        let now = self.clock.now(&*self.host);
        let asker = Asker::of(registry, &actor, &command);
        let context = Context { actor, now, ids: [self.host.uuid(), self.host.uuid()], mint: &*self.tokens };
        let policy = Arc::clone(registry.policy());
        let decision = decide(registry, &policy, command, &context);
        let decision = match room {
            Room::Plenty => self.ledger.weigh(registry, &asker, decision, now),
            Room::Reserve if matches!(decision.outcome, Outcome::Refused(_)) => return None,
            Room::Reserve => decision,
        };
        for (actor, event) in decision.events {
            records.push(note(registry, now, actor, event));
        }
        Some(decision.outcome)
    }
}

/// Where what is decided will be written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Room {
    /// Behind the last record.
    Plenty,
    /// Into the bytes that are kept for a full disk.
    Reserve,
}

/// Folds what is told of those who were only counted.
fn tell(counts: Vec<AttemptsSuppressed>, registry: &mut Registry, records: &mut Vec<Record>, now: Millis) {
    records.extend(counts.into_iter().map(|event| note(registry, now, Actor::System, event.into())));
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
        Some(Job { command, actor, shown: Shown::default(), answer: self.to })
    }
}

/// Makes an event the next record and folds it, so that the next command of the batch sees it.
pub(super) fn note(registry: &mut Registry, at: Millis, actor: Actor, event: Event) -> Record {
    let record = Record { seq: registry.head().next(), at, actor, event };
    debug_assert_eq!(check(registry, &record), Ok(()), "what is decided can be read back");
    registry.apply(&record);
    record
}

/// The verdict on what was presented, on the state that is decided on; and the setup code, where that is good. A setup code comes
/// before a device token (OpenClaw 2026.9.6).
fn judge(registry: &Registry, attempt: &mut Attempt, shown: &Shown, now: Millis) -> Option<SetupCodeId> {
    let (Some(proof), Some(ask), Some(credential)) = (attempt.proof, &attempt.ask, &mut attempt.credential) else { return None };
    if let Some(token) = &shown.token {
        credential.token = registry.judge(&proof.device, ask.role, &token.digest);
        credential.token_is_explicit = token.explicit;
    }
    let code = shown.code.and_then(|digest| registry.good_code(&digest, &proof.device, ask.role, &ask.scopes, now))?;
    (credential.token, credential.token_is_explicit) = (TokenVerdict::SetupCode, false);
    Some(code)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::authority::{done, replay};
    use crate::host::ManualHost;
    use crate::journal::{Access, Lock, Options, Reader, Volume, volume};
    use crate::pairing::{GatewayStopped, JournalId};

    #[test]
    fn a_segment_that_is_long_enough_is_sealed_and_the_registry_goes_on_with_the_journal() {
        let scratch = tempfile::tempdir().expect("a temporary directory");
        let host: Arc<dyn Host> = Arc::new(ManualHost::new(Millis(1_000_000), 1));
        let lock = Lock::acquire(scratch.path()).expect("a free lock");
        let journal = Journal::create(lock, JournalId([9; 16])).expect("a new journal").with(Options::without_room(200));
        let registry = Registry::default();
        let (publish, published) = watch::channel(Published::new(registry.clone(), None, None));
        let heard = Arc::new(std::sync::Mutex::new(vec![]));
        let hears = Arc::clone(&heard);
        let mut writer = Writer {
            head: journal.head(),
            saved: Seq(0),
            journal,
            clock: Clock::start(&registry, &*host),
            registry,
            ledger: Ledger::new([0; 16]),
            tokens: Arc::new(Tokens { key: None, journal: JournalId([9; 16]), host: Arc::clone(&host) }),
            host,
            publish,
            records: Arc::new(AtomicBool::new(true)),
            owes: Arc::default(),
            retention: None,
            observer: Box::new(move |records, _, _| hears.lock().expect("one thread").extend(records.to_vec())),
        };
        for _ in 0..6 {
            let (answer, mut answered) = oneshot::channel();
            let command = Command::Stop(GatewayStopped { cause: "a test".to_owned() });
            writer.write(vec![Job { command, actor: Actor::System, shown: Shown::default(), answer }]);
            assert!(matches!(answered.try_recv(), Ok(Ok(_))));
            writer.seal();
        }
        let live = writer.registry.digest();
        assert_eq!(published.borrow().registry.digest(), live);
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
    fn a_journal_is_never_archived_onto_itself() {
        let scratch = tempfile::tempdir().expect("a directory");
        let lock = Lock::acquire(scratch.path()).expect("a free lock");
        let mut journal = Journal::create(lock, JournalId([9; 16])).expect("a new journal").with(Options::without_room(1));
        let record = |seq, event| Record { seq, at: Millis(1), actor: Actor::System, event };
        let stop = || Event::from(GatewayStopped { cause: "a test".to_owned() });
        journal.append(journal.head(), &[record(Seq(1), stop())]).expect("a batch");
        let seal = journal.seal().expect("a seal that is due").into();
        journal.append(journal.head(), &[record(Seq(2), seal)]).expect("a seal");
        let event = journal.archivable(Millis(2), "itself").expect("readable").expect("a segment");
        journal.append(journal.head(), &[record(Seq(3), event.into())]).expect("a batch");
        assert!(matches!(journal.archive(scratch.path()), Err(JournalError::Unsafe { .. })));
        let mut reader = Reader::open(scratch.path()).expect("a journal");
        assert_eq!(reader.read(Seq(1), usize::MAX).expect("no damage").len(), 3);
    }

    #[test]
    fn old_segments_are_archived_behind_a_checkpoint_and_the_journal_opens_without_them() {
        let (scratch, archive) = (tempfile::tempdir().expect("a directory"), tempfile::tempdir().expect("a directory"));
        let manual = Arc::new(ManualHost::new(Millis(1_000_000_000), 1));
        let host: Arc<dyn Host> = Arc::clone(&manual) as _;
        let lock = Lock::acquire(scratch.path()).expect("a free lock");
        let journal = Journal::create(lock, JournalId([9; 16])).expect("a new journal").with(Options::without_room(200));
        let (publish, _published) = watch::channel(Published::new(Registry::default(), None, None));
        let retention = Retention { older_than_ms: 1_000, archive: archive.path().to_owned() };
        let mut writer = Writer {
            head: journal.head(),
            saved: Seq(0),
            journal,
            clock: Clock::start(&Registry::default(), &*host),
            registry: Registry::default(),
            ledger: Ledger::new([0; 16]),
            tokens: Arc::new(Tokens { key: None, journal: JournalId([9; 16]), host: Arc::clone(&host) }),
            host,
            publish,
            observer: Box::new(|_, _, _| {}),
            records: Arc::new(AtomicBool::new(true)),
            owes: Arc::default(),
            retention: Some(retention),
        };
        let mut reader = writer.journal.reader().expect("a reader");
        for _ in 0..12 {
            manual.advance(400);
            let (answer, _) = oneshot::channel();
            let command = Command::Stop(GatewayStopped { cause: "a test".to_owned() });
            writer.write(vec![Job { command, actor: Actor::System, shown: Shown::default(), answer }]);
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

        // Whatever is left can be told of with what was before it, where that is known too; what is elsewhere cannot.
        let told = |seq| done(scratch.path(), Seq(seq), head.seq).expect("readable").map(|done| done.record.seq.0);
        assert_eq!((told(1), told(first - 1), told(head.seq.0)), (None, None, Some(head.seq.0)));
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
}
