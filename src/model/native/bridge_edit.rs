//! Changes of bridges: what is plugged in, and which VLANs go through it.

use super::bridge::{DRAFT, PORTS, VLANS, below, entries, is_management, parse};
use super::firewall_rule::refused;
use crate::backend::uci::{OptValue, Package, Section};
use crate::model::eval::{Row, Scope};
use crate::model::resolve::row_at;
use crate::model::stage::Staging;
use crate::model::value::truth;
use crate::usp::fault::{Code, Fault};
use std::rc::Rc;

const VLAN_PORTS: &str = "Device.Bridging.Bridge.{i}.VLANPort.{i}.";

fn put(staging: &mut Staging, section: &str, all: Vec<String>) {
    let all: Vec<Box<str>> = all.into_iter().map(Into::into).collect();
    staging.set("network", section, "ports", (!all.is_empty()).then_some(OptValue::List(all)));
}

/// The bridge's section as it is staged now.
fn bridge<'a>(scope: &Scope<'a>) -> Result<(&'a Package, &'a Section), Fault> {
    let found = scope.section().and_then(|(package, section)| {
        let package = scope.uci(&package.name)?;
        Some((&**package, package.section(&section.name)?))
    });
    found.ok_or_else(|| refused("the bridge is not configured here"))
}

/// The VLANs of the bridge.
fn vlans<'a>(package: &'a Package, bridge: &Section) -> impl Iterator<Item = &'a Section> {
    let name = bridge.text("name").map(str::to_string);
    package.of_kind("bridge-vlan").filter(move |vlan| vlan.text("device") == name.as_deref())
}

fn next(scope: &Scope<'_>, table: &str) -> u32 {
    let table = scope.eval.schema.find(table).map(|table| scope.eval.table_path(table, scope.row.map(|row| &**row)));
    table.map_or(1, |path| scope.eval.instances.borrow().next(&path))
}

fn no_device(number: u32) -> String {
    format!("port_{number}")
}

/// Plugs in what is not there yet.
pub(super) fn create_port(scope: &Scope<'_>, staging: &mut Staging) -> Result<String, Fault> {
    let (_, section) = bridge(scope)?;
    let key = no_device(next(scope, PORTS));
    let all = entries(section).map(str::to_string).chain([key.clone()]);
    put(staging, &section.name, all.collect());
    Ok(key)
}

/// Pulls it out of the bridge and of its VLANs.
pub(super) fn delete_port(scope: &Scope<'_>, staging: &mut Staging) -> Result<(), Fault> {
    let (package, section) = bridge(scope)?;
    if is_management(scope) || !entries(section).any(|port| port == scope.key()) {
        return Err(Fault::new(Code::ObjectNotDeleted, "the port is not plugged in by the bridge's configuration"));
    }
    for section in [section].into_iter().chain(vlans(package, section)) {
        if entries(section).any(|entry| parse(entry).0 == scope.key()) {
            let rest = entries(section).filter(|entry| parse(entry).0 != scope.key());
            put(staging, &section.name, rest.map(str::to_string).collect());
        }
    }
    Ok(())
}

/// The device a port stands on.
fn device_of(scope: &Scope<'_>, value: &str) -> Option<String> {
    let row = row_at(scope.eval, value)?;
    let scope = Scope { eval: scope.eval, object: row.object, row: Some(&row) };
    match scope.schema().path {
        "Device.Ethernet.Interface.{i}." => Some(row.key.to_string()),
        "Device.Ethernet.VLANTermination.{i}." => scope.let_text("dev"),
        _ => None,
    }
}

