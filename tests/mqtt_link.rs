//! The MQTT link against a scripted broker: the bytes it sends, and brokers that misbehave.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "support/link.rs"]
mod link;
#[path = "support/mqtt_broker.rs"]
mod mqtt_broker;

use link::Link;
use mqtt_broker::{Broker, Connection, Packet, Property, id};
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::time::{Instant, timeout};
use usp_agent::mtp::backoff::Policy;
use usp_agent::mtp::mqtt::{MAX_INFLIGHT, MAX_PACKET, Settings, Version, Will, start};
use usp_agent::mtp::{Channel, Destination, Limits, LinkCommand, LinkEvent, MAX_RECORD, Peer};

const OWN_ID: &str = "os::00D09E-test";
const AGENT_TOPIC: &str = "usp/agent/test";

fn settings(port: u16) -> Settings {
    Settings {
        host: "127.0.0.1".into(),
        port,
        tls: None,
        version: Version::V5,
        client_id: "".into(),
        own_id: OWN_ID.into(),
        username: "".into(),
        password: "".into(),
        keep_alive: 60,
        clean_start: true,
        session_expiry: None,
        resubscribe: None,
        request_response_info: true,
        request_problem_info: true,
        will: None,
        filters: Vec::new(),
        response_topic: Some(AGENT_TOPIC.into()),
        publish_qos: 1,
        retry: Policy { minimum: Duration::from_millis(20), ..Policy::default() },
        message_retry: Duration::from_secs(5),
        ack_timeout: Duration::from_millis(300),
        limits: Limits {
            handshake: Duration::from_millis(600),
            stall: Duration::from_millis(400),
            goodbye: Duration::from_millis(500),
        },
    }
}

fn v311(port: u16) -> Settings {
    Settings { version: Version::V311, ..settings(port) }
}

fn run(settings: Settings) -> Link {
    Link::spawn(32, |id, events| start(settings, id, events))
}

fn topic(topic: &str) -> Destination {
    Destination::Topic { topic: topic.into(), retain: false }
}

fn text(id: u8, text: &str) -> Property {
    Property::Text(id, text.into())
}

fn subscribe_topic(topic: &str) -> Property {
    Property::Pair("subscribe-topic".into(), topic.into())
}

/// A link subscribed at a broker that names these properties in CONNACK.
async fn subscribed(settings: impl FnOnce(u16) -> Settings, connack: &[Property]) -> (Link, Connection, Channel, Peer) {
    let broker = Broker::new().await;
    let mut link = run(settings(broker.port));
    let (connection, _, _) = broker.subscribed(connack).await;
    let (channel, peer) = link.connected().await;
    (link, connection, channel, peer)
}

#[tokio::test]
async fn connect_names_the_agent_and_asks_for_response_information() {
    let broker = Broker::new().await;
    let will = Will { topic: "will/topic".into(), payload: "gone".into(), qos: 1, retain: true };
    let _link = run(Settings {
        client_id: "my-client".into(),
        username: "user".into(),
        password: "secret".into(),
        keep_alive: 3,
        clean_start: false,
        session_expiry: Some(600),
        will: Some(will),
        ..settings(broker.port)
    });
    let connect = broker.accept().await.connect().await;
    assert_eq!((connect.level, connect.flags, connect.keep_alive), (5, 0b1110_1100, 3));
    assert_eq!(connect.client_id, "my-client");
    assert_eq!((connect.username.as_deref(), connect.password.as_deref()), (Some("user"), Some("secret")));
    assert_eq!(connect.will, Some(("will/topic".into(), "gone".into())));
    let expected = [
        Property::Four(id::SESSION_EXPIRY, 600),
        Property::Two(id::RECEIVE_MAX, MAX_INFLIGHT),
        Property::Four(id::MAX_PACKET, u32::try_from(MAX_PACKET).unwrap()),
        Property::Byte(id::REQUEST_RESPONSE_INFO, 1),
        Property::Pair("usp-endpoint-id".into(), OWN_ID.into()),
    ];
    assert_eq!(connect.properties, expected);
}

