//! Cuts a stream of bytes into messages, however the bytes are split on their way.

use crate::backend::ubus::blobmsg::{MAX_MESSAGE, padded};
use crate::backend::ubus::message::{BLOB_HEADER, HEADER, Message};

/// A length no message has: whoever sent it is hung up on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BadLength(pub u32);

/// The bytes of a connection that are not yet a message. Holds at most one message and what
/// came in the same read.
#[derive(Debug, Default)]
pub struct Frames(Vec<u8>);

/// What a long message made the buffer grow to is given back beyond this, in bytes.
const KEPT: usize = 16 * 1024;

impl Frames {
    /// Appends what was read.
    pub fn push(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    /// The next whole message, if its bytes are here.
    ///
    /// # Errors
    /// [`BadLength`] under four bytes or over [`MAX_MESSAGE`]; the stream cannot be read on.
    pub fn next_message(&mut self) -> Result<Option<Message>, BadLength> {
        let Some(&[version, kind, s0, s1, p0, p1, p2, p3, l0, l1, l2, l3]) =
            self.0.first_chunk::<{ HEADER + BLOB_HEADER }>()
        else {
            return Ok(None);
        };
        let length = u32::from_be_bytes([0, l1, l2, l3]);
        if (length as usize) < BLOB_HEADER || padded(length as usize) > MAX_MESSAGE {
            return Err(BadLength(u32::from_be_bytes([l0, l1, l2, l3])));
        }
        let end = HEADER + length as usize;
        let Some(body) = self.0.get(HEADER + BLOB_HEADER..end).map(<[u8]>::to_vec) else {
            return Ok(None);
        };
        self.0.drain(..end);
        if self.0.is_empty() && self.0.capacity() > KEPT {
            self.0 = Vec::new();
        }
        let (seq, peer) = (u16::from_be_bytes([s0, s1]), u32::from_be_bytes([p0, p1, p2, p3]));
        Ok(Some(Message { version, kind, seq, peer, body }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::ubus::message::{Body, attr, kind};

    fn stream(count: u16) -> Vec<u8> {
        let message = |seq| Message::new(kind::LOOKUP, seq, 0, Body::default().string(attr::OBJPATH, "network.*"));
        (0..count).flat_map(|seq| message(seq).encode().unwrap()).collect()
    }

    fn cut(bytes: &[u8], size: usize) -> Vec<u16> {
        let mut frames = Frames::default();
        let mut seen = Vec::new();
        for part in bytes.chunks(size) {
            frames.push(part);
            while let Some(message) = frames.next_message().unwrap() {
                assert_eq!(message.attributes().path, Some("network.*"));
                seen.push(message.seq);
            }
        }
        seen
    }

    #[test]
    fn any_split_gives_the_same_messages() {
        let bytes = stream(5);
        for size in 1..=bytes.len() {
            assert_eq!(cut(&bytes, size), [0, 1, 2, 3, 4], "in parts of {size}");
        }
    }

    #[test]
    fn lengths_no_message_has_are_refused() {
        let frame = |length: u32| {
            let mut frames = Frames::default();
            frames.push(&[0; 8]);
            frames.push(&length.to_be_bytes());
            frames.next_message()
        };
        assert_eq!(frame(3), Err(BadLength(3)));
        assert!(frame(4).unwrap().is_some());
        assert_eq!(frame(MAX_MESSAGE as u32), Ok(None), "the largest is waited for");
        assert_eq!(frame(MAX_MESSAGE as u32 + 1), Err(BadLength(MAX_MESSAGE as u32 + 1)));
    }
}
