//! Replies of Redis that never arrive: the work is done, and who asked for it does not know.

use anyhow::Context;
use testkit::{Marker, Proxy};

use super::scenario::Scenario;

/// Whose replies are dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reply {
    Push,
    Claim,
    Ack,
}

impl Reply {
    /// What only the requests of this script have in them: its keys and arguments. Source: the
    /// table of keys in `pisync_core::queue`.
    fn marker(self) -> Marker {
        match self {
            Self::Push => Marker { with: &[":wake", ":ready"], without: &[":dead"], percent: 3 },
            Self::Claim => Marker { with: &[":paused", ":lease"], without: &[":dead"], percent: 5 },
            Self::Ack => Marker { with: &[":dead", ":lease"], without: &[":paused"], percent: 10 },
        }
    }
}

/// All services reach Redis by a proxy that drops some of the replies and cuts the connection.
pub(crate) async fn dropped(scenario: &mut Scenario, reply: Reply) -> anyhow::Result<usize> {
    let url = scenario.servers.redis.as_ref().context("no Redis of its own")?.url();
    let upstream = url.strip_prefix("redis://").context("not a plain address")?.to_owned();
    let proxy = Proxy::start(upstream, reply.marker(), scenario.rng.u64(..)).await?;
    scenario.processes.detour = Some(format!("redis://{}", proxy.address()));
    scenario.processes.open_api().await;
    scenario.processes.start_workers(2).await;
    scenario.processes.start_fleet(scenario.scale.over);
    scenario.processes.wait_for_fleet().await?;
    scenario.drained().await?;
    scenario.processes.stop_workers().await?;
    Ok(proxy.dropped())
}
