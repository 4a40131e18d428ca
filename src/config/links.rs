//! Which connections the configuration asks for. Plain data that can be compared: a reload restarts only what changed.

use super::expand::{OWN_ID, expand};
use super::options::{AGENT_SOCKET, CONTROLLER_SOCKET};
use super::{Warning, number, truth, value, warning};
use crate::backend::uci::{Package, Section};
use std::fmt;

/// A connection, or a place where connections are taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// The section it comes from: `mqtt` (client), `stomp` (connection), `controller_mtp` (WebSocket client), `mtp`
    /// (WebSocket server) or `unix_socket`.
    pub section: Box<str>,
    /// The `mtp` section whose status it is; None for a WebSocket client.
    pub mtp: Option<Box<str>>,
    /// How it connects. Another value means another connection.
    pub transport: Transport,
    /// MQTT: subscription filters beside the response topic, with their quality of service. STOMP: the agent's
    /// destination, where there is one.
    pub filters: Vec<(Box<str>, u8)>,
    /// The controllers that are reached through it; to a server, and at a UNIX socket, any controller may come.
    pub controllers: Vec<Reach>,
}

impl Link {
    /// Its sessions are begun by others.
    pub fn is_server(&self) -> bool {
        match &self.transport {
            Transport::WebSocketServer(_) => true,
            Transport::UnixSocket(socket) => socket.listen,
            _ => false,
        }
    }
}

/// How a link connects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Transport {
    /// A client of a broker.
    Mqtt(Mqtt),
    /// A connection to a STOMP server.
    Stomp(Stomp),
    /// A WebSocket client of a controller.
    WebSocketClient(WebSocketClient),
    /// A WebSocket server for controllers.
    WebSocketServer(WebSocketServer),
    /// Either end of a UNIX socket.
    UnixSocket(UnixSocket),
}

impl Transport {
    /// TLS protects it, and looks at dates.
    pub fn has_tls(&self) -> bool {
        match self {
            Self::Mqtt(mqtt) => mqtt.tls.is_some(),
            Self::Stomp(stomp) => stomp.tls.is_some(),
            Self::WebSocketClient(client) => client.tls.is_some(),
            Self::WebSocketServer(server) => server.tls.is_some(),
            Self::UnixSocket(_) => false,
        }
    }

    /// Who is at the other end is known only when it is there.
    pub fn takes_guests(&self) -> bool {
        matches!(self, Self::WebSocketServer(_) | Self::UnixSocket(_))
    }
}

/// A controller that a link reaches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reach {
    /// The `controller` section.
    pub controller: Box<str>,
    /// The controller's endpoint id.
    pub endpoint_id: Box<str>,
    /// The `controller_mtp` section.
    pub section: Box<str>,
    /// The lowest that works is used.
    pub order: u32,
    /// The MQTT topic or STOMP destination the controller listens to.
    pub topic: Box<str>,
    /// MQTT: responses are retained.
    pub retain_response: bool,
    /// MQTT: notifications are retained.
    pub retain_notify: bool,
}

/// A client of a broker.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs)] // named as in Device.MQTT.Client.{i}.
pub struct Mqtt {
    pub broker_address: Box<str>,
    pub broker_port: u16,
    pub tls: Option<Files>,
    /// 5 or 4 (3.1.1).
    pub level: u8,
    pub client_id: Box<str>,
    pub username: Box<str>,
    pub password: Secret,
    /// Seconds.
    pub keep_alive: u16,
    pub clean_start: bool,
    /// Seconds.
    pub session_expiry: u32,
    /// Seconds; 0 for never.
    pub resubscribe: u32,
    pub request_response_info: bool,
    pub request_problem_info: bool,
    /// Seconds.
    pub message_retry: u32,
    pub retry: Retry,
    /// Where WillEnable is true and WillTopic names a topic.
    pub will: Option<Will>,
    /// ResponseTopicConfigured of the MTP.
    pub response_topic: Box<str>,
    pub publish_qos: u8,
}

