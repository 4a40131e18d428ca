//! From a router's value to TR-181's text, by the parameter's type.

use super::schema::Kind;
use crate::backend::{Table, Value};
use std::borrow::Cow;
use std::fmt::Write as _;

/// The Unknown Time of TR-106.
pub const UNKNOWN_TIME: &str = "0001-01-01T00:00:00Z";

/// The text of a value for a parameter of this type; None where the type cannot hold it.
pub fn to_text(kind: Kind, list: bool, value: &Value) -> Option<String> {
    if list || matches!(value, Value::Array(_)) {
        return list_text(kind, value);
    }
    match (kind, value) {
        (Kind::UnsignedInt | Kind::UnsignedLong, value) if !matches!(value, Value::String(_)) => {
            let number = unsigned(value)?;
            (kind == Kind::UnsignedLong || u32::try_from(number).is_ok()).then(|| number.to_string())
        }
        _ => of_text(kind, &plain(value)?),
    }
}

/// [`to_text`] of a text.
pub fn of_text(kind: Kind, text: &str) -> Option<String> {
    let word = text.trim();
    match kind {
        Kind::Boolean => truth(text).map(|t| if t { "true" } else { "false" }.to_string()),
        Kind::Int => word.parse::<i32>().ok().map(|n| n.to_string()),
        Kind::Long => word.parse::<i64>().ok().map(|n| n.to_string()),
        Kind::UnsignedInt => word.parse::<u32>().ok().map(|n| n.to_string()),
        Kind::UnsignedLong => word.parse::<u64>().ok().map(|n| n.to_string()),
        Kind::Decimal => word.parse::<f64>().ok().filter(|n| n.is_finite()).map(|_| word.to_string()),
        Kind::DateTime => (unix_time(text).is_some() || text.starts_with("0001-01-01T")).then(|| text.to_string()),
        Kind::String | Kind::Base64 | Kind::HexBinary => Some(text.to_string()),
    }
}

/// The text of a simple value; tables have none, elements of an array are joined by commas.
pub fn plain(value: &Value) -> Option<Cow<'_, str>> {
    Some(match value {
        Value::Null | Value::Table(_) => return None,
        Value::String(text) => Cow::Borrowed(text),
        Value::Double(n) => n.to_string().into(),
        Value::Array(items) => items.iter().filter_map(plain).collect::<Vec<_>>().join(",").into(),
        integer => integer.as_i64()?.to_string().into(),
    })
}

/// UCI's and JSON's words for a boolean.
pub fn truth(text: &str) -> Option<bool> {
    match text.trim() {
        "1" | "true" | "on" | "yes" | "enabled" => Some(true),
        "0" | "false" | "off" | "no" | "disabled" => Some(false),
        _ => None,
    }
}

/// blobmsg has no unsigned integers: an INT32 counter above 2^31 comes as its two's complement.
fn unsigned(value: &Value) -> Option<u64> {
    match *value {
        Value::Int8(n) => Some(u64::from(n as u8)),
        Value::Int16(n) => Some(u64::from(n as u16)),
        Value::Int32(n) => Some(u64::from(n as u32)),
        Value::Int64(n) => Some(n as u64),
        Value::Double(n) if n >= 0.0 && n.is_finite() => format!("{:.0}", n.floor()).parse().ok(),
        _ => None,
    }
}

/// A list keeps the elements its type can hold; commas in an element are escaped as TR-106 has it.
fn list_text(kind: Kind, value: &Value) -> Option<String> {
    match value {
        Value::Array(items) => {
            let items = items.iter().filter_map(|item| to_text(kind, false, item));
            Some(items.map(|t| t.replace('%', "%25").replace(',', "%2C")).collect::<Vec<_>>().join(","))
        }
        Value::Table(Table(_)) | Value::Null => None,
        other => plain(other).map(Cow::into_owned),
    }
}

/// What a parameter reads as where the router says nothing: the standard's default, else what the type has for it.
pub fn absent(kind: Kind, list: bool, default: Option<&str>) -> Option<String> {
    match (kind, default) {
        (_, Some(default)) if default != "[]" => Some(default.to_string()),
        (Kind::DateTime, None) if !list => Some(UNKNOWN_TIME.to_string()),
        (Kind::String | Kind::Base64 | Kind::HexBinary, _) => Some(String::new()),
        _ if list => Some(String::new()),
        _ => None,
    }
}

