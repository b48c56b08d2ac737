//! `openclaw audit`: on whose authority a device holds what it holds, then what happened, the newest last.

use serde_json::{Map, Value, json};

use super::devices::{entries, text};
use super::door::{Door, Purpose, Reach};
use super::moment::Point;
use super::output::{Bulk, Output};
use super::{Failure, World};
use crate::pairing::Millis;
use crate::views::quote;
use crate::wire::moment::point;
use crate::wire::record::line;

#[derive(clap::Args)]
pub(super) struct Args {
    /// A device, a request or a label; without one, what anybody gave, took or was refused
    #[arg(value_name = "DEVICE|REQUEST|LABEL")]
    about: Option<String>,
    /// What is about this device
    #[arg(long, value_name = "ID", conflicts_with = "about")]
    device: Option<String>,
    /// What asked for this scope, gave it or took it; of a device, how it holds this one
    #[arg(long, value_name = "SCOPE")]
    scope: Option<String>,
    /// What is about this role: operator or node
    #[arg(long, value_name = "ROLE")]
    role: Option<String>,
    /// What this one did: a device, `owner`, `gateway`, or a rule of the policy
    #[arg(long, value_name = "WHO")]
    actor: Option<String>,
    /// What made this request, ended or named it
    #[arg(long, value_name = "ID", conflicts_with = "about")]
    request: Option<String>,
    /// What needed a person for this reason: not-paired, role-upgrade, scope-upgrade or metadata-upgrade
    #[arg(long, value_name = "REASON")]
    reason: Option<String>,
    /// Begin with this record, or with those of this time
    #[arg(long, value_name = "SEQ|TIME")]
    since: Option<Point>,
    /// End with this record, or with those of this time
    #[arg(long, value_name = "SEQ|TIME")]
    until: Option<Point>,
    /// As it was at this record, or at this time
    #[arg(long, value_name = "SEQ|TIME")]
    at: Option<Point>,
    #[command(flatten)]
    reach: Reach,
}

pub(super) async fn run(args: &Args, world: &World, out: &Output) -> Result<(), Failure> {
    out.speak_json(args.reach.json);
    let mut door = match args.at {
        Some(at) => args.reach.look_back(at, world, out)?,
        None => args.reach.open(world, Purpose::Look).await?,
    };
    let told = tell(args, &mut door, world, out).await;
    door.close().await;
    told
}

async fn tell(args: &Args, door: &mut Door, world: &World, out: &Output) -> Result<(), Failure> {
    let mut progress = out.progress("looked through");
    let mut params = params(args, door.now(world));
    let mut page = door.call("audit.events", Value::Object(params.clone())).await?;
    let device = page.get("deviceId").cloned();
    let holds = match &device {
        Some(device) => {
            let wanted = [("role", json!(args.role)), ("scope", json!(args.scope))];
            let wanted = wanted.into_iter().filter(|(_, value)| !value.is_null());
            let asked = wanted.chain([("deviceId", device.clone())]).map(|(key, value)| (key.to_owned(), value));
            Some(door.call("audit.warrants", Value::Object(asked.collect())).await?)
        }
        None => None,
    };
    let mut sheet = Sheet { bulk: Bulk::stdout(), json: args.reach.json, events: 0 };
    sheet.begin(&page, holds.as_ref())?;
    let mut passed = 0;
    loop {
        for event in entries(&page, "events") {
            sheet.event(event)?;
        }
        let Some(cursor) = page.get("cursor").and_then(Value::as_u64) else { break };
        progress.pass(usize::try_from(cursor.saturating_sub(passed)).unwrap_or(usize::MAX));
        passed = cursor;
        params.insert("cursor".to_owned(), cursor.into());
        page = door.call("audit.events", Value::Object(params.clone())).await?;
    }
    progress.finish();
    sheet.end()
}

