//! MQTT packets over a connection.

use super::packet::{Received, decode, frame, too_large};
use super::{MAX_PACKET, Version};
use crate::mtp::Traffic;
use crate::mtp::class::Why;
use crate::mtp::pipe::Pipe;
use crate::mtp::stream::{Stream, explain_io};
use bytes::Buf;
use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll, ready};
use std::time::{Duration, SystemTime};
use tokio::time::Instant;

fn count_at(count: &AtomicU32, at: &AtomicU32) {
    count.fetch_add(1, Ordering::Relaxed);
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs());
    at.store(u32::try_from(since).unwrap_or(0), Ordering::Relaxed);
}

/// One connection to a broker.
pub(super) struct Wire {
    pipe: Pipe,
    version: Version,
    /// Bytes of a packet that is not kept which are still to come.
    skipped: usize,
    traffic: Arc<Traffic>,
}

impl Wire {
    pub(super) fn new(stream: Stream, version: Version, traffic: Arc<Traffic>) -> Self {
        Wire { pipe: Pipe::new(stream), version, skipped: 0, traffic }
    }

    pub(super) fn stream(&mut self) -> &mut Stream {
        &mut self.pipe.stream
    }

    /// Something came that is no whole packet.
    pub(super) fn has_part(&self) -> bool {
        !self.pipe.incoming.is_empty()
    }

    /// Queues a packet; false: too much waits already.
    #[must_use]
    pub(super) fn push(&mut self, packet: &[u8]) -> bool {
        self.traffic.sent.fetch_add(1, Ordering::Relaxed);
        let traffic = &self.traffic;
        // The type of a packet stands in the upper half of its first octet.
        match packet.first().map(|first| first >> 4) {
            Some(3) => count_at(&traffic.published, &traffic.published_at),
            Some(8) => _ = traffic.subscribed.fetch_add(1, Ordering::Relaxed),
            Some(10) => _ = traffic.unsubscribed.fetch_add(1, Ordering::Relaxed),
            _ => {}
        }
        self.pipe.push(&[packet])
    }

    /// The next packet of the broker; cancel safe.
    pub(super) async fn receive(&mut self) -> Result<Received, Why> {
        poll_fn(|cx| self.poll(cx)).await
    }

    /// Writes what it can, then reads.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<Received, Why>> {
        if let Poll::Ready(Err(error)) = self.pipe.poll_write(cx) {
            return Poll::Ready(Err(explain_io(&error)));
        }
        self.poll_read(cx)
    }

    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<Result<Received, Why>> {
        loop {
            self.skip();
            let incoming = &self.pipe.incoming;
            let missing = match frame(self.version, incoming) {
                Err(why) => return Poll::Ready(Err(why.into())),
                Ok(Some((header, whole))) if whole > MAX_PACKET => match too_large(incoming, header, whole) {
                    Some(received) => {
                        self.skipped = whole;
                        return Poll::Ready(Ok(received));
                    }
                    None => 1,
                },
                Ok(Some((header, whole))) if whole <= incoming.len() => {
                    self.traffic.received.fetch_add(1, Ordering::Relaxed);
                    if incoming.first().is_some_and(|first| first >> 4 == 3) {
                        count_at(&self.traffic.delivered, &self.traffic.delivered_at);
                    }
                    let packet = self.pipe.take(whole);
                    return Poll::Ready(decode(self.version, packet, header).map_err(Why::from));
                }
                Ok(Some((_, whole))) => whole - incoming.len(),
                Ok(None) => 1,
            };
            match ready!(self.pipe.poll_more(cx, missing)) {
                Ok(false) => return Poll::Ready(Err("the broker closed the connection".into())),
                Ok(true) => {}
                Err(error) => return Poll::Ready(Err(explain_io(&error))),
            }
        }
    }

    fn skip(&mut self) {
        let here = self.skipped.min(self.pipe.incoming.len());
        self.pipe.incoming.advance(here);
        self.skipped -= here;
    }

    /// When the broker will have taken nothing for `stall`, if something waits for it.
    pub(super) fn stalls_at(&self, stall: Duration) -> Option<Instant> {
        self.pipe.stalls_at(stall)
    }

    /// Sends what waits and a last packet, for as long as `patience`; then the connection is dropped.
    pub(super) async fn goodbye(&mut self, last: &[u8], patience: Duration) {
        self.pipe.goodbye(last, patience).await;
    }
}
