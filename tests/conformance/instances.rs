//! TP-469 1.66 to 1.71 and 1.83: GetInstances.

use std::collections::BTreeSet;

use crate::bench::Bench;
use crate::delete::boot_parameter;
use crate::messages::{accepted, single};

const CONTROLLERS: &str = "Device.LocalAgent.Controller.";
const MTPS: &str = "Device.LocalAgent.MTP.";

/// The rows at this path, which are told without an error.
async fn instances(t: &mut Bench, path: &str, first_level_only: bool) -> Vec<String> {
    let result = single(accepted(t.get_instances(&[path], first_level_only).await));
    assert_eq!((result.err_code, &*result.requested_path), (0, path), "{}", result.err_msg);
    result.curr_insts.into_iter().map(|instance| instance.instantiated_obj_path).collect()
}

fn is_row(path: &str) -> bool {
    path.trim_end_matches('.').rsplit('.').next().is_some_and(|last| last.bytes().all(|b| b.is_ascii_digit()))
}

pub async fn single_object_first_level_only(t: &mut Bench) {
    boot_parameter(t, "Device.LocalAgent.SoftwareVersion", "true").await;
    let rows = instances(t, CONTROLLERS, true).await;
    assert!(!rows.is_empty());
    for row in rows {
        let number = row.strip_prefix(CONTROLLERS).and_then(|rest| rest.strip_suffix('.')).expect("a controller");
        assert!(number.parse::<u32>().is_ok(), "{row}");
    }
}

pub async fn single_object_all_levels(t: &mut Bench) {
    let boot = boot_parameter(t, "Device.LocalAgent.SoftwareVersion", "true").await;
    let rows: BTreeSet<_> = instances(t, CONTROLLERS, false).await.into_iter().collect();
    let all: BTreeSet<_> = t.objects(CONTROLLERS).await.into_keys().filter(|path| is_row(path)).collect();
    assert_eq!(rows, all, "as Get tells them");
    assert!(rows.contains(&boot) && rows.contains(&t.controller().await));
}

pub async fn multiple_objects(t: &mut Bench) {
    let results = accepted(t.get_instances(&[CONTROLLERS, MTPS], true).await);
    let requested: Vec<_> = results.iter().map(|result| &*result.requested_path).collect();
    assert_eq!(requested, [CONTROLLERS, MTPS]);
    assert!(results.iter().all(|result| result.err_code == 0 && !result.curr_insts.is_empty()), "{results:?}");
}

pub async fn wildcard_search_path(t: &mut Bench) {
    let rows = instances(t, "Device.LocalAgent.Controller.*.MTP.", true).await;
    let own = format!("{}MTP.", t.controller().await);
    assert!(rows.iter().any(|row| row.starts_with(&own)), "{rows:?}");
}

pub async fn search_expression_search_path(t: &mut Bench) {
    let boot = boot_parameter(t, "Device.LocalAgent.SoftwareVersion", "true").await;
    let alias = t.value(&format!("{}Alias", boot.split("BootParameter.").next().expect("the controller"))).await;
    let path = format!("Device.LocalAgent.Controller.[Alias==\"{alias}\"].BootParameter.");
    assert_eq!(instances(t, &path, false).await, [boot]);
}

pub async fn unmatched_search_expression(t: &mut Bench) {
    boot_parameter(t, "Device.LocalAgent.SoftwareVersion", "true").await;
    let path = "Device.LocalAgent.Controller.[Alias==\"nobody\"].BootParameter.";
    assert!(instances(t, path, false).await.is_empty());
}
