//! Add: new instances with their parameters, all in one transaction.
//!
//! Parameters of unique keys count as required whatever the request says (TP-469 1.88). Keys the request leaves
//! out are assigned and returned (R-ADD.5). A path that searches makes one instance, and one result, per table.
//! A subscription belongs to the controller that makes it.

use super::super::Agent;
use super::{Asker, Failures, Outcome, Refusal, SUBSCRIPTIONS, map, readable, required_failed};
use crate::backend::Backend;
use crate::calendar;
use crate::model::schema::Schema;
use crate::model::{Node, Transaction};
use crate::usp::fault::{Code, Fault};
use crate::usp::wire::msg::add::{CreateObject, CreateParamSetting};
use crate::usp::wire::msg::add_resp::created_object_result::OperationStatus;
use crate::usp::wire::msg::add_resp::created_object_result::operation_status::{
    OperStatus, OperationFailure, OperationSuccess,
};
use crate::usp::wire::msg::add_resp::{CreatedObjectResult, ParameterError};
use crate::usp::wire::msg::response::RespType;
use crate::usp::wire::msg::{Add, AddResp};

const THRESHOLDS: &str = "Device.LocalAgent.Threshold.";

/// Answers an Add.
pub async fn handle<B: Backend>(agent: &mut Agent<B>, asker: &Asker, request: Add) -> Outcome {
    let adds = |table: &str| request.create_objs.iter().any(|o| o.obj_path.starts_with(table.trim_end_matches('.')));
    let owned = if adds(SUBSCRIPTIONS) { owned(agent, asker, &request).await? } else { Vec::new() };
    let controller = match adds(THRESHOLDS) && !asker.is_owner() {
        true => agent.controller_path(&asker.endpoint_id).await,
        false => None,
    };
    let mut adding =
        Adding { schema: agent.model.schema(), transaction: agent.model.begin(), asker, owned, controller };
    let mut results = Vec::new();
    for object in &request.create_objs {
        for outcome in adding.create_all(object).await {
            if let (Err(failure), false) = (&outcome, request.allow_partial) {
                let refusal = failure.refusal();
                adding.transaction.abandon().await;
                return Err(refusal);
            }
            results.push(result(&object.obj_path, outcome));
        }
    }
    let committed = adding.transaction.commit().await?;
    agent.after.committed(committed);
    Ok(RespType::AddResp(AddResp { created_obj_results: results }))
}

/// What a subscription of this controller says of where it comes from. The owner of the router makes them for others.
async fn owned<B: Backend>(
    agent: &Agent<B>,
    asker: &Asker,
    request: &Add,
) -> Result<Vec<(&'static str, String)>, Refusal> {
    let recipient = match asker.is_owner() {
        false => agent.controller_path(&asker.endpoint_id).await,
        true => {
            let mut settings = request.create_objs.iter().flat_map(|object| &object.param_settings);
            let given = settings.find(|setting| setting.param == "Recipient").map(|setting| setting.value.clone());
            let text = "say whose it is: Recipient=Device.LocalAgent.Controller.1";
            Some(given.ok_or_else(|| Refusal::from(Fault::new(Code::InvalidArguments, text)))?)
        }
    };
    let recipient = recipient.map(|path| ("Recipient", path.trim_end_matches('.').to_owned()));
    let now = if agent.now.clock_is_set {
        calendar::date_time(agent.now.unix_ms.div_euclid(1000))
    } else {
        calendar::UNKNOWN_TIME.into()
    };
    Ok(recipient.into_iter().chain([("CreationDate", now)]).collect())
}

/// Why an instance was not created.
struct Failure {
    /// The object, or the table, or the path as it was requested.
    path: String,
    fault: Fault,
    params: Failures,
}

struct Adding<'a, B: Backend> {
    schema: &'a Schema,
    transaction: Transaction<'a, B>,
    asker: &'a Asker,
    owned: Vec<(&'static str, String)>,
    /// The row of the controller that asks.
    controller: Option<String>,
}

