//! TP-469 1.72 to 1.77, 1.80, 1.97 to 1.99 and 1.105 to 1.107: GetSupportedDM and GetSupportedProtocol.

use std::collections::{BTreeMap, BTreeSet};

use usp_agent::usp::wire::msg::get_supported_dm_resp::{
    CmdType, ObjAccessType, ParamAccessType, ParamValueType, RequestedObjectResult, SupportedObjectResult,
    ValueChangeType,
};
use usp_agent::usp::wire::msg::request::ReqType;
use usp_agent::usp::wire::msg::response::RespType;
use usp_agent::usp::wire::msg::{GetSupportedDm, GetSupportedProtocol};

use crate::bench::Bench;
use crate::messages::{appropriate, single};

const AGENT: &str = "Device.LocalAgent.";

/// The flags of a request.
#[derive(Clone, Copy)]
struct Flags {
    commands: bool,
    events: bool,
    params: bool,
    unique_keys: bool,
}

const ALL: Flags = Flags { commands: true, events: true, params: true, unique_keys: true };
const NONE: Flags = Flags { commands: false, events: false, params: false, unique_keys: false };

async fn ask(t: &mut Bench, paths: &[&str], first_level_only: bool, flags: Flags) -> Vec<RequestedObjectResult> {
    let request = GetSupportedDm {
        obj_paths: paths.iter().map(|path| (*path).to_owned()).collect(),
        first_level_only,
        return_commands: flags.commands,
        return_events: flags.events,
        return_params: flags.params,
        return_unique_key_sets: flags.unique_keys,
    };
    match t.ask(ReqType::GetSupportedDm(request)).await {
        Ok(RespType::GetSupportedDmResp(response)) => response.req_obj_results,
        other => panic!("not a GetSupportedDMResp: {other:?}"),
    }
}

/// The objects of the only result, which has no error, by path.
async fn objects(
    t: &mut Bench,
    path: &str,
    first_level_only: bool,
    flags: Flags,
) -> BTreeMap<String, SupportedObjectResult> {
    by_path(single(ask(t, &[path], first_level_only, flags).await), path)
}

fn by_path(result: RequestedObjectResult, path: &str) -> BTreeMap<String, SupportedObjectResult> {
    assert_eq!((result.err_code, &*result.req_obj_path), (0, path), "{}", result.err_msg);
    result.supported_objs.into_iter().map(|object| (object.supported_obj_path.clone(), object)).collect()
}

fn is_relative(name: &str) -> bool {
    !name.is_empty() && !name.starts_with("Device.") && !name.starts_with('.') && !name.ends_with('.')
}

/// "... with valid information": metrics 3 to 6 of the cases with all options.
fn is_valid(object: &SupportedObjectResult) {
    let path = &object.supported_obj_path;
    assert!(ObjAccessType::try_from(object.access).is_ok(), "{path}: access");
    assert_eq!(object.is_multi_instance, path.ends_with(".{i}."), "{path}: is_multi_instance");
    for param in &object.supported_params {
        let whole = format!("{path}{}", param.param_name);
        assert!(!param.param_name.contains('.') && !param.param_name.is_empty(), "{whole}: param_name");
        assert!(ParamAccessType::try_from(param.access).is_ok(), "{whole}: access");
        assert_ne!(param.value_type(), ParamValueType::ParamUnknown, "{whole}: value_type");
        assert_ne!(param.value_change(), ValueChangeType::ValueChangeUnknown, "{whole}: value_change");
    }
    for command in &object.supported_commands {
        let whole = format!("{path}{}", command.command_name);
        assert!(command.command_name.ends_with("()") && !command.command_name.contains('.'), "{whole}: command_name");
        assert_ne!(command.command_type(), CmdType::CmdUnknown, "{whole}: command_type");
        let arguments = command.input_arg_names.iter().chain(&command.output_arg_names);
        arguments.for_each(|name| assert!(is_relative(name), "{whole}: argument {name}"));
    }
    for event in &object.supported_events {
        let whole = format!("{path}{}", event.event_name);
        assert!(event.event_name.ends_with('!') && !event.event_name.contains('.'), "{whole}: event_name");
        event.arg_names.iter().for_each(|name| assert!(is_relative(name), "{whole}: argument {name}"));
    }
    assert!(object.is_multi_instance || object.unique_key_sets.is_empty(), "{path}: keys of a single object");
    for name in object.unique_key_sets.iter().flat_map(|set| &set.key_names) {
        assert!(is_relative(name), "{path}: key {name}");
    }
    assert!(object.unique_key_sets.iter().all(|set| !set.key_names.is_empty()), "{path}: an empty key");
}

