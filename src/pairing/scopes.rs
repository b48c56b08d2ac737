//! Roles, scopes, and the one table of which scope covers which. Connect, token check, approve, rotate and simulate all
//! ask [`ScopeSet::covers`]; there is no second opinion.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Deserializer, Serialize};

use super::coded::{NoValue, coded};
use crate::limits;

coded!(
    /// What a connection acts as.
    Role {
        /// A person's client.
        Operator = 1 => "operator",
        /// A machine that offers commands.
        Node = 2 => "node",
    }
);

coded!(
    /// A scope that OpenClaw 2026.3.13 or 2026.9.6 knows, in the order in which its CLI asks.
    KnownScope {
        /// Everything an operator may do.
        Admin = 0 => "operator.admin",
        /// Look.
        Read = 1 => "operator.read",
        /// Send and act.
        Write = 2 => "operator.write",
        /// Answer the agent's questions for leave.
        Approvals = 3 => "operator.approvals",
        /// Answer pairing requests within one's own scopes.
        Pairing = 4 => "operator.pairing",
        /// Answer questions (protocol 4).
        Questions = 5 => "operator.questions",
        /// Read sessions (protocol 4).
        SessionsRead = 6 => "operator.sessions.read",
        /// Write sessions (protocol 4).
        SessionsWrite = 7 => "operator.sessions.write",
        /// Talk (protocol 4).
        Talk = 8 => "operator.talk",
        /// Read the secrets that talking needs.
        TalkSecrets = 9 => "operator.talk.secrets",
    }
);

/// The bits of all scopes that have one.
const LISTED: u16 = {
    let mut listed = 0;
    let mut rest = KnownScope::ALL;
    while let [scope, more @ ..] = rest {
        listed |= scope.bit();
        rest = more;
    }
    listed
};

impl KnownScope {
    const fn bit(self) -> u16 {
        1 << self.code()
    }

    /// What holding this scope also gives (OpenClaw 2026.9.6; `read` from `write` in both releases).
    const fn implies(self) -> &'static [Self] {
        match self {
            Self::Write => &[Self::Read, Self::Talk, Self::SessionsRead, Self::SessionsWrite],
            _ => &[],
        }
    }
}

/// A set of scopes. Members that no release knows are kept as they were said and cover themselves only.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(into = "ScopeImage")]
pub struct ScopeSet {
    known: u16,
    #[expect(clippy::box_collection, reason = "nearly always absent: 8 bytes in every set, not 24")]
    other: Option<Box<BTreeSet<Box<str>>>>,
}

/// A text that cannot be a scope, or too many of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a valid set of scopes")]
pub struct MalformedScopes;

impl ScopeSet {
    /// The empty set.
    pub const EMPTY: Self = Self { known: 0, other: None };

    /// The five scopes that the OpenClaw 2026.3.13 CLI always asks for.
    #[must_use]
    pub fn cli() -> Self {
        use KnownScope::{Admin, Approvals, Pairing, Read, Write};
        [Admin, Read, Write, Approvals, Pairing].into_iter().collect()
    }

