//! What a broker sends, of both protocol versions as one vocabulary, decoded by rumqttc.

use super::{MAX_PACKET, Version};
use bytes::{Bytes, BytesMut};
use rumqttc::mqttbytes::{self as level4, v4};
use rumqttc::v5::mqttbytes::v5;

/// The first byte of a PUBLISH, without its flags.
const PUBLISH: u8 = 0x30;
/// `subscribe-topic` properties taken from one CONNACK.
const MAX_SUBSCRIBE_TOPICS: usize = 32;

/// What a broker sends.
#[derive(Debug)]
pub(super) enum Received {
    ConnAck(Box<ConnAck>),
    Publish(Incoming),
    /// A PUBLISH beyond [`MAX_PACKET`], which is not kept.
    TooLarge {
        id: u16,
        qos: u8,
        size: usize,
    },
    PubAck {
        id: u16,
        code: u8,
    },
    PubRec {
        id: u16,
        code: u8,
    },
    PubRel {
        id: u16,
    },
    PubComp {
        id: u16,
    },
    SubAck {
        id: u16,
        codes: Vec<u8>,
    },
    UnsubAck,
    PingResp,
    Disconnect {
        code: u8,
        reason: Option<String>,
    },
}

/// CONNACK.
#[derive(Debug, Default)]
pub(super) struct ConnAck {
    pub(super) session_present: bool,
    pub(super) code: u8,
    pub(super) reason: Option<String>,
    pub(super) server_reference: Option<String>,
    pub(super) response_information: Option<String>,
    pub(super) subscribe_topics: Vec<String>,
    pub(super) assigned_client_id: Option<String>,
    pub(super) server_keep_alive: Option<u16>,
    pub(super) max_qos: Option<u8>,
    pub(super) receive_max: Option<u16>,
    pub(super) max_packet: Option<u32>,
    pub(super) retain_available: Option<u8>,
}

/// PUBLISH towards us.
#[derive(Debug)]
pub(super) struct Incoming {
    pub(super) id: u16,
    pub(super) qos: u8,
    pub(super) topic: String,
    pub(super) payload: Bytes,
    pub(super) response_topic: Option<String>,
    pub(super) content_type: Option<String>,
}

/// Header length and whole length of the packet at the start of the buffer; None: more bytes are needed.
///
/// # Errors
/// A length that is malformed or beyond [`MAX_PACKET`]. A PUBLISH of 3.1.1 may be longer: a client cannot tell such a
/// broker what it takes, and a retained one would end every session.
pub(super) fn frame(version: Version, buffer: &[u8]) -> Result<Option<(usize, usize)>, String> {
    let first = buffer.first().copied().unwrap_or(PUBLISH);
    if !starts_a_packet(first) {
        return Err(malformed("this is not MQTT"));
    }
    match measure(buffer)? {
        Some((_, whole)) if whole > MAX_PACKET && (version == Version::V5 || first & 0xf0 != PUBLISH) => {
            Err(format!("the broker sent a packet of {whole} bytes, the limit is {MAX_PACKET}"))
        }
        measured => Ok(measured),
    }
}

/// What stands at the start of a PUBLISH that is too large; None: more bytes are needed.
pub(super) fn too_large(buffer: &[u8], header: usize, size: usize) -> Option<Received> {
    let qos = buffer.first()? >> 1 & 0b11;
    let number = |at: usize| Some(u16::from_be_bytes([*buffer.get(at)?, *buffer.get(at + 1)?]));
    let id = if qos == 0 { 0 } else { number(header + 2 + usize::from(number(header)?))? };
    Some(Received::TooLarge { id, qos, size })
}

/// The types a broker sends, with the flags they must have.
fn starts_a_packet(first: u8) -> bool {
    match first >> 4 {
        3 => first & 0b110 != 0b110,
        6 => first & 0xf == 2,
        2 | 4 | 5 | 7 | 9 | 11 | 13 | 14 => first & 0xf == 0,
        _ => false,
    }
}

