//! Tells of UCI packages and files that somebody wrote, by inotify.
//!
//! Every write is told, the agent's own commits too: who asks can read again at no cost. What happens
//! within [`SETTLE`] is told once. Files of `/proc` and `/sys` cannot be watched.

use crate::order;
use std::cell::RefCell;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use rustix::fs::inotify;
use tokio::io::unix::AsyncFd;
use tokio::sync::mpsc::Sender;
use tokio::time::sleep;

use super::Change;
use super::files::Files;
use super::uci::name::is_package;
use super::uci::store::Store;

/// How long changes are gathered before they are told.
pub const SETTLE: Duration = Duration::from_millis(20);
/// The most files watched.
pub const MAX_FILES: usize = 128;

/// Asks for changes of files; a clone is another handle on the same watches.
#[derive(Debug, Clone)]
pub struct Watches {
    shared: Rc<Shared>,
}

/// The future that waits for the changes.
#[derive(Debug)]
pub struct Driver {
    shared: Rc<Shared>,
    store: Rc<Store>,
    changes: Sender<Change>,
}

#[derive(Debug)]
struct Shared {
    inotify: Rc<OwnedFd>,
    files: Files,
    folders: RefCell<Vec<Folder>>,
}

/// A folder and what in it is of interest.
#[derive(Debug)]
struct Folder {
    path: PathBuf,
    /// Its watch; None while it is not there.
    watch: Option<i32>,
    /// Whether its files are UCI packages.
    packages: bool,
    /// File names, and the paths they were asked by.
    files: order::Map<String, Box<str>>,
}

impl Watches {
    /// Watches the packages of `store`, and later files below `files`' root; changes go to `changes`.
    ///
    /// # Errors
    /// Where the system has no inotify to give.
    pub fn new(store: Rc<Store>, files: Files, changes: Sender<Change>) -> std::io::Result<(Self, Driver)> {
        let inotify = Rc::new(inotify::init(inotify::CreateFlags::NONBLOCK | inotify::CreateFlags::CLOEXEC)?);
        let shared = Rc::new(Shared { inotify, files, folders: RefCell::default() });
        for path in store.folders() {
            shared.folder(path, |folder| folder.packages = true);
        }
        Ok((Self { shared: shared.clone() }, Driver { shared, store, changes }))
    }

    /// Tells from now on when this file is written, replaced or removed. Asking twice is free.
    pub fn file(&self, path: &str) {
        let Ok(place) = self.shared.files.place(path) else { return };
        let (Some(parent), Some(name)) = (place.parent(), place.file_name()) else { return };
        let name = name.to_string_lossy().into_owned();
        if self.shared.folders.borrow().iter().map(|f| f.files.len()).sum::<usize>() >= MAX_FILES {
            return log::warn!("watch=refused file={path} limit={MAX_FILES}");
        }
        self.shared.folder(parent, |folder| drop(folder.files.insert(name, path.into())));
    }
}

impl Shared {
    /// Changes what is of interest in a folder and watches it.
    fn folder(&self, path: &Path, change: impl FnOnce(&mut Folder)) {
        let mut folders = self.folders.borrow_mut();
        let index = folders.iter().position(|f| f.path == path).unwrap_or(folders.len());
        if index == folders.len() {
            folders.push(Folder { path: path.into(), watch: None, packages: false, files: order::Map::new() });
        }
        if let Some(folder) = folders.get_mut(index) {
            change(folder);
            self.add(folder);
        }
    }

    /// Watches a folder that is not watched yet; true where it is there.
    fn add(&self, folder: &mut Folder) -> bool {
        use inotify::WatchFlags as On;
        let events = On::MODIFY | On::CLOSE_WRITE | On::MOVED_TO | On::MOVED_FROM | On::DELETE;
        if folder.watch.is_none() {
            // The folder may come while the one above it begins to be watched.
            folder.watch = self.watch(&folder.path, events).or_else(|| {
                self.await_in_parent(&folder.path);
                self.watch(&folder.path, events)
            });
        }
        folder.watch.is_some()
    }

