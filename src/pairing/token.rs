//! The three secrets and the one comparison. Device tokens are derived, never stored: the journal carries salt, key id and
//! digest, and the key makes the token again for its own device. Losing the key therefore locks nobody out.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroize;

use super::ids::{DeviceId, Digest, JournalId, KeyId, Salt};
use super::scopes::Role;
use crate::limits;

type HmacSha256 = Hmac<Sha256>;

const DERIVATION_LABEL: &[u8] = b"openclaw-pairing device token v1\x01";
const KEY_ID_LABEL: &[u8] = b"openclaw-pairing token key id v1";
const SECRET_LABEL: &[u8] = b"openclaw-pairing shared secret mark v1\x01";

/// The secret of the gateway that clients share. It has no text form and no `==`.
#[derive(Zeroize)]
#[zeroize(drop)]
pub struct SharedSecret(String);

impl SharedSecret {
    /// Takes the configured secret.
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(text)
    }

    /// Whether `presented` is it, in time that does not depend on where they differ.
    #[must_use]
    pub fn is(&self, presented: &str) -> bool {
        same(&digest_of(&self.0), &digest_of(presented))
    }
}

/// A device's own token for one role. It has no `==`; [`DeviceToken::reveal`] is where it leaves.
#[derive(Zeroize)]
#[zeroize(drop)]
pub struct DeviceToken(String);

impl DeviceToken {
    /// Takes what somebody presented as one.
    #[must_use]
    pub fn presented(text: String) -> Self {
        Self(text)
    }

    /// The text, for the device whose token it is and nobody else.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// What the journal knows of it.
    #[must_use]
    pub fn digest(&self) -> Digest {
        digest_of(&self.0)
    }
}

/// The key that device tokens are derived with: 32 bytes in a file of mode 0600, and in no journal. It has no text form and no
/// `==`; [`TokenKey::id`] names it.
#[derive(Zeroize)]
#[zeroize(drop)]
pub struct TokenKey([u8; 32]);

impl TokenKey {
    /// Takes the bytes of the key file.
    #[must_use]
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Names the key without telling it: the first 8 bytes of SHA-256 of a label and the key.
    #[must_use]
    pub fn id(&self) -> KeyId {
        let digest: [u8; 32] = Sha256::new().chain_update(KEY_ID_LABEL).chain_update(self.0).finalize().into();
        let mut id = [0; 8];
        id.copy_from_slice(&digest[..8]);
        KeyId(id)
    }

    /// The token of `device` and `role` for `salt`: HMAC-SHA-256 over the journal's id, the device's id, the role's length,
    /// the role and the salt, under a key derived with a label of its own; base64url, 43 characters.
    #[must_use]
    pub fn derive(&self, journal: &JournalId, device: &DeviceId, role: Role, salt: &Salt) -> DeviceToken {
        let mut key = mac(&self.0, &[DERIVATION_LABEL]);
        let name = role.as_str();
        let length = [u8::try_from(name.len()).unwrap_or(u8::MAX)];
        let bytes = mac(&key, &[&journal.0, &device.0, &length, name.as_bytes(), &salt.0]);
        key.zeroize();
        DeviceToken(URL_SAFE_NO_PAD.encode(bytes))
    }

    /// A mark of the shared secret in this journal: whoever lacks the key learns from two of them whether it was the same, and
    /// cannot try texts against one. The first 8 bytes of HMAC-SHA-256 over the journal's id and the secret, under a key derived
    /// with a label of its own, as hexadecimal.
    #[must_use]
    pub fn mark(&self, journal: &JournalId, secret: &SharedSecret) -> String {
        let mut key = mac(&self.0, &[SECRET_LABEL]);
        let bytes = mac(&key, &[&journal.0, secret.0.as_bytes()]);
        key.zeroize();
        bytes.iter().take(8).map(|byte| format!("{byte:02x}")).collect()
    }
}

/// SHA-256 of a secret's text.
#[must_use]
pub fn digest_of(text: &str) -> Digest {
    Digest(Sha256::digest(text.as_bytes()).into())
}

