//! The end of a transaction: what is staged becomes edits of files, each package once, all or none.

use super::docs::Shown;
use super::keys::clash_of_any;
use super::read::{Instance, keys};
use super::resolve::{self, resolve};
use super::stage::{difference, order, table_of};
use super::write::{Touched, Transaction, not_unique};
use super::{Everything, Instances, Model};
use crate::backend::Backend;
use crate::backend::uci::{self, Edit, Package, PackageEdits};
use crate::order::Set;
use crate::usp::fault::{Code, Fault};
use std::rc::Rc;

/// What a commit did.
#[derive(Debug, Default)]
pub struct Committed {
    /// The packages written.
    pub packages: Vec<Box<str>>,
    /// They can be undone until they are confirmed.
    pub undoable: bool,
    /// Created instances with their readable unique keys.
    pub created: Vec<Instance>,
    /// Paths of deleted instances, with final dots.
    pub deleted: Vec<String>,
}

/// What a commit would do.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Preview {
    /// The packages it would write, and what of each would change, as [`uci::undo::differences`] tells it.
    pub packages: Vec<(Box<str>, Vec<String>)>,
    /// It could be undone until it is confirmed.
    pub undoable: bool,
}

impl<B: Backend> Model<B> {
    /// Puts a whole package in the place of the one there is, also of one that cannot be read; nothing is written where
    /// both say the same. Anonymous sections are recognised as after anybody's change of the file.
    ///
    /// # Errors
    /// The package is not there, or not to be written.
    pub async fn replace(&self, package: Package) -> Result<Committed, Fault> {
        let name = package.name.clone();
        let base = match self.backend.package(&name).await {
            Ok(base) if uci::write::write(&base) == uci::write::write(&package) => return Ok(Committed::default()),
            Ok(base) => base,
            Err(_) => Rc::new(Package { name: name.clone(), sections: Vec::new() }),
        };
        let edits = PackageEdits { base, edits: vec![Edit::Replace(Rc::new(package))] };
        let undoable = self.guard.get().is_some_and(|guards| guards(&edits));
        self.backend.commit(&[edits], undoable).await.map_err(|why| commit_fault(&why))?;
        Ok(Committed { packages: vec![name], undoable, ..Committed::default() })
    }
}

