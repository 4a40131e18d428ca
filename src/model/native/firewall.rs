//! What /etc/config/firewall writes in one word and TR-181 has in several: zones, ports, addresses, protocols.

use super::firewall_rule::{any as any_of, number};
use crate::backend::uci::{Package, Section};
use crate::backend::{Table, Value};
use crate::model::eval::Scope;
use std::net::IpAddr;

/// Protocols by the names fw4 takes; others stand as numbers.
pub(super) const PROTOCOLS: &[(&str, &str)] = &[
    ("all", "-1"),
    ("any", "-1"),
    ("*", "-1"),
    ("icmp", "1"),
    ("igmp", "2"),
    ("tcp", "6"),
    ("udp", "17"),
    ("gre", "47"),
    ("esp", "50"),
    ("ah", "51"),
    ("icmpv6", "58"),
    ("ipv6-icmp", "58"),
    ("sctp", "132"),
];

/// The networks of the zones, each with its zone's section.
pub(super) fn networks(scope: &Scope<'_>) -> Vec<(String, Value)> {
    let Some(firewall) = scope.uci("firewall") else { return Vec::new() };
    let of_zone = |zone: &Section| {
        let row = |name: &str| (name.to_string(), Value::Table(Table::default().with("zone", &*zone.name)));
        members(zone).map(row).collect::<Vec<_>>()
    };
    firewall.of_kind("zone").flat_map(of_zone).collect()
}

/// The same without what speaks IPv6 alone, which has nothing to translate.
pub(super) fn translated(scope: &Scope<'_>) -> Vec<(String, Value)> {
    let network = scope.uci("network");
    let ipv6 = |name: &str| network.and_then(|p| p.section(name)?.text("proto")) == Some("dhcpv6");
    let mut all = networks(scope);
    all.retain(|(name, _)| !ipv6(name));
    all
}

/// The zones by name, each with its section.
pub(super) fn zones(scope: &Scope<'_>) -> Vec<(String, Value)> {
    let Some(firewall) = scope.uci("firewall") else { return Vec::new() };
    let row = |zone: &Section| {
        Some((zone.text("name")?.to_string(), Value::Table(Table::default().with("zone", &*zone.name))))
    };
    firewall.of_kind("zone").filter_map(row).collect()
}

pub(super) fn members(zone: &Section) -> impl Iterator<Item = &str> {
    zone.list("network").iter().flat_map(|text| text.split_whitespace())
}

pub(super) fn zone<'p>(firewall: &'p Package, name: &str) -> Option<&'p Section> {
    firewall.of_kind("zone").find(|zone| zone.text("name") == Some(name))
}

/// The first network of a zone: that whose name the rule's interface has.
pub(super) fn network(scope: &Scope<'_>, name: &str) -> Option<String> {
    members(zone(scope.uci("firewall")?, name)?).next().map(str::to_string)
}

/// The zone a network is in. One that the rule names already stays, whichever of its networks is meant.
pub(super) fn set_network(scope: &Scope<'_>, old: &str, network: &str) -> Option<String> {
    if network.is_empty() {
        return Some(String::new());
    }
    let firewall = scope.uci("firewall")?;
    let holds = |zone: &&Section| members(zone).any(|name| name == network);
    let same = zone(firewall, old).filter(holds);
    same.or_else(|| firewall.of_kind("zone").find(holds))?.text("name").map(str::to_string)
}

/// `*` is every zone.
pub(super) fn any(_: &Scope<'_>, zone: &str) -> Option<String> {
    Some(u8::from(zone == "*").to_string())
}

pub(super) fn set_any(_: &Scope<'_>, old: &str, value: &str) -> Option<String> {
    Some(if value == "1" { "*" } else { old.trim_matches('*') }.to_string())
}

/// The first of several: TR-181 has one where UCI may have a list.
fn one(text: &str) -> &str {
    text.split([' ', ',']).next().unwrap_or(text)
}

/// `!` turns what follows around; the rest.
pub(super) fn turned(text: &str) -> (&str, &str) {
    let text = one(text);
    text.strip_prefix('!').map_or(("", text), |rest| ("!", rest.trim_start()))
}

pub(super) fn not(_: &Scope<'_>, text: &str) -> Option<String> {
    Some(u8::from(text.starts_with('!')).to_string())
}

/// There must be something to turn around.
pub(super) fn set_not(_: &Scope<'_>, old: &str, value: &str) -> Option<String> {
    let bare = old.trim_start_matches('!');
    match value {
        "1" => (!bare.is_empty()).then(|| format!("!{bare}")),
        _ => Some(bare.to_string()),
    }
}

