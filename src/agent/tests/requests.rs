//! Commands: at once, later, canceled, over a reboot.

use super::*;
use crate::usp::wire::msg::operate_resp::operation_result::OperationResp;

const PING: [(&str, &str); 5] = [
    ("Host", "192.0.2.1"),
    ("ProtocolVersion", "Any"),
    ("NumberOfRepetitions", "1"),
    ("Timeout", "1000"),
    ("DataBlockSize", "64"),
];

fn with<'a>(input: &[(&'a str, &'a str)], more: (&'a str, &'a str)) -> Vec<(&'a str, &'a str)> {
    input.iter().copied().chain([more]).collect()
}

fn result(response: RespType) -> OperationResp {
    let RespType::OperateResp(mut response) = response else { panic!("not an OperateResp: {response:?}") };
    response.operation_results.remove(0).operation_resp.unwrap()
}

fn failure(response: RespType) -> u32 {
    match result(response) {
        OperationResp::CmdFailure(failure) => failure.err_code,
        other => panic!("no failure: {other:?}"),
    }
}

fn done(reference: &str) -> String {
    subscription("done", "OperationComplete", reference, "")
}

#[test]
fn a_call_of_the_router_answers_at_once() {
    let mut bench = Bench::new("");
    bench.router.set_answer("network.interface.lan", "restart", &serde_json::json!({}));
    let OperationResp::ReqOutputArgs(output) =
        result(bench.response(operate("Device.IP.Interface.1.Reset()", "k", &[])))
    else {
        panic!("no output")
    };
    assert!(output.output_args.is_empty());
    assert_eq!(failure(bench.response(operate("Device.IP.Interface.2.Reset()", "k", &[]))), 7022);
}

#[test]
fn an_operation_has_a_row_until_it_is_done() {
    let mut bench = Bench::new(&done("Device.IP.Diagnostics.IPPing()"));
    let request = operate("Device.IP.Diagnostics.IPPing()", "key-1", &with(&PING, ("Bogus", "x")));
    let OperationResp::ReqObjPath(path) = result(bench.response(request)) else { panic!("not started") };
    assert_eq!(path, "Device.LocalAgent.Request.1");
    let Some(Action::Spawn(operation)) = bench.done.pop() else { panic!("{:?}", bench.done) };
    assert_eq!((&*operation.name, operation.path.as_str()), ("ping", "Device.IP.Diagnostics.IPPing()"));
    assert!(operation.input.contains(&("Host".into(), "192.0.2.1".into())), "{:?}", operation.input);
    let row = bench.get("Device.LocalAgent.Request.1.");
    assert!(row.contains(&"CommandKey=key-1".into()) && row.contains(&"Status=Active".into()), "{row:?}");
    bench.input(Input::OperationDone {
        request: operation.request,
        outcome: Ok(vec![("Status".into(), "Complete".into())]),
    });
    assert_eq!(bench.told(), ["done done Device.IP.Diagnostics.IPPing() key-1"]);
    assert!(bench.get("Device.LocalAgent.Request.").is_empty());
}

#[test]
fn without_send_resp_there_is_no_answer_but_the_end_is_told() {
    let mut bench = Bench::new(&done("Device.IP.Diagnostics."));
    let ReqType::Operate(mut request) = operate("Device.IP.Diagnostics.IPPing()", "quiet", &PING) else { panic!() };
    request.send_resp = false;
    assert_eq!(bench.ask(ReqType::Operate(request)), None);
    bench.input(Input::OperationDone { request: 1, outcome: Ok(vec![]) });
    assert_eq!(bench.told(), ["done done Device.IP.Diagnostics.IPPing() quiet"]);
}

#[test]
fn a_mandatory_argument_that_is_missing_is_7027_in_the_result() {
    let mut bench = Bench::new(&done("Device."));
    assert_eq!(failure(bench.response(operate("Device.IP.Diagnostics.IPPing()", "k", &[]))), 7027);
    assert!(bench.told().is_empty() && bench.done.is_empty());
}

#[test]
fn a_request_can_be_canceled() {
    let mut bench = Bench::new(&done("Device."));
    bench.response(operate("Device.IP.Diagnostics.IPPing()", "k", &PING));
    bench.response(operate("Device.LocalAgent.Request.1.Cancel()", "", &[]));
    assert!(bench.done.contains(&Action::CancelOperation(1)));
    assert!(bench.get("Device.LocalAgent.Request.1.Status").contains(&"Status=Canceling".into()));
    let outcome = Err(crate::usp::fault::Fault::new(crate::usp::fault::Code::InternalError, "aborted"));
    bench.input(Input::OperationDone { request: 1, outcome });
    let (_, notify) = bench.notified().remove(0);
    assert!(format!("{notify:?}").contains("7023"), "{notify:?}");
}

