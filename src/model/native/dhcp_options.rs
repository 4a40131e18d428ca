//! Options of DHCP that clients send and ask for and servers hand out: lists of /etc/config/network and
//! /etc/config/dhcp, each in the form its program takes. TR-181 has a value in hexadecimal digits.

use super::dhcp_value::{self, bytes, hex};
use super::network::{interface, tables, text};
use crate::backend::uci::{OptValue, Section};
use crate::backend::{Table, Value};
use crate::model::eval::Scope;
use crate::model::stage::Staging;
use crate::usp::fault::{Code, Fault};
use std::net::Ipv4Addr;

/// Where options stand, and how.
struct Place {
    package: &'static str,
    option: &'static str,
    form: Form,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    /// `list sendopts '60:6f70'` of udhcpc.
    Sent,
    /// The same of odhcp6c, which takes no empty value.
    Sent6,
    /// `option reqopts '42 121'`.
    Requested,
    /// `list dhcp_option '66,tftp.example'` of dnsmasq.
    Offered,
    /// `option dhcpv6_raw '00110002abcd'` of odhcpd: options as they stand on the wire.
    Raw,
}

/// One option.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Opt {
    pub(super) tag: u16,
    /// None where the text does not tell what stands on the wire.
    pub(super) value: Option<Vec<u8>>,
}

fn place(scope: &Scope<'_>) -> Option<Place> {
    let (package, option, form) = match scope.schema().path.strip_prefix("Device.")? {
        "DHCPv4.Client.{i}.SentOption.{i}." => ("network", "sendopts", Form::Sent),
        "DHCPv4.Client.{i}.ReqOption.{i}." => ("network", "reqopts", Form::Requested),
        "DHCPv6.Client.{i}.SentOption.{i}." => ("network", "sendopts", Form::Sent6),
        "DHCPv4.Server.Pool.{i}.Option.{i}." => ("dhcp", "dhcp_option", Form::Offered),
        "DHCPv6.Server.Pool.{i}.Option.{i}." => ("dhcp", "dhcpv6_raw", Form::Raw),
        _ => return None,
    };
    Some(Place { package, option, form })
}

/// The section of the client or pool that holds the options, as it is staged now.
fn section<'a>(scope: &Scope<'a>, place: &Place) -> Option<&'a Section> {
    let here = scope.row.filter(|row| row.object == scope.object);
    let holder = here.map_or(scope.row, |row| row.parent.as_ref())?;
    let name = holder.section().map_or(&*holder.key, |(_, section)| &*section.name);
    scope.uci(place.package)?.section(name)
}

impl Form {
    /// The entries as they stand, one an option.
    fn split(self, section: &Section, option: &str) -> Vec<String> {
        let words = |text: &str| text.split_whitespace().map(str::to_string).collect::<Vec<_>>();
        match (self, section.get(option)) {
            (Self::Sent, stated) => {
                let listed = match stated {
                    Some(OptValue::One(text)) => words(text),
                    _ => section.list(option).iter().map(|text| text.to_string()).collect(),
                };
                with_own(section, listed)
            }
            (_, None) => Vec::new(),
            (Self::Raw, Some(_)) => {
                let all = bytes(section.text(option).unwrap_or_default()).unwrap_or_default();
                dhcp_value::options(&all).iter().map(wire).collect()
            }
            (_, Some(OptValue::One(text))) => words(text),
            (Self::Requested, Some(OptValue::List(items))) => items.iter().flat_map(|text| words(text)).collect(),
            (_, Some(OptValue::List(items))) => items.iter().map(|text| text.to_string()).collect(),
        }
    }

    fn join(self, all: &[String]) -> Option<OptValue> {
        let one = |text: String| OptValue::One(text.into());
        (!all.is_empty()).then(|| match self {
            Self::Raw => one(all.concat()),
            Self::Requested => one(all.join(" ")),
            _ => OptValue::List(all.iter().map(|text| text.as_str().into()).collect()),
        })
    }

    fn parse(self, text: &str) -> Option<Opt> {
        match self {
            Self::Raw => dhcp_value::options(&bytes(text)?).into_iter().next(),
            Self::Requested => Some(Opt { tag: dhcp_value::tag(text)?, value: None }),
            Self::Offered => {
                let (which, value) = text.split_once(',').unwrap_or((text, ""));
                let tag = dhcp_value::tag(which.strip_prefix("option:").unwrap_or(which))?;
                Some(Opt { tag, value: dhcp_value::of_dnsmasq(tag, value) })
            }
            Self::Sent => {
                let (which, value) = text.split_once(':').unwrap_or((text, ""));
                let named = !which.starts_with(|c: char| c.is_ascii_digit());
                let tag = dhcp_value::tag(which)?;
                Some(Opt { tag, value: dhcp_value::of_udhcpc(tag, named, value) })
            }
            Self::Sent6 => {
                let (which, value) = text.split_once(':')?;
                let tag = dhcp_value::tag6(which)?;
                Some(Opt { tag, value: dhcp_value::of_odhcp6c(tag, value) })
            }
        }
    }

