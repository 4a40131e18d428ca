//! One connection of either side: the handshake, then records, then the way out.

use super::Settings;
use super::frame::{self, ERROR, Fields, HANDSHAKE, HEADER, RECORD};
use crate::mtp::class::Why;
use crate::mtp::link::{Desk, End, Loss, sleep_until};
use crate::mtp::pipe::Pipe;
use crate::mtp::stream::{Stream, explain_io};
use crate::mtp::{Channel, Limits, LinkCommand, LinkEvent, MAX_RECORD};
use crate::usp::endpoint_id::EndpointId;
use bytes::{Buf, Bytes};
use std::future::poll_fn;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::time::{Instant, timeout};

/// Characters of a peer's Error that are told on.
const MAX_TOLD: usize = 200;

/// Why a connection ends.
pub(super) enum Fault {
    /// Of the peer, which is told in an Error field (R-UDS.21, 23, 24).
    Peer(String),
    /// There is nobody to tell, or nothing.
    Gone(Loss),
}

impl Fault {
    fn gone(why: impl Into<Why>) -> Self {
        Fault::Gone(Loss::clean(why))
    }
}

/// Frames over a connection.
pub(super) struct Wire(Pipe);

impl Wire {
    pub(super) fn new(stream: Stream) -> Self {
        Wire(Pipe::new(stream))
    }

    /// Queues a frame with one field; false: too long, or too much waits already.
    #[must_use]
    pub(super) fn push(&mut self, kind: u8, value: &[u8]) -> bool {
        frame::head(kind, value).is_some_and(|head| self.0.push(&[&head, value]))
    }

    /// The fields of the next frame; cancel safe.
    async fn receive(&mut self) -> Result<Fields, Fault> {
        poll_fn(|cx| self.poll(cx)).await
    }

    /// Writes what it can, then reads.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<Fields, Fault>> {
        let broke = |error: std::io::Error| Fault::Gone(Loss::unclean(explain_io(&error)));
        if let Poll::Ready(Err(error)) = self.0.poll_write(cx) {
            return Poll::Ready(Err(broke(error)));
        }
        loop {
            let there = self.0.incoming.len();
            let missing = match frame::body(&self.0.incoming).map_err(not_parsed)? {
                Some(body) if HEADER + body <= there => {
                    let mut frame = self.0.take(HEADER + body).freeze();
                    frame.advance(HEADER);
                    return Poll::Ready(Fields::of(frame).map_err(not_parsed));
                }
                Some(body) => HEADER + body - there,
                None => HEADER - there,
            };
            if !ready!(self.0.poll_more(cx, missing)).map_err(broke)? {
                return Poll::Ready(Err(Fault::gone("the peer closed the connection")));
            }
        }
    }

    /// The endpoint id in the peer's handshake. Until then records are ignored (R-UDS.20).
    pub(super) async fn handshake(&mut self, settings: &Settings) -> Result<Box<str>, Fault> {
        match timeout(settings.limits.handshake, self.expect_handshake(&settings.own_id)).await {
            Ok(answered) => answered,
            Err(_) => {
                Err(Fault::Peer(format!("no handshake within {} s", crate::mtp::seconds(settings.limits.handshake))))
            }
        }
    }

    async fn expect_handshake(&mut self, own_id: &str) -> Result<Box<str>, Fault> {
        loop {
            for (kind, value) in self.receive().await? {
                match kind {
                    HANDSHAKE => return endpoint_id(&value, own_id),
                    ERROR => return Err(told(&value)),
                    _ => {}
                }
            }
        }
    }

    /// Ends the connection, with an Error field where the peer is to be told.
    pub(super) async fn leave(mut self, fault: Fault, patience: Duration) -> Loss {
        match fault {
            Fault::Gone(loss) => loss,
            Fault::Peer(why) => {
                self.say_error(&why, patience).await;
                Loss::clean(format!("the peer was told \"{why}\" and cut"))
            }
        }
    }

    /// The peer's last words from here.
    pub(super) async fn say_error(&mut self, why: &str, patience: Duration) {
        let Some(head) = frame::head(ERROR, why.as_bytes()) else { return };
        self.0.goodbye(&[&head[..], why.as_bytes()].concat(), patience).await;
    }
}

fn not_parsed(broken: frame::Broken) -> Fault {
    Fault::Peer(broken.to_string())
}

