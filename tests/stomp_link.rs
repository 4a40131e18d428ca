//! The STOMP link against a scripted server: the frames it sends, and servers that misbehave.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "support/certificates.rs"]
mod certificates;
#[path = "support/link.rs"]
mod link;
#[path = "support/stomp_broker.rs"]
mod stomp_broker;

use certificates::{Asked, Authority};
use link::Link;
use std::time::Duration;
use stomp_broker::{Broker, Connection, Frame, Read, Server, acceptor};
use tokio::time::{Instant, timeout};
use usp_agent::mtp::backoff::Policy;
use usp_agent::mtp::stomp::frame::MAX_HEAD;
use usp_agent::mtp::stomp::{Settings, start};
use usp_agent::mtp::tls::{ClientTls, Clock, Identity, Trust};
use usp_agent::mtp::{Channel, Destination, Fault, Limits, LinkCommand, LinkEvent, MAX_RECORD, Peer};

const OWN_ID: &str = "os::00D09E-test";
const AGENT: &str = "/queue/usp.agent.os::00D09E-test";
const CONTROLLER: &str = "/queue/usp.controller";

fn settings(port: u16) -> Settings {
    Settings {
        host: "127.0.0.1".into(),
        port,
        tls: None,
        own_id: OWN_ID.into(),
        virtual_host: "".into(),
        username: "".into(),
        password: "".into(),
        heartbeats: None,
        destination: AGENT.into(),
        retry: Policy { minimum: Duration::from_millis(20), from_zero: true, ..Policy::default() },
        limits: Limits {
            handshake: Duration::from_millis(600),
            stall: Duration::from_millis(400),
            goodbye: Duration::from_millis(500),
        },
    }
}

fn run(settings: Settings) -> Link {
    Link::spawn(32, |id, events| start(settings, id, events))
}

fn to(destination: &str) -> Destination {
    Destination::Topic { topic: destination.into(), retain: false }
}

/// A link subscribed at a server that adds these headers to CONNECTED.
async fn subscribed(
    settings: impl FnOnce(u16) -> Settings,
    connected: &[(&str, &str)],
) -> (Link, Connection, Channel, Peer) {
    let broker = Broker::new().await;
    let mut link = run(settings(broker.port));
    let (connection, _, _) = broker.subscribed(connected).await;
    let (channel, peer) = link.connected().await;
    (link, connection, channel, peer)
}

fn headers(frame: &Frame) -> Vec<(&str, &str)> {
    frame.headers.iter().map(|(name, value)| (&**name, &**value)).collect()
}

#[tokio::test]
async fn stomp_names_the_agent_its_version_host_and_credentials() {
    let broker = Broker::new().await;
    let full = Settings {
        virtual_host: "usp".into(),
        username: "us:er".into(),
        password: "pa\\ss:word".into(),
        ..settings(broker.port)
    };
    let _link = run(full);
    let stomp = broker.accept().await.frame("STOMP").await;
    let expected = [
        ("accept-version", "1.2"),
        ("host", "usp"),
        ("endpoint-id", OWN_ID),
        ("login", "us:er"),
        ("passcode", "pa\\ss:word"),
    ];
    assert_eq!(headers(&stomp), expected, "without heart-beat: EnableHeartbeats is off");
    assert!(stomp.body.is_empty());
}

#[tokio::test]
async fn subscribe_names_the_configured_destination_and_acknowledges_by_itself() {
    let broker = Broker::new().await;
    let mut link = run(settings(broker.port));
    let (_connection, stomp, subscribe) = broker.subscribed(&[]).await;
    assert_eq!((stomp.header("host"), stomp.header("login")), (Some("/"), Some("")));
    let expected = [("id", "1"), ("destination", AGENT), ("ack", "auto"), ("receipt", "subscribed")];
    assert_eq!(headers(&subscribe), expected);
    let (channel, peer) = link.connected().await;
    assert_eq!((channel.session, peer.encrypted, peer.topic_from_server), (1, false, false));
    assert_eq!(peer.response_topic.as_deref(), Some(AGENT));
}

#[tokio::test]
async fn the_servers_destination_wins() {
    for configured in [AGENT, ""] {
        let (link, mut connection, channel, peer) = {
            let broker = Broker::new().await;
            let mut link = run(Settings { destination: configured.into(), ..settings(broker.port) });
            let (connection, _, subscribe) = broker.subscribed(&[("subscribe-dest", "/topic/by:server")]).await;
            assert_eq!(subscribe.header("destination"), Some("/topic/by:server"));
            let (channel, peer) = link.connected().await;
            (link, connection, channel, peer)
        };
        assert_eq!((peer.response_topic.as_deref(), peer.topic_from_server), (Some("/topic/by:server"), true));
        // A change of the configured one means nothing to this session (R-STOMP.29).
        link.command(LinkCommand::Filters(vec![("/queue/other".into(), 0)]));
        link.send(channel, b"record", to(CONTROLLER));
        assert_eq!(connection.frame("SEND").await.header("reply-to-dest"), Some("/topic/by:server"));
    }
}

