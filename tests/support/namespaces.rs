//! Network namespaces of a test's own: the test runs again in one, and makes another beside it.
#![allow(dead_code, unreachable_pub)]

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Says to the second run that it is the one inside.
const INSIDE: &str = "USP_TEST_NAMESPACE";
/// Seconds the second run gets: `timeout` ends it with all it started, should it hang.
const LIMIT: &str = "55";
/// Seconds after which a namespace goes by itself.
const HELD: &str = "60";

/// Runs `play` in a network namespace, in a process of its own: this test (`name`) again. Passed over with a reason
/// where the kernel forbids namespaces, and only there.
pub fn apart(name: &str, play: impl FnOnce()) {
    if std::env::var_os(INSIDE).is_some() {
        return play();
    }
    let Some(unshare) = permitted() else { return };
    let mut again = Command::new("timeout");
    again.args(["-k", "2", LIMIT, "unshare"]).args(unshare).arg(std::env::current_exe().unwrap());
    let ran = again.args(["--exact", name, "--nocapture"]).env(INSIDE, "1").output().unwrap();
    let said = String::from_utf8_lossy(&ran.stdout);
    let passed = ran.status.success() && said.contains("test result: ok. 1 passed");
    assert!(passed, "{}\n{said}\n{}", ran.status, String::from_utf8_lossy(&ran.stderr));
}

/// How `unshare` makes a namespace here.
fn permitted() -> Option<&'static [&'static str]> {
    // The second is for root where user namespaces are switched off.
    let ways: [&[&str]; 2] = [&["-U", "-r", "-n"], &["-n"]];
    let mut why = String::new();
    for way in ways {
        let tried = Command::new("unshare").args(way).arg("true").output().expect("unshare is of util-linux");
        if tried.status.success() {
            return Some(way);
        }
        why = String::from_utf8_lossy(&tried.stderr).trim().to_owned();
    }
    println!("passed over: the kernel forbids network namespaces ({why})");
    None
}

/// A second network namespace; gone with this.
pub struct Namespace(Child);

impl Namespace {
    pub fn new() -> Self {
        let held = Command::new("unshare").args(["-n", "sleep", HELD]).stdin(Stdio::null()).spawn().unwrap();
        let here = std::fs::read_link("/proc/self/ns/net").unwrap();
        let namespace = Self(held);
        let until = Instant::now() + Duration::from_secs(5);
        while std::fs::read_link(namespace.file()).is_ok_and(|there| there == here) {
            assert!(Instant::now() < until, "no second namespace");
            std::thread::sleep(Duration::from_millis(5));
        }
        namespace
    }

    fn file(&self) -> PathBuf {
        format!("/proc/{}/ns/net", self.0.id()).into()
    }

    /// What a command begins with to run in there.
    pub fn words(&self) -> Vec<String> {
        vec!["nsenter".into(), format!("--net={}", self.file().display())]
    }

    /// The process that holds it, for `ip link ... netns`.
    pub fn holder(&self) -> u32 {
        self.0.id()
    }

    /// Runs `ip` in there; whether it did.
    pub fn ip(&self, arguments: &str) -> bool {
        let words = self.words();
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]).arg("ip").args(arguments.split_whitespace());
        command.stderr(Stdio::null()).status().unwrap().success()
    }

    /// Whether a TCP connection from in there to this address comes about.
    pub fn reaches(&self, address: &str, port: u16) -> bool {
        let words = self.words();
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]).args(["timeout", "0.4", "bash", "-c", &format!(": </dev/tcp/{address}/{port}")]);
        command.stderr(Stdio::null()).status().unwrap().success()
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Runs `ip` in this namespace.
pub fn ip(arguments: &str) {
    let done = Command::new("ip").args(arguments.split_whitespace()).output().expect("tests/run installs iproute2");
    assert!(done.status.success(), "ip {arguments}: {}", String::from_utf8_lossy(&done.stderr));
}
