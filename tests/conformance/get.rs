//! TP-469 1.36 to 1.51, 1.82, 1.86, 1.87 and 1.89: Get.

use std::collections::BTreeMap;

use usp_agent::usp::wire::msg::get_resp::{RequestedPathResult, ResolvedPathResult};

use crate::add::SUBSCRIPTION;
use crate::bench::Bench;
use crate::messages::{Params, accepted, appropriate, single};
use crate::set::{by_unique_key, subscription};

const AGENT: &str = "Device.LocalAgent.";
const ENDPOINT_ID: &str = "Device.LocalAgent.EndpointID";
/// What every agent tells of itself (profile LocalAgent:1).
const OF_AGENT: [&str; 4] = ["AdvertisedDeviceSubtypes", "EndpointID", "MTPNumberOfEntries", "SoftwareVersion"];
const OF_SUBSCRIPTION: [&str; 6] = ["Enable", "ID", "NotifType", "Persistent", "Recipient", "ReferenceList"];

/// "The EUT sends a GetResp ... no errors, has a requested_path equal to ..."
fn without_errors(result: RequestedPathResult, path: &str) -> Vec<ResolvedPathResult> {
    assert_eq!((result.err_code, &*result.requested_path), (0, path), "{}", result.err_msg);
    result.resolved_path_results
}

/// "A single result_params element with a key of ..."; gives the value.
fn only_param(result: RequestedPathResult, path: &str, object: &str, name: &str) -> String {
    let resolved = single(without_errors(result, path));
    assert_eq!(resolved.resolved_path, object);
    let (key, value) = single(resolved.result_params);
    assert_eq!(key, name);
    value
}

/// "The keys of all result_params elements are relative paths."
fn has_relative_keys<'a>(objects: impl IntoIterator<Item = &'a Params>) {
    for name in objects.into_iter().flat_map(BTreeMap::keys) {
        assert!(!name.is_empty() && !name.contains('.'), "{name} is not relative to its object");
    }
}

fn has(params: &Params, names: &[&str]) {
    let missing: Vec<_> = names.iter().filter(|name| !params.contains_key(**name)).collect();
    assert!(missing.is_empty(), "{missing:?} missing in {params:?}");
}

pub async fn full_parameter_path(t: &mut Bench) {
    let result = single(t.get(&[ENDPOINT_ID]).await);
    assert_eq!(only_param(result, ENDPOINT_ID, AGENT, "EndpointID"), t.agent_id);
}

pub async fn multiple_full_parameter_paths_same_object(t: &mut Bench) {
    const VERSION: &str = "Device.LocalAgent.SoftwareVersion";
    let [id, version] = <[_; 2]>::try_from(t.get(&[ENDPOINT_ID, VERSION]).await).expect("two req_path_results");
    assert_eq!(only_param(id, ENDPOINT_ID, AGENT, "EndpointID"), t.agent_id);
    assert!(!only_param(version, VERSION, AGENT, "SoftwareVersion").is_empty());
}

pub async fn multiple_full_parameter_paths_different_objects(t: &mut Bench) {
    let object = subscription(t, "get38").await;
    let path = format!("{object}Enable");
    let [id, enable] = <[_; 2]>::try_from(t.get(&[ENDPOINT_ID, &path]).await).expect("two req_path_results");
    assert_eq!(only_param(id, ENDPOINT_ID, AGENT, "EndpointID"), t.agent_id);
    assert_eq!(only_param(enable, &path, &object, "Enable"), "true");
}

pub async fn object_path(t: &mut Bench) {
    let subscription = subscription(t, "get39").await;
    let objects = t.objects(AGENT).await;
    has(&objects[AGENT], &OF_AGENT);
    let controller = t.controller().await;
    has(&objects[&controller], &["EndpointID", "Enable", "Alias"]);
    has(&objects["Device.LocalAgent.ControllerTrust."], &["UntrustedRole"]);
    has(&objects[&subscription], &OF_SUBSCRIPTION);
    assert!(objects.keys().any(|path| path.starts_with("Device.LocalAgent.MTP.")));
    assert!(objects.keys().all(|path| path.starts_with(AGENT)));
    has_relative_keys(objects.values());
}

pub async fn object_instance_path(t: &mut Bench) {
    let path = subscription(t, "get40").await;
    let resolved = single(without_errors(single(t.get(&[&path]).await), &path));
    assert_eq!(resolved.resolved_path, path);
    has(&resolved.result_params, &OF_SUBSCRIPTION);
    has_relative_keys([&resolved.result_params]);
}

const INVALID: &str = "Device.LocalAgent.InvalidParameter";

fn is_invalid(result: &RequestedPathResult) {
    assert_eq!(result.requested_path, INVALID);
    appropriate(result.err_code, &[7010, 7026]);
    assert!(result.resolved_path_results.is_empty());
}

pub async fn invalid_parameter(t: &mut Bench) {
    is_invalid(&single(t.get(&[INVALID]).await));
}

pub async fn invalid_parameter_and_valid_parameter(t: &mut Bench) {
    let [id, invalid] = <[_; 2]>::try_from(t.get(&[ENDPOINT_ID, INVALID]).await).expect("two req_path_results");
    assert_eq!(only_param(id, ENDPOINT_ID, AGENT, "EndpointID"), t.agent_id);
    is_invalid(&invalid);
}

pub async fn unique_key_addressing(t: &mut Bench) {
    let object = subscription(t, "get43").await;
    let path = format!("{}Enable", by_unique_key(t, &object).await);
    let result = single(t.get(&[&path]).await);
    assert_eq!(only_param(result, &path, &object, "Enable"), "true");
}

