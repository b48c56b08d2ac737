//! `openclaw policy simulate`: a policy tried on everything that was ever decided. It reads the journal itself, without the lock,
//! whether a gateway runs or not, and writes nothing.

use serde_json::Value;

use super::output::{Bulk, Output};
use super::policy::Document;
use super::{Failure, World};
use crate::authority::Past;
use crate::pairing::{Policy, Seq, Simulation, policy_digest};
use crate::views::{difference_sentence, tally_text, time_text};
use crate::wire::policy::malformed;
use crate::wire::simulation;

/// Tries the policy, and tells what it would have made another.
pub(super) fn simulate(source: &Document, json: bool, world: &World, out: &Output) -> Result<(), Failure> {
    out.speak_json(json);
    let text = source.read()?;
    let policy = Policy::parse(&text).map_err(|error| Failure::from(malformed(&error)))?;
    let past = Past::whole(&world.state.journal())?;
    let from = past.registry().head().next();
    let simulation = Simulation::new(policy, past.registry().clone());
    let mut progress = out.progress("decided again");
    let simulation = past.simulate(simulation, Seq(u64::MAX), &mut |count| progress.pass(count))?;
    progress.finish();
    if from > Seq(1) {
        out.note(format_args!("the records before seq {from} are kept elsewhere; nothing is told of them"));
    }
    let digest = policy_digest(&text).to_string();
    if json {
        return tell(&simulation::summary(&simulation, from, &digest), &simulation);
    }
    show(&simulation, from, &digest, &source.words())
}

/// As JSON: one difference a line, so that they need not stand in memory together.
fn tell(summary: &Value, simulation: &Simulation) -> Result<(), Failure> {
    let mut bulk = Bulk::stdout();
    let summary = summary.to_string();
    bulk.text(summary.strip_suffix('}').unwrap_or(&summary))?;
    bulk.text(",\"differences\":[")?;
    let mut between = "\n";
    for (seq, difference) in simulation.differences() {
        bulk.text(between)?;
        bulk.text(&simulation::difference(*seq, difference).to_string())?;
        between = ",\n";
    }
    bulk.line("]}")?;
    bulk.finish()
}

fn show(simulation: &Simulation, from: Seq, digest: &str, source: &str) -> Result<(), Failure> {
    let mut bulk = Bulk::stdout();
    bulk.line(format_args!("Policy         {digest}"))?;
    let (until, decided) = (simulation.registry().head(), simulation.decided());
    bulk.line(format_args!("Decided again  {decided}, seq {from} to {until}"))?;
    if simulation.uncertain() > 0 {
        bulk.line(format_args!(
            "Not told of    {} that were refused and only counted, and are like none on record",
            simulation.uncertain()
        ))?;
    }
    let all = simulation.all();
    if all.total() == 0 {
        bulk.line("Differences    none")?;
        return bulk.finish();
    }
    bulk.line(format_args!("Differences    {}: {}", all.total(), tally_text(all)))?;
    for (seq, difference) in simulation.differences() {
        bulk.line(format_args!("{seq:>6} {} {}", time_text(difference.at), difference_sentence(difference)))?;
    }
    for (device, tally) in simulation.by_device() {
        let device = device.map_or_else(|| "no device".to_owned(), |device| device.to_string());
        bulk.line(format_args!("By device      {device}: {}", tally_text(*tally)))?;
    }
    for (client, tally) in simulation.by_client() {
        let client = client.map_or("no client", |client| client.as_str());
        bulk.line(format_args!("By client      {client}: {}", tally_text(*tally)))?;
    }
    bulk.line(format_args!("Next           openclaw policy apply {source} --digest {digest}"))?;
    bulk.finish()
}
