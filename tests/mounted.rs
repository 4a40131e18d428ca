//! The real program on a router where a plugin of Ambiorix answers for `Device.WiFi.` and the mapping for the rest.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "support/ambiorix.rs"]
mod ambiorix;
#[path = "support/scene.rs"]
mod scene;

use ambiorix::{Mood, Plugin, WIFI};
use scene::{SOON, Scene};
use std::collections::BTreeMap;
use std::time::Duration;
use usp_agent::backend::ubus::Client;
use usp_agent::backend::{Table, Value};
use usp_agent::demo::controller::{Controller, Operated, Trouble};
use usp_agent::usp::endpoint_id::EndpointId;
use usp_agent::usp::wire::msg;
use usp_agent::usp::wire::msg::notify::Notification;
use usp_agent::usp::wire::msg::notify::operation_complete::OperationResp;
use usp_agent::usp::wire::msg::request::ReqType;
use usp_agent::usp::wire::msg::response::RespType;

const CONTROLLER: &str = "self::test";
const OBJECTS: [(&str, &str); 8] = [
    ("WiFi.", "RadioNumberOfEntries=2 SSIDNumberOfEntries=1"),
    ("WiFi.Radio.1.", "Alias=low Name=wl0 Enable=1 Status=Up Channel=6 LowerLayers=Device.Ethernet.Interface.1"),
    ("WiFi.Radio.2.", "Alias=high Name=wl1 Channel=36 Status=Down"),
    ("WiFi.Radio.2.Stats.", "BytesSent=5000000000"),
    ("WiFi.SSID.3.", "Alias=home SSID=Home LowerLayers=Device.WiFi.Radio.1"),
    ("WiFi.AccessPoint.1.", "Alias=ap SSIDReference=Device.WiFi.SSID.3"),
    ("WiFi.AccessPoint.1.Security.", "ModeEnabled=WPA2-Personal KeyPassphrase=secret-secret"),
    ("WiFi.AccessPoint.1.AssociatedDevice.1.", "MACAddress=02:00:00:00:00:01 SignalStrength=-50"),
];

fn config(port: u16, more: &str) -> String {
    format!(
        "config controller 'test'\n option url 'ws://127.0.0.1:{port}/usp'\n option EndpointID '{CONTROLLER}'\n option AllowUnencrypted 1\n list role full\n{more}\n"
    )
}

const MOUNT: &str = "config mount\n option object WiFi\n";

/// A controller, and an agent that has mounted the plugin.
async fn mounted(scene: &mut Scene) -> (Plugin, Controller) {
    let plugin = Plugin::start(scene.router.bus(), "WiFi", WIFI, &OBJECTS);
    let controller = with_config(scene, MOUNT).await;
    plugin.calls();
    (plugin, controller)
}

async fn with_config(scene: &mut Scene, more: &str) -> Controller {
    let (mut controller, port) = Controller::on_websocket(&EndpointId::parse(CONTROLLER).unwrap()).unwrap();
    scene.start(&config(port, more));
    controller.agent(SOON).await.unwrap();
    controller
}

fn paths(values: &[(String, String)]) -> Vec<&str> {
    values.iter().map(|(path, _)| path.as_str()).collect()
}