/// Every key is one of the object's parameters.
fn has_keys_among_params(object: &SupportedObjectResult) {
    let params: BTreeSet<_> = object.supported_params.iter().map(|param| &*param.param_name).collect();
    for name in object.unique_key_sets.iter().flat_map(|set| &set.key_names) {
        assert!(params.contains(&**name), "{}: key {name} is no parameter", object.supported_obj_path);
    }
}

/// No parameters, commands, events and unique keys.
fn is_bare(object: &SupportedObjectResult) {
    let bare = object.supported_params.is_empty()
        && object.supported_commands.is_empty()
        && object.supported_events.is_empty()
        && object.unique_key_sets.is_empty();
    assert!(bare, "{object:?}");
}

/// The path with {i} for numbers.
fn template(path: &str) -> String {
    let step = |step: &str| if step.parse::<u32>().is_ok() { "{i}".to_owned() } else { step.to_owned() };
    path.split('.').map(step).collect::<Vec<_>>().join(".")
}

/// What Get shows is in the supported data model.
async fn holds_what_is_there(t: &mut Bench, path: &str, supported: &BTreeMap<String, SupportedObjectResult>) {
    for (object, values) in t.objects(path).await {
        let known = supported.get(&template(&object)).unwrap_or_else(|| panic!("{object} is not supported"));
        let params: BTreeSet<_> = known.supported_params.iter().map(|param| &*param.param_name).collect();
        let unknown: Vec<_> = values.keys().filter(|name| !params.contains(&***name)).collect();
        assert!(unknown.is_empty(), "{object}: {unknown:?} not supported");
    }
}

pub async fn single_object_all_levels_all_options(t: &mut Bench) {
    crate::set::subscription(t, "supported").await;
    let supported = objects(t, AGENT, false, ALL).await;
    for path in ["", "Controller.{i}.", "Controller.{i}.BootParameter.{i}.", "MTP.{i}.", "Subscription.{i}."] {
        assert!(supported.contains_key(&format!("{AGENT}{path}")), "{path}");
    }
    assert!(supported.keys().all(|path| path.starts_with(AGENT)));
    assert!(supported[AGENT].supported_events.iter().any(|event| event.event_name == "Periodic!"));
    assert!(supported.values().any(|object| !object.supported_commands.is_empty()), "no command");
    assert!(!supported["Device.LocalAgent.Subscription.{i}."].unique_key_sets.is_empty(), "no unique_key_sets");
    supported.values().for_each(is_valid);
    supported.values().for_each(has_keys_among_params);
    holds_what_is_there(t, AGENT, &supported).await;
}

/// The requested object, then each immediate child as a bare object.
fn is_first_level(supported: &BTreeMap<String, SupportedObjectResult>, path: &str, whole: &BTreeSet<String>) {
    let names = |path: &str| path.split('.').filter(|step| !step.is_empty() && *step != "{i}").count();
    let children: BTreeSet<_> =
        whole.iter().filter(|child| child.starts_with(path) && names(child) <= names(path) + 1).cloned().collect();
    assert_eq!(supported.keys().cloned().collect::<BTreeSet<_>>(), children);
}

pub async fn single_object_first_level_all_options(t: &mut Bench) {
    let whole: BTreeSet<_> = objects(t, AGENT, false, NONE).await.into_keys().collect();
    let mut supported = objects(t, AGENT, true, ALL).await;
    is_first_level(&supported, AGENT, &whole);
    let own = supported.remove(AGENT).expect("the object itself");
    assert!(!own.supported_params.is_empty() && !own.supported_events.is_empty());
    assert!(own.unique_key_sets.is_empty());
    is_valid(&own);
    supported.values().for_each(is_bare);
}

pub async fn single_object_first_level_no_options(t: &mut Bench) {
    let whole: BTreeSet<_> = objects(t, AGENT, false, NONE).await.into_keys().collect();
    let supported = objects(t, AGENT, true, NONE).await;
    is_first_level(&supported, AGENT, &whole);
    supported.values().for_each(is_bare);
}

pub async fn multiple_objects_first_level_all_options(t: &mut Bench) {
    const PATHS: [&str; 2] = ["Device.LocalAgent.Controller.", "Device.LocalAgent.MTP."];
    let whole: BTreeSet<_> = objects(t, AGENT, false, NONE).await.into_keys().collect();
    let results = ask(t, &PATHS, true, ALL).await;
    assert_eq!(results.len(), 2);
    for (result, path) in results.into_iter().zip(PATHS) {
        let mut supported = by_path(result, path);
        is_first_level(&supported, path, &whole);
        let own = supported.remove(&format!("{path}{{i}}.")).expect("the object itself");
        assert!(!own.supported_params.is_empty() && !own.unique_key_sets.is_empty());
        is_valid(&own);
        has_keys_among_params(&own);
        supported.values().for_each(is_bare);
    }
}

