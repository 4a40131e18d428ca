//! Get: one result per requested path, in order; within it one per object, parameters relative to it.
//!
//! A walker (`Asker::walks`) gets the object of its first question always, without the values there are none of: Oktopus
//! takes the first object of each result without a look, and dies of one that has none, for all its agents.

use super::super::Agent;
use super::{Asker, Outcome, map};
use crate::backend::Backend;
use crate::model::ObjectValues;
use crate::usp::fault::Fault;
use crate::usp::wire::msg::get_resp::{RequestedPathResult, ResolvedPathResult};
use crate::usp::wire::msg::response::RespType;
use crate::usp::wire::msg::{Get, GetResp};

/// Where that question leads, and to what.
const WHO: (&str, [&str; 5]) =
    ("Device.DeviceInfo.", ["Manufacturer", "ModelName", "SoftwareVersion", "SerialNumber", "ProductClass"]);

/// Answers a Get.
pub async fn handle<B: Backend>(agent: &mut Agent<B>, asker: &Asker, request: Get) -> Outcome {
    let paths: Vec<&str> = request.param_paths.iter().map(String::as_str).collect();
    let reading = agent.model.get(&*asker.access, &paths, request.max_depth).await;
    let result = |(path, result): (&&str, _)| match requested(path, result) {
        empty if asker.walks && empty.resolved_path_results.is_empty() && asks_who(path) => without_values(path),
        result => result,
    };
    let results = paths.iter().zip(reading.results).map(result);
    Ok(RespType::GetResp(GetResp { req_path_results: results.collect() }))
}

fn asks_who(path: &str) -> bool {
    path.strip_prefix(WHO.0).is_some_and(|name| WHO.1.contains(&name))
}

fn without_values(path: &str) -> RequestedPathResult {
    let object = ResolvedPathResult { resolved_path: WHO.0.to_owned(), ..ResolvedPathResult::default() };
    RequestedPathResult {
        requested_path: path.to_owned(),
        resolved_path_results: vec![object],
        ..RequestedPathResult::default()
    }
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
