//! `status`: whether the controllers are reached, and if not, why and when it is tried again.

use super::bus::{self, number_of, tables_of, text_of, texts_of};
use super::table::{columns, row, time};
use super::{Arguments, Exit, Flag, UBUS};
use crate::backend::{Table, Value};

pub(super) const FLAGS: &[Flag] = &[UBUS, bus::JSON, Flag { name: "metrics", value: None, doc: "print the counters" }];

pub(super) fn run(given: &Arguments) -> Exit {
    match given.has("metrics") {
        true => bus::run(given, "metrics", Table::default(), metrics),
        false => bus::run(given, "status", Table::default(), show),
    }
}

fn metrics(_: &Arguments, data: &Table) -> String {
    let counter = |(name, value): &(Box<str>, Value)| row(&[name, &value.as_i64().unwrap_or_default().to_string()]);
    columns(&data.0.iter().map(counter).collect::<Vec<_>>())
}

fn show(_: &Arguments, data: &Table) -> String {
    let up = time(number_of(data, "uptime").unwrap_or_default());
    let mut text = format!("usp-agent {}, {}, up {up}\n", text_of(data, "version"), text_of(data, "endpoint_id"));
    if let Some(trial) = data.get("on_trial").and_then(Value::as_table) {
        let list = |name| texts_of(trial, name).collect::<Vec<_>>().join(", ");
        text += &format!(
            "on trial: {}; undone in {} unless {} is heard of, or `usp-agent confirm` keeps it\n",
            list("packages"),
            time(number_of(trial, "seconds_left").unwrap_or_default()),
            list("waits_for"),
        );
    }
    let mut rows = vec![row(&["CONTROLLER", "STATE", "SINCE", "LINK", "WAITING", "NEXT TRY", "LAST ERROR"])];
    for controller in tables_of(data, "controllers") {
        let waiting = number_of(controller, "notifications_waiting").unwrap_or_default().to_string();
        let name = text_of(controller, "section");
        let mut links = tables_of(controller, "links").peekable();
        if links.peek().is_none() {
            let enabled = number_of(controller, "enabled") == Some(1);
            rows.push(row(&[name, if enabled { "no link" } else { "disabled" }, "", "", &waiting]));
        }
        for link in links {
            let seconds = |name: &str| number_of(link, name).map(time).unwrap_or_default();
            let plain = number_of(link, "encrypted") == Some(0) && text_of(link, "transport") != "UDS";
            let state = format!("{}{}", text_of(link, "state"), if plain { ", plain" } else { "" });
            let address = text_of(link, "address");
            let (since, next, error) =
                (seconds("state_seconds"), seconds("next_try_seconds"), text_of(link, "last_error"));
            rows.push(row(&[name, &state, &since, address, &waiting, &next, error]));
        }
    }
    match rows.len() {
        1 => text + "no controller is configured: add a `config controller` to /etc/config/usp-agent\n",
        _ => text + &columns(&rows),
    }
}
