//! The settings of `ingest-api`.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use clap::{Args, Parser};
use jiff::SignedDuration;
use pisync_core::{
    crash::CrashSettings,
    settings::{self, LogSettings, MongoSettings, RedisSettings},
};

use crate::{
    commands::Command,
    http::{
        SiteSettings,
        auth::{Auth, KeySettings},
        cors::Origin,
        limits::LimitSettings,
    },
};

/// Accepts sync events over HTTP and queues them in Redis; serves history and fleet views; with a command, runs
/// that instead
#[derive(Debug, Clone, Parser)]
#[command(name = "ingest-api", version)]
pub struct Config {
    /// Command to run instead of serving.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// Address to listen on
    #[arg(long, env = "PISYNC_BIND", default_value = "127.0.0.1:8080", value_parser = settings::address)]
    pub bind: SocketAddr,
    /// Maximum number of events in the queue, 1 to 1000000000; beyond it, devices get a 503 and retry later
    #[arg(long, env = "PISYNC_MAX_QUEUE", default_value_t = 2_000_000, value_parser = clap::value_parser!(u64).range(1..=1_000_000_000))]
    pub max_queue: u64,
    /// Maximum number of open connections, 1 to 1000000; further ones wait until one is closed
    #[arg(long, env = "PISYNC_MAX_CONNECTIONS", default_value_t = 4_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub max_connections: u32,
    /// Seconds a connection may be idle between requests, 1 to 3600: more than the usual 60 s of load balancers.
    /// Above 90 % of --max-connections the longest idle ones are closed
    #[arg(long, env = "PISYNC_KEEP_ALIVE", default_value_t = 75, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(1..=3_600))]
    pub keep_alive: u32,
    /// Rate limits of devices and keys.
    #[command(flatten)]
    pub limits: LimitSettings,
    /// Authentication, CORS and TLS.
    #[command(flatten)]
    pub front: FrontSettings,
    /// Files of the keys.
    #[command(flatten)]
    pub keys: KeySettings,
    /// Public address, trusted proxies and allowed hosts.
    #[command(flatten)]
    pub site: SiteSettings,
    /// File of the keys that sign sessions, links and cursors, one a line, 32 characters or more. The first
    /// signs, all verify; reloaded at SIGHUP [default: a random key, valid until the process ends]
    #[arg(long, env = "PISYNC_SIGNING_KEY_FILE", value_name = "FILE")]
    pub signing_key_file: Option<PathBuf>,
    /// File of the keys that sign cursors [default: as --signing-key-file]
    #[arg(long, env = "PISYNC_CURSOR_KEY_FILE", value_name = "FILE")]
    pub cursor_key_file: Option<PathBuf>,
    /// A device without a report for this long is silent: hours, or a duration such as 90m or 2d; 1m to 400d
    #[arg(long, env = "PISYNC_SILENT_AFTER", default_value = "24h", value_parser = silent_after)]
    pub silent_after: SignedDuration,
    /// Interval of the devices' reports, 1m to 24h: the 202 of a batch returns the seconds until the next
    /// report, so that a fleet spreads [default: not returned]
    #[arg(long, env = "PISYNC_REPORT_INTERVAL", value_parser = report_interval)]
    pub report_interval: Option<SignedDuration>,
    /// Redis, the queue.
    #[command(flatten)]
    pub redis: RedisSettings,
    /// `MongoDB`, the store.
    #[command(flatten)]
    pub mongo: MongoSettings,
    /// For tests of the system: delay from the start to the first count of devices, in milliseconds
    #[cfg_attr(feature = "failpoints", arg(long, env = "PISYNC_FIRST_RECORD_MS", default_value_t = 60_000, hide = true, value_parser = clap::value_parser!(u64).range(0..=86_400_000)))]
    #[cfg_attr(not(feature = "failpoints"), arg(skip = 60_000_u64))]
    pub first_record_ms: u64,
    /// For tests of the system: no limits on connections, bodies and costly reads
    #[cfg_attr(feature = "failpoints", arg(long, env = "PISYNC_NO_BOUNDS", hide = true))]
    #[cfg_attr(not(feature = "failpoints"), arg(skip))]
    pub no_bounds: bool,
    /// Point at which to crash, in tests of the system.
    #[command(flatten)]
    pub crash: CrashSettings,
    /// Format and level of the log.
    #[command(flatten)]
    pub log: LogSettings,
}

impl AsRef<LogSettings> for Config {
    fn as_ref(&self) -> &LogSettings {
        &self.log
    }
}

/// Authentication, CORS and TLS.
#[derive(Debug, Clone, Args)]
pub struct FrontSettings {
    /// Authentication mode: required if the address is not loopback
    #[arg(long, env = "PISYNC_AUTH", value_enum)]
    pub auth: Option<Auth>,
    /// Certificate chain for TLS, PEM, the server's own first
    #[arg(long, env = "PISYNC_TLS_CERT")]
    pub tls_cert: Option<PathBuf>,
    /// Private key of the certificate, PEM
    #[arg(long, env = "PISYNC_TLS_KEY")]
    pub tls_key: Option<PathBuf>,
    /// Origins whose pages may read the API, such as `https://fleet.example`; comma-separated
    #[arg(long = "cors-origin", env = "PISYNC_CORS_ORIGINS", value_delimiter = ',')]
    pub cors_origins: Vec<Origin>,
}

impl Config {
    /// Returns whether connections, bodies and costly reads are limited: true except in controls of tests.
    pub(crate) fn has_bounds(&self) -> bool {
        !self.no_bounds
    }

    /// Returns the delay from the start to the first count of devices.
    pub(crate) fn first_record(&self) -> Duration {
        Duration::from_millis(self.first_record_ms)
    }

    /// Exits if the API would be open to a network without an explicit `--auth`.
    pub fn require_explicit_auth(&self) {
        if !self.bind.ip().is_loopback() && self.front.auth.is_none() {
            let message = format!(
                "--bind (PISYNC_BIND) {} is beyond loopback: say --auth enforce (PISYNC_AUTH) to let in who has \
                 a key, or --auth off to let everyone in who reaches it, for example where a gateway checks callers",
                self.bind
            );
            settings::reject(message);
        }
    }
}

/// Parses a report interval, from one minute to a day.
fn report_interval(text: &str) -> Result<SignedDuration, String> {
    let fits = SignedDuration::from_mins(1)..=SignedDuration::from_hours(24);
    let interval = settings::duration(text)?;
    if fits.contains(&interval) { Ok(interval) } else { Err("from 1m to 24h".into()) }
}

/// Parses a number of hours, or a duration with units, from one minute to 400 days.
fn silent_after(text: &str) -> Result<SignedDuration, String> {
    let hours = text.parse::<u32>().ok().map(|hours| SignedDuration::from_hours(hours.into()));
    let duration = hours.map_or_else(|| settings::duration(text), Ok)?;
    let fits = SignedDuration::from_mins(1)..=SignedDuration::from_hours(400 * 24);
    if fits.contains(&duration) { Ok(duration) } else { Err("from 1m to 400d".into()) }
}