#[tokio::test]
async fn without_any_destination_the_session_is_ended_and_tried_again() {
    let broker = Broker::new().await;
    let mut link = run(Settings { destination: "".into(), ..settings(broker.port) });
    for _ in 0..2 {
        let mut connection = broker.accept().await;
        connection.frame("STOMP").await;
        connection.send("CONNECTED", &[("version", "1.2"), ("subscribe-dest", "")], b"").await;
        connection.frame("DISCONNECT").await;
        connection.ended().await;
        drop(connection);
        match link.event().await {
            LinkEvent::Lost { channel, why, fault, retry_in, .. } => {
                assert_eq!((channel.session, fault), (0, Fault::Configuration));
                assert!(why.contains("no Destination") && retry_in.is_some(), "{why}");
            }
            other => panic!("{other:?}"),
        }
    }
    link.command(LinkCommand::Filters(vec![("/queue/now".into(), 0)]));
    // One try may have begun before the destination came.
    loop {
        let mut connection = broker.accept().await;
        connection.frame("STOMP").await;
        connection.send("CONNECTED", &[("version", "1.2")], b"").await;
        let Read::Frame(frame) = connection.next().await else { continue };
        if frame.command == "SUBSCRIBE" {
            return assert_eq!(frame.header("destination"), Some("/queue/now"));
        }
    }
}

#[tokio::test]
async fn records_are_sent_with_every_header() {
    let (link, mut connection, channel, _) = subscribed(settings, &[]).await;
    link.send(channel, b"\0rec\0ord\n", to("/queue/ctl:1"));
    let send = connection.frame("SEND").await;
    let expected = [
        ("destination", "/queue/ctl:1"),
        ("content-length", "9"),
        ("content-type", "application/vnd.bbf.usp.msg"),
        ("reply-to-dest", AGENT),
    ];
    assert_eq!((headers(&send), &send.body[..]), (expected.to_vec(), &b"\0rec\0ord\n"[..]));
    link.send(channel, &vec![7; MAX_RECORD], to(CONTROLLER));
    assert_eq!(connection.frame("SEND").await.body.len(), MAX_RECORD);
}

#[tokio::test]
async fn records_come_in_with_the_destination_of_the_answer() {
    let (mut link, mut connection, channel, _) = subscribed(settings, &[]).await;
    let kind = ("content-type", "application/vnd.bbf.usp.msg");
    connection.message(&[kind, ("reply-to-dest", "/queue/ctl:9")], b"\0one").await;
    let (of, bytes, reply_to) = link.record().await;
    assert_eq!((of, &bytes[..], reply_to.as_deref()), (channel, &b"\0one"[..], Some("/queue/ctl:9")));
    connection.write(b"MESSAGE\r\nsubscription:1\r\n\r\nwithout length\0\n").await;
    let (_, bytes, reply_to) = link.record().await;
    assert_eq!((&bytes[..], reply_to), (&b"without length"[..], None));
    connection.message(&[], &vec![1; MAX_RECORD]).await;
    assert_eq!(link.record().await.1.len(), MAX_RECORD);
}

#[tokio::test]
async fn what_is_no_record_is_dropped_with_a_reason_and_the_session_lives() {
    let (mut link, mut connection, channel, _) = subscribed(settings, &[]).await;
    connection.message(&[], b"").await;
    assert!(link.remark().await.contains("without a record"));
    connection.message(&[("content-type", "application/vnd.bbf.usp.error")], b"err_code:7000").await;
    assert!(link.remark().await.contains("usp.error"));
    connection.message(&[], &vec![0; MAX_RECORD + 1]).await;
    assert!(link.remark().await.contains("1048576"));
    connection.message(&[("content-type", "text/plain")], b"the agent judges this").await;
    assert_eq!(&link.record().await.1[..], b"the agent judges this");
    link.send(channel, b"x", to(CONTROLLER));
    connection.frame("SEND").await;
}

