//! Who vouches for a head? A head names all of a journal before it, so whoever keeps one elsewhere sees that history was
//! written anew. The key `pairing/head.key` signs heads and nothing else, as C2SP signed notes (journal-format.md, "Signed
//! heads"). The easy mistake: a signature proves who said it, never when; the time in a head is a claim.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use crate::host::Host;
use crate::pairing::{Digest, JournalId, Seq};
use crate::state::{self, StateDir, StateError};

/// What the name of a key, and the first line of a head, begin with.
const ORIGIN: &str = "openclaw-pairing/";
/// Ed25519, among the kinds of signature that a note can have.
const ED25519: u8 = 1;
const KEY_HASH_BYTES: usize = 4;

/// What is wrong with a signed head, or with the key it is held against.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeadError {
    /// Not a note.
    #[error("it is not a signed note")]
    NotANote,
    /// A note of something else.
    #[error("it is a signed note, but not of a journal's head")]
    NotAHead,
    /// No signature by the key.
    #[error("it is not signed by this key")]
    NotSigned,
    /// A signature that the key did not make.
    #[error("its signature is wrong")]
    WrongSignature,
    /// Not a verifier key.
    #[error("a verifier key is NAME+HASH+KEY, as `openclaw journal head` prints it")]
    NotAKey,
}

/// A head as somebody claims it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimedHead {
    /// The journal.
    pub journal: JournalId,
    /// The last record.
    pub seq: Seq,
    /// The digest of the batch that ends with it.
    pub hash: Digest,
    /// When, as the signer says; RFC 3339.
    pub time: String,
}

impl ClaimedHead {
    fn text(&self) -> String {
        format!("{}\n{}\n{}\n{}\n", origin(&self.journal), self.seq, STANDARD.encode(self.hash.0), self.time)
    }

    fn parse(text: &str) -> Option<Self> {
        let mut lines = text.lines();
        let journal = lines.next()?.strip_prefix(ORIGIN)?.parse().ok()?;
        let seq = Seq(lines.next()?.parse().ok()?);
        let hash = Digest(STANDARD.decode(lines.next()?).ok()?.try_into().ok()?);
        let head = Self { journal, seq, hash, time: lines.next()?.to_owned() };
        // Every head has one spelling.
        (head.text() == text).then_some(head)
    }
}

/// The key that signs heads.
pub struct HeadKey(SigningKey);

impl HeadKey {
    /// The key of these 32 bytes.
    #[must_use]
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self(SigningKey::from_bytes(seed))
    }

    /// Reads the key; none where there is no file.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn load(state: &StateDir) -> Result<Option<Self>, StateError> {
        let path = state.head_key();
        let Some(bytes) = state::read_private(&path, 64)?.map(Zeroizing::new) else { return Ok(None) };
        let found = bytes.len();
        match bytes.first_chunk().filter(|_| found == 32) {
            Some(seed) => Ok(Some(Self::from_seed(seed))),
            None => Err(StateError::NotAKey { path, what: "the key that signs heads", found }),
        }
    }

    /// Reads the key, or makes one where there is no file.
    ///
    /// # Errors
    /// [`StateError`]; what cannot be read is never replaced.
    pub fn load_or_new(state: &StateDir, host: &dyn Host) -> Result<Self, StateError> {
        if let Some(found) = Self::load(state)? {
            return Ok(found);
        }
        let mut seed = Zeroizing::new([0; 32]);
        host.fill(&mut *seed);
        if state::place(&state.head_key(), &*seed)? {
            return Ok(Self::from_seed(&seed));
        }
        // Somebody was faster, and theirs is the key.
        let path = state.head_key();
        Self::load(state)?.ok_or(StateError::NotAKey { path, what: "the key that signs heads", found: 0 })
    }

    /// What others verify its heads of `journal` with.
    #[must_use]
    pub fn verifier(&self, journal: &JournalId) -> Verifier {
        Verifier { name: origin(journal), key: self.0.verifying_key() }
    }

    /// The signed note that says `head`.
    #[must_use]
    pub fn sign(&self, head: &ClaimedHead) -> String {
        let (text, verifier) = (head.text(), self.verifier(&head.journal));
        let signature = [&verifier.hash()[..], &self.0.sign(text.as_bytes()).to_bytes()].concat();
        format!("{text}\n— {} {}\n", verifier.name, STANDARD.encode(signature))
    }
}

