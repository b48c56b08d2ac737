//! `openclaw import`: takes over the paired devices that a real OpenClaw kept. Shows all that it would give, admins first, and what
//! it would not, and asks once. The files that it reads stay as they are.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_json::{Value, json};

use super::devices::{count, entries, strings, text};
use super::door::{Door, Here, Purpose};
use super::output::Output;
use super::{Exit, Failure, World};
use crate::journal::Journal;
use crate::limits;
use crate::openclaw::{Found, Kept, SourceError, look};
use crate::pairing::{KnownScope, Role};
use crate::settings::{Proposal, addresses};
use crate::state::StateDir;
use crate::views::{quote, time_text};
use crate::wire::import::{ImportParams, Kept as Sent};

#[derive(clap::Args)]
pub(super) struct Args {
    /// OpenClaw's state directory; without it our own, which it may have been before
    #[arg(value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Tell what would be imported, and import nothing
    #[arg(long, conflicts_with = "yes")]
    dry_run: bool,
    /// Do it without asking
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    here: Here,
}

/// What became, or would become, of the devices.
#[derive(Default)]
struct Fate {
    imported: Vec<String>,
    /// The ones that stay as they are here, and why.
    left: BTreeMap<String, String>,
}

impl From<SourceError> for Failure {
    fn from(error: SourceError) -> Self {
        Self::new(Exit::Failed, error.to_string())
    }
}

pub(super) async fn run(args: &Args, world: &World, out: &Output) -> Result<(), Failure> {
    out.speak_json(args.here.json);
    let there = StateDir::at(args.dir.clone().unwrap_or_else(|| world.state.root().to_owned()));
    let mut kept = look(there.root(), Journal::exists(&there.journal())?)?;
    let detail = addresses(&world.state)?;
    for found in &mut kept.devices {
        found.profile.address = detail.of(found.profile.address, |_| true);
    }
    kept.devices.sort_by_key(|found| (rank(found), found.profile.device));
    // What only says how OpenClaw was configured must not stand in the way.
    let policy = Proposal::of(there.root().join("openclaw.json")).ok().flatten();

    let fate = match args.here.open(world, Purpose::Look).await {
        Ok(door) => give(&kept, true, door).await?,
        // Where there is no journal yet, nothing is known of any of them.
        Err(failure) if failure.exit == Exit::Unreachable && !Journal::exists(&world.state.journal())? => {
            Fate { imported: kept.devices.iter().map(|found| found.profile.device.to_string()).collect(), ..Fate::default() }
        }
        Err(failure) => return Err(failure),
    };
    let mut told = told(&there, &kept, &fate, policy.as_ref());
    if !args.here.json {
        show(&there, &kept, &fate, policy.as_ref(), out)?;
    }
    let done = match fate.imported.len() {
        0 => Fate::default(),
        _ if args.dry_run => Fate::default(),
        many => {
            agreed(args, many, out)?;
            give(&kept, false, args.here.open(world, Purpose::Begin).await?).await?
        }
    };
    if args.here.json {
        told["imported"] = json!(done.imported);
        return out.json(&told);
    }
    match (fate.imported.len(), args.dry_run) {
        (0, _) => out.line("Nothing new: nothing was imported."),
        (_, true) => out.line("Nothing was imported: this was a dry run."),
        _ => {
            out.line(format_args!("Imported {}.", count(done.imported.len(), "device")))?;
            out.note("They connect as they did: a token of OpenClaw's is good here too, until it is rotated.");
            if args.dir.is_some() {
                let needs = "Whoever comes with OpenClaw's shared token or password needs the same here";
                out.note(format_args!("{needs}: gateway.auth in openclaw.json."));
            }
            Ok(())
        }
    }
}

/// Admins first, then other operators, then the rest.
fn rank(found: &Found) -> u8 {
    let operator = found.grants.iter().find(|grant| grant.role == Role::Operator);
    match operator {
        Some(grant) if grant.scopes.contains(KnownScope::Admin) => 0,
        Some(_) => 1,
        None => 2,
    }
}

/// Hands the devices to the gateway or its journal, in as many calls as it takes; on a dry run only to hear what would become of
/// them.
async fn give(kept: &Kept, dry_run: bool, mut door: Door) -> Result<Fate, Failure> {
    let mut fate = Fate::default();
    let mut rest = kept.devices.iter().peekable();
    let mut failed = None;
    while rest.peek().is_some() && failed.is_none() {
        let (mut devices, mut bytes) = (vec![], 0_usize);
        while let Some(found) = rest.peek() {
            let device = Sent::of(&found.profile, &found.grants);
            let more = json!(device).to_string().len();
            let is_full = devices.len() >= limits::IMPORTED_AT_ONCE || bytes.saturating_add(more) > limits::IMPORTED_BYTES;
            if is_full && !devices.is_empty() {
                break;
            }
            bytes = bytes.saturating_add(more);
            devices.push(device);
            rest.next();
        }
        let params = ImportParams { source: kept.digest().to_string(), devices, dry_run };
        match door.call("device.import", json!(params)).await {
            Ok(answer) => {
                fate.imported.extend(strings(answer.get("imported")));
                let left = entries(&answer, "left").iter();
                fate.left.extend(left.map(|entry| (text(entry.get("deviceId")), text(entry.get("message")))));
            }
            Err(failure) => failed = Some(failure),
        }
    }
    door.close().await;
    match failed {
        None => Ok(fate),
        Some(failure) if fate.imported.is_empty() || dry_run => Err(failure),
        Some(failure) => {
            let note = format!("{} of them were imported before that; do it again for the rest", fate.imported.len());
            Err(Failure { note: Some(note), ..failure })
        }
    }
}

