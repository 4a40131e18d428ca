//! See ARCHITECTURE.md.

pub mod bus;
