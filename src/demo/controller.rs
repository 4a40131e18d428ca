//! A small controller, for `usp-agent demo` and for tests: it asks one question at a time and collects notifications.
//!
//! It takes the agent that comes to its WebSocket, or meets it at an MQTT broker. It keeps no inventory, checks no
//! certificate and forgets everything when it is dropped.

use crate::order;
use crate::task::spawn;
use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};

use crate::mtp::{
    Channel, Destination, Limits, LinkCommand, LinkEvent, LinkHandle, LinkId, QUEUE, backoff, mqtt, tls, unix_socket,
    websocket,
};
use crate::usp::endpoint_id::EndpointId;
use crate::usp::message::{self, Incoming};
use crate::usp::record::{self, Content};
use crate::usp::wire::msg;
use crate::usp::wire::msg::request::ReqType;
use crate::usp::wire::msg::response::RespType;

/// How long an answer is waited for.
pub const PATIENCE: Duration = Duration::from_secs(10);
/// Notifications kept until somebody asks for them; older ones go first.
pub const MAX_NOTIFICATIONS: usize = 256;
/// The path of its WebSocket, and of an agent's.
const PATH: &str = "/usp";
/// Nobody else is waiting.
const EAGER: backoff::Policy =
    backoff::Policy { minimum: Duration::from_millis(100), multiplier: None, maximum: None, from_zero: false };

/// A controller with one agent.
#[derive(Debug)]
pub struct Controller {
    own_id: EndpointId,
    agent: Option<EndpointId>,
    link: LinkHandle,
    events: mpsc::Receiver<LinkEvent>,
    channel: Option<Channel>,
    to: Destination,
    notifications: VecDeque<msg::Notify>,
    answers: HashMap<String, Result<RespType, msg::Error>>,
    last_id: u32,
    sessions: u32,
    goodbyes: u32,
}

/// Why there is no answer as wanted.
#[derive(Debug, Clone, PartialEq)]
pub enum Trouble {
    /// Nothing came in time.
    Silence,
    /// An Error message.
    Refused(msg::Error),
    /// One path or command failed.
    Failed {
        /// What failed.
        path: String,
        /// A USP error code.
        code: u32,
        /// The agent's words.
        text: String,
    },
    /// An answer of another kind.
    Unexpected,
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Silence => write!(f, "no answer within {} s", PATIENCE.as_secs()),
            Self::Refused(error) => write!(f, "refused: {} ({})", error.err_msg, error.err_code),
            Self::Failed { path, code, text } => write!(f, "{path}: {text} ({code})"),
            Self::Unexpected => write!(f, "an answer of another kind than asked for"),
        }
    }
}

impl std::error::Error for Trouble {}

/// What Operate gave at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Operated {
    /// The command is done.
    Output(HashMap<String, String>),
    /// It runs, as this row of `Device.LocalAgent.Request.`; OperationComplete tells its end.
    Request(String),
}

/// Settings by relative name.
pub type Settings<'a> = &'a [(&'a str, &'a str)];

impl Controller {
    /// Waits on the loopback for an agent that connects over WebSocket to `ws://127.0.0.1:port/usp`.
    ///
    /// # Errors
    /// No free port.
    pub fn on_websocket(own_id: &EndpointId) -> std::io::Result<(Self, u16)> {
        let free = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
        Ok((Self::at(own_id, free, None), free.port()))
    }

    /// As [`Controller::on_websocket`], at an address of the caller's, with TLS where it is given.
    pub fn at(own_id: &EndpointId, listen: SocketAddr, tls: Option<tls::ServerTls>) -> Self {
        let (events, heard) = mpsc::channel(QUEUE);
        let settings = websocket::ServerSettings {
            listen,
            path: PATH.into(),
            tls,
            own_id: own_id.as_str().into(),
            keep_alive: Duration::ZERO,
            limits: Limits::default(),
        };
        let (link, task) = websocket::listen(settings, LinkId(0), events);
        spawn(task);
        Self::over(own_id, link, heard, Destination::Peer)
    }

    /// Comes to the WebSocket of an agent on the loopback.
    pub fn to_agent(own_id: &EndpointId, agent: &EndpointId, port: u16) -> Self {
        let (events, heard) = mpsc::channel(QUEUE);
        let settings = websocket::ClientSettings {
            host: "127.0.0.1".into(),
            port,
            path: PATH.into(),
            tls: None,
            own_id: own_id.as_str().into(),
            keep_alive: Duration::ZERO,
            retry: EAGER,
            hold_off_after_loss: Duration::ZERO,
            limits: Limits::default(),
        };
        let (link, task) = websocket::start(settings, LinkId(0), events);
        spawn(task);
        Self { agent: Some(agent.clone()), ..Self::over(own_id, link, heard, Destination::Peer) }
    }

