//! What all programs of `PiSync` share: what a sync event is, where it waits, where it is stored.
//!
//! In reading order:
//! - [`models`]: events, devices, alerts and the fleet as plain values; no server is known here.
//! - `codec`: the two forms of an event, in Redis and in `MongoDB`.
//! - [`queue`]: the partitioned Redis lists between the API and the workers; `redis`: the way there.
//! - [`presence`]: what Redis knows beside the queue, such as when devices were last heard of.
//! - [`repartition`]: changing the number of partitions of both.
//! - [`store`]: the `MongoDB` collections.
//! - [`refusal_log`]: refusals are logged when they begin and when they are over.
//! - [`settings`], [`signing_keys`], [`logging`], [`shutdown`], [`exit`], [`backoff`]: what every program needs
//!   to run; [`process`]: which one it is; [`crash`] for tests of the whole.
//! - [`time`]: times as text, hours and minutes; [`text`]: numbers as everything writes them.
//! - [`metrics`], [`ops`], [`healthcheck`]: what operators see of a process, the port for it, and
//!   how a process asks itself.
//!
//! `models` ← `codec` ← `store`, `queue`; `redis` ← `queue` ← `presence`. `queue` and `store` do not know each
//! other.

mod codec;
pub mod models;

pub mod presence;
pub mod queue;
mod redis;
pub mod repartition;
pub mod store;

pub mod backoff;
pub mod crash;
pub mod exit;
pub mod healthcheck;
pub mod logging;
pub mod metrics;
pub mod ops;
pub mod process;
pub mod refusal_log;
pub mod settings;
pub mod shutdown;
pub mod signing_keys;
pub mod text;
pub mod time;
mod unreadable;
