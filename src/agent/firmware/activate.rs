//! Activate(): waits for its time, has the router flashed, and ends after the reboot.

use super::super::handlers::operate::{Call, Reply};
use super::super::lifecycle::{Boot, Cause};
use super::super::requests::{Operation, Origin, Outcome};
use super::super::timers::Timer;
use super::super::{Action, Agent, Kept};
use super::windows::{self, Mode, Window};
use super::{Activation, MAX_LOG, Running, Slot, Staged, Status, failure};
use crate::backend::Backend;
use crate::usp::fault::Fault;

/// The number of an activation that no Request of its own stands for; those begin with 1.
pub(super) const NO_REQUEST: u32 = 0;
/// Milliseconds between the end of a download and its activation: what tells of it gets out first.
const BREATH_MS: u64 = 1000;
/// Milliseconds by which a window may be missed.
const LATE_MS: u64 = 5000;
/// Milliseconds between two looks at how busy the router is.
const LOOK_MS: u64 = 60_000;
/// Bytes that all devices together carry between two looks where nobody uses the router: some packets of housekeeping.
const IDLE_BYTES: u64 = 128 * 1024;
/// Milliseconds after which a router that was to be flashed and is still up was not.
const GIVE_UP_MS: u64 = 300_000;

/// Accepts an activation.
pub(in super::super) fn activate<B: Backend>(agent: &mut Agent<B>, call: &Call<'_>) -> Result<Reply, Fault> {
    let target = call.row().and_then(Slot::parse).ok_or_else(|| failure("there is no such image"))?;
    let firmware = &agent.firmware;
    firmware.must_be_idle()?;
    if target == firmware.active {
        return Err(failure("this image runs already"));
    }
    let usable = matches!(firmware.staged.status, Status::Available | Status::ActivationFailed);
    if target != firmware.staged.target || !usable {
        return Err(failure("there is no image to activate; download one first"));
    }
    let windows = windows::parse(&call.invocation.input, agent.now)?;
    let request = call.start(agent)?;
    agent.firmware.activation =
        Some(Activation { request, origin: call.origin(), windows, traffic: None, flashing: None });
    agent.wait_for_window();
    agent.firmware_changed();
    Ok(Reply::Started(agent.request_path(request)))
}

impl<B: Backend> Agent<B> {
    /// AutoActivate: at once, after the download was told.
    pub(super) fn activate_soon(&mut self, origin: Origin) {
        let windows = vec![Window::now(self.now)];
        let activation = Activation { request: NO_REQUEST, origin, windows, traffic: None, flashing: None };
        self.firmware.activation = Some(activation);
        self.timers.set(Timer::Firmware, self.now.monotonic_ms + BREATH_MS);
    }

    /// Sets the alarm for the next window.
    pub(super) fn wait_for_window(&mut self) {
        let Some(activation) = &self.firmware.activation else { return };
        let start = activation.windows.first().map_or(0, |window| window.start);
        self.timers.set(Timer::Firmware, start.max(self.now.monotonic_ms));
    }

    /// The alarm: a window has begun, it is time to look again, or the router should be down long since.
    pub(in super::super) async fn firmware_due(&mut self) {
        let now = self.now.monotonic_ms;
        let Some(activation) = &mut self.firmware.activation else { return };
        if activation.flashing.is_some() {
            return self.activation_failed("sysupgrade was started but the router did not go down");
        }
        let Some(window) = activation.windows.first().copied() else {
            return self.activation_failed("no time window was left");
        };
        if now > window.end.saturating_add(LATE_MS) {
            return self.window_over();
        }
        match window.mode {
            Mode::WhenIdle => self.flash_when_idle(window).await,
            Mode::AnyTime | Mode::Immediately | Mode::ConfirmationNeeded => self.flash().await,
        }
    }

    fn window_over(&mut self) {
        let Some(activation) = &mut self.firmware.activation else { return };
        activation.windows.remove(0);
        activation.traffic = None;
        match activation.windows.is_empty() {
            true => self.activation_failed("the time windows are over"),
            false => {
                self.wait_for_window();
                self.firmware_changed();
            }
        }
    }

    /// Idle is a router whose devices carried next to nothing from one look to the next.
    async fn flash_when_idle(&mut self, window: Window) {
        let devices = self.model.backend().read("/proc/net/dev").await.unwrap_or_default();
        let seen = carried(&devices);
        let Some(activation) = &mut self.firmware.activation else { return };
        let before = std::mem::replace(&mut activation.traffic, seen);
        let idle = seen.zip(before).is_some_and(|(seen, before)| seen.wrapping_sub(before) < IDLE_BYTES);
        let next = self.now.monotonic_ms + LOOK_MS;
        if idle {
            self.flash().await;
        } else if next > window.end {
            self.window_over();
        } else {
            self.timers.set(Timer::Firmware, next);
        }
    }

