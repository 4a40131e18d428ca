//! The way from a link to the daemon, which may be busy: nothing here waits, and everything is bounded.

use super::{Class, LinkEvent, LinkId};
use std::collections::VecDeque;
use tokio::sync::mpsc;

/// Records kept for a daemon that is busy, beyond the event channel; more are dropped.
pub const HELD_RECORDS: usize = 8;
/// Bytes of records kept likewise.
pub const HELD_BYTES: usize = 2 * super::MAX_RECORD;
/// Other events kept likewise; a link does not reconnect while more wait, and further remarks are dropped.
pub const HELD_EVENTS: usize = 32;

/// One link's, or one session's, end of the event channel.
pub(crate) struct Reporter {
    pub(crate) link: LinkId,
    events: mpsc::Sender<LinkEvent>,
    held: VecDeque<LinkEvent>,
    records: usize,
    bytes: usize,
    dropping: bool,
    flooded: bool,
}

/// The daemon is gone: its end of the event channel is closed.
pub(crate) struct DaemonGone;

impl Reporter {
    pub(crate) fn new(link: LinkId, events: mpsc::Sender<LinkEvent>) -> Self {
        Reporter { link, events, held: VecDeque::new(), records: 0, bytes: 0, dropping: false, flooded: false }
    }

    /// Another end of the same channel, with nothing held.
    pub(crate) fn another(&self) -> Self {
        Reporter::new(self.link, self.events.clone())
    }

    /// Tells the daemon now, or as soon as it listens.
    pub(crate) fn tell(&mut self, event: LinkEvent) {
        let event = match self.held.is_empty() {
            true => match self.events.try_send(event) {
                Ok(()) => return,
                Err(mpsc::error::TrySendError::Full(event)) => event,
                Err(mpsc::error::TrySendError::Closed(_)) => return,
            },
            false => event,
        };
        self.hold(event);
    }

    /// A remark on this link.
    pub(crate) fn remark(&mut self, what: impl Into<Box<str>>) {
        self.tell(LinkEvent::Remark { link: self.link, what: what.into(), class: None });
    }

    /// A remark on what keeps records from the controller.
    pub(crate) fn fault(&mut self, class: Class, what: String) {
        self.tell(LinkEvent::Remark { link: self.link, what: what.into(), class: Some(class) });
    }

    /// Events the daemon has not taken yet.
    pub(crate) fn backlog(&self) -> usize {
        self.held.len()
    }

    /// Hands over one held event; pends for ever when there is none. Cancel safe.
    pub(crate) async fn drain(&mut self) -> Result<(), DaemonGone> {
        if self.held.is_empty() {
            return self.gone().await;
        }
        let permit = self.events.reserve().await.map_err(|_| DaemonGone)?;
        if let Some(event) = self.held.pop_front() {
            if let LinkEvent::Record { bytes, .. } = &event {
                self.records -= 1;
                self.bytes -= bytes.len();
            }
            permit.send(event);
        }
        self.dropping &= self.records > 0;
        Ok(())
    }

    async fn gone(&self) -> Result<(), DaemonGone> {
        self.events.closed().await;
        Err(DaemonGone)
    }

    fn hold(&mut self, event: LinkEvent) {
        match &event {
            LinkEvent::Record { bytes, .. } => {
                if self.records >= HELD_RECORDS || self.bytes + bytes.len() > HELD_BYTES {
                    return self.note_drop();
                }
                self.records += 1;
                self.bytes += bytes.len();
            }
            LinkEvent::Remark { .. } if self.held.len() >= HELD_EVENTS => {
                self.flooded = true;
                return;
            }
            _ => {}
        }
        self.held.push_back(event);
    }

    /// Whether more records came since the last question than the agent could take: the link may rest.
    pub(crate) fn take_flooded(&mut self) -> bool {
        std::mem::take(&mut self.flooded)
    }

    fn note_drop(&mut self) {
        self.flooded = true;
        if !self.dropping {
            self.dropping = true;
            self.remark("records are dropped: more arrive than the agent can answer");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Channel;
    use super::*;
    use bytes::Bytes;

    fn record(size: usize) -> LinkEvent {
        let channel = Channel { link: LinkId(1), session: 1 };
        LinkEvent::Record {
            channel,
            bytes: Bytes::from(vec![0; size]),
            reply_to: None,
            at: tokio::time::Instant::now(),
        }
    }

    fn reporter(capacity: usize) -> (Reporter, mpsc::Receiver<LinkEvent>) {
        let (events, inbox) = mpsc::channel(capacity);
        (Reporter::new(LinkId(1), events), inbox)
    }

    #[tokio::test]
    async fn a_busy_daemon_gets_every_held_event_in_order() {
        let (mut reporter, mut inbox) = reporter(1);
        (1..=3).for_each(|size| reporter.tell(record(size)));
        assert_eq!(reporter.backlog(), 2);
        for size in 1..=3 {
            match inbox.recv().await {
                Some(LinkEvent::Record { bytes, .. }) => assert_eq!(bytes.len(), size),
                other => panic!("{other:?}"),
            }
            if reporter.backlog() > 0 {
                assert!(reporter.drain().await.is_ok());
            }
        }
    }

    #[tokio::test]
    async fn records_beyond_the_bound_are_dropped_with_one_remark() {
        let (mut reporter, _inbox) = reporter(1);
        (0..HELD_RECORDS + 20).for_each(|_| reporter.tell(record(1)));
        assert_eq!(reporter.backlog(), HELD_RECORDS + 1);
        assert!(matches!(reporter.held.back(), Some(LinkEvent::Remark { .. })));
    }

    #[tokio::test]
    async fn a_link_that_is_worth_more_remarks_than_are_kept_may_rest() {
        let (mut reporter, _inbox) = reporter(1);
        (0..=HELD_EVENTS).for_each(|_| reporter.remark("nonsense"));
        assert!(!reporter.take_flooded());
        reporter.remark("nonsense");
        assert!(reporter.take_flooded() && !reporter.take_flooded());
        assert_eq!(reporter.backlog(), HELD_EVENTS);
    }

    #[tokio::test]
    async fn the_bytes_held_are_bounded_too() {
        let (mut reporter, _inbox) = reporter(1);
        (0..5).for_each(|_| reporter.tell(record(HELD_BYTES / 2)));
        assert_eq!(reporter.bytes, HELD_BYTES);
    }

    #[tokio::test]
    async fn a_daemon_that_is_gone_is_noticed() {
        let (mut reporter, inbox) = reporter(1);
        drop(inbox);
        assert!(reporter.drain().await.is_err());
    }
}
