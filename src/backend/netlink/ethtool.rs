//! Counters of Ethernet hardware by the ethtool family of generic netlink (Linux 5.13): what a link's statistics do not
//! tell apart. A driver that has none of them, and what is no hardware, has no element.

use super::MAX_ENTRIES;
use super::message::{Header, Socket, attributes, u16_at, u32_at, u64_at};
use super::parse::{number, text};
use crate::backend::{Table, Value};
use std::io;

/// The family of families, and its command that lists them.
const CONTROL: u16 = 16;
const GET_FAMILY: u8 = 3;
const STATS_GET: u8 = 32;
/// What a kernel answers whose ethtool knows no such command (EOPNOTSUPP).
const NOT_SUPPORTED: i32 = 95;
/// An attribute that holds attributes.
const NESTED: u16 = 0x8000;
/// The groups of IEEE 802.3's MAC entity and of RMON (RFC 2819), as bits.
const GROUPS: u32 = 1 << MAC | 1 << RMON;
const MAC: u32 = 1;
const RMON: u32 = 3;
/// Octets of a generic message's own header: command, version, reserved.
const GENERIC: usize = 4;

/// The counters of a group that are told: number and member.
const COUNTERS: [(u32, u16, &str); 9] = [
    (MAC, 0, "tx_packets"),
    (MAC, 3, "rx_packets"),
    (MAC, 4, "rx_crc_errors"),
    (MAC, 14, "tx_multicast"),
    (MAC, 15, "tx_broadcast"),
    (MAC, 17, "rx_multicast"),
    (MAC, 18, "rx_broadcast"),
    (RMON, 0, "rx_undersize"),
    (RMON, 1, "rx_oversize"),
];

/// An element per device that counts.
pub(super) fn counters() -> io::Result<Vec<Value>> {
    let socket = Socket::open_generic()?;
    let Some(family) = family(&socket)? else { return Ok(Vec::new()) };
    let groups = [attribute(1, &[]), attribute(2, &4_u32.to_ne_bytes()), attribute(4, &GROUPS.to_ne_bytes())].concat();
    let body = [vec![STATS_GET, 1, 0, 0], attribute(NESTED | 2, &[]), attribute(NESTED | 3, &groups)].concat();
    socket.request(Header::dump(family), &body)?;
    let mut elements = Vec::new();
    match socket.answers(|body| {
        elements.extend(element(body).filter(|_| elements.len() < MAX_ENTRIES).map(Value::Table));
    }) {
        Err(error) if error.raw_os_error() != Some(NOT_SUPPORTED) => return Err(error),
        _ => {}
    }
    Ok(elements)
}

/// The number the kernel gave the family; None where it is built without.
fn family(socket: &Socket) -> io::Result<Option<u16>> {
    socket.request(Header::dump(CONTROL), &[GET_FAMILY, 1, 0, 0])?;
    let mut found = None;
    socket.answers(|body| {
        let value = |wanted: u16| attributes(body, GENERIC).find(|(kind, _)| *kind == wanted).map(|(_, value)| value);
        if value(2).is_some_and(|name| *text(name) == *"ethtool") {
            found = value(1).and_then(|number| u16_at(number, 0));
        }
    })?;
    Ok(found)
}

fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
    let length = u16::try_from(value.len() + 4).unwrap_or_default();
    [&length.to_ne_bytes(), &kind.to_ne_bytes(), value].concat()
}

/// `dev`, the counters the driver has, the unicasts that follow from them, and received packets by size as `upto_64`.
pub(super) fn element(body: &[u8]) -> Option<Table> {
    let head = attributes(body, GENERIC).find(|(kind, _)| *kind == 2)?.1;
    let mut table = Table::default();
    for (_, group) in attributes(body, GENERIC).filter(|(kind, _)| *kind == 4) {
        let id = attributes(group, 0).find(|(kind, _)| *kind == 2).and_then(|(_, id)| u32_at(id, 0));
        for (kind, value) in attributes(group, 0) {
            match kind {
                4 => table.0.extend(id.and_then(|id| counter(id, value))),
                5 => table.0.extend(bucket(value)),
                _ => {}
            }
        }
    }
    for direction in ["tx", "rx"] {
        table.0.extend(unicasts(&table, direction));
    }
    let name = attributes(head, 0).find(|(kind, _)| *kind == 2)?.1;
    (!table.0.is_empty()).then(|| table.with("dev", Value::String(text(name))))
}

fn counter(group: u32, value: &[u8]) -> Option<(Box<str>, Value)> {
    // Where numbers of 64 bits have to be aligned an empty attribute may come first.
    let (number_of, value) = attributes(value, 0).find(|(_, value)| value.len() == 8)?;
    let (.., name) = COUNTERS.iter().find(|(of, at, _)| *of == group && *at == number_of)?;
    Some(((*name).into(), number(u64_at(value, 0)?)))
}

/// Lower and upper size, and how many.
fn bucket(value: &[u8]) -> Option<(Box<str>, Value)> {
    let part = |wanted: u16| attributes(value, 0).find(|(kind, _)| *kind == wanted).map(|(_, value)| value);
    Some((format!("upto_{}", u32_at(part(8)?, 0)?).into(), number(u64_at(part(9)?, 0)?)))
}

fn unicasts(table: &Table, direction: &str) -> Option<(Box<str>, Value)> {
    let count = |what: &str| table.get(&format!("{direction}_{what}"))?.as_i64();
    let others = count("multicast")?.checked_add(count("broadcast")?)?;
    let unicasts = u64::try_from(count("packets")?.checked_sub(others)?).ok()?;
    Some((format!("{direction}_unicast").into(), number(unicasts)))
}
