//! Sockets: whether they are in use, and which of them leads to the world.

use super::network::upstream_devices;
use crate::backend::uci::OptValue;
use crate::backend::{Table, Value};
use crate::model::eval::Scope;
use crate::model::stage::Staging;
use crate::model::value::truth;
use crate::usp::fault::Fault;

/// netifd's `enabled` of the device's section; on where nobody says otherwise.
pub(super) fn enable(scope: &Scope<'_>) -> Option<Value> {
    let package = scope.uci("network");
    let section = package.and_then(|p| p.of_kind("device").find(|s| s.text("name") == Some(scope.key())));
    let enabled = section.and_then(|s| s.text("enabled")).and_then(truth).unwrap_or(true);
    Some(Value::from(enabled))
}

/// Writes `enabled` into the device's section.
pub(super) fn set_enable(scope: &Scope<'_>, text: &str, staging: &mut Staging) -> Result<(), Fault> {
    set_of_device(scope, scope.key(), "enabled", text, staging);
    Ok(())
}

/// Writes an option into a device's section, which is made where there is none.
pub(super) fn set_of_device(scope: &Scope<'_>, device: &str, option: &str, text: &str, staging: &mut Staging) {
    let found = scope.uci("network").and_then(|p| p.of_kind("device").find(|s| s.text("name") == Some(device)));
    let name = match found {
        Some(section) => section.name.to_string(),
        None => {
            let name: String = device.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
            let name = format!("device_{name}");
            staging.add("network", &name, "device");
            staging.set("network", &name, "name", Some(OptValue::One(device.into())));
            name
        }
    };
    staging.set("network", &name, option, Some(OptValue::One(text.into())));
}

/// The socket, or a bridge or VLAN it is in, has the default route; or the board calls it WAN.
pub(super) fn upstream(scope: &Scope<'_>) -> Option<Value> {
    let socket = scope.key();
    let devices = scope.ubus("network.device", "status", &Table::default());
    let leads_out = |device: &str| {
        let members = devices.and_then(|d| d.get(device)).and_then(Value::as_table);
        let members = members.and_then(|d| d.get("bridge-members")).and_then(Value::as_array).unwrap_or(&[]);
        let base = device.split('.').next().unwrap_or(device);
        device == socket || base == socket || members.iter().any(|m| m.as_str() == Some(socket))
    };
    let routed = upstream_devices(scope).into_iter().any(leads_out);
    Some(Value::from(routed || board_wan(scope).as_deref() == Some(socket)))
}

/// Received packets with the bad ones, which the kernel counts apart.
pub(super) fn rmon_packets(scope: &Scope<'_>) -> Option<Value> {
    let stats = scope.let_value("stats")?.into_json();
    let count = |name: &str| stats.as_table()?.get(name)?.as_i64();
    count("rx_packets")?.checked_add(count("rx_errors")?).map(Value::Int64)
}

fn board_wan(scope: &Scope<'_>) -> Option<String> {
    let board: serde_json::Value = serde_json::from_str(scope.file("/etc/board.json")?).ok()?;
    board.pointer("/network/wan/device").and_then(|d| d.as_str()).map(str::to_string)
}
