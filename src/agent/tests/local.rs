//! What the owner of the router asks on the router itself.

use super::super::handlers::Refusal;
use super::super::local::{Answer, MAX_WATCHED, Request};
use super::*;
use crate::backend::Value;
use crate::base64;
use crate::usp::fault::Code;

impl Bench {
    fn owner(&mut self, request: Request) -> Result<Answer, Refusal> {
        self.asked += 1;
        let number = self.asked;
        self.input(Input::Local { call: number, request });
        let is_it = |action: &Action| matches!(action, Action::Answer { call, .. } if *call == number);
        let at = self.done.iter().position(is_it).expect("no answer");
        let Action::Answer { answer, .. } = self.done.remove(at) else { unreachable!() };
        *answer
    }

    fn owner_asks(&mut self, request: ReqType) -> Result<RespType, Refusal> {
        match self.owner(Request::Message(request))? {
            Answer::Message(response) => Ok(response),
            other => panic!("{other:?}"),
        }
    }

    fn rehearse(&mut self, request: ReqType) -> Result<(Vec<String>, bool), Refusal> {
        let ReqType::Set(set) = request else { panic!("no Set") };
        match self.owner(Request::Rehearse(set))? {
            Answer::Rehearsal(_, preview) => {
                Ok((preview.packages.into_iter().flat_map(|(_, lines)| lines).collect(), preview.undoable))
            }
            other => panic!("{other:?}"),
        }
    }

    fn events(&mut self) -> Vec<&'static str> {
        std::mem::take(&mut self.events).into_iter().map(|(event, _)| event).collect()
    }
}

fn cut() -> ReqType {
    set(false, "Device.IP.Interface.2.", &[("Enable", "false", true)])
}

#[test]
fn the_owner_needs_no_role_and_no_controller() {
    let mut bench = Bench::off("");
    bench.start();
    let done = bench.owner_asks(set(false, "Device.DeviceInfo.", &[("HostName", "castle", true)]));
    assert!(matches!(done, Ok(RespType::SetResp(_))), "{done:?}");
    assert!(bench.router.package_text("system").unwrap().contains("castle"));
    let refused = bench.owner_asks(set(false, "Device.DeviceInfo.", &[("SerialNumber", "1", true)]));
    assert_eq!(refused.unwrap_err().params[0].1.code, Code::ParameterReadOnly);
    assert!(bench.sent.is_empty(), "nobody else is told");
    assert_eq!(bench.events(), ["config_applied"]);
}

#[test]
fn secrets_are_hidden_from_the_owner_too() {
    let mut bench = Bench::new("config mqtt 'm'\n option Password 'hunter22'\n");
    let answer = bench.owner_asks(get(&["Device.MQTT.Client."]));
    assert!(!format!("{answer:?}").contains("hunter22") && format!("{answer:?}").contains("Password"), "{answer:?}");
}

#[test]
fn a_rehearsal_changes_nothing_and_tells_what_would() {
    let mut bench = Bench::new("");
    bench.get("Device.IP.Interface.");
    bench.events.clear();
    let (files, journal) = (bench.router.package_text("network"), bench.router.journal());
    bench.kept.clear();
    let (changes, undoable) = bench.rehearse(cut()).unwrap();
    assert_eq!((changes, undoable), (vec!["network.wan.disabled: - -> 1".to_owned()], true));
    assert_eq!(bench.router.package_text("network"), files);
    let after: Vec<_> = bench.router.journal().into_iter().skip(journal.len()).collect();
    assert!(!after.iter().any(|line| line.starts_with("commit") || line.contains("service")), "{after:?}");
    assert!(bench.done.is_empty() && bench.events.is_empty() && bench.sent.is_empty() && bench.kept.is_empty());
    assert!(bench.router.unconfirmed().packages.is_empty());
    assert_eq!(bench.get("Device.IP.Interface.2.Enable"), ["Enable=true"]);
}

#[test]
fn a_rehearsal_says_whether_there_is_something_to_lose_and_hides_secrets() {
    let mut bench = Bench::off("config mqtt 'm'\n option Password 'hunter22'\n");
    bench.start();
    assert!(!bench.rehearse(cut()).unwrap().1, "nobody is connected");
    let client = set(false, "Device.MQTT.Client.1.", &[("Password", "swordfish", true)]);
    assert_eq!(bench.rehearse(client).unwrap().0, ["usp-agent.m.Password: (secret) -> (secret)"]);
    let wrong = bench.rehearse(set(false, "Device.DeviceInfo.", &[("SerialNumber", "1", true)]));
    assert_eq!(wrong.unwrap_err().params[0].1.code, Code::ParameterReadOnly);
}