/// What the broker publishes when the connection is lost.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs)] // named as in Device.MQTT.Client.{i}.
pub struct Will {
    pub topic: Box<str>,
    pub value: Box<str>,
    pub qos: u8,
    pub retain: bool,
}

/// A connection to a STOMP server. The agent's destination is no part of it: it changes without a new connection.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs)] // named as in Device.STOMP.Connection.{i}.
pub struct Stomp {
    pub host: Box<str>,
    pub port: u16,
    pub tls: Option<Files>,
    pub virtual_host: Box<str>,
    pub username: Box<str>,
    pub password: Secret,
    /// Outgoing and incoming, in milliseconds; None where they are off.
    pub heartbeats: Option<(u32, u32)>,
    pub retry: Retry,
}

/// A WebSocket client of a controller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebSocketClient {
    /// Name or address.
    pub host: Box<str>,
    /// TCP port.
    pub port: u16,
    /// Path of the request, as written.
    pub path: Box<str>,
    /// The last segment of the path, percent-encoded on its way; empty for none.
    pub password: Secret,
    /// None: no encryption.
    pub tls: Option<Files>,
    /// The controller's endpoint id, which its certificate may carry instead of the host name.
    pub endpoint_id: Box<str>,
    /// Seconds between pings.
    pub keep_alive: u32,
    /// Waits between tries.
    pub retry: Retry,
    /// Oktopus confuses a new connection with one that has just died: wait for it to notice.
    pub slow_return: bool,
}

/// A WebSocket server for controllers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebSocketServer {
    /// An IP address.
    pub address: Box<str>,
    /// TCP port.
    pub port: u16,
    /// The path it serves.
    pub path: Box<str>,
    /// None: no encryption.
    pub tls: Option<Files>,
    /// Seconds between pings.
    pub keep_alive: u32,
}

/// Either end of a UNIX socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnixSocket {
    /// Its file.
    pub path: Box<str>,
    /// The agent is the server.
    pub listen: bool,
}

/// The PEM files of a TLS link; empty where none is configured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Files {
    /// Trusted authorities.
    pub ca: Box<str>,
    /// Own certificate.
    pub certificate: Box<str>,
    /// Its key.
    pub key: Box<str>,
}

/// Waits between tries to connect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retry {
    /// Seconds before the first new try.
    pub minimum: u32,
    /// Thousandths by which the wait grows.
    pub multiplier: u32,
    /// Seconds it grows to at most; None for no limit.
    pub maximum: Option<u32>,
}

/// A text that no log shows.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Secret(pub Box<str>);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_empty() { "(none)" } else { "(secret)" })
    }
}

/// The links that a package asks for, and what keeps an enabled section from being one. `own_id` is filled in where
/// topics, client ids and user names say [`OWN_ID`]. The package may be in the short form or the long one.
pub fn links(package: &Package, own_id: &str) -> (Vec<Link>, Vec<Warning>) {
    let package = expand(package);
    let mut reader = Reader { package: &package, own_id, links: Vec::new(), warnings: Vec::new() };
    for mtp in package.of_kind("mtp").filter(|mtp| truth(mtp, "Enable")) {
        reader.mtp(mtp);
    }
    for way in package.of_kind("controller_mtp").filter(|way| truth(way, "Enable")) {
        reader.way_to_controller(way);
    }
    reader.look_at_presets();
    // A broker through which no enabled controller is reached needs no connection; to a server anyone may come.
    reader.links.retain(|link| !link.controllers.is_empty() || link.transport.takes_guests());
    (reader.links, reader.warnings)
}

struct Reader<'a> {
    package: &'a Package,
    own_id: &'a str,
    links: Vec<Link>,
    warnings: Vec<Warning>,
}

impl<'a> Reader<'a> {
    fn warn(&mut self, section: &Section, what: impl Into<Box<str>>) {
        self.warnings.push(warning(section, section.line, what));
    }

