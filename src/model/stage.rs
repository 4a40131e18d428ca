//! How one change becomes edits of UCI sections: values on their way back through the filters, new rows, removed rows.

use super::Everything;
use super::eval::{Eval, Scope};
use super::native;
use super::pipeline::{invert, stored};
use super::resolve::{self, Node, resolve};
use super::schema::{ObjectId, Param};
use super::source::{Filter, Pipeline, RowSource, Source};
use crate::backend::uci::{self, Edit, OptValue, Package};
use crate::usp::fault::{Code, Fault};
use std::rc::Rc;

/// What a Rust function stages.
#[derive(Debug, Default)]
pub struct Staging {
    pub(super) edits: Vec<(Box<str>, Edit)>,
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
    let kept = |filters: &[Filter]| back(scope, param, filters, value);
    match &pipeline.source {
        Source::Uci { package, section, option, index } => {
            let section = scope.uci(package).and_then(|p| scope.uci_section(p, section))?;
            Some(kept(&pipeline.filters).map(|text| {
                let value = option_value(section, option, *index, &pipeline.filters, &text);
                staging.set(package, &section.name, option, value);
            }))
        }
        Source::Option { option, index } => {
            let (package, section) = scope.section()?;
            Some(kept(&pipeline.filters).map(|text| {
                let value = option_value(section, option, *index, &pipeline.filters, &text);
                staging.set(&package.name, &section.name, option, value);
            }))
        }
        Source::Native(name) => {
            let write = native::write(name)?;
            Some(kept(&pipeline.filters).and_then(|text| write(scope, &text, staging)))
        }
        _ => None,
    }
}

/// A canonical value on its way back to the router, filters right to left.
fn back(scope: &Scope<'_>, param: &Param, filters: &[Filter], value: &str) -> Result<String, Fault> {
    let refused = || Fault::new(Code::InvalidValue, format!("the router has no {} like this", param.name));
    let list = param.facets.list.is_some();
    filters.iter().rev().try_fold(stored(param.kind, value), |text, filter| match filter {
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
        filter => invert(filter, text).ok_or_else(refused),
    })
}

/// The key of the row a reference names: by instance number, or by unique key.
fn key_of(scope: &Scope<'_>, table: &str, reference: &str) -> Option<String> {
    let table = scope.eval.schema.find(table)?;
    let dotted = format!("{}.", reference.trim_end_matches('.'));
    let path = resolve::parse(&dotted).ok()?;
    let resolved = resolve(scope.eval, &Everything, &path).ok()?;
    let node = resolved.nodes.into_iter().find(|n| n.object == table && !n.at_table)?;
    node.row.map(|row| row.key.to_string())
}

fn option_value(
    section: &uci::Section,
    option: &str,
    index: Option<u16>,
    filters: &[Filter],
    text: &str,
) -> Option<OptValue> {
    if let Some(at) = index.map(usize::from) {
        let mut items: Vec<Box<str>> = section.list(option).to_vec();
        if at >= items.len() && !text.is_empty() {
            items.push(text.into());
        } else if text.is_empty() && at < items.len() {
            items.remove(at);
        } else if let Some(item) = items.get_mut(at) {
            *item = text.into();
        }
        return (!items.is_empty()).then_some(OptValue::List(items));
    }
    let as_list = filters.contains(&Filter::List) || matches!(section.get(option), Some(OptValue::List(_)));
    if as_list {
        let items: Vec<Box<str>> = text
            .split(',')
            .filter(|t| !t.is_empty())
            .map(|t| t.replace("%2C", ",").replace("%25", "%").into())
            .collect();
        return (!items.is_empty()).then_some(OptValue::List(items));
    }
    (!text.is_empty()).then(|| OptValue::One(text.into()))
}

/// The edits that make a new row, and its key.
pub(super) fn new_row(eval: &Eval<'_>, table: &Node) -> Result<(Staging, String), Fault> {
    let object = &eval.schema[table.object];
    let scope = Scope { eval, object: table.object, row: table.row.as_ref() };
    let mut staging = Staging::default();
    if let Some((create, _)) = object.new.native.as_deref().and_then(native::maker) {
        let key = create(&scope, &mut staging)?;
        return Ok((staging, key));
    }
    let source = object.each.iter().find_map(|each| match &each.rows {
        RowSource::Uci { package, kind } => Some((package, kind)),
        _ => None,
    });
    let (package, kind) =
        source.ok_or_else(|| Fault::new(Code::ObjectNotCreatable, format!("{} has no rows to create", table.path)))?;
    let taken = |name: &str| eval.docs.package(package).is_some_and(|p| p.section(name).is_some());
    let name = section_name(kind, taken);
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
        let value = scope.fill(value).ok_or_else(|| Fault::new(Code::ObjectNotCreated, "a value is missing"))?;
        staging.set(package, &name, option, Some(OptValue::One((&*value).into())));
    }
    Ok((staging, name))
}

/// `usp_TYPE_N`, the first that is free: a name of its own, so that the instance keeps its number.
fn section_name(kind: &str, taken: impl Fn(&str) -> bool) -> String {
    let kind: String = kind.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
    let mut n = 1_u32;
    loop {
        let name = format!("{kind}_{n}");
        if !taken(&name) {
            return name;
        }
        n += 1;
    }
}

/// Stages the removal of a row and of the rows below it that have sections of their own.
pub(super) fn remove(
    eval: &Eval<'_>,
    node: &Node,
    staging: &mut Staging,
    gone: &mut Vec<(String, Box<str>, Box<str>)>,
) -> Result<(), Fault> {
    let Some(row) = &node.row else { return Ok(()) };
    remove_below(eval, node, node.object, staging, gone)?;
    let object = &eval.schema[node.object];
    if let Some((_, delete)) = object.new.native.as_deref().and_then(native::maker) {
        delete(&Scope { eval, object: node.object, row: node.row.as_ref() }, staging)?;
    } else if let Some((package, section)) = row.section() {
        staging.delete(&package.name, &section.name);
    } else {
        return Err(Fault::new(Code::ObjectNotDeleted, format!("{} is not configured here", node.path)));
    }
    gone.push((node.path.clone(), table_of(&row.path).into(), row.key.clone()));
    Ok(())
}

fn remove_below(
    eval: &Eval<'_>,
    node: &Node,
    object: ObjectId,
    staging: &mut Staging,
    gone: &mut Vec<(String, Box<str>, Box<str>)>,
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
    let mut edits = Vec::new();
    for section in &old.sections {
        if new.section(&section.name).is_none() {
            edits.push(Edit::Delete { section: section.name.clone() });
        }
    }
    for section in &new.sections {
        let name = &section.name;
        let before = old.section(name);
        if before.is_none() {
            edits.push(Edit::Add { section: name.clone(), kind: section.kind.clone() });
        }
        let set = |option: &str, value| Edit::Set { section: name.clone(), option: option.into(), value };
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

/// `Device.A.B.` of `Device.A.B.1.`
pub(super) fn table_of(path: &str) -> &str {
    let bare = path.trim_end_matches('.');
    bare.rfind('.').and_then(|dot| bare.get(..=dot)).unwrap_or(path)
}
