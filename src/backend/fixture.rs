//! A recorded router: the answers of a folder, which tests change at will and which keeps a journal.
//!
//! ```text
//! tests/fixtures/<router>/ubus/<object>/<method>.json             the answer of a ubus method
//!                         ubus/<object>/<method>@name=value.json  the answer to these arguments
//!                         uci/<package>                           a UCI package
//!                         fs/proc/uptime                          a file; links are links
//! ```
//!
//! The folder is never written. Commits and what tests set lie over it, in memory, or in a copy
//! ([`Fixture::with_writable_dir`]). What was asked for and is not there is remembered: [`Fixture::missing`].

use crate::order;
use std::cell::RefCell;
use std::fs;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use tokio::sync::mpsc::Sender;

use super::files::Files;
use super::ubus::{json, message};
use super::uci::store::Store;
use super::uci::undo::Reverted;
use super::uci::{self, Package, PackageEdits, parse, write};
use super::{Answer, Backend, CallError, Change, FileError, Table, Watch, amx};

mod journal;

/// How the answer's file is called, without `.json`: the method, and its arguments where there are any.
pub fn answer_name(method: &str, args: &Table) -> String {
    if args.0.is_empty() { method.into() } else { format!("{method}@{}", journal::file_arguments(args)) }
}

/// A recorded router; a clone is another handle on the same one.
#[derive(Debug, Clone)]
pub struct Fixture {
    state: Rc<RefCell<State>>,
    files: Files,
    folder: PathBuf,
    /// Where commits go instead of the memory.
    store: Option<Rc<Store>>,
}

/// What lies over the folder, and what happened.
#[derive(Debug, Default)]
struct State {
    /// By object and `method` or `method@arguments`; [`CallError::NotFound`] hides a file.
    answers: order::Map<(String, String), Result<Table, CallError>>,
    packages: order::Map<String, Option<Rc<Package>>>,
    /// What undoable commits changed, as it was.
    undo: order::Map<String, Option<Rc<Package>>>,
    /// None hides a file of the folder.
    files: order::Map<String, Option<String>>,
    links: order::Map<String, String>,
    journal: Vec<String>,
    missing: order::Set<String>,
    watched: Vec<Watch>,
    pushed: Vec<Change>,
    changes: Option<Sender<Change>>,
}

impl Fixture {
    /// The router in this folder; a folder that is not there is a router that answers nothing.
    pub fn open(folder: impl Into<PathBuf>) -> Self {
        let folder = folder.into();
        let files = Files::new(folder.join("fs"));
        Self { state: Rc::default(), files, folder, store: None }
    }

    /// A router that has only what is set.
    pub fn empty() -> Self {
        Self::open("/nonexistent")
    }

    /// Like [`Self::open`], but the packages are copied to `copy` and read and committed there by the real store.
    ///
    /// # Errors
    /// What the system says of the copying.
    pub fn with_writable_dir(folder: impl Into<PathBuf>, copy: &Path) -> std::io::Result<Self> {
        let mut fixture = Self::open(folder);
        let confdir = copy.join("config");
        fs::create_dir_all(&confdir)?;
        for entry in fs::read_dir(fixture.folder.join("uci"))?.flatten() {
            fs::copy(entry.path(), confdir.join(entry.file_name()))?;
        }
        fixture.store = Some(Rc::new(Store::new(confdir, None, &copy.join("state")).alone()));
        Ok(fixture)
    }

    /// Sets the answer of a method (`info`), or of one with these arguments (`info@device=phy0-ap0`).
    ///
    /// # Panics
    /// In a debug build, where `answer` is not a JSON object.
    pub fn set_answer(&self, object: &str, method: &str, answer: &serde_json::Value) {
        let table = json::table_from_json(answer);
        debug_assert!(table.is_some(), "{object} {method}: an answer is a JSON object");
        self.answer(object, method, Ok(table.unwrap_or_default()));
    }

    /// Makes a method fail; [`CallError::Timeout`] stands for an answer that never comes.
    pub fn set_failure(&self, object: &str, method: &str, error: CallError) {
        self.answer(object, method, Err(error));
    }

    /// Takes an answer away, be it set or in the folder.
    pub fn remove_answer(&self, object: &str, method: &str) {
        self.answer(object, method, Err(CallError::NotFound));
    }

