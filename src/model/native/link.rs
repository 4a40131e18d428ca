//! What interfaces stand on: from the name of a device to the object that is it, and all of it together as a stack.

use super::network::{interface, text};
use crate::backend::uci::{OptValue, Package};
use crate::backend::{Table, Value};
use crate::model::eval::Scope;
use crate::model::resolve::row_at;
use crate::model::stage::Staging;
use crate::usp::fault::{Code, Fault};

const LINKS: &str = "Device.Ethernet.Link.{i}.";
const VLANS: &str = "Device.Ethernet.VLANTermination.{i}.";
const PPP: &str = "Device.PPP.Interface.{i}.";

/// The path of the row of a table whose `let` has this text.
fn path_with(scope: &Scope<'_>, table: &str, name: &str, wanted: &str) -> Option<String> {
    let table = scope.eval.schema.find(table)?;
    let row = scope.eval.find_row(table, &mut |row| {
        let scope = Scope { eval: scope.eval, object: row.object, row: Some(row) };
        scope.let_text(name).as_deref() == Some(wanted)
    })?;
    Some(row.path.trim_end_matches('.').to_string())
}

/// What a device is to those above it: a VLAN, a link, a PPP connection, or a Wi-Fi network.
fn device_path(scope: &Scope<'_>, device: &str) -> Option<String> {
    let vlan = path_with(scope, VLANS, "dev", device);
    let link = || scope.path_of(LINKS, device);
    vlan.or_else(link).or_else(|| path_with(scope, PPP, "l3", device)).or_else(|| ssid_path(scope, device))
}

fn ssid_path(scope: &Scope<'_>, device: &str) -> Option<String> {
    path_with(scope, "Device.WiFi.SSID.{i}.", "ifname", device)
}

/// What is plugged into a bridge: a socket, a VLAN, or a Wi-Fi network.
pub(super) fn port_path(scope: &Scope<'_>, device: &str) -> Option<String> {
    let socket = scope.path_of("Device.Ethernet.Interface.{i}.", device);
    let vlan = || path_with(scope, VLANS, "dev", device);
    socket.or_else(vlan).or_else(|| ssid_path(scope, device))
}

/// The same as a filter; a bridge or another device that is no socket is a link.
pub(super) fn port(scope: &Scope<'_>, device: &str) -> Option<String> {
    port_path(scope, device).or_else(|| device_path(scope, device))
}

/// An IP interface over PPP stands on that, any other on what its device is.
pub(super) fn ip_lower_layers(scope: &Scope<'_>) -> Option<Value> {
    match scope.path_of(PPP, scope.key()) {
        Some(path) => Some(Value::from(&*path)),
        None => lower_layers(scope),
    }
}

/// What the device of a section of /etc/config/network is, or the one netifd has found for it.
pub(super) fn lower_layers(scope: &Scope<'_>) -> Option<Value> {
    let stated = scope.section().and_then(|(_, section)| section.text("device"));
    let device = stated.or_else(|| text(interface(scope, scope.key())?, "device")).filter(|device| *device != "lo")?;
    Some(Value::from(&*device_path(scope, device)?))
}

/// The same, written; under PPP it is for the PPP interface to say.
pub(super) fn set_ip_lower_layers(scope: &Scope<'_>, value: &str, staging: &mut Staging) -> Result<(), Fault> {
    match scope.path_of(PPP, scope.key()) {
        Some(_) => Err(Fault::new(Code::InvalidValue, "the interface stands on its PPP interface")),
        None => set_lower_layers(scope, value, staging),
    }
}

/// Writes the device that a link or a VLAN is.
pub(super) fn set_lower_layers(scope: &Scope<'_>, value: &str, staging: &mut Staging) -> Result<(), Fault> {
    let refused = || Fault::new(Code::InvalidValue, "LowerLayers is one Ethernet.Link or Ethernet.VLANTermination");
    let (package, section) = scope.section().ok_or_else(|| Fault::new(Code::ParameterReadOnly, "no section"))?;
    let device = match value {
        "" => None,
        path => {
            let row = row_at(scope.eval, path).ok_or_else(refused)?;
            let scope = Scope { eval: scope.eval, object: row.object, row: Some(&row) };
            let device = match scope.schema().path {
                LINKS => Some(row.key.to_string()),
                VLANS => scope.let_text("dev"),
                _ => None,
            };
            Some(OptValue::One(device.ok_or_else(refused)?.into()))
        }
    };
    staging.set(&package.name, &section.name, "device", device);
    Ok(())
}

