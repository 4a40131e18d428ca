//! Tunnels between the IP versions: 6rd, MAP and DS-Lite, as netifd's scripts of these protocols read their sections.

use super::network::{interface, interfaces, is, tables, text};
use crate::backend::Value;
use crate::backend::uci::{OptValue, Section};
use crate::model::eval::Scope;
use crate::model::resolve::row_at;
use crate::model::stage::Staging;
use crate::usp::fault::{Code, Fault};
use std::net::{IpAddr, Ipv6Addr};

const ADDRESSES: &str = "Device.IP.Interface.{i}.IPv4Address.{i}.";
const PREFIXES: &str = "Device.IP.Interface.{i}.IPv6Prefix.{i}.";

/// The options a prefix is kept in: address, length.
type Pair = (&'static str, &'static str);
const SIX: Pair = ("ip6prefix", "ip6prefixlen");
const FOUR: Pair = ("ipaddr", "ip4prefixlen");

/// The section of /etc/config/network the row is about, as it is staged now.
fn section<'a>(scope: &Scope<'a>) -> Option<&'a Section> {
    let (package, section) = scope.section()?;
    scope.uci(&package.name)?.section(&section.name)
}

fn pair(scope: &Scope<'_>, (address, length): Pair, whole: &str) -> Option<Value> {
    let section = section(scope)?;
    let Some(address) = section.text(address) else { return Some(Value::from("")) };
    Some(Value::from(format!("{address}/{}", section.text(length).unwrap_or(whole)).as_str()))
}

fn set_pair(scope: &Scope<'_>, (address, length): Pair, value: &str, staging: &mut Staging) -> Result<(), Fault> {
    let refused = || Fault::new(Code::InvalidValue, format!("{value} is not an address, a slash and a length"));
    let section = section(scope).ok_or_else(|| Fault::new(Code::ParameterReadOnly, "the prefix came by DHCP"))?;
    // `/0` is how the standard writes that there is none.
    let (base, bits) = match value.split_once('/').ok_or_else(refused) {
        Ok(("", _)) => (None, None),
        Ok((base, bits)) => (Some(base), Some(bits)),
        Err(_) if value.is_empty() => (None, None),
        Err(fault) => return Err(fault),
    };
    if let (Some(base), Some(bits)) = (base, bits) {
        let most = if address == FOUR.0 { 32 } else { 128 };
        let fits = base.parse().is_ok_and(|ip: IpAddr| ip.is_ipv4() == (most == 32));
        if !fits || !bits.parse().is_ok_and(|n: u8| n <= most) {
            return Err(refused());
        }
    }
    let one = |text: Option<&str>| text.map(|text| OptValue::One(text.into()));
    staging.set("network", &section.name, address, one(base));
    staging.set("network", &section.name, length, one(bits));
    Ok(())
}

/// The prefix of the provider (6rd), or of the rule (MAP).
pub(super) fn ipv6_prefix(scope: &Scope<'_>) -> Option<Value> {
    pair(scope, SIX, "128")
}

pub(super) fn set_ipv6_prefix(scope: &Scope<'_>, value: &str, staging: &mut Staging) -> Result<(), Fault> {
    set_pair(scope, SIX, value, staging)
}

/// The IPv4 prefix of the rule; without a length it is one address, as map.sh has it.
pub(super) fn ipv4_prefix(scope: &Scope<'_>) -> Option<Value> {
    pair(scope, FOUR, "32")
}

pub(super) fn set_ipv4_prefix(scope: &Scope<'_>, value: &str, staging: &mut Staging) -> Result<(), Fault> {
    set_pair(scope, FOUR, value, staging)
}

/// Keeps an address, which a name is not.
pub(super) fn address(_: &Scope<'_>, text: &str) -> Option<String> {
    text.parse::<IpAddr>().ok().map(|_| text.to_string())
}

/// Keeps a name, which an address is not.
pub(super) fn name(_: &Scope<'_>, text: &str) -> Option<String> {
    text.parse::<IpAddr>().err().map(|_| text.to_string())
}

/// Either may stand in the one option. What is emptied goes only where it is what stands there.
pub(super) fn set_address(scope: &Scope<'_>, old: &str, value: &str) -> Option<String> {
    Some(if value.is_empty() { name(scope, old).unwrap_or_default() } else { address(scope, value)? })
}

