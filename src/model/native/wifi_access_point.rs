//! Access points over the same sections as SSIDs: a wifi-iface whose `mode` is `ap`.

use crate::backend::uci::{OptValue, Section};
use crate::model::eval::Scope;
use crate::model::stage::Staging;
use crate::usp::fault::{Code, Fault};

/// Makes an access point of the SSID that was created and is in no mode yet.
pub(super) fn create(scope: &Scope<'_>, staging: &mut Staging) -> Result<String, Fault> {
    let without_mode = |section: &&Section| section.text("mode").is_none();
    let free = scope.uci("wireless").and_then(|p| p.of_kind("wifi-iface").find(without_mode));
    let free = free.ok_or_else(|| {
        Fault::new(Code::ObjectNotCreated, "every SSID has its access point; add a Device.WiFi.SSID. first")
    })?;
    staging.set("wireless", &free.name, "mode", Some(OptValue::One("ap".into())));
    Ok(free.name.to_string())
}

/// Takes the mode away and switches the network off; the SSID stays.
pub(super) fn delete(scope: &Scope<'_>, staging: &mut Staging) -> Result<(), Fault> {
    let (package, section) = scope.section().ok_or_else(|| Fault::new(Code::ObjectNotDeleted, "no such network"))?;
    staging.set(&package.name, &section.name, "mode", None);
    staging.set(&package.name, &section.name, "disabled", Some(OptValue::One("1".into())));
    Ok(())
}

/// The SSID of an access point is its own section and cannot be another.
pub(super) fn set_ssid_reference(scope: &Scope<'_>, value: &str, _: &mut Staging) -> Result<(), Fault> {
    let own = scope.path_of("Device.WiFi.SSID.{i}.", scope.key());
    match own.as_deref() == Some(value.trim_end_matches('.')) {
        true => Ok(()),
        false => Err(Fault::new(Code::InvalidValue, "the access point belongs to another SSID")),
    }
}

/// The path of the access point's SSID.
pub(super) fn ssid_reference(scope: &Scope<'_>) -> Option<crate::backend::Value> {
    let path = scope.path_of("Device.WiFi.SSID.{i}.", scope.key())?;
    Some(path.as_str().into())
}
