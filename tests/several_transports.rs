//! The real program with UNIX sockets, and with several transports to one controller at a time.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "support/certificates.rs"]
mod certificates;
#[path = "support/mosquitto.rs"]
mod mosquitto;
#[path = "support/scene.rs"]
mod scene;

use mosquitto::Mosquitto;
use rustix::process::Signal;
use scene::{SOON, Scene};
use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};
use usp_agent::demo::controller::{Controller, Trouble};
use usp_agent::mtp::mqtt::Version;
use usp_agent::usp::endpoint_id::EndpointId;
use usp_agent::usp::wire::msg::notify::Notification;

const CONTROLLER: &str = "self::test";
const HOST_NAME: &str = "Device.DeviceInfo.HostName";

fn own_id() -> EndpointId {
    EndpointId::parse(CONTROLLER).unwrap()
}

/// Without `AllowUnencrypted`: a UNIX socket needs none.
fn controller_section(url: &str) -> String {
    format!("config controller 'test'\n\toption url '{url}'\n\toption EndpointID '{CONTROLLER}'\n\tlist role 'full'\n")
}

fn socket(scene: &Scene) -> String {
    scene.router.state_dir().with_extension("sock").to_str().unwrap().to_owned()
}

const BOOT: &str = "config subscription 's'\n option controller test\n option ID boot\n option NotifType Event\n option Persistent 1\n list ReferenceList 'Device.Boot!'\n";

async fn uses_the_agent(controller: &mut Controller) {
    controller.set("Device.DeviceInfo.", &[("HostName", "castle")]).await.unwrap();
    assert_eq!(controller.value(HOST_NAME).await.unwrap(), "castle");
    assert_eq!(controller.value("Device.LocalAgent.MTP.1.Protocol").await.unwrap(), "UDS");
    assert_eq!(controller.value("Device.LocalAgent.MTP.1.Status").await.unwrap(), "Up");
    let socket = controller.value("Device.LocalAgent.MTP.1.UDS.UnixDomainSocketRef").await.unwrap();
    assert_eq!(socket, "Device.UnixDomainSockets.UnixDomainSocket.1");
    assert!(controller.value("Device.LocalAgent.SupportedProtocols").await.unwrap().contains("UDS"));
}

async fn boot(controller: &mut Controller) {
    let boot = controller.notification(SOON, |notify| notify.subscription_id == "boot").await.unwrap();
    assert!(matches!(boot.notification, Some(Notification::Event(event)) if event.event_name == "Boot!"));
}

#[test]
fn the_agent_connects_to_a_unix_socket_and_has_its_role_there() {
    Scene::play(|mut scene| async move {
        let path = socket(&scene);
        let mut controller = Controller::at_socket(&own_id(), &path);
        scene.start(&format!("{}\n{BOOT}", controller_section(&format!("unix://{path}"))));
        boot(&mut controller).await;
        uses_the_agent(&mut controller).await;
        assert_eq!(controller.value("Device.UnixDomainSockets.UnixDomainSocket.1.Mode").await.unwrap(), "Connect");
        assert_eq!(controller.value("Device.UnixDomainSockets.UnixDomainSocket.1.Path").await.unwrap(), path);
        controller.shut_down().await;
        let mut again = Controller::at_socket(&own_id(), &path);
        assert_eq!(again.value(HOST_NAME).await.unwrap(), "castle");
        scene.signal(Signal::TERM);
        assert!(scene.ended().await.success());
        again.is_connected().await;
        assert_eq!(again.goodbyes(), 1);
    });
}

#[test]
fn the_agent_listens_at_a_unix_socket() {
    Scene::play(|mut scene| async move {
        let path = socket(&scene);
        scene.start(&format!("{}\n{BOOT}", controller_section(&format!("listen unix://{path}"))));
        scene.until_logged("action=start").await;
        let mut controller = Controller::to_socket(&own_id(), &path);
        boot(&mut controller).await;
        uses_the_agent(&mut controller).await;
        // Who is no configured controller connects, and is not heard.
        let mut stranger = Controller::to_socket(&EndpointId::parse("self::stranger").unwrap(), &path);
        stranger.agent(SOON).await.unwrap();
        let unheard = tokio::time::timeout(Duration::from_millis(100), stranger.value(HOST_NAME)).await;
        assert!(unheard.is_err(), "{unheard:?}");
        scene.until_logged("controller=self::stranger is unknown").await;
        assert_eq!(controller.value(HOST_NAME).await.unwrap(), "castle");
        scene.signal(Signal::TERM);
        let begun = Instant::now();
        assert!(scene.ended().await.success());
        assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
        assert!(!std::path::Path::new(&path).exists());
    });
}

