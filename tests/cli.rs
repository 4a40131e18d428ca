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

const RESET: &str = r#"
# A comment.
Device.LocalAgent.EndpointID "proto::agent-1"
Device.MQTT.Client.1.BrokerAddress "broker.example"
Device.MQTT.Client.1.BrokerPort "8883"
Device.MQTT.Client.1.TransportProtocol TLS
Device.MQTT.Client.1.Username ""
Device.LocalAgent.MTP.2.Protocol "MQTT"
Device.LocalAgent.MTP.2.Enable true
Device.LocalAgent.MTP.2.MQTT.Reference "Device.MQTT.Client.1"
Device.LocalAgent.MTP.2.MQTT.ResponseTopicConfigured "usp/agent"
Device.LocalAgent.Controller.3.EndpointID "proto::acs"
Device.LocalAgent.Controller.3.AssignedRole "Device.LocalAgent.ControllerTrust.Role.1"
Device.LocalAgent.Controller.3.MTP.1.MQTT.Reference "Device.MQTT.Client.1"
Device.LocalAgent.Controller.3.MTP.1.Protocol "MQTT"
Device.LocalAgent.Controller.3.MTP.1.MQTT.Topic "usp/controller"
Device.LocalAgent.Subscription.1.Recipient "Device.LocalAgent.Controller.3"
Device.LocalAgent.Subscription.1.ID "boot"
Device.LocalAgent.Subscription.1.NotifType "Event"
Device.LocalAgent.Subscription.1.ReferenceList "Device.Boot!,Device.LocalAgent.Periodic!"
Device.Vendor.Thing "1"
Internal.Reboot.Cause "LocalFactoryReset"
"#;

#[test]
fn the_reset_text_of_an_obuspa_becomes_sections() {
    let folder = Folder::new("import", "config localagent 'agent'\n\toption log_level 'debug'\n");
    let file = folder.0.join("reset.txt");
    fs::write(&file, RESET).unwrap();
    let path = folder.0.to_str().unwrap();
    let import = |more: &[&str]| {
        usp_agent(&[&["import", file.to_str().unwrap(), "--config-dir", path, "--state-dir", path], more].concat())
    };
    let before = fs::read(folder.0.join("usp-agent")).unwrap();
    let (code, shown, complaints) = import(&["--dry-run"]);
    assert_eq!(code, 0, "{complaints}");
    assert_eq!(complaints.lines().count(), 1, "{complaints}");
    assert!(complaints.contains("reset.txt:21: Device.Vendor.Thing is not taken over"), "{complaints}");
    for expected in [
        "config localagent 'agent'\n\toption EndpointID 'proto::agent-1'\n",
        "config mqtt 'mqtt_1'\n\toption BrokerAddress 'broker.example'\n\toption BrokerPort '8883'\n",
        "\toption mqtt 'mqtt_1'\n\toption ResponseTopicConfigured 'usp/agent'\n",
        "config controller 'controller_3'\n\toption EndpointID 'proto::acs'\n\tlist role 'full'\n",
        "config controller_mtp 'controller_mtp_3_1'\n\toption controller 'controller_3'\n\toption Protocol 'MQTT'\n",
        "\toption Topic 'usp/controller'\n\toption mtp 'mtp_2'\n",
        "\tlist ReferenceList 'Device.Boot!'\n\tlist ReferenceList 'Device.LocalAgent.Periodic!'\n",
    ] {
        assert!(shown.contains(expected), "`{expected}` is not in\n{shown}");
    }
    assert!(!shown.contains("Username"), "an empty value is none\n{shown}");
    assert_eq!(fs::read(folder.0.join("usp-agent")).unwrap(), before, "written by a dry run");
    assert_eq!(import(&[]).0, 0);
    let written = fs::read_to_string(folder.0.join("usp-agent")).unwrap();
    assert!(written.contains("option log_level 'debug'\n\toption EndpointID 'proto::agent-1'"), "{written}");
    fs::remove_file(&file).unwrap();
    assert_eq!(folder.check(&[]), (0, "configuration and data model: nothing to complain of\n".into(), String::new()));
    fs::write(&file, RESET).unwrap();
    let (code, _, complaints) = import(&[]);
    assert!(code == 1 && complaints.contains("is there already"), "{complaints}");
    assert_eq!(fs::read_to_string(folder.0.join("usp-agent")).unwrap(), written);
}

#[test]
fn a_broken_line_leaves_everything_as_it_is() {
    let folder = Folder::new("import-broken", "");
    let file = folder.0.join("reset.txt");
    fs::write(&file, "Device.LocalAgent.EndpointID \"a\nDevice.LocalAgent.EndpointID b\n").unwrap();
    let path = folder.0.to_str().unwrap();
    let (code, _, complaints) =
        usp_agent(&["import", file.to_str().unwrap(), "--config-dir", path, "--state-dir", path]);
    assert!(code == 1 && complaints.contains("reset.txt:1: not a path and its value"), "{complaints}");
    assert_eq!(fs::read(folder.0.join("usp-agent")).unwrap(), b"");
}

#[test]
fn the_uci_file_of_an_obuspa_becomes_sections() {
    let folder = Folder::new("import-uci", "");
    let file = folder.0.join("obuspa");
    let text = "config obuspa 'global'\n\toption trust_cert '/etc/acs.pem'\n\toption db_file '/x'\n
config localagent\n\toption EndpointID 'proto::agent-1'\n
config controller 'acs'\n\toption EndpointID 'proto::acs'\n\toption Protocol 'WebSocket'\n\toption Host '10.0.0.1'
\toption Port '8080'\n\toption Path 'ws/agent'\n\toption EnableEncryption '0'\n\toption assigned_role_name 'full_access'
\tlist ParameterName 'Device.DeviceInfo.SoftwareVersion'\n
config controller 'other'\n\toption EndpointID 'proto::other'\n\toption Protocol 'MQTT'\n\toption mqtt 'broker'\n\toption Topic 't'\n
config mtp 'm'\n\toption Protocol 'MQTT'\n\toption mqtt 'broker'\n
config mqtt 'broker'\n\toption BrokerAddress 'b.example'\n\toption TransportProtocol 'TLS'\n";
    fs::write(&file, text).unwrap();
    let path = folder.0.to_str().unwrap();
    let (code, shown, complaints) = usp_agent(&["import", file.to_str().unwrap(), "--config-dir", path, "--dry-run"]);
    assert_eq!(code, 0, "{complaints}");
    for expected in [
        "option ca_file '/etc/acs.pem'\n\toption EndpointID 'proto::agent-1'\n",
        "config controller 'acs'\n\toption EndpointID 'proto::acs'\n\tlist role 'full'\n",
        "config controller_mtp 'acs_link'\n\toption Protocol 'WebSocket'\n\toption controller 'acs'\n\toption Host '10.0.0.1'\n",
        "option Path '/ws/agent'",
        "option ParameterName 'Device.DeviceInfo.SoftwareVersion'",
        "config controller_mtp 'other_link'",
        "option mtp 'm'",
    ] {
        assert!(shown.contains(expected), "`{expected}` is not in\n{shown}");
    }
    assert!(complaints.contains("obuspa:3: db_file: it is not taken over"), "{complaints}");
    assert!(complaints.contains("AllowUnencrypted"), "{complaints}");
}
