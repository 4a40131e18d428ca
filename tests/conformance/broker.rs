//! A broker that a case plays itself: packet by packet, with the controller behind it.

use std::time::Duration;

use bytes::Bytes;
use tokio::time::timeout;

use crate::eut::Scene;
use crate::mqtt_broker::{Broker, Connect, Connection, Packet, Property, Publish, Subscribe, id};
use crate::place::Transport;
use crate::secure::Secure;
use crate::tester::PATIENCE;
use crate::websocket::acceptor;
use crate::wire::Wire;

/// What the agent is told beside where the broker is. Empty: nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options<'a> {
    /// ConnectRetryTime.
    pub retry: &'a str,
    pub client_id: &'a str,
    pub username: &'a str,
    pub password: &'a str,
    /// ResponseTopicConfigured is left out.
    pub no_topic: bool,
}

/// The broker, and the topics of both endpoints.
pub struct Inn {
    pub broker: Broker,
    pub version: u8,
    /// Where the agent is told to listen.
    pub agent_topic: String,
    pub controller_topic: String,
    tls: Option<Secure>,
}

impl Inn {
    /// Tells the agent of broker and controller; it is not started.
    pub async fn new(scene: &mut Scene, options: Options<'_>) -> Inn {
        Self::with(scene, options, None).await
    }

    pub async fn with(scene: &mut Scene, options: Options<'_>, tls: Option<Secure>) -> Inn {
        let broker = Broker::new().await;
        let (agent_topic, controller_topic) = (format!("agent/{}", scene.agent_id), format!("to/{}", scene.own_id));
        let (port, host) = (broker.port.to_string(), if tls.is_some() { "localhost" } else { "127.0.0.1" });
        let configured = if options.no_topic { "" } else { &*agent_topic };
        scene.controller();
        let told = &mut scene.told;
        let link = [("controller", "first"), ("Protocol", "MQTT"), ("mtp", "wire"), ("Topic", &*controller_topic)];
        told.section("controller_mtp", "wire_link", &link);
        let mtp = [("Protocol", "MQTT"), ("mqtt", "wire_client"), ("ResponseTopicConfigured", configured)];
        told.section("mtp", "wire", &mtp);
        let client = [
            ("BrokerAddress", host),
            ("BrokerPort", &port),
            ("TransportProtocol", if tls.is_some() { "TLS" } else { "TCP/IP" }),
            ("ProtocolVersion", scene.transport.mqtt_version()),
            ("ConnectRetryTime", options.retry),
            ("ClientID", options.client_id),
            ("Username", options.username),
            ("Password", options.password),
        ];
        told.section("mqtt", "wire_client", &client);
        if let Some(secure) = &tls {
            secure.tell("first", told);
        }
        let facts = [
            ("HOST", host),
            ("PORT", &port),
            ("AGENT_TOPIC", configured),
            ("CONTROLLER_TOPIC", &controller_topic),
            ("RETRY", options.retry),
            ("CLIENT_ID", options.client_id),
            ("USERNAME", options.username),
            ("PASSWORD", options.password),
        ];
        for (name, value) in facts.into_iter().filter(|(_, value)| !value.is_empty()) {
            told.fact("first", name, value);
        }
        let version = if scene.transport == Transport::Mqtt5 { 5 } else { 4 };
        Inn { broker, version, agent_topic, controller_topic, tls }
    }

    /// The agent's next connection, nothing read from it yet.
    pub async fn accept(&self, within: Duration) -> Connection {
        let tcp = self.broker.accept_tcp(within).await;
        match &self.tls {
            None => Connection::on(tcp),
            Some(secure) => {
                let mut first = [0];
                tcp.peek(&mut first).await.expect("a first byte");
                assert_eq!(first, [0x16], "not a TLS handshake");
                let stream = acceptor(secure.tester(), secure.authority()).accept(tcp).await.expect("TLS");
                let version = stream.get_ref().1.protocol_version();
                use tokio_rustls::rustls::ProtocolVersion::{TLSv1_2, TLSv1_3};
                assert!(matches!(version, Some(TLSv1_2 | TLSv1_3)), "{version:?}");
                Connection::on(stream)
            }
        }
    }

