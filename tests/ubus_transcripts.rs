//! Every byte of 26 conversations with the real ubusd, read and written again.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs;
use std::path::Path;

use usp_agent::backend::ubus::blobmsg::{self, kind as blob};
use usp_agent::backend::ubus::json::table_from_json;
use usp_agent::backend::ubus::message::{Body, EVENT_OBJECT, Message, attr, kind, request};
use usp_agent::backend::ubus::socket::{BadLength, Frames};
use usp_agent::backend::ubus::{Signature, message};
use usp_agent::backend::{Table, Value};

struct Line {
    from_client: bool,
    bytes: Vec<u8>,
}

fn transcript(name: &str) -> Vec<Line> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/ubus-transcripts");
    let text = fs::read_to_string(folder.join(name)).unwrap();
    let lines = text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    lines.filter(|words| words.len() == 3 && words[2] != "EOF").map(|words| line(words[1], words[2])).collect()
}

fn line(direction: &str, hex: &str) -> Line {
    let byte = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
    Line { from_client: direction == "C>S", bytes: (0..hex.len()).step_by(2).map(byte).collect() }
}

fn all() -> Vec<(String, Vec<Line>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/ubus-transcripts");
    let names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.filter(|name| name.ends_with(".hex")).collect();
    names.sort();
    names.into_iter().map(|name| (name.clone(), transcript(&name))).collect()
}

fn read(bytes: &[u8]) -> Result<Option<Message>, BadLength> {
    let mut frames = Frames::default();
    frames.push(bytes);
    frames.next_message()
}

/// The messages of one side of one conversation.
fn sent(name: &str, from_client: bool) -> Vec<Message> {
    let lines = transcript(name).into_iter().filter(|line| line.from_client == from_client);
    lines.map(|line| read(&line.bytes).unwrap().unwrap()).collect()
}

/// Attribute by attribute, and blobmsg value by value where there are any.
fn written_again(message: &Message) -> Vec<u8> {
    let mut body = Body::default();
    for attribute in blobmsg::attributes(&message.body) {
        let (id, payload) = (attribute.id, attribute.payload);
        body = match id {
            attr::DATA if message.kind != kind::MONITOR => {
                body.nested(id, &blobmsg::encode(&blobmsg::decode(payload).unwrap()).unwrap())
            }
            attr::SIGNATURE => body.nested(id, &Signature::decode(payload).unwrap().encode().unwrap()),
            attr::OBJPATH | attr::METHOD | attr::USER | attr::GROUP if message.kind != kind::MONITOR => {
                body.string(id, &blobmsg::text(payload).unwrap())
            }
            _ => body.nested(id, payload),
        };
    }
    Message { body: body.into_bytes(), ..message.clone() }.encode().unwrap()
}

#[test]
fn every_message_is_written_as_it_was_read() {
    let mut count = 0;
    let all = all();
    assert_eq!(all.len(), 26);
    for (name, lines) in &all {
        for (index, line) in lines.iter().enumerate() {
            // Sent to break the rules; what becomes of them is told below.
            let broken = matches!((name.get(..2), index), (Some("22" | "23"), 1) | (Some("25"), 3) | (Some("16"), 1));
            if !broken {
                let message = read(&line.bytes).unwrap().unwrap_or_else(|| panic!("{name} {index}: cut short"));
                assert_eq!(written_again(&message), line.bytes, "{name} line {index}");
                count += 1;
            }
        }
    }
    assert!(count > 200, "only {count}");
}

#[test]
fn a_stream_of_a_conversation_is_cut_into_its_messages() {
    for (name, lines) in all().iter().filter(|(name, _)| !name.starts_with("22") && !name.starts_with("23")) {
        let expected: Vec<Message> = lines.iter().map(|line| read(&line.bytes).unwrap().unwrap()).collect();
        let stream: Vec<u8> = lines.iter().flat_map(|line| line.bytes.clone()).collect();
        for size in [1, 7, 64, stream.len()] {
            let mut frames = Frames::default();
            let mut seen = Vec::new();
            for part in stream.chunks(size) {
                frames.push(part);
                seen.extend(std::iter::from_fn(|| frames.next_message().unwrap()));
            }
            assert_eq!(seen, expected, "{name} in parts of {size}");
        }
    }
}

