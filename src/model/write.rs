//! Set, Add and Delete: one message, one transaction.
//!
//! Changes are staged on copies of the UCI packages, where later parts of the same message see them. Nothing is
//! written before [`Transaction::commit`], which writes each changed package once, all or none.

use super::docs::Docs;
use super::eval::{Aliases, Eval, Scope};
use super::native;
use super::pipeline::{invert, stored};
use super::read::{Instance, keys};
use super::resolve::{self, Node, resolve, rights, unsupported};
use super::schema::{Access, Kind, ObjectId, Param, ParamSource};
use super::source::{Filter, Pipeline, RowSource, Source};
use super::{Everything, Model, Permit, Rights};
use crate::backend::Backend;
use crate::backend::uci::{self, Edit, OptValue, Package};
use crate::path::{Leaf, Step};
use crate::usp::fault::{Code, Fault};
use std::rc::Rc;

/// One message's changes.
pub struct Transaction<'m, B: Backend> {
    model: &'m Model<B>,
    docs: Docs,
    changes: Changes,
}

/// What is staged so far.
#[derive(Debug, Clone, Default)]
struct Changes {
    packages: Vec<Touched>,
    aliases: Aliases,
    created: Vec<Node>,
    deleted: Vec<(String, Box<str>, Box<str>)>,
}

#[derive(Debug, Clone)]
struct Touched {
    name: Box<str>,
    /// As the model showed it when the message began.
    shown: Rc<Package>,
    now: Rc<Package>,
}

/// A state to come back to.
#[derive(Debug, Clone)]
pub struct Savepoint(Changes);

/// What a commit did.
#[derive(Debug, Default)]
pub struct Committed {
    /// The packages written.
    pub packages: Vec<Box<str>>,
    /// Created instances with their readable unique keys.
    pub created: Vec<Instance>,
    /// Paths of deleted instances, with final dots.
    pub deleted: Vec<String>,
}

/// What a Rust function stages.
#[derive(Debug, Default)]
pub struct Staging {
    edits: Vec<(Box<str>, Edit)>,
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

impl<B: Backend> Model<B> {
    /// Begins a transaction. One at a time.
    pub fn begin(&self) -> Transaction<'_, B> {
        Transaction { model: self, docs: Docs::default(), changes: Changes::default() }
    }
}

