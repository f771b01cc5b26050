//! A slow look for what should not be: batches without a lease, which nobody would ever claim.
//!
//! No script of the queue leaves one; a person who deletes the wrong key may.

use std::sync::LazyLock;

use deadpool_redis::redis::{self, Script};

use super::{BatchId, Partition, Queue, QueueError};

static HEAL: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("scripts/heal.lua")));

impl Queue {
    /// Heals the batch lists of a partition that have no lease; answers how many there were.
    pub async fn audit(&self, partition: Partition) -> Result<usize, QueueError> {
        let start = self.keys.of(partition, "p:");
        let mut healed = 0;
        let mut cursor = 0_u64;
        loop {
            let mut scan = redis::cmd("SCAN");
            scan.arg(cursor).arg("MATCH").arg(format!("{start}*")).arg("COUNT").arg(1_000);
            let (next, found): (u64, Vec<String>) = self.redis.query_at(&start, &scan).await?;
            for batch in found.iter().filter_map(|key| key.strip_prefix(&start)) {
                healed += usize::from(self.heal(partition, &BatchId(batch.to_owned())).await?);
            }
            if next == 0 {
                return Ok(healed);
            }
            cursor = next;
        }
    }

    async fn heal(&self, partition: Partition, batch: &BatchId) -> Result<bool, QueueError> {
        let mut script = HEAL.key(self.keys.of(partition, "leases"));
        script.key(self.keys.payload(partition, batch)).key(self.keys.meta(partition, batch)).arg(&batch.0);
        let healed = self.redis.run_at(partition, &script).await?;
        if healed {
            log::warn!(batch:% = batch, partition = partition.number(); "a batch without a lease was found");
        }
        Ok(healed)
    }
}
