//! The outcome of each message, by the numbers of TP-469 where there is one.

use super::*;
use crate::usp::wire::msg::add_resp::created_object_result::operation_status::OperStatus as AddStatus;
use crate::usp::wire::msg::delete_resp::deleted_object_result::operation_status::OperStatus as DeleteStatus;
use crate::usp::wire::msg::set_resp::updated_object_result::operation_status::OperStatus as SetStatus;

const SUBSCRIPTIONS: &str = "Device.LocalAgent.Subscription.";
const HOST: &str = "Device.DeviceInfo.";

fn added(response: RespType) -> Vec<AddStatus> {
    let RespType::AddResp(response) = response else { panic!("not an AddResp: {response:?}") };
    response.created_obj_results.into_iter().map(|r| r.oper_status.unwrap().oper_status.unwrap()).collect()
}

fn updated(response: RespType) -> SetStatus {
    let RespType::SetResp(mut response) = response else { panic!("not a SetResp: {response:?}") };
    response.updated_obj_results.remove(0).oper_status.unwrap().oper_status.unwrap()
}

fn deleted(response: RespType) -> Vec<DeleteStatus> {
    let RespType::DeleteResp(response) = response else { panic!("not a DeleteResp: {response:?}") };
    response.deleted_obj_results.into_iter().map(|r| r.oper_status.unwrap().oper_status.unwrap()).collect()
}

fn errors(error: &msg::Error) -> Vec<(&str, u32)> {
    error.param_errs.iter().map(|e| (e.param_path.as_str(), e.err_code)).collect()
}

#[test]
fn add_1_1_a_subscription_gets_its_keys_and_belongs_to_who_makes_it() {
    let mut bench = Bench::new("");
    let settings = [("ID", "sub-1", true), ("NotifType", "Event", false), ("ReferenceList", "Device.Boot!", false)];
    let [AddStatus::OperSuccess(success)] = &added(bench.response(add(false, SUBSCRIPTIONS, &settings)))[..] else {
        panic!("not created");
    };
    assert_eq!(success.instantiated_path, "Device.LocalAgent.Subscription.1.");
    assert_eq!(success.unique_keys["ID"], "sub-1");
    assert_eq!(success.unique_keys["Recipient"], "Device.LocalAgent.Controller.1");
    assert!(success.unique_keys["Alias"].starts_with("cpe-"), "{:?}", success.unique_keys);
    assert_eq!(bench.get("Device.LocalAgent.Subscription.1.CreationDate"), ["CreationDate=2027-01-15T08:00:00Z"]);
    assert_eq!(bench.agent.settings().subscriptions[0].kind, Some(settings::Kind::Event));
}

#[test]
fn add_1_3_a_required_parameter_that_fails_is_an_error_and_nothing_changes() {
    let mut bench = Bench::new("");
    let settings = [("ID", "x", true), ("InvalidParameter", "x", true)];
    let error = bench.error(add(false, SUBSCRIPTIONS, &settings));
    assert_eq!(error.err_code, 7021);
    assert_eq!(errors(&error), [("Device.LocalAgent.Subscription.1.InvalidParameter", 7010)]);
    assert!(bench.get("Device.LocalAgent.Subscription.").is_empty());
}

#[test]
fn add_1_4_an_unknown_table_is_named_as_it_was_asked_for() {
    let error = Bench::new("").error(add(false, "Device.LocalAgent.InvalidObject.", &[]));
    assert_eq!(errors(&error), [("Device.LocalAgent.InvalidObject.", 7026)]);
}

#[test]
fn add_1_9_with_allow_partial_the_good_ones_are_made() {
    let mut bench = Bench::new("");
    let good = create(SUBSCRIPTIONS, &[("ID", "a", false), ("Wrong", "x", false)]);
    let bad = create(SUBSCRIPTIONS, &[("ID", "b", false), ("Wrong", "x", true)]);
    let request = ReqType::Add(msg::Add { allow_partial: true, create_objs: vec![good, bad] });
    let [AddStatus::OperSuccess(success), AddStatus::OperFailure(failure)] = &added(bench.response(request))[..] else {
        panic!("one of two expected");
    };
    assert_eq!((success.param_errs[0].param.as_str(), success.param_errs[0].err_code), ("Wrong", 7010));
    assert_eq!(failure.err_code, 7021);
    assert_eq!(bench.get("Device.LocalAgent.Subscription.*.ID"), ["ID=a"]);
}

