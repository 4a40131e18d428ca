//! How blocks and facts become a model.

use super::*;
use crate::model::digest::Digest;
use crate::model::notation::parse;

const FACTS: &str = "\
Device. ro v2.0
Device.IP. ro v2.0
 InterfaceNumberOfEntries ro unsignedInt
Device.IP.Interface.{i}. rw table count=InterfaceNumberOfEntries lastingkey=Alias key=Name v2.0
 Enable rw boolean default=false
 Alias w1 string len=..64
 Name ro string
 Status ro string enum=Up|Down
 LowerLayers rw string list ref=strong:row
 Reset() sync
  >Why string must enum=A|B default=A
  <Status string
 Fell! v2.12
  <Why string
Device.IP.Interface.{i}.Stats. ro v2.0
 BytesSent ro unsignedLong quiet
";

const TABLE: &str = "table Device.IP.Interface.{i}.\neach uci network.interface\n";

fn build(text: &str) -> Result<Schema, Vec<String>> {
    let blocks = parse("t.dm", text.to_owned().leak()).map_err(|error| vec![error.to_string()])?;
    Schema::build(blocks, &Digest::parse(FACTS), &|name| name == "writes")
        .map_err(|errors| errors.iter().map(ToString::to_string).collect())
}

fn refused(text: &str) -> String {
    build(text).unwrap_err().join("\n")
}

fn interface(schema: &Schema) -> &Object {
    &schema[schema.find("Device.IP.Interface.{i}.").unwrap()]
}

#[test]
fn objects_above_come_by_themselves_and_first() {
    let schema = build(&format!("{TABLE}object Device.IP.Interface.{{i}}.Stats.\nBytesSent = text 1")).unwrap();
    let paths: Vec<_> = schema.objects.iter().map(|object| object.path).collect();
    assert_eq!(paths, ["Device.", "Device.IP.", "Device.IP.Interface.{i}.", "Device.IP.Interface.{i}.Stats."]);
    assert_eq!(schema.child(ObjectId(1), "Interface"), Some(ObjectId(2)));
    assert_eq!(schema[ObjectId(3)].parent, Some(ObjectId(2)));
    assert!(schema[ObjectId(3)].params[0].value_change_ignored);
}

#[test]
fn alias_and_counts_come_by_themselves() {
    let schema = build(TABLE).unwrap();
    let count = schema[ObjectId(1)].param("InterfaceNumberOfEntries").unwrap();
    assert!(matches!(count.source, ParamSource::Count(ObjectId(2))));
    let alias = interface(&schema).param("Alias").unwrap();
    assert!(matches!((&alias.source, alias.access), (ParamSource::Alias, Access::WriteOnce)));
}

#[test]
fn a_mapped_alias_stays_what_it_is() {
    let schema = build(&format!("{TABLE}Alias = option Alias")).unwrap();
    assert!(matches!(interface(&schema).param("Alias").unwrap().source, ParamSource::Mapped(_)));
    assert_eq!(interface(&schema).params.len(), 1);
}

#[test]
fn only_what_can_be_written_back_is_writable() {
    let access =
        |value: &str| interface(&build(&format!("{TABLE}Enable = {value}")).unwrap()).param("Enable").unwrap().access;
    for written in ["option x | default 1 | not", "uci a.b.c | map a:1 b:0", "native writes", "option x or key"] {
        assert_eq!(access(written), Access::ReadWrite, "{written}");
    }
    for read in
        ["key", "option x | word 1", "uci a.b.c | map a:1 b:1", "native reads", "key or option x", "option x | exists"]
    {
        assert_eq!(access(read), Access::ReadOnly, "{read}");
    }
    let status = build(&format!("{TABLE}Status = option x")).unwrap();
    assert_eq!(interface(&status).param("Status").unwrap().access, Access::ReadOnly);
}

#[test]
fn rows_are_created_where_the_standard_and_the_mapping_can() {
    assert!(interface(&build(TABLE).unwrap()).creatable);
    let table = "table Device.IP.Interface.{i}.\neach ubus a b\n";
    assert!(!interface(&build(table).unwrap()).creatable);
    assert!(interface(&build(&format!("{table}new native make")).unwrap()).creatable);
    assert!(!interface(&build(&format!("{table}each uci network.interface")).unwrap()).creatable);
}

#[test]
fn keys_need_their_parameters() {
    let keys = |text: &str| interface(&build(text).unwrap()).keys.clone();
    assert_eq!(keys(TABLE), [UniqueKey { params: vec!["Alias".into()], functional: false }]);
    assert_eq!(keys(&format!("{TABLE}Name = key")).len(), 2);
}

#[test]
fn commands_and_events_bring_their_arguments() {
    let schema = build(&format!("{TABLE}Reset() = ubus network.interface.{{key}} restart\nFell! = agent")).unwrap();
    let command = &interface(&schema).commands[0];
    assert!(!command.asynchronous);
    let why = &command.input[0];
    assert_eq!((&*why.name, why.mandatory, why.default.as_deref()), ("Why", true, Some("A")));
    assert_eq!(why.facets.enumeration.len(), 2);
    assert_eq!((&*command.output[0].name, &*interface(&schema).events[0].arguments[0].name), ("Status", "Why"));
}

