//! The test equipment of one case: a router of its own with the agent on it, and one or two testers.
//!
//! What the agent knows of the testers stands in its configuration file and nowhere else.

use std::fs::File;
use std::net::{Ipv4Addr, TcpListener};
use std::ops::{Deref, DerefMut};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::rc::Rc;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tokio::sync::Semaphore;
use usp_agent::demo::router::Router;
use usp_agent::mtp::mqtt::Version;

use crate::cases::Case;
use crate::mosquitto::Mosquitto;
use crate::secure::{Credential, Secure};
use crate::tester::{PATIENCE, Tester};

/// How the testers and the agent meet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Transport {
    /// The agent connects to the controller's WebSocket.
    WebSocketClient,
    /// The controller connects to the agent's WebSocket.
    WebSocketServer,
    Mqtt5,
    Mqtt311,
}

impl Transport {
    pub const ALL: [Self; 4] = [Self::WebSocketClient, Self::WebSocketServer, Self::Mqtt5, Self::Mqtt311];

    pub fn name(self) -> &'static str {
        match self {
            Self::WebSocketClient => "WebSocket, agent as client",
            Self::WebSocketServer => "WebSocket, agent as server",
            Self::Mqtt5 => "MQTT 5.0",
            Self::Mqtt311 => "MQTT 3.1.1",
        }
    }

    /// What `TRANSPORT=` of a run may say.
    pub fn word(self) -> &'static str {
        match self {
            Self::WebSocketClient => "ws",
            Self::WebSocketServer => "ws-server",
            Self::Mqtt5 => "mqtt5",
            Self::Mqtt311 => "mqtt311",
        }
    }

    pub fn needs_broker(self) -> bool {
        matches!(self, Self::Mqtt5 | Self::Mqtt311)
    }
}

/// What the agent knows of a second controller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Second {
    /// In the same role as the first.
    Trusted,
    /// Nothing of a role.
    Untrusted,
}

/// What all benches of a run share.
pub struct Laboratory {
    pub broker: Option<Mosquitto>,
    /// Agents that may start at the same time: starting costs processor time that a case in progress needs.
    pub starting: Semaphore,
}

/// 1.68 wants a row in Device.LocalAgent.MTP. and 1.70 one in Device.LocalAgent.Controller.{i}.MTP., of which a WebSocket
/// has either the one or the other: these stand there disabled.
const SPARE_MTP: &str = "\nconfig mtp 'spare'\n option Protocol WebSocket\n option Enable 0\n";
const SPARE_LINK: &str = "\nconfig controller_mtp 'spare'\n option controller first\n option Protocol WebSocket
 option Host localhost\n option Enable 0\n";

/// The role of the testers: everything, by a permission that any other outranks.
const ROLE: &str = "config role 'tester'\n
config permission 'all'\n option role tester\n option Order 0\n list Targets Device.\n option Param rwxn
 option Obj rwxn\n option InstantiatedObj rwxn\n option CommandEvent rwxn\n";

pub struct Bench {
    pub router: Router,
    first: Tester,
    second: Option<Tester>,
    agent: Option<Child>,
    starts: u32,
    _secure: Option<Secure>,
}

impl Bench {
    /// A fresh router and agent, connected to the tester and, where asked for, to a second one; with a certificate that is
    /// no good, without waiting for a connection.
    pub async fn start(laboratory: &Rc<Laboratory>, transport: Transport, number: u32, case: &Case) -> Self {
        let _turn = laboratory.starting.acquire().await.expect("the laboratory is open");
        let (router, driver) = Router::start().expect("a simulated router");
        tokio::task::spawn_local(driver.run());
        let agent_id = format!("self::agent-{number}");
        let mut config = format!("config localagent\n option EndpointID '{agent_id}'\n\n{ROLE}");
        let secure = case.tls.map(|tls| Secure::new(transport, tls, &agent_id, &format!("self::first-{number}")));
        let place = Place::of(laboratory, transport, secure);
        let first = place.tester("first", &agent_id, number, "tester", &mut config).await;
        let second = match case.second {
            Some(Second::Trusted) => Some(place.tester("second", &agent_id, number, "tester", &mut config).await),
            Some(Second::Untrusted) => Some(place.tester("second", &agent_id, number, "", &mut config).await),
            None => None,
        };
        config.push_str(match transport {
            Transport::WebSocketClient => SPARE_MTP,
            Transport::WebSocketServer => SPARE_LINK,
            Transport::Mqtt5 | Transport::Mqtt311 => "",
        });
        router.write_config("usp-agent", &config).expect("the configuration is written");
        let mut bench = Self { router, first, second, agent: None, starts: 0, _secure: place.secure };
        bench.power_on();
        if case.tls.is_none_or(|credential| credential == Credential::Good) {
            bench.first.connected(1).await;
        }
        if let Some(second) = &mut bench.second {
            second.connected(1).await;
        }
        bench
    }

    /// The second controller.
    pub fn second(&mut self) -> &mut Tester {
        self.second.as_mut().expect("a case that is listed with two controllers")
    }

    fn log_file(&self) -> PathBuf {
        self.router.state_dir().with_extension(format!("log{}", self.starts))
    }