#[tokio::test]
async fn a_keep_alive_of_zero_is_sent_as_it_is() {
    let broker = Broker::new().await;
    let _link = run(Settings { keep_alive: 0, ..settings(broker.port) });
    assert_eq!(broker.accept().await.connect().await.keep_alive, 0);
}

#[tokio::test]
async fn with_3_1_1_the_endpoint_id_is_the_client_id_and_no_password_goes_alone() {
    let broker = Broker::new().await;
    let _link = run(Settings { password: "secret".into(), ..v311(broker.port) });
    let connect = broker.accept().await.connect().await;
    assert_eq!((connect.level, connect.flags, &*connect.client_id), (4, 2, OWN_ID));
    assert_eq!(connect.password, None);
}

#[tokio::test]
async fn an_assigned_client_id_is_told_and_used_again() {
    let broker = Broker::new().await;
    let mut link = run(settings(broker.port));
    let (connection, connect, _) = broker.subscribed(&[text(id::ASSIGNED_CLIENT_ID, "auto-7")]).await;
    assert_eq!(connect.client_id, "");
    assert_eq!(link.connected().await.1.assigned_client_id.as_deref(), Some("auto-7"));
    drop(connection);
    link.lost().await;
    assert_eq!(broker.accept().await.connect().await.client_id, "auto-7");
}

#[tokio::test]
async fn one_subscribe_carries_all_filters_the_agents_topic_first() {
    let broker = Broker::new().await;
    let filters = vec![("extra/+".into(), 0), ("more/#".into(), 2)];
    let mut link = run(Settings { filters, ..settings(broker.port) });
    let connack = [subscribe_topic("from/connack"), subscribe_topic("second"), text(id::RESPONSE_INFO, "reply/here")];
    let (_connection, _, subscribe) = broker.subscribed(&connack).await;
    let expected = [("from/connack", 1), ("second", 1), ("reply/here", 1), ("extra/+", 0), ("more/#", 2)];
    assert_eq!(subscribe.filters, expected.map(|(filter, qos)| (filter.to_owned(), qos)));
    let (channel, peer) = link.connected().await;
    assert_eq!((channel.session, peer.mqtt_level, peer.encrypted), (1, 5, false));
    assert_eq!(peer.response_topic.as_deref(), Some("reply/here"));
}

#[tokio::test]
async fn the_link_is_connected_only_after_suback() {
    let broker = Broker::new().await;
    let mut link = run(settings(broker.port));
    let mut connection = broker.accept().await;
    connection.connect().await;
    connection.connack(0, &[]).await;
    let subscribe = connection.subscribe().await;
    // A retained record overtakes the SUBACK.
    connection.send(0, 0, AGENT_TOPIC, &[], b"early").await;
    assert!(timeout(Duration::from_millis(100), link.events.recv()).await.is_err());
    connection.suback(subscribe.id, &[0]).await;
    link.connected().await;
    assert_eq!(&link.record().await.1[..], b"early");
}

#[tokio::test]
async fn records_are_published_with_response_topic_and_content_type() {
    let (link, mut connection, channel, _) = subscribed(settings, &[]).await;
    let to = Destination::Topic { topic: "usp/controller".into(), retain: true };
    link.send(channel, b"record", to);
    let publish = connection.publish().await;
    assert_eq!((publish.qos, publish.retain, publish.dup, &*publish.topic), (1, true, false, "usp/controller"));
    assert_eq!(publish.payload, b"record");
    assert_eq!(publish.properties, [text(id::RESPONSE_TOPIC, AGENT_TOPIC), text(id::CONTENT_TYPE, "usp.msg")]);
}

