//! Reason codes of brokers as sentences that say what to check.

use super::Version;
use super::packet::ConnAck;
use crate::mtp::Class;

/// The name of a reason code of MQTT 5.0.
pub(super) fn name(code: u8) -> &'static str {
    match code {
        0x00 => "success",
        0x04 => "disconnect with will message",
        0x10 => "no matching subscribers",
        0x80 => "unspecified error",
        0x81 => "malformed packet",
        0x82 => "protocol error",
        0x83 => "implementation specific error",
        0x84 => "unsupported protocol version",
        0x85 => "client identifier not valid",
        0x86 => "bad user name or password",
        0x87 => "not authorized",
        0x88 => "server unavailable",
        0x89 => "server busy",
        0x8a => "banned",
        0x8b => "server shutting down",
        0x8c => "bad authentication method",
        0x8d => "keep alive timeout",
        0x8e => "session taken over",
        0x8f => "topic filter invalid",
        0x90 => "topic name invalid",
        0x91 => "packet identifier in use",
        0x93 => "receive maximum exceeded",
        0x94 => "topic alias invalid",
        0x95 => "packet too large",
        0x96 => "message rate too high",
        0x97 => "quota exceeded",
        0x98 => "administrative action",
        0x99 => "payload format invalid",
        0x9a => "retain not supported",
        0x9b => "QoS not supported",
        0x9c => "use another server",
        0x9d => "server moved",
        0x9e => "shared subscriptions not supported",
        0x9f => "connection rate exceeded",
        0xa0 => "maximum connect time",
        0xa1 => "subscription identifiers not supported",
        0xa2 => "wildcard subscriptions not supported",
        _ => "unknown reason",
    }
}

/// `0x87 not authorized`, with the broker's own words where it gives some.
pub(super) fn with_words(code: u8, words: Option<&str>) -> String {
    let plain = format!("0x{code:02x} {}", name(code));
    match words.map(printable).filter(|words| !words.is_empty()) {
        Some(words) => format!("{plain} (\"{words}\")"),
        None => plain,
    }
}

/// Text of the other side, fit for a log line.
pub(super) fn printable(words: &str) -> String {
    words.chars().filter(|c| !c.is_control()).take(120).collect()
}

/// The class of a refusal; codes below 0x80 are those of 3.1.1.
pub(super) fn class_of(code: u8) -> Class {
    match code {
        1 | 0x84 => Class::Version,
        2 | 0x85 => Class::ClientId,
        4 | 0x86 | 0x8c => Class::Credentials,
        5 | 0x87 | 0x8a => Class::NotAuthorized,
        _ => Class::Refusal,
    }
}

/// Why CONNECT was refused.
pub(super) fn refused(version: Version, connack: &ConnAck) -> String {
    // Codes below 0x80 are those of 3.1.1, also when a broker of 3.1.1 answers a CONNECT of 5.0.
    let (reason, check) = match connack.code {
        1 => ("1 unacceptable protocol version".into(), hint(0x84, version)),
        2 => ("2 identifier rejected".into(), hint(0x85, version)),
        3 => ("3 server unavailable".into(), ""),
        4 => ("4 bad user name or password".into(), hint(0x86, version)),
        5 => ("5 not authorized".into(), hint(0x87, version)),
        code => (with_words(code, connack.reason.as_deref()), hint(code, version)),
    };
    let elsewhere = connack.server_reference.as_deref().map(|server| format!("; it names {}", printable(server)));
    format!("the broker refused the connection: {reason}{check}{}", elsewhere.unwrap_or_default())
}

/// Why the broker ended the connection.
pub(super) fn disconnected(code: u8, words: Option<&str>) -> String {
    format!("the broker ended the connection: {}{}", with_words(code, words), hint(code, Version::V5))
}

fn hint(code: u8, version: Version) -> &'static str {
    match (code, version) {
        (0x84, Version::V5) => ": it may only speak MQTT 3.1.1, check ProtocolVersion",
        (0x84, Version::V311) => ": it may only speak MQTT 5.0, check ProtocolVersion",
        (0x85, _) => ": check ClientID",
        (0x86, _) => ": check Username and Password",
        (0x87, _) => ": check Username, Password and the broker's access list",
        (0x8e, _) => ": another client uses the same ClientID",
        (0x95, _) => ": the broker limits the size of packets",
        _ => "",
    }
}
