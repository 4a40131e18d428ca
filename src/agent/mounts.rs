//! What the configuration mounts, and what the plugins behind it tell: events, and that they are back.

use super::Agent;
use super::pattern::template;
use super::timers::Timer;
use crate::backend::{Backend, Change, Table, Value};
use crate::model::mount::{Described, flatten};
use std::collections::BTreeMap;

/// Milliseconds until a plugin that is on the bus and did not say what it supports is asked again.
const AGAIN_MS: u64 = 60_000;
/// What Ambiorix says of an event itself; the other members of its data are USP's arguments.
const ABOUT: [&str; 4] = ["path", "object", "eobject", "notification"];

impl<B: Backend> Agent<B> {
    /// Mounts what the configuration says.
    pub(super) async fn follow_mounts(&mut self) {
        let settings = self.settings.clone();
        if !settings.mounts.is_empty() || self.model.has_mounts() {
            let described = self.model.mount(&settings.mounts).await;
            self.described(described);
        }
    }

    /// Time to ask again what plugins support.
    pub(super) async fn mount_again(&mut self) {
        let described = self.model.mount_again(None).await;
        self.described(described);
    }

    /// What a change means to mounted objects, beside that their values may have changed.
    pub(super) async fn mounts_changed(&mut self, change: &Change) {
        match change {
            Change::Event(event, data) if &**event == "ubus.object.add" => {
                let path = data.get("path").and_then(Value::as_str).unwrap_or_default();
                if self.model.is_mounted(path) {
                    let described = self.model.mount_again(Some(path)).await;
                    self.described(described);
                }
            }
            Change::BusRestarted if self.model.has_mounts() => self.mount_again().await,
            Change::Notification(object, name, data) if name.ends_with('!') && self.model.is_mounted(object) => {
                self.mounted_event(name, data).await;
            }
            _ => {}
        }
    }

    fn described(&mut self, described: Described) {
        if described.changed && self.watches.touch(|_| true) {
            self.timers.set_no_later(Timer::Look, self.now.monotonic_ms + super::changes::GATHER_MS);
        }
        if described.again {
            self.timers.set_no_later(Timer::Mount, self.now.monotonic_ms + AGAIN_MS);
        }
    }

    /// An event that the plugin says it has.
    async fn mounted_event(&mut self, name: &str, data: &Table) {
        let Some(path) = data.get("path").and_then(Value::as_str) else { return };
        let object = format!("Device.{path}");
        let schema = self.model.schema();
        let supported = schema.find(&template(&object)).map(|id| &schema[id]);
        if !supported.is_some_and(|object| object.mounted && object.events.iter().any(|event| event.name == name)) {
            log::debug!("event={name} object={object} is not supported");
            return;
        }
        let own = data.0.iter().filter(|(name, _)| !ABOUT.contains(&&**name)).cloned().collect();
        let mut params = Vec::new();
        flatten("", &Table(own), 0, &mut params);
        let mut map = BTreeMap::new();
        for (name, value) in params {
            map.insert(name, value);
        }
        self.event(&object, name, map).await;
    }
}
