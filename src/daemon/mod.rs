//! Sockets, clock and tasks around the agent.

pub mod operations;