#[test]
fn the_state_of_a_socket_is_seen_from_elsewhere() {
    Scene::play(|mut scene| async move {
        let (mut controller, port) = Controller::on_websocket(&own_id()).unwrap();
        let (path, inner_id) = (socket(&scene), EndpointId::parse("self::inner").unwrap());
        let config = |url: &str| {
            let seen = controller_section(&format!("ws://127.0.0.1:{port}/usp"));
            format!(
                "{seen}\toption AllowUnencrypted '1'\n\nconfig controller 'inner'\n option url '{url}'\n option EndpointID '{inner_id}'\n"
            )
        };
        scene.start(&config(&format!("unix://{path}")));
        scene.until_logged("event=lost").await;
        until_status(&mut controller, "Down").await;
        let mut inner = Controller::at_socket(&inner_id, &path);
        inner.agent(SOON).await.unwrap();
        until_status(&mut controller, "Up").await;
        inner.shut_down().await;
        until_status(&mut controller, "Down").await;
        std::fs::write(&path, "no socket").unwrap();
        scene.router.write_config("usp-agent", &config(&format!("listen unix://{path}"))).unwrap();
        until_status(&mut controller, "Error").await;
        std::fs::remove_file(&path).unwrap();
        scene.router.set_interface("wan", false);
        scene.router.set_interface("wan", true);
        until_status(&mut controller, "Up").await;
        let mut inner = Controller::to_socket(&inner_id, &path);
        inner.agent(SOON).await.unwrap();
    });
}

