//! What happens by itself: Boot! at the start, Periodic! at its phase, OnBoardRequest until it is answered.

use super::access::Access;
use super::notify::Notice;
use super::settings::{Controller, Kind};
use super::timers::Timer;
use super::{Agent, Kept, Now};
use crate::backend::Backend;
use crate::model::{Everything, Rights};
use crate::usp::message::SUPPORTED_VERSIONS;
use crate::usp::wire::msg::notify::{Event, Notification, OnBoardRequest};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::rc::Rc;

/// Bytes of Boot!'s ParameterMap at most; parameters beyond are left out.
const MAX_PARAMETER_MAP: usize = 64 * 1024;

/// Boot!.Cause.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[allow(missing_docs)]
pub enum Cause {
    #[default]
    LocalReboot,
    RemoteReboot,
    LocalFactoryReset,
    RemoteFactoryReset,
}

impl Cause {
    const NAMES: [(Self, &'static str); 4] = [
        (Self::LocalReboot, "LocalReboot"),
        (Self::RemoteReboot, "RemoteReboot"),
        (Self::LocalFactoryReset, "LocalFactoryReset"),
        (Self::RemoteFactoryReset, "RemoteFactoryReset"),
    ];

    /// The cause of this name.
    pub fn parse(text: &str) -> Option<Self> {
        Self::NAMES.into_iter().find(|(_, name)| *name == text).map(|(cause, _)| cause)
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        Self::NAMES.into_iter().find(|(cause, _)| *cause == self).map_or("", |(_, name)| name)
    }

    /// The configuration goes with it.
    pub fn resets(self) -> bool {
        matches!(self, Self::LocalFactoryReset | Self::RemoteFactoryReset)
    }
}

/// Why the router boots; kept over the reboot.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Boot {
    /// Cause.
    pub cause: Cause,
    /// Reason; empty for "Unknown".
    pub reason: Box<str>,
    /// CommandKey of the command that did it.
    pub command_key: Box<str>,
}

impl Boot {
    /// One line per value.
    pub fn save(&self) -> String {
        let line = |text: &str| text.replace(['\n', '\r'], " ");
        format!("{}\n{}\n{}\n", self.cause.name(), line(&self.reason), line(&self.command_key))
    }

    /// What [`Boot::save`] wrote; None for anything else.
    pub fn load(text: &str) -> Option<Self> {
        let mut lines = text.lines();
        let cause = Cause::parse(lines.next()?)?;
        let (reason, command_key) = (lines.next().unwrap_or_default(), lines.next().unwrap_or_default());
        Some(Self { cause, reason: reason.into(), command_key: command_key.into() })
    }
}

/// Milliseconds until the next Periodic!: by PeriodicNotifTime where that and the clock are known, else by the start.
pub fn until_periodic(controller: &Controller, started_ms: u64, now: Now) -> u64 {
    let interval = u64::from(controller.periodic_interval).saturating_mul(1000);
    let passed = match controller.periodic_time.filter(|_| now.clock_is_set) {
        Some(phase) => {
            let interval = i64::try_from(interval).unwrap_or(i64::MAX);
            u64::try_from(now.unix_ms.saturating_sub(phase.saturating_mul(1000)).rem_euclid(interval)).unwrap_or(0)
        }
        None => now.monotonic_ms.saturating_sub(started_ms) % interval,
    };
    interval - passed
}

impl<B: Backend> Agent<B> {
    /// The agent starts: rows that do not persist go, Boot! goes out, everything periodic begins.
    pub(super) async fn start(&mut self, boot: Boot, kept: Vec<(Kept, String)>) {
        self.started_ms = self.now.monotonic_ms;
        self.introduce();
        self.reload().await;
        self.remove(&["Device.LocalAgent.Subscription.[Persistent==false].".to_owned()]).await;
        self.after.committed.clear();
        self.reload().await;
        let text = |wanted: Kept| kept.iter().find(|(name, _)| *name == wanted).map_or("", |(_, text)| text.as_str());
        let interrupted = self.restore_requests(text(Kept::Requests));
        let ended = self.resume_firmware(text(Kept::Firmware)).await;
        self.challenges.load(text(Kept::Challenges), self.now.monotonic_ms);
        self.boot(Boot::load(text(Kept::Boot)).unwrap_or(boot), text(Kept::Version), ended.updated).await;
        self.tell_ended(ended).await;
        self.outbox.load(text(Kept::Notifications), self.now.monotonic_ms);
        self.tell_interrupted(interrupted).await;
        self.resume_trial(text(Kept::Trial)).await;
        let settings = self.settings.clone();
        for controller in settings.controllers.iter().filter(|c| c.enable && !c.on_boarded) {
            self.on_board(controller).await;
        }
    }

