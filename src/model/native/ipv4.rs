//! IPv4 addresses of an interface: those /etc/config/network states, which can be changed, or those it was given.

use super::network::{Network, interface, prefix_length, stated_addresses, tables, text};
use crate::backend::uci::{OptValue, Section};
use crate::backend::{Table, Value};
use crate::model::eval::Scope;
use crate::model::stage::Staging;
use crate::usp::fault::{Code, Fault};
use std::net::Ipv4Addr;

/// A created address that nobody filled in yet: netifd takes it, and the kernel makes nothing of it.
const EMPTY: Network = Network { address: Ipv4Addr::UNSPECIFIED, length: 0 };

/// The rows below an interface. Stated addresses are known by their place, so that one that is changed stays itself.
pub(super) fn addresses(scope: &Scope<'_>) -> Vec<(String, Value)> {
    match static_section(scope) {
        Some(section) => rows("static", "Static", stated_addresses(section)),
        None => rows("given", addressing_type(scope), given(scope, scope.key())),
    }
}

fn rows(kind: &str, addressing: &str, all: Vec<Network>) -> Vec<(String, Value)> {
    let row = |(at, network): (usize, Network)| {
        let element = Table::default()
            .with("address", &*network.address.to_string())
            .with("mask", &*network.mask().to_string())
            .with("type", addressing);
        (format!("{kind}-{}", at + 1), Value::Table(element))
    };
    all.into_iter().enumerate().map(row).collect()
}

/// The interface's section, as it is staged now, where its addresses are static.
fn static_section<'a>(scope: &Scope<'a>) -> Option<&'a Section> {
    let (package, section) = scope.section()?;
    scope.uci(&package.name)?.section(&section.name).filter(|s| s.text("proto") == Some("static"))
}

fn given(scope: &Scope<'_>, name: &str) -> Vec<Network> {
    let Some(interface) = interface(scope, name) else { return Vec::new() };
    let network = |entry: &Table| {
        let length = entry.get("mask").and_then(Value::as_i64).and_then(|m| u8::try_from(m).ok())?;
        Some(Network { address: text(entry, "address")?.parse().ok()?, length })
    };
    tables(interface, "ipv4-address").filter_map(network).collect()
}

