//! `openclaw policy`: the policy in force, what another one would change, and putting that in force. A document is read once.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use clap::Subcommand;
use serde_json::{Value, json};

use super::door::{Door, Purpose, Reach};
use super::output::{Bulk, Output};
use super::simulate::simulate;
use super::{Exit, Failure, World};
use crate::limits;
use crate::pairing::{PRESETS, Policy, PolicyError, policy_digest};
use crate::views::{change_line, quote};
use crate::wire::frame::Text;
use crate::wire::policy::{checked, expect, malformed};

#[derive(Subcommand)]
pub(super) enum Command {
    /// Print the policy in force, as a document
    Show {
        /// Print a preset instead
        #[arg(long, value_name = "NAME", value_parser = ["default", "strict"])]
        preset: Option<String>,
        #[command(flatten)]
        reach: Reach,
    },
    /// Check a policy, and tell what it would change; changes nothing
    Check {
        #[command(flatten)]
        document: Document,
        #[command(flatten)]
        reach: Reach,
    },
    /// Try a policy on everything that was ever decided, and tell what would differ; changes nothing
    Simulate {
        #[command(flatten)]
        document: Document,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Put a policy in force
    Apply {
        #[command(flatten)]
        document: Document,
        /// Only if it is the one with this digest, as check printed it
        #[arg(long, value_name = "SHA256")]
        digest: Option<String>,
        /// Tell what it would change, and change nothing
        #[arg(long)]
        dry_run: bool,
        #[command(flatten)]
        reach: Reach,
    },
    /// Let a local rule work again that rests
    Arm {
        /// The rule: localFirstPairing or localUpgrade
        #[arg(value_name = "RULE")]
        rule: String,
        #[command(flatten)]
        reach: Reach,
    },
}

/// Where a policy is read.
#[derive(clap::Args)]
pub(super) struct Document {
    /// The document; - is standard input
    #[arg(value_name = "FILE", required_unless_present = "preset")]
    file: Option<PathBuf>,
    /// A preset instead of a file
    #[arg(long, value_name = "NAME", value_parser = ["default", "strict"], conflicts_with = "file")]
    preset: Option<String>,
}

pub(super) async fn run(command: Command, world: &World, out: &Output) -> Result<(), Failure> {
    match command {
        Command::Show { preset: Some(name), reach } => {
            out.speak_json(reach.json);
            show_preset(preset(&name), &reach, out)
        }
        Command::Show { preset: None, reach } => show(&reach, world, out).await,
        Command::Check { document, reach } => check(&document, None, &reach, world, out).await,
        Command::Simulate { document, json } => simulate(&document, json, world, out),
        Command::Apply { document, digest, dry_run: true, reach } => {
            check(&document, digest.as_deref(), &reach, world, out).await?;
            out.note("nothing was changed");
            Ok(())
        }
        Command::Apply { document, digest, dry_run: false, reach } => {
            apply(&document, digest.as_deref(), &reach, world, out).await
        }
        Command::Arm { rule, reach } => arm(&rule, &reach, world, out).await,
    }
}

fn preset(name: &str) -> &'static str {
    PRESETS.iter().find(|(known, _)| *known == name).map_or("", |(_, text)| text)
}

fn show_preset(text: &str, reach: &Reach, out: &Output) -> Result<(), Failure> {
    let digest = policy_digest(text);
    if reach.json {
        return out.json(&json!({ "text": text, "digest": digest.to_string() }));
    }
    document(text)?;
    out.note(format_args!("digest: {digest}"));
    Ok(())
}

/// To standard output as it is, so that what is kept of it is the same document.
fn document(text: &str) -> Result<(), Failure> {
    let mut bulk = Bulk::stdout();
    bulk.text(text)?;
    bulk.finish()
}

async fn show(reach: &Reach, world: &World, out: &Output) -> Result<(), Failure> {
    let shown = ask("policy.show", json!({}), Purpose::Look, reach, world, out).await?;
    if reach.json {
        return out.json(&shown);
    }
    document(text(&shown, "text"))?;
    out.note(format_args!("digest: {}", text(&shown, "digest")));
    out.note(match shown.get("applied").filter(|applied| !applied.is_null()) {
        Some(applied) => {
            let (at, by, seq) = (text(applied, "at"), text(applied, "by"), applied.get("seq").cloned().unwrap_or_default());
            format!("in force since {at}, seq {seq}, by {}", quote(by))
        }
        None => "in force since the journal began".to_owned(),
    });
    if let Some(flaw) = shown.get("unreadable").and_then(Value::as_str) {
        out.note(format_args!("unreadable to this version, so every rule that spares a person is off: {}", quote(flaw)));
    }
    for key in ["withoutPerson", "resting"] {
        items(&shown, key).for_each(|row| out.note(format_args!("rule: {}", quote(text(row, "message")))));
    }
    Ok(())
}

