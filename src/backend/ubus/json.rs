//! Tables to and from JSON, as the `ubus` command line maps them: true and false are INT8,
//! a whole number is INT32 if it fits and INT64 else, any other number DOUBLE, null UNSPEC.
//!
//! JSON cannot tell an INT8 from a boolean nor an INT16 from an INT32: what must keep its
//! width is read from the wire, or fitted to the method's signature when it is sent.

use crate::backend::ubus::blobmsg::MAX_DEPTH;
use crate::backend::{Table, Value};

/// The blobmsg value of a JSON value; `None` when it nests over [`MAX_DEPTH`].
/// Whole numbers over 64 signed bits become the largest of them, as in json-c.
pub fn from_json(json: &serde_json::Value) -> Option<Value> {
    value_at(json, 1)
}

/// The table of a JSON object; `None` for anything else and for what nests over [`MAX_DEPTH`].
/// Members come sorted by name: JSON objects have no order.
pub fn table_from_json(json: &serde_json::Value) -> Option<Table> {
    match from_json(json)? {
        Value::Table(table) => Some(table),
        _ => None,
    }
}

fn value_at(json: &serde_json::Value, depth: usize) -> Option<Value> {
    use serde_json::Value as Json;
    if depth > MAX_DEPTH {
        return None;
    }
    Some(match json {
        Json::Null => Value::Null,
        Json::Bool(truth) => Value::from(*truth),
        Json::Number(number) => number_value(number),
        Json::String(text) => Value::from(text.as_str()),
        Json::Array(items) => Value::Array(items.iter().map(|item| value_at(item, depth + 1)).collect::<Option<_>>()?),
        Json::Object(members) => {
            let member = |(name, json): (&String, _)| Some((name.as_str().into(), value_at(json, depth + 1)?));
            Value::Table(Table(members.iter().map(member).collect::<Option<_>>()?))
        }
    })
}

fn number_value(number: &serde_json::Number) -> Value {
    if let Some(whole) = number.as_i64() {
        i32::try_from(whole).map_or(Value::Int64(whole), Value::Int32)
    } else if number.is_u64() {
        Value::Int64(i64::MAX)
    } else {
        Value::Double(number.as_f64().unwrap_or_default())
    }
}

/// The JSON of a table; of a name given twice the last value counts.
pub fn table_to_json(table: &Table) -> serde_json::Value {
    let mut members = serde_json::Map::new();
    for (name, value) in &table.0 {
        members.insert(name.to_string(), to_json(value));
    }
    serde_json::Value::Object(members)
}

/// The JSON of a value: every INT8 is true or false, a number JSON cannot write (NaN) is null.
pub fn to_json(value: &Value) -> serde_json::Value {
    match value {
        Value::Null => serde_json::Value::Null,
        Value::Int8(n) => (*n != 0).into(),
        Value::Int16(n) => (*n).into(),
        Value::Int32(n) => (*n).into(),
        Value::Int64(n) => (*n).into(),
        Value::Double(n) => (*n).into(),
        Value::String(text) => (**text).into(),
        Value::Array(items) => items.iter().map(to_json).collect(),
        Value::Table(table) => table_to_json(table),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn numbers_take_the_width_the_command_line_gives_them() {
        let table = table_from_json(&json!({
            "a": true, "b": 7, "c": 2_147_483_648_u32, "d": -2_147_483_649_i64, "e": 2.5, "f": null, "g": u64::MAX
        }));
        let expected = Table::default()
            .with("a", true)
            .with("b", 7)
            .with("c", Value::Int64(2_147_483_648))
            .with("d", Value::Int64(-2_147_483_649))
            .with("e", Value::Double(2.5))
            .with("f", Value::Null)
            .with("g", Value::Int64(i64::MAX));
        assert_eq!(table, Some(expected));
    }

    #[test]
    fn a_table_reads_as_json() {
        let table = Table::default()
            .with("up", true)
            .with("small", Value::Int8(5))
            .with("list", Value::Array(vec![Value::Int16(-2), Value::Table(Table::default())]))
            .with("nan", Value::Double(f64::NAN))
            .with("twice", 1)
            .with("twice", 2);
        assert_eq!(
            table_to_json(&table),
            json!({"up": true, "small": true, "list": [-2, {}], "nan": null, "twice": 2})
        );
    }

    #[test]
    fn nesting_has_an_end() {
        let nest = |levels| (1..levels).fold(json!([]), |inner, _| json!([inner]));
        assert!(from_json(&nest(MAX_DEPTH)).is_some());
        assert!(from_json(&nest(MAX_DEPTH + 1)).is_none());
        assert_eq!(table_from_json(&json!([])), None);
    }
}
