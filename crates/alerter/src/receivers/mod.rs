//! Where messages go: one file for each kind of receiver.

pub(crate) mod alertmanager;
pub(crate) mod email;
mod fleet_wording;
mod http;
pub(crate) mod labels;
pub mod log;
pub(crate) mod pagerduty;
mod payload;
mod ping;
pub(crate) mod slack;
pub(crate) mod webhook;
mod wording;

pub use ping::Ping;
pub use wording::Links;
pub(crate) use wording::{Wording, in_words, subject};
