//! `del PATH...`: rows go, all of them or none.

use super::bus::{self, paths, texts_of};
use super::{Arguments, Exit, Flag, UBUS, set, usage};
use crate::backend::Table;

pub(super) const FLAGS: &[Flag] = &[UBUS, bus::JSON];

pub(super) fn run(given: &Arguments) -> Exit {
    if given.words.is_empty() {
        return usage("del needs a row: usp-agent del Device.DHCPv4.Server.Pool.2.");
    }
    bus::run(given, "del", paths(&given.words), show)
}

fn show(_: &Arguments, data: &Table) -> String {
    let gone: String = texts_of(data, "deleted").map(|path| format!("{path}\n")).collect();
    if gone.is_empty() { "there was no such row\n".to_owned() } else { gone + &set::trial(data) }
}
