//! The packages for opkg and apk, as `cross/package` makes them: what is in them, and what their scripts do on a router
//! that a folder stands for. The program in them is a stand-in, so no other compiler is needed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

#[path = "packages/apk.rs"]
mod apk;
#[path = "packages/every_router.rs"]
mod every_router;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Everything that is installed, and with which mode.
const FILES: [(&str, u32); 8] = [
    ("etc/capabilities/usp-agent.json", 0o644),
    ("etc/config/usp-agent", 0o600),
    ("etc/init.d/usp-agent", 0o755),
    ("etc/uci-defaults/90-usp-agent", 0o644),
    ("lib/upgrade/keep.d/usp-agent", 0o644),
    ("usr/sbin/usp-agent", 0o755),
    ("usr/share/acl.d/usp-agent.json", 0o644),
    ("usr/share/rpcd/acl.d/usp-agent.json", 0o644),
];
const IDENTITY: &str = "os::00005E-PACKAGE";

/// A folder that is gone at the end, with both packages in it.
struct Made(PathBuf);

impl Made {
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("usp-agent-packages-{}-{name}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let made = Self(folder);
        made.package("first");
        made
    }

    /// Makes both packages; the program is another one with each `word`.
    fn package(&self, word: &str) {
        let program = self.0.join("program");
        fs::write(&program, format!("#!/bin/sh\n# {word}\n[ \"$1\" = identity ] && echo {IDENTITY}\n")).unwrap();
        let mut made = Command::new("cross/package");
        made.env("SOURCE_DATE_EPOCH", "1767225600").arg("--program").arg(&program);
        made.arg("--output").arg(&self.0).arg("mips");
        succeeded(made.output());
    }

    fn file(&self, ending: &str) -> PathBuf {
        self.0.join(format!("usp-agent_{}-r1_mips_24kc.{ending}", env!("CARGO_PKG_VERSION")))
    }

    /// Members of the ipk by their names, unpacked by tar.
    fn unpacked(&self) -> PathBuf {
        unpacked(&self.file("ipk"), self.0.join("ipk"))
    }

    fn apk(&self) -> apk::Package {
        apk::read(&fs::read(self.file("apk")).unwrap())
    }
}

impl Drop for Made {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn succeeded(output: std::io::Result<Output>) -> String {
    let output = output.expect("make, tar, gzip and python3 are there");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn untar(archive: &Path, folder: &Path) {
    succeeded(Command::new("tar").arg("-C").arg(folder).arg("-xpzf").arg(archive).output());
}

/// An ipk laid out in a folder: `control` and `data`.
fn unpacked(ipk: &Path, folder: PathBuf) -> PathBuf {
    fs::create_dir_all(&folder).unwrap();
    untar(ipk, &folder);
    for part in ["control", "data"] {
        fs::create_dir_all(folder.join(part)).unwrap();
        untar(&folder.join(format!("{part}.tar.gz")), &folder.join(part));
    }
    folder
}

/// Every file below a folder, with its mode.
fn tree(folder: &Path) -> BTreeMap<String, apk::File> {
    let mut files = BTreeMap::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let name = path.strip_prefix(folder).unwrap().to_str().unwrap().to_owned();
            files.insert(name, (fs::metadata(&path).unwrap().permissions().mode() & 0o7777, fs::read(&path).unwrap()));
        }
    }
    files
}

fn modes(files: &BTreeMap<String, apk::File>) -> Vec<(&str, u32)> {
    files.iter().map(|(name, (mode, _))| (name.as_str(), *mode)).collect()
}

