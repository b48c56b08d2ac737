//! `openclaw qr` and `openclaw devices join-code`: setup codes for people to hand on. What a code gives, and for how long, stands
//! beside it; its text is printed once and kept nowhere.

use anstyle::{AnsiColor, Style};
use qrcode::render::unicode::Dense1x2;
use qrcode::{EcLevel, QrCode};
use serde_json::{Value, json};

use super::door::{Door, Here, Reach};
use super::output::Output;
use super::{Exit, Failure, World};
use crate::limits;
use crate::pairing::Millis;
use crate::views::{quote, time_text};

#[derive(clap::Args)]
pub(super) struct Qr {
    /// The gateway's address as the code says it [default: the configured one, or where it listens]
    #[arg(long, visible_alias = "public-url", value_name = "URL")]
    url: Option<String>,
    /// Say gateway.remote.url, also where a public address is configured
    #[arg(long)]
    remote: bool,
    #[command(flatten)]
    gives: Gives,
    /// Pair a node that listens and talks
    #[arg(long, conflicts_with_all = ["role", "limited"])]
    voice_node: bool,
    /// Accepted for OpenClaw's sake: without a word a code gives no operator.admin
    #[arg(long, hide = true)]
    limited: bool,
    /// Print nothing but the setup code
    #[arg(long)]
    setup_code_only: bool,
    /// Draw no square
    #[arg(long)]
    no_ascii: bool,
    #[command(flatten)]
    here: Here,
}

/// What a code gives, for how long, and what for.
#[derive(clap::Args)]
struct Gives {
    /// The role that it gives: node or operator
    #[arg(long, value_name = "ROLE")]
    role: Option<String>,
    /// A scope that it gives to an operator, once for each
    #[arg(long = "scope", value_name = "SCOPE", requires = "role")]
    scopes: Vec<String>,
    /// For how long it is good, such as 90s, 10m or 2h
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = milliseconds)]
    ttl: u64,
    /// What it is for, for people to tell it by
    #[arg(long, value_name = "TEXT")]
    label: Option<String>,
}

#[derive(clap::Args)]
pub(super) struct JoinCode {
    #[command(flatten)]
    gives: Gives,
    /// The gateway's address as the code says it [default: the configured one, or where it listens]
    #[arg(long, value_name = "URL")]
    public_url: Option<String>,
    /// List the codes that are known
    #[arg(long, conflicts_with_all = ["role", "label", "public_url", "revoke"])]
    list: bool,
    /// Take back a code that nobody has used
    #[arg(long, value_name = "CODE", conflicts_with_all = ["role", "label", "public_url"])]
    revoke: Option<String>,
    #[command(flatten)]
    pub(super) reach: Reach,
}

impl Gives {
    fn params(&self, url: Option<&str>) -> Value {
        let mut params = json!({ "ttlMs": self.ttl, "includeQr": false });
        if let Some(params) = params.as_object_mut() {
            params.extend(url.map(|url| ("publicUrl".to_owned(), url.into())));
            params.extend(self.label.as_ref().map(|label| ("label".to_owned(), label.as_str().into())));
            params.extend(self.role.as_ref().map(|role| ("role".to_owned(), role.as_str().into())));
            if !self.scopes.is_empty() {
                params.insert("scopes".to_owned(), json!(self.scopes));
            }
        }
        params
    }
}

