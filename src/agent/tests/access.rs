//! Targets that search, and what a controller may not see: by message.

use super::*;
use crate::backend::CallError;
use crate::usp::wire::msg::operate_resp::operation_result::OperationResp;

/// A further permission of the guest's role, above its `r---` for everything.
fn permission(name: &str, order: u32, target: &str, rights: &str) -> String {
    let [param, obj, inst, command] = [0, 1, 2, 3].map(|at| rights.split(' ').nth(at).unwrap());
    format!(
        "config permission '{name}'\n\toption role 'visitors'\n\toption Order '{order}'\n\tlist Targets '{target}'\n\t\
         option Param '{param}'\n\toption Obj '{obj}'\n\toption InstantiatedObj '{inst}'\n\toption CommandEvent '{command}'\n"
    )
}

const NOTHING: &str = "---- ---- ---- ----";
const UP: &str = "Device.IP.Interface.[Status==\"Up\"].";
const NAMES: &str = "Device.IP.Interface.*.Name";

/// What the guest reads, `path=value`, or the error of the first path.
fn seen(bench: &mut Bench, path: &str) -> Result<Vec<String>, u32> {
    let Some(Incoming::Response { response: RespType::GetResp(response), .. }) =
        bench.ask_as("proto::guest", get(&[path]))
    else {
        panic!("no GetResp")
    };
    let result = response.req_path_results.into_iter().next().unwrap();
    if result.err_code != 0 {
        return Err(result.err_code);
    }
    let objects = result.resolved_path_results.into_iter();
    Ok(objects
        .flat_map(|o| o.result_params.into_iter().map(move |(n, v)| format!("{}{n}={v}", o.resolved_path)))
        .collect())
}

fn refused(bench: &mut Bench, request: ReqType) -> msg::Error {
    match bench.ask_as("proto::guest", request) {
        Some(Incoming::Error { error, .. }) => error,
        other => panic!("no error: {other:?}"),
    }
}

fn calls(bench: &Bench, of: &str) -> usize {
    bench.router.journal().iter().filter(|line| line.contains(of)).count()
}

#[test]
fn a_search_takes_rights_away_from_the_rows_it_finds_now() {
    let mut bench = Bench::new(&permission("p3", 5, UP, NOTHING));
    assert_eq!(seen(&mut bench, NAMES).unwrap(), ["Device.IP.Interface.2.Name=wan"]);
    assert_eq!(seen(&mut bench, "Device.IP.Interface.1.Name"), Err(7026));
    bench.link_up(true);
    assert!(seen(&mut bench, NAMES).unwrap().is_empty());
}

#[test]
fn a_search_gives_rights_to_the_rows_it_finds_now() {
    let rights = "rw-- ---- ---- ----";
    let mut bench = Bench::new(&permission("p3", 5, "Device.IP.Interface.[Status==\"Up\"].Enable", rights));
    let set_enable = |row: u32| set(false, &format!("Device.IP.Interface.{row}."), &[("Enable", "false", true)]);
    assert_eq!(refused(&mut bench, set_enable(2)).err_code, 7006);
    let done = bench.ask_as("proto::guest", set_enable(1));
    assert!(matches!(done, Some(Incoming::Response { response: RespType::SetResp(_), .. })), "{done:?}");
    // The parameter alone is named: its neighbours are as the permission below says.
    assert_eq!(seen(&mut bench, "Device.IP.Interface.1.Name").unwrap(), ["Device.IP.Interface.1.Name=lan"]);
}

#[test]
fn wildcards_and_references_may_stand_in_a_search_path() {
    let controller = "Device.LocalAgent.Controller.[EndpointID==\"proto::acs\"].BootParameter.*.";
    let followed = "Device.LocalAgent.Subscription.[ID==\"mine\"].Recipient+.";
    let config = [
        permission("p3", 5, controller, NOTHING),
        permission("p4", 6, followed, NOTHING),
        subscription("mine", "Event", "Device.Boot!", ""),
        "config boot_parameter 'b'\n\toption controller 'acs'\n\toption ParameterName 'Device.X'\n".to_owned(),
        "config boot_parameter 'c'\n\toption controller 'guest'\n\toption ParameterName 'Device.Y'\n".to_owned(),
    ];
    let mut bench = Bench::new(&config.concat());
    let shown = seen(&mut bench, "Device.LocalAgent.Controller.*.EndpointID").unwrap();
    assert_eq!(shown, ["Device.LocalAgent.Controller.2.EndpointID=proto::guest"]);
    let shown = seen(&mut bench, "Device.LocalAgent.Controller.*.BootParameter.*.ParameterName").unwrap();
    assert_eq!(shown, ["Device.LocalAgent.Controller.2.BootParameter.1.ParameterName=Device.Y"]);
}

