//! Arguments for the linker that make the released program smaller (docs/decisions/0006-size.md).
//!
//! Linkers and C libraries differ in what they know, so a small program is linked and run with them first: an argument
//! that fails there is left out. Cross builds, where it cannot be run, get none of them; `cross/` sets its own.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::{env, fs};

/// One step after the other; a step is taken as a whole or not at all.
const STEPS: [&[&str]; 3] = [
    // No tables for unwinding.
    &["-Wl,--no-eh-frame-hdr", "-Wl,-T,build/drop-unwind-tables.ld"],
    // Relocations as a bitmap: needs a loader that reads it (glibc 2.36).
    &["-Wl,-z,pack-relative-relocs"],
    // One copy of functions that are the same: lld only. None of their addresses is compared.
    &["-Wl,--icf=all"],
];

/// No table of P-256's base point, on the processors whose ring has one: `build/p256.rs`, which is not there on others.
const WITHOUT_TABLE: &[&str] =
    &["-Wl,--wrap=ring_core_0_17_14__p256_point_mul_base", "-Wl,--wrap=ring_core_0_17_14__p256_point_mul_base_vartime"];

/// Says to cargo what the program is linked with. Tests, examples and debug builds stay as they are.
pub fn arguments() {
    println!("cargo::rerun-if-changed=build");
    if variable("PROFILE") != "release" || variable("HOST") != variable("TARGET") {
        return;
    }
    let folder = PathBuf::from(variable("OUT_DIR"));
    let mut taken: Vec<String> = Vec::new();
    let has_table = ["x86_64", "aarch64"].contains(&&*variable("CARGO_CFG_TARGET_ARCH"));
    for step in STEPS.into_iter().chain(has_table.then_some(WITHOUT_TABLE)) {
        let arguments = step.iter().map(|argument| argument.replace("build/", &here("build/")));
        let more: Vec<String> = taken.iter().cloned().chain(arguments).collect();
        if works(&folder, &more) {
            taken = more;
        }
    }
    for argument in taken {
        println!("cargo::rustc-link-arg-bins={argument}");
    }
}

/// Whether a program linked with these arguments runs.
fn works(folder: &Path, arguments: &[String]) -> bool {
    let (source, program) = (folder.join("probe.rs"), folder.join("probe"));
    if fs::write(&source, "fn main() { println!(\"{:?}\", std::env::args_os()); }").is_err() {
        return false;
    }
    let mut rustc = Command::new(variable("RUSTC"));
    rustc.args(["--edition=2024", "-Cpanic=abort", "-Copt-level=z"]).arg(source).arg("-o").arg(&program);
    rustc.args(variable("CARGO_ENCODED_RUSTFLAGS").split('\x1f').filter(|flag| !flag.is_empty()));
    let linker = variable("RUSTC_LINKER");
    if !linker.is_empty() {
        rustc.arg(format!("-Clinker={linker}"));
    }
    rustc.args(arguments.iter().map(|argument| format!("-Clink-arg={argument}")));
    succeeds(&mut rustc) && succeeds(&mut Command::new(program))
}

fn succeeds(command: &mut Command) -> bool {
    command.stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}

fn here(path: &str) -> String {
    format!("{}/{path}", variable("CARGO_MANIFEST_DIR"))
}

fn variable(name: &str) -> String {
    env::var(name).unwrap_or_default()
}
