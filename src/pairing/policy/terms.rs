//! The values of the language: each is read from what a person writes, says what is wrong with it, and can be written again.

use std::collections::BTreeSet;
use std::fmt;
use std::marker::PhantomData;
use std::net::IpAddr;

use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{DeserializeSeed, Error, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::super::event::{Address, Client, ClientId, ClientMode};
use super::super::identity::SignatureForm;
use super::super::scopes::{KnownScope, Role, ScopeSet};
use super::budgets::span;
use crate::limits;

/// The number 1: the only version of the language so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(try_from = "u8")]
pub(super) struct One;

impl TryFrom<u8> for One {
    type Error = String;

    fn try_from(version: u8) -> Result<Self, String> {
        if version == 1 { Ok(Self) } else { Err(format!("policy version {version} is not known; this program knows version 1")) }
    }
}

/// A rule, or `false`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Switch<T>(pub(super) Option<T>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Switch<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Terms<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for Terms<T> {
            type Value = Switch<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("false, or the terms of the rule")
            }

            fn visit_bool<E: Error>(self, on: bool) -> Result<Switch<T>, E> {
                if on { Err(E::custom("a rule is false or its terms")) } else { Ok(Switch(None)) }
            }

            fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<Switch<T>, A::Error> {
                T::deserialize(MapAccessDeserializer::new(members)).map(|rule| Switch(Some(rule)))
            }
        }

        deserializer.deserialize_any(Terms(PhantomData))
    }
}

impl Switch<FirstPairing> {
    pub(super) fn first_pairing() -> Self {
        Self(Some(FirstPairing { roles: Roles(Role::ALL.iter().copied().collect()), scopes: Scopes::Asked }))
    }
}

impl<T> Switch<T> {
    pub(super) fn off() -> Self {
        Self(None)
    }
}

impl Switch<Gives> {
    pub(super) fn on() -> Self {
        Self(Some(Gives { scopes: Scopes::Asked }))
    }
}

/// A list in which nothing stands twice.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct List<T>(pub(super) Vec<T>);

impl<T> Default for List<T> {
    fn default() -> Self {
        Self(vec![])
    }
}

impl<T> std::ops::Deref for List<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.0
    }
}

impl<'de, T: Deserialize<'de> + PartialEq> Deserialize<'de> for List<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Items<T>(PhantomData<T>);
        /// One that is none of these.
        struct Another<'a, T>(&'a [T]);

        impl<'de, T: Deserialize<'de> + PartialEq> DeserializeSeed<'de> for Another<'_, T> {
            type Value = T;

            fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<T, D::Error> {
                let item = T::deserialize(deserializer)?;
                let is_new = !self.0.contains(&item) && self.0.len() < limits::POLICY_ITEMS;
                if is_new { Ok(item) } else { Err(D::Error::custom("it stands twice, or too many are before it")) }
            }
        }

        impl<'de, T: Deserialize<'de> + PartialEq> Visitor<'de> for Items<T> {
            type Value = List<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<List<T>, A::Error> {
                let mut list = vec![];
                while let Some(item) = items.next_element_seed(Another(&list))? {
                    list.push(item);
                }
                Ok(List(list))
            }
        }

        deserializer.deserialize_seq(Items(PhantomData))
    }
}

/// Which devices are paired by the rule for a first local pairing.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FirstPairing {
    pub(super) roles: Roles,
    pub(super) scopes: Scopes,
}

/// Roles, at least one.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(try_from = "List<RoleText>")]
pub(super) struct Roles(pub(super) BTreeSet<Role>);

impl TryFrom<List<RoleText>> for Roles {
    type Error = &'static str;

    fn try_from(list: List<RoleText>) -> Result<Self, Self::Error> {
        if list.is_empty() {
            return Err("no role is named; a rule that is off is false");
        }
        Ok(Self(list.iter().map(|role| role.0).collect()))
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Gives {
    pub(super) scopes: Scopes,
}

/// `"asked"`, or a list beyond which nothing is given.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Scopes {
    Asked,
    Within(KnownScopes),
}

impl<'de> Deserialize<'de> for Scopes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Limit;

        impl<'de> Visitor<'de> for Limit {
            type Value = Scopes;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("\"asked\" or a list of scopes")
            }

            fn visit_str<E: Error>(self, word: &str) -> Result<Scopes, E> {
                if word == "asked" { Ok(Scopes::Asked) } else { Err(E::custom("scopes are \"asked\" or a list")) }
            }

            fn visit_seq<A: SeqAccess<'de>>(self, items: A) -> Result<Scopes, A::Error> {
                KnownScopes::deserialize(SeqAccessDeserializer::new(items)).map(Scopes::Within)
            }
        }

        deserializer.deserialize_any(Limit)
    }
}

