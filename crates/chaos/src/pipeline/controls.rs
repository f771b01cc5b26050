//! The controls: workers that are wrong on purpose. If the matrix does not find their damage, its
//! zeros mean nothing.

use testkit::Service;

use super::stage::Stage;
use crate::crash::{kill, wait_for_crash};

/// Workers that acknowledge first and work then are killed at random: what they held is lost.
pub(crate) async fn naive_pop(stage: &mut Stage) -> anyhow::Result<usize> {
    fill(stage).await?;
    // Some die between two batches, with nothing to lose: so many that not all of them do.
    let kills = 2 * stage.scale.random_kills;
    for _ in 0..kills {
        let mut worker = naive(stage, &["--mode", "pop"]).await;
        tokio::time::sleep(stage.some_ms(1, 60)).await;
        kill(&mut worker).await?;
    }
    clear(stage, "pop").await?;
    Ok(kills)
}

/// Workers that count only what they inserted die between rows and counters.
pub(crate) async fn naive_count(stage: &mut Stage) -> anyhow::Result<usize> {
    fill(stage).await?;
    let mut kills = 0;
    for _ in 0..stage.scale.kills {
        let at = ["--mode", "count", "--crash-at", "after_insert_before_counter:3"];
        let mut worker = naive(stage, &at).await;
        kills += usize::from(wait_for_crash(&mut worker).await?.is_some());
    }
    clear(stage, "count").await?;
    Ok(kills)
}

/// All events of the fleet, with no worker there: what is killed then has a batch in its hands.
async fn fill(stage: &mut Stage) -> anyhow::Result<()> {
    stage.cast.open_api().await;
    stage.cast.open_fleet_at_once();
    stage.cast.fleet_is_through().await
}

async fn naive(stage: &mut Stage, args: &[&str]) -> Service {
    let batch = stage.scale.batch.to_string();
    let mut worker = stage.cast.start("naive_worker", &[&["--batch", &batch, "--lease-ms", "1000"], args].concat());
    worker.says("working").await;
    worker
}

/// One that is not killed works on what is left.
async fn clear(stage: &mut Stage, mode: &str) -> anyhow::Result<()> {
    let worker = naive(stage, &["--mode", mode]).await;
    stage.cast.workers.push(worker);
    stage.drained().await
}
