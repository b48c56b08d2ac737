//! Params and results of `node.*` (OpenClaw 2026.3.13 and 2026.9.6): the same requests and devices as `device.*` tells, by the
//! names that clients of nodes know, with what a node may offer. No token ever stands in a list.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::devices::{self, Label};
use super::frame::Text;
use crate::pairing::{
    Activity, Address, Client, Description, Device, DeviceId, KnownScope, Millis, Registry, Request, RequestId, Role, may_offer,
};

/// Params that name a node.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct NodeParams {
    /// The node.
    pub node_id: Text,
}

/// Params of `node.rename`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct RenameParams {
    /// The node.
    pub node_id: Text,
    /// Its new name.
    pub display_name: Label,
}

/// A node that is connected.
#[derive(Clone, Debug)]
pub struct Live {
    /// Its device.
    pub device: DeviceId,
    /// Since when.
    pub since: Millis,
    /// From where.
    pub address: Address,
    /// Which client it says it is.
    pub client: Client,
    /// What it says of itself and declares.
    pub says: Description,
}

/// Result of `node.pair.list`: newest first, and only what `sees` lets through.
#[must_use]
pub fn pair_list(registry: &Registry, sees_request: impl Fn(&Request) -> bool, sees_device: impl Fn(&Device) -> bool) -> Value {
    let mut requests: Vec<_> =
        registry.requests().filter(|request| request.role == Role::Node && sees_request(request)).collect();
    requests.sort_by_key(|request| std::cmp::Reverse((request.created_at, request.seq)));
    let mut nodes: Vec<_> = registry.devices().filter(|device| device.has(Role::Node) && sees_device(device)).collect();
    nodes.sort_by_key(|device| (std::cmp::Reverse(device.approved_at), device.id));
    json!({
        "pending": requests.into_iter().map(|request| pending(registry, request)).collect::<Vec<_>>(),
        "paired": nodes.into_iter().map(|device| paired(registry, device)).collect::<Vec<_>>(),
    })
}

/// A request that waits, as `node.pair.list` and `node.pair.requested` tell it.
#[must_use]
pub fn pending(registry: &Registry, request: &Request) -> Value {
    let mut entry = devices::pending(registry, request);
    if let Some(entry) = entry.as_object_mut() {
        entry.insert("nodeId".into(), request.device.to_string().into());
        insert_all(entry, [("version", &request.description.version), ("modelIdentifier", &request.description.model)]);
        // A role that is not operator is an admin's to give, whatever it offers.
        entry.insert("requiredApproveScopes".into(), json!([KnownScope::Pairing.as_str(), KnownScope::Admin.as_str()]));
    }
    entry
}

/// A paired node, as `node.pair.list` and `node.pair.approve` tell it: what it may offer of all that was approved.
#[must_use]
pub fn paired(registry: &Registry, device: &Device) -> Value {
    let mut entry = devices::paired(device, registry.activity(&device.id).map(AsRef::as_ref));
    if let Some(entry) = entry.as_object_mut() {
        entry.insert("nodeId".into(), device.id.to_string().into());
        insert_name(entry, device);
        let Description { version, model, .. } = &*device.description;
        insert_all(entry, [("version", version), ("modelIdentifier", model)]);
        insert_surface(entry, registry, device, &device.description);
    }
    entry
}

/// A node, as `node.list` and `node.describe` tell it: where it is connected, what it may offer of what it declares there, computed
/// now. `request` is what waits for it, where the asker may see that.
#[must_use]
pub fn known(registry: &Registry, device: &Device, live: Option<&Live>, request: Option<&Request>) -> Value {
    let (pinned, activity) = (&device.description, registry.activity(&device.id));
    let says = live.map_or(&**pinned, |live| &live.says);
    let client = live.map_or(device.client, |live| live.client);
    let mut entry = Map::new();
    entry.insert("nodeId".into(), device.id.to_string().into());
    let said = [
        ("displayName", &says.display_name),
        ("platform", &pinned.platform),
        ("deviceFamily", &pinned.family),
        ("version", &says.version),
        ("modelIdentifier", &says.model),
    ];
    insert_all(&mut entry, said);
    insert_name(&mut entry, device);
    entry.insert("clientId".into(), client.id.as_str().into());
    entry.insert("clientMode".into(), client.mode.as_str().into());
    devices::insert_address(&mut entry, live.map_or(device.address, |live| live.address));
    insert_surface(&mut entry, registry, device, says);
    let offers_nothing = pinned.caps.is_empty() && pinned.commands.is_empty();
    let state = match request {
        None => "approved",
        Some(_) if offers_nothing => "pending-approval",
        Some(_) => "pending-reapproval",
    };
    entry.insert("approvalState".into(), state.into());
    if let Some(request) = request {
        entry.insert("pendingRequestId".into(), request.id.to_string().into());
        entry.insert("pendingDeclaredCaps".into(), sorted(&request.description.caps));
        entry.insert("pendingDeclaredCommands".into(), sorted(&request.description.commands));
    }
    if let Some(live) = live {
        entry.insert("connectedAtMs".into(), live.since.0.into());
    }
    if let Some(Activity { last_seen, .. }) = activity.map(AsRef::as_ref).filter(|activity| activity.admissions > 0) {
        entry.insert("lastSeenAtMs".into(), last_seen.0.into());
    }
    entry.insert("approvedAtMs".into(), device.approved_at.0.into());
    entry.insert("paired".into(), true.into());
    entry.insert("connected".into(), live.is_some().into());
    Value::Object(entry)
}

/// Result of `node.pair.approve`.
#[must_use]
pub fn approved(registry: &Registry, request: &RequestId, device: &Device, note: Option<&Value>) -> Value {
    let mut result = json!({ "requestId": request.to_string(), "node": paired(registry, device) });
    if let (Some(note), Some(result)) = (note, result.as_object_mut()) {
        result.insert("note".into(), note.clone());
    }
    result
}

fn insert_surface(entry: &mut Map<String, Value>, registry: &Registry, device: &Device, declared: &Description) {
    let surface = may_offer(registry.policy(), &device.description, declared);
    entry.insert("caps".into(), sorted(&surface.caps));
    entry.insert("commands".into(), sorted(&surface.commands));
}

/// The name that an operator gave it, in place of the one that it gives itself.
fn insert_name(entry: &mut Map<String, Value>, device: &Device) {
    if let Some(label) = &device.label {
        entry.insert("displayName".into(), label.clone().into());
    }
}

fn insert_all<const N: usize>(entry: &mut Map<String, Value>, texts: [(&str, &Option<String>); N]) {
    entry.extend(texts.into_iter().filter_map(|(key, text)| Some((key.to_owned(), text.clone()?.into()))));
}

fn sorted(names: &[String]) -> Value {
    let mut names: Vec<_> = names.iter().map(String::as_str).collect();
    names.sort_unstable();
    names.dedup();
    names.into()
}
