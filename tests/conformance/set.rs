//! TP-469 1.11 to 1.23, 1.96 and 1.104: Set.

use usp_agent::usp::wire::msg::set_resp::UpdatedInstanceResult;

use crate::add::{BAD_VALUE, NO_PARAMETER, SUBSCRIPTION};
use crate::bench::Bench;
use crate::messages::{PARTIAL, WHOLE, accepted, appropriate, may, must, names_only, refused, single};

/// Where a value cannot be set again.
const READ_ONLY: &[u32] = &[7006, 7013, 7014, 7020, 7021];

/// A subscription for the test setup. Its NotifRetry is false.
pub async fn subscription(t: &mut Bench, id: &str) -> String {
    let settings = [
        ("Enable", "true"),
        ("ID", id),
        ("NotifType", "ValueChange"),
        ("ReferenceList", "Device.LocalAgent.SoftwareVersion"),
    ];
    t.make(SUBSCRIPTION, &settings).await
}

/// The result names this instance, and NotifRetry alone.
fn updated_notif_retry(result: &UpdatedInstanceResult, path: &str) {
    assert_eq!(result.affected_path, path);
    assert!(result.param_errs.is_empty(), "{result:?}");
    let updated: Vec<_> = result.updated_params.iter().map(|(name, value)| (&**name, &**value)).collect();
    assert_eq!(updated, [("NotifRetry", "true")]);
}

async fn notif_retry(t: &mut Bench, path: &str) -> String {
    t.value(&format!("{path}NotifRetry")).await
}

pub async fn allow_partial_false_required_parameters_pass(t: &mut Bench) {
    passes(t, WHOLE).await;
}

pub async fn allow_partial_true_required_parameters_pass(t: &mut Bench) {
    passes(t, PARTIAL).await;
}

async fn passes(t: &mut Bench, allow_partial: bool) {
    let path = subscription(t, "set").await;
    let updated = single(accepted(t.set(allow_partial, &[(&path, &[must("NotifRetry", "true")])]).await));
    updated_notif_retry(&single(updated.outcome.unwrap()), &path);
    assert_eq!(notif_retry(t, &path).await, "true");
}

pub async fn allow_partial_false_multiple_objects(t: &mut Bench) {
    let (first, second) = (subscription(t, "first").await, subscription(t, "second").await);
    let retry = [must("NotifRetry", "true")];
    let updated = accepted(t.set(WHOLE, &[(&first, &retry), (&second, &retry)]).await);
    let [one, two] = <[_; 2]>::try_from(updated).expect("two UpdatedObjectResults").map(|u| u.outcome.unwrap());
    updated_notif_retry(&single(one), &first);
    updated_notif_retry(&single(two), &second);
    assert_eq!(notif_retry(t, &first).await, "true");
    assert_eq!(notif_retry(t, &second).await, "true");
}

pub async fn allow_partial_false_required_parameters_fail(t: &mut Bench) {
    let path = subscription(t, "set").await;
    let error = refused(t.set(WHOLE, &[(&path, &[must("InvalidParameter", "IrrelevantValue")])]).await);
    names_only(&error, &format!("{path}InvalidParameter"), NO_PARAMETER);
    let (there, values) = single(t.objects(&path).await);
    assert_eq!(there, path);
    assert!(!values.contains_key("InvalidParameter"));
}

pub async fn allow_partial_false_required_parameters_fail_in_single_object(t: &mut Bench) {
    let (first, second) = (subscription(t, "first").await, subscription(t, "second").await);
    let objects =
        [(&*first, &[must("NotifRetry", "true")][..]), (&*second, &[must("InvalidParameter", "IrrelevantValue")])];
    let error = refused(t.set(WHOLE, &objects).await);
    names_only(&error, &format!("{second}InvalidParameter"), NO_PARAMETER);
    let there = t.objects(SUBSCRIPTION).await;
    assert!(there.contains_key(&first) && there.contains_key(&second));
    assert!(there.values().all(|values| !values.contains_key("InvalidParameter")));
    assert_eq!(there[&first]["NotifRetry"], "false", "not updated");
}

pub async fn allow_partial_true_required_parameter_fails_multiple_objects(t: &mut Bench) {
    let (first, second) = (subscription(t, "first").await, subscription(t, "second").await);
    let objects =
        [(&*first, &[must("NotifRetry", "true")][..]), (&*second, &[must("InvalidParameter", "IrrelevantValue")])];
    let updated = accepted(t.set(PARTIAL, &objects).await);
    let [one, two] = <[_; 2]>::try_from(updated).expect("two UpdatedObjectResults").map(|u| u.outcome);
    updated_notif_retry(&single(one.unwrap()), &first);
    let failure = two.expect_err("OperationFailure");
    appropriate(failure.err_code, NO_PARAMETER);
    let instance = single(failure.updated_inst_failures);
    assert_eq!(instance.affected_path, second);
    let param = single(instance.param_errs);
    assert_eq!(param.param, "InvalidParameter");
    appropriate(param.err_code, NO_PARAMETER);
    assert_eq!(notif_retry(t, &first).await, "true");
}

pub async fn allow_partial_true_non_required_parameter_fails(t: &mut Bench) {
    let path = subscription(t, "set").await;
    let settings = [may("NotifRetry", "true"), may("InvalidParameter", "IrrelevantValue")];
    let updated = single(accepted(t.set(PARTIAL, &[(&path, &settings)]).await));
    let mut result = single(updated.outcome.unwrap());
    let param = single(std::mem::take(&mut result.param_errs));
    updated_notif_retry(&result, &path);
    assert_eq!(param.param, "InvalidParameter");
    appropriate(param.err_code, NO_PARAMETER);
    assert_eq!(notif_retry(t, &path).await, "true");
}