impl<B: Backend> Transaction<'_, B> {
    async fn evaluate<T>(&mut self, question: impl FnMut(&Eval<'_>) -> T) -> T {
        self.model.evaluate_with(&mut self.docs, &self.changes.aliases, question).await
    }

    /// The instances an object path names; empty where the object is supported and none is there.
    pub async fn objects(&mut self, permit: &dyn Permit, text: &str) -> Result<Vec<Node>, Fault> {
        let path = resolve::parse(text)?;
        if !matches!(path.leaf, Leaf::Object) {
            return Err(unsupported(text));
        }
        let resolved = self.evaluate(|eval| resolve(eval, permit, &path)).await?;
        if resolved.nodes.iter().any(|n| n.at_table) {
            return Err(unsupported(text));
        }
        Ok(resolved.nodes)
    }

    /// The tables an Add names: one, or with a search several.
    pub async fn tables(&mut self, permit: &dyn Permit, text: &str) -> Result<Vec<Node>, Fault> {
        let path = resolve::parse(text)?;
        let resolved = self.evaluate(|eval| resolve(eval, permit, &path)).await?;
        let named = matches!(path.steps.last(), Some(Step::Name(_))) && matches!(path.leaf, Leaf::Object);
        let Some(object) = resolved.object.or_else(|| resolved.nodes.first().map(|n| n.object)) else {
            return Ok(Vec::new());
        };
        let schema = &self.model.schema[object];
        if !schema.table || !named {
            return Err(Fault::new(Code::NotATable, format!("{text} is not a table")));
        }
        if !schema.creatable {
            return Err(Fault::new(Code::ObjectNotCreatable, format!("{text} has no rows to create")));
        }
        if resolved.nodes.is_empty() && !resolved.search {
            return Err(Fault::new(Code::ObjectDoesNotExist, format!("{text} is not there")));
        }
        if resolved.nodes.iter().any(|n| !permit.object(&n.path).allow(Rights::OBJECT_ADD)) {
            return Err(Fault::new(Code::PermissionDenied, format!("no permission to add to {text}")));
        }
        Ok(resolved.nodes)
    }

    /// A state to come back to.
    pub fn savepoint(&self) -> Savepoint {
        Savepoint(self.changes.clone())
    }

    /// Undoes what was staged since.
    pub fn rollback(&mut self, to: Savepoint) {
        for touched in &self.changes.packages {
            let before = to.0.packages.iter().find(|t| t.name == touched.name);
            self.docs.stage(&touched.name, before.map_or(&touched.shown, |t| &t.now).clone());
        }
        self.changes = to.0;
    }

    /// Stages one value. `name` may reach into single-instance sub-objects (`MQTT.Reference`).
    pub async fn set(&mut self, permit: &dyn Permit, node: &Node, name: &str, value: &str) -> Result<(), Fault> {
        let model = self.model;
        let (target, param) = parameter(model, node, name)?;
        let may = rights(permit, &target.path, &param.name);
        if !may.allow(Rights::PARAM_WRITE) {
            return Err(Fault::new(Code::PermissionDenied, format!("no permission to write {name}")));
        }
        if param.access == Access::ReadOnly {
            return Err(Fault::new(Code::ParameterReadOnly, format!("{name} is read-only")));
        }
        let value = checked(param, value)?;
        self.guard(&target, param, &value).await?;
        self.stage(&target, param, &value).await
    }

    /// Stages one value that the agent itself gives (Recipient, CreationDate): access does not count.
    pub async fn assign(&mut self, node: &Node, name: &str, value: &str) -> Result<(), Fault> {
        let model = self.model;
        let (target, param) = parameter(model, node, name)?;
        self.stage(&target, param, value).await
    }

    /// What was written once, or is a key that identifies the instance, stays (TP-469 1.96, 1.104).
    async fn guard(&mut self, node: &Node, param: &Param, value: &str) -> Result<(), Fault> {
        let keys = &self.model.schema[node.object].keys;
        let identifies = keys.iter().any(|k| !k.functional && k.params.contains(&param.name));
        let once = param.access == Access::WriteOnce;
        if !(identifies || once) || self.changes.created.iter().any(|c| node.path.starts_with(&c.path)) {
            return Ok(());
        }
        let old = self.read(node, param).await.unwrap_or_default();
        let free = old.is_empty() || old == value || (&*param.name == "Alias" && old.starts_with("cpe-"));
        if free { Ok(()) } else { Err(Fault::new(Code::ParameterReadOnly, format!("{} is set for good", param.name))) }
    }

    /// The staged value of a parameter.
    async fn read(&mut self, node: &Node, param: &Param) -> Option<String> {
        self.evaluate(|eval| {
            let node = refreshed(eval, node);
            let scope = Scope { eval, object: node.object, row: node.row.as_ref() };
            resolve::text(&scope, param)
        })
        .await
    }

    async fn stage(&mut self, node: &Node, param: &Param, value: &str) -> Result<(), Fault> {
        if matches!(param.source, ParamSource::Alias) {
            let row = node.row.as_ref().ok_or_else(|| not_kept(param))?;
            let table = table_of(&row.path);
            self.changes.aliases.insert((table.into(), row.key.clone()), value.into());
            return Ok(());
        }
        let ParamSource::Mapped(alternatives) = &param.source else { return Err(not_kept(param)) };
        let edits = self
            .evaluate(|eval| {
                let node = refreshed(eval, node);
                let scope = Scope { eval, object: node.object, row: node.row.as_ref() };
                let mut staging = Staging::default();
                alternatives
                    .iter()
                    .find_map(|pipeline| staged(&scope, param, pipeline, value, &mut staging))
                    .unwrap_or_else(|| Err(not_kept(param)))
                    .map(|()| staging)
            })
            .await?;
        self.apply(edits).await
    }

    async fn apply(&mut self, staging: Staging) -> Result<(), Fault> {
        for (name, edit) in staging.edits {
            if self.docs.staged(&name).is_none() {
                // A package whose file is not there yet, or that nobody asked for.
                self.evaluate(|eval| eval.docs.package(&name).is_some()).await;
            }
            let shown = self
                .docs
                .staged(&name)
                .unwrap_or_else(|| Rc::new(Package { name: name.clone(), sections: Vec::new() }));
            if !self.changes.packages.iter().any(|t| t.name == name) {
                self.changes.packages.push(Touched { name: name.clone(), shown: shown.clone(), now: shown });
            }
            let Some(touched) = self.changes.packages.iter_mut().find(|t| t.name == name) else { continue };
            // The docs let go of their copy first, so that a package nobody else holds is edited in place.
            self.docs.stage(&name, Rc::new(Package::default()));
            let done = Rc::make_mut(&mut touched.now).apply(&edit);
            self.docs.stage(&name, touched.now.clone());
            done.map_err(|why| Fault::new(Code::InvalidValue, why.to_string()))?;
        }
        Ok(())
    }

    /// Stages a new instance with the standard's defaults.
    pub async fn create(&mut self, permit: &dyn Permit, table: &Node) -> Result<Node, Fault> {
        if !permit.object(&table.path).allow(Rights::OBJECT_ADD) {
            return Err(Fault::new(Code::PermissionDenied, format!("no permission to add to {}", table.path)));
        }
        let (staging, key) = self.evaluate(|eval| new_row(eval, table)).await?;
        self.apply(staging).await?;
        let made = self
            .evaluate(|eval| {
                let rows = eval.rows(table.object, table.row.as_ref(), &table.path);
                rows.iter().find(|r| *r.key == *key).map(resolve::instance)
            })
            .await;
        let node = made.ok_or_else(|| Fault::new(Code::ObjectNotCreated, format!("{} took no new row", table.path)))?;
        self.changes.created.push(node.clone());
        self.defaults(&node).await;
        Ok(node)
    }

    /// Writes down every default that would otherwise read differently.
    async fn defaults(&mut self, node: &Node) {
        let model = self.model;
        for param in &model.schema[node.object].params {
            let Some(default) = param.default.as_deref().filter(|d| *d != "[]" && !d.is_empty()) else { continue };
            if param.access != Access::ReadOnly && self.read(node, param).await.as_deref() != Some(default) {
                // A default that the router has no place for is not kept; the parameter reads as it is.
                let _ = self.stage(node, param, default).await;
            }
        }
    }

    /// Gives the keys nobody gave, checks them against the other rows, and returns the readable ones.
    pub async fn finish(&mut self, permit: &dyn Permit, node: &Node) -> Result<Vec<(Box<str>, String)>, Fault> {
        let model = self.model;
        let object = &model.schema[node.object];
        for name in object.keys.iter().flat_map(|k| &k.params) {
            let Some(param) = object.param(name) else { continue };
            let empty = self.read(node, param).await.is_none_or(|v| v.is_empty() || (v == "0" && &**name == "Order"));
            if empty && param.access != Access::ReadOnly {
                if let Some(value) = self.assigned(node, param).await {
                    self.stage(node, param, &value).await?;
                }
            }
        }
        self.unique(node).await?;
        Ok(self.evaluate(|eval| keys(eval, permit, &refreshed(eval, node))).await)
    }

    /// A key the agent gives: `cpe-N` for a text, the next free number for a number.
    async fn assigned(&mut self, node: &Node, param: &Param) -> Option<String> {
        let number = node.row.as_ref()?.number;
        match param.kind {
            Kind::String if param.facets.enumeration.is_empty() && param.facets.reference.is_none() => {
                Some(format!("cpe-{number}"))
            }
            Kind::UnsignedInt | Kind::Int => {
                let highest = self
                    .evaluate(|eval| {
                        let others = siblings(eval, node);
                        let values = others.iter().filter_map(|n| {
                            let scope = Scope { eval, object: n.object, row: n.row.as_ref() };
                            resolve::text(&scope, param)?.parse::<i64>().ok()
                        });
                        values.max().unwrap_or(0)
                    })
                    .await;
                Some((highest + 1).to_string())
            }
            _ => None,
        }
    }

    /// No other row has the same values of a unique key.
    async fn unique(&mut self, node: &Node) -> Result<(), Fault> {
        let clash = self.evaluate(|eval| clash(eval, node)).await;
        clash.map_or(Ok(()), |key| Err(Fault::new(Code::UniqueKeyExists, format!("another row has this {key}"))))
    }

    /// Stages the removal of an instance with everything below it.
    pub async fn delete(&mut self, permit: &dyn Permit, node: &Node) -> Result<(), Fault> {
        if !permit.object(&node.path).allow(Rights::INSTANCE_DELETE) {
            return Err(Fault::new(Code::PermissionDenied, format!("no permission to delete {}", node.path)));
        }
        if !self.model.schema[node.object].creatable {
            return Err(Fault::new(Code::ObjectNotDeleted, format!("{} cannot be deleted", node.path)));
        }
        let (staging, gone) = self
            .evaluate(|eval| {
                let mut staging = Staging::default();
                let mut gone = Vec::new();
                remove(eval, &refreshed(eval, node), &mut staging, &mut gone).map(|()| (staging, gone))
            })
            .await?;
        self.changes.deleted.extend(gone);
        self.apply(staging).await
    }

    /// Writes what is staged: each package once, all or none.
    pub async fn commit(mut self) -> Result<Committed, Fault> {
        for node in self.changes.created.clone() {
            self.unique(&node).await?;
        }
        let created = std::mem::take(&mut self.changes.created);
        let mut committed = Committed::default();
        for node in &created {
            if self.changes.deleted.iter().any(|(path, ..)| *path == node.path) {
                continue;
            }
            let keys = self.evaluate(|eval| keys(eval, &Everything, &refreshed(eval, node))).await;
            committed.created.push(Instance { path: node.path.clone(), keys });
        }
        let edits = self.edits().await?;
        if !edits.is_empty() {
            self.model.backend.commit(&edits).await.map_err(|why| commit_fault(&why))?;
        }
        committed.packages = edits.iter().map(|e| e.base.name.clone()).collect();
        let mut instances = self.model.instances.borrow_mut();
        for ((table, key), alias) in &self.changes.aliases {
            instances.set_alias(table, key, alias);
        }
        for (path, table, key) in self.changes.deleted {
            instances.forget(&table, &key);
            committed.deleted.push(path);
        }
        Ok(committed)
    }

    /// The edits of each package against the file as the agent read it.
    async fn edits(&mut self) -> Result<Vec<uci::PackageEdits>, Fault> {
        let mut all = Vec::new();
        for touched in &self.changes.packages {
            let edits = difference(&touched.shown, &touched.now);
            if edits.is_empty() {
                continue;
            }
            let raw = match self.model.backend.package(&touched.name).await {
                Ok(raw) => raw,
                Err(uci::Error::NotFound) => Rc::new(Package { name: touched.name.clone(), sections: Vec::new() }),
                Err(why) => return Err(commit_fault(&why)),
            };
            let written_out = self.written_out(&raw, &edits);
            all.push(uci::PackageEdits { base: raw, edits: written_out.into_iter().chain(edits).collect() });
        }
        Ok(all)
    }

    /// What a short form stands for is written out where a change touches it.
    fn written_out(&self, raw: &Package, edits: &[Edit]) -> Vec<Edit> {
        let Some(view) = self.model.views.iter().find(|v| *v.package == *raw.name) else { return Vec::new() };
        let mut long = raw.clone();
        for edit in edits {
            let (Edit::Set { section, .. } | Edit::Delete { section }) = edit else { continue };
            let added = edits.iter().any(|e| matches!(e, Edit::Add { section: s, .. } if s == section));
            if !added && long.section(section).is_none() {
                long = (view.expand_section)(&long, section);
            }
        }
        difference(raw, &long)
    }
}