#[test]
fn add_1_88_a_key_counts_as_required() {
    let mut bench = Bench::new("");
    let error = bench.error(add(false, SUBSCRIPTIONS, &[("Alias", "1-begins-with-a-digit", false)]));
    assert_eq!(errors(&error), [("Device.LocalAgent.Subscription.1.Alias", 7012)]);
}

#[test]
fn add_refuses_a_key_that_exists() {
    let mut bench = Bench::new("");
    bench.response(add(false, SUBSCRIPTIONS, &[("ID", "same", true)]));
    let error = bench.error(add(false, SUBSCRIPTIONS, &[("ID", "same", true)]));
    assert_eq!(error.err_code, 7025);
}

#[test]
fn set_1_11_tells_what_it_updated() {
    let mut bench = Bench::new("");
    let SetStatus::OperSuccess(success) = updated(bench.response(set(false, HOST, &[("HostName", "router", true)])))
    else {
        panic!("not updated")
    };
    assert_eq!(success.updated_inst_results[0].affected_path, HOST);
    assert_eq!(success.updated_inst_results[0].updated_params["HostName"], "router");
    assert_eq!(bench.get("Device.DeviceInfo.HostName"), ["HostName=router"]);
    assert!(bench.done.contains(&Action::ConfigWritten(vec!["system".into()])));
}

#[test]
fn set_1_15_one_failure_undoes_all_without_allow_partial() {
    let mut bench = Bench::new("");
    let object = |path: &str, param: &str| msg::set::UpdateObject {
        obj_path: path.into(),
        param_settings: vec![msg::set::UpdateParamSetting { param: param.into(), value: "x".into(), required: true }],
    };
    let update_objs = vec![object(HOST, "HostName"), object("Device.LocalAgent.Controller.1.", "Nonsense")];
    let error = bench.error(ReqType::Set(msg::Set { allow_partial: false, update_objs }));
    assert_eq!(errors(&error), [("Device.LocalAgent.Controller.1.Nonsense", 7010)]);
    assert_eq!(bench.get("Device.DeviceInfo.HostName"), ["HostName=OpenWrt"]);
}

#[test]
fn set_optional_failures_are_told_beside_the_success() {
    let mut bench = Bench::new("");
    let SetStatus::OperSuccess(success) =
        updated(bench.response(set(false, HOST, &[("HostName", "b", true), ("UpTime", "1", false)])))
    else {
        panic!("not updated")
    };
    let error = &success.updated_inst_results[0].param_errs[0];
    assert_eq!((error.param.as_str(), error.err_code), ("UpTime", 7013));
}

#[test]
fn set_1_21_a_search_is_one_whole_even_with_allow_partial() {
    let mut bench = Bench::new("");
    bench.response(add(false, SUBSCRIPTIONS, &[("ID", "a", true)]));
    bench.response(add(false, SUBSCRIPTIONS, &[("ID", "b", true)]));
    let request = set(true, "Device.LocalAgent.Subscription.*.", &[("Enable", "InvalidValue", true)]);
    let SetStatus::OperFailure(failure) = updated(bench.response(request)) else { panic!("updated") };
    assert_eq!(failure.updated_inst_failures[0].affected_path, "Device.LocalAgent.Subscription.1.");
    assert_eq!(failure.updated_inst_failures[0].param_errs[0].param, "Enable");
}

#[test]
fn set_1_23_a_search_that_matches_nothing_is_success() {
    let request = set(false, "Device.LocalAgent.Subscription.[ID==\"none\"].", &[("Enable", "true", true)]);
    let SetStatus::OperSuccess(success) = updated(Bench::new("").response(request)) else { panic!("failed") };
    assert!(success.updated_inst_results.is_empty());
}

