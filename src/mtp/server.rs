//! What every link that is listened on has in common: handshakes of several peers at once, one session per peer, and
//! none of them waits for another. A transport only implements [`Host`] and [`Guest`].

use super::link::{Desk, End};
use super::{Channel, Class, Fault, LinkCommand, LinkEvent, LinkHandle, Peer};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{Instant, sleep, timeout};

/// Peers connected to a server at once; more are refused.
pub const MAX_SESSIONS: usize = 16;
/// Connections to a server whose handshake is not finished; beyond these the oldest is dropped.
pub const MAX_HANDSHAKES: usize = 8;
/// Between two tries to listen on an address that is taken.
const LISTEN_AGAIN: Duration = Duration::from_secs(5);
/// How often, and after what time each, a peer whose place is taken is looked at again before it is refused: its older
/// session may be saying goodbye, or have ended without anybody having read that yet.
const LOOKS: u8 = 5;
/// See [`LOOKS`].
const LOOK_AGAIN: Duration = Duration::from_millis(200);
/// Refused handshakes told of per [`REFUSALS_WINDOW`]: anybody can cause one.
const REFUSALS_TOLD: u32 = 10;
/// See [`REFUSALS_TOLD`].
const REFUSALS_WINDOW: Duration = Duration::from_secs(60);

pub(super) use super::link::Task;

/// A peer whose handshake is through, or why it is not.
pub(super) type Greeted = Result<(Box<dyn Guest>, Peer), String>;

/// A transport that is listened on.
pub(super) trait Host: Send {
    /// Begins to listen.
    fn open(&mut self) -> Task<'_, Result<(), String>>;
    /// The next connection, as the task that greets its peer; it has its own deadline.
    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Task<'static, Greeted>>>;
    /// A peer that comes again takes the place of its older session; else it is refused.
    fn newer_wins(&self) -> bool;
    /// How long a session may take for its goodbye.
    fn goodbye(&self) -> Duration;
}

/// A peer whose handshake is through.
pub(super) trait Guest: Send {
    /// Lives until the session ends.
    fn stay(self: Box<Self>, channel: Channel, desk: &mut Desk) -> Task<'_, End>;
    /// Refuses the session: close code and reason.
    fn turn_away(self: Box<Self>, code: u16, reason: &'static str) -> Task<'static, ()>;
}

/// A peer that is connected.
struct Seat {
    channel: Channel,
    endpoint_id: Option<Box<str>>,
    /// Its certificate carries the endpoint id it claims.
    proven: bool,
    handle: LinkHandle,
}

struct Server {
    host: Box<dyn Host>,
    desk: Desk,
    seats: Vec<Seat>,
    sessions: JoinSet<(Channel, End)>,
    /// Each with how often its peer was looked at already.
    handshakes: JoinSet<(u8, Greeted)>,
    /// Those of `handshakes` that go on, oldest first.
    greeting: VecDeque<AbortHandle>,
    farewells: JoinSet<()>,
    last_session: u32,
    refusals: (Instant, u32),
}

/// Listens until the daemon shuts the link down.
pub(super) fn serve(host: Box<dyn Host>, desk: Desk) -> Task<'static, ()> {
    let server = Server {
        host,
        desk,
        seats: Vec::new(),
        sessions: JoinSet::new(),
        handshakes: JoinSet::new(),
        greeting: VecDeque::new(),
        farewells: JoinSet::new(),
        last_session: 0,
        refusals: (Instant::now(), 0),
    };
    Box::pin(server.run())
}

