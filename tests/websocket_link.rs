//! The WebSocket links against tokio-tungstenite as the other side.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::result_large_err)]

#[path = "support/link.rs"]
mod link;

use futures_util::{SinkExt, StreamExt};
use link::{Link, PATIENCE};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, sleep, timeout};
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tokio_tungstenite::tungstenite::protocol::frame::coding::{CloseCode, Data, OpCode};
use tokio_tungstenite::tungstenite::protocol::frame::{Frame, FrameHeader};
use tokio_tungstenite::tungstenite::{self, Message};
use tokio_tungstenite::{WebSocketStream, accept_hdr_async, client_async};
use usp_agent::mtp::backoff::Policy;
use usp_agent::mtp::websocket::{ClientSettings, ServerSettings, listen, start};
use usp_agent::mtp::{Destination, Limits, LinkCommand, LinkEvent, MAX_RECORD};

const OWN_ID: &str = "os::00D09E-test%21";

fn quick_limits() -> Limits {
    Limits {
        handshake: Duration::from_millis(600),
        stall: Duration::from_millis(400),
        goodbye: Duration::from_millis(500),
    }
}

fn client_settings(port: u16) -> ClientSettings {
    ClientSettings {
        host: "127.0.0.1".into(),
        port,
        path: "/usp".into(),
        tls: None,
        own_id: OWN_ID.into(),
        keep_alive: Duration::from_secs(30),
        retry: Policy { minimum: Duration::from_millis(20), ..Policy::default() },
        hold_off_after_loss: Duration::ZERO,
        limits: quick_limits(),
    }
}

/// A controller's server: one port, one connection at a time.
struct Controller {
    listener: TcpListener,
}

impl Controller {
    async fn new() -> (Controller, u16) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        (Controller { listener }, port)
    }

    async fn tcp(&self) -> TcpStream {
        timeout(PATIENCE, self.listener.accept()).await.expect("nobody connects").unwrap().0
    }

    async fn accept_with(
        &self,
        answer: impl FnOnce(&Request, Response) -> Result<Response, ErrorResponse> + Unpin,
    ) -> Result<WebSocketStream<TcpStream>, tungstenite::Error> {
        accept_hdr_async(self.tcp().await, answer).await
    }

    async fn accept(&self) -> WebSocketStream<TcpStream> {
        self.accept_with(|_, response| Ok(usp(response))).await.unwrap()
    }
}

fn usp(mut response: Response) -> Response {
    response.headers_mut().insert("Sec-WebSocket-Protocol", "v1.usp".parse().unwrap());
    response
}

async fn next(ws: &mut WebSocketStream<TcpStream>) -> Message {
    timeout(PATIENCE, ws.next()).await.expect("no message").expect("closed").unwrap()
}

async fn close_code(ws: &mut WebSocketStream<TcpStream>) -> CloseCode {
    loop {
        if let Message::Close(frame) = next(ws).await {
            return frame.expect("a code").code;
        }
    }
}

async fn connected_pair(settings: impl FnOnce(u16) -> ClientSettings) -> (Link, WebSocketStream<TcpStream>) {
    let (controller, port) = Controller::new().await;
    let link = Link::spawn(32, |id, events| start(settings(port), id, events));
    let ws = controller.accept().await;
    (link, ws)
}

