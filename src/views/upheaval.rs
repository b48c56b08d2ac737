//! What changed on a gateway's host, and who is turned away since: a fold over the newest records. Whom an upheaval is held
//! against is a guess from what came after what, so it is told as that.

use std::collections::BTreeMap;

use super::sentence::{setting_changed, subject};
use super::{quote, time_text};
use crate::limits;
use crate::pairing::{
    Address, Attempt, AuthReason, Condition, DeviceId, Event, Fault, GatewayStarted, Millis, Record, Refusal, Seq,
};

/// A change that may turn away whoever was let in before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upheaval {
    /// When it was found.
    pub at: Millis,
    /// Its first record.
    pub seq: Seq,
    /// What changed: each a sentence, or what stands for one behind "after".
    pub what: Vec<String>,
    /// Whether all of it is a gateway that left no record of a stop, which turns nobody away by itself.
    is_slight: bool,
}

/// Whoever was turned away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Who {
    /// A device that proved itself.
    Device(DeviceId),
    /// No device: where it came from, of IPv6 its network.
    Address(Address),
}

/// The refusals of one since it was last let in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusals {
    /// When the first of them came.
    pub first: Millis,
    /// When the last of them came.
    pub last: Millis,
    /// How many, those included that were not recorded one by one.
    pub count: u64,
    /// The last answer that says what is missing.
    pub refusal: Refusal,
    /// The upheaval that they began after, by its place among all.
    pub after: Option<usize>,
}

/// What the newest records tell of upheavals and of those who are out since.
#[derive(Debug, Default)]
pub struct Aftermath {
    upheavals: Vec<Upheaval>,
    out: BTreeMap<Who, Refusals>,
    let_in: BTreeMap<Who, Seq>,
    version: Option<String>,
    identities: Vec<DeviceId>,
    /// The last start, where nobody came since: what is found then was so when it started.
    fresh: Option<Seq>,
}

impl Aftermath {
    /// Hears the next record.
    pub fn hear(&mut self, record: &Record) {
        match &record.event {
            Event::GatewayStarted(event) => self.started(record, event),
            Event::ConfigurationChanged(event) => self.upheaval(record, setting_changed(event), false),
            Event::ConditionFound(event) => {
                let told = event.detail.split(';').next().unwrap_or_default();
                let what = format!("it was found that {} {}", subject(event.condition), quote(told));
                match event.condition {
                    Condition::Identity | Condition::Devices | Condition::Key | Condition::Configuration => {
                        self.upheaval(record, what, false);
                    }
                    Condition::UncleanStop => self.upheaval(record, what, true),
                    Condition::Witness | Condition::Clock | Condition::Storage => {}
                }
            }
            Event::PolicyChanged(_) => {
                self.fresh = None;
                self.upheaval(record, "another policy was put in force".to_owned(), false);
            }
            Event::RollbackAccepted(_) => self.upheaval(record, "an older copy of the journal was accepted".to_owned(), false),
            Event::ConnectionAdmitted(event) => {
                self.fresh = None;
                for who in both(&event.attempt) {
                    self.out.remove(&who);
                    self.let_in.insert(who, record.seq);
                }
            }
            Event::ConnectionRefused(event) => {
                self.fresh = None;
                self.refused(record, &event.attempt, &event.refusal);
            }
            Event::AttemptsSuppressed(event) => {
                let who = event.device.map(Who::Device).or_else(|| event.address.map(|address| Who::Address(address.network())));
                if let Some(out) = who.and_then(|who| self.out.get_mut(&who)) {
                    out.count = out.count.saturating_add(event.count);
                    out.last = out.last.max(event.last);
                }
            }
            // Somebody answered; what comes after that begins anew.
            Event::PairingApproved(_)
            | Event::PairingRejected(_)
            | Event::TokenRotated(_)
            | Event::TokenRevoked(_)
            | Event::DeviceRemoved(_)
            | Event::DeviceImported(_)
            | Event::DeviceRestored(_)
            | Event::DeviceSucceeded(_) => {
                if let Some(device) = record.event.device() {
                    self.out.remove(&Who::Device(device));
                }
            }
            _ => {}
        }
    }

    /// The upheavals, the oldest first.
    #[must_use]
    pub fn upheavals(&self) -> &[Upheaval] {
        &self.upheavals
    }

