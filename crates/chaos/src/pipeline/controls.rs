//! The controls: workers that are wrong on purpose. If the matrix does not find their damage, its
//! zeros mean nothing.

use testkit::Service;

use super::scenario::Scenario;
use crate::crash::{kill, wait_for_crash};

/// Workers that acknowledge first and work then are killed at random: what they held is lost.
pub(crate) async fn naive_pop(scenario: &mut Scenario) -> anyhow::Result<usize> {
    fill(scenario).await?;
    // Some die between two batches, with nothing to lose: so many that not all of them do.
    let kills = 2 * scenario.scale.random_kills;
    for _ in 0..kills {
        let mut worker = naive(scenario, &["--mode", "pop"]).await;
        tokio::time::sleep(scenario.some_ms(1, 60)).await;
        kill(&mut worker).await?;
    }
    clear(scenario, "pop").await?;
    Ok(kills)
}

/// Workers that count only what they inserted die between rows and counters.
pub(crate) async fn naive_count(scenario: &mut Scenario) -> anyhow::Result<usize> {
    fill(scenario).await?;
    let mut kills = 0;
    for _ in 0..scenario.scale.kills {
        let at = ["--mode", "count", "--crash-at", "after_insert_before_counter:3"];
        let mut worker = naive(scenario, &at).await;
        kills += usize::from(wait_for_crash(&mut worker).await?.is_some());
    }
    clear(scenario, "count").await?;
    Ok(kills)
}

/// All events of the fleet, with no worker there: what is killed then has a batch in its hands.
async fn fill(scenario: &mut Scenario) -> anyhow::Result<()> {
    scenario.processes.open_api().await;
    scenario.processes.start_fleet_at_once();
    scenario.processes.wait_for_fleet().await
}

async fn naive(scenario: &mut Scenario, args: &[&str]) -> Service {
    let batch = scenario.scale.batch.to_string();
    let mut worker =
        scenario.processes.start("naive_worker", &[&["--batch", &batch, "--lease-ms", "1000"], args].concat());
    worker.says("working").await;
    worker
}

/// One that is not killed works on what is left.
async fn clear(scenario: &mut Scenario, mode: &str) -> anyhow::Result<()> {
    let worker = naive(scenario, &["--mode", mode]).await;
    scenario.processes.workers.push(worker);
    scenario.drained().await
}
