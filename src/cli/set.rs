//! `set PATH=VALUE...`: all of them or none; `--dry-run` shows what that would change.

use super::bus::{self, assignments, number_of, pairs_of, texts_of};
use super::table::{columns, row, time};
use super::{Arguments, Exit, Flag, UBUS, usage};
use crate::backend::{Table, Value};

pub(super) const FLAGS: &[Flag] =
    &[UBUS, bus::JSON, Flag { name: "dry-run", value: None, doc: "show what would change, and change nothing" }];

pub(super) fn run(given: &Arguments) -> Exit {
    if given.words.is_empty() {
        return usage("set needs PATH=VALUE: usp-agent set Device.DeviceInfo.HostName=castle");
    }
    let values = match assignments(&given.words) {
        Ok(values) => values,
        Err(what) => return usage(&format!("{what}: usp-agent set Device.DeviceInfo.HostName=castle")),
    };
    let args = Table::default().with("values", values).with("dry_run", given.has("dry-run"));
    bus::run(given, "set", args, show)
}

fn show(given: &Arguments, data: &Table) -> String {
    if given.has("dry-run") {
        return rehearsed(data);
    }
    let rows: Vec<_> = pairs_of(data, "updated").map(|(path, value)| row(&[path, value])).collect();
    if rows.is_empty() {
        return "nothing matches: nothing was changed\n".to_owned();
    }
    columns(&rows) + &trial(data)
}

/// What is to be done about a change on trial, if it is one.
pub(super) fn trial(data: &Table) -> String {
    match number_of(data, "on_trial_seconds") {
        None => String::new(),
        Some(left) => format!(
            "on trial: undone in {} unless a controller is heard of; `usp-agent confirm` keeps it, `usp-agent revert` \
             undoes it now\n",
            time(left)
        ),
    }
}

fn rehearsed(data: &Table) -> String {
    let packages = data.get("changes").and_then(Value::as_table).map(|packages| &packages.0[..]).unwrap_or_default();
    if packages.is_empty() {
        return "nothing would change\n".to_owned();
    }
    let mut text = String::new();
    for (package, _) in packages {
        text += &format!("/etc/config/{package}\n");
        let changes = data.get("changes").and_then(Value::as_table);
        for line in changes.into_iter().flat_map(|changes| texts_of(changes, package)) {
            text += &format!("  {}\n", super::table::plain(line));
        }
    }
    let services = texts_of(data, "reloads").collect::<Vec<_>>().join(", ");
    text += &match (data.get("reloads"), services.as_str()) {
        (None, _) => "services: procd does not say which would be reloaded\n".to_owned(),
        (_, "") => "services: none would be reloaded\n".to_owned(),
        (_, services) => format!("services that would be reloaded: {services}\n"),
    };
    text + if number_of(data, "undoable") == Some(1) {
        "it may cut the way to a controller: it would be undone unless one is heard of\n"
    } else {
        "it would stand at once\n"
    }
}
