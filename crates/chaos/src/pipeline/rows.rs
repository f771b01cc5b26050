//! The rows of the pipeline: a fault and its expected result.

use super::{fault::Fault, own_servers::Servers, replies::Reply, verdict::Expect};
use crate::row::Row;

/// A row of the pipeline.
pub(crate) type PipelineRow = Row<Fault, Expect>;

const fn row(name: &'static str, fault: Fault) -> PipelineRow {
    Row { name, fault, expect: Expect::NoDamage, quick: !fault.servers().are_many() }
}

const fn takeover(name: &'static str, fault: Fault) -> PipelineRow {
    Row { expect: Expect::Recovery, ..row(name, fault) }
}

const fn control(name: &'static str, fault: Fault, expect: Expect) -> PipelineRow {
    Row { expect, ..row(name, fault) }
}

/// All rows.
pub(crate) const ALL: &[PipelineRow] = {
    use Fault::{
        IngestAt, IngestAtRandom, MongoAway, MongoPrimaryKilled, NaiveCount, NaivePop, RedisFull, RedisKilled,
        RedisMasterKilled, RedisMasterKilledAhead, RepliesDropped, WorkerAt, WorkerAtRandom, WorkerStopped,
        WorkersRace,
    };
    use Servers::{OwnCluster, OwnSentinels};
    &[
        row("worker killed after_claim", WorkerAt("after_claim")),
        row("worker killed before_insert", WorkerAt("before_insert")),
        row("worker killed after_insert_before_counter", WorkerAt("after_insert_before_counter")),
        row("worker killed after_counter_before_ack", WorkerAt("after_counter_before_ack")),
        row("worker killed after_ack", WorkerAt("after_ack")),
        row("worker killed at random", WorkerAtRandom),
        row("worker stopped past its lease", WorkerStopped),
        row("20 workers race for a batch", WorkersRace),
        row("ingest killed before_push", IngestAt("before_push")),
        row("ingest killed after_push", IngestAt("after_push")),
        row("ingest killed at random", IngestAtRandom),
        row("redis killed", RedisKilled),
        row("redis full", RedisFull),
        row("mongodb killed and away", MongoAway),
        row("mongodb primary of three killed", MongoPrimaryKilled),
        takeover("sentinels: redis master killed", RedisMasterKilled(OwnSentinels)),
        takeover("cluster: redis master killed", RedisMasterKilled(OwnCluster(&[]))),
        takeover("cluster: master killed, its replica down for 4 s", RedisMasterKilledAhead(OwnCluster(&[]))),
        takeover(
            "cluster: the same, min-replicas-to-write 1",
            RedisMasterKilledAhead(OwnCluster(&["--min-replicas-to-write", "1", "--min-replicas-max-lag", "1"])),
        ),
        row("replies to push dropped", RepliesDropped(Reply::Push)),
        row("replies to claim dropped", RepliesDropped(Reply::Claim)),
        row("replies to ack dropped", RepliesDropped(Reply::Ack)),
        control("control: naive pop", NaivePop, Expect::Losses),
        control("control: counts only new rows", NaiveCount, Expect::WrongCounters),
    ]
};

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::Settings;

    #[test]
    fn rows_are_chosen_by_a_part_of_their_names() {
        let settings = Settings::try_parse_from(["chaos", "--only", "ingest", "--only", "mongo"]).unwrap();
        let chosen = ALL.iter().filter(|row| settings.wants(*row)).map(|row| row.name);
        assert!(chosen.clone().all(|name| name.contains("ingest") || name.contains("mongo")));
        assert!(chosen.count() >= 5);
    }
}
