//! Zones of /etc/config/firewall as logical interfaces: what is configured for one holds whichever network it stands on.

use super::firewall::members;
use super::network::{entries, interface, is, text};
use crate::backend::uci::OptValue;
use crate::backend::{Table, Value};
use crate::model::eval::Scope;
use crate::model::stage::Staging;
use crate::usp::fault::{Code, Fault};

const COUNTERS: [&str; 6] = ["tx_bytes", "rx_bytes", "tx_packets", "rx_packets", "tx_errors", "rx_errors"];

/// What the networks of a zone make together: `up`, `uptime`, and the counters of their devices.
pub(super) fn state(scope: &Scope<'_>) -> Option<Value> {
    let (_, section) = scope.section()?;
    let interfaces: Vec<&Table> = members(section).filter_map(|name| interface(scope, name)).collect();
    let up = interfaces.iter().filter(|i| is(i, "up"));
    let uptime = up.filter_map(|i| i.get("uptime")?.as_i64()).max();
    let mut state = Table::default().with("up", uptime.is_some());
    if let Some(uptime) = uptime {
        state = state.with("uptime", Value::Int64(uptime));
    }
    // Two networks may share a device, one for each IP version: it counts once.
    let counted =
        |link: &&Table| interfaces.iter().any(|i| text(i, "l3_device").is_some_and(|d| text(link, "dev") == Some(d)));
    let links = entries(scope, "link").filter(counted);
    let statistics: Vec<&Table> = links.filter_map(|link| link.get("statistics")?.as_table()).collect();
    for name in COUNTERS.into_iter().filter(|_| !statistics.is_empty()) {
        let sum = statistics.iter().filter_map(|s| s.get(name)?.as_i64()).fold(0, i64::wrapping_add);
        state = state.with(name, Value::Int64(sum));
    }
    Some(Value::Table(state))
}

/// The networks of a zone, in either way UCI has them.
pub(super) fn networks(scope: &Scope<'_>) -> Option<Value> {
    Some(Value::Array(members(scope.section()?.1).map(Value::from).collect()))
}

pub(super) fn set_networks(scope: &Scope<'_>, value: &str, staging: &mut Staging) -> Result<(), Fault> {
    let (package, section) = scope.section().ok_or_else(|| Fault::new(Code::InvalidValue, "no such zone"))?;
    let all: Vec<Box<str>> = value.split(',').filter(|name| !name.is_empty()).map(Into::into).collect();
    staging.set(&package.name, &section.name, "network", (!all.is_empty()).then_some(OptValue::List(all)));
    Ok(())
}
