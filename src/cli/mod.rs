//! What did the operator type, and what do they see? One line per command, one exit code per kind of ending. It never decides:
//! it asks a gateway, or the table of methods on a stopped gateway's journal.

mod anchor;
mod approving;
mod audit;
mod codes;
mod compare;
mod dashboard;
mod devices;
mod doctor;
mod door;
mod gateway;
mod import;
mod journal;
mod logs;
mod moment;
mod neighbour;
mod nodes;
mod output;
mod policy;
mod recover;
mod replay;
mod simulate;
mod undo;

use std::ffi::OsString;
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Parser, Subcommand};
use serde_json::{Value, json};

use crate::authority::PastError;
use crate::client::ClientError;
use crate::gateway::GatewayError;
use crate::host::{Host, SystemHost};
use crate::journal::JournalError;
use crate::keyring::KeyringError;
use crate::settings::SettingsError;
use crate::state::{StateDir, StateError};
use crate::views::{quote, time_text};
use crate::wire::frame::WireError;
use output::Output;

/// The port of the profile `dev` (OpenClaw 2026.3.13).
const DEV_PORT: u16 = 19001;

/// Pairing authority for OpenClaw gateways: who asked, who approved, who holds what.
#[derive(Parser)]
#[command(name = "openclaw", version, max_term_width = 110, after_help = EXIT_CODES)]
struct Args {
    /// Use the state in ~/.openclaw-<NAME>
    #[arg(long, global = true, value_name = "NAME", value_parser = profile_name)]
    profile: Option<String>,
    /// Use the profile dev, on port 19001
    #[arg(long, global = true, conflicts_with = "profile")]
    dev: bool,
    /// Print no colours
    #[arg(long, global = true)]
    no_color: bool,
    /// What to say on standard error of the program's own workings
    #[arg(long, global = true, value_name = "LEVEL", default_value = "warn", value_parser = ["error", "warn", "info", "debug", "trace"])]
    log_level: String,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the gateway
    #[command(subcommand)]
    Gateway(gateway::Command),
    /// See and answer pairing requests, and manage paired devices
    #[command(subcommand)]
    Devices(devices::Command),
    /// See, check and apply the policy
    #[command(subcommand)]
    Policy(policy::Command),
    /// See and answer pairing requests of nodes, and manage paired nodes
    #[command(subcommand)]
    Nodes(nodes::Command),
    /// Show a setup code as a QR square, for a phone to pair with this gateway
    Qr(codes::Qr),
    /// Open the Control UI in a browser, with a code that makes it an owner's
    Dashboard(dashboard::Dashboard),
    /// Take over the paired devices that a real OpenClaw kept
    Import(import::Args),
    /// Print what happened, from the journal
    Logs(logs::Args),
    /// Tell who approved which scope for which device, when, and on whose authority
    Audit(audit::Args),
    /// Tell what was true at a point of history, or what changed between two
    Replay(replay::Args),
    /// Check and read the journal
    #[command(subcommand)]
    Journal(journal::Command),
    /// See what was lost and can be got back; with an option, get it back
    Recover(Box<recover::Args>),
    Undo(undo::Undo),
    /// Tell whether the gateway of this host runs, and what it keeps, as `gateway status` does
    Status(gateway::StatusArgs),
    /// Tell what is wrong here, who is out since when, and the one command that comes next; changes nothing
    #[command(after_help = doctor::EXIT_CODES)]
    Doctor(doctor::Doctor),
}

const EXIT_CODES: &str = "Exit codes: 0 done, 1 refused or failed, 2 usage, 3 gateway not reachable, 5 journal damaged or rolled back, \
                          6 another process holds the state, 7 written by a newer version";

/// How a command ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Exit {
    Done = 0,
    Failed = 1,
    Usage = 2,
    Unreachable = 3,
    Damaged = 5,
    Held = 6,
    Newer = 7,
}

/// Why a command did not do what it was asked: one sentence, and what programs read of it.
#[derive(Debug)]
struct Failure {
    exit: Exit,
    message: String,
    details: Option<Value>,
    /// What to know besides, or to do next.
    note: Option<String>,
}

/// What every command works with.
struct World {
    state: StateDir,
    host: Arc<dyn Host>,
    dev_port: Option<u16>,
}

/// Parses, runs, and says how it went.
pub fn run(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let args = match Args::try_parse_from(args) {
        Ok(args) => args,
        Err(error) => {
            // Help and version come this way too; whoever closed the pipe does not want them.
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { Exit::Usage as u8 } else { Exit::Done as u8 });
        }
    };
    output::prepare(args.no_color, &args.log_level);
    let out = Output::default();
    let exit = match dispatch(args, &out) {
        Ok(()) => Exit::Done,
        Err(failure) => out.failure(&failure),
    };
    ExitCode::from(exit as u8)
}

