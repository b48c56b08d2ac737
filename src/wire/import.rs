//! Params and result of `device.import`, a method of ours: devices that a real OpenClaw kept, and what became of each. Only whoever
//! owns this host may call it. A token is named by its digest.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::devices::{Label, parse_public_key, public_key_text};
use crate::limits;
use crate::pairing::{
    Client, ClientId, ClientMode, Description, DeviceId, DeviceImported, Digest, ImportedGrant, ImportedToken, LeftAlone, Millis,
    Profile, Role, ScopeSet,
};
use crate::views::left_alone_sentence;

/// Params of `device.import`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct ImportParams {
    /// SHA-256 of what the devices were read from.
    pub source: String,
    /// They.
    pub devices: Vec<Kept>,
    /// Whether only to tell what would become of them.
    #[serde(default)]
    pub dry_run: bool,
}

/// A device that was kept elsewhere; its id follows from its key.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Kept {
    public_key: String,
    client_id: String,
    client_mode: String,
    display_name: Option<String>,
    platform: Option<String>,
    device_family: Option<String>,
    version: Option<String>,
    model_identifier: Option<String>,
    caps: Vec<String>,
    commands: Vec<String>,
    operator_label: Option<String>,
    remote_ip: IpAddr,
    created_at_ms: u64,
    approved_at_ms: u64,
    roles: Vec<KeptRole>,
}

/// A role of it.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct KeptRole {
    role: String,
    scopes: Vec<String>,
    token: Option<KeptToken>,
}

/// The token of a role.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct KeptToken {
    digest: String,
    scopes: Vec<String>,
    created_at_ms: u64,
    rotated_at_ms: Option<u64>,
}

impl ImportParams {
    /// The devices, as they would be on record.
    ///
    /// # Errors
    /// What does not fit.
    pub fn devices(self) -> Result<Vec<DeviceImported>, &'static str> {
        if self.devices.len() > limits::IMPORTED_AT_ONCE {
            return Err("at /devices: too many at once");
        }
        let source: Digest = self.source.parse().map_err(|_| "at /source: must be SHA-256 in hexadecimal")?;
        self.devices.into_iter().map(|device| device.read(source)).collect()
    }
}

impl Kept {
    /// It, to be sent.
    #[must_use]
    pub fn of(profile: &Profile, grants: &[ImportedGrant]) -> Self {
        let Profile { device: _, key, client, description, label, address, created_at, approved_at } = profile.clone();
        let texts = |scopes: &ScopeSet| scopes.iter().map(str::to_owned).collect();
        let token = |token: &ImportedToken| KeptToken {
            digest: token.digest.to_string(),
            scopes: texts(&token.scopes),
            created_at_ms: token.created_at.0,
            rotated_at_ms: token.rotated_at.map(|at| at.0),
        };
        let role = |grant: &ImportedGrant| KeptRole {
            role: grant.role.to_string(),
            scopes: texts(&grant.scopes),
            token: grant.token.as_ref().map(token),
        };
        Self {
            public_key: public_key_text(&key),
            client_id: client.id.to_string(),
            client_mode: client.mode.to_string(),
            display_name: description.display_name,
            platform: description.platform,
            device_family: description.family,
            version: description.version,
            model_identifier: description.model,
            caps: description.caps,
            commands: description.commands,
            operator_label: label,
            remote_ip: address.ip(),
            created_at_ms: created_at.0,
            approved_at_ms: approved_at.0,
            roles: grants.iter().map(role).collect(),
        }
    }

    fn read(self, source: Digest) -> Result<DeviceImported, &'static str> {
        let key = parse_public_key(&self.public_key).ok_or("at /devices/publicKey: must be a key")?;
        let id = ClientId::from_text(&self.client_id).ok_or("at /devices/clientId: must be one of those there are")?;
        let mode = ClientMode::from_text(&self.client_mode).ok_or("at /devices/clientMode: must be one of those there are")?;
        let description = Description {
            platform: self.platform,
            family: self.device_family,
            display_name: self.display_name,
            version: self.version,
            model: self.model_identifier,
            instance: None,
            caps: self.caps,
            commands: self.commands,
        };
        if !is_bounded(&description) {
            return Err("at /devices: must NOT say so much of itself");
        }
        let label = self.operator_label.map(Label::try_from).transpose();
        let grants = self.roles.into_iter().map(KeptRole::read).collect::<Result<Vec<_>, _>>()?;
        if grants.is_empty() || !grants.is_sorted_by(|a, b| a.role < b.role) {
            return Err("at /devices/roles: must be one at least, each once, in order");
        }
        let profile = Profile {
            device: DeviceId::of(&key),
            key,
            client: Client { id, mode },
            description,
            label: label.map_err(|_| "at /devices/operatorLabel: must be a label")?.map(|Label(label)| label),
            address: self.remote_ip.into(),
            created_at: Millis(self.created_at_ms),
            approved_at: Millis(self.approved_at_ms),
        };
        Ok(DeviceImported { source, profile, grants })
    }
}

/// Whether it says no more of itself than a connect may.
fn is_bounded(description: &Description) -> bool {
    let Description { platform, family, display_name, version, model, instance, caps, commands } = description;
    let lists = [caps, commands];
    let texts = [platform, family, display_name, version, model, instance].into_iter().flatten();
    lists.iter().all(|list| list.len() <= limits::CAPABILITIES)
        && texts.chain(lists.into_iter().flatten()).all(|text| text.len() <= limits::TEXT_BYTES)
}

impl KeptRole {
    fn read(self) -> Result<ImportedGrant, &'static str> {
        let scopes = |texts: &[String]| {
            ScopeSet::parse(texts.iter().map(String::as_str)).map_err(|_| "at /devices/roles/scopes: must be scopes")
        };
        let role = Role::from_text(&self.role).ok_or("at /devices/roles/role: must be one of those there are")?;
        let approved = scopes(&self.scopes)?;
        let token = self.token.map(|token| {
            let carried = scopes(&token.scopes)?;
            if !approved.covers(role, &carried) {
                return Err("at /devices/roles/token: must NOT carry more than was approved");
            }
            Ok(ImportedToken {
                digest: token.digest.parse().map_err(|_| "at /devices/roles/token/digest: must be SHA-256 in hexadecimal")?,
                scopes: carried,
                created_at: Millis(token.created_at_ms),
                rotated_at: token.rotated_at_ms.map(Millis),
            })
        });
        Ok(ImportedGrant { role, scopes: approved, token: token.transpose()? })
    }
}

/// Result of `device.import`: the devices that were taken over, or would be, and the others and why.
#[must_use]
pub fn imported(devices: &[DeviceId], left: &[(DeviceId, LeftAlone)]) -> Value {
    let left = left.iter().map(|(device, why)| json!({ "deviceId": device.to_string(), "message": left_alone_sentence(*why) }));
    json!({
        "imported": devices.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "left": left.collect::<Vec<_>>(),
    })
}
