//! Rules of /etc/config/firewall: their order, their ports, the sets they ask, and what keeps one that is not filled in
//! from doing anything.

use super::device::is_mac;
use super::firewall::{PROTOCOLS, turned};
use crate::backend::Value;
use crate::backend::uci::{OptValue, Section};
use crate::model::eval::{Item, Row, Scope};
use crate::model::native::{Back, FilterFn};
use crate::model::stage::{Staging, table_of};
use crate::usp::fault::{Code, Fault};
use std::net::IpAddr;
use std::rc::Rc;

const SETS: &str = "Device.Firewall.Set.{i}.";
/// No packet that is forwarded has this address: a rule for nobody.
const NOBODY: &str = "0.0.0.0";
/// fw4 leaves a redirect out that leads to a negated address.
const NOWHERE: &str = "!0.0.0.0";
/// No zone is called so: fw4 leaves a rule out that names it.
const NO_ZONE: &str = "-";
const NO_MAC: &str = "00:00:00:00:00:00";

pub(super) fn refused(what: &'static str) -> Fault {
    Fault::new(Code::InvalidValue, what)
}

/// The rows beside this one.
fn beside(scope: &Scope<'_>) -> Option<Rc<[Rc<Row>]>> {
    let row = scope.row?;
    Some(scope.eval.rows(row.object, row.parent.as_ref(), table_of(&row.path)))
}

/// The place of a row's section in its file.
fn place(row: &Row) -> Option<usize> {
    if let Item::Section(_, at) = row.item { Some(at) } else { None }
}

/// The place of the rule among those of its table: the firewall asks them in the order of the file.
pub(super) fn order(scope: &Scope<'_>) -> Option<Value> {
    let own = place(scope.row?)?;
    let earlier = beside(scope)?.iter().filter_map(|row| place(row)).filter(|at| *at < own).count();
    Some(Value::from((earlier + 1).to_string().as_str()))
}

/// Moves the rule; those that stand there and below go down.
pub(super) fn set_order(scope: &Scope<'_>, value: &str, staging: &mut Staging) -> Result<(), Fault> {
    let wanted = value.parse::<usize>().unwrap_or_default().saturating_sub(1);
    let (Some(own), Some(rows), Some((package, section))) = (scope.row, beside(scope), scope.section()) else {
        return Err(refused("this has no place among others"));
    };
    let mut others: Vec<usize> = rows.iter().filter(|row| row.path != own.path).filter_map(|row| place(row)).collect();
    crate::order::sort(&mut others);
    let now = others.iter().filter(|at| place(own).is_some_and(|own| **at < own)).count();
    if now != wanted.min(others.len()) {
        let before = others.get(wanted).and_then(|at| package.sections.get(*at)).map(|s| &*s.name);
        staging.place(&package.name, &section.name, before);
    }
    Ok(())
}

fn any_protocol(section: &Section) -> bool {
    let mut names = section.list("proto").iter().flat_map(|text| text.split_whitespace());
    names.any(|name| matches!(name, "all" | "any" | "*"))
}

pub(super) fn has_ports(section: &Section) -> bool {
    ["src_port", "dest_port"].iter().any(|option| section.get(option).is_some())
}

/// A part of the ports a rule asks for; -1 where it does not ask.
pub(super) fn port(scope: &Scope<'_>, option: &str, part: FilterFn) -> Option<Value> {
    let text = scope.section()?.1.list(option).join(" ");
    let part = if text.is_empty() { None } else { part(scope, &text) };
    Some(Value::from(part.as_deref().unwrap_or("-1")))
}

/// Writes a part of them.
pub(super) fn set_port(
    scope: &Scope<'_>,
    option: &str,
    part: Back,
    value: &str,
    staging: &mut Staging,
) -> Result<(), Fault> {
    let old = scope.section().map(|(_, section)| section.list(option).join(" ")).unwrap_or_default();
    let new = part(scope, &old, value).ok_or_else(|| refused("the router has no ports like this"))?;
    put_ports(scope, option, (!new.is_empty()).then(|| OptValue::One(new.into())), staging)
}

/// fw4 asks for ports only where the protocol has some, and passes over them where it is any: a rule for every
/// protocol with a port would be one for all ports.
fn put_ports(scope: &Scope<'_>, option: &str, ports: Option<OptValue>, staging: &mut Staging) -> Result<(), Fault> {
    let (package, section) = scope.section().ok_or_else(|| refused("the rule is not configured here"))?;
    if ports.is_some() && any_protocol(section) {
        staging.set(&package.name, &section.name, "proto", Some(OptValue::One("tcpudp".into())));
    }
    staging.set(&package.name, &section.name, option, ports);
    Ok(())
}

/// Ports of a range that are listed at most: TR-181 has no place for the range itself.
const MAX_LISTED: usize = 256;

