//! The live backend: a folder as the router's file system, and the bus of `demo` as its ubus.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::cell::RefCell;
use std::fs;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use tokio::sync::mpsc::{Receiver, channel};
use tokio::time::timeout;
use usp_agent::backend::live::{Live, Place};
use usp_agent::backend::ubus::{Signature, blobmsg::kind};
use usp_agent::backend::uci::{Edit, OptValue, PackageEdits};
use usp_agent::backend::{Backend, CallError, Change, Table, Watch};
use usp_agent::demo::bus::Bus;

/// A router below a folder of its own.
struct Machine {
    folder: PathBuf,
    live: Live,
    changes: Receiver<Change>,
}

impl Machine {
    fn start(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("usp-agent-live-{name}-{}", std::process::id()));
        for sub in ["etc/config", "var/run/ubus", "tmp"] {
            fs::create_dir_all(folder.join(sub)).unwrap();
        }
        fs::write(folder.join("etc/config/network"), "config interface lan\n").unwrap();
        fs::write(folder.join("etc/config/system"), "config system\n").unwrap();
        let (sender, changes) = channel(16);
        let (live, driver) = Live::new(Place::below(&folder), sender);
        tokio::task::spawn_local(driver.run());
        Self { folder, live, changes }
    }

    /// A bus with procd on it; what it is told is in the list.
    fn procd(&self) -> (Bus, Rc<RefCell<Vec<String>>>) {
        let (bus, driver) = Bus::bind(&Place::below(&self.folder).socket).unwrap();
        tokio::task::spawn_local(driver.run());
        let told = Rc::new(RefCell::new(Vec::new()));
        let list = told.clone();
        let event = Signature::default().method("event", &[("type", kind::STRING), ("data", kind::TABLE)]);
        bus.provide("service", &event, move |_: &str, args: &Table| {
            let package = args.get("data").and_then(|data| data.as_table()).and_then(|data| data.get("package"));
            list.borrow_mut().push(format!("{:?} {:?}", args.get("type").unwrap().as_str(), package.unwrap().as_str()));
            Ok(Table::default())
        });
        (bus, told)
    }

    async fn set(&self, package: &str, option: &str, value: &str) -> PackageEdits {
        let base = self.live.package(package).await.unwrap();
        let section = base.sections[0].name.clone();
        let value = Some(OptValue::One(value.into()));
        PackageEdits { base, edits: vec![Edit::Set { section, option: option.into(), value }] }
    }

    async fn change(&mut self) -> Option<Change> {
        timeout(Duration::from_secs(2), self.changes.recv()).await.ok().flatten()
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn run(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    tokio::task::LocalSet::new().block_on(&runtime, async { timeout(Duration::from_secs(20), test).await.unwrap() });
}

fn text(folder: &Path, name: &str) -> String {
    fs::read_to_string(folder.join("etc/config").join(name)).unwrap()
}

#[test]
fn a_commit_tells_procd_once_for_each_package_that_changed() {
    run(async {
        let machine = Machine::start("commit");
        let (_bus, told) = machine.procd();
        let all = [
            machine.set("system", "hostname", "box").await,
            machine.set("network", "proto", "static").await,
            machine.set("network", "mtu", "1400").await,
        ];
        machine.live.commit(&all, false).await.unwrap();
        let expected = [r#"Some("config.change") Some("network")"#, r#"Some("config.change") Some("system")"#];
        assert_eq!(*told.borrow(), expected);
        assert_eq!(text(&machine.folder, "system"), "\nconfig system\n\toption hostname 'box'\n\n");
        // The same again changes nothing, so nobody reloads.
        machine.live.commit(&[machine.set("network", "mtu", "1400").await], false).await.unwrap();
        assert_eq!(told.borrow().len(), 2);
    });
}

#[test]
fn a_commit_without_procd_is_still_one() {
    run(async {
        let machine = Machine::start("no-procd");
        machine.live.commit(&[machine.set("network", "proto", "static").await], false).await.unwrap();
        assert!(text(&machine.folder, "network").contains("static"));
        assert_eq!(machine.live.call("system", "board", &Table::default()).await, Err(CallError::Disconnected));
    });
}

#[test]
fn what_others_write_is_told_and_read_anew() {
    run(async {
        let mut machine = Machine::start("watch");
        machine.live.watch(&Watch::File("/tmp/dhcp.leases".into()));
        assert_eq!(machine.live.package("network").await.unwrap().sections[0].options.len(), 0);
        fs::write(machine.folder.join("etc/config/network"), "config interface lan\n\toption mtu 1400\n").unwrap();
        assert_eq!(machine.change().await, Some(Change::Package("network".into())));
        assert_eq!(machine.live.package("network").await.unwrap().sections[0].options.len(), 1);
        fs::write(machine.folder.join("tmp/dhcp.leases"), "1 2 3\n").unwrap();
        assert_eq!(machine.change().await, Some(Change::File("/tmp/dhcp.leases".into())));
        assert_eq!(&*machine.live.read("/tmp/dhcp.leases").await.unwrap(), "1 2 3\n");
        // The agent's own commit is told like any other.
        machine.live.commit(&[machine.set("system", "hostname", "box").await], false).await.unwrap();
        assert_eq!(machine.change().await, Some(Change::Package("system".into())));
    });
}
