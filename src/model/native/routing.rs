//! Routes: sections of /etc/config/network, and the kernel's main table for what nobody configured.

use super::network::{Network, entries, interface, interface_of_device, interfaces, prefix_length, text};
use crate::backend::uci::{OptValue, Package, Section};
use crate::backend::{Table, Value};
use crate::model::eval::Scope;
use crate::model::stage::Staging;
use crate::model::value::truth;
use crate::usp::fault::{Code, Fault};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// RT_TABLE_MAIN.
const MAIN: i64 = 254;
/// RTN_UNICAST.
const UNICAST: i64 = 1;

/// Routing tables for marked packets count from here: the kernel's own and those of other programs are below.
const FIRST_TABLE: u32 = 10_000;

/// A destination: address and prefix length.
type Target = (IpAddr, u8);

/// `10.20.0.0/16`; what has no length is one address.
fn target(text: &str) -> Option<Target> {
    let (address, length) = text.split_once('/').unwrap_or((text, ""));
    let address: IpAddr = address.parse().ok()?;
    let most = if address.is_ipv4() { 32 } else { 128 };
    let length = if length.is_empty() { most } else { length.parse().ok()? };
    (length <= most).then_some((address, length))
}

/// Where a section's route leads; without a target it is the default route, as netifd has it.
fn target_of(section: &Section) -> Option<Target> {
    match (section.text("target"), &*section.kind) {
        (None, "route6") => Some((Ipv6Addr::UNSPECIFIED.into(), 0)),
        (None, _) => Some((Ipv4Addr::UNSPECIFIED.into(), 0)),
        (Some(text), "route6") => target(text),
        (Some(text), _) => Network::parse(text, section.text("netmask")).map(|n| (n.address.into(), n.length)),
    }
}

fn number(route: &Table, member: &str) -> Option<i64> {
    route.get(member)?.as_i64()
}

/// The kernel's routes of a family in a table.
fn routes<'a>(scope: &Scope<'a>, family: i64, table: i64) -> Vec<&'a Table> {
    let here = |route: &&Table| number(route, "family") == Some(family) && number(route, "table") == Some(table);
    entries(scope, "route").filter(here).collect()
}

/// A section and a route of the kernel say the same.
fn same(scope: &Scope<'_>, section: &Section, route: &Table) -> bool {
    let device = text(route, "dev").unwrap_or_default();
    let named = section.text("interface");
    let metric = section.text("metric").and_then(|m| m.parse::<i64>().ok());
    target_of(section) == text(route, "target").and_then(target)
        && section.text("gateway").is_none_or(|gateway| text(route, "gateway") == Some(gateway))
        && metric.is_none_or(|metric| number(route, "metric") == Some(metric))
        && (section.text("type").is_some_and(|kind| kind != "unicast")
            || named.is_none_or(|name| interface_of_device(scope, device) == Some(name)))
}

/// The interface a route goes through. IPv4 and IPv6 may have one each on a device.
fn interface_of<'a>(scope: &Scope<'a>, device: &str, family: i64) -> Option<&'a str> {
    let mut all = interfaces(scope).iter().filter_map(Value::as_table);
    let of_six = |i: &&Table| text(i, "l3_device") == Some(device) && text(i, "proto") == Some("dhcpv6");
    let six = all.find(of_six).filter(|_| family == 6).and_then(|i| text(i, "interface"));
    six.or_else(|| interface_of_device(scope, device))
}

