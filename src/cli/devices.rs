//! `openclaw devices`: the words and options of OpenClaw 2026.3.13, which approves the newest request where none is named; ours
//! approves the one it has shown, and where there are several it asks which.

use std::collections::BTreeMap;
use std::net::IpAddr;

use clap::Subcommand;
use serde_json::{Value, json};

use super::door::{Door, Purpose, Reach, request_params};
use super::moment::Point;
use super::output::Output;
use super::{Exit, Failure, World, approving, codes};
use crate::keyring::TokenFile;
use crate::limits;
use crate::pairing::{Address, Millis, Role};
use crate::views::{age_text, quote};

#[derive(Subcommand)]
pub(super) enum Command {
    /// List pending requests and paired devices
    List {
        /// As it was at this record, or at this time
        #[arg(long, value_name = "SEQ|TIME")]
        at: Option<Point>,
        #[command(flatten)]
        reach: Reach,
    },
    /// Tell why a device is where it is, and what would change that
    Why {
        /// A device, a request, or a label
        #[arg(value_name = "DEVICE|REQUEST|LABEL")]
        about: String,
        /// As it was at this record, or at this time
        #[arg(long, value_name = "SEQ|TIME")]
        at: Option<Point>,
        #[command(flatten)]
        reach: Reach,
    },
    /// Approve a request; without an id the one that waits, of several after showing them
    Approve {
        /// The request, or several
        #[arg(value_name = "REQUEST")]
        requests: Vec<String>,
        /// The newest, where several wait
        #[arg(long, conflicts_with = "requests")]
        latest: bool,
        /// Do not ask whether several are to be approved; without a terminal nobody is asked
        #[arg(long)]
        yes: bool,
        #[command(flatten)]
        reach: Reach,
    },
    /// Reject a request, or all of an address
    Reject {
        /// The request
        #[arg(value_name = "REQUEST", required_unless_present = "address")]
        request: Option<String>,
        /// All that came from this address, of IPv6 from its network of 64 bits
        #[arg(long, value_name = "ADDR", conflicts_with = "request")]
        address: Option<IpAddr>,
        #[command(flatten)]
        reach: Reach,
    },
    /// Remove a paired device and all that it holds
    Remove {
        /// The device
        #[arg(value_name = "DEVICE")]
        device: String,
        /// And the devices that it approved, those that they approved, and so on
        #[arg(long)]
        with_approved: bool,
        #[command(flatten)]
        reach: Reach,
    },
    /// Give a device a label, for people to tell it by
    Rename {
        /// The device
        #[arg(value_name = "DEVICE")]
        device: String,
        /// The label
        #[arg(value_name = "LABEL")]
        label: String,
        #[command(flatten)]
        reach: Reach,
    },
    /// Remove every paired device
    Clear {
        /// Do it
        #[arg(long)]
        yes: bool,
        /// Reject all pending requests too
        #[arg(long)]
        pending: bool,
        #[command(flatten)]
        reach: Reach,
    },
    /// Replace a device's token; scopes beyond what was approved are an approval
    Rotate {
        #[command(flatten)]
        of: RoleOf,
        /// Exactly these scopes, once for each; without, the token keeps its own
        #[arg(long = "scope", value_name = "SCOPE")]
        scopes: Vec<String>,
        #[command(flatten)]
        reach: Reach,
    },
    /// Take a role away from a device
    Revoke {
        #[command(flatten)]
        of: RoleOf,
        /// And what it approved for other devices, they for others, and so on
        #[arg(long)]
        with_approved: bool,
        #[command(flatten)]
        reach: Reach,
    },
    /// Make a code that pairs one device without a request, as an address to join by
    JoinCode(codes::JoinCode),
}

#[derive(clap::Args)]
pub(super) struct RoleOf {
    /// The device
    #[arg(long, value_name = "ID")]
    device: String,
    /// Its role: operator or node
    #[arg(long, value_name = "ROLE")]
    role: String,
}