impl Server {
    async fn run(mut self) {
        let (link, mut failed) = (self.desk.report.link, false);
        while let Err(why) = self.host.open().await {
            failed = true;
            let channel = Channel { link, session: 0 };
            let retry_in = u64::try_from(LISTEN_AGAIN.as_millis()).ok();
            self.desk.report.tell(LinkEvent::Lost {
                channel,
                why: why.into(),
                fault: Fault::Network,
                class: Class::default(),
                retry_in,
            });
            if self.rest().await.is_none() {
                return;
            }
        }
        if failed {
            self.desk.report.tell(LinkEvent::Listening { link });
        }
        self.serve().await;
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
                    LinkCommand::Filters(_) | LinkCommand::Probe { .. } | LinkCommand::Close { .. } => {}
                },
            }
        }
    }

    async fn serve(mut self) {
        loop {
            tokio::select! {
                biased;
                Some(Ok((channel, end))) = self.sessions.join_next() => self.session_ended(channel, end),
                Some(greeted) = self.handshakes.join_next() => if let Ok((looks, greeted)) = greeted { self.greeted(looks, greeted) },
                Some(_) = self.farewells.join_next() => {}
                command = self.desk.command() => match command {
                    Some(LinkCommand::Shutdown) | None => return self.shut_down().await,
                    Some(command) => self.pass_on(command),
                },
                accepted = poll_fn(|cx| self.host.poll_accept(cx)) => match accepted {
                    Ok(greeting) => self.arrived(greeting),
                    // Out of file descriptors, or the peer is gone again: neither is cured by haste.
                    Err(_) => sleep(Duration::from_millis(100)).await,
                },
            }
        }
    }

    fn arrived(&mut self, greeting: Task<'static, Greeted>) {
        self.greet(0, greeting);
    }

    fn greet(&mut self, looks: u8, greeting: Task<'static, Greeted>) {
        self.greeting.retain(|handshake| !handshake.is_finished());
        // The oldest gives way: a peer in earnest is through in a moment, and one that says nothing keeps nobody out.
        if self.greeting.len() >= MAX_HANDSHAKES {
            self.greeting.pop_front().inspect(AbortHandle::abort);
        }
        self.greeting.push_back(self.handshakes.spawn(async move { (looks, greeting.await) }));
    }

    fn greeted(&mut self, looks: u8, greeted: Greeted) {
        match greeted {
            Err(why) => self.tell_refusal(why),
            Ok((guest, peer)) => self.admit(looks, guest, peer),
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

    /// At most one session per peer (R-WS.4).
    fn admit(&mut self, looks: u8, guest: Box<dyn Guest>, mut peer: Peer) {
        peer.accepted = true;
        let name = peer.endpoint_id.as_deref().unwrap_or_default();
        // Who is let in on first use has proven nothing but that he holds some key.
        let proven = !peer.standing.first_use && peer.certificate_ids.iter().any(|id| &**id == name);
        let older = self.seats.iter().find(|seat| !name.is_empty() && seat.endpoint_id.as_deref() == Some(name));
        match older {
            Some(_) if !self.host.newer_wins() && looks < LOOKS => {
                let later = async move {
                    sleep(LOOK_AGAIN).await;
                    Ok((guest, peer))
                };
                return self.greet(looks + 1, Box::pin(later));
            }
            Some(_) if !self.host.newer_wins() => {
                self.tell_refusal(format!("{} was turned away: {name} is connected already", peer.address));
                return self.turn_away(guest, POLICY, "this endpoint id is connected already");
            }
            Some(seat) if seat.proven && !proven => {
                self.tell_refusal(format!("{} claims to be {name} without the certificate for it", peer.address));
                return self.turn_away(guest, POLICY, "endpoint id not proven");
            }
            Some(seat) => {
                let (channel, reason) = (seat.channel, "replaced by a newer session".into());
                let _ = seat.handle.commands.try_send(LinkCommand::Close { channel, code: 1000, reason });
                self.forget(channel);
            }
            None if self.sessions.len() >= MAX_SESSIONS => {
                self.tell_refusal(format!("{} was turned away: {MAX_SESSIONS} peers are connected", peer.address));
                return self.turn_away(guest, TRY_AGAIN, "too many sessions");
            }
            None => {}
        }
        self.seat(guest, peer, proven);
    }

    fn turn_away(&mut self, guest: Box<dyn Guest>, code: u16, reason: &'static str) {
        if self.farewells.len() < MAX_HANDSHAKES {
            self.farewells.spawn(guest.turn_away(code, reason));
        }
    }

    fn seat(&mut self, guest: Box<dyn Guest>, peer: Peer, proven: bool) {
        self.last_session = self.last_session.wrapping_add(1).max(1);
        let channel = Channel { link: self.desk.report.link, session: self.last_session };
        let (handle, mut desk) = Desk::with_reporter(self.desk.report.another());
        let endpoint_id = peer.endpoint_id.clone();
        self.seats.push(Seat { channel, endpoint_id, proven, handle });
        self.sessions.spawn(async move {
            // Told through the session's own end, so that its first record cannot overtake it.
            desk.report.tell(LinkEvent::Connected { channel, peer });
            let end = guest.stay(channel, &mut desk).await;
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
        self.desk.report.tell(LinkEvent::Lost {
            channel,
            why: why.into(),
            fault: Fault::Network,
            class: Class::default(),
            retry_in: None,
        });
    }

    fn forget(&mut self, channel: Channel) {
        self.seats.retain(|seat| seat.channel != channel);
    }

    fn pass_on(&mut self, command: LinkCommand) {
        let channel = match &command {
            LinkCommand::Send { channel, .. } | LinkCommand::Probe { channel } | LinkCommand::Close { channel, .. } => {
                *channel
            }
            _ => return,
        };
        let seat = self.seats.iter().find(|seat| seat.channel == channel);
        match seat.map(|seat| seat.handle.commands.try_send(command)) {
            Some(Ok(())) => {}
            Some(Err(_)) => self.desk.report.remark("a record was dropped: its peer takes none"),
            None => self.desk.refuse_to_send(),
        }
    }

    async fn shut_down(mut self) {
        // Dropping the handles is what a session takes for a shutdown.
        self.seats.clear();
        self.handshakes.abort_all();
        let all = async { while self.sessions.join_next().await.is_some() {} };
        let _ = timeout(self.host.goodbye(), all).await;
    }
}

/// WebSocket's close codes for a refusal.
const POLICY: u16 = 1008;
/// Likewise for one that does not last.
const TRY_AGAIN: u16 = 1013;
