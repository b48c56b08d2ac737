//! `openclaw dashboard`: opens the Control UI in a browser that is to become its owner. The code for that never stands on a command
//! line, where every process of this machine could read it: the browser is given a file that only its owner may read, which leads
//! on to the page with the code behind the `#`, where no server and no log sees it.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{Instant, sleep};

use super::door::{Door, Here};
use super::output::Output;
use super::{Exit, Failure, World};
use crate::limits;
use crate::pairing::KnownScope;
use crate::state;

#[derive(clap::Args)]
pub(super) struct Dashboard {
    /// Open no browser; print the file that leads there
    #[arg(long)]
    no_open: bool,
    #[command(flatten)]
    here: Here,
}

/// What the code is for; of this label one code is good at a time.
const LABEL: &str = "Control UI on this host";

/// What the owner of a Control UI may: what the CLI may, and what OpenClaw 2026.9.6 gives one beside that.
const SCOPES: [KnownScope; 7] = [
    KnownScope::Admin,
    KnownScope::Read,
    KnownScope::Write,
    KnownScope::Approvals,
    KnownScope::Pairing,
    KnownScope::Questions,
    KnownScope::TalkSecrets,
];

pub(super) async fn run(args: &Dashboard, world: &World, out: &Output) -> Result<(), Failure> {
    out.speak_json(args.here.json);
    let mut door = args.here.open_to_act(world).await?;
    if door.is_stopped() {
        door.close().await;
        return Err(Failure::new(Exit::Unreachable, "no gateway runs here; start it: openclaw gateway run"));
    }
    let params = json!({
        "role": "operator",
        "scopes": SCOPES.map(KnownScope::as_str),
        "ttlMs": limits::OWNER_CODE_MS,
        "label": LABEL,
        "only": true,
        "onThisHost": true,
        "joinUrl": true,
    });
    let made = door.call("device.pair.setupCode", params).await?;
    let text = |key| made.get(key).and_then(Value::as_str).unwrap_or_default();
    let (base, code) = text("joinUrl").rsplit_once("/j/").unwrap_or_default();
    let leads = Leads::new(&world.state.pairing(), text("setupId"), &format!("{base}/#bootstrapToken={code}"))?;
    let told = json!({ "file": leads.0, "url": format!("{base}/"), "setupId": made.get("setupId"), "expiresAtMs": made.get("expiresAtMs") });
    if args.here.json {
        out.json(&told)?;
    } else if args.no_open {
        out.line(format_args!("Open this file in a browser within two minutes: {}", leads.0.display()))?;
    } else {
        out.line(format_args!("Opening {base}/ in a browser"))?;
    }
    if !args.no_open {
        open(&leads.0)?;
    }
    let used = wait(&mut door, text("setupId")).await;
    // The file goes in any case.
    drop(leads);
    let used = used?;
    door.close().await;
    if used {
        out.line("The browser is paired.")
    } else {
        Err(Failure::new(Exit::Failed, "no browser came in time; the code is good no longer"))
    }
}

/// Waits until the code is spent, or good no longer.
async fn wait(door: &mut Door, id: &str) -> Result<bool, Failure> {
    let cannot = |error: std::io::Error| Failure::new(Exit::Failed, format!("cannot wait: {error}"));
    let mut interrupt = signal(SignalKind::interrupt()).map_err(cannot)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(cannot)?;
    let mut hangup = signal(SignalKind::hangup()).map_err(cannot)?;
    // Its own clock may be another one than the gateway's, and the gateway may be gone.
    let last = Instant::now() + std::time::Duration::from_millis(limits::OWNER_CODE_MS);
    while Instant::now() < last {
        let list = door.call("device.pair.setupCodes", json!({})).await?;
        let codes = list.get("setupCodes").and_then(Value::as_array);
        let own = codes.into_iter().flatten().find(|code| code.get("setupId").and_then(Value::as_str) == Some(id));
        match own.and_then(|code| code.get("state")).and_then(Value::as_str) {
            Some("spent") => return Ok(true),
            Some("good") => {}
            _ => return Ok(false),
        }
        tokio::select! {
            () = sleep(limits::OWNER_CODE_INTERVAL) => {}
            _ = interrupt.recv() => return Err(Failure::new(Exit::Failed, "interrupted")),
            _ = terminate.recv() => return Err(Failure::new(Exit::Failed, "terminated")),
            _ = hangup.recv() => return Err(Failure::new(Exit::Failed, "hung up")),
        }
    }
    Ok(false)
}

/// The file that leads to the page; removed with this.
struct Leads(PathBuf);

impl Leads {
    fn new(dir: &Path, id: &str, url: &str) -> Result<Self, Failure> {
        const NAME: &str = "dashboard-";
        // What an earlier run could not remove leads nowhere: its code is not good any more.
        for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
            if entry.file_name().to_string_lossy().starts_with(NAME) {
                let _ = std::fs::remove_file(entry.path());
            }
        }
        let leads = Self(dir.join(format!("{NAME}{id}.html")));
        state::replace(&leads.0, page(url).as_bytes())?;
        Ok(leads)
    }
}

impl Drop for Leads {
    fn drop(&mut self) {
        // Another run may have removed it.
        let _ = std::fs::remove_file(&self.0);
    }
}

/// A page that leads on and leaves no trace of itself in the browser's history.
fn page(url: &str) -> String {
    let url = Value::from(url);
    format!(
        "<!doctype html>\n<meta charset=\"utf-8\">\n<meta name=\"referrer\" content=\"no-referrer\">\n<title>OpenClaw</title>\n\
         <script>location.replace({url})</script>\n<noscript>The Control UI needs JavaScript.</noscript>\n"
    )
}

/// Hands the file to the browser; that is all a process list can show.
fn open(file: &Path) -> Result<(), Failure> {
    let opener = if cfg!(target_os = "macos") { "open" } else { "xdg-open" };
    let quiet = || Stdio::null();
    let started = Command::new(opener).arg(file).stdin(quiet()).stdout(quiet()).stderr(quiet()).spawn();
    let failed = |error| {
        Failure::new(Exit::Failed, format!("cannot run {opener}: {error}; open the file yourself: openclaw dashboard --no-open"))
    };
    started.map(drop).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_leads_on_by_script_alone() {
        let page = page("http://127.0.0.1:1/#bootstrapToken=x");
        assert!(page.contains(r#"location.replace("http://127.0.0.1:1/#bootstrapToken=x")"#), "{page}");
        assert!(!page.contains("href"));
    }
}
