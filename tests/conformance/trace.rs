//! TP-469 1.92: what the agent sends for a TraceRoute() without arguments, seen on the loopback.

use std::net::Ipv4Addr;
use std::num::NonZeroU32;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use rustix::net::{AddressFamily, Protocol, RecvFlags, SocketFlags, SocketType, recv, socket_with};

use crate::bench::Bench;
use crate::eut::impossible;
use crate::messages::{accepted, single};
use crate::operate::request_path;

const TRACE: &str = "Device.IP.Diagnostics.TraceRoute()";
/// What the standard gives where the controller does not: NumberOfTries, and Timeout with the plan's 1 %.
const TRIES: usize = 3;
const TIMEOUT: Duration = Duration::from_millis(5000);
const TOLERANCE: Duration = Duration::from_millis(50);

/// An echo request on its way.
struct Echo {
    at: Instant,
    hops_left: u8,
}

/// Echo requests to `target` from now on, seen by a thread of its own. Packets belong to root.
fn watch(target: Ipv4Addr) -> std::io::Result<Receiver<Echo>> {
    let ip = NonZeroU32::new(u16::to_be(0x0800).into()).map(Protocol::from_raw);
    let socket = socket_with(AddressFamily::PACKET, SocketType::DGRAM, SocketFlags::CLOEXEC, ip)?;
    let (told, echoes) = channel();
    std::thread::spawn(move || {
        let mut packet = vec![0; 2048];
        while let Ok((length, _)) = recv(&socket, packet.as_mut_slice(), RecvFlags::empty()) {
            let seen = packet.get(..length).and_then(|packet| hops_left(packet, target));
            let gone = seen.map(|hops_left| told.send(Echo { at: Instant::now(), hops_left }).is_err());
            if gone == Some(true) {
                return;
            }
        }
    });
    Ok(echoes)
}

/// The time to live of an ICMP echo request to this address.
fn hops_left(packet: &[u8], target: Ipv4Addr) -> Option<u8> {
    let header = usize::from(packet.first()? & 15) * 4;
    let wanted =
        packet.get(9) == Some(&1) && packet.get(16..20) == Some(&target.octets()) && packet.get(header) == Some(&8);
    packet.get(8).copied().filter(|_| wanted)
}

async fn next(echoes: &Receiver<Echo>, within: Duration) -> Echo {
    let until = Instant::now() + within;
    loop {
        if let Ok(echo) = echoes.try_recv() {
            return echo;
        }
        assert!(Instant::now() < until, "the EUT sends no TraceRoute ICMP request");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

pub async fn default_values(t: &mut Bench) {
    // Documentation only (RFC 5737), another one for every bench; through the loopback, where nobody answers.
    let number: u32 = t.agent_id.rsplit('-').next().and_then(|digits| digits.parse().ok()).unwrap_or(1);
    let host = Ipv4Addr::new(192, 0, 2, u8::try_from(number % 254).unwrap_or(0) + 1);
    let Ok(echoes) = watch(host) else { impossible("only root may watch packets") };
    let (host, loopback) = (host.to_string(), loopback(t).await);
    let input = [("Host", &*host), ("ProtocolVersion", "Any"), ("Interface", &*loopback)];
    let result = single(accepted(t.operate(TRACE, "test92", &input).await));
    let request = request_path(&result, TRACE);
    let mut sent = Vec::new();
    for _ in 0..=TRIES {
        sent.push(next(&echoes, TIMEOUT * 2).await);
    }
    let hops: Vec<u8> = sent.iter().map(|echo| echo.hops_left).collect();
    assert_eq!(hops, [1, 1, 1, 2], "{TRIES} tries a hop");
    let waits: Vec<Duration> = sent.windows(2).map(|pair| pair[1].at - pair[0].at).collect();
    let early = waits.iter().filter(|wait| **wait < TIMEOUT - TOLERANCE).count();
    // A busy machine may send one of them late, and the next the earlier for it by nothing: the least of them tells.
    let least = waits.iter().min().expect("three waits");
    assert!(early == 0 && *least <= TIMEOUT + TOLERANCE, "{waits:?}");
    accepted(t.operate(&format!("{}.Cancel()", request.trim_end_matches('.')), "", &[]).await);
}

/// The row of Device.IP.Interface.{i}. that is the loopback.
async fn loopback(t: &mut Bench) -> String {
    let found = accepted(t.get_instances(&["Device.IP.Interface.[Loopback==true]."], true).await);
    let rows = found.into_iter().flat_map(|result| result.curr_insts);
    let path = rows.map(|row| row.instantiated_obj_path).next().expect("a loopback interface");
    path.trim_end_matches('.').to_owned()
}
