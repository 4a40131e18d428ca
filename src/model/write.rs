//! Set, Add and Delete: one message, one transaction.
//!
//! Changes are staged on copies of the UCI packages, where later parts of the same message see them. Nothing is
//! written before [`Transaction::commit`], which writes each changed package once, all or none.

use super::docs::{Docs, Shown};
use super::eval::{Aliases, Eval, Item, Row, Scope};
use super::keys::{assign, clash, defaults, guard, matters, put};
use super::mount;
use super::read::keys;
use super::resolve::{self, Node, Resolved, resolve, rights, unsupported};
use super::schema::{Access, ObjectId, Param};
use super::stage::{Gone, Renamed, Staging, difference, new_row, remove, table_of};
use super::{Everything, Model, Permit, Rights};
use crate::backend::Backend;
use crate::backend::uci::{Edit, OptValue, Package};
use crate::order;
use crate::path::{Leaf, Path, Step};
use crate::usp::fault::{Code, Fault};
use std::rc::Rc;

/// One message's changes.
pub struct Transaction<'m, B: Backend> {
    pub(super) model: &'m Model<B>,
    pub(super) docs: Docs,
    pub(super) changes: Changes,
    /// What plugins have done.
    pub(super) done: Vec<mount::write::Done>,
    /// Plugins are told nothing.
    pub(super) rehearsal: bool,
}

/// What is staged so far. Holds no rows, which would hold the packages they are made of.
#[derive(Debug, Clone, Default)]
pub(super) struct Changes {
    pub(super) packages: Vec<Touched>,
    pub(super) aliases: Aliases,
    /// Paths and keys of new rows.
    pub(super) created: Vec<Rc<(Box<str>, Box<str>)>>,
    pub(super) deleted: Vec<Rc<Gone>>,
    /// Rows that got another key.
    pub(super) renamed: Vec<Rc<Renamed>>,
    /// Rows whose unique keys may have changed: keys are unique only after the whole message.
    pub(super) keyed: order::Set<Box<str>>,
    /// What plugins are to do.
    pub(super) mounted: Vec<mount::write::Edit>,
}

#[derive(Debug, Clone)]
pub(super) struct Touched {
    pub(super) name: Box<str>,
    /// As the model showed it when the message began.
    pub(super) shown: Rc<Package>,
    pub(super) now: Rc<Package>,
}

/// A state to come back to.
#[derive(Debug, Clone)]
pub struct Savepoint(Changes, usize);

impl<B: Backend> Model<B> {
    /// Begins a transaction. One at a time.
    pub fn begin(&self) -> Transaction<'_, B> {
        Transaction {
            model: self,
            docs: Docs::default(),
            changes: Changes::default(),
            done: Vec::new(),
            rehearsal: false,
        }
    }
}

impl<B: Backend> Drop for Transaction<'_, B> {
    /// Rows that were not committed were never there.
    fn drop(&mut self) {
        self.withdraw(0, 0);
    }
}

