//! The rows of the matrix: what is done to whom, and what must come of it.

use super::{controls, failover, ingest, replies, replies::Reply, servers, stage::Stage, workers};
use crate::settings::Scale;

/// One row.
#[derive(Debug)]
pub(crate) struct Row {
    /// Its name in the table.
    pub(crate) name: &'static str,
    /// The servers of its world.
    pub(crate) servers: Servers,
    /// What is done.
    pub(crate) havoc: Havoc,
    /// What must come of it.
    pub(crate) expect: Expect,
}

/// Which servers a row has for itself: those that it kills or fills.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Servers {
    /// None.
    Shared,
    /// A Redis.
    OwnRedis,
    /// A `MongoDB`.
    OwnMongo,
    /// A Redis cluster of three masters and three replicas, with these options.
    OwnCluster(&'static [&'static str]),
    /// A Redis with two replicas and three sentinels.
    OwnSentinels,
    /// A `MongoDB` of three nodes.
    OwnMongoSet,
}

impl Servers {
    /// Whether they take long to start.
    pub(crate) fn are_many(self) -> bool {
        matches!(self, Self::OwnCluster(_) | Self::OwnSentinels | Self::OwnMongoSet)
    }
}

/// What must come of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Expect {
    /// Nothing lost, nothing twice, every counter right, no dead letters.
    NoDamage,
    /// It goes on by itself, and what is there is right; what was lost is told by the number.
    Recovery,
    /// A control: events are lost.
    Losses,
    /// A control: counters are wrong.
    WrongCounters,
}

/// What is done in a row.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Havoc {
    WorkerAt(&'static str),
    WorkerAtRandom,
    WorkerStopped,
    WorkersRace,
    IngestAt(&'static str),
    IngestAtRandom,
    RedisKilled,
    RedisFull,
    RedisMasterKilled,
    RedisMasterKilledAhead,
    MongoAway,
    MongoPrimaryKilled,
    RepliesDropped(Reply),
    NaivePop,
    NaiveCount,
}

/// How many events it takes at the least to fill a Redis: they must be much more than its buffers.
const FULL: u32 = 10_000;

impl Havoc {
    /// How large the row is.
    pub(crate) fn sized(self, scale: &Scale) -> Scale {
        let least = if matches!(self, Self::RedisFull) { FULL.div_ceil(scale.devices) } else { 1 };
        Scale { rounds: scale.rounds.max(least), ..scale.clone() }
    }

    /// Does it, and answers with how often it really happened.
    pub(crate) async fn wreak(self, stage: &mut Stage) -> anyhow::Result<usize> {
        match self {
            Self::WorkerAt(point) => workers::killed_at(stage, point).await,
            Self::WorkerAtRandom => workers::killed_at_random(stage).await,
            Self::WorkerStopped => workers::stopped(stage).await,
            Self::WorkersRace => workers::race(stage).await,
            Self::IngestAt(point) => ingest::killed_at(stage, point).await,
            Self::IngestAtRandom => ingest::killed_at_random(stage).await,
            Self::RedisKilled => servers::redis_killed(stage).await,
            Self::RedisFull => servers::redis_full(stage).await,
            Self::RedisMasterKilled => failover::redis_master_killed(stage, false).await,
            Self::RedisMasterKilledAhead => failover::redis_master_killed(stage, true).await,
            Self::MongoAway => servers::mongo_away(stage).await,
            Self::MongoPrimaryKilled => failover::mongo_primary_killed(stage).await,
            Self::RepliesDropped(reply) => replies::dropped(stage, reply).await,
            Self::NaivePop => controls::naive_pop(stage).await,
            Self::NaiveCount => controls::naive_count(stage).await,
        }
    }
}

const fn row(name: &'static str, servers: Servers, havoc: Havoc) -> Row {
    Row { name, servers, havoc, expect: Expect::NoDamage }
}

const fn takeover(name: &'static str, servers: Servers, havoc: Havoc) -> Row {
    Row { name, servers, havoc, expect: Expect::Recovery }
}

const fn control(name: &'static str, havoc: Havoc, expect: Expect) -> Row {
    Row { name, servers: Servers::Shared, havoc, expect }
}

/// The matrix.
pub(crate) const ALL: &[Row] = {
    use Havoc::{
        IngestAt, IngestAtRandom, MongoAway, MongoPrimaryKilled, NaiveCount, NaivePop, RedisFull, RedisKilled,
        RedisMasterKilled, RedisMasterKilledAhead, RepliesDropped, WorkerAt, WorkerAtRandom, WorkerStopped,
        WorkersRace,
    };
    use Servers::{OwnCluster, OwnMongo, OwnMongoSet, OwnRedis, OwnSentinels, Shared};
    &[
        row("worker killed after_claim", Shared, WorkerAt("after_claim")),
        row("worker killed before_insert", Shared, WorkerAt("before_insert")),
        row("worker killed after_insert_before_counter", Shared, WorkerAt("after_insert_before_counter")),
        row("worker killed after_counter_before_ack", Shared, WorkerAt("after_counter_before_ack")),
        row("worker killed after_ack", Shared, WorkerAt("after_ack")),
        row("worker killed at random", Shared, WorkerAtRandom),
        row("worker stopped past its lease", Shared, WorkerStopped),
        row("20 workers race for a batch", Shared, WorkersRace),
        row("ingest killed before_push", Shared, IngestAt("before_push")),
        row("ingest killed after_push", Shared, IngestAt("after_push")),
        row("ingest killed at random", Shared, IngestAtRandom),
        row("redis killed", OwnRedis, RedisKilled),
        row("redis full", OwnRedis, RedisFull),
        row("mongodb killed and away", OwnMongo, MongoAway),
        row("mongodb primary of three killed", OwnMongoSet, MongoPrimaryKilled),
        takeover("sentinels: redis master killed", OwnSentinels, RedisMasterKilled),
        takeover("cluster: redis master killed", OwnCluster(&[]), RedisMasterKilled),
        takeover("cluster: master killed, its replica down for 4 s", OwnCluster(&[]), RedisMasterKilledAhead),
        takeover(
            "cluster: the same, min-replicas-to-write 1",
            OwnCluster(&["--min-replicas-to-write", "1", "--min-replicas-max-lag", "1"]),
            RedisMasterKilledAhead,
        ),
        row("replies to push dropped", OwnRedis, RepliesDropped(Reply::Push)),
        row("replies to claim dropped", OwnRedis, RepliesDropped(Reply::Claim)),
        row("replies to ack dropped", OwnRedis, RepliesDropped(Reply::Ack)),
        control("control: naive pop", NaivePop, Expect::Losses),
        control("control: counts only new rows", NaiveCount, Expect::WrongCounters),
    ]
};
