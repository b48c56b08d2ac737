//! What one address may cost us, and all of them together. Two budgets of the policy, never mixed: wrong credentials, so that
//! guessing comes to nothing, and sockets that have not said who they are. Loopback has no exemption. Whoever proves the key of a
//! paired device counts by that key, so nobody else can shut it out.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::limits;
use crate::pairing::{Address, DeviceId, FailureBudget, PeerUser, Source};

/// Who is counted.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Key {
    /// An IPv4 address or an IPv6 network of 64 bits; on loopback whose process it is, as far as the kernel tells.
    Address(Address, PeerUser),
    /// A page on loopback, by its origin and whose process its browser is: what it does is not the doing of others there.
    Page(String, PeerUser),
    /// A paired device that proved its key.
    Device(DeviceId),
    /// All others together, where too many are counted already.
    Others,
}

impl Key {
    /// Who a request is counted as before it has proved anything.
    #[must_use]
    pub(super) fn of(source: &Source, origin: Option<&str>) -> Self {
        match origin {
            Some(origin) if source.address().is_loopback() => Self::Page(origin.to_ascii_lowercase(), source.user),
            _ => Self::Address(source.address().network(), source.user),
        }
    }
}

impl Key {
    /// Whether it shares the budget of all addresses. Guessers elsewhere shut out neither a paired device nor the owner on this
    /// machine: each has its own ten guesses.
    fn shares(&self) -> bool {
        match self {
            Self::Device(_) => false,
            Self::Address(address, user) => !(address.is_loopback() && *user == PeerUser::Owner),
            Self::Page(..) | Self::Others => true,
        }
    }
}

/// Both budgets of one gateway.
#[derive(Default)]
pub(super) struct Budgets {
    failures: Mutex<Guesses>,
    sockets: Mutex<HashMap<Key, u32>>,
    newcomers: Mutex<Newcomers>,
}

/// Who guessed wrong.
#[derive(Default)]
struct Guesses {
    each: HashMap<Key, Failures>,
    all: Option<Failures>,
}

/// Who did not say yet who it is.
#[derive(Default)]
struct Newcomers {
    numbered: u64,
    /// Those that said nothing, and those that were refused and are not gone, by when they came.
    silent: BTreeMap<u64, Arc<Notify>>,
    /// Those whose word is being judged.
    heard: u32,
}

#[derive(Clone, Copy)]
struct Failures {
    count: u32,
    /// When the first of them was, in milliseconds of the monotonic clock.
    since: u64,
    /// When the last of them was, where there were too many.
    spent: Option<u64>,
}

impl Failures {
    /// For how long nothing is compared any more, in milliseconds.
    fn rest(&self, now: u64) -> Option<u64> {
        let end = self.spent?.saturating_add(limits::FAILURE_REST_MS);
        end.checked_sub(now).filter(|rest| *rest > 0)
    }

    /// Whether it no longer matters.
    fn is_over(&self, window_ms: u64, now: u64) -> bool {
        match self.spent {
            Some(_) => self.rest(now).is_none(),
            None => now.saturating_sub(self.since) >= window_ms,
        }
    }

    /// One more.
    fn count(self, budget: &FailureBudget, now: u64) -> Self {
        let Self { count, since, .. } = if self.is_over(budget.window_ms, now) { Self::none(now) } else { self };
        Self { count: count.saturating_add(1), since, spent: None }
    }

    fn none(now: u64) -> Self {
        Self { count: 0, since: now, spent: None }
    }
}

impl Budgets {
    /// Lets `compare` look at what `key` presents, unless too much of it was wrong before, or too much of all addresses; then says
    /// for how many milliseconds. `compare` answers whether it was a wrong guess. Nobody else is counted meanwhile, so many
    /// sockets are one.
    pub(super) fn compare<T>(
        &self,
        budget: &FailureBudget,
        key: Key,
        now: u64,
        compare: impl FnOnce() -> (T, bool),
    ) -> Result<T, u64> {
        let mut guesses = lock(&self.failures);
        let shares = key.shares();
        let key = place(&mut guesses.each, key, |failures| failures.is_over(budget.window_ms, now));
        let own = guesses.each.get(&key).and_then(|failures| failures.rest(now));
        let all = guesses.all.filter(|all| shares && all.count >= budget.total && !all.is_over(budget.window_ms, now));
        let all = all.map(|all| all.since.saturating_add(budget.window_ms).saturating_sub(now));
        if let Some(rest) = own.max(all) {
            return Err(rest);
        }
        let (found, is_wrong) = compare();
        if is_wrong {
            let failures = guesses.each.entry(key).or_insert(Failures::none(now));
            *failures = failures.count(budget, now);
            failures.spent = (failures.count >= budget.per_address).then_some(now);
            if shares {
                guesses.all = Some(guesses.all.unwrap_or(Failures::none(now)).count(budget, now));
            }
        }
        Ok(found)
    }

