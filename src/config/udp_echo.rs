//! The server of `Device.IP.Diagnostics.UDPEchoConfig.`, section `udpecho`.

use super::{truth, value};
use crate::backend::uci::Package;
use std::net::IpAddr;
use std::num::NonZeroU16;

/// What is sent back, and to whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UdpEcho {
    /// netifd's name of the interface it listens on; empty for all.
    pub interface: Box<str>,
    /// Who is answered.
    pub source: IpAddr,
    /// Where it listens.
    pub port: u16,
    /// Fields of UDPEchoPlus are filled in.
    pub plus: bool,
}

/// The server; None where it is not enabled, or nobody may use it.
pub fn udp_echo(package: &Package) -> Option<UdpEcho> {
    let section = package.of_kind("udpecho").next().filter(|section| truth(section, "Enable"))?;
    let told =
        |option: &str| log::warn!("udp-echo=off section={} cause=\"{option} is missing or wrong\"", section.name);
    let source = value(section, "SourceIPAddress").parse::<IpAddr>().inspect_err(|_| told("SourceIPAddress")).ok()?;
    let port = value(section, "UDPPort").parse::<NonZeroU16>().inspect_err(|_| told("UDPPort")).ok()?.get();
    let interface = value(section, "Interface").into();
    Some(UdpEcho { interface, source, port, plus: truth(section, "EchoPlusEnabled") })
}