fn dispatch(args: Args, out: &Output) -> Result<(), Failure> {
    let profile = if args.dev { Some("dev".to_owned()) } else { args.profile };
    let world = World {
        state: StateDir::from_environment(profile.as_deref())?,
        host: Arc::new(SystemHost::new()),
        dev_port: args.dev.then_some(DEV_PORT),
    };
    if let Some(note) = for_root(&world.state) {
        out.note(note);
    }
    match args.command {
        Command::Gateway(command) => gateway::run(command, &world, out),
        Command::Devices(command) => wait_for(devices::run(command, &world, out)),
        Command::Policy(command) => wait_for(policy::run(command, &world, out)),
        Command::Nodes(command) => wait_for(nodes::run(command, &world, out)),
        Command::Qr(args) => wait_for(codes::qr(&args, &world, out)),
        Command::Dashboard(args) => wait_for(dashboard::run(&args, &world, out)),
        Command::Import(args) => wait_for(import::run(&args, &world, out)),
        Command::Logs(args) => wait_for(logs::run(&args, &world, out)),
        Command::Audit(args) => wait_for(audit::run(&args, &world, out)),
        Command::Replay(args) => replay::run(&args, &world, out),
        Command::Journal(command) => journal::run(&command, &world, out),
        Command::Recover(args) => recover::run(&args, &world, out),
        Command::Undo(args) => wait_for(undo::run(&args, &world, out)),
        Command::Status(args) => wait_for(gateway::status(&args, &world, out)),
        Command::Doctor(args) => wait_for(doctor::run(&args, &world, out)),
    }
}

/// Which state root works on, where it may not be the one that was meant.
fn for_root(state: &StateDir) -> Option<String> {
    if !state.is_worked_on_by_root() {
        return None;
    }
    let path = state.root().display();
    let called = std::env::var("SUDO_UID").ok().filter(|uid| uid != "0");
    match (state.owner(), called) {
        (Ok(Some(owner)), _) if owner != 0 => Some(format!("note: this runs as root on {path}, which belongs to uid {owner}")),
        // What a variable says is a claim, and good for no more than a hint.
        (_, Some(uid)) => {
            Some(format!("note: this runs as root on {path}, not on the state of uid {}, who ran sudo", quote(&uid)))
        }
        _ => None,
    }
}

/// Runs a command that talks to one gateway.
fn wait_for(work: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(|error| Failure::new(Exit::Failed, format!("cannot start: {error}")))?.block_on(work)
}

fn profile_name(text: &str) -> Result<String, String> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    if !text.is_empty() && text.len() <= 64 && text.chars().all(is_plain) {
        Ok(text.to_owned())
    } else {
        Err("a profile is named with letters, digits, - and _".to_owned())
    }
}

impl Failure {
    fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, message: message.into(), details: None, note: None }
    }
}

impl From<WireError> for Failure {
    fn from(error: WireError) -> Self {
        // OpenClaw's clients compare the message, so what the clocks say stands beside it.
        let clocks = error.details.as_ref().and_then(|details| details.get("clocks")).and_then(Value::as_str).map(quote);
        let message = clocks.map_or_else(|| error.message.clone(), |clocks| format!("{}: {clocks}", error.message));
        let details = json!({ "code": error.code, "details": error.details });
        let code = error.details.as_ref().and_then(|details| details.get("code")).and_then(Value::as_str);
        let note = (code == Some("PAIRING_REQUIRED")).then(|| "the gateway is running and refused this device".to_owned());
        Self { exit: Exit::Failed, message, details: Some(details), note }
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        let exit = match &error {
            ClientError::Address { .. } => Exit::Usage,
            ClientError::Unreachable { .. } | ClientError::NotAGateway { .. } | ClientError::Slow { .. } => Exit::Unreachable,
            ClientError::Refused(_) | ClientError::Closed { .. } | ClientError::Stranger { .. } => Exit::Failed,
        };
        match error {
            ClientError::Refused(error) => Self { exit, ..Self::from(*error) },
            error => Self::new(exit, error.to_string()),
        }
    }
}

impl From<JournalError> for Failure {
    fn from(error: JournalError) -> Self {
        let exit = match &error {
            JournalError::Locked { .. } => Exit::Held,
            JournalError::Corrupt { .. } | JournalError::Impossible(_) | JournalError::RolledBack { .. } => Exit::Damaged,
            JournalError::TooNew { .. } => Exit::Newer,
            _ => Exit::Failed,
        };
        Self::new(exit, error.to_string())
    }
}

impl From<PastError> for Failure {
    fn from(error: PastError) -> Self {
        match error {
            PastError::Journal(error) => error.into(),
            PastError::Early { begins } => {
                Self::new(Exit::Failed, format!("{error}: its first record is of {}", time_text(begins)))
            }
            error => Self::new(Exit::Failed, error.to_string()),
        }
    }
}

impl From<GatewayError> for Failure {
    fn from(error: GatewayError) -> Self {
        match error {
            GatewayError::Journal(error) => error.into(),
            error => Self::new(Exit::Failed, error.to_string()),
        }
    }
}

impl From<StateError> for Failure {
    fn from(error: StateError) -> Self {
        Self::new(Exit::Failed, error.to_string())
    }
}

impl From<SettingsError> for Failure {
    fn from(error: SettingsError) -> Self {
        Self::new(Exit::Failed, error.to_string())
    }
}

impl From<KeyringError> for Failure {
    fn from(error: KeyringError) -> Self {
        Self::new(Exit::Failed, error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn t03_a_wrong_clock_is_told_with_both_times() {
        let mut error = WireError::invalid("device signature expired");
        error.details = Some(json!({ "clocks": "the client signed at A and the gateway's clock says B" }));
        let failure = Failure::from(error);
        assert_eq!(failure.message, "device signature expired: the client signed at A and the gateway's clock says B");
    }

    #[test]
    fn the_command_line_is_well_formed() {
        Args::command().debug_assert();
        assert!(profile_name("../x").is_err());
    }
}