#[tokio::test]
async fn records_travel_both_ways_and_the_request_names_the_agent() {
    let (controller, port) = Controller::new().await;
    let mut link = Link::spawn(32, |id, events| start(client_settings(port), id, events));
    let mut asked = None;
    let answer = |request: &Request, mut response: Response| {
        asked = Some((request.uri().to_string(), request.headers().clone()));
        // Oktopus adds this header to its answer.
        response.headers_mut().insert("Sec-WebSocket-Version", "13".parse().unwrap());
        Ok(usp(response))
    };
    let mut ws = controller.accept_with(answer).await.unwrap();
    let (uri, headers) = asked.unwrap();
    assert_eq!(uri, "/usp?eid=os::00D09E-test%2521");
    assert_eq!(headers["Sec-WebSocket-Protocol"], "v1.usp");
    assert_eq!(headers["Sec-WebSocket-Extensions"], format!("bbf-usp-protocol; eid=\"{OWN_ID}\""));

    let (channel, peer) = link.connected().await;
    assert_eq!((channel.session, peer.encrypted), (1, false));
    assert_eq!(*peer.address, *format!("127.0.0.1:{port}"));
    link.send(channel, b"from the agent", Destination::Peer);
    assert_eq!(next(&mut ws).await, Message::Binary("from the agent".into()));
    ws.send(Message::Binary("from the controller".into())).await.unwrap();
    assert_eq!(&link.record().await.1[..], b"from the controller");

    link.command(LinkCommand::Shutdown);
    assert_eq!(close_code(&mut ws).await, CloseCode::Normal);
    timeout(Duration::from_secs(2), link.task).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_record_of_the_largest_size_passes_both_ways_unfragmented() {
    let (mut link, mut ws) = connected_pair(client_settings).await;
    let (channel, _) = link.connected().await;
    let record = vec![7u8; MAX_RECORD];
    link.send(channel, &record, Destination::Peer);
    assert_eq!(next(&mut ws).await.len(), MAX_RECORD);
    ws.send(Message::Binary(record.into())).await.unwrap();
    assert_eq!(link.record().await.1.len(), MAX_RECORD);

    link.send(channel, &vec![7u8; MAX_RECORD + 1], Destination::Peer);
    assert!(link.remark().await.contains("limit"));
}

#[tokio::test]
async fn a_server_that_does_not_select_the_subprotocol_is_refused() {
    let (controller, port) = Controller::new().await;
    let mut link = Link::spawn(32, |id, events| start(client_settings(port), id, events));
    let _ws = controller.accept_with(|_, response| Ok(response)).await;
    let (channel, why, retry_in) = link.lost().await;
    assert_eq!(channel.session, 0);
    assert!(why.contains("v1.usp"), "{why}");
    assert!(retry_in.is_some());
}

#[tokio::test]
async fn an_http_error_is_told_with_its_status() {
    let (controller, port) = Controller::new().await;
    let mut link = Link::spawn(32, |id, events| start(client_settings(port), id, events));
    let refuse = |_: &Request, _| {
        let mut response = ErrorResponse::new(None);
        *response.status_mut() = tungstenite::http::StatusCode::FORBIDDEN;
        Err(response)
    };
    assert!(controller.accept_with(refuse).await.is_err());
    let (_, why, _) = link.lost().await;
    assert!(why.contains("403") && why.contains(&port.to_string()), "{why}");
}

#[tokio::test]
async fn a_server_that_never_answers_is_given_up() {
    let (controller, port) = Controller::new().await;
    let mut link = Link::spawn(32, |id, events| start(client_settings(port), id, events));
    let _silent = controller.tcp().await;
    let (_, why, _) = link.lost().await;
    assert!(why.contains("does not answer the WebSocket handshake"), "{why}");
}

#[tokio::test]
async fn a_text_frame_ends_the_session_with_1003() {
    let (mut link, mut ws) = connected_pair(client_settings).await;
    link.connected().await;
    ws.send(Message::Text("hello".into())).await.unwrap();
    assert_eq!(close_code(&mut ws).await, CloseCode::Unsupported);
    drop(ws);
    assert!(link.lost().await.1.contains("text frame"));
}

#[tokio::test]
async fn the_daemon_can_close_a_session_for_a_record_it_cannot_parse() {
    let (mut link, mut ws) = connected_pair(client_settings).await;
    let (channel, _) = link.connected().await;
    let reason = "not a USP record; ".repeat(20).into();
    link.command(LinkCommand::Close { channel, code: 1003, reason });
    assert_eq!(close_code(&mut ws).await, CloseCode::Unsupported);
    drop(ws);
    assert!(link.lost().await.1.contains("1003"));
}

#[tokio::test]
async fn a_message_beyond_the_limit_ends_the_session_with_1009() {
    let (mut link, mut ws) = connected_pair(client_settings).await;
    link.connected().await;
    let _ = ws.send(Message::Binary(vec![0; MAX_RECORD + 1].into())).await;
    assert_eq!(close_code(&mut ws).await, CloseCode::Size);
    drop(ws);
    assert!(link.lost().await.1.contains("1009"));
}

#[tokio::test]
async fn a_frame_that_only_announces_a_huge_size_is_refused() {
    let (mut link, mut ws) = connected_pair(client_settings).await;
    link.connected().await;
    let announced = [0x82, 127, 0, 0, 0, 0, 0x7f, 0xff, 0xff, 0xff];
    ws.get_mut().write_all(&announced).await.unwrap();
    assert_eq!(close_code(&mut ws).await, CloseCode::Size);
    assert!(link.lost().await.1.contains("1009"));
}

#[tokio::test]
async fn fragments_are_put_together() {
    let (mut link, mut ws) = connected_pair(client_settings).await;
    link.connected().await;
    let piece = |opcode, text: &'static str, last| {
        let header = FrameHeader { is_final: last, opcode: OpCode::Data(opcode), ..FrameHeader::default() };
        Message::Frame(Frame::from_payload(header, text.into()))
    };
    ws.send(piece(Data::Binary, "one ", false)).await.unwrap();
    ws.send(Message::Ping("between".into())).await.unwrap();
    ws.send(piece(Data::Continue, "two ", false)).await.unwrap();
    ws.send(piece(Data::Continue, "three", true)).await.unwrap();
    assert_eq!(&link.record().await.1[..], b"one two three");
}

