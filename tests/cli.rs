//! The command line as a person meets it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

/// Exit code, stdout, stderr.
fn usp_agent(args: &[&str]) -> (i32, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_usp-agent")).args(args).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

/// A folder of configuration with this package, gone at the end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str, config: &str) -> Self {
        let path = std::env::temp_dir().join(format!("usp-agent-cli-{}-{name}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        fs::write(path.join("usp-agent"), config).unwrap();
        Self(path)
    }

    fn check(&self, more: &[&str]) -> (i32, String, String) {
        let folder = self.0.to_str().unwrap();
        usp_agent(&[&["check", "--config-dir", folder, "--root", folder], more].concat())
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn the_demo_shows_everything_in_seconds() {
    let begun = Instant::now();
    let (code, shown, complaints) = usp_agent(&["demo"]);
    assert_eq!((code, complaints.as_str()), (0, ""), "{shown}");
    assert!(begun.elapsed() < Duration::from_secs(10));
    for expected in [
        "ModelName        Demo Router",
        "wan       Up      203.0.113.17",
        "- option hostname 'OpenWrt'\n  + option hostname 'castle'",
        "Notify  Device.IP.Interface.3.Status = Down",
        "SuccessCount                 3",
    ] {
        assert!(shown.contains(expected), "`{expected}` is not in\n{shown}");
    }
    assert!(shown.lines().all(|line| line.chars().count() <= 100), "too wide:\n{shown}");
    assert!(!shown.contains('\x1b'), "colour where nobody looks");
}

#[test]
fn check_names_what_is_wrong_and_where() {
    let fine = Folder::new("fine", "config controller 'a'\n option url 'ws://h'\n option EndpointID 'x'\n");
    assert_eq!(fine.check(&[]).0, 0, "{:?}", fine.check(&[]));
    let wrong = Folder::new("wrong", "config controller 'a'\n option url 'ws://h'\n option EndpointI 'x'\n");
    let (code, _, complaints) = wrong.check(&[]);
    assert_eq!(code, 3);
    assert!(complaints.contains("usp-agent:3: config controller 'a': unknown option EndpointI"), "{complaints}");
    let broken = Folder::new("broken", "config controller 'a\n");
    assert!(broken.check(&[]).2.contains("nothing of the file counts"));
}

#[test]
fn check_reads_mapping_files_before_they_are_installed() {
    let folder = Folder::new("mapping", "");
    let file = folder.0.join("vendor.dm");
    fs::write(&file, "object Device.DeviceInfo.\n  NoSuchThing = text x\n").unwrap();
    let (code, _, complaints) = folder.check(&[file.to_str().unwrap()]);
    assert_eq!(code, 3);
    assert!(complaints.contains("vendor.dm:2"), "{complaints}");
}

#[test]
fn a_wrong_command_line_says_what_would_be_right() {
    for (args, expected) in [
        (&["frobnicate"][..], "frobnicate is no command; `usp-agent help` lists them"),
        (&[], "a command is missing; `usp-agent help` lists them"),
        (&["run", "--what"], "--what is not known here; see `usp-agent help run`"),
        (&["run", "--log-level", "loud"], "--log-level takes error, warn, info, debug or trace"),
        (&["record-fixtures"], "record-fixtures needs one folder"),
        (&["demo", "now"], "demo takes no `now`; see `usp-agent help demo`"),
    ] {
        let (code, _, complaint) = usp_agent(args);
        assert_eq!(code, 2, "{args:?}");
        assert!(complaint.contains(expected), "{args:?}: {complaint}");
    }
}

#[test]
fn version_help_options_and_coverage_are_printed() {
    assert_eq!(usp_agent(&["--version"]), (0, format!("usp-agent {}\n", env!("CARGO_PKG_VERSION")), String::new()));
    assert!(usp_agent(&["help"]).1.contains("usp-agent run"));
    assert!(usp_agent(&["run", "--help"]).1.contains("--state-dir DIR"));
    assert!(usp_agent(&["help"]).1.contains("\n  5  not-running  the agent is not running\n"));
    assert!(usp_agent(&["completion", "bash"]).1.contains("set) words='--ubus --json --dry-run'"));
    assert!(usp_agent(&["check", "--print-options"]).1.starts_with("# /etc/config/usp-agent"));
    let (code, table, _) = usp_agent(&["coverage"]);
    assert!(code == 0 && table.contains("Device.DeviceInfo."), "{table}");
}
