//! `openclaw recover`: what was lost and can be got back. Alone it only looks; each way back is an option of its own, shown before
//! it is done, asked for once, and on record as the owner's.

use clap::ArgGroup;
use serde_json::{Value, json};

use super::devices::{count, entries, names, strings, text};
use super::door::{Door, Here, Purpose};
use super::output::Output;
use super::{Exit, Failure, World, wait_for};
use crate::authority::{Remains, remains};
use crate::gateway::{Unrecovered, accept_rollback, replace_token_key};
use crate::journal::{Journal, JournalError};
use crate::keyring::OwnDevice;
use crate::pairing::{Device, DeviceId, Millis, Registry, Role};
use crate::views::{age_text, quote, time_text};
use crate::wire::owner::LASTING;

#[derive(clap::Args)]
#[command(group = ArgGroup::new("way").args(["succeed", "accept_rollback", "new_key", "copies", "settle"]))]
pub(super) struct Args {
    /// Give the place of a device whose key is gone to the one that made --request
    #[arg(long, value_name = "DEVICE", requires = "request")]
    succeed: Option<String>,
    /// The request in which that proved its key
    #[arg(long, value_name = "ID", requires = "succeed")]
    request: Option<String>,
    /// Accept a journal whose end is gone or damaged; every device is suspended until it is approved again
    #[arg(long)]
    accept_rollback: bool,
    /// A device that keeps what it holds, once for each
    #[arg(long = "keep", value_name = "DEVICE", requires = "accept_rollback", value_parser = device_id)]
    keeps: Vec<DeviceId>,
    /// Put a token key aside that cannot be used, and make another
    #[arg(long)]
    new_key: bool,
    /// Write the copies in devices/ again
    #[arg(long)]
    copies: bool,
    /// Say that what was found of the witness or of the disk is dealt with
    #[arg(long, value_name = "WHAT", value_parser = LASTING.map(|condition| condition.as_str()))]
    settle: Option<String>,
    /// Do it without asking
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    here: Here,
}

fn device_id(text: &str) -> Result<DeviceId, &'static str> {
    text.parse().map_err(|_| "a device id is 64 hexadecimal digits")
}

pub(super) fn run(args: &Args, world: &World, out: &Output) -> Result<(), Failure> {
    out.speak_json(args.here.json);
    match (&args.succeed, &args.request, &args.settle) {
        (Some(old), Some(request), _) => wait_for(succeed(old, request, args, world, out)),
        (.., Some(condition)) => wait_for(settle(condition, args, world, out)),
        _ if args.accept_rollback => wait_for(async { accept(args, world, out) }),
        _ if args.new_key => wait_for(new_key(args, world, out)),
        _ if args.copies => wait_for(copies(args, world, out)),
        _ => wait_for(look(args, world, out)),
    }
}

impl From<Unrecovered> for Failure {
    fn from(error: Unrecovered) -> Self {
        match error {
            Unrecovered::Gateway(error) => error.into(),
            Unrecovered::Refused(error) => error.into(),
        }
    }
}

// --- looking --------------------------------------------------------------------------------------------------------

/// Something that was lost.
struct Finding {
    what: &'static str,
    message: String,
    /// The command that gets it back, where one does now.
    next: Option<String>,
}

async fn look(args: &Args, world: &World, out: &Output) -> Result<(), Failure> {
    let mut findings = vec![];
    match args.here.open(world, Purpose::Look).await {
        Ok(mut door) => {
            if door.is_stopped() {
                findings.extend(lost_end(world)?);
            }
            files(world, door.is_stopped(), &mut findings);
            let found = registered(world, &mut door, &mut findings).await;
            door.close().await;
            found?;
        }
        // What is left may still be got back.
        Err(failure) if failure.exit == Exit::Damaged => {
            let unread = Finding { what: "journal", message: failure.message, next: None };
            findings.push(lost_end(world)?.unwrap_or(unread));
            files(world, true, &mut findings);
        }
        Err(failure) => return Err(failure),
    }
    if args.here.json {
        let rows = findings.iter().map(|found| json!({ "what": found.what, "message": found.message, "next": found.next }));
        return out.json(&json!({ "findings": rows.collect::<Value>() }));
    }
    if findings.is_empty() {
        out.line("Nothing is lost that could be got back.")?;
    }
    for Finding { what, message, next } in &findings {
        out.line(format_args!("{what:<14} {}", quote(message)))?;
        if let Some(next) = next {
            out.line(format_args!("{:<14} {}", "Next", quote(next)))?;
        }
    }
    out.note("A device whose key is gone: let its new key ask, then openclaw recover --succeed DEVICE --request ID");
    Ok(())
}

