//! `confirm` and `revert`: what becomes of a change on trial.

use super::bus::{self, texts_of};
use super::{Arguments, Exit, Flag, UBUS};
use crate::backend::Table;

pub(super) const FLAGS: &[Flag] = &[UBUS, bus::JSON];

pub(super) fn confirm(given: &Arguments) -> Exit {
    bus::run(given, "confirm", Table::default(), |_, data| format!("kept: {}\n", packages(data)))
}

pub(super) fn revert(given: &Arguments) -> Exit {
    bus::run(given, "revert", Table::default(), |_, data| format!("as before: {}\n", packages(data)))
}

fn packages(data: &Table) -> String {
    texts_of(data, "packages").collect::<Vec<_>>().join(", ")
}
