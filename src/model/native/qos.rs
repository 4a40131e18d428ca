//! What packets are marked with, and how fast a device sends.

use super::firewall_rule::{dscp, refused};
use super::routing::mark;
use crate::backend::Value;
use crate::backend::uci::OptValue;
use crate::model::eval::Scope;
use crate::model::stage::Staging;
use crate::model::value::truth;
use crate::usp::fault::Fault;

/// A rule that marks what no interface sends marks nothing, and so does one without a mark.
pub(super) fn status(scope: &Scope<'_>, target: &str) -> Option<String> {
    let (package, section) = scope.section()?;
    let zone = section
        .text("src")
        .is_some_and(|src| src == "*" || package.of_kind("zone").any(|z| z.text("name") == Some(src)));
    let marks = match target.eq_ignore_ascii_case("DSCP") {
        true => section.get("set_dscp").is_some(),
        false => section.get("set_mark").is_some() || section.get("set_xmark").is_some(),
    };
    Some(if zone && marks { "Enabled" } else { "Error_Misconfigured" }.to_string())
}

fn stated<'a>(scope: &Scope<'a>, target: &str, option: &str) -> Option<&'a str> {
    let (_, section) = scope.section()?;
    section.text("target").filter(|t| t.eq_ignore_ascii_case(target)).and(section.text(option))
}

pub(super) fn dscp_mark(scope: &Scope<'_>) -> Option<Value> {
    let mark = stated(scope, "DSCP", "set_dscp").and_then(|text| dscp(scope, text));
    Some(Value::from(mark.as_deref().unwrap_or("-1")))
}

pub(super) fn set_dscp_mark(scope: &Scope<'_>, value: &str, staging: &mut Staging) -> Result<(), Fault> {
    let mark = value.parse::<u8>().ok().filter(|mark| *mark < 64);
    if mark.is_none() && value != "-1" {
        return Err(refused("the router cannot mark packets like this"));
    }
    put(scope, ("DSCP", "set_dscp"), ("MARK", "set_mark"), mark.map(|mark| mark.to_string()), staging)
}

/// The number packets are marked with in the router; 0 for none.
pub(super) fn forwarding_policy(scope: &Scope<'_>) -> Option<Value> {
    let mark = stated(scope, "MARK", "set_mark").and_then(mark).unwrap_or_default();
    Some(Value::from(mark.to_string().as_str()))
}

pub(super) fn set_forwarding_policy(scope: &Scope<'_>, value: &str, staging: &mut Staging) -> Result<(), Fault> {
    let mark = (value != "0").then(|| value.to_string());
    put(scope, ("MARK", "set_mark"), ("DSCP", "set_dscp"), mark, staging)
}

/// Gives the rule its one mark, or takes it away.
fn put(
    scope: &Scope<'_>,
    own: (&str, &str),
    other: (&str, &str),
    mark: Option<String>,
    staging: &mut Staging,
) -> Result<(), Fault> {
    let (package, section) = scope.section().ok_or_else(|| refused("no such rule"))?;
    let mut set = |option: &str, value: Option<String>| {
        staging.set(&package.name, &section.name, option, value.map(|text| OptValue::One(text.into())));
    };
    if mark.is_some() {
        if stated(scope, other.0, other.1).is_some() {
            return Err(refused("a rule has one mark: take away the other first"));
        }
        set("target", Some(own.0.to_string()));
    } else if stated(scope, own.0, own.1).is_none() {
        return Ok(());
    }
    set(own.1, mark);
    Ok(())
}

/// What sqm limits the device to, in bit/s; -1 without.
pub(super) fn shaping_rate(scope: &Scope<'_>) -> Option<Value> {
    let queues = scope.uci("sqm").into_iter().flat_map(|package| package.of_kind("queue"));
    let mut own =
        queues.filter(|q| q.text("interface") == Some(scope.key()) && q.text("enabled").and_then(truth) == Some(true));
    let rate = own.next().and_then(|q| q.text("upload")?.parse::<i64>().ok()).filter(|rate| *rate > 0);
    Some(Value::from(rate.map_or(-1, |rate| rate.saturating_mul(1000)).to_string().as_str()))
}
