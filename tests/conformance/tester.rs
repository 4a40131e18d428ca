//! The traffic generator of TP-469: a controller that sends exactly what it is told and judges every record it gets.
//!
//! It speaks through the links of this crate but encodes and checks records and messages itself, so that a case can send
//! what no well-behaved controller would, and leave notifications unanswered.

use std::collections::{HashMap, VecDeque};
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use bytes::Bytes;
use prost::Message as _;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};
use usp_agent::mtp::mqtt::{self, Version};
use usp_agent::mtp::tls::{ClientTls, ServerTls};
use usp_agent::mtp::{
    Channel, Destination, Limits, LinkCommand, LinkEvent, LinkHandle, LinkId, QUEUE, backoff, stomp, unix_socket,
    websocket,
};
use usp_agent::usp::wire::msg::body::MsgBody;
use usp_agent::usp::wire::msg::header::MsgType;
use usp_agent::usp::wire::msg::notify::Notification;
use usp_agent::usp::wire::msg::request::ReqType;
use usp_agent::usp::wire::msg::response::RespType;
use usp_agent::usp::wire::msg::{self, Msg};
use usp_agent::usp::wire::record::record::RecordType;
use usp_agent::usp::wire::record::{NoSessionContextRecord, Record};

use crate::rabbitmq::USER;

/// How long an answer may take; TP-469 leaves it open, TR-369 asks for notifications within 10 seconds (R-NOT.0a).
pub const PATIENCE: Duration = Duration::from_secs(20);
const EAGER: backoff::Policy =
    backoff::Policy { minimum: Duration::from_millis(100), multiplier: None, maximum: None, from_zero: false };

/// A Notify as it came.
#[derive(Debug, Clone)]
pub struct Heard {
    pub at: Instant,
    pub msg_id: String,
    pub notify: msg::Notify,
}

#[derive(Debug)]
pub struct Tester {
    pub own_id: String,
    pub agent_id: String,
    /// Leaves notifications that want an answer without one.
    pub silent: bool,
    link: LinkHandle,
    events: mpsc::Receiver<LinkEvent>,
    channel: Option<Channel>,
    to: Destination,
    heard: VecDeque<Heard>,
    answers: HashMap<String, MsgBody>,
    last_id: u32,
    connects: u32,
    records: u32,
    notes: String,
    disconnects: Vec<u32>,
}

/// Where a tester and the agent listen at a broker.
#[derive(Debug, Clone, Copy)]
pub struct BrokerTopics<'a> {
    pub own: &'a str,
    pub agent: &'a str,
    pub client_id: &'a str,
}

fn listening(own_id: &str, listen: SocketAddr, tls: Option<ServerTls>) -> (LinkHandle, mpsc::Receiver<LinkEvent>) {
    let (events, heard) = mpsc::channel(QUEUE);
    let settings = websocket::ServerSettings {
        listen,
        path: "/usp".into(),
        tls,
        own_id: own_id.into(),
        keep_alive: Duration::ZERO,
        limits: Limits::default(),
    };
    let (link, task) = websocket::listen(settings, LinkId(0), events);
    tokio::task::spawn_local(task);
    (link, heard)
}

impl Tester {
    /// Waits for the agent on a WebSocket of its own.
    pub fn on_websocket(own_id: &str, agent_id: &str, port: u16, tls: Option<ServerTls>) -> Self {
        let (link, events) = listening(own_id, SocketAddr::from((Ipv4Addr::LOCALHOST, port)), tls);
        Self::new(own_id, agent_id, link, events, Destination::Peer)
    }

    /// Comes to the WebSocket of the agent.
    pub fn to_agent(
        own_id: &str,
        agent_id: &str,
        (host, port, path): (&str, u16, &str),
        tls: Option<ClientTls>,
    ) -> Self {
        let (events, heard) = mpsc::channel(QUEUE);
        let settings = websocket::ClientSettings {
            host: host.into(),
            port,
            path: path.into(),
            tls,
            own_id: own_id.into(),
            keep_alive: Duration::ZERO,
            retry: EAGER,
            hold_off_after_loss: Duration::ZERO,
            limits: Limits::default(),
        };
        let (link, task) = websocket::start(settings, LinkId(0), events);
        tokio::task::spawn_local(task);
        Self::new(own_id, agent_id, link, heard, Destination::Peer)
    }

    /// Waits for the agent at a UNIX socket of its own.
    pub fn at_socket(own_id: &str, agent_id: &str, path: &str) -> Self {
        let (events, heard) = mpsc::channel(QUEUE);
        let (link, task) = unix_socket::listen(unix_socket::Settings::new(path, own_id), LinkId(0), events);
        tokio::task::spawn_local(task);
        Self::new(own_id, agent_id, link, heard, Destination::Peer)
    }

