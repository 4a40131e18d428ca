//! A mapping row at work: a source, then its filters.

use super::eval::Scope;
use super::native;
use super::schema::Kind;
use super::source::{Argument, Filter, Piece, Pipeline, Pointer, PointerStep, SectionRef, Source, Template};
use super::value;
use crate::backend::uci::{OptValue, Package, Section};
use crate::backend::{Table, Value};
use std::borrow::Cow;
use std::net::Ipv4Addr;

/// A value on its way through a pipeline.
#[derive(Debug, Clone)]
pub enum Val<'v> {
    /// A text.
    Text(Cow<'v, str>),
    /// Anything else a router answers.
    Json(Cow<'v, Value>),
}

impl<'v> Val<'v> {
    /// The value as the backend's type.
    pub fn into_json(self) -> Value {
        match self {
            Self::Text(text) => Value::String(text.into()),
            Self::Json(value) => value.into_owned(),
        }
    }

    /// The text of a simple value.
    pub fn into_text(self) -> Option<Cow<'v, str>> {
        match self {
            Self::Text(text) => Some(text),
            Self::Json(Cow::Borrowed(value)) => value::plain(value),
            Self::Json(Cow::Owned(value)) => value::plain(&value).map(|t| Cow::Owned(t.into_owned())),
        }
    }

    fn owned(text: impl Into<String>) -> Self {
        Self::Text(Cow::Owned(text.into()))
    }
}

/// How deep `let`s may name each other.
const MAX_LETS: usize = 8;

impl<'a> Scope<'a> {
    /// The value of a row's alternative: its source, then its filters.
    pub fn pipeline(&self, pipeline: &'a Pipeline) -> Option<Val<'a>> {
        self.pipeline_at(pipeline, 0)
    }

    fn pipeline_at(&self, pipeline: &'a Pipeline, depth: usize) -> Option<Val<'a>> {
        let start = match &pipeline.source {
            // What did not answer is left out; a fixed text would make it up.
            Source::Text(_) if self.eval.docs.failed() => None,
            source => self.source(source, depth),
        };
        pipeline.filters.iter().fold(start, |value, filter| self.filter(filter, value))
    }

    /// The value of a `let` of this object or of one above it.
    pub fn let_value(&self, name: &str) -> Option<Val<'a>> {
        self.let_at(name, 0)
    }

    fn let_at(&self, name: &str, depth: usize) -> Option<Val<'a>> {
        if depth >= MAX_LETS {
            return None;
        }
        let (mut object, mut row) = (Some(self.object), self.row);
        while let Some(id) = object {
            let schema = &self.eval.schema[id];
            if let Some((_, alternatives)) = schema.lets.iter().find(|(n, _)| &**n == name) {
                let scope = Scope { eval: self.eval, object: id, row };
                return alternatives.iter().find_map(|p| scope.pipeline_at(p, depth + 1));
            }
            if schema.table && row.is_some_and(|r| r.object == id) {
                row = row.and_then(|r| r.parent.as_ref());
            }
            object = schema.parent;
        }
        None
    }

    fn source(&self, source: &'a Source, depth: usize) -> Option<Val<'a>> {
        match source {
            Source::Ubus { object, method, args, pointer } => {
                let object = self.fill_at(*object, depth)?;
                let answer = self.eval.docs.call(&object, method, &self.args(args, depth)?)?;
                self.walk(answer, *pointer, depth).map(|value| Val::Json(Cow::Borrowed(value)))
            }
            Source::Uci { package, section, option, index } => {
                let section = self.section_at(self.uci(package)?, section, depth)?;
                option_value(section, option, *index)
            }
            Source::Option { option, index } => option_value(self.section()?.1, option, *index),
            Source::Item(pointer) => self.point_at(Cow::Borrowed(self.item()?), pointer, depth).map(Val::Json),
            Source::Let(name, pointer) => match self.let_at(name, depth)? {
                value if pointer.0.is_empty() => Some(value),
                Val::Json(value) => self.point_at(value, pointer, depth).map(Val::Json),
                Val::Text(_) => None,
            },
            Source::File(path) => {
                self.file(&self.fill_at(*path, depth)?).map(|t| Val::Text(t.trim_end_matches(['\n', '\0']).into()))
            }
            Source::List(path) => self.list(&self.fill_at(*path, depth)?).map(|names| {
                Val::Json(Cow::Owned(Value::Array(names.iter().map(|n| Value::from(n.as_str())).collect())))
            }),
            Source::Link(path) => self.link(&self.fill_at(*path, depth)?).map(|t| Val::Text(t.into())),
            Source::Key => Some(Val::Text(self.key().into())),
            Source::Agent(name) => self.fact(name),
            Source::Text(text) => self.fill_at(*text, depth).map(Val::Text),
            Source::Native(name) => native::read(name, self).map(|v| Val::Json(Cow::Owned(v))),
        }
    }

    /// `TABLE.NAME` of the agent's facts, under the key of the nearest row.
    fn fact(&self, name: &str) -> Option<Val<'a>> {
        let (table, name) = name.split_once('.')?;
        self.eval.docs.note_facts(table);
        self.eval.facts.get(table, self.key(), name).map(|t| Val::Text(t.into()))
    }

