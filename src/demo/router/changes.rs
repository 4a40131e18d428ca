//! How the simulated router's answers follow its configuration and what happens to it.

use super::{Json, Map, Package, json};
use crate::backend::uci::{OptValue, Section};

/// The counters of a device, made up from the bytes it is said to have carried.
pub(super) fn statistics(device: &Json) -> Map<String, Json> {
    let (received, sent) = (device["rx"].as_u64().unwrap_or(0), device["tx"].as_u64().unwrap_or(0));
    let counters = json!({
        "rx_bytes": received, "tx_bytes": sent, "rx_packets": received / 800, "tx_packets": sent / 800,
        "rx_errors": 0, "tx_errors": 0, "rx_dropped": received / 10_000_000, "tx_dropped": 0,
        "multicast": received / 100_000, "collisions": 0,
    });
    counters.as_object().cloned().unwrap_or_default()
}

/// The answers about devices as netifd and the kernel give them.
pub(super) fn complete_devices(answers: &mut Json) {
    let mut links = Vec::new();
    let devices = answers.pointer_mut("/network.device/status/?name").and_then(Json::as_object_mut);
    for (name, device) in devices.into_iter().flatten() {
        device["statistics"] = statistics(device).into();
        device["present"] = true.into();
        device["ipv6"] = true.into();
        device["autoneg"] = (device["hardware"] == true).into();
        let operstate = if device["carrier"] == true { "up" } else { "down" };
        links.push(json!({
            "dev": name, "address": device["macaddr"], "mtu": device["mtu"], "operstate": operstate,
            "master": device["master"], "statistics": device["statistics"],
        }));
    }
    answers["netlink"]["link"] = json!({ "link": links });
}

/// The names of all interfaces.
pub(super) fn interfaces(answers: &Json) -> Vec<String> {
    let all = answers.pointer("/network.interface/dump/interface").and_then(Json::as_array);
    all.into_iter().flatten().filter_map(|interface| interface["interface"].as_str().map(str::to_owned)).collect()
}

/// An interface of `network.interface dump`.
pub(super) fn interface<'a>(answers: &'a mut Json, name: &str) -> Option<&'a mut Json> {
    let all = answers.pointer_mut("/network.interface/dump/interface")?.as_array_mut()?;
    all.iter_mut().find(|interface| interface["interface"] == name)
}

/// Takes an interface up or down; false where it is so already.
pub(super) fn set_interface(answers: &mut Json, name: &str, up: bool) -> bool {
    let Some(interface) = interface(answers, name).filter(|interface| interface["up"] != up) else { return false };
    interface["up"] = up.into();
    interface["uptime"] = 0.into();
    for list in ["ipv4-address", "ipv6-address", "ipv6-prefix", "ipv6-prefix-assignment", "route", "dns-server"] {
        let (active, aside) = (interface[list].take(), interface[format!("demo-{list}")].take());
        interface[list] = if aside.is_null() { json!([]) } else { aside };
        interface[format!("demo-{list}")] = active;
    }
    true
}

/// The address of one of many.
pub(super) fn mac(number: u8) -> String {
    format!("02:00:5e:30:00:{number:02x}")
}

/// Clients on both radios in turn, and hosts in the kernel's tables.
pub(super) fn crowd(answers: &mut Json, stations: u8, hosts: u8) {
    let client = answers["hostapd.phy1-ap0"]["get_clients"]["clients"]["02:00:5e:20:00:02"].clone();
    for number in 0..stations {
        let object = if number % 2 == 0 { "hostapd.phy0-ap0" } else { "hostapd.phy1-ap0" };
        answers[object]["get_clients"]["clients"][mac(number)] = client.clone();
    }
    let neighbour = |number| {
        let address = format!("192.168.1.{number}");
        json!({ "dev": "br-lan", "family": 4, "address": address, "state": 2, "router": false, "lladdr": mac(number) })
    };
    answers["netlink"]["neigh"]["neigh"] = (0..hosts).map(neighbour).collect();
}

