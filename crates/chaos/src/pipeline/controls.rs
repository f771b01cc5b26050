//! The controls: workers that are wrong on purpose. Unless the matrix finds their damage, its zeros prove nothing.

use testkit::Service;

use super::scenario::Scenario;
use crate::crash::{kill, wait_for_crash};

/// Workers that acknowledge before they work are killed at random, and their batches are lost.
pub(crate) async fn naive_pop(scenario: &mut Scenario) -> anyhow::Result<usize> {
    fill(scenario).await?;
    // Some die between two batches and lose nothing, so there are enough kills for others.
    let kills = 2 * scenario.scale.random_kills;
    for _ in 0..kills {
        let mut worker = naive(scenario, &["--mode", "pop"]).await;
        tokio::time::sleep(scenario.some_ms(1, 60)).await;
        kill(&mut worker).await?;
    }
    clear(scenario, "pop").await?;
    Ok(kills)
}

/// Workers that count only inserted events die between rows and counters.
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

/// Sends all events of the fleet without a worker, so that each killed worker holds a batch.
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

/// Processes the rest with a worker that is not killed.
async fn clear(scenario: &mut Scenario, mode: &str) -> anyhow::Result<()> {
    let worker = naive(scenario, &["--mode", mode]).await;
    scenario.processes.workers.push(worker);
    scenario.drained().await
}
