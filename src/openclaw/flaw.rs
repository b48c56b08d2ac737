//! What is not sound in what OpenClaw kept, or is not taken over: one sentence each.

use std::fmt;

use crate::limits;
use crate::pairing::{Role, ScopeSet};

/// A remark, on a device or on all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remark {
    /// The id under which it stands; a text of whoever wrote the file.
    pub device: Option<String>,
    /// What is wrong.
    pub flaw: Flaw,
}

/// What is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Flaw {
    // --- a device is not taken over ---------------------------------------------------------------------------
    /// No object, or one nested too deep.
    NoEntry,
    /// Two ids.
    TwoIds,
    /// No key.
    NoKey,
    /// The key of another device.
    NotTheHash,
    /// A request, or the rest of one.
    NeverApproved,
    /// No client that any release knows.
    NoClient,
    /// Nothing is left of what it held.
    NoRole,
    /// A newer file says something else of it.
    Older(&'static str),
    // --- a part of it is not ----------------------------------------------------------------------------------
    /// Roles that no release knows.
    UnknownRole(String),
    /// Scopes that no release knows.
    UnknownScopes(Vec<String>),
    /// Scopes of a role that it does not hold.
    ScopesOfNoRole(ScopeSet),
    /// The role was revoked.
    Revoked(Role),
    /// The role has no token, without which it is not held there.
    NotHeld(Role),
    /// The role has no token, and gets one.
    NoToken(Role),
    /// The role's token is for something else.
    NotAToken(Role),
    /// The role's token could be guessed.
    WeakToken(Role),
    /// A token for a role that it does not hold.
    TokenOfNoRole(Role),
    /// The token carried more than was approved.
    TokenCut {
        /// Its role.
        role: Role,
        /// What it carried beyond.
        beyond: Vec<String>,
    },
    // --- of all -----------------------------------------------------------------------------------------------
    /// Requests that wait.
    Pending {
        /// Where.
        name: &'static str,
        /// How many.
        requests: usize,
    },
    /// Devices that our own gateway wrote there.
    OwnCopy {
        /// Where.
        name: &'static str,
        /// How many.
        devices: usize,
    },
    /// A file beside the devices that cannot be read.
    Unreadable(&'static str),
}

impl Flaw {
    /// Whether the device is not taken over because of it.
    #[must_use]
    pub fn is_fatal(&self) -> bool {
        use Flaw::{NeverApproved, NoClient, NoEntry, NoKey, NoRole, NotTheHash, Older, TwoIds};
        matches!(self, NoEntry | TwoIds | NoKey | NotTheHash | NeverApproved | NoClient | NoRole | Older(_))
    }
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoEntry => f.write_str("not taken over: what stands there is no device"),
            Self::TwoIds => f.write_str("not taken over: its deviceId is another than the one under which it stands"),
            Self::NoKey => f.write_str("not taken over: it has no publicKey that is one"),
            Self::NotTheHash => f.write_str("not taken over: its deviceId is not the SHA-256 of its publicKey"),
            Self::NeverApproved => {
                f.write_str("not taken over: it has no createdAtMs and approvedAtMs, so nothing says that it was ever approved")
            }
            Self::NoClient => f.write_str("not taken over: no release knows a client such as its clientId and clientMode say"),
            Self::NoRole => f.write_str("not taken over: nothing is left of what it held"),
            Self::Older(name) => write!(f, "what {name} says of it was not read: the newer state has it"),
            Self::UnknownRole(role) => write!(f, "left out: no release knows a role {role}"),
            Self::UnknownScopes(scopes) => write!(f, "left out: no release knows {}", scopes.join(", ")),
            Self::ScopesOfNoRole(scopes) => write!(f, "left out: {scopes} of a role that it does not hold"),
            Self::Revoked(role) => write!(f, "left out: its role {role}, which was revoked"),
            Self::NotHeld(role) => {
                write!(f, "left out: its role {role}, which it does not hold there any more: it has no token of it")
            }
            Self::NoToken(role) => write!(f, "has no token as {role}: it gets one when it connects with the shared secret"),
            Self::NotAToken(role) => {
                write!(
                    f,
                    "its token as {role} is not sound and was left out: it gets another when it connects with the shared secret"
                )
            }
            Self::WeakToken(role) => write!(
                f,
                "its token as {role} could be guessed, being shorter than {} random characters, and was left out: it gets another \
                 when it connects with the shared secret",
                limits::FOREIGN_TOKEN_CHARS
            ),
            Self::TokenOfNoRole(role) => write!(f, "left out: a token as {role}, a role that it does not hold"),
            Self::TokenCut { role, beyond } => {
                write!(f, "its token as {role} was cut down to what was approved: it carried {} too", beyond.join(", "))
            }
            Self::Pending { name, requests: 1 } => write!(f, "1 request in {name} is not taken over: that device asks again"),
            Self::Pending { name, requests } => {
                write!(f, "{requests} requests in {name} are not taken over: their devices ask again")
            }
            Self::OwnCopy { name, devices } => {
                write!(f, "{devices} of {name} were not read: they are the copy that our own gateway writes there, and no source")
            }
            Self::Unreadable(name) => write!(f, "{name} cannot be read and was left out"),
        }
    }
}