    /// What `Device.LocalAgent.` says of the agent itself.
    fn introduce(&mut self) {
        let mut facts = self.model.facts();
        facts.set("localagent", "", "EndpointID", self.own.as_str());
        facts.set("localagent", "", "SoftwareVersion", env!("CARGO_PKG_VERSION"));
    }

    async fn boot(&mut self, boot: Boot, version_before: &str, activated: bool) {
        let version = self.value("Device.DeviceInfo.SoftwareVersion").await;
        let updated = activated || !version_before.is_empty() && version_before.trim_end() != version;
        self.actions.push(super::Action::Keep(Kept::Boot, String::new()));
        if version_before.trim_end() != version {
            self.actions.push(super::Action::Keep(Kept::Version, version));
        }
        let reason = if boot.reason.is_empty() { "Unknown" } else { &boot.reason };
        log::info!("event=boot cause={} firmware_updated={updated}", boot.cause.name());
        for active in self.interested(Kind::Event, "Device.", "Boot!").await {
            let parameter_map = self.parameter_map(&active.what.recipient).await;
            let params = [
                ("CommandKey", boot.command_key.to_string()),
                ("Cause", boot.cause.name().to_owned()),
                ("Reason", reason.to_owned()),
                ("FirmwareUpdated", updated.to_string()),
                ("ParameterMap", parameter_map),
            ];
            let params = params.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
            let event = Event { obj_path: "Device.".into(), event_name: "Boot!".into(), params };
            self.notify(&active, ("Device.", "Boot!", Rights::COMMAND_NOTIFY), Notification::Event(event)).await;
        }
    }

    /// The values of a controller's BootParameter rows as a JSON object; patterns that match nothing are left out.
    async fn parameter_map(&mut self, section: &str) -> String {
        let settings = self.settings.clone();
        let Some(controller) = settings.controller(section) else { return "{}".into() };
        let (access, _) = self.access_to(controller).await;
        let paths: Vec<&str> = controller.boot_parameters.iter().map(|p| &**p).collect();
        let reading = self.model.get(&*access, &paths, 0).await;
        let (mut map, mut size) = (Map::new(), 0);
        for object in reading.results.into_iter().flatten().flatten() {
            for (name, value) in object.params {
                size += object.path.len() + name.len() + value.len() + 8;
                if size <= MAX_PARAMETER_MAP {
                    map.insert(format!("{}{name}", object.path), Value::String(value));
                }
            }
        }
        Value::Object(map).to_string()
    }

    /// An event of the router or of the agent, told to all who want it.
    pub(super) async fn event(&mut self, object: &str, name: &str, params: BTreeMap<String, String>) {
        let event = Event { obj_path: object.to_owned(), event_name: name.to_owned(), params };
        for active in self.interested(Kind::Event, object, name).await {
            self.notify(&active, (object, name, Rights::COMMAND_NOTIFY), Notification::Event(event.clone())).await;
        }
    }

    /// Periodic! is due for one controller: only its own subscriptions hear of it.
    pub(super) async fn periodic(&mut self, section: &Rc<str>) {
        let (object, name) = ("Device.LocalAgent.", "Periodic!");
        let event = Event { obj_path: object.into(), event_name: name.into(), params: BTreeMap::new() };
        for active in self.interested(Kind::Event, object, name).await {
            if active.what.recipient == *section {
                self.notify(&active, (object, name, Rights::COMMAND_NOTIFY), Notification::Event(event.clone())).await;
            }
        }
        self.set_periodic(section, true);
    }

