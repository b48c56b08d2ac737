//! `openclaw journal`: looks at the files themselves, without the lock, whether a gateway runs or not.

use std::io;
use std::path::{Path, PathBuf};

use clap::Subcommand;
use serde_json::json;

use super::anchor::{self, Anchor, AnchorArgs, HeadArgs};
use super::compare::{CompareArgs, compare};
use super::devices::count;
use super::moment::Point;
use super::output::{Bulk, Output};
use super::{Exit, Failure, World};
use crate::authority;
use crate::gateway::{verdict_json, write_copies};
use crate::journal::format::Fault;
use crate::journal::{Extent, Journal, JournalError, Lock, Shown, Verdict, read_all, show, verify};
use crate::pairing::{Record, Seq};
use crate::state::{self, StateDir};
use crate::views::{COLUMNS, Redaction, event_sentence, log_row, quote, sheet_row, time_text};
use crate::wire;

#[derive(Subcommand)]
pub(super) enum Command {
    /// Check every byte, and say what that proves; with a head kept elsewhere also that history was not rewritten
    Verify {
        #[command(flatten)]
        anchor: Box<AnchorArgs>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Sign the head of the journal, to be kept elsewhere
    Head(HeadArgs),
    /// Print the records, and any damage among them
    Show {
        /// Begin with this record
        #[arg(long, value_name = "SEQ", default_value_t = 1)]
        from: u64,
        /// Print at most this many
        #[arg(long, value_name = "N")]
        limit: Option<u64>,
        /// Print JSON, one record a line
        #[arg(long)]
        json: bool,
    },
    /// Print the records for other programs: one line of JSON each, or CSV
    Export(Export),
    /// Find where two copies of a journal part
    Compare(CompareArgs),
    /// Save the state that the records lead to, so that the next start need not read them all; needs the gateway stopped
    Checkpoint,
    /// Put a torn end aside, as the next start would; what is damaged is not touched
    Repair,
}

#[derive(clap::Args)]
pub(super) struct Export {
    /// Print rows for a spreadsheet instead of JSON
    #[arg(long)]
    csv: bool,
    /// Begin with this record, or with those of this time
    #[arg(long, value_name = "SEQ|TIME")]
    from: Option<Point>,
    /// Leave out addresses, names, labels and paths, to show it to others
    #[arg(long)]
    redact: bool,
    /// End with this record, or with those of this time
    #[arg(long, value_name = "SEQ|TIME")]
    until: Option<Point>,
    /// Write to this file, which must not be there yet
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Instead of the records, write who is paired as OpenClaw 2026.3.13 keeps it, without tokens, into this empty or new directory
    #[arg(long, value_name = "DIR", conflicts_with_all = ["csv", "from", "redact", "until", "output"])]
    openclaw: Option<PathBuf>,
}

pub(super) fn run(command: &Command, world: &World, out: &Output) -> Result<(), Failure> {
    match command {
        Command::Verify { anchor, json } => {
            out.speak_json(*json);
            let mut anchor = Anchor::of(anchor, world)?;
            let mut progress = out.progress("checked");
            let (verdict, differs) = authority::verify(&world.state.journal(), &mut |head, records| {
                progress.pass(records.len());
                if let Some(anchor) = &mut anchor {
                    anchor.pass(head, records);
                }
            })?;
            progress.finish();
            judge(&verdict, differs, anchor.as_ref(), *json, out)?;
            differs.map_or(Ok(()), |seq| Err(disposable(seq)))
        }
        Command::Head(args) => anchor::head(args, world, out),
        Command::Show { from, limit, json } => {
            out.speak_json(*json);
            print(Seq(*from), limit.unwrap_or(u64::MAX), *json, world, out)
        }
        Command::Export(args) => export(args, world, out),
        Command::Compare(args) => compare(args, out),
        Command::Checkpoint => {
            let seq = authority::checkpoint(Lock::acquire(&existing(world)?)?, &*world.host, world.state.witnesses())?;
            out.line(format_args!("Saved the state at seq {seq}."))
        }
        Command::Repair => repair(world, out),
    }
}

/// The journal's directory, in which there is one.
fn existing(world: &World) -> Result<PathBuf, Failure> {
    let path = world.state.journal();
    if Journal::exists(&path)? { Ok(path) } else { Err(JournalError::NotAJournal { path }.into()) }
}

fn repair(world: &World, out: &Output) -> Result<(), Failure> {
    let dir = existing(world)?;
    let lock = Lock::acquire(&dir)?;
    let verdict = verify(&dir)?;
    let (sound, torn) = sound_part(&verdict)?;
    let Some((bytes, what)) = torn else { return out.line("Nothing to repair: it is sound.") };
    authority::checkpoint(lock, &*world.host, world.state.witnesses())?;
    let seq = sound.head.seq;
    out.line(format_args!("Put aside {bytes} bytes after seq {seq} that were not a whole batch ({what}), and recorded it."))
}

fn disposable(seq: Seq) -> Failure {
    let message =
        format!("the checkpoint at seq {seq} is not what the records lead to: remove {:020}.checkpoint, it is disposable", seq.0);
    Failure::new(Exit::Damaged, message)
}

fn judge(verdict: &Verdict, differs: Option<Seq>, anchor: Option<&Anchor>, json: bool, out: &Output) -> Result<(), Failure> {
    let (extent, torn) = sound_part(verdict)?;
    if let Some(anchor) = anchor {
        anchor.hold(extent)?;
    }
    if json {
        let mut value = verdict_json(verdict, differs);
        if let Some(anchor) = anchor {
            value["anchor"] = anchor.json();
            if let Some(proven) = value["proven"].as_array_mut() {
                proven.push("anchored".into());
            }
        }
        return out.json(&value);
    }
    out.line(format_args!("sound: {}", extent_text(extent)))?;
    if let Some((bytes, what)) = torn {
        out.line(format_args!(
            "After it {bytes} bytes in {} at offset {} are not a whole batch ({what}): nobody was answered on them. \
             A gateway that writes just now leaves such bytes for a moment; else the next start puts them aside.",
            extent.segment, extent.offset
        ))?;
    }
    out.line("Proven:")?;
    out.line("  consistent: every checksum, every seq and every link of the hash chain is right")?;
    if let Some(seq) = extent.witnessed {
        out.line(format_args!("  complete: up to seq {seq} nothing is missing; the witness outside its directory saw it"))?;
    }
    if let Some(anchor) = anchor {
        out.line(format_args!("  {}", anchor.text()))?;
    }
    let elsewhere =
        "Only a head kept elsewhere can tell: openclaw journal head makes one, openclaw journal verify --head FILE compares.";
    match (extent.witnessed.is_some(), anchor.is_some()) {
        (false, false) => out.line(format_args!(
            "Not proven: that nothing is missing at the end, and that the whole was not rewritten. {elsewhere}"
        )),
        (true, false) => out.line(format_args!(
            "Not proven: that the whole was not rewritten by somebody who may write the witness too. {elsewhere}"
        )),
        (false, true) => {
            out.line("Not proven: that nothing is missing at the end, and that what came after that head was not rewritten.")
        }
        (true, true) => {
            out.line("Not proven: that what came after that head was not rewritten by somebody who may write the witness too.")
        }
    }
}

/// How many bytes are torn at the end of a journal, and how.
pub(super) type Torn = Option<(u64, Fault)>;

/// What is sound of a journal in which nothing is wrong, and what is torn.
pub(super) fn sound_part(verdict: &Verdict) -> Result<(&Extent, Torn), Failure> {
    match verdict {
        Verdict::Sound(extent) => Ok((extent, None)),
        Verdict::TornTail { sound, bytes, what } => Ok((sound, Some((*bytes, *what)))),
        Verdict::Corrupt { sound, segment, offset, seq, what } => {
            let message = format!("damaged: segment {segment}, offset {offset}, seq {seq}: {what}");
            let before = sound.as_ref().map(|extent| format!("; sound before it: {}", extent_text(extent))).unwrap_or_default();
            let next = "; nothing was changed: keep a copy of the directory, and see both sides of it: openclaw journal show";
            Err(unsound(verdict, Failure::new(Exit::Damaged, format!("{message}{before}{next}"))))
        }
        Verdict::RolledBack { sound, witnessed, witness } => {
            let (head, witnessed, witness) = (sound.head.seq, *witnessed, witness.clone());
            Err(unsound(verdict, JournalError::RolledBack { head, witnessed, witness }.into()))
        }
        Verdict::TooNew { segment, found, .. } => {
            let message =
                format!("written by another version: segment {segment} {found}; open it with the version that wrote it");
            Err(unsound(verdict, Failure::new(Exit::Newer, message)))
        }
    }
}

fn unsound(verdict: &Verdict, failure: Failure) -> Failure {
    Failure { details: Some(verdict_json(verdict, None)), ..failure }
}

fn extent_text(extent: &Extent) -> String {
    let Extent { journal, head, records, begins, .. } = extent;
    let kept = if *begins > Seq(1) { format!(" from seq {begins} on, the rest archived") } else { String::new() };
    format!("journal {journal}, seq {}, head {}, {records} records{kept}", head.seq, head.hash)
}

fn print(from: Seq, limit: u64, json: bool, world: &World, out: &Output) -> Result<(), Failure> {
    let mut left = limit;
    let mut printed = Ok(());
    let mut damage = None;
    show(&world.state.journal(), from, &mut |shown| {
        if left == 0 {
            return false;
        }
        printed = match &shown {
            Shown::Record(record) => {
                left = left.saturating_sub(1);
                if json { out.line(record_json(record)) } else { out.line(record_text(record)) }
            }
            Shown::Damage { segment, offset, seq, what, resumes } => {
                let next = match resumes {
                    Some((offset, seq)) => format!("it reads on at offset {offset} with seq {seq}"),
                    None => "nothing can be read after it".to_owned(),
                };
                let text = format!("segment {segment}, offset {offset}, seq {seq}: {what}; {next}");
                let line = if json { json!({ "damage": &text }).to_string() } else { format!("--- damage: {text}") };
                damage.get_or_insert(text);
                out.line(line)
            }
        };
        printed.is_ok()
    })?;
    printed?;
    match damage {
        Some(text) => Err(Failure::new(Exit::Damaged, format!("not sound: {text}; what it is: openclaw journal verify"))),
        None => Ok(()),
    }
}

fn record_text(record: &Record) -> String {
    format!("{:>6} {} {:<20} {}", record.seq, time_text(record.at), record.event.name(), log_row(record).message)
}

fn record_json(record: &Record) -> String {
    let mut value = wire::record::record(record);
    value["message"] = event_sentence(record).into();
    wire::record::line(&value)
}

/// Into a directory of its own: files of a real OpenClaw must not be replaced by what has no tokens.
fn export_for_openclaw(dir: &Path, world: &World, out: &Output) -> Result<(), Failure> {
    let shown = quote(&dir.display().to_string());
    let is_empty = match std::fs::read_dir(dir) {
        Ok(mut entries) => entries.next().is_none(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => true,
        Err(error) => return Err(state::io_error("read", dir)(error).into()),
    };
    if !is_empty {
        return Err(Failure::new(Exit::Failed, format!("{shown} is not empty; name a directory that is, or a new one")));
    }
    let (registry, _) = authority::look(&world.state.journal())?;
    write_copies(&StateDir::at(dir), &registry)?;
    let devices = count(registry.device_count(), "device");
    out.line(format_args!("Wrote {devices}, without tokens, to {shown}/devices/paired.json."))
}

fn export(args: &Export, world: &World, out: &Output) -> Result<(), Failure> {
    let journal = world.state.journal();
    // Said before a file is made that would stay empty.
    if !Journal::exists(&journal)? {
        return Err(JournalError::NotAJournal { path: journal }.into());
    }
    if let Some(dir) = &args.openclaw {
        return export_for_openclaw(dir, world, out);
    }
    let mut bulk = match &args.output {
        Some(path) => Bulk::file(state::create(path)?)?,
        None => Bulk::stdout(),
    };
    if args.csv {
        bulk.line(COLUMNS)?;
    }
    let now = world.host.wall();
    let [from, until] = [args.from, args.until].map(|point| point.map(|point| point.seen_from(now)));
    let is_wanted =
        |record: &&Record| from.is_none_or(|from| record.is_since(from)) && until.is_none_or(|until| record.is_until(until));
    let mut written = Ok(());
    let mut redaction = args.redact.then(Redaction::default);
    let mut progress = out.progress("exported");
    let verdict = read_all(&journal, &mut |_, records| {
        progress.pass(records.len());
        for record in records.iter().filter(is_wanted) {
            if written.is_ok() {
                let redacted = redaction.as_mut().map(|redaction| redaction.of(record.clone()));
                let record = redacted.as_ref().unwrap_or(record);
                written = bulk.line(if args.csv { sheet_row(record) } else { wire::record::line(&wire::record::record(record)) });
            }
        }
    })?;
    progress.finish();
    written?;
    bulk.finish()?;
    let (sound, torn) = sound_part(&verdict)?;
    if let Some((bytes, _)) = torn {
        let seq = sound.head.seq;
        out.note(format_args!(
            "{bytes} bytes after seq {seq} are not a whole batch and were left out: nobody was answered on them."
        ));
    }
    Ok(())
}
