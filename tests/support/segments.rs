//! A journal over several segments, as files.

use std::fs;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;

use openclaw_pairing::journal::{Journal, Lock, Options};
use openclaw_pairing::pairing::{Actor, Event, Record, Seq};

use crate::support::{JOURNAL, every_kind};

/// [`every_kind`] but the seal, which is true of one place in one journal only: records that can be appended to any.
pub(crate) fn appendable() -> Vec<Record> {
    let unsealed = every_kind().into_iter().filter(|record| !matches!(record.event, Event::SegmentSealed(_)));
    unsealed.zip(1..).map(|(record, seq)| Record { seq: Seq(seq), ..record }).collect()
}

/// The segments of a journal to which `batches` were appended, one segment each, with their names; without the room ahead.
pub(crate) fn segments_of(batches: &[&[Record]]) -> Vec<(String, Vec<u8>)> {
    let scratch = tempfile::tempdir().expect("a scratch directory");
    let dir = scratch.path().join("journal");
    fs::DirBuilder::new().mode(0o700).create(&dir).expect("made");
    let lock = Lock::acquire(&dir).expect("a free lock");
    let options = Options { segment_bytes: 1, ..Options::default() };
    let mut journal = Journal::create(lock, JOURNAL).expect("a new journal").with(options);
    for (i, batch) in batches.iter().enumerate() {
        if i > 0 {
            let event = journal.seal().expect("a seal that is due").into();
            let seq = journal.head().seq.next();
            let seal = Record { seq, at: batch[0].at, actor: Actor::System, event };
            journal.append(journal.head(), &[seal]).expect("a seal");
        }
        let next = journal.head().seq.next().0;
        let records: Vec<_> = batch.iter().zip(next..).map(|(record, seq)| Record { seq: Seq(seq), ..record.clone() }).collect();
        journal.append(journal.head(), &records).expect("records that follow on");
    }
    drop(journal);
    segments_in(&dir)
}

fn segments_in(dir: &Path) -> Vec<(String, Vec<u8>)> {
    let files = fs::read_dir(dir).expect("a folder").map(|entry| entry.expect("an entry").path());
    let mut segments: Vec<_> = files
        .filter(|path| path.extension().is_some_and(|extension| extension == "segment"))
        .map(|path| {
            let mut bytes = fs::read(&path).expect("a segment");
            let end = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
            bytes.truncate(end);
            (path.file_name().expect("a name").to_string_lossy().into_owned(), bytes)
        })
        .collect();
    segments.sort();
    segments
}
