//! RequestChallenge() and ChallengeResponse().

use super::*;
use crate::base64;
use crate::usp::wire::msg::operate_resp::operation_result::OperationResp;

const TRUST: &str = "Device.LocalAgent.ControllerTrust.";
const FIRST: &str = "Device.LocalAgent.ControllerTrust.Challenge.1";
const SECOND: &str = "Device.LocalAgent.ControllerTrust.Challenge.2";

/// Three controllers beside acs: two without a role, one that sees no challenge.
fn config() -> String {
    let value = base64::encode(b"open sesame");
    format!(
        "config role 'untrusted'
config permission 'u1'
	option role 'untrusted'
	list Targets 'Device.LocalAgent.ControllerTrust.'
	option Param 'r---'
	option Obj 'r---'
	option CommandEvent 'r-x-'
config permission 'u2'
	option role 'untrusted'
	option Order '9'
	list Targets 'Device.LocalAgent.ControllerTrust.Challenge.3.'
config controller 'one'
	option EndpointID 'proto::one'
config controller 'two'
	option EndpointID 'proto::two'
	list role 'untrusted'
	list role 'visitors'
config challenge 'admin'
	list role 'full'
	option Value '{value}'
	option Instruction 'YXNr'
	option Retries '2'
	option LockoutPeriod '60'
config challenge 'visit'
	list role 'visitors'
	option Value '{value}'
	option LockoutPeriod '0'
config challenge 'hidden'
	list role 'full'
	option Value '{value}'
config challenge 'off'
	option Enable '0'
	list role 'full'
	option Value '{value}'
config challenge 'empty'
	list role 'full'
"
    )
}

/// The output arguments, or the code of the failure.
fn run(bench: &mut Bench, who: &str, command: &str, input: &[(&str, &str)]) -> Result<Vec<(String, String)>, u32> {
    let answer = bench.ask_as(&format!("proto::{who}"), operate(&format!("{TRUST}{command}"), "", input));
    let Some(Incoming::Response { response: RespType::OperateResp(mut response), .. }) = answer else {
        panic!("no OperateResp: {answer:?}")
    };
    match response.operation_results.remove(0).operation_resp.unwrap() {
        OperationResp::ReqOutputArgs(output) => Ok(output.output_args.into_iter().collect()),
        OperationResp::CmdFailure(failure) => Err(failure.err_code),
        OperationResp::ReqObjPath(path) => panic!("{path}"),
    }
}

fn request(bench: &mut Bench, who: &str, challenge: &str) -> Result<String, u32> {
    let output = run(bench, who, "RequestChallenge()", &[("ChallengeRef", challenge)])?;
    Ok(output.into_iter().find(|(name, _)| name == "ChallengeID").unwrap().1)
}

fn respond(bench: &mut Bench, who: &str, id: &str, value: &str) -> Result<(), u32> {
    let value = base64::encode(value.as_bytes());
    run(bench, who, "ChallengeResponse()", &[("ChallengeID", id), ("Value", &value)]).map(|_| ())
}

fn roles(bench: &Bench, controller: &str) -> Vec<Box<str>> {
    bench.agent.settings().controller(controller).unwrap().roles.clone()
}

#[test]
fn the_right_value_replaces_the_untrusted_role() {
    let mut bench = Bench::new(&config());
    assert_eq!(
        bench.get("Device.LocalAgent.Controller.3.AssignedRole"),
        ["AssignedRole=Device.LocalAgent.ControllerTrust.Role.3"]
    );
    let output = run(&mut bench, "one", "RequestChallenge()", &[("ChallengeRef", FIRST)]).unwrap();
    let names: Vec<&str> = output.iter().map(|(name, _)| &**name).collect();
    assert_eq!(names, ["ChallengeID", "Instruction", "InstructionType", "ValueType"]);
    assert_eq!((&*output[1].1, &*output[2].1, &*output[3].1), ("YXNr", "text/plain", "text/plain"));
    assert_eq!(respond(&mut bench, "one", &output[0].1, "open sesame"), Ok(()));
    assert_eq!(roles(&bench, "one"), ["full".into()]);
    assert_eq!(respond(&mut bench, "one", &output[0].1, "open sesame"), Err(7012), "it is used up");
    // It can do what the role allows, at once.
    let host = set(false, "Device.DeviceInfo.", &[("HostName", "castle", true)]);
    assert!(matches!(bench.ask_as("proto::one", host), Some(Incoming::Response { .. })));
}

#[test]
fn the_role_comes_after_others_and_not_twice() {
    let mut bench = Bench::new(&config());
    let id = request(&mut bench, "two", FIRST).unwrap();
    assert_eq!(respond(&mut bench, "two", &id, "open sesame"), Ok(()));
    assert_eq!(roles(&bench, "two"), ["visitors".into(), "full".into()]);
    let id = request(&mut bench, "two", SECOND).unwrap();
    assert_eq!(respond(&mut bench, "two", &id, "open sesame"), Ok(()));
    assert_eq!(roles(&bench, "two"), ["visitors".into(), "full".into()]);
}

#[test]
fn what_is_no_challenge_for_this_controller_is_an_invalid_value() {
    let mut bench = Bench::new(&config());
    let challenge = |row: u32| format!("{TRUST}Challenge.{row}");
    for (row, what) in [(3, "not to be seen"), (4, "disabled"), (5, "without a value"), (9, "not there")] {
        assert_eq!(request(&mut bench, "one", &challenge(row)), Err(7012), "{what}");
    }
    assert_eq!(request(&mut bench, "one", "Device.LocalAgent.Controller.1."), Err(7012));
    assert_eq!(request(&mut bench, "one", "nonsense"), Err(7012));
    assert_eq!(respond(&mut bench, "one", "", "open sesame"), Err(7012));
}

