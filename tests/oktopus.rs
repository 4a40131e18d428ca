//! The real program and Oktopus: one command and it is online, and whatever its console sends succeeds.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "support/mqtt_broker.rs"]
mod mqtt_broker;
#[path = "support/oktopus.rs"]
mod oktopus;
#[path = "support/scene.rs"]
mod scene;
#[path = "support/stomp_broker.rs"]
mod stomp_broker;

use oktopus::{CONTROLLER, Heard, Oktopus};
use scene::{SOON, Scene, end_of};
use std::collections::VecDeque;
use std::process::{Command, Stdio};
use std::time::Duration;
use tokio::time::Instant;
use usp_agent::backend::Table;
use usp_agent::backend::ubus::Signature;
use usp_agent::usp::wire::msg::add_resp::created_object_result::operation_status::OperStatus as Added;
use usp_agent::usp::wire::msg::delete_resp::deleted_object_result::operation_status::OperStatus as Deleted;
use usp_agent::usp::wire::msg::get_supported_dm_resp::SupportedObjectResult;
use usp_agent::usp::wire::msg::operate_resp::operation_result::OperationResp;
use usp_agent::usp::wire::msg::request::ReqType;
use usp_agent::usp::wire::msg::response::RespType;
use usp_agent::usp::wire::msg::set_resp::updated_object_result::operation_status::OperStatus as Updated;
use usp_agent::usp::wire::msg::{
    Add, Delete, Get, GetInstances, GetSupportedDm, Notify, Operate, Set, add, get_resp, set,
};

const AGENT: &str = "os::00005E-00005E100001";

/// Exit code and what was said.
async fn connect(scene: &Scene, url: &str, more: &[&str]) -> (i32, String) {
    let said = scene.router.state_dir().with_extension("connect");
    let mut command = Command::new(env!("CARGO_BIN_EXE_usp-agent"));
    command.args(["connect", url, "--preset", "oktopus"]).args(more).stdin(Stdio::null());
    command.arg("--config-dir").arg(scene.router.config_dir()).arg("--ubus").arg(scene.router.socket());
    let file = std::fs::File::create(&said).unwrap();
    command.stdout(file.try_clone().unwrap()).stderr(file);
    let code = end_of(command.spawn().unwrap()).await.code().unwrap();
    (code, std::fs::read_to_string(&said).unwrap())
}

fn controller(url: &str, more: &str) -> String {
    format!(
        "config controller 'oktopus'\n\toption url '{url}'\n\toption preset 'oktopus'\n\toption AllowUnencrypted '1'\n\
         \tlist role 'full'\n{more}"
    )
}

/// Oktopus with an agent that may do everything.
async fn online(scene: &mut Scene) -> Oktopus {
    let (mut oktopus, port) = Oktopus::mqtt().await;
    scene.start(&controller(&format!("mqtt://127.0.0.1:{port}"), ""));
    oktopus.online().await;
    oktopus
}

#[test]
fn one_command_and_it_is_online_in_under_a_second() {
    // A machine that is busy with something else may take longer once, hardly three times.
    let mut took = Vec::new();
    while took.len() < 3 && took.last().is_none_or(|took| *took >= Duration::from_secs(1)) {
        let took = &mut took;
        Scene::play(|mut scene| async move {
            scene.start("config localagent 'agent'\n");
            scene.until_logged("event=boot").await;
            let (mut oktopus, port) = Oktopus::mqtt().await;
            let (url, begun) = (format!("mqtt://127.0.0.1:{port}"), Instant::now());
            let ((code, said), info) = tokio::join!(connect(&scene, &url, &[]), async {
                let info = oktopus.online().await;
                took.push(begun.elapsed());
                info
            });
            assert_eq!(code, 0, "{said}");
            assert!(said.contains(&format!("oktopus: connected to {url} as {AGENT}\n")), "{said}");
            assert!(said.contains("--role full"), "it says what the controller may not do\n{said}");
            assert_eq!((info.len(), info[1].as_str()), (5, "Demo Router"));
            assert!(info.iter().all(|value| !value.is_empty()), "{info:?}");
            assert!(oktopus.online && oktopus.eid == AGENT);
            scene.signal(rustix::process::Signal::TERM);
            while !matches!(oktopus.heard(Instant::now() + SOON).await.unwrap(), Heard::Offline) {}
            scene.ended().await;
        });
    }
    assert!(took.iter().any(|took| *took < Duration::from_secs(1)), "{took:?}");
}