    /// Comes to the UNIX socket of the agent.
    pub fn to_socket(own_id: &str, agent_id: &str, path: &str) -> Self {
        let (events, heard) = mpsc::channel(QUEUE);
        let (link, task) = unix_socket::start(unix_socket::Settings::new(path, own_id), LinkId(0), events);
        tokio::task::spawn_local(task);
        Self::new(own_id, agent_id, link, heard, Destination::Peer)
    }

    /// Meets the agent at a broker; listens to `own_topic` before it returns.
    pub async fn at_broker(
        own_id: &str,
        agent_id: &str,
        (host, port, tls): (&str, u16, Option<ClientTls>),
        version: Version,
        topics: BrokerTopics<'_>,
    ) -> Self {
        let (events, heard) = mpsc::channel(QUEUE);
        let settings = mqtt::Settings {
            host: host.into(),
            port,
            tls,
            version,
            client_id: topics.client_id.into(),
            own_id: own_id.into(),
            username: "".into(),
            password: "".into(),
            keep_alive: 60,
            clean_start: true,
            session_expiry: None,
            resubscribe: None,
            request_response_info: false,
            request_problem_info: true,
            will: None,
            filters: Vec::new(),
            response_topic: Some(topics.own.into()),
            publish_qos: 1,
            retry: EAGER,
            message_retry: mqtt::ACK_TIMEOUT,
            ack_timeout: mqtt::ACK_TIMEOUT,
            limits: Limits::default(),
        };
        let (link, task) = mqtt::start(settings, LinkId(0), events);
        tokio::task::spawn_local(task);
        let to = Destination::Topic { topic: topics.agent.into(), retain: false };
        let mut tester = Self::new(own_id, agent_id, link, heard, to);
        assert!(tester.has_channel_within(PATIENCE).await, "the broker does not take the tester");
        tester
    }

    /// Meets the agent at a STOMP server; listens to the first of the destinations before it returns.
    pub async fn at_stomp(
        own_id: &str,
        agent_id: &str,
        (host, port, tls): (&str, u16, Option<ClientTls>),
        (own, agent): (&str, &str),
    ) -> Self {
        let (events, heard) = mpsc::channel(QUEUE);
        let settings = stomp::Settings {
            host: host.into(),
            port,
            tls,
            own_id: own_id.into(),
            virtual_host: "".into(),
            username: USER.into(),
            password: USER.into(),
            heartbeats: None,
            destination: own.into(),
            retry: EAGER,
            limits: Limits::default(),
        };
        let (link, task) = stomp::start(settings, LinkId(0), events);
        tokio::task::spawn_local(task);
        let to = Destination::Topic { topic: agent.into(), retain: false };
        let mut tester = Self::new(own_id, agent_id, link, heard, to);
        assert!(tester.has_channel_within(PATIENCE).await, "the STOMP server does not take the tester");
        tester
    }

    fn new(own_id: &str, agent_id: &str, link: LinkHandle, events: mpsc::Receiver<LinkEvent>, to: Destination) -> Self {
        Self {
            own_id: own_id.to_owned(),
            agent_id: agent_id.to_owned(),
            silent: false,
            link,
            events,
            channel: None,
            to,
            heard: VecDeque::new(),
            answers: HashMap::new(),
            last_id: 0,
            connects: 0,
            records: 0,
            notes: String::new(),
            disconnects: Vec::new(),
        }
    }

    /// Waits for the Connect record that opens every channel (R-MTP.6); `count` is how many came in all.
    pub async fn connected(&mut self, count: u32) {
        let until = Instant::now() + PATIENCE;
        while self.connects < count {
            assert!(self.hear(until).await, "no Connect record number {count} from the EUT");
        }
    }

    /// Whether there is a connection within this time.
    pub async fn has_channel_within(&mut self, time: Duration) -> bool {
        let until = Instant::now() + time;
        while self.channel.is_none() {
            if !self.hear(until).await {
                return false;
            }
        }
        true
    }

    /// How many Connect records came.
    pub fn connects(&self) -> u32 {
        self.connects
    }

    /// The reason codes of the Disconnect records that came.
    pub fn disconnects(&self) -> Vec<u32> {
        self.disconnects.clone()
    }

    /// How many records came.
    pub fn records(&self) -> u32 {
        self.records
    }

    /// Whether more than so many records came in all after this time.
    pub async fn hears_more_than(&mut self, records: u32, within: Duration) -> bool {
        let until = Instant::now() + within;
        while self.records <= records {
            if !self.hear(until).await {
                return false;
            }
        }
        true
    }