#[test]
fn one_challenge_is_outstanding_and_expires() {
    let mut bench = Bench::new(&config());
    let first = request(&mut bench, "one", FIRST).unwrap();
    assert_eq!(request(&mut bench, "one", SECOND), Err(7002));
    assert!(request(&mut bench, "two", SECOND).is_ok(), "of another controller");
    let again = request(&mut bench, "one", FIRST).unwrap();
    assert_ne!(first, again);
    assert_eq!(respond(&mut bench, "one", &first, "open sesame"), Err(7012), "the id before is void");
    bench.pass(899_999);
    assert_eq!(request(&mut bench, "one", SECOND), Err(7002));
    bench.pass(1);
    assert_eq!(respond(&mut bench, "one", &again, "open sesame"), Err(7012), "900 s are over");
    assert!(request(&mut bench, "one", SECOND).is_ok());
    let named = [("ChallengeRef", FIRST), ("RequestExpiration", "5")];
    let id = run(&mut bench, "two", "RequestChallenge()", &named).unwrap().remove(0).1;
    bench.pass(5000);
    assert_eq!(respond(&mut bench, "two", &id, "open sesame"), Err(7012));
    let never = [("ChallengeRef", FIRST), ("RequestExpiration", "0")];
    let id = run(&mut bench, "two", "RequestChallenge()", &never).unwrap().remove(0).1;
    bench.pass(100_000_000);
    assert_eq!(respond(&mut bench, "two", &id, "open sesame"), Ok(()));
}

#[test]
fn failures_count_over_all_controllers_and_lock_the_challenge() {
    let mut bench = Bench::new(&config());
    let (one, two) = (request(&mut bench, "one", FIRST).unwrap(), request(&mut bench, "two", FIRST).unwrap());
    assert_eq!(respond(&mut bench, "one", &one, "open sesam"), Err(7022));
    assert_eq!(respond(&mut bench, "two", &two, "open sesames"), Err(7022));
    assert_eq!(respond(&mut bench, "one", &one, "open sesame"), Err(7012), "the procedure is over for everybody");
    assert_eq!(request(&mut bench, "one", FIRST), Err(7002), "locked");
    let id = request(&mut bench, "one", SECOND).unwrap();
    assert_eq!(respond(&mut bench, "one", &id, "open sesame"), Ok(()), "another challenge is not");
    bench.pass(59_999);
    assert_eq!(request(&mut bench, "two", FIRST), Err(7002));
    bench.pass(1);
    let id = request(&mut bench, "two", FIRST).unwrap();
    assert_eq!(respond(&mut bench, "two", &id, "wrong"), Err(7022), "a new count");
    assert_eq!(respond(&mut bench, "two", &id, "open sesame"), Ok(()));
    // Success ends the count.
    let id = request(&mut bench, "two", FIRST).unwrap();
    assert_eq!(respond(&mut bench, "two", &id, "wrong"), Err(7022));
    assert_eq!(respond(&mut bench, "two", &id, "open sesame"), Ok(()));
}

#[test]
fn without_a_lockout_period_it_may_be_asked_for_again() {
    let mut bench = Bench::new(&config());
    let id = request(&mut bench, "one", SECOND).unwrap();
    for _ in 0..3 {
        assert_eq!(respond(&mut bench, "one", &id, "wrong"), Err(7022));
    }
    assert_eq!(respond(&mut bench, "one", &id, "open sesame"), Err(7012));
    let id = request(&mut bench, "one", SECOND).unwrap();
    assert_eq!(respond(&mut bench, "one", &id, "open sesame"), Ok(()));
}

#[test]
fn a_reboot_gives_no_more_tries_and_no_shorter_lock() {
    let mut bench = Bench::new(&config());
    let id = request(&mut bench, "one", FIRST).unwrap();
    assert_eq!(respond(&mut bench, "one", &id, "wrong"), Err(7022));
    bench.reboot();
    bench.connect("acs");
    assert_eq!(respond(&mut bench, "one", &id, "open sesame"), Err(7012), "R-SEC.21: nothing is outstanding");
    let id = request(&mut bench, "one", FIRST).unwrap();
    assert_eq!(respond(&mut bench, "one", &id, "wrong"), Err(7022));
    bench.pass(1000);
    bench.reboot();
    bench.connect("acs");
    assert_eq!(request(&mut bench, "one", FIRST), Err(7002));
    bench.pass(60_000);
    assert!(request(&mut bench, "one", FIRST).is_ok());
}

#[test]
fn the_secret_is_told_to_nobody() {
    let mut bench = Bench::new(&config());
    assert_eq!(bench.get(&format!("{FIRST}.Value")), ["Value="]);
    let found = bench.get(&format!("{TRUST}Challenge.[Value==\"{}\"].Retries", base64::encode(b"open sesame")));
    assert!(found.is_empty(), "{found:?}");
    let shown = format!("{:?}", bench.agent.settings().trust);
    assert!(!shown.contains("111, 112, 101, 110") && shown.contains("(secret)"), "{shown}");
    assert!(bench.kept.iter().all(|(_, text)| !text.contains("sesame")));
}

#[test]
fn a_secret_is_compared_whole() {
    let bench = Bench::new(&config());
    let secret = &bench.agent.settings().trust.challenges[0].value;
    assert!(secret.is(b"open sesame"));
    for wrong in [&b""[..], b"o", b"open sesam", b"open sesame ", b"open sesamf", b"\x90pen sesame"] {
        assert!(!secret.is(wrong), "{wrong:?}");
    }
}
