//! `operate PATH [NAME=VALUE...]`: runs a command and waits for its end, however long that takes.

use super::bus::{self, assignments, number_of, pairs_of, tables_of, text_of};
use super::table::{columns, row};
use super::{Arguments, Exit, Flag, UBUS, complain, print, usage};
use crate::backend::ubus::{Client, json};
use crate::backend::{Change, Table, Value};
use crate::daemon::control::OBJECT;
use tokio::sync::mpsc::Receiver;

pub(super) const FLAGS: &[Flag] =
    &[UBUS, bus::JSON, Flag { name: "no-wait", value: None, doc: "print the Request of a command that goes on" }];

pub(super) fn run(given: &Arguments) -> Exit {
    let Some((command, input)) = given.words.split_first() else {
        return usage("operate needs a command: usp-agent operate Device.Reboot");
    };
    let input = match assignments(input) {
        Ok(input) => input,
        Err(what) => return usage(&what),
    };
    let args = Table::default().with("path", command.as_str()).with("input", input).with("wait", false);
    match bus::converse(given, async |bus, events| operate(given, &bus, events, args).await) {
        Ok(data) if given.has("json") => print(&format!("{:#}\n", json::table_to_json(&data))),
        Ok(data) => show(&data),
        Err(exit) => exit,
    }
}

/// Whoever waits for the event cannot miss it: it listens first.
async fn operate(given: &Arguments, bus: &Client, mut events: Receiver<Change>, args: Table) -> Result<Table, Exit> {
    let complete = format!("{OBJECT}.operation_complete");
    bus.watch_event(&complete);
    let data = bus::call(bus, given, "operate", &args).await?;
    let request = text_of(&data, "request");
    if request.is_empty() || given.has("no-wait") {
        return Ok(data);
    }
    while let Some(change) = events.recv().await {
        match change {
            Change::Event(id, told) if *id == *complete && text_of(&told, "request") == request => return Ok(told),
            Change::BusRestarted => {
                complain("the bus was lost, and with it the result; see the log of the agent");
                return Err(Exit::NoBus);
            }
            _ => {}
        }
    }
    Err(Exit::NoBus)
}

fn show(data: &Table) -> Exit {
    let several: Vec<&Table> = tables_of(data, "results").collect();
    let mut exit = Exit::Success;
    for result in if several.is_empty() { vec![data] } else { several } {
        let mut rows: Vec<_> = pairs_of(result, "output").map(|(name, value)| row(&[name, value])).collect();
        if let Some(request) = result.get("request").filter(|_| result.get("output").is_none()) {
            rows.push(row(&["Request", request.as_str().unwrap_or_default()]));
        }
        if result.get("command").is_some() && result.get("request").is_none() {
            print(&format!("{}\n", text_of(result, "command")));
        }
        let failure = result.get("error").map(|error| match error {
            Value::Table(error) => (text_of(error, "message"), number_of(error, "code")),
            code => (text_of(result, "message"), code.as_i64()),
        });
        if let Some((why, code)) = failure {
            complain(&format!("{why} ({})", code.unwrap_or_default()));
            exit = Exit::Refused;
        } else if rows.is_empty() {
            print("done\n");
        } else {
            print(&columns(&rows));
        }
    }
    exit
}
