//! The shared language of `PiSync`: what a sync event is, where it waits, where it rests.
//!
//! In reading order:
//! - [`models`]: events, counters and alerts as plain values; no server is known here.
//! - [`queue`]: the partitioned Redis lists between the API and the workers.
//! - [`store`]: the `MongoDB` collections.
//! - [`refusal_log`]: what is refused is logged when it begins and when it is over.
//! - [`settings`], [`signing_keys`], [`logging`], [`shutdown`], [`backoff`]: what every binary needs to run; [`crash`]
//!   for tests of the whole.
//! - [`text`]: numbers and times as everything writes them.
//! - [`metrics`], [`ops`], [`healthcheck`]: what operators see of a process, the port for it, and
//!   how a process asks itself.
//!
//! `queue` and `store` use `models` and do not know each other.

pub mod models;

pub mod queue;
mod redis_url;
pub mod store;

pub mod backoff;
pub mod crash;
pub mod healthcheck;
pub mod logging;
pub mod metrics;
pub mod ops;
pub mod refusal_log;
pub mod settings;
pub mod shutdown;
pub mod signing_keys;
pub mod text;
mod unreadable;
