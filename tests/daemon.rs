//! The real program against a simulated router (a real ubus socket, real UCI files), a controller over WebSocket, and
//! a real mosquitto.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "support/certificates.rs"]
mod certificates;
#[path = "support/mosquitto.rs"]
mod mosquitto;
#[path = "support/scene.rs"]
mod scene;

use certificates::{Asked, Authority};
use mosquitto::Mosquitto;
use rustix::process::Signal;
use scene::{SOON, Scene, end_of};
use std::fs::File;
use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};
use usp_agent::demo::controller::{Controller, Operated, Trouble};
use usp_agent::mtp::mqtt::Version;
use usp_agent::mtp::tls::{Clock, Identity, Keyring, ServerTls, Trust, Versions};
use usp_agent::usp::endpoint_id::EndpointId;
use usp_agent::usp::wire::msg::notify::Notification;
use usp_agent::usp::wire::msg::notify::operation_complete::OperationResp;

const CONTROLLER: &str = "self::test";

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

const AGENT: &str = "os::00005E-00005E100001";
const HOST_NAME: &str = "Device.DeviceInfo.HostName";

#[test]
fn a_get_and_a_set_go_down_to_the_router() {
    Scene::play(|mut scene| async move {
        let mut controller = connected(&mut scene).await;
        let agent = controller.agent(SOON).await.unwrap();
        assert_eq!(agent.as_str(), AGENT);
        assert_eq!(controller.value(HOST_NAME).await.unwrap(), "OpenWrt");
        assert_eq!(controller.value("Device.DeviceInfo.ModelName").await.unwrap(), "Demo Router");
        controller.set("Device.DeviceInfo.", &[("HostName", "castle")]).await.unwrap();
        assert!(scene.router.config("system").unwrap().contains("option hostname 'castle'"));
        assert_eq!(scene.router.applied(), ["system"], "announced once");
        assert_eq!(controller.value(HOST_NAME).await.unwrap(), "castle");
        let refused = controller.set("Device.DeviceInfo.", &[("ModelName", "x")]).await;
        assert!(matches!(refused, Err(Trouble::Refused(error)) if error.err_code == 7013 || error.err_code == 7021));
    });
}

async fn subscribe(controller: &mut Controller, id: &str, kind: &str, path: &str) -> String {
    let settings =
        [("Enable", "true"), ("ID", id), ("NotifType", kind), ("ReferenceList", path), ("Persistent", "true")];
    controller.add("Device.LocalAgent.Subscription.", &settings).await.unwrap()
}

#[test]
fn a_change_by_somebody_else_is_notified() {
    Scene::play(|mut scene| async move {
        let mut controller = connected(&mut scene).await;
        subscribe(&mut controller, "name", "ValueChange", HOST_NAME).await;
        let changed = scene.router.config("system").unwrap().replace("'OpenWrt'", "'behind'");
        scene.router.write_config("system", &changed).unwrap();
        let notify = controller.notification(SOON, |notify| notify.subscription_id == "name").await.unwrap();
        let Some(Notification::ValueChange(change)) = notify.notification else { panic!("{notify:?}") };
        assert_eq!((change.param_path.as_str(), change.param_value.as_str()), (HOST_NAME, "behind"));
    });
}

#[test]
fn the_uplink_coming_back_ends_the_wait_for_the_next_try() {
    Scene::play(|mut scene| async move {
        let port = free_port();
        scene.start(&format!(
            "config controller 'test'\n option EndpointID '{CONTROLLER}'\n option AllowUnencrypted 1\n list role full\n
config controller_mtp 'link'\n option controller test\n option Protocol WebSocket\n option Host 127.0.0.1\n option Port {port}
 option Path /usp\n option EnableEncryption 0\n option SessionRetryMinimumWaitInterval 600\n"
        ));
        scene.until_logged("event=lost").await;
        let mut controller = Controller::at(&own_id(), SocketAddr::from((Ipv4Addr::LOCALHOST, port)), None);
        scene.router.set_interface("wan", false);
        assert_eq!(controller.agent(Duration::from_millis(300)).await, Err(Trouble::Silence));
        scene.router.set_interface("wan", true);
        controller.agent(SOON).await.unwrap();
    });
}

