//! `usp-agent record-fixtures DIR`: writes what a running router answers as a fixture folder.
//!
//! Secrets are masked by the names they go by, in UCI options and JSON members alike; the text of files
//! is taken as it is. Addresses, host names and SSIDs stay: look through the folder before passing it on.

use std::fs;
use std::io;
use std::path::Path;

use crate::backend::fixture::answer_name;
use crate::backend::ubus::json;
use crate::backend::uci::name::{is_secret, is_secret_option, without_login};
use crate::backend::uci::{OptValue, Package, write::write};
use crate::backend::{Backend, FileError, Table};

/// What stands for a secret; long enough for a WPA passphrase.
pub const MASK: &str = "masked-secret";

/// What to record.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// Calls: object, method, arguments.
    pub calls: Vec<(String, String, Table)>,
    /// UCI packages.
    pub packages: Vec<String>,
    /// Files, links, and folders with the files and links in them (not deeper).
    pub files: Vec<String>,
}

/// Asked of every router that has the object.
const CALLS: &[(&str, &str)] = &[
    ("system", "board"),
    ("system", "info"),
    ("network.interface", "dump"),
    ("network.device", "status"),
    ("network.wireless", "status"),
    ("dhcp", "ipv4leases"),
    ("dhcp", "ipv6leases"),
    ("iwinfo", "devices"),
    ("netlink", "addr"),
    ("netlink", "fdb"),
    ("netlink", "link"),
    ("netlink", "neigh"),
    ("netlink", "qdisc"),
    ("netlink", "route"),
    ("luci-rpc", "getDHCPLeases"),
    ("luci-rpc", "getNetworkDevices"),
    ("luci-rpc", "getWirelessDevices"),
    ("service", "list"),
    ("rc", "list"),
];
const HOSTAPD: &[&str] = &["get_status", "get_clients"];
const IWINFO: &[&str] = &["info", "assoclist", "freqlist", "txpowerlist"];
const PACKAGES: &[&str] =
    &["dhcp", "dropbear", "firewall", "luci", "network", "rpcd", "system", "uhttpd", "usp-agent", "wireless"];
const FILES: &[&str] = &[
    "/etc/board.json",
    "/etc/openwrt_release",
    "/etc/os-release",
    "/proc/loadavg",
    "/proc/meminfo",
    "/proc/stat",
    "/proc/uptime",
    "/tmp/dhcp.leases",
    "/tmp/resolv.conf.d/resolv.conf.auto",
    "/tmp/sysinfo",
];

impl Wanted {
    /// What is worth recording of this router, by the objects it has.
    pub async fn of(router: &impl Backend) -> Self {
        let objects = router.objects("*").await.unwrap_or_default();
        let mut wanted = Self {
            calls: Vec::new(),
            packages: PACKAGES.iter().map(ToString::to_string).collect(),
            files: FILES.iter().map(ToString::to_string).collect(),
        };
        for (object, method) in CALLS.iter().filter(|(object, _)| objects.iter().any(|o| o == object)) {
            wanted.call(object, method, Table::default());
        }
        for object in objects.iter().filter(|object| object.starts_with("hostapd.")) {
            HOSTAPD.iter().for_each(|method| wanted.call(object, method, Table::default()));
        }
        wanted.radios(router).await;
        wanted
    }

    async fn radios(&mut self, router: &impl Backend) {
        let Ok(answer) = router.call("iwinfo", "devices", &Table::default()).await else { return };
        let devices = answer.get("devices").and_then(|list| list.as_array()).unwrap_or_default();
        for device in devices.iter().filter_map(|device| device.as_str()) {
            let args = Table::default().with("device", device);
            IWINFO.iter().for_each(|method| self.call("iwinfo", method, args.clone()));
        }
    }

    fn call(&mut self, object: &str, method: &str, args: Table) {
        self.calls.push((object.into(), method.into(), args));
    }
}

/// Records into `folder`; returns what could not be had, one line each.
///
/// # Errors
/// Where the folder cannot be written.
pub async fn record(router: &impl Backend, wanted: &Wanted, folder: &Path) -> io::Result<Vec<String>> {
    let mut failed = Vec::new();
    for (object, method, args) in &wanted.calls {
        match router.call(object, method, args).await {
            Ok(answer) => write_answer(&folder.join("ubus"), object, &answer_name(method, args), &answer)?,
            Err(error) => failed.push(format!("call {object} {method}: {error}")),
        }
    }
    for name in &wanted.packages {
        match router.package(name).await {
            Ok(package) => put(&folder.join("uci").join(name), &write(&masked_package(&package)))?,
            Err(error) => failed.push(format!("uci {name}: {error}")),
        }
    }
    for path in &wanted.files {
        if let Err(error) = record_path(router, path, &folder.join("fs")).await? {
            failed.push(format!("file {path}: {error}"));
        }
    }
    Ok(failed)
}

fn write_answer(folder: &Path, object: &str, name: &str, answer: &Table) -> io::Result<()> {
    if object.contains('/') || object.starts_with('.') || name.starts_with('.') {
        return Err(io::Error::other(format!("{object} {name} cannot be the name of a file")));
    }
    let mut json = json::table_to_json(answer);
    mask(&mut json, false);
    put(&folder.join(object).join(format!("{name}.json")), format!("{json:#}\n").as_bytes())
}

fn put(path: &Path, bytes: &[u8]) -> io::Result<()> {
    path.parent().map_or(Ok(()), fs::create_dir_all)?;
    fs::write(path, bytes)
}

