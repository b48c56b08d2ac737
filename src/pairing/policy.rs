//! Policy as data, and the questions it answers. The document is JSON5 of a closed language: every key has a default and an
//! unknown key is an error. It counts only as the journal holds it, which is why this file alone in the room reads a text.

use std::collections::{BTreeMap, BTreeSet};

use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

use super::event::{
    Address, AuthMode, Client, ClientId, ClientMode, Credential, Forwarding, PeerUser, Rule, SharedVerdict, Source,
};
use super::identity::{SignatureForm, normal, platform_family};
use super::ids::Millis;
use super::scopes::{KnownScope, Role, ScopeSet};
use crate::limits::{self, Bounds};

/// The policy of a new journal: every key at its default, spelled out.
pub const DEFAULT: &str = include_str!("policy/default.json5");

/// The preset in which a person is asked for everything.
pub const STRICT: &str = include_str!("policy/strict.json5");

/// Who a backend helper says it is.
const BACKEND: Client = Client { id: ClientId::GatewayClient, mode: ClientMode::Backend };

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
    trusted_node_cidrs: Vec<Network>,
    #[serde(default = "Switch::on")]
    local_cli: Switch<Gives>,
    #[serde(default = "Switch::on")]
    local_backend: Switch<Gives>,
    #[serde(default)]
    ceilings: Vec<Ceiling>,
    #[serde(default)]
    node_commands: NodeCommands,
    #[serde(default)]
    metadata: Metadata,
    #[serde(default = "both_forms")]
    signatures: Vec<Form>,
    #[serde(default)]
    request_ttl: RequestTtl,
    #[serde(default)]
    budgets: Budgets,
}

/// A document that is no policy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    /// Too large.
    #[error("the policy is larger than {} bytes", limits::POLICY_BYTES)]
    TooLarge,
    /// Nested too deep.
    #[error("the policy is nested deeper than {} levels", limits::JSON5_DEPTH)]
    TooDeep,
    /// Not JSON5, or not of the language.
    #[error("{0}")]
    Malformed(String),
}