#[test]
fn what_was_answered_survives_a_power_cut() {
    Scene::play(|mut scene| async move {
        let mut controller = connected(&mut scene).await;
        subscribe(&mut controller, "first", "ValueChange", HOST_NAME).await;
        let second = subscribe(&mut controller, "second", "Event", "Device.Boot!").await;
        controller.delete("Device.LocalAgent.Subscription.[ID==\"first\"].").await.unwrap();
        scene.signal(Signal::KILL);
        scene.ended().await;
        scene.start_again();
        let boot = controller.notification(SOON, |notify| notify.subscription_id == "second").await.unwrap();
        assert!(matches!(boot.notification, Some(Notification::Event(event)) if event.event_name == "Boot!"));
        assert_eq!(controller.value(&format!("{second}ID")).await.unwrap(), "second");
        assert_eq!(controller.sessions(), 2);
    });
}

#[test]
fn a_second_agent_on_the_same_state_does_not_start() {
    Scene::play(|mut scene| async move {
        let _controller = connected(&mut scene).await;
        let file = scene.router.state_dir().with_extension("second");
        let second = scene.command().stderr(File::create(&file).unwrap()).spawn().unwrap();
        let code = end_of(second).await.code();
        let said = std::fs::read_to_string(file).unwrap();
        assert_eq!(code, Some(4), "{said}");
        assert!(said.contains("another usp-agent") && said.contains("--state-dir"), "{said}");
    });
}

#[test]
fn sigterm_is_a_goodbye() {
    Scene::play(|mut scene| async move {
        let mut controller = connected(&mut scene).await;
        controller.value(HOST_NAME).await.unwrap();
        scene.signal(Signal::TERM);
        let begun = Instant::now();
        assert!(scene.ended().await.success());
        assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
        assert!(!controller.is_connected().await);
        assert_eq!(controller.goodbyes(), 1);
    });
}

#[test]
fn what_the_configuration_says_in_vain_is_in_the_log() {
    Scene::play(|mut scene| async move {
        let (mut controller, port) = Controller::on_websocket(&own_id()).unwrap();
        scene.start(&format!("{}\toption Usernam 'x'\n", controller_section(&format!("ws://127.0.0.1:{port}/usp"))));
        controller.agent(SOON).await.unwrap();
        scene.until_logged("usp-agent:6: config controller 'test': unknown option Usernam").await;
    });
}

