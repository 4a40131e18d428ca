//! The cases by their number in TP-469 1.4.
//!
//! Deleted (1.69), empty (1.85) and deprecated (1.63) numbers are left out.

use futures_util::future::LocalBoxFuture;

use crate::bench::Bench;
use crate::{add, delete, set};

/// One case of the plan.
pub struct Case {
    pub id: &'static str,
    pub title: &'static str,
    /// With a second controller.
    pub two: bool,
    /// Mostly waits for time to pass.
    pub waits: bool,
    pub run: Run,
}

pub enum Run {
    Yes(for<'a> fn(&'a mut Bench) -> LocalBoxFuture<'a, ()>),
    /// Why it cannot be run.
    #[allow(dead_code)]
    No(&'static str),
}

macro_rules! case {
    ($id:literal, $title:literal, $run:path $(, $option:ident)*) => {
        Case { id: $id, title: $title, run: Run::Yes(|bench| Box::pin($run(bench))), $($option: true,)* ..PLAIN }
    };
}

const PLAIN: Case = Case { id: "", title: "", two: false, waits: false, run: Run::No("") };

#[rustfmt::skip]
pub const CASES: &[Case] = &[
    case!("1.1", "Add message with allow partial false, single object, required parameters succeed", add::allow_partial_false_required_parameters_succeed),
    case!("1.2", "Add message with allow partial true, single object, required parameters succeed", add::allow_partial_true_required_parameters_succeed),
    case!("1.3", "Add message with allow partial false, single object, required parameters fail", add::allow_partial_false_required_parameters_fail),
    case!("1.4", "Add message with allow partial false, single invalid object", add::allow_partial_false_single_invalid_object),
    case!("1.5", "Add message with allow partial false, multiple objects", add::allow_partial_false_multiple_objects),
    case!("1.6", "Add message with allow partial false, multiple objects with an invalid object", add::allow_partial_false_multiple_objects_with_an_invalid_object),
    case!("1.7", "Add message with allow partial false, multiple objects, required parameters fail in single object", add::allow_partial_false_required_parameters_fail_in_single_object),
    case!("1.8", "Add message with allow partial true, required parameters fail, invalid type, single object", add::allow_partial_true_invalid_type_single_object),
    case!("1.9", "Add message with allow partial true, required parameters fail, multiple objects", add::allow_partial_true_required_parameters_fail_multiple_objects),
    case!("1.10", "Add message with unique key addressing in path", add::unique_key_addressing_in_path),
    case!("1.11", "Set message with allow partial false, required parameters pass", set::allow_partial_false_required_parameters_pass),
    case!("1.12", "Set message with allow partial true, required parameters pass", set::allow_partial_true_required_parameters_pass),
    case!("1.13", "Set message with allow partial false, multiple objects", set::allow_partial_false_multiple_objects),
    case!("1.14", "Set message with allow partial false, required parameters fail", set::allow_partial_false_required_parameters_fail),
    case!("1.15", "Set message with allow partial false, multiple objects, required parameters fail in single object", set::allow_partial_false_required_parameters_fail_in_single_object),
    case!("1.16", "Set message with allow partial true, required parameter fails, multiple objects", set::allow_partial_true_required_parameter_fails_multiple_objects),
    case!("1.17", "Set message with allow partial true, non-required parameter fails, multiple parameters", set::allow_partial_true_non_required_parameter_fails),
    case!("1.18", "Set message with unique key addressing in path", set::unique_key_addressing_in_path),
    case!("1.19", "Set message with wildcard search path, allow partial false, required parameters pass", set::wildcard_allow_partial_false_required_parameters_pass),
    case!("1.20", "Set message with wildcard search path, allow partial false, required parameters fail", set::wildcard_allow_partial_false_required_parameters_fail),
    case!("1.21", "Set message with wildcard search path, allow partial true, required parameters fail", set::wildcard_allow_partial_true_required_parameters_fail),
    case!("1.22", "Set message with search expression search path", set::search_expression_search_path),
    case!("1.23", "Set message with path that matches no objects", set::path_that_matches_no_objects),
    case!("1.24", "Delete message with allow partial false, valid object instance", delete::allow_partial_false_valid_object_instance),
    case!("1.25", "Delete message with allow partial false, object instance doesn't exist", delete::allow_partial_false_object_instance_does_not_exist),
    case!("1.26", "Delete message with allow partial false, invalid object", delete::allow_partial_false_invalid_object),
    case!("1.27", "Delete message with allow partial false, multiple objects", delete::allow_partial_false_multiple_objects),
    case!("1.28", "Delete message with allow partial false, multiple objects, invalid object", delete::allow_partial_false_multiple_objects_invalid_object),
    case!("1.29", "Delete message with allow partial true, object instance doesn't exist", delete::allow_partial_true_object_instance_does_not_exist),
    case!("1.30", "Delete message with allow partial true, invalid object", delete::allow_partial_true_invalid_object),
    case!("1.31", "Delete message with allow partial true, multiple objects, invalid object", delete::allow_partial_true_multiple_objects_invalid_object),
    case!("1.32", "Delete message with allow partial true, multiple objects, object doesn't exist", delete::allow_partial_true_multiple_objects_object_does_not_exist),
    case!("1.33", "Delete message with unique key addressing", delete::unique_key_addressing),
    case!("1.34", "Delete message with wildcard search path, valid objects", delete::wildcard_search_path_valid_objects),
    case!("1.35", "Delete message with search expression search path", delete::search_expression_search_path),
    case!("1.81", "Automatic unique key generation", add::automatic_unique_key_generation),
    case!("1.88", "Add message fails when unique key is invalid", add::fails_when_a_unique_key_is_invalid),
    case!("1.90", "Delete message with search expression that matches no objects", delete::search_expression_that_matches_no_objects),
    case!("1.95", "Add message with search expression", add::search_expression, two),
    case!("1.96", "Non-functional Unique Key Immutability", set::non_functional_unique_key_immutability),
    case!("1.104", "Set message on WriteOnceReadOnly parameter", set::write_once_read_only_parameter),
];
