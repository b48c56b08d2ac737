//! `openclaw logs`: the journal, one line a record, in the forms that OpenClaw 2026.3.13 prints. Following goes on through a
//! restart of the gateway, and while it is stopped.

use std::time::Duration;

use anstyle::{AnsiColor, Style};
use serde_json::{Value, json};

use super::door::{Purpose, Reach};
use super::output::Output;
use super::{Exit, Failure, World};
use crate::limits;
use crate::views::quote;

#[derive(clap::Args)]
pub(super) struct Args {
    /// Go on printing what happens
    #[arg(long, short)]
    follow: bool,
    /// Print at most this many lines of the past
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = clap::value_parser!(u64).range(1..=5_000))]
    limit: u64,
    /// Read at most this many bytes at once
    #[arg(long, value_name = "N", default_value_t = 250_000, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    max_bytes: u64,
    /// How often to look, while following
    #[arg(long, value_name = "MS", default_value_t = 1_000, value_parser = clap::value_parser!(u64).range(50..=3_600_000))]
    interval: u64,
    /// Print no colours
    #[arg(long, conflicts_with = "json")]
    plain: bool,
    #[command(flatten)]
    reach: Reach,
}

pub(super) async fn run(args: &Args, world: &World, out: &Output) -> Result<(), Failure> {
    out.speak_json(args.reach.json);
    let mut cursor = None;
    let mut is_away = false;
    let mut was_stopped = false;
    loop {
        match look(args, world, cursor).await {
            Ok((tail, is_stopped)) => {
                is_away = false;
                if cursor.is_none() {
                    begin(&tail, args, out)?;
                }
                if tail.get("reset") == Some(&Value::Bool(true)) {
                    notice("Log cursor reset (another journal, or an older copy).", args, out)?;
                }
                if args.follow && is_stopped && !was_stopped {
                    notice("no gateway runs here; following its journal until one does", args, out)?;
                }
                was_stopped = is_stopped;
                for line in tail.get("lines").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str) {
                    print(line, args, out)?;
                }
                let next = tail.get("cursor").and_then(Value::as_u64);
                // There is more than one answer holds.
                let has_more = cursor.is_some() && next < tail.get("size").and_then(Value::as_u64);
                cursor = next;
                if has_more {
                    continue;
                }
            }
            Err(failure) if args.follow && cursor.is_some() && can_come_back(failure.exit) => {
                if !is_away {
                    notice(&format!("{}; waiting for it", failure.message), args, out)?;
                }
                is_away = true;
            }
            Err(failure) => return Err(failure),
        }
        if !args.follow {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(args.interval)).await;
    }
}

/// One answer, and whether it was read while no gateway runs. Its way is its own: none is kept open that a restart would break.
async fn look(args: &Args, world: &World, cursor: Option<u64>) -> Result<(Value, bool), Failure> {
    let limit = if cursor.is_some() { limits::LOG_LINES.1 } else { usize::try_from(args.limit).unwrap_or(limits::LOG_LINES.1) };
    let mut params = json!({ "limit": limit, "maxBytes": args.max_bytes });
    if let (Some(cursor), Some(params)) = (cursor, params.as_object_mut()) {
        params.insert("cursor".to_owned(), cursor.into());
    }
    let mut door = args.reach.open(world, Purpose::Look).await?;
    let is_stopped = door.is_stopped();
    let tail = door.call("logs.tail", params).await;
    door.close().await;
    Ok((tail?, is_stopped))
}

fn can_come_back(exit: Exit) -> bool {
    matches!(exit, Exit::Failed | Exit::Unreachable | Exit::Held)
}

fn begin(tail: &Value, args: &Args, out: &Output) -> Result<(), Failure> {
    let member = |key| tail.get(key).cloned().unwrap_or_default();
    if args.reach.json {
        return out.line(json!({ "type": "meta", "file": member("file"), "cursor": member("cursor"), "size": member("size") }));
    }
    out.line(format_args!("Log file: {}", quote(member("file").as_str().unwrap_or_default())))?;
    if member("truncated") == Value::Bool(true) {
        out.note("Log tail truncated (increase --limit or --max-bytes).");
    }
    Ok(())
}

fn notice(text: &str, args: &Args, out: &Output) -> Result<(), Failure> {
    if args.reach.json {
        return out.line(json!({ "type": "notice", "message": text }));
    }
    out.note(text);
    Ok(())
}

fn print(line: &str, args: &Args, out: &Output) -> Result<(), Failure> {
    let Ok(row) = serde_json::from_str::<Value>(line) else {
        return out.line(if args.reach.json { json!({ "type": "raw", "raw": line }).to_string() } else { quote(line) });
    };
    let member = |pointer: &str| row.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
    let (time, level, message) = (member("/time"), member("/_meta/logLevelName").to_lowercase(), member("/1"));
    let subsystem: Value = serde_json::from_str(&member("/_meta/name")).unwrap_or_default();
    let subsystem = subsystem.get("subsystem").and_then(Value::as_str).unwrap_or_default();
    if args.reach.json {
        let seq = row.get("seq").cloned().unwrap_or_default();
        return out.line(json!({
            "type": "log", "seq": seq, "time": time, "level": level, "subsystem": subsystem, "message": message, "raw": line,
        }));
    }
    let style = match level.as_str() {
        _ if args.plain => Style::new(),
        "warn" => AnsiColor::Yellow.on_default(),
        "error" | "fatal" => AnsiColor::Red.on_default(),
        _ => Style::new(),
    };
    out.line(format_args!("{time} {style}{level} {subsystem} {}{style:#}", quote(&message)))
}
