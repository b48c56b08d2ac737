//! Which records become which pushes, and which scopes may hear them.

use serde_json::{Value, json};

use super::connect::Dialect;
use super::{devices, owner};
use crate::pairing::{DeviceId, Event, Record, Registry, RequestId};

/// A push about pairing or the owner: role operator with `operator.pairing` or `operator.admin` may hear it, if it may see what
/// it is about.
#[derive(Debug)]
pub struct Notice {
    /// What it is about.
    pub about: About,
    /// The event's name on the wire.
    pub event: &'static str,
    /// Its payload.
    pub payload: Value,
}

/// What a notice is about.
#[derive(Clone, Copy, Debug)]
pub enum About {
    /// A request.
    Request(RequestId),
    /// A device.
    Device(DeviceId),
    /// What the owner does, which is told to those who may do everything too.
    Owner,
}

/// Every event name a client may hear.
pub const EVENTS: &[&str] = &[
    "connect.challenge",
    "presence",
    "tick",
    "shutdown",
    "health",
    "device.pair.requested",
    "device.pair.resolved",
    "device.pair.changed",
    OWNER_ACTED,
];

/// An act of this host's owner, as it happens; and to who is let in, the last that nobody said to have seen.
pub const OWNER_ACTED: &str = "owner.acted";

/// The payload of `shutdown`: OpenClaw 2026.9.6 leaves out what it does not know.
#[must_use]
pub fn shutdown(dialect: Dialect) -> Value {
    match dialect {
        Dialect::Three => json!({ "reason": "gateway stopping", "restartExpectedMs": null }),
        Dialect::Four => json!({ "reason": "gateway stopping" }),
    }
}

/// The pushes of a batch. A request that the same batch settles was never worth a look, so only its end is told.
#[must_use]
pub fn notices(records: &[Record], after: &Registry) -> Vec<Notice> {
    let mut notices = vec![];
    for record in records {
        let resolved = |request: RequestId, device: String, decision: &str| Notice {
            about: About::Request(request),
            event: "device.pair.resolved",
            payload: json!({ "requestId": request.to_string(), "deviceId": device, "decision": decision, "ts": record.at.0 }),
        };
        match &record.event {
            Event::PairingRequested(event) => {
                if let Some(old) = event.supersedes {
                    notices.push(resolved(old, event.device.to_string(), "rejected"));
                }
                if let Some(request) = after.request(&event.request) {
                    let payload = devices::pending(after, request);
                    notices.push(Notice { about: About::Request(event.request), event: "device.pair.requested", payload });
                }
            }
            Event::PairingApproved(event) => {
                if let Some(request) = event.request {
                    notices.push(resolved(request, event.device.to_string(), "approved"));
                }
            }
            Event::PairingRejected(event) => notices.push(resolved(event.request, event.device.to_string(), "rejected")),
            Event::PairingExpired(event) => notices.push(resolved(event.request, event.device.to_string(), "rejected")),
            // OpenClaw 2026.9.6 says only that something changed.
            Event::DeviceRenamed(event) => {
                notices.push(Notice { about: About::Device(event.device), event: "device.pair.changed", payload: json!({}) });
            }
            _ => {}
        }
        if let Some(person) = record.owner_act() {
            let payload = owner::acted(record, person, after.unseen().count);
            notices.push(Notice { about: About::Owner, event: OWNER_ACTED, payload });
        }
    }
    notices
}
