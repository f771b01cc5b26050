//! The settings of `alerter`.

use std::path::PathBuf;

use clap::Parser;
use croner::Cron;
use pisync_core::{
    ops::OpsSettings,
    settings::{LogSettings, MongoSettings, RedisSettings},
};

/// Turns failure counters into alerts, one message per incident
#[derive(Debug, Clone, Parser)]
#[command(name = "alerter", version)]
pub struct Config {
    /// When to look at all counters: five cron fields, in UTC
    #[arg(long, env = "PISYNC_ALERT_SCHEDULE", default_value = "* * * * *")]
    pub schedule: Cron,
    /// Failed syncs in a row at which a device is alerted
    #[arg(long, env = "PISYNC_ALERT_THRESHOLD", default_value_t = 3, value_parser = clap::value_parser!(i32).range(1..))]
    pub threshold: i32,
    /// File that gets one JSON line per message, appended and flushed to disk
    #[arg(long, env = "PISYNC_ALERT_LOG", default_value = "alerts.log")]
    pub alert_log: PathBuf,
    /// Look once, send what is due, and end: 0 if all went well, 1 if not
    #[arg(long)]
    pub once: bool,
    /// Where events wait; only the hints of the workers are read.
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
