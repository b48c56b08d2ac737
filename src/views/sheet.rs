//! Records as rows of a sheet, one line of CSV each: what people sort and filter. The easy mistake: a cell may begin with what
//! a spreadsheet takes for a formula, and what a device calls itself is up to the device.

use super::sentence::{event_sentence, quote, time_text, who};
use crate::pairing::{Actor, Attempt, Event, Record, Role, ScopeSet};

/// The titles of the columns.
pub const COLUMNS: &str = "seq,time,event,actor,actor device,device,request,role,scopes,rule,address,message";

/// The row of a record under [`COLUMNS`], quoted as RFC 4180 says, without an end of line.
#[must_use]
pub fn sheet_row(record: &Record) -> String {
    let facts = Facts::of(&record.event);
    let actor_device = match &record.actor {
        Actor::Device { device, .. } => device.to_string(),
        _ => String::new(),
    };
    let cells = [
        record.seq.to_string(),
        time_text(record.at),
        record.event.name().to_owned(),
        who(&record.actor),
        actor_device,
        text(record.event.device().as_ref()),
        text(record.event.request().as_ref()),
        facts.role,
        facts.scopes,
        facts.rule,
        facts.address,
        event_sentence(record),
    ];
    cells.map(|text| cell(&text)).join(",")
}

/// What of an event has a column of its own beside its device and request; empty where it has none.
#[derive(Default)]
struct Facts {
    role: String,
    scopes: String,
    rule: String,
    address: String,
}

impl Facts {
    fn of(event: &Event) -> Self {
        match event {
            Event::JournalCreated(_)
            | Event::GatewayStarted(_)
            | Event::GatewayStopped(_)
            | Event::JournalRepaired(_)
            | Event::SegmentSealed(_)
            | Event::ConditionFound(_)
            | Event::ConditionCleared(_)
            | Event::WitnessPlaced(_)
            | Event::HistoryArchived(_)
            | Event::ConnectionClosed(_)
            | Event::PairingRejected(_)
            | Event::PairingExpired(_)
            | Event::DeviceMetadataChanged(_)
            | Event::DeviceRemoved(_)
            | Event::DeviceRenamed(_)
            | Event::PolicyChanged(_)
            | Event::OwnerActsSeen(_)
            | Event::SetupCodeCreated(_)
            | Event::SetupCodeSpent(_)
            | Event::SetupCodeRevoked(_)
            | Event::RollbackAccepted(_)
            | Event::ConfigurationChanged(_)
            | Event::ActUndone(_)
            | Event::DeviceRestored(_)
            | Event::DeviceImported(_)
            | Event::DeviceSucceeded(_)
            | Event::TokenKeyReplaced(_) => Self::default(),
            Event::RuleArmed(event) => Self { rule: event.rule.to_string(), ..Self::default() },
            Event::AttemptsSuppressed(event) => {
                Self { address: event.address.map(|address| address.ip().to_string()).unwrap_or_default(), ..Self::default() }
            }
            Event::ConnectionAdmitted(event) => {
                Self { scopes: listed(&event.scopes), rule: event.rule.to_string(), ..Self::of_attempt(&event.attempt) }
            }
            Event::ConnectionRefused(event) => Self::of_attempt(&event.attempt),
            Event::CommandRefused(event) => Self {
                role: text(event.role.as_ref()),
                scopes: event.scopes.as_ref().map(listed).unwrap_or_default(),
                ..Self::default()
            },
            Event::PairingRequested(event) => {
                Self { address: event.address.ip().to_string(), ..Self::of_role(event.ask.role, &event.ask.scopes) }
            }
            Event::PairingApproved(event) => Self::of_role(event.role, &event.scopes),
            Event::GrantWithdrawn(event) => Self::of_role(event.role, &event.scopes),
            Event::TokenIssued(event) => Self::of_role(event.role, &event.scopes),
            Event::TokenRotated(event) => Self::of_role(event.role, &event.scopes),
            Event::TokenRevoked(event) => Self { role: event.role.to_string(), ..Self::default() },
        }
    }

    fn of_role(role: Role, scopes: &ScopeSet) -> Self {
        Self { role: role.to_string(), scopes: listed(scopes), ..Self::default() }
    }

    fn of_attempt(attempt: &Attempt) -> Self {
        Self {
            role: text(attempt.ask.as_ref().map(|ask| ask.role).as_ref()),
            scopes: attempt.ask.as_ref().map(|ask| listed(&ask.scopes)).unwrap_or_default(),
            address: attempt.source.address().ip().to_string(),
            ..Self::default()
        }
    }
}

fn text(id: Option<&impl ToString>) -> String {
    id.map(ToString::to_string).unwrap_or_default()
}

/// Separated by a space, which no scope holds.
fn listed(scopes: &ScopeSet) -> String {
    scopes.iter().collect::<Vec<_>>().join(" ")
}

/// A cell that no spreadsheet runs: an apostrophe in front of what could begin a formula, control characters escaped.
fn cell(text: &str) -> String {
    let is_formula = text.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let text = format!("{}{}", if is_formula { "'" } else { "" }, quote(text));
    if text.contains([',', '"']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pairing::{GatewayStopped, Millis, Seq};

    #[test]
    fn o05_a_cell_is_no_formula_and_stays_one_cell() {
        for (text, wanted) in [
            ("=1+1", "'=1+1"),
            ("+1", "'+1"),
            ("-1", "'-1"),
            ("@SUM(A1)", "'@SUM(A1)"),
            ("\t=1", "'\\u{9}=1"),
            ("\r=1", "'\\u{d}=1"),
            ("=HYPERLINK(\"x\",\"y\")", "\"'=HYPERLINK(\"\"x\"\",\"\"y\"\")\""),
            ("a=1", "a=1"),
            ("a,b", "\"a,b\""),
            ("say \"hi\"", "\"say \"\"hi\"\"\""),
            ("two\nlines", "two\\u{a}lines"),
            ("", ""),
        ] {
            assert_eq!(cell(text), wanted, "{text:?}");
        }
    }

    #[test]
    fn a_row_has_a_cell_for_every_column() {
        let event = GatewayStopped { cause: "SIGTERM".into() }.into();
        let row = sheet_row(&Record { seq: Seq(3), at: Millis(1_795_342_471_657), actor: Actor::System, event });
        assert_eq!(row, "3,2026-11-22T10:14:31.657Z,GatewayStopped,the gateway,,,,,,,,gateway stopped (SIGTERM)");
        assert_eq!(row.split(',').count(), COLUMNS.split(',').count());
    }
}