#[test]
fn set_a_row_that_is_not_there_is_7016() {
    let error = Bench::new("").error(set(false, "Device.LocalAgent.Subscription.99.", &[("Enable", "1", true)]));
    assert_eq!(errors(&error), [("Device.LocalAgent.Subscription.99.", 7016)]);
}

#[test]
fn delete_1_25_what_is_not_there_is_empty_success() {
    let mut bench = Bench::new("");
    for partial in [false, true] {
        let [DeleteStatus::OperSuccess(success)] =
            &deleted(bench.response(delete(partial, &["Device.LocalAgent.Subscription.9."])))[..]
        else {
            panic!("failed")
        };
        assert!(success.affected_paths.is_empty());
    }
}

#[test]
fn delete_1_26_and_1_31_an_unknown_object_fails() {
    let mut bench = Bench::new("");
    bench.response(add(false, SUBSCRIPTIONS, &[("ID", "a", true)]));
    let error = bench.error(delete(false, &["Device.LocalAgent.Subscription.1.", "Device.LocalAgent.InvalidObject."]));
    assert_eq!(errors(&error), [("Device.LocalAgent.InvalidObject.", 7026)]);
    let paths = ["Device.LocalAgent.Subscription.1.", "Device.LocalAgent.InvalidObject."];
    let [DeleteStatus::OperSuccess(success), DeleteStatus::OperFailure(failure)] =
        &deleted(bench.response(delete(true, &paths)))[..]
    else {
        panic!("one of two expected")
    };
    assert_eq!(success.affected_paths, ["Device.LocalAgent.Subscription.1."]);
    assert_eq!(failure.err_code, 7026);
}

#[test]
fn get_answers_each_path_in_order() {
    let mut bench = Bench::new("");
    let paths = [
        "Device.DeviceInfo.Manufacturer",
        "Device.Nonsense",
        "Device.LocalAgent.Subscription.",
        "Device.IP.Interface.7.",
    ];
    let RespType::GetResp(response) = bench.response(get(&paths)) else { panic!("not a GetResp") };
    let outcome = response.req_path_results.iter().map(|r| (r.requested_path.as_str(), r.err_code)).collect::<Vec<_>>();
    assert_eq!(outcome, [(paths[0], 0), (paths[1], 7026), (paths[2], 0), (paths[3], 7026)]);
    assert_eq!(response.req_path_results[0].resolved_path_results[0].resolved_path, "Device.DeviceInfo.");
}

#[test]
fn get_instances_tells_the_unique_keys() {
    let mut bench = Bench::new("");
    let request =
        |path: &str| ReqType::GetInstances(msg::GetInstances { obj_paths: vec![path.into()], first_level_only: true });
    let RespType::GetInstancesResp(response) = bench.response(request("Device.LocalAgent.Controller.")) else {
        panic!()
    };
    let first = &response.req_path_results[0].curr_insts[0];
    assert_eq!(first.instantiated_obj_path, "Device.LocalAgent.Controller.1.");
    assert_eq!(first.unique_keys["EndpointID"], "proto::acs");
    let RespType::GetInstancesResp(response) = bench.response(request(HOST)) else { panic!() };
    assert_eq!(response.req_path_results[0].err_code, 7018);
}

