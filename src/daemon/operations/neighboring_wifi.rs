//! `Device.WiFi.NeighboringWiFiDiagnostic()`: what iwinfo hears on every radio.
//!
//! All radios are asked at once, though rpcd may scan one after the other. Dropping the future cancels it: what comes
//! later reaches nobody.

use super::arguments::{Named, named, push_row};
use crate::backend::{Router, Table, Value, ubus};
use crate::model::{Everything, Model};
use futures_util::future::join_all;
use std::time::Duration;

/// How long the scans may take together: a radio listens a tenth of a second on each channel, longer where there may be
/// radar.
const DEADLINE: Duration = Duration::from_secs(60);
/// Networks that are told: what one message holds.
pub const MAX_RESULTS: usize = 256;

/// What is to be scanned.
pub struct Scan {
    /// None on a recorded router.
    bus: Option<ubus::Client>,
    /// Path and name of each radio.
    radios: Vec<(String, String)>,
}

impl Scan {
    /// All radios of the router.
    pub async fn of(model: &Model<Router>) -> Self {
        let bus = match model.backend() {
            Router::Live(router) => Some(router.bus().clone()),
            Router::Fixture(_) => None,
        };
        let reading = model.get(&Everything, &["Device.WiFi.Radio.*.Name"], 0).await;
        let rows = reading.results.into_iter().next().and_then(Result::ok).unwrap_or_default();
        let radio = |row: crate::model::ObjectValues| {
            let (_, name) = row.params.into_iter().next()?;
            Some((row.path.trim_end_matches('.').to_owned(), name))
        };
        Self { bus, radios: rows.into_iter().filter_map(radio).collect() }
    }

    /// Scans; the output arguments of the command. It fails where no radio can scan.
    pub async fn run(self) -> Named {
        let Self { bus: Some(bus), radios } = self else { return output(false, &[]) };
        let scans = join_all(radios.iter().map(|(path, name)| scan(&bus, path, name))).await;
        let heard: Vec<_> = scans.into_iter().flatten().collect();
        output(!heard.is_empty(), &heard)
    }
}

/// A radio's path and what it hears, None where it cannot scan.
async fn scan<'a>(bus: &ubus::Client, path: &'a str, name: &str) -> Option<(&'a str, Table)> {
    let args = Table::default().with("device", name);
    let scanned = bus.call_within("iwinfo", "scan", &args, DEADLINE).await;
    let scanned =
        scanned.inspect_err(|error| log::info!("operation=NeighboringWiFiDiagnostic radio={name} cause=\"{error}\""));
    Some((path, scanned.ok()?))
}

fn output(complete: bool, heard: &[(&str, Table)]) -> Named {
    let mut output = named([("Status", if complete { "Complete" } else { "Error" }.to_owned())]);
    let networks = heard.iter().flat_map(|(radio, scanned)| {
        let results = scanned.get("results").and_then(Value::as_array).unwrap_or_default();
        results.iter().filter_map(|network| network.as_table()).map(|network| (*radio, network))
    });
    for (number, (radio, network)) in (1..=MAX_RESULTS).zip(networks) {
        push_row(&mut output, "Result", number, [("Radio", radio.to_owned())]);
        for (name, value) in members(network) {
            output.extend(value.map(|value| (format!("Result.{number}.{name}"), value)));
        }
    }
    output
}