/// A first byte and a variable length, then that many bytes.
fn measure(buffer: &[u8]) -> Result<Option<(usize, usize)>, String> {
    let mut length = 0usize;
    for at in 0..4 {
        let Some(&byte) = buffer.get(at + 1) else { return Ok(None) };
        length |= usize::from(byte & 0x7f) << (7 * at);
        if byte & 0x80 == 0 {
            return Ok(Some((at + 2, at + 2 + length)));
        }
    }
    Err(malformed("its length"))
}

/// Decodes one whole packet whose header has `header` bytes. Codes are taken as they stand, also those
/// rumqttc does not know; it decodes what has properties.
pub(super) fn decode(version: Version, packet: BytesMut, header: usize) -> Result<Received, String> {
    let kind = packet.first().copied().unwrap_or_default() >> 4;
    let byte = |at: usize| packet.get(header + at).copied().unwrap_or_default();
    let (first, second, code) = (byte(0), byte(1), byte(2));
    let id = u16::from_be_bytes([first, second]);
    match kind {
        2 => connack(version, packet, header, second),
        3 => publish_of(version, packet, header).map(Received::Publish),
        4..=7 | 9 | 11 if packet.len() < header + 2 => Err(malformed("its packet identifier is missing")),
        4 => Ok(Received::PubAck { id, code }),
        5 => Ok(Received::PubRec { id, code }),
        6 => Ok(Received::PubRel { id }),
        7 => Ok(Received::PubComp { id }),
        9 => Ok(Received::SubAck { id, codes: suback_codes(version, packet.get(header..).unwrap_or_default())? }),
        11 => Ok(Received::UnsubAck),
        13 => Ok(Received::PingResp),
        // A broker of 3.1.1 sends none.
        14 => Ok(Received::Disconnect { code: first, reason: disconnect_reason(version, packet, header) }),
        kind => Err(malformed(format!("type {kind}"))),
    }
}

fn malformed(what: impl std::fmt::Display) -> String {
    format!("the broker sent a malformed packet: {what}")
}

/// The header of a whole packet, as rumqttc has it. Packets are read by their own types: its `Packet` brings the
/// readers of all fifteen along, 20 KB of what only brokers receive.
fn header5(packet: &[u8], header: usize) -> v5::FixedHeader {
    let first = packet.first().copied().unwrap_or_default();
    v5::FixedHeader::new(first, header.saturating_sub(1), packet.len().saturating_sub(header))
}

/// The same in 3.1.1.
fn header4(packet: &[u8], header: usize) -> level4::FixedHeader {
    let first = packet.first().copied().unwrap_or_default();
    level4::FixedHeader::new(first, header.saturating_sub(1), packet.len().saturating_sub(header))
}

fn connack(version: Version, packet: BytesMut, header: usize, code: u8) -> Result<Received, String> {
    let connack = match version {
        Version::V5 => {
            v5::ConnAck::read(header5(&packet, header), packet.freeze()).map(connack5).map_err(|e| e.to_string())
        }
        Version::V311 => v4::ConnAck::read(header4(&packet, header), packet.freeze())
            .map(|connack| ConnAck { session_present: connack.session_present, ..ConnAck::default() })
            .map_err(|e| e.to_string()),
    };
    match connack {
        Ok(connack) => Ok(Received::ConnAck(Box::new(ConnAck { code, ..connack }))),
        // A refusal in the form of the other version, or with a code rumqttc does not know.
        Err(_) if code != 0 => Ok(Received::ConnAck(Box::new(ConnAck { code, ..ConnAck::default() }))),
        Err(error) => Err(malformed(error)),
    }
}

