//! `subs`: who is told of what.

use super::bus::{self, pairs_of};
use super::table::{columns, row};
use super::{Arguments, Exit, Flag, UBUS};
use crate::backend::{Table, Value};

pub(super) const FLAGS: &[Flag] = &[UBUS, bus::JSON];

const TABLE: &str = "Device.LocalAgent.Subscription.";

pub(super) fn run(given: &Arguments) -> Exit {
    let paths = ["Device.LocalAgent.Subscription.", "Device.LocalAgent.Controller.*.EndpointID"];
    let paths = Value::Array(paths.map(Value::from).into());
    bus::run(given, "get", Table(vec![("paths".into(), paths)]), show)
}

fn show(_: &Arguments, data: &Table) -> String {
    let value = |path: &str| pairs_of(data, "values").find(|(name, _)| *name == path).map_or("", |(_, value)| value);
    let mut rows = vec![row(&["ROW", "ID", "CONTROLLER", "TELLS OF", "STATE", "PATHS"])];
    for (path, _) in pairs_of(data, "values") {
        let Some(number) = path.strip_prefix(TABLE).and_then(|rest| rest.strip_suffix(".ID")) else { continue };
        let of = |name: &str| value(&format!("{TABLE}{number}.{name}"));
        let recipient = value(&format!("{}.EndpointID", of("Recipient")));
        let state = match (of("Enable"), of("Persistent")) {
            ("true", "true") => "on",
            ("true", _) => "on, until restart",
            _ => "off",
        };
        rows.push(row(&[number, of("ID"), recipient, of("NotifType"), state, of("ReferenceList")]));
    }
    if rows.len() == 1 { "there is no subscription\n".to_owned() } else { columns(&rows) }
}
