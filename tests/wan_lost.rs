//! A Set takes the WAN away, on a real network: the agent in one namespace, its controller in another, a veth between
//! them that follows `/etc/config/network` as netifd would have it. The old file is back, the link is up again, the
//! controller hears of it; also with the agent killed at any of six points.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "support/certificates.rs"]
mod certificates;
#[path = "support/mosquitto.rs"]
mod mosquitto;
#[path = "support/namespaces.rs"]
mod namespaces;
#[path = "support/scene.rs"]
mod scene;

use mosquitto::Mosquitto;
use namespaces::{Namespace, apart, ip};
use rustix::process::Signal;
use scene::{SOON, Scene};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::rc::Rc;
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout};
use usp_agent::backend::uci::{Package, parse};
use usp_agent::demo::controller::Controller;
use usp_agent::mtp::mqtt::Version;
use usp_agent::usp::endpoint_id::EndpointId;
use usp_agent::usp::wire::msg::Notify;
use usp_agent::usp::wire::msg::notify::Notification;

const CONTROLLER: &str = "self::test";
/// Where the controller is: behind the gateway, so that the route counts too.
const FAR: &str = "203.0.113.1";
/// The WAN before anything happens; the comment is part of the file that has to come back.
const WAN: &str = "# by hand\nconfig interface 'wan'\n\toption device 'wan'\n\toption proto 'static'\n
\toption ipaddr '198.51.100.2/24'\n\toption gateway '198.51.100.1'\n";
const WAS_DHCP: &str = "config interface 'wan'\n\toption device 'wan'\n\toption proto 'dhcp'\n";
/// Seconds until a change is undone: the shortest there are.
const WINDOW: u32 = 10;
/// Longer than a change, its undoing and a start in between take.
const BACK: Duration = Duration::from_secs(20);
/// From `config.change` to the reload; procd takes a second.
const PROCD: Duration = Duration::from_millis(300);

/// The router and what is on the other side of its WAN.
struct Net {
    scene: Scene,
    router: Rc<Namespace>,
    controller: Controller,
    /// Answers whoever connects: the WAN is up.
    beacon: TcpListener,
    _broker: Option<Mosquitto>,
    before: String,
}

/// What the WAN is to be: its address, if it is up, and its gateway.
fn wanted(network: &Package) -> Option<(String, String)> {
    let wan = network.section("wan")?;
    let up = wan.text("proto") == Some("static") && wan.text("disabled") != Some("1");
    up.then(|| (wan.text("ipaddr").unwrap().to_owned(), wan.text("gateway").unwrap_or_default().to_owned()))
}

/// netifd's part, as far as the WAN goes: an interface whose configuration is another is taken down and set up anew.
async fn netifd(router: Rc<Namespace>, file: std::path::PathBuf, reloads: impl Fn() -> usize) {
    let (mut seen, mut running) = (0, None);
    let read = || wanted(&parse::parse("network", &std::fs::read(&file).unwrap()).unwrap());
    let mut first = true;
    loop {
        if first || reloads() > seen {
            if !std::mem::take(&mut first) {
                sleep(PROCD).await;
            }
            seen = reloads();
            let now = read();
            if now != running {
                router.ip("addr flush dev wan");
                router.ip("link set wan down");
                if let Some((address, gateway)) = &now {
                    router.ip("link set wan up");
                    router.ip(&format!("addr add {address} dev wan"));
                    // Refused where the gateway is not behind this address, as netifd meets it.
                    router.ip(&format!("route add default via {gateway}"));
                }
                running = now;
            }
        }
        sleep(Duration::from_millis(20)).await;
    }
}

