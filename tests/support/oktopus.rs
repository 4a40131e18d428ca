//! Oktopus as it was measured to behave: its broker or WebSocket, the adapter that keeps its list of devices, and its
//! REST server, in one. What would crash the adapter fails the test; what would make an answer unusable is an Err.
#![allow(dead_code, unreachable_pub)]

use crate::mqtt_broker::{Broker, Connection, Property, Publish, id};
use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use prost::Message as _;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, sleep_until, timeout, timeout_at};
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tokio_tungstenite::tungstenite::protocol::Message;
use tokio_tungstenite::{WebSocketStream, accept_hdr_async};
use usp_agent::usp::message;
use usp_agent::usp::wire::msg::body::MsgBody;
use usp_agent::usp::wire::msg::request::ReqType;
use usp_agent::usp::wire::msg::response::RespType;
use usp_agent::usp::wire::msg::{Error, Get, Msg};
use usp_agent::usp::wire::record::record::RecordType;
use usp_agent::usp::wire::record::{NoSessionContextRecord, Record};

/// Its endpoint id.
pub const CONTROLLER: &str = "oktopusController";
/// What the REST server waits for an answer.
pub const PATIENCE: Duration = Duration::from_secs(10);
/// How often the WebSocket server pings, and how long a pong may take.
const PING: Duration = Duration::from_secs(9);
const PONG: Duration = Duration::from_secs(1);
/// What the adapter asks a device that comes online.
const INFO: [&str; 5] = ["Manufacturer", "ModelName", "SoftwareVersion", "SerialNumber", "ProductClass"];
/// The console sends all its messages under this one.
const MSG_ID: &str = "b7dc38ea-aefb-4761-aa55-edaa97adb2f0";

/// Oktopus with one device at most.
pub struct Oktopus {
    door: Door,
    line: Option<Line>,
    /// A user and the password for it; None: AUTH_ENABLE is off.
    credentials: Option<(String, String)>,
    /// The device, as it named itself; empty before.
    pub eid: String,
    /// What the list of devices shows.
    pub online: bool,
    /// How often it came online.
    pub announced: u32,
    last_id: u16,
    /// Scaled down by tests that cannot wait so long.
    pub ping: Duration,
    next_ping: Instant,
    pong_due: Option<Instant>,
}

enum Door {
    Mqtt(Broker),
    WebSocket(TcpListener),
}

enum Line {
    Mqtt { connection: Connection, user: String },
    WebSocket { socket: Box<WebSocketStream<TcpStream>>, info_awaited: bool },
}

/// What the device did.
#[derive(Debug)]
pub enum Heard {
    /// It came online, and is asked who it is.
    Online,
    /// It said who it is: the values of [`INFO`].
    Info(Vec<String>),
    /// Something that the REST server takes for an answer.
    Api(Bytes),
    /// Something nobody listens to.
    Ignored(String),
    /// Something the access list forbids: there is no acknowledgement.
    Forbidden(String),
    /// A filter that the access list forbids.
    Refused(String),
    /// It is gone.
    Offline,
}

impl Oktopus {
    /// The broker, on a free port of the loopback.
    pub async fn mqtt() -> (Self, u16) {
        let broker = Broker::new().await;
        let port = broker.port;
        (Self::behind(Door::Mqtt(broker)), port)
    }

