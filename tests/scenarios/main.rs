//! Situations that real OpenClaw users got into, and what a pairing authority does there: one test a scenario, named by its id,
//! over real sockets, and with the real binary where a scenario speaks of commands.
//!
//! `scenarios.jsonl` holds the scenarios in our own words, a JSON object a line; `source` names the thread or the advisory that
//! each comes from. "Remote" is over loopback through a proxy that is trusted.

#[path = "../support/client.rs"]
mod client;
#[path = "../support/given.rs"]
#[allow(dead_code, unreachable_pub, reason = "shared with the tests of decisions, which use the rest")]
mod given;
#[path = "../support/home.rs"]
mod home;
#[path = "../support/running.rs"]
mod running;

mod copies;
mod every;
mod imports;
mod journals;
mod losses;
mod metadata;
mod nodes;
mod owners;
mod policies;
mod races;
mod refusals;
mod requests;
mod scopes;
mod tokens;
mod world;
