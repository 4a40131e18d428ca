//! From a message's body to an element of an answer. What is cut short is left out.

use super::Names;
use super::message::{attributes, i32_at, u16_at, u32_at, u64_at};
use crate::backend::{Table, Value};
use std::fmt::Write as _;
use std::net::{Ipv4Addr, Ipv6Addr};

const AF_INET: u8 = 2;
const AF_INET6: u8 = 10;

/// Of `struct ifinfomsg`: type u16 at 2, index i32 at 4, flags u32 at 8.
const LINK: usize = 16;
/// Of `struct ifaddrmsg`: family, prefixlen, flags, scope, index.
const ADDR: usize = 8;
/// Of `struct ndmsg`: family, pad, index i32 at 4, state u16 at 8, flags u8 at 10.
const NEIGH: usize = 12;
/// Of `struct rtmsg`: family, dst_len, src_len, tos, table, protocol, scope, type, flags u32.
const ROUTE: usize = 12;
/// Of `struct tcmsg`: family, index i32 at 4, handle u32 at 8, parent u32 at 12, info u32.
const QDISC: usize = 20;
/// TC_H_ROOT: what a device sends by, not a part of that.
const ROOT: u32 = u32::MAX;
/// A route of the cache, not of a table (RTM_F_CLONED).
const CLONED: u32 = 0x200;
/// NTF_ROUTER: the neighbour says that it is a router.
const ROUTER: u8 = 0x80;
/// NUD_NOARP: multicast, broadcast and the like, no neighbour.
const NOARP: u16 = 0x40;

/// The members of `struct rtnl_link_stats64`, in its order.
const STATISTICS: [&str; 13] = [
    "rx_packets",
    "tx_packets",
    "rx_bytes",
    "tx_bytes",
    "rx_errors",
    "tx_errors",
    "rx_dropped",
    "tx_dropped",
    "multicast",
    "collisions",
    "rx_length_errors",
    "rx_over_errors",
    "rx_crc_errors",
];
/// IF_OPER_* as RFC 2863 names them.
const OPERSTATES: [&str; 7] = ["unknown", "notpresent", "down", "lowerlayerdown", "testing", "dormant", "up"];

/// Index and name of a device.
pub(super) fn name(body: &[u8]) -> Option<(i32, Box<str>)> {
    let name = attributes(body, LINK).find(|(kind, _)| *kind == 3)?.1;
    Some((index(body)?, text(name)))
}

pub(super) fn link(body: &[u8], names: &Names) -> Option<Table> {
    let index = index(body)?;
    let mut table = Table::default()
        .with("dev", &**names.get(&index)?)
        .with("index", index)
        .with("type", i32::from(u16_at(body, 2)?))
        .with("flags", i32_at(body, 8)?);
    for (kind, value) in attributes(body, LINK) {
        match kind {
            1 if !value.is_empty() => table = table.with("address", &*mac(value)),
            4 => table = table.with("mtu", i32_at(value, 0)?),
            5 => table = named(table, "lower", value, names),
            10 => table = named(table, "master", value, names),
            16 => {
                let state = value.first().and_then(|state| OPERSTATES.get(usize::from(*state)));
                table = table.with("operstate", *state.unwrap_or(&"unknown"));
            }
            18 => {
                let kind = attributes(value, 0).find(|(kind, _)| *kind == 1);
                table.0.extend(kind.map(|(_, kind)| ("kind".into(), Value::String(text(kind)))));
            }
            23 => table.0.push(("statistics".into(), Value::Table(statistics(value)))),
            33 => table = table.with("carrier", value.first() == Some(&1)),
            _ => {}
        }
    }
    Some(table)
}

fn statistics(value: &[u8]) -> Table {
    let counters = STATISTICS.iter().enumerate();
    Table(counters.filter_map(|(at, name)| Some(((*name).into(), number(u64_at(value, at * 8)?)))).collect())
}

pub(super) fn addr(body: &[u8], names: &Names) -> Option<Table> {
    let family = *body.first()?;
    let index = i32_at(body, 4)?;
    let mut table = Table::default()
        .with("dev", &**names.get(&index)?)
        .with("family", i32::from(version(family)?))
        .with("prefixlen", i32::from(*body.get(1)?))
        .with("scope", i32::from(*body.get(3)?))
        .with("flags", i32::from(*body.get(2)?));
    let (mut address, mut local) = (None, None);
    for (kind, value) in attributes(body, ADDR) {
        match kind {
            1 => address = ip(family, value),
            // Of a point-to-point link IFA_ADDRESS is the other side.
            2 => local = ip(family, value),
            6 => {
                for (name, at) in [("preferred", 0), ("valid", 4)] {
                    let seconds = u32_at(value, at).filter(|seconds| *seconds != u32::MAX);
                    table.0.extend(seconds.map(|seconds| (name.into(), number(seconds.into()))));
                }
            }
            _ => {}
        }
    }
    if let (Some(_), Some(peer)) = (&local, address.as_ref().filter(|other| Some(*other) != local.as_ref())) {
        table = table.with("peer", &**peer);
    }
    Some(table.with("address", &*local.or(address)?))
}

