//! What follows an input: subscribers hear of changes, the configuration is read again, what waits is sent, the
//! nearest deadline is set.

use super::channels::{ChannelId, Link, Way, enabled};
use super::lifecycle::Boot;
use super::notify::BURST_MS;
use super::requests::Outcome;
use super::settings::{Controller, Settings};
use super::subscriptions::Subscriptions;
use super::timers::Timer;
use super::{Action, Agent, Kept, Now};
use crate::backend::{Backend, Change, Table};
use crate::model::{Committed, Permit};
use crate::order;
use crate::path::{self, Dialect};
use crate::usp::fault::Code;
use crate::usp::record;
use std::rc::Rc;

/// Rounds of consequences (a notification that configures, which notifies ...) at most.
const MAX_ROUNDS: usize = 4;
/// Milliseconds that unanswered notifications wait before they are written down: most are answered by then.
const SAVE_DELAY_MS: u64 = 10_000;
/// The agent's package.
pub(super) const PACKAGE: &str = "usp-agent";

/// What is left to do after the answer.
#[derive(Debug, Default)]
pub(super) struct After {
    pub committed: Vec<Committed>,
    pub finished: Vec<(u32, Outcome)>,
    /// TriggerConfigSettings, each with the controller in whose name they are set.
    pub triggers: Vec<(Rc<str>, Vec<Box<str>>)>,
    pub actions: Vec<Action>,
    pub reboot: Option<Boot>,
}

impl After {
    /// Something was written, or rows were made or removed.
    pub(super) fn committed(&mut self, committed: Committed) {
        self.committed.push(committed);
    }

    fn is_empty(&self) -> bool {
        self.committed.is_empty() && self.finished.is_empty() && self.triggers.is_empty()
    }
}

impl<B: Backend> Agent<B> {
    /// A new input at this time.
    pub(super) fn tick(&mut self, now: Now) {
        self.now = now;
        self.answered.clear();
        self.asking = None;
        self.guard_changes();
        self.model.set_clock(now.unix_ms.div_euclid(1000));
        let mut facts = self.model.facts();
        self.facts_changed |= facts.take_changed();
        // Nobody is told that a second has passed.
        let up = now.monotonic_ms.saturating_sub(self.started_ms) / 1000;
        facts.set("localagent", "", "UpTime", up.to_string());
        facts.take_changed();
    }

    /// Everything that follows.
    pub(super) async fn settle(&mut self) {
        for _ in 0..MAX_ROUNDS {
            self.follow_facts().await;
            if self.after.is_empty() {
                break;
            }
            let After { committed, finished, triggers, .. } = self.take_after();
            for (request, outcome) in finished {
                self.finish_request(request, outcome).await;
            }
            for (controller, settings) in triggers {
                self.apply(&controller, &settings).await;
            }
            self.follow_commits(committed).await;
        }
        self.flush();
        self.keep_what_must_last();
        self.actions.append(&mut self.after.actions);
        if let Some(boot) = self.after.reboot.take() {
            self.reboot(&boot);
        }
        self.set_wake();
    }

    /// Takes what settles in rounds; actions and the reboot wait for the end.
    fn take_after(&mut self) -> After {
        let after = std::mem::take(&mut self.after);
        self.after.actions = after.actions;
        self.after.reboot = after.reboot;
        After { actions: Vec::new(), reboot: None, ..after }
    }

    async fn follow_facts(&mut self) {
        self.facts_changed |= self.model.facts().take_changed();
        if std::mem::take(&mut self.facts_changed) && self.watches.touch(crate::model::Sources::has_any_facts) {
            self.look().await;
        }
    }

    /// Subscribers hear of what was written before the configuration counts: a controller that is removed or
    /// disabled hears of that last.
    async fn follow_commits(&mut self, committed: Vec<Committed>) {
        self.answered.clear();
        self.on_trial(&committed);
        let mut packages: Vec<Box<str>> = committed.into_iter().flat_map(|c| c.packages).collect();
        order::sort(&mut packages);
        packages.dedup();
        let schema = self.model.schema();
        let changes: Vec<Change> = packages.iter().cloned().map(Change::Package).collect();
        if self.watches.touch(|sources| changes.iter().any(|change| sources.touched_by(change, schema))) {
            self.look().await;
        }
        if packages.iter().any(|p| &**p == PACKAGE) {
            self.flush();
            self.reload().await;
        }
        self.judge_trial();
        if !packages.is_empty() {
            let told = Table::default().with("packages", &*packages.join(",")).with("on_trial", self.trial.is_some());
            self.tell_owner("config_applied", told);
            self.after.actions.push(Action::ConfigWritten(packages));
        }
    }

