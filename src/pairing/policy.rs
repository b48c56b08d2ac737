//! Policy as data, and the questions it answers. The document is JSON5 of a closed language: every key has a default and an
//! unknown key is an error. It counts only as the journal holds it, which is why this file alone in the room reads a text.

use serde::Deserialize;

use super::event::{AuthMode, Client, ClientId, ClientMode, Credential, Forwarding, PeerUser, Rule, SharedVerdict, Source};
use super::identity::{SignatureForm, normal, platform_family};
use super::ids::Millis;
use super::scopes::{KnownScope, Role, ScopeSet};
use crate::limits;

/// The policy of a new journal: every key at its default, spelled out.
pub const DEFAULT: &str = r#"{
  version: 1,
  // A device never seen that connects locally with the shared secret is paired for what it asks, once.
  localFirstPairing: { roles: ["operator", "node"], scopes: "asked" },
  // What "local" demands of the process at the other end.
  localPeer: "owner-uid",
  // OpenClaw's own CLI and backend helpers on this host may come without a device.
  localCli: { scopes: "asked" },
  localBackend: { scopes: "asked" },
  // A new version of the same platform is noted, another platform asks a person.
  metadata: "family",
  signatures: ["v3", "v2"],
  requestTtl: "5m",
}
"#;

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
    #[serde(default = "Switch::on")]
    local_cli: Switch<Gives>,
    #[serde(default = "Switch::on")]
    local_backend: Switch<Gives>,
    #[serde(default)]
    metadata: Metadata,
    #[serde(default = "both_forms")]
    signatures: Vec<Form>,
    #[serde(default)]
    request_ttl: RequestTtl,
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
            local_cli: Switch(None),
            local_backend: Switch(None),
            metadata: Metadata::Exact,
            signatures: vec![Form::V3],
            request_ttl: RequestTtl::default(),
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
    /// Those of `asked` that are given.
    fn limit(&self, role: Role, asked: &ScopeSet) -> ScopeSet {
        match self {
            Self::Asked => asked.clone(),
            Self::Within(limit) => asked.within(role, limit),
        }
    }
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
        Self(5 * 60_000)
    }
}

impl TryFrom<String> for RequestTtl {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let unit = match text.chars().last() {
            Some('s') => 1_000,
            Some('m') => 60_000,
            Some('h') => 3_600_000,
            _ => 0,
        };
        let count = text.get(..text.len().saturating_sub(1)).and_then(|digits| digits.parse::<u32>().ok());
        let ms = u64::from(count.unwrap_or(0)).saturating_mul(unit);
        if (120_000..=86_400_000).contains(&ms) {
            Ok(Self(ms))
        } else {
            Err(format!("requestTtl is a time from \"2m\" to \"24h\", not \"{text}\""))
        }
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
