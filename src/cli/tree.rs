//! `tree [PATH]`: the supported data model, with types, access and arguments. Without a path its objects only.

use super::bus::{self, number_of, pairs_of, tables_of, text_of, texts_of};
use super::table::{columns, row};
use super::{Arguments, Exit, Flag, UBUS, usage};
use crate::backend::Table;

pub(super) const FLAGS: &[Flag] = &[UBUS, bus::JSON];

pub(super) fn run(given: &Arguments) -> Exit {
    let path = match given.words.as_slice() {
        [] => "Device.",
        [path] => path.as_str(),
        _ => return usage("tree takes one path: usp-agent tree Device.WiFi."),
    };
    bus::run(given, "supported", Table::default().with("path", path), show)
}

fn show(given: &Arguments, data: &Table) -> String {
    let mut rows = Vec::new();
    for object in tables_of(data, "objects") {
        let can_add = number_of(object, "rows_can_be_added") == Some(1);
        rows.push(row(&[text_of(object, "path"), if can_add { "add, del" } else { "" }]));
        if given.words.is_empty() {
            continue;
        }
        let params = pairs_of(object, "params").chain(pairs_of(object, "commands"));
        rows.extend(params.map(|(name, about)| row(&[&format!("  {name}"), about])));
        rows.extend(texts_of(object, "events").map(|name| row(&[&format!("  {name}"), "event"])));
    }
    columns(&rows)
}
