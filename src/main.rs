//! Parse, run, exit.

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(nself::run(std::env::args_os().collect()))
}
