//! The journal beside its peers and the floors of disk and memory, in one run and on one disk: only the ratios mean anything.
//! Prints one table; `benches/compare/run` builds and starts it.

mod append;
mod history;
mod json;
mod reading;
mod stores;
mod system;
mod table;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use append::{NAMES, Rounds, median};
use openclaw_pairing::journal::{Journal, Lock};
use openclaw_pairing::pairing::Seq;
use reading::Task;
use table::{Goal, Row, number};

/// How much is measured.
struct Scale {
    /// Records of the history that everything is read from.
    records: u64,
    /// Records of the long history.
    long: u64,
    read_rounds: usize,
    append_rounds: usize,
    slice: Duration,
}

const FULL: Scale =
    Scale { records: 1_000_000, long: 10_000_000, read_rounds: 7, append_rounds: 41, slice: Duration::from_millis(200) };
const QUICK: Scale =
    Scale { records: 100_000, long: 500_000, read_rounds: 5, append_rounds: 9, slice: Duration::from_millis(100) };
const FEW: u64 = 1_000;
const SOME: u64 = 10_000;

fn main() {
    let args: Vec<_> = std::env::args().skip(1).collect();
    if let [task, dir] = args.as_slice()
        && let Some(task) = Task::named(task)
    {
        return task.run(Path::new(dir));
    }
    let is_quick = args.iter().any(|arg| arg == "--quick");
    let dirs: Vec<_> = args.iter().filter(|arg| !arg.starts_with("--")).collect();
    let ([dir], true) = (dirs.as_slice(), args.len() == 1 + usize::from(is_quick)) else {
        eprintln!("usage: compare [--quick] DIRECTORY");
        std::process::exit(2);
    };
    let scratch = Scratch::new(Path::new(dir));
    let rows = measure(&scratch.0, if is_quick { &QUICK } else { &FULL });
    println!("{}", place(&scratch.0));
    println!("{}", table::print(&rows));
    println!(
        "Records a second unless another unit is named. All took turns; a value is the median of its rounds, N × that of what ours made of the other in each."
    );
}

/// A directory of our own, gone afterwards.
struct Scratch(PathBuf);

