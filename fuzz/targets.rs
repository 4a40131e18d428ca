//! What is fuzzed: every parser that reads what others wrote. A target panics where a promise is
//! broken; `fuzz_targets/` and `tests/fuzz_corpora.rs` both call these.
#![allow(dead_code, unreachable_pub)]

use bytes::Bytes;
use usp_agent::backend::ubus::{Signature, blobmsg, message::Attributes};
use usp_agent::backend::uci;
use usp_agent::model::digest::Digest;
use usp_agent::model::schema::Schema;
use usp_agent::model::{built_in, notation};
use usp_agent::mtp::unix_socket::frame;
use usp_agent::path::{self, Dialect};
use usp_agent::usp::{message, record};

/// A record, and the message in it.
pub fn record(data: &[u8]) {
    if let Ok(incoming) = record::decode(Bytes::copy_from_slice(data)) {
        if let record::Content::Message(payload) = incoming.content {
            message(&payload);
        }
    }
}

/// A message, its paths included. What can be decoded has an id; what was refused by id is a request.
pub fn message(data: &[u8]) {
    use usp_agent::usp::wire::msg::request::ReqType;
    match message::decode(Bytes::copy_from_slice(data)) {
        Ok(message::Incoming::Request { msg_id, request }) => {
            assert_eq!(message::request_id(data), Some(msg_id));
            if let ReqType::Get(get) = request {
                get.param_paths.iter().for_each(|text| path(text.as_bytes()));
            }
        }
        Ok(_) => assert_eq!(message::request_id(data), None),
        Err(fault) => assert_eq!(message::request_id(data), fault.msg_id),
    }
}

/// A path: lenient reads whatever strict reads, and errors point into the text.
pub fn path(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let _ = path::parse_relative(text);
    let lenient = path::parse(text, Dialect::LENIENT);
    match path::parse(text, Dialect::STRICT) {
        Ok(path) => {
            assert!(text.starts_with(path.object()));
            assert_eq!(lenient.map(|path| path.steps.len()), Ok(path.steps.len()));
        }
        Err(error) => assert!(text.is_char_boundary(error.at) || error.at == path::MAX_LENGTH),
    }
    conditions(text);
}

/// The text as condition and value of every type.
fn conditions(text: &str) {
    use path::{Kind, Scalar};
    let expression = format!("Device.A.[B<{text}].");
    let Ok(path) = path::parse(&expression, Dialect::LENIENT) else { return };
    for step in &path.steps {
        let path::Step::Search(expression) = step else { continue };
        for scalar in [Scalar::String, Scalar::Boolean, Scalar::Number, Scalar::DateTime, Scalar::HexBinary] {
            for condition in &expression.conditions {
                let _ = condition.holds(text, Kind::One(scalar));
                let _ = condition.holds(text, Kind::List(scalar));
            }
        }
    }
}

/// A UCI file: what is read, written and read again is the same but for the lines.
pub fn uci(data: &[u8]) {
    let Ok(package) = uci::parse::parse("fuzz", data) else { return };
    let written = uci::write::write(&package);
    let Ok(again) = uci::parse::parse("fuzz", &written) else { panic!("cannot read what was written") };
    assert_eq!(without_lines(again), without_lines(package));
}

fn without_lines(mut package: uci::Package) -> uci::Package {
    for section in &mut package.sections {
        section.line = 0;
        section.options.iter_mut().for_each(|option| option.line = 0);
    }
    package
}

/// The DATA of a ubus message, and a body and a signature of one. What can be read can be written, unless it grew
/// by bytes that are not UTF-8, and is the same when it is read again (as text: no NaN equals itself).
pub fn blobmsg(data: &[u8]) {
    let _ = (Attributes::parse(data), Signature::decode(data));
    let Ok(table) = blobmsg::decode(data) else { return };
    match blobmsg::encode(&table) {
        Ok(written) => assert_eq!(format!("{:?}", blobmsg::decode(&written)), format!("Ok({table:?})")),
        Err(refusal) => assert_eq!(refusal, blobmsg::Refusal::TooLarge),
    }
}

/// A frame of a UNIX socket: what is known of it does not change as it arrives, and its fields fill it.
pub fn frame(data: &[u8]) {
    let header = data.get(..frame::HEADER).unwrap_or(data);
    let whole = frame::body(header);
    for arrived in 0..header.len() {
        let known = frame::body(&header[..arrived]);
        assert!(known == Ok(None) || known == whole, "{known:?} of {arrived} bytes, then {whole:?}");
    }
    let Ok(Some(length)) = whole else { return };
    let Some(body) = data.get(frame::HEADER..frame::HEADER + length) else { return };
    let Ok(fields) = frame::Fields::of(Bytes::copy_from_slice(body)) else { return };
    let mut again = Vec::new();
    for (kind, value) in fields {
        let Some(head) = frame::head(kind, &value) else { panic!("a field that was received cannot be sent") };
        assert_eq!(frame::body(&head), Ok(Some(head.len() - frame::HEADER + value.len())));
        again.extend_from_slice(&head[frame::HEADER..]);
        again.extend_from_slice(&value);
    }
    assert_eq!(again, body);
}

/// What a STOMP server sends: the same frames, and an end or none, whether it arrives at once or byte by byte, and never
/// more kept than the limits.
pub fn stomp(data: &[u8]) {
    let (whole, single) = (stomp_frames(data, data.len().max(1)), stomp_frames(data, 1));
    assert_eq!(whole, single);
}

fn stomp_frames(data: &[u8], piece: usize) -> (Vec<String>, bool) {
    use usp_agent::mtp::stomp::frame::{Decoder, Found, MAX_HEAD};
    let (mut decoder, mut buffer, mut frames) = (Decoder::default(), bytes::BytesMut::new(), Vec::new());
    for piece in data.chunks(piece) {
        buffer.extend_from_slice(piece);
        loop {
            match decoder.next(&mut buffer) {
                Err(_) => return (frames, false),
                Ok(Found::Frame(frame)) => {
                    let values = ["content-length", "reply-to-dest", "subscribe-dest", "message"];
                    frames.push(format!("{frame:?} {:?}", values.map(|name| frame.header(name))));
                }
                Ok(Found::Missing(missing)) => {
                    assert!(missing > 0 && buffer.len() <= MAX_HEAD + usp_agent::mtp::MAX_RECORD + 1);
                    break;
                }
            }
        }
    }
    (frames, true)
}

/// A mapping file, and what can be built from it.
pub fn notation(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    match notation::parse("fuzz", text.to_owned().leak()) {
        Ok(blocks) => {
            let _ = Schema::build(blocks, &Digest::parse(&built_in::mapped_digest()), &|_| true);
        }
        Err(error) => assert!(usize::try_from(error.at.line).is_ok_and(|line| line <= text.lines().count())),
    }
}
