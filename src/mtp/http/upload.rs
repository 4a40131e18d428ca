//! Bringing a body to a server (PUT, POST), piece by piece.

use super::answer::{Answer, Line, reason, status};
use super::exchange::{head_fault, write};
use super::head::{Head, receive_on};
use super::{Client, Headers, HttpFault, MAX_REDIRECTS, Url};
use std::time::Duration;
use tokio::time::timeout;

/// How long a server may think before the body is sent without its word (RFC 9110, 10.1.1).
const THINKING: Duration = Duration::from_secs(1);
/// How long the answer of a server is waited for that took no more of the body.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// How long a body will be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Size {
    /// So many bytes (Content-Length).
    Known(u64),
    /// Not known before (chunks).
    Chunks,
}

/// A request whose body is being sent.
pub struct Upload<'a> {
    client: &'a Client,
    at: Url,
    line: Line,
    left: Option<u64>,
    /// What the server said already, beside that it goes on.
    heard: Vec<u8>,
}

impl Client {
    /// Begins a request with a body. Where the server leads elsewhere, or refuses, before the body is sent, that is
    /// followed, or told.
    ///
    /// # Errors
    /// [`HttpFault`].
    pub async fn send(
        &self,
        method: &str,
        url: &Url,
        headers: &Headers<'_>,
        size: Size,
    ) -> Result<Upload<'_>, HttpFault> {
        let (length, left) = match size {
            Size::Known(size) => (format!("Content-Length: {size}\r\n"), Some(size)),
            Size::Chunks => ("Transfer-Encoding: chunked\r\n".to_owned(), None),
        };
        let framing = format!("{length}Expect: 100-continue\r\n");
        let mut at = url.clone();
        for _ in 0..=MAX_REDIRECTS {
            let mut line = self.begin(method, url, &at, headers, &framing).await?;
            let mut heard = Vec::new();
            let early = match timeout(THINKING, receive_on(&mut line.stream, b"HTTP/", &mut heard)).await {
                Ok(received) => received.map_err(|fault| head_fault(&fault))?,
                Err(_) => return Ok(Upload { client: self, at, line, left, heard }),
            };
            let head = Head::parse(&early.head).map_err(|fault| head_fault(&fault))?;
            if let 100..=199 = status(&head)? {
                return Ok(Upload { client: self, at, line, left, heard: early.rest });
            }
            let answer = Answer::of(early, line, at, &self.patience, true)?;
            // Other redirects ask for a GET of something else.
            match answer.leads_to(&[307, 308])? {
                Some(next) => at = next,
                None => return Err(HttpFault::Status { code: answer.status, reason: answer.reason }),
            }
        }
        Err(HttpFault::Redirect("the server leads from one place to the next without end"))
    }
}

impl Upload<'_> {
    /// Sends a piece of the body.
    ///
    /// # Errors
    /// [`HttpFault`]; the server's own word where it has one.
    pub async fn write(&mut self, piece: &[u8]) -> Result<(), HttpFault> {
        if piece.is_empty() {
            return Ok(());
        }
        let sent = match self.left {
            Some(left) => {
                let size = u64::try_from(piece.len()).unwrap_or(u64::MAX);
                self.left = Some(left.checked_sub(size).ok_or(HttpFault::Size)?);
                self.put(piece).await
            }
            None => {
                let chunk = [format!("{:x}\r\n", piece.len()).as_bytes(), piece, b"\r\n"].concat();
                self.put(&chunk).await
            }
        };
        match sent {
            Err(HttpFault::Broken(why)) => Err(self.last_words().await.unwrap_or(HttpFault::Broken(why))),
            sent => sent,
        }
    }

    /// Ends the body; the answer, whatever its status.
    ///
    /// # Errors
    /// [`HttpFault`].
    pub async fn finish(mut self) -> Result<Answer, HttpFault> {
        match self.left {
            None => self.put(b"0\r\n\r\n").await?,
            Some(0) => {}
            Some(_) => return Err(HttpFault::Size),
        }
        let received = self.client.answer(&mut self.line, &self.at, &mut self.heard).await?;
        Answer::of(received, self.line, self.at, &self.client.patience, true)
    }

    /// The server's address.
    pub fn address(&self) -> std::net::SocketAddr {
        self.line.address
    }

    /// When the steps so far were.
    pub fn times(&self) -> super::Times {
        self.line.times
    }

    async fn put(&mut self, bytes: &[u8]) -> Result<(), HttpFault> {
        write(&mut self.line.stream, bytes, self.client.patience.stall).await
    }

    /// What a server said that closed the connection within the body.
    async fn last_words(&mut self) -> Option<HttpFault> {
        let answering = self.client.answer(&mut self.line, &self.at, &mut self.heard);
        let received = timeout(LAST_WORDS, answering).await.ok()?.ok()?;
        let head = Head::parse(&received.head).ok()?;
        Some(HttpFault::Status { code: status(&head).ok()?, reason: reason(&head) })
    }
}