    /// Waits at a UNIX socket for an agent that connects to it.
    pub fn at_socket(own_id: &EndpointId, path: &str) -> Self {
        let (events, heard) = mpsc::channel(QUEUE);
        let (link, task) = unix_socket::listen(unix_socket::Settings::new(path, own_id.as_str()), LinkId(0), events);
        spawn(task);
        Self::over(own_id, link, heard, Destination::Peer)
    }

    /// Comes to the UNIX socket of an agent.
    pub fn to_socket(own_id: &EndpointId, path: &str) -> Self {
        let (events, heard) = mpsc::channel(QUEUE);
        let (link, task) = unix_socket::start(unix_socket::Settings::new(path, own_id.as_str()), LinkId(0), events);
        spawn(task);
        Self::over(own_id, link, heard, Destination::Peer)
    }

    /// Meets an agent at a broker on the loopback: listens to `own_topic`, speaks to `agent_topic`.
    pub fn at_broker(
        own_id: &EndpointId,
        port: u16,
        version: mqtt::Version,
        own_topic: &str,
        agent_topic: &str,
    ) -> Self {
        let (events, heard) = mpsc::channel(QUEUE);
        let settings = mqtt::Settings {
            host: "127.0.0.1".into(),
            port,
            tls: None,
            version,
            client_id: format!("controller-{}", std::process::id()).into(),
            own_id: own_id.as_str().into(),
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
            response_topic: Some(own_topic.into()),
            publish_qos: 1,
            retry: EAGER,
            message_retry: mqtt::ACK_TIMEOUT,
            ack_timeout: mqtt::ACK_TIMEOUT,
            limits: Limits::default(),
        };
        let (link, task) = mqtt::start(settings, LinkId(0), events);
        spawn(task);
        Self::over(own_id, link, heard, Destination::Topic { topic: agent_topic.into(), retain: false })
    }

    /// Speaks over a link that runs already.
    pub fn over(own_id: &EndpointId, link: LinkHandle, events: mpsc::Receiver<LinkEvent>, to: Destination) -> Self {
        Self {
            own_id: own_id.clone(),
            agent: None,
            link,
            events,
            channel: None,
            to,
            notifications: VecDeque::new(),
            answers: HashMap::new(),
            last_id: 0,
            sessions: 0,
            goodbyes: 0,
        }
    }

    /// The agent, once it has said who it is.
    ///
    /// # Errors
    /// [`Trouble::Silence`].
    pub async fn agent(&mut self, within: Duration) -> Result<EndpointId, Trouble> {
        let until = Instant::now() + within;
        loop {
            match (&self.agent, self.channel) {
                (Some(agent), Some(_)) => return Ok(agent.clone()),
                _ => self.hear(until).await?,
            }
        }
    }

    /// How often the agent (or, at a broker, this controller) connected so far.
    pub fn sessions(&self) -> u32 {
        self.sessions
    }

    /// How many Disconnect records came so far.
    pub fn goodbyes(&self) -> u32 {
        self.goodbyes
    }

    /// Whether there is a connection, after whatever is waiting was heard.
    pub async fn is_connected(&mut self) -> bool {
        while self.hear(Instant::now()).await.is_ok() {}
        self.channel.is_some()
    }

    /// Sends a request and waits for its answer; notifications that come between are kept.
    ///
    /// # Errors
    /// [`Trouble::Silence`] and [`Trouble::Refused`].
    pub async fn request(&mut self, request: ReqType) -> Result<RespType, Trouble> {
        let until = Instant::now() + PATIENCE;
        self.agent(PATIENCE).await?;
        self.last_id += 1;
        let id = format!("c{}", self.last_id);
        self.send(message::request(&id, request));
        loop {
            match self.answers.remove(&id) {
                Some(answer) => return answer.map_err(Trouble::Refused),
                None => self.hear(until).await?,
            }
        }
    }

