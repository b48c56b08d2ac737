//! The handshake: challenge, connect params, hello-ok; protocol versions side by side.

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::{Value, json};

use super::frame::{Short, Text, object, optional_object};
use crate::limits;
use crate::pairing::{
    Admission, AuthMode, ClientId, ClientMode, Credential, DeviceToken, Granted, KnownScope, Role, SharedVerdict,
};

/// A version of the protocol. What differs with it asks for it by this name; all else is said the same way in both.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Dialect {
    /// Protocol 3, OpenClaw 2026.3.13; also of whoever has not said yet what it speaks.
    #[default]
    Three,
    /// Protocol 4, OpenClaw 2026.9.6.
    Four,
}

impl Dialect {
    /// All of them, the oldest first.
    pub const ALL: &[Self] = &[Self::Three, Self::Four];
    /// The newest.
    pub const NEWEST: Self = Self::Four;

    /// Its number.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::Three => 3,
            Self::Four => 4,
        }
    }

    /// The release whose clients speak it; sent as the server's version, since clients compare it.
    #[must_use]
    pub const fn release(self) -> &'static str {
        match self {
            Self::Three => "2026.3.13",
            Self::Four => "2026.9.6",
        }
    }

    /// The newest that a client speaks too. OpenClaw 2026.9.6 refuses operators that only speak protocol 3; we do not.
    #[must_use]
    pub fn agreed(min: u64, max: u64) -> Option<Self> {
        Self::ALL.iter().rev().copied().find(|dialect| (min..=max).contains(&u64::from(dialect.number())))
    }

    /// The one that an attempt agreed on.
    #[must_use]
    pub fn of(protocol: Option<u8>) -> Self {
        Self::ALL.iter().copied().find(|dialect| Some(dialect.number()) == protocol).unwrap_or_default()
    }
}

/// The first frame on every socket.
#[must_use]
pub fn challenge(nonce: &str, now_ms: u64) -> Value {
    json!({ "nonce": nonce, "ts": now_ms })
}

/// What a node reports to be allowed, each once: of two that say otherwise, another parser might take the other one.
#[derive(Debug, Default)]
pub struct Permissions(pub std::collections::BTreeMap<String, bool>);

impl<'de> Deserialize<'de> for Permissions {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Each;

        impl<'de> serde::de::Visitor<'de> for Each {
            type Value = Permissions;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Permissions, A::Error> {
                let mut permissions = Permissions::default();
                while let Some((name, allowed)) = map.next_entry::<String, bool>()? {
                    if permissions.0.insert(name, allowed).is_some() {
                        return Err(serde::de::Error::custom("duplicate field"));
                    }
                }
                Ok(permissions)
            }
        }

        deserializer.deserialize_map(Each)
    }
}

/// Params of `connect`: a closed object of closed objects. What only OpenClaw 2026.9.6 says is known to both dialects, since
/// they are agreed here; none of it matters to pairing.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct ConnectParams {
    /// The lowest version the client speaks.
    #[serde(rename = "minProtocol")]
    pub min_protocol: Positive,
    /// The highest.
    #[serde(rename = "maxProtocol")]
    pub max_protocol: Positive,
    /// Which client.
    #[serde(deserialize_with = "object")]
    pub client: ClientParams,
    /// Capabilities.
    #[serde(default)]
    pub caps: Vec<Text>,
    /// Commands a node offers.
    #[serde(default)]
    pub commands: Vec<Text>,
    /// Permissions a node reports.
    #[serde(default)]
    pub permissions: Option<Permissions>,
    /// Search path of a node.
    #[serde(default)]
    pub path_env: Option<String>,
    /// Absent means operator.
    #[serde(default)]
    pub role: Option<Text>,
    /// Scopes asked for, in the client's order: the signature covers it.
    #[serde(default)]
    pub scopes: Vec<Text>,
    /// The device and its proof.
    #[serde(default, deserialize_with = "optional_object")]
    pub device: Option<DeviceParams>,
    /// Credentials.
    #[serde(default, deserialize_with = "optional_object")]
    pub auth: Option<AuthParams>,
    /// Language.
    #[serde(default)]
    pub locale: Option<String>,
    /// Browser.
    #[serde(default)]
    pub user_agent: Option<String>,
    /// What a client can do with the computer it is on (protocol 4).
    #[serde(default)]
    pub computer_use: Option<IgnoredAny>,
    /// What a worker runs (protocol 4).
    #[serde(default)]
    pub worker_runs: Option<IgnoredAny>,
    /// The models that a client knows (protocol 4).
    #[serde(default)]
    pub model_catalog: Option<IgnoredAny>,
}

