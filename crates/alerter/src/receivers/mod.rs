//! Where messages go.

pub mod log;