#[tokio::test]
async fn with_3_1_1_the_reply_to_topic_travels_in_the_topic() {
    let broker = Broker::new().await;
    let mut link = run(v311(broker.port));
    let (mut connection, _, subscribe) = broker.subscribed(&[]).await;
    assert_eq!(subscribe.filters, [("usp/agent/test/#".into(), 1)]);
    let (channel, peer) = link.connected().await;
    assert_eq!((peer.mqtt_level, peer.response_topic.as_deref()), (4, Some(AGENT_TOPIC)));

    link.send(channel, b"out", topic("usp/controller"));
    let publish = connection.publish().await;
    assert_eq!(publish.topic, "usp/controller/reply-to=usp%2Fagent%2Ftest");
    connection.ack(0x40, publish.id).await;

    connection.send(1, 9, "usp/agent/test/reply-to=usp%2Fcontroller%2F1", &[], b"in").await;
    let (_, bytes, reply_to) = link.record().await;
    assert_eq!((&bytes[..], reply_to.as_deref()), (&b"in"[..], Some("usp/controller/1")));
    assert_eq!(connection.read().await, Some(Packet { first: 0x40, body: vec![0, 9] }));
    connection.send(0, 0, AGENT_TOPIC, &[], b"no reply-to").await;
    assert_eq!(link.record().await.2, None);
}

#[tokio::test]
async fn records_come_in_at_every_qos_and_once() {
    let (mut link, mut connection, _, _) = subscribed(settings, &[]).await;
    let reply = [text(id::RESPONSE_TOPIC, "usp/controller/1")];
    connection.send(0, 0, AGENT_TOPIC, &reply, b"zero").await;
    let (_, bytes, reply_to) = link.record().await;
    assert_eq!((&bytes[..], reply_to.as_deref()), (&b"zero"[..], Some("usp/controller/1")));
    for _ in 0..2 {
        connection.send(2, 5, AGENT_TOPIC, &reply, b"two").await;
        assert_eq!(connection.read().await, Some(Packet { first: 0x50, body: vec![0, 5] }));
    }
    assert_eq!(&link.record().await.1[..], b"two");
    connection.ack(0x62, 5).await;
    assert_eq!(connection.read().await, Some(Packet { first: 0x70, body: vec![0, 5] }));
    // Both content types of the specification, and none at all, are records; usp.error is not.
    for kind in ["usp.msg", "application/vnd.bbf.usp.msg"] {
        connection.send(0, 0, AGENT_TOPIC, &[text(id::CONTENT_TYPE, kind)], kind.as_bytes()).await;
        assert_eq!(&link.record().await.1[..], kind.as_bytes());
    }
    connection.send(0, 0, AGENT_TOPIC, &[text(id::CONTENT_TYPE, "usp.error")], b"err_code:7000").await;
    assert!(link.remark().await.contains("usp.error"));
}

#[tokio::test]
async fn qos_2_is_sent_in_four_steps() {
    let two = |port| Settings { publish_qos: 2, ..settings(port) };
    let (link, mut connection, channel, _) = subscribed(two, &[]).await;
    link.send(channel, b"x", topic("t"));
    let publish = connection.publish().await;
    assert_eq!(publish.qos, 2);
    connection.ack(0x50, publish.id).await;
    let release = connection.read().await.unwrap();
    assert_eq!((release.first, release.body), (0x62, publish.id.to_be_bytes().to_vec()));
}

#[tokio::test]
async fn the_brokers_maximum_qos_retain_and_packet_size_are_kept() {
    let connack =
        [Property::Byte(id::MAX_QOS, 0), Property::Byte(id::RETAIN_AVAILABLE, 0), Property::Four(id::MAX_PACKET, 200)];
    let (mut link, mut connection, channel, _) = subscribed(settings, &connack).await;
    link.send(channel, &[0; 300], topic("t"));
    assert!(link.remark().await.contains("limit of 200"));
    link.send(channel, b"small", Destination::Topic { topic: "t".into(), retain: true });
    let publish = connection.publish().await;
    assert_eq!((publish.qos, publish.retain, &publish.payload[..]), (0, false, &b"small"[..]));
}

