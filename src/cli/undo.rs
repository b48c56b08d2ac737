//! `openclaw undo`: an earlier act taken back. What it does is shown first, and a person is asked once.

use std::io::{self, BufRead as _, IsTerminal as _};

use serde_json::{Value, json};

use super::devices::{entries, owners_way, text};
use super::door::{Purpose, Reach};
use super::output::Output;
use super::policy::show_changes;
use super::{Exit, Failure, World};

/// Take an earlier act back: an approval, a rejection, a removal, a revocation, a rename, a policy or a setup code
#[derive(clap::Args)]
pub(super) struct Undo {
    /// The record of the act, as logs and audit number it
    #[arg(value_name = "SEQ", value_parser = clap::value_parser!(u64).range(1..))]
    seq: u64,
    /// Tell what would be appended, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Do it without asking
    #[arg(long, conflicts_with = "dry_run")]
    yes: bool,
    #[command(flatten)]
    reach: Reach,
}

pub(super) async fn run(args: &Undo, world: &World, out: &Output) -> Result<(), Failure> {
    let Undo { seq, dry_run, yes, reach } = args;
    out.speak_json(reach.json);
    if !yes {
        let plan = ask(args, true, world).await?;
        if *dry_run {
            show(&plan, reach.json, out)?;
            out.note("nothing was changed");
            return Ok(());
        }
        if reach.json || !io::stdin().is_terminal() {
            let message = format!("nobody can be asked here; see what it does: openclaw undo {seq} --dry-run");
            let note = Some(format!("to do it: openclaw undo {seq} --yes"));
            return Err(Failure { note, ..Failure::new(Exit::Failed, message) });
        }
        show(&plan, false, out)?;
        if !confirmed(out) {
            return Err(Failure::new(Exit::Failed, "nothing was changed"));
        }
    }
    let done = ask(args, false, world).await?;
    show(&done, reach.json, out)
}

/// One call over a way of its own: the way is not kept open while a person thinks.
async fn ask(args: &Undo, dry_run: bool, world: &World) -> Result<Value, Failure> {
    let mut door = args.reach.open(world, if dry_run { Purpose::Look } else { Purpose::Act }).await?;
    let answer = door.call("journal.undo", json!({ "seq": args.seq, "dryRun": dry_run })).await;
    let is_owners = door.is_owners();
    door.close().await;
    answer.map_err(|failure| if is_owners { failure } else { owners_way(failure, &format!("undo {}", args.seq)) })
}

fn confirmed(out: &Output) -> bool {
    out.note("Do this? [y/N]");
    let mut line = String::new();
    let is_read = io::stdin().lock().read_line(&mut line).is_ok();
    is_read && matches!(line.trim(), "y" | "Y" | "yes")
}

fn show(told: &Value, json: bool, out: &Output) -> Result<(), Failure> {
    if json {
        return out.json(told);
    }
    let is_plan = told.get("dryRun") == Some(&Value::Bool(true));
    let message = |value: &Value| text(value.get("message"));
    let seq = |value: &Value| value.get("seq").map(|seq| format!("seq {seq}: ")).unwrap_or_default();
    let act = told.get("act").cloned().unwrap_or_default();
    out.line(format_args!("{:<15}{}{}", if is_plan { "Would undo" } else { "Undone" }, seq(&act), message(&act)))?;
    for event in entries(told, "events") {
        out.line(format_args!("{:<15}{}{}", if is_plan { "Would append" } else { "Appended" }, seq(event), message(event)))?;
    }
    show_changes(told, "policyChanges", out)?;
    for beside in entries(told, "beside") {
        out.line(format_args!(
            "{:<15}seq {beside}, by the same command; to undo that too: openclaw undo {beside}",
            "Stays done"
        ))?;
    }
    Ok(())
}