/// The end of a stopped gateway's journal, where it is gone or damaged.
fn lost_end(world: &World) -> Result<Option<Finding>, Failure> {
    let remains = remains(&world.state.journal())?;
    Ok(remains.map(|remains| Finding {
        what: "journal",
        message: lost_sentence(&remains),
        next: Some("openclaw recover --accept-rollback".to_owned()),
    }))
}

/// How much is missing, since when, and what that undoes.
fn lost_sentence(Remains { registry, lost }: &Remains) -> String {
    let (head, seen, since) = (lost.head.seq, lost.witnessed.seq, time_text(registry.now()));
    let missing = match seen.0.saturating_sub(head.0) {
        0 => {
            format!("and is another history than the one in which seq {seen} was seen: how many records are missing is not known")
        }
        1 => format!("and seq {seen} was there: 1 record is missing"),
        count => format!("and seq {seen} was there: {count} records are missing"),
    };
    let damage = lost.damage.as_ref().map(|(segment, offset)| {
        let more = if lost.segments > 0 { format!(", and {} behind it", count(lost.segments, "segment")) } else { String::new() };
        format!("; what stands from offset {offset} of {segment} on{more} is damaged or behind damage, and would be put aside")
    });
    format!(
        "the journal ends with seq {head} of {since}, {missing}; what was revoked, removed or narrowed since then is undone in it, so \
         nobody is let in{}",
        damage.unwrap_or_default()
    )
}

/// What lies beside the journal.
fn files(world: &World, is_stopped: bool, findings: &mut Vec<Finding>) {
    let stay =
        "tokens that devices have stay good, and one that lost its own gets another when it connects with the shared secret";
    let new_key = || is_stopped.then(|| "openclaw recover --new-key".to_owned());
    let first = if is_stopped { "" } else { "; it is replaced while the gateway is stopped: openclaw recover --new-key" };
    match world.state.read_token_key() {
        Ok(Some(_)) => {}
        Ok(None) => findings.push(Finding {
            what: "token key",
            message: format!("{} is gone; the next start makes a new one; {stay}", world.state.token_key().display()),
            next: new_key(),
        }),
        Err(error) => findings.push(Finding { what: "token key", message: format!("{error}; {stay}{first}"), next: new_key() }),
    }
    if !world.state.devices().join("paired.json").exists() {
        let by = if is_stopped { "the next start writes them again" } else { "the gateway writes them again by itself" };
        findings.push(Finding {
            what: "copies",
            message: format!(
                "{} has no copies of who is paired; nothing is lost with them, and {by}",
                world.state.devices().display()
            ),
            next: is_stopped.then(|| "openclaw recover --copies".to_owned()),
        });
    }
}

/// What the gateway, or its journal, tells.
async fn registered(world: &World, door: &mut Door, findings: &mut Vec<Finding>) -> Result<(), Failure> {
    let status = door.call("status", json!({})).await?;
    let list = door.call("device.pair.list", json!({})).await?;
    let (pending, paired) = (entries(&list, "pending"), entries(&list, "paired"));
    let request_of = |device: &str| {
        let asked = pending.iter().find(|request| request.get("deviceId").and_then(Value::as_str) == Some(device));
        asked.map(|request| text(request.get("requestId")))
    };
    let conditions = entries(&status, "conditions");
    let is = |condition: &Value, name: &str| condition.get("condition").and_then(Value::as_str) == Some(name);
    // What was found of it names the device that was.
    let said = conditions.iter().filter(|condition| is(condition, "identity")).filter_map(|found| found.get("detail")?.as_str());
    let hosts = status.get("hostDevice").and_then(Value::as_str).into_iter().chain(said.flat_map(str::split_whitespace));
    let own = OwnDevice::load(&world.state).ok().flatten().map(|device| device.id().to_string());
    let is_paired = |id: &str| paired.iter().any(|device| device.get("deviceId").and_then(Value::as_str) == Some(id));
    if let Some(old) = hosts.filter(|id| own.as_deref() != Some(id)).find(|id| is_paired(id)) {
        let request = own.as_deref().and_then(request_of);
        let asks = match (&own, &request) {
            (Some(new), Some(request)) => format!("its new key is device {new}, which asks in request {request}"),
            (Some(new), None) => format!("its new key is device {new}, which has not asked, or not lately: let it connect"),
            (None, _) => "it has no key now: its next command with --url makes one, and asks".to_owned(),
        };
        findings.push(Finding {
            what: "identity",
            message: format!(
                "the command line of this host was device {old}, whose key is gone from {}; {asks}",
                world.state.identity().display()
            ),
            next: request.map(|request| format!("openclaw recover --succeed {old} --request {request}")),
        });
    }
    for device in paired {
        let tokens = entries(device, "tokens").iter();
        let roles: Vec<_> =
            tokens.filter(|token| token.get("suspended").is_some()).map(|token| text(token.get("role"))).collect();
        if roles.is_empty() {
            continue;
        }
        let request = device.get("deviceId").and_then(Value::as_str).and_then(request_of);
        let asks = if request.is_some() { "it asks again" } else { "it asks again when it connects" };
        findings.push(Finding {
            what: "suspended",
            message: format!(
                "device {} is suspended as {} since an older journal was accepted; {asks}",
                names(device, "deviceId"),
                roles.join(", ")
            ),
            next: request.map(|request| format!("openclaw devices approve {request}")),
        });
    }
    for name in LASTING.map(|condition| condition.as_str()) {
        for found in conditions.iter().filter(|condition| is(condition, name)) {
            let message = found.get("message").and_then(Value::as_str).unwrap_or_default().to_owned();
            findings.push(Finding { what: name, message, next: Some(format!("openclaw recover --settle {name}")) });
        }
    }
    Ok(())
}

