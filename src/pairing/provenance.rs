//! On whose authority a scope is held: the act that gave it, what its actor held when it gave it, and so on, up to the owner, the
//! first policy or an import. Another fold over the records: it keeps every act that gave something and nothing else, so it
//! grows with what was granted and not with what happened.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::event::{Act, Actor, Address, Event, PairingApproved, Record};
use super::ids::{DeviceId, Millis, RequestId, Seq, SetupCodeId};
use super::scopes::{KnownScope, Role, ScopeSet};
use crate::limits;

/// Every act that gave something, and which of them stand.
#[derive(Clone, Debug, Default)]
pub struct Provenance {
    deeds: BTreeMap<Seq, Deed>,
    places: BTreeMap<DeviceId, Place>,
    /// What devices held when they were removed or succeeded: it may be given back.
    ended: BTreeMap<DeviceId, Place>,
    policy: Option<Seq>,
    /// The codes that may still be spent: what made them, and until when.
    codes: BTreeMap<SetupCodeId, (Seq, Millis)>,
    /// What made the code that was spent last; what it gave is told right behind.
    spent: Option<Seq>,
    /// Where the requests that wait were made.
    asked: BTreeMap<RequestId, (DeviceId, Address)>,
}

/// What a device holds, by role.
type Place = BTreeMap<Role, Standing>;

/// What gave a device what it may do as one role, the oldest first, each with what it alone gives. Whoever refers to it keeps it
/// as it was.
type Standing = Arc<Vec<(Seq, ScopeSet)>>;

/// An act that gave something.
#[derive(Clone, Debug)]
pub struct Deed {
    /// Its record.
    pub seq: Seq,
    /// When.
    pub at: Millis,
    /// Who.
    pub actor: Actor,
    /// What it gave.
    pub gave: Gave,
    rests: Rests,
}

/// What an act gave.
#[derive(Clone, Debug)]
pub enum Gave {
    /// To a device, scopes of a role.
    Grant {
        /// The device.
        device: DeviceId,
        /// The role.
        role: Role,
        /// What it did not hold before.
        scopes: ScopeSet,
        /// Through which act.
        act: Act,
        /// Through which request.
        request: Option<RequestId>,
        /// Where that was made.
        from: Option<Address>,
    },
    /// To a device, all that it holds.
    Place {
        /// The device.
        device: DeviceId,
        /// How it came to it.
        how: Coming,
    },
    /// To whoever would spend it, a setup code.
    Code(SetupCodeId),
    /// To the rules of the first policy, their say.
    FirstPolicy,
    /// To those of another one.
    Policy,
}

/// How a device comes to all that it holds at once.
#[derive(Clone, Copy, Debug)]
pub enum Coming {
    /// It was taken over from a real OpenClaw.
    Imported,
    /// It had been removed.
    Restored,
    /// It was given the place of another one.
    Succeeded {
        /// That one.
        device: DeviceId,
        /// The request in which it proved its key.
        request: RequestId,
    },
}

/// What an act rests on.
#[derive(Clone, Debug)]
enum Rests {
    On(Root),
    /// Another act.
    Deed(Seq),
    /// What its actor held then as an operator.
    Held(Standing),
    /// What was held before, in the same role.
    Place(Place),
    /// Something that stands in no record at hand.
    Unknown,
}

/// Where authority begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Root {
    /// The owner of the gateway's host.
    Owner,
    /// The policy that the journal began with.
    Policy,
    /// What a real OpenClaw kept.
    Import,
}

impl Root {
    /// Its name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Owner => "owner",
            Self::Policy => "policy",
            Self::Import => "import",
        }
    }
}

/// The acts that a scope is held by, from the one that gave it upwards, and where they begin; none where that stands in no record
/// at hand, or is further up than [`limits::WARRANTS`].
#[derive(Clone, Debug)]
pub struct Warrant<'a> {
    /// At least one.
    pub deeds: Vec<&'a Deed>,
    /// What the last of them rests on.
    pub root: Option<Root>,
}

