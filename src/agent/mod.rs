//! Decisions only: what a message means and what follows from it.
//!
//! The agent is a state machine: [`Input`] and the time go in, [`Action`]s come out. It opens no socket, reads no
//! clock and no file but through the model's backend; what must survive a reboot it hands out ([`Action::Keep`])
//! and gets back ([`Input::Started`]). One input at a time, so that a Set needs no lock.
//!
//! This file only holds the parts together and hands each input to the one that knows it.

pub mod access;
mod certificates;
pub mod challenges;
pub mod changes;
pub mod channels;
mod commands;
pub mod firmware;
pub mod handlers;
mod introduce;
pub mod lifecycle;
pub mod local;
mod messages;
mod mounts;
pub mod notify;
mod pattern;
pub mod requests;
pub mod session;
pub mod settings;
mod settle;
pub mod subscriptions;
#[cfg(test)]
mod tests;
mod threshold;
pub mod timers;
pub mod transfers;
mod trial;
pub mod trust;
pub mod vendor_config;

pub use channels::{ChannelId, Link, Outgoing, Protocol, ReplyTo, Route};
pub use lifecycle::{Boot, Cause};
pub use messages::MAX_MESSAGE;
pub use requests::Operation;
pub use session::PeerFacts;
pub use settings::Settings;
pub use trial::OnTrial;

use crate::backend::uci::Package;
use crate::backend::{Backend, Change, Table};
use crate::model::Model;
use crate::order::Map;
use crate::usp::endpoint_id::EndpointId;
use bytes::Bytes;
use std::rc::Rc;
use timers::{Timer, Timers};

/// The time of an input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Now {
    /// Milliseconds of a clock that never jumps.
    pub monotonic_ms: u64,
    /// Milliseconds since 1970.
    pub unix_ms: i64,
    /// The above is right.
    pub clock_is_set: bool,
}

/// What survives a reboot beside the configuration, one text each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kept {
    /// Why the router was rebooted; empty where that is told.
    Boot,
    /// The firmware that told Boot! last.
    Version,
    /// Notifications that nobody has answered yet.
    Notifications,
    /// Scheduled timers.
    Requests,
    /// How often challenges were failed.
    Challenges,
    /// A change that waits to be confirmed.
    Trial,
    /// Firmware images, and what is under way with them.
    Firmware,
    /// The instance numbers; given to the model by who makes it.
    Instances,
}

/// What happened.
#[derive(Debug)]
pub enum Input {
    /// The agent begins; the first input. `boot` is what the router says of its boot, `kept` what was kept.
    Started {
        /// Counts where nothing was kept.
        boot: Boot,
        /// What [`Action::Keep`] asked for.
        kept: Vec<(Kept, String)>,
    },
    /// A link is begun: these controllers will be reached by it, if it comes up.
    Awaited {
        /// As [`ChannelId`] names it.
        link: u32,
        /// Whom, and how.
        routes: Vec<Route>,
    },
    /// A channel is up and can carry records.
    Connected {
        /// New with every connection.
        channel: ChannelId,
        /// What it is and whom it reaches.
        link: Link,
    },
    /// A channel is gone, or the try at one has failed.
    Lost {
        /// The one; 0 for its second number where there was none.
        channel: ChannelId,
    },
    /// The other side of a channel answered [`Action::Probe`].
    Alive {
        /// The one.
        channel: ChannelId,
    },
    /// Bytes that should be a record.
    Record {
        /// Where they came in.
        channel: ChannelId,
        /// One record.
        bytes: Bytes,
        /// Where the sender wants the answer (MQTT response topic).
        reply_to: Option<Box<str>>,
    },
    /// The router changed.
    Changed(Change),
    /// An event of the router that the mapping knows, e.g. `Device.LocalAgent.`, `TransferComplete!`.
    Event {
        /// The object, with its final dot.
        object: String,
        /// The event, with its mark.
        name: String,
        /// Its arguments.
        params: Vec<(String, String)>,
    },
    /// A long-running operation has ended.
    OperationDone {
        /// As [`Operation::request`] named it.
        request: u32,
        /// Output arguments or the failure.
        outcome: requests::Outcome,
    },
    /// The moment of [`Action::WakeAt`] has come.
    Wake,
    /// How long the last [`Input::Wake`] took, in milliseconds: looks at the router are spread by it.
    WakeTook(u64),
    /// /etc/config/usp-agent was changed by somebody else.
    ConfigChanged,
    /// Facts were set through [`Agent::model`].
    FactsChanged,
    /// The owner of the router asks; [`Action::Answer`] answers.
    Local {
        /// To be named by the answer.
        call: u32,
        /// What.
        request: local::Request,
    },
    /// The clock is right from now on.
    TimeSynchronized,
    /// The agent ends in order: what must survive is kept, controllers are told.
    Stopping,
}