fn commit_fault(why: &uci::Error) -> Fault {
    log::warn!("event=commit_failed why=\"{why}\"");
    match why {
        uci::Error::Conflict(_) => Fault::new(Code::RequestDenied, why.to_string()),
        _ => Fault::new(Code::InternalError, format!("the configuration was not written: {why}")),
    }
}

fn not_kept(param: &Param) -> Fault {
    Fault::new(Code::ParameterReadOnly, format!("{} has no place to be kept", param.name))
}

/// The parameter behind a relative name, and the object it belongs to.
fn parameter<'m, B: Backend>(model: &'m Model<B>, node: &Node, name: &str) -> Result<(Node, &'m Param), Fault> {
    let none = || Fault::new(Code::UnsupportedParameter, format!("{name} is not supported"));
    let mut target = node.clone();
    let mut rest = name;
    while let Some((object, below)) = rest.split_once('.') {
        let child = model.schema.child(target.object, object).filter(|&c| !model.schema[c].table).ok_or_else(none)?;
        target.object = child;
        target.path = format!("{}{object}.", target.path);
        rest = below;
    }
    let param = model.schema[target.object].param(rest).ok_or_else(none)?;
    Ok((target, param))
}

/// A value as the standard wants it. An Alias begins with a letter (TR-181, TP-469 1.88).
fn checked(param: &Param, value: &str) -> Result<String, Fault> {
    if &*param.name == "Alias" && !value.starts_with(|c: char| c.is_ascii_alphabetic()) {
        return Err(Fault::new(Code::InvalidValue, "an Alias begins with a letter"));
    }
    param.check(value).map(std::borrow::Cow::into_owned)
}

