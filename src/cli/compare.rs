//! `openclaw journal compare`: two copies of one journal, and where they part. A copy that went on by itself is a fork: each of
//! both has records that the other has not, and neither is the truth alone.

use std::path::{Path, PathBuf};

use super::output::Output;
use super::{Exit, Failure};
use crate::journal::Reader;
use crate::limits;
use crate::pairing::{Record, Seq};
use crate::views::{event_sentence, time_text};

#[derive(clap::Args)]
pub(super) struct CompareArgs {
    /// A state directory, or the journal in one
    #[arg(value_name = "A")]
    left: PathBuf,
    /// Another
    #[arg(value_name = "B")]
    right: PathBuf,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn compare(args: &CompareArgs, out: &Output) -> Result<(), Failure> {
    out.speak_json(args.json);
    let (left, right) = (journal_in(&args.left), journal_in(&args.right));
    let (mut a, mut b) = (Reader::open(&left)?, Reader::open(&right)?);
    if a.id() != b.id() {
        let message = format!("these are two journals: {} is {}, {} is {}", left.display(), a.id(), right.display(), b.id());
        return Err(Failure::new(Exit::Failed, message));
    }
    let parted = part(&mut a, &mut b)?;
    let (common, text) = (parted.common, |record: &Option<Record>| record.as_ref().map(line));
    let (in_a, in_b) = (text(&parted.in_a), text(&parted.in_b));
    if args.json {
        out.json(&serde_json::json!({ "lastCommonSeq": common.0, "a": in_a, "b": in_b }))?;
    }
    let say = |what: String| if args.json { Ok(()) } else { out.line(what) };
    match (in_a, in_b) {
        (None, None) => say(format!("The same: both end with seq {common}.")),
        (Some(next), None) => say(format!("B is an older copy of A: it ends with seq {common}, and A goes on:\n  {next}")),
        (None, Some(next)) => say(format!("A is an older copy of B: it ends with seq {common}, and B goes on:\n  {next}")),
        (Some(in_a), Some(in_b)) => {
            say(format!("Forked: up to seq {common} they are the same.\n  A: {in_a}\n  B: {in_b}"))?;
            let message = format!("the copies part after seq {common}; let one of them go on, and import from the other by hand");
            Err(Failure::new(Exit::Damaged, message))
        }
    }
}

/// The last common record, and the first one in each that is not in the other.
struct Parted {
    common: Seq,
    in_a: Option<Record>,
    in_b: Option<Record>,
}

fn part(a: &mut Reader, b: &mut Reader) -> Result<Parted, Failure> {
    let mut common = Seq(0);
    loop {
        let (left, right) = (a.read(common.next(), limits::READ_RECORDS)?, b.read(common.next(), limits::READ_RECORDS)?);
        let same = left.iter().zip(&right).take_while(|(left, right)| left == right).count();
        common = left.get(same.saturating_sub(1)).filter(|_| same > 0).map_or(common, |record| record.seq);
        if same < limits::READ_RECORDS {
            return Ok(Parted { common, in_a: left.get(same).cloned(), in_b: right.get(same).cloned() });
        }
    }
}

fn journal_in(path: &Path) -> PathBuf {
    let inner = path.join("journal");
    if inner.is_dir() { inner } else { path.to_owned() }
}

fn line(record: &Record) -> String {
    format!("seq {} at {}: {}", record.seq, time_text(record.at), event_sentence(record))
}
