//! How much is recorded of whom, and how often came what was beyond that. Within the record budget of the policy everything is
//! recorded in full; beyond it a refusal is answered all the same and only counted, and whatever would append more is refused.
//! What it says of the counts adds up to the true number. It has no clock: the time is handed in.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher as _};
use std::mem;

use crate::journal::payload_bytes;
use crate::limits;
use crate::pairing::{
    Actor, Address, Attempt, AttemptsSuppressed, Command, ConnectionRefused, Decision, DeviceId, Event, Forwarding, Millis,
    Outcome, PairingNeed, PeerUser, RecordBudget, Refusal, Registry, RequestId, Rule, Seq, takes_away,
};

/// What was recorded lately, and what was not.
pub(super) struct Ledger {
    /// Of paired devices and rules, of which there are only so many.
    known: Windows,
    /// Of the places of strangers.
    places: Windows,
    /// What all strangers together had recorded.
    strangers: Window,
    counts: BTreeMap<Like, Count>,
    due: BTreeSet<Like>,
    /// How many are counted and not told yet.
    untold: u64,
    /// What is being told, until it is durable.
    telling: Vec<(Like, Untold)>,
    looked: Millis,
    seed: [u8; 16],
}

/// On whose account something is recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Payer {
    /// A paired device that proved its key.
    Device(DeviceId),
    /// Whoever a rule of the policy lets in without a device.
    Rule(Rule),
    /// Strangers at one place.
    Place(Place),
    /// Strangers beyond the places that are counted one by one.
    Elsewhere,
}

/// Where a stranger is, as far as the kernel and the headers tell. On one machine a process of another user, a page that may ask,
/// one that may not, and whoever comes through a proxy are others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    network: Address,
    user: PeerUser,
    is_page: bool,
    is_faulty_page: bool,
    was_passed_on: bool,
}

impl Place {
    fn of(attempt: &Attempt) -> Self {
        let source = &attempt.source;
        Self {
            network: source.address().network(),
            user: source.user,
            is_page: source.is_page,
            is_faulty_page: source.is_page && attempt.fault.is_some(),
            was_passed_on: source.forwarding != Forwarding::None || source.claimed.is_some(),
        }
    }

    /// Whether it is a process of the owner's on this machine, whom strangers elsewhere must not shut out.
    fn is_owners(&self) -> bool {
        self.user == PeerUser::Owner && self.network.is_loopback() && !self.is_page && !self.was_passed_on
    }
}

/// What was spent since a window began.
#[derive(Clone, Copy, Default)]
struct Window {
    since: Millis,
    used: u64,
}

impl Window {
    fn ends(&self, budget: &RecordBudget) -> Millis {
        self.since.plus(budget.window_ms)
    }

    /// For how long there is no room for more, or nothing where there is. The last act may take more than is left, or a dear one
    /// could never be done.
    fn wait(&self, most: u32, budget: &RecordBudget, now: Millis) -> Option<u64> {
        let is_spent = now < self.ends(budget) && self.used >= u64::from(most);
        is_spent.then(|| self.ends(budget).since(now))
    }

    fn take(&mut self, cost: u64, budget: &RecordBudget, now: Millis) {
        if now >= self.ends(budget) || self.used == 0 {
            *self = Self { since: now, used: 0 };
        }
        self.used = self.used.saturating_add(cost);
    }
}

/// What each of many spent.
#[derive(Default)]
struct Windows {
    of: BTreeMap<Payer, Window>,
    swept: Millis,
}

impl Windows {
    /// Forgets the windows that are over, where there are many: some times in each, whatever comes.
    fn sweep(&mut self, budget: &RecordBudget, now: Millis) {
        if self.of.len() >= limits::COUNTED && now.since(self.swept) >= budget.window_ms / SWEEPS {
            self.swept = now;
            self.of.retain(|_, window| now < window.ends(budget));
        }
    }
}

/// How often in each window the table of windows is cleared.
const SWEEPS: u64 = 8;

