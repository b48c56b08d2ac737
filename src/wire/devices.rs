//! Params and results of `device.*` (OpenClaw 2026.3.13), and what we add to them: reason, what is held and missing, the
//! sentence. No token value ever stands in a list.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use ed25519_dalek::VerifyingKey;
use ed25519_dalek::pkcs8::DecodePublicKey as _;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::frame::Text;
use crate::limits;
use crate::pairing::{
    Activity, Address, Description, Device, DeviceId, DeviceToken, Ending, Granted, Policy, PublicKey, Registry, Request,
    Resolution, Role, ScopeSet, kept_back, what_is_needed,
};
use crate::views::{self, Why};

/// No params at all.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Nothing {}

/// Params that name a request.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct RequestParams {
    /// The request.
    pub request_id: Text,
}

/// Params of `device.pair.rejectFrom`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FromParams {
    /// The address, of IPv6 any of its network of 64 bits.
    pub address: Text,
}

/// Params of `device.pair.remove`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct DeviceParams {
    /// The device.
    pub device_id: Text,
    /// Whether also those that it approved, at any depth; ours.
    #[serde(default)]
    pub with_approved: bool,
}

/// Params of `device.pair.why`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WhyParams {
    /// A device, a request, or a label.
    pub about: Text,
}

/// Params of `device.token.revoke`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct RoleParams {
    /// The device.
    pub device_id: Text,
    /// The role.
    pub role: Text,
    /// Whether also what it approved for others, at any depth; ours.
    #[serde(default)]
    pub with_approved: bool,
}

/// Params of `device.token.rotate`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct RotateParams {
    /// The device.
    pub device_id: Text,
    /// The role.
    pub role: Text,
    /// Exactly these; without, the token keeps its own.
    #[serde(default)]
    pub scopes: Option<Vec<Text>>,
}

/// Params of `device.pair.rename` (OpenClaw 2026.9.6).
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct RenameParams {
    /// The device.
    pub device_id: Text,
    /// Its new name.
    pub label: Label,
}

/// A name that an operator gives: not blank, and not longer than [`limits::LABEL_CHARS`]; blanks around it do not count.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Label(pub String);

impl TryFrom<String> for Label {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        match text.trim() {
            "" => Err("must NOT have fewer than 1 characters".to_owned()),
            name if name.chars().count() > limits::LABEL_CHARS => {
                Err(format!("must NOT have more than {} characters", limits::LABEL_CHARS))
            }
            name => Ok(Self(name.to_owned())),
        }
    }
}

/// Params of `device.scopes.requestUpgrade` (OpenClaw 2026.9.6).
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct UpgradeParams {
    /// All that the device wants to hold.
    pub scopes: UpgradeScopes,
}

/// From one scope to [`limits::UPGRADE_SCOPES`].
#[derive(Debug, Deserialize)]
#[serde(try_from = "Vec<Text>")]
pub struct UpgradeScopes(pub ScopeSet);

impl TryFrom<Vec<Text>> for UpgradeScopes {
    type Error = String;

    fn try_from(texts: Vec<Text>) -> Result<Self, Self::Error> {
        if texts.is_empty() {
            return Err("must NOT have fewer than 1 items".to_owned());
        }
        if texts.len() > limits::UPGRADE_SCOPES {
            return Err(format!("must NOT have more than {} items", limits::UPGRADE_SCOPES));
        }
        ScopeSet::parse(texts.iter().map(|text| &*text.0)).map(Self).map_err(|error| error.to_string())
    }
}

/// A key as clients send it: raw 32 bytes in base64url or base64, padded or not, or PEM.
#[must_use]
pub fn parse_public_key(text: &str) -> Option<PublicKey> {
    if text.contains("BEGIN") {
        return VerifyingKey::from_public_key_pem(text).ok().map(|key| PublicKey(key.to_bytes()));
    }
    let text = text.trim_end_matches('=');
    let bytes = URL_SAFE_NO_PAD.decode(text).or_else(|_| STANDARD_NO_PAD.decode(text)).ok()?;
    bytes.try_into().ok().map(PublicKey)
}

/// A key as it is sent: raw, base64url, no padding.
#[must_use]
pub fn public_key_text(key: &PublicKey) -> String {
    URL_SAFE_NO_PAD.encode(key.0)
}

/// Result of `device.pair.list`: newest first, and only what `sees` lets through.
#[must_use]
pub fn list(registry: &Registry, sees_request: impl Fn(&Request) -> bool, sees_device: impl Fn(&Device) -> bool) -> Value {
    let mut requests: Vec<_> = registry.requests().filter(|request| sees_request(request)).collect();
    requests.sort_by_key(|request| std::cmp::Reverse((request.created_at, request.seq)));
    let mut devices: Vec<_> = registry.devices().filter(|device| sees_device(device)).collect();
    devices.sort_by_key(|device| (std::cmp::Reverse(device.approved_at), device.id));
    json!({
        "pending": requests.into_iter().map(|request| pending(registry, request)).collect::<Vec<_>>(),
        "paired": devices.into_iter().map(|device| paired(device, registry.activity(&device.id).map(AsRef::as_ref))).collect::<Vec<_>>(),
    })
}

