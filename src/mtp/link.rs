//! What every link that dials out has in common: dial, serve, wait by the back-off, dial again.
//!
//! Commands are heard in every phase; a transport only implements [`Dialer`].

use super::backoff::{Backoff, Policy, random_fraction};
use super::class::Why;
use super::report::{HELD_EVENTS, Reporter};
use super::stream::Stream;
use super::{Channel, Class, Fault, LinkCommand, LinkEvent, LinkHandle, LinkId, Peer, QUEUE};
use std::pin::Pin;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::Instant;

/// How a session, or the attempt at one, ended.
pub(crate) enum End {
    /// The link lives on.
    Lost(Loss),
    /// The daemon said [`LinkCommand::Shutdown`], or is gone.
    Shutdown,
}

/// Why there is no session, and what follows.
pub(crate) struct Loss {
    /// One sentence for a person.
    pub(crate) why: String,
    /// Ended without a goodbye: the peer may still hold the old session.
    pub(crate) unclean: bool,
    /// Trying again is of no use before the daemon sends new filters (R-MQTT.16).
    pub(crate) disabled: bool,
    /// Where the fault lies.
    pub(crate) fault: Fault,
    /// What kind of fault it is.
    pub(crate) class: Class,
}

impl Loss {
    /// Ended without a goodbye, or never began.
    pub(crate) fn unclean(why: impl Into<Why>) -> Self {
        let Why { class, text } = why.into();
        Loss { why: text, unclean: true, disabled: false, fault: Fault::Network, class }
    }

    /// Ended by a goodbye of either side.
    pub(crate) fn clean(why: impl Into<Why>) -> Self {
        Loss { unclean: false, ..Loss::unclean(why) }
    }

    /// The same, by another fault than the network's.
    pub(crate) fn by(self, fault: Fault) -> Self {
        Loss { fault, ..self }
    }

    /// The same, of a known kind.
    pub(crate) fn of(self, class: Class) -> Self {
        Loss { class, ..self }
    }
}

/// A link's end of its two channels.
pub(crate) struct Desk {
    pub(crate) commands: mpsc::Receiver<LinkCommand>,
    pub(crate) report: Reporter,
    /// The newest filters that no session has taken up.
    pub(crate) filters: Option<Vec<(Box<str>, u8)>>,
}

impl Desk {
    /// The desk of a link and the handle the daemon holds.
    pub(crate) fn new(link: LinkId, events: mpsc::Sender<LinkEvent>) -> (LinkHandle, Desk) {
        Desk::with_reporter(Reporter::new(link, events))
    }

    /// The desk of one session of a server.
    pub(crate) fn with_reporter(report: Reporter) -> (LinkHandle, Desk) {
        let (commands, inbox) = mpsc::channel(QUEUE);
        (LinkHandle { commands, traffic: Default::default() }, Desk { commands: inbox, report, filters: None })
    }

    /// The next command; None is a daemon that is gone. Held events are handed over meanwhile. Cancel safe.
    pub(crate) async fn command(&mut self) -> Option<LinkCommand> {
        loop {
            tokio::select! {
                biased;
                command = self.commands.recv() => return command,
                drained = self.report.drain() => drained.ok()?,
            }
        }
    }

    /// A link that brings more than the agent can take rests, so that it does not keep others waiting.
    pub(crate) fn pace(&mut self, stream: &mut Stream) {
        if self.report.take_flooded() {
            stream.rest();
        }
    }

    /// What there is to say to a record nobody is connected to take.
    pub(crate) fn refuse_to_send(&mut self) {
        self.report.remark("a record was dropped: its session is no longer connected");
    }
}

/// A transport that dials out.
pub(crate) trait Dialer: Send {
    /// What [`dial`](Self::dial) established.
    type Session: Send;
    /// Each wait is drawn from a longer range than the one before.
    const GROWS: bool = true;
    /// Establishes a session; has its own deadline. Dropped when the daemon shuts the link down.
    fn dial(&mut self) -> impl Future<Output = Result<(Self::Session, Peer), Loss>> + Send;
    /// Lives with the session until it ends.
    fn serve(&mut self, session: Self::Session, channel: Channel, desk: &mut Desk) -> impl Future<Output = End> + Send;
    /// New subscription filters arrived while no session was up.
    fn filters(&mut self, _filters: Vec<(Box<str>, u8)>) {}
}

/// Boxed, so that all transports share the code around their tasks.
pub(crate) type Task<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A [`Dialer`] of any kind, with the session it established.
trait Line: Send {
    fn dial(&mut self) -> Task<'_, Result<Peer, Loss>>;
    /// None: there is no session.
    fn serve<'a>(&'a mut self, channel: Channel, desk: &'a mut Desk) -> Option<Task<'a, End>>;
    fn filters(&mut self, filters: Vec<(Box<str>, u8)>);
}

struct LineOf<D: Dialer> {
    dialer: D,
    session: Option<D::Session>,
}

impl<D: Dialer> Line for LineOf<D> {
    fn dial(&mut self) -> Task<'_, Result<Peer, Loss>> {
        Box::pin(async {
            let (session, peer) = self.dialer.dial().await?;
            self.session = Some(session);
            Ok(peer)
        })
    }

    fn serve<'a>(&'a mut self, channel: Channel, desk: &'a mut Desk) -> Option<Task<'a, End>> {
        let session = self.session.take()?;
        Some(Box::pin(self.dialer.serve(session, channel, desk)))
    }

    fn filters(&mut self, filters: Vec<(Box<str>, u8)>) {
        self.dialer.filters(filters);
    }
}

