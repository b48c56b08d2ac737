//! Reading a journal back: checked, folded, and what stands beside that: a bare checksum over the same bytes, SQLite's bare
//! scan over the same payloads, and JSON lines of the same records.

use std::fs::{self, File};
use std::hint::black_box;
use std::io::{BufRead as _, BufReader, BufWriter, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use openclaw_pairing::authority::{checkpoint, replay};
use openclaw_pairing::host::SystemHost;
use openclaw_pairing::journal::{Access, Journal, Lock, Verdict, read_all, verify};
use openclaw_pairing::pairing::Registry;
use openclaw_pairing::wire::record;

use crate::history::{History, payload};
use crate::json::Line;
use crate::system;

/// Goes on with the journal in `dir`, as a gateway does between opening it and its first decision.
pub fn open(dir: &Path) -> (Journal, Registry) {
    let lock = Lock::acquire(dir).expect("the lock");
    let (registry, found) = replay(&lock.volume(), Access::Write).expect("a sound journal");
    (found.open(Some(lock), None).expect("a sound journal").0, registry)
}

/// Saves a checkpoint, as a gateway does when it stops.
pub fn save(dir: &Path) {
    checkpoint(Lock::acquire(dir).expect("the lock"), &SystemHost::new(), None).expect("a sound journal");
}

/// What a child of this program does, so that its memory is its own.
#[derive(Clone, Copy)]
pub enum Task {
    /// Reads everything and checks every byte.
    Verify,
    /// The same, and folds every record.
    Replay,
    /// Opens the journal as a gateway does.
    Start,
}

impl Task {
    const ALL: [(Self, &str); 3] = [(Self::Verify, "verify"), (Self::Replay, "replay"), (Self::Start, "start")];

    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find_map(|(task, its_name)| (its_name == name).then_some(task))
    }

    fn name(self) -> &'static str {
        Self::ALL[self as usize].1
    }

    /// Does it here, and prints seconds and bytes of memory.
    pub fn run(self, dir: &Path) {
        let (_, before) = system::memory_bytes();
        let begun = Instant::now();
        match self {
            Self::Verify => assert!(matches!(verify(dir), Ok(Verdict::Sound(_)))),
            Self::Replay => {
                let mut registry = Registry::default();
                let verdict = read_all(dir, &mut |_, records| records.iter().for_each(|record| registry.apply(record)));
                assert!(matches!(verdict, Ok(Verdict::Sound(extent)) if extent.head.seq == registry.head()));
            }
            Self::Start => assert!(open(dir).1.device_count() > 0),
        }
        println!("{} {}", begun.elapsed().as_secs_f64(), system::memory_bytes().0.saturating_sub(before));
    }

    /// Has it done by a child; seconds, and bytes of memory above what the child began with.
    pub fn measured(self, dir: &Path) -> (f64, f64) {
        let this = std::env::current_exe().expect("this program");
        let output = Command::new(this).arg(self.name()).arg(dir).output().expect("a child");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let printed = String::from_utf8(output.stdout).expect("two numbers");
        let mut numbers = printed.split_whitespace().map(|number| number.parse().expect("a number"));
        (numbers.next().expect("seconds"), numbers.next().expect("bytes"))
    }
}

pub fn segments(dir: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<_> = fs::read_dir(dir).expect("a folder").map(|entry| entry.expect("an entry").path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "segment"));
    paths.sort();
    paths
}

pub fn bytes_on_disk(dir: &Path) -> u64 {
    segments(dir).iter().map(|path| fs::metadata(path).expect("a file").len()).sum()
}

/// Seconds of a bare CRC-32C over the journal's files: the floor.
pub fn raw_scan(dir: &Path) -> f64 {
    let begun = Instant::now();
    let mut window = vec![0; 256 * 1024];
    for path in segments(dir) {
        let (mut file, mut checksum) = (File::open(path).expect("a file"), 0);
        loop {
            match file.read(&mut window).expect("a sound disk") {
                0 => break,
                read => checksum = crc32c::crc32c_append(checksum, &window[..read]),
            }
        }
        black_box(checksum);
    }
    begun.elapsed().as_secs_f64()
}

/// The payloads of the history's first records as rows of SQLite.
pub fn fill_sqlite(path: &Path, records: u64) -> rusqlite::Result<()> {
    let mut db = rusqlite::Connection::open(path)?;
    db.execute_batch("PRAGMA journal_mode = WAL; CREATE TABLE log (seq INTEGER PRIMARY KEY, payload BLOB);")?;
    let transaction = db.transaction()?;
    {
        let mut insert = transaction.prepare("INSERT INTO log (payload) VALUES (?1)")?;
        for record in History::new().take(usize::try_from(records).expect("64 bits")) {
            insert.execute([payload(&record.actor, &record.event)])?;
        }
    }
    transaction.commit()
}

/// Seconds of a bare scan over all rows: no checksum, nothing decoded.
pub fn sqlite_scan(path: &Path, records: u64) -> f64 {
    let db = rusqlite::Connection::open(path).expect("a database");
    let mut select = db.prepare("SELECT seq, payload FROM log").expect("sound SQL");
    let begun = Instant::now();
    let mut rows = select.query([]).expect("rows");
    let mut count = 0;
    while let Some(row) = rows.next().expect("a sound disk") {
        black_box(row.get_ref(1).expect("a payload").as_blob().expect("bytes"));
        count += 1;
    }
    assert_eq!(count, records);
    begun.elapsed().as_secs_f64()
}

/// The history's first records as the lines that `openclaw journal export` makes.
pub fn fill_json(path: &Path, records: u64) -> std::io::Result<u64> {
    let mut file = BufWriter::new(File::create(path)?);
    for record in History::new().take(usize::try_from(records).expect("64 bits")) {
        writeln!(file, "{}", record::line(&record::record(&record)))?;
    }
    file.into_inner()?.metadata().map(|metadata| metadata.len())
}

/// Seconds to parse the lines into values of fixed types, as a program would that folds them; and into such that borrow their
/// texts, the fastest that serde_json does. No id is decoded and nothing folded.
pub fn json_scans(path: &Path, records: u64) -> (f64, f64) {
    let owned = json_scan(path, records, |line| drop(black_box(serde_json::from_str::<Line<String>>(line).expect("a record"))));
    let borrowed = json_scan(path, records, |line| drop(black_box(serde_json::from_str::<Line<&str>>(line).expect("a record"))));
    (owned, borrowed)
}

fn json_scan(path: &Path, records: u64, parse: impl Fn(&str)) -> f64 {
    let begun = Instant::now();
    let (mut file, mut line, mut count) = (BufReader::new(File::open(path).expect("a file")), String::new(), 0);
    while file.read_line(&mut line).expect("a sound disk") > 0 {
        parse(&line);
        line.clear();
        count += 1;
    }
    assert_eq!(count, records);
    begun.elapsed().as_secs_f64()
}