/// `openclaw qr`.
pub(super) async fn qr(args: &Qr, world: &World, out: &Output) -> Result<(), Failure> {
    out.speak_json(args.here.json);
    let mut params = args.gives.params(args.url.as_deref());
    if let Some(params) = params.as_object_mut() {
        params.insert("preferRemoteUrl".to_owned(), args.remote.into());
        if args.voice_node {
            params.insert("bootstrapProfile".to_owned(), "voice-node".into());
        }
    }
    let mut door = args.here.open_to_act(world).await?;
    let made = door.call("device.pair.setupCode", params).await;
    let is_stopped = door.is_stopped();
    door.close().await;
    let made = made.map_err(with_url_way)?;
    if args.here.json {
        return out.json(&made);
    }
    let text = |key| made.get(key).and_then(Value::as_str).unwrap_or_default();
    if args.setup_code_only {
        return out.line(text("setupCode"));
    }
    out.line("Pairing QR")?;
    if !args.no_ascii {
        out.line(square(text("setupCode"))?)?;
    }
    out.line(format_args!("Setup code   {}", text("setupCode")))?;
    out.line(format_args!("Gateway      {} ({})", text("gatewayUrl"), text("urlSource")))?;
    tell_what_it_gives(&made, out)?;
    note_stopped(is_stopped, out);
    Ok(())
}

/// `openclaw devices join-code`.
pub(super) async fn join_code(args: &JoinCode, door: &mut Door, out: &Output) -> Result<(), Failure> {
    let json = args.reach.json;
    if args.list {
        let list = door.call("device.pair.setupCodes", json!({})).await?;
        return if json { out.json(&list) } else { show_list(&list, out) };
    }
    if let Some(code) = &args.revoke {
        let result = door.call("device.pair.revokeSetupCode", json!({ "setupId": code })).await?;
        return if json { out.json(&result) } else { out.line(format_args!("Took back {}", quote(code))) };
    }
    let mut params = args.gives.params(args.public_url.as_deref());
    if let Some(params) = params.as_object_mut() {
        params.insert("joinUrl".to_owned(), true.into());
    }
    let made = door.call("device.pair.setupCode", params).await.map_err(with_url_way)?;
    let url = made.get("joinUrl").and_then(Value::as_str).unwrap_or_default();
    let command = format!("npx openclaw connect {url}");
    if json {
        let mut made = made;
        if let Some(made) = made.as_object_mut() {
            made.insert("command".to_owned(), command.into());
        }
        return out.json(&made);
    }
    out.line(url)?;
    out.line(format_args!("On the node   {command}"))?;
    tell_what_it_gives(&made, out)?;
    note_stopped(door.is_stopped(), out);
    Ok(())
}

fn tell_what_it_gives(made: &Value, out: &Output) -> Result<(), Failure> {
    let until = made.get("expiresAtMs").and_then(Value::as_u64).map(Millis).map(time_text).unwrap_or_default();
    let id = made.get("setupId").and_then(Value::as_str).unwrap_or_default();
    out.line(format_args!("Gives        {}", gives(made)))?;
    out.line(format_args!("Good for     one device, until {until}"))?;
    out.line(format_args!("Take back    openclaw devices join-code --revoke {id}"))
}

/// The roles of a code, each with its scopes.
fn gives(code: &Value) -> String {
    let grants = code.get("grants").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let one = |grant: &Value| {
        let role = grant.get("role").and_then(Value::as_str).unwrap_or_default();
        let scopes = grant.get("scopes").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
        match scopes.map(quote).collect::<Vec<_>>().join(", ") {
            none if none.is_empty() => role.to_owned(),
            scopes => format!("{role} ({scopes})"),
        }
    };
    grants.iter().map(one).collect::<Vec<_>>().join(" and ")
}

fn show_list(list: &Value, out: &Output) -> Result<(), Failure> {
    let codes = list.get("setupCodes").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    if codes.is_empty() {
        return out.line("No setup codes.");
    }
    let row = |code: &Value| {
        let text = |key| code.get(key).and_then(Value::as_str).map(quote).unwrap_or_default();
        let state = match code.get("spentBy").and_then(Value::as_str) {
            Some(device) => format!("spent by {}", quote(device)),
            None => text("state"),
        };
        let until = code.get("expiresAtMs").and_then(Value::as_u64).map(Millis).map(time_text).unwrap_or_default();
        vec![text("setupId"), text("label"), gives(code), text("createdBy"), until, state]
    };
    out.table(&["Code", "Label", "Gives", "Made by", "Good until", "State"], codes.iter().map(row).collect())
}

