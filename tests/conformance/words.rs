//! The words in which recordings speak of what is made anew each time: keys, ids, tokens, times. What the gateway under test gave
//! out is bound to them as it comes, and both sides are compared in these words.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ed25519_dalek::{Signer as _, SigningKey};
use regex::Regex;
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

/// What a challenge brought.
#[derive(Clone, Default)]
pub(crate) struct Challenge {
    pub(crate) nonce: String,
    pub(crate) ts: u64,
}

/// What is bound to what.
#[derive(Default)]
pub(crate) struct Words {
    ours: BTreeMap<String, String>,
    names: BTreeMap<String, String>,
}

fn pattern(text: &str) -> Regex {
    Regex::new(text).expect("a pattern")
}

static UUID: LazyLock<Regex> = LazyLock::new(|| pattern("[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"));
static TOKEN: LazyLock<Regex> = LazyLock::new(|| pattern("^[A-Za-z0-9_-]{43}$"));
static TIME: LazyLock<Regex> = LazyLock::new(|| pattern(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"));
static NUMBERED: LazyLock<Regex> = LazyLock::new(|| pattern(r"^<(uuid|token|cursor) \d+>$"));
static KEY: LazyLock<Regex> = LazyLock::new(|| pattern(r"<(key|device) (\d+)( upper| pem| base64)?>"));

impl Words {
    /// The same key for the same number, in every recording.
    fn key(number: &str) -> SigningKey {
        SigningKey::from_bytes(&Sha256::digest(format!("key {number}")).into())
    }

    /// What a word about a key stands for.
    fn spelled(&mut self, kind: &str, number: &str, spelling: &str) -> String {
        let public = Self::key(number).verifying_key().to_bytes();
        let id: String = Sha256::digest(public).iter().map(|byte| format!("{byte:02x}")).collect();
        let plain = URL_SAFE_NO_PAD.encode(public);
        self.names.insert(id.clone(), format!("<device {number}>"));
        self.names.insert(plain.clone(), format!("<key {number}>"));
        match (kind, spelling.trim()) {
            ("device", "upper") => id.to_ascii_uppercase(),
            ("device", _) => id,
            (_, "pem") => {
                // The DER head of an Ed25519 public key.
                let der = [b"\x30\x2a\x30\x05\x06\x03\x2b\x65\x70\x03\x21\x00".as_slice(), &public].concat();
                format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", STANDARD.encode(der))
            }
            (_, "base64") => STANDARD.encode(public),
            _ => plain,
        }
    }

    /// What is sent for a recorded text.
    fn said_text(&mut self, text: &str, challenge: &Challenge) -> Value {
        if let Some(offset) = text.strip_prefix("<now").and_then(|rest| rest.strip_suffix('>')) {
            let offset = offset.parse().expect("milliseconds");
            return challenge.ts.checked_add_signed(offset).expect("a time").into();
        }
        if let Some(cursor) = self.ours.get(text).filter(|_| text.starts_with("<cursor")) {
            return cursor.parse::<u64>().expect("a number").into();
        }
        if NUMBERED.is_match(text) {
            return self.ours.get(text).cloned().unwrap_or_else(|| format!("never heard: {text}")).into();
        }
        let text = text.replace("<nonce>", &challenge.nonce);
        let mut said = text.clone();
        for found in KEY.captures_iter(&text) {
            let spelling = found.get(3).map_or("", |spelling| spelling.as_str());
            said = said.replace(&found[0], &self.spelled(&found[1], &found[2], spelling));
        }
        said.into()
    }

    /// What is sent for a recorded frame, signed anew.
    pub(crate) fn said(&mut self, frame: &Value, challenge: &Challenge) -> Value {
        match frame {
            Value::String(text) => self.said_text(text, challenge),
            Value::Array(items) => items.iter().map(|item| self.said(item, challenge)).collect(),
            Value::Object(fields) => {
                let mut said: Map<_, _> = fields.iter().map(|(key, value)| (key.clone(), self.said(value, challenge))).collect();
                if let Some(form) =
                    fields.get("device").and_then(|device| device.get("signature")).filter(|form| form.is_object())
                {
                    let form = self.said(form, challenge);
                    let by = fields["device"]["signature"]["by"].as_str().or(fields["device"]["publicKey"].as_str());
                    let signature = sign(&said, &form, by.unwrap_or_default());
                    said["device"]["signature"] = signature.into();
                }
                said.into()
            }
            other => other.clone(),
        }
    }

    /// What we sent or gave out, in the words of the recording.
    pub(crate) fn named(&self, value: &Value) -> Value {
        match value {
            Value::String(text) => self.named_text(text).into(),
            Value::Array(items) => items.iter().map(|item| self.named(item)).collect(),
            Value::Object(fields) => {
                let named = |(key, value): (&String, &Value)| {
                    // Whoever goes is gone a moment later.
                    let value = if key == "connected" { "<any>".into() } else { self.named(value) };
                    (key.clone(), value)
                };
                fields.iter().map(named).collect::<Map<_, _>>().into()
            }
            Value::Number(number) if number.as_u64().is_some_and(|number| number > 1_000_000_000_000) => "<time>".into(),
            other => other.clone(),
        }
    }

    fn named_text(&self, text: &str) -> String {
        if let Some(name) = self.names.get(text) {
            return name.clone();
        }
        if TOKEN.is_match(text) {
            return "<token>".to_owned();
        }
        let mut named = text.to_owned();
        for (ours, name) in &self.names {
            named = named.replace(ours.as_str(), name);
        }
        TIME.replace_all(&UUID.replace_all(&named, "<uuid>"), "<time>").into_owned()
    }

    /// That this is what a challenge brought.
    pub(crate) fn is_nonce(&mut self, nonce: &str) {
        self.names.insert(nonce.to_owned(), "<nonce>".to_owned());
    }

    /// Binds what the gateway gave out to the words that the recording has for it, wherever the two stand in the same place.
    pub(crate) fn learn(&mut self, theirs: &Value, ours: &Value) {
        match (theirs, ours) {
            (Value::Object(theirs), Value::Object(ours)) => {
                theirs
                    .iter()
                    .filter_map(|(key, theirs)| Some((theirs, ours.get(key)?)))
                    .for_each(|(theirs, ours)| self.learn(theirs, ours));
            }
            (Value::Array(theirs), Value::Array(ours)) => {
                theirs.iter().zip(ours).for_each(|(theirs, ours)| self.learn(theirs, ours))
            }
            (Value::String(word), Value::String(ours)) if NUMBERED.is_match(word) => {
                let fits = if word.starts_with("<uuid") { UUID.is_match(ours) } else { TOKEN.is_match(ours) };
                // What was bound otherwise stays so for the comparison, but the newest is what a client would send.
                if fits {
                    if !self.ours.contains_key(word) {
                        self.names.entry(ours.clone()).or_insert_with(|| word.clone());
                    }
                    self.ours.insert(word.clone(), ours.clone());
                }
            }
            (Value::String(word), Value::Number(ours)) if word.starts_with("<cursor") => {
                self.ours.insert(word.clone(), ours.to_string());
            }
            _ => {}
        }
    }
}

/// The signature over a connect, otherwise than it is sent where `form` says so.
fn sign(params: &Map<String, Value>, form: &Value, key: &str) -> String {
    let none = Value::Null;
    let (device, client) = (&params["device"], params.get("client").unwrap_or(&none));
    let auth = params.get("auth").cloned().unwrap_or_default();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let said = |field: &str, value: String| form.get(field).map_or(value, text);
    let token = ["token", "deviceToken", "bootstrapToken"].iter().find_map(|field| auth.get(field)?.as_str()).unwrap_or_default();
    let scopes = params.get("scopes").and_then(Value::as_array).into_iter().flatten();
    let scopes: Vec<_> = scopes.filter_map(Value::as_str).collect();
    let role = params.get("role").and_then(Value::as_str).unwrap_or("operator");
    let mut fields = vec![
        text(&form["form"]),
        text(&device["id"]),
        text(&client["id"]),
        text(&client["mode"]),
        said("role", role.to_owned()),
        said("scopes", scopes.join(",")),
        device["signedAt"].to_string(),
        said("token", token.to_owned()),
        said("nonce", text(&device["nonce"])),
    ];
    if form["form"] == "v3" {
        let pinned = |field: &str| text(&client[field]).trim().to_ascii_lowercase();
        fields.extend([said("platform", pinned("platform")), said("family", pinned("deviceFamily"))]);
    }
    let number = KEY.captures(key).map_or_else(|| "none".to_owned(), |found| found[2].to_owned());
    URL_SAFE_NO_PAD.encode(Words::key(&number).sign(fields.join("|").as_bytes()).to_bytes())
}
