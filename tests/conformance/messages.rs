//! Requests as the test plan writes them, and what their responses say.

use std::collections::BTreeMap;

use usp_agent::usp::wire::msg::request::ReqType;
use usp_agent::usp::wire::msg::response::RespType;
use usp_agent::usp::wire::msg::{self, add, add_resp, delete_resp, operate_resp, set, set_resp};

use crate::tester::Tester;

pub type Params = BTreeMap<String, String>;

/// allow_partial.
pub const WHOLE: bool = false;
pub const PARTIAL: bool = true;

/// One of a request's param_settings.
#[derive(Debug, Clone, Copy)]
pub struct Setting<'a> {
    pub param: &'a str,
    pub value: &'a str,
    pub required: bool,
}

/// A setting with `required` left out.
pub fn may<'a>(param: &'a str, value: &'a str) -> Setting<'a> {
    Setting { param, value, required: false }
}

/// A setting with `required: true`.
pub fn must<'a>(param: &'a str, value: &'a str) -> Setting<'a> {
    Setting { param, value, required: true }
}

/// An object of an Add or a Set.
pub type Object<'a> = (&'a str, &'a [Setting<'a>]);

/// One result of an AddResp.
#[derive(Debug)]
pub struct Created {
    pub requested: String,
    pub outcome: Result<
        add_resp::created_object_result::operation_status::OperationSuccess,
        add_resp::created_object_result::operation_status::OperationFailure,
    >,
}

/// One result of a SetResp.
#[derive(Debug)]
pub struct Updated {
    pub requested: String,
    pub outcome: Result<
        Vec<set_resp::UpdatedInstanceResult>,
        set_resp::updated_object_result::operation_status::OperationFailure,
    >,
}

/// One result of a DeleteResp.
#[derive(Debug)]
pub struct Deleted {
    pub requested: String,
    pub outcome: Result<
        delete_resp::deleted_object_result::operation_status::OperationSuccess,
        delete_resp::deleted_object_result::operation_status::OperationFailure,
    >,
}

/// A Response or an Error message.
pub type Answer<T> = Result<Vec<T>, msg::Error>;

/// The Response; the case fails on an Error message.
pub fn accepted<T>(answer: Answer<T>) -> Vec<T> {
    answer.unwrap_or_else(|error| panic!("the EUT sends an Error: {error:?}"))
}

/// The Error message; the case fails on a Response.
pub fn refused<T: std::fmt::Debug>(answer: Answer<T>) -> msg::Error {
    answer.expect_err("the EUT does not send an Error")
}

/// The only one; the case fails when there are none or several.
pub fn single<T: std::fmt::Debug>(all: impl IntoIterator<Item = T>) -> T {
    let all: Vec<T> = all.into_iter().collect();
    match <[T; 1]>::try_from(all) {
        Ok([one]) => one,
        Err(all) => panic!("not a single element: {all:?}"),
    }
}

/// "An appropriate error code": one that TR-369 gives for this failure.
pub fn appropriate(code: u32, codes: &[u32]) {
    assert!(codes.contains(&code), "error code {code} is none of {codes:?}");
}

/// The Error says it with one of `codes`, and with one of them for `param_path` alone.
pub fn names_only(error: &msg::Error, param_path: &str, codes: &[u32]) {
    let [param] = error.param_errs.as_slice() else { panic!("not a single ParamError: {error:?}") };
    assert_eq!(param.param_path, param_path, "param_path");
    appropriate(param.err_code, codes);
    appropriate(error.err_code, codes);
}

fn create((path, settings): &Object<'_>) -> add::CreateObject {
    let setting = |s: &Setting<'_>| add::CreateParamSetting {
        param: s.param.to_owned(),
        value: s.value.to_owned(),
        required: s.required,
    };
    add::CreateObject { obj_path: (*path).to_owned(), param_settings: settings.iter().map(setting).collect() }
}

fn update((path, settings): &Object<'_>) -> set::UpdateObject {
    let setting = |s: &Setting<'_>| set::UpdateParamSetting {
        param: s.param.to_owned(),
        value: s.value.to_owned(),
        required: s.required,
    };
    set::UpdateObject { obj_path: (*path).to_owned(), param_settings: settings.iter().map(setting).collect() }
}

