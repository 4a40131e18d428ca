//! Processes, and sensors of chips: what lies in folders of /proc and /sys.

use crate::backend::{Table, Value};
use crate::model::eval::Scope;
use crate::order;

/// Processes that are shown: each costs a file, and a router runs about a hundred.
const MAX_PROCESSES: usize = 256;
/// What one file of /proc counts processor time in: milliseconds of a tick, on every architecture of Linux that
/// OpenWrt has (USER_HZ).
const TICK_MS: u64 = 10;
const HWMON: &str = "/sys/class/hwmon";

/// A row per process, oldest numbers first. Its number is the row's too: it comes and goes too often to be kept.
pub(super) fn processes(scope: &Scope<'_>) -> Vec<(String, Value)> {
    let mut numbers: Vec<u32> = scope.list("/proc").unwrap_or_default().iter().filter_map(|n| n.parse().ok()).collect();
    order::sort_by_key(&mut numbers, |number| *number);
    numbers.truncate(MAX_PROCESSES);
    numbers.into_iter().map(|number| (format!(":{number}"), Value::Null)).collect()
}

/// `/proc/N/stat` as a table. The name stands in parentheses and may hold blanks and parentheses itself.
pub(super) fn stat(scope: &Scope<'_>) -> Option<Value> {
    let number = scope.key().strip_prefix(':')?;
    table(scope.file(&format!("/proc/{number}/stat"))?).map(Value::Table)
}

fn table(stat: &str) -> Option<Table> {
    let (head, rest) = stat.rsplit_once(')')?;
    let fields: Vec<&str> = rest.split_whitespace().collect();
    let number = |at: usize| fields.get(at)?.parse::<i64>().ok();
    // Threads of real time have negative priorities.
    let priority = number(15)?.clamp(0, 99);
    let ticks = u64::try_from(number(11)?.checked_add(number(12)?)?).ok()?;
    let ms = i64::try_from(ticks.saturating_mul(TICK_MS)).ok()?;
    let table = Table::default().with("name", head.split_once('(')?.1).with("state", *fields.first()?);
    Some(table.with("priority", Value::Int64(priority)).with("time", Value::Int64(ms)))
}

/// A row per temperature that a chip measures. Thermal zones have a row already, though they are shown here again.
pub(super) fn temperatures(scope: &Scope<'_>) -> Vec<(String, Value)> {
    let mut rows = Vec::new();
    for chip in scope.list(HWMON).unwrap_or_default() {
        let device = scope.link(&format!("{HWMON}/{chip}/device"));
        if device.is_some_and(|device| device.contains("thermal_zone")) {
            continue;
        }
        let name = scope.file(&format!("{HWMON}/{chip}/name")).map_or(&**chip, str::trim);
        for file in scope.list(&format!("{HWMON}/{chip}")).unwrap_or_default() {
            if let Some(input) = file.strip_suffix("_input").filter(|input| input.starts_with("temp")) {
                rows.push((format!("{chip}/{input}"), Value::Table(Table::default().with("chip", name))));
            }
        }
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_may_look_like_anything() {
        let line = "7 (a) (b c) S 1 7 7 0 -1 1077936384 1 2 3 4 150 50 0 0 -51 0 1 0 99 1000 200";
        let table = table(line).unwrap();
        assert_eq!(table.get("name").and_then(Value::as_str), Some("a) (b c"));
        assert_eq!(table.get("state").and_then(Value::as_str), Some("S"));
        assert_eq!(table.get("time").and_then(Value::as_i64), Some(2000));
        assert_eq!(table.get("priority").and_then(Value::as_i64), Some(0));
        assert!(super::table("7 (sh S 1").is_none());
    }
}