/// The node with its row as staged now.
fn refreshed(eval: &Eval<'_>, node: &Node) -> Node {
    let Some(row) = &node.row else { return node.clone() };
    let parent = row.parent.as_ref().map(|parent| {
        let node =
            Node { object: parent.object, row: Some(parent.clone()), at_table: false, path: parent.path.to_string() };
        refreshed(eval, &node)
    });
    let parent = parent.and_then(|n| n.row);
    let rows = eval.rows(row.object, parent.as_ref(), table_of(&row.path));
    let found = rows.iter().find(|r| r.key == row.key).cloned();
    Node { row: found.or_else(|| Some(row.clone())), ..node.clone() }
}

/// `Device.A.B.` of `Device.A.B.1.`
fn table_of(path: &str) -> &str {
    let bare = path.trim_end_matches('.');
    bare.rfind('.').and_then(|dot| bare.get(..=dot)).unwrap_or(path)
}

/// The other rows of a node's table.
fn siblings(eval: &Eval<'_>, node: &Node) -> Vec<Node> {
    let Some(row) = &node.row else { return Vec::new() };
    let rows = eval.rows(row.object, row.parent.as_ref(), table_of(&row.path));
    rows.iter().filter(|r| r.key != row.key).map(resolve::instance).collect()
}

/// The first unique key, by its parameters, that another row has too.
fn clash(eval: &Eval<'_>, node: &Node) -> Option<String> {
    let node = refreshed(eval, node);
    let others = siblings(eval, &node);
    let object = &eval.schema[node.object];
    let values = |node: &Node, key: &super::schema::UniqueKey| {
        let scope = Scope { eval, object: node.object, row: node.row.as_ref() };
        let all = key.params.iter().map(|name| object.param(name).and_then(|p| resolve::text(&scope, p)));
        all.collect::<Option<Vec<String>>>().filter(|v| v.iter().any(|t| !t.is_empty()))
    };
    let same = |key: &&super::schema::UniqueKey| {
        values(&node, key).is_some_and(|own| others.iter().any(|other| values(other, key).as_ref() == Some(&own)))
    };
    object.keys.iter().find(same).map(|key| key.params.join(" and "))
}

/// Stages a value through one alternative; None where it cannot be written.
fn staged(
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
fn new_row(eval: &Eval<'_>, table: &Node) -> Result<(Staging, String), Fault> {
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
fn remove(
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
fn difference(old: &Package, new: &Package) -> Vec<Edit> {
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