/// Seconds since 1970 as dateTime; 0 and before is the Unknown Time.
pub fn date_time(unix: i64) -> String {
    if unix <= 0 {
        return UNKNOWN_TIME.to_string();
    }
    let (days, seconds) = (unix.div_euclid(86_400), unix.rem_euclid(86_400));
    let (year, month, day) = civil(days);
    let mut text = String::with_capacity(20);
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    let _ = write!(text, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z");
    text
}

/// A dateTime as seconds since 1970; None for the Unknown Time and what is no dateTime.
pub fn unix_time(text: &str) -> Option<i64> {
    let number = |range: std::ops::Range<usize>| text.get(range)?.parse::<i64>().ok();
    let (year, month, day) = (number(0..4)?, number(5..7)?, number(8..10)?);
    let (hour, minute, second) = (number(11..13)?, number(14..16)?, number(17..19)?);
    if year <= 1 || !(1..=12).contains(&month) || !(1..=31).contains(&day) || text.get(10..11)? != "T" {
        return None;
    }
    let rest = text.get(19..)?;
    let zone = rest.trim_start_matches(|c: char| c == '.' || c.is_ascii_digit());
    let offset = match zone.as_bytes().first() {
        None | Some(b'Z') => 0,
        Some(sign @ (b'+' | b'-')) => {
            let (h, m) = (zone.get(1..3)?.parse::<i64>().ok()?, zone.get(4..6)?.parse::<i64>().ok()?);
            (h * 3600 + m * 60) * if *sign == b'+' { 1 } else { -1 }
        }
        Some(_) => return None,
    };
    Some(days(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second - offset)
}

/// Year, month and day of a day since 1970-01-01 (proleptic Gregorian).
fn civil(days: i64) -> (i64, i64, i64) {
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let day_of_era = z.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

/// The inverse of [`civil`].
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * (if month > 2 { month - 3 } else { month + 9 }) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_go_there_and_back() {
        for (unix, text) in [
            (1, "1970-01-01T00:00:01Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_795_384_705, "2026-11-22T21:58:25Z"),
            (2_208_988_800, "2040-01-01T00:00:00Z"),
        ] {
            assert_eq!(date_time(unix), text);
            assert_eq!(unix_time(text), Some(unix));
        }
        assert_eq!(unix_time("2026-11-22T22:58:25.5+01:00"), Some(1_795_384_705));
        assert_eq!(unix_time(UNKNOWN_TIME), None);
        assert_eq!(unix_time("yesterday"), None);
    }

    #[test]
    fn unsigned_counters_never_turn_negative() {
        assert_eq!(to_text(Kind::UnsignedInt, false, &Value::Int32(-1)).as_deref(), Some("4294967295"));
        assert_eq!(to_text(Kind::Int, false, &Value::Int32(-1)).as_deref(), Some("-1"));
        assert_eq!(to_text(Kind::UnsignedInt, false, &Value::from("-1")), None);
        assert_eq!(to_text(Kind::UnsignedInt, false, &Value::Double(7.9)).as_deref(), Some("7"));
    }

    #[test]
    fn what_the_type_cannot_hold_is_no_value() {
        assert_eq!(to_text(Kind::UnsignedInt, false, &Value::Int64(1 << 32)), None);
        assert_eq!(to_text(Kind::UnsignedInt, false, &Value::from("4294967296")), None);
        assert_eq!(to_text(Kind::Int, false, &Value::Int64(1 << 31)), None);
        assert_eq!(to_text(Kind::DateTime, false, &Value::from("yesterday")), None);
        assert_eq!(to_text(Kind::DateTime, false, &Value::from(UNKNOWN_TIME)).as_deref(), Some(UNKNOWN_TIME));
    }

    #[test]
    fn the_words_of_uci_are_booleans() {
        for (word, truth) in [("1", "true"), ("on", "true"), ("yes", "true"), ("0", "false"), ("off", "false")] {
            assert_eq!(to_text(Kind::Boolean, false, &Value::from(word)).as_deref(), Some(truth));
        }
        assert_eq!(to_text(Kind::Boolean, false, &Value::from("maybe")), None);
    }

    #[test]
    fn commas_in_list_elements_are_escaped() {
        let list = Value::Array(vec![Value::from("a,b"), Value::from("c")]);
        assert_eq!(to_text(Kind::String, true, &list).as_deref(), Some("a%2Cb,c"));
    }
}
