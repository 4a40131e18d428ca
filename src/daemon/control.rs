//! The agent's object on the router's own bus, `usp-agent`: status, and every request that a controller could send, by
//! the same handlers. `ubus -v list usp-agent` names the methods and their arguments.
//!
//! One call at a time, like messages of controllers and after those. A call that fails is answered with a status that
//! is not 0 and with `error`: the code of USP and a sentence. A caller costs memory only within limits, whatever it
//! does: 16 calls wait for the agent, `MAX_HELD` for an operation.

mod answer;
mod report;
mod request;
mod services;
mod trace;

use super::{Daemon, until};
use crate::agent::Input;
use crate::agent::handlers::Refusal;
use crate::agent::local::Answer;
use crate::backend::ubus::blobmsg::kind;
use crate::backend::ubus::message::status;
use crate::backend::ubus::{Calls, Client, Invocation, Signature};
use crate::backend::{Router, Table};
use crate::task::spawn;
use crate::usp::fault::{Code, Fault};
use request::Asked;
use std::time::Duration;
use tokio::time::Instant;

/// Its path on the bus; its events begin with this and a dot.
pub const OBJECT: &str = "usp-agent";
/// Calls that wait for the end of an operation at most; a further one is answered with its Request at once.
const MAX_HELD: usize = 16;
/// How long they wait: `ubus call` gives up after 30 s.
const HELD: Duration = Duration::from_secs(25);
/// Seconds that records are traced at most until somebody asks again.
const MAX_TRACE_SECONDS: u32 = 300;

/// The methods with their arguments, as `ubus -v list` shows them.
fn signature() -> Signature {
    let (path, paths) = (("path", kind::STRING), ("paths", kind::ARRAY));
    let values = ("values", kind::TABLE);
    Signature::default()
        .method("status", &[])
        .method("metrics", &[])
        .method("get", &[path, paths, ("max_depth", kind::INT32)])
        .method("set", &[path, ("value", kind::STRING), values, ("dry_run", kind::INT8)])
        .method("add", &[path, values])
        .method("del", &[path, paths])
        .method("operate", &[path, ("input", kind::TABLE), ("wait", kind::INT8)])
        .method("instances", &[path, paths, ("first_level", kind::INT8)])
        .method("supported", &[path, paths, ("first_level", kind::INT8)])
        .method("confirm", &[])
        .method("revert", &[])
        .method("reload", &[])
        .method("approve", &[("controller", kind::STRING), ("role", kind::STRING)])
        .method("watch", &[path, paths, ("seconds", kind::INT32)])
        .method("trace", &[("seconds", kind::INT32)])
}

/// The object; nothing where the router is a recorded one.
#[derive(Debug, Default)]
pub(super) struct Control {
    on_bus: Option<OnBus>,
    /// The call that the agent has.
    asked: Option<(Invocation, bool)>,
    held: Vec<Held>,
    last_call: u32,
    traced_until: Option<Instant>,
    /// Commits since the start, and how many of them were undone.
    pub(super) applied: u32,
    pub(super) reverted: u32,
}

#[derive(Debug)]
struct OnBus {
    bus: Client,
    calls: Calls,
}

/// A call that waits for the end of an operation.
#[derive(Debug)]
struct Held {
    invocation: Invocation,
    request: Box<str>,
    until: Instant,
}

impl Control {
    /// Publishes the object.
    pub(super) fn of(router: &Router) -> Self {
        let Router::Live(live) = router else { return Self::default() };
        let bus = live.bus().clone();
        let calls = bus.add_object(OBJECT, signature());
        Self { on_bus: Some(OnBus { bus, calls }), ..Self::default() }
    }

    /// The next call, or that one has waited long enough.
    pub(super) async fn next(&mut self) -> Option<Invocation> {
        let at = self.held.iter().map(|held| held.until).min();
        let Some(OnBus { calls, .. }) = &mut self.on_bus else { return std::future::pending().await };
        tokio::select! {
            call = calls.next() => match call {
                Some(call) => Some(call),
                None => std::future::pending().await,
            },
            () = until(at) => None,
        }
    }

    /// What has waited long enough is told where the result will be.
    fn release(&mut self) {
        let now = Instant::now();
        while let Some(at) = self.held.iter().position(|held| held.until <= now) {
            let held = self.held.swap_remove(at);
            reply(held.invocation, status::OK, &answer::started(&held.request));
        }
    }

