//! What lies where in the queue, for operators and tests.

use std::{collections::HashMap, sync::LazyLock};

use deadpool_redis::redis::{self, Script};

use futures_util::future::try_join_all;

use super::{Partition, Queue, QueueError, decode};
use crate::models::SyncEvent;

static STATUS: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("scripts/status.lua")));

/// The answer of the script.
type Answer = (u64, Vec<(Bytes, u64, Bytes, u64, i64)>, u64, bool, Bytes, HashMap<Bytes, Bytes>);

/// Text that a person may have edited: not to be text must not hide everything else.
type Bytes = Vec<u8>;

/// A batch that a worker has claimed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BatchStatus {
    /// Its name.
    pub batch: String,
    /// How many messages are in it.
    pub messages: u64,
    /// The worker that holds it, or held it last.
    pub owner: String,
    /// How often it has changed hands, from 1.
    pub epoch: u64,
    /// How often it was handed out, from 1.
    pub attempt: i64,
}

/// One partition at one moment.
#[derive(Debug, Clone, PartialEq)]
pub struct PartitionStatus {
    /// Which.
    pub partition: Partition,
    /// Messages that wait.
    pub ready: u64,
    /// The batches in flight: one, or none.
    pub batches: Vec<BatchStatus>,
    /// Dead letters.
    pub dead: u64,
    /// Whether it hands out nothing.
    pub paused: bool,
    /// The message that has waited longest, where it can be read.
    pub oldest: Option<SyncEvent>,
    /// Totals since the queue was made; their names are in the module's table of keys.
    pub totals: HashMap<String, u64>,
}

impl PartitionStatus {
    /// Messages in claimed batches.
    pub fn in_flight(&self) -> u64 {
        self.batches.iter().map(|batch| batch.messages).sum()
    }

    /// One of the totals since the queue was made.
    pub fn total(&self, name: &str) -> u64 {
        self.totals.get(name).copied().unwrap_or_default()
    }
}

impl Queue {
    /// The state of one partition.
    pub async fn status(&self, partition: Partition) -> Result<PartitionStatus, QueueError> {
        let mut script = STATUS.key(self.keys.of(partition, "ready"));
        for name in ["leases", "dead", "paused", "stats"] {
            script.key(self.keys.of(partition, name));
        }
        script.arg(self.keys.base(partition));
        let (ready, batches, dead, paused, oldest, totals): Answer = self.redis.run(&script).await?;
        let text = |bytes: Bytes| String::from_utf8_lossy(&bytes).into_owned();
        let batch = |(batch, messages, owner, epoch, attempt)| BatchStatus {
            batch: text(batch),
            messages,
            owner: text(owner),
            epoch,
            attempt,
        };
        let batches = batches.into_iter().map(batch).collect();
        let total = |(name, total): (Bytes, Bytes)| Some((text(name), text(total).parse().ok()?));
        let totals = totals.into_iter().filter_map(total).collect();
        Ok(PartitionStatus { partition, ready, batches, dead, paused, oldest: decode(&oldest).ok(), totals })
    }

    /// The state of every partition, in order; all are asked at once.
    pub async fn status_of_all(&self) -> Result<Vec<PartitionStatus>, QueueError> {
        try_join_all(self.partitions().map(|partition| self.status(partition))).await
    }

    /// Removes every key of the queue: for tests, which have a prefix each.
    pub async fn remove(self) -> Result<(), QueueError> {
        let pattern = self.keys.shared("*");
        let keys: Vec<Vec<u8>> = self.redis.query(redis::cmd("KEYS").arg(pattern)).await?;
        if keys.is_empty() { Ok(()) } else { self.redis.query(redis::cmd("UNLINK").arg(keys)).await }
    }
}
