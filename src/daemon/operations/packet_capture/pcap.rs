//! The format of libpcap, as tcpdump of this machine writes it: a header, and packets behind it.

use std::fs::File;
use std::io;

/// Bytes of the header of a file.
const FILE_HEADER: usize = 24;
/// Bytes before each packet.
const PACKET_HEADER: usize = 16;
/// How a file begins, with times in microseconds or nanoseconds.
const MAGIC: [u32; 2] = [0xa1b2_c3d4, 0xa1b2_3c4d];

/// What is to be done after a piece.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// Read on.
    More,
    /// One of the limits is reached.
    Enough,
    /// It is no such file.
    Wrong,
}

/// Takes whole packets out of what comes in pieces.
pub(super) struct Pcap {
    max_packet: u32,
    max_count: u32,
    max_bytes: u64,
    /// The begin of what is not whole yet: no more than a packet and a piece.
    rest: Vec<u8>,
    count: u32,
    bytes: u64,
}

impl Pcap {
    pub(super) fn new(max_packet: u32, max_count: u32, max_bytes: u64) -> Self {
        Self { max_packet, max_count, max_bytes, rest: Vec::new(), count: 0, bytes: 0 }
    }

    /// The header was written.
    pub(super) fn has_begun(&self) -> bool {
        self.bytes > 0
    }

    /// Packets so far.
    pub(super) fn count(&self) -> u32 {
        self.count
    }

    /// Writes what is whole now.
    pub(super) fn push(&mut self, piece: &[u8], file: &mut File) -> io::Result<Step> {
        self.rest.extend_from_slice(piece);
        let mut done = 0;
        let step = loop {
            let Some(ahead) = self.rest.get(done..) else { break Step::More };
            let size = match self.size(ahead) {
                Ok(Some(size)) => size,
                Ok(None) => break Step::More,
                Err(step) => break step,
            };
            let Some(whole) = ahead.get(..size) else { break Step::More };
            let bytes = self.bytes + u64::try_from(size).unwrap_or(u64::MAX);
            if bytes > self.max_bytes {
                break Step::Enough;
            }
            super::put(file, whole)?;
            self.count += u32::from(self.bytes > 0);
            (self.bytes, done) = (bytes, done + size);
            if self.count >= self.max_count {
                break Step::Enough;
            }
        };
        self.rest.drain(..done);
        Ok(step)
    }

    /// Bytes of what stands ahead: the header of the file, or a packet with its own.
    fn size(&self, ahead: &[u8]) -> Result<Option<usize>, Step> {
        let number = |at: usize| ahead.get(at..at + 4).and_then(|four| four.try_into().ok()).map(u32::from_ne_bytes);
        if self.bytes == 0 {
            return match number(0) {
                Some(magic) if !MAGIC.contains(&magic) => Err(Step::Wrong),
                _ => Ok(Some(FILE_HEADER)),
            };
        }
        match number(8) {
            Some(length) if length > self.max_packet => Err(Step::Wrong),
            Some(length) => Ok(usize::try_from(length).ok().map(|length| PACKET_HEADER + length)),
            None => Ok(None),
        }
    }
}