#[tokio::test]
async fn no_more_than_receive_maximum_publishes_are_under_way() {
    let (link, mut connection, channel, _) = subscribed(settings, &[Property::Two(id::RECEIVE_MAX, 2)]).await;
    (0..3).for_each(|_| link.send(channel, b"x", topic("t")));
    let first = connection.publish().await;
    connection.publish().await;
    assert!(timeout(Duration::from_millis(100), connection.publish()).await.is_err());
    connection.ack(0x40, first.id).await;
    connection.publish().await;
}

#[tokio::test]
async fn acknowledgements_that_never_come_do_not_stall_the_link() {
    let (mut link, mut connection, channel, _) = subscribed(settings, &[]).await;
    let sent = usize::from(MAX_INFLIGHT) + 5;
    (0..sent).for_each(|_| link.send(channel, b"x", topic("forbidden/topic")));
    let mut ids = Vec::new();
    for _ in 0..sent {
        ids.push(connection.publish().await.id);
    }
    assert!(link.remark().await.contains("forbidden/topic"));
    // One that comes too late does no harm.
    connection.ack(0x40, ids[0]).await;
    link.send(channel, b"still alive", topic("t"));
    assert_eq!(connection.publish().await.payload, b"still alive");
}

#[tokio::test]
async fn a_refused_publish_is_told_with_its_reason() {
    let (mut link, mut connection, channel, _) = subscribed(settings, &[]).await;
    link.send(channel, b"x", topic("no/entry"));
    let [high, low] = connection.publish().await.id.to_be_bytes();
    connection.packet(0x40, &[high, low, 0x87, 0]).await;
    let remark = link.remark().await;
    assert!(remark.contains("no/entry") && remark.contains("0x87 not authorized"), "{remark}");
    let traffic = &link.handle.traffic;
    let counts = [&traffic.published, &traffic.publish_errors, &traffic.subscribed, &traffic.unsubscribed];
    assert_eq!(counts.map(|count| count.load(Ordering::Relaxed)), [1, 1, 1, 0]);
    assert!(traffic.published_at.load(Ordering::Relaxed) > 1_700_000_000);
    assert_eq!(traffic.delivered.load(Ordering::Relaxed), 0);
    connection.send(0, 0, AGENT_TOPIC, &[], b"hello").await;
    link.record().await;
    assert_eq!(link.handle.traffic.delivered.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn an_unacknowledged_record_is_sent_again_in_a_resumed_session() {
    let broker = Broker::new().await;
    let patient = Settings { clean_start: false, ack_timeout: Duration::from_secs(20), ..settings(broker.port) };
    let mut link = run(patient);
    let (mut connection, _, _) = broker.subscribed(&[]).await;
    let (channel, _) = link.connected().await;
    link.send(channel, b"once more", topic("t"));
    let first = connection.publish().await;
    drop(connection);
    link.lost().await;
    let mut connection = broker.accept().await;
    connection.connect().await;
    connection.connack_with(true, 0, &[]).await;
    let subscribe = connection.subscribe().await;
    connection.suback(subscribe.id, &[1]).await;
    let again = connection.publish().await;
    assert_eq!((again.id, again.dup, &again.payload[..]), (first.id, true, &b"once more"[..]));
}

#[tokio::test]
async fn over_3_1_1_an_unacknowledged_record_is_sent_again_on_the_same_connection() {
    let broker = Broker::new().await;
    let retry = Duration::from_millis(100);
    for (version, repeats) in [(Version::V311, true), (Version::V5, false)] {
        let patience = Duration::from_secs(20);
        let link = Settings { version, message_retry: retry, ack_timeout: patience, ..settings(broker.port) };
        let mut link = run(link);
        let (mut connection, _, _) = broker.subscribed(&[]).await;
        let (channel, _) = link.connected().await;
        link.send(channel, b"once more", topic("t"));
        let first = connection.publish().await;
        let again = timeout(retry * 5, connection.publish()).await;
        assert_eq!(again.is_ok(), repeats, "{version:?}");
        if let Ok(again) = again {
            assert_eq!((again.id, again.dup, again.payload), (first.id, true, first.payload));
            connection.ack(0x40, first.id).await;
            timeout(retry * 5, connection.publish()).await.expect_err("sent again though acknowledged");
        }
        link.shut_down().await;
    }
}

#[tokio::test]
async fn in_a_new_session_nothing_is_sent_again() {
    let broker = Broker::new().await;
    let patient = Settings { clean_start: false, ack_timeout: Duration::from_secs(20), ..settings(broker.port) };
    let mut link = run(patient);
    let (mut connection, _, _) = broker.subscribed(&[]).await;
    let (channel, _) = link.connected().await;
    link.send(channel, b"of the old session", topic("t"));
    connection.publish().await;
    drop(connection);
    link.lost().await;
    let (mut connection, _, _) = broker.subscribed(&[]).await;
    let (channel, _) = link.connected().await;
    link.send(channel, b"of the new session", topic("t"));
    let publish = connection.publish().await;
    assert_eq!((publish.dup, &publish.payload[..]), (false, &b"of the new session"[..]));
}

#[tokio::test]
async fn refused_subscriptions_are_told_and_all_refused_ends_the_connection() {
    let broker = Broker::new().await;
    let mut link = run(Settings { filters: vec![("extra".into(), 0)], ..settings(broker.port) });
    let mut connection = broker.accept().await;
    connection.connect().await;
    connection.connack(0, &[]).await;
    let id = connection.subscribe().await.id;
    connection.suback(id, &[1, 0x87]).await;
    link.connected().await;
    let remark = link.remark().await;
    assert!(remark.contains("\"extra\" 0x87 not authorized"), "{remark}");
    drop(connection);
    link.lost().await;

    let mut connection = broker.accept().await;
    connection.connect().await;
    connection.connack(0, &[]).await;
    let id = connection.subscribe().await.id;
    connection.suback(id, &[0x87, 0x8f]).await;
    assert_eq!(connection.read().await, Some(Packet { first: 0xe0, body: vec![] }));
    let (channel, why, retry_in) = link.lost().await;
    assert_eq!(channel.session, 0);
    assert!(why.contains(AGENT_TOPIC) && why.contains("not authorized") && why.contains("filter invalid"), "{why}");
    assert!(retry_in.is_some());
}

#[tokio::test]
async fn with_nothing_to_subscribe_to_the_link_disconnects_until_filters_come() {
    let broker = Broker::new().await;
    let mut link = run(Settings { response_topic: None, ..settings(broker.port) });
    let mut connection = broker.accept().await;
    connection.connect().await;
    connection.connack(0, &[]).await;
    assert_eq!(connection.read().await, Some(Packet { first: 0xe0, body: vec![] }));
    drop(connection);
    let (_, why, retry_in) = link.lost().await;
    assert!(why.contains("no topic to subscribe to"), "{why}");
    assert_eq!(retry_in, None);
    link.command(LinkCommand::Filters(vec![("now/there/is/one".into(), 1)]));
    let (_connection, _, subscribe) = broker.subscribed(&[]).await;
    assert_eq!(subscribe.filters, [("now/there/is/one".into(), 1)]);
    link.connected().await;
}

#[tokio::test]
async fn changed_filters_are_subscribed_and_unsubscribed() {
    let start = |port| Settings { filters: vec![("a".into(), 1), ("b".into(), 1)], ..settings(port) };
    let (mut link, mut connection, _, _) = subscribed(start, &[]).await;
    link.command(LinkCommand::Filters(vec![("b".into(), 1), ("c".into(), 2)]));
    assert_eq!(connection.unsubscribe().await.1, ["a"]);
    let subscribe = connection.subscribe().await;
    assert_eq!(subscribe.filters, [("c".into(), 2)]);
    connection.suback(subscribe.id, &[0x87]).await;
    assert!(link.remark().await.contains("\"c\" 0x87"));
    // The refused one is asked for again, what is known is not.
    link.command(LinkCommand::Filters(vec![("b".into(), 1), ("c".into(), 2)]));
    assert_eq!(connection.subscribe().await.filters, [("c".into(), 2)]);
}

#[tokio::test]
async fn filters_that_change_while_connecting_are_taken_up() {
    let broker = Broker::new().await;
    let link = run(settings(broker.port));
    let mut connection = broker.accept().await;
    connection.connect().await;
    link.command(LinkCommand::Filters(vec![("late".into(), 1)]));
    tokio::time::sleep(Duration::from_millis(50)).await;
    connection.connack(0, &[]).await;
    let subscribe = connection.subscribe().await;
    connection.suback(subscribe.id, &[1]).await;
    assert_eq!(connection.subscribe().await.filters, [("late".into(), 1)]);
}

#[tokio::test]
async fn a_refused_connection_is_told_with_reason_and_words() {
    let broker = Broker::new().await;
    let mut link = run(settings(broker.port));
    let mut connection = broker.accept().await;
    connection.connect().await;
    connection.connack(0x86, &[text(id::REASON, "user unknown")]).await;
    let (_, why, _) = link.lost().await;
    let expected = "0x86 bad user name or password (\"user unknown\"): check Username and Password";
    assert!(why.contains(expected) && why.contains(&broker.port.to_string()), "{why}");
}

#[tokio::test]
async fn a_broker_of_the_other_version_is_recognised() {
    let broker = Broker::new().await;
    let mut link = run(settings(broker.port));
    let mut connection = broker.accept().await;
    connection.connect().await;
    connection.write(&[0x20, 2, 0, 1]).await;
    let (_, why, _) = link.lost().await;
    assert!(why.contains("MQTT 3.1.1") && why.contains("ProtocolVersion"), "{why}");
}

#[tokio::test]
async fn a_disconnect_of_the_broker_is_named() {
    let (mut link, mut connection, _, _) = subscribed(settings, &[]).await;
    connection.packet(0xe0, &[0x8e, 0]).await;
    let (_, why, _) = link.lost().await;
    assert!(why.contains("0x8e session taken over") && why.contains("ClientID"), "{why}");
    let (mut link, mut connection, _, _) = subscribed(settings, &[]).await;
    connection.packet(0xe0, &[]).await;
    assert!(link.lost().await.1.contains("ended the connection"));
}

#[tokio::test]
async fn pings_go_out_in_time_and_silence_loses_the_broker() {
    let (mut link, mut connection, _, _) = subscribed(settings, &[Property::Two(id::SERVER_KEEP_ALIVE, 1)]).await;
    let connected = Instant::now();
    assert_eq!(connection.read().await, Some(Packet { first: 0xc0, body: vec![] }));
    assert!(connected.elapsed() < Duration::from_secs(1));
    let (_, why, _) = link.lost().await;
    assert!(why.contains("ping"), "{why}");
}

#[tokio::test]
async fn an_answered_ping_keeps_the_link() {
    let (mut link, mut connection, _, _) = subscribed(settings, &[Property::Two(id::SERVER_KEEP_ALIVE, 1)]).await;
    let quiet = timeout(Duration::from_millis(1900), connection.quietly()).await;
    assert!(quiet.is_err(), "{quiet:?}");
    assert!(link.events.try_recv().is_err());
}

#[tokio::test]
async fn a_server_keep_alive_of_zero_turns_pings_off() {
    let quick = |port| Settings { keep_alive: 1, ..settings(port) };
    let (mut link, mut connection, _, _) = subscribed(quick, &[Property::Two(id::SERVER_KEEP_ALIVE, 0)]).await;
    assert!(timeout(Duration::from_millis(1300), connection.read()).await.is_err());
    assert!(link.events.try_recv().is_err());
}

#[tokio::test]
async fn a_silent_broker_is_given_up_at_every_step() {
    let broker = Broker::new().await;
    let mut link = run(settings(broker.port));
    let mut connection = broker.accept().await;
    connection.connect().await;
    assert!(link.lost().await.1.contains("CONNECT was not answered"));
    let mut connection = broker.accept().await;
    connection.connect().await;
    connection.connack(0, &[]).await;
    assert!(link.lost().await.1.contains("does not answer SUBSCRIBE"));
}

#[tokio::test]
async fn garbage_and_oversize_are_lost_not_suffered() {
    for (sent, told) in [
        (&b"HTTP/1.1 400 Bad Request\r\n\r\n"[..], "broker"),
        (b"\x30\xff\xff\xff\x7f", "limit"),
        (b"\x30\xff\xff\xff\xff", "malformed"),
        (b"\x30\x01\x00", "malformed"),
    ] {
        let (mut link, mut connection, _, _) = subscribed(settings, &[]).await;
        connection.write(sent).await;
        let (_, why, retry_in) = link.lost().await;
        assert!(why.contains(told), "{sent:?}: {why}");
        assert!(retry_in.is_some());
    }
    let broker = Broker::new().await;
    let mut link = run(settings(broker.port));
    broker.accept().await.write(b"220 mail.example ESMTP\r\n").await;
    link.lost().await;
}

#[tokio::test]
async fn a_broker_of_311_that_knows_no_limit_does_not_end_the_session_with_a_huge_packet() {
    let (mut link, mut connection, _, _) = subscribed(v311, &[]).await;
    let huge = vec![0x30; 3 * MAX_RECORD];
    for (qos, id) in [(0, 0), (1, 7)] {
        connection.send(qos, id, AGENT_TOPIC, &[], &huge).await;
        assert!(link.remark().await.contains("limit"));
    }
    assert_eq!(connection.read().await.unwrap().body[..2], [0, 7], "not acknowledged: it would come again");
    connection.send(0, 0, AGENT_TOPIC, &[], b"small").await;
    assert_eq!(&link.record().await.1[..], b"small");
}

#[tokio::test]
async fn the_largest_record_passes_and_a_larger_one_is_dropped() {
    let (mut link, mut connection, channel, _) = subscribed(settings, &[]).await;
    let record = vec![3u8; MAX_RECORD];
    link.send(channel, &record, topic("t"));
    assert_eq!(connection.publish().await.payload, record);
    connection.send(0, 0, AGENT_TOPIC, &[], &record).await;
    assert_eq!(link.record().await.1.len(), MAX_RECORD);
    connection.send(0, 0, AGENT_TOPIC, &[], &vec![3u8; MAX_RECORD + 1]).await;
    assert!(link.remark().await.contains("limit"));
}

#[tokio::test]
async fn a_broker_that_takes_no_data_is_cut() {
    let zero = |port| Settings { publish_qos: 0, ..settings(port) };
    let (mut link, _connection, channel, _) = subscribed(zero, &[]).await;
    for _ in 0..24 {
        link.send(channel, &vec![0; MAX_RECORD], topic("t"));
    }
    let mut dropped = 0;
    loop {
        match link.event().await {
            LinkEvent::Remark { what, .. } => dropped += usize::from(what.contains("not through yet")),
            LinkEvent::Lost { why, .. } => {
                break assert!(why.contains("took no data") && dropped > 5, "{why} {dropped}");
            }
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn a_busy_daemon_does_not_hold_up_acknowledgements_and_pings() {
    let broker = Broker::new().await;
    let link = Link::spawn(1, |id, events| start(settings(broker.port), id, events));
    let (mut connection, _, _) = broker.subscribed(&[Property::Two(id::SERVER_KEEP_ALIVE, 1)]).await;
    for id in 1..=100 {
        connection.send(1, id, AGENT_TOPIC, &[], b"x").await;
    }
    for id in 1..=100u16 {
        let ack = connection.read().await.unwrap();
        assert_eq!((ack.first, ack.body), (0x40, id.to_be_bytes().to_vec()));
    }
    assert_eq!(connection.read().await, Some(Packet { first: 0xc0, body: vec![] }));
    drop(link);
}

#[tokio::test]
async fn topics_nobody_can_publish_to_are_refused_with_a_remark() {
    let (mut link, _connection, channel, _) = subscribed(settings, &[]).await;
    for (to, told) in [(topic("a/#"), "a/#"), (topic(""), "no topic"), (Destination::Peer, "no topic is known")] {
        link.send(channel, b"x", to);
        let remark = link.remark().await;
        assert!(remark.contains(told), "{remark}");
    }
}

#[tokio::test]
async fn shutdown_says_disconnect() {
    let (link, mut connection, channel, _) = subscribed(settings, &[]).await;
    link.send(channel, b"last words", topic("t"));
    link.command(LinkCommand::Shutdown);
    assert_eq!(connection.publish().await.payload, b"last words");
    assert_eq!(connection.read().await, Some(Packet { first: 0xe0, body: vec![] }));
    assert_eq!(connection.read().await, None);
    drop(connection);
    timeout(Duration::from_secs(2), link.task).await.expect("the link does not end").unwrap();
}

#[tokio::test]
async fn the_daemon_can_close_a_connection_and_the_link_comes_back() {
    let broker = Broker::new().await;
    let mut link = run(settings(broker.port));
    let (mut connection, _, _) = broker.subscribed(&[]).await;
    let (channel, _) = link.connected().await;
    link.command(LinkCommand::Close { channel, code: 1000, reason: "new credentials".into() });
    assert_eq!(connection.read().await, Some(Packet { first: 0xe0, body: vec![] }));
    drop(connection);
    let (lost, why, _) = link.lost().await;
    assert!(lost == channel && why.contains("new credentials"), "{why}");
    broker.subscribed(&[]).await;
    assert_eq!(link.connected().await.0.session, 2);
}

#[tokio::test]
async fn filters_no_broker_takes_are_left_out_with_a_remark() {
    let broker = Broker::new().await;
    let mut link = run(Settings { filters: vec![("bad/#/filter".into(), 1)], ..settings(broker.port) });
    let (_connection, _, subscribe) = broker.subscribed(&[]).await;
    assert_eq!(subscribe.filters, [(AGENT_TOPIC.into(), 1)]);
    link.connected().await;
    assert!(link.remark().await.contains("bad/#/filter"));
}

#[tokio::test]
async fn retries_follow_the_policy_and_try_now() {
    let broker = Broker::new().await;
    let mut link = run(Settings { retry: Policy::default(), ..settings(broker.port) });
    for _ in 0..3 {
        drop(broker.accept().await);
        let (_, why, retry_in) = link.lost().await;
        assert!(why.contains("closed the connection") || why.contains("broke"), "{why}");
        // Always the first wait: TryNow forgets those before.
        assert!((4900..=10_000).contains(&retry_in.unwrap()), "{retry_in:?}");
        link.command(LinkCommand::TryNow);
    }
    broker.subscribed(&[]).await;
    link.connected().await;
}

#[tokio::test]
async fn a_probe_is_answered_by_the_brokers_pingresp_and_by_nothing_else() {
    let (mut link, mut connection, channel, _) = subscribed(settings, &[]).await;
    connection.packet(0xd0, &[]).await;
    link.is_silent().await;
    link.probe(channel);
    assert_eq!(connection.read().await, Some(Packet { first: 0xc0, body: vec![] }));
    link.is_silent().await;
    connection.packet(0xd0, &[]).await;
    assert_eq!(link.alive().await, channel);
    link.probe(Channel { session: channel.session + 1, ..channel });
    let asked = timeout(Duration::from_millis(200), connection.read_patiently()).await;
    assert!(asked.is_err(), "of a session that is over nothing is asked");
}
