//! Name servers: those an interface of /etc/config/network or dnsmasq states, and those that netifd was told.

use super::network::{interfaces, text};
use crate::backend::uci::{OptValue, Section};
use crate::backend::{Table, Value};
use crate::model::eval::Scope;
use crate::model::stage::Staging;
use crate::usp::fault::{Code, Fault};
use std::net::IpAddr;

/// A created server that nobody filled in yet: dnsmasq leaves it out, being no other machine.
const EMPTY: &str = "0.0.0.0";

/// A list of servers in UCI: package, option.
type Place = (&'static str, &'static str);
const OF_INTERFACE: Place = ("network", "dns");
const OF_DNSMASQ: Place = ("dhcp", "server");

/// What the router itself asks.
pub(super) fn servers(scope: &Scope<'_>) -> Vec<(String, Value)> {
    let sections = || scope.uci("network").into_iter().flat_map(|p| p.of_kind("interface"));
    let stated = sections().flat_map(|section| stated(section, OF_INTERFACE, &section.name));
    let mut all: Vec<_> = stated.collect();
    for interface in interfaces(scope).iter().filter_map(Value::as_table) {
        let name = text(interface, "interface").unwrap_or_default();
        let own = sections().find(|s| *s.name == *name).map_or(&[][..], |s| s.list("dns"));
        let told = interface.get("dns-server").and_then(Value::as_array).unwrap_or(&[]);
        let told = told.iter().filter_map(Value::as_str).filter(|server| !own.iter().any(|o| has(o, server)));
        let kind = kind(text(interface, "proto").unwrap_or_default());
        all.extend(told.map(|server| (format!("{name}/{server}"), element(server, name, kind))));
    }
    all
}

/// What dnsmasq asks: its own servers, and where it reads resolv.conf too, those of the router.
pub(super) fn forwarding(scope: &Scope<'_>) -> Vec<(String, Value)> {
    let Some(dnsmasq) = dnsmasq(scope) else { return Vec::new() };
    let mut all: Vec<_> = stated(dnsmasq, OF_DNSMASQ, "").collect();
    if dnsmasq.text("noresolv") != Some("1") {
        // They are changed where they stand, in Device.DNS.Client.
        all.extend(servers(scope).into_iter().map(|(key, mut value)| {
            if let Value::Table(Table(members)) = &mut value {
                members.retain(|(name, _)| &**name != "section");
            }
            (key, value)
        }));
    }
    all
}

fn dnsmasq<'a>(scope: &Scope<'a>) -> Option<&'a Section> {
    scope.uci("dhcp")?.of_kind("dnsmasq").next()
}

fn has(option: &str, server: &str) -> bool {
    option.split_whitespace().any(|own| own == server)
}

/// The servers of a list. Those with a domain (`/lan/192.0.2.1`) are for its names only.
fn stated<'s>(section: &'s Section, place: Place, interface: &'s str) -> impl Iterator<Item = (String, Value)> + 's {
    let one = move |(at, server): (usize, &str)| {
        let address = server.split(['#', '@']).next().unwrap_or(server);
        address.parse::<IpAddr>().ok()?;
        let shown = if address == EMPTY { "" } else { address };
        let Value::Table(row) = element(shown, interface, "Static") else { return None };
        let row = row.with("section", &*section.name).with("option", place.1);
        Some((format!("{}/static-{}", section.name, at + 1), Value::Table(row)))
    };
    items(section, place.1).enumerate().filter_map(one)
}

fn items<'s>(section: &'s Section, option: &str) -> impl Iterator<Item = &'s str> {
    section.list(option).iter().flat_map(|text| text.split_whitespace())
}

fn element(server: &str, interface: &str, kind: &str) -> Value {
    Value::Table(Table::default().with("server", server).with("interface", interface).with("type", kind))
}

fn kind(proto: &str) -> &'static str {
    match proto {
        "dhcp" => "DHCPv4",
        "dhcpv6" => "DHCPv6",
        "ppp" | "pppoe" | "pppoa" | "pptp" | "l2tp" => "IPCP",
        "qmi" | "mbim" | "ncm" | "modemmanager" | "3g" => "3GPP-NAS",
        _ => "Static",
    }
}

/// Replaces a stated server.
pub(super) fn set_server(scope: &Scope<'_>, value: &str, staging: &mut Staging) -> Result<(), Fault> {
    value.parse::<IpAddr>().map_err(|_| Fault::new(Code::InvalidValue, "DNSServer is not an IP address"))?;
    change(scope, Code::ParameterReadOnly, staging, |list, at| {
        if let Some(item) = list.get_mut(at) {
            *item = value.into();
        }
    })
}