    /// What happened to its connections.
    pub fn notes(&self) -> &str {
        &self.notes
    }

    /// Sends a request and gives its msg_id.
    pub fn send(&mut self, request: ReqType) -> String {
        let (own, agent) = (self.own_id.clone(), self.agent_id.clone());
        self.send_between(&own, &agent, request)
    }

    /// Sends a request in a record with these endpoint ids.
    pub fn send_between(&mut self, from: &str, to: &str, request: ReqType) -> String {
        self.last_id += 1;
        let id = format!("tp469-{}", self.last_id);
        let body = MsgBody::Request(msg::Request { req_type: Some(request) });
        let message = message(&id, body);
        self.send_record(record(from, to, message));
        id
    }

    /// Sends bytes where a record belongs.
    pub fn send_record(&mut self, record: Bytes) {
        let channel = self.channel.expect("there is no connection to the EUT");
        let send = LinkCommand::Send { channel, record, to: self.to.clone() };
        self.link.commands.try_send(send).expect("the link takes nothing more");
    }

    /// Sends a request and waits for the Response or the Error message to it.
    pub async fn ask(&mut self, request: ReqType) -> Result<RespType, msg::Error> {
        let id = self.send(request);
        match self.answer(&id, PATIENCE).await {
            Some(MsgBody::Response(response)) => Ok(response.resp_type.expect("an empty Response")),
            Some(MsgBody::Error(error)) => Err(error),
            other => panic!("the EUT does not answer the request: {other:?}"),
        }
    }

    /// What comes in answer to `id` within this time.
    pub async fn answer(&mut self, id: &str, within: Duration) -> Option<MsgBody> {
        let until = Instant::now() + within;
        loop {
            match self.answers.remove(id) {
                Some(answer) => return Some(answer),
                None if self.hear(until).await => {}
                None => return None,
            }
        }
    }

    /// The next Notify that fits, whether it came already or comes within this time.
    pub async fn notify_within(&mut self, time: Duration, fits: impl Fn(&msg::Notify) -> bool) -> Option<Heard> {
        let until = Instant::now() + time;
        loop {
            let at = self.heard.iter().position(|heard| fits(&heard.notify));
            match at.and_then(|at| self.heard.remove(at)) {
                Some(heard) => return Some(heard),
                None if self.hear(until).await => {}
                None => return None,
            }
        }
    }

    /// The Notify of this subscription; the case fails without one.
    pub async fn notify(&mut self, subscription_id: &str) -> msg::Notify {
        let heard = self.notify_within(PATIENCE, |notify| notify.subscription_id == subscription_id).await;
        heard.unwrap_or_else(|| panic!("the EUT sends no Notify of subscription {subscription_id}")).notify
    }

    /// The case fails when a Notify that fits comes within this time.
    pub async fn no_notify(&mut self, time: Duration, fits: impl Fn(&msg::Notify) -> bool) {
        if let Some(heard) = self.notify_within(time, fits).await {
            panic!("the EUT sends a Notify: {:?}", heard.notify);
        }
    }

    /// Answers a Notify.
    pub fn answer_notify(&mut self, heard: &Heard) {
        let answer = msg::NotifyResp { subscription_id: heard.notify.subscription_id.clone() };
        let body = MsgBody::Response(msg::Response { resp_type: Some(RespType::NotifyResp(answer)) });
        let message = message(&heard.msg_id, body);
        self.send_record(record(&self.own_id, &self.agent_id, message));
    }

    /// Takes in one event of the link; false when none came in time.
    async fn hear(&mut self, until: Instant) -> bool {
        let Some(event) = timeout_at(until, self.events.recv()).await.ok() else { return false };
        match event.expect("the tester's link has ended") {
            LinkEvent::Connected { channel, .. } => self.channel = Some(channel),
            LinkEvent::Record { channel, bytes, .. } => {
                self.channel = Some(channel);
                self.take(bytes);
            }
            LinkEvent::Lost { channel, why, retry_in, .. } => {
                if retry_in.is_some() {
                    self.hurry();
                }
                self.notes.push_str(&format!("tester {}: {why}\n", self.own_id));
                self.channel = self.channel.filter(|current| *current != channel);
            }
            LinkEvent::Listening { .. } | LinkEvent::Alive { .. } | LinkEvent::Remark { .. } => {}
        }
        true
    }

    /// Tries again before the time of R-UDS.5: that is the agent's to keep.
    fn hurry(&self) {
        let commands = self.link.commands.clone();
        tokio::task::spawn_local(async move {
            tokio::time::sleep(EAGER.minimum).await;
            let _ = commands.try_send(LinkCommand::TryNow);
        });
    }

