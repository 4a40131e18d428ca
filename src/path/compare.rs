//! Comparing values of TR-181 in their text form: numbers of any length without floating point,
//! dates and times with their zone, list items without their escapes.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt;

/// The type of a parameter as far as comparing goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// One value.
    One(Scalar),
    /// A comma-separated list of them.
    List(Scalar),
}

/// The type of one value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scalar {
    /// Text, enumerations and paths included.
    String,
    /// `true`, `false`, `1` or `0`.
    Boolean,
    /// int, unsignedInt, long, unsignedLong and decimal.
    Number,
    /// ISO 8601, as in `2021-06-06T08:00:00Z`.
    DateTime,
    /// Hexadecimal digits, in either case.
    HexBinary,
    /// Base64.
    Base64,
}

/// Why a condition cannot be asked of a parameter of this type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mismatch {
    /// The operator is not defined for the type.
    Operator,
    /// The constant is not of the type, or its quotes do not fit: strings have them, others not.
    Constant,
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Operator => "operator does not fit the parameter's type",
            Self::Constant => "constant does not fit the parameter's type",
        })
    }
}

impl std::error::Error for Mismatch {}

impl Scalar {
    pub(super) fn is_ordered(self) -> bool {
        matches!(self, Self::Number | Self::DateTime)
    }

    pub(super) fn accepts(self, text: &str) -> bool {
        match self {
            Self::String | Self::Base64 => true,
            Self::Boolean => boolean(text).is_some(),
            Self::Number => Decimal::parse(text).is_some(),
            Self::DateTime => Moment::parse(text).is_some(),
            Self::HexBinary => text.bytes().all(|byte| byte.is_ascii_hexdigit()),
        }
    }

    /// None where either text is not of the type.
    pub(super) fn compare(self, left: &str, right: &str) -> Option<Ordering> {
        match self {
            Self::String | Self::Base64 => Some(left.cmp(right)),
            Self::Boolean => Some(boolean(left)?.cmp(&boolean(right)?)),
            Self::Number => Some(Decimal::parse(left)?.cmp(&Decimal::parse(right)?)),
            Self::DateTime => Some(Moment::parse(left)?.cmp(&Moment::parse(right)?)),
            Self::HexBinary if left.eq_ignore_ascii_case(right) => Some(Ordering::Equal),
            Self::HexBinary => Some(left.cmp(right)),
        }
    }
}

fn boolean(text: &str) -> Option<bool> {
    match text {
        "true" | "1" => Some(true),
        "false" | "0" => Some(false),
        _ => None,
    }
}

/// A number as its digits: `+0123.50` is 123 and 5.
#[derive(PartialEq, Eq)]
struct Decimal<'a> {
    negative: bool,
    whole: &'a str,
    fraction: &'a str,
}

impl<'a> Decimal<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let (negative, digits) = match text.as_bytes().first()? {
            b'-' => (true, text.get(1..)?),
            b'+' => (false, text.get(1..)?),
            _ => (false, text),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let all_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        if whole.len() + fraction.len() == 0 || !all_digits(whole) || !all_digits(fraction) {
            return None;
        }
        let (whole, fraction) = (whole.trim_start_matches('0'), fraction.trim_end_matches('0'));
        let is_zero = whole.is_empty() && fraction.is_empty();
        Some(Self { negative: negative && !is_zero, whole, fraction })
    }

    fn size(&self, other: &Self) -> Ordering {
        self.whole
            .len()
            .cmp(&other.whole.len())
            .then_with(|| self.whole.cmp(other.whole))
            .then_with(|| self.fraction.cmp(other.fraction))
    }
}

impl Ord for Decimal<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self.negative, other.negative) {
            (false, false) => self.size(other),
            (true, true) => other.size(self),
            (true, false) => Ordering::Less,
            (false, true) => Ordering::Greater,
        }
    }
}

impl PartialOrd for Decimal<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Seconds of UTC since the year 0, then the digits of the fraction. Without a zone, UTC is meant.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Moment<'a> {
    seconds: i64,
    fraction: &'a str,
}

impl<'a> Moment<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let (date, rest) = text.split_once('T')?;
        let zone_at = rest.find(['Z', '+', '-']).unwrap_or(rest.len());
        let (clock, zone) = (rest.get(..zone_at)?, rest.get(zone_at..)?);
        let (clock, fraction) = match clock.split_once('.') {
            Some((clock, fraction)) => (clock, digits(fraction, fraction.len().max(1)).and(Some(fraction))?),
            None => (clock, ""),
        };
        let seconds = days(date)? * 86_400 + time_of_day(clock)? - zone_offset(zone)?;
        Some(Self { seconds, fraction: fraction.trim_end_matches('0') })
    }
}

/// Digits only, and exactly so many; long fractions are checked but their number is not used.
fn digits(text: &str, length: usize) -> Option<i64> {
    let good = text.len() == length && text.bytes().all(|byte| byte.is_ascii_digit());
    good.then(|| text.bytes().take(9).fold(0, |sum, byte| sum * 10 + i64::from(byte - b'0')))
}

fn in_range(text: &str, low: i64, high: i64) -> Option<i64> {
    digits(text, 2).filter(|number| (low..=high).contains(number))
}

/// Days since 0000-03-01 in the Gregorian calendar.
fn days(date: &str) -> Option<i64> {
    let (year, rest) = date.split_once('-')?;
    let (month, day) = rest.split_once('-')?;
    let (year, month, day) = (digits(year, 4)?, in_range(month, 1, 12)?, in_range(day, 1, 31)?);
    // The year begins in March, so that the leap day is its last.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    Some(365 * year + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400) + (153 * month + 2) / 5 + day)
}

fn time_of_day(clock: &str) -> Option<i64> {
    let (hour, rest) = clock.split_once(':')?;
    let (minute, second) = rest.split_once(':')?;
    Some(in_range(hour, 0, 24)? * 3600 + in_range(minute, 0, 59)? * 60 + in_range(second, 0, 60)?)
}

fn zone_offset(zone: &str) -> Option<i64> {
    if zone.is_empty() || zone == "Z" {
        return Some(0);
    }
    let (sign, rest) = zone.split_at_checked(1)?;
    let (hours, minutes) = rest.split_once(':')?;
    let offset = in_range(hours, 0, 14)? * 3600 + in_range(minutes, 0, 59)? * 60;
    Some(if sign == "-" { -offset } else { offset })
}

/// The items of a comma-separated list, without the blanks around them and the escapes in them
/// (TR-106: a comma within an item is written `%2C`). An empty list has none.
pub(super) fn items(list: &str) -> impl Iterator<Item = Cow<'_, str>> {
    let nothing = list.trim().is_empty();
    list.split(',').take(if nothing { 0 } else { usize::MAX }).map(|item| unescape(item.trim()))
}

/// Resolves `%HH` where it stands for an ASCII character.
pub(super) fn unescape(text: &str) -> Cow<'_, str> {
    if !text.contains('%') {
        return Cow::Borrowed(text);
    }
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('%') {
        plain.push_str(before);
        (rest, _) = match escaped(after) {
            Some((character, remainder)) => (remainder, plain.push(character)),
            None => (after, plain.push('%')),
        };
    }
    plain.push_str(rest);
    Cow::Owned(plain)
}

fn escaped(after_percent: &str) -> Option<(char, &str)> {
    let (code, rest) = after_percent.split_at_checked(2)?;
    let hexadecimal = code.bytes().all(|byte| byte.is_ascii_hexdigit());
    let code = u8::from_str_radix(code, 16).ok().filter(|code| hexadecimal && code.is_ascii())?;
    Some((char::from(code), rest))
}
