//! Devices in the home, by their MAC address: put together from DHCP leases, the kernel's neighbours and bridge ports,
//! and Wi-Fi.

use super::device::is_mac;
use super::leases::leases;
use super::network::{entries, interface_of_device, interfaces, is, network_of, tables, text, upstream_devices};
use crate::backend::{Table, Value};
use crate::model::eval::Scope;
use std::net::{IpAddr, Ipv4Addr};

/// The states of a neighbour whose address the kernel holds for true: reachable, stale, delayed, probed, permanent.
const NUD_VALID: i64 = 0x02 | 0x04 | 0x08 | 0x10 | 0x80;

/// What is known of one device.
#[derive(Debug, Default)]
struct Host {
    mac: String,
    ip4: Vec<String>,
    ip6: Vec<String>,
    name: String,
    active: bool,
    /// netifd's name of the IP interface it is behind.
    interface: Option<String>,
    /// The wifi-device it is associated with.
    radio: Option<String>,
    /// The device of the bridge it was last heard on.
    port: Option<String>,
}

/// The rows: `item` has `ip4`, `ip6`, `name`, `active`, `type`, `interface`, `radio` and `port`.
pub(super) fn hosts(scope: &Scope<'_>) -> Vec<(String, Value)> {
    let mut hosts = Hosts(Vec::new());
    hosts.add_neighbours(scope);
    hosts.add_leases(scope);
    hosts.add_stations(scope);
    hosts.add_static_names(scope);
    hosts.add_ports(scope);
    hosts.0.into_iter().map(|host| (host.mac.clone(), host.element())).collect()
}

/// The MAC address of the host that has an IP address.
pub(super) fn of_address(scope: &Scope<'_>, address: &str) -> Option<String> {
    let table = scope.eval.schema.find("Device.Hosts.Host.{i}.")?;
    let has = |item: &Table, list: &str| {
        let all = item.get(list).and_then(Value::as_array).unwrap_or(&[]);
        all.iter().any(|own| own.as_str() == Some(address))
    };
    let mut wanted = |row: &std::rc::Rc<crate::model::eval::Row>| {
        row.element().and_then(Value::as_table).is_some_and(|item| has(item, "ip4") || has(item, "ip6"))
    };
    scope.eval.find_row(table, &mut wanted).map(|row| row.key.to_string())
}

/// The address of a host, by its MAC address.
pub(super) fn address_of(scope: &Scope<'_>, _: &str, mac: &str) -> Option<String> {
    if mac.is_empty() {
        return Some(String::new());
    }
    let table = scope.eval.schema.find("Device.Hosts.Host.{i}.")?;
    let row = scope.eval.row_by_key(table, mac)?;
    let item = row.element()?.as_table()?;
    let first = |list: &str| item.get(list)?.as_array()?.first()?.as_str().map(str::to_string);
    first("ip4").or_else(|| first("ip6"))
}

struct Hosts(Vec<Host>);

impl Hosts {
    /// The host with this MAC address, made where there is none yet.
    fn host(&mut self, mac: &str) -> &mut Host {
        let mac = mac.to_ascii_uppercase();
        let at = self.0.iter().position(|h| h.mac == mac).unwrap_or(self.0.len());
        if at == self.0.len() {
            self.0.push(Host { mac, ..Host::default() });
        }
        &mut self.0[at]
    }

    fn known(&mut self, mac: &str) -> Option<&mut Host> {
        self.0.iter_mut().find(|h| h.mac.eq_ignore_ascii_case(mac))
    }

    /// The world outside is not the home.
    fn add_neighbours(&mut self, scope: &Scope<'_>) {
        let outside = upstream_devices(scope);
        for neighbour in entries(scope, "neigh") {
            let (Some(mac), Some(ip)) = (text(neighbour, "lladdr"), text(neighbour, "address")) else { continue };
            let Some(device) = text(neighbour, "dev").filter(|device| !outside.contains(device)) else { continue };
            if !is_mac(mac) || mac == "00:00:00:00:00:00" {
                continue;
            }
            let state = neighbour.get("state").and_then(Value::as_i64).unwrap_or(0);
            let host = self.host(mac);
            host.active |= state & NUD_VALID != 0;
            add(if ip.contains(':') { &mut host.ip6 } else { &mut host.ip4 }, ip);
            host.interface = host.interface.take().or_else(|| interface_of_device(scope, device).map(str::to_string));
        }
    }