/// What is to be done, in order.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Send a record.
    Send(Outgoing),
    /// End a channel.
    Close {
        /// The one.
        channel: ChannelId,
        /// WebSocket close code; a UNIX socket is closed with the reason only.
        code: u16,
        /// For people.
        reason: Box<str>,
    },
    /// Ask the other side whether it is there, for [`Input::Alive`] or another [`Input::Connected`].
    Probe(ChannelId),
    /// Give [`Input::Wake`] at this moment of the monotonic clock; replaces the moment before.
    WakeAt {
        /// Milliseconds.
        at_ms: u64,
        /// For the log.
        reason: &'static str,
    },
    /// Nothing waits for a moment any more.
    WakeNever,
    /// Perform an operation and come back with [`Input::OperationDone`].
    Spawn(Operation),
    /// End an operation early; [`Input::OperationDone`] still comes.
    CancelOperation(u32),
    /// Disconnect and connect again the MQTT client of this section.
    Reconnect(Box<str>),
    /// Reboot, after everything before this was sent; `reset` to factory defaults.
    Reboot {
        /// Of the reboot.
        cause: Cause,
        /// Forget the configuration.
        reset: bool,
    },
    /// These packages were written, usp-agent among them where links have to follow.
    ConfigWritten(Vec<Box<str>>),
    /// The answer of [`Input::Local`].
    Answer {
        /// As it named itself.
        call: u32,
        /// What, or why not.
        answer: Box<Result<local::Answer, handlers::Refusal>>,
    },
    /// Something the owner of the router may want to know.
    Tell {
        /// `config_applied`, ...
        event: &'static str,
        /// About it.
        data: Table,
    },
    /// Keep this text over a reboot; an empty text is forgotten.
    Keep(Kept, String),
}

/// The agent.
pub struct Agent<B: Backend> {
    model: Model<B>,
    own: EndpointId,
    expand: fn(&Package) -> Package,
    settings: Rc<Settings>,
    package: Option<Rc<Package>>,
    strangers: session::Strangers,
    log_budget: session::LogBudget,
    just_answered: messages::JustAnswered,
    access: Map<access::Key, Rc<access::Access>>,
    /// Of those whose targets search: as the router is now.
    answered: Map<access::Key, Rc<access::Access>>,
    /// The credential that controllers (their sections) inherited from last.
    inherited: Map<Rc<str>, Box<str>>,
    channels: channels::Channels,
    subscriptions: subscriptions::Subscriptions,
    watches: changes::Watches,
    watched: local::Watched,
    outbox: notify::Outbox,
    requests: requests::Requests,
    /// Backup() and Restore() under way, by their requests.
    copies: Map<u32, vendor_config::Copy>,
    challenges: challenges::Challenges,
    timers: Timers,
    trial: Option<trial::Trial>,
    firmware: firmware::Firmware,
    /// The controller whose message is being handled.
    asking: Option<Rc<str>>,
    dice: notify::Dice,
    after: settle::After,
    actions: Vec<Action>,
    now: Now,
    started_ms: u64,
    wake: Option<u64>,
    facts_changed: bool,
}