/// Keeps a link up until the daemon shuts it down. After an unclean end of a session the wait is at
/// least `hold_off`.
pub(crate) fn keep_up<D: Dialer + 'static>(
    dialer: D,
    desk: Desk,
    policy: Policy,
    hold_off: Duration,
) -> Task<'static, ()> {
    Box::pin(keep(Box::new(LineOf { dialer, session: None }), desk, (policy, D::GROWS), hold_off))
}

async fn keep(mut line: Box<dyn Line>, mut desk: Desk, (policy, grows): (Policy, bool), hold_off: Duration) {
    let mut backoff = Backoff::new(policy);
    let mut channel = Channel { link: desk.report.link, session: 0 };
    loop {
        if let Some(filters) = desk.filters.take() {
            line.filters(filters);
        }
        let Some(dialed) = dial(&mut *line, &mut desk).await else { return };
        let (ended, end) = match dialed {
            Err(loss) => (Channel { session: 0, ..channel }, End::Lost(loss)),
            Ok(peer) => {
                backoff.reset();
                channel.session = channel.session.wrapping_add(1).max(1);
                desk.report.tell(LinkEvent::Connected { channel, peer });
                let end = match line.serve(channel, &mut desk) {
                    Some(served) => served.await,
                    None => End::Lost(Loss::unclean("there is no session")),
                };
                (channel, end)
            }
        };
        let End::Lost(loss) = end else { return };
        let pause = Pause::after(&loss, ended, &mut backoff, hold_off);
        if !grows {
            backoff.reset();
        }
        let retry_in = pause.retry_in();
        desk.report.tell(LinkEvent::Lost {
            channel: ended,
            why: loss.why.into(),
            fault: loss.fault,
            class: loss.class,
            retry_in,
        });
        if rest(&mut desk, pause, &mut backoff).await.is_none() {
            return;
        }
    }
}

/// None: shut down.
async fn dial(line: &mut dyn Line, desk: &mut Desk) -> Option<Result<Peer, Loss>> {
    let mut dialing = line.dial();
    loop {
        tokio::select! {
            biased;
            command = desk.command() => match command? {
                LinkCommand::Shutdown => return None,
                LinkCommand::Send { .. } => desk.refuse_to_send(),
                LinkCommand::Filters(filters) => desk.filters = Some(filters),
                LinkCommand::TryNow | LinkCommand::Probe { .. } | LinkCommand::Close { .. } => {}
            },
            dialed = &mut dialing => return Some(dialed),
        }
    }
}

/// The time between two tries.
struct Pause {
    /// When the next try is due; None: when the daemon says so.
    until: Option<Instant>,
    /// Not even [`LinkCommand::TryNow`] tries before this.
    not_before: Instant,
}

impl Pause {
    fn after(loss: &Loss, ended: Channel, backoff: &mut Backoff, hold_off: Duration) -> Pause {
        let now = Instant::now();
        let held = if ended.session != 0 && loss.unclean { hold_off } else { Duration::ZERO };
        let wait = backoff.after_failure(random_fraction()).max(held);
        let until = (!loss.disabled).then(|| now.checked_add(wait).unwrap_or(now));
        Pause { until, not_before: now + held }
    }

    fn retry_in(&self) -> Option<u64> {
        let wait = self.until?.saturating_duration_since(Instant::now());
        Some(u64::try_from(wait.as_millis()).unwrap_or(u64::MAX))
    }
}

/// None: shut down. Ends early on TryNow, and on new filters where the link was disabled for want of them.
async fn rest(desk: &mut Desk, mut pause: Pause, backoff: &mut Backoff) -> Option<()> {
    loop {
        let due = pause.until.filter(|_| desk.report.backlog() <= HELD_EVENTS);
        tokio::select! {
            biased;
            () = sleep_until(due) => return Some(()),
            command = step(desk) => match command? {
                Step::Drained => {}
                Step::Command(LinkCommand::Shutdown) => return None,
                Step::Command(LinkCommand::TryNow) => {
                    backoff.reset();
                    pause.until = Some(pause.not_before);
                }
                Step::Command(LinkCommand::Filters(filters)) => {
                    desk.filters = Some(filters);
                    pause.until.get_or_insert(pause.not_before);
                }
                Step::Command(LinkCommand::Send { .. }) => desk.refuse_to_send(),
                Step::Command(LinkCommand::Probe { .. } | LinkCommand::Close { .. }) => {}
            },
        }
    }
}

enum Step {
    Command(LinkCommand),
    Drained,
}

async fn step(desk: &mut Desk) -> Option<Step> {
    tokio::select! {
        biased;
        command = desk.commands.recv() => command.map(Step::Command),
        drained = desk.report.drain() => drained.ok().map(|()| Step::Drained),
    }
}

/// Sleeps to the instant, for ever where there is none.
pub(crate) async fn sleep_until(instant: Option<Instant>) {
    match instant {
        Some(instant) => tokio::time::sleep_until(instant).await,
        None => std::future::pending().await,
    }
}