pub async fn unique_key_addressing_in_path(t: &mut Bench) {
    let path = subscription(t, "set18").await;
    let by_key = by_unique_key(t, &path).await;
    let updated = single(accepted(t.set(WHOLE, &[(&by_key, &[must("NotifRetry", "true")])]).await));
    updated_notif_retry(&single(updated.outcome.unwrap()), &path);
    assert_eq!(notif_retry(t, &path).await, "true");
}

/// The subscription addressed by its key of Recipient and ID.
pub async fn by_unique_key(t: &mut Bench, path: &str) -> String {
    let recipient = t.value(&format!("{path}Recipient")).await;
    let id = t.value(&format!("{path}ID")).await;
    format!("{SUBSCRIPTION}[Recipient==\"{recipient}\"&&ID==\"{id}\"].")
}

pub async fn wildcard_allow_partial_false_required_parameters_pass(t: &mut Bench) {
    let (first, second) = (subscription(t, "first").await, subscription(t, "second").await);
    let path = format!("{SUBSCRIPTION}*.");
    let updated = single(accepted(t.set(WHOLE, &[(&path, &[must("NotifRetry", "true")])]).await));
    let results = updated.outcome.unwrap();
    assert!(results.len() >= 2, "{results:?}");
    for path in [&first, &second] {
        let result = results.iter().find(|result| result.affected_path == *path).expect("a result of each");
        updated_notif_retry(result, path);
        assert_eq!(notif_retry(t, path).await, "true");
    }
}

pub async fn wildcard_allow_partial_false_required_parameters_fail(t: &mut Bench) {
    let paths = [subscription(t, "first").await, subscription(t, "second").await];
    let path = format!("{SUBSCRIPTION}*.");
    let error = refused(t.set(WHOLE, &[(&path, &[must("InvalidParameter", "IrrelevantValue")])]).await);
    appropriate(error.err_code, NO_PARAMETER);
    assert!(!error.param_errs.is_empty());
    for param in &error.param_errs {
        let instance = param.param_path.strip_suffix("InvalidParameter").expect("the parameter");
        assert!(paths.iter().any(|path| path == instance), "{param:?}");
        appropriate(param.err_code, NO_PARAMETER);
    }
    assert!(t.objects(SUBSCRIPTION).await.values().all(|values| !values.contains_key("InvalidParameter")));
}

pub async fn wildcard_allow_partial_true_required_parameters_fail(t: &mut Bench) {
    let paths = [subscription(t, "first").await, subscription(t, "second").await];
    let path = format!("{SUBSCRIPTION}*.");
    let updated = single(accepted(t.set(PARTIAL, &[(&path, &[must("Enable", "InvalidValue")])]).await));
    let failure = updated.outcome.expect_err("OperationFailure");
    appropriate(failure.err_code, BAD_VALUE);
    assert!(!failure.updated_inst_failures.is_empty());
    for instance in failure.updated_inst_failures {
        assert!(paths.contains(&instance.affected_path), "{instance:?}");
        let param = single(instance.param_errs);
        assert_eq!(param.param, "Enable");
        appropriate(param.err_code, BAD_VALUE);
    }
    assert!(t.objects(SUBSCRIPTION).await.values().all(|values| values["Enable"] != "InvalidValue"));
}

pub async fn search_expression_search_path(t: &mut Bench) {
    let path = subscription(t, "set22").await;
    let other = subscription(t, "other").await;
    t.put(&path, "NotifExpiration", "10").await;
    let search = format!("{SUBSCRIPTION}[NotifExpiration>0].");
    let updated = single(accepted(t.set(WHOLE, &[(&search, &[must("NotifRetry", "true")])]).await));
    updated_notif_retry(&single(updated.outcome.unwrap()), &path);
    assert_eq!(notif_retry(t, &path).await, "true");
    assert_eq!(notif_retry(t, &other).await, "false", "the search does not match it");
}

pub async fn path_that_matches_no_objects(t: &mut Bench) {
    let path = format!("{SUBSCRIPTION}[Recipient==\"InvalidValue\"].");
    let updated = single(accepted(t.set(PARTIAL, &[(&path, &[must("NotifRetry", "true")])]).await));
    assert_eq!(updated.requested, path);
    assert!(updated.outcome.unwrap().is_empty(), "an empty oper_success");
}

pub async fn non_functional_unique_key_immutability(t: &mut Bench) {
    let created = single(accepted(t.add(WHOLE, &[(SUBSCRIPTION, &[may("ID", "add96")])]).await));
    let path = created.outcome.unwrap().instantiated_path;
    assert_eq!(t.value(&format!("{path}ID")).await, "add96");
    let error = refused(t.set(WHOLE, &[(&path, &[must("ID", "add96-NEW")])]).await);
    appropriate(error.err_code, READ_ONLY);
    assert_eq!(t.value(&format!("{path}ID")).await, "add96");
}

pub async fn write_once_read_only_parameter(t: &mut Bench) {
    let created = single(accepted(t.add(WHOLE, &[(SUBSCRIPTION, &[may("Alias", "test-1-104")])]).await));
    let path = created.outcome.unwrap().instantiated_path;
    let error = refused(t.set(WHOLE, &[(&path, &[must("Alias", "test-1-104-new-alias")])]).await);
    appropriate(error.err_code, READ_ONLY);
    assert_eq!(t.value(&format!("{path}Alias")).await, "test-1-104");
}
