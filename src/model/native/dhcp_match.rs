//! Whom a pool of dnsmasq is for: sections that give a client a tag, and the tags the pool asks for.

use super::dhcp_value::{bytes, hex};
use crate::backend::Value;
use crate::backend::uci::{OptValue, Section};
use crate::model::eval::Scope;
use crate::model::stage::Staging;
use crate::usp::fault::{Code, Fault};

/// Type of the section, which is the name of its option too, and what its value begins with.
type Kind = (&'static str, &'static str);
const VENDOR: Kind = ("vendorclass", "");
const USER: Kind = ("userclass", "");
const MAC: Kind = ("mac", "");
/// Option 61 is the client's identifier.
const CLIENT: Kind = ("match", "61,");

fn tags(pool: &Section) -> impl Iterator<Item = &str> {
    pool.list("tag").iter().flat_map(|text| text.split_whitespace())
}

/// The pool's section, and that which gives the tag.
fn sections<'a>(scope: &Scope<'a>, (kind, start): Kind) -> Option<(&'a Section, Option<&'a Section>)> {
    let package = scope.uci("dhcp")?;
    let pool = package.section(&scope.section()?.1.name)?;
    let gives = |section: &&Section| {
        let tag = section.text("networkid");
        tag.is_some_and(|tag| tags(pool).any(|own| own == tag))
            && section.text(kind).is_some_and(|text| text.starts_with(start))
    };
    Some((pool, package.of_kind(kind).find(gives)))
}

/// What the pool's clients have; empty where it is for all.
fn stated<'a>(scope: &Scope<'a>, kind: Kind) -> Option<&'a str> {
    let (_, section) = sections(scope, kind)?;
    Some(section.and_then(|s| s.text(kind.0)?.strip_prefix(kind.1)).unwrap_or_default())
}

/// States it, with a section and a tag of its own where there is none yet; without a value both go.
fn state(scope: &Scope<'_>, kind: Kind, value: &str, staging: &mut Staging) -> Result<(), Fault> {
    let (pool, section) = sections(scope, kind).ok_or_else(|| Fault::new(Code::InvalidValue, "no such pool"))?;
    let set = |staging: &mut Staging, name: &str, option: &str, value| staging.set("dhcp", name, option, value);
    let one = |text: &str| Some(OptValue::One(text.into()));
    let mut list: Vec<Box<str>> = tags(pool).map(Into::into).collect();
    match (section, value) {
        (None, "") => return Ok(()),
        (Some(section), "") => {
            let tag = section.text("networkid");
            let others = || scope.uci("dhcp").into_iter().flat_map(|p| &p.sections).filter(|s| s.name != section.name);
            // The tag may come another way too, and other pools may ask for it.
            if !others().any(|other| other.text("networkid") == tag && &*other.kind != "dhcp") {
                list.retain(|own| Some(&**own) != tag);
            }
            let asks = |other: &Section| other.name != pool.name && tags(other).any(|own| Some(own) == tag);
            if !others().any(asks) {
                staging.delete("dhcp", &section.name);
            }
        }
        (Some(section), value) => {
            set(staging, &section.name, kind.0, one(&[kind.1, value].concat()));
            return Ok(());
        }
        (None, value) => {
            let name = format!("{}_{}", pool.name, kind.0);
            staging.add("dhcp", &name, kind.0);
            set(staging, &name, "networkid", one(&name));
            set(staging, &name, kind.0, one(&[kind.1, value].concat()));
            list.push(name.into());
        }
    }
    set(staging, &pool.name, "tag", (!list.is_empty()).then_some(OptValue::List(list)));
    Ok(())
}

pub(super) fn vendor_class(scope: &Scope<'_>) -> Option<Value> {
    stated(scope, VENDOR).map(Value::from)
}

pub(super) fn set_vendor_class(scope: &Scope<'_>, value: &str, staging: &mut Staging) -> Result<(), Fault> {
    state(scope, VENDOR, value, staging)
}

pub(super) fn user_class(scope: &Scope<'_>) -> Option<Value> {
    stated(scope, USER).map(|text| Value::from(hex(text.as_bytes()).as_str()))
}

pub(super) fn set_user_class(scope: &Scope<'_>, value: &str, staging: &mut Staging) -> Result<(), Fault> {
    let text = bytes(value).and_then(|bytes| String::from_utf8(bytes).ok());
    let text = text.filter(|text| text.chars().all(|c| c.is_ascii_graphic() || c == ' '));
    let text = text.ok_or_else(|| Fault::new(Code::InvalidValue, "UserClassID is no text"))?;
    state(scope, USER, &text, staging)
}

pub(super) fn client_id(scope: &Scope<'_>) -> Option<Value> {
    stated(scope, CLIENT).and_then(bytes).map(|bytes| Value::from(hex(&bytes).as_str()))
}

pub(super) fn set_client_id(scope: &Scope<'_>, value: &str, staging: &mut Staging) -> Result<(), Fault> {
    // dnsmasq takes one octet for a number or a text, several with colons for what they are.
    let bytes = bytes(value).filter(|bytes| bytes.len() != 1);
    let bytes = bytes.ok_or_else(|| Fault::new(Code::InvalidValue, "ClientID has two octets or more"))?;
    let pairs: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    state(scope, CLIENT, &pairs.join(":"), staging)
}

/// An address with `*` for what may be anything: as the address alone, or the mask alone.
fn part(mac: &str, fixed: &dyn Fn(&str) -> String, open: &str) -> String {
    let octet = |octet: &str| if octet == "*" { open.to_string() } else { fixed(octet) };
    mac.split(':').map(octet).collect::<Vec<_>>().join(":")
}

pub(super) fn chaddr(scope: &Scope<'_>) -> Option<Value> {
    stated(scope, MAC).map(|mac| Value::from(part(mac, &|octet| octet.to_ascii_uppercase(), "00").as_str()))
}

pub(super) fn chaddr_mask(scope: &Scope<'_>) -> Option<Value> {
    let mac = stated(scope, MAC)?;
    Some(Value::from(if mac.contains('*') { part(mac, &|_| "FF".into(), "00") } else { String::new() }.as_str()))
}

pub(super) fn set_chaddr(scope: &Scope<'_>, value: &str, staging: &mut Staging) -> Result<(), Fault> {
    let old = stated(scope, MAC).unwrap_or_default();
    let mut open = old.split(':').map(|octet| octet == "*");
    let octets = value.split(':').map(|octet| if open.next() == Some(true) { "*" } else { octet });
    let mac = if value.is_empty() { String::new() } else { octets.collect::<Vec<_>>().join(":") };
    state(scope, MAC, &mac, staging)
}

pub(super) fn set_chaddr_mask(scope: &Scope<'_>, value: &str, staging: &mut Staging) -> Result<(), Fault> {
    let old = stated(scope, MAC).unwrap_or_default();
    if value.is_empty() && old.is_empty() {
        return Ok(());
    }
    let base = part(if old.is_empty() { "00:00:00:00:00:00" } else { old }, &str::to_string, "00");
    let mut mask = value.split(':').map(|octet| octet.to_ascii_uppercase());
    let octets = base.split(':').map(|octet| match mask.next().as_deref() {
        None | Some("" | "FF") => Ok(octet),
        Some("00") => Ok("*"),
        Some(_) => Err(Fault::new(Code::InvalidValue, "ChaddrMask has octets FF and 00 only")),
    });
    state(scope, MAC, &octets.collect::<Result<Vec<_>, _>>()?.join(":"), staging)
}
