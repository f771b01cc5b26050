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

/// Takes batches from the Redis lists, writes `SyncEvent` and keeps `FailureCounter`; with a
/// command, shows and changes the queue instead
#[derive(Debug, Clone, Parser)]
#[command(name = "queue-worker", version)]
pub struct Config {
    /// What to do instead of working.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// How to work.
    #[command(flatten)]
    pub work: WorkSettings,
    /// Where events wait.
    #[command(flatten)]
    pub redis: RedisSettings,
    /// Where events rest.
    #[command(flatten)]
    pub mongo: MongoSettings,
    /// The port for operators.
    #[command(flatten)]
    pub ops: OpsSettings,
    /// Where the log goes.
    #[command(flatten)]
    pub log: LogSettings,
}

impl AsRef<LogSettings> for Config {
    fn as_ref(&self) -> &LogSettings {
        &self.log
    }
}

/// How a worker works.
#[derive(Debug, Clone, Args)]
pub struct WorkSettings {
    /// Events in one batch at the most, 1 to 10000
    #[arg(long, env = "PISYNC_BATCH", default_value_t = 1000, value_parser = clap::value_parser!(u16).range(1..=10_000))]
    pub batch: u16,
    /// How long a worker that has died keeps its batch, in milliseconds, 100 to 600000
    #[arg(long, env = "PISYNC_LEASE_MS", default_value_t = 5000, value_parser = clap::value_parser!(u64).range(100..=LONGEST_LEASE_MS))]
    pub lease_ms: u64,
    /// Batches worked on at the same time, each of another partition, 1 to 64
    #[arg(long, env = "PISYNC_LANES", default_value_t = 2, value_parser = clap::value_parser!(u8).range(1..=64))]
    pub lanes: u8,
    /// Failed syncs in a row at which the alerter is told to look at a device, 1 to 1000000
    #[arg(long, env = "PISYNC_ALERT_THRESHOLD", default_value_t = 3, value_parser = clap::value_parser!(i32).range(1..=1_000_000))]
    pub threshold: i32,
    /// Maximum number of devices tracked for last-seen, 1 to 1000000000. Reports from others are still stored
    #[arg(long, env = "PISYNC_MAX_DEVICES", default_value = "5000000", value_parser = up_to_a_billion())]
    pub max_devices: NonZeroU64,
    /// Days for which events are kept, 1 to 3650, the same in every worker; for ever if it is left out
    #[arg(long, env = "PISYNC_RETAIN_DAYS", value_parser = clap::value_parser!(u16).range(1..=3_650))]
    pub retain_days: Option<u16>,
    /// Where to die, in tests of the system.
    #[command(flatten)]
    pub crash: CrashSettings,
}

impl WorkSettings {
    /// How long a lease lasts unless it is extended.
    pub fn lease(&self) -> Duration {
        Duration::from_millis(self.lease_ms)
    }
}

fn up_to_a_billion() -> impl TypedValueParser<Value = NonZeroU64> {
    clap::value_parser!(u64).range(1..=1_000_000_000).try_map(NonZeroU64::try_from)
}
