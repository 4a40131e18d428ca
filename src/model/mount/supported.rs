//! What a plugin supports, as objects of the schema.
//!
//! Existence, access, types, arguments and keys are the plugin's word. The standard adds what Ambiorix has no word for:
//! which parameters are secured, which are lists or references, and what kind of text a text is.

use super::{MAX_OBJECTS, Mounts, is_name};
use crate::backend::amx::{self, Error};
use crate::backend::{Backend, CallError, Table, Value};
use crate::model::digest::{Digest, Element, ValueFacts};
use crate::model::docs::together;
use crate::model::facets::Facets;
use crate::model::schema::{
    Access, Argument, Command, Event, Kind, Object, Param, ParamSource, UniqueKey, last_name, param,
};
use crate::model::source::CommandSource;
use crate::order;
use std::rc::Rc;

/// Parameters, commands or events of one object at most, of each: the largest of TR-181 has 90.
const MAX_ELEMENTS: usize = 512;

/// An object as `_get_supported` tells of it.
#[derive(Debug)]
pub(super) struct Supported {
    /// `Device.WiFi.Radio.{i}.`
    path: String,
    about: Table,
    keys: Vec<UniqueKey>,
}

/// Asks a plugin what it supports; objects above come before those in them.
pub(super) async fn ask<B: Backend>(backend: &B, object: &str) -> Result<Vec<Supported>, Error> {
    let told = match described(backend, object, "", false).await {
        // It does not fit into one message of the bus.
        Err(Error::Malformed | Error::Call(CallError::TooLarge)) => part_by_part(backend, object).await?,
        told => told?,
    };
    let mut all: Vec<Supported> =
        told.0.into_iter().filter_map(|(path, value)| Supported::of(object, &path, value)).collect();
    order::sort_by(&mut all, |a, b| a.path.cmp(&b.path));
    if all.len() > MAX_OBJECTS {
        log::warn!("mount={object} event=left_out objects={} limit={MAX_OBJECTS}", all.len() - MAX_OBJECTS);
        all.truncate(MAX_OBJECTS);
    }
    let tables: Vec<&mut Supported> = all.iter_mut().filter(|one| one.path.ends_with("{i}.")).collect();
    together(tables.into_iter().map(|table| table.ask_for_keys(backend, object)).collect()).await;
    Ok(all)
}

async fn described<B: Backend>(backend: &B, object: &str, path: &str, first_level: bool) -> Result<Table, Error> {
    let want = |table: Table, what: &str| table.with(what, true);
    let args = ["functions", "parameters", "events"].into_iter().fold(Table::default(), want);
    let args = args.with("rel_path", path).with("first_level_only", first_level);
    amx::reply(backend.call_all(object, "_get_supported", &args).await).map(|reply| reply.value)
}

/// The root object, then what is in it one by one.
async fn part_by_part<B: Backend>(backend: &B, object: &str) -> Result<Table, Error> {
    log::info!("mount={object} event=part_by_part");
    let Table(members) = described(backend, object, "", true).await?;
    let itself = [format!("{object}."), format!("{object}.{{i}}.")];
    let (mut own, parts): (Vec<_>, Vec<_>) =
        members.into_iter().partition(|(path, _)| itself.iter().any(|known| **known == **path));
    let rest = |path: &str| path.get(object.len() + 1..).unwrap_or_default().replace("{i}.", "");
    let paths: Vec<String> = parts.iter().take(MAX_OBJECTS).map(|(path, _)| rest(path)).collect();
    for part in together(paths.iter().map(|path| described(backend, object, path, false)).collect()).await {
        own.extend(part?.0);
    }
    Ok(Table(own))
}

impl Supported {
    fn of(object: &str, path: &str, value: Value) -> Option<Self> {
        let Value::Table(about) = value else { return None };
        let mut steps = path.strip_suffix('.')?.split('.');
        let known = steps.next() == Some(object) && steps.all(|step| step == "{i}" || is_name(step));
        known.then(|| Self { path: format!("Device.{path}"), about, keys: Vec::new() })
    }

    /// Unique keys stand in the description of a table alone. A plugin without one has none to tell.
    async fn ask_for_keys<B: Backend>(&mut self, backend: &B, object: &str) {
        let path = self.path.get("Device.".len() + object.len() + 1..).unwrap_or_default().replace("{i}.", "");
        let args = Table::default().with("rel_path", &*path).with("parameters", true);
        let Ok(reply) = amx::reply(backend.call_all(object, "_describe", &args).await) else { return };
        let params = reply.value.get("parameters").and_then(Value::as_table);
        let mut together = Vec::new();
        for (name, about) in params.map_or(&[][..], |params| &params.0).iter().take(MAX_ELEMENTS) {
            let attribute = |name: &str| {
                let attributes = about.as_table()?.get("attributes")?.as_table()?;
                attributes.get(name)?.as_i64()
            };
            match (attribute("key"), attribute("unique")) {
                (Some(1..), Some(1..)) => self.keys.push(UniqueKey { params: vec![name.clone()], functional: true }),
                (Some(1..), _) => together.push(name.clone()),
                _ => {}
            }
        }
        if !together.is_empty() {
            self.keys.push(UniqueKey { params: together, functional: true });
        }
        order::sort_by(&mut self.keys, |a, b| a.params.cmp(&b.params));
    }

