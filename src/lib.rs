//! An event-sourced pairing authority for OpenClaw gateways.

pub mod host;
pub mod limits;
pub mod pairing;
pub mod views;
pub mod wire;
