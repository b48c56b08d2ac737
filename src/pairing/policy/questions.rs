//! The questions that `decide` asks of a policy.

use super::super::event::{
    Address, AuthMode, Client, ClientId, ClientMode, Credential, Forwarding, PeerUser, Rule, SharedVerdict, Source,
};
use super::super::identity::{SignatureForm, platform_family};
use super::super::ids::Millis;
use super::super::scopes::{KnownScope, Role, ScopeSet};
use super::budgets::Budgets;
use super::terms::{LocalPeer, Metadata};
use super::{Policy, UNKNOWN_FAMILY};

/// Who a backend helper says it is.
const BACKEND: Client = Client { id: ClientId::GatewayClient, mode: ClientMode::Backend };

impl Policy {
    /// Whether a connection is *local*, and if not, the first thing that makes it remote.
    ///
    /// # Errors
    /// The thing, in words for a person.
    pub fn local(&self, source: &Source) -> Result<(), &'static str> {
        if !source.peer.is_loopback() {
            return Err("the peer is not on this machine");
        }
        if source.forwarding != Forwarding::None || source.claimed.is_some() {
            return Err("a forwarding header came with it");
        }
        if source.is_page {
            return Err("a browser's page asked");
        }
        if !source.host_is_loopback {
            return Err("its Host header does not name loopback");
        }
        match (self.local_peer, source.user) {
            (LocalPeer::Loopback, _) | (LocalPeer::OwnerUid, PeerUser::Owner | PeerUser::Untold) => Ok(()),
            (LocalPeer::OwnerUid, _) => Err("its process does not belong to the owner"),
        }
    }

    /// Whether the shared secret, or its absence in mode none, lets a first local pairing happen.
    #[must_use]
    pub fn trusts(&self, credential: &Credential) -> bool {
        credential.mode == AuthMode::None || credential.shared == SharedVerdict::Right
    }

    /// Whether a first local pairing of this client for this role and these scopes is approved without a person. A backend
    /// helper has a rule of its own, which pairs nothing: were it paired where that one is off, the stricter policy gave more.
    #[must_use]
    pub fn pairs_first(&self, client: Client, role: Role, scopes: &ScopeSet) -> bool {
        let has_its_own = role == Role::Operator && client == BACKEND;
        self.local_first_pairing
            .0
            .as_ref()
            .filter(|_| !has_its_own)
            .is_some_and(|rule| rule.roles.0.contains(&role) && rule.scopes.limit(role, scopes) == *scopes)
    }

    /// The scopes that a local CLI without a device gets of those it asks for, where the rule is on.
    #[must_use]
    pub fn gives_cli(&self, client: Client, scopes: &ScopeSet) -> Option<ScopeSet> {
        let is_cli = client == Client { id: ClientId::Cli, mode: ClientMode::Cli };
        self.local_cli.0.as_ref().filter(|_| is_cli).map(|rule| rule.scopes.limit(Role::Operator, scopes))
    }

    /// The scopes that a local backend helper, without a device or with one never seen, gets of those it asks for.
    #[must_use]
    pub fn gives_backend(&self, client: Client, scopes: &ScopeSet) -> Option<ScopeSet> {
        self.local_backend.0.as_ref().filter(|_| client == BACKEND).map(|rule| rule.scopes.limit(Role::Operator, scopes))
    }

    /// Whether this local rule gives everything to whoever asks for it, so that it lets in the person at this host.
    #[must_use]
    pub fn lets_in_the_host(&self, rule: Rule) -> bool {
        let admin: ScopeSet = [KnownScope::Admin].into_iter().collect();
        let gives = match rule {
            Rule::LocalCli => &self.local_cli,
            Rule::LocalBackend => &self.local_backend,
            _ => return false,
        };
        gives.0.as_ref().is_some_and(|gives| gives.scopes.limit(Role::Operator, &admin) == admin)
    }

    /// Whether a local rule rests once a person took away what it had let in.
    #[must_use]
    pub fn rests_after_removal(&self) -> bool {
        self.rest_after_removal
    }

    /// Whether the owner's acts that widen are taken from a shell of OpenClaw's agent.
    #[must_use]
    pub fn takes_acts_from_exec(&self) -> bool {
        self.owner_acts_from_exec
    }

    /// Whether a paired local device gets these scopes as operator without a person.
    #[must_use]
    pub fn upgrades_locally(&self, scopes: &ScopeSet) -> bool {
        self.local_upgrade.0.as_ref().is_some_and(|upgrade| upgrade.scopes.covers(Role::Operator, scopes))
    }

    /// Whether nodes at this address are paired for no scopes without a person.
    #[must_use]
    pub fn trusts_node_at(&self, address: Address) -> bool {
        self.trusted_node_cidrs.iter().any(|network| network.holds(address))
    }

    /// What of `scopes` is beyond the first ceiling that it is beyond, and that ceiling's name. The client is the one that was
    /// pinned when the device was paired; of one that is not, the one that it claims.
    #[must_use]
    pub fn denies(&self, client: Client, role: Role, scopes: &ScopeSet) -> Option<(String, ScopeSet)> {
        let mut beyond = self
            .ceilings
            .iter()
            .enumerate()
            .filter(|(_, ceiling)| ceiling.is_over(client, role))
            .map(|(n, ceiling)| (format!("ceilings[{n}]"), scopes.missing_from(role, &ceiling.scopes)));
        beyond.find(|(_, beyond)| !beyond.is_empty())
    }

    /// Those of `scopes` that are beyond no ceiling over this client.
    #[must_use]
    pub fn under_ceilings(&self, client: Client, role: Role, scopes: &ScopeSet) -> ScopeSet {
        let over = self.ceilings.iter().filter(|ceiling| ceiling.is_over(client, role));
        over.fold(scopes.clone(), |scopes, ceiling| scopes.within(role, &ceiling.scopes))
    }

    /// Those of `commands` that a node of this pinned platform may offer.
    #[must_use]
    pub fn lets_offer<'a>(&self, platform: Option<&str>, commands: &'a [String]) -> Vec<&'a str> {
        let family = platform.and_then(platform_family).unwrap_or(UNKNOWN_FAMILY);
        let allowed = self.node_commands.0.get(family);
        commands.iter().map(String::as_str).filter(|command| allowed.is_some_and(|allowed| allowed.contains(*command))).collect()
    }

    /// The budgets.
    #[must_use]
    pub fn budgets(&self) -> &Budgets {
        &self.budgets
    }

    /// Whether a device may sign in this form.
    #[must_use]
    pub fn accepts(&self, form: SignatureForm) -> bool {
        self.signatures.0.iter().any(|known| known.form() == form)
    }

    /// Whether a change of platform may pass without a person.
    #[must_use]
    pub fn lets_platform_change(&self, pinned: &str, claimed: &str) -> bool {
        let family = platform_family(pinned);
        self.metadata == Metadata::Family && family.is_some() && family == platform_family(claimed)
    }

    /// When a request that was last asked for at `last` runs out.
    #[must_use]
    pub fn due(&self, last: Millis) -> Millis {
        last.plus(self.request_ttl.0)
    }
}