impl<B: Backend> Transaction<'_, B> {
    pub(super) async fn evaluate<T>(&mut self, question: impl FnMut(&Eval<'_>) -> T) -> T {
        self.model.evaluate_with(&mut self.docs, &self.changes.aliases, question).await
    }

    /// The instances an object path names; empty where the object is supported and none is there.
    pub async fn objects(&mut self, permit: &dyn Permit, text: &str) -> Result<Vec<Node>, Fault> {
        Ok(self.named(permit, text).await?.0)
    }

    /// The instances a Delete names; empty where none is there, an error where none could be deleted (R-DEL.1).
    pub async fn deletable(&mut self, permit: &dyn Permit, text: &str) -> Result<Vec<Node>, Fault> {
        let (nodes, object) = self.named(permit, text).await?;
        match object {
            Some(object) if nodes.is_empty() && !self.model.schema[object].creatable => {
                Err(Fault::new(Code::ObjectNotDeleted, format!("{text} cannot be deleted")))
            }
            _ => Ok(nodes),
        }
    }

    async fn named(&mut self, permit: &dyn Permit, text: &str) -> Result<(Vec<Node>, Option<ObjectId>), Fault> {
        let path = resolve::parse(text)?;
        if !matches!(path.leaf, Leaf::Object) {
            return Err(unsupported(text));
        }
        let Resolved { nodes, object, .. } = self.resolved(permit, &path).await?;
        let at_name = matches!(path.steps.last(), Some(Step::Name(_)));
        let table = object.is_some_and(|object| self.model.schema[object].table);
        if (at_name && table) || nodes.iter().any(|n| n.at_table) {
            return Err(unsupported(text));
        }
        Ok((nodes, object))
    }

    /// The tables an Add names: one, or with a search several; the final dot may be left out (TP-469 2.23).
    ///
    /// Whether a row may be added is for [`Self::create`] to say, table by table.
    pub async fn tables(&mut self, permit: &dyn Permit, text: &str) -> Result<Vec<Node>, Fault> {
        match self.tables_at(permit, text).await {
            Err(fault) if !text.ends_with('.') => self.tables_at(permit, &format!("{text}.")).await.map_err(|_| fault),
            found => found,
        }
    }

    async fn tables_at(&mut self, permit: &dyn Permit, text: &str) -> Result<Vec<Node>, Fault> {
        let path = resolve::parse(text)?;
        let resolved = self.resolved(permit, &path).await?;
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
        Ok(resolved.nodes)
    }

    /// What a path names, as staged so far.
    pub(super) async fn resolved<'p>(&mut self, permit: &dyn Permit, path: &Path<'p>) -> Result<Resolved<'p>, Fault> {
        self.evaluate(|eval| resolve(eval, permit, path)).await
    }

    /// The table at a path, to make rows in that no Add could make.
    pub async fn table(&mut self, text: &str) -> Result<Option<Node>, Fault> {
        let path = resolve::parse(text)?;
        let resolved = self.resolved(&Everything, &path).await?;
        Ok(resolved.nodes.into_iter().find(|node| node.at_table))
    }

    /// A state to come back to.
    pub fn savepoint(&self) -> Savepoint {
        Savepoint(self.changes.clone(), self.done.len())
    }

    /// Undoes what was staged since, and what plugins have done since.
    pub async fn undo(&mut self, to: Savepoint) {
        self.take_back(to.1).await;
        self.rollback(to);
    }

    /// It will only be looked at ([`Self::preview`]): plugins, which take values at once, are told nothing.
    pub fn rehearse(&mut self) {
        self.rehearsal = true;
    }

    /// Nothing of it stands, also of what plugins have done.
    pub async fn abandon(mut self) {
        self.take_back(0).await;
    }

    /// Undoes what was staged since.
    pub fn rollback(&mut self, to: Savepoint) {
        for touched in &self.changes.packages {
            let before = to.0.packages.iter().find(|t| t.name == touched.name);
            self.docs.stage(&touched.name, before.map_or(&touched.shown, |t| &t.now).clone());
        }
        self.withdraw(to.0.created.len(), to.0.renamed.len());
        self.changes = to.0;
    }

    /// Gives back the numbers of rows created after the first so many, and keys given after the first so many.
    fn withdraw(&self, created: usize, renamed: usize) {
        let Ok(mut instances) = self.model.instances.try_borrow_mut() else { return };
        for made in self.changes.created.iter().skip(created).rev() {
            instances.withdraw(table_of(&made.0), &made.1);
        }
        for change in self.changes.renamed.iter().skip(renamed).rev() {
            instances.rename(table_of(&change.0), &change.2, &change.1);
        }
    }

    /// Stages one value. `name` may reach into single-instance sub-objects (`MQTT.Reference`).
    pub async fn set(&mut self, permit: &dyn Permit, node: &Node, name: &str, value: &str) -> Result<(), Fault> {
        self.set_as(permit, node, (name, value), true).await
    }

    /// The same; whether it is required is for a plugin to know, which takes it later ([`Self::carry_out`]).
    pub async fn set_as(
        &mut self,
        permit: &dyn Permit,
        node: &Node,
        (name, value): (&str, &str),
        required: bool,
    ) -> Result<(), Fault> {
        let model = self.model;
        let (target, param) = parameter(model, node, name)?;
        let may = rights(permit, &target.path, param.name);
        if !may.allow(Rights::PARAM_WRITE) {
            // What may neither be read nor written does not exist.
            if !may.allow(Rights::PARAM_READ) {
                return Err(not_supported(name));
            }
            return Err(Fault::new(Code::PermissionDenied, format!("no permission to write {name}")));
        }
        let mounted = model.schema[target.object].mounted;
        let key_of_new = mounted && mount::write::is_new(&target) && is_key(model, &target, param.name);
        if param.access == Access::ReadOnly && !key_of_new {
            return Err(Fault::new(Code::ParameterReadOnly, format!("{name} is read-only")));
        }
        let value = checked(param, value)?;
        if mounted {
            self.offer_plugin(&target, param, &value, required);
            return Ok(());
        }
        let created = self.changes.created.iter().any(|made| target.path.starts_with(&*made.0));
        self.stage(&target, param, &value, !created).await
    }

    /// Stages one value that the agent itself gives (Recipient, CreationDate): access does not count.
    pub async fn assign(&mut self, node: &Node, name: &str, value: &str) -> Result<(), Fault> {
        let model = self.model;
        let (target, param) = parameter(model, node, name)?;
        self.stage(&target, param, value, false).await
    }

    /// Stages an option of the row's section that no parameter shows as it is, or removes it.
    pub async fn put(&mut self, node: &Node, option: &str, value: Option<OptValue>) -> Result<(), Fault> {
        let mut staging = Staging::default();
        let row = node.row.as_ref().and_then(|row| row.section());
        let (package, section) = row.ok_or_else(|| Fault::new(Code::InternalError, "there is no section"))?;
        staging.set(&package.name, &section.name, option, value);
        self.apply(staging).await
    }

    async fn stage(&mut self, node: &Node, param: &Param, value: &str, guarded: bool) -> Result<(), Fault> {
        let views = &self.model.views;
        let (staging, keyed) = self
            .evaluate(|eval| {
                let node = refreshed(eval, node);
                if guarded {
                    guard(eval, &node, param, value)?;
                }
                let mut staging = Staging::default();
                put(&Scope { eval, object: node.object, row: node.row.as_ref() }, param, value, &mut staging)?;
                understood(views, eval, &staging)?;
                Ok((staging, matters(eval, &node, param)))
            })
            .await?;
        if let Some(row) = node.row.as_ref().filter(|_| keyed) {
            self.changes.keyed.insert(row.path.clone());
        }
        // What one function stages goes together.
        let start = (staging.edits.len() > 1).then(|| self.savepoint());
        let done = self.apply(staging).await;
        if let (Err(_), Some(start)) = (&done, start) {
            self.rollback(start);
        }
        done
    }

    async fn apply(&mut self, staging: Staging) -> Result<(), Fault> {
        for (path, key, alias) in staging.aliases {
            self.changes.aliases.insert(path, (key, alias));
        }
        for change in staging.renamed {
            self.rename(change);
        }
        for (name, edit) in staging.edits {
            if self.docs.staged(&name).is_none() {
                // A package whose file is not there yet, or that nobody asked for.
                self.evaluate(|eval| eval.docs.package(&name).is_some()).await;
            }
            let none = || Rc::new(Package { name: name.clone(), sections: Vec::new() });
            let shown = self.docs.staged(&name).cloned().unwrap_or_else(none);
            if !self.changes.packages.iter().any(|t| t.name == name) {
                self.changes.packages.push(Touched { name: name.clone(), shown: shown.clone(), now: shown });
            }
            let Some(touched) = self.changes.packages.iter_mut().find(|t| t.name == name) else { continue };
            // The docs let go of their copy first, so that a package nobody else holds is edited in place.
            self.docs.stage(&name, Rc::new(Package::default()));
            let done = Rc::make_mut(&mut touched.now).apply(&edit);
            self.docs.stage(&name, touched.now.clone());
            let code = if matches!(edit, Edit::Set { .. }) { Code::InvalidValue } else { Code::ObjectNotCreated };
            done.map_err(|why| Fault::new(code, why.to_string()))?;
        }
        Ok(())
    }

    /// What is known of a row by its key goes with it.
    fn rename(&mut self, change: Rc<Renamed>) {
        let (path, old, new) = &*change;
        self.model.instances.borrow_mut().rename(table_of(path), old, new);
        if let Some((key, _)) = self.changes.aliases.get_mut(path) {
            key.clone_from(new);
        }
        for made in self.changes.created.iter_mut().filter(|made| made.0 == *path) {
            *made = Rc::new((path.clone(), new.clone()));
        }
        self.changes.renamed.push(change);
    }

    /// Stages a new instance with the standard's defaults.
    pub async fn create(&mut self, permit: &dyn Permit, table: &Node) -> Result<Node, Fault> {
        if !permit.object(&table.path).allow(Rights::OBJECT_ADD) {
            return Err(Fault::new(Code::PermissionDenied, format!("no permission to add to {}", table.path)));
        }
        if self.model.schema[table.object].mounted {
            return Ok(mount::write::new_row(table));
        }
        let (staging, key) = self.evaluate(|eval| new_row(eval, &refreshed(eval, table))).await?;
        self.apply(staging).await?;
        let made = self
            .evaluate(|eval| {
                let table = refreshed(eval, table);
                let rows = eval.rows(table.object, table.row.as_ref(), &table.path);
                // A row made in a section without a name gets a key of its own.
                let made = |r: &&Rc<Row>| *r.key == *key || r.section().is_some_and(|(_, s)| *s.name == *key);
                rows.iter().find(made).map(resolve::instance)
            })
            .await;
        let node = made.ok_or_else(|| Fault::new(Code::ObjectNotCreated, format!("{} took no new row", table.path)))?;
        self.changes.created.push(Rc::new((node.path.as_str().into(), key.into())));
        self.changes.keyed.insert(node.path.as_str().into());
        let staging = self
            .evaluate(|eval| {
                let mut staging = Staging::default();
                defaults(eval, &refreshed(eval, &node), node.object, &mut staging);
                staging
            })
            .await;
        self.apply(staging).await?;
        Ok(node)
    }

    /// Gives the keys nobody gave, checks them against the other rows, and returns the readable ones.
    pub async fn finish(&mut self, permit: &dyn Permit, node: &Node) -> Result<Vec<(Box<str>, String)>, Fault> {
        let staging = self.evaluate(|eval| assign(eval, &refreshed(eval, node))).await;
        self.apply(staging).await?;
        self.evaluate(|eval| {
            let node = refreshed(eval, node);
            match clash(eval, &node) {
                Some(key) => Err(not_unique(&key)),
                None => Ok(keys(eval, permit, &node)),
            }
        })
        .await
    }

    /// Stages the removal of an instance with everything below it.
    pub async fn delete(&mut self, permit: &dyn Permit, node: &Node) -> Result<(), Fault> {
        if !permit.object(&node.path).allow(Rights::INSTANCE_DELETE) {
            return Err(Fault::new(Code::PermissionDenied, format!("no permission to delete {}", node.path)));
        }
        if !self.model.schema[node.object].creatable {
            return Err(Fault::new(Code::ObjectNotDeleted, format!("{} cannot be deleted", node.path)));
        }
        if self.model.schema[node.object].mounted {
            self.changes.mounted.push(mount::write::Edit::Delete(node.path.clone()));
            return Ok(());
        }
        self.remove(node).await
    }

    /// Stages the removal of an instance, of a table too whose rows only the agent makes and removes.
    pub async fn remove(&mut self, node: &Node) -> Result<(), Fault> {
        let (staging, gone) = self
            .evaluate(|eval| {
                let mut staging = Staging::default();
                let mut gone = Vec::new();
                remove(eval, &refreshed(eval, node), &mut staging, &mut gone).map(|()| (staging, gone))
            })
            .await?;
        let start = self.savepoint();
        self.changes.deleted.extend(gone);
        self.apply(staging).await?;
        if self.comes_back() {
            self.rollback(start);
            return Err(Fault::new(Code::ObjectNotDeleted, format!("{} is built in", node.path)));
        }
        Ok(())
    }

    /// A package would not read as staged: it has sections that are there without being written.
    fn comes_back(&self) -> bool {
        let views = &self.model.views;
        self.changes.packages.iter().any(|touched| {
            let view = views.iter().find(|shown| *shown.view.package == *touched.name);
            view.is_some_and(|shown| !difference(&touched.now, &(shown.view.expand)(&touched.now)).is_empty())
        })
    }
}