/// A request that waits, as `device.pair.list` and `device.pair.requested` tell it.
#[must_use]
pub fn pending(registry: &Registry, request: &Request) -> Value {
    let device = registry.device(&request.device);
    let held = device.map(|device| device.held(request.role)).unwrap_or_default();
    let mut entry = Map::new();
    entry.insert("requestId".into(), request.id.to_string().into());
    entry.insert("deviceId".into(), request.device.to_string().into());
    entry.insert("publicKey".into(), public_key_text(&request.key).into());
    describe(&mut entry, &request.description);
    entry.insert("clientId".into(), request.client.id.as_str().into());
    entry.insert("clientMode".into(), request.client.mode.as_str().into());
    entry.insert("role".into(), request.role.as_str().into());
    entry.insert("roles".into(), json!([request.role.as_str()]));
    entry.insert("scopes".into(), scopes(&request.scopes));
    insert_address(&mut entry, request.address);
    if request.role == Role::Node {
        let kept_back = kept_back(registry, request);
        entry.insert("caps".into(), request.description.caps.clone().into());
        entry.insert("commands".into(), request.description.commands.clone().into());
        if !kept_back.is_empty() {
            entry.insert("withheldCommands".into(), kept_back.into());
        }
    }
    entry.insert("silent".into(), false.into());
    entry.insert("isRepair".into(), device.is_some().into());
    entry.insert("ts".into(), request.created_at.0.into());
    entry.insert("reason".into(), what_is_needed(registry, request).reason.as_str().into());
    entry.insert("approvedScopes".into(), scopes(&held));
    entry.insert("missingScopes".into(), scopes(&request.scopes.missing_from(request.role, &held)));
    entry.insert("message".into(), views::pending(registry, request).into());
    entry.insert("attempts".into(), request.attempts.into());
    entry.insert("expiresAtMs".into(), expiry(registry.policy(), request).into());
    if let Some(device) = device {
        let (was, is) = (&device.description.platform, &request.description.platform);
        if was != is
            && let (Some(was), Some(is)) = (was, is)
        {
            entry.insert("platformChange".into(), json!({ "from": was, "to": is }));
        }
    }
    if let Some(old) = request.supersedes {
        entry.insert("supersedes".into(), old.to_string().into());
    }
    Value::Object(entry)
}

fn expiry(policy: &Policy, request: &Request) -> u64 {
    policy.due(request.last_at).0
}

/// A paired device, as `device.pair.list` tells it; without any token value.
#[must_use]
pub fn paired(device: &Device, activity: Option<&Activity>) -> Value {
    let mut entry = Map::new();
    entry.insert("deviceId".into(), device.id.to_string().into());
    entry.insert("publicKey".into(), public_key_text(&device.key).into());
    describe(&mut entry, &device.description);
    if let Some(label) = &device.label {
        entry.insert("operatorLabel".into(), label.clone().into());
    }
    entry.insert("clientId".into(), device.client.id.as_str().into());
    entry.insert("clientMode".into(), device.client.mode.as_str().into());
    let roles: Vec<_> = device.grants.keys().map(|role| role.as_str()).collect();
    entry.insert("role".into(), roles.first().copied().unwrap_or_default().into());
    entry.insert("roles".into(), roles.into());
    entry.insert("scopes".into(), scopes(&device.approved()));
    insert_address(&mut entry, device.address);
    entry.insert("createdAtMs".into(), device.created_at.0.into());
    entry.insert("approvedAtMs".into(), device.approved_at.0.into());
    if let Some(activity) = activity.filter(|activity| activity.admissions > 0) {
        entry.insert("lastSeenAtMs".into(), activity.last_seen.0.into());
    }
    let tokens = tokens(device, activity);
    if !tokens.is_empty() {
        entry.insert("tokens".into(), tokens.into());
    }
    Value::Object(entry)
}

/// Token summaries by role's letters; a revoked role shows its last token with the time of its end.
fn tokens(device: &Device, activity: Option<&Activity>) -> Vec<Value> {
    let mut roles: Vec<_> = device.grants.iter().collect();
    roles.sort_by_key(|(role, _)| role.as_str());
    let summary = |(role, grant): (&Role, &crate::pairing::Grant)| {
        let revoked = grant.revoked.as_ref().map(|(at, _)| *at);
        let token =
            grant.token.as_ref().or_else(|| grant.retired.first().filter(|_| revoked.is_some()).map(|retired| &retired.token))?;
        let mut entry = Map::new();
        entry.insert("role".into(), role.as_str().into());
        entry.insert("scopes".into(), token.scopes.sorted().into());
        entry.insert("createdAtMs".into(), token.created_at.0.into());
        if let Some(at) = token.rotated_at {
            entry.insert("rotatedAtMs".into(), at.0.into());
        }
        if let Some(at) = revoked {
            entry.insert("revokedAtMs".into(), at.0.into());
        }
        if let Some(at) = activity.and_then(|activity| activity.token_used.get(role)) {
            entry.insert("lastUsedAtMs".into(), at.0.into());
        }
        Some(Value::Object(entry))
    };
    roles.into_iter().filter_map(summary).collect()
}

