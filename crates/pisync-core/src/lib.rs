//! The code that all programs of `PiSync` share: the models, the queue, the store and the settings.
//!
//! In reading order:
//! - [`models`]: events, devices, alerts and the fleet as plain values, without any server.
//! - `codec`: the two forms of an event, in Redis and in `MongoDB`.
//! - [`queue`]: the partitioned Redis lists between the API and the workers; `redis`: the connection to it.
//! - [`presence`]: data in Redis beside the queue, such as the last-seen times of devices.
//! - [`repartition`]: changing the number of partitions of both.
//! - [`store`]: the `MongoDB` collections.
//! - [`refusal_log`]: logs when refusals begin and end.
//! - [`settings`], [`signing_keys`], [`logging`], [`shutdown`], [`exit`], [`backoff`]: basics of every
//!   program; [`process`]: its name; [`crash`] for tests of the whole.
//! - [`time`]: times as text, hours and minutes; [`text`]: numbers as text.
//! - [`metrics`], [`ops`], [`healthcheck`]: the metrics of a process, its port for operators, and its
//!   own health check.
//!
//! `models` ← `codec` ← `store`, `queue`; `redis` ← `queue` ← `presence`. `queue` and `store` do not depend on each
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
