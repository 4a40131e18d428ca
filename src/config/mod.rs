//! `/etc/config/usp-agent`: what its options are, what their short forms stand for, and what follows for the links.
//!
//! Nothing here opens a file or a socket: packages come in as [`Package`]. Nothing is refused silently: whatever
//! the agent does not understand becomes a [`Warning`] with file, line and section, and the rest still counts.

mod expand;
mod keys;
pub mod links;
mod markdown;
mod oktopus;
pub mod options;
#[cfg(test)]
mod tests;
mod udp_echo;
pub mod url;

pub use expand::{OWN_ID, ROLES, expand, expand_section, written_in};
pub use keys::{Key, Keys, keys};
pub use markdown::markdown;
pub use udp_echo::{UdpEcho, udp_echo};

use crate::backend::uci::{Opt, OptValue, Package, Section};
use crate::usp::endpoint_id::EndpointId;
use crate::{base64, certificate};
use options::{Form, Kind, Row};
use std::fmt;
use std::net::IpAddr;

/// Stands for an endpoint id that only the running agent knows.
pub const UNKNOWN_ID: &str = "os::000000-0";

/// The agent's endpoint id, where it is configured.
pub fn own_id(package: &Package) -> Option<&str> {
    package.of_kind("localagent").find_map(|agent| agent.text("EndpointID"))
}

/// The endpoint id that controllers of this preset have.
pub fn preset_id(preset: &str) -> Option<&'static str> {
    (preset == "oktopus").then_some(oktopus::CONTROLLER_ID)
}

/// The UCI package of the agent.
pub const PACKAGE: &str = "usp-agent";

/// Something in the configuration that the agent does not understand or cannot use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// Line in the file, from 1; 0 where it was never in a file.
    pub line: u32,
    /// The section's type and name.
    pub section: Box<str>,
    /// What is wrong, and what would be right.
    pub what: Box<str>,
}

/// `LINE: SECTION: WHAT`, to be put after the file's name and a colon.
impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: {}", self.line, self.section, self.what)
    }
}

/// Everything in the package that is unknown, malformed or missing, in file order.
pub fn check(package: &Package) -> Vec<Warning> {
    let mut warnings = Vec::new();
    for section in &package.sections {
        let Some(kind) = options::kind(&section.kind) else {
            let known: Vec<_> = options::KINDS.iter().map(|kind| kind.name).collect();
            warnings.push(warning(
                section,
                section.line,
                format!("unknown section type; known are {}", known.join(", ")),
            ));
            continue;
        };
        for option in &section.options {
            match kind.option(&option.name) {
                Some(row) => warnings.extend(check_value(package, section, option, row)),
                None => warnings.push(warning(section, option.line, unknown_option(kind, &option.name))),
            }
        }
        warnings.extend(missing(kind, section));
        warnings.extend(nameless(section));
        warnings.extend(twin(package, section));
        warnings.extend(out_of_reach(package, section));
    }
    warnings
}

/// The value of an option, or its default; empty where it has neither.
pub fn value<'a>(section: &'a Section, option: &str) -> &'a str {
    let default = || options::kind(&section.kind).and_then(|kind| kind.option(option)).map_or("", |row| row.default);
    section.text(option).unwrap_or_else(default)
}

/// [`value`] as UCI reads a boolean.
pub fn truth(section: &Section, option: &str) -> bool {
    boolean(value(section, option)).unwrap_or(false)
}

/// [`value`] as a number; 0 where it is none.
pub fn number(section: &Section, option: &str) -> u32 {
    value(section, option).parse().unwrap_or(0)
}

fn boolean(text: &str) -> Option<bool> {
    match text {
        "1" | "on" | "true" | "yes" | "enabled" => Some(true),
        "0" | "off" | "false" | "no" | "disabled" => Some(false),
        _ => None,
    }
}

fn warning(section: &Section, line: u32, what: impl Into<Box<str>>) -> Warning {
    let named = if section.anonymous { String::new() } else { format!(" '{}'", section.name) };
    Warning { line, section: format!("config {}{named}", section.kind).into(), what: what.into() }
}

fn unknown_option(kind: &Kind, name: &str) -> String {
    let near = kind.options.iter().find(|row| row.name.eq_ignore_ascii_case(name));
    match near {
        Some(row) => format!("unknown option {name}; did you mean {}?", row.name),
        None => format!("unknown option {name}; `usp-agent check --print-options` lists the known ones"),
    }
}

fn missing(kind: &Kind, section: &Section) -> Vec<Warning> {
    let by_preset = |row: &Row| row.name == "EndpointID" && preset_id(value(section, "preset")).is_some();
    let rows = kind.options.iter().filter(|row| row.required && section.get(row.name).is_none() && !by_preset(row));
    rows.map(|row| warning(section, section.line, format!("option {} is missing: {}", row.name, row.doc))).collect()
}