    /// For how many milliseconds nothing of `key` is looked at.
    pub(super) fn rest(&self, budget: &FailureBudget, key: Key, now: u64) -> Option<u64> {
        self.compare(budget, key, now, || ((), false)).err()
    }

    /// Counts what was found to be wrong elsewhere; while too much was, nothing is added.
    pub(super) fn count_wrong(&self, budget: &FailureBudget, key: Key, now: u64) {
        // That it is spent already changes nothing here.
        let _ = self.compare(budget, key, now, || ((), true));
    }

    /// A place for one more socket that has not said who it is, before it is known whose it is. Where `most` have one, the oldest
    /// that said nothing makes room, so that strangers who only sit there keep nobody out; where all have said something, there
    /// is none.
    pub(super) fn arrive(self: &Arc<Self>, most: u32) -> Option<Arc<Arrived>> {
        let mut newcomers = lock(&self.newcomers);
        let silent = u32::try_from(newcomers.silent.len()).unwrap_or(u32::MAX);
        if newcomers.heard.saturating_add(silent) >= most {
            let (_, oldest) = newcomers.silent.pop_first()?;
            oldest.notify_one();
        }
        newcomers.numbered = newcomers.numbered.saturating_add(1);
        let (number, evicted) = (newcomers.numbered, Arc::new(Notify::new()));
        newcomers.silent.insert(number, Arc::clone(&evicted));
        Some(Arc::new(Arrived { budgets: Arc::clone(self), number, evicted }))
    }

    /// A place for one more socket of `key`, of which there may be so many each, given back when it is dropped.
    pub(super) fn newcomer(self: &Arc<Self>, key: Key, most: u32, arrived: Arc<Arrived>) -> Option<Newcomer> {
        let mut table = lock(&self.sockets);
        let key = place(&mut table, key, |_| false);
        let count = table.entry(key.clone()).or_default();
        if *count >= most {
            return None;
        }
        *count = count.saturating_add(1);
        Some(Newcomer { budgets: Arc::clone(self), key, arrived, is_heard: false })
    }
}

/// A socket among all that have not said who they are.
pub(super) struct Arrived {
    budgets: Arc<Budgets>,
    number: u64,
    evicted: Arc<Notify>,
}

impl Arrived {
    /// Resolves once it has to make room.
    pub(super) async fn evicted(&self) {
        self.evicted.notified().await;
    }
}

impl Drop for Arrived {
    fn drop(&mut self) {
        lock(&self.budgets.newcomers).silent.remove(&self.number);
    }
}

/// A socket of somebody who has not said who that is.
pub(super) struct Newcomer {
    budgets: Arc<Budgets>,
    key: Key,
    arrived: Arc<Arrived>,
    is_heard: bool,
}

impl Newcomer {
    /// Resolves once it has to make room.
    pub(super) async fn evicted(&self) {
        self.arrived.evicted().await;
    }

    /// It said something, and keeps its place until that is judged.
    pub(super) fn heard(&mut self) {
        let mut newcomers = lock(&self.budgets.newcomers);
        if newcomers.silent.remove(&self.arrived.number).is_some() {
            newcomers.heard = newcomers.heard.saturating_add(1);
            self.is_heard = true;
        }
    }

    /// It was refused: until it is gone it makes room before others.
    pub(super) fn refused(&mut self) {
        if self.is_heard {
            let mut newcomers = lock(&self.budgets.newcomers);
            newcomers.heard = newcomers.heard.saturating_sub(1);
            newcomers.silent.insert(self.arrived.number, Arc::clone(&self.arrived.evicted));
            self.is_heard = false;
        }
    }
}

