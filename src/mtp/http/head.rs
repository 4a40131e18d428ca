//! The head of an HTTP message: read within bounds, taken apart without copying.
//!
//! Lines end with CR LF or LF, empty lines before the first are skipped. No folded headers.

use crate::mtp::stream::explain_io;
use std::fmt;
use std::io;
use tokio::io::{AsyncRead, AsyncReadExt};

/// The longest head, in bytes, its empty line included.
pub(in crate::mtp) const MAX_HEAD: usize = 8192;
/// The most headers of one head.
pub(in crate::mtp) const MAX_HEADERS: usize = 64;
/// Bytes asked of the connection at once.
const CHUNK: usize = 1024;

/// Why no head can be had.
#[derive(Debug)]
pub(in crate::mtp) enum HeadFault {
    /// The connection broke.
    Io(io::Error),
    /// The peer closed the connection before the head was complete.
    Unfinished,
    /// More than [`MAX_HEAD`] bytes.
    TooLong,
    /// More than [`MAX_HEADERS`].
    TooManyHeaders,
    /// Not HTTP; which part of it.
    Malformed(&'static str),
    /// HTTP, but not 1.1.
    Version,
}

impl fmt::Display for HeadFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HeadFault::Io(error) => explain_io(error).fmt(f),
            HeadFault::Unfinished => f.write_str("Handshake not finished"),
            HeadFault::TooLong => write!(f, "HTTP head longer than {MAX_HEAD} bytes"),
            HeadFault::TooManyHeaders => write!(f, "More than {MAX_HEADERS} HTTP headers"),
            HeadFault::Malformed(part) => write!(f, "Invalid HTTP {part}"),
            HeadFault::Version => f.write_str("HTTP version must be 1.1"),
        }
    }
}

/// What was read: a head, and the bytes behind it, which are frames already.
#[derive(Debug)]
pub(in crate::mtp) struct Received {
    pub(in crate::mtp) head: Vec<u8>,
    pub(in crate::mtp) rest: Vec<u8>,
}

/// Reads up to the empty line. `begins`: how a head has to begin; with other bytes it is not waited for the rest.
pub(in crate::mtp) async fn receive(
    stream: &mut (impl AsyncRead + Unpin),
    begins: &[u8],
) -> Result<Received, HeadFault> {
    receive_on(stream, begins, &mut Vec::with_capacity(CHUNK)).await
}

/// [`receive`] with what came in already; what came in until it is dropped stays there.
pub(in crate::mtp) async fn receive_on(
    stream: &mut (impl AsyncRead + Unpin),
    begins: &[u8],
    head: &mut Vec<u8>,
) -> Result<Received, HeadFault> {
    let mut chunk = [0u8; CHUNK];
    if let Some(end) = end_of_head(head, 0) {
        return Ok(split(head, end));
    }
    loop {
        let room = CHUNK.min(MAX_HEAD.saturating_sub(head.len()));
        if room == 0 {
            return Err(HeadFault::TooLong);
        }
        let seen = head.len();
        match stream.read(&mut chunk[..room]).await.map_err(HeadFault::Io)? {
            0 => return Err(HeadFault::Unfinished),
            read => head.extend_from_slice(&chunk[..read]),
        }
        if let Some(end) = end_of_head(head, seen) {
            return Ok(split(head, end));
        }
        check_beginning(head, seen, begins)?;
    }
}

fn split(bytes: &mut Vec<u8>, end: usize) -> Received {
    let rest = bytes.split_off(end);
    Received { head: std::mem::take(bytes), rest }
}

/// Where the head ends, its empty line included; the bytes before `seen` held no end.
fn end_of_head(bytes: &[u8], seen: usize) -> Option<usize> {
    let start = bytes.iter().position(|byte| !matches!(byte, b'\r' | b'\n'))?;
    // The empty line takes three bytes before its last one.
    let from = seen.saturating_sub(3).max(start);
    let tail = &bytes[from..];
    let ends = tail.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(at, _)| at + 1);
    ends.filter(|&end| tail[..end].ends_with(b"\n\n") || tail[..end].ends_with(b"\n\r\n")).map(|end| from + end).next()
}