#[tokio::test]
async fn a_frame_that_breaks_the_standard_ends_the_session() {
    let endless = vec![b'x'; MAX_HEAD + 10];
    let broken: [(&[u8], &str); 5] = [
        (b"NONSENSE\n\n\0", "no frame"),
        (b"MESSAGE\nheader\n\n\0", "no colon"),
        (b"MESSAGE\ncontent-length:1\n\nabc\0", "content-length"),
        (&endless, "limit"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "no frame"),
    ];
    for (bytes, word) in broken {
        let (mut link, mut connection, channel, _) = subscribed(settings, &[]).await;
        connection.write(bytes).await;
        let (lost, why, retry_in) = link.lost().await;
        assert_eq!(lost, channel);
        assert!(why.contains(word) && retry_in.is_some(), "{why}");
    }
}

#[tokio::test]
async fn an_error_frame_is_told_and_leads_to_another_try() {
    let broker = Broker::new().await;
    let mut link = run(Settings { password: "secret".into(), ..settings(broker.port) });
    let mut connection = broker.accept().await;
    connection.frame("STOMP").await;
    connection.send("ERROR", &[("message", "Bad CONNECT")], b"Access refused\nfor user").await;
    match link.event().await {
        LinkEvent::Lost { channel, why, fault, .. } => {
            assert_eq!((channel.session, fault), (0, Fault::Peer));
            assert!(why.contains("\"Bad CONNECT\" (Access refused for user)"), "{why}");
            assert!(why.contains(&broker.port.to_string()) && !why.contains("secret"), "{why}");
        }
        other => panic!("{other:?}"),
    }
    // Against SUBSCRIBE.
    let mut connection = broker.accept().await;
    connection.frame("STOMP").await;
    connection.send("CONNECTED", &[("version", "1.2")], b"").await;
    connection.frame("SUBSCRIBE").await;
    connection.send("ERROR", &[("message", "not yours")], b"").await;
    let (channel, why, _) = link.lost().await;
    assert!(channel.session == 0 && why.contains("not yours"), "{why}");
    // Later on.
    let (mut connection, _, _) = broker.subscribed(&[]).await;
    let (channel, _) = link.connected().await;
    connection.send("ERROR", &[("message", "too much")], &[b'x'; 5000]).await;
    let (lost, why, retry_in) = link.lost().await;
    assert!(lost == channel && why.contains("too much") && why.len() < 600 && retry_in.is_some(), "{why}");
    broker.subscribed(&[]).await;
}

#[tokio::test]
async fn a_server_of_another_version_or_protocol_is_recognised() {
    for answer in ["CONNECTED\n\n\0", "CONNECTED\nversion:1.1\n\n\0", "MESSAGE\n\n\0", "SSH-2.0-OpenSSH_9\r\n\r\n"] {
        let broker = Broker::new().await;
        let mut link = run(settings(broker.port));
        let mut connection = broker.accept().await;
        connection.frame("STOMP").await;
        connection.write(answer.as_bytes()).await;
        let (channel, why, _) = link.lost().await;
        assert!(channel.session == 0 && (why.contains("STOMP 1.2") || why.contains("CONNECTED")), "{why}");
    }
}

#[tokio::test]
async fn a_server_that_answers_no_receipt_is_believed_after_a_while() {
    let broker = Broker::new().await;
    let limits = Limits { handshake: Duration::from_millis(600), ..settings(0).limits };
    let mut link = run(Settings { limits, ..settings(broker.port) });
    let mut connection = broker.accept().await;
    connection.frame("STOMP").await;
    connection.send("CONNECTED", &[("version", "1.2")], b"").await;
    connection.frame("SUBSCRIBE").await;
    assert!(timeout(Duration::from_millis(200), link.events.recv()).await.is_err());
    link.connected().await;
}

#[tokio::test]
async fn a_message_instead_of_the_receipt_is_kept() {
    let broker = Broker::new().await;
    let mut link = run(settings(broker.port));
    let mut connection = broker.accept().await;
    connection.frame("STOMP").await;
    connection.send("CONNECTED", &[("version", "1.2")], b"").await;
    let subscribe = connection.frame("SUBSCRIBE").await;
    connection.message(&[], b"early").await;
    connection.receipt(&subscribe).await;
    connection.message(&[], b"later").await;
    link.connected().await;
    assert_eq!(&link.record().await.1[..], b"early");
    assert_eq!(&link.record().await.1[..], b"later");
}