/// What is known of a network. What a scan does not tell is left out: noise, rates, beacon and DTIM period.
fn members(network: &Table) -> [(&'static str, Option<String>); 11] {
    let text = |name: &str| network.get(name).and_then(Value::as_str).map(str::to_owned);
    let number = |name: &str| network.get(name).and_then(Value::as_i64);
    let standards = standards(network);
    let band = match number("band") {
        Some(2) => Some("2.4GHz"),
        Some(5) => Some("5GHz"),
        Some(6) => Some("6GHz"),
        _ => None,
    };
    let mode = match text("mode").as_deref() {
        Some("Master") => Some("Infrastructure"),
        Some("Ad-Hoc") => Some("AdHoc"),
        _ => None,
    };
    let encryption = network.get("encryption").and_then(Value::as_table);
    [
        // A hidden network has none.
        ("SSID", Some(text("ssid").unwrap_or_default())),
        ("BSSID", text("bssid")),
        ("Mode", mode.map(str::to_owned)),
        ("Channel", number("channel").filter(|channel| (1..=255).contains(channel)).map(|channel| channel.to_string())),
        ("SignalStrength", number("signal").filter(|dbm| (-200..=0).contains(dbm)).map(|dbm| dbm.to_string())),
        ("SecurityModeEnabled", encryption.and_then(security).map(str::to_owned)),
        ("EncryptionMode", encryption.and_then(ciphers)),
        ("OperatingFrequencyBand", band.map(str::to_owned)),
        ("SupportedStandards", standards.clone()),
        ("OperatingStandards", standards),
        ("OperatingChannelBandwidth", bandwidth(network).map(str::to_owned)),
    ]
}

/// The elements a beacon has speak for standards; that of `b` and `g` is not told.
fn standards(network: &Table) -> Option<String> {
    let operations = [("ht_operation", "n"), ("vht_operation", "ac"), ("he_operation", "ax"), ("eht_operation", "be")];
    let spoken: Vec<_> = operations.iter().filter(|(name, _)| network.get(name).is_some()).map(|(_, it)| *it).collect();
    (!spoken.is_empty()).then(|| spoken.join(","))
}

/// The width that the newest element tells; 40 of VHT stands for what HT says, and 2040 of HT for 40 or more.
fn bandwidth(network: &Table) -> Option<&'static str> {
    let width = |name: &str| network.get(name)?.as_table()?.get("channel_width")?.as_i64();
    let ht = match width("ht_operation") {
        Some(20) => Some("20MHz"),
        Some(_) => Some("40MHz"),
        None => None,
    };
    let wide = |width: i64| match width {
        20 => Some("20MHz"),
        80 => Some("80MHz"),
        160 | 8080 => Some("160MHz"),
        _ => None,
    };
    match (width("eht_operation").or(width("he_operation")), width("vht_operation")) {
        // Which of the two halves it is, a scan does not tell.
        (Some(320), _) => None,
        (Some(40), _) => Some("40MHz"),
        (Some(newest), _) => wide(newest),
        (None, Some(40)) | (None, None) => ht,
        (None, Some(vht)) => wide(vht),
    }
}

fn words<'a>(encryption: &'a Table, name: &str) -> impl Iterator<Item = &'a str> {
    encryption.get(name).and_then(Value::as_array).unwrap_or_default().iter().filter_map(Value::as_str)
}

fn security(encryption: &Table) -> Option<&'static str> {
    if encryption.get("enabled")?.as_i64()? == 0 {
        return Some("None");
    }
    let has = |name: &str| words(encryption, "authentication").any(|word| word == name);
    let versions = encryption.get("wpa").and_then(Value::as_array).unwrap_or_default();
    let version = |number: i64| versions.iter().any(|version| version.as_i64() == Some(number));
    if versions.is_empty() {
        return encryption.get("wep").map(|_| "WEP");
    }
    Some(match (version(1), version(2)) {
        _ if has("owe") => "OWE",
        _ if has("sae") && has("psk") => "WPA2-PSK-WPA3-SAE",
        _ if has("sae") => "WPA3-SAE",
        (true, true) if has("802.1x") => "WPA-WPA2-Enterprise",
        (true, false) if has("802.1x") => "WPA-Enterprise",
        (false, true) if has("802.1x") => "WPA2-Enterprise",
        (false, false) if has("802.1x") => "WPA3-Enterprise",
        (true, true) if has("psk") => "WPA-WPA2",
        (true, false) if has("psk") => "WPA",
        (false, true) if has("psk") => "WPA2",
        _ => return None,
    })
}