    fn take(&mut self, bytes: Bytes) {
        self.records += 1;
        let record = Record::decode(bytes).expect("the EUT sends no USP record");
        assert_eq!((&*record.from_id, &*record.to_id), (&*self.agent_id, &*self.own_id), "ids of the EUT's record");
        assert!(record.version.starts_with("1."), "record version {}", record.version);
        match record.record_type.expect("the EUT sends a record without record_type") {
            RecordType::NoSessionContext(NoSessionContextRecord { payload }) => self.take_message(payload),
            RecordType::WebsocketConnect(_)
            | RecordType::MqttConnect(_)
            | RecordType::StompConnect(_)
            | RecordType::UdsConnect(_) => {
                self.connects += 1;
            }
            RecordType::Disconnect(leave) => self.disconnects.push(leave.reason_code),
            other => panic!("an unexpected record: {other:?}"),
        }
    }

    fn take_message(&mut self, payload: Bytes) {
        let message = Msg::decode(payload).expect("the EUT sends no USP message");
        let header = message.header.expect("a message without header");
        assert!(!header.msg_id.is_empty(), "a message without msg_id");
        let body = message.body.and_then(|body| body.msg_body).expect("a message without body");
        assert_eq!(header.msg_type(), type_of(&body), "msg_type does not name the body");
        match body {
            MsgBody::Request(msg::Request { req_type: Some(ReqType::Notify(notify)) }) => {
                let heard = Heard { at: Instant::now(), msg_id: header.msg_id, notify };
                if heard.notify.send_resp && !self.silent {
                    self.answer_notify(&heard);
                }
                self.heard.push_back(heard);
            }
            MsgBody::Request(other) => panic!("an Agent must not send {other:?}"),
            answer => drop(self.answers.insert(header.msg_id, answer)),
        }
    }
}

/// A record without session context.
pub fn record(from: &str, to: &str, message: Bytes) -> Bytes {
    let record = Record {
        version: "1.4".to_owned(),
        to_id: to.to_owned(),
        from_id: from.to_owned(),
        record_type: Some(RecordType::NoSessionContext(NoSessionContextRecord { payload: message })),
        ..Record::default()
    };
    record.encode_to_vec().into()
}

/// A message.
pub fn message(id: &str, body: MsgBody) -> Bytes {
    let header = msg::Header { msg_id: id.to_owned(), msg_type: type_of(&body) as i32 };
    Msg { header: Some(header), body: Some(msg::Body { msg_body: Some(body) }) }.encode_to_vec().into()
}

fn type_of(body: &MsgBody) -> MsgType {
    match body {
        MsgBody::Request(request) => match request.req_type.as_ref().expect("an empty Request") {
            ReqType::Get(_) => MsgType::Get,
            ReqType::GetSupportedDm(_) => MsgType::GetSupportedDm,
            ReqType::GetInstances(_) => MsgType::GetInstances,
            ReqType::Set(_) => MsgType::Set,
            ReqType::Add(_) => MsgType::Add,
            ReqType::Delete(_) => MsgType::Delete,
            ReqType::Operate(_) => MsgType::Operate,
            ReqType::Notify(_) => MsgType::Notify,
            ReqType::GetSupportedProtocol(_) => MsgType::GetSupportedProto,
            ReqType::Register(_) => MsgType::Register,
            ReqType::Deregister(_) => MsgType::Deregister,
        },
        MsgBody::Response(response) => match response.resp_type.as_ref().expect("an empty Response") {
            RespType::GetResp(_) => MsgType::GetResp,
            RespType::GetSupportedDmResp(_) => MsgType::GetSupportedDmResp,
            RespType::GetInstancesResp(_) => MsgType::GetInstancesResp,
            RespType::SetResp(_) => MsgType::SetResp,
            RespType::AddResp(_) => MsgType::AddResp,
            RespType::DeleteResp(_) => MsgType::DeleteResp,
            RespType::OperateResp(_) => MsgType::OperateResp,
            RespType::NotifyResp(_) => MsgType::NotifyResp,
            RespType::GetSupportedProtocolResp(_) => MsgType::GetSupportedProtoResp,
            RespType::RegisterResp(_) => MsgType::RegisterResp,
            RespType::DeregisterResp(_) => MsgType::DeregisterResp,
        },
        MsgBody::Error(_) => MsgType::Error,
    }
}

/// The parameter and value of a ValueChange.
pub fn value_change(notify: &msg::Notify) -> (&str, &str) {
    match notify.notification.as_ref() {
        Some(Notification::ValueChange(change)) => (&change.param_path, &change.param_value),
        other => panic!("not a ValueChange: {other:?}"),
    }
}
