//! Where the body of an answer ends (RFC 9112, 6.3), and taking a chunked one apart.

use super::HttpFault;
use super::head::Head;

/// The longest line between chunks: a size and extensions nobody needs.
const MAX_LINE: usize = 256;
/// Bytes of trailers at most, their empty line included.
const MAX_TRAILERS: usize = 8192;
/// Digits of a chunk's size.
const MAX_DIGITS: usize = 16;

/// How much is still to come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Framing {
    /// This many bytes.
    Length(u64),
    /// Until the connection ends.
    Close,
    /// Chunks.
    Chunked(Chunk),
}

/// Where in a chunked body we are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Chunk {
    /// Before the line with the size.
    Size,
    /// Within the data.
    Data(u64),
    /// Before the line end behind the data.
    End,
    /// Among trailers, of which so many bytes went by.
    Trailers(usize),
    /// All was read.
    Done,
}

impl Framing {
    /// What an answer's head says.
    pub(super) fn of(head: &Head<'_>, status: u16, has_body: bool) -> Result<Self, HttpFault> {
        let wrong = |why: &str| Err(HttpFault::Protocol(why.to_owned()));
        if !has_body || matches!(status, 204 | 304) {
            return Ok(Self::Length(0));
        }
        if head.listed("Content-Encoding").any(|coding| !coding.eq_ignore_ascii_case("identity") && !coding.is_empty())
        {
            return wrong("the file is compressed, which was not asked for");
        }
        let mut codings = head.listed("Transfer-Encoding").filter(|coding| !coding.is_empty());
        let (coding, more) = (codings.next(), codings.next());
        let mut lengths = head.listed("Content-Length");
        match (coding, lengths.next()) {
            (None, None) => Ok(Self::Close),
            (None, Some(length)) if lengths.all(|other| other == length) => match decimal(length) {
                Some(length) => Ok(Self::Length(length)),
                None => wrong("Content-Length is no number"),
            },
            (None, Some(_)) => wrong("Content-Length is given twice"),
            // Two lengths, one of which somebody on the way did not see: the way to smuggle.
            (Some(_), Some(_)) => wrong("Content-Length beside Transfer-Encoding"),
            (Some(coding), None) if more.is_none() && coding.eq_ignore_ascii_case("chunked") => {
                Ok(Self::Chunked(Chunk::Size))
            }
            (Some(_), None) => wrong("an unknown Transfer-Encoding"),
        }
    }

    /// Nothing more is to come.
    pub(super) fn is_over(self) -> bool {
        matches!(self, Self::Length(0) | Self::Chunked(Chunk::Done))
    }

    /// Bytes of the body that may be read now; None where a line of chunks comes first.
    pub(super) fn data(self) -> Option<u64> {
        match self {
            Self::Length(left) | Self::Chunked(Chunk::Data(left)) => Some(left),
            Self::Close => Some(u64::MAX),
            Self::Chunked(_) => None,
        }
    }

    /// So many bytes of the body were read.
    pub(super) fn took(&mut self, count: usize) {
        let count = u64::try_from(count).unwrap_or(u64::MAX);
        match self {
            Self::Length(left) => *left = left.saturating_sub(count),
            Self::Chunked(chunk) => {
                if let Chunk::Data(left) = *chunk {
                    let left = left.saturating_sub(count);
                    *chunk = if left == 0 { Chunk::End } else { Chunk::Data(left) };
                }
            }
            Self::Close => {}
        }
    }

    /// Takes one line between chunks, where `bytes` holds all of it; how many bytes that were.
    pub(super) fn line(&mut self, bytes: &[u8]) -> Result<Option<usize>, HttpFault> {
        let Self::Chunked(chunk) = self else { return Ok(None) };
        let Some(end) = bytes.iter().take(MAX_LINE).position(|&byte| byte == b'\n') else {
            return match bytes.len() < MAX_LINE {
                true => Ok(None),
                false => Err(HttpFault::Protocol("an endless line between chunks".into())),
            };
        };
        let line = bytes.get(..end).unwrap_or_default();
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        *chunk = chunk.after(line, end + 1).map_err(|why| HttpFault::Protocol(why.into()))?;
        Ok(Some(end + 1))
    }
}