    /// Sets the deadline of Periodic!. One that has just passed is not met again for a clock that runs late.
    pub(super) fn set_periodic(&mut self, section: &Rc<str>, fired: bool) {
        let Some(controller) = self.settings.controller(section).filter(|c| c.enable) else { return };
        let interval = u64::from(controller.periodic_interval) * 1000;
        let mut wait = until_periodic(controller, self.started_ms, self.now);
        if fired && wait < interval / 2 {
            wait += interval;
        }
        self.timers.set(Timer::Periodic(section.clone()), self.now.monotonic_ms + wait);
    }

    /// Queues an OnBoardRequest: never expires, repeated until it is answered (R-NOT.6, R-NOT.6a).
    pub(super) async fn on_board(&mut self, controller: &Controller) {
        if self.outbox.on_boarding(&controller.section) {
            return;
        }
        let request = OnBoardRequest {
            oui: self.value("Device.DeviceInfo.ManufacturerOUI").await,
            product_class: self.value("Device.DeviceInfo.ProductClass").await,
            serial_number: self.value("Device.DeviceInfo.SerialNumber").await,
            agent_supported_protocol_versions: SUPPORTED_VERSIONS.to_owned(),
        };
        let notice = Notice {
            subscription: "".into(),
            id: "".into(),
            retry: true,
            expiration: 0,
            persistent: false,
            encrypted: false,
            what: Notification::OnBoardReq(request),
        };
        self.outbox.push(&controller.section, notice, self.now.monotonic_ms);
    }

    /// The controller has answered an OnBoardRequest: it is asked again after OnBoardingRestartTime, if it says so.
    pub(super) fn on_boarding_answered(&mut self, section: &Rc<str>) {
        let Some(controller) = self.settings.controller(section) else { return };
        if controller.on_boarding_restart > 0 && !controller.on_boarded {
            let at = self.now.monotonic_ms + u64::from(controller.on_boarding_restart) * 1000;
            self.timers.set(Timer::OnBoard(section.clone()), at);
        }
    }

    /// Time to ask again.
    pub(super) async fn on_board_again(&mut self, section: &str) {
        let settings = self.settings.clone();
        if let Some(controller) = settings.controller(section).filter(|c| c.enable && !c.on_boarded) {
            self.on_board(controller).await;
        }
    }

    /// One value, as the agent itself reads it; empty where there is none.
    pub(super) async fn value(&self, path: &str) -> String {
        let mut reading = self.model.get(&Everything, &[path], 1).await;
        let objects = reading.results.pop().and_then(Result::ok).unwrap_or_default();
        objects.into_iter().flat_map(|o| o.params).next().map(|(_, value)| value).unwrap_or_default()
    }

    /// The path of the controller of this Endpoint ID.
    pub(super) async fn controller_path(&self, endpoint_id: &str) -> Option<String> {
        let (rows, _) = self.model.instances(&Everything, &["Device.LocalAgent.Controller."], true).await;
        let is_it = |keys: &[(Box<str>, String)]| keys.iter().any(|(n, v)| &**n == "EndpointID" && v == endpoint_id);
        rows.into_iter().flatten().flatten().find(|row| is_it(&row.keys)).map(|row| row.path)
    }

    /// What a controller may be told, and whether only on an encrypted link: by the channels that reach it now, as if
    /// one were encrypted where there is none.
    pub(super) async fn access_to(&mut self, controller: &Controller) -> (Rc<Access>, bool) {
        let ways = self.channels.ways(controller, u64::MAX);
        let encrypted = ways.is_empty() || ways.iter().any(|way| way.encrypted);
        // What it inherits counts where it does so on every way; while there is none, what it inherited last.
        let settings = self.settings.clone();
        let inherits =
            ways.iter().filter_map(|way| self.channels.link(way.channel)).map(|l| settings.trust.inherits(&l.peer));
        let credential: Box<str> = match inherits.reduce(|one, other| if one == other { one } else { "" }) {
            Some(credential) => credential.into(),
            None => self.inherited.get(&controller.section).cloned().unwrap_or_default(),
        };
        (self.access(controller, encrypted, &credential).await, encrypted && !controller.allow_unencrypted)
    }
}
