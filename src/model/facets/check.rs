//! Whether a text is a value of a parameter or argument, and its canonical form.
//!
//! What lies in another parameter (allowed values listed there, a path that must exist) is not looked at here.
//! Errors say what is allowed; they never repeat the value, which may be a secret.

use super::{Facets, List, pattern};
use crate::model::schema::{Argument, Kind, Param};
use crate::usp::fault::{Code, Fault};
use std::borrow::Cow;
use std::cmp::Ordering;

/// The longest list of allowed values in an error text, in characters.
const MAX_NAMED: usize = 120;

impl Param {
    /// The canonical form of `text`, written by a controller.
    ///
    /// # Errors
    /// 7011 where it is not of the type, 7012 where the facets forbid it.
    pub fn check<'t>(&self, text: &'t str) -> Result<Cow<'t, str>, Fault> {
        self.facets.check(self.name, self.kind, text)
    }
}

impl Argument {
    /// The canonical form of `text`, given to a command.
    ///
    /// # Errors
    /// 7011 where it is not of the type, 7012 where the facets forbid it.
    pub fn check<'t>(&self, text: &'t str) -> Result<Cow<'t, str>, Fault> {
        self.facets.check(&self.name, self.kind, text)
    }
}

/// Why a text is no value; what is allowed instead.
enum Wrong {
    Type(&'static str),
    Value(String),
}

impl Facets {
    fn check<'t>(&self, name: &str, kind: Kind, text: &'t str) -> Result<Cow<'t, str>, Fault> {
        let checked = match &self.list {
            Some(list) => self.list(list, kind, text),
            None => self.single(kind, text),
        };
        checked.map_err(|wrong| match wrong {
            Wrong::Type(wanted) => Fault::new(Code::InvalidType, format!("{name} is not {wanted}")),
            Wrong::Value(wanted) => Fault::new(Code::InvalidValue, format!("{name} must be {wanted}")),
        })
    }

    fn list<'t>(&self, list: &List, kind: Kind, text: &'t str) -> Result<Cow<'t, str>, Wrong> {
        let items: Vec<&str> =
            if text.trim().is_empty() { Vec::new() } else { text.split(',').map(str::trim).collect() };
        let count = u32::try_from(items.len()).unwrap_or(u32::MAX);
        if count < list.min_items || list.max_items.is_some_and(|most| count > most) {
            return Err(Wrong::Value(format!("a list of {} elements", span(list.min_items, list.max_items))));
        }
        let checked: Vec<Cow<'_, str>> =
            items.into_iter().map(|item| self.single(kind, item)).collect::<Result<_, _>>()?;
        let joined = checked.join(",");
        if list.max_length.is_some_and(|most| characters(&joined) > most) {
            return Err(Wrong::Value(format!("a list of at most {} characters", list.max_length.unwrap_or_default())));
        }
        Ok(if joined == text { Cow::Borrowed(text) } else { Cow::Owned(joined) })
    }

    fn single<'t>(&self, kind: Kind, text: &'t str) -> Result<Cow<'t, str>, Wrong> {
        let canonical = canonical(kind, text)?;
        match kind {
            Kind::Int | Kind::UnsignedInt | Kind::Long | Kind::UnsignedLong => self.number(&canonical)?,
            Kind::Base64 => self.size(base64_octets(text), "octets")?,
            Kind::HexBinary => self.size(u32::try_from(text.len() / 2).unwrap_or(u32::MAX), "octets")?,
            Kind::String => self.size(characters(text), "characters")?,
            Kind::Boolean | Kind::Decimal | Kind::DateTime => {}
        }
        self.words(&canonical)?;
        Ok(canonical)
    }

    fn number(&self, text: &str) -> Result<(), Wrong> {
        let number = Integer::parse(text).unwrap_or_default();
        let inside = |&(low, high): &(Option<i64>, Option<i64>)| {
            low.is_none_or(|low| number >= low.into()) && high.is_none_or(|high| number <= high.into())
        };
        if !self.ranges.is_empty() && !self.ranges.iter().any(inside) {
            let allowed: Vec<_> = self.ranges.iter().map(|&(low, high)| range(low, high)).collect();
            return Err(Wrong::Value(allowed.join(" or ")));
        }
        match self.step {
            Some(step) if step > 0 && number.size % u64::from(step) != 0 => {
                Err(Wrong::Value(format!("a multiple of {step}")))
            }
            _ => Ok(()),
        }
    }

    fn size(&self, size: u32, unit: &str) -> Result<(), Wrong> {
        let inside = |&(low, high): &(u32, Option<u32>)| size >= low && high.is_none_or(|high| size <= high);
        if self.sizes.is_empty() || self.sizes.iter().any(inside) {
            return Ok(());
        }
        let allowed: Vec<_> = self.sizes.iter().map(|&(low, high)| span(low, high)).collect();
        Err(Wrong::Value(format!("{} {unit} long", allowed.join(" or "))))
    }

    fn words(&self, text: &str) -> Result<(), Wrong> {
        if !self.enumeration.is_empty() && !self.enumeration.iter().any(|allowed| **allowed == *text) {
            return Err(Wrong::Value(format!("one of {}", shortened(&self.enumeration, ", "))));
        }
        let fits = |allowed: &str| pattern::matches(allowed, text) == Some(true);
        if !self.patterns.is_empty() && !self.patterns.iter().any(|allowed| fits(allowed)) {
            return Err(Wrong::Value(format!("of the form {}", shortened(&self.patterns, " or "))));
        }
        Ok(())
    }
}

