//! Appends events to their partition.

use std::sync::LazyLock;

use deadpool_redis::redis::{Script, ScriptInvocation};

use super::{Partition, Queue, QueueError};

static PUSH: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("scripts/push.lua")));

/// The cause of a refusal by a partition at its limit.
pub(super) const QUEUE_FULL: &str = "queue_full";

/// The result of a push.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pushed {
    /// The number of messages accepted, from the first on.
    pub accepted: usize,
    /// The number of messages waiting in the partition now.
    pub depth: u64,
}

impl Queue {
    /// Appends `messages` to `partition`, as many as fit below `limit` waiting ones.
    ///
    /// One round trip; when it returns, Redis has the accepted ones. After an error the messages may be there or not:
    /// push them again, since equal events are one row. Without messages it fails as a push would, and changes nothing.
    pub async fn push(&self, partition: Partition, messages: &[Vec<u8>], limit: u64) -> Result<Pushed, QueueError> {
        let mut script = PUSH.key(self.keys.of(partition, "ready"));
        script.key(self.keys.of(partition, "stats")).key(self.keys.of(partition, "count"));
        script.arg(limit).arg(self.keys.shared("wake")).arg(partition.number()).arg(self.keys.count()).arg(messages);
        let pushed = self.run_push(partition, &script).await;
        self.note_refusal(partition, messages.len(), limit, &pushed);
        pushed
    }

    async fn run_push(&self, partition: Partition, script: &ScriptInvocation<'_>) -> Result<Pushed, QueueError> {
        self.redis.is_safe()?;
        let (accepted, depth): (i64, u64) = self.redis.run_at(partition, script).await?;
        let accepted = usize::try_from(accepted).map_err(|_| QueueError::PartitionsChanged)?;
        Ok(Pushed { accepted, depth })
    }

    /// Records refusals in the log. Every push goes through here, so each cause is logged once.
    fn note_refusal(&self, partition: Partition, size: usize, limit: u64, pushed: &Result<Pushed, QueueError>) {
        let (log, place) = (self.redis.refusals(), partition.number());
        match pushed {
            Ok(pushed) if pushed.accepted < size || pushed.depth >= limit => {
                let refused = size.saturating_sub(pushed.accepted);
                if refused > 0 || size == 0 {
                    let depth = pushed.depth;
                    let why = format_args!("{depth} events wait in partition {place}: --max-queue (PISYNC_MAX_QUEUE)");
                    log.refused(QUEUE_FULL, place, refused as u64, &why);
                }
            }
            Ok(_) => log.succeeded(place),
            Err(error) => log.refused(error.cause(), place, size as u64, error),
        }
    }
}
