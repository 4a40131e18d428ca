//! TP-469, chapter 7: WebSocket, frame by frame. The agent as client is what the plan describes; where a case makes sense
//! for the agent as server too, it is played there as well.

use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{ProtocolVersion, ServerConfig};
use usp_agent::usp::wire::record::record::RecordType;

use crate::cases::{Case, case};
use crate::certificates::Issued;
use crate::eut::Scene;
use crate::place::{Transport, WEBSOCKET, free_port};
use crate::raw_websocket::{Asked, Socket, ask, opcode};
use crate::secure::{Credential, Secure};
use crate::tester::PATIENCE;
use crate::wire::{Ids, Wire, in_retry_range, value_of};

const CLIENT: &[Transport] = &[Transport::WebSocketClient];
const SERVER: &[Transport] = &[Transport::WebSocketServer];

#[rustfmt::skip]
pub const CASES: &[Case] = &[
    case!("7.1", "Session Establishment", wire session_establishment, on: WEBSOCKET),
    case!("7.2", "Use of only one session", wire use_of_only_one_session, on: SERVER),
    case!("7.4", "Closing a WebSocket Connection", wire closing, on: WEBSOCKET),
    case!("7.5", "Rejection of Session Establishment - DEPRECATED", wire rejection, on: WEBSOCKET),
    case!("7.6", "Error Handling - Unprocessed Records", wire unprocessed_records, on: WEBSOCKET),
    case!("7.7", "Use of Ping and Pong frames", wire ping_and_pong, on: WEBSOCKET),
    case!("7.8", "WebSocket Session Retry", wire session_retry, on: CLIENT, waits: true),
    case!("7.9", "Use of TLS", wire use_of_tls, on: WEBSOCKET),
    case!("7.10", "WebSocket - Use of Connect Record", wire connect_record, on: WEBSOCKET),
    case!("7.11", "Websocket response does not include bbf-usp-protocol", wire without_extension, on: WEBSOCKET),
    case!("7.12", "Agent can process USP Records within fragmented Websocket messages", wire fragmented, on: WEBSOCKET),
];

const DEVICE_INFO: &str = "Device.DeviceInfo.";
const SOON: Duration = Duration::from_secs(10);

impl Wire for Socket {
    async fn send(&mut self, record: Bytes) {
        self.send_record(&record).await;
    }

    async fn receive(&mut self, within: Duration) -> Option<Bytes> {
        self.record(within).await.map(Bytes::from)
    }
}

/// What the agent's WebSocket is told beside where the controller is.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options<'a> {
    /// SessionRetryMinimumWaitInterval.
    pub retry: &'a str,
    /// KeepAliveInterval.
    pub keep_alive: &'a str,
}

/// The controller's end: a server the agent comes to, or a client of the agent's server.
pub struct Lane {
    listener: Option<TcpListener>,
    port: u16,
    tls: Option<Secure>,
}

impl Lane {
    /// Tells the agent of the controller; it is not started.
    pub async fn new(scene: &mut Scene, options: Options<'_>) -> Lane {
        Self::with(scene, options, None).await
    }