async fn check(source: &Document, digest: Option<&str>, reach: &Reach, world: &World, out: &Output) -> Result<(), Failure> {
    out.speak_json(reach.json);
    let document = source.read()?;
    expect(&document, digest.map(|digest| Text(digest.to_owned())).as_ref())?;
    let told = match ask("policy.check", json!({ "text": document }), Purpose::Look, reach, world, out).await {
        Ok(told) => told,
        // Nothing to hold it against: no gateway and no journal.
        Err(failure) if failure.exit == Exit::Unreachable => checked(&document, None)?,
        Err(failure) => return Err(failure),
    };
    if reach.json {
        return out.json(&told);
    }
    out.line(format_args!("Policy         {}", text(&told, "digest")))?;
    out.line(match told.get("inForce").and_then(Value::as_str) {
        Some(known) if known == text(&told, "digest") => "In force       this one".to_owned(),
        Some(digest) => format!("In force       {digest}"),
        None => "In force       unknown: no gateway and no journal here".to_owned(),
    })?;
    show_changes(&told, "changes", out)?;
    let looser: Vec<_> = items(&told, "looser").filter_map(Value::as_str).collect();
    if !looser.is_empty() {
        out.line(format_args!("Loosens        {}: only the owner may, on the gateway's host", quote(&looser.join(", "))))?;
    }
    for warning in items(&told, "warnings").filter_map(Value::as_str) {
        out.line(format_args!("Warning        {}", quote(warning)))?;
    }
    show_standing(&told, out)?;
    let is_news = items(&told, "changes").next().is_some();
    let next = source.words();
    if is_news {
        out.line(format_args!("Next           openclaw policy apply {next} --digest {}", text(&told, "digest")))
    } else {
        Ok(())
    }
}

async fn apply(source: &Document, digest: Option<&str>, reach: &Reach, world: &World, out: &Output) -> Result<(), Failure> {
    out.speak_json(reach.json);
    let mut params = json!({ "text": source.read()? });
    if let (Some(digest), Some(params)) = (digest, params.as_object_mut()) {
        params.insert("digest".to_owned(), digest.into());
    }
    let told = ask("policy.apply", params, Purpose::Act, reach, world, out).await?;
    if reach.json {
        return out.json(&told);
    }
    out.line(match told.get("appliedSeq").and_then(Value::as_u64) {
        Some(seq) => format!("Applied        {}, seq {seq}", text(&told, "digest")),
        None => format!("In force       {} already", text(&told, "digest")),
    })?;
    show_changes(&told, "changes", out)?;
    show_standing(&told, out)
}

async fn arm(rule: &str, reach: &Reach, world: &World, out: &Output) -> Result<(), Failure> {
    let told = ask("policy.arm", json!({ "rule": rule }), Purpose::Act, reach, world, out).await?;
    if reach.json {
        return out.json(&told);
    }
    let how = if told.get("rested") == Some(&Value::Bool(true)) { "Armed" } else { "Not resting" };
    out.line(format_args!("{how} {}", text(&told, "rule")))
}

/// One call.
async fn ask(
    method: &str,
    params: Value,
    purpose: Purpose,
    reach: &Reach,
    world: &World,
    out: &Output,
) -> Result<Value, Failure> {
    out.speak_json(reach.json);
    let mut door: Door = reach.open(world, purpose).await?;
    let answer = door.call(method, params).await;
    door.close().await;
    answer
}

/// Key by key what is another.
pub(super) fn show_changes(told: &Value, which: &str, out: &Output) -> Result<(), Failure> {
    for change in items(told, which) {
        let line = change_line(text(change, "key"), text(change, "from"), text(change, "to"));
        out.line(format_args!("{:<15}{line}", capital(text(change, "is"))))?;
    }
    Ok(())
}

/// What `status` goes on telling of.
fn show_standing(told: &Value, out: &Output) -> Result<(), Failure> {
    let rules: Vec<_> = items(told, "withoutPerson").map(|rule| text(rule, "rule")).collect();
    match rules.as_slice() {
        [] => Ok(()),
        rules => out.line(format_args!("In status      {}, for as long as they are on", quote(&rules.join(", ")))),
    }
}

fn capital(word: &str) -> String {
    let mut chars = word.chars();
    chars.next().into_iter().flat_map(char::to_uppercase).chain(chars).collect()
}

impl Document {
    /// The document; what is no policy fails here, before anybody is asked.
    pub(super) fn read(&self) -> Result<String, Failure> {
        let text = match (&self.preset, &self.file) {
            (Some(name), _) => preset(name).to_owned(),
            (None, Some(path)) => read(path)?,
            (None, None) => String::new(),
        };
        match Policy::parse(&text) {
            Ok(_) => Ok(text),
            Err(error) => Err(malformed(&error).into()),
        }
    }

    /// It as an argument.
    pub(super) fn words(&self) -> String {
        match (&self.preset, &self.file) {
            (Some(name), _) => format!("--preset {name}"),
            (None, path) => quote(&path.as_deref().unwrap_or(Path::new("-")).display().to_string()),
        }
    }
}

/// What a file or standard input holds, where it is not too much.
pub(super) fn read(path: &Path) -> Result<String, Failure> {
    let cannot = |error: io::Error| Failure::new(Exit::Failed, format!("cannot read {}: {error}", path.display()));
    let most = u64::try_from(limits::POLICY_BYTES).unwrap_or(u64::MAX).saturating_add(1);
    let mut bytes = vec![];
    if path == Path::new("-") {
        io::stdin().lock().take(most).read_to_end(&mut bytes).map_err(cannot)?;
    } else {
        File::open(path).map_err(cannot)?.take(most).read_to_end(&mut bytes).map_err(cannot)?;
    }
    if bytes.len() > limits::POLICY_BYTES {
        return Err(malformed(&PolicyError::TooLarge).into());
    }
    String::from_utf8(bytes).map_err(|_| cannot(io::Error::new(io::ErrorKind::InvalidData, "it is not UTF-8")))
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}

fn items<'a>(value: &'a Value, key: &str) -> impl Iterator<Item = &'a Value> {
    value.get(key).and_then(Value::as_array).into_iter().flatten()
}
