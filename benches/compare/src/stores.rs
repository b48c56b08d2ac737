//! The contestants of the appends. Each makes one record at a time durable for whoever asks, from many threads at once.

use std::cell::RefCell;
use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::{JoinHandle, Thread};

use openclaw_pairing::journal::{Head, Journal};
use openclaw_pairing::limits::BATCH_COMMANDS;
use openclaw_pairing::pairing::{Actor, Event, Millis, Record, Seq};

use crate::history::{self, History};

/// What is to be made durable: the event for us, the bytes of its payload for everybody else.
pub struct Item {
    pub event: Event,
    pub payload: Vec<u8>,
}

impl Item {
    /// The admissions of returning devices.
    pub fn some() -> &'static [Self] {
        let item = |event: &Event| Self { payload: history::payload(&Actor::Peer, event), event: event.clone() };
        Box::leak(History::new().returns().iter().map(item).collect())
    }
}

pub trait Store: Sync {
    /// Returns when `item` is on the disk.
    fn write(&self, item: &'static Item);
}

// --- group commit: ours, and the floor of the disk -------------------------------------------------------------------

/// What is written with one sync.
pub trait Sink: Send + 'static {
    /// Makes all of `items` durable.
    fn append(&mut self, items: &[&'static Item]);
}

/// One thread writes for all who wait, as `src/authority.rs` does: what comes while a batch is synced is the next batch.
pub struct Grouped {
    jobs: Option<Sender<Job>>,
    thread: Option<JoinHandle<()>>,
}

struct Job {
    item: &'static Item,
    waiter: Arc<Waiter>,
}

struct Waiter {
    is_done: AtomicBool,
    thread: Thread,
}

thread_local! {
    static WAITER: RefCell<Arc<Waiter>> =
        RefCell::new(Arc::new(Waiter { is_done: AtomicBool::new(false), thread: std::thread::current() }));
}

impl Grouped {
    pub fn over(sink: impl Sink) -> Self {
        let (jobs, waiting) = channel();
        let thread = std::thread::spawn(move || write_batches(&waiting, sink));
        Self { jobs: Some(jobs), thread: Some(thread) }
    }
}

fn write_batches(waiting: &Receiver<Job>, mut sink: impl Sink) {
    while let Ok(first) = waiting.recv() {
        let batch: Vec<_> = std::iter::once(first).chain(waiting.try_iter().take(BATCH_COMMANDS - 1)).collect();
        let items: Vec<_> = batch.iter().map(|job| job.item).collect();
        sink.append(&items);
        for Job { waiter, .. } in batch {
            waiter.is_done.store(true, Ordering::Release);
            waiter.thread.unpark();
        }
    }
}

impl Store for Grouped {
    fn write(&self, item: &'static Item) {
        WAITER.with_borrow(|waiter| {
            waiter.is_done.store(false, Ordering::Relaxed);
            let job = Job { item, waiter: Arc::clone(waiter) };
            self.jobs.as_ref().expect("open").send(job).expect("a writer");
            while !waiter.is_done.load(Ordering::Acquire) {
                std::thread::park();
            }
        });
    }
}

impl Drop for Grouped {
    fn drop(&mut self) {
        drop(self.jobs.take());
        if let Some(thread) = self.thread.take() {
            thread.join().expect("no panic");
        }
    }
}

/// The journal with its one writer.
pub struct Ours {
    journal: Journal,
    head: Head,
    at: Millis,
}

impl Ours {
    pub fn new(journal: Journal) -> Self {
        // Behind every record of the history.
        Self { head: journal.head(), journal, at: Millis(2_000_000_000_000) }
    }
}

impl Sink for Ours {
    fn append(&mut self, items: &[&'static Item]) {
        let records: Vec<_> = (self.head.seq.0 + 1..)
            .zip(items)
            .map(|(seq, item)| Record { seq: Seq(seq), at: self.at, actor: Actor::Peer, event: item.event.clone() })
            .collect();
        self.head = self.journal.append(self.head, &records).expect("a sound disk");
        if let Some(seal) = self.journal.seal() {
            let seal = Record { seq: self.head.seq.next(), at: self.at, actor: Actor::System, event: seal.into() };
            self.head = self.journal.append(self.head, &[seal]).expect("a sound disk");
        }
    }
}

/// The payloads alone into a file that is there already, zero-filled and synced.
pub struct Raw {
    file: File,
    bytes: u64,
    end: u64,
}

impl Raw {
    pub fn new(path: &Path, bytes: u64) -> std::io::Result<Self> {
        let file = File::create(path)?;
        let zeros = vec![0; 1 << 20];
        for start in (0..bytes).step_by(zeros.len()) {
            file.write_all_at(&zeros, start)?;
        }
        file.sync_all()?;
        Ok(Self { file, bytes, end: 0 })
    }
}

impl Sink for Raw {
    fn append(&mut self, items: &[&'static Item]) {
        let bytes: Vec<u8> = items.iter().flat_map(|item| &item.payload).copied().collect();
        if self.end + bytes.len() as u64 > self.bytes {
            self.end = 0;
        }
        self.file.write_all_at(&bytes, self.end).expect("a sound disk");
        self.file.sync_data().expect("a sound disk");
        self.end += bytes.len() as u64;
    }
}

// --- the peers ----------------------------------------------------------------------------------------------------------

/// raft-engine: whoever comes first writes for all who wait.
pub struct RaftEngine {
    engine: raft_engine::Engine,
    next: AtomicU64,
}

impl RaftEngine {
    pub fn new(dir: &Path) -> Self {
        let config = raft_engine::Config { dir: dir.display().to_string(), ..raft_engine::Config::default() };
        Self { engine: raft_engine::Engine::open(config).expect("an engine"), next: AtomicU64::new(0) }
    }
}

impl Store for RaftEngine {
    fn write(&self, item: &'static Item) {
        let key = self.next.fetch_add(1, Ordering::Relaxed).to_be_bytes().to_vec();
        let mut batch = raft_engine::LogBatch::default();
        batch.put(1, key, item.payload.clone()).expect("within the limits");
        self.engine.write(&mut batch, true).expect("a sound disk");
    }
}

/// SQLite as a log: one transaction for each record, on one connection, because there can be one writer only.
pub struct Sqlite(Mutex<rusqlite::Connection>);

impl Sqlite {
    pub fn new(path: &Path) -> rusqlite::Result<Self> {
        let db = rusqlite::Connection::open(path)?;
        db.execute_batch(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; CREATE TABLE log (seq INTEGER PRIMARY KEY, payload BLOB);",
        )?;
        Ok(Self(Mutex::new(db)))
    }
}

impl Store for Sqlite {
    fn write(&self, item: &'static Item) {
        let db = self.0.lock().expect("no panic");
        let mut insert = db.prepare_cached("INSERT INTO log (payload) VALUES (?1)").expect("sound SQL");
        insert.execute([&item.payload]).expect("a sound disk");
    }
}

const REDB_LOG: redb::TableDefinition<u64, &[u8]> = redb::TableDefinition::new("log");

/// redb: one transaction for each record; it lets one writer in at a time itself.
pub struct Redb {
    db: redb::Database,
    next: AtomicU64,
}

impl Redb {
    pub fn new(path: &Path) -> Self {
        Self { db: redb::Database::create(path).expect("a database"), next: AtomicU64::new(0) }
    }
}

impl Store for Redb {
    fn write(&self, item: &'static Item) {
        let seq = self.next.fetch_add(1, Ordering::Relaxed);
        let transaction = self.db.begin_write().expect("a sound disk");
        transaction.open_table(REDB_LOG).expect("a table").insert(seq, item.payload.as_slice()).expect("a sound disk");
        transaction.commit().expect("a sound disk");
    }
}
