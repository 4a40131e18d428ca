//! TP-469 1.61, 1.62, 1.64, 1.65, 1.79, 1.91 and 1.100: Operate.

use std::time::Duration;

use tokio::time::Instant;
use usp_agent::usp::wire::msg::Notify;
use usp_agent::usp::wire::msg::notify::{Notification, OperationComplete};
use usp_agent::usp::wire::msg::operate_resp::OperationResult;
use usp_agent::usp::wire::msg::operate_resp::operation_result::OperationResp;

use crate::add::SUBSCRIPTION;
use crate::bench::{Bench, seconds};
use crate::messages::{accepted, operate, single};
use crate::tester::PATIENCE;

const REBOOT: &str = "Device.Reboot()";
const TIMER: &str = "Device.ScheduleTimer()";
/// The asynchronous operation of 1.64 and 1.65.
const PING: &str = "Device.IP.Diagnostics.IPPing()";
const PING_INPUT: [(&str, &str); 5] = [
    ("Host", "127.0.0.1"),
    ("ProtocolVersion", "IPv4"),
    ("NumberOfRepetitions", "1"),
    ("Timeout", "1000"),
    ("DataBlockSize", "32"),
];

pub async fn reboot_with_send_resp_true(t: &mut Bench) {
    let result = single(accepted(t.operate(REBOOT, "test61", &[]).await));
    assert_eq!(result.executed_command, REBOOT);
    match result.operation_resp {
        Some(OperationResp::ReqOutputArgs(output)) => assert!(output.output_args.is_empty(), "{output:?}"),
        other => panic!("not req_output_args: {other:?}"),
    }
    resumes(t).await;
}

pub async fn reboot_with_send_resp_false(t: &mut Bench) {
    let id = t.send(operate(REBOOT, "test62", false, &[]));
    resumes(t).await;
    assert!(t.answer(&id, Duration::ZERO).await.is_none(), "an OperateResp nobody asked for");
}

/// "The EUT reboots and resumes connectivity with the test system."
async fn resumes(t: &mut Bench) {
    let connects = t.connects();
    t.eut.reboot().await;
    t.connected(connects + 1).await;
    assert_eq!(t.value("Device.LocalAgent.EndpointID").await, t.agent_id);
}

async fn subscribe(t: &mut Bench, id: &str, command: &str) {
    let settings = [("Enable", "true"), ("ID", id), ("NotifType", "OperationComplete"), ("ReferenceList", command)];
    t.make(SUBSCRIPTION, &settings).await;
}

/// The path of the Request that an asynchronous command started.
pub fn request_path(result: &OperationResult, command: &str) -> String {
    assert_eq!(result.executed_command, command);
    let Some(OperationResp::ReqObjPath(path)) = &result.operation_resp else { panic!("not req_obj_path: {result:?}") };
    let number = path.strip_prefix("Device.LocalAgent.Request.").expect("a Request");
    assert!(number.trim_end_matches('.').parse::<u32>().is_ok(), "{path}");
    path.clone()
}

fn completion(notify: &Notify) -> &OperationComplete {
    match &notify.notification {
        Some(Notification::OperComplete(complete)) => complete,
        other => panic!("not an OperationComplete: {other:?}"),
    }
}

/// The OperationComplete names the command and its key.
async fn completes(t: &mut Bench, id: &str, command: &str, key: &str, within: Duration) {
    let heard = t.notify_within(within, |notify| notify.subscription_id == id).await.expect("an OperationComplete");
    let complete = completion(&heard.notify);
    assert_eq!(format!("{}{}", complete.obj_path, complete.command_name), command);
    assert_eq!(complete.command_key, key);
    assert!(complete.operation_resp.is_some());
}

pub async fn asynchronous_with_send_resp_true(t: &mut Bench) {
    subscribe(t, "async64", PING).await;
    let result = single(accepted(t.operate(PING, "test64", &PING_INPUT).await));
    request_path(&result, PING);
    completes(t, "async64", PING, "test64", PATIENCE).await;
}

pub async fn asynchronous_with_send_resp_false(t: &mut Bench) {
    subscribe(t, "async65", PING).await;
    let id = t.send(operate(PING, "test65", false, &PING_INPUT));
    completes(t, "async65", PING, "test65", PATIENCE).await;
    assert!(t.answer(&id, Duration::from_secs(1)).await.is_none(), "an OperateResp nobody asked for");
}

pub async fn input_arguments(t: &mut Bench) {
    let delay = seconds(30, 5);
    subscribe(t, "timer79", TIMER).await;
    let started = Instant::now();
    let input = [("DelaySeconds", &*delay.as_secs().to_string())];
    let result = single(accepted(t.operate(TIMER, "test79", &input).await));
    let request = request_path(&result, TIMER);
    assert_eq!(t.value(&format!("{request}.CommandKey")).await, "test79");
    completes(t, "timer79", TIMER, "test79", delay + PATIENCE).await;
    assert!(started.elapsed() >= delay, "after {:?}", started.elapsed());
}

pub async fn unknown_arguments(t: &mut Bench) {
    let input = [("DelaySeconds", "10"), ("InvalidArgument", "2")];
    let result = single(accepted(t.operate(TIMER, "", &input).await));
    request_path(&result, TIMER);
}

pub async fn missing_mandatory_input(t: &mut Bench) {
    subscribe(t, "timer100", TIMER).await;
    let result = single(accepted(t.operate(TIMER, "test100", &[]).await));
    assert_eq!(result.executed_command, TIMER);
    let Some(OperationResp::CmdFailure(failure)) = result.operation_resp else { panic!("{result:?}") };
    assert_eq!(failure.err_code, 7027);
    t.no_notify(seconds(120, 20), |_| true).await;
}