#[test]
fn lengths_out_of_bounds_end_the_connection() {
    assert_eq!(read(&transcript("22_len_too_short.hex")[1].bytes), Err(BadLength(3)));
    assert_eq!(read(&transcript("23_len_too_long.hex")[1].bytes), Err(BadLength(1_048_580)));
}

#[test]
fn a_path_without_its_nul_counts_as_absent() {
    let message = read(&transcript("25_invalid_args.hex")[3].bytes).unwrap().unwrap();
    assert_eq!((message.kind, message.attributes().path), (kind::LOOKUP, None));
}

/// The command line's monitor sends unrelated bytes as DATA; nothing may come of them but a table.
#[test]
fn rubbish_as_data_is_read_as_far_as_it_goes() {
    let message = read(&transcript("16_monitor.hex")[1].bytes).unwrap().unwrap();
    assert_eq!(blobmsg::decode(message.attributes().data.unwrap()), Ok(Table::default()));
}

#[test]
fn every_type_has_its_value() {
    let reply = sent("05_call_types.hex", false).pop_if_data();
    let expected = Table::default()
        .with("i8", Value::Int8(1))
        .with("i8neg", Value::Int8(-1))
        .with("i16", Value::Int16(4660))
        .with("i16neg", Value::Int16(-2))
        .with("i32", 305_419_896)
        .with("u32max", -1)
        .with("i64", Value::Int64(1_311_768_467_463_790_320))
        .with("i64neg", Value::Int64(-3))
        .with("dbl", Value::Double(std::f64::consts::PI))
        .with("dblneg", Value::Double(-0.5))
        .with("str", "hello")
        .with("empty", "")
        .with("utf8", "grün ✓")
        .with("null", Value::Null)
        .with("arr", Value::Array(vec![1.into(), "two".into(), Table::default().with("x", Value::Int8(0)).into()]))
        .with("emptyarr", Value::Array(vec![]))
        .with("emptytbl", Table::default())
        .with("tbl", Table::default().with("k", "v").with("deep", Table::default().with("n", 7)))
        .with("", 0)
        .with("a", 1)
        .with("ab", 2)
        .with("abc", 3)
        .with("abcd", 4)
        .with("abcde", 5);
    assert_eq!(reply, expected);
}

trait LastData {
    fn pop_if_data(self) -> Table;
}

impl LastData for Vec<Message> {
    fn pop_if_data(self) -> Table {
        let data = self.iter().rev().find(|message| message.kind == kind::DATA).unwrap();
        blobmsg::decode(data.attributes().data.unwrap()).unwrap()
    }
}

#[test]
fn json_arguments_take_the_types_of_the_command_line() {
    let json = serde_json::json!({
        "i8": true, "i32": -5, "i64": 4_294_967_296_i64, "dbl": 2.5, "str": "q\"x",
        "arr": [1, "a", null, [], {}], "tbl": {"k": {"z": false}}, "any": null, "i16": 7
    });
    let ours = table_from_json(&json).unwrap();
    let theirs = sent("06_call_echo_json.hex", false).pop_if_data();
    assert_eq!(ours.0.len(), theirs.0.len());
    for (name, value) in &theirs.0 {
        assert_eq!(ours.get(name), Some(value), "{name}");
    }
}

fn same(ours: (u8, u32, Body), theirs: &Message) {
    let (kind, peer, body) = ours;
    assert_eq!(Message::new(kind, theirs.seq, peer, body), *theirs);
}

#[test]
fn requests_are_those_of_libubus() {
    let lookup = sent("03_lookup_wildcard.hex", true);
    same((kind::LOOKUP, 0, request::lookup("test.*")), &lookup[0]);

    let call = sent("07_call_echo_c.hex", true);
    let args = Table::default()
        .with("i8", 1)
        .with("i16", -2)
        .with("i32", Value::Int64(0xdead_beef))
        .with("i64", Value::Int64(72_623_859_790_382_856))
        .with("dbl", Value::Double(1.5))
        .with("str", "abc")
        .with("arr", Value::Array(vec![1.into(), 2.into()]))
        .with("tbl", Table::default().with("k", "v"))
        .with("any", Value::Null);
    let looked_up = sent("07_call_echo_c.hex", false);
    let signature = Signature::decode(looked_up[1].attributes().signature.unwrap()).unwrap();
    let object = looked_up[1].attributes().object.unwrap();
    let fitted = signature.fit("echo", args);
    same((kind::INVOKE, object, request::invoke(object, "echo", &fitted).unwrap()), &call[1]);
}

