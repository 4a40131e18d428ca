//! A change that may have cut the way to the controllers is on trial: it stands once a controller that was connected
//! before is heard of, and is undone when its time is up without that.
//!
//! What it changed lies on flash until then, so that a crash or power cut only makes it longer: a trial goes on after a
//! start, a few times, and then ends the safe way. Only connections over a network are demanded, and of the controllers
//! that had one: the one that asked for the change, any of them where nobody did. Heard of is whose record comes in, who
//! is connected anew, or who answers a probe (a broker for the controllers behind it), once services had the time to
//! take the change up.

use super::channels::{ChannelId, Protocol};
use super::timers::Timer;
use super::{Action, Agent, Kept, handlers};
use crate::backend::uci::{self, Edit, PackageEdits};
use crate::backend::{Backend, Table};
use crate::model::Committed;
use std::rc::Rc;

/// Milliseconds that services get to take up a change.
const SETTLE_MS: u64 = 5_000;
/// Likewise where the radios start anew.
const WIRELESS_SETTLE_MS: u64 = 15_000;
/// Milliseconds that are left for an answer after that, however short the window: a good change must be able to stand.
const ANSWER_MS: u64 = 5_000;
/// Milliseconds between two probes.
const PROBE_MS: u64 = 10_000;
/// Milliseconds after which an undoing that failed is tried again.
const AGAIN_MS: u64 = 10_000;
/// Starts of the agent that a trial lives through.
const MAX_STARTS: u32 = 3;
/// The event that tells of a change that was undone.
const EVENT: &str = "X_USPAGENT_ChangeReverted!";

/// Options of a controller that decide how it is reached.
const WAYS: &[&str] = &[
    "url",
    "preset",
    "EndpointID",
    "Enable",
    "role",
    "AllowUnencrypted",
    "Username",
    "Password",
    "ClientID",
    "ProtocolVersion",
    "Topic",
    "ResponseTopicConfigured",
    "PublishQoS",
    "VirtualHost",
    "ca_file",
    "certificate",
    "key",
];
/// Sections that are links.
const LINKS: &[&str] = &["mtp", "controller_mtp", "mqtt", "mqtt_subscription", "stomp", "unix_socket"];

/// A change on trial.
#[derive(Debug)]
pub(super) struct Trial {
    /// Sections of the controllers of which one has to be heard.
    demanded: Vec<Rc<str>>,
    /// What comes before this, in milliseconds, may have been on its way when the change was made.
    settled_ms: u64,
    /// Starts of the agent since the change.
    starts: u32,
    /// Who dies at the wrong moment tells of an undoing twice: by this a controller knows that it is the same one.
    id: Box<str>,
    /// What is being undone, where the agent that began it told nobody any more.
    untold: String,
}

/// A change on trial, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OnTrial {
    /// What it changed.
    pub packages: Vec<Box<str>>,
    /// Sections of the controllers of which one has to be heard.
    pub demanded: Vec<Rc<str>>,
    /// Milliseconds until it is undone.
    pub left_ms: u64,
}

impl Trial {
    /// With what undoing it changes: once that has begun, the packages no longer tell.
    fn save(&self, changes: &[String]) -> String {
        format!("{} {}\n{}\n{}\n", self.starts, self.id, self.demanded.join(" "), changes.join("\n"))
    }
}

/// Milliseconds until a change is undone, and until what is heard counts.
fn times(confirm_window: u32, wireless: bool) -> (u64, u64) {
    let window = u64::from(confirm_window) * 1000;
    let (window, settle) = if wireless { (window * 3 / 2, WIRELESS_SETTLE_MS) } else { (window, SETTLE_MS) };
    (window.max(settle + ANSWER_MS), settle)
}

/// Whether these edits may cut the way to a controller. Of a whole file nobody knows.
pub(super) fn cuts(edits: &PackageEdits) -> bool {
    match &*edits.base.name {
        "network" | "wireless" | "firewall" | "dhcp" => true,
        "usp-agent" => edits.edits.iter().any(|edit| cuts_a_link(edits, edit)),
        _ => matches!(edits.edits.first(), Some(Edit::Replace(_))),
    }
}

/// What is new cuts nothing that was there.
fn cuts_a_link(edits: &PackageEdits, edit: &Edit) -> bool {
    let (section, option) = match edit {
        Edit::Add { .. } | Edit::Place { .. } => return false,
        Edit::Replace(_) => return true,
        Edit::Delete { section } => (section, None),
        Edit::Set { section, option, .. } => (section, Some(&**option)),
    };
    match edits.base.section(section).map(|section| &*section.kind) {
        Some("controller") => option.is_none_or(|option| WAYS.contains(&option)),
        Some(kind) => LINKS.contains(&kind) && option != Some("Alias"),
        None => false,
    }
}

impl<B: Backend> Agent<B> {
    /// Changes are made undoable while there is a connection to lose.
    pub(super) fn guard_changes(&self) {
        let lost = || self.trial.is_some() || self.remote().next().is_some();
        self.model.set_guard((self.settings.confirm_window > 0 && lost()).then_some(cuts));
    }

