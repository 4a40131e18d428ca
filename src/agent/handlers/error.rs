//! Error: what a request gets that could not be processed; and what a controller says of our Notify.
//!
//! An Error in answer to a Notify is no delivery: the notification is tried again (R-NOT.1).

use super::{Asker, Refusal};
use crate::usp::message;
use crate::usp::wire::msg::Error;
use bytes::Bytes;

/// A controller refused something of ours.
pub fn handle(asker: &Asker, msg_id: &str, error: &Error) {
    log::warn!(
        "controller={} answered {msg_id} with error {} (\"{}\")",
        asker.controller,
        error.err_code,
        error.err_msg.replace('"', "\\\"")
    );
}

/// The encoded Error that answers the request `msg_id`.
pub fn encode(msg_id: &str, refusal: &Refusal) -> Bytes {
    let params = refusal.params.iter().map(|(path, fault)| message::param_error(path.as_str(), fault));
    message::error(msg_id, &refusal.fault, params.collect())
}