    /// The other way; None where the program has no way to be told.
    fn write(self, option: &Opt) -> Option<String> {
        let tag = option.tag;
        if self == Self::Requested {
            return Some(tag.to_string());
        }
        let value = option.value.as_deref()?;
        match self {
            Self::Raw => Some(wire(option)),
            Self::Offered if value.is_empty() => Some(tag.to_string()),
            Self::Offered => dhcp_value::to_dnsmasq(tag, value).map(|text| format!("{tag},{text}")),
            Self::Sent6 => dhcp_value::to_odhcp6c(tag, value).map(|text| format!("{tag}:{text}")),
            _ => Some(format!("{tag}:{}", hex(value))),
        }
    }

    /// What a created option is until it is filled in: one for private use, which means nothing to anybody.
    fn private(self) -> (u16, &'static [u8]) {
        match self {
            Self::Sent6 => (65000, dhcp_value::blank6(65000)),
            Self::Raw => (65000, &[]),
            _ => (254, &[]),
        }
    }
}

fn wire(option: &Opt) -> String {
    let value = option.value.as_deref().unwrap_or_default();
    format!("{:04x}{:04x}{}", option.tag, value.len(), hex(value))
}

fn element(option: Opt) -> Value {
    let table = Table::default().with("tag", i32::from(option.tag));
    Value::Table(match option.value {
        Some(value) => table.with("value", &*hex(&value)),
        None => table,
    })
}

/// The options of a client or a pool, known by their place in the list. Those that are for some clients only (`tag:`)
/// are left out.
pub(super) fn rows(scope: &Scope<'_>) -> Vec<(String, Value)> {
    let Some(place) = place(scope) else { return Vec::new() };
    let entries = section(scope, &place).map(|s| place.form.split(s, place.option)).unwrap_or_default();
    let row = |(at, entry): (usize, &String)| Some(((at + 1).to_string(), element(place.form.parse(entry)?)));
    entries.iter().enumerate().filter_map(row).collect()
}

/// The options in what a server sent, as odhcp6c hands them on.
pub(super) fn received(scope: &Scope<'_>) -> Vec<(String, Value)> {
    let raw = interface(scope, scope.key()).and_then(|i| text(i.get("data")?.as_table()?, "passthru"));
    let all = raw.and_then(bytes).map(|all| dhcp_value::options(&all)).unwrap_or_default();
    all.into_iter().enumerate().map(|(at, option)| ((at + 1).to_string(), element(option))).collect()
}

pub(super) fn tag(scope: &Scope<'_>) -> Option<Value> {
    scope.item()?.as_table()?.get("tag").cloned()
}

pub(super) fn value(scope: &Scope<'_>) -> Option<Value> {
    scope.item()?.as_table()?.get("value").cloned()
}

pub(super) fn set_tag(scope: &Scope<'_>, value: &str, staging: &mut Staging) -> Result<(), Fault> {
    let tag = value.parse().map_err(|_| Fault::new(Code::InvalidValue, "no such option"))?;
    let form = place(scope).map(|place| place.form);
    change(scope, staging, |option| {
        // What is not filled in yet is so in the words of the new option.
        if form == Some(Form::Sent6) && option.value.as_deref() == Some(Form::Sent6.private().1) {
            option.value = Some(dhcp_value::blank6(tag).to_vec());
        }
        option.tag = tag;
    })
}

pub(super) fn set_value(scope: &Scope<'_>, value: &str, staging: &mut Staging) -> Result<(), Fault> {
    let value =
        bytes(value).ok_or_else(|| Fault::new(Code::InvalidValue, "Value is no pairs of hexadecimal digits"))?;
    change(scope, staging, |option| option.value = Some(value))
}

/// Changes the row's entry; the others stay as they are written.
fn change(scope: &Scope<'_>, staging: &mut Staging, edit: impl FnOnce(&mut Opt)) -> Result<(), Fault> {
    edit_list(scope, Code::ParameterReadOnly, staging, |form, all, at| {
        let entry = all.get_mut(at)?;
        let mut option = form.parse(entry)?;
        edit(&mut option);
        *entry = form.write(&option)?;
        Some(())
    })
}

