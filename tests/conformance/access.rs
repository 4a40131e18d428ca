//! TP-469 2.1, 2.2, 2.9 to 2.27: who may do what.
//!
//! The tester's role has one permission of Order 0 for everything. The plan's permissions come without Order where it does
//! not matter to the plan, and count at once all the same: the agent gives them the next Order (R-ADD.5).

use std::time::Duration;

use prost::Message as _;
use usp_agent::usp::wire::msg;
use usp_agent::usp::wire::msg::body::MsgBody;
use usp_agent::usp::wire::msg::operate_resp::operation_result::OperationResp;
use usp_agent::usp::wire::msg::request::ReqType;
use usp_agent::usp::wire::record::record::RecordType;
use usp_agent::usp::wire::record::{Record, SessionContextRecord};

use crate::add::SUBSCRIPTION;
use crate::bench::{Bench, seconds};
use crate::delete::boot_parameter;
use crate::messages::{Object, PARTIAL, Setting, WHOLE, accepted, may, must, refused, single};
use crate::set::subscription;
use crate::tester::{message, value_change};

const DENIED: u32 = 7006;
const REBOOT: &str = "Device.Reboot()";

fn get_endpoint_id() -> ReqType {
    ReqType::Get(msg::Get { param_paths: vec!["Device.LocalAgent.EndpointID".to_owned()], max_depth: 0 })
}

/// "The EUT does not respond to the message", and goes on answering others.
async fn stays_silent(t: &mut Bench, before: u32) {
    assert!(!t.hears_more_than(before, Duration::from_secs(2)).await, "the EUT responds");
    assert_eq!(t.value("Device.LocalAgent.EndpointID").await, t.agent_id);
}

pub async fn messages_from_its_own_endpoint_id(t: &mut Bench) {
    let before = t.records();
    let id = t.agent_id.clone();
    let payload = message("own-1", MsgBody::Request(msg::Request { req_type: Some(get_endpoint_id()) }));
    let session = SessionContextRecord {
        session_id: 2,
        sequence_id: 1,
        expected_id: 1,
        payload: vec![payload],
        ..SessionContextRecord::default()
    };
    let record = Record {
        version: "1.4".to_owned(),
        to_id: id.clone(),
        from_id: id.clone(),
        record_type: Some(RecordType::SessionContext(session)),
        ..Record::default()
    };
    t.send_record(record.encode_to_vec().into());
    t.send_between(&id, &id, get_endpoint_id());
    stays_silent(t, before).await;
}

pub async fn messages_without_its_to_id(t: &mut Bench) {
    let before = t.records();
    let (eut, own) = (t.agent_id.clone(), t.own_id.clone());
    t.send_between(&eut, "self::nobody", get_endpoint_id());
    t.send_between(&own, "self::nobody", get_endpoint_id());
    stays_silent(t, before).await;
}

pub async fn untrusted_role(t: &mut Bench) {
    let second = t.second();
    let _ = second.ask(get_endpoint_id()).await;
    let id = second.own_id.clone();
    let controllers = t.objects("Device.LocalAgent.Controller.").await;
    let secondary = controllers.values().find(|values| values.get("EndpointID") == Some(&id)).expect("its row");
    let untrusted = t.value("Device.LocalAgent.ControllerTrust.UntrustedRole").await;
    assert!(untrusted.starts_with("Device.LocalAgent.ControllerTrust.Role."), "{untrusted}");
    assert_eq!(secondary["AssignedRole"], untrusted);
}

pub async fn adding_a_role(t: &mut Bench) {
    let table = "Device.LocalAgent.ControllerTrust.Role.";
    let settings = [may("Enable", "true"), may("Name", "Trusted")];
    let created = single(accepted(t.add(WHOLE, &[(table, &settings)]).await)).outcome.unwrap();
    assert!(created.instantiated_path.starts_with(table) && created.param_errs.is_empty(), "{created:?}");
    let (_, values) = single(t.objects(&created.instantiated_path).await);
    assert_eq!((&*values["Enable"], &*values["Name"]), ("true", "Trusted"));
}