async fn until_status(controller: &mut Controller, expected: &str) {
    let until = Instant::now() + SOON;
    loop {
        let status = controller.value("Device.LocalAgent.MTP.1.Status").await.unwrap();
        if status == expected {
            return;
        }
        assert!(Instant::now() < until, "{status}, not {expected}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// The ways to one controller, each with a `Controller` of its own at its end.
struct Ways {
    websocket: Controller,
    mqtt: Controller,
    unix: Controller,
    names: u32,
}

/// WebSocket, MQTT and a UNIX socket with these orders.
fn three_ways(scene: &Scene, port: u16, broker: u16, orders: [u32; 3]) -> String {
    let [websocket, mqtt, unix] = orders;
    let path = socket(scene);
    format!(
        "config controller 'test'\n option EndpointID '{CONTROLLER}'\n option AllowUnencrypted 1\n list role full\n
config controller_mtp 'w'\n option controller test\n option Protocol WebSocket\n option Order {websocket}\n option Host 127.0.0.1
 option Port {port}\n option Path /usp\n option EnableEncryption 0\n option SessionRetryMinimumWaitInterval 1
 option SessionRetryIntervalMultiplier 1000\n
config mqtt 'broker'\n option BrokerAddress 127.0.0.1\n option BrokerPort {broker}\n
config mtp 'own'\n option Protocol MQTT\n option mqtt broker\n option ResponseTopicConfigured usp/agent\n
config controller_mtp 'm'\n option controller test\n option Protocol MQTT\n option Order {mqtt}\n option Topic usp/controller\n
config unix_socket 'here'\n option Mode Connect\n option Path '{path}'\n
config controller_mtp 'u'\n option controller test\n option Protocol UDS\n option Order {unix}\n option unix_socket here\n
config subscription 'n'\n option controller test\n option ID name\n option NotifType ValueChange\n option Persistent 1
 option NotifRetry 1\n list ReferenceList {HOST_NAME}\n
{BOOT}"
    )
}

impl Ways {
    /// The router gets another name; the value, which `first` is told.
    async fn rename(&mut self, scene: &Scene) -> String {
        self.names += 1;
        let name = format!("name-{}", self.names);
        let old = scene.router.config("system").unwrap();
        let line = old.lines().find(|line| line.contains("hostname")).unwrap();
        scene.router.write_config("system", &old.replace(line, &format!("\toption hostname '{name}'"))).unwrap();
        name
    }

    /// On which of the three the change arrives; the others are listened to for a while.
    async fn told(&mut self, name: &str) -> Vec<&'static str> {
        let ends = [("websocket", &mut self.websocket), ("mqtt", &mut self.mqtt), ("unix", &mut self.unix)];
        let mut told = Vec::new();
        for (way, end) in ends {
            let patience = Duration::from_millis(if told.is_empty() { 1500 } else { 300 });
            if has_heard(end, name, patience).await {
                told.push(way);
            }
        }
        told
    }
}

async fn has_heard(end: &mut Controller, name: &str, patience: Duration) -> bool {
    let is_it = |notify: &usp_agent::usp::wire::msg::Notify| match &notify.notification {
        Some(Notification::ValueChange(change)) => change.param_value == name,
        _ => false,
    };
    match end.notification(patience, is_it).await {
        Ok(_) => true,
        Err(trouble) => {
            assert_eq!(trouble, Trouble::Silence);
            false
        }
    }
}

#[test]
fn a_way_that_fails_at_the_start_is_not_waited_for() {
    Scene::play(|mut scene| async move {
        let closed = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
        let mut unix = Controller::at_socket(&own_id(), &socket(&scene));
        let begun = Instant::now();
        scene.start(&three_ways(&scene, closed, closed, [1, 2, 3]));
        boot(&mut unix).await;
        assert!(begun.elapsed() < Duration::from_secs(8), "{:?}", begun.elapsed());
    });
}

#[test]
fn the_next_way_takes_over_when_one_is_lost_and_the_better_one_when_it_is_back() {
    Scene::play(|mut scene| async move {
        let Some(broker) = Mosquitto::start(|_| "allow_anonymous true".into()) else { return };
        let (websocket, port) = Controller::on_websocket(&own_id()).unwrap();
        let mut mqtt = Controller::at_broker(&own_id(), broker.port, Version::V5, "usp/controller", "usp/agent");
        while !mqtt.is_connected().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let unix = Controller::at_socket(&own_id(), &socket(&scene));
        let mut ways = Ways { websocket, mqtt, unix, names: 0 };
        let broker_port = broker.port;
        scene.start(&three_ways(&scene, port, broker_port, [1, 2, 3]));
        for end in [&mut ways.websocket, &mut ways.mqtt, &mut ways.unix] {
            end.agent(SOON).await.unwrap();
        }
        boot(&mut ways.websocket).await;
        assert_eq!(ways.mqtt.value(HOST_NAME).await.unwrap(), "OpenWrt", "an answer goes back where it was asked");

        let name = ways.rename(&scene).await;
        assert_eq!(ways.told(&name).await, ["websocket"]);

        ways.websocket.shut_down().await;
        scene.until_logged("section=w event=lost").await;
        let name = ways.rename(&scene).await;
        assert_eq!(ways.told(&name).await, ["mqtt"]);

        drop(broker);
        scene.until_logged("section=broker event=lost").await;
        let name = ways.rename(&scene).await;
        assert_eq!(ways.told(&name).await, ["unix"]);

        ways.websocket = Controller::at(&own_id(), SocketAddr::from((Ipv4Addr::LOCALHOST, port)), None);
        ways.websocket.agent(SOON).await.unwrap();
        let name = ways.rename(&scene).await;
        assert_eq!(ways.told(&name).await, ["websocket"]);

        // Equal orders carry the same notification; an answer on one of them settles it.
        scene.router.write_config("usp-agent", &three_ways(&scene, port, broker_port, [1, 2, 1])).unwrap();
        scene.signal(Signal::HUP);
        scene.until_logged("event=reload").await;
        ways.unix.value(HOST_NAME).await.unwrap();
        let name = ways.rename(&scene).await;
        assert_eq!(ways.told(&name).await, ["websocket", "unix"]);
        assert_eq!((ways.unix.sessions(), ways.websocket.sessions()), (1, 1), "another Order is no new connection");
    });
}
