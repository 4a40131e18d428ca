//! TP-469 1.24 to 1.35 and 1.90: Delete.

use crate::add::{NO_OBJECT, SUBSCRIPTION};
use crate::bench::Bench;
use crate::messages::{PARTIAL, WHOLE, accepted, appropriate, names_only, refused, single};
use crate::set::subscription;

const INVALID_OBJECT: &str = "Device.LocalAgent.InvalidObject.";

/// The path of a row that is not there.
async fn nobody(t: &mut Bench) -> String {
    let there = t.objects(SUBSCRIPTION).await;
    let free = (1..).map(|number| format!("{SUBSCRIPTION}{number}.")).find(|path| !there.contains_key(path));
    free.expect("a free instance number")
}

async fn exists(t: &mut Bench, path: &str) -> bool {
    t.objects(SUBSCRIPTION).await.contains_key(path)
}

pub async fn allow_partial_false_valid_object_instance(t: &mut Bench) {
    let path = subscription(t, "delete24").await;
    let deleted = single(accepted(t.delete(WHOLE, &[&path]).await));
    assert_eq!(deleted.requested, path);
    assert_eq!(deleted.outcome.unwrap().affected_paths, [&*path]);
    assert!(!exists(t, &path).await);
}

pub async fn allow_partial_false_object_instance_does_not_exist(t: &mut Bench) {
    nothing_to_delete(t, WHOLE).await;
}

pub async fn allow_partial_true_object_instance_does_not_exist(t: &mut Bench) {
    nothing_to_delete(t, PARTIAL).await;
}

/// "The EUT sends a DeleteResp containing an empty oper_success element."
async fn nothing_to_delete(t: &mut Bench, allow_partial: bool) {
    subscription(t, "stays").await;
    let path = nobody(t).await;
    let success = single(accepted(t.delete(allow_partial, &[&path]).await)).outcome.unwrap();
    assert!(success.affected_paths.is_empty() && success.unaffected_path_errs.is_empty(), "{success:?}");
}

pub async fn allow_partial_false_invalid_object(t: &mut Bench) {
    let error = refused(t.delete(WHOLE, &[INVALID_OBJECT]).await);
    names_only(&error, INVALID_OBJECT, NO_OBJECT);
}

pub async fn allow_partial_false_multiple_objects(t: &mut Bench) {
    let paths = [subscription(t, "first").await, subscription(t, "second").await];
    let deleted = accepted(t.delete(WHOLE, &[&paths[0], &paths[1]]).await);
    assert_eq!(deleted.len(), 2);
    for (deleted, path) in deleted.into_iter().zip(&paths) {
        assert_eq!(deleted.requested, *path);
        assert_eq!(deleted.outcome.unwrap().affected_paths, [&**path]);
        assert!(!exists(t, path).await);
    }
}

pub async fn allow_partial_false_multiple_objects_invalid_object(t: &mut Bench) {
    let path = subscription(t, "delete28").await;
    let error = refused(t.delete(WHOLE, &[&path, INVALID_OBJECT]).await);
    names_only(&error, INVALID_OBJECT, NO_OBJECT);
    assert!(exists(t, &path).await);
}

pub async fn allow_partial_true_invalid_object(t: &mut Bench) {
    let deleted = single(accepted(t.delete(PARTIAL, &[INVALID_OBJECT]).await));
    assert_eq!(deleted.requested, INVALID_OBJECT);
    appropriate(deleted.outcome.expect_err("oper_failure").err_code, NO_OBJECT);
}

pub async fn allow_partial_true_multiple_objects_invalid_object(t: &mut Bench) {
    let path = subscription(t, "delete31").await;
    let deleted = accepted(t.delete(PARTIAL, &[&path, INVALID_OBJECT]).await);
    let [one, two] = <[_; 2]>::try_from(deleted).expect("two deleted_obj_results").map(|d| d.outcome);
    assert_eq!(one.unwrap().affected_paths, [&*path]);
    appropriate(two.expect_err("oper_failure").err_code, NO_OBJECT);
    assert!(!exists(t, &path).await);
}

pub async fn allow_partial_true_multiple_objects_object_does_not_exist(t: &mut Bench) {
    let path = subscription(t, "delete32").await;
    let none = nobody(t).await;
    let deleted = accepted(t.delete(PARTIAL, &[&path, &none]).await);
    let [one, two] = <[_; 2]>::try_from(deleted).expect("two deleted_obj_results").map(|d| d.outcome.unwrap());
    assert_eq!(one.affected_paths, [&*path]);
    assert!(two.affected_paths.is_empty() && two.unaffected_path_errs.is_empty(), "{two:?}");
    assert!(!exists(t, &path).await);
}

/// A boot parameter of the tester's controller row.
pub async fn boot_parameter(t: &mut Bench, name: &str, enable: &str) -> String {
    let table = format!("{}BootParameter.", t.controller().await);
    t.make(&table, &[("Enable", enable), ("ParameterName", name)]).await
}

pub async fn unique_key_addressing(t: &mut Bench) {
    let path = boot_parameter(t, "Device.LocalAgent.SoftwareVersion", "true").await;
    let controller = t.controller().await;
    let alias = t.value(&format!("{controller}Alias")).await;
    let number = path.trim_end_matches('.').rsplit('.').next().expect("an instance number");
    let by_key = format!(
        "Device.LocalAgent.Controller.[EndpointID==\"{}\"&&Alias==\"{alias}\"].BootParameter.{number}.",
        t.own_id.clone()
    );
    let deleted = single(accepted(t.delete(WHOLE, &[&by_key]).await));
    assert_eq!(deleted.requested, by_key);
    assert_eq!(deleted.outcome.unwrap().affected_paths, [&*path], "with instance numbers");
    assert!(!t.objects(&format!("{controller}BootParameter.")).await.contains_key(&path));
}

pub async fn wildcard_search_path_valid_objects(t: &mut Bench) {
    let mut paths = [subscription(t, "first").await, subscription(t, "second").await];
    let path = format!("{SUBSCRIPTION}*.");
    let deleted = single(accepted(t.delete(WHOLE, &[&path]).await));
    assert_eq!(deleted.requested, path);
    let mut affected = deleted.outcome.unwrap().affected_paths;
    affected.sort();
    paths.sort();
    assert_eq!(affected, paths);
    assert!(t.objects(SUBSCRIPTION).await.is_empty());
}

pub async fn search_expression_search_path(t: &mut Bench) {
    let enabled = boot_parameter(t, "Device.LocalAgent.SoftwareVersion", "true").await;
    let disabled = boot_parameter(t, "Device.LocalAgent.EndpointID", "false").await;
    let table = format!("{}BootParameter.", t.controller().await);
    let search = format!("{table}[Enable==true].");
    let deleted = single(accepted(t.delete(WHOLE, &[&search]).await));
    assert_eq!(deleted.requested, search);
    assert_eq!(deleted.outcome.unwrap().affected_paths, [&*enabled]);
    let there = t.objects(&table).await;
    assert!(there.contains_key(&disabled));
    assert!(there.values().all(|values| values["Enable"] != "true"), "{there:?}");
}

pub async fn search_expression_that_matches_no_objects(t: &mut Bench) {
    let stays = subscription(t, "enabled").await;
    let search = format!("{SUBSCRIPTION}[Enable==false].");
    let success = single(accepted(t.delete(WHOLE, &[&search]).await)).outcome.unwrap();
    assert!(success.affected_paths.is_empty() && success.unaffected_path_errs.is_empty(), "{success:?}");
    assert!(exists(t, &stays).await);
}
