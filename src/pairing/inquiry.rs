//! Which records somebody asks about.

use std::str::FromStr;

use super::command::Refusal;
use super::event::{Actor, Event, Moment, Reason, Record, Rule};
use super::ids::{DeviceId, RequestId};
use super::scopes::{Role, ScopeSet};

/// What a record must fit to be asked for; what is absent, every record fits.
#[derive(Clone, Debug, Default)]
pub struct Inquiry {
    /// The device that it is about.
    pub device: Option<DeviceId>,
    /// The request that it makes, ends or names.
    pub request: Option<RequestId>,
    /// Who did it.
    pub doer: Option<Doer>,
    /// The role that it is about.
    pub role: Option<Role>,
    /// A scope that was asked for, given or taken.
    pub scope: Option<ScopeSet>,
    /// Why a person was needed.
    pub reason: Option<Reason>,
    /// From when on.
    pub since: Option<Moment>,
    /// Until when.
    pub until: Option<Moment>,
}

/// Who did something, as people name them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Doer {
    /// A device, with what it tried itself.
    Device(DeviceId),
    /// A user of the gateway's host.
    Owner,
    /// The gateway.
    Gateway,
    /// A rule of the policy, or whoever it let in without a device.
    Rule(Rule),
}

/// A text that names nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("neither a device id, nor owner, gateway or a rule of the policy")]
pub struct Nobody;

impl FromStr for Doer {
    type Err = Nobody;

    fn from_str(text: &str) -> Result<Self, Nobody> {
        match text {
            "owner" => Ok(Self::Owner),
            "gateway" => Ok(Self::Gateway),
            _ => {
                let rule = || Rule::from_text(text).map(Self::Rule);
                text.parse().ok().map(Self::Device).or_else(rule).ok_or(Nobody)
            }
        }
    }
}

impl Inquiry {
    /// Whether the record is asked for. Connections come and go all day, so they are only where a device, a request or a reason is
    /// asked about.
    #[must_use]
    pub fn takes(&self, record: &Record) -> bool {
        let event = &record.event;
        let is_narrow = self.device.is_some() || self.request.is_some() || self.reason.is_some();
        (is_narrow || !is_traffic(event))
            && self.since.is_none_or(|since| record.is_since(since))
            && self.until.is_none_or(|until| record.is_until(until))
            && self.device.is_none_or(|device| is_about(event, device))
            && self.request.is_none_or(|request| names(event, request))
            && self.doer.as_ref().is_none_or(|doer| did(doer, record))
            && self.reason.is_none_or(|reason| needed(event) == Some(reason))
            && (self.role.is_none() && self.scope.is_none()
                || concerns(event).iter().any(|(role, scopes)| self.fits(*role, scopes)))
    }

    fn fits(&self, role: Option<Role>, scopes: &ScopeSet) -> bool {
        self.role.is_none_or(|asked| role == Some(asked))
            && self.scope.as_ref().is_none_or(|asked| asked.without(scopes).is_empty())
    }
}

fn is_traffic(event: &Event) -> bool {
    matches!(
        event,
        Event::ConnectionAdmitted(_) | Event::ConnectionRefused(_) | Event::ConnectionClosed(_) | Event::AttemptsSuppressed(_)
    )
}

/// Whether it is about this device, also where it is about another one or about all.
fn is_about(event: &Event, device: DeviceId) -> bool {
    let also = match event {
        Event::DeviceSucceeded(event) => event.device == device,
        Event::RollbackAccepted(_) => true,
        _ => false,
    };
    also || event.device() == Some(device)
}

fn names(event: &Event, request: RequestId) -> bool {
    let also = match event {
        Event::PairingRequested(event) => event.supersedes,
        Event::ConnectionRefused(event) => match &event.refusal {
            Refusal::PairingRequired(need) => Some(need.request),
            _ => None,
        },
        _ => None,
    };
    event.request() == Some(request) || also == Some(request)
}

fn did(doer: &Doer, record: &Record) -> bool {
    match (doer, &record.actor) {
        (Doer::Device(device), Actor::Peer) => record.event.device() == Some(*device),
        (Doer::Device(device), actor) => actor.is_device(device),
        (Doer::Owner, Actor::Owner(_)) | (Doer::Gateway, Actor::System) => true,
        (Doer::Rule(rule), Actor::Rule(did) | Actor::SharedSecret { rule: did, .. }) => rule == did,
        _ => false,
    }
}

fn needed(event: &Event) -> Option<Reason> {
    match event {
        Event::PairingRequested(event) => Some(event.reason),
        Event::ConnectionRefused(event) => match &event.refusal {
            Refusal::PairingRequired(need) => Some(need.reason),
            _ => None,
        },
        _ => None,
    }
}

/// The roles that it is about, and which scopes of each.
fn concerns(event: &Event) -> Vec<(Option<Role>, ScopeSet)> {
    match event {
        Event::ConnectionAdmitted(event) => {
            let ask = event.attempt.ask.as_ref();
            ask.map(|ask| (Some(ask.role), ask.scopes.union(&event.scopes))).into_iter().collect()
        }
        Event::ConnectionRefused(event) => {
            event.attempt.ask.as_ref().map(|ask| (Some(ask.role), ask.scopes.clone())).into_iter().collect()
        }
        Event::CommandRefused(event) => vec![(event.role, event.scopes.clone().unwrap_or_default())],
        Event::PairingRequested(event) => vec![(Some(event.ask.role), event.ask.scopes.clone())],
        Event::PairingApproved(event) => vec![(Some(event.role), event.scopes.clone())],
        Event::TokenIssued(event) => vec![(Some(event.role), event.scopes.clone())],
        Event::TokenRotated(event) => vec![(Some(event.role), event.scopes.union(&event.scopes_before))],
        Event::TokenRevoked(event) => vec![(Some(event.role), ScopeSet::EMPTY)],
        Event::SetupCodeCreated(event) => event.grants.iter().map(|grant| (Some(grant.role), grant.scopes.clone())).collect(),
        Event::GrantWithdrawn(event) => vec![(Some(event.role), event.scopes.clone())],
        Event::DeviceRestored(event) => event.grants.iter().map(|grant| (Some(grant.role), grant.scopes.clone())).collect(),
        Event::DeviceImported(event) => event.grants.iter().map(|grant| (Some(grant.role), grant.scopes.clone())).collect(),
        _ => vec![],
    }
}
