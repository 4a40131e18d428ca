//! Thresholds (`Device.LocalAgent.Threshold.{i}.`): numbers of the router that are told of when they pass a limit, to the
//! controller that asked for it.

use super::pattern::Pattern;
use super::settings::{Kind, Subscription, truth};
use super::subscriptions::Active;
use super::{Agent, handlers};
use crate::backend::Backend;
use crate::backend::uci::{Package, Section};
use crate::model::{Everything, Permit, Rights};
use crate::usp::wire::msg::notify::{Event, Notification};
use std::rc::Rc;

/// Thresholds that are looked at; further ones are left out with a warning.
const MAX_THRESHOLDS: usize = 256;
/// ThresholdOperator, as SupportedThresholdOperator lists them.
const OPERATORS: [&str; 5] = ["Rise", "Fall", "Cross", "Eq", "NotEq"];
const TABLE: &str = "Device.LocalAgent.Threshold.";

/// An enabled row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Threshold {
    section: Rc<str>,
    /// ReferencePath and ThresholdParam.
    path: Box<str>,
    operator: &'static str,
    limit: i64,
    /// Once is enough.
    single: bool,
    controller: Rc<str>,
}

impl Threshold {
    /// The rows of the package that can be looked at: enabled, with a path, a number and a controller.
    pub fn all(package: &Package) -> Vec<Self> {
        let mut all: Vec<_> = package.of_kind("threshold").filter_map(Self::from_section).collect();
        if all.len() > MAX_THRESHOLDS {
            log::warn!("thresholds={} used={MAX_THRESHOLDS}", all.len());
            all.truncate(MAX_THRESHOLDS);
        }
        all
    }

    fn from_section(section: &Section) -> Option<Self> {
        let text = |option: &str| section.text(option).unwrap_or_default();
        let operator = section.text("ThresholdOperator").unwrap_or("Rise");
        let enabled = truth(section, "Enable", false) && !text("ThresholdParam").is_empty();
        enabled.then_some(())?;
        Some(Self {
            section: (&*section.name).into(),
            path: [text("ReferencePath"), text("ThresholdParam")].concat().into(),
            operator: OPERATORS.into_iter().find(|known| *known == operator)?,
            limit: text("ThresholdValue").trim().parse().ok()?,
            single: text("OperatingMode") == "Single",
            controller: text("controller").into(),
        })
    }

    /// Watched as a value somebody subscribed to.
    pub(super) fn active(self) -> Option<Rc<Active>> {
        let pattern = Pattern::parse(&self.path)?;
        let what = Subscription { kind: Some(Kind::ValueChange), enable: true, ..Subscription::of_nobody() };
        // What tells it from others that see the same change.
        let what = Subscription { section: format!("threshold {}", self.section).into(), ..what };
        Some(Rc::new(Active { what, references: vec![(self.path.clone(), pattern)], threshold: Some(self) }))
    }

    /// The condition was not met before, and is now.
    fn passed(&self, before: &str, now: &str) -> bool {
        let (Ok(before), Ok(now)) = (before.parse::<i64>(), now.parse::<i64>()) else { return false };
        let (rises, falls) = (before < self.limit && self.limit <= now, before > self.limit && self.limit >= now);
        match self.operator {
            "Rise" => rises,
            "Fall" => falls,
            "Cross" => rises || falls,
            "Eq" => before != self.limit && now == self.limit,
            _ => before == self.limit && now != self.limit,
        }
    }
}

impl<B: Backend> Agent<B> {
    /// A value that a threshold watches has changed: Triggered! where it passed the limit, for a controller that may
    /// read the value.
    pub(super) async fn weigh(&mut self, threshold: &Threshold, object: &str, name: &str, values: (&str, &str)) {
        if !threshold.passed(values.0, values.1) {
            return;
        }
        let settings = self.settings.clone();
        let Some(controller) = settings.controller(&threshold.controller).filter(|c| c.enable) else { return };
        let (access, _) = self.access_to(controller).await;
        let Some(row) = self.threshold_row(&threshold.section).await else { return };
        if !access.element(object, name).allow(Rights::PARAM_READ) {
            return;
        }
        let params = [("ParamPath", format!("{object}{name}")), ("ParamValue", values.1.to_owned())];
        let params = handlers::map(params);
        let event = Event { obj_path: row.clone(), event_name: "Triggered!".into(), params };
        for active in self.interested(Kind::Event, &row, "Triggered!").await {
            if active.what.recipient == threshold.controller {
                let about = (row.as_str(), "Triggered!", Rights::COMMAND_NOTIFY);
                self.notify(&active, about, Notification::Event(event.clone())).await;
            }
        }
        if threshold.single {
            self.switch_off(&row).await;
        }
    }

    async fn threshold_row(&self, section: &str) -> Option<String> {
        let rows = self.model.begin().objects(&Everything, &format!("{TABLE}*.")).await.ok()?;
        rows.into_iter().find(|node| node.row.as_ref().is_some_and(|row| *row.key == *section)).map(|node| node.path)
    }

    /// OperatingMode Single: it has told.
    async fn switch_off(&mut self, row: &str) {
        let mut transaction = self.model.begin();
        let node = transaction.objects(&Everything, row).await.unwrap_or_default().into_iter().next();
        let Some(node) = node else { return };
        let done = match transaction.set(&Everything, &node, "Enable", "false").await {
            Ok(()) => transaction.commit().await,
            Err(fault) => Err(fault),
        };
        match done {
            Ok(committed) => self.after.committed(committed),
            Err(fault) => log::warn!("threshold={row} action=not-switched-off cause=\"{fault}\""),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn threshold(operator: &'static str) -> Threshold {
        Threshold {
            section: "t".into(),
            path: "Device.DeviceInfo.UpTime".into(),
            operator,
            limit: 10,
            single: false,
            controller: "acs".into(),
        }
    }

    #[test]
    fn only_the_way_over_the_limit_counts() {
        let passed = |operator, before: &str, now: &str| threshold(operator).passed(before, now);
        assert!(passed("Rise", "9", "10") && passed("Rise", "-3", "99"));
        assert!(!passed("Rise", "10", "11") && !passed("Rise", "11", "9"));
        assert!(passed("Fall", "11", "10") && !passed("Fall", "10", "9"));
        assert!(passed("Cross", "9", "11") && passed("Cross", "11", "9") && !passed("Cross", "11", "12"));
        assert!(passed("Eq", "9", "10") && !passed("Eq", "10", "10") && !passed("Eq", "9", "11"));
        assert!(passed("NotEq", "10", "11") && !passed("NotEq", "11", "12"));
        assert!(!passed("Rise", "few", "many"));
    }
}