    /// The sections of controllers that are connected over a network, once for each connection.
    fn remote(&self) -> impl Iterator<Item = &Rc<str>> {
        let links = self.channels.all().map(|(_, link)| link).filter(|link| link.protocol != Protocol::UnixSocket);
        links.flat_map(|link| &link.routes).map(|route| &route.controller)
    }

    /// The controllers that are connected over a network; of these only where one is given.
    fn reached(&self, only: Option<&str>) -> Vec<Rc<str>> {
        let wanted = |section: &&Rc<str>| only.is_none_or(|only| ***section == *only);
        let mut reached: Vec<Rc<str>> = self.remote().filter(wanted).cloned().collect();
        crate::order::sort(&mut reached);
        reached.dedup();
        reached
    }

    /// The controllers of which one has to be heard after a change.
    pub(super) fn demanded(&self) -> Vec<Rc<str>> {
        if let Some(trial) = &self.trial {
            return trial.demanded.clone();
        }
        match self.reached(self.asking.as_deref()) {
            nobody if nobody.is_empty() => self.reached(None),
            who_asked => who_asked,
        }
    }

    /// Some of what was written can be undone. The links that were up still are.
    pub(super) fn on_trial(&mut self, committed: &[Committed]) {
        let undoable = || committed.iter().filter(|c| c.undoable).flat_map(|c| &c.packages);
        if undoable().next().is_none() {
            return;
        }
        let packages: Vec<&str> = undoable().map(|package| &**package).collect();
        let wireless = packages.contains(&"wireless");
        let demanded = self.demanded();
        let id = self.trial.as_ref().map(|trial| trial.id.clone());
        let id = id.unwrap_or_else(|| self.new_id());
        let window = self.try_out(demanded, (0, id), wireless, &self.model.backend().unconfirmed().changes);
        log::info!("event=change_on_trial packages={} seconds={}", packages.join(","), window / 1000);
    }

    fn new_id(&mut self) -> Box<str> {
        format!("{:016x}", self.dice.roll()).into()
    }

    /// From now on; `wireless` where the radios start anew. The milliseconds it has.
    fn try_out(
        &mut self,
        demanded: Vec<Rc<str>>,
        (starts, id): (u32, Box<str>),
        wireless: bool,
        changes: &[String],
    ) -> u64 {
        let (window, settle) = times(self.settings.confirm_window, wireless);
        let trial = Trial { demanded, settled_ms: self.now.monotonic_ms + settle, starts, id, untold: String::new() };
        self.timers.set(Timer::Probe, trial.settled_ms);
        self.timers.set(Timer::Undo, self.now.monotonic_ms + window);
        self.actions.push(Action::Keep(Kept::Trial, trial.save(changes)));
        self.trial = Some(trial);
        window
    }

    /// Of a controller that is no longer configured nothing is demanded.
    pub(super) fn judge_trial(&mut self) {
        let settings = self.settings.clone();
        let Some(trial) = &mut self.trial else { return };
        trial.demanded.retain(|section| settings.controller(section).is_some_and(|c| c.enable));
        if trial.demanded.is_empty() {
            self.confirm();
        }
    }

    /// This controller was heard of.
    pub(super) fn heard_on_trial(&mut self, controller: &str) {
        let now = self.now.monotonic_ms;
        let counts = |trial: &Trial| now >= trial.settled_ms && trial.demanded.iter().any(|c| **c == *controller);
        if self.trial.as_ref().is_some_and(counts) {
            log::info!("event=change_confirmed controller={controller}");
            self.confirm();
        }
    }

    /// The other side of this channel is there.
    pub(super) fn alive(&mut self, channel: ChannelId) {
        for controller in self.channels.controllers(channel) {
            self.heard_on_trial(&controller);
        }
    }

    /// Asks on every channel that leads to a demanded controller whether somebody is there.
    pub(super) fn probe(&mut self) {
        let Some(trial) = &self.trial else { return };
        let leads = |section: &Rc<str>| trial.demanded.contains(section);
        let channels: Vec<ChannelId> = self.channels.all().map(|(id, _)| id).collect();
        let wanted = channels.into_iter().filter(|id| self.channels.controllers(*id).iter().any(leads));
        self.actions.extend(wanted.map(Action::Probe));
        self.timers.set(Timer::Probe, self.now.monotonic_ms + PROBE_MS);
    }

    /// The change stands, if what was before it can be forgotten.
    pub(super) fn confirm(&mut self) {
        match self.model.backend().confirm() {
            Ok(()) => {
                self.end_trial();
                self.tell_owner("confirmed", Table::default());
            }
            // It stays on trial: what is heard next confirms it again.
            Err(why) => log::error!("event=change_unconfirmed why=\"{why}\""),
        }
    }

    /// What was before is forgotten with [`Kept::Trial`].
    fn end_trial(&mut self) {
        self.trial = None;
        self.timers.stop(&Timer::Probe);
        self.timers.stop(&Timer::Undo);
        self.actions.push(Action::Keep(Kept::Trial, String::new()));
    }

