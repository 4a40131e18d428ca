//! An address pool of the DHCP server: its range, its options, its lease time, as dnsmasq reads them.

use super::dns::is_domain;
use super::network::{Network, network_of, prefix_length};
use crate::backend::Value;
use crate::backend::uci::{OptValue, Section};
use crate::model::eval::Scope;
use crate::model::stage::Staging;
use crate::usp::fault::{Code, Fault};
use std::net::Ipv4Addr;

/// dnsmasq's range where the section states none.
const START: u32 = 100;
const LIMIT: u32 = 150;
/// dnsmasq's lease time where the section states none, in seconds.
const LEASE: i64 = 12 * 3600;
/// dnsmasq leases no address for less, in seconds.
const SHORTEST_LEASE: i64 = 120;

/// The range a pool leases from, as addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Range {
    first: u32,
    last: u32,
}

/// The pool's network: that of its interface, with its own mask where it states one.
pub(super) fn network(scope: &Scope<'_>) -> Option<Network> {
    let (_, section) = scope.section()?;
    let network = network_of(scope, section.text("interface")?)?;
    let own = section.text("netmask").and_then(prefix_length);
    Some(own.map_or(network, |length| Network { length, ..network }))
}

fn range(scope: &Scope<'_>) -> Option<(Network, Range)> {
    let network = network(scope)?;
    let (_, section) = scope.section()?;
    Some((network, range_of(network, section.text("start"), section.text("limit"))))
}

/// As ipcalc.sh has it: `start` is counted from the network's first address, the last address is the broadcast's.
fn range_of(network: Network, start: Option<&str>, limit: Option<&str>) -> Range {
    let host = start.and_then(|t| t.parse().ok().or_else(|| t.parse::<Ipv4Addr>().ok().map(u32::from)));
    let limit = limit.and_then(|t| t.parse().ok()).unwrap_or(LIMIT);
    let highest = network.broadcast().saturating_sub(1);
    let host_bits = network.broadcast() - network.base();
    let first = (network.base() | (host.unwrap_or(START) & host_bits)).min(highest);
    let last = first.saturating_add(u32::saturating_sub(limit, 1)).min(highest);
    Range { first, last }
}

pub(super) fn min_address(scope: &Scope<'_>) -> Option<Value> {
    range(scope).map(|(_, range)| address(range.first))
}

pub(super) fn max_address(scope: &Scope<'_>) -> Option<Value> {
    range(scope).map(|(_, range)| address(range.last))
}

pub(super) fn mask(scope: &Scope<'_>) -> Option<Value> {
    network(scope).map(|n| Value::from(n.mask().to_string().as_str()))
}

fn address(bits: u32) -> Value {
    Value::from(Ipv4Addr::from(bits).to_string().as_str())
}

/// Moves the first address. The last one stays; where it would come before, it moves along.
pub(super) fn set_min_address(scope: &Scope<'_>, value: &str, staging: &mut Staging) -> Result<(), Fault> {
    let (network, old) = range(scope).ok_or_else(no_network)?;
    let first = host_address(network, value, "MinAddress")?;
    set_range(scope, network, Range { first, last: old.last.max(first) }, staging)
}

/// Moves the last address. The first one stays; where it would come after, it moves along.
pub(super) fn set_max_address(scope: &Scope<'_>, value: &str, staging: &mut Staging) -> Result<(), Fault> {
    let (network, old) = range(scope).ok_or_else(no_network)?;
    let last = host_address(network, value, "MaxAddress")?;
    set_range(scope, network, Range { first: old.first.min(last), last }, staging)
}

fn no_network() -> Fault {
    Fault::new(Code::InvalidValue, "the pool's interface has no IPv4 network")
}

fn host_address(network: Network, value: &str, name: &str) -> Result<u32, Fault> {
    let address: Option<Ipv4Addr> = value.parse().ok();
    let host = address.filter(|&a| network.contains(a)).map(u32::from);
    let host = host.filter(|&a| a != network.base() && a != network.broadcast());
    host.ok_or_else(|| Fault::new(Code::InvalidValue, format!("{name} is not an address of the pool's network")))
}

fn set_range(scope: &Scope<'_>, network: Network, range: Range, staging: &mut Staging) -> Result<(), Fault> {
    set(scope, "start", Some((range.first - network.base()).to_string()), staging)?;
    set(scope, "limit", Some((range.last - range.first + 1).to_string()), staging)
}

