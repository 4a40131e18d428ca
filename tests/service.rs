//! The program as a service: it follows its configuration, says goodbye, tells who it is, bears dates beyond 2038, and
//! stays small. `USP_AGENT_PROGRAM` names another program than the one built here, with the words to run it:
//! `USP_AGENT_PROGRAM='qemu-mips-static target/cross/mips/usp-agent' cargo test --test service --test daemon`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

#[path = "support/certificates.rs"]
mod certificates;
#[path = "support/mosquitto.rs"]
mod mosquitto;
#[path = "support/scene.rs"]
mod scene;

use certificates::{Asked, Authority, Issued};
use mosquitto::Mosquitto;
use rustix::process::Signal;
use scene::{SOON, Scene, program};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::process::ExitStatusExt as _;
use std::time::{Duration, Instant};
use usp_agent::demo::controller::{Controller, Trouble};
use usp_agent::mtp::tls::{Clock, Identity, Keyring, ServerTls, Trust, Versions};
use usp_agent::usp::endpoint_id::EndpointId;

const CONTROLLER: &str = "self::test";
const AGENT: &str = "os::00005E-00005E100001";
const HOST_NAME: &str = "Device.DeviceInfo.HostName";

fn free_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port()
}

fn own_id() -> EndpointId {
    EndpointId::parse(CONTROLLER).unwrap()
}

fn controller_section(url: &str) -> String {
    format!(
        "config controller 'test'\n\toption url '{url}'\n\toption EndpointID '{CONTROLLER}'\n\toption AllowUnencrypted '1'\n\tlist role 'full'\n"
    )
}

/// A controller, and an agent that has connected to it.
async fn connected(scene: &mut Scene) -> Controller {
    let (mut controller, port) = Controller::on_websocket(&own_id()).unwrap();
    scene.start(&controller_section(&format!("ws://127.0.0.1:{port}/usp")));
    controller.agent(SOON).await.unwrap();
    controller
}

#[test]
fn a_changed_controller_connects_anew_and_the_others_stay() {
    Scene::play(|mut scene| async move {
        let mut first = connected(&mut scene).await;
        let (mut second, port) = Controller::on_websocket(&EndpointId::parse("self::second").unwrap()).unwrap();
        let (mut moved, elsewhere) = Controller::on_websocket(&EndpointId::parse("self::second").unwrap()).unwrap();
        let config = scene.router.config("usp-agent").unwrap();
        let at = |port: u16| {
            format!(
                "{config}\nconfig controller 'second'\n option url 'ws://127.0.0.1:{port}/usp'\n option EndpointID 'self::second'\n"
            )
        };
        scene.router.write_config("usp-agent", &at(port)).unwrap();
        second.agent(SOON).await.unwrap();
        scene.router.write_config("usp-agent", &at(elsewhere)).unwrap();
        scene.signal(Signal::HUP);
        moved.agent(SOON).await.unwrap();
        assert!(!second.is_connected().await);
        assert_eq!(first.value("Device.DeviceInfo.ModelName").await.unwrap(), "Demo Router");
        assert_eq!((first.sessions(), second.sessions(), moved.sessions()), (1, 1, 1));
    });
}

/// `/etc/init.d/usp-agent reload`, which the interface trigger calls too.
#[test]
fn a_reload_ends_the_wait_for_the_next_try() {
    Scene::play(|mut scene| async move {
        let port = free_port();
        scene.start(&format!(
            "config controller 'test'\n option EndpointID '{CONTROLLER}'\n option AllowUnencrypted 1\n list role full\n
config controller_mtp 'link'\n option controller test\n option Protocol WebSocket\n option Host 127.0.0.1\n option Port {port}
 option Path /usp\n option EnableEncryption 0\n option SessionRetryMinimumWaitInterval 600\n"
        ));
        scene.until_logged("event=lost").await;
        let mut controller = Controller::at(&own_id(), SocketAddr::from((Ipv4Addr::LOCALHOST, port)), None);
        assert_eq!(controller.agent(Duration::from_millis(300)).await, Err(Trouble::Silence));
        scene.signal(Signal::HUP);
        controller.agent(SOON).await.unwrap();
    });
}