impl Drop for Newcomer {
    fn drop(&mut self) {
        if self.is_heard {
            let mut newcomers = lock(&self.budgets.newcomers);
            newcomers.heard = newcomers.heard.saturating_sub(1);
        }
        let mut table = lock(&self.budgets.sockets);
        if let Some(count) = table.get_mut(&self.key) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                table.remove(&self.key);
            }
        }
    }
}

/// Where `key` is counted: by itself, or with all others where the table is full of what still matters.
fn place<T>(table: &mut HashMap<Key, T>, key: Key, is_over: impl Fn(&T) -> bool) -> Key {
    if table.contains_key(&key) || table.len() < limits::COUNTED {
        return key;
    }
    table.retain(|_, counted| !is_over(counted));
    if table.len() < limits::COUNTED { key } else { Key::Others }
}

fn lock<T>(table: &Mutex<T>) -> MutexGuard<'_, T> {
    table.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;
    use crate::pairing::Forwarding;

    const BUDGET: FailureBudget = FailureBudget { per_address: 10, total: 1_000_000, window_ms: 60_000 };

    fn from(ip: &str) -> Key {
        by(ip, PeerUser::NotAsked)
    }

    fn by(ip: &str, user: PeerUser) -> Key {
        let peer = ip.parse::<IpAddr>().expect("an address").into();
        let source = Source { peer, forwarding: Forwarding::None, claimed: None, host_is_loopback: true, is_page: false, user };
        Key::of(&source, None)
    }

    fn guess(budgets: &Budgets, key: &Key, now: u64) -> Result<(), u64> {
        budgets.compare(&BUDGET, key.clone(), now, || ((), true))
    }

    #[test]
    fn a11_ten_wrong_guesses_in_a_minute_and_nothing_is_compared_for_five() {
        let (budgets, key) = (Budgets::default(), from("203.0.113.9"));
        for now in 0..10 {
            assert_eq!(guess(&budgets, &key, now), Ok(()));
        }
        let asked = budgets.compare(&BUDGET, key.clone(), 10, || unreachable!("nothing is compared"));
        assert_eq!(asked.map(|(): ()| ()), Err(limits::FAILURE_REST_MS - 1));
        assert_eq!(guess(&budgets, &from("203.0.113.8"), 10), Ok(()), "others are not concerned");
        // It does not get longer by trying.
        assert_eq!(guess(&budgets, &key, 9 + limits::FAILURE_REST_MS - 1), Err(1));
        assert_eq!(guess(&budgets, &key, 9 + limits::FAILURE_REST_MS), Ok(()));
        assert_eq!(guess(&budgets, &key, 10 + limits::FAILURE_REST_MS), Ok(()), "and everything begins anew");
    }

    #[test]
    fn a11_what_was_right_counts_for_nothing_and_old_failures_are_forgotten() {
        let (budgets, key) = (Budgets::default(), from("203.0.113.9"));
        for now in 0..1_000 {
            assert_eq!(budgets.compare(&BUDGET, key.clone(), now, || ((), false)), Ok(()));
        }
        for now in (0..20).map(|n| n * limits::FAILURE_WINDOW_MS.default / 9) {
            assert_eq!(guess(&budgets, &key, now), Ok(()), "nine in each minute");
        }
    }

    #[test]
    fn x24_ten_thousand_addresses_of_one_network_are_one() {
        let budgets = Budgets::default();
        let refused = (0..10_000).filter(|n| guess(&budgets, &from(&format!("2001:db8::1:{n:x}")), 0).is_err()).count();
        assert_eq!(refused, 10_000 - 10);
        assert_eq!(guess(&budgets, &from("2001:db8:0:1::1"), 0), Ok(()), "another network");
        assert_eq!((from("::ffff:192.0.2.1"), from("::1")), (from("192.0.2.1"), from("::1")));
        assert_ne!(from("192.0.2.1"), from("192.0.2.2"));
    }

    #[test]
    fn x24_a_neighbour_a_page_and_the_owner_on_loopback_are_three() {
        let budgets = Budgets::default();
        let (owner, neighbour) = (by("127.0.0.1", PeerUser::Owner), by("127.0.0.1", PeerUser::Other));
        let page = Key::Page("http://localhost:18789".into(), PeerUser::Owner);
        for _ in 0..20 {
            let _ = (guess(&budgets, &neighbour, 0), guess(&budgets, &page, 0));
        }
        assert!(guess(&budgets, &neighbour, 0).is_err() && guess(&budgets, &page, 0).is_err());
        assert_eq!(guess(&budgets, &owner, 0), Ok(()));
    }

    #[test]
    fn x24_the_table_is_bounded_and_what_is_beyond_is_counted_together() {
        let budgets = Arc::new(Budgets::default());
        let key = |n: usize| from(&format!("10.{}.{}.{}", n >> 16, (n >> 8) & 0xff, n & 0xff));
        assert!((0..limits::COUNTED).all(|n| guess(&budgets, &key(n), 0).is_ok()));
        let beyond = (0..100).filter(|n| guess(&budgets, &key(limits::COUNTED + n), 0).is_ok()).count();
        assert_eq!((beyond, lock(&budgets.failures).each.len()), (10, limits::COUNTED + 1));
        assert_eq!(guess(&budgets, &key(limits::COUNTED), limits::FAILURE_WINDOW_MS.default), Ok(()), "what is over makes room");
        let held: Vec<_> = (0..2 * limits::COUNTED).map(|n| one(&budgets, key(n), 1)).collect();
        assert_eq!(held.iter().flatten().count(), limits::COUNTED + 1);
        drop(held);
        assert_eq!(lock(&budgets.sockets).len(), 0);
    }

    fn one(budgets: &Arc<Budgets>, key: Key, most: u32) -> Option<Newcomer> {
        budgets.newcomer(key, most, budgets.arrive(u32::MAX)?)
    }

    #[test]
    fn a_socket_that_ends_leaves_its_place() {
        let budgets = Arc::new(Budgets::default());
        let first = one(&budgets, from("192.0.2.1"), 2);
        let second = one(&budgets, from("192.0.2.1"), 2);
        assert!(first.is_some() && second.is_some() && one(&budgets, from("192.0.2.1"), 2).is_none());
        assert!(one(&budgets, from("192.0.2.2"), 2).is_some());
        drop(first);
        assert!(one(&budgets, from("192.0.2.1"), 2).is_some());
    }

    #[tokio::test]
    async fn n06_the_oldest_that_said_nothing_makes_room_and_who_said_something_keeps_its_place() {
        let budgets = Arc::new(Budgets::default());
        let mut come: Vec<_> = (0..3).map(|_| budgets.arrive(3)).collect();
        let speaks = come[0].take().expect("a place");
        let mut speaks = budgets.newcomer(from("192.0.2.1"), 1, speaks).expect("a place");
        speaks.heard();
        // The second is the oldest now.
        let next = budgets.arrive(3).expect("room was made");
        let second = come[1].take().expect("a place");
        second.evicted().await;
        drop(second);
        let (third, fourth) = (come[2].take().expect("a place"), budgets.arrive(3).expect("room was made"));
        third.evicted().await;
        let heard = |ip: &str, arrived| {
            let mut newcomer = budgets.newcomer(from(ip), 1, arrived).expect("a place");
            newcomer.heard();
            newcomer
        };
        let (mut next, fourth) = (heard("192.0.2.2", next), heard("192.0.2.3", fourth));
        assert!(budgets.arrive(3).is_none(), "all are being judged");
        // Who was refused is on its way out.
        next.refused();
        assert!(budgets.arrive(3).is_some());
        next.evicted().await;
        drop((speaks, fourth, third));
        assert!(budgets.arrive(1).is_some());
    }

    #[test]
    fn a11_guesses_from_everywhere_end_too_but_not_those_of_the_owner_and_of_paired_devices() {
        let budget = FailureBudget { total: 50, ..BUDGET };
        let budgets = Budgets::default();
        let guess = |key: &Key, now| budgets.compare(&budget, key.clone(), now, || ((), true));
        let wrong = (0..100).filter(|n| guess(&from(&format!("10.0.0.{n}")), 7).is_ok()).count();
        assert_eq!(wrong, 50);
        assert_eq!(guess(&from("10.0.1.1"), 8), Err(BUDGET.window_ms - 1));
        assert_eq!(guess(&by("127.0.0.1", PeerUser::Owner), 8), Ok(()));
        assert_eq!(guess(&Key::Device(DeviceId([1; 32])), 8), Ok(()));
        assert!(guess(&by("127.0.0.1", PeerUser::Other), 8).is_err());
        assert_eq!(guess(&from("10.0.1.1"), 7 + BUDGET.window_ms), Ok(()), "and everything begins anew");
    }
}
