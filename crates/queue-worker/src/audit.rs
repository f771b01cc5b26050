//! The slow look around: batches that have lost their lease, and dead letters that are too many.

use std::time::Duration;

use anyhow::Result;
use pisync_core::{
    queue::{KEPT_DEAD, Partition, Queue},
    store::Store,
};
use tokio::time::sleep;

/// How often a worker looks; varied, so that workers do not look together.
const EVERY: Duration = Duration::from_secs(10);

/// How many dead letters are moved out in one step.
const AT_ONCE: usize = 1_000;

/// Looks around for ever.
pub async fn keep(queue: Queue, store: Store) {
    loop {
        sleep(EVERY.mul_f64(fastrand::f64().mul_add(0.5, 0.75))).await;
        if let Err(error) = look_around(&queue, &store).await {
            log::debug!(error:% = error; "the audit failed, the next one comes");
        }
    }
}

/// Looks at every partition once.
pub async fn look_around(queue: &Queue, store: &Store) -> Result<()> {
    for partition in queue.partitions() {
        queue.audit(partition).await?;
        move_out(queue, store, partition).await?;
    }
    Ok(())
}

/// Copies the oldest dead letters over the bound to the store, then takes them out.
async fn move_out(queue: &Queue, store: &Store, partition: Partition) -> Result<()> {
    loop {
        let over = queue.dead_letters(partition, KEPT_DEAD, AT_ONCE).await?;
        if over.is_empty() {
            return Ok(());
        }
        let letters: Vec<_> = over.iter().map(|buried| &buried.letter).collect();
        store.dead_letters().copy(&letters).await?;
        for buried in &over {
            queue.move_out(buried).await?;
        }
        log::warn!(partition = partition.number(), letters = over.len(); "dead letters moved to the store");
    }
}
