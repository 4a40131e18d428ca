//! GetInstances: the instances behind paths, with their readable unique keys.

use super::super::Agent;
use super::{Asker, Outcome, map};
use crate::backend::Backend;
use crate::model::Instance;
use crate::usp::fault::Fault;
use crate::usp::wire::msg::get_instances_resp::{CurrInstance, RequestedPathResult};
use crate::usp::wire::msg::response::RespType;
use crate::usp::wire::msg::{GetInstances, GetInstancesResp};

/// Answers a GetInstances.
pub async fn handle<B: Backend>(agent: &mut Agent<B>, asker: &Asker, request: GetInstances) -> Outcome {
    let paths: Vec<&str> = request.obj_paths.iter().map(String::as_str).collect();
    let (results, _) = agent.model.instances(&*asker.access, &paths, request.first_level_only).await;
    let results = paths.iter().zip(results).map(|(path, result)| requested(path, result));
    Ok(RespType::GetInstancesResp(GetInstancesResp { req_path_results: results.collect() }))
}

fn requested(path: &str, result: Result<Vec<Instance>, Fault>) -> RequestedPathResult {
    let requested_path = path.to_owned();
    match result {
        Ok(instances) => RequestedPathResult {
            requested_path,
            curr_insts: instances.into_iter().map(instance).collect(),
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

fn instance(instance: Instance) -> CurrInstance {
    CurrInstance { instantiated_obj_path: instance.path, unique_keys: map(instance.keys) }
}
