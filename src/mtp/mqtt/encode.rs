//! What we send, in both protocol versions, encoded by rumqttc.

use super::{Filter, MAX_INFLIGHT, MAX_PACKET, Settings, Version};
use bytes::{Bytes, BytesMut};
use rumqttc::mqttbytes::{self as level4, v4};
use rumqttc::v5::mqttbytes::{self as level5, v5};

/// PUBLISH from us.
#[derive(Debug, Clone)]
pub(super) struct Outgoing {
    pub(super) topic: Box<str>,
    pub(super) response_topic: Option<Box<str>>,
    pub(super) payload: Bytes,
    pub(super) qos: u8,
    pub(super) retain: bool,
}

/// The four packets of nothing but a packet identifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(clippy::enum_variant_names)] // As the standard names them.
pub(super) enum Ack {
    PubAck,
    PubRec,
    PubRel,
    PubComp,
}

/// CONNECT (R-MQTT.6 to 8, 12 to 14).
pub(super) fn connect(settings: &Settings, client_id: &str) -> Result<BytesMut, String> {
    let strings = [client_id, &settings.username, &settings.password, &settings.own_id];
    let will = settings.will.iter().flat_map(|will| [&*will.topic, &*will.payload]);
    if strings.into_iter().chain(will).any(|text| u16::try_from(text.len()).is_err()) {
        return Err("client id, user name, password and will may have 65535 bytes at most".into());
    }
    match settings.version {
        Version::V5 => connect5(settings, client_id),
        Version::V311 => connect4(settings, client_id),
    }
}

fn connect5(settings: &Settings, client_id: &str) -> Result<BytesMut, String> {
    let mut properties = v5::ConnectProperties::new();
    properties.session_expiry_interval = settings.session_expiry;
    properties.receive_maximum = Some(MAX_INFLIGHT);
    properties.max_packet_size = u32::try_from(MAX_PACKET).ok();
    properties.request_response_info = settings.request_response_info.then_some(1);
    properties.request_problem_info = (!settings.request_problem_info).then_some(0);
    // R-MQTT.13. Oktopus takes the first property, whatever its name.
    properties.user_properties = vec![("usp-endpoint-id".into(), settings.own_id.to_string())];
    let will = settings
        .will
        .as_ref()
        .map(|will| v5::LastWill::new(&*will.topic, will.payload.as_bytes(), qos5(will.qos), will.retain, None));
    let login = login(settings).map(|(username, password)| v5::Login::new(username, password));
    let connect = v5::Connect {
        keep_alive: settings.keep_alive,
        client_id: client_id.into(),
        clean_start: settings.clean_start,
        properties: Some(properties),
    };
    written(|bytes| connect.write(&will, &login, bytes))
}

fn connect4(settings: &Settings, client_id: &str) -> Result<BytesMut, String> {
    let mut connect = v4::Connect::new(client_id);
    connect.keep_alive = settings.keep_alive;
    // An empty identifier is only good for a clean session (3.1.3-8).
    connect.clean_session = settings.clean_start || client_id.is_empty();
    connect.last_will = settings
        .will
        .as_ref()
        .map(|will| v4::LastWill::new(&*will.topic, will.payload.as_bytes(), qos4(will.qos), will.retain));
    // 3.1.1 knows no password without a user name (3.1.2-22).
    connect.login = login(settings)
        .filter(|(username, _)| !username.is_empty())
        .map(|(username, password)| v4::Login::new(username, password));
    written(|bytes| connect.write(bytes))
}

fn login(settings: &Settings) -> Option<(&str, &str)> {
    let given = !settings.username.is_empty() || !settings.password.is_empty();
    given.then_some((&*settings.username, &*settings.password))
}

/// One SUBSCRIBE for all filters.
pub(super) fn subscribe(version: Version, id: u16, filters: &[Filter]) -> Result<BytesMut, String> {
    match version {
        Version::V5 => {
            let filters = filters.iter().map(|(filter, qos)| v5::Filter::new(&**filter, qos5(*qos)));
            let mut subscribe = v5::Subscribe::new_many(filters, None);
            subscribe.pkid = id;
            written(|bytes| subscribe.write(bytes))
        }
        Version::V311 => {
            let filters = filters.iter().map(|(filter, qos)| v4::SubscribeFilter::new(filter.to_string(), qos4(*qos)));
            let subscribe = v4::Subscribe { pkid: id, filters: filters.collect() };
            written(|bytes| subscribe.write(bytes))
        }
    }
}

/// One UNSUBSCRIBE for all filters.
pub(super) fn unsubscribe(version: Version, id: u16, filters: &[Box<str>]) -> Result<BytesMut, String> {
    let filters = filters.iter().map(|filter| filter.to_string()).collect();
    match version {
        Version::V5 => {
            let unsubscribe = v5::Unsubscribe { pkid: id, filters, properties: None };
            written(|bytes| unsubscribe.write(bytes))
        }
        Version::V311 => {
            let unsubscribe = v4::Unsubscribe { pkid: id, topics: filters };
            written(|bytes| unsubscribe.write(bytes))
        }
    }
}

/// PUBLISH with reply-to topic and content type (R-MQTT.22, 23, 27). `topic` is that of the wire.
pub(super) fn publish(version: Version, id: u16, dup: bool, outgoing: &Outgoing) -> Result<BytesMut, String> {
    let payload = outgoing.payload.clone();
    match version {
        Version::V5 => {
            let properties = v5::PublishProperties {
                response_topic: outgoing.response_topic.as_ref().map(|topic| topic.to_string()),
                content_type: Some("usp.msg".into()),
                ..v5::PublishProperties::default()
            };
            let mut publish = v5::Publish::new(&*outgoing.topic, qos5(outgoing.qos), payload, Some(properties));
            (publish.pkid, publish.dup, publish.retain) = (id, dup, outgoing.retain);
            written(|bytes| publish.write(bytes))
        }
        Version::V311 => {
            let mut publish = v4::Publish::from_bytes(&*outgoing.topic, qos4(outgoing.qos), payload);
            (publish.pkid, publish.dup, publish.retain) = (id, dup, outgoing.retain);
            written(|bytes| publish.write(bytes))
        }
    }
}

/// An acknowledgement: the same four bytes in both versions.
pub(super) fn ack(kind: Ack, id: u16) -> [u8; 4] {
    let first = match kind {
        Ack::PubAck => 0x40,
        Ack::PubRec => 0x50,
        Ack::PubRel => 0x62,
        Ack::PubComp => 0x70,
    };
    let [high, low] = id.to_be_bytes();
    [first, 2, high, low]
}

/// PINGREQ.
pub(super) const PINGREQ: [u8; 2] = [0xc0, 0];
/// DISCONNECT without a reason: a normal one.
pub(super) const DISCONNECT: [u8; 2] = [0xe0, 0];

/// What `write` writes. The packets themselves are written, not rumqttc's `Packet`, which brings all fifteen along.
fn written<E: std::fmt::Display>(write: impl FnOnce(&mut BytesMut) -> Result<usize, E>) -> Result<BytesMut, String> {
    let mut bytes = BytesMut::new();
    write(&mut bytes).map_err(|e| format!("a packet cannot be encoded: {e}"))?;
    Ok(bytes)
}

fn qos5(qos: u8) -> level5::QoS {
    level5::qos(qos.min(2)).unwrap_or_default()
}

fn qos4(qos: u8) -> level4::QoS {
    match qos {
        0 => level4::QoS::AtMostOnce,
        1 => level4::QoS::AtLeastOnce,
        _ => level4::QoS::ExactlyOnce,
    }
}
