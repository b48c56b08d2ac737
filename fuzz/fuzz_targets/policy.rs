//! Any text is a policy or is refused with the place and the reason; what is one is as strict as itself.
#![no_main]

use openclaw_pairing::pairing::{Policy, PolicyError};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    match Policy::parse(text) {
        Ok(policy) => {
            assert!(policy.is_within(&policy) && policy.loosened_by(&policy).is_empty() && policy.changes(&policy).is_empty());
            assert!(
                Policy::closed()
                    .loosened_by(&policy)
                    .iter()
                    .all(|key| policy.changes(&Policy::closed()).iter().any(|change| change.key.starts_with(key)))
            );
            let _ = policy.warnings();
        }
        Err(PolicyError::Malformed(flaw)) => {
            assert!(flaw.place.is_some_and(|(line, column)| line > 0 && column > 0) && !flaw.why.is_empty(), "{flaw:?}");
            assert!(!flaw.to_string().contains('\n'), "{flaw:?}");
        }
        Err(PolicyError::TooLarge | PolicyError::TooDeep) => {}
    }
});