/// A file, a link, or a folder with its files and links. The outer error is that of writing.
async fn record_path(router: &impl Backend, path: &str, folder: &Path) -> io::Result<Result<(), FileError>> {
    let recorded = record_leaf(router, path, folder).await?;
    let (Err(error), Ok(names)) = (&recorded, router.list(path).await) else { return Ok(recorded) };
    log::debug!("record=folder path={path} error={error}");
    for name in names.iter() {
        // Folders in folders are left out.
        let _ = record_leaf(router, &format!("{path}/{name}"), folder).await?;
    }
    Ok(Ok(()))
}

async fn record_leaf(router: &impl Backend, path: &str, folder: &Path) -> io::Result<Result<(), FileError>> {
    let place = folder.join(path.trim_start_matches('/'));
    if let Ok(target) = router.link(path).await {
        place.parent().map_or(Ok(()), fs::create_dir_all)?;
        let _ = fs::remove_file(&place);
        return std::os::unix::fs::symlink(&*target, &place).map(Ok);
    }
    match router.read(path).await {
        Ok(text) => put(&place, text.as_bytes()).map(Ok),
        Err(error) => Ok(Err(error)),
    }
}

/// The package without its secrets.
pub(super) fn masked_package(package: &Package) -> Package {
    let mut package = package.clone();
    for section in &mut package.sections {
        for option in &mut section.options {
            let secret = is_secret_option(&section.kind, &option.name);
            let masked = |text: &str| if secret { MASK.into() } else { without_login(text).into() };
            match &mut option.value {
                OptValue::One(text) => *text = masked(text),
                OptValue::List(items) => items.iter_mut().for_each(|item| *item = masked(item)),
            }
        }
    }
    package
}

/// Masks every text that goes by the name of a secret, or lies below one.
fn mask(json: &mut serde_json::Value, secret: bool) {
    match json {
        serde_json::Value::Object(members) => {
            members.iter_mut().for_each(|(name, value)| mask(value, secret || is_secret(name)));
        }
        serde_json::Value::Array(items) => items.iter_mut().for_each(|item| mask(item, secret)),
        serde_json::Value::String(_) | serde_json::Value::Number(_) if secret => *json = MASK.into(),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::fixture::Fixture;
    use crate::backend::scratch::Scratch;
    use serde_json::json;

    fn router() -> Fixture {
        let router = Fixture::empty();
        router.set_answer("system", "board", &json!({"model": "X"}));
        router.set_answer("iwinfo", "devices", &json!({"devices": ["phy0-ap0"]}));
        router.set_answer("iwinfo", "info@device=phy0-ap0", &json!({"ssid": "home"}));
        let wireless = json!({"radio0": {"interfaces": [{"config": {"ssid": "home", "key": "hunter22"}}]}});
        router.set_answer("network.wireless", "status", &wireless);
        let text = "config wifi-iface\n\toption ssid home\n\toption key hunter22\n\toption auth_secret hunter22\n";
        let agent = "config controller 'a'\n\toption url 'mqtt://u:hunter22@h'\nconfig challenge 'c'\n\toption Value hunter22\n";
        router.set_package("usp-agent", agent).unwrap();
        router.set_package("wireless", text).unwrap();
        router.set_file("/proc/uptime", "1 2\n");
        router.set_file("/tmp/sysinfo/model", "X\n");
        router.set_link("/sys/class/net/lan1/master", "../br-lan");
        router
    }

    /// Runs a future of the fixture backend, which never waits.
    fn now<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
    }

    #[test]
    fn what_is_recorded_answers_as_the_router_did() {
        let (router, dir) = (router(), Scratch::new("record"));
        let mut wanted = now(Wanted::of(&router));
        wanted.files.push("/sys/class/net/lan1".into());
        let failed = now(record(&router, &wanted, dir.path())).unwrap();
        assert!(failed.contains(&"uci network: no such package".to_string()), "{failed:?}");
        let copy = Fixture::open(dir.path());
        let args = Table::default().with("device", "phy0-ap0");
        assert_eq!(now(copy.call("iwinfo", "info", &args)), now(router.call("iwinfo", "info", &args)));
        assert_eq!(now(copy.read("/tmp/sysinfo/model")), now(router.read("/tmp/sysinfo/model")));
        assert_eq!(now(copy.link("/sys/class/net/lan1/master")).as_deref(), Ok("../br-lan"));
        assert_eq!(copy.missing(), Vec::<String>::new());
    }

    #[test]
    fn no_secret_is_recorded() {
        let (router, dir) = (router(), Scratch::new("record"));
        now(record(&router, &now(Wanted::of(&router)), dir.path())).unwrap();
        let uci = dir.read("uci/wireless");
        let json = dir.read("ubus/network.wireless/status.json");
        let agent = dir.read("uci/usp-agent");
        assert!(!agent.contains("hunter22") && agent.contains("(secret)@h"), "{agent}");
        assert!(!uci.contains("hunter22") && uci.matches(MASK).count() == 2 && uci.contains("home"), "{uci}");
        assert!(!json.contains("hunter22") && json.contains(MASK) && json.contains("home"), "{json}");
    }

    #[test]
    fn names_of_secrets() {
        for name in ["key", "key1", "sae_password", "auth_secret", "PSK", "wpakey", "private_key", "preshared_key"] {
            assert!(is_secret(name), "{name}");
        }
        for name in ["ssid", "encryption", "keyboard", "hostkeys", "spin"] {
            assert!(!is_secret(name), "{name}");
        }
    }
}
