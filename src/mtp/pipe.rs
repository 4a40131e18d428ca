//! Bytes over a stream: reading never waits for writing, and what waits either way is bounded.

use super::MAX_RECORD;
use super::stream::Stream;
use bytes::{Buf, BytesMut};
use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWrite};
use tokio::time::{Instant, timeout};

/// Bytes that wait for a slow peer; more are refused.
pub(crate) const MAX_OUTGOING: usize = 4 * (MAX_RECORD + 128 * 1024);
/// A buffer that grew beyond this is given back when it is empty.
const KEPT_BUFFER: usize = 16 * 1024;
/// The most a buffer grows at once: an announced size is not yet a received one.
const GROWTH: usize = 64 * 1024;

/// A connection with what came in and what waits to go out.
pub(crate) struct Pipe {
    pub(crate) stream: Stream,
    /// What was read and is not taken yet.
    pub(crate) incoming: BytesMut,
    outgoing: BytesMut,
    flushed: bool,
    progress: Instant,
}

impl Pipe {
    pub(crate) fn new(stream: Stream) -> Self {
        Pipe { stream, incoming: BytesMut::new(), outgoing: BytesMut::new(), flushed: true, progress: Instant::now() }
    }

    /// Queues the parts of one packet; false: too much waits already.
    #[must_use]
    pub(crate) fn push(&mut self, parts: &[&[u8]]) -> bool {
        let size: usize = parts.iter().map(|part| part.len()).sum();
        if self.outgoing.len() + size > MAX_OUTGOING {
            return false;
        }
        if self.is_idle() {
            self.progress = Instant::now();
        }
        self.outgoing.reserve(size);
        parts.iter().for_each(|part| self.outgoing.extend_from_slice(part));
        self.flushed = false;
        true
    }

    /// Writes what waits.
    pub(crate) fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.outgoing.is_empty() {
            let written = ready!(Pin::new(&mut self.stream).poll_write(cx, &self.outgoing))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
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

    /// Reads on, with room for what is known to be missing; false: the peer closed the connection.
    pub(crate) fn poll_more(&mut self, cx: &mut Context<'_>, missing: usize) -> Poll<io::Result<bool>> {
        self.incoming.reserve(missing.clamp(1024, GROWTH));
        pin!(self.stream.read_buf(&mut self.incoming)).poll(cx).map_ok(|read| read > 0)
    }

    /// Takes this many bytes of what came in.
    pub(crate) fn take(&mut self, size: usize) -> BytesMut {
        let taken = self.incoming.split_to(size);
        give_back(&mut self.incoming);
        taken
    }

    fn is_idle(&self) -> bool {
        self.outgoing.is_empty() && self.flushed
    }

    /// When the peer will have taken nothing for `stall`, if something waits for it.
    pub(crate) fn stalls_at(&self, stall: Duration) -> Option<Instant> {
        (!self.is_idle()).then(|| self.progress + stall)
    }

    /// Sends what waits and a last packet, for as long as `patience`; then the connection is dropped.
    pub(crate) async fn goodbye(&mut self, last: &[u8], patience: Duration) {
        let farewell = async {
            if self.push(&[last]) && poll_fn(|cx| self.poll_write(cx)).await.is_ok() {
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