pub(super) async fn run(command: Command, world: &World, out: &Output) -> Result<(), Failure> {
    let reach = match &command {
        Command::List { reach, .. }
        | Command::Why { reach, .. }
        | Command::Approve { reach, .. }
        | Command::Reject { reach, .. }
        | Command::Remove { reach, .. }
        | Command::Rename { reach, .. }
        | Command::Clear { reach, .. }
        | Command::Rotate { reach, .. }
        | Command::Revoke { reach, .. }
        | Command::JoinCode(codes::JoinCode { reach, .. }) => reach,
    };
    out.speak_json(reach.json);
    if let Command::Clear { yes: false, .. } = command {
        return Err(Failure::new(Exit::Failed, "Refusing to clear pairing table without --yes"));
    }
    let purpose = if matches!(command, Command::List { .. } | Command::Why { .. }) { Purpose::Look } else { Purpose::Act };
    let mut door = match command {
        Command::List { at: Some(at), .. } | Command::Why { at: Some(at), .. } => reach.look_back(at, world, out)?,
        _ => reach.open(world, purpose).await?,
    };
    let done = act(&command, reach, &mut door, world, out).await;
    let is_owners = door.is_owners();
    door.close().await;
    done.map_err(|failure| if is_owners { failure } else { with_owners_way(failure, &command) })
}

/// Of a scope that this device lacks: the same act, as the owner of the gateway's host can do it without any.
pub(super) fn owners_way(failure: Failure, command: &str) -> Failure {
    let note = format!("on the gateway's host, its owner can: openclaw {}", quote(command));
    if failure.message.starts_with("missing scope:") { Failure { note: Some(note), ..failure } } else { failure }
}

fn with_owners_way(failure: Failure, command: &Command) -> Failure {
    let act = match command {
        Command::Approve { requests, .. } if !requests.is_empty() => format!("approve {}", requests.join(" ")),
        Command::Reject { request: Some(request), .. } => format!("reject {request}"),
        Command::Reject { address: Some(address), .. } => format!("reject --address {address}"),
        Command::Remove { device, with_approved, .. } => format!("remove {device}{}", with_them(*with_approved)),
        Command::Revoke { of, with_approved, .. } => {
            format!("revoke --device {} --role {}{}", of.device, of.role, with_them(*with_approved))
        }
        Command::Rotate { of, scopes, .. } => {
            let scopes: String = scopes.iter().map(|scope| format!(" --scope {scope}")).collect();
            format!("rotate --device {} --role {}{scopes}", of.device, of.role)
        }
        _ => return failure,
    };
    owners_way(failure, &format!("devices {act}"))
}

fn with_them(with_approved: bool) -> &'static str {
    if with_approved { " --with-approved" } else { "" }
}

