//! The transports of USP: bytes in, bytes out, connected or lost.
//!
//! A link is a task of its own: it connects, reconnects by the specification's back-off, keeps
//! alive, and never waits for the data model. The daemon hears of it through [`LinkEvent`]s on one
//! bounded channel and speaks to it through a [`LinkHandle`]. Nothing here parses a USP record.

use bytes::Bytes;

pub mod backoff;
mod class;
pub(crate) mod dns;
pub mod http;
mod link;
pub mod mqtt;
mod pipe;
mod report;
pub(crate) mod resolver;
mod server;
pub mod stomp;
mod stream;
pub mod tls;
pub mod unix_socket;
pub mod websocket;

pub use class::{CLASSES, Class};
pub use report::{HELD_BYTES, HELD_EVENTS, HELD_RECORDS};
pub use server::{MAX_HANDSHAKES, MAX_SESSIONS};
pub use stream::{Family, Limits, Way};

/// Which link of this process, given by the daemon when it starts one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LinkId(pub u32);

/// One established connection of a link. A reconnection is a new session; a WebSocket server has
/// one per peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Channel {
    /// The link.
    pub link: LinkId,
    /// Counts up from 1 with every connection of the link.
    pub session: u32,
}

/// Where a record goes beside the channel itself.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Destination {
    /// The peer of the channel (WebSocket, UNIX socket).
    #[default]
    Peer,
    /// An MQTT topic or a STOMP destination.
    Topic {
        /// The full topic.
        topic: Box<str>,
        /// PublishRetainResponse or PublishRetainNotify; ignored by STOMP.
        retain: bool,
    },
}

/// What a link tells the daemon.
#[derive(Debug)]
pub enum LinkEvent {
    /// The transport is up (MQTT: after a successful SUBACK; WebSocket: after the handshake; STOMP: after
    /// SUBSCRIBE, and again for the same session when its destination changed).
    Connected {
        /// The session.
        channel: Channel,
        /// What is known of the other side.
        peer: Peer,
    },
    /// Bytes that should be a USP record.
    Record {
        /// Where they came in.
        channel: Channel,
        /// One record, at most `MAX_RECORD` bytes.
        bytes: Bytes,
        /// MQTT response topic (5.0 property or 3.1.1 `/reply-to=`), STOMP `reply-to-dest`, or None.
        reply_to: Option<Box<str>>,
        /// When they came; the daemon may be busy.
        at: tokio::time::Instant,
    },
    /// The connection, or the attempt at one, ended. The link goes on trying unless it is a server's session.
    Lost {
        /// The session that ended; session 0 where none was established.
        channel: Channel,
        /// One sentence that names the fault and what to check.
        why: Box<str>,
        /// Where the fault lies.
        fault: Fault,
        /// What kind of fault it is.
        class: Class,
        /// Milliseconds until the next try, None where there is none.
        retry_in: Option<u64>,
    },
    /// A server listens, after a try that had failed.
    Listening {
        /// The link.
        link: LinkId,
    },
    /// The other side answered [`LinkCommand::Probe`].
    Alive {
        /// The session.
        channel: Channel,
    },
    /// Something a person should know while the link stays up (a refused filter, a text frame, ...).
    Remark {
        /// The link.
        link: LinkId,
        /// One sentence.
        what: Box<str>,
        /// What kind of fault it is, where it is one that keeps records from the controller.
        class: Option<Class>,
    },
}

/// Where the fault lies that ended a session, or an attempt at one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Fault {
    /// The other side was not reached, or the connection broke.
    #[default]
    Network,
    /// The other side refuses, or does not keep to the protocol.
    Peer,
    /// Nothing comes of it until the configuration, here or there, is another.
    Configuration,
}