/// An integer of at least 1.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(try_from = "u64")]
pub struct Positive(pub u64);

impl TryFrom<u64> for Positive {
    type Error = &'static str;

    fn try_from(n: u64) -> Result<Self, Self::Error> {
        if n == 0 { Err("must be >= 1") } else { Ok(Self(n)) }
    }
}

/// `client` of connect.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct ClientParams {
    /// Which client; a closed list.
    pub id: Listed<ClientId>,
    /// Its version.
    pub version: Text,
    /// Its platform.
    pub platform: Text,
    /// How it runs; a closed list.
    pub mode: Listed<ClientMode>,
    /// A name for people.
    #[serde(default)]
    pub display_name: Option<Text>,
    /// Its device family.
    #[serde(default)]
    pub device_family: Option<Text>,
    /// Its model.
    #[serde(default)]
    pub model_identifier: Option<Text>,
    /// Which instance.
    #[serde(default)]
    pub instance_id: Option<Text>,
    /// Which build (protocol 4).
    #[serde(default)]
    pub build_id: Option<Short<96>>,
    /// Its time zone (protocol 4).
    #[serde(default)]
    pub time_zone: Option<Short<64>>,
}

/// A member of a closed list, read from its text.
#[derive(Clone, Copy, Debug)]
pub struct Listed<T>(pub T);

macro_rules! listed {
    ($($list:ident),+) => {
        $(impl<'de> Deserialize<'de> for Listed<$list> {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                $list::from_text(&text).map(Self).ok_or_else(|| serde::de::Error::custom("must be equal to constant"))
            }
        })+
    };
}

listed!(ClientId, ClientMode);

/// `device` of connect: all five or none.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct DeviceParams {
    /// The id it claims.
    pub id: Text,
    /// Its key: raw 32 bytes as base64, or PEM.
    pub public_key: Text,
    /// Its signature, base64url.
    pub signature: Text,
    /// When it signed, by its own clock.
    pub signed_at: u64,
    /// The nonce it signed.
    pub nonce: Text,
}

/// `auth` of connect. It has no Debug: it holds secrets.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct AuthParams {
    /// The shared token, or a device token in its place.
    #[serde(default)]
    pub token: Option<String>,
    /// A setup code.
    #[serde(default)]
    pub bootstrap_token: Option<String>,
    /// A device token in a field of its own.
    #[serde(default)]
    pub device_token: Option<String>,
    /// The password.
    #[serde(default)]
    pub password: Option<String>,
    /// A secret of OpenClaw's own runtime (protocol 4); here it opens nothing.
    #[serde(default)]
    pub approval_runtime_token: Option<String>,
    /// Another one.
    #[serde(default)]
    pub agent_runtime_identity_token: Option<String>,
}

impl std::fmt::Debug for AuthParams {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AuthParams(..)")
    }
}

impl AuthParams {
    /// The credential that a signature covers: the first that is present, even where it is empty (OpenClaw 2026.3.13).
    #[must_use]
    pub fn signed(&self) -> &str {
        self.token.as_deref().or(self.device_token.as_deref()).or(self.bootstrap_token.as_deref()).unwrap_or_default()
    }
}

/// What hello-ok tells beside the admission.
#[derive(Debug)]
pub struct HelloFacts<'a> {
    /// The protocol agreed on.
    pub dialect: Dialect,
    /// The connection's id.
    pub connection: String,
    /// Method names.
    pub methods: Vec<&'static str>,
    /// Event names.
    pub events: Vec<&'static str>,
    /// Who is here.
    pub presence: Vec<Value>,
    /// The state of health.
    pub health: Value,
    /// Counters of presence and health.
    pub versions: (u64, u64),
    /// How long the gateway has been up.
    pub uptime_ms: u64,
    /// The gateway's configuration file.
    pub config_path: String,
    /// The gateway's state directory.
    pub state_dir: String,
    /// The auth mode.
    pub auth_mode: &'static str,
    /// What let the client in, in the words of protocol 4.
    pub method: &'static str,
    /// The scopes it asked for, in its own order.
    pub asked: &'a [String],
}