/// Ends the wait for a head that can be none: TLS, SSH and the like.
fn check_beginning(head: &[u8], seen: usize, begins: &[u8]) -> Result<(), HeadFault> {
    let start = head.iter().position(|byte| !matches!(byte, b'\r' | b'\n')).unwrap_or(head.len());
    let differs = head[start..].iter().zip(begins).any(|(is, should)| is != should);
    let binary = head[seen..].iter().any(|&byte| is_control(byte) && !matches!(byte, b'\r' | b'\n'));
    if differs || binary { Err(HeadFault::Malformed("head")) } else { Ok(()) }
}

/// A tab counts as a space in HTTP.
fn is_control(byte: u8) -> bool {
    byte.is_ascii_control() && byte != b'\t'
}

/// A head taken apart.
#[derive(Debug)]
pub(in crate::mtp) struct Head<'a> {
    /// The three parts of the first line; the last may be empty or hold spaces.
    pub(in crate::mtp) start: [&'a str; 3],
    headers: Vec<(&'a [u8], &'a [u8])>,
}

impl<'a> Head<'a> {
    pub(in crate::mtp) fn parse(bytes: &'a [u8]) -> Result<Self, HeadFault> {
        let lines = bytes.split(|&byte| byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
        let mut lines = lines.skip_while(|line| line.is_empty());
        let start = start_line(lines.next().unwrap_or_default()).ok_or(HeadFault::Malformed("start line"))?;
        let mut headers = Vec::new();
        for line in lines.take_while(|line| !line.is_empty()) {
            if headers.len() == MAX_HEADERS {
                return Err(HeadFault::TooManyHeaders);
            }
            headers.push(header(line).ok_or(HeadFault::Malformed("header"))?);
        }
        Ok(Head { start, headers })
    }

    /// The first header of this name, if it is ASCII.
    pub(in crate::mtp) fn first(&self, name: &str) -> Option<&'a str> {
        self.all(name).next()
    }

    /// What the headers of this name list, separated by commas.
    pub(in crate::mtp) fn listed(&self, name: &str) -> impl Iterator<Item = &'a str> {
        self.all(name).flat_map(|value| value.split(',')).map(str::trim)
    }

    /// A list has this word, in whatever case.
    pub(in crate::mtp) fn lists(&self, name: &str, word: &str) -> bool {
        self.listed(name).any(|listed| listed.eq_ignore_ascii_case(word))
    }

    fn all(&self, name: &str) -> impl Iterator<Item = &'a str> {
        let named = self.headers.iter().filter(move |(header, _)| header.eq_ignore_ascii_case(name.as_bytes()));
        named.filter_map(|(_, value)| std::str::from_utf8(value).ok()).filter(|value| value.is_ascii())
    }
}

/// HTTP/1.1 and nothing else: 1.0 knows no upgrade, 2 another one.
pub(in crate::mtp) fn check_version(version: &str) -> Result<(), HeadFault> {
    match version {
        "HTTP/1.1" => Ok(()),
        _ if version.starts_with("HTTP/") => Err(HeadFault::Version),
        _ => Err(HeadFault::Malformed("start line")),
    }
}

fn start_line(line: &[u8]) -> Option<[&str; 3]> {
    let line = std::str::from_utf8(line).ok().filter(|line| !line.contains(char::is_control))?;
    let mut parts = line.splitn(3, ' ');
    Some([parts.next()?, parts.next()?, parts.next().unwrap_or_default()])
}

