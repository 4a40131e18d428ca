//! The endpoint id in a handshake: in the query (R-WS.10b) and in the deprecated extension (R-WS.10a).

use super::EXTENSIONS;
use crate::mtp::http::head::Head;

const EXTENSION: &str = "bbf-usp-protocol";

/// The extension that names `id`, for a header.
pub(super) fn extension(id: &str) -> String {
    format!("{EXTENSION}; eid=\"{}\"", id.replace(|c: char| c.is_control() || matches!(c, '"' | '\\'), ""))
}

/// The id in `bbf-usp-protocol; eid="…"`, empty where the extension names none.
pub(super) fn extension_id(head: &Head) -> Option<String> {
    let extension = head.listed(EXTENSIONS).find(|extension| extension.starts_with(EXTENSION))?;
    let id = extension.split(';').find_map(|part| part.trim().strip_prefix("eid="));
    Some(id.unwrap_or_default().trim_matches('"').to_owned())
}

/// The id in a query.
pub(super) fn query_id(query: &str) -> Option<String> {
    let id = query.split('&').find_map(|pair| pair.strip_prefix("eid="))?;
    decode(id).filter(|id| !id.is_empty())
}

/// R-WS.10c: the id is opaque, so its own percent signs are encoded as well. It makes a segment of a path likewise.
pub(crate) fn encode(id: &str) -> String {
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

#[cfg(test)]
mod tests {
    use super::*;

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
    fn an_id_cannot_break_out_of_its_header() {
        assert_eq!(extension("a\"\\\r\nb"), "bbf-usp-protocol; eid=\"ab\"");
    }
}
