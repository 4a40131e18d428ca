//! One request and its answer, and where that leads.

use super::answer::{Answer, Line, Times, status};
use super::head::{Head, HeadFault, Received, receive_on};
use super::{Client, Headers, HttpFault, Url};
use crate::base64;
use crate::mtp::stream::{Stream, dial_by, explain_io};
use std::fmt::Write as _;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::time::{Instant, timeout, timeout_at};

/// Redirects that are followed.
pub const MAX_REDIRECTS: usize = 5;
/// Answers `1xx` before the one that counts.
const MAX_INTERIM: usize = 8;

impl Client {
    /// Asks without a body (GET, HEAD, DELETE), and follows redirects. Any status that leads nowhere is an answer.
    ///
    /// # Errors
    /// [`HttpFault`].
    pub async fn ask(&self, method: &str, url: &Url, headers: &Headers<'_>) -> Result<Answer, HttpFault> {
        let mut at = url.clone();
        for _ in 0..=MAX_REDIRECTS {
            let mut line = self.begin(method, url, &at, headers, "").await?;
            let received = self.answer(&mut line, &at, &mut Vec::new()).await?;
            let answer = Answer::of(received, line, at, &self.patience, method != "HEAD")?;
            match answer.leads_to(&[301, 302, 303, 307, 308])? {
                Some(next) => at = next,
                None => return Ok(answer),
            }
        }
        Err(HttpFault::Redirect("the server leads from one place to the next without end"))
    }

    /// Connects to `at` and sends the head of a request that was meant for `asked`.
    pub(super) async fn begin(
        &self,
        method: &str,
        asked: &Url,
        at: &Url,
        headers: &Headers<'_>,
        framing: &str,
    ) -> Result<Line, HttpFault> {
        let text = self.head(method, asked, at, headers, framing)?;
        let deadline = Instant::now() + self.patience.connect;
        let dialed = dial_by(&self.way, &at.host, at.port, at.secure.then_some(&self.tls), deadline).await?;
        let request = Instant::now();
        let times = Times { opening: dialed.opening, open: dialed.open, request, answer: request };
        let mut line = Line { stream: dialed.stream, address: dialed.address, times };
        write(&mut line.stream, text.as_bytes(), self.patience.stall).await?;
        Ok(line)
    }

    fn head(
        &self,
        method: &str,
        asked: &Url,
        at: &Url,
        headers: &Headers<'_>,
        framing: &str,
    ) -> Result<String, HttpFault> {
        let mut text = format!(
            "{method} {} HTTP/1.1\r\nHost: {}\r\nUser-Agent: usp-agent/{}\r\nAccept: */*\r\n\
             Accept-Encoding: identity\r\nConnection: close\r\n{framing}",
            at.target(),
            at.authority(),
            env!("CARGO_PKG_VERSION")
        );
        for (name, value) in headers {
            if value.contains(char::is_control) {
                return Err(HttpFault::Url("a header cannot hold control characters"));
            }
            let _ = write!(text, "{name}: {value}\r\n");
        }
        if let Some(login) = self.login.as_ref().filter(|_| asked.shares_login_with(at)) {
            if login.username.contains(':') {
                return Err(HttpFault::Url("Username cannot hold a colon"));
            }
            let pair = format!("{}:{}", login.username, login.password);
            let _ = write!(text, "Authorization: Basic {}\r\n", base64::encode(pair.as_bytes()));
        }
        text.push_str("\r\n");
        Ok(text)
    }

    /// Waits for the head of the answer that counts, with these bytes of it at hand.
    pub(super) async fn answer(&self, line: &mut Line, at: &Url, begun: &mut Vec<u8>) -> Result<Received, HttpFault> {
        let deadline = Instant::now() + self.patience.answer;
        for _ in 0..=MAX_INTERIM {
            let receiving = receive_on(&mut line.stream, b"HTTP/", begun);
            let received = timeout_at(deadline, receiving).await.map_err(|_| HttpFault::NoAnswer(at.authority()))?;
            let received = received.map_err(|fault| head_fault(&fault))?;
            line.times.answer = Instant::now();
            let head = Head::parse(&received.head).map_err(|fault| head_fault(&fault))?;
            match status(&head)? {
                100..=199 => *begun = received.rest,
                _ => return Ok(received),
            }
        }
        Err(HttpFault::Protocol("it says again and again that it goes on".into()))
    }
}

impl Answer {
    /// Where this answer leads, if it has one of these statuses.
    pub(super) fn leads_to(&self, statuses: &[u16]) -> Result<Option<Url>, HttpFault> {
        let location = self.location.as_deref().filter(|_| statuses.contains(&self.status));
        location.map(|location| self.url.join(location)).transpose()
    }
}

/// Writes all of it, as long as the other side takes some.
pub(super) async fn write(stream: &mut Stream, mut bytes: &[u8], stall: Duration) -> Result<(), HttpFault> {
    let broken = |error: std::io::Error| HttpFault::Broken(explain_io(&error).text);
    while !bytes.is_empty() {
        let written = timeout(stall, stream.write(bytes)).await.map_err(|_| HttpFault::Stalled(stall.as_secs()))?;
        match written.map_err(broken)? {
            0 => return Err(HttpFault::Broken("the connection takes no more".into())),
            written => bytes = bytes.get(written..).unwrap_or_default(),
        }
    }
    let flushed = timeout(stall, stream.flush()).await.map_err(|_| HttpFault::Stalled(stall.as_secs()))?;
    flushed.map_err(broken)
}

pub(super) fn head_fault(fault: &HeadFault) -> HttpFault {
    match fault {
        HeadFault::Io(error) => HttpFault::Broken(explain_io(error).text),
        HeadFault::Unfinished => HttpFault::Broken("the server closed the connection without an answer".into()),
        fault => HttpFault::Protocol(fault.to_string()),
    }
}