/// The interface's protocol or the routing daemon that made a route.
fn origin(scope: &Scope<'_>, route: &Table, name: &str, six: bool) -> &'static str {
    let proto = interface(scope, name).and_then(|i| text(i, "proto"));
    match (number(route, "protocol"), proto, six) {
        // RTPROT_RA, RTPROT_OSPF, RTPROT_RIP.
        (Some(9), ..) => "RA",
        (Some(188), ..) => "OSPF",
        (Some(189), _, false) => "RIP",
        (Some(189), _, true) => "RIPng",
        // RTPROT_KERNEL: of an address, by whatever way that came.
        (Some(2), _, true) => "Static",
        (_, Some("dhcp"), false) => "DHCPv4",
        // A router that DHCPv6 is spoken with tells its routes by advertisements.
        (_, Some("dhcpv6"), true) => "RA",
        (_, Some("ppp" | "pppoe" | "pppoa" | "pptp" | "l2tp"), false) => "IPCP",
        (_, Some("3g" | "mbim" | "modemmanager" | "ncm" | "qmi"), _) => "3GPP-NAS",
        _ => "Static",
    }
}

/// Routes that no section of `kind` stands behind.
fn active(scope: &Scope<'_>, family: i64, kind: &str) -> Vec<(String, Value)> {
    let stated: Vec<&Section> = scope.uci("network").map(|p| p.of_kind(kind).collect()).unwrap_or_default();
    let mut rows = Vec::new();
    for route in routes(scope, family, MAIN).into_iter().filter(|route| number(route, "type") == Some(UNICAST)) {
        if stated.iter().any(|section| !is_disabled(section) && same(scope, section, route)) {
            continue;
        }
        let (Some(target), Some(device)) = (text(route, "target"), text(route, "dev")) else { continue };
        let gateway = text(route, "gateway").unwrap_or_default();
        let name = interface_of(scope, device, family).unwrap_or_default();
        let metric = number(route, "metric").unwrap_or_default();
        let mut element = Table::default()
            .with("target", target)
            .with("gateway", gateway)
            .with("interface", name)
            .with("origin", origin(scope, route, name, family == 6));
        element.0.extend(["metric", "expires"].iter().filter_map(|m| Some(((*m).into(), route.get(m)?.clone()))));
        rows.push(([target, gateway, device, &metric.to_string()].join(" "), Value::Table(element)));
    }
    rows
}

/// A number packets are marked with: `16`, `0x10`, `0x10/0xff`.
pub(super) fn mark(text: &str) -> Option<u32> {
    let number = text.split('/').next().unwrap_or(text);
    number.strip_prefix("0x").map_or_else(|| number.parse().ok(), |digits| u32::from_str_radix(digits, 16).ok())
}

/// The rules of /etc/config/network that send marked packets by a table: the table and the mark.
fn rules<'a>(scope: &Scope<'a>) -> Vec<(&'a str, u32)> {
    let Some((package, section)) = scope.section() else { return Vec::new() };
    let kind = if &*section.kind == "route6" { "rule6" } else { "rule" };
    let rules = package.sections.iter().filter(|rule| &*rule.kind == kind && !is_disabled(rule));
    rules.filter_map(|rule| Some((rule.text("lookup")?, rule.text("mark").and_then(mark)?))).collect()
}

/// The mark of the packets that the route's table is for; -1 where it is for all.
pub(super) fn policy(scope: &Scope<'_>) -> Option<Value> {
    let table = scope.section().and_then(|(_, section)| section.text("table"));
    let rule = table.and_then(|table| rules(scope).into_iter().find(|(lookup, _)| *lookup == table));
    Some(Value::from(rule.map_or("-1".to_string(), |(_, mark)| mark.to_string()).as_str()))
}

/// Puts the route into the table of such packets. Where there is none yet, there is a rule more.
pub(super) fn set_policy(scope: &Scope<'_>, value: &str, staging: &mut Staging) -> Result<(), Fault> {
    let (package, section) = section(scope)?;
    let Ok(mark) = value.parse::<u32>() else { return put(scope, staging, "table", None) };
    let known = rules(scope).into_iter().find(|(_, known)| *known == mark).map(|(table, _)| table.to_string());
    let table = known.unwrap_or_else(|| {
        let six = &*section.kind == "route6";
        let (name, kind) = if six { (format!("policy6_{mark}"), "rule6") } else { (format!("policy_{mark}"), "rule") };
        let table = FIRST_TABLE.saturating_add(mark).to_string();
        if package.section(&name).is_none() {
            staging.add(&package.name, &name, kind);
        }
        for (option, value) in [("mark", value), ("lookup", &*table)] {
            staging.set(&package.name, &name, option, Some(OptValue::One(value.into())));
        }
        table
    });
    put(scope, staging, "table", Some(table))
}

pub(super) fn ipv4(scope: &Scope<'_>) -> Vec<(String, Value)> {
    active(scope, 4, "route")
}

pub(super) fn ipv6(scope: &Scope<'_>) -> Vec<(String, Value)> {
    active(scope, 6, "route6")
}

fn is_disabled(section: &Section) -> bool {
    section.text("disabled").and_then(truth) == Some(true)
}

/// `Enabled` where the kernel really has the route.
pub(super) fn status(scope: &Scope<'_>) -> Option<Value> {
    let Some((_, section)) = scope.section() else { return Some(Value::from("Enabled")) };
    let family = if &*section.kind == "route6" { 6 } else { 4 };
    let table = section.text("table").and_then(|table| table.parse().ok()).unwrap_or(MAIN);
    Some(Value::from(if is_disabled(section) {
        "Disabled"
    } else if target_of(section).is_none() || section.text("interface").is_none() {
        "Error_Misconfigured"
    } else if routes(scope, family, table).into_iter().any(|route| same(scope, section, route)) {
        "Enabled"
    } else {
        "Error"
    }))
}

/// Where the row's route leads.
fn destination(scope: &Scope<'_>) -> Option<Target> {
    match scope.item() {
        Some(item) => target(text(item.as_table()?, "target")?),
        None => target_of(scope.section()?.1),
    }
}

/// Empty for the default route.
pub(super) fn address(scope: &Scope<'_>) -> Option<Value> {
    let (address, length) = destination(scope)?;
    Some(Value::from(&*if length == 0 { String::new() } else { address.to_string() }))
}