    /// Sends an event to whoever listens.
    fn tell(&self, event: &str, data: Table) {
        let Some(OnBus { bus, .. }) = &self.on_bus else { return };
        if let Err(why) = bus.post_event(&format!("{OBJECT}.{event}"), data) {
            log::debug!("event={event} told=no cause=\"{why}\"");
        }
    }

    /// Somebody reads the trace.
    fn is_traced(&self) -> bool {
        self.traced_until.is_some_and(|until| Instant::now() < until)
    }

    fn complete(&mut self, data: &Table) {
        let Some(request) = data.get("request").and_then(|request| request.as_str()) else { return };
        while let Some(at) = self.held.iter().position(|held| *held.request == *request) {
            let held = self.held.swap_remove(at);
            let (code, answer) = answer::completed(data);
            reply(held.invocation, code, &answer);
        }
    }
}

impl Daemon {
    /// Somebody calls a method, or has waited long enough for an operation.
    pub(super) async fn asked(&mut self, call: Option<Invocation>) {
        let Some(call) = call else { return self.control.release() };
        log::debug!("method={} user={}", call.method(), call.user());
        match request::read(call.method(), call.args()) {
            Err(text) => refuse(call, &Fault::new(Code::InvalidArguments, text).into()),
            Ok(Asked::Status) => reply(call, status::OK, &self.status()),
            Ok(Asked::Metrics) => reply(call, status::OK, &self.metrics()),
            Ok(Asked::Reload) => {
                self.reload(call.user());
                reply(call, status::OK, &Table::default());
            }
            Ok(Asked::Trace(seconds)) => {
                let seconds = seconds.min(MAX_TRACE_SECONDS);
                self.control.traced_until = Some(Instant::now() + Duration::from_secs(seconds.into()));
                reply(call, status::OK, &Table::default());
            }
            Ok(Asked::Agent(request, wait)) => {
                self.control.last_call = self.control.last_call.wrapping_add(1);
                self.control.asked = Some((call, wait));
                self.echo.show(&mut self.agent.model().facts());
                self.handle(Input::Local { call: self.control.last_call, request }).await;
            }
        }
    }

    /// The agent answers the call that it has.
    pub(super) fn answered(&mut self, number: u32, answer: Result<Answer, Refusal>) {
        let Some((call, wait)) = self.control.asked.take().filter(|_| number == self.control.last_call) else { return };
        let answer = match answer {
            Ok(answer) => answer,
            Err(refusal) => return refuse(call, &refusal),
        };
        if let Some(request) = answer::request_of(&answer).filter(|_| wait && self.control.held.len() < MAX_HELD) {
            let until = Instant::now() + HELD;
            return self.control.held.push(Held { invocation: call, request: request.into(), until });
        }
        let (code, mut data) = answer::table(&answer);
        if let Answer::Rehearsal(_, preview) = &answer {
            // procd may take its time.
            if let Some(OnBus { bus, .. }) = &self.control.on_bus {
                let (bus, packages) = (bus.clone(), preview.packages.clone());
                spawn(async move {
                    let told = services::reloaded(&bus, &packages).await;
                    reply(call, code, &told.into_iter().fold(data, |data, (name, value)| data.with(name, value)));
                });
            }
            return;
        }
        if let Some(trial) = self.agent.on_trial_now().filter(|_| answer::changes(&answer)) {
            data = data.with("on_trial_seconds", i32::try_from(trial.left_ms / 1000).unwrap_or(i32::MAX));
        }
        reply(call, code, &data);
    }

    /// Something the owner may want to know.
    pub(super) fn tell(&mut self, event: &'static str, data: Table) {
        match event {
            "operation_complete" => self.control.complete(&data),
            "config_applied" => self.control.applied = self.control.applied.wrapping_add(1),
            "reverted" => self.control.reverted = self.control.reverted.wrapping_add(1),
            _ => {}
        }
        self.control.tell(event, data);
    }
}

fn refuse(call: Invocation, refusal: &Refusal) {
    let (code, data) = answer::refusal(refusal);
    reply(call, code, &data);
}

/// Answers; what the bus does not carry is an error too.
fn reply(call: Invocation, code: u32, data: &Table) {
    if let Err(call) = call.reply_with(code, data) {
        let text = "the answer is over the limit of the bus (1 MiB): ask for less";
        let (code, data) = answer::refusal(&Fault::new(Code::ResourcesExceeded, text).into());
        let _ = call.reply_with(code, &data);
    }
}
