//! One subscribed connection: records both ways, keep-alive, changing filters, and the way out.

use super::client::{Client, Established, Granted, sort_out};
use super::encode::{self, Ack, DISCONNECT, Outgoing, PINGREQ};
use super::inflight::Again;
use super::packet::{ConnAck, Incoming, Received};
use super::reason::{class_of, disconnected, name, with_words};
use super::topics::{is_valid_topic, reply_to_of, with_reply_to};
use super::wire::Wire;
use super::{Filter, MAX_PACKET, Version};
use crate::mtp::class::{Class, Why};
use crate::mtp::link::{Desk, End, Loss, sleep_until};
use crate::mtp::{Channel, Destination, LinkCommand, LinkEvent, MAX_RECORD};
use bytes::Bytes;
use std::collections::VecDeque;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::time::Instant;

/// Bytes of records that wait for acknowledgements of those before them; more are dropped.
const MAX_WAITING_BYTES: usize = 2 * MAX_PACKET;
/// Records likewise.
const MAX_WAITING: usize = crate::mtp::QUEUE;

/// A change of filters that the broker has not answered.
struct Change {
    id: u16,
    filters: Vec<Filter>,
}

pub(super) struct Session<'a> {
    client: &'a mut Client,
    wire: Wire,
    connack: ConnAck,
    granted: Granted,
    early: Vec<Received>,
    remarks: Vec<String>,
    channel: Channel,
    waiting: VecDeque<Outgoing>,
    waiting_bytes: usize,
    changes: Vec<Change>,
    next_ping: Option<Instant>,
    next_subscribe: Option<Instant>,
    heard: bool,
    /// A PINGRESP is awaited by the daemon.
    probed: bool,
}

impl<'a> Session<'a> {
    pub(super) fn new(client: &'a mut Client, established: Established, channel: Channel) -> Self {
        let Established { wire, connack, granted, early, remarks } = established;
        let mut session = Session {
            client,
            wire,
            connack,
            granted,
            early,
            remarks,
            channel,
            waiting: VecDeque::new(),
            waiting_bytes: 0,
            changes: Vec::new(),
            next_ping: None,
            next_subscribe: None,
            heard: true,
            probed: false,
        };
        session.next_subscribe = session.client.settings.resubscribe.map(|wait| Instant::now() + wait);
        session.next_ping = session.ping_after().map(|wait| Instant::now() + wait);
        session
    }

    /// Lives until the session ends.
    pub(super) async fn run(mut self, desk: &mut Desk) -> End {
        self.begin(desk);
        let (stall, ack_timeout) = (self.client.settings.limits.stall, self.client.settings.ack_timeout);
        let retry = self.client.settings.message_retry;
        let mut step = self.take_early(desk);
        // Filters that changed while the broker was dialled.
        if let (None, Some(filters)) = (&step, desk.filters.take()) {
            step = self.change(filters, desk);
        }
        loop {
            if let Some(leave) = step {
                return self.leave(leave).await;
            }
            self.send_waiting();
            let stalls = self.wire.stalls_at(stall);
            let gives_up = self.client.inflight.gives_up_at(ack_timeout);
            // MQTT 5.0 forbids it on a connection that holds (MQTT-4.4.0-1).
            let again = self.client.inflight.again_at(retry).filter(|_| self.version() == Version::V311);
            // Unbiased, so that a broker that floods us cannot keep commands from being heard.
            step = tokio::select! {
                received = self.wire.receive() => self.received(received, desk),
                () = sleep_until(self.next_ping) => self.ping(),
                () = sleep_until(self.next_subscribe) => self.subscribe_again(),
                () = sleep_until(again) => self.send_again(retry),
                () = sleep_until(gives_up) => self.give_up(ack_timeout, desk),
                () = sleep_until(stalls) => self.stalled(stall),
                command = desk.command() => self.commanded(command, desk),
            };
            desk.pace(self.wire.stream());
        }
    }

    async fn leave(mut self, leave: Leave) -> End {
        let patience = self.client.settings.limits.goodbye;
        match leave {
            Leave::Silently(why) => End::Lost(Loss::unclean(why)),
            Leave::Disconnecting(end) => {
                // R-MQTT.35.
                self.wire.goodbye(&DISCONNECT, patience).await;
                end
            }
        }
    }

    /// Tells what came up while connecting, and resumes what the broker still awaits.
    fn begin(&mut self, desk: &mut Desk) {
        for remark in std::mem::take(&mut self.remarks) {
            desk.report.remark(remark);
        }
        let unfinished = self.client.inflight.resume(Instant::now());
        self.push_again(unfinished);
    }