fn edit_list(
    scope: &Scope<'_>,
    code: Code,
    staging: &mut Staging,
    edit: impl FnOnce(Form, &mut Vec<String>, usize) -> Option<()>,
) -> Result<(), Fault> {
    let not_stated = || Fault::new(code, "the option is not stated in the configuration");
    let place = place(scope).ok_or_else(not_stated)?;
    let section = section(scope, &place).ok_or_else(not_stated)?;
    let at = scope.key().parse::<usize>().ok().and_then(|at| at.checked_sub(1)).ok_or_else(not_stated)?;
    let mut all = place.form.split(section, place.option);
    let before = all.clone();
    let done = edit(place.form, &mut all, at);
    done.ok_or_else(|| Fault::new(Code::InvalidValue, "the router cannot be told of such an option"))?;
    staging.set(place.package, &section.name, place.option, place.form.join(&all));
    if place.form == Form::Sent {
        set_own(section, &before, &all, staging);
    }
    Ok(())
}

/// Options of DHCP that have one of their own in UCI.
const OWN: [(u16, &str); 3] = [(12, "hostname"), (60, "vendorid"), (61, "clientid")];

/// The list, and what stands in options of its own and not in the list.
fn with_own(section: &Section, mut all: Vec<String>) -> Vec<String> {
    for (tag, name) in OWN {
        let text = section.text(name).filter(|text| *text != "*");
        let listed = all.iter().filter_map(|entry| Form::Sent.parse(entry)).any(|option| option.tag == tag);
        let value = text.filter(|_| !listed).and_then(|text| match tag {
            61 => bytes(text),
            _ => Some(text.as_bytes().to_vec()),
        });
        all.extend(value.map(|value| format!("{tag}:{}", hex(&value))));
    }
    all
}

/// The name, class and identifier of the client have options of their own, which netifd's script puts before the list,
/// and udhcpc sends the first: they are told the same.
fn set_own(section: &Section, before: &[String], after: &[String], staging: &mut Staging) {
    let of = |all: &[String], tag| {
        let mut found = all.iter().filter_map(|entry| Form::Sent.parse(entry)).filter(|option| option.tag == tag);
        found.find_map(|option| option.value)
    };
    for (tag, name) in OWN {
        let (old, new) = (of(before, tag), of(after, tag));
        if old == new {
            continue;
        }
        let text = |value: Vec<u8>| if tag == 61 { Some(hex(&value)) } else { String::from_utf8(value).ok() };
        let text = new.and_then(text).filter(|text| !text.is_empty());
        staging.set("network", &section.name, name, text.map(|text| OptValue::One(text.into())));
    }
}

pub(super) fn create(scope: &Scope<'_>, staging: &mut Staging) -> Result<String, Fault> {
    let refused = || Fault::new(Code::ObjectNotCreated, "this is not configured here");
    let place = place(scope).ok_or_else(refused)?;
    let section = scope.row.and_then(|_| section(scope, &place)).ok_or_else(refused)?;
    let mut all = place.form.split(section, place.option);
    let known: Vec<u16> = all.iter().filter_map(|entry| place.form.parse(entry)).map(|o| o.tag).collect();
    let (first, value) = place.form.private();
    let tag = (1..=first).rev().find(|tag| !known.contains(tag)).ok_or_else(refused)?;
    all.push(place.form.write(&Opt { tag, value: Some(value.to_vec()) }).ok_or_else(refused)?);
    staging.set(place.package, &section.name, place.option, place.form.join(&all));
    Ok(all.len().to_string())
}

pub(super) fn delete(scope: &Scope<'_>, staging: &mut Staging) -> Result<(), Fault> {
    edit_list(scope, Code::ObjectNotDeleted, staging, |_, all, at| (at < all.len()).then(|| drop(all.remove(at))))
}

/// What the server answered to a requested option, where netifd was told.
pub(super) fn requested(scope: &Scope<'_>) -> Option<Value> {
    let interface = interface(scope, scope.parent_key())?;
    let data = |name: &str| interface.get("data")?.as_table()?.get(name);
    let addresses = |text: &str| dhcp_value::addresses(text).map(|bytes| hex(&bytes));
    let joined = |name: &str| {
        let all = interface.get(name)?.as_array()?.iter().filter_map(Value::as_str);
        Some(all.collect::<Vec<_>>().join(" "))
    };
    let text = match tag(scope)?.as_i64()? {
        1 => {
            let length = tables(interface, "ipv4-address").next()?.get("mask")?.as_i64()?;
            hex(&u32::MAX.checked_shl(u32::try_from(32 - length).ok()?).unwrap_or(0).to_be_bytes())
        }
        3 => {
            let default = tables(interface, "route").find(|r| text(r, "target") == Some("0.0.0.0"))?;
            addresses(text(default, "nexthop")?)?
        }
        6 => addresses(&joined("dns-server")?)?,
        15 => hex(joined("dns-search")?.as_bytes()),
        42 => addresses(data("ntpserver")?.as_str()?)?,
        51 => hex(&u32::try_from(data("leasetime")?.as_i64()?).ok()?.to_be_bytes()),
        54 => addresses(&data("dhcpserver")?.as_str()?.parse::<Ipv4Addr>().ok()?.to_string())?,
        _ => return None,
    };
    Some(Value::from(text.as_str()))
}
