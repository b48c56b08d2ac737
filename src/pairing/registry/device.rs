//! A paired device: who it is, what it holds, and by which tokens. It changes only as the fold says.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::super::coded::coded;
use super::super::command::Granted;
use super::super::event::{Actor, Address, Client, Description, ImportedToken, Issue, Record, Rule};
use super::super::identity::SignatureForm;
use super::super::ids::{DeviceId, Digest, Millis, PublicKey, RequestId};
use super::super::scopes::{KnownScope, Role, ScopeSet};
use super::Request;
use crate::limits;

/// A paired device.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Device {
    /// Its id.
    pub id: DeviceId,
    /// Its key.
    pub key: PublicKey,
    /// The client it said it is when it was last approved.
    pub client: Client,
    /// What it said of itself then; platform and family are pinned.
    pub description: Arc<Description>,
    /// The name that an operator gave it.
    pub label: Option<String>,
    /// Where it asked from then.
    pub address: Address,
    /// When it was first approved.
    pub created_at: Millis,
    /// When it was last approved.
    pub approved_at: Millis,
    /// What it holds, by role, in the order of numbers.
    pub grants: BTreeMap<Role, Grant>,
    pub(super) settled: Vec<RequestId>,
}

/// What a device holds as one role.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Grant {
    /// What was approved and not revoked since.
    pub approved: ScopeSet,
    /// The live token.
    pub token: Option<Token>,
    /// The last tokens before it, newest first.
    pub retired: Vec<Retired>,
    /// When the role was revoked and by whom, if it is; nothing is held then.
    pub revoked: Option<(Millis, Actor)>,
    /// The devices that approved something of it, themselves or by a setup code.
    pub approvers: BTreeSet<DeviceId>,
    /// The rules that approved something of it.
    pub rules: BTreeSet<Rule>,
}

/// A live token.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Token {
    /// What it carries.
    pub scopes: ScopeSet,
    /// What is known of it.
    pub issue: Issued,
    /// When the role got its first token.
    pub created_at: Millis,
    /// When it was rotated, if ever.
    pub rotated_at: Option<Millis>,
}

/// What is known of a token: never its text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Issued {
    /// It was derived here, and can be again.
    Derived(Issue),
    /// It was taken over from a real OpenClaw: SHA-256 of its text.
    Imported(Digest),
}

impl Issued {
    /// SHA-256 of its text.
    #[must_use]
    pub const fn digest(&self) -> &Digest {
        match self {
            Self::Derived(issue) => &issue.digest,
            Self::Imported(digest) => digest,
        }
    }

    /// What it is derived with, where it can be.
    #[must_use]
    pub const fn derived(self) -> Option<Issue> {
        match self {
            Self::Derived(issue) => Some(issue),
            Self::Imported(_) => None,
        }
    }
}

/// A token that is good no longer.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Retired {
    /// Why.
    pub why: RetiredWhy,
    /// When.
    pub at: Millis,
    /// The token.
    pub token: Token,
}

coded!(
    /// Why a token is good no longer.
    RetiredWhy {
        /// Another replaced it.
        Rotated = 1 => "rotated",
        /// The role was revoked.
        Revoked = 2 => "revoked",
        /// An older copy of the journal was accepted.
        Suspended = 3 => "suspended",
    }
);

impl Device {
    pub(super) fn begun(request: &Request, at: Millis) -> Self {
        Self {
            id: request.device,
            key: request.key,
            client: request.client,
            description: Arc::default(),
            label: None,
            address: request.address,
            created_at: at,
            approved_at: at,
            grants: BTreeMap::new(),
            settled: Vec::new(),
        }
    }

    /// Takes over what an approved request said. Only a v3 signature vouches for platform and family, an absent field is no
    /// claim, and approving adds to what it may offer.
    pub(super) fn adopt(&mut self, request: &Request) {
        let mut description = (*request.description).clone();
        let pinned = &self.description;
        if request.form != SignatureForm::V3 {
            (description.platform, description.family) = (None, None);
        }
        description.platform = description.platform.or_else(|| pinned.platform.clone());
        description.family = description.family.or_else(|| pinned.family.clone());
        add(&mut description.caps, &pinned.caps);
        add(&mut description.commands, &pinned.commands);
        self.description = Arc::new(description);
        self.client = request.client;
        self.address = request.address;
    }

    /// Whether it was approved with all capabilities and commands of this description.
    #[must_use]
    pub fn offers(&self, description: &Description) -> bool {
        let known = &self.description;
        description.caps.iter().all(|name| known.caps.contains(name))
            && description.commands.iter().all(|name| known.commands.contains(name))
    }

    /// What is held as `role`: approved, not revoked, and within the token where there is one.
    #[must_use]
    pub fn held(&self, role: Role) -> ScopeSet {
        match self.grants.get(&role) {
            Some(Grant { revoked: None, token: Some(token), .. }) => token.scopes.clone(),
            Some(Grant { revoked: None, approved, token: None, .. }) => approved.clone(),
            _ => ScopeSet::EMPTY,
        }
    }

    /// Whether `role` is held.
    #[must_use]
    pub fn has(&self, role: Role) -> bool {
        self.grants.get(&role).is_some_and(|grant| grant.revoked.is_none())
    }

    /// The live token of `role`.
    #[must_use]
    pub fn token(&self, role: Role) -> Option<Granted> {
        let token = self.grants.get(&role)?.token.as_ref()?;
        Some(Granted {
            device: self.id,
            role,
            scopes: token.scopes.clone(),
            issue: token.issue.derived(),
            at: token.rotated_at.unwrap_or(token.created_at),
        })
    }

    /// All approved scopes, of every role.
    #[must_use]
    pub fn approved(&self) -> ScopeSet {
        self.grants.values().fold(ScopeSet::EMPTY, |all, grant| all.union(&grant.approved))
    }

    /// Whether it may answer pairing requests at all.
    #[must_use]
    pub fn may_answer(&self) -> bool {
        self.held(Role::Operator).allows(KnownScope::Pairing)
    }
}

fn add(names: &mut Vec<String>, more: &[String]) {
    let more: Vec<_> = more.iter().filter(|name| !names.contains(name)).cloned().collect();
    names.extend(more);
}

impl Grant {
    /// Whether it was taken by accepting an older copy of the journal, and by nobody's judgement of it.
    #[must_use]
    pub fn is_suspended(&self) -> bool {
        let revoked_at = self.revoked.as_ref().map(|(at, _)| *at);
        self.retired.first().is_some_and(|last| last.why == RetiredWhy::Suspended && Some(last.at) == revoked_at)
    }

    /// What is held by no approval that is on record here.
    pub(super) fn holding(approved: &ScopeSet, token: Option<&ImportedToken>) -> Self {
        let token = token.map(|token| Token {
            scopes: token.scopes.clone(),
            issue: Issued::Imported(token.digest),
            created_at: token.created_at,
            rotated_at: token.rotated_at,
        });
        Self { approved: approved.clone(), token, ..Self::default() }
    }

    /// Nothing of it is held any more.
    pub(super) fn end(&mut self, why: RetiredWhy, record: &Record) {
        self.retire(why, record.at);
        let revoked = Some((record.at, record.actor.clone()));
        *self = Self { revoked, retired: std::mem::take(&mut self.retired), ..Self::default() };
    }

    pub(super) fn retire(&mut self, why: RetiredWhy, at: Millis) {
        if let Some(token) = self.token.take() {
            self.retired.insert(0, Retired { why, at, token });
            self.retired.truncate(limits::RETIRED_TOKENS);
        }
    }
}
