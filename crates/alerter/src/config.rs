//! The settings of `alerter`.

use std::{path::PathBuf, time::Duration};

use clap::Parser;
#[cfg(feature = "failpoints")]
use clap::builder::TypedValueParser;
use croner::Cron;
use pisync_core::{
    crash::CrashSettings,
    ops::OpsSettings,
    settings::{LogSettings, MongoSettings, RedisSettings},
};
use reqwest::Url;

use crate::{commands::Command, tables::values};

/// Turns failure counters into alerts, one message per incident; with a command, runs that instead
#[derive(Debug, Clone, Parser)]
#[command(name = "alerter", version)]
pub struct Config {
    /// The command to run instead of watching.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// Schedule of the ticks: five cron fields, in UTC. With --once, the schedule of the runs, so that pages
    /// can show that a run is missing
    #[arg(long, env = "PISYNC_ALERT_SCHEDULE", default_value = "* * * * *")]
    pub schedule: Cron,
    /// Consecutive failed syncs at which a device's alert fires, 1 to 1000000
    #[arg(long, env = "PISYNC_ALERT_THRESHOLD", default_value_t = 3, value_parser = clap::value_parser!(i32).range(1..=1_000_000))]
    pub threshold: i32,
    /// File that gets one JSON line per alert, appended and flushed to disk
    #[arg(long, global = true, env = "PISYNC_ALERT_LOG", default_value = "alerts.log")]
    pub alert_log: PathBuf,
    /// TOML file with receivers, routes and rules; reloaded on SIGHUP. Without it alerts go to the log
    #[arg(long, global = true, env = "PISYNC_ALERT_CONFIG")]
    pub config: Option<PathBuf>,
    /// Public address of the dashboard, for the links in messages
    #[arg(long, global = true, env = "PISYNC_EXTERNAL_URL", value_parser = values::web_address)]
    pub external_url: Option<Url>,
    /// Address of a copy of docs/admins/runbook.md, for the links in messages
    #[arg(long, global = true, env = "PISYNC_RUNBOOK_URL", value_parser = values::web_address)]
    pub runbook_url: Option<Url>,
    /// Run one tick, send the due messages, and end: exit status 0 if all went well, 1 if not
    #[arg(long)]
    pub once: bool,
    /// For tests of the system: lease time of a group of messages, in milliseconds; another sender takes it
    /// over afterwards
    #[cfg_attr(feature = "failpoints", arg(long = "lease-ms", env = "PISYNC_ALERT_LEASE_MS", default_value = "30000", hide = true, value_parser = millis(100..=600_000)))]
    #[cfg_attr(not(feature = "failpoints"), arg(skip = Duration::from_secs(30)))]
    pub lease: Duration,
    /// For tests of the system: timeout of a tick, or of a read for messages, in milliseconds
    #[cfg_attr(feature = "failpoints", arg(long = "tick-timeout-ms", env = "PISYNC_ALERT_TICK_TIMEOUT_MS", default_value = "300000", hide = true, value_parser = millis(100..=3_600_000)))]
    #[cfg_attr(not(feature = "failpoints"), arg(skip = Duration::from_mins(5)))]
    pub tick_timeout: Duration,
    /// The crash points, for tests of the system.
    #[command(flatten)]
    pub crash: CrashSettings,
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

/// Returns a parser of milliseconds in this range.
#[cfg(feature = "failpoints")]
fn millis(range: std::ops::RangeInclusive<u64>) -> impl TypedValueParser<Value = Duration> {
    clap::value_parser!(u64).range(range).map(Duration::from_millis)
}
