//! Access points, end points and their profiles over the same sections as SSIDs: a wifi-iface whose `mode` is `ap`
//! or `sta`.

use crate::backend::Value;
use crate::backend::uci::{OptValue, Section};
use crate::model::eval::Scope;
use crate::model::stage::Staging;
use crate::usp::fault::{Code, Fault};

const SSIDS: &str = "Device.WiFi.SSID.{i}.";
/// What a section holds of an end point's profile.
const PROFILE: [&str; 5] = ["ssid", "encryption", "key", "ieee80211w", "default_disabled"];

/// Makes an access point of the SSID that was created and is in no mode yet.
pub(super) fn create(scope: &Scope<'_>, staging: &mut Staging) -> Result<String, Fault> {
    create_as(scope, "ap", staging)
}

/// Likewise an end point.
pub(super) fn create_end_point(scope: &Scope<'_>, staging: &mut Staging) -> Result<String, Fault> {
    create_as(scope, "sta", staging)
}

fn create_as(scope: &Scope<'_>, mode: &str, staging: &mut Staging) -> Result<String, Fault> {
    let without_mode = |section: &&Section| section.text("mode").is_none();
    let free = scope.uci("wireless").and_then(|p| p.of_kind("wifi-iface").find(without_mode));
    let free =
        free.ok_or_else(|| Fault::new(Code::ObjectNotCreated, "every SSID is in use; add a Device.WiFi.SSID. first"))?;
    staging.set("wireless", &free.name, "mode", Some(OptValue::One(mode.into())));
    Ok(free.name.to_string())
}

/// Takes the mode away and switches the network off; the SSID stays.
pub(super) fn delete(scope: &Scope<'_>, staging: &mut Staging) -> Result<(), Fault> {
    let (package, section) = scope.section().ok_or_else(|| Fault::new(Code::ObjectNotDeleted, "no such network"))?;
    staging.set(&package.name, &section.name, "mode", None);
    staging.set(&package.name, &section.name, "disabled", Some(OptValue::One("1".into())));
    Ok(())
}

/// The end point's section as it is staged now, where it says what to join.
fn profile<'a>(scope: &Scope<'a>) -> Option<&'a Section> {
    let (package, section) = scope.section()?;
    let section = scope.uci(&package.name)?.section(&section.name)?;
    section.text("ssid").or(section.text("encryption")).map(|_| section)
}

/// Begins a profile without security, which makes it one.
pub(super) fn create_profile(scope: &Scope<'_>, staging: &mut Staging) -> Result<String, Fault> {
    let refused = || Fault::new(Code::ObjectNotCreated, "an end point has one profile; change or delete that");
    let (package, section) = scope.section().filter(|_| profile(scope).is_none()).ok_or_else(refused)?;
    staging.set(&package.name, &section.name, "encryption", Some(OptValue::One("none".into())));
    Ok(section.name.to_string())
}

/// Forgets what to join; the end point stays.
pub(super) fn delete_profile(scope: &Scope<'_>, staging: &mut Staging) -> Result<(), Fault> {
    let section = profile(scope).ok_or_else(|| Fault::new(Code::ObjectNotDeleted, "no such profile"))?;
    for option in PROFILE.into_iter().filter(|option| section.get(option).is_some()) {
        staging.set("wireless", &section.name, option, None);
    }
    Ok(())
}

/// The row of another table over the same section; one without a name has another key in each.
fn path_in(scope: &Scope<'_>, table: &str) -> Option<String> {
    let own = &scope.section()?.1.name;
    let table = scope.eval.schema.find(table)?;
    let row = scope.eval.find_row(table, &mut |row| row.section().is_some_and(|(_, section)| section.name == *own))?;
    Some(row.path.trim_end_matches('.').to_string())
}

/// The path of the end point's profile.
pub(super) fn profile_reference(scope: &Scope<'_>) -> Option<Value> {
    path_in(scope, "Device.WiFi.EndPoint.{i}.Profile.{i}.").map(|path| Value::from(&*path))
}

/// The SSID of an access point is its own section and cannot be another.
pub(super) fn set_ssid_reference(scope: &Scope<'_>, value: &str, _: &mut Staging) -> Result<(), Fault> {
    match path_in(scope, SSIDS).as_deref() == Some(value.trim_end_matches('.')) {
        true => Ok(()),
        false => Err(Fault::new(Code::InvalidValue, "the access point belongs to another SSID")),
    }
}

/// The path of the SSID of an access point or end point.
pub(super) fn ssid_reference(scope: &Scope<'_>) -> Option<Value> {
    path_in(scope, SSIDS).map(|path| Value::from(&*path))
}
