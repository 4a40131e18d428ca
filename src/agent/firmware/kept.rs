//! What is known of images and under way with them, over a start of the agent.

use super::super::requests::{Origin, Outcome};
use super::super::transfers::Transfer;
use super::super::{Agent, Kept, Now};
use super::windows::{MAX_WINDOWS, Mode, Window};
use super::{Activation, Firmware, MAX_LOG, Running, Slot, Staged, Status, failure};
use crate::backend::Backend;
use crate::usp::fault::Fault;
use serde_json::{Value, json};

/// What ended while the agent was not there, and waits until Boot! was told.
#[derive(Debug, Default)]
pub(in super::super) struct Ended {
    /// The router runs the image that was activated.
    pub(in super::super) updated: bool,
    download: Option<(Transfer, Fault)>,
    activation: Option<(Origin, Outcome)>,
}

impl Firmware {
    /// As a document. Windows are what is left of them, and when they begin since 1970 where that is known.
    pub(super) fn save(&self, now: Now) -> String {
        let Staged { target, status, name, version, log } = &self.staged;
        let mut document = json!({
            "active": self.active.key(),
            "boot": self.boot.key(),
            "staged": {"target": target.key(), "status": status.name(), "name": name, "version": version, "log": log},
        });
        if let Some(download) = &self.download {
            document["download"] = json!({
                "origin": origin(&download.transfer.origin),
                "url": download.transfer.url,
                "started": download.transfer.started,
            });
        }
        if let Some(activation) = &self.activation {
            let left = |at: u64| at.saturating_sub(now.monotonic_ms);
            let unix = |at: u64| {
                now.clock_is_set.then(|| now.unix_ms.saturating_add(i64::try_from(left(at)).unwrap_or(i64::MAX)))
            };
            let windows: Vec<Value> = activation
                .windows
                .iter()
                .map(|w| json!([left(w.start), left(w.end), w.mode.name(), unix(w.start)]))
                .collect();
            let flashing = activation.flashing.as_ref().map(|r| json!({"boot_id": r.boot_id, "firmware": r.firmware}));
            document["activation"] = json!({
                "origin": origin(&activation.origin),
                "request": activation.request != super::activate::NO_REQUEST,
                "windows": windows,
                "flashing": flashing,
            });
        }
        document.to_string()
    }
}

fn origin(origin: &Origin) -> Value {
    let Origin { endpoint_id, object, command, key } = origin;
    json!([endpoint_id, object, command, key])
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().chars().take(2 * MAX_LOG).collect()
}

fn origin_of(value: &Value) -> Origin {
    let part = |at: usize| text(&value[at]).into();
    Origin { endpoint_id: part(0), object: part(1), command: part(2), key: part(3) }
}

impl<B: Backend> Agent<B> {
    /// Takes up what was kept. What ended meanwhile is told by [`Self::tell_ended`].
    pub(in super::super) async fn resume_firmware(&mut self, kept: &str) -> Ended {
        let mut ended = Ended::default();
        let document: Value = serde_json::from_str(kept).unwrap_or_default();
        let slot = |value: &Value| value.as_str().and_then(Slot::parse);
        if let Some(active) = slot(&document["active"]) {
            let staged = &document["staged"];
            self.firmware.active = active;
            self.firmware.boot = slot(&document["boot"]).unwrap_or(active);
            self.firmware.staged = Staged {
                target: slot(&staged["target"]).unwrap_or_default(),
                status: staged["status"].as_str().and_then(Status::parse).unwrap_or_default(),
                name: text(&staged["name"]),
                version: text(&staged["version"]),
                log: text(&staged["log"]),
            };
        }
        self.interrupted(&document["download"], &mut ended);
        self.resume_activation(&document["activation"], &mut ended).await;
        if self.firmware.staged.status == Status::Available && !self.has_image().await {
            log::info!("firmware=gone cause=reboot");
            self.firmware.staged = Staged { target: self.firmware.staged.target, ..Staged::default() };
        }
        self.firmware.show(&mut self.model.facts());
        let text = self.firmware.save(self.now);
        if kept != text && !(kept.is_empty() && self.firmware.is_untouched()) {
            self.actions.push(super::super::Action::Keep(Kept::Firmware, text));
        }
        ended
    }

    /// A download does not go on by itself.
    fn interrupted(&mut self, document: &Value, ended: &mut Ended) {
        if document.is_null() {
            return;
        }
        self.firmware.staged.status = Status::DownloadFailed;
        let transfer = Transfer {
            kind: "Download",
            request: super::activate::NO_REQUEST,
            origin: origin_of(&document["origin"]),
            url: text(&document["url"]),
            algorithm: String::new(),
            checksum: String::new(),
            started: document["started"].as_i64(),
        };
        ended.download = Some((transfer, failure("the download was interrupted by a restart")));
    }

    async fn resume_activation(&mut self, document: &Value, ended: &mut Ended) {
        if document.is_null() {
            return;
        }
        let origin = origin_of(&document["origin"]);
        let asked = document["request"].as_bool().unwrap_or(false);
        let flashing = document["flashing"].as_object().map(|before| {
            let part = |name: &str| before.get(name).map(text).unwrap_or_default();
            Running { boot_id: part("boot_id"), firmware: part("firmware") }
        });
        if let Some(before) = &flashing {
            let now = self.what_runs().await;
            if before.boot_id != now.boot_id {
                let outcome = self.judge_flash(before, &now);
                ended.updated = outcome.is_ok();
                ended.activation = asked.then_some((origin, outcome));
                return;
            }
        } else if !self.has_image().await {
            let lost = failure("the image was lost in a reboot before its time had come");
            ended.activation = asked.then_some((origin, Err(lost)));
            return;
        }
        let request = match asked.then(|| self.start_request(origin.clone())) {
            Some(Ok(request)) => request,
            Some(Err(_)) | None => super::activate::NO_REQUEST,
        };
        let windows = windows_of(&document["windows"], self.now);
        let waits = flashing.is_none();
        self.firmware.activation = Some(Activation { request, origin, windows, traffic: None, flashing });
        if waits { self.wait_for_window() } else { self.wait_for_flash() }
    }

    /// Tells what ended while the agent was not there.
    pub(in super::super) async fn tell_ended(&mut self, ended: Ended) {
        if let Some((transfer, fault)) = ended.download {
            self.transfer_complete(&transfer, Some(&fault)).await;
            self.operation_complete(&transfer.origin, Err(fault)).await;
        }
        if let Some((origin, outcome)) = ended.activation {
            self.operation_complete(&origin, outcome).await;
        }
    }
}

impl Firmware {
    /// Nothing is worth keeping.
    fn is_untouched(&self) -> bool {
        self.active == Slot::First && self.staged.status == Status::NoImage && self.activation.is_none()
    }
}

fn windows_of(document: &Value, now: Now) -> Vec<Window> {
    let windows = document.as_array().into_iter().flatten().take(MAX_WINDOWS);
    let window = |value: &Value| {
        let (start, end) = (value[0].as_u64()?, value[1].as_u64()?);
        // Time went on while nothing was written down.
        let begins = value[3].as_i64().filter(|_| now.clock_is_set);
        let passed = begins.map_or(0, |at| i64::try_from(start).unwrap_or(i64::MAX) - at.saturating_sub(now.unix_ms));
        let passed = u64::try_from(passed).unwrap_or(0);
        if passed > end {
            return None;
        }
        let at = |left: u64| now.monotonic_ms.saturating_add(left).saturating_sub(passed);
        Some(Window { start: at(start), end: at(end), mode: Mode::parse(value[2].as_str()?)? })
    };
    windows.filter_map(window).collect()
}
