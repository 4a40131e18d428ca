//! The Request table: asynchronous commands while they run (R-OPR.0).
//!
//! At most [`MAX_REQUESTS`] at a time. A restart ends all of them but scheduled timers: they have failed. Of a transfer
//! that is told then; a diagnostic is gone without a word, for to know of it would cost two writes to the flash each time.

use super::notify::unhex;
use super::settings::Kind;
use super::timers::Timer;
use super::transfers::Transfer;
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
/// Longest CommandKey or URL that is taken over a reboot, in characters.
const MAX_KEPT: usize = 1024;

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
    /// A transfer: TransferType, StartTime and URL.
    transfer: Option<(&'static str, Option<i64>, String)>,
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
        self.rows.insert(self.last, Request { origin, canceling: false, due: None, transfer: None });
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

    /// The scheduled timers and the transfers, one per line: what is left in ms or TransferType, when it is up or was
    /// begun since 1970, who, object, command, key; the URL of a transfer.
    fn save(&self, now_ms: u64) -> String {
        let mut text = String::new();
        for request in self.rows.values() {
            let url = match (&request.due, &request.transfer) {
                (Some((at_ms, at_unix)), _) => {
                    let _ = write!(text, "{} {at_unix}", at_ms.saturating_sub(now_ms));
                    ""
                }
                (None, Some((kind, started, url))) => {
                    let _ = write!(text, "{kind} {}", started.unwrap_or(i64::MIN));
                    url
                }
                (None, None) => continue,
            };
            let Origin { endpoint_id, object, command, key } = &request.origin;
            let _ = write!(text, " {endpoint_id} {object} {command} ");
            write_hex(&mut text, key);
            text.push(' ');
            write_hex(&mut text, url);
            text.push('\n');
        }
        text
    }
}

fn write_hex(text: &mut String, word: &str) {
    let mut utf8 = [0; 4];
    for letter in word.chars().take(MAX_KEPT) {
        for byte in letter.encode_utf8(&mut utf8).bytes() {
            let _ = write!(text, "{byte:02x}");
        }
    }
}

fn read_hex(hex: &str) -> Option<String> {
    String::from_utf8(unhex(hex)?.into()).ok()
}

/// One line of [`Requests::save`]: its first two words, where it came from, and the URL.
fn parse(line: &str) -> Option<(&str, i64, Origin, String)> {
    let mut words = line.split(' ');
    let (first, at_unix) = (words.next()?, words.next()?.parse().ok()?);
    let (endpoint_id, object, command) = (words.next()?.into(), words.next()?.into(), words.next()?.into());
    let key = read_hex(words.next()?)?.into();
    Some((first, at_unix, Origin { endpoint_id, object, command, key }, read_hex(words.next()?)?))
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
        if request.transfer.is_some() {
            self.keep_notifications();
            self.keep_requests();
        }
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

    /// The end of this transfer is told also where a restart brings it about.
    pub(super) fn keep_transfer(&mut self, transfer: &Transfer) {
        if let Some(request) = self.requests.rows.get_mut(&transfer.request) {
            request.transfer = Some((transfer.kind, transfer.started, transfer.url.clone()));
            self.keep_requests();
        }
    }

    fn keep_requests(&mut self) {
        self.actions.push(Action::Keep(Kept::Requests, self.requests.save(self.now.monotonic_ms)));
    }

    /// Takes scheduled timers back after a start; the transfers that it ended.
    pub(super) fn restore_requests(&mut self, text: &str) -> Vec<Transfer> {
        let mut ended = Vec::new();
        for (first, at_unix, origin, url) in text.lines().take(MAX_REQUESTS).filter_map(parse) {
            let Ok(left) = first.parse::<u64>() else {
                ended.push(Transfer::ended(first, (at_unix != i64::MIN).then_some(at_unix), origin, url));
                continue;
            };
            if let Ok(id) = self.start_request(origin) {
                let at = self.now.monotonic_ms.saturating_add(left);
                self.schedule_at(id, at, at_unix);
            }
        }
        if self.now.clock_is_set {
            self.adjust_schedules();
        }
        ended
    }

    /// A restart in the middle of a transfer is a failure of it (USP, Persistence of Asynchronous Operations). Who dies
    /// before that is kept tells it again.
    pub(super) async fn tell_interrupted(&mut self, transfers: Vec<Transfer>) {
        if transfers.is_empty() {
            return;
        }
        for transfer in transfers {
            let fault = Fault::new(Code::CommandFailure, "interrupted by a restart of the agent");
            self.transfer_complete(&transfer, Some(&fault)).await;
            self.operation_complete(&transfer.origin, Err(fault)).await;
        }
        self.keep_notifications();
        self.keep_requests();
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
