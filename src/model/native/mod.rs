//! Mapping rows that need logic: one Rust function each, by the name the row gives.

mod bridge;
mod bridge_edit;
mod cpu;
mod ddns;
mod device;
mod dhcp_match;
mod dhcp_options;
mod dhcp_pool;
mod dhcp_value;
mod discovery;
mod dns;
mod ethernet;
mod firewall;
mod firewall_rule;
mod firewall_set;
mod firewall_zone;
mod hosts;
mod ipv4;
mod ipv6;
mod ipv6_server;
mod lamps;
mod leases;
mod link;
mod network;
mod process;
mod qos;
mod routing;
mod row;
mod schedule;
mod security;
mod time;
mod trust;
mod tunnel;
mod usb;
mod wifi_access_point;
mod wifi_legacy;
mod wifi_power;
mod wifi_radio;
mod wifi_security;
mod wifi_wps;
mod zone;

use firewall_rule as rule;
use firewall_zone::{ECHO4, ECHO6, ECHO6_THROUGH};

use super::eval::Scope;
use super::stage::Staging;
use crate::backend::Value;
use crate::usp::fault::Fault;

/// Reads a value: `= native NAME`.
pub type Read = fn(&Scope<'_>) -> Option<Value>;
/// Writes one: the canonical text of the parameter.
pub type Write = fn(&Scope<'_>, &str, &mut Staging) -> Result<(), Fault>;
/// The rows of a table: `each native NAME`; key and element, which `item` reads. A key `:7` is numbered 7.
pub type Rows = fn(&Scope<'_>) -> Vec<(String, Value)>;
/// From text to text: `| native NAME`.
pub type FilterFn = fn(&Scope<'_>, &str) -> Option<String>;
/// The way back of one: what stands there now, and what is written; None where it cannot be.
pub type Back = fn(&Scope<'_>, &str, &str) -> Option<String>;
/// Makes a row below the scope's row and returns its key: `new native NAME`.
pub type Create = fn(&Scope<'_>, &mut Staging) -> Result<String, Fault>;
/// Removes the scope's row.
pub type Delete = fn(&Scope<'_>, &mut Staging) -> Result<(), Fault>;

/// Values: name, how it is read, how it is written where it can be.
#[rustfmt::skip]
const VALUES: &[(&str, Read, Option<Write>)] = &[
    ("bridge.frames", bridge::frames, None),
    ("bridge.lower_layers", bridge::lower_layers, Some(bridge_edit::set_lower_layers)),
    ("bridge.management", bridge::management, None),
    ("bridge.port", |s| bridge::named(s, "port", bridge::PORTS), Some(bridge_edit::set_port)),
    ("bridge.pvid", bridge::pvid, Some(bridge_edit::set_pvid)),
    ("bridge.untagged", bridge::untagged, Some(bridge_edit::set_untagged)),
    ("bridge.vlan", |s| bridge::named(s, "vlan", bridge::VLANS), Some(bridge_edit::set_vlan)),
    ("controller.untrusted", trust::untrusted, None),
    ("cpu.usage", cpu::usage, None),
    ("ddns.check", ddns::check, Some(ddns::set_check)),
    ("ddns.name", ddns::name, Some(ddns::set_name)),
    ("ddns.retry", ddns::retry, Some(ddns::set_retry)),
    ("ddns.services", ddns::services, None),
    ("device.label_mac", device::label_mac, None),
    ("dhcp.chaddr", dhcp_match::chaddr, Some(dhcp_match::set_chaddr)),
    ("dhcp.chaddr_mask", dhcp_match::chaddr_mask, Some(dhcp_match::set_chaddr_mask)),
    ("dhcp.client_id", dhcp_match::client_id, Some(dhcp_match::set_client_id)),
    ("dhcp.dns_servers", dhcp_pool::dns_servers, Some(dhcp_pool::set_dns_servers)),
    ("dhcp.domain", dhcp_pool::domain, Some(dhcp_pool::set_domain)),
    ("dhcp.in_pool", dhcp_pool::in_pool, None),
    ("dhcp.lease_time", dhcp_pool::lease_time, Some(dhcp_pool::set_lease_time)),
    ("dhcp.mask", dhcp_pool::mask, None),
    ("dhcp.max_address", dhcp_pool::max_address, Some(dhcp_pool::set_max_address)),
    ("dhcp.min_address", dhcp_pool::min_address, Some(dhcp_pool::set_min_address)),
    ("dhcp.option_tag", dhcp_options::tag, Some(dhcp_options::set_tag)),
    ("dhcp.option_value", dhcp_options::value, Some(dhcp_options::set_value)),
    ("dhcp.requested", dhcp_options::requested, None),
    ("dhcp.routers", dhcp_pool::routers, Some(dhcp_pool::set_routers)),
    ("dhcp.server_enable", dhcp_pool::server_enable, None),
    ("dhcp.user_class", dhcp_match::user_class, Some(dhcp_match::set_user_class)),
    ("dhcp.vendor_class", dhcp_match::vendor_class, Some(dhcp_match::set_vendor_class)),
    ("dhcp.wins_servers", dhcp_pool::wins_servers, Some(dhcp_pool::set_wins_servers)),
    ("dns.forwarders", dns::forwarders, None),
    ("dns.server", dns::server, Some(dns::set_server)),
    ("dns.zone", dns::zone, Some(dns::set_zone)),
    ("ethernet.enable", ethernet::enable, Some(ethernet::set_enable)),
    ("ethernet.rmon_packets", ethernet::rmon_packets, None),
    ("ethernet.upstream", ethernet::upstream, None),
    ("firewall.dest_port", |s| rule::port(s, "dest_port", firewall::first), Some(|s, v, st| rule::set_port(s, "dest_port", firewall::set_first, v, st))),
    ("firewall.dest_port_max", |s| rule::port(s, "dest_port", firewall::last), Some(|s, v, st| rule::set_port(s, "dest_port", firewall::set_last, v, st))),
    ("firewall.dest_ports", rule::dest_ports, Some(rule::set_dest_ports)),
    ("firewall.echo4", |s| ECHO4.read(s), Some(|s, v, st| ECHO4.write(s, v, st))),
    ("firewall.echo6", |s| ECHO6.read(s), Some(|s, v, st| ECHO6.write(s, v, st))),
    ("firewall.echo6_through", |s| ECHO6_THROUGH.read(s), Some(|s, v, st| ECHO6_THROUGH.write(s, v, st))),
    ("firewall.helper", firewall_zone::helper, Some(firewall_zone::set_helper)),
    ("firewall.order", rule::order, Some(rule::set_order)),
    ("firewall.reverse", rule::reverse, None),
    ("firewall.rp_filter", firewall_zone::rp_filter, Some(firewall_zone::set_rp_filter)),
    ("firewall.set_addresses", |s| firewall_set::entries(s, "IPAddresses"), Some(|s, v, st| firewall_set::set_entries(s, "IPAddresses", v, st))),
    ("firewall.set_macs", |s| firewall_set::entries(s, "MACAddresses"), Some(|s, v, st| firewall_set::set_entries(s, "MACAddresses", v, st))),
    ("firewall.set_ports", |s| firewall_set::entries(s, "Ports"), Some(|s, v, st| firewall_set::set_entries(s, "Ports", v, st))),
    ("firewall.set_type", firewall_set::set_type, Some(firewall_set::set_set_type)),
    ("firewall.source_port", |s| rule::port(s, "src_port", firewall::first), Some(|s, v, st| rule::set_port(s, "src_port", firewall::set_first, v, st))),
    ("firewall.source_port_max", |s| rule::port(s, "src_port", firewall::last), Some(|s, v, st| rule::set_port(s, "src_port", firewall::set_last, v, st))),
    ("ip.lower_layers", link::ip_lower_layers, Some(link::set_ip_lower_layers)),
    ("ipv4.address", ipv4::address, Some(ipv4::set_address)),
    ("ipv4.mask", ipv4::mask, Some(ipv4::set_mask)),
    ("ipv4.status", ipv4::status, None),
    ("ipv6.added_length", ipv6::added_length, Some(ipv6::set_added_length)),
    ("ipv6.client_address", ipv6::client_address, None),
    ("ipv6.local_identifier", ipv6::local_identifier, None),
    ("ipv6.remote_identifier", ipv6::remote_identifier, None),
    ("ipv6.served_prefixes", ipv6::served_prefixes, None),
    ("ipv6.ula", ipv6::ula, Some(ipv6::set_ula)),
    ("lamp.duration", lamps::duration, Some(lamps::set_duration)),
    ("lamp.reason", lamps::reason, None),
    ("ppp.lower_layers", link::lower_layers, Some(link::set_lower_layers)),
    ("ppp.session", link::session, None),
    ("process.stat", process::stat, None),
    ("qos.dscp_mark", qos::dscp_mark, Some(qos::set_dscp_mark)),
    ("qos.forwarding_policy", qos::forwarding_policy, Some(qos::set_forwarding_policy)),
    ("qos.shaping_rate", qos::shaping_rate, None),
    ("ra.home_agent", ipv6_server::home_agent, Some(ipv6_server::set_home_agent)),
    ("ra.managed", ipv6_server::managed, Some(ipv6_server::set_managed)),
    ("ra.other", ipv6_server::other, Some(ipv6_server::set_other)),
    ("routing.address", routing::address, Some(routing::set_address)),
    ("routing.mask", routing::mask, Some(routing::set_mask)),
    ("routing.metric", routing::metric, Some(routing::set_metric)),
    ("routing.next_hop", routing::next_hop, Some(routing::set_next_hop)),
    ("routing.policy", routing::policy, Some(routing::set_policy)),
    ("routing.prefix", routing::prefix, Some(routing::set_prefix)),
    ("routing.status", routing::status, None),
    ("row.alias", row::alias, Some(row::set_alias)),
    ("row.always", row::always, Some(row::set_always)),
    ("row.most", row::most, None),
    ("row.name", row::name, None),
    ("schedule.days", schedule::days, Some(schedule::set_days)),
    ("schedule.duration", schedule::duration, Some(schedule::set_duration)),
    ("schedule.start", schedule::start, Some(schedule::set_start)),
    ("schedule.status", schedule::status, None),
    ("time.local", time::local, None),
    ("time.status", time::status, None),
    ("time.zone", time::zone, Some(time::set_zone)),
    ("tunnel.address_source", tunnel::address_source, Some(tunnel::set_address_source)),
    ("tunnel.end_user_prefix", tunnel::end_user_prefix, None),
    ("tunnel.ipv4_prefix", tunnel::ipv4_prefix, Some(tunnel::set_ipv4_prefix)),
    ("tunnel.ipv6_prefix", tunnel::ipv6_prefix, Some(tunnel::set_ipv6_prefix)),
    ("tunnel.status", tunnel::status, None),
    ("uci.section", row::section, None),
    ("wifi.auto_channel", wifi_radio::auto_channel, Some(wifi_radio::set_auto_channel)),
    ("wifi.bands", wifi_radio::bands, None),
    ("wifi.bandwidth", wifi_radio::bandwidth, Some(wifi_radio::set_bandwidth)),
    ("wifi.bandwidths", wifi_radio::bandwidths, None),
    ("wifi.channels", wifi_radio::channels, None),
    ("wifi.counters", wifi_power::counters, None),
    ("wifi.country", wifi_radio::country, Some(wifi_radio::set_country)),
    ("wifi.guard_interval", wifi_legacy::guard_interval, Some(wifi_legacy::set_guard_interval)),
    ("wifi.max_bit_rate", wifi_radio::max_bit_rate, None),
    ("wifi.mld_unit", wifi_legacy::mld_unit, None),
    ("wifi.mode", wifi_security::mode, Some(wifi_security::set_mode)),
    ("wifi.modes_supported", wifi_security::modes_supported, None),
    ("wifi.passphrase", wifi_security::passphrase, Some(wifi_security::set_passphrase)),
    ("wifi.power", wifi_power::power, Some(wifi_power::set_power)),
    ("wifi.powers", wifi_power::powers, None),
    ("wifi.pre_shared_key", wifi_security::pre_shared_key, Some(wifi_security::set_pre_shared_key)),
    ("wifi.profile_reference", wifi_access_point::profile_reference, None),
    ("wifi.snr", wifi_radio::snr, None),
    ("wifi.ssid_reference", wifi_access_point::ssid_reference, Some(wifi_access_point::set_ssid_reference)),
    ("wifi.standards", wifi_radio::standards, None),
    ("wifi.upstream", wifi_power::upstream, None),
    ("wifi.wep_key", wifi_legacy::wep_key, Some(wifi_legacy::set_wep_key)),
    ("wifi.wps", wifi_wps::enable, Some(wifi_wps::set_enable)),
    ("wifi.wps_methods", wifi_wps::methods, Some(wifi_wps::set_methods)),
    ("zone.networks", zone::networks, Some(zone::set_networks)),
    ("zone.state", zone::state, None),
];

/// Tables.
const ROWS: &[(&str, Rows)] = &[
    ("bridge.vlan_ports", bridge::vlan_ports),
    ("certificate.bundles", security::bundles),
    ("certificate.certificates", security::certificates),
    ("ddns.servers", ddns::servers),
    ("dhcp.clients", leases::clients),
    ("dhcp.options", dhcp_options::rows),
    ("dhcp.received", dhcp_options::received),
    ("discovery.announced", discovery::announced),
    ("discovery.found", discovery::found),
    ("dns.forwarding", dns::forwarding),
    ("dns.servers", dns::servers),
    ("ethernet.links", link::links),
    ("ethernet.vlans", link::vlans),
    ("firewall.networks", firewall::networks),
    ("firewall.set_rules", firewall_set::rules),
    ("firewall.translated", firewall::translated),
    ("firewall.zones", firewall::zones),
    ("hosts.hosts", hosts::hosts),
    ("ipv4.addresses", ipv4::addresses),
    ("ipv6.route_information", ipv6::route_information),
    ("lamp.cycle", lamps::cycle),
    ("process.processes", process::processes),
    ("process.temperatures", process::temperatures),
    ("routing.ipv4", routing::ipv4),
    ("routing.ipv6", routing::ipv6),
    ("stack.rows", link::stack),
    ("time.ntp", time::ntp),
];

/// Filters: name, the way from the router, the way back where there is one.
#[rustfmt::skip]
const FILTERS: &[(&str, FilterFn, Option<Back>)] = &[
    ("certificate.issuer", trust::issuer, None),
    ("certificate.serial", trust::serial, None),
    ("ddns.since_start", ddns::since_start, None),
    ("dhcp.interface", ipv6_server::interface, Some(ipv6_server::set_interface)),
    ("device.bare_mac", device::bare_mac, None),
    ("device.oui", device::oui, None),
    ("device.stated", device::stated, None),
    ("discovery.utc", discovery::utc, None),
    ("firewall.address", firewall::address, Some(firewall::set_address)),
    ("firewall.all", firewall::any, Some(rule::set_all)),
    ("firewall.any", firewall::any, Some(firewall::set_any)),
    ("firewall.dscp", rule::dscp, Some(rule::set_dscp)),
    ("firewall.family", firewall_set::family, Some(firewall_set::set_family)),
    ("firewall.first", firewall::first, Some(firewall::set_first)),
    ("firewall.host", rule::host, Some(rule::set_host)),
    ("firewall.icmp", rule::icmp, Some(rule::set_icmp)),
    ("firewall.inbound", firewall::network, Some(rule::set_inbound)),
    ("firewall.last", firewall::last, Some(firewall::set_last)),
    ("firewall.mac", rule::mac, Some(rule::set_mac)),
    ("firewall.mask", firewall::mask, Some(firewall::set_mask)),
    ("firewall.network", firewall::network, Some(firewall::set_network)),
    ("firewall.not", firewall::not, Some(firewall::set_not)),
    ("firewall.own_mac", rule::mac, Some(rule::set_own_mac)),
    ("firewall.protocol", firewall::protocol, Some(firewall::set_protocol)),
    ("firewall.protocols", rule::protocols, Some(rule::set_protocols)),
    ("firewall.set_dest", |s, t| rule::set(s, t, true, false), Some(|s, o, v| rule::set_set(s, o, v, true, false))),
    ("firewall.set_not_dest", |s, t| rule::set(s, t, true, true), Some(|s, o, v| rule::set_set(s, o, v, true, true))),
    ("firewall.set_not_source", |s, t| rule::set(s, t, false, true), Some(|s, o, v| rule::set_set(s, o, v, false, true))),
    ("firewall.set_source", |s, t| rule::set(s, t, false, false), Some(|s, o, v| rule::set_set(s, o, v, false, false))),
    ("firewall.stealth", firewall_zone::stealth, Some(firewall_zone::set_stealth)),
    ("firewall.transport", firewall::transport, Some(firewall::set_transport)),
    ("hosts.of_address", hosts::of_address, Some(hosts::address_of)),
    ("ipv4.interface", ipv4::interface_of, Some(ipv4::address_of)),
    ("ipv4.is", ipv4::is, None),
    ("lamp.colour", lamps::colour, None),
    ("tunnel.address", tunnel::address, Some(tunnel::set_address)),
    ("tunnel.name", tunnel::name, Some(tunnel::set_name)),
    ("usb.hub", usb::hub, None),
    ("usb.number", usb::number, None),
    ("usb.port", usb::port, None),
    ("wifi.width", wifi_radio::width, None),
    ("words", row::words, Some(row::set_words)),
    ("link.port", link::port, None),
    ("qos.status", qos::status, None),
    ("row.counter", row::counter, None),
];

/// Creation and deletion of rows.
const MAKERS: &[(&str, Create, Delete)] = &[
    ("bridge.ports", bridge_edit::create_port, bridge_edit::delete_port),
    ("bridge.vlan_ports", bridge_edit::create_vlan_port, bridge_edit::delete_vlan_port),
    ("dhcp.options", dhcp_options::create, dhcp_options::delete),
    ("dhcp.six", ipv6_server::create, ipv6_server::delete),
    ("dns.forwarding", dns::create_forwarding, dns::delete),
    ("dns.servers", dns::create, dns::delete),
    ("firewall.set_rules", firewall_set::create, firewall_set::delete),
    ("ipv4.addresses", ipv4::create, ipv4::delete),
    ("wifi.access_point", wifi_access_point::create, wifi_access_point::delete),
    ("wifi.end_point", wifi_access_point::create_end_point, wifi_access_point::delete),
    ("wifi.profile", wifi_access_point::create_profile, wifi_access_point::delete_profile),
];

/// The value of `native NAME`.
pub fn read(name: &str, scope: &Scope<'_>) -> Option<Value> {
    VALUES.iter().find(|(n, ..)| *n == name).and_then(|(_, read, _)| read(scope))
}

/// How `native NAME` is written, where it can be.
pub fn write(name: &str) -> Option<Write> {
    VALUES.iter().find(|(n, ..)| *n == name).and_then(|(.., write)| *write)
}

/// The rows of `each native NAME`.
pub fn rows(name: &str, scope: &Scope<'_>) -> Vec<(String, Value)> {
    ROWS.iter().find(|(n, _)| *n == name).map(|(_, rows)| rows(scope)).unwrap_or_default()
}

/// The text behind `| native NAME`.
pub fn filter(name: &str, scope: &Scope<'_>, text: &str) -> Option<String> {
    FILTERS.iter().find(|(n, ..)| *n == name).and_then(|(_, filter, _)| filter(scope, text))
}

/// The way back of `| native NAME`, where there is one.
pub fn back(name: &str) -> Option<Back> {
    FILTERS.iter().find(|(n, ..)| *n == name).and_then(|(.., back)| *back)
}

/// Whether what `native NAME` gives can be written.
pub fn writes(name: &str) -> bool {
    write(name).is_some() || back(name).is_some()
}

/// What `new native NAME` does.
pub fn maker(name: &str) -> Option<(Create, Delete)> {
    MAKERS.iter().find(|(n, ..)| *n == name).map(|(_, create, delete)| (*create, *delete))
}

/// Whether a name is known, for the mapping's check: value, rows, filter or maker.
pub fn known(name: &str) -> bool {
    VALUES.iter().any(|(n, ..)| *n == name)
        || ROWS.iter().any(|(n, _)| *n == name)
        || FILTERS.iter().any(|(n, ..)| *n == name)
        || MAKERS.iter().any(|(n, ..)| *n == name)
}