    /// The next connection that says CONNECT.
    pub async fn connected(&self) -> (Connection, Connect) {
        let mut connection = self.accept(PATIENCE).await;
        let connect = connection.connect().await;
        assert_eq!(connect.level, self.version, "the version that is configured");
        (connection, connect)
    }

    /// The next connection, taken and with every filter granted.
    pub async fn subscribed(&self, connack: &[Property]) -> (Guest, Connect) {
        let (mut connection, connect) = self.connected().await;
        connection.connack(0, connack).await;
        let subscribe = connection.subscribe().await;
        connection.suback(subscribe.id, &granted(&subscribe)).await;
        (Guest::new(self, connection, subscribe), connect)
    }
}

/// The return codes that grant what was asked for.
pub fn granted(subscribe: &Subscribe) -> Vec<u8> {
    subscribe.filters.iter().map(|(_, qos)| qos & 3).collect()
}

/// The agent at the broker, and the controller that speaks to it through it.
pub struct Guest {
    pub connection: Connection,
    /// What it subscribed to at first.
    pub subscribe: Subscribe,
    /// Where the controller publishes.
    pub to: String,
    /// With which QoS.
    pub qos: u8,
    /// Where the controller wants the answer.
    pub reply_to: String,
    /// Content Type of what the controller publishes (5.0).
    pub content_type: &'static str,
    /// What the agent published last.
    pub last: Option<Publish>,
    last_id: u16,
}

impl Guest {
    pub fn new(inn: &Inn, connection: Connection, subscribe: Subscribe) -> Guest {
        Guest {
            connection,
            subscribe,
            to: inn.agent_topic.clone(),
            qos: 0,
            reply_to: inn.controller_topic.clone(),
            content_type: "usp.msg",
            last: None,
            last_id: 0,
        }
    }

    /// The next packet that is neither a PINGREQ nor one of the acknowledgements; a PUBLISH is acknowledged.
    pub async fn packet(&mut self, within: Duration) -> Option<Packet> {
        timeout(within, self.next()).await.expect("the EUT sends nothing")
    }

    async fn next(&mut self) -> Option<Packet> {
        loop {
            let packet = self.connection.read_patiently().await?;
            match packet.first >> 4 {
                3 => {
                    let published = self.connection.published(&packet);
                    if published.qos == 1 {
                        self.connection.ack(0x40, published.id).await;
                    }
                    self.last = Some(published);
                    return Some(packet);
                }
                4..=7 => {}
                12 => self.connection.write(&[0xd0, 0]).await,
                _ => return Some(packet),
            }
        }
    }

    /// The next packet of this kind, whatever comes before it.
    pub async fn packet_of(&mut self, kind: u8, within: Duration) -> Packet {
        let read = async {
            loop {
                let packet = self.next().await.expect("the EUT ends the connection");
                if packet.first >> 4 == kind {
                    return packet;
                }
            }
        };
        timeout(within, read).await.unwrap_or_else(|_| panic!("no packet of kind {kind} from the EUT"))
    }

    fn is_v5(&self) -> bool {
        self.connection.level == 5
    }
}

impl Wire for Guest {
    async fn send(&mut self, record: Bytes) {
        self.last_id += 1;
        let (properties, topic) = if self.is_v5() {
            let reply_to = Property::Text(id::RESPONSE_TOPIC, self.reply_to.clone());
            (vec![Property::Text(id::CONTENT_TYPE, self.content_type.to_owned()), reply_to], self.to.clone())
        } else {
            (Vec::new(), format!("{}/reply-to={}", self.to, self.reply_to.replace('/', "%2F")))
        };
        self.connection.send(self.qos, self.last_id, &topic, &properties, &record).await;
    }

    async fn receive(&mut self, within: Duration) -> Option<Bytes> {
        let read = async {
            loop {
                let packet = self.next().await?;
                if packet.first >> 4 == 3 {
                    return self.last.as_ref().map(|publish| Bytes::from(publish.payload.clone()));
                }
            }
        };
        timeout(within, read).await.expect("the EUT publishes nothing")
    }
}
