//! The settings of `queue-worker`.

use std::time::Duration;

use clap::{Args, Parser};
use pisync_core::settings::{LogSettings, MongoSettings, RedisSettings};

/// Takes batches from the Redis lists, writes `SyncEvent` and keeps `FailureCounter`
#[derive(Debug, Clone, Parser)]
#[command(name = "queue-worker", version)]
pub struct Config {
    /// How to work.
    #[command(flatten)]
    pub work: WorkSettings,
    /// Where events wait.
    #[command(flatten)]
    pub redis: RedisSettings,
    /// Where events rest.
    #[command(flatten)]
    pub mongo: MongoSettings,
    /// Where the log goes.
    #[command(flatten)]
    pub log: LogSettings,
}

/// How a worker works.
#[derive(Debug, Clone, Args)]
pub struct WorkSettings {
    /// Events in one batch at the most, 1 to 10000
    #[arg(long, env = "PISYNC_BATCH", default_value_t = 1000, value_parser = clap::value_parser!(u16).range(1..=10_000))]
    pub batch: u16,
    /// How long a worker that has died keeps its batch, in milliseconds, 100 to 600000
    #[arg(long, env = "PISYNC_LEASE_MS", default_value_t = 5000, value_parser = clap::value_parser!(u64).range(100..=600_000))]
    pub lease_ms: u64,
    /// Batches worked on at the same time, each of another partition, 1 to 64
    #[arg(long, env = "PISYNC_LANES", default_value_t = 2, value_parser = clap::value_parser!(u8).range(1..=64))]
    pub lanes: u8,
    /// Failed syncs in a row at which the alerter is told to look at a device
    #[arg(long, env = "PISYNC_ALERT_THRESHOLD", default_value_t = 3, value_parser = clap::value_parser!(i32).range(1..))]
    pub threshold: i32,
}

impl WorkSettings {
    /// How long a lease lasts unless it is extended.
    pub fn lease(&self) -> Duration {
        Duration::from_millis(self.lease_ms)
    }
}
