//! `Device.SelfTestDiagnostics()`: whether what the agent stands on works: the bus, the configuration, memory, flash,
//! interfaces. It changes nothing.

use super::arguments::{Named, named};
use crate::backend::{Backend, CallError, Router, Table, Value, ubus, uci};
use crate::config;
use crate::model::Model;
use std::fmt::Write as _;

/// The packages that are read: those every router has, and the agent's own.
const PACKAGES: [&str; 6] = [config::PACKAGE, "dhcp", "firewall", "network", "system", "wireless"];
/// Characters of Results.
const MAX_RESULTS: usize = 1024;

/// A test that is about to run.
pub struct Test {
    /// None on a recorded router.
    bus: Option<ubus::Client>,
    configuration: String,
}

impl Test {
    /// Reads the configuration.
    pub async fn of(model: &Model<Router>) -> Self {
        let bus = match model.backend() {
            Router::Live(router) => Some(router.bus().clone()),
            Router::Fixture(_) => None,
        };
        let mut broken = String::new();
        for package in PACKAGES {
            match model.backend().package(package).await {
                // A router without a radio, or without dnsmasq, is as good as any.
                Ok(_) | Err(uci::Error::NotFound) => {}
                Err(error) => drop(write!(broken, "{}{package}: {error}", separator(&broken))),
            }
        }
        Self { bus, configuration: broken }
    }

    /// Asks the router; the output arguments of the command. A check that fails is a result, not an error.
    pub async fn run(self) -> Named {
        let (system, interfaces) = match &self.bus {
            None => (Err(CallError::Disconnected), Err(CallError::Disconnected)),
            Some(bus) => {
                let none = Table::default();
                tokio::join!(bus.call("system", "info", &none), bus.call("network.interface", "dump", &none))
            }
        };
        let mut results = self.results(system.as_ref().ok(), interfaces.as_ref().ok());
        if let Some((end, _)) = results.char_indices().nth(MAX_RESULTS) {
            results.truncate(end);
        }
        named([("Status", "Complete".to_owned()), ("Results", results)])
    }

    /// One line per check: its name, `ok` or `failed`, and what was seen.
    fn results(&self, system: Option<&Table>, interfaces: Option<&Table>) -> String {
        let mut text = String::new();
        let mut tell = |name: &str, good: bool, what: &str| {
            let verdict = if good { "ok" } else { "failed" };
            let between = if what.is_empty() { "" } else { " " };
            let _ = write!(text, "{}{name}: {verdict}{between}{what}", if text.is_empty() { "" } else { "\n" });
        };
        tell("ubus", system.is_some() && interfaces.is_some(), missing(system, interfaces));
        tell("configuration", self.configuration.is_empty(), &self.configuration);
        if let Some(system) = system {
            let free = |place: &str, member: &str| system.get(place)?.as_table()?.get(member)?.as_i64();
            if let Some(bytes) = free("memory", "available") {
                tell("memory", bytes > 0, &format!("{} KiB available", bytes / 1024));
            }
            for (name, place) in [("flash", "root"), ("tmp", "tmp")] {
                if let Some(kilobytes) = free(place, "avail") {
                    tell(name, kilobytes > 0, &format!("{kilobytes} KiB available"));
                }
            }
        }
        if let Some(interfaces) = interfaces.and_then(|dump| dump.get("interface")?.as_array()) {
            let failing = failing(interfaces);
            tell("interfaces", failing.is_empty(), &failing);
        }
        text
    }
}

fn separator(text: &str) -> &'static str {
    if text.is_empty() { "" } else { ", " }
}

fn missing(system: Option<&Table>, interfaces: Option<&Table>) -> &'static str {
    match (system, interfaces) {
        (None, None) => "nobody answers",
        (None, _) => "system does not answer",
        (_, None) => "network.interface does not answer",
        _ => "",
    }
}

/// Interfaces that should be up and are not, with what netifd says of them.
fn failing(interfaces: &[Value]) -> String {
    let mut text = String::new();
    for interface in interfaces.iter().filter_map(Value::as_table) {
        let is = |name: &str| interface.get(name).and_then(Value::as_i64) == Some(1);
        if is("up") || !is("autostart") {
            continue;
        }
        let name = interface.get("interface").and_then(Value::as_str).unwrap_or_default();
        let code =
            interface.get("errors").and_then(|errors| errors.as_array()?.first()?.as_table()?.get("code")?.as_str());
        let _ = write!(text, "{}{name} is down", separator(&text));
        if let Some(code) = code {
            let _ = write!(text, " ({code})");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::ubus::json::table_from_json;
    use serde_json::json;

    fn results(
        configuration: &str,
        system: Option<serde_json::Value>,
        interfaces: Option<serde_json::Value>,
    ) -> String {
        let table = |json: Option<serde_json::Value>| json.map(|json| table_from_json(&json).unwrap());
        let test = Test { bus: None, configuration: configuration.to_owned() };
        test.results(table(system).as_ref(), table(interfaces).as_ref())
    }

    #[test]
    fn a_healthy_router_is_ok_throughout() {
        let system = json!({"memory": {"available": 2048}, "root": {"avail": 80}, "tmp": {"avail": 7}});
        let interfaces = json!({"interface": [{"interface": "lan", "up": true, "autostart": true},
            {"interface": "spare", "up": false, "autostart": false}]});
        let expected = "ubus: ok\nconfiguration: ok\nmemory: ok 2 KiB available\nflash: ok 80 KiB available\ntmp: ok 7 KiB available\ninterfaces: ok";
        assert_eq!(results("", Some(system), Some(interfaces)), expected);
    }

    #[test]
    fn what_is_broken_is_named() {
        let system = json!({"root": {"avail": 0}});
        let down = json!({"interface": "wan", "up": false, "autostart": true, "errors": [{"code": "NO_DEVICE"}]});
        let interfaces = json!({"interface": [down, {"interface": "wan6", "up": false, "autostart": true}]});
        let expected = "ubus: ok\nconfiguration: failed network: x at line 2, byte 1\nflash: failed 0 KiB available\ninterfaces: failed wan is down (NO_DEVICE), wan6 is down";
        assert_eq!(results("network: x at line 2, byte 1", Some(system), Some(interfaces)), expected);
        assert_eq!(results("", None, None), "ubus: failed nobody answers\nconfiguration: ok");
    }

    #[test]
    fn the_results_fit_where_they_belong() {
        let test = Test { bus: None, configuration: "ä".repeat(2000) };
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let output = runtime.block_on(test.run());
        assert_eq!((output[0].1.as_str(), output[1].1.chars().count()), ("Complete", MAX_RESULTS));
    }
}
