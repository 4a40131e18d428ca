//! From a path to what it names on this router now.

use super::eval::{Eval, Row, Scope};
use super::schema::{Kind, ObjectId, Param, Schema};
use super::value;
use super::{Everything, Permit, Rights};
use crate::order::Set;
use crate::path::{self, Condition, Dialect, Expression, Follow, Leaf, Path, Scalar, Step, Which};
use crate::usp::fault::{Code, Fault};
use std::borrow::Cow;
use std::rc::Rc;

/// One object, instance or table that a path names.
#[derive(Debug, Clone)]
pub struct Node {
    /// Its object.
    pub object: ObjectId,
    /// The nearest row.
    pub row: Option<Rc<Row>>,
    /// It is the table itself, no instance of it.
    pub at_table: bool,
    /// With a final dot.
    pub path: String,
}

/// What a path names.
#[derive(Debug)]
pub struct Resolved<'p> {
    /// What is there, in instance order.
    pub nodes: Vec<Node>,
    /// What the path names in each of them.
    pub leaf: Leaf<'p>,
    /// An instance or object the path names outright is not there.
    pub absent: bool,
    /// The path searches: naming nothing is no error (R-MSG.4a).
    pub search: bool,
    /// The object in the supported model; None behind a reference.
    pub object: Option<ObjectId>,
}

/// References that lead to references, at most.
const MAX_FOLLOWED: usize = 4;

/// At most so many nodes of one path.
pub const MAX_NODES: usize = 8192;

/// Parses a path as controllers send it.
pub fn parse(text: &str) -> Result<Path<'_>, Fault> {
    path::parse(text, Dialect::LENIENT).map_err(|why| Fault::new(Code::InvalidPathSyntax, format!("{why}")))
}

/// A fault for a path that is not in the supported model.
pub fn unsupported(path: &str) -> Fault {
    let shown: String = path.chars().take(128).collect();
    Fault::new(Code::InvalidPath, format!("{shown} is not in the supported data model"))
}

/// Resolves a parsed path.
pub fn resolve<'p>(eval: &Eval<'_>, permit: &dyn Permit, path: &Path<'p>) -> Result<Resolved<'p>, Fault> {
    let mut walk = Walk { eval, permit, depth: 0 };
    let resolved = walk.resolve(path)?;
    match resolved.object {
        Some(object) if unseen(permit, eval.schema, object) => Err(unsupported(path.text)),
        _ => Ok(resolved),
    }
}

/// The row a reference names, by instance number or by unique key; with or without its final dot.
pub fn row_at(eval: &Eval<'_>, reference: &str) -> Option<Rc<Row>> {
    let dotted = format!("{}.", reference.trim_end_matches('.'));
    let node = resolve(eval, &Everything, &parse(&dotted).ok()?).ok()?.nodes.into_iter().find(|n| !n.at_table)?;
    node.row.filter(|row| row.object == node.object)
}

/// The caller has no right on this object of the supported model, nor on anything in it: for him it does not exist.
fn unseen(permit: &dyn Permit, schema: &Schema, object: ObjectId) -> bool {
    let object = &schema[object];
    permit.object(object.path) == Rights::default()
        && !permit.by_element(object.path)
        && object.children.iter().all(|&child| unseen(permit, schema, child))
}

struct Walk<'e> {
    eval: &'e Eval<'e>,
    permit: &'e dyn Permit,
    depth: usize,
}

/// Where a walk stands.
struct State {
    nodes: Vec<Node>,
    /// The object in the supported model; None behind a reference.
    object: Option<ObjectId>,
    /// The last name was a table's and its row is not chosen yet.
    at_table: bool,
    absent: bool,
}