/// The public half of a key, with its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verifier {
    name: String,
    key: VerifyingKey,
}

impl Verifier {
    /// The head that `note` says, if this key signed it.
    ///
    /// # Errors
    /// [`HeadError`].
    pub fn open(&self, note: &str) -> Result<ClaimedHead, HeadError> {
        let text = self.signed_text(note)?;
        ClaimedHead::parse(text).filter(|head| origin(&head.journal) == self.name).ok_or(HeadError::NotAHead)
    }

    /// The text of a note, if this key signed it.
    fn signed_text<'a>(&self, note: &'a str) -> Result<&'a str, HeadError> {
        let (text, signatures) = parts(note)?;
        let mut mine = signatures.lines().filter_map(|line| self.signature(line));
        let signature = mine.next().ok_or(HeadError::NotSigned)?;
        self.key.verify_strict(text.as_bytes(), &signature).map_err(|_| HeadError::WrongSignature)?;
        Ok(text)
    }

    /// The signature on a line, if it says that it is of this key.
    fn signature(&self, line: &str) -> Option<Signature> {
        let (name, signature) = line.strip_prefix("— ")?.split_once(' ')?;
        let bytes = STANDARD.decode(signature).ok()?;
        let (hash, signature) = bytes.split_at_checked(KEY_HASH_BYTES)?;
        let is_mine = name == self.name && hash == self.hash();
        is_mine.then(|| Signature::from_slice(signature).ok()).flatten()
    }

    fn hash(&self) -> [u8; KEY_HASH_BYTES] {
        let digest = Sha256::new().chain_update(&self.name).chain_update([b'\n', ED25519]).chain_update(self.key.as_bytes());
        let digest: [u8; 32] = digest.finalize().into();
        [digest[0], digest[1], digest[2], digest[3]]
    }
}

/// `NAME+HASH+KEY`: name, hash in hexadecimal, kind of signature and public key in base64.
impl fmt::Display for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = [&[ED25519][..], self.key.as_bytes()].concat();
        write!(f, "{}+{:08x}+{}", self.name, u32::from_be_bytes(self.hash()), STANDARD.encode(key))
    }
}

impl FromStr for Verifier {
    type Err = HeadError;

    fn from_str(text: &str) -> Result<Self, HeadError> {
        let parsed = (|| {
            // The last part may hold a plus of its own.
            let (name, rest) = text.trim().split_once('+')?;
            let (_, key) = rest.split_once('+')?;
            let key: [u8; 33] = STANDARD.decode(key).ok()?.try_into().ok()?;
            let key = VerifyingKey::from_bytes(key.last_chunk().filter(|_| key[0] == ED25519)?).ok()?;
            Some(Self { name: name.to_owned(), key })
        })();
        // The hash must be its own, or a name or key was mistyped.
        parsed.filter(|verifier| verifier.to_string() == text.trim()).ok_or(HeadError::NotAKey)
    }
}

/// The journal that a note says it is of, before anybody has vouched for it.
///
/// # Errors
/// [`HeadError`].
pub fn named_journal(note: &str) -> Result<JournalId, HeadError> {
    let (text, _) = parts(note)?;
    ClaimedHead::parse(text).map(|head| head.journal).ok_or(HeadError::NotAHead)
}

/// Text and signatures of a note: the last empty line is between them.
fn parts(note: &str) -> Result<(&str, &str), HeadError> {
    let end = note.rfind("\n\n").ok_or(HeadError::NotANote)?;
    let (text, signatures) = (&note[..=end], &note[end + 2..]);
    let is_note = note.ends_with('\n') && !signatures.is_empty() && signatures.lines().all(|line| line.starts_with("— "));
    let is_text = |c: char| c == '\n' || c >= ' ';
    if is_note && note.chars().all(is_text) { Ok((text, signatures)) } else { Err(HeadError::NotANote) }
}