    fn send_again(&mut self, retry: Duration) -> Option<Leave> {
        let late = self.client.inflight.again(retry, Instant::now());
        self.push_again(late);
        None
    }

    fn push_again(&mut self, unfinished: Vec<Again>) {
        let version = self.version();
        for again in unfinished {
            let packet = match again {
                Again::Publish(id, outgoing) => encode::publish(version, id, true, &outgoing),
                Again::Release(id) => Ok(encode::ack(Ack::PubRel, id).as_slice().into()),
            };
            let _ = packet.map(|packet| self.wire.push(&packet));
        }
    }

    fn take_early(&mut self, desk: &mut Desk) -> Option<Leave> {
        std::mem::take(&mut self.early).into_iter().find_map(|received| self.received(Ok(received), desk))
    }

    fn version(&self) -> Version {
        self.client.settings.version
    }

    /// Some time before the broker would give up (it waits for one and a half keep-alive times).
    fn ping_after(&self) -> Option<Duration> {
        let keep_alive = Duration::from_secs(self.granted.keep_alive.into());
        (!keep_alive.is_zero()).then(|| keep_alive * 3 / 4)
    }

    fn ping(&mut self) -> Option<Leave> {
        let wait = self.ping_after()?;
        if !self.heard {
            let seconds = crate::mtp::seconds(wait);
            return Some(Leave::Silently(format!("the broker did not answer a ping within {seconds} s").into()));
        }
        self.heard = false;
        self.next_ping = Some(Instant::now() + wait);
        self.push(&PINGREQ)
    }

    fn stalled(&mut self, stall: Duration) -> Option<Leave> {
        let late = self.wire.stalls_at(stall).is_some_and(|at| at <= Instant::now());
        late.then(|| Leave::Silently(format!("the broker took no data for {} s", crate::mtp::seconds(stall)).into()))
    }

    /// A broker that silently drops what its access list forbids never acknowledges it.
    fn give_up(&mut self, ack_timeout: Duration, desk: &mut Desk) -> Option<Leave> {
        for topic in self.client.inflight.give_up(ack_timeout, Instant::now()) {
            self.client.traffic.publish_errors.fetch_add(1, Ordering::Relaxed);
            desk.report.remark(format!(
                "the broker never acknowledged a record for \"{topic}\": does its access list allow that topic?"
            ));
        }
        None
    }

    fn push(&mut self, packet: &[u8]) -> Option<Leave> {
        let taken = self.wire.push(packet);
        (!taken).then(|| Leave::Silently("the broker is too slow for what is sent to it".into()))
    }

    fn received(&mut self, received: Result<Received, Why>, desk: &mut Desk) -> Option<Leave> {
        self.heard = true;
        match received {
            Err(why) => Some(Leave::Silently(why)),
            Ok(Received::Publish(incoming)) => self.publish_received(incoming, desk),
            Ok(Received::TooLarge { id, qos, size }) => self.too_large(id, qos, size, desk),
            Ok(Received::PubAck { id, code }) => self.acknowledged(id, code, desk),
            Ok(Received::PubRec { id, code }) if code >= 0x80 => self.acknowledged(id, code, desk),
            Ok(Received::PubRec { id, .. }) => {
                self.client.inflight.released(id, Instant::now());
                self.push(&encode::ack(Ack::PubRel, id))
            }
            Ok(Received::PubComp { id }) => self.acknowledged(id, 0, desk),
            Ok(Received::PubRel { id }) => {
                self.client.inflight.completed(id);
                self.push(&encode::ack(Ack::PubComp, id))
            }
            Ok(Received::SubAck { id, codes }) => self.change_answered(id, &codes, desk),
            Ok(Received::UnsubAck) => None,
            Ok(Received::PingResp) => {
                if std::mem::take(&mut self.probed) {
                    desk.report.tell(LinkEvent::Alive { channel: self.channel });
                }
                None
            }
            Ok(Received::Disconnect { code, reason }) => {
                Some(Leave::Silently(Why::new(class_of(code), disconnected(code, reason.as_deref()))))
            }
            Ok(Received::ConnAck(_)) => Some(Leave::lost("the broker sent a second CONNACK")),
        }
    }

    fn acknowledged(&mut self, id: u16, code: u8, desk: &mut Desk) -> Option<Leave> {
        let outgoing = self.client.inflight.done(id)?;
        match code {
            0x80.. => {
                self.client.traffic.publish_errors.fetch_add(1, Ordering::Relaxed);
                let why = with_words(code, None);
                let what = format!("the broker refused a record for \"{}\": {why}", outgoing.topic);
                desk.report.fault(Class::Publish, what);
            }
            0 => self.client.unheard = false,
            // Told once, until somebody listens.
            0x10 if !std::mem::replace(&mut self.client.unheard, true) => {
                let what = format!("nobody is subscribed to \"{}\", where a record was published", outgoing.topic);
                desk.report.fault(Class::NobodyListens, what);
            }
            code => log::debug!("mqtt publish topic={} result=\"{}\"", outgoing.topic, name(code)),
        }
        None
    }