#[tokio::test]
async fn pings_are_answered_at_once_while_the_daemon_takes_no_event() {
    let (controller, port) = Controller::new().await;
    let link = Link::spawn(1, |id, events| start(client_settings(port), id, events));
    let mut ws = controller.accept().await;
    for _ in 0..200 {
        ws.send(Message::Binary("more than the daemon takes".into())).await.unwrap();
    }
    let asked = Instant::now();
    ws.send(Message::Ping("now".into())).await.unwrap();
    assert_eq!(next(&mut ws).await, Message::Pong("now".into()));
    assert!(asked.elapsed() < Duration::from_millis(500));
    drop(link);
}

#[tokio::test]
async fn a_ping_after_a_long_silence_is_no_stall() {
    for _ in 0..4 {
        let (mut link, mut ws) = connected_pair(client_settings).await;
        link.connected().await;
        sleep(quick_limits().stall + Duration::from_millis(50)).await;
        ws.send(Message::Ping("awake?".into())).await.unwrap();
        assert_eq!(next(&mut ws).await, Message::Pong("awake?".into()));
        ws.send(Message::Binary("yes".into())).await.unwrap();
        link.record().await;
    }
}

#[tokio::test]
async fn what_was_to_be_sent_goes_out_before_the_goodbye() {
    let (mut link, mut ws) = connected_pair(client_settings).await;
    let (channel, _) = link.connected().await;
    (0..5u8).for_each(|number| link.send(channel, &[number], Destination::Peer));
    link.command(LinkCommand::Shutdown);
    for number in 0..5u8 {
        assert_eq!(next(&mut ws).await, Message::Binary(vec![number].into()));
    }
    assert_eq!(close_code(&mut ws).await, CloseCode::Normal);
}

#[tokio::test]
async fn records_a_busy_daemon_cannot_take_are_dropped_with_a_remark() {
    let (controller, port) = Controller::new().await;
    let mut link = Link::spawn(1, |id, events| start(client_settings(port), id, events));
    let mut ws = controller.accept().await;
    for _ in 0..50 {
        ws.send(Message::Binary("x".into())).await.unwrap();
    }
    ws.send(Message::Ping("all read".into())).await.unwrap();
    next(&mut ws).await;
    link.connected().await;
    let mut records = 0;
    let remark = loop {
        match link.event().await {
            LinkEvent::Record { .. } => records += 1,
            LinkEvent::Remark { what, .. } => break what,
            other => panic!("{other:?}"),
        }
    };
    assert!(remark.contains("dropped"), "{remark}");
    assert!((1..=9).contains(&records), "{records}");
}