/// All ports of a list.
pub(super) fn dest_ports(scope: &Scope<'_>) -> Option<Value> {
    let all = scope.section()?.1.list("dest_port").join(" ");
    let range = |text: &str| {
        let (first, last) = text.split_once(['-', ':']).unwrap_or((text, text));
        Some(first.parse::<u16>().ok()?..=last.parse::<u16>().ok()?)
    };
    let ports = all.split_whitespace().filter_map(range).flatten().take(MAX_LISTED);
    let ports: Vec<String> = ports.map(|port| port.to_string()).collect();
    Some(Value::from(if all.is_empty() { "-1".to_string() } else { ports.join(",") }.as_str()))
}

pub(super) fn set_dest_ports(scope: &Scope<'_>, value: &str, staging: &mut Staging) -> Result<(), Fault> {
    let ports: Vec<Box<str>> = value.split(',').filter(|port| !matches!(*port, "" | "-1")).map(Into::into).collect();
    if !ports.iter().all(|port| port.parse::<u16>().is_ok_and(|port| port > 0)) {
        return Err(refused("the router has no ports like this"));
    }
    put_ports(scope, "dest_port", (!ports.is_empty()).then_some(OptValue::List(ports)), staging)
}

/// A protocol's number; `icmp` in a rule for IPv6 is ICMPv6.
pub(super) fn number(scope: &Scope<'_>, name: &str) -> Option<String> {
    let name = name.to_ascii_lowercase();
    let family = scope.section().and_then(|(_, section)| section.text("family"));
    let name = if name == "icmp" && family == Some("ipv6") { "icmpv6" } else { &name };
    let number = PROTOCOLS.iter().find(|(known, _)| *known == name).map_or(name, |(_, number)| *number);
    number.parse::<i64>().is_ok_and(|number| i16::try_from(number).is_ok()).then(|| number.to_string())
}

/// The numbers of several protocols.
pub(super) fn protocols(scope: &Scope<'_>, text: &str) -> Option<String> {
    let names = text.split([' ', ',']).filter(|name| !name.is_empty());
    let names = names.flat_map(|name| if name == "tcpudp" { vec!["tcp", "udp"] } else { vec![name] });
    Some(names.map(|name| number(scope, name)).collect::<Option<Vec<_>>>()?.join(","))
}

pub(super) fn set_protocols(scope: &Scope<'_>, _: &str, value: &str) -> Option<String> {
    if matches!(value, "" | "-1") {
        return Some(any(scope).to_string());
    }
    let name = |number: &str| {
        PROTOCOLS.iter().find(|(_, known)| *known == number).map_or(number, |(name, _)| *name).to_string()
    };
    let names: Vec<String> = value.split(',').map(name).collect();
    (!names.iter().any(|name| name == "all")).then(|| names.join(","))
}

