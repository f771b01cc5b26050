//! What was measured: the times that the model is made of, and the runs that it is held against.
//!
//! From a table of `scripts/bench` at commit a875be1, on 2 cores for clients, services and servers
//! together.

use super::model::{Herd, Machines, Shares, play};

/// CPU seconds that each event costs where.
#[derive(Debug, Clone, Copy)]
pub struct Costs {
    /// A client that sends it over HTTP, on the same machine.
    pub client: f64,
    /// `ingest-api`.
    pub ingest: f64,
    /// Redis, for taking it.
    pub redis_push: f64,
    /// Redis, for handing it out.
    pub redis_drain: f64,
    /// `queue-worker`.
    pub worker: f64,
    /// `MongoDB`.
    pub mongo: f64,
}

/// Row "CPU per million accepts", "per million drained". The client's part is what the two cores
/// had left at 61,221 accepts per second.
pub const COSTS: Costs = Costs {
    client: 2.0 / 61_221.0 - 14.4e-6 - 6.77e-6,
    ingest: 14.4e-6,
    redis_push: 6.77e-6,
    redis_drain: 1.75e-6,
    worker: 5.45e-6,
    mongo: 33.9e-6,
};

/// Bytes of Redis for each event that waits.
pub const BYTES_WAITING: f64 = 102.0;

/// Bytes of Redis for each device, of when it was last heard of.
pub const BYTES_SEEN: f64 = 113.0;

/// How many events per second one partition can hand out: one batch at a time, of 1,000 events
/// that wait for each other's round trips. From the drain of 1 worker with 2 lanes, 47,936 /s.
pub const PARTITION_RATE: f64 = 47_936.0 / 2.0;

/// Batches that one worker works on at the same time.
pub const LANES: u32 = 2;

/// A run that was measured.
#[derive(Debug)]
pub struct Point {
    /// Which.
    pub name: &'static str,
    /// What came out.
    pub measured: f64,
    /// In what.
    pub unit: &'static str,
    herd: Herd,
    sends: bool,
    answer: Answer,
}

/// What of a played herd is compared.
#[derive(Debug, Clone, Copy)]
enum Answer {
    Sending,
    LastRow,
    AcceptsPerSecond,
    StoresPerSecond,
}

/// None of them was used to make the model, but for the costs per event of accepts and drain.
pub const POINTS: &[Point] = &[
    Point {
        name: "herd of 100,000 within 10 s: sending took",
        measured: 10.0,
        unit: "s",
        herd: Herd { events: 100_000.0, within: 10.0, waiting: 0.0 },
        sends: true,
        answer: Answer::Sending,
    },
    Point {
        name: "the same: from the last accept to the last row",
        measured: 0.03,
        unit: "s",
        herd: Herd { events: 100_000.0, within: 10.0, waiting: 0.0 },
        sends: true,
        answer: Answer::LastRow,
    },
    Point {
        name: "herd of 100,000 within 60 s: sending took",
        measured: 60.0,
        unit: "s",
        herd: Herd { events: 100_000.0, within: 60.0, waiting: 0.0 },
        sends: true,
        answer: Answer::Sending,
    },
    Point {
        name: "as fast as it goes, accepting and draining at once: accepted",
        measured: 17_935.0,
        unit: "/s",
        herd: Herd { events: 400_000.0, within: 0.0, waiting: 0.0 },
        sends: true,
        answer: Answer::AcceptsPerSecond,
    },
    Point {
        name: "drain of 200,000 that wait, 2 workers",
        measured: 44_591.0,
        unit: "/s",
        herd: Herd { events: 0.0, within: 0.0, waiting: 200_000.0 },
        sends: false,
        answer: Answer::StoresPerSecond,
    },
];

impl Point {
    /// What the model says of the same run.
    pub fn predicted(&self) -> f64 {
        let machines = Machines {
            shares: Shares::One { cores: 2.0, has_clients: self.sends },
            redis_nodes: 1,
            partitions: 16,
            workers: 2,
        };
        let played = play(&self.herd, &machines);
        match self.answer {
            Answer::Sending => played.sent_after,
            Answer::LastRow => played.stored_after - played.sent_after,
            Answer::AcceptsPerSecond => self.herd.events / played.sent_after,
            Answer::StoresPerSecond => self.herd.waiting / played.stored_after,
        }
    }
}
