//! The common settings of the naive controls: the servers, and a point to crash at.

use clap::Args;
use pisync_core::{
    crash::CrashSettings,
    settings::{LogSettings, MongoSettings, RedisSettings},
};

/// The settings of both controls.
#[derive(Debug, Args)]
pub struct NaiveSettings {
    /// The point at which the process kills itself.
    #[command(flatten)]
    pub crash: CrashSettings,
    /// The queue.
    #[command(flatten)]
    pub redis: RedisSettings,
    /// The store.
    #[command(flatten)]
    pub mongo: MongoSettings,
    /// The format and level of the log.
    #[command(flatten)]
    pub log: LogSettings,
}
