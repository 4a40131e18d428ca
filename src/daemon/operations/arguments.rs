//! What all commands have in common: input arguments, output arguments, times.

use crate::calendar;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::time::Instant;

/// Output arguments, or input arguments: names and values.
pub type Named = Vec<(String, String)>;

/// The arguments of a command.
pub struct Arguments<'a>(pub &'a [(String, String)]);

impl Arguments<'_> {
    /// One of them; empty where it was not given.
    pub fn text(&self, name: &str) -> &str {
        self.0.iter().find(|(given, _)| given == name).map_or("", |(_, value)| value.as_str())
    }

    /// A number, which the standard has checked; `missing` where it was not given.
    pub fn number(&self, name: &str, missing: u32) -> u32 {
        self.text(name).parse().unwrap_or(missing)
    }

    /// A number of milliseconds.
    pub fn milliseconds(&self, name: &str, missing: u32) -> Duration {
        Duration::from_millis(self.number(name, missing).into())
    }

    /// DSCP, 0 where it was not given.
    pub fn dscp(&self) -> u8 {
        u8::try_from(self.number("DSCP", 0)).unwrap_or(0)
    }

    /// A boolean; false where it was not given.
    pub fn truth(&self, name: &str) -> bool {
        matches!(self.text(name), "true" | "1")
    }
}

/// ProtocolVersion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Version {
    Any,
    IPv4,
    IPv6,
}

impl Version {
    /// The value of the argument; anything else is any.
    pub fn parse(text: &str) -> Self {
        match text {
            "IPv4" => Self::IPv4,
            "IPv6" => Self::IPv6,
            _ => Self::Any,
        }
    }
}

/// Output arguments of these names.
pub fn named<const N: usize>(outputs: [(&str, String); N]) -> Named {
    outputs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// Appends the members of a row of an output object: `Result.1.Status`.
pub fn push_row<const N: usize>(into: &mut Named, table: &str, number: usize, members: [(&str, String); N]) {
    into.extend(members.into_iter().map(|(name, value)| (format!("{table}.{number}.{name}"), value)));
}

/// Whole milliseconds. What std writes such numbers with divides 128 bits, 5 kB of code on a 32-bit router.
pub fn milliseconds(time: Duration) -> String {
    (time.as_secs() * 1000 + u64::from(time.subsec_millis())).to_string()
}

/// Whole microseconds.
pub fn microseconds(time: Duration) -> String {
    (time.as_secs() * 1_000_000 + u64::from(time.subsec_micros())).to_string()
}

/// Tells moments of the clock that never jumps as the time of day, so that differences between them stay right.
#[derive(Debug, Clone, Copy)]
pub struct TimeOfDay {
    moment: Instant,
    told: SystemTime,
}

impl TimeOfDay {
    /// By the time it is now.
    pub fn now() -> Self {
        Self { moment: Instant::now(), told: SystemTime::now() }
    }

    /// A moment in UTC to the microsecond.
    pub fn at(&self, moment: Instant) -> String {
        let after = moment.saturating_duration_since(self.moment);
        let before = self.moment.saturating_duration_since(moment);
        let time = (self.told + after).checked_sub(before).unwrap_or(UNIX_EPOCH);
        let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        let whole = calendar::date_time(i64::try_from(since.as_secs()).unwrap_or(i64::MAX));
        format!("{}.{:06}Z", whole.trim_end_matches('Z'), since.subsec_micros())
    }

    /// The same; the Unknown Time where there is no such moment.
    pub fn at_or_unknown(&self, moment: Option<Instant>) -> String {
        moment.map_or_else(|| calendar::UNKNOWN_TIME.to_owned(), |moment| self.at(moment))
    }
}

/// Round trips, summed up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Times {
    /// How many.
    pub count: u32,
    sum: Duration,
    /// The shortest; 0 where there is none.
    pub least: Duration,
    /// The longest; 0 where there is none.
    pub most: Duration,
}

impl Times {
    /// One more.
    pub fn add(&mut self, time: Duration) {
        self.least = if self.count == 0 { time } else { self.least.min(time) };
        self.most = self.most.max(time);
        self.sum += time;
        self.count += 1;
    }

    /// 0 where there is none.
    pub fn average(&self) -> Duration {
        self.sum.checked_div(self.count).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_told_to_the_microsecond() {
        let base = TimeOfDay { moment: Instant::now(), told: UNIX_EPOCH + Duration::from_secs(1_795_384_705) };
        assert_eq!(base.at(base.moment + Duration::from_micros(1_000_042)), "2026-11-22T21:58:26.000042Z");
        assert_eq!(base.at(base.moment - Duration::from_micros(1)), "2026-11-22T21:58:24.999999Z");
        assert_eq!(base.at_or_unknown(None), "0001-01-01T00:00:00Z");
    }

    #[test]
    fn times_are_summed_up() {
        let mut times = Times::default();
        assert_eq!((times.count, times.least, times.average(), times.most), Default::default());
        [30, 10, 20].map(Duration::from_millis).into_iter().for_each(|time| times.add(time));
        let [least, average, most] = [times.least, times.average(), times.most].map(milliseconds);
        assert_eq!((times.count, &*least, &*average, &*most), (3, "10", "20", "30"));
    }
}
