//! Any bytes in a segment's place open or are refused; what opens is read again to the same state.
#![no_main]

use std::sync::Arc;

use openclaw_pairing::journal::{Access, Found, MemoryVolume};
use openclaw_pairing::pairing::Registry;

fn open(disk: MemoryVolume) -> Option<Registry> {
    let mut registry = Registry::default();
    Found::on(Arc::new(disk), Access::Write, None, &mut |record| registry.apply(&record)).ok()?.open(None, None).ok()?;
    Some(registry)
}

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let disk = MemoryVolume::holding("00000000000000000001.segment", bytes.to_vec());
    if let Some(first) = open(disk.clone()) {
        let again = open(disk).expect("what opened opens again");
        assert_eq!(first.digest(), again.digest());
    }
});