/// Which refusals are counted together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Like {
    /// The same as one on record, by a keyed hash of all that was decided on. Were two ever the same, one would be counted for the
    /// other.
    Print(u64),
    /// They name this request.
    Request(RequestId),
    /// Of a paired device, with this answer.
    Device(DeviceId, u8),
    /// From an address, with this answer.
    Address(Address, u8),
    /// With this answer.
    Others(u8),
}

/// How often.
struct Count {
    like: Option<Seq>,
    device: Option<DeviceId>,
    request: Option<RequestId>,
    address: Option<Address>,
    refusal: u8,
    all: u64,
    untold: Option<Untold>,
    told_at: Millis,
}

/// Those of whom no record tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Untold {
    count: u64,
    first: Millis,
    last: Millis,
}

impl Untold {
    fn and(self, other: Option<Self>) -> Self {
        let Some(other) = other else { return self };
        Self {
            count: self.count.saturating_add(other.count),
            first: self.first.min(other.first),
            last: self.last.max(other.last),
        }
    }
}

impl Count {
    fn new(of: &Asker, refusal: &Refusal, now: Millis) -> Self {
        Self {
            like: None,
            device: of.device,
            request: request_of(refusal),
            address: of.address,
            refusal: refusal.number(),
            all: 0,
            untold: None,
            told_at: now,
        }
    }

    fn tell(&mut self, now: Millis) -> Option<(Untold, AttemptsSuppressed)> {
        let untold = self.untold.take()?;
        self.told_at = now;
        let event = AttemptsSuppressed {
            like: self.like,
            address: self.address.filter(|_| self.like.is_none()),
            device: self.device,
            request: self.request,
            refusal: self.refusal,
            count: untold.count,
            first: untold.first,
            last: untold.last,
        };
        Some((untold, event))
    }
}

/// Who asks, as far as the ledger is concerned.
pub(super) struct Asker {
    payer: Option<Payer>,
    device: Option<DeviceId>,
    address: Option<Address>,
    /// Whether it only takes power away, and whoever asks may do everything: if it is done, it is recorded.
    narrows: bool,
}

impl Asker {
    /// Whoever wants `command`.
    #[must_use]
    pub(super) fn of(registry: &Registry, actor: &Actor, command: &Command) -> Self {
        let free = Self { payer: None, device: None, address: None, narrows: false };
        match (actor, command) {
            (_, Command::Connect { attempt, .. }) => {
                let proved = attempt.proof.map(|proof| proof.device);
                let device = proved.filter(|device| registry.device(device).is_some());
                let place = Place::of(attempt);
                let payer = Some(device.map_or(Payer::Place(place), Payer::Device));
                Self { payer, device: proved, address: Some(place.network), narrows: false }
            }
            (Actor::Device { device, .. }, _) => Self {
                payer: Some(Payer::Device(*device)),
                device: Some(*device),
                narrows: takes_away(registry, actor, command),
                ..free
            },
            (Actor::SharedSecret { rule, .. }, _) => {
                Self { payer: Some(Payer::Rule(*rule)), narrows: takes_away(registry, actor, command), ..free }
            }
            // An end was paid for with its admission; all others are the owner and the gateway itself.
            (Actor::Peer | Actor::Owner(_) | Actor::Rule(_) | Actor::System, _) => free,
        }
    }
}

impl Ledger {
    /// An empty one; `seed` is what nobody outside can predict.
    #[must_use]
    pub(super) fn new(seed: [u8; 16]) -> Self {
        Self {
            known: Windows::default(),
            places: Windows::default(),
            strangers: Window::default(),
            counts: BTreeMap::new(),
            due: BTreeSet::new(),
            untold: 0,
            telling: vec![],
            looked: Millis::default(),
            seed,
        }
    }

