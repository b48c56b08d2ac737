//! This machine's own device: its key in `identity/device.json` and its tokens in `identity/device-auth.json`, in the form that
//! OpenClaw 2026.3.13 writes, so that both command lines are one device. What cannot be read is never replaced.

use std::collections::BTreeMap;
use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ed25519_dalek::pkcs8::spki::der::pem::LineEnding;
use ed25519_dalek::pkcs8::{DecodePrivateKey as _, EncodePrivateKey as _, EncodePublicKey as _, KeypairBytes};
use ed25519_dalek::{Signer as _, SigningKey};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::host::Host;
use crate::limits;
use crate::pairing::{DeviceId, Millis, PublicKey, Role};
use crate::state::{self, StateDir, StateError};

/// Why this machine's own device cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyringError {
    /// A file cannot be read or written.
    #[error(transparent)]
    State(#[from] StateError),
    /// A file that is not what OpenClaw writes there.
    #[error("{} is not {what}: {why}; put the right file back, or move it away to begin anew", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What it should be.
        what: &'static str,
        /// What does not fit.
        why: String,
    },
}

/// The device that this machine's command line is.
pub struct OwnDevice {
    key: SigningKey,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct IdentityFile {
    version: u32,
    device_id: String,
    public_key_pem: String,
    private_key_pem: Zeroizing<String>,
    created_at_ms: u64,
}

impl OwnDevice {
    /// Reads the key; none where there is no file. Its id follows from the key, whatever the file says.
    ///
    /// # Errors
    /// [`KeyringError`].
    pub fn load(state: &StateDir) -> Result<Option<Self>, KeyringError> {
        let path = state.identity();
        let Some(bytes) = state::read_private(&path, limits::SETTINGS_BYTES)?.map(Zeroizing::new) else { return Ok(None) };
        let malformed = |why: String| KeyringError::Malformed { path: path.clone(), what: "a device identity", why };
        let file: IdentityFile = serde_json::from_slice(&bytes).map_err(|error| malformed(place(&error)))?;
        let key = SigningKey::from_pkcs8_pem(&file.private_key_pem);
        key.map(|key| Some(Self { key })).map_err(|_| malformed("its privateKeyPem is not an Ed25519 key".to_owned()))
    }

    /// Reads the key, or makes one where there is no file.
    ///
    /// # Errors
    /// [`KeyringError`].
    pub fn load_or_new(state: &StateDir, host: &dyn Host) -> Result<Self, KeyringError> {
        if let Some(found) = Self::load(state)? {
            return Ok(found);
        }
        let mut seed = Zeroizing::new([0; 32]);
        host.fill(&mut *seed);
        let device = Self { key: SigningKey::from_bytes(&seed) };
        // Without the public half: Node reads the first version of the format only.
        let pair = KeypairBytes { secret_key: *seed, public_key: None };
        let file = IdentityFile {
            version: 1,
            device_id: device.id().to_string(),
            public_key_pem: device.key.verifying_key().to_public_key_pem(LineEnding::LF).expect("a key has a PEM form"),
            private_key_pem: pair.to_pkcs8_pem(LineEnding::LF).expect("a key has a PEM form"),
            created_at_ms: host.wall().0,
        };
        write(&state.identity(), &file)?;
        Ok(device)
    }

    /// Its id.
    #[must_use]
    pub fn id(&self) -> DeviceId {
        DeviceId::of(&self.public_key())
    }

    /// Its public key.
    #[must_use]
    pub fn public_key(&self) -> PublicKey {
        PublicKey(self.key.verifying_key().to_bytes())
    }

    /// Its signature of `text`, base64url.
    #[must_use]
    pub fn sign(&self, text: &str) -> String {
        URL_SAFE_NO_PAD.encode(self.key.sign(text.as_bytes()).to_bytes())
    }
}

/// The tokens that gateways gave to this machine's device.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TokenFile {
    version: u32,
    device_id: String,
    tokens: BTreeMap<String, StoredToken>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct StoredToken {
    token: Zeroizing<String>,
    role: String,
    scopes: Vec<String>,
    updated_at_ms: u64,
}

impl TokenFile {
    /// Reads the tokens of `device`; those of another device are not its own and count for nothing.
    ///
    /// # Errors
    /// [`KeyringError`].
    pub fn load(state: &StateDir, device: &DeviceId) -> Result<Self, KeyringError> {
        let path = state.device_auth();
        let empty = Self { version: 1, device_id: device.to_string(), tokens: BTreeMap::new() };
        let Some(bytes) = state::read_private(&path, limits::SETTINGS_BYTES)?.map(Zeroizing::new) else { return Ok(empty) };
        let malformed = |error| KeyringError::Malformed { path, what: "a list of device tokens", why: place(&error) };
        let file: Self = serde_json::from_slice(&bytes).map_err(malformed)?;
        Ok(if file.device_id == empty.device_id { file } else { empty })
    }

