//! GetSupportedDM: the supported model below objects, or one of its elements, with real types and access.
//!
//! A walker (`Asker::walks`) is shown of one level only what has a value on this router: its page stays blank otherwise.

use super::super::Agent;
use super::{Asker, Outcome};
use crate::backend::Backend;
use crate::model::schema::{Access, Command, Event, Kind, Param, UniqueKey};
use crate::model::{SupportedObject, Want};
use crate::usp::fault::Fault;
use crate::usp::wire::msg::get_supported_dm_resp::{
    CmdType, ObjAccessType, ParamAccessType, ParamValueType, RequestedObjectResult, SupportedCommandResult,
    SupportedEventResult, SupportedObjectResult, SupportedParamResult, SupportedUniqueKeySet, ValueChangeType,
};
use crate::usp::wire::msg::response::RespType;
use crate::usp::wire::msg::{GetSupportedDm, GetSupportedDmResp};

/// The model the digest was made of.
const MODEL: &str = "urn:broadband-forum-org:tr-181-2-19-1";

/// Answers a GetSupportedDM.
pub async fn handle<B: Backend>(agent: &mut Agent<B>, asker: &Asker, request: &GetSupportedDm) -> Outcome {
    let want = Want {
        first_level_only: request.first_level_only,
        commands: request.return_commands,
        events: request.return_events,
        params: request.return_params,
        unique_keys: request.return_unique_key_sets,
    };
    let mut req_obj_results = Vec::new();
    for path in &request.obj_paths {
        let mut found = agent.model.supported(&*asker.access, path, want);
        if let (Ok(objects), true) = (&mut found, asker.walks && want.first_level_only) {
            leave_what_is_there(agent, asker, objects).await;
        }
        req_obj_results.push(requested(path, found));
    }
    Ok(RespType::GetSupportedDmResp(GetSupportedDmResp { req_obj_results }))
}

/// Of an object that is there once: parameters with a value, and single objects below it that are there.
async fn leave_what_is_there<B: Backend>(agent: &Agent<B>, asker: &Asker, objects: &mut Vec<SupportedObject<'_>>) {
    let is_single = |object: &SupportedObject<'_>| !object.object.path.ends_with("{i}.");
    let Some(here) = objects.first_mut().filter(|here| !here.object.path.contains("{i}")) else { return };
    let reading = agent.model.get(&*asker.access, &[here.object.path], 1).await;
    let values = reading.results.into_iter().flatten().flatten().next().map(|values| values.params).unwrap_or_default();
    here.params.retain(|param| values.iter().any(|(name, _)| *name == param.name));
    let below: Vec<&str> = objects.iter().skip(1).filter(|o| is_single(o)).map(|o| o.object.path).collect();
    let named = agent.model.named(&below, 1).await;
    let is_gone = |path: &str| {
        let at = below.iter().position(|below| *below == path);
        at.and_then(|at| named.get(at)?.as_ref()).is_some_and(|named| named.is_empty())
    };
    objects.retain(|object| !is_gone(object.object.path));
}

fn requested(path: &str, result: Result<Vec<SupportedObject<'_>>, Fault>) -> RequestedObjectResult {
    let req_obj_path = path.to_owned();
    match result {
        Ok(objects) => RequestedObjectResult {
            req_obj_path,
            data_model_inst_uri: MODEL.to_owned(),
            supported_objs: objects.iter().map(object).collect(),
            ..RequestedObjectResult::default()
        },
        Err(fault) => RequestedObjectResult {
            req_obj_path,
            err_code: fault.code as u32,
            err_msg: fault.text.into_owned(),
            ..RequestedObjectResult::default()
        },
    }
}

fn object(supported: &SupportedObject<'_>) -> SupportedObjectResult {
    let object = supported.object;
    let access = if object.creatable { ObjAccessType::ObjAddDelete } else { ObjAccessType::ObjReadOnly };
    SupportedObjectResult {
        supported_obj_path: object.path.to_string(),
        access: access as i32,
        is_multi_instance: object.table,
        supported_commands: supported.commands.iter().map(|c| command(c)).collect(),
        supported_events: supported.events.iter().map(|e| event(e)).collect(),
        supported_params: supported.params.iter().map(|p| param(p)).collect(),
        divergent_paths: Vec::new(),
        unique_key_sets: supported.keys.iter().map(|key| unique_key(key)).collect(),
    }
}

fn unique_key(key: &UniqueKey) -> SupportedUniqueKeySet {
    SupportedUniqueKeySet { key_names: key.params.iter().map(|name| name.to_string()).collect() }
}

fn param(param: &Param) -> SupportedParamResult {
    let access = match param.access {
        Access::ReadOnly => ParamAccessType::ParamReadOnly,
        // TP-469 1.104: write-once shows as read-write.
        Access::ReadWrite | Access::WriteOnce => ParamAccessType::ParamReadWrite,
    };
    let change = match param.value_change_ignored {
        true => ValueChangeType::ValueChangeWillIgnore,
        false => ValueChangeType::ValueChangeAllowed,
    };
    SupportedParamResult {
        param_name: param.name.to_string(),
        access: access as i32,
        value_type: value_type(param) as i32,
        value_change: change as i32,
    }
}

/// A list is a string, whatever its elements are.
fn value_type(param: &Param) -> ParamValueType {
    if param.facets.list.is_some() {
        return ParamValueType::ParamString;
    }
    match param.kind {
        Kind::String => ParamValueType::ParamString,
        Kind::Boolean => ParamValueType::ParamBoolean,
        Kind::Int => ParamValueType::ParamInt,
        Kind::UnsignedInt => ParamValueType::ParamUnsignedInt,
        Kind::Long => ParamValueType::ParamLong,
        Kind::UnsignedLong => ParamValueType::ParamUnsignedLong,
        Kind::Decimal => ParamValueType::ParamDecimal,
        Kind::DateTime => ParamValueType::ParamDateTime,
        Kind::Base64 => ParamValueType::ParamBase64,
        Kind::HexBinary => ParamValueType::ParamHexBinary,
    }
}

fn command(command: &Command) -> SupportedCommandResult {
    let kind = if command.asynchronous { CmdType::CmdAsync } else { CmdType::CmdSync };
    SupportedCommandResult {
        command_name: command.name.to_string(),
        input_arg_names: command.input.iter().map(|a| a.name.to_string()).collect(),
        output_arg_names: command.output.iter().map(|a| a.name.to_string()).collect(),
        command_type: kind as i32,
    }
}

fn event(event: &Event) -> SupportedEventResult {
    SupportedEventResult {
        event_name: event.name.to_string(),
        arg_names: event.arguments.iter().map(|a| a.name.to_string()).collect(),
    }
}