    fn answer(&self, object: &str, method: &str, answer: Result<Table, CallError>) {
        self.state.borrow_mut().answers.insert((object.into(), method.into()), answer);
    }

    /// Sets the text of a file.
    pub fn set_file(&self, path: &str, text: &str) {
        self.state.borrow_mut().files.insert(path.into(), Some(text.into()));
    }

    /// Takes a file away.
    pub fn remove_file(&self, path: &str) {
        self.state.borrow_mut().files.insert(path.into(), None);
    }

    /// Sets where a link points.
    pub fn set_link(&self, path: &str, target: &str) {
        self.state.borrow_mut().links.insert(path.into(), target.into());
    }

    /// Sets a package, as somebody else on the router would; see [`Self::push`] for telling of it.
    ///
    /// # Errors
    /// Those of [`parse::parse`], and of writing it into the writable folder.
    pub fn set_package(&self, name: &str, text: &str) -> Result<(), uci::Error> {
        let package = parse::parse(name, text.as_bytes())?;
        let Some(store) = &self.store else {
            self.state.borrow_mut().packages.insert(name.into(), Some(Rc::new(package)));
            return Ok(());
        };
        let path = store.folders().next().map(|folder| folder.join(name)).unwrap_or_default();
        store.forget(name);
        fs::write(path, text).map_err(|error| uci::Error::Io(error.to_string()))
    }

    /// A package as libuci would write it now; None where it is not there.
    pub fn package_text(&self, name: &str) -> Option<String> {
        let package = self.find_package(name).ok()?;
        Some(String::from_utf8_lossy(&write::write(&package)).into_owned())
    }

    /// Tells of a change, as the router would.
    pub fn push(&self, change: Change) {
        let mut state = self.state.borrow_mut();
        let untold = match &state.changes {
            Some(changes) => changes.try_send(change).err().map(|refused| match refused {
                tokio::sync::mpsc::error::TrySendError::Full(change)
                | tokio::sync::mpsc::error::TrySendError::Closed(change) => change,
            }),
            None => Some(change),
        };
        state.pushed.extend(untold);
    }

    /// Sends changes here from now on, those that were pushed before first.
    pub fn send_changes_to(&self, changes: Sender<Change>) {
        let before = std::mem::take(&mut self.state.borrow_mut().pushed);
        self.state.borrow_mut().changes = Some(changes);
        before.into_iter().for_each(|change| self.push(change));
    }

    /// Takes the changes that nobody received.
    pub fn take_changes(&self) -> Vec<Change> {
        std::mem::take(&mut self.state.borrow_mut().pushed)
    }

    /// What was asked for and is not there, as `missing: write <file>`, sorted.
    pub fn missing(&self) -> Vec<String> {
        self.state.borrow().missing.iter().cloned().collect()
    }

    /// Every call of the backend since the last [`Self::clear_journal`], in order, one line each.
    pub fn journal(&self) -> Vec<String> {
        self.state.borrow().journal.clone()
    }

    /// Empties the journal.
    pub fn clear_journal(&self) {
        self.state.borrow_mut().journal.clear();
    }

    /// What was asked to be watched, each once, in order.
    pub fn watched(&self) -> Vec<Watch> {
        self.state.borrow().watched.clone()
    }

    fn note(&self, line: String) {
        self.state.borrow_mut().journal.push(line);
    }

    fn miss(&self, file: &str) {
        self.state.borrow_mut().missing.insert(format!("missing: write {file}"));
    }

    /// The answer set or recorded for these arguments, else the one for any.
    fn find_answer(&self, object: &str, method: &str, args: &Table) -> Result<Table, CallError> {
        let exact = answer_name(method, args);
        let keys = if args.0.is_empty() { vec![method] } else { vec![&*exact, method] };
        for key in &keys {
            let set = self.state.borrow().answers.get(&(object.to_string(), key.to_string())).cloned();
            if let Some(answer) = set {
                return answer;
            }
            if let Some(answer) = self.recorded(object, key) {
                return answer;
            }
        }
        self.miss(&format!("ubus/{object}/{}.json", keys.join(".json or ")));
        Err(CallError::NotFound)
    }

