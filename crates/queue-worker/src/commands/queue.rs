//! `queue status|pause|resume|repartition`.

use clap::Subcommand;
use jiff::{SignedDuration, Timestamp};
use pisync_core::{
    presence::Heartbeat,
    queue::{Each, PartitionStatus, Queue},
    settings::RedisSettings,
};
use serde_json::json;

use super::{Output, repartition, require_all, say, say_json, shown, table};

/// Commands for the queue.
#[derive(Debug, Clone, Subcommand)]
pub enum QueueCommand {
    /// Show waiting, in-flight and dead messages of each partition, and the owners of batches
    Status(Output),
    /// Stop handing out batches; events are still accepted, batches in flight are finished
    Pause,
    /// Hand out batches again
    Resume,
    /// Change the number of partitions: refuse events, drain, switch. Restart all processes with the new number
    /// afterwards; they refuse to start with the old one
    Repartition {
        /// The new number, 1 to 1024
        #[arg(value_parser = clap::value_parser!(u16).range(1..=1024))]
        number: u16,
        /// Timeout of the drain in seconds, 0 to 604800; on timeout nothing is changed
        #[arg(long, default_value_t = 600, value_parser = clap::value_parser!(u64).range(0..=604_800))]
        wait: u64,
    },
}

impl QueueCommand {
    pub(super) async fn run(self, redis: &RedisSettings, queue: &Queue) -> anyhow::Result<()> {
        match self {
            Self::Status(output) => status(queue, output).await,
            Self::Pause => pause(queue).await,
            Self::Resume => resume(queue).await,
            Self::Repartition { number, wait } => repartition::run(redis, number, wait).await,
        }
    }
}

async fn status(queue: &Queue, output: Output) -> anyhow::Result<()> {
    let Each { available: all, unavailable } = queue.status_of_each().await?;
    if output.json {
        let untold_json = unavailable
            .iter()
            .map(|(partition, error)| json!({ "partition": partition.number(), "error": error.to_string() }));
        say_json(&all.iter().map(as_json).chain(untold_json).collect());
        return require_all(unavailable);
    }
    let mut rows = table(["partition", "waiting", "oldest", "in flight", "held by", "attempt", "dead", "acked", ""]);
    for status in &all {
        let batch = status.batch.as_ref();
        rows.add_row([
            status.partition.number().to_string(),
            status.ready.to_string(),
            age(status).map(|age| format!("{age:#}")).unwrap_or_default(),
            status.in_flight().to_string(),
            batch.map(|batch| shown(&batch.owner)).unwrap_or_default(),
            batch.map(|batch| batch.attempt.to_string()).unwrap_or_default(),
            status.dead.to_string(),
            status.total("acked").to_string(),
            if status.paused { "paused".into() } else { String::new() },
        ]);
    }
    say(rows);
    let sum = |of: fn(&PartitionStatus) -> u64| all.iter().map(of).sum::<u64>();
    say(format_args!(
        "{} waiting, {} in flight, {} dead, {} acknowledged, {} redelivered",
        sum(|status| status.ready),
        sum(PartitionStatus::in_flight),
        sum(|status| status.dead),
        sum(|status| status.total("acked")),
        sum(|status| status.total("redelivered")),
    ));
    say(alerter(queue).await);
    require_all(unavailable)
}

/// Returns a line on whether an alerter is running.
async fn alerter(queue: &Queue) -> String {
    let contact = match Heartbeat::new(queue.clone()).liveness().await {
        Ok(liveness) => liveness.alerter_at(Timestamp::now()),
        Err(error) => return format!("alerter status unknown: {error}"),
    };
    let age = contact.age().map(|age| format!("{:#}", SignedDuration::from_secs(age.as_secs())));
    match (contact.is_alive(), age) {
        (true, age) => format!("an alerter runs, its last tick {} ago", age.unwrap_or_default()),
        (false, Some(age)) => format!("nobody is being alerted: no alerter has run for {age}"),
        (false, None) => "nobody is being alerted: no alerter has ever run".into(),
    }
}

async fn pause(queue: &Queue) -> anyhow::Result<()> {
    queue.pause().await?;
    say("paused: events are accepted and wait; batches in flight are finished");
    Ok(())
}

async fn resume(queue: &Queue) -> anyhow::Result<()> {
    queue.resume().await?;
    say("resumed");
    Ok(())
}

fn as_json(status: &PartitionStatus) -> serde_json::Value {
    let batches = status.batch.iter().map(|batch| {
        json!({
            "batch": batch.batch, "messages": batch.messages, "owner": batch.owner,
            "epoch": batch.epoch, "attempt": batch.attempt,
        })
    });
    json!({
        "partition": status.partition.number(),
        "waiting": status.ready,
        "oldestSeconds": age(status).map(|age| age.as_secs()),
        "batches": batches.collect::<Vec<_>>(),
        "dead": status.dead,
        "paused": status.paused,
        "totals": status.totals,
    })
}

/// Returns the age of the oldest message, in whole seconds.
fn age(status: &PartitionStatus) -> Option<SignedDuration> {
    let received_at = status.oldest.as_ref()?.received_at;
    Some(SignedDuration::from_secs(Timestamp::now().duration_since(received_at).as_secs()))
}
