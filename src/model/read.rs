//! Get, GetInstances and the commands a path names.

use super::arguments::checked;
use super::eval::{Eval, Made, Scope};
use super::gather::Found;
use super::mount;
use super::resolve::{self, Node, readable, resolve, rights, unsupported};
use super::schema::{Command, ObjectId, Param};
use super::source::{CommandSource, Text};
use super::sources::Sources;
use super::{Model, Permit, Rights};
use crate::backend::{Backend, CallError, Table};
use crate::path::Leaf;
use crate::usp::fault::{Code, Fault};

/// The answers to several paths, and what they depend on.
#[derive(Debug)]
pub struct Reading {
    /// One per path, in order.
    pub results: Vec<Result<Vec<ObjectValues>, Fault>>,
    /// What each of them was read from, in the same order.
    pub sources: Vec<Sources>,
}

/// The parameters of one object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectValues {
    /// With a final dot.
    pub path: String,
    /// Names relative to the path, and values.
    pub params: Vec<(Text, String)>,
}

/// One instance with its unique keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instance {
    /// With a final dot.
    pub path: String,
    /// Readable unique key parameters and their values.
    pub keys: Vec<(Box<str>, String)>,
}

/// One command that a path names, with its input checked.
#[derive(Debug)]
pub struct Invocation {
    /// `Device.IP.Diagnostics.IPPing()`
    pub path: String,
    /// The object it belongs to.
    pub object: Node,
    /// `IPPing()`
    pub name: Box<str>,
    /// It ends with OperationComplete.
    pub asynchronous: bool,
    /// What performs it.
    pub source: CommandSource,
    /// Input arguments, unknown ones left out (R-OPR.6), defaults filled in.
    pub input: Vec<(String, String)>,
    /// Why it cannot be performed: 7006 or 7027, answered in the result of this command.
    pub fault: Option<Fault>,
}

/// Rounds of questions of one reading at most: `let`s and references go no deeper. What is asked then has no answer.
const MAX_ROUNDS: usize = 24;

/// Bytes of names and values that one message reads at most; the largest record is a quarter of it.
pub const MAX_ANSWER: usize = 4 << 20;