    fn recorded(&self, object: &str, key: &str) -> Option<Result<Table, CallError>> {
        let path = self.folder.join("ubus").join(object).join(format!("{key}.json"));
        let text = fs::read_to_string(&path).ok()?;
        let json = serde_json::from_str::<serde_json::Value>(&text)
            .inspect_err(|e| self.miss(&format!("{} anew: {e}", path.display())));
        let table = json.ok().as_ref().and_then(json::table_from_json);
        Some(table.ok_or(CallError::Status(message::status::UNKNOWN_ERROR)))
    }

    fn object_names(&self) -> order::Set<String> {
        let folders = fs::read_dir(self.folder.join("ubus")).into_iter().flatten().flatten();
        let mut names: order::Set<_> = folders.filter_map(|entry| entry.file_name().into_string().ok()).collect();
        for ((object, _), answer) in &self.state.borrow().answers {
            if *answer != Err(CallError::NotFound) {
                names.insert(object.clone());
            }
        }
        names
    }

    fn find_package(&self, name: &str) -> Result<Rc<Package>, uci::Error> {
        if let Some(store) = &self.store {
            return store.read(name);
        }
        if let Some(package) = self.state.borrow().packages.get(name) {
            return package.clone().ok_or(uci::Error::NotFound);
        }
        if !uci::name::is_package(name) {
            return Err(uci::Error::NotFound);
        }
        let bytes = fs::read(self.folder.join("uci").join(name)).map_err(|_| uci::Error::NotFound)?;
        let package = Rc::new(parse::parse(name, &bytes)?);
        self.state.borrow_mut().packages.insert(name.into(), Some(package.clone()));
        Ok(package)
    }

    /// Merges all packages in memory, then keeps them all.
    fn commit_in_memory(&self, edits: &[PackageEdits], undoable: bool) -> Result<Vec<Box<str>>, uci::Error> {
        let mut merged = order::Map::<Box<str>, (Rc<Package>, Package)>::new();
        for edit in edits {
            let name = &edit.base.name;
            let before = match self.find_package(name) {
                Err(uci::Error::NotFound) if uci::begins_with_add(edit) => {
                    Rc::new(Package { name: name.clone(), sections: Vec::new() })
                }
                found => found?,
            };
            let (_, after) = merged.or_insert_with(name.clone(), |_| (before.clone(), (*before).clone()));
            *after = uci::merge::merge(after, edit)?;
        }
        merged.retain(|_, (before, after)| **before != *after);
        let mut kept = order::Map::new();
        for (name, (_, after)) in &merged {
            // Through the text, so that anonymous names move as they do on a router.
            kept.insert(name.to_string(), Some(Rc::new(parse::parse(name, &write::write(after))?)));
        }
        let mut state = self.state.borrow_mut();
        if undoable {
            for (name, (before, _)) in &merged {
                state.undo.or_insert_with(name.to_string(), |_| Some(before.clone()));
            }
        }
        state.packages.extend(kept);
        Ok(merged.into_keys().collect())
    }

    fn unconfirmed_in_memory(&self) -> Reverted {
        let state = self.state.borrow();
        let mut all = Reverted::default();
        for (name, old) in &state.undo {
            let now = state.packages.get(name).cloned().flatten();
            if now == *old {
                all.begun = true;
                continue;
            }
            let (now, old) = (now.unwrap_or_default(), old.clone().unwrap_or_default());
            all.changes.extend(uci::undo::differences(name, &now, &old));
            all.packages.push(name.as_str().into());
        }
        all
    }

    fn revert_in_memory(&self) -> Reverted {
        let reverted = self.unconfirmed_in_memory();
        let mut state = self.state.borrow_mut();
        let undo = state.undo.clone();
        let packages = undo.keys().map(|name| name.as_str().into()).collect();
        state.packages.extend(undo);
        Reverted { packages, ..reverted }
    }

    fn find_file(&self, path: &str) -> Result<Rc<str>, FileError> {
        match self.state.borrow().files.get(path) {
            Some(Some(text)) => return Ok(text.as_str().into()),
            Some(None) => return Err(FileError::NotFound),
            None => {}
        }
        self.files.read(path)
    }

