//! A herd of events that comes, waits and is drained, in steps of ten milliseconds: amounts that
//! flow, not single events. What limits each step is the CPU of the places that it needs, the
//! batches that can be in flight, and what one partition can hand out.

use super::measured::{COSTS, LANES, PARTITION_RATE};

/// The length of a step, in seconds.
const STEP: f64 = 0.01;

/// A run that is longer is one that is never done.
const LONGEST: f64 = 24.0 * 3_600.0;

/// What comes.
#[derive(Debug, Clone, Copy)]
pub struct Herd {
    /// How many events.
    pub events: f64,
    /// Over how many seconds, evenly; 0 is as fast as they are taken.
    pub within: f64,
    /// Events that wait already.
    pub waiting: f64,
}

/// What is there to take and drain them.
#[derive(Debug, Clone, Copy)]
pub struct Machines {
    /// The CPUs.
    pub shares: Shares,
    /// Masters of Redis; each has one thread.
    pub redis_nodes: u32,
    /// Partitions of the queue.
    pub partitions: u32,
    /// Processes of `queue-worker`.
    pub workers: u32,
}

/// Who has which cores.
#[derive(Debug, Clone, Copy)]
pub enum Shares {
    /// All share the same ones.
    One {
        /// How many.
        cores: f64,
        /// Whether what sends runs on them too.
        has_clients: bool,
    },
    /// Each has its own.
    Own {
        /// Of `ingest-api`.
        ingest: f64,
        /// Of the workers.
        workers: f64,
        /// Of `MongoDB`'s primaries.
        mongo: f64,
    },
}

/// How it went, in seconds from the beginning, and events.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Played {
    /// When the last event was accepted.
    pub sent_after: f64,
    /// When the last row was stored.
    pub stored_after: f64,
    /// The most that waited at a time.
    pub most_waiting: f64,
}

/// Plays a herd to its end. Devices are hashed to partitions: the fullest one, by chance, has more
/// than its share, and is drained last.
pub fn play(herd: &Herd, machines: &Machines) -> Played {
    let weights = weights(herd.events + herd.waiting, machines.partitions);
    let mut queues: Vec<_> = weights.iter().map(|weight| herd.waiting * weight).collect();
    let mut played = Played { sent_after: 0.0, stored_after: 0.0, most_waiting: herd.waiting };
    let (mut sent, mut time) = (0.0, 0.0);
    while time < LONGEST {
        time += STEP;
        let offered = if herd.within > 0.0 { (herd.events * time / herd.within).min(herd.events) } else { herd.events };
        let (accepted, drained) = flow(offered - sent, &queues, machines);
        sent += accepted;
        let ready: f64 = drained.iter().sum();
        for ((queue, weight), drained) in queues.iter_mut().zip(&weights).zip(&drained) {
            *queue = (*queue - drained).max(0.0) + accepted * weight;
        }
        let waiting: f64 = queues.iter().sum();
        played.most_waiting = played.most_waiting.max(waiting);
        if accepted > 0.0 {
            played.sent_after = time;
        }
        if ready > 0.0 {
            played.stored_after = time;
        }
        // The last hundredth of an event is rounding.
        if sent > herd.events - 0.01 && waiting < 0.01 {
            return played;
        }
    }
    Played { stored_after: f64::INFINITY, ..played }
}

/// What is accepted and drained from each partition in one step: as much as is there, cut down by
/// whatever it needs most of.
fn flow(offered: f64, queues: &[f64], machines: &Machines) -> (f64, Vec<f64>) {
    let lanes = f64::from(machines.workers * LANES);
    let mut drained: Vec<_> = queues.iter().map(|queue| queue.min(PARTITION_RATE * STEP)).collect();
    let all: f64 = drained.iter().sum();
    let in_flight = (lanes * PARTITION_RATE * STEP).min(all);
    let redis = STEP * f64::from(machines.redis_nodes);
    let (accepted, total) = match machines.shares {
        Shares::One { cores, has_clients } => {
            let client = if has_clients { COSTS.client } else { 0.0 };
            let (push, drain) = (client + COSTS.ingest + COSTS.redis_push, drain_cost());
            let (accepting, draining) = share(STEP * cores, offered * push, in_flight * drain);
            (accepting / push, draining / drain)
        }
        Shares::Own { ingest, workers, mongo } => {
            let accepted = offered.min(STEP * ingest / COSTS.ingest);
            (accepted, in_flight.min(STEP * workers / COSTS.worker).min(STEP * mongo / COSTS.mongo))
        }
    };
    let cut = (redis / (accepted * COSTS.redis_push + total * COSTS.redis_drain)).min(1.0);
    let (accepted, total) = (accepted * cut, total * cut);
    let scale = if all > 0.0 { total / all } else { 0.0 };
    for drained in &mut drained {
        *drained *= scale;
    }
    (accepted, drained)
}

