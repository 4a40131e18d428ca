//! Messages made here, and the tables of the kernel this runs on.

use super::*;
use crate::backend::Change;
use crate::backend::ubus::json::to_json;
use std::time::Duration;

/// An attribute, padded.
fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
    let length = u16::try_from(value.len() + 4).unwrap();
    let mut bytes = [length.to_ne_bytes(), kind.to_ne_bytes()].concat();
    bytes.extend(value);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

fn body(fixed: &[u8], attributes: &[(u16, &[u8])]) -> Vec<u8> {
    attributes.iter().fold(fixed.to_vec(), |mut all, (kind, value)| {
        all.extend(attribute(*kind, value));
        all
    })
}

fn names() -> Names {
    Names::from([(2, "eth0".into()), (7, "br-lan".into())])
}

fn json(table: Option<Table>) -> serde_json::Value {
    table.map_or(serde_json::Value::Null, |table| to_json(&Value::Table(table)))
}

/// Family, index 7, state, flags.
fn ndmsg(family: u8, state: u16, flags: u8) -> Vec<u8> {
    let mut fixed = vec![family, 0, 0, 0];
    fixed.extend(7_i32.to_ne_bytes());
    fixed.extend(state.to_ne_bytes());
    fixed.extend([flags, 0]);
    fixed
}

#[test]
fn a_neighbour_has_addresses_and_a_state() {
    let mac = [0x86, 0xb7, 0x85, 0x2d, 0x41, 0x5e];
    let bytes = body(&ndmsg(2, 2, 0), &[(1, &[192, 168, 1, 140]), (2, &mac)]);
    let expected = serde_json::json!({"dev": "br-lan", "family": 4, "address": "192.168.1.140", "state": 2,
        "router": false, "lladdr": "86:b7:85:2d:41:5e"});
    assert_eq!(json(parse::neigh(&bytes, &names())), expected);
    let multicast = body(&ndmsg(10, 0x40, 0), &[(1, &[0xff; 16]), (2, &mac)]);
    assert!(parse::neigh(&multicast, &names()).is_none());
    let failed = body(&ndmsg(10, 0x20, 0x80), &[(1, &[0xfe; 16])]);
    assert_eq!(json(parse::neigh(&failed, &names()))["router"], true);
}

#[test]
fn a_route_has_its_target_and_way() {
    let fixed = [[2, 24, 0, 0, 254, 4, 0, 1].as_slice(), &0_u32.to_ne_bytes()].concat();
    let metric = 20_u32.to_ne_bytes();
    let bytes =
        body(&fixed, &[(1, &[10, 20, 0, 0]), (5, &[192, 168, 1, 254]), (4, &2_i32.to_ne_bytes()), (6, &metric)]);
    let expected = serde_json::json!({"family": 4, "protocol": 4, "scope": 0, "type": 1, "gateway": "192.168.1.254",
        "dev": "eth0", "metric": 20, "target": "10.20.0.0/24", "table": 254});
    assert_eq!(json(parse::route(&bytes, &names())), expected);
    let default = [[10, 0, 0, 0, 254, 2, 0, 1].as_slice(), &0_u32.to_ne_bytes()].concat();
    assert_eq!(json(parse::route(&default, &names()))["target"], "::/0");
    let cached = [[10, 0, 0, 0, 254, 2, 0, 1].as_slice(), &0x200_u32.to_ne_bytes()].concat();
    assert!(parse::route(&cached, &names()).is_none());
}

#[test]
fn a_queue_has_its_kind_and_counters() {
    let fixed = |parent: u32| {
        let words = [7_u32, 0x8001_0000, parent, 2].map(u32::to_ne_bytes).concat();
        [[0, 0, 0, 0].as_slice(), &words].concat()
    };
    let basic = [8_123_456_789_u64.to_ne_bytes().as_slice(), &41_u32.to_ne_bytes(), &[0; 4]].concat();
    let queue = [3_u32, 4542, 17, 0, 0].map(u32::to_ne_bytes).concat();
    let stats = body(&[], &[(1, &basic), (3, &queue)]);
    let bytes = body(&fixed(u32::MAX), &[(1, b"fq_codel\0"), (7, &stats)]);
    let expected = serde_json::json!({"dev": "br-lan", "parent": "root", "kind": "fq_codel", "bytes": 8_123_456_789_u64,
        "packets": 41, "qlen": 3, "backlog": 4542, "drops": 17});
    assert_eq!(json(parse::qdisc(&bytes, &names())), expected);
    assert_eq!(json(parse::qdisc(&body(&fixed(0x10001), &[]), &names()))["parent"], "other");
}

#[test]
fn what_is_cut_short_is_left_out_and_nothing_panics() {
    let mac = [1; 6];
    let whole = body(&ndmsg(2, 2, 0), &[(1, &[192, 168, 1, 140]), (2, &mac), (9, &7_i32.to_ne_bytes())]);
    for end in 0..whole.len() {
        let part = &whole[..end];
        for element in [parse::link, parse::addr, parse::neigh, parse::fdb, parse::route] {
            let _ = element(part, &names());
        }
        let _ = parse::name(part);
        assert!(message::messages(part).count() <= part.len() / message::HEADER);
    }
    // An attribute that says it is shorter than its own head ends the list.
    assert_eq!(message::attributes(&[3, 0, 1, 0, 9, 9, 9, 9], 0).count(), 0);
    assert_eq!(message::messages(&[0; 64]).count(), 0);
}

