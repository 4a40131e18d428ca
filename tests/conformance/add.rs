//! TP-469 1.1 to 1.10, 1.81, 1.88 and 1.95: Add.

use usp_agent::usp::wire::msg::add_resp::created_object_result::operation_status::OperationSuccess;

use crate::bench::Bench;
use crate::messages::{Object, PARTIAL, Setting, WHOLE, accepted, appropriate, may, must, names_only, refused, single};

pub const SUBSCRIPTION: &str = "Device.LocalAgent.Subscription.";
const INVALID_OBJECT: &str = "Device.LocalAgent.InvalidObject.";
const VERSION: &str = "Device.LocalAgent.SoftwareVersion";

/// What can be said of an unknown object, of an unknown parameter, of a value that cannot be.
pub const NO_OBJECT: &[u32] = &[7016, 7018, 7026];
pub const NO_PARAMETER: &[u32] = &[7010, 7021, 7026];
pub const BAD_VALUE: &[u32] = &[7011, 7012, 7021];

/// The settings most of these cases use.
fn settings<'a>(id: &'a str, reference: Setting<'a>) -> [Setting<'a>; 4] {
    [may("Enable", "true"), may("ID", id), may("NotifType", "ValueChange"), reference]
}

/// "No parameter errors and 3 elements in the unique key map: Alias, Recipient, and ID."
fn has_all_keys(success: &OperationSuccess) {
    assert!(success.param_errs.is_empty(), "{:?}", success.param_errs);
    let keys: Vec<_> = success.unique_keys.keys().map(String::as_str).collect();
    assert_eq!(keys, ["Alias", "ID", "Recipient"]);
}

