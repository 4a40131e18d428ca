//! USP messages (TR-369, "Messages"): what came in, believed by its body, and what goes out with a
//! header that agrees with it.
//!
//! A message that cannot be processed yields a [`MessageFault`], which carries the msg_id where an
//! Error may go back (R-MTP.5). What a request means is for `agent`.

use bytes::Bytes;
use prost::Message;
use prost::encoding::{WireType, encode_key, encode_varint, encoded_len_varint, key_len};

use super::fault::{Code, Fault};
use super::fields::{Fields, Malformed, Value};
use super::wire::msg;
use super::wire::msg::body::MsgBody;
use super::wire::msg::header::MsgType;
use super::wire::msg::request::ReqType;
use super::wire::msg::response::RespType;

/// Paths, parameter settings and arguments that one request may hold in all. Checked before
/// decoding: a message of 1 MiB could otherwise ask for 30 times its size in memory.
pub const MAX_ENTRIES: usize = 4096;
/// Bytes of a msg_id at most.
pub const MAX_MSG_ID: usize = 256;

/// The versions this agent speaks, as GetSupportedProtocol and OnBoardRequest list them.
pub const SUPPORTED_VERSIONS: &str = "1.0,1.1,1.2,1.3,1.4";

/// A message that came in.
#[derive(Debug, Clone, PartialEq)]
pub enum Incoming {
    /// Wants to be answered.
    Request {
        /// To be repeated in the answer.
        msg_id: String,
        /// The request.
        request: ReqType,
    },
    /// Answers one of ours.
    Response {
        /// The request it answers.
        msg_id: String,
        /// The response.
        response: RespType,
    },
    /// Refuses one of ours.
    Error {
        /// The request it refuses.
        msg_id: String,
        /// The error.
        error: msg::Error,
    },
}

/// Why a message was not processed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageFault {
    /// Some where the message is a request and its id is known: an Error goes back (R-MTP.5).
    /// None: the message is ignored.
    pub msg_id: Option<String>,
    /// What goes into that Error, or into the log.
    pub fault: Fault,
}

/// Decodes a message that an Agent received. The body decides what it is; the header's msg_type
/// only informs (R-MSG.10).
///
/// # Errors
/// 7001 for a request of a kind that is not known, and for a response that answers nothing an Agent
/// asks; 7004 for a message that breaks the schema (R-ENC.2, R-ENC.3, R-MSG.6 to R-MSG.8), 7005 for
/// more than [`MAX_ENTRIES`].
pub fn decode(bytes: Bytes) -> Result<Incoming, MessageFault> {
    decode_within(&bytes, MAX_ENTRIES, |outline| outline.incoming(&bytes))
}

/// As [`decode`], for the Controllers of tests and demonstrations: any response, of any size.
pub fn decode_at_controller(bytes: Bytes) -> Result<Incoming, MessageFault> {
    decode_within(&bytes, usize::MAX, |_| msg::Msg::decode(bytes.clone()).ok().and_then(incoming))
}

