//! The client's half: asks for USP, and believes only an answer made for its question.

use super::endpoint_id::{encode, extension};
use super::{EXTENSIONS, PROTOCOL, SUBPROTOCOL, accept_key, config};
use crate::base64;
use crate::mtp::class::{Class, Why};
use crate::mtp::http::head::{Head, HeadFault, check_version, receive};
use crate::mtp::stream::explain_io;
use ring::rand::{SecureRandom, SystemRandom};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::Role;

/// Characters of a server's own words for its status that are told.
const MAX_REASON: usize = 64;

/// A request, ready to be sent once.
pub(in crate::mtp::websocket) struct Request {
    text: String,
    key: String,
}

/// Why a server's answer opens no session.
#[derive(Debug)]
pub(super) enum Failure {
    Head(HeadFault),
    /// Another status than 101, in the server's words.
    Status(String),
    /// What an upgrade lacks.
    NoUpgrade(&'static str),
    NoSubprotocol,
    OtherSubprotocol,
}

/// The client's request (R-WS.10, R-WS.10b); the deprecated extension is offered for old servers.
///
/// # Errors
/// One sentence: the host or the path cannot stand in a request.
pub(in crate::mtp::websocket) fn request(
    host: &str,
    port: u16,
    path: &str,
    own_id: &str,
    encrypted: bool,
) -> Result<Request, String> {
    let (authority, target) = (authority(host, port, encrypted), target(path, own_id));
    let breaks = |c: char| c.is_control() || c.is_whitespace();
    if target.contains(breaks) || authority.contains(|c| breaks(c) || "/?#@\\".contains(c)) {
        // The path is not told: it may hold a password.
        let why = format!("no request can be made of host, path and endpoint id \"{own_id}\"");
        return Err(format!("{why}: invalid uri character"));
    }
    let key = key();
    let text = format!(
        "GET {target} HTTP/1.1\r\nHost: {authority}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n{PROTOCOL}: {SUBPROTOCOL}\r\n{EXTENSIONS}: {}\r\n\r\n",
        extension(own_id)
    );
    Ok(Request { text, key })
}

fn authority(host: &str, port: u16, encrypted: bool) -> String {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let host = if bare.contains(':') { format!("[{bare}]") } else { bare.to_owned() };
    match (encrypted, port) {
        (true, 443) | (false, 80) => host,
        _ => format!("{host}:{port}"),
    }
}

/// Path and query with `eid` appended; a fragment is never sent.
fn target(path: &str, own_id: &str) -> String {
    let path = path.split('#').next().unwrap_or_default();
    let slash = if path.starts_with('/') { "" } else { "/" };
    let separator = match path.split_once('?') {
        None => "?",
        Some((_, "")) => "",
        Some((_, query)) if query.ends_with('&') => "",
        Some(_) => "&",
    };
    format!("{slash}{path}{separator}eid={}", encode(own_id))
}

/// It keeps caches from answering, no attacker out: without random numbers zeros do.
fn key() -> String {
    let mut bytes = [0; 16];
    let _ = SystemRandom::new().fill(&mut bytes);
    base64::encode(&bytes)
}

/// Sends the request and waits for the answer; the deadline is the caller's.
///
/// # Errors
/// One sentence about `server` and what to check.
pub(in crate::mtp::websocket) async fn upgrade<S: AsyncRead + AsyncWrite + Unpin>(
    mut stream: S,
    request: &Request,
    server: &str,
) -> Result<WebSocketStream<S>, Why> {
    let rest =
        ask(&mut stream, request).await.map_err(|failure| Why::new(class_of(&failure), explain(&failure, server)))?;
    Ok(WebSocketStream::from_partially_read(stream, rest, Role::Client, Some(config())).await)
}

/// The bytes behind an answer that opens the session.
async fn ask(stream: &mut (impl AsyncRead + AsyncWrite + Unpin), request: &Request) -> Result<Vec<u8>, Failure> {
    let io = |error| Failure::Head(HeadFault::Io(error));
    stream.write_all(request.text.as_bytes()).await.map_err(io)?;
    stream.flush().await.map_err(io)?;
    let received = receive(stream, b"HTTP/").await.map_err(Failure::Head)?;
    check(&Head::parse(&received.head).map_err(Failure::Head)?, &request.key)?;
    Ok(received.rest)
}

/// RFC 6455, 4.1, and R-WS.11: the subprotocol has to be selected.
fn check(head: &Head, key: &str) -> Result<(), Failure> {
    let [version, status, reason] = head.start;
    check_version(version).map_err(Failure::Head)?;
    if status.len() != 3 || !status.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Failure::Head(HeadFault::Malformed("status")));
    }
    if status != "101" {
        let reason: String = reason.chars().take(MAX_REASON).collect();
        return Err(Failure::Status(format!("{status} {reason}").trim_end().to_owned()));
    }
    if !head.lists("Upgrade", "websocket") {
        return Err(Failure::NoUpgrade("No \"Upgrade: websocket\" header"));
    }
    if !head.lists("Connection", "Upgrade") {
        return Err(Failure::NoUpgrade("No \"Connection: upgrade\" header"));
    }
    if head.first("Sec-WebSocket-Accept") != Some(&accept_key(key)) {
        return Err(Failure::NoUpgrade("Key mismatch in \"Sec-WebSocket-Accept\" header"));
    }
    match head.first(PROTOCOL) {
        None => Err(Failure::NoSubprotocol),
        Some(SUBPROTOCOL) => Ok(()),
        Some(_) => Err(Failure::OtherSubprotocol),
    }
}

