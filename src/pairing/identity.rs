//! Who a device is: an Ed25519 key, the id made from it, and the text it signs to prove itself on one socket
//! (OpenClaw 2026.3.13 and 2026.9.6). The easy mistake: a v2 signature does not cover platform and family, so what it
//! claims of them proves nothing.

use ed25519_dalek::{Signature, VerifyingKey};
use sha2::{Digest as _, Sha256};

use super::coded::coded;
use super::ids::{DeviceId, PublicKey};

coded!(
    /// Which text a device signed.
    SignatureForm {
        /// Without platform and device family.
        V2 = 2 => "v2",
        /// With both.
        V3 = 3 => "v3",
    }
);

/// The fields of the text that a device signs, as the client sent them.
#[derive(Clone, Copy, Debug)]
pub struct SignedText<'a> {
    /// The id it claims.
    pub device: &'a str,
    /// `client.id`.
    pub client_id: &'a str,
    /// `client.mode`.
    pub client_mode: &'a str,
    /// The effective role.
    pub role: &'a str,
    /// Scopes in the order in which they were asked, joined with commas.
    pub scopes: &'a str,
    /// Milliseconds since the epoch by the client's clock.
    pub signed_at_ms: u64,
    /// The first credential present, which may be empty.
    pub credential: &'a str,
    /// The nonce of this socket's challenge.
    pub nonce: &'a str,
    /// `client.platform`.
    pub platform: &'a str,
    /// `client.deviceFamily`, empty where absent.
    pub family: &'a str,
}

impl SignedText<'_> {
    /// The text in `form`.
    #[must_use]
    pub fn render(&self, form: SignatureForm) -> String {
        let Self { device, client_id, client_mode, role, scopes, signed_at_ms, credential, nonce, .. } = self;
        let common = format!("{form}|{device}|{client_id}|{client_mode}|{role}|{scopes}|{signed_at_ms}|{credential}|{nonce}");
        match form {
            SignatureForm::V2 => common,
            SignatureForm::V3 => format!("{common}|{}|{}", normal(self.platform), normal(self.family)),
        }
    }

    /// Whether a field holds the separator or a control character, so that the text could be read in two ways.
    #[must_use]
    pub fn is_ambiguous(&self) -> bool {
        let Self { device, client_id, client_mode, role, scopes, credential, nonce, platform, family, .. } = self;
        [device, client_id, client_mode, role, scopes, credential, nonce, platform, family]
            .iter()
            .any(|field| field.chars().any(|c| c == '|' || c.is_control()))
    }
}

impl DeviceId {
    /// SHA-256 of the raw key.
    #[must_use]
    pub fn of(key: &PublicKey) -> Self {
        Self(Sha256::digest(key.0).into())
    }
}

/// Which form of `text` the holder of `key` signed, if any: v3 is tried first. Small-order keys and other spellings of a
/// signature are refused.
#[must_use]
pub fn signed_form(key: &PublicKey, text: &SignedText<'_>, signature: &[u8; 64]) -> Option<SignatureForm> {
    let key = VerifyingKey::from_bytes(&key.0).ok()?;
    let signature = Signature::from_bytes(signature);
    [SignatureForm::V3, SignatureForm::V2]
        .into_iter()
        .find(|form| key.verify_strict(text.render(*form).as_bytes(), &signature).is_ok())
}

/// Platform and family as they are signed and compared: trimmed, ASCII lower case.
#[must_use]
pub fn normal(text: &str) -> String {
    text.trim().to_ascii_lowercase()
}

/// The platform family of a platform text: its leading letters, by a closed table of aliases. A platform outside the table
/// has no family and is compared as a whole.
#[must_use]
pub fn platform_family(platform: &str) -> Option<&'static str> {
    let text = normal(platform);
    let letters = text.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(text.len());
    match text.get(..letters)? {
        "linux" => Some("linux"),
        "macos" | "darwin" | "osx" => Some("macos"),
        "windows" | "win" => Some("windows"),
        "ios" | "ipados" => Some("ios"),
        "android" => Some("android"),
        "watchos" => Some("watchos"),
        _ => None,
    }
}

/// Neither a control character nor one that hides or turns the text around it.
#[must_use]
pub fn is_plain(c: char) -> bool {
    !c.is_control() && !matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use ed25519_dalek::{Signer, SigningKey};

    use super::*;

    fn text() -> SignedText<'static> {
        SignedText {
            device: "d",
            client_id: "cli",
            client_mode: "cli",
            role: "operator",
            scopes: "operator.read",
            signed_at_ms: 7,
            credential: "t",
            nonce: "n",
            platform: " Linux ",
            family: "",
        }
    }

    #[test]
    fn the_two_forms_differ_in_platform_and_family() {
        assert_eq!(text().render(SignatureForm::V2), "v2|d|cli|cli|operator|operator.read|7|t|n");
        assert_eq!(text().render(SignatureForm::V3), "v3|d|cli|cli|operator|operator.read|7|t|n|linux|");
    }

    #[test]
    fn a_v2_signature_says_nothing_of_the_platform() {
        let key = SigningKey::from_bytes(&[7; 32]);
        let public = PublicKey(key.verifying_key().to_bytes());
        let signature = key.sign(text().render(SignatureForm::V2).as_bytes()).to_bytes();
        let elsewhere = SignedText { platform: "ios", ..text() };
        assert_eq!(signed_form(&public, &elsewhere, &signature), Some(SignatureForm::V2));
        let signature = key.sign(text().render(SignatureForm::V3).as_bytes()).to_bytes();
        assert_eq!(signed_form(&public, &text(), &signature), Some(SignatureForm::V3));
        assert_eq!(signed_form(&public, &elsewhere, &signature), None);
    }

    #[test]
    fn every_signed_field_is_covered() {
        let key = SigningKey::from_bytes(&[9; 32]);
        let public = PublicKey(key.verifying_key().to_bytes());
        let signature = key.sign(text().render(SignatureForm::V3).as_bytes()).to_bytes();
        let changed = [
            SignedText { device: "e", ..text() },
            SignedText { client_id: "x", ..text() },
            SignedText { client_mode: "x", ..text() },
            SignedText { role: "node", ..text() },
            SignedText { scopes: "operator.admin", ..text() },
            SignedText { signed_at_ms: 8, ..text() },
            SignedText { credential: "u", ..text() },
            SignedText { nonce: "m", ..text() },
            SignedText { family: "mac", ..text() },
        ];
        for text in changed {
            assert_eq!(signed_form(&public, &text, &signature), None, "{text:?}");
        }
    }

    #[test]
    fn a_point_release_stays_in_its_family_and_prose_has_none() {
        assert_eq!(platform_family("macOS 26.4.0"), platform_family("Darwin"));
        assert_eq!(platform_family("win32"), Some("windows"));
        assert_eq!(platform_family("my iOS phone"), None);
        assert_eq!(platform_family("iossibly"), None);
    }
}