/// What is asked for.
fn params(args: &Args, now: Millis) -> Map<String, Value> {
    let seen = |typed: Option<Point>| typed.map(|typed| point(typed.seen_from(now)));
    let typed = [
        ("about", &args.about),
        ("deviceId", &args.device),
        ("scope", &args.scope),
        ("role", &args.role),
        ("actor", &args.actor),
        ("requestId", &args.request),
        ("reason", &args.reason),
    ];
    let typed = typed.into_iter().map(|(key, value)| (key, value.as_deref().map(Value::from)));
    let all = typed.chain([("since", seen(args.since)), ("until", seen(args.until))]);
    all.filter_map(|(key, value)| Some((key.to_owned(), value?))).collect()
}

/// What is printed as it comes, however much it is.
struct Sheet {
    bulk: Bulk,
    json: bool,
    events: u64,
}

impl Sheet {
    fn begin(&mut self, page: &Value, holds: Option<&Value>) -> Result<(), Failure> {
        if self.json {
            let member = |key: &str| holds.and_then(|holds| holds.get(key)).map(line);
            let request = page.get("requestId").map(line);
            let of =
                [("device", member("deviceId")), ("label", member("label")), ("request", request), ("holds", member("holds"))];
            self.bulk.text("{")?;
            for (key, value) in of.iter().filter_map(|(key, value)| Some((key, value.as_ref()?))) {
                self.bulk.line(format_args!("\"{key}\":{value},"))?;
            }
            return self.bulk.text("\"events\":[");
        }
        match holds {
            Some(holds) => self.holds(holds),
            None => Ok(()),
        }
    }

    /// Scopes that are held on the same authority share its lines.
    fn holds(&mut self, holds: &Value) -> Result<(), Failure> {
        let (device, entries) = (text(holds.get("deviceId")), entries(holds, "holds"));
        let label = holds.get("label").and_then(Value::as_str).map(|label| format!(" \"{}\"", quote(label))).unwrap_or_default();
        if holds.get("paired") == Some(&Value::Bool(false)) {
            return self.bulk.line(format_args!("Device {device} is not paired."));
        }
        if entries.is_empty() {
            return self.bulk.line(format_args!("Device {device}{label} holds nothing of that."));
        }
        self.bulk.line(format_args!("Device {device}{label} holds"))?;
        let mut rest = entries;
        while let [first, ..] = rest {
            let is_same = |entry: &&Value| (entry.get("role"), entry.get("warrant")) == (first.get("role"), first.get("warrant"));
            let (same, others) = rest.split_at(rest.iter().take_while(is_same).count());
            let scopes: Vec<_> = same.iter().filter_map(|entry| entry.get("scope")?.as_str()).map(quote).collect();
            let scopes = if scopes.is_empty() { "no scopes".to_owned() } else { scopes.join(", ") };
            self.bulk.line(format_args!("  as {}: {scopes}", text(first.get("role"))))?;
            self.warrant(first.get("warrant"))?;
            rest = others;
        }
        Ok(())
    }

    fn warrant(&mut self, warrant: Option<&Value>) -> Result<(), Failure> {
        let (mut deed, mut indent) = (warrant, 4);
        while let Some(Value::Object(told)) = deed {
            self.bulk.line(format_args!("{:indent$}<- {}", "", text(told.get("message"))))?;
            (deed, indent) = (told.get("authority"), indent.saturating_add(2));
        }
        if warrant.is_none_or(|warrant| warrant.get("root").is_none()) {
            self.bulk.line(format_args!("{:indent$}<- on authority that no record at hand tells", ""))?;
        }
        Ok(())
    }

    fn event(&mut self, event: &Value) -> Result<(), Failure> {
        let is_first = self.events == 0;
        self.events = self.events.saturating_add(1);
        if self.json {
            return self.bulk.text(&format!("{}\n{}", if is_first { "" } else { "," }, line(event)));
        }
        let seq = event.get("seq").and_then(Value::as_u64).unwrap_or_default();
        self.bulk.line(format_args!("{seq:>6} {} {}", text(event.get("at")), text(event.get("message"))))
    }

    fn end(mut self) -> Result<(), Failure> {
        if self.json {
            self.bulk.line("\n]}")?;
        } else if self.events == 0 {
            self.bulk.line("Nothing on record fits that.")?;
        }
        self.bulk.finish()
    }
}
