//! USP over MQTT 5.0 and 3.1.1 (R-MQTT.*): one connection to one broker, kept up.
//!
//! The packets are rumqttc's; its event loop is not used, for it cannot meet the requirements named in
//! docs/decisions (keep-alive times below five seconds, a PUBACK that never comes, the reason a broker
//! gives for refusing). MQTT over WebSocket and extended authentication (AUTH) are not offered.

mod client;
mod encode;
mod inflight;
mod packet;
mod reason;
mod session;
mod topics;
mod wire;

use super::link::{Desk, keep_up};
use super::{Limits, LinkEvent, LinkHandle, LinkId, MAX_RECORD, backoff, tls};
use std::time::Duration;
use tokio::sync::mpsc;

/// The largest MQTT packet accepted: a record and the topics and properties around it, in bytes.
pub const MAX_PACKET: usize = MAX_RECORD + 128 * 1024;
/// Publishes of QoS 1 and 2 under way at once, each way (Receive Maximum).
pub const MAX_INFLIGHT: u16 = 16;

/// A topic filter and its QoS.
pub type Filter = (Box<str>, u8);

/// ProtocolVersion.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Version {
    /// MQTT 5.0.
    #[default]
    V5,
    /// MQTT 3.1.1.
    V311,
}

impl Version {
    /// The protocol level in CONNECT.
    pub fn level(self) -> u8 {
        match self {
            Version::V5 => 5,
            Version::V311 => 4,
        }
    }
}

/// A message the broker publishes when we are gone without a DISCONNECT.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Will {
    /// WillTopic.
    pub topic: Box<str>,
    /// WillValue.
    pub payload: Box<str>,
    /// WillQoS.
    pub qos: u8,
    /// WillRetain.
    pub retain: bool,
}

/// One `Device.MQTT.Client.{i}.` with what `LocalAgent.MTP.{i}.MQTT.` says of it.
pub struct Settings {
    /// BrokerAddress.
    pub host: Box<str>,
    /// BrokerPort.
    pub port: u16,
    /// None: TransportProtocol TCP/IP; else TLS.
    pub tls: Option<tls::ClientTls>,
    /// ProtocolVersion.
    pub version: Version,
    /// ClientID; empty: assigned by the broker (5.0) or our endpoint id (3.1.1), R-MQTT.8.
    pub client_id: Box<str>,
    /// Our endpoint id.
    pub own_id: Box<str>,
    /// Username; empty: none.
    pub username: Box<str>,
    /// Password; empty: none. Never logged.
    pub password: Box<str>,
    /// KeepAliveTime in seconds; zero: no PINGREQ.
    pub keep_alive: u16,
    /// CleanStart (5.0) or CleanSession (3.1.1).
    pub clean_start: bool,
    /// SessionExpiryInterval in seconds (5.0).
    pub session_expiry: Option<u32>,
    /// After this time the same filters are subscribed to again; None: never.
    pub resubscribe: Option<Duration>,
    /// RequestResponseInfo (5.0).
    pub request_response_info: bool,
    /// RequestProblemInfo (5.0).
    pub request_problem_info: bool,
    /// The will, where one is configured.
    pub will: Option<Will>,
    /// Topic and QoS of the enabled Subscription rows.
    pub filters: Vec<Filter>,
    /// ResponseTopicConfigured.
    pub response_topic: Option<Box<str>>,
    /// PublishQoS.
    pub publish_qos: u8,
    /// ConnectRetryTime, ConnectRetryIntervalMultiplier and ConnectRetryMaxInterval.
    pub retry: backoff::Policy,
    /// MessageRetryTime (3.1.1): a publish that is not acknowledged is sent again after this time.
    pub message_retry: Duration,
    /// After this time a publish that is not acknowledged is given up, with a remark.
    pub ack_timeout: Duration,
    /// What the broker can delay.
    pub limits: Limits,
}

/// [`Settings::ack_timeout`] where nothing else is configured.
pub const ACK_TIMEOUT: Duration = Duration::from_secs(20);

/// A link to a broker: poll the future to make it work; it ends after Shutdown.
pub fn start(
    settings: Settings,
    link: LinkId,
    events: mpsc::Sender<LinkEvent>,
) -> (LinkHandle, impl Future<Output = ()> + Send) {
    let (handle, desk) = Desk::new(link, events);
    let retry = settings.retry;
    let client = client::Client::new(settings, handle.traffic.clone());
    (handle, keep_up(client, desk, retry, Duration::ZERO))
}
