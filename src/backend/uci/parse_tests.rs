//! Cases named by what they show; the expected results are those of the real `uci export`.

use super::*;

fn parsed(text: &str) -> Package {
    parse("test", text.as_bytes()).unwrap()
}

fn error(text: &str) -> (u32, u32, &'static str) {
    match parse("test", text.as_bytes()) {
        Err(Error::Parse { line, byte, what }) => (line, byte, what),
        other => panic!("{other:?}"),
    }
}

/// `type[.name]: option=value ...`, lists in brackets.
fn outline(text: &str) -> String {
    let mut out = Vec::new();
    for section in parsed(text).sections {
        let mut words = vec![match section.anonymous {
            true => format!("{}:", section.kind),
            false => format!("{}.{}:", section.kind, section.name),
        }];
        words.extend(section.options.iter().map(|o| match &o.value {
            OptValue::One(value) => format!("{}={value}", o.name),
            OptValue::List(items) => format!("{}={items:?}", o.name),
        }));
        out.push(words.join(" "));
    }
    out.join(" / ")
}

#[test]
fn sections_options_and_lists_keep_their_order_and_lines() {
    let package =
        parsed("# comment\n\nconfig interface 'lan'\n\toption proto static\n\tlist dns 1.1.1.1\n\tlist dns 9.9.9.9\n");
    let lan = package.section("lan").unwrap();
    assert_eq!((lan.line, &*lan.kind, lan.anonymous), (3, "interface", false));
    assert_eq!(lan.options.iter().map(|o| o.line).collect::<Vec<_>>(), [4, 5]);
    assert_eq!(lan.list("dns"), ["1.1.1.1".into(), "9.9.9.9".into()]);
}

#[test]
fn one_letter_commands_and_the_package_line_are_accepted() {
    assert_eq!(outline("p other\nc t n\no a 1\nl b 2\n"), r#"t.n: a=1 b=["2"]"#);
}

#[test]
fn a_semicolon_after_space_or_quote_separates_commands() {
    assert_eq!(outline("config t n ; option a 'x'; option b y ;option c z\n"), "t.n: a=x b=y c=z");
}

#[test]
fn a_semicolon_right_after_a_bare_word_swallows_the_rest_as_in_libuci() {
    assert_eq!(outline("config t n\noption a x; option b y\noption c z\n"), "t.n: a=x c=z");
}

#[test]
fn a_hash_starts_a_comment_even_inside_a_bare_word() {
    assert_eq!(outline("config t\noption a b#c d\noption e 'f#g' # h\n"), "t: a=b e=f#g");
}

#[test]
fn quoted_and_bare_parts_join_into_one_word() {
    assert_eq!(outline("config t\noption a 'x y'\"z \\\" $\"w\\ v\\'\n"), "t: a=x yz \" $w v'");
}

#[test]
fn a_single_quote_is_written_as_libuci_writes_it() {
    assert_eq!(
        outline(
            r"config t
option a 'it'\''s'"
        ),
        "t: a=it's"
    );
}

#[test]
fn quotes_span_lines_and_a_backslash_joins_them() {
    assert_eq!(
        outline("config t\noption a 'x\n\ty'\noption b x\\\ny\noption c \"x\\\ny\nz\"\n"),
        "t: a=x\n\ty b=xy c=xy\nz"
    );
    assert_eq!(parsed("config t\noption a 'x\ny'\noption b z\n").sections[0].options[1].line, 4);
}

#[test]
fn the_last_option_wins_and_an_empty_one_is_as_if_not_there() {
    assert_eq!(outline("config t\noption a 1\noption b 2\noption a 3\noption b ''\noption c\n"), "t: a=3 b=2");
}

#[test]
fn an_option_and_a_list_of_one_name_merge() {
    assert_eq!(
        outline("config t\noption a x\nlist a y\nlist b x\noption b y\nlist c ''\n"),
        r#"t: a=["x", "y"] b=y c=[""]"#
    );
}

#[test]
fn sections_of_one_name_merge_if_their_type_is_the_same() {
    assert_eq!(outline("config t n\noption a 1\nconfig u\nconfig t n\noption b 2\n"), "t.n: a=1 b=2 / u:");
    assert_eq!(
        error("config t n\nconfig u n\n"),
        (2, 11, "section of different type overwrites prior section with same name")
    );
}

#[test]
fn anonymous_sections_are_numbered_among_all() {
    let package = parsed("config defaults\nconfig zone wan\nconfig zone\n");
    let names: Vec<_> = package.sections.iter().map(|s| &*s.name).collect();
    assert_eq!(names, ["cfg01e63d", "wan", "cfg03dc81"]);
}

#[test]
fn errors_name_line_and_byte_as_libuci_does() {
    assert_eq!(error("config t\nnonsense here\n"), (2, 0, "invalid command"));
    assert_eq!(error("config\n"), (1, 0, "invalid command"));
    assert_eq!(error("config \n"), (1, 8, "insufficient arguments"));
    assert_eq!(error("\noption a b\n"), (2, 0, "option/list command found before the first section"));
    assert_eq!(error("config t n-m\n"), (1, 13, "invalid character in name field"));
    assert_eq!(error("config t\noption a b c\n"), (2, 13, "too many arguments"));
    assert_eq!(error("config 't t'\n"), (1, 13, "invalid character in type field"));
    assert_eq!(error("config t\noption a 'b\n\n").2, "EOF with unterminated '");
    assert_eq!(error("config t\noption a \"b").2, "EOF with unterminated \"");
    assert_eq!(error("config t\noption a\0b x\n"), (2, 8, "NUL byte"));
}

#[test]
fn limits_are_refused_not_cut() {
    let over = vec![b'#'; MAX_PACKAGE + 1];
    assert!(matches!(parse("test", &over), Err(Error::Invalid(_))));
    assert!(parse("test", &over[1..]).is_ok());
    let sections = "config t\n".repeat(MAX_SECTIONS);
    assert!(parse("test", sections.as_bytes()).is_ok());
    assert!(parse("test", (sections + "c t\n").as_bytes()).is_err());
    let options: String = (0..=MAX_OPTIONS).map(|i| format!("o o{i} x\n")).collect();
    assert!(parse("test", format!("c t\n{options}").as_bytes()).is_err());
}

#[test]
fn bytes_that_are_not_utf8_survive() {
    let file = b"\nconfig wifi-iface\n\toption ssid 'Caf\xe9'\n\n";
    assert_eq!(crate::backend::uci::write::write(&parse("wireless", file).unwrap()), file);
}

#[test]
fn what_is_imported_may_say_which_package_it_is_and_no_other() {
    let text = "package test\n\nconfig a 'b'\n\toption c 'd'\n\nconfig a\n\tlist e 'f'\n\n";
    let imported = import("test", text.as_bytes()).unwrap();
    assert_eq!(crate::backend::uci::write::export(&imported), text.as_bytes());
    assert!(import("test", b"config a\n").is_ok());
    for file in ["package other\nconfig a\n", "package test\nconfig a\npackage other\nconfig b\n"] {
        let refused = import("test", file.as_bytes());
        assert!(matches!(refused, Err(Error::Parse { what: "another package", .. })), "{refused:?}");
        assert!(parse("test", file.as_bytes()).is_ok(), "libuci reads the file of a package so");
    }
}
