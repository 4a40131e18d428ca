//! Replays `fuzz/corpus/`: what once went wrong, and what goes right, on every run of the tests.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

#[path = "../fuzz/targets.rs"]
mod targets;

/// The folder below `fuzz/corpus/`, and the function that `fuzz/` runs.
type Target = (&'static str, fn(&[u8]));

/// One line per target.
#[rustfmt::skip]
const TARGETS: &[Target] = &[
    ("record", targets::record),
    ("message", targets::message),
    ("path", targets::path),
    ("uci", targets::uci),
    ("blobmsg", targets::blobmsg),
    ("notation", targets::notation),
    ("frame", targets::frame),
    ("stomp", targets::stomp),
];

#[test]
fn no_corpus_breaks_its_target() {
    let mut broken = Vec::new();
    for (name, target) in TARGETS {
        for file in files(&corpus().join(name)) {
            let data = fs::read(&file).unwrap();
            if catch_unwind(AssertUnwindSafe(|| target(&data))).is_err() {
                broken.push(file);
            }
        }
    }
    assert!(broken.is_empty(), "a promise is broken for {broken:#?}");
}

#[test]
fn every_corpus_and_every_target_is_listed() {
    let listed = || TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect::<Vec<_>>();
    let stem = |file: PathBuf| file.file_stem().unwrap().to_string_lossy().into_owned();
    let mut expected = listed();
    expected.sort();
    for folder in ["fuzz/corpus", "fuzz/fuzz_targets"] {
        let found: Vec<_> = entries(&root().join(folder)).into_iter().map(stem).collect();
        assert_eq!(found, expected, "{folder}");
    }
    let manifest = fs::read_to_string(root().join("fuzz/Cargo.toml")).unwrap();
    for name in listed() {
        assert!(manifest.contains(&format!("name = \"{name}\"")), "fuzz/Cargo.toml has no [[bin]] {name}");
        assert!(!files(&corpus().join(&name)).is_empty(), "fuzz/corpus/{name} is empty");
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn corpus() -> PathBuf {
    root().join("fuzz/corpus")
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let mut entries: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    entries
}

fn files(folder: &Path) -> Vec<PathBuf> {
    entries(folder).into_iter().filter(|entry| entry.is_file()).collect()
}
