//! The reader in another language, `tests/vectors/reader.py`, against this program: both know the format, and only one of them
//! has seen the source. Where they differ, one of them or journal-format.md is wrong.

#[path = "support/segments.rs"]
mod segments;
#[path = "support/journal.rs"]
mod support;

use std::cell::Cell;
use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use openclaw_pairing::journal::{Verdict, read_all};
use openclaw_pairing::pairing::{Address, Event, GatewayStopped, Millis, Record, Seq};
use openclaw_pairing::wire;
use segments::{appendable, segments_of};
use support::{JOURNAL, every_kind, journal_of};

const SEGMENT: &str = "00000000000000000001.segment";
const VECTORS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors");

/// Segments with their names.
type Files = Vec<(String, Vec<u8>)>;

#[test]
fn it_reads_every_vector_as_the_export_does() {
    let homes = Homes::new();
    let mut count = 0;
    for entry in fs::read_dir(VECTORS).expect("the vectors").map(|entry| entry.expect("an entry").path()) {
        if entry.extension().is_some_and(|extension| extension == "segment") {
            agree(&homes.add(&alone(fs::read(&entry).expect("a vector"))), &entry.display().to_string());
            count += 1;
        }
    }
    assert!(count >= 5, "vectors are found");
}

#[test]
fn it_reads_every_kind_as_the_export_does() {
    let homes = Homes::new();
    let records = strange(appendable());
    let home = homes.add(&segments_of(&[&records[..4], &records[4..]]));
    let (lines, _) = read(&home);
    assert!(every_kind().iter().all(|record| lines.contains(&format!("\"event\":\"{}\"", record.event.name()))));
    agree(&home, "every kind");
    agree(&homes.root.path().join("nothing"), "no journal");
}

/// Whatever is cut off, flipped or put in between, both give the same verdict at the same place.
#[test]
fn j02_it_judges_every_cut_every_flip_and_every_byte_too_many_the_same() {
    let records = appendable();
    agree_on_all(&damaged(&alone(journal_of(JOURNAL, &[&records[..2], &records[2..3], &records[3..4]])), 1));
}

#[test]
fn j11_it_judges_segments_that_are_damaged_missing_doubled_or_foreign_the_same() {
    let records = appendable();
    let whole = segments_of(&[&records[..1], &records[2..3], &records[3..4]]);
    let mut all = damaged(&whole, 7);
    for i in 0..whole.len() {
        let without: Files = whole.iter().enumerate().filter(|(j, _)| *j != i).map(|(_, file)| file.clone()).collect();
        let (name, bytes) = &whole[i];
        let foreign = journal_of(openclaw_pairing::pairing::JournalId([7; 16]), &[&records[..1]]);
        all.push([&without[..], &[(name.clone(), foreign)]].concat());
        all.push([&without[..], &[(name.clone(), vec![])]].concat());
        all.push([&whole[..], &[(format!("{:020}.segment", 2), bytes.clone())]].concat());
        all.push([&whole[..], &[(format!("{:020}.segment", 99), bytes.clone())]].concat());
        all.push([&whole[..], &[(format!("{name}.new"), bytes.clone())]].concat());
        if !without.is_empty() {
            all.push(without);
        }
    }
    agree_on_all(&all);
}

fn alone(bytes: Vec<u8>) -> Files {
    vec![(SEGMENT.to_owned(), bytes)]
}

/// These files, cut, with a byte changed, and with one put in, at every `step`-th byte.
fn damaged(whole: &Files, step: usize) -> Vec<Files> {
    let mut all = vec![whole.clone()];
    for (i, (_, bytes)) in whole.iter().enumerate() {
        let mut put = |bytes| {
            let mut files = whole.clone();
            files[i].1 = bytes;
            all.push(files);
        };
        for at in (0..=bytes.len()).step_by(step) {
            put(bytes[..at].to_vec());
            put([&bytes[..at], b"\xff", &bytes[at..]].concat());
        }
        for at in (0..bytes.len()).step_by(step) {
            let mut bytes = bytes.clone();
            bytes[at] ^= 1 << (at % 8);
            put(bytes);
        }
    }
    all
}

fn agree_on_all(journals: &[Files]) {
    let homes = Homes::new();
    let dirs: Vec<_> = journals.iter().map(|files| homes.add(files)).collect();
    let output = reader(&dirs.iter().map(|home| home.join("journal")).collect::<Vec<_>>());
    let (mut lines, mut verdicts) = (String::new(), vec![]);
    for home in &dirs {
        let (more, verdict) = read(home);
        lines += &more;
        verdicts.push(verdict);
    }
    let said = text(&output.stderr);
    for ((said, wanted), home) in said.lines().zip(&verdicts).zip(&dirs) {
        assert!(said.starts_with(wanted), "{}: wanted {wanted}, got {said}", home.display());
    }
    assert_eq!(said.lines().count(), dirs.len(), "{said}");
    assert_eq!(text(&output.stdout), lines);
    for verdict in ["sound", "torn", "damaged"] {
        assert!(verdicts.iter().any(|found| found.starts_with(verdict)), "{verdict}");
    }
}