    /// The WebSocket server, likewise.
    pub async fn websocket() -> (Self, u16) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        (Self::behind(Door::WebSocket(listener)), port)
    }

    fn behind(door: Door) -> Self {
        Self {
            door,
            line: None,
            credentials: None,
            eid: String::new(),
            online: false,
            announced: 0,
            last_id: 0,
            ping: PING,
            next_ping: Instant::now(),
            pong_due: None,
        }
    }

    /// AUTH_ENABLE, with one user.
    pub fn with_credentials(mut self, user: &str, password: &str) -> Self {
        self.credentials = Some((user.to_owned(), password.to_owned()));
        self
    }

    /// Takes the next connection; Err says why it was turned away.
    pub async fn accept(&mut self) -> Result<(), String> {
        match &self.door {
            Door::Mqtt(broker) => {
                let connection = broker.accept().await;
                self.welcome(connection).await
            }
            Door::WebSocket(listener) => {
                let (tcp, _) = timeout(PATIENCE, listener.accept()).await.expect("nobody connects").unwrap();
                self.upgrade(tcp).await
            }
        }
    }

    /// The device comes online and says who it is.
    pub async fn online(&mut self) -> Vec<String> {
        self.accept().await.unwrap();
        let until = Instant::now() + PATIENCE;
        loop {
            if let Heard::Info(info) = self.heard(until).await.expect("the device does not say who it is") {
                return info;
            }
        }
    }

    async fn welcome(&mut self, mut connection: Connection) -> Result<(), String> {
        let connect = connection.connect().await;
        // The value of the first user property, whatever its name.
        let pair = connect.properties.iter().find_map(|property| match property {
            Property::Pair(_, value) => Some(value.clone()),
            _ => None,
        });
        self.eid = pair.unwrap_or_default();
        let topic = Property::Pair("subscribe-topic".into(), format!("oktopus/usp/v1/agent/{}", self.eid));
        let user = connect.username.unwrap_or_default();
        let given = (user.clone(), connect.password.unwrap_or_default());
        let refused = self.credentials.as_ref().is_some_and(|known| *known != given);
        connection.connack(if refused { 0x86 } else { 0 }, &[topic]).await;
        if refused {
            return Err(format!("user `{user}`"));
        }
        self.line = Some(Line::Mqtt { connection, user });
        Ok(())
    }

    async fn upgrade(&mut self, tcp: TcpStream) -> Result<(), String> {
        let mut asked = String::new();
        #[allow(clippy::result_large_err)] // As tungstenite wants it.
        let answer = |request: &Request, mut response: Response| -> Result<Response, ErrorResponse> {
            asked = request.uri().to_string();
            let headers = response.headers_mut();
            headers.insert("Sec-WebSocket-Protocol", "v1.usp".parse().unwrap());
            headers.insert("Sec-Websocket-Version", "13".parse().unwrap());
            Ok(response)
        };
        let socket = accept_hdr_async(tcp, answer).await.unwrap();
        let (path, query) = asked.split_once('?').unwrap_or((&asked, ""));
        self.eid = query.strip_prefix("eid=").unwrap_or_default().to_owned();
        let wanted = self.credentials.as_ref().map_or(String::new(), |(_, password)| format!("/{password}"));
        if self.eid.is_empty() || path != format!("/ws/agent{wanted}") {
            return Err(asked);
        }
        (self.next_ping, self.pong_due) = (Instant::now() + self.ping, None);
        self.line = Some(Line::WebSocket { socket: Box::new(socket), info_awaited: true });
        self.come_online().await;
        Ok(())
    }

    /// A device is announced, and the adapter asks it who it is.
    async fn come_online(&mut self) {
        self.online = true;
        self.announced += 1;
        self.send(who_are_you(), "info", "controller").await;
    }

    /// A request, and the topic it wants the answer at.
    pub async fn send(&mut self, request: ReqType, msg_id: &str, reply_to: &str) {
        let record = record(&self.eid, msg_id, request);
        self.last_id += 1;
        match self.line.as_mut().expect("no device is connected") {
            Line::Mqtt { connection, .. } => {
                let topic = format!("oktopus/usp/v1/agent/{}", self.eid);
                let reply_to = Property::Text(id::RESPONSE_TOPIC, format!("oktopus/usp/v1/{reply_to}/{}", self.eid));
                connection.send(1, self.last_id, &topic, &[reply_to], &record).await;
            }
            Line::WebSocket { socket, .. } => socket.send(Message::binary(record)).await.unwrap(),
        }
    }

    /// What the REST server is asked: the first thing that comes within 10 s is the answer, whatever it answers.
    /// Err: the status it ends with.
    pub async fn ask_as(&mut self, msg_id: &str, request: ReqType) -> Result<Msg, u16> {
        self.send(request, msg_id, "api").await;
        let until = Instant::now() + PATIENCE;
        loop {
            match self.heard(until).await {
                None => return Err(504),
                Some(Heard::Offline) => return Err(503),
                Some(Heard::Api(payload)) => return Ok(Msg::decode(payload).unwrap()),
                Some(_) => {}
            }
        }
    }

    /// What a button of the console gets.
    pub async fn ask(&mut self, request: ReqType) -> Result<RespType, Error> {
        let answer = self.ask_as(MSG_ID, request).await.expect("a status of 200");
        assert_eq!(answer.header.expect("a header").msg_id, MSG_ID);
        match answer.body.and_then(|body| body.msg_body) {
            Some(MsgBody::Response(response)) => Ok(response.resp_type.expect("a response")),
            Some(MsgBody::Error(error)) => Err(error),
            other => panic!("the REST server says 500 to {other:?}"),
        }
    }

    /// What the device does next; None where it does nothing in time.
    pub async fn heard(&mut self, until: Instant) -> Option<Heard> {
        loop {
            let heard = match self.line.as_ref().expect("no device is connected") {
                Line::Mqtt { .. } => self.packet(until).await?,
                Line::WebSocket { .. } => self.frame(until).await?,
            };
            if let Heard::Offline = heard {
                (self.online, self.line) = (false, None);
            }
            if !matches!(&heard, Heard::Ignored(what) if what.is_empty()) {
                return Some(heard);
            }
        }
    }

    /// Ends the connection without a word.
    pub fn cut(&mut self) {
        (self.online, self.line) = (false, None);
    }

    async fn packet(&mut self, until: Instant) -> Option<Heard> {
        let Some(Line::Mqtt { connection, user }) = self.line.as_mut() else { return None };
        let Some(packet) = timeout_at(until, connection.read_patiently()).await.ok()? else {
            return Some(Heard::Offline);
        };
        let allowed = |topic: &str, own: &[String]| own.iter().any(|own| topic.starts_with(own.as_str()));
        match packet.first >> 4 {
            3 => {
                let publish = connection.published(&packet);
                let own = ["oktopus/usp/v1/controller".to_owned(), format!("oktopus/usp/v1/api/{user}")];
                if self.credentials.is_some() && !allowed(&publish.topic, &own) {
                    return Some(Heard::Forbidden(publish.topic));
                }
                if publish.qos == 1 {
                    connection.ack(0x40, publish.id).await;
                }
                Some(self.published(publish))
            }
            8 => {
                let subscribe = connection.subscription(&packet);
                let own = format!("oktopus/usp/v1/agent/{user}");
                let takes = |filter: &str| self.credentials.is_none() || filter == own;
                let codes = subscribe.filters.iter().map(|(filter, _)| if takes(filter) { 1 } else { 0x87 });
                let codes: Vec<u8> = codes.collect();
                connection.suback(subscribe.id, &codes).await;
                let first = subscribe.filters[0].0.clone();
                // It is announced whether or not the filter was refused; the request is not delivered then.
                match (first.contains("oktopus/usp/v1/agent") && !self.eid.is_empty(), codes[0]) {
                    (true, 1) => self.come_online().await,
                    (_, 0x87) => return Some(Heard::Refused(first)),
                    _ => return Some(Heard::Ignored(first)),
                }
                Some(Heard::Online)
            }
            12 => {
                connection.write(&[0xd0, 0]).await;
                Some(Heard::Ignored(String::new()))
            }
            14 => Some(Heard::Offline),
            _ => Some(Heard::Ignored(String::new())),
        }
    }

    /// By the parts of the topic, as the adapter tells them apart.
    fn published(&self, publish: Publish) -> Heard {
        let topic = publish.topic;
        let for_adapter = topic.contains("controller") && topic != "oktopus/usp/v1/controller";
        match (topic.contains("status"), for_adapter, topic.contains("/api/")) {
            (false, true, _) => Heard::Info(adapter(&publish.payload)),
            (false, _, true) => Heard::Api(payload(&publish.payload).expect("nil dereference in the REST server")),
            _ => Heard::Ignored(topic),
        }
    }

    async fn frame(&mut self, until: Instant) -> Option<Heard> {
        let Some(Line::WebSocket { socket, info_awaited }) = self.line.as_mut() else { return None };
        let tick = self.pong_due.unwrap_or(self.next_ping);
        tokio::select! {
            () = sleep_until(until) => None,
            message = socket.next() => match message {
                Some(Ok(Message::Binary(bytes))) => {
                    // Records without a message, such as a greeting, are passed over; the first with one is tagged.
                    let Some(payload) = payload(&bytes) else { return Some(Heard::Ignored("record".into())) };
                    Some(match std::mem::take(info_awaited) {
                        true => Heard::Info(adapter(&bytes)),
                        false => Heard::Api(payload),
                    })
                }
                Some(Ok(Message::Pong(_))) => {
                    (self.pong_due, self.next_ping) = (None, Instant::now() + self.ping);
                    Some(Heard::Ignored(String::new()))
                }
                Some(Ok(Message::Close(_)) | Err(_)) | None => Some(Heard::Offline),
                Some(Ok(_)) => Some(Heard::Ignored(String::new())),
            },
            () = sleep_until(tick) => match self.pong_due {
                Some(_) => Some(Heard::Offline),
                None => {
                    socket.send(Message::Ping(Bytes::new())).await.unwrap();
                    self.pong_due = Some(Instant::now() + PONG);
                    Some(Heard::Ignored(String::new()))
                }
            },
        }
    }
}