/// The first and the last port of `80`, `8000-8010` or `8000:8010`; the last only of a range.
fn ports(text: &str) -> (&str, Option<&str>) {
    let (_, text) = turned(text);
    text.split_once(['-', ':']).map_or((text, None), |(first, last)| (first, Some(last)))
}

pub(super) fn first(_: &Scope<'_>, text: &str) -> Option<String> {
    Some(ports(text).0.to_string())
}

pub(super) fn last(_: &Scope<'_>, text: &str) -> Option<String> {
    ports(text).1.map(str::to_string)
}

/// Moves the first port. A last one that comes before it is gone; 0 and -1 are every port.
pub(super) fn set_first(_: &Scope<'_>, old: &str, value: &str) -> Option<String> {
    let number: i64 = value.parse().ok()?;
    if number < 1 {
        return Some(String::new());
    }
    let last = ports(old).1.filter(|last| last.parse::<i64>().is_ok_and(|last| last > number));
    Some(range(old, value, last))
}

/// Moves the last port, which needs a first one that is smaller; one that comes later in the message is not there yet.
pub(super) fn set_last(_: &Scope<'_>, old: &str, value: &str) -> Option<String> {
    let number: i64 = value.parse().ok()?;
    let first = ports(old).0;
    match (number, first.parse::<i64>().unwrap_or(0)) {
        (..1, _) if first == "0" => Some(String::new()),
        (..1, _) => Some(range(old, first, None)),
        (last, low) if last == low => Some(range(old, first, None)),
        (last, low) if last > low => Some(range(old, if first.is_empty() { "0" } else { first }, Some(value))),
        _ => None,
    }
}

fn range(old: &str, first: &str, last: Option<&str>) -> String {
    let turn = turned(old).0;
    match last {
        Some(last) => format!("{turn}{first}-{last}"),
        None if first.is_empty() => String::new(),
        None => format!("{turn}{first}"),
    }
}

/// The address of `192.0.2.0/24`.
pub(super) fn address(_: &Scope<'_>, text: &str) -> Option<String> {
    let (_, text) = turned(text);
    Some(text.split('/').next().unwrap_or(text).to_string())
}

/// Replaces the address; the mask stays while there is one.
pub(super) fn set_address(_: &Scope<'_>, old: &str, value: &str) -> Option<String> {
    if value.is_empty() {
        return Some(String::new());
    }
    value.parse::<IpAddr>().ok()?;
    let (turn, old) = turned(old);
    let mask = old.find('/').and_then(|at| old.get(at..)).unwrap_or_default();
    Some(format!("{turn}{value}{mask}"))
}

/// The mask of `192.0.2.0/24`, as an IPPrefix has it alone: `/24`.
pub(super) fn mask(_: &Scope<'_>, text: &str) -> Option<String> {
    let (_, text) = turned(text);
    Some(text.find('/').and_then(|at| text.get(at..)).unwrap_or_default().to_string())
}

/// Replaces the mask, of `/24` or of a whole prefix.
pub(super) fn set_mask(_: &Scope<'_>, old: &str, value: &str) -> Option<String> {
    let (turn, old) = turned(old);
    let address = old.split('/').next().unwrap_or_default();
    match value.rsplit_once('/') {
        None => value.is_empty().then(|| format!("{turn}{address}")),
        Some((prefix, length)) => {
            let address = if address.is_empty() && !prefix.is_empty() { prefix } else { address };
            let longest = if address.parse::<IpAddr>().ok()?.is_ipv4() { 32 } else { 128 };
            length.parse::<u8>().ok().filter(|&n| n <= longest)?;
            Some(format!("{turn}{address}/{length}"))
        }
    }
}

/// A protocol's number. A rule for several has none that would be true.
pub(super) fn protocol(scope: &Scope<'_>, text: &str) -> Option<String> {
    let several = text.contains([' ', ',']) || text == "tcpudp";
    if several { None } else { number(scope, turned(text).1) }
}

pub(super) fn set_protocol(scope: &Scope<'_>, old: &str, value: &str) -> Option<String> {
    if value == "-1" {
        return Some(any_of(scope).to_string());
    }
    let turn = turned(old).0;
    let name = PROTOCOLS.iter().find(|(_, number)| *number == value).map_or(value, |(name, _)| *name);
    Some(format!("{turn}{name}"))
}

/// TCP or UDP; the first where a mapping is for both.
pub(super) fn transport(_: &Scope<'_>, text: &str) -> Option<String> {
    match one(text).to_ascii_lowercase().as_str() {
        "tcp" | "6" | "tcpudp" | "all" => Some("TCP".to_string()),
        "udp" | "17" => Some("UDP".to_string()),
        _ => None,
    }
}

pub(super) fn set_transport(_: &Scope<'_>, _: &str, value: &str) -> Option<String> {
    Some(value.to_ascii_lowercase())
}
