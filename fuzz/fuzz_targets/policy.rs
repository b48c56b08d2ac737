//! Any text is a policy or is refused with the place and the reason; what is one is as strict as itself.
#![no_main]

use openclaw_pairing::pairing::{Policy, PolicyError};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    match Policy::parse(text) {
        Ok(policy) => {
            assert!(policy.is_within(&policy) && policy.loosened_by(&policy).is_empty() && policy.changes(&policy).is_empty());
            let changes = Policy::closed().changes(&policy);
            let differs = |key: &&str| changes.iter().any(|change| change.key.starts_with(key));
            assert!(Policy::closed().loosened_by(&policy).iter().all(differs));
            let _ = policy.warnings();
        }
        Err(PolicyError::Malformed(flaw)) => {
            // What is missing as a whole stands nowhere.
            assert!(flaw.place.map_or(flaw.key.is_empty(), |(line, column)| line > 0 && column > 0), "{flaw:?}");
            assert!(!flaw.why.is_empty(), "{flaw:?}");
            assert!(!flaw.to_string().contains('\n'), "{flaw:?}");
        }
        Err(PolicyError::TooLarge | PolicyError::TooDeep) => {}
    }
});
