//! The clock: whether it is right, what it shows here, its zone.

use crate::backend::uci::OptValue;
use crate::backend::{Table, Value};
use crate::model::eval::Scope;
use crate::model::stage::Staging;
use crate::model::value::{date_time, truth};
use crate::usp::fault::{Code, Fault};

/// The hook of dnsmasq's package that ntpd runs, and the file it leaves once the time is right.
const NTP_HOOK: &str = "25-dnsmasqsec";
const TIME_VALID: &str = "/var/state/dnsmasqsec";

/// The one section busybox ntpd reads.
pub(super) fn ntp(scope: &Scope<'_>) -> Vec<(String, Value)> {
    let there = scope.uci("system").is_some_and(|p| p.section("ntp").is_some());
    if there { vec![("ntp".to_string(), Value::Null)] } else { Vec::new() }
}

/// `Disabled`, `Synchronized` or `Unsynchronized`; nothing where no hook would tell.
pub(super) fn status(scope: &Scope<'_>) -> Option<Value> {
    let section = scope.uci("system")?.section("ntp");
    let enabled = section.is_some_and(|s| s.text("enabled").and_then(truth).unwrap_or(true));
    if !enabled {
        return Some(Value::from("Disabled"));
    }
    if scope.file(TIME_VALID).is_some() {
        return Some(Value::from("Synchronized"));
    }
    let hook = scope.list("/etc/hotplug.d/ntp")?.iter().any(|name| name == NTP_HOOK);
    hook.then(|| Value::from("Unsynchronized"))
}

/// The local time with its offset. procd's `localtime` is not UTC: it has the zone's offset in it.
pub(super) fn local(scope: &Scope<'_>) -> Option<Value> {
    Some(Value::from(with_offset(scope.now(), offset(scope)).as_str()))
}

/// How many seconds the local time is ahead of UTC.
pub(super) fn offset(scope: &Scope<'_>) -> i64 {
    let now = scope.now();
    let info = scope.ubus("system", "info", &Table::default());
    let local = info.and_then(|i| i.get("localtime")).and_then(Value::as_i64).map_or(now, unsigned);
    quarter_hours(local - now) * 900
}

/// procd counts in 32 bits without sign.
fn unsigned(seconds: i64) -> i64 {
    if seconds < 0 { seconds + (1 << 32) } else { seconds }
}

/// Zones are whole quarters of an hour; the rest is the time between the two looks at the clock.
fn quarter_hours(seconds: i64) -> i64 {
    (seconds + 450).div_euclid(900)
}

fn with_offset(now: i64, offset: i64) -> String {
    let utc = date_time(now + offset);
    if offset == 0 {
        return utc;
    }
    let (sign, minutes) = (if offset < 0 { '-' } else { '+' }, offset.abs() / 60);
    format!("{}{sign}{:02}:{:02}", utc.trim_end_matches('Z'), minutes / 60, minutes % 60)
}

/// The zone in POSIX notation, `CET-1CEST,M3.5.0,M10.5.0/3`.
pub(super) fn zone(scope: &Scope<'_>) -> Option<Value> {
    let system = scope.uci("system")?.of_kind("system").next()?;
    Some(Value::from(system.text("timezone").unwrap_or("UTC")))
}

/// Sets the zone and takes its name away, which would win over it where zoneinfo is installed.
pub(super) fn set_zone(scope: &Scope<'_>, text: &str, staging: &mut Staging) -> Result<(), Fault> {
    if !is_zone(text) {
        return Err(Fault::new(Code::InvalidValue, "LocalTimeZone is not a POSIX time zone like UTC0 or CET-1CEST"));
    }
    let system = scope.uci("system").and_then(|p| p.of_kind("system").next());
    let system = system.ok_or_else(|| Fault::new(Code::InternalError, "/etc/config/system has no system section"))?;
    staging.set("system", &system.name, "timezone", Some(OptValue::One(text.into())));
    staging.set("system", &system.name, "zonename", None);
    Ok(())
}

/// Starts with a name of three letters or more, or one in `<>`, and has nothing a shell could choke on.
fn is_zone(text: &str) -> bool {
    let named = text.starts_with('<') && text.contains('>');
    let letters = text.chars().take_while(char::is_ascii_alphabetic).count() >= 3;
    (named || letters) && text.chars().all(|c| c.is_ascii_alphanumeric() || "<>+-:,./".contains(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_offset_is_told_with_the_time() {
        assert_eq!(with_offset(1_795_384_705, 3600), "2026-11-22T22:58:25+01:00");
        assert_eq!(with_offset(1_795_384_705, -12_600), "2026-11-22T18:28:25-03:30");
        assert_eq!(with_offset(1_795_384_705, 0), "2026-11-22T21:58:25Z");
        assert_eq!(quarter_hours(3602) * 900, 3600);
        assert_eq!(quarter_hours(-12_601) * 900, -12_600);
    }

    #[test]
    fn a_zone_is_posix() {
        for good in ["UTC", "GMT0", "CET-1CEST,M3.5.0,M10.5.0/3", "<+0330>-3:30"] {
            assert!(is_zone(good), "{good}");
        }
        for bad in ["", "X", "Europe Berlin", "UTC;reboot", "+1"] {
            assert!(!is_zone(bad), "{bad}");
        }
    }
}