#[tokio::test]
async fn a_peer_that_answers_no_ping_is_lost() {
    let quick = |port| ClientSettings { keep_alive: Duration::from_millis(150), ..client_settings(port) };
    let (mut link, ws) = connected_pair(quick).await;
    link.connected().await;
    let connected = Instant::now();
    let (_, why, _) = link.lost().await;
    assert!(why.contains("ping"), "{why}");
    assert!(connected.elapsed() >= Duration::from_millis(250));
    drop(ws);
}

#[tokio::test]
async fn a_peer_that_answers_pings_stays_connected() {
    let quick = |port| ClientSettings { keep_alive: Duration::from_millis(100), ..client_settings(port) };
    let (mut link, mut ws) = connected_pair(quick).await;
    link.connected().await;
    // Reading is what lets tungstenite answer; an unsolicited pong does no harm.
    ws.send(Message::Pong("unasked".into())).await.unwrap();
    let mut pings = 0;
    while pings < 5 {
        match next(&mut ws).await {
            Message::Ping(_) => pings += 1,
            other => panic!("{other:?}"),
        }
    }
    assert!(link.events.try_recv().is_err());
}

#[tokio::test]
async fn a_peer_that_takes_no_data_is_cut() {
    let patient = |port| ClientSettings { keep_alive: Duration::ZERO, ..client_settings(port) };
    let (mut link, ws) = connected_pair(patient).await;
    let (channel, _) = link.connected().await;
    for _ in 0..24 {
        link.send(channel, &vec![0; MAX_RECORD], Destination::Peer);
    }
    let mut said = Vec::new();
    loop {
        match link.event().await {
            LinkEvent::Remark { what, .. } => said.push(what),
            LinkEvent::Lost { why, .. } => break assert!(why.contains("took no data"), "{why}"),
            other => panic!("{other:?}"),
        }
    }
    assert!(said.iter().any(|what| what.contains("too slow")), "{said:?}");
    drop(ws);
}

#[tokio::test]
async fn a_peer_that_takes_data_slowly_is_not_cut() {
    let patient = |port| ClientSettings { keep_alive: Duration::ZERO, ..client_settings(port) };
    let (mut link, mut ws) = connected_pair(patient).await;
    let (channel, _) = link.connected().await;
    for _ in 0..24 {
        link.send(channel, &vec![0; MAX_RECORD], Destination::Peer);
    }
    let mut taken = vec![0; MAX_RECORD / 2];
    for _ in 0..12 {
        sleep(Duration::from_millis(100)).await;
        ws.get_mut().read_exact(&mut taken).await.unwrap();
    }
    while let Ok(event) = link.events.try_recv() {
        assert!(matches!(event, LinkEvent::Remark { .. }), "{event:?}");
    }
}

#[tokio::test]
async fn a_lost_session_is_followed_by_the_next() {
    let (controller, port) = Controller::new().await;
    let mut link = Link::spawn(32, |id, events| start(client_settings(port), id, events));
    let ws = controller.accept().await;
    let (first, _) = link.connected().await;
    drop(ws);
    let (lost, _, retry_in) = link.lost().await;
    assert_eq!(lost, first);
    assert!((15..=40).contains(&retry_in.unwrap()), "{retry_in:?}");
    let _ws = controller.accept().await;
    let (second, _) = link.connected().await;
    assert_eq!(second.session, 2);
    link.send(first, b"late", Destination::Peer);
    assert!(link.remark().await.contains("no longer connected"));
}

