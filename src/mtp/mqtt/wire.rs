//! Packets over a stream: reading never waits for writing, and both are bounded.

use super::packet::{Received, decode, frame, too_large};
use super::{MAX_PACKET, Version};
use crate::mtp::stream::{Stream, explain_io};
use bytes::{Buf, BytesMut};
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWrite};
use tokio::time::{Instant, timeout};

/// Bytes that wait for a slow broker; more are refused.
pub(super) const MAX_OUTGOING: usize = 4 * MAX_PACKET;
/// A buffer that grew beyond this is given back when it is empty.
const KEPT_BUFFER: usize = 16 * 1024;
/// The most a buffer grows at once: an announced size is not yet a received one.
const GROWTH: usize = 64 * 1024;

/// One connection to a broker.
pub(super) struct Wire {
    stream: Stream,
    version: Version,
    incoming: BytesMut,
    /// Bytes of a packet that is not kept which are still to come.
    skipped: usize,
    outgoing: BytesMut,
    flushed: bool,
    progress: Instant,
}

impl Wire {
    pub(super) fn new(stream: Stream, version: Version) -> Self {
        Wire {
            stream,
            version,
            incoming: BytesMut::new(),
            skipped: 0,
            outgoing: BytesMut::new(),
            flushed: true,
            progress: Instant::now(),
        }
    }

    /// Queues a packet; false: too much waits already.
    #[must_use]
    pub(super) fn push(&mut self, packet: &[u8]) -> bool {
        if self.outgoing.len() + packet.len() > MAX_OUTGOING {
            return false;
        }
        if self.is_idle() {
            self.progress = Instant::now();
        }
        self.outgoing.extend_from_slice(packet);
        self.flushed = false;
        true
    }

    /// The next packet of the broker; cancel safe.
    pub(super) async fn receive(&mut self) -> Result<Received, String> {
        poll_fn(|cx| self.poll(cx)).await
    }

    /// Writes what it can, then reads.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<Received, String>> {
        if let Poll::Ready(Err(error)) = self.poll_write(cx) {
            return Poll::Ready(Err(explain_io(&error)));
        }
        self.poll_read(cx)
    }

    fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        while !self.outgoing.is_empty() {
            let written = ready!(Pin::new(&mut self.stream).poll_write(cx, &self.outgoing))?;
            if written == 0 {
                return Poll::Ready(Err(std::io::ErrorKind::WriteZero.into()));
            }
            self.outgoing.advance(written);
            self.progress = Instant::now();
        }
        if !self.flushed {
            ready!(Pin::new(&mut self.stream).poll_flush(cx))?;
            self.flushed = true;
        }
        give_back(&mut self.outgoing);
        Poll::Ready(Ok(()))
    }

    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<Result<Received, String>> {
        loop {
            self.skip();
            let missing = match frame(self.version, &self.incoming) {
                Err(why) => return Poll::Ready(Err(why)),
                Ok(Some((header, whole))) if whole > MAX_PACKET => match too_large(&self.incoming, header, whole) {
                    Some(received) => {
                        self.skipped = whole;
                        return Poll::Ready(Ok(received));
                    }
                    None => 1,
                },
                Ok(Some((header, whole))) if whole <= self.incoming.len() => {
                    let packet = self.incoming.split_to(whole);
                    give_back(&mut self.incoming);
                    return Poll::Ready(decode(self.version, packet, header));
                }
                Ok(Some((_, whole))) => whole - self.incoming.len(),
                Ok(None) => 1,
            };
            self.incoming.reserve(missing.clamp(1024, GROWTH));
            match ready!(pin!(self.stream.read_buf(&mut self.incoming)).poll(cx)) {
                Ok(0) => return Poll::Ready(Err("the broker closed the connection".into())),
                Ok(_) => {}
                Err(error) => return Poll::Ready(Err(explain_io(&error))),
            }
        }
    }

    fn skip(&mut self) {
        let here = self.skipped.min(self.incoming.len());
        self.incoming.advance(here);
        self.skipped -= here;
    }

    fn is_idle(&self) -> bool {
        self.outgoing.is_empty() && self.flushed
    }

    /// When the broker will have taken nothing for `stall`, if something waits for it.
    pub(super) fn stalls_at(&self, stall: Duration) -> Option<Instant> {
        (!self.is_idle()).then(|| self.progress + stall)
    }

    /// Sends what waits and a last packet, for as long as `patience`; then the connection is dropped.
    pub(super) async fn goodbye(&mut self, last: &[u8], patience: Duration) {
        let farewell = async {
            if self.push(last) && poll_fn(|cx| self.poll_write(cx)).await.is_ok() {
                self.stream.linger().await;
            }
        };
        let _ = timeout(patience, farewell).await;
    }
}

fn give_back(buffer: &mut BytesMut) {
    if buffer.is_empty() && buffer.capacity() > KEPT_BUFFER {
        *buffer = BytesMut::new();
    }
}
