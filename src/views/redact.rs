//! Records to be shown to others: without addresses, names, labels and paths. Each has the same stand-in wherever it stands in one
//! export, so what belongs together is still seen; in another export it has another. Ids and keys of devices stay: they are what
//! is asked about, and say nothing of anybody.

use std::collections::BTreeMap;
use std::net::IpAddr;

use crate::pairing::{Actor, Address, Ask, Attempt, Description, Event, Person, Profile, Record, Refusal};

/// The stand-ins of one export.
#[derive(Debug, Default)]
pub struct Redaction {
    texts: BTreeMap<&'static str, BTreeMap<String, usize>>,
    addresses: BTreeMap<Address, Address>,
    users: BTreeMap<u32, u32>,
}

/// The first of the addresses that stand in: of a network for measurements (RFC 2544) and of one for documents (RFC 3849).
const STAND_INS: (u32, u128) = (0xc612_0000, 0x2001_0db8_0000_0000_0000_0000_0000_0000);
/// The first of the users that stand in.
const USERS: u32 = 1_000;
/// Settings that are told as they are: what stands in the others says how the gateway was reached, and by whom.
const TOLD: [&str; 6] = ["addresses", "auth", "configuration", "ownerActsUnseen", "ownerChannel", "port"];

impl Redaction {
    /// The record as others may see it.
    #[must_use]
    pub fn of(&mut self, mut record: Record) -> Record {
        self.actor(&mut record.actor);
        match &mut record.event {
            Event::JournalCreated(event) => self.text("policy", &mut event.policy),
            Event::PolicyChanged(event) => self.text("policy", &mut event.policy),
            Event::GatewayStarted(event) => {
                let settings = event.settings.iter_mut().filter(|(name, _)| !TOLD.contains(&&**name));
                settings.for_each(|(_, value)| self.text("setting", value));
            }
            Event::JournalRepaired(event) => self.text("path", &mut event.kept),
            Event::ConditionFound(event) => self.text("detail", &mut event.detail),
            Event::WitnessPlaced(event) => {
                self.text("path", &mut event.path);
                self.maybe("path", &mut event.lost);
            }
            Event::HistoryArchived(event) => self.text("path", &mut event.archive),
            Event::ConnectionAdmitted(event) => self.attempt(&mut event.attempt),
            Event::ConnectionRefused(event) => {
                self.attempt(&mut event.attempt);
                self.refusal(&mut event.refusal);
            }
            Event::CommandRefused(event) => self.refusal(&mut event.refusal),
            Event::AttemptsSuppressed(event) => event.address.iter_mut().for_each(|address| self.address(address)),
            Event::PairingRequested(event) => {
                self.ask(&mut event.ask);
                self.address(&mut event.address);
            }
            Event::DeviceRenamed(event) => {
                self.text("label", &mut event.label);
                self.maybe("label", &mut event.label_before);
            }
            Event::SetupCodeCreated(event) => self.maybe("label", &mut event.label),
            Event::ConfigurationChanged(event) if !TOLD.contains(&&*event.key) => {
                self.maybe("setting", &mut event.before);
                self.maybe("setting", &mut event.after);
            }
            Event::DeviceRestored(event) => self.profile(&mut event.profile),
            Event::DeviceImported(event) => self.profile(&mut event.profile),
            Event::GatewayStopped(_)
            | Event::SegmentSealed(_)
            | Event::ConditionCleared(_)
            | Event::OwnerActsSeen(_)
            | Event::RuleArmed(_)
            | Event::ConnectionClosed(_)
            | Event::PairingApproved(_)
            | Event::PairingRejected(_)
            | Event::PairingExpired(_)
            | Event::DeviceMetadataChanged(_)
            | Event::DeviceRemoved(_)
            | Event::TokenIssued(_)
            | Event::TokenRotated(_)
            | Event::TokenRevoked(_)
            | Event::SetupCodeSpent(_)
            | Event::SetupCodeRevoked(_)
            | Event::RollbackAccepted(_)
            | Event::ConfigurationChanged(_)
            | Event::ActUndone(_)
            | Event::GrantWithdrawn(_)
            | Event::DeviceSucceeded(_)
            | Event::TokenKeyReplaced(_) => {}
        }
        record
    }

    fn actor(&mut self, actor: &mut Actor) {
        if let Actor::Owner(person) = actor {
            self.person(person);
        }
    }

    /// Root has no name.
    fn person(&mut self, person: &mut Person) {
        let next = USERS.saturating_add(u32::try_from(self.users.len()).unwrap_or(u32::MAX));
        if person.uid != 0 {
            person.uid = *self.users.entry(person.uid).or_insert(next);
        }
        self.text("program", &mut person.program);
        self.maybe("terminal", &mut person.terminal);
    }

    fn attempt(&mut self, attempt: &mut Attempt) {
        self.address(&mut attempt.source.peer);
        attempt.source.claimed.iter_mut().for_each(|claimed| self.address(claimed));
        attempt.ask.iter_mut().for_each(|ask| self.ask(ask));
    }

    fn ask(&mut self, ask: &mut Ask) {
        if let Some(said) = &mut ask.described.here {
            self.description(said);
        }
    }

    fn description(&mut self, said: &mut Description) {
        self.maybe("name", &mut said.display_name);
        self.maybe("model", &mut said.model);
        self.maybe("instance", &mut said.instance);
    }

    fn profile(&mut self, profile: &mut Profile) {
        self.description(&mut profile.description);
        self.maybe("label", &mut profile.label);
        self.address(&mut profile.address);
    }

    fn refusal(&mut self, refusal: &mut Refusal) {
        match refusal {
            Refusal::PairingRequired(need) => need.revoked.iter_mut().for_each(|(_, by)| self.actor(by)),
            Refusal::Resolved(resolution) => self.actor(&mut resolution.by),
            Refusal::BadPolicy { why } => self.text("complaint", why),
            _ => {}
        }
    }

    /// This machine is no address of anybody.
    fn address(&mut self, address: &mut Address) {
        if address.is_loopback() || address.ip().is_unspecified() {
            return;
        }
        let number = u32::try_from(self.addresses.len()).unwrap_or(u32::MAX).saturating_add(1);
        let stand_in = match address.ip() {
            IpAddr::V4(_) => IpAddr::V4(STAND_INS.0.saturating_add(number).into()),
            IpAddr::V6(_) => IpAddr::V6(STAND_INS.1.saturating_add(number.into()).into()),
        };
        *address = *self.addresses.entry(*address).or_insert(stand_in.into());
    }

    fn text(&mut self, what: &'static str, text: &mut String) {
        if text.is_empty() {
            return;
        }
        let known = self.texts.entry(what).or_default();
        let next = known.len().saturating_add(1);
        let number = *known.entry(std::mem::take(text)).or_insert(next);
        *text = format!("{what}-{number}");
    }

    fn maybe(&mut self, what: &'static str, text: &mut Option<String>) {
        text.iter_mut().for_each(|text| self.text(what, text));
    }
}