fn get(paths: &[&str], max_depth: u32) -> ReqType {
    ReqType::Get(Get { param_paths: paths.iter().map(|path| (*path).to_owned()).collect(), max_depth })
}

/// What the console sets, adds and removes, as it writes it.
fn set(obj_path: &str, param: &str, value: &str) -> ReqType {
    let setting = set::UpdateParamSetting { param: param.into(), value: value.into(), required: true };
    let update = set::UpdateObject { obj_path: obj_path.into(), param_settings: vec![setting] };
    ReqType::Set(Set { allow_partial: true, update_objs: vec![update] })
}

fn add(obj_path: &str, params: &[(&str, &str)]) -> ReqType {
    let setting = |(param, value): &(&str, &str)| add::CreateParamSetting {
        param: (*param).into(),
        value: (*value).into(),
        required: true,
    };
    let param_settings = params.iter().map(setting).collect();
    let create = add::CreateObject { obj_path: obj_path.into(), param_settings };
    ReqType::Add(Add { allow_partial: true, create_objs: vec![create] })
}

fn delete(path: &str) -> ReqType {
    ReqType::Delete(Delete { allow_partial: true, obj_paths: vec![path.into()] })
}

/// Without arguments the console sends an empty one.
fn operate(command: &str) -> ReqType {
    let input_args = [(String::new(), String::new())].into_iter().collect();
    ReqType::Operate(Operate { command: command.into(), command_key: String::new(), send_resp: true, input_args })
}

fn supported(path: &str, first_level_only: bool) -> ReqType {
    ReqType::GetSupportedDm(GetSupportedDm {
        obj_paths: vec![path.into()],
        first_level_only,
        return_commands: true,
        return_events: true,
        return_params: true,
        return_unique_key_sets: false,
    })
}

/// Objects of a GetSupportedDM, of which nothing may have failed.
async fn objects(oktopus: &mut Oktopus, path: &str, first_level_only: bool) -> Vec<SupportedObjectResult> {
    match oktopus.ask(supported(path, first_level_only)).await {
        Ok(RespType::GetSupportedDmResp(mut response)) => {
            let result = response.req_obj_results.remove(0);
            assert_eq!((result.err_code, result.req_obj_path.as_str()), (0, path), "{}", result.err_msg);
            result.supported_objs
        }
        other => panic!("{path}: {other:?}"),
    }
}

async fn values(oktopus: &mut Oktopus, paths: &[&str], max_depth: u32) -> Vec<get_resp::RequestedPathResult> {
    match oktopus.ask(get(paths, max_depth)).await {
        Ok(RespType::GetResp(response)) => response.req_path_results,
        other => panic!("{paths:?}: {other:?}"),
    }
}

async fn value(oktopus: &mut Oktopus, path: &str) -> String {
    let results = values(oktopus, &[path], 0).await;
    results[0].resolved_path_results[0].result_params.values().next().unwrap().clone()
}

async fn updated(oktopus: &mut Oktopus, request: ReqType) -> Updated {
    match oktopus.ask(request).await {
        Ok(RespType::SetResp(mut response)) => {
            response.updated_obj_results.remove(0).oper_status.unwrap().oper_status.unwrap()
        }
        other => panic!("{other:?}"),
    }
}

async fn added(oktopus: &mut Oktopus, request: ReqType) -> Added {
    match oktopus.ask(request).await {
        Ok(RespType::AddResp(mut response)) => {
            response.created_obj_results.remove(0).oper_status.unwrap().oper_status.unwrap()
        }
        other => panic!("{other:?}"),
    }
}

async fn deleted(oktopus: &mut Oktopus, request: ReqType) -> Deleted {
    match oktopus.ask(request).await {
        Ok(RespType::DeleteResp(mut response)) => {
            response.deleted_obj_results.remove(0).oper_status.unwrap().oper_status.unwrap()
        }
        other => panic!("{other:?}"),
    }
}

async fn operated(oktopus: &mut Oktopus, command: &str) -> OperationResp {
    match oktopus.ask(operate(command)).await {
        Ok(RespType::OperateResp(mut response)) => response.operation_results.remove(0).operation_resp.unwrap(),
        other => panic!("{command}: {other:?}"),
    }
}