pub(super) fn neigh(body: &[u8], names: &Names) -> Option<Table> {
    let family = *body.first()?;
    let version = version(family)?;
    let state = u16_at(body, 8)?;
    if state & NOARP != 0 {
        return None;
    }
    let address = attributes(body, NEIGH).find(|(kind, _)| *kind == 1)?.1;
    let table = Table::default()
        .with("dev", &**names.get(&index(body)?)?)
        .with("family", i32::from(version))
        .with("address", &*ip(family, address)?)
        .with("state", i32::from(state))
        .with("router", body.get(10)? & ROUTER != 0);
    let mut lladdr = attributes(body, NEIGH).filter(|(kind, value)| *kind == 2 && !value.is_empty());
    Some(match lladdr.next() {
        Some((_, lladdr)) => table.with("lladdr", &*mac(lladdr)),
        None => table,
    })
}

pub(super) fn fdb(body: &[u8], names: &Names) -> Option<Table> {
    let mut table =
        Table::default().with("dev", &**names.get(&index(body)?)?).with("state", i32::from(u16_at(body, 8)?));
    let lladdr = attributes(body, NEIGH).find(|(kind, _)| *kind == 2)?.1;
    table = table.with("lladdr", &*mac(lladdr));
    for (kind, value) in attributes(body, NEIGH) {
        match kind {
            5 => table = table.with("vlan", i32::from(u16_at(value, 0)?)),
            9 => table = named(table, "master", value, names),
            _ => {}
        }
    }
    Some(table)
}

pub(super) fn route(body: &[u8], names: &Names) -> Option<Table> {
    let family = *body.first()?;
    if u32_at(body, 8)? & CLONED != 0 {
        return None;
    }
    let any = if version(family)? == 4 { "0.0.0.0" } else { "::" };
    let mut target: Box<str> = any.into();
    let mut table = Table::default()
        .with("family", i32::from(version(family)?))
        .with("protocol", i32::from(*body.get(5)?))
        .with("scope", i32::from(*body.get(6)?))
        .with("type", i32::from(*body.get(7)?));
    let mut number_of_table = i32::from(*body.get(4)?);
    for (kind, value) in attributes(body, ROUTE) {
        match kind {
            1 => target = ip(family, value)?,
            4 => table = named(table, "dev", value, names),
            5 => table = table.with("gateway", &*ip(family, value)?),
            6 => table = table.with("metric", i32_at(value, 0)?),
            7 => table = table.with("source", &*ip(family, value)?),
            12 => {
                // Of `struct rta_cacheinfo`: hundredths of a second at 8; 0 for ever.
                let expires = i32_at(value, 8)?;
                if expires > 0 {
                    table = table.with("expires", expires / 100);
                }
            }
            15 => number_of_table = i32_at(value, 0)?,
            _ => {}
        }
    }
    let target = format!("{target}/{}", body.get(1)?);
    Some(table.with("target", &*target).with("table", number_of_table))
}

pub(super) fn qdisc(body: &[u8], names: &Names) -> Option<Table> {
    let parent = if u32_at(body, 12)? == ROOT { "root" } else { "other" };
    let mut table = Table::default().with("dev", &**names.get(&index(body)?)?).with("parent", parent);
    for (kind, value) in attributes(body, QDISC) {
        match kind {
            1 => table = table.with("kind", &*text(value)),
            7 => attributes(value, 0).for_each(|(kind, value)| queue(kind, value, &mut table)),
            _ => {}
        }
    }
    Some(table)
}

/// Of TCA_STATS2: `struct gnet_stats_basic` and `struct gnet_stats_queue`.
fn queue(kind: u16, value: &[u8], table: &mut Table) {
    let mut put = |name: &str, count: Option<u64>| table.0.extend(count.map(|count| (name.into(), number(count))));
    let short = |at| u32_at(value, at).map(u64::from);
    match kind {
        1 => {
            put("bytes", u64_at(value, 0));
            put("packets", short(8));
        }
        3 => {
            put("qlen", short(0));
            put("backlog", short(4));
            put("drops", short(8));
        }
        _ => {}
    }
}

/// 4 or 6.
fn version(family: u8) -> Option<u8> {
    match family {
        AF_INET => Some(4),
        AF_INET6 => Some(6),
        _ => None,
    }
}

fn index(body: &[u8]) -> Option<i32> {
    i32_at(body, 4)
}

fn named(table: Table, member: &str, value: &[u8], names: &Names) -> Table {
    let index = i32_at(value, 0);
    match index.and_then(|index| names.get(&index)) {
        Some(name) => table.with(member, &**name),
        None => table,
    }
}

/// Counters over i64 do not happen in a router's life.
pub(super) fn number(count: u64) -> Value {
    Value::Int64(i64::try_from(count).unwrap_or(i64::MAX))
}

pub(super) fn text(value: &[u8]) -> Box<str> {
    let end = value.iter().position(|byte| *byte == 0).unwrap_or(value.len());
    String::from_utf8_lossy(value.get(..end).unwrap_or_default()).into()
}

fn mac(value: &[u8]) -> String {
    let mut text = String::with_capacity(value.len() * 3);
    for (at, octet) in value.iter().enumerate() {
        let _ = write!(text, "{}{octet:02x}", if at == 0 { "" } else { ":" });
    }
    text
}

fn ip(family: u8, value: &[u8]) -> Option<Box<str>> {
    let text = match family {
        AF_INET => Ipv4Addr::from(<[u8; 4]>::try_from(value).ok()?).to_string(),
        _ => Ipv6Addr::from(<[u8; 16]>::try_from(value).ok()?).to_string(),
    };
    Some(text.into())
}