#[test]
fn what_the_standard_does_not_know_is_refused_with_its_line() {
    assert_eq!(
        refused(&format!("{TABLE}Enabled = key")),
        "t.dm:3: TR-181 2.19 has no `Enabled` in `Device.IP.Interface.{i}.`; vendor names start with X_"
    );
    assert!(refused("object Device.IP.Interface.").contains("but `table Device.IP.Interface.{i}.`"));
    assert!(refused("object Device.Nothing.\n").starts_with("t.dm:1: "));
    assert!(refused("object Device.IP.\nInterfaceNumberOfEntries string = key").contains("states type"));
    assert!(refused(&TABLE.replace("}.", "}. rw")).contains("states access"));
    assert!(refused(&format!("{TABLE}Reset() = agent x\nFell() = agent x")).contains("no `Fell()`"));
}

#[test]
fn vendor_objects_state_it_themselves() {
    let text = "table Device.X_V_T.{i}. rw keys Name\neach uci v.t\nName string rw = option name\nGo() = operation go\nDone! = agent";
    let schema = build(text).unwrap();
    let table = &schema[schema.find("Device.X_V_T.{i}.").unwrap()];
    assert!(table.creatable && table.commands[0].asynchronous);
    assert_eq!((table.keys.len(), table.events.len()), (1, 1));
    assert_eq!(table.param("Name").unwrap().access, Access::ReadWrite);
    assert!(matches!(schema[ObjectId(0)].param("X_V_TNumberOfEntries").unwrap().source, ParamSource::Count(_)));
    assert!(refused("object Device.X_V.\nName = uci a.b.c").contains("states its type"));
    assert!(build(&format!("{TABLE}X_V_More string = option more")).is_ok());
}

#[test]
fn rows_stand_once_unless_replaced() {
    assert!(refused(&format!("{TABLE}Name = key\nName = text x")).contains("stands at t.dm:3 already"));
    assert!(refused(&format!("{TABLE}replace Name = key")).contains("no row `Name` to replace"));
    let schema = build(&format!("{TABLE}Name = key\nStatus = text Up\n{TABLE}replace Name = text x")).unwrap();
    assert!(matches!(&interface(&schema).param("Name").unwrap().source, ParamSource::Mapped(values)
        if matches!(values[0].source, crate::model::source::Source::Text(_))));
}

#[test]
fn rows_and_objects_can_be_hidden() {
    let schema =
        build(&format!("{TABLE}Name = key\nhide Name\nhide Alias\nobject Device.IP.\nhide InterfaceNumberOfEntries"))
            .unwrap();
    assert!(interface(&schema).params.is_empty() && schema[ObjectId(1)].params.is_empty());
    assert!(refused(&format!("{TABLE}hide Name")).contains("no row `Name`"));
    let text = format!("{TABLE}object Device.X_V.\nA string = uci a.b.c\nhide object Device.IP.Interface.{{i}}.");
    let schema = build(&text).unwrap();
    assert_eq!(schema.find("Device.IP.Interface.{i}."), None);
    assert!(schema[ObjectId(1)].children.is_empty() && schema[ObjectId(1)].params.is_empty());
    assert_eq!(schema[schema.find("Device.X_V.").unwrap()].path, "Device.X_V.");
    assert!(refused("hide object Device.Foo.").contains("no object"));
}

#[test]
fn names_must_be_in_reach() {
    let fine = "let a = ubus x y\nlet b = $a /z or key\nName = text {a}-{b}\nobject Device.IP.Interface.{i}.Stats.\nBytesSent = $a /q";
    build(&format!("{TABLE}{fine}")).unwrap();
    for (wrong, why) in [
        (format!("{TABLE}Name = $a"), "no `let a`"),
        (format!("{TABLE}Name = text {{a}}"), "no `let a`"),
        (format!("{TABLE}let a = $b\nlet b = key"), "no `let b`"),
        (format!("{TABLE}let a = key\nlet a = key"), "there already"),
        (format!("{TABLE}Name = item /x"), "`item` needs"),
        ("table Device.IP.Interface.{i}.\neach ubus a b\nName = option x".to_owned(), "`option` needs"),
        ("table Device.IP.Interface.{i}.\neach list /sys/{key}".to_owned(), "outside a table"),
        (format!("{TABLE}Name = text {{parent.key}}"), "outside a table of a table"),
        (format!("{TABLE}LowerLayers = option x | ref Device.Ethernet.Link.{{i}}."), "not mapped"),
        (format!("{TABLE}when option x"), "`option` needs"),
        ("table Device.IP.Interface.{i}.\nName = key".to_owned(), "has no `each`"),
        ("object Device.IP.Interface.{i}.Stats.\nBytesSent = text 1".to_owned(), "has no `each`"),
        ("object Device.IP.\neach uci a.b".to_owned(), "is no table"),
    ] {
        assert!(refused(&wrong).contains(why), "{wrong}: {}", refused(&wrong));
    }
}
