use super::super::wire::msg;
use super::super::wire::msg::request::ReqType;
use super::*;

fn agent() -> EndpointId {
    EndpointId::parse("os::00256D-1").unwrap()
}

fn controller() -> EndpointId {
    EndpointId::parse("self::controller").unwrap()
}

fn get() -> Bytes {
    message::request("7", ReqType::Get(msg::Get::default()))
}

/// A good record from the controller to the agent, for a test to spoil.
fn record() -> wire::Record {
    wire::Record::decode(no_session_context(&controller(), &agent(), get())).unwrap()
}

fn spoiled(spoil: impl FnOnce(&mut wire::Record)) -> RecordFault {
    let mut record = record();
    spoil(&mut record);
    decode(record.encode_to_vec().into()).unwrap_err()
}

fn with_type(record_type: RecordType) -> Result<Content, Flaw> {
    let record = wire::Record { record_type: Some(record_type), ..record() };
    decode(record.encode_to_vec().into()).map(|incoming| incoming.content).map_err(|fault| fault.flaw)
}

#[test]
fn every_record_we_send_is_one_we_understand() {
    let (from, to) = (controller(), agent());
    let mqtt = |level| Connect::Mqtt { level, topic: "usp/agent".into() };
    for (bytes, content) in [
        (no_session_context(&from, &to, get()), Content::Message(get())),
        (websocket_connect(&from, &to), Content::Connect(Connect::WebSocket)),
        (mqtt_connect(&from, &to, 4, "usp/agent"), Content::Connect(mqtt(4))),
        (mqtt_connect(&from, &to, 5, "usp/agent"), Content::Connect(mqtt(5))),
        (stomp_connect(&from, &to, "q"), Content::Connect(Connect::Stomp { destination: "q".into() })),
        (uds_connect(&from, &to), Content::Connect(Connect::UnixSocket)),
        (
            disconnect(&from, &to, "no session context", Code::SessionContextNotAllowed),
            Content::Disconnect { code: 7106, reason: "no session context".into() },
        ),
    ] {
        let incoming = Incoming { version: (1, 4), to: to.clone(), from: from.clone(), signed: false, content };
        assert_eq!(decode(bytes), Ok(incoming));
    }
}

/// The payload is a part of what the transport handed over, not a copy.
#[test]
fn payloads_are_not_copied() {
    let bytes = no_session_context(&controller(), &agent(), get());
    let range = bytes.as_ptr_range();
    let Ok(Incoming { content: Content::Message(payload), .. }) = decode(bytes.clone()) else { panic!("no message") };
    assert!(range.contains(&payload.as_ptr()));
}

#[test]
fn session_contexts_are_told_apart() {
    let session = wire::SessionContextRecord { session_id: 9, sequence_id: 1, ..Default::default() };
    assert_eq!(with_type(RecordType::SessionContext(session)), Ok(Content::SessionContext { session_id: 9 }));
}

#[test]
fn session_contexts_in_too_many_pieces() {
    let pieces = |count| {
        with_type(RecordType::SessionContext(wire::SessionContextRecord {
            payload: vec![Bytes::new(); count],
            ..Default::default()
        }))
    };
    assert_eq!(pieces(MAX_PIECES), Ok(Content::SessionContext { session_id: 0 }));
    assert_eq!(pieces(MAX_PIECES + 1), Err(Flaw::Invalid("session_context.payload")));
}

#[test]
fn what_is_no_record() {
    for bytes in [&b"\xff"[..], b"hello", &[0x0a, 0x05, b'1'], &[0x1a, 1, 0xff, 0x4a, 0]] {
        let fault = decode(Bytes::copy_from_slice(bytes)).unwrap_err();
        assert_eq!(fault, RecordFault { flaw: Flaw::NotParsed, reply: None }, "{bytes:?}");
        assert_eq!(fault.fault().code, Code::RecordNotParsed);
    }
}