impl Policy {
    /// Reads a policy document.
    ///
    /// # Errors
    /// [`PolicyError`], naming the line where the parser knows it.
    pub fn parse(text: &str) -> Result<Self, PolicyError> {
        if text.len() > limits::POLICY_BYTES {
            return Err(PolicyError::TooLarge);
        }
        if json5_depth(text) > limits::JSON5_DEPTH {
            return Err(PolicyError::TooDeep);
        }
        json5::from_str(text).map_err(|error| PolicyError::Malformed(error.to_string()))
    }

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
            trusted_node_cidrs: vec![],
            local_cli: Switch(None),
            local_backend: Switch(None),
            ceilings: vec![],
            node_commands: NodeCommands::none(),
            metadata: Metadata::Exact,
            signatures: vec![Form::V3],
            request_ttl: RequestTtl::default(),
            budgets: Budgets::default(),
        }
    }

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
            .is_some_and(|rule| rule.roles.iter().any(|name| name == role.as_str()) && rule.scopes.limit(role, scopes) == *scopes)
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

    /// The keys under which `wanted` would let in, or let happen, what this policy does not; also those that POLICY.md gives no
    /// order, where more is more.
    #[must_use]
    pub fn loosened_by(&self, wanted: &Self) -> Vec<&'static str> {
        let budgets = |policy: &Self| {
            let Budgets { record, failure, pending, socket } = policy.budgets;
            let counts = [record.per_address, record.per_device, record.total, failure.per_address, failure.total];
            (counts, [pending.per_address, pending.total, socket.per_address, socket.total])
        };
        let ((was, waits), (is, wait)) = (budgets(self), budgets(wanted));
        let grows = |was: &[u32], is: &[u32]| was.iter().zip(is).any(|(was, is)| is > was);
        let (fails, fail) = (self.budgets.failure.window_ms, wanted.budgets.failure.window_ms);
        let mut looser =
            self.order(wanted).into_iter().filter(|(_, is_looser)| *is_looser).map(|(key, _)| key).collect::<Vec<_>>();
        looser.extend((wanted.request_ttl.0 > self.request_ttl.0).then_some("requestTtl"));
        // A shorter window forgets wrong guesses sooner.
        looser.extend((grows(&was, &is) || grows(&waits, &wait) || fail < fails).then_some("budgets"));
        looser
    }

    /// Whether this policy is at least as strict as `other`, by every key that has an order.
    #[must_use]
    pub fn is_within(&self, other: &Self) -> bool {
        other.order(self).iter().all(|(_, is_looser)| !is_looser)
    }

    /// Each key that has an order, and whether `wanted` is looser by it, or not to be compared.
    fn order(&self, wanted: &Self) -> [(&'static str, bool); 12] {
        let looser = |is_stricter: bool| !is_stricter;
        let given = |was: &Switch<Gives>, is: &Switch<Gives>| match (&was.0, &is.0) {
            (_, None) => true,
            (None, Some(_)) => false,
            (Some(was), Some(is)) => is.scopes.is_within(&[Role::Operator], &was.scopes),
        };
        let first = match (&self.local_first_pairing.0, &wanted.local_first_pairing.0) {
            (_, None) => true,
            (None, Some(_)) => false,
            (Some(was), Some(is)) => {
                is.roles.iter().all(|role| was.roles.contains(role)) && is.scopes.is_within(Role::ALL, &was.scopes)
            }
        };
        let upgrade = match (&self.local_upgrade.0, &wanted.local_upgrade.0) {
            (_, None) => true,
            (None, Some(_)) => false,
            (Some(was), Some(is)) => was.scopes.covers(Role::Operator, &is.scopes),
        };
        let networks = |was: &[Network], is: &[Network]| is.iter().all(|is| was.iter().any(|was| was.contains(is)));
        let ceilings = self.ceilings.iter().all(|was| wanted.ceilings.iter().any(|is| is.is_within(was)));
        let commands = NodeCommands::FAMILIES.iter().all(|family| {
            let of = |policy: &Self| policy.node_commands.0.get(*family).cloned().unwrap_or_default();
            of(wanted).is_subset(&of(self))
        });
        [
            ("localFirstPairing", looser(first)),
            ("localPeer", looser(self.local_peer == LocalPeer::Loopback || wanted.local_peer == LocalPeer::OwnerUid)),
            ("restAfterRemoval", looser(wanted.rest_after_removal || !self.rest_after_removal)),
            ("ownerActsFromExec", looser(self.owner_acts_from_exec || !wanted.owner_acts_from_exec)),
            ("localUpgrade", looser(upgrade)),
            ("trustedNodeCidrs", looser(networks(&self.trusted_node_cidrs, &wanted.trusted_node_cidrs))),
            ("localCli", looser(given(&self.local_cli, &wanted.local_cli))),
            ("localBackend", looser(given(&self.local_backend, &wanted.local_backend))),
            ("ceilings", looser(ceilings)),
            ("nodeCommands", looser(commands)),
            ("metadata", looser(self.metadata == Metadata::Family || wanted.metadata == Metadata::Exact)),
            ("signatures", looser(wanted.signatures.iter().all(|form| self.signatures.contains(form)))),
        ]
    }

    /// The budgets.
    #[must_use]
    pub fn budgets(&self) -> &Budgets {
        &self.budgets
    }

    /// Whether a device may sign in this form.
    #[must_use]
    pub fn accepts(&self, form: SignatureForm) -> bool {
        self.signatures.iter().any(|known| known.form() == form)
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

/// Whether a claimed text is another than the pinned one. An absent claim is none, and neither is an absent pin.
#[must_use]
pub(super) fn differs(pinned: Option<&str>, claimed: Option<&str>) -> bool {
    matches!((pinned, claimed), (Some(pinned), Some(claimed)) if normal(pinned) != normal(claimed))
}

/// How deep brackets nest in a JSON5 text, those inside strings and comments counted too: a bound, not a parse.
#[must_use]
pub fn json5_depth(text: &str) -> usize {
    let mut depth = 0_usize;
    let mut deepest = 0;
    for byte in text.bytes() {
        match byte {
            b'[' | b'{' => depth = depth.saturating_add(1),
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    deepest
}

// --- the language ---------------------------------------------------------------------------------------------------

/// The number 1: the only version of the language so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(try_from = "u8")]
struct One;

impl TryFrom<u8> for One {
    type Error = String;

    fn try_from(version: u8) -> Result<Self, String> {
        if version == 1 { Ok(Self) } else { Err(format!("policy version {version} is not known; this program knows version 1")) }
    }
}

/// A rule, or `false`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(from = "SwitchText<T>", bound(deserialize = "T: Deserialize<'de>"))]
struct Switch<T>(Option<T>);

#[derive(Deserialize)]
#[serde(untagged)]
enum SwitchText<T> {
    Off(Off),
    On(T),
}

#[derive(Deserialize)]
#[serde(try_from = "bool")]
struct Off;

impl TryFrom<bool> for Off {
    type Error = &'static str;

    fn try_from(on: bool) -> Result<Self, Self::Error> {
        if on { Err("a rule is false or its terms") } else { Ok(Self) }
    }
}

impl<T> From<SwitchText<T>> for Switch<T> {
    fn from(text: SwitchText<T>) -> Self {
        match text {
            SwitchText::Off(Off) => Self(None),
            SwitchText::On(rule) => Self(Some(rule)),
        }
    }
}

impl Switch<FirstPairing> {
    fn first_pairing() -> Self {
        let roles = Role::ALL.iter().map(|role| role.as_str().to_owned()).collect();
        Self(Some(FirstPairing { roles, scopes: Scopes::Asked }))
    }
}

impl<T> Switch<T> {
    fn off() -> Self {
        Self(None)
    }
}

impl Switch<Gives> {
    fn on() -> Self {
        Self(Some(Gives { scopes: Scopes::Asked }))
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(deny_unknown_fields)]
struct FirstPairing {
    roles: Vec<String>,
    scopes: Scopes,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(deny_unknown_fields)]
struct Gives {
    scopes: Scopes,
}

/// `"asked"`, or a list beyond which nothing is given.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(try_from = "ScopesText")]
enum Scopes {
    Asked,
    Within(ScopeSet),
}

#[derive(Deserialize)]
#[serde(untagged)]
enum ScopesText {
    Word(String),
    List(Vec<String>),
}

impl TryFrom<ScopesText> for Scopes {
    type Error = String;

    fn try_from(text: ScopesText) -> Result<Self, String> {
        match text {
            ScopesText::Word(word) if word == "asked" => Ok(Self::Asked),
            ScopesText::Word(word) => Err(format!("scopes is \"asked\" or a list, not \"{word}\"")),
            ScopesText::List(list) => {
                ScopeSet::parse(list.iter().map(String::as_str)).map(Self::Within).map_err(|error| error.to_string())
            }
        }
    }
}

impl Scopes {
    /// Whether it gives no more than `other`, whichever of the roles asks.
    fn is_within(&self, roles: &[Role], other: &Self) -> bool {
        match (self, other) {
            (_, Self::Asked) => true,
            (Self::Asked, Self::Within(_)) => false,
            (Self::Within(own), Self::Within(other)) => roles.iter().all(|role| other.covers(*role, own)),
        }
    }

    /// Those of `asked` that are given.
    fn limit(&self, role: Role, asked: &ScopeSet) -> ScopeSet {
        match self {
            Self::Asked => asked.clone(),
            Self::Within(limit) => asked.within(role, limit),
        }
    }
}

/// Scopes that a paired local device gets by rule.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(deny_unknown_fields)]
struct Upgrade {
    scopes: KnownScopes,
}

/// A list of scopes that some release knows: what no release knows would be a slip of the pen.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(try_from = "Vec<String>")]
struct KnownScopes(ScopeSet);

impl TryFrom<Vec<String>> for KnownScopes {
    type Error = String;

    fn try_from(texts: Vec<String>) -> Result<Self, String> {
        if let Some(unknown) = texts.iter().find(|text| KnownScope::from_text(text).is_none()) {
            return Err(format!("no release of OpenClaw knows the scope \"{unknown}\""));
        }
        ScopeSet::parse(texts.iter().map(String::as_str)).map(Self).map_err(|error| error.to_string())
    }
}

impl std::ops::Deref for KnownScopes {
    type Target = ScopeSet;

    fn deref(&self) -> &ScopeSet {
        &self.0
    }
}

/// A network, as `address/bits`. One that holds loopback would trust whatever passes through this host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(try_from = "String")]
struct Network {
    /// Its first address, IPv4 as mapped.
    first: u128,
    /// How many bits of it all its addresses share.
    bits: u32,
}

impl Network {
    /// `127.0.0.0/8` and `::1`.
    const LOOPBACK: [Self; 2] = [Self { first: 0xffff_7f00_0000, bits: 104 }, Self { first: 1, bits: 128 }];

    fn holds(&self, address: Address) -> bool {
        let differs = u128::from(address.0) ^ self.first;
        differs.leading_zeros() >= self.bits
    }

    /// Whether all of `other` is in it.
    fn contains(&self, other: &Self) -> bool {
        self.bits <= other.bits && (self.first ^ other.first).leading_zeros() >= self.bits
    }
}

impl TryFrom<String> for Network {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let malformed =
            || format!("a network is an address and how many bits of it count, such as \"192.168.1.0/24\", not \"{text}\"");
        let (address, bits) = text.split_once('/').ok_or_else(malformed)?;
        let ip: std::net::IpAddr = address.parse().map_err(|_| malformed())?;
        let bits: u32 = bits.parse().map_err(|_| malformed())?;
        let (width, ahead) = if ip.is_ipv4() { (32, 96) } else { (128, 0) };
        if bits > width {
            return Err(malformed());
        }
        let network = Self { first: Address::from(ip).0.into(), bits: bits.saturating_add(ahead) };
        let mask = u128::MAX.checked_shl(128_u32.saturating_sub(network.bits)).unwrap_or(0);
        if network.first & !mask != 0 {
            return Err(format!("\"{text}\" names an address inside a network; the network's first address is meant"));
        }
        if Self::LOOPBACK.iter().any(|inside| network.contains(inside) || inside.contains(&network)) {
            return Err(format!("\"{text}\" holds loopback, so whatever a proxy on this host passes on would be trusted"));
        }
        Ok(network)
    }
}

/// What nobody of some kind may have, whoever approves it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Ceiling {
    role: Option<RoleText>,
    client_id: Option<ClientIdText>,
    client_mode: Option<ClientModeText>,
    scopes: KnownScopes,
}

impl Ceiling {
    /// Whether whatever is beyond `other` is beyond this one.
    fn is_within(&self, other: &Self) -> bool {
        fn is_wider<T: PartialEq>(own: &Option<T>, other: &Option<T>) -> bool {
            own.is_none() || own == other
        }
        is_wider(&self.role, &other.role)
            && is_wider(&self.client_id, &other.client_id)
            && is_wider(&self.client_mode, &other.client_mode)
            && Role::ALL.iter().all(|role| other.scopes.covers(*role, &self.scopes))
    }

    fn is_over(&self, client: Client, role: Role) -> bool {
        self.role.is_none_or(|own| own.0 == role)
            && self.client_id.is_none_or(|own| own.0 == client.id)
            && self.client_mode.is_none_or(|own| own.0 == client.mode)
    }
}

macro_rules! by_text {
    ($($(#[$doc:meta])* $name:ident: $list:ident, $what:literal),+) => { $(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
        #[serde(try_from = "String")]
        struct $name($list);

        impl TryFrom<String> for $name {
            type Error = String;

            fn try_from(text: String) -> Result<Self, String> {
                $list::from_text(&text).map(Self).ok_or_else(|| format!(concat!("no ", $what, " is called \"{}\""), text))
            }
        }
    )+ };
}

by_text!(
    /// A role by its text.
    RoleText: Role, "role",
    /// A client id by its text.
    ClientIdText: ClientId, "client id",
    /// A client mode by its text.
    ClientModeText: ClientMode, "client mode"
);

/// Platforms that no family is known for.
const UNKNOWN_FAMILY: &str = "unknown";

/// The commands that a node may offer, by the family of its pinned platform.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(try_from = "BTreeMap<String, Vec<String>>")]
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
impl TryFrom<BTreeMap<String, Vec<String>>> for NodeCommands {
    type Error = String;

    fn try_from(lists: BTreeMap<String, Vec<String>>) -> Result<Self, String> {
        let Self(mut all) = Self::default();
        for (family, commands) in lists {
            if !all.contains_key(&family) {
                let known = all.keys().cloned().collect::<Vec<_>>().join(", ");
                return Err(format!("no platform family is called \"{family}\"; there are {known}"));
            }
            all.insert(family, commands.into_iter().collect());
        }
        Ok(Self(all))
    }
}

/// What a node may offer where the policy does not say (OpenClaw 2026.9.6).
const NODE_COMMANDS: [(&str, &str); 7] =
    [("android", ""), ("ios", ""), ("linux", ""), ("macos", ""), ("watchos", ""), ("windows", ""), (UNKNOWN_FAMILY, "")];

/// What strangers and devices may cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Budgets {
    /// Attempts and commands written in full; beyond it they are only counted.
    pub record: RecordBudget,
    /// Wrong credentials; beyond it none are compared.
    pub failure: FailureBudget,
    /// Requests of devices never paired that wait.
    pub pending: PendingBudget,
    /// Sockets that have not said who they are.
    pub socket: SocketBudget,
}

/// How much is written in full within a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct RecordBudget {
    /// By one address, for whoever is not paired.
    #[serde(deserialize_with = "record_per_address")]
    pub per_address: u32,
    /// By one paired device, its connections and its commands together.
    #[serde(deserialize_with = "record_per_device")]
    pub per_device: u32,
    /// By all addresses together.
    #[serde(deserialize_with = "record_total")]
    pub total: u32,
    /// The window, in milliseconds.
    #[serde(rename = "window", deserialize_with = "record_window")]
    pub window_ms: u64,
}

/// How often credentials may be wrong within a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct FailureBudget {
    /// Of one address, or of one paired device.
    #[serde(deserialize_with = "failure_per_address")]
    pub per_address: u32,
    /// Of all addresses together.
    #[serde(deserialize_with = "failure_total")]
    pub total: u32,
    /// The window, in milliseconds.
    #[serde(rename = "window", deserialize_with = "failure_window")]
    pub window_ms: u64,
}

/// How many requests of devices never paired may wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct PendingBudget {
    /// Of one address.
    #[serde(deserialize_with = "pending_per_address")]
    pub per_address: u32,
    /// Of all addresses together.
    #[serde(deserialize_with = "pending_total")]
    pub total: u32,
}