pub(super) fn set_name(scope: &Scope<'_>, old: &str, value: &str) -> Option<String> {
    Some(if value.is_empty() { address(scope, old).unwrap_or_default() } else { name(scope, value)? })
}

/// The path of the first row of a table that is wanted.
fn path_of(scope: &Scope<'_>, table: &str, wanted: &dyn Fn(&Scope<'_>) -> bool) -> Option<Value> {
    let table = scope.eval.schema.find(table)?;
    let row =
        scope.eval.find_row(table, &mut |row| wanted(&Scope { eval: scope.eval, object: table, row: Some(row) }))?;
    Some(Value::from(row.path.trim_end_matches('.')))
}

/// The interface with the default route of IPv4, which 6rd.sh takes where none is stated.
fn upstream<'a>(scope: &Scope<'a>) -> Option<&'a str> {
    let all = interfaces(scope).iter().filter_map(Value::as_table);
    all.filter(|i| tables(i, "route").any(|route| text(route, "target") == Some("0.0.0.0")))
        .find_map(|i| text(i, "interface"))
}

/// The IPv4 address that the tunnel begins at: the stated one, else the first of the interface below.
pub(super) fn address_source(scope: &Scope<'_>) -> Option<Value> {
    let section = section(scope);
    let stated = section.and_then(|s| s.text("ipaddr"));
    let below = section.and_then(|s| s.text("tunlink")).or_else(|| upstream(scope));
    path_of(scope, ADDRESSES, &|row| match stated {
        Some(address) => row.param("IPAddress").as_deref() == Some(address),
        None => below == Some(row.parent_key()),
    })
}

pub(super) fn set_address_source(scope: &Scope<'_>, value: &str, staging: &mut Staging) -> Result<(), Fault> {
    let refused = || Fault::new(Code::InvalidValue, "AddressSource is an IPv4Address of an IP interface");
    let section = section(scope).ok_or_else(|| Fault::new(Code::ParameterReadOnly, "the tunnel came by DHCP"))?;
    let address = match value {
        "" => None,
        path => {
            let row = row_at(scope.eval, path).ok_or_else(refused)?;
            let row = Scope { eval: scope.eval, object: row.object, row: Some(&row) };
            let address = Some(row).filter(|r| r.schema().path == ADDRESSES).and_then(|r| r.param("IPAddress"));
            Some(OptValue::One(address.filter(|text| !text.is_empty()).ok_or_else(refused)?.into()))
        }
    };
    staging.set("network", &section.name, "ipaddr", address);
    Ok(())
}

/// The prefix of the user that the rule is about: one of the interface below that lies in the rule's.
pub(super) fn end_user_prefix(scope: &Scope<'_>) -> Option<Value> {
    let section = section(scope)?;
    let rule: Ipv6Addr = section.text(SIX.0)?.parse().ok()?;
    let length: u8 = section.text(SIX.1)?.parse().ok()?;
    let below = section.text("tunlink");
    path_of(scope, PREFIXES, &|row| {
        let inside = |text: &str| text.parse::<Ipv6Addr>().is_ok_and(|ip| masked(ip, length) == masked(rule, length));
        below.is_none_or(|below| below == row.parent_key()) && inside(row.key())
    })
}

fn masked(address: Ipv6Addr, length: u8) -> u128 {
    u128::from(address) & u128::MAX.checked_shl(128 - u32::from(length.min(128))).unwrap_or(0)
}

/// What netifd says of the tunnel: up, in error, or switched off.
pub(super) fn status(scope: &Scope<'_>) -> Option<Value> {
    let section = section(scope);
    let up = interface(scope, section.map_or(scope.key(), |s| &s.name)).is_some_and(|i| is(i, "up"));
    Some(Value::from(match (section.and_then(|s| s.text("disabled")), up) {
        (Some("1"), _) => "Disabled",
        (_, true) => "Enabled",
        (_, false) => "Error",
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_holds_what_begins_like_it() {
        let rule: Ipv6Addr = "2001:db8::".parse().unwrap();
        let ip = |text: &str| masked(text.parse().unwrap(), 32);
        assert_eq!(masked(rule, 32), ip("2001:db8:77::1"));
        assert_ne!(masked(rule, 32), ip("2001:db9::1"));
        assert_eq!(masked(rule, 0), 0);
    }
}