    /// Parses scopes as a client says them. Separators and control characters are refused, because the text that a device
    /// signs joins scopes with them, and so are more than [`limits::SCOPES`].
    ///
    /// # Errors
    /// [`MalformedScopes`].
    pub fn parse<'a>(texts: impl IntoIterator<Item = &'a str>) -> Result<Self, MalformedScopes> {
        Self::parse_up_to(limits::SCOPES, texts)
    }

    fn parse_up_to<'a>(most: usize, texts: impl IntoIterator<Item = &'a str>) -> Result<Self, MalformedScopes> {
        let mut set = Self::EMPTY;
        for (count, text) in texts.into_iter().enumerate() {
            if count >= most || !is_scope(text) {
                return Err(MalformedScopes);
            }
            match KnownScope::from_text(text) {
                Some(scope) => set.known |= scope.bit(),
                None => drop(set.other.get_or_insert_default().insert(text.into())),
            }
        }
        Ok(set)
    }

    /// The members that some release knows.
    #[must_use]
    pub fn known(&self) -> Self {
        Self { known: self.known, other: None }
    }

    /// Whether nothing is in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.known == 0 && self.other.is_none()
    }

    /// How many members it has.
    #[must_use]
    pub fn len(&self) -> usize {
        let known = KnownScope::ALL.iter().filter(|scope| self.contains(**scope)).count();
        known.saturating_add(self.others().count())
    }

    /// Whether `scope` itself is a member; for what is implied ask [`Self::covers`].
    #[must_use]
    pub fn contains(&self, scope: KnownScope) -> bool {
        self.known & scope.bit() != 0
    }

    /// Members of either.
    #[must_use]
    pub fn union(&self, more: &Self) -> Self {
        let others: BTreeSet<_> = self.others().chain(more.others()).map(Into::into).collect();
        Self::from_parts(self.known | more.known, others)
    }

    /// The members of this set that `held` does not cover for `role`, in order.
    #[must_use]
    pub fn missing_from(&self, role: Role, held: &Self) -> Self {
        let known = self.known & !held.reach(role);
        let admin = held.is_admin(role);
        let others = self.others().filter(|text| !(held.has_other(text) || admin && text.starts_with("operator.")));
        Self::from_parts(known, others.map(Into::into).collect())
    }

    /// The members of this set that are no members of `taken`, whatever covers them.
    #[must_use]
    pub fn without(&self, taken: &Self) -> Self {
        let others = self.others().filter(|text| !taken.has_other(text)).map(Into::into).collect();
        Self::from_parts(self.known & !taken.known, others)
    }

    /// The members of this set that `limit` covers for `role`.
    #[must_use]
    pub fn within(&self, role: Role, limit: &Self) -> Self {
        let beyond = self.missing_from(role, limit);
        let others = self.others().filter(|text| !beyond.has_other(text)).map(Into::into).collect();
        Self::from_parts(self.known & !beyond.known, others)
    }

    /// Whether every scope of `asked` is held, itself or by implication.
    ///
    /// `operator.admin` covers whatever starts with `operator.`; `operator.write` covers read, talk and sessions; all else
    /// covers itself. Only operators imply: for another role membership is exact.
    #[must_use]
    pub fn covers(&self, role: Role, asked: &Self) -> bool {
        asked.missing_from(role, self).is_empty()
    }

    /// Whether `scope` is held by an operator, itself or by implication.
    #[must_use]
    pub fn allows(&self, scope: KnownScope) -> bool {
        self.reach(Role::Operator) & scope.bit() != 0
    }

    /// The members' texts: known ones in the order of [`KnownScope`], then the others by letter.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        let known = KnownScope::ALL.iter().filter(|scope| self.contains(**scope)).map(|scope| scope.as_str());
        known.chain(self.others())
    }

    /// Each member as a set of its own, in the order of [`Self::iter`].
    #[must_use]
    pub fn each(&self) -> Vec<Self> {
        let known = KnownScope::ALL.iter().filter(|scope| self.contains(**scope)).map(|scope| Self::from_iter([*scope]));
        known.chain(self.others().map(|text| Self::from_parts(0, BTreeSet::from([text.into()])))).collect()
    }

    /// The members' texts by letter.
    #[must_use]
    pub fn sorted(&self) -> Vec<&str> {
        let mut texts: Vec<_> = self.iter().collect();
        texts.sort_unstable();
        texts
    }

    fn others(&self) -> impl Iterator<Item = &str> {
        self.other.iter().flat_map(|set| set.iter().map(|text| &**text))
    }

    fn has_other(&self, text: &str) -> bool {
        self.other.as_ref().is_some_and(|set| set.contains(text))
    }

    fn is_admin(&self, role: Role) -> bool {
        role == Role::Operator && self.contains(KnownScope::Admin)
    }

    /// Members and what they imply.
    fn reach(&self, role: Role) -> u16 {
        if self.is_admin(role) {
            return u16::MAX;
        }
        let implied = KnownScope::ALL.iter().filter(|scope| role == Role::Operator && self.contains(**scope));
        implied.flat_map(|scope| scope.implies()).fold(self.known, |reach, scope| reach | scope.bit())
    }

    fn from_parts(known: u16, others: BTreeSet<Box<str>>) -> Self {
        Self { known, other: if others.is_empty() { None } else { Some(Box::new(others)) } }
    }
}

impl FromIterator<KnownScope> for ScopeSet {
    fn from_iter<I: IntoIterator<Item = KnownScope>>(scopes: I) -> Self {
        Self { known: scopes.into_iter().fold(0, |known, scope| known | scope.bit()), other: None }
    }
}

impl fmt::Display for ScopeSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return f.write_str("no scopes");
        }
        for (i, text) in self.iter().enumerate() {
            write!(f, "{}{text}", if i == 0 { "" } else { ", " })?;
        }
        Ok(())
    }
}

fn is_scope(text: &str) -> bool {
    !text.is_empty() && text.len() <= limits::SCOPE_BYTES && text.bytes().all(|b| b.is_ascii_graphic() && b != b',' && b != b'|')
}

