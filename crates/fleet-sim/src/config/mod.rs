//! The settings of `fleet-sim`: a verb, and the flags of each.

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

/// Simulates a fleet of devices against a running API and verifies what became of its events
#[derive(Debug, Clone, Parser)]
#[command(name = "fleet-sim", version)]
pub struct Config {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// Where the log goes.
    #[command(flatten)]
    pub log: LogSettings,
}

impl AsRef<LogSettings> for Config {
    fn as_ref(&self) -> &LogSettings {
        &self.log
    }
}

/// What to do.
#[derive(Debug, Clone, Subcommand)]
pub enum Command {
    /// Post as a fleet would; exits 1 unless every event was accepted
    Run(RunSettings),
    /// Post recorded bodies, one per line, exactly as they are; exits 1 unless every one was accepted
    Replay(ReplaySettings),
    /// Compare a ledger with `MongoDB`; exits 1 on any fault
    Verify(VerifySettings),
    /// Put the events of a fleet into the queue, past the API
    Fill(FillSettings),
    /// Put the events of a fleet into `MongoDB`, past API and queue: as fast as the server can
    Load(LoadSettings),
    /// Post at a steady rate and measure how long it takes from the 202 to the row
    Latency(LatencySettings),
    /// Play a story of a fleet on a simulated clock, and print what people would have been told
    Scenario(ScenarioSettings),
    /// Tell how many bytes a row and its indexes take in `MongoDB`, and what that makes in 90 days
    Sizes(SizesSettings),
}

/// How to post as a fleet.
#[derive(Debug, Clone, Args)]
pub struct RunSettings {
    /// Which fleet.
    #[command(flatten)]
    pub fleet: FleetSettings,
    /// When the events are sent
    #[arg(long, value_enum, default_value = "spread")]
    pub pattern: Pattern,
    /// With `--pattern spread`: how long the whole run takes, such as 10s or 1m30s [default: 500 events/s]
    #[arg(long, value_parser = duration)]
    pub over: Option<Duration>,
    /// Where the events go.
    #[command(flatten)]
    pub posting: PostSettings,
}

/// Which fleet to simulate.
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
    /// What the random choices follow from, 0 to 18446744073709551615 [default: random]
    #[arg(long)]
    pub seed: Option<u64>,
    /// What all device ids begin with [default: made from seed and start]
    #[arg(long, value_parser = device_prefix)]
    pub device_prefix: Option<String>,
    /// Time of the first round, RFC 3339 [default: so that the last round is now]
    #[arg(long)]
    pub start: Option<Timestamp>,
}

/// When the events of a run are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Pattern {
    /// Evenly over the time of `--over`.
    Spread,
    /// As fast as the concurrency allows.
    Burst,
}

/// Which recorded bodies to post.
#[derive(Debug, Clone, Args)]
pub struct ReplaySettings {
    /// File of bodies, one per line
    pub file: PathBuf,
    /// Where the events go.
    #[command(flatten)]
    pub posting: PostSettings,
}

/// Where events go, and how hard to try.
#[derive(Debug, Clone, Args)]
pub struct PostSettings {
    /// The API, such as `http://127.0.0.1:8080`
    #[arg(long, default_value = "http://127.0.0.1:8080", value_parser = api)]
    pub api: Url,
    /// The key or device token to post with
    #[arg(long, env = "PISYNC_API_KEY", hide_env_values = true, value_name = "KEY", value_parser = key)]
    pub api_key: Option<Secret>,
    /// File with the key to post with
    #[arg(long, env = "PISYNC_API_KEY_FILE", value_name = "FILE", conflicts_with = "api_key")]
    pub api_key_file: Option<PathBuf>,
    /// File to append what was acknowledged to, for `verify`
    #[arg(long)]
    pub ledger: Option<PathBuf>,
    /// Requests at the same time, 1 to 10000
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub concurrency: u32,
    /// How often an event is tried before it is given up, 1 to 1000000
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub tries: u32,
    /// How long an answer may take
    #[arg(long, default_value = "10s", value_parser = duration)]
    pub timeout: Duration,
    /// The longest wait before another try, whatever the API asks for
    #[arg(long, default_value = "10s", value_parser = duration)]
    pub max_wait: Duration,
    /// Print the closing figures as one JSON object
    #[arg(long)]
    pub json: bool,
}

/// What to compare with what.
#[derive(Debug, Clone, Args)]
pub struct VerifySettings {
    /// The ledger that `run` or `replay` wrote
    #[arg(long)]
    pub ledger: PathBuf,
    /// How many seconds, 0 to 604800, the database may take to become as the ledger says
    #[arg(long, value_name = "SECONDS", default_value_t = 0, value_parser = clap::value_parser!(u64).range(0..=604_800))]
    pub wait: u64,
    /// Print what was found as one JSON object
    #[arg(long)]
    pub json: bool,
    /// Where events rest.
    #[command(flatten)]
    pub mongo: MongoSettings,
}

fn share(text: &str) -> Result<f64, &'static str> {
    text.parse().ok().filter(|share| (0.0..=1.0).contains(share)).ok_or("a number from 0 to 1")
}

fn duration(text: &str) -> Result<Duration, &'static str> {
    let positive = settings::duration(text).ok().and_then(|duration| Duration::try_from(duration).ok());
    // Sums of some of them are still far from what a clock can show.
    let fits = |duration: &Duration| !duration.is_zero() && *duration <= Duration::from_hours(24 * 366);
    positive.filter(fits).ok_or("a duration such as 10s, 1m30s or 500ms, up to a year")
}

fn device_prefix(text: &str) -> Result<String, &'static str> {
    let longest = format!("{text}-{:06}", u32::MAX);
    let is_kept = DeviceId::of_report(&longest).is_ok_and(|id| id.as_str() == longest);
    is_kept.then(|| text.to_owned()).ok_or("up to 117 visible characters, without white space around them")
}

/// Any text, since whether it is a key is for the API to say.
#[expect(clippy::unnecessary_wraps, reason = "it is what clap wants")]
fn key(text: &str) -> Result<Secret, Infallible> {
    Ok(Secret::new(text))
}

/// Plain HTTP only: a simulated fleet stands beside its API, or in front of a local gateway.
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
