//! Sets of /etc/config/firewall (ipset): what they hold, and their entries as rows.

use super::firewall_rule::refused;
use crate::backend::uci::{OptValue, Section};
use crate::backend::{Table, Value};
use crate::model::eval::Scope;
use crate::model::stage::Staging;
use crate::usp::fault::{Code, Fault};
use std::net::IpAddr;

/// What a set holds: TR-181's word, what the agent writes, fw4's words.
const TYPES: [(&str, &str, &[&str]); 3] = [
    ("IPAddresses", "src_net", &["ip", "net"]),
    ("Ports", "dest_port", &["port"]),
    ("MACAddresses", "src_mac", &["mac"]),
];

/// The type of a set that holds one kind of thing.
fn kind(section: &Section) -> Option<&'static str> {
    let [only] = section.list("match") else { return None };
    let word = only.split_once('_').map_or(&**only, |(_, word)| word);
    TYPES.iter().find(|(.., words)| words.contains(&word)).map(|(kind, ..)| *kind)
}

pub(super) fn set_type(scope: &Scope<'_>) -> Option<Value> {
    kind(scope.section()?.1).map(Value::from)
}

/// Writes the type. Addresses are of one family, IPv4 where none is stated; what else there is belongs to both.
pub(super) fn set_set_type(scope: &Scope<'_>, value: &str, staging: &mut Staging) -> Result<(), Fault> {
    let (package, section) = scope.section().ok_or_else(|| refused("no set"))?;
    let (.., written, _) = TYPES.iter().find(|(name, ..)| *name == value).ok_or_else(|| refused("no such type"))?;
    staging.set(&package.name, &section.name, "match", Some(OptValue::List(vec![(*written).into()])));
    let family = match (value == "IPAddresses", section.text("family")) {
        (true, Some("any")) => None,
        (false, None) => Some(OptValue::One("any".into())),
        _ => return Ok(()),
    };
    staging.set(&package.name, &section.name, "family", family);
    Ok(())
}

/// fw4 has no set of addresses of both families.
pub(super) fn family(_: &Scope<'_>, text: &str) -> Option<String> {
    Some(if text == "any" { "-1" } else { text.trim_start_matches("ipv") }.to_string())
}

pub(super) fn set_family(scope: &Scope<'_>, _: &str, value: &str) -> Option<String> {
    let addresses = scope.section().and_then(|(_, section)| kind(section)) == Some("IPAddresses");
    match value {
        "-1" if addresses => None,
        "-1" => Some("any".to_string()),
        _ => Some(format!("ipv{value}")),
    }
}

/// The entries by row. An empty one, which fw4 passes over, begins a further row.
fn groups(section: &Section) -> Vec<Vec<Box<str>>> {
    let mut groups: Vec<Vec<Box<str>>> = Vec::new();
    for entry in section.list("entry") {
        match groups.last_mut() {
            Some(group) if !entry.is_empty() => group.push(entry.clone()),
            _ if entry.is_empty() => groups.push(Vec::new()),
            _ => groups.push(vec![entry.clone()]),
        }
    }
    groups
}

fn put(scope: &Scope<'_>, groups: Vec<Vec<Box<str>>>, staging: &mut Staging) -> Result<(), Fault> {
    let (package, section) = scope.section().ok_or_else(|| refused("no set"))?;
    let mut all: Vec<Box<str>> = Vec::new();
    for group in groups {
        if !all.is_empty() || group.is_empty() {
            all.push("".into());
        }
        all.extend(group);
    }
    staging.set(&package.name, &section.name, "entry", (!all.is_empty()).then_some(OptValue::List(all)));
    Ok(())
}

/// The rows, known by their place.
pub(super) fn rules(scope: &Scope<'_>) -> Vec<(String, Value)> {
    let Some((_, section)) = current(scope) else { return Vec::new() };
    let kind = kind(section).unwrap_or_default();
    let row = |(at, group): (usize, Vec<Box<str>>)| {
        let list = Value::Array(group.into_iter().map(Value::String).collect());
        ((at + 1).to_string(), Value::Table(Table::default().with(kind, list)))
    };
    groups(section).into_iter().enumerate().map(row).collect()
}

/// The set as staged now.
fn current<'a>(scope: &Scope<'a>) -> Option<(&'a str, &'a Section)> {
    let (package, section) = scope.section()?;
    Some((&package.name, scope.uci(&package.name)?.section(&section.name)?))
}

fn place(scope: &Scope<'_>) -> Option<usize> {
    scope.key().parse::<usize>().ok()?.checked_sub(1)
}

/// The entries of the row where the set is of this type.
pub(super) fn entries(scope: &Scope<'_>, kind: &str) -> Option<Value> {
    scope.item()?.as_table()?.get(kind).cloned()
}

/// Writes them.
pub(super) fn set_entries(scope: &Scope<'_>, wanted: &str, value: &str, staging: &mut Staging) -> Result<(), Fault> {
    let (_, section) = current(scope).ok_or_else(|| refused("no set"))?;
    let entries: Vec<Box<str>> = value.split(',').filter(|entry| !entry.is_empty()).map(Into::into).collect();
    if kind(section) != Some(wanted) {
        return if entries.is_empty() { Ok(()) } else { Err(refused("the set is of another Type")) };
    }
    // fw4 passes over what it does not understand, a range of ports among it.
    let address = |entry: &str| entry.split('/').next().is_some_and(|address| address.parse::<IpAddr>().is_ok());
    let fits = |entry: &str| match wanted {
        "IPAddresses" => address(entry),
        "Ports" => entry.parse::<u16>().is_ok(),
        _ => true,
    };
    if !entries.iter().all(|entry| fits(entry)) {
        return Err(refused("the router's sets hold no such entry"));
    }
    let mut all = groups(section);
    let row = place(scope).and_then(|at| all.get_mut(at)).ok_or_else(|| refused("no such entries"))?;
    *row = entries;
    put(scope, all, staging)
}

/// A further row without entries.
pub(super) fn create(scope: &Scope<'_>, staging: &mut Staging) -> Result<String, Fault> {
    let (_, section) = current(scope).ok_or_else(|| Fault::new(Code::ObjectNotCreated, "no set"))?;
    let mut all = groups(section);
    all.push(Vec::new());
    let key = all.len().to_string();
    put(scope, all, staging).map(|()| key)
}

pub(super) fn delete(scope: &Scope<'_>, staging: &mut Staging) -> Result<(), Fault> {
    let refused = || Fault::new(Code::ObjectNotDeleted, "no such entries");
    let (_, section) = current(scope).ok_or_else(refused)?;
    let mut all = groups(section);
    let at = place(scope).filter(|at| *at < all.len()).ok_or_else(refused)?;
    all.remove(at);
    put(scope, all, staging)
}
