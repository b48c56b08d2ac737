//! An event-sourced pairing authority for OpenClaw gateways.
//!
//! Everything that happens to a device is an [`Event`](pairing::Event) in an append-only [`journal`]. What is true now, the
//! [`Registry`](pairing::Registry), is a fold over it: `decide` says what a command leads to, `apply` remembers it, and nothing
//! else changes anything. So logs and audit are only other ways to read the same records.
//!
//! # The rooms
//!
//! Each may use those above it and none below. `tests/rooms.rs` holds the walls.
//!
//! | room | the question it answers | what it must never know |
//! | --- | --- | --- |
//! | [`limits`] | how large can it get? | anything else |
//! | [`pairing`] | what is true, and what is allowed? | files, sockets, JSON text, clocks, chance, async, logging |
//! | [`views`] | how do we tell a person? | files, sockets, terminals |
//! | [`wire`] | what is said on the socket? | sockets, files, who is right |
//! | [`journal`] | what is on disk, and can it be trusted? | policy, roles, scopes, sockets, JSON |
//! | [`host`] | what time is it, and what is random? | what it is for |
//! | [`peer`] | whose process is at the other end of a socket? | what it may do |
//! | [`state`], [`settings`], [`keyring`] | what lies in the state directory, how is it configured, who is this machine's own device? | what is decided with it |
//! | [`openclaw`] | what did a real OpenClaw keep? | what is decided with it |
//! | [`heads`] | who vouches for a journal's head? | what stands in the journal |
//! | [`authority`] | in which order do things happen? | sockets, JSON |
//! | [`client`] | how is a gateway dialled? | what the answers mean |
//! | [`gateway`] | who is connected right now? | bytes on disk, how a decision is made |
//! | [`cli`] | what did the operator type, what do they see? | how a decision is made |
//!
//! One exception is known: `pairing/policy/language.rs` reads JSON5, because the text of the policy in force is itself a record, so that
//! reading it is part of the fold.
//!
//! # One event, from socket to eye
//!
//! A paired operator approves a request. `gateway/connection.rs` reads a frame; `gateway/methods.rs` makes it
//! [`Command::Approve`](pairing::Command::Approve); [`authority`] takes it with whatever else waits as one batch, hands it with
//! time and fresh chance to [`decide`](pairing::decide()), and applies the events to a working registry; `journal/codec.rs` and
//! `journal/format.rs` turn the records into bytes, which are appended and synced once; then the registry is published, the hub
//! pushes what `wire/notice.rs` makes of the records, and the asker is answered. Later `views` reads the same record as a
//! sentence; the Control UI (`gateway/page/`) shows that as one more client, which knows the wire and nothing behind it. A restart
//! is the same way backwards: the newest checkpoint, the bytes behind it, records, [`apply`](pairing::Registry::apply); and before a
//! byte is written, the witness is asked whether all of it is there.
//!
//! # What always holds
//!
//! - Durable before visible: no answer, push or token leaves before its event is on disk; if that fails, nobody is answered.
//! - Replay of the journal equals the live registry, bit for bit ([`Registry::digest`](pairing::Registry::digest)), and so does a
//!   checkpoint with what came after it.
//! - What was on the disk and is not any more stops the gateway; it is never an end.
//! - No secret is in the journal, in a log or in an error: tokens are derived, and records hold salt, key id and digest.
//! - Nothing a stranger can make grows without a bound; every bound stands in [`limits`].

pub mod authority;
pub mod cli;
pub mod client;
pub mod gateway;
pub mod heads;
pub mod host;
pub mod journal;
pub mod keyring;
pub mod limits;
pub mod openclaw;
pub mod pairing;
pub mod peer;
pub mod settings;
pub mod state;
pub mod views;
pub mod wire;
