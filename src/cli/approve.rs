//! `approve ID`: a controller gets a role: that of the challenge it has requested, or the one named.

use super::bus::{self, texts_of};
use super::{Arguments, Exit, Flag, UBUS, usage};
use crate::backend::Table;

pub(super) const FLAGS: &[Flag] =
    &[UBUS, bus::JSON, Flag { name: "role", value: Some("ROLE"), doc: "the role (default: of the challenge)" }];

pub(super) fn run(given: &Arguments) -> Exit {
    let [controller] = given.words.as_slice() else {
        return usage("approve needs a controller: usp-agent approve proto::acs.example.net --role readonly");
    };
    let role = given.value("role").unwrap_or_default();
    bus::run(given, "approve", Table::default().with("controller", controller.as_str()).with("role", role), show)
}

fn show(_: &Arguments, data: &Table) -> String {
    format!("it has the role {} now\n", texts_of(data, "roles").collect::<Vec<_>>().join(", "))
}