    /// The token for `role`.
    #[must_use]
    pub fn token(&self, role: Role) -> Option<&str> {
        self.tokens.get(role.as_str()).map(|stored| stored.token.as_str())
    }

    /// What that token carries, as far as its gateway said.
    #[must_use]
    pub fn scopes(&self, role: Role) -> Option<&[String]> {
        self.tokens.get(role.as_str()).map(|stored| stored.scopes.as_slice())
    }

    /// Keeps a token, in the file too.
    ///
    /// # Errors
    /// [`KeyringError`].
    pub fn keep(
        &mut self,
        state: &StateDir,
        role: Role,
        token: &str,
        scopes: &[String],
        now: Millis,
    ) -> Result<(), KeyringError> {
        if self.token(role) == Some(token) && self.scopes(role) == Some(scopes) {
            return Ok(());
        }
        let token = Zeroizing::new(token.to_owned());
        let stored = StoredToken { token, role: role.to_string(), scopes: scopes.to_vec(), updated_at_ms: now.0 };
        self.tokens.insert(role.to_string(), stored);
        write(&state.device_auth(), self)
    }

    /// Forgets a token that its gateway does not know any more.
    ///
    /// # Errors
    /// [`KeyringError`].
    pub fn forget(&mut self, state: &StateDir, role: Role) -> Result<(), KeyringError> {
        match self.tokens.remove(role.as_str()) {
            Some(_) => write(&state.device_auth(), self),
            None => Ok(()),
        }
    }
}

fn write(path: &std::path::Path, file: &impl Serialize) -> Result<(), KeyringError> {
    let mut text = Zeroizing::new(serde_json::to_string_pretty(file).expect("strings and numbers have a JSON form"));
    text.push('\n');
    Ok(state::replace(path, text.as_bytes())?)
}

/// Where a file does not fit, without quoting it: it holds secrets.
fn place(error: &serde_json::Error) -> String {
    format!("something is wrong at line {}, column {}", error.line(), error.column())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::ManualHost;

    /// Written by Node the way OpenClaw 2026.3.13 does; the key is the SHA-256 of "own device".
    const FROM_NODE: &str = include_str!("../tests/data/device.json");

    fn scratch() -> (tempfile::TempDir, StateDir, ManualHost) {
        let scratch = tempfile::tempdir().expect("a scratch directory");
        let state = StateDir::at(scratch.path().join("state"));
        state.prepare().expect("prepared");
        (scratch, state, ManualHost::new(Millis(1_795_342_471_657), 1))
    }

    #[test]
    fn a_key_that_openclaw_wrote_is_read_and_written_to_the_byte() {
        let (_scratch, state, _) = scratch();
        state::replace(&state.identity(), FROM_NODE.as_bytes()).expect("written");
        let device = OwnDevice::load(&state).expect("read").expect("there");
        let file: IdentityFile = serde_json::from_str(FROM_NODE).expect("a file");
        assert_eq!(device.id().to_string(), file.device_id);
        let pair = KeypairBytes { secret_key: device.key.to_bytes(), public_key: None };
        assert_eq!(*pair.to_pkcs8_pem(LineEnding::LF).expect("PEM"), *file.private_key_pem);
        write(&state.identity(), &file).expect("written");
        assert_eq!(std::fs::read_to_string(state.identity()).expect("there"), FROM_NODE);
    }

    #[test]
    fn a_key_is_made_once_and_one_that_cannot_be_read_is_left_alone() {
        let (_scratch, state, host) = scratch();
        assert!(OwnDevice::load(&state).expect("read").is_none());
        let made = OwnDevice::load_or_new(&state, &host).expect("made").id();
        assert_eq!(OwnDevice::load_or_new(&state, &host).expect("read").id(), made);
        state::replace(&state.identity(), b"{\"version\":1,\"privateKeyPem\":\"canary\"").expect("damaged");
        let error = OwnDevice::load_or_new(&state, &host).err().expect("refused").to_string();
        assert!(error.contains("is not a device identity") && !error.contains("canary"), "{error}");
        assert!(std::fs::read(state.identity()).expect("still there").starts_with(b"{\"version\":1,"));
    }

    #[test]
    fn tokens_are_kept_for_the_device_that_they_belong_to() {
        let (_scratch, state, host) = scratch();
        let (mine, other) = (DeviceId([1; 32]), DeviceId([2; 32]));
        let mut tokens = TokenFile::load(&state, &mine).expect("read");
        tokens.keep(&state, Role::Operator, "t", &["operator.read".to_owned()], host.wall()).expect("kept");
        assert_eq!(TokenFile::load(&state, &mine).expect("read").token(Role::Operator), Some("t"));
        assert_eq!(TokenFile::load(&state, &other).expect("read").token(Role::Operator), None);
        tokens.forget(&state, Role::Operator).expect("forgotten");
        assert_eq!(TokenFile::load(&state, &mine).expect("read").token(Role::Operator), None);
    }
}
