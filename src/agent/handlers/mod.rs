//! One file per message. Each has the same parts in the same order: what the message asks, in words; `handle`;
//! then what it is made of.
//!
//! A handler answers and changes the model; sending, notifying and rebooting are left to the agent, which does
//! them after the answer.

pub mod add;
pub mod delete;
pub mod error;
pub mod get;
pub mod get_instances;
pub mod get_supported_dm;
pub mod get_supported_protocol;
pub mod notify_resp;
pub mod operate;
pub mod set;

use super::access::Access;
use crate::model::{Permit, Rights};
use crate::path::{self, Dialect};
use crate::usp::fault::{Code, Fault};
use crate::usp::wire::msg::response::RespType;
use std::collections::BTreeMap;
use std::rc::Rc;

/// Who asks.
#[derive(Debug, Clone)]
pub struct Asker {
    /// The controller's section.
    pub controller: Rc<str>,
    /// Its Endpoint ID.
    pub endpoint_id: Box<str>,
    /// What it may do.
    pub access: Rc<Access>,
    /// It takes the supported model for what is there ([`super::settings::Controller::walks`]).
    pub walks: bool,
}

impl Asker {
    /// The owner of the router, not a controller.
    pub fn is_owner(&self) -> bool {
        self.controller.is_empty()
    }
}

/// A response, or an Error in its place.
pub type Outcome = Result<RespType, Refusal>;

/// An Error message: what was wrong, and with which objects or parameters (full paths).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The error of the message.
    pub fault: Fault,
    /// What failed in particular.
    pub params: Vec<(String, Fault)>,
}

impl From<Fault> for Refusal {
    fn from(fault: Fault) -> Self {
        Self { fault, params: Vec::new() }
    }
}

impl Refusal {
    /// One path is at fault.
    pub fn of(path: impl Into<String>, fault: Fault) -> Self {
        Self { fault: fault.clone(), params: vec![(path.into(), fault)] }
    }
}

/// The table whose rows belong to who makes them.
pub(super) const SUBSCRIPTIONS: &str = "Device.LocalAgent.Subscription.";

/// What failed in one object of a Set or Add: parameters relative to it.
pub(super) type Failures = Vec<(String, Fault)>;

/// The error of an object in which required parameters failed (7021), or were forbidden (7006, TP-469 2.26).
pub(super) fn required_failed(failures: &Failures) -> Fault {
    match failures.first() {
        Some((_, fault)) if fault.code == Code::PermissionDenied => fault.clone(),
        Some((name, fault)) => Fault::new(Code::RequiredParameterFailed, format!("{name}: {}", fault.text)),
        None => Fault::new(Code::RequiredParameterFailed, "a required parameter failed"),
    }
}

/// A path that searches may match nothing.
pub(super) fn is_search(text: &str) -> bool {
    path::parse(text, Dialect::LENIENT).is_ok_and(|p| p.is_search())
}

/// The caller may read this parameter; `name` may reach into sub-objects (`WebSocket.Port`).
pub(super) fn readable(access: &Access, object: &str, name: &str) -> bool {
    match name.rsplit_once('.') {
        Some((below, name)) => access.element(&format!("{object}{below}."), name).allow(Rights::PARAM_READ),
        None => access.element(object, name).allow(Rights::PARAM_READ),
    }
}

/// Pairs as the map of a message; of a name given twice the last counts.
pub(super) fn map<K: Into<String>>(pairs: impl IntoIterator<Item = (K, String)>) -> BTreeMap<String, String> {
    // One by one: `collect` would sort them first, by a sort of their own.
    let mut map = BTreeMap::new();
    for (name, value) in pairs {
        map.insert(name.into(), value);
    }
    map
}
