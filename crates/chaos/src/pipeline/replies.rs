//! Replies of Redis that never arrive: the work is done, and who asked for it does not know.

use anyhow::Context;
use testkit::{Marker, Proxy};

use super::stage::Stage;

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
            Self::Claim => Marker { with: &[":paused", ":leases"], without: &[":dead"], percent: 5 },
            Self::Ack => Marker { with: &[":dead", ":leases"], without: &[":paused"], percent: 10 },
        }
    }
}

/// All services reach Redis by a proxy that drops some of the replies and cuts the connection.
pub(crate) async fn dropped(stage: &mut Stage, reply: Reply) -> anyhow::Result<usize> {
    let url = stage.servers.redis.as_ref().context("no Redis of its own")?.url();
    let upstream = url.strip_prefix("redis://").context("not a plain address")?.to_owned();
    let proxy = Proxy::start(upstream, reply.marker(), stage.rng.u64(..)).await?;
    stage.cast.detour = Some(format!("redis://{}", proxy.address()));
    stage.cast.open_api().await;
    stage.cast.hire(2).await;
    stage.cast.open_fleet(stage.scale.over);
    stage.cast.fleet_is_through().await?;
    stage.drained().await?;
    stage.cast.workers_go_home().await?;
    Ok(proxy.dropped())
}
