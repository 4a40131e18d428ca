//! Where the testers and the agent meet, transport by transport.

use std::net::{Ipv4Addr, TcpListener};

use usp_agent::mtp::mqtt::Version;

use crate::arguments::Running;
use crate::bench::Laboratory;
use crate::eut::{Eut, Told};
use crate::rabbitmq::USER;
use crate::secure::Secure;
use crate::stomp_broker::Server;
use crate::tester::{BrokerTopics, Tester};

/// How the testers and the agent meet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Transport {
    /// The agent connects to the controller's WebSocket.
    WebSocketClient,
    /// The controller connects to the agent's WebSocket.
    WebSocketServer,
    Mqtt5,
    Mqtt311,
    /// Through a STOMP server.
    Stomp,
    /// The agent connects to the controller's UNIX socket.
    UnixSocketClient,
    /// The controller connects to the agent's UNIX socket.
    UnixSocketServer,
}

/// Both directions of WebSocket.
pub const WEBSOCKET: &[Transport] = &[Transport::WebSocketClient, Transport::WebSocketServer];
/// Both versions of MQTT.
pub const MQTT: &[Transport] = &[Transport::Mqtt5, Transport::Mqtt311];
/// Both directions of UNIX sockets.
pub const UNIX_SOCKET: &[Transport] = &[Transport::UnixSocketClient, Transport::UnixSocketServer];

impl Transport {
    pub const ALL: &[Self] = &[
        Self::WebSocketClient,
        Self::WebSocketServer,
        Self::Mqtt5,
        Self::Mqtt311,
        Self::Stomp,
        Self::UnixSocketClient,
        Self::UnixSocketServer,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::WebSocketClient => "WebSocket, agent as client",
            Self::WebSocketServer => "WebSocket, agent as server",
            Self::Mqtt5 => "MQTT 5.0",
            Self::Mqtt311 => "MQTT 3.1.1",
            Self::Stomp => "STOMP 1.2",
            Self::UnixSocketClient => "UNIX socket, agent as client",
            Self::UnixSocketServer => "UNIX socket, agent as server",
        }
    }

    /// What `--transport` of a run may say.
    pub fn word(self) -> &'static str {
        match self {
            Self::WebSocketClient => "ws",
            Self::WebSocketServer => "ws-server",
            Self::Mqtt5 => "mqtt5",
            Self::Mqtt311 => "mqtt311",
            Self::Stomp => "stomp",
            Self::UnixSocketClient => "uds",
            Self::UnixSocketServer => "uds-server",
        }
    }

    /// Whoever it is, the agent sees a broker's certificate.
    pub fn is_brokered(self) -> bool {
        self.needs_broker() || self == Self::Stomp
    }

    /// Testers and agent meet at a mosquitto.
    pub fn needs_broker(self) -> bool {
        matches!(self, Self::Mqtt5 | Self::Mqtt311)
    }

    /// Testers and agent are on one machine, without TLS.
    pub fn is_local(self) -> bool {
        UNIX_SOCKET.contains(&self)
    }

    /// ProtocolVersion of MQTT.
    pub fn mqtt_version(self) -> &'static str {
        if self == Self::Mqtt5 { "5.0" } else { "3.1.1" }
    }
}

/// 1.68 wants a row in Device.LocalAgent.MTP. and 1.70 one in Device.LocalAgent.Controller.{i}.MTP., of which a WebSocket
/// has either the one or the other: these stand there disabled.
const SPARE_MTP: &str = "\nconfig mtp 'spare'\n option Protocol WebSocket\n option Enable 0\n";
const SPARE_LINK: &str = "\nconfig controller_mtp 'spare'\n option controller first\n option Protocol WebSocket
 option Host localhost\n option Enable 0\n";

/// Where the testers of a bench and the agent meet.
pub struct Place<'a> {
    transport: Transport,
    /// The broker's port, or the one the agent listens at.
    port: u16,
    secure: Option<&'a Secure>,
    agent_id: &'a str,
    number: u32,
    eut: &'a Eut,
    /// The STOMP server of this bench.
    pub stomp: Option<Server>,
}

impl<'a> Place<'a> {
    pub fn new(
        laboratory: &Laboratory,
        transport: Transport,
        secure: Option<&'a Secure>,
        (eut, agent_id): (&'a Eut, &'a str),
        number: u32,
    ) -> Self {
        let broker = laboratory.broker.as_ref().filter(|_| transport.needs_broker()).map(|broker| broker.port);
        let rabbit = laboratory.rabbit.iter().flatten().next();
        let rabbit = rabbit.filter(|_| transport == Transport::Stomp && secure.is_none()).map(|rabbit| rabbit.port);
        let broker = broker.or(rabbit);
        let stomp = (transport == Transport::Stomp && rabbit.is_none())
            .then(|| Server::start(secure.map(|secure| secure.server_of_a_broker())));
        let broker = secure.and_then(Secure::broker_port).or(broker).or(stomp.as_ref().map(|server| server.port));
        let port = broker.unwrap_or_else(free_port);
        Self { transport, port, secure, agent_id, number, eut, stomp }
    }

    /// Letter and host of an address: `ws://127.0.0.1` or `wss://localhost`.
    fn scheme(&self) -> (&'static str, &'static str) {
        if self.secure.is_some() { ("s", "localhost") } else { ("", "127.0.0.1") }
    }

