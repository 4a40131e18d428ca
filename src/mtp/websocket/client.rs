//! The session we originate (R-WS.5).

use super::ClientSettings;
use super::handshake::client::{request, upgrade};
use super::session::Session;
use crate::mtp::class::{Class, Why};
use crate::mtp::link::{Desk, Dialer, End, Loss};
use crate::mtp::stream::{Stream, dial};
use crate::mtp::{Channel, Peer};
use tokio::time::{Instant, timeout_at};
use tokio_tungstenite::WebSocketStream;

pub(super) struct Client {
    settings: ClientSettings,
}

impl Client {
    pub(super) fn new(settings: ClientSettings) -> Self {
        Client { settings }
    }

    async fn establish(&self) -> Result<WebSocketStream<Stream>, Why> {
        let ClientSettings { host, port, path, tls, own_id, limits, .. } = &self.settings;
        let deadline = Instant::now() + limits.handshake;
        let request =
            request(host, *port, path, own_id, tls.is_some()).map_err(|why| Why::new(Class::Configuration, why))?;
        let stream = dial(host, *port, tls.as_ref(), deadline).await?;
        // The path may hold a password; a sentence names the server only.
        let server = format!("{host}:{port}");
        match timeout_at(deadline, upgrade(stream, &request, &server)).await {
            Ok(opened) => opened,
            Err(_) => Err(Why::new(Class::NoAnswer, format!("{server} does not answer the WebSocket handshake"))),
        }
    }
}

impl Dialer for Client {
    type Session = WebSocketStream<Stream>;

    async fn dial(&mut self) -> Result<(Self::Session, Peer), Loss> {
        let ws = self.establish().await.map_err(Loss::unclean)?;
        let peer = ws.get_ref().peer();
        Ok((ws, peer))
    }

    async fn serve(&mut self, ws: Self::Session, channel: Channel, desk: &mut Desk) -> End {
        Session::new(ws, channel, self.settings.keep_alive, self.settings.limits).run(desk).await
    }
}
