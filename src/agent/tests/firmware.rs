//! Firmware images: what is downloaded when, when it is activated, and what a start finds.

use super::*;
use crate::agent::firmware::{FILE, FOLDER};
use crate::agent::requests::Outcome;
use crate::usp::fault::{Code, Fault};
use crate::usp::wire::msg::operate_resp::operation_result::OperationResp;
use serde_json::json;

const SECOND: &str = "Device.DeviceInfo.FirmwareImage.2.";
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";
const DEVICES: &str = "/proc/net/dev";

fn watched() -> String {
    subscription("done", "OperationComplete", "Device.DeviceInfo.", "")
        + &subscription("transfer", "Event", "Device.LocalAgent.TransferComplete!", "")
        + &subscription("boot", "Event", "Device.Boot!", "")
}

fn bench(more: &str) -> Bench {
    let bench = Bench::new(&(watched() + more));
    bench.router.set_answer("system", "board", &json!({"release": {"version": "1.0", "revision": "r1"}}));
    bench.router.set_file(BOOT_ID, "one\n");
    bench
}

fn failure(response: RespType) -> Option<u32> {
    let RespType::OperateResp(mut response) = response else { panic!("not an OperateResp: {response:?}") };
    match response.operation_results.remove(0).operation_resp.unwrap() {
        OperationResp::CmdFailure(failure) => Some(failure.err_code),
        _ => None,
    }
}

fn spawned(bench: &mut Bench) -> Option<Operation> {
    let at = bench.done.iter().position(|action| matches!(action, Action::Spawn(_)))?;
    let Action::Spawn(operation) = bench.done.remove(at) else { return None };
    Some(operation)
}

fn ended(bench: &mut Bench, request: u32, outcome: Outcome) {
    bench.input(Input::OperationDone { request, outcome });
}

/// An image of version 2.0 lies in the second row.
fn with_image(bench: &mut Bench, auto: &str) {
    let told = with_image_told(bench, auto);
    let done = format!("done done {SECOND}Download() get");
    assert_eq!(told, ["transfer event Device.LocalAgent.TransferComplete!", &done]);
}

fn with_image_told(bench: &mut Bench, auto: &str) -> Vec<String> {
    let input = [("URL", "https://h/new.bin"), ("AutoActivate", auto)];
    assert_eq!(failure(bench.response(operate(&format!("{SECOND}Download()"), "get", &input))), None);
    let fetch = spawned(bench).unwrap();
    assert_eq!(&*fetch.name, "firmware_download");
    ended(bench, fetch.request, Ok(vec![]));
    let look = spawned(bench).unwrap();
    assert_eq!((&*look.name, look.request), ("firmware_validate", fetch.request));
    bench.router.set_file(&format!("{}/{}", FOLDER, FILE), "image");
    ended(bench, look.request, Ok(vec![("Version".into(), "2.0".into())]));
    bench.told()
}

fn activate(bench: &mut Bench, windows: &[(&str, &str, &str)]) -> Option<u32> {
    let names: Vec<_> = (1..=windows.len()).map(|at| format!("TimeWindow.{at}.")).collect();
    let mut input = Vec::new();
    for (name, (start, end, mode)) in names.iter().zip(windows) {
        input.extend([("Start", *start), ("End", *end), ("Mode", *mode)].map(|(n, v)| (format!("{name}{n}"), v)));
    }
    let input: Vec<_> = input.iter().map(|(name, value)| (name.as_str(), *value)).collect();
    failure(bench.response(operate(&format!("{SECOND}Activate()"), "switch", &input)))
}

fn status(bench: &mut Bench) -> String {
    bench.get(&format!("{SECOND}Status")).remove(0)
}

/// What ended, with its code.
fn completions(bench: &mut Bench) -> Vec<u32> {
    let notified = bench.notified();
    let told = notified.iter().filter_map(|(_, notify)| match &notify.notification {
        Some(Notification::OperComplete(done)) => Some(done),
        _ => None,
    });
    told.map(|done| match done.operation_resp.as_ref().unwrap() {
        msg::notify::operation_complete::OperationResp::ReqOutputArgs(_) => 0,
        msg::notify::operation_complete::OperationResp::CmdFailure(failure) => failure.err_code,
    })
    .collect()
}