    /// A tester, and what the agent is told of it.
    pub async fn tester(&self, section: &str, role: &str, told: &mut Told) -> Tester {
        let own_id = format!("self::{section}-{}", self.number);
        let (s, host) = self.scheme();
        let client = self.secure.map(Secure::client);
        let (tester, link) = match self.transport {
            Transport::WebSocketClient => {
                let port = free_port();
                told.fact(section, "PORT", port);
                told.fact(section, "PATH", "/usp");
                let link = format!(" option url 'ws{s}://{host}:{port}/usp'\n");
                (Tester::on_websocket(&own_id, self.agent_id, port, self.secure.map(Secure::server)), link)
            }
            Transport::WebSocketServer => {
                let port = self.port;
                told.fact(section, "PORT", port);
                told.fact(section, "PATH", "/usp");
                let link = format!(" option url 'listen ws{s}://127.0.0.1:{port}/usp'\n");
                let at = (host, port, "/usp");
                (
                    Tester::to_agent(&own_id, self.agent_id, at, client),
                    if section == "first" { link } else { String::new() },
                )
            }
            Transport::Mqtt5 | Transport::Mqtt311 => self.at_broker(section, &own_id, told).await,
            Transport::Stomp => self.at_stomp(section, &own_id, told).await,
            Transport::UnixSocketClient => {
                let path = self.socket(section, section, told);
                (Tester::at_socket(&own_id, self.agent_id, &path), format!(" option url 'unix://{path}'\n"))
            }
            Transport::UnixSocketServer => {
                let path = self.socket("agent", section, told);
                let link = (section == "first").then(|| format!(" option url 'listen unix://{path}'\n"));
                (Tester::to_socket(&own_id, self.agent_id, &path), link.unwrap_or_default())
            }
        };
        told.fact(section, "CONTROLLER_ID", &own_id);
        told.fact(section, "HOST", host);
        told.config.push_str(&format!(
            "\nconfig controller '{section}'\n{link} option EndpointID '{own_id}'\n option Alias '{section}-alias'\n"
        ));
        match self.secure {
            Some(secure) => secure.tell(section, told),
            None => told.config.push_str(" option AllowUnencrypted 1\n"),
        }
        if !role.is_empty() {
            told.fact(section, "ROLE", "full");
            told.config.push_str(&format!(" list role {role}\n"));
        }
        tester
    }

    /// What our own agent has beside its controllers.
    pub fn spare(&self) -> &'static str {
        match self.transport {
            Transport::WebSocketClient => SPARE_MTP,
            Transport::WebSocketServer | Transport::UnixSocketServer => SPARE_LINK,
            Transport::Mqtt5 | Transport::Mqtt311 | Transport::Stomp | Transport::UnixSocketClient => "",
        }
    }

    /// The path of a socket.
    fn socket(&self, name: &str, section: &str, told: &mut Told) -> String {
        let path = self.eut.socket(name).display().to_string();
        told.fact(section, "SOCKET", &path);
        path
    }

    async fn at_broker(&self, section: &str, own_id: &str, told: &mut Told) -> (Tester, String) {
        let (port, number) = (self.port, self.number);
        let (theirs, ours) = (format!("usp/{number}/agent/{section}"), format!("usp/{number}/controller/{section}"));
        let client = format!("tester-{number}-{section}");
        let (s, host) = self.scheme();
        let topics = BrokerTopics { own: &ours, agent: &theirs, client_id: &client };
        let at = (host, port, self.secure.map(Secure::client));
        let tester = Tester::at_broker(own_id, self.agent_id, at, mqtt(self.transport), topics).await;
        told.fact(section, "PORT", port);
        told.fact(section, "AGENT_TOPIC", &theirs);
        told.fact(section, "CONTROLLER_TOPIC", &ours);
        told.fact(section, "CLIENT_ID", format!("agent-{number}-{section}"));
        let link = format!(
            " option url 'mqtt{s}://{host}:{port}/{ours}'\n option ProtocolVersion '{}'
 option ResponseTopicConfigured '{theirs}'\n option ClientID 'agent-{number}-{section}'\n",
            self.transport.mqtt_version()
        );
        (tester, link)
    }

    async fn at_stomp(&self, section: &str, own_id: &str, told: &mut Told) -> (Tester, String) {
        let (port, number) = (self.port, self.number);
        let (theirs, ours) =
            (format!("/queue/agent-{number}-{section}"), format!("/queue/controller-{number}-{section}"));
        let (s, host) = self.scheme();
        let at = (host, port, self.secure.map(Secure::client));
        let tester = Tester::at_stomp(own_id, self.agent_id, at, (&ours, &theirs)).await;
        told.fact(section, "PORT", port);
        told.fact(section, "AGENT_TOPIC", &theirs);
        told.fact(section, "CONTROLLER_TOPIC", &ours);
        let url = format!("stomp{s}://{USER}:{USER}@{host}:{port}{ours}");
        (tester, format!(" option url '{url}'\n option ResponseTopicConfigured '{theirs}'\n"))
    }
}

/// The tester that a running agent knows.
pub async fn visitor(running: &Running) -> Tester {
    let (own, agent) = (&running.controller_id, &running.agent_id);
    if running.transport.needs_broker() {
        let topics =
            BrokerTopics { own: &running.controller_topic, agent: &running.path, client_id: "usp-conformance-tester" };
        let at = (&*running.host, running.port, None);
        return Tester::at_broker(own, agent, at, mqtt(running.transport), topics).await;
    }
    if running.transport.is_local() {
        return Tester::to_socket(own, agent, &running.path);
    }
    if running.transport == Transport::Stomp {
        let destination = format!("/{}", running.path);
        let at = (&*running.host, running.port, None);
        return Tester::at_stomp(own, agent, at, (&running.controller_topic, &destination)).await;
    }
    Tester::to_agent(own, agent, (&running.host, running.port, &format!("/{}", running.path)), None)
}

fn mqtt(transport: Transport) -> Version {
    if transport == Transport::Mqtt5 { Version::V5 } else { Version::V311 }
}

pub fn free_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port").local_addr().expect("its number").port()
}
