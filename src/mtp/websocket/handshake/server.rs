//! The server's half: accepts one path and one subprotocol, and says in HTTP why it refuses.

use super::endpoint_id::{extension, extension_id, query_id};
use super::{EXTENSIONS, PROTOCOL, SUBPROTOCOL, accept_key, config};
use crate::mtp::http::head::{Head, HeadFault, Received, check_version, receive};
use std::fmt;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::Role;

/// The longest endpoint id taken from a request, in bytes.
const MAX_ENDPOINT_ID: usize = 256;
/// Characters of a wrong path that are told.
const MAX_PATH_TOLD: usize = 128;

/// Why a request is refused.
#[derive(Debug)]
pub(super) enum Refusal {
    Head(HeadFault),
    Method,
    NoConnection,
    NoUpgrade,
    NoVersion,
    NoKey,
    InvalidKey,
    /// The path asked for.
    NoSuchPath(String),
    NoSubprotocol,
}

impl Refusal {
    /// Status line and the headers that go with it; None: nobody is there to read them.
    fn status(&self) -> Option<(&'static str, &'static str)> {
        let close = "Connection: close\r\n";
        Some(match self {
            Refusal::Head(HeadFault::Io(_) | HeadFault::Unfinished) => return None,
            Refusal::Head(HeadFault::TooLong | HeadFault::TooManyHeaders) => {
                ("431 Request Header Fields Too Large", close)
            }
            Refusal::Head(HeadFault::Version) => ("505 HTTP Version Not Supported", close),
            Refusal::Method => ("405 Method Not Allowed", "Connection: close\r\nAllow: GET\r\n"),
            Refusal::NoConnection | Refusal::NoUpgrade | Refusal::NoVersion => (
                "426 Upgrade Required",
                "Connection: upgrade, close\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n",
            ),
            Refusal::NoSuchPath(_) => ("404 Not Found", close),
            Refusal::Head(HeadFault::Malformed(_)) | Refusal::NoKey | Refusal::InvalidKey | Refusal::NoSubprotocol => {
                ("400 Bad Request", close)
            }
        })
    }

    fn response(&self) -> Option<String> {
        let ((status, headers), body) = (self.status()?, format!("{self}\n"));
        let length = body.len();
        Some(format!(
            "HTTP/1.1 {status}\r\n{headers}Content-Type: text/plain; charset=utf-8\r\nContent-Length: {length}\r\n\r\n{body}"
        ))
    }

    /// A sentence for the log.
    fn told(&self) -> String {
        match (self, self.status()) {
            (Refusal::NoSuchPath(_) | Refusal::NoSubprotocol, Some((status, _))) => format!("{self} ({status})"),
            (Refusal::Head(HeadFault::Io(_)), _) => self.to_string(),
            _ => format!("WebSocket protocol error: {self}"),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Refusal::Head(fault) => return fault.fmt(f),
            Refusal::NoSuchPath(path) => return write!(f, "no USP endpoint at {path}"),
            Refusal::NoSubprotocol => return write!(f, "the subprotocol {SUBPROTOCOL} is not offered"),
            Refusal::Method => "Unsupported HTTP method used - only GET is allowed",
            Refusal::NoConnection => "No \"Connection: upgrade\" header",
            Refusal::NoUpgrade => "No \"Upgrade: websocket\" header",
            Refusal::NoVersion => "No \"Sec-WebSocket-Version: 13\" header",
            Refusal::NoKey => "No \"Sec-WebSocket-Key\" header",
            Refusal::InvalidKey => "Invalid \"Sec-WebSocket-Key\" header value",
        })
    }
}

/// What the server answers to a request it accepts, and who asked.
#[derive(Debug)]
struct Acceptance {
    response: String,
    endpoint_id: Option<Box<str>>,
}

/// A session and the endpoint id its peer claims.
pub(in crate::mtp::websocket) type Accepted<S> = (WebSocketStream<S>, Option<Box<str>>);

/// Reads a request and answers it; the deadline is the caller's.
///
/// # Errors
/// One sentence: why it was refused. The peer was told with an HTTP status.
pub(in crate::mtp::websocket) async fn accept<S: AsyncRead + AsyncWrite + Unpin>(
    mut stream: S,
    path: &str,
    own_id: &str,
) -> Result<Accepted<S>, String> {
    let (acceptance, rest) = match consider(&mut stream, path, own_id).await {
        Ok(considered) => considered,
        Err(refusal) => {
            refuse(&mut stream, &refusal).await;
            return Err(refusal.told());
        }
    };
    let sent = async {
        stream.write_all(acceptance.response.as_bytes()).await?;
        stream.flush().await
    };
    sent.await.map_err(|error| HeadFault::Io(error).to_string())?;
    let ws = WebSocketStream::from_partially_read(stream, rest, Role::Server, Some(config())).await;
    Ok((ws, acceptance.endpoint_id))
}

