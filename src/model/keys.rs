//! Unique keys of rows: what the agent gives where nobody did, what stays for good, and whether they are unique.

use super::Everything;
use super::eval::{Eval, Row, Scope};
use super::resolve::{self, Node, resolve};
use super::schema::{Access, Kind, ObjectId, Param, ParamSource, UniqueKey};
use super::stage::{Staging, staged, table_of};
use crate::order::{self, Map};
use crate::usp::fault::{Code, Fault};
use std::rc::Rc;

/// A change of this parameter may make a key clash: it is part of one, or it enables the row.
pub(super) fn matters(eval: &Eval<'_>, node: &Node, param: &Param) -> bool {
    let keys = &eval.schema[node.object].keys;
    keys.iter().any(|key| key.has(param.name) || (key.functional && &*param.name == "Enable"))
}

/// What was written once, or is a key that identifies the instance, stays (R-KEY.1; TP-469 1.96, 1.104). An Alias
/// that the agent gave may be replaced once.
pub(super) fn guard(eval: &Eval<'_>, node: &Node, param: &Param, value: &str) -> Result<(), Fault> {
    let keys = &eval.schema[node.object].keys;
    let identifies = keys.iter().any(|k| !k.functional && k.has(param.name));
    if !identifies && param.access != Access::WriteOnce {
        return Ok(());
    }
    let scope = Scope { eval, object: node.object, row: node.row.as_ref() };
    let old = resolve::text(&scope, param).unwrap_or_default();
    let own = node.row.as_ref().map(|row| given(row.number));
    if old.is_empty() || old == value || (param.name == "Alias" && own.is_some_and(|own| old == own)) {
        return Ok(());
    }
    Err(Fault::new(Code::ParameterReadOnly, format!("{} is set for good", param.name)))
}

/// Stages the keys nobody gave (R-ADD.5), where the agent can give a value that the standard allows.
pub(super) fn assign(eval: &Eval<'_>, node: &Node) -> Staging {
    let scope = Scope { eval, object: node.object, row: node.row.as_ref() };
    let mut all = Staging::default();
    for param in key_params(eval, node) {
        let text = resolve::text(&scope, param);
        let empty = text.is_none_or(|v| v.is_empty() || (v == "0" && &*param.name == "Order"));
        if !empty || param.access == Access::ReadOnly {
            continue;
        }
        let value = assigned(eval, node, param).filter(|value| param.check(value).is_ok());
        let mut one = Staging::default();
        if value.is_some_and(|value| put(&scope, param, &value, &mut one).is_ok()) {
            all.append(one);
        }
    }
    all
}

/// Of a functional key of several parameters each means something by itself, an empty one too (STOMP's VirtualHost):
/// those read as they are.
fn key_params<'e>(eval: &'e Eval<'_>, node: &Node) -> Vec<&'e Param> {
    let object = &eval.schema[node.object];
    let made_up = |key: &UniqueKey| !key.functional || key.params.len() == 1;
    let keyed = |param: &&Param| object.keys.iter().any(|key| made_up(key) && key.has(param.name));
    object.params.iter().filter(keyed).collect()
}

/// `cpe-N` for a text, the next free number for a number.
fn assigned(eval: &Eval<'_>, node: &Node, param: &Param) -> Option<String> {
    match param.kind {
        Kind::String if param.facets.reference.is_none() => Some(given(node.row.as_ref()?.number)),
        Kind::UnsignedInt | Kind::Int => {
            let numbers = siblings(eval, node).filter_map(|other| {
                let scope = Scope { eval, object: other.object, row: other.row.as_ref() };
                resolve::text(&scope, param)?.parse::<i64>().ok()
            });
            Some(numbers.max().unwrap_or(0).saturating_add(1).to_string())
        }
        _ => None,
    }
}

fn given(number: u32) -> String {
    format!("cpe-{number}")
}

