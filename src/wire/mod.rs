//! What is said on the socket? Pure, and the one room that knows JSON. Facts of the protocol: OpenClaw 2026.3.13
//! (protocol 3) and 2026.9.6 (protocol 4); versions stand side by side in [`connect`].

pub mod audit;
pub mod codes;
pub mod connect;
pub mod devices;
pub mod error;
pub mod frame;
pub mod import;
pub mod logs;
pub mod moment;
pub mod nodes;
pub mod notice;
pub mod owner;
pub mod policy;
pub mod record;
pub mod simulation;
pub mod state;
pub mod undo;