#[test]
fn an_ipk_is_what_opkg_takes() {
    let made = Made::new("ipk");
    let folder = made.unpacked();
    let members = succeeded(Command::new("tar").arg("-tzf").arg(made.file("ipk")).output());
    assert_eq!(members, "./debian-binary\n./data.tar.gz\n./control.tar.gz\n");
    assert_eq!(fs::read_to_string(folder.join("debian-binary")).unwrap(), "2.0\n");
    assert_eq!(modes(&tree(&folder.join("data"))), FILES);
    let owners =
        succeeded(Command::new("tar").args(["--numeric-owner", "-tvzf"]).arg(folder.join("data.tar.gz")).output());
    assert!(owners.lines().all(|line| line.contains(" 0/0 ")), "{owners}");
    let control = fs::read_to_string(folder.join("control/control")).unwrap();
    let version = format!("Version: {}-r1", env!("CARGO_PKG_VERSION"));
    for line in ["Package: usp-agent", &version, "Depends: ca-bundle", "Architecture: mips_24kc"] {
        assert!(control.lines().any(|told| told == line), "`{line}` is not in\n{control}");
    }
    assert_eq!(fs::read_to_string(folder.join("control/conffiles")).unwrap(), "/etc/config/usp-agent\n");
    for script in ["postinst", "prerm"] {
        assert_eq!(fs::metadata(folder.join("control").join(script)).unwrap().permissions().mode() & 0o777, 0o755);
    }
}

#[test]
fn an_apk_holds_the_same() {
    let made = Made::new("apk");
    let package = made.apk();
    let told = |name| package.info[name].as_str();
    assert_eq!((told("name"), told("arch"), told("license")), ("usp-agent", "mips_24kc", "Apache-2.0 OR MIT"));
    assert_eq!(told("version"), format!("{}-r1", env!("CARGO_PKG_VERSION")));
    assert_eq!(package.depends, ["ca-bundle"]);
    assert!(package.folders.values().all(|mode| *mode == 0o755));
    let of_opkg = tree(&made.unpacked().join("data"));
    let (lists, files): (BTreeMap<_, _>, BTreeMap<_, _>) =
        package.files.into_iter().partition(|(name, _)| name.starts_with("lib/apk/packages/"));
    assert_eq!(files, of_opkg);
    let list =
        |ending: &str| String::from_utf8(lists[&format!("lib/apk/packages/usp-agent.{ending}")].1.clone()).unwrap();
    let listed = list("list");
    assert!(FILES.iter().all(|(name, _)| listed.lines().any(|line| line == format!("/{name}"))), "{listed}");
    assert_eq!(list("conffiles"), "/etc/config/usp-agent\n");
    let digest = ring::digest::digest(&ring::digest::SHA256, &files["etc/config/usp-agent"].1);
    let hex: String = digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(list("conffiles_static"), format!("/etc/config/usp-agent {hex}\n"));
}

#[test]
fn the_same_tree_makes_the_same_packages() {
    let made = Made::new("same");
    let before = ["ipk", "apk"].map(|ending| fs::read(made.file(ending)).unwrap());
    made.package("first");
    assert!(["ipk", "apk"].map(|ending| fs::read(made.file(ending)).unwrap()) == before);
}

#[test]
fn a_package_is_for_the_architectures_of_its_target() {
    let refused = Command::new("cross/package").args(["--program", "Cargo.toml", "mips", "x86_64"]).output().unwrap();
    assert!(!refused.status.success());
    let said = String::from_utf8(refused.stderr).unwrap();
    assert!(said.contains("packages for x86_64 are not made of mips"), "{said}");
}

/// A folder that stands for a router.
struct Router(PathBuf);

impl Router {
    fn new(made: &Made, name: &str) -> Self {
        let root = made.0.join(name);
        for folder in ["lib", "etc", "bin", "usr/lib/opkg/info", "usr/sbin"] {
            fs::create_dir_all(root.join(folder)).unwrap();
        }
        for (from, to) in [("functions.sh", "lib/functions.sh"), ("rc.common", "etc/rc.common"), ("uci", "bin/uci")] {
            fs::copy(Path::new("tests/packages").join(from), root.join(to)).unwrap();
        }
        fs::write(root.join("uci"), "usp-agent.agent=localagent\nusp-agent.agent.log_level='info'\n").unwrap();
        Self(root)
    }

