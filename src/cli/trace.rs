//! `trace`: every USP record in and out as a person reads it, secrets masked, as long as it runs.

use super::bus::{self, text_of};
use super::table::plain;
use super::{Arguments, Exit, Flag, UBUS};
use crate::backend::Table;

pub(super) const FLAGS: &[Flag] = &[UBUS, bus::JSON, bus::COUNT, bus::SECONDS];

pub(super) fn run(given: &Arguments) -> Exit {
    bus::follow(given, "trace", Table::default().with("seconds", 60), "trace", show)
}

fn show(data: &Table) -> String {
    let arrow = if text_of(data, "direction") == "in" { "<-" } else { "->" };
    let mut lines = text_of(data, "text").lines();
    let head = lines.next().unwrap_or_default();
    let mut text = format!("{arrow} {} {}\n", plain(text_of(data, "controller")), plain(head));
    lines.for_each(|line| text += &format!("   {}\n", plain(line)));
    text
}
