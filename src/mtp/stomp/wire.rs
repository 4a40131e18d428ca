//! STOMP frames over a connection.

use super::frame::{Decoder, Found, Frame, head};
use crate::mtp::class::Why;
use crate::mtp::pipe::Pipe;
use crate::mtp::stream::{Stream, explain_io};
use std::future::poll_fn;
use std::task::{Context, Poll, ready};
use tokio::time::Instant;

/// One connection to a server.
pub(super) struct Wire {
    pub(super) pipe: Pipe,
    decoder: Decoder,
    /// When anything last came.
    pub(super) heard: Instant,
}

impl Wire {
    pub(super) fn new(stream: Stream) -> Self {
        Wire { pipe: Pipe::new(stream), decoder: Decoder::default(), heard: Instant::now() }
    }

    /// Queues a frame; false: too much waits already.
    #[must_use]
    pub(super) fn push(&mut self, command: &str, headers: &[(&str, &str)], body: &[u8]) -> bool {
        self.pipe.push(&[head(command, headers).as_bytes(), body, b"\0"])
    }

    /// Queues a heart-beat. One that finds no room is not missed: the server is busy with what waits.
    pub(super) fn beat(&mut self) {
        let _ = self.pipe.push(&[b"\n"]);
    }

    /// The next frame of the server; cancel safe.
    pub(super) async fn receive(&mut self) -> Result<Frame, Why> {
        poll_fn(|cx| self.poll(cx)).await
    }

    /// Writes what it can, then reads.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<Frame, Why>> {
        if let Poll::Ready(Err(error)) = self.pipe.poll_write(cx) {
            return Poll::Ready(Err(explain_io(&error)));
        }
        loop {
            let missing = match self.decoder.next(&mut self.pipe.incoming) {
                Err(why) => return Poll::Ready(Err(format!("the broker breaks STOMP 1.2: {why}").into())),
                Ok(Found::Frame(frame)) => {
                    // An empty buffer is given back.
                    let _ = self.pipe.take(0);
                    return Poll::Ready(Ok(frame));
                }
                Ok(Found::Missing(missing)) => missing,
            };
            match ready!(self.pipe.poll_more(cx, missing)) {
                Ok(false) => return Poll::Ready(Err("the broker closed the connection".into())),
                Ok(true) => self.heard = Instant::now(),
                Err(error) => return Poll::Ready(Err(explain_io(&error))),
            }
        }
    }
}
