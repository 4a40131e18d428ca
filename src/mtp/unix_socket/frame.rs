//! Frames (R-UDS.6 to 15): `_USP`, the length of the rest, then fields of type, length and value.
//!
//! Nothing is kept of a frame that is broken anywhere.

use crate::mtp::MAX_RECORD;
use bytes::{Buf, Bytes};
use std::fmt;

/// A field that names the sender.
pub const HANDSHAKE: u8 = 1;
/// A field that says why the connection ends.
pub const ERROR: u8 = 2;
/// A field with a USP record.
pub const RECORD: u8 = 3;

/// What a frame may hold beside the largest record: its field's head, and fields of other types.
const OVERHEAD: usize = 1024;
/// The most that follows the header of a frame.
pub const MAX_BODY: usize = MAX_RECORD + OVERHEAD;

/// "_USP" (R-UDS.8).
const SYNCHRONIZATION: [u8; 4] = *b"_USP";
/// Synchronization and length.
pub const HEADER: usize = 8;
/// Type and length of a field.
const FIELD: usize = 5;

/// Why bytes are no frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Broken {
    /// It does not begin with `_USP`.
    Synchronization,
    /// More than [`MAX_BODY`] bytes are announced.
    TooLong(usize),
    /// No field (R-UDS.6).
    Empty,
    /// A field goes beyond the end of its frame.
    Field,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Synchronization => f.write_str("a frame begins with _USP"),
            Self::TooLong(size) => write!(f, "a frame of {size} bytes is too long, the limit is {MAX_BODY}"),
            Self::Empty => f.write_str("a frame without a field"),
            Self::Field => f.write_str("a field goes beyond the end of its frame"),
        }
    }
}

/// The length of what follows the header of the frame that begins here; None while the header is not there.
///
/// # Errors
/// As soon as what is there cannot become a frame.
pub fn body(bytes: &[u8]) -> Result<Option<usize>, Broken> {
    if !bytes.iter().zip(SYNCHRONIZATION).all(|(byte, expected)| *byte == expected) {
        return Err(Broken::Synchronization);
    }
    let Some(length) = bytes.get(4..HEADER).and_then(number) else { return Ok(None) };
    match length {
        0 => Err(Broken::Empty),
        length if length > MAX_BODY => Err(Broken::TooLong(length)),
        length => Ok(Some(length)),
    }
}

/// The fields of one frame, each with its type, unknown types included.
#[derive(Debug, Clone)]
pub struct Fields(Bytes);

impl Fields {
    /// Those of what followed a header.
    ///
    /// # Errors
    /// [`Broken::Empty`], [`Broken::Field`].
    pub fn of(body: Bytes) -> Result<Self, Broken> {
        if body.is_empty() {
            return Err(Broken::Empty);
        }
        let mut rest: &[u8] = &body;
        while !rest.is_empty() {
            let length = rest.get(1..FIELD).and_then(number).ok_or(Broken::Field)?;
            let end = FIELD.checked_add(length).ok_or(Broken::Field)?;
            rest = rest.get(end..).ok_or(Broken::Field)?;
        }
        Ok(Self(body))
    }
}

impl Iterator for Fields {
    type Item = (u8, Bytes);

    fn next(&mut self) -> Option<Self::Item> {
        let kind = *self.0.first()?;
        let length = self.0.get(1..FIELD).and_then(number)?;
        self.0.advance(FIELD);
        Some((kind, self.0.split_to(length.min(self.0.len()))))
    }
}

/// What goes before a value that is the only field of its frame; None where it is too long for one.
pub fn head(kind: u8, value: &[u8]) -> Option<[u8; HEADER + FIELD]> {
    let size = value.len() + FIELD;
    let length = u32::try_from(value.len()).ok().filter(|_| size <= MAX_BODY)?;
    let whole = u32::try_from(size).ok()?;
    let mut head = [0; HEADER + FIELD];
    for (part, bytes) in head.chunks_mut(4).zip([SYNCHRONIZATION, whole.to_be_bytes()]) {
        part.copy_from_slice(&bytes);
    }
    head[HEADER] = kind;
    head[HEADER + 1..].copy_from_slice(&length.to_be_bytes());
    Some(head)
}

/// Four bytes in network byte order (R-UDS.9, R-UDS.11).
fn number(bytes: &[u8]) -> Option<usize> {
    let bytes = <[u8; 4]>::try_from(bytes).ok()?;
    usize::try_from(u32::from_be_bytes(bytes)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(body: &[u8]) -> Result<Vec<(u8, Vec<u8>)>, Broken> {
        let fields = Fields::of(Bytes::copy_from_slice(body))?;
        Ok(fields.map(|(kind, value)| (kind, value.to_vec())).collect())
    }

    #[test]
    fn a_handshake_is_that_of_the_specification() {
        let id = b"os::00256D-0123456789";
        let head = head(HANDSHAKE, id).unwrap();
        assert_eq!(head, [0x5f, 0x55, 0x53, 0x50, 0, 0, 0, 26, 1, 0, 0, 0, 21]);
        assert_eq!(body(&head), Ok(Some(26)));
        assert_eq!(fields(&[&head[HEADER..], id].concat()), Ok(vec![(HANDSHAKE, id.to_vec())]));
    }

    #[test]
    fn fields_follow_each_other_and_unknown_ones_are_there_to_be_ignored() {
        let body = [2, 0, 0, 0, 1, b'x', 9, 0, 0, 0, 0, 3, 0, 0, 0, 2, 7, 8];
        assert_eq!(fields(&body), Ok(vec![(2, vec![b'x']), (9, vec![]), (3, vec![7, 8])]));
    }

    #[test]
    fn what_cannot_become_a_frame_is_known_at_once() {
        assert_eq!(body(b""), Ok(None));
        assert_eq!(body(b"_USP\0\0\0"), Ok(None));
        assert_eq!(body(b"_X"), Err(Broken::Synchronization));
        assert_eq!(body(b"GET / HTTP"), Err(Broken::Synchronization));
        assert_eq!(body(b"_USP\0\0\0\0"), Err(Broken::Empty));
        assert_eq!(body(b"_USP\xff\xff\xff\xff"), Err(Broken::TooLong(u32::MAX as usize)));
        let largest = u32::try_from(MAX_BODY).unwrap();
        let header = |length: u32| [&b"_USP"[..], &length.to_be_bytes()].concat();
        assert_eq!(body(&header(largest)), Ok(Some(MAX_BODY)));
        assert_eq!(body(&header(largest + 1)), Err(Broken::TooLong(MAX_BODY + 1)));
    }

    #[test]
    fn a_field_that_does_not_fit_breaks_the_frame() {
        for broken in [&[1, 0, 0, 0, 2, b'x'][..], &[1, 0, 0, 0], &[3, 0, 0, 0, 1, 7, 1], &[9, 255, 255, 255, 255]] {
            assert_eq!(fields(broken), Err(Broken::Field), "{broken:?}");
        }
        assert_eq!(fields(&[]), Err(Broken::Empty));
    }

    #[test]
    fn the_largest_record_fits_and_no_larger_value_is_sent() {
        assert!(head(RECORD, &vec![0; MAX_RECORD]).is_some());
        assert!(head(RECORD, &vec![0; MAX_BODY]).is_none());
    }
}
