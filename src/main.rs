//! The `usp-agent` program: everything is in the library.

use std::process::ExitCode;

#[cfg(panic = "abort")]
#[path = "../build/no_unwind.rs"]
mod no_unwind;

#[cfg(any(target_arch = "x86_64", all(target_arch = "aarch64", target_endian = "little")))]
#[path = "../build/p256.rs"]
mod p256;

fn main() -> ExitCode {
    usp_agent::cli::run(std::env::args_os().skip(1).collect())
}