/// What two who want time get of it: half each, and what one does not want is the other's.
fn share(time: f64, one: f64, other: f64) -> (f64, f64) {
    let half = time / 2.0;
    (one.min(half.max(time - other)), other.min(half.max(time - one)))
}

fn drain_cost() -> f64 {
    COSTS.redis_drain + COSTS.worker + COSTS.mongo
}

/// The share of each partition: `events` devices fall into them by chance. The sum of many small
/// chances is near the normal distribution; the seed is fixed, so that the answer is.
fn weights(events: f64, partitions: u32) -> Vec<f64> {
    let mut rng = fastrand::Rng::with_seed(1);
    let mean = 1.0 / f64::from(partitions);
    let spread = (mean * (1.0 - mean) / events.max(1.0)).sqrt();
    // The sum of twelve uniform numbers has variance 1.
    let mut normal = || (0..12).map(|_| rng.f64()).sum::<f64>() - 6.0;
    let shares: Vec<_> = (0..partitions).map(|_| (mean + spread * normal()).max(0.0)).collect();
    let sum: f64 = shares.iter().sum();
    shares.into_iter().map(|share| share / sum).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLENTY: Machines = Machines {
        shares: Shares::Own { ingest: 1e3, workers: 1e3, mongo: 1e3 },
        redis_nodes: 100,
        partitions: 64,
        workers: 32,
    };

    #[test]
    fn what_fits_is_through_when_it_was_sent() {
        let played = play(&Herd { events: 100_000.0, within: 10.0, waiting: 0.0 }, &PLENTY);
        assert!((played.sent_after - 10.0).abs() < 0.05 && played.stored_after - played.sent_after < 0.1, "{played:?}");
        assert!(played.most_waiting < 1_000.0, "{played:?}");
    }

    #[test]
    fn what_is_short_of_one_thing_takes_as_long_as_that_needs() {
        let waiting = Herd { events: 0.0, within: 0.0, waiting: 1e6 };
        let slow_mongo = Machines { shares: Shares::Own { ingest: 1.0, workers: 99.0, mongo: 1.0 }, ..PLENTY };
        assert!((play(&waiting, &slow_mongo).stored_after - 33.9).abs() < 0.5);
        let one_partition = Machines { partitions: 1, ..PLENTY };
        assert!((play(&waiting, &one_partition).stored_after - 1e6 / PARTITION_RATE).abs() < 0.5);
        let one_worker = Machines { workers: 1, ..PLENTY };
        assert!((play(&waiting, &one_worker).stored_after - 1e6 / PARTITION_RATE / 2.0).abs() < 0.5);
        let burst = Herd { events: 1e6, within: 0.0, waiting: 0.0 };
        let slow_ingest = Machines { shares: Shares::Own { ingest: 1.0, workers: 99.0, mongo: 99.0 }, ..PLENTY };
        assert!((play(&burst, &slow_ingest).sent_after - 14.4).abs() < 0.5);
        let one_redis = Machines { redis_nodes: 1, ..PLENTY };
        assert!((play(&burst, &one_redis).sent_after - 8.5).abs() < 0.6, "{:?}", play(&burst, &one_redis));
    }

    #[test]
    fn nothing_is_made_or_lost_on_the_way() {
        let tight = Machines {
            shares: Shares::One { cores: 2.0, has_clients: true },
            redis_nodes: 1,
            partitions: 16,
            workers: 1,
        };
        let played = play(&Herd { events: 300_000.0, within: 5.0, waiting: 50_000.0 }, &tight);
        assert!(played.most_waiting <= 350_000.0 && played.stored_after >= played.sent_after, "{played:?}");
        assert!((weights(1e5, 16).iter().sum::<f64>() - 1.0).abs() < 1e-9);
    }
}