    /// Files are laid down as both package managers do it: a changed file of `kept` stays.
    fn lay_down(&self, files: &BTreeMap<String, apk::File>, kept: &str) {
        for (name, (mode, content)) in files {
            let path = self.0.join(name);
            if path.exists() && kept.lines().any(|line| line == format!("/{name}")) {
                continue;
            }
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, content).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(*mode)).unwrap();
        }
    }

    /// opkg keeps the list of files itself; for apk it is in the package.
    fn list(&self, files: &BTreeMap<String, apk::File>) {
        let list: String = files.keys().map(|name| format!("/{name}\n")).collect();
        fs::write(self.0.join("usr/lib/opkg/info/usp-agent.list"), list).unwrap();
    }

    /// Runs a script of the package; what it did with the service.
    fn run(&self, script: &str, upgrade: bool) -> String {
        let _ = fs::remove_file(self.0.join("journal"));
        let path = format!("{}:{}:/usr/bin:/bin", self.0.join("bin").display(), self.0.join("usr/sbin").display());
        let mut sh = Command::new("sh");
        sh.arg("-c").arg(script).env("IPKG_INSTROOT", &self.0).env("PATH", path).env("UCI", self.0.join("uci"));
        if upgrade {
            sh.env("PKG_UPGRADE", "1");
        }
        succeeded(sh.output());
        fs::read_to_string(self.0.join("journal")).unwrap_or_default()
    }

    fn uci(&self) -> String {
        fs::read_to_string(self.0.join("uci")).unwrap()
    }
}

/// What a package manager has of either package: scripts after an installation, after an upgrade and before a removal;
/// the second script before an upgrade is opkg's only.
struct Managed {
    files: BTreeMap<String, apk::File>,
    conffiles: String,
    installed: String,
    before_upgrade: Option<String>,
    upgraded: String,
    removed: String,
}

fn by_opkg(made: &Made) -> Managed {
    let folder = made.unpacked();
    let control = |name: &str| fs::read_to_string(folder.join("control").join(name)).unwrap();
    Managed {
        files: tree(&folder.join("data")),
        conffiles: control("conffiles"),
        installed: control("postinst"),
        before_upgrade: Some(control("prerm")),
        upgraded: control("postinst"),
        removed: control("prerm"),
    }
}

fn by_apk(made: &Made) -> Managed {
    let package = made.apk();
    Managed {
        conffiles: String::from_utf8(package.files["lib/apk/packages/usp-agent.conffiles"].1.clone()).unwrap(),
        files: package.files,
        installed: package.scripts["post-install"].clone(),
        before_upgrade: None,
        upgraded: package.scripts["post-upgrade"].clone(),
        removed: package.scripts["pre-deinstall"].clone(),
    }
}

#[test]
fn installed_upgraded_and_removed() {
    for (name, manager) in [("opkg", by_opkg as fn(&Made) -> Managed), ("apk", by_apk)] {
        let made = Made::new(name);
        let router = Router::new(&made, "router");
        let first = manager(&made);
        router.lay_down(&first.files, &first.conffiles);
        if name == "opkg" {
            router.list(&first.files);
        }
        let journal = router.run(&first.installed, false);
        let mut lines = journal.lines();
        assert_eq!(lines.next(), Some("enable S95 K10"), "{name}: {journal}");
        for line in [
            "set_param command /usr/sbin/usp-agent run",
            "set_param respawn 3600 5 0",
            "set_param file /usr/sbin/usp-agent",
            "set_param capabilities /etc/capabilities/usp-agent.json",
            "add_reload_trigger usp-agent",
            "add_interface_trigger interface.*.up wan /etc/init.d/usp-agent reload",
        ] {
            assert!(lines.clone().any(|told| told == line), "{name}: `{line}` is not in\n{journal}");
        }
        assert!(router.uci().contains(&format!("usp-agent.agent.EndpointID='{IDENTITY}'\n")), "{}", router.uci());
        assert!(!router.0.join("etc/uci-defaults/90-usp-agent").exists(), "it is done");

        fs::write(router.0.join("etc/config/usp-agent"), "changed").unwrap();
        made.package("second");
        let second = manager(&made);
        assert_ne!(first.files["usr/sbin/usp-agent"], second.files["usr/sbin/usp-agent"]);
        if let Some(script) = &first.before_upgrade {
            assert_eq!(router.run(script, true), "stop\n");
        }
        router.lay_down(&second.files, &second.conffiles);
        let journal = router.run(&second.upgraded, name == "opkg");
        assert!(journal.starts_with("open_instance\n"), "{name}: started, and enabled only if it was: {journal}");
        assert_eq!(fs::read_to_string(router.0.join("etc/config/usp-agent")).unwrap(), "changed");
        assert_eq!(router.run(&second.removed, false), "disable\nstop\n", "{name}");
    }
}

