//! What one address may cost us. Two budgets, never mixed: wrong credentials, so that guessing comes to nothing, and sockets that
//! have not said who they are. Loopback has no exemption. Whoever proves the key of a paired device counts by that key, so nobody
//! else on its address can shut it out.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::limits;
use crate::pairing::{Address, DeviceId, PeerUser, Source};

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

/// Both budgets of one gateway.
pub(super) struct Budgets {
    failures: Mutex<HashMap<Key, Failures>>,
    sockets: Mutex<HashMap<Key, u32>>,
    sockets_each: u32,
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
    fn is_over(&self, now: u64) -> bool {
        match self.spent {
            Some(_) => self.rest(now).is_none(),
            None => now.saturating_sub(self.since) >= limits::FAILURE_WINDOW_MS.default,
        }
    }
}

impl Budgets {
    #[must_use]
    pub(super) fn new(sockets_each: u32) -> Self {
        Self { failures: Mutex::default(), sockets: Mutex::default(), sockets_each }
    }

    /// Lets `compare` look at what `key` presents, unless too much of it was wrong before; then says for how many milliseconds.
    /// `compare` answers whether it was a wrong guess. Nobody else is counted meanwhile, so many sockets are one.
    pub(super) fn compare<T>(&self, key: Key, now: u64, compare: impl FnOnce() -> (T, bool)) -> Result<T, u64> {
        let mut table = lock(&self.failures);
        let key = place(&mut table, key, |failures| failures.is_over(now));
        if let Some(rest) = table.get(&key).and_then(|failures| failures.rest(now)) {
            return Err(rest);
        }
        let (found, is_wrong) = compare();
        if is_wrong {
            let fresh = Failures { count: 0, since: now, spent: None };
            let failures = table.entry(key).or_insert(fresh);
            if failures.is_over(now) {
                *failures = fresh;
            }
            failures.count = failures.count.saturating_add(1);
            failures.spent = (failures.count >= limits::FAILURE_PER_ADDRESS.default).then_some(now);
        }
        Ok(found)
    }

    /// For how many milliseconds nothing of `key` is looked at.
    pub(super) fn rest(&self, key: Key, now: u64) -> Option<u64> {
        self.compare(key, now, || ((), false)).err()
    }

    /// Counts what was found to be wrong elsewhere; while too much was, nothing is added.
    pub(super) fn count_wrong(&self, key: Key, now: u64) {
        // That it is spent already changes nothing here.
        let _ = self.compare(key, now, || ((), true));
    }

    /// A place for one more socket of `key` that has not said who it is, given back when it is dropped.
    pub(super) fn newcomer(self: &Arc<Self>, key: Key) -> Option<Newcomer> {
        let mut table = lock(&self.sockets);
        let key = place(&mut table, key, |_| false);
        let count = table.entry(key.clone()).or_default();
        if *count >= self.sockets_each {
            return None;
        }
        *count = count.saturating_add(1);
        Some(Newcomer { budgets: Arc::clone(self), key })
    }
}

/// A socket that has not said who it is.
pub(super) struct Newcomer {
    budgets: Arc<Budgets>,
    key: Key,
}

impl Drop for Newcomer {
    fn drop(&mut self) {
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

    fn from(ip: &str) -> Key {
        by(ip, PeerUser::NotAsked)
    }

    fn by(ip: &str, user: PeerUser) -> Key {
        let peer = ip.parse::<IpAddr>().expect("an address").into();
        let source = Source { peer, forwarding: Forwarding::None, claimed: None, host_is_loopback: true, is_page: false, user };
        Key::of(&source, None)
    }

    fn guess(budgets: &Budgets, key: &Key, now: u64) -> Result<(), u64> {
        budgets.compare(key.clone(), now, || ((), true))
    }

    #[test]
    fn a11_ten_wrong_guesses_in_a_minute_and_nothing_is_compared_for_five() {
        let (budgets, key) = (Budgets::new(1), from("203.0.113.9"));
        for now in 0..10 {
            assert_eq!(guess(&budgets, &key, now), Ok(()));
        }
        let asked = budgets.compare(key.clone(), 10, || unreachable!("nothing is compared"));
        assert_eq!(asked.map(|(): ()| ()), Err(limits::FAILURE_REST_MS - 1));
        assert_eq!(guess(&budgets, &from("203.0.113.8"), 10), Ok(()), "others are not concerned");
        // It does not get longer by trying.
        assert_eq!(guess(&budgets, &key, 9 + limits::FAILURE_REST_MS - 1), Err(1));
        assert_eq!(guess(&budgets, &key, 9 + limits::FAILURE_REST_MS), Ok(()));
        assert_eq!(guess(&budgets, &key, 10 + limits::FAILURE_REST_MS), Ok(()), "and everything begins anew");
    }

    #[test]
    fn a11_what_was_right_counts_for_nothing_and_old_failures_are_forgotten() {
        let (budgets, key) = (Budgets::new(1), from("203.0.113.9"));
        for now in 0..1_000 {
            assert_eq!(budgets.compare(key.clone(), now, || ((), false)), Ok(()));
        }
        for now in (0..20).map(|n| n * limits::FAILURE_WINDOW_MS.default / 9) {
            assert_eq!(guess(&budgets, &key, now), Ok(()), "nine in each minute");
        }
    }

    #[test]
    fn x24_ten_thousand_addresses_of_one_network_are_one() {
        let budgets = Budgets::new(1);
        let refused = (0..10_000).filter(|n| guess(&budgets, &from(&format!("2001:db8::1:{n:x}")), 0).is_err()).count();
        assert_eq!(refused, 10_000 - 10);
        assert_eq!(guess(&budgets, &from("2001:db8:0:1::1"), 0), Ok(()), "another network");
        assert_eq!((from("::ffff:192.0.2.1"), from("::1")), (from("192.0.2.1"), from("::1")));
        assert_ne!(from("192.0.2.1"), from("192.0.2.2"));
    }

    #[test]
    fn x24_a_neighbour_a_page_and_the_owner_on_loopback_are_three() {
        let budgets = Budgets::new(1);
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
        let budgets = Arc::new(Budgets::new(1));
        let key = |n: usize| from(&format!("10.{}.{}.{}", n >> 16, (n >> 8) & 0xff, n & 0xff));
        assert!((0..limits::COUNTED).all(|n| guess(&budgets, &key(n), 0).is_ok()));
        let beyond = (0..100).filter(|n| guess(&budgets, &key(limits::COUNTED + n), 0).is_ok()).count();
        assert_eq!((beyond, lock(&budgets.failures).len()), (10, limits::COUNTED + 1));
        assert_eq!(guess(&budgets, &key(limits::COUNTED), limits::FAILURE_WINDOW_MS.default), Ok(()), "what is over makes room");
        let held: Vec<_> = (0..2 * limits::COUNTED).map(|n| budgets.newcomer(key(n))).collect();
        assert_eq!(held.iter().flatten().count(), limits::COUNTED + 1);
        drop(held);
        assert_eq!(lock(&budgets.sockets).len(), 0);
    }

    #[test]
    fn a_socket_that_ends_leaves_its_place() {
        let budgets = Arc::new(Budgets::new(2));
        let first = budgets.newcomer(from("192.0.2.1"));
        let second = budgets.newcomer(from("192.0.2.1"));
        assert!(first.is_some() && second.is_some() && budgets.newcomer(from("192.0.2.1")).is_none());
        assert!(budgets.newcomer(from("192.0.2.2")).is_some());
        drop(first);
        assert!(budgets.newcomer(from("192.0.2.1")).is_some());
    }
}
