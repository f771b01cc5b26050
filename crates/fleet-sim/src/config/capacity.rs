//! The flags of the verbs that tell what fleets need.

use std::time::Duration;

use clap::Args;
use pisync_core::settings::MongoSettings;

use super::{duration, share};
use crate::capacity::sizing::Goal;

/// Which fleets, and what has to be reached.
#[derive(Debug, Clone, Args)]
pub struct CapacitySettings {
    /// Devices in the fleet, 1 to 1000000000; may be given several times [default: 100000, 1000000, 10000000]
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=1_000_000_000))]
    pub devices: Vec<u64>,
    /// Over how long all devices send one event each
    #[arg(long, default_value = "1m", value_parser = duration)]
    pub within: Duration,
    /// How long after the last event all rows have to be there
    #[arg(long, default_value = "1m", value_parser = duration)]
    pub drained_after: Duration,
    /// How busy anything may be, 0 to 1
    #[arg(long, default_value_t = 0.6, value_parser = share)]
    pub busy: f64,
    /// Cores of each shard's primary, 1 to 1024
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=1_024))]
    pub shard_cores: u32,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

impl CapacitySettings {
    /// What has to be reached.
    pub fn goal(&self) -> Goal {
        Goal {
            within: self.within.as_secs_f64(),
            drained_after: self.drained_after.as_secs_f64(),
            busy: self.busy.max(0.01),
            shard_cores: self.shard_cores,
        }
    }
}

/// Which database.
#[derive(Debug, Clone, Args)]
pub struct SizesSettings {
    /// Days for which rows are kept, one for each device and hour: 1 to 3650
    #[arg(long, default_value_t = 90, value_parser = clap::value_parser!(u32).range(1..=3_650))]
    pub days: u32,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    /// Where events rest.
    #[command(flatten)]
    pub mongo: MongoSettings,
}