impl Provenance {
    /// What `device` holds `scope` of `role` by; with no scope, the role itself.
    #[must_use]
    pub fn warrant(&self, device: &DeviceId, mut role: Role, scope: &ScopeSet) -> Option<Warrant<'_>> {
        let (mut next, mut scope) = giver(self.places.get(device)?.get(&role)?, role, scope)?;
        let mut warrant = Warrant { deeds: vec![], root: None };
        while let Some(deed) = self.deeds.get(&next).filter(|_| warrant.deeds.len() < limits::WARRANTS) {
            warrant.deeds.push(deed);
            let above = match &deed.rests {
                Rests::On(root) => {
                    warrant.root = Some(*root);
                    None
                }
                Rests::Deed(seq) => Some((*seq, scope)),
                Rests::Place(place) => place.get(&role).and_then(|held| giver(held, role, &scope)),
                Rests::Held(held) => {
                    let powers = deed.power(role, &scope);
                    role = Role::Operator;
                    powers.iter().find_map(|power| giver(held, role, power))
                }
                Rests::Unknown => None,
            };
            let Some(above) = above else { break };
            (next, scope) = above;
        }
        (!warrant.deeds.is_empty()).then_some(warrant)
    }

    /// Remembers a record.
    pub fn apply(&mut self, record: &Record) {
        match &record.event {
            Event::JournalCreated(_) => {
                self.note(record, Gave::FirstPolicy, Rests::On(Root::Policy));
                self.policy = Some(record.seq);
            }
            Event::PolicyChanged(_) => {
                self.note(record, Gave::Policy, self.rests(&record.actor));
                self.policy = Some(record.seq);
            }
            Event::SetupCodeCreated(event) => {
                self.note(record, Gave::Code(event.code), self.rests(&record.actor));
                self.codes.retain(|_, (_, expires)| *expires > record.at);
                self.codes.insert(event.code, (record.seq, event.expires));
            }
            Event::SetupCodeSpent(event) => self.spent = self.codes.remove(&event.code).map(|(made, _)| made),
            Event::SetupCodeRevoked(event) => drop(self.codes.remove(&event.code)),
            Event::PairingRequested(event) => {
                self.asked.retain(|request, _| Some(*request) != event.supersedes);
                self.asked.insert(event.request, (event.device, event.address));
            }
            Event::PairingRejected(event) => drop(self.asked.remove(&event.request)),
            Event::PairingExpired(event) => drop(self.asked.remove(&event.request)),
            Event::PairingApproved(event) => self.approved(record, event),
            Event::TokenRevoked(event) => drop(self.places.entry(event.device).or_default().remove(&event.role)),
            Event::GrantWithdrawn(event) => {
                if let Some(standing) = self.places.get_mut(&event.device).and_then(|place| place.get_mut(&event.role)) {
                    lessen(Arc::make_mut(standing), &event.scopes);
                }
            }
            Event::DeviceRemoved(event) => drop(self.end(event.device)),
            Event::DeviceRestored(event) => {
                let (device, how) = (event.profile.device, Coming::Restored);
                let before = self.ended.get(&device).cloned().map(Rests::Place);
                self.note(record, Gave::Place { device, how }, before.unwrap_or_else(|| self.rests(&record.actor)));
                let grants = event.grants.iter().map(|grant| (grant.role, grant.scopes.clone()));
                self.enter(record.seq, device, grants);
            }
            Event::DeviceImported(event) => {
                let (device, how) = (event.profile.device, Coming::Imported);
                self.note(record, Gave::Place { device, how }, Rests::On(Root::Import));
                let grants = event.grants.iter().map(|grant| (grant.role, grant.scopes.clone()));
                self.enter(record.seq, device, grants);
            }
            Event::DeviceSucceeded(event) => {
                let how = Coming::Succeeded { device: event.device, request: event.request };
                self.asked.remove(&event.request);
                let before = self.end(event.device);
                let all = |standing: &Standing| standing.iter().fold(ScopeSet::EMPTY, |all, (_, scopes)| all.union(scopes));
                let grants: Vec<_> = before.iter().map(|(role, standing)| (*role, all(standing))).collect();
                self.note(record, Gave::Place { device: event.by, how }, Rests::Place(before));
                self.enter(record.seq, event.by, grants.into_iter());
            }
            Event::RollbackAccepted(event) => {
                self.places.retain(|device, _| event.keeps.contains(device));
                self.codes.clear();
            }
            // What gives nobody anything; a rotation within what was approved neither.
            Event::GatewayStarted(_)
            | Event::GatewayStopped(_)
            | Event::JournalRepaired(_)
            | Event::SegmentSealed(_)
            | Event::ConditionFound(_)
            | Event::ConditionCleared(_)
            | Event::WitnessPlaced(_)
            | Event::HistoryArchived(_)
            | Event::OwnerActsSeen(_)
            | Event::RuleArmed(_)
            | Event::ConfigurationChanged(_)
            | Event::TokenKeyReplaced(_)
            | Event::ActUndone(_)
            | Event::ConnectionAdmitted(_)
            | Event::ConnectionRefused(_)
            | Event::ConnectionClosed(_)
            | Event::CommandRefused(_)
            | Event::AttemptsSuppressed(_)
            | Event::DeviceMetadataChanged(_)
            | Event::DeviceRenamed(_)
            | Event::TokenIssued(_)
            | Event::TokenRotated(_) => {}
        }
    }

    fn approved(&mut self, record: &Record, event: &PairingApproved) {
        let PairingApproved { device, role, ref scopes, act, request } = *event;
        let rests = match (act, self.spent) {
            (Act::SetupCode, Some(made)) => Rests::Deed(made),
            (Act::SetupCode, None) => Rests::Unknown,
            _ => self.rests(&record.actor),
        };
        let from = request.and_then(|request| self.asked.remove(&request)).map(|(_, from)| from);
        self.note(record, Gave::Grant { device, role, scopes: scopes.clone(), act, request, from }, rests);
        let standing = Arc::make_mut(self.places.entry(device).or_default().entry(role).or_default());
        // An approval that gave no scopes gave the role, or nothing that is held.
        if !scopes.is_empty() || standing.is_empty() {
            lessen(standing, scopes);
            standing.push((record.seq, scopes.clone()));
        }
    }

    /// A device comes to all that it holds by one act.
    fn enter(&mut self, deed: Seq, device: DeviceId, grants: impl Iterator<Item = (Role, ScopeSet)>) {
        self.places.insert(device, grants.map(|(role, scopes)| (role, Arc::new(vec![(deed, scopes)]))).collect());
    }

    /// A device holds nothing any more; what it held.
    fn end(&mut self, device: DeviceId) -> Place {
        self.asked.retain(|_, (asker, _)| *asker != device);
        let place = self.places.remove(&device).unwrap_or_default();
        self.ended.insert(device, place.clone());
        place
    }

    fn note(&mut self, record: &Record, gave: Gave, rests: Rests) {
        let deed = Deed { seq: record.seq, at: record.at, actor: record.actor.clone(), gave, rests };
        self.deeds.insert(record.seq, deed);
    }

    /// What an act of this actor rests on now.
    fn rests(&self, actor: &Actor) -> Rests {
        match actor {
            Actor::Owner(_) => Rests::On(Root::Owner),
            Actor::Device { device, .. } => {
                let held = self.places.get(device).and_then(|place| place.get(&Role::Operator));
                held.map_or(Rests::Unknown, |held| Rests::Held(Arc::clone(held)))
            }
            Actor::Rule(_) | Actor::SharedSecret { .. } => self.policy.map_or(Rests::Unknown, Rests::Deed),
            Actor::Peer | Actor::System => Rests::Unknown,
        }
    }
}

