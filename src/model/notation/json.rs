//! Arguments of a ubus call: a JSON table whose strings may hold places to fill.
//!
//! A reader of its own, because the build script reads the notation too and nesting has to be bounded.

use super::template::template;
use super::{MAX_DEPTH, Reason};
use crate::backend::{Table, Value};
use crate::model::source::{Argument, Arguments};
use std::iter::Peekable;
use std::str::Chars;

type Text<'a> = Peekable<Chars<'a>>;

/// The members of a JSON table.
pub(super) fn arguments(text: &str) -> Result<Arguments, Reason> {
    let mut chars = text.chars().peekable();
    let members = table(&mut chars, 1)?;
    members.0.into_iter().map(|(name, value)| Ok((name, argument(value)?))).collect()
}

fn argument(value: Value) -> Result<Argument, Reason> {
    match value {
        Value::String(text) if text.contains(['{', '}']) => template(Box::leak(text)).map(Argument::Filled),
        value => Ok(Argument::Value(value)),
    }
}

fn value(chars: &mut Text<'_>, depth: usize) -> Result<Value, Reason> {
    skip_blanks(chars);
    match chars.peek() {
        Some('{') => table(chars, depth + 1).map(Value::Table),
        Some('[') => array(chars, depth + 1).map(Value::Array),
        Some('"') => string(chars).map(|text| Value::String(text.into())),
        _ => word(chars),
    }
}

fn table(chars: &mut Text<'_>, depth: usize) -> Result<Table, Reason> {
    let mut table = Table::default();
    members(chars, ('{', '}'), depth, |chars| {
        skip_blanks(chars);
        let name = string(chars)?;
        expect(chars, ':')?;
        table.0.push((name.into(), value(chars, depth)?));
        Ok(())
    })?;
    Ok(table)
}

fn array(chars: &mut Text<'_>, depth: usize) -> Result<Vec<Value>, Reason> {
    let mut items = Vec::new();
    members(chars, ('[', ']'), depth, |chars| {
        items.push(value(chars, depth)?);
        Ok(())
    })?;
    Ok(items)
}

fn members(
    chars: &mut Text<'_>,
    (open, close): (char, char),
    depth: usize,
    mut member: impl FnMut(&mut Text<'_>) -> Result<(), Reason>,
) -> Result<(), Reason> {
    if depth > MAX_DEPTH {
        return Err(format!("JSON deeper than {MAX_DEPTH} levels"));
    }
    expect(chars, open)?;
    skip_blanks(chars);
    if chars.next_if_eq(&close).is_some() {
        return Ok(());
    }
    loop {
        member(chars)?;
        skip_blanks(chars);
        match chars.next() {
            Some(',') => {}
            Some(c) if c == close => return Ok(()),
            _ => return Err(format!("JSON: `,` or `{close}` is missing")),
        }
    }
}

fn string(chars: &mut Text<'_>) -> Result<String, Reason> {
    expect(chars, '"')?;
    let mut text = String::new();
    loop {
        match chars.next().ok_or("JSON: a string is not closed")? {
            '"' => return Ok(text),
            '\\' => match chars.next() {
                Some('n') => text.push('\n'),
                Some('t') => text.push('\t'),
                Some(c @ ('"' | '\\' | '/')) => text.push(c),
                _ => return Err("JSON: allowed after `\\` in a string: \" \\ / n t".into()),
            },
            c => text.push(c),
        }
    }
}

fn word(chars: &mut Text<'_>) -> Result<Value, Reason> {
    let mut word = String::new();
    while let Some(c) = chars.next_if(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '+' | '.')) {
        word.push(c);
    }
    match &*word {
        "true" => return Ok(Value::Int8(1)),
        "false" => return Ok(Value::Int8(0)),
        "null" => return Ok(Value::Null),
        _ => {}
    }
    if let Ok(number) = word.parse::<i64>() {
        return Ok(i32::try_from(number).map_or(Value::Int64(number), Value::Int32));
    }
    let missing = "JSON: a string, number, true, false, null, table or array is missing";
    fraction(&word).map(Value::Double).ok_or_else(|| missing.into())
}

/// A number with a point and up to 15 digits, without an exponent: all that arguments of ubus calls need, and for a
/// sixth of the flash that the standard library's reader of numbers takes.
fn fraction(word: &str) -> Option<f64> {
    let (whole, places) = word.split_once('.')?;
    let digits = format!("{whole}{places}");
    if places.is_empty() || digits.len() > 16 || !places.chars().all(|c| c.is_ascii_digit()) || word.starts_with('+') {
        return None;
    }
    let digits: i64 = digits.parse().ok()?;
    // Both are whole numbers below 2^53, so the quotient is the nearest there is.
    Some(digits as f64 / 10_i64.pow(u32::try_from(places.len()).ok()?) as f64)
}

fn expect(chars: &mut Text<'_>, wanted: char) -> Result<(), Reason> {
    skip_blanks(chars);
    match chars.next() {
        Some(c) if c == wanted => Ok(()),
        _ => Err(format!("JSON: `{wanted}` is missing")),
    }
}

fn skip_blanks(chars: &mut Text<'_>) {
    while chars.next_if(|c| c.is_ascii_whitespace()).is_some() {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fractions_are_the_nearest_number_or_refused() {
        assert_eq!(fraction("2.5"), Some(2.5));
        assert_eq!(fraction("-0.1"), Some(-0.1));
        assert_eq!(fraction("12345.678901234"), Some(12_345.678_901_234));
        for word in ["", ".", "1.", "+1.5", "1.5e3", "1.-5", "1.2.3", "inf", "123456789.12345678"] {
            assert_eq!(fraction(word), None, "{word}");
        }
    }
}
