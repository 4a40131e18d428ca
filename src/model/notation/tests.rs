//! What the notation accepts and refuses.

use super::*;
use crate::backend::Value;
use crate::model::schema::{Access, Kind};
use crate::model::source::{Argument, ElementKey, Filter, Piece, PointerStep, RowSource, SectionRef, Source, Template};

fn block(text: &str) -> ObjectBlock {
    match parse("t.dm", text.to_owned().leak()).unwrap().pop() {
        Some(Block::Object(block)) => block,
        other => panic!("{other:?}"),
    }
}

fn values(line: &str) -> Vec<crate::model::source::Pipeline> {
    match block(&format!("object Device.X_T.\n{line}")).items.pop().unwrap().kind {
        ItemKind::Row(Row { source: RowSourceText::Parameter(values), .. }) => values,
        other => panic!("{other:?}"),
    }
}

fn error(text: &str) -> String {
    parse("t.dm", text.to_owned().leak()).unwrap_err().to_string()
}

#[test]
fn a_row_names_a_source_and_filters_and_alternatives() {
    let values =
        values("A = ubus system board {\"n\":1} /release/version | after v | default x or file /tmp/x\n or key");
    assert_eq!(values.len(), 3);
    let Source::Ubus { object, method, args, pointer } = &values[0].source else { panic!() };
    assert_eq!(object, &Template("system"));
    assert_eq!((*method, args.len(), pointer.steps().count()), ("board", 1, 2));
    assert_eq!(args[0].1, Argument::Value(Value::Int32(1)));
    assert_eq!(values[0].filters, [Filter::After("v"), Filter::Default("x")]);
    assert!(matches!(values[2].source, Source::Key));
}

#[test]
fn places_to_fill_are_found_in_every_text() {
    let values = values("A = uci network.{parent.key}.dns[2] or ubus a.{x} m {\"i\":\"{key}\"} /l[n={key}]/{x}/0");
    let Source::Uci { section: SectionRef::Named(section), index, .. } = &values[0].source else { panic!() };
    assert_eq!((section.pieces().collect::<Vec<_>>(), *index), (vec![Piece::ParentKey], Some(2)));
    let Source::Ubus { object, args, pointer, .. } = &values[1].source else { panic!() };
    assert_eq!(object.pieces().collect::<Vec<_>>(), [Piece::Text("a."), Piece::Let("x")]);
    assert_eq!(args[0].1, Argument::Filled(Template("{key}")));
    let expected = [
        PointerStep::Member(Template("l")),
        PointerStep::Select("n", Template("{key}")),
        PointerStep::Member(Template("{x}")),
        PointerStep::Index(0),
    ];
    assert_eq!(pointer.steps().collect::<Vec<_>>(), expected);
}

#[test]
fn a_pointer_selects_by_a_text_with_slashes() {
    let Source::Item(pointer) = &values("A = item /route[target=10.0.0.0/8]/nexthop")[0].source else { panic!() };
    assert_eq!(pointer.steps().count(), 3);
}

#[test]
fn rows_come_from_sections_elements_the_agent_or_a_function() {
    let text = "table Device.X_T.{i}. rw keys A,B C\neach uci network.interface where option proto != none\n\
                each ubus a b /list key /name where item /up | exists\neach file /proc/net/arp key word 1\n\
                each list /sys/class/net\neach agent requests\neach native rows";
    let block = block(text);
    assert!(block.table && block.creatable);
    assert_eq!(block.keys.len(), 2);
    let each: Vec<_> = block
        .items
        .into_iter()
        .map(|item| if let ItemKind::Each(each) = item.kind { each } else { panic!() })
        .collect();
    assert!(
        matches!(&each[0].rows, RowSource::Uci { package, kind } if &**package == "network" && &**kind == "interface")
    );
    assert_eq!(each[0].conditions[0].test.as_ref().map(|(equal, _)| *equal), Some(false));
    assert!(matches!(&each[1].rows, RowSource::Elements { key: ElementKey::Pointer(_), .. }));
    assert!(each[1].conditions[0].test.is_none());
    assert!(matches!(&each[2].rows, RowSource::Elements { key: ElementKey::Word(1), .. }));
    assert!(matches!(&each[3].rows, RowSource::Elements { key: ElementKey::Natural, .. }));
    assert!(matches!(&each[4].rows, RowSource::Agent(_)));
    assert!(matches!(&each[5].rows, RowSource::Native(_)));
}