/// R-ENC.3, R-ENC.4: none, two, and one of a number to come.
#[test]
fn record_types_that_are_dropped() {
    assert_eq!(decode(Bytes::new()).unwrap_err().flaw, Flaw::RecordType);
    assert_eq!(spoiled(|record| record.record_type = None).flaw, Flaw::RecordType);
    let good = record().encode_to_vec();
    let second = [&good[..], &[0x4a, 0]].concat();
    assert_eq!(decode(second.into()).unwrap_err().flaw, Flaw::RecordType);
    let unknown = [&wire::Record { record_type: None, ..record() }.encode_to_vec()[..], &[0x7a, 0]].concat();
    assert_eq!(decode(unknown.into()).unwrap_err().flaw, Flaw::RecordType);
}

#[test]
fn unknown_fields_are_no_fault() {
    let extended = [&record().encode_to_vec()[..], &[0x7a, 1, b'x', 0x80, 0x01, 5]].concat();
    assert!(decode(extended.into()).is_ok());
}

/// R-MTP.4b and R-MTP.5: a fault in a record with a request is reported by its msg_id.
#[test]
fn invalid_values_are_reported_to_the_sender() {
    let reply = Some(Reply { to: agent(), from: controller(), msg_id: "7".into() });
    for (version, flaw) in [
        ("", Flaw::Missing("version")),
        ("1", Flaw::Invalid("version")),
        ("1.4.1", Flaw::Invalid("version")),
        ("one.four", Flaw::Invalid("version")),
    ] {
        let fault = spoiled(|record| record.version = version.into());
        assert_eq!(fault, RecordFault { flaw, reply: reply.clone() });
        assert_eq!(fault.fault().code, Code::InvalidRecordValue);
    }
    let fault = spoiled(|record| record.payload_security = 9);
    assert_eq!(fault, RecordFault { flaw: Flaw::Invalid("payload_security"), reply: reply.clone() });
    let fault = spoiled(|record| record.payload_security = PayloadSecurity::Tls12.into());
    assert_eq!(fault, RecordFault { flaw: Flaw::SecuredPayload, reply });
    assert_eq!(fault.fault().code, Code::SecureSessionNotSupported);
}

#[test]
fn faults_without_a_way_back_are_silent() {
    for (fault, flaw) in [
        (spoiled(|record| record.to_id.clear()), Flaw::Missing("to_id")),
        (spoiled(|record| record.from_id.clear()), Flaw::Missing("from_id")),
        (spoiled(|record| record.from_id = "a b".into()), Flaw::Invalid("from_id")),
        (
            spoiled(|record| {
                record.record_type = Some(RecordType::NoSessionContext(wire::NoSessionContextRecord::default()));
            }),
            Flaw::Missing("payload"),
        ),
    ] {
        assert_eq!(fault, RecordFault { flaw, reply: None });
    }
}

#[test]
fn connect_records_need_their_fields() {
    let mqtt = |version, topic: &str| {
        with_type(RecordType::MqttConnect(wire::MqttConnectRecord { version, subscribed_topic: topic.into() }))
    };
    assert_eq!(mqtt(1, ""), Err(Flaw::Missing("subscribed_topic")));
    assert_eq!(mqtt(2, "t"), Err(Flaw::Invalid("mqtt_connect.version")));
    let stomp = |version, subscribed_destination: &str| {
        let subscribed_destination = subscribed_destination.into();
        with_type(RecordType::StompConnect(wire::StompConnectRecord { version, subscribed_destination }))
    };
    assert_eq!(stomp(0, ""), Err(Flaw::Missing("subscribed_destination")));
    assert_eq!(stomp(1, "q"), Err(Flaw::Invalid("stomp_connect.version")));
}

#[test]
fn a_higher_version_is_no_fault() {
    let bytes = wire::Record { version: "2.17".into(), ..record() }.encode_to_vec();
    assert_eq!(decode(bytes.into()).map(|incoming| incoming.version), Ok((2, 17)));
}