/// What a package with a view would not understand is not written into it.
fn understood(views: &[Shown], eval: &Eval<'_>, staging: &Staging) -> Result<(), Fault> {
    let wrong = staging.edits.iter().find_map(|(name, edit)| {
        let view = views.iter().find(|shown| *shown.view.package == **name)?;
        view.refused(eval.docs.package(name)?, edit)
    });
    wrong.map_or(Ok(()), |why| Err(Fault::new(Code::InvalidValue, why)))
}

pub(super) fn not_unique(key: &str) -> Fault {
    Fault::new(Code::UniqueKeyExists, format!("another row has this {key}"))
}

fn is_key<B: Backend>(model: &Model<B>, node: &Node, name: &str) -> bool {
    model.schema[node.object].keys.iter().any(|key| key.has(name))
}

fn not_supported(name: &str) -> Fault {
    Fault::new(Code::UnsupportedParameter, format!("{name} is not supported"))
}

/// The parameter behind a relative name, and the object it belongs to.
fn parameter<'m, B: Backend>(model: &'m Model<B>, node: &Node, name: &str) -> Result<(Node, &'m Param), Fault> {
    let none = || not_supported(name);
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
    if param.name == "Alias" && !value.starts_with(|c: char| c.is_ascii_alphabetic()) {
        return Err(Fault::new(Code::InvalidValue, "an Alias begins with a letter"));
    }
    // The shell scripts that make services of these values take a line feed for the end of one, and what follows for
    // a setting of its own.
    if value.contains(|c: char| c.is_control() && c != '\t') {
        return Err(Fault::new(Code::InvalidValue, format!("{} must not hold control characters", param.name)));
    }
    param.check(value).map(std::borrow::Cow::into_owned)
}

