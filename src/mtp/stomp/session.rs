//! One subscribed connection: records both ways, heart-beats, a destination that changes, and the way out.

use super::client::{Beats, Client, DISCONNECT, Established, Subscription, no_destination, refused};
use super::frame::{Command, Frame};
use super::wire::Wire;
use crate::mtp::class::Why;
use crate::mtp::link::{Desk, Dialer, End, Loss, sleep_until};
use crate::mtp::{Channel, Destination, LinkCommand, LinkEvent, MAX_RECORD};
use bytes::Bytes;
use std::time::Duration;
use tokio::time::Instant;

/// What a record's frame says it is (R-STOMP.20).
const RECORD: &str = "application/vnd.bbf.usp.msg";
/// The error frames of USP before 1.2.
const DEPRECATED_ERROR: &str = "application/vnd.bbf.usp.error";
/// How much later than agreed the server's heart-beat may come at least.
const TOLERANCE: Duration = Duration::from_secs(1);

pub(super) struct Session<'a> {
    client: &'a mut Client,
    wire: Wire,
    subscription: Subscription,
    beats: Beats,
    early: Option<Frame>,
    channel: Channel,
    next_beat: Option<Instant>,
    /// A RECEIPT is awaited by the daemon.
    probed: bool,
}

impl<'a> Session<'a> {
    pub(super) fn new(client: &'a mut Client, established: Established, channel: Channel) -> Self {
        let Established { wire, subscription, beats, early } = established;
        let mut session = Session { client, wire, subscription, beats, early, channel, next_beat: None, probed: false };
        session.schedule_beat();
        session
    }

    /// Lives until the session ends.
    pub(super) async fn run(mut self, desk: &mut Desk) -> End {
        let limits = self.client.settings.limits;
        let mut step = self.begin(desk);
        loop {
            if let Some(leave) = step {
                if leave.disconnecting {
                    // R-STOMP.28.
                    self.wire.pipe.goodbye(DISCONNECT, limits.goodbye).await;
                }
                return leave.end;
            }
            let stalls = self.wire.pipe.stalls_at(limits.stall);
            let silent = self.silent_at();
            // Unbiased, so that a server that floods us cannot keep commands from being heard.
            step = tokio::select! {
                received = self.wire.receive() => self.received(received, desk),
                () = sleep_until(self.next_beat) => self.beat(),
                () = sleep_until(silent) => self.silent(),
                () = sleep_until(stalls) => self.stalled(limits.stall),
                command = desk.command() => self.commanded(command, desk),
            };
            desk.pace(&mut self.wire.pipe.stream);
        }
    }

    /// Takes up what came while connecting.
    fn begin(&mut self, desk: &mut Desk) -> Option<Leave> {
        if let Some(early) = self.early.take() {
            self.deliver(early, desk);
        }
        let filters = desk.filters.take()?;
        self.change(filters, desk)
    }

    /// Somewhat before the server would miss it.
    fn schedule_beat(&mut self) {
        self.next_beat = self.beats.send.map(|every| Instant::now() + every - (every / 8).min(TOLERANCE / 4));
    }

    fn beat(&mut self) -> Option<Leave> {
        self.schedule_beat();
        self.wire.beat();
        None
    }

    /// When the server will have missed its heart-beat, with the margin the standard asks for.
    fn silent_at(&self) -> Option<Instant> {
        let every = self.beats.expect?;
        Some(self.wire.heard + every + (every / 2).max(TOLERANCE))
    }

    fn stalled(&self, stall: Duration) -> Option<Leave> {
        let late = self.wire.pipe.stalls_at(stall).is_some_and(|at| at <= Instant::now());
        late.then(|| Leave::silently(format!("the broker took no data for {} s", crate::mtp::seconds(stall))))
    }

    fn silent(&self) -> Option<Leave> {
        let late = self.silent_at().is_some_and(|at| at <= Instant::now());
        late.then(|| Leave::silently("the broker's heart-beats stopped"))
    }

    fn received(&mut self, received: Result<Frame, Why>, desk: &mut Desk) -> Option<Leave> {
        let frame = match received {
            Ok(frame) => frame,
            Err(why) => return Some(Leave::silently(why)),
        };
        match frame.command {
            Command::Message => self.deliver(frame, desk),
            // R-STOMP.30.
            Command::Receipt if std::mem::take(&mut self.probed) => {
                desk.report.tell(LinkEvent::Alive { channel: self.channel });
            }
            Command::Receipt => {}
            Command::Error => return Some(Leave { disconnecting: false, end: End::Lost(refused(&frame)) }),
            Command::Connected => return Some(Leave::saying(Loss::clean("the broker sent a second CONNECTED"))),
        }
        None
    }