impl<'e> Walk<'e> {
    fn resolve<'p>(&mut self, path: &Path<'p>) -> Result<Resolved<'p>, Fault> {
        let root = ObjectId(0);
        let Some(Step::Name("Device")) = path.steps.first() else { return Err(unsupported(path.text)) };
        let node = Node { object: root, row: None, at_table: false, path: "Device.".into() };
        let mut state = State { nodes: vec![node], object: Some(root), at_table: false, absent: false };
        for step in path.steps.iter().skip(1) {
            match step {
                Step::Name(name) => self.name(&mut state, name, path)?,
                Step::Instance(number) => self.row(&mut state, path, *number)?,
                Step::Wildcard => self.rows(&mut state, path, |_, _| Ok(true))?,
                Step::Search(expression) => {
                    if let Some(object) = state.object {
                        self.supported(object, expression, path)?;
                    }
                    self.rows(&mut state, path, |walk, row| walk.matches(row, expression, path))?;
                }
                Step::Follow(follow) => self.follow(&mut state, *follow, path)?,
                Step::Template => {
                    return Err(Fault::new(Code::InvalidPathSyntax, "{i} names no instance"));
                }
            }
        }
        if state.at_table && !matches!(path.leaf, Leaf::Object) {
            return Err(unsupported(path.text));
        }
        let search = path.is_search();
        Ok(Resolved { nodes: state.nodes, leaf: path.leaf, absent: state.absent, search, object: state.object })
    }

    fn name(&mut self, state: &mut State, name: &str, path: &Path<'_>) -> Result<(), Fault> {
        if state.at_table {
            return Err(unsupported(path.text));
        }
        if let Some(object) = state.object {
            state.object = Some(self.eval.schema.child(object, name).ok_or_else(|| unsupported(path.text))?);
        }
        let before = state.nodes.len();
        let mut next = Vec::with_capacity(before);
        for node in state.nodes.drain(..).filter(|node| !node.at_table) {
            let Some(child) = self.eval.schema.child(node.object, name) else { continue };
            let scope = Scope { eval: self.eval, object: child, row: node.row.as_ref() };
            if scope.exists() {
                let at_table = self.eval.schema[child].table;
                next.push(Node { object: child, path: format!("{}{name}.", node.path), row: node.row, at_table });
            } else {
                state.absent = true;
            }
        }
        if state.object.is_none() && next.is_empty() && before > 0 && !state.absent {
            return Err(unsupported(path.text));
        }
        state.at_table = match state.object {
            Some(object) => self.eval.schema[object].table,
            None => next.first().is_some_and(|n| n.at_table),
        };
        state.nodes = next;
        Ok(())
    }

    /// Goes on from tables to one of their rows.
    fn row(&mut self, state: &mut State, path: &Path<'_>, number: u32) -> Result<(), Fault> {
        for node in enter(state, path)? {
            let rows = self.eval.rows(node.object, node.row.as_ref(), &node.path);
            let found = rows.binary_search_by_key(&number, |row| row.number).ok().and_then(|at| rows.get(at));
            match found.filter(|row| self.permit.object(&row.path).allow(Rights::OBJECT_READ)) {
                Some(row) => state.nodes.push(instance(row)),
                None => state.absent = true,
            }
        }
        Ok(())
    }

    /// Goes on from tables to those of their rows that `choose` takes.
    fn rows(
        &mut self,
        state: &mut State,
        path: &Path<'_>,
        mut choose: impl FnMut(&mut Self, &Rc<Row>) -> Result<bool, Fault>,
    ) -> Result<(), Fault> {
        for node in enter(state, path)? {
            for row in self.eval.rows(node.object, node.row.as_ref(), &node.path).iter() {
                if self.permit.object(&row.path).allow(Rights::OBJECT_READ) && choose(self, row)? {
                    push(&mut state.nodes, instance(row))?;
                }
            }
        }
        Ok(())
    }

    /// What an expression names is supported and compares so; where there are no rows nobody else would notice.
    fn supported(&self, table: ObjectId, expression: &Expression<'_>, path: &Path<'_>) -> Result<(), Fault> {
        for condition in &expression.conditions {
            let mut object = table;
            let mut known = true;
            for step in &condition.parameter.steps {
                match step {
                    Step::Name(name) => {
                        object = self.eval.schema.child(object, name).ok_or_else(|| unsupported(path.text))?;
                    }
                    // What a reference leads to is known when it is followed.
                    _ => {
                        known = false;
                        break;
                    }
                }
            }
            if known {
                let param = self.eval.schema[object].param(condition.parameter.parameter);
                let seen = |param: &&Param| readable(self.permit, self.eval.schema[object].path, param.name);
                let param = param.filter(seen).ok_or_else(|| unsupported(path.text))?;
                condition.holds("", comparison(param)).map_err(mismatch)?;
            }
        }
        Ok(())
    }

    fn matches(&mut self, row: &Rc<Row>, expression: &Expression<'_>, path: &Path<'_>) -> Result<bool, Fault> {
        for condition in &expression.conditions {
            if !self.condition(row, condition, path)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn condition(&mut self, row: &Rc<Row>, condition: &Condition<'_>, path: &Path<'_>) -> Result<bool, Fault> {
        let relative = &condition.parameter;
        let mut state = State { nodes: vec![instance(row)], object: Some(row.object), at_table: false, absent: false };
        for step in &relative.steps {
            match step {
                Step::Name(name) => self.name(&mut state, name, path)?,
                Step::Follow(follow) => self.follow(&mut state, *follow, path)?,
                _ => return Err(Fault::new(Code::InvalidPathSyntax, "a condition cannot enter a table")),
            }
        }
        if let Some(object) = state.object {
            self.eval.schema[object].param(relative.parameter).ok_or_else(|| unsupported(path.text))?;
        }
        for node in &state.nodes {
            let scope = Scope { eval: self.eval, object: node.object, row: node.row.as_ref() };
            let Some(param) = scope.schema().param(relative.parameter) else { continue };
            if !readable(self.permit, &node.path, param.name) {
                continue;
            }
            let Some(text) = shown(&scope, self.permit, param) else { continue };
            let holds = condition.holds(&text, comparison(param));
            if holds.map_err(mismatch)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Goes on from objects to what their reference parameter names.
    fn follow(&mut self, state: &mut State, follow: Follow<'_>, path: &Path<'_>) -> Result<(), Fault> {
        if state.at_table {
            return Err(unsupported(path.text));
        }
        if self.depth >= MAX_FOLLOWED {
            return Err(Fault::new(Code::ResourcesExceeded, "references lead too far"));
        }
        if let Some(object) = state.object {
            let schema = &self.eval.schema[object];
            let seen = |param: &&Param| readable(self.permit, schema.path, param.name);
            let param = schema.param(follow.parameter).filter(seen).ok_or_else(|| unsupported(path.text))?;
            if param.facets.reference.is_none() {
                return Err(Fault::new(Code::InvalidPathSyntax, format!("{} is no reference", follow.parameter)));
            }
        }
        state.object = None;
        self.depth += 1;
        // Several may refer to the same.
        let mut met = Set::new();
        let nodes = std::mem::take(&mut state.nodes);
        for node in nodes {
            let scope = Scope { eval: self.eval, object: node.object, row: node.row.as_ref() };
            let param = scope.schema().param(follow.parameter);
            let Some(param) = param.filter(|p| readable(self.permit, &node.path, p.name)) else { continue };
            let list = text(&scope, param).unwrap_or_default();
            let items: Vec<&str> = list.split(',').map(str::trim).filter(|i| !i.is_empty()).collect();
            let chosen = match follow.which {
                Which::One => items.get(..1.min(items.len())),
                Which::Nth(n) => items.get(n.saturating_sub(1) as usize..).and_then(|rest| rest.get(..1)),
                Which::All => items.get(..),
            };
            state.absent |= chosen.unwrap_or(&[]).is_empty();
            for item in chosen.unwrap_or(&[]) {
                let found = self.referenced(item);
                state.absent |= found.is_empty();
                for node in found.into_iter().filter(|node| met.insert(node.path.clone())) {
                    push(&mut state.nodes, node)?;
                }
            }
        }
        self.depth -= 1;
        Ok(())
    }

    /// What a reference names; a reference to nothing names nothing.
    fn referenced(&mut self, reference: &str) -> Vec<Node> {
        let dotted = format!("{}.", reference.trim_end_matches('.'));
        let Ok(path) = parse(&dotted) else { return Vec::new() };
        self.resolve(&path).map(|r| r.nodes).unwrap_or_default()
    }
}

/// The tables a walk stands at, to go on to their rows.
fn enter(state: &mut State, path: &Path<'_>) -> Result<Vec<Node>, Fault> {
    if !std::mem::take(&mut state.at_table) {
        return Err(unsupported(path.text));
    }
    let mut tables = std::mem::take(&mut state.nodes);
    tables.retain(|node| node.at_table);
    Ok(tables)
}

fn push(nodes: &mut Vec<Node>, node: Node) -> Result<(), Fault> {
    if nodes.len() >= MAX_NODES {
        return Err(Fault::new(Code::ResourcesExceeded, "the path names too many objects"));
    }
    nodes.push(node);
    Ok(())
}

fn mismatch(why: path::Mismatch) -> Fault {
    Fault::new(Code::InvalidPathSyntax, why.to_string())
}

/// The node of a row.
pub fn instance(row: &Rc<Row>) -> Node {
    Node { object: row.object, row: Some(row.clone()), at_table: false, path: row.path.to_string() }
}

/// The text of a parameter, with the standard's word for "nothing"; None where its source failed or the type has none.
pub fn text(scope: &Scope<'_>, param: &Param) -> Option<String> {
    scope.eval.docs.forget_failure();
    let value = scope.param_value(param);
    if scope.eval.docs.failed() && (value.is_none() || matches!(param.source, super::schema::ParamSource::Count(_))) {
        return None;
    }
    // What counts by itself begins somewhere, but nobody counted that default.
    let default = param.default.as_deref().filter(|_| !param.value_change_ignored);
    let absent = || value::absent(param.kind, param.facets.list.is_some(), default);
    // Of what a plugin has no value nobody knows one.
    if matches!(param.source, super::schema::ParamSource::Mounted) { value } else { value.or_else(absent) }
}

/// What a reader sees: secured parameters are empty without a secured role, also to a search that guesses at them.
pub(super) fn shown(scope: &Scope<'_>, permit: &dyn Permit, param: &Param) -> Option<String> {
    if param.secured && !permit.secured() { Some(String::new()) } else { text(scope, param) }
}

/// May the parameter be read?
pub fn readable(permit: &dyn Permit, object: &str, name: &str) -> bool {
    rights(permit, object, name).allow(Rights::PARAM_READ)
}

/// The rights on an element of an object.
pub fn rights(permit: &dyn Permit, object: &str, name: &str) -> Rights {
    if permit.by_element(object) { permit.element(object, name) } else { permit.object(object) }
}

/// How a parameter compares in a search expression.
fn comparison(param: &Param) -> path::Kind {
    let scalar = match param.kind {
        Kind::String => Scalar::String,
        Kind::Boolean => Scalar::Boolean,
        Kind::DateTime => Scalar::DateTime,
        Kind::Base64 => Scalar::Base64,
        Kind::HexBinary => Scalar::HexBinary,
        Kind::Int | Kind::UnsignedInt | Kind::Long | Kind::UnsignedLong | Kind::Decimal => Scalar::Number,
    };
    if param.facets.list.is_some() { path::Kind::List(scalar) } else { path::Kind::One(scalar) }
}

/// The template path that a path with instance numbers stands for.
pub fn template(path: &Path<'_>) -> Cow<'static, str> {
    let mut text = String::new();
    for step in &path.steps {
        match step {
            Step::Name(name) => text.push_str(name),
            _ => text.push_str("{i}"),
        }
        text.push('.');
    }
    text.into()
}