/// "The Subscription object's values match the values set in the param_settings element."
async fn values_match(t: &mut Bench, path: &str, settings: &[Setting<'_>]) {
    let (there, values) = single(t.objects(path).await);
    assert_eq!(there, path);
    for setting in settings {
        assert_eq!(values[setting.param], setting.value, "{path}{}", setting.param);
    }
}

async fn subscription_paths(t: &mut Bench) -> Vec<String> {
    t.objects(SUBSCRIPTION).await.into_keys().collect()
}

/// "The GetResp does not contain a Subscription instance with ID ..."
async fn has_no_subscription(t: &mut Bench, ids: &[&str]) {
    let there = t.objects(SUBSCRIPTION).await;
    assert!(there.values().all(|values| !ids.contains(&&*values["ID"])), "{there:?}");
}

pub async fn allow_partial_false_required_parameters_succeed(t: &mut Bench) {
    succeeds(t, WHOLE, "add1").await;
}

pub async fn allow_partial_true_required_parameters_succeed(t: &mut Bench) {
    succeeds(t, PARTIAL, "add2").await;
}

async fn succeeds(t: &mut Bench, allow_partial: bool, id: &str) {
    let settings = settings(id, must("ReferenceList", VERSION));
    let created = single(accepted(t.add(allow_partial, &[(SUBSCRIPTION, &settings)]).await));
    assert_eq!(created.requested, SUBSCRIPTION);
    let success = created.outcome.unwrap();
    has_all_keys(&success);
    values_match(t, &success.instantiated_path, &settings).await;
    accepted(t.delete(WHOLE, &[&success.instantiated_path]).await);
}

pub async fn allow_partial_false_required_parameters_fail(t: &mut Bench) {
    let before = subscription_paths(t).await;
    let settings = [
        must("Enable", "InvalidValue"),
        may("ID", "add3"),
        may("NotifType", "ValueChange"),
        may("ReferenceList", VERSION),
    ];
    let error = refused(t.add(WHOLE, &[(SUBSCRIPTION, &settings)]).await);
    let param = single(&error.param_errs);
    assert!(param.param_path.ends_with("Enable"), "{param:?}");
    appropriate(param.err_code, BAD_VALUE);
    appropriate(error.err_code, BAD_VALUE);
    assert_eq!(subscription_paths(t).await, before);
}

pub async fn allow_partial_false_single_invalid_object(t: &mut Bench) {
    let before = subscription_paths(t).await;
    let settings = settings("add4", may("ReferenceList", VERSION));
    let error = refused(t.add(WHOLE, &[(INVALID_OBJECT, &settings)]).await);
    names_only(&error, INVALID_OBJECT, NO_OBJECT);
    assert_eq!(subscription_paths(t).await, before);
}

pub async fn allow_partial_false_multiple_objects(t: &mut Bench) {
    let first = settings("add51", must("ReferenceList", VERSION));
    let second = settings("add52", must("ReferenceList", "Device.LocalAgent.EndpointID"));
    let objects: [Object<'_>; 2] = [(SUBSCRIPTION, &first), (SUBSCRIPTION, &second)];
    let created = accepted(t.add(WHOLE, &objects).await);
    let [one, two] = <[_; 2]>::try_from(created).expect("two CreatedObjectResults").map(|c| c.outcome.unwrap());
    has_all_keys(&one);
    has_all_keys(&two);
    let (one, two) = (one.instantiated_path, two.instantiated_path);
    assert_eq!(t.get(&[&one, &two]).await.len(), 2);
    values_match(t, &one, &first).await;
    values_match(t, &two, &second).await;
    accepted(t.delete(WHOLE, &[&one, &two]).await);
}

pub async fn allow_partial_false_multiple_objects_with_an_invalid_object(t: &mut Bench) {
    let before = subscription_paths(t).await;
    let valid = settings("add61", must("ReferenceList", VERSION));
    let invalid = settings("add62", must("ReferenceList", "Device.LocalAgent.EndpointID"));
    let error = refused(t.add(WHOLE, &[(SUBSCRIPTION, &valid), (INVALID_OBJECT, &invalid)]).await);
    names_only(&error, INVALID_OBJECT, NO_OBJECT);
    assert_eq!(subscription_paths(t).await, before);
}

pub async fn allow_partial_false_required_parameters_fail_in_single_object(t: &mut Bench) {
    let failing = [
        must("Enable", "InvalidValue"),
        may("ID", "add71"),
        may("NotifType", "ValueChange"),
        must("ReferenceList", VERSION),
    ];
    let fine = [may("Enable", "true"), may("ID", "add72"), may("NotifType", "ValueChange")];
    let error = refused(t.add(WHOLE, &[(SUBSCRIPTION, &failing), (SUBSCRIPTION, &fine)]).await);
    let param = single(&error.param_errs);
    assert!(param.param_path.ends_with("Enable"), "{param:?}");
    appropriate(param.err_code, BAD_VALUE);
    appropriate(error.err_code, BAD_VALUE);
    has_no_subscription(t, &["add71", "add72"]).await;
}

pub async fn allow_partial_true_invalid_type_single_object(t: &mut Bench) {
    let settings = [
        must("Enable", "InvalidValue"),
        may("ID", "add8"),
        may("NotifType", "ValueChange"),
        must("ReferenceList", VERSION),
    ];
    let created = single(accepted(t.add(PARTIAL, &[(SUBSCRIPTION, &settings)]).await));
    appropriate(created.outcome.expect_err("OperationFailure").err_code, BAD_VALUE);
    has_no_subscription(t, &["add8"]).await;
}

/// The plan gives both objects the ID 'add91', so that the second has two faults.
pub async fn allow_partial_true_required_parameters_fail_multiple_objects(t: &mut Bench) {
    let fine = settings("add91", may("ReferenceList", VERSION));
    let failing: Vec<_> = fine.iter().copied().chain([must("InvalidParameter", "IrrelevantValue")]).collect();
    let created = accepted(t.add(PARTIAL, &[(SUBSCRIPTION, &fine), (SUBSCRIPTION, &failing)]).await);
    let [one, two] = <[_; 2]>::try_from(created).expect("two CreatedObjectResults").map(|c| c.outcome);
    let success = one.unwrap();
    has_all_keys(&success);
    appropriate(two.expect_err("OperationFailure").err_code, &[7010, 7021, 7025, 7026]);
    let there = t.objects(SUBSCRIPTION).await;
    assert_eq!(there.values().filter(|values| values["ID"] == "add91").count(), 1, "{there:?}");
    values_match(t, &success.instantiated_path, &fine).await;
    accepted(t.delete(WHOLE, &[&success.instantiated_path]).await);
}

pub async fn unique_key_addressing_in_path(t: &mut Bench) {
    let controller = t.controller().await;
    let alias = t.value(&format!("{controller}Alias")).await;
    let by_key = format!(
        "Device.LocalAgent.Controller.[EndpointID==\"{}\"&&Alias==\"{alias}\"].BootParameter.",
        t.own_id.clone()
    );
    let settings = [may("Enable", "true"), may("ParameterName", VERSION)];
    let created = single(accepted(t.add(WHOLE, &[(&by_key, &settings)]).await));
    let success = created.outcome.unwrap();
    assert!(success.param_errs.is_empty(), "{:?}", success.param_errs);
    let keys: Vec<_> = success.unique_keys.keys().map(String::as_str).collect();
    assert_eq!(keys, ["Alias", "ParameterName"]);
    assert!(success.instantiated_path.starts_with(&format!("{controller}BootParameter.")));
    values_match(t, &success.instantiated_path, &settings).await;
    accepted(t.delete(WHOLE, &[&success.instantiated_path]).await);
}

pub async fn automatic_unique_key_generation(t: &mut Bench) {
    let settings =
        |reference| [may("Enable", "true"), may("NotifType", "ValueChange"), may("ReferenceList", reference)];
    let (first, second) = (settings(VERSION), settings("Device.LocalAgent.EndpointID"));
    let created = accepted(t.add(WHOLE, &[(SUBSCRIPTION, &first), (SUBSCRIPTION, &second)]).await);
    let [one, two] = <[_; 2]>::try_from(created).expect("two CreatedObjectResults").map(|c| c.outcome.unwrap());
    has_all_keys(&one);
    has_all_keys(&two);
    assert_ne!(one.unique_keys["Alias"], two.unique_keys["Alias"]);
    assert_ne!(one.unique_keys["ID"], two.unique_keys["ID"]);
    assert_eq!(one.unique_keys["Recipient"], two.unique_keys["Recipient"]);
    accepted(t.delete(WHOLE, &[&one.instantiated_path, &two.instantiated_path]).await);
}

pub async fn fails_when_a_unique_key_is_invalid(t: &mut Bench) {
    let before = subscription_paths(t).await;
    let settings = [
        may("Enable", "True"),
        may("Alias", "88InvalidAlias"),
        may("NotifType", "ValueChange"),
        may("ReferenceList", VERSION),
    ];
    let error = refused(t.add(WHOLE, &[(SUBSCRIPTION, &settings)]).await);
    appropriate(error.err_code, BAD_VALUE);
    assert_eq!(subscription_paths(t).await, before);
}

pub async fn search_expression(t: &mut Bench) {
    let settings = [may("Enable", "true"), may("ParameterName", VERSION)];
    let path = "Device.LocalAgent.Controller.[Enable==true].BootParameter.";
    let created = accepted(t.add(WHOLE, &[(path, &settings)]).await);
    assert!(!created.is_empty());
    assert!(created.iter().all(|created| created.requested == path), "{created:?}");
    let created: Vec<_> = created.into_iter().map(|c| c.outcome.unwrap().instantiated_path).collect();
    assert_eq!(created.len(), 2, "one per controller (R-ADD.2a): {created:?}");
    let there = t.objects("Device.LocalAgent.Controller.*.BootParameter.").await;
    assert!(created.iter().all(|path| there.contains_key(path)), "{there:?}");
}
