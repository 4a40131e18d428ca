//! The Request table: asynchronous commands while they run (R-OPR.0).
//!
//! At most [`MAX_REQUESTS`] at a time. A reboot ends all of them but scheduled timers.

use super::settings::Kind;
use super::timers::Timer;
use super::{Action, Agent, Kept, handlers};
use crate::backend::{Backend, Table};
use crate::model::Rights;
use crate::order;
use crate::usp::fault::{Code, Fault};
use crate::usp::wire::msg::notify::operation_complete::{CommandFailure, OperationResp, OutputArgs};
use crate::usp::wire::msg::notify::{Notification, OperationComplete};
use std::fmt::Write as _;

/// Commands that run at the same time at most; a further one fails with 7005.
pub const MAX_REQUESTS: usize = 32;
/// Longest CommandKey that a scheduled timer takes over a reboot, in bytes.
const MAX_KEY: usize = 256;

/// The table, and the facts the model reads it from.
const TABLE: &str = "Device.LocalAgent.Request.";
const FACTS: &str = "request";

/// A long-running operation for the daemon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operation {
    /// To be named when it is done or canceled.
    pub request: u32,
    /// What the mapping calls it.
    pub name: Box<str>,
    /// The command with its object, e.g. `Device.IP.Diagnostics.IPPing()`.
    pub path: String,
    /// Its input arguments, checked.
    pub input: Vec<(String, String)>,
}

/// What a command gave in the end: output arguments, or why it failed.
pub type Outcome = Result<Vec<(String, String)>, Fault>;

/// Where a request came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// Who asked.
    pub endpoint_id: Box<str>,
    /// The object, with its final dot.
    pub object: Box<str>,
    /// `Name()`.
    pub command: Box<str>,
    /// command_key.
    pub key: Box<str>,
}

/// The requests that run.
#[derive(Debug, Default)]
pub struct Requests {
    rows: order::Map<u32, Request>,
    last: u32,
}

#[derive(Debug)]
struct Request {
    origin: Origin,
    canceling: bool,
    /// A scheduled timer: when it is up, in the monotonic clock and since 1970 (0 where that is not known).
    due: Option<(u64, i64)>,
}

impl Requests {
    fn add(&mut self, origin: Origin) -> Result<u32, Fault> {
        if self.rows.len() >= MAX_REQUESTS {
            return Err(Fault::new(Code::ResourcesExceeded, "too many commands are running"));
        }
        self.last = self.last.wrapping_add(1).max(1);
        while self.rows.contains_key(&self.last) {
            self.last = self.last.wrapping_add(1).max(1);
        }
        self.rows.insert(self.last, Request { origin, canceling: false, due: None });
        Ok(self.last)
    }

    /// Running requests.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// None runs.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The scheduled timers, one per line: what is left in ms, when it is up since 1970, who, object, command, key.
    fn save(&self, now_ms: u64) -> String {
        let mut text = String::new();
        for request in self.rows.values() {
            let Some((at_ms, at_unix)) = request.due else { continue };
            let Origin { endpoint_id, object, command, key } = &request.origin;
            let left = at_ms.saturating_sub(now_ms);
            let _ = write!(text, "{left} {at_unix} {endpoint_id} {object} {command} ");
            for byte in key.bytes().take(MAX_KEY) {
                let _ = write!(text, "{byte:02x}");
            }
            text.push('\n');
        }
        text
    }
}

/// One line of [`Requests::save`].
fn parse(line: &str) -> Option<(u64, i64, Origin)> {
    let mut words = line.split(' ');
    let (left, at_unix) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
    let (endpoint_id, object, command) = (words.next()?.into(), words.next()?.into(), words.next()?.into());
    let hex = words.next()?;
    let byte = |i: usize| u8::from_str_radix(hex.get(i..i + 2)?, 16).ok();
    let key = (0..hex.len()).step_by(2).map(byte).collect::<Option<Vec<u8>>>()?;
    let key = String::from_utf8(key).ok()?.into();
    Some((left, at_unix, Origin { endpoint_id, object, command, key }))
}

impl<B: Backend> Agent<B> {
    /// Makes a row for a command that runs.
    pub(super) fn start_request(&mut self, origin: Origin) -> Result<u32, Fault> {
        let id = self.requests.add(origin.clone())?;
        let key = id.to_string();
        let mut facts = self.model.facts();
        facts.set(FACTS, &key, "Originator", &*origin.endpoint_id);
        facts.set(FACTS, &key, "Command", format!("{}{}", origin.object, origin.command));
        facts.set(FACTS, &key, "CommandKey", &*origin.key);
        facts.set(FACTS, &key, "Status", "Active");
        Ok(id)
    }

    /// The path of a request, as OperateResp names it: without a final dot.
    pub(super) fn request_path(&self, id: u32) -> String {
        let number = self.model.instance_numbers().number(TABLE, &id.to_string());
        format!("{TABLE}{number}")
    }