    /// A folder that is not there is waited for in the nearest one above it that is: whatever comes there wakes the
    /// driver, which looks again.
    fn await_in_parent(&self, path: &Path) {
        use inotify::WatchFlags as On;
        let _ = path.ancestors().skip(1).find_map(|above| self.watch(above, On::CREATE | On::MOVED_TO));
    }

    /// Adds to what is told of a folder; None where it is not there.
    fn watch(&self, path: &Path, events: inotify::WatchFlags) -> Option<i32> {
        use inotify::WatchFlags as On;
        inotify::add_watch(&self.inotify, path, events | On::ONLYDIR | On::MASK_ADD).ok()
    }

    /// Looks again for folders that were not there; what is of interest in those that are now has changed.
    fn retry(&self, found: &mut order::Set<Found>) {
        for folder in self.folders.borrow_mut().iter_mut() {
            if folder.watch.is_none() && self.add(folder) {
                folder.everything(found);
            }
        }
    }

    /// Takes what inotify has to tell, without waiting.
    fn drain(&self, found: &mut order::Set<Found>) {
        let mut buffer = [MaybeUninit::uninit(); 4096];
        let mut reader = inotify::Reader::new(&self.inotify, &mut buffer);
        while let Ok(event) = reader.next() {
            let name = event.file_name().and_then(|name| name.to_str().ok()).unwrap_or_default();
            self.note(event.wd(), event.events(), name, found);
        }
    }

    fn note(&self, watch: i32, events: inotify::ReadFlags, name: &str, found: &mut order::Set<Found>) {
        let mut folders = self.folders.borrow_mut();
        if events.contains(inotify::ReadFlags::QUEUE_OVERFLOW) {
            folders.iter().for_each(|folder| folder.everything(found));
        }
        // Two paths may lead to one folder, which then has one watch.
        for folder in folders.iter_mut().filter(|folder| folder.watch == Some(watch)) {
            if events.contains(inotify::ReadFlags::IGNORED) {
                folder.watch = None;
                folder.everything(found);
            } else {
                folder.note(events, name, found);
            }
        }
    }
}

/// What changed.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Found {
    Package(Box<str>),
    AllPackages,
    File(Box<str>),
}

impl Folder {
    fn note(&self, events: inotify::ReadFlags, name: &str, found: &mut order::Set<Found>) {
        if let Some(path) = self.files.get(name) {
            found.insert(Found::File(path.clone()));
        }
        // A package is told when it is complete.
        let complete = events != inotify::ReadFlags::MODIFY;
        if self.packages && complete && is_package(name) {
            found.insert(Found::Package(name.into()));
        }
    }

    fn everything(&self, found: &mut order::Set<Found>) {
        found.extend(self.files.values().map(|path| Found::File(path.clone())));
        if self.packages {
            found.insert(Found::AllPackages);
        }
    }
}

impl Driver {
    /// Tells of changes until nobody receives them any more.
    pub async fn run(self) {
        #[allow(deprecated, reason = "the successor is unsafe; an Rc<OwnedFd> always is the same open descriptor")]
        let Ok(inotify) = AsyncFd::new(self.shared.inotify.clone()) else {
            return log::error!("watch=failed cause=inotify effect=changes-by-others-are-not-seen");
        };
        while self.wait(&inotify).await {
            let mut found = order::Set::new();
            self.shared.drain(&mut found);
            sleep(SETTLE).await;
            self.shared.drain(&mut found);
            self.shared.retry(&mut found);
            if !self.tell(found).await {
                return;
            }
        }
    }

    async fn wait(&self, inotify: &AsyncFd<Rc<OwnedFd>>) -> bool {
        inotify.readable().await.map(|mut guard| guard.clear_ready()).is_ok()
    }

    async fn tell(&self, found: order::Set<Found>) -> bool {
        for found in found {
            let told = match found {
                Found::Package(name) => self.package(name).await,
                Found::File(path) => self.changes.send(Change::File(path)).await.is_ok(),
                Found::AllPackages => self.all_packages().await,
            };
            if !told {
                return false;
            }
        }
        true
    }

    async fn package(&self, name: Box<str>) -> bool {
        self.store.forget(&name);
        self.changes.send(Change::Package(name)).await.is_ok()
    }