fn class_of(failure: &Failure) -> Class {
    match failure {
        Failure::Status(_) => Class::Http,
        Failure::NoSubprotocol | Failure::OtherSubprotocol => Class::Subprotocol,
        Failure::Head(HeadFault::Io(error)) => explain_io(error).or(Class::Protocol).class,
        Failure::Head(_) | Failure::NoUpgrade(_) => Class::Protocol,
    }
}

/// A sentence for a handshake that failed.
fn explain(failure: &Failure, server: &str) -> String {
    match failure {
        Failure::Status(status) => {
            format!("{server} answered HTTP {status}: check host, port, path and what the server allows")
        }
        Failure::NoSubprotocol => format!("{server} did not select the subprotocol {SUBPROTOCOL}"),
        Failure::OtherSubprotocol => format!("{server} selected another subprotocol than {SUBPROTOCOL}"),
        Failure::Head(fault @ HeadFault::Io(_)) => format!("{server}: {fault}"),
        Failure::Head(fault) => format!("{server} is no WebSocket server: WebSocket protocol error: {fault}"),
        Failure::NoUpgrade(lack) => format!("{server} is no WebSocket server: WebSocket protocol error: {lack}"),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in super::super) const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
    pub(in super::super) const GOOD: &str = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nSec-WebSocket-Protocol: v1.usp\r\n\r\n";

    /// What the client makes of an answer.
    pub(in super::super) async fn opened(answer: &[u8]) -> Result<(), Failure> {
        let received = receive(&mut &*answer, b"HTTP/").await.map_err(Failure::Head)?;
        check(&Head::parse(&received.head).map_err(Failure::Head)?, KEY)
    }

    async fn told(answer: &str) -> String {
        opened(answer.as_bytes()).await.map_or_else(|failure| explain(&failure, "c:80"), |()| "opened".into())
    }

    #[test]
    fn the_endpoint_id_joins_the_query_as_opaque_data() {
        assert_eq!(target("/usp", "doc::agent%21"), "/usp?eid=doc::agent%2521");
        assert_eq!(target("ws/agent/p%20w?a=1", "os::00D09E-1"), "/ws/agent/p%20w?a=1&eid=os::00D09E-1");
        assert_eq!(target("/?", "proto::a&b c"), "/?eid=proto::a%26b%20c");
        assert_eq!(target("/usp#part", "proto::a"), "/usp?eid=proto::a");
    }

    #[test]
    fn default_ports_and_ipv6_hosts_are_written_as_the_rfc_wants() {
        assert_eq!(authority("c.example", 443, true), "c.example");
        assert_eq!(authority("c.example", 443, false), "c.example:443");
        assert_eq!(authority("::1", 8080, false), "[::1]:8080");
    }

    #[test]
    fn host_and_path_cannot_break_the_request() {
        for (host, path) in [("a b", "/"), ("a\r\nX: y", "/"), ("a/b", "/"), ("a", "/x y"), ("a", "/\r\nX: y")] {
            let why = request(host, 80, path, "proto::a", false).err().unwrap();
            assert!(why.contains("no request can be made") && !why.contains("X: y"), "{why}");
        }
        assert!(request("a", 80, "/", "proto::a\r\nX: y", false).unwrap().text.contains("eid=\"proto::aX: y\"\r\n"));
    }

    #[test]
    fn every_request_has_its_own_key_of_sixteen_bytes() {
        let (one, two) = (key(), key());
        assert!(one != two && one.len() == 24 && one.ends_with("=="), "{one} {two}");
    }

    #[tokio::test]
    async fn a_full_answer_opens_the_session_whatever_else_it_says() {
        assert_eq!(told(GOOD).await, "opened");
        assert_eq!(
            told(&GOOD.replace("Connection: ", "sec-websocket-version: 13\r\nCONNECTION:keep-alive, ")).await,
            "opened"
        );
        assert_eq!(told(&GOOD.replace("\r\n", "\n")).await, "opened");
    }

    #[tokio::test]
    async fn what_an_answer_lacks_is_named() {
        let cases = [
            ("101 Switching Protocols", "403 Forbidden", "c:80 answered HTTP 403 Forbidden: check host"),
            ("101 Switching Protocols", "503", "c:80 answered HTTP 503: check host"),
            ("101 ", "1x1 ", "Invalid HTTP status"),
            ("HTTP/1.1", "HTTP/1.0", "HTTP version must be 1.1"),
            ("HTTP/1.1", "SSH-2.0", "Invalid HTTP start line"),
            ("Upgrade: websocket", "Upgrade: h2c", "No \"Upgrade: websocket\" header"),
            ("Connection: Upgrade", "Connection: close", "No \"Connection: upgrade\" header"),
            ("s3pP", "S3pP", "Key mismatch in \"Sec-WebSocket-Accept\" header"),
            ("Sec-WebSocket-Protocol: v1.usp\r\n", "", "c:80 did not select the subprotocol v1.usp"),
            ("v1.usp", "v2.usp", "c:80 selected another subprotocol than v1.usp"),
            ("\r\n\r\n", "\r\n", "c:80 is no WebSocket server: WebSocket protocol error: Handshake not finished"),
        ];
        for (good, bad, why) in cases {
            let told = told(&GOOD.replace(good, bad)).await;
            assert!(told.contains(why), "{bad}: {told}");
        }
    }

    #[tokio::test]
    async fn frames_behind_the_answer_are_not_lost() {
        use futures_util::StreamExt;
        let (mut server, client) = tokio::io::duplex(4096);
        let request = request("c", 80, "/", "proto::a", false).unwrap();
        let answer = GOOD.replace("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", &accept_key(&request.key));
        server.write_all(&[answer.as_bytes(), b"\x82\x03usp"].concat()).await.unwrap();
        let mut ws = upgrade(client, &request, "c:80").await.unwrap();
        assert_eq!(&ws.next().await.unwrap().unwrap().into_data()[..], b"usp");
    }
}