    /// The parameters at these paths, each with its full path, in the agent's order.
    ///
    /// # Errors
    /// Also [`Trouble::Failed`] for the first path that failed.
    pub async fn get(&mut self, paths: &[&str]) -> Result<Vec<(String, String)>, Trouble> {
        let param_paths = paths.iter().map(|path| (*path).to_owned()).collect();
        let RespType::GetResp(response) = self.request(ReqType::Get(msg::Get { param_paths, max_depth: 0 })).await?
        else {
            return Err(Trouble::Unexpected);
        };
        let mut all = Vec::new();
        for result in response.req_path_results {
            failed(&result.requested_path, result.err_code, &result.err_msg)?;
            for object in result.resolved_path_results {
                let mut values: Vec<_> = object.result_params.into_iter().collect();
                order::sort(&mut values);
                all.extend(values.into_iter().map(|(name, value)| (format!("{}{name}", object.resolved_path), value)));
            }
        }
        Ok(all)
    }

    /// The paths of what is supported below an object, with everything in it.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub async fn supported(&mut self, path: &str) -> Result<Vec<String>, Trouble> {
        let asked = msg::GetSupportedDm {
            obj_paths: vec![path.to_owned()],
            first_level_only: false,
            return_commands: true,
            return_events: true,
            return_params: true,
            return_unique_key_sets: true,
        };
        let RespType::GetSupportedDmResp(response) = self.request(ReqType::GetSupportedDm(asked)).await? else {
            return Err(Trouble::Unexpected);
        };
        let objects = response.req_obj_results.into_iter().flat_map(|result| result.supported_objs);
        Ok(objects.map(|object| object.supported_obj_path).collect())
    }

    /// The value of one parameter; empty where the path resolves to nothing.
    ///
    /// # Errors
    /// As [`Controller::get`].
    pub async fn value(&mut self, path: &str) -> Result<String, Trouble> {
        Ok(self.get(&[path]).await?.into_iter().next().map(|(_, value)| value).unwrap_or_default())
    }

    /// Sets parameters of one object, all or none.
    ///
    /// # Errors
    /// As [`Controller::request`].
    pub async fn set(&mut self, object: &str, settings: Settings<'_>) -> Result<(), Trouble> {
        let setting = |(param, value): &(&str, &str)| msg::set::UpdateParamSetting {
            param: (*param).to_owned(),
            value: (*value).to_owned(),
            required: true,
        };
        let param_settings = settings.iter().map(setting).collect();
        let update = msg::set::UpdateObject { obj_path: object.to_owned(), param_settings };
        match self.request(ReqType::Set(msg::Set { allow_partial: false, update_objs: vec![update] })).await? {
            RespType::SetResp(_) => Ok(()),
            _ => Err(Trouble::Unexpected),
        }
    }

    /// Adds a row and says where it is.
    ///
    /// # Errors
    /// As [`Controller::request`].
    pub async fn add(&mut self, table: &str, settings: Settings<'_>) -> Result<String, Trouble> {
        use msg::add_resp::created_object_result::operation_status::OperStatus;
        let setting = |(param, value): &(&str, &str)| msg::add::CreateParamSetting {
            param: (*param).to_owned(),
            value: (*value).to_owned(),
            required: true,
        };
        let create = msg::add::CreateObject {
            obj_path: table.to_owned(),
            param_settings: settings.iter().map(setting).collect(),
        };
        let add = msg::Add { allow_partial: false, create_objs: vec![create] };
        let RespType::AddResp(response) = self.request(ReqType::Add(add)).await? else {
            return Err(Trouble::Unexpected);
        };
        let created =
            response.created_obj_results.into_iter().next().and_then(|result| result.oper_status?.oper_status);
        match created {
            Some(OperStatus::OperSuccess(success)) => Ok(success.instantiated_path),
            Some(OperStatus::OperFailure(failure)) => {
                Err(Trouble::Failed { path: table.to_owned(), code: failure.err_code, text: failure.err_msg })
            }
            None => Err(Trouble::Unexpected),
        }
    }

    /// Deletes rows.
    ///
    /// # Errors
    /// As [`Controller::request`].
    pub async fn delete(&mut self, path: &str) -> Result<(), Trouble> {
        let delete = msg::Delete { allow_partial: false, obj_paths: vec![path.to_owned()] };
        self.request(ReqType::Delete(delete)).await.map(drop)
    }

    /// Starts a command.
    ///
    /// # Errors
    /// Also [`Trouble::Failed`].
    pub async fn operate(&mut self, command: &str, key: &str, input: Settings<'_>) -> Result<Operated, Trouble> {
        use msg::operate_resp::operation_result::OperationResp;
        let mut operate = msg::Operate {
            command: command.to_owned(),
            command_key: key.to_owned(),
            send_resp: true,
            ..msg::Operate::default()
        };
        // One by one: `collect` would sort them first, by a sort of their own.
        for (name, value) in input {
            operate.input_args.insert((*name).to_owned(), (*value).to_owned());
        }
        let RespType::OperateResp(response) = self.request(ReqType::Operate(operate)).await? else {
            return Err(Trouble::Unexpected);
        };
        match response.operation_results.into_iter().next().and_then(|result| result.operation_resp) {
            Some(OperationResp::ReqOutputArgs(output)) => {
                Ok(Operated::Output(output.output_args.into_iter().collect()))
            }
            Some(OperationResp::ReqObjPath(path)) => Ok(Operated::Request(path)),
            Some(OperationResp::CmdFailure(failure)) => {
                Err(Trouble::Failed { path: command.to_owned(), code: failure.err_code, text: failure.err_msg })
            }
            None => Err(Trouble::Unexpected),
        }
    }

    /// The first notification that fits, whether it came already or comes in time; it is taken out.
    ///
    /// # Errors
    /// [`Trouble::Silence`].
    pub async fn notification(
        &mut self,
        within: Duration,
        fits: impl Fn(&msg::Notify) -> bool,
    ) -> Result<msg::Notify, Trouble> {
        let until = Instant::now() + within;
        loop {
            let at = self.notifications.iter().position(&fits);
            match at.and_then(|at| self.notifications.remove(at)) {
                Some(notify) => return Ok(notify),
                None => self.hear(until).await?,
            }
        }
    }

    /// Takes leave of the agent and ends the connection.
    pub async fn shut_down(&mut self) {
        let _ = self.link.commands.send(LinkCommand::Shutdown).await;
        while self.events.recv().await.is_some() {}
    }

    fn send(&self, payload: Bytes) {
        if let (Some(agent), Some(channel)) = (&self.agent, self.channel) {
            let record = record::no_session_context(&self.own_id, agent, payload);
            let send = LinkCommand::Send { channel, record, to: self.to.clone() };
            if self.link.commands.try_send(send).is_err() {
                log::warn!("controller: not sent, the agent takes nothing more");
            }
        }
    }

    /// Takes in one event of the link.
    async fn hear(&mut self, until: Instant) -> Result<(), Trouble> {
        let event = timeout_at(until, self.events.recv()).await.ok().flatten().ok_or(Trouble::Silence)?;
        match event {
            LinkEvent::Connected { channel, peer } => {
                self.sessions += 1;
                self.channel = Some(channel);
                let known = peer.endpoint_id.and_then(|id| EndpointId::lenient(&id).ok());
                self.agent = known.or_else(|| self.agent.take());
            }
            LinkEvent::Record { channel, bytes, .. } => {
                self.channel = Some(channel);
                self.take(bytes);
            }
            LinkEvent::Lost { channel, why, .. } => {
                log::debug!("controller: session={} lost={why}", channel.session);
                self.channel = self.channel.filter(|current| *current != channel);
            }
            LinkEvent::Listening { .. } | LinkEvent::Alive { .. } => {}
            LinkEvent::Remark { what, .. } => log::debug!("controller: {what}"),
        }
        Ok(())
    }

    fn take(&mut self, bytes: Bytes) {
        let Ok(record) = record::decode(bytes).inspect_err(|fault| log::warn!("controller: record={fault:?}")) else {
            return;
        };
        self.agent = Some(record.from);
        match record.content {
            Content::Message(message) => self.take_message(message),
            Content::Disconnect { .. } => self.goodbyes += 1,
            Content::Connect(_) | Content::SessionContext { .. } => {}
        }
    }

    fn take_message(&mut self, message: Bytes) {
        match message::decode_at_controller(message) {
            Ok(Incoming::Request { msg_id, request: ReqType::Notify(notify) }) => {
                if notify.send_resp {
                    let answer = msg::NotifyResp { subscription_id: notify.subscription_id.clone() };
                    self.send(message::response(&msg_id, RespType::NotifyResp(answer)));
                }
                if self.notifications.len() >= MAX_NOTIFICATIONS {
                    self.notifications.pop_front();
                }
                self.notifications.push_back(notify);
            }
            Ok(Incoming::Response { msg_id, response }) => drop(self.answers.insert(msg_id, Ok(response))),
            Ok(Incoming::Error { msg_id, error }) => drop(self.answers.insert(msg_id, Err(error))),
            Ok(Incoming::Request { .. }) => log::warn!("controller: ignored=a-request-other-than-notify"),
            Err(fault) => log::warn!("controller: message={fault:?}"),
        }
    }
}

fn failed(path: &str, code: u32, text: &str) -> Result<(), Trouble> {
    match code {
        0 => Ok(()),
        code => Err(Trouble::Failed { path: path.to_owned(), code, text: text.to_owned() }),
    }
}