fn set(scope: &Scope<'_>, option: &str, value: Option<String>, staging: &mut Staging) -> Result<(), Fault> {
    let (package, section) = scope.section().ok_or_else(no_network)?;
    staging.set(&package.name, &section.name, option, value.map(|text| OptValue::One(text.into())));
    Ok(())
}

/// The lease time in seconds; -1 is for ever.
pub(super) fn lease_time(scope: &Scope<'_>) -> Option<Value> {
    let seconds = scope.section()?.1.text("leasetime").map_or(Some(LEASE), seconds)?;
    Some(Value::Int64(seconds))
}

fn seconds(text: &str) -> Option<i64> {
    if text == "infinite" {
        return Some(-1);
    }
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match text.get(digits.len()..)? {
        "" | "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        "w" => 604_800,
        _ => return None,
    };
    digits.parse::<i64>().ok()?.checked_mul(unit)
}

pub(super) fn set_lease_time(scope: &Scope<'_>, value: &str, staging: &mut Staging) -> Result<(), Fault> {
    let text = match value.parse::<i64>() {
        Ok(-1) => "infinite".to_string(),
        Ok(n) if n >= SHORTEST_LEASE && n % 3600 == 0 => format!("{}h", n / 3600),
        Ok(n) if n >= SHORTEST_LEASE && n % 60 == 0 => format!("{}m", n / 60),
        Ok(n) if n >= SHORTEST_LEASE => n.to_string(),
        _ => return Err(Fault::new(Code::InvalidValue, "LeaseTime is -1 or at least 120 seconds")),
    };
    set(scope, "leasetime", Some(text), staging)
}

/// A DHCP option of the pool, by number and by dnsmasq's name.
struct DhcpOption {
    number: &'static str,
    name: &'static str,
}

const ROUTERS: DhcpOption = DhcpOption { number: "3", name: "option:router" };
const DNS_SERVERS: DhcpOption = DhcpOption { number: "6", name: "option:dns-server" };
const DOMAIN: DhcpOption = DhcpOption { number: "15", name: "option:domain-name" };
const WINS_SERVERS: DhcpOption = DhcpOption { number: "44", name: "option:netbios-ns" };

impl DhcpOption {
    /// What follows the comma, where an entry of `dhcp_option` is this option.
    fn of_entry<'e>(&self, entry: &'e str) -> Option<&'e str> {
        let (which, values) = entry.split_once(',').unwrap_or((entry, ""));
        (which == self.number || which == self.name).then_some(values)
    }

    fn stated<'s>(&self, section: &'s Section) -> Option<&'s str> {
        entries(section).find_map(|entry| self.of_entry(entry))
    }

    /// Replaces the option's entry; without values it goes.
    fn set(&self, scope: &Scope<'_>, values: &str, staging: &mut Staging) -> Result<(), Fault> {
        let (package, section) = scope.section().ok_or_else(no_network)?;
        let mut list: Vec<Box<str>> =
            entries(section).filter(|entry| self.of_entry(entry).is_none()).map(Into::into).collect();
        if !values.is_empty() {
            list.push(format!("{},{values}", self.number).into());
        }
        let value = (!list.is_empty()).then_some(OptValue::List(list));
        staging.set(&package.name, &section.name, "dhcp_option", value);
        Ok(())
    }
}

fn entries(section: &Section) -> impl Iterator<Item = &str> {
    section.list("dhcp_option").iter().flat_map(|text| text.split_whitespace())
}

/// What the pool states, else the router's own address, which dnsmasq announces then.
fn stated_or_own(scope: &Scope<'_>, option: &DhcpOption) -> Option<Value> {
    match option.stated(scope.section()?.1) {
        Some(values) => Some(Value::from(values)),
        None => network(scope).map(|n| Value::from(n.address.to_string().as_str())),
    }
}

pub(super) fn routers(scope: &Scope<'_>) -> Option<Value> {
    stated_or_own(scope, &ROUTERS)
}

pub(super) fn set_routers(scope: &Scope<'_>, value: &str, staging: &mut Staging) -> Result<(), Fault> {
    ROUTERS.set(scope, value, staging)
}

