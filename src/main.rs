//! The `usp-agent` program: everything is in the library.

use std::process::ExitCode;

#[cfg(panic = "abort")]
#[path = "../build/no_unwind.rs"]
mod no_unwind;

#[cfg(any(target_arch = "x86_64", all(target_arch = "aarch64", target_endian = "little")))]
#[path = "../build/p256.rs"]
mod p256;

#[path = "../build/last_words.rs"]
mod last_words;

#[cfg(all(target_env = "musl", target_feature = "crt-static"))]
#[path = "../build/memory.rs"]
mod memory;

fn main() -> ExitCode {
    last_words::on_fault();
    usp_agent::cli::run(std::env::args_os().skip(1).collect())
}