/// procd kills after 5 s. A broker that says nothing must not take the goodbye of the others with it.
#[test]
fn a_goodbye_waits_for_nobody_longer_than_two_seconds() {
    Scene::play(|mut scene| async move {
        let silent = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let (mut controller, port) = Controller::on_websocket(&own_id()).unwrap();
        let config = controller_section(&format!("ws://127.0.0.1:{port}/usp"));
        let broker = silent.local_addr().unwrap().port();
        scene.start(&format!(
            "{config}\nconfig controller 'other'\n option url 'mqtt://127.0.0.1:{broker}/x'\n option EndpointID self::other\n"
        ));
        controller.value(HOST_NAME).await.unwrap();
        let _accepted = silent.accept().unwrap();
        scene.signal(Signal::TERM);
        let begun = Instant::now();
        assert!(scene.ended().await.success());
        assert!(begun.elapsed() < Duration::from_millis(2500), "{:?}", begun.elapsed());
        assert!(!controller.is_connected().await);
        assert_eq!(controller.goodbyes(), 1);
    });
}

#[test]
fn the_identity_is_told_without_disturbing_who_runs() {
    Scene::play(|mut scene| async move {
        let identity = |scene: &Scene| {
            let mut command = program();
            command.arg("identity").arg("--config-dir").arg(scene.router.config_dir());
            command.arg("--state-dir").arg(scene.router.state_dir()).arg("--root").arg(scene.router.root());
            command.arg("--ubus").arg(scene.router.socket());
            tokio::task::spawn_blocking(move || command.output().unwrap())
        };
        let told = identity(&scene).await.unwrap();
        assert_eq!(String::from_utf8(told.stdout).unwrap(), format!("{AGENT}\n"));
        let _controller = connected(&mut scene).await;
        assert!(identity(&scene).await.unwrap().status.success());
        scene.router.write_config("usp-agent", "config localagent\n option EndpointID 'self::mine'\n").unwrap();
        assert_eq!(identity(&scene).await.unwrap().stdout, b"self::mine\n");
    });
}

/// An authority, and what it issued to the controller and to the agent.
struct Tls {
    authority: Authority,
    theirs: Issued,
    ours: Issued,
}

impl Tls {
    fn new(years: Option<(i32, i32)>) -> Self {
        let authority = Authority::new("test");
        let theirs =
            authority.issue(Asked { names: &["localhost"], endpoint_id: Some(CONTROLLER), years, ..Asked::default() });
        let ours = authority.issue(Asked { endpoint_id: Some(AGENT), ..Asked::default() });
        Self { authority, theirs, ours }
    }

    fn controller(&self, port: u16) -> Controller {
        let tls = ServerTls {
            identity: Identity { certificate: self.theirs.certificate.clone(), key: self.theirs.key.clone() },
            clients: Some(Trust::File(self.authority.file.clone())),
            versions: Versions::default(),
            keyring: Keyring::default(),
            clock: Clock::default(),
        };
        Controller::at(&own_id(), SocketAddr::from((Ipv4Addr::LOCALHOST, port)), Some(tls))
    }

    /// A controller section of this name without AllowUnencrypted, with the agent's files.
    fn section(&self, name: &str, url: &str) -> String {
        let files =
            [("ca_file", &self.authority.file), ("certificate", &self.ours.certificate), ("key", &self.ours.key)];
        let files: String =
            files.iter().map(|(option, file)| format!("\toption {option} '{}'\n", file.display())).collect();
        let id = if name == "test" { CONTROLLER.to_owned() } else { format!("self::{name}") };
        format!(
            "config controller '{name}'\n\toption url '{url}'\n\toption EndpointID '{id}'\n\tlist role 'full'\n{files}\n"
        )
    }
}

