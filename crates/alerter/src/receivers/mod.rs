//! Where messages go: one file for each kind of receiver.

pub(crate) mod alertmanager;
pub(crate) mod email;
mod http;
pub mod log;
pub(crate) mod pagerduty;
pub(crate) mod payload;
pub(crate) mod slack;
pub(crate) mod webhook;

pub use self::http::Ping;
