//! Any message is a call, or is named for what it is.
#![no_main]

use openclaw_pairing::wire::devices::{DeviceParams, Nothing, RequestParams, RoleParams, RotateParams};
use openclaw_pairing::wire::frame::{parse_call, parse_params};
use openclaw_pairing::wire::logs::TailParams;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Ok(call) = parse_call(bytes) else { return };
    let params = call.params.as_deref();
    let _ = parse_params::<Nothing>(params);
    let _ = parse_params::<RequestParams>(params);
    let _ = parse_params::<DeviceParams>(params);
    let _ = parse_params::<RoleParams>(params);
    let _ = parse_params::<RotateParams>(params);
    let _ = parse_params::<TailParams>(params);
});
