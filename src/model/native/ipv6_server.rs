//! The parts of a dhcp section that odhcpd serves IPv6 by.

use crate::backend::Value;
use crate::backend::uci::{OptValue, Section};
use crate::model::eval::Scope;
use crate::model::stage::Staging;
use crate::model::value::truth;
use crate::usp::fault::{Code, Fault};

/// The dhcp sections that have an option, by name.
fn with(scope: &Scope<'_>, option: &str) -> Vec<(String, Value)> {
    let Some(package) = scope.uci("dhcp") else { return Vec::new() };
    let all = package.of_kind("dhcp").filter(|section| section.get(option).is_some());
    all.map(|section| (section.name.to_string(), Value::Null)).collect()
}

/// Sections that say whether DHCPv6 is served.
pub(super) fn pools(scope: &Scope<'_>) -> Vec<(String, Value)> {
    with(scope, "dhcpv6")
}

/// Sections that say whether the router advertises itself.
pub(super) fn advertisers(scope: &Scope<'_>) -> Vec<(String, Value)> {
    with(scope, "ra")
}

/// What odhcpd sets in its advertisements; where nothing is stated, that there is more to ask DHCPv6 for.
fn flags(section: &Section) -> Vec<&str> {
    match section.get("ra_flags") {
        None => vec!["other-config"],
        Some(_) => section.list("ra_flags").iter().flat_map(|flag| flag.split_whitespace()).collect(),
    }
}

fn flag(scope: &Scope<'_>, wanted: &str) -> Option<Value> {
    let section = scope.uci("dhcp")?.section(scope.key())?;
    Some(Value::from(flags(section).contains(&wanted)))
}

/// Writes one flag; `none` is how odhcpd is told that there is no other.
fn set_flag(scope: &Scope<'_>, wanted: &str, value: &str, staging: &mut Staging) -> Result<(), Fault> {
    let section = scope.uci("dhcp").and_then(|package| package.section(scope.key()));
    let section = section.ok_or_else(|| Fault::new(Code::InternalError, "no such section"))?;
    let mut all = flags(section);
    all.retain(|flag| !["none", wanted].contains(flag));
    if truth(value) == Some(true) {
        all.push(wanted);
    } else if all.is_empty() {
        all.push("none");
    }
    let all = all.into_iter().map(Box::from).collect();
    staging.set("dhcp", &section.name, "ra_flags", Some(OptValue::List(all)));
    Ok(())
}

pub(super) fn managed(scope: &Scope<'_>) -> Option<Value> {
    flag(scope, "managed-config")
}

pub(super) fn set_managed(scope: &Scope<'_>, value: &str, staging: &mut Staging) -> Result<(), Fault> {
    set_flag(scope, "managed-config", value, staging)
}

pub(super) fn other(scope: &Scope<'_>) -> Option<Value> {
    flag(scope, "other-config")
}

pub(super) fn set_other(scope: &Scope<'_>, value: &str, staging: &mut Staging) -> Result<(), Fault> {
    set_flag(scope, "other-config", value, staging)
}

pub(super) fn home_agent(scope: &Scope<'_>) -> Option<Value> {
    flag(scope, "home-agent")
}

pub(super) fn set_home_agent(scope: &Scope<'_>, value: &str, staging: &mut Staging) -> Result<(), Fault> {
    set_flag(scope, "home-agent", value, staging)
}
