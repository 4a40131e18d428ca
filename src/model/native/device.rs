//! What identifies the hardware.

use crate::backend::Value;
use crate::model::eval::Scope;

/// What OpenWrt, BIOS vendors and device trees leave where nobody stated anything.
const PLACEHOLDERS: &[&str] = &[
    "openwrt",
    "generic",
    "v0",
    "system manufacturer",
    "system product name",
    "system serial number",
    "system version",
    "not specified",
    "none",
    "unknown",
    "0",
];

/// Vendor and product of a PC both unstated make a model `Default string Default string`.
const PLACEHOLDER_STARTS: &[&str] = &["default string", "default-string", "to be filled by"];

/// A text that somebody stated: no placeholder, trimmed.
pub(super) fn stated(_: &Scope<'_>, text: &str) -> Option<String> {
    let text = text.trim_matches(|c: char| c.is_whitespace() || c == '\0');
    let lower = text.to_ascii_lowercase();
    let begins_so = PLACEHOLDER_STARTS.iter().any(|start| lower.starts_with(start));
    let placeholder = text.is_empty() || begins_so || PLACEHOLDERS.contains(&lower.as_str());
    (!placeholder).then(|| text.to_string())
}

/// The MAC address on the label, `aa:bb:cc:dd:ee:ff`: as the board states it, else that of the first socket.
pub(super) fn label_mac(scope: &Scope<'_>) -> Option<Value> {
    let mac = stated_mac(scope).or_else(|| first_device_mac(scope))?;
    Some(Value::from(mac.to_ascii_lowercase().as_str()))
}

fn stated_mac(scope: &Scope<'_>) -> Option<String> {
    let board: serde_json::Value = serde_json::from_str(scope.file("/etc/board.json")?).ok()?;
    let mac = board.pointer("/system/label_macaddr").or_else(|| board.pointer("/network/wan/macaddr"))?.as_str()?;
    is_mac(mac).then(|| mac.to_string())
}

/// Addresses that the kernel draws by lot at every start (addr_assign_type 1) identify nothing.
fn first_device_mac(scope: &Scope<'_>) -> Option<String> {
    let devices = scope.list("/sys/class/net")?;
    let has_hardware = |name: &&String| scope.link(&format!("/sys/class/net/{name}/device")).is_some();
    let address = |name: &String| {
        let drawn = scope.file(&format!("/sys/class/net/{name}/addr_assign_type")).is_some_and(|t| t.trim() == "1");
        let mac = scope.file(&format!("/sys/class/net/{name}/address"))?.trim().to_string();
        (!drawn && is_mac(&mac) && mac != "00:00:00:00:00:00").then_some(mac)
    };
    let mut sockets = devices.iter().filter(has_hardware);
    sockets.find_map(address)
}

/// The OUI of a MAC address; none where the address was made up locally.
pub(super) fn oui(_: &Scope<'_>, mac: &str) -> Option<String> {
    let local = u8::from_str_radix(mac.get(..2)?, 16).ok()? & 0x02 != 0;
    (!local && is_mac(mac)).then(|| bare(mac).chars().take(6).collect())
}

/// A MAC address without its colons.
pub(super) fn bare_mac(_: &Scope<'_>, mac: &str) -> Option<String> {
    is_mac(mac).then(|| bare(mac))
}

fn bare(mac: &str) -> String {
    mac.chars().filter(char::is_ascii_hexdigit).collect::<String>().to_ascii_uppercase()
}

/// Six pairs of hexadecimal digits with colons.
pub(super) fn is_mac(text: &str) -> bool {
    let pair = |p: &str| p.len() == 2 && p.bytes().all(|b| b.is_ascii_hexdigit());
    text.split(':').count() == 6 && text.split(':').all(pair)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mac_address_has_six_pairs() {
        assert!(is_mac("00:11:22:aa:BB:ff"));
        for wrong in ["", "00:11:22:aa:BB", "00:11:22:aa:BB:fg", "0:011:22:aa:BB:ff", "00:11:22:aa:BB:ff:00"] {
            assert!(!is_mac(wrong), "{wrong}");
        }
    }
}
