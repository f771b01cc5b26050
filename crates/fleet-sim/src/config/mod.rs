//! The settings of `fleet-sim`: a command, and the flags of each.

mod bench;
mod scenario;

use std::{convert::Infallible, path::PathBuf, time::Duration};

use clap::{Args, Parser, Subcommand, ValueEnum};
use jiff::Timestamp;
use pisync_core::{
    models::DeviceId,
    settings::{self, LogSettings, MongoSettings, Secret},
};
use reqwest::Url;

pub use self::{
    bench::{Counters, FillSettings, LatencySettings, LoadSettings, SizesSettings},
    scenario::ScenarioSettings,
};
use crate::labels::{BadLabel, LabelChoice};

/// Simulates a fleet of devices against a running API and verifies its stored events
#[derive(Debug, Clone, Parser)]
#[command(name = "fleet-sim", version)]
pub struct Config {
    /// The command.
    #[command(subcommand)]
    pub command: Command,
    /// The format and level of the log.
    #[command(flatten)]
    pub log: LogSettings,
}

impl AsRef<LogSettings> for Config {
    fn as_ref(&self) -> &LogSettings {
        &self.log
    }
}

/// The commands.
#[derive(Debug, Clone, Subcommand)]
pub enum Command {
    /// Post the reports of a fleet; exits 1 unless every event was accepted
    Run(RunSettings),
    /// Post recorded bodies unchanged, one per line; exits 1 unless every one was accepted
    Replay(ReplaySettings),
    /// Compare a ledger with `MongoDB`; exits 1 on any fault
    Verify(VerifySettings),
    /// Push the events of a fleet to the queue, without the API
    Fill(FillSettings),
    /// Store the events of a fleet in `MongoDB`, without API and queue: as fast as the server can
    Load(LoadSettings),
    /// Post at a steady rate and measure the time from the 202 to the row
    Latency(LatencySettings),
    /// Play a scenario of a fleet on a simulated clock, and print the messages that people would get
    Scenario(ScenarioSettings),
    /// Print the bytes of a row and its indexes in `MongoDB`, and the total for 90 days
    Sizes(SizesSettings),
}

/// The settings of `run`.
#[derive(Debug, Clone, Args)]
pub struct RunSettings {
    /// The fleet.
    #[command(flatten)]
    pub fleet: FleetSettings,
    /// Distribution of the events over time
    #[arg(long, value_enum, default_value = "spread")]
    pub pattern: Pattern,
    /// With `--pattern spread`: duration of the whole run, such as 10s or 1m30s [default: 500 events/s]
    #[arg(long, value_parser = duration)]
    pub over: Option<Duration>,
    /// The API.
    #[command(flatten)]
    pub posting: PostSettings,
}

/// The settings of a simulated fleet.
#[derive(Debug, Clone, Args)]
pub struct FleetSettings {
    /// Devices in the fleet, 1 to 10000000
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    pub devices: u32,
    /// Events of each device, one hour apart, 1 to 9000: a year of them
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=9_000))]
    pub rounds: u32,
    /// Share of the syncs that fail, 0 to 1; a device that failed is more likely to fail again
    #[arg(long, default_value_t = 0.2, value_parser = share)]
    pub failure_rate: f64,
    /// A label of every device, with one of these values each: NAME=VALUE,VALUE; up to 8 times
    #[arg(long = "label", value_name = "NAME=VALUES", value_parser = LabelChoice::parse)]
    pub labels: Vec<LabelChoice>,
    /// A label whose devices fail nine in ten of their syncs: NAME=VALUE
    #[arg(long, value_name = "NAME=VALUE", value_parser = BadLabel::parse)]
    pub bad_label: Option<BadLabel>,
    /// Share of the accepted events that are sent once more, later, 0 to 1
    #[arg(long, default_value_t = 0.0, value_parser = share)]
    pub resend_rate: f64,
    /// Send the rounds of each device in a random order, so that some events come late
    #[arg(long)]
    pub shuffle: bool,
    /// Seed of the random choices, 0 to 18446744073709551615 [default: random]
    #[arg(long)]
    pub seed: Option<u64>,
    /// Prefix of all device ids [default: made from seed and start]
    #[arg(long, value_parser = device_prefix)]
    pub device_prefix: Option<String>,
    /// Time of the first round, RFC 3339 [default: so that the last round is now]
    #[arg(long)]
    pub start: Option<Timestamp>,
}

/// The distribution of the events of a run over time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Pattern {
    /// Evenly over the time of `--over`.
    Spread,
    /// As fast as the concurrency allows.
    Burst,
}

/// The settings of `replay`.
#[derive(Debug, Clone, Args)]
pub struct ReplaySettings {
    /// File of bodies, one per line
    pub file: PathBuf,
    /// The API.
    #[command(flatten)]
    pub posting: PostSettings,
}

