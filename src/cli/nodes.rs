//! `openclaw nodes`: what of OpenClaw's command of this name concerns pairing, by the same words. Its requests are those of
//! `openclaw devices`. What runs something on a node is OpenClaw's own.

use clap::Subcommand;
use serde_json::{Value, json};

use super::devices::{entries, names, offers, owners_way, show_pending, strings, text};
use super::door::{Door, Purpose, Reach, request_params};
use super::output::Output;
use super::{Exit, Failure, World};

#[derive(Subcommand)]
pub(super) enum Command {
    /// List pending requests of nodes and paired nodes
    List {
        /// Only nodes that are connected
        #[arg(long)]
        connected: bool,
        #[command(flatten)]
        reach: Reach,
    },
    /// List nodes: where they are, and what they may offer
    Status {
        /// Only nodes that are connected
        #[arg(long)]
        connected: bool,
        #[command(flatten)]
        reach: Reach,
    },
    /// List pending requests of nodes
    Pending {
        #[command(flatten)]
        reach: Reach,
    },
    /// Tell what a node is and may offer
    Describe {
        #[command(flatten)]
        which: Which,
        #[command(flatten)]
        reach: Reach,
    },
    /// Approve a node's request
    Approve {
        /// The request
        #[arg(value_name = "REQUEST")]
        request: String,
        #[command(flatten)]
        reach: Reach,
    },
    /// Reject a node's request
    Reject {
        /// The request
        #[arg(value_name = "REQUEST")]
        request: String,
        #[command(flatten)]
        reach: Reach,
    },
    /// Remove a node; a device that is an operator too keeps being one
    Remove {
        #[command(flatten)]
        which: Which,
        #[command(flatten)]
        reach: Reach,
    },
    /// Give a node a name
    Rename {
        #[command(flatten)]
        which: Which,
        /// The name
        #[arg(long, value_name = "NAME")]
        name: String,
        #[command(flatten)]
        reach: Reach,
    },
}

#[derive(clap::Args)]
pub(super) struct Which {
    /// The node: its id, its name, or its address
    #[arg(long, value_name = "ID|NAME|IP")]
    node: String,
}

pub(super) async fn run(command: Command, world: &World, out: &Output) -> Result<(), Failure> {
    let (reach, purpose) = match &command {
        Command::List { reach, .. }
        | Command::Status { reach, .. }
        | Command::Pending { reach }
        | Command::Describe { reach, .. } => (reach, Purpose::Look),
        Command::Approve { reach, .. }
        | Command::Reject { reach, .. }
        | Command::Remove { reach, .. }
        | Command::Rename { reach, .. } => (reach, Purpose::Act),
    };
    out.speak_json(reach.json);
    let mut door = reach.open(world, purpose).await?;
    let done = act(&command, reach.json, &mut door, world, out).await;
    let is_owners = door.is_owners();
    door.close().await;
    let act = match &command {
        Command::Approve { request, .. } => format!("nodes approve {request}"),
        Command::Reject { request, .. } => format!("nodes reject {request}"),
        Command::Remove { which, .. } => format!("nodes remove --node {}", which.node),
        _ => return done,
    };
    done.map_err(|failure| if is_owners { failure } else { owners_way(failure, &act) })
}