    async fn all_packages(&self) -> bool {
        for name in self.store.names() {
            if !self.package(name).await {
                return false;
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::scratch::Scratch;
    use std::fs;
    use tokio::sync::mpsc::{Receiver, channel};
    use tokio::time::timeout;

    /// Runs `act` on a watched folder and returns what is told until nothing more comes.
    fn told(act: impl AsyncFnOnce(&Scratch, &Watches)) -> Vec<Change> {
        let dir = Scratch::new("watch");
        dir.write("etc/config/network", "config t n\n");
        dir.write("tmp/dhcp.leases", "");
        let store = Rc::new(Store::new(dir.path().join("etc/config"), None, &dir.path().join("state")));
        let (sender, mut receiver) = channel(16);
        let (watches, driver) = {
            let _runtime = runtime().enter();
            Watches::new(store, Files::new(dir.path()), sender).unwrap()
        };
        runtime().block_on(async {
            tokio::select! {
                () = driver.run() => panic!("the driver ended"),
                all = async { act(&dir, &watches).await; rest(&mut receiver).await } => all,
            }
        })
    }

    fn runtime() -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
    }

    async fn rest(receiver: &mut Receiver<Change>) -> Vec<Change> {
        let mut all = Vec::new();
        while let Ok(Some(change)) = timeout(SETTLE * 5, receiver.recv()).await {
            all.push(change);
        }
        all
    }

    fn package(name: &str) -> Change {
        Change::Package(name.into())
    }

    #[test]
    fn packages_are_told_once_per_burst_and_temporary_files_never() {
        let all = told(async |dir, _| {
            dir.write("etc/config/network", "config t m\n");
            dir.write("etc/config/network", "config t o\n");
            dir.write("etc/config/.wireless.uci-abcdef", "");
            fs::rename(dir.path().join("etc/config/.wireless.uci-abcdef"), dir.path().join("etc/config/wireless"))
                .unwrap();
            dir.write("etc/config/dhcp.bak", "");
            dir.write("tmp/dhcp.leases", "not asked for");
        });
        assert_eq!(all, [package("network"), package("wireless")]);
    }

    #[test]
    fn a_package_that_is_removed_is_told() {
        let all = told(async |dir, _| fs::remove_file(dir.path().join("etc/config/network")).unwrap());
        assert_eq!(all, [package("network")]);
    }

    #[test]
    fn a_file_is_told_by_the_path_it_was_asked_by_while_its_writer_keeps_it_open() {
        let all = told(async |dir, watches| {
            watches.file("/tmp/dhcp.leases");
            watches.file("/tmp/dhcp.leases");
            let mut open = fs::OpenOptions::new().append(true).open(dir.path().join("tmp/dhcp.leases")).unwrap();
            std::io::Write::write_all(&mut open, b"line").unwrap();
            std::mem::forget(open); // dnsmasq never closes it
        });
        assert_eq!(all, [Change::File("/tmp/dhcp.leases".into())]);
    }

    #[test]
    fn a_folder_that_goes_may_have_changed_everything() {
        let all = told(async |dir, _| {
            fs::rename(dir.path().join("etc/config"), dir.path().join("etc/old")).unwrap();
            dir.write("etc/config/dhcp", "");
            fs::remove_dir_all(dir.path().join("etc/old")).unwrap();
            tokio::time::sleep(SETTLE * 3).await;
            dir.write("etc/config/system", "");
        });
        assert!(all.contains(&package("dhcp")) && all.contains(&package("system")), "{all:?}");
    }

    #[test]
    fn a_folder_that_comes_late_is_noticed_without_looking_for_it() {
        let all = told(async |dir, watches| {
            watches.file("/var/run/late/leases");
            tokio::time::sleep(SETTLE).await;
            fs::create_dir_all(dir.path().join("var/run")).unwrap();
            tokio::time::sleep(SETTLE * 3).await;
            fs::create_dir(dir.path().join("var/run/late")).unwrap();
            tokio::time::sleep(SETTLE * 3).await;
            dir.write("var/run/late/leases", "one");
        });
        let leases = Change::File("/var/run/late/leases".into());
        // Once because the folder came, once because the file was written.
        assert_eq!(all, [leases.clone(), leases]);
    }
}