fn who_are_you() -> ReqType {
    let param_paths = INFO.iter().map(|name| format!("Device.DeviceInfo.{name}")).collect();
    ReqType::Get(Get { param_paths, max_depth: 1 })
}

/// The record of that question.
pub fn info_request(eid: &str) -> Vec<u8> {
    record(eid, "info", who_are_you())
}

fn record(eid: &str, msg_id: &str, request: ReqType) -> Vec<u8> {
    let payload = message::request(msg_id, request);
    let record = Record {
        version: "1.0".into(),
        to_id: eid.into(),
        from_id: CONTROLLER.into(),
        record_type: Some(RecordType::NoSessionContext(NoSessionContextRecord { payload })),
        ..Record::default()
    };
    record.encode_to_vec()
}

/// The message in a record without session context.
fn payload(record: &[u8]) -> Option<Bytes> {
    match Record::decode(record).unwrap().record_type {
        Some(RecordType::NoSessionContext(context)) => Some(context.payload),
        _ => None,
    }
}

/// What the adapter makes of the answer to its question; it looks at nothing before it takes it.
pub fn adapter(record: &[u8]) -> Vec<String> {
    let payload = payload(record).expect("the adapter dies: nil dereference, it is no record without session context");
    let body = Msg::decode(payload).unwrap().body.and_then(|body| body.msg_body);
    let Some(MsgBody::Response(response)) = body else { panic!("the adapter dies of a type assertion: {body:?}") };
    let Some(RespType::GetResp(response)) = response.resp_type else {
        panic!("the adapter dies: nil dereference, {response:?}")
    };
    let results = response.req_path_results;
    let value = |(at, name): (usize, &&str)| {
        let object = results.get(at).and_then(|result| result.resolved_path_results.first());
        let object = object.unwrap_or_else(|| panic!("the adapter dies: index out of range, {name} in {results:?}"));
        object.result_params.get(*name).cloned().unwrap_or_default()
    };
    INFO.iter().enumerate().map(value).collect()
}
