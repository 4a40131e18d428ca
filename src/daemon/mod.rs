//! Sockets, clock and tasks around the agent: the agent decides, this performs.
//!
//! One thread. Links, the bus and operations run as tasks of their own; whatever they tell goes to the agent one input
//! at a time, so a Set needs no lock while keep-alives and pongs still go out. Nothing wakes up by itself: every timer
//! has a reason that the agent or the daemon named.

mod clock;
pub mod control;
mod echo;
mod identity;
mod links;
pub mod operations;
mod perform;
pub mod probe;
mod settings;
mod start;

use crate::agent::{Action, Agent, Input, Kept};
use crate::backend::uci::{Edit, OptValue, PackageEdits};
use crate::backend::{Backend, Change, Router, Table};
use crate::config;
use crate::mtp::LinkEvent;
use crate::store::Store;
use crate::task::block_on;
use crate::usp::endpoint_id::EndpointId;
use clock::Clock;
use control::Control;
use echo::Echo;
use links::Links;
use operations::{Done, Operations};
use std::collections::VecDeque;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc::Receiver;
use tokio::time::{Instant, sleep, sleep_until};

/// Changes of the router that wait at most; the bus waits then, and ubusd drops what it cannot deliver.
pub const MAX_CHANGES: usize = 64;
/// How long instance numbers that no controller asked for wait before they are written: flash wears.
pub const SAVE_DELAY: Duration = Duration::from_secs(30);
/// How long links may take for their goodbye.
pub const GOODBYE: Duration = Duration::from_secs(2);

/// How long the router may take to end the agent once it was told to reboot.
pub const PATIENCE_WITH_REBOOT: Duration = Duration::from_secs(120);

/// Where the router is, and where the agent keeps its own.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// UCI packages; None for `/etc/config` below the root.
    pub config_dir: Option<PathBuf>,
    /// What must survive a reboot; None for `/etc/usp-agent` below the root.
    pub state_dir: Option<PathBuf>,
    /// The socket of ubusd; None for `/var/run/ubus/ubus.sock` below the root.
    pub ubus: Option<PathBuf>,
    /// The router's file system; None for `/`.
    pub root: Option<PathBuf>,
    /// A folder of recorded answers instead of a router.
    pub fixtures: Option<PathBuf>,
    /// Counts more than `log_level` of the configuration.
    pub log_level: Option<log::LevelFilter>,
}

/// Why the agent did not start, or did not go on.
#[derive(Debug)]
pub enum Failure {
    /// Another agent runs on this state folder.
    Running(PathBuf),
    /// A folder or file that the agent cannot do without.
    Folder(PathBuf, std::io::Error),
    /// The built-in data model is broken: a bug.
    Model(String),
    /// Neither configuration nor hardware names the agent, and it has not drawn a name yet.
    Nameless,
    /// Signals or the runtime are refused by the system.
    System(std::io::Error),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Running(lock) => write!(
                f,
                "another usp-agent holds {}; stop it (/etc/init.d/usp-agent stop), or give this one its own --state-dir",
                lock.display()
            ),
            Self::Folder(path, error) => write!(f, "{}: {error}; give a folder that can be written", path.display()),
            Self::Model(what) => write!(f, "the data model cannot be used: {what}; `usp-agent check` tells more"),
            Self::Nameless => write!(
                f,
                "neither configuration nor hardware names the agent; it draws an endpoint id at its first start"
            ),
            Self::System(error) => write!(f, "the system refuses: {error}"),
        }
    }
}

impl std::error::Error for Failure {}

/// Runs the agent until SIGTERM or SIGINT. Must run within a `LocalSet`.
///
/// # Errors
/// [`Failure`], before anything was sent.
pub async fn run(options: Options) -> Result<(), Failure> {
    let mut signals = Signals::new().map_err(Failure::System)?;
    let mut daemon = Daemon::start(options).await?;
    daemon.serve(&mut signals).await;
    daemon.stop().await;
    let reboots = match daemon.rebooting {
        Some(reset) => daemon.reboot_now(reset).await,
        None => false,
    };
    if reboots {
        // procd ends us on its way down. One that ended by itself would be started again, and tell Boot! too early.
        tokio::select! {
            _ = signals.terminate.recv() => {}
            () = sleep(PATIENCE_WITH_REBOOT) => log::error!("reboot=failed cause=nothing-happened"),
        }
    }
    Ok(())
}