impl<B: Backend> Agent<B> {
    /// An agent called `own` on this model. `expand` writes out the short forms of the package usp-agent; `seed`
    /// differs from start to start.
    pub fn new(model: Model<B>, own: EndpointId, expand: fn(&Package) -> Package, seed: u64) -> Self {
        let mut dice = notify::Dice::new(seed);
        Self {
            model,
            own,
            expand,
            settings: Rc::default(),
            package: None,
            strangers: session::Strangers::default(),
            log_budget: session::LogBudget::default(),
            just_answered: messages::JustAnswered::default(),
            access: Map::new(),
            answered: Map::new(),
            inherited: Map::new(),
            channels: channels::Channels::default(),
            subscriptions: subscriptions::Subscriptions::default(),
            watches: changes::Watches::default(),
            watched: local::Watched::default(),
            outbox: notify::Outbox::new(&mut dice),
            requests: requests::Requests::default(),
            copies: Map::new(),
            challenges: challenges::Challenges::default(),
            timers: Timers::default(),
            trial: None,
            firmware: firmware::Firmware::default(),
            asking: None,
            dice,
            after: settle::After::default(),
            actions: Vec::new(),
            now: Now::default(),
            started_ms: 0,
            wake: None,
            facts_changed: false,
        }
    }

    /// The data model; facts set in it are to be followed by [`Input::FactsChanged`].
    pub fn model(&self) -> &Model<B> {
        &self.model
    }

    /// What the agent read of its configuration.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// What it goes by is this package.
    pub fn has_read(&self, package: &Package) -> bool {
        self.package.as_deref() == Some(package)
    }

    /// Notifications that wait for the controller of this section.
    pub fn waiting_for(&self, controller: &str) -> usize {
        self.outbox.waiting_for(controller)
    }

    /// Commands that run.
    pub fn running(&self) -> usize {
        self.requests.len()
    }

    /// Takes what happened and says what is to be done.
    pub async fn handle(&mut self, input: Input, now: Now) -> Vec<Action> {
        self.tick(now);
        match input {
            Input::Started { boot, kept } => self.start(boot, kept).await,
            Input::Awaited { link, routes } => self.channels.awaited(link, routes, now.monotonic_ms),
            Input::Connected { channel, link } => self.connected(channel, link).await,
            Input::Lost { channel } => self.lost(channel),
            Input::Alive { channel } => self.alive(channel),
            Input::Record { channel, bytes, reply_to } => self.record(channel, bytes, reply_to).await,
            Input::Changed(Change::Package(name)) if &*name == "usp-agent" => self.config_changed().await,
            Input::Changed(change) => {
                self.mounts_changed(&change).await;
                self.changed(&change).await;
            }
            Input::Event { object, name, params } => self.event(&object, &name, handlers::map(params)).await,
            Input::OperationDone { request, outcome } => self.operation_done(request, outcome).await,
            Input::Wake => self.wake().await,
            Input::WakeTook(ms) => self.look_took(ms),
            Input::ConfigChanged => self.config_changed().await,
            Input::FactsChanged => {}
            Input::Local { call, request } => self.local(call, request).await,
            Input::TimeSynchronized => self.time_is_right(),
            Input::Stopping => self.stop(),
        }
        self.settle().await;
        std::mem::take(&mut self.actions)
    }

    async fn wake(&mut self) {
        while let Some(timer) = self.timers.due(self.now.monotonic_ms) {
            match timer {
                Timer::Outbox(_) => {}
                Timer::Periodic(section) => self.periodic(&section).await,
                Timer::OnBoard(section) => self.on_board_again(&section).await,
                Timer::Expiry(section) => self.expire(&section).await,
                Timer::Look => self.look().await,
                Timer::Poll => self.poll().await,
                Timer::Schedule(request) => self.after.finished.push((request, Ok(Vec::new()))),
                Timer::Save => self.keep_notifications(),
                Timer::FirstUse(channel) => self.close(channel, "no USP message came from who was let in on first use"),
                Timer::Mount => self.mount_again().await,
                Timer::Probe => self.probe(),
                Timer::Undo => self.undo().await,
                Timer::Watched => self.expire_watched().await,
                Timer::Firmware => self.firmware_due().await,
            }
        }
    }
}