fn addressing_type(scope: &Scope<'_>) -> &'static str {
    match interface(scope, scope.key()).and_then(|i| text(i, "proto")) {
        Some("dhcp") => "DHCP",
        Some("ppp" | "pppoe" | "pppoa" | "pptp" | "l2tp") => "IPCP",
        _ => "Static",
    }
}

/// The row's address; empty for one that was created and not filled in.
pub(super) fn address(scope: &Scope<'_>) -> Option<Value> {
    let address = text(scope.item()?.as_table()?, "address")?;
    Some(Value::from(if address == "0.0.0.0" { "" } else { address }))
}

/// The row's mask.
pub(super) fn mask(scope: &Scope<'_>) -> Option<Value> {
    let item = scope.item()?.as_table()?;
    Some(Value::from(if text(item, "address")? == "0.0.0.0" { "" } else { text(item, "mask")? }))
}

/// `Enabled` where the interface really has the address.
pub(super) fn status(scope: &Scope<'_>) -> Option<Value> {
    let address: Ipv4Addr = text(scope.item()?.as_table()?, "address")?.parse().ok()?;
    let there = given(scope, scope.parent_key()).iter().any(|n| n.address == address);
    Some(Value::from(match (there, address.is_unspecified()) {
        (true, _) => "Enabled",
        (false, true) => "Error_Misconfigured",
        (false, false) => "Disabled",
    }))
}

/// Changes a stated address.
pub(super) fn set_address(scope: &Scope<'_>, value: &str, staging: &mut Staging) -> Result<(), Fault> {
    let address: Ipv4Addr = value.parse().map_err(|_| invalid("IPAddress is not an IPv4 address"))?;
    if address.is_unspecified() || address.is_broadcast() || address.is_multicast() {
        return Err(invalid("IPAddress is not an address an interface can have"));
    }
    change(scope, staging, |network| {
        // Without a mask netifd takes an address as one of its own.
        let length = if *network == EMPTY { 32 } else { network.length };
        *network = Network { address, length };
    })
}

/// Changes the mask of a stated address.
pub(super) fn set_mask(scope: &Scope<'_>, value: &str, staging: &mut Staging) -> Result<(), Fault> {
    let length = prefix_length(value).filter(|&n| n > 0).ok_or_else(|| invalid("SubnetMask is not a network mask"))?;
    change(scope, staging, |network| network.length = length)
}

fn invalid(what: &'static str) -> Fault {
    Fault::new(Code::InvalidValue, what)
}

fn change(scope: &Scope<'_>, staging: &mut Staging, edit: impl FnOnce(&mut Network)) -> Result<(), Fault> {
    let not_stated = || Fault::new(Code::ParameterReadOnly, "the interface gets its addresses by its protocol");
    let section = static_section(scope).ok_or_else(not_stated)?;
    let mut all = stated_addresses(section);
    let place =
        scope.key().strip_prefix("static-").and_then(|n| n.parse::<usize>().ok()).and_then(|n| n.checked_sub(1));
    let network = place.and_then(|at| all.get_mut(at)).ok_or_else(not_stated)?;
    edit(network);
    write(section, &all, staging);
    Ok(())
}

/// Writes the addresses the way the section has them: one with its netmask, or a list with lengths.
fn write(section: &Section, all: &[Network], staging: &mut Staging) {
    let set = |staging: &mut Staging, option, value| staging.set("network", &section.name, option, value);
    let one = |text: String| Some(OptValue::One(text.into()));
    match (all, section.get("netmask")) {
        ([], _) => {
            set(staging, "ipaddr", None);
            set(staging, "netmask", None);
        }
        ([network], Some(_)) => {
            set(staging, "ipaddr", one(network.address.to_string()));
            set(staging, "netmask", one(network.mask().to_string()));
        }
        (all, _) => {
            let list = all.iter().map(|n| n.text().into()).collect();
            set(staging, "ipaddr", Some(OptValue::List(list)));
            set(staging, "netmask", None);
        }
    }
}

/// Appends an address to an interface that is static.
pub(super) fn create(scope: &Scope<'_>, staging: &mut Staging) -> Result<String, Fault> {
    let section = static_section(scope)
        .ok_or_else(|| Fault::new(Code::ObjectNotCreated, "the interface gets its addresses by its protocol"))?;
    let mut all = stated_addresses(section);
    all.push(EMPTY);
    write(section, &all, staging);
    Ok(format!("static-{}", all.len()))
}

/// Removes a stated address.
pub(super) fn delete(scope: &Scope<'_>, staging: &mut Staging) -> Result<(), Fault> {
    let refused = || Fault::new(Code::ObjectNotDeleted, "the address was given to the interface by its protocol");
    let section = static_section(scope).ok_or_else(refused)?;
    let mut all = stated_addresses(section);
    let place =
        scope.key().strip_prefix("static-").and_then(|n| n.parse::<usize>().ok()).and_then(|n| n.checked_sub(1));
    let place = place.filter(|&at| at < all.len()).ok_or_else(refused)?;
    all.remove(place);
    write(section, &all, staging);
    Ok(())
}

/// Keeps an IPv4 address, with a port or without.
pub(super) fn is(_: &Scope<'_>, text: &str) -> Option<String> {
    text.split('#').next()?.parse::<Ipv4Addr>().ok().map(|address| address.to_string())
}

/// The interface that has an address.
pub(super) fn interface_of(scope: &Scope<'_>, address: &str) -> Option<String> {
    let address: Ipv4Addr = address.parse().ok()?;
    let section = scope.uci("network").and_then(|package| {
        package.of_kind("interface").find(|s| stated_addresses(s).iter().any(|n| n.address == address))
    });
    let names = || super::network::interfaces(scope).iter().filter_map(|i| text(i.as_table()?, "interface"));
    let given_to = || names().find(|name| given(scope, name).iter().any(|n| n.address == address));
    section.map(|s| &*s.name).or_else(given_to).map(str::to_string)
}

/// The first address of an interface.
pub(super) fn address_of(scope: &Scope<'_>, _: &str, name: &str) -> Option<String> {
    if name.is_empty() {
        return Some(String::new());
    }
    super::network::network_of(scope, name).map(|network| network.address.to_string())
}
