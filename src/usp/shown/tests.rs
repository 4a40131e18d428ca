use super::*;
use crate::usp::message::{error, notify, param_error, request, response};
use crate::usp::wire::msg;
use crate::usp::wire::msg::request::ReqType;
use crate::usp::wire::msg::response::RespType;

fn lines(message: &[u8]) -> String {
    let shown = Shown::of(message).unwrap();
    let mut text = format!("{} {}", shown.kind, shown.msg_id);
    shown.notification.into_iter().for_each(|(kind, subscription)| text += &format!(" {kind} {subscription}"));
    shown.each(&mut |said| match said {
        Said::Path(before, after) => text += &format!("|{before}{after}"),
        Said::Value(object, name, value) => text += &format!("|{object}{name}={value}"),
        Said::Failure(object, leaf, code, why) => text += &format!("|{object}{leaf}!{code} {why}"),
    });
    text
}

fn map(name: &str, value: &str) -> std::collections::BTreeMap<String, String> {
    [(name.to_owned(), value.to_owned())].into()
}

#[test]
fn requests() {
    let setting = |param: &str| msg::set::UpdateParamSetting { param: param.into(), value: "v".into(), required: true };
    let object =
        msg::set::UpdateObject { obj_path: "Device.X.".into(), param_settings: vec![setting("A"), setting("B")] };
    let add = msg::add::CreateObject {
        obj_path: "Device.Y.".into(),
        param_settings: vec![msg::add::CreateParamSetting { param: "A".into(), value: "v".into(), required: false }],
    };
    let command = "Device.Ping()".to_owned();
    let path = msg::register::RegistrationPath { path: "Device.Z.".into() };
    for (asked, shown) in [
        (ReqType::Get(msg::Get { param_paths: vec!["a".into(), "b".into()], max_depth: 3 }), "Get 7|a|b"),
        (
            ReqType::GetSupportedDm(msg::GetSupportedDm { obj_paths: vec!["a".into()], ..Default::default() }),
            "GetSupportedDM 7|a",
        ),
        (
            ReqType::GetInstances(msg::GetInstances { obj_paths: vec!["a".into()], ..Default::default() }),
            "GetInstances 7|a",
        ),
        (ReqType::Set(msg::Set { allow_partial: true, update_objs: vec![object] }), "Set 7|Device.X.A=v|Device.X.B=v"),
        (ReqType::Add(msg::Add { allow_partial: true, create_objs: vec![add] }), "Add 7|Device.Y.|Device.Y.A=v"),
        (ReqType::Delete(msg::Delete { allow_partial: true, obj_paths: vec!["a".into()] }), "Delete 7|a"),
        (
            ReqType::Operate(msg::Operate { command, input_args: map("Host", "h"), ..Default::default() }),
            "Operate 7|Device.Ping()|Host=h",
        ),
        (ReqType::GetSupportedProtocol(Default::default()), "GetSupportedProtocol 7"),
        (ReqType::Register(msg::Register { allow_partial: true, reg_paths: vec![path] }), "Register 7|Device.Z."),
        (ReqType::Deregister(msg::Deregister { paths: vec!["a".into()] }), "Deregister 7|a"),
    ] {
        assert_eq!(lines(&request("7", asked)), shown);
    }
}