    /// Writes down what is under way, and has the router flashed.
    async fn flash(&mut self) {
        let running = self.what_runs().await;
        let Some(activation) = &mut self.firmware.activation else { return };
        activation.flashing = Some(running);
        let Origin { object, command, key, .. } = &activation.origin;
        let boot = Boot { cause: Cause::RemoteReboot, reason: "Firmware update".into(), command_key: key.clone() };
        log::warn!("firmware=activating version={} command={object}{command}", self.firmware.staged.version);
        let operation = Operation {
            request: activation.request,
            name: "firmware_activate".into(),
            path: format!("{object}{command}"),
            input: Vec::new(),
        };
        self.firmware.boot = self.firmware.staged.target;
        self.firmware.staged.log.clear();
        self.firmware_changed();
        self.actions.push(Action::Keep(Kept::Boot, boot.save()));
        self.keep_notifications();
        self.timers.set(Timer::Firmware, self.now.monotonic_ms + GIVE_UP_MS);
        self.after.actions.push(Action::Spawn(operation));
    }

    /// sysupgrade came back, so it did nothing.
    pub(super) fn not_flashed(&mut self, outcome: Outcome) {
        let why = outcome.err().map_or("sysupgrade ended and the router is still up".into(), |fault| fault.text);
        self.activation_failed(&why);
    }

    fn activation_failed(&mut self, why: &str) {
        self.timers.stop(&Timer::Firmware);
        let Some(activation) = self.firmware.activation.take() else { return };
        log::error!("firmware=not-activated cause=\"{why}\"");
        if activation.flashing.is_some() {
            self.actions.push(Action::Keep(Kept::Boot, String::new()));
        }
        self.firmware.staged.failed(why);
        self.firmware_changed();
        if activation.request != NO_REQUEST {
            self.after.finished.push((activation.request, Err(failure(why.to_owned()))));
        }
    }

    /// Whether a Request can end early here; None where it is none of an activation.
    pub(in super::super) fn cancel_activation(&mut self, request: u32) -> Option<Result<(), Fault>> {
        let activation = self.firmware.activation.as_ref().filter(|activation| activation.request == request)?;
        if activation.flashing.is_some() {
            return Some(Err(failure("the router is being flashed; that cannot be stopped")));
        }
        self.firmware.activation = None;
        self.timers.stop(&Timer::Firmware);
        self.firmware_changed();
        Some(Ok(()))
    }

    /// What became of the image that was flashed before this start; the outcome for its Request.
    pub(super) fn judge_flash(&mut self, before: &Running, now: &Running) -> Outcome {
        let staged = &self.firmware.staged;
        let version = now.firmware.split(' ').next().unwrap_or_default();
        let is_it = match staged.version.as_str() {
            "" => before.firmware != now.firmware,
            wanted => wanted == version,
        };
        if is_it {
            log::info!("firmware=activated version={version}");
            self.firmware.active = staged.target;
            let target = Slot::ALL.into_iter().find(|slot| *slot != self.firmware.active).unwrap_or_default();
            self.firmware.staged = Staged { target, ..Staged::default() };
            return Ok(Vec::new());
        }
        let wanted = if staged.version.is_empty() { "another image" } else { &staged.version };
        let why = format!("the router came up with {version} and not with {wanted}");
        log::error!("firmware=not-activated cause=\"{why}\"");
        self.firmware.staged.failed(&why);
        Err(failure(why))
    }

    /// The agent was started again while sysupgrade is, perhaps, at work.
    pub(super) fn wait_for_flash(&mut self) {
        self.timers.set(Timer::Firmware, self.now.monotonic_ms + GIVE_UP_MS);
    }
}

impl Staged {
    fn failed(&mut self, why: &str) {
        self.status = Status::ActivationFailed;
        self.log = why.chars().take(MAX_LOG).collect();
    }
}

/// Bytes that all devices but the loopback have received and sent, of `/proc/net/dev`.
fn carried(devices: &str) -> Option<u64> {
    let mut sum = None;
    for line in devices.lines() {
        let Some((name, counters)) = line.split_once(':') else { continue };
        if name.trim() == "lo" {
            continue;
        }
        let counter = |at: usize| counters.split_whitespace().nth(at)?.parse::<u64>().ok();
        let (received, sent) = (counter(0)?, counter(8)?);
        sum = Some(sum.unwrap_or(0u64).wrapping_add(received).wrapping_add(sent));
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_devices_carried_is_summed_up_without_the_loopback() {
        let text = "Inter-|   Receive  |  Transmit\n face |bytes packets\n    lo: 9 1 0 0 0 0 0 0 9 1 0 0 0 0 0 0\n\
                    eth0: 100 1 0 0 0 0 0 0 20 1 0 0 0 0 0 0\n  wan:7 1 0 0 0 0 0 0 3 1 0 0 0 0 0 0\n";
        assert_eq!(carried(text), Some(130));
        assert_eq!(carried("lo: 9 1 0 0 0 0 0 0 9 1"), None);
        assert_eq!(carried("eth0: 1 2"), None);
    }
}