/// Every protocol; of a rule that asks for ports, every one that has ports.
pub(super) fn any(scope: &Scope<'_>) -> &'static str {
    if scope.section().is_some_and(|(_, section)| has_ports(section)) { "tcpudp" } else { "all" }
}

/// An ICMP type without its codes.
pub(super) fn icmp(_: &Scope<'_>, text: &str) -> Option<String> {
    Some(text.split('/').next().unwrap_or(text).to_string())
}

pub(super) fn set_icmp(_: &Scope<'_>, _: &str, value: &str) -> Option<String> {
    Some(if value == "-1" { "" } else { value }.to_string())
}

/// The address of one host; none of a row that is not filled in.
pub(super) fn host(_: &Scope<'_>, text: &str) -> Option<String> {
    (text != NOBODY && text != NOWHERE).then(|| turned(text).1.split('/').next().unwrap_or(text).to_string())
}

/// A rule or a redirect without a host would be one for all of them, or for the router itself: then it is kept for none.
pub(super) fn set_host(scope: &Scope<'_>, _: &str, value: &str) -> Option<String> {
    let redirect = scope.section().is_some_and(|(_, section)| &*section.kind == "redirect");
    match value {
        "" if redirect => Some(NOWHERE.to_string()),
        "" => Some(NOBODY.to_string()),
        _ => value.parse::<IpAddr>().ok().map(|_| value.to_string()),
    }
}

/// A rule without a zone would be one for what the router sends: then it names one that is not there.
pub(super) fn set_inbound(scope: &Scope<'_>, old: &str, network: &str) -> Option<String> {
    match network {
        "" => Some(NO_ZONE.to_string()),
        _ => super::firewall::set_network(scope, old, network),
    }
}

/// `*` is every zone; without one the rule would be for what the router sends.
pub(super) fn set_all(_: &Scope<'_>, old: &str, value: &str) -> Option<String> {
    Some(
        if value == "1" {
            "*"
        } else if old == "*" {
            NO_ZONE
        } else {
            old
        }
        .to_string(),
    )
}

/// A MAC address in capitals; none of a row that is not filled in.
pub(super) fn mac(_: &Scope<'_>, text: &str) -> Option<String> {
    let text = turned(text).1;
    (text != NO_MAC).then(|| text.to_ascii_uppercase())
}

/// Replaces the address and keeps whether it is turned around.
pub(super) fn set_mac(_: &Scope<'_>, old: &str, value: &str) -> Option<String> {
    Some(if value.is_empty() { String::new() } else { format!("{}{value}", turned(old).0) })
}

/// The same for a row that must have an address.
pub(super) fn set_own_mac(_: &Scope<'_>, _: &str, value: &str) -> Option<String> {
    let value = if value.is_empty() { NO_MAC } else { value };
    is_mac(value).then(|| value.to_string())
}

/// A code point by number or by one of its names: `CS1`, `AF21`, `EF`, `BE`, `LE`.
pub(super) fn dscp(_: &Scope<'_>, text: &str) -> Option<String> {
    let name = turned(text).1.to_ascii_uppercase();
    let digits = |prefix| name.strip_prefix(prefix).and_then(|n: &str| n.parse::<u8>().ok());
    let hex = || u8::from_str_radix(name.strip_prefix("0X")?, 16).ok();
    let class = digits("CS").filter(|n| *n < 8).map(|n| n * 8);
    let assured = || digits("AF").map(|n| (n / 10, n % 10)).filter(|(x, y)| (1..=4).contains(x) && (1..=3).contains(y));
    let named = match &*name {
        "EF" => Some(46),
        "LE" => Some(1),
        "BE" => Some(0),
        _ => class.or_else(|| assured().map(|(x, y)| x * 8 + y * 2)).or_else(|| name.parse().ok()).or_else(hex),
    };
    named.filter(|n| *n < 64).map(|n| n.to_string())
}

pub(super) fn set_dscp(_: &Scope<'_>, old: &str, value: &str) -> Option<String> {
    match value.parse::<i8>().ok()? {
        -1 => Some(String::new()),
        number @ 0..64 => Some(format!("{}{number}", turned(old).0)),
        _ => None,
    }
}

/// `name dir`, turned around with `!`: the section of the set, whether it is for what a packet goes to, and whether it
/// is turned around.
fn set_of<'p>(scope: &Scope<'p>, text: &str) -> Option<(&'p Section, bool, bool)> {
    let not = text.starts_with('!');
    let mut words = text.trim_start_matches('!').split([' ', '\t', ',']).filter(|word| !word.is_empty());
    let name = words.next()?;
    let set = scope.uci("firewall")?.of_kind("ipset").find(|set| set.text("name") == Some(name))?;
    let direction = words.next().or_else(|| set.list("match").first().map(|m| &**m)).unwrap_or_default();
    Some((set, direction.starts_with('d'), not))
}

/// The set a rule asks in this way.
pub(super) fn set(scope: &Scope<'_>, text: &str, dest: bool, not: bool) -> Option<String> {
    let (section, ..) = set_of(scope, text).filter(|(_, d, n)| (*d, *n) == (dest, not))?;
    let table = scope.eval.schema.find(SETS)?;
    let row = scope.eval.find_row(table, &mut |row| row.section().is_some_and(|(_, s)| s.name == section.name))?;
    Some(row.key.to_string())
}

/// Makes the rule ask a set in this way, which is then the only one.
pub(super) fn set_set(scope: &Scope<'_>, old: &str, key: &str, dest: bool, not: bool) -> Option<String> {
    if key.is_empty() {
        let own = set(scope, old, dest, not).is_some();
        return Some(if own { String::new() } else { old.to_string() });
    }
    let row = scope.eval.row_by_key(scope.eval.schema.find(SETS)?, key)?;
    let name = row.section()?.1.text("name")?;
    Some(format!("{}{name} {}", if not { "!" } else { "" }, if dest { "dest" } else { "src" }))
}

/// What is done with traffic the other way of a forwarding: there is one too, or what is done with all that none is for.
pub(super) fn reverse(scope: &Scope<'_>) -> Option<Value> {
    let (package, section) = scope.section()?;
    let (from, to) = (section.text("src")?, section.text("dest")?);
    let back = |other: &&Section| {
        other.text("src") == Some(to) && other.text("dest") == Some(from) && other.text("enabled") != Some("0")
    };
    let policy = || package.of_kind("defaults").next().and_then(|defaults| defaults.text("forward"));
    let policy = if package.of_kind("forwarding").any(|other| back(&other)) { Some("ACCEPT") } else { policy() };
    Some(Value::from(match policy.unwrap_or("DROP").to_ascii_uppercase().as_str() {
        "ACCEPT" => "Accept",
        "REJECT" => "Reject",
        _ => "Drop",
    }))
}