#[test]
fn a_search_in_doubt_grants_nothing_and_lets_nothing_through() {
    let only = "rw-n r--- r--- ----";
    let mut bench = Bench::new(&permission("p3", 5, UP, NOTHING));
    bench.router.set_failure("network.interface", "dump", CallError::Timeout);
    assert!(seen(&mut bench, NAMES).unwrap().is_empty(), "the permission for everything stands below");
    assert_eq!(seen(&mut bench, "Device.DeviceInfo.HostName").unwrap(), ["Device.DeviceInfo.HostName=OpenWrt"]);

    let mut bench = Bench::new(&permission("p3", 5, UP, only));
    bench.router.set_failure("network.interface", "dump", CallError::Timeout);
    // Both permissions would let it read; only one of them would let it write.
    assert_eq!(seen(&mut bench, NAMES).unwrap().len(), 2);
    let write = set(false, "Device.IP.Interface.1.", &[("Enable", "false", true)]);
    assert_eq!(refused(&mut bench, write).err_code, 7006);
    bench.link_up(false);
    let write = set(false, "Device.IP.Interface.1.", &[("Enable", "false", true)]);
    assert!(matches!(bench.ask_as("proto::guest", write), Some(Incoming::Response { .. })));
}

#[test]
fn a_target_that_is_no_path_lets_nothing_through() {
    let mut bench = Bench::new(&permission("p3", 5, "Device.[", NOTHING));
    assert_eq!(seen(&mut bench, "Device.DeviceInfo.HostName"), Err(7026));
    let mut bench = Bench::new(&permission("p3", 5, "Device.Nothing.[Of==\"it\"].", NOTHING));
    assert!(seen(&mut bench, "Device.DeviceInfo.HostName").is_ok(), "what is not supported is no doubt");
}

#[test]
fn searches_are_answered_once_per_message() {
    let other = "Device.IP.Interface.[Status==\"Down\"].";
    let mut bench = Bench::new(&[permission("p3", 5, UP, NOTHING), permission("p4", 6, other, NOTHING)].concat());
    bench.router.clear_journal();
    assert!(seen(&mut bench, NAMES).unwrap().is_empty());
    assert_eq!(calls(&bench, "network.interface dump"), 1, "{:?}", bench.router.journal());
    bench.router.clear_journal();
    let _ = bench.response(get(&[NAMES]));
    assert_eq!(calls(&bench, "network.interface dump"), 0, "acs has no such target");
}

#[test]
fn the_supported_model_shows_what_any_row_may_be_used_for() {
    let request = |path: &str| {
        ReqType::GetSupportedDm(msg::GetSupportedDm {
            obj_paths: vec![path.into()],
            return_params: true,
            return_unique_key_sets: true,
            ..Default::default()
        })
    };
    let shown = |config: &str| {
        let mut bench = Bench::new(config);
        let Some(Incoming::Response { response: RespType::GetSupportedDmResp(response), .. }) =
            bench.ask_as("proto::guest", request("Device.LocalAgent.Controller."))
        else {
            panic!("no GetSupportedDMResp")
        };
        let mut result = response.req_obj_results.into_iter().next().unwrap();
        (result.err_code, result.supported_objs.drain(..).next())
    };
    let (_, object) = shown(&permission("p3", 5, "Device.LocalAgent.Controller.[Enable==true].", NOTHING));
    assert!(object.unwrap().supported_params.iter().any(|p| p.param_name == "EndpointID"));
    let (_, object) = shown(&permission("p3", 5, "Device.LocalAgent.Controller.1.", NOTHING));
    assert!(object.is_some());
    let (error, object) = shown(&permission("p3", 5, "Device.LocalAgent.Controller", NOTHING));
    assert_eq!((error, object.is_none()), (7026, true), "named as the specification's examples do, without a dot");
    // A key with a parameter that may not be read is no key for this controller.
    let (_, object) = shown(&permission("p3", 5, "Device.LocalAgent.Controller.*.EndpointID", NOTHING));
    let keys: Vec<_> = object.unwrap().unique_key_sets.into_iter().map(|set| set.key_names.join(",")).collect();
    assert_eq!(keys, ["Alias"]);
}