/// Stages one value: in UCI, or with the instance numbers.
pub(super) fn put(scope: &Scope<'_>, param: &Param, value: &str, staging: &mut Staging) -> Result<(), Fault> {
    scope.eval.docs.forget_failure();
    let not_kept = || match scope.eval.docs.failed() {
        true => Fault::new(Code::InternalError, format!("where {} is kept cannot be read, see the log", param.name)),
        false => Fault::new(Code::ParameterReadOnly, format!("{} has no place to be kept", param.name)),
    };
    match &param.source {
        ParamSource::Alias => {
            let row = scope.row.ok_or_else(not_kept)?;
            staging.aliases.push((row.path.clone(), row.key.clone(), value.into()));
            Ok(())
        }
        ParamSource::Mapped(alternatives) => alternatives
            .iter()
            .find_map(|pipeline| staged(scope, param, pipeline, value, staging))
            .unwrap_or_else(|| Err(not_kept())),
        ParamSource::Count(_) | ParamSource::Mounted => Err(not_kept()),
    }
}

/// Stages every default of the standard that would otherwise read differently, of a new row and of the objects that
/// are in it here.
pub(super) fn defaults(eval: &Eval<'_>, node: &Node, object: ObjectId, all: &mut Staging) {
    let scope = Scope { eval, object, row: node.row.as_ref() };
    if !scope.exists() {
        return;
    }
    for param in scope.schema().params.iter().filter(|param| param.access != Access::ReadOnly) {
        let Some(default) = param.default.as_deref().filter(|d| *d != "[]" && !d.is_empty()) else { continue };
        if resolve::text(&scope, param).as_deref() == Some(default) {
            continue;
        }
        // A default that the router has no place for is not kept; the parameter reads as it is.
        let mut one = Staging::default();
        if put(&scope, param, default, &mut one).is_ok() {
            all.append(one);
        }
    }
    for &child in scope.schema().children.iter().filter(|&&child| !eval.schema[child].table) {
        defaults(eval, node, child, all);
    }
}

fn siblings<'e>(eval: &Eval<'_>, node: &'e Node) -> impl Iterator<Item = Node> + use<'e> {
    let rows = node.row.as_ref().map(|row| eval.rows(row.object, row.parent.as_ref(), table_of(&row.path)));
    let rows: Vec<Rc<Row>> = rows.iter().flat_map(|rows| rows.iter().cloned()).collect();
    rows.into_iter().filter(|row| *row.path != *node.path).map(|row| resolve::instance(&row))
}

/// The first unique key of this row, by its parameters, that another row has too.
pub(super) fn clash(eval: &Eval<'_>, node: &Node) -> Option<String> {
    let others: Vec<Node> = siblings(eval, node).collect();
    let same = |key: &&UniqueKey| {
        let own = values(eval, node, key);
        own.is_some() && others.iter().any(|other| values(eval, other, key) == own)
    };
    eval.schema[node.object].keys.iter().find(same).map(|key| key.params.join(" and "))
}

/// The first unique key that one of these rows shares with any other row of its table.
pub(super) fn clash_of_any(eval: &Eval<'_>, changed: &order::Set<Box<str>>) -> Option<String> {
    let tables: order::Set<&str> = changed.iter().map(|path| table_of(path)).collect();
    tables.into_iter().find_map(|table| {
        let path = resolve::parse(table).ok()?;
        let table = resolve(eval, &Everything, &path).ok()?.nodes.into_iter().next()?;
        let rows = eval.rows(table.object, table.row.as_ref(), &table.path);
        let shared = |key: &&UniqueKey| {
            let mut owners: Map<Vec<String>, (usize, bool)> = Map::new();
            for row in rows.iter() {
                let Some(values) = values(eval, &resolve::instance(row), key) else { continue };
                let (count, touched) = owners.or_insert_with(values, |_| (0, false));
                *count += 1;
                *touched |= changed.contains(&row.path);
            }
            owners.values().any(|&(count, touched)| count > 1 && touched)
        };
        eval.schema[table.object].keys.iter().find(shared).map(|key| key.params.join(" and "))
    })
}

/// The values of a key; None where it is not given. TR-106: of a functional key only enabled rows count.
fn values(eval: &Eval<'_>, node: &Node, key: &UniqueKey) -> Option<Vec<String>> {
    let scope = Scope { eval, object: node.object, row: node.row.as_ref() };
    let object = scope.schema();
    let text = |name: &str| object.param(name).and_then(|param| resolve::text(&scope, param));
    if key.functional && text("Enable").is_some_and(|enabled| enabled == "false") {
        return None;
    }
    let all = key.params.iter().map(|name| text(name)).collect::<Option<Vec<String>>>();
    all.filter(|values| values.iter().any(|value| !value.is_empty()))
}
