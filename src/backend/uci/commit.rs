//! The commit of one or several packages: lock, merge, write beside, rename, sync; and what undoes half of one.

use crate::order;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};
use tokio::time::Instant;

use super::journal::{self, Entry};
use super::merge::merge;
use super::parse::{MAX_PACKAGE, parse};
use super::store::{Store, contents, failed, regular, unopened};
use super::write::write;
use super::{Edit, Error, Package, PackageEdits, begins_with_add};
use crate::backend::atomic::{self, NewFile, Permissions, read_bounded};
use crate::backend::checksum::fnv1a;

/// How long a commit waits for locks that other programs hold, in all.
pub(super) const LOCK_WAIT: Duration = Duration::from_secs(2);
/// How often it looks.
const LOCK_POLL: Duration = Duration::from_millis(5);
/// The least time between two commits.
pub(super) const SETTLE: Duration = Duration::from_millis(20);
/// A new file of libuci older than this is what a crash left.
const STALE: Duration = Duration::from_secs(5);
/// The most bytes of packages that one commit of several changes.
pub(super) const MAX_JOURNAL: usize = 8 * MAX_PACKAGE;

impl Store {
    /// Merges the edits onto what is on disk now and writes each package once: all of them or none.
    /// Tells which packages changed; edits that change nothing leave the file as it is, comments included.
    ///
    /// # Errors
    /// [`Error::Conflict`] where a section to set is gone or cannot be told from its like; [`Error::Invalid`] for
    /// what libuci would refuse; [`Error::NotFound`] for edits of a package that has no file and that do not begin with
    /// an `Add`; [`Error::Io`] where the system refuses or a lock is held for over two seconds.
    /// The packages are then as they were.
    pub async fn commit(&self, edits: &[PackageEdits]) -> Result<Vec<Box<str>>, Error> {
        self.commit_as(edits, false).await
    }

    /// Likewise; what an `undoable` one changes is kept until [`Store::confirm`] or [`Store::revert`].
    ///
    /// # Errors
    /// As [`Store::commit`].
    pub async fn commit_as(&self, edits: &[PackageEdits], undoable: bool) -> Result<Vec<Box<str>>, Error> {
        let deadline = Instant::now() + self.lock_wait;
        self.settle().await;
        let mut locked = Vec::new();
        // By name, so that two commits never wait for each other.
        for (name, edits) in by_package(edits) {
            locked.push((self.lock(name, creates(&edits), deadline).await?, edits));
        }
        // No await from here on: a commit that has begun to write is not cancelled.
        let mut changes = Vec::new();
        for (lock, edits) in locked {
            changes.extend(Change::prepare(lock, &edits)?);
        }
        self.write_all(changes, undoable)
    }

    /// Lets a libuci finish that waited for the lock of the file which the last commit replaced: that
    /// lock no longer keeps it from us.
    async fn settle(&self) {
        if let Some(until) = self.last_commit.get().map(|last| last + self.settle) {
            if Instant::now() < until {
                tokio::time::sleep_until(until).await;
            }
        }
    }

    fn write_all(&self, mut changes: Vec<Change>, undoable: bool) -> Result<Vec<Box<str>>, Error> {
        fault("prepared");
        let undoable = undoable && !changes.is_empty();
        let kept_before = if undoable { self.keep(&changes)? } else { None };
        fault("kept");
        let several = changes.len() > 1;
        if several {
            self.write_journal(&changes)?;
        }
        fault("journal");
        let done = rename_all(&mut changes);
        self.last_commit.set(Some(Instant::now()));
        if done.is_err() {
            changes.iter().for_each(|change| drop(undo(&change.entry(), &change.lock.path)));
            if undoable {
                self.keep_again(kept_before.as_deref());
            }
        }
        changes.iter().for_each(|change| self.forget(&change.lock.name));
        if several {
            atomic::remove(&self.journal).map_err(|e| failed("remove the journal of", "a commit", &e))?;
        }
        done.map(|()| changes.iter().map(|change| change.lock.name.clone()).collect())
    }

    fn write_journal(&self, changes: &[Change]) -> Result<(), Error> {
        let bytes = journal::write(&changes.iter().map(Change::entry).collect::<Vec<_>>());
        if bytes.len() > MAX_JOURNAL {
            return Err(Error::Invalid("packages of one commit over 8 MiB"));
        }
        let folder = self.journal.parent().unwrap_or(Path::new("/"));
        let written =
            fs::create_dir_all(folder).and_then(|()| atomic::replace(&self.journal, &bytes, Permissions::mode(0o600)));
        written.map_err(|e| Error::Io(format!("cannot write {}: {e}", self.journal.display())))
    }

