//! Faults of the API: it dies while the fleet sends, and comes back at the same address.

use tokio::time::sleep;

use super::scenario::Scenario;
use crate::crash::{kill, wait_for_crash};

/// The maximum number of passes of its point until an API dies there.
const PASSES: u32 = 40;

/// One API after the other dies at `point`.
pub(crate) async fn killed_at(scenario: &mut Scenario, point: &str) -> anyhow::Result<usize> {
    scenario.processes.start_workers(2).await;
    let mut kills = 0;
    for turn in 0..scenario.scale.kills {
        let at = format!("{point}:{}", scenario.rng.u32(1..=PASSES));
        let mut api = scenario.processes.start_api(&["--crash-at", &at]).await;
        if turn == 0 {
            scenario.processes.start_fleet(scenario.scale.over);
        }
        kills += usize::from(wait_for_crash(&mut api).await?.is_some());
    }
    scenario.processes.open_api().await;
    Ok(kills)
}

/// One API after the other is killed at a random time.
pub(crate) async fn killed_at_random(scenario: &mut Scenario) -> anyhow::Result<usize> {
    scenario.processes.start_workers(2).await;
    let mut api = scenario.processes.start_api(&[]).await;
    scenario.processes.start_fleet(scenario.scale.over);
    for _ in 0..scenario.scale.random_kills {
        sleep(scenario.some_ms(50, 500)).await;
        kill(&mut api).await?;
        api = scenario.processes.start_api(&[]).await;
    }
    scenario.processes.keep_api(api);
    Ok(scenario.scale.random_kills)
}
