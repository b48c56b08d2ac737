//! `openclaw gateway`: run it, and see how it is.

use std::path::Path;

use clap::Subcommand;
use serde_json::{Value, json};
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::door::{Door, Here, Purpose};
use super::output::Output;
use super::{Exit, Failure, World, wait_for};
use crate::gateway::{GatewayError, Ready};
use crate::journal::JournalError;
use crate::keyring::OwnDevice;
use crate::limits;
use crate::pairing::{AuthMode, Millis};
use crate::settings::{Flags, Settings};
use crate::views::{quote, time_text};
use crate::wire::connect::Dialect;

#[derive(Subcommand)]
pub(super) enum Command {
    /// Run the gateway until it is told to stop
    Run {
        /// Listen on this port [default: OPENCLAW_GATEWAY_PORT, gateway.port, or 18789]
        #[arg(long)]
        port: Option<u16>,
        /// Listen on: loopback, lan, or custom with gateway.customBindHost
        #[arg(long, value_name = "WHERE")]
        bind: Option<String>,
        /// What clients show: token, password, none, or trusted-proxy, where a proxy names them
        #[arg(long, value_name = "MODE")]
        auth: Option<String>,
        /// Run where the file system has no locks; nothing then keeps a second gateway away
        #[arg(long)]
        without_lock: bool,
        /// Accepted for OpenClaw's sake: a configuration is never required
        #[arg(long, hide = true)]
        allow_unconfigured: bool,
    },
    /// Tell whether the gateway of this host runs, and what it keeps; changes nothing
    Status(StatusArgs),
}

#[derive(clap::Args)]
pub(super) struct StatusArgs {
    /// Show what the owner of this host did and nobody said to have seen, and say that it was seen now
    #[arg(long)]
    seen: bool,
    #[command(flatten)]
    here: Here,
}

pub(super) fn run(command: Command, world: &World, out: &Output) -> Result<(), Failure> {
    match command {
        Command::Run { port, bind, auth, without_lock, allow_unconfigured: _ } => {
            serve(&Flags { port: port.or(world.dev_port), bind, auth, without_lock }, world, out)
        }
        Command::Status(args) => wait_for(status(&args, world, out)),
    }
}

/// Asks through the owner channel, so that looking pairs nothing. Where none runs, its journal tells what it would keep.
pub(super) async fn status(args: &StatusArgs, world: &World, out: &Output) -> Result<(), Failure> {
    out.speak_json(args.here.json);
    let mut door = args.here.open(world, if args.seen { Purpose::Act } else { Purpose::Look }).await?;
    let is_running = !door.is_stopped();
    let told = tell(args, &mut door, out).await;
    door.close().await;
    told?;
    // The status was the result; that none runs is beside it.
    out.speak_json(false);
    if is_running { Ok(()) } else { Err(Failure::new(Exit::Unreachable, "no gateway runs here; start it: openclaw gateway run")) }
}

async fn tell(args: &StatusArgs, door: &mut Door, out: &Output) -> Result<(), Failure> {
    let mut status = door.call("status", json!({})).await?;
    if args.seen {
        status["ownerActs"] = door.call("owner.acts", json!({})).await?;
    }
    let at = |pointer: &str| status.pointer(pointer).cloned().unwrap_or_default();
    if args.here.json {
        out.json(&status)?;
    } else {
        let (version, minutes) = (at("/version"), at("/uptimeMs").as_u64().unwrap_or(0) / 60_000);
        let state = if door.is_stopped() { "not running".to_owned() } else { format!("running for {minutes} min") };
        out.line(format_args!("Gateway        {state}, version {}", version.as_str().unwrap_or_default()))?;
        out.line(format_args!("Devices        {} paired, {} pending", at("/devices/paired"), at("/devices/pending")))?;
        out.line(format_args!("Connections    {}", at("/connections")))?;
        out.line(format_args!(
            "Journal        {}, seq {}",
            at("/journal/path").as_str().unwrap_or_default(),
            at("/journal/seq")
        ))?;
        show_acts(&at("/ownerActs"), args.seen, out)?;
        show_policy(&at("/policy"), out)?;
    }
    // What was not shown is not seen.
    let through = at("/ownerActs/acts").as_array().and_then(|acts| acts.last()?.get("seq")?.as_u64());
    if let (true, Some(through)) = (args.seen, through) {
        door.call("owner.seen", json!({ "through": through })).await?;
        if !args.here.json {
            out.line(format_args!("Seen           up to seq {through}"))?;
        }
    }
    Ok(())
}

/// What the owner did and nobody said to have seen, a line an act.
fn show_acts(acts: &Value, all: bool, out: &Output) -> Result<(), Failure> {
    let count = acts.get("unseen").and_then(Value::as_u64).unwrap_or(0);
    if count == 0 {
        return Ok(());
    }
    out.line(format_args!("Owner acts     {count} not seen yet"))?;
    let shown = acts.get("acts").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let before = count.saturating_sub(u64::try_from(shown.len()).unwrap_or(u64::MAX));
    if before > 0 {
        let where_to = if all { "openclaw logs" } else { "openclaw gateway status --seen" };
        out.line(format_args!("  {before} before these: {where_to}"))?;
    }
    for act in shown {
        let text = |key: &str| act.get(key).and_then(Value::as_str).map(quote).unwrap_or_default();
        let number = |key: &str| act.get(key).and_then(Value::as_u64).unwrap_or_default();
        let (at, seq) = (time_text(Millis(number("ts"))), number("seq"));
        let on = Some(text("terminal")).filter(|terminal| !terminal.is_empty()).unwrap_or_else(|| "no terminal".to_owned());
        let by = format!("uid {}, {} (pid {}), {on}", number("uid"), text("program"), number("pid"));
        out.line(format_args!("  seq {seq}, {at}, {by}: {}", text("message")))?;
    }
    if all { Ok(()) } else { out.line("Next           openclaw gateway status --seen") }
}

