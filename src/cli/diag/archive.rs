//! A tar file in a gzip wrapper, not compressed: a compressor would cost more flash than it saves here.

/// Bytes of a block of tar, and of what is kept as it is in gzip.
const BLOCK: usize = 512;
const MAX_STORED: usize = 65_535;

/// Files one after the other.
#[derive(Default)]
pub(super) struct Archive(Vec<u8>);

impl Archive {
    /// Appends a file; its name is short and of ASCII.
    pub(super) fn add(&mut self, name: &str, bytes: &[u8]) {
        let mut header = [0; BLOCK];
        let mut put = |at: usize, text: &str| {
            let room = header.iter_mut().skip(at);
            room.zip(text.bytes()).for_each(|(to, byte)| *to = byte);
        };
        put(0, "usp-agent-diag/");
        put(15, name);
        put(100, "0000600\0");
        put(108, "0000000\0");
        put(116, "0000000\0");
        put(124, &format!("{:011o}\0", bytes.len()));
        put(136, "00000000000\0");
        put(148, "        ");
        put(156, "0");
        put(257, "ustar\x0000");
        let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
        let sum = format!("{sum:06o}\0 ");
        header.iter_mut().skip(148).zip(sum.bytes()).for_each(|(to, byte)| *to = byte);
        self.0.extend_from_slice(&header);
        self.0.extend_from_slice(bytes);
        self.0.resize(self.0.len().next_multiple_of(BLOCK), 0);
    }

    /// The archive as a file.
    pub(super) fn finish(mut self) -> Vec<u8> {
        self.0.resize(self.0.len() + 2 * BLOCK, 0);
        let mut out = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
        let count = self.0.chunks(MAX_STORED).count();
        for (at, chunk) in self.0.chunks(MAX_STORED).enumerate() {
            let length = u16::try_from(chunk.len()).unwrap_or(u16::MAX);
            out.push(u8::from(at + 1 == count));
            out.extend_from_slice(&length.to_le_bytes());
            out.extend_from_slice(&(!length).to_le_bytes());
            out.extend_from_slice(chunk);
        }
        out.extend_from_slice(&crc32(&self.0).to_le_bytes());
        out.extend_from_slice(&u32::try_from(self.0.len()).unwrap_or_default().to_le_bytes());
        out
    }
}

fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_that_of_gzip() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
    }
}
