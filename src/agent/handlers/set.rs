//! Set: parameters of objects, all in one transaction.
//!
//! An object in which a required parameter failed is left as it was. A path that searches is one whole, whatever
//! allow_partial says (R-SET.2a). Without allow_partial any such failure is an Error and nothing changes.

use super::super::Agent;
use super::{Asker, Failures, Outcome, Refusal, SUBSCRIPTIONS, is_search, readable, required_failed};
use crate::backend::Backend;
use crate::model::{Everything, Model, Node, Preview, Transaction};
use crate::usp::fault::{Code, Fault};
use crate::usp::wire::msg::response::RespType;
use crate::usp::wire::msg::set::{UpdateObject, UpdateParamSetting};
use crate::usp::wire::msg::set_resp::updated_object_result::OperationStatus;
use crate::usp::wire::msg::set_resp::updated_object_result::operation_status::{
    OperStatus, OperationFailure, OperationSuccess,
};
use crate::usp::wire::msg::set_resp::{
    ParameterError, UpdatedInstanceFailure, UpdatedInstanceResult, UpdatedObjectResult,
};
use crate::usp::wire::msg::{Set, SetResp};
use std::collections::BTreeMap;

/// Answers a Set.
pub async fn handle<B: Backend>(agent: &mut Agent<B>, asker: &Asker, request: Set) -> Outcome {
    let (transaction, response) = stage(&agent.model, agent.model.begin(), asker, &request).await?;
    let committed = transaction.commit().await?;
    agent.after.committed(committed);
    Ok(RespType::SetResp(response))
}

/// What the Set would answer and change; nothing is changed.
pub async fn rehearse<B: Backend>(
    agent: &Agent<B>,
    asker: &Asker,
    request: &Set,
) -> Result<(SetResp, Preview), Refusal> {
    let mut transaction = agent.model.begin();
    transaction.rehearse();
    let (transaction, response) = stage(&agent.model, transaction, asker, request).await?;
    Ok((response, transaction.preview().await?))
}

async fn stage<'m, B: Backend>(
    model: &Model<B>,
    mut transaction: Transaction<'m, B>,
    asker: &Asker,
    request: &Set,
) -> Result<(Transaction<'m, B>, SetResp), Refusal> {
    let mut updated_obj_results = Vec::new();
    for object in &request.update_objs {
        let outcome = update(model, &mut transaction, asker, object).await;
        if let (Err(failure), false) = (&outcome, request.allow_partial) {
            let refusal = failure.refusal(&object.obj_path);
            transaction.abandon().await;
            return Err(refusal);
        }
        updated_obj_results.push(result(&object.obj_path, outcome));
    }
    Ok((transaction, SetResp { updated_obj_results }))
}

/// Why the objects of one path were not updated.
struct Failure {
    fault: Fault,
    instances: Vec<(String, Failures)>,
}

async fn update<B: Backend>(
    model: &Model<B>,
    transaction: &mut Transaction<'_, B>,
    asker: &Asker,
    object: &UpdateObject,
) -> Result<Vec<UpdatedInstanceResult>, Failure> {
    let found = transaction.objects(&*asker.access, &object.obj_path).await.map_err(Failure::of)?;
    if found.is_empty() && !is_search(&object.obj_path) {
        return Err(Failure::of(Fault::new(Code::ObjectDoesNotExist, "there is no such object")));
    }
    let start = transaction.savepoint();
    let (mut updated, mut failed) = (Vec::new(), Vec::new());
    for instance in &found {
        match settings(model, transaction, asker, instance, &object.param_settings).await {
            Ok(result) => updated.push(result),
            Err(failures) => failed.push((instance.path.clone(), failures)),
        }
    }
    let Some((_, first)) = failed.first() else { return Ok(updated) };
    let fault = required_failed(first);
    transaction.undo(start).await;
    Err(Failure { fault, instances: failed })
}

