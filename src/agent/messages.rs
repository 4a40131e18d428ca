//! From a record that came in to the record that answers it.

use super::access::{Access, MAX_FOUND};
use super::channels::{ChannelId, Outgoing, Protocol, ReplyTo};
use super::handlers::{
    self, Asker, Outcome, Refusal, add, delete, error, get, get_instances, get_supported_dm, get_supported_protocol,
    notify_resp, operate, set,
};
use super::session::{self, Door, Dropped, PeerFacts, Verdict};
use super::settings::Controller;
use super::timers::Timer;
use super::{Action, Agent};
use crate::backend::Backend;
use crate::usp::fault::{Code, Fault};
use crate::usp::message::{self, Incoming};
use crate::usp::record;
use crate::usp::wire::msg::request::ReqType;
use crate::usp::wire::msg::response::RespType;
use bytes::Bytes;
use std::collections::VecDeque;
use std::rc::Rc;

/// The largest message that is sent, in bytes; what surrounds it in a record stays below the limit of the links.
pub const MAX_MESSAGE: usize = 1024 * 1024 - 1024;
/// WebSocket close code for what is no record (R-WS, "1003 unsupported data").
const UNSUPPORTED_DATA: u16 = 1003;

/// Requests that are remembered while others wait.
const MAX_ANSWERED: usize = 64;

impl<B: Backend> Agent<B> {
    /// No record is waiting any more that came before the last answer.
    pub fn nothing_waits(&mut self) {
        self.just_answered.0.clear();
    }

    /// A record came in.
    pub(super) async fn record(&mut self, channel: ChannelId, bytes: Bytes, reply_to: Option<Box<str>>) {
        let Some(link) = self.channels.link(channel).cloned() else { return };
        let own = self.own.clone();
        let door = Door { protocol: link.protocol, peer: &link.peer, own: &own };
        let mut settings = self.settings.clone();
        let mut verdict = session::judge(bytes.clone(), &door, &settings);
        let stranger = match &verdict {
            Verdict::Drop(Dropped::Stranger(from)) => Some(from.clone()),
            _ => None,
        };
        if let Some(from) = stranger {
            if self.welcome(&from, &link.peer).await {
                settings = self.settings.clone();
                verdict = session::judge(bytes, &door, &settings);
            }
        }
        match verdict {
            Verdict::Drop(dropped) => self.dropped(channel, link.protocol, &dropped),
            Verdict::Connect(controller) => {
                log::debug!("controller={} connects", controller.section);
                self.inherit(controller, &link.peer);
                self.heard(channel, controller, false);
            }
            Verdict::Disconnect(controller) => self.channels.forget_greeting(channel, &controller.section),
            Verdict::Farewell(controller, code) => self.farewell(channel, controller, reply_to, code),
            // Over STOMP a broken record is only answered where its MESSAGE says where to ("Handling Errors").
            Verdict::Refuse(controller, ..) if link.protocol == Protocol::Stomp && reply_to.is_none() => {
                log::info!("controller={} record=dropped cause=broken-and-without-reply-to-dest", controller.section);
            }
            Verdict::Refuse(controller, msg_id, fault) => {
                self.heard(channel, controller, false);
                self.answer(channel, controller, reply_to, error::encode(&msg_id, &Refusal::from(fault)));
            }
            Verdict::Message(controller, message) => {
                self.timers.stop(&Timer::FirstUse(channel));
                self.inherit(controller, &link.peer);
                self.heard(channel, controller, false);
                self.message((channel, link.peer), controller, reply_to, message).await;
            }
        }
    }

    fn dropped(&mut self, channel: ChannelId, protocol: Protocol, dropped: &Dropped) {
        if self.log_budget.allows(self.now.monotonic_ms) {
            dropped.log(&mut self.strangers);
        }
        // R-UDS.23; brokers are not to blame for what they carry.
        if *dropped == Dropped::NotARecord && !protocol.brokered() {
            let reason = "not a USP record".into();
            self.actions.push(Action::Close { channel, code: UNSUPPORTED_DATA, reason });
        }
    }

    /// The controller is there: it is greeted if it was not, and, once it asked something, notified.
    fn heard(&mut self, channel: ChannelId, controller: &Controller, asked: bool) {
        if self.channels.heard(channel, &controller.section, asked) {
            self.tell_connection(channel, &controller.section, "connected");
        }
        self.heard_on_trial(&controller.section);
        self.greet(channel, controller);
    }

    fn farewell(&mut self, channel: ChannelId, controller: &Controller, reply_to: Option<Box<str>>, code: Code) {
        log::info!("controller={} refused code={}", controller.section, code as u32);
        if let Some(to) = self.channels.answer_to(channel, &controller.section, reply_to) {
            let reason = "session context is not allowed";
            let record = record::disconnect(&self.own, &controller.endpoint_id, reason, code);
            self.actions.push(Action::Send(Outgoing { channel, to, record, in_time: None }));
            self.channels.forget_greeting(channel, &controller.section);
        }
    }