impl Scopes {
    /// Whether it gives no more than `other`, whichever of the roles asks.
    pub(super) fn is_within(&self, roles: &[Role], other: &Self) -> bool {
        match (self, other) {
            (_, Self::Asked) => true,
            (Self::Asked, Self::Within(_)) => false,
            (Self::Within(own), Self::Within(other)) => roles.iter().all(|role| other.covers(*role, own)),
        }
    }

    /// Those of `asked` that are given.
    pub(super) fn limit(&self, role: Role, asked: &ScopeSet) -> ScopeSet {
        match self {
            Self::Asked => asked.clone(),
            Self::Within(limit) => asked.within(role, limit),
        }
    }
}

/// A list of scopes that some release knows: what no release knows would be a slip of the pen.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(from = "List<ScopeText>")]
pub(super) struct KnownScopes(ScopeSet);

impl From<List<ScopeText>> for KnownScopes {
    fn from(list: List<ScopeText>) -> Self {
        Self(list.iter().map(|scope| scope.0).collect())
    }
}

impl std::ops::Deref for KnownScopes {
    type Target = ScopeSet;

    fn deref(&self) -> &ScopeSet {
        &self.0
    }
}

/// Scopes that a paired local device gets by rule.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Upgrade {
    pub(super) scopes: Quiet,
}

/// Scopes that nobody need hear of when they are given.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(try_from = "KnownScopes")]
pub(super) struct Quiet(ScopeSet);

impl TryFrom<KnownScopes> for Quiet {
    type Error = String;

    fn try_from(KnownScopes(scopes): KnownScopes) -> Result<Self, String> {
        let loud = [
            (KnownScope::Admin, "with it a device may do everything, also let in others"),
            (KnownScope::TalkSecrets, "with it a device reads secrets"),
        ];
        match loud.into_iter().find(|(scope, _)| scopes.contains(*scope)) {
            Some((scope, why)) => Err(format!("{scope} is never given without a person who hears of it: {why}")),
            None => Ok(Self(scopes)),
        }
    }
}

impl std::ops::Deref for Quiet {
    type Target = ScopeSet;

    fn deref(&self) -> &ScopeSet {
        &self.0
    }
}

/// A network, as `address/bits`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct Network {
    /// Its first address, IPv4 as mapped.
    first: u128,
    /// How many bits of it all its addresses share.
    bits: u32,
}

/// How many bits of a mapped IPv4 address stand before it.
const MAPPED_BITS: u32 = 96;

impl Network {
    /// `127.0.0.0/8` and `::1`.
    const LOOPBACK: [Self; 2] = [Self { first: 0xffff_7f00_0000, bits: 104 }, Self { first: 1, bits: 128 }];

    pub(super) fn holds(&self, address: Address) -> bool {
        let differs = u128::from(address.0) ^ self.first;
        differs.leading_zeros() >= self.bits
    }

    /// Whether all of `other` is in it.
    pub(super) fn contains(&self, other: &Self) -> bool {
        self.bits <= other.bits && (self.first ^ other.first).leading_zeros() >= self.bits
    }

    /// Whether its addresses are IPv4 ones.
    fn is_ipv4(&self) -> bool {
        self.bits >= MAPPED_BITS && self.first >> 32 == 0xffff
    }
}

impl TryFrom<String> for Network {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let malformed =
            || format!("a network is an address and how many bits of it count, such as \"192.168.1.0/24\", not \"{text}\"");
        let (address, bits) = text.split_once('/').ok_or_else(malformed)?;
        let ip: IpAddr = address.parse().map_err(|_| malformed())?;
        let is_number = !bits.is_empty() && bits.bytes().all(|byte| byte.is_ascii_digit());
        let bits: u32 = bits.parse().ok().filter(|_| is_number).ok_or_else(malformed)?;
        let (width, ahead) = if ip.is_ipv4() { (32, MAPPED_BITS) } else { (128, 0) };
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
        let (v4, v6) = limits::TRUSTED_NETWORK_BITS;
        let least = if network.is_ipv4() { v4.saturating_add(MAPPED_BITS) } else { v6 };
        if network.bits < least {
            return Err(format!("\"{text}\" is no network that one person has: of IPv4 at least /{v4} is taken, of IPv6 /{v6}"));
        }
        Ok(network)
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bits = if self.is_ipv4() { self.bits.saturating_sub(MAPPED_BITS) } else { self.bits };
        write!(f, "\"{}/{bits}\"", Address(self.first.into()).ip())
    }
}

/// What nobody of some kind may have, whoever approves it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Ceiling {
    role: Option<RoleText>,
    client_id: Option<ClientIdText>,
    client_mode: Option<ClientModeText>,
    pub(super) scopes: KnownScopes,
}

impl Ceiling {
    /// Whether whatever is beyond `other` is beyond this one.
    pub(super) fn is_within(&self, other: &Self) -> bool {
        fn is_wider<T: PartialEq>(own: &Option<T>, other: &Option<T>) -> bool {
            own.is_none() || own == other
        }
        is_wider(&self.role, &other.role)
            && is_wider(&self.client_id, &other.client_id)
            && is_wider(&self.client_mode, &other.client_mode)
            && Role::ALL
                .iter()
                .filter(|role| other.role.is_none_or(|over| over.0 == **role))
                .all(|role| other.scopes.covers(*role, &self.scopes))
    }

