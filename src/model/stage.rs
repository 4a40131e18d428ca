//! How one change becomes edits of UCI sections: values on their way back through the filters, new rows, removed rows.

use super::eval::{Eval, Scope};
use super::native;
use super::pipeline::{invert, stored};
use super::resolve::{self, Node};
use super::schema::{ObjectId, Param};
use super::source::{Filter, Pipeline, RowSource, Source};
use crate::backend::uci::{self, Edit, OptValue, Package};
use crate::order::Map;
use crate::usp::fault::{Code, Fault};
use std::rc::Rc;

/// A row that gets another key: its path, its key before and after.
pub(super) type Renamed = (Box<str>, Box<str>, Box<str>);

/// What a Rust function stages.
#[derive(Debug, Default)]
pub struct Staging {
    pub(super) edits: Vec<(Box<str>, Edit)>,
    /// Aliases the agent keeps itself: path and key of the row, and its Alias.
    pub(super) aliases: Vec<(Box<str>, Box<str>, Box<str>)>,
    /// Rows that get another key: path, key now, key then.
    pub(super) renamed: Vec<Rc<Renamed>>,
}

impl Staging {
    /// Sets an option, or removes it.
    pub fn set(&mut self, package: &str, section: &str, option: &str, value: Option<OptValue>) {
        self.edits.push((package.into(), Edit::Set { section: section.into(), option: option.into(), value }));
    }

    /// Appends a section.
    pub fn add(&mut self, package: &str, section: &str, kind: &str) {
        self.edits.push((package.into(), Edit::Add { section: section.into(), kind: kind.into() }));
    }

    /// Puts a section before another one, or behind all.
    pub fn place(&mut self, package: &str, section: &str, before: Option<&str>) {
        self.edits.push((package.into(), Edit::Place { section: section.into(), before: before.map(Into::into) }));
    }

    pub(super) fn append(&mut self, mut other: Self) {
        self.edits.append(&mut other.edits);
        self.aliases.append(&mut other.aliases);
        self.renamed.append(&mut other.renamed);
    }

    /// Gives the row of this path another key.
    pub fn rename(&mut self, path: &str, old: &str, new: &str) {
        if old != new {
            self.renamed.push(Rc::new((path.into(), old.into(), new.into())));
        }
    }

    /// Removes a section.
    pub fn delete(&mut self, package: &str, section: &str) {
        self.edits.push((package.into(), Edit::Delete { section: section.into() }));
    }
}

/// Stages a value through one alternative; None where it cannot be written.
pub(super) fn staged(
    scope: &Scope<'_>,
    param: &Param,
    pipeline: &Pipeline,
    value: &str,
    staging: &mut Staging,
) -> Option<Result<(), Fault>> {
    if pipeline.filters.last() == Some(&Filter::Fixed) {
        let same = resolve::text(scope, param).as_deref() == Some(value);
        let refused = || Fault::new(Code::InvalidValue, format!("{} cannot be anything else here", param.name));
        return Some(same.then_some(()).ok_or_else(refused));
    }
    let kept = |filters: &[Filter], old: &str| back(scope, param, filters, value, old);
    match &pipeline.source {
        Source::Uci { package, section, option, index } => {
            let section = scope.uci(package).and_then(|p| scope.uci_section(p, section))?;
            Some(kept(&pipeline.filters, &section.list(option).join(",")).and_then(|text| {
                let value = option_value(section, option, *index, &pipeline.filters, &text)?;
                staging.set(package, &section.name, option, value);
                Ok(())
            }))
        }
        Source::Option { option, index } => {
            let (package, section) = scope.section()?;
            Some(kept(&pipeline.filters, &section.list(option).join(",")).and_then(|text| {
                let value = option_value(section, option, *index, &pipeline.filters, &text)?;
                staging.set(&package.name, &section.name, option, value);
                Ok(())
            }))
        }
        Source::Native(name) => {
            let write = native::write(name)?;
            Some(kept(&pipeline.filters, "").and_then(|text| write(scope, &text, staging)))
        }
        _ => None,
    }
}

/// A canonical value on its way back to the router, filters right to left. `old` is what stands there now: a Rust
/// function may change a part of it.
fn back(scope: &Scope<'_>, param: &Param, filters: &[Filter], value: &str, old: &str) -> Result<String, Fault> {
    let refused = || Fault::new(Code::InvalidValue, format!("the router has no {} like this", param.name));
    let list = param.facets.list.is_some();
    filters.iter().rev().try_fold(stored(param.kind, value), |text, filter| match filter {
        Filter::Ref(table) if !list && !text.is_empty() => key_of(scope, table, &text).ok_or_else(refused),
        Filter::Ref(table) => {
            let keys = text.split(',').map(str::trim).filter(|t| !t.is_empty()).map(|path| key_of(scope, table, path));
            let keys = keys.collect::<Option<Vec<String>>>().ok_or_else(refused)?;
            Ok(keys.join(","))
        }
        Filter::Map(..) if list => {
            let items = text.split(',').filter(|t| !t.is_empty()).map(|item| invert(filter, item.to_string()));
            items.collect::<Option<Vec<_>>>().map(|items| items.join(",")).ok_or_else(refused)
        }
        Filter::Map(..) if text.is_empty() => Ok(text),
        Filter::Native(name) => native::back(name).and_then(|back| back(scope, old, &text)).ok_or_else(refused),
        filter => invert(filter, text).ok_or_else(refused),
    })
}

