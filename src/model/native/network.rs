//! What several subjects ask of netifd: interfaces, their devices, their IPv4 networks.

use crate::backend::uci::{Package, Section};
use crate::backend::{Table, Value};
use crate::model::eval::Scope;
use std::net::Ipv4Addr;

/// An IPv4 address in its network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Network {
    pub(super) address: Ipv4Addr,
    /// Prefix length, 0 to 32.
    pub(super) length: u8,
}

impl Network {
    /// `192.168.1.1/24`; without a length it is that of `mask`, else 32, as netifd has it.
    pub(super) fn parse(text: &str, mask: Option<&str>) -> Option<Self> {
        let (address, length) = match text.split_once('/') {
            Some((address, length)) => (address, length.parse().ok().or_else(|| prefix_length(length))?),
            None => (text, mask.map_or(Some(32), prefix_length)?),
        };
        (length <= 32).then_some(Self { address: address.parse().ok()?, length })
    }

    /// As `ipaddr` keeps it: `192.168.1.1/24`.
    pub(super) fn text(self) -> String {
        format!("{}/{}", self.address, self.length)
    }

    pub(super) fn mask(self) -> Ipv4Addr {
        Ipv4Addr::from(self.mask_bits())
    }

    pub(super) fn contains(self, other: Ipv4Addr) -> bool {
        u32::from(other) & self.mask_bits() == self.base()
    }

    /// The first address of the network.
    pub(super) fn base(self) -> u32 {
        u32::from(self.address) & self.mask_bits()
    }

    /// The last address of the network.
    pub(super) fn broadcast(self) -> u32 {
        self.base() | !self.mask_bits()
    }

    fn mask_bits(self) -> u32 {
        u32::MAX.checked_shl(32 - u32::from(self.length.min(32))).unwrap_or(0)
    }
}

/// A dotted mask as prefix length; None where its ones are not together.
pub(super) fn prefix_length(mask: &str) -> Option<u8> {
    let bits = u32::from(mask.parse::<Ipv4Addr>().ok()?);
    (bits.count_ones() == bits.leading_ones()).then(|| u8::try_from(bits.leading_ones()).ok()).flatten()
}

/// All interfaces netifd knows.
pub(super) fn interfaces<'a>(scope: &Scope<'a>) -> &'a [Value] {
    let dump = scope.ubus("network.interface", "dump", &Table::default());
    dump.and_then(|d| d.get("interface")).and_then(Value::as_array).unwrap_or(&[])
}

/// One interface by netifd's name.
pub(super) fn interface<'a>(scope: &Scope<'a>, name: &str) -> Option<&'a Table> {
    interfaces(scope).iter().filter_map(Value::as_table).find(|i| text(i, "interface") == Some(name))
}

/// A text member of a table.
pub(super) fn text<'t>(table: &'t Table, member: &str) -> Option<&'t str> {
    table.get(member)?.as_str()
}

/// A truth of a table.
pub(super) fn is(table: &Table, member: &str) -> bool {
    table.get(member).and_then(Value::as_i64) == Some(1)
}

/// The tables in an array of a table.
pub(super) fn tables<'t>(table: &'t Table, member: &str) -> impl Iterator<Item = &'t Table> + use<'t> {
    table.get(member).and_then(Value::as_array).unwrap_or(&[]).iter().filter_map(Value::as_table)
}

/// What the kernel answers, see [`crate::backend::netlink`].
pub(super) fn entries<'a>(scope: &Scope<'a>, method: &str) -> impl Iterator<Item = &'a Table> {
    let answer = scope.ubus(crate::backend::netlink::OBJECT, method, &Table::default());
    answer.into_iter().flat_map(move |answer| tables(answer, method).collect::<Vec<_>>())
}

/// The interface whose traffic goes through a device.
pub(super) fn interface_of_device<'a>(scope: &Scope<'a>, device: &str) -> Option<&'a str> {
    let mut all = interfaces(scope).iter().filter_map(Value::as_table);
    all.find(|i| text(i, "l3_device") == Some(device)).and_then(|i| text(i, "interface"))
}

/// The devices that lead to the world: they have the default route.
pub(super) fn upstream_devices<'a>(scope: &Scope<'a>) -> Vec<&'a str> {
    let all = interfaces(scope).iter().filter_map(Value::as_table);
    let upstream = all.filter(|i| tables(i, "route").any(|r| r.get("mask").and_then(Value::as_i64) == Some(0)));
    upstream.flat_map(|i| [text(i, "device"), text(i, "l3_device")]).flatten().collect()
}

/// The addresses a section of /etc/config/network states, in either way OpenWrt writes them.
pub(super) fn stated_addresses(section: &Section) -> Vec<Network> {
    let mask = section.text("netmask");
    let all = section.list("ipaddr").iter().flat_map(|text| text.split_whitespace());
    all.filter_map(|text| Network::parse(text, mask)).collect()
}

/// The IPv4 network of an interface: as configured where it is static, else as netifd has it.
pub(super) fn network_of(scope: &Scope<'_>, name: &str) -> Option<Network> {
    let configured = scope.uci("network").and_then(|p| section_of_interface(p, name));
    configured.and_then(|s| stated_addresses(s).into_iter().next()).or_else(|| {
        let first = tables(interface(scope, name)?, "ipv4-address").next()?;
        let length = first.get("mask").and_then(Value::as_i64)?;
        Some(Network { address: text(first, "address")?.parse().ok()?, length: u8::try_from(length).ok()? })
    })
}

fn section_of_interface<'p>(package: &'p Package, name: &str) -> Option<&'p Section> {
    package.section(name).filter(|s| &*s.kind == "interface")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ways_to_write_an_address_are_read() {
        let cidr = Network::parse("192.168.1.1/24", None).unwrap();
        assert_eq!(Network::parse("192.168.1.1", Some("255.255.255.0")), Some(cidr));
        assert_eq!(cidr.mask(), Ipv4Addr::new(255, 255, 255, 0));
        assert_eq!(Network::parse("192.168.1.1", None).map(|n| n.length), Some(32));
    }

    #[test]
    fn a_mask_with_holes_is_no_mask() {
        assert_eq!(prefix_length("255.0.255.0"), None);
        assert_eq!(prefix_length("0.0.0.0"), Some(0));
        assert_eq!(Network::parse("10.0.0.1/33", None), None);
    }

    #[test]
    fn a_network_has_bounds() {
        let network = Network::parse("10.1.2.3/30", None).unwrap();
        assert_eq!(Ipv4Addr::from(network.base()), Ipv4Addr::new(10, 1, 2, 0));
        assert_eq!(Ipv4Addr::from(network.broadcast()), Ipv4Addr::new(10, 1, 2, 3));
        assert!(network.contains(Ipv4Addr::new(10, 1, 2, 1)) && !network.contains(Ipv4Addr::new(10, 1, 2, 4)));
        assert!(Network::parse("1.2.3.4/0", None).unwrap().contains(Ipv4Addr::new(9, 9, 9, 9)));
    }
}
