//! Identifiers and quantities, parsed once and valid ever after. Newtypes all, so that none is taken for another.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Position of a record in the journal: from 1, no gaps. Zero means "before the first".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Seq(pub u64);

impl Seq {
    /// The next position.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for Seq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Milliseconds since the Unix epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Millis(pub u64);

impl Millis {
    /// This moment and `ms` more.
    #[must_use]
    pub fn plus(self, ms: u64) -> Self {
        Self(self.0.saturating_add(ms))
    }

    /// Milliseconds from `earlier` to this moment, 0 where it is later.
    #[must_use]
    pub fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// A text that does not have the form of the id it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a valid {0}")]
pub struct MalformedId(pub &'static str);

/// Fixed bytes as records hold them. They go eight at a time, as little-endian numbers: the same bytes, several times as fast.
mod raw {
    use std::fmt;

    use serde::de::{Deserializer, Error as _, SeqAccess, Visitor};
    use serde::ser::{SerializeTuple as _, Serializer};

    pub(super) fn serialize<S: Serializer, const N: usize>(bytes: &[u8; N], serializer: S) -> Result<S::Ok, S::Error> {
        let (words, _) = bytes.as_chunks();
        let mut tuple = serializer.serialize_tuple(words.len())?;
        words.iter().try_for_each(|word| tuple.serialize_element(&u64::from_le_bytes(*word)))?;
        tuple.end()
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>, const N: usize>(deserializer: D) -> Result<[u8; N], D::Error> {
        deserializer.deserialize_tuple(N / size_of::<u64>(), Words)
    }

    struct Words<const N: usize>;

    impl<'de, const N: usize> Visitor<'de> for Words<N> {
        type Value = [u8; N];

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "{N} bytes")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut words: A) -> Result<[u8; N], A::Error> {
            const { assert!(N.is_multiple_of(size_of::<u64>())) };
            let mut bytes = [0; N];
            for word in bytes.as_chunks_mut().0 {
                *word = words.next_element::<u64>()?.ok_or_else(|| A::Error::invalid_length(0, &self))?.to_le_bytes();
            }
            Ok(bytes)
        }
    }
}

macro_rules! hex_id {
    ($(#[$doc:meta])* $name:ident, $bytes:literal, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub struct $name(#[serde(with = "raw")] pub [u8; $bytes]);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = MalformedId;

            /// Exactly lower-case hex: an id has one spelling.
            fn from_str(text: &str) -> Result<Self, MalformedId> {
                let mut bytes = [0; $bytes];
                if text.len() != 2 * $bytes {
                    return Err(MalformedId($what));
                }
                for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
                    for &digit in pair {
                        let value = match digit {
                            b'0'..=b'9' => digit - b'0',
                            b'a'..=b'f' => digit - b'a' + 10,
                            _ => return Err(MalformedId($what)),
                        };
                        *byte = *byte << 4 | value;
                    }
                }
                Ok(Self(bytes))
            }
        }
    };
}

hex_id!(
    /// SHA-256 of a device's raw public key; 64 lower-case hex digits (OpenClaw 2026.3.13).
    DeviceId, 32, "device id"
);
hex_id!(
    /// SHA-256 of something secret or long; never the thing itself.
    Digest, 32, "SHA-256 digest"
);
hex_id!(
    /// Names a token key without telling it: THREATS X01, and journal-format.md "TokenIssued".
    KeyId, 8, "key id"
);
hex_id!(
    /// The random input that makes a device token different from every other.
    Salt, 16, "salt"
);

/// A raw Ed25519 public key.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PublicKey(#[serde(with = "raw")] pub [u8; 32]);

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&Digest(self.0), f)
    }
}

macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub struct $name(#[serde(with = "raw")] pub [u8; 16]);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                uuid::Uuid::from_bytes(self.0).hyphenated().fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = MalformedId;

            /// Exactly the hyphenated lower-case form that `Display` writes.
            fn from_str(text: &str) -> Result<Self, MalformedId> {
                let id = uuid::Uuid::parse_str(text).map_err(|_| MalformedId($what))?;
                let id = Self(id.into_bytes());
                if id.to_string() == text { Ok(id) } else { Err(MalformedId($what)) }
            }
        }
    };
}

uuid_id!(
    /// Names a pairing request.
    RequestId, "request id"
);
uuid_id!(
    /// Names one socket's life.
    ConnectionId, "connection id"
);
uuid_id!(
    /// Names a setup code, without telling it.
    SetupCodeId, "setup code id"
);
uuid_id!(
    /// Names a journal; the seed of its hash chain.
    JournalId, "journal id"
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_has_one_spelling() {
        let text = "8e416a5b5516ae9ed0a4829c3285f2df829f6f71ccb3d2a460ddbff0d11f2d47";
        assert_eq!(text.parse::<DeviceId>().map(|id| id.to_string()), Ok(text.to_owned()));
        assert!(text.to_uppercase().parse::<DeviceId>().is_err());
        assert!(text[1..].parse::<DeviceId>().is_err());
        let text = "3008f8d2-ede2-4e37-bf3d-96b39431f522";
        assert_eq!(text.parse::<RequestId>().map(|id| id.to_string()), Ok(text.to_owned()));
        assert!(text.replace('-', "").parse::<RequestId>().is_err());
    }
}