fn characters(text: &str) -> u32 {
    u32::try_from(text.chars().count()).unwrap_or(u32::MAX)
}

fn span(low: u32, high: Option<u32>) -> String {
    match high {
        Some(high) if high == low => high.to_string(),
        Some(high) => format!("{low} to {high}"),
        None => format!("at least {low}"),
    }
}

fn range(low: Option<i64>, high: Option<i64>) -> String {
    match (low, high) {
        (Some(low), Some(high)) if low == high => low.to_string(),
        (Some(low), Some(high)) => format!("{low} to {high}"),
        (Some(low), None) => format!("at least {low}"),
        (None, Some(high)) => format!("at most {high}"),
        (None, None) => "any number".into(),
    }
}

fn shortened(allowed: &[Box<str>], between: &str) -> String {
    let mut text = String::new();
    for (index, word) in allowed.iter().map(|word| if word.is_empty() { "\"\"" } else { &**word }).enumerate() {
        if index > 0 {
            text.push_str(between);
        }
        if index > 0 && text.len() + word.len() > MAX_NAMED {
            text.push_str("...");
            break;
        }
        text.push_str(word);
    }
    text
}

fn canonical(kind: Kind, text: &str) -> Result<Cow<'_, str>, Wrong> {
    let as_it_is = |fits: bool, wanted| if fits { Ok(Cow::Borrowed(text)) } else { Err(Wrong::Type(wanted)) };
    match kind {
        Kind::String => Ok(Cow::Borrowed(text)),
        Kind::Boolean => match text {
            "true" | "1" => Ok(Cow::Borrowed("true")),
            "false" | "0" => Ok(Cow::Borrowed("false")),
            _ => Err(Wrong::Type("a boolean (true, false, 1 or 0)")),
        },
        Kind::Int => integer(text, i32::MIN.into(), i32::MAX as u64, "a 32-bit integer"),
        Kind::UnsignedInt => integer(text, 0, u32::MAX.into(), "an unsigned 32-bit integer"),
        Kind::Long => integer(text, i64::MIN, i64::MAX as u64, "a 64-bit integer"),
        Kind::UnsignedLong => integer(text, 0, u64::MAX, "an unsigned 64-bit integer"),
        Kind::Decimal => as_it_is(is_decimal(text), "a decimal number"),
        Kind::DateTime => as_it_is(is_date_time(text).is_some(), "a dateTime (like 2024-12-31T23:59:59Z)"),
        Kind::Base64 => as_it_is(is_base64(text), "base64"),
        Kind::HexBinary => {
            as_it_is(text.len() % 2 == 0 && text.bytes().all(|b| b.is_ascii_hexdigit()), "an even number of hex digits")
        }
    }
}