/// Result of `device.pair.approve`.
#[must_use]
pub fn approved(request: &str, device: &Device, activity: Option<&Activity>, before: Option<String>) -> Value {
    let mut result = json!({ "requestId": request, "device": paired(device, activity) });
    if let (Some(before), Some(result)) = (before, result.as_object_mut()) {
        result.insert("note".to_owned(), before.into());
    }
    result
}

/// Result of `device.pair.why`, a method of ours: the sentence that matters, what led to it, and the next command.
#[must_use]
pub fn why(why: &Why, label: Option<&str>) -> Value {
    let mut result = json!({ "deviceId": why.device.to_string(), "state": why.state });
    if let Some(result) = result.as_object_mut() {
        if let Some(label) = label {
            result.insert("operatorLabel".to_owned(), label.into());
        }
        if let Some(request) = why.request {
            result.insert("requestId".to_owned(), request.to_string().into());
        }
        let mut sentences = why.sentences.iter();
        result.insert("message".to_owned(), sentences.next().cloned().into());
        result.insert("because".to_owned(), sentences.cloned().collect::<Vec<_>>().into());
        result.insert("next".to_owned(), why.next.clone().into());
    }
    result
}

/// Result of `device.token.rotate`; the token only where its own device asks.
#[must_use]
pub fn rotated(token: &Granted, text: Option<&DeviceToken>) -> Value {
    let mut result = Map::new();
    result.insert("deviceId".into(), token.device.to_string().into());
    result.insert("role".into(), token.role.as_str().into());
    if let Some(text) = text {
        result.insert("token".into(), text.reveal().into());
    }
    result.insert("scopes".into(), token.scopes.sorted().into());
    result.insert("rotatedAtMs".into(), token.at.0.into());
    let delivery = if text.is_some() { "in-band" } else { "withheld-cross-device" };
    result.insert("tokenDelivery".into(), delivery.into());
    Value::Object(result)
}

/// Result of `device.scopes.waitUpgrade`: how the request ended; where it was granted, what the device's token carries now, and
/// the token, since its own device asks.
#[must_use]
pub fn upgraded(request: &str, resolution: &Resolution, token: Option<(&Granted, Option<DeviceToken>)>) -> Value {
    let status = match resolution.ending {
        Ending::Approved => "approved",
        Ending::Expired => "expired",
        Ending::Rejected | Ending::Superseded | Ending::Removed => "rejected",
    };
    let mut result = Map::new();
    result.insert("status".into(), status.into());
    result.insert("requestId".into(), request.into());
    if let Some((successor, _)) = &resolution.successor {
        result.insert("supersededBy".into(), successor.to_string().into());
    }
    if let (Ending::Approved, Some((granted, text))) = (resolution.ending, token) {
        result.insert("scopes".into(), granted.scopes.sorted().into());
        if let Some(text) = text {
            result.insert("deviceToken".into(), text.reveal().into());
        }
    }
    Value::Object(result)
}

/// The result of an act against a device that approved others: that is told, whether they went with it or not.
#[must_use]
pub fn with_approved(mut result: Value, approved: &[DeviceId]) -> Value {
    if let (false, Some(result)) = (approved.is_empty(), result.as_object_mut()) {
        result.insert("approved".into(), approved.iter().map(ToString::to_string).collect::<Vec<_>>().into());
    }
    result
}

/// `devices/paired.json` as OpenClaw 2026.3.13 keeps it, but for tokens: a copy for tools that read it, never read back.
#[must_use]
pub fn paired_copy(registry: &Registry) -> Value {
    let entry = |device: &std::sync::Arc<Device>| {
        let mut entry = paired(device, None);
        if let Some(entry) = entry.as_object_mut() {
            entry.remove("tokens");
            entry.insert("approvedScopes".into(), scopes(&device.approved()));
        }
        (device.id.to_string(), entry)
    };
    Value::Object(registry.devices().map(entry).collect())
}

/// The sentence of an earlier approval.
#[must_use]
pub fn approved_before(actor: &crate::pairing::Actor, at: crate::pairing::Millis) -> String {
    format!("already approved at {} by {}", views::time_text(at), views::who(actor))
}

pub(super) fn scopes(set: &ScopeSet) -> Value {
    set.iter().collect::<Vec<_>>().into()
}

fn describe(entry: &mut Map<String, Value>, description: &Description) {
    let fields =
        [("displayName", &description.display_name), ("platform", &description.platform), ("deviceFamily", &description.family)];
    for (key, value) in fields {
        if let Some(value) = value {
            entry.insert(key.to_owned(), value.clone().into());
        }
    }
}

/// A loopback address is not told, as upstream does not tell it, and neither is one of which nothing is recorded.
pub(super) fn insert_address(entry: &mut Map<String, Value>, address: Address) {
    if !address.is_loopback() && !address.ip().is_unspecified() {
        entry.insert("remoteIp".into(), address.ip().to_string().into());
    }
}
