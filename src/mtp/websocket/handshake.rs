//! The two halves of the opening handshake: request URI, subprotocol, endpoint id.

use crate::mtp::MAX_RECORD;
use tokio_tungstenite::tungstenite;
use tungstenite::handshake::client::{Request, generate_key};
use tungstenite::handshake::server::{self, ErrorResponse};
use tungstenite::http::{HeaderMap, HeaderValue, StatusCode};
use tungstenite::protocol::WebSocketConfig;

/// R-WS.9.
pub(super) const SUBPROTOCOL: &str = "v1.usp";
const PROTOCOL: &str = "Sec-WebSocket-Protocol";
const EXTENSIONS: &str = "Sec-WebSocket-Extensions";
const EXTENSION: &str = "bbf-usp-protocol";
/// The longest endpoint id taken from a request, in bytes.
const MAX_ENDPOINT_ID: usize = 256;

/// Buffers sized for a router: small ones that grow to one record.
pub(super) fn config() -> WebSocketConfig {
    WebSocketConfig::default()
        .read_buffer_size(4096)
        .write_buffer_size(0)
        .max_write_buffer_size(2 * MAX_RECORD)
        .max_message_size(Some(MAX_RECORD))
        .max_frame_size(Some(MAX_RECORD))
}

/// The client's request (R-WS.10, R-WS.10b); the deprecated extension is offered for old servers.
///
/// # Errors
/// One sentence: the path or the id cannot stand in a request.
pub(super) fn request(host: &str, port: u16, path: &str, own_id: &str, encrypted: bool) -> Result<Request, String> {
    let scheme = if encrypted { "wss" } else { "ws" };
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let host = if bare.contains(':') { format!("[{bare}]") } else { bare.to_owned() };
    let authority = match (encrypted, port) {
        (true, 443) | (false, 80) => host,
        _ => format!("{host}:{port}"),
    };
    let request = Request::builder()
        .uri(format!("{scheme}://{authority}{}", target(path, own_id)))
        .header("Host", &authority)
        .header("Connection", "Upgrade")
        .header("Upgrade", "websocket")
        .header("Sec-WebSocket-Version", "13")
        .header("Sec-WebSocket-Key", generate_key())
        .header(PROTOCOL, SUBPROTOCOL)
        .header(EXTENSIONS, offer(own_id))
        .body(());
    // The path is not told: it may hold a password.
    request.map_err(|error| format!("no request can be made of host, path and endpoint id \"{own_id}\": {error}"))
}

/// Path and query with `eid` appended.
fn target(path: &str, own_id: &str) -> String {
    let slash = if path.starts_with('/') { "" } else { "/" };
    let separator = match path.split_once('?') {
        None => "?",
        Some((_, "")) => "",
        Some((_, query)) if query.ends_with('&') => "",
        Some(_) => "&",
    };
    format!("{slash}{path}{separator}eid={}", encode(own_id))
}

fn offer(id: &str) -> String {
    format!("{EXTENSION}; eid=\"{}\"", id.replace(['"', '\\'], ""))
}

/// R-WS.10c: the id is opaque, so its own percent signs are encoded as well.
fn encode(id: &str) -> String {
    let mut encoded = String::with_capacity(id.len());
    for byte in id.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b':' => encoded.push(byte.into()),
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

/// The reverse of [`encode`]; a lone percent sign stands for itself.
fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let escaped = (first == b'%').then(|| after.get(..2)).flatten().and_then(|hex| std::str::from_utf8(hex).ok());
        match escaped.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = after.get(2..)?;
            }
            None => {
                bytes.push(first);
                rest = after;
            }
        }
    }
    String::from_utf8(bytes).ok()
}

/// What the server takes from a request it accepts.
pub(super) struct Accepted {
    pub(super) endpoint_id: Option<Box<str>>,
}

/// Checks a request (R-WS.12a) and completes the response (R-WS.11, R-WS.11a).
#[allow(clippy::result_large_err)] // The shape tungstenite's callback asks for.
pub(super) fn accept(
    request: &server::Request,
    mut response: server::Response,
    path: &str,
    own_id: &str,
) -> Result<(server::Response, Accepted), ErrorResponse> {
    if request.uri().path() != path {
        return Err(refusal(StatusCode::NOT_FOUND, format!("no USP endpoint at {}\n", request.uri().path())));
    }
    if !listed(request.headers(), PROTOCOL).any(|name| name == SUBPROTOCOL) {
        return Err(refusal(StatusCode::BAD_REQUEST, format!("the subprotocol {SUBPROTOCOL} is not offered\n")));
    }
    let headers = response.headers_mut();
    headers.insert(PROTOCOL, HeaderValue::from_static(SUBPROTOCOL));
    let offered = extension_id(request.headers());
    if let (Some(_), Ok(value)) = (&offered, HeaderValue::from_str(&offer(own_id))) {
        headers.insert(EXTENSIONS, value);
    }
    let endpoint_id = request.uri().query().and_then(query_id).or(offered.filter(|id| !id.is_empty()));
    let endpoint_id = endpoint_id.filter(|id| id.len() <= MAX_ENDPOINT_ID).map(Into::into);
    Ok((response, Accepted { endpoint_id }))
}

