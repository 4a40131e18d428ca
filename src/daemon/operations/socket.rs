//! Sockets of the diagnostics, one per test, and the addresses they go to.

use super::arguments::Version;
use crate::mtp::Family;
use crate::mtp::resolver::Resolver;
use rustix::net::sockopt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::AsFd;
use tokio::net::UdpSocket;

/// The first address of a name, or the address it is.
pub async fn resolve(host: &str, version: Version) -> Option<IpAddr> {
    let family = match version {
        Version::Any => Family::Any,
        Version::IPv4 => Family::V4,
        Version::IPv6 => Family::V6,
    };
    Resolver::of_router().look_up(host, family).await.ok()?.first().map(SocketAddr::ip)
}

/// The network says that there is no way.
pub fn is_unreachable(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable)
}

/// Nobody is there: no way, or no service.
pub fn is_not_there(error: &io::Error) -> bool {
    is_unreachable(error) || error.kind() == io::ErrorKind::ConnectionRefused
}

/// Gives what a socket sends this DiffServ codepoint.
pub fn mark(socket: impl AsFd, v4: bool, dscp: u8) -> io::Result<()> {
    let class = (dscp & 63) << 2;
    match v4 {
        true => sockopt::set_ip_tos(socket, class)?,
        false => sockopt::set_ipv6_tclass(socket, class.into())?,
    }
    Ok(())
}

/// A UDP socket that speaks to one place only, through a network device where one is named.
pub async fn udp(to: SocketAddr, device: Option<&str>, dscp: u8) -> io::Result<UdpSocket> {
    let any: IpAddr = if to.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind((any, 0)).await?;
    if let Some(device) = device {
        socket.bind_device(Some(device.as_bytes()))?;
    }
    mark(&socket, to.is_ipv4(), dscp)?;
    socket.connect(to).await?;
    Ok(socket)
}