impl Scratch {
    fn new(parent: &Path) -> Self {
        let dir = parent.join(format!("compare-{}", std::process::id()));
        fs::create_dir_all(&dir).expect("a directory that can be written");
        Self(dir)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What is left lies where the caller said.
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn place(dir: &Path) -> String {
    let (file_system, is_memory) = system::file_system(dir);
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let warning = if is_memory { " **This is memory: syncs cost nothing, so the appends mean nothing.**" } else { "" };
    format!("On {file_system}, {cores} cores.{warning}\n")
}

fn measure(dir: &Path, scale: &Scale) -> Vec<Row> {
    let [few, some, one, single, long] = ["few", "some", "one", "single", "long"].map(|name| dir.join(name));
    eprintln!("histories");
    written_by_the_journal(&few, &dir.join("same"));
    for (path, records, batch) in
        [(&some, SOME, 8), (&one, scale.records, 8), (&single, scale.records, 1), (&long, scale.long, 8)]
    {
        history::write(path, records, batch).expect("room");
    }
    let mut rows = vec![];
    read_back(&mut rows, dir, &one, &long, scale);
    starts(&mut rows, &some, &long, scale);
    sizes(&mut rows, &one, &single, scale);
    let appended = append::run(dir, &few, &long, scale.append_rounds, scale.slice);
    let mut all = appends(&appended, scale);
    all.append(&mut rows);
    all
}

/// Makes a short history as the gateway does, and makes sure that what [`history::write`] makes of it is the same.
fn written_by_the_journal(dir: &Path, same: &Path) {
    let mut journal = Journal::create(Lock::acquire(dir).expect("the lock"), history::JOURNAL).expect("a new journal");
    let records: Vec<_> = history::History::new().take(usize::try_from(FEW).expect("64 bits")).collect();
    for batch in records.chunks(8) {
        journal.append(journal.head(), batch).expect("a sound disk");
    }
    assert_eq!(journal.head().seq, Seq(FEW));
    drop(journal);
    history::write(same, FEW, 8).expect("room");
    let bytes = |dir: &Path| fs::read(&reading::segments(dir)[0]).expect("a segment");
    assert!(bytes(dir).starts_with(&bytes(same)), "the two ways to write a history differ");
}

fn appends(measured: &[Rounds], scale: &Scale) -> Vec<Row> {
    let [ours, old, raw, bare, sqlite, raft, redb] = std::array::from_fn(|place| place);
    let mut rows = vec![];
    for rounds in measured {
        let times = |place| rounds.rate_by(ours, place);
        let mut row = Row::new(format!("durable appends, {} waiting", rounds.writers), number(rounds.rate(ours)));
        for place in [raw, bare, raft, sqlite, redb] {
            row = row.beside(format!("{} {} ({} ×)", NAMES[place], number(rounds.rate(place)), number(times(place))));
        }
        rows.push(match rounds.writers {
            1 => row.goal(Goal::AtLeast(0.9, times(raw)), "× raw").goal(Goal::AtLeast(2.0, times(sqlite)), "× SQLite"),
            8 => row.goal(Goal::AtLeast(1.3, times(raft)), "× raft-engine"),
            _ => row.goal(Goal::AtLeast(1.25, times(raft)), "× raft-engine").goal(Goal::AtLeast(20.0, times(sqlite)), "× SQLite"),
        });
        let row = Row::new(format!("the same after {} records", number(scale.long as f64)), number(rounds.rate(old)));
        rows.push(row.goal(Goal::AtLeast(0.9, rounds.rate_by(old, ours)), &format!("× after {}", number(FEW as f64))));
    }
    for rounds in measured.iter().filter(|rounds| rounds.writers != 8) {
        let (Some(bytes), Some(floor)) = (rounds.bytes(ours), rounds.bytes(raw)) else { continue };
        let mut row = Row::new(format!("device bytes per payload byte, {} waiting", rounds.writers), number(bytes));
        for place in [raw, bare, raft, sqlite, redb] {
            row = row.beside(format!("{} {}", NAMES[place], rounds.bytes(place).map_or_else(String::new, number)));
        }
        let bound = if rounds.writers == 1 { 1.1 } else { 2.0 };
        rows.push(row.goal(Goal::AtMost(bound, bytes / floor), "× raw"));
    }
    rows
}

fn read_back(rows: &mut Vec<Row>, dir: &Path, one: &Path, long: &Path, scale: &Scale) {
    let (sqlite, json) = (dir.join("scanned.sqlite"), dir.join("lines.json"));
    reading::fill_sqlite(&sqlite, scale.records).expect("room");
    let json_bytes = reading::fill_json(&json, scale.records).expect("room");
    let (mut all, mut memory): ([Vec<f64>; 6], Vec<f64>) = Default::default();
    for round in 0..=scale.read_rounds {
        eprintln!("reading: round {round} of {}", scale.read_rounds);
        let checked = Task::Verify.measured(one);
        let bare = (reading::raw_scan(one), reading::sqlite_scan(&sqlite, scale.records));
        let folded = Task::Replay.measured(one);
        let parsed = reading::json_scans(&json, scale.records);
        // The first round only warms everything.
        if round > 0 {
            memory.push(checked.1);
            let seconds = [checked.0, bare.0, bare.1, folded.0, parsed.0, parsed.1];
            all.iter_mut().zip(seconds).for_each(|(rounds, seconds)| rounds.push(seconds));
        }
    }
    let [verify, raw, rows_of_sqlite, replay, lines, borrowed] = all.map(median);
    let long_memory = Task::Verify.measured(long).1;
    let long_replay = median((0..3).map(|_| Task::Replay.measured(long).0).collect());

    let bytes = reading::bytes_on_disk(one) as f64;
    let records = scale.records as f64;
    let rate = |seconds: f64| number(records / seconds);
    let speed = |seconds: f64| format!("{:.2} GB/s", bytes / seconds / 1e9);
    let row =
        Row::new(format!("scan with checksum, {} records", number(records)), format!("{} ({})", rate(verify), speed(verify)))
            .beside(format!("bare CRC-32C {} ({} ×)", speed(raw), number(raw / verify)))
            .beside(format!("SQLite's bare scan {} ({} ×)", rate(rows_of_sqlite), number(rows_of_sqlite / verify)))
            .goal(Goal::AtLeast(0.8, raw / verify), "× raw")
            .goal(Goal::AtLeast(2.5, rows_of_sqlite / verify), "× SQLite");
    rows.push(row);
    let mib = |bytes: f64| bytes / f64::from(1 << 20);
    let what = format!("memory of that scan, of {} records", number(scale.long as f64));
    let row = Row::new(what, format!("{} MiB", number(mib(long_memory))))
        .beside(format!("of {}: {} MiB", number(records), number(mib(median(memory)))))
        .goal(Goal::AtMost(16.0, mib(long_memory)), "MiB");
    rows.push(row);
    let row = Row::new(format!("full replay (scan, check, decode, fold), {} records", number(records)), rate(replay))
        .beside(format!(
            "JSON lines of {} bytes, parsed only {} ({} ×), texts borrowed {} ({} ×)",
            number(json_bytes as f64 / records),
            rate(lines),
            number(lines / replay),
            rate(borrowed),
            number(borrowed / replay)
        ))
        .goal(Goal::AtLeast(3e6, records / replay), "a second")
        .goal(Goal::AtLeast(5.0, lines / replay), "× JSON lines");
    rows.push(row);
    let long_rate = scale.long as f64 / long_replay;
    let row = Row::new(format!("the same, {} records", number(scale.long as f64)), number(long_rate))
        .goal(Goal::AtLeast(0.9, long_rate / (records / replay)), &format!("× the rate of {}", number(records)));
    rows.push(row);
}

/// From opening the journal to a folded registry.
fn starts(rows: &mut Vec<Row>, some: &Path, long: &Path, scale: &Scale) {
    eprintln!("starts");
    for dir in [some, long] {
        reading::save(dir);
    }
    let mut seconds = [vec![], vec![]];
    for _ in 0..3 {
        for (seconds, dir) in seconds.iter_mut().zip([some, long]) {
            seconds.push(Task::Start.measured(dir).0);
        }
    }
    let [short, long] = seconds.map(median);
    let row = Row::new(
        format!("start with a checkpoint, {} records in the journal", number(scale.long as f64)),
        format!("{} ms", number(long * 1e3)),
    )
    .beside(format!("with {} records {} ms", number(SOME as f64), number(short * 1e3)))
    .goal(Goal::AtMost(1.5, long / short), &format!("× with {}", number(SOME as f64)));
    rows.push(row);
}

fn sizes(rows: &mut Vec<Row>, one: &Path, single: &Path, scale: &Scale) {
    let each = |dir: &Path| reading::bytes_on_disk(dir) as f64 / scale.records as f64;
    let admissions: Vec<_> = stores::Item::some().iter().map(|item| item.payload.len()).collect();
    let admission = admissions.iter().sum::<usize>() as f64 / admissions.len() as f64;
    let payload = history::History::new().take(SOME as usize).map(|record| history::payload(&record.actor, &record.event).len());
    let payload = payload.sum::<usize>() as f64 / SOME as f64;
    let row = Row::new("bytes on disk per event, mixed, in batches of 8", number(each(one)))
        .beside(format!("payload alone {}; an admission's {}", number(payload), number(admission)))
        .goal(Goal::AtMost(130.0, each(one)), "bytes");
    rows.push(row);
    rows.push(Row::new("the same, single", number(each(single))).goal(Goal::AtMost(190.0, each(single)), "bytes"));
}