    /// What becomes of a decision: recorded as it is, counted, or refused because it would append more than a refusal.
    #[must_use]
    pub(super) fn weigh(&mut self, registry: &Registry, asker: &Asker, decision: Decision, now: Millis) -> Decision {
        let budget = registry.policy().budgets().record;
        let is_refused = matches!(decision.outcome, Outcome::Refused(_));
        let payer = payer(asker, &decision.outcome).filter(|_| !decision.events.is_empty());
        let is_free = asker.narrows && !is_refused && !repeats(&decision);
        let Some(payer) = payer.filter(|_| !is_free) else { return decision };
        let payer = self.place(payer, &budget, now);
        match self.wait(payer, &budget, now) {
            None => {
                let cost = cost(payer, &decision);
                self.windows(payer).of.entry(payer).or_default().take(cost, &budget, now);
                if shares(payer) {
                    self.strangers.take(cost, &budget, now);
                }
                self.remember(registry.head(), asker, &decision, now);
                decision
            }
            Some(retry_after_ms) => {
                let outcome = match only_refusal(&decision) {
                    Some(_) => decision.outcome.clone(),
                    None => Outcome::Refused(Box::new(Refusal::RecordBudgetSpent { retry_after_ms })),
                };
                if let Outcome::Refused(refusal) = &outcome {
                    self.count(asker, refusal, only_refusal(&decision), now);
                }
                Decision { events: vec![], outcome }
            }
        }
    }

    /// The counts that are to be told now: those that doubled, and those that nobody was told of for a while.
    pub(super) fn due(&mut self, window_ms: u64, now: Millis) -> Vec<AttemptsSuppressed> {
        if now.since(self.looked) >= limits::SUPPRESSED_LOOK_MS {
            self.looked = now;
            let waits = |count: &Count| count.untold.is_some() && now.since(count.told_at) >= limits::SUPPRESSED_MS;
            self.due.extend(self.counts.iter().filter(|(_, count)| waits(count)).map(|(like, _)| *like));
            // What did not come again for a window is recorded in full the next time.
            self.counts.retain(|_, count| count.untold.is_some() || now.since(count.told_at) < window_ms);
        }
        let due = mem::take(&mut self.due);
        due.into_iter().filter_map(|like| self.tell(like, now)).collect()
    }

    /// All that nobody was told of.
    pub(super) fn rest(&mut self, now: Millis) -> Vec<AttemptsSuppressed> {
        self.due.clear();
        let all: Vec<_> = self.counts.iter().filter(|(_, count)| count.untold.is_some()).map(|(like, _)| *like).collect();
        all.into_iter().filter_map(|like| self.tell(like, now)).collect()
    }

    /// Whether somebody was counted whom no record tells of.
    #[must_use]
    pub(super) fn owes(&self) -> bool {
        self.untold > 0
    }

    /// What was told is durable.
    pub(super) fn told(&mut self) {
        self.telling.clear();
    }

    /// What was told and remembered behind `head` was not written.
    pub(super) fn lost(&mut self, head: Seq) {
        for (like, untold) in mem::take(&mut self.telling) {
            if let Some(count) = self.counts.get_mut(&like) {
                count.untold = Some(untold.and(count.untold));
                self.untold = self.untold.saturating_add(untold.count);
            }
        }
        for count in self.counts.values_mut().filter(|count| count.like.is_some_and(|like| like > head)) {
            count.like = None;
        }
    }

    fn tell(&mut self, like: Like, now: Millis) -> Option<AttemptsSuppressed> {
        let (untold, event) = self.counts.get_mut(&like)?.tell(now)?;
        self.untold = self.untold.saturating_sub(untold.count);
        self.telling.push((like, untold));
        Some(event)
    }

    fn windows(&mut self, payer: Payer) -> &mut Windows {
        match payer {
            Payer::Device(_) | Payer::Rule(_) => &mut self.known,
            Payer::Place(_) | Payer::Elsewhere => &mut self.places,
        }
    }

    /// Who pays: of places only so many are counted one by one.
    fn place(&mut self, payer: Payer, budget: &RecordBudget, now: Millis) -> Payer {
        let windows = self.windows(payer);
        windows.sweep(budget, now);
        let is_beyond = !windows.of.contains_key(&payer) && windows.of.len() >= limits::COUNTED;
        if is_beyond && matches!(payer, Payer::Place(_)) { Payer::Elsewhere } else { payer }
    }

