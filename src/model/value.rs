//! From a router's value to TR-181's text, by the parameter's type.

use super::facets::is_decimal;
use super::schema::Kind;
use crate::backend::{Table, Value};
use crate::calendar::{self, UNKNOWN_TIME};
use std::borrow::Cow;

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
        Kind::Int => word.parse::<i64>().ok().filter(|n| i32::try_from(*n).is_ok()).map(|n| n.to_string()),
        Kind::Long => word.parse::<i64>().ok().map(|n| n.to_string()),
        Kind::UnsignedInt => word.parse::<u32>().ok().map(|n| n.to_string()),
        Kind::UnsignedLong => word.parse::<u64>().ok().map(|n| n.to_string()),
        Kind::Decimal => is_decimal(word).then(|| word.to_string()),
        Kind::DateTime => {
            (calendar::unix_time(text).is_some() || text.starts_with("0001-01-01T")).then(|| text.to_string())
        }
        Kind::String | Kind::Base64 | Kind::HexBinary => Some(text.to_string()),
    }
}

/// The text of a simple value; tables have none, elements of an array are joined by commas.
pub fn plain(value: &Value) -> Option<Cow<'_, str>> {
    Some(match value {
        Value::Null | Value::Table(_) => return None,
        Value::String(text) => Cow::Borrowed(text),
        Value::Double(n) => decimal(*n).into(),
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

/// By the writer of JSON numbers, which is there anyway: the standard library's takes 11 KB of flash.
fn decimal(number: f64) -> String {
    let text = serde_json::Number::from_f64(number).map(|number| number.to_string()).unwrap_or_default();
    text.strip_suffix(".0").map(str::to_owned).unwrap_or(text)
}

/// blobmsg has no unsigned integers: an INT32 counter above 2^31 comes as its two's complement.
fn unsigned(value: &Value) -> Option<u64> {
    match *value {
        Value::Int8(n) => Some(u64::from(n as u8)),
        Value::Int16(n) => Some(u64::from(n as u16)),
        Value::Int32(n) => Some(u64::from(n as u32)),
        Value::Int64(n) => Some(n as u64),
        Value::Double(n) if n >= 0.0 && n.is_finite() => Some(n as u64),
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
    if unix <= 0 { UNKNOWN_TIME.to_string() } else { calendar::date_time(unix) }
}

#[cfg(test)]
mod tests {
    use super::*;

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