/// The API, and the limits of requests to it.
#[derive(Debug, Clone, Args)]
pub struct PostSettings {
    /// URL of the API, such as `http://127.0.0.1:8080`
    #[arg(long, default_value = "http://127.0.0.1:8080", value_parser = api)]
    pub api: Url,
    /// The key or device token to post with
    #[arg(long, env = "PISYNC_API_KEY", hide_env_values = true, value_name = "KEY", value_parser = key)]
    pub api_key: Option<Secret>,
    /// File with the key to post with
    #[arg(long, env = "PISYNC_API_KEY_FILE", value_name = "FILE", conflicts_with = "api_key")]
    pub api_key_file: Option<PathBuf>,
    /// File to append acknowledged events to, for `verify`
    #[arg(long)]
    pub ledger: Option<PathBuf>,
    /// Concurrent requests, 1 to 10000
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub concurrency: u32,
    /// Maximum attempts for an event, 1 to 1000000
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub tries: u32,
    /// Timeout of a request
    #[arg(long, default_value = "10s", value_parser = duration)]
    pub timeout: Duration,
    /// Maximum wait before a retry, even if the API asks for more
    #[arg(long, default_value = "10s", value_parser = duration)]
    pub max_wait: Duration,
    /// Print the closing figures as one JSON object
    #[arg(long)]
    pub json: bool,
}

/// The settings of `verify`.
#[derive(Debug, Clone, Args)]
pub struct VerifySettings {
    /// The ledger that `run` or `replay` wrote
    #[arg(long)]
    pub ledger: PathBuf,
    /// Seconds, 0 to 604800, in which the database may catch up with the ledger
    #[arg(long, value_name = "SECONDS", default_value_t = 0, value_parser = clap::value_parser!(u64).range(0..=604_800))]
    pub wait: u64,
    /// Print the findings as one JSON object
    #[arg(long)]
    pub json: bool,
    /// The database.
    #[command(flatten)]
    pub mongo: MongoSettings,
}

fn share(text: &str) -> Result<f64, &'static str> {
    text.parse().ok().filter(|share| (0.0..=1.0).contains(share)).ok_or("a number from 0 to 1")
}

fn duration(text: &str) -> Result<Duration, &'static str> {
    let positive = settings::duration(text).ok().and_then(|duration| Duration::try_from(duration).ok());
    // A sum of several such durations is still a valid time.
    let fits = |duration: &Duration| !duration.is_zero() && *duration <= Duration::from_hours(24 * 366);
    positive.filter(fits).ok_or("a duration such as 10s, 1m30s or 500ms, up to a year")
}

fn device_prefix(text: &str) -> Result<String, &'static str> {
    let longest = format!("{text}-{:06}", u32::MAX);
    let is_kept = DeviceId::of_report(&longest).is_ok_and(|id| id.as_str() == longest);
    is_kept.then(|| text.to_owned()).ok_or("up to 117 visible characters, without white space around them")
}

/// Accepts any text: the API checks the key.
#[expect(clippy::unnecessary_wraps, reason = "it is what clap wants")]
fn key(text: &str) -> Result<Secret, Infallible> {
    Ok(Secret::new(text))
}

/// Plain HTTP only: a simulated fleet runs beside its API, or behind a local gateway.
fn api(text: &str) -> Result<Url, &'static str> {
    let url = Url::parse(text).ok().filter(|url| url.scheme() == "http" && url.has_host());
    url.ok_or("an address such as http://127.0.0.1:8080 (https is not spoken here)")
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn refused(args: &[&str]) -> String {
        Config::try_parse_from([&["fleet-sim"], args].concat()).unwrap_err().to_string()
    }

    #[test]
    fn the_verbs_and_flags_of_the_contract_are_there() {
        Config::command().debug_assert();
        for line in [
            "run --api http://h:1 --devices 9 --rounds 2 --failure-rate 0.5 --pattern burst --ledger f --seed 7",
            "run --concurrency 3 --resend-rate 0.2 --shuffle --over 10s --start 2026-11-23T00:00:00Z --json",
            "run --label contentVersion=41,42 --label group=a,b,c --bad-label contentVersion=42",
            "replay FILE --api http://h:1/base --ledger f --concurrency 4",
            "verify --ledger f --mongo-uri mongodb://h:1 --mongo-db d --wait 30 --json",
            "fill --devices 9 --rounds 2 --redis-url redis://h:1 --key-prefix p --json",
            "load --devices 9 --counters last --batch 10 --tasks 2 --mongo-uri mongodb://h:1 --json",
            "scenario content-release --devices 2000 --herd",
            "sizes --mongo-uri mongodb://h:1 --days 30 --json",
            "latency --api http://h:1 --rate 100 --seconds 5 --devices 9 --mongo-uri mongodb://h:1 --json",
        ] {
            let args = ["fleet-sim"].into_iter().chain(line.split(' '));
            assert!(Config::try_parse_from(args).is_ok(), "{line}");
        }
    }

    #[test]
    fn a_key_shows_neither_in_help_nor_in_debug() {
        let parsed = Config::try_parse_from(["fleet-sim", "run", "--api-key", "hunter2"]).unwrap();
        assert!(!format!("{parsed:?}").contains("hunter2"));
        assert!(refused(&["run", "--api-key", "hunter2", "--devices", "x"]).contains("--devices"));
        assert!(!refused(&["run", "--api-key", "hunter2", "--api-key-file", "f"]).contains("hunter2"));
    }

    #[test]
    fn what_makes_no_fleet_is_refused_by_name() {
        for (flag, value) in [
            ("--devices", "0"),
            ("--rounds", "9001"),
            ("--failure-rate", "1.5"),
            ("--resend-rate", "NaN"),
            ("--over", "0s"),
            ("--over", "-1s"),
            ("--device-prefix", "a\tb"),
            ("--api", "https://h"),
            ("--api", "h:8080"),
            ("--start", "yesterday"),
        ] {
            let error = refused(&["run", &format!("{flag}={value}")]);
            assert!(error.contains(flag), "{flag} {value}: {error}");
        }
    }
}