pub(super) fn server(scope: &Scope<'_>) -> Option<Value> {
    scope.item()?.as_table()?.get("server").cloned()
}

/// Changes the list that the row stands in.
fn change(
    scope: &Scope<'_>,
    refused: Code,
    staging: &mut Staging,
    edit: impl FnOnce(&mut Vec<Box<str>>, usize),
) -> Result<(), Fault> {
    let row = scope.item().and_then(Value::as_table);
    let place = row.and_then(|row| Some((text(row, "section")?, text(row, "option")?)));
    let at = scope.key().rsplit_once("/static-").and_then(|(_, n)| n.parse::<usize>().ok()?.checked_sub(1));
    let (Some((section, option)), Some(at)) = (place, at) else {
        return Err(Fault::new(refused, "the server is not stated here"));
    };
    let package = if option == OF_DNSMASQ.1 { OF_DNSMASQ.0 } else { OF_INTERFACE.0 };
    let found = scope.uci(package).and_then(|p| p.section(section));
    let mut list: Vec<Box<str>> = found.into_iter().flat_map(|s| items(s, option)).map(Into::into).collect();
    edit(&mut list, at);
    staging.set(package, section, option, (!list.is_empty()).then_some(OptValue::List(list)));
    Ok(())
}

pub(super) fn delete(scope: &Scope<'_>, staging: &mut Staging) -> Result<(), Fault> {
    change(scope, Code::ObjectNotDeleted, staging, |list, at| {
        if at < list.len() {
            list.remove(at);
        }
    })
}

/// A server of the interface that leads to the world, called `wan` in every image; else of the first there is.
pub(super) fn create(scope: &Scope<'_>, staging: &mut Staging) -> Result<String, Fault> {
    let network = scope.uci("network");
    let section = network.and_then(|p| {
        let mut all = p.of_kind("interface").filter(|s| s.text("device") != Some("lo"));
        p.section("wan").or_else(|| all.next())
    });
    append(section, OF_INTERFACE, staging)
}

/// The paths of all servers dnsmasq asks.
pub(super) fn forwarders(scope: &Scope<'_>) -> Option<Value> {
    let table = scope.eval.schema.find("Device.DNS.Relay.Forwarding.{i}.")?;
    let rows = scope.eval.rows(table, None, "Device.DNS.Relay.Forwarding.");
    Some(Value::Array(rows.iter().map(|row| Value::from(row.path.trim_end_matches('.'))).collect()))
}

pub(super) fn zone(scope: &Scope<'_>) -> Option<Value> {
    dnsmasq(scope)?.text("domain").map(Value::from)
}

/// Renames the domain of the home; where dnsmasq was told to keep questions about it to itself, it still does.
pub(super) fn set_zone(scope: &Scope<'_>, value: &str, staging: &mut Staging) -> Result<(), Fault> {
    let section = dnsmasq(scope).filter(|_| !value.is_empty() && is_domain(value));
    let section = section.ok_or_else(|| Fault::new(Code::InvalidValue, "Name is not a domain name"))?;
    let set = |staging: &mut Staging, option: &str, text: String| {
        staging.set(OF_DNSMASQ.0, &section.name, option, Some(OptValue::One(text.into())));
    };
    if section.text("local") == Some(&format!("/{}/", section.text("domain").unwrap_or_default())) {
        set(staging, "local", format!("/{value}/"));
    }
    set(staging, "domain", value.to_string());
    Ok(())
}

/// Letters, digits and what joins them: dnsmasq's lists are split at blanks.
pub(super) fn is_domain(text: &str) -> bool {
    text.chars().all(|c| c.is_ascii_alphanumeric() || "-._".contains(c))
}

pub(super) fn create_forwarding(scope: &Scope<'_>, staging: &mut Staging) -> Result<String, Fault> {
    append(dnsmasq(scope), OF_DNSMASQ, staging)
}

fn append(section: Option<&Section>, place: Place, staging: &mut Staging) -> Result<String, Fault> {
    let section = section.ok_or_else(|| Fault::new(Code::ObjectNotCreated, "there is nothing to add a server to"))?;
    let mut list: Vec<Box<str>> = items(section, place.1).map(Into::into).collect();
    list.push(EMPTY.into());
    let key = format!("{}/static-{}", section.name, list.len());
    staging.set(place.0, &section.name, place.1, Some(OptValue::List(list)));
    Ok(key)
}