fn ciphers(encryption: &Table) -> Option<String> {
    let has =
        |kinds: &[&str]| words(encryption, "ciphers").any(|cipher| kinds.iter().any(|kind| cipher.starts_with(kind)));
    let used: Vec<_> = [("TKIP", has(&["tkip"])), ("AES", has(&["ccmp", "gcmp"]))]
        .into_iter()
        .filter_map(|(name, is_used)| is_used.then_some(name))
        .collect();
    (!used.is_empty()).then(|| used.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::ubus::json::table_from_json;
    use serde_json::json;

    fn told(network: serde_json::Value) -> Vec<String> {
        let scanned = table_from_json(&json!({ "results": [network] })).unwrap();
        let output = output(true, &[("Device.WiFi.Radio.2", scanned)]);
        output.iter().skip(1).map(|(name, value)| format!("{}={value}", name.trim_start_matches("Result.1."))).collect()
    }

    #[test]
    fn a_network_is_told_as_the_standard_names_it() {
        let network = json!({"ssid": "Café, \"x\"", "bssid": "02:00:5E:30:00:01", "mode": "Master", "band": 5,
            "channel": 36, "mhz": 5180, "signal": -67, "quality": 43, "quality_max": 70,
            "ht_operation": {"primary_channel": 36, "secondary_channel_offset": "above", "channel_width": 2040},
            "vht_operation": {"channel_width": 80, "center_freq_1": 42, "center_freq_2": 0},
            "encryption": {"enabled": true, "wpa": [2, 3], "authentication": ["psk", "sae"], "ciphers": ["ccmp"]}});
        let expected = [
            "Radio=Device.WiFi.Radio.2",
            "SSID=Café, \"x\"",
            "BSSID=02:00:5E:30:00:01",
            "Mode=Infrastructure",
            "Channel=36",
            "SignalStrength=-67",
            "SecurityModeEnabled=WPA2-PSK-WPA3-SAE",
            "EncryptionMode=AES",
            "OperatingFrequencyBand=5GHz",
            "SupportedStandards=n,ac",
            "OperatingStandards=n,ac",
            "OperatingChannelBandwidth=80MHz",
        ];
        assert_eq!(told(network), expected);
    }

    #[test]
    fn what_a_scan_does_not_tell_is_left_out() {
        assert_eq!(told(json!({})), ["Radio=Device.WiFi.Radio.2", "SSID="]);
        let odd = json!({"channel": 0, "signal": -256, "mode": "Mesh Point", "band": 60, "encryption": {}});
        assert_eq!(told(odd), ["Radio=Device.WiFi.Radio.2", "SSID="]);
    }

    #[test]
    fn every_kind_of_encryption_has_its_name() {
        let of = |encryption| security(&table_from_json(&encryption).unwrap());
        let wpa =
            |versions: &[i64], suites: &[&str]| of(json!({"enabled": true, "wpa": versions, "authentication": suites}));
        assert_eq!(of(json!({"enabled": false})), Some("None"));
        assert_eq!(of(json!({"enabled": true, "wep": ["open"]})), Some("WEP"));
        assert_eq!([wpa(&[1], &["psk"]), wpa(&[2], &["psk"])], [Some("WPA"), Some("WPA2")]);
        assert_eq!([wpa(&[1, 2], &["psk"]), wpa(&[3], &["sae"])], [Some("WPA-WPA2"), Some("WPA3-SAE")]);
        assert_eq!([wpa(&[3], &["owe"]), wpa(&[3], &["802.1x"])], [Some("OWE"), Some("WPA3-Enterprise")]);
        assert_eq!([wpa(&[2], &["802.1x"]), wpa(&[2], &["none"])], [Some("WPA2-Enterprise"), None]);
    }

    #[test]
    fn the_newest_element_tells_the_width() {
        let of = |network| bandwidth(&table_from_json(&network).unwrap());
        let width = |width: i64| json!({"channel_width": width});
        assert_eq!(of(json!({"ht_operation": width(20)})), Some("20MHz"));
        assert_eq!(of(json!({"ht_operation": width(2040), "vht_operation": width(40)})), Some("40MHz"));
        assert_eq!(of(json!({"ht_operation": width(20), "vht_operation": width(40)})), Some("20MHz"));
        assert_eq!(of(json!({"vht_operation": width(8080)})), Some("160MHz"));
        assert_eq!(of(json!({"ht_operation": width(2040), "he_operation": width(160)})), Some("160MHz"));
        assert_eq!(of(json!({"he_operation": width(160), "eht_operation": width(320)})), None);
    }

    #[test]
    fn networks_are_bounded() {
        let networks = vec![json!({}); MAX_RESULTS + 10];
        let scanned = table_from_json(&json!({ "results": networks })).unwrap();
        let output = output(true, &[("r", scanned.clone()), ("s", scanned)]);
        assert_eq!(output.iter().filter(|(name, _)| name.ends_with(".Radio")).count(), MAX_RESULTS);
    }
}
