//! The faults of the pipeline.

use super::{
    controls, failover, ingest, outages,
    own_servers::Servers,
    replies::{self, Reply},
    scenario::Scenario,
    workers,
};
use crate::settings::Scale;

/// A fault.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Fault {
    WorkerAt(&'static str),
    WorkerAtRandom,
    WorkerStopped,
    WorkersRace,
    IngestAt(&'static str),
    IngestAtRandom,
    RedisKilled,
    RedisFull,
    RedisMasterKilled(Servers),
    RedisMasterKilledAhead(Servers),
    MongoAway,
    MongoPrimaryKilled,
    RepliesDropped(Reply),
    NaivePop,
    NaiveCount,
}

/// The minimum number of events to fill a Redis: much more than its buffers hold.
const FULL: u32 = 10_000;

impl Fault {
    /// Returns the servers that the fault needs.
    pub(super) const fn servers(self) -> Servers {
        match self {
            Self::RedisKilled | Self::RedisFull | Self::RepliesDropped(_) => Servers::OwnRedis,
            Self::RedisMasterKilled(servers) | Self::RedisMasterKilledAhead(servers) => servers,
            Self::MongoAway => Servers::OwnMongo,
            Self::MongoPrimaryKilled => Servers::OwnMongoSet,
            _ => Servers::Shared,
        }
    }

    /// Returns the size of the row.
    pub(crate) fn sized(self, scale: &Scale) -> Scale {
        let least = if matches!(self, Self::RedisFull) { FULL.div_ceil(scale.devices) } else { 1 };
        Scale { rounds: scale.rounds.max(least), ..scale.clone() }
    }

    /// Injects the fault. Returns how often it happened.
    pub(crate) async fn inject(self, scenario: &mut Scenario) -> anyhow::Result<usize> {
        match self {
            Self::WorkerAt(point) => workers::killed_at(scenario, point).await,
            Self::WorkerAtRandom => workers::killed_at_random(scenario).await,
            Self::WorkerStopped => workers::stopped(scenario).await,
            Self::WorkersRace => workers::race(scenario).await,
            Self::IngestAt(point) => ingest::killed_at(scenario, point).await,
            Self::IngestAtRandom => ingest::killed_at_random(scenario).await,
            Self::RedisKilled => outages::redis_killed(scenario).await,
            Self::RedisFull => outages::redis_full(scenario).await,
            Self::RedisMasterKilled(_) => failover::redis_master_killed(scenario, false).await,
            Self::RedisMasterKilledAhead(_) => failover::redis_master_killed(scenario, true).await,
            Self::MongoAway => outages::mongo_away(scenario).await,
            Self::MongoPrimaryKilled => failover::mongo_primary_killed(scenario).await,
            Self::RepliesDropped(reply) => replies::dropped(scenario, reply).await,
            Self::NaivePop => controls::naive_pop(scenario).await,
            Self::NaiveCount => controls::naive_count(scenario).await,
        }
    }
}