/// Param, Obj, InstantiatedObj, CommandEvent; the last setting is Order where the plan gives one.
pub struct Rights<'a>(pub &'a str, pub &'a str, pub &'a str, pub &'a str, pub Option<&'a str>);

pub const ALL: &str = "rwxn";

/// The role the tester is in.
async fn own_role(t: &mut Bench) -> String {
    let controller = t.controller().await;
    let role = t.value(&format!("{controller}AssignedRole")).await;
    assert!(role.starts_with("Device.LocalAgent.ControllerTrust.Role."), "{role}");
    role
}

/// Adds these permissions in one message: "an oper_success element containing a new Permission".
pub async fn permit(t: &mut Bench, permissions: &[(&str, Rights<'_>)]) {
    let table = format!("{}.Permission.", own_role(t).await);
    let rows: Vec<Vec<Setting<'_>>> = permissions
        .iter()
        .map(|(targets, Rights(param, obj, instantiated, command, order))| {
            let rights = [
                may("Enable", "true"),
                may("Targets", targets),
                may("Param", param),
                may("Obj", obj),
                may("InstantiatedObj", instantiated),
                may("CommandEvent", command),
            ];
            rights.into_iter().chain(order.map(|order| may("Order", order))).collect()
        })
        .collect();
    let objects: Vec<Object<'_>> = rows.iter().map(|settings| (&*table, &**settings)).collect();
    let created = accepted(t.add(WHOLE, &objects).await);
    assert_eq!(created.len(), permissions.len());
    for created in created {
        let created = created.outcome.unwrap();
        assert!(created.instantiated_path.starts_with(&table) && created.param_errs.is_empty(), "{created:?}");
    }
}

pub async fn object_creation_allowed(t: &mut Bench) {
    permit(t, &[(SUBSCRIPTION, Rights(ALL, "rw--", ALL, ALL, None))]).await;
    let created = single(accepted(t.add(WHOLE, &[(SUBSCRIPTION, &[])]).await)).outcome.unwrap();
    assert!(created.instantiated_path.starts_with(SUBSCRIPTION));
}

pub async fn object_creation_not_allowed(t: &mut Bench) {
    permit(t, &[(SUBSCRIPTION, Rights(ALL, "r---", ALL, ALL, None))]).await;
    assert_eq!(refused(t.add(WHOLE, &[(SUBSCRIPTION, &[])]).await).err_code, DENIED);
    assert!(t.objects(SUBSCRIPTION).await.is_empty());
}

pub async fn object_deletion_allowed(t: &mut Bench) {
    let row = subscription(t, "delete").await;
    permit(t, &[(SUBSCRIPTION, Rights(ALL, ALL, "rw--", ALL, None))]).await;
    let deleted = single(accepted(t.delete(WHOLE, &[&row]).await));
    assert_eq!(deleted.outcome.unwrap().affected_paths, [row]);
}

pub async fn object_deletion_not_allowed(t: &mut Bench) {
    let row = subscription(t, "delete").await;
    permit(t, &[(SUBSCRIPTION, Rights(ALL, ALL, "r---", ALL, None))]).await;
    assert_eq!(refused(t.delete(WHOLE, &[&row]).await).err_code, DENIED);
    assert!(t.objects(SUBSCRIPTION).await.contains_key(&row));
}

pub async fn parameter_update_allowed(t: &mut Bench) {
    let row = subscription(t, "edit").await;
    permit(t, &[(&row, Rights("rw--", ALL, ALL, ALL, None))]).await;
    let updated = single(accepted(t.set(WHOLE, &[(&row, &[must("Enable", "false")])]).await));
    let result = single(updated.outcome.unwrap());
    assert_eq!(result.affected_path, row);
    assert_eq!(single(result.updated_params), ("Enable".to_owned(), "false".to_owned()));
}

pub async fn parameter_update_not_allowed(t: &mut Bench) {
    let row = subscription(t, "edit").await;
    permit(t, &[(&row, Rights("r---", ALL, ALL, ALL, None))]).await;
    assert_eq!(refused(t.set(WHOLE, &[(&row, &[must("Enable", "false")])]).await).err_code, DENIED);
    assert_eq!(t.value(&format!("{row}Enable")).await, "true");
}

pub async fn operation_allowed(t: &mut Bench) {
    permit(t, &[(REBOOT, Rights(ALL, ALL, ALL, "r-x-", None))]).await;
    let result = single(accepted(t.operate(REBOOT, "", &[]).await));
    assert!(matches!(result.operation_resp, Some(OperationResp::ReqOutputArgs(_))), "{result:?}");
}

/// The plan leaves send_resp out of the Operate whose response it expects.
pub async fn operation_not_allowed(t: &mut Bench) {
    permit(t, &[(REBOOT, Rights(ALL, ALL, ALL, "r---", None))]).await;
    let result = single(accepted(t.operate(REBOOT, "", &[]).await));
    let Some(OperationResp::CmdFailure(failure)) = result.operation_resp else { panic!("{result:?}") };
    assert_eq!(failure.err_code, DENIED);
    assert!(!t.eut.reboots(), "the EUT reboots");
}

/// Steps 1 to 3 of 2.19 and 2.20; gives the parameter's path and its new value.
async fn change_under(t: &mut Bench, param: &str) -> (String, String) {
    let controller = t.controller().await;
    let path = format!("{controller}PeriodicNotifInterval");
    permit(t, &[(&path, Rights(param, ALL, ALL, ALL, None))]).await;
    let settings = [may("Enable", "true"), may("NotifType", "ValueChange"), may("ReferenceList", &path)];
    let created = single(accepted(t.add(WHOLE, &[(SUBSCRIPTION, &settings)]).await)).outcome.unwrap();
    assert!(created.instantiated_path.starts_with(SUBSCRIPTION) && created.param_errs.is_empty());
    let updated = single(accepted(t.set(WHOLE, &[(&controller, &[must("PeriodicNotifInterval", "4321")])]).await));
    let result = single(updated.outcome.unwrap());
    assert_eq!(format!("{}{}", result.affected_path, single(result.updated_params).0), path);
    (path, "4321".to_owned())
}

pub async fn value_change_notification_allowed(t: &mut Bench) {
    let (path, value) = change_under(t, "rw-n").await;
    let heard = t.notify_within(crate::tester::PATIENCE, |_| true).await.expect("a Notify");
    assert_eq!(value_change(&heard.notify), (&*path, &*value));
}

pub async fn value_change_notification_not_allowed(t: &mut Bench) {
    change_under(t, "rw--").await;
    t.no_notify(seconds(30, 20), |_| true).await;
}

/// The plan's paths of the Permission table lack the role; they are read as in the other cases.
pub async fn overlapping_permissions(t: &mut Bench) {
    let row = boot_parameter(t, "Device.LocalAgent.SoftwareVersion", "true").await;
    let table = format!("{}BootParameter.", t.controller().await);
    let lower = (&*row, Rights("----", ALL, ALL, ALL, Some("1")));
    let higher = (&*row, Rights("rw--", ALL, ALL, ALL, Some("2")));
    permit(t, &[lower, higher]).await;
    let shown = t.objects(&table).await;
    assert_eq!(shown[&row]["ParameterName"], "Device.LocalAgent.SoftwareVersion");
    permit(t, &[(&row, Rights("----", ALL, ALL, ALL, Some("3")))]).await;
    let shown = t.objects(&table).await;
    assert!(shown.get(&row).is_none_or(|values| values.is_empty()), "{shown:?}");
}

pub async fn get_without_read_permission_on_some_parameters(t: &mut Bench) {
    let row = boot_parameter(t, "Device.LocalAgent.SoftwareVersion", "true").await;
    let name = format!("{row}ParameterName");
    let object = (&*row, Rights("rw--", ALL, ALL, ALL, None));
    let param = (&*name, Rights("----", ALL, ALL, ALL, None));
    permit(t, &[object, param]).await;
    let (there, values) = single(t.objects(&row).await);
    assert_eq!(there, row);
    assert_eq!(values.keys().collect::<Vec<_>>(), ["Alias", "Enable"]);
}

/// Boot parameters may be written below the tester's own controller, and only read below the second one. The plan of 2.23
/// gives both permissions the Order 1, which is a unique key: as in 2.24, they are 1 and 2 here.
async fn boot_parameters_of_both(t: &mut Bench) -> (String, String) {
    let own = format!("{}BootParameter.", t.controller().await);
    let other = format!("{}BootParameter.", t.second().controller().await);
    let writable = (&*own, Rights("rw--", ALL, ALL, ALL, Some("1")));
    let readable = (&*other, Rights("r---", ALL, ALL, ALL, Some("2")));
    permit(t, &[writable, readable]).await;
    (own, other)
}

const BOTH: &str = "Device.LocalAgent.Controller.*.BootParameter";

pub async fn add_with_search_path_allow_partial_true(t: &mut Bench) {
    let (own, _) = boot_parameters_of_both(t).await;
    let created = accepted(t.add(PARTIAL, &[(BOTH, &[must("Enable", "false")])]).await);
    assert_eq!(created.len(), 2, "{created:?}");
    let (fine, failed): (Vec<_>, Vec<_>) = created.into_iter().partition(|created| created.outcome.is_ok());
    assert!(single(fine).outcome.unwrap().instantiated_path.starts_with(&own));
    assert_eq!(single(failed).outcome.unwrap_err().err_code, DENIED);
}

pub async fn add_with_search_path_allow_partial_false(t: &mut Bench) {
    let (_, other) = boot_parameters_of_both(t).await;
    let error = refused(t.add(WHOLE, &[(BOTH, &[must("Enable", "false")])]).await);
    assert_eq!(error.err_code, DENIED);
    let param = single(&error.param_errs);
    assert_eq!((&*param.param_path, param.err_code), (other.trim_end_matches('.'), DENIED));
    assert!(t.objects("Device.LocalAgent.Controller.*.BootParameter.").await.is_empty());
}

const ENABLES: &str = "Device.LocalAgent.Subscription.*.Enable";

pub async fn parameter_within_added_object_omitted(t: &mut Bench) {
    permit(t, &[(ENABLES, Rights("r---", ALL, ALL, ALL, Some("1")))]).await;
    let settings = [
        may("ID", "add1"),
        may("NotifType", "ValueChange"),
        must("ReferenceList", "Device.LocalAgent.SoftwareVersion"),
    ];
    let created = single(accepted(t.add(WHOLE, &[(SUBSCRIPTION, &settings)]).await)).outcome.unwrap();
    assert_eq!(t.value(&format!("{}Enable", created.instantiated_path)).await, "false");
}

pub async fn parameter_within_added_object_included(t: &mut Bench) {
    permit(t, &[(ENABLES, Rights("r---", ALL, ALL, ALL, Some("1")))]).await;
    let settings = [
        may("ID", "add26"),
        may("NotifType", "ValueChange"),
        must("ReferenceList", "Device.LocalAgent.SoftwareVersion"),
        must("Enable", "true"),
    ];
    let created = single(accepted(t.add(PARTIAL, &[(SUBSCRIPTION, &settings)]).await));
    assert_eq!(created.outcome.expect_err("OperationFailure").err_code, DENIED);
    assert!(t.objects(SUBSCRIPTION).await.values().all(|values| values["ID"] != "add26"));
}

/// The secured parameter is the password of a broker that is not in use.
pub async fn secured_role(t: &mut Bench) {
    let settings = [("Enable", "false"), ("BrokerAddress", "broker.invalid"), ("Password", "secret-27")];
    let password = format!("{}Password", t.make("Device.MQTT.Client.", &settings).await);
    let trust = "Device.LocalAgent.ControllerTrust.";
    assert_eq!(t.value(&format!("{trust}SecuredRoles")).await, "", "the role is not in SecuredRoles");
    assert_eq!(t.second().value(&password).await, "");
    let role = own_role(t).await;
    t.put(trust, "SecuredRoles", &role).await;
    assert_eq!(t.second().value(&password).await, "secret-27");
}
