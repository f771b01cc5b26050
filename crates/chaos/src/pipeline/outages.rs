//! Outages of Redis and `MongoDB`, and a full Redis.

use std::time::Duration;

use anyhow::{Context, ensure};
use reqwest::StatusCode;
use testkit::{body, hours_ago};
use tokio::time::sleep;

use super::scenario::Scenario;
use crate::{crash::kill, play::until};

/// Kills Redis several times while the fleet sends and workers drain.
pub(crate) async fn redis_killed(scenario: &mut Scenario) -> anyhow::Result<usize> {
    scenario.processes.open_api().await;
    scenario.processes.start_workers(2).await;
    scenario.processes.start_fleet(scenario.scale.over);
    for _ in 0..scenario.scale.kills {
        sleep(scenario.some_ms(200, 1_200)).await;
        let away = scenario.some_ms(100, 600);
        let redis = scenario.servers.redis.as_mut().context("no Redis of its own")?;
        kill(redis.service()).await?;
        sleep(away).await;
        redis.restart().await;
    }
    Ok(scenario.scale.kills)
}

/// Kills `MongoDB` while the fleet sends, and restarts it later.
pub(crate) async fn mongo_away(scenario: &mut Scenario) -> anyhow::Result<usize> {
    scenario.processes.open_api().await;
    scenario.processes.start_workers(2).await;
    scenario.processes.start_fleet(scenario.scale.over);
    sleep(scenario.scale.over / 4).await;
    let mongo = scenario.servers.mongo.as_mut().context("no MongoDB of its own")?;
    kill(mongo.service()).await?;
    sleep(scenario.scale.away).await;
    mongo.restart().await;
    Ok(1)
}

/// Fills Redis while no worker runs. Then workers start, and it accepts events again.
pub(crate) async fn redis_full(scenario: &mut Scenario) -> anyhow::Result<usize> {
    scenario.processes.open_api().await;
    let redis = scenario.servers.redis.as_ref().context("no Redis of its own")?;
    let memory = redis.cli(&["INFO", "memory"]).await;
    let used = memory.lines().find_map(|line| line.strip_prefix("used_memory:"));
    let used: u64 = used.context("Redis does not report its memory")?.trim().parse()?;
    let most = (used + scenario.scale.room).to_string();
    ensure!(redis.cli(&["CONFIG", "SET", "maxmemory", &most]).await == "OK", "Redis takes no maxmemory");

    scenario.processes.start_fleet_at_once();
    answers(scenario, StatusCode::SERVICE_UNAVAILABLE).await?;
    let waiting: u64 = scenario.queue.status_of_all().await?.iter().map(|partition| partition.ready).sum();
    log::info!(waiting = waiting, bytes = scenario.scale.room; "redis is full");
    scenario.processes.start_workers(2).await;
    answers(scenario, StatusCode::ACCEPTED).await?;
    Ok(1)
}

/// Waits until the API gives this answer to a device that is not of the fleet.
async fn answers(scenario: &Scenario, status: StatusCode) -> anyhow::Result<()> {
    let route = format!("{}/api/sync-event", scenario.processes.url());
    let client = reqwest::Client::builder().timeout(Duration::from_secs(5)).build()?;
    let report = body("probe", hours_ago(1), false);
    until(&format!("the answer {status}"), async || {
        client.post(&route).json(&report).send().await.is_ok_and(|answer| answer.status() == status)
    })
    .await
}
