//! Any payload of any kind decodes or is refused; what decodes has one spelling, and the fold and the sentence take it.
#![no_main]

use openclaw_pairing::journal::codec;
use openclaw_pairing::pairing::{Millis, Record, Registry, Seq};
use openclaw_pairing::views::event_sentence;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Some((kind, payload)) = bytes.split_first_chunk() else { return };
    let Ok((actor, event)) = codec::decode(u16::from_le_bytes(*kind), payload) else { return };
    assert_eq!(codec::encode(&actor, &event).as_deref(), Some(payload));
    let record = Record { seq: Seq(1), at: Millis(1), actor, event };
    assert!(!event_sentence(&record).contains('\n'));
    let mut registry = Registry::default();
    registry.apply(&record);
});
