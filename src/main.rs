//! The `openclaw` binary.

use std::process::ExitCode;

fn main() -> ExitCode {
    openclaw_pairing::cli::run(std::env::args_os())
}