/// Asks, where nobody has said yes.
fn agreed(args: &Args, many: usize, out: &Output) -> Result<(), Failure> {
    if args.yes {
        return Ok(());
    }
    let devices = count(many, "device");
    let dir = args.dir.as_ref().map(|dir| format!(" {}", quote(&dir.display().to_string()))).unwrap_or_default();
    let answer = if args.here.json { None } else { out.ask(format_args!("Import {devices} as shown? [y/N] "))? };
    match answer {
        Some(true) => Ok(()),
        Some(false) => Err(Failure::new(Exit::Failed, "nothing was imported")),
        None => {
            let message =
                format!("nothing was imported: nobody is there to be asked; to import {devices}: openclaw import{dir} --yes");
            Err(Failure::new(Exit::Failed, message))
        }
    }
}

fn show(there: &StateDir, kept: &Kept, fate: &Fate, policy: Option<&Proposal>, out: &Output) -> Result<(), Failure> {
    out.line(format_args!("From           {}", quote(&there.root().display().to_string())))?;
    for source in &kept.sources {
        out.line(format_args!("               {}  {}", source.digest, source.name))?;
    }
    out.line(format_args!("Source digest  {}", kept.digest()))?;
    let fresh: Vec<_> = kept.devices.iter().filter(|found| !fate.left.contains_key(&found.profile.device.to_string())).collect();
    if !fresh.is_empty() {
        out.line(format_args!("To import ({})", fresh.len()))?;
        let rows = fresh.into_iter().flat_map(rows).collect();
        out.table(&["Device", "Called", "Client", "Role", "Approved", "Token", "Last seen"], rows)?;
    }
    if !kept.remarks.is_empty() {
        out.line("Not as it stands there")?;
    }
    for remark in &kept.remarks {
        let device = remark.device.as_ref().map(|device| format!("device {device}: ")).unwrap_or_default();
        out.line(format_args!("  {device}{}", remark.flaw))?;
    }
    if !fate.left.is_empty() {
        out.line(format_args!("Left as they are here ({})", fate.left.len()))?;
    }
    for (device, why) in &fate.left {
        out.line(format_args!("  device {device} {why}"))?;
    }
    let Some(Proposal { policy, beside }) = policy else { return Ok(()) };
    out.line("OpenClaw's gateway.nodes.pairing is not taken over")?;
    if let Some(policy) = policy {
        out.line("  a policy that says the same; to see what it would change: openclaw policy check <file>")?;
        policy.lines().try_for_each(|line| out.line(format_args!("    {line}")))?;
    }
    beside.iter().try_for_each(|line| out.line(format_args!("  no policy says {line}")))
}

/// A row for each role of a device.
fn rows(found: &Found) -> Vec<Vec<String>> {
    let profile = &found.profile;
    let called = profile.label.as_ref().or(profile.description.display_name.as_ref()).map(|name| quote(name));
    let row = |grant: &crate::pairing::ImportedGrant| {
        let token = match &grant.token {
            None => "none".to_owned(),
            Some(token) if token.scopes == grant.scopes => "yes".to_owned(),
            Some(token) => format!("for {}", token.scopes),
        };
        vec![
            profile.device.to_string(),
            called.clone().unwrap_or_default(),
            format!("{} in mode {}", profile.client.id, profile.client.mode),
            grant.role.to_string(),
            grant.scopes.to_string(),
            token,
            found.last_seen.map(time_text).unwrap_or_default(),
        ]
    };
    found.grants.iter().map(row).collect()
}

fn told(there: &StateDir, kept: &Kept, fate: &Fate, policy: Option<&Proposal>) -> Value {
    let device = |found: &Found| {
        let mut device = json!(Sent::of(&found.profile, &found.grants));
        device["deviceId"] = found.profile.device.to_string().into();
        device["lastSeenAtMs"] = json!(found.last_seen.map(|at| at.0));
        // Of a token it is told that there is one.
        for role in device.get_mut("roles").and_then(Value::as_array_mut).into_iter().flatten() {
            if let Some(token) = role.get_mut("token").and_then(Value::as_object_mut) {
                token.remove("digest");
            }
        }
        device
    };
    json!({
        "directory": there.root().display().to_string(),
        "sources": kept.sources.iter().map(|source| json!({ "file": source.name, "digest": source.digest.to_string() })).collect::<Vec<_>>(),
        "digest": kept.digest().to_string(),
        "found": kept.devices.iter().map(device).collect::<Vec<_>>(),
        "fresh": fate.imported,
        "remarks": kept.remarks.iter().map(|remark| json!({ "deviceId": remark.device, "message": remark.flaw.to_string() })).collect::<Vec<_>>(),
        "left": fate.left.iter().map(|(device, why)| json!({ "deviceId": device, "message": why })).collect::<Vec<_>>(),
        "policy": policy.map(|proposal| json!({ "text": proposal.policy, "beside": proposal.beside })),
    })
}