async fn consider(
    stream: &mut (impl AsyncRead + Unpin),
    path: &str,
    own_id: &str,
) -> Result<(Acceptance, Vec<u8>), Refusal> {
    let Received { head, rest } = receive(stream, b"").await.map_err(Refusal::Head)?;
    let head = Head::parse(&head).map_err(Refusal::Head)?;
    Ok((answer(&head, path, own_id)?, rest))
}

async fn refuse(stream: &mut (impl AsyncWrite + Unpin), refusal: &Refusal) {
    let Some(response) = refusal.response() else { return };
    // A peer that is gone already misses nothing.
    let _ = stream.write_all(response.as_bytes()).await;
    let _ = stream.shutdown().await;
}

/// Checks a request (RFC 6455, 4.2.1, R-WS.12a) and makes the response (R-WS.11, R-WS.11a).
fn answer(head: &Head, path: &str, own_id: &str) -> Result<Acceptance, Refusal> {
    let key = websocket_key(head)?;
    let (asked, query) = path_and_query(head.start[1]);
    if asked != path {
        return Err(Refusal::NoSuchPath(asked.chars().take(MAX_PATH_TOLD).collect()));
    }
    if !head.listed(PROTOCOL).any(|name| name == SUBPROTOCOL) {
        return Err(Refusal::NoSubprotocol);
    }
    let offered = extension_id(head);
    let echo = offered.as_ref().map(|_| format!("{EXTENSIONS}: {}\r\n", extension(own_id))).unwrap_or_default();
    let response = format!(
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Accept: {}\r\n{PROTOCOL}: {SUBPROTOCOL}\r\n{echo}\r\n",
        accept_key(key)
    );
    let endpoint_id = query_id(query).or(offered.filter(|id| !id.is_empty()));
    let endpoint_id = endpoint_id.filter(|id| id.len() <= MAX_ENDPOINT_ID).map(Into::into);
    Ok(Acceptance { response, endpoint_id })
}

/// The key of a request that asks for a WebSocket.
fn websocket_key<'a>(head: &Head<'a>) -> Result<&'a str, Refusal> {
    let [method, _, version] = head.start;
    check_version(version).map_err(Refusal::Head)?;
    if method != "GET" {
        return Err(Refusal::Method);
    }
    if !head.lists("Connection", "Upgrade") {
        return Err(Refusal::NoConnection);
    }
    if !head.lists("Upgrade", "websocket") {
        return Err(Refusal::NoUpgrade);
    }
    if head.first("Sec-WebSocket-Version") != Some("13") {
        return Err(Refusal::NoVersion);
    }
    let key = head.first("Sec-WebSocket-Key").ok_or(Refusal::NoKey)?;
    if is_sixteen_bytes(key) { Ok(key) } else { Err(Refusal::InvalidKey) }
}

/// In base64.
fn is_sixteen_bytes(key: &str) -> bool {
    let digit = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'+' || byte == b'/';
    key.strip_suffix("==").is_some_and(|digits| digits.len() == 22 && digits.bytes().all(digit))
}