#[test]
fn the_seven_buttons_of_the_console_succeed() {
    Scene::play(|mut scene| async move {
        let mut oktopus = online(&mut scene).await;
        let oktopus = &mut oktopus;
        for (path, depth) in [
            ("Device.WiFi.SSID.[Name==wlan0].", 0),
            ("Device.IP.Interface.*.Alias", 0),
            ("Device.DeviceInfo.FirmwareImage.*.Alias", 0),
            ("Device.IP.Interface.1.IPv4Address.1.IPAddress", 2),
        ] {
            let results = values(oktopus, &[path], depth).await;
            assert_eq!((results[0].err_code, results[0].requested_path.as_str()), (0, path), "{}", results[0].err_msg);
        }
        let done = updated(oktopus, set("Device.IP.Interface.1.", "Alias", "first")).await;
        assert!(matches!(done, Updated::OperSuccess(_)), "{done:?}");
        assert_eq!(value(oktopus, "Device.IP.Interface.1.Alias").await, "first");
        let done = added(oktopus, add("Device.IP.Interface.", &[("Alias", "test")])).await;
        let Added::OperSuccess(made) = done else { panic!("{done:?}") };
        assert_eq!(value(oktopus, &format!("{}Alias", made.instantiated_path)).await, "test");
        let done = deleted(oktopus, delete("Device.IP.Interface.[Alias==test].")).await;
        let Deleted::OperSuccess(gone) = done else { panic!("{done:?}") };
        assert_eq!(gone.affected_paths, [made.instantiated_path]);
        let whole = objects(oktopus, "Device.", false).await;
        assert!(whole.len() > 100 && whole.iter().any(|object| !object.supported_params.is_empty()));
        let instances = GetInstances { obj_paths: vec!["Device.DeviceInfo.".into()], first_level_only: false };
        let answer = oktopus.ask(ReqType::GetInstances(instances)).await;
        let Ok(RespType::GetInstancesResp(response)) = answer else { panic!("{answer:?}") };
        let instances = &response.req_path_results[0];
        assert!(instances.err_code == 0 && !instances.curr_insts.is_empty(), "{instances:?}");
        let done = operated(oktopus, "Device.Reboot()").await;
        assert!(!matches!(done, OperationResp::CmdFailure(_)), "{done:?}");
        while !matches!(oktopus.heard(Instant::now() + SOON).await.unwrap(), Heard::Offline) {}
    });
}

#[test]
fn the_discovery_tab_walks_through_everything() {
    Scene::play(|mut scene| async move {
        let mut oktopus = online(&mut scene).await;
        let mut paths = VecDeque::from(["Device.".to_owned()]);
        let mut seen = 0;
        while let Some(path) = paths.pop_front() {
            seen += 1;
            let wild = path.replace("{i}", "*");
            let mut level = objects(&mut oktopus, &wild, true).await.into_iter();
            let here = level.next().unwrap();
            assert_eq!(here.supported_obj_path, path, "the first one is the object itself");
            if !here.supported_params.is_empty() {
                let names: Vec<&str> = here.supported_params.iter().map(|param| &*param.param_name).collect();
                let wanted: Vec<String> = names.iter().map(|name| format!("{wild}{name}")).collect();
                let wanted: Vec<&str> = wanted.iter().map(String::as_str).collect();
                let results = values(&mut oktopus, &wanted, 1).await;
                for (result, name) in results.iter().zip(names) {
                    assert_eq!(result.err_code, 0, "{}: {}", result.requested_path, result.err_msg);
                    let answers =
                        result.resolved_path_results.iter().filter(|object| object.result_params.contains_key(name));
                    let single = !wild.contains('*');
                    assert!(!single || answers.count() == 1, "the page is blank: {result:?}");
                }
            }
            for child in level {
                let elements =
                    child.supported_params.len() + child.supported_commands.len() + child.supported_events.len();
                assert_eq!(elements, 0, "the page is blank: {}", child.supported_obj_path);
                paths.push_back(child.supported_obj_path);
            }
        }
        assert!(seen > 100, "{seen}");
    });
}

