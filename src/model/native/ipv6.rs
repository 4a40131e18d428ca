//! IPv6 of an interface: the router's own prefix, what PPP agreed on, prefixes that are served, routes advertised to us.

use super::network::{entries, interface, interfaces, tables, text};
use crate::backend::uci::{OptValue, Section};
use crate::backend::{Table, Value};
use crate::model::eval::Scope;
use crate::model::stage::Staging;
use crate::model::value::truth;
use crate::usp::fault::{Code, Fault};
use std::net::Ipv6Addr;

const PREFIXES: &str = "Device.IP.Interface.{i}.IPv6Prefix.{i}.";
/// What netifd calls the prefix that the router made up itself.
const LOCAL: &str = "local";
/// How much of it an interface gets where nothing is stated, as OpenWrt's own configuration has it.
const ASSIGN: &str = "60";
/// The prefix length odhcpd delegates where nothing is stated.
const DELEGATED: i64 = 62;

fn classes(section: &Section) -> impl Iterator<Item = &str> {
    section.list("ip6class").iter().flat_map(|text| text.split_whitespace())
}

/// The interface gets a part of the router's own prefix: of any prefix, or of those it states.
pub(super) fn ula(scope: &Scope<'_>) -> Option<Value> {
    let network = scope.uci("network")?;
    let prefix = network.section("globals").and_then(|s| s.text("ula_prefix"));
    let section = network.section(scope.key())?;
    let takes = section.get("ip6class").is_none() || classes(section).any(|class| class == LOCAL);
    Some(Value::from(prefix.is_some() && section.text("ip6assign").is_some() && takes))
}

/// Without a list of its own an interface takes every prefix: what it takes then besides the local one is what netifd
/// has now.
pub(super) fn set_ula(scope: &Scope<'_>, value: &str, staging: &mut Staging) -> Result<(), Fault> {
    let section = scope.uci("network").and_then(|p| p.section(scope.key()));
    let section = section.ok_or_else(|| Fault::new(Code::ParameterReadOnly, "the interface is not configured here"))?;
    let stated = section.get("ip6class").is_some();
    let mut all: Vec<Box<str>> = match stated {
        true => classes(section).filter(|class| *class != LOCAL).map(Into::into).collect(),
        false => given_classes(scope),
    };
    if truth(value) == Some(true) {
        if section.text("ip6assign").is_none() {
            staging.set("network", &section.name, "ip6assign", Some(OptValue::One(ASSIGN.into())));
        }
        if !stated {
            return Ok(());
        }
        all.push(LOCAL.into());
    } else if section.text("ip6assign").is_none() {
        return Ok(());
    } else if all.is_empty() {
        return Err(Fault::new(Code::InvalidValue, "the interface has no other prefix to take"));
    }
    staging.set("network", &section.name, "ip6class", Some(OptValue::List(all)));
    Ok(())
}

/// The classes of the prefixes that interfaces were given.
fn given_classes(scope: &Scope<'_>) -> Vec<Box<str>> {
    let all = interfaces(scope).iter().filter_map(Value::as_table);
    let mut classes: Vec<Box<str>> = Vec::new();
    for class in all.flat_map(|i| tables(i, "ipv6-prefix")).filter_map(|prefix| text(prefix, "class")) {
        if !classes.iter().any(|known| **known == *class) {
            classes.push(class.into());
        }
    }
    classes
}

/// One end of a PPP link, as the kernel has it: the rightmost half of its address.
fn identifier(scope: &Scope<'_>, end: &str) -> Option<Value> {
    let device = scope.let_text("l3")?;
    let mut all = entries(scope, "addr").filter(|a| text(a, "dev") == Some(&*device));
    let address = all.find_map(|a| text(a, end)?.parse::<Ipv6Addr>().ok().filter(Ipv6Addr::is_unicast_link_local))?;
    let right = Ipv6Addr::from(u128::from(address) & u128::from(u64::MAX));
    Some(Value::from(right.to_string().as_str()))
}

pub(super) fn local_identifier(scope: &Scope<'_>) -> Option<Value> {
    identifier(scope, "address")
}

pub(super) fn remote_identifier(scope: &Scope<'_>) -> Option<Value> {
    identifier(scope, "peer")
}