    /// For how long there is no room on this account, or on that of all strangers.
    fn wait(&mut self, payer: Payer, budget: &RecordBudget, now: Millis) -> Option<u64> {
        let most = match payer {
            Payer::Device(_) | Payer::Rule(_) => budget.per_device,
            Payer::Place(_) | Payer::Elsewhere => budget.per_address,
        };
        let own = self.windows(payer).of.get(&payer).and_then(|window| window.wait(most, budget, now));
        let all = shares(payer).then(|| self.strangers.wait(budget.total, budget, now)).flatten();
        own.max(all)
    }

    /// Notes where a refusal is on record, so that its repeats can point there.
    fn remember(&mut self, head: Seq, asker: &Asker, decision: &Decision, now: Millis) {
        let place = decision.events.iter().position(|(_, event)| is_refusal(event));
        let Some(((actor, event), at)) = place.and_then(|place| Some((decision.events.get(place)?, place))) else { return };
        let Outcome::Refused(refusal) = &decision.outcome else { return };
        let like = self.print(actor, event);
        let seq = Seq(head.next().0.saturating_add(u64::try_from(at).unwrap_or(u64::MAX)));
        if self.counts.contains_key(&like) || self.makes_room(false, now) {
            let count = self.counts.entry(like).or_insert_with(|| Count::new(asker, refusal, now));
            count.like = Some(seq);
            if count.untold.is_none() {
                count.told_at = now;
            }
        }
    }

    /// Counts a refusal: with one like it on record, else as narrowly as there is room.
    fn count(&mut self, asker: &Asker, refusal: &Refusal, written: Option<&(Actor, Event)>, now: Millis) {
        let like = written.map(|(actor, event)| self.print(actor, event)).filter(|like| self.counts.contains_key(like));
        let number = refusal.number();
        let of_device = || asker.device.filter(|_| asker.payer.is_some_and(|payer| matches!(payer, Payer::Device(_))));
        let narrow = like
            .or_else(|| request_of(refusal).map(Like::Request))
            .or_else(|| of_device().map(|device| Like::Device(device, number)))
            .or_else(|| asker.address.map(|address| Like::Address(address, number)))
            .unwrap_or(Like::Others(number));
        let is_known = self.counts.contains_key(&narrow) || matches!(narrow, Like::Others(_));
        let like =
            if is_known || self.makes_room(matches!(narrow, Like::Request(_)), now) { narrow } else { Like::Others(number) };
        let count = self.counts.entry(like).or_insert_with(|| match like {
            // Whose they are is told by what they are counted under.
            Like::Others(_) => Count { device: None, request: None, address: None, ..Count::new(asker, refusal, now) },
            Like::Address(..) => Count { device: None, request: None, ..Count::new(asker, refusal, now) },
            _ => Count::new(asker, refusal, now),
        });
        count.all = count.all.saturating_add(1);
        count.untold = Some(Untold { count: 1, first: now, last: now }.and(count.untold));
        if count.all.is_power_of_two() || now.since(count.told_at) >= limits::SUPPRESSED_MS {
            self.due.insert(like);
        }
        self.untold = self.untold.saturating_add(1);
    }

    /// Whether there is room for one more count. Those of whom there is nothing to tell make it, the oldest first, but not just
    /// after they were told, or many who come in turn would each be told of for ever; and for a request, which lives on its
    /// count, also one that names none: that is counted with all others of its answer from there on.
    fn makes_room(&mut self, for_request: bool, now: Millis) -> bool {
        if self.counts.len() < limits::SUPPRESSED {
            return true;
        }
        let is_over =
            |count: &Count| count.untold.is_none() && (count.all == 0 || now.since(count.told_at) >= limits::SUPPRESSED_MS);
        let over = self.counts.iter().filter(|(like, count)| is_over(count) && !matches!(like, Like::Others(_)));
        if let Some((like, _)) = over.min_by_key(|(_, count)| count.told_at) {
            let like = *like;
            self.counts.remove(&like);
            return true;
        }
        let mut less = self.counts.iter().filter(|(like, count)| count.request.is_none() && !matches!(like, Like::Others(_)));
        let less = less.next().map(|(like, _)| *like);
        let Some(like) = less.filter(|_| for_request) else { return false };
        let Some(gone) = self.counts.remove(&like) else { return false };
        self.due.remove(&like);
        let others = Count { like: None, device: None, request: None, address: None, untold: None, all: 0, ..gone };
        let others = self.counts.entry(Like::Others(gone.refusal)).or_insert(others);
        others.all = others.all.saturating_add(gone.all);
        others.untold = gone.untold.map(|untold| untold.and(others.untold)).or(others.untold);
        true
    }

