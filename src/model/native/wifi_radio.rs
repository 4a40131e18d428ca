//! Radios: bands, channels, widths and standards behind OpenWrt's `htmode` and iwinfo's lists.

use super::network::{is, tables};
use crate::backend::uci::OptValue;
use crate::backend::{Table, Value};
use crate::model::eval::Scope;
use crate::model::stage::Staging;
use crate::usp::fault::{Code, Fault};

/// Channel widths as `htmode` ends and as TR-181 names them. Which 320 MHz channel it is, OpenWrt does not tell.
const WIDTHS: &[(&str, &str)] =
    &[("80+80", "80+80MHz"), ("320", "320MHz-1"), ("160", "160MHz"), ("80", "80MHz"), ("40", "40MHz"), ("20", "20MHz")];

/// The width of an `htmode`: `HE80` is 80MHz, `NOHT` 20MHz, `HT40+` 40MHz.
pub(super) fn width(_: &Scope<'_>, htmode: &str) -> Option<String> {
    width_of(htmode).map(str::to_string)
}

fn width_of(htmode: &str) -> Option<&'static str> {
    if htmode == "NOHT" {
        return Some("20MHz");
    }
    let digits = htmode.trim_start_matches(|c: char| c.is_ascii_alphabetic()).trim_end_matches(['+', '-']);
    WIDTHS.iter().find(|(ends, _)| *ends == digits).map(|(_, width)| *width)
}

/// The width that is configured.
pub(super) fn bandwidth(scope: &Scope<'_>) -> Option<Value> {
    width_of(scope.section()?.1.text("htmode")?).map(Value::from)
}

/// Changes the width and keeps the generation: `HE80` becomes `HE40`.
pub(super) fn set_bandwidth(scope: &Scope<'_>, value: &str, staging: &mut Staging) -> Result<(), Fault> {
    let refused = || Fault::new(Code::InvalidValue, "OperatingChannelBandwidth is not one the radio can have");
    let (package, section) = scope.section().ok_or_else(refused)?;
    let (digits, _) = WIDTHS.iter().find(|(_, width)| *width == value).ok_or_else(refused)?;
    let generation: String =
        section.text("htmode").unwrap_or("HT").chars().take_while(char::is_ascii_alphabetic).collect();
    let htmode = format!("{generation}{digits}");
    let can = modes(scope);
    let unknown = can.is_empty() && generation != "NOHT";
    if htmode.len() > generation.len() && (unknown || can.contains(&htmode.as_str())) {
        staging.set(&package.name, &section.name, "htmode", Some(OptValue::One(htmode.into())));
        return Ok(());
    }
    Err(refused())
}

/// The widths the hardware can have, narrow first.
pub(super) fn bandwidths(scope: &Scope<'_>) -> Option<Value> {
    let modes = modes(scope);
    let can = |width: &&str| modes.iter().any(|mode| width_of(mode) == Some(width));
    let widths: Vec<Value> = WIDTHS.iter().rev().map(|(_, width)| *width).filter(can).map(Value::from).collect();
    (!widths.is_empty()).then_some(Value::Array(widths))
}

/// `HT20`, `VHT80`, ... as iwinfo lists them.
fn modes<'a>(scope: &Scope<'a>) -> Vec<&'a str> {
    let modes = info(scope).and_then(|i| i.get("htmodes")).and_then(Value::as_array).unwrap_or(&[]);
    modes.iter().filter_map(Value::as_str).collect()
}

/// Tenths of Mbit/s that one stream has in each mode, with the best modulation and the shortest guard interval.
const STREAMS: &[(&str, i32)] = &[
    ("HT20", 722),
    ("HT40", 1500),
    ("VHT20", 867),
    ("VHT40", 2000),
    ("VHT80", 4333),
    ("VHT160", 8667),
    ("HE20", 1434),
    ("HE40", 2868),
    ("HE80", 6005),
    ("HE160", 12_010),
    ("EHT20", 1721),
    ("EHT40", 3441),
    ("EHT80", 7206),
    ("EHT160", 14_412),
    ("EHT320", 28_824),
];

/// What the best mode has with a stream per antenna, which OpenWrt counts in /etc/board.json since 24.10.
pub(super) fn max_bit_rate(scope: &Scope<'_>) -> Option<Value> {
    let path = scope.section()?.1.text("path")?;
    let modes = modes(scope);
    let stream = STREAMS.iter().filter(|(mode, _)| modes.contains(mode)).map(|(_, rate)| *rate).max()?;
    let board: serde_json::Value = serde_json::from_str(scope.file("/etc/board.json")?).ok()?;
    let mut radios = board.get("wlan")?.as_object()?.values();
    let radio = radios.find(|radio| radio.get("path").and_then(|p| p.as_str()) == Some(path))?;
    let antennas = radio.pointer("/info/antenna_tx")?.as_u64().filter(|&mask| mask > 0)?;
    let antennas = i32::try_from(antennas.count_ones()).ok()?;
    Some(Value::Int32(stream * antennas / 10))
}

fn info<'a>(scope: &Scope<'a>) -> Option<&'a Table> {
    scope.ubus("iwinfo", "info", &Table::default().with("device", scope.key()))
}

fn frequencies<'a>(scope: &Scope<'a>) -> Vec<&'a Table> {
    let list = scope.ubus("iwinfo", "freqlist", &Table::default().with("device", scope.key()));
    list.map(|l| tables(l, "results").collect()).unwrap_or_default()
}

/// The bands the radio has channels in.
pub(super) fn bands(scope: &Scope<'_>) -> Option<Value> {
    let mut bands: Vec<&str> = frequencies(scope).iter().filter_map(|f| band(f.get("mhz")?.as_i64()?)).collect();
    bands.dedup();
    (!bands.is_empty()).then(|| Value::Array(bands.into_iter().map(Value::from).collect()))
}

