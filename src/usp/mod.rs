//! The wire vocabulary of USP 1.4: records, messages, faults and endpoint ids.
//!
//! Nothing here knows what a message does; that is `agent`.

pub mod endpoint_id;
pub mod fault;
mod fields;
pub mod message;
pub mod record;
pub mod shown;
#[allow(missing_docs, clippy::all, clippy::pedantic, unreachable_pub)]
#[rustfmt::skip]
pub mod wire;