/// How many sockets may be open that have not said who they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct SocketBudget {
    /// Of one address.
    #[serde(deserialize_with = "socket_per_address")]
    pub per_address: u32,
    /// Of all addresses together.
    #[serde(deserialize_with = "socket_total")]
    pub total: u32,
}

impl Default for RecordBudget {
    fn default() -> Self {
        Self {
            per_address: limits::RECORD_PER_ADDRESS.default,
            per_device: limits::RECORD_PER_DEVICE.default,
            total: limits::RECORD_TOTAL.default,
            window_ms: limits::RECORD_WINDOW_MS.default,
        }
    }
}

impl Default for FailureBudget {
    fn default() -> Self {
        Self {
            per_address: limits::FAILURE_PER_ADDRESS.default,
            total: limits::FAILURE_TOTAL.default,
            window_ms: limits::FAILURE_WINDOW_MS.default,
        }
    }
}

impl Default for PendingBudget {
    fn default() -> Self {
        Self { per_address: limits::PENDING_PER_ADDRESS.default, total: limits::PENDING_TOTAL.default }
    }
}

impl Default for SocketBudget {
    fn default() -> Self {
        Self { per_address: limits::SOCKET_PER_ADDRESS.default, total: limits::SOCKET_TOTAL.default }
    }
}