/// A subscription of the guest.
fn guests(name: &str, kind: &str, reference: &str) -> String {
    subscription(name, kind, reference, "").replace("'acs'", "'guest'")
}

fn with_guest(config: &str) -> Bench {
    let mut bench = Bench::off(config);
    bench.start();
    bench.connect("guest");
    bench.sent.clear();
    bench
}

const NOTIFY: &str = "r--n r--n r--n r--n";

#[test]
fn notifications_keep_to_the_targets_that_search() {
    let config = [
        permission("p2", 2, "Device.", NOTIFY),
        permission("p3", 5, "Device.LocalAgent.Controller.[ProvisioningCode==\"secret\"].", NOTHING),
        guests("codes", "ValueChange", "Device.LocalAgent.Controller.*.ProvisioningCode"),
        guests("gone", "ObjectDeletion", "Device.LocalAgent.Controller.*."),
    ];
    let mut bench = with_guest(&config.concat());
    let code = |row: u32, code: &str| {
        set(false, &format!("Device.LocalAgent.Controller.{row}."), &[("ProvisioningCode", code, true)])
    };
    let _ = bench.response(code(2, "open"));
    assert_eq!(bench.told(), ["codes value Device.LocalAgent.Controller.2.ProvisioningCode=open"]);
    let _ = bench.response(code(1, "secret"));
    assert!(bench.told().is_empty(), "the row is hidden by the very change");
    // Of a row that is gone nobody can tell whether the search named it.
    let create = add(false, "Device.LocalAgent.Controller.", &[("EndpointID", "proto::third", true)]);
    let _ = bench.response(create);
    let _ = bench.response(delete(false, &["Device.LocalAgent.Controller.3."]));
    assert!(bench.told().is_empty());
}

#[test]
fn a_deletion_is_told_where_no_search_decides() {
    let config =
        [permission("p2", 2, "Device.", NOTIFY), guests("gone", "ObjectDeletion", "Device.LocalAgent.Controller.*.")];
    let mut bench = with_guest(&config.concat());
    let _ = bench.response(add(false, "Device.LocalAgent.Controller.", &[("EndpointID", "proto::third", true)]));
    let _ = bench.response(delete(false, &["Device.LocalAgent.Controller.3."]));
    assert_eq!(bench.told(), ["gone deleted Device.LocalAgent.Controller.3."]);
}

#[test]
fn an_object_creation_leaves_out_keys_that_may_not_be_read() {
    let config = [
        permission("p2", 2, "Device.", NOTIFY),
        permission("p3", 3, "Device.LocalAgent.Controller.*.EndpointID", NOTHING),
        guests("new", "ObjectCreation", "Device.LocalAgent.Controller."),
    ];
    let mut bench = with_guest(&config.concat());
    let _ = bench.response(add(false, "Device.LocalAgent.Controller.", &[("EndpointID", "proto::third", true)]));
    let (_, notify) = bench.notified().remove(0);
    let Some(Notification::ObjCreation(creation)) = notify.notification else { panic!("not a creation") };
    assert_eq!(creation.unique_keys.keys().collect::<Vec<_>>(), ["Alias"]);
}