/// The payload that lets a client in. The device's tokens are told to it only, here and nowhere else: that of its role, and in
/// protocol 4 those that the same setup code gave it for other roles.
#[must_use]
pub fn hello_ok(
    facts: HelloFacts<'_>,
    admission: &Admission,
    token: Option<&DeviceToken>,
    more: &[(&Granted, DeviceToken)],
) -> Value {
    let dialect = facts.dialect;
    let mut hello = json!({
        "type": "hello-ok",
        "protocol": dialect.number(),
        "server": { "version": dialect.release(), "connId": facts.connection },
        "features": { "methods": facts.methods, "events": facts.events },
        "snapshot": {
            "presence": facts.presence,
            "health": facts.health,
            "stateVersion": state_version(facts.versions),
            "uptimeMs": facts.uptime_ms,
            "configPath": facts.config_path,
            "stateDir": facts.state_dir,
            "sessionDefaults": {
                "defaultAgentId": "main", "mainKey": "main", "mainSessionKey": "agent:main:main", "scope": "per-sender",
            },
            "authMode": facts.auth_mode,
        },
        "policy": {
            "maxPayload": limits::MESSAGE_BYTES,
            "maxBufferedBytes": limits::BUFFERED_BYTES,
            "tickIntervalMs": u64::try_from(limits::TICK.as_millis()).unwrap_or(u64::MAX),
        },
    });
    // Where things lie is an admin's to know (OpenClaw 2026.9.6; 2026.3.13 told everybody, and its clients read it).
    let is_admin = admission.role == Role::Operator && admission.scopes.allows(KnownScope::Admin);
    if let (Dialect::Four, false, Some(snapshot)) = (dialect, is_admin, hello.get_mut("snapshot").and_then(Value::as_object_mut))
    {
        snapshot.retain(|key, _| !matches!(key.as_str(), "configPath" | "stateDir" | "authMode"));
    }
    let told = token.zip(admission.token.as_ref());
    let auth = match (dialect, told) {
        (Dialect::Three, None) => return hello,
        // The token's own scopes.
        (Dialect::Three, Some((text, token))) => json!({
            "deviceToken": text.reveal(),
            "role": token.role.as_str(),
            "scopes": token.scopes.sorted(),
            "issuedAtMs": token.at.0,
        }),
        // The connection's scopes; a client learns from them what it may do.
        (Dialect::Four, told) => {
            if let Some(features) = hello.get_mut("features").and_then(Value::as_object_mut) {
                features.insert("capabilities".to_owned(), json!([]));
            }
            let mut scopes: Vec<_> = admission.scopes.iter().collect();
            scopes.sort_by_key(|scope| facts.asked.iter().position(|asked| asked == scope));
            let mut auth = json!({ "method": facts.method, "role": admission.role.as_str(), "scopes": scopes });
            if let (Some((text, token)), Some(auth)) = (told, auth.as_object_mut()) {
                auth.insert("deviceToken".to_owned(), text.reveal().into());
                auth.insert("issuedAtMs".to_owned(), token.at.0.into());
                if !more.is_empty() {
                    auth.insert("deviceTokens".to_owned(), more.iter().map(other_token).collect());
                }
            }
            auth
        }
    };
    if let Some(hello) = hello.as_object_mut() {
        hello.insert("auth".to_owned(), auth);
    }
    hello
}

/// A token for another role than the connection's.
fn other_token((token, text): &(&Granted, DeviceToken)) -> Value {
    json!({
        "deviceToken": text.reveal(),
        "role": token.role.as_str(),
        "scopes": token.scopes.sorted(),
        "issuedAtMs": token.at.0,
    })
}

/// How often presence and health changed, as frames tell it.
#[must_use]
pub fn state_version((presence, health): (u64, u64)) -> Value {
    json!({ "presence": presence, "health": health })
}