#[test]
fn loose_paths_are_understood_and_what_fails_fails_by_itself() {
    Scene::play(|mut scene| async move {
        let mut oktopus = online(&mut scene).await;
        let oktopus = &mut oktopus;
        for (path, first) in [
            ("Device.WiFi", "Device.WiFi."),
            ("Device.IP.Interface", "Device.IP.Interface.{i}."),
            ("Device.IP.Interface.1", "Device.IP.Interface.{i}."),
            ("Device.IP.Interface.{i}.IPv4Address", "Device.IP.Interface.{i}.IPv4Address.{i}."),
            ("Device.IP.Interface.*.IPv4Address.*.", "Device.IP.Interface.{i}.IPv4Address.{i}."),
        ] {
            assert_eq!(objects(oktopus, path, true).await[0].supported_obj_path, first, "{path}");
        }
        let done = updated(oktopus, set("Device.IP.Interface.1", "Alias", "bare")).await;
        assert!(matches!(done, Updated::OperSuccess(_)), "{done:?}");
        for (value, shown) in [("0", "false"), ("1", "true")] {
            let done = updated(oktopus, set("Device.IP.Interface.3", "Enable", value)).await;
            assert!(matches!(done, Updated::OperSuccess(_)), "{done:?}");
            assert_eq!(self::value(oktopus, "Device.IP.Interface.3.Enable").await, shown);
        }
        let done = updated(oktopus, set("Device.IP.Interface.[Alias==bare]", "Enable", "maybe")).await;
        assert!(matches!(done, Updated::OperFailure(_)), "{done:?}");
        let done = updated(oktopus, set("Device.Nowhere", "Alias", "x")).await;
        assert!(matches!(done, Updated::OperFailure(_)), "{done:?}");
        let done = added(oktopus, add("Device.LocalAgent.Subscription", &[])).await;
        let Added::OperSuccess(made) = done else { panic!("{done:?}") };
        let row = made.instantiated_path.trim_end_matches('.');
        let done = deleted(oktopus, delete(row)).await;
        assert!(matches!(&done, Deleted::OperSuccess(gone) if gone.affected_paths.len() == 1), "{done:?}");
        // What its scripts add: values in other words, a row that is addressed by what was set in the same message.
        let own = [
            ("Persistent", "1"),
            ("Enable", "1"),
            ("NotifRetry", "0"),
            ("NotifType", "OperationComplete"),
            ("ReferenceList", "Device.IP.Diagnostics.IPPing()"),
            ("Recipient", "Device.LocalAgent.Controller.1"),
        ];
        let done = added(oktopus, add("Device.LocalAgent.Subscription.", &own)).await;
        let Added::OperSuccess(made) = done else { panic!("{done:?}") };
        assert!(!made.unique_keys["ID"].is_empty(), "{made:?}");
        let ReqType::Add(mut both) = add("Device.IP.Interface.", &[("Alias", "my test")]) else { unreachable!() };
        let ReqType::Add(mut below) = add("Device.IP.Interface.[Alias==my test].IPv4Address.", &[]) else {
            unreachable!()
        };
        both.create_objs.append(&mut below.create_objs);
        let answer = oktopus.ask(ReqType::Add(both)).await;
        let Ok(RespType::AddResp(response)) = answer else { panic!("{answer:?}") };
        let second = response.created_obj_results[1].oper_status.as_ref().unwrap().oper_status.as_ref().unwrap();
        assert!(
            matches!(second, Added::OperSuccess(made) if made.instantiated_path.ends_with("IPv4Address.1.")),
            "{second:?}"
        );
        // For nested tables the console removes only the first `{i}.`.
        let done = added(oktopus, add("Device.IP.Interface.IPv4Address.{i}.", &[])).await;
        assert!(matches!(done, Added::OperFailure(_)), "{done:?}");
        let done = deleted(oktopus, delete("Device.DeviceInfo.")).await;
        assert!(matches!(done, Deleted::OperFailure(_)), "{done:?}");
        let done = operated(oktopus, "Device.IP.Diagnostics.IPPing()").await;
        assert!(matches!(done, OperationResp::CmdFailure(_)), "the host is missing: {done:?}");
        let done = operated(oktopus, "Device.SelfTestDiagnostics()").await;
        assert!(!matches!(done, OperationResp::CmdFailure(_)), "{done:?}");
        // What its button "notify" sends to the agent is refused, not answered with silence.
        let notify = Notify { subscription_id: "x".into(), send_resp: true, notification: None };
        assert!(oktopus.ask(ReqType::Notify(notify)).await.is_err());
        assert_eq!(self::value(oktopus, "Device.DeviceInfo.HostName").await, "OpenWrt");
        assert_eq!(oktopus.eid, AGENT);
        assert_eq!(self::value(oktopus, "Device.LocalAgent.Controller.1.EndpointID").await, CONTROLLER);
    });
}

