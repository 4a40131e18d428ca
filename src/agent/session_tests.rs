use super::super::settings::tests::package;
use super::*;
use crate::usp::wire::msg::{Get, request::ReqType};
use crate::usp::wire::record::record::RecordType;
use crate::usp::wire::record::{NoSessionContextRecord, Record, SessionContextRecord};
use prost::Message as _;

fn settings() -> Settings {
    Settings::from_package(&package(
        "controller acs EndpointID=proto::acs; controller off EndpointID=proto::off Enable=0",
    ))
}

fn get() -> Bytes {
    message::request("id-1", ReqType::Get(Get { param_paths: vec!["Device.".into()], max_depth: 0 }))
}

fn record(from: &str, to: &str, payload: Bytes) -> Record {
    Record {
        version: "1.3".into(),
        from_id: from.into(),
        to_id: to.into(),
        record_type: Some(RecordType::NoSessionContext(NoSessionContextRecord { payload })),
        ..Record::default()
    }
}

/// The verdict in one word.
fn verdict(record: &Record, protocol: Protocol, certificate_ids: &[&str]) -> String {
    let own = EndpointId::lenient("os::agent").unwrap();
    let ids = certificate_ids.iter().map(|&id| id.into()).collect();
    let peer = PeerFacts { encrypted: true, endpoint_ids: ids, ..PeerFacts::default() };
    let door = Door { protocol, peer: &peer, own: &own };
    match judge(record.encode_to_vec().into(), &door, &settings()) {
        Verdict::Message(..) => "message".into(),
        Verdict::Connect(_) => "connect".into(),
        Verdict::Disconnect(_) => "disconnect".into(),
        Verdict::Refuse(_, id, fault) => format!("refuse {id} {}", fault.code as u32),
        Verdict::Farewell(_, code) => format!("farewell {}", code as u32),
        Verdict::Drop(dropped) => format!("drop {dropped:?}"),
    }
}

fn plain(record: &Record) -> String {
    verdict(record, Protocol::WebSocket, &[])
}

#[test]
fn a_message_of_a_known_controller_is_processed() {
    assert_eq!(plain(&record("proto::acs", "os::agent", get())), "message");
}

#[test]
fn what_is_not_for_us_or_from_us_is_dropped() {
    assert_eq!(
        plain(&record("proto::acs", "os::other", get())),
        "drop ForAnother { to: \"os::other\", own: \"os::agent\" }"
    );
    assert_eq!(plain(&record("os::agent", "os::agent", get())), "drop FromUs");
}

#[test]
fn strangers_and_the_disabled_are_dropped() {
    assert!(plain(&record("proto::who", "os::agent", get())).starts_with("drop UnknownController"));
    assert!(plain(&record("proto::off", "os::agent", get())).starts_with("drop Disabled"));
}

#[test]
fn the_certificate_must_name_the_sender_unless_it_is_a_brokers() {
    let record = record("proto::acs", "os::agent", get());
    assert_eq!(verdict(&record, Protocol::WebSocket, &["proto::acs"]), "message");
    assert!(verdict(&record, Protocol::WebSocket, &["proto::mallory"]).starts_with("drop WrongCertificate"));
    assert_eq!(verdict(&record, Protocol::Mqtt { level: 5 }, &["proto::broker"]), "message");
}

#[test]
fn a_process_on_a_unix_socket_speaks_for_the_id_of_its_handshake_only() {
    let record = record("proto::acs", "os::agent", get());
    let ids = |peer: PeerFacts| peer.endpoint_ids.iter().map(ToString::to_string).collect::<Vec<_>>();
    for (handshake, expected) in [("proto::acs", "message"), ("proto::mallory", "drop WrongCertificate")] {
        let ids = ids(PeerFacts::of_local_process(handshake));
        let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
        assert!(verdict(&record, Protocol::UnixSocket, &ids).starts_with(expected));
    }
}

#[test]
fn a_session_context_is_refused_with_7106() {
    let mut record = record("proto::acs", "os::agent", get());
    record.record_type = Some(RecordType::SessionContext(SessionContextRecord { session_id: 2, ..Default::default() }));
    assert_eq!(plain(&record), "farewell 7106");
}

#[test]
fn an_error_goes_back_only_to_a_request_that_can_be_named() {
    let mut broken = get().to_vec();
    broken.truncate(broken.len() - 1);
    assert!(plain(&record("proto::acs", "os::agent", broken.into())).starts_with("drop Broken"));
    let empty = message::request("id-2", ReqType::Get(Get::default()));
    assert_eq!(plain(&record("proto::acs", "os::agent", empty)), "message");
    let mut secured = record("proto::acs", "os::agent", get());
    secured.payload_security = 1;
    assert_eq!(plain(&secured), "refuse id-1 7102");
    secured.payload_security = 77;
    assert_eq!(plain(&secured), "refuse id-1 7104");
    secured.from_id = "proto::who".into();
    assert!(plain(&secured).starts_with("drop UnknownController"));
}

#[test]
fn a_connect_record_of_another_transport_is_dropped() {
    let own = EndpointId::lenient("os::agent").unwrap();
    let acs = EndpointId::lenient("proto::acs").unwrap();
    let greeting = Record::decode(record::mqtt_connect(&acs, &own, 5, "t")).unwrap();
    assert_eq!(verdict(&greeting, Protocol::Mqtt { level: 5 }, &[]), "connect");
    assert!(verdict(&greeting, Protocol::Mqtt { level: 4 }, &[]).starts_with("drop Broken"));
}

#[test]
fn rubbish_never_panics() {
    let own = EndpointId::lenient("os::agent").unwrap();
    let peer = PeerFacts::default();
    let door = Door { protocol: Protocol::WebSocket, peer: &peer, own: &own };
    let whole = record("proto::acs", "os::agent", get()).encode_to_vec();
    for cut in 0..whole.len() {
        for flip in [0x01, 0x80, 0xff] {
            let mut bytes = whole.clone();
            bytes[cut] ^= flip;
            judge(bytes.clone().into(), &door, &settings());
            bytes.truncate(cut);
            judge(bytes.into(), &door, &settings());
        }
    }
}

#[test]
fn a_flood_of_broken_records_gets_a_few_lines_a_second() {
    let mut budget = LogBudget::default();
    let lines = |budget: &mut LogBudget, from: u64| (from..from + 500).filter(|ms| budget.allows(*ms)).count();
    assert_eq!(lines(&mut budget, 0), 10);
    assert_eq!(lines(&mut budget, 500), 0);
    assert_eq!(lines(&mut budget, 1000), 10);
}
