//! The long-running operations that Operate starts: each runs as a task of its own and comes back as an input.
//!
//! A canceled one comes back too, with the fault that says so.

use crate::agent::Operation;
use crate::agent::handlers::operate;
use crate::agent::requests::Outcome;
use crate::agent::vendor_config::{BACKUP, RESTORE};
use crate::backend::{Backend, Router};
use crate::model::{Model, mount};
use crate::order::Map;
use crate::task::spawn;
use crate::usp::fault::{Code, Fault};
use ground::Ground;
use interface::Interface;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;
use tokio::sync::mpsc::{self, Receiver, Sender};
use tokio::task::AbortHandle;

/// An enumeration of words of the standard: `word` is the word itself.
macro_rules! words {
    ($(#[$about:meta])* pub enum $name:ident { $($word:ident,)* }) => {
        $(#[$about])*
        pub enum $name { $($word,)* }

        impl $name {
            fn word(self) -> &'static str {
                match self { $(Self::$word => stringify!($word),)* }
            }
        }
    };
}

pub mod arguments;
mod checksum;
pub mod firmware;
pub mod ground;
pub mod icmp;
pub mod interface;
pub mod ip_ping;
pub mod neighboring_wifi;
pub mod ns_lookup;
pub mod packet_capture;
pub mod self_test;
pub mod server_selection;
pub mod socket;
pub mod throughput;
pub mod trace_route;
pub mod udp_echo;
mod upload;
mod vendor_config;

/// How long a command of a plugin may take: that of a radio's channel scan or a speed test, with room. A transfer of a
/// package too.
const LONGEST: Duration = Duration::from_secs(600);
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
    running: Map<u32, AbortHandle>,
    done: Sender<Done>,
    ground: Ground,
}

impl Operations {
    /// None runs yet; what ends is told on the receiver.
    pub fn new(ground: Ground) -> (Self, Receiver<Done>) {
        let (done, ended) = mpsc::channel(MAX_DONE);
        (Self { running: Map::new(), done, ground }, ended)
    }

    /// Starts an operation of the mapping (`operation NAME`).
    pub async fn spawn(&mut self, operation: Operation, model: &Model<Router>) {
        let request = operation.request;
        let (done, work) = (self.done.clone(), prepare(operation, &self.ground, model).await);
        let task = spawn(async move {
            let outcome = match work {
                Ok(work) => work.await,
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
        std::mem::take(&mut self.running).into_values().for_each(|task| task.abort());
    }

    /// An operation has told its end.
    pub fn forget(&mut self, request: u32) {
        self.running.remove(&request);
    }
}

/// What an operation does, with everything it needs of the model. Dropping it cancels it.
type Work = Pin<Box<dyn Future<Output = Outcome>>>;

/// Reads what an operation needs of the model; everything that takes time is left to its work.
async fn prepare(operation: Operation, ground: &Ground, model: &Model<Router>) -> Result<Work, Fault> {
    let Operation { name, path, input, .. } = operation;
    if &*name == operate::MOUNTED {
        return by_plugin(path, input, model);
    }
    if let Some(step) = firmware::Step::of(&name, &input, ground, model).await {
        return Ok(Box::pin(step?.run()));
    }
    let interface = Interface::asked(&input, model).await?;
    Ok(match &*name {
        "ip_ping" => Box::pin(async move {
            let device = interface.find().await?.device;
            Ok(ip_ping::run(&ip_ping::Request::from_input(&input, device)).await.output())
        }),
        "trace_route" => Box::pin(async move {
            let device = interface.find().await?.device;
            Ok(trace_route::run(&trace_route::Request::from_input(&input, device)).await.output())
        }),
        "udp_echo" => Box::pin(async move {
            let device = interface.find().await?.device;
            Ok(udp_echo::run(&udp_echo::Request::from_input(&input, device)).await.output())
        }),
        "server_selection" => Box::pin(async move {
            let device = interface.find().await?.device;
            Ok(server_selection::run(&server_selection::Request::from_input(&input, device)).await.output())
        }),
        "download" | "upload" => {
            let upload = &*name == "upload";
            let direction = if upload { throughput::Direction::Upload } else { throughput::Direction::Download };
            let client = ground.http(&input, model).await;
            Box::pin(async move {
                let device = interface.find().await?.device;
                let request = throughput::Request::from_input(direction, &input, device, client)?;
                Ok(throughput::run(&request).await)
            })
        }
        BACKUP | RESTORE => {
            let client = ground.http(&input, model).await;
            let file = if &*name == BACKUP { Some(vendor_config::file(&input, model).await?) } else { None };
            Box::pin(async move { vendor_config::run(&client, &input, file.as_deref()).await })
        }
        "packet_capture" => {
            let client = ground.http(&input, model).await;
            Box::pin(async move {
                let device = interface.find().await?.device;
                packet_capture::run(&packet_capture::Request::from_input(&input, device, client)?).await
            })
        }
        "ns_lookup" => {
            let resolver = model.backend().read("/etc/resolv.conf").await.unwrap_or_default();
            Box::pin(async move {
                let through = interface.find().await?;
                let request = ns_lookup::Request::from_input(&input, through, &resolver)?;
                Ok(ns_lookup::run(&request).await.output())
            })
        }
        "neighboring_wifi" => {
            let scan = neighboring_wifi::Scan::of(model).await;
            Box::pin(async move { Ok(scan.run().await) })
        }
        "self_test" => {
            let test = self_test::Test::of(model).await;
            Box::pin(async move { Ok(test.run().await) })
        }
        _ => return Err(Fault::new(Code::CommandFailure, format!("{path} is not implemented here"))),
    })
}

/// A command that a plugin of the bus performs; what its arguments say is for the plugin to know.
fn by_plugin(path: String, input: Vec<(String, String)>, model: &Model<Router>) -> Result<Work, Fault> {
    let Router::Live(router) = model.backend() else {
        return Err(Fault::new(Code::CommandFailure, format!("{path}: a recorded router does nothing")));
    };
    let bus = router.bus().clone();
    Ok(Box::pin(async move {
        let (object, args) = mount::execution(&path, &input);
        mount::output(bus.call_all_within(object, mount::EXECUTE, &args, LONGEST).await)
    }))
}
