//! Policy as data, and the questions it answers. The document is JSON5 of a closed language: every key has a default and an
//! unknown key is an error. It counts only as the journal holds it, which is why this room reads a text, in one file below.

mod advice;
mod budgets;
mod language;
mod order;
mod questions;
mod terms;

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use super::identity::normal;
pub use advice::{Spares, Warning};
pub use budgets::{Budgets, FailureBudget, PendingBudget, RecordBudget, SocketBudget};
pub use language::{Flaw, PolicyError, json5_depth, policy_digest};
pub use order::{Change, Way};
use terms::{Ceiling, FirstPairing, Forms, Gives, List, LocalPeer, Metadata, Network, One, RequestTtl, Switch, Upgrade};

/// The policy of a new journal: every key at its default, spelled out but for the long lists of `nodeCommands`.
pub const DEFAULT: &str = include_str!("policy/default.json5");

/// The preset in which a person is asked for everything.
pub const STRICT: &str = include_str!("policy/strict.json5");

/// The rules in force.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Policy {
    version: One,
    #[serde(default = "Switch::first_pairing")]
    local_first_pairing: Switch<FirstPairing>,
    #[serde(default)]
    local_peer: LocalPeer,
    #[serde(default)]
    rest_after_removal: bool,
    #[serde(default)]
    owner_acts_from_exec: bool,
    #[serde(default = "Switch::off")]
    local_upgrade: Switch<Upgrade>,
    #[serde(default)]
    trusted_node_cidrs: List<Network>,
    #[serde(default = "Switch::on")]
    local_cli: Switch<Gives>,
    #[serde(default = "Switch::on")]
    local_backend: Switch<Gives>,
    #[serde(default)]
    ceilings: List<Ceiling>,
    #[serde(default)]
    node_commands: NodeCommands,
    #[serde(default)]
    metadata: Metadata,
    #[serde(default)]
    signatures: Forms,
    #[serde(default)]
    request_ttl: RequestTtl,
    #[serde(default)]
    budgets: Budgets,
}

impl Policy {
    /// A policy under which every rule that spares a person is off: what counts where a journalled text cannot be read.
    #[must_use]
    pub fn closed() -> Self {
        Self {
            version: One,
            local_first_pairing: Switch(None),
            local_peer: LocalPeer::OwnerUid,
            rest_after_removal: true,
            owner_acts_from_exec: false,
            local_upgrade: Switch(None),
            trusted_node_cidrs: List::default(),
            local_cli: Switch(None),
            local_backend: Switch(None),
            ceilings: List::default(),
            node_commands: NodeCommands::none(),
            metadata: Metadata::Exact,
            signatures: Forms(vec![terms::Form::V3]),
            request_ttl: RequestTtl::default(),
            budgets: Budgets::default(),
        }
    }
}

/// The presets by their names.
pub const PRESETS: [(&str, &str); 2] = [("default", DEFAULT), ("strict", STRICT)];

/// Whether a claimed text is another than the pinned one. An absent claim is none, and neither is an absent pin.
#[must_use]
pub(super) fn differs(pinned: Option<&str>, claimed: Option<&str>) -> bool {
    matches!((pinned, claimed), (Some(pinned), Some(claimed)) if normal(pinned) != normal(claimed))
}

/// Platforms that no family is known for.
const UNKNOWN_FAMILY: &str = "unknown";

/// The commands that a node may offer, by the family of its pinned platform.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(from = "BTreeMap<Family, List<String>>")]
struct NodeCommands(BTreeMap<String, BTreeSet<String>>);

impl NodeCommands {
    const FAMILIES: [&str; 7] = {
        let mut families = [""; 7];
        let mut n = 0;
        while n < families.len() {
            families[n] = NODE_COMMANDS[n].0;
            n += 1;
        }
        families
    };

    fn none() -> Self {
        Self(BTreeMap::new())
    }
}

impl Default for NodeCommands {
    fn default() -> Self {
        let listed = |text: &str| text.split_ascii_whitespace().map(str::to_owned).collect();
        Self(NODE_COMMANDS.iter().map(|(family, commands)| ((*family).to_owned(), listed(commands))).collect())
    }
}