/// Plugs another device in at this port, in its VLANs too.
pub(super) fn set_lower_layers(scope: &Scope<'_>, value: &str, staging: &mut Staging) -> Result<(), Fault> {
    let (package, section) = bridge(scope)?;
    let row = scope.row.ok_or_else(|| refused("no such port"))?;
    if is_management(scope) || !entries(section).any(|port| port == scope.key()) {
        return Err(refused("the port is not plugged in by the bridge's configuration"));
    }
    let wanted =
        || device_of(scope, value).ok_or_else(|| refused("LowerLayers is one Ethernet.Interface or VLANTermination"));
    let device = if value.is_empty() { no_device(row.number) } else { wanted()? };
    let mut bridges = package.of_kind("device").filter(|device| device.text("type") == Some("bridge"));
    if device == scope.key() {
        return Ok(());
    }
    if bridges.any(|bridge| entries(bridge).any(|port| port == device)) {
        return Err(refused("it is plugged into a bridge already"));
    }
    for section in [section].into_iter().chain(vlans(package, section)) {
        if entries(section).any(|entry| parse(entry).0 == scope.key()) {
            let renamed = |entry: &str| match entry.strip_prefix(scope.key()) {
                Some(marks) if parse(entry).0 == scope.key() => format!("{device}{marks}"),
                _ => entry.to_string(),
            };
            put(staging, &section.name, entries(section).map(renamed).collect());
        }
    }
    for member in row.parent.iter().flat_map(|bridge| below(scope, VLAN_PORTS, bridge)) {
        if let Some((vlan, _)) = member.key.rsplit_once('/').filter(|(_, port)| *port == scope.key()) {
            staging.rename(&member.path, &member.key, &format!("{vlan}/{device}"));
        }
    }
    staging.rename(&row.path, scope.key(), &device);
    Ok(())
}

/// Makes this the VLAN of what comes in here without a tag; the port must be in it.
pub(super) fn set_pvid(scope: &Scope<'_>, value: &str, staging: &mut Staging) -> Result<(), Fault> {
    let (package, section) = bridge(scope)?;
    let is_here = |entry: &&str| parse(entry).0 == scope.key();
    let member = |vlan: &&Section| vlan.text("vlan") == Some(value) && entries(vlan).any(|entry| is_here(&entry));
    if !vlans(package, section).any(|vlan| member(&vlan)) {
        return Err(refused("the port is in no such VLAN"));
    }
    for vlan in vlans(package, section).filter(|vlan| entries(vlan).any(|entry| is_here(&entry))) {
        let own = vlan.text("vlan") == Some(value);
        let marked = |entry: &str| match parse(entry) {
            (port, tagged, pvid) if port == scope.key() && pvid != own => text(port, tagged, own),
            _ => entry.to_string(),
        };
        put(staging, &vlan.name, entries(vlan).map(marked).collect());
    }
    Ok(())
}

/// A port as a VLAN lists it.
fn text(port: &str, tagged: bool, pvid: bool) -> String {
    [port, if tagged { ":t" } else { ":u" }, if pvid { "*" } else { "" }].concat()
}

/// The row a path names, where it is in the same bridge.
fn beside(scope: &Scope<'_>, table: &str, value: &str) -> Option<Rc<Row>> {
    let own = scope.row?.parent.as_ref()?;
    let row = row_at(scope.eval, value)?;
    let same = row.parent.as_ref().is_some_and(|parent| parent.path == own.path);
    (same && scope.eval.schema.find(table) == Some(row.object)).then_some(row)
}

pub(super) fn set_vlan(scope: &Scope<'_>, value: &str, staging: &mut Staging) -> Result<(), Fault> {
    let row =
        beside(scope, VLANS, value).ok_or_else(|| refused("VLAN is one of this bridge; delete the row instead"))?;
    change(scope, Some(&row), None, None, staging)
}

pub(super) fn set_port(scope: &Scope<'_>, value: &str, staging: &mut Staging) -> Result<(), Fault> {
    let row =
        beside(scope, PORTS, value).ok_or_else(|| refused("Port is one of this bridge; delete the row instead"))?;
    change(scope, None, Some(&row.key), None, staging)
}

/// What untagged frames belong to stays.
pub(super) fn set_untagged(scope: &Scope<'_>, value: &str, staging: &mut Staging) -> Result<(), Fault> {
    change(scope, None, None, Some(truth(value) != Some(true)), staging)
}

