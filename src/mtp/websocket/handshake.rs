//! The opening handshake of RFC 6455, our own (docs/decisions/0007): one HTTP/1.1 head each way,
//! then frames by tungstenite.
//!
//! It takes what stands in a head of at most [`head::MAX_HEAD`] bytes and [`head::MAX_HEADERS`]
//! headers. No redirects, no cookies, no HTTP/2, no compression; a body is never read.

pub(super) mod client;
mod endpoint_id;
pub(super) mod server;

#[cfg(test)]
mod mangled;

pub(crate) use endpoint_id::encode;

use crate::base64;
use crate::mtp::MAX_RECORD;
#[cfg(doc)]
use crate::mtp::http::head;
use ring::digest::{Context, SHA1_FOR_LEGACY_USE_ONLY};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;

/// R-WS.9.
const SUBPROTOCOL: &str = "v1.usp";
const PROTOCOL: &str = "Sec-WebSocket-Protocol";
const EXTENSIONS: &str = "Sec-WebSocket-Extensions";
/// What RFC 6455 appends to the key.
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// Buffers sized for a router: small ones that grow to one record.
fn config() -> WebSocketConfig {
    WebSocketConfig::default()
        .read_buffer_size(4096)
        .write_buffer_size(0)
        .max_write_buffer_size(2 * MAX_RECORD)
        .max_message_size(Some(MAX_RECORD))
        .max_frame_size(Some(MAX_RECORD))
}

/// Sec-WebSocket-Accept for a Sec-WebSocket-Key.
fn accept_key(key: &str) -> String {
    let mut digest = Context::new(&SHA1_FOR_LEGACY_USE_ONLY);
    digest.update(key.as_bytes());
    digest.update(GUID);
    base64::encode(digest.finish().as_ref())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_rfc_6455_is_accepted_as_there() {
        assert_eq!(accept_key("dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }
}
