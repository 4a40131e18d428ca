//! Lamps: their colour, and how OpenWrt has one blink.

use crate::backend::uci::{OptValue, Section};
use crate::backend::{Table, Value};
use crate::model::eval::Scope;
use crate::model::stage::Staging;
use crate::usp::fault::{Code, Fault};

/// What Linux calls the colours of lamps, and how TR-181 writes them.
const COLOURS: [(&str, &str); 12] = [
    ("white", "FFFFFF"),
    ("red", "FF0000"),
    ("green", "00FF00"),
    ("blue", "0000FF"),
    ("amber", "FFBF00"),
    ("violet", "8F00FF"),
    ("yellow", "FFFF00"),
    ("purple", "800080"),
    ("orange", "FFA500"),
    ("pink", "FFC0CB"),
    ("cyan", "00FFFF"),
    ("lime", "BFFF00"),
];
/// A lamp that blinks is on, then off: how long, the options say, in milliseconds; half a second by default.
const PHASES: [(&str, &str); 2] = [("on", "delayon"), ("off", "delayoff")];

/// The colour in a lamp's name: `green:power`, `router:blue:wan`.
pub(super) fn colour(_: &Scope<'_>, name: &str) -> Option<String> {
    let colour = |part: &str| COLOURS.iter().find(|(known, _)| *known == part);
    name.split([':', '-', '_']).find_map(colour).map(|(_, rgb)| (*rgb).to_string())
}

/// The section that says what the lamp of this row shows.
fn section<'a>(scope: &Scope<'a>, lamp: &str) -> Option<&'a Section> {
    scope.uci("system")?.of_kind("led").find(|s| s.text("sysfs") == Some(lamp))
}

/// What its section calls it.
pub(super) fn reason(scope: &Scope<'_>) -> Option<Value> {
    section(scope, scope.key())?.text("name").map(Value::from)
}

/// On and off of a lamp that blinks by itself.
pub(super) fn cycle(scope: &Scope<'_>) -> Vec<(String, Value)> {
    let lamp = scope.key();
    if section(scope, lamp).and_then(|s| s.text("trigger")) != Some("timer") {
        return Vec::new();
    }
    let row = |(order, (phase, option)): (i32, (&str, &str))| {
        let element = Table::default().with("order", order).with("phase", phase).with("option", option);
        (format!("{lamp} {phase}"), Value::Table(element))
    };
    (1..).zip(PHASES).map(row).collect()
}

/// How long a phase lasts.
pub(super) fn duration(scope: &Scope<'_>) -> Option<Value> {
    let option = scope.item()?.as_table()?.get("option")?.as_str()?;
    Some(Value::from(section(scope, scope.parent_key())?.text(option).unwrap_or("500")))
}

/// Sets how long.
pub(super) fn set_duration(scope: &Scope<'_>, text: &str, staging: &mut Staging) -> Result<(), Fault> {
    let option = scope.item().and_then(Value::as_table).and_then(|t| t.get("option")).and_then(Value::as_str);
    let gone = || Fault::new(Code::InternalError, "the lamp does not blink");
    let (option, section) = option.zip(section(scope, scope.parent_key())).ok_or_else(gone)?;
    staging.set("system", &section.name, option, Some(OptValue::One(text.into())));
    Ok(())
}