// --- a key that is gone ---------------------------------------------------------------------------------------------

async fn succeed(old: &str, request: &str, args: &Args, world: &World, out: &Output) -> Result<(), Failure> {
    let mut door = args.here.open_to_act(world).await?;
    let done = hand_over(old, request, args, &mut door, world, out).await;
    door.close().await;
    done
}

async fn hand_over(old: &str, request: &str, args: &Args, door: &mut Door, world: &World, out: &Output) -> Result<(), Failure> {
    let list = door.call("device.pair.list", json!({})).await?;
    let named = |which, key: &str, id: &str| {
        entries(&list, which).iter().find(|entry| entry.get(key).and_then(Value::as_str) == Some(id))
    };
    // What is not there to be shown is refused with the reason.
    if let (Some(was), Some(asks)) = (named("paired", "deviceId", old), named("pending", "requestId", request)) {
        if !args.here.json {
            show_both(was, asks, world, out)?;
        }
        out.confirm("Give it the place of the device that was?", args.yes)?;
    }
    let result = door.call("owner.succeed", json!({ "deviceId": old, "requestId": request })).await?;
    if args.here.json {
        return out.json(&result);
    }
    out.line(format_args!("Device {} has the place of {}.", text(result.get("deviceId")), text(result.get("succeeds"))))?;
    out.line("Its tokens, requests and connections ended. The new one gets its token when it connects with the shared secret.")
}

/// The device that was and the one that asks, side by side: what looks alike is no proof, the fingerprint is.
fn show_both(was: &Value, asks: &Value, world: &World, out: &Output) -> Result<(), Failure> {
    let now = world.host.wall();
    let age = |entry: &Value, key: &str| {
        let since = entry.get(key).and_then(Value::as_u64).map(Millis);
        since.map(|since| age_text(now.since(since))).unwrap_or_default()
    };
    let client = |entry: &Value| format!("{} ({})", text(entry.get("clientId")), text(entry.get("clientMode")));
    let name = |entry: &Value| text(entry.get("operatorLabel").or_else(|| entry.get("displayName")));
    let revoked = |role: &String| {
        let mut tokens = entries(was, "tokens").iter();
        tokens.any(|token| text(token.get("role")) == *role && token.get("revokedAtMs").is_some())
    };
    let held: Vec<_> = strings(was.get("roles")).into_iter().filter(|role| !revoked(role)).collect();
    let scopes = |entry: &Value| strings(entry.get("scopes")).join(", ");
    let row = |title: &str, was: String, asks: String| vec![title.to_owned(), was, asks];
    let rows = vec![
        row("Fingerprint", text(was.get("deviceId")), text(asks.get("deviceId"))),
        row("Name", name(was), name(asks)),
        row("Client", client(was), client(asks)),
        row("Platform", text(was.get("platform")), text(asks.get("platform"))),
        row("Address", text(was.get("remoteIp")), text(asks.get("remoteIp"))),
        row("Since", age(was, "createdAtMs"), age(asks, "ts")),
        row("Role", held.join(", "), text(asks.get("role"))),
        row("Scopes", scopes(was), scopes(asks)),
    ];
    out.table(&["", "Device that was", "Device that asks"], rows)?;
    out.line("A name, an address or a platform proves nothing: compare the fingerprint with what the device itself shows.")?;
    out.line(format_args!("It would inherit: {} with {}; nothing that it asks for beyond.", held.join(", "), scopes(was)))
}

// --- an end that is gone --------------------------------------------------------------------------------------------