#[tokio::test]
async fn try_now_ends_the_wait() {
    let (controller, port) = Controller::new().await;
    drop(controller);
    let slow = ClientSettings { retry: Policy::default(), ..client_settings(port) };
    let mut link = Link::spawn(32, |id, events| start(slow, id, events));
    let (_, why, retry_in) = link.lost().await;
    assert!(why.contains("refused"), "{why}");
    assert!((4900..=10_000).contains(&retry_in.unwrap()), "{retry_in:?}");
    let listener = TcpListener::bind(("127.0.0.1", port)).await.unwrap();
    link.command(LinkCommand::TryNow);
    let _ws = Controller { listener }.accept().await;
    link.connected().await;
}

#[tokio::test]
async fn after_an_unclean_loss_the_hold_off_is_kept_even_by_try_now() {
    let (controller, port) = Controller::new().await;
    let held = ClientSettings { hold_off_after_loss: Duration::from_millis(500), ..client_settings(port) };
    let mut link = Link::spawn(32, |id, events| start(held, id, events));
    let ws = controller.accept().await;
    link.connected().await;
    let lost = Instant::now();
    drop(ws);
    let (_, _, retry_in) = link.lost().await;
    assert!(retry_in.unwrap() >= 450, "{retry_in:?}");
    link.command(LinkCommand::TryNow);
    let _ws = controller.accept().await;
    assert!(lost.elapsed() >= Duration::from_millis(480));
}

#[tokio::test]
async fn a_close_by_the_peer_is_told_with_its_code() {
    let (mut link, mut ws) = connected_pair(client_settings).await;
    link.connected().await;
    let frame = tungstenite::protocol::CloseFrame { code: CloseCode::Restart, reason: "upgrade".into() };
    ws.close(Some(frame)).await.unwrap();
    assert_eq!(close_code(&mut ws).await, CloseCode::Restart);
    let (_, why, _) = link.lost().await;
    assert!(why.contains("1012") && why.contains("upgrade"), "{why}");
}

// --- our own server -------------------------------------------------------------------------

async fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap()
}

fn server_settings(listen: SocketAddr) -> ServerSettings {
    ServerSettings {
        listen,
        path: "/usp".into(),
        tls: None,
        own_id: OWN_ID.into(),
        keep_alive: Duration::from_secs(30),
        limits: quick_limits(),
    }
}

async fn our_server() -> (Link, SocketAddr) {
    let address = free_address().await;
    let link = Link::spawn(32, |id, events| listen(server_settings(address), id, events));
    (link, address)
}

async fn reach(address: SocketAddr) -> TcpStream {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match TcpStream::connect(address).await {
            Ok(tcp) => return tcp,
            Err(error) if Instant::now() > deadline => panic!("{error}"),
            Err(_) => sleep(Duration::from_millis(10)).await,
        }
    }
}

type Joined = Result<(WebSocketStream<TcpStream>, tungstenite::handshake::client::Response), tungstenite::Error>;

