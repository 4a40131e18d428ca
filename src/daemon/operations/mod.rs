//! The long-running operations that Operate starts: each runs as a task of its own and comes back as an input.
//!
//! A canceled one comes back too, with the fault that says so.

use crate::agent::Operation;
use crate::agent::requests::Outcome;
use crate::backend::{Backend, Router, Table};
use crate::model::{Everything, Model};
use crate::usp::fault::{Code, Fault};
use std::collections::HashMap;
use tokio::sync::mpsc::{self, Receiver, Sender};
use tokio::task::{AbortHandle, spawn_local};

pub mod icmp;
pub mod ip_ping;
pub mod trace_route;

/// Results that wait to be told at most; operations wait then.
const MAX_DONE: usize = 8;

/// An operation that has ended.
#[derive(Debug)]
pub struct Done {
    /// As the agent named it.
    pub request: u32,
    /// Output arguments, or why there are none.
    pub outcome: Outcome,
}

/// The operations that run.
#[derive(Debug)]
pub struct Operations {
    running: HashMap<u32, AbortHandle>,
    done: Sender<Done>,
}

impl Operations {
    /// None runs yet; what ends is told on the receiver.
    pub fn new() -> (Self, Receiver<Done>) {
        let (done, ended) = mpsc::channel(MAX_DONE);
        (Self { running: HashMap::new(), done }, ended)
    }

    /// Starts an operation of the mapping (`operation NAME`).
    pub async fn spawn(&mut self, operation: Operation, model: &Model<Router>) {
        let Operation { request, name, path, input } = operation;
        let (done, work) = (self.done.clone(), prepare(&name, &path, &input, model).await);
        let task = spawn_local(async move {
            let outcome = match work {
                Ok(Work::Ping(ping)) => Ok(ip_ping::run(&ping).await.output()),
                Ok(Work::Trace(trace)) => Ok(trace_route::run(&trace).await.output()),
                Err(fault) => Err(fault),
            };
            let _ = done.send(Done { request, outcome }).await;
        });
        self.running.insert(request, task.abort_handle());
    }

    /// Ends an operation early; None where it has ended already and is about to tell.
    pub fn cancel(&mut self, request: u32) -> Option<Done> {
        let task = self.running.remove(&request)?;
        if task.is_finished() {
            return None;
        }
        task.abort();
        Some(Done { request, outcome: Err(Fault::new(Code::CommandCanceled, "the command was canceled")) })
    }

    /// Ends all of them without a word.
    pub fn cancel_all(&mut self) {
        self.running.drain().for_each(|(_, task)| task.abort());
    }

    /// An operation has told its end.
    pub fn forget(&mut self, request: u32) {
        self.running.remove(&request);
    }
}

/// What an operation is to do, with everything it needs of the model.
enum Work {
    Ping(ip_ping::Request),
    Trace(trace_route::Request),
}

async fn prepare(name: &str, path: &str, input: &[(String, String)], model: &Model<Router>) -> Result<Work, Fault> {
    match name {
        "ip_ping" => Ok(Work::Ping(ip_ping::Request::from_input(input, device(input, model).await?))),
        "trace_route" => Ok(Work::Trace(trace_route::Request::from_input(input, device(input, model).await?))),
        _ => Err(Fault::new(Code::CommandFailure, format!("{path} is not implemented here"))),
    }
}

/// The network device of the argument Interface, a path like `Device.IP.Interface.2`. A recorded router has none.
async fn device(input: &[(String, String)], model: &Model<Router>) -> Result<Option<String>, Fault> {
    let path = input.iter().find(|(name, _)| name == "Interface").map_or("", |(_, path)| path.trim_end_matches('.'));
    if path.is_empty() || matches!(model.backend(), Router::Fixture(_)) {
        return Ok(None);
    }
    let unusable =
        || Fault::new(Code::InvalidCommandArguments, format!("Interface {path} is not there or has no device"));
    let reading = model.get(&Everything, &[&format!("{path}.Name")], 0).await;
    let objects = reading.results.into_iter().next().and_then(Result::ok).ok_or_else(unusable)?;
    let name = objects.into_iter().next().and_then(|object| object.params.into_iter().next()).ok_or_else(unusable)?.1;
    let status = model.backend().call(&format!("network.interface.{name}"), "status", &Table::default()).await;
    let device = |status: &Table| status.get("l3_device").and_then(|device| device.as_str()).map(str::to_owned);
    status.ok().as_ref().and_then(device).map(Some).ok_or_else(unusable)
}