fn accept(args: &Args, world: &World, out: &Output) -> Result<(), Failure> {
    world.state.check_owner()?;
    let journal = world.state.journal();
    if !Journal::exists(&journal)? {
        return Err(JournalError::NotAJournal { path: journal }.into());
    }
    let Some(remains) = remains(&journal)? else {
        let message = "there is nothing to accept: the journal has all that was seen of it; what else was lost: openclaw recover";
        return Err(Failure::new(Exit::Failed, message));
    };
    let Remains { registry, lost } = &remains;
    if let Some(unknown) = args.keeps.iter().find(|id| registry.device(id).is_none()) {
        let message = format!("no device {unknown} is paired, so it cannot keep anything; those that are: openclaw devices list");
        return Err(Failure::new(Exit::Failed, message));
    }
    let holding = registry.devices().filter(|device| Role::ALL.iter().any(|role| device.has(*role)));
    let (kept, suspended): (Vec<_>, Vec<_>) = holding.map(AsRef::as_ref).partition(|device| args.keeps.contains(&device.id));
    let told = json!({
        "seq": lost.head.seq.0,
        "sinceMs": registry.now().0,
        "witnessed": lost.witnessed.seq.0,
        "missing": lost.witnessed.seq.0.saturating_sub(lost.head.seq.0),
        "lost": lost_sentence(&remains),
        "suspended": suspended.iter().map(|device| device.id.to_string()).collect::<Vec<_>>(),
        "kept": kept.iter().map(|device| device.id.to_string()).collect::<Vec<_>>(),
    });
    if !args.here.json {
        out.line(quote(&lost_sentence(&remains)))?;
        show_devices("Suspended until they are approved again", &suspended, registry, out)?;
        show_devices("Keep what they hold", &kept, registry, out)?;
        if !suspended.is_empty() {
            out.line("To keep one more: --keep DEVICE. Setup codes are good no longer, and tokens issued since then stay dead.")?;
        }
    }
    out.confirm("Accept it?", args.yes).map_err(|failure| Failure { details: Some(told.clone()), ..failure })?;
    accept_rollback(&world.state, &*world.host, lost, args.keeps.clone())?;
    if args.here.json {
        return out.json(&told);
    }
    out.line(format_args!("Accepted: the journal goes on after seq {}. Start the gateway: openclaw gateway run", lost.head.seq))
}

fn show_devices(title: &str, devices: &[&Device], registry: &Registry, out: &Output) -> Result<(), Failure> {
    out.line(format_args!("{title}: {}", if devices.is_empty() { "none".to_owned() } else { count(devices.len(), "device") }))?;
    for device in devices {
        let name = device.label.as_ref().or(device.description.display_name.as_ref()).map(|name| format!("{} ", quote(name)));
        let roles = Role::ALL.iter().filter(|role| device.has(**role)).map(|role| role.as_str()).collect::<Vec<_>>().join(", ");
        let seen = registry.activity(&device.id).filter(|activity| activity.admissions > 0);
        let seen =
            seen.map_or_else(|| "never seen".to_owned(), |activity| format!("last seen {}", time_text(activity.last_seen)));
        out.line(format_args!("  {}{}: {roles} with {}, {seen}", name.unwrap_or_default(), device.id, device.approved()))?;
    }
    Ok(())
}

// --- files beside the journal ---------------------------------------------------------------------------------------

async fn new_key(args: &Args, world: &World, out: &Output) -> Result<(), Failure> {
    world.state.check_owner()?;
    let path = world.state.token_key();
    if let (Err(error), false) = (world.state.read_token_key(), args.here.json) {
        out.line(quote(&error.to_string()))?;
    }
    out.confirm("Put it aside, and make a new one?", args.yes)?;
    let kept = replace_token_key(world.state.clone(), world.host.clone()).await?;
    if args.here.json {
        return out.json(&json!({ "key": path, "putAside": kept }));
    }
    if let Some(kept) = kept {
        out.line(format_args!("Put aside      {}", quote(&kept.display().to_string())))?;
    }
    out.line(format_args!("New key        {}", quote(&path.display().to_string())))?;
    out.line("Tokens in use stay good. A device that lost its own gets another when it connects with the shared secret.")
}

async fn copies(args: &Args, world: &World, out: &Output) -> Result<(), Failure> {
    let door = args.here.open_to_act(world).await?;
    let is_stopped = door.is_stopped();
    // Who acts on a stopped gateway's journal writes them at the end.
    door.close().await;
    let path = world.state.devices();
    if args.here.json {
        return out.json(&json!({ "devices": path, "written": is_stopped }));
    }
    let path = quote(&path.display().to_string());
    out.line(if is_stopped {
        format!("Written        {path}")
    } else {
        format!("The gateway that runs here writes {path} again by itself, a few seconds after they are gone.")
    })
}

async fn settle(condition: &str, args: &Args, world: &World, out: &Output) -> Result<(), Failure> {
    let mut door = args.here.open_to_act(world).await?;
    let settled = door.call("owner.settle", json!({ "condition": condition })).await;
    door.close().await;
    let settled = settled?;
    if args.here.json { out.json(&settled) } else { out.line(format_args!("Settled        {}", text(settled.get("condition")))) }
}
