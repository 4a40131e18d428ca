//! Set, Add and Delete: one message, one transaction.
//!
//! Changes are staged on copies of the UCI packages, where later parts of the same message see them. Nothing is
//! written before [`Transaction::commit`], which writes each changed package once, all or none.

use super::docs::Docs;
use super::eval::{Aliases, Eval, Scope};
use super::read::{Instance, keys};
use super::resolve::{self, Node, resolve, rights, unsupported};
use super::schema::{Access, Kind, Param, ParamSource};
use super::stage::{Staging, difference, new_row, remove, staged, table_of};
use super::{Everything, Model, Permit, Rights};
use crate::backend::Backend;
use crate::backend::uci::{self, Edit, Package};
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