fn suback_codes(version: Version, body: &[u8]) -> Result<Vec<u8>, String> {
    let codes = match version {
        Version::V311 => body.get(2..),
        Version::V5 => {
            // The property length is coded like the packet's own: one byte stands before it.
            let rest = body.get(1..).unwrap_or_default();
            measure(rest)?.and_then(|(_, properties_end)| rest.get(properties_end..))
        }
    };
    codes.map(<[u8]>::to_vec).ok_or_else(|| malformed("SUBACK"))
}

fn disconnect_reason(version: Version, packet: BytesMut, header: usize) -> Option<String> {
    if version == Version::V311 {
        return None;
    }
    let disconnect = v5::Disconnect::read(header5(&packet, header), packet.freeze()).ok()?;
    disconnect.properties?.reason_string
}

fn connack5(connack: v5::ConnAck) -> ConnAck {
    let mut taken = ConnAck { session_present: connack.session_present, ..ConnAck::default() };
    let Some(properties) = connack.properties else { return taken };
    (taken.reason, taken.server_reference) = (properties.reason_string, properties.server_reference);
    let topics = properties.user_properties.into_iter().filter(|(name, _)| name == "subscribe-topic");
    taken.subscribe_topics = topics.map(|(_, topic)| topic).take(MAX_SUBSCRIBE_TOPICS).collect();
    taken.response_information = properties.response_information.filter(|topic| !topic.is_empty());
    taken.assigned_client_id = properties.assigned_client_identifier;
    taken.server_keep_alive = properties.server_keep_alive;
    taken.max_qos = properties.max_qos;
    taken.receive_max = properties.receive_max;
    taken.max_packet = properties.max_packet_size;
    taken.retain_available = properties.retain_available;
    taken
}

fn publish_of(version: Version, packet: BytesMut, header: usize) -> Result<Incoming, String> {
    match version {
        Version::V5 => publish5(v5::Publish::read(header5(&packet, header), packet.freeze()).map_err(malformed)?),
        Version::V311 => Ok(publish4(v4::Publish::read(header4(&packet, header), packet.freeze()).map_err(malformed)?)),
    }
}

fn publish5(publish: v5::Publish) -> Result<Incoming, String> {
    let properties = publish.properties.unwrap_or_default();
    Ok(Incoming {
        id: publish.pkid,
        qos: publish.qos as u8,
        topic: String::from_utf8(publish.topic.to_vec()).map_err(malformed)?,
        payload: publish.payload,
        response_topic: properties.response_topic,
        content_type: properties.content_type,
    })
}

