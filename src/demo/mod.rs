//! A simulated router and a small controller, for `usp-agent demo` and for tests.
//!
//! The router speaks the real ubus protocol on a real socket and keeps real UCI files in a folder of its own; nothing
//! outside that folder is touched.

pub mod bus;
pub mod controller;
pub mod router;
