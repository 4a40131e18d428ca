//! Holds what the structure of the crate promises: who may use whom (the text block in `src/lib.rs` is the rule),
//! no mutual imports, short files, and no integers that some routers' processors cannot update atomically.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// No file is longer than this; generated code aside.
const MAX_LINES: usize = 700;
const GENERATED: &str = "src/usp/wire.rs";

/// One use of another room: the room, and the module of it where the path names one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Use {
    room: String,
    module: Option<String>,
}

/// What each room may use: rooms (`model`) or single modules of one (`usp::fault`).
type Rule = BTreeMap<String, BTreeSet<String>>;

#[test]
fn rooms_use_only_the_rooms_below_them() {
    let rule = rule_of(&fs::read_to_string("src/lib.rs").unwrap());
    let mut broken = Vec::new();
    for file in sources("src") {
        let Some(room) = room_of(&file) else { continue };
        let allowed = rule.get(&room).unwrap_or_else(|| panic!("{} is a room that src/lib.rs does not list", room));
        for used in uses(&file, &rule) {
            if used.room != room && !permits(allowed, &used) {
                broken.push(format!("{}: {room} may not use {used:?}; it may use {allowed:?}", file.display()));
            }
        }
    }
    assert!(broken.is_empty(), "\n{}", broken.join("\n"));
}

#[test]
fn the_rule_stands_in_the_document_too() {
    let lib = fs::read_to_string("src/lib.rs").unwrap();
    let rule = lib.split("//! ```text\n").nth(1).unwrap().split("//! ```").next().unwrap().replace("//! ", "");
    assert!(fs::read_to_string("ARCHITECTURE.md").unwrap().contains(&rule), "ARCHITECTURE.md lacks\n{rule}");
}

#[test]
fn the_rule_itself_has_no_circle() {
    let rule = rule_of(&fs::read_to_string("src/lib.rs").unwrap());
    let mut free: BTreeSet<&str> = BTreeSet::new();
    while free.len() < rule.len() {
        let next = rule.iter().find(|(room, below)| {
            !free.contains(room.as_str()) && below.iter().all(|used| free.contains(used.split("::").next().unwrap()))
        });
        free.insert(next.expect("the rooms that are left use each other in a circle").0);
    }
}

#[test]
fn files_stay_readable() {
    let long: Vec<_> = ["src", "tests", "benches", "build.rs"]
        .iter()
        .flat_map(sources)
        .filter(|file| file != Path::new(GENERATED))
        .map(|file| (fs::read_to_string(&file).unwrap().lines().count(), file))
        .filter(|(lines, _)| *lines > MAX_LINES)
        .collect();
    assert!(long.is_empty(), "longer than {MAX_LINES} lines: {long:?}");
}

/// mips, armv5 and 32-bit PowerPC routers have no 64-bit atomics; the build for them would fail.
#[test]
fn no_64_bit_atomics() {
    let offenders: Vec<_> = sources("src")
        .into_iter()
        .filter(|file| {
            let code = without_comments_and_texts(&fs::read_to_string(file).unwrap());
            code.contains("AtomicU64") || code.contains("AtomicI64")
        })
        .collect();
    assert!(offenders.is_empty(), "{offenders:?}");
}

/// Rust 1.85 does not know `if let ... && ...`, and newer compilers do not warn of it.
#[test]
fn no_chains_of_let() {
    let offenders: Vec<_> = ["src", "build", "build.rs"]
        .iter()
        .flat_map(sources)
        .filter(|file| chains(&without_comments_and_texts(&fs::read_to_string(file).unwrap())))
        .collect();
    assert!(offenders.is_empty(), "{offenders:?}");
    assert!(chains("if let Some(x) = f(a && b) && x { }") && chains("while a\n && let Some(x) = y { }"));
    assert!(!chains("if let Some(x) = f(a && b) { a && b }; let x = a && b; if a && b { let c = 1; }"));
}