    pub(super) fn is_over(&self, client: Client, role: Role) -> bool {
        self.role.is_none_or(|own| own.0 == role)
            && self.client_id.is_none_or(|own| own.0 == client.id)
            && self.client_mode.is_none_or(|own| own.0 == client.mode)
    }

    /// Whether it goes by what a client says it is.
    pub(super) fn goes_by_a_claim(&self) -> bool {
        self.client_id.is_some() || self.client_mode.is_some()
    }
}

impl fmt::Display for Ceiling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("{ ")?;
        let over = [
            ("role", self.role.map(|role| role.0.as_str())),
            ("clientId", self.client_id.map(|id| id.0.as_str())),
            ("clientMode", self.client_mode.map(|mode| mode.0.as_str())),
        ];
        for (key, value) in over {
            if let Some(value) = value {
                write!(f, "{key}: \"{value}\", ")?;
            }
        }
        write!(f, "scopes: {} }}", list_text(self.scopes.iter()))
    }
}

/// Texts as a list of the language.
pub(super) fn list_text<'a>(texts: impl Iterator<Item = &'a str>) -> String {
    format!("[{}]", texts.map(|text| format!("\"{text}\"")).collect::<Vec<_>>().join(", "))
}

impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Asked => f.write_str("\"asked\""),
            Self::Within(scopes) => f.write_str(&list_text(scopes.iter())),
        }
    }
}

impl fmt::Display for FirstPairing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let roles = list_text(self.roles.0.iter().map(|role| role.as_str()));
        write!(f, "{{ roles: {roles}, scopes: {} }}", self.scopes)
    }
}

impl fmt::Display for Gives {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{{ scopes: {} }}", self.scopes)
    }
}

impl fmt::Display for Upgrade {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{{ scopes: {} }}", list_text(self.scopes.iter()))
    }
}

impl<T: fmt::Display> fmt::Display for Switch<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Some(rule) => rule.fmt(f),
            None => f.write_str("false"),
        }
    }
}

macro_rules! by_text {
    ($($(#[$doc:meta])* $name:ident: $list:ident, $what:literal),+) => { $(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
        #[serde(try_from = "String")]
        pub(super) struct $name(pub(super) $list);

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
    /// A scope by its text.
    ScopeText: KnownScope, "scope of any release of OpenClaw",
    /// A client id by its text.
    ClientIdText: ClientId, "client id",
    /// A client mode by its text.
    ClientModeText: ClientMode, "client mode"
);

macro_rules! words {
    ($($(#[$doc:meta])* $name:ident { $($(#[$of:meta])* $variant:ident => $word:literal),+ }),+ $(,)?) => { $(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
        #[serde(try_from = "String")]
        pub(super) enum $name { $($(#[$of])* $variant),+ }

        impl $name {
            pub(super) const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }
        }

        impl TryFrom<String> for $name {
            type Error = String;

            fn try_from(text: String) -> Result<Self, String> {
                match &*text {
                    $($word => Ok(Self::$variant),)+
                    _ => Err(format!("{} is meant, not \"{text}\"", [$(concat!("\"", $word, "\"")),+].join(" or "))),
                }
            }
        }
    )+ };
}

words!(
    /// What *local* demands of the peer.
    #[derive(Default)]
    LocalPeer { #[default] OwnerUid => "owner-uid", Loopback => "loopback" },
    /// How far a platform may change without a person.
    #[derive(Default)]
    Metadata { #[default] Family => "family", Exact => "exact" },
    /// The text that a device signs.
    Form { V2 => "v2", V3 => "v3" },
);

/// The forms of signature that are taken, at least one.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(try_from = "List<Form>")]
pub(super) struct Forms(pub(super) Vec<Form>);

impl TryFrom<List<Form>> for Forms {
    type Error = &'static str;

    fn try_from(List(forms): List<Form>) -> Result<Self, Self::Error> {
        if forms.is_empty() { Err("no device could sign anything; name \"v3\" at least") } else { Ok(Self(forms)) }
    }
}

impl Default for Forms {
    fn default() -> Self {
        Self(vec![Form::V3, Form::V2])
    }
}

impl Form {
    pub(super) const fn form(self) -> SignatureForm {
        match self {
            Self::V2 => SignatureForm::V2,
            Self::V3 => SignatureForm::V3,
        }
    }
}

/// Milliseconds, from a text such as `"5m"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct RequestTtl(pub(super) u64);

impl Default for RequestTtl {
    fn default() -> Self {
        Self(limits::REQUEST_TTL_MS.default)
    }
}

impl TryFrom<String> for RequestTtl {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        span(&text, limits::REQUEST_TTL_MS).map(Self)
    }
}