fn decode_within(
    bytes: &Bytes,
    max_entries: usize,
    incoming: impl FnOnce(&Outline<'_>) -> Option<Incoming>,
) -> Result<Incoming, MessageFault> {
    let outline = Outline::of(bytes).map_err(|Malformed| MessageFault {
        msg_id: None,
        fault: Fault::new(Code::MessageFailed, "message is not protobuf"),
    })?;
    let refuse = |fault: Fault| MessageFault { msg_id: outline.return_id(), fault };
    outline.check(max_entries).map_err(refuse)?;
    incoming(&outline).ok_or_else(|| refuse(invalid("message does not follow the schema")))
}

/// The msg_id of a message that is a request, whatever state the rest of it is in.
pub fn request_id(message: &[u8]) -> Option<String> {
    Outline::of(message).ok()?.return_id()
}

fn incoming(message: msg::Msg) -> Option<Incoming> {
    let msg_id = message.header?.msg_id;
    Some(match message.body?.msg_body? {
        MsgBody::Request(request) => Incoming::Request { msg_id, request: request.req_type? },
        MsgBody::Response(response) => Incoming::Response { msg_id, response: response.resp_type? },
        MsgBody::Error(error) => Incoming::Error { msg_id, error },
    })
}

fn invalid(text: &'static str) -> Fault {
    Fault::new(Code::InvalidArguments, text)
}

/// The two upper levels of a message, counted.
#[derive(Debug, Default)]
struct Outline<'a> {
    headers: usize,
    header: &'a [u8],
    msg_id: &'a [u8],
    msg_type: u64,
    bodies: usize,
    /// The body does not follow the schema.
    broken: bool,
    kinds: usize,
    request: Option<&'a [u8]>,
    /// The last of the kinds, and what is in it.
    kind: (u32, &'a [u8]),
    contents: usize,
    entries: usize,
    for_controllers: bool,
}

/// The fields of `Msg`.
pub(super) const HEADER: u32 = 1;
pub(super) const BODY: u32 = 2;
/// Bytes that keys and lengths of four levels take at most.
const FRAMES: usize = 24;
/// The fields of `Body`.
pub(super) const REQUEST: u32 = 1;
pub(super) const RESPONSE: u32 = 2;
pub(super) const ERROR: u32 = 3;
/// The last field of both `Request` and `Response`.
const LAST_KIND: u32 = 11;
/// Set and Add, whose objects hold the settings.
const NESTED_REQUESTS: [u32; 2] = [4, 5];
/// What answers an Agent that registers with nobody. The others are not decoded: they go deeper than the entries are
/// counted, and a decoder of them would be of no other use.
const NOTIFY_RESP: u32 = 8;
/// The field of `Request` that holds a Notify.
pub(super) const NOTIFY: u32 = 8;

impl<'a> Outline<'a> {
    fn of(message: &'a [u8]) -> Result<Self, Malformed> {
        let mut outline = Self::default();
        for field in Fields::of(message) {
            match field? {
                (HEADER, Value::Bytes(header)) => outline.header(header)?,
                (BODY, Value::Bytes(body)) => outline.body(body),
                _ => {}
            }
        }
        Ok(outline)
    }

    fn header(&mut self, header: &'a [u8]) -> Result<(), Malformed> {
        self.headers += 1;
        self.header = header;
        for field in Fields::of(header) {
            match field? {
                (1, Value::Bytes(msg_id)) => self.msg_id = msg_id,
                (2, Value::Varint(msg_type)) => self.msg_type = msg_type,
                _ => {}
            }
        }
        Ok(())
    }

    /// A body too broken to look into still leaves what was seen of it, so that its request can
    /// be refused by id.
    fn body(&mut self, body: &'a [u8]) {
        self.bodies += 1;
        for field in Fields::of(body) {
            let Ok((number, value)) = field else {
                self.broken = true;
                break;
            };
            let (REQUEST..=ERROR, Value::Bytes(content)) = (number, value) else {
                self.broken |= (REQUEST..=ERROR).contains(&number);
                continue;
            };
            self.kinds += 1;
            self.kind = (number, content);
            match number {
                REQUEST => {
                    self.request = Some(content);
                    self.contents(content, &NESTED_REQUESTS, |_| true);
                }
                RESPONSE => self.contents(content, &[], |number| number == NOTIFY_RESP),
                _ => {
                    self.contents += 1;
                    self.entries += entries(content, false);
                }
            }
        }
    }

    /// The request or response inside; `bounded` are those whose entries an Agent may decode.
    fn contents(&mut self, kind: &[u8], nested: &[u32], bounded: impl Fn(u32) -> bool) {
        for (number, value) in Fields::of(kind).flatten() {
            let (1..=LAST_KIND, Value::Bytes(content)) = (number, value) else { continue };
            self.contents += 1;
            self.for_controllers |= !bounded(number);
            self.entries += entries(content, nested.contains(&number));
        }
    }

    /// Decodes what was checked before, an Agent's part of it; None where it does not follow the schema.
    fn incoming(&self, message: &Bytes) -> Option<Incoming> {
        let msg_id = msg::Header::decode(self.header).ok()?.msg_id;
        let (kind, content) = self.kind;
        let content = message.slice_ref(content);
        if self.broken {
            return None;
        }
        Some(match kind {
            REQUEST => Incoming::Request { msg_id, request: msg::Request::decode(content).ok()?.req_type? },
            RESPONSE => {
                let mut answers = Fields::of(&content).map(|field| match field {
                    Ok((NOTIFY_RESP, Value::Bytes(answer))) => msg::NotifyResp::decode(answer).ok(),
                    _ => None,
                });
                Incoming::Response { msg_id, response: RespType::NotifyResp(answers.next()??) }
            }
            _ => Incoming::Error { msg_id, error: msg::Error::decode(content).ok()? },
        })
    }

    fn is_request(&self) -> bool {
        self.request.is_some() || (self.kinds == 0 && request_type(self.msg_type))
    }

    fn return_id(&self) -> Option<String> {
        let msg_id = std::str::from_utf8(self.msg_id).ok()?;
        let usable = self.is_request() && (1..=MAX_MSG_ID).contains(&msg_id.len());
        usable.then(|| msg_id.to_owned())
    }

    fn check(&self, max_entries: usize) -> Result<(), Fault> {
        if self.headers != 1 || self.bodies != 1 {
            return Err(invalid("message must hold one header and one body"));
        }
        if self.msg_id.is_empty() || self.msg_id.len() > MAX_MSG_ID {
            return Err(invalid("msg_id is missing or too long"));
        }
        if i32::try_from(self.msg_type).ok().and_then(|number| MsgType::try_from(number).ok()).is_none() {
            return Err(self.unknown_or("msg_type is not known"));
        }
        if self.kinds != 1 || self.contents != 1 {
            return Err(self.unknown_or("body must hold one request, response or error"));
        }
        if self.entries > max_entries {
            return Err(Fault::new(Code::ResourcesExceeded, "message holds too many paths or parameters"));
        }
        if self.for_controllers && max_entries < usize::MAX {
            return Err(Fault::new(Code::MessageNotSupported, "response to what an Agent does not ask"));
        }
        Ok(())
    }

    /// A request with contents, none of which is known, is one of a later version: 7001.
    fn unknown_or(&self, text: &'static str) -> Fault {
        if self.contents == 0 && self.request.is_some_and(|request| !request.is_empty()) {
            Fault::new(Code::MessageNotSupported, "request is not supported")
        } else {
            invalid(text)
        }
    }
}

/// Fields of a request or response; where `nested`, those of its objects as well.
fn entries(content: &[u8], nested: bool) -> usize {
    let fields = Fields::of(content).flatten();
    fields
        .map(|(_, value)| match value {
            Value::Bytes(object) if nested => 1 + Fields::of(object).count(),
            _ => 1,
        })
        .sum()
}

fn request_type(msg_type: u64) -> bool {
    let known = i32::try_from(msg_type).ok().and_then(|number| MsgType::try_from(number).ok());
    matches!(
        known,
        Some(
            MsgType::Get
                | MsgType::GetSupportedDm
                | MsgType::GetInstances
                | MsgType::Set
                | MsgType::Add
                | MsgType::Delete
                | MsgType::Operate
                | MsgType::Notify
                | MsgType::GetSupportedProto
                | MsgType::Register
                | MsgType::Deregister
        )
    )
}

/// An encoded request, of the Controllers of tests and demonstrations.
pub fn request(msg_id: &str, request: ReqType) -> Bytes {
    let msg_type = type_of_request(&request);
    encode(msg_id, msg_type, &[BODY, REQUEST], &msg::Request { req_type: Some(request) })
}

/// An encoded Notify, the one request of an Agent.
pub fn notify(msg_id: &str, notify: &msg::Notify) -> Bytes {
    encode(msg_id, MsgType::Notify, &[BODY, REQUEST, NOTIFY], notify)
}

/// An encoded response to the request `msg_id` (R-MSG.9).
pub fn response(msg_id: &str, response: RespType) -> Bytes {
    let msg_type = type_of_response(&response);
    encode(msg_id, msg_type, &[BODY, RESPONSE], &msg::Response { resp_type: Some(response) })
}

/// An encoded Error in answer to the request `msg_id`, with the parameters at fault, if any.
pub fn error(msg_id: &str, fault: &Fault, param_errs: Vec<msg::error::ParamError>) -> Bytes {
    let error = msg::Error { param_errs, ..fault.into() };
    encode(msg_id, MsgType::Error, &[BODY, ERROR], &error)
}

/// `path`: the fields of the message that lead to the content. `msg::Msg` would bring the encoder of every message.
fn encode<M: Message>(msg_id: &str, msg_type: MsgType, path: &[u32], content: &M) -> Bytes {
    let header = msg::Header { msg_id: msg_id.to_owned(), msg_type: msg_type.into() };
    let mut message = Vec::with_capacity(header.encoded_len() + content.encoded_len() + FRAMES);
    encode_at(&[HEADER], &header, &mut message);
    encode_at(path, content, &mut message);
    message.into()
}

fn encode_at<M: Message>(path: &[u32], content: &M, into: &mut Vec<u8>) {
    let length = content.encoded_len() as u64;
    for (depth, field) in path.iter().enumerate() {
        let frame = |inner, field: &u32| inner + (key_len(*field) + encoded_len_varint(inner)) as u64;
        encode_key(*field, WireType::LengthDelimited, into);
        encode_varint(path.iter().skip(depth + 1).rev().fold(length, frame), into);
    }
    content.encode_raw(into);
}

/// The msg_type that goes with a request; its `as_str_name()` is fit for the log.
pub fn type_of_request(request: &ReqType) -> MsgType {
    match request {
        ReqType::Get(_) => MsgType::Get,
        ReqType::GetSupportedDm(_) => MsgType::GetSupportedDm,
        ReqType::GetInstances(_) => MsgType::GetInstances,
        ReqType::Set(_) => MsgType::Set,
        ReqType::Add(_) => MsgType::Add,
        ReqType::Delete(_) => MsgType::Delete,
        ReqType::Operate(_) => MsgType::Operate,
        ReqType::Notify(_) => MsgType::Notify,
        ReqType::GetSupportedProtocol(_) => MsgType::GetSupportedProto,
        ReqType::Register(_) => MsgType::Register,
        ReqType::Deregister(_) => MsgType::Deregister,
    }
}

/// The msg_type that goes with a response.
pub fn type_of_response(response: &RespType) -> MsgType {
    match response {
        RespType::GetResp(_) => MsgType::GetResp,
        RespType::GetSupportedDmResp(_) => MsgType::GetSupportedDmResp,
        RespType::GetInstancesResp(_) => MsgType::GetInstancesResp,
        RespType::SetResp(_) => MsgType::SetResp,
        RespType::AddResp(_) => MsgType::AddResp,
        RespType::DeleteResp(_) => MsgType::DeleteResp,
        RespType::OperateResp(_) => MsgType::OperateResp,
        RespType::NotifyResp(_) => MsgType::NotifyResp,
        RespType::GetSupportedProtocolResp(_) => MsgType::GetSupportedProtoResp,
        RespType::RegisterResp(_) => MsgType::RegisterResp,
        RespType::DeregisterResp(_) => MsgType::DeregisterResp,
    }
}

impl From<&Fault> for msg::Error {
    fn from(fault: &Fault) -> Self {
        Self { err_code: fault.code as u32, err_msg: fault.text.clone().into_owned(), param_errs: Vec::new() }
    }
}

/// One parameter (or object) at fault, by its full path.
pub fn param_error(param_path: impl Into<String>, fault: &Fault) -> msg::error::ParamError {
    msg::error::ParamError {
        param_path: param_path.into(),
        err_code: fault.code as u32,
        err_msg: fault.text.clone().into_owned(),
    }
}

/// The highest version that both this agent and a list such as `1.0,1.3` name, as (major, minor).
pub fn common_version(theirs: &str) -> Option<(u16, u16)> {
    let ours = versions(SUPPORTED_VERSIONS);
    ours.filter(|ours| versions(theirs).any(|version| version == *ours)).max()
}

fn versions(list: &str) -> impl Iterator<Item = (u16, u16)> + '_ {
    list.split(',').filter_map(|version| parse_version(version.trim()))
}

/// `major.minor`, digits only.
pub fn parse_version(text: &str) -> Option<(u16, u16)> {
    let (major, minor) = text.split_once('.')?;
    let number = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit()).then(|| part.parse().ok()).flatten();
    Some((number(major)?, number(minor)?))
}

#[cfg(test)]
mod tests;