/// The number of the PPPoE session on the device below. The kernel writes it as it stands on the wire.
pub(super) fn session(scope: &Scope<'_>) -> Option<Value> {
    let below = text(interface(scope, scope.key())?, "device")?;
    let line = scope.file("/proc/net/pppoe")?.lines().find(|line| line.split_whitespace().nth(2) == Some(below))?;
    let number = u32::from_str_radix(line.split_whitespace().next()?, 16).ok()?;
    Some(Value::from(i32::from(u16::from_be(u16::try_from(number).ok()?))))
}

/// The device a VLAN is cut from, and its number where the name tells it (`eth0.5`); None where `device` is no VLAN.
fn vlan_of<'p>(package: &'p Package, device: &'p str) -> Option<(&'p str, Option<&'p str>)> {
    if let Some(section) = package.of_kind("device").find(|s| s.text("name") == Some(device)) {
        let vlan = matches!(section.text("type"), Some("8021q" | "8021ad"));
        return section.text("ifname").filter(|_| vlan).map(|base| (base, None));
    }
    let (base, number) = device.rsplit_once('.')?;
    number.parse::<u16>().ok().filter(|n| (1..4095).contains(n)).map(|_| (base, Some(number)))
}

/// Devices that interfaces of /etc/config/network name. `@wan` stands on another interface, `/dev/ttyUSB0` is no
/// network device, `lo` has no link layer.
fn named(package: &Package) -> impl Iterator<Item = &str> {
    let all = package.of_kind("interface").flat_map(|s| s.list("device").iter().flat_map(|d| d.split_whitespace()));
    all.filter(|d| !d.starts_with(['@', '/']) && *d != "lo")
}

fn add(rows: &mut Vec<(String, Value)>, key: &str, value: Value) {
    if !rows.iter().any(|(known, _)| known == key) {
        rows.push((key.to_string(), value));
    }
}

/// Every layer-2 device that an interface or a VLAN stands on, once.
pub(super) fn links(scope: &Scope<'_>) -> Vec<(String, Value)> {
    let Some(package) = scope.uci("network") else { return Vec::new() };
    let vlans = package.of_kind("device").filter(|s| matches!(s.text("type"), Some("8021q" | "8021ad")));
    let mut links = Vec::new();
    for device in named(package).chain(vlans.filter_map(|section| section.text("ifname"))) {
        // A VLAN in a VLAN leads to the device below both; names that go round in a circle lead nowhere.
        let mut bases = std::iter::successors(Some(device), |device| Some(vlan_of(package, device)?.0)).take(4);
        let bottom = bases.find(|device| vlan_of(package, device).is_none());
        bottom.into_iter().for_each(|device| add(&mut links, device, Value::Null));
    }
    links
}

/// VLANs that have no section of their own: an interface names them.
pub(super) fn vlans(scope: &Scope<'_>) -> Vec<(String, Value)> {
    let Some(package) = scope.uci("network") else { return Vec::new() };
    let mut vlans = Vec::new();
    for device in named(package) {
        if let Some((base, Some(number))) = vlan_of(package, device) {
            add(&mut vlans, device, Value::Table(Table::default().with("base", base).with("vid", number)));
        }
    }
    vlans
}

/// One row per pair of interface objects of which one stands on the other.
pub(super) fn stack(scope: &Scope<'_>) -> Vec<(String, Value)> {
    let mut stack = Vec::new();
    let schema = scope.eval.schema;
    for object in schema.objects.iter().filter(|object| object.table) {
        // What something is mounted over is not found.
        let found = schema.find(object.path).filter(|id| std::ptr::eq(&schema[*id], object));
        let (Some(lower), Some(table)) = (object.param("LowerLayers"), found) else { continue };
        scope.eval.find_row(table, &mut |row| {
            let higher = Scope { eval: scope.eval, object: table, row: Some(row) };
            let lowers = higher.param_value(lower).unwrap_or_default();
            for lower in lowers.split(',').filter(|lower| !lower.is_empty()) {
                stack.push(pair(&higher, row.path.trim_end_matches('.'), lower));
            }
            false
        });
    }
    stack
}

fn pair(scope: &Scope<'_>, higher: &str, lower: &str) -> (String, Value) {
    let below = row_at(scope.eval, lower);
    let below = below.as_ref().map(|row| Scope { eval: scope.eval, object: row.object, row: Some(row) });
    let alias = |scope: &Scope<'_>| scope.param("Alias").unwrap_or_default();
    let element = Table::default()
        .with("higher", higher)
        .with("lower", lower)
        .with("higher_alias", &*alias(scope))
        .with("lower_alias", &*below.as_ref().map(alias).unwrap_or_default());
    ([higher, lower].join(" "), Value::Table(element))
}