    fn publish_received(&mut self, incoming: Incoming, desk: &mut Desk) -> Option<Leave> {
        let id = incoming.id;
        match incoming.qos {
            0 => self.deliver(incoming, desk),
            1 => {
                self.deliver(incoming, desk);
                return self.push(&encode::ack(Ack::PubAck, id));
            }
            _ => {
                match self.client.inflight.received(id) {
                    None => return Some(Leave::lost("the broker exceeds our Receive Maximum")),
                    Some(true) => self.deliver(incoming, desk),
                    Some(false) => {}
                }
                return self.push(&encode::ack(Ack::PubRec, id));
            }
        }
        None
    }

    /// Acknowledged, or the broker sends it again for ever.
    fn too_large(&mut self, id: u16, qos: u8, size: usize, desk: &mut Desk) -> Option<Leave> {
        desk.report.remark(format!("a packet of {size} bytes was dropped: the limit is {MAX_PACKET}"));
        match qos {
            0 => None,
            1 => self.push(&encode::ack(Ack::PubAck, id)),
            _ => self.push(&encode::ack(Ack::PubRec, id)),
        }
    }

    fn deliver(&mut self, incoming: Incoming, desk: &mut Desk) {
        let Incoming { topic, payload, response_topic, content_type, .. } = incoming;
        // The error packets of USP before 1.2 are no records; anything else is tried, for some
        // controllers name no content type (R-MQTT.27a).
        if content_type.is_some_and(|kind| kind == "usp.error" || kind == "application/vnd.bbf.usp.error") {
            return desk.report.remark("a deprecated usp.error packet was ignored");
        }
        if payload.is_empty() {
            return;
        }
        if payload.len() > MAX_RECORD {
            let size = payload.len();
            return desk.report.remark(format!("a record of {size} bytes was dropped: the limit is {MAX_RECORD}"));
        }
        let reply_to = match self.version() {
            Version::V5 => response_topic.filter(|topic| is_valid_topic(topic)).map(Into::into),
            Version::V311 => reply_to_of(&topic),
        };
        desk.report.tell(LinkEvent::Record { channel: self.channel, bytes: payload, reply_to, at: Instant::now() });
    }

    fn commanded(&mut self, command: Option<LinkCommand>, desk: &mut Desk) -> Option<Leave> {
        match command {
            Some(LinkCommand::Send { channel, record, to }) => {
                if channel != self.channel {
                    desk.refuse_to_send();
                } else if let Err(why) = self.accept(record, to) {
                    desk.report.remark(format!("a record was dropped: {why}"));
                }
                None
            }
            Some(LinkCommand::Filters(filters)) => self.change(filters, desk),
            Some(LinkCommand::Close { channel, reason, .. }) if channel == self.channel => {
                Some(Leave::lost(format!("the connection is closed by this side: {reason}")))
            }
            Some(LinkCommand::Probe { channel }) if channel == self.channel => {
                self.probed = true;
                self.push(&PINGREQ)
            }
            Some(LinkCommand::TryNow | LinkCommand::Probe { .. } | LinkCommand::Close { .. }) => None,
            Some(LinkCommand::Shutdown) | None => Some(Leave::Disconnecting(End::Shutdown)),
        }
    }

    /// Takes a record for sending.
    fn accept(&mut self, record: Bytes, to: Destination) -> Result<(), String> {
        let Destination::Topic { topic, retain } = to else { return Err("no topic is known for it".into()) };
        if !is_valid_topic(&topic) {
            return Err(format!("\"{topic}\" is no topic to publish to"));
        }
        if self.waiting.len() >= MAX_WAITING || self.waiting_bytes + record.len() > MAX_WAITING_BYTES {
            return Err(format!("those before it are not through yet (topic \"{topic}\")"));
        }
        let outgoing = self.outgoing(record, topic, retain);
        let size = encode::publish(self.version(), 1, false, &outgoing)?.len();
        if size > self.granted.max_packet {
            return Err(format!("{size} bytes are more than the broker's limit of {}", self.granted.max_packet));
        }
        self.waiting_bytes += outgoing.payload.len();
        self.waiting.push_back(outgoing);
        Ok(())
    }