    /// Undoes a commit that a crash or power cut left half done, and removes its traces. To be called once
    /// at start, before anything is read. Tells which packages it found changed by that commit: those it
    /// undid, or all of them where it was complete; procd has not been told of them.
    ///
    /// # Errors
    /// [`Error::Io`] where the system refuses; the journal then stays for the next start.
    pub async fn recover(&self) -> Result<Vec<Box<str>>, Error> {
        self.folders().for_each(atomic::sweep);
        let Some(bytes) = read_file(&self.journal, MAX_JOURNAL) else { return Ok(Vec::new()) };
        let mut touched = Vec::new();
        match journal::read(&bytes) {
            Some(entries) => touched = self.undo_all(&entries).await?,
            None => log::warn!("uci-journal=torn file={} action=ignored", self.journal.display()),
        }
        atomic::remove(&self.journal).map_err(|e| failed("remove the journal of", "a commit", &e))?;
        Ok(touched)
    }

    async fn undo_all(&self, entries: &[Entry]) -> Result<Vec<Box<str>>, Error> {
        let deadline = Instant::now() + self.lock_wait;
        let mut locks = Vec::new();
        for entry in entries {
            match self.lock(&entry.name, None, deadline).await {
                Ok(lock) => locks.push((entry, lock)),
                Err(Error::NotFound) => {}
                Err(error) => return Err(error),
            }
        }
        let touched = locks.iter().filter(|(entry, lock)| entry.is_new(&lock.path));
        let touched = touched.map(|(entry, _)| entry.name.clone()).collect();
        let complete = !entries.iter().any(|entry| self.path(&entry.name).is_ok_and(|path| entry.is_old(&path)));
        if !complete {
            for (entry, lock) in &locks {
                undo(entry, &lock.path).map_err(|e| failed("restore", &entry.name, &e))?;
                self.forget(&entry.name);
            }
        }
        log::warn!("uci-journal=found packages={} undone={}", entries.len(), !complete);
        Ok(touched)
    }

    /// Opens and locks the file of a package; where there is none, `create` says with which mode to make it.
    pub(super) async fn lock(&self, name: &str, create: Option<u32>, deadline: Instant) -> Result<Lock, Error> {
        loop {
            let path = self.path(name)?;
            if let Some((file, created)) = open(&path, create).map_err(|e| unopened(name, &e))? {
                let lock = Lock { name: name.into(), path, created, file };
                while !lock.take().map_err(|e| failed("lock", name, &e))? {
                    pause(name, deadline).await?;
                }
                // In this order: a file that is no longer about to be put in place is in place.
                if !self.is_being_replaced(name) && lock.is_current() {
                    return Ok(lock);
                }
            }
            pause(name, deadline).await?;
        }
    }

    /// libuci gives its lock back before it renames: while its new file lies there, the lock is worth nothing.
    fn is_being_replaced(&self, name: &str) -> bool {
        self.folders().any(|folder| atomic::foreign_file_beside(&folder.join(name), STALE))
    }
}

/// Waits a moment for another program.
async fn pause(name: &str, deadline: Instant) -> Result<(), Error> {
    if Instant::now() >= deadline {
        return Err(Error::Io(format!("package {name} is locked or being written by another program")));
    }
    tokio::time::sleep(LOCK_POLL).await;
    Ok(())
}

/// The edits of each package, by its name.
fn by_package(edits: &[PackageEdits]) -> order::Map<&str, Vec<&PackageEdits>> {
    let mut packages = order::Map::<&str, Vec<_>>::new();
    for edit in edits {
        packages.or_insert_with(&edit.base.name, |_| Vec::new()).push(edit);
    }
    packages
}

/// The mode of the file to make for a package without one: the agent's own holds secrets.
fn creates(edits: &[&PackageEdits]) -> Option<u32> {
    let first = edits.first()?;
    let mode = if &*first.base.name == "usp-agent" { 0o600 } else { 0o644 };
    begins_with_add(first).then_some(mode)
}

/// None where the file appeared or vanished meanwhile.
fn open(path: &Path, create: Option<u32>) -> io::Result<Option<(File, bool)>> {
    match OpenOptions::new().read(true).write(true).open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        opened => return opened.map(|file| Some((file, false))),
    }
    let Some(mode) = create else { return Err(io::ErrorKind::NotFound.into()) };
    match OpenOptions::new().read(true).write(true).create_new(true).mode(mode).open(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(None),
        created => created.map(|file| Some((file, true))),
    }
}

/// The locked file of a package; unlocked when dropped.
pub(super) struct Lock {
    name: Box<str>,
    pub(super) path: PathBuf,
    /// True where the commit made the file, empty, to have something to lock.
    created: bool,
    file: File,
}

