use super::*;
use crate::backend::uci::parse::parse;

fn package(text: &str) -> Package {
    parse("test", text.as_bytes()).unwrap()
}

fn one(text: &str) -> Option<OptValue> {
    Some(OptValue::One(text.into()))
}

fn set(section: &str, option: &str, value: Option<OptValue>) -> Edit {
    Edit::Set { section: section.into(), option: option.into(), value }
}

fn written(package: &Package) -> String {
    String::from_utf8(write(package)).unwrap()
}

#[test]
fn the_output_is_the_one_of_uci_commit() {
    let text =
        "package x\nconfig a-b n\n option q 'it'\\''s' # c\n list l 'x y'\n list l \"two\nlines\"\nconfig anon\n";
    let canonical = "\nconfig a-b 'n'\n\toption q 'it'\\''s'\n\tlist l 'x y'\n\tlist l 'two\nlines'\n\nconfig anon\n\n";
    assert_eq!(written(&package(text)), canonical);
    assert_eq!(written(&package(canonical)), canonical);
    assert_eq!(written(&package("")), "\n");
}

#[test]
fn a_type_that_needs_quotes_is_read_back_the_same() {
    let odd = package("config 'a;b#c'\noption x y\n");
    assert_eq!(package(&written(&odd)).sections[0].kind, odd.sections[0].kind);
}

#[test]
fn edits_add_set_and_remove() {
    let mut p = package("config t\noption a 1\nconfig t n\noption b 2\n");
    let first = p.sections[0].name.clone();
    let edits = [
        Edit::Add { section: "new".into(), kind: "u".into() },
        set("new", "x", one("it's")),
        set("n", "b", one("3")),
        set("n", "l", Some(OptValue::List(vec!["1".into(), "2".into()]))),
        set(&first, "a", one("")),
        Edit::Delete { section: "gone".into() },
    ];
    edits.iter().for_each(|e| p.apply(e).unwrap());
    let expected = "\nconfig t\n\nconfig t 'n'\n\toption b '3'\n\tlist l '1'\n\tlist l '2'\n\nconfig u 'new'\n\toption x 'it'\\''s'\n\n";
    assert_eq!(written(&p), expected);
}

#[test]
fn anonymous_sections_keep_their_names_while_others_go() {
    let mut p = package("config t\nconfig t\noption a 1\n");
    let (first, second) = (p.sections[0].name.clone(), p.sections[1].name.clone());
    p.apply(&Edit::Delete { section: first }).unwrap();
    p.apply(&set(&second, "a", one("2"))).unwrap();
    assert_eq!(written(&p), "\nconfig t\n\toption a '2'\n\n");
}

#[test]
fn what_libuci_would_refuse_changes_nothing() {
    let before = package("config t n\noption a 1\n");
    let bad = [
        set("n", "a-b", one("x")),
        set("n", "a", one("x\u{1b}[0m")),
        set("n", "a", Some(OptValue::List(vec!["ok".into(), "\0".into()]))),
        set("absent", "a", one("x")),
        Edit::Add { section: "a-b".into(), kind: "t".into() },
        Edit::Add { section: "ok".into(), kind: "two words".into() },
        Edit::Add { section: "n".into(), kind: "t".into() },
    ];
    for edit in bad {
        let mut p = before.clone();
        assert!(p.apply(&edit).is_err(), "{edit:?}");
        assert_eq!(p, before);
    }
}

/// These fixtures are as the real `uci export` prints them, so reading and writing one is no change at all.
#[test]
fn real_packages_come_back_byte_for_byte() {
    for name in ["dhcp", "firewall", "network", "system", "wireless"] {
        let bytes = std::fs::read(format!("tests/fixtures/ax-home/uci/{name}")).unwrap();
        let read = parse(name, &bytes).unwrap();
        assert_eq!(String::from_utf8_lossy(&write(&read)), String::from_utf8_lossy(&bytes), "{name}");
    }
}