/// What `Debug` writes is for tests alone: programs of cross/build do not have it (`-Zfmt-debug=none`), and what a person
/// reads has words of its own.
#[test]
fn nothing_a_person_reads_is_debug() {
    let shows = |source: &str| {
        let code = source.split("#[cfg(test)]\nmod ").next().unwrap_or_default();
        code.lines().any(|line| line.contains(":?}") || line.contains(":#?}"))
    };
    let is_program = |file: &&PathBuf| {
        let path = file.to_string_lossy();
        !["/tests", "_tests.rs", "src/demo"].iter().any(|part| path.contains(part)) && !path.ends_with("mangled.rs")
    };
    let sources = sources("src");
    let offenders: Vec<_> =
        sources.iter().filter(is_program).filter(|file| shows(&fs::read_to_string(file).unwrap())).collect();
    assert!(offenders.is_empty(), "{offenders:?}");
    assert!(sources.len() > 300, "{}", sources.len());
}

/// Whether a condition has `let` and `&&` side by side.
fn chains(code: &str) -> bool {
    let conditions = code.match_indices("if ").chain(code.match_indices("while "));
    conditions.map(|(at, word)| &code[at + word.len()..]).any(|rest| {
        let mut depth = 0;
        let ends = |c: char| {
            depth += i32::from(matches!(c, '(' | '[')) - i32::from(matches!(c, ')' | ']'));
            depth < 0 || depth == 0 && matches!(c, '{' | '}' | ';' | '>' | ',')
        };
        let condition = &rest[..rest.find(ends).unwrap_or(rest.len())];
        let mut depth = 0;
        let flat: String = condition
            .chars()
            .filter(|c| {
                depth += i32::from(matches!(c, '(' | '[')) - i32::from(matches!(c, ')' | ']'));
                depth == 0
            })
            .collect();
        flat.contains("&&") && flat.split(|c: char| !c.is_alphanumeric()).any(|word| word == "let")
    })
}

#[test]
fn the_reader_of_uses_sees_every_form() {
    let rule = rule_of(
        "//! ```text\n//! agent -> { model, usp }\n//! model -> { usp::fault }\n//! usp, path -> nothing of ours\n//! ```\n",
    );
    assert_eq!(rule["model"], BTreeSet::from(["usp::fault".to_owned()]));
    let code = "use crate::usp::fault::Fault; // crate::path\nuse crate::{model, usp::{record, message}};\nlet s = \"crate::path\";\nsuper::super::path::x();";
    let found = uses_in(code, 2, &rule);
    let expected = [
        ("model", None),
        ("path", Some("x")),
        ("usp", Some("fault")),
        ("usp", Some("message")),
        ("usp", Some("record")),
    ];
    let expected: BTreeSet<Use> = expected
        .iter()
        .map(|(room, module)| Use { room: (*room).to_owned(), module: module.map(str::to_owned) })
        .collect();
    assert_eq!(found, expected);
}

fn permits(allowed: &BTreeSet<String>, used: &Use) -> bool {
    let module = used.module.as_ref().map(|module| format!("{}::{module}", used.room));
    allowed.contains(&used.room) || module.is_some_and(|module| allowed.contains(&module))
}

/// The text block of `src/lib.rs`: `room, room -> { room, room::module }` or `-> nothing of ours`.
fn rule_of(lib: &str) -> Rule {
    let block = lib.split("```text").nth(1).and_then(|rest| rest.split("```").next()).expect("no text block");
    let mut rule = Rule::new();
    for line in block.lines().map(|line| line.trim_start_matches("//!").trim()).filter(|line| !line.is_empty()) {
        let (rooms, below) = line.split_once("->").unwrap_or_else(|| panic!("not a rule: {line}"));
        let below = match below.trim() {
            "nothing of ours" => BTreeSet::new(),
            list => words(list.trim_matches(['{', '}', ' '])).map(str::to_owned).collect(),
        };
        for room in words(rooms) {
            rule.insert(room.to_owned(), below.clone());
        }
    }
    rule
}

