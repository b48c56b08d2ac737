//! Any connect is judged without a panic, whatever it says of itself.
#![no_main]

use openclaw_pairing::wire::connect::ConnectParams;
use openclaw_pairing::wire::devices::parse_public_key;
use openclaw_pairing::wire::frame::{parse_call, parse_params};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Ok(call) = parse_call(bytes) else { return };
    if let Ok(params) = parse_params::<ConnectParams>(call.params.as_deref())
        && let Some(device) = params.device
    {
        let _ = parse_public_key(&device.public_key.0);
    }
});