    /// Asks a request to end. It ends with OperationComplete and 7023.
    pub(super) fn cancel_request(&mut self, id: u32) -> Result<(), Fault> {
        let none = || Fault::new(Code::CommandFailure, "there is no such request");
        let request = self.requests.rows.get(&id).ok_or_else(none)?;
        let due = request.due.is_some();
        let waits = match self.cancel_activation(id) {
            Some(canceled) => canceled.map(|()| true)?,
            None => due,
        };
        if let Some(request) = self.requests.rows.get_mut(&id) {
            request.canceling = true;
        }
        self.model.facts().set(FACTS, &id.to_string(), "Status", "Canceling");
        if waits {
            self.after.finished.push((id, canceled()));
        } else {
            self.after.actions.push(Action::CancelOperation(id));
        }
        Ok(())
    }

    /// A request is done: its row goes and its subscribers hear of it.
    pub(super) async fn finish_request(&mut self, id: u32, outcome: Outcome) {
        let Some(request) = self.requests.rows.remove(&id) else {
            log::debug!("request={id} is done but nobody waits for it");
            return;
        };
        if request.due.is_some() {
            self.timers.stop(&Timer::Schedule(id));
            self.keep_requests();
        }
        let path = self.request_path(id);
        self.model.facts().remove(FACTS, &id.to_string());
        let outcome = if request.canceling && outcome.is_err() { canceled() } else { outcome };
        self.tell_completion(&path, &request.origin, &outcome);
        self.operation_complete(&request.origin, outcome).await;
    }

    fn tell_completion(&mut self, request: &str, origin: &Origin, outcome: &Outcome) {
        let command = format!("{}{}", origin.object, origin.command);
        let told = Table::default().with("request", request).with("command", &*command);
        let told = match outcome {
            Ok(output) => {
                let output = output.iter().fold(Table::default(), |all, (name, value)| all.with(name, &**value));
                told.with("output", output)
            }
            Err(fault) => told.with("error", fault.code as i32).with("message", &*fault.text),
        };
        self.tell_owner("operation_complete", told);
    }

    pub(super) async fn operation_complete(&mut self, origin: &Origin, outcome: Outcome) {
        let response = match outcome {
            Ok(output) => OperationResp::ReqOutputArgs(OutputArgs { output_args: handlers::map(output) }),
            Err(fault) => OperationResp::CmdFailure(CommandFailure {
                err_code: fault.code as u32,
                err_msg: fault.text.into_owned(),
            }),
        };
        let what = Notification::OperComplete(OperationComplete {
            obj_path: origin.object.to_string(),
            command_name: origin.command.to_string(),
            command_key: origin.key.to_string(),
            operation_resp: Some(response),
        });
        for subscription in self.interested(Kind::OperationComplete, &origin.object, &origin.command).await {
            self.notify(&subscription, (&origin.object, &origin.command, Rights::COMMAND_NOTIFY), what.clone()).await;
        }
    }

    /// A timer of ScheduleTimer().
    pub(super) fn schedule(&mut self, id: u32, delay_ms: u64) {
        let at = self.now.monotonic_ms.saturating_add(delay_ms);
        let delay = i64::try_from(delay_ms).unwrap_or(i64::MAX);
        let unix = if self.now.clock_is_set { self.now.unix_ms.saturating_add(delay) } else { 0 };
        self.schedule_at(id, at, unix);
        self.keep_requests();
    }

    fn schedule_at(&mut self, id: u32, at_ms: u64, at_unix: i64) {
        if let Some(request) = self.requests.rows.get_mut(&id) {
            request.due = Some((at_ms, at_unix));
            self.timers.set(Timer::Schedule(id), at_ms);
        }
    }

    fn keep_requests(&mut self) {
        self.actions.push(Action::Keep(Kept::Requests, self.requests.save(self.now.monotonic_ms)));
    }

    /// Takes scheduled timers back after a start.
    pub(super) fn restore_requests(&mut self, text: &str) {
        for (left, at_unix, origin) in text.lines().take(MAX_REQUESTS).filter_map(parse) {
            if let Ok(id) = self.start_request(origin) {
                let at = self.now.monotonic_ms.saturating_add(left);
                self.schedule_at(id, at, at_unix);
            }
        }
        if self.now.clock_is_set {
            self.adjust_schedules();
        }
    }

    /// The clock is right: timers that were restored without it are set by it.
    pub(super) fn adjust_schedules(&mut self) {
        let due = self.requests.rows.iter().filter_map(|(&id, r)| Some((id, r.due.filter(|d| d.1 > 0)?.1)));
        for (id, at_unix) in due.collect::<Vec<_>>() {
            let left = u64::try_from(at_unix.saturating_sub(self.now.unix_ms)).unwrap_or(0);
            self.schedule_at(id, self.now.monotonic_ms.saturating_add(left), at_unix);
        }
    }
}

fn canceled() -> Outcome {
    Err(Fault::new(Code::CommandCanceled, "the command was canceled"))
}