/// A client is associated, or is not.
pub(super) fn set_associated(answers: &mut Json, object: &str, mac: &str, here: bool) {
    let clients =
        answers.get_mut(object).and_then(|object| object.pointer_mut("/get_clients/clients")?.as_object_mut());
    let Some(clients) = clients else { return };
    if here {
        clients.insert(
            mac.to_owned(),
            json!({"auth": true, "assoc": true, "authorized": true, "he": true, "signal": -60}),
        );
    } else {
        clients.remove(mac);
    }
}

/// `/etc/init.d/system reload`.
pub(super) fn system(answers: &mut Json, package: &Package) {
    let hostname = package.of_kind("system").next().and_then(|system| system.text("hostname")).unwrap_or("OpenWrt");
    answers["system"]["board"]["hostname"] = hostname.into();
}

/// netifd's reload: what went down or up, in file order.
pub(super) fn network(answers: &mut Json, package: &Package) -> Vec<(String, bool)> {
    let mut moved = Vec::new();
    for section in package.of_kind("interface") {
        let up = !is_on(section, "disabled");
        if set_interface(answers, &section.name, up) {
            moved.push((section.name.to_string(), up));
        }
        let addresses = static_addresses(section);
        if let Some(interface) = interface(answers, &section.name).filter(|_| !addresses.is_empty()) {
            let place = if up { "ipv4-address" } else { "demo-ipv4-address" };
            if interface[place] != json!(addresses) {
                interface[place] = json!(addresses);
                moved.push((section.name.to_string(), up));
            }
        }
    }
    moved
}

/// Radios and networks follow /etc/config/wireless.
pub(super) fn wireless(answers: &mut Json, package: &Package) {
    for radio in package.of_kind("wifi-device") {
        let up = !is_on(radio, "disabled");
        let told = &mut answers["network.wireless"]["status"][&*radio.name];
        told["up"] = up.into();
        told["disabled"] = (!up).into();
        for option in ["channel", "htmode", "country"] {
            if let Some(value) = radio.text(option) {
                told["config"][option] = value.into();
            }
        }
    }
    for network in package.of_kind("wifi-iface") {
        let up = !is_on(network, "disabled");
        let radio = network.text("device").unwrap_or_default();
        let told = answers["network.wireless"]["status"][radio]["interfaces"].as_array_mut();
        let told = told.and_then(|all| all.iter_mut().find(|interface| interface["section"] == *network.name));
        let Some(told) = told else { continue };
        let ssid = network.text("ssid").unwrap_or_default();
        told["config"]["ssid"] = ssid.into();
        let hostapd = format!("hostapd.{}", told["ifname"].as_str().unwrap_or_default());
        answers[&hostapd]["get_status"]["ssid"] = ssid.into();
        answers[&hostapd]["get_status"]["status"] = if up { "ENABLED" } else { "DISABLED" }.into();
    }
}

fn is_on(section: &Section, option: &str) -> bool {
    matches!(section.text(option), Some("1" | "on" | "true" | "yes" | "enabled"))
}

/// `ipaddr` as OpenWrt writes it: CIDR texts, or one address with `netmask`.
fn static_addresses(section: &Section) -> Vec<Json> {
    let netmask = section.text("netmask").and_then(|mask| mask.parse::<std::net::Ipv4Addr>().ok());
    let usual = netmask.map_or(32, |mask| u32::from(mask).count_ones());
    let given = match section.get("ipaddr") {
        Some(OptValue::One(address)) => std::slice::from_ref(address),
        Some(OptValue::List(addresses)) => addresses,
        None => &[],
    };
    let one = |text: &str| match text.split_once('/') {
        Some((address, mask)) => json!({"address": address, "mask": mask.parse::<u32>().unwrap_or(32)}),
        None => json!({"address": text, "mask": usual}),
    };
    given.iter().map(|text| one(text)).collect()
}
