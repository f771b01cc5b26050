//! Faults of server sets: a server dies while another takes over.

use std::time::{Duration, Instant};

use anyhow::Context;
use pisync_core::{models::DeviceId, presence::LastSeen, queue::Queue};
use testkit::hours_ago;
use tokio::time::sleep;

use super::scenario::Scenario;
use crate::{crash::kill, play::until};

/// The time that a killed server stays away.
const AWAY: Duration = Duration::from_secs(8);

/// The time that the replicas are down before, if the master is to be ahead of them.
const AHEAD: Duration = Duration::from_secs(4);

/// Kills the master of the first partition while the fleet sends; it comes back as a replica. Stored events cannot be
/// lost, so `is_ahead` starts workers only afterwards.
pub(crate) async fn redis_master_killed(scenario: &mut Scenario, is_ahead: bool) -> anyhow::Result<usize> {
    scenario.processes.open_api().await;
    if !is_ahead {
        scenario.processes.start_workers(2).await;
    }
    scenario.processes.start_fleet(scenario.scale.over);
    sleep(scenario.scale.over / 4).await;
    let key = format!("{}:{{q:00}}:stats", scenario.prefix());
    let set = scenario.servers.redis_set.as_mut().context("no servers of its own")?;
    let (master, replicas) = set.holders(&key).await;
    if is_ahead {
        // Killed and not stopped: a stopped replica would still find its master's last writes in its socket.
        for replica in &replicas {
            kill(set.server(*replica).service()).await?;
        }
        sleep(AHEAD).await;
    }
    let killed = kill(set.server(master).service()).await?;
    if is_ahead {
        for replica in &replicas {
            set.server(*replica).restart().await;
        }
    }
    let comes_back = async {
        sleep(AWAY).await;
        set.server(master).restart().await;
    };
    let (taken_over, ()) = tokio::join!(takes_writes(scenario.queue.clone(), killed), comes_back);
    scenario.recovery.took(taken_over?);
    if is_ahead {
        scenario.processes.start_workers(2).await;
    }
    Ok(1)
}

/// Returns the time from `killed` until the first partition accepts a write.
async fn takes_writes(queue: Queue, killed: Instant) -> anyhow::Result<Duration> {
    let first = queue.partitions().next().context("no partitions")?;
    let mut devices = (0..).filter_map(|i| DeviceId::parse(&format!("probe-{i}")).ok());
    let probe = devices.find(|device| queue.partition_of(device) == first).context("no device")?;
    let seen = LastSeen::new(queue);
    until("a write", async || seen.restore(&[(probe.clone(), hours_ago(0))]).await.is_ok()).await?;
    Ok(killed.elapsed())
}

/// Kills the primary of three nodes while the fleet sends; it comes back as a secondary.
pub(crate) async fn mongo_primary_killed(scenario: &mut Scenario) -> anyhow::Result<usize> {
    scenario.processes.open_api().await;
    scenario.processes.start_workers(2).await;
    scenario.processes.start_fleet(scenario.scale.over);
    sleep(scenario.scale.over / 4).await;
    let set = scenario.servers.mongo_set.as_mut().context("no servers of its own")?;
    let primary = set.primary().await.context("no primary")?;
    let killed = kill(set.service(primary)).await?;
    until("another primary", async || set.primary().await.is_some()).await?;
    scenario.recovery.took(killed.elapsed());
    set.restart(primary);
    Ok(1)
}