impl<B: Backend> Adding<'_, B> {
    async fn create_all(&mut self, object: &CreateObject) -> Vec<Result<OperationSuccess, Failure>> {
        let path = &object.obj_path;
        let tables = match self.transaction.tables(&*self.asker.access, path).await {
            Ok(tables) if tables.is_empty() => Err(Fault::new(Code::ObjectDoesNotExist, "the path matches no table")),
            other => other,
        };
        let tables = match tables {
            Ok(tables) => tables,
            Err(fault) => return vec![Err(Failure::of(path, fault))],
        };
        let mut outcomes = Vec::new();
        for table in &tables {
            let start = self.transaction.savepoint();
            // A failure names the table as the request does, with or without the final dot.
            let named = if path.ends_with('.') { &*table.path } else { table.path.trim_end_matches('.') };
            let outcome = self.create(table, named, &object.param_settings).await;
            if outcome.is_err() {
                self.transaction.undo(start).await;
            }
            outcomes.push(outcome);
        }
        outcomes
    }

    async fn create(
        &mut self,
        table: &Node,
        named: &str,
        settings: &[CreateParamSetting],
    ) -> Result<OperationSuccess, Failure> {
        let access = &*self.asker.access;
        let made = self.transaction.create(access, table).await;
        let mut object = made.map_err(|fault| Failure::of(named, fault))?;
        if table.path == SUBSCRIPTIONS {
            for (name, value) in &self.owned {
                let assigned = self.transaction.assign(&object, name, value).await;
                assigned.map_err(|fault| Failure::of(&object.path, fault))?;
            }
        }
        if let (THRESHOLDS, Some(path)) = (&*table.path, &self.controller) {
            let assigned = self.transaction.assign(&object, "Controller", path.trim_end_matches('.')).await;
            assigned.map_err(|fault| Failure::of(&object.path, fault))?;
        }
        let mut param_errs = self.set(&object, settings).await.map_err(|failure| failure.refused_in(named))?;
        let added = self.transaction.add_staged(access, &mut object).await;
        let keys = match added.map_err(|fault| Failure::of(named, fault))? {
            Some((keys, refused)) => {
                param_errs.extend(refused.into_iter().map(|(path, fault)| {
                    parameter_error((path.strip_prefix(&object.path).unwrap_or(&path).to_owned(), fault))
                }));
                keys
            }
            None => {
                let keys = self.transaction.finish(access, &object).await;
                keys.map_err(|fault| Failure::of(&object.path, fault))?
            }
        };
        let keys = keys.into_iter().filter(|(name, _)| readable(access, &object.path, name));
        Ok(OperationSuccess { instantiated_path: object.path.clone(), param_errs, unique_keys: map(keys) })
    }

    /// Applies the settings; the optional ones that failed come back.
    async fn set(&mut self, object: &Node, settings: &[CreateParamSetting]) -> Result<Vec<ParameterError>, Failure> {
        let (mut optional, mut required) = (Vec::new(), Vec::new());
        for setting in settings {
            if self.is_own(object, setting) {
                continue;
            }
            let must = setting.required || self.is_key(object, &setting.param);
            let named = (&*setting.param, &*setting.value);
            if let Err(fault) = self.transaction.set_as(&*self.asker.access, object, named, must).await {
                if must { &mut required } else { &mut optional }.push((setting.param.clone(), fault));
            }
        }
        if required.is_empty() {
            return Ok(optional.into_iter().map(parameter_error).collect());
        }
        Err(Failure { path: object.path.clone(), fault: required_failed(&required), params: required })
    }

    fn is_key(&self, object: &Node, name: &str) -> bool {
        self.schema[object.object].keys.iter().any(|key| key.params.iter().any(|p| &**p == name))
    }

    /// A controller that names itself as the recipient of its subscription says nothing new.
    fn is_own(&self, object: &Node, setting: &CreateParamSetting) -> bool {
        let value = setting.value.trim_end_matches('.');
        let same = self.owned.iter().any(|(name, own)| *name == "Recipient" && *name == setting.param && own == value);
        same && object.path.starts_with(SUBSCRIPTIONS)
    }
}

impl Failure {
    fn of(path: &str, fault: Fault) -> Self {
        Self { path: path.to_owned(), fault, params: Vec::new() }
    }

    /// Where a required parameter may not be written, nothing may be added to the table (TP-469 2.24).
    fn refused_in(self, table: &str) -> Self {
        match self.params.first() {
            Some((name, _)) if self.fault.code == Code::PermissionDenied => {
                Self::of(table, Fault::new(Code::PermissionDenied, format!("{name}: {}", self.fault.text)))
            }
            _ => self,
        }
    }

    fn refusal(&self) -> Refusal {
        if self.params.is_empty() {
            return Refusal::of(self.path.as_str(), self.fault.clone());
        }
        let params = self.params.iter().map(|(name, fault)| (format!("{}{name}", self.path), fault.clone()));
        Refusal { fault: self.fault.clone(), params: params.collect() }
    }
}

fn result(path: &str, outcome: Result<OperationSuccess, Failure>) -> CreatedObjectResult {
    let status = match outcome {
        Ok(success) => OperStatus::OperSuccess(success),
        Err(failure) => OperStatus::OperFailure(OperationFailure {
            err_code: failure.fault.code as u32,
            err_msg: failure.fault.text.into_owned(),
        }),
    };
    CreatedObjectResult {
        requested_path: path.to_owned(),
        oper_status: Some(OperationStatus { oper_status: Some(status) }),
    }
}

fn parameter_error((param, fault): (String, Fault)) -> ParameterError {
    ParameterError { param, err_code: fault.code as u32, err_msg: fault.text.into_owned() }
}
