//! A policy in words: what its rules give without a person, and what its owner should know of.

use super::quote;
use crate::pairing::{Resting, Rule, Spares, Warning, Way};

/// What a rule gives without a person, after its name.
#[must_use]
pub fn spares_sentence(spares: &Spares) -> String {
    let gives = spares.gives.as_ref().map_or_else(|| "all that it asks for".to_owned(), ToString::to_string);
    let rule = spares.rule;
    match rule {
        Rule::LocalFirstPairing => format!("{rule} pairs a new local device that shows the shared secret, with {gives}"),
        Rule::LocalUpgrade => format!("{rule} gives a paired local device {gives}"),
        Rule::TrustedNodeCidrs => format!("{rule} pairs a new node of these networks that shows the shared secret, with {gives}"),
        _ => format!("{rule} lets in a local client that shows the shared secret and no device, with {gives}"),
    }
}

/// What its owner should know of.
#[must_use]
pub fn warning_sentence(warning: &Warning) -> String {
    match warning {
        Warning::CeilingByClaim { ceiling } => format!(
            "{ceiling} goes by what a client says it is: it binds what was paired as that, and whoever comes under another name \
             is asked about"
        ),
        Warning::Spares(spares) => format!("{}, and no person is asked", spares_sentence(spares)),
        Warning::LoopbackPeer => {
            "localPeer is \"loopback\": every user of this host is local, and so is whatever a proxy on it passes on without \
             saying so"
                .to_owned()
        }
        Warning::ActsFromExec => {
            "ownerActsFromExec is true: an agent that is talked into it can do whatever the owner can".to_owned()
        }
    }
}

/// Why a rule rests, and what wakes it.
#[must_use]
pub fn resting_sentence(rule: Rule, why: &Resting) -> String {
    let (device, since) = (why.device, super::time_text(why.at));
    format!("{rule} rests: device {device}, which it let in, was removed or revoked at {since}; openclaw policy arm {rule}")
}

/// What a change of a key means.
#[must_use]
pub const fn way_text(way: Way) -> &'static str {
    match way {
        Way::Looser => "looser",
        Way::Stricter => "stricter",
        Way::Other => "other",
    }
}

/// A key before and after, in one line.
#[must_use]
pub fn change_line(key: &str, from: &str, to: &str) -> String {
    format!("{}: {} -> {}", quote(key), quote(from), quote(to))
}
