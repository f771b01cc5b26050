//! What the naive controls have in common: settings of the servers, and where to die.

use clap::Args;
use pisync_core::{
    crash::CrashSettings,
    settings::{LogSettings, MongoSettings, RedisSettings},
};

/// The settings that both have.
#[derive(Debug, Args)]
pub struct NaiveSettings {
    /// Where to die
    #[command(flatten)]
    pub crash: CrashSettings,
    /// The queue.
    #[command(flatten)]
    pub redis: RedisSettings,
    /// The store.
    #[command(flatten)]
    pub mongo: MongoSettings,
    /// Where the log goes.
    #[command(flatten)]
    pub log: LogSettings,
}
