//! Lost replies of Redis: a command is executed and its caller does not know.

use anyhow::Context;
use testkit::{Marker, Proxy};

use super::scenario::Scenario;

/// The commands whose replies are dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reply {
    Push,
    Claim,
    Ack,
}

impl Reply {
    /// Returns texts that only the requests of this script contain, of its keys and arguments. Source: the table of
    /// keys in `pisync_core::queue`.
    fn marker(self) -> Marker {
        match self {
            Self::Push => Marker { with: &[":wake", ":ready"], without: &[":dead"], percent: 3 },
            Self::Claim => Marker { with: &[":paused", ":lease"], without: &[":dead"], percent: 5 },
            Self::Ack => Marker { with: &[":dead", ":lease"], without: &[":paused"], percent: 10 },
        }
    }
}

/// All services reach Redis by a proxy that drops some of the replies and closes the connection.
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