/// Runs both over the journal of `home`.
fn agree(home: &Path, name: &str) {
    let mut export = Command::new(env!("CARGO_BIN_EXE_openclaw"));
    export.args(["journal", "export"]).env_clear().env("OPENCLAW_STATE_DIR", home);
    let export = export.output().expect("it runs");
    if !home.exists() {
        fs::create_dir_all(home.join("journal")).expect("made");
    }
    let read_by_them = reader(&[home.join("journal")]);
    let (ours, theirs) = (text(&export.stdout), text(&read_by_them.stdout));
    for (number, (ours, theirs)) in ours.lines().zip(theirs.lines()).enumerate() {
        assert_eq!(ours, theirs, "{name}: line {number}");
    }
    assert_eq!(ours, theirs, "{name}");
    assert_eq!(export.status.code(), read_by_them.status.code(), "{name}: {}", text(&read_by_them.stderr));
    if export.status.code() != Some(1) {
        let (lines, verdict) = read(home);
        assert_eq!(ours, lines, "{name}");
        assert!(text(&read_by_them.stderr).starts_with(&verdict), "{name}: {verdict}: {}", text(&read_by_them.stderr));
    }
}

fn reader(journals: &[PathBuf]) -> Output {
    let mut python = Command::new("python3");
    python.arg(Path::new(VECTORS).join("reader.py")).args(journals);
    python.output().expect("python3 is needed to hold the reader in tests/vectors against this program")
}

/// The lines of the journal's sound part, and how the reader's verdict begins.
fn read(home: &Path) -> (String, String) {
    let mut lines = String::new();
    let verdict = read_all(&home.join("journal"), &mut |_, records| {
        for record in records {
            let _ = writeln!(lines, "{}", wire::record::line(&wire::record::record(record)));
        }
    });
    let verdict = match verdict.expect("a verdict") {
        Verdict::Sound(sound) => format!("sound: seq {}, head {}", sound.head.seq, sound.head.hash),
        Verdict::TornTail { sound, .. } => {
            format!("torn: segment {}, offset {}: seq {}, head {}", sound.segment, sound.offset, sound.head.seq, sound.head.hash)
        }
        Verdict::RolledBack { .. } => unreachable!("no witness is here"),
        Verdict::Corrupt { segment, offset, seq, .. } => format!("damaged: segment {segment}, offset {offset}, seq {seq}: "),
        Verdict::TooNew { segment, .. } => format!("too new: segment {segment}: "),
    };
    (lines, verdict)
}

/// Records with what is hard to spell alike.
fn strange(mut records: Vec<Record>) -> Vec<Record> {
    let last = records.last().expect("a record").clone();
    let hostile = "\0\u{1}\u{8}\t\n\u{b}\u{c}\r\u{1b}[2J \"\\/ \u{7f}\u{80}\u{9b}\u{a0}\u{ad}é漢\u{200b}\u{2028}\u{202e}\u{2060}\u{feff}\u{1f600}";
    let mut events = vec![Event::from(GatewayStopped { cause: hostile.into() })];
    for peer in
        ["::1", "::", "2001:db8:0:0:1:0:0:1", "2001:db8::1:1:1:1:1", "::192.0.2.1", "64:ff9b::c000:201", "::ffff:10.0.0.1"]
    {
        let mut admissions = records.iter().filter_map(|record| match &record.event {
            Event::ConnectionAdmitted(event) => Some(event.clone()),
            _ => None,
        });
        let mut event = admissions.next().expect("an admission");
        event.attempt.source.peer = Address(peer.parse().expect("an address"));
        event.attempt.source.claimed = Some(event.attempt.source.peer);
        events.push(event.into());
    }
    let times = [4_102_444_800_999, 253_402_207_200_000, 253_402_207_200_001, u64::MAX];
    events.extend(times.map(|_| GatewayStopped { cause: String::new() }.into()));
    let plain = events.len() - times.len();
    for (i, event) in events.into_iter().enumerate() {
        let seq = Seq(records.len() as u64 + 1);
        let at = i.checked_sub(plain).map_or(last.at, |late| Millis(times[late]));
        records.push(Record { seq, at, event, actor: last.actor.clone() });
    }
    records
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("UTF-8")
}

/// State directories that go away with the test.
struct Homes {
    root: tempfile::TempDir,
    count: Cell<usize>,
}

impl Homes {
    fn new() -> Self {
        Self { root: tempfile::tempdir().expect("a scratch directory"), count: Cell::new(0) }
    }

    /// One whose journal is these files.
    fn add(&self, files: &Files) -> PathBuf {
        let number = self.count.replace(self.count.get() + 1);
        let home = self.root.path().join(number.to_string());
        fs::DirBuilder::new().recursive(true).mode(0o700).create(home.join("journal")).expect("made");
        for (name, bytes) in files {
            fs::write(home.join("journal").join(name), bytes).expect("written");
        }
        home
    }
}
