//! The connections peers originate (R-UDS.2, R-UDS.3, R-UDS.17).

use super::Settings;
use super::client::peer;
use super::frame::HANDSHAKE;
use super::session::{Session, Wire};
use super::socket_file::SocketFile;
use crate::mtp::Channel;
use crate::mtp::link::{Desk, End};
use crate::mtp::server::{Greeted, Guest, Host, Task};
use crate::mtp::stream::Stream;
use std::io;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::net::{UnixListener, UnixStream};

pub(super) struct Server {
    settings: Settings,
    open: Option<(UnixListener, SocketFile)>,
}

/// A peer that has told who it is and was not answered yet.
struct Joined {
    wire: Wire,
    settings: Settings,
}

impl Server {
    pub(super) fn new(settings: Settings) -> Self {
        Server { settings, open: None }
    }
}

impl Host for Server {
    fn open(&mut self) -> Task<'_, Result<(), String>> {
        Box::pin(async {
            self.open = Some(SocketFile::listen(&self.settings.path).await?);
            Ok(())
        })
    }

    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Task<'static, Greeted>>> {
        let Some((listener, _)) = &self.open else { return Poll::Pending };
        let (stream, _) = ready!(listener.poll_accept(cx))?;
        Poll::Ready(Ok(Box::pin(greet(stream, self.settings.clone()))))
    }

    /// The kernel tells at once that a peer is gone: while an endpoint id is connected, another that claims it is
    /// another process.
    fn newer_wins(&self) -> bool {
        false
    }

    fn goodbye(&self) -> Duration {
        self.settings.limits.goodbye
    }
}

impl Guest for Joined {
    fn stay(mut self: Box<Self>, channel: Channel, desk: &mut Desk) -> Task<'_, End> {
        let _ = self.wire.push(HANDSHAKE, self.settings.own_id.as_bytes());
        Box::pin(Session::new(self.wire, channel, self.settings.limits).run(desk))
    }

    fn turn_away(mut self: Box<Self>, _: u16, reason: &'static str) -> Task<'static, ()> {
        Box::pin(async move { self.wire.say_error(reason, self.settings.limits.goodbye).await })
    }
}

async fn greet(stream: UnixStream, settings: Settings) -> Greeted {
    let mut wire = Wire::new(Stream::local(stream));
    match wire.handshake(&settings).await {
        Ok(endpoint_id) => {
            let peer = peer(&settings, endpoint_id);
            Ok((Box::new(Joined { wire, settings }), peer))
        }
        Err(fault) => {
            let loss = wire.leave(fault, settings.limits.goodbye).await;
            Err(format!("{} was left before its handshake: {}", settings.path, loss.why))
        }
    }
}
