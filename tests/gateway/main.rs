//! The gateway as clients meet it: real sockets on free ports, a small client of the tests' own, frames compared with those
//! that OpenClaw 2026.3.13 sent. What can be seen lower (decisions, bytes on disk) is tested there.

mod auth;
mod bad_input;
mod budgets;
#[path = "../support/client.rs"]
mod client;
mod clock;
mod codes;
mod conditions;
mod crowd;
mod dialects;
mod http;
mod import;
mod life;
mod nodes;
mod pairing;
mod panics;
mod policy;
mod recorded;
#[path = "../support/running.rs"]
mod running;
mod secrets;
mod sight;
mod storms;
mod surface;
mod threats;
mod undo;
mod upgrade;
