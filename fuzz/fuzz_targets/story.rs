//! Any bytes are a story: twelve of a policy, then eight for each act. What comes of it is what a replay of its records comes to.
#![no_main]

#[path = "../../tests/support/mod.rs"]
mod support;

use openclaw_pairing::pairing::Registry;
use support::story::{Act, Story, Strictness};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Some((policy, acts)) = bytes.split_first_chunk() else { return };
    let acts = acts.chunks_exact(8).take(64).map(|act| Act::from_bytes(act.try_into().expect("eight bytes"))).collect();
    let played = Story { policy: Strictness::from_bytes(*policy), acts }.play();
    let mut replayed = Registry::default();
    played.world.records.iter().for_each(|record| replayed.apply(record));
    assert_eq!(replayed.digest(), played.world.registry.digest());
});
