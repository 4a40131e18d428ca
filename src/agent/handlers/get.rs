//! Get: one result per requested path, in order; within it one per object, parameters relative to it.

use super::super::Agent;
use super::{Asker, Outcome, map};
use crate::backend::Backend;
use crate::model::ObjectValues;
use crate::usp::fault::Fault;
use crate::usp::wire::msg::get_resp::{RequestedPathResult, ResolvedPathResult};
use crate::usp::wire::msg::response::RespType;
use crate::usp::wire::msg::{Get, GetResp};

/// Answers a Get.
pub async fn handle<B: Backend>(agent: &mut Agent<B>, asker: &Asker, request: Get) -> Outcome {
    let paths: Vec<&str> = request.param_paths.iter().map(String::as_str).collect();
    let reading = agent.model.get(&*asker.access, &paths, request.max_depth).await;
    let results = paths.iter().zip(reading.results).map(|(path, result)| requested(path, result));
    Ok(RespType::GetResp(GetResp { req_path_results: results.collect() }))
}

fn requested(path: &str, result: Result<Vec<ObjectValues>, Fault>) -> RequestedPathResult {
    let requested_path = path.to_owned();
    match result {
        Ok(objects) => RequestedPathResult {
            requested_path,
            resolved_path_results: objects.into_iter().map(resolved).collect(),
            ..RequestedPathResult::default()
        },
        Err(fault) => RequestedPathResult {
            requested_path,
            err_code: fault.code as u32,
            err_msg: fault.text.into_owned(),
            ..RequestedPathResult::default()
        },
    }
}

fn resolved(object: ObjectValues) -> ResolvedPathResult {
    ResolvedPathResult { resolved_path: object.path, result_params: map(object.params) }
}