#[test]
fn the_owner_confirms_a_change_or_undoes_it() {
    let mut bench = Bench::new("");
    assert_eq!(bench.owner(Request::Confirm).unwrap_err().fault.code, Code::RequestDenied);
    assert_eq!(bench.owner(Request::Revert).unwrap_err().fault.code, Code::RequestDenied);
    bench.owner_asks(cut()).unwrap();
    let trial = bench.agent.on_trial_now().unwrap();
    assert_eq!((&*trial.packages[0], &*trial.demanded[0], trial.left_ms), ("network", "acs", 120_000));
    assert_eq!(bench.owner(Request::Confirm), Ok(Answer::Packages(vec!["network".into()])));
    bench.pass(300_000);
    assert!(bench.router.package_text("network").unwrap().contains("disabled"));
    bench.owner_asks(set(false, "Device.IP.Interface.1.", &[("Enable", "false", true)])).unwrap();
    bench.events();
    assert_eq!(bench.owner(Request::Revert), Ok(Answer::Packages(vec!["network".into()])));
    assert_eq!(bench.router.package_text("network").unwrap().matches("disabled").count(), 1);
    assert!(bench.agent.on_trial_now().is_none());
    assert_eq!(bench.events(), ["reverted", "config_applied"]);
}

#[test]
fn a_subscription_made_by_the_owner_is_somebodys() {
    let mut bench = Bench::new("");
    let rest =
        [("ID", "x", true), ("NotifType", "ValueChange", true), ("ReferenceList", "Device.DeviceInfo.HostName", true)];
    let table = "Device.LocalAgent.Subscription.";
    assert_eq!(bench.owner_asks(add(false, table, &rest)).unwrap_err().fault.code, Code::InvalidArguments);
    let recipient = [("Recipient", "Device.LocalAgent.Controller.1", true), ("Enable", "true", true)];
    bench.owner_asks(add(false, table, &[&recipient[..], &rest[..]].concat())).unwrap();
    bench.owner_asks(set(false, "Device.DeviceInfo.", &[("HostName", "castle", true)])).unwrap();
    assert_eq!(bench.told(), ["x value Device.DeviceInfo.HostName=castle"]);
}

#[test]
fn what_is_watched_is_told_for_a_while_and_no_longer() {
    let mut bench = Bench::new("");
    let watch = |seconds| Request::Watch { paths: vec!["Device.DeviceInfo.".into()], seconds };
    bench.events.clear();
    assert_eq!(bench.owner(watch(60)), Ok(Answer::Done));
    let rename = |bench: &mut Bench, name: &str| {
        bench.router.set_package("system", &format!("config system\n\toption hostname '{name}'\n")).unwrap();
        bench.input(Input::Changed(Change::Package("system".into())));
        bench.pass(1_000);
    };
    rename(&mut bench, "castle");
    let told =
        Table::default().with("type", "ValueChange").with("path", "Device.DeviceInfo.HostName").with("value", "castle");
    assert_eq!(bench.events, [("changed", told)]);
    bench.pass(50_000);
    bench.owner(watch(60)).unwrap();
    bench.pass(50_000);
    bench.events.clear();
    rename(&mut bench, "tower");
    assert_eq!(bench.events(), ["changed"], "asked for again");
    bench.pass(60_000);
    rename(&mut bench, "moat");
    assert!(bench.events.is_empty() && bench.wake.is_none_or(|at| at > bench.clock.monotonic_ms + 100_000));
    assert!(bench.sent.is_empty());
}

#[test]
fn what_cannot_be_watched_is_refused_and_there_is_a_limit() {
    let mut bench = Bench::new("");
    let mut watch = |paths: Vec<String>| bench.owner(Request::Watch { paths, seconds: 60 });
    assert_eq!(watch(vec!["Device.Nothing.".into()]).unwrap_err().fault.code, Code::InvalidPath);
    assert_eq!(watch(vec!["Device.[".into()]).unwrap_err().fault.code, Code::InvalidPathSyntax);
    let many =
        |from: usize| (from..from + MAX_WATCHED).map(|n| format!("Device.IP.Interface.[Name==\"{n}\"].")).collect();
    assert_eq!(watch(many(0)), Ok(Answer::Done));
    assert_eq!(watch(many(0)), Ok(Answer::Done), "again the same");
    assert_eq!(watch(many(1)).unwrap_err().fault.code, Code::ResourcesExceeded);
}