fn band(mhz: i64) -> Option<&'static str> {
    match mhz {
        2400..=2500 => Some("2.4GHz"),
        4900..=5924 => Some("5GHz"),
        5925..=7125 => Some("6GHz"),
        _ => None,
    }
}

/// The channels the country allows.
pub(super) fn channels(scope: &Scope<'_>) -> Option<Value> {
    let all = frequencies(scope);
    let allowed = all.iter().filter(|f| !is(f, "restricted"));
    let channels: Vec<Value> = allowed.filter_map(|f| f.get("channel").cloned()).collect();
    (!channels.is_empty()).then_some(Value::Array(channels))
}

/// The standards that the configured `htmode` offers to stations.
pub(super) fn standards(scope: &Scope<'_>) -> Option<Value> {
    let section = scope.section()?.1;
    let generation = section.text("htmode").unwrap_or("NOHT").trim_end_matches(|c: char| !c.is_ascii_alphabetic());
    let band = section.text("band").or_else(|| section.text("hwmode"))?;
    standards_of(generation, band).map(|all| Value::Array(all.into_iter().map(Value::from).collect()))
}

fn standards_of(generation: &str, band: &str) -> Option<Vec<&'static str>> {
    // VHT (ac) is of 5 GHz only; at 6 GHz nothing older than HE (ax) is allowed.
    let all: &[&str] = match band {
        "2g" | "11g" | "11b" => &["b", "g", "n", "ax", "be"],
        "5g" | "11a" => &["a", "n", "ac", "ax", "be"],
        "6g" => &["ax", "be"],
        _ => return None,
    };
    let newest = match generation.trim_end_matches(|c: char| c.is_ascii_digit()) {
        "NOHT" => "g",
        "HT" => "n",
        "VHT" => "ac",
        "HE" => "ax",
        "EHT" => "be",
        _ => return None,
    };
    let rank = |standard: &str| ["b", "a", "g", "n", "ac", "ax", "be"].iter().position(|s| *s == standard);
    Some(all.iter().copied().filter(|s| rank(s) <= rank(newest)).collect())
}

/// The channel is left to the router.
pub(super) fn auto_channel(scope: &Scope<'_>) -> Option<Value> {
    let channel = scope.section()?.1.text("channel");
    Some(Value::from(matches!(channel, None | Some("auto" | "0"))))
}

/// On: `auto`. Off: the channel that is in use now.
pub(super) fn set_auto_channel(scope: &Scope<'_>, value: &str, staging: &mut Staging) -> Result<(), Fault> {
    let refused =
        || Fault::new(Code::InvalidValue, "AutoChannelEnable cannot be switched off while no channel is in use");
    let (package, section) = scope.section().ok_or_else(refused)?;
    let on = matches!(value, "1" | "true");
    let is_auto = matches!(section.text("channel"), None | Some("auto" | "0"));
    if on == is_auto {
        return Ok(());
    }
    let channel = match on {
        true => "auto".to_string(),
        false => {
            info(scope).and_then(|i| i.get("channel")?.as_i64()).filter(|&c| c > 0).ok_or_else(refused)?.to_string()
        }
    };
    staging.set(&package.name, &section.name, "channel", Some(OptValue::One(channel.into())));
    Ok(())
}

/// ISO country and where in it, a blank for everywhere: `DE `.
pub(super) fn country(scope: &Scope<'_>) -> Option<Value> {
    let country = scope.section()?.1.text("country")?;
    let letters = country.len() == 2 && country.bytes().all(|b| b.is_ascii_uppercase());
    letters.then(|| Value::from(format!("{country} ").as_str()))
}

/// OpenWrt knows countries, not places in them.
pub(super) fn set_country(scope: &Scope<'_>, value: &str, staging: &mut Staging) -> Result<(), Fault> {
    let refused = || Fault::new(Code::InvalidValue, "RegulatoryDomain is a country of two letters and a blank");
    let (package, section) = scope.section().ok_or_else(refused)?;
    let country = value.strip_suffix(' ').filter(|c| c.len() == 2).ok_or_else(refused)?;
    staging.set(&package.name, &section.name, "country", Some(OptValue::One(country.into())));
    Ok(())
}

/// Signal above noise, in dB.
pub(super) fn snr(scope: &Scope<'_>) -> Option<Value> {
    let station = scope.let_value("sta")?.into_json();
    let number = |member: &str| station.as_table()?.get(member)?.as_i64();
    let decibels = number("signal")? - number("noise").filter(|&n| n < 0)?;
    i32::try_from(decibels).ok().filter(|&d| d >= 0).map(Value::Int32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn htmodes_have_a_width() {
        for (mode, wanted) in [
            ("HT20", "20MHz"),
            ("HT40+", "40MHz"),
            ("VHT80", "80MHz"),
            ("VHT80+80", "80+80MHz"),
            ("EHT320", "320MHz-1"),
        ] {
            assert_eq!(width_of(mode), Some(wanted), "{mode}");
        }
        assert_eq!(width_of("NOHT"), Some("20MHz"));
        assert_eq!(width_of("HE"), None);
    }

    #[test]
    fn standards_follow_band_and_generation() {
        assert_eq!(standards_of("HE", "2g"), Some(vec!["b", "g", "n", "ax"]));
        assert_eq!(standards_of("VHT", "5g"), Some(vec!["a", "n", "ac"]));
        assert_eq!(standards_of("NOHT", "11a"), Some(vec!["a"]));
        assert_eq!(standards_of("EHT", "6g"), Some(vec!["ax", "be"]));
        assert_eq!(standards_of("HE", "60g"), None);
    }
}