#[test]
fn the_image_is_activated_within_its_window_and_everything_is_on_flash_before() {
    let mut bench = bench(&subscription("kept", "Event", "Device.LocalAgent.", "\toption NotifRetry '1'\n"));
    with_image_told(&mut bench, "false");
    assert_eq!(activate(&mut bench, &[("5", "200", "AnyTime")]), None);
    bench.pass(4000);
    assert_eq!(spawned(&mut bench), None);
    let at = bench.wake.unwrap();
    bench.jump(at);
    let actions = now(bench.agent.handle(Input::Wake, bench.clock));
    let place = |wanted: &dyn Fn(&Action) -> bool| actions.iter().position(wanted).unwrap();
    let flash = place(&|action| matches!(action, Action::Spawn(flash) if &*flash.name == "firmware_activate"));
    let state = place(&|a| matches!(a, Action::Keep(Kept::Firmware, text) if text.contains("\"boot_id\":\"one\"")));
    let boot = place(&|a| matches!(a, Action::Keep(Kept::Boot, text) if text.contains("RemoteReboot")));
    let untold = place(&|action| matches!(action, Action::Keep(Kept::Notifications, _)));
    assert!(state < flash && boot < flash && untold < flash, "{actions:?}");
}

#[test]
fn a_window_stays_where_it_is_over_a_start_of_the_agent() {
    let mut bench = bench("");
    with_image(&mut bench, "false");
    assert_eq!(activate(&mut bench, &[("100", "200", "AnyTime")]), None);
    bench.pass(60_000);
    bench.reboot();
    bench.connect("acs");
    assert_eq!(bench.get("Device.LocalAgent.Request.*.CommandKey"), ["CommandKey=switch"]);
    bench.pass(39_000);
    assert_eq!(spawned(&mut bench), None);
    bench.pass(1500);
    assert!(spawned(&mut bench).is_some());
}

#[test]
fn a_window_that_passed_meanwhile_is_over() {
    let mut bench = bench("");
    with_image(&mut bench, "false");
    assert_eq!(activate(&mut bench, &[("100", "110", "AnyTime")]), None);
    bench.pass(50_000);
    bench.clock.unix_ms += 200_000;
    bench.reboot();
    bench.connect("acs");
    bench.pass(1000);
    assert_eq!((completions(&mut bench), spawned(&mut bench)), (vec![7022], None));
}

#[test]
fn what_is_activated_at_once_is_told_before() {
    let mut bench = bench("");
    with_image(&mut bench, "true");
    assert_eq!(spawned(&mut bench), None, "what tells of the download goes out first");
    bench.pass(1500);
    assert_eq!(spawned(&mut bench).map(|flash| flash.name), Some("firmware_activate".into()));
}

#[test]
fn a_window_for_an_idle_router_waits_for_one() {
    let mut bench = bench("");
    with_image(&mut bench, "false");
    let carried = |bytes: u32| format!("eth0: {bytes} 0 0 0 0 0 0 0 0 0\n");
    bench.router.set_file(DEVICES, &carried(0));
    assert_eq!(activate(&mut bench, &[("0", "600", "WhenIdle")]), None);
    bench.pass(1);
    for minute in 1..=3 {
        bench.router.set_file(DEVICES, &carried(minute * 10_000_000));
        bench.pass(60_000);
        assert_eq!(spawned(&mut bench), None, "minute {minute}");
    }
    bench.router.set_file(DEVICES, &carried(30_001_000));
    bench.pass(60_000);
    assert!(spawned(&mut bench).is_some());
}

#[test]
fn a_router_that_is_never_idle_keeps_its_image() {
    let mut bench = bench("");
    with_image(&mut bench, "false");
    assert_eq!(activate(&mut bench, &[("0", "120", "WhenIdle"), ("200", "260", "WhenIdle")]), None);
    bench.pass(1);
    for minute in 1..=6 {
        bench.router.set_file(DEVICES, &format!("eth0: {minute}0000000 0 0 0 0 0 0 0 0 0\n"));
        bench.pass(60_000);
    }
    assert_eq!((completions(&mut bench), spawned(&mut bench)), (vec![7022], None));
    assert_eq!(status(&mut bench), "Status=ActivationFailed");
    let log = bench.get(&format!("{SECOND}BootFailureLog"));
    assert_eq!(log, ["BootFailureLog=the time windows are over"]);
    // The image is there still.
    assert_eq!(activate(&mut bench, &[("0", "0", "Immediately")]), None);
}

