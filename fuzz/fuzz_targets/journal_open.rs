//! Any bytes in a segment's place open or are refused; what opens is read again to the same state.
#![no_main]

use openclaw_pairing::journal::{Journal, MemoryStorage, Storage};
use openclaw_pairing::pairing::Registry;

fn open(storage: MemoryStorage) -> Option<Registry> {
    let mut registry = Registry::default();
    let mut aside = |_| Ok(("aside".to_owned(), Box::new(MemoryStorage::new(vec![])) as Box<dyn Storage>));
    Journal::open_on(Box::new(storage), &mut aside, &mut |record| registry.apply(&record)).ok()?;
    Some(registry)
}

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let storage = MemoryStorage::new(bytes.to_vec());
    if let Some(first) = open(storage.clone()) {
        let again = open(storage).expect("what opened opens again");
        assert_eq!(first.digest(), again.digest());
    }
});