    /// `{EndpointID}` stands for the agent's own endpoint id.
    fn with_own_id(&self, text: &str) -> String {
        if !text.contains("{EndpointID}") {
            return text.to_string();
        }
        self.eval.docs.note_facts("localagent");
        text.replace("{EndpointID}", self.eval.facts.get("localagent", "", "EndpointID").unwrap_or_default())
    }

    /// The section a `uci` source names.
    pub fn uci_section<'p>(&self, package: &'p Package, section: &'p SectionRef) -> Option<&'p Section> {
        self.section_at(package, section, 0)
    }

    fn section_at<'p>(&self, package: &'p Package, section: &'p SectionRef, depth: usize) -> Option<&'p Section> {
        match section {
            SectionRef::Named(name) => package.section(&self.fill_at(*name, depth)?),
            SectionRef::Typed(kind, index) => {
                let all: Vec<&Section> = package.of_kind(kind).collect();
                let at = if *index < 0 {
                    all.len().checked_add_signed(isize::from(*index))?
                } else {
                    usize::try_from(*index).ok()?
                };
                all.get(at).copied()
            }
        }
    }

    /// A template with its places filled; None where a place has no value.
    pub fn fill(&self, template: Template) -> Option<Cow<'a, str>> {
        self.fill_at(template, 0)
    }

    fn fill_at(&self, template: Template, depth: usize) -> Option<Cow<'a, str>> {
        if template.is_fixed() {
            return Some(Cow::Borrowed(template.0));
        }
        if template.0 == "{key}" {
            return self.row.map(|r| Cow::Borrowed(&*r.key));
        }
        let mut filled = String::new();
        for piece in template.pieces() {
            match piece {
                Piece::Text(text) => filled.push_str(text),
                Piece::Key => filled.push_str(&self.row?.key),
                Piece::ParentKey => filled.push_str(self.parent_key()),
                Piece::Let(name) => filled.push_str(&self.let_at(name, depth)?.into_text()?),
            }
        }
        Some(Cow::Owned(filled))
    }

    fn args(&self, args: &[(Box<str>, Argument)], depth: usize) -> Option<Table> {
        let filled = args.iter().map(|(name, arg)| {
            let value = match arg {
                Argument::Value(value) => value.clone(),
                Argument::Filled(template) => Value::String(self.fill_at(*template, depth)?.into()),
            };
            Some((name.clone(), value))
        });
        filled.collect::<Option<Vec<_>>>().map(Table)
    }

    /// Arguments of a ubus call with their places filled.
    pub fn arguments(&self, args: &[(Box<str>, Argument)]) -> Option<Table> {
        self.args(args, 0)
    }

    /// Into a value.
    pub fn point<'v>(&self, value: Cow<'v, Value>, pointer: &Pointer) -> Option<Cow<'v, Value>> {
        self.point_at(value, pointer, 0)
    }

    fn point_at<'v>(&self, value: Cow<'v, Value>, pointer: &Pointer, depth: usize) -> Option<Cow<'v, Value>> {
        match value {
            Cow::Borrowed(value) => self.walk(value, *pointer, depth).map(Cow::Borrowed),
            Cow::Owned(value) => self.walk(&value, *pointer, depth).map(|v| Cow::Owned(v.clone())),
        }
    }

    fn walk<'v>(&self, start: &'v Value, pointer: Pointer, depth: usize) -> Option<&'v Value> {
        pointer.steps().try_fold(start, |value, step| match step {
            PointerStep::Member(name) => value.as_table()?.get(&self.fill_at(name, depth)?),
            PointerStep::Index(at) => match value {
                Value::Array(items) => items.get(usize::from(at)),
                Value::Table(Table(members)) => members.get(usize::from(at)).map(|(_, value)| value),
                _ => None,
            },
            PointerStep::Select(member, wanted) => {
                let wanted = self.fill_at(wanted, depth)?;
                match value {
                    Value::Array(items) => items.iter().find(|v| has_member(v, member, &wanted)),
                    Value::Table(Table(members)) => {
                        members.iter().map(|(_, v)| v).find(|v| has_member(v, member, &wanted))
                    }
                    _ => None,
                }
            }
        })
    }

    fn filter(&self, filter: &'a Filter, value: Option<Val<'a>>) -> Option<Val<'a>> {
        match filter {
            // What did not answer has no default either.
            Filter::Default(_) | Filter::Exists if value.is_none() && self.eval.docs.failed() => None,
            Filter::Default(text) => Some(value.unwrap_or(Val::Text(Cow::Borrowed(text)))),
            Filter::Exists => Some(Val::owned(if value.is_some() { "1" } else { "0" })),
            Filter::List | Filter::Fixed => value,
            Filter::Count => value.map(|v| Val::owned(count(&v).to_string())),
            Filter::Has(text) => value.map(|v| Val::owned(if has(&v, text) { "1" } else { "0" })),
            Filter::Ref(_) | Filter::Map(..) => match value? {
                Val::Json(value) if value.as_array().is_some() => {
                    let items = value.as_array()?.iter().filter_map(|v| self.text_filter(filter, &value::plain(v)?));
                    Some(Val::Json(Cow::Owned(Value::Array(items.map(|t| Value::from(t.as_str())).collect()))))
                }
                value => self.text_filter(filter, &value.into_text()?).map(Val::owned),
            },
            _ => self.text_filter(filter, &value?.into_text()?).map(Val::owned),
        }
    }

    /// Filters that make a text of a text.
    fn text_filter(&self, filter: &Filter, text: &str) -> Option<String> {
        let number = |change: &dyn Fn(i64) -> Option<i64>| change(whole(text)?).map(|n| n.to_string());
        match filter {
            Filter::Map(pairs, other) => {
                let found = pairs.iter().find(|(from, _)| **from == *text).map(|(_, to)| to);
                found.or(other.as_ref()).map(|t| t.to_string())
            }
            Filter::Not => value::truth(text).map(|t| if t { "0" } else { "1" }.to_string()),
            Filter::Mul(n) => number(&|v| v.checked_mul(*n)),
            Filter::Div(n) => number(&|v| v.checked_div_euclid(*n)),
            Filter::Add(n) => number(&|v| v.checked_add(*n)),
            Filter::Line(prefix) => {
                text.lines().find_map(|l| l.trim_start().strip_prefix(&**prefix)).map(|l| l.trim().to_string())
            }
            Filter::Word(n) => text.split_whitespace().nth(usize::from(n.checked_sub(1)?)).map(str::to_string),
            Filter::After(mark) => text.split_once(&**mark).map(|(_, rest)| rest.to_string()),
            Filter::Before(mark) => Some(text.split_once(&**mark).map_or(text, |(first, _)| first).to_string()),
            Filter::Upper => Some(text.to_ascii_uppercase()),
            Filter::Lower => Some(text.to_ascii_lowercase()),
            Filter::Unquote => Some(unquote(text).to_string()),
            Filter::Basename => text.rsplit('/').next().map(str::to_string),
            Filter::OwnId => Some(self.with_own_id(text)),
            Filter::Netmask => netmask(text),
            Filter::Date => whole(text).map(value::date_time),
            Filter::Ago => whole(text).map(|seconds| value::date_time(self.now().saturating_sub(seconds))),
            Filter::Ref(table) => (!text.is_empty()).then(|| self.path_of(table, text)).flatten(),
            Filter::Native(name) => native::filter(name, self, text),
            Filter::Default(_) | Filter::Exists | Filter::List | Filter::Fixed | Filter::Count | Filter::Has(_) => None,
        }
    }
}

