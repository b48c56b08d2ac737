//! The only clock and the only randomness. Everything else is handed what it needs of both.

use std::sync::Mutex;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use crate::pairing::Millis;

/// What a machine offers that no function can compute: time and chance.
pub trait Host: Send + Sync {
    /// Milliseconds since the Unix epoch by the wall clock; it may jump either way.
    fn wall(&self) -> Millis;
    /// Milliseconds since some fixed moment; never goes back.
    fn monotonic(&self) -> u64;
    /// Fills `bytes` with bytes nobody can predict.
    fn fill(&self, bytes: &mut [u8]);

    /// A fresh 16-byte id in the form of a version 4 UUID.
    fn uuid(&self) -> [u8; 16] {
        let mut bytes = [0; 16];
        self.fill(&mut bytes);
        uuid::Builder::from_random_bytes(bytes).into_uuid().into_bytes()
    }
}

/// The machine we run on.
pub struct SystemHost {
    started: Instant,
}

impl SystemHost {
    /// The machine's own clock and entropy.
    #[must_use]
    pub fn new() -> Self {
        Self { started: Instant::now() }
    }
}

impl Default for SystemHost {
    fn default() -> Self {
        Self::new()
    }
}

impl Host for SystemHost {
    fn wall(&self) -> Millis {
        // A clock before 1970 counts as 1970: times in the journal are never negative.
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Millis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
    }

    fn monotonic(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn fill(&self, bytes: &mut [u8]) {
        // Without entropy no nonce, id or salt can be made, so there is nothing sound left to do.
        getrandom::fill(bytes).expect("the operating system provides entropy");
    }
}

/// A machine whose clock stands until it is turned and whose chance is a seed: a test's, or that of a moment that is over.
pub struct ManualHost {
    state: Mutex<(Millis, u64, u64)>,
}

impl ManualHost {
    /// Starts at `now` with `seed`.
    #[must_use]
    pub fn new(now: Millis, seed: u64) -> Self {
        Self { state: Mutex::new((now, 0, seed)) }
    }

    /// Lets `ms` pass on both clocks.
    pub fn advance(&self, ms: u64) {
        let mut state = self.lock();
        state.0 = Millis(state.0.0.saturating_add(ms));
        state.1 = state.1.saturating_add(ms);
    }

    /// Sets the wall clock, as a person or NTP would.
    pub fn set_wall(&self, now: Millis) {
        self.lock().0 = now;
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, (Millis, u64, u64)> {
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Host for ManualHost {
    fn wall(&self) -> Millis {
        self.lock().0
    }

    fn monotonic(&self) -> u64 {
        self.lock().1
    }

    fn fill(&self, bytes: &mut [u8]) {
        let mut state = self.lock();
        for byte in bytes {
            // SplitMix64: repeatable, and distinct for every call, which is all a test needs.
            state.2 = state.2.wrapping_add(0x9E37_79B9_7F4A_7C15);
            let mut z = state.2;
            z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            *byte = (z ^ (z >> 31)).to_le_bytes()[0];
        }
    }
}
