//! The router itself: its bus, its UCI packages, its files.

use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use tokio::sync::mpsc::Sender;

use super::files::Files;
use super::uci::store::Store;
use super::watch::{self, Watches};
use super::{Answer, Backend, CallError, Change, FileError, Table, Watch, netlink, ubus, uci};

/// Where on a machine the router is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// What stands before every path of a file or folder: `/` on a router.
    pub root: PathBuf,
    /// The socket of ubusd, as it is (not below `root`).
    pub socket: PathBuf,
    /// The UCI packages, as it is: `/etc/config` on a router.
    pub confdir: PathBuf,
    /// Packages here are taken instead of those in `confdir`: `/var/run/uci` on a router.
    pub overrides: Option<PathBuf>,
    /// Where the journal of a commit lives, on flash: `/etc/usp-agent` on a router.
    pub state: PathBuf,
    /// How long one ubus call may take.
    pub deadline: Duration,
}

impl Place {
    /// Where everything is on a router whose file system begins at `root` (`/`).
    pub fn below(root: &Path) -> Self {
        Self {
            root: root.into(),
            socket: root.join(ubus::SOCKET.trim_start_matches('/')),
            confdir: root.join("etc/config"),
            overrides: Some(root.join("var/run/uci")),
            state: root.join("etc/usp-agent"),
            deadline: Duration::from_secs(5),
        }
    }
}

/// A running router.
#[derive(Debug)]
pub struct Live {
    bus: ubus::Client,
    store: Rc<Store>,
    files: Files,
    /// None where the system has no inotify to give.
    watches: Option<Watches>,
    /// None where the kernel is not the router's: its bus may answer for it then.
    netlink: Option<netlink::watch::Wanted>,
}

/// The future that keeps the connection to the bus and watches the files.
pub struct Driver {
    bus: ubus::Driver,
    watches: Option<watch::Driver>,
    netlink: Option<netlink::watch::Wanted>,
    changes: Sender<Change>,
}

impl Driver {
    /// Runs as long as the agent does, e.g. with `tokio::task::spawn_local`.
    pub async fn run(self) {
        let watches = async {
            if let Some(driver) = self.watches {
                driver.run().await;
            }
        };
        let netlink = async {
            if let Some(wanted) = self.netlink {
                wanted.run(self.changes).await;
            }
        };
        tokio::join!(self.bus.run(), watches, netlink);
    }
}

impl Live {
    /// The router at this place, and the driver that must run for it. `changes` receives every [`Change`].
    pub fn new(place: Place, changes: Sender<Change>) -> (Self, Driver) {
        let netlink = (place.root == Path::new("/")).then(netlink::watch::Wanted::default);
        let store = Rc::new(Store::new(place.confdir, place.overrides, &place.state));
        let files = Files::new(place.root);
        let watched = Watches::new(store.clone(), files.clone(), changes.clone())
            .inspect_err(|error| log::warn!("watch=failed cause=\"{error}\" effect=changes-by-others-are-not-seen"));
        let (watches, watch_driver) = watched.ok().unzip();
        let (bus, bus_driver) = ubus::Client::new(place.socket, place.deadline, changes.clone());
        let driver = Driver { bus: bus_driver, watches: watch_driver, netlink: netlink.clone(), changes };
        (Self { bus, store, files, watches, netlink }, driver)
    }

    /// The bus, for what only a router has: own objects, events to send.
    pub fn bus(&self) -> &ubus::Client {
        &self.bus
    }

    /// Undoes a commit that a crash left half done and tells procd of the packages it touched.
    /// Once at start, before anything is read.
    ///
    /// # Errors
    /// [`uci::Error::Io`]; the packages are then still half changed and the next start tries again.
    pub async fn recover(&self) -> Result<(), uci::Error> {
        let touched = self.store.recover().await?;
        self.tell_procd(&touched).await;
        Ok(())
    }

    /// One `config.change` per package; procd then reloads whoever uses it, and says nothing when it is done.
    async fn tell_procd(&self, packages: &[Box<str>]) {
        for package in packages {
            let data = Table::default().with("package", &**package);
            let args = Table::default().with("type", "config.change").with("data", data);
            if let Err(error) = self.bus.call("service", "event", &args).await {
                log::warn!("config-change=untold package={package} error=\"{error}\" effect=services-are-not-reloaded");
            }
        }
    }
}

impl Backend for Live {
    async fn call(&self, object: &str, method: &str, args: &Table) -> Result<Table, CallError> {
        match object {
            netlink::OBJECT if self.netlink.is_some() => netlink::call(method),
            object => self.bus.call(object, method, args).await,
        }
    }

    async fn call_all(&self, object: &str, method: &str, args: &Table) -> Result<Answer, CallError> {
        self.bus.call_all(object, method, args).await
    }

    async fn objects(&self, pattern: &str) -> Result<Vec<String>, CallError> {
        let mut objects = self.bus.objects(pattern).await?;
        if self.netlink.is_some() && ubus::message::matches(pattern, netlink::OBJECT) {
            objects.push(netlink::OBJECT.into());
            crate::order::sort(&mut objects);
        }
        Ok(objects)
    }

    async fn package(&self, name: &str) -> Result<Rc<uci::Package>, uci::Error> {
        self.store.read(name)
    }

    async fn commit(&self, edits: &[uci::PackageEdits], undoable: bool) -> Result<(), uci::Error> {
        let changed = self.store.commit_as(edits, undoable).await?;
        self.tell_procd(&changed).await;
        Ok(())
    }

    fn unconfirmed(&self) -> uci::undo::Reverted {
        self.store.unconfirmed()
    }

    async fn announce(&self, packages: &[Box<str>]) {
        self.tell_procd(packages).await;
    }

    fn confirm(&self) -> Result<(), uci::Error> {
        self.store.confirm()
    }

    async fn revert(&self) -> Result<uci::undo::Reverted, uci::Error> {
        let reverted = self.store.revert().await?;
        self.tell_procd(&reverted.packages).await;
        Ok(reverted)
    }

    async fn read(&self, path: &str) -> Result<Rc<str>, FileError> {
        self.files.read(path)
    }

    async fn list(&self, path: &str) -> Result<Rc<[String]>, FileError> {
        self.files.list(path).map(Into::into)
    }

    async fn link(&self, path: &str) -> Result<Rc<str>, FileError> {
        self.files.link(path)
    }

    fn watch(&self, what: &Watch) {
        match what {
            Watch::Event(pattern) if self.netlink.as_ref().is_some_and(|wanted| wanted.add(pattern)) => {}
            Watch::Event(pattern) => self.bus.watch_event(pattern),
            Watch::Object(pattern) => self.bus.watch_object(pattern),
            Watch::Plugin(path) => {
                self.bus.watch_object(path);
                self.bus.watch_presence(path);
            }
            Watch::File(path) => self.watches.iter().for_each(|watches| watches.file(path)),
        }
    }
}