/// The node with its row as staged now.
pub(super) fn refreshed(eval: &Eval<'_>, node: &Node) -> Node {
    Node { row: node.row.as_ref().map(|row| refreshed_row(eval, row)), ..node.clone() }
}

fn refreshed_row(eval: &Eval<'_>, row: &Rc<Row>) -> Rc<Row> {
    let parent = row.parent.as_ref().map(|parent| refreshed_row(eval, parent));
    if let Item::Section(package, index) = &row.item {
        // The section is found without making all rows again, and even where it has left its table.
        let now = eval.docs.package(&package.name);
        let at = package.sections.get(*index).and_then(|s| now?.sections.iter().position(|n| n.name == s.name));
        if let (Some(now), Some(at)) = (now, at) {
            let item = Item::Section(now.clone(), at);
            let (key, path) = (row.key.clone(), row.path.clone());
            return Rc::new(Row { object: row.object, key, number: row.number, parent, item, path });
        }
    }
    let rows = eval.rows(row.object, parent.as_ref(), table_of(&row.path));
    // One that got another key has its number still.
    let same =
        |r: &&Rc<Row>| r.key == row.key || (r.path == row.path && !rows.iter().any(|other| other.key == row.key));
    rows.iter().find(same).unwrap_or(row).clone()
}