/// What is known of the other side of a session.
#[derive(Debug, Clone, Default)]
pub struct Peer {
    /// Encrypted with TLS.
    pub encrypted: bool,
    /// A process of this router, on a UNIX socket.
    pub local: bool,
    /// Endpoint ids in the peer certificate's subjectAltName (`urn:bbf:usp:id:`); for a brokered MTP the broker's.
    pub certificate_ids: Vec<Box<str>>,
    /// DER of the peer's end-entity certificate.
    pub certificate: Option<Bytes>,
    /// How that stands to what is trusted.
    pub standing: tls::Standing,
    /// It came to a server of ours.
    pub accepted: bool,
    /// WebSocket server: the `eid` of the request URI or the `bbf-usp-protocol` extension; UNIX socket: of the handshake.
    pub endpoint_id: Option<Box<str>>,
    /// MQTT: the topic the other side answers to (Response Information, else ResponseTopicConfigured).
    /// STOMP: the destination that is subscribed to.
    pub response_topic: Option<Box<str>>,
    /// STOMP: the server named that destination.
    pub topic_from_server: bool,
    /// MQTT: protocol level in use (5 or 4); 0 elsewhere.
    pub mqtt_level: u8,
    /// MQTT 5.0: the client identifier the broker assigned, to be kept in Client.{i}.ClientID.
    pub assigned_client_id: Option<Box<str>>,
    /// The peer's address as text, for the log.
    pub address: Box<str>,
}

/// What the daemon tells a link.
#[derive(Debug)]
pub enum LinkCommand {
    /// Send a record; dropped with a [`LinkEvent::Remark`] when the session is gone.
    Send {
        /// The session it is meant for.
        channel: Channel,
        /// The encoded record.
        record: Bytes,
        /// Where to.
        to: Destination,
    },
    /// The uplink is up: forget the back-off and try at once; nothing where connected.
    TryNow,
    /// End one session: WebSocket close code and reason (1003 for a record that cannot be parsed); UNIX socket: an Error
    /// with the reason.
    Close {
        /// The session.
        channel: Channel,
        /// WebSocket close code; ignored by others.
        code: u16,
        /// A short reason.
        reason: Box<str>,
    },
    /// Ask the other side whether it is there: [`LinkEvent::Alive`] is its answer.
    Probe {
        /// The session.
        channel: Channel,
    },
    /// MQTT: the set of subscription filters changed; subscribe and unsubscribe the difference.
    /// STOMP: the one destination to subscribe to.
    Filters(Vec<(Box<str>, u8)>),
    /// Say goodbye and end the task (MQTT and STOMP DISCONNECT, WebSocket Close 1000), within 2 seconds.
    Shutdown,
}

/// The daemon's end of a link.
#[derive(Debug, Clone)]
pub struct LinkHandle {
    /// What went over the link so far.
    pub traffic: std::sync::Arc<Traffic>,
    /// Bounded: [`QUEUE`] commands. `try_send` only; a full queue means a peer that stalls.
    pub commands: tokio::sync::mpsc::Sender<LinkCommand>,
}

/// Packets of a link since it was started, where its transport counts them (MQTT).
#[derive(Debug, Default)]
pub struct Traffic {
    /// Sent.
    pub sent: std::sync::atomic::AtomicU32,
    /// Received.
    pub received: std::sync::atomic::AtomicU32,
    /// PUBLISH sent, and when the last one was, in seconds since 1970.
    pub published: std::sync::atomic::AtomicU32,
    #[allow(missing_docs)]
    pub published_at: std::sync::atomic::AtomicU32,
    /// PUBLISH received, and when the last one was.
    pub delivered: std::sync::atomic::AtomicU32,
    #[allow(missing_docs)]
    pub delivered_at: std::sync::atomic::AtomicU32,
    /// SUBSCRIBE sent.
    pub subscribed: std::sync::atomic::AtomicU32,
    /// UNSUBSCRIBE sent.
    pub unsubscribed: std::sync::atomic::AtomicU32,
    /// PUBLISH that the broker refused or never acknowledged.
    pub publish_errors: std::sync::atomic::AtomicU32,
}

/// Seconds for people, `1.5`: the standard library's writer of fractions takes 11 KB of flash.
pub(crate) fn seconds(time: std::time::Duration) -> String {
    let (whole, thousandths) = (time.as_secs(), time.subsec_millis());
    match thousandths {
        0 => whole.to_string(),
        thousandths => format!("{whole}.{thousandths:03}").trim_end_matches('0').to_owned(),
    }
}

/// The largest USP record accepted or sent, in bytes.
pub const MAX_RECORD: usize = 1024 * 1024;

/// Commands and events waiting at most, per channel.
pub const QUEUE: usize = 32;
