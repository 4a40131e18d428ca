//! The cases by their number in TP-469 1.4.
//!
//! Deleted (1.69), empty (1.85) and deprecated (1.63) numbers are left out.

use futures_util::future::LocalBoxFuture;

use crate::bench::{Bench, Second};
use crate::secure::Credential;
use crate::{access, add, delete, get, instances, notify, operate, secure, set, supported};

/// One case of the plan.
pub struct Case {
    pub id: &'static str,
    pub title: &'static str,
    /// With a second controller.
    pub second: Option<Second>,
    /// Not through a broker, whose certificate the agent would see in place of the controller's.
    pub direct: bool,
    /// With TLS, and this certificate of the tester's.
    pub tls: Option<Credential>,
    /// Mostly waits for time to pass.
    pub waits: bool,
    pub run: Run,
}

pub enum Run {
    Yes(for<'a> fn(&'a mut Bench) -> LocalBoxFuture<'a, ()>),
    /// Why it cannot be run.
    No(&'static str),
}

macro_rules! case {
    ($id:literal, $title:literal, $run:path $(, $option:ident: $value:expr)*) => {
        Case { id: $id, title: $title, run: Run::Yes(|bench| Box::pin($run(bench))), $($option: $value,)* ..PLAIN }
    };
}

const TRUSTED: Option<Second> = Some(Second::Trusted);
const UNTRUSTED: Option<Second> = Some(Second::Untrusted);
const PLAIN: Case = Case { id: "", title: "", second: None, direct: false, tls: None, waits: false, run: Run::No("") };

const NO_TRACE_ROUTE: &str = "Device.IP.Diagnostics.TraceRoute() is not in the data model, and no other asynchronous command there has arguments \
    with defaults that show from outside";

const NO_SESSION_CONTEXT: &str = "conditional: the agent does not support USP session contexts";

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
    case!("1.36", "Get message with full parameter path", get::full_parameter_path),
    case!("1.37", "Get message with multiple full parameter paths, same object", get::multiple_full_parameter_paths_same_object),
    case!("1.38", "Get message with multiple full parameter paths, different objects", get::multiple_full_parameter_paths_different_objects),
    case!("1.39", "Get message with object path", get::object_path),
    case!("1.40", "Get message with object instance path", get::object_instance_path),
    case!("1.41", "Get message with invalid parameter", get::invalid_parameter),
    case!("1.42", "Get message with invalid parameter and valid parameter", get::invalid_parameter_and_valid_parameter),
    case!("1.43", "Get message using unique key addressing", get::unique_key_addressing),
    case!("1.44", "Get message using wildcard search path on full parameter", get::wildcard_on_full_parameter),
    case!("1.45", "Get message using wildcard search path on object path", get::wildcard_on_object_path),
    case!("1.46", "Get message using search expression search path (equivalence)", get::search_equivalence),
    case!("1.47", "Get message using search expression search path (non-equivalence)", get::search_non_equivalence),
    case!("1.48", "Get message using search expression search path (exclusive greater comparison)", get::search_exclusive_greater),
    case!("1.49", "Get message using search expression search path (exclusive lesser comparison)", get::search_exclusive_lesser),
    case!("1.50", "Get message using search expression search path (inclusive greater comparison)", get::search_inclusive_greater),
    case!("1.51", "Get message using search expression search path (inclusive lesser comparison)", get::search_inclusive_lesser),
    case!("1.52", "Notify - Subscription creation using Value Change", notify::subscription_creation_using_value_change),
    case!("1.53", "Notify - Subscription Deletion Using Value Change", notify::subscription_deletion_using_value_change, waits: true),
    case!("1.54", "Notification Retry using Value Change", notify::retry_using_value_change, waits: true),
    case!("1.55", "Subscription Expiration using Value Change", notify::subscription_expiration_using_value_change, waits: true),
    case!("1.56", "Notification Retry Expiration using Value Change", notify::retry_expiration_using_value_change, waits: true),
    case!("1.57", "ObjectCreation Notification", notify::object_creation),
    case!("1.58", "ObjectDeletion Notification", notify::object_deletion),
    case!("1.59", "Event Notification using Periodic!", notify::event_using_periodic, waits: true),
    case!("1.60", "OnBoardRequest Notification", notify::on_board_request_notification),
    case!("1.61", "Operate message using Reboot() with send_resp true", operate::reboot_with_send_resp_true),
    case!("1.62", "Operate message using Reboot() with send_resp false", operate::reboot_with_send_resp_false),
    case!("1.64", "Asynchronous operation with send_resp true", operate::asynchronous_with_send_resp_true),
    case!("1.65", "Asynchronous operation with send_resp false", operate::asynchronous_with_send_resp_false),
    case!("1.66", "GetInstances using a single object, first_level_only true", instances::single_object_first_level_only),
    case!("1.67", "GetInstances using a single object, first_level_only false", instances::single_object_all_levels),
    case!("1.68", "GetInstances with multiple objects", instances::multiple_objects),
    case!("1.70", "GetInstances with wildcard search path", instances::wildcard_search_path),
    case!("1.71", "GetInstances with search expression search path", instances::search_expression_search_path),
    case!("1.72", "GetSupportedDM using a single object, first_level_only false, all options", supported::single_object_all_levels_all_options),
    case!("1.73", "GetSupportedDM using a single object, first_level_only true, all options", supported::single_object_first_level_all_options),
    case!("1.74", "GetSupportedDM using a single object, first_level_only true, no options", supported::single_object_first_level_no_options),
    case!("1.75", "GetSupportedDM using multiple objects, first_level_only true, all options", supported::multiple_objects_first_level_all_options),
    case!("1.76", "GetSupportedDM on root object, all options", supported::root_object_all_options),
    case!("1.77", "GetSupportedDM on unsupported object", supported::unsupported_object),
    case!("1.78", "Removal of subscriptions that have no associated controller", notify::removal_of_subscriptions_without_controller, second: TRUSTED),
    case!("1.79", "Operate message using input arguments", operate::input_arguments, waits: true),
    case!("1.80", "GetSupportedProtocol", supported::supported_protocol),
    case!("1.81", "Automatic unique key generation", add::automatic_unique_key_generation),
    case!("1.82", "Get message with unmatched search expression", get::unmatched_search_expression),
    case!("1.83", "GetInstances message with unmatched search expression", instances::unmatched_search_expression),
    case!("1.84", "Notification - Subscription using search paths", notify::subscription_using_search_paths),
    case!("1.86", "Get message with unresolved instances - using a search path", get::unresolved_instances_search_path),
    case!("1.87", "Get message with unresolved instances - using an object path", get::unresolved_instances_object_path),
    case!("1.88", "Add message fails when unique key is invalid", add::fails_when_a_unique_key_is_invalid),
    case!("1.89", "Get message using max_depth", get::max_depth),
    case!("1.90", "Delete message with search expression that matches no objects", delete::search_expression_that_matches_no_objects),
    case!("1.91", "Unknown arguments in an Operate message", operate::unknown_arguments),
    Case { id: "1.92", title: "Agent uses default values for Operate arguments", run: Run::No(NO_TRACE_ROUTE), ..PLAIN },
    case!("1.93", "Subscription using TriggerAction Config", notify::trigger_action_config),
    case!("1.94", "Subscription using TriggerAction NotifyAndConfig", notify::trigger_action_notify_and_config),
    case!("1.95", "Add message with search expression", add::search_expression, second: TRUSTED),
    case!("1.96", "Non-functional Unique Key Immutability", set::non_functional_unique_key_immutability),
    case!("1.97", "GetSupportedDM on root object, commands", supported::root_object_commands),
    case!("1.98", "GetSupportedDM on root object, events", supported::root_object_events),
    case!("1.99", "GetSupportedDM, unique_key_sets", supported::unique_key_sets),
    case!("1.100", "Command with missing mandatory input_args", operate::missing_mandatory_input, waits: true),
    case!("1.101", "OnBoardRequest Notification - OnBoardingComplete set to false", notify::on_boarding_complete_set_to_false),
    case!("1.102", "OnBoardRequest Notification - OnBoardingRestartTime", notify::on_boarding_restart_time, waits: true),
    case!("1.103", "OnBoardRequest Notification - OnBoardingRestartTime disabled", notify::on_boarding_restart_time_disabled, waits: true),
    case!("1.104", "Set message on WriteOnceReadOnly parameter", set::write_once_read_only_parameter),
    case!("1.105", "GetSupportedDM on a Command", supported::on_a_command),
    case!("1.106", "GetSupportedDM on an Event", supported::on_an_event),
    case!("1.107", "GetSupportedDM on a Parameter", supported::on_a_parameter),
    case!("2.1", "Agent does not accept messages from its own Endpoint ID", access::messages_from_its_own_endpoint_id),
    case!("2.2", "Agent rejects messages that do not contain its to_id in the USP Record", access::messages_without_its_to_id),
    case!("2.3", "Agent does not process messages without the controller's certificate information - DEPRECATED", secure::does_not_respond, direct: true, tls: Some(Credential::OtherAuthority)),
    case!("2.4", "Agent rejects messages from Endpoint IDs that are not in subjectAltName - DEPRECATED", secure::does_not_respond, direct: true, tls: Some(Credential::OtherName)),
    Case { id: "2.5", title: "Agent use of self-signed certificates - DEPRECATED", run: Run::No("deprecated; the agent trusts no certificate on first use"), ..PLAIN },
    Case { id: "2.6", title: "Connecting without absolute time", run: Run::No(NO_SESSION_CONTEXT), ..PLAIN },
    Case { id: "2.7", title: "Agent ignores unsigned or invalid Record signatures", run: Run::No(NO_SESSION_CONTEXT), ..PLAIN },
    Case { id: "2.8", title: "Agent ignores invalid TLS certificate", run: Run::No(NO_SESSION_CONTEXT), ..PLAIN },
    case!("2.9", "Use of the Untrusted role", access::untrusted_role, second: UNTRUSTED),
    case!("2.10", "Adding a Role", access::adding_a_role),
    case!("2.11", "Permissions - Object Creation Allowed", access::object_creation_allowed),
    case!("2.12", "Permissions - Object Creation Not Allowed", access::object_creation_not_allowed),
    case!("2.13", "Permissions - Object Deletion Allowed", access::object_deletion_allowed),
    case!("2.14", "Permissions - Object Deletion Not Allowed", access::object_deletion_not_allowed),
    case!("2.15", "Permissions - Parameter Update Allowed", access::parameter_update_allowed),
    case!("2.16", "Permissions - Parameter Update Not Allowed", access::parameter_update_not_allowed),
    case!("2.17", "Permissions - Operation Allowed", access::operation_allowed),
    case!("2.18", "Permissions - Operation Not Allowed", access::operation_not_allowed),
    case!("2.19", "Permissions - Value Change Notification Allowed on Parameter", access::value_change_notification_allowed),
    case!("2.20", "Permissions - Value Change Notification Not Allowed on Parameter", access::value_change_notification_not_allowed, waits: true),
    case!("2.21", "Permissions - Overlapping Permissions", access::overlapping_permissions),
    case!("2.22", "Using Get when no read permissions are available on some parameters", access::get_without_read_permission_on_some_parameters),
    case!("2.23", "Permissions - Add message with search path, allow partial true, required parameters fail", access::add_with_search_path_allow_partial_true, second: TRUSTED),
    case!("2.24", "Permissions - Add message with search path, allow partial false, required parameters fail", access::add_with_search_path_allow_partial_false, second: TRUSTED),
    case!("2.25", "Permissions - Parameter within added object not allowed, omitted", access::parameter_within_added_object_omitted),
    case!("2.26", "Permissions - Parameter within added object not allowed, included", access::parameter_within_added_object_included),
    case!("2.27", "Use of SecuredRole", access::secured_role, second: TRUSTED),
    case!("4.1", "Use of X.509 certificates at the MTP layer", secure::x509_certificates_at_the_mtp_layer, tls: Some(Credential::Good)),
];