    /// Who was turned away and not let in since.
    pub fn out(&self) -> impl Iterator<Item = (Who, &Refusals)> {
        self.out.iter().map(|(who, refusals)| (*who, refusals))
    }

    /// The devices that the gateway's host was at its starts, the last one last.
    #[must_use]
    pub fn identities(&self) -> &[DeviceId] {
        &self.identities
    }

    fn started(&mut self, record: &Record, event: &GatewayStarted) {
        self.fresh = None;
        if let Some(before) = self.version.replace(event.version.clone()).filter(|before| *before != event.version) {
            let what = format!("the update from {} to {}", quote(&before), quote(&event.version));
            self.upheaval(record, what, false);
        }
        if let Some(identity) = event.identity {
            self.identities.retain(|known| *known != identity);
            self.identities.push(identity);
        }
        self.fresh = Some(record.seq);
    }

    fn upheaval(&mut self, record: &Record, what: String, is_slight: bool) {
        let start = self.fresh;
        let of_this_start = self.upheavals.last_mut().filter(|last| start.is_some_and(|start| last.seq >= start));
        match of_this_start {
            Some(last) if is_slight == last.is_slight => last.what.push(what),
            Some(last) if last.is_slight => {
                *last = Upheaval { at: record.at, seq: last.seq, what: vec![what], is_slight };
            }
            Some(_) => {}
            None => self.upheavals.push(Upheaval { at: record.at, seq: record.seq, what: vec![what], is_slight }),
        }
    }

    fn refused(&mut self, record: &Record, attempt: &Attempt, refusal: &Refusal) {
        let Some(who) = both(attempt).next() else { return };
        let says_why = match refusal {
            Refusal::Fault(fault) => {
                matches!(fault, Fault::Protocol | Fault::SignatureExpired | Fault::OriginForbidden | Fault::OriginMissing)
            }
            Refusal::RecordBudgetSpent { .. } | Refusal::Unauthorized { reason: AuthReason::RateLimited, .. } => false,
            _ => true,
        };
        if let Some(out) = self.out.get_mut(&who) {
            out.count = out.count.saturating_add(1);
            out.last = record.at;
            if says_why {
                out.refusal = refusal.clone();
            }
        } else if says_why && self.out.len() < limits::COUNTED {
            let after = self.blamed(who, record, refusal);
            let (first, last, refusal) = (record.at, record.at, refusal.clone());
            self.out.insert(who, Refusals { first, last, count: 1, refusal, after });
        }
    }

    /// The last upheaval since it was let in. Whoever was never let in is one of those it hit only if it came soon and knew the
    /// shared secret, as whoever is asked to pair did.
    fn blamed(&self, who: Who, record: &Record, refusal: &Refusal) -> Option<usize> {
        let since = self.let_in.get(&who);
        let is_soon = |upheaval: &Upheaval| {
            matches!(refusal, Refusal::PairingRequired(_)) && record.at.since(upheaval.at) <= limits::UPHEAVAL_MS
        };
        let may = |upheaval: &Upheaval| since.map_or_else(|| is_soon(upheaval), |seq| upheaval.seq > *seq);
        let last = |is_slight: bool| self.upheavals.iter().rposition(|one| one.is_slight == is_slight && may(one));
        last(false).or_else(|| last(true))
    }
}

impl Upheaval {
    /// Whether it turns nobody away by itself.
    #[must_use]
    pub const fn is_slight(&self) -> bool {
        self.is_slight
    }

    /// It, and how long after it something was.
    #[must_use]
    pub fn before(&self, later: Millis) -> String {
        let (span, what) = (span(later.since(self.at)), self.what.join(" and "));
        format!("{span} after {what} ({}, seq {})", time_text(self.at), self.seq)
    }
}

/// The device, where one proved itself, then the address.
fn both(attempt: &Attempt) -> impl Iterator<Item = Who> + use<> {
    let device = attempt.proof.map(|proof| Who::Device(proof.device));
    device.into_iter().chain([Who::Address(attempt.source.address().network())])
}

/// A span of time in its largest unit.
fn span(ms: u64) -> String {
    match ms / 1_000 {
        seconds @ 0..60 => format!("{seconds} s"),
        seconds @ 60..3_600 => format!("{} min", seconds / 60),
        seconds @ 3_600..86_400 => format!("{} h", seconds / 3_600),
        seconds => format!("{} d", seconds / 86_400),
    }
}
