//! From STOMP to a subscription: only then is the link connected (R-STOMP.2 to 17).

use super::Settings;
use super::frame::{Command, Frame};
use super::session::Session;
use super::wire::Wire;
use crate::mtp::class::{Class, Why};
use crate::mtp::link::{Desk, Dialer, End, Loss};
use crate::mtp::stream::{Stream, dial};
use crate::mtp::{Channel, Fault, Peer};
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// The virtual host where none is configured: the standard wants a `host` header, and servers call their default one so.
const DEFAULT_VIRTUAL_HOST: &str = "/";
/// A server that says nothing to SUBSCRIBE for so long has taken it: some send no RECEIPT.
const RECEIPT_PATIENCE: Duration = Duration::from_secs(2);
/// Letters of a server's complaint that are repeated.
const MAX_COMPLAINT: usize = 200;
/// The body of DISCONNECT.
pub(super) const DISCONNECT: &[u8] = b"DISCONNECT\n\n\0";

/// A connection that is subscribed.
pub(super) struct Established {
    pub(super) wire: Wire,
    pub(super) subscription: Subscription,
    pub(super) beats: Beats,
    /// A MESSAGE that came instead of the RECEIPT.
    pub(super) early: Option<Frame>,
}

/// Where we are reached.
pub(super) struct Subscription {
    /// Counts up with every SUBSCRIBE of the connection.
    pub(super) id: u32,
    pub(super) destination: Box<str>,
    /// The server named it: ours does not count (R-STOMP.14).
    pub(super) from_server: bool,
}

impl Subscription {
    /// Queues SUBSCRIBE (R-STOMP.12, 13, 17).
    pub(super) fn subscribe(&self, wire: &mut Wire, receipt: Option<&str>) -> bool {
        let id = self.id.to_string();
        let headers = [
            ("id", &*id),
            ("destination", &*self.destination),
            ("ack", "auto"),
            ("receipt", receipt.unwrap_or_default()),
        ];
        let given = if receipt.is_some() { 4 } else { 3 };
        wire.push("SUBSCRIBE", headers.get(..given).unwrap_or(&headers), b"")
    }

    /// The other side as the daemon wants to know it.
    pub(super) fn peer(&self, wire: &Wire) -> Peer {
        Peer {
            response_topic: Some(self.destination.clone()),
            topic_from_server: self.from_server,
            ..wire.pipe.stream.peer()
        }
    }
}

/// The heart-beats both sides agreed on (R-STOMP.8 to 11).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Beats {
    /// We send something at least this often.
    pub(super) send: Option<Duration>,
    /// The server does.
    pub(super) expect: Option<Duration>,
}

impl Beats {
    /// `ours` is what we offered, `answer` the header of CONNECTED.
    fn agreed(ours: Option<(u32, u32)>, answer: Option<&str>) -> Result<Beats, String> {
        let (Some((outgoing, incoming)), Some(answer)) = (ours, answer) else { return Ok(Beats::default()) };
        let theirs = answer
            .split_once(',')
            .and_then(|(sends, wants)| Some((sends.trim().parse::<u32>().ok()?, wants.trim().parse::<u32>().ok()?)));
        let (sends, wants) = theirs.ok_or("the broker's heart-beat header is not two numbers")?;
        let both = |one: u32, other: u32| (one > 0 && other > 0).then(|| Duration::from_millis(one.max(other).into()));
        Ok(Beats { send: both(outgoing, wants), expect: both(sends, incoming) })
    }
}

pub(super) struct Client {
    pub(super) settings: Settings,
}

impl Client {
    pub(super) fn new(settings: Settings) -> Self {
        Client { settings }
    }

    async fn establish(&self, stream: Stream, deadline: Instant) -> Result<(Established, Peer), Loss> {
        let mut wire = Wire::new(stream);
        let connected = self.connect(&mut wire, deadline).await?;
        let beats = Beats::agreed(self.settings.heartbeats, connected.header("heart-beat").as_deref());
        let beats = beats.map_err(|why| Loss::clean(why).by(Fault::Peer))?;
        let subscription = match connected.header("subscribe-dest").filter(|named| !named.is_empty()) {
            Some(named) => Subscription { id: 1, destination: named.into(), from_server: true },
            None => Subscription { id: 1, destination: self.settings.destination.clone(), from_server: false },
        };
        if subscription.destination.is_empty() {
            // R-STOMP.16.
            wire.pipe.goodbye(DISCONNECT, self.settings.limits.goodbye).await;
            return Err(no_destination());
        }
        let _ = subscription.subscribe(&mut wire, Some("subscribed"));
        let early = subscribed(&mut wire, deadline.min(Instant::now() + RECEIPT_PATIENCE)).await?;
        let peer = subscription.peer(&wire);
        Ok((Established { wire, subscription, beats, early }, peer))
    }

