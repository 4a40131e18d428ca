//! Commits that can be undone until somebody says that they stand: what the packages were is on flash before the first
//! of them changes, and stays there, over a crash and a power cut, until it is confirmed or put back.
//!
//! A second such commit before that keeps the older state of what both touch.

use std::fs;
use std::path::Path;

use tokio::time::Instant;

use super::commit::{Change, MAX_JOURNAL, fault, read_file};
use super::journal::{self, Entry};
use super::name::{is_secret_option, without_login};
use super::parse::{MAX_PACKAGE, parse};
use super::store::{Store, failed};
use super::{Error, OptValue, Package, Section};
use crate::backend::atomic::{self, Permissions};

/// Lines that tell what was put back at most.
const MAX_LINES: usize = 64;

/// What putting back changes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Reverted {
    /// The packages that are not as they were, or after [`Store::revert`] all that are again.
    pub packages: Vec<Box<str>>,
    /// `network.lan.ipaddr: 10.0.0.1 -> 192.168.1.1`, a line an option or section; values of secrets are left out.
    pub changes: Vec<String>,
    /// Another package is as it was already.
    pub begun: bool,
}

impl Store {
    /// Keeps what these packages are now, and gives what was kept before.
    pub(super) fn keep(&self, changes: &[Change]) -> Result<Option<Vec<u8>>, Error> {
        let before = read_file(&self.undo, MAX_JOURNAL);
        let mut entries = before.as_deref().and_then(journal::read).unwrap_or_default();
        for entry in changes.iter().map(Change::entry) {
            match entries.iter_mut().find(|kept| kept.name == entry.name) {
                Some(kept) => kept.new = entry.new,
                None => entries.push(entry),
            }
        }
        self.write_undo(&journal::write(&entries))?;
        Ok(before)
    }

    /// The commit was not made after all.
    pub(super) fn keep_again(&self, before: Option<&[u8]>) {
        let done = match before {
            Some(bytes) => self.write_undo(bytes),
            None => self.confirm(),
        };
        let _ = done.inspect_err(|error| log::error!("undo=unwritten cause=\"{error}\""));
    }

    fn write_undo(&self, bytes: &[u8]) -> Result<(), Error> {
        if bytes.len() > MAX_JOURNAL {
            return Err(Error::Invalid("packages to be kept over 8 MiB"));
        }
        let folder = self.undo.parent().unwrap_or(Path::new("/"));
        let written =
            fs::create_dir_all(folder).and_then(|()| atomic::replace(&self.undo, bytes, Permissions::mode(0o600)));
        written.map_err(|e| Error::Io(format!("cannot write {}: {e}", self.undo.display())))
    }

    fn kept(&self) -> Vec<Entry> {
        let Some(bytes) = read_file(&self.undo, MAX_JOURNAL) else { return Vec::new() };
        journal::read(&bytes).unwrap_or_else(|| {
            log::error!("undo=torn file={} action=ignored", self.undo.display());
            Vec::new()
        })
    }

    /// What nobody has confirmed and is not as it was.
    pub fn unconfirmed(&self) -> Reverted {
        let mut all = Reverted::default();
        for entry in self.kept() {
            let Ok(path) = self.path(&entry.name) else { continue };
            if entry.is_old(&path) {
                all.begun = true;
                continue;
            }
            tell(&entry, &read_file(&path, MAX_PACKAGE).unwrap_or_default(), &mut all.changes);
            all.packages.push(entry.name);
        }
        all
    }

    /// They stand: what they were is forgotten.
    ///
    /// # Errors
    /// [`Error::Io`] where the system refuses.
    pub fn confirm(&self) -> Result<(), Error> {
        atomic::remove(&self.undo).map_err(|e| failed("forget what was before", "the change of", &e))
    }

    /// Puts back what the packages were, whoever wrote them since: a router that cannot be reached is worth nothing to
    /// him either. What they were is kept on until [`Store::confirm`]: a crash before that leaves it to be done again.
    ///
    /// # Errors
    /// [`Error::Io`] where the system refuses or a lock is held for over two seconds.
    pub async fn revert(&self) -> Result<Reverted, Error> {
        let deadline = Instant::now() + self.lock_wait;
        let mut reverted = Reverted { packages: Vec::new(), ..self.unconfirmed() };
        for entry in self.kept() {
            // Where somebody removed it, it is made.
            let mode = entry.old.as_ref().map(|_| entry.permissions.mode);
            let mut lock = match self.lock(&entry.name, mode, deadline).await {
                Ok(lock) => lock,
                Err(Error::NotFound) => {
                    reverted.packages.push(entry.name);
                    continue;
                }
                Err(error) => return Err(error),
            };
            if entry.is_old(&lock.path) {
                // A crash left an empty file, made to have something to lock.
                if entry.old.is_none() {
                    let _ = atomic::remove(&lock.path);
                }
                reverted.packages.push(entry.name);
                continue;
            }
            if !entry.is_new(&lock.path) {
                log::warn!("package={} was written by somebody else since; that is undone too", entry.name);
            }
            let restored = match &entry.old {
                Some(old) => atomic::replace(&lock.path, old, entry.permissions),
                None => atomic::remove(&lock.path),
            };
            restored.map_err(|e| failed("put back", &entry.name, &e))?;
            lock.update_unlinked(entry.old.as_deref().unwrap_or_default());
            fault("put-back");
            self.forget(&entry.name);
            reverted.packages.push(entry.name);
        }
        Ok(reverted)
    }
}

fn tell(entry: &Entry, now: &[u8], lines: &mut Vec<String>) {
    let package = |bytes: &[u8]| parse(&entry.name, bytes).unwrap_or_default();
    let (now, old) = (package(now), package(entry.old.as_deref().unwrap_or_default()));
    lines.extend(differences(&entry.name, &now, &old).take(MAX_LINES.saturating_sub(lines.len())));
}

/// What tells `after` from `before`, a line an option or section.
pub fn differences(name: &str, before: &Package, after: &Package) -> impl Iterator<Item = String> {
    let mut lines = Vec::new();
    for section in &after.sections {
        match before.section(&section.name).filter(|other| other.kind == section.kind) {
            None => lines.push(format!("{name}.{}: - -> {}", section.name, section.kind)),
            Some(other) => options(name, other, section, &mut lines),
        }
    }
    for section in &before.sections {
        if after.section(&section.name).is_none_or(|other| other.kind != section.kind) {
            lines.push(format!("{name}.{}: {} -> -", section.name, section.kind));
        }
    }
    lines.into_iter()
}

fn options(name: &str, before: &Section, after: &Section, lines: &mut Vec<String>) {
    let gone = before.options.iter().filter(|option| after.get(&option.name).is_none());
    for option in gone.chain(&after.options) {
        let (old, new) = (before.get(&option.name), after.get(&option.name));
        if old != new {
            let hidden = is_secret_option(&after.kind, &option.name);
            let (old, new) = (shown(old, hidden), shown(new, hidden));
            lines.push(format!("{name}.{}.{}: {old} -> {new}", after.name, option.name));
        }
    }
}

fn shown(value: Option<&OptValue>, hidden: bool) -> String {
    match value {
        None => "-".into(),
        Some(_) if hidden => "(secret)".into(),
        Some(OptValue::One(text)) => without_login(text).into_owned(),
        Some(OptValue::List(items)) => items.join(" "),
    }
}

#[cfg(test)]
#[path = "undo_tests.rs"]
mod tests;
