//! What the agent's actions do.

use super::{Daemon, SAVE_DELAY};
use crate::agent::{Action, ChannelId, Input, Kept, Operation, ReplyTo};
use crate::backend::{Backend, Router, Table};
use crate::config;
use crate::mtp::Destination;
use std::process::Command;
use std::time::Duration;
use tokio::time::Instant;

impl Daemon {
    /// Performs one action; `asked` where the same input wrote the configuration or tells somebody something: a number
    /// that a controller knows is on flash.
    pub(super) async fn perform(&mut self, action: Action, asked: bool) {
        match action {
            Action::Send(outgoing) => {
                let asked = outgoing.in_time.zip(self.arrived).map(|(seconds, arrived)| (seconds, arrived.elapsed()));
                let late = asked.filter(|(seconds, took)| *took >= Duration::from_secs((*seconds).into()));
                if let Some((seconds, took)) = late {
                    let (link, took) = (outgoing.channel.0, took.as_secs());
                    return log::warn!("link={link} answer=dropped seconds={took} limit={seconds} see=AnswerDeadline");
                }
                self.trace_sent(&outgoing);
                self.links.send(outgoing.channel, destination(outgoing.to), outgoing.record);
            }
            Action::Answer { call, answer } => self.answered(call, *answer),
            Action::Tell { event, data } => self.tell(event, data),
            Action::Close { channel, code, reason } => self.close(channel, code, reason),
            Action::Probe(channel) => self.links.probe(channel),
            Action::WakeAt { at_ms, reason } => {
                log::trace!("wake-at={at_ms} reason={reason}");
                self.wake_at = Some(self.clock.instant(at_ms));
            }
            Action::WakeNever => self.wake_at = None,
            Action::Spawn(operation) => self.spawn(operation).await,
            Action::CancelOperation(request) => {
                if let Some(done) = self.operations.cancel(request) {
                    self.pending.push_back(Input::OperationDone { request, outcome: done.outcome });
                }
            }
            Action::Reconnect(section) => {
                let inputs = self.links.reconnect(&section, &self.own_id, &mut self.agent.model().facts());
                self.pending.extend(inputs);
                self.pending.push_back(Input::FactsChanged);
            }
            Action::Reboot { cause, reset } => self.reboot(cause.name(), reset),
            Action::ConfigWritten(packages) => self.config_changed |= packages.iter().any(|p| &**p == config::PACKAGE),
            Action::Keep(Kept::Instances, text) if !asked => {
                let at = self.numbers.take().map_or_else(|| Instant::now() + SAVE_DELAY, |(at, _)| at);
                self.numbers = Some((at, text));
            }
            Action::Keep(Kept::Trial, text) if text.is_empty() => self.forget_trial(),
            Action::Keep(kept, text) => {
                if kept == Kept::Instances {
                    self.numbers = None;
                }
                self.keep(kept, &text);
            }
        }
    }

    fn close(&self, channel: ChannelId, code: u16, reason: Box<str>) {
        log::debug!("link={} session={} action=close code={code} reason=\"{reason}\"", channel.0, channel.1);
        self.links.close(channel, code, reason);
    }

    async fn spawn(&mut self, operation: Operation) {
        log::info!("request={} operation={} event=started", operation.request, operation.path);
        // sysupgrade saves the state as it is on flash now.
        if &*operation.name == "firmware_activate" {
            self.save_numbers();
        }
        self.operations.spawn(operation, self.agent.model()).await;
    }

    /// Writes one document; without it the agent goes on.
    pub(super) fn keep(&self, kept: Kept, text: &str) {
        let name = document(kept);
        let written = if text.is_empty() { self.store.remove(name) } else { self.store.save(name, text) };
        if let Err(error) = written {
            log::error!("state=unwritten document={name} cause=\"{error}\" effect=forgotten-by-a-reboot");
        }
    }

    /// In this order: who dies in between finds a trial without anything to put back, which is over.
    fn forget_trial(&self) {
        match self.agent.model().backend().confirm() {
            Ok(()) => self.keep(Kept::Trial, ""),
            Err(why) => log::error!("event=trial_unforgotten why=\"{why}\" effect=undone-again-at-the-next-start"),
        }
    }

    fn reboot(&mut self, cause: &'static str, reset: bool) {
        log::warn!("event=reboot cause={cause} reset={reset}");
        self.rebooting = Some(reset);
    }

    /// After the goodbyes: the router reboots; false where it does not. What stands in for one only says so.
    pub(super) async fn reboot_now(&self, reset: bool) -> bool {
        let Router::Live(router) = self.agent.model().backend() else {
            log::warn!("reboot=skipped cause=recorded-router");
            return false;
        };
        if reset && self.on_this_machine {
            // -r reboots too. Where it fails nothing was erased, and a reboot would hide that.
            let erased = Command::new("/sbin/firstboot").args(["-y", "-r"]).status();
            let failure = match erased {
                Ok(status) if status.success() => return true,
                Ok(status) => status.to_string(),
                Err(error) => error.to_string(),
            };
            log::error!("factory-reset=failed cause=\"{failure}\" check=/sbin/firstboot");
            return false;
        }
        let told = router.call("system", "reboot", &Table::default()).await;
        told.inspect_err(|error| log::error!("reboot=failed cause=\"{error}\" check=procd")).is_ok()
    }
}

/// The document that keeps a text.
pub(super) fn document(kept: Kept) -> &'static str {
    match kept {
        Kept::Boot => "boot",
        Kept::Version => "version",
        Kept::Notifications => "notifications",
        Kept::Requests => "requests",
        Kept::Challenges => "challenges",
        Kept::Trial => "trial",
        Kept::Firmware => "firmware",
        Kept::Instances => "instances",
    }
}

fn destination(to: ReplyTo) -> Destination {
    match to {
        ReplyTo::Peer => Destination::Peer,
        ReplyTo::Topic { topic, retain } => Destination::Topic { topic, retain },
    }
}