#[test]
fn notifications() {
    use msg::notify::operation_complete::{CommandFailure, OperationResp, OutputArgs};
    use msg::notify::{
        Event, Notification, ObjectCreation, ObjectDeletion, OnBoardRequest, OperationComplete, ValueChange,
    };
    let complete = |operation_resp| OperationComplete {
        obj_path: "Device.".into(),
        command_name: "Ping()".into(),
        operation_resp: Some(operation_resp),
        ..Default::default()
    };
    let failure = CommandFailure { err_code: 7022, err_msg: "why".into() };
    for (what, shown) in [
        (
            Notification::Event(Event {
                obj_path: "Device.".into(),
                event_name: "Boot!".into(),
                params: map("Cause", "c"),
            }),
            "Event|Device.Boot!|Cause=c",
        ),
        (Notification::ValueChange(ValueChange { param_path: "p".into(), param_value: "v".into() }), "ValueChange|p=v"),
        (
            Notification::ObjCreation(ObjectCreation { obj_path: "o".into(), unique_keys: map("k", "v") }),
            "ObjectCreation|o|k=v",
        ),
        (Notification::ObjDeletion(ObjectDeletion { obj_path: "o".into() }), "ObjectDeletion|o"),
        (
            Notification::OperComplete(complete(OperationResp::ReqOutputArgs(OutputArgs {
                output_args: map("a", "v"),
            }))),
            "OperationComplete|Device.Ping()|a=v",
        ),
        (
            Notification::OperComplete(complete(OperationResp::CmdFailure(failure))),
            "OperationComplete|Device.Ping()|!7022 why",
        ),
        (
            Notification::OnBoardReq(OnBoardRequest { serial_number: "s".into(), ..Default::default() }),
            "OnBoardRequest|SerialNumber=s",
        ),
    ] {
        let sent = msg::Notify { subscription_id: "sub".into(), send_resp: true, notification: Some(what) };
        let (kind, rest) = shown.split_at(shown.find('|').unwrap());
        assert_eq!(lines(&notify("7", &sent)), format!("Notify 7 {kind} sub{rest}"));
    }
    assert_eq!(lines(&notify("7", &msg::Notify::default())), "Notify 7 nothing ");
}

