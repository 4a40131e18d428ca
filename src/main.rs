//! The `usp-agent` program: everything is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    usp_agent::cli::run(std::env::args_os().skip(1).collect())
}
