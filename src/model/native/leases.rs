//! Addresses the DHCP server leased: dnsmasq's lease file and odhcpd's answer.

use super::device::is_mac;
use super::dhcp_pool;
use super::network::{interface_of_device, text};
use crate::backend::{Table, Value};
use crate::model::eval::Scope;
use std::net::Ipv4Addr;

/// Where dnsmasq keeps leases unless it is told otherwise.
const LEASE_FILE: &str = "/tmp/dhcp.leases";

/// The option a client names itself by.
const CLIENT_ID: i32 = 61;

/// One leased IPv4 address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Lease {
    /// `AA:BB:CC:DD:EE:FF`
    pub(super) mac: String,
    pub(super) address: Ipv4Addr,
    /// What the client calls itself; empty where it did not say.
    pub(super) name: String,
    /// Seconds since 1970; None lasts for ever.
    pub(super) expires: Option<i64>,
    /// The identifier the client gave, in pairs of digits with colons; empty where it gave none.
    pub(super) id: String,
    /// netifd's name of the interface, where the server told.
    pub(super) interface: Option<String>,
}

/// All leases, each MAC and address once.
pub(super) fn leases(scope: &Scope<'_>) -> Vec<Lease> {
    let stated = scope.uci("dhcp").and_then(|p| p.of_kind("dnsmasq").next()?.text("leasefile"));
    let mut all: Vec<Lease> = scope.file(stated.unwrap_or(LEASE_FILE)).map(of_file).unwrap_or_default();
    for lease in of_odhcpd(scope) {
        if !all.iter().any(|l| l.mac == lease.mac && l.address == lease.address) {
            all.push(lease);
        }
    }
    all
}

/// `EXPIRY MAC IP NAME CLIENTID`; an expiry of 0 is never, a name of `*` is none. IPv6 leases look different.
fn of_file(text: &str) -> Vec<Lease> {
    let lease = |line: &str| {
        let mut words = line.split_whitespace();
        let (expires, mac, address, name) = (words.next()?, words.next()?, words.next()?, words.next()?);
        let expires: i64 = expires.parse().ok()?;
        let id = words.next().filter(|id| *id != "*").unwrap_or_default().to_string();
        is_mac(mac).then_some(())?;
        Some(Lease {
            mac: mac.to_ascii_uppercase(),
            address: address.parse().ok()?,
            name: if name == "*" { String::new() } else { name.to_string() },
            expires: (expires > 0).then_some(expires),
            id,
            interface: None,
        })
    };
    text.lines().filter_map(lease).collect()
}

fn of_odhcpd(scope: &Scope<'_>) -> Vec<Lease> {
    let answer = scope.ubus("dhcp", "ipv4leases", &Table::default());
    let Some(Table(devices)) = answer.and_then(|a| a.get("device")).and_then(Value::as_table) else {
        return Vec::new();
    };
    let mut all = Vec::new();
    for (device, leases) in devices {
        let leases = leases.as_table().map(|t| super::network::tables(t, "leases").collect::<Vec<_>>());
        let interface = interface_of_device(scope, device);
        all.extend(leases.unwrap_or_default().into_iter().filter_map(|lease| odhcpd_lease(scope, lease, interface)));
    }
    all
}

fn odhcpd_lease(scope: &Scope<'_>, lease: &Table, interface: Option<&str>) -> Option<Lease> {
    let valid = lease.get("valid").and_then(Value::as_i64).filter(|&v| v >= 0 && v < i64::from(u32::MAX));
    Some(Lease {
        mac: with_colons(text(lease, "mac")?)?,
        address: text(lease, "address")?.parse().ok()?,
        name: text(lease, "hostname").unwrap_or_default().to_string(),
        expires: valid.map(|v| scope.now() + v),
        id: String::new(),
        interface: interface.map(str::to_string),
    })
}

/// odhcpd writes a MAC address without colons.
fn with_colons(bare: &str) -> Option<String> {
    let upper = bare.to_ascii_uppercase();
    let pairs: Vec<&str> = (0..6).filter_map(|n| upper.get(n * 2..n * 2 + 2)).collect();
    let mac = pairs.join(":");
    (bare.len() == 12 && is_mac(&mac)).then_some(mac)
}

/// The clients of a pool, by their MAC address: `item` has `active`, `addresses` with `address` and
/// `expires`, and `options` with `tag` and `value`.
pub(super) fn clients(scope: &Scope<'_>) -> Vec<(String, Value)> {
    let now = scope.now();
    let mut rows: Vec<(String, Vec<Lease>)> = Vec::new();
    for lease in leases(scope).into_iter().filter(|l| of_pool(scope, l)) {
        match rows.iter_mut().find(|(mac, _)| *mac == lease.mac) {
            Some((_, leases)) => leases.push(lease),
            None => rows.push((lease.mac.clone(), vec![lease])),
        }
    }
    rows.into_iter().map(|(mac, leases)| (mac, client(&leases, now))).collect()
}

fn of_pool(scope: &Scope<'_>, lease: &Lease) -> bool {
    let interface = scope.section().and_then(|(_, s)| s.text("interface"));
    match &lease.interface {
        Some(own) => Some(own.as_str()) == interface,
        None => dhcp_pool::network(scope).is_some_and(|n| n.contains(lease.address)),
    }
}

fn client(leases: &[Lease], now: i64) -> Value {
    let active = leases.iter().any(|l| l.expires.is_none_or(|at| at > now));
    let address = |lease: &Lease| {
        let table = Table::default().with("address", &*lease.address.to_string());
        Value::Table(match lease.expires {
            Some(at) => table.with("expires", Value::Int64(at)),
            None => table,
        })
    };
    let addresses = Value::Array(leases.iter().map(address).collect());
    let id = leases.iter().map(|lease| lease.id.replace(':', "")).find(|id| !id.is_empty());
    let option = |id: String| Value::Table(Table::default().with("tag", CLIENT_ID).with("value", &*id));
    let options = Value::Array(id.map(option).into_iter().collect());
    Value::Table(Table::default().with("active", active).with("addresses", addresses).with("options", options))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lease_file_is_read_line_by_line() {
        let text = "1795388305 aa:bb:cc:00:00:01 192.168.1.101 laptop 01:aa:bb:cc:00:00:01\n\
                    0 aa:bb:cc:00:00:02 192.168.1.102 * *\n\
                    duid 00:01:00:01:2c\n\
                    1795388305 12345 fd00::2 laptop 00:01\n\
                    garbage\n";
        let leases = of_file(text);
        assert_eq!(leases.len(), 2);
        assert_eq!((&*leases[0].mac, &*leases[1].id), ("AA:BB:CC:00:00:01", ""));
        assert_eq!((leases[1].name.as_str(), leases[1].expires), ("", None));
    }

    #[test]
    fn a_mac_without_colons_gets_them() {
        assert_eq!(with_colons("86b7852d415e").as_deref(), Some("86:B7:85:2D:41:5E"));
        assert_eq!(with_colons("86b7852d415"), None);
        assert_eq!(with_colons("86b7852d415exx"), None);
    }
}
