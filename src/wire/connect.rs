//! The handshake: challenge, connect params, hello-ok; protocol versions side by side. Protocol 3 is OpenClaw 2026.3.13.

use serde::Deserialize;
use serde_json::{Value, json};

use super::frame::{Text, object, optional_object};
use crate::limits;
use crate::pairing::{Admission, ClientId, ClientMode, DeviceToken};

/// The protocol versions spoken here.
pub const PROTOCOLS: &[u8] = &[3];

/// The release whose clients this gateway is tested with; sent as the server's version, since clients compare it.
pub const UPSTREAM_VERSION: &str = "2026.3.13";

/// The first frame on every socket.
#[must_use]
pub fn challenge(nonce: &str, now_ms: u64) -> Value {
    json!({ "nonce": nonce, "ts": now_ms })
}

/// The highest version that both sides speak.
#[must_use]
pub fn agreed_protocol(min: u64, max: u64) -> Option<u8> {
    PROTOCOLS.iter().rev().copied().find(|version| (min..=max).contains(&u64::from(*version)))
}

/// Params of `connect` (OpenClaw 2026.3.13): a closed object of closed objects.
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
    pub permissions: Option<std::collections::BTreeMap<String, bool>>,
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
pub struct HelloFacts {
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
}

/// The payload that lets a client in (protocol 3). The device token is told to its own device only, here and nowhere else.
#[must_use]
pub fn hello_ok(facts: HelloFacts, admission: &Admission, token: Option<&DeviceToken>) -> Value {
    let mut hello = json!({
        "type": "hello-ok",
        "protocol": 3,
        "server": { "version": UPSTREAM_VERSION, "connId": facts.connection },
        "features": { "methods": facts.methods, "events": facts.events },
        "snapshot": {
            "presence": facts.presence,
            "health": facts.health,
            "stateVersion": { "presence": facts.versions.0, "health": facts.versions.1 },
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
    if let (Some(token), Some(granted), Some(hello)) = (token, &admission.token, hello.as_object_mut()) {
        let auth = json!({
            "deviceToken": token.reveal(),
            "role": granted.role.as_str(),
            "scopes": granted.scopes.sorted(),
            "issuedAtMs": granted.at.0,
        });
        hello.insert("auth".to_owned(), auth);
    }
    hello
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
    fn the_signed_credential_is_the_first_present_even_if_empty() {
        let auth = AuthParams { token: Some(String::new()), device_token: Some("t".into()), ..AuthParams::default() };
        assert_eq!(auth.signed(), "");
    }

    #[test]
    fn versions_are_agreed_within_the_range() {
        assert_eq!(agreed_protocol(1, 9), Some(3));
        assert_eq!(agreed_protocol(4, 4), None);
        assert_eq!(agreed_protocol(4, 3), None);
    }
}