    /// What tells this refusal from others: everything but the socket that it came on and how long to wait.
    fn print(&self, actor: &Actor, event: &Event) -> Like {
        let mut hasher = DefaultHasher::new();
        (&self.seed, actor).hash(&mut hasher);
        match event {
            Event::ConnectionRefused(ConnectionRefused { attempt, refusal }) => {
                (&attempt.source, attempt.fault, attempt.protocol, attempt.client).hash(&mut hasher);
                (&attempt.ask.as_ref().map(|ask| (ask.role, &ask.scopes)), attempt.proof, attempt.credential).hash(&mut hasher);
                match refusal {
                    Refusal::PairingRequired(need) => {
                        Refusal::PairingRequired(PairingNeed { retry_after_ms: 0, ..need.clone() }).hash(&mut hasher);
                    }
                    // What it says of itself is in the request, where there is one.
                    refusal => (refusal, &attempt.ask).hash(&mut hasher),
                }
            }
            Event::CommandRefused(event) => {
                (&event.command, &event.request, &event.device, &event.role, &event.scopes).hash(&mut hasher);
                event.refusal.hash(&mut hasher);
            }
            _ => {}
        }
        Like::Print(hasher.finish())
    }
}

/// Who pays for what was decided: a rule for those whom it let in.
fn payer(asker: &Asker, outcome: &Outcome) -> Option<Payer> {
    match (asker.payer, outcome) {
        (Some(Payer::Place(_)), Outcome::Admitted(admission)) if admission.device.is_none() => Some(Payer::Rule(admission.rule)),
        (payer, _) => payer,
    }
}

/// Whether this account is one of those that share the budget of all strangers.
fn shares(payer: Payer) -> bool {
    match payer {
        Payer::Device(_) | Payer::Rule(_) => false,
        Payer::Place(place) => !place.is_owners(),
        Payer::Elsewhere => true,
    }
}

/// An act costs one, more where it says much; of whoever comes again and again, an admission pays for its end too.
fn cost(payer: Payer, decision: &Decision) -> u64 {
    let bytes: usize = decision.events.iter().map(|(actor, event)| payload_bytes(actor, event)).fold(0, usize::saturating_add);
    let more = u64::try_from(bytes / limits::RECORD_UNIT_BYTES).unwrap_or(u64::MAX);
    let ends = matches!(payer, Payer::Device(_) | Payer::Rule(_)) && matches!(decision.outcome, Outcome::Admitted(_));
    1_u64.saturating_add(more).saturating_add(u64::from(ends))
}

fn is_refusal(event: &Event) -> bool {
    matches!(event, Event::ConnectionRefused(_) | Event::CommandRefused(_))
}

/// The refusal, where a decision records nothing else. That a request's time is over is found again by the next sweep.
fn only_refusal(decision: &Decision) -> Option<&(Actor, Event)> {
    let mut events = decision.events.iter().filter(|(_, event)| !matches!(event, Event::PairingExpired(_)));
    let only = events.next().filter(|_| events.next().is_none());
    only.filter(|(_, event)| is_refusal(event))
}

/// Whether it puts in place what was in place before.
fn repeats(decision: &Decision) -> bool {
    decision.events.iter().any(|(_, event)| matches!(event, Event::TokenRotated(event) if event.scopes == event.scopes_before))
}

fn request_of(refusal: &Refusal) -> Option<RequestId> {
    match refusal {
        Refusal::PairingRequired(need) => Some(need.request),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