    fn outgoing(&self, payload: Bytes, topic: Box<str>, retain: bool) -> Outgoing {
        let reply_to = self.granted.reply_to.clone();
        let (topic, response_topic) = match (self.version(), reply_to) {
            (Version::V311, Some(reply_to)) => (with_reply_to(&topic, &reply_to).into(), None),
            (_, reply_to) => (topic, reply_to),
        };
        let qos = self.client.settings.publish_qos.min(self.granted.max_qos).min(2);
        Outgoing { topic, response_topic, payload, qos, retain: retain && self.granted.retain }
    }

    /// Sends what may be under way at once.
    fn send_waiting(&mut self) {
        while let Some(outgoing) = self.waiting.front() {
            if outgoing.qos > 0 && self.client.inflight.len() >= self.granted.inflight {
                return;
            }
            let id = if outgoing.qos > 0 { self.client.inflight.next_id() } else { 0 };
            let Ok(packet) = encode::publish(self.version(), id, false, outgoing) else { return };
            if !self.wire.push(&packet) {
                return;
            }
            if let Some(outgoing) = self.waiting.pop_front() {
                self.waiting_bytes -= outgoing.payload.len();
                if id != 0 {
                    self.client.inflight.sent(id, outgoing, Instant::now());
                }
            }
        }
    }

    /// R-MQTT.34: subscribes to what is new, unsubscribes from what is gone.
    fn change(&mut self, filters: Vec<Filter>, desk: &mut Desk) -> Option<Leave> {
        self.client.settings.filters = filters;
        let plan = self.client.plan(&self.connack);
        for filter in &plan.invalid {
            desk.report.remark(format!("\"{filter}\" is no valid topic filter and is left out"));
        }
        if plan.filters.is_empty() {
            let why = "there is no topic left to subscribe to: configure a Subscription or ResponseTopicConfigured";
            return Some(Leave::Disconnecting(End::Lost(Loss { disabled: true, ..Loss::clean(why) })));
        }
        let known = |filter: &Filter| {
            self.granted.filters.contains(filter) || self.changes.iter().any(|change| change.filters.contains(filter))
        };
        let fresh: Vec<_> = plan.filters.iter().filter(|filter| !known(filter)).cloned().collect();
        let wanted = |filter: &str| plan.filters.iter().any(|(wanted, _)| **wanted == *filter);
        let (kept, gone): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.granted.filters).into_iter().partition(|(filter, _)| wanted(filter));
        self.granted.filters = kept;
        let left = self.unsubscribe(gone);
        left.or_else(|| self.subscribe(fresh))
    }

    fn unsubscribe(&mut self, gone: Vec<Filter>) -> Option<Leave> {
        if gone.is_empty() {
            return None;
        }
        let id = self.free_id();
        let filters: Vec<Box<str>> = gone.into_iter().map(|(filter, _)| filter).collect();
        let packet = encode::unsubscribe(self.version(), id, &filters).ok()?;
        self.push(&packet)
    }

    fn subscribe(&mut self, fresh: Vec<Filter>) -> Option<Leave> {
        if fresh.is_empty() {
            return None;
        }
        let id = self.free_id();
        let packet = encode::subscribe(self.version(), id, &fresh).ok()?;
        self.changes.push(Change { id, filters: fresh });
        self.push(&packet)
    }

    /// All filters, in the order of the first SUBSCRIBE: some servers look at its first one.
    fn subscribe_again(&mut self) -> Option<Leave> {
        self.next_subscribe = self.client.settings.resubscribe.map(|wait| Instant::now() + wait);
        let plan = self.client.plan(&self.connack);
        let granted = |filter: &Filter| self.granted.filters.iter().any(|(known, _)| *known == filter.0);
        self.subscribe(plan.filters.into_iter().filter(granted).collect())
    }

    fn free_id(&mut self) -> u16 {
        loop {
            let id = self.client.inflight.next_id();
            if !self.changes.iter().any(|change| change.id == id) {
                return id;
            }
        }
    }

    fn change_answered(&mut self, id: u16, codes: &[u8], desk: &mut Desk) -> Option<Leave> {
        let at = self.changes.iter().position(|change| change.id == id)?;
        let (taken, refused) = sort_out(self.changes.swap_remove(at).filters, codes);
        for (filter, qos) in taken {
            self.granted.filters.retain(|(known, _)| *known != filter);
            self.granted.filters.push((filter, qos));
        }
        for refusal in refused {
            desk.report.remark(format!("the broker refused a subscription: {refusal}"));
        }
        None
    }
}

/// How to leave a session.
enum Leave {
    /// The connection is gone, or the broker said goodbye.
    Silently(Why),
    /// After a DISCONNECT.
    Disconnecting(End),
}

impl Leave {
    fn lost(why: impl Into<Why>) -> Self {
        Leave::Disconnecting(End::Lost(Loss::clean(why)))
    }
}