#[test]
fn responses() {
    let fault = crate::usp::fault::Fault::new(crate::usp::fault::Code::InvalidPath, "why");
    let get = msg::GetResp {
        req_path_results: vec![
            msg::get_resp::RequestedPathResult {
                requested_path: "Device.".into(),
                resolved_path_results: vec![msg::get_resp::ResolvedPathResult {
                    resolved_path: "Device.X.".into(),
                    result_params: map("A", "v"),
                }],
                ..Default::default()
            },
            msg::get_resp::RequestedPathResult {
                requested_path: "Device.Y".into(),
                err_code: 7026,
                err_msg: "why".into(),
                ..Default::default()
            },
        ],
    };
    let set = {
        use msg::set_resp::updated_object_result::OperationStatus;
        use msg::set_resp::updated_object_result::operation_status::{OperStatus, OperationFailure, OperationSuccess};
        use msg::set_resp::{ParameterError, UpdatedInstanceFailure, UpdatedInstanceResult, UpdatedObjectResult};
        let errors = || vec![ParameterError { param: "A".into(), err_code: 7012, err_msg: "why".into() }];
        let result = |status| UpdatedObjectResult {
            requested_path: "Device.*.".into(),
            oper_status: Some(OperationStatus { oper_status: Some(status) }),
        };
        let failed = UpdatedInstanceFailure { affected_path: "Device.X.".into(), param_errs: errors() };
        let done = UpdatedInstanceResult {
            affected_path: "Device.Y.".into(),
            param_errs: errors(),
            updated_params: map("B", "v"),
        };
        let failure = OperationFailure { err_code: 7021, err_msg: "all".into(), updated_inst_failures: vec![failed] };
        let success = OperationSuccess { updated_inst_results: vec![done] };
        let results = [OperStatus::OperFailure(failure), OperStatus::OperSuccess(success)];
        msg::SetResp { updated_obj_results: results.into_iter().map(result).collect() }
    };
    let add = {
        use msg::add_resp::created_object_result::OperationStatus;
        use msg::add_resp::created_object_result::operation_status::{OperStatus, OperationSuccess};
        let success = OperationSuccess { instantiated_path: "Device.X.1.".into(), ..Default::default() };
        let status = OperationStatus { oper_status: Some(OperStatus::OperSuccess(success)) };
        let result =
            msg::add_resp::CreatedObjectResult { requested_path: "Device.X.".into(), oper_status: Some(status) };
        msg::AddResp { created_obj_results: vec![result] }
    };
    let delete = {
        use msg::delete_resp::deleted_object_result::OperationStatus;
        use msg::delete_resp::deleted_object_result::operation_status::{OperStatus, OperationSuccess};
        let success = OperationSuccess { affected_paths: vec!["Device.X.1.".into()], ..Default::default() };
        let status = OperationStatus { oper_status: Some(OperStatus::OperSuccess(success)) };
        let result =
            msg::delete_resp::DeletedObjectResult { requested_path: "Device.X.*.".into(), oper_status: Some(status) };
        msg::DeleteResp { deleted_obj_results: vec![result] }
    };
    let operate = {
        use msg::operate_resp::OperationResult;
        use msg::operate_resp::operation_result::{CommandFailure, OperationResp, OutputArgs};
        let result = |resp| OperationResult { executed_command: "Device.Ping()".into(), operation_resp: Some(resp) };
        let results = [
            OperationResp::ReqObjPath("Device.Request.1".into()),
            OperationResp::ReqOutputArgs(OutputArgs { output_args: map("a", "v") }),
            OperationResp::CmdFailure(CommandFailure { err_code: 7022, err_msg: "why".into() }),
        ];
        msg::OperateResp { operation_results: results.into_iter().map(result).collect() }
    };
    let supported = msg::GetSupportedDmResp {
        req_obj_results: vec![msg::get_supported_dm_resp::RequestedObjectResult {
            supported_objs: vec![msg::get_supported_dm_resp::SupportedObjectResult {
                supported_obj_path: "Device.X.{i}.".into(),
                ..Default::default()
            }],
            ..Default::default()
        }],
    };
    let instances = msg::GetInstancesResp {
        req_path_results: vec![msg::get_instances_resp::RequestedPathResult {
            curr_insts: vec![msg::get_instances_resp::CurrInstance {
                instantiated_obj_path: "Device.X.1.".into(),
                unique_keys: map("k", "v"),
            }],
            ..Default::default()
        }],
    };
    for (answer, shown) in [
        (RespType::GetResp(get), "GetResp 7|Device.X.A=v|Device.Y!7026 why"),
        (RespType::SetResp(set), "SetResp 7|Device.*.|!7021 all|Device.X.A!7012 why|Device.*.|Device.Y.A!7012 why"),
        (RespType::AddResp(add), "AddResp 7|Device.X.|Device.X.1."),
        (RespType::DeleteResp(delete), "DeleteResp 7|Device.X.*.|Device.X.1."),
        (
            RespType::OperateResp(operate),
            "OperateResp 7|Device.Ping()|Device.Request.1|Device.Ping()|a=v|Device.Ping()|!7022 why",
        ),
        (RespType::GetSupportedDmResp(supported), "GetSupportedDMResp 7|Device.X.{i}."),
        (RespType::GetInstancesResp(instances), "GetInstancesResp 7|Device.X.1."),
        (RespType::NotifyResp(msg::NotifyResp { subscription_id: "s".into() }), "NotifyResp 7|s"),
        (RespType::GetSupportedProtocolResp(Default::default()), "GetSupportedProtocolResp 7"),
        (RespType::RegisterResp(Default::default()), "RegisterResp 7"),
        (RespType::DeregisterResp(Default::default()), "DeregisterResp 7"),
    ] {
        assert_eq!(lines(&response("7", answer)), shown);
    }
    let errors = vec![param_error("Device.X.A", &fault)];
    assert_eq!(lines(&error("7", &fault, errors)), "Error 7|!7026 why|Device.X.A!7026 why");
}

#[test]
fn what_is_no_message_is_not_shown() {
    for bytes in
        [&b""[..], b"\xff", b"GET / HTTP/1.1\r\n", &[0x12, 4, 0x0a, 2, 0x0a, 0], &[0x0a, 1, 7, 0x12, 2, 0x7a, 0]]
    {
        assert_eq!(Shown::of(bytes), None, "{bytes:?}");
    }
}
