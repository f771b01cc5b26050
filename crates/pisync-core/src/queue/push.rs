//! Putting events at the end of their partition.

use std::sync::LazyLock;

use deadpool_redis::redis::Script;

use super::{Partition, Queue, QueueError};

static PUSH: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("scripts/push.lua")));

/// What became of a push.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pushed {
    /// How many messages were taken, from the first on.
    pub accepted: usize,
    /// How many wait in the partition now.
    pub depth: u64,
}

impl Queue {
    /// Appends `messages` to `partition`, as many as fit below `limit` waiting ones.
    ///
    /// One round trip; when it returns, Redis has what was accepted. After an error the messages
    /// may be there or not: pushing them again is right, since equal events are one row.
    pub async fn push(&self, partition: Partition, messages: &[Vec<u8>], limit: u64) -> Result<Pushed, QueueError> {
        let mut script = PUSH.key(self.keys.of(partition, "ready"));
        script.key(self.keys.of(partition, "stats")).key(self.keys.of(partition, "count"));
        script.arg(limit).arg(self.keys.shared("wake")).arg(partition.number()).arg(self.keys.count()).arg(messages);
        let (accepted, depth): (i64, u64) = self.redis.run(&script).await?;
        let accepted = usize::try_from(accepted).map_err(|_| QueueError::PartitionsChanged)?;
        Ok(Pushed { accepted, depth })
    }
}
