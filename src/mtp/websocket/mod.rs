//! USP over WebSocket (R-WS.*): a client that keeps one session up, and a server for several peers.
//!
//! Records travel in binary messages of at most [`MAX_RECORD`](super::MAX_RECORD) bytes; fragmented
//! ones are accepted, never sent. A text message ends the session with 1003. No compression.

mod client;
mod handshake;
mod server;
mod session;

pub(crate) use handshake::encode;

use super::link::{Desk, keep_up};
use super::server::serve;
use super::{Limits, LinkEvent, LinkHandle, LinkId, backoff, tls};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::sync::mpsc;

/// A session we originate.
pub struct ClientSettings {
    /// Name or address of the controller's server.
    pub host: Box<str>,
    /// Its port.
    pub port: u16,
    /// Path of the request, with its query where it has one; sent as it is.
    pub path: Box<str>,
    /// None: no encryption.
    pub tls: Option<tls::ClientTls>,
    /// Our endpoint id.
    pub own_id: Box<str>,
    /// Between two pings; zero: none.
    pub keep_alive: Duration,
    /// SessionRetryMinimumWaitInterval and SessionRetryIntervalMultiplier.
    pub retry: backoff::Policy,
    /// The least wait after a session that ended without a close handshake (some servers keep the old
    /// one for a while and take the new one for a second agent).
    pub hold_off_after_loss: Duration,
    /// What a peer can delay.
    pub limits: Limits,
}

/// Sessions controllers originate.
pub struct ServerSettings {
    /// Address and port to listen on; `[::]` takes IPv4 too.
    pub listen: SocketAddr,
    /// The only path accepted.
    pub path: Box<str>,
    /// None: no encryption.
    pub tls: Option<tls::ServerTls>,
    /// Our endpoint id.
    pub own_id: Box<str>,
    /// Between two pings; zero: none.
    pub keep_alive: Duration,
    /// What a peer can delay.
    pub limits: Limits,
}

/// A client link: poll the future to make it work; it ends after Shutdown.
pub fn start(
    settings: ClientSettings,
    link: LinkId,
    events: mpsc::Sender<LinkEvent>,
) -> (LinkHandle, impl Future<Output = ()> + Send) {
    let (handle, desk) = Desk::new(link, events);
    let (retry, hold_off) = (settings.retry, settings.hold_off_after_loss);
    (handle, keep_up(client::Client::new(settings), desk, retry, hold_off))
}

/// A server link: poll the future to make it work; it ends after Shutdown.
pub fn listen(
    settings: ServerSettings,
    link: LinkId,
    events: mpsc::Sender<LinkEvent>,
) -> (LinkHandle, impl Future<Output = ()> + Send) {
    let (handle, desk) = Desk::new(link, events);
    (handle, serve(Box::new(server::Server::new(settings)), desk))
}