impl Lock {
    /// False where another program holds it.
    fn take(&self) -> io::Result<bool> {
        match flock(&self.file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(true),
            Err(rustix::io::Errno::WOULDBLOCK | rustix::io::Errno::INTR) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// True where the path still leads to this file, not to one that was renamed over it.
    fn is_current(&self) -> bool {
        let (Ok(locked), Ok(named)) = (self.file.metadata(), fs::metadata(&self.path)) else { return false };
        (locked.dev(), locked.ino()) == (named.dev(), named.ino())
    }

    /// Gives the replaced file the new contents too: a libuci that waits for its lock will read it as if it
    /// were the package's, and would otherwise write the old contents back over ours.
    pub(super) fn update_unlinked(&mut self, bytes: &[u8]) {
        if self.file.metadata().is_ok_and(|m| m.nlink() == 0) && self.overwrite(bytes).is_err() {
            // Better that libuci refuses a broken file than that it commits half of one.
            let _ = self.file.rewind().and_then(|()| self.file.write_all(b"!"));
        }
    }

    fn overwrite(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.rewind()?;
        self.file.write_all(bytes)?;
        self.file.set_len(bytes.len() as u64)
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        let unused = self.created && self.is_current() && self.file.metadata().is_ok_and(|m| m.len() == 0);
        if unused {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// A package whose new file lies ready beside the old.
pub(super) struct Change {
    lock: Lock,
    old: Vec<u8>,
    permissions: Permissions,
    bytes: Vec<u8>,
    /// None once renamed.
    file: Option<NewFile>,
}

impl Change {
    /// None where the edits change nothing.
    fn prepare(lock: Lock, edits: &[&PackageEdits]) -> Result<Option<Self>, Error> {
        let permissions = Permissions::of(&regular(&lock.file, &lock.name)?);
        let old = contents(&lock.file, &lock.name)?;
        let replaced = edits.iter().any(|edits| matches!(edits.edits.first(), Some(Edit::Replace(_))));
        let before = match parse(&lock.name, &old) {
            Err(_) if replaced => Package::default(),
            parsed => parsed?,
        };
        let after = edits.iter().try_fold(before.clone(), |package: Package, edits| merge(&package, edits))?;
        if before == after {
            return Ok(None);
        }
        let bytes = write(&after);
        if bytes.len() > MAX_PACKAGE {
            return Err(Error::Invalid("package file over 1 MiB"));
        }
        let file = NewFile::beside(&lock.path, &bytes, permissions).map_err(|e| failed("write", &lock.name, &e))?;
        Ok(Some(Self { lock, old, permissions, bytes, file: Some(file) }))
    }

    pub(super) fn entry(&self) -> Entry {
        Entry {
            name: self.lock.name.clone(),
            old: (!self.lock.created).then(|| self.old.clone()),
            permissions: self.permissions,
            new: fnv1a(&self.bytes),
        }
    }
}

/// Puts the new files in place and syncs their folders.
fn rename_all(changes: &mut [Change]) -> Result<(), Error> {
    for change in changes.iter_mut() {
        let Some(file) = change.file.take() else { continue };
        file.rename().map_err(|e| failed("replace", &change.lock.name, &e))?;
        change.lock.update_unlinked(&change.bytes);
        fault("renamed");
    }
    for Change { lock, .. } in changes {
        atomic::sync_folder(&lock.path).map_err(|e| failed("sync", &lock.name, &e))?;
    }
    fault("synced");
    Ok(())
}

impl Entry {
    /// True where this file is what the commit wrote.
    pub(super) fn is_new(&self, path: &Path) -> bool {
        read_file(path, MAX_PACKAGE).is_some_and(|bytes| fnv1a(&bytes) == self.new)
    }

    /// True where this file is what it was before the commit.
    pub(super) fn is_old(&self, path: &Path) -> bool {
        let now = read_file(path, MAX_PACKAGE);
        match &self.old {
            Some(old) => now.as_ref() == Some(old),
            None => now.is_none_or(|bytes| bytes.is_empty()),
        }
    }
}

pub(super) fn read_file(path: &Path, limit: usize) -> Option<Vec<u8>> {
    read_bounded(&File::open(path).ok()?, limit).ok()
}

/// Restores one package, unless somebody else wrote it since.
fn undo(entry: &Entry, path: &Path) -> io::Result<()> {
    match &entry.old {
        Some(old) if entry.is_new(path) => atomic::replace(path, old, entry.permissions),
        None if entry.is_new(path) || entry.is_old(path) => atomic::remove(path),
        _ => Ok(()),
    }
}

/// Where the tests let the agent die.
#[cfg(not(test))]
pub(super) fn fault(_point: &str) {}

#[cfg(test)]
pub(super) fn fault(point: &str) {
    super::store::tests::at_fault_point(point);
}
