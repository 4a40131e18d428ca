//! Operate: commands, one result per object they are named in; a failure is a result, never an Error (R-OPR.1).
//!
//! A synchronous command answers with its output, an asynchronous one with its row in the Request table and, later,
//! OperationComplete.

use super::super::requests::{Operation, Origin};
use super::super::{Action, Agent, commands};
use super::{Asker, Outcome, Refusal, map};
use crate::backend::Backend;
use crate::model::Invocation;
use crate::model::source::CommandSource;
use crate::usp::fault::{Code, Fault};
use crate::usp::wire::msg::operate_resp::OperationResult;
use crate::usp::wire::msg::operate_resp::operation_result::{CommandFailure, OperationResp, OutputArgs};
use crate::usp::wire::msg::response::RespType;
use crate::usp::wire::msg::{Operate, OperateResp};

/// The operation that is a command of a mounted object.
pub const MOUNTED: &str = "mounted";

/// Answers an Operate; whether the answer is wanted (send_resp) is for the caller.
pub async fn handle<B: Backend>(agent: &mut Agent<B>, asker: &Asker, request: Operate) -> Outcome {
    let input: Vec<(String, String)> = request.input_args.into_iter().collect();
    let invocations = agent.model.commands(&*asker.access, &request.command, &input).await;
    let invocations = invocations.map_err(|fault| Refusal::of(request.command.as_str(), fault))?;
    let mut operation_results = Vec::new();
    for invocation in &invocations {
        let call = Call { asker, command_key: &request.command_key, invocation };
        let outcome = call.perform(agent).await;
        operation_results.push(result(&invocation.path, outcome));
    }
    Ok(RespType::OperateResp(OperateResp { operation_results }))
}

/// What a command gives at once.
#[derive(Debug, PartialEq, Eq)]
pub enum Reply {
    /// It is done; its output arguments.
    Output(Vec<(String, String)>),
    /// It goes on under this row of the Request table.
    Started(String),
}

/// One command of one object.
#[derive(Debug)]
pub struct Call<'a> {
    /// Who wants it.
    pub asker: &'a Asker,
    /// To be repeated in OperationComplete.
    pub command_key: &'a str,
    /// What is wanted.
    pub invocation: &'a Invocation,
}

impl Call<'_> {
    async fn perform<B: Backend>(&self, agent: &mut Agent<B>) -> Result<Reply, Fault> {
        if let Some(fault) = &self.invocation.fault {
            return Err(fault.clone());
        }
        match &self.invocation.source {
            CommandSource::Agent(name) => commands::run(agent, self, name).await,
            CommandSource::Operation(name) => self.spawn(agent, name),
            CommandSource::Mounted if self.invocation.asynchronous => self.spawn(agent, MOUNTED),
            CommandSource::Ubus { .. } if self.invocation.asynchronous => {
                let request = self.start(agent)?;
                let outcome = agent.model.call(self.invocation).await;
                agent.after.finished.push((request, outcome));
                Ok(Reply::Started(agent.request_path(request)))
            }
            CommandSource::Ubus { .. } | CommandSource::Mounted => {
                agent.model.call(self.invocation).await.map(Reply::Output)
            }
        }
    }

    /// A long-running operation of the daemon.
    fn spawn<B: Backend>(&self, agent: &mut Agent<B>, name: &str) -> Result<Reply, Fault> {
        if !self.invocation.asynchronous {
            return Err(Fault::new(Code::CommandFailure, "this command cannot be performed here"));
        }
        let request = self.start(agent)?;
        agent.after.actions.push(Action::Spawn(Operation {
            request,
            name: name.into(),
            path: self.invocation.path.clone(),
            input: self.invocation.input.clone(),
        }));
        Ok(Reply::Started(agent.request_path(request)))
    }

    /// A row in the Request table (R-OPR.0).
    pub fn start<B: Backend>(&self, agent: &mut Agent<B>) -> Result<u32, Fault> {
        agent.start_request(self.origin())
    }

    /// Who asked for what.
    pub fn origin(&self) -> Origin {
        Origin {
            endpoint_id: self.asker.endpoint_id.clone(),
            object: self.invocation.object.path.as_str().into(),
            command: self.invocation.name.clone(),
            key: self.command_key.into(),
        }
    }

    /// The input argument called `name`.
    pub fn argument(&self, name: &str) -> Option<&str> {
        self.invocation.input.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    /// The key of the row the command belongs to.
    pub fn row(&self) -> Option<&str> {
        self.invocation.object.row.as_ref().map(|row| &*row.key)
    }
}

fn result(command: &str, outcome: Result<Reply, Fault>) -> OperationResult {
    let response = match outcome {
        Ok(Reply::Output(output)) => OperationResp::ReqOutputArgs(OutputArgs { output_args: map(output) }),
        Ok(Reply::Started(path)) => OperationResp::ReqObjPath(path),
        Err(fault) => {
            OperationResp::CmdFailure(CommandFailure { err_code: fault.code as u32, err_msg: fault.text.into_owned() })
        }
    };
    OperationResult { executed_command: command.to_owned(), operation_resp: Some(response) }
}
