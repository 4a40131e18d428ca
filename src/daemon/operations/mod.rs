//! The long-running operations that Operate starts: each runs as a task of its own and comes back as an input.

pub mod ip_ping;
