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

/// Accepts sync events over HTTP and queues them in Redis; serves history and fleet views; with a
/// command, does that instead
#[derive(Debug, Clone, Parser)]
#[command(name = "ingest-api", version)]
pub struct Config {
    /// What to do instead of serving.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// Address to listen on
    #[arg(long, env = "PISYNC_BIND", default_value = "127.0.0.1:8080", value_parser = settings::address)]
    pub bind: SocketAddr,
    /// Events that may wait in the queue, 1 to 1000000000; beyond, devices are asked to come back later
    #[arg(long, env = "PISYNC_MAX_QUEUE", default_value_t = 2_000_000, value_parser = clap::value_parser!(u64).range(1..=1_000_000_000))]
    pub max_queue: u64,
    /// Connections that may be open, 1 to 1000000; more wait until one is closed
    #[arg(long, env = "PISYNC_MAX_CONNECTIONS", default_value_t = 4_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub max_connections: u32,
    /// Seconds that a connection may rest between requests, 1 to 3600: more than the 60 s of usual
    /// balancers. Above 90 % of --max-connections those that have waited longest are closed
    #[arg(long, env = "PISYNC_KEEP_ALIVE", default_value_t = 75, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(1..=3_600))]
    pub keep_alive: u32,
    /// How much a device and a key may send.
    #[command(flatten)]
    pub limits: LimitSettings,
    /// What stands before the routes.
    #[command(flatten)]
    pub front: FrontSettings,
    /// Where keys are.
    #[command(flatten)]
    pub keys: KeySettings,
    /// How the server is reached.
    #[command(flatten)]
    pub site: SiteSettings,
    /// File with the keys that sessions, links and cursors are sealed with, one in each line, 32 characters
    /// or more; the first seals, all open; read again at SIGHUP [default: a key that ends with the process]
    #[arg(long, env = "PISYNC_SIGNING_KEY_FILE", value_name = "FILE")]
    pub signing_key_file: Option<PathBuf>,
    /// The same for cursors alone [default: as --signing-key-file]
    #[arg(long, env = "PISYNC_CURSOR_KEY_FILE", value_name = "FILE")]
    pub cursor_key_file: Option<PathBuf>,
    /// How long nothing is heard of a device until it is silent: hours, or such as 90m or 2d; 1m to 400d
    #[arg(long, env = "PISYNC_SILENT_AFTER", default_value = "24h", value_parser = silent_after)]
    pub silent_after: SignedDuration,
    /// How often devices report, 1m to 24h: the 202 of a batch tells its device in how many seconds to
    /// come again, so that a fleet spreads [default: it does not]
    #[arg(long, env = "PISYNC_REPORT_INTERVAL", value_parser = report_interval)]
    pub report_interval: Option<SignedDuration>,
    /// Where events wait.
    #[command(flatten)]
    pub redis: RedisSettings,
    /// Where events rest.
    #[command(flatten)]
    pub mongo: MongoSettings,
    /// For tests of the system: how long after the start the devices are counted for the first
    /// time, in milliseconds
    #[cfg_attr(feature = "failpoints", arg(long, env = "PISYNC_FIRST_RECORD_MS", default_value_t = 60_000, hide = true, value_parser = clap::value_parser!(u64).range(0..=86_400_000)))]
    #[cfg_attr(not(feature = "failpoints"), arg(skip = 60_000_u64))]
    pub first_record_ms: u64,
    /// For tests of the system: serve without bounds on connections, bodies and costly reads
    #[cfg_attr(feature = "failpoints", arg(long, env = "PISYNC_NO_BOUNDS", hide = true))]
    #[cfg_attr(not(feature = "failpoints"), arg(skip))]
    pub no_bounds: bool,
    /// Where to die, in tests of the system.
    #[command(flatten)]
    pub crash: CrashSettings,
    /// Where the log goes.
    #[command(flatten)]
    pub log: LogSettings,
}

impl AsRef<LogSettings> for Config {
    fn as_ref(&self) -> &LogSettings {
        &self.log
    }
}

/// What stands before the routes.
#[derive(Debug, Clone, Args)]
pub struct FrontSettings {
    /// Who may call: needed for an address beyond loopback
    #[arg(long, env = "PISYNC_AUTH", value_enum)]
    pub auth: Option<Auth>,
    /// Certificates for TLS, PEM, the server's own first
    #[arg(long, env = "PISYNC_TLS_CERT")]
    pub tls_cert: Option<PathBuf>,
    /// Key of the certificate, PEM
    #[arg(long, env = "PISYNC_TLS_KEY")]
    pub tls_key: Option<PathBuf>,
    /// Origins whose pages may read, such as `https://fleet.example`; several with commas
    #[arg(long = "cors-origin", env = "PISYNC_CORS_ORIGINS", value_delimiter = ',')]
    pub cors_origins: Vec<Origin>,
}

impl Config {
    /// Returns whether connections, bodies and costly reads are bounded: always but in controls of tests.
    pub(crate) fn has_bounds(&self) -> bool {
        !self.no_bounds
    }

    /// Returns how long after the start the devices are counted for the first time.
    pub(crate) fn first_record(&self) -> Duration {
        Duration::from_millis(self.first_record_ms)
    }

    /// Ends the process where the API would be open to a network and nobody has said that it may.
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

/// From a minute to a day.
fn report_interval(text: &str) -> Result<SignedDuration, String> {
    let fits = SignedDuration::from_mins(1)..=SignedDuration::from_hours(24);
    let interval = settings::duration(text)?;
    if fits.contains(&interval) { Ok(interval) } else { Err("from 1m to 24h".into()) }
}

/// A number of hours, or a duration with its units, from a minute to 400 days.
fn silent_after(text: &str) -> Result<SignedDuration, String> {
    let hours = text.parse::<u32>().ok().map(|hours| SignedDuration::from_hours(hours.into()));
    let duration = hours.map_or_else(|| settings::duration(text), Ok)?;
    let fits = SignedDuration::from_mins(1)..=SignedDuration::from_hours(400 * 24);
    if fits.contains(&duration) { Ok(duration) } else { Err("from 1m to 400d".into()) }
}
