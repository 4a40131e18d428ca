//! What the owner of the router asks on the router itself: a controller's requests, answered by the same handlers with
//! all rights, and what only he may: confirm or undo a change on trial, give a controller a role, watch without a
//! subscription. What happens is told him as events ([`Action::Tell`]).

use super::access::Access;
use super::channels::ChannelId;
use super::handlers::{Asker, Refusal, set};
use super::pattern::Pattern;
use super::settings::{Kind, Subscription};
use super::subscriptions::Active;
use super::timers::Timer;
use super::{Action, Agent, challenges};
use crate::backend::{Backend, Table};
use crate::model::{Everything, Preview};
use crate::order;
use crate::usp::fault::{Code, Fault};
use crate::usp::wire::msg::notify::Notification;
use crate::usp::wire::msg::request::ReqType;
use crate::usp::wire::msg::response::RespType;
use crate::usp::wire::msg::{Set, SetResp};
use std::rc::Rc;

/// Paths that are watched for the owner at most.
pub const MAX_WATCHED: usize = 32;
/// Seconds a path is watched at most until the owner asks again: one who went away costs nothing.
pub const MAX_WATCH_SECONDS: u32 = 300;

/// What the owner asks.
#[derive(Debug, Clone, PartialEq)]
pub enum Request {
    /// What a controller could ask too.
    Message(ReqType),
    /// What a Set would do.
    Rehearse(Set),
    /// The change on trial stands.
    Confirm,
    /// The change on trial is undone now.
    Revert,
    /// A controller gets a role: of the challenge that it has requested where none is named.
    Approve {
        /// Its section or Endpoint ID.
        controller: String,
        /// Section or Name.
        role: Option<String>,
    },
    /// Changes below these paths are told for a while.
    Watch {
        /// As in a ReferenceList.
        paths: Vec<String>,
        /// From now on, at most [`MAX_WATCH_SECONDS`].
        seconds: u32,
    },
}

/// What the owner is answered.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// What a controller would be answered.
    Message(RespType),
    /// What a Set would answer, and change.
    Rehearsal(SetResp, Preview),
    /// These packages stand, or are what they were.
    Packages(Vec<Box<str>>),
    /// The roles a controller has now.
    Roles(Vec<Box<str>>),
    /// Done.
    Done,
}

/// What is watched for the owner.
#[derive(Debug, Default)]
pub(super) struct Watched {
    /// Until when, in milliseconds.
    paths: order::Map<Box<str>, u64>,
    pub(super) active: Vec<Rc<Active>>,
}

impl Watched {
    fn follow(&mut self) {
        let kinds = [Kind::ValueChange, Kind::ObjectCreation, Kind::ObjectDeletion];
        let active = |path: &str, kind| {
            let what = Subscription { kind: Some(kind), enable: true, ..Subscription::of_nobody() };
            let references = Pattern::parse(path).map(|pattern| (path.into(), pattern));
            Rc::new(Active { what, references: references.into_iter().collect(), threshold: None })
        };
        self.active = self.paths.keys().flat_map(|path| kinds.map(|kind| active(path, kind))).collect();
    }
}

impl<B: Backend> Agent<B> {
    /// The owner asks; the answer is an action.
    pub(super) async fn local(&mut self, call: u32, request: Request) {
        let answer = Box::new(self.answer_owner(request).await);
        self.actions.push(Action::Answer { call, answer });
    }

    async fn answer_owner(&mut self, request: Request) -> Result<Answer, Refusal> {
        let asker =
            Asker { controller: "".into(), endpoint_id: "".into(), access: Rc::new(Access::of_owner()), walks: false };
        Ok(match request {
            Request::Message(request) => Answer::Message(self.request(&asker, request).await?),
            Request::Rehearse(request) => {
                let (response, preview) = set::rehearse(self, &asker, &request).await?;
                Answer::Rehearsal(response, preview)
            }
            Request::Confirm => Answer::Packages(self.confirm_for_owner()?),
            Request::Revert => Answer::Packages(self.revert_for_owner().await?),
            Request::Approve { controller, role } => Answer::Roles(self.approve(&controller, role.as_deref()).await?),
            Request::Watch { paths, seconds } => {
                self.watch_for_owner(paths, seconds).await?;
                Answer::Done
            }
        })
    }

    fn confirm_for_owner(&mut self) -> Result<Vec<Box<str>>, Fault> {
        if self.trial.is_none() {
            return Err(nothing_on_trial());
        }
        let packages = self.model.backend().unconfirmed().packages;
        self.confirm();
        match self.trial {
            None => Ok(packages),
            Some(_) => Err(Fault::new(Code::InternalError, "what was before cannot be forgotten; the log tells why")),
        }
    }

