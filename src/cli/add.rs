//! `add PATH [NAME=VALUE...]`: a new row.

use super::bus::{self, assignments, pairs_of, tables_of, text_of};
use super::{Arguments, Exit, Flag, UBUS, set, usage};
use crate::backend::Table;

pub(super) const FLAGS: &[Flag] = &[UBUS, bus::JSON];

pub(super) fn run(given: &Arguments) -> Exit {
    let Some((path, values)) = given.words.split_first() else {
        return usage("add needs a table: usp-agent add Device.DHCPv4.Server.Pool.");
    };
    match assignments(values) {
        Ok(values) => bus::run(given, "add", Table::default().with("path", path.as_str()).with("values", values), show),
        Err(what) => usage(&what),
    }
}

fn show(_: &Arguments, data: &Table) -> String {
    let mut text = String::new();
    for row in tables_of(data, "created") {
        let keys: Vec<_> = pairs_of(row, "keys").map(|(name, value)| format!("{name}={value}")).collect();
        text += format!("{}  {}", text_of(row, "path"), keys.join(" ")).trim_end();
        text.push('\n');
    }
    text + &set::trial(data)
}
