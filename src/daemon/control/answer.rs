//! From what is answered to what goes over the bus.

use crate::agent::handlers::Refusal;
use crate::agent::local::Answer;
use crate::backend::ubus::message::status;
use crate::backend::{Table, Value};
use crate::usp::fault::{Code, Fault};
use crate::usp::wire::msg::add_resp::created_object_result::operation_status::OperStatus as Created;
use crate::usp::wire::msg::delete_resp::deleted_object_result::operation_status::OperStatus as Deleted;
use crate::usp::wire::msg::get_supported_dm_resp::{
    CmdType, ObjAccessType, ParamAccessType, ParamValueType, SupportedObjectResult,
};
use crate::usp::wire::msg::operate_resp::operation_result::OperationResp;
use crate::usp::wire::msg::response::RespType;
use crate::usp::wire::msg::set_resp::updated_object_result::operation_status::OperStatus as Updated;
use crate::usp::wire::msg::{AddResp, DeleteResp, GetInstancesResp, GetResp, GetSupportedDmResp, OperateResp, SetResp};
use std::collections::BTreeMap;

/// An answer, and its status on the bus: not 0 where nothing of it succeeded.
pub(super) fn table(answer: &Answer) -> (u32, Table) {
    let done = |table| (status::OK, table);
    match answer {
        Answer::Message(RespType::GetResp(response)) => get(response),
        Answer::Message(RespType::SetResp(response)) => done(updated(response)),
        Answer::Message(RespType::AddResp(response)) => done(added(response)),
        Answer::Message(RespType::DeleteResp(response)) => done(deleted(response)),
        Answer::Message(RespType::OperateResp(response)) => operated(response),
        Answer::Message(RespType::GetInstancesResp(response)) => instances(response),
        Answer::Message(RespType::GetSupportedDmResp(response)) => supported(response),
        Answer::Message(_) => done(Table::default()),
        Answer::Rehearsal(response, preview) => {
            let changes = preview.packages.iter().fold(Table::default(), |all, (package, lines)| {
                all.with(package, Value::Array(lines.iter().map(|line| Value::from(line.as_str())).collect()))
            });
            let told = updated(response).with("dry_run", true).with("changes", changes);
            done(told.with("undoable", preview.undoable))
        }
        Answer::Packages(packages) => done(Table::default().with("packages", list(packages.iter().map(|p| &**p)))),
        Answer::Roles(roles) => done(Table::default().with("roles", list(roles.iter().map(|r| &**r)))),
        Answer::Done => done(Table::default()),
    }
}

/// Something that may be on trial was written.
pub(super) fn changes(answer: &Answer) -> bool {
    matches!(
        answer,
        Answer::Message(RespType::SetResp(_) | RespType::AddResp(_) | RespType::DeleteResp(_)) | Answer::Roles(_)
    )
}

/// The one Request that an Operate started.
pub(super) fn request_of(answer: &Answer) -> Option<&str> {
    let Answer::Message(RespType::OperateResp(response)) = answer else { return None };
    match &response.operation_results[..] {
        [result] => match &result.operation_resp {
            Some(OperationResp::ReqObjPath(path)) => Some(path),
            _ => None,
        },
        _ => None,
    }
}

/// It goes on under this Request.
pub(super) fn started(request: &str) -> Table {
    Table::default().with("request", request)
}

/// What `operation_complete` told, to who has waited for it.
pub(super) fn completed(told: &Table) -> (u32, Table) {
    match told.get("error").and_then(Value::as_i64) {
        Some(number) => {
            let text = told.get("message").and_then(Value::as_str).unwrap_or_default();
            let number = u32::try_from(number).unwrap_or_default();
            (status_of(number), Table::default().with("error", fault(number, text)))
        }
        None => {
            let output = told.get("output").cloned().unwrap_or(Value::Table(Table::default()));
            (status::OK, Table::default().with("output", output))
        }
    }
}

/// A refused request.
pub(super) fn refusal(refusal: &Refusal) -> (u32, Table) {
    // What is said of the one path says more than what is said of the message.
    let (code, text) = match &refusal.params[..] {
        [(path, own)] => (own.code, format!("{path}: {}", own.text)),
        _ => (refusal.fault.code, refusal.fault.text.to_string()),
    };
    let mut error = fault(code as u32, &text);
    if refusal.params.len() > 1 {
        let one = |(path, own): &(String, Fault)| failed(path, own.code as u32, &own.text);
        error = error.with("paths", Value::Array(refusal.params.iter().map(one).collect()));
    }
    (status_of(code as u32), Table::default().with("error", error))
}

