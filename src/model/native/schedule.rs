//! Schedules of the package wifi_schedule: from when until when on which days there is Wi-Fi.

use crate::backend::uci::OptValue;
use crate::backend::{Table, Value};
use crate::model::eval::Scope;
use crate::model::stage::Staging;
use crate::model::value::truth;
use crate::usp::fault::{Code, Fault};

const DAY: i64 = 24 * 60;
/// 1970 began on a Thursday.
const DAYS: [&str; 7] = ["Thursday", "Friday", "Saturday", "Sunday", "Monday", "Tuesday", "Wednesday"];

/// Minutes of `06:30`.
fn minutes(text: &str) -> Option<i64> {
    let (hours, minutes) = text.split_once(':')?;
    let (hours, minutes): (i64, i64) = (hours.parse().ok()?, minutes.parse().ok()?);
    ((0..24).contains(&hours) && (0..60).contains(&minutes)).then_some(hours * 60 + minutes)
}

fn clock(minutes: i64) -> String {
    let of_day = minutes.rem_euclid(DAY);
    format!("{:02}:{:02}", of_day / 60, of_day % 60)
}

fn option(scope: &Scope<'_>, name: &str) -> Option<i64> {
    minutes(scope.section()?.1.text(name)?)
}

/// From start to stop, over midnight where stop is earlier.
fn length(scope: &Scope<'_>) -> Option<i64> {
    Some((option(scope, "stoptime")? - option(scope, "starttime")?).rem_euclid(DAY))
}

/// Seconds from start to stop.
pub(super) fn duration(scope: &Scope<'_>) -> Option<Value> {
    length(scope).filter(|minutes| *minutes > 0).map(|minutes| Value::Int64(minutes * 60))
}

/// Sets when it stops; cron knows no seconds, and one day at most makes sense.
pub(super) fn set_duration(scope: &Scope<'_>, text: &str, staging: &mut Staging) -> Result<(), Fault> {
    let refused = |why| Fault::new(Code::InvalidValue, why);
    let seconds: i64 = text.parse().map_err(|_| refused("Duration is no number"))?;
    if seconds % 60 != 0 || seconds >= DAY * 60 {
        return Err(refused("Duration is whole minutes, less than a day"));
    }
    let start = option(scope, "starttime").unwrap_or_default();
    set(scope, "stoptime", &clock(start + seconds / 60), staging)
}

/// When it starts.
pub(super) fn start(scope: &Scope<'_>) -> Option<Value> {
    option(scope, "starttime").map(|at| Value::from(clock(at).as_str()))
}

/// Sets when it starts; it lasts as long as before.
pub(super) fn set_start(scope: &Scope<'_>, text: &str, staging: &mut Staging) -> Result<(), Fault> {
    let start = minutes(text).ok_or_else(|| Fault::new(Code::InvalidValue, "StartTime is hh:mm"))?;
    if let Some(length) = length(scope) {
        set(scope, "stoptime", &clock(start + length), staging)?;
    }
    set(scope, "starttime", &clock(start), staging)
}

fn set(scope: &Scope<'_>, option: &str, text: &str, staging: &mut Staging) -> Result<(), Fault> {
    let (package, section) = scope.section().ok_or_else(|| Fault::new(Code::InternalError, "no such schedule"))?;
    staging.set(&package.name, &section.name, option, Some(OptValue::One(text.into())));
    Ok(())
}

/// The days of the week it is for.
pub(super) fn days(scope: &Scope<'_>) -> Option<Value> {
    let days = scope.section()?.1.list("daysofweek");
    Some(Value::Array(days.iter().flat_map(|days| days.split_whitespace()).map(Value::from).collect()))
}

/// Sets them.
pub(super) fn set_days(scope: &Scope<'_>, text: &str, staging: &mut Staging) -> Result<(), Fault> {
    let (package, section) = scope.section().ok_or_else(|| Fault::new(Code::InternalError, "no such schedule"))?;
    let days: Vec<Box<str>> = text.split(',').filter(|day| !day.is_empty()).map(Into::into).collect();
    staging.set(&package.name, &section.name, "daysofweek", (!days.is_empty()).then_some(OptValue::List(days)));
    Ok(())
}

/// Active while it says that there is Wi-Fi.
pub(super) fn status(scope: &Scope<'_>) -> Option<Value> {
    let is = |text: Option<&str>| text.and_then(truth).unwrap_or(false);
    if !is(scope.section()?.1.text("enabled")) {
        return Some(Value::from("Inactive"));
    }
    if !is(scope.uci("wifi_schedule")?.of_kind("global").next().and_then(|s| s.text("enabled"))) {
        return Some(Value::from("StackDisabled"));
    }
    let (Some(start), Some(length)) = (option(scope, "starttime"), length(scope)) else {
        return Some(Value::from("Error"));
    };
    let local = scope.ubus("system", "info", &Table::default())?.get("localtime")?.as_i64()?;
    let now = local.rem_euclid(1 << 32) / 60;
    let since = (now % DAY - start).rem_euclid(DAY);
    let begun = usize::try_from((now - since) / DAY % 7).ok()?;
    let today = days(scope)?.as_array()?.iter().any(|day| day.as_str() == DAYS.get(begun).copied());
    Some(Value::from(if today && since < length { "Active" } else { "Inactive" }))
}