    /// The agent's own words since it last started.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.log_file()).unwrap_or_default()
    }

    fn power_on(&mut self) {
        self.starts += 1;
        let log = File::create(self.log_file()).expect("a log file");
        let mut command = Command::new(env!("CARGO_BIN_EXE_usp-agent"));
        command.arg("run").args(["--log-level", "debug"]);
        command.arg("--config-dir").arg(self.router.config_dir());
        command.arg("--state-dir").arg(self.router.state_dir());
        command.arg("--root").arg(self.router.root());
        command.arg("--ubus").arg(self.router.socket());
        let child = command.stderr(log).stdout(Stdio::null()).stdin(Stdio::null()).spawn();
        self.agent = Some(child.expect("the agent starts"));
    }

    /// Waits until the agent tells the router to reboot, and reboots it: procd ends the agent and starts it again.
    pub async fn reboot(&mut self) {
        let until = Instant::now() + PATIENCE;
        while self.router.reboots() == 0 {
            assert!(Instant::now() < until, "the EUT does not reboot");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let mut agent = self.agent.take().expect("a running agent");
        let id = Pid::from_raw(i32::try_from(agent.id()).expect("a process id")).expect("a process id");
        kill_process(id, Signal::TERM).expect("the agent is told to end");
        while agent.try_wait().expect("the agent's end").is_none() {
            assert!(Instant::now() < until, "the EUT does not go down");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        self.power_on();
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        if let Some(mut agent) = self.agent.take() {
            let _ = agent.kill();
            let _ = agent.wait();
        }
    }
}

impl Deref for Bench {
    type Target = Tester;

    fn deref(&self) -> &Tester {
        &self.first
    }
}

impl DerefMut for Bench {
    fn deref_mut(&mut self) -> &mut Tester {
        &mut self.first
    }
}

/// Where the testers of a bench and the agent meet.
struct Place {
    transport: Transport,
    /// The broker's port, or the one the agent listens at.
    port: u16,
    secure: Option<Secure>,
}

impl Place {
    fn of(laboratory: &Laboratory, transport: Transport, secure: Option<Secure>) -> Self {
        let broker = laboratory.broker.as_ref().filter(|_| transport.needs_broker()).map(|broker| broker.port);
        let port = secure.as_ref().and_then(Secure::broker_port).or(broker).unwrap_or_else(free_port);
        Self { transport, port, secure }
    }

    /// Letter and host of an address: `ws://127.0.0.1` or `wss://localhost`.
    fn scheme(&self) -> (&'static str, &'static str) {
        if self.secure.is_some() { ("s", "localhost") } else { ("", "127.0.0.1") }
    }

    /// A tester, and its section in the agent's configuration.
    async fn tester(&self, section: &str, agent_id: &str, number: u32, role: &str, config: &mut String) -> Tester {
        let own_id = format!("self::{section}-{number}");
        let (s, host) = self.scheme();
        let client = self.secure.as_ref().map(Secure::client);
        let (tester, link) = match self.transport {
            Transport::WebSocketClient => {
                let port = free_port();
                let link = format!(" option url 'ws{s}://{host}:{port}/usp'\n");
                (Tester::on_websocket(&own_id, agent_id, port, self.secure.as_ref().map(Secure::server)), link)
            }
            Transport::WebSocketServer => {
                let port = self.port;
                let link = format!(" option url 'listen ws{s}://127.0.0.1:{port}/usp'\n");
                (
                    Tester::to_agent(&own_id, agent_id, port, client),
                    if section == "first" { link } else { String::new() },
                )
            }
            Transport::Mqtt5 | Transport::Mqtt311 => self.meet(section, &own_id, agent_id, number).await,
        };
        config.push_str(&format!(
            "\nconfig controller '{section}'\n{link} option EndpointID '{own_id}'\n option Alias '{section}-alias'\n"
        ));
        match &self.secure {
            Some(secure) => config.push_str(&secure.options()),
            None => config.push_str(" option AllowUnencrypted 1\n"),
        }
        if !role.is_empty() {
            config.push_str(&format!(" list role {role}\n"));
        }
        tester
    }

    async fn meet(&self, section: &str, own_id: &str, agent_id: &str, number: u32) -> (Tester, String) {
        let (version, word) =
            if self.transport == Transport::Mqtt5 { (Version::V5, "5.0") } else { (Version::V311, "3.1.1") };
        let port = self.port;
        let (theirs, ours) = (format!("usp/{number}/agent/{section}"), format!("usp/{number}/controller/{section}"));
        let client = format!("tester-{number}-{section}");
        let (s, host) = self.scheme();
        let tls = self.secure.as_ref().map(Secure::client);
        let tester = Tester::at_broker(own_id, agent_id, (port, tls), version, (&ours, &theirs), &client).await;
        let link = format!(
            " option url 'mqtt{s}://{host}:{port}/{ours}'\n option ProtocolVersion '{word}'
 option ResponseTopicConfigured '{theirs}'\n option ClientID 'agent-{number}-{section}'\n"
        );
        (tester, link)
    }
}

/// Seconds of a wait: the plan's with `WAITS=plan`, else these.
pub fn seconds(plan: u64, here: u64) -> Duration {
    let plans = std::env::var("WAITS").is_ok_and(|waits| waits == "plan");
    Duration::from_secs(if plans { plan } else { here })
}

pub fn free_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port").local_addr().expect("its number").port()
}