#[test]
fn the_supported_model_has_real_types() {
    let mut bench = Bench::new("");
    let request = |path: &str| {
        ReqType::GetSupportedDm(msg::GetSupportedDm {
            obj_paths: vec![path.into()],
            first_level_only: false,
            return_commands: true,
            return_events: true,
            return_params: true,
            return_unique_key_sets: true,
        })
    };
    let RespType::GetSupportedDmResp(response) = bench.response(request("Device.LocalAgent.Subscription.")) else {
        panic!()
    };
    let object = &response.req_obj_results[0].supported_objs[0];
    assert_eq!((object.supported_obj_path.as_str(), object.access), ("Device.LocalAgent.Subscription.{i}.", 1));
    let keys: Vec<_> = object.unique_key_sets.iter().map(|k| k.key_names.clone()).collect();
    assert_eq!(keys, [vec!["Alias".to_owned()], vec!["Recipient".into(), "ID".into()]]);
    let param = |name: &str| object.supported_params.iter().find(|p| p.param_name == name).unwrap();
    assert_eq!((param("Enable").value_type, param("Enable").access), (2, 1));
    assert_eq!((param("Alias").access, param("CreationDate").value_type, param("Recipient").access), (1, 3, 0));
    let RespType::GetSupportedDmResp(response) = bench.response(request("Device.ScheduleTimer()")) else { panic!() };
    let command = &response.req_obj_results[0].supported_objs[0].supported_commands[0];
    assert_eq!((command.command_name.as_str(), command.command_type), ("ScheduleTimer()", 2));
    assert_eq!(command.input_arg_names, ["DelaySeconds"]);
}

#[test]
fn the_versions_we_speak() {
    let request = msg::GetSupportedProtocol { controller_supported_protocol_versions: "1.0,1.3".into() };
    let RespType::GetSupportedProtocolResp(response) = Bench::new("").response(ReqType::GetSupportedProtocol(request))
    else {
        panic!()
    };
    assert_eq!(response.agent_supported_protocol_versions, "1.0,1.1,1.2,1.3,1.4");
}

#[test]
fn what_is_forbidden_is_7006_and_what_may_not_be_read_is_not_there() {
    let mut bench = Bench::new("");
    let code = |answer: Option<Incoming>| match answer {
        Some(Incoming::Error { error, .. }) => error.err_code,
        other => panic!("no error: {other:?}"),
    };
    assert_eq!(code(bench.ask_as("proto::guest", add(false, SUBSCRIPTIONS, &[]))), 7006);
    assert_eq!(code(bench.ask_as("proto::guest", set(false, HOST, &[("HostName", "x", true)]))), 7006);
    assert_eq!(code(bench.ask_as("proto::guest", delete(false, &["Device.LocalAgent.Controller.1."]))), 7006);
    let Some(Incoming::Response { response: RespType::OperateResp(response), .. }) =
        bench.ask_as("proto::guest", operate("Device.Reboot()", "", &[]))
    else {
        panic!("2.18 wants a response")
    };
    let failure = format!("{:?}", response.operation_results[0].operation_resp);
    assert!(failure.contains("7006"), "{failure}");
    assert_eq!(bench.get("Device.DeviceInfo.HostName"), ["HostName=OpenWrt"]);
}

#[test]
fn add_2_23_and_2_24_a_refused_parameter_refuses_its_table_and_no_other() {
    let permission = |order: u32, row: u32, param: &str| {
        format!(
            "config permission\n\toption role 'full'\n\toption Order '{order}'\n\toption Param '{param}'\n\toption Obj 'rwxn'
\toption InstantiatedObj 'rwxn'\n\tlist Targets 'Device.LocalAgent.Controller.{row}.BootParameter.'\n"
        )
    };
    let mut bench = Bench::new(&format!("{}{}", permission(5, 1, "rw--"), permission(6, 2, "r---")));
    let search = "Device.LocalAgent.Controller.*.BootParameter";
    let settings = [("Enable", "false", true)];
    let error = bench.error(add(false, search, &settings));
    assert_eq!(error.err_code, 7006);
    assert_eq!(errors(&error), [("Device.LocalAgent.Controller.2.BootParameter", 7006)]);
    let [AddStatus::OperSuccess(made), AddStatus::OperFailure(failure)] =
        &added(bench.response(add(true, search, &settings)))[..]
    else {
        panic!("not one of each");
    };
    assert_eq!(made.instantiated_path, "Device.LocalAgent.Controller.1.BootParameter.1.");
    assert_eq!(failure.err_code, 7006);
}

#[test]
fn a_notify_to_the_agent_is_an_error_not_a_crash() {
    let error = Bench::new("").error(ReqType::Notify(Notify::default()));
    assert_eq!(error.err_code, 7001);
}

