//! The flags of the verbs that the benchmark uses.

use std::time::Duration;

use clap::{Args, ValueEnum};
use jiff::Timestamp;
use pisync_core::settings::{MongoSettings, RedisSettings};

use super::{FleetSettings, PostSettings, device_prefix, duration};

/// Which events to put into the queue, past the API.
#[derive(Debug, Clone, Args)]
pub struct FillSettings {
    /// Which fleet.
    #[command(flatten)]
    pub fleet: FleetSettings,
    /// Where events wait.
    #[command(flatten)]
    pub redis: RedisSettings,
    /// Print the closing figures as one JSON object
    #[arg(long)]
    pub json: bool,
}

/// Which events to put into `MongoDB`, past API and queue.
#[derive(Debug, Clone, Args)]
pub struct LoadSettings {
    /// Which fleet.
    #[command(flatten)]
    pub fleet: FleetSettings,
    /// Rows in one insert, 1 to 10000
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub batch: u32,
    /// Inserts at the same time, each of other devices, 1 to 64
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=64))]
    pub tasks: u32,
    /// When the failure counters are written; there must be none of these devices yet
    #[arg(long, value_enum, default_value = "none")]
    pub counters: Counters,
    /// Where events rest.
    #[command(flatten)]
    pub mongo: MongoSettings,
    /// Print the closing figures as one JSON object
    #[arg(long)]
    pub json: bool,
}

/// When the failure counters are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Counters {
    /// Never: rows alone.
    None,
    /// With every insert, one update for each of its rows.
    Each,
    /// Once, after all rows; this is not measured.
    Last,
}

/// At which rate to post, and whose row to wait for.
#[derive(Debug, Clone, Args)]
pub struct LatencySettings {
    /// Events per second, 1 to 1000000
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub rate: u32,
    /// For how many seconds, 1 to 3600
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=3_600))]
    pub seconds: u32,
    /// How many events of a second are watched until they have their row, 1 to 1000000, at the most
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub sample: u32,
    /// How long a row is waited for after the last event
    #[arg(long, default_value = "30s", value_parser = duration)]
    pub patience: Duration,
    /// Devices in the fleet, 1 to 10000000, which report in turn
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    pub devices: u32,
    /// What all device ids begin with [default: random]
    #[arg(long, value_parser = device_prefix)]
    pub device_prefix: Option<String>,
    /// Time of the first round, RFC 3339 [default: so that the last round is now]
    #[arg(long)]
    pub start: Option<Timestamp>,
    /// Where the events go.
    #[command(flatten)]
    pub posting: PostSettings,
    /// Where events rest.
    #[command(flatten)]
    pub mongo: MongoSettings,
}

/// Which database to measure.
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
