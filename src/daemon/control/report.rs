//! `status` and `metrics`: how the agent fares, for people and for machines.

use crate::agent::OnTrial;
use crate::backend::{Table, Value};
use crate::daemon::Daemon;

impl Daemon {
    /// Who it is, and of every controller how it is reached.
    pub(super) fn status(&self) -> Table {
        let settings = self.agent.settings();
        let controllers = settings.controllers.iter().map(|controller| {
            let roles = controller.roles.iter().map(|role| Value::from(&**role)).collect();
            let table = Table::default().with("section", &*controller.section);
            let mut table = table.with("endpoint_id", controller.endpoint_id.as_str());
            table = table
                .with("enabled", controller.enable)
                .with("allow_unencrypted", controller.allow_unencrypted)
                .with("connected", self.links.is_connected(&controller.section));
            table.0.push(("roles".into(), Value::Array(roles)));
            table = table.with("notifications_waiting", count(self.agent.waiting_for(&controller.section)));
            table.0.push(("links".into(), Value::Array(self.links.status(&controller.section))));
            table.into()
        });
        let mut status = Table::default().with("version", env!("CARGO_PKG_VERSION"));
        status = status.with("endpoint_id", self.own_id.as_str());
        status = status.with("uptime", wide(self.clock.now().monotonic_ms / 1000));
        status = status.with("subscriptions", count(settings.subscriptions.len()));
        status = status.with("requests", count(self.agent.running()));
        if let Some(OnTrial { packages, demanded, left_ms }) = self.agent.on_trial_now() {
            let list = |texts: Vec<&str>| Value::Array(texts.into_iter().map(Value::from).collect());
            let trial = Table(vec![
                ("packages".into(), list(packages.iter().map(|p| &**p).collect())),
                ("waits_for".into(), list(demanded.iter().map(|c| &**c).collect())),
                ("seconds_left".into(), wide(left_ms / 1000)),
            ]);
            status = status.with("on_trial", trial);
        }
        status.0.push(("controllers".into(), Value::Array(controllers.collect())));
        status
    }

    /// Numbers only.
    pub(super) fn metrics(&self) -> Table {
        let settings = self.agent.settings();
        let connected = settings.controllers.iter().filter(|c| self.links.is_connected(&c.section)).count();
        let waiting = settings.controllers.iter().map(|c| self.agent.waiting_for(&c.section)).sum();
        let sums = self.links.sums();
        let rows = [
            ("uptime_seconds", wide(self.clock.now().monotonic_ms / 1000)),
            ("controllers", count(settings.controllers.len())),
            ("controllers_connected", count(connected)),
            ("links", wide(sums.links.into())),
            ("links_up", wide(sums.up.into())),
            ("link_failures", wide(sums.failures.into())),
            ("records_received", wide(sums.received.into())),
            ("records_sent", wide(sums.sent.into())),
            ("notifications_waiting", count(waiting)),
            ("subscriptions", count(settings.subscriptions.len())),
            ("requests", count(self.agent.running())),
            ("config_applied", wide(self.control.applied.into())),
            ("config_reverted", wide(self.control.reverted.into())),
            ("on_trial", count(usize::from(self.agent.on_trial_now().is_some()))),
        ];
        Table(rows.into_iter().map(|(name, value)| (name.into(), value)).collect())
    }
}

fn count(number: usize) -> Value {
    wide(u64::try_from(number).unwrap_or(u64::MAX))
}

fn wide(number: u64) -> Value {
    Value::Int64(i64::try_from(number).unwrap_or(i64::MAX))
}
