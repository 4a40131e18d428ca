//! `src/usp/wire.rs` is what prost makes of `proto/`, no more and no less.
//!
//! `UPDATE=1 cargo test --test generated_code` writes the file anew. No protoc is needed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fmt::Write as _;
use std::path::Path;

/// The module of `wire.rs` and the file it is made from.
const MODULES: [(&str, &str); 2] = [("record", "usp-record-1-4.proto"), ("msg", "usp-msg-1-4.proto")];

const HEADING: &str = "// Generated from proto/ by tests/generated_code.rs; not to be edited.\n";

#[test]
fn wire_rs_is_the_output_of_prost() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let file = root.join("src/usp/wire.rs");
    let fresh = generate(&root.join("proto"));
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&file, &fresh).unwrap();
    }
    let checked_in = std::fs::read_to_string(&file).unwrap();
    assert!(checked_in == fresh, "src/usp/wire.rs differs from proto/: run UPDATE=1 cargo test --test generated_code");
}

fn generate(proto: &Path) -> String {
    let mut text = String::from(HEADING);
    for (module, file) in MODULES {
        writeln!(text, "\npub mod {module} {{").unwrap();
        for line in module_body(proto, file).lines() {
            match line.trim_end() {
                "" => text.push('\n'),
                line => writeln!(text, "    {line}").unwrap(),
            }
        }
        text.push_str("}\n");
    }
    text
}

fn module_body(proto: &Path, file: &str) -> String {
    let mut config = prost_build::Config::new();
    // Payloads are slices of what the transport handed over; maps have one order everywhere.
    config.bytes(["."]).btree_map(["."]).disable_comments(["."]);
    let descriptors = protox::compile([file], [proto]).unwrap().file;
    let requests = descriptors.into_iter().map(|file| (prost_build::Module::from_protobuf_package_name("wire"), file));
    config.generate(requests.collect()).unwrap().into_values().collect()
}
