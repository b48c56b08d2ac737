//! A policy tried on history, point by point: each attempt and each command is decided on the registry as it was at that record, under
//! this policy in place of every one that was in force. No other history is made up in which people would have acted otherwise.

use std::collections::BTreeMap;

use super::again::{Again, Answer};
use super::event::{Actor, AttemptsSuppressed, Client, ClientId, CommandName, Event, Record};
use super::ids::{DeviceId, Millis, Seq};
use super::policy::Policy;
use super::registry::Registry;

/// What a policy would have made of history. It remembers what differs and nothing else.
pub struct Simulation {
    again: Again,
    policy: Policy,
    decided: u64,
    uncertain: u64,
    most: usize,
    differences: BTreeMap<Seq, Difference>,
    /// How many were found, and the last of those that are remembered no more.
    found: u64,
    forgotten: Option<Seq>,
    all: Tally,
    by_device: BTreeMap<Option<DeviceId>, Tally>,
    other_devices: Tally,
    by_client: BTreeMap<Option<ClientId>, Tally>,
}

/// A decision that would differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// When it was made.
    pub at: Millis,
    /// Who asked.
    pub actor: Actor,
    /// The command; none of an attempt to connect.
    pub command: Option<CommandName>,
    /// The device that it is about.
    pub device: Option<DeviceId>,
    /// The client that tried to connect, or as which the device is paired.
    pub client: Option<Client>,
    /// What came of it.
    pub then: Answer,
    /// What would come of it.
    pub now: Answer,
    /// How often: once on record, and more where repeats of a refusal were only counted.
    pub times: u64,
}

/// How many decisions would differ, and how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// They would be refused, and were not.
    pub refused: u64,
    /// They were refused, and would not be.
    pub done: u64,
    /// They would give other scopes, or be refused for another reason.
    pub otherwise: u64,
}

impl Tally {
    /// All of them.
    #[must_use]
    pub fn total(self) -> u64 {
        self.refused.saturating_add(self.done).saturating_add(self.otherwise)
    }

    fn add(&mut self, difference: &Difference, times: u64) {
        let way = match (&difference.then, &difference.now) {
            (Answer::Refused(_), Answer::Refused(_)) => &mut self.otherwise,
            (_, Answer::Refused(_)) => &mut self.refused,
            (Answer::Refused(_), _) => &mut self.done,
            _ => &mut self.otherwise,
        };
        *way = way.saturating_add(times);
    }
}

impl Simulation {
    /// Tries `policy` on history from behind what `registry` holds.
    #[must_use]
    pub fn new(policy: Policy, registry: Registry) -> Self {
        Self {
            again: registry.into(),
            policy,
            decided: 0,
            uncertain: 0,
            most: usize::MAX,
            differences: BTreeMap::new(),
            found: 0,
            forgotten: None,
            all: Tally::default(),
            by_device: BTreeMap::new(),
            other_devices: Tally::default(),
            by_client: BTreeMap::new(),
        }
    }

    /// Remembers at most so many differences, the newest, and adds up by itself what is about each of so many devices: what it
    /// takes does not grow with history.
    #[must_use]
    pub fn keeping(self, most: usize) -> Self {
        Self { most, ..self }
    }

    /// What all records that were passed fold to.
    #[must_use]
    pub fn registry(&self) -> &Registry {
        self.again.registry()
    }

    /// How many attempts and commands were decided again, those that were only counted included.
    #[must_use]
    pub fn decided(&self) -> u64 {
        self.decided
    }

    /// How many of those that were only counted are like none on record, or like one that is remembered no more, so that nothing can
    /// be told of them.
    #[must_use]
    pub fn uncertain(&self) -> u64 {
        self.uncertain
    }

    /// What would differ, as far as it is remembered.
    #[must_use]
    pub fn differences(&self) -> &BTreeMap<Seq, Difference> {
        &self.differences
    }

    /// How many records tell of a decision that would differ, remembered or not.
    #[must_use]
    pub fn found(&self) -> u64 {
        self.found
    }

    /// All that would differ.
    #[must_use]
    pub fn all(&self) -> Tally {
        self.all
    }

    /// It by the device that it is about.
    #[must_use]
    pub fn by_device(&self) -> &BTreeMap<Option<DeviceId>, Tally> {
        &self.by_device
    }

