//! The settings of `ingest-api`.

use std::net::SocketAddr;

use clap::{CommandFactory, Parser, ValueEnum};
use jiff::SignedDuration;
use pisync_core::{
    crash::CrashSettings,
    settings::{self, LogSettings, MongoSettings, RedisSettings},
};

use crate::{cursor::CursorKey, cursor_key};

/// Accepts sync events over HTTP and queues them in Redis; serves history and fleet views
#[derive(Debug, Clone, Parser)]
#[command(name = "ingest-api", version)]
pub struct Config {
    /// Address to listen on
    #[arg(long, env = "PISYNC_BIND", default_value = "127.0.0.1:8080")]
    pub bind: SocketAddr,
    /// Events that may wait in the queue; beyond, devices are asked to come back later
    #[arg(long, env = "PISYNC_MAX_QUEUE", default_value_t = 2_000_000, value_parser = clap::value_parser!(u64).range(1..))]
    pub max_queue: u64,
    /// Who may call: needed for an address beyond loopback
    #[arg(long, env = "PISYNC_AUTH", value_enum)]
    pub auth: Option<Auth>,
    /// File with the key that cursors are sealed with, 32 bytes or more; else all processes share one in Redis
    #[arg(long, env = "PISYNC_CURSOR_KEY_FILE", value_name = "FILE", value_parser = cursor_key::from_file)]
    pub cursor_key_file: Option<CursorKey>,
    /// How long nothing is heard of a device until it is silent: hours, or such as 90m
    #[arg(long, env = "PISYNC_SILENT_AFTER", default_value = "24h", value_parser = silent_after)]
    pub silent_after: SignedDuration,
    /// Where events wait.
    #[command(flatten)]
    pub redis: RedisSettings,
    /// Where events rest.
    #[command(flatten)]
    pub mongo: MongoSettings,
    /// Where to die, in tests of the system.
    #[command(flatten)]
    pub crash: CrashSettings,
    /// Where the log goes.
    #[command(flatten)]
    pub log: LogSettings,
}

/// Who may call the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Auth {
    /// Everyone who reaches the address.
    Off,
}

impl Config {
    /// Ends the process where the API would be open to a network and nobody has said that it may.
    pub fn refuse_open_door(&self) {
        if !self.bind.ip().is_loopback() && self.auth.is_none() {
            let message = format!(
                "--bind (PISYNC_BIND) {} is beyond loopback: say --auth off (PISYNC_AUTH) to let everyone in \
                 who reaches it, for example where a gateway checks callers",
                self.bind
            );
            settings::reject(&mut Self::command(), message);
        }
    }
}

/// A number of hours, or a duration with its units, from a minute to 400 days.
fn silent_after(text: &str) -> Result<SignedDuration, &'static str> {
    let hours = text.parse::<u32>().ok().map(|hours| SignedDuration::from_hours(hours.into()));
    let duration = hours.or_else(|| text.parse().ok());
    let fits = SignedDuration::from_mins(1)..=SignedDuration::from_hours(400 * 24);
    duration.filter(|duration| fits.contains(duration)).ok_or("hours, or such as 36h or 90m, from 1m to 9600h")
}