    async fn with(scene: &mut Scene, options: Options<'_>, tls: Option<Secure>) -> Lane {
        let is_server = scene.transport == Transport::WebSocketServer;
        let listener = match is_server {
            true => None,
            false => Some(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port to listen at")),
        };
        let port = listener.as_ref().map_or_else(free_port, |listener| listener.local_addr().expect("a port").port());
        scene.controller();
        let host = if tls.is_some() { "localhost" } else { "127.0.0.1" };
        let (number, encrypted) = (port.to_string(), if tls.is_some() { "1" } else { "0" });
        let common = [("Protocol", "WebSocket"), ("Port", &number), ("Path", "/usp"), ("EnableEncryption", encrypted)];
        let own = [("address", "127.0.0.1"), ("KeepAliveInterval", options.keep_alive)];
        let way = [
            ("controller", "first"),
            ("Host", host),
            ("KeepAliveInterval", options.keep_alive),
            ("SessionRetryMinimumWaitInterval", options.retry),
        ];
        let told = &mut scene.told;
        match is_server {
            true => told.section("mtp", "wire_ws", &[&common[..], &own].concat()),
            false => told.section("controller_mtp", "wire_ws", &[&common[..], &way].concat()),
        }
        if let Some(secure) = &tls {
            secure.tell("first", told);
        }
        for (name, value) in [("HOST", host), ("PORT", &number), ("PATH", "/usp"), ("RETRY", options.retry)] {
            told.fact("first", name, value);
        }
        Lane { listener, port, tls }
    }

    /// The agent's next request for a session.
    pub async fn asked(&self, within: Duration) -> Asked {
        let listener = self.listener.as_ref().expect("the agent is the client");
        let (tcp, _) = timeout(within, listener.accept()).await.expect("the EUT does not connect").expect("a peer");
        tcp.set_nodelay(true).expect("no delay");
        match &self.tls {
            None => Asked::read(tcp).await,
            Some(secure) => {
                let mut first = [0];
                tcp.peek(&mut first).await.expect("a first byte");
                assert_eq!(first, [0x16], "not a TLS handshake");
                let stream = acceptor(secure.tester(), secure.authority()).accept(tcp).await.expect("TLS");
                let version = stream.get_ref().1.protocol_version();
                assert!(matches!(version, Some(ProtocolVersion::TLSv1_2 | ProtocolVersion::TLSv1_3)), "{version:?}");
                Asked::read(stream).await
            }
        }
    }

    /// A TCP connection to the agent's server, as soon as it is there.
    async fn dial(&self) -> TcpStream {
        let until = Instant::now() + PATIENCE;
        loop {
            match TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).await {
                Ok(tcp) => return tcp,
                Err(error) => assert!(Instant::now() < until, "the EUT does not listen: {error}"),
            }
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// Asks the agent for a session.
    pub async fn ask(&self, ids: &Ids, headers: &[(&str, &str)]) -> Option<(crate::raw_websocket::Head, Socket)> {
        let (tcp, path) = (self.dial().await, format!("/usp?eid={}", ids.own));
        match &self.tls {
            None => ask(tcp, &path, headers).await,
            Some(secure) => ask(secure.connect(tcp).await, &path, headers).await,
        }
    }

    /// A session, whoever begins it.
    pub async fn open(&self, ids: &Ids) -> Socket {
        if self.listener.is_some() {
            return self.asked(PATIENCE).await.accept().await;
        }
        let (head, socket) = self.ask(ids, &[PROTOCOL]).await.expect("the EUT refuses the session");
        assert!(head.line.starts_with("HTTP/1.1 101"), "{head:?}");
        assert_eq!(head.get(PROTOCOL.0), Some(PROTOCOL.1), "R-WS.11");
        socket
    }
}

const PROTOCOL: (&str, &str) = ("Sec-WebSocket-Protocol", "v1.usp");

/// A server's side of TLS that wants certificates.
pub fn acceptor(own: &Issued, authority: &Path) -> TlsAcceptor {
    let mut roots = tokio_rustls::rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(authority).expect("an authority")).expect("an authority");
    let provider = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
    let verifier = tokio_rustls::rustls::server::WebPkiClientVerifier::builder_with_provider(
        Arc::new(roots),
        Arc::clone(&provider),
    );
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("TLS 1.2 and 1.3")
        .with_client_cert_verifier(verifier.build().expect("a verifier"))
        .with_single_cert(
            vec![CertificateDer::from_pem_file(&own.certificate).expect("a certificate")],
            PrivateKeyDer::from_pem_file(&own.key).expect("a key"),
        );
    TlsAcceptor::from(Arc::new(config.expect("a server")))
}

/// An agent that is started, and its first session.
async fn met(scene: &mut Scene) -> (Lane, Ids, Socket) {
    let lane = Lane::new(scene, Options::default()).await;
    scene.power_on().await;
    let ids = Ids::of(scene);
    let socket = lane.open(&ids).await;
    (lane, ids, socket)
}

pub async fn session_establishment(scene: &mut Scene) {
    let (lane, ids, _first) = met(scene).await;
    scene.eut.power_cycle().await;
    let mut socket = lane.open(&ids).await;
    ids.gets(&mut socket, DEVICE_INFO).await;
}

pub async fn use_of_only_one_session(scene: &mut Scene) {
    let (lane, ids, mut first) = met(scene).await;
    ids.gets(&mut first, DEVICE_INFO).await;
    let second = lane.ask(&ids, &[PROTOCOL]).await;
    let refused = second.as_ref().is_none_or(|(head, _)| !head.line.starts_with("HTTP/1.1 101"));
    if refused {
        ids.gets(&mut first, DEVICE_INFO).await;
        return;
    }
    let (_, mut second) = second.expect("a second session");
    ids.gets(&mut second, DEVICE_INFO).await;
    first.close_frame(SOON).await;
}

pub async fn closing(scene: &mut Scene) {
    let (_lane, ids, mut socket) = met(scene).await;
    ids.connect_record(&mut socket).await;
    socket.send(true, opcode::CLOSE, &1000u16.to_be_bytes()).await;
    let close = socket.close_frame(SOON).await;
    assert_eq!(close.code(), Some(1000), "RFC 6455, 5.5.1: the status code is echoed");
    if scene.transport == Transport::WebSocketServer {
        assert!(socket.ends(SOON).await, "the server closes the TCP connection first (RFC 6455, 7.1.1)");
    }
}

/// An agent that is refused goes on trying; one that is asked without the header refuses.
pub async fn rejection(scene: &mut Scene) {
    let lane = Lane::new(scene, Options { retry: "1", ..Options::default() }).await;
    scene.power_on().await;
    let ids = Ids::of(scene);
    if scene.transport == Transport::WebSocketServer {
        let answer = lane.ask(&ids, &[]).await;
        let refused = answer.as_ref().is_none_or(|(head, _)| head.line.starts_with("HTTP/1.1 4"));
        assert!(refused, "R-WS.12a: {:?}", answer.map(|(head, _)| head));
        return;
    }
    let asked = lane.asked(PATIENCE).await;
    assert_eq!(asked.request.get(PROTOCOL.0), Some(PROTOCOL.1), "R-WS.10");
    let mut socket = asked.switch(&[]).await;
    assert!(socket.ends(SOON).await, "R-WS.12: the EUT keeps the session");
    assert_eq!(socket.records, 0);
    let mut socket = lane.open(&ids).await;
    ids.gets(&mut socket, DEVICE_INFO).await;
}

pub async fn unprocessed_records(scene: &mut Scene) {
    let (_lane, ids, mut socket) = met(scene).await;
    ids.connect_record(&mut socket).await;
    socket.send_record(b"\xff\xff\xffno record").await;
    assert_eq!(socket.close_frame(SOON).await.code(), Some(1003));
}

pub async fn ping_and_pong(scene: &mut Scene) {
    let (_lane, ids, mut socket) = met(scene).await;
    ids.connect_record(&mut socket).await;
    socket.send(true, opcode::PING, b"are you there").await;
    let pong = socket.frame(Duration::from_secs(60)).await.expect("the connection ends");
    assert_eq!((pong.opcode, &*pong.payload), (opcode::PONG, &b"are you there"[..]));
    socket.send(true, opcode::PONG, b"nobody asked").await;
    ids.gets(&mut socket, DEVICE_INFO).await;
}

pub async fn session_retry(scene: &mut Scene) {
    let lane = Lane::new(scene, Options { retry: "1", ..Options::default() }).await;
    scene.power_on().await;
    let ids = Ids::of(scene);
    let mut socket = lane.open(&ids).await;
    let path = format!("Device.LocalAgent.Controller.[EndpointID==\"{}\"].MTP.[Protocol==\"WebSocket\"].", ids.own);
    let values = ids.gets(&mut socket, &path).await;
    let seconds = |name: &str| value_of(&values, name).parse::<f64>().expect("a number");
    let (m, k) = (seconds("SessionRetryMinimumWaitInterval"), seconds("SessionRetryIntervalMultiplier"));
    drop(socket);
    let mut since = Instant::now();
    for n in 1..=2 {
        let asked = lane.asked(Duration::from_secs_f64(m * (k / 1000.0).powi(n) + 5.0)).await;
        in_retry_range(since.elapsed(), n, m, k);
        since = Instant::now();
        if n == 1 {
            asked.refuse().await;
            continue;
        }
        let mut socket = asked.accept().await;
        let values = ids.gets(&mut socket, &path).await;
        assert_eq!(value_of(&values, "CurrentRetryCount"), "0", "R-WS.20");
    }
}

pub async fn use_of_tls(scene: &mut Scene) {
    let secure = Secure::new(scene.transport, Credential::Good, &scene.agent_id, &scene.own_id);
    let lane = Lane::with(scene, Options::default(), Some(secure)).await;
    scene.power_on().await;
    let ids = Ids::of(scene);
    let _first = lane.open(&ids).await;
    scene.eut.power_cycle().await;
    let mut socket = lane.open(&ids).await;
    ids.gets(&mut socket, DEVICE_INFO).await;
}

pub async fn connect_record(scene: &mut Scene) {
    let (lane, ids, _first) = met(scene).await;
    scene.eut.power_cycle().await;
    let mut socket = lane.open(&ids).await;
    let first = ids.connect_record(&mut socket).await;
    assert!(matches!(first, RecordType::WebsocketConnect(_)), "{first:?}");
}

/// `open` never sends the extension, as server or as client.
pub async fn without_extension(scene: &mut Scene) {
    let (lane, ids, _first) = met(scene).await;
    scene.eut.power_cycle().await;
    let mut socket = lane.open(&ids).await;
    ids.gets(&mut socket, DEVICE_INFO).await;
}

pub async fn fragmented(scene: &mut Scene) {
    let (_lane, ids, mut socket) = met(scene).await;
    let (id, record) = ids.request(crate::wire::get(DEVICE_INFO));
    let pieces: Vec<&[u8]> = record.chunks(record.len() / 3).collect();
    let last = pieces.len() - 1;
    for (at, piece) in pieces.into_iter().enumerate() {
        let kind = if at == 0 { opcode::BINARY } else { opcode::CONTINUATION };
        socket.send(at == last, kind, piece).await;
        if at != last {
            // RFC 6455, 5.4: control frames may come between the pieces.
            socket.send(true, opcode::PING, b"").await;
        }
    }
    let answer = ids.answer(&mut socket, &id).await;
    let usp_agent::usp::wire::msg::body::MsgBody::Response(response) = answer else { panic!("{answer:?}") };
    crate::wire::values(response.resp_type.expect("a GetResp"), DEVICE_INFO);
}