impl<B: Backend> Model<B> {
    /// Evaluates until nothing is missing.
    pub(super) async fn evaluate<T>(
        &self,
        docs: &mut super::docs::Docs,
        mut question: impl FnMut(&Eval<'_>) -> T,
    ) -> T {
        let aliases = super::eval::Aliases::default();
        self.evaluate_with(docs, &aliases, &mut question).await
    }

    /// The same with Aliases not yet committed.
    pub(super) async fn evaluate_with<T>(
        &self,
        docs: &mut super::docs::Docs,
        aliases: &super::eval::Aliases,
        mut question: impl FnMut(&Eval<'_>) -> T,
    ) -> T {
        let mut round = 0;
        let mut made = Made::default();
        loop {
            let outcome = {
                let facts = self.facts.borrow();
                let eval = Eval::new(&self.schema, docs, &self.instances, &facts, aliases, self.now.get(), made);
                let outcome = question(&eval);
                made = eval.into_made();
                outcome
            };
            round += 1;
            if !docs.incomplete() {
                return outcome;
            }
            if round == MAX_ROUNDS {
                log::warn!("event=reading_too_deep rounds={MAX_ROUNDS} check=mapping");
                docs.close();
                continue;
            }
            docs.fetch(&self.backend, &self.views).await;
        }
    }

    /// The values behind paths, sub-objects to `max_depth` (0 is all, 1 the object only).
    pub async fn get(&self, permit: &dyn Permit, paths: &[&str], max_depth: u32) -> Reading {
        let mut docs = super::docs::Docs::default();
        let depth = if max_depth == 0 { u32::MAX } else { max_depth };
        let mut found = Found::default();
        let (results, used) = self
            .evaluate(&mut docs, |eval| {
                let mut left = MAX_ANSWER;
                let one = |path: &&str| {
                    eval.docs.forget_use();
                    eval.docs.forget_doubt();
                    let values = get(eval, permit, path, depth, &mut found);
                    let values = values.and_then(|values| within(values, &mut left));
                    (values, (eval.docs.used(), eval.docs.doubt()))
                };
                paths.iter().map(one).unzip::<_, _, Vec<_>, Vec<_>>()
            })
            .await;
        let sources = used.iter().map(|(used, doubt)| Sources::of(&docs, used, *doubt));
        Reading { results, sources: sources.collect() }
    }

    /// The instances of the tables behind paths.
    pub async fn instances(
        &self,
        permit: &dyn Permit,
        paths: &[&str],
        first_level_only: bool,
    ) -> (Vec<Result<Vec<Instance>, Fault>>, Vec<Sources>) {
        let mut docs = super::docs::Docs::default();
        let (results, used) = self
            .evaluate(&mut docs, |eval| {
                let mut left = MAX_ANSWER;
                let one = |path: &&str| {
                    eval.docs.forget_use();
                    eval.docs.forget_doubt();
                    let found = instances(eval, permit, path, first_level_only);
                    (found.and_then(|found| within(found, &mut left)), (eval.docs.used(), eval.docs.doubt()))
                };
                paths.iter().map(one).unzip::<_, _, Vec<_>, Vec<_>>()
            })
            .await;
        let sources = used.iter().map(|(used, doubt)| Sources::of(&docs, used, *doubt));
        (results, sources.collect())
    }

    /// The commands a path names, their input checked.
    pub async fn commands(
        &self,
        permit: &dyn Permit,
        path: &str,
        input: &[(String, String)],
    ) -> Result<Vec<Invocation>, Fault> {
        let mut docs = super::docs::Docs::default();
        self.evaluate(&mut docs, |eval| commands(eval, permit, path, input)).await
    }

    /// Performs a command that is a ubus call, or that of a plugin; its output arguments.
    pub async fn call(&self, invocation: &Invocation) -> Result<Vec<(String, String)>, Fault> {
        if invocation.source == CommandSource::Mounted {
            let (object, args) = mount::execution(&invocation.path, &invocation.input);
            return mount::output(self.backend.call_all(object, mount::EXECUTE, &args).await);
        }
        let CommandSource::Ubus { object, method, args } = &invocation.source else {
            return Err(Fault::new(Code::InternalError, "not a call"));
        };
        let mut docs = super::docs::Docs::default();
        let node = &invocation.object;
        let filled: Option<(String, Table)> = self
            .evaluate(&mut docs, |eval| {
                let scope = Scope { eval, object: node.object, row: node.row.as_ref() };
                Some((scope.fill(*object)?.into_owned(), scope.arguments(args)?))
            })
            .await;
        let Some((object, args)) = filled else {
            return Err(Fault::new(Code::CommandFailure, "the router does not say what to act on"));
        };
        self.backend.call(&object, method, &args).await.map(|_| Vec::new()).map_err(|why| call_fault(&object, &why))
    }
}

/// What an answer costs of [`MAX_ANSWER`].
trait Size {
    fn size(&self) -> usize;
}

impl Size for ObjectValues {
    fn size(&self) -> usize {
        self.path.len() + pairs(&self.params)
    }
}

impl Size for Instance {
    fn size(&self) -> usize {
        self.path.len() + pairs(&self.keys)
    }
}

fn pairs(pairs: &[(impl AsRef<str>, String)]) -> usize {
    pairs.iter().map(|(name, value)| name.as_ref().len() + value.len()).sum()
}

fn within<T: Size>(answer: Vec<T>, left: &mut usize) -> Result<Vec<T>, Fault> {
    let size = answer.iter().map(Size::size).sum();
    *left = left.checked_sub(size).ok_or(Fault::new(Code::ResourcesExceeded, "the answer is too long"))?;
    Ok(answer)
}

fn call_fault(object: &str, why: &CallError) -> Fault {
    Fault::new(Code::CommandFailure, format!("{object}: {why}"))
}

fn get(
    eval: &Eval<'_>,
    permit: &dyn Permit,
    text: &str,
    depth: u32,
    found: &mut Found,
) -> Result<Vec<ObjectValues>, Fault> {
    let path = resolve::parse(text)?;
    let resolved = resolve(eval, permit, &path)?;
    // R-GET.0: a path that searches for nothing must name something that is there.
    if resolved.absent && !resolved.search && resolved.nodes.is_empty() {
        return Err(Fault::new(Code::InvalidPath, format!("{text} is not there")));
    }
    let mut values = Vec::new();
    match resolved.leaf {
        Leaf::Object => {
            values = found.gather(eval, permit, &resolved.nodes, depth);
            // What may not be read does not exist (R-GET.1).
            let readable = |node: &Node| permit.object(&node.path).allow(Rights::OBJECT_READ);
            if values.is_empty() && !resolved.search && !resolved.nodes.iter().any(readable) {
                return Err(unsupported(text));
            }
        }
        Leaf::Parameter(name) => {
            if let Some(object) = resolved.object {
                let schema = &eval.schema[object];
                let seen = |param: &&Param| readable(permit, schema.path, param.name);
                schema.param(name).filter(seen).ok_or_else(|| unsupported(text))?;
            }
            for node in &resolved.nodes {
                parameter(eval, permit, node, name, &mut values);
            }
            // What may not be read does not exist.
            if values.is_empty() && !resolved.nodes.is_empty() && !resolved.search {
                return Err(unsupported(text));
            }
        }
        Leaf::Command(_) | Leaf::Event(_) => return Err(unsupported(text)),
    }
    Ok(values)
}

fn parameter(eval: &Eval<'_>, permit: &dyn Permit, node: &Node, name: &str, into: &mut Vec<ObjectValues>) {
    let scope = Scope { eval, object: node.object, row: node.row.as_ref() };
    let Some(param) = scope.schema().param(name) else { return };
    if readable(permit, &node.path, name) {
        let value = resolve::shown(&scope, permit, param);
        let params = value.map(|v| (param.name, v)).into_iter().collect();
        into.push(ObjectValues { path: node.path.clone(), params });
    }
}

/// A direct sub-object or sub-table, where it is there.
pub(super) fn below(eval: &Eval<'_>, node: &Node, child: ObjectId) -> Option<Node> {
    let scope = Scope { eval, object: child, row: node.row.as_ref() };
    let schema = scope.schema();
    scope.exists().then(|| Node {
        object: child,
        row: node.row.clone(),
        at_table: schema.table,
        path: format!("{}{}.", node.path, schema.name),
    })
}

fn instances(eval: &Eval<'_>, permit: &dyn Permit, text: &str, first_level_only: bool) -> Result<Vec<Instance>, Fault> {
    let path = resolve::parse(text)?;
    let resolved = resolve(eval, permit, &path)?;
    let tables = resolved.object.map_or_else(|| resolved.nodes.iter().all(|n| n.at_table), |o| eval.schema[o].table);
    let at_table = resolved.nodes.iter().all(|n| n.at_table);
    if !matches!(resolved.leaf, Leaf::Object) || !tables {
        return Err(Fault::new(Code::NotATable, format!("{text} is not a table")));
    }
    if resolved.absent && !resolved.search && resolved.nodes.is_empty() {
        return Err(Fault::new(Code::ObjectDoesNotExist, format!("{text} is not there")));
    }
    let mut found = Vec::new();
    for node in &resolved.nodes {
        if at_table {
            list(eval, permit, node, first_level_only, &mut found);
        } else {
            list_instance(eval, permit, node, first_level_only, &mut found);
        }
    }
    Ok(found)
}

fn list(eval: &Eval<'_>, permit: &dyn Permit, table: &Node, first_level_only: bool, into: &mut Vec<Instance>) {
    if !first_level_only {
        mount::ask_whole(eval, table);
    }
    for row in eval.rows(table.object, table.row.as_ref(), &table.path).iter() {
        list_instance(eval, permit, &resolve::instance(row), first_level_only, into);
    }
}

fn list_instance(eval: &Eval<'_>, permit: &dyn Permit, node: &Node, first_only: bool, into: &mut Vec<Instance>) {
    if !permit.object(&node.path).allow(Rights::INSTANCE_READ) {
        return;
    }
    into.push(Instance { path: node.path.clone(), keys: keys(eval, permit, node) });
    if !first_only {
        list_below(eval, permit, node, into);
    }
}

fn list_below(eval: &Eval<'_>, permit: &dyn Permit, node: &Node, into: &mut Vec<Instance>) {
    for &child in &eval.schema[node.object].children {
        match below(eval, node, child) {
            Some(table) if table.at_table => list(eval, permit, &table, false, into),
            Some(object) => list_below(eval, permit, &object, into),
            None => {}
        }
    }
}

/// The readable unique key parameters of an instance.
pub(super) fn keys(eval: &Eval<'_>, permit: &dyn Permit, node: &Node) -> Vec<(Box<str>, String)> {
    let scope = Scope { eval, object: node.object, row: node.row.as_ref() };
    let mut keys: Vec<(Box<str>, String)> = Vec::new();
    for name in scope.schema().keys.iter().flat_map(|k| &k.params) {
        let Some(param) = scope.schema().param(name) else { continue };
        if keys.iter().any(|(n, _)| n == name) || !readable(permit, &node.path, name) {
            continue;
        }
        if let Some(value) = resolve::shown(&scope, permit, param) {
            keys.push((name.clone(), value));
        }
    }
    keys
}

fn commands(
    eval: &Eval<'_>,
    permit: &dyn Permit,
    text: &str,
    input: &[(String, String)],
) -> Result<Vec<Invocation>, Fault> {
    let path = resolve::parse(text)?;
    let Leaf::Command(name) = path.leaf else {
        return Err(Fault::new(Code::InvalidPath, format!("{text} is not a command")));
    };
    let resolved = resolve(eval, permit, &path)?;
    let named =
        |object: ObjectId| eval.schema[object].commands.iter().find(|c| c.name.strip_suffix("()") == Some(name));
    // A command the caller may neither see nor perform does not exist for him.
    let unseen = |object: ObjectId| match named(object) {
        Some(command) => {
            let may = rights(permit, eval.schema[object].path, command.name);
            !may.allow(Rights::COMMAND_READ) && !may.allow(Rights::COMMAND_EXECUTE)
        }
        None => true,
    };
    if resolved.object.is_some_and(unseen) {
        return Err(unsupported(text));
    }
    if resolved.nodes.is_empty() && !resolved.search {
        return Err(Fault::new(Code::ObjectDoesNotExist, format!("{text} is not there")));
    }
    let found = resolved.nodes.into_iter().filter_map(|node| {
        let command = named(node.object)?;
        Some(invocation(permit, node, command, input))
    });
    Ok(found.collect())
}

fn invocation(permit: &dyn Permit, node: Node, command: &Command, input: &[(String, String)]) -> Invocation {
    let denied = !rights(permit, &node.path, command.name).allow(Rights::COMMAND_EXECUTE);
    let (input, fault) = match checked(&command.input, input) {
        _ if denied => (Vec::new(), Some(Fault::new(Code::PermissionDenied, "no permission to operate"))),
        Ok(input) => (input, None),
        Err(fault) => (Vec::new(), Some(fault)),
    };
    Invocation {
        path: format!("{}{}", node.path, command.name),
        object: node,
        name: command.name.into(),
        asynchronous: command.asynchronous,
        source: command.source.clone(),
        input,
        fault,
    }
}
