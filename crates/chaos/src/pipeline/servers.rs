//! Redis and `MongoDB` that die, and a Redis that is full.

use std::time::Duration;

use anyhow::{Context, ensure};
use reqwest::StatusCode;
use testkit::{body, hours_ago};
use tokio::time::sleep;

use super::stage::Stage;
use crate::{crash::kill, play::until};

/// Redis dies again and again while the fleet sends and workers drain.
pub(crate) async fn redis_killed(stage: &mut Stage) -> anyhow::Result<usize> {
    stage.cast.open_api().await;
    stage.cast.hire(2).await;
    stage.cast.open_fleet(stage.scale.over);
    for _ in 0..stage.scale.kills {
        sleep(stage.some_ms(200, 1_200)).await;
        let away = stage.some_ms(100, 600);
        let redis = stage.servers.redis.as_mut().context("no Redis of its own")?;
        kill(redis.service()).await?;
        sleep(away).await;
        redis.restart().await;
    }
    Ok(stage.scale.kills)
}

/// `MongoDB` dies while the fleet sends, and is away for a time.
pub(crate) async fn mongo_away(stage: &mut Stage) -> anyhow::Result<usize> {
    stage.cast.open_api().await;
    stage.cast.hire(2).await;
    stage.cast.open_fleet(stage.scale.over);
    sleep(stage.scale.over / 4).await;
    let mongo = stage.servers.mongo.as_mut().context("no MongoDB of its own")?;
    kill(mongo.service()).await?;
    sleep(stage.scale.away).await;
    mongo.restart().await;
    Ok(1)
}

/// Redis gets full, as no worker is there. Then some come, and it takes events again.
pub(crate) async fn redis_full(stage: &mut Stage) -> anyhow::Result<usize> {
    stage.cast.open_api().await;
    let redis = stage.servers.redis.as_ref().context("no Redis of its own")?;
    let memory = redis.cli(&["INFO", "memory"]).await;
    let used = memory.lines().find_map(|line| line.strip_prefix("used_memory:"));
    let used: u64 = used.context("Redis does not tell its memory")?.trim().parse()?;
    let most = (used + stage.scale.room).to_string();
    ensure!(redis.cli(&["CONFIG", "SET", "maxmemory", &most]).await == "OK", "Redis takes no maxmemory");

    stage.cast.open_fleet_at_once();
    answers(stage, StatusCode::SERVICE_UNAVAILABLE).await?;
    let waiting: u64 = stage.queue.status_of_all().await?.iter().map(|partition| partition.ready).sum();
    log::info!(waiting = waiting, bytes = stage.scale.room; "redis is full");
    stage.cast.hire(2).await;
    answers(stage, StatusCode::ACCEPTED).await?;
    Ok(1)
}

/// Waits until the API gives this answer to a device that is not of the fleet.
async fn answers(stage: &Stage, status: StatusCode) -> anyhow::Result<()> {
    let route = format!("{}/api/sync-event", stage.cast.url());
    let client = reqwest::Client::builder().timeout(Duration::from_secs(5)).build()?;
    let report = body("probe", hours_ago(1), false);
    until(&format!("the answer {status}"), async || {
        client.post(&route).json(&report).send().await.is_ok_and(|answer| answer.status() == status)
    })
    .await
}