/// Other sections refer to these by name; the generated name of one without moves when the file changes.
fn nameless(section: &Section) -> Option<Warning> {
    let referred =
        ["certificate", "controller", "mtp", "mqtt", "stomp", "role", "unix_socket"].contains(&&*section.kind);
    let advice = || format!("give the section a name: config {} 'name'", section.kind);
    (section.anonymous && referred).then(|| warning(section, section.line, advice()))
}

/// Of two controllers with one endpoint id only the first is ever heard.
fn twin(package: &Package, section: &Section) -> Option<Warning> {
    let id = section.text("EndpointID").filter(|_| &*section.kind == "controller")?;
    let first = package.of_kind("controller").find(|other| other.text("EndpointID") == Some(id))?;
    let told = || format!("EndpointID {id} is the one of controller '{}' too, and only that one counts", first.name);
    (first.line != section.line).then(|| warning(section, section.line, told()))
}

/// A controller that neither comes to the agent nor is gone to.
fn out_of_reach(package: &Package, section: &Section) -> Option<Warning> {
    if &*section.kind != "controller" || section.get("url").is_some() {
        return None;
    }
    let goes = package.of_kind("controller_mtp").any(|link| link.text("controller") == Some(&*section.name));
    let listens = package.of_kind("mtp").any(|mtp| matches!(value(mtp, "Protocol"), "WebSocket" | "UDS"))
        || package.of_kind("controller").any(|other| other.text("url").is_some_and(|url| url.starts_with("listen")));
    let told = "nothing leads to it: give it an option url, or a controller_mtp section";
    (!goes && !listens).then(|| warning(section, section.line, told))
}

fn check_value(package: &Package, section: &Section, option: &Opt, row: &Row) -> Option<Warning> {
    if matches!(option.value, OptValue::List(_)) && !row.list {
        return Some(warning(section, option.line, format!("{} takes one value, not a list", row.name)));
    }
    let wrong = section.list(row.name).iter().find_map(|value| wrong(package, row.form, value))?;
    Some(warning(section, option.line, format!("option {}: {wrong}", row.name)))
}

/// What is wrong with a value, None where nothing is. A secret is never repeated.
fn wrong(package: &Package, form: Form, value: &str) -> Option<String> {
    let fits = match form {
        Form::Bool => boolean(value).is_some(),
        Form::Number(least, most) => value.parse().is_ok_and(|n: u32| (least..=most).contains(&n)),
        Form::ZeroOr(least, most) => value.parse().is_ok_and(|n: u32| n == 0 || (least..=most).contains(&n)),
        Form::Text | Form::Secret => true,
        Form::Word(words) => words.contains(&value),
        Form::Url => return url::Url::parse(value).err().map(|what| what.to_string()),
        Form::Endpoint => EndpointId::lenient(value).is_ok(),
        Form::File => value.starts_with('/'),
        Form::Section("role") => expand::is_role(package, value),
        Form::Section(kind) => is_section(package, kind, value),
        Form::Certificate => certificate::from_text(value).is_some(),
        Form::Base64 => base64::decode(value).is_some(),
        Form::SecretBase64 if base64::decode(value).is_none() => return Some("it is not base64".to_owned()),
        Form::SecretBase64 => true,
        Form::Address => value.parse::<IpAddr>().is_ok(),
        Form::DateTime => value.len() >= 19 && value.as_bytes().get(10) == Some(&b'T'),
    };
    (!fits).then(|| format!("`{value}` is not {form}"))
}

/// What is wrong with a value that a controller gives an option, where that can be told from the value alone; None where
/// nothing is.
pub fn refused(kind: &str, option: &str, value: &str) -> Option<String> {
    let form = options::kind(kind)?.option(option)?.form;
    let alone = matches!(form, Form::Bool | Form::Number(..) | Form::ZeroOr(..) | Form::Word(_) | Form::Address);
    let why = alone.then(|| wrong(&Package::default(), form, value))??;
    Some(format!("{option}: {why}"))
}

fn is_section(package: &Package, kind: &str, name: &str) -> bool {
    package.section(name).is_some_and(|section| &*section.kind == kind)
}

impl fmt::Display for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bool => write!(f, "0 or 1"),
            Self::Number(least, u32::MAX) => write!(f, "a number from {least}"),
            Self::Number(least, most) => write!(f, "a number from {least} to {most}"),
            Self::ZeroOr(least, most) => write!(f, "0 or a number from {least} to {most} (less counts as {least})"),
            Self::Text | Self::Secret => write!(f, "a text"),
            Self::Word(words) => write!(f, "{}", words.join(" or ")),
            Self::Url => write!(f, "an address"),
            Self::Endpoint => write!(f, "an endpoint id"),
            Self::File => write!(f, "the absolute path of a file"),
            Self::Section(kind) => write!(f, "the name of a {kind} section"),
            Self::Certificate => write!(f, "a certificate in PEM form"),
            Self::Base64 | Self::SecretBase64 => write!(f, "base64"),
            Self::Address => write!(f, "an IP address"),
            Self::DateTime => write!(f, "a date and time like 2026-01-31T12:00:00Z"),
        }
    }
}