#[test]
fn what_waits_can_be_canceled_and_what_is_being_flashed_not() {
    let mut bench = bench("");
    with_image(&mut bench, "false");
    assert_eq!(activate(&mut bench, &[("120", "500", "AnyTime")]), None);
    assert_eq!(activate(&mut bench, &[("0", "500", "AnyTime")]), Some(7022), "one at a time");
    let cancel = |bench: &mut Bench| failure(bench.response(operate("Device.LocalAgent.Request.*.Cancel()", "", &[])));
    assert_eq!(cancel(&mut bench), None);
    assert_eq!(completions(&mut bench), [7023]);
    bench.pass(500_000);
    assert_eq!((spawned(&mut bench), status(&mut bench)), (None, "Status=Available".into()));
    assert_eq!(activate(&mut bench, &[("0", "0", "Immediately")]), None);
    bench.pass(10);
    assert!(spawned(&mut bench).is_some());
    assert_eq!(cancel(&mut bench), Some(7022));
}

#[test]
fn there_is_nothing_to_activate_without_an_image_that_is_good() {
    let mut bench = bench("");
    assert_eq!(activate(&mut bench, &[("0", "0", "Immediately")]), Some(7022));
    let input = [("URL", "https://h/new.bin"), ("AutoActivate", "true")];
    bench.response(operate(&format!("{SECOND}Download()"), "get", &input));
    assert_eq!(status(&mut bench), "Status=Downloading");
    let fetch = spawned(&mut bench).unwrap();
    ended(&mut bench, fetch.request, Err(Fault::new(Code::CommandFailure, "HTTP 404")));
    assert_eq!(status(&mut bench), "Status=DownloadFailed");
    assert_eq!(activate(&mut bench, &[("0", "0", "Immediately")]), Some(7022));
    bench.pass(5000);
    assert_eq!(spawned(&mut bench), None);
}

#[test]
fn a_controller_hears_of_the_ends_it_wants() {
    let mut bench = bench("");
    let text = bench.router.package_text("usp-agent").unwrap();
    let wanted = "option EndpointID 'proto::acs'\n\toption ResultTypeFilter 'Failure'\n";
    let text = text.replacen("option EndpointID 'proto::acs'\n", wanted, 1);
    bench.router.set_package("usp-agent", &text).unwrap();
    bench.input(Input::ConfigChanged);
    let input = [("URL", "https://h/new.bin"), ("AutoActivate", "false")];
    for outcome in [Ok(vec![]), Err(Fault::new(Code::CommandFailure, "refused"))] {
        bench.response(operate(&format!("{SECOND}Download()"), "get", &input));
        let fetch = spawned(&mut bench).unwrap();
        ended(&mut bench, fetch.request, Ok(vec![]));
        spawned(&mut bench).unwrap();
        let heard = outcome.is_err();
        ended(&mut bench, fetch.request, outcome);
        assert_eq!(bench.told().iter().any(|told| told.starts_with("transfer")), heard);
    }
}

/// Flashed; the agent then starts on a router with this boot and this version.
fn flashed(boot_id: &str, version: &str) -> Bench {
    let mut bench = bench("");
    with_image(&mut bench, "false");
    activate(&mut bench, &[("0", "0", "Immediately")]);
    bench.pass(10);
    bench.router.set_answer("system", "board", &json!({"release": {"version": version, "revision": "r1"}}));
    bench.router.set_file(BOOT_ID, boot_id);
    bench.router.set_file("/etc/version", version);
    bench.reboot();
    bench.connect("acs");
    bench
}

#[test]
fn after_the_reboot_the_row_that_was_flashed_runs() {
    let mut bench = flashed("two", "2.0");
    assert_eq!(bench.told(), ["boot event Device.Boot!", &format!("done done {SECOND}Activate() switch")]);
    assert_eq!(
        bench.get("Device.DeviceInfo.ActiveFirmwareImage"),
        [format!("ActiveFirmwareImage={}", &SECOND[..SECOND.len() - 1])]
    );
    bench.reboot();
    bench.connect("acs");
    assert_eq!(bench.told(), ["boot event Device.Boot!"], "told once");
}

#[test]
fn after_a_reboot_into_the_old_image_the_failure_is_told() {
    let mut bench = flashed("two", "1.0");
    assert_eq!(completions(&mut bench), [7022]);
    assert_eq!(status(&mut bench), "Status=ActivationFailed");
}

#[test]
fn an_agent_that_starts_again_on_the_same_boot_waits_for_sysupgrade() {
    let mut bench = flashed("one", "1.0");
    assert_eq!(bench.told(), ["boot event Device.Boot!"]);
    bench.pass(299_000);
    assert!(bench.told().is_empty());
    bench.pass(2000);
    assert_eq!(completions(&mut bench), [7022]);
    assert_eq!(status(&mut bench), "Status=ActivationFailed");
}