/// R-UDS.21: a handshake that names nobody is answered with an Error.
fn endpoint_id(value: &[u8], own_id: &str) -> Result<Box<str>, Fault> {
    let id = std::str::from_utf8(value).ok().and_then(|text| EndpointId::lenient(text).ok());
    match id {
        None => Err(Fault::Peer("the handshake holds no endpoint id".into())),
        Some(id) if id.as_str() == own_id => Err(Fault::Peer(format!("the endpoint id {own_id} is this side's own"))),
        Some(id) => Ok(id.as_str().into()),
    }
}

/// R-UDS.25: an Error ends the connection.
fn told(value: &[u8]) -> Fault {
    let text = String::from_utf8_lossy(value);
    let text: String = text.chars().filter(|c| !c.is_control()).take(MAX_TOLD).collect();
    Fault::gone(format!("the peer ended the connection with the error \"{text}\""))
}

/// A connection whose handshake is through, and the daemon's end of it.
pub(super) struct Session {
    wire: Wire,
    channel: Channel,
    limits: Limits,
}

/// How a session ends.
enum Leave {
    Fault(Fault),
    Shutdown,
}

impl Session {
    pub(super) fn new(wire: Wire, channel: Channel, limits: Limits) -> Self {
        Session { wire, channel, limits }
    }

    /// Lives until the session ends.
    pub(super) async fn run(mut self, desk: &mut Desk) -> End {
        let leave = loop {
            let stalls = self.wire.0.stalls_at(self.limits.stall);
            // Unbiased, so that a peer that floods us cannot keep commands from being heard.
            let step = tokio::select! {
                received = self.wire.receive() => self.received(received, desk),
                () = sleep_until(stalls) => self.stalled(),
                command = desk.command() => self.commanded(command, desk),
            };
            desk.pace(&mut self.wire.0.stream);
            if let Some(leave) = step {
                break leave;
            }
        };
        match leave {
            Leave::Fault(fault) => End::Lost(self.wire.leave(fault, self.limits.goodbye).await),
            Leave::Shutdown => {
                self.wire.0.goodbye(&[], self.limits.goodbye).await;
                End::Shutdown
            }
        }
    }

    fn received(&self, received: Result<Fields, Fault>, desk: &mut Desk) -> Option<Leave> {
        let fields = match received {
            Ok(fields) => fields,
            Err(fault) => return Some(Leave::Fault(fault)),
        };
        for (kind, value) in fields {
            match kind {
                ERROR => return Some(Leave::Fault(told(&value))),
                RECORD if value.len() > MAX_RECORD => {
                    let why = format!("a record of {} bytes is too long, the limit is {MAX_RECORD}", value.len());
                    return Some(Leave::Fault(Fault::Peer(why)));
                }
                RECORD => {
                    let at = Instant::now();
                    desk.report.tell(LinkEvent::Record { channel: self.channel, bytes: value, reply_to: None, at });
                }
                // R-UDS.15; and a handshake that nobody waits for is ignored too (R-UDS.19).
                _ => {}
            }
        }
        None
    }

    fn stalled(&self) -> Option<Leave> {
        let late = self.wire.0.stalls_at(self.limits.stall).is_some_and(|at| at <= Instant::now());
        let why = || format!("the peer took no data for {} s", crate::mtp::seconds(self.limits.stall));
        late.then(|| Leave::Fault(Fault::Gone(Loss::unclean(why()))))
    }

    fn commanded(&mut self, command: Option<LinkCommand>, desk: &mut Desk) -> Option<Leave> {
        match command {
            Some(LinkCommand::Send { channel, record, .. }) => {
                if channel != self.channel {
                    desk.refuse_to_send();
                } else if let Some(why) = self.send(&record) {
                    desk.report.remark(why);
                }
                None
            }
            Some(LinkCommand::Close { channel, reason, .. }) if channel == self.channel => {
                Some(Leave::Fault(Fault::Peer(reason.into())))
            }
            // Nobody loses a local peer by a change of the network.
            Some(
                LinkCommand::TryNow | LinkCommand::Filters(_) | LinkCommand::Probe { .. } | LinkCommand::Close { .. },
            ) => None,
            Some(LinkCommand::Shutdown) | None => Some(Leave::Shutdown),
        }
    }

    /// What there is to say to a record that is not sent.
    fn send(&mut self, record: &Bytes) -> Option<String> {
        if record.len() > MAX_RECORD {
            return Some(format!("a record of {} bytes was dropped: the limit is {MAX_RECORD}", record.len()));
        }
        let sent = self.wire.push(RECORD, record);
        (!sent).then(|| "a record was dropped: the peer is too slow for what is sent to it".into())
    }
}