/// [`run`] on a runtime of its own, on this thread.
///
/// # Errors
/// As [`run`].
pub fn run_blocking(options: Options) -> Result<(), Failure> {
    // As a task of its own: waking the outermost future costs a write to the runtime's eventfd, twice per message.
    let agent = async { tokio::task::spawn_local(run(options)).await };
    let ended = block_on(agent).map_err(Failure::System)?;
    ended.unwrap_or_else(|why| Err(Failure::System(std::io::Error::other(why))))
}

/// The endpoint id that [`run`] goes by with these options. Takes no lock and starts nothing.
///
/// # Errors
/// [`Failure`]; also where no hardware tells an id and no agent has drawn one by lot yet.
pub fn identity_blocking(options: &Options) -> Result<EndpointId, Failure> {
    block_on(Daemon::identity(options)).map_err(Failure::System)?
}

/// A running agent and everything around it.
struct Daemon {
    agent: Agent<Router>,
    own_id: EndpointId,
    store: Store,
    clock: Clock,
    links: Links,
    operations: Operations,
    echo: Echo,
    link_events: Receiver<LinkEvent>,
    /// When the record came that is being handled.
    arrived: Option<Instant>,
    /// How many of `link_events` came before the last record was answered.
    waiting: usize,
    changes: Receiver<Change>,
    done: Receiver<Done>,
    log_level: Option<log::LevelFilter>,
    /// What the agent is to be told next.
    pending: VecDeque<Input>,
    /// Links and log level are to follow the configuration.
    config_changed: bool,
    wake_at: Option<Instant>,
    /// Instance numbers that are not on flash yet, and when they should be.
    numbers: Option<(Instant, String)>,
    /// A reboot was asked for (true: to factory defaults) and begins when everything before it was sent.
    rebooting: Option<bool>,
    /// The router is the machine this runs on, not a folder that stands for one.
    on_this_machine: bool,
    /// The agent's own object on the bus.
    control: Control,
    /// Held as long as this lives: no second agent on the same state.
    _lock: std::fs::File,
}

/// What the operator or procd says.
struct Signals {
    reload: Signal,
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self {
            reload: signal(SignalKind::hangup())?,
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }
}

impl Daemon {
    /// The loop: whatever happens next, one at a time.
    async fn serve(&mut self, signals: &mut Signals) {
        while self.rebooting.is_none() {
            tokio::select! {
                biased;
                _ = signals.terminate.recv() => return log::info!("event=stopping reason=SIGTERM"),
                _ = signals.interrupt.recv() => return log::info!("event=stopping reason=SIGINT"),
                _ = signals.reload.recv() => self.reload("SIGHUP"),
                Some(event) = self.link_events.recv() => self.link_event(event).await,
                Some(done) = self.done.recv() => self.operation_done(done),
                call = self.control.next() => self.asked(call).await,
                Some(change) = self.changes.recv() => self.changed(change),
                () = until(self.wake_at) => self.wake().await,
                () = until(self.numbers.as_ref().map(|(at, _)| *at)) => self.save_numbers(),
                () = self.clock.was_set() => self.clock_set(),
                () = until(self.links.clock_wait_ends()) => self.config_changed = true,
            }
            self.settle().await;
        }
    }

    /// Tells the agent whatever waits, and follows the configuration, until nothing more comes of it.
    async fn settle(&mut self) {
        loop {
            while let Some(input) = self.pending.pop_front() {
                self.handle(input).await;
            }
            if !std::mem::take(&mut self.config_changed) {
                return;
            }
            self.follow_config().await;
        }
    }

    /// Gives the agent an input and performs what it says.
    async fn handle(&mut self, input: Input) {
        let is_record = matches!(input, Input::Record { .. });
        self.trace_received(&input);
        let actions = self.agent.handle(input, self.clock.now()).await;
        let asked = actions.iter().any(|action| matches!(action, Action::ConfigWritten(_) | Action::Send(_)));
        for action in actions {
            self.perform(action, asked).await;
        }
        if is_record {
            self.waiting = self.link_events.len();
        }
    }