/// The settings of one object; Err: the required ones that failed.
async fn settings<B: Backend>(
    model: &Model<B>,
    transaction: &mut Transaction<'_, B>,
    asker: &Asker,
    object: &Node,
    settings: &[UpdateParamSetting],
) -> Result<UpdatedInstanceResult, Failures> {
    let (mut params, mut optional, mut required) = (BTreeMap::new(), Vec::new(), Vec::new());
    for setting in settings {
        let done = match settled(model, object, setting).await {
            true => Err(Fault::new(Code::ParameterReadOnly, "ReferenceList is set for good")),
            false => {
                let named = (&*setting.param, &*setting.value);
                transaction.set_as(&*asker.access, object, named, setting.required).await
            }
        };
        match done {
            Ok(()) if readable(&asker.access, &object.path, &setting.param) => {
                params.insert(setting.param.clone(), setting.value.clone());
            }
            Ok(()) => {}
            Err(fault) if setting.required => required.push((setting.param.clone(), fault)),
            Err(fault) => optional.push((setting.param.clone(), fault)),
        }
    }
    if required.is_empty() {
        for (path, fault) in transaction.carry_out().await {
            let name = path.strip_prefix(&object.path).unwrap_or(&path).to_owned();
            params.remove(&name);
            let must = settings.iter().any(|setting| setting.param == name && setting.required);
            if must { &mut required } else { &mut optional }.push((name, fault));
        }
    }
    if !required.is_empty() {
        return Err(required);
    }
    let param_errs = optional.into_iter().map(parameter_error).collect();
    Ok(UpdatedInstanceResult { affected_path: object.path.clone(), param_errs, updated_params: params })
}

/// What a subscription watches is fixed once it is given.
async fn settled<B: Backend>(model: &Model<B>, object: &Node, setting: &UpdateParamSetting) -> bool {
    if setting.param != "ReferenceList" || !object.path.starts_with(SUBSCRIPTIONS) {
        return false;
    }
    let path = format!("{}ReferenceList", object.path);
    let mut reading = model.get(&Everything, &[&path], 1).await;
    let objects = reading.results.pop().and_then(Result::ok).unwrap_or_default();
    let old = objects.into_iter().flat_map(|o| o.params).next().map(|(_, value)| value).unwrap_or_default();
    !old.is_empty() && old != setting.value
}

impl Failure {
    fn of(fault: Fault) -> Self {
        Self { fault, instances: Vec::new() }
    }

    fn refusal(&self, path: &str) -> Refusal {
        if self.instances.is_empty() {
            return Refusal::of(path, self.fault.clone());
        }
        let of_object = |(object, failures): &(String, Failures)| {
            failures.iter().map(|(name, fault)| (format!("{object}{name}"), fault.clone())).collect::<Vec<_>>()
        };
        Refusal { fault: self.fault.clone(), params: self.instances.iter().flat_map(of_object).collect() }
    }
}

fn result(path: &str, outcome: Result<Vec<UpdatedInstanceResult>, Failure>) -> UpdatedObjectResult {
    let status = match outcome {
        Ok(updated_inst_results) => OperStatus::OperSuccess(OperationSuccess { updated_inst_results }),
        Err(failure) => OperStatus::OperFailure(OperationFailure {
            err_code: failure.fault.code as u32,
            err_msg: failure.fault.text.into_owned(),
            updated_inst_failures: failure.instances.into_iter().map(instance_failure).collect(),
        }),
    };
    UpdatedObjectResult {
        requested_path: path.to_owned(),
        oper_status: Some(OperationStatus { oper_status: Some(status) }),
    }
}

fn instance_failure((affected_path, failures): (String, Failures)) -> UpdatedInstanceFailure {
    UpdatedInstanceFailure { affected_path, param_errs: failures.into_iter().map(parameter_error).collect() }
}

fn parameter_error((param, fault): (String, Fault)) -> ParameterError {
    ParameterError { param, err_code: fault.code as u32, err_msg: fault.text.into_owned() }
}