async fn join(address: SocketAddr, target: &str, headers: &[(&str, &str)]) -> Joined {
    let mut request = tungstenite::http::Request::builder()
        .uri(format!("ws://{address}{target}"))
        .header("Host", address.to_string())
        .header("Connection", "Upgrade")
        .header("Upgrade", "websocket")
        .header("Sec-WebSocket-Version", "13")
        .header("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    client_async(request.body(()).unwrap(), reach(address).await).await
}

const USP: (&str, &str) = ("Sec-WebSocket-Protocol", "v1.usp");

async fn controller_joins(address: SocketAddr, id: &str) -> WebSocketStream<TcpStream> {
    join(address, &format!("/usp?eid={id}"), &[USP]).await.unwrap().0
}

#[tokio::test]
async fn the_server_serves_several_peers_apart() {
    let (mut link, address) = our_server().await;
    let mut one = controller_joins(address, "proto::one").await;
    let (first, peer) = link.connected().await;
    assert_eq!(peer.endpoint_id.as_deref(), Some("proto::one"));
    let mut two = controller_joins(address, "proto::two").await;
    let (second, _) = link.connected().await;

    link.send(second, b"for two", Destination::Peer);
    link.send(first, b"for one", Destination::Peer);
    assert_eq!(next(&mut one).await, Message::Binary("for one".into()));
    assert_eq!(next(&mut two).await, Message::Binary("for two".into()));
    two.send(Message::Binary("from two".into())).await.unwrap();
    let (channel, bytes, _) = link.record().await;
    assert_eq!((channel, &bytes[..]), (second, &b"from two"[..]));

    one.close(None).await.unwrap();
    let (lost, _, retry_in) = link.lost().await;
    assert_eq!((lost, retry_in), (first, None));
    link.command(LinkCommand::Shutdown);
    assert_eq!(close_code(&mut two).await, CloseCode::Normal);
}

#[tokio::test]
async fn the_server_refuses_a_wrong_path_and_a_missing_subprotocol() {
    let (mut link, address) = our_server().await;
    let status = |joined: Joined| match joined {
        Err(tungstenite::Error::Http(response)) => response.status().as_u16(),
        other => panic!("{other:?}"),
    };
    assert_eq!(status(join(address, "/other?eid=a", &[USP]).await), 404);
    assert!(link.remark().await.contains("/other"));
    assert_eq!(status(join(address, "/usp?eid=a", &[]).await), 400);
    assert!(link.remark().await.contains("v1.usp"));
    let offered = ("Sec-WebSocket-Extensions", "bbf-usp-protocol; eid=\"proto::old\"");
    let (_ws, response) = join(address, "/usp", &[USP, offered]).await.unwrap();
    assert_eq!(response.headers()["Sec-WebSocket-Protocol"], "v1.usp");
    assert!(response.headers()["Sec-WebSocket-Extensions"].to_str().unwrap().contains(OWN_ID));
    assert_eq!(link.connected().await.1.endpoint_id.as_deref(), Some("proto::old"));
}

#[tokio::test]
async fn a_request_for_no_websocket_is_refused_in_http_and_told() {
    let (mut link, address) = our_server().await;
    let cases = [
        ("GET /usp HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 426 ", "No \"Connection: upgrade\" header"),
        ("POST /usp HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 405 ", "only GET"),
        ("GET /usp HTTP/1.0\r\n\r\n", "HTTP/1.1 505 ", "HTTP version must be 1.1"),
        ("\u{16}\u{3}\u{1}\u{2}", "HTTP/1.1 400 ", "Invalid HTTP head"),
    ];
    for (request, status, why) in cases {
        let mut tcp = reach(address).await;
        tcp.write_all(request.as_bytes()).await.unwrap();
        let mut response = String::new();
        timeout(PATIENCE, tcp.read_to_string(&mut response)).await.expect("it stays open").unwrap();
        assert!(response.starts_with(status), "{request}: {response}");
        let remark = link.remark().await;
        assert!(remark.contains(why), "{remark}");
    }
}

#[tokio::test]
async fn a_newer_session_of_the_same_peer_replaces_the_older() {
    let (mut link, address) = our_server().await;
    let mut old = controller_joins(address, "proto::one").await;
    let (first, _) = link.connected().await;
    let mut new = controller_joins(address, "proto::one").await;
    assert_eq!(close_code(&mut old).await, CloseCode::Normal);
    let (mut second, mut lost) = (None, None);
    while second.is_none() || lost.is_none() {
        match link.event().await {
            LinkEvent::Connected { channel, .. } => second = Some(channel),
            LinkEvent::Lost { channel, why, .. } => lost = Some((channel, why)),
            other => panic!("{other:?}"),
        }
    }
    let (lost, why) = lost.unwrap();
    assert_eq!(lost, first);
    assert!(why.contains("replaced"), "{why}");
    link.send(second.unwrap(), b"still here", Destination::Peer);
    assert_eq!(next(&mut new).await, Message::Binary("still here".into()));
}

#[tokio::test]
async fn the_server_pings_and_loses_a_silent_peer() {
    let address = free_address().await;
    let quick = ServerSettings { keep_alive: Duration::from_millis(150), ..server_settings(address) };
    let mut link = Link::spawn(32, |id, events| listen(quick, id, events));
    let _silent = controller_joins(address, "proto::one").await;
    link.connected().await;
    assert!(link.lost().await.1.contains("ping"));
}

#[tokio::test]
async fn one_peer_too_many_is_turned_away() {
    let (mut link, address) = our_server().await;
    let mut guests = Vec::new();
    for number in 0..usp_agent::mtp::MAX_SESSIONS {
        guests.push(controller_joins(address, &format!("proto::{number}")).await);
        link.connected().await;
    }
    let mut extra = controller_joins(address, "proto::extra").await;
    assert_eq!(close_code(&mut extra).await, CloseCode::Again);
    assert!(link.remark().await.contains("turned away"));
    // One that is known already may come again.
    let _again = controller_joins(address, "proto::3").await;
    let events = [link.event().await, link.event().await];
    assert!(events.iter().any(|event| matches!(event, LinkEvent::Connected { .. })), "{events:?}");
}

#[tokio::test]
async fn a_link_does_not_outrun_a_daemon_that_takes_nothing() {
    let (controller, port) = Controller::new().await;
    let hasty = Policy { minimum: Duration::from_millis(1), multiplier: None, ..Policy::default() };
    let mut link =
        Link::spawn(1, |id, events| start(ClientSettings { retry: hasty, ..client_settings(port) }, id, events));
    let mut tries = 0;
    while timeout(Duration::from_millis(400), controller.listener.accept()).await.is_ok() {
        tries += 1;
        assert!(tries < 2 * usp_agent::mtp::HELD_EVENTS, "it never stops");
    }
    link.lost().await;
    link.lost().await;
    link.lost().await;
    timeout(PATIENCE, controller.listener.accept()).await.expect("it does not go on").unwrap();
}

#[tokio::test]
async fn half_open_connections_are_limited_and_cut() {
    let (mut link, address) = our_server().await;
    let mut silent = Vec::new();
    for _ in 0..usp_agent::mtp::MAX_HANDSHAKES {
        silent.push(reach(address).await);
    }
    let _ws = controller_joins(address, "proto::one").await;
    link.connected().await;
    let dropped = timeout(Duration::from_millis(300), silent[0].read(&mut [0u8; 1])).await.expect("the oldest stays");
    assert!(matches!(dropped, Ok(0) | Err(_)));
    assert!(link.remark().await.contains("did not finish the handshake"));
}

#[tokio::test]
async fn a_taken_port_is_told_and_tried_again() {
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = taken.local_addr().unwrap();
    let mut link = Link::spawn(32, |id, events| listen(server_settings(address), id, events));
    let (channel, why, retry_in) = link.lost().await;
    assert_eq!(channel.session, 0);
    assert!(why.contains(&address.to_string()), "{why}");
    assert!(retry_in.is_some());
    drop(taken);
    link.command(LinkCommand::TryNow);
    link.listening().await;
    let _ws = controller_joins(address, "proto::one").await;
    link.connected().await;
}

#[tokio::test]
async fn a_probe_is_answered_by_the_peers_pong_and_by_nothing_else() {
    let (controller, port) = Controller::new().await;
    let mut link = Link::spawn(32, |id, events| start(client_settings(port), id, events));
    let mut ws = controller.accept().await;
    let (channel, _) = link.connected().await;
    ws.send(Message::Pong("unasked".into())).await.unwrap();
    link.is_silent().await;
    link.probe(channel);
    assert!(matches!(next(&mut ws).await, Message::Ping(_)));
    // Reading on sends the pong.
    let reading = timeout(Duration::from_millis(300), ws.next()).await;
    assert!(reading.is_err(), "{reading:?}");
    assert_eq!(link.alive().await, channel);
}