#[test]
fn vendor_rows_state_type_and_access() {
    let block = block(
        "object Device.X_T.\nA unsignedInt rw = uci a.b.c\nB string = key\nC = key\nreplace D() = agent Reboot\nE! = agent",
    );
    let rows: Vec<_> =
        block.items.into_iter().map(|item| if let ItemKind::Row(row) = item.kind { row } else { panic!() }).collect();
    assert_eq!(rows[0].declared, Some((Kind::UnsignedInt, Access::ReadWrite)));
    assert_eq!(rows[1].declared, Some((Kind::String, Access::ReadOnly)));
    assert_eq!((rows[2].declared, rows[2].replace, rows[3].replace), (None, false, true));
    assert!(matches!(rows[4].source, RowSourceText::Event(None)));
}

#[test]
fn map_keeps_its_order_and_the_word_for_any_other() {
    let filters = values("A = key | map 1:Up \"a b\":\"c:d\" *:Down | not").remove(0).filters;
    let Filter::Map(pairs, other) = &filters[0] else { panic!() };
    assert_eq!((pairs[1].0, pairs[1].1, other.as_deref()), ("a b", "c:d", Some("Down")));
    assert_eq!(filters[1], Filter::Not);
}

#[test]
fn live_and_hide_stand_between_blocks() {
    let text = "object Device.X_T.\nlive ubus network.interface dump on event network.interface\nA string = key\nhide object Device.IP.";
    let blocks = parse("t.dm", text).unwrap();
    assert!(matches!(&blocks[..], [Block::Live(..), Block::Object(block), Block::Hide(..)] if block.items.len() == 1));
}

#[test]
fn errors_name_file_line_and_what_is_allowed() {
    assert_eq!(
        error("object Device.X_T.\n\nA = key | mapp a:b").get(..37),
        Some("t.dm:3: the filter `mapp` is unknown;")
    );
    assert!(error("object Device.X_T.\nA = ubux x").contains("allowed: ubus, uci, option"));
}

#[test]
fn what_is_not_in_the_notation_is_refused() {
    for line in [
        "A",
        "A =",
        "A = uci a.b",
        "A = uci a.@b.c",
        "A = uci a.@b[x].c",
        "A = uci a..c",
        "A = option",
        "A = file tmp",
        "A = item a",
        "A = item //",
        "A = item /a[b]",
        "A = $",
        "A = key |",
        "A = key | map",
        "A = key | map a",
        "A = key | map a:b a:c",
        "A = key | div 0",
        "A = key | word 0",
        "A = key | mul x",
        "A = key extra",
        "A = text {",
        "A = text {a b}",
        "A = ubus a",
        "A = ubus a b {\"x\"",
        "A = ubus a b {\"x\":}",
        "A = ubus a b {\"x\":nan}",
        "A string rw w1 = key",
        "A text = key",
        "A() = key",
        "A() = ubus a",
        "A! = ubus a b",
        "let 1 = key",
        "let key = key",
        "new",
        "new set a",
        "new x",
        "each uci a",
        "each uci a.b where",
        "each agent",
        "when",
        "A. = key",
        "or key",
        "hide",
        "live file /a",
        "live ubus a b on x y",
        "object Device",
        "object X.",
        "object Device..",
        "object Device.A.{i}.",
        "table Device.A.",
        "object Device.{i}.A.",
        "object Device.A.{i}.{i}.B.",
        "table Device.X_T.{i}. keys",
    ] {
        assert!(parse("t.dm", format!("table Device.X_T.{{i}}.\n{line}").leak()).is_err(), "{line}");
    }
    assert!(parse("t.dm", "A = key").is_err(), "a row before any block");
}

#[test]
fn limits_hold() {
    let long = format!("object Device.X_T.\nA string = text {}", "x".repeat(MAX_LINE));
    assert!(error(&long).contains("longer"));
    assert!(error(&"\n".repeat(MAX_FILE + 1)).contains("larger"));
    assert!(
        error(&format!("object Device.X_T.\nA string = key{}", " | not".repeat(MAX_PARTS + 1))).contains("filters")
    );
    assert!(
        error(&format!("object Device.X_T.\nA string = key{}", " or key".repeat(MAX_PARTS))).contains("alternatives")
    );
    assert!(error(&format!("object Device.X_T.\nA string = text {}", "{a}".repeat(MAX_PARTS + 1))).contains("places"));
    assert!(error(&format!("object Device.X_T.\nA string = item {}", "/a".repeat(MAX_PARTS + 1))).contains("steps"));
    let deep = format!("{}{}", "{\"a\":".repeat(40), "}".repeat(40));
    assert!(error(&format!("object Device.X_T.\nA string = ubus a b {deep}")).contains("deeper"));
    assert!(error(&"object Device.X_T.\n".repeat(MAX_LINES + 1)).contains("lines"));
}