fn fault(code: u32, text: &str) -> Table {
    Table::default().with("code", i32::try_from(code).unwrap_or_default()).with("message", text)
}

fn failed(path: &str, code: u32, text: &str) -> Value {
    Table(vec![("path".into(), path.into())].into_iter().chain(fault(code, text).0).collect()).into()
}

/// The status of the bus that comes nearest, for who looks at nothing else.
fn status_of(code: u32) -> u32 {
    match Code::from_number(code) {
        Some(Code::PermissionDenied) => status::PERMISSION_DENIED,
        Some(Code::ObjectDoesNotExist | Code::InvalidPath | Code::UnsupportedParameter) => status::NOT_FOUND,
        Some(
            Code::InvalidArguments
            | Code::InvalidPathSyntax
            | Code::InvalidType
            | Code::InvalidValue
            | Code::InvalidCommandArguments,
        ) => status::INVALID_ARGUMENT,
        _ => status::UNKNOWN_ERROR,
    }
}

fn list<'a>(texts: impl Iterator<Item = &'a str>) -> Value {
    Value::Array(texts.map(Value::from).collect())
}

fn texts(map: &BTreeMap<String, String>) -> Value {
    map.iter().fold(Table::default(), |table, (name, value)| table.with(name, value.as_str())).into()
}

/// With the errors of single paths; they are the answer where nothing else is.
fn with_errors(table: Table, any: bool, mut errors: Vec<Value>) -> (u32, Table) {
    match (any, errors.len()) {
        (_, 0) => (status::OK, table),
        (false, 1) => {
            let error = errors.pop().and_then(|error| error.as_table().cloned()).unwrap_or_default();
            let number = error.get("code").and_then(Value::as_i64).and_then(|code| u32::try_from(code).ok());
            (status_of(number.unwrap_or_default()), Table::default().with("error", error))
        }
        (any, _) => {
            let code = if any { status::OK } else { status::UNKNOWN_ERROR };
            (code, table.with("errors", Value::Array(errors)))
        }
    }
}

fn get(response: &GetResp) -> (u32, Table) {
    let (mut values, mut errors) = (Table::default(), Vec::new());
    for result in &response.req_path_results {
        if result.err_code != 0 {
            errors.push(failed(&result.requested_path, result.err_code, &result.err_msg));
        }
        for object in &result.resolved_path_results {
            for (name, value) in &object.result_params {
                values = values.with(&format!("{}{name}", object.resolved_path), value.as_str());
            }
        }
    }
    let any = errors.len() < response.req_path_results.len();
    with_errors(Table::default().with("values", values), any, errors)
}

fn updated(response: &SetResp) -> Table {
    let mut values = Table::default();
    for result in &response.updated_obj_results {
        let Some(Updated::OperSuccess(success)) = result.oper_status.as_ref().and_then(|s| s.oper_status.as_ref())
        else {
            continue;
        };
        for instance in &success.updated_inst_results {
            for (name, value) in &instance.updated_params {
                values = values.with(&format!("{}{name}", instance.affected_path), value.as_str());
            }
        }
    }
    Table::default().with("updated", values)
}

fn added(response: &AddResp) -> Table {
    let mut created = Vec::new();
    for result in &response.created_obj_results {
        if let Some(Created::OperSuccess(made)) = result.oper_status.as_ref().and_then(|s| s.oper_status.as_ref()) {
            let row = Table::default().with("path", made.instantiated_path.as_str());
            created.push(row.with("keys", texts(&made.unique_keys)).into());
        }
    }
    Table::default().with("created", Value::Array(created))
}

fn deleted(response: &DeleteResp) -> Table {
    let mut paths = Vec::new();
    for result in &response.deleted_obj_results {
        if let Some(Deleted::OperSuccess(gone)) = result.oper_status.as_ref().and_then(|s| s.oper_status.as_ref()) {
            paths.extend(gone.affected_paths.iter().map(|path| Value::from(path.as_str())));
        }
    }
    Table::default().with("deleted", Value::Array(paths))
}

