//! Closed lists whose members have a permanent number in the journal and one text everywhere else, both written beside
//! the member. Numbers are given by hand, only ever added, never reused; a number we do not know does not decode.

use std::fmt;

use serde::de::{self, Unexpected};

/// Declares such a list: `Name { Member = number => "text" }`.
macro_rules! coded {
    ($(#[$doc:meta])* $name:ident { $($(#[$member_doc:meta])* $member:ident = $code:literal => $text:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
        #[serde(into = "u8", try_from = "u8")]
        pub enum $name { $($(#[$member_doc])* $member),+ }

        impl $name {
            /// Every member, in order of number.
            pub const ALL: &'static [Self] = &[$(Self::$member),+];

            /// The member's text: on the wire, in logs, in documents.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$member => $text),+ }
            }

            /// The member with this text.
            #[must_use]
            pub fn from_text(text: &str) -> Option<Self> {
                match text { $($text => Some(Self::$member),)+ _ => None }
            }

            /// The member's number in the journal.
            #[must_use]
            pub const fn code(self) -> u8 {
                match self { $(Self::$member => $code),+ }
            }
        }

        impl From<$name> for u8 {
            fn from(member: $name) -> Self {
                member.code()
            }
        }

        impl TryFrom<u8> for $name {
            type Error = $crate::pairing::coded::UnknownCode;

            fn try_from(code: u8) -> Result<Self, Self::Error> {
                match code {
                    $($code => Ok(Self::$member),)+
                    _ => Err($crate::pairing::coded::UnknownCode { list: stringify!($name), code }),
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

pub(crate) use coded;

/// A number that this version has no member for: written by a newer one, or damage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{list} has no member number {code}")]
pub struct UnknownCode {
    /// The list.
    pub list: &'static str,
    /// The number found.
    pub code: u8,
}

/// Why parts that are sound one by one make no value.
pub(super) enum NoValue<E> {
    /// They mean something else, or something that a later version knows.
    Unknown(E),
    /// Another spelling of a value that has one.
    Respelled,
}

impl<E: fmt::Display> NoValue<E> {
    /// The same as an error of whoever reads: a value that cannot be is never one that is not known.
    pub(super) fn told<R: de::Error>(self) -> R {
        match self {
            Self::Unknown(error) => R::custom(error),
            Self::Respelled => R::invalid_value(Unexpected::Other("another spelling"), &"the one spelling of its value"),
        }
    }
}