/// Of a request target, which may be a whole URI (RFC 9112, 3.2.2).
fn path_and_query(target: &str) -> (&str, &str) {
    let target = target.split('#').next().unwrap_or_default();
    let target = match target.split_once("://") {
        Some((scheme, rest)) if !scheme.contains(['/', '?']) => {
            rest.find(['/', '?']).and_then(|at| rest.get(at..)).unwrap_or("/")
        }
        _ => target,
    };
    target.split_once('?').unwrap_or((target, ""))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in super::super) const GOOD: &str = "GET /usp?eid=proto::c HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\n\
         Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
         Sec-WebSocket-Protocol: x, v1.usp\r\nSec-WebSocket-Extensions: permessage-deflate, bbf-usp-protocol; eid=\"proto::d\"\r\n\r\n";

    /// The status line a request gets, and the peer's id; empty where it gets none.
    pub(in super::super) async fn answered(request: &[u8]) -> (String, Option<Box<str>>) {
        match consider(&mut &*request, "/usp", "proto::us").await {
            Ok((acceptance, _)) => (acceptance.response, acceptance.endpoint_id),
            Err(refusal) => (refusal.response().unwrap_or_default(), None),
        }
    }

    #[tokio::test]
    async fn a_full_request_is_accepted_and_its_peer_known() {
        let (response, id) = answered(GOOD.as_bytes()).await;
        assert_eq!(
            response,
            "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nSec-WebSocket-Protocol: v1.usp\r\n\
             Sec-WebSocket-Extensions: bbf-usp-protocol; eid=\"proto::us\"\r\n\r\n"
        );
        assert_eq!(id.as_deref(), Some("proto::c"));
    }

    #[tokio::test]
    async fn the_deprecated_extension_names_the_peer_where_the_query_does_not() {
        let (_, id) = answered(GOOD.replace("?eid=proto::c", "").as_bytes()).await;
        assert_eq!(id.as_deref(), Some("proto::d"));
        let (response, id) = answered(GOOD.replace("bbf-usp-protocol", "other").as_bytes()).await;
        assert!(response.starts_with("HTTP/1.1 101") && !response.contains("Extensions"), "{response}");
        assert_eq!(id.as_deref(), Some("proto::c"));
        let long = "x".repeat(MAX_ENDPOINT_ID + 1);
        assert_eq!(answered(GOOD.replace("proto::c", &long).as_bytes()).await.1, None);
    }

    #[tokio::test]
    async fn harmless_differences_are_accepted() {
        let changes = [
            ("Sec-WebSocket-Key", "sec-websocket-KEY"),
            ("Upgrade: websocket", "upgrade:WebSocket"),
            ("keep-alive, Upgrade", "keep-alive,upgrade"),
            ("\r\n", "\n"),
            ("GET /usp", "\r\nGET /usp"),
            ("/usp?", "http://host:80/usp?"),
            ("Host: a", "X: \u{e9}"),
        ];
        for (usual, other) in changes {
            let (response, id) = answered(GOOD.replace(usual, other).as_bytes()).await;
            assert!(response.starts_with("HTTP/1.1 101 "), "{other}: {response}");
            assert_eq!(id.as_deref(), Some("proto::c"));
        }
    }

    #[tokio::test]
    async fn each_refusal_has_its_status() {
        let many = "A: b\r\n".repeat(70);
        let long = format!("Host: {}", "a".repeat(9000));
        let changes = [
            ("/usp?", "/other?", "404 Not Found"),
            ("/usp?", "*?", "404 Not Found"),
            ("v1.usp", "v2.usp", "400 Bad Request"),
            ("GET ", "POST ", "405 Method Not Allowed"),
            ("HTTP/1.1", "HTTP/1.0", "505 HTTP Version Not Supported"),
            ("HTTP/1.1", "HTTP/2.0", "505 HTTP Version Not Supported"),
            (" HTTP/1.1", "", "400 Bad Request"),
            ("/usp?eid", "/usp? eid", "400 Bad Request"),
            ("keep-alive, Upgrade", "close", "426 Upgrade Required"),
            ("Upgrade: websocket", "Upgrade: h2c", "426 Upgrade Required"),
            ("Version: 13", "Version: 8", "426 Upgrade Required"),
            ("Sec-WebSocket-Key", "X-Key", "400 Bad Request"),
            ("dGhl", "d-hl", "400 Bad Request"),
            ("ZQ==", "ZQ=", "400 Bad Request"),
            ("Host: a", " folded", "400 Bad Request"),
            ("Host: a\r\n", &many, "431 Request Header Fields Too Large"),
            ("Host: a", &long, "431 Request Header Fields Too Large"),
        ];
        for (good, bad, status) in changes {
            let (response, _) = answered(GOOD.replacen(good, bad, 1).as_bytes()).await;
            assert!(response.starts_with(&format!("HTTP/1.1 {status}\r\n")), "{bad}: {response}");
            let (head, body) = response.split_once("\r\n\r\n").unwrap();
            assert!(head.contains(&format!("Content-Length: {}", body.len())), "{response}");
            assert_eq!(head.contains("Sec-WebSocket-Version: 13"), status.starts_with("426"));
        }
    }

    #[test]
    fn the_log_says_why() {
        assert_eq!(Refusal::NoSuchPath("/x".into()).told(), "no USP endpoint at /x (404 Not Found)");
        assert_eq!(Refusal::NoSubprotocol.told(), "the subprotocol v1.usp is not offered (400 Bad Request)");
        assert_eq!(Refusal::NoKey.told(), "WebSocket protocol error: No \"Sec-WebSocket-Key\" header");
    }

    #[tokio::test]
    async fn frames_behind_the_request_are_not_lost() {
        use futures_util::StreamExt;
        let (mut peer, ours) = tokio::io::duplex(4096);
        peer.write_all(&[GOOD.as_bytes(), b"\x82\x83\0\0\0\0usp"].concat()).await.unwrap();
        let (mut ws, _) = accept(ours, "/usp", "proto::us").await.unwrap();
        assert_eq!(&ws.next().await.unwrap().unwrap().into_data()[..], b"usp");
    }
}