#[tokio::test]
async fn a_changed_destination_is_unsubscribed_and_subscribed_without_a_new_connection() {
    let (mut link, mut connection, channel, _) = subscribed(settings, &[]).await;
    link.send(channel, b"before", to(CONTROLLER));
    link.command(LinkCommand::Filters(vec![("/queue/new".into(), 0)]));
    assert_eq!(connection.frame("SEND").await.header("reply-to-dest"), Some(AGENT));
    assert_eq!(headers(&connection.frame("UNSUBSCRIBE").await), [("id", "1")]);
    let subscribe = connection.frame("SUBSCRIBE").await;
    assert_eq!(headers(&subscribe), [("id", "2"), ("destination", "/queue/new"), ("ack", "auto")]);
    let (again, peer) = link.connected().await;
    assert_eq!((again, peer.response_topic.as_deref()), (channel, Some("/queue/new")));
    link.send(channel, b"after", to(CONTROLLER));
    assert_eq!(connection.frame("SEND").await.header("reply-to-dest"), Some("/queue/new"));
    // The same again is no change; none ends the session (R-STOMP.16).
    link.command(LinkCommand::Filters(vec![("/queue/new".into(), 0)]));
    link.command(LinkCommand::Filters(Vec::new()));
    connection.frame("DISCONNECT").await;
    assert!(link.lost().await.1.contains("no Destination"));
}

#[tokio::test]
async fn a_destination_that_changes_while_connecting_is_taken_up() {
    let broker = Broker::new().await;
    let link = run(settings(broker.port));
    let mut connection = broker.accept().await;
    connection.frame("STOMP").await;
    link.command(LinkCommand::Filters(vec![("/queue/new".into(), 0)]));
    tokio::time::sleep(Duration::from_millis(50)).await;
    connection.send("CONNECTED", &[("version", "1.2")], b"").await;
    let subscribe = connection.frame("SUBSCRIBE").await;
    connection.receipt(&subscribe).await;
    connection.frame("UNSUBSCRIBE").await;
    assert_eq!(connection.frame("SUBSCRIBE").await.header("destination"), Some("/queue/new"));
}

#[tokio::test]
async fn heart_beats_are_offered_and_sent_in_time() {
    let broker = Broker::new().await;
    let _link = run(Settings { heartbeats: Some((200, 0)), ..settings(broker.port) });
    let (mut connection, stomp, _) = broker.subscribed(&[("heart-beat", "0,100")]).await;
    assert_eq!(stomp.header("heart-beat"), Some("200,0"));
    let mut last = Instant::now();
    for _ in 0..4 {
        assert!(matches!(connection.next().await, Read::Beat));
        let wait = last.elapsed();
        assert!(wait > Duration::from_millis(100) && wait < Duration::from_millis(200 + 50), "{wait:?}");
        last = Instant::now();
    }
}