    async fn revert_for_owner(&mut self) -> Result<Vec<Box<str>>, Fault> {
        if self.trial.is_none() {
            return Err(nothing_on_trial());
        }
        let reverted = self.put_back("asked-for").await;
        reverted.map_err(|why| Fault::new(Code::InternalError, format!("nothing was put back: {why}")))
    }

    async fn approve(&mut self, id: &str, role: Option<&str>) -> Result<Vec<Box<str>>, Fault> {
        let settings = self.settings.clone();
        let known = settings.controllers.iter().find(|c| &*c.section == id || c.endpoint_id.as_str() == id);
        let controller = known.ok_or_else(|| {
            let known: Vec<&str> = settings.controllers.iter().map(|c| &*c.section).collect();
            Fault::new(Code::ObjectDoesNotExist, format!("no controller {id}; there are: {}", known.join(", ")))
        })?;
        let roles: Vec<&str> = settings.roles.iter().map(|r| &*r.section).collect();
        let there_are = roles.join(", ");
        let roles = match role {
            Some(name) => {
                let role = settings.roles.iter().find(|r| &*r.section == name || &*r.name == name);
                let none = || Fault::new(Code::InvalidValue, format!("no role {name}; there are: {there_are}"));
                vec![role.ok_or_else(none)?.section.clone()]
            }
            None => self.challenged_roles(&controller.section).ok_or_else(|| {
                let text = format!("{id} has requested no challenge: name a role; there are: {there_are}");
                Fault::new(Code::InvalidArguments, text)
            })?,
        };
        challenges::assign(self, &controller.section, &roles).await?;
        self.forget_challenge(&controller.section);
        log::info!("controller={} event=approved roles={}", controller.section, roles.join(","));
        Ok(roles)
    }

    async fn watch_for_owner(&mut self, paths: Vec<String>, seconds: u32) -> Result<(), Fault> {
        let until = self.now.monotonic_ms + u64::from(seconds.min(MAX_WATCH_SECONDS)) * 1000;
        for path in &paths {
            if Pattern::parse(path).is_none() {
                return Err(Fault::new(Code::InvalidPathSyntax, format!("{path} is not a path")));
            }
            if let Some(Err(fault)) = self.model.get(&Everything, &[path], 0).await.results.pop() {
                return Err(fault);
            }
        }
        let more = paths.iter().filter(|path| !self.watched.paths.contains_key(path.as_str())).count();
        if self.watched.paths.len() + more > MAX_WATCHED {
            return Err(Fault::new(Code::ResourcesExceeded, format!("{MAX_WATCHED} paths are watched at most")));
        }
        for path in paths {
            self.watched.paths.insert(path.into(), until);
        }
        self.follow_watched().await;
        Ok(())
    }

    /// Time to forget what nobody asks for any more.
    pub(super) async fn expire_watched(&mut self) {
        let now = self.now.monotonic_ms;
        self.watched.paths.retain(|_, until| *until > now);
        self.follow_watched().await;
    }

    async fn follow_watched(&mut self) {
        self.watched.follow();
        self.follow_watches();
        match self.watched.paths.values().min() {
            Some(at) => self.timers.set(Timer::Watched, *at),
            None => self.timers.stop(&Timer::Watched),
        }
        self.look().await;
    }

    /// The owner is told.
    pub(super) fn tell_owner(&mut self, event: &'static str, data: Table) {
        self.actions.push(Action::Tell { event, data });
    }

    /// What is watched for the owner has changed.
    pub(super) fn tell_change(&mut self, what: Notification) {
        let data = |kind: &str, path: &str| Table::default().with("type", kind).with("path", path);
        let data = match &what {
            Notification::ValueChange(change) => {
                data("ValueChange", &change.param_path).with("value", &*change.param_value)
            }
            Notification::ObjCreation(creation) => data("ObjectCreation", &creation.obj_path),
            Notification::ObjDeletion(deletion) => data("ObjectDeletion", &deletion.obj_path),
            _ => return,
        };
        self.tell_owner("changed", data);
    }

    /// The controllers of a channel, or one of them, have come or gone.
    pub(super) fn tell_connections(&mut self, channel: ChannelId, event: &'static str) {
        for controller in self.channels.controllers(channel) {
            self.tell_connection(channel, &controller, event);
        }
    }

    /// Likewise of one of them.
    pub(super) fn tell_connection(&mut self, channel: ChannelId, controller: &str, event: &'static str) {
        let (Some(link), Some(known)) = (self.channels.link(channel), self.settings.controller(controller)) else {
            return;
        };
        let data = Table::default().with("controller", controller).with("endpoint_id", known.endpoint_id.as_str());
        let data = data.with("transport", link.protocol.name());
        self.tell_owner(event, data);
    }
}

fn nothing_on_trial() -> Fault {
    Fault::new(Code::RequestDenied, "no change is on trial")
}