pub async fn wildcard_on_full_parameter(t: &mut Bench) {
    let paths = [subscription(t, "first").await, subscription(t, "second").await];
    let path = format!("{SUBSCRIPTION}*.Enable");
    let resolved = without_errors(single(t.get(&[&path]).await), &path);
    assert_eq!(resolved.iter().map(|object| &object.resolved_path).collect::<Vec<_>>(), paths.each_ref());
    for object in resolved {
        assert_eq!(single(object.result_params), ("Enable".to_owned(), "true".to_owned()));
    }
}

pub async fn wildcard_on_object_path(t: &mut Bench) {
    let paths = [subscription(t, "first").await, subscription(t, "second").await];
    let path = format!("{SUBSCRIPTION}*.");
    let resolved = without_errors(single(t.get(&[&path]).await), &path);
    assert_eq!(resolved.iter().map(|object| &object.resolved_path).collect::<Vec<_>>(), paths.each_ref());
    resolved.iter().for_each(|object| has(&object.result_params, &OF_SUBSCRIPTION));
    has_relative_keys(resolved.iter().map(|object| &object.result_params));
}

/// Makes subscriptions with these values of one parameter and gets those that a search finds: exactly `expected`.
async fn search(t: &mut Bench, param: &str, values: &[&str], condition: &str, expected: &[&str]) {
    let mut paths = BTreeMap::new();
    for value in values {
        let path = subscription(t, &format!("with-{value}")).await;
        t.put(&path, param, value).await;
        paths.insert(*value, path);
    }
    let path = format!("{SUBSCRIPTION}[{param}{condition}].");
    let resolved = without_errors(single(t.get(&[&path]).await), &path);
    let mut found: Vec<_> = resolved.iter().map(|object| &object.resolved_path).collect();
    found.sort();
    let mut expected: Vec<_> = expected.iter().map(|value| &paths[value]).collect();
    expected.sort();
    assert_eq!(found, expected, "{path} of {paths:?}");
    resolved.iter().for_each(|object| has(&object.result_params, &OF_SUBSCRIPTION));
    has_relative_keys(resolved.iter().map(|object| &object.result_params));
}

pub async fn search_equivalence(t: &mut Bench) {
    search(t, "Enable", &["true", "false"], "==true", &["true"]).await;
}

pub async fn search_non_equivalence(t: &mut Bench) {
    search(t, "Enable", &["true", "false"], "!=true", &["false"]).await;
}

const EXPIRATION: &str = "NotifExpiration";

pub async fn search_exclusive_greater(t: &mut Bench) {
    search(t, EXPIRATION, &["10", "20"], ">10", &["20"]).await;
}

pub async fn search_exclusive_lesser(t: &mut Bench) {
    search(t, EXPIRATION, &["10", "5"], "<10", &["5"]).await;
}

pub async fn search_inclusive_greater(t: &mut Bench) {
    search(t, EXPIRATION, &["10", "20", "5"], ">=10", &["10", "20"]).await;
}

pub async fn search_inclusive_lesser(t: &mut Bench) {
    search(t, EXPIRATION, &["10", "20", "5"], "<=10", &["10", "5"]).await;
}

/// "An empty resolved_path_results element", and no error.
async fn resolves_to_nothing(t: &mut Bench, path: &str) {
    let resolved = without_errors(single(t.get(&[path]).await), path);
    assert!(resolved.is_empty(), "{resolved:?}");
}

pub async fn unmatched_search_expression(t: &mut Bench) {
    assert!(t.objects(SUBSCRIPTION).await.is_empty());
    resolves_to_nothing(t, "Device.LocalAgent.Subscription.[Enable==true].").await;
}

pub async fn unresolved_instances_search_path(t: &mut Bench) {
    let path = subscription(t, "get86").await;
    t.put(&path, "Enable", "false").await;
    resolves_to_nothing(t, "Device.LocalAgent.Subscription.[Enable==true].").await;
}

pub async fn unresolved_instances_object_path(t: &mut Bench) {
    resolves_to_nothing(t, SUBSCRIPTION).await;
}

/// How many objects lie between Device.LocalAgent. and this one, itself counted; a table and its row are one.
fn level(path: &str) -> usize {
    let rest = path.strip_prefix(AGENT).expect("below the requested path");
    rest.split('.').filter(|step| !step.is_empty() && !step.starts_with(|c: char| c.is_ascii_digit())).count()
}

pub async fn max_depth(t: &mut Bench) {
    subscription(t, "get89").await;
    let mut levels = Vec::new();
    for depth in [1, 2, 0] {
        let result = single(accepted(t.get_depth(&[AGENT], depth).await));
        let resolved = without_errors(result, AGENT);
        let own = resolved.iter().find(|object| object.resolved_path == AGENT).expect("the object itself");
        has(&own.result_params, &OF_AGENT);
        has_relative_keys(resolved.iter().map(|object| &object.result_params));
        levels.push(resolved.into_iter().map(|object| object.resolved_path).collect::<Vec<_>>());
    }
    let [one, two, all] = <[_; 3]>::try_from(levels).expect("three GetResps");
    assert_eq!(one, [AGENT]);
    let children: Vec<_> = all.iter().filter(|path| level(path) <= 1).cloned().collect();
    assert_eq!(two, children, "each of the immediate children and nothing below");
    assert!(two.iter().any(|path| path == "Device.LocalAgent.Subscription.1."), "{two:?}");
    assert!(all.iter().any(|path| level(path) == 2), "{all:?}");
}