#[test]
fn a_password_comes_with_the_endpoint_id_as_its_user() {
    Scene::play(|mut scene| async move {
        let own = "config localagent 'agent'\n\toption EndpointID 'router-1'\n";
        let (oktopus, port) = Oktopus::mqtt().await;
        let mut oktopus = oktopus.with_credentials("router-1", "open sesame");
        scene.start(&controller(
            &format!("mqtt://127.0.0.1:{port}"),
            &format!("\toption Password 'open sesame'\n{own}"),
        ));
        oktopus.online().await;
        assert_eq!(oktopus.eid, "router-1");
        assert_eq!(value(&mut oktopus, "Device.DeviceInfo.HostName").await, "OpenWrt");
        assert!(!scene.log().contains("sesame"));
    });
    Scene::play(|mut scene| async move {
        let (oktopus, port) = Oktopus::mqtt().await;
        let mut oktopus = oktopus.with_credentials("somebody", "p");
        let own = "config localagent 'agent'\n\toption EndpointID 'router-1'\n";
        scene.start(&controller(&format!("mqtt://somebody:p@127.0.0.1:{port}"), own));
        oktopus.accept().await.unwrap();
        assert!(matches!(oktopus.heard(Instant::now() + SOON).await, Some(Heard::Refused(_))));
        scene.until_logged("the broker refused every subscription").await;
        assert!(scene.log().contains("lets a user speak for the endpoint id of that name only"), "{}", scene.log());
    });
}

#[test]
fn a_controller_that_is_configured_while_the_agent_starts_is_heard() {
    Scene::play(|mut scene| async move {
        let (mut oktopus, port) = Oktopus::mqtt().await;
        let own = "config localagent 'agent'\n\toption EndpointID 'router-1'\n";
        let config = controller(&format!("mqtt://127.0.0.1:{port}"), own);
        let file = scene.router.config_dir().join("usp-agent");
        // The agent asks this for Boot!, after it has read its configuration and before it starts its links.
        let signature = Signature::default().method("board", &[]);
        scene.router.bus().provide("system", &signature, move |_, _| {
            std::fs::write(&file, &config).unwrap();
            Ok(Table::default().with("model", "Slow Router"))
        });
        scene.start(own);
        assert_eq!(oktopus.online().await[1], "Slow Router");
        assert!(!scene.log().contains("record dropped"), "{}", scene.log());
    });
}

#[test]
fn an_agent_that_may_tell_nothing_kills_no_adapter() {
    Scene::play(|mut scene| async move {
        let (mut oktopus, port) = Oktopus::mqtt().await;
        let url = format!("mqtt://127.0.0.1:{port}");
        scene.start(&controller(&url, "config role 'blind'\n").replace("'full'", "'blind'"));
        assert_eq!(oktopus.online().await, [""; 5]);
        let other = values(&mut oktopus, &["Device.DeviceInfo.HostName"], 0).await;
        assert_ne!(other[0].err_code, 0, "any other question is answered as it is");
    });
}

#[test]
fn over_stomp_it_listens_and_answers_where_it_is_told() {
    Scene::play(|mut scene| async move {
        let server = stomp_broker::Broker::new().await;
        scene.start(&controller(&format!("stomp://user:p@127.0.0.1:{}", server.port), ""));
        let own = format!("oktopus/usp/v1/agent/{AGENT}");
        let named = [("version", "1.2"), ("heart-beat", "0,0"), ("subscribe-dest", own.as_str())];
        let (mut connection, connect, subscribe) = server.subscribed(&named).await;
        assert_eq!((connect.header("endpoint-id"), connect.header("login")), (Some(AGENT), Some("user")));
        assert_eq!(subscribe.header("destination"), Some(own.as_str()));
        let reply_to = format!("oktopus/usp/v1/controller/{AGENT}/info");
        let kind = ("content-type", "application/vnd.bbf.usp.msg");
        let headers =
            [("subscription", "0"), ("message-id", "1"), ("destination", &*own), kind, ("reply-to-dest", &*reply_to)];
        connection.message(&headers, &oktopus::info_request(AGENT)).await;
        let sent = connection.frame("SEND").await;
        assert_eq!(sent.header("destination"), Some(reply_to.as_str()));
        assert_eq!(oktopus::adapter(&sent.body)[1], "Demo Router");
    });
}