    /// Somebody else wrote the agent's configuration.
    pub(super) async fn config_changed(&mut self) {
        let change = Change::Package(PACKAGE.into());
        let schema = self.model.schema();
        if self.watches.touch(|sources| sources.touched_by(&change, schema)) {
            self.look().await;
        }
        self.flush();
        self.reload().await;
    }

    /// Reads the agent's configuration and follows it.
    pub(super) async fn reload(&mut self) {
        match self.model.backend().package(PACKAGE).await {
            // Our own commit comes back as a change of the file: what was read already is not followed again.
            Ok(package) if self.package.as_ref() == Some(&package) => return,
            Ok(package) => {
                self.settings = Rc::new(Settings::from_package(&(self.expand)(&package)));
                self.package = Some(package);
            }
            Err(why) => {
                log::error!("event=config_unreadable package={PACKAGE} why=\"{why}\"; the configuration before counts");
                return;
            }
        }
        self.access.clear();
        self.answered.clear();
        let settings = self.settings.clone();
        self.follow_controllers(&settings).await;
        self.show_all_inherited();
        self.challenges.follow(&settings.trust.challenges);
        let clock = self.now.clock_is_set.then(|| self.now.unix_ms.div_euclid(1000));
        self.subscriptions = Subscriptions::of(&settings, &self.subscriptions, clock);
        self.outbox.retain_subscriptions(|section| settings.subscription(section).is_some());
        self.set_expiries();
        self.follow_mounts().await;
        self.follow_watches();
        self.follow_events();
        self.look().await;
    }

    async fn follow_controllers(&mut self, settings: &Settings) {
        let is_there = |section: &str| settings.controller(section).is_some_and(|c| c.enable);
        for section in self.outbox.controllers() {
            if !is_there(&section) {
                self.outbox.forget_controller(&section);
            }
        }
        self.timers.stop_where(|timer| match timer {
            Timer::Periodic(section) | Timer::OnBoard(section) | Timer::Outbox(section) => !is_there(section),
            _ => false,
        });
        for controller in settings.controllers.iter().filter(|c| c.enable) {
            self.set_periodic(&controller.section, false);
        }
        let ids: Vec<ChannelId> = self.channels.all().map(|(id, _)| id).collect();
        ids.into_iter().for_each(|id| self.greet_all(id));
        Self::name_orphans(settings);
    }

    /// A subscription for nobody is somebody's mistake in the file: it is named and left alone.
    fn name_orphans(settings: &Settings) {
        let known = |section: &str| settings.sections.iter().any(|s| &**s == section);
        for orphan in settings.subscriptions.iter().filter(|s| !known(&s.recipient)).take(8) {
            let (section, recipient) = (&orphan.section, &orphan.recipient);
            log::warn!(
                "subscription={section} controller=\"{recipient}\" effect=ignored check=no-such-controller-section"
            );
        }
    }

    /// A channel is up: controllers are greeted, and what waits for them goes out.
    pub(super) async fn connected(&mut self, channel: ChannelId, mut link: Link) {
        if !self.admit(channel, &mut link).await {
            return;
        }
        self.channels.connected(channel, link, self.now.monotonic_ms);
        self.tell_connections(channel, "connected");
        self.alive(channel);
        self.greet_all(channel);
    }

    /// A channel is gone.
    pub(super) fn lost(&mut self, channel: ChannelId) {
        self.timers.stop(&Timer::FirstUse(channel));
        self.tell_connections(channel, "disconnected");
        self.channels.lost(channel);
    }

    fn greet_all(&mut self, channel: ChannelId) {
        let (settings, sections) = (self.settings.clone(), self.channels.controllers(channel));
        for controller in enabled(&settings, &sections) {
            self.greet(channel, controller);
        }
    }

    /// Sends what is due to every controller that can be reached.
    pub(super) fn flush(&mut self) {
        let (settings, now) = (self.settings.clone(), self.now.monotonic_ms);
        for section in self.outbox.controllers() {
            let Some(controller) = settings.controller(&section).filter(|c| c.enable) else { continue };
            let ways = self.channels.ways(controller, now);
            let next = match ways.is_empty() {
                false => {
                    self.send_due(controller, &ways);
                    self.outbox.next(&section).map(|at| at.max(now + BURST_MS))
                }
                true => {
                    self.outbox.drop_expired(&section, now);
                    self.channels.held_until(controller, now).into_iter().chain(self.outbox.next_expiry(&section)).min()
                }
            };
            match next {
                Some(at) => self.timers.set(Timer::Outbox(section), at),
                None => self.timers.stop(&Timer::Outbox(section)),
            }
        }
    }

