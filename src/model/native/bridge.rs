//! Bridge ports: what is plugged in, and which VLANs go through them.

use super::link::port_path;
use crate::backend::uci::Section;
use crate::backend::{Table, Value};
use crate::model::eval::{Row, Scope};
use std::rc::Rc;

pub(super) const VLANS: &str = "Device.Bridging.Bridge.{i}.VLAN.{i}.";
/// A port of a VLAN of which it is not said yet which it is: a section that netifd passes over. One of its own type
/// would make the bridge filter.
pub(super) const DRAFT: &str = "vlanport";
pub(super) const PORTS: &str = "Device.Bridging.Bridge.{i}.Port.{i}.";

/// The port is the bridge's own: it has its name.
pub(super) fn management(scope: &Scope<'_>) -> Option<Value> {
    Some(Value::from(is_management(scope)))
}

pub(super) fn is_management(scope: &Scope<'_>) -> bool {
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
pub(super) fn below(scope: &Scope<'_>, table: &str, bridge: &Rc<Row>) -> Vec<Rc<Row>> {
    let Some(table) = scope.eval.schema.find(table) else { return Vec::new() };
    let path = scope.eval.table_path(table, Some(bridge));
    scope.eval.rows(table, Some(bridge), &path).to_vec()
}

/// A port as a VLAN lists it: its device, whether its frames are tagged, whether untagged ones belong to this VLAN. One
/// without a mark is untagged, and they do.
pub(super) fn parse(entry: &str) -> (&str, bool, bool) {
    match entry.split_once(':') {
        Some((device, marks)) => (device, marks.contains('t'), marks.contains('*')),
        None => (entry, false, true),
    }
}

pub(super) fn entries(section: &Section) -> impl Iterator<Item = &str> {
    section.list("ports").iter().flat_map(|entry| entry.split_whitespace())
}

/// Every port of every VLAN of the bridge, and those of which it is not said yet.
pub(super) fn vlan_ports(scope: &Scope<'_>) -> Vec<(String, Value)> {
    let mut ports = Vec::new();
    let Some(bridge) = scope.row else { return ports };
    for vlan in below(scope, VLANS, bridge) {
        let Some((_, section)) = vlan.section() else { continue };
        for entry in entries(section) {
            ports.push((format!("{}/{}", vlan.key, parse(entry).0), element(&vlan.key, entry, section)));
        }
    }
    let name = scope.let_text("name");
    let drafts = scope.uci("network").into_iter().flat_map(|network| network.of_kind(DRAFT));
    for draft in drafts.filter(|draft| draft.text("bridge") == name.as_deref()) {
        let (vlan, port) = (draft.text("vlan").unwrap_or_default(), draft.text("port").unwrap_or_default());
        ports.push((draft.name.to_string(), element(vlan, port, draft)));
    }
    ports
}

fn element(vlan: &str, entry: &str, section: &Section) -> Value {
    let (port, tagged, _) = parse(entry);
    let element = Table::default().with("vlan", vlan).with("port", port).with("tagged", tagged);
    Value::Table(element.with("section", &*section.name))
}

/// Frames of the VLAN leave the port without a tag.
pub(super) fn untagged(scope: &Scope<'_>) -> Option<Value> {
    let tagged = scope.item()?.as_table()?.get("tagged").and_then(Value::as_i64);
    Some(Value::from(tagged != Some(1)))
}

/// The row of the bridge that the row of a VLAN's port names.
pub(super) fn named(scope: &Scope<'_>, member: &str, table: &str) -> Option<Value> {
    let key = scope.item()?.as_table()?.get(member)?.as_str()?;
    let rows = below(scope, table, scope.row?.parent.as_ref()?);
    let row = rows.iter().find(|row| &*row.key == key)?;
    Some(Value::from(row.path.trim_end_matches('.')))
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
