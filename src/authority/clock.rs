//! Time as the records have it: it never goes back, and goes on while the wall clock is behind.

use crate::host::Host;
use crate::limits;
use crate::pairing::{Command, Condition, Millis, Registry};

/// The wall clock, but never behind the last record: where it is, the monotonic clock carries time on from there until the
/// wall clock has caught up.
pub(super) struct Clock {
    last: Millis,
    monotonic: u64,
    is_carried: bool,
}

impl Clock {
    pub(super) fn start(registry: &Registry, host: &dyn Host) -> Self {
        Self { last: registry.now(), monotonic: host.monotonic(), is_carried: false }
    }

    pub(super) fn now(&mut self, host: &dyn Host) -> Millis {
        let (wall, monotonic) = (host.wall(), host.monotonic());
        let carried = self.last.plus(monotonic.saturating_sub(self.monotonic));
        let behind = if self.is_carried { carried } else { self.last };
        self.is_carried = wall < behind;
        self.last = if self.is_carried { carried } else { wall };
        self.monotonic = monotonic;
        self.last
    }

    /// What is to be noted of it: that it went back, or that it has caught up.
    pub(super) fn observed(&mut self, registry: &Registry, host: &dyn Host) -> Option<Command> {
        let behind = self.now(host).since(host.wall());
        let condition = Condition::Clock;
        let found = match registry.condition(condition) {
            None if self.is_carried && behind > limits::CLOCK_BEHIND_MS => Some(format!("went back by {behind} ms")),
            Some(_) if !self.is_carried => None,
            _ => return None,
        };
        Some(Command::Observe { condition, found })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::ManualHost;

    #[test]
    fn t01_time_never_goes_back_and_goes_on_with_the_monotonic_clock() {
        let host = ManualHost::new(Millis(1_000_000), 1);
        let mut clock = Clock { last: Millis(1_000_000), monotonic: 0, is_carried: false };
        host.advance(10);
        assert_eq!(clock.now(&host), Millis(1_000_010));
        host.set_wall(Millis(0));
        host.advance(5);
        assert_eq!(clock.now(&host), Millis(1_000_015));
        host.set_wall(Millis(1_000_012));
        host.advance(5);
        assert_eq!(clock.now(&host), Millis(1_000_020));
        host.set_wall(Millis(2_000_000));
        assert_eq!(clock.now(&host), Millis(2_000_000));
    }
}
