//! What of a message a person is shown, by its field numbers: messages of both directions are read as they are, so that
//! the program need not know how to decode what an Agent only sends. A field that is not understood is not shown.

use super::fields::{Fields, Value};
use super::message::{self, BODY, HEADER, NOTIFY, REQUEST, RESPONSE};
use Part::{After, Before, Code, Head, Inner, Leaf, Named, Object, Pair, Path, Text};

/// One thing that a message says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Said<'a> {
    /// A path, in two halves.
    Path(&'a str, &'a str),
    /// The object, which may be empty, the name and the value.
    Value(&'a str, &'a str, &'a str),
    /// What failed, in two halves, with code and text.
    Failure(&'a str, &'a str, u32, &'a str),
}

/// A message, as far as its header and the first field of its body tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shown<'a> {
    /// Its kind, as TR-369 calls it.
    pub kind: &'static str,
    /// Of a Notify: its kind, and the Subscription it belongs to.
    pub notification: Option<(&'static str, &'a str)>,
    /// Its msg_id.
    pub msg_id: &'a str,
    part: Part,
    content: &'a [u8],
}

/// What a field is to a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    /// A path.
    Path,
    /// The object that what stands beside and below it belongs to.
    Object,
    /// Both of these.
    Head,
    /// The first and the second half of a path.
    Before,
    After,
    /// A message of a name and a value, its fields 1 and 2.
    Pair,
    /// A value that goes by this name.
    Named(&'static str),
    /// What of the object failed, with which code, and why.
    Leaf,
    Code,
    Text,
    /// A message of such parts.
    Inner(&'static [(u32, Part)]),
}

/// What a kind is called, and what it holds.
type Kind = (&'static str, Part);

const NOTHING: Part = Inner(&[]);
const LIST: Part = Inner(&[(1, Path)]);
const ARGUMENTS: Part = Inner(&[(1, Pair)]);
const FAILURE: Part = Inner(&[(1, Code), (2, Text)]);
const PARAMETER: Part = Inner(&[(1, Leaf), (2, Code), (3, Text)]);
/// What became of an instance that was set.
const INSTANCE: Part = Inner(&[(1, Object), (2, PARAMETER)]);
const SET_FAILURE: Part = Inner(&[(1, Code), (2, Text), (3, INSTANCE)]);
const REGISTERED: Part = Inner(&[(1, Inner(&[(1, Path), (2, Inner(&[(1, FAILURE)]))]))]);
const ERROR: Kind = ("Error", Inner(&[(1, Code), (2, Text), (3, PARAMETER)]));

/// The requests, from field 1 of `Request` on.
#[rustfmt::skip]
const REQUESTS: [Kind; 11] = [
    ("Get", LIST),
    ("GetSupportedDM", LIST),
    ("GetInstances", LIST),
    ("Set", Inner(&[(2, Inner(&[(1, Object), (2, Pair)]))])),
    ("Add", Inner(&[(2, Inner(&[(1, Head), (2, Pair)]))])),
    ("Delete", Inner(&[(2, Path)])),
    ("Operate", Inner(&[(1, Path), (4, Pair)])),
    ("Notify", NOTHING),
    ("GetSupportedProtocol", NOTHING),
    ("Register", Inner(&[(2, LIST)])),
    ("Deregister", LIST),
];

/// The responses, from field 1 of `Response` on.
#[rustfmt::skip]
const RESPONSES: [Kind; 11] = [
    ("GetResp", Inner(&[(1, Inner(&[(1, Object), (2, Code), (3, Text), (4, Inner(&[(1, Object), (2, Pair)]))]))])),
    ("GetSupportedDMResp", Inner(&[(1, Inner(&[(1, Object), (2, Code), (3, Text), (5, LIST)]))])),
    ("GetInstancesResp", Inner(&[(1, Inner(&[(1, Object), (2, Code), (3, Text), (4, LIST)]))])),
    ("SetResp", Inner(&[(1, Inner(&[(1, Path), (2, Inner(&[(1, SET_FAILURE), (2, Inner(&[(1, INSTANCE)]))]))]))])),
    ("AddResp", Inner(&[(1, Inner(&[(1, Path), (2, Inner(&[(1, FAILURE), (2, Inner(&[(1, Head), (2, PARAMETER)]))]))]))])),
    ("DeleteResp", Inner(&[(1, Inner(&[(1, Path), (2, Inner(&[(1, FAILURE), (2, Inner(&[(1, Path), (2, PARAMETER)]))]))]))])),
    ("OperateResp", Inner(&[(1, Inner(&[(1, Path), (2, Path), (3, ARGUMENTS), (4, FAILURE)]))])),
    ("NotifyResp", LIST),
    ("GetSupportedProtocolResp", NOTHING),
    ("RegisterResp", REGISTERED),
    ("DeregisterResp", REGISTERED),
];

/// The fields of `Notify`.
const SUBSCRIPTION: u32 = 1;
const FIRST_NOTIFICATION: u32 = 3;
#[rustfmt::skip]
const NOTIFICATIONS: [Kind; 6] = [
    ("Event", Inner(&[(1, Before), (2, After), (3, Pair)])),
    ("ValueChange", Pair),
    ("ObjectCreation", Inner(&[(1, Path), (2, Pair)])),
    ("ObjectDeletion", LIST),
    ("OperationComplete", Inner(&[(1, Before), (2, After), (4, ARGUMENTS), (5, FAILURE)])),
    ("OnBoardRequest", Inner(&[(3, Named("SerialNumber"))])),
];

impl<'a> Shown<'a> {
    /// Of an encoded message; None for one that has no header, or holds none of the kinds there are.
    pub fn of(message: &'a [u8]) -> Option<Self> {
        let msg_id = text(bytes(message, HEADER)?, 1);
        let (number, body) = first(bytes(message, BODY)?)?;
        let kinds = match number {
            REQUEST => &REQUESTS,
            RESPONSE => &RESPONSES,
            message::ERROR => {
                let (kind, part) = ERROR;
                return Some(Self { kind, notification: None, msg_id, part, content: body });
            }
            _ => return None,
        };
        let (field, content) = first(body)?;
        let &(kind, part) = kinds.get(usize::try_from(field.checked_sub(1)?).ok()?)?;
        let message = Self { kind, notification: None, msg_id, part, content };
        if (number, field) != (REQUEST, NOTIFY) {
            return Some(message);
        }
        let notification = Fields::of(content).flatten().find_map(|field| {
            let (number, Value::Bytes(content)) = field else { return None };
            let at = usize::try_from(number.checked_sub(FIRST_NOTIFICATION)?).ok()?;
            NOTIFICATIONS.get(at).map(|kind| (*kind, content))
        });
        let ((kind, part), content) = notification.unwrap_or((("nothing", NOTHING), content));
        Some(Self { notification: Some((kind, text(message.content, SUBSCRIPTION))), part, content, ..message })
    }

    /// Tells what it says, in the order of its fields.
    pub fn each(&self, tell: &mut dyn FnMut(Said<'a>)) {
        each(self.part, self.content, "", tell);
    }
}

fn each<'a>(part: Part, content: &'a [u8], object: &'a str, tell: &mut dyn FnMut(Said<'a>)) {
    let Inner(parts) = part else {
        return tell(Said::Value(object, text(content, 1), text(content, 2)));
    };
    let part_of = |number: u32| parts.iter().find(|(field, _)| *field == number).map(|(_, part)| *part);
    // Whatever the order of the fields: what they belong to is known first.
    let text_of = |wanted: &[Part]| {
        let found = parts.iter().find(|(_, part)| wanted.contains(part));
        found.map_or("", |(number, _)| text(content, *number))
    };
    let object =
        if parts.iter().any(|(_, part)| matches!(part, Object | Head)) { text_of(&[Object, Head]) } else { object };
    for (number, value) in Fields::of(content).flatten() {
        match (part_of(number), value) {
            (Some(Path | Head), Value::Bytes(path)) => tell(Said::Path("", utf8(path))),
            (Some(After), Value::Bytes(path)) => tell(Said::Path(text_of(&[Before]), utf8(path))),
            (Some(Named(name)), Value::Bytes(value)) => tell(Said::Value("", name, utf8(value))),
            (Some(Code), Value::Fixed(code)) if code != 0 => {
                tell(Said::Failure(object, text_of(&[Leaf]), code, text_of(&[Text])));
            }
            (Some(part @ (Pair | Inner(_))), Value::Bytes(inner)) => each(part, inner, object, tell),
            _ => {}
        }
    }
}

/// The first field that holds bytes.
fn first(message: &[u8]) -> Option<(u32, &[u8])> {
    Fields::of(message).flatten().find_map(|(number, value)| match value {
        Value::Bytes(bytes) => Some((number, bytes)),
        _ => None,
    })
}

fn bytes(message: &[u8], wanted: u32) -> Option<&[u8]> {
    Fields::of(message).flatten().find_map(|(number, value)| match value {
        Value::Bytes(bytes) if number == wanted => Some(bytes),
        _ => None,
    })
}

fn text(message: &[u8], wanted: u32) -> &str {
    bytes(message, wanted).map_or("", utf8)
}

fn utf8(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap_or("(not UTF-8)")
}

#[cfg(test)]
mod tests;