async fn act(command: &Command, reach: &Reach, door: &mut Door, world: &World, out: &Output) -> Result<(), Failure> {
    let json = reach.json;
    match command {
        Command::List { .. } => {
            let list = door.call("device.pair.list", json!({})).await?;
            if json { out.json(&list) } else { show_list(&list, door.now(world), out) }
        }
        Command::Why { about, .. } => {
            let why = door.call("device.pair.why", json!({ "about": about })).await?;
            if json { out.json(&why) } else { show_why(&why, out) }
        }
        Command::Approve { requests, yes, .. } if requests.len() > 1 => {
            approving::approve_all(requests, (*yes, json), door, world, out).await
        }
        Command::Approve { requests, latest, .. } => {
            let request = match requests.first() {
                Some(request) => request.clone(),
                None => the_one_that_waits(*latest, door, world, out, json).await?,
            };
            let result = door.call("device.pair.approve", request_params(&request)).await?;
            if json {
                return out.json(&result);
            }
            let device = result.pointer("/device/deviceId").or_else(|| result.get("deviceId"));
            out.line(format_args!("Approved {} ({request})", text(device)))?;
            if let Some(note) = result.get("note").and_then(Value::as_str) {
                out.note(note);
            }
            Ok(())
        }
        Command::Reject { address: Some(address), .. } => reject_from(*address, door, out, json).await,
        Command::Reject { request, .. } => {
            let request = request.as_deref().unwrap_or_default();
            let result = door.call("device.pair.reject", request_params(request)).await?;
            if json { out.json(&result) } else { out.line(format_args!("Rejected {}", text(result.get("deviceId")))) }
        }
        Command::Remove { device, with_approved, .. } => {
            let params = with_flag(json!({ "deviceId": device }), *with_approved);
            let result = door.call("device.pair.remove", params).await?;
            if json {
                out.json(&result)?
            } else {
                out.line(format_args!("Removed {}", text(result.get("deviceId"))))?
            }
            show_approved(&result, *with_approved, &format!("remove {device}"), out);
            Ok(())
        }
        Command::Rename { device, label, .. } => {
            let result = door.call("device.pair.rename", json!({ "deviceId": device, "label": label })).await?;
            if json {
                return out.json(&result);
            }
            out.line(format_args!("Renamed {} to {}", text(result.get("deviceId")), text(result.get("label"))))
        }
        Command::Clear { pending, .. } => clear(*pending, reach, door, world, out).await,
        Command::Rotate { of, scopes, .. } => {
            let mut params = json!({ "deviceId": of.device, "role": of.role });
            if let (false, Some(params)) = (scopes.is_empty(), params.as_object_mut()) {
                params.insert("scopes".to_owned(), json!(scopes));
            }
            let result = door.call("device.token.rotate", params).await?;
            keep_own_token(&result, reach, world)?;
            out.json(&result)?;
            if result.get("token").is_none() {
                out.note("The new token goes to its own device, when that connects again with the shared secret.");
            }
            Ok(())
        }
        Command::Revoke { of, with_approved, .. } => {
            let params = with_flag(json!({ "deviceId": of.device, "role": of.role }), *with_approved);
            let result = door.call("device.token.revoke", params).await?;
            out.json(&result)?;
            show_approved(&result, *with_approved, &format!("revoke --device {} --role {}", of.device, of.role), out);
            Ok(())
        }
        Command::JoinCode(args) => codes::join_code(args, door, out).await,
    }
}

/// Said only where it is wanted, so that a gateway which does not know it takes the rest.
fn with_flag(mut params: Value, with_approved: bool) -> Value {
    if let (true, Some(params)) = (with_approved, params.as_object_mut()) {
        params.insert("withApproved".to_owned(), true.into());
    }
    params
}

/// What a device had approved for others outlives it, unless that is taken away too.
fn show_approved(result: &Value, with_approved: bool, act: &str, out: &Output) {
    let approved = strings(result.get("approved"));
    if approved.is_empty() {
        return;
    }
    let devices = count(approved.len(), "device");
    let what = if with_approved { "that is gone too" } else { "they keep it" };
    out.note(format_args!("It had approved something for {devices}, itself or through others; {what}:"));
    approved.iter().for_each(|device| out.note(format_args!("  {device}")));
    if !with_approved {
        out.note(format_args!("To take that away too: openclaw devices {} --with-approved", quote(act)));
    } else if approved.len() >= limits::REMOVED_AT_ONCE {
        out.note("So many are not taken at once; do it again for the rest.");
    }
}

/// The request to approve where none was named, after it has been shown.
async fn the_one_that_waits(latest: bool, door: &mut Door, world: &World, out: &Output, json: bool) -> Result<String, Failure> {
    let list = door.call("device.pair.list", json!({})).await?;
    let waiting = entries(&list, "pending");
    let chosen = match waiting {
        [] => return Err(Failure::new(Exit::Failed, "No pending device pairing requests to approve")),
        [only] => only,
        [newest, ..] if latest => newest,
        several => {
            if !json {
                show_pending(several, door.now(world), out)?;
            }
            let message = format!("{} requests wait; say which: openclaw devices approve <request>", several.len());
            return Err(Failure { details: Some(json!({ "pending": several })), ..Failure::new(Exit::Failed, message) });
        }
    };
    out.note(sentence(chosen));
    Ok(text(chosen.get("requestId")))
}

