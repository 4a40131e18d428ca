//! One established session, of either side: records, pings, and the way out.
//!
//! Reading never waits for writing nor for the daemon, so that a ping is answered at once.

use crate::mtp::class::Why;
use crate::mtp::link::{Desk, End, Loss, sleep_until};
use crate::mtp::stream::{Stream, explain_io};
use crate::mtp::{Channel, Limits, LinkCommand, LinkEvent, MAX_RECORD};
use bytes::Bytes;
use futures_util::{Sink, Stream as _};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::{Instant, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Error, Message};

/// Bytes of records that wait for a slow peer; more are dropped.
const MAX_OUTGOING: usize = 4 * MAX_RECORD;

/// A session and the daemon's end of it.
pub(super) struct Session {
    pipe: Pipe,
    channel: Channel,
    keep_alive: Duration,
    limits: Limits,
    next_ping: Option<Instant>,
    heard: bool,
    /// A pong is awaited by the daemon.
    probed: bool,
}

impl Session {
    pub(super) fn new(ws: WebSocketStream<Stream>, channel: Channel, keep_alive: Duration, limits: Limits) -> Self {
        let next_ping = (!keep_alive.is_zero()).then(|| Instant::now() + keep_alive);
        Session { pipe: Pipe::new(ws), channel, keep_alive, limits, next_ping, heard: true, probed: false }
    }

    /// Lives until the session ends.
    pub(super) async fn run(mut self, desk: &mut Desk) -> End {
        loop {
            let stalls = self.pipe.stalls_at(self.limits.stall);
            // Unbiased, so that a peer that floods us cannot keep commands from being heard.
            let step = tokio::select! {
                message = poll_fn(|cx| self.pipe.poll(cx)) => self.heard(message, desk),
                () = sleep_until(self.next_ping) => self.ping(),
                () = sleep_until(stalls) => self.stalled(),
                command = desk.command() => self.commanded(command, desk),
            };
            desk.pace(self.pipe.ws.get_mut());
            let Some(leave) = step else { continue };
            if let Some((code, reason)) = &leave.say {
                self.pipe.goodbye(*code, reason, self.limits.goodbye).await;
            }
            return leave.end;
        }
    }

    fn heard(&mut self, message: Option<Result<Message, Error>>, desk: &mut Desk) -> Option<Leave> {
        self.heard = true;
        match message {
            Some(Ok(Message::Binary(bytes))) => {
                let at = Instant::now();
                desk.report.tell(LinkEvent::Record { channel: self.channel, bytes, reply_to: None, at });
                None
            }
            Some(Ok(Message::Text(_))) => {
                let why = "the peer sent a text frame, USP records are binary: the session is closed with 1003";
                Some(Leave::saying(CloseCode::Unsupported, "binary frames only", why))
            }
            Some(Ok(Message::Close(frame))) => Some(self.closed_by_peer(frame)),
            Some(Ok(Message::Pong(_))) => {
                if std::mem::take(&mut self.probed) {
                    desk.report.tell(LinkEvent::Alive { channel: self.channel });
                }
                None
            }
            Some(Ok(_)) => None,
            Some(Err(error)) => Some(broken(&error)),
            None => Some(Leave::silent(Loss::clean("the peer closed the session"))),
        }
    }

    fn closed_by_peer(&mut self, frame: Option<CloseFrame>) -> Leave {
        let why = match frame {
            None => "the peer closed the session without a code".into(),
            Some(frame) if frame.reason.is_empty() => {
                format!("the peer closed the session with {}", u16::from(frame.code))
            }
            Some(frame) => {
                let reason: String = frame.reason.chars().filter(|c| !c.is_control()).collect();
                format!("the peer closed the session with {} \"{reason}\"", u16::from(frame.code))
            }
        };
        // The answer is queued already; the goodbye only sees it off.
        Leave::saying(CloseCode::Normal, "", why)
    }

    /// R-WS.17: a ping every interval; no sign of life until the next one is due ends the session.
    fn ping(&mut self) -> Option<Leave> {
        if !self.heard {
            let seconds = crate::mtp::seconds(self.keep_alive);
            return Some(Leave::silent(Loss::unclean(format!("the peer did not answer a ping within {seconds} s"))));
        }
        self.heard = false;
        self.next_ping = Some(Instant::now() + self.keep_alive);
        self.pipe.push(Message::Ping(Bytes::new()));
        None
    }

    fn stalled(&mut self) -> Option<Leave> {
        let seconds = crate::mtp::seconds(self.limits.stall);
        self.pipe
            .has_stalled(self.limits.stall)
            .then(|| Leave::silent(Loss::unclean(format!("the peer took no data for {seconds} s"))))
    }

    fn commanded(&mut self, command: Option<LinkCommand>, desk: &mut Desk) -> Option<Leave> {
        match command {
            Some(LinkCommand::Send { channel, record, .. }) => {
                if channel != self.channel {
                    desk.refuse_to_send();
                } else if let Err(why) = self.pipe.push_record(record) {
                    desk.report.remark(why);
                }
                None
            }
            Some(LinkCommand::Close { channel, code, reason }) if channel == self.channel => {
                let why = format!("the session is closed by this side with {code} \"{reason}\"");
                Some(Leave::saying(code.into(), &reason, why))
            }
            Some(LinkCommand::Probe { channel }) if channel == self.channel => {
                self.probed = true;
                self.pipe.push(Message::Ping(Bytes::new()));
                None
            }
            Some(
                LinkCommand::TryNow | LinkCommand::Filters(_) | LinkCommand::Probe { .. } | LinkCommand::Close { .. },
            ) => None,
            Some(LinkCommand::Shutdown) | None => {
                Some(Leave { say: Some((CloseCode::Normal, "shutting down".into())), end: End::Shutdown })
            }
        }
    }
}