/// The value of an option, an element of it, or its list as an array.
fn option_value<'s>(section: &'s Section, option: &str, index: Option<u16>) -> Option<Val<'s>> {
    match (section.get(option)?, index) {
        (OptValue::One(text), None | Some(0)) => Some(Val::Text(Cow::Borrowed(text))),
        (OptValue::One(_), Some(_)) => None,
        (OptValue::List(items), Some(at)) => items.get(usize::from(at)).map(|t| Val::Text(Cow::Borrowed(&**t))),
        (OptValue::List(items), None) => {
            Some(Val::Json(Cow::Owned(Value::Array(items.iter().map(|t| Value::String(t.clone())).collect()))))
        }
    }
}

fn has_member(value: &Value, member: &str, wanted: &str) -> bool {
    let found = value.as_table().and_then(|t| t.get(member));
    found.and_then(value::plain).is_some_and(|text| *text == *wanted)
}

fn count(value: &Val<'_>) -> usize {
    match value {
        Val::Text(text) => text.split([',', ' ', '\n']).filter(|t| !t.is_empty()).count(),
        Val::Json(value) => match &**value {
            Value::Array(items) => items.len(),
            Value::Table(Table(members)) => members.len(),
            _ => 1,
        },
    }
}

fn has(value: &Val<'_>, wanted: &str) -> bool {
    match value {
        Val::Text(text) => text.split([',', ' ', '\n', '\t']).any(|t| t == wanted),
        Val::Json(value) => match &**value {
            Value::Array(items) => items.iter().filter_map(value::plain).any(|t| *t == *wanted),
            Value::Table(table) => table.get(wanted).is_some(),
            other => value::plain(other).is_some_and(|t| *t == *wanted),
        },
    }
}

