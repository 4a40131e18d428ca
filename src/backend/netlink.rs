//! What the kernel knows of the network, by rtnetlink: asked like a ubus object called `netlink`, whose methods are
//! named as iproute2 names them and answer a list under their own name.
//!
//! | Method | Members of an element |
//! |---|---|
//! | `link` | `dev`, `index`, `type` (ARPHRD), `kind`, `address`, `mtu`, `flags`, `operstate` (RFC 2863), `carrier`, `master`, `lower`, `statistics` |
//! | `addr` | `dev`, `family` (4, 6), `address`, `peer` (of a point-to-point link), `prefixlen`, `scope`, `flags`, `preferred`, `valid` (seconds, absent for ever) |
//! | `neigh` | `dev`, `family`, `address`, `lladdr`, `state` (NUD), `router` |
//! | `fdb` | `dev`, `lladdr`, `state`, `master`, `vlan` |
//! | `ethtool` | `dev`, `tx_unicast`, `rx_broadcast` and the like, `rx_crc_errors`, `upto_64` and so on, where the driver counts them (`ethtool.rs`) |
//! | `route` | `dev`, `family`, `target` (with its length), `gateway`, `source`, `metric`, `table`, `protocol`, `type`, `scope`, `expires` (seconds) |
//! | `qdisc` | `dev`, `kind`, `parent` (`root` or `other`), `bytes`, `packets`, `drops`, `qlen` (packets), `backlog` (bytes) |
//!
//! A dump is answered by the kernel while it is asked: nothing here waits. Events tell of changes as ubus events
//! `netlink.link`, `netlink.addr`, `netlink.neigh` and `netlink.route`, without saying which.

mod ethtool;
mod message;
mod parse;
pub(super) mod watch;

use super::{CallError, Table, Value};
use crate::order::Map;
use message::{Header, Socket};

/// The object's name.
pub const OBJECT: &str = "netlink";
/// Entries of one answer at most; further ones are left out, with a warning.
pub const MAX_ENTRIES: usize = 4096;
/// Times a dump is begun again because the kernel's table changed meanwhile; the last one counts as it is.
const TRIES: usize = 3;

/// Names of network devices by their index.
type Names = Map<i32, Box<str>>;

/// One table of the kernel.
struct Kind {
    method: &'static str,
    /// RTM_GET...
    request: u16,
    /// Octets of the fixed part of a request, whose first is the address family.
    fixed: usize,
    family: u8,
    /// From a message's body to an element.
    element: fn(&[u8], &Names) -> Option<Table>,
}

const AF_BRIDGE: u8 = 7;
const RTM_GETLINK: u16 = 18;

const LINKS: Kind = Kind { method: "link", request: RTM_GETLINK, fixed: 16, family: 0, element: parse::link };
const KINDS: [Kind; 6] = [
    LINKS,
    Kind { method: "addr", request: 22, fixed: 8, family: 0, element: parse::addr },
    Kind { method: "neigh", request: 30, fixed: 12, family: 0, element: parse::neigh },
    Kind { method: "fdb", request: 30, fixed: 12, family: AF_BRIDGE, element: parse::fdb },
    Kind { method: "route", request: 26, fixed: 12, family: 0, element: parse::route },
    Kind { method: "qdisc", request: 38, fixed: 20, family: 0, element: parse::qdisc },
];

/// The answer of a method.
///
/// # Errors
/// `Status(3)` (method not found) for an unknown method; `Disconnected` where the kernel refuses.
pub fn call(method: &str) -> Result<Table, CallError> {
    let failed = |error: std::io::Error| {
        log::warn!("netlink={method} failed cause=\"{error}\"");
        CallError::Disconnected
    };
    if method == "ethtool" {
        return ethtool::counters().map(|all| Table(vec![(method.into(), Value::Array(all))])).map_err(failed);
    }
    let kind = KINDS.iter().find(|kind| kind.method == method);
    let kind = kind.ok_or(CallError::Status(super::ubus::message::status::METHOD_NOT_FOUND))?;
    let socket = Socket::open(0).map_err(failed)?;
    let links = dump(&socket, &LINKS).map_err(failed)?;
    let names: Names = links.iter().filter_map(|body| parse::name(body)).collect();
    let bodies = if kind.request == RTM_GETLINK { links } else { dump(&socket, kind).map_err(failed)? };
    let mut elements: Vec<_> =
        bodies.iter().filter_map(|body| (kind.element)(body, &names).map(Value::Table)).take(MAX_ENTRIES + 1).collect();
    if elements.len() > MAX_ENTRIES {
        log::warn!("netlink={method} more-than={MAX_ENTRIES} effect=the-rest-is-left-out");
        elements.truncate(MAX_ENTRIES);
    }
    Ok(Table(vec![(method.into(), Value::Array(elements))]))
}

/// The bodies of a dump. A table that changes meanwhile may show an entry twice or not at all: it is asked for again.
fn dump(socket: &Socket, kind: &Kind) -> std::io::Result<Vec<Box<[u8]>>> {
    let mut fixed = vec![0_u8; kind.fixed];
    if let Some(family) = fixed.first_mut() {
        *family = kind.family;
    }
    let mut bodies = Vec::new();
    for _ in 0..TRIES {
        bodies.clear();
        socket.request(Header::dump(kind.request), &fixed)?;
        if !socket.answers(|body| bodies.push(body.into()))? {
            break;
        }
    }
    Ok(bodies)
}

#[cfg(test)]
mod tests;