#[test]
fn events_are_registered_and_sent_as_by_libubus() {
    let asked = sent("11_events.hex", true);
    let listener = sent("11_events.hex", false)[1].attributes().object.unwrap();
    same((kind::ADD_OBJECT, 0, request::add_object(None)), &asked[0]);
    let event_object =
        |method, args: Table| (kind::INVOKE, EVENT_OBJECT, request::invoke(EVENT_OBJECT, method, &args).unwrap());
    same(event_object("register", request::register(listener, "foo.*")), &asked[1]);
    same(event_object("send", request::send_event("foo.bar", Table::default().with("a", 1))), &asked[2]);
    same((kind::STATUS, 0, request::status(0, listener)), &asked[3]);
}

#[test]
fn a_subscriber_asks_as_libubus_does() {
    let asked = sent("13_subscribe_notify.hex", true);
    let told = sent("13_subscribe_notify.hex", false);
    let (ours, theirs) = (told[1].attributes().object.unwrap(), told[3].attributes().object.unwrap());
    same((kind::SUBSCRIBE, 0, request::subscribe(ours, theirs)), &asked[2]);
    let notification = told.iter().find(|message| message.kind == kind::INVOKE).unwrap().attributes();
    assert!(notification.no_reply);
    assert_eq!(
        (notification.object, notification.method, notification.user),
        (Some(ours), Some("state"), Some("root"))
    );
}

#[test]
fn a_provider_speaks_as_libubus_does() {
    let said = sent("14_provider_side.hex", true);
    let told = sent("14_provider_side.hex", false);
    let signature = Signature::decode(said[0].attributes().signature.unwrap()).unwrap().encode().unwrap();
    same((kind::ADD_OBJECT, 0, request::add_object(Some(("test.obj", &signature)))), &said[0]);
    let object = told[1].attributes().object.unwrap();
    let caller = said[1].peer;
    same((kind::DATA, caller, request::data(object, &Table::default().with("i32", 1)).unwrap()), &said[1]);
    same((kind::STATUS, caller, request::status(message::status::OK, object)), &said[2]);
    let data = Table::default().with("with_reply", 1);
    same((kind::NOTIFY, object, request::notify(object, "ack", &data, false).unwrap()), &said[3]);
    same((kind::REMOVE_OBJECT, 0, request::remove_object(object)), &said[4]);
}

#[test]
fn a_signature_is_built_as_it_is_read() {
    let added = &sent("26_add_remove_object.hex", true)[0];
    let signature = Signature::default().method("ping", &[("x", blob::INT32)]).encode().unwrap();
    same((kind::ADD_OBJECT, 0, request::add_object(Some(("self.obj", &signature)))), added);
}

/// Whatever can be read can be written, and reads the same again.
#[test]
fn bent_messages_are_read_to_something_sound_or_refused() {
    let mut seed = 0x9e37_79b9_u32;
    let mut random = |below: usize| {
        seed ^= seed << 13;
        seed ^= seed >> 17;
        seed ^= seed << 5;
        seed as usize % below
    };
    let mut read_again = 0;
    for (_, lines) in all() {
        for line in lines.iter().filter(|line| line.bytes.len() > 20) {
            for _ in 0..50 {
                let mut bytes = line.bytes.clone();
                for _ in 0..=random(3) {
                    let place = 12 + random(bytes.len() - 12);
                    bytes[place] = [0, 1, 0x7f, 0x80, 0xff, random(256) as u8][random(6)];
                }
                let Ok(Some(message)) = read(&bytes) else { continue };
                let attributes = message.attributes();
                let _ = attributes.signature.map(Signature::decode);
                let Some(Ok(table)) = attributes.data.map(blobmsg::decode) else { continue };
                let written = blobmsg::encode(&table).unwrap();
                assert_eq!(format!("{:?}", blobmsg::decode(&written)), format!("{:?}", Ok::<_, ()>(table)));
                read_again += 1;
            }
        }
    }
    assert!(read_again > 1000, "only {read_again}");
}
