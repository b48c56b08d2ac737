//! An act that may be undone: its record, what it changed as that was before, and whether a later record changed the same again.
//! It is gathered from the journal and handed in with the command, since the registry forgets what is gone.

use std::sync::Arc;

use super::command::Obstacle;
use super::event::{Event, PairingApproved, PairingRequested, Record, RollbackAccepted};
use super::ids::{DeviceId, Seq};
use super::registry::{Device, Registry, Request};
use super::scopes::{Role, ScopeSet};
use crate::limits;

/// A record, and what its inverse depends on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Done {
    /// The record.
    pub record: Record,
    /// What it is about, as that was before it.
    pub before: Before,
    /// Why it is too late, where a later record changed the same again.
    pub overtaken: Option<Obstacle>,
}

/// What a record is about, as that was before it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Before {
    /// The device, where it was paired; of a succession the one that was succeeded.
    pub device: Option<Arc<Device>>,
    /// The request, where it waited.
    pub request: Option<Arc<Request>>,
    /// The text of the policy, of a record that put another one in force.
    pub policy: Option<String>,
}

impl Done {
    /// The act of `record`; `before` is what all records in front of it lead to.
    #[must_use]
    pub fn new(before: &Registry, record: Record) -> Self {
        let device = match &record.event {
            Event::DeviceSucceeded(event) => Some(event.device),
            event => event.device(),
        };
        let is_policy = matches!(record.event, Event::PolicyChanged(_));
        let before = Before {
            device: device.and_then(|device| before.device(&device)).cloned(),
            request: record.event.request().and_then(|request| before.request(&request)).cloned(),
            policy: before.policy_text().filter(|_| is_policy).map(str::to_owned),
        };
        Self { record, before, overtaken: None }
    }

    /// Takes note of a later record.
    pub fn then(&mut self, later: &Record) {
        if self.overtaken.is_some() {
            return;
        }
        self.overtaken = match &later.event {
            Event::ActUndone(event) if event.undoes == self.record.seq => Some(Obstacle::Undone(later.seq)),
            event if self.is_overtaken_by(event) => Some(Obstacle::OvertakenBy(later.seq)),
            _ => None,
        };
    }

    fn is_overtaken_by(&self, later: &Event) -> bool {
        match &self.record.event {
            Event::PairingApproved(PairingApproved { device, role, scopes, .. }) => {
                ends(later, device, *role) || withdraws(later, device, *role, scopes)
            }
            Event::GrantWithdrawn(event) => {
                let is_given_again = matches!(later, Event::PairingApproved(given)
                    if (given.device, given.role) == (event.device, event.role) && meets(&given.scopes, &event.scopes));
                is_given_again || ends(later, &event.device, event.role)
            }
            Event::TokenRevoked(event) => ends(later, &event.device, event.role) || gives(later, &event.device, Some(event.role)),
            Event::PairingRejected(event) => {
                let role = self.before.request.as_ref().map(|request| request.role);
                let asks = |asked: &PairingRequested| asked.device == event.device && Some(asked.ask.role) == role;
                matches!(later, Event::PairingRequested(asked) if asks(asked))
                    || gives(later, &event.device, role)
                    || is_gone(later, &event.device)
            }
            Event::DeviceRemoved(event) => gives(later, &event.device, None) || is_gone(later, &event.device),
            Event::DeviceSucceeded(event) => gives(later, &event.device, None) || is_gone(later, &event.by),
            Event::DeviceRestored(event) => is_gone(later, &event.profile.device),
            Event::DeviceImported(event) => is_gone(later, &event.profile.device),
            Event::DeviceRenamed(event) => {
                matches!(later, Event::DeviceRenamed(again) if again.device == event.device) || is_gone(later, &event.device)
            }
            Event::PolicyChanged(_) => matches!(later, Event::PolicyChanged(_)),
            Event::SetupCodeCreated(event) => match later {
                Event::SetupCodeSpent(spent) => spent.code == event.code,
                Event::SetupCodeRevoked(revoked) => revoked.code == event.code,
                Event::RollbackAccepted(_) => true,
                _ => false,
            },
            _ => false,
        }
    }
}

/// Whether this takes the device away, or gives its place to another.
fn is_gone(event: &Event, id: &DeviceId) -> bool {
    match event {
        Event::DeviceRemoved(event) => event.device == *id,
        Event::DeviceSucceeded(event) => event.device == *id,
        _ => false,
    }
}

/// Whether the device does not hold the role any more after this.
fn ends(event: &Event, id: &DeviceId, role: Role) -> bool {
    match event {
        Event::TokenRevoked(event) => (event.device, event.role) == (*id, role),
        Event::RollbackAccepted(RollbackAccepted { keeps, .. }) => !keeps.contains(id),
        event => is_gone(event, id),
    }
}

/// Whether the device gets something by this; of one role, where that is named.
fn gives(event: &Event, id: &DeviceId, role: Option<Role>) -> bool {
    match event {
        Event::PairingApproved(event) => event.device == *id && role.is_none_or(|role| event.role == role),
        Event::DeviceRestored(event) => event.profile.device == *id,
        Event::DeviceImported(event) => event.profile.device == *id,
        Event::DeviceSucceeded(event) => event.by == *id,
        _ => false,
    }
}

/// Whether one of these scopes is taken by this.
fn withdraws(event: &Event, id: &DeviceId, role: Role, scopes: &ScopeSet) -> bool {
    matches!(event, Event::GrantWithdrawn(event) if (event.device, event.role) == (*id, role) && meets(&event.scopes, scopes))
}

fn meets(some: &ScopeSet, others: &ScopeSet) -> bool {
    some.without(others) != *some
}

/// The other acts that one command did together with the one at `seq`, as far as `records` show them: removals and revocations
/// of the same actor at the same time without another record between.
#[must_use]
pub fn done_beside(records: &[Record], seq: Seq) -> Vec<Seq> {
    let Some(place) = records.iter().position(|record| record.seq == seq) else { return vec![] };
    let (earlier, rest) = records.split_at(place);
    let Some((act, later)) = rest.split_first() else { return vec![] };
    if !matches!(act.event, Event::DeviceRemoved(_) | Event::TokenRevoked(_)) {
        return vec![];
    }
    let is_same = |record: &&Record| (record.event.kind(), record.at, &record.actor) == (act.event.kind(), act.at, &act.actor);
    let mut seqs: Vec<_> = earlier.iter().rev().take_while(is_same).map(|record| record.seq).collect();
    seqs.reverse();
    seqs.extend(later.iter().take_while(is_same).map(|record| record.seq));
    seqs.truncate(limits::REMOVED_AT_ONCE);
    seqs
}