#[test]
fn a_reload_is_a_signal_and_no_start() {
    let made = Made::new("reload");
    let router = Router::new(&made, "router");
    router.lay_down(&by_opkg(&made).files, "");
    let script = "sh $IPKG_INSTROOT/etc/rc.common $IPKG_INSTROOT/etc/init.d/usp-agent reload";
    assert_eq!(router.run(script, false), "send_signal usp-agent\n");
}

#[test]
fn an_identity_that_is_there_is_left_alone() {
    let made = Made::new("identity");
    let router = Router::new(&made, "router");
    router.lay_down(&by_opkg(&made).files, "");
    let defaults = ". $IPKG_INSTROOT/etc/uci-defaults/90-usp-agent";
    let given = "usp-agent.mine=localagent\nusp-agent.mine.EndpointID='self::mine'\n";
    fs::write(router.0.join("uci"), given).unwrap();
    router.run(defaults, false);
    assert_eq!(router.uci(), given);
    // A configuration without the section gets one.
    fs::write(router.0.join("uci"), "").unwrap();
    router.run(defaults, false);
    assert_eq!(router.uci(), format!("usp-agent.agent=localagent\nusp-agent.agent.EndpointID='{IDENTITY}'\n"));
    // Without an answer nothing is written, and the next start tries again.
    fs::write(router.0.join("usr/sbin/usp-agent"), "#!/bin/sh\nexit 1\n").unwrap();
    fs::write(router.0.join("uci"), "").unwrap();
    router.run(&format!("! ( {defaults} )"), false);
    assert_eq!(router.uci(), "");
}

/// What the agent asks of ubus and what a user of that name may ask are the same.
#[test]
fn the_acl_of_ubus_names_what_the_mapping_asks() {
    let text = succeeded(Command::new("openwrt-package/ubus-acl").output());
    let acl: serde_json::Value = serde_json::from_str(&text).unwrap();
    let allowed = |object: &str, method: &str| {
        acl["access"].as_object().unwrap().iter().any(|(pattern, rights)| {
            let named = pattern.strip_suffix('*').map_or(pattern == object, |start| object.starts_with(start));
            named && rights["methods"].as_array().unwrap().iter().any(|one| one == method)
        })
    };
    let mut asked = 0;
    for file in fs::read_dir("data-model").unwrap() {
        let path = file.unwrap().path();
        if path.extension().is_none_or(|ending| ending != "dm") {
            continue;
        }
        for line in fs::read_to_string(&path).unwrap().lines().filter(|line| !line.trim_start().starts_with('#')) {
            let words: Vec<&str> = line.split_whitespace().collect();
            for call in words.windows(3).filter(|words| words[0] == "ubus" && !words[1].starts_with("netlink")) {
                asked += 1;
                assert!(allowed(call[1], call[2]), "{}: {} {} is not in the ACL", path.display(), call[1], call[2]);
            }
        }
    }
    assert!(asked > 20, "{asked} calls found");
    assert!(allowed("service", "event") && allowed("system", "reboot"));
    for file in ["usr/share/rpcd/acl.d/usp-agent.json", "etc/capabilities/usp-agent.json"] {
        let text = fs::read_to_string(Path::new("openwrt-package/files").join(file)).unwrap();
        serde_json::from_str::<serde_json::Value>(&text).unwrap();
    }
}
