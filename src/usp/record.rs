//! USP records (TR-369, "USP Record Encapsulation"): the envelope of every message.
//!
//! Decoding checks what the standard requires of a record and says what an unfit one deserves.
//! Messages travel in records without a session context; a record with one is handed over as such,
//! for the agent to refuse (R-E2E.6a). Signatures are reported, not verified.

use bytes::Bytes;
use prost::Message as _;

use super::endpoint_id::EndpointId;
use super::fault::{Code, Fault};
use super::fields::{Fields, Malformed, Value};
use super::message;
use super::wire::record as wire;
use super::wire::record::mqtt_connect_record::MqttVersion;
use super::wire::record::record::{PayloadSecurity, RecordType};
use super::wire::record::stomp_connect_record::StompVersion;

/// The version this agent puts into its records.
pub const VERSION: &str = "1.4";

/// The field numbers of `record_type`, and of the one that can hold any number of payloads.
const RECORD_TYPES: std::ops::RangeInclusive<u32> = 7..=13;
const SESSION_CONTEXT: u32 = 8;

/// Fields of a session context record at most, each a piece of its payload. Empty ones would take
/// 16 times their size in memory.
pub const MAX_PIECES: usize = 256;

/// A record that came in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Incoming {
    /// Major and minor version of the sender; one higher than ours is no fault.
    pub version: (u16, u16),
    /// Whom it is for.
    pub to: EndpointId,
    /// Who says to have sent it.
    pub from: EndpointId,
    /// It carries a mac_signature, which has not been verified.
    pub signed: bool,
    /// What it carries.
    pub content: Content,
}

/// What a record carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// An encoded message, never empty.
    Message(Bytes),
    /// A record of a session context, with or without a message.
    SessionContext {
        /// The session context.
        session_id: u64,
    },
    /// The sender is there.
    Connect(Connect),
    /// The sender takes its leave, or refuses to go on as before.
    Disconnect {
        /// A record error code, 0 where none is given.
        code: u32,
        /// For people.
        reason: String,
    },
}

/// The transport that a connect record speaks of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Connect {
    /// WebSocket.
    WebSocket,
    /// MQTT.
    Mqtt {
        /// Protocol level on the wire: 4 for MQTT 3.1.1, 5 for MQTT 5.0.
        level: u8,
        /// Where the sender can be reached.
        topic: String,
    },
    /// STOMP 1.2.
    Stomp {
        /// Where the sender can be reached.
        destination: String,
    },
    /// Unix domain socket.
    UnixSocket,
}

/// Why a record was not processed, and whether its sender is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordFault {
    /// What was wrong.
    pub flaw: Flaw,
    /// Some where R-MTP.5 asks for an Error Message. Only where `to` is our own id may it be sent.
    pub reply: Option<Reply>,
}

/// Whom to send the Error Message, and in answer to what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The record's receiver, who answers.
    pub to: EndpointId,
    /// The record's sender.
    pub from: EndpointId,
    /// The request it carries.
    pub msg_id: String,
}