/// Own device last, or the way would close before the work is done.
async fn clear(pending: bool, reach: &Reach, door: &mut Door, world: &World, out: &Output) -> Result<(), Failure> {
    let own = reach.own_device(world)?.map(|device| device.id().to_string());
    let list = door.call("device.pair.list", json!({})).await?;
    let ids = |which, key: &str| entries(&list, which).iter().map(|entry| text(entry.get(key))).collect::<Vec<_>>();
    let (mut devices, mut requests) = (ids("paired", "deviceId"), vec![]);
    devices.sort_by_key(|device| Some(device) == own.as_ref());
    if pending {
        requests = ids("pending", "requestId");
        for request in &requests {
            door.call("device.pair.reject", request_params(request)).await?;
        }
    }
    for device in &devices {
        door.call("device.pair.remove", json!({ "deviceId": device })).await?;
    }
    if reach.json {
        return out.json(&json!({ "removedDevices": devices, "rejectedPending": requests }));
    }
    out.line(format_args!("Cleared {}", count(devices.len(), "paired device")))?;
    if pending {
        out.line(format_args!("Rejected {}", count(requests.len(), "pending request")))?;
    }
    Ok(())
}

/// Rejects until nothing of the address waits: one act ends only so many.
async fn reject_from(address: IpAddr, door: &mut Door, out: &Output, json: bool) -> Result<(), Failure> {
    let mut rejected = vec![];
    loop {
        let result = door.call("device.pair.rejectFrom", json!({ "address": address })).await?;
        let more = strings(result.get("rejected"));
        if more.is_empty() {
            break;
        }
        rejected.extend(more);
    }
    if json {
        return out.json(&json!({ "rejected": rejected }));
    }
    out.line(format_args!("Rejected {} from {address}", count(rejected.len(), "request")))
}

/// A token that the gateway showed because it is this device's own.
fn keep_own_token(result: &Value, reach: &Reach, world: &World) -> Result<(), Failure> {
    let (Some(device), Some(token)) = (reach.own_device(world)?, result.get("token").and_then(Value::as_str)) else {
        return Ok(());
    };
    let role = result.get("role").and_then(Value::as_str).and_then(Role::from_text);
    let Some(role) = role.filter(|_| text(result.get("deviceId")) == device.id().to_string()) else { return Ok(()) };
    let scopes: Vec<_> = strings(result.get("scopes"));
    Ok(TokenFile::load(&world.state, &device.id())?.keep(&world.state, role, token, &scopes, world.host.wall())?)
}

fn show_list(list: &Value, now: Millis, out: &Output) -> Result<(), Failure> {
    let (pending, paired) = (entries(list, "pending"), entries(list, "paired"));
    if pending.is_empty() && paired.is_empty() {
        return out.line("No device pairing entries.");
    }
    if !pending.is_empty() {
        show_pending(pending, now, out)?;
    }
    if paired.is_empty() {
        return Ok(());
    }
    out.line(format_args!("Paired ({})", paired.len()))?;
    let row = |device: &Value| {
        let tokens = device.get("tokens").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        let token = |token: &Value| match token.get("revokedAtMs") {
            Some(_) => format!("{} (revoked)", text(token.get("role"))),
            None => text(token.get("role")),
        };
        let tokens = if tokens.is_empty() { "none".to_owned() } else { tokens.iter().map(token).collect::<Vec<_>>().join(", ") };
        vec![
            name(device),
            strings(device.get("roles")).join(", "),
            strings(device.get("scopes")).join(", "),
            tokens,
            text(device.get("remoteIp")),
        ]
    };
    out.table(&["Device", "Roles", "Scopes", "Tokens", "IP"], paired.iter().map(row).collect())
}