/// A scope set as bytes see it: a bit per known scope, then the others.
#[derive(Serialize, Deserialize)]
struct ScopeImage(u16, Option<Vec<String>>);

impl From<ScopeSet> for ScopeImage {
    fn from(set: ScopeSet) -> Self {
        Self(set.known, set.other.as_ref().map(|_| set.others().map(str::to_owned).collect()))
    }
}

impl<'de> Deserialize<'de> for ScopeSet {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        ScopeImage::deserialize(deserializer)?.read().map_err(NoValue::told)
    }
}

impl ScopeImage {
    fn read(self) -> Result<ScopeSet, NoValue<MalformedScopes>> {
        let Self(known, others) = self;
        let unknown = NoValue::Unknown(MalformedScopes);
        if known & !LISTED != 0 {
            return Err(unknown);
        }
        let Some(others) = others else { return Ok(ScopeSet { known, other: None }) };
        let set = ScopeSet::parse_up_to(limits::SCOPES_HELD, others.iter().map(String::as_str)).map_err(NoValue::Unknown)?;
        if set.known != 0 {
            return Err(unknown);
        }
        if others.is_empty() || !others.is_sorted_by(|a, b| a < b) {
            return Err(NoValue::Respelled);
        }
        Ok(ScopeSet { known, ..set })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(texts: &[&str]) -> ScopeSet {
        ScopeSet::parse(texts.iter().copied()).expect("well-formed scopes")
    }

    #[test]
    fn admin_covers_every_operator_scope_and_nothing_else() {
        let admin = set(&["operator.admin"]);
        assert!(admin.covers(Role::Operator, &set(&["operator.write", "operator.pairing", "operator.someday"])));
        assert!(!admin.covers(Role::Operator, &set(&["node.camera"])));
        assert!(!admin.covers(Role::Node, &set(&["operator.read"])));
    }

    #[test]
    fn write_covers_read_but_neither_pairing_nor_approvals() {
        let write = set(&["operator.write"]);
        assert!(write.covers(Role::Operator, &set(&["operator.read", "operator.talk"])));
        assert_eq!(set(&["operator.pairing", "operator.read"]).missing_from(Role::Operator, &write), set(&["operator.pairing"]));
    }

    #[test]
    fn the_cli_asks_for_five_scopes_and_in_its_order() {
        let five = ["operator.admin", "operator.read", "operator.write", "operator.approvals", "operator.pairing"];
        assert_eq!(ScopeSet::cli().iter().collect::<Vec<_>>(), five);
    }

    #[test]
    fn a_set_holds_each_scope_once_and_sorts_them_by_letter() {
        let twice: ScopeSet = [KnownScope::Read, KnownScope::Admin, KnownScope::Read].into_iter().collect();
        assert_eq!((twice.len(), twice.sorted()), (2, vec!["operator.admin", "operator.read"]));
        assert_eq!(
            set(&["x", "operator.write", "a", "operator.pairing"]).sorted(),
            ["a", "operator.pairing", "operator.write", "x"]
        );
    }

    #[test]
    fn a_set_has_one_spelling_in_bytes() {
        let read = |others: &[&str]| {
            let others = others.iter().map(|text| (*text).to_owned()).collect();
            ScopeImage(2, Some(others)).read().ok()
        };
        assert_eq!(read(&["a", "b"]), Some(set(&["operator.read", "a", "b"])));
        for other in [&[][..], &["b", "a"], &["a", "a"], &["operator.write"], &["a b"]] {
            assert_eq!(read(other), None, "{other:?}");
        }
        assert_eq!(ScopeImage(2, None).read().ok(), Some(set(&["operator.read"])));
        assert_eq!(ScopeImage(1 << 15, None).read().ok(), None);
    }

    #[test]
    fn what_no_release_knows_is_left_out_of_the_known() {
        assert_eq!(set(&["operator.read", "operator.someday", "x"]).known(), set(&["operator.read"]));
    }

    #[test]
    fn nothing_covers_more_than_nothing() {
        assert!(ScopeSet::EMPTY.covers(Role::Operator, &ScopeSet::EMPTY));
        assert!(!ScopeSet::EMPTY.covers(Role::Operator, &set(&["operator.read"])));
    }

    #[test]
    fn a_scope_with_a_separator_is_no_scope() {
        for text in ["", "a,b", "a|b", "a b", "a\n", "é"] {
            assert!(ScopeSet::parse([text]).is_err(), "{text:?}");
        }
    }
}
