//! Claims the next batch of a partition, or the batch of a dead worker.

use std::{fmt, sync::LazyLock, time::Duration};

use deadpool_redis::redis::Script;

use super::{LONGEST_LEASE_MS, Lease, Partition, Queue, QueueError};

static CLAIM: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("scripts/claim.lua")));

/// The id of a batch, chosen by the worker that claims it. A repeated claim with the same id gives the same batch, so a
/// lost reply is harmless.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BatchId(pub(super) String);

impl BatchId {
    /// Returns a new id.
    #[expect(clippy::new_without_default, reason = "each is another one")]
    pub fn new() -> Self {
        Self(format!("{:016x}", fastrand::u64(..)))
    }

    /// Returns the id of no batch.
    pub(super) fn none() -> Self {
        Self(String::new())
    }
}

impl fmt::Display for BatchId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The result of a claim.
#[derive(Debug)]
pub enum Claim {
    /// Messages to process, under a lease.
    Batch(ClaimedBatch),
    /// The partition is empty.
    Empty,
    /// Another batch of the partition is in flight: one at a time keeps each device in order.
    Busy {
        /// The rest of its lease, unless it is extended.
        left: Duration,
    },
    /// An operator has paused the partition.
    Paused,
}

/// Messages claimed together.
#[derive(Debug)]
pub struct ClaimedBatch {
    /// The lease of the batch.
    pub lease: Lease,
    /// The number of times the batch was handed out, from 1. A deploy does not count.
    pub attempt: u32,
    /// The number of messages that a dead worker had read, as it recorded; none without a record.
    pub cursor: Option<usize>,
    /// The messages, oldest first.
    pub messages: Vec<Vec<u8>>,
}

impl Queue {
    /// Claims up to `max` messages of `partition` for `lease`, under the id `batch`.
    ///
    /// Idempotent by `batch` and `owner` while the lease lasts. A batch with an expired lease is handed out before
    /// anything new. It keeps its id, its epoch and attempt rise, and nothing moves. If a person removed the lease, the
    /// batch is handed out under the new id.
    pub async fn claim(
        &self,
        partition: Partition,
        batch: &BatchId,
        owner: &str,
        max: usize,
        lease: Duration,
    ) -> Result<Claim, QueueError> {
        let mut script = CLAIM.key(self.keys.of(partition, "ready"));
        for name in ["batch", "lease", "paused", "stats", "count"] {
            script.key(self.keys.of(partition, name));
        }
        script.arg(&batch.0).arg(max).arg(duration_ms(lease)).arg(owner).arg(self.keys.count());
        script.arg(LONGEST_LEASE_MS);
        let (found, batch, epoch, attempt, cursor, messages): (String, String, u64, u32, i64, Vec<Vec<u8>>) =
            self.redis.run_at(partition, &script).await?;
        match found.as_str() {
            "batch" => {
                let lease = Lease { partition, batch: BatchId(batch), epoch };
                Ok(Claim::Batch(ClaimedBatch { lease, attempt, cursor: usize::try_from(cursor).ok(), messages }))
            }
            "empty" => Ok(Claim::Empty),
            "busy" => Ok(Claim::Busy { left: Duration::from_millis(epoch) }),
            "paused" => Ok(Claim::Paused),
            "changed" => Err(QueueError::PartitionsChanged),
            _ => Err(QueueError::Refused("unknown answer to a claim".into())),
        }
    }
}

pub(super) fn duration_ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