    async fn message(
        &mut self,
        (channel, peer): (ChannelId, PeerFacts),
        controller: &Controller,
        reply_to: Option<Box<str>>,
        message: Incoming,
    ) {
        self.asking = Some(controller.section.clone());
        let asker = Asker {
            controller: controller.section.clone(),
            endpoint_id: controller.endpoint_id.as_str().into(),
            walks: controller.walks,
            access: self.access(controller, peer.encrypted, self.settings.clone().trust.inherits(&peer)).await,
        };
        match message {
            Incoming::Request { msg_id, request } => {
                log::debug!("controller={} request={msg_id}", asker.controller);
                if !self.just_answered.is_new(&asker.controller, &msg_id) {
                    return log::info!("controller={} request={msg_id} ignored: it came twice", asker.controller);
                }
                let wanted = !matches!(&request, ReqType::Operate(operate) if !operate.send_resp);
                let outcome = self.request(&asker, request).await;
                if wanted || outcome.is_err() {
                    self.answer(channel, controller, reply_to, encode(&msg_id, outcome));
                }
                self.heard(channel, controller, true);
            }
            Incoming::Response { msg_id, response: RespType::NotifyResp(_) } => {
                notify_resp::handle(self, &asker, &msg_id);
            }
            Incoming::Response { msg_id, .. } => {
                log::debug!("controller={} answers {msg_id}, which was never asked", asker.controller);
            }
            Incoming::Error { msg_id, error } => error::handle(&asker, &msg_id, &error),
        }
    }

    /// Answers a request, whoever brought it.
    pub(super) async fn request(&mut self, asker: &Asker, request: ReqType) -> Outcome {
        match request {
            ReqType::Get(request) => get::handle(self, asker, request).await,
            ReqType::GetSupportedDm(request) => get_supported_dm::handle(self, asker, &request).await,
            ReqType::GetInstances(request) => get_instances::handle(self, asker, request).await,
            ReqType::Set(request) => set::handle(self, asker, request).await,
            ReqType::Add(request) => add::handle(self, asker, request).await,
            ReqType::Delete(request) => delete::handle(self, asker, request).await,
            ReqType::Operate(request) => operate::handle(self, asker, request).await,
            ReqType::GetSupportedProtocol(request) => get_supported_protocol::handle(asker, &request),
            ReqType::Notify(_) | ReqType::Register(_) | ReqType::Deregister(_) => {
                let fault = Fault::new(Code::MessageNotSupported, "an agent does not take this request");
                Err(handlers::Refusal::from(fault))
            }
        }
    }

    fn answer(&mut self, channel: ChannelId, controller: &Controller, reply_to: Option<Box<str>>, payload: Bytes) {
        match self.channels.answer_to(channel, &controller.section, reply_to) {
            Some(to) => {
                let in_time = Some(controller.answer_deadline).filter(|seconds| *seconds > 0);
                self.send_in_time(channel, to, controller, payload, in_time);
            }
            None => log::warn!(
                "controller={} asked without saying where to answer (MQTT response topic), and has no Topic configured",
                controller.section
            ),
        }
    }

    /// Sends a message, after the Connect record where that is still owed (R-MTP.8).
    pub(super) fn send(&mut self, channel: ChannelId, to: ReplyTo, controller: &Controller, payload: Bytes) {
        self.send_in_time(channel, to, controller, payload, None);
    }

    fn send_in_time(
        &mut self,
        channel: ChannelId,
        to: ReplyTo,
        controller: &Controller,
        payload: Bytes,
        in_time: Option<u32>,
    ) {
        let record = record::no_session_context(&self.own, &controller.endpoint_id, payload);
        self.actions.push(Action::Send(Outgoing { channel, to, record, in_time }));
    }

    /// Sends the Connect record where one is owed.
    pub(super) fn greet(&mut self, channel: ChannelId, controller: &Controller) {
        if let Some(greeting) = self.channels.greeting(channel, controller, &self.own) {
            self.actions.push(Action::Send(greeting));
        }
    }

    /// What a controller may do: its roles are worked out once per configuration, what their targets search for once
    /// per input.
    pub(super) async fn access(&mut self, controller: &Controller, encrypted: bool, credential: &str) -> Rc<Access> {
        let settings = &self.settings;
        let key = (controller.section.clone(), encrypted, credential.into());
        let roles = settings.trust.inherited(credential);
        let access =
            self.access.or_insert_with(key.clone(), |_| Rc::new(Access::of(settings, controller, encrypted, roles)));
        if access.searches().is_empty() {
            return access.clone();
        }
        if let Some(answered) = self.answered.get(&key) {
            return answered.clone();
        }
        let paths: Vec<&str> = access.searches().iter().map(|path| &**path).collect();
        let answered = Rc::new(access.answered(self.model.named(&paths, MAX_FOUND).await));
        self.answered.insert(key, answered.clone());
        answered
    }
}

/// Requests answered while others waited: a second copy of one that waited with them came before the answer (R-MSG.4).
#[derive(Debug, Default)]
pub(super) struct JustAnswered(VecDeque<(Rc<str>, Box<str>)>);

impl JustAnswered {
    fn is_new(&mut self, controller: &Rc<str>, msg_id: &str) -> bool {
        if self.0.iter().any(|(asker, id)| asker == controller && **id == *msg_id) {
            return false;
        }
        if self.0.len() >= MAX_ANSWERED {
            self.0.pop_front();
        }
        self.0.push_back((controller.clone(), msg_id.into()));
        true
    }
}

fn encode(msg_id: &str, outcome: Outcome) -> Bytes {
    let payload = match outcome {
        Ok(response) => message::response(msg_id, response),
        Err(refusal) => error::encode(msg_id, &refusal),
    };
    if payload.len() <= MAX_MESSAGE {
        return payload;
    }
    let text = format!("the response of {} bytes is over the limit of {MAX_MESSAGE}; ask for less", payload.len());
    error::encode(msg_id, &Refusal::from(Fault::new(Code::ResourcesExceeded, text)))
}
