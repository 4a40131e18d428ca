//! Bridge ports: what is plugged in, and which VLANs go through them.

use super::link::port_path;
use crate::backend::uci::{OptValue, Section};
use crate::backend::{Table, Value};
use crate::model::eval::{Row, Scope};
use crate::model::stage::Staging;
use crate::model::value::truth;
use crate::usp::fault::{Code, Fault};
use std::rc::Rc;

const VLANS: &str = "Device.Bridging.Bridge.{i}.VLAN.{i}.";
const PORTS: &str = "Device.Bridging.Bridge.{i}.Port.{i}.";

/// The port is the bridge's own: it has its name.
pub(super) fn management(scope: &Scope<'_>) -> Option<Value> {
    Some(Value::from(is_management(scope)))
}

fn is_management(scope: &Scope<'_>) -> bool {
    scope.let_text("name").as_deref() == Some(scope.key())
}

/// The bridge's own port stands on all others; another one on a socket, a VLAN or a Wi-Fi network.
pub(super) fn lower_layers(scope: &Scope<'_>) -> Option<Value> {
    if !is_management(scope) {
        return Some(Value::from(&*port_path(scope, scope.key()).unwrap_or_default()));
    }
    let others = below(scope, PORTS, scope.row?.parent.as_ref()?);
    let others = others.iter().filter(|row| &*row.key != scope.key());
    Some(Value::Array(others.map(|row| Value::from(row.path.trim_end_matches('.'))).collect()))
}

/// The rows of a table in a bridge.
fn below(scope: &Scope<'_>, table: &str, bridge: &Rc<Row>) -> Vec<Rc<Row>> {
    let Some(table) = scope.eval.schema.find(table) else { return Vec::new() };
    let path = scope.eval.table_path(table, Some(bridge));
    scope.eval.rows(table, Some(bridge), &path).to_vec()
}

/// A port as a VLAN lists it: its device, whether its frames are tagged, whether untagged ones belong to this VLAN. One
/// without a mark is untagged, and they do.
fn parse(entry: &str) -> (&str, bool, bool) {
    match entry.split_once(':') {
        Some((device, marks)) => (device, marks.contains('t'), marks.contains('*')),
        None => (entry, false, true),
    }
}

fn entries(section: &Section) -> impl Iterator<Item = &str> {
    section.list("ports").iter().flat_map(|entry| entry.split_whitespace())
}

/// Every port of every VLAN of the bridge.
pub(super) fn vlan_ports(scope: &Scope<'_>) -> Vec<(String, Value)> {
    let mut ports = Vec::new();
    let Some(bridge) = scope.row else { return ports };
    for vlan in below(scope, VLANS, bridge) {
        let Some((_, section)) = vlan.section() else { continue };
        for entry in entries(section) {
            let (device, tagged, _) = parse(entry);
            let element = Table::default().with("vlan", &*vlan.key).with("port", device).with("tagged", tagged);
            ports.push((format!("{}/{device}", vlan.key), Value::Table(element.with("section", &*section.name))));
        }
    }
    ports
}

/// Frames of the VLAN leave the port without a tag.
pub(super) fn untagged(scope: &Scope<'_>) -> Option<Value> {
    let tagged = scope.item()?.as_table()?.get("tagged").and_then(Value::as_i64);
    Some(Value::from(tagged != Some(1)))
}

/// Writes the port's entry with or without `t`; what untagged frames belong to stays.
pub(super) fn set_untagged(scope: &Scope<'_>, value: &str, staging: &mut Staging) -> Result<(), Fault> {
    let member = |name| scope.item()?.as_table()?.get(name)?.as_str();
    let refused = || Fault::new(Code::InternalError, "no such VLAN");
    let (name, port) = (member("section").ok_or_else(refused)?, member("port").ok_or_else(refused)?);
    let section = scope.uci("network").and_then(|package| package.section(name)).ok_or_else(refused)?;
    let tag = if truth(value) == Some(true) { ":u" } else { ":t" };
    let changed = entries(section).map(|entry| match parse(entry) {
        (device, _, pvid) if device == port => [device, tag, if pvid { "*" } else { "" }].concat().into(),
        _ => entry.into(),
    });
    staging.set("network", name, "ports", Some(OptValue::List(changed.collect())));
    Ok(())
}

/// What a port lets in.
pub(super) fn frames(scope: &Scope<'_>) -> Option<Value> {
    let bridge = scope.let_text("name")?;
    let filters = scope.file(&format!("/sys/class/net/{bridge}/bridge/vlan_filtering"))?.trim() == "1";
    let tagged = filters && !is_management(scope) && pvid(scope).is_none();
    Some(Value::from(if tagged { "AdmitOnlyVLANTagged" } else { "AdmitAll" }))
}

/// The VLAN that untagged frames belong to which come in here.
pub(super) fn pvid(scope: &Scope<'_>) -> Option<Value> {
    let vlans = below(scope, VLANS, scope.row?.parent.as_ref()?);
    let mut sections = vlans.iter().filter_map(|vlan| vlan.section()).map(|(_, section)| section);
    let own = |entry: &str| matches!(parse(entry), (device, _, true) if device == scope.key());
    let section = sections.find(|section| entries(section).any(own))?;
    section.text("vlan").map(Value::from)
}