/// Makes the row say something else; once VLAN and port are known it is an entry of the VLAN.
fn change(
    scope: &Scope<'_>,
    vlan: Option<&Row>,
    port: Option<&str>,
    tagged: Option<bool>,
    staging: &mut Staging,
) -> Result<(), Fault> {
    let none = || refused("no such VLAN");
    let item = scope.item().and_then(|item| item.as_table()).ok_or_else(none)?;
    let member = |name| item.get(name).and_then(|value| value.as_str()).unwrap_or_default();
    let (package, section) = bridge(scope)?;
    let (old_port, here) = (member("port"), package.section(member("section")).ok_or_else(none)?);
    let vlan_key = vlan.map_or(member("vlan"), |row| &*row.key);
    let port = port.unwrap_or(old_port);
    let tagged = tagged.unwrap_or_else(|| item.get("tagged").and_then(|t| t.as_i64()) == Some(1));
    let draft = &*here.kind == DRAFT;
    if vlan_key.is_empty() || port.is_empty() {
        let port = text(port, tagged, false);
        for (option, value) in [("vlan", vlan_key), ("port", &*port)] {
            staging.set("network", &here.name, option, (!value.is_empty()).then(|| OptValue::One(value.into())));
        }
        return Ok(());
    }
    let rows =
        scope.row.and_then(|row| row.parent.as_ref()).map(|bridge| below(scope, VLANS, bridge)).unwrap_or_default();
    let to = rows.iter().find(|row| *row.key == *vlan_key).and_then(|row| row.section()).ok_or_else(none)?.1;
    let stays = !draft && to.name == here.name;
    let is_own = |entry: &str| stays && parse(entry).0 == old_port;
    if entries(to).any(|entry| parse(entry).0 == port && !is_own(entry)) {
        return Err(refused("the port is in this VLAN already"));
    }
    let elsewhere = |vlan: &Section| vlan.name != here.name && entries(vlan).any(|e| parse(e).0 == port && parse(e).2);
    let pvid = match entries(to).find(|entry| is_own(entry) && port == old_port) {
        Some(entry) => parse(entry).2,
        None => !tagged && !vlans(package, section).any(elsewhere),
    };
    let mut all: Vec<String> = Vec::new();
    all.extend(entries(to).map(|entry| if is_own(entry) { text(port, tagged, pvid) } else { entry.to_string() }));
    if !stays {
        all.push(text(port, tagged, pvid));
    }
    if draft {
        staging.delete("network", &here.name);
    } else if !stays {
        leave(here, old_port, staging);
    }
    put(staging, &to.name, all);
    if let Some(row) = scope.row {
        staging.rename(&row.path, &row.key, &format!("{vlan_key}/{port}"));
    }
    Ok(())
}

fn leave(vlan: &Section, port: &str, staging: &mut Staging) {
    let rest = entries(vlan).filter(|entry| parse(entry).0 != port).map(str::to_string);
    put(staging, &vlan.name, rest.collect());
}

/// A row of which nothing is said yet.
pub(super) fn create_vlan_port(scope: &Scope<'_>, staging: &mut Staging) -> Result<String, Fault> {
    let (package, section) = bridge(scope)?;
    let mut number = next(scope, VLAN_PORTS);
    let mut key = format!("{DRAFT}_{number}");
    while package.section(&key).is_some() {
        number = number.wrapping_add(1);
        key = format!("{DRAFT}_{number}");
    }
    staging.add("network", &key, DRAFT);
    staging.set("network", &key, "bridge", section.text("name").map(|name| OptValue::One(name.into())));
    Ok(key)
}

/// Takes the port out of the VLAN.
pub(super) fn delete_vlan_port(scope: &Scope<'_>, staging: &mut Staging) -> Result<(), Fault> {
    let none = || Fault::new(Code::ObjectNotDeleted, "no such VLAN");
    let item = scope.item().and_then(|item| item.as_table()).ok_or_else(none)?;
    let member = |name| item.get(name).and_then(|value| value.as_str()).unwrap_or_default();
    let here = scope.uci("network").and_then(|package| package.section(member("section"))).ok_or_else(none)?;
    match &*here.kind == DRAFT {
        true => staging.delete("network", &here.name),
        false => leave(here, member("port"), staging),
    }
    Ok(())
}
