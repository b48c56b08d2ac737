//! Until these are events.

use crate::pairing::{Address, Client, Description, DeviceId, Digest, Millis, PublicKey, Role, ScopeSet};

/// Who a paired device is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile {
    /// The device.
    pub device: DeviceId,
    /// Its key.
    pub key: PublicKey,
    /// The client it said it is.
    pub client: Client,
    /// What it said of itself; platform and family are pinned.
    pub description: Description,
    /// The name that an operator gave it.
    pub label: Option<String>,
    /// Where it asked from, as far as that is known.
    pub address: Option<Address>,
    /// When it was first approved.
    pub created_at: Millis,
    /// When it was last approved.
    pub approved_at: Millis,
}

/// A role of an imported device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImportedGrant {
    /// The role.
    pub role: Role,
    /// What was approved.
    pub scopes: ScopeSet,
    /// Its token, where it had one.
    pub token: Option<ImportedToken>,
}

/// A token that was not made here: it can be recognised and not made again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImportedToken {
    /// SHA-256 of its text.
    pub digest: Digest,
    /// What it carries, within what was approved.
    pub scopes: ScopeSet,
    /// When the role got its first token.
    pub created_at: Millis,
    /// When it was rotated, if ever.
    pub rotated_at: Option<Millis>,
}

/// A device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImportedDevice {
    /// Who.
    pub profile: Profile,
    /// What.
    pub grants: Vec<ImportedGrant>,
}
