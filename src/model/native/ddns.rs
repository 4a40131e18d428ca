//! ddns-scripts: times, names, and the services it knows.

use crate::backend::uci::OptValue;
use crate::backend::{Table, Value};
use crate::model::eval::Scope;
use crate::model::stage::Staging;
use crate::usp::fault::{Code, Fault};

/// Units of times and their seconds; what is none of them is seconds.
const UNITS: [(&str, i64); 3] = [("minutes", 60), ("hours", 3600), ("days", 86_400)];

/// Every section is a server, too.
pub(super) fn servers(scope: &Scope<'_>) -> Vec<(String, Value)> {
    let Some(package) = scope.uci("ddns") else { return Vec::new() };
    package.of_kind("service").map(|section| (section.name.to_string(), Value::Null)).collect()
}

/// Names of the services it brings, without the ending of their files.
pub(super) fn services(scope: &Scope<'_>) -> Option<Value> {
    let files = scope.list("/usr/share/ddns/default")?;
    Some(Value::Array(files.iter().filter_map(|file| file.strip_suffix(".json")).map(Value::from).collect()))
}

fn interval(scope: &Scope<'_>, of: &str, usual: i64) -> Option<Value> {
    let section = scope.uci("ddns")?.section(scope.key())?;
    let Some(number) = section.text(&format!("{of}_interval")) else { return Some(Value::Int64(usual)) };
    let unit = section.text(&format!("{of}_unit"));
    let unit = unit.or((of == "check").then_some("minutes"));
    let seconds = UNITS.iter().find(|(name, _)| Some(*name) == unit).map_or(1, |(_, seconds)| *seconds);
    number.parse::<i64>().ok()?.checked_mul(seconds).map(Value::Int64)
}

fn set_interval(scope: &Scope<'_>, of: &str, text: &str, staging: &mut Staging) -> Result<(), Fault> {
    staging.set("ddns", scope.key(), &format!("{of}_interval"), Some(OptValue::One(text.into())));
    staging.set("ddns", scope.key(), &format!("{of}_unit"), Some(OptValue::One("seconds".into())));
    Ok(())
}

/// Seconds between two looks at the address.
pub(super) fn check(scope: &Scope<'_>) -> Option<Value> {
    interval(scope, "check", 600)
}

/// Sets them.
pub(super) fn set_check(scope: &Scope<'_>, text: &str, staging: &mut Staging) -> Result<(), Fault> {
    match text.parse() {
        Ok(300_i64..) => set_interval(scope, "check", text, staging),
        _ => Err(Fault::new(Code::InvalidValue, "CheckInterval is 300 or more: ddns-scripts looks no oftener")),
    }
}

/// Seconds after which a failed update is tried again.
pub(super) fn retry(scope: &Scope<'_>) -> Option<Value> {
    interval(scope, "retry", 60)
}

/// Sets them.
pub(super) fn set_retry(scope: &Scope<'_>, text: &str, staging: &mut Staging) -> Result<(), Fault> {
    set_interval(scope, "retry", text, staging)
}

/// The name that is kept up to date.
pub(super) fn name(scope: &Scope<'_>) -> Option<Value> {
    let section = scope.section()?.1;
    section.text("lookup_host").or(section.text("domain")).map(Value::from)
}

/// Sets it, and what the service is told where that was the same.
pub(super) fn set_name(scope: &Scope<'_>, text: &str, staging: &mut Staging) -> Result<(), Fault> {
    let (_, section) = scope.section().ok_or_else(|| Fault::new(Code::InternalError, "no such service"))?;
    if section.text("domain").is_none_or(|domain| section.text("lookup_host").is_none_or(|host| host == domain)) {
        staging.set("ddns", &section.name, "domain", Some(OptValue::One(text.into())));
    }
    staging.set("ddns", &section.name, "lookup_host", Some(OptValue::One(text.into())));
    Ok(())
}

/// From seconds since the start to seconds before now.
pub(super) fn since_start(scope: &Scope<'_>, text: &str) -> Option<String> {
    let up = scope.ubus("system", "info", &Table::default())?.get("uptime")?.as_i64()?;
    let at = text.trim().parse::<i64>().ok().filter(|at| (1..=up).contains(at))?;
    Some((up - at).to_string())
}