/// The key of the row a reference names: by instance number, or by unique key.
fn key_of(scope: &Scope<'_>, table: &str, reference: &str) -> Option<String> {
    let table = scope.eval.schema.find(table).filter(|table| !scope.eval.schema[*table].mounted)?;
    resolve::row_at(scope.eval, reference).filter(|row| row.object == table).map(|row| row.key.to_string())
}

fn option_value(
    section: &uci::Section,
    option: &str,
    index: Option<u16>,
    filters: &[Filter],
    text: &str,
) -> Result<Option<OptValue>, Fault> {
    if let Some(at) = index.map(usize::from) {
        return element(section, option, at, text);
    }
    let as_list = filters.contains(&Filter::List) || matches!(section.get(option), Some(OptValue::List(_)));
    if as_list {
        let items: Vec<Box<str>> = text
            .split(',')
            .filter(|t| !t.is_empty())
            .map(|t| t.replace("%2C", ",").replace("%2c", ",").replace("%25", "%").into())
            .collect();
        return Ok((!items.is_empty()).then_some(OptValue::List(items)));
    }
    Ok((!text.is_empty()).then(|| OptValue::One(text.into())))
}

/// A list with one element set, or removed. UCI has no gaps: an element that none precedes has no place.
fn element(section: &uci::Section, option: &str, at: usize, text: &str) -> Result<Option<OptValue>, Fault> {
    let mut items: Vec<Box<str>> = section.list(option).to_vec();
    let next = items.len();
    match (items.get_mut(at), text.is_empty()) {
        (Some(_), true) => drop(items.remove(at)),
        (Some(item), false) => *item = text.into(),
        (None, true) => {}
        (None, false) if at == next => items.push(text.into()),
        (None, false) => {
            return Err(Fault::new(Code::InvalidValue, format!("{option} has fewer than {at} elements before this")));
        }
    }
    let one = !matches!(section.get(option), Some(OptValue::List(_))) && items.len() == 1;
    Ok(match items.pop() {
        None => None,
        Some(item) if one && section.get(option).is_some() => Some(OptValue::One(item)),
        Some(item) => {
            items.push(item);
            Some(OptValue::List(items))
        }
    })
}

/// The edits that make a new row, and its key.
pub(super) fn new_row(eval: &Eval<'_>, table: &Node) -> Result<(Staging, String), Fault> {
    let object = &eval.schema[table.object];
    let scope = Scope { eval, object: table.object, row: table.row.as_ref() };
    let mut staging = Staging::default();
    if let Some((create, _)) = object.new.native.and_then(native::maker) {
        let key = create(&scope, &mut staging)?;
        return Ok((staging, key));
    }
    let source = object.each.iter().find_map(|each| match &each.rows {
        RowSource::Uci { package, kind } => Some((package, kind)),
        _ => None,
    });
    let (package, kind) =
        source.ok_or_else(|| Fault::new(Code::ObjectNotCreatable, format!("{} has no rows to create", table.path)))?;
    // The rows there are have their numbers before the new one gets its name.
    eval.rows(table.object, table.row.as_ref(), &table.path);
    let now = eval.docs.package(package);
    let taken = |name: &str| now.is_some_and(|p| p.section(name).is_some());
    let name = section_name(object.new.name.unwrap_or(kind), eval.instances.borrow().next(&table.path), taken);
    staging.add(package, &name, kind);
    let row = super::eval::Row {
        object: table.object,
        key: name.as_str().into(),
        number: 0,
        parent: table.row.clone(),
        item: super::eval::Item::Fact,
        path: "".into(),
    };
    let row = Rc::new(row);
    let scope = Scope { eval, object: table.object, row: Some(&row) };
    for (option, value) in &object.new.options {
        let value = scope.fill(*value).ok_or_else(|| Fault::new(Code::ObjectNotCreated, "a value is missing"))?;
        staging.set(package, &name, option, Some(OptValue::One((&*value).into())));
    }
    let later = object
        .new
        .before
        .zip(now)
        .and_then(|(prefix, now)| now.of_kind(kind).find(|section| section.name.split('_').next() == Some(prefix)));
    if let Some(later) = later {
        staging.place(package, &name, Some(&later.name));
    }
    Ok((staging, name))
}

/// `TYPE_N` by the instance number: a name of its own, so that the instance keeps its number, and one that no row
/// before it had, so that nothing that is left of that row points here.
fn section_name(kind: &str, mut number: u32, taken: impl Fn(&str) -> bool) -> String {
    let kind: String = kind.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
    loop {
        let name = format!("{kind}_{number}");
        if !taken(&name) {
            return name;
        }
        number = number.wrapping_add(1);
    }
}

