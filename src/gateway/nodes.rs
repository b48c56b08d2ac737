//! The methods of nodes: the same requests, devices and commands as those of devices, for whoever looks at nodes only. A node pairs
//! by connecting, so there is nothing to ask for here.

use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::methods::{Caller, Desk, device_id, read, request_id};
use crate::pairing::{
    Command, Device, DeviceId, Registry, RequestId, Role, may_read_of, may_see_device, may_see_request, role_of,
};
use crate::wire::devices::{Nothing, RequestParams};
use crate::wire::error::{unknown_node, unknown_request};
use crate::wire::frame::WireError;
use crate::wire::nodes::{self, Live, NodeParams, RenameParams};

/// What is asked about nodes.
#[derive(Clone, Copy)]
pub(super) enum Method {
    List,
    Describe,
    PairList,
    Approve,
    Reject,
    Remove,
    Rename,
}

impl Desk {
    pub(super) async fn call_about_nodes(
        &self,
        caller: &Caller,
        served: Method,
        method: &str,
        params: Option<&RawValue>,
    ) -> Result<Value, WireError> {
        match served {
            Method::List => {
                read::<Nothing>(method, params)?;
                Ok(self.nodes(caller))
            }
            Method::Describe => {
                let id = node_id(&read::<NodeParams>(method, params)?)?;
                self.describe(caller, &id)
            }
            Method::PairList => {
                read::<Nothing>(method, params)?;
                let registry = self.authority.registry();
                Ok(nodes::pair_list(
                    &registry,
                    |request| may_see_request(&registry, &caller.actor, request),
                    |device| may_see_device(&registry, &caller.actor, &device.id),
                ))
            }
            Method::Approve => {
                let request = self.request(&read(method, params)?)?;
                let done = self.act(caller, Command::Approve { request }).await?;
                let registry = self.authority.registry();
                let device = registry.settled(&request).and_then(|settled| registry.device(&settled.device));
                Ok(match device {
                    Some(device) => nodes::approved(&registry, &request, device, done.get("note")),
                    // Approved long ago, and removed since.
                    None => as_node(done),
                })
            }
            Method::Reject => {
                let request = self.request(&read(method, params)?)?;
                Ok(as_node(self.act(caller, Command::Reject { request }).await?))
            }
            Method::Remove => {
                let id = node_id(&read::<NodeParams>(method, params)?)?;
                let others = self.other_roles(caller, &id)?;
                let command = match others {
                    true => Command::Revoke { device: id, role: Role::Node, with_approved: false },
                    false => Command::Remove { device: id, with_approved: false },
                };
                self.act(caller, command).await?;
                Ok(json!({ "nodeId": id.to_string() }))
            }
            Method::Rename => {
                let RenameParams { node_id: id, display_name } = read(method, params)?;
                let id = device_id(&id).map_err(|_| unknown_node())?;
                self.other_roles(caller, &id)?;
                let label = display_name.0;
                self.act(caller, Command::Rename { device: id, label: label.clone() }).await?;
                Ok(json!({ "nodeId": id.to_string(), "displayName": label }))
            }
        }
    }

    /// The request of a node that is meant; one of an operator is none.
    fn request(&self, params: &RequestParams) -> Result<RequestId, WireError> {
        let request = request_id(&params.request_id)?;
        match role_of(&self.authority.registry(), &request) {
            Some(Role::Operator) => Err(unknown_request()),
            Some(Role::Node) | None => Ok(request),
        }
    }

    /// Whether a node holds more than that role; to whoever may know of it, what is no node is unknown.
    fn other_roles(&self, caller: &Caller, id: &DeviceId) -> Result<bool, WireError> {
        let registry = self.authority.registry();
        let node = registry.device(id).filter(|device| device.has(Role::Node));
        if node.is_none() && may_see_device(&registry, &caller.actor, id) {
            return Err(unknown_node());
        }
        Ok(node.is_some_and(|device| Role::ALL.iter().any(|role| *role != Role::Node && device.has(*role))))
    }

    /// Who is connected first, then by name, as OpenClaw 2026.9.6.
    fn nodes(&self, caller: &Caller) -> Value {
        let registry = self.authority.registry();
        let live = self.hub.nodes();
        let seen = registry
            .devices()
            .filter(|device| device.has(Role::Node) && may_read_of(&registry, &caller.actor, &device.id))
            .map(|device| self.known(&registry, caller, device, &live));
        let mut nodes: Vec<_> = seen.collect();
        nodes.sort_by_cached_key(place);
        json!({ "ts": self.host.wall().0, "nodes": nodes })
    }

    fn describe(&self, caller: &Caller, id: &DeviceId) -> Result<Value, WireError> {
        let registry = self.authority.registry();
        let seen = registry.device(id).filter(|device| device.has(Role::Node) && may_read_of(&registry, &caller.actor, id));
        let mut node = self.known(&registry, caller, seen.ok_or_else(unknown_node)?, &self.hub.nodes());
        if let Some(node) = node.as_object_mut() {
            node.insert("ts".to_owned(), self.host.wall().0.into());
        }
        Ok(node)
    }

    fn known(&self, registry: &Registry, caller: &Caller, device: &Device, live: &[Live]) -> Value {
        let waiting = registry.waiting(&device.id, Role::Node);
        let request = waiting.filter(|request| may_see_request(registry, &caller.actor, request));
        let live = live.iter().find(|node| node.device == device.id);
        nodes::known(registry, device, live, request.map(AsRef::as_ref))
    }
}

fn node_id(params: &NodeParams) -> Result<DeviceId, WireError> {
    device_id(&params.node_id).map_err(|_| unknown_node())
}

/// The same answer about a node.
fn as_node(mut done: Value) -> Value {
    if let Some(done) = done.as_object_mut()
        && let Some(id) = done.remove("deviceId")
    {
        done.insert("nodeId".to_owned(), id);
    }
    done
}

/// Where a node stands in the list.
fn place(node: &Value) -> (bool, String, String) {
    let text = |key: &str| node.get(key).and_then(Value::as_str).unwrap_or_default();
    let is_connected = node.get("connected").and_then(Value::as_bool).unwrap_or_default();
    (!is_connected, text("displayName").to_lowercase(), text("nodeId").to_owned())
}