impl<B: Backend> Transaction<'_, B> {
    /// What [`Transaction::commit`] would write. Nothing is.
    pub async fn preview(mut self) -> Result<Preview, Fault> {
        let (edits, undoable) = self.checked().await?;
        let changes = |edits: &PackageEdits| {
            let mut after = (*edits.base).clone();
            for edit in &edits.edits {
                after.apply(edit).map_err(|why| Fault::new(Code::InvalidValue, why.to_string()))?;
            }
            let name = edits.base.name.clone();
            let lines = uci::undo::differences(&name, &edits.base, &after).collect();
            Ok((name, lines))
        };
        Ok(Preview { packages: edits.iter().map(changes).collect::<Result<_, Fault>>()?, undoable })
    }

    /// The edits, once it is known that they may be made, and whether they are to be undoable.
    async fn checked(&mut self) -> Result<(Vec<PackageEdits>, bool), Fault> {
        let keyed = std::mem::take(&mut self.changes.keyed);
        if let Some(key) = self.evaluate(|eval| clash_of_any(eval, &keyed)).await {
            return Err(not_unique(&key));
        }
        let edits: Vec<PackageEdits> = self.changes.packages.iter().filter_map(|touched| self.edits(touched)).collect();
        let undoable = self.model.guard.get().is_some_and(|guards| edits.iter().any(guards));
        Ok((edits, undoable))
    }

    /// Writes what is staged: each package once, all or none.
    pub async fn commit(mut self) -> Result<Committed, Fault> {
        if let Some((_, fault)) = self.carry_out().await.into_iter().next() {
            self.abandon().await;
            return Err(fault);
        }
        let (edits, undoable) = match self.checked().await {
            Ok(checked) => checked,
            Err(fault) => {
                self.abandon().await;
                return Err(fault);
            }
        };
        let created = self.created().await;
        if !edits.is_empty() {
            let written = self.model.backend.commit(&edits, undoable).await;
            if let Err(why) = written {
                self.abandon().await;
                return Err(commit_fault(&why));
            }
        }
        let packages = edits.iter().map(|e| e.base.name.clone()).collect();
        Ok(Committed { packages, undoable, created, deleted: self.number_what_changed() })
    }

    /// The instances that were created, with their keys.
    async fn created(&mut self) -> Vec<Instance> {
        let paths: Vec<Box<str>> = self.changes.created.iter().map(|made| made.0.clone()).collect();
        self.evaluate(|eval| {
            let instance = |path: &str| {
                let parsed = resolve::parse(path).ok()?;
                let node = resolve(eval, &Everything, &parsed).ok()?.nodes.into_iter().next()?;
                let keys = keys(eval, &Everything, &node);
                Some(Instance { path: node.path, keys })
            };
            paths.iter().filter_map(|path| instance(path)).collect()
        })
        .await
    }

    /// What is written now is so for the instance numbers too. Returns the paths of what is gone.
    fn number_what_changed(&mut self) -> Vec<String> {
        // They stay: nothing is withdrawn.
        self.changes.created.clear();
        self.changes.renamed.clear();
        let mut instances = self.model.instances.borrow_mut();
        for touched in &self.changes.packages {
            if let Some(read) = self.docs.read(&touched.name) {
                recognise_as(&mut instances, read, &touched.now);
            }
        }
        for (path, (key, alias)) in &self.changes.aliases {
            instances.set_alias(table_of(path), key, alias);
        }
        let mut deleted = Vec::new();
        for gone in std::mem::take(&mut self.changes.deleted) {
            instances.forget(&gone.table, &gone.key);
            deleted.push(gone.path.clone());
        }
        deleted
    }

    /// The edits of a package against its file as this message read it.
    fn edits(&self, touched: &Touched) -> Option<PackageEdits> {
        let mut edits = difference(&touched.shown, &touched.now);
        let view = self.model.views.iter().find(|shown| *shown.view.package == *touched.name);
        if view.is_none() {
            edits.extend(order(&touched.shown, &touched.now));
        }
        if edits.is_empty() {
            return None;
        }
        let none = || Rc::new(Package { name: touched.name.clone(), sections: Vec::new() });
        let base = self.docs.read(&touched.name).cloned().unwrap_or_else(none);
        let edits = match view {
            Some(view) => written_out(view, &base, touched, edits),
            None => edits,
        };
        Some(PackageEdits { base, edits })
    }
}

/// The edits, after those that write out what they touch of short forms; of all short forms where less would
/// read differently from what was staged.
fn written_out(shown: &Shown, read: &Package, touched: &Touched, edits: Vec<Edit>) -> Vec<Edit> {
    let added: Set<&str> =
        edits.iter().filter_map(|e| if let Edit::Add { section, .. } = e { Some(&**section) } else { None }).collect();
    let mut long = read.clone();
    for edit in &edits {
        let (Edit::Set { section, .. } | Edit::Delete { section }) = edit else { continue };
        if !added.contains(&**section) && long.section(section).is_none() {
            long = (shown.view.expand_section)(&long, section);
        }
    }
    let first = difference(read, &long);
    let mut file = long;
    let applied = edits.iter().all(|edit| file.apply(edit).is_ok());
    let first = match applied && difference(&(shown.view.expand)(&file), &touched.now).is_empty() {
        true => first,
        false => difference(read, &touched.shown),
    };
    first.into_iter().chain(edits).collect()
}

/// Anonymous sections that the agent changed keep their numbers.
fn recognise_as(instances: &mut Instances, read: &Package, now: &Package) {
    for (at, old) in read.sections.iter().enumerate().filter(|(_, s)| s.anonymous) {
        let in_place = now.sections.get(at).filter(|s| s.name == old.name);
        let new = in_place.or_else(|| now.section(&old.name));
        if let Some(new) = new.filter(|new| new.options != old.options) {
            instances.rewritten(old, new);
        }
    }
}

fn commit_fault(why: &uci::Error) -> Fault {
    log::warn!("event=commit_failed why=\"{why}\"");
    match why {
        uci::Error::Conflict(_) => Fault::new(Code::RequestDenied, why.to_string()),
        _ => Fault::new(Code::InternalError, format!("the configuration was not written: {why}")),
    }
}
