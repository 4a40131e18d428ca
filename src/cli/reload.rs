//! `reload`: the agent reads its configuration again.

use super::{Arguments, Exit, bus};
use crate::backend::Table;

pub(super) fn run(given: &Arguments) -> Exit {
    bus::run(given, "reload", Table::default(), |_, _| String::new())
}
