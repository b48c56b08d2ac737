//! Which records become which pushes, and which scopes may hear them.

use serde_json::{Value, json};

use super::connect::Dialect;
use super::{devices, nodes, owner};
use crate::pairing::{DeviceId, Event, Record, Registry, RequestId, Role, role_of};

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
    "node.pair.requested",
    "node.pair.resolved",
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

/// That something of a device is another now.
fn changed(device: DeviceId) -> Notice {
    Notice { about: About::Device(device), event: "device.pair.changed", payload: json!({}) }
}

/// The pushes of a batch. A request that the same batch settles was never worth a look, so only its end is told. What concerns a
/// node is told by both names that clients listen for.
#[must_use]
pub fn notices(records: &[Record], after: &Registry) -> Vec<Notice> {
    let mut notices = vec![];
    for record in records {
        let mut resolved = |request: RequestId, device: DeviceId, decision: &str| {
            let (request_id, device_id, ts) = (request.to_string(), device.to_string(), record.at.0);
            let payload = json!({ "requestId": request_id, "deviceId": device_id, "decision": decision, "ts": ts });
            notices.push(Notice { about: About::Request(request), event: "device.pair.resolved", payload });
            if role_of(after, &request) == Some(Role::Node) {
                let payload = json!({ "requestId": request_id, "nodeId": device_id, "decision": decision, "ts": ts });
                notices.push(Notice { about: About::Request(request), event: "node.pair.resolved", payload });
            }
        };
        match &record.event {
            Event::PairingRequested(event) => {
                if let Some(old) = event.supersedes {
                    resolved(old, event.device, "rejected");
                }
                if let Some(request) = after.request(&event.request) {
                    let about = About::Request(event.request);
                    let payload = devices::pending(after, request);
                    notices.push(Notice { about, event: "device.pair.requested", payload });
                    if request.role == Role::Node {
                        let payload = nodes::pending(after, request);
                        notices.push(Notice { about, event: "node.pair.requested", payload });
                    }
                }
            }
            Event::PairingApproved(event) => {
                if let Some(request) = event.request {
                    resolved(request, event.device, "approved");
                }
            }
            Event::DeviceSucceeded(event) => resolved(event.request, event.by, "approved"),
            Event::PairingRejected(event) => resolved(event.request, event.device, "rejected"),
            Event::PairingExpired(event) => resolved(event.request, event.device, "rejected"),
            // OpenClaw 2026.9.6 says only that something changed.
            Event::DeviceRenamed(event) => {
                notices.push(changed(event.device));
            }
            Event::DeviceRestored(event) => notices.push(changed(event.profile.device)),
            Event::GrantWithdrawn(event) => notices.push(changed(event.device)),
            _ => {}
        }
        if let Some(person) = record.owner_act() {
            let payload = owner::acted(record, person, after.unseen().count);
            notices.push(Notice { about: About::Owner, event: OWNER_ACTED, payload });
        }
    }
    notices
}