    fn named(&self, kind: &str, name: &str) -> Option<&'a Section> {
        self.package.section(name).filter(|section| &*section.kind == kind)
    }

    fn look_at_presets(&mut self) {
        let reaches = self.links.iter().flat_map(|link| link.controllers.iter().map(move |reach| (link, reach)));
        let remarks = reaches.filter_map(|(link, reach)| {
            let controller = self.named("controller", &reach.controller)?;
            let remark = (value(controller, "preset") == "oktopus")
                .then(|| super::oktopus::remark(self.own_id, &link.transport, reach))?;
            Some(warning(controller, controller.line, remark?))
        });
        let remarks: Vec<_> = remarks.collect();
        self.warnings.extend(remarks);
    }

    fn mtp(&mut self, mtp: &'a Section) {
        match value(mtp, "Protocol") {
            "MQTT" => self.mqtt(mtp),
            "STOMP" => self.stomp(mtp),
            "WebSocket" => {
                let transport = Transport::WebSocketServer(self.server(mtp));
                self.links.push(link(mtp, Some(mtp), transport));
            }
            "UDS" => self.unix_socket(mtp),
            _ => self.warn(mtp, "its Protocol is none the agent speaks, so it is not used"),
        }
    }

    fn mqtt(&mut self, mtp: &'a Section) {
        let Some(client) = self.named("mqtt", value(mtp, "mqtt")) else {
            return self.warn(mtp, "option mqtt names no mqtt section, so it is not used");
        };
        if !truth(client, "Enable") {
            return;
        }
        if self.links.iter().any(|link| link.section == client.name) {
            return self.warn(mtp, format!("mqtt section '{}' is used by another mtp already", client.name));
        }
        if value(client, "BrokerAddress").is_empty() {
            return self.warn(client, "no BrokerAddress, so it is not used");
        }
        let transport = Transport::Mqtt(self.client(mtp, client));
        let filters = self.package.of_kind("mqtt_subscription").filter(|filter| truth(filter, "Enable"));
        let filters =
            filters.filter(|filter| value(filter, "mqtt") == &*client.name && !value(filter, "Topic").is_empty());
        let filters =
            filters.map(|filter| (self.filled(value(filter, "Topic")), byte(number(filter, "QoS")))).collect();
        self.links.push(Link { filters, ..link(client, Some(mtp), transport) });
    }

    fn client(&self, mtp: &Section, client: &Section) -> Mqtt {
        let level = if value(client, "ProtocolVersion") == "5.0" { 5 } else { 4 };
        let client_id = match self.filled(value(client, "ClientID")) {
            // R-MQTT.8: with 5.0 the broker assigns one.
            none if none.is_empty() && level == 4 => self.own_id.into(),
            client_id => client_id,
        };
        Mqtt {
            broker_address: value(client, "BrokerAddress").into(),
            broker_port: word(number(client, "BrokerPort")),
            tls: (value(client, "TransportProtocol") == "TLS").then(|| self.files(client)),
            level,
            client_id,
            message_retry: number(client, "MessageRetryTime"),
            username: self.filled(value(client, "Username")),
            password: Secret(value(client, "Password").into()),
            keep_alive: word(number(client, "KeepAliveTime")),
            clean_start: truth(client, if level == 5 { "CleanStart" } else { "CleanSession" }),
            session_expiry: number(client, "SessionExpiryInterval"),
            resubscribe: number(client, "ResubscribeInterval"),
            request_response_info: truth(client, "RequestResponseInfo"),
            request_problem_info: truth(client, "RequestProblemInfo"),
            retry: Retry {
                minimum: number(client, "ConnectRetryTime"),
                multiplier: number(client, "ConnectRetryIntervalMultiplier"),
                maximum: Some(number(client, "ConnectRetryMaxInterval")),
            },
            will: self.will(client),
            response_topic: self.filled(value(mtp, "ResponseTopicConfigured")),
            publish_qos: byte(number(mtp, "PublishQoS")),
        }
    }

    fn will(&self, client: &Section) -> Option<Will> {
        let topic = self.filled(value(client, "WillTopic"));
        (truth(client, "WillEnable") && !topic.is_empty()).then(|| Will {
            topic,
            value: self.filled(value(client, "WillValue")),
            qos: byte(number(client, "WillQoS")),
            retain: truth(client, "WillRetain"),
        })
    }

    fn stomp(&mut self, mtp: &'a Section) {
        let Some(connection) = self.named("stomp", value(mtp, "stomp")) else {
            return self.warn(mtp, "option stomp names no stomp section, so it is not used");
        };
        if !truth(connection, "Enable") {
            return;
        }
        if self.links.iter().any(|link| link.section == connection.name) {
            return self.warn(mtp, format!("stomp section '{}' is used by another mtp already", connection.name));
        }
        if value(connection, "Host").is_empty() {
            return self.warn(connection, "no Host, so it is not used");
        }
        let transport = Transport::Stomp(self.connection(connection));
        let destination = self.filled(value(mtp, "Destination"));
        let filters = if destination.is_empty() { Vec::new() } else { vec![(destination, 0)] };
        self.links.push(Link { filters, ..link(connection, Some(mtp), transport) });
    }

    fn connection(&self, connection: &Section) -> Stomp {
        let beats = || (number(connection, "OutgoingHeartbeat"), number(connection, "IncomingHeartbeat"));
        Stomp {
            host: value(connection, "Host").into(),
            port: word(number(connection, "Port")),
            tls: truth(connection, "EnableEncryption").then(|| self.files(connection)),
            virtual_host: value(connection, "VirtualHost").into(),
            username: self.filled(value(connection, "Username")),
            password: Secret(value(connection, "Password").into()),
            heartbeats: truth(connection, "EnableHeartbeats").then(beats),
            retry: Retry {
                minimum: number(connection, "ServerRetryInitialInterval"),
                multiplier: number(connection, "ServerRetryIntervalMultiplier"),
                maximum: Some(number(connection, "ServerRetryMaxInterval")),
            },
        }
    }

    fn server(&self, mtp: &Section) -> WebSocketServer {
        WebSocketServer {
            address: value(mtp, "address").into(),
            port: word(number(mtp, "Port")),
            path: value(mtp, "Path").into(),
            tls: truth(mtp, "EnableEncryption").then(|| self.files(mtp)),
            keep_alive: number(mtp, "KeepAliveInterval"),
        }
    }

    /// The socket that an `mtp` or `controller_mtp` section names.
    fn socket(&mut self, user: &'a Section) -> Option<&'a Section> {
        let socket = self.named("unix_socket", value(user, "unix_socket"));
        if socket.is_none() {
            self.warn(user, "option unix_socket names no unix_socket section, so it is not used");
        }
        socket
    }

    fn unix_socket(&mut self, mtp: &'a Section) {
        let Some(socket) = self.socket(mtp) else { return };
        if self.links.iter().any(|link| link.section == socket.name) {
            return self.warn(mtp, format!("unix_socket section '{}' is used by another mtp already", socket.name));
        }
        self.links.push(link(socket, Some(mtp), Transport::UnixSocket(unix_socket(socket))));
    }

    fn through_socket(&mut self, way: &'a Section, reach: Reach) {
        let Some(socket) = self.socket(way) else { return };
        match self.links.iter_mut().find(|link| link.section == socket.name) {
            Some(link) => link.controllers.push(reach),
            None if value(socket, "Mode") == "Listen" => {
                self.warn(way, "there is no enabled UDS mtp section that listens at its socket, so it is not used");
            }
            None => {
                let transport = Transport::UnixSocket(unix_socket(socket));
                self.links.push(Link { controllers: vec![reach], ..link(socket, None, transport) });
            }
        }
    }

    fn way_to_controller(&mut self, way: &'a Section) {
        let Some(controller) = self.named("controller", value(way, "controller")) else {
            return self.warn(way, "option controller names no controller section, so it is not used");
        };
        if !truth(controller, "Enable") {
            return;
        }
        let reach = self.reach(way, controller);
        match value(way, "Protocol") {
            protocol @ ("MQTT" | "STOMP") => self.through_broker(way, protocol, reach),
            "UDS" => self.through_socket(way, reach),
            "WebSocket" if value(way, "Host").is_empty() => {
                let servers =
                    self.links.iter_mut().filter(|link| matches!(link.transport, Transport::WebSocketServer(_)));
                servers.for_each(|link| link.controllers.push(reach.clone()));
            }
            "WebSocket" => {
                let transport = Transport::WebSocketClient(self.websocket_client(way, controller));
                self.links.push(Link { controllers: vec![reach], ..link(way, None, transport) });
            }
            _ => self.warn(way, "its Protocol is none the agent speaks, so it is not used"),
        }
    }

    fn reach(&self, way: &Section, controller: &Section) -> Reach {
        Reach {
            controller: controller.name.clone(),
            endpoint_id: value(controller, "EndpointID").into(),
            section: way.name.clone(),
            order: number(way, "Order"),
            topic: self.filled(value(way, if value(way, "Protocol") == "STOMP" { "Destination" } else { "Topic" })),
            retain_response: truth(way, "PublishRetainResponse"),
            retain_notify: truth(way, "PublishRetainNotify"),
        }
    }

    fn through_broker(&mut self, way: &'a Section, protocol: &str, reach: Reach) {
        let (mtp, connection) = (value(way, "mtp"), value(way, "stomp"));
        let fits = |link: &&mut Link| match (&link.transport, protocol) {
            (Transport::Mqtt(_), "MQTT") => mtp.is_empty() || link.mtp.as_deref() == Some(mtp),
            (Transport::Stomp(_), "STOMP") => connection.is_empty() || *link.section == *connection,
            _ => false,
        };
        match self.links.iter_mut().find(fits) {
            Some(link) => link.controllers.push(reach),
            None => self.warn(way, format!("there is no enabled {protocol} mtp section for it, so it is not used")),
        }
    }

    fn websocket_client(&self, way: &Section, controller: &Section) -> WebSocketClient {
        WebSocketClient {
            host: value(way, "Host").into(),
            port: word(number(way, "Port")),
            path: self.filled(value(way, "Path")),
            password: Secret(value(way, "Password").into()),
            tls: truth(way, "EnableEncryption").then(|| self.files(way)),
            endpoint_id: value(controller, "EndpointID").into(),
            keep_alive: number(way, "KeepAliveInterval"),
            retry: Retry {
                minimum: number(way, "SessionRetryMinimumWaitInterval"),
                multiplier: number(way, "SessionRetryIntervalMultiplier"),
                maximum: None,
            },
            slow_return: value(controller, "preset") == "oktopus",
        }
    }

    /// The section's own files, else the agent's.
    fn files(&self, section: &Section) -> Files {
        let agent = self.package.of_kind("localagent").next();
        let file = |option: &str| -> Box<str> {
            let own = section.text(option);
            own.or_else(|| agent.map(|agent| value(agent, option))).unwrap_or_default().into()
        };
        let ca = match file("ca_file") {
            none if none.is_empty() => super::options::CA_FILE.into(),
            ca => ca,
        };
        Files { ca, certificate: file("certificate"), key: file("key") }
    }

    fn filled(&self, text: &str) -> Box<str> {
        text.replace(OWN_ID, self.own_id).into()
    }
}

fn link(section: &Section, mtp: Option<&Section>, transport: Transport) -> Link {
    let mtp = mtp.map(|mtp| mtp.name.clone());
    Link { section: section.name.clone(), mtp, transport, filters: Vec::new(), controllers: Vec::new() }
}

fn unix_socket(socket: &Section) -> UnixSocket {
    let listen = value(socket, "Mode") == "Listen";
    let path = match value(socket, "Path") {
        "" if listen => AGENT_SOCKET,
        "" => CONTROLLER_SOCKET,
        path => path,
    };
    UnixSocket { path: path.into(), listen }
}

fn word(number: u32) -> u16 {
    u16::try_from(number).unwrap_or(u16::MAX)
}

fn byte(number: u32) -> u8 {
    u8::try_from(number).unwrap_or(u8::MAX)
}

#[cfg(test)]
#[path = "links_tests.rs"]
mod tests;