impl Net {
    /// Everything up, the agent connected and subscribed.
    async fn up(mut scene: Scene, window: u32, over_mqtt: bool) -> Self {
        let router = Rc::new(Namespace::new());
        ip("link set lo up");
        ip(&format!("addr add {FAR}/32 dev lo"));
        ip(&format!("link add isp type veth peer name wan netns {}", router.holder()));
        ip("addr add 198.51.100.1/24 dev isp");
        ip("link set isp up");
        let network = scene.router.config("network").unwrap();
        assert!(network.contains(WAS_DHCP));
        let before = network.replace(WAS_DHCP, WAN);
        scene.router.write_config("network", &before).unwrap();
        let reloads = scene.router.applied_of("network");
        tokio::task::spawn_local(netifd(router.clone(), scene.router.config_dir().join("network"), reloads));
        scene.before = router.words();
        let own_id = EndpointId::parse(CONTROLLER).unwrap();
        let beacon = TcpListener::bind((FAR, 0)).unwrap();
        let (controller, broker, way) = if over_mqtt { at_broker(&own_id) } else { at_websocket(&own_id) };
        let mut net = Self { scene, router, controller, beacon, _broker: broker, before };
        net.until_reachable(true).await;
        net.scene.start(&format!(
            "config localagent\n\toption EndpointID 'self::agent'\n\toption ConfirmWindow '{window}'\n
config controller 'test'\n\toption EndpointID '{CONTROLLER}'\n\toption AllowUnencrypted '1'\n\tlist role 'full'\n{way}"
        ));
        net.controller.agent(SOON).await.unwrap();
        let settings = [
            ("Enable", "true"),
            ("ID", "reverted"),
            ("NotifType", "Event"),
            ("ReferenceList", "Device.LocalAgent.X_USPAGENT_ChangeReverted!"),
            ("NotifRetry", "true"),
            ("Persistent", "true"),
        ];
        net.controller.add("Device.LocalAgent.Subscription.", &settings).await.unwrap();
        net
    }

    fn reachable(&self) -> bool {
        self.router.reaches(FAR, self.beacon.local_addr().unwrap().port())
    }

    async fn until_reachable(&self, wanted: bool) {
        let until = Instant::now() + SOON;
        while self.reachable() != wanted {
            assert!(Instant::now() < until, "the WAN is not as wanted: up={wanted}");
            sleep(Duration::from_millis(20)).await;
        }
    }

    fn network(&self) -> String {
        self.scene.router.config("network").unwrap()
    }

    /// How often netifd was told of a new configuration.
    fn reloads(&self) -> usize {
        self.scene.router.applied_of("network")()
    }

    fn undo_exists(&self) -> bool {
        self.scene.router.state_dir().join("uci-undo").exists()
    }

    async fn set_wrong_address(&mut self) {
        let address = [("IPAddress", "192.0.2.77")];
        // Where the agent dies of it there is no answer.
        let asked = self.controller.set("Device.IP.Interface.3.IPv4Address.1.", &address);
        let _ = timeout(Duration::from_millis(700), asked).await;
    }

    async fn told(&mut self) -> Notify {
        self.controller.notification(BACK, |notify| notify.subscription_id == "reverted").await.unwrap()
    }

    /// The controller is told nothing.
    async fn is_silent(&mut self) {
        let told = self.controller.notification(Duration::from_millis(500), |n| n.subscription_id == "reverted").await;
        assert!(told.is_err(), "{told:?}");
    }

    /// The old file is back, the WAN is up, the controller was told and reaches the agent.
    async fn is_back(&mut self, changes: &str) {
        let told = self.told().await;
        let Some(Notification::Event(event)) = told.notification else { panic!("{told:?}") };
        assert_eq!(event.event_name, "X_USPAGENT_ChangeReverted!");
        assert_eq!((&*event.params["Packages"], &*event.params["Changes"]), ("network", changes));
        assert!(self.reachable());
        assert_eq!(self.network(), self.before);
        assert!(!self.undo_exists());
        let address = self.controller.value("Device.IP.Interface.3.IPv4Address.1.IPAddress").await.unwrap();
        assert_eq!(address, "198.51.100.2");
    }

    /// From now on the agent dies as soon as it is about to make this system call.
    async fn dies_before(&self, call: &str, nth: u32, path: Option<&Path>) -> Tracer {
        let agent = self.scene.agent.as_ref().unwrap().id();
        let mut strace = Command::new("strace");
        strace.args(["-f", "-qq", "-o", "/dev/null", "-p", &agent.to_string()]);
        strace.args(["-e", &format!("trace={call}"), "-e", &format!("inject={call}:signal=KILL:when={nth}")]);
        if let Some(path) = path {
            strace.arg("-P").arg(path);
        }
        let tracer = Tracer(strace.stdout(Stdio::null()).spawn().expect("tests/run installs strace"));
        let until = Instant::now() + SOON;
        let status = format!("/proc/{agent}/status");
        while std::fs::read_to_string(&status).unwrap().contains("TracerPid:\t0\n") {
            assert!(Instant::now() < until, "strace does not attach");
            sleep(Duration::from_millis(5)).await;
        }
        tracer
    }