/// What is wrong with a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flaw {
    /// No protobuf record: a WebSocket closes with 1003, a Unix socket answers with an error frame,
    /// MQTT and STOMP drop it.
    NotParsed,
    /// Not exactly one record_type, or one that is not known: dropped (R-ENC.4).
    RecordType,
    /// A required field is missing (R-MTP.4b).
    Missing(&'static str),
    /// A field holds what it cannot hold.
    Invalid(&'static str),
    /// The payload is secured, which this agent does not do.
    SecuredPayload,
}

/// Decodes and checks a record.
pub fn decode(bytes: Bytes) -> Result<Incoming, RecordFault> {
    let types = record_types(&bytes)?;
    let record = wire::Record::decode(bytes).map_err(|_| RecordFault::silent(Flaw::NotParsed))?;
    check(&record, types).map_err(|flaw| RecordFault { flaw, reply: reply(&record) })
}

fn record_types(record: &[u8]) -> Result<usize, RecordFault> {
    let mut count = 0;
    for field in Fields::of(record) {
        let (number, value) = field.map_err(|Malformed| RecordFault::silent(Flaw::NotParsed))?;
        count += usize::from(RECORD_TYPES.contains(&number));
        if matches!(value, Value::Bytes(session) if number == SESSION_CONTEXT && pieces(session) > MAX_PIECES) {
            return Err(RecordFault::silent(Flaw::Invalid("session_context.payload")));
        }
    }
    Ok(count)
}

fn pieces(session_context: &[u8]) -> usize {
    Fields::of(session_context).count()
}

fn check(record: &wire::Record, types: usize) -> Result<Incoming, Flaw> {
    let Some(record_type) = record.record_type.as_ref().filter(|_| types == 1) else {
        return Err(Flaw::RecordType);
    };
    let to = endpoint_id(&record.to_id, "to_id")?;
    let from = endpoint_id(&record.from_id, "from_id")?;
    let version = required(&record.version, "version")?;
    let version = message::parse_version(version).ok_or(Flaw::Invalid("version"))?;
    let signed = !record.mac_signature.is_empty();
    let security = PayloadSecurity::try_from(record.payload_security);
    let security = security.map_err(|_| Flaw::Invalid("payload_security"))?;
    let content = content(record_type, security)?;
    Ok(Incoming { version, to, from, signed, content })
}

fn content(record_type: &RecordType, security: PayloadSecurity) -> Result<Content, Flaw> {
    Ok(match record_type {
        RecordType::NoSessionContext(record) if record.payload.is_empty() => return Err(Flaw::Missing("payload")),
        RecordType::NoSessionContext(_) if security != PayloadSecurity::Plaintext => {
            return Err(Flaw::SecuredPayload);
        }
        RecordType::NoSessionContext(record) => Content::Message(record.payload.clone()),
        RecordType::SessionContext(record) => Content::SessionContext { session_id: record.session_id },
        RecordType::WebsocketConnect(_) => Content::Connect(Connect::WebSocket),
        RecordType::MqttConnect(record) => mqtt(record)?,
        RecordType::StompConnect(record) => stomp(record)?,
        RecordType::UdsConnect(_) => Content::Connect(Connect::UnixSocket),
        RecordType::Disconnect(record) => {
            Content::Disconnect { code: record.reason_code, reason: record.reason.clone() }
        }
    })
}

fn mqtt(record: &wire::MqttConnectRecord) -> Result<Content, Flaw> {
    let level = match MqttVersion::try_from(record.version) {
        Ok(MqttVersion::V311) => 4,
        Ok(MqttVersion::V5) => 5,
        Err(_) => return Err(Flaw::Invalid("mqtt_connect.version")),
    };
    let topic = required(&record.subscribed_topic, "subscribed_topic")?.to_owned();
    Ok(Content::Connect(Connect::Mqtt { level, topic }))
}

fn stomp(record: &wire::StompConnectRecord) -> Result<Content, Flaw> {
    StompVersion::try_from(record.version).map_err(|_| Flaw::Invalid("stomp_connect.version"))?;
    let destination = required(&record.subscribed_destination, "subscribed_destination")?.to_owned();
    Ok(Content::Connect(Connect::Stomp { destination }))
}

fn required<'a>(value: &'a str, field: &'static str) -> Result<&'a str, Flaw> {
    if value.is_empty() { Err(Flaw::Missing(field)) } else { Ok(value) }
}

fn endpoint_id(value: &str, field: &'static str) -> Result<EndpointId, Flaw> {
    EndpointId::lenient(required(value, field)?).map_err(|_| Flaw::Invalid(field))
}

/// R-MTP.5: both ids valid, a request inside, and its msg_id to be had.
fn reply(record: &wire::Record) -> Option<Reply> {
    let Some(RecordType::NoSessionContext(inner)) = &record.record_type else { return None };
    let to = EndpointId::lenient(&record.to_id).ok()?;
    let from = EndpointId::lenient(&record.from_id).ok()?;
    Some(Reply { to, from, msg_id: message::request_id(&inner.payload)? })
}

impl RecordFault {
    fn silent(flaw: Flaw) -> Self {
        Self { flaw, reply: None }
    }

    /// The code and text for the Error Message, the frame or the log.
    pub fn fault(&self) -> Fault {
        match self.flaw {
            Flaw::NotParsed => Fault::new(Code::RecordNotParsed, "record could not be parsed"),
            Flaw::RecordType => Fault::new(Code::InvalidRecordValue, "record must hold one known record_type"),
            Flaw::Missing(field) => Fault::new(Code::InvalidRecordValue, format!("record field {field} is missing")),
            Flaw::Invalid(field) => Fault::new(Code::InvalidRecordValue, format!("record field {field} is invalid")),
            Flaw::SecuredPayload => Fault::new(Code::SecureSessionNotSupported, "payload security is not supported"),
        }
    }
}

/// A record that carries a message outside of a session context.
pub fn no_session_context(from: &EndpointId, to: &EndpointId, payload: Bytes) -> Bytes {
    encode(from, to, RecordType::NoSessionContext(wire::NoSessionContextRecord { payload }))
}

/// "Here I am" on a WebSocket.
pub fn websocket_connect(from: &EndpointId, to: &EndpointId) -> Bytes {
    encode(from, to, RecordType::WebsocketConnect(wire::WebSocketConnectRecord {}))
}

/// "Here I am" over MQTT of `level` 4 or 5, to be reached at `topic`.
pub fn mqtt_connect(from: &EndpointId, to: &EndpointId, level: u8, topic: &str) -> Bytes {
    let version = if level == 4 { MqttVersion::V311 } else { MqttVersion::V5 };
    let record = wire::MqttConnectRecord { version: version.into(), subscribed_topic: topic.to_owned() };
    encode(from, to, RecordType::MqttConnect(record))
}

/// "Here I am" over STOMP 1.2, to be reached at `destination`.
pub fn stomp_connect(from: &EndpointId, to: &EndpointId, destination: &str) -> Bytes {
    let version = StompVersion::V12.into();
    let record = wire::StompConnectRecord { version, subscribed_destination: destination.to_owned() };
    encode(from, to, RecordType::StompConnect(record))
}

/// "Here I am" on a Unix domain socket.
pub fn uds_connect(from: &EndpointId, to: &EndpointId) -> Bytes {
    encode(from, to, RecordType::UdsConnect(wire::UdsConnectRecord {}))
}

/// Takes leave; `code` is one of the record errors (R-MTP.9).
pub fn disconnect(from: &EndpointId, to: &EndpointId, reason: &str, code: Code) -> Bytes {
    let record = wire::DisconnectRecord { reason: reason.to_owned(), reason_code: code as u32 };
    encode(from, to, RecordType::Disconnect(record))
}

fn encode(from: &EndpointId, to: &EndpointId, record_type: RecordType) -> Bytes {
    let record = wire::Record {
        version: VERSION.to_owned(),
        to_id: to.as_str().to_owned(),
        from_id: from.as_str().to_owned(),
        record_type: Some(record_type),
        ..wire::Record::default()
    };
    record.encode_to_vec().into()
}

#[cfg(test)]
mod tests;