#[test]
fn the_owner_gives_a_controller_a_role() {
    let value = base64::encode(b"sesame");
    let mut bench = Bench::new(&format!(
        "config role 'untrusted'
config permission 'u1'
	option role 'untrusted'
	list Targets 'Device.LocalAgent.ControllerTrust.'
	option Param 'r---'
	option Obj 'r---'
	option CommandEvent 'r-x-'
config controller 'new'
	option EndpointID 'proto::new'
config challenge 'admin'
	list role 'full'
	option Value '{value}'
"
    ));
    let approve = |controller: &str, role: Option<&str>| Request::Approve {
        controller: controller.into(),
        role: role.map(Into::into),
    };
    let unknown = bench.owner(approve("nobody", None)).unwrap_err().fault;
    assert!(unknown.code == Code::ObjectDoesNotExist && unknown.text.contains("acs, guest, new"), "{unknown}");
    let which = bench.owner(approve("proto::new", None)).unwrap_err().fault;
    assert!(which.text.contains("name a role; there are: full, visitors, untrusted"), "{which}");
    assert!(bench.owner(approve("new", Some("king"))).unwrap_err().fault.text.contains("no role king"));
    let input = [("ChallengeRef", "Device.LocalAgent.ControllerTrust.Challenge.1")];
    bench.ask_as("proto::new", operate("Device.LocalAgent.ControllerTrust.RequestChallenge()", "", &input));
    assert_eq!(bench.owner(approve("new", None)), Ok(Answer::Roles(vec!["full".into()])));
    assert!(bench.router.package_text("usp-agent").unwrap().matches("list role 'full'").count() >= 2);
    assert_eq!(bench.owner(approve("guest", Some("full"))), Ok(Answer::Roles(vec!["full".into()])));
    assert!(bench.owner(approve("new", None)).unwrap_err().fault.text.contains("no challenge"), "it was answered");
}

#[test]
fn an_operation_of_the_owner_ends_with_an_event() {
    let mut bench = Bench::new("");
    let input = [
        ("Host", "h"),
        ("ProtocolVersion", "Any"),
        ("NumberOfRepetitions", "3"),
        ("Timeout", "1000"),
        ("DataBlockSize", "32"),
    ];
    let response = bench.owner_asks(operate("Device.IP.Diagnostics.IPPing()", "", &input));
    assert!(format!("{response:?}").contains("ReqObjPath"), "{response:?}");
    let Some(Action::Spawn(operation)) = bench.done.pop() else { panic!("nothing spawned") };
    bench.input(Input::OperationDone {
        request: operation.request,
        outcome: Ok(vec![("SuccessCount".into(), "3".into())]),
    });
    let (event, data) = bench.events.pop().unwrap();
    assert_eq!(event, "operation_complete");
    assert!(data.get("request").and_then(Value::as_str).is_some_and(|r| format!("{response:?}").contains(r)));
    let output = data.get("output").and_then(Value::as_table).unwrap();
    assert_eq!(output.get("SuccessCount").and_then(Value::as_str), Some("3"));
}

#[test]
fn a_reboot_by_the_owner_is_a_local_one() {
    let mut bench = Bench::new("");
    bench.owner_asks(operate("Device.Reboot()", "", &[])).unwrap();
    assert!(bench.done.contains(&Action::Reboot { cause: Cause::LocalReboot, reset: false }));
}

#[test]
fn connections_that_come_and_go_are_told() {
    let mut bench = Bench::new("");
    let told = |bench: &mut Bench| {
        let (event, data) = bench.events.pop().unwrap();
        (event, data.get("controller").and_then(Value::as_str).map(str::to_owned), data.get("transport").cloned())
    };
    assert_eq!(told(&mut bench), ("connected", Some("acs".into()), Some("WebSocket".into())));
    bench.input(Input::Lost { channel: CHANNEL });
    assert_eq!(told(&mut bench), ("disconnected", Some("acs".into()), Some("WebSocket".into())));
    bench.input(Input::Lost { channel: CHANNEL });
    assert!(bench.events.is_empty());
}