    /// The object itself.
    pub(super) fn object(self, names: &mut Mounts, digest: &Digest<'_>) -> Option<Object> {
        let path = names.name(&self.path)?;
        let mut object = Object::new(path, last_name(path), None);
        object.mounted = true;
        object.creatable = object.table && self.about.get("access").and_then(Value::as_i64) == Some(1);
        let plain: Rc<Facets> = Rc::default();
        object.params = tables(&self.about, "supported_params")
            .filter_map(|about| parameter(about, path, names, digest, &plain))
            .collect();
        let commands = tables(&self.about, "supported_commands");
        object.commands = commands.filter_map(|about| command(about, names, &plain)).collect();
        let events = self.about.get("supported_events").and_then(Value::as_table);
        let events = events.map_or(&[][..], |events| &events.0).iter().take(MAX_ELEMENTS);
        object.events = events.filter_map(|(name, arguments)| event(name, arguments, names, &plain)).collect();
        let params = &object.params;
        object.keys = self.keys;
        object.keys.retain(|key| key.params.iter().all(|name| params.iter().any(|param| *param.name == **name)));
        Some(object)
    }
}

fn tables<'t>(about: &'t Table, list: &str) -> impl Iterator<Item = &'t Table> {
    let items = about.get(list).and_then(Value::as_array).unwrap_or_default();
    items.iter().take(MAX_ELEMENTS).filter_map(Value::as_table)
}

fn parameter(
    about: &Table,
    object: &str,
    names: &mut Mounts,
    digest: &Digest<'_>,
    plain: &Rc<Facets>,
) -> Option<Param> {
    let name = names.name(about.get("param_name")?.as_str().filter(|name| is_name(name))?)?;
    let number = |name: &str| about.get(name).and_then(Value::as_i64);
    let access = if number("access") == Some(1) { Access::ReadWrite } else { Access::ReadOnly };
    let mut known = ValueFacts::plain(kind_of(number("type")));
    known.quiet = number("value_change") == Some(2);
    let mut all = param(name, access, known, ParamSource::Mounted);
    all.facets = plain.clone();
    if let Ok(Some(Element::Parameter { value, .. })) = digest.element(object, name) {
        all.secured = value.secured;
        if all.kind == Kind::String && is_text(value.kind) {
            all.kind = value.kind;
        }
        let ValueFacts { facets: Facets { list, reference, .. }, .. } = value;
        if list.is_some() || reference.is_some() {
            all.facets = Facets { list: list.map(|_| Default::default()), reference, ..Facets::default() }.into();
        }
    }
    Some(all)
}

/// A kind of text that Ambiorix has no type for.
fn is_text(kind: Kind) -> bool {
    matches!(kind, Kind::DateTime | Kind::Base64 | Kind::HexBinary)
}

/// The type of an Ambiorix variant.
fn kind_of(variant: Option<i64>) -> Kind {
    match variant {
        Some(2..=4) => Kind::Int,
        Some(5) => Kind::Long,
        Some(6..=8) => Kind::UnsignedInt,
        Some(9) => Kind::UnsignedLong,
        Some(10 | 11) => Kind::Decimal,
        Some(12) => Kind::Boolean,
        Some(16) => Kind::DateTime,
        _ => Kind::String,
    }
}

fn command(about: &Table, names: &mut Mounts, plain: &Rc<Facets>) -> Option<Command> {
    let name = about.get("command_name")?.as_str()?;
    let name = names.name(name.strip_suffix("()").is_some_and(is_name).then_some(name)?)?;
    let arguments = |list: &str| arguments(about.get(list), plain);
    Some(Command {
        name,
        asynchronous: about.get("command_type").and_then(Value::as_i64) == Some(2),
        input: arguments("input_arg_names"),
        output: arguments("output_arg_names"),
        source: CommandSource::Mounted,
    })
}

/// An event of USP; a plugin has other signals too.
fn event(name: &str, about: &Value, names: &mut Mounts, plain: &Rc<Facets>) -> Option<Event> {
    let name = names.name(name.strip_suffix('!').is_some_and(is_name).then_some(name)?)?;
    Some(Event { name, arguments: arguments(Some(about), plain), raised: None })
}

fn arguments(list: Option<&Value>, plain: &Rc<Facets>) -> Vec<Argument> {
    let items = list.and_then(Value::as_array).unwrap_or_default().iter().take(MAX_ELEMENTS);
    let argument = |name: &str| Argument {
        name: name.into(),
        mandatory: false,
        kind: Kind::String,
        facets: plain.clone(),
        default: None,
    };
    items.filter_map(Value::as_str).map(argument).collect()
}