impl Deed {
    /// The request that it settled, and where that was made.
    #[must_use]
    pub fn request(&self) -> (Option<RequestId>, Option<Address>) {
        match &self.gave {
            Gave::Grant { request, from, .. } => (*request, *from),
            Gave::Place { how: Coming::Succeeded { request, .. }, .. } => (Some(*request), None),
            Gave::Place { .. } | Gave::Code(_) | Gave::FirstPolicy | Gave::Policy => (None, None),
        }
    }

    /// What it was, in a word or two.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match &self.gave {
            Gave::Grant { act, .. } => act.as_str(),
            Gave::Place { how: Coming::Imported, .. } => "import",
            Gave::Place { how: Coming::Restored, .. } => "restoration",
            Gave::Place { how: Coming::Succeeded { .. }, .. } => "succession",
            Gave::Code(_) => "setup code made",
            Gave::FirstPolicy => "first policy",
            Gave::Policy => "policy",
        }
    }

    /// By which scopes an operator could do it, where `scope` of `role` is what is asked about: the first that it held. Whoever may
    /// answer requests gives what it holds; all else is `operator.admin`'s.
    fn power(&self, role: Role, scope: &ScopeSet) -> [ScopeSet; 2] {
        let one = |scope: KnownScope| ScopeSet::from_iter([scope]);
        let first = match (&self.gave, role) {
            (Gave::Grant { .. }, Role::Operator) if scope.is_empty() => one(KnownScope::Pairing),
            (Gave::Grant { .. }, Role::Operator) => scope.clone(),
            _ => one(KnownScope::Admin),
        };
        [first, one(KnownScope::Admin)]
    }
}

/// These scopes are held by these acts no more; what gave nothing else is forgotten, but for the first, which gave the role.
fn lessen(standing: &mut Vec<(Seq, ScopeSet)>, scopes: &ScopeSet) {
    let mut is_first = true;
    standing.retain_mut(|(_, gave)| {
        *gave = gave.without(scopes);
        std::mem::take(&mut is_first) || !gave.is_empty()
    });
}

/// Which act gave `scope`, and through which of its scopes: the last that gave it itself, else the last that gave what covers it;
/// of a role without scopes, the first.
fn giver(standing: &Standing, role: Role, scope: &ScopeSet) -> Option<(Seq, ScopeSet)> {
    if scope.is_empty() {
        return standing.first().cloned();
    }
    let itself = standing.iter().rev().find(|(_, scopes)| scope.without(scopes).is_empty());
    itself.map(|(seq, _)| (*seq, scope.clone())).or_else(|| {
        // The narrowest that covers it: `operator.admin` is the first of all.
        let known = KnownScope::ALL.iter().rev().map(|known| (known, ScopeSet::from_iter([*known])));
        let covering: Vec<_> = known.filter(|(_, one)| one.covers(role, scope)).collect();
        let through = |scopes: &ScopeSet| covering.iter().find(|(known, _)| scopes.contains(**known)).map(|(_, one)| one.clone());
        standing.iter().rev().find_map(|(seq, scopes)| Some((*seq, through(scopes)?)))
    })
}