/// SHA-256 of a device token that was made elsewhere, if nobody finds the token by trying texts against it: at least
/// [`limits::FOREIGN_TOKEN_CHARS`] of base64url, which hexadecimal is too, and not a few of them over and over. OpenClaw's own have
/// 43 (2026.3.13 and 2026.9.6); a shorter one was put there by hand, and its device is better given a new one.
#[must_use]
pub fn foreign_digest(text: &str) -> Option<Digest> {
    let is_base64url = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
    let different = text.bytes().collect::<BTreeSet<_>>().len();
    let is_strong = is_base64url && text.len() >= limits::FOREIGN_TOKEN_CHARS && different >= limits::FOREIGN_TOKEN_DIFFERENT;
    is_strong.then(|| digest_of(text))
}

/// The one comparison of what is derived from secrets, in constant time.
#[must_use]
pub fn same(a: &Digest, b: &Digest) -> bool {
    a.0.ct_eq(&b.0).into()
}

fn mac(key: &[u8; 32], parts: &[&[u8]]) -> [u8; 32] {
    let mut mac = HmacSha256::new_from_slice(key).expect("HMAC takes a key of any length");
    parts.iter().for_each(|part| mac.update(part));
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_of_a_secret_is_the_same_only_for_the_same_secret_key_and_journal() {
        let mark = |key: u8, journal: u8, secret: &str| {
            TokenKey::new([key; 32]).mark(&JournalId([journal; 16]), &SharedSecret::new(secret.to_owned()))
        };
        assert_eq!((mark(1, 1, "a").len(), mark(1, 1, "a")), (16, mark(1, 1, "a")));
        for other in [mark(2, 1, "a"), mark(1, 2, "a"), mark(1, 1, "b")] {
            assert_ne!(mark(1, 1, "a"), other);
        }
    }

    /// Made with Python's hmac and hashlib from the definition in [`TokenKey::derive`].
    #[test]
    fn x01_tokens_are_what_another_implementation_derives() {
        let key = TokenKey::new(std::array::from_fn(|i| u8::try_from(i).expect("small")));
        let token = key.derive(&JournalId([1; 16]), &DeviceId([2; 32]), Role::Operator, &Salt([3; 16]));
        assert_eq!(key.id().to_string(), "8b160ca324de6def");
        assert_eq!(token.reveal(), "xrd00ByuvbwzJmTsriK8VUNejNHBGw3mctAzWhyBcnk");
        assert_eq!(token.digest().to_string(), "92b4cee1a0ecb47a0e8b115e8b2db9f96ad12cf492183ece47d5852dffaa7fbe");
    }

    #[test]
    fn x06_a_foreign_token_that_can_be_guessed_from_its_digest_is_not_taken_over() {
        for text in [
            "x2N5yL9q0vTgB7hKd4WcRzM1pJ8sUaEf",
            "00112233445566778899aabbccddeeff",
            "84GU9vqB9DutIekWqlQR2L7Hsd4Mm7P0cdedNq0lkmg",
        ] {
            assert_eq!(foreign_digest(text), Some(digest_of(text)), "{text}");
        }
        for text in [
            "",
            "secret",
            "x2N5yL9q0vTgB7hKd4WcRzM1pJ8sUaE",
            "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
            "0123456012345601234560123456012345601234560",
            "correct horse battery staple and a few more words",
            "x2N5yL9q0vTgB7hKd4WcRzM1pJ8sUaE=",
        ] {
            assert_eq!(foreign_digest(text), None, "{text}");
        }
    }

    #[test]
    fn x01_every_input_changes_the_token() {
        let token = |key: u8, journal: u8, device: u8, role, salt: u8| {
            TokenKey::new([key; 32]).derive(&JournalId([journal; 16]), &DeviceId([device; 32]), role, &Salt([salt; 16])).digest()
        };
        let first = token(0, 0, 0, Role::Operator, 0);
        assert!(same(&first, &token(0, 0, 0, Role::Operator, 0)));
        for other in [
            token(1, 0, 0, Role::Operator, 0),
            token(0, 1, 0, Role::Operator, 0),
            token(0, 0, 1, Role::Operator, 0),
            token(0, 0, 0, Role::Node, 0),
            token(0, 0, 0, Role::Operator, 1),
        ] {
            assert!(!same(&first, &other));
        }
    }
}
