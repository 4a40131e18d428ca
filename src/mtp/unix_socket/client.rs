//! The connection we originate (R-UDS.4, R-UDS.16).

use super::Settings;
use super::frame::HANDSHAKE;
use super::session::{Session, Wire};
use crate::mtp::class::{Class, Why};
use crate::mtp::link::{Desk, Dialer, End, Loss};
use crate::mtp::stream::Stream;
use crate::mtp::{Channel, Peer};
use std::io::ErrorKind;
use tokio::net::UnixStream;

pub(super) struct Client {
    settings: Settings,
}

impl Client {
    pub(super) fn new(settings: Settings) -> Self {
        Client { settings }
    }

    async fn connect(&self) -> Result<UnixStream, String> {
        let path = &*self.settings.path;
        UnixStream::connect(path).await.map_err(|error| {
            let hint = match error.kind() {
                ErrorKind::NotFound | ErrorKind::ConnectionRefused => ": does the controller run, and listen there?",
                ErrorKind::PermissionDenied => ": check the permissions of the file",
                _ => "",
            };
            format!("no connection to {path}: {error}{hint}")
        })
    }
}

impl Dialer for Client {
    type Session = Wire;
    const GROWS: bool = false;

    async fn dial(&mut self) -> Result<(Wire, Peer), Loss> {
        let stream = self.connect().await.map_err(|why| Loss::unclean(Why::new(Class::Refused, why)))?;
        let mut wire = Wire::new(Stream::local(stream));
        let _ = wire.push(HANDSHAKE, self.settings.own_id.as_bytes());
        match wire.handshake(&self.settings).await {
            Ok(endpoint_id) => Ok((wire, peer(&self.settings, endpoint_id))),
            Err(fault) => Err(wire.leave(fault, self.settings.limits.goodbye).await.of(Class::Protocol)),
        }
    }

    async fn serve(&mut self, wire: Wire, channel: Channel, desk: &mut Desk) -> End {
        Session::new(wire, channel, self.settings.limits).run(desk).await
    }
}

/// What is known of a peer after its handshake.
pub(super) fn peer(settings: &Settings, endpoint_id: Box<str>) -> Peer {
    Peer {
        local: true,
        address: format!("unix:{}#{endpoint_id}", settings.path).into(),
        endpoint_id: Some(endpoint_id),
        ..Peer::default()
    }
}
