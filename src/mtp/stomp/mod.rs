//! USP over STOMP 1.2 (R-STOMP.*): one connection to one server, kept up, with one subscription.
//!
//! The frames are our own. Nothing transactional and no acknowledgement is ever sent (R-STOMP.26,
//! R-STOMP.27).

mod client;
pub mod frame;
mod session;
mod wire;

use super::link::{Desk, keep_up};
use super::{Limits, LinkEvent, LinkHandle, LinkId, backoff, tls};
use std::time::Duration;
use tokio::sync::mpsc;

/// One `Device.STOMP.Connection.{i}.` with what `LocalAgent.MTP.{i}.STOMP.` says of it.
pub struct Settings {
    /// Host.
    pub host: Box<str>,
    /// Port.
    pub port: u16,
    /// None: EnableEncryption is off.
    pub tls: Option<tls::ClientTls>,
    /// Our endpoint id.
    pub own_id: Box<str>,
    /// VirtualHost; empty: the server's default one.
    pub virtual_host: Box<str>,
    /// Username.
    pub username: Box<str>,
    /// Password. Never logged.
    pub password: Box<str>,
    /// OutgoingHeartbeat and IncomingHeartbeat in milliseconds; None: EnableHeartbeats is off.
    pub heartbeats: Option<(u32, u32)>,
    /// Destination; empty: the server names one, or there is none.
    pub destination: Box<str>,
    /// ServerRetryInitialInterval, ServerRetryIntervalMultiplier and ServerRetryMaxInterval.
    pub retry: backoff::Policy,
    /// What the server can delay.
    pub limits: Limits,
}

/// A link to a server: poll the future to make it work; it ends after Shutdown.
pub fn start(
    settings: Settings,
    link: LinkId,
    events: mpsc::Sender<LinkEvent>,
) -> (LinkHandle, impl Future<Output = ()> + Send) {
    let (handle, desk) = Desk::new(link, events);
    let retry = settings.retry;
    (handle, keep_up(client::Client::new(settings), desk, retry, Duration::ZERO))
}