pub async fn root_object_all_options(t: &mut Bench) {
    let supported = objects(t, "Device.", false, ALL).await;
    for path in ["Device.", "Device.DeviceInfo.", AGENT, "Device.LocalAgent.Subscription.{i}."] {
        assert!(supported.contains_key(path), "{path}");
    }
    supported.values().for_each(is_valid);
    supported.values().for_each(has_keys_among_params);
    holds_what_is_there(t, "Device.", &supported).await;
}

pub async fn unsupported_object(t: &mut Bench) {
    let result = single(ask(t, &["Device.LocalAgent.UnsupportedObject."], false, ALL).await);
    assert_eq!(result.req_obj_path, "Device.LocalAgent.UnsupportedObject.");
    appropriate(result.err_code, &[7016, 7026]);
    assert!(result.supported_objs.is_empty());
}

pub async fn supported_protocol(t: &mut Bench) {
    let request = GetSupportedProtocol { controller_supported_protocol_versions: "1.3,1.4".to_owned() };
    let response = t.ask(ReqType::GetSupportedProtocol(request)).await;
    let Ok(RespType::GetSupportedProtocolResp(response)) = response else { panic!("{response:?}") };
    let versions: Vec<_> = response.agent_supported_protocol_versions.split(',').map(str::trim).collect();
    let is_version = |text: &&str| text.split_once('.').is_some_and(|(a, b)| a == "1" && b.parse::<u32>().is_ok());
    assert!(versions.iter().all(is_version), "{versions:?}");
    assert!(versions.contains(&"1.4"), "{versions:?}");
}

pub async fn root_object_commands(t: &mut Bench) {
    let supported = objects(t, "Device.", false, Flags { commands: true, ..NONE }).await;
    for object in supported.values() {
        is_valid(object);
        assert!(object.supported_events.is_empty() && object.supported_params.is_empty());
    }
    let mut commands = supported.values().flat_map(|object| &object.supported_commands);
    assert!(commands.any(|command| !command.input_arg_names.is_empty()), "no command with input arguments");
}

pub async fn root_object_events(t: &mut Bench) {
    let supported = objects(t, "Device.", false, Flags { events: true, ..NONE }).await;
    for object in supported.values() {
        is_valid(object);
        assert!(object.supported_commands.is_empty() && object.supported_params.is_empty());
    }
    let mut events = supported.values().flat_map(|object| &object.supported_events);
    assert!(events.any(|event| !event.arg_names.is_empty()), "no event with arguments");
}

/// The plan leaves the final dot out.
pub async fn unique_key_sets(t: &mut Bench) {
    let path = "Device.LocalAgent.Subscription";
    let supported = single(ask(t, &[path], false, Flags { unique_keys: true, ..NONE }).await);
    let object = single(by_path(supported, path).into_values());
    assert_eq!(object.supported_obj_path, "Device.LocalAgent.Subscription.{i}.");
    is_valid(&object);
    assert!(object.supported_params.is_empty() && object.supported_commands.is_empty());
    assert!(object.supported_events.is_empty());
    let mut sets: Vec<Vec<_>> = object.unique_key_sets.into_iter().map(|set| set.key_names).collect();
    sets.iter_mut().for_each(|set| set.sort());
    sets.sort();
    assert_eq!(sets, [vec!["Alias"], vec!["ID", "Recipient"]]);
}

/// The only object of the only result.
async fn element(t: &mut Bench, path: &str) -> SupportedObjectResult {
    let object = single(objects(t, path, false, ALL).await.into_values());
    assert!(object.unique_key_sets.is_empty());
    is_valid(&object);
    object
}

pub async fn on_a_command(t: &mut Bench) {
    let object = element(t, "Device.Reboot()").await;
    assert_eq!(single(&object.supported_commands).command_name, "Reboot()");
    assert!(object.supported_events.is_empty() && object.supported_params.is_empty());
}

pub async fn on_an_event(t: &mut Bench) {
    let object = element(t, "Device.Boot!").await;
    assert_eq!(single(&object.supported_events).event_name, "Boot!");
    assert!(object.supported_commands.is_empty() && object.supported_params.is_empty());
}

pub async fn on_a_parameter(t: &mut Bench) {
    let object = element(t, "Device.LocalAgent.EndpointID").await;
    assert_eq!(single(&object.supported_params).param_name, "EndpointID");
    assert!(object.supported_commands.is_empty() && object.supported_events.is_empty());
}