/// What let a client in, in the words of protocol 4: the shared secret where it was right, else a setup code that is good, else
/// its device's token.
#[must_use]
pub const fn method(credential: &Credential, has_code: bool) -> &'static str {
    match (credential.mode, credential.shared) {
        (AuthMode::None, _) => "none",
        (mode, SharedVerdict::Right) => mode.as_str(),
        _ if has_code => "bootstrap-token",
        _ => "device-token",
    }
}

#[cfg(test)]
mod tests {
    use super::super::frame::parse_params;
    use super::*;

    fn why(params: &str) -> String {
        let raw = serde_json::value::RawValue::from_string(params.to_owned()).expect("JSON");
        parse_params::<ConnectParams>(Some(&raw)).expect_err("does not fit")
    }

    #[test]
    fn what_does_not_fit_is_named_with_its_place() {
        assert_eq!(why("{}"), "must have required property 'minProtocol'");
        let client = r#"{"id":"cli","version":"1","platform":"linux","mode":"cli"}"#;
        let with = |client: &str, rest: &str| format!(r#"{{"minProtocol":3,"maxProtocol":3,"client":{client}{rest}}}"#);
        assert_eq!(why(&with(&client.replace("\"id\":\"cli\"", "\"id\":\"x\""), "")), "at /client/id: must be equal to constant");
        assert_eq!(why(&with(client, r#","bogus":1"#)), "at root: unexpected property 'bogus'");
        assert_eq!(why(&with(&client.replace('}', r#","bogus":1}"#), "")), "at /client: unexpected property 'bogus'");
        assert_eq!(why(&with(client, r#","scopes":[""]"#)), "at /scopes/0: must NOT have fewer than 1 characters");
        assert_eq!(why(&with(client, r#","scopes":1"#)), "at /scopes: must be array");
        assert_eq!(why(&with(r#"["cli","1","linux","cli"]"#, "")), "at /client: must be object");
        assert_eq!(why(&with(client, r#","auth":["a"]"#)), "at /auth: must be object");
        let device = r#","device":{"id":"a","publicKey":"b","signature":"c","signedAt":1.5,"nonce":"d"}"#;
        assert_eq!(why(&with(client, device)), "at /device/signedAt: must be integer");
        assert_eq!(
            why(&with(client, &device.replace(r#","nonce":"d""#, "").replace("1.5", "1"))),
            "at /device: must have required property 'nonce'"
        );
    }

    #[test]
    fn what_only_the_newer_release_says_is_known_and_bounded() {
        let with = |client: &str, rest: &str| {
            format!(
                r#"{{"minProtocol":4,"maxProtocol":4,"client":{{"id":"cli","version":"1","platform":"linux","mode":"cli"{client}}}{rest}}}"#
            )
        };
        let all = r#","computerUse":{"a":[1]},"workerRuns":[],"modelCatalog":"x","auth":{"approvalRuntimeToken":"a","agentRuntimeIdentityToken":"b"}"#;
        let raw = serde_json::value::RawValue::from_string(with(r#","buildId":"b","timeZone":"UTC""#, all)).expect("JSON");
        assert!(parse_params::<ConnectParams>(Some(&raw)).is_ok());
        let long = format!(r#","buildId":"{}""#, "é".repeat(97));
        assert_eq!(why(&with(&long, "")), "at /client/buildId: must NOT have more than 96 characters");
    }

    #[test]
    fn the_signed_credential_is_the_first_present_even_if_empty() {
        let auth = AuthParams { token: Some(String::new()), device_token: Some("t".into()), ..AuthParams::default() };
        assert_eq!(auth.signed(), "");
    }

    #[test]
    fn versions_are_agreed_within_the_range() {
        assert_eq!(Dialect::agreed(1, 9), Some(Dialect::Four));
        assert_eq!(Dialect::agreed(3, 4), Some(Dialect::Four));
        assert_eq!(Dialect::agreed(1, 3), Some(Dialect::Three));
        assert_eq!(Dialect::agreed(5, 9), None);
        assert_eq!(Dialect::agreed(4, 3), None);
        for dialect in Dialect::ALL {
            assert_eq!(Dialect::of(Some(dialect.number())), *dialect);
        }
    }
}