fn strings(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

/// An Add.
pub fn add_request(allow_partial: bool, objects: &[Object<'_>]) -> ReqType {
    ReqType::Add(msg::Add { allow_partial, create_objs: objects.iter().map(create).collect() })
}

/// A Set.
pub fn set_request(allow_partial: bool, objects: &[Object<'_>]) -> ReqType {
    ReqType::Set(msg::Set { allow_partial, update_objs: objects.iter().map(update).collect() })
}

impl Tester {
    /// Add.
    pub async fn add(&mut self, allow_partial: bool, objects: &[Object<'_>]) -> Answer<Created> {
        use add_resp::created_object_result::operation_status::OperStatus;
        let request = add_request(allow_partial, objects);
        let RespType::AddResp(response) = self.ask(request).await? else { panic!("not an AddResp") };
        let created = |result: add_resp::CreatedObjectResult| Created {
            requested: result.requested_path,
            outcome: match result.oper_status.and_then(|status| status.oper_status).expect("no OperationStatus") {
                OperStatus::OperSuccess(success) => Ok(success),
                OperStatus::OperFailure(failure) => Err(failure),
            },
        };
        Ok(response.created_obj_results.into_iter().map(created).collect())
    }

    /// Set.
    pub async fn set(&mut self, allow_partial: bool, objects: &[Object<'_>]) -> Answer<Updated> {
        use set_resp::updated_object_result::operation_status::OperStatus;
        let request = set_request(allow_partial, objects);
        let RespType::SetResp(response) = self.ask(request).await? else { panic!("not a SetResp") };
        let updated = |result: set_resp::UpdatedObjectResult| Updated {
            requested: result.requested_path,
            outcome: match result.oper_status.and_then(|status| status.oper_status).expect("no OperationStatus") {
                OperStatus::OperSuccess(success) => Ok(success.updated_inst_results),
                OperStatus::OperFailure(failure) => Err(failure),
            },
        };
        Ok(response.updated_obj_results.into_iter().map(updated).collect())
    }

    /// Delete.
    pub async fn delete(&mut self, allow_partial: bool, paths: &[&str]) -> Answer<Deleted> {
        use delete_resp::deleted_object_result::operation_status::OperStatus;
        let request = msg::Delete { allow_partial, obj_paths: strings(paths) };
        let RespType::DeleteResp(response) = self.ask(ReqType::Delete(request)).await? else {
            panic!("not a DeleteResp")
        };
        let deleted = |result: delete_resp::DeletedObjectResult| Deleted {
            requested: result.requested_path,
            outcome: match result.oper_status.and_then(|status| status.oper_status).expect("no OperationStatus") {
                OperStatus::OperSuccess(success) => Ok(success),
                OperStatus::OperFailure(failure) => Err(failure),
            },
        };
        Ok(response.deleted_obj_results.into_iter().map(deleted).collect())
    }

    /// Get down to `max_depth`.
    pub async fn get_depth(&mut self, paths: &[&str], max_depth: u32) -> Answer<msg::get_resp::RequestedPathResult> {
        let request = msg::Get { param_paths: strings(paths), max_depth };
        let RespType::GetResp(response) = self.ask(ReqType::Get(request)).await? else { panic!("not a GetResp") };
        Ok(response.req_path_results)
    }

    /// Get; a GetResp is expected.
    pub async fn get(&mut self, paths: &[&str]) -> Vec<msg::get_resp::RequestedPathResult> {
        accepted(self.get_depth(paths, 0).await)
    }

    /// The objects at one path, with their parameters; the case fails on an error for it.
    pub async fn objects(&mut self, path: &str) -> BTreeMap<String, Params> {
        let result = single(self.get(&[path]).await);
        assert_eq!(result.err_code, 0, "Get of {path}: {}", result.err_msg);
        result.resolved_path_results.into_iter().map(|object| (object.resolved_path, object.result_params)).collect()
    }

    /// The value of one parameter that is there.
    pub async fn value(&mut self, path: &str) -> String {
        let object = single(self.objects(path).await);
        single(object.1).1
    }

    /// GetInstances.
    pub async fn get_instances(
        &mut self,
        paths: &[&str],
        first_level_only: bool,
    ) -> Answer<msg::get_instances_resp::RequestedPathResult> {
        let request = msg::GetInstances { obj_paths: strings(paths), first_level_only };
        let RespType::GetInstancesResp(response) = self.ask(ReqType::GetInstances(request)).await? else {
            panic!("not a GetInstancesResp")
        };
        Ok(response.req_path_results)
    }

    /// Operate with send_resp true.
    pub async fn operate(
        &mut self,
        command: &str,
        command_key: &str,
        input: &[(&str, &str)],
    ) -> Answer<operate_resp::OperationResult> {
        let request = operate(command, command_key, true, input);
        let RespType::OperateResp(response) = self.ask(request).await? else { panic!("not an OperateResp") };
        Ok(response.operation_results)
    }

    /// The row of Device.LocalAgent.Controller.{i}. that represents this tester.
    pub async fn controller(&mut self) -> String {
        let path = format!("Device.LocalAgent.Controller.[EndpointID==\"{}\"].", self.own_id);
        let result = single(accepted(self.get_depth(&[&path], 1).await));
        single(result.resolved_path_results).resolved_path
    }

    /// Sets one parameter, as a step whose success is no metric.
    pub async fn put(&mut self, object: &str, param: &str, value: &str) {
        let updated = single(accepted(self.set(WHOLE, &[(object, &[must(param, value)])]).await));
        assert!(updated.outcome.is_ok(), "{object}{param} is not set: {updated:?}");
    }

    /// Adds one row, as a step of a setup, and gives its path.
    pub async fn make(&mut self, table: &str, settings: &[(&str, &str)]) -> String {
        let settings: Vec<_> = settings.iter().map(|(param, value)| must(param, value)).collect();
        let created = single(accepted(self.add(WHOLE, &[(table, &settings)]).await));
        created.outcome.unwrap_or_else(|failure| panic!("setup, {table}: {failure:?}")).instantiated_path
    }
}

/// An Operate.
pub fn operate(command: &str, command_key: &str, send_resp: bool, input: &[(&str, &str)]) -> ReqType {
    ReqType::Operate(msg::Operate {
        command: command.to_owned(),
        command_key: command_key.to_owned(),
        send_resp,
        input_args: input.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
    })
}