/// Empty for the default route.
pub(super) fn mask(scope: &Scope<'_>) -> Option<Value> {
    let (_, length) = destination(scope)?;
    let mask = Network { address: Ipv4Addr::UNSPECIFIED, length }.mask();
    Some(Value::from(&*if length == 0 { String::new() } else { mask.to_string() }))
}

/// The IPv6 prefix; empty where a new row has none yet.
pub(super) fn prefix(scope: &Scope<'_>) -> Option<Value> {
    let (address, length) = destination(scope)?;
    Some(Value::from(&*format!("{address}/{length}")))
}

/// The section behind the row, and its package.
fn section<'a>(scope: &Scope<'a>) -> Result<(&'a Package, &'a Section), Fault> {
    scope.section().ok_or_else(|| Fault::new(Code::ParameterReadOnly, "the route is not configured here"))
}

fn invalid(what: &'static str) -> Fault {
    Fault::new(Code::InvalidValue, what)
}

fn put(scope: &Scope<'_>, staging: &mut Staging, option: &str, value: Option<String>) -> Result<(), Fault> {
    let (package, section) = section(scope)?;
    staging.set(&package.name, &section.name, option, value.map(|text| OptValue::One(text.into())));
    Ok(())
}

/// Writes a destination the way the section has it: with a netmask of its own, or with a length.
fn set_target(scope: &Scope<'_>, staging: &mut Staging, address: Ipv4Addr, length: u8) -> Result<(), Fault> {
    let network = Network { address, length };
    if section(scope)?.1.text("netmask").is_none() {
        return put(scope, staging, "target", Some(network.text()));
    }
    put(scope, staging, "target", Some(address.to_string()))?;
    put(scope, staging, "netmask", Some(network.mask().to_string()))
}

/// Changes the address and keeps the mask; one that had none is for a single host.
pub(super) fn set_address(scope: &Scope<'_>, value: &str, staging: &mut Staging) -> Result<(), Fault> {
    let length = target_of(section(scope)?.1).map_or(0, |(_, length)| length);
    match value.parse::<Ipv4Addr>() {
        _ if value.is_empty() => set_target(scope, staging, Ipv4Addr::UNSPECIFIED, 0),
        Ok(address) if address.is_unspecified() => set_target(scope, staging, address, 0),
        Ok(address) => set_target(scope, staging, address, if length == 0 { 32 } else { length }),
        Err(_) => Err(invalid("DestIPAddress is not an IPv4 address")),
    }
}

/// Changes the mask and keeps the address.
pub(super) fn set_mask(scope: &Scope<'_>, value: &str, staging: &mut Staging) -> Result<(), Fault> {
    let length = if value.is_empty() { Some(0) } else { prefix_length(value) };
    let length = length.ok_or_else(|| invalid("DestSubnetMask is not a network mask"))?;
    match target_of(section(scope)?.1) {
        Some((IpAddr::V4(address), _)) => set_target(scope, staging, address, length),
        _ => set_target(scope, staging, Ipv4Addr::UNSPECIFIED, length),
    }
}

pub(super) fn set_prefix(scope: &Scope<'_>, value: &str, staging: &mut Staging) -> Result<(), Fault> {
    let is_prefix = target(value).is_some_and(|(address, _)| address.is_ipv6()) && value.contains('/');
    match value {
        "" => put(scope, staging, "target", Some("::/0".to_string())),
        _ if is_prefix => put(scope, staging, "target", Some(value.to_string())),
        _ => Err(invalid("DestIPPrefix is not an IPv6 prefix")),
    }
}

/// The router that the route leads over; empty where there is none.
pub(super) fn next_hop(scope: &Scope<'_>) -> Option<Value> {
    let gateway = match scope.item() {
        Some(item) => text(item.as_table()?, "gateway"),
        None => scope.section()?.1.text("gateway"),
    };
    Some(Value::from(gateway.unwrap_or_default()))
}

pub(super) fn set_next_hop(scope: &Scope<'_>, value: &str, staging: &mut Staging) -> Result<(), Fault> {
    if !value.is_empty() && value.parse::<Ipv6Addr>().is_err() {
        return Err(invalid("NextHop is not an IPv6 address"));
    }
    put(scope, staging, "gateway", (!value.is_empty()).then(|| value.to_string()))
}

/// The metric; -1 where none is stated.
pub(super) fn metric(scope: &Scope<'_>) -> Option<Value> {
    let metric = match scope.item() {
        Some(item) => number(item.as_table()?, "metric"),
        None => scope.section()?.1.text("metric").and_then(|metric| metric.parse().ok()),
    };
    Some(Value::from(&*metric.unwrap_or(-1).to_string()))
}

pub(super) fn set_metric(scope: &Scope<'_>, value: &str, staging: &mut Staging) -> Result<(), Fault> {
    put(scope, staging, "metric", (value != "-1").then(|| value.to_string()))
}
