//! USP over UNIX domain sockets (R-UDS.*), between processes of one router: a client that keeps one connection up, and
//! a server for several peers.
//!
//! Either side tells its endpoint id first; records before that are ignored. Who may connect is decided by the
//! permissions of the socket's file. There is no TLS here (R-UDS.23a is optional) and no keep-alive: the kernel tells
//! at once when a peer is gone.

mod client;
pub mod frame;
mod server;
mod session;
mod socket_file;

use super::link::{Desk, keep_up};
use super::server::serve;
use super::{Limits, LinkEvent, LinkHandle, LinkId, backoff};
use std::time::Duration;
use tokio::sync::mpsc;

/// How long a peer may take for its handshake (R-UDS.18).
pub const HANDSHAKE: Duration = Duration::from_secs(30);

/// One end of a UNIX domain socket.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The socket's file.
    pub path: Box<str>,
    /// Our endpoint id.
    pub own_id: Box<str>,
    /// What a peer can delay.
    pub limits: Limits,
}

impl Settings {
    /// With the times of the specification.
    pub fn new(path: &str, own_id: &str) -> Self {
        let limits = Limits { handshake: HANDSHAKE, ..Limits::default() };
        Settings { path: path.into(), own_id: own_id.into(), limits }
    }
}

/// Between 1 and 5 seconds, each time anew (R-UDS.5).
const RETRY: backoff::Policy =
    backoff::Policy { minimum: Duration::from_secs(1), multiplier: Some(5000), maximum: None, from_zero: false };

/// A client link: poll the future to make it work; it ends after Shutdown.
pub fn start(
    settings: Settings,
    link: LinkId,
    events: mpsc::Sender<LinkEvent>,
) -> (LinkHandle, impl Future<Output = ()> + Send) {
    let (handle, desk) = Desk::new(link, events);
    (handle, keep_up(client::Client::new(settings), desk, RETRY, Duration::ZERO))
}

/// A server link: poll the future to make it work; it ends after Shutdown.
pub fn listen(
    settings: Settings,
    link: LinkId,
    events: mpsc::Sender<LinkEvent>,
) -> (LinkHandle, impl Future<Output = ()> + Send) {
    let (handle, desk) = Desk::new(link, events);
    (handle, serve(Box::new(server::Server::new(settings)), desk))
}
