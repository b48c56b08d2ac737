//! The order of policies: which of two is stricter, and key by key what differs.

use super::super::scopes::Role;
use super::budgets::span_text;
use super::terms::{Gives, LocalPeer, Metadata, Network, Switch, list_text};
use super::{NodeCommands, Policy};

/// A key by which two policies differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The key, such as `localCli` or `budgets.record`.
    pub key: String,
    /// What it says in the first of them, as the language has it; of commands only those that are not in the second.
    pub from: String,
    /// What it says in the second; of commands only those that are not in the first.
    pub to: String,
    /// What that means.
    pub way: Way,
}

/// Which way a change goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// Something is let in, or may happen, that was not.
    Looser,
    /// Something is not that was.
    Stricter,
    /// Neither.
    Other,
}

/// What a policy says at one place of its language.
struct Line {
    key: &'static str,
    part: Option<&'static str>,
    says: String,
}

impl Policy {
    /// The keys under which `wanted` would let in, or let happen, what this policy does not; also those that have no order,
    /// where more is more.
    #[must_use]
    pub fn loosened_by(&self, wanted: &Self) -> Vec<&'static str> {
        let mut looser: Vec<_> =
            self.lines().iter().filter(|line| self.is_loosened_at(line, wanted)).map(|line| line.key).collect();
        looser.dedup();
        looser
    }

    /// Whether this policy is at least as strict as `other`, by every key that has an order.
    #[must_use]
    pub fn is_within(&self, other: &Self) -> bool {
        other.loosened_by(self).into_iter().all(|key| matches!(key, "requestTtl" | "budgets"))
    }

    /// Key by key what is another in `wanted`.
    #[must_use]
    pub fn changes(&self, wanted: &Self) -> Vec<Change> {
        let both = self.lines().into_iter().zip(wanted.lines());
        let change = |(was, is): (Line, Line)| {
            let way = match (self.is_loosened_at(&was, wanted), wanted.is_loosened_at(&was, self)) {
                (true, _) => Way::Looser,
                (false, true) => Way::Stricter,
                (false, false) => Way::Other,
            };
            let key = was.part.map_or_else(|| was.key.to_owned(), |part| format!("{}.{part}", was.key));
            let is_another = was.says != is.says;
            let (from, to) = match was.part.filter(|_| was.key == "nodeCommands") {
                Some(family) => (self.only_here(wanted, family), wanted.only_here(self, family)),
                None => (was.says, is.says),
            };
            is_another.then_some(Change { key, from, to, way })
        };
        both.filter_map(change).collect()
    }

    /// Whether `wanted` is looser at this place, or not to be compared.
    fn is_loosened_at(&self, line: &Line, wanted: &Self) -> bool {
        let grows = |counts: &[(u32, u32)]| counts.iter().any(|(was, is)| is > was);
        let (was, is) = (&self.budgets, &wanted.budgets);
        let is_stricter = match (line.key, line.part) {
            ("localFirstPairing", _) => match (&self.local_first_pairing.0, &wanted.local_first_pairing.0) {
                (_, None) => true,
                (None, Some(_)) => false,
                (Some(was), Some(is)) => is.roles.0.is_subset(&was.roles.0) && is.scopes.is_within(Role::ALL, &was.scopes),
            },
            ("localPeer", _) => self.local_peer == LocalPeer::Loopback || wanted.local_peer == LocalPeer::OwnerUid,
            ("restAfterRemoval", _) => wanted.rest_after_removal || !self.rest_after_removal,
            ("ownerActsFromExec", _) => self.owner_acts_from_exec || !wanted.owner_acts_from_exec,
            ("localUpgrade", _) => match (&self.local_upgrade.0, &wanted.local_upgrade.0) {
                (_, None) => true,
                (None, Some(_)) => false,
                (Some(was), Some(is)) => was.scopes.covers(Role::Operator, &is.scopes),
            },
            ("trustedNodeCidrs", _) => {
                let is_in = |is: &Network| self.trusted_node_cidrs.iter().any(|was| was.contains(is));
                wanted.trusted_node_cidrs.iter().all(is_in)
            }
            ("localCli", _) => gives_less(&self.local_cli, &wanted.local_cli),
            ("localBackend", _) => gives_less(&self.local_backend, &wanted.local_backend),
            ("ceilings", _) => self.ceilings.iter().all(|was| wanted.ceilings.iter().any(|is| is.is_within(was))),
            ("nodeCommands", family) => {
                let of =
                    |policy: &Self| family.and_then(|family| policy.node_commands.0.get(family).cloned()).unwrap_or_default();
                of(wanted).is_subset(&of(self))
            }
            ("metadata", _) => self.metadata == Metadata::Family || wanted.metadata == Metadata::Exact,
            ("signatures", _) => wanted.signatures.0.iter().all(|form| self.signatures.0.contains(form)),
            ("requestTtl", _) => wanted.request_ttl.0 <= self.request_ttl.0,
            ("budgets", Some("record")) => !grows(&[
                (was.record.per_address, is.record.per_address),
                (was.record.per_device, is.record.per_device),
                (was.record.total, is.record.total),
            ]),
            // A shorter window forgets wrong guesses sooner.
            ("budgets", Some("failure")) => {
                let counts = [(was.failure.per_address, is.failure.per_address), (was.failure.total, is.failure.total)];
                !grows(&counts) && is.failure.window_ms >= was.failure.window_ms
            }
            ("budgets", Some("pending")) => {
                !grows(&[(was.pending.per_address, is.pending.per_address), (was.pending.total, is.pending.total)])
            }
            ("budgets", Some("socket")) => {
                !grows(&[(was.socket.per_address, is.socket.per_address), (was.socket.total, is.socket.total)])
            }
            // A key that nobody put in order must not pass for a stricter one.
            _ => false,
        };
        !is_stricter
    }

    /// The commands of a family that the other does not name.
    fn only_here(&self, other: &Self, family: &str) -> String {
        let of = |policy: &Self| policy.node_commands.0.get(family).cloned().unwrap_or_default();
        list_text(of(self).difference(&of(other)).map(String::as_str))
    }

    /// All that it says, in the order of the language.
    fn lines(&self) -> Vec<Line> {
        let line = |key, says: String| Line { key, part: None, says };
        let list = |items: Vec<String>| format!("[{}]", items.join(", "));
        let mut lines = vec![
            line("localFirstPairing", self.local_first_pairing.to_string()),
            line("localPeer", format!("\"{}\"", self.local_peer.as_str())),
            line("restAfterRemoval", self.rest_after_removal.to_string()),
            line("ownerActsFromExec", self.owner_acts_from_exec.to_string()),
            line("localUpgrade", self.local_upgrade.to_string()),
            line("trustedNodeCidrs", list(self.trusted_node_cidrs.iter().map(ToString::to_string).collect())),
            line("localCli", self.local_cli.to_string()),
            line("localBackend", self.local_backend.to_string()),
            line("ceilings", list(self.ceilings.iter().map(ToString::to_string).collect())),
        ];
        lines.extend(NodeCommands::FAMILIES.iter().map(|family| {
            let commands = self.node_commands.0.get(*family).into_iter().flatten();
            Line { key: "nodeCommands", part: Some(family), says: list_text(commands.map(String::as_str)) }
        }));
        lines.extend([
            line("metadata", format!("\"{}\"", self.metadata.as_str())),
            line("signatures", list_text(self.signatures.0.iter().map(|form| form.as_str()))),
            line("requestTtl", format!("\"{}\"", span_text(self.request_ttl.0))),
        ]);
        let budgets = &self.budgets;
        let (record, failure) = (&budgets.record, &budgets.failure);
        let (address, device, total, window) = (record.per_address, record.per_device, record.total, span_text(record.window_ms));
        let record = format!("{{ perAddress: {address}, perDevice: {device}, total: {total}, window: \"{window}\" }}");
        let (address, total, window) = (failure.per_address, failure.total, span_text(failure.window_ms));
        let failure = format!("{{ perAddress: {address}, total: {total}, window: \"{window}\" }}");
        let counts = |address: u32, total: u32| format!("{{ perAddress: {address}, total: {total} }}");
        let budget = |part, says| Line { key: "budgets", part: Some(part), says };
        lines.extend([
            budget("record", record),
            budget("failure", failure),
            budget("pending", counts(budgets.pending.per_address, budgets.pending.total)),
            budget("socket", counts(budgets.socket.per_address, budgets.socket.total)),
        ]);
        lines
    }
}

fn gives_less(was: &Switch<Gives>, is: &Switch<Gives>) -> bool {
    match (&was.0, &is.0) {
        (_, None) => true,
        (None, Some(_)) => false,
        (Some(was), Some(is)) => is.scopes.is_within(&[Role::Operator], &was.scopes),
    }
}

#[cfg(test)]
impl Policy {
    pub(super) fn lines_of_keys(&self) -> std::collections::BTreeSet<&'static str> {
        self.lines().iter().map(|line| line.key).collect()
    }

    /// It, as the language has it, but for the version.
    pub(super) fn written(&self) -> String {
        let mut parts = vec![];
        for line in self.lines() {
            match line.part {
                None => parts.push(format!("{}: {}", line.key, line.says)),
                Some(_) if parts.iter().any(|part: &String| part.starts_with(line.key)) => {}
                Some(_) => {
                    let all = self.lines();
                    let of = all.iter().filter(|other| other.key == line.key);
                    let of = of.map(|other| format!("{}: {}", other.part.unwrap_or_default(), other.says));
                    parts.push(format!("{}: {{ {} }}", line.key, of.collect::<Vec<_>>().join(", ")));
                }
            }
        }
        parts.join(", ")
    }
}