fn origin(journal: &JournalId) -> String {
    format!("{ORIGIN}{journal}")
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::host::ManualHost;
    use crate::pairing::Millis;

    /// The example of Go's golang.org/x/mod/sumdb/note, where the form comes from.
    const FROM_GO: &str = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n\n\
        — PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";
    const GO_KEY: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";

    fn head() -> ClaimedHead {
        let time = "2026-11-22T10:14:31.657Z".to_owned();
        ClaimedHead { journal: JournalId([1; 16]), seq: Seq(7), hash: Digest([9; 32]), time }
    }

    #[test]
    fn a_note_that_go_signed_is_read() {
        let verifier: Verifier = GO_KEY.parse().expect("a key");
        assert_eq!(verifier.to_string(), GO_KEY);
        assert!(verifier.signed_text(FROM_GO).expect("signed").ends_with("what your problem is.\n"));
        assert_eq!(verifier.open(FROM_GO), Err(HeadError::NotAHead));
    }

    #[test]
    fn a_head_is_what_was_signed_and_no_other() {
        let key = HeadKey::from_seed(&[7; 32]);
        let verifier: Verifier = key.verifier(&head().journal).to_string().parse().expect("a key");
        let note = key.sign(&head());
        assert_eq!(verifier.open(&note), Ok(head()));
        assert_eq!(named_journal(&note), Ok(head().journal));
        assert_eq!(verifier.open(&note.replacen("\n7\n", "\n8\n", 1)), Err(HeadError::WrongSignature));
        // A signature of somebody else beside it changes nothing, and is nothing alone.
        let other = HeadKey::from_seed(&[8; 32]);
        let (_, theirs) = other.sign(&head()).split_once("\n\n").map(|(a, b)| (a.to_owned(), b.to_owned())).expect("a note");
        assert_eq!(verifier.open(&format!("{note}{theirs}")), Ok(head()));
        assert_eq!(other.verifier(&head().journal).open(&note), Err(HeadError::NotSigned));
        assert_eq!(key.verifier(&JournalId([2; 16])).open(&note), Err(HeadError::NotSigned));
        for wrong in ["", "\n\n", "a\n\n", "a\n\nb\n", &note[..note.len() - 1], &note.replace('\n', "\r\n")] {
            assert_eq!(verifier.open(wrong), Err(HeadError::NotANote), "{wrong:?}");
        }
        // No byte of it can be another.
        for at in 0..note.len() {
            let mut bytes = note.clone().into_bytes();
            bytes[at] ^= 1;
            assert!(String::from_utf8(bytes).map_or(true, |text| verifier.open(&text).is_err()), "byte {at}");
        }
    }

    #[test]
    fn a_verifier_key_with_another_name_or_hash_is_none() {
        let text = HeadKey::from_seed(&[7; 32]).verifier(&head().journal).to_string();
        for wrong in [&text[1..], &text[..text.len() - 4], &text.replacen('+', "+0", 1), "", "a+b+c", "a+00000000+AA=="] {
            assert_eq!(wrong.parse::<Verifier>(), Err(HeadError::NotAKey), "{wrong}");
        }
    }

    #[test]
    fn x36_the_key_is_made_once_private_and_never_replaced() {
        let scratch = tempfile::tempdir().expect("a scratch directory");
        let state = StateDir::at(scratch.path().join("state"));
        let host = ManualHost::new(Millis(0), 1);
        state.prepare().expect("prepared");
        assert!(HeadKey::load(&state).expect("read").is_none());
        let verifier = |key: HeadKey| key.verifier(&head().journal);
        let made = verifier(HeadKey::load_or_new(&state, &host).expect("made"));
        assert_eq!(verifier(HeadKey::load_or_new(&state, &host).expect("read")), made);
        assert_eq!(std::fs::metadata(state.head_key()).expect("there").permissions().mode() & 0o777, 0o600);
        std::fs::write(state.head_key(), b"short").expect("damaged");
        let error = HeadKey::load_or_new(&state, &host).err().expect("refused").to_string();
        assert!(error.contains("is not the key that signs heads: it has 5 bytes"), "{error}");
        assert_eq!(std::fs::read(state.head_key()).expect("still there"), b"short");
    }
}