/// A whole number; what follows a decimal point is dropped.
fn whole(text: &str) -> Option<i64> {
    let text = text.trim();
    text.parse().ok().or_else(|| text.split_once('.')?.0.parse().ok())
}

fn unquote(text: &str) -> &str {
    let bare = |mark| text.strip_prefix(mark).and_then(|t: &str| t.strip_suffix(mark));
    bare('"').or_else(|| bare('\'')).unwrap_or(text)
}

/// A prefix length as a dotted mask; a mask stays as it is.
fn netmask(text: &str) -> Option<String> {
    let Ok(length) = text.parse::<u32>() else { return text.parse::<Ipv4Addr>().ok().map(|a| a.to_string()) };
    let shift = 32_u32.checked_sub(length)?;
    Some(Ipv4Addr::from(u32::MAX.checked_shl(shift).unwrap_or(0)).to_string())
}

/// A dotted mask as a prefix length; None where its ones are not together.
fn prefix_length(text: &str) -> Option<String> {
    let mask = u32::from(text.parse::<Ipv4Addr>().ok()?);
    (mask.count_ones() == mask.leading_ones()).then(|| mask.leading_ones().to_string())
}

/// A written value on its way back through one filter; None where the filter has no way back for it.
pub fn invert(filter: &Filter, text: String) -> Option<String> {
    let number = |change: &dyn Fn(i64) -> Option<i64>| change(text.parse().ok()?).map(|n| n.to_string());
    match filter {
        Filter::Default(_)
        | Filter::List
        | Filter::Upper
        | Filter::Lower
        | Filter::Unquote
        | Filter::Basename
        | Filter::OwnId => Some(text),
        Filter::Map(pairs, _) => pairs.iter().find(|(_, to)| **to == *text).map(|(from, _)| from.to_string()),
        Filter::Not => value::truth(&text).map(|t| if t { "0" } else { "1" }.to_string()),
        Filter::Mul(n) => number(&|v| v.checked_div(*n).filter(|_| v.checked_rem(*n) == Some(0))),
        Filter::Div(n) => number(&|v| v.checked_mul(*n)),
        Filter::Add(n) => number(&|v| v.checked_sub(*n)),
        Filter::Netmask => prefix_length(&text),
        _ => None,
    }
}

/// The text UCI keeps for a canonical value: booleans as 1 and 0.
pub fn stored(kind: Kind, text: &str) -> String {
    match (kind, text) {
        (Kind::Boolean, "true") => "1".to_string(),
        (Kind::Boolean, "false") => "0".to_string(),
        _ => text.to_string(),
    }
}