#[test]
fn no_more_than_the_limit_run_at_once() {
    let mut bench = Bench::new("");
    for _ in 0..crate::agent::requests::MAX_REQUESTS {
        bench.response(operate("Device.IP.Diagnostics.IPPing()", "k", &PING));
    }
    assert_eq!(failure(bench.response(operate("Device.IP.Diagnostics.IPPing()", "k", &PING))), 7005);
}

#[test]
fn a_scheduled_timer_survives_a_reboot() {
    let mut bench = Bench::new(&done("Device.ScheduleTimer()"));
    bench.response(operate("Device.ScheduleTimer()", "timer é", &[("DelaySeconds", "60")]));
    bench.pass(20_000);
    bench.reboot();
    bench.connect("acs");
    assert_eq!(bench.get("Device.LocalAgent.Request.*.Command"), ["Command=Device.ScheduleTimer()"]);
    bench.pass(39_000);
    assert!(bench.told().is_empty());
    bench.pass(2000);
    assert_eq!(bench.told(), ["done done Device.ScheduleTimer() timer é"]);
    assert!(bench.get("Device.LocalAgent.Request.").is_empty());
}

#[test]
fn a_transfer_that_a_restart_ends_has_failed_and_is_told_once() {
    let events = subscription("ev", "Event", "Device.LocalAgent.TransferComplete!", "");
    let mut bench = Bench::new(&format!("{}{events}", done("Device.")));
    let restore = "Device.DeviceInfo.VendorConfigFile.1.Restore()";
    let input = [("URL", "https://h/é"), ("Username", ""), ("Password", "")];
    bench.response(operate(restore, "key é", &input));
    bench.response(operate("Device.IP.Diagnostics.IPPing()", "gone", &PING));
    bench.response(operate("Device.ScheduleTimer()", "timer", &[("DelaySeconds", "60")]));
    bench.reboot();
    bench.connect("acs");
    let mut told = bench.notified();
    told.retain(|(_, notify)| !format!("{notify:?}").contains("Boot!"));
    let Some(Notification::Event(event)) = &told[0].1.notification else { panic!("{told:?}") };
    let of = |name: &str| event.params[name].as_str();
    assert_eq!((of("Command"), of("CommandKey"), of("TransferURL")), (restore, "key é", "https://h/é"));
    assert_eq!((of("FaultCode"), of("TransferType")), ("7022", "Download"));
    assert_ne!(of("StartTime"), crate::calendar::UNKNOWN_TIME);
    assert_eq!(line(&told[1].1), format!("done done {restore} key é"));
    assert!(told.len() == 2 && format!("{:?}", told[1]).contains("7022"), "{told:?}");
    assert_eq!(bench.get("Device.LocalAgent.Request.*.Command"), ["Command=Device.ScheduleTimer()"]);
    bench.reboot();
    bench.connect("acs");
    assert!(bench.told().iter().all(|line| !line.contains("Restore")));
    // One that ended by itself is not told again.
    bench.response(operate(restore, "k", &input));
    let Some(Action::Spawn(Operation { request, .. })) = bench.done.pop() else { panic!("{:?}", bench.done) };
    let outcome = Err(crate::usp::fault::Fault::new(crate::usp::fault::Code::CommandFailure, "404"));
    bench.input(Input::OperationDone { request, outcome });
    assert!(bench.told().len() == 2);
    bench.reboot();
    bench.connect("acs");
    assert!(bench.told().iter().all(|line| !line.contains("Restore")));
}

#[test]
fn a_reboot_is_answered_first_and_told_afterwards() {
    let mut bench = Bench::new(&subscription("boot", "Event", "Device.Boot!", ""));
    let OperationResp::ReqOutputArgs(_) =
        result(bench.response(operate("Device.Reboot()", "rb", &[("Reason", "because")])))
    else {
        panic!("not answered")
    };
    assert_eq!(bench.done, [Action::Reboot { cause: Cause::RemoteReboot, reset: false }]);
    bench.reboot();
    bench.connect("acs");
    let (_, notify) = bench.notified().remove(0);
    let Some(Notification::Event(event)) = notify.notification else { panic!() };
    assert_eq!((event.params["Cause"].as_str(), event.params["Reason"].as_str()), ("RemoteReboot", "because"));
    assert_eq!((event.params["CommandKey"].as_str(), event.params["FirmwareUpdated"].as_str()), ("rb", "false"));
    bench.reboot();
    bench.connect("acs");
    assert!(format!("{:?}", bench.notified()).contains("LocalReboot"), "a cause is told once");
}
