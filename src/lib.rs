//! usp-agent: a USP (TR-369) agent for OpenWrt and prplOS routers.
//!
//! The rooms, and who may use whom (`tests/architecture.rs` holds it):
//!
//! ```text
//! cli -> { demo, daemon, agent, mtp, config, store, model, backend, usp, path, order, task }
//! demo -> { daemon, mtp, config, model, backend, usp, path, order, task }
//! daemon -> { agent, mtp, config, store, model, backend, usp, calendar, order, task }
//! agent -> { model, usp, path, store, backend, certificate, base64, calendar, order }
//! model -> { path, backend, usp::fault, certificate, base64, calendar, order }
//! mtp -> { usp::endpoint_id, config, certificate, base64, calendar, order }
//! config -> { backend, certificate, base64, usp::endpoint_id }
//! store -> { backend }
//! backend -> { order }
//! certificate -> { base64, calendar }
//! usp, path, base64, calendar, order, task -> nothing of ours
//! ```
//!
//! * [`usp`]: the wire vocabulary: records, messages, faults, endpoint ids.
//! * [`path`]: the path grammar of USP.
//! * [`backend`]: what can be asked of a router: ubus, UCI, files.
//! * [`model`]: the supported data model and how it is read and written.
//! * [`agent`]: decisions only: what a message means and what follows from it.
//! * [`mtp`]: bytes in, bytes out, connected or lost.
//! * [`daemon`]: sockets, clock and tasks around the agent.
//! * [`certificate`]: what a certificate says: names, dates, serial number.
//! * [`calendar`]: dateTime and seconds since 1970.
//! * [`task`]: tasks on the one thread.
//! * [`order`]: sorting and sorted collections that cost little flash.
//! * `demo`: a simulated router and a small controller.
//! * [`cli`]: one file per verb.

pub mod agent;
pub mod backend;
pub mod base64;
pub mod calendar;
pub mod certificate;
pub mod cli;
pub mod config;
pub mod daemon;
#[cfg(feature = "demo")]
pub mod demo;
pub mod model;
pub mod mtp;
pub mod order;
pub mod path;
pub mod store;
pub mod task;
pub mod usp;