/// Of one command its output, Request or failure; of several a list of those.
fn operated(response: &OperateResp) -> (u32, Table) {
    let one = |response: Option<&OperationResp>| match response {
        Some(OperationResp::ReqOutputArgs(output)) => Table::default().with("output", texts(&output.output_args)),
        Some(OperationResp::ReqObjPath(path)) => started(path),
        Some(OperationResp::CmdFailure(failure)) => {
            Table::default().with("error", fault(failure.err_code, &failure.err_msg))
        }
        None => Table::default(),
    };
    if let [result] = &response.operation_results[..] {
        let code = match &result.operation_resp {
            Some(OperationResp::CmdFailure(failure)) => status_of(failure.err_code),
            _ => status::OK,
        };
        return (code, one(result.operation_resp.as_ref()));
    }
    let results = response.operation_results.iter().map(|result| {
        let command = Table::default().with("command", result.executed_command.as_str());
        Table(command.0.into_iter().chain(one(result.operation_resp.as_ref()).0).collect()).into()
    });
    (status::OK, Table::default().with("results", Value::Array(results.collect())))
}

fn instances(response: &GetInstancesResp) -> (u32, Table) {
    let (mut rows, mut errors) = (Vec::new(), Vec::new());
    for result in &response.req_path_results {
        if result.err_code != 0 {
            errors.push(failed(&result.requested_path, result.err_code, &result.err_msg));
        }
        for row in &result.curr_insts {
            let path = Table::default().with("path", row.instantiated_obj_path.as_str());
            rows.push(path.with("keys", texts(&row.unique_keys)).into());
        }
    }
    let any = errors.len() < response.req_path_results.len();
    with_errors(Table::default().with("instances", Value::Array(rows)), any, errors)
}

fn supported(response: &GetSupportedDmResp) -> (u32, Table) {
    let (mut objects, mut errors) = (Vec::new(), Vec::new());
    for result in &response.req_obj_results {
        if result.err_code != 0 {
            errors.push(failed(&result.req_obj_path, result.err_code, &result.err_msg));
        }
        objects.extend(result.supported_objs.iter().map(object));
    }
    let any = errors.len() < response.req_obj_results.len();
    with_errors(Table::default().with("objects", Value::Array(objects)), any, errors)
}

fn object(object: &SupportedObjectResult) -> Value {
    let rows = object.access != ObjAccessType::ObjReadOnly as i32;
    let params = object.supported_params.iter().fold(Table::default(), |all, param| {
        let access = if param.access == ParamAccessType::ParamReadOnly as i32 { "ro" } else { "rw" };
        all.with(&param.param_name, &*format!("{access} {}", kind_name(param.value_type)))
    });
    let commands = object.supported_commands.iter().fold(Table::default(), |all, command| {
        let kind = if command.command_type == CmdType::CmdAsync as i32 { "async" } else { "sync" };
        let words = [kind].into_iter().chain(command.input_arg_names.iter().map(String::as_str));
        all.with(&command.command_name, &*words.collect::<Vec<_>>().join(" "))
    });
    let table = Table::default().with("path", object.supported_obj_path.as_str());
    let table = table.with("table", object.is_multi_instance).with("rows_can_be_added", rows);
    let events = list(object.supported_events.iter().map(|event| event.event_name.as_str()));
    table.with("params", params).with("commands", commands).with("events", events).into()
}

fn kind_name(kind: i32) -> &'static str {
    match ParamValueType::try_from(kind) {
        Ok(ParamValueType::ParamBase64) => "base64",
        Ok(ParamValueType::ParamBoolean) => "boolean",
        Ok(ParamValueType::ParamDateTime) => "dateTime",
        Ok(ParamValueType::ParamDecimal) => "decimal",
        Ok(ParamValueType::ParamHexBinary) => "hexBinary",
        Ok(ParamValueType::ParamInt) => "int",
        Ok(ParamValueType::ParamLong) => "long",
        Ok(ParamValueType::ParamString) => "string",
        Ok(ParamValueType::ParamUnsignedInt) => "unsignedInt",
        Ok(ParamValueType::ParamUnsignedLong) => "unsignedLong",
        _ => "unknown",
    }
}
