//! The parts of a dhcp section that odhcpd serves IPv6 by.

use crate::backend::Value;
use crate::backend::uci::{OptValue, Section};
use crate::model::eval::Scope;
use crate::model::stage::Staging;
use crate::model::value::truth;
use crate::usp::fault::{Code, Fault};

/// No instance of dnsmasq is called so: it leaves the section to odhcpd.
const OF_ODHCPD: &str = "odhcpd";
/// What sections say of DHCPv6, and of advertisements.
const SERVICES: [&str; 2] = ["dhcpv6", "ra"];

/// The option that makes a row of the scope's table.
fn service(scope: &Scope<'_>) -> &'static str {
    if scope.schema().path.starts_with("Device.DHCPv6.") { SERVICES[0] } else { SERVICES[1] }
}

/// A section of odhcpd alone. Where one for IPv4 has the same interface, odhcpd puts both together.
pub(super) fn create(scope: &Scope<'_>, staging: &mut Staging) -> Result<String, Fault> {
    let service = service(scope);
    let taken = |name: &String| scope.uci("dhcp").is_some_and(|package| package.section(name).is_some());
    let table = scope.eval.table_path(scope.object, None);
    // The rows there are have their numbers before the new one gets its name.
    scope.eval.rows(scope.object, None, &table);
    let first = scope.eval.instances.borrow().next(&table);
    let name = (first..).map(|number| format!("{service}_{number}")).find(|name| !taken(name));
    let name = name.ok_or_else(|| Fault::new(Code::ObjectNotCreated, "there are too many"))?;
    staging.add("dhcp", &name, "dhcp");
    for (option, value) in [("instance", OF_ODHCPD), (service, "disabled")] {
        staging.set("dhcp", &name, option, Some(OptValue::One(value.into())));
    }
    Ok(name)
}

/// Takes from a section what it says of the service; one of odhcpd alone that says nothing else goes.
pub(super) fn delete(scope: &Scope<'_>, staging: &mut Staging) -> Result<(), Fault> {
    let service = service(scope);
    let gone = || Fault::new(Code::ObjectNotDeleted, "no such section");
    let (_, section) = scope.section().ok_or_else(gone)?;
    let other = SERVICES.iter().any(|other| *other != service && section.get(other).is_some());
    if section.text("instance") == Some(OF_ODHCPD) && !other {
        staging.delete("dhcp", &section.name);
        return Ok(());
    }
    let of_service =
        |name: &str| name.strip_prefix(service).is_some_and(|rest| rest.is_empty() || rest.starts_with('_'));
    for option in section.options.iter().filter(|option| of_service(&option.name)) {
        staging.set("dhcp", &section.name, &option.name, None);
    }
    Ok(())
}

pub(super) fn interface(_: &Scope<'_>, name: &str) -> Option<String> {
    Some(name.to_string())
}

/// A section that is for IPv4 too stays where it is: its interface is for the IPv4 pool to say.
pub(super) fn set_interface(scope: &Scope<'_>, old: &str, name: &str) -> Option<String> {
    let own = scope.section()?.1.text("instance") == Some(OF_ODHCPD);
    (own || old == name).then(|| name.to_string())
}

/// What odhcpd sets in its advertisements; where nothing is stated, that there is more to ask DHCPv6 for.
fn flags(section: &Section) -> Vec<&str> {
    match section.get("ra_flags") {
        None => vec!["other-config"],
        Some(_) => section.list("ra_flags").iter().flat_map(|flag| flag.split_whitespace()).collect(),
    }
}

fn flag(scope: &Scope<'_>, wanted: &str) -> Option<Value> {
    Some(Value::from(flags(scope.section()?.1).contains(&wanted)))
}

/// Writes one flag; `none` is how odhcpd is told that there is no other.
fn set_flag(scope: &Scope<'_>, wanted: &str, value: &str, staging: &mut Staging) -> Result<(), Fault> {
    let (_, section) = scope.section().ok_or_else(|| Fault::new(Code::InternalError, "no such section"))?;
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
