//! A simulated OpenWrt router: a ubus with the providers a mapping asks, UCI packages, and a bit of /proc and /sys.
//!
//! It reacts on `service event config.change` as procd and its services would: a new host name shows in `system board`,
//! a disabled interface goes down with a `network.interface` event. Nothing is forwarded, no radio sends.

use std::cell::{Cell, RefCell};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

use serde_json::{Map, Value as Json, json};

use super::bus::{Bus, BusDriver, Outcome};
use crate::backend::Table;
use crate::backend::ubus::Signature;
use crate::backend::ubus::blobmsg::kind;
use crate::backend::ubus::json::table_from_json;
use crate::backend::ubus::message::status;
use crate::backend::uci::{Package, parse};

mod changes;
mod firmware;

/// `> path` and the file's text, one after the other.
const FILES: &str = include_str!("router/files.txt");
/// What the providers answer: object, method, answer; an answer `{"?arg": {...}}` is chosen by that argument.
const ANSWERS: &str = include_str!("router/answers.json");
/// Seconds the router claims to have been up when it starts.
const UP_BEFORE: u64 = 86_400;

/// A running simulated router; its folder goes when it is dropped.
#[derive(Debug)]
pub struct Router {
    folder: PathBuf,
    bus: Bus,
    world: Rc<World>,
}

/// What the providers know.
#[derive(Debug)]
struct World {
    folder: PathBuf,
    started: Instant,
    answers: RefCell<Json>,
    /// Packages that `config.change` was sent for, in order.
    applied: RefCell<Vec<String>>,
    /// Calls of `system reboot`.
    reboots: Cell<u32>,
}

