//! Extends, releases and acknowledges a claimed batch.

use std::{sync::LazyLock, time::Duration};

use deadpool_redis::redis::Script;

use super::{BatchId, Partition, Queue, QueueError, claim::duration_ms};
use crate::models::DeadLetter;

static EXTEND: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("scripts/extend.lua")));
static ACK: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("scripts/ack.lua")));
static NOTE: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("scripts/note.lua")));
static RELEASE: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("scripts/release.lua")));

/// The longest lease that a worker may ask for. A lease that ends later is invalid.
pub const LONGEST_LEASE_MS: u64 = 600_000;

/// The lease of a batch. It ends by time, and it is void once another worker has taken the batch over: then the epoch
/// has risen and every call returns [`LeaseState::Lost`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// The partition of the batch.
    pub partition: Partition,
    /// The id of the batch.
    pub batch: BatchId,
    /// The number of owners of the batch so far, from 1.
    pub epoch: u64,
}

/// Whether the caller still held the lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum LeaseState {
    /// It did, and the call took effect.
    Held,
    /// It did not, and nothing was changed.
    Lost,
}

impl Queue {
    /// Extends `lease` to end in `time` from now.
    pub async fn extend(&self, lease: &Lease, time: Duration) -> Result<LeaseState, QueueError> {
        let mut script = EXTEND.key(self.keys.of(lease.partition, "lease"));
        script.arg(&lease.batch.0).arg(lease.epoch).arg(duration_ms(time));
        self.fenced(lease, &script).await
    }

    /// Records the number of messages of the batch that were read. If the worker dies now, reading them was not the
    /// cause.
    pub async fn note_cursor(&self, lease: &Lease, cursor: usize) -> Result<LeaseState, QueueError> {
        let mut script = NOTE.key(self.keys.of(lease.partition, "lease"));
        script.arg(&lease.batch.0).arg(lease.epoch).arg(cursor);
        self.fenced(lease, &script).await
    }

    /// Acknowledges the batch: its messages are done, and those in `dead` become dead letters in the same step. One
    /// round trip at any size.
    ///
    /// A repeated ack also returns [`LeaseState::Lost`].
    pub async fn ack(&self, lease: &Lease, dead: &[DeadLetter]) -> Result<LeaseState, QueueError> {
        let mut script = ACK.key(self.keys.of(lease.partition, "batch"));
        for name in ["lease", "stats", "dead"] {
            script.key(self.keys.of(lease.partition, name));
        }
        script.arg(&lease.batch.0).arg(lease.epoch);
        for letter in dead {
            script.arg(serde_json::to_vec(letter).unwrap_or_default());
        }
        self.fenced(lease, &script).await
    }

    /// Releases the batch unprocessed, for the next claim to take at once. Its attempt stays the same: a deploy is not
    /// a crash.
    pub async fn release(&self, lease: &Lease) -> Result<LeaseState, QueueError> {
        let mut script = RELEASE.key(self.keys.of(lease.partition, "lease"));
        script.arg(&lease.batch.0).arg(lease.epoch).arg(self.keys.shared("wake")).arg(lease.partition.number());
        self.fenced(lease, &script).await
    }

    async fn fenced(
        &self,
        lease: &Lease,
        script: &deadpool_redis::redis::ScriptInvocation<'_>,
    ) -> Result<LeaseState, QueueError> {
        let held: bool = self.redis.run_at(lease.partition, script).await?;
        Ok(if held { LeaseState::Held } else { LeaseState::Lost })
    }
}