    fn find_names(&self, path: &str) -> Result<Vec<String>, FileError> {
        let recorded = self.files.list(path);
        let mut names: order::Set<String> = recorded.iter().flatten().cloned().collect();
        let prefix = format!("{}/", path.trim_end_matches('/'));
        let state = self.state.borrow();
        for (set, text) in
            state.files.iter().map(|(p, t)| (p, t.is_some())).chain(state.links.keys().map(|p| (p, true)))
        {
            let Some(below) = set.strip_prefix(&prefix) else { continue };
            let (name, is_file) = below.split_once('/').map_or((below, true), |(folder, _)| (folder, false));
            if text {
                names.insert(name.into());
            } else if is_file {
                names.remove(name);
            }
        }
        if names.is_empty() { recorded } else { Ok(names.into_iter().collect()) }
    }

    /// Remembers what is not there.
    fn noting<T>(&self, path: &str, found: Result<T, FileError>) -> Result<T, FileError> {
        if matches!(found, Err(FileError::NotFound)) {
            self.miss(&format!("fs{path}"));
        }
        found
    }
}

impl Backend for Fixture {
    async fn call(&self, object: &str, method: &str, args: &Table) -> Result<Table, CallError> {
        self.note(format!("call {object} {method} {}", json::table_to_json(args)));
        self.find_answer(object, method, args)
    }

    /// A recorded answer is what the call returned; an object of Ambiorix sends it with two more DATA.
    async fn call_all(&self, object: &str, method: &str, args: &Table) -> Result<Answer, CallError> {
        let value = self.call(object, method, args).await?;
        Ok(Answer { status: message::status::OK, parts: vec![value, Table::default(), amx::error_code(0)] })
    }

    async fn objects(&self, pattern: &str) -> Result<Vec<String>, CallError> {
        self.note(format!("objects {pattern}"));
        Ok(self.object_names().into_iter().filter(|name| message::matches(pattern, name)).collect())
    }

    async fn package(&self, name: &str) -> Result<Rc<Package>, uci::Error> {
        self.note(format!("uci {name}"));
        self.find_package(name).inspect_err(|error| {
            if *error == uci::Error::NotFound {
                self.miss(&format!("uci/{name}"));
            }
        })
    }

    async fn commit(&self, edits: &[PackageEdits], undoable: bool) -> Result<(), uci::Error> {
        edits.iter().for_each(|edits| self.note(journal::commit(edits)));
        let changed = match &self.store {
            Some(store) => store.commit_as(edits, undoable).await?,
            None => self.commit_in_memory(edits, undoable)?,
        };
        self.announce(&changed).await;
        Ok(())
    }

    fn unconfirmed(&self) -> Reverted {
        self.store.as_ref().map_or_else(|| self.unconfirmed_in_memory(), |store| store.unconfirmed())
    }

    async fn announce(&self, packages: &[Box<str>]) {
        packages.iter().for_each(|package| self.note(format!("event config.change {package}")));
    }

    fn confirm(&self) -> Result<(), uci::Error> {
        self.note("confirm".into());
        self.state.borrow_mut().undo.clear();
        self.store.as_ref().map_or(Ok(()), |store| store.confirm())
    }

    async fn revert(&self) -> Result<Reverted, uci::Error> {
        self.note("revert".into());
        let reverted = match &self.store {
            Some(store) => store.revert().await?,
            None => self.revert_in_memory(),
        };
        self.announce(&reverted.packages).await;
        Ok(reverted)
    }

    async fn read(&self, path: &str) -> Result<Rc<str>, FileError> {
        self.note(format!("read {path}"));
        self.noting(path, self.find_file(path))
    }

    async fn list(&self, path: &str) -> Result<Rc<[String]>, FileError> {
        self.note(format!("list {path}"));
        self.noting(path, self.find_names(path)).map(Into::into)
    }

    async fn link(&self, path: &str) -> Result<Rc<str>, FileError> {
        self.note(format!("link {path}"));
        if let Some(target) = self.state.borrow().links.get(path) {
            return Ok(target.as_str().into());
        }
        self.noting(path, self.files.link(path))
    }

    fn watch(&self, what: &Watch) {
        let watched = &mut self.state.borrow_mut().watched;
        if !watched.contains(what) {
            watched.push(what.clone());
        }
    }
}

#[cfg(test)]
mod tests;
