//! Publishes of QoS 1 and 2 that are under way, in both directions. No socket, no clock.
//!
//! A broker that never acknowledges holds up nothing for longer than the time it is given; what comes
//! too late is ignored.

use super::encode::Outgoing;
use crate::order;
use std::time::Duration;
use tokio::time::Instant;

/// Received QoS 2 publishes whose PUBREL is awaited; a broker with more ignores our Receive Maximum.
const MAX_RECEIVED: usize = 64;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// PUBLISH sent.
    Published,
    /// PUBREL sent (QoS 2).
    Released,
}

#[derive(Debug)]
struct Entry {
    outgoing: Outgoing,
    phase: Phase,
    since: Instant,
    /// When it was last sent.
    sent: Instant,
}

/// What to send again when a session is resumed.
#[derive(Debug)]
pub(super) enum Again {
    Publish(u16, Outgoing),
    Release(u16),
}

/// State of a session that outlives its connections.
#[derive(Debug, Default)]
pub(super) struct Inflight {
    sent: order::Map<u16, Entry>,
    received: order::Set<u16>,
    last_id: u16,
}

impl Inflight {
    /// Publishes waiting for an acknowledgement.
    pub(super) fn len(&self) -> usize {
        self.sent.len()
    }

    /// A packet identifier that no publish under way has.
    pub(super) fn next_id(&mut self) -> u16 {
        loop {
            self.last_id = self.last_id.checked_add(1).unwrap_or(1);
            if !self.sent.contains_key(&self.last_id) {
                return self.last_id;
            }
        }
    }

    /// A publish goes out.
    pub(super) fn sent(&mut self, id: u16, outgoing: Outgoing, now: Instant) {
        self.sent.insert(id, Entry { outgoing, phase: Phase::Published, since: now, sent: now });
    }

    /// PUBACK or PUBCOMP: done. The publish, where it was known.
    pub(super) fn done(&mut self, id: u16) -> Option<Outgoing> {
        self.sent.remove(&id).map(|entry| entry.outgoing)
    }

    /// PUBREC: its PUBREL goes out, also for an unknown one. An error code ends the publish.
    pub(super) fn released(&mut self, id: u16, now: Instant) {
        if let Some(entry) = self.sent.get_mut(&id) {
            (entry.phase, entry.since, entry.sent) = (Phase::Released, now, now);
            entry.outgoing.payload = bytes::Bytes::new();
        }
    }

    /// When the oldest one has waited for `patience`.
    pub(super) fn gives_up_at(&self, patience: Duration) -> Option<Instant> {
        self.sent.values().map(|entry| entry.since + patience).min()
    }

    /// Takes out what has waited for `patience`: the topics.
    pub(super) fn give_up(&mut self, patience: Duration, now: Instant) -> Vec<Box<str>> {
        let late: Vec<u16> =
            self.sent.iter().filter(|(_, entry)| entry.since + patience <= now).map(|(id, _)| *id).collect();
        late.iter().filter_map(|id| self.done(*id)).map(|outgoing| outgoing.topic).collect()
    }

    /// A QoS 2 publish came in: whether it is new. None: too many.
    pub(super) fn received(&mut self, id: u16) -> Option<bool> {
        if self.received.len() >= MAX_RECEIVED && !self.received.contains(&id) {
            return None;
        }
        Some(self.received.insert(id))
    }

    /// PUBREL came in.
    pub(super) fn completed(&mut self, id: u16) {
        self.received.remove(&id);
    }

    /// The broker kept no session: nothing is under way any more.
    pub(super) fn forget(&mut self) {
        self.sent.clear();
        self.received.clear();
    }

    /// What a resumed session has to send again (MQTT-4.4.0-1), in the order of sending as far as known.
    pub(super) fn resume(&mut self, now: Instant) -> Vec<Again> {
        self.sent.iter_mut().for_each(|(_, entry)| entry.since = now);
        self.again(Duration::ZERO, now)
    }

    /// When the first one is to be sent again.
    pub(super) fn again_at(&self, retry: Duration) -> Option<Instant> {
        self.sent.values().map(|entry| entry.sent + retry).min()
    }

    /// What was last sent this long ago; it counts as sent again.
    pub(super) fn again(&mut self, retry: Duration, now: Instant) -> Vec<Again> {
        let again = |(id, entry): (&u16, &mut Entry)| {
            entry.sent = now;
            match entry.phase {
                Phase::Published => Again::Publish(*id, entry.outgoing.clone()),
                Phase::Released => Again::Release(*id),
            }
        };
        self.sent.iter_mut().filter(|(_, entry)| entry.sent + retry <= now).map(again).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    fn outgoing(topic: &str) -> Outgoing {
        let payload = Bytes::from_static(b"record");
        Outgoing { topic: topic.into(), response_topic: None, payload, qos: 1, retain: false }
    }

    const PATIENCE: Duration = Duration::from_secs(20);

    #[test]
    fn identifiers_go_round_and_skip_those_in_use() {
        let (mut inflight, now) = (Inflight::default(), Instant::now());
        let first = inflight.next_id();
        inflight.sent(first, outgoing("a"), now);
        let ids: Vec<u16> = (0..65_534).map(|_| inflight.next_id()).collect();
        assert!(!ids.contains(&first) && !ids.contains(&0));
        assert_eq!(inflight.next_id(), 2);
    }

    #[test]
    fn what_is_never_acknowledged_is_given_up() {
        let (mut inflight, now) = (Inflight::default(), Instant::now());
        inflight.sent(1, outgoing("old"), now);
        inflight.sent(2, outgoing("new"), now + Duration::from_secs(1));
        assert_eq!(inflight.gives_up_at(PATIENCE), Some(now + PATIENCE));
        assert_eq!(inflight.give_up(PATIENCE, now + PATIENCE), ["old".into()]);
        assert_eq!(inflight.len(), 1);
        assert!(inflight.done(1).is_none());
        assert!(inflight.done(2).is_some());
    }

    #[test]
    fn a_resumed_session_repeats_what_is_open() {
        let (mut inflight, now) = (Inflight::default(), Instant::now());
        inflight.sent(1, outgoing("a"), now);
        inflight.sent(2, outgoing("b"), now);
        inflight.released(2, now);
        let again = inflight.resume(now);
        assert!(matches!(&again[..], [Again::Publish(1, _), Again::Release(2)]), "{again:?}");
        inflight.forget();
        assert!(inflight.resume(now).is_empty());
    }

    #[test]
    fn a_qos_2_publish_is_new_once() {
        let mut inflight = Inflight::default();
        assert_eq!((inflight.received(5), inflight.received(5)), (Some(true), Some(false)));
        inflight.completed(5);
        assert_eq!(inflight.received(5), Some(true));
        (100..=162).for_each(|id| assert_eq!(inflight.received(id), Some(true)));
        assert_eq!(inflight.received(200), None);
    }
}