    /// Where a bridge last heard those that are here.
    fn add_ports(&mut self, scope: &Scope<'_>) {
        for entry in entries(scope, "fdb") {
            let (Some(mac), Some(port)) = (text(entry, "lladdr"), text(entry, "dev")) else { continue };
            if let Some(host) = self.known(mac).filter(|host| host.active && host.radio.is_none()) {
                host.port = Some(port.to_string());
            }
        }
    }

    fn add_leases(&mut self, scope: &Scope<'_>) {
        for lease in leases(scope) {
            let interface = lease.interface.clone().or_else(|| interface_of_address(scope, lease.address));
            let host = self.host(&lease.mac);
            add(&mut host.ip4, &lease.address.to_string());
            host.name_if_none(&lease.name);
            host.interface = host.interface.take().or(interface);
        }
    }

    /// Whoever is associated with an access point is here, address or not.
    fn add_stations(&mut self, scope: &Scope<'_>) {
        for (radio, interface) in access_points(scope) {
            let Some(ifname) = text(interface, "ifname") else { continue };
            let answer = scope.ubus(&format!("hostapd.{ifname}"), "get_clients", &Table::default());
            let Some(Table(clients)) = answer.and_then(|a| a.get("clients")).and_then(Value::as_table) else {
                continue;
            };
            for (mac, client) in clients {
                if client.as_table().is_some_and(|c| is(c, "assoc")) {
                    let host = self.host(mac);
                    host.active = true;
                    host.radio = Some(radio.to_string());
                    host.interface = host.interface.take().or_else(|| network_of_station(interface));
                }
            }
        }
    }

    fn add_static_names(&mut self, scope: &Scope<'_>) {
        let Some(package) = scope.uci("dhcp") else { return };
        for section in package.of_kind("host") {
            let macs = section.list("mac").iter().flat_map(|m| m.split_whitespace());
            for mac in macs {
                if let (Some(host), Some(name)) = (self.known(mac), section.text("name")) {
                    host.name_if_none(name);
                }
            }
        }
    }
}

impl Host {
    fn name_if_none(&mut self, name: &str) {
        if self.name.is_empty() {
            self.name = name.chars().take(64).collect();
        }
    }

    fn element(self) -> Value {
        let texts = |all: Vec<String>| Value::Array(all.iter().map(|t| Value::from(t.as_str())).collect());
        let kind = match (&self.radio, self.active) {
            (Some(_), _) => Some("Wi-Fi"),
            (None, true) => Some("Ethernet"),
            // Nobody knows how a device that is away was connected.
            (None, false) => None,
        };
        let optional = [
            ("type", kind),
            ("radio", self.radio.as_deref()),
            ("port", self.port.as_deref()),
            ("interface", self.interface.as_deref()),
        ];
        let mut table = Table::default().with("name", &*self.name).with("active", self.active);
        for (name, value) in optional.into_iter().filter_map(|(n, v)| Some((n, v?))) {
            table = table.with(name, value);
        }
        Value::Table(table.with("ip4", texts(self.ip4)).with("ip6", texts(self.ip6)))
    }
}

fn add(list: &mut Vec<String>, ip: &str) {
    if ip.parse::<IpAddr>().is_ok() && !list.iter().any(|known| known == ip) {
        list.push(ip.to_string());
    }
}

/// The interfaces of all radios that offer a network, with their radio.
fn access_points<'a>(scope: &Scope<'a>) -> Vec<(&'a str, &'a Table)> {
    let Some(Table(radios)) = scope.ubus("network.wireless", "status", &Table::default()) else { return Vec::new() };
    let of_radio = |(name, radio): &'a (Box<str>, Value)| {
        let interfaces = radio.as_table().map(|r| tables(r, "interfaces").collect::<Vec<_>>()).unwrap_or_default();
        interfaces.into_iter().map(move |interface| (&**name, interface))
    };
    let offers = |interface: &Table| {
        interface.get("config").and_then(Value::as_table).and_then(|c| text(c, "mode")) == Some("ap")
    };
    radios.iter().flat_map(of_radio).filter(|(_, interface)| offers(interface)).collect()
}

fn network_of_station(interface: &Table) -> Option<String> {
    let networks = interface.get("config")?.as_table()?.get("network")?.as_array()?;
    networks.first().and_then(Value::as_str).map(str::to_string)
}

fn interface_of_address(scope: &Scope<'_>, address: Ipv4Addr) -> Option<String> {
    let names = interfaces(scope).iter().filter_map(Value::as_table).filter_map(|i| text(i, "interface"));
    let mut inside = names.filter(|name| network_of(scope, name).is_some_and(|n| n.contains(address)));
    inside.next().map(str::to_string)
}
