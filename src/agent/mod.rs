//! Decisions only.
pub mod access;
pub mod date;
pub mod pattern;
pub mod settings;
pub mod timers;