    async fn killed(&mut self) {
        assert_eq!(self.scene.ended().await.signal(), Some(9));
    }
}

/// strace, gone with this.
struct Tracer(Child);

impl Drop for Tracer {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn link(host: &str, port: u16, more: &str) -> String {
    format!(
        "config controller_mtp 'way'\n\toption controller 'test'\n\toption EnableEncryption '0'\n{more}
\toption Host '{host}'\n\toption Port '{port}'\n\toption SessionRetryMinimumWaitInterval '1'\n"
    )
}

fn at_websocket(own_id: &EndpointId) -> (Controller, Option<Mosquitto>, String) {
    let free = free_port();
    let controller = Controller::at(own_id, free, None);
    (
        controller,
        None,
        link(FAR, free.port(), "\toption Protocol 'WebSocket'\n\toption Path '/usp'\n\toption KeepAliveInterval '2'\n"),
    )
}

fn at_broker(own_id: &EndpointId) -> (Controller, Option<Mosquitto>, String) {
    let far = free_port();
    let broker =
        Mosquitto::start(|_| format!("allow_anonymous true\nlistener {} {FAR}\nallow_anonymous true", far.port()));
    let broker = broker.unwrap();
    let controller = Controller::at_broker(own_id, broker.port, Version::V5, "controller", "agent");
    let way = format!(
        "config mqtt 'broker'\n\toption BrokerAddress '{FAR}'\n\toption BrokerPort '{}'\n\toption ProtocolVersion '5.0'\n
\toption TransportProtocol 'TCP/IP'\n\toption ConnectRetryTime '1'\n
config mtp 'own'\n\toption Protocol 'MQTT'\n\toption mqtt 'broker'\n\toption ResponseTopicConfigured 'agent'\n
config controller_mtp 'way'\n\toption controller 'test'\n\toption Protocol 'MQTT'\n\toption mqtt 'broker'\n
\toption Topic 'controller'\n",
        far.port()
    );
    (controller, Some(broker), way)
}

fn free_port() -> SocketAddr {
    TcpListener::bind((FAR, 0)).unwrap().local_addr().unwrap()
}

/// Plays in namespaces of its own.
fn play<F: Future<Output = ()>>(name: &str, window: u32, over_mqtt: bool, test: impl FnOnce(Net) -> F) {
    apart(name, || Scene::play(|scene| async { test(Net::up(scene, window, over_mqtt).await).await }));
}

const WRONG_ADDRESS: &str = "network.wan.ipaddr: 192.0.2.77/24 -> 198.51.100.2/24";

#[test]
fn a_wrong_address_is_undone() {
    play("a_wrong_address_is_undone", WINDOW, false, |mut net| async move {
        net.set_wrong_address().await;
        net.until_reachable(false).await;
        assert!(net.network() != net.before && net.undo_exists());
        net.is_back(WRONG_ADDRESS).await;
    });
}

#[test]
fn a_wan_disabled_over_mqtt_is_up_again() {
    if mosquitto::installed().is_none() {
        return;
    }
    play("a_wan_disabled_over_mqtt_is_up_again", WINDOW, true, |mut net| async move {
        net.controller.set("Device.IP.Interface.3.", &[("Enable", "false")]).await.unwrap();
        net.until_reachable(false).await;
        net.is_back("network.wan.disabled: 1 -> -").await;
    });
}

#[test]
fn an_address_that_keeps_the_way_stands() {
    play("an_address_that_keeps_the_way_stands", 20, false, |mut net| async move {
        net.controller.set("Device.IP.Interface.3.IPv4Address.1.", &[("IPAddress", "198.51.100.7")]).await.unwrap();
        assert!(net.undo_exists());
        net.scene.until_logged("event=change_confirmed").await;
        assert!(!net.undo_exists() && net.reachable());
        assert!(net.network().contains("198.51.100.7/24"));
        // It takes the new connection for the one to ask on.
        assert!(net.controller.is_connected().await);
        let address = net.controller.value("Device.IP.Interface.3.IPv4Address.1.IPAddress").await.unwrap();
        assert_eq!(address, "198.51.100.7");
    });
}

#[test]
fn killed_before_the_first_rename() {
    play("killed_before_the_first_rename", WINDOW, false, |mut net| async move {
        // The first puts aside what was before.
        let _tracer = net.dies_before("rename", 2, None).await;
        net.set_wrong_address().await;
        net.killed().await;
        assert!(net.undo_exists() && net.network() == net.before);
        net.scene.start_again();
        net.scene.until_logged("connected").await;
        let address = net.controller.value("Device.IP.Interface.3.IPv4Address.1.IPAddress").await.unwrap();
        assert_eq!(address, "198.51.100.2");
        assert!(net.reachable() && !net.undo_exists() && net.network() == net.before);
        // Nothing was changed, so there is nothing to tell.
        net.is_silent().await;
    });
}

#[test]
fn killed_between_rename_and_reload() {
    // Long enough that a WAN which is still up, because nobody told netifd, would confirm the change.
    play("killed_between_rename_and_reload", WINDOW, false, |mut net| async move {
        let config = net.scene.router.config_dir();
        let _tracer = net.dies_before("fsync", 1, Some(&config)).await;
        net.set_wrong_address().await;
        net.killed().await;
        assert!(net.undo_exists() && net.network() != net.before && net.reloads() == 0);
        net.scene.start_again();
        net.until_reachable(false).await;
        net.is_back(WRONG_ADDRESS).await;
    });
}

#[test]
fn killed_while_the_change_is_on_trial() {
    play("killed_while_the_change_is_on_trial", WINDOW, false, |mut net| async move {
        net.set_wrong_address().await;
        net.until_reachable(false).await;
        net.scene.signal(Signal::KILL);
        net.killed().await;
        assert!(net.undo_exists() && net.network() != net.before && net.reloads() == 1);
        net.scene.start_again();
        net.is_back(WRONG_ADDRESS).await;
    });
}

#[test]
fn killed_while_undoing() {
    play("killed_while_undoing", WINDOW, false, |mut net| async move {
        let config = net.scene.router.config_dir();
        // The first is that of the change.
        let _tracer = net.dies_before("fsync", 2, Some(&config)).await;
        net.set_wrong_address().await;
        net.until_reachable(false).await;
        net.killed().await;
        // The file is as it was, and nobody knows.
        assert!(net.undo_exists() && net.network() == net.before && net.reloads() == 1);
        assert!(!net.reachable());
        net.scene.start_again();
        net.is_back(WRONG_ADDRESS).await;
    });
}

#[test]
fn killed_after_the_undoing_before_the_event() {
    play("killed_after_the_undoing_before_the_event", WINDOW, false, |mut net| async move {
        // What was before, the change, the number of the address, the trial, the undoing; then the event is kept.
        let _tracer = net.dies_before("rename", 6, None).await;
        net.set_wrong_address().await;
        net.until_reachable(false).await;
        net.killed().await;
        assert!(net.undo_exists() && net.network() == net.before && net.reloads() == 2);
        net.is_silent().await;
        net.scene.start_again();
        net.is_back(WRONG_ADDRESS).await;
    });
}

#[test]
fn killed_after_the_event_is_kept_before_the_trial_is_forgotten() {
    let name = "killed_after_the_event_is_kept_before_the_trial_is_forgotten";
    play(name, WINDOW, false, |mut net| async move {
        let undo = net.scene.router.state_dir().join("uci-undo");
        let _tracer = net.dies_before("unlink", 1, Some(&undo)).await;
        net.set_wrong_address().await;
        net.until_reachable(false).await;
        net.killed().await;
        assert!(net.undo_exists() && net.network() == net.before && net.reloads() == 2);
        net.scene.start_again();
        // It is told twice, and says that it is the same.
        let trial = |told: Notify| match told.notification {
            Some(Notification::Event(mut event)) => event.params.remove("Trial").unwrap(),
            told => panic!("{told:?}"),
        };
        let (first, second) = (trial(net.told().await), trial(net.told().await));
        assert!(first == second && first.len() == 16, "{first} {second}");
        net.is_silent().await;
        assert!(!net.undo_exists() && net.reachable());
    });
}

#[test]
fn killed_before_the_event_is_sent() {
    play("killed_before_the_event_is_sent", WINDOW, false, |mut net| async move {
        let trial = net.scene.router.state_dir().join("trial.state");
        let _tracer = net.dies_before("unlink", 1, Some(&trial)).await;
        net.set_wrong_address().await;
        net.until_reachable(false).await;
        net.killed().await;
        assert!(!net.undo_exists() && net.network() == net.before && net.reloads() == 2);
        net.is_silent().await;
        net.scene.start_again();
        net.is_back(WRONG_ADDRESS).await;
        net.is_silent().await;
    });
}
