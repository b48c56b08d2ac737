//! Setup codes on the wire: params and results of `device.pair.setup*` (OpenClaw 2026.9.6), and the two forms in which a code is
//! handed on: as a text for a QR square, and as the end of a join URL. The token in both is the only secret, and no record and no
//! list holds it.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde_json::{Value, json};

use super::devices::Label;
use super::frame::Text;
use crate::limits;
use crate::pairing::{KnownScope, Millis, Registry, Role, RoleGrant, ScopeSet, SetupCode, SetupCodeId};
use crate::views::who;

/// Params of `device.pair.setupCode`. What OpenClaw 2026.9.6 does not know stands last.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct SetupCodeParams {
    /// The gateway's address as the code is to say it.
    #[serde(default)]
    pub public_url: Option<Text>,
    /// Whether `gateway.remote.url` comes before the configured public address.
    #[serde(default)]
    pub prefer_remote_url: bool,
    /// Whether a picture of the code is wanted; ours is drawn by who shows it.
    #[serde(default)]
    pub include_qr: Option<bool>,
    /// What it gives, by name.
    #[serde(default)]
    pub bootstrap_profile: Option<Profile>,
    /// Whether a join URL is wanted.
    #[serde(default)]
    pub join_url: bool,
    /// What it gives: the role.
    #[serde(default)]
    pub role: Option<Text>,
    /// And its scopes.
    #[serde(default)]
    pub scopes: Option<Vec<Text>>,
    /// For how long it is good.
    #[serde(default)]
    pub ttl_ms: Option<u64>,
    /// What it is for.
    #[serde(default)]
    pub label: Option<Label>,
    /// Whether it is for this host, so that the address is that of the listener itself.
    #[serde(default)]
    pub on_this_host: bool,
    /// Whether it takes back those of the same label that are good.
    #[serde(default)]
    pub only: bool,
}

/// Params that name a setup code.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct SetupIdParams {
    /// The code's id.
    pub setup_id: Text,
}

/// What a code gives, by name (OpenClaw 2026.9.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Profile {
    /// A node, and an operator who may not administrate.
    Limited,
    /// A node and nothing else.
    Node,
    /// A node that listens and talks.
    VoiceNode,
}

/// What an operator may that came by a code of the profile `limited`.
const LIMITED: [KnownScope; 5] =
    [KnownScope::Approvals, KnownScope::Questions, KnownScope::Read, KnownScope::TalkSecrets, KnownScope::Write];

impl Profile {
    /// The roles and scopes.
    #[must_use]
    pub fn grants(self) -> Vec<RoleGrant> {
        let operator = |scopes: &[KnownScope]| RoleGrant { role: Role::Operator, scopes: scopes.iter().copied().collect() };
        let node = RoleGrant { role: Role::Node, scopes: ScopeSet::EMPTY };
        match self {
            Self::Limited => vec![operator(&LIMITED), node],
            Self::Node => vec![node],
            Self::VoiceNode => vec![operator(&[KnownScope::Read, KnownScope::Talk]), node],
        }
    }
}

impl SetupCodeParams {
    /// What the code is to give; without a word, a join URL a node and any other code what [`Profile::Limited`] is.
    ///
    /// # Errors
    /// What does not fit.
    pub fn grants(&self) -> Result<Vec<RoleGrant>, String> {
        let role = match (&self.role, self.bootstrap_profile) {
            (Some(_), Some(_)) => return Err("at /role: must NOT stand beside bootstrapProfile".to_owned()),
            (None, None) if self.scopes.is_some() => return Err("at root: must have required property 'role'".to_owned()),
            (None, None) => {
                return Ok(if self.join_url { Profile::Node } else { Profile::Limited }.grants());
            }
            (None, Some(_)) if self.scopes.is_some() => {
                return Err("at /scopes: must NOT stand beside bootstrapProfile".to_owned());
            }
            (None, Some(profile)) => return Ok(profile.grants()),
            (Some(role), None) => {
                Role::from_text(&role.0).ok_or("at /role: must be equal to one of the allowed values".to_owned())?
            }
        };
        let given = self.scopes.iter().flatten();
        let scopes = ScopeSet::parse(given.map(|scope| &*scope.0)).map_err(|error| format!("at /scopes: {error}"))?;
        let begins = |scope: &str| scope.starts_with("operator.");
        match role {
            Role::Node if !scopes.is_empty() => Err("at /scopes: a node has none".to_owned()),
            Role::Operator if scopes.is_empty() => Err("at /scopes: an operator needs one at least".to_owned()),
            Role::Operator if !scopes.iter().all(begins) => Err("at /scopes: must be scopes of an operator".to_owned()),
            Role::Node | Role::Operator => Ok(vec![RoleGrant { role, scopes }]),
        }
    }