fn publish4(publish: v4::Publish) -> Incoming {
    Incoming {
        id: publish.pkid,
        qos: publish.qos as u8,
        topic: publish.topic,
        payload: publish.payload,
        response_topic: None,
        content_type: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Packets a broker sends, of both versions.
    const SAMPLES: &[(Version, &[u8])] = &[
        (Version::V5, b"\x20\x1a\x00\x00\x17\x26\x00\x0fsubscribe-topic\x00\x01a\x24\x01"),
        (Version::V5, b"\x20\x08\x00\x87\x05\x1f\x00\x02no"),
        (Version::V5, b"\x32\x12\x00\x03a/b\x00\x05\x06\x08\x00\x03c/d\x0aabc"),
        (Version::V5, b"\x90\x05\x00\x01\x00\x01\x87"),
        (Version::V5, b"\x40\x04\x00\x01\x87\x00"),
        (Version::V5, b"\xe0\x07\x8e\x05\x1f\x00\x02no"),
        (Version::V5, b"\xe0\x00"),
        (Version::V311, b"\x20\x02\x01\x00"),
        (Version::V311, b"\x20\x02\x00\x05"),
        (Version::V311, b"\x32\x0a\x00\x03a/b\x00\x05abc"),
        (Version::V311, b"\x90\x04\x00\x01\x01\x80"),
        (Version::V311, b"\xb0\x02\x00\x01"),
        (Version::V311, b"\xd0\x00"),
    ];

    fn read(version: Version, bytes: &[u8]) -> Result<Option<Received>, String> {
        let Some((header, whole)) = frame(version, bytes)? else { return Ok(None) };
        match bytes.get(..whole) {
            Some(packet) => decode(version, packet.into(), header).map(Some),
            None => Ok(None),
        }
    }

    #[test]
    fn a_refusal_is_read_in_any_form() {
        let refusal = |version, bytes| match read(version, bytes) {
            Ok(Some(Received::ConnAck(connack))) => (connack.code, connack.reason),
            other => panic!("{other:?}"),
        };
        assert_eq!(refusal(Version::V5, SAMPLES[1].1), (0x87, Some("no".into())));
        assert_eq!(refusal(Version::V5, b"\x20\x02\x00\x01"), (1, None), "a broker of 3.1.1");
        assert_eq!(refusal(Version::V5, b"\x20\x03\x00\xf0\x00"), (0xf0, None), "a code of the future");
        assert_eq!(refusal(Version::V311, SAMPLES[8].1), (5, None));
    }

    #[test]
    fn every_sample_is_read() {
        for (version, bytes) in SAMPLES {
            assert!(matches!(read(*version, bytes), Ok(Some(_))), "{bytes:x?}");
        }
        let Ok(Some(Received::ConnAck(connack))) = read(Version::V5, SAMPLES[0].1) else { panic!() };
        assert_eq!((connack.subscribe_topics, connack.max_qos), (vec!["a".to_owned()], Some(1)));
        let Ok(Some(Received::SubAck { id, codes })) = read(Version::V5, SAMPLES[3].1) else { panic!() };
        assert_eq!((id, codes), (1, vec![1, 0x87]));
        let Ok(Some(Received::Publish(publish))) = read(Version::V5, SAMPLES[2].1) else { panic!() };
        assert_eq!((publish.id, publish.qos, &publish.payload[..]), (5, 1, &b"\x0aabc"[..]));
        assert_eq!(publish.response_topic.as_deref(), Some("c/d"));
        let Ok(Some(Received::Disconnect { code, reason })) = read(Version::V5, SAMPLES[5].1) else { panic!() };
        assert_eq!((code, reason.as_deref()), (0x8e, Some("no")));
    }

    #[test]
    fn a_packet_beyond_the_limit_is_refused_by_its_length_alone() {
        assert!(frame(Version::V5, b"\x30\xff\xff\xff\x7f").is_err());
        assert!(frame(Version::V311, b"\x20\xff\xff\xff\x7f").is_err());
        assert!(frame(Version::V5, b"\x30\xff\xff\xff\xff").is_err());
        assert_eq!(frame(Version::V5, b"\x30\xff"), Ok(None));
        assert_eq!(frame(Version::V5, b"\x30\x80\x01"), Ok(Some((3, 131))));
    }

    /// rumqttc's decoder must not panic: the agent would end.
    #[test]
    fn mangled_packets_are_errors_never_panics() {
        for (_, sample) in SAMPLES {
            for version in [Version::V5, Version::V311] {
                for at in 0..sample.len() {
                    for value in 0..=255 {
                        let mut mangled = sample.to_vec();
                        mangled[at] = value;
                        let _ = read(version, &mangled);
                        mangled.truncate(at);
                        let _ = read(version, &mangled);
                    }
                }
            }
        }
    }

    #[test]
    fn random_bodies_are_errors_never_panics() {
        let mut state = 0x2545_f491_u32;
        let mut random = || {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            state.to_be_bytes()[0]
        };
        for _ in 0..200_000 {
            let length = random() % 40;
            let mut packet = vec![random(), length];
            // Small values meet more property and length fields than even ones would.
            packet.extend((0..length).map(|_| if random() % 3 == 0 { random() } else { random() % 48 }));
            for version in [Version::V5, Version::V311] {
                let _ = read(version, &packet);
            }
        }
    }
}