/// A sentence a line, then the command that would change it.
fn show_why(why: &Value, out: &Output) -> Result<(), Failure> {
    out.line(sentence(why))?;
    strings(why.get("because")).iter().try_for_each(|line| out.line(line))?;
    match why.get("next").and_then(Value::as_str) {
        Some(next) => out.line(format_args!("Next: {}", quote(next))),
        None => Ok(()),
    }
}

/// A table to look at, then a sentence for each request, which ends with the command that approves it.
pub(super) fn show_pending(pending: &[Value], now: Millis, out: &Output) -> Result<(), Failure> {
    out.line(format_args!("Pending ({})", pending.len()))?;
    let row = |request: &Value| {
        let since = Millis(request.get("ts").and_then(Value::as_u64).unwrap_or_default());
        vec![
            text(request.get("requestId")),
            name(request),
            text(request.get("role")),
            strings(request.get("scopes")).join(", "),
            text(request.get("remoteIp")),
            age_text(now.since(since)),
            text(request.get("reason")),
        ]
    };
    out.table(&["Request", "Device", "Role", "Asks for", "IP", "Age", "Why"], pending.iter().map(row).collect())?;
    for request in pending {
        out.line(sentence(request))?;
        if request.get("commands").is_some() {
            out.line(format_args!("  {}", offers(request)))?;
        }
    }
    if let Some((address, many)) = crowd(pending) {
        out.line(format_args!(
            "{many} of them came from {address}; reject them all: openclaw devices reject --address {address}"
        ))?;
    }
    Ok(())
}

/// The address that most requests came from, where those are many.
fn crowd(pending: &[Value]) -> Option<(IpAddr, usize)> {
    let mut counts = BTreeMap::new();
    for address in pending.iter().filter_map(|request| text(request.get("remoteIp")).parse::<IpAddr>().ok()) {
        let network = Address::from(address).network();
        let (_, many) = counts.entry(network).or_insert((address, 0_usize));
        *many = many.saturating_add(1);
    }
    counts.into_values().max_by_key(|(_, many)| *many).filter(|(_, many)| *many >= limits::PENDING_CROWD)
}

/// What a node offers, and what of it the policy would keep back.
pub(super) fn offers(entry: &Value) -> String {
    let listed = |key: &str| Some(strings(entry.get(key)).join(", ")).filter(|list| !list.is_empty());
    let none = || "none".to_owned();
    let caps = listed("caps").unwrap_or_else(none);
    let commands = listed("commands").unwrap_or_else(none);
    let kept_back = listed("withheldCommands").map(|list| format!("; the policy keeps back {list}")).unwrap_or_default();
    format!("offers capabilities: {caps}; commands: {commands}{kept_back}")
}

fn sentence(request: &Value) -> String {
    text(request.get("message"))
}

/// A device's label or, without one, what it calls itself, which is a claim; and its id.
fn name(entry: &Value) -> String {
    names(entry, "deviceId")
}

/// The same of an entry whose id has this key.
pub(super) fn names(entry: &Value, key: &str) -> String {
    let id = text(entry.get(key));
    let label = entry.get("operatorLabel").or_else(|| entry.get("displayName"));
    match label.and_then(Value::as_str) {
        Some(name) => format!("{} ({id})", quote(name)),
        None => id,
    }
}

pub(super) fn entries<'a>(list: &'a Value, which: &str) -> &'a [Value] {
    list.get(which).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

pub(super) fn text(value: Option<&Value>) -> String {
    value.and_then(Value::as_str).map(quote).unwrap_or_default()
}

pub(super) fn strings(value: Option<&Value>) -> Vec<String> {
    value.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).map(quote).collect()
}

pub(super) fn count(n: usize, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}