/// A family that is named has what its list says, one that is not what it has by default.
impl From<BTreeMap<Family, List<String>>> for NodeCommands {
    fn from(lists: BTreeMap<Family, List<String>>) -> Self {
        let Self(mut all) = Self::default();
        all.extend(lists.into_iter().map(|(Family(family), List(commands))| (family, commands.into_iter().collect())));
        Self(all)
    }
}

/// A platform family by its name.
#[derive(PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
struct Family(String);

impl TryFrom<String> for Family {
    type Error = String;

    fn try_from(family: String) -> Result<Self, String> {
        if NodeCommands::FAMILIES.contains(&&*family) {
            return Ok(Self(family));
        }
        Err(format!("no platform family is called \"{family}\"; there are {}", NodeCommands::FAMILIES.join(", ")))
    }
}

/// What a node may offer where the policy does not say, once a person approved it: what OpenClaw 2026.3.13 or 2026.9.6 allows on
/// such a platform by itself, without what they call dangerous (taking pictures and recording, adding to what a person keeps,
/// messages, health) and without what a gateway asks of its own workers. To run programs is what a node host of a desktop is for.
/// It belongs to version 1 of the language and never changes: what a journal decided is decided again by it.
const NODE_COMMANDS: [(&str, &str); 7] = [
    (
        "android",
        "calendar.events callLog.search camera.list canvas.a2ui.push canvas.a2ui.pushJSONL canvas.a2ui.reset canvas.eval \
         canvas.hide canvas.navigate canvas.present canvas.snapshot contacts.search device.apps device.health device.info \
         device.permissions device.status location.get mobile.ui.act mobile.ui.observe motion.activity motion.pedometer \
         notifications.actions notifications.list photos.latest reminders.list system.notify talk.ptt.cancel talk.ptt.once \
         talk.ptt.start talk.ptt.stop",
    ),
    (
        "ios",
        "calendar.events camera.list canvas.a2ui.push canvas.a2ui.pushJSONL canvas.a2ui.reset canvas.eval canvas.hide \
         canvas.navigate canvas.present canvas.snapshot contacts.search device.info device.status location.get motion.activity \
         motion.pedometer photos.latest reminders.list system.notify talk.ptt.cancel talk.ptt.once talk.ptt.start talk.ptt.stop \
         watch.notify watch.status",
    ),
    (
        "linux",
        "agent.cli.claude.run.v1 browser.proxy browser.proxy.upload.v1 camera.list computer.act desktop.stream fs.listDir \
         location.get mcp.tools.call.v1 ollama.chat ollama.models screen.snapshot system.execApprovals.get \
         system.execApprovals.set system.notify system.run system.run.prepare system.which terminal.upload",
    ),
    (
        "macos",
        "agent.cli.claude.run.v1 browser.proxy browser.proxy.upload.v1 calendar.events camera.list camera.ptz.status \
         canvas.a2ui.push canvas.a2ui.pushJSONL canvas.a2ui.reset canvas.eval canvas.hide canvas.navigate canvas.present \
         canvas.snapshot computer.act contacts.search desktop.stream device.apps device.info device.status fs.listDir \
         location.get logbook.snapshot mcp.tools.call.v1 motion.activity motion.pedometer ollama.chat ollama.models \
         photos.latest reminders.list screen.snapshot \
         system.execApprovals.get system.execApprovals.set system.notify system.run system.run.prepare system.which \
         talk.ptt.cancel talk.ptt.once talk.ptt.start talk.ptt.stop terminal.upload",
    ),
    ("watchos", "device.info device.status system.notify"),
    (
        "windows",
        "agent.cli.claude.run.v1 browser.proxy browser.proxy.upload.v1 camera.list computer.act desktop.stream device.info \
         device.status fs.listDir location.get mcp.tools.call.v1 ollama.chat ollama.models screen.snapshot system.execApprovals.get \
         system.execApprovals.set system.notify system.run system.run.prepare system.which terminal.upload",
    ),
    // Of a platform that nobody vouched for, or that is none, as 2026.9.6.
    (UNKNOWN_FAMILY, "camera.list location.get system.notify"),
];

#[cfg(test)]
mod tests;