pub(super) fn dns_servers(scope: &Scope<'_>) -> Option<Value> {
    stated_or_own(scope, &DNS_SERVERS)
}

pub(super) fn set_dns_servers(scope: &Scope<'_>, value: &str, staging: &mut Staging) -> Result<(), Fault> {
    DNS_SERVERS.set(scope, value, staging)
}

pub(super) fn wins_servers(scope: &Scope<'_>) -> Option<Value> {
    Some(Value::from(WINS_SERVERS.stated(scope.section()?.1).unwrap_or_default()))
}

pub(super) fn set_wins_servers(scope: &Scope<'_>, value: &str, staging: &mut Staging) -> Result<(), Fault> {
    WINS_SERVERS.set(scope, value, staging)
}

/// The pool's domain, else that of the whole server.
pub(super) fn domain(scope: &Scope<'_>) -> Option<Value> {
    let (package, section) = scope.section()?;
    let servers = || package.of_kind("dnsmasq").next().and_then(|s| s.text("domain"));
    DOMAIN.stated(section).or_else(servers).map(Value::from)
}

pub(super) fn set_domain(scope: &Scope<'_>, value: &str, staging: &mut Staging) -> Result<(), Fault> {
    if !is_domain(value) {
        return Err(Fault::new(Code::InvalidValue, "DomainName is not a domain name"));
    }
    DOMAIN.set(scope, value, staging)
}

/// A host of /etc/config/dhcp belongs to the pool its address lies in; without an address, to the pool it was
/// created in, else to the first.
pub(super) fn in_pool(scope: &Scope<'_>) -> Option<Value> {
    let (package, host) = scope.section()?;
    let pool = scope.parent()?;
    let here = match (host.text("ip").and_then(|ip| ip.parse().ok()), host.text("pool")) {
        (Some(address), _) => network(&pool)?.contains(address),
        (None, Some(created)) => created == scope.parent_key(),
        (None, None) => package.of_kind("dhcp").next().map(|s| &s.name) == pool.section().map(|(_, s)| &s.name),
    };
    here.then(|| Value::from(true))
}

/// A server is set to start with the router: dnsmasq, or odhcpd where it leases IPv4 addresses.
pub(super) fn server_enable(scope: &Scope<'_>) -> Option<Value> {
    let started = scope.list("/etc/rc.d")?;
    let starts = |service: &str| {
        let number = |n: &str| n.len() == 2 && n.bytes().all(|b| b.is_ascii_digit());
        started.iter().any(|s| s.strip_prefix('S').and_then(|s| s.strip_suffix(service)).is_some_and(number))
    };
    let main = scope.uci("dhcp").and_then(|p| p.of_kind("odhcpd").next()?.text("maindhcp"));
    Some(Value::from(starts("dnsmasq") || (main == Some("1") && starts("odhcpd"))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(text: &str) -> Network {
        Network::parse(text, None).unwrap()
    }

    fn ends(range: Range) -> (String, String) {
        (Ipv4Addr::from(range.first).to_string(), Ipv4Addr::from(range.last).to_string())
    }

    #[test]
    fn a_range_counts_from_the_network() {
        let range = range_of(network("192.168.1.1/24"), Some("100"), Some("150"));
        assert_eq!(ends(range), ("192.168.1.100".into(), "192.168.1.249".into()));
        let wide = range_of(network("10.0.0.1/16"), Some("256"), Some("1000"));
        assert_eq!(ends(wide), ("10.0.1.0".into(), "10.0.4.231".into()));
    }

    #[test]
    fn a_range_ends_before_the_broadcast() {
        let range = range_of(network("192.168.1.1/24"), Some("200"), Some("150"));
        assert_eq!(ends(range), ("192.168.1.200".into(), "192.168.1.254".into()));
        let tiny = range_of(network("192.168.1.1/30"), None, None);
        assert_eq!(ends(tiny), ("192.168.1.0".into(), "192.168.1.2".into()));
    }

    #[test]
    fn lease_times_have_units() {
        for (text, wanted) in [("12h", 43_200), ("30m", 1800), ("7d", 604_800), ("90", 90), ("infinite", -1)] {
            assert_eq!(seconds(text), Some(wanted), "{text}");
        }
        assert_eq!(seconds("soon"), None);
        assert_eq!(seconds("12y"), None);
    }
}