#[test]
fn a_new_configuration_leaves_unchanged_links_alone() {
    Scene::play(|mut scene| async move {
        let mut first = connected(&mut scene).await;
        let (mut second, port) = Controller::on_websocket(&EndpointId::parse("self::second").unwrap()).unwrap();
        let config = scene.router.config("usp-agent").unwrap();
        let more = format!(
            "config controller 'second'\n option url 'ws://127.0.0.1:{port}/usp'\n option EndpointID 'self::second'\n"
        );
        scene.router.write_config("usp-agent", &format!("{config}\n{more}")).unwrap();
        second.agent(SOON).await.unwrap();
        scene.signal(Signal::HUP);
        scene.until_logged("event=reload").await;
        assert_eq!(first.value("Device.DeviceInfo.ModelName").await.unwrap(), "Demo Router");
        assert_eq!((first.sessions(), second.sessions()), (1, 1));
        scene.router.write_config("usp-agent", &config).unwrap();
        let until = Instant::now() + SOON;
        while second.is_connected().await {
            assert!(Instant::now() < until, "{}", scene.log());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert!(first.is_connected().await);
    });
}

#[test]
fn without_encryption_a_controller_is_untrusted() {
    Scene::play(|mut scene| async move {
        let (mut controller, port) = Controller::on_websocket(&own_id()).unwrap();
        let config = controller_section(&format!("ws://127.0.0.1:{port}/usp"));
        scene.start(&config.replace("\toption AllowUnencrypted '1'\n", ""));
        controller.agent(SOON).await.unwrap();
        assert_eq!(controller.value("Device.DeviceInfo.ModelName").await.unwrap(), "Demo Router");
        assert!(controller.value("Device.LocalAgent.EndpointID").await.is_err());
        assert!(controller.set("Device.DeviceInfo.", &[("HostName", "mine")]).await.is_err());
    });
}

#[test]
fn the_agents_own_parameters_can_be_set_although_its_section_is_not_written() {
    Scene::play(|mut scene| async move {
        let mut controller = connected(&mut scene).await;
        controller.set("Device.DeviceInfo.", &[("ProvisioningCode", "shop")]).await.unwrap();
        assert_eq!(controller.value("Device.DeviceInfo.ProvisioningCode").await.unwrap(), "shop");
        let written = scene.router.config("usp-agent").unwrap();
        assert!(written.contains("config localagent 'localagent'\n\toption ProvisioningCode 'shop'"), "{written}");
        assert!(written.contains("option url") && !written.contains("config role"), "{written}");
    });
}

#[test]
fn a_package_that_somebody_broke_is_told_as_broken_and_left_alone() {
    Scene::play(|mut scene| async move {
        let mut controller = connected(&mut scene).await;
        let broken = "config system\n option hostname 'a\n";
        scene.router.write_config("system", broken).unwrap();
        let Err(Trouble::Refused(error)) = controller.set("Device.DeviceInfo.", &[("HostName", "b")]).await else {
            panic!("set in a broken file");
        };
        assert_eq!(error.param_errs[0].err_code, 7003, "{error:?}");
        assert_eq!(scene.router.config("system").unwrap(), broken);
    });
}

#[test]
fn more_notifications_at_once_than_a_link_takes_all_arrive() {
    Scene::play(|mut scene| async move {
        let many = 100;
        let subscription = |n: usize| {
            format!(
                "config subscription 's{n}'\n option controller test\n option ID s{n}\n option NotifType ValueChange\n list ReferenceList {HOST_NAME}\n option Persistent 1\n"
            )
        };
        let (mut controller, port) = Controller::on_websocket(&own_id()).unwrap();
        let all: String = (0..many).map(subscription).collect();
        scene.start(&format!("{}{all}", controller_section(&format!("ws://127.0.0.1:{port}/usp"))));
        controller.agent(SOON).await.unwrap();
        controller.set("Device.DeviceInfo.", &[("HostName", "castle")]).await.unwrap();
        for n in 0..many {
            let wanted = format!("s{n}");
            let notify = controller.notification(SOON, |notify| notify.subscription_id == wanted).await;
            assert!(notify.is_ok(), "{wanted} was lost\n{}", scene.log());
        }
    });
}

#[test]
fn a_password_is_neither_read_nor_guessed() {
    Scene::play(|mut scene| async move {
        let mut controller = connected(&mut scene).await;
        let client = [("BrokerAddress", "b.example"), ("Password", "secret"), ("Enable", "false")];
        let client = controller.add("Device.MQTT.Client.", &client).await.unwrap();
        assert_eq!(controller.value(&format!("{client}Password")).await.unwrap(), "");
        let guess = |value: &str| format!("Device.MQTT.Client.[Password==\"{value}\"].BrokerAddress");
        assert_eq!(controller.get(&[&guess("secret")]).await.unwrap(), []);
        assert_eq!(controller.get(&[&guess("")]).await.unwrap().len(), 1, "as empty as it reads");
    });
}

#[test]
fn a_value_cannot_bring_settings_of_its_own() {
    Scene::play(|mut scene| async move {
        let mut controller = connected(&mut scene).await;
        let refused = controller.set("Device.WiFi.SSID.1.", &[("SSID", "a\nwpa=0")]).await;
        assert!(matches!(refused, Err(Trouble::Refused(error)) if error.err_code == 7012 || error.err_code == 7021));
        assert!(!scene.router.config("wireless").unwrap().contains("wpa=0"));
    });
}

#[test]
fn a_ping_runs_beside_other_requests_and_reports() {
    Scene::play(|mut scene| async move {
        let mut controller = connected(&mut scene).await;
        subscribe(&mut controller, "done", "OperationComplete", "Device.IP.Diagnostics.IPPing()").await;
        let input = [
            ("Host", "127.0.0.1"),
            ("ProtocolVersion", "IPv4"),
            ("NumberOfRepetitions", "3"),
            ("Timeout", "1000"),
            ("DataBlockSize", "32"),
        ];
        let started = controller.operate("Device.IP.Diagnostics.IPPing()", "key", &input).await.unwrap();
        assert!(matches!(started, Operated::Request(path) if path.starts_with("Device.LocalAgent.Request.")));
        let notify = controller.notification(SOON, |notify| notify.subscription_id == "done").await.unwrap();
        let Some(Notification::OperComplete(done)) = notify.notification else { panic!("{notify:?}") };
        let Some(OperationResp::ReqOutputArgs(output)) = done.operation_resp else { panic!("{done:?}") };
        assert_eq!((done.command_key.as_str(), output.output_args["SuccessCount"].as_str()), ("key", "3"));
    });
}

#[test]
fn over_a_broker_in_both_versions() {
    for (version, number) in [(Version::V5, "5.0"), (Version::V311, "3.1.1")] {
        Scene::play(|mut scene| async move {
            let Some(broker) = Mosquitto::start(|_| "allow_anonymous true".into()) else { return };
            let config = controller_section(&format!("mqtt://127.0.0.1:{}/usp/controller", broker.port));
            let mut controller = Controller::at_broker(&own_id(), broker.port, version, "usp/controller", "usp/agent");
            // The agent says that it is there once: whoever is not at the broker by then misses it.
            while !controller.is_connected().await {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            scene.start(&format!(
                "{config}\toption ProtocolVersion '{number}'\n\toption ResponseTopicConfigured 'usp/agent'\n"
            ));
            controller.agent(SOON).await.unwrap();
            assert_eq!(controller.value("Device.DeviceInfo.ModelName").await.unwrap(), "Demo Router");
            assert_eq!(controller.value("Device.MQTT.Client.1.Status").await.unwrap(), "Connected");
            scene.signal(Signal::TERM);
            assert!(scene.ended().await.success());
            controller.is_connected().await;
            assert_eq!(controller.goodbyes(), 1, "MQTT {number}");
        });
    }
}

#[test]
fn a_controller_that_comes_to_the_agent_is_notified_at_once() {
    Scene::play(|mut scene| async move {
        let port = free_port();
        let section = controller_section(&format!("listen ws://127.0.0.1:{port}/usp"));
        let boot = "config subscription 's'\n option controller test\n option ID boot\n option NotifType Event\n option Persistent 1\n list ReferenceList 'Device.Boot!'\n";
        scene.start(&format!("{section}\n{boot}"));
        let mut controller = Controller::to_agent(&own_id(), &EndpointId::parse(AGENT).unwrap(), port);
        let boot = controller.notification(SOON, |notify| notify.subscription_id == "boot").await.unwrap();
        assert!(matches!(boot.notification, Some(Notification::Event(event)) if event.event_name == "Boot!"));
        assert_eq!(controller.value(HOST_NAME).await.unwrap(), "OpenWrt");
        assert_eq!(controller.value("Device.LocalAgent.MTP.1.Status").await.unwrap(), "Up");
    });
}

#[test]
fn with_tls_a_controller_has_its_role() {
    Scene::play(|mut scene| async move {
        let authority = Authority::new("test");
        let asked = |names, id| Asked { names, endpoint_id: Some(id), ..Asked::default() };
        let theirs = authority.issue(asked(&["localhost"], CONTROLLER));
        let ours = authority.issue(asked(&[], AGENT));
        let port = free_port();
        let tls = ServerTls {
            identity: Identity { certificate: theirs.certificate, key: theirs.key },
            clients: Some(Trust::File(authority.file.clone())),
            versions: Versions::default(),
            keyring: Keyring::default(),
            clock: Clock::default(),
        };
        let mut controller = Controller::at(&own_id(), SocketAddr::from((Ipv4Addr::LOCALHOST, port)), Some(tls));
        let files = [("ca_file", &authority.file), ("certificate", &ours.certificate), ("key", &ours.key)];
        let files: String =
            files.iter().map(|(option, file)| format!("\toption {option} '{}'\n", file.display())).collect();
        let section = controller_section(&format!("wss://localhost:{port}/usp"));
        scene.start(&format!("{}{files}", section.replace("\toption AllowUnencrypted '1'\n", "")));
        controller.agent(SOON).await.unwrap();
        controller.set("Device.DeviceInfo.", &[("HostName", "castle")]).await.unwrap();
    });
}

#[test]
fn a_reboot_is_answered_first_and_told_afterwards() {
    Scene::play(|mut scene| async move {
        let mut controller = connected(&mut scene).await;
        subscribe(&mut controller, "boot", "Event", "Device.Boot!").await;
        let done = controller.operate("Device.Reboot()", "why", &[]).await.unwrap();
        assert!(matches!(done, Operated::Output(_)));
        let until = Instant::now() + SOON;
        while scene.router.reboots() == 0 {
            assert!(Instant::now() < until, "{}", scene.log());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        scene.signal(Signal::TERM);
        assert!(scene.ended().await.success());
        scene.start_again();
        let boot = controller.notification(SOON, |notify| notify.subscription_id == "boot").await.unwrap();
        let Some(Notification::Event(event)) = boot.notification else { panic!("{boot:?}") };
        let param = |name: &str| event.params.get(name).map(String::as_str);
        assert_eq!((param("Cause"), param("CommandKey")), (Some("RemoteReboot"), Some("why")));
        assert_eq!(scene.router.reboots(), 1);
    });
}

#[test]
fn a_place_to_listen_can_move_and_come_back() {
    Scene::play(|mut scene| async move {
        let port = free_port();
        let section = |path: &str| controller_section(&format!("listen ws://127.0.0.1:{port}{path}"));
        scene.start(&section("/elsewhere"));
        // A guest that answers no goodbye keeps the first link busy for a while.
        let _guest = silent_guest(&scene, port).await;
        scene.router.write_config("usp-agent", &section("/usp")).unwrap();
        let mut controller = Controller::to_agent(&own_id(), &EndpointId::parse(AGENT).unwrap(), port);
        assert_eq!(controller.value(HOST_NAME).await.unwrap(), "OpenWrt");
        assert!(!scene.log().contains("cannot listen"), "{}", scene.log());
    });
}

/// A WebSocket that is opened and then left alone.
async fn silent_guest(scene: &Scene, port: u16) -> TcpStream {
    scene.until_logged("action=start").await;
    let until = Instant::now() + SOON;
    let mut guest = loop {
        match TcpStream::connect((Ipv4Addr::LOCALHOST, port)) {
            Ok(guest) => break guest,
            Err(error) => assert!(Instant::now() < until, "{error}"),
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    };
    let request = "GET /elsewhere?eid=self::guest HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                   Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: v1.usp\r\n\r\n";
    guest.write_all(request.as_bytes()).unwrap();
    scene.until_logged("event=connected").await;
    guest
}

#[test]
fn a_configuration_that_cannot_be_read_changes_nothing() {
    Scene::play(|mut scene| async move {
        let mut controller = connected(&mut scene).await;
        scene.router.write_config("usp-agent", "config controller 'test\n").unwrap();
        scene.until_logged("links stay as they are until that is repaired").await;
        assert_eq!(controller.value(HOST_NAME).await.unwrap(), "OpenWrt");
        assert_eq!(controller.sessions(), 1);
    });
}

/// A router that idles must let its processor sleep.
#[test]
fn an_idle_agent_does_not_wake_up() {
    Scene::play(|mut scene| async move {
        let mut controller = connected(&mut scene).await;
        subscribe(&mut controller, "name", "ValueChange", HOST_NAME).await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        let pid = scene.agent.as_ref().unwrap().id();
        let number = |name: &str| {
            let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
            let line = status.lines().find(|line| line.starts_with(name)).unwrap().to_owned();
            line.split_whitespace().last().unwrap().parse::<u32>().unwrap()
        };
        let before = number("voluntary_ctxt_switches");
        tokio::time::sleep(Duration::from_secs(3)).await;
        let woken = number("voluntary_ctxt_switches") - before;
        assert!(woken <= 2, "woke up {woken} times in 3 s\n{}", scene.log());
        // Nothing has a thread of its own, a name that is looked up (localhost) neither.
        let section =
            "\nconfig controller 'named'\n\toption EndpointID 'self::named'\n\toption url 'ws://localhost:9/usp'\n";
        let config = scene.router.config("usp-agent").unwrap();
        scene.router.write_config("usp-agent", &format!("{config}{section}")).unwrap();
        scene.until_logged("event=lost class=refused").await;
        assert_eq!(number("Threads:"), 1);
    });
}
