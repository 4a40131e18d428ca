//! Packages that are the same on every router: the page in LuCI, and the example of a vendor.

use super::{apk, modes, succeeded, tree, unpacked};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

const PAGE: &str = "luci-app-usp-agent";
const FILES: [(&str, u32); 3] = [
    ("usr/share/luci/menu.d/luci-app-usp-agent.json", 0o644),
    ("usr/share/rpcd/acl.d/luci-app-usp-agent.json", 0o644),
    ("www/luci-static/resources/view/usp-agent/overview.js", 0o644),
];

/// A folder of its own, and both packages in it.
fn made(package: &str, name: &str) -> (PathBuf, PathBuf, apk::Package) {
    let folder = std::env::temp_dir().join(format!("usp-agent-packages-{}-{name}", std::process::id()));
    let mut make = Command::new("cross/package");
    make.env("SOURCE_DATE_EPOCH", "1767225600").arg("--output").arg(&folder).arg(package);
    let told = succeeded(make.output());
    let files: Vec<&Path> = told.lines().map(Path::new).collect();
    assert!(files[0].to_str().unwrap().ends_with("_all.ipk") && files[1].to_str().unwrap().ends_with("_noarch.apk"));
    (folder.clone(), unpacked(files[0], folder.join("ipk")), apk::read(&fs::read(files[1]).unwrap()))
}

#[test]
fn the_page_is_the_same_on_every_router() {
    let (folder, ipk, apk) = made(PAGE, "page");
    let files = tree(&ipk.join("data"));
    assert_eq!(modes(&files), FILES);
    assert_eq!(
        files[FILES[2].0].1,
        fs::read(format!("openwrt-package/{PAGE}/htdocs/luci-static/resources/view/usp-agent/overview.js")).unwrap()
    );
    let version = format!("{}-r1", env!("CARGO_PKG_VERSION"));
    let control = fs::read_to_string(ipk.join("control/control")).unwrap();
    for line in [
        &format!("Package: {PAGE}"),
        &format!("Version: {version}"),
        "Depends: luci-base usp-agent",
        "Architecture: all",
    ] {
        assert!(control.lines().any(|told| told == line), "`{line}` is not in\n{control}");
    }
    assert!(!ipk.join("control/conffiles").exists());

    let told = |name| apk.info[name].as_str();
    assert_eq!((told("name"), told("version"), told("arch")), (PAGE, version.as_str(), "noarch"));
    assert_eq!(apk.depends, ["luci-base", "usp-agent"]);
    let (mut lists, others) = (Vec::new(), apk.files.into_iter());
    let same = others.filter(|(name, _)| {
        !name.starts_with("lib/apk/packages/") || {
            lists.push(name.clone());
            false
        }
    });
    assert_eq!(same.collect::<std::collections::BTreeMap<_, _>>(), files);
    assert_eq!(lists, [format!("lib/apk/packages/{PAGE}.list")]);
    fs::remove_dir_all(folder).unwrap();
}

/// LuCI and rpcd are told of a new page on a router, and not where the package goes into an image.
#[test]
fn the_page_is_known_at_once() {
    let (folder, ipk, apk) = made(PAGE, "known");
    for tool in ["killall", "rm"] {
        fs::write(folder.join(tool), "#!/bin/sh\necho ${0##*/} \"$@\"\n").unwrap();
        fs::set_permissions(folder.join(tool), fs::Permissions::from_mode(0o755)).unwrap();
    }
    // Functions of OpenWrt's that run what the package adds, as opkg has it.
    let functions = folder.join("lib/functions.sh");
    fs::create_dir_all(functions.parent().unwrap()).unwrap();
    let added = ipk.join("control/postinst-pkg");
    let text = format!("default_postinst() {{ [ \"$1\" != opkg ] || ( . {} ); }}\n", added.display());
    fs::write(&functions, text).unwrap();
    let opkg = fs::read_to_string(ipk.join("control/postinst")).unwrap();
    for script in
        [opkg.replace("$0 $@", "opkg"), apk.scripts["post-install"].clone(), apk.scripts["post-upgrade"].clone()]
    {
        let run = |root: &str| {
            let script = script.replace("${IPKG_INSTROOT}/lib/functions.sh", functions.to_str().unwrap());
            let path = format!("{}:/usr/bin:/bin", folder.display());
            succeeded(Command::new("sh").arg("-c").arg(script).env("IPKG_INSTROOT", root).env("PATH", path).output())
        };
        let said = run("");
        assert!(
            said.contains("killall -HUP rpcd\n") && said.contains("rm -f /tmp/luci-indexcache."),
            "{script}: {said}"
        );
        assert_eq!(run(folder.to_str().unwrap()), "", "{script}");
    }
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn the_example_of_a_vendor_is_a_package_too() {
    let (folder, ipk, apk) = made("usp-datamodel-acme", "acme");
    assert_eq!(
        modes(&tree(&ipk.join("data"))),
        [("etc/config/acme", 0o644), ("usr/share/usp-agent/data-model.d/acme.dm", 0o644)]
    );
    assert_eq!(fs::read_to_string(ipk.join("control/conffiles")).unwrap(), "/etc/config/acme\n");
    assert!(fs::read_to_string(ipk.join("control/postinst-pkg")).unwrap().contains("/etc/init.d/usp-agent restart"));
    assert!(apk.scripts["post-install"].contains("/etc/init.d/usp-agent restart"));
    assert_eq!((apk.info["arch"].as_str(), apk.info["version"].as_str()), ("noarch", "1.0-r1"));
    assert_eq!(apk.depends, ["usp-agent"]);
    fs::remove_dir_all(folder).unwrap();
}