/// A row that is removed.
#[derive(Debug)]
pub(super) struct Gone {
    pub(super) path: String,
    pub(super) table: Box<str>,
    pub(super) key: Box<str>,
}

/// Stages the removal of a row and of the rows below it that have sections of their own.
pub(super) fn remove(
    eval: &Eval<'_>,
    node: &Node,
    staging: &mut Staging,
    gone: &mut Vec<Rc<Gone>>,
) -> Result<(), Fault> {
    let Some(row) = &node.row else { return Ok(()) };
    remove_below(eval, node, node.object, staging, gone)?;
    let object = &eval.schema[node.object];
    if let Some((_, delete)) = object.new.native.and_then(native::maker) {
        delete(&Scope { eval, object: node.object, row: node.row.as_ref() }, staging)?;
    } else if let Some((package, section)) = row.section() {
        staging.delete(&package.name, &section.name);
    } else {
        return Err(Fault::new(Code::ObjectNotDeleted, format!("{} is not configured here", node.path)));
    }
    gone.push(Rc::new(Gone { path: node.path.clone(), table: table_of(&row.path).into(), key: row.key.clone() }));
    Ok(())
}

fn remove_below(
    eval: &Eval<'_>,
    node: &Node,
    object: ObjectId,
    staging: &mut Staging,
    gone: &mut Vec<Rc<Gone>>,
) -> Result<(), Fault> {
    for &child in &eval.schema[object].children {
        let schema = &eval.schema[child];
        if !schema.table {
            remove_below(eval, node, child, staging, gone)?;
            continue;
        }
        let has_sections = schema.each.iter().any(|e| matches!(e.rows, RowSource::Uci { .. }));
        if has_sections && schema.creatable {
            let path = eval.table_path(child, node.row.as_deref());
            for row in eval.rows(child, node.row.as_ref(), &path).iter() {
                remove(eval, &resolve::instance(row), staging, gone)?;
            }
        }
    }
    Ok(())
}

/// The edits that make one package of another.
pub(super) fn difference(old: &Package, new: &Package) -> Vec<Edit> {
    let by_name = |package| sections(package).collect::<Map<_, _>>();
    let (olds, news) = (by_name(old), by_name(new));
    let mut edits = Vec::new();
    for (name, section) in sections(old) {
        if news.get(name).is_none_or(|now| now.kind != section.kind) {
            edits.push(Edit::Delete { section: name.into() });
        }
    }
    for (name, section) in sections(new) {
        let before = olds.get(name).filter(|before| before.kind == section.kind);
        if before.is_none() {
            edits.push(Edit::Add { section: name.into(), kind: section.kind.clone() });
        }
        let set = |option: &str, value| Edit::Set { section: name.into(), option: option.into(), value };
        for option in before.iter().flat_map(|s| &s.options).filter(|o| section.get(&o.name).is_none()) {
            edits.push(set(&option.name, None));
        }
        for option in &section.options {
            if before.and_then(|s| s.get(&option.name)) != Some(&option.value) {
                edits.push(set(&option.name, Some(option.value.clone())));
            }
        }
    }
    edits
}

/// The edits that bring sections into the order of the new package, once it has the same ones.
pub(super) fn order(old: &Package, new: &Package) -> Vec<Edit> {
    let wanted: Vec<&str> = sections(new).map(|(name, _)| name).collect();
    let stays = |name: &str, in_package: &Package| in_package.section(name).map(|s| s.kind.clone());
    let kept = |name: &&str| stays(name, old).is_some() && stays(name, old) == stays(name, new);
    let mut now: Vec<&str> = sections(old).map(|(name, _)| name).filter(kept).collect();
    now.extend(wanted.iter().filter(|name| !kept(name)));
    let mut edits = Vec::new();
    for (at, first) in wanted.iter().enumerate() {
        let Some(there) = now.get(at).copied().filter(|there| there != first) else { continue };
        // One has gone down, or one has come up.
        let down = now.get(at + 1) == Some(first);
        let (moved, before) = match down {
            true => (there, wanted.iter().skip_while(|name| **name != there).nth(1).copied()),
            false => (*first, Some(there)),
        };
        now.retain(|name| *name != moved);
        let place = before.and_then(|before| now.iter().position(|name| *name == before)).unwrap_or(now.len());
        now.insert(place, moved);
        edits.push(Edit::Place { section: moved.into(), before: before.map(Into::into) });
    }
    edits
}

fn sections(package: &Package) -> impl Iterator<Item = (&str, &uci::Section)> {
    package.sections.iter().map(|section| (&*section.name, section))
}

/// `Device.A.B.` of `Device.A.B.1.`
pub(super) fn table_of(path: &str) -> &str {
    let bare = path.trim_end_matches('.');
    bare.rfind('.').and_then(|dot| bare.get(..=dot)).unwrap_or(path)
}
