//! The settings of `alerter`.

use std::path::PathBuf;

use clap::{Parser, Subcommand};
use croner::Cron;
use pisync_core::{
    healthcheck::Healthcheck,
    ops::OpsSettings,
    settings::{LogSettings, MongoSettings, RedisSettings},
};

/// Turns failure counters into alerts, one message per incident; with a command, does that instead
#[derive(Debug, Clone, Parser)]
#[command(name = "alerter", version)]
pub struct Config {
    /// What to do instead of watching.
    #[command(subcommand)]
    pub command: Option<Command>,
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

/// The operator's verbs.
#[derive(Debug, Clone, Subcommand)]
pub enum Command {
    /// Ask the process at --ops-bind of this machine whether it is well: 0 if so, 1 if not
    Healthcheck(Healthcheck),
}
