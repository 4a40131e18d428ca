//! The sessions controllers originate (R-WS.6): one per peer, a newer one replaces the older (R-WS.4).

use super::ServerSettings;
use super::handshake::server::accept;
use super::session::{Session, turn_away};
use crate::mtp::link::{Desk, End};
use crate::mtp::server::{Greeted, Guest, Host, Task};
use crate::mtp::stream::Stream;
use crate::mtp::tls::Acceptor;
use crate::mtp::{Channel, Limits};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;

pub(super) struct Server {
    settings: Arc<ServerSettings>,
    open: Option<(TcpListener, Option<Acceptor>)>,
}

/// A peer through its handshake.
struct Joined {
    ws: WebSocketStream<Stream>,
    settings: Arc<ServerSettings>,
}

impl Server {
    pub(super) fn new(settings: ServerSettings) -> Self {
        Server { settings: Arc::new(settings), open: None }
    }

    async fn listen(&mut self) -> Result<(), String> {
        let acceptor = self.settings.tls.as_ref().map(|tls| tls.acceptor().map_err(|fault| fault.to_string()));
        let acceptor = acceptor.transpose()?;
        let address = self.settings.listen;
        let bound = match TcpListener::bind(address).await {
            // A kernel without IPv6 still has an "any" address.
            Err(_) if address.is_ipv6() && address.ip().is_unspecified() => {
                TcpListener::bind(SocketAddr::from((Ipv4Addr::UNSPECIFIED, address.port()))).await
            }
            bound => bound,
        };
        let listener = bound.map_err(|error| format!("cannot listen on {address}: {error}"))?;
        self.open = Some((listener, acceptor));
        Ok(())
    }
}

impl Host for Server {
    fn open(&mut self) -> Task<'_, Result<(), String>> {
        Box::pin(self.listen())
    }

    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Task<'static, Greeted>>> {
        let Some((listener, acceptor)) = &self.open else { return Poll::Pending };
        let (tcp, _) = ready!(listener.poll_accept(cx))?;
        Poll::Ready(Ok(Box::pin(greet(tcp, acceptor.clone(), self.settings.clone()))))
    }

    fn newer_wins(&self) -> bool {
        true
    }

    fn goodbye(&self) -> Duration {
        self.settings.limits.goodbye
    }
}

impl Guest for Joined {
    fn stay(self: Box<Self>, channel: Channel, desk: &mut Desk) -> Task<'_, End> {
        let session = Session::new(self.ws, channel, self.settings.keep_alive, self.settings.limits);
        Box::pin(session.run(desk))
    }

    fn turn_away(self: Box<Self>, code: u16, reason: &'static str) -> Task<'static, ()> {
        Box::pin(turn_away(self.ws, code.into(), reason, self.settings.limits.goodbye))
    }
}

/// TLS and WebSocket handshake within one deadline.
async fn greet(tcp: TcpStream, acceptor: Option<Acceptor>, settings: Arc<ServerSettings>) -> Greeted {
    let address = tcp.peer_addr().map(|a| a.to_string()).unwrap_or_default();
    let Limits { handshake, .. } = settings.limits;
    match timeout(handshake, negotiate(tcp, acceptor, settings)).await {
        Ok(greeted) => greeted.map_err(|why| format!("{address} was refused: {why}")),
        Err(_) => Err(format!("{address} was cut: it did not finish the handshake")),
    }
}

async fn negotiate(tcp: TcpStream, acceptor: Option<Acceptor>, settings: Arc<ServerSettings>) -> Greeted {
    let _ = tcp.set_nodelay(true);
    let stream = match acceptor {
        None => Stream::plain(tcp),
        Some(acceptor) => Stream::encrypted(acceptor.accept(tcp).await.map_err(|fault| fault.to_string())?),
    };
    let mut peer = stream.peer();
    let (ws, endpoint_id) = accept(stream, &settings.path, &settings.own_id).await?;
    peer.endpoint_id = endpoint_id;
    Ok((Box::new(Joined { ws, settings }), peer))
}
