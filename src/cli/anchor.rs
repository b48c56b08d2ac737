//! Heads kept elsewhere: `openclaw journal head` makes one, `openclaw journal verify` holds the journal against one. Whoever may
//! write the journal can redo every hash in it, and only a head that was out of their reach tells.

use std::fs::File;
use std::path::PathBuf;
use std::str::FromStr;

use serde_json::{Value, json};

use super::journal::sound_part;
use super::output::{Bulk, Output};
use super::{Exit, Failure, World};
use crate::heads::{ClaimedHead, HeadError, HeadKey, Verifier, named_journal};
use crate::journal::{Extent, Head, verify};
use crate::limits;
use crate::pairing::{JournalId, Record, Seq};
use crate::state;
use crate::views::{quote, time_text};

#[derive(clap::Args)]
pub(super) struct HeadArgs {
    /// Write it to this file, which must not be there yet
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(clap::Args)]
pub(super) struct AnchorArgs {
    /// Prove that history up to this record was not rewritten since its head was noted
    #[arg(long, value_name = "SEQ:HASH", conflicts_with = "head")]
    expect: Option<Expected>,
    /// As --expect, with a head that `openclaw journal head` signed
    #[arg(long, value_name = "FILE")]
    head: Option<PathBuf>,
    /// The verifier key of that head, instead of this host's own pairing/head.key
    #[arg(long, value_name = "VKEY", requires = "head")]
    key: Option<Verifier>,
}

#[derive(Clone)]
struct Expected(Head);

impl FromStr for Expected {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parsed =
            text.split_once(':').and_then(|(seq, hash)| Some(Head { seq: Seq(seq.parse().ok()?), hash: hash.parse().ok()? }));
        parsed.map(Self).ok_or("a head is SEQ:HASH, the hash in 64 lower-case hexadecimal digits")
    }
}

/// Signs the head of the journal as it is now.
pub(super) fn head(args: &HeadArgs, world: &World, out: &Output) -> Result<(), Failure> {
    out.speak_json(args.json);
    let dir = world.state.journal();
    let verdict = verify(&dir)?;
    let (extent, _) = sound_part(&verdict)?;
    // What a gateway has just written may not be on the disk yet, and a head that a crash undoes would look like fraud.
    let path = dir.join(&extent.segment);
    let synced = File::open(&path).and_then(|file| file.sync_all());
    synced.map_err(|error| Failure::new(Exit::Failed, format!("cannot sync {}: {error}", path.display())))?;
    world.state.prepare()?;
    let key = HeadKey::load_or_new(&world.state, &*world.host)?;
    let Extent { journal, head, .. } = *extent;
    let note = key.sign(&ClaimedHead { journal, seq: head.seq, hash: head.hash, time: time_text(world.host.wall()) });
    let verifier = key.verifier(&journal);
    if let Some(path) = &args.output {
        let mut file = Bulk::file(state::create(path)?)?;
        file.text(&note)?;
        file.finish()?;
    }
    if args.json {
        let (seq, hash) = (head.seq.0, head.hash.to_string());
        let value =
            json!({ "journal": journal.to_string(), "seq": seq, "head": hash, "note": note, "key": verifier.to_string() });
        return out.json(&value);
    }
    match &args.output {
        Some(_) => out.line(format_args!("verifier key: {verifier}")),
        None => {
            out.line(note.trim_end())?;
            out.note(format_args!("verifier key: {verifier}"));
            Ok(())
        }
    }
}

/// A head that the journal is held against, and what it has there instead.
pub(super) struct Anchor {
    expected: Head,
    signed: Option<Signed>,
    /// The journal's own head at that seq.
    found: Option<Head>,
    /// The end of the batch that the seq is in the middle of.
    around: Option<Head>,
}

struct Signed {
    journal: JournalId,
    key: Verifier,
    time: String,
}

impl Anchor {
    /// The head that the arguments say, if they say one: read, and its signature checked.
    pub(super) fn of(args: &AnchorArgs, world: &World) -> Result<Option<Self>, Failure> {
        let new = |expected, signed| Some(Self { expected, signed, found: None, around: None });
        if let Some(Expected(head)) = &args.expect {
            return Ok(new(*head, None));
        }
        let Some(path) = &args.head else { return Ok(None) };
        let failed = |why: &str| Failure::new(Exit::Failed, format!("{}: {why}", path.display()));
        let bytes = state::read(path, limits::HEAD_BYTES)?.ok_or_else(|| failed("there is no such file"))?;
        let refused = |error: HeadError| failed(&error.to_string());
        let note = String::from_utf8(bytes).map_err(|_| refused(HeadError::NotANote))?;
        let key = match &args.key {
            Some(key) => key.clone(),
            None => {
                let own = HeadKey::load(&world.state)?;
                let own =
                    own.ok_or_else(|| failed("there is no pairing/head.key here; say the key that signed it: --key VKEY"))?;
                own.verifier(&named_journal(&note).map_err(refused)?)
            }
        };
        let ClaimedHead { journal, seq, hash, time } = key.open(&note).map_err(refused)?;
        Ok(new(Head { seq, hash }, Some(Signed { journal, key, time })))
    }

    /// Takes a batch of the journal: the head behind it.
    pub(super) fn pass(&mut self, head: Head, records: &[Record]) {
        if head.seq == self.expected.seq {
            self.found = Some(head);
        } else if records.iter().any(|record| record.seq == self.expected.seq) {
            self.around = Some(head);
        }
    }

    /// Whether the journal, which was passed whole, has this head.
    pub(super) fn hold(&self, extent: &Extent) -> Result<(), Failure> {
        let Head { seq, hash } = self.expected;
        let foreign = self.signed.as_ref().filter(|signed| signed.journal != extent.journal);
        let why = match (foreign, self.found, self.around) {
            (Some(signed), ..) => format!("the head is of journal {}, and this is journal {}", signed.journal, extent.journal),
            (None, Some(found), _) if found == self.expected => return Ok(()),
            (None, Some(found), _) => format!("history was rewritten: expected head {hash} at seq {seq}, found {}", found.hash),
            (None, None, Some(Head { seq: end, hash: found })) => format!(
                "history was rewritten, or the seq is mistyped: expected head {hash} at seq {seq}, which is not the end of a batch here; \
                 its batch ends at seq {end} with head {found}"
            ),
            (None, None, None) => format!(
                "the end is missing: expected head {hash} at seq {seq}, and the journal ends at seq {} with head {}",
                extent.head.seq, extent.head.hash
            ),
        };
        let found = self.found.or(self.around).unwrap_or(extent.head);
        let details = json!({ "verdict": "not-anchored", "expected": head_json(self.expected), "found": head_json(found) });
        Err(Failure { details: Some(details), ..Failure::new(Exit::Damaged, format!("not anchored: {why}")) })
    }

    /// What was proven, in words.
    pub(super) fn text(&self) -> String {
        let Head { seq, hash } = self.expected;
        let text = format!("anchored: up to seq {seq} it is the history that head {hash} was noted of");
        match &self.signed {
            Some(Signed { key, time, .. }) => format!("{text}, signed by {key}, claimed time {}", quote(time)),
            None => text,
        }
    }

    /// What was proven, for programs.
    pub(super) fn json(&self) -> Value {
        let mut value = head_json(self.expected);
        if let Some(Signed { key, time, .. }) = &self.signed {
            value["key"] = key.to_string().into();
            value["claimedTime"] = time.as_str().into();
        }
        value
    }
}

fn head_json(Head { seq, hash }: Head) -> Value {
    json!({ "seq": seq.0, "head": hash.to_string() })
}