    async fn link_event(&mut self, event: LinkEvent) {
        match self.waiting {
            0 => self.agent.nothing_waits(),
            _ => self.waiting -= 1,
        }
        self.arrived = match &event {
            LinkEvent::Record { at, .. } => Some(*at),
            _ => None,
        };
        self.echo.show(&mut self.agent.model().facts());
        let state_changes = matches!(event, LinkEvent::Connected { .. } | LinkEvent::Lost { .. });
        let input = self.links.event(event, &mut self.agent.model().facts());
        // The agent looks at its facts with every input; without one it must be told to.
        self.pending.extend(input.or(state_changes.then_some(Input::FactsChanged)));
        if let Some((section, client_id)) = self.links.assigned() {
            self.keep_client_id(&section, client_id).await;
        }
    }

    /// R-MQTT.9: from now on the client id is the configured one, over a restart too.
    async fn keep_client_id(&mut self, section: &str, client_id: Box<str>) {
        let backend = self.agent.model().backend();
        let Ok(base) = backend.package(config::PACKAGE).await else { return };
        let edit = Edit::Set {
            section: config::written_in(&base, section).into(),
            option: "ClientID".into(),
            value: Some(OptValue::One(client_id.clone())),
        };
        match backend.commit(&[PackageEdits { base, edits: vec![edit] }], false).await {
            Ok(()) => {
                self.links.has_client_id(section, client_id);
                self.pending.push_back(Input::ConfigChanged);
                self.config_changed = true;
            }
            Err(error) => log::warn!("section={section} client-id=not-kept cause=\"{error}\""),
        }
    }

    fn operation_done(&mut self, done: Done) {
        self.operations.forget(done.request);
        self.pending.push_back(Input::OperationDone { request: done.request, outcome: done.outcome });
    }

    fn changed(&mut self, change: Change) {
        match &change {
            Change::Event(name, data) if is_uplink(name, data) => {
                log::debug!("event=ifup action=try-links-now");
                self.links.try_now();
                self.echo.try_now();
            }
            Change::Package(name) if &**name == config::PACKAGE => self.config_changed = true,
            _ => {}
        }
        self.pending.push_back(Input::Changed(change));
    }

    async fn wake(&mut self) {
        self.wake_at = None;
        let begun = Instant::now();
        self.handle(Input::Wake).await;
        let took = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.handle(Input::WakeTook(took)).await;
    }

    fn clock_set(&mut self) {
        if self.clock.look() {
            log::info!("event=clock-set");
            self.pending.push_back(Input::TimeSynchronized);
            self.config_changed = true;
        }
        // A certificate that was refused for its dates may be good by the new time.
        self.links.try_now();
    }

    /// The configuration may have changed, says a signal or a user; or what the network can reach.
    fn reload(&mut self, who: &str) {
        log::info!("event=reload reason={who}");
        self.links.try_now();
        self.echo.try_now();
        self.pending.push_back(Input::ConfigChanged);
        self.config_changed = true;
    }

    /// Log level and links follow the configuration; what did not change goes on undisturbed.
    async fn follow_config(&mut self) {
        let package = match self.agent.model().backend().package(config::PACKAGE).await {
            Ok(package) => package,
            Err(error) => {
                let file = config::PACKAGE;
                return log::error!("/etc/config/{file}: {error}; links stay as they are until that is repaired");
            }
        };
        // Whom a link reaches, the agent knows before it is up.
        if !self.agent.has_read(&package) {
            self.handle(Input::ConfigChanged).await;
        }
        log::set_max_level(self.log_level.unwrap_or_else(|| start::log_level(&package)));
        self.echo.follow(config::udp_echo(&package), self.agent.model().backend());
        let inputs = self.links.follow(&package, &self.own_id, &mut self.agent.model().facts());
        self.pending.extend(inputs);
        self.pending.push_back(Input::FactsChanged);
    }

    fn save_numbers(&mut self) {
        if let Some((_, text)) = self.numbers.take() {
            self.keep(Kept::Instances, &text);
        }
    }

    /// Controllers are told, links end, what must survive is written.
    async fn stop(&mut self) {
        self.handle(Input::Stopping).await;
        self.operations.cancel_all();
        self.save_numbers();
        self.links.shut_down(GOODBYE, &mut self.link_events).await;
        log::info!("event=stopped");
    }
}

/// netifd says that an interface is up, or got another address.
fn is_uplink(event: &str, data: &Table) -> bool {
    let action = data.get("action").and_then(|action| action.as_str());
    event == "network.interface" && matches!(action, Some("ifup" | "ifupdate"))
}

/// Never where there is no such moment.
async fn until(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}
