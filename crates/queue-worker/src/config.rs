//! The settings of `queue-worker`, and the operator's verbs.

use std::{num::NonZeroU64, path::PathBuf, time::Duration};

use clap::{Args, Parser, Subcommand, builder::TypedValueParser};
use pisync_core::{
    crash::CrashSettings,
    healthcheck::Healthcheck,
    models::{DeviceId, InvalidDeviceId},
    ops::OpsSettings,
    queue::LONGEST_LEASE_MS,
    settings::{LogSettings, MongoSettings, RedisSettings},
};

/// Takes batches from the Redis lists, writes `SyncEvent` and keeps `FailureCounter`; with a
/// command, shows and changes the queue instead
#[derive(Debug, Clone, Parser)]
#[command(name = "queue-worker", version)]
pub struct Config {
    /// What to do instead of working.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// How to work.
    #[command(flatten)]
    pub work: WorkSettings,
    /// Where events wait.
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

impl AsRef<LogSettings> for Config {
    fn as_ref(&self) -> &LogSettings {
        &self.log
    }
}

/// How a worker works.
#[derive(Debug, Clone, Args)]
pub struct WorkSettings {
    /// Events in one batch at the most, 1 to 10000
    #[arg(long, env = "PISYNC_BATCH", default_value_t = 1000, value_parser = clap::value_parser!(u16).range(1..=10_000))]
    pub batch: u16,
    /// How long a worker that has died keeps its batch, in milliseconds, 100 to 600000
    #[arg(long, env = "PISYNC_LEASE_MS", default_value_t = 5000, value_parser = clap::value_parser!(u64).range(100..=LONGEST_LEASE_MS))]
    pub lease_ms: u64,
    /// Batches worked on at the same time, each of another partition, 1 to 64
    #[arg(long, env = "PISYNC_LANES", default_value_t = 2, value_parser = clap::value_parser!(u8).range(1..=64))]
    pub lanes: u8,
    /// Failed syncs in a row at which the alerter is told to look at a device, 1 to 1000000
    #[arg(long, env = "PISYNC_ALERT_THRESHOLD", default_value_t = 3, value_parser = clap::value_parser!(i32).range(1..=1_000_000))]
    pub threshold: i32,
    /// Maximum number of devices tracked for last-seen, 1 to 1000000000. Reports from others are still stored
    #[arg(long, env = "PISYNC_MAX_DEVICES", default_value = "5000000", value_parser = up_to_a_billion())]
    pub max_devices: NonZeroU64,
    /// Days for which events are kept, 1 to 3650, the same in every worker; for ever if it is left out
    #[arg(long, env = "PISYNC_RETAIN_DAYS", value_parser = clap::value_parser!(u16).range(1..=3_650))]
    pub retain_days: Option<u16>,
    /// Where to die, in tests of the system.
    #[command(flatten)]
    pub crash: CrashSettings,
}

impl WorkSettings {
    /// How long a lease lasts unless it is extended.
    pub fn lease(&self) -> Duration {
        Duration::from_millis(self.lease_ms)
    }
}

/// The operator's verbs.
#[derive(Debug, Clone, Subcommand)]
pub enum Command {
    /// Show the queue, or stop and start the handing out of batches
    #[command(subcommand)]
    Queue(QueueCommand),
    /// Show and treat messages that cannot have their effect
    #[command(subcommand)]
    DeadLetters(DeadLettersCommand),
    /// Make failure counters from the rows again
    #[command(subcommand)]
    Counters(CountersCommand),
    /// Ask the process at --ops-bind of this machine whether it is well: 0 if so, 1 if not
    Healthcheck(Healthcheck),
    /// Read messages from standard input: what a worker has a child do
    #[command(hide = true)]
    Probe,
}

/// Verbs for the queue.
#[derive(Debug, Clone, Subcommand)]
pub enum QueueCommand {
    /// What waits, what is in flight and with whom, what is dead
    Status(Output),
    /// Take events, hand out none; batches in flight are finished
    Pause,
    /// Hand out batches again
    Resume,
    /// Change the number of partitions: refuse events, drain, switch. All processes are started
    /// anew with the new number afterwards, and refuse to start with the old one
    Repartition {
        /// The new number, 1 to 1024
        #[arg(value_parser = clap::value_parser!(u16).range(1..=1024))]
        number: u16,
        /// How long draining may take, in seconds, 0 to 604800, before all is left as it was
        #[arg(long, default_value_t = 600, value_parser = clap::value_parser!(u64).range(0..=604_800))]
        wait: u64,
    },
}

/// Verbs for the dead letters.
#[derive(Debug, Clone, Subcommand)]
pub enum DeadLettersCommand {
    /// The newest dead letters of every partition
    List {
        /// The most that are shown, 1 to 1000000
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
        max: u32,
        /// The form of the answer.
        #[command(flatten)]
        output: Output,
    },
    /// One dead letter with its original bytes
    Show {
        /// Its id
        id: String,
        /// The form of the answer.
        #[command(flatten)]
        output: Output,
    },
    /// Put messages back to the end of the queue, as if they had just come
    Requeue(Which),
    /// Throw dead letters away
    Purge(Which),
    /// Write all dead letters as JSON, one per line
    Export {
        /// The file; standard output if it is left out
        #[arg(long)]
        file: Option<PathBuf>,
    },
}

/// Which dead letters.
#[derive(Debug, Clone, Args)]
#[group(required = true, multiple = false)]
pub struct Which {
    /// Ids of dead letters
    pub ids: Vec<String>,
    /// All of them
    #[arg(long)]
    pub all: bool,
}

/// Verbs for the counters.
#[derive(Debug, Clone, Subcommand)]
pub enum CountersCommand {
    /// Count each device's rows again and mend what differs, while workers run
    Rebuild {
        /// This device only
        #[arg(long, value_parser = device_id)]
        device: Option<DeviceId>,
        /// The form of the answer.
        #[command(flatten)]
        output: Output,
    },
}

/// The form of an answer.
#[derive(Debug, Clone, Copy, Args)]
pub struct Output {
    /// JSON for scripts instead of a table for people
    #[arg(long)]
    pub json: bool,
}

fn up_to_a_billion() -> impl TypedValueParser<Value = NonZeroU64> {
    clap::value_parser!(u64).range(1..=1_000_000_000).try_map(NonZeroU64::try_from)
}

fn device_id(text: &str) -> Result<DeviceId, InvalidDeviceId> {
    DeviceId::parse(text)
}
