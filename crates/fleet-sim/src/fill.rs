//! `fleet-sim fill`: pushes the events of a fleet to the queue, without the API.

use std::{collections::HashMap, time::Instant};

use anyhow::{Context, ensure};
use jiff::Timestamp;
use pisync_core::queue::{Partition, Queue, encode};
use serde::Serialize;

use crate::{
    config::FillSettings,
    fleet::Fleet,
    report::{self, Rows},
};

/// The number of messages in one push.
const PUSH: usize = 500;

/// No limit: the user of `fill` chooses the number of events.
const LIMIT: u64 = u32::MAX as u64;

/// The closing figures.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Filled {
    events: u64,
    body_bytes: u64,
    message_bytes: u64,
    seconds: f64,
}

/// Pushes all reports of the fleet, round by round, and prints the figures.
pub async fn run(settings: FillSettings) -> anyhow::Result<bool> {
    let fleet = Fleet::new(&settings.fleet, Timestamp::now());
    let queue = Queue::new(&settings.redis)?;
    queue.check().await.context("opening the queue")?;
    let started = Instant::now();
    let mut filled = fill(&queue, &fleet).await?;
    filled.seconds = started.elapsed().as_secs_f64();
    report::print(settings.json, &filled, filled.rows())?;
    Ok(true)
}

async fn fill(queue: &Queue, fleet: &Fleet) -> anyhow::Result<Filled> {
    let mut filled = Filled::default();
    let mut waiting = HashMap::<Partition, Vec<Vec<u8>>>::new();
    for turn in 0..fleet.rounds() {
        for device in 0..fleet.devices() {
            let event = fleet.event(device, turn)?;
            let message = encode(&event);
            filled.events += 1;
            filled.body_bytes += fleet.report(device, turn).body.len() as u64;
            filled.message_bytes += message.len() as u64;
            let partition = queue.partition_of(&event.device_id);
            let messages = waiting.entry(partition).or_default();
            messages.push(message);
            if messages.len() == PUSH {
                push(queue, partition, messages).await?;
            }
        }
    }
    for (partition, messages) in &mut waiting {
        push(queue, *partition, messages).await?;
    }
    Ok(filled)
}

async fn push(queue: &Queue, partition: Partition, messages: &mut Vec<Vec<u8>>) -> anyhow::Result<()> {
    let pushed = queue.push(partition, messages, LIMIT).await.context("pushing")?;
    ensure!(pushed.accepted == messages.len(), "the partition is full: {} events wait in it", pushed.depth);
    messages.clear();
    Ok(())
}

impl Filled {
    fn rows(self) -> Rows {
        let mut rows = Rows::default();
        rows.add("queued", self.events)
            .add("bytes of their bodies", self.body_bytes)
            .add("bytes of the messages", self.message_bytes)
            .add("time", format!("{:.2} s", self.seconds));
        rows
    }
}
