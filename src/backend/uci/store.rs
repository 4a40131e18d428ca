//! The packages in a configuration folder: cached reading, and a commit that changes all of them or none.
//!
//! A commit locks the files as libuci does, but holds the lock until the new file is in place and looks
//! whether the file it locked is still the one under that name. It merges onto what is on disk then.
//! It neither reads nor touches `/tmp/.uci`, where other programs keep what they have not committed.

use crate::order;
use std::cell::{Cell, RefCell};
use std::fs::{self, File, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use tokio::time::Instant;

use super::commit::{LOCK_WAIT, SETTLE};
use super::name::is_package;
use super::parse::{MAX_PACKAGE, parse};
use super::{Error, Package};
use crate::backend::atomic::read_bounded;

/// The most packages kept in memory; a router has about thirty.
const MAX_CACHED: usize = 64;

/// The UCI packages of a router.
#[derive(Debug)]
pub struct Store {
    confdir: PathBuf,
    overrides: Option<PathBuf>,
    /// The journal of a commit in progress, on flash.
    pub(super) journal: PathBuf,
    /// What undoable commits changed, on flash.
    pub(super) undo: PathBuf,
    pub(super) lock_wait: Duration,
    pub(super) settle: Duration,
    pub(super) last_commit: Cell<Option<Instant>>,
    cache: RefCell<order::Map<Box<str>, Cached>>,
}

#[derive(Debug)]
struct Cached {
    stamp: Stamp,
    package: Rc<Package>,
}

/// Tells a file from one written later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    modified: (i64, i64),
    size: u64,
}

impl Stamp {
    fn of(file: &Metadata) -> Self {
        let modified = (file.mtime(), file.mtime_nsec());
        Self { device: file.dev(), inode: file.ino(), modified, size: file.size() }
    }
}

impl Store {
    /// The packages in `confdir` (`/etc/config`). A package that `overrides` (`/var/run/uci`) also has is
    /// read and written there instead, as libuci does since 2025. `state` is where the journal lives,
    /// on flash; it is made when first needed.
    pub fn new(confdir: PathBuf, overrides: Option<PathBuf>, state: &Path) -> Self {
        Self {
            confdir,
            overrides,
            journal: state.join("uci-journal"),
            undo: state.join("uci-undo"),
            lock_wait: LOCK_WAIT,
            settle: SETTLE,
            last_commit: Cell::new(None),
            cache: RefCell::default(),
        }
    }

    /// For a folder that no libuci writes, e.g. of a test: commits follow each other without pause.
    #[must_use]
    pub fn alone(self) -> Self {
        Self { settle: Duration::ZERO, ..self }
    }

    /// A package as it is on disk now.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Parse`], or [`Error::Io`] and [`Error::Invalid`] over a limit.
    pub fn read(&self, name: &str) -> Result<Rc<Package>, Error> {
        let path = self.path(name)?;
        let stamp = Stamp::of(&fs::metadata(&path).map_err(|e| unopened(name, &e))?);
        if let Some(cached) = self.cache.borrow().get(name).filter(|cached| cached.stamp == stamp) {
            return Ok(cached.package.clone());
        }
        self.load(name, &path)
    }

    fn load(&self, name: &str, path: &Path) -> Result<Rc<Package>, Error> {
        self.forget(name);
        let file = File::open(path).map_err(|e| unopened(name, &e))?;
        let stamp = Stamp::of(&regular(&file, name)?);
        let package = Rc::new(parse(name, &contents(&file, name)?)?);
        let mut cache = self.cache.borrow_mut();
        if cache.len() >= MAX_CACHED {
            cache.clear();
        }
        cache.insert(name.into(), Cached { stamp, package: package.clone() });
        Ok(package)
    }

    /// Reads a package anew next time, e.g. because inotify says that it changed.
    pub fn forget(&self, name: &str) {
        self.cache.borrow_mut().remove(name);
    }

    /// The names of the packages there are, sorted.
    pub fn names(&self) -> Vec<Box<str>> {
        let folders = [Some(&self.confdir), self.overrides.as_ref()];
        let entries = folders.into_iter().flatten().filter_map(|folder| fs::read_dir(folder).ok()).flatten();
        let names = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
        let mut names: Vec<Box<str>> = names.filter(|name| is_package(name)).map(Into::into).collect();
        order::sort(&mut names);
        names.dedup();
        names
    }

    /// The folders whose files are packages.
    pub fn folders(&self) -> impl Iterator<Item = &Path> {
        [Some(&self.confdir), self.overrides.as_ref()].into_iter().flatten().map(|path| &**path)
    }

    /// The file of a package, symbolic links followed; it need not exist.
    pub(super) fn path(&self, name: &str) -> Result<PathBuf, Error> {
        if !is_package(name) {
            return Err(Error::NotFound);
        }
        let instead = self.overrides.iter().map(|folder| folder.join(name)).find(|path| path.exists());
        let path = instead.unwrap_or_else(|| self.confdir.join(name));
        Ok(fs::canonicalize(&path).unwrap_or(path))
    }
}

/// What a file is, if it is a regular one.
pub(super) fn regular(file: &File, name: &str) -> Result<Metadata, Error> {
    let metadata = file.metadata().map_err(|e| failed("read", name, &e))?;
    if metadata.is_file() { Ok(metadata) } else { Err(Error::NotFound) }
}

/// The whole of a package's open file.
pub(super) fn contents(file: &File, name: &str) -> Result<Vec<u8>, Error> {
    match read_bounded(file, MAX_PACKAGE) {
        Err(error) if error.kind() == io::ErrorKind::InvalidData => Err(Error::Invalid("package file over 1 MiB")),
        other => other.map_err(|e| failed("read", name, &e)),
    }
}

/// Why a package could not be opened.
pub(super) fn unopened(name: &str, error: &io::Error) -> Error {
    if error.kind() == io::ErrorKind::NotFound { Error::NotFound } else { failed("open", name, error) }
}

/// Says what could not be done to which package.
pub(super) fn failed(verb: &str, name: &str, error: &io::Error) -> Error {
    Error::Io(format!("cannot {verb} package {name}: {error}"))
}

#[cfg(test)]
#[path = "store_tests.rs"]
pub(super) mod tests;