/// A number of any of the integer types. `i128` would hold them too, with 5 kB of code on a 32-bit router.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Integer {
    /// Less than 0.
    negative: bool,
    /// Without the sign.
    size: u64,
}

impl Integer {
    fn parse(text: &str) -> Option<Self> {
        let (negative, digits) = match text.strip_prefix('-') {
            Some(digits) => (true, digits),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        let size = digits.bytes().all(|digit| digit.is_ascii_digit()).then(|| digits.parse().ok()).flatten()?;
        Some(Self { negative: negative && size != 0, size })
    }
}

impl From<i64> for Integer {
    fn from(number: i64) -> Self {
        Self { negative: number < 0, size: number.unsigned_abs() }
    }
}

impl PartialOrd for Integer {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        let order = other.negative.cmp(&self.negative);
        Some(order.then_with(|| if self.negative { other.size.cmp(&self.size) } else { self.size.cmp(&other.size) }))
    }
}

fn integer<'t>(text: &'t str, low: i64, high: u64, wanted: &'static str) -> Result<Cow<'t, str>, Wrong> {
    let number = Integer::parse(text).ok_or(Wrong::Type(wanted))?;
    if number < low.into() || number > (Integer { negative: false, size: high }) {
        return Err(Wrong::Type(wanted));
    }
    let canonical = format!("{}{}", if number.negative { "-" } else { "" }, number.size);
    Ok(if canonical == text { Cow::Borrowed(text) } else { Cow::Owned(canonical) })
}

/// `xsd:decimal`: a sign, digits, a point, digits; at least one digit, no exponent.
pub(in crate::model) fn is_decimal(text: &str) -> bool {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    !(whole.is_empty() && fraction.is_empty()) && whole.bytes().chain(fraction.bytes()).all(|b| b.is_ascii_digit())
}

/// `YYYY-MM-DDThh:mm:ss[.fraction][Z|+hh:mm|-hh:mm]` with parts that exist.
fn is_date_time(text: &str) -> Option<()> {
    let (date, time) = text.split_once('T')?;
    let [year, month, day] = numbers(date, '-', [4, 2, 2])?;
    let zone_at = time.find(['Z', '+', '-']).unwrap_or(time.len());
    let (clock, zone) = time.split_at_checked(zone_at)?;
    let (clock, fraction) = clock.split_once('.').unwrap_or((clock, "0"));
    let [hour, minute, second] = numbers(clock, ':', [2, 2, 2])?;
    let fraction_fits = !fraction.is_empty() && fraction.bytes().all(|b| b.is_ascii_digit());
    let fits = (1..=12).contains(&month)
        && (1..=days(year, month)).contains(&day)
        && hour < 24
        && minute < 60
        && second < 60
        && fraction_fits
        && is_zone(zone);
    fits.then_some(())
}

fn is_zone(zone: &str) -> bool {
    let offset = zone.strip_prefix(['+', '-']).map(|offset| numbers(offset, ':', [2, 2]));
    match offset {
        Some(parts) => parts.is_some_and(|[hour, minute]| hour <= 14 && minute < 60),
        None => zone.is_empty() || zone == "Z",
    }
}

fn days(year: u32, month: u32) -> u32 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Exactly `N` numbers of so many digits.
fn numbers<const N: usize>(text: &str, between: char, digits: [usize; N]) -> Option<[u32; N]> {
    let mut parts = text.split(between);
    let mut numbers = [0; N];
    for (number, digits) in numbers.iter_mut().zip(digits) {
        let part = parts.next().filter(|part| part.len() == digits && part.bytes().all(|b| b.is_ascii_digit()))?;
        *number = part.parse().ok()?;
    }
    parts.next().is_none().then_some(numbers)
}

fn is_base64(text: &str) -> bool {
    let digits = text.trim_end_matches('=');
    let padding = text.len() - digits.len();
    text.len() % 4 == 0 && padding <= 2 && digits.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'+' || b == b'/')
}

fn base64_octets(text: &str) -> u32 {
    let padding = text.bytes().rev().take_while(|&b| b == b'=').count();
    u32::try_from((text.len() / 4 * 3).saturating_sub(padding)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;
