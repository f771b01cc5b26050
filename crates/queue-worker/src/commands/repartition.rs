//! `queue repartition`.

use std::time::{Duration, Instant};

use anyhow::{bail, ensure};
use pisync_core::{repartition::Repartition, settings::RedisSettings, shutdown};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::say;

/// The interval at which a draining queue is checked.
const LOOK: Duration = Duration::from_millis(100);

pub(super) async fn run(redis: &RedisSettings, number: u16, wait_seconds: u64) -> anyhow::Result<()> {
    let stop = shutdown::on_signal()?;
    let change = Repartition::look(redis, number).await?;
    if change.is_done() {
        say(format_args!("the queue already has {number} partitions"));
        return Ok(());
    }
    ensure!(!change.is_paused().await?, "a partition is paused and would never drain: run `queue resume` first");
    change.close().await?;
    say(format_args!("from {} to {number} partitions: events are refused with 503 from now on", change.from()));
    if let Err(error) = drain(&change, Duration::from_secs(wait_seconds), &stop).await {
        change.reopen().await?;
        return Err(error);
    }
    let moved = change.finish().await?;
    say(format_args!(
        "drained and switched; {} devices and {} dead letters moved. \
         Restart every process with --partitions {number} (PISYNC_PARTITIONS)",
        moved.devices, moved.dead_letters
    ));
    Ok(())
}

/// Waits until the queue is drained.
///
/// Fails after `longest`, or on `stop`; events are left as they are.
async fn drain(change: &Repartition, longest: Duration, stop: &CancellationToken) -> anyhow::Result<()> {
    let began = Instant::now();
    loop {
        let remaining = change.remaining().await?;
        if remaining == 0 {
            return Ok(());
        }
        if stop.is_cancelled() || began.elapsed() >= longest {
            bail!("{remaining} events still wait or are in flight: nothing was changed, and events are accepted again");
        }
        sleep(LOOK).await;
    }
}
