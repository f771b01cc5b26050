//! The status of the queue, for operators and tests.

use std::{collections::HashMap, sync::LazyLock, time::Duration};

#[cfg(feature = "testing")]
use deadpool_redis::redis;
use deadpool_redis::redis::Script;
use futures_util::future::{join_all, try_join_all};
use jiff::Timestamp;
use tokio::time::timeout;

use super::{Partition, Queue, QueueError};
use crate::codec::envelope::received_at;

/// The timeout of one partition, so that it does not delay the others.
const EACH_TIMEOUT: Duration = Duration::from_millis(1_500);

static STATUS: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("scripts/status.lua")));

/// The answer of the script.
type Answer = (u64, u64, (Bytes, Bytes, u64, i64), u64, bool, Bytes, HashMap<Bytes, Bytes>);

/// Text that a person may have edited: invalid UTF-8 must not hide everything else.
type Bytes = Vec<u8>;

/// A batch that a worker has claimed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BatchStatus {
    /// Its id.
    pub batch: String,
    /// The number of messages in it.
    pub messages: u64,
    /// Its owner, or the last one.
    pub owner: String,
    /// The number of owners so far, from 1.
    pub epoch: u64,
    /// The number of times it was handed out, from 1.
    pub attempt: i64,
}

/// The oldest waiting message. Of one of another version only this is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Oldest {
    /// Time of receipt.
    pub received_at: Timestamp,
}

/// The status of one partition.
#[derive(Debug, Clone, PartialEq)]
pub struct PartitionStatus {
    /// The partition.
    pub partition: Partition,
    /// The number of waiting messages.
    pub ready: u64,
    /// The batch in flight.
    pub batch: Option<BatchStatus>,
    /// The number of dead letters.
    pub dead: u64,
    /// Whether it is paused.
    pub paused: bool,
    /// The oldest waiting message, if it can be read.
    pub oldest: Option<Oldest>,
    /// Totals since the queue was made; their names are in the module's table of keys.
    pub totals: HashMap<String, u64>,
}

/// The answers of the partitions, and the errors of the others: a broken one hides no other.
#[derive(Debug, Clone)]
pub struct Each<T> {
    /// The answers, in order of the partitions.
    pub available: Vec<T>,
    /// The partitions that did not answer, each with the error.
    pub unavailable: Vec<(Partition, QueueError)>,
}

impl PartitionStatus {
    /// Returns the number of messages in claimed batches.
    pub fn in_flight(&self) -> u64 {
        self.batch.as_ref().map_or(0, |batch| batch.messages)
    }

    /// Returns one of the totals since the queue was made.
    pub fn total(&self, name: &str) -> u64 {
        self.totals.get(name).copied().unwrap_or_default()
    }
}

impl Queue {
    /// Returns the status of one partition.
    pub async fn status(&self, partition: Partition) -> Result<PartitionStatus, QueueError> {
        let mut script = STATUS.key(self.keys.of(partition, "ready"));
        for name in ["batch", "lease", "dead", "paused", "stats"] {
            script.key(self.keys.of(partition, name));
        }
        let (ready, messages, lease, dead, paused, oldest, totals): Answer =
            self.redis.run_at(partition, &script).await?;
        let text = |bytes: Bytes| String::from_utf8_lossy(&bytes).into_owned();
        let (batch, owner, epoch, attempt) = lease;
        let batch =
            (messages > 0).then(|| BatchStatus { batch: text(batch), messages, owner: text(owner), epoch, attempt });
        let total = |(name, total): (Bytes, Bytes)| Some((text(name), text(total).parse().ok()?));
        let totals = totals.into_iter().filter_map(total).collect();
        let oldest = received_at(&oldest).map(|received_at| Oldest { received_at });
        Ok(PartitionStatus { partition, ready, batch, dead, paused, oldest, totals })
    }

    /// Returns the status of every partition, in order; all are asked at once.
    ///
    /// Fails if one of them does not answer, for callers that must not mistake unknown for empty.
    pub async fn status_of_all(&self) -> Result<Vec<PartitionStatus>, QueueError> {
        try_join_all(self.partitions().map(|partition| self.status(partition))).await
    }

    /// Returns the same for people: the status of the partitions that answer, and the errors of the others. A partition
    /// that does not answer within 1.5 s is left out.
    ///
    /// Fails if none answers.
    pub async fn status_of_each(&self) -> Result<Each<PartitionStatus>, QueueError> {
        self.each(|partition| self.status(partition)).await
    }

    /// Asks every partition at once for the same.
    pub(super) async fn each<T, F>(&self, ask: impl Fn(Partition) -> F) -> Result<Each<T>, QueueError>
    where
        F: Future<Output = Result<T, QueueError>>,
    {
        let late = || QueueError::Unavailable("the partition did not answer in time".into());
        let asked = self.partitions().map(async |partition| {
            (partition, timeout(EACH_TIMEOUT, ask(partition)).await.unwrap_or_else(|_| Err(late())))
        });
        let mut each = Each { available: Vec::new(), unavailable: Vec::new() };
        for (partition, answer) in join_all(asked).await {
            match answer {
                Ok(status) => each.available.push(status),
                Err(error) => each.unavailable.push((partition, error)),
            }
        }
        match each.unavailable.first() {
            Some((_, error)) if each.available.is_empty() => Err(error.clone()),
            _ => Ok(each),
        }
    }

    /// Removes every key of the queue: for tests, which have a prefix each.
    #[cfg(feature = "testing")]
    pub async fn remove(self) -> Result<(), QueueError> {
        let pattern = self.keys.shared("*");
        let keys: Vec<Vec<u8>> = self.redis.query(redis::cmd("KEYS").arg(pattern)).await?;
        if keys.is_empty() { Ok(()) } else { self.redis.query(redis::cmd("UNLINK").arg(keys)).await }
    }
}