macro_rules! figures {
    ($($name:ident: $bounds:ident),+ $(,)?) => { $(
        fn $name<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
            let figure = u32::deserialize(deserializer)?;
            let Bounds { least, most, .. } = limits::$bounds;
            let is_within = (least..=most).contains(&figure);
            if is_within { Ok(figure) } else { Err(D::Error::custom(format!("{figure} is not from {least} to {most}"))) }
        }
    )+ };
}

figures! {
    record_per_address: RECORD_PER_ADDRESS,
    record_per_device: RECORD_PER_DEVICE,
    record_total: RECORD_TOTAL,
    failure_per_address: FAILURE_PER_ADDRESS,
    failure_total: FAILURE_TOTAL,
    pending_per_address: PENDING_PER_ADDRESS,
    pending_total: PENDING_TOTAL,
    socket_per_address: SOCKET_PER_ADDRESS,
    socket_total: SOCKET_TOTAL,
}

fn record_window<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    span(&String::deserialize(deserializer)?, limits::RECORD_WINDOW_MS).map_err(D::Error::custom)
}

fn failure_window<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    span(&String::deserialize(deserializer)?, limits::FAILURE_WINDOW_MS).map_err(D::Error::custom)
}

/// Milliseconds from a text such as `"5m"`, within bounds.
fn span(text: &str, bounds: Bounds<u64>) -> Result<u64, String> {
    let unit = match text.chars().last() {
        Some('s') => 1_000,
        Some('m') => 60_000,
        Some('h') => 3_600_000,
        _ => 0,
    };
    let count = text.get(..text.len().saturating_sub(1)).and_then(|digits| digits.parse::<u32>().ok());
    let ms = u64::from(count.unwrap_or(0)).saturating_mul(unit);
    let Bounds { least, most, .. } = bounds;
    if (least..=most).contains(&ms) {
        return Ok(ms);
    }
    let told = |ms: u64| {
        if ms.is_multiple_of(3_600_000) {
            format!("{}h", ms / 3_600_000)
        } else if ms.is_multiple_of(60_000) {
            format!("{}m", ms / 60_000)
        } else {
            format!("{}s", ms / 1_000)
        }
    };
    Err(format!("a time from \"{}\" to \"{}\" is meant, not \"{text}\"", told(least), told(most)))
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum LocalPeer {
    #[default]
    OwnerUid,
    Loopback,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Metadata {
    #[default]
    Family,
    Exact,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Form {
    V2,
    V3,
}

impl Form {
    const fn form(self) -> SignatureForm {
        match self {
            Self::V2 => SignatureForm::V2,
            Self::V3 => SignatureForm::V3,
        }
    }
}

fn both_forms() -> Vec<Form> {
    vec![Form::V3, Form::V2]
}

/// Milliseconds, from a text such as `"5m"`; 2 minutes to 24 hours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(try_from = "String")]
struct RequestTtl(u64);

impl Default for RequestTtl {
    fn default() -> Self {
        Self(limits::REQUEST_TTL_MS.default)
    }
}

impl TryFrom<String> for RequestTtl {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        span(&text, limits::REQUEST_TTL_MS).map(Self).map_err(|error| format!("requestTtl: {error}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_document_spells_out_the_defaults() {
        assert_eq!(Policy::parse(DEFAULT), Policy::parse("{ version: 1 }"));
    }

    #[test]
    fn an_unknown_key_a_true_rule_or_another_version_is_no_policy() {
        for text in ["{ version: 1, localfirstPairing: false }", "{ version: 1, localCli: true }", "{ version: 2 }", "{}", "[]"] {
            assert!(matches!(Policy::parse(text), Err(PolicyError::Malformed(_))), "{text}");
        }
        assert_eq!(Policy::parse(&"[".repeat(60_000)), Err(PolicyError::TooDeep));
        assert_eq!(Policy::parse(&" ".repeat(limits::POLICY_BYTES + 1)), Err(PolicyError::TooLarge));
    }

    #[test]
    fn a_list_cuts_what_is_given() {
        let policy = Policy::parse(r#"{ version: 1, localCli: { scopes: ["operator.write"] } }"#).expect("a policy");
        let cli = Client { id: ClientId::Cli, mode: ClientMode::Cli };
        let asked = ScopeSet::parse(["operator.read", "operator.admin"]).expect("scopes");
        assert_eq!(policy.gives_cli(cli, &asked), ScopeSet::parse(["operator.read"]).ok());
    }
}