#[test]
fn nothing_comes_over_a_websocket_before_the_answer_to_its_first_question() {
    Scene::play(|mut scene| async move {
        let (oktopus, port) = Oktopus::websocket().await;
        let mut oktopus = oktopus.with_credentials("", "open%20sesame");
        oktopus.ping = Duration::from_millis(200);
        let boot = "\toption Password 'open sesame'\n
config subscription 'boot'\n\toption controller 'oktopus'\n\toption ID 'boot'\n\toption NotifType 'Event'\n\
\tlist ReferenceList 'Device.Boot!'\n\toption Persistent '1'\n";
        scene.start(&controller(&format!("ws://127.0.0.1:{port}"), boot));
        let info = oktopus.online().await;
        assert_eq!(info[1], "Demo Router");
        // The notification of Boot! comes after it; with a request under way it would be taken for its answer.
        let heard = oktopus.heard(Instant::now() + SOON).await;
        assert!(matches!(heard, Some(Heard::Api(_))), "{heard:?}");
        assert!(oktopus.heard(Instant::now() + Duration::from_secs(1)).await.is_none(), "it keeps up with the pings");
        assert_eq!(value(&mut oktopus, "Device.DeviceInfo.HostName").await, "OpenWrt");
        let (_, said) = connect(&scene, &format!("ws://127.0.0.1:{port}"), &["--name", "oktopus"]).await;
        assert!(said.contains(&format!("connected to ws://127.0.0.1:{port}/ws/agent as")), "{said}");
        assert!(!said.contains("sesame") && !scene.log().contains("sesame"), "{said}");
    });
}

#[test]
fn after_a_cut_a_websocket_comes_back_when_the_old_one_is_forgotten() {
    Scene::play(|mut scene| async move {
        let (mut oktopus, port) = Oktopus::websocket().await;
        scene.start(&controller(&format!("ws://127.0.0.1:{port}"), ""));
        oktopus.online().await;
        oktopus.cut();
        scene.until_logged("event=lost").await;
        let log = scene.log();
        let lost = log.lines().find(|line| line.contains("event=lost")).unwrap();
        let seconds = lost.rsplit_once("retry-in=").unwrap().1.trim_end_matches('s').parse::<f32>().unwrap();
        assert!(seconds > 10.5, "{lost}");
    });
}

#[test]
fn an_answer_that_comes_too_late_is_not_sent() {
    Scene::play(|mut scene| async move {
        let (mut oktopus, port) = Oktopus::mqtt().await;
        scene.start(&controller(&format!("mqtt://127.0.0.1:{port}"), "\toption AnswerDeadline '1'\n"));
        oktopus.online().await;
        // A service that takes its time.
        let signature = Signature::default().method("info", &[]);
        scene.router.bus().provide("system", &signature, |_, _| {
            std::thread::sleep(Duration::from_millis(1500));
            Ok(Table::default().with("uptime", 7))
        });
        oktopus.send(get(&["Device.DeviceInfo.UpTime"], 0), "slow", "api").await;
        scene.until_logged("answer=dropped").await;
        let answer = oktopus.ask_as("next", get(&["Device.DeviceInfo.HostName"], 0)).await.unwrap();
        assert_eq!(answer.header.unwrap().msg_id, "next", "the REST server would have shown the wrong one");
    });
}

#[test]
fn an_agent_that_is_taken_for_gone_comes_back_by_itself() {
    Scene::play(|mut scene| async move {
        let (mut oktopus, port) = Oktopus::mqtt().await;
        let again = format!(
            "config mqtt 'oktopus_mqtt'\n\toption BrokerAddress '127.0.0.1'\n\toption BrokerPort '{port}'\n\
             \toption ResubscribeInterval '1'\n"
        );
        scene.start(&controller("mqtt://127.0.0.1", &again));
        oktopus.online().await;
        // The end of an older connection.
        oktopus.online = false;
        let until = Instant::now() + SOON;
        while !oktopus.online {
            oktopus.heard(until).await.expect("it announces itself");
        }
        assert!(matches!(oktopus.heard(until).await, Some(Heard::Info(info)) if info[1] == "Demo Router"));
        assert_eq!(oktopus.announced, 2);
    });
}