#[test]
fn an_answer_beyond_the_limit_is_7005() {
    let mut bench = Bench::new("");
    let long = format!("Device.IP.Interface.[Name==\"{}\"].", "x".repeat(1000));
    let error = bench.error(get(&vec![long.as_str(); 2000]));
    assert_eq!(error.err_code, 7005);
}

#[test]
fn rubbish_closes_a_channel_unless_a_broker_carried_it() {
    let protocols = [Protocol::WebSocket, Protocol::UnixSocket, Protocol::Mqtt { level: 5 }, Protocol::Stomp];
    for protocol in protocols {
        let mut bench = Bench::off("");
        bench.start();
        let route = Route { controller: "acs".into(), topic: Some("t".into()), ..Route::default() };
        let link = Link { protocol, routes: vec![route], response_topic: None, peer: PeerFacts::default() };
        bench.input(Input::Connected { channel: CHANNEL, link });
        (bench.done, bench.sent) = (Vec::new(), Vec::new());
        bench.input(Input::Record { channel: CHANNEL, bytes: b"\xff\xff\xff".as_slice().into(), reply_to: None });
        match protocol.brokered() {
            true => assert!(bench.done.is_empty(), "{protocol:?} {:?}", bench.done),
            false => assert!(matches!(bench.done[..], [Action::Close { code: 1003, .. }]), "{:?}", bench.done),
        }
        assert!(bench.sent.is_empty());
    }
}

#[test]
fn a_session_context_is_refused_and_the_agent_greets_again() {
    use crate::usp::wire::record::record::RecordType;
    use crate::usp::wire::record::{Record, SessionContextRecord};
    use prost::Message as _;
    let mut bench = Bench::new("");
    let inner = SessionContextRecord { session_id: 5, sequence_id: 1, expected_id: 1, ..Default::default() };
    let record = Record {
        version: "1.4".into(),
        to_id: "os::00256D-123".into(),
        from_id: "proto::acs".into(),
        record_type: Some(RecordType::SessionContext(inner)),
        ..Default::default()
    };
    bench.input(Input::Record { channel: CHANNEL, bytes: record.encode_to_vec().into(), reply_to: None });
    assert!(matches!(bench.sent[0].1, Content::Disconnect { code: 7106, .. }), "{:?}", bench.sent);
    bench.raw("proto::acs", message::request("id", get(&["Device.DeviceInfo."])));
    assert!(matches!(bench.sent[1].1, Content::Connect(_)), "{:?}", bench.sent);
    assert!(matches!(bench.sent[2].1, Content::Message(_)));
}

#[test]
fn what_a_subscription_watches_is_fixed_once_it_is_given() {
    let mut bench = Bench::new("");
    bench.response(add(false, SUBSCRIPTIONS, &[("ID", "a", true)]));
    let row = "Device.LocalAgent.Subscription.1.";
    bench.response(set(false, row, &[("ReferenceList", "Device.Boot!", true)]));
    bench.response(set(false, row, &[("ReferenceList", "Device.Boot!", true)]));
    let error = bench.error(set(false, row, &[("ReferenceList", "Device.DeviceInfo.", true)]));
    assert_eq!(errors(&error), [("Device.LocalAgent.Subscription.1.ReferenceList", 7013)]);
}

#[test]
fn set_1_17_an_object_with_a_failure_is_left_as_it_was() {
    let mut bench = Bench::new("");
    let params = [("HostName", "half", true), ("Nonsense", "x", true)];
    let SetStatus::OperFailure(failure) = updated(bench.response(set(true, HOST, &params))) else { panic!("updated") };
    assert_eq!((failure.err_code, failure.updated_inst_failures[0].param_errs[0].err_code), (7021, 7010));
    assert_eq!(bench.get("Device.DeviceInfo.HostName"), ["HostName=OpenWrt"]);
    assert!(bench.done.is_empty(), "nothing was written: {:?}", bench.done);
}
