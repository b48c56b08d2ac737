//! The Control UI in a real browser (tests/page), against the binary of this build.

use std::path::Path;
use std::process::Command;

#[test]
#[ignore = "needs a chromium and npm: cargo test --test page -- --ignored, or tests/page/run"]
fn the_page_holds_in_a_real_browser() {
    let run = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/page/run");
    let status = Command::new(run).env("OPENCLAW_BIN", env!("CARGO_BIN_EXE_openclaw")).status().expect("bash");
    assert!(status.success(), "{status}");
}