    /// Time is up: everything is as it was before, and subscribers hear of it once they can be reached.
    pub(super) async fn undo(&mut self) {
        if let Err(why) = self.put_back("no-controller-was-heard-of").await {
            log::error!("event=change_not_reverted why=\"{why}\" action=again");
            self.timers.set(Timer::Undo, self.now.monotonic_ms + AGAIN_MS);
        }
    }

    /// Ends the trial with everything as it was; the packages that are again. Who dies before that is told does it
    /// again, so that neither the services nor the subscribers miss it: it is told at least once, by one `Trial`.
    pub(super) async fn put_back(&mut self, cause: &str) -> Result<Vec<Box<str>>, uci::Error> {
        let reverted = self.model.backend().revert().await?;
        log::warn!("event=change_reverted packages={} cause={cause}", reverted.packages.join(","));
        let (untold, id) = self.trial.take().map(|trial| (trial.untold, trial.id)).unwrap_or_default();
        let changes = if untold.is_empty() { reverted.changes.join("\n") } else { untold };
        let packages = reverted.packages.join(",");
        let told = Table::default().with("packages", &*packages).with("changes", &*changes).with("cause", cause);
        self.tell_owner("reverted", told);
        let params = [("Packages", packages), ("Changes", changes), ("Trial", id.into())];
        let params = handlers::map(params);
        self.event("Device.LocalAgent.", EVENT, params).await;
        self.keep_notifications();
        self.end_trial();
        self.after.committed(Committed { packages: reverted.packages.clone(), ..Committed::default() });
        Ok(reverted.packages)
    }

    /// What is on trial.
    pub fn on_trial_now(&self) -> Option<OnTrial> {
        let demanded = self.trial.as_ref()?.demanded.clone();
        let left_ms = self.timers.at(&Timer::Undo).unwrap_or_default().saturating_sub(self.now.monotonic_ms);
        Some(OnTrial { packages: self.model.backend().unconfirmed().packages, demanded, left_ms })
    }

    /// What was on trial when the agent ended still is, and what was being undone is undone; `kept` is what
    /// [`Kept::Trial`] said.
    pub(super) async fn resume_trial(&mut self, kept: &str) {
        let unconfirmed = self.model.backend().unconfirmed();
        let mut lines = kept.splitn(3, '\n');
        let (starts, id) = lines.next().and_then(|line| line.split_once(' ')).unwrap_or_default();
        let starts = starts.parse::<u32>().unwrap_or(0) + 1;
        let id = if id.is_empty() { self.new_id() } else { id.into() };
        let mut demanded: Vec<Rc<str>> = lines.next().unwrap_or_default().split_whitespace().map(Into::into).collect();
        if unconfirmed.begun && !kept.is_empty() {
            let untold = lines.next().unwrap_or_default().trim_end().to_owned();
            self.trial = Some(Trial { demanded, settled_ms: u64::MAX, starts, id, untold });
            return self.undo().await;
        }
        if unconfirmed.packages.is_empty() {
            // Confirmed, or kept for a change that was never made.
            if unconfirmed.begun || !kept.is_empty() {
                self.confirm();
            }
            return;
        }
        if demanded.is_empty() {
            demanded = self.settings.controllers.iter().map(|controller| controller.section.clone()).collect();
        }
        if starts > MAX_STARTS || self.settings.confirm_window == 0 {
            self.trial = Some(Trial { demanded, settled_ms: u64::MAX, starts, id, untold: String::new() });
            return self.undo().await;
        }
        log::warn!("event=change_still_on_trial starts={starts}");
        // The services may not have been told, and a way that they have not touched yet proves nothing.
        self.model.backend().announce(&unconfirmed.packages).await;
        let wireless = unconfirmed.packages.iter().any(|package| &**package == "wireless");
        self.try_out(demanded, (starts, id), wireless, &unconfirmed.changes);
        self.judge_trial();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::uci::parse::parse;

    #[test]
    fn a_window_is_never_too_short_for_an_answer() {
        assert_eq!((times(120, false).0, times(120, true).0), (120_000, 180_000));
        assert_eq!((times(10, false).0, times(10, true).0), (10_000, 20_000));
        assert_eq!((times(1, false), times(1, true)), ((10_000, 5_000), (20_000, 15_000)));
    }

    /// Examples of what the short form of a controller makes a link of, and of what it is known by.
    #[test]
    fn an_option_that_leads_to_a_controller_may_cut_it_off() {
        let file = b"config controller 'acs'\n\toption url 'stomps://acs.example.net/'\n";
        let base = Rc::new(parse("usp-agent", file).unwrap());
        let cuts = |option: &str| {
            let edit = Edit::Set { section: "acs".into(), option: option.into(), value: None };
            cuts(&PackageEdits { base: base.clone(), edits: vec![edit] })
        };
        for option in ["url", "VirtualHost", "Topic", "Username", "Password", "ca_file", "EndpointID", "role"] {
            assert!(cuts(option), "{option}");
        }
        for option in ["Alias", "ProvisioningCode", "PeriodicNotifInterval"] {
            assert!(!cuts(option), "{option}");
        }
    }
}