/// Prefixes of the interface that the row's section names: what odhcpd advertises, and cuts addresses and prefixes from.
pub(super) fn served_prefixes(scope: &Scope<'_>) -> Option<Value> {
    let interface = scope.section()?.1.text("interface")?;
    let table = scope.eval.schema.find(PREFIXES)?;
    let mut paths = Vec::new();
    scope.eval.find_row(table, &mut |row| {
        let holder = row.parent.as_ref().map_or("", |parent| &*parent.key);
        // What an interface has to give away is not on its own link.
        let cut = row.element().and_then(Value::as_table).is_some_and(|item| item.get("local-address").is_some());
        if holder == interface && cut {
            paths.push(Value::from(row.path.trim_end_matches('.')));
        }
        false
    });
    Some(Value::Array(paths))
}

/// The length of the interface's own prefix: as netifd cut it, else as it is to cut it.
fn own_length(scope: &Scope<'_>, name: &str) -> Option<i64> {
    let cut = interface(scope, name).and_then(|i| tables(i, "ipv6-prefix-assignment").next()?.get("mask")?.as_i64());
    cut.or_else(|| scope.uci("network")?.section(name)?.text("ip6assign")?.parse().ok())
}

/// How much longer than the interface's own prefix a delegated one is at least.
pub(super) fn added_length(scope: &Scope<'_>) -> Option<Value> {
    let section = scope.section()?.1;
    let own = own_length(scope, section.text("interface")?)?;
    let stated = section.text("dhcpv6_pd_min_len").and_then(|text| text.parse().ok()).unwrap_or(DELEGATED);
    // odhcpd delegates no prefix as long as the interface's own.
    Some(Value::Int64(i64::max(stated - own, 1)))
}

pub(super) fn set_added_length(scope: &Scope<'_>, value: &str, staging: &mut Staging) -> Result<(), Fault> {
    let refused = || Fault::new(Code::InvalidValue, "no prefix of the interface is that long");
    let (package, section) = scope.section().ok_or_else(refused)?;
    let own = section.text("interface").and_then(|name| own_length(scope, name)).ok_or_else(refused)?;
    let length = value.parse::<i64>().ok().map(|added| own + added).filter(|n| (1..=64).contains(n));
    let length = OptValue::One(length.ok_or_else(refused)?.to_string().into());
    staging.set(&package.name, &section.name, "dhcpv6_pd_min_len", Some(length));
    Ok(())
}

/// The link-local address of a client of DHCPv6: of the neighbour that has the leased address.
pub(super) fn client_address(scope: &Scope<'_>) -> Option<Value> {
    let device = scope.let_text("dev")?;
    let here = |n: &&Table| text(n, "dev") == Some(&*device);
    let leased = tables(scope.item()?.as_table()?, "ipv6-addr").find_map(|a| text(a, "address"))?;
    let mac = entries(scope, "neigh").filter(here).find(|n| text(n, "address") == Some(leased))?;
    let mac = text(mac, "lladdr")?;
    let local = |a: &&str| a.parse::<Ipv6Addr>().is_ok_and(|ip| ip.is_unicast_link_local());
    let mut own = entries(scope, "neigh").filter(here).filter(|n| text(n, "lladdr") == Some(mac));
    own.find_map(|n| text(n, "address").filter(local)).map(Value::from)
}

/// What routers told of routes beside their own, one an interface: `item` is netifd's route. odhcp6c makes the
/// preference the metric.
pub(super) fn route_information(scope: &Scope<'_>) -> Vec<(String, Value)> {
    let row = |i: &Table| {
        let told = |r: &&Table| {
            let gateway = text(r, "nexthop").and_then(|g| g.parse::<Ipv6Addr>().ok());
            gateway.is_some_and(|g| !g.is_unspecified()) && r.get("mask").and_then(Value::as_i64) != Some(0)
        };
        let route = tables(i, "route").find(told).filter(|_| text(i, "proto") == Some("dhcpv6"))?;
        Some((text(i, "interface")?.to_string(), Value::Table(route.clone())))
    };
    interfaces(scope).iter().filter_map(Value::as_table).filter_map(row).collect()
}