    /// For how long it is to be good.
    ///
    /// # Errors
    /// What does not fit.
    pub fn lives_ms(&self) -> Result<u64, String> {
        let (least, default, most) = limits::SETUP_CODE_MS;
        match self.ttl_ms {
            None => Ok(default),
            Some(ms) if (least..=most).contains(&ms) => Ok(ms),
            Some(_) => Err(format!("at /ttlMs: must be from {least} to {most}")),
        }
    }
}

/// The text of a token, from chance.
#[must_use]
pub fn token_text(chance: [u8; limits::SETUP_CODE_BYTES]) -> String {
    URL_SAFE_NO_PAD.encode(chance)
}

/// Whether a text has the form of a token, before it is looked at.
#[must_use]
pub fn is_token_text(text: &str) -> bool {
    URL_SAFE_NO_PAD.decode(text).is_ok_and(|bytes| bytes.len() == limits::SETUP_CODE_BYTES)
}

/// What a client needs in order to pair.
#[must_use]
pub fn payload(url: &str, token: &str, expires: Millis) -> Value {
    json!({ "url": url, "bootstrapToken": token, "expiresAtMs": expires.0 })
}

/// The same as one text, for a QR square.
#[must_use]
pub fn setup_code(payload: &Value) -> String {
    URL_SAFE_NO_PAD.encode(payload.to_string())
}

/// How much a code gives, in the words of OpenClaw 2026.9.6.
#[must_use]
pub fn access(grants: &[RoleGrant]) -> &'static str {
    let operator = grants.iter().find(|grant| grant.role == Role::Operator);
    match operator {
        None => "node",
        Some(grant) if grant.scopes.contains(KnownScope::Admin) => "full",
        Some(_) => "limited",
    }
}

/// The roles and scopes that a code gives.
#[must_use]
pub fn grants(grants: &[RoleGrant]) -> Value {
    grants.iter().map(|grant| json!({ "role": grant.role.as_str(), "scopes": grant.scopes.sorted() })).collect()
}

/// The answer to `device.pair.setupStatus`: who came by the code, if anybody did.
#[must_use]
pub fn status(registry: &Registry, id: &SetupCodeId) -> Value {
    let spent = registry.setup_code(id).and_then(|code| Some((code, code.spent?)));
    let Some((code, (device, at))) = spent else { return json!({}) };
    let mut completion =
        json!({ "setupId": id.to_string(), "deviceId": device.to_string(), "access": access(&code.grants), "ts": at.0 });
    let name = registry.device(&device).and_then(|device| device.label.clone().or(device.description.display_name.clone()));
    if let (Some(name), Some(completion)) = (name, completion.as_object_mut()) {
        completion.insert("deviceName".to_owned(), name.into());
    }
    json!({ "completion": completion })
}

/// All codes that are known, the newest first.
#[must_use]
pub fn list(registry: &Registry, now: Millis) -> Value {
    let mut codes: Vec<_> = registry.setup_codes().collect();
    codes.sort_by_key(|(id, code)| std::cmp::Reverse((code.at, **id)));
    json!({ "setupCodes": codes.into_iter().map(|(id, code)| entry(registry, id, code, now)).collect::<Vec<_>>() })
}

fn entry(registry: &Registry, id: &SetupCodeId, code: &SetupCode, now: Millis) -> Value {
    let state = match code.spent {
        Some(_) => "spent",
        None if code.expires <= now => "expired",
        // Whoever made it may not make it any more.
        None if !registry.stands(code) => "void",
        None => "good",
    };
    let mut entry = json!({
        "setupId": id.to_string(),
        "state": state,
        "access": access(&code.grants),
        "grants": grants(&code.grants),
        "createdAtMs": code.at.0,
        "expiresAtMs": code.expires.0,
        "createdBy": who(&code.by),
    });
    if let Some(entry) = entry.as_object_mut() {
        if let Some(label) = &code.label {
            entry.insert("label".to_owned(), label.as_str().into());
        }
        if let Some((device, at)) = code.spent {
            entry.insert("spentBy".to_owned(), device.to_string().into());
            entry.insert("spentAtMs".to_owned(), at.0.into());
        }
    }
    entry
}
