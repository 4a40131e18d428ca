//! A panic of the released program says where it happened and ends it, with and without RUST_BACKTRACE.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::Command;

#[test]
fn a_panic_prints_its_place_and_aborts() {
    let folder = std::env::temp_dir().join(format!("usp-agent-no-unwind-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let module = Path::new(env!("CARGO_MANIFEST_DIR")).join("build/no_unwind.rs");
    let source = format!("#[path = {module:?}]\nmod no_unwind;\nfn main() {{ panic!(\"here it ends\") }}\n");
    std::fs::write(folder.join("panics.rs"), source).unwrap();
    let program = folder.join("panics");
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let mut build = Command::new(rustc);
    build.args(["--edition=2024", "-Cpanic=abort"]).arg(folder.join("panics.rs")).arg("-o").arg(&program);
    let built = build.output().expect("rustc is there where cargo test is");
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    for backtrace in ["0", "1", "full"] {
        let ended = Command::new(&program).env("RUST_BACKTRACE", backtrace).output().unwrap();
        let said = String::from_utf8_lossy(&ended.stderr);
        assert!(said.contains("panics.rs:3") && said.contains("here it ends"), "{said}");
        assert_eq!(ended.status.signal(), Some(6), "ended by {:?}", ended.status);
    }
    std::fs::remove_dir_all(&folder).unwrap();
}