/// How to leave a session.
struct Leave {
    say: Option<(CloseCode, Box<str>)>,
    end: End,
}

impl Leave {
    fn silent(loss: Loss) -> Self {
        Leave { say: None, end: End::Lost(loss) }
    }

    fn saying(code: CloseCode, reason: &str, why: impl Into<Why>) -> Self {
        Leave { say: Some((code, reason.into())), end: End::Lost(Loss::clean(why)) }
    }
}

fn broken(error: &Error) -> Leave {
    match error {
        Error::Capacity(_) => {
            let why =
                format!("the peer sent a message of more than {MAX_RECORD} bytes: the session is closed with 1009");
            Leave::saying(CloseCode::Size, "message too big", why)
        }
        Error::Utf8(_) => {
            Leave::saying(CloseCode::Unsupported, "binary frames only", "the peer sent a broken text frame")
        }
        Error::Protocol(tokio_tungstenite::tungstenite::error::ProtocolError::ResetWithoutClosingHandshake) => {
            Leave::silent(Loss::unclean("the peer dropped the connection without closing the session"))
        }
        Error::Protocol(error) => {
            let why = format!("the peer broke the WebSocket protocol: {error}");
            Leave::saying(CloseCode::Protocol, "protocol error", why)
        }
        Error::Io(error) => Leave::silent(Loss::unclean(explain_io(error))),
        error => Leave::silent(Loss::unclean(error.to_string())),
    }
}

/// The socket with what waits to be sent.
struct Pipe {
    ws: WebSocketStream<Stream>,
    waiting: VecDeque<Message>,
    bytes: usize,
    flushed: bool,
    taken: u64,
    progress: Instant,
}

impl Pipe {
    fn new(ws: WebSocketStream<Stream>) -> Self {
        Pipe { ws, waiting: VecDeque::new(), bytes: 0, flushed: true, taken: 0, progress: Instant::now() }
    }

    fn push_record(&mut self, record: Bytes) -> Result<(), String> {
        if record.len() > MAX_RECORD {
            return Err(format!("a record of {} bytes was dropped: the limit is {MAX_RECORD}", record.len()));
        }
        if self.bytes + record.len() > MAX_OUTGOING {
            return Err("a record was dropped: the peer is too slow for what is sent to it".into());
        }
        self.push(Message::Binary(record));
        Ok(())
    }

    fn push(&mut self, message: Message) {
        self.expect_progress();
        self.bytes += message.len();
        self.waiting.push_back(message);
    }

    /// Something begins to wait: the time in which it may stall starts now.
    fn expect_progress(&mut self) {
        if self.is_idle() {
            self.progress = Instant::now();
        }
    }

    fn is_idle(&self) -> bool {
        self.waiting.is_empty() && self.flushed
    }

    /// Writes what it can, then reads.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Message, Error>>> {
        if let Poll::Ready(Err(error)) = self.poll_write(cx) {
            return Poll::Ready(Some(Err(error)));
        }
        let polled = Pin::new(&mut self.ws).poll_next(cx);
        if let Poll::Ready(Some(Ok(Message::Ping(_)))) = &polled {
            // Its pong is queued: the next poll writes it.
            self.expect_progress();
            self.flushed = false;
        }
        polled
    }

    fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        let polled = self.poll_send(cx);
        let taken = self.ws.get_ref().taken();
        if taken != self.taken {
            (self.taken, self.progress) = (taken, Instant::now());
        }
        polled
    }

    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        while !self.waiting.is_empty() {
            std::task::ready!(Pin::new(&mut self.ws).poll_ready(cx))?;
            if let Some(message) = self.waiting.pop_front() {
                self.bytes -= message.len();
                self.flushed = false;
                Pin::new(&mut self.ws).start_send(message)?;
            }
        }
        if !self.flushed {
            std::task::ready!(Pin::new(&mut self.ws).poll_flush(cx))?;
            self.flushed = true;
        }
        Poll::Ready(Ok(()))
    }

    fn stalls_at(&self, stall: Duration) -> Option<Instant> {
        (!self.is_idle()).then(|| self.progress + stall)
    }

    fn has_stalled(&self, stall: Duration) -> bool {
        self.stalls_at(stall).is_some_and(|at| at <= Instant::now())
    }

    /// What waits and the close handshake, for as long as `patience`; then the connection is dropped.
    async fn goodbye(&mut self, code: CloseCode, reason: &str, patience: Duration) {
        let frame = CloseFrame { code: sendable(code), reason: fitting(reason).into() };
        self.push(Message::Close(Some(frame)));
        let farewell = async {
            while !matches!(poll_fn(|cx| self.poll(cx)).await, None | Some(Err(_))) {}
            // After an error the socket reads no more, but the close frame may still wait.
            let _ = poll_fn(|cx| self.poll_write(cx)).await;
            self.ws.get_mut().linger().await;
        };
        let _ = timeout(patience, farewell).await;
    }
}

/// Codes that may not stand in a frame become the general one.
fn sendable(code: CloseCode) -> CloseCode {
    if code.is_allowed() { code } else { CloseCode::Policy }
}

/// As much of a reason as fits a control frame.
fn fitting(reason: &str) -> String {
    const LONGEST: usize = 123;
    let ends = reason.char_indices().map(|(at, c)| at + c.len_utf8());
    let end = ends.take_while(|end| *end <= LONGEST).last().unwrap_or(0);
    reason.get(..end).unwrap_or_default().to_owned()
}

/// Refuses a session that was just established.
pub(super) async fn turn_away(ws: WebSocketStream<Stream>, code: CloseCode, reason: &str, patience: Duration) {
    Pipe::new(ws).goodbye(code, reason, patience).await;
}
