//! Given these records, when this command, then these events and this outcome: DESIGN.md's settled questions about pairing, and
//! those of the scenarios that one decision after another can tell.

#[path = "../support/mod.rs"]
mod support;

mod answers;
mod asking;
mod codes;
mod conditions;
mod connects;
mod described;
mod diagnosis;
mod inquiries;
mod nodes;
mod owners;
mod policy;
mod recovery;
mod requests;
mod sight;
mod timeline;
mod tokens;
mod told;
mod undo;
mod warrants;

use openclaw_pairing::limits;
use openclaw_pairing::pairing::{
    Act, Actor, AuthMode, AuthReason, ClientId, ClientMode, Command, CommandName, DEFAULT_POLICY, Digest, Ending, Event, Fault,
    Forwarding, GatewayStopped, Millis, Outcome, PeerUser, Reason, Record, Refusal, Registry, RequestId, Role, Rule, ScopeSet,
    Seq, SharedVerdict, Source, TokenVerdict, what_is_needed,
};
use support::given::{ALL, NO_REQUEST, START, Told, Visit, World, address, by, device, key, owner, scopes, visit};

/// Every rule that spares a person is off.
const ASK: &str = "{ version: 1, localFirstPairing: false, localCli: false, localBackend: false }";

const REQUESTED: [&str; 2] = ["PairingRequested", "ConnectionRefused"];
const REFUSED: [&str; 1] = ["ConnectionRefused"];
const ADMITTED: [&str; 1] = ["ConnectionAdmitted"];
