//! What Wi-Fi has kept from older days: WEP keys, guard intervals.

use crate::backend::Value;
use crate::backend::uci::{OptValue, Section};
use crate::model::eval::Scope;
use crate::model::stage::Staging;
use crate::usp::fault::{Code, Fault};

/// Whether short guard intervals may be used, by channel width; they may where nobody says otherwise.
const SHORT: [&str; 4] = ["short_gi_20", "short_gi_40", "short_gi_80", "short_gi_160"];

/// `800nsec` where no width may use the short one, else `Auto`: the hardware chooses for every frame.
pub(super) fn guard_interval(scope: &Scope<'_>) -> Option<Value> {
    let section = scope.section()?.1;
    let long = SHORT.iter().all(|option| section.text(option) == Some("0"));
    Some(Value::from(if long { "800nsec" } else { "Auto" }))
}

/// Forbids the short one, or leaves it to the hardware.
pub(super) fn set_guard_interval(scope: &Scope<'_>, text: &str, staging: &mut Staging) -> Result<(), Fault> {
    let value = match text {
        "Auto" => None,
        "800nsec" => Some(OptValue::One("0".into())),
        _ => {
            return Err(Fault::new(
                Code::InvalidValue,
                "GuardInterval is Auto or 800nsec: the hardware chooses others",
            ));
        }
    };
    let (package, section) = scope.section().ok_or_else(|| Fault::new(Code::InternalError, "no such radio"))?;
    SHORT.iter().for_each(|option| staging.set(&package.name, &section.name, option, value.clone()));
    Ok(())
}

/// The option that holds the WEP key in use: `key` itself, or the one whose number stands there. Without WEP the
/// passphrase has `key`.
fn wep_option(section: &Section) -> &'static str {
    let wep = section.text("encryption").is_some_and(|word| word.starts_with("wep"));
    match section.text("key") {
        Some("2") if wep => "key2",
        Some("3") if wep => "key3",
        Some("4") if wep => "key4",
        Some(key) if wep && key != "1" => "key",
        _ => "key1",
    }
}

/// In hexadecimal digits; OpenWrt has it so, or as `s:` and characters.
pub(super) fn wep_key(scope: &Scope<'_>) -> Option<Value> {
    let section = scope.section()?.1;
    let key = section.text(wep_option(section))?;
    let characters = key.strip_prefix("s:").or(matches!(key.len(), 5 | 13).then_some(key));
    let digits = characters.map(|key| key.bytes().map(|byte| format!("{byte:02X}")).collect::<String>());
    Some(Value::from(digits.as_deref().unwrap_or(key)))
}

/// Sets it.
pub(super) fn set_wep_key(scope: &Scope<'_>, text: &str, staging: &mut Staging) -> Result<(), Fault> {
    let (package, section) = scope.section().ok_or_else(|| Fault::new(Code::InternalError, "no such network"))?;
    staging.set(&package.name, &section.name, wep_option(section), Some(OptValue::One(text.into())));
    Ok(())
}

/// Networks over several radios (`mlo`) are units of their own, counted from 0; -1 for a network on one radio.
pub(super) fn mld_unit(scope: &Scope<'_>) -> Option<Value> {
    let name = &scope.section()?.1.name;
    let mut units = scope.uci("wireless")?.of_kind("wifi-iface").filter(|s| s.text("mlo") == Some("1"));
    let unit = units.position(|s| s.name == *name).and_then(|unit| i32::try_from(unit).ok());
    Some(Value::Int32(unit.unwrap_or(-1)))
}
