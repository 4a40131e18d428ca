//! The `usp-agent` program: everything is in the library.

use std::process::ExitCode;

#[cfg(panic = "abort")]
#[path = "../build/no_unwind.rs"]
mod no_unwind;

fn main() -> ExitCode {
    usp_agent::cli::run(std::env::args_os().skip(1).collect())
}