impl Router {
    /// Starts a router in a new folder below the system's temporary one. The driver must be run.
    ///
    /// # Errors
    /// What the system says against the folder or the socket.
    pub fn start() -> io::Result<(Self, BusDriver)> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("usp-agent-router-{}-{number}", std::process::id()));
        let mut answers = serde_json::from_str(ANSWERS).map_err(io::Error::other)?;
        changes::complete_devices(&mut answers);
        firmware::complete(&mut answers);
        write_files(&folder, &answers)?;
        let (bus, driver) = Bus::bind(&folder.join("ubus.sock"))?;
        let world = World {
            folder: folder.clone(),
            started: Instant::now(),
            answers: RefCell::new(answers),
            applied: RefCell::default(),
            reboots: Cell::new(0),
        };
        let router = Self { folder, bus, world: Rc::new(world) };
        router.provide_all();
        Ok((router, driver))
    }

    /// The folder of UCI packages.
    pub fn config_dir(&self) -> PathBuf {
        self.folder.join("config")
    }

    /// The router's file system.
    pub fn root(&self) -> PathBuf {
        self.folder.join("root")
    }

    /// A folder for the agent's state, empty at first.
    pub fn state_dir(&self) -> PathBuf {
        self.folder.join("state")
    }

    /// The socket of its ubus.
    pub fn socket(&self) -> PathBuf {
        self.folder.join("ubus.sock")
    }

    /// Its ubus, for events and providers beyond those here.
    pub fn bus(&self) -> &Bus {
        &self.bus
    }

    /// The text of a UCI package.
    ///
    /// # Errors
    /// What the system says.
    pub fn config(&self, package: &str) -> io::Result<String> {
        fs::read_to_string(self.config_dir().join(package))
    }

    /// Writes a UCI package as an administrator with an editor would: nobody is told.
    ///
    /// # Errors
    /// What the system says.
    pub fn write_config(&self, package: &str, text: &str) -> io::Result<()> {
        fs::write(self.config_dir().join(package), text)
    }

    /// Packages whose change was announced so far, in order.
    pub fn applied(&self) -> Vec<String> {
        self.world.applied.borrow().clone()
    }

    /// How often the change of this package was announced, for who outlives a borrow of the router.
    pub fn applied_of(&self, package: &'static str) -> impl Fn() -> usize + use<> {
        let world = Rc::clone(&self.world);
        move || world.applied.borrow().iter().filter(|name| **name == *package).count()
    }

    /// How often it was told to reboot; it stays up, and whoever plays procd ends the agent.
    pub fn reboots(&self) -> u32 {
        self.world.reboots.get()
    }

    /// Takes an interface up or down as netifd does, with its event.
    pub fn set_interface(&self, name: &str, up: bool) {
        if changes::set_interface(&mut self.world.answers.borrow_mut(), name, up) {
            self.bus.event("network.interface", interface_event(name, up));
        }
    }

    /// A Wi-Fi client comes to an access point, or leaves it, with hostapd's notification.
    pub fn set_associated(&self, ifname: &str, mac: &str, here: bool) {
        let object = format!("hostapd.{ifname}");
        changes::set_associated(&mut self.world.answers.borrow_mut(), &object, mac, here);
        let notification = if here { "sta-authorized" } else { "disassoc" };
        self.bus.notify(&object, notification, Table::default().with("address", mac));
    }

    /// Fills the home: so many Wi-Fi clients on both radios, hosts the kernel knows, and leases.
    ///
    /// # Errors
    /// What the system says against the file of leases.
    pub fn crowd(&self, stations: u8, hosts: u8, leases: u8) -> io::Result<()> {
        changes::crowd(&mut self.world.answers.borrow_mut(), stations, hosts);
        let lines = (0..leases).map(|n| format!("4102444800 {} 192.168.1.{n} host{n} *\n", changes::mac(n)));
        fs::write(self.root().join("tmp/dhcp.leases"), lines.collect::<String>())
    }

    fn provide_all(&self) {
        for (object, methods) in self.world.answers.borrow().as_object().into_iter().flatten() {
            let methods = methods.as_object().into_iter().flatten();
            let signature = methods.fold(Signature::default(), |signature, (method, answer)| match chosen_by(answer) {
                Some((argument, _)) => signature.method(method, &[(argument, kind::STRING)]),
                None => signature.method(method, &[]),
            });
            let (world, object_name) = (Rc::clone(&self.world), object.clone());
            self.bus.provide(object, &signature, move |method, args| world.answer(&object_name, method, args));
        }
        self.provide_interfaces();
        self.provide_services();
    }

    /// `network.interface.NAME`, with what acts on it.
    fn provide_interfaces(&self) {
        let actions = ["status", "up", "down", "restart", "renew"];
        let signature = actions.iter().fold(Signature::default(), |signature, action| signature.method(action, &[]));
        for name in changes::interfaces(&self.world.answers.borrow()) {
            let (world, bus, interface) = (Rc::clone(&self.world), self.bus.clone(), name.clone());
            self.bus.provide(&format!("network.interface.{name}"), &signature, move |method, _| {
                let told = |up: bool| bus.event("network.interface", interface_event(&interface, up));
                let set = |up: bool| {
                    changes::set_interface(&mut world.answers.borrow_mut(), &interface, up).then(|| told(up))
                };
                match method {
                    "up" | "renew" => drop(set(true)),
                    "down" => drop(set(false)),
                    "restart" => {
                        set(false);
                        set(true);
                    }
                    _ => return world.interface(&interface),
                }
                Ok(Table::default())
            });
        }
    }

    /// procd's `service`: `event` is how a changed package is announced.
    fn provide_services(&self) {
        let signature = Signature::default()
            .method("event", &[("type", kind::STRING), ("data", kind::TABLE)])
            .method("list", &[("name", kind::STRING), ("verbose", kind::INT8)]);
        let (world, bus) = (Rc::clone(&self.world), self.bus.clone());
        self.bus.provide("service", &signature, move |method, args| {
            if method == "event" && args.get("type").and_then(|kind| kind.as_str()) == Some("config.change") {
                let package = args.get("data").and_then(|data| data.as_table()?.get("package")?.as_str());
                world.apply(package.ok_or(status::INVALID_ARGUMENT)?, &bus);
            }
            match method {
                "list" => table_from_json(&services()).ok_or(status::UNKNOWN_ERROR),
                _ => Ok(Table::default()),
            }
        });
    }
}

/// `service list` with its triggers: which service is reloaded for which packages.
fn services() -> Json {
    let services = [
        ("network", &["network", "wireless"][..]),
        ("dnsmasq", &["dhcp"]),
        ("firewall", &["firewall"]),
        ("system", &["system"]),
        ("usp-agent", &["usp-agent"]),
    ];
    let service = |(name, packages): (&str, &[&str])| {
        let script = format!("/etc/init.d/{name}");
        let trigger = |package: &&str| {
            json!(["config.change", ["if", ["eq", "package", package], ["run_script", script, "reload"]], 1000])
        };
        (name.to_owned(), json!({"instances": {}, "triggers": packages.iter().map(trigger).collect::<Vec<_>>()}))
    };
    let mut table = serde_json::Map::new();
    for (name, service) in services.into_iter().map(service) {
        table.insert(name, service);
    }
    Json::Object(table)
}