    /// Sends STOMP (R-STOMP.2 to 5, 8 to 10) and gives CONNECTED.
    async fn connect(&self, wire: &mut Wire, deadline: Instant) -> Result<Frame, Loss> {
        let Settings { own_id, virtual_host, username, password, heartbeats, tls, .. } = &self.settings;
        let host = if virtual_host.is_empty() { DEFAULT_VIRTUAL_HOST } else { virtual_host };
        let mut headers = vec![("accept-version", "1.2"), ("host", host), ("endpoint-id", own_id)];
        // R-STOMP.3: a client certificate may stand for both.
        let certified = tls.as_ref().is_some_and(|tls| tls.identity.is_some());
        if !certified || !username.is_empty() || !password.is_empty() {
            headers.extend([("login", &**username), ("passcode", &**password)]);
        }
        let offered = heartbeats.map(|(outgoing, incoming)| format!("{outgoing},{incoming}"));
        headers.extend(offered.as_deref().map(|offered| ("heart-beat", offered)));
        let _ = wire.push("STOMP", &headers, b"");
        let hint = "STOMP was not answered: is that port a STOMP server's, and does it want TLS?";
        let received = timeout_at(deadline, wire.receive()).await;
        let received = received.unwrap_or_else(|_| Err(Why::new(Class::NoAnswer, "no answer")));
        let frame =
            received.map_err(|why| Loss::unclean(why.or(Class::Protocol).map(|why| format!("{why}; {hint}"))))?;
        match frame.command {
            Command::Connected if frame.header("version").as_deref() == Some("1.2") => Ok(frame),
            Command::Connected => {
                Err(Loss::clean("the broker does not speak STOMP 1.2").by(Fault::Peer).of(Class::Protocol))
            }
            Command::Error => Err(refused(&frame)),
            _ => Err(Loss::clean("the broker answered STOMP with another frame than CONNECTED")
                .by(Fault::Peer)
                .of(Class::Protocol)),
        }
    }
}

/// Waits for a sign that SUBSCRIBE was taken: the RECEIPT, a MESSAGE, or silence.
async fn subscribed(wire: &mut Wire, until: Instant) -> Result<Option<Frame>, Loss> {
    let Ok(received) = timeout_at(until, wire.receive()).await else { return Ok(None) };
    let frame = received
        .map_err(|why| Loss::unclean(why.or(Class::Subscription).map(|why| format!("after SUBSCRIBE: {why}"))))?;
    match frame.command {
        Command::Error => Err(refused(&frame)),
        Command::Message => Ok(Some(frame)),
        Command::Receipt | Command::Connected => Ok(None),
    }
}

/// R-STOMP.25.
pub(super) fn refused(error: &Frame) -> Loss {
    let words = |text: &str| -> String {
        text.trim().chars().map(|c| if c.is_control() { ' ' } else { c }).take(MAX_COMPLAINT).collect()
    };
    let message = words(&error.header("message").unwrap_or_default());
    let body = error.body.as_deref().map(String::from_utf8_lossy).unwrap_or_default();
    Loss::clean(format!("the broker refuses: \"{message}\" ({})", words(&body))).by(Fault::Peer).of(Class::Stomp)
}

/// R-STOMP.16.
pub(super) fn no_destination() -> Loss {
    Loss::clean("the broker names no destination (subscribe-dest) and no Destination is configured")
        .by(Fault::Configuration)
        .of(Class::NoTopic)
}

impl Dialer for Client {
    type Session = Box<Established>;

    async fn dial(&mut self) -> Result<(Self::Session, Peer), Loss> {
        let Settings { host, port, tls, limits, .. } = &self.settings;
        let (server, deadline) = (format!("{host}:{port}"), Instant::now() + limits.handshake);
        let stream = dial(host, *port, tls.as_ref(), deadline).await.map_err(Loss::unclean)?;
        match self.establish(stream, deadline).await {
            Ok((established, peer)) => Ok((Box::new(established), peer)),
            Err(loss) => Err(Loss { why: format!("{server}: {}", loss.why), ..loss }),
        }
    }

    async fn serve(&mut self, established: Self::Session, channel: Channel, desk: &mut Desk) -> End {
        Session::new(self, *established, channel).run(desk).await
    }

    fn filters(&mut self, filters: Vec<(Box<str>, u8)>) {
        self.settings.destination = filters.into_iter().next().map(|(destination, _)| destination).unwrap_or_default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heart_beats_are_the_slower_of_what_both_sides_say() {
        let ms = |ms| Some(Duration::from_millis(ms));
        let agreed = |ours, answer| Beats::agreed(ours, answer);
        assert_eq!(agreed(Some((15000, 10000)), Some("20000,5000")), Ok(Beats { send: ms(15000), expect: ms(20000) }));
        assert_eq!(agreed(Some((100, 0)), Some("50, 200")), Ok(Beats { send: ms(200), expect: None }));
        assert_eq!(agreed(Some((100, 100)), Some("0,0")), Ok(Beats::default()));
        assert_eq!(agreed(Some((100, 100)), None), Ok(Beats::default()));
        assert_eq!(agreed(None, Some("10,10")), Ok(Beats::default()));
        assert!(agreed(Some((1, 1)), Some("often")).is_err() && agreed(Some((1, 1)), Some("1,-1")).is_err());
    }
}