    fn deliver(&mut self, frame: Frame, desk: &mut Desk) {
        // Anything else is tried: some controllers name no content type.
        let deprecated = frame.header("content-type").is_some_and(|kind| kind == DEPRECATED_ERROR);
        let reply_to = frame.header("reply-to-dest").filter(|named| !named.is_empty());
        let why = match frame.body {
            None => format!("a MESSAGE was dropped: the limit is {MAX_RECORD} bytes"),
            Some(_) if deprecated => "a deprecated usp.error frame was ignored".into(),
            Some(body) if body.is_empty() => "a MESSAGE without a record was dropped".into(),
            Some(bytes) => {
                let reply_to = reply_to.map(Into::into);
                let at = Instant::now();
                return desk.report.tell(LinkEvent::Record { channel: self.channel, bytes, reply_to, at });
            }
        };
        desk.report.remark(why);
    }

    fn commanded(&mut self, command: Option<LinkCommand>, desk: &mut Desk) -> Option<Leave> {
        match command {
            Some(LinkCommand::Send { channel, record, to }) => {
                if channel != self.channel {
                    desk.refuse_to_send();
                } else if let Err(why) = self.send(&record, to) {
                    desk.report.remark(format!("a record was dropped: {why}"));
                }
                None
            }
            Some(LinkCommand::Filters(filters)) => self.change(filters, desk),
            Some(LinkCommand::Close { channel, reason, .. }) if channel == self.channel => {
                Some(Leave::saying(Loss::clean(format!("the connection is closed by this side: {reason}"))))
            }
            Some(LinkCommand::Probe { channel }) if channel == self.channel => self.probe(),
            Some(LinkCommand::TryNow | LinkCommand::Probe { .. } | LinkCommand::Close { .. }) => None,
            Some(LinkCommand::Shutdown) | None => Some(Leave { disconnecting: true, end: End::Shutdown }),
        }
    }

    /// R-STOMP.18 to 22.
    fn send(&mut self, record: &Bytes, to: Destination) -> Result<(), String> {
        let Destination::Topic { topic, .. } = to else { return Err("no destination is known for it".into()) };
        if record.len() > MAX_RECORD {
            return Err(format!("its {} bytes are more than the limit of {MAX_RECORD}", record.len()));
        }
        let length = record.len().to_string();
        let headers = [
            ("destination", &*topic),
            ("content-length", &length),
            ("content-type", RECORD),
            ("reply-to-dest", &self.subscription.destination),
        ];
        let taken = self.wire.push("SEND", &headers, record);
        if taken { Ok(()) } else { Err("the broker is too slow for what is sent to it".into()) }
    }

    /// STOMP has no question for its own sake: a second subscription takes the place of the first, with a RECEIPT.
    fn probe(&mut self) -> Option<Leave> {
        self.probed = true;
        self.subscribe_anew(self.subscription.destination.clone(), Some("probe"))
    }

    /// Another SUBSCRIBE; then the one before ends, so that no message falls between them.
    fn subscribe_anew(&mut self, destination: Box<str>, receipt: Option<&str>) -> Option<Leave> {
        let (id, from_server) = (self.subscription.id, self.subscription.from_server);
        self.subscription = Subscription { id: id + 1, destination, from_server };
        let wire = &mut self.wire;
        let taken =
            self.subscription.subscribe(wire, receipt) && wire.push("UNSUBSCRIBE", &[("id", &id.to_string())], b"");
        (!taken).then(|| Leave::silently("the broker is too slow for what is sent to it"))
    }

    /// R-STOMP.29: where the server named no destination, ours follows the configuration.
    fn change(&mut self, filters: Vec<(Box<str>, u8)>, desk: &mut Desk) -> Option<Leave> {
        self.client.filters(filters);
        let wanted = &self.client.settings.destination;
        if self.subscription.from_server || *wanted == self.subscription.destination {
            return None;
        }
        if wanted.is_empty() {
            return Some(Leave::saying(no_destination()));
        }
        let id = self.subscription.id;
        self.subscription = Subscription { id: id + 1, destination: wanted.clone(), from_server: false };
        let wire = &mut self.wire;
        if !wire.push("UNSUBSCRIBE", &[("id", &id.to_string())], b"") || !self.subscription.subscribe(wire, None) {
            return Some(Leave::silently("the broker is too slow for what is sent to it"));
        }
        // Controllers are told of the new destination in another Connect record.
        let peer = self.subscription.peer(wire);
        desk.report.tell(LinkEvent::Connected { channel: self.channel, peer });
        None
    }
}

/// How to leave a session.
struct Leave {
    disconnecting: bool,
    end: End,
}

impl Leave {
    /// The connection is gone, or no good.
    fn silently(why: impl Into<Why>) -> Self {
        Leave { disconnecting: false, end: End::Lost(Loss::unclean(why)) }
    }

    fn saying(loss: Loss) -> Self {
        Leave { disconnecting: true, end: End::Lost(loss) }
    }
}
