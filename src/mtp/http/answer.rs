//! An answer: its status, a few of its headers, and its body as it comes in.

use super::body::{Framing, decimal};
use super::head::{Head, Received};
use super::{HttpFault, Patience, Url};
use crate::mtp::stream::{Stream, explain_io};
use std::io;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::time::{Instant, timeout};

/// Characters of a server's own word for its status that are told.
const MAX_REASON: usize = 64;
/// Characters of a validator (`ETag`) that is taken: it is sent back as it is.
const MAX_VALIDATOR: usize = 128;
/// Bytes read at once where lines are read.
const LINES: usize = 512;

/// When the steps of an exchange were.
#[derive(Debug, Clone, Copy)]
pub struct Times {
    /// The SYN of the connection went out.
    pub opening: Instant,
    /// It was answered.
    pub open: Instant,
    /// The request was begun.
    pub request: Instant,
    /// The answer's first bytes were there.
    pub answer: Instant,
}

/// An answer whose body can be read.
pub struct Answer {
    /// The number.
    pub status: u16,
    /// The server's word for it.
    pub reason: String,
    /// Where it was asked, after all redirects.
    pub url: Url,
    /// The server's address.
    pub address: SocketAddr,
    /// When it came about.
    pub times: Times,
    /// Bytes of its head.
    pub head_size: usize,
    /// The whole file's size, where the server told it.
    pub size: Option<u64>,
    /// Where in the file the body begins: 0, or what was asked for by `Range`.
    pub offset: u64,
    /// What tells this version of the file from others, for `If-Range`.
    pub validator: Option<String>,
    /// Where it leads, by Location.
    pub(super) location: Option<String>,
    body: Body,
}

struct Body {
    stream: Stream,
    framing: Framing,
    /// Read and not taken yet.
    rest: Vec<u8>,
    stall: Duration,
}

/// The connection an answer came over.
pub(super) struct Line {
    pub(super) stream: Stream,
    pub(super) address: SocketAddr,
    pub(super) times: Times,
}

impl Answer {
    /// Takes the head apart.
    pub(super) fn of(
        received: Received,
        line: Line,
        url: Url,
        patience: &Patience,
        has_body: bool,
    ) -> Result<Self, HttpFault> {
        let head = Head::parse(&received.head).map_err(|fault| HttpFault::Protocol(fault.to_string()))?;
        let status = status(&head)?;
        let framing = Framing::of(&head, status, has_body)?;
        let (offset, whole) = match head.first("Content-Range").filter(|_| status == 206) {
            Some(range) => content_range(range).ok_or_else(|| HttpFault::Protocol("a wrong Content-Range".into()))?,
            None if status == 206 => return Err(HttpFault::Protocol("no Content-Range".into())),
            None => (0, None),
        };
        let size = match framing {
            Framing::Length(length) if status != 206 => Some(length),
            _ => whole,
        };
        let short = |text: &&str| text.len() <= MAX_VALIDATOR;
        // A weak validator does not promise the same bytes.
        let tag = head.first("ETag").filter(|tag| tag.starts_with('"')).filter(short);
        let validator = tag.or_else(|| head.first("Last-Modified").filter(short)).map(str::to_owned);
        let body = Body { stream: line.stream, framing, rest: received.rest, stall: patience.stall };
        Ok(Self {
            status,
            reason: reason(&head),
            url,
            address: line.address,
            times: line.times,
            head_size: received.head.len(),
            size,
            offset,
            validator,
            location: head.first("Location").map(str::to_owned),
            body,
        })
    }

    /// The server did as asked.
    pub fn is_success(&self) -> bool {
        matches!(self.status, 200..=299)
    }

    /// This answer, if the server did as asked.
    ///
    /// # Errors
    /// [`HttpFault::Status`].
    pub fn successful(self) -> Result<Self, HttpFault> {
        match self.is_success() {
            true => Ok(self),
            false => Err(HttpFault::Status { code: self.status, reason: self.reason }),
        }
    }

    /// Reads on in the body; 0 where all of it was read.
    ///
    /// # Errors
    /// The body stalls, is cut off, or its chunks are none.
    pub async fn read(&mut self, into: &mut [u8]) -> Result<usize, HttpFault> {
        self.body.read(into).await
    }
}

impl Body {
    async fn read(&mut self, into: &mut [u8]) -> Result<usize, HttpFault> {
        loop {
            if self.framing.is_over() || into.is_empty() {
                return Ok(0);
            }
            let Some(left) = self.framing.data() else {
                self.line().await?;
                continue;
            };
            let room = into.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            let read = self.some(into.get_mut(..room).unwrap_or_default()).await?;
            self.framing.took(read);
            return match read {
                0 if self.framing != Framing::Close => Err(HttpFault::Cut),
                read => Ok(read),
            };
        }
    }

    /// Takes one line between chunks.
    async fn line(&mut self) -> Result<(), HttpFault> {
        loop {
            if let Some(taken) = self.framing.line(&self.rest)? {
                self.rest.drain(..taken);
                return Ok(());
            }
            let mut more = [0; LINES];
            match from(&mut self.stream, self.stall, &mut more).await? {
                0 => return Err(HttpFault::Cut),
                read => self.rest.extend_from_slice(more.get(..read).unwrap_or_default()),
            }
        }
    }

    /// What waits already, or else what comes next.
    async fn some(&mut self, into: &mut [u8]) -> Result<usize, HttpFault> {
        if self.rest.is_empty() {
            return from(&mut self.stream, self.stall, into).await;
        }
        let count = into.len().min(self.rest.len());
        for (to, from) in into.iter_mut().zip(self.rest.drain(..count)) {
            *to = from;
        }
        Ok(count)
    }
}

async fn from(stream: &mut Stream, stall: Duration, into: &mut [u8]) -> Result<usize, HttpFault> {
    match timeout(stall, stream.read(into)).await {
        Err(_) => Err(HttpFault::Stalled(stall.as_secs())),
        Ok(Ok(read)) => Ok(read),
        // TLS without a goodbye: somebody may have cut it.
        Ok(Err(error)) if error.kind() == io::ErrorKind::UnexpectedEof => Err(HttpFault::Cut),
        Ok(Err(error)) => Err(HttpFault::Broken(explain_io(&error).text)),
    }
}

/// The status of an answer of HTTP/1.1, or 1.0.
pub(super) fn status(head: &Head<'_>) -> Result<u16, HttpFault> {
    let [version, status, _] = head.start;
    let known = matches!(version, "HTTP/1.1" | "HTTP/1.0") && status.len() == 3;
    let number = decimal(status).and_then(|number| u16::try_from(number).ok()).filter(|number| *number >= 100);
    number.filter(|_| known).ok_or_else(|| HttpFault::Protocol("no status of HTTP/1.1".into()))
}

/// The server's word for its status.
pub(super) fn reason(head: &Head<'_>) -> String {
    head.start[2].chars().take(MAX_REASON).collect()
}

/// `bytes FIRST-LAST/SIZE`: where it begins, and the whole size unless that is `*`.
fn content_range(text: &str) -> Option<(u64, Option<u64>)> {
    let (range, size) = text.strip_prefix("bytes ")?.split_once('/')?;
    let (first, last) = range.split_once('-')?;
    let (first, last) = (decimal(first)?, decimal(last)?);
    let size = if size == "*" { None } else { Some(decimal(size)?) };
    (first <= last && size.is_none_or(|size| last < size)).then_some((first, size))
}