/// Which rules let somebody in without a person, and which rest.
fn show_policy(policy: &Value, out: &Output) -> Result<(), Failure> {
    let rows = |key: &str| policy.get(key).and_then(Value::as_array).cloned().unwrap_or_default();
    let names: Vec<_> = rows("withoutPerson").iter().filter_map(|row| row.get("rule")?.as_str().map(quote)).collect();
    if policy.get("unreadable") == Some(&Value::Bool(true)) {
        out.line("Policy         unreadable to this version, so a person is asked for everything: openclaw policy show")?;
    } else if names.is_empty() {
        out.line("Policy         a person is asked for whatever matters: openclaw policy show")?;
    } else {
        out.line(format_args!("Policy         {} ask no person: openclaw policy show", names.join(", ")))?;
    }
    for row in rows("resting") {
        out.line(format_args!("Rests          {}", quote(row.get("message").and_then(Value::as_str).unwrap_or_default())))?;
    }
    Ok(())
}

fn serve(flags: &Flags, world: &World, out: &Output) -> Result<(), Failure> {
    let cannot_start = |error: std::io::Error| Failure::new(Exit::Failed, format!("cannot start: {error}"));
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(cannot_start)?;
    let ended = runtime.block_on(async {
        let mut terminate = signal(SignalKind::terminate()).map_err(cannot_start)?;
        let mut interrupt = signal(SignalKind::interrupt()).map_err(cannot_start)?;
        // A key that cannot be read is the command line's trouble, not the gateway's.
        let identity = OwnDevice::load(&world.state).ok().flatten().map(|device| device.id());
        let ready = Ready::prepare(world.state.clone(), flags, world.host.clone(), identity).await;
        let ready = ready.map_err(|error| held(error, &world.state.owner_socket()))?;
        announce(&ready, &world.state.journal(), out)?;
        Ok(ready.run(stopped_by(&mut terminate, &mut interrupt)).await?)
    });
    // A long journal that is still being read through must not hold up a stop.
    runtime.shutdown_timeout(limits::SHUTDOWN_DEADLINE);
    ended
}

/// Of the gateway that runs already also where it is asked.
fn held(error: GatewayError, socket: &Path) -> Failure {
    let is_held = matches!(error, GatewayError::Journal(JournalError::Locked { .. }));
    let mut failure = Failure::from(error);
    if is_held && socket.exists() {
        failure.message = format!("{}; its owner channel is {}: openclaw devices list", failure.message, socket.display());
    }
    failure
}

async fn stopped_by(terminate: &mut Signal, interrupt: &mut Signal) -> &'static str {
    tokio::select! {
        _ = terminate.recv() => "SIGTERM",
        _ = interrupt.recv() => "SIGINT",
    }
}

/// Where it listens, where the secret stands, what to do next; the secret itself never.
fn announce(ready: &Ready, journal: &Path, out: &Output) -> Result<(), Failure> {
    let urls: Vec<_> = ready.addresses().iter().map(|address| format!("ws://{address}")).collect();
    let releases = Dialect::ALL.iter().map(|dialect| dialect.release()).collect::<Vec<_>>().join(" and ");
    out.line(format_args!("openclaw-pairing {} for OpenClaw {releases} clients", env!("CARGO_PKG_VERSION")))?;
    out.line(format_args!("Listening on   {}", urls.join(" and ")))?;
    out.line(format_args!("Clients show   {}", secret(ready.settings())))?;
    out.line(format_args!("Journal        {}", journal.display()))?;
    if let Some(why) = ready.no_owner_channel() {
        out.line(format_args!("Owner acts     need the gateway stopped: {}", quote(why)))?;
    }
    if let Some((count, last)) = ready.unseen() {
        out.line(format_args!(
            "Owner acts     {count} not seen yet, the last: {last}; see them: openclaw gateway status --seen"
        ))?;
    }
    out.line("Next           openclaw devices list")
}

fn secret(settings: &Settings) -> String {
    let key = match settings.auth {
        AuthMode::None => return "nothing (gateway.auth.mode is none)".to_owned(),
        AuthMode::TrustedProxy => {
            return "nothing themselves: a trusted proxy names its user (gateway.auth.trustedProxy)".to_owned();
        }
        AuthMode::Token => "token",
        AuthMode::Password => "password",
    };
    match &settings.secret_at {
        Some((path, true)) => format!("the shared {key}, made just now: gateway.auth.{key} in {}", path.display()),
        Some((path, false)) => format!("the shared {key}: gateway.auth.{key} in {}", path.display()),
        None => format!("the shared {key}: OPENCLAW_GATEWAY_{} in the environment", key.to_uppercase()),
    }
}