impl Chunk {
    fn after(self, line: &[u8], size: usize) -> Result<Self, &'static str> {
        match self {
            Self::Size => match hexadecimal(line).ok_or("a chunk without a size that could be")? {
                0 => Ok(Self::Trailers(0)),
                size => Ok(Self::Data(size)),
            },
            Self::End if line.is_empty() => Ok(Self::Size),
            Self::Trailers(_) if line.is_empty() => Ok(Self::Done),
            Self::Trailers(seen) if seen + size <= MAX_TRAILERS => Ok(Self::Trailers(seen + size)),
            Self::Trailers(_) => Err("endless trailers"),
            Self::End | Self::Data(_) | Self::Done => Err("a chunk that does not end where it should"),
        }
    }
}

/// Digits and nothing else.
pub(super) fn decimal(text: &str) -> Option<u64> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

/// The size of a chunk; an extension behind `;` does not count.
fn hexadecimal(line: &[u8]) -> Option<u64> {
    let digits = line.split(|&byte| byte == b';').next()?.trim_ascii();
    let fits = (1..=MAX_DIGITS).contains(&digits.len()) && digits.iter().all(u8::is_ascii_hexdigit);
    fits.then(|| u64::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    fn framing(headers: &str) -> Result<Framing, HttpFault> {
        let head = format!("HTTP/1.1 200 OK\r\n{headers}\r\n");
        Framing::of(&Head::parse(head.as_bytes()).unwrap(), 200, true)
    }

    #[test]
    fn what_the_head_says_of_the_length() {
        assert_eq!(framing(""), Ok(Framing::Close));
        assert_eq!(framing("Content-Length: 18446744073709551615\r\n"), Ok(Framing::Length(u64::MAX)));
        assert_eq!(framing("Content-Length: 5, 5\r\nContent-Length: 5\r\n"), Ok(Framing::Length(5)));
        assert_eq!(framing("Transfer-Encoding: Chunked\r\n"), Ok(Framing::Chunked(Chunk::Size)));
        assert_eq!(framing("Content-Encoding: identity\r\nContent-Length: 1\r\n"), Ok(Framing::Length(1)));
    }

    #[test]
    fn a_length_that_is_none_is_refused() {
        let bad = [
            "Content-Length: 5, 6",
            "Content-Length: -1",
            "Content-Length: +1",
            "Content-Length: ",
            "Content-Length: 1x",
        ];
        let more = ["Content-Length: 18446744073709551616", "Transfer-Encoding: gzip, chunked", "Transfer-Encoding: x"];
        let both = ["Transfer-Encoding: chunked\r\nContent-Length: 3", "Content-Encoding: gzip"];
        for headers in bad.into_iter().chain(more).chain(both) {
            assert!(matches!(framing(&format!("{headers}\r\n")), Err(HttpFault::Protocol(_))), "{headers}");
        }
    }

    #[test]
    fn sizes_of_chunks_that_could_be_none() {
        let size = |line: &str| Framing::Chunked(Chunk::Size).line_of(line);
        assert_eq!(size("1A;x=\"y\"\r\n"), Ok(Framing::Chunked(Chunk::Data(26))));
        assert_eq!(size("ffffffffffffffff\n"), Ok(Framing::Chunked(Chunk::Data(u64::MAX))));
        assert_eq!(size("0\r\n"), Ok(Framing::Chunked(Chunk::Trailers(0))));
        for line in ["\r\n", "10000000000000000\r\n", "-1\r\n", "+1\r\n", "0x1\r\n", "g\r\n", ";\r\n", "1 1\r\n"] {
            assert!(matches!(size(line), Err(HttpFault::Protocol(_))), "{line}");
        }
        assert!(Framing::Chunked(Chunk::Size).line(&[b'0'; MAX_LINE]).is_err());
        assert_eq!(Framing::Chunked(Chunk::Size).line(&[b'0'; MAX_LINE - 1]), Ok(None));
    }

    #[test]
    fn data_that_goes_on_behind_its_chunk_is_refused() {
        assert!(Framing::Chunked(Chunk::End).line(b"x\r\n").is_err());
        let mut trailers = Framing::Chunked(Chunk::Trailers(0));
        let line = format!("A: {}\r\n", "x".repeat(100));
        let read = (0..1000).take_while(|_| trailers.line(line.as_bytes()).is_ok()).count();
        assert_eq!(read, MAX_TRAILERS / line.len());
    }

    impl Framing {
        fn line_of(mut self, line: &str) -> Result<Self, HttpFault> {
            assert_eq!(self.line(line.as_bytes())?, Some(line.len()));
            Ok(self)
        }
    }
}