fn header(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let colon = line.iter().position(|&byte| byte == b':')?;
    let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
    let token = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    let good = !name.is_empty() && name.iter().all(token) && !value.iter().any(|&byte| is_control(byte));
    good.then_some((name, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn received(mut bytes: &[u8]) -> Result<Received, HeadFault> {
        receive(&mut bytes, b"").await
    }

    #[tokio::test]
    async fn bytes_behind_the_head_are_kept() {
        let read = received(b"\r\nGET / HTTP/1.1\r\nA: b\r\n\r\n\x82\x00\n\n").await.unwrap();
        assert_eq!(read.rest, b"\x82\x00\n\n");
        let head = Head::parse(&read.head).unwrap();
        assert_eq!((head.start, head.first("a")), (["GET", "/", "HTTP/1.1"], Some("b")));
    }

    #[tokio::test]
    async fn a_head_that_arrives_byte_by_byte_is_found_as_well() {
        for text in [&b"GET / HTTP/1.1\r\nA: b\r\n\r\n"[..], b"\n\nGET / HTTP/1.1\nA: b\n\n", b"GET / HTTP/1.1\n\r\n"] {
            let (mut near, mut far) = tokio::io::duplex(1);
            let send = async { tokio::io::AsyncWriteExt::write_all(&mut near, text).await.unwrap() };
            let (_, read) = tokio::join!(send, receive(&mut far, b"GET"));
            assert_eq!(read.unwrap().head, text);
        }
    }

    #[tokio::test]
    async fn the_longest_head_passes_and_one_byte_more_does_not() {
        let head = |length: usize| {
            let frame = "GET / HTTP/1.1\r\nA: \r\n\r\n".len();
            format!("GET / HTTP/1.1\r\nA: {}\r\n\r\n", "x".repeat(length - frame)).into_bytes()
        };
        assert_eq!(received(&head(MAX_HEAD)).await.unwrap().head.len(), MAX_HEAD);
        assert!(matches!(received(&head(MAX_HEAD + 1)).await, Err(HeadFault::TooLong)));
        assert!(matches!(received(&[b'\n'; 2 * MAX_HEAD]).await, Err(HeadFault::TooLong)));
    }

    #[test]
    fn the_most_headers_pass_and_one_more_does_not() {
        let head = |count: usize| format!("GET / HTTP/1.1\r\n{}\r\n", "A: b\r\n".repeat(count));
        assert!(Head::parse(head(MAX_HEADERS).as_bytes()).is_ok());
        assert!(matches!(Head::parse(head(MAX_HEADERS + 1).as_bytes()), Err(HeadFault::TooManyHeaders)));
    }

    #[tokio::test]
    async fn what_cannot_become_a_head_is_not_waited_for() {
        let (mut near, mut far) = tokio::io::duplex(64);
        tokio::io::AsyncWriteExt::write_all(&mut near, b"SSH-2.0-dropbear\r\n").await.unwrap();
        assert!(matches!(receive(&mut far, b"HTTP/").await, Err(HeadFault::Malformed(_))));
        tokio::io::AsyncWriteExt::write_all(&mut near, b"\x16\x03\x01\x02\x00").await.unwrap();
        assert!(matches!(receive(&mut far, b"").await, Err(HeadFault::Malformed(_))));
    }

    #[test]
    fn names_have_no_case_and_values_no_space_around() {
        let head = Head::parse(b"GET / HTTP/1.1\r\ncOnNeCtIoN:keep-alive,  UPGRADE \r\nX: \xe9\r\n\r\n").unwrap();
        assert!(head.lists("Connection", "upgrade") && !head.lists("Connection", "up"));
        assert_eq!(head.first("X"), None);
    }

    #[test]
    fn folded_and_broken_headers_are_refused() {
        for line in ["A b: c", ": c", "A", "A: b\r\n c", "A: b\rc", "A: \u{1}", "A : b"] {
            let head = format!("GET / HTTP/1.1\r\n{line}\r\n\r\n");
            assert!(matches!(Head::parse(head.as_bytes()), Err(HeadFault::Malformed("header"))), "{line}");
        }
    }
}
