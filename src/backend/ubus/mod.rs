//! A client of ubus, OpenWrt's message bus, in plain Rust: no libubus, no C.
//!
//! ```no_run
//! # use std::{path::PathBuf, time::Duration};
//! # use usp_agent::backend::{Table, ubus::Client};
//! # async fn example() {
//! let (changes, mut changed) = tokio::sync::mpsc::channel(64);
//! let (client, driver) = Client::new(PathBuf::from("/var/run/ubus/ubus.sock"), Duration::from_secs(3), changes);
//! tokio::task::spawn_local(driver.run());
//! client.watch_event("network.interface");
//! let board = client.call("system", "board", &Table::default()).await;
//! let change = changed.recv().await;
//! # }
//! ```
//!
//! * [`Client`]: calls, lookups, events, notifications, own objects; a cheap handle, single-threaded.
//! * [`Driver`]: the one future that owns the socket; it reconnects by itself for ever.
//! * [`blobmsg`] and [`json`]: typed tables to and from the wire and JSON.
//! * [`message`] and [`socket`]: the messages of the bus and how they lie in a stream of bytes.
//!
//! The room refuses to guess: an answer over its limits is an error, a peer that breaks the
//! framing is hung up on, and a provider that does not answer costs its own call only.

pub mod blobmsg;
mod client;
mod driver;
pub mod json;
pub mod message;
mod object;
pub mod signature;
pub mod socket;
mod state;

pub use client::{Calls, Client};
pub use driver::Driver;
pub use object::Invocation;
pub use signature::Signature;

/// Where ubusd listens since OpenWrt 21.02.
pub const SOCKET: &str = "/var/run/ubus/ubus.sock";