fn code(trouble: Result<impl std::fmt::Debug, Trouble>) -> u32 {
    match trouble.unwrap_err() {
        Trouble::Refused(error) => error.err_code,
        Trouble::Failed { code, .. } => code,
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_is_mounted_is_read_by_every_kind_of_path_and_the_rest_is_mapped() {
    Scene::play(|mut scene| async move {
        let (plugin, mut controller) = mounted(&mut scene).await;
        assert_eq!(controller.value("Device.WiFi.Radio.2.Stats.BytesSent").await.unwrap(), "5000000000");
        assert_eq!(controller.value("Device.WiFi.Radio.[Name==\"wl1\"].Channel").await.unwrap(), "36");
        assert_eq!(controller.value("Device.WiFi.Radio.[Channel>30&&Enable==false].Alias").await.unwrap(), "high");
        let channels = controller.get(&["Device.WiFi.Radio.*.Channel"]).await.unwrap();
        assert_eq!(paths(&channels), ["Device.WiFi.Radio.1.Channel", "Device.WiFi.Radio.2.Channel"]);
        // References, within the mount and out of it, read as given and are followed.
        let given = controller.value("Device.WiFi.SSID.3.LowerLayers").await.unwrap();
        assert_eq!(given, "Device.WiFi.Radio.1");
        assert_eq!(controller.value("Device.WiFi.SSID.3.LowerLayers#1+.Name").await.unwrap(), "wl0");
        assert!(!controller.value("Device.WiFi.Radio.1.LowerLayers#1+.MACAddress").await.unwrap().is_empty());
        plugin.calls();
        let all = controller.get(&["Device."]).await.unwrap();
        assert_eq!(plugin.calls(), ["_get WiFi."], "one call for all of it");
        let radios = all.iter().filter(|(path, _)| path == "Device.WiFi.Radio.1.Name").count();
        let hosts = all.iter().filter(|(path, _)| path == "Device.DeviceInfo.HostName").count();
        assert_eq!((radios, hosts), (1, 1));
        let wifi: Vec<_> = all.iter().filter(|(path, _)| path.starts_with("Device.WiFi.")).cloned().collect();
        let stands = |name: &str, path: &str| all.iter().any(|(known, value)| known.ends_with(name) && value == path);
        assert!(stands(".HigherLayer", "Device.WiFi.SSID.3") && stands(".LowerLayer", "Device.WiFi.Radio.1"));
        assert_eq!(wifi.len(), 2 + 7 * 2 + 2 + 5 + 2 + 2 + 2, "nothing of the mapping {wifi:#?}");
        assert_eq!(code(controller.get(&["Device.WiFi.Radio.7.Name"]).await), 7026);
        assert_eq!(code(controller.get(&["Device.WiFi.Radio.1.MaxBitRate"]).await), 7026, "the plugin has none");
        let shallow = msg::Get { param_paths: vec!["Device.WiFi.".into()], max_depth: 1 };
        let RespType::GetResp(got) = controller.request(ReqType::Get(shallow)).await.unwrap() else { panic!() };
        assert_eq!(got.req_path_results[0].resolved_path_results.len(), 1);
        plugin.calls();
        let two = msg::Get { param_paths: vec!["Device.WiFi.".into()], max_depth: 2 };
        let RespType::GetResp(got) = controller.request(ReqType::Get(two)).await.unwrap() else { panic!() };
        assert_eq!(got.req_path_results[0].resolved_path_results.len(), 5, "the object and the rows");
        assert!(!plugin.calls().contains(&"_get WiFi.AccessPoint.1.Security.".to_owned()));
    });
}

#[test]
fn instances_and_the_supported_model_are_told() {
    Scene::play(|mut scene| async move {
        let (_plugin, mut controller) = mounted(&mut scene).await;
        let all = msg::GetInstances { obj_paths: vec!["Device.WiFi.AccessPoint.".into()], first_level_only: false };
        let RespType::GetInstancesResp(got) = controller.request(ReqType::GetInstances(all)).await.unwrap() else {
            panic!()
        };
        let found = &got.req_path_results[0].curr_insts;
        assert_eq!(found[0].instantiated_obj_path, "Device.WiFi.AccessPoint.1.");
        assert_eq!(found[0].unique_keys, BTreeMap::from([("Alias".into(), "ap".into())]));
        assert_eq!(found[1].instantiated_obj_path, "Device.WiFi.AccessPoint.1.AssociatedDevice.1.");
        let wanted = msg::GetSupportedDm {
            obj_paths: vec!["Device.WiFi.".into()],
            return_commands: true,
            return_events: true,
            return_params: true,
            return_unique_key_sets: true,
            ..msg::GetSupportedDm::default()
        };
        let RespType::GetSupportedDmResp(got) = controller.request(ReqType::GetSupportedDm(wanted)).await.unwrap()
        else {
            panic!()
        };
        let objects = &got.req_obj_results[0].supported_objs;
        let object = |path: &str| objects.iter().find(|o| o.supported_obj_path == path).unwrap();
        assert_eq!(objects.len(), 7);
        let radio = object("Device.WiFi.Radio.{i}.");
        assert!(radio.is_multi_instance && radio.access == 0 && object("Device.WiFi.SSID.{i}.").access == 1);
        assert_eq!(radio.unique_key_sets[0].key_names, ["Alias"]);
        assert_eq!((radio.supported_events[0].event_name.as_str(), radio.supported_events.len()), ("X_PRPL_Radar!", 1));
        assert_eq!(radio.supported_events[0].arg_names, ["Channel", "Neighbor.Name"]);
        let param = |name: &str| {
            let param = radio.supported_params.iter().find(|param| param.param_name == name).unwrap();
            (param.access, param.value_type, param.value_change)
        };
        use msg::get_supported_dm_resp::ParamValueType as Type;
        assert_eq!(param("Channel"), (1, Type::ParamUnsignedInt as i32, 1));
        assert_eq!(param("Enable"), (1, Type::ParamBoolean as i32, 1));
        assert_eq!(param("LastChange"), (0, Type::ParamUnsignedInt as i32, 2));
        let commands = &object("Device.WiFi.").supported_commands;
        let echo = commands.iter().find(|command| command.command_name == "X_PRPL_Echo()").unwrap();
        assert_eq!((echo.command_type, &echo.input_arg_names[..]), (1, &["Text".to_owned()][..]));
        assert_eq!(commands.iter().filter(|command| command.command_type == 2).count(), 2);
    });
}

fn update(path: &str, settings: &[(&str, &str, bool)]) -> msg::set::UpdateObject {
    let setting = |(param, value, required): &(&str, &str, bool)| msg::set::UpdateParamSetting {
        param: (*param).to_owned(),
        value: (*value).to_owned(),
        required: *required,
    };
    msg::set::UpdateObject { obj_path: path.into(), param_settings: settings.iter().map(setting).collect() }
}

async fn set(
    controller: &mut Controller,
    allow_partial: bool,
    objs: &[msg::set::UpdateObject],
) -> Result<msg::SetResp, Trouble> {
    match controller.request(ReqType::Set(msg::Set { allow_partial, update_objs: objs.to_vec() })).await? {
        RespType::SetResp(response) => Ok(response),
        _ => Err(Trouble::Unexpected),
    }
}

#[test]
fn values_are_set_the_required_ones_all_or_none() {
    use msg::set_resp::updated_object_result::operation_status::OperStatus;
    Scene::play(|mut scene| async move {
        let (plugin, mut controller) = mounted(&mut scene).await;
        controller.set("Device.WiFi.Radio.1.", &[("Channel", "11"), ("Enable", "false")]).await.unwrap();
        assert_eq!(plugin.value("WiFi.Radio.1.", "Channel"), Some(Value::Int32(11)));
        assert_eq!(plugin.value("WiFi.Radio.1.", "Enable"), Some(Value::Int8(0)));
        // An optional one that is refused leaves the others alone, and is told.
        let mixed = update(
            "Device.WiFi.Radio.1.",
            &[("Channel", "900", false), ("Enable", "true", true), ("Name", "x", false)],
        );
        let done = set(&mut controller, false, &[mixed]).await.unwrap();
        let Some(OperStatus::OperSuccess(success)) =
            &done.updated_obj_results[0].oper_status.as_ref().unwrap().oper_status
        else {
            panic!("{done:?}")
        };
        let result = &success.updated_inst_results[0];
        assert_eq!(result.updated_params, BTreeMap::from([("Enable".into(), "true".into())]));
        let errors: BTreeMap<_, _> = result.param_errs.iter().map(|e| (e.param.as_str(), e.err_code)).collect();
        assert_eq!(errors, BTreeMap::from([("Channel", 7012), ("Name", 7013)]));
        assert_eq!(plugin.value("WiFi.Radio.1.", "Channel"), Some(Value::Int32(11)));
        // A required one that is refused leaves its object as it was.
        let refused = controller.set("Device.WiFi.Radio.1.", &[("Channel", "900"), ("Enable", "false")]).await;
        let Err(Trouble::Refused(error)) = refused else { panic!("{refused:?}") };
        assert_eq!((error.err_code, error.param_errs[0].err_code), (7021, 7012));
        assert_eq!(error.param_errs[0].param_path, "Device.WiFi.Radio.1.Channel");
        assert_eq!(plugin.value("WiFi.Radio.1.", "Enable"), Some(Value::Int8(1)));
        assert_eq!(code(controller.set("Device.WiFi.Radio.1.", &[("Channel", "many")]).await), 7021, "of another type");
        // A key that is taken.
        let taken = controller.set("Device.WiFi.Radio.1.", &[("Alias", "high")]).await;
        let Err(Trouble::Refused(error)) = taken else { panic!("{taken:?}") };
        assert_eq!(error.param_errs[0].err_code, 7025);
    });
}

#[test]
fn what_a_message_did_before_it_failed_is_taken_back() {
    Scene::play(|mut scene| async move {
        let (plugin, mut controller) = mounted(&mut scene).await;
        let both = [
            update("Device.WiFi.Radio.1.", &[("Channel", "11", true)]),
            update("Device.WiFi.Radio.2.", &[("Channel", "900", true)]),
        ];
        assert_eq!(code(set(&mut controller, false, &both).await), 7021);
        assert_eq!(plugin.value("WiFi.Radio.1.", "Channel"), Some(Value::Int32(6)), "{:?}", plugin.calls());
        set(&mut controller, true, &both).await.unwrap();
        assert_eq!(plugin.value("WiFi.Radio.1.", "Channel"), Some(Value::Int32(11)));
        // A path that searches is one whole, also with allow_partial.
        let search = update("Device.WiFi.Radio.*.", &[("Alias", "same", true)]);
        set(&mut controller, true, &[search]).await.unwrap();
        assert_eq!(plugin.value("WiFi.Radio.1.", "Alias"), Some("low".into()));
        // Mounted and mapped in one message: both or none.
        let mixed = |name: &str| {
            [
                update("Device.WiFi.Radio.1.", &[("Channel", "1", true)]),
                update("Device.DeviceInfo.", &[(name, "castle", true)]),
            ]
        };
        assert_eq!(code(set(&mut controller, false, &mixed("ModelName")).await), 7021);
        assert_eq!(plugin.value("WiFi.Radio.1.", "Channel"), Some(Value::Int32(11)));
        set(&mut controller, false, &mixed("HostName")).await.unwrap();
        assert_eq!(plugin.value("WiFi.Radio.1.", "Channel"), Some(Value::Int32(1)));
        assert_eq!(controller.value("Device.DeviceInfo.HostName").await.unwrap(), "castle");
        // What is set is what the rest of the message sees.
        let seen = [
            update("Device.WiFi.Radio.1.", &[("Channel", "13", true)]),
            update("Device.WiFi.Radio.[Channel==13].", &[("Enable", "false", true)]),
        ];
        set(&mut controller, false, &seen).await.unwrap();
        assert_eq!(plugin.value("WiFi.Radio.1.", "Enable"), Some(Value::Int8(0)));
        // The owner's dry run: nobody is told anything.
        let (changes, _changed) = tokio::sync::mpsc::channel(8);
        let (caller, driver) = Client::new(scene.router.socket(), SOON, changes);
        tokio::task::spawn_local(driver.run());
        let dry = Table::default().with("path", "Device.WiFi.Radio.1.Channel").with("value", "9").with("dry_run", true);
        plugin.calls();
        let (status, told) = caller.ask("usp-agent", "set", &dry, SOON).await.unwrap();
        assert_eq!(status, 0, "{told:?}");
        assert!(!plugin.calls().iter().any(|call| call.starts_with("_set")));
        assert_eq!(plugin.value("WiFi.Radio.1.", "Channel"), Some(Value::Int32(13)));
    });
}

#[test]
fn rows_are_added_and_deleted() {
    Scene::play(|mut scene| async move {
        let (plugin, mut controller) = mounted(&mut scene).await;
        let made = controller.add("Device.WiFi.SSID.", &[("SSID", "Guest"), ("Alias", "guest")]).await.unwrap();
        assert_eq!(made, "Device.WiFi.SSID.4.");
        assert_eq!(plugin.value("WiFi.SSID.4.", "SSID"), Some("Guest".into()));
        assert_eq!(code(controller.add("Device.WiFi.SSID.", &[("Alias", "guest")]).await), 7025);
        assert_eq!(code(controller.add("Device.WiFi.Radio.", &[]).await), 7019);
        assert_eq!(code(controller.add("Device.WiFi.SSID.", &[("BSSID", "x")]).await), 7021, "read-only");
        // Values below the row are set when it is there; without them the row is not wanted.
        let point =
            controller.add("Device.WiFi.AccessPoint.", &[("Security.ModeEnabled", "WPA3-Personal")]).await.unwrap();
        assert_eq!(point, "Device.WiFi.AccessPoint.2.");
        assert_eq!(plugin.value("WiFi.AccessPoint.2.Security.", "ModeEnabled"), Some("WPA3-Personal".into()));
        // An optional value that is refused, and a second row that fails: the first is taken back.
        let create = |alias: &str| msg::add::CreateObject {
            obj_path: "Device.WiFi.SSID.".into(),
            param_settings: vec![
                msg::add::CreateParamSetting { param: "Alias".into(), value: alias.into(), required: true },
                msg::add::CreateParamSetting { param: "SSID".into(), value: "x".into(), required: false },
                msg::add::CreateParamSetting { param: "Nothing".into(), value: "x".into(), required: false },
            ],
        };
        let before = plugin.paths();
        let add = msg::Add { allow_partial: false, create_objs: vec![create("one"), create("guest")] };
        let failed = controller.request(ReqType::Add(add)).await;
        assert_eq!(code(failed), 7025);
        assert_eq!(plugin.paths(), before);
        let add = msg::Add { allow_partial: true, create_objs: vec![create("two"), create("guest")] };
        let RespType::AddResp(done) = controller.request(ReqType::Add(add)).await.unwrap() else { panic!() };
        use msg::add_resp::created_object_result::operation_status::OperStatus;
        let status = |at: usize| done.created_obj_results[at].oper_status.clone().unwrap().oper_status.unwrap();
        let OperStatus::OperSuccess(success) = status(0) else { panic!("{done:?}") };
        assert_eq!(success.unique_keys, BTreeMap::from([("Alias".into(), "two".into())]));
        assert_eq!((success.param_errs[0].param.as_str(), success.param_errs[0].err_code), ("Nothing", 7010));
        assert!(matches!(status(1), OperStatus::OperFailure(failure) if failure.err_code == 7025));
        controller.delete("Device.WiFi.SSID.[SSID==\"Guest\"].").await.unwrap();
        assert!(!plugin.paths().contains(&"WiFi.SSID.4.".to_owned()));
        controller.delete("Device.WiFi.AccessPoint.1.").await.unwrap();
        assert!(!plugin.paths().iter().any(|path| path.starts_with("WiFi.AccessPoint.1.")));
        assert_eq!(code(controller.delete("Device.WiFi.Radio.1.").await), 7024);
        let locked = controller.add("Device.WiFi.SSID.", &[("Alias", "locked")]).await.unwrap();
        assert_eq!(code(controller.delete(&locked).await), 7024, "the plugin refuses");
        let partial = msg::Delete { allow_partial: true, obj_paths: vec![locked, "Device.WiFi.SSID.3.".into()] };
        let RespType::DeleteResp(done) = controller.request(ReqType::Delete(partial)).await.unwrap() else { panic!() };
        use msg::delete_resp::deleted_object_result::operation_status::OperStatus as Deleted;
        let status = |at: usize| done.deleted_obj_results[at].oper_status.clone().unwrap().oper_status.unwrap();
        assert!(matches!(status(0), Deleted::OperFailure(failure) if failure.err_code == 7024));
        assert!(
            matches!(status(1), Deleted::OperSuccess(success) if success.affected_paths == ["Device.WiFi.SSID.3."])
        );
    });
}

async fn subscribe(controller: &mut Controller, id: &str, kind: &str, path: &str) {
    let settings = [("Enable", "true"), ("ID", id), ("NotifType", kind), ("ReferenceList", path)];
    controller.add("Device.LocalAgent.Subscription.", &settings).await.unwrap();
}

async fn told(controller: &mut Controller, id: &str) -> Option<Notification> {
    controller.notification(SOON, |notify| notify.subscription_id == id).await.unwrap().notification
}

async fn nothing_told(controller: &mut Controller, id: &str) {
    let wait = Duration::from_millis(600);
    let heard = controller.notification(wait, |notify| notify.subscription_id == id).await;
    assert!(heard.is_err(), "{heard:?}");
}

#[test]
fn commands_run_at_once_or_beside_everything_else() {
    Scene::play(|mut scene| async move {
        let (_plugin, mut controller) = mounted(&mut scene).await;
        let echo = controller.operate("Device.WiFi.X_PRPL_Echo()", "", &[("Text", "hallo"), ("Other", "x")]).await;
        let Ok(Operated::Output(output)) = echo else { panic!("{echo:?}") };
        assert_eq!(output.into_iter().collect::<Vec<_>>(), [("Text".to_owned(), "hallo".to_owned())]);
        assert_eq!(code(controller.operate("Device.WiFi.X_PRPL_Refuse()", "", &[]).await), 7027);
        subscribe(&mut controller, "done", "OperationComplete", "Device.WiFi.").await;
        let scan = controller.operate("Device.WiFi.NeighboringWiFiDiagnostic()", "k", &[]).await.unwrap();
        assert!(matches!(scan, Operated::Request(_)));
        let Some(Notification::OperComplete(complete)) = told(&mut controller, "done").await else { panic!() };
        let Some(OperationResp::ReqOutputArgs(output)) = complete.operation_resp else { panic!("{complete:?}") };
        assert_eq!((complete.command_key.as_str(), output.output_args["Result.2.SSID"].as_str()), ("k", "b"));
        // One that takes long holds up nobody.
        let Operated::Request(row) = controller.operate("Device.WiFi.X_PRPL_Hang()", "h", &[]).await.unwrap() else {
            panic!()
        };
        assert_eq!(controller.value("Device.WiFi.Radio.1.Name").await.unwrap(), "wl0");
        controller.operate(&format!("{row}.Cancel()"), "", &[]).await.unwrap();
        let Some(Notification::OperComplete(complete)) = told(&mut controller, "done").await else { panic!() };
        assert!(
            matches!(complete.operation_resp, Some(OperationResp::CmdFailure(failure)) if failure.err_code == 7023)
        );
    });
}

#[test]
fn changes_rows_and_events_are_told_without_asking_again_and_again() {
    Scene::play(|mut scene| async move {
        let (plugin, mut controller) = mounted(&mut scene).await;
        subscribe(&mut controller, "value", "ValueChange", "Device.WiFi.Radio.*.Status").await;
        subscribe(&mut controller, "all", "ValueChange", "Device.WiFi.AccessPoint.").await;
        subscribe(&mut controller, "new", "ObjectCreation", "Device.WiFi.AccessPoint.1.AssociatedDevice.").await;
        subscribe(&mut controller, "gone", "ObjectDeletion", "Device.WiFi.AccessPoint.1.AssociatedDevice.").await;
        subscribe(&mut controller, "event", "Event", "Device.WiFi.Radio.2.X_PRPL_Radar!").await;
        plugin.change("WiFi.Radio.2.", "Status", "Up");
        let Some(Notification::ValueChange(change)) = told(&mut controller, "value").await else { panic!() };
        assert_eq!((&*change.param_path, &*change.param_value), ("Device.WiFi.Radio.2.Status", "Up"));
        // Below an object that is watched with all in it, which is read in one call.
        plugin.change("WiFi.AccessPoint.1.Security.", "ModeEnabled", "WPA3-Personal");
        let Some(Notification::ValueChange(change)) = told(&mut controller, "all").await else { panic!() };
        assert_eq!(change.param_path, "Device.WiFi.AccessPoint.1.Security.ModeEnabled");
        plugin.add("WiFi.AccessPoint.1.AssociatedDevice.9.");
        let Some(Notification::ObjCreation(creation)) = told(&mut controller, "new").await else { panic!() };
        assert_eq!(creation.obj_path, "Device.WiFi.AccessPoint.1.AssociatedDevice.9.");
        assert!(creation.unique_keys.contains_key("MACAddress"));
        plugin.remove("WiFi.AccessPoint.1.AssociatedDevice.1.");
        let Some(Notification::ObjDeletion(deletion)) = told(&mut controller, "gone").await else { panic!() };
        assert_eq!(deletion.obj_path, "Device.WiFi.AccessPoint.1.AssociatedDevice.1.");
        let radar = Table::default().with("Channel", 52).with("Neighbor", Table::default().with("Name", "x"));
        plugin.tell("X_PRPL_Radar!", "WiFi.Radio.1.", radar.clone());
        plugin.tell("X_PRPL_Unknown!", "WiFi.Radio.2.", Table::default());
        plugin.tell("X_PRPL_Radar!", "WiFi.Radio.2.", radar);
        let Some(Notification::Event(event)) = told(&mut controller, "event").await else { panic!() };
        assert_eq!((&*event.obj_path, &*event.event_name), ("Device.WiFi.Radio.2.", "X_PRPL_Radar!"));
        let params =
            [("Channel", "52"), ("Neighbor.Name", "x")].map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(event.params, BTreeMap::from(params));
        // What nobody watches is not read, and what is watched is not polled (every 5 s that would be).
        tokio::time::sleep(Duration::from_millis(500)).await;
        plugin.calls();
        plugin.change("WiFi.SSID.3.", "BSSID", "02:00:00:00:00:02");
        tokio::time::sleep(Duration::from_secs(6)).await;
        assert_eq!(plugin.calls(), Vec::<String>::new());
    });
}

#[test]
fn a_plugin_that_dies_and_comes_back_is_followed() {
    Scene::play(|mut scene| async move {
        let (plugin, mut controller) = mounted(&mut scene).await;
        subscribe(&mut controller, "value", "ValueChange", "Device.WiFi.Radio.*.Status").await;
        subscribe(&mut controller, "new", "ObjectCreation", "Device.WiFi.SSID.").await;
        subscribe(&mut controller, "gone", "ObjectDeletion", "Device.WiFi.SSID.").await;
        plugin.die();
        nothing_told(&mut controller, "gone").await;
        assert_eq!(controller.value("Device.WiFi.RadioNumberOfEntries").await.unwrap(), "", "no value, no error");
        assert_eq!(code(controller.set("Device.WiFi.Radio.1.", &[("Channel", "1")]).await), 7016, "nothing is there");
        assert!(!controller.get(&["Device.DeviceInfo."]).await.unwrap().is_empty());
        // Another version comes back, with another row and another value.
        plugin.replace_model(&WIFI.replace("Status ro cstring", "Status ro cstring\n X_PRPL_New rw cstring"));
        plugin.remove("WiFi.SSID.3.");
        plugin.add("WiFi.SSID.8.");
        plugin.appear();
        let Some(Notification::ObjDeletion(deletion)) = told(&mut controller, "gone").await else { panic!() };
        assert_eq!(deletion.obj_path, "Device.WiFi.SSID.3.");
        let Some(Notification::ObjCreation(creation)) = told(&mut controller, "new").await else { panic!() };
        assert_eq!(creation.obj_path, "Device.WiFi.SSID.8.");
        assert_eq!(scene.router.bus().subscribers("WiFi"), 1, "subscribed anew");
        plugin.change("WiFi.Radio.1.", "Status", "Dormant");
        let Some(Notification::ValueChange(change)) = told(&mut controller, "value").await else { panic!() };
        assert_eq!(change.param_value, "Dormant");
        assert!(controller.get(&["Device.WiFi.Radio.*.X_PRPL_New"]).await.is_ok(), "supported now");
        // So does a ubusd that comes back.
        scene.router.bus().restart();
        scene.until_logged("connected again").await;
        tokio::time::sleep(Duration::from_millis(600)).await;
        plugin.change("WiFi.Radio.1.", "Status", "Up");
        let Some(Notification::ValueChange(change)) = told(&mut controller, "value").await else { panic!() };
        assert_eq!(change.param_value, "Up");
    });
}

#[test]
fn a_plugin_may_come_late_and_its_first_rows_are_no_news() {
    Scene::play(|mut scene| async move {
        let mut controller = with_config(&mut scene, MOUNT).await;
        assert_eq!(code(controller.get(&["Device.WiFi.Radio.1.Name"]).await), 7026, "neither mounted nor mapped");
        subscribe(&mut controller, "new", "ObjectCreation", "Device.WiFi.Radio.").await;
        let plugin = Plugin::start(scene.router.bus(), "WiFi", WIFI, &OBJECTS);
        scene.until_logged("event=mounted").await;
        assert_eq!(controller.value("Device.WiFi.Radio.1.Name").await.unwrap(), "wl0");
        nothing_told(&mut controller, "new").await;
        plugin.add("WiFi.Radio.3.");
        assert!(matches!(told(&mut controller, "new").await, Some(Notification::ObjCreation(_))));
    });
}

#[test]
fn what_a_mount_replaces_comes_back_with_its_section_gone() {
    Scene::play(|mut scene| async move {
        let (plugin, mut controller) = mounted(&mut scene).await;
        assert_eq!(controller.value("Device.WiFi.Radio.1.Name").await.unwrap(), "wl0");
        let file = scene.router.config("usp-agent").unwrap();
        scene.router.write_config("usp-agent", &file.replace(MOUNT, "")).unwrap();
        tokio::time::sleep(Duration::from_millis(500)).await;
        plugin.calls();
        assert_eq!(controller.value("Device.WiFi.Radio.1.Name").await.unwrap(), "radio0");
        assert_eq!(plugin.calls(), Vec::<String>::new());
        scene.router.write_config("usp-agent", &file.replace("object WiFi", "object LocalAgent")).unwrap();
        scene.until_logged("object=\"LocalAgent\" effect=ignored").await;
        scene.router.write_config("usp-agent", &file).unwrap();
        tokio::time::sleep(Duration::from_millis(500)).await;
        assert_eq!(controller.value("Device.WiFi.Radio.1.Name").await.unwrap(), "wl0");
    });
}

#[test]
fn rights_hold_for_what_is_mounted_and_secrets_stay_secret() {
    const ROLES: &str = "config mount\n option object WiFi\nconfig role 'some'
config permission 'a'\n option role some\n list Targets Device.WiFi.Radio.1.\n option Order 2\n option Param rw-n\n option Obj r--n
config permission 'b'\n option role some\n list Targets Device.WiFi.\n option Order 1\n option Obj r---\n option InstantiatedObj r---
config permission 'c'\n option role some\n list Targets 'Device.WiFi.AccessPoint.[Alias==\"ap\"].'\n option Order 2\n option Param r---\n option Obj r---\n";
    Scene::play(|mut scene| async move {
        let plugin = Plugin::start(scene.router.bus(), "WiFi", WIFI, &OBJECTS);
        let (mut controller, port) = Controller::on_websocket(&EndpointId::parse(CONTROLLER).unwrap()).unwrap();
        scene.start(&config(port, ROLES).replace("list role full", "list role some"));
        controller.agent(SOON).await.unwrap();
        assert_eq!(controller.value("Device.WiFi.Radio.1.Name").await.unwrap(), "wl0");
        assert_eq!(controller.get(&["Device.WiFi.Radio.*.Name"]).await.unwrap().len(), 1);
        assert_eq!(controller.get(&["Device.WiFi.Radio.[Name==\"wl1\"].Name"]).await.unwrap(), []);
        controller.set("Device.WiFi.Radio.1.", &[("Channel", "1")]).await.unwrap();
        assert!(controller.set("Device.WiFi.Radio.2.", &[("Channel", "40")]).await.is_err());
        assert_eq!(plugin.value("WiFi.Radio.2.", "Channel"), Some(Value::Int32(36)));
        assert_eq!(code(controller.add("Device.WiFi.SSID.", &[]).await), 7006);
        assert_eq!(code(controller.delete("Device.WiFi.SSID.3.").await), 7006);
        assert!(controller.operate("Device.WiFi.X_PRPL_Echo()", "", &[]).await.is_err());
        assert_eq!(plugin.paths().len(), 9);
        // A target that searches in a mounted table, and what the standard calls secured.
        assert_eq!(controller.value("Device.WiFi.AccessPoint.1.SSIDReference").await.unwrap(), "Device.WiFi.SSID.3");
        assert_eq!(controller.value("Device.WiFi.AccessPoint.1.Security.ModeEnabled").await.unwrap(), "WPA2-Personal");
        assert_eq!(controller.get(&["Device.WiFi.AccessPoint.1.Security.KeyPassphrase"]).await.unwrap()[0].1, "");
        assert!(!scene.log().contains("secret-secret"));
    });
}

#[test]
fn a_large_answer_comes_in_fragments_and_a_wrong_one_is_none() {
    Scene::play(|mut scene| async move {
        let plugin = Plugin::start(scene.router.bus(), "WiFi", WIFI, &OBJECTS);
        // The supported model, too.
        plugin.send_fragments_of(2);
        let mut controller = with_config(&mut scene, MOUNT).await;
        let whole = controller.get(&["Device.WiFi."]).await.unwrap();
        assert_eq!(whole.len(), 29, "{whole:?}");
        subscribe(&mut controller, "gone", "ObjectDeletion", "Device.WiFi.SSID.").await;
        for mood in [Mood::NoThird, Mood::WrongSize, Mood::NeverEnding] {
            plugin.be(mood);
            assert_eq!(controller.get(&["Device.WiFi."]).await.unwrap(), [], "{mood:?}");
            assert!(!controller.get(&["Device.DeviceInfo."]).await.unwrap().is_empty(), "{mood:?}");
            // What cannot be read is not gone.
            plugin.change("WiFi.SSID.3.", "BSSID", &format!("{mood:?}"));
            plugin.tell("dm:instance-added", "WiFi.SSID.", Table::default());
            nothing_told(&mut controller, "gone").await;
            let set = controller.set("Device.WiFi.", &[("X", "1")]).await;
            assert!(set.is_err());
        }
        plugin.be(Mood::Well);
        assert_eq!(controller.get(&["Device.WiFi."]).await.unwrap(), {
            let mut now = whole;
            now.iter_mut().filter(|(path, _)| path.ends_with("BSSID")).for_each(|(_, v)| *v = "NeverEnding".into());
            now
        });
        // All of it is too large for one message of the bus: it comes in parts.
        plugin.be(Mood::TooLarge);
        assert_eq!(controller.get(&["Device.WiFi."]).await.unwrap().len(), 29);
        plugin.die();
        plugin.appear();
        scene.until_logged("event=part_by_part").await;
        assert_eq!(
            controller.value("Device.WiFi.AccessPoint.1.AssociatedDevice.1.SignalStrength").await.unwrap(),
            "-50"
        );
        // A silent one costs its own values only, once.
        plugin.be(Mood::Silent);
        let begun = std::time::Instant::now();
        let all = controller.get(&["Device."]).await.unwrap();
        assert!(!all.is_empty() && !all.iter().any(|(path, _)| path.starts_with("Device.WiFi.")));
        assert!(begun.elapsed() < Duration::from_secs(9), "{:?}", begun.elapsed());
    });
}
