//! `openclaw journal`: looks at the files themselves, without the lock, whether a gateway runs or not.

use std::path::PathBuf;

use clap::Subcommand;
use serde_json::{Value, json};

use super::anchor::{self, Anchor, AnchorArgs, HeadArgs};
use super::compare::{CompareArgs, compare};
use super::moment::Point;
use super::output::{Bulk, Output};
use super::{Exit, Failure, World};
use crate::authority;
use crate::journal::format::Fault;
use crate::journal::{Checkpoint, Extent, Journal, JournalError, Lock, Shown, Verdict, read_all, show, verify, volume};
use crate::pairing::{Digest, Record, Registry, Seq};
use crate::state;
use crate::views::{COLUMNS, Redaction, event_sentence, log_row, sheet_row, time_text};
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
}

pub(super) fn run(command: &Command, world: &World, out: &Output) -> Result<(), Failure> {
    match command {
        Command::Verify { anchor, json } => {
            out.speak_json(*json);
            let mut anchor = Anchor::of(anchor, world)?;
            let mut saved = Saved::of(world)?;
            let mut progress = out.progress("checked");
            let verdict = read_all(&world.state.journal(), &mut |head, records| {
                progress.pass(records.len());
                if let Some(anchor) = &mut anchor {
                    anchor.pass(head, records);
                }
                saved.pass(records);
            })?;
            progress.finish();
            judge(&verdict, anchor.as_ref(), *json, out)?;
            saved.judge()
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

/// The checkpoints, held against the records.
struct Saved {
    digests: Vec<(Seq, (Digest, Digest))>,
    registry: Registry,
    differs: Option<Seq>,
}

impl Saved {
    fn of(world: &World) -> Result<Self, Failure> {
        let volume = volume(&world.state.journal())?;
        let mut digests = vec![];
        for seq in Checkpoint::all(&*volume)? {
            let checkpoint = Checkpoint::load(&*volume, seq)?.filter(|checkpoint| checkpoint.layout == authority::LAYOUT);
            // One that cannot be used counts for nothing.
            digests.extend(checkpoint.map(|checkpoint| (seq, checkpoint.digest)));
        }
        Ok(Self { digests, registry: Registry::default(), differs: None })
    }

    fn pass(&mut self, records: &[Record]) {
        if self.digests.is_empty() {
            return;
        }
        for record in records {
            self.registry.apply(record);
        }
        let head = self.registry.head();
        if let Some(at) = self.digests.iter().position(|(seq, _)| *seq == head) {
            let (seq, digest) = self.digests.remove(at);
            self.differs = self.differs.or((digest != self.registry.digest()).then_some(seq));
        }
    }

    fn judge(&self) -> Result<(), Failure> {
        let Some(seq) = self.differs else { return Ok(()) };
        let message = format!(
            "the checkpoint at seq {seq} is not what the records lead to: remove {:020}.checkpoint, it is disposable",
            seq.0
        );
        Err(Failure::new(Exit::Damaged, message))
    }
}

fn judge(verdict: &Verdict, anchor: Option<&Anchor>, json: bool, out: &Output) -> Result<(), Failure> {
    let (extent, torn) = sound_part(verdict)?;
    if let Some(anchor) = anchor {
        anchor.hold(extent)?;
    }
    if json {
        let mut value = extent_json(extent);
        value["verdict"] = if torn.is_some() { "torn-tail" } else { "sound" }.into();
        if let Some((bytes, what)) = torn {
            value["torn"] = json!({ "bytes": bytes, "what": what.to_string() });
        }
        let proven = [(true, "consistent"), (extent.witnessed.is_some(), "complete"), (anchor.is_some(), "anchored")];
        value["proven"] = proven.into_iter().filter(|(is_proven, _)| *is_proven).map(|(_, name)| name).collect();
        if let Some(seq) = extent.witnessed {
            value["witnessed"] = seq.0.into();
        }
        if let Some(anchor) = anchor {
            value["anchor"] = anchor.json();
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
            let details = json!({
                "verdict": "corrupt", "segment": segment, "offset": offset, "seq": seq.0, "what": what.to_string(),
                "sound": sound.as_ref().map(extent_json),
            });
            Err(Failure { details: Some(details), ..Failure::new(Exit::Damaged, format!("{message}{before}{next}")) })
        }
        Verdict::RolledBack { sound, witnessed, witness } => {
            let (head, witnessed, witness) = (sound.head.seq, *witnessed, witness.clone());
            let error = JournalError::RolledBack { head, witnessed, witness };
            let details = json!({ "verdict": "rolled-back", "sound": extent_json(sound), "witnessed": witnessed.0 });
            Err(Failure { details: Some(details), ..Failure::from(error) })
        }
        Verdict::TooNew { segment, found, .. } => {
            let message =
                format!("written by another version: segment {segment} {found}; open it with the version that wrote it");
            let details = json!({ "verdict": "too-new", "segment": segment });
            Err(Failure { details: Some(details), ..Failure::new(Exit::Newer, message) })
        }
    }
}

fn extent_json(extent: &Extent) -> Value {
    json!({
        "journal": extent.journal.to_string(),
        "seq": extent.head.seq.0,
        "head": extent.head.hash.to_string(),
        "records": extent.records,
        "begins": extent.begins.0,
        "segment": extent.segment,
        "bytes": extent.offset,
    })
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

fn export(args: &Export, world: &World, out: &Output) -> Result<(), Failure> {
    let journal = world.state.journal();
    // Said before a file is made that would stay empty.
    if !Journal::exists(&journal)? {
        return Err(JournalError::NotAJournal { path: journal }.into());
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
