//! ICMP echoes for the diagnostics: sockets and messages.

use super::socket::mark;
use std::io;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU16, Ordering};

use rustix::net::{AddressFamily, SocketFlags, SocketType, ipproto, socket_with};
use tokio::net::UdpSocket;

/// Bytes of an ICMP echo before its data.
pub const HEADER: usize = 8;
/// Bytes before the ICMP header that a raw IPv4 socket may deliver.
pub const MAX_IP_HEADER: usize = 60;

/// Which socket an operation needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// One for echoes; a raw one where `net.ipv4.ping_group_range` forbids it.
    Echo,
    /// One that hears of everything, errors of routers on the way among it.
    Raw,
}

/// A socket for ICMP of the family of this address; tokio's type for datagrams does for it.
pub fn socket(kind: Kind, address: IpAddr, device: Option<&str>, dscp: u8) -> io::Result<UdpSocket> {
    let (family, protocol) = match address {
        IpAddr::V4(_) => (AddressFamily::INET, ipproto::ICMP),
        IpAddr::V6(_) => (AddressFamily::INET6, ipproto::ICMPV6),
    };
    let open = |kind| socket_with(family, kind, SocketFlags::NONBLOCK | SocketFlags::CLOEXEC, Some(protocol));
    let socket = match kind {
        Kind::Echo => open(SocketType::DGRAM).or_else(|_| open(SocketType::RAW))?,
        Kind::Raw => open(SocketType::RAW)?,
    };
    mark(&socket, address.is_ipv4(), dscp)?;
    let socket = UdpSocket::from_std(socket.into())?;
    if let Some(device) = device {
        socket.bind_device(Some(device.as_bytes()))?;
    }
    Ok(socket)
}

/// An identifier that no other operation of this process uses now.
pub fn identifier() -> u16 {
    static COUNT: AtomicU16 = AtomicU16::new(1);
    let process = std::process::id().to_be_bytes();
    u16::from_be_bytes([process[2], process[3]]) ^ COUNT.fetch_add(1, Ordering::Relaxed)
}

/// An echo request. The kernel fills in the checksum of ICMPv6.
pub fn echo(v4: bool, identifier: u16, sequence: [u8; 2], size: usize) -> Vec<u8> {
    let [high, low] = identifier.to_be_bytes();
    let mut message = vec![if v4 { 8 } else { 128 }, 0, 0, 0, high, low, sequence[0], sequence[1]];
    message.extend((0..size).map(|at| b'a' + (at % 23) as u8));
    if v4 {
        let sum = checksum(&message);
        message.splice(2..4, sum.to_be_bytes());
    }
    message
}

/// What follows an IPv4 header, if there is one.
pub fn behind_ip_header(v4: bool, packet: &[u8]) -> Option<&[u8]> {
    match packet.first() {
        Some(first) if v4 && first >> 4 == 4 => packet.get(usize::from(first & 15) * 4..),
        _ => Some(packet),
    }
}

/// The checksum of RFC 1071 over a message whose checksum field is zero.
fn checksum(message: &[u8]) -> u16 {
    let words = message.chunks(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(pair.get(1).copied().unwrap_or(0)));
    let mut sum: u32 = words.fold(0, |sum, word| sum.wrapping_add(word));
    while sum >> 16 != 0 {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).unwrap_or(u16::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_that_of_rfc_1071() {
        assert_eq!(checksum(&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]), !0xddf2);
        assert_eq!(checksum(&[0xff]), !0xff00);
    }

    #[test]
    fn an_ip_header_is_skipped_where_there_is_one() {
        let mut packet = vec![0x46; 24];
        packet.extend([8, 0]);
        assert_eq!(behind_ip_header(true, &packet), Some(&[8, 0][..]));
        assert_eq!(behind_ip_header(false, &[0x46, 1]), Some(&[0x46, 1][..]));
        assert_eq!(behind_ip_header(true, &[0x4f]), None);
    }
}
