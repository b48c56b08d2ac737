//! Any `openclaw.json`, and any `pairing/settings.json5` behind a byte 0, can be used or is refused with a reason.
#![no_main]

use openclaw_pairing::settings;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let (config, own) =
        bytes.iter().position(|byte| *byte == 0).map_or((bytes, &b""[..]), |end| (&bytes[..end], &bytes[end + 1..]));
    if let Err(error) = settings::check(config, own) {
        assert!(!error.to_string().is_empty());
    }
});