impl Drop for Router {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

impl World {
    fn answer(&self, object: &str, method: &str, args: &Table) -> Outcome {
        match (object, method) {
            ("system", "info") => self.tick(),
            ("system", "reboot") => self.reboots.set(self.reboots.get() + 1),
            ("system", "validate_firmware_image") => return self.validate_image(args),
            _ => {}
        }
        let answers = self.answers.borrow();
        let Some(answer) = answers.get(object).and_then(|methods| methods.get(method)) else {
            return Outcome::Status(status::METHOD_NOT_FOUND);
        };
        let answer = match chosen_by(answer) {
            None => Some(answer),
            Some((argument, choices)) => match args.get(argument).and_then(|value| value.as_str()) {
                Some(wanted) => choices.get(wanted),
                None => Some(choices),
            },
        };
        table(answer).into()
    }

    fn interface(&self, name: &str) -> Result<Table, u32> {
        table(changes::interface(&mut self.answers.borrow_mut(), name).map(|interface| &*interface))
    }

    /// The clock and the uptime go on.
    fn tick(&self) {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        if let Some(info) = self.answers.borrow_mut().pointer_mut("/system/info") {
            info["uptime"] = (UP_BEFORE + self.started.elapsed().as_secs()).into();
            info["localtime"] = now.as_secs().into();
        }
    }

    /// What the services of a changed package do.
    fn apply(&self, name: &str, bus: &Bus) {
        self.applied.borrow_mut().push(name.to_owned());
        let Some(package) = self.package(name) else { return };
        let mut answers = self.answers.borrow_mut();
        match name {
            "system" => changes::system(&mut answers, &package),
            "network" => {
                for (interface, up) in changes::network(&mut answers, &package) {
                    bus.event("network.interface", interface_event(&interface, up));
                }
            }
            "wireless" => changes::wireless(&mut answers, &package),
            _ => {}
        }
    }

    fn package(&self, name: &str) -> Option<Package> {
        let bytes = fs::read(self.folder.join("config").join(name)).ok()?;
        parse::parse(name, &bytes).ok()
    }
}

fn table(answer: Option<&Json>) -> Result<Table, u32> {
    answer.and_then(table_from_json).ok_or(status::NOT_FOUND)
}

/// The argument that chooses among answers, and the answers.
fn chosen_by(answer: &Json) -> Option<(&str, &Json)> {
    let (name, choices) = answer.as_object()?.iter().next()?;
    Some((name.strip_prefix('?')?, choices))
}

fn interface_event(name: &str, up: bool) -> Table {
    Table::default().with("action", if up { "ifup" } else { "ifdown" }).with("interface", name)
}

fn write_files(folder: &Path, answers: &Json) -> io::Result<()> {
    for file in FILES.split("\n> ") {
        let (path, text) = file.trim_start_matches("> ").split_once('\n').unwrap_or_default();
        write(&folder.join(path), &format!("{text}\n"))?;
    }
    fs::create_dir_all(folder.join("state"))?;
    fs::create_dir_all(folder.join("root/etc"))?;
    std::os::unix::fs::symlink("../../config", folder.join("root/etc/config"))?;
    firmware::write_files(folder)?;
    let devices = answers.pointer("/network.device/status/?name").and_then(Json::as_object);
    for (name, device) in devices.into_iter().flatten() {
        write_device(&folder.join("root/sys/class/net").join(name), device)?;
    }
    Ok(())
}

/// The folder of a network device in /sys.
fn write_device(folder: &Path, device: &Json) -> io::Result<()> {
    let text = |name: &str| device.get(name).map(|value| value.as_str().map_or(value.to_string(), str::to_owned));
    let up = device["carrier"] == true;
    let speed = text("speed").unwrap_or_default();
    let files = [
        ("address", text("macaddr").unwrap_or_default()),
        ("mtu", text("mtu").unwrap_or_default()),
        ("operstate", if up { "up" } else { "down" }.to_owned()),
        ("speed", speed.trim_end_matches(['F', 'H']).to_owned()),
        ("duplex", if speed.ends_with('F') { "full" } else { "half" }.to_owned()),
        ("type", "1".to_owned()),
    ];
    for (name, text) in files {
        write(&folder.join(name), &format!("{text}\n"))?;
    }
    for (name, value) in changes::statistics(device) {
        write(&folder.join("statistics").join(name), &format!("{value}\n"))?;
    }
    let links = [("hardware", "device", "../../../ethernet"), ("wifi", "phy80211", "../../ieee80211/phy0")];
    for (_, link, target) in links.iter().filter(|(mark, ..)| device[*mark] == true) {
        std::os::unix::fs::symlink(target, folder.join(link))?;
    }
    Ok(())
}

fn write(path: &Path, text: &str) -> io::Result<()> {
    fs::create_dir_all(path.parent().unwrap_or(path))?;
    fs::write(path, text)
}

#[cfg(test)]
mod tests;
