//! `get PATH...`: values.

use super::bus::{self, pairs_of, paths};
use super::table::{columns, row};
use super::{Arguments, Exit, Flag, UBUS, usage};
use crate::backend::Table;

pub(super) const FLAGS: &[Flag] = &[
    UBUS,
    bus::JSON,
    Flag { name: "value", value: None, doc: "print the values alone, a line each" },
    Flag { name: "depth", value: Some("N"), doc: "so many levels below an object; 0 for all" },
];

pub(super) fn run(given: &Arguments) -> Exit {
    if given.words.is_empty() {
        return usage("get needs a path: usp-agent get Device.DeviceInfo.");
    }
    let Ok(depth) = given.value("depth").unwrap_or("0").parse::<i32>() else {
        return usage("--depth takes a number");
    };
    bus::run(given, "get", paths(&given.words).with("max_depth", depth), show)
}

fn show(given: &Arguments, data: &Table) -> String {
    let values = pairs_of(data, "values");
    if given.has("value") {
        return values.map(|(_, value)| format!("{value}\n")).collect();
    }
    columns(&values.map(|(path, value)| row(&[path, value])).collect::<Vec<_>>())
}