#[test]
fn this_kernel_tells_of_its_loopback() {
    let of = |method: &str| match call(method).unwrap().0.pop() {
        Some((_, Value::Array(elements))) => elements,
        other => panic!("{method}: {other:?}"),
    };
    let text = |value: &Value, member: &str| value.as_table()?.get(member)?.as_str().map(str::to_owned);
    let is_lo = |value: &&Value| text(value, "dev").as_deref() == Some("lo");
    let (links, addresses) = (of("link"), of("addr"));
    let lo = links.iter().find(is_lo).unwrap();
    let counted = lo.as_table().unwrap().get("statistics").unwrap().as_table().unwrap();
    assert_eq!(counted.0.len(), 13);
    assert!(addresses.iter().any(|a| text(a, "address").as_deref() == Some("127.0.0.1")), "{addresses:?}");
    let local = of("route").into_iter().any(|r| text(&r, "target").as_deref() == Some("127.0.0.0/8"));
    assert!(local, "the local table has the loopback");
    of("neigh");
    of("fdb");
    of("qdisc");
    assert_eq!(call("nonsense"), Err(CallError::Status(3)));
}

#[test]
fn changes_are_told_once_where_they_are_wanted() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let told = tokio::task::LocalSet::new().block_on(&runtime, async {
        let (sender, mut receiver) = tokio::sync::mpsc::channel(8);
        let wanted = watch::Wanted::default();
        assert!(!wanted.add("network.interface"));
        tokio::task::spawn_local(wanted.clone().run(sender));
        tokio::task::yield_now().await;
        assert!(wanted.add("netlink.addr"));
        tokio::time::sleep(Duration::from_millis(50)).await;
        let add = |what| std::process::Command::new("ip").args(["addr", what, "127.77.0.1/32", "dev", "lo"]).status();
        let changed = add("add").is_ok_and(|status| status.success());
        let _ = add("del");
        if !changed {
            return None;
        }
        let first = tokio::time::timeout(Duration::from_secs(5), receiver.recv()).await.unwrap();
        let second = tokio::time::timeout(Duration::from_millis(500), receiver.recv()).await;
        Some((first, second.is_err()))
    });
    // Without the right to change addresses there is nothing to see.
    if let Some((first, alone)) = told {
        assert_eq!(first, Some(Change::Event("netlink.addr".into(), Table::default())));
        assert!(alone, "two changes within the time of gathering are told once");
    }
}

/// As the kernel answers for a device with MAC counters and RMON histograms; one number is padded.
#[test]
fn hardware_tells_unicasts_multicasts_and_broadcasts_apart() {
    let stat = |id: u16, count: u64| attribute(4, &attribute(id, &count.to_ne_bytes()));
    let padded = attribute(4, &[attribute(1, &[]), attribute(17, &40_u64.to_ne_bytes())].concat());
    let mac = [attribute(2, &1_u32.to_ne_bytes()), attribute(3, &18_u32.to_ne_bytes()), stat(0, 1000), stat(3, 900)];
    let mac = [mac.concat(), stat(4, 2), stat(14, 10), stat(15, 20), padded, stat(18, 60)].concat();
    let range = |kind: u16, size: u32| attribute(kind, &size.to_ne_bytes());
    let bucket = [range(7, 65), range(8, 127), attribute(9, &77_u64.to_ne_bytes())].concat();
    let rmon = [attribute(2, &3_u32.to_ne_bytes()), stat(0, 5), stat(2, 99), attribute(5, &bucket)].concat();
    let head = [attribute(1, &2_u32.to_ne_bytes()), attribute(2, b"lan1\0")].concat();
    let bytes = body(&[32, 1, 0, 0], &[(2, &head), (4, &mac), (4, &rmon)]);
    let expected = serde_json::json!({"tx_packets": 1000, "rx_packets": 900, "rx_crc_errors": 2, "tx_multicast": 10,
        "tx_broadcast": 20, "rx_multicast": 40, "rx_broadcast": 60, "rx_undersize": 5, "upto_127": 77,
        "tx_unicast": 970, "rx_unicast": 800, "dev": "lan1"});
    assert_eq!(json(ethtool::element(&bytes)), expected);
    // A device whose driver counts none of them.
    let none = attribute(2, &1_u32.to_ne_bytes());
    assert_eq!(ethtool::element(&body(&[32, 1, 0, 0], &[(2, &head), (4, &none)])), None);
    for cut in 0..bytes.len() {
        let _ = ethtool::element(&bytes[..cut]);
    }
}

/// This machine's kernel answers, whatever its drivers count.
#[test]
fn the_kernel_is_asked_for_counters_of_hardware() {
    let all = call("ethtool").unwrap();
    assert!(all.get("ethtool").and_then(Value::as_array).is_some());
}