fn refusal(status: StatusCode, body: String) -> ErrorResponse {
    let mut response = ErrorResponse::new(Some(body));
    *response.status_mut() = status;
    response.headers_mut().insert("Connection", HeaderValue::from_static("close"));
    response
}

fn listed<'a>(headers: &'a HeaderMap, name: &str) -> impl Iterator<Item = &'a str> {
    let values = headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).map(str::trim)
}

fn query_id(query: &str) -> Option<String> {
    let id = query.split('&').find_map(|pair| pair.strip_prefix("eid="))?;
    decode(id).filter(|id| !id.is_empty())
}

/// The id in `bbf-usp-protocol; eid="…"`, empty where the extension names none.
fn extension_id(headers: &HeaderMap) -> Option<String> {
    let extension = listed(headers, EXTENSIONS).find(|extension| extension.starts_with(EXTENSION))?;
    let id = extension.split(';').find_map(|part| part.trim().strip_prefix("eid="));
    Some(id.unwrap_or_default().trim_matches('"').to_owned())
}

/// A sentence for a handshake that failed.
pub(super) fn explain(error: &tungstenite::Error, url: &str) -> String {
    use tungstenite::Error;
    use tungstenite::error::{ProtocolError, SubProtocolError};
    match error {
        Error::Http(response) => {
            format!("{url} answered HTTP {}: check host, port, path and what the server allows", response.status())
        }
        Error::Protocol(ProtocolError::SecWebSocketSubProtocolError(reason)) => match reason {
            SubProtocolError::NoSubProtocol => format!("{url} did not select the subprotocol {SUBPROTOCOL}"),
            _ => format!("{url} selected another subprotocol than {SUBPROTOCOL}"),
        },
        Error::Io(error) => format!("{url}: {}", crate::mtp::stream::explain_io(error)),
        error => format!("{url} is no WebSocket server: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_endpoint_id_joins_the_query_as_opaque_data() {
        assert_eq!(target("/usp", "doc::agent%21"), "/usp?eid=doc::agent%2521");
        assert_eq!(target("ws/agent/p%20w?a=1", "os::00D09E-1"), "/ws/agent/p%20w?a=1&eid=os::00D09E-1");
        assert_eq!(target("/?", "proto::a&b c"), "/?eid=proto::a%26b%20c");
    }

    #[test]
    fn what_is_encoded_comes_back() {
        for id in ["doc::agent%21", "oui:00256D:my-unique", "self::a b&c=d+e#f/ü"] {
            assert_eq!(query_id(&format!("x=1&eid={}&y", encode(id))).as_deref(), Some(id));
        }
        assert_eq!(query_id("eid=100%&x").as_deref(), Some("100%"));
        assert_eq!(query_id("eid=%ff"), None);
        assert_eq!(query_id("neid=x"), None);
    }

    #[test]
    fn default_ports_and_ipv6_hosts_are_written_as_the_rfc_wants() {
        let host = |host, port, encrypted| {
            let request = request(host, port, "/", "proto::a", encrypted).unwrap();
            request.headers()["Host"].to_str().unwrap().to_owned()
        };
        assert_eq!(host("c.example", 443, true), "c.example");
        assert_eq!(host("c.example", 443, false), "c.example:443");
        assert_eq!(host("::1", 8080, false), "[::1]:8080");
    }

    fn asked(uri: &str, headers: &[(&str, &str)]) -> server::Request {
        let mut request = tungstenite::http::Request::builder().uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap()
    }

    fn answer(request: &server::Request) -> Result<(server::Response, Accepted), StatusCode> {
        accept(request, server::Response::new(()), "/usp", "proto::us").map_err(|refused| refused.status())
    }

    #[test]
    fn a_server_wants_its_path_and_the_subprotocol() {
        let usp = [(PROTOCOL, "x, v1.usp")];
        assert_eq!(answer(&asked("/other?eid=a", &usp)).err(), Some(StatusCode::NOT_FOUND));
        assert_eq!(answer(&asked("/usp?eid=a", &[(PROTOCOL, "v2.usp")])).err(), Some(StatusCode::BAD_REQUEST));
        let (response, accepted) = answer(&asked("/usp?eid=proto::c", &usp)).unwrap();
        assert_eq!(response.headers()[PROTOCOL], SUBPROTOCOL);
        assert!(!response.headers().contains_key(EXTENSIONS));
        assert_eq!(accepted.endpoint_id.as_deref(), Some("proto::c"));
    }

    #[test]
    fn the_deprecated_extension_names_the_peer_and_is_echoed() {
        let offered = [(PROTOCOL, SUBPROTOCOL), (EXTENSIONS, "permessage-deflate, bbf-usp-protocol; eid=\"proto::c\"")];
        let (response, accepted) = answer(&asked("/usp", &offered)).unwrap();
        assert_eq!(response.headers()[EXTENSIONS], "bbf-usp-protocol; eid=\"proto::us\"");
        assert_eq!(accepted.endpoint_id.as_deref(), Some("proto::c"));
    }
}
