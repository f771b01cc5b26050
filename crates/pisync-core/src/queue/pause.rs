//! Pausing: a paused partition accepts events and hands out none.

use deadpool_redis::redis;

use super::{Queue, QueueError};

impl Queue {
    /// Pauses every partition; batches in flight are finished.
    pub async fn pause(&self) -> Result<(), QueueError> {
        for partition in self.partitions() {
            self.redis.query::<()>(redis::cmd("SET").arg(self.keys.of(partition, "paused")).arg(1)).await?;
        }
        Ok(())
    }

    /// Resumes every partition at once.
    pub async fn resume(&self) -> Result<(), QueueError> {
        for partition in self.partitions() {
            self.redis.query::<()>(redis::cmd("DEL").arg(self.keys.of(partition, "paused"))).await?;
            let wake = self.keys.shared("wake");
            let notice = redis::cmd("PUBLISH").arg(wake).arg(partition.number()).clone();
            // Only a wake-up: workers also poll.
            if let Err(error) = self.redis.query::<()>(&notice).await {
                log::debug!(error:% = error; "workers were not woken");
            }
        }
        Ok(())
    }
}