#[test]
fn what_may_not_be_seen_does_not_exist_for_any_message() {
    let hidden = [
        permission("p2", 2, "Device.", "rw-- rw-- rw-- r-x-"),
        permission("p3", 3, "Device.LocalAgent.Controller", NOTHING),
        permission("p4", 4, "Device.IP.Diagnostics.IPPing()", NOTHING),
        permission("p5", 5, "Device.IP.Interface.*.Enable,Device.LocalAgent.Subscription.*.Recipient", NOTHING),
        subscription("mine", "Event", "Device.Boot!", ""),
    ];
    let mut bench = Bench::new(&hidden.concat());
    for path in [
        "Device.LocalAgent.Controller.",
        "Device.LocalAgent.Controller.1.",
        "Device.LocalAgent.Controller.9.",
        "Device.LocalAgent.Controller.*.EndpointID",
        "Device.LocalAgent.Controller.*.Nothing",
        "Device.LocalAgent.Controller.[EndpointID==\"proto::acs\"].",
        "Device.IP.Interface.1.Enable",
        "Device.IP.Interface.*.Enable",
        "Device.IP.Interface.[Enable==true].",
        "Device.IP.Interface.[Nothing==true].",
        "Device.LocalAgent.Subscription.1.Recipient+.",
        "Device.LocalAgent.Subscription.1.Nothing+.",
    ] {
        assert_eq!(seen(&mut bench, path), Err(7026), "{path}");
    }
    // Each like what is not there at all.
    let instances =
        |path: &str| ReqType::GetInstances(msg::GetInstances { obj_paths: vec![path.into()], first_level_only: false });
    for path in ["Device.LocalAgent.Controller.", "Device.LocalAgent.Nothing."] {
        let Some(Incoming::Response { response: RespType::GetInstancesResp(response), .. }) =
            bench.ask_as("proto::guest", instances(path))
        else {
            panic!("no GetInstancesResp")
        };
        assert_eq!(response.req_path_results[0].err_code, 7026, "{path}");
    }
    for table in ["Device.LocalAgent.Controller.", "Device.LocalAgent.Nothing."] {
        assert_eq!(refused(&mut bench, add(false, table, &[])).err_code, 7026, "{table}");
        let row = format!("{table}1.");
        assert_eq!(refused(&mut bench, delete(false, &[&row])).err_code, 7026, "{row}");
        assert_eq!(refused(&mut bench, set(false, &row, &[("EndpointID", "x", true)])).err_code, 7026, "{row}");
    }
    for name in ["Enable", "Nothing"] {
        let error = refused(&mut bench, set(false, "Device.IP.Interface.1.", &[(name, "true", true)]));
        let [param] = &error.param_errs[..] else { panic!("{error:?}") };
        assert_eq!((error.err_code, param.err_code), (7021, 7010), "{name}");
    }
    for command in ["Device.IP.Diagnostics.IPPing()", "Device.IP.Diagnostics.Nothing()"] {
        assert_eq!(refused(&mut bench, operate(command, "", &[])).err_code, 7026, "{command}");
    }
}

#[test]
fn a_command_that_may_be_seen_is_denied_as_such() {
    let config = [permission("p3", 3, "Device.IP.Diagnostics.", "r--- r--- r--- r---")];
    let mut bench = Bench::new(&config.concat());
    let answer = bench.ask_as("proto::guest", operate("Device.IP.Diagnostics.IPPing()", "", &[]));
    let Some(Incoming::Response { response: RespType::OperateResp(response), .. }) = answer else {
        panic!("{answer:?}")
    };
    let Some(OperationResp::CmdFailure(failure)) = &response.operation_results[0].operation_resp else { panic!() };
    assert_eq!(failure.err_code, 7006);
}

#[test]
fn a_secured_value_is_told_to_secured_roles_only() {
    let config = [
        permission("p2", 2, "Device.", NOTIFY),
        "config mqtt 'm'\n\toption Password 'old'\n".to_owned(),
        guests("of_guest", "ValueChange", "Device.MQTT.Client.1.Password"),
        subscription("of_acs", "ValueChange", "Device.MQTT.Client.", ""),
    ];
    let change = |bench: &mut Bench, password: &str| {
        let _ = bench.response(set(false, "Device.MQTT.Client.1.", &[("Password", password, true)]));
        bench.told()
    };
    for (role, guest, acs) in [("nobody", false, false), ("visitors", true, false), ("full", false, true)] {
        let package = format!("{CONFIG}{}", config.concat());
        let package =
            package.replace("config localagent\n", &format!("config localagent\n\tlist SecuredRoles '{role}'\n"));
        for (controller, is_told) in [("guest", guest), ("acs", acs)] {
            let mut bench = Bench::off("");
            bench.router.set_package("usp-agent", &package).unwrap();
            bench.start();
            bench.connect(controller);
            bench.sent.clear();
            let expected = format!("of_{controller} value Device.MQTT.Client.1.Password=new");
            let expected = if is_told { vec![expected] } else { vec![] };
            assert_eq!(change(&mut bench, "new"), expected, "{controller}, with {role} secured");
        }
    }
}
