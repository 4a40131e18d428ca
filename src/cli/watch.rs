//! `watch PATH...`: values that change and rows that come and go, as they do.

use super::bus::{self, paths, text_of};
use super::table::plain;
use super::{Arguments, Exit, Flag, UBUS, usage};
use crate::backend::Table;

pub(super) const FLAGS: &[Flag] = &[UBUS, bus::JSON, bus::COUNT, bus::SECONDS];

pub(super) fn run(given: &Arguments) -> Exit {
    if given.words.is_empty() {
        return usage("watch needs a path: usp-agent watch Device.WiFi.");
    }
    bus::follow(given, "watch", paths(&given.words).with("seconds", 60), "changed", show)
}

fn show(data: &Table) -> String {
    let path = text_of(data, "path");
    match text_of(data, "type") {
        "ObjectCreation" => format!("{path} was created\n"),
        "ObjectDeletion" => format!("{path} was deleted\n"),
        _ => format!("{path} = {}\n", plain(text_of(data, "value"))),
    }
}