fn words(list: &str) -> impl Iterator<Item = &str> {
    list.split(',').map(str::trim).filter(|word| !word.is_empty())
}

/// Every `.rs` file below a folder (or the file itself), sorted.
fn sources(root: impl AsRef<Path>) -> Vec<PathBuf> {
    let root = root.as_ref();
    if root.is_file() {
        return vec![root.to_owned()];
    }
    let mut found = Vec::new();
    for entry in fs::read_dir(root).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// `src/model/read.rs` and `src/model.rs` are of the room `model`; `lib.rs` and `main.rs` stand outside.
fn room_of(file: &Path) -> Option<String> {
    let first = file.strip_prefix("src").ok()?.components().next()?.as_os_str().to_str()?;
    let room = first.strip_suffix(".rs").unwrap_or(first);
    (room != "lib" && room != "main").then(|| room.to_owned())
}

fn uses(file: &Path, rule: &Rule) -> BTreeSet<Use> {
    let inner = file.strip_prefix("src").unwrap();
    let named = inner.file_stem().is_some_and(|stem| stem != "mod");
    let depth = inner.components().count() - usize::from(!named);
    uses_in(&fs::read_to_string(file).unwrap(), depth, rule)
}

/// The uses of rooms in the code of a module `depth` levels below the crate's root.
fn uses_in(source: &str, depth: usize, rule: &Rule) -> BTreeSet<Use> {
    let code: String = without_comments_and_texts(source).split_whitespace().collect::<Vec<_>>().join(" ");
    let out = "super::".repeat(depth);
    let mut found = BTreeSet::new();
    for prefix in ["crate::", out.as_str()] {
        for (at, _) in code.match_indices(prefix) {
            let before = code[..at].chars().next_back();
            if !before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == ':' || c == '$') {
                collect(&code[at + prefix.len()..], None, &mut found);
            }
        }
    }
    found.retain(|used| rule.contains_key(&used.room));
    found
}

/// Reads `a::b::c` or `{a, b::{c, d}}` at the start of `path`, one or two names deep.
fn collect(path: &str, room: Option<&str>, found: &mut BTreeSet<Use>) {
    if let Some(group) = path.strip_prefix('{') {
        for member in members(group) {
            collect(member.trim(), room, found);
        }
        return;
    }
    let end = path.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(path.len());
    let (name, rest) = path.split_at(end);
    match (room, rest.strip_prefix("::")) {
        (Some(room), _) => drop(found.insert(Use { room: room.to_owned(), module: Some(name.to_owned()) })),
        (None, Some(rest)) => collect(rest, Some(name), found),
        (None, None) => drop(found.insert(Use { room: name.to_owned(), module: None })),
    }
}

/// The members of a group, up to its closing brace.
fn members(group: &str) -> Vec<&str> {
    let (mut depth, mut start, mut found) = (0, 0, Vec::new());
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => {
                found.push(&group[start..at]);
                return found;
            }
            '}' => depth -= 1,
            ',' if depth == 0 => {
                found.push(&group[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    found
}

/// The code with line comments and double-quoted texts blanked out.
fn without_comments_and_texts(source: &str) -> String {
    let mut out = String::with_capacity(source.len());
    let mut chars = source.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '/' if chars.peek() == Some(&'/') => {
                chars.by_ref().find(|c| *c == '\n');
                out.push('\n');
            }
            '\'' if chars.peek() == Some(&'"') => drop(chars.next()),
            '"' => {
                while let Some(c) = chars.next() {
                    match c {
                        '\\' => drop(chars.next()),
                        '"' => break,
                        _ => {}
                    }
                }
                out.push(' ');
            }
            _ => out.push(c),
        }
    }
    out
}