#[tokio::test]
async fn a_server_whose_heart_beats_stop_is_lost() {
    let broker = Broker::new().await;
    let mut link = run(Settings { heartbeats: Some((0, 100)), ..settings(broker.port) });
    let (mut connection, stomp, _) = broker.subscribed(&[("heart-beat", "300,0")]).await;
    assert_eq!(stomp.header("heart-beat"), Some("0,100"));
    link.connected().await;
    for _ in 0..6 {
        connection.write(b"\n").await;
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    let stopped = Instant::now();
    let (_, why, _) = link.lost().await;
    assert!(why.contains("heart-beats"), "{why}");
    assert!(stopped.elapsed() > Duration::from_millis(500), "lost before the margin had passed");
}

#[tokio::test]
async fn heart_beats_that_one_side_does_not_want_are_not_sent() {
    let asking = |port| Settings { heartbeats: Some((100, 100)), ..settings(port) };
    let (mut link, mut connection, channel, _) = subscribed(asking, &[("heart-beat", "0,0")]).await;
    assert!(timeout(Duration::from_millis(400), connection.reader.next()).await.is_err());
    assert!(timeout(Duration::from_millis(1500), link.events.recv()).await.is_err());
    link.send(channel, b"x", to(CONTROLLER));
    connection.frame("SEND").await;
    let (_link, mut connection, _, _) = subscribed(settings, &[("heart-beat", "100,100")]).await;
    assert!(timeout(Duration::from_millis(400), connection.reader.next()).await.is_err());
}

#[tokio::test]
async fn a_server_that_takes_nothing_is_lost_and_memory_is_bounded() {
    let (mut link, connection, channel, _) = subscribed(settings, &[]).await;
    let mut remarks = 0;
    let record = vec![7; MAX_RECORD];
    loop {
        let send = LinkCommand::Send { channel, record: record.clone().into(), to: to(CONTROLLER) };
        let _ = link.handle.commands.try_send(send);
        match timeout(Duration::from_millis(20), link.events.recv()).await {
            Ok(Some(LinkEvent::Remark { what, .. })) => {
                assert!(what.contains("too slow"), "{what}");
                remarks += 1;
            }
            Ok(Some(LinkEvent::Lost { why, .. })) => break assert!(why.contains("took no data"), "{why}"),
            Ok(other) => panic!("{other:?}"),
            Err(_) => {}
        }
    }
    assert!(remarks > 0, "more than the limit was queued");
    drop(connection);
}

#[tokio::test]
async fn a_server_that_answers_nothing_is_given_up() {
    let broker = Broker::new().await;
    let mut link = run(settings(broker.port));
    let connection = broker.accept().await;
    let (_, why, retry_in) = link.lost().await;
    assert!(why.contains("STOMP was not answered") && retry_in.is_some(), "{why}");
    drop(connection);
}

#[tokio::test]
async fn shutting_down_says_disconnect_after_what_waits() {
    let (link, mut connection, channel, _) = subscribed(settings, &[]).await;
    link.send(channel, b"last", to(CONTROLLER));
    let script = async {
        connection.frame("SEND").await;
        connection.frame("DISCONNECT").await;
        connection.ended().await;
        drop(connection);
    };
    tokio::join!(link.shut_down(), script);
}

#[tokio::test]
async fn a_record_of_an_old_session_is_refused() {
    let broker = Broker::new().await;
    let mut link = run(settings(broker.port));
    let (connection, _, _) = broker.subscribed(&[]).await;
    let (first, _) = link.connected().await;
    drop(connection);
    let (lost, why, _) = link.lost().await;
    assert!(lost == first && why.contains("closed the connection"), "{why}");
    let (mut connection, _, _) = broker.subscribed(&[]).await;
    let (second, _) = link.connected().await;
    assert_eq!(second.session, 2);
    link.send(first, b"late", to(CONTROLLER));
    assert!(link.remark().await.contains("no longer connected"));
    link.send(second, b"for nobody", Destination::Peer);
    assert!(link.remark().await.contains("no destination is known"));
    link.send(second, &vec![0; MAX_RECORD + 1], to(CONTROLLER));
    assert!(link.remark().await.contains("limit"));
    link.send(second, b"good", to(CONTROLLER));
    assert_eq!(connection.frame("SEND").await.body, b"good");
}

#[tokio::test]
async fn tls_is_verified_and_a_client_certificate_stands_for_credentials() {
    let authority = Authority::new("STOMP CA");
    let issued =
        authority.issue(Asked { names: &["127.0.0.1"], endpoint_id: Some("proto::broker"), ..Asked::default() });
    let server = Server::start(Some(acceptor(&issued.certificate, &issued.key)));
    let ours = authority.issue(Asked { endpoint_id: Some(OWN_ID), ..Asked::default() });
    let tls = |file: &std::path::Path, identity| ClientTls {
        trust: Trust::File(file.to_owned()),
        identity,
        clock: Clock::new(true),
        ..ClientTls::default()
    };
    let identity = Identity { certificate: ours.certificate, key: ours.key };
    let trusting = tls(&authority.file, Some(identity));
    let mut link = run(Settings { tls: Some(trusting), ..settings(server.port) });
    let (channel, peer) = link.connected().await;
    assert!(peer.encrypted && peer.certificate_ids == ["proto::broker".into()]);
    link.send(channel, &vec![1; MAX_RECORD], to(AGENT));
    assert_eq!(link.record().await.1.len(), MAX_RECORD);
    let Read::Frame(stomp) = &server.seen(OWN_ID)[0].what else { panic!("no STOMP frame") };
    assert_eq!((stomp.header("login"), stomp.header("passcode")), (None, None));

    let other = Authority::new("Some other CA");
    let mut link = run(Settings { tls: Some(tls(&other.file, None)), ..settings(server.port) });
    assert!(link.lost().await.1.contains("\"STOMP CA\""));
    let mut plain = run(settings(server.port));
    assert!(plain.lost().await.1.contains("does it want TLS"));
}

/// STOMP has no ping: the agent subscribes anew, with a receipt, before it gives up the old subscription.
#[tokio::test]
async fn a_probe_is_answered_by_the_servers_receipt() {
    let (mut link, mut connection, channel, _) = subscribed(settings, &[]).await;
    link.probe(channel);
    let subscribe = connection.frame("SUBSCRIBE").await;
    let expected = [("id", "2"), ("destination", AGENT), ("ack", "auto"), ("receipt", "probe")];
    assert_eq!(headers(&subscribe), expected);
    assert_eq!(headers(&connection.frame("UNSUBSCRIBE").await), [("id", "1")]);
    link.is_silent().await;
    connection.receipt(&subscribe).await;
    assert_eq!(link.alive().await, channel);
}
