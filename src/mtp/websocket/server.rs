//! The sessions controllers originate (R-WS.6): one per peer, a newer one replaces the older.

use super::handshake::server::accept;
use super::session::{Session, turn_away};
use super::{MAX_HANDSHAKES, MAX_SESSIONS, ServerSettings};
use crate::mtp::link::{Desk, End};
use crate::mtp::stream::{Limits, Stream};
use crate::mtp::tls::Acceptor;
use crate::mtp::{Channel, LinkCommand, LinkEvent, LinkHandle, Peer};
use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{Instant, sleep, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

/// Between two tries to listen on an address that is taken.
const LISTEN_AGAIN: Duration = Duration::from_secs(5);
/// Refused handshakes told of per [`REFUSALS_WINDOW`]: anybody can cause one.
const REFUSALS_TOLD: u32 = 10;
/// See [`REFUSALS_TOLD`].
const REFUSALS_WINDOW: Duration = Duration::from_secs(60);

/// A peer that is connected.
struct Guest {
    channel: Channel,
    endpoint_id: Option<Box<str>>,
    /// Its certificate carries the endpoint id it claims.
    proven: bool,
    handle: LinkHandle,
}

type Greeted = Result<(WebSocketStream<Stream>, Peer), String>;

pub(super) struct Server {
    settings: Arc<ServerSettings>,
    desk: Desk,
    guests: Vec<Guest>,
    sessions: JoinSet<(Channel, End)>,
    handshakes: JoinSet<Greeted>,
    /// Those of `handshakes` that go on, oldest first.
    greeting: VecDeque<AbortHandle>,
    farewells: JoinSet<()>,
    last_session: u32,
    refusals: (Instant, u32),
}

impl Server {
    pub(super) fn new(settings: ServerSettings, desk: Desk) -> Self {
        Server {
            settings: Arc::new(settings),
            desk,
            guests: Vec::new(),
            sessions: JoinSet::new(),
            handshakes: JoinSet::new(),
            greeting: VecDeque::new(),
            farewells: JoinSet::new(),
            last_session: 0,
            refusals: (Instant::now(), 0),
        }
    }

    pub(super) async fn run(mut self) {
        loop {
            match self.open().await {
                Ok((listener, acceptor)) => return self.serve(&listener, acceptor).await,
                Err(why) => {
                    let channel = Channel { link: self.desk.report.link, session: 0 };
                    let retry_in = u64::try_from(LISTEN_AGAIN.as_millis()).ok();
                    self.desk.report.tell(LinkEvent::Lost { channel, why: why.into(), retry_in });
                    if self.rest().await.is_none() {
                        return;
                    }
                }
            }
        }
    }

    async fn open(&self) -> Result<(TcpListener, Option<Acceptor>), String> {
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
        Ok((listener, acceptor))
    }

    /// None: shut down.
    async fn rest(&mut self) -> Option<()> {
        let pause = sleep(LISTEN_AGAIN);
        tokio::pin!(pause);
        loop {
            tokio::select! {
                () = &mut pause => return Some(()),
                command = self.desk.command() => match command? {
                    LinkCommand::Shutdown => return None,
                    LinkCommand::TryNow => return Some(()),
                    LinkCommand::Send { .. } => self.desk.refuse_to_send(),
                    LinkCommand::Filters(_) | LinkCommand::Close { .. } => {}
                },
            }
        }
    }

    async fn serve(mut self, listener: &TcpListener, acceptor: Option<Acceptor>) {
        loop {
            tokio::select! {
                biased;
                Some(Ok((channel, end))) = self.sessions.join_next() => self.session_ended(channel, end),
                Some(greeted) = self.handshakes.join_next() => if let Ok(greeted) = greeted { self.greeted(greeted) },
                Some(_) = self.farewells.join_next() => {}
                command = self.desk.command() => match command {
                    Some(LinkCommand::Shutdown) | None => return self.shut_down().await,
                    Some(command) => self.pass_on(command),
                },
                accepted = listener.accept() => match accepted {
                    Ok((tcp, _)) => self.arrived(tcp, acceptor.clone()),
                    // Out of file descriptors, or the peer is gone again: neither is cured by haste.
                    Err(_) => sleep(Duration::from_millis(100)).await,
                },
            }
        }
    }

    fn arrived(&mut self, tcp: TcpStream, acceptor: Option<Acceptor>) {
        self.greeting.retain(|handshake| !handshake.is_finished());
        // The oldest gives way: a peer in earnest is through in a moment, and one that says nothing keeps nobody out.
        if self.greeting.len() >= MAX_HANDSHAKES {
            self.greeting.pop_front().inspect(AbortHandle::abort);
        }
        self.greeting.push_back(self.handshakes.spawn(greet(tcp, acceptor, self.settings.clone())));
    }

    fn greeted(&mut self, greeted: Greeted) {
        match greeted {
            Err(why) => self.tell_refusal(why),
            Ok((ws, peer)) => self.admit(ws, peer),
        }
    }

    fn tell_refusal(&mut self, why: String) {
        if self.refusals.0.elapsed() > REFUSALS_WINDOW {
            self.refusals = (Instant::now(), 0);
        }
        self.refusals.1 = self.refusals.1.saturating_add(1);
        if self.refusals.1 <= REFUSALS_TOLD {
            self.desk.report.remark(why);
        }
    }

    /// R-WS.4: at most one session per peer.
    fn admit(&mut self, ws: WebSocketStream<Stream>, peer: Peer) {
        let proven = peer.endpoint_id.as_ref().is_some_and(|id| peer.certificate_ids.contains(id));
        let older = peer
            .endpoint_id
            .as_ref()
            .and_then(|id| self.guests.iter().position(|guest| guest.endpoint_id.as_ref() == Some(id)));
        match older.map(|at| &self.guests[at]) {
            Some(guest) if guest.proven && !proven => {
                let name = peer.endpoint_id.as_deref().unwrap_or_default();
                self.tell_refusal(format!("{} claims to be {name} without the certificate for it", peer.address));
                return self.turn_away(ws, CloseCode::Policy, "endpoint id not proven");
            }
            Some(guest) => {
                let (channel, reason) = (guest.channel, "replaced by a newer session".into());
                let _ = guest.handle.commands.try_send(LinkCommand::Close { channel, code: 1000, reason });
                self.forget(channel);
            }
            None if self.sessions.len() >= MAX_SESSIONS => {
                self.tell_refusal(format!("{} was turned away: {MAX_SESSIONS} peers are connected", peer.address));
                return self.turn_away(ws, CloseCode::Again, "too many sessions");
            }
            None => {}
        }
        self.seat(ws, peer, proven);
    }

    fn turn_away(&mut self, ws: WebSocketStream<Stream>, code: CloseCode, reason: &'static str) {
        if self.farewells.len() < MAX_HANDSHAKES {
            let patience = self.settings.limits.goodbye;
            self.farewells.spawn(turn_away(ws, code, reason, patience));
        }
    }

    fn seat(&mut self, ws: WebSocketStream<Stream>, peer: Peer, proven: bool) {
        self.last_session = self.last_session.wrapping_add(1).max(1);
        let channel = Channel { link: self.desk.report.link, session: self.last_session };
        let (handle, mut desk) = Desk::with_reporter(self.desk.report.another());
        let endpoint_id = peer.endpoint_id.clone();
        self.guests.push(Guest { channel, endpoint_id, proven, handle });
        let session = Session::new(ws, channel, self.settings.keep_alive, self.settings.limits);
        self.sessions.spawn(async move {
            // Told through the session's own end, so that its first record cannot overtake it.
            desk.report.tell(LinkEvent::Connected { channel, peer });
            let end = session.run(&mut desk).await;
            while desk.report.backlog() > 0 && desk.report.drain().await.is_ok() {}
            (channel, end)
        });
    }

    fn session_ended(&mut self, channel: Channel, end: End) {
        self.forget(channel);
        let why = match end {
            End::Lost(loss) => loss.why,
            End::Shutdown => "the session was closed by this side".into(),
        };
        self.desk.report.tell(LinkEvent::Lost { channel, why: why.into(), retry_in: None });
    }

    fn forget(&mut self, channel: Channel) {
        self.guests.retain(|guest| guest.channel != channel);
    }

    fn pass_on(&mut self, command: LinkCommand) {
        let channel = match &command {
            LinkCommand::Send { channel, .. } | LinkCommand::Close { channel, .. } => *channel,
            _ => return,
        };
        let guest = self.guests.iter().find(|guest| guest.channel == channel);
        match guest.map(|guest| guest.handle.commands.try_send(command)) {
            Some(Ok(())) => {}
            Some(Err(_)) => self.desk.report.remark("a record was dropped: its peer takes none"),
            None => self.desk.refuse_to_send(),
        }
    }

    async fn shut_down(mut self) {
        // Dropping the handles is what a session takes for a shutdown.
        self.guests.clear();
        self.handshakes.abort_all();
        let patience = self.settings.limits.goodbye;
        let _ = timeout(patience, async { while self.sessions.join_next().await.is_some() {} }).await;
    }
}

/// TLS and WebSocket handshake within one deadline.
async fn greet(tcp: TcpStream, acceptor: Option<Acceptor>, settings: Arc<ServerSettings>) -> Greeted {
    let address = tcp.peer_addr().map(|a| a.to_string()).unwrap_or_default();
    let Limits { handshake, .. } = settings.limits;
    match timeout(handshake, negotiate(tcp, acceptor, &settings)).await {
        Ok(greeted) => greeted.map_err(|why| format!("{address} was refused: {why}")),
        Err(_) => Err(format!("{address} was cut: it did not finish the handshake")),
    }
}

async fn negotiate(tcp: TcpStream, acceptor: Option<Acceptor>, settings: &ServerSettings) -> Greeted {
    let _ = tcp.set_nodelay(true);
    let stream = match acceptor {
        None => Stream::plain(tcp),
        Some(acceptor) => Stream::encrypted(acceptor.accept(tcp).await.map_err(|fault| fault.to_string())?),
    };
    let mut peer = stream.peer();
    let (ws, endpoint_id) = accept(stream, &settings.path, &settings.own_id).await?;
    peer.endpoint_id = endpoint_id;
    Ok((ws, peer))
}