fn note_stopped(is_stopped: bool, out: &Output) {
    if is_stopped {
        out.note("No gateway runs here; the code is good as soon as one does, for as long as is said.");
    }
}

/// Where only the address is missing: how to give it.
fn with_url_way(failure: Failure) -> Failure {
    let lacks = failure.message.starts_with("the gateway listens on loopback only");
    let note = "for a device on this host: --public-url ws://127.0.0.1:<port>".to_owned();
    if lacks { Failure { note: Some(note), ..failure } } else { failure }
}

/// The code as a square of half blocks, in colours where there are any: so a camera reads it on every terminal, and without them on
/// one that is dark.
fn square(text: &str) -> Result<String, Failure> {
    let style = Style::new().fg_color(Some(AnsiColor::BrightWhite.into())).bg_color(Some(AnsiColor::Black.into()));
    let drawn = half_blocks(text)?;
    let lines = drawn.lines().map(|line| format!("{style}{line}{style:#}"));
    Ok(lines.collect::<Vec<_>>().join("\n"))
}

/// What is light is drawn, the quiet zone too, and what is dark is left out.
fn half_blocks(text: &str) -> Result<String, Failure> {
    let too_long = |_| Failure::new(Exit::Failed, "the setup code is too long for a QR square");
    let code = QrCode::with_error_correction_level(text, EcLevel::L).map_err(too_long)?;
    Ok(code.render::<Dense1x2>().dark_color(Dense1x2::Light).light_color(Dense1x2::Dark).quiet_zone(true).build())
}

/// For how long a code may be good: `90s`, `10m`, `2h` or `1d`.
fn milliseconds(text: &str) -> Result<u64, String> {
    let units = [('s', 1_000), ('m', 60_000), ('h', 3_600_000), ('d', 86_400_000_u64)];
    let time = units.iter().find_map(|(unit, ms)| text.strip_suffix(*unit)?.parse::<u64>().ok()?.checked_mul(*ms));
    let (least, _, most) = limits::SETUP_CODE_MS;
    match time {
        Some(ms) if (least..=most).contains(&ms) => Ok(ms),
        Some(_) => Err("a code is good for a minute at least, and for a day at most".to_owned()),
        None => Err("a time is a number and s, m, h or d, such as 10m".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_read_with_its_unit() {
        assert_eq!((milliseconds("90s"), milliseconds("10m"), milliseconds("2h")), (Ok(90_000), Ok(600_000), Ok(7_200_000)));
        for wrong in ["10", "m", "-1s", "1w", "99999999999999999999d", "", "59s", "25h"] {
            assert!(milliseconds(wrong).is_err(), "{wrong}");
        }
    }

    /// Each half block stands for two modules, one above the other; light ones are drawn.
    #[test]
    fn the_square_holds_every_module_and_a_quiet_zone() {
        let text = "eyJ1cmwiOiJ3czovLzE5Mi4xNjguMS4yOjE4Nzg5In0";
        let drawn = half_blocks(text).expect("short");
        let rows: Vec<Vec<bool>> = drawn
            .lines()
            .flat_map(|line| {
                let half = |upper: bool| {
                    let is_light = move |c| matches!((c, upper), ('█', _) | ('▀', true) | ('▄', false));
                    line.chars().map(move |c| !is_light(c)).collect()
                };
                [half(true), half(false)]
            })
            .collect();
        let code = QrCode::with_error_correction_level(text, EcLevel::L).expect("short");
        let (width, colors) = (code.width(), code.to_colors());
        assert!(rows.iter().all(|row| row.len() == width + 8), "four modules on each side");
        for (y, row) in rows.iter().enumerate().take(width + 8) {
            for (x, dark) in row.iter().enumerate() {
                let inside = (4..width + 4).contains(&x) && (4..width + 4).contains(&y);
                let expected = inside && colors[(y - 4) * width + (x - 4)] == qrcode::Color::Dark;
                assert_eq!(*dark, expected, "{x} {y}");
            }
        }
    }
}