/// All that is left of a panic where its message is left out (cross builds).
#[test]
fn a_fault_is_told_before_it_kills() {
    Scene::play(|mut scene| async move {
        for (signal, number) in [(Signal::ILL, 4), (Signal::TRAP, 5), (Signal::ABORT, 6), (Signal::SEGV, 11)] {
            let _controller = connected(&mut scene).await;
            scene.signal(signal);
            assert_eq!(scene.ended().await.signal(), Some(number));
            let log = scene.log();
            let who = concat!("usp-agent ", env!("CARGO_PKG_VERSION"), ": ");
            let place = format!("{who}signal {number} at 0x");
            // Where qemu runs the program it says something of its own after that.
            let told: Vec<&str> = log.lines().skip_while(|line| !line.starts_with(&place)).collect();
            let [_, callers, ..] = told[..] else { panic!("`{place}` and callers do not end\n{log}") };
            let callers: Vec<&str> =
                callers.strip_prefix(who).unwrap().strip_prefix("called from ").unwrap().split(' ').collect();
            assert!(
                callers.iter().all(|one| usize::from_str_radix(&one[2..], 16).is_ok_and(|at| at > 0x1000)),
                "{callers:?}"
            );
        }
    });
}

/// 32 bits of seconds end in 2038: a date beyond that is neither in the past nor nonsense.
#[test]
fn dates_after_2038_are_dates() {
    Scene::play(|mut scene| async move {
        let tls = Tls::new(Some((2020, 2049)));
        let port = free_port();
        let mut controller = tls.controller(port);
        scene.start(&tls.section("test", &format!("wss://localhost:{port}/usp")));
        assert_eq!(controller.value(HOST_NAME).await.unwrap(), "OpenWrt");
    });
    Scene::play(|mut scene| async move {
        let tls = Tls::new(Some((2039, 2049)));
        let port = free_port();
        let mut controller = tls.controller(port);
        scene.start(&tls.section("test", &format!("wss://localhost:{port}/usp")));
        scene.until_logged("event=lost").await;
        assert_eq!(controller.agent(Duration::from_millis(200)).await, Err(Trouble::Silence), "not valid yet");
    });
}

/// Ceilings in kB: idle with two links over TLS, and at the most with a message of 1 MiB.
const RESIDENT: u64 = 4_000;
const RESIDENT_AT_MOST: u64 = 8_000;

/// Run by `cross/size`: figures of a debug build, or of qemu, say nothing.
#[test]
#[ignore = "measures a released program: cross/size"]
fn resident_with_two_links_over_tls() {
    Scene::play(|mut scene| async move {
        let tls = Tls::new(None);
        let (certificate, key) = (tls.theirs.certificate.display(), tls.theirs.key.display());
        let broker = Mosquitto::start(|_| format!("allow_anonymous true\ncertfile {certificate}\nkeyfile {key}"));
        let broker = broker.expect("mosquitto is installed");
        let port = free_port();
        let mut controller = tls.controller(port);
        let other = tls.section("other", &format!("mqtts://localhost:{}/usp/controller", broker.port));
        let topic = "\toption ResponseTopicConfigured 'usp/agent'\n\n";
        let other = other.replacen("\n\n", &format!("\n{topic}"), 1);
        scene.start(&format!("{}{other}", tls.section("test", &format!("wss://localhost:{port}/usp"))));
        controller.value(HOST_NAME).await.unwrap();
        while controller.value("Device.MQTT.Client.1.Status").await.unwrap() != "Connected" {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        tokio::time::sleep(Duration::from_secs(2)).await;
        let pid = scene.agent.as_ref().unwrap().id();
        let kilobytes = |name: &str| {
            let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
            let line = status.lines().find(|line| line.starts_with(name)).unwrap_or_default().to_owned();
            line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024 / 1000
        };
        let (idle, own) = (kilobytes("VmRSS:"), kilobytes("RssAnon:"));
        // Nearly all a record may hold: refused as too long for a host name, but it was read.
        let refused = controller.set("Device.DeviceInfo.", &[("HostName", &"x".repeat(1_000_000))]).await;
        assert!(matches!(refused, Err(Trouble::Refused(_))), "{refused:?}");
        let most = kilobytes("VmHWM:");
        println!(
            "resident {idle} kB ({own} kB of its own), ceiling {RESIDENT}; at most {most} kB, ceiling {RESIDENT_AT_MOST}"
        );
        assert!(idle <= RESIDENT && most <= RESIDENT_AT_MOST);
    });
}
