//! What a radio sends with and how much it sent: transmit power in percent, and the counters of its networks.

use super::network::{tables, text};
use crate::backend::uci::OptValue;
use crate::backend::{Table, Value};
use crate::model::eval::Scope;
use crate::model::stage::Staging;
use crate::usp::fault::{Code, Fault};

/// TR-181's word for a power the router chooses.
const AUTO: i64 = -1;

/// What the country and the hardware allow: percent of the most and the dBm OpenWrt's `txpower` takes, weak first.
fn steps(scope: &Scope<'_>) -> Vec<(i64, i64)> {
    let list = scope.ubus("iwinfo", "txpowerlist", &Table::default().with("device", scope.key()));
    let number = |step: &Table, member: &str| step.get(member).and_then(Value::as_i64);
    let all: Vec<(i64, i64)> = list
        .map(|list| {
            tables(list, "results").filter_map(|step| Some((number(step, "mw")?, number(step, "dbm")?))).collect()
        })
        .unwrap_or_default();
    let most = all.iter().map(|(milliwatts, _)| *milliwatts).max().unwrap_or(0).max(1);
    all.into_iter().map(|(milliwatts, dbm)| ((milliwatts * 100 + most / 2) / most, dbm)).collect()
}

fn percent(value: i64) -> Value {
    Value::Int64(value)
}

/// Every percentage once, and that the router may choose.
pub(super) fn powers(scope: &Scope<'_>) -> Option<Value> {
    let mut powers: Vec<i64> = steps(scope).into_iter().map(|(percent, _)| percent).filter(|&p| p > 0).collect();
    powers.dedup();
    let none = powers.is_empty();
    (!none).then(|| Value::Array([AUTO].into_iter().chain(powers).map(percent).collect()))
}

/// What `txpower` is of the most that is allowed; it may ask for more than that.
pub(super) fn power(scope: &Scope<'_>) -> Option<Value> {
    let Some(dbm) = scope.section()?.1.text("txpower") else { return Some(percent(AUTO)) };
    let dbm: i64 = dbm.parse().ok()?;
    let steps = steps(scope);
    steps.iter().rev().find(|(_, step)| *step <= dbm).or(steps.first()).map(|(value, _)| percent(*value))
}

/// Writes the dBm of a percentage that the list has.
pub(super) fn set_power(scope: &Scope<'_>, value: &str, staging: &mut Staging) -> Result<(), Fault> {
    let refused = || Fault::new(Code::InvalidValue, "TransmitPower is not one of TransmitPowerSupported");
    let (package, section) = scope.section().ok_or_else(refused)?;
    let dbm = match value.parse().map_err(|_| refused())? {
        AUTO => None,
        wanted => {
            let step = steps(scope).into_iter().rev().find(|(percent, _)| *percent == wanted && wanted > 0);
            Some(OptValue::One(step.ok_or_else(refused)?.1.to_string().into()))
        }
    };
    staging.set(&package.name, &section.name, "txpower", dbm);
    Ok(())
}

/// The kernel's counters of all interfaces of the radio, added up.
pub(super) fn counters(scope: &Scope<'_>) -> Option<Value> {
    let status = scope.ubus("network.wireless", "status", &Table::default())?;
    let links = scope.ubus("netlink", "link", &Table::default())?;
    let mut sum: Option<Table> = None;
    for interface in tables(status.get(scope.key())?.as_table()?, "interfaces") {
        let name = text(interface, "ifname")?;
        let link = tables(links, "link").find(|link| text(link, "dev") == Some(name));
        let Some(counters) = link.and_then(|link| link.get("statistics")).and_then(Value::as_table) else { continue };
        match &mut sum {
            None => sum = Some(counters.clone()),
            Some(sum) => sum.0.iter_mut().for_each(|(name, value)| {
                let more = counters.get(name).and_then(Value::as_i64).unwrap_or(0);
                *value = Value::Int64(value.as_i64().unwrap_or(0).wrapping_add(more));
            }),
        }
    }
    sum.map(Value::Table)
}

/// A station on the radio takes the router to the network of another.
pub(super) fn upstream(scope: &Scope<'_>) -> Option<Value> {
    let (package, radio) = scope.section()?;
    let own = |s: &&crate::backend::uci::Section| s.text("device") == Some(&*radio.name);
    let mut networks = package.of_kind("wifi-iface").filter(own);
    Some(Value::from(networks.any(|s| s.text("mode") == Some("sta") && s.text("disabled") != Some("1"))))
}
