//! Who may join a network: OpenWrt's `encryption` and `key` as TR-181's modes and passphrases.

use super::network::is;
use crate::backend::uci::{OptValue, Section};
use crate::backend::{Table, Value};
use crate::model::eval::Scope;
use crate::model::stage::Staging;
use crate::usp::fault::{Code, Fault};

/// TR-181's mode and OpenWrt's word for it; the first word of a mode is the one written.
const MODES: &[(&str, &str)] = &[
    ("None", "none"),
    ("None", "open"),
    ("WPA-Personal", "psk"),
    ("WPA2-Personal", "psk2"),
    ("WPA-WPA2-Personal", "psk-mixed"),
    ("WPA-WPA2-Personal", "mixed-psk"),
    ("WPA3-Personal", "sae"),
    ("WPA3-Personal", "psk3"),
    ("WPA3-Personal-Transition", "sae-mixed"),
    ("WPA3-Personal-Transition", "psk3-mixed"),
    ("WPA-Enterprise", "wpa"),
    ("WPA2-Enterprise", "wpa2"),
    ("WPA-WPA2-Enterprise", "wpa-mixed"),
    ("WPA-WPA2-Enterprise", "mixed-wpa"),
    ("WPA3-Enterprise", "wpa3"),
    ("WPA3-Enterprise", "wpa3-192"),
    // TR-181 has no word for the transition; MFPConfig tells it apart.
    ("WPA3-Enterprise", "wpa3-mixed"),
    ("OWE", "owe"),
];

/// What every hostapd OpenWrt builds can do.
const ALWAYS: &[&str] = &["None", "WPA-Personal", "WPA2-Personal", "WPA-WPA2-Personal"];

/// The mode that is configured. WEP is none of the modes: whether it is 64 or 128 stands in the key.
pub(super) fn mode(scope: &Scope<'_>) -> Option<Value> {
    let section = scope.section()?.1;
    mode_of(section.text("encryption").unwrap_or("none")).map(Value::from)
}

/// `psk2+ccmp` is psk2 with a cipher.
fn mode_of(encryption: &str) -> Option<&'static str> {
    let word = encryption.split('+').next()?;
    MODES.iter().find(|(_, known)| *known == word).map(|(mode, _)| *mode)
}

/// What this router's hostapd or wpa_supplicant can do, by LuCI's look at its features; without LuCI what every one
/// can, and what is in use.
pub(super) fn modes_supported(scope: &Scope<'_>) -> Option<Value> {
    let current = scope.section().and_then(|(_, s)| mode_of(s.text("encryption").unwrap_or("none")));
    let modes =
        MODES.iter().map(|(mode, _)| *mode).filter(|mode| can(scope, mode) == Some(true) || current == Some(mode));
    let mut modes: Vec<&str> = modes.collect();
    modes.dedup();
    Some(Value::Array(modes.into_iter().map(Value::from).collect()))
}

/// Whether hostapd, or wpa_supplicant for a station, has what a mode needs; None where nobody tells.
fn can(scope: &Scope<'_>, mode: &str) -> Option<bool> {
    if ALWAYS.contains(&mode) {
        return Some(true);
    }
    let station = scope.section().is_some_and(|(_, section)| section.text("mode") == Some("sta"));
    let program = if station { "wpasupplicant" } else { "hostapd" };
    let features = scope.ubus("luci", "getFeatures", &Table::default())?.get(program)?.as_table()?;
    Some(match mode {
        "WPA3-Personal" | "WPA3-Personal-Transition" => is(features, "sae"),
        "OWE" => is(features, "owe"),
        "WPA3-Enterprise" => is(features, "eap") && is(features, "sae"),
        _ => is(features, "eap"),
    })
}

/// Writes OpenWrt's word for the mode. WPA3 and OWE need protected management frames: an option that
/// forbids them goes.
pub(super) fn set_mode(scope: &Scope<'_>, value: &str, staging: &mut Staging) -> Result<(), Fault> {
    let refused = |why: &'static str| Fault::new(Code::InvalidValue, why);
    let (package, section) = scope.section().ok_or_else(|| refused("no such network"))?;
    let word = MODES.iter().find(|(mode, _)| *mode == value).map(|(_, word)| *word);
    let word = word.ok_or_else(|| refused("ModeEnabled is not a mode OpenWrt has"))?;
    if can(scope, value) == Some(false) {
        return Err(refused("ModeEnabled is not one of ModesSupported"));
    }
    staging.set(&package.name, &section.name, "encryption", Some(OptValue::One(word.into())));
    if needs_protected_frames(value) && section.text("ieee80211w") == Some("0") {
        staging.set(&package.name, &section.name, "ieee80211w", None);
    }
    Ok(())
}

fn needs_protected_frames(mode: &str) -> bool {
    mode.starts_with("WPA3") || mode == "OWE"
}

/// The passphrase; a key of 64 hexadecimal digits is none.
pub(super) fn passphrase(scope: &Scope<'_>) -> Option<Value> {
    key(scope.section()?.1).map(Value::from)
}

fn key(section: &Section) -> Option<&str> {
    section.text("key").filter(|key| is_passphrase(key))
}

/// 8 to 63 printable characters of ASCII (IEEE 802.11, J.4.1).
fn is_passphrase(text: &str) -> bool {
    (8..=63).contains(&text.len()) && text.bytes().all(|b| (b' '..=b'~').contains(&b))
}

pub(super) fn set_passphrase(scope: &Scope<'_>, value: &str, staging: &mut Staging) -> Result<(), Fault> {
    match is_passphrase(value) {
        true => set_key(scope, value, staging),
        false => Err(Fault::new(Code::InvalidValue, "a passphrase has 8 to 63 printable ASCII characters")),
    }
}

/// The key where it is one already: 64 hexadecimal digits.
pub(super) fn pre_shared_key(scope: &Scope<'_>) -> Option<Value> {
    scope.section()?.1.text("key").filter(|key| is_key(key)).map(Value::from)
}

fn is_key(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit())
}

pub(super) fn set_pre_shared_key(scope: &Scope<'_>, value: &str, staging: &mut Staging) -> Result<(), Fault> {
    match is_key(value) {
        true => set_key(scope, value, staging),
        false => Err(Fault::new(Code::InvalidValue, "PreSharedKey has 64 hexadecimal digits")),
    }
}

/// Passphrase and key share an option: what is written last counts.
fn set_key(scope: &Scope<'_>, value: &str, staging: &mut Staging) -> Result<(), Fault> {
    let section = scope.section().ok_or_else(|| Fault::new(Code::InternalError, "no such network"))?;
    staging.set(&section.0.name, &section.1.name, "key", Some(OptValue::One(value.into())));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ciphers_do_not_change_the_mode() {
        assert_eq!(mode_of("psk2+ccmp"), Some("WPA2-Personal"));
        assert_eq!(mode_of("psk-mixed+tkip+ccmp"), Some("WPA-WPA2-Personal"));
        assert_eq!(mode_of("sae-mixed"), Some("WPA3-Personal-Transition"));
        assert_eq!(mode_of("wep-open"), None);
    }

    #[test]
    fn a_passphrase_is_printable_and_long_enough() {
        assert!(is_passphrase("12345678") && is_passphrase(&"x".repeat(63)));
        for bad in ["1234567", "ümläutpass", "line\nbreak1", &"f".repeat(64)] {
            assert!(!is_passphrase(bad), "{bad}");
        }
    }
}