    /// What is about devices that are not told apart.
    #[must_use]
    pub fn other_devices(&self) -> Tally {
        self.other_devices
    }

    /// It by the client.
    #[must_use]
    pub fn by_client(&self) -> &BTreeMap<Option<ClientId>, Tally> {
        &self.by_client
    }

    /// Goes on to the next record.
    pub fn pass(&mut self, record: &Record) {
        if let Event::AttemptsSuppressed(event) = &record.event {
            self.count(event);
        }
        let Some(decided) = self.again.pass(record, Some(&self.policy)) else { return };
        self.decided = self.decided.saturating_add(1);
        let (then, now) = (decided.then, Answer::of(decided.again));
        if then.differs(&now) {
            let device = device(self.again.registry(), &record.event);
            let client = client(self.again.registry(), &record.event, device);
            let (at, actor, command) = (record.at, record.actor.clone(), command(&record.event));
            let difference = Difference { at, actor, command, device, client, then, now, times: 1 };
            self.found = self.found.saturating_add(1);
            self.tally(&difference, 1);
            self.differences.insert(record.seq, difference);
            if self.differences.len() > self.most {
                self.forgotten = self.differences.pop_first().map(|(seq, _)| seq);
            }
        }
    }

    fn count(&mut self, event: &AttemptsSuppressed) {
        let Some(like) = event.like.filter(|like| self.forgotten.is_none_or(|forgotten| forgotten < *like)) else {
            self.uncertain = self.uncertain.saturating_add(event.count);
            return;
        };
        self.decided = self.decided.saturating_add(event.count);
        if let Some(mut difference) = self.differences.remove(&like) {
            difference.times = difference.times.saturating_add(event.count);
            self.tally(&difference, event.count);
            self.differences.insert(like, difference);
        }
    }

    fn tally(&mut self, difference: &Difference, times: u64) {
        self.all.add(difference, times);
        let (device, client) = (difference.device, difference.client.map(|client| client.id));
        self.by_client.entry(client).or_default().add(difference, times);
        let is_apart = self.by_device.contains_key(&device) || self.by_device.len() < self.most;
        let tally = if is_apart { self.by_device.entry(device).or_default() } else { &mut self.other_devices };
        tally.add(difference, times);
    }
}

/// The device that a decision is about; of a request that was to be answered, whoever asks by it.
fn device(registry: &Registry, event: &Event) -> Option<DeviceId> {
    let asks = |request| {
        let waiting = registry.request(&request).map(|request| request.device);
        waiting.or_else(|| registry.settled(&request).map(|settled| settled.device))
    };
    event.device().or_else(|| event.request().and_then(asks))
}

fn client(registry: &Registry, event: &Event, device: Option<DeviceId>) -> Option<Client> {
    match event {
        Event::ConnectionAdmitted(event) => event.attempt.client,
        Event::ConnectionRefused(event) => event.attempt.client,
        _ => device.and_then(|device| Some(registry.device(&device)?.client)),
    }
}

/// The command that a record tells of.
fn command(event: &Event) -> Option<CommandName> {
    Some(match event {
        Event::CommandRefused(event) => event.command,
        Event::PairingApproved(_) => CommandName::Approve,
        Event::PairingRejected(_) => CommandName::Reject,
        Event::PairingRequested(_) => CommandName::Ask,
        Event::TokenRotated(_) => CommandName::Rotate,
        Event::TokenRevoked(_) => CommandName::Revoke,
        Event::DeviceRemoved(_) => CommandName::Remove,
        Event::DeviceRenamed(_) => CommandName::Rename,
        Event::PolicyChanged(_) => CommandName::ApplyPolicy,
        Event::RuleArmed(_) => CommandName::ArmRule,
        Event::OwnerActsSeen(_) => CommandName::MarkSeen,
        Event::SetupCodeCreated(_) => CommandName::CreateSetupCode,
        Event::SetupCodeRevoked(_) => CommandName::RevokeSetupCode,
        Event::DeviceImported(_) => CommandName::Import,
        Event::DeviceSucceeded(_) => CommandName::Succeed,
        Event::RollbackAccepted(_) => CommandName::AcceptRollback,
        _ => return None,
    })
}