    /// Sends what is due in every one of these ways: one attempt, which one answer settles.
    fn send_due(&mut self, controller: &Controller, ways: &[Way]) {
        let secret = |way: &Way| way.encrypted || controller.allow_unencrypted;
        if !ways.iter().any(secret) {
            self.outbox.drop_encrypted(&controller.section);
        }
        for way in ways {
            self.greet(way.channel, controller);
        }
        for due in self.outbox.due(&controller.section, controller.retry, self.now.monotonic_ms, &mut self.dice) {
            for way in ways.iter().filter(|way| !due.encrypted || secret(way)) {
                self.send(way.channel, way.to.clone(), controller, due.payload.clone());
            }
        }
    }

    fn keep_what_must_last(&mut self) {
        if self.outbox.dirty() {
            self.timers.set_no_later(Timer::Save, self.now.monotonic_ms + SAVE_DELAY_MS);
        }
        let mut instances = self.model.instance_numbers();
        if instances.dirty() {
            // Kept before the answer that tells a number goes out: a number told stays so, whatever happens then.
            self.actions.insert(0, Action::Keep(Kept::Instances, instances.save()));
        }
    }

    /// Writes down the notifications nobody has answered.
    pub(super) fn keep_notifications(&mut self) {
        self.timers.stop(&Timer::Save);
        if self.outbox.dirty() {
            let text = self.outbox.save(self.now.monotonic_ms);
            self.actions.push(Action::Keep(Kept::Notifications, text));
        }
    }

    fn reboot(&mut self, boot: &Boot) {
        self.actions.push(Action::Keep(Kept::Boot, boot.save()));
        self.keep_notifications();
        self.actions.push(Action::Reboot { cause: boot.cause, reset: boot.cause.resets() });
    }

    /// The agent ends in order (R-MTP.7).
    pub(super) fn stop(&mut self) {
        self.keep_notifications();
        let settings = self.settings.clone();
        let channels: Vec<(ChannelId, Link)> = self.channels.all().map(|(id, link)| (id, link.clone())).collect();
        for (channel, link) in channels {
            for controller in settings.controllers.iter().filter(|c| c.enable && c.connect_record) {
                let route = link.routes.iter().find(|r| r.controller == controller.section);
                if let Some(to) = route.and_then(|r| r.to(link.protocol, false)) {
                    let record = record::disconnect(
                        &self.own,
                        &controller.endpoint_id,
                        "the agent stops",
                        Code::SessionContextTerminated,
                    );
                    self.actions.push(Action::Send(super::Outgoing { channel, to, record, in_time: None }));
                }
            }
        }
    }

    /// The clock is right: what goes by it is set anew.
    pub(super) fn time_is_right(&mut self) {
        let settings = self.settings.clone();
        for controller in settings.controllers.iter().filter(|c| c.enable) {
            self.set_periodic(&controller.section, false);
        }
        self.set_expiries();
        self.adjust_schedules();
    }

    /// TriggerConfigSettings: `Path=Value`, set with the rights of the controller that wrote them, all or none.
    async fn apply(&mut self, section: &str, items: &[Box<str>]) {
        let settings = self.settings.clone();
        let Some(controller) = settings.controller(section) else { return };
        let (access, _) = self.access_to(controller).await;
        let mut transaction = self.model.begin();
        for item in items {
            let Some((path, value)) = assignment(item) else {
                log::warn!("controller={section} trigger={item} is not Path=Value");
                return;
            };
            let (object, name) = path.rsplit_once('.').map_or((path, ""), |(object, name)| (object, name));
            let nodes = transaction.objects(&*access as &dyn Permit, &format!("{object}.")).await.unwrap_or_default();
            for node in &nodes {
                if let Err(fault) = transaction.set(&*access, node, name, value).await {
                    log::warn!("controller={section} trigger={path} failed: {fault}");
                    return;
                }
            }
        }
        match transaction.commit().await {
            Ok(committed) => self.after.committed(committed),
            Err(fault) => log::warn!("controller={section} trigger failed: {fault}"),
        }
    }

    fn set_wake(&mut self) {
        let next = self.timers.next();
        let at = next.map(|(at, _)| at);
        if at == self.wake && at.is_none_or(|at| at > self.now.monotonic_ms) {
            return;
        }
        self.wake = at;
        self.actions.push(match next {
            Some((at_ms, reason)) => Action::WakeAt { at_ms, reason },
            None => Action::WakeNever,
        });
    }
}

/// `Path=Value`, the value perhaps in quotes; the path may hold expressions with `==`.
fn assignment(item: &str) -> Option<(&str, &str)> {
    let splits = item.match_indices('=').map(|(at, _)| at);
    let mut candidates = splits.filter_map(|at| Some((item.get(..at)?, item.get(at + 1..)?)));
    let (path, value) = candidates.find(|(path, _)| path::parse(path, Dialect::LENIENT).is_ok())?;
    let value = value.strip_prefix('"').and_then(|v| v.strip_suffix('"')).unwrap_or(value);
    Some((path, value))
}
