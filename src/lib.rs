//! An event-sourced pairing authority for OpenClaw gateways.

pub mod authority;
pub mod cli;
pub mod client;
pub mod gateway;
pub mod host;
pub mod journal;
pub mod keyring;
pub mod limits;
pub mod pairing;
pub mod settings;
pub mod state;
pub mod views;
pub mod wire;