async fn act(command: &Command, json: bool, door: &mut Door, world: &World, out: &Output) -> Result<(), Failure> {
    match command {
        Command::List { connected, .. } => {
            let mut list = door.call("node.pair.list", json!({})).await?;
            let nodes = known(*connected, door).await?;
            let seen = entries(&nodes, "nodes");
            if !json {
                return show(entries(&list, "pending"), seen, world, out);
            }
            if let Some(paired) = list.get_mut("paired").filter(|_| *connected).and_then(Value::as_array_mut) {
                paired.retain(|node| seen.iter().any(|seen| seen.get("nodeId") == node.get("nodeId")));
            }
            out.json(&list)
        }
        Command::Status { connected, .. } => {
            let nodes = known(*connected, door).await?;
            if json { out.json(&nodes) } else { show(&[], entries(&nodes, "nodes"), world, out) }
        }
        Command::Pending { .. } => {
            let list = door.call("node.pair.list", json!({})).await?;
            let pending = entries(&list, "pending");
            match pending {
                _ if json => out.json(&json!(pending)),
                [] => out.line("No pending pairing requests."),
                pending => show_pending(pending, world.host.wall(), out),
            }
        }
        Command::Describe { which, .. } => {
            let params = json!({ "nodeId": which.find(door).await? });
            let node = door.call("node.describe", params).await?;
            if json { out.json(&node) } else { describe(&node, out) }
        }
        Command::Approve { request, .. } => {
            let result = door.call("node.pair.approve", request_params(request)).await?;
            if json {
                return out.json(&result);
            }
            out.line(format_args!("Approved {} ({})", text(result.pointer("/node/nodeId")), text(result.get("requestId"))))?;
            result.get("note").and_then(Value::as_str).into_iter().for_each(|note| out.note(note));
            Ok(())
        }
        Command::Reject { request, .. } => {
            let result = door.call("node.pair.reject", request_params(request)).await?;
            if json { out.json(&result) } else { out.line(format_args!("Rejected {}", text(result.get("nodeId")))) }
        }
        Command::Remove { which, .. } => {
            let params = json!({ "nodeId": which.find(door).await? });
            let result = door.call("node.pair.remove", params).await?;
            if json { out.json(&result) } else { out.line(format_args!("Removed {}", text(result.get("nodeId")))) }
        }
        Command::Rename { which, name, .. } => {
            let params = json!({ "nodeId": which.find(door).await?, "displayName": name });
            let result = door.call("node.rename", params).await?;
            if json {
                return out.json(&result);
            }
            out.line(format_args!("Renamed {} to {}", text(result.get("nodeId")), text(result.get("displayName"))))
        }
    }
}

fn is_connected(node: &Value) -> bool {
    node.get("connected").and_then(Value::as_bool).unwrap_or_default()
}

/// All nodes, or those that are connected.
async fn known(connected: bool, door: &mut Door) -> Result<Value, Failure> {
    let mut list = door.call("node.list", json!({})).await?;
    if let Some(nodes) = list.get_mut("nodes").and_then(Value::as_array_mut) {
        nodes.retain(|node| !connected || is_connected(node));
    }
    Ok(list)
}

impl Which {
    /// The id that is meant. A name or an address may be that of several.
    async fn find(&self, door: &mut Door) -> Result<String, Failure> {
        let list = door.call("node.list", json!({})).await?;
        let is = |node: &&Value, key: &str| {
            node.get(key).and_then(Value::as_str).is_some_and(|text| text.eq_ignore_ascii_case(self.node.trim()))
        };
        let nodes = entries(&list, "nodes").iter();
        let by = |key: &'static str| nodes.clone().filter(|node| is(node, key)).map(|node| text(node.get("nodeId"))).collect();
        let found: [Vec<String>; 3] = [by("nodeId"), by("displayName"), by("remoteIp")];
        match found.into_iter().find(|found| !found.is_empty()).unwrap_or_default().as_slice() {
            [id] => Ok(id.clone()),
            // The gateway says what there is to say of an id that is no node's.
            [] => Ok(self.node.clone()),
            several => Err(Failure::new(Exit::Failed, format!("several nodes are called so; say which: {}", several.join(", ")))),
        }
    }
}

fn show(pending: &[Value], nodes: &[Value], world: &World, out: &Output) -> Result<(), Failure> {
    if pending.is_empty() && nodes.is_empty() {
        return out.line("No node pairing entries.");
    }
    if !pending.is_empty() {
        show_pending(pending, world.host.wall(), out)?;
    }
    if nodes.is_empty() {
        return Ok(());
    }
    out.line(format_args!("Paired ({})", nodes.len()))?;
    let row = |node: &Value| {
        vec![
            names(node, "nodeId"),
            if is_connected(node) { "connected" } else { "away" }.to_owned(),
            text(node.get("platform")),
            strings(node.get("caps")).join(", "),
            strings(node.get("commands")).len().to_string(),
            text(node.get("remoteIp")),
        ]
    };
    out.table(&["Node", "State", "Platform", "Caps", "Commands", "IP"], nodes.iter().map(row).collect())
}

fn describe(node: &Value, out: &Output) -> Result<(), Failure> {
    let (state, platform) = (if is_connected(node) { "connected" } else { "away" }, text(node.get("platform")));
    out.line(format_args!("{}: {state}, {}, {platform}", names(node, "nodeId"), text(node.get("approvalState"))))?;
    out.line(offers(node))
}
