//! The settings of `queue-worker`.

use std::{num::NonZeroU64, time::Duration};

use clap::{Args, Parser, builder::TypedValueParser};
use pisync_core::{
    crash::CrashSettings,
    ops::OpsSettings,
    queue::LONGEST_LEASE_MS,
    settings::{LogSettings, MongoSettings, RedisSettings},
};

use crate::commands::Command;

/// Claims batches from the Redis lists, writes `SyncEvent` rows and keeps `FailureCounter` documents; with a
/// command, shows or changes the queue instead
#[derive(Debug, Clone, Parser)]
#[command(name = "queue-worker", version)]
pub struct Config {
    /// The command to run instead of working.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// The settings of the worker.
    #[command(flatten)]
    pub work: WorkSettings,
    /// The queue's Redis.
    #[command(flatten)]
    pub redis: RedisSettings,
    /// The store's `MongoDB`.
    #[command(flatten)]
    pub mongo: MongoSettings,
    /// The port for operators.
    #[command(flatten)]
    pub ops: OpsSettings,
    /// The log's settings.
    #[command(flatten)]
    pub log: LogSettings,
}

impl AsRef<LogSettings> for Config {
    fn as_ref(&self) -> &LogSettings {
        &self.log
    }
}

/// The settings of the worker.
#[derive(Debug, Clone, Args)]
pub struct WorkSettings {
    /// Maximum batch size in events, 1 to 10000
    #[arg(long, env = "PISYNC_BATCH", default_value_t = 1000, value_parser = clap::value_parser!(u16).range(1..=10_000))]
    pub batch: u16,
    /// Lease time of a batch in milliseconds, 100 to 600000: a dead worker's batch is claimed again afterwards
    #[arg(long, env = "PISYNC_LEASE_MS", default_value_t = 5000, value_parser = clap::value_parser!(u64).range(100..=LONGEST_LEASE_MS))]
    pub lease_ms: u64,
    /// Number of batches processed at the same time, each of another partition, 1 to 64
    #[arg(long, env = "PISYNC_LANES", default_value_t = 2, value_parser = clap::value_parser!(u8).range(1..=64))]
    pub lanes: u8,
    /// Consecutive failed syncs at which the alerter is hinted to evaluate a device, 1 to 1000000
    #[arg(long, env = "PISYNC_ALERT_THRESHOLD", default_value_t = 3, value_parser = clap::value_parser!(i32).range(1..=1_000_000))]
    pub threshold: i32,
    /// Maximum number of devices tracked for last-seen, 1 to 1000000000. Reports from others are still stored
    #[arg(long, env = "PISYNC_MAX_DEVICES", default_value = "5000000", value_parser = up_to_a_billion())]
    pub max_devices: NonZeroU64,
    /// Retention of events in days, 1 to 3650, the same in every worker; unlimited if omitted
    #[arg(long, env = "PISYNC_RETAIN_DAYS", value_parser = clap::value_parser!(u16).range(1..=3_650))]
    pub retain_days: Option<u16>,
    /// The crash points, for tests of the system.
    #[command(flatten)]
    pub crash: CrashSettings,
}

impl WorkSettings {
    /// Returns the time that a lease lasts unless it is extended.
    pub fn lease(&self) -> Duration {
        Duration::from_millis(self.lease_ms)
    }
}

fn up_to_a_billion() -> impl TypedValueParser<Value = NonZeroU64> {
    clap::value_parser!(u64).range(1..=1_000_000_000).try_map(NonZeroU64::try_from)
}
