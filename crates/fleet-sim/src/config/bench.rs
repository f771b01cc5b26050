//! The flags of the commands of the benchmark.

use std::time::Duration;

use clap::{Args, ValueEnum};
use jiff::Timestamp;
use pisync_core::settings::{MongoSettings, RedisSettings};

use super::{FleetSettings, PostSettings, device_prefix, duration};

/// The settings of `fill`: the events to push to the queue, without the API.
#[derive(Debug, Clone, Args)]
pub struct FillSettings {
    /// The fleet.
    #[command(flatten)]
    pub fleet: FleetSettings,
    /// The queue.
    #[command(flatten)]
    pub redis: RedisSettings,
    /// Print the closing figures as one JSON object
    #[arg(long)]
    pub json: bool,
}

/// The settings of `load`: the events to store in `MongoDB`, without API and queue.
#[derive(Debug, Clone, Args)]
pub struct LoadSettings {
    /// The fleet.
    #[command(flatten)]
    pub fleet: FleetSettings,
    /// Rows in one insert, 1 to 10000
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub batch: u32,
    /// Concurrent inserts, each of other devices, 1 to 64
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=64))]
    pub tasks: u32,
    /// Time at which the failure counters are written; there must be none of these devices yet
    #[arg(long, value_enum, default_value = "none")]
    pub counters: Counters,
    /// The database.
    #[command(flatten)]
    pub mongo: MongoSettings,
    /// Print the closing figures as one JSON object
    #[arg(long)]
    pub json: bool,
}

/// The time at which the failure counters are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Counters {
    /// Never: rows alone.
    None,
    /// With every insert, one update for each of its rows.
    Each,
    /// Once, after all rows; this is not measured.
    Last,
}

/// The settings of `latency`: the rate of the events, and the sample whose rows it waits for.
#[derive(Debug, Clone, Args)]
pub struct LatencySettings {
    /// Events per second, 1 to 1000000
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub rate: u32,
    /// Duration in seconds, 1 to 3600
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=3_600))]
    pub seconds: u32,
    /// Maximum number of events per second whose rows are waited for, 1 to 1000000
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub sample: u32,
    /// Timeout for a row, from the last event on
    #[arg(long, default_value = "30s", value_parser = duration)]
    pub patience: Duration,
    /// Devices in the fleet, 1 to 10000000, which report in turn
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    pub devices: u32,
    /// Prefix of all device ids [default: random]
    #[arg(long, value_parser = device_prefix)]
    pub device_prefix: Option<String>,
    /// Time of the first round, RFC 3339 [default: so that the last round is now]
    #[arg(long)]
    pub start: Option<Timestamp>,
    /// The API.
    #[command(flatten)]
    pub posting: PostSettings,
    /// The database.
    #[command(flatten)]
    pub mongo: MongoSettings,
}

/// The settings of `sizes`: the database to measure.
#[derive(Debug, Clone, Args)]
pub struct SizesSettings {
    /// Retention of rows in days, with one row for each device and hour: 1 to 3650
    #[arg(long, default_value_t = 90, value_parser = clap::value_parser!(u32).range(1..=3_650))]
    pub days: u32,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    /// The database.
    #[command(flatten)]
    pub mongo: MongoSettings,
}
