//! `openclaw replay`: what was true at a point of history, and what changed between two. It reads the journal itself, without the
//! lock, whether a gateway runs or not.

use serde_json::json;

use super::moment::Point;
use super::output::{Bulk, Output};
use super::{Failure, World};
use crate::authority::past;
use crate::pairing::{Millis, Moment, Registry, Seq};
use crate::views::{fact_changes, facts, time_text};
use crate::wire::state;

#[derive(clap::Args)]
pub(super) struct Args {
    /// The point: the seq of a record, a time, or how long ago; without, the present
    #[arg(long, visible_alias = "until", value_name = "SEQ|TIME", conflicts_with_all = ["from", "to"])]
    at: Option<Point>,
    /// Tell what changed since this point
    #[arg(long, value_name = "SEQ|TIME")]
    from: Option<Point>,
    /// And up to this one; without, the present
    #[arg(long, value_name = "SEQ|TIME", requires = "from")]
    to: Option<Point>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// The present, whatever the clock says.
const PRESENT: Moment = Moment::Time(Millis(u64::MAX));

pub(super) fn run(args: &Args, world: &World, out: &Output) -> Result<(), Failure> {
    out.speak_json(args.json);
    let now = world.host.wall();
    let moment = |point: Option<Point>| point.map_or(PRESENT, |point| point.seen_from(now));
    let mut progress = out.progress("replayed");
    let (dir, mut passed) = (world.state.journal(), |records| progress.pass(records));
    if let Some(from) = args.from {
        let ([from, to], _) = past(&dir, [from.seen_from(now), moment(args.to)], &mut passed)?;
        progress.finish();
        return differences(&from, &to, args.json, out);
    }
    let ([state], _) = past(&dir, [moment(args.at)], &mut passed)?;
    progress.finish();
    show(&state, args.json, out)
}

fn show(registry: &Registry, json: bool, out: &Output) -> Result<(), Failure> {
    if json {
        return out.json(&state::state(registry));
    }
    let mut bulk = Bulk::stdout();
    let (pairing, activity) = registry.digest();
    bulk.line(format_args!("At             {}", place(registry)))?;
    bulk.line(format_args!("Pairing        {pairing}"))?;
    bulk.line(format_args!("Activity       {activity}"))?;
    bulk.line(format_args!("Devices        {} paired", registry.device_count()))?;
    bulk.line(format_args!("Requests       {} waiting", registry.request_count()))?;
    let mut about = None;
    for ((of, field), value) in facts(registry) {
        if about.replace(of) != Some(of) {
            bulk.line(of)?;
        }
        bulk.line(format_args!("  {field:<13}{value}"))?;
    }
    bulk.finish()
}

fn differences(from: &Registry, to: &Registry, json: bool, out: &Output) -> Result<(), Failure> {
    let changes = fact_changes(from, to);
    if json {
        let changes: Vec<_> = changes.iter().map(state::change).collect();
        return out.json(&json!({ "from": state::head(from), "to": state::head(to), "changes": changes }));
    }
    let mut bulk = Bulk::stdout();
    for (name, state) in [("From", from), ("To", to)] {
        let (pairing, activity) = state.digest();
        bulk.line(format_args!("{name:<15}{}", place(state)))?;
        bulk.line(format_args!("  Pairing      {pairing}"))?;
        bulk.line(format_args!("  Activity     {activity}"))?;
    }
    if changes.is_empty() {
        bulk.line("Changes        none but in who connected and what was answered")?;
    }
    for change in changes {
        let (of, field) = (change.of, change.field);
        bulk.line(match (change.from, change.to) {
            (Some(from), Some(to)) => format!("~ {of}: {field}: {from}; then {to}"),
            (Some(from), None) => format!("- {of}: {field}: {from}"),
            (None, to) => format!("+ {of}: {field}: {}", to.unwrap_or_default()),
        })?;
    }
    bulk.finish()
}

fn place(registry: &Registry) -> String {
    match registry.head() {
        Seq(0) => "before the first record".to_owned(),
        seq => format!("seq {seq}, {}", time_text(registry.now())),
    }
}
