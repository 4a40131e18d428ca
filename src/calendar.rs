//! dateTime of TR-181 and seconds since 1970 (proleptic Gregorian calendar, H. Hinnant's algorithms).

/// The Unknown Time of TR-106.
pub const UNKNOWN_TIME: &str = "0001-01-01T00:00:00Z";

/// Seconds since 1970 as dateTime in UTC, whole seconds.
pub fn date_time(unix: i64) -> String {
    let second = unix.rem_euclid(86_400);
    format!("{}T{:02}:{:02}:{:02}Z", date(unix), second / 3600, second / 60 % 60, second % 60)
}

/// The date of seconds since 1970: `2026-11-23`.
pub fn date(unix: i64) -> String {
    let (year, month, day) = civil(unix.div_euclid(86_400));
    format!("{year:04}-{month:02}-{day:02}")
}

/// A dateTime as seconds since 1970; None for the Unknown Time, times before 1970 and what is no dateTime.
pub fn unix_time(text: &str) -> Option<i64> {
    let (date, rest) = text.split_once('T')?;
    let [year, month, day] = numbers(date, '-')?;
    let [hour, minute, second] = numbers(rest.get(..8)?, ':')?;
    let date = (1970..=9999).contains(&year) && (1..=12).contains(&month) && (1..=31).contains(&day);
    if !date || hour > 24 || minute > 59 || second > 60 {
        return None;
    }
    let zone = rest.get(8..)?.trim_start_matches(|c: char| c == '.' || c.is_ascii_digit());
    Some(days(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second - offset(zone)?)
}

/// Days since 1970-01-01 of a date.
pub fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

/// Year, month and day of a day since 1970-01-01.
fn civil(day: i64) -> (i64, i64, i64) {
    let day = day + 719_468;
    let (era, day_of_era) = (day.div_euclid(146_097), day.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day_of_year - (153 * shifted + 2) / 5 + 1)
}

/// Three whole numbers without signs.
fn numbers(text: &str, between: char) -> Option<[i64; 3]> {
    let mut parts = text.splitn(3, between).map(|part| part.parse::<u32>().ok().map(i64::from));
    Some([parts.next()??, parts.next()??, parts.next()??])
}

/// Seconds east of Greenwich; no zone is UTC.
fn offset(zone: &str) -> Option<i64> {
    let sign = match zone.chars().next() {
        None | Some('Z') => return Some(0),
        Some('+') => 1,
        Some('-') => -1,
        Some(_) => return None,
    };
    let (hours, minutes) = zone.get(1..)?.split_once(':')?;
    Some(sign * (hours.parse::<i64>().ok()? * 3600 + minutes.parse::<i64>().ok()? * 60))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Also where a word has 32 bits: `cross/test mips`.
    #[test]
    fn a_file_may_be_of_2040() {
        let path = std::env::temp_dir().join(format!("usp-agent-2040-{}", std::process::id()));
        let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(2_208_988_800);
        std::fs::File::create(&path).unwrap().set_modified(time).unwrap();
        let read = std::fs::metadata(&path).unwrap().modified().unwrap();
        std::fs::remove_file(path).unwrap();
        assert_eq!(
            date_time(read.duration_since(std::time::UNIX_EPOCH).unwrap().as_secs() as i64),
            "2040-01-01T00:00:00Z"
        );
    }

    #[test]
    fn a_date_survives_the_way_there_and_back() {
        for unix in [0, 951_782_400, 1_709_164_800, 1_784_505_600, 2_208_988_800, 4_102_444_799] {
            assert_eq!(unix_time(&date_time(unix)), Some(unix));
        }
        assert_eq!(date_time(951_782_400), "2000-02-29T00:00:00Z");
        assert_eq!(date_time(1_795_384_705), "2026-11-22T21:58:25Z");
        assert_eq!(date(-1), "1969-12-31");
    }

    #[test]
    fn zones_and_fractions_are_understood() {
        assert_eq!(unix_time("2026-07-20T02:00:00.25+02:00"), Some(1_784_505_600));
        assert_eq!(unix_time("2026-07-20T00:00:00"), Some(1_784_505_600));
    }

    #[test]
    fn the_unknown_time_is_no_time() {
        for text in
            [UNKNOWN_TIME, "", "2026-13-01T00:00:00Z", "2026-01-01", "x", "2026-01-01T00:00:0é", "2026-01-01T-1:00:00Z"]
        {
            assert_eq!(unix_time(text), None, "{text}");
        }
    }

    #[test]
    fn dates_of_both_centuries_come_back() {
        for day in (-30_000..60_000).step_by(97) {
            let text = date(day * 86_400);
            let part = |range: std::ops::Range<usize>| text[range].parse::<i64>().unwrap();
            assert_eq!(days(part(0..4), part(5..7), part(8..10)), day, "{text}");
        }
    }
}
