//! The least of everything that takes a herd and is drained in time.

use serde::Serialize;

use super::{
    measured::{BYTES_SEEN, BYTES_WAITING, COSTS, PARTITION_RATE},
    model::{Herd, Machines, Shares, play},
};

/// What has to be reached.
#[derive(Debug, Clone, Copy)]
pub struct Goal {
    /// Over how many seconds all devices send one event each.
    pub within: f64,
    /// How many seconds after the last event all rows have to be there.
    pub drained_after: f64,
    /// How busy anything may be, 0 to 1.
    pub busy: f64,
    /// Cores of the primary of each shard.
    pub shard_cores: u32,
}

/// What a fleet needs.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Needs {
    /// The fleet.
    pub devices: u64,
    /// Events per second that come.
    pub rate: f64,
    /// Cores of `ingest-api`, in any number of processes.
    pub ingest_cores: u32,
    /// Masters of Redis.
    pub redis_nodes: u32,
    /// Partitions of the queue: two for each lane, so that none waits for a busy one.
    pub partitions: u32,
    /// Processes of `queue-worker`, each with a core and two lanes.
    pub workers: u32,
    /// Cores of `MongoDB`'s primaries.
    pub mongo_cores: u32,
    /// Shards, by their cores.
    pub shards: u32,
    /// The most events that wait.
    pub most_waiting: f64,
    /// Memory of Redis at that time, of all nodes together.
    pub redis_bytes: f64,
    /// Seconds from the last event to the last row.
    pub drained_after: f64,
}

/// What a fleet needs, by arithmetic, and how the model says that it goes with it.
pub fn needs(devices: u64, goal: &Goal) -> Needs {
    #[expect(clippy::cast_precision_loss, reason = "fleets are below 2^53")]
    let events = devices as f64;
    let rate = events / goal.within;
    let drain = events / (goal.within + goal.drained_after);
    let cores = |rate: f64, cost: f64| ceil(rate * cost / goal.busy);
    let ingest_cores = cores(rate, COSTS.ingest);
    let redis_nodes = ceil((rate * COSTS.redis_push + drain * COSTS.redis_drain) / goal.busy);
    let workers = ceil(drain / (2.0 * PARTITION_RATE * goal.busy)).max(2);
    let mongo_cores = cores(drain, COSTS.mongo);
    let partitions = (4 * workers).max(16).next_power_of_two();
    let shares = Shares::Own {
        ingest: f64::from(ingest_cores) * goal.busy,
        workers: f64::from(workers) * goal.busy,
        mongo: f64::from(mongo_cores) * goal.busy,
    };
    let machines = Machines { shares, redis_nodes, partitions, workers };
    let played = play(&Herd { events, within: goal.within, waiting: 0.0 }, &machines);
    Needs {
        devices,
        rate,
        ingest_cores,
        redis_nodes,
        partitions,
        workers,
        mongo_cores,
        shards: mongo_cores.div_ceil(goal.shard_cores),
        most_waiting: played.most_waiting,
        redis_bytes: played.most_waiting * BYTES_WAITING + events * BYTES_SEEN,
        drained_after: (played.stored_after - played.sent_after).max(0.0),
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a cast saturates, and none is negative")]
fn ceil(figure: f64) -> u32 {
    (figure.ceil() as u32).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_to_be_enough_is_enough() {
        for devices in [100_000, 1_000_000, 10_000_000] {
            for (within, drained_after) in [(10.0, 60.0), (60.0, 60.0), (3_600.0, 10.0)] {
                let goal = Goal { within, drained_after, busy: 0.6, shard_cores: 8 };
                let needs = needs(devices, &goal);
                assert!(needs.drained_after <= drained_after * 1.1 + 1.0, "{needs:?}");
                assert!(needs.partitions >= 2 * needs.workers && needs.partitions <= 1_024, "{needs:?}");
            }
        }
    }
}
