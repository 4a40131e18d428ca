//! GetInstances: the instances behind paths, with their readable unique keys.
//!
//! A walker (`Asker::walks`) may ask an object that is there once: it means the tables right below it.

use super::super::Agent;
use super::{Asker, Outcome, map};
use crate::backend::Backend;
use crate::model::{Instance, Want};
use crate::usp::fault::{Code, Fault};
use crate::usp::wire::msg::get_instances_resp::{CurrInstance, RequestedPathResult};
use crate::usp::wire::msg::response::RespType;
use crate::usp::wire::msg::{GetInstances, GetInstancesResp};

/// Answers a GetInstances.
pub async fn handle<B: Backend>(agent: &mut Agent<B>, asker: &Asker, request: GetInstances) -> Outcome {
    let paths: Vec<&str> = request.obj_paths.iter().map(String::as_str).collect();
    let (results, _) = agent.model.instances(&*asker.access, &paths, request.first_level_only).await;
    let mut req_path_results = Vec::new();
    for (path, result) in paths.iter().zip(results) {
        let result = match result {
            Err(fault) if asker.walks && fault.code == Code::NotATable => {
                below(agent, asker, path, request.first_level_only).await.ok_or(fault)
            }
            result => result,
        };
        req_path_results.push(requested(path, result));
    }
    Ok(RespType::GetInstancesResp(GetInstancesResp { req_path_results }))
}

/// The instances of the tables right below a single object; None where it is none.
async fn below<B: Backend>(agent: &Agent<B>, asker: &Asker, path: &str, first_level: bool) -> Option<Vec<Instance>> {
    let want = Want { first_level_only: true, commands: false, events: false, params: false, unique_keys: false };
    let objects = agent.model.supported(&*asker.access, path, want).ok()?;
    let tables: Vec<&str> = objects.iter().skip(1).filter_map(|o| o.object.path.strip_suffix("{i}.")).collect();
    let (found, _) = agent.model.instances(&*asker.access, &tables, first_level).await;
    // A table that is not there on this router has no instances.
    objects.first().filter(|object| !object.object.path.contains("{i}"))?;
    Some(found.into_iter().flatten().flatten().collect())
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
